//! Files of rows through the program: as sources, beside a network, and as what answers are written to.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StructArray, TimestampMillisecondArray};
use serde_json::{Value, json};
use skytide_connect::sink::{FileFormat, FileSink, Sink};

use crate::common::{err, output, skytide};

/// The rows of a run that succeeds.
fn rows(args: &[&str]) -> Vec<Value> {
    let ran = output(&[args, &["-q"]].concat());
    assert!(ran.status.success(), "{args:?}: {}", err(&ran));
    let text = String::from_utf8(ran.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What a run that fails says, with its code.
fn fails(args: &[&str], code: i32) -> String {
    let ran = output(args);
    assert_eq!(ran.status.code(), Some(code), "{args:?}: {}", err(&ran));
    assert!(ran.stdout.is_empty(), "{args:?} prints data");
    err(&ran)
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("a UTF-8 path").to_owned()
    }

    fn put(&self, name: &str, text: &str) -> String {
        std::fs::write(self.at(name), text).unwrap();
        self.at(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = self.0.path().read_dir().unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

const EVENTS: &str = "ts,did,n\n30,A,1\n10,B,2\n20,A,3\n";

fn results(rows: &[Value]) -> Vec<(String, String, Value)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    rows.iter().map(|row| (text(&row["_time"]), text(&row["_key"]), row["result"].clone())).collect()
}

#[test]
fn a_file_answers_a_query() {
    let folder = Folder::new();
    let path = folder.put("events.csv", EVENTS);
    let answer =
        rows(&["run", "events.n.sum()", "--from", &path, "--time", "ts", "--key", "did", "--time-unit", "s"]);
    assert_eq!(
        results(&answer),
        [
            ("1970-01-01T00:00:10Z".into(), "B".into(), json!(2)),
            ("1970-01-01T00:00:20Z".into(), "A".into(), json!(3)),
            ("1970-01-01T00:00:30Z".into(), "A".into(), json!(4)),
        ]
    );
    // Another name, what is said of it before it, several workers.
    let args =
        ["--time", "ts", "--key", "did", "--as", "m", "--from", &path, "--time-unit", "s", "--workers", "3"];
    assert_eq!(rows(&[&["run", "m.n.sum()"], &args[..]].concat()), answer);
    let checked = output(&[
        "check",
        "events.n.sum()",
        "--from",
        &path,
        "--time",
        "ts",
        "--key",
        "did",
        "--grouping",
        "user",
    ]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(said.contains("i64") && said.contains("user ("), "{said}{}", err(&checked));
    let explained = output(&["explain", "events.n.sum()", "--from", &path, "--time", "ts", "--key", "did"]);
    assert!(explained.status.success() && String::from_utf8_lossy(&explained.stdout).contains("events"));
}

#[test]
fn answers_written_to_files_are_read_again() {
    let folder = Folder::new();
    let path = folder.put("events.csv", EVENTS);
    let args = ["run", "events.n.sum()", "--from", &path, "--time", "ts", "--key", "did", "--time-unit", "s"];
    let answer = rows(&args);
    for name in ["out.parquet", "out.arrow", "out.arrows", "out.csv", "out.ndjson"] {
        let out = folder.at(name);
        let ran = output(&[&args[..], &["--to", &out, "-q"]].concat());
        assert!(ran.status.success() && ran.stdout.is_empty(), "{name}: {}", err(&ran));
        let again = rows(&["run", "out.result", "--from", &out, "--time", "_time", "--key", "_key"]);
        assert_eq!(again, answer, "{name}");
    }
    // A folder of files, rolled at every 20 seconds, is a source by a pattern.
    let parts = folder.at("parts/");
    assert!(output(&[&args[..], &["-o", &parts, "--roll-every", "20s", "-q"]].concat()).status.success());
    let mut names: Vec<PathBuf> =
        Path::new(&parts).read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert_eq!(names.len(), 2, "{names:?}");
    let pattern = format!("{parts}*.parquet");
    let again = rows(&["run", "parts.result", "--from", &pattern, "--time", "_time", "--key", "_key"]);
    assert_eq!(again, answer);
    // So is one without rows, beside one that has some.
    for name in ["a.csv", "a.ndjson", "a.parquet"] {
        let none = folder.at(&format!("none/{name}"));
        std::fs::create_dir_all(folder.at("none")).unwrap();
        let nothing =
            ["run", "events.filter(n > 9).n.sum()", "--from", &path, "--time", "ts", "--key", "did", "-q"];
        assert!(output(&[&nothing[..], &["-o", &none]].concat()).status.success());
        std::fs::copy(folder.at("out.csv"), folder.at("none/b.csv")).unwrap();
        let again =
            rows(&["run", "none.result", "--from", &folder.at("none/*"), "--time", "_time", "--key", "_key"]);
        assert_eq!(again, answer, "{name}");
        std::fs::remove_file(&none).unwrap();
    }
}

#[test]
fn patterns_stand_for_files_of_any_kind() {
    let folder = Folder::new();
    std::fs::create_dir(folder.at("p")).unwrap();
    std::fs::write(folder.at("p/part-1"), exported("did:plc:a", 3)).unwrap();
    folder.put("p/b.csv", EVENTS);
    let read = |pattern: &str| {
        rows(&["run", "p.n.sum()", "--from", &folder.at(pattern), "--time", "ts", "--key", "did"])
    };
    assert_eq!(read("p/b*").len(), 3);
    assert_eq!(read("p/?.*").len(), 3);
    std::fs::rename(folder.at("p/part-1"), folder.at("p/a.car")).unwrap();
    assert_eq!(rows(&["run", "posts.count()", "--from", &folder.at("p/a*")]).len(), 3);
    let said = |from: &str, code| {
        fails(&["run", "p.n", "--from", &folder.at(from), "--time", "ts", "--key", "did"], code)
    };
    assert!(said("p/c*", 3).contains("no file has such a name"));
    assert!(said("**/*.csv", 3).contains("only the last part of a path is a pattern"));
    let folder_said = said("p/", 2);
    assert!(
        folder_said.contains("of a folder the exported repositories are read") && folder_said.contains("p/*"),
        "{folder_said}"
    );
}

/// A pipe of the system is opened by whoever reads it, who waits for one that writes.
#[cfg(unix)]
#[test]
fn a_pipe_by_its_name_is_refused_and_not_waited_for() {
    let folder = Folder::new();
    for name in ["p.jsonl", "p.parquet", "p.car", "p"] {
        let pipe = folder.at(name);
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for args in [
            &["run", "p.count()", "--as", "p", "--time", "ts", "--key", "did", "--from", &pipe][..],
            &["check", "posts.count()", "--from", &pipe],
            &["tail", "--from", &pipe],
        ] {
            let said = fails(args, 2);
            assert!(
                said.contains(&format!("{name}: it is a pipe or a device")) && said.contains("--from -"),
                "{said}"
            );
        }
    }
}

#[test]
fn null_and_an_empty_text_are_one_in_csv_and_two_elsewhere() {
    let folder = Folder::new();
    let lines = ["\"\"", "null", "\"a,\\\"\\n b\""];
    let lines = (1..).zip(lines).map(|(at, s)| format!("{{\"t\": {at}, \"k\": \"A\", \"s\": {s}}}\n"));
    let path = folder.put("e.jsonl", &lines.collect::<String>());
    for (name, first) in [("o.csv", json!(null)), ("o.ndjson", json!("")), ("o.parquet", json!(""))] {
        let out = folder.at(name);
        let from = ["--from", &path, "--time", "t", "--key", "k"];
        assert!(output(&[&["run", "e.s", "-q", "-o", &out], &from[..]].concat()).status.success());
        let again = rows(&["run", "o.result", "--from", &out, "--time", "_time", "--key", "_key"]);
        let texts: Vec<Value> = again.iter().map(|row| row["result"].clone()).collect();
        assert_eq!(texts, [first, json!(null), json!("a,\"\n b")], "{name}");
    }
}

#[test]
fn several_files_and_a_network_are_one_query() {
    let folder = Folder::new();
    let (a, b) =
        (folder.put("a.csv", EVENTS), folder.put("b.jsonl", "{\"at\": 15, \"who\": \"A\", \"n\": 100}\n"));
    let of_a = ["--from", &a, "--time", "ts", "--key", "did", "--grouping", "user"];
    let of_b = ["--from", &b, "--time", "at", "--key", "who", "--grouping", "user"];
    let query = ["run", "{ a: a.n.sum(), b: b.n.sum() }"];
    let both = rows(&[&query[..], &of_a, &of_b].concat());
    let values: Vec<_> =
        both.iter().map(|row| (row["_key"].clone(), row["a"].clone(), row["b"].clone())).collect();
    assert_eq!(
        values,
        [
            (json!("B"), json!(2), json!(null)),
            (json!("A"), json!(null), json!(100)),
            (json!("A"), json!(3), json!(100)),
            (json!("A"), json!(4), json!(100)),
        ]
    );
    assert_eq!(rows(&[&query[..], &of_b, &of_a].concat()), both);
    // Two that share what is said of them.
    let c = folder.put("c.csv", EVENTS);
    let shared =
        rows(&["run", "a.n.sum() + c.n.sum()", "--from", &a, "--from", &c, "--time", "ts", "--key", "did"]);
    assert_eq!(shared.last().unwrap()["result"], json!(8));
    // Beside a network: what happened in 1970 is before all of it.
    let sim = ["--from", "sim:accounts=20,rate=0,events=300"];
    let beside = rows(
        &[&["run", "{ a: a.n.sum(), posts: posts.count() }"], &sim[..], &of_a[..6], &["--grouping", "did"]]
            .concat(),
    );
    assert_eq!(beside[0]["a"], json!(2));
    assert!(
        beside.len() > 10 && beside.iter().skip(3).all(|row| row["posts"].as_i64() > Some(0)),
        "{}",
        beside.len()
    );
}

#[test]
fn more_than_the_memory_is_sorted_on_disk() {
    let folder = Folder::new();
    let lines: String = (0..20_000).map(|row| format!("{},A,{row}\n", row * 7919 % 20_000)).collect();
    let path = folder.put("events.csv", &format!("ts,did,n\n{lines}"));
    let args = [
        "run",
        "events.ts.max() - events.ts",
        "--from",
        &path,
        "--time",
        "ts",
        "--key",
        "did",
        "--memory",
        "100KiB",
    ];
    let ran = output(&args);
    assert!(ran.status.success(), "{}", err(&ran));
    let out = String::from_utf8(ran.stdout.clone()).unwrap();
    assert_eq!(out.lines().count(), 20_000);
    // The newest so far is the row's own: they come in order.
    assert!(out.lines().all(|line| line.ends_with("\"result\":0}")));
    assert!(err(&ran).contains("kept on disk while sorting"), "{}", err(&ran));
    // Without room for that it is not the source that is to blame.
    let ran = skytide(&args).env("TMPDIR", folder.at("nowhere")).output().unwrap();
    assert_eq!(ran.status.code(), Some(1), "{}", err(&ran));
    assert!(err(&ran).contains("nowhere") && err(&ran).contains("TMPDIR"), "{}", err(&ran));
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let folder = Folder::new();
    let path = folder.put("events.csv", EVENTS);
    let from = ["run", "events.count()", "--from", &path];
    let with =
        |more: &[&str]| -> Vec<String> { from.iter().chain(more).map(|arg| (*arg).to_owned()).collect() };
    let says = |more: &[&str], code: i32| {
        let args = with(more);
        fails(&args.iter().map(String::as_str).collect::<Vec<_>>(), code)
    };
    let missing = says(&["--key", "did"], 2);
    assert!(
        missing.contains("--time COLUMN is missing") && missing.contains("ts i64, did utf8, n i64"),
        "{missing}"
    );
    let wrong = says(&["--time", "when", "--key", "did"], 3);
    assert!(
        wrong.contains("events.csv") && wrong.contains("\"when\" for the time; there are \"ts\""),
        "{wrong}"
    );
    let twice = says(&["--time", "ts", "--key", "did", "--time", "n"], 2);
    assert!(twice.contains("--time is given twice"), "{twice}");
    let named = says(&["--from", &path, "--as", "m", "--time", "ts", "--key", "did"], 2);
    assert!(named.contains("--as names one source"), "{named}");
    // Beside a network the name is the file's.
    let beside = ["run", "scores.count()", "--from", "sim:events=9", "--from", &path, "--as", "scores"];
    assert_eq!(rows(&[&beside[..], &["--time", "ts", "--key", "did"]].concat()).len(), 3);
    let own = fails(&["run", "{ _time: posts.seq }", "--from", "sim:events=9"], 1);
    assert!(own.contains("a field of the answer is called `_time`"), "{own}");
    let checked = fails(&["check", "{ _time: posts.seq }"], 1);
    assert!(checked.contains("is called `_time`") && checked.contains("^^^^"), "{checked}");
    for held in [".last()", ".lag(0)", ".if_(true)"] {
        let held = fails(&["run", &format!("{{ _time: posts.seq }}{held}"), "--from", "sim:events=9"], 1);
        assert!(held.contains("a field of the answer is called `_time`"), "{held}");
    }
    let tags = ["run", "a=posts.seq", "b={ _query: posts.seq }", "--from", "sim:events=9"];
    assert!(fails(&tags, 1).contains("`_query`"));
    let both = says(&["--from", &path, "--time", "ts", "--key", "did"], 2);
    assert!(both.contains("two sources") && both.contains("--as"), "{both}");
    let clock = fails(&["run", "posts.count()", "--time", "ts"], 2);
    assert!(clock.contains("no such clock") && clock.contains("created_at"), "{clock}");
    let cursor = says(&["--time", "ts", "--key", "did", "--cursor", "oldest"], 2);
    assert!(cursor.contains("--cursor is for networks and recordings"), "{cursor}");
    let key = fails(&["run", "posts.count()", "--key", "did"], 2);
    assert!(key.contains("--key is for files of rows"), "{key}");
    let unknown = says(&["--time", "ts", "--key", "did", "--as", "evnts"], 1);
    assert!(unknown.contains("evnts"), "{unknown}");
    let none =
        fails(&["run", "e.count()", "--from", &folder.at("*.parquet"), "--time", "ts", "--key", "did"], 3);
    assert!(none.contains("no file has such a name"), "{none}");
    let strange = folder.put("events.csv.gz", EVENTS);
    let strange =
        fails(&["run", "e.count()", "--from", &strange, "--as", "e", "--time", "ts", "--key", "did"], 2);
    assert!(
        strange.contains("events.csv.gz: neither the name nor") && strange.contains(".jsonl"),
        "{strange}"
    );
    let empty = folder.put("empty.jsonl", "");
    let empty = fails(&["run", "empty.count()", "--from", &empty, "--time", "ts", "--key", "did"], 3);
    assert!(empty.contains("there are none: it holds nothing"), "{empty}");
    let broken = folder.put("broken.jsonl", "{\"ts\": 1, \"did\": \"a\"}\n\n{\"ts\": 2,\n");
    let broken = fails(&["run", "broken.count()", "--from", &broken, "--time", "ts", "--key", "did"], 3);
    assert!(broken.contains("broken.jsonl, line 3: EOF") && !broken.contains("at line"), "{broken}");
    let recording = folder.put("monday.frames", "");
    let before = fails(&["run", "posts.count()", "--from", &recording, "--from", "sim:events=9"], 2);
    assert!(before.contains("monday.frames") && before.contains("goes on from no recording"), "{before}");
    let then = ["--from", &recording, "--time", "created_at", "--from", "ws://127.0.0.1:1"];
    let said = fails(&[&["run", "posts.count()"][..], &then].concat(), 2);
    assert!(said.contains("monday.frames: what is said of a recording"), "{said}");
    let tail = fails(&["tail", "--from", &path], 2);
    assert!(tail.contains("events.csv holds rows") && tail.contains("skytide run"), "{tail}");
    let pipe = says(&["--time", "ts", "--key", "did", "--format", "parquet"], 2);
    assert!(pipe.contains("-o FILE.parquet"), "{pipe}");
    let roll = says(&["--time", "ts", "--key", "did", "--roll-size", "1MiB"], 2);
    assert!(roll.contains("-o FOLDER/"), "{roll}");
    let target = says(&["--time", "ts", "--key", "did", "-o", &folder.at("no/such.parquet")], 1);
    assert!(target.contains("such.parquet"), "{target}");
    for name in ["x.tsv", "x.csv.gz", "x.parquet.tmp"] {
        let said = says(&["--time", "ts", "--key", "did", "-o", &folder.at(name)], 2);
        assert!(said.contains("nothing is written as the name tells") && said.contains("--format"), "{said}");
    }
    assert!(!folder.names().iter().any(|name| name.starts_with("x.")), "{:?}", folder.names());
    let told = folder.at("x.csv.tmp");
    let told = with(&["--time", "ts", "--key", "did", "--format", "csv", "-o", &told]);
    assert!(output(&told.iter().map(String::as_str).collect::<Vec<_>>()).status.success());
}

#[test]
fn what_a_form_does_not_have_is_null_and_counted() {
    let folder = Folder::new();
    let path = folder.at("e.arrow");
    let times: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let days: ArrayRef = Arc::new(Date32Array::from(vec![i32::MAX, i32::MIN, 0]));
    let at: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![0, i64::MAX, 0]));
    let none: ArrayRef = Arc::new(StructArray::new_empty_fields(3, None));
    let columns = [("t", times), ("day", days), ("at", at), ("none", none)];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut file = FileSink::file(Path::new(&path), FileFormat::Arrow, &batch.schema()).unwrap();
    file.write(&batch).unwrap();
    file.finish().unwrap();
    let from = ["--from", &path, "--time", "t", "--key", "day"];
    let run = |query: &str, more: &[&str]| output(&[&["run", query], &from[..], more].concat());
    let ran = run("e.at", &[]);
    assert!(ran.status.success() && err(&ran).contains("3 rows, 3 misfitting values"), "{}", err(&ran));
    let text = String::from_utf8(ran.stdout).unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let shown = |name: &str| -> Vec<Value> { rows.iter().map(|row| row[name].clone()).collect() };
    assert_eq!(shown("_key"), [json!(null), json!(null), json!("1970-01-01")]);
    assert_eq!(shown("result"), [json!("1970-01-01T00:00:00"), json!(null), json!("1970-01-01T00:00:00")]);
    for more in
        [&["--format", "csv"][..], &["--format", "table"], &["--format", "table", "--results", "snapshot"]]
    {
        let ran = run("e.at", more);
        let lines = String::from_utf8(ran.stdout.clone()).unwrap();
        assert!(ran.status.success() && err(&ran).contains("3 misfitting values"), "{more:?}: {}", err(&ran));
        // Keys that cannot be shown are still two.
        assert_eq!(
            lines.lines().filter(|line| line.contains("1970-01-01T00:00:00.000")).count(),
            3,
            "{lines}"
        );
    }
    let refused = run("{ odd: e.none }", &["-o", &folder.at("none.parquet")]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("cannot write the column \"odd\" as Parquet"), "{}", err(&refused));
    assert_eq!(folder.names(), ["e.arrow"]);
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_grow_on_is_an_error_and_nothing_is_left_of_it() {
    let folder = Folder::new();
    let lines: String = (0..20_000).map(|at| format!("{at},A,{}\n", at * 7919 % 10_007)).collect();
    let path = folder.put("e.csv", &format!("ts,did,n\n{lines}"));
    for name in ["o.parquet", "o.csv"] {
        let out = folder.at(name);
        let args = ["run", "e.n", "--from", &path, "--time", "ts", "--key", "did", "-o", &out];
        // A block is 512 bytes, or 1024.
        let limited = Command::new("sh")
            .args(["-c", "ulimit -f 40; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_skytide")])
            .args(args)
            .output()
            .unwrap();
        let said = err(&limited);
        assert_eq!(limited.status.code(), Some(1), "{name}: {said}");
        assert!(said.contains(&format!("cannot write {out}")) && said.contains("File too large"), "{said}");
    }
    assert_eq!(folder.names(), ["e.csv", "o.csv"]);
}

#[test]
fn a_run_that_fails_leaves_the_whole_file_of_what_was_delivered() {
    let folder = Folder::new();
    // More than is read at once; the last line is no row.
    let lines: String = (0..60_000).map(|row| format!("{row},A,{row}\n")).collect();
    let path = folder.put("events.csv", &format!("ts,did,n\n{lines}broken\n"));
    let out = folder.at("out.parquet");
    let args =
        ["run", "events.n", "--from", &path, "--time", "ts", "--key", "did", "--memory", "1KiB", "-o", &out];
    let said = fails(&args, 3);
    // It is found when times are looked at, before anything is delivered: there is no answer.
    assert!(said.contains("events.csv") && said.contains("60002"), "{said}");
    assert_eq!(folder.names(), ["events.csv"]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_the_whole_file_of_what_was_delivered() {
    let folder = Folder::new();
    let [closed, out, killed] = ["closed.arrow", "out.arrow", "killed.arrow"].map(|name| folder.at(name));
    // A terminal that closes (HUP) ends it as Ctrl-C does.
    for (path, signal) in [(&closed, "-HUP"), (&out, "-INT"), (&killed, "-KILL")] {
        let args = ["run", "likes.count()", "-o", path, "--for", "60s", "--from", "sim:accounts=20,rate=0"];
        let mut child = skytide(&args).stderr(Stdio::piped()).spawn().unwrap();
        // Rows are on their way to it once there is something in the file that will have the name.
        let begun = Instant::now();
        let is_begun = |folder: &Folder| {
            folder.names().iter().any(|name| {
                let file = std::fs::metadata(folder.at(name));
                name.ends_with(".part") && file.is_ok_and(|file| file.len() > 10_000)
            })
        };
        while !is_begun(&folder) && begun.elapsed() < Duration::from_secs(30) {
            std::thread::yield_now();
        }
        assert!(!Path::new(path).exists());
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let mut said = String::new();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        while stderr.read_line(&mut said).unwrap() > 0 {}
        let code = child.wait().unwrap().code();
        if signal != "-KILL" {
            assert_eq!(code, Some(130), "{said}");
            assert!(Path::new(path).exists() && folder.names().iter().all(|name| name.ends_with(".arrow")));
        }
    }
    let delivered = rows(&["run", "out.result", "--from", &out, "--time", "_time", "--key", "_key"]);
    assert!(delivered.len() > 10, "{}", delivered.len());
    assert!(!Path::new(&killed).exists());
    // One that was started to stay, stays: the first signal is ignored, the second ends it.
    let stays = folder.at("stays.arrow");
    let program = format!(
        "trap '' HUP; exec {} run 'likes.count()' -q --for 60s --from sim:rate=0 -o {stays}",
        env!("CARGO_BIN_EXE_skytide")
    );
    let mut child = Command::new("sh").args(["-c", &program]).spawn().unwrap();
    let begun = Instant::now();
    let is_begun = || folder.names().iter().any(|name| name.starts_with(".stays") && name.ends_with(".part"));
    while !is_begun() && begun.elapsed() < Duration::from_secs(30) {
        std::thread::yield_now();
    }
    for signal in ["-HUP", "-TERM"] {
        assert!(child.try_wait().unwrap().is_none(), "{signal}");
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(Path::new(&stays).exists());
}

/// A simulated network of its own process.
struct Served(std::process::Child, String);

impl Served {
    fn start(events: &str) -> Self {
        let mut child = skytide(&[
            "sim",
            "--listen",
            "127.0.0.1:0",
            "--accounts",
            "50",
            "--rate",
            "0",
            "--events",
            events,
        ])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().find(|word| word.starts_with("ws://")).unwrap().to_owned();
        Self(child, url)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn recordings_then_the_socket_are_one_stream_without_a_seam() {
    let folder = Folder::new();
    let (a, b) = (folder.at("a.frames"), folder.at("b.frames.zst"));
    let served = Served::start("3000");
    let url = served.1.as_str();
    // The second begins within the first: what both have is read once.
    for (path, cursor, limit) in [(&a, "oldest", "700"), (&b, "500", "600")] {
        let ran = output(&["record", "--from", url, "--cursor", cursor, "--limit", limit, "-o", path, "-q"]);
        assert!(ran.status.success(), "{}", err(&ran));
    }
    let query = ["run", "posts.count()", "--limit", "300"];
    let live = rows(&[&query[..], &["--from", url, "--cursor", "oldest"]].concat());
    assert_eq!(live.len(), 300);
    let joined = rows(&[&query[..], &["--from", &a, "--from", &b, "--from", url]].concat());
    assert_eq!(joined, live);
    // Recordings alone end where the last one does.
    let ran = output(&["run", "posts.count()", "--from", &a, "--from", &b, "--format", "ndjson"]);
    let said = err(&ran);
    assert!(said.contains("200 recorded before"), "{said}");
    let recorded = rows(&["run", "posts.count()", "--from", &a, "--from", &b]);
    assert!(recorded.len() > 50 && recorded.len() < 300);
    assert_eq!(recorded, live[..recorded.len()]);
}

#[test]
fn an_answer_is_not_written_over_what_is_read() {
    let folder = Folder::new();
    let path = folder.put("events.csv", EVENTS);
    let args = ["run", "events.n.sum()", "--from", &path, "--time", "ts", "--key", "did", "-o", &path];
    let said = fails(&args, 2);
    assert!(said.contains("written over what is read"), "{said}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), EVENTS);
}

/// An export of a repository with so many posts.
fn exported(did: &str, posts: u64) -> Vec<u8> {
    use skytide_atproto::{car, cid::Cid, mst::Tree, repo::Commit, syntax::Tid};

    let tid = |at: u64| Tid::from_micros(1_750_000_000_000_000 + at, 0).unwrap();
    let record = b"\xa1\x64text\x61x".to_vec();
    let cid = Cid::for_dag_cbor(&record);
    let paths = (0..posts).map(|at| (format!("app.bsky.feed.post/{}", tid(at)), cid));
    let tree = Tree::from_entries(paths).unwrap();
    let commit =
        Commit { did: did.parse().unwrap(), data: tree.root(), rev: tid(posts), prev: None, sig: [0; 64] };
    let commit = commit.to_bytes();
    let root = Cid::for_dag_cbor(&commit);
    car::write(&[root], tree.blocks().into_iter().chain([(root, commit), (cid, record)]))
}

#[test]
fn exported_repositories_are_one_source() {
    let folder = Folder::new();
    let (a, b) = (folder.at("a.car"), folder.at("b.car"));
    std::fs::write(&a, exported("did:plc:a", 3)).unwrap();
    std::fs::write(&b, exported("did:plc:b", 2)).unwrap();
    let (all, pattern) = (folder.at(""), folder.at("*.car"));
    let count = ["run", "posts.count()", "--results", "snapshot"];
    let counts = |from: &[&str]| -> Vec<(String, Value)> {
        rows(&[&count, from].concat())
            .into_iter()
            .map(|row| (row["_key"].as_str().unwrap().to_owned(), row["result"].clone()))
            .collect()
    };
    let both = [("did:plc:a".to_owned(), json!(3)), ("did:plc:b".to_owned(), json!(2))];
    for from in [&["--from", &a, "--from", &b][..], &["--from", &all], &["--from", &pattern]] {
        assert_eq!(counts(from), both, "{from:?}");
    }
    assert_eq!(counts(&["--from", &b]), both[1..]);
    assert_eq!(counts(&["--from", &a, "--from", &a]), both[..1]);
    let clock = fails(&["run", "posts.count()", "--from", &a, "--time", "rev"], 1);
    assert!(clock.contains("no time by rev") && clock.contains("created_at"), "{clock}");
    assert!(fails(&["tail", "--from", &a], 1).contains("records, not frames"));
    let twice = fails(&["run", "posts.count()", "--from", &a, "--from", "sim:events=1"], 2);
    assert!(twice.contains("posts"), "{twice}");
}

#[test]
fn an_answer_is_cut_by_time() {
    let folder = Folder::new();
    let day = folder.put(
        "day.csv",
        "ts,did,n\n2026-07-04T01:00:00Z,A,1\n2026-07-04T02:00:00Z,B,2\n2026-07-04T03:00:00Z,A,4\n2026-07-05T00:00:00Z,B,8\n",
    );
    let ran = |more: &[&str]| {
        let args =
            [&["run", "day.n.sum()", "--from", &day, "--time", "ts", "--key", "did"][..], more].concat();
        rows(&args).iter().map(|row| row["result"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ran(&["--since", "2026-07-04T02:00:00Z", "--until", "2026-07-04T05:00:00+02:00"]), [2, 5]);
    assert_eq!(ran(&["--since", "2026-07-05"]), [10]);
    assert_eq!(ran(&["--results", "snapshot"]), [5, 10]);
    assert_eq!(ran(&["--at", "2026-07-04T02:30:00"]), [1, 2]);
    assert_eq!(ran(&["--results", "snapshot", "--changed-since", "2026-07-04T12:00:00Z"]), [10]);
    let fails = |more: &[&str]| {
        fails(&[&["run", "day.n", "--from", &day, "--time", "ts", "--key", "did"][..], more].concat(), 2)
    };
    assert!(fails(&["--since", "soon"]).contains("\"soon\" is no time, as 2026-07-04T12:00:00Z"));
    let beyond = fails(&["--until", "9999-12-31"]);
    assert!(
        beyond.contains("is beyond the times that 64 bits of nanoseconds hold, 1677 to 2262"),
        "{beyond}"
    );
    let zone = fails(&["--until", "2026-07-04T05:00:00[Europe/Berlin]"]);
    assert!(zone.contains("a zone in brackets, which is not read: write its offset, as +02:00"), "{zone}");
    let never = fails(&["--changed-since", "2026-07-05", "--at", "2026-07-04"]);
    assert!(never.contains("--changed-since is after --at"), "{never}");
    assert!(fails(&["--since", "2026-07-04", "--at", "2026-07-04"]).contains("cannot be used with"));
    let snapshot = fails(&["--results", "snapshot", "--until", "2026-07-04"]);
    assert!(snapshot.contains("--since and --until are of --results history"), "{snapshot}");
    assert!(fails(&["--results", "history", "--at", "2026-07-04"]).contains("are of --results snapshot"));
}

#[test]
fn a_moment_with_a_zone_in_brackets_is_none() {
    let folder = Folder::new();
    let zoned = "2026-07-04T01:00:00[Europe/Berlin]";
    let text = format!("t,k,d\n2026-07-04,A,{zoned}\n{zoned},A,2026-07-04\n2026-07-05,A,2026-07-04\n");
    let csv = folder.put("m.csv", &text);
    let at = |column: &str| ["--from", &csv, "--time", column, "--key", "k"].map(str::to_owned);
    let times: Vec<_> = at("t").into_iter().collect();
    let times: Vec<&str> = times.iter().map(String::as_str).collect();
    let ran = output(&[&["run", "m.d.cast(\"timestamp\")", "--format", "ndjson"][..], &times].concat());
    let (rows, said) = (String::from_utf8_lossy(&ran.stdout).into_owned(), err(&ran));
    assert_eq!(rows.lines().count(), 2, "{rows}");
    assert!(rows.contains("\"result\":null") && !rows.contains("2026-07-04T01:00"), "{rows}");
    assert!(said.contains("1 without a time"), "{said}");
    let query = format!("m.shift_to(\"{zoned}\")");
    let refused = fails(&[&["check", &query][..], &times].concat(), 1);
    assert!(refused.contains("write its offset, as +02:00"), "{refused}");
}

#[test]
fn columns_of_an_answer_that_is_read_again_are_left_out_of_its_points_alone() {
    let folder = Folder::new();
    let line =
        "{\"_time\":\"2026-07-04T00:00:00Z\",\"_key\":\"A\",\"n\":1,\"r\":{\"_key\":\"inner\",\"v\":1}}\n";
    let late = folder.put("late.ndjson", line);
    let from = ["--from", &late, "--time", "_time", "--key", "_key", "--format", "ndjson"];
    for query in ["late", "late.last()", "late.if_(n == 1)", "late.filter(n == 1).lag(0)"] {
        let row = rows(&[&["run", query][..], &from].concat()).remove(0);
        assert_eq!(row.as_object().unwrap().len(), 4, "{query}: {row}");
    }
    for query in ["late.r", "late.r.last()", "{ _key: late.n }.last()"] {
        let own = fails(&[&["run", query][..], &from].concat(), 1);
        assert!(own.contains("a field of the answer is called `_key`"), "{query}: {own}");
    }
    // What was the time or the key, and is not that of the points, does not vanish.
    let by_number = ["--from", &late, "--time", "_time", "--key", "n", "--format", "ndjson"];
    let by_none = ["--from", &late, "--time", "n", "--key", "_key", "--format", "ndjson"];
    for (query, from, column) in [
        ("late", by_number, "_key"),
        ("late.last()", by_number, "_key"),
        ("late.with_key(n)", from, "_key"),
        ("late.filter(n == 1)", by_none, "_time"),
        ("late.shift_by(\"1s\")", from, "_time"),
        // What an aggregation gives may be of a point before.
        ("late.first()", from, "_time"),
        ("late.lag(1)", from, "_time"),
        ("late.if_(n == 1).last()", from, "_time"),
        ("late.last(window=since(n == 1))", from, "_time"),
        ("late.last(window=tumbling(n == 1))", from, "_time"),
        ("late.if_(n == 1).else_(late.first())", from, "_time"),
    ] {
        let own = fails(&[&["run", query][..], &from].concat(), 1);
        assert!(own.contains(&format!("a field of the answer is called `{column}`")), "{query}: {own}");
        // A record that is made has neither as its own.
        let without = format!("({query}).remove(\"_time\", \"_key\")");
        assert_eq!(rows(&[&["run", &without][..], &from].concat()).len(), 1, "{without}");
    }
}

#[test]
fn a_stream_by_a_name_in_quotes_is_told_what_it_takes() {
    let unknown = fails(&["check", "source(\"post\")"], 1);
    assert!(unknown.contains("no source is called `post`") && unknown.contains("`posts`"), "{unknown}");
    for query in ["records(5)", "records()", "records(\"a.b.c\", 1)"] {
        let said = fails(&["check", query], 1);
        assert!(said.contains("`records` takes one text in quotes, as `records(\"…\")`"), "{said}");
    }
    assert!(fails(&["check", "source(posts)"], 1).contains("`source` takes one text in quotes"));
}

#[test]
fn times_that_are_read_as_no_one_means_are_told() {
    let folder = Folder::new();
    let seconds = folder.put("seconds.csv", "at,id\n1767225600,a\n1767225601,b\n");
    let said = |more: &[&str]| {
        let ran = output(&[&["run", "m.count()", "--as", "m", "--time", "at", "--key", "id"], more].concat());
        assert!(ran.status.success(), "{}", err(&ran));
        err(&ran)
    };
    let doubt = "the newest time is 1970-01-01T00:00:01.767225601Z, since numbers are nanoseconds unless --time-unit \
                 says otherwise: is it --time-unit s?";
    assert!(said(&["--from", &seconds]).contains(doubt), "{}", said(&["--from", &seconds]));
    for more in [&["--from", &seconds, "--time-unit", "s"][..], &["--from", &seconds, "-q"]] {
        assert!(!said(more).contains("1970"), "{more:?}");
    }
    let small = folder.put("small.csv", "at,id\n1,a\n2000,b\n");
    assert!(!said(&["--from", &small]).contains("1970"));
    let american = folder.put("american.csv", "at,id\n01/02/2026,a\n01/03/2026,b\n");
    let told = said(&["--from", &american]);
    assert!(told.contains("2 without a time (the first: \"01/02/2026\")"), "{told}");
}
