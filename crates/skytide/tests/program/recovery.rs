//! The program killed while it answers, and started again: its file is that of one run that nobody killed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use skytide_sim::{Config, Network, Pacing, Relay, RelayHandle};

use crate::common::{Running, err, out, output, skytide};

const QUERY: &str =
    "{ langs: posts.record.langs[0], likes: likes.count(), minutes: likes.count(window=since.minutely()) }";
const FRAMES: usize = 4000;
/// Longer than any of it takes.
const LIMIT: Duration = Duration::from_secs(60);

/// A relay whose frames come over a few seconds, and a recording of the same ones.
fn served(folder: &Path) -> (RelayHandle, String) {
    let frames: Vec<_> = Network::new(Config { accounts: 50, rate: 20, ..Config::default() })
        .take(FRAMES)
        .map(|frame| frame.bytes)
        .collect();
    let path = folder.join("all.frames");
    let mut recorder =
        skytide_firehose::Recorder::create(&path, skytide_firehose::Compression::None).unwrap();
    frames.iter().for_each(|frame| recorder.push(frame).unwrap());
    recorder.finish().unwrap();
    let relay = Relay::from_frames(frames, Pacing::Rate(800.0)).window(FRAMES as u64);
    (relay.start("127.0.0.1:0").unwrap(), path.to_str().unwrap().to_owned())
}

fn lines(path: &Path) -> usize {
    fs::read(path).map_or(0, |bytes| bytes.iter().filter(|byte| **byte == b'\n').count())
}

#[test]
fn killed_and_started_again_it_writes_each_row_once() {
    for clock in [&["--time", "time"][..], &["--time", "created_at", "--lateness", "20s"]] {
        let folder = tempfile::tempdir().unwrap();
        let (relay, recording) = served(folder.path());
        let name = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (whole, rows, state) = (name("whole.ndjson"), name("rows.ndjson"), name("state"));
        let late = [name("whole.late"), name("rows.late")];
        let keeps = late.each_ref().map(|path| format!("side={path}"));
        let args = ["run", QUERY, "--from", &recording, "--mode", "live", "-q", "-o", &whole];
        let ran = output(&[&args[..], clock, &["--late", &keeps[0]]].concat());
        assert!(ran.status.success(), "{}", err(&ran));
        let expected = fs::read_to_string(&whole).unwrap();
        // What waits for its time when the stream ends is given out only where it has an end.
        let all = expected.lines().count() * 3 / 4;

        let url = relay.url();
        let args = ["run", QUERY, "--from", &url, "--cursor", "oldest", "-q", "-o", &rows];
        let saved = ["--resume", &state, "--resume-every", "10ms", "--late", &keeps[1]];
        let args = [&args[..], clock, &saved[..]].concat();
        let rows = Path::new(&rows);
        for life in 1..6 {
            // Rows of the life before may be taken back first: only more of them are a sign of this one.
            let before = lines(rows).max(all * life / 8);
            let begun = Instant::now();
            let mut running = Running(skytide(&args).stderr(Stdio::null()).spawn().unwrap());
            while lines(rows) <= before {
                assert!(begun.elapsed() < LIMIT && running.0.try_wait().unwrap().is_none());
                std::thread::yield_now();
            }
            if life % 2 == 0 {
                let killed = Command::new("kill").args(["-TERM", &running.0.id().to_string()]).status();
                assert!(killed.unwrap().success());
                assert_eq!(running.0.wait().unwrap().code(), Some(130));
            }
        }
        let limit = all.to_string();
        let args: Vec<&str> = args.iter().copied().filter(|arg| *arg != "-q").collect();
        let ran = output(&[&args[..], &["--limit", &limit, "--for", "60s"]].concat());
        assert!(ran.status.success(), "{}", err(&ran));
        let said = err(&ran);
        assert!(
            said.contains("query 1 goes on from 2026-01-01T00:") && said.contains(" of them in "),
            "{said}"
        );
        let answer = fs::read_to_string(rows).unwrap();
        // A machine that is busy may have had more than were asked for when it was killed last.
        let there = lines(rows);
        let first: Vec<&str> = expected.lines().take(there).collect();
        assert!(there >= all && answer.lines().eq(first), "{there} rows, and {all} were asked for");
        assert!(relay.counters().connections >= 6);
        // Late points are those of the whole run, as far as that was read.
        let [whole, late] = late.map(|path| fs::read_to_string(path).unwrap());
        let mut whole: Vec<&str> = whole.lines().collect();
        for point in late.lines() {
            let place = whole.iter().position(|known| *known == point);
            whole.swap_remove(place.expect("a point that is late once"));
        }
        assert_eq!(late.is_empty(), clock.len() == 2);
    }
}

/// The names of a folder's files.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn killed_and_started_again_its_folder_has_each_row_once() {
    for format in ["parquet", "arrow"] {
        let folder = tempfile::tempdir().unwrap();
        let (relay, recording) = served(folder.path());
        let name = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (whole, rows, state) = (name("whole.ndjson"), name("rows/"), name("state"));
        let ran = output(&["run", QUERY, "--from", &recording, "--mode", "live", "-q", "-o", &whole]);
        assert!(ran.status.success(), "{}", err(&ran));
        let expected: Vec<_> = fs::read_to_string(&whole).unwrap().lines().map(read_back).collect();
        let all = expected.len() * 3 / 4;

        let url = relay.url();
        let args =
            ["run", QUERY, "--from", &url, "--cursor", "oldest", "-q", "-o", &rows, "--format", format];
        let saved = ["--roll-every", "5s", "--resume", &state, "--resume-every", "20ms"];
        let args = [&args[..], &saved[..]].concat();
        let rows = Path::new(&rows);
        let files = || names(rows).iter().filter(|name| name.starts_with("part-")).count();
        for life in 0..4 {
            // One that was whole after the last save is made again.
            let (before, begun) = (files(), Instant::now());
            let mut running = Running(skytide(&args).stderr(Stdio::null()).spawn().unwrap());
            while files() <= before + 2 {
                assert!(begun.elapsed() < LIMIT && running.0.try_wait().unwrap().is_none(), "life {life}");
                std::thread::yield_now();
            }
        }
        let limit = all.to_string();
        let ran = output(&[&args[..], &["--limit", &limit, "--for", "60s"]].concat());
        assert!(ran.status.success(), "{}", err(&ran));
        let (ends, names) = (format!(".{format}"), names(rows));
        // Nothing is left of those that were killed, and all are of one run.
        assert!(names.iter().all(|name| name.starts_with("part-") && name.ends_with(&ends)), "{names:?}");
        let run = |name: &str| name.rsplit_once('-').unwrap().0.to_owned();
        assert!(names.len() > 12 && names.iter().all(|name| run(name) == run(&names[0])), "{names:?}");
        // Read as any other files.
        let pattern = format!("{}*{ends}", rows.to_str().unwrap());
        let args =
            ["run", "rows", "--from", &pattern, "--as", "rows", "--time", "_time", "--key", "_key", "-q"];
        let back = output(&args);
        let points: Vec<_> = out(&back).lines().map(read_back).collect();
        // A machine that is busy may have had more than were asked for when it was killed last.
        let there = points.len();
        assert!(there >= all && points == expected[..there], "{there} rows of {all}: {}", err(&back));
        assert!(relay.counters().connections >= 5);
    }
}

/// The fields of a row in order.
fn read_back(line: &str) -> Vec<(String, serde_json::Value)> {
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
    let mut fields: Vec<_> = fields.into_iter().collect();
    fields.sort_by(|one, other| one.0.cmp(&other.0));
    fields
}

#[test]
fn csv_on_stdout_has_one_header_over_several_lives() {
    let folder = tempfile::tempdir().unwrap();
    let (relay, _) = served(folder.path());
    let (state, url) = (folder.path().join("state").to_str().unwrap().to_owned(), relay.url());
    let args = ["run", "likes.count()", "--from", &url, "--cursor", "oldest", "--format", "csv", "-q"];
    let life = |more: &[&str]| {
        let ran = output(&[&args[..], &["--resume", &state], more].concat());
        assert!(ran.status.success(), "{}", err(&ran));
        out(&ran)
    };
    // Without rows each has the columns alone, as a file would.
    assert_eq!(life(&["--for", "0s"]), "_time,_key,result\n");
    // How many rows come in a second is the machine's to say.
    let (mut with_rows, begun) = (0, Instant::now());
    while with_rows < 2 {
        assert!(begun.elapsed() < LIMIT);
        let text = life(&["--for", "1s"]);
        let (headers, lines) = (text.matches("_time").count(), text.lines().count());
        assert_eq!((headers, text.starts_with("_time,_key,result\n")), (1 - with_rows, with_rows == 0));
        with_rows += usize::from(lines > headers);
    }
}

#[test]
fn what_cannot_be_resumed_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (_relay, recording) = served(folder.path());
    let state = folder.path().join("state").to_str().unwrap().to_owned();
    let refused = |args: &[&str], code: i32| {
        let ran = output(&[&["run"], args, &["--resume", &state]].concat());
        assert_eq!(ran.status.code(), Some(code), "{args:?}: {}", err(&ran));
        err(&ran)
    };
    let sim = refused(&["likes.count()"], 2);
    assert!(
        sim.contains("the simulated network of a run ends with it") && sim.contains("skytide sim"),
        "{sim}"
    );
    for form in ["table", "arrow"] {
        let file = folder.path().join("a.arrows");
        let args = ["likes.count()", "--from", &recording, "--format", form, "-o", file.to_str().unwrap()];
        let told = refused(&args, 2);
        assert!(told.contains("hint: as in -o FILE.ndjson"), "{told}");
        assert!(!file.exists());
    }
    let taken = output(&["run", "likes.count()", "--from", &recording, "--resume", &recording, "-q"]);
    assert!(err(&taken).contains("all.frames: it is no folder, in which runs are saved"), "{}", err(&taken));
    let every = output(&["run", "likes.count()", "--from", &recording, "--resume-every", "1s"]);
    assert!(err(&every).contains("--resume <FOLDER>"), "{}", err(&every));
    fs::write(folder.path().join("none.car"), "").unwrap();
    let repos = refused(&["likes.count()", "--from", folder.path().join("none.car").to_str().unwrap()], 2);
    assert!(repos.contains("exported repositories cannot be gone on with"), "{repos}");
    assert!(repos.contains("hint: leave --resume out"), "{repos}");

    // A run that came to its end is at its end, and what is there is that of its query alone.
    let run = |query: &str| output(&["run", query, "--from", &recording, "--resume", &state]);
    let whole = run("a=likes.count()");
    assert!(whole.status.success() && !whole.stdout.is_empty(), "{}", err(&whole));
    let again = run("a=likes.count()");
    assert!(again.status.success() && again.stdout.is_empty(), "{}", err(&again));
    let said = err(&again);
    assert!(
        said.contains("query a came to its end at 2026-") && said.contains("nothing more is read"),
        "{said}"
    );
    let other = refused(&["a=posts.count()", "--from", &recording], 2);
    assert!(other.contains("is of the query `likes.count()`; this one is `posts.count()`"), "{other}");
    let clock = refused(&["a=likes.count()", "--from", &recording, "--time", "rev"], 2);
    assert!(
        clock.contains("by revision") && clock.contains("another --resume folder begins anew"),
        "{clock}"
    );
    // Several have each their own.
    let file = folder.path().join("b.ndjson");
    let file = file.to_str().unwrap();
    let both = output(&["run", "b=posts.count()", "--from", &recording, "--resume", &state, "-o", file]);
    assert!(both.status.success(), "{}", err(&both));
    // What has a file keeps it.
    let rows = fs::read(file).unwrap();
    let elsewhere = refused(&["b=posts.count()", "--from", &recording], 2);
    assert!(elsewhere.contains("b.ndjson, and this run writes elsewhere"), "{elsewhere}");
    assert!(!rows.is_empty() && fs::read(file).unwrap() == rows);
}
