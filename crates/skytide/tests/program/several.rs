//! Several queries of one run.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use crate::common::{err, lines, out, output};

#[test]
fn several_queries_share_a_connection_and_each_has_its_own_answer() {
    let network = skytide_sim::Network::new(skytide_sim::Config { accounts: 30, ..Default::default() });
    let frames: Vec<_> = network.take(1200).map(|frame| frame.bytes).collect();
    let relay = skytide_sim::Relay::from_frames(frames, skytide_sim::Pacing::AsRead);
    let relay = relay.window(1200).start("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let queries = ["posts.with_key(record.langs[0]).count()", "likes.count()", "follows.rkey"];
    let (url, files) = (relay.url(), ["a.ndjson", "b.csv", "c.ndjson"].map(at));
    let common = ["--from", &url, "--limit", "40", "-q"];
    let outputs = ["-o", &files[0], "-o", &files[1], "--to", &files[2]];
    let ran = output(&[&["run"], &queries[..], &common[..], &outputs[..]].concat());
    assert!(ran.status.success() && ran.stdout.is_empty(), "{}", err(&ran));
    assert_eq!(relay.counters().connections, 1);

    // The same rows as each alone, and on one stdout with the queries' names.
    let (named, cursor) = (format!("langs={}", queries[0]), ["--cursor", "oldest"]);
    let tagged = output(&[&["run", &named], &queries[1..], &common[..], &cursor[..]].concat());
    let tagged = lines(&tagged);
    assert_eq!(relay.counters().connections, 2);
    for ((query, file), name) in queries.iter().zip(&files).zip(["langs", "2", "3"]) {
        let format = ["--format", if file.ends_with(".csv") { "csv" } else { "ndjson" }];
        let alone = output(&[&["run", query], &common[..], &cursor[..], &format[..]].concat());
        assert_eq!(out(&alone), std::fs::read_to_string(file).unwrap(), "{query}");
        let alone = lines(&output(&[&["run", query], &common[..], &cursor[..]].concat()));
        let of_it = tagged.iter().filter(|row| row["_query"] == *name).cloned().map(|mut row| {
            row.as_object_mut().unwrap().shift_remove("_query");
            row
        });
        assert_eq!(of_it.collect::<Vec<_>>(), alone, "{query}");
        assert_eq!(alone.len(), 40);
    }
    assert_eq!(tagged.len(), 120);
}

#[test]
fn several_queries_are_told_apart_before_anything_runs() {
    let (a, b) = ("posts.count()", "likes.count()");
    let cases: [(&[&str], i32, &[&str]); 6] = [
        (&[a, b, "-o", "a.ndjson"], 2, &["2 queries", "-o once for each"]),
        (&[a, b, "-o", "a.ndjson", "-o", "a.ndjson"], 2, &["a.ndjson", "over each other"]),
        (&[a, b, "-o", "a.ndjson", "-o", "./a.ndjson"], 2, &["a.ndjson", "over each other"]),
        (&["x=posts.count()", "x=likes.count()"], 2, &["two queries", "`x`"]),
        (&[a, b, "--format", "csv"], 2, &["JSON lines", "-o of its own"]),
        (&[a, "likes.cuont()"], 1, &["cuont", "count"]),
    ];
    for (args, code, parts) in cases {
        let ran = output(&[&["run"], args].concat());
        assert_eq!(ran.status.code(), Some(code), "{args:?}: {}", err(&ran));
        assert!(ran.stdout.is_empty() && parts.iter().all(|part| err(&ran).contains(part)), "{}", err(&ran));
    }
    // What all of them fail with is said once.
    let ran = output(&["run", a, b, "--from", "ws://127.0.0.1:1"]);
    assert_eq!(ran.status.code(), Some(3), "{}", err(&ran));
    assert!(err(&ran).matches("127.0.0.1:1").count() == 1 && err(&ran).contains("2 of 2 queries"));
}

#[test]
fn some_answers_are_rolled_beside_others() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (parts, lines) = (at("parts/"), at("rows.ndjson"));
    let args = ["run", "posts", "likes", "follows", "--from", "sim:accounts=20,rate=0,events=500", "-q"];
    for every in ["1s", "1d"] {
        let ran =
            output(&[&args[..], &["-o", &parts, "-o", &lines, "-o", "-", "--roll-every", every]].concat());
        assert!(ran.status.success() && !ran.stdout.is_empty(), "{}", err(&ran));
        assert!(std::fs::read_to_string(&lines).unwrap().lines().count() > 50);
        let files = std::fs::read_dir(&parts).unwrap().count();
        assert!(files > 1, "{files}");
    }
}

#[test]
fn lines_of_queries_that_share_stdout_stay_whole() {
    let folder = tempfile::tempdir().unwrap();
    let rows = folder.path().join("rows.csv");
    let mut text = String::from("ts,id,x\n");
    (0..9000).for_each(|row| text.push_str(&format!("{row},k{},{row}\n", row % 7)));
    std::fs::write(&rows, text).unwrap();
    let queries: Vec<_> = (1..=8).map(|query| format!("q{query}=rows.x.shift_by(\"{query}s\")")).collect();
    let mut args = vec!["run", "--from", rows.to_str().unwrap(), "--time", "ts", "--key", "id", "-q"];
    args.extend(queries.iter().map(String::as_str));
    let ran = output(&args);
    assert!(ran.status.success(), "{}", err(&ran));
    // A line that is cut is no JSON.
    assert_eq!(lines(&ran).len(), 8 * 9000);
}

#[test]
fn what_was_done_before_all_of_them_failed_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let path = at("day.frames");
    assert!(output(&["record", "--from", "sim:accounts=20,rate=0,events=500", "-o", &path]).status.success());
    // What follows is no frame.
    let mut damaged = std::fs::read(&path).unwrap();
    damaged.extend([0xff; 8]);
    std::fs::write(&path, damaged).unwrap();
    let files = ["a.ndjson", "b.ndjson"].map(at);
    let ran = output(&["run", "posts.seq", "likes.seq", "--from", &path, "-o", &files[0], "-o", &files[1]]);
    assert_eq!(ran.status.code(), Some(3), "{}", err(&ran));
    let rows: usize = files.iter().map(|file| std::fs::read_to_string(file).unwrap().lines().count()).sum();
    let said = err(&ran);
    assert!(
        rows > 100 && said.contains("500 events in ") && said.contains(&format!(" s, {rows} rows")),
        "{said}"
    );
}
