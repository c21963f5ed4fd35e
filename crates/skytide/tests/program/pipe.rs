//! Rows through standard input.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Running, err, out, skytide};

/// Runs to the end with these bytes in the pipe.
fn piped(args: &[&str], bytes: &[u8]) -> Output {
    let mut run = skytide(args);
    let mut child = run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that refuses does not read.
    let _ = child.stdin.take().unwrap().write_all(bytes);
    child.wait_with_output().unwrap()
}

const ROWS: &str = "{\"ts\": 1, \"did\": \"A\", \"n\": 5}\n{\"ts\": 2, \"did\": \"B\", \"n\": 7}\n";
const ROLES: [&str; 6] = ["--from", "-", "--time", "ts", "--key", "did"];

#[test]
fn rows_are_answered_as_they_come() {
    let args = [&["run", "x.n.sum()", "--as", "x", "-q"], &ROLES[..]].concat();
    let mut running = Running(skytide(&args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    let mut stdin = running.0.stdin.take().unwrap();
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    for (at, sum) in [(1, 5), (2, 10), (3, 15)] {
        stdin.write_all(format!("{{\"ts\": {at}, \"did\": \"A\", \"n\": 5}}\n").as_bytes()).unwrap();
        stdin.flush().unwrap();
        // The pipe is open: the row is out all the same.
        let line = lines.next().unwrap().unwrap();
        assert!(line.ends_with(&format!("\"result\":{sum}}}")), "{line}");
    }
    drop(stdin);
    assert!(lines.next().is_none());
    assert!(running.0.wait().unwrap().success());
}

#[test]
fn an_answer_is_asked_again_through_a_pipe() {
    let first =
        piped(&[&["run", "stdin.n", "--format", "arrow", "-q"], &ROLES[..]].concat(), ROWS.as_bytes());
    assert!(first.status.success(), "{}", err(&first));
    let again = [
        "run",
        "sums=stdin.result.sum()",
        "n=stdin.count()",
        "-q",
        "--from",
        "-",
        "--time",
        "_time",
        "--key",
        "_key",
    ];
    let again = piped(&again, &first.stdout);
    assert!(again.status.success(), "{}", err(&again));
    let mut lines: Vec<String> = out(&again).lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].contains("\"_query\":\"n\"") && lines[3].ends_with("\"result\":7}"), "{lines:?}");
}

#[test]
fn late_rows_are_counted_unless_they_are_waited_for() {
    let disorder = format!("{ROWS}{{\"ts\": 1, \"did\": \"C\", \"n\": 1}}\n");
    let run = |more: &[&str]| piped(&[&["run", "stdin.n"], &ROLES[..], more].concat(), disorder.as_bytes());
    let dropped = run(&[]);
    assert!(err(&dropped).contains("1 late") && out(&dropped).lines().count() == 2, "{}", err(&dropped));
    let waited = run(&["--lateness", "1s"]);
    assert!(!err(&waited).contains("late") && out(&waited).lines().count() == 3, "{}", err(&waited));
}

#[test]
fn what_cannot_be_of_a_pipe_is_said() {
    let refused = |args: &[&str], bytes: &[u8], code: i32| {
        let ran = piped(args, bytes);
        assert_eq!(ran.status.code(), Some(code), "{args:?}: {}", err(&ran));
        assert!(ran.stdout.is_empty());
        err(&ran)
    };
    let rows = ROWS.as_bytes();
    let run = |more: &[&'static str]| [&["run", "stdin.n"], &ROLES[..], more].concat();
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("saved").to_str().unwrap().to_owned();
    let answer = folder.path().join("n.ndjson").to_str().unwrap().to_owned();
    let resumed = [&run(&[])[..], &["--resume", &saved, "-o", &answer]].concat();
    assert!(refused(&resumed, rows, 2).contains("not there a second time"));
    assert!(refused(&run(&["--mode", "once"]), rows, 2).contains("as they come"));
    assert!(refused(&run(&["--from", "-"]), rows, 2).contains("given twice"));
    assert!(
        refused(&["run", "stdin.n", "--from", "-", "--key", "did"], rows, 2).contains("there are ts i64")
    );
    assert!(refused(&["tail", "--from", "-"], rows, 2).contains("this command reads frames"));
    assert!(refused(&run(&[]), b"", 3).contains("standard input is empty"));
    let frames = skytide(&["record", "--from", "sim:events=9,rate=0", "-q", "-o", &saved]).status().unwrap();
    assert!(frames.success());
    assert!(refused(&run(&[]), &std::fs::read(saved).unwrap(), 3).contains("a recording"));
}

/// As by `< FILE`.
#[cfg(unix)]
#[test]
fn an_answer_is_not_written_over_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("in.jsonl"), folder.path().join("link.jsonl"));
    std::fs::write(&path, ROWS).unwrap();
    std::fs::hard_link(&path, &other).unwrap();
    for file in [&path, &other] {
        let file = file.to_str().unwrap();
        let late = format!("side={file}");
        for flags in [["-o", file], ["--late", &late]] {
            let args = [&["run", "stdin.n"], &ROLES[..], &flags].concat();
            let ran = skytide(&args).stdin(std::fs::File::open(&path).unwrap()).output().unwrap();
            let said = err(&ran);
            assert!(ran.status.code() == Some(2) && said.contains("over what is read"), "{args:?}: {said}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), ROWS);
        }
    }
    let output = folder.path().join("out.ndjson");
    let args = [&["run", "stdin.n", "-q", "-o", output.to_str().unwrap()], &ROLES[..]].concat();
    assert!(skytide(&args).stdin(std::fs::File::open(&path).unwrap()).status().unwrap().success());
}

#[test]
fn what_is_wrong_is_said_before_a_pipe_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let [saved, answer, missing] = ["saved", "n.ndjson", "missing.csv"]
        .map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    let all: [(&str, &[&str], i32, &str); 8] = [
        ("stdin.n +", &[], 1, "stdin.n +"),
        ("stdin.n", &["--mode", "once"], 2, "as they come"),
        ("stdin.n", &["--resume", &saved, "-o", &answer], 2, "not there a second time"),
        ("stdin.n", &["--from", "-"], 2, "given twice"),
        ("stdin.n", &["--from", &missing], 3, "missing.csv"),
        ("stdin.n", &["--format", "parquet"], 2, "Parquet goes to a file"),
        ("stdin.n", &["--since", "2026-07-04", "--results", "snapshot"], 2, "--since and --until"),
        ("stdin.n", &["--for", "100ms"], 3, "what came in 100ms"),
    ];
    for (query, more, code, says) in all {
        let args = [&["run", query], &ROLES[..], more].concat();
        let mut running =
            Running(skytide(&args).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        // The pipe is open, and nothing comes.
        let pipe = running.0.stdin.take().unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        let status = loop {
            if let Some(status) = running.0.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "{args:?} waits");
            std::thread::sleep(Duration::from_millis(5));
        };
        let mut said = String::new();
        running.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(status.code() == Some(code) && said.contains(says), "{args:?}: {status}: {said}");
        drop(pipe);
    }
}
