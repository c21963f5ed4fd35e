//! Late points through the program, by each policy; and what a run says that it holds.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::process::Output;

use serde_json::Value;

use crate::common::{err, out, output};

const QUERY: &str = "likes.filter(seq > 0).record.createdAt";

/// A folder with a recording of the simulated network, whose authors claim times in any order.
fn recorded() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.frames").to_str().unwrap().to_owned();
    let made = output(&["record", "--from", "sim:accounts=50,rate=0,events=1500", "-o", &path]);
    assert!(made.status.success(), "{}", err(&made));
    (folder, path)
}

/// The number before a reason in the last line of a run.
fn counted(ran: &Output, reason: &str) -> usize {
    let said = err(ran);
    let before = said.split(reason).next().filter(|before| before.len() < said.len());
    let before = before.expect("it is in the last line");
    before.rsplit(", ").next().unwrap().trim().replace(',', "").parse().unwrap()
}

#[test]
fn late_points_are_dropped_or_kept_or_stop_the_source() {
    let (folder, path) = recorded();
    let args =
        ["run", QUERY, "--from", &path, "--time", "created_at", "--mode", "live", "--format", "ndjson"];
    let run = |more: &[&str]| output(&[&args[..], more].concat());

    let dropped = run(&["--late", "drop"]);
    assert!(dropped.status.success(), "{}", err(&dropped));
    let late = counted(&dropped, " late");
    assert!(late > 100 && out(&dropped).lines().count() > 5, "{}", err(&dropped));
    assert_eq!(out(&run(&[])), out(&dropped), "that is the default");

    let side = folder.path().join("late.ndjson").to_str().unwrap().to_owned();
    let kept = run(&["--late", &format!("side={side}")]);
    assert!(kept.status.success(), "{}", err(&kept));
    assert_eq!(out(&kept), out(&dropped));
    assert_eq!(counted(&kept, " late to the side"), late);
    let lines = std::fs::read_to_string(&side).unwrap();
    let points: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(points.len(), late);
    for point in &points {
        let moment = |field: &str| point[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        assert!(moment("_time") < moment("_watermark"), "{point}");
        assert_eq!((&point["_stream"], &point["_key"]), (&Value::from("likes"), &point["did"]));
        assert!(point["record"]["subject"]["uri"].as_str().unwrap().starts_with("at://"), "{point}");
    }
    // It is a stream like any other.
    let again = output(&[
        "run",
        "late.count()",
        "--from",
        &side,
        "--time",
        "_time",
        "--key",
        "_key",
        "--results",
        "snapshot",
    ]);
    let counts = out(&again);
    let counts =
        counts.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["result"].as_u64().unwrap());
    assert_eq!(counts.sum::<u64>(), late as u64, "{}", err(&again));

    let stopped = run(&["--late", "error"]);
    assert_eq!(stopped.status.code(), Some(1), "{}", err(&stopped));
    let (before, all) = (out(&stopped), out(&dropped));
    assert!(!before.is_empty() && before.len() < all.len() && all.starts_with(&before), "{before}");
    let said = err(&stopped);
    assert!(said.contains(&format!("skytide: `likes` of {path} has a late point: it is of ")), "{said}");
    assert!(said.contains("hint: as in --lateness 10s, --late drop or --late side=FILE"), "{said}");

    // Who waits long enough has none.
    let patient = run(&["--late", "error", "--lateness", "500000h"]);
    assert!(patient.status.success(), "{}", err(&patient));
}

#[test]
fn each_source_has_its_own_policy() {
    let (folder, path) = recorded();
    let scores = folder.path().join("scores.csv").to_str().unwrap().to_owned();
    // Out of order, which a file may be: its rows are never late.
    std::fs::write(&scores, "ts,did,value\n2026-01-01T00:00:09Z,a,1\n2026-01-01T00:00:01Z,a,2\n").unwrap();
    let query = "{ likes: likes.record.createdAt, score: scores.value }";
    let network = ["--from", &path, "--time", "created_at"];
    let file = ["--from", &scores, "--time", "ts", "--key", "did"];
    let run = |words: &[&[&str]]| output(&[&["run", query], &words.concat()[..]].concat());
    let side = folder.path().join("late.ndjson").to_str().unwrap().to_owned();
    let keeps = format!("side={side}");
    for mode in ["live", "once"] {
        let rest = ["--mode", mode];
        let dropped = run(&[&network, &["--late", "drop"], &file, &rest]);
        assert!(
            dropped.status.success() && out(&dropped).matches("\"score\":2").count() == 1,
            "{}",
            err(&dropped)
        );
        // Said of all, of one, and of one otherwise than of all.
        let default = run(&[&["--late", "drop"], &network, &file, &rest]);
        let own = run(&[&["--late", "error"], &network, &["--late", "drop"], &file, &rest]);
        let kept = run(&[&file, &network, &["--late", &keeps], &rest]);
        for same in [&default, &own, &kept] {
            assert_eq!(out(same), out(&dropped), "{}", err(same));
        }
        let points = std::fs::read_to_string(&side).unwrap().lines().count();
        let stopped = run(&[&["--late", "drop"], &network, &["--late", "error"], &file, &rest]);
        if mode == "live" {
            assert!(points > 100 && counted(&kept, " late to the side") == points);
            assert_eq!(stopped.status.code(), Some(1));
        } else {
            assert_eq!((points, out(&stopped)), (0, out(&dropped)), "nothing is late over what is there");
        }
    }
    let forgotten = run(&[&network, &file, &["--late", "error"]]);
    assert_eq!(forgotten.status.code(), Some(2));
    assert!(err(&forgotten).contains("follow the --from of a network"), "{}", err(&forgotten));
}

#[test]
fn what_becomes_of_late_points_is_checked_before_anything_runs() {
    let (folder, path) = recorded();
    let output_file = folder.path().join("out.ndjson").to_str().unwrap().to_owned();
    let refused = |more: &[&str], code: i32| {
        let ran = output(&[&["run", QUERY, "--from", &path, "-o", &output_file][..], more].concat());
        assert_eq!(ran.status.code(), Some(code), "{more:?}: {}", err(&ran));
        err(&ran)
    };
    assert!(refused(&["--late", "keep"], 2).contains("drop, side=FILE or error"));
    assert!(refused(&["--late", "side="], 2).contains("drop, side=FILE or error"));
    let both = refused(&["--late", &format!("side={output_file}")], 2);
    assert!(both.contains("written over each other"), "{both}");
    let input = refused(&["--late", &format!("side={path}")], 2);
    assert!(input.contains("late points would be written over what is read"), "{input}");
    let nowhere = refused(&["--late", &format!("side={}/none/late.ndjson", folder.path().display())], 1);
    assert!(nowhere.contains("late.ndjson: "), "{nowhere}");
    assert!(std::fs::metadata(&path).unwrap().len() > 0, "what is read is still there");
}

#[test]
fn stats_are_the_plan_with_what_each_part_did_and_holds() {
    let (_folder, path) = recorded();
    let query = "posts.with_key(record.langs[0]).count()";
    let plain = output(&["explain", query]);
    let ran = output(&["run", query, "--from", &path, "--stats", "--results", "snapshot", "--workers", "2"]);
    assert!(ran.status.success(), "{}", err(&ran));
    let said = err(&ran);
    let (_, plan) = said.split_once("scan 0").expect("the plan");
    let counted = plan.lines().find(|line| line.contains("count of")).expect("the aggregation");
    let figures = counted.split("  [").nth(1).unwrap();
    assert!(figures.contains(" keys, ") && figures.ends_with("B]"), "{counted}");
    let keys = out(&ran).lines().count();
    assert!(figures.starts_with(&format!("{keys} keys")), "{counted} of {keys} keys");
    // Every line of the plan is there.
    for line in out(&plain).lines().filter(|line| !line.starts_with("answer")) {
        assert!(said.lines().any(|said| said.split("  [").next() == Some(line)), "{line:?} is not in {said}");
    }
    assert!(!err(&output(&["run", query, "--from", &path])).contains("scan 0"));
}
