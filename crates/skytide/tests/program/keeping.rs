//! What a file holds stays until there is something to put in its place, and nothing is written over what it
//! is made of.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;

use crate::common::{Running, answering, err, output, serve, skytide};

/// A server that gives no stream, and does not let anybody try again.
fn dead() -> String {
    answering("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
}

/// A server that takes connections and says nothing.
fn mute() -> (std::net::TcpListener, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// A folder, and the paths in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// A recording of so many frames.
    fn recording(&self, name: &str, frames: u32) -> String {
        let path = self.at(name);
        let from = format!("sim:accounts=20,rate=0,events={frames}");
        says(&["record", "--from", &from, "-o", &path], 0, "");
        path
    }
}

/// Runs it, with this exit code, and this among what it says.
fn says(args: &[&str], code: i32, text: &str) {
    let ran = output(args);
    assert_eq!(ran.status.code(), Some(code), "{args:?}: {}", err(&ran));
    assert!(err(&ran).contains(text), "{args:?} does not say {text:?}: {}", err(&ran));
}

fn bytes(path: &str) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

/// The numbers of a recording's frames.
fn numbers(path: &str) -> Vec<u64> {
    let frames = skytide::firehose::Recording::open(path).unwrap().map(Result::unwrap);
    frames.filter_map(|frame| skytide::atproto::frame::peek(&frame).unwrap().seq).collect()
}

#[test]
fn a_recording_that_is_there_is_not_recorded_over_unasked() {
    let (folder, dead) = (Folder::new(), dead());
    for name in ["day.frames", "day.frames.zst"] {
        let path = folder.recording(name, 50);
        let before = bytes(&path);
        says(&["record", "-o", &path, "--limit", "5"], 2, "--append");
        // The server is dead: nothing came that could take its place.
        says(&["record", "--from", &dead, "-o", &path, "--overwrite"], 3, "answered 404");
        says(&["record", "--from", &dead, "-o", &path, "--append"], 3, "goes on after its 50 frames");
        // Nor did anything of a network that ends at once.
        says(&["record", "--from", "sim:events=0", "-o", &path, "--overwrite"], 0, "0 events");
        assert!(bytes(&path) == before, "{name}");
        let other = "sim:accounts=20,rate=0,events=7";
        says(&["record", "--from", other, "-o", &path, "--append"], 2, "begin anew each time");
        says(&["record", "--from", other, "-o", &path, "--overwrite"], 0, "7 events");
        assert_eq!(numbers(&path), [1, 2, 3, 4, 5, 6, 7]);
    }
    let text = folder.at("notes.txt");
    std::fs::write(&text, "what is no recording").unwrap();
    says(&["record", "-o", &text, "--limit", "5"], 2, "--overwrite");
    says(&["record", "--from", &dead, "-o", &text, "--append"], 1, "is no recording");
    assert_eq!(bytes(&text), b"what is no recording");
    // A file without a frame has nothing to lose: whoever starts again after a dead server is not kept out.
    let new = folder.at("new.frames.zst");
    says(&["record", "--from", &dead, "-o", &new], 3, "");
    says(&["record", "--from", "sim:events=0", "-o", &new], 0, "");
    says(&["record", "--from", "sim:rate=0,events=3", "-o", &new], 0, "");
    assert_eq!(numbers(&new).len(), 3);
}

#[test]
fn a_recording_goes_on_where_the_one_before_was_ended() {
    let folder = Folder::new();
    let (_server, url) = serve(&[]);
    for name in ["day.frames", "day.frames.zst"] {
        let path = folder.at(name);
        let args = ["record", "--from", &url, "-o", &path, "--append", "--limit", "100"];
        says(&[&args[..], &["--cursor", "oldest"]].concat(), 0, "100 events");
        says(&args, 0, "goes on after its 100 frames");
        // What was killed while it wrote leaves a part of a frame.
        let held = bytes(&path);
        std::fs::write(&path, &held[..held.len() - 30]).unwrap();
        says(&args, 0, "goes on after its");
        let numbers = numbers(&path);
        assert!(numbers.len() >= 299, "{}", numbers.len());
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn a_recording_of_a_jetstream_goes_on_with_new_events_alone() {
    let folder = Folder::new();
    let (_server, url) = serve(&["--events", "2000"]);
    let url = format!("{url}/subscribe");
    for name in ["day.frames", "day.frames.zst"] {
        let path = folder.at(name);
        let args = ["record", "--from", &url, "-o", &path, "--append", "--limit", "100"];
        says(&[&args[..], &["--cursor", "oldest"]].concat(), 0, "100 events");
        for _ in 0..3 {
            says(&args, 0, "100 events");
        }
        let mut numbers = numbers(&path);
        let whole = folder.at("whole.frames");
        let args = ["record", "--from", &url, "-o", &whole, "--overwrite", "--limit", "400"];
        says(&[&args[..], &["--cursor", "oldest"]].concat(), 0, "");
        numbers.sort_unstable();
        assert_eq!(numbers, self::numbers(&whole), "{name}");
    }
}

#[test]
fn a_recording_is_not_written_over_what_is_read() {
    let folder = Folder::new();
    let path = folder.recording("day.frames.zst", 50);
    let before = bytes(&path);
    #[allow(unused_mut, reason = "not every system has links")]
    let mut names = vec![path.clone()];
    #[cfg(unix)]
    {
        names.extend([folder.at("soft"), folder.at("hard")]);
        std::os::unix::fs::symlink(&path, &names[1]).unwrap();
        std::fs::hard_link(&path, &names[2]).unwrap();
    }
    for name in &names {
        for how in ["--append", "--overwrite", "-q"] {
            says(&["record", "--from", &path, "-o", name, how], 2, "written over what is read");
        }
    }
    assert!(bytes(&path) == before);
}

#[cfg(unix)]
#[test]
fn two_answers_are_not_written_into_one_file_through_a_link() {
    let folder = Folder::new();
    let (file, link) = (folder.at("a.nd"), folder.at("b.nd"));
    // It leads to what is not there yet.
    std::os::unix::fs::symlink("a.nd", &link).unwrap();
    let args =
        ["run", "posts.count()", "likes.count()", "--from", "sim:rate=0,events=9", "-o", &file, "-o", &link];
    says(&args, 2, "two answers would be written over each other");
    assert!(!Path::new(&file).exists());
    std::fs::write(&file, "an answer").unwrap();
    says(&args, 2, "two answers would be written over each other");
    assert_eq!(bytes(&file), b"an answer");
}

#[test]
fn an_answer_stays_where_the_source_gives_none() {
    let (folder, dead) = (Folder::new(), dead());
    let (_mute, mute) = mute();
    for name in ["a.ndjson", "a.csv", "a.parquet", "a.arrow", "a.arrows", "a.txt"] {
        let path = folder.at(name);
        let to = ["-o", &path, "-q"];
        let form: &[&str] = if name == "a.txt" { &["--format", "table"] } else { &[] };
        let run = |from: &[&str], code, text| {
            says(&[&["run", "posts.count()"], from, &to[..], form].concat(), code, text);
        };
        run(&["--from", "sim:accounts=20,rate=0,events=500"], 0, "");
        let before = bytes(&path);
        assert!(before.len() > 100, "{name}");
        run(&["--from", &dead], 3, "answered 404");
        if [".ndjson", ".csv"].iter().any(|ending| name.ends_with(ending)) {
            run(&["--from", &dead, "--resume", &folder.at("state")], 3, "answered 404");
            std::fs::remove_dir_all(folder.at("state")).unwrap();
        }
        if name == "a.ndjson" || name == "a.parquet" {
            run(&["--from", "ws://127.0.0.1:1", "--for", "1s"], 3, "no connection");
            run(&["--from", &mute, "--for", "300ms"], 3, "no connection");
        }
        assert!(bytes(&path) == before, "{name}");
        // A good end without rows is an answer.
        run(&["--from", "sim:accounts=20,rate=0,events=0"], 0, "");
        assert!(bytes(&path) != before, "{name}");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupt_before_there_is_a_connection_leaves_an_answer_as_it_is() {
    let (folder, (mute, url)) = (Folder::new(), mute());
    let path = folder.at("a.ndjson");
    std::fs::write(&path, "an answer").unwrap();
    let mut asked = skytide(&["run", "posts.count()", "--from", &url, "-o", &path]);
    let mut asked = Running(asked.stderr(std::process::Stdio::null()).spawn().unwrap());
    // It listens for signals before it dials.
    let _asking = mute.accept().unwrap();
    let id = asked.0.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(asked.0.wait().unwrap().code(), Some(130));
    assert_eq!(bytes(&path), b"an answer");
}

#[test]
fn queries_that_share_no_connection_yet_leave_their_answers_as_they_are() {
    let (folder, (_mute, url)) = (Folder::new(), mute());
    let files = ["a.ndjson", "b.csv"].map(|name| folder.at(name));
    files.iter().for_each(|file| std::fs::write(file, "an answer").unwrap());
    let args = ["run", "posts.count()", "likes.count()", "-o", &files[0], "-o", &files[1]];
    says(&[&args[..], &["--from", &url, "--for", "500ms"]].concat(), 3, "no connection");
    assert!(files.iter().all(|file| bytes(file) == b"an answer"));
}

#[test]
fn late_points_of_an_earlier_run_stay_where_the_source_gives_none() {
    let (folder, dead) = (Folder::new(), dead());
    let path = folder.at("late.ndjson");
    let late = format!("side={path}");
    let run = |from: &str, code| {
        says(&["run", "posts.count()", "--from", from, "--late", &late, "-q"], code, "");
    };
    std::fs::write(&path, "an earlier point").unwrap();
    run(&dead, 3);
    let (_mute, mute) = mute();
    says(&["run", "posts.count()", "--from", &mute, "--late", &late, "--for", "300ms"], 3, "no connection");
    assert_eq!(bytes(&path), b"an earlier point");
    // Of a run that ends well it has what that has.
    run("sim:accounts=20,rate=0,events=20", 0);
    assert_eq!(bytes(&path), b"");
}
