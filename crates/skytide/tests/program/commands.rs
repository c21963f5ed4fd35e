//! The program as a user meets it: in a pipe, interrupted, starved, pointed at nonsense.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Running, answering, err, lines, out, output, serve, skytide};

const MAIN: &str = "posts.with_key(record.langs[0]).count()";

/// A recording of the simulated network.
fn recording(folder: &tempfile::TempDir, events: u32, name: &str) -> String {
    let path = folder.path().join(name).to_str().expect("a UTF-8 path").to_owned();
    let from = format!("sim:accounts=50,rate=0,events={events}");
    let made = output(&["record", "--from", &from, "-o", &path]);
    assert!(made.status.success(), "{}", err(&made));
    path
}

#[test]
fn the_main_job_on_the_simulated_network() {
    let ran = output(&["run", MAIN, "--from", "sim:accounts=50,rate=0,events=2000"]);
    assert!(ran.status.success(), "{}", err(&ran));
    let rows: Vec<serde_json::Value> =
        out(&ran).lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    assert!(rows.len() > 100, "about an eighth of 2000 events are posts, not {}", rows.len());
    assert!(rows.iter().all(|row| row["result"].as_i64() > Some(0) && row["_time"].is_string()));
    assert!(err(&ran).contains("2,000 events"), "{}", err(&ran));
}

#[test]
fn a_recording_answers_as_the_network_did_in_every_way() {
    let folder = tempfile::tempdir().unwrap();
    let live = output(&["run", MAIN, "--from", "sim:accounts=50,rate=0,events=1500", "-q"]);
    for name in ["a.frames", "a.frames.zst"] {
        let path = recording(&folder, 1500, name);
        for ways in [&["--workers", "1"], &["--workers", "3"], &["--mode", "live"]] {
            let mut args = vec!["run", MAIN, "--from", &path, "-q"];
            args.extend(ways.iter());
            let ran = output(&args);
            assert!(ran.status.success(), "{}", err(&ran));
            assert_eq!(out(&ran), out(&live), "{name} {ways:?}");
        }
    }
    assert!(!live.stdout.is_empty());
}

#[test]
fn points_whose_time_has_not_come_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = recording(&folder, 1500, "a.frames");
    let run = |query: &str, mode: &str| output(&["run", query, "--from", &path, "--mode", mode]);
    let posts = out(&run("posts.count()", "live")).lines().count();
    let moved = run("posts.shift_by(\"1h\").count()", "live");
    assert_eq!((out(&moved).lines().count(), posts > 100), (0, true));
    assert!(err(&moved).contains(&format!("0 rows, {posts} not due yet")), "{}", err(&moved));
    // Over what is there all of them come; what waits for a condition waits for no time.
    for (query, mode) in
        [("posts.shift_by(\"1h\").count()", "once"), ("posts.shift_until(false).count()", "live")]
    {
        assert!(!err(&run(query, mode)).contains("not due"), "{query}");
    }
}

#[test]
fn snapshots_and_formats() {
    let folder = tempfile::tempdir().unwrap();
    let path = recording(&folder, 1500, "b.frames.zst");
    let run = |more: &[&str]| {
        let mut args = vec!["run", MAIN, "--from", &path, "--results", "snapshot", "-q"];
        args.extend(more);
        output(&args)
    };
    let json = out(&run(&["--format", "ndjson"]));
    let keys: Vec<serde_json::Value> = json
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["_key"].clone())
        .collect();
    assert!(
        keys.len() > 3 && keys[0].is_null(),
        "posts without a language are a key of their own, first: {json}"
    );
    let csv = out(&run(&["--format", "csv"]));
    assert!(csv.starts_with("_time,_key,result\n"), "{csv}");
    assert_eq!(csv.lines().count(), keys.len() + 1);
    let table = out(&run(&["--format", "table"]));
    assert!(table.contains("_key") && table.contains("en") && !table.contains('\u{1b}'), "{table}");
    let arrow = run(&["--format", "arrow"]);
    assert!(arrow.stdout.starts_with(&[0xff; 4]) && arrow.status.success());
    let file = folder.path().join("rows.ndjson");
    let ran = run(&["-o", file.to_str().unwrap()]);
    assert!(ran.stdout.is_empty() && std::fs::read_to_string(file).unwrap() == json);
    let limited = run(&["--limit", "2"]);
    assert_eq!(out(&limited).lines().count(), 2);

    // Keys of which some are the same to the eye.
    let file = folder.path().join("keys.ndjson");
    let keys = [r#"[]"#, r#"[""]"#, r#"["x","y"]"#, r#"["x, y"]"#, r#"[null]"#, r#"["null"]"#];
    let rows = keys.iter().enumerate().map(|(at, key)| format!("{{\"ts\":{at},\"k\":{key}}}\n"));
    std::fs::write(&file, rows.collect::<String>()).unwrap();
    let args = ["run", "keys.count()", "--from", file.to_str().unwrap(), "--time", "ts", "--key", "k"];
    let table = output(&[&args[..], &["--results", "snapshot", "--format", "table", "-q"]].concat());
    let lines = out(&table).lines().filter(|line| line.starts_with('│')).count();
    assert_eq!(lines, 1 + keys.len(), "{}", out(&table));
}

#[test]
fn errors_name_the_thing_the_place_and_what_to_do() {
    let cases: [(&[&str], i32, &[&str]); 19] = [
        (&["run", "pots.count()"], 1, &["pots", "posts", "^"]),
        (&["run", "posts.record.txt"], 1, &["txt", "text", "^"]),
        (&["check", "posts.count("], 1, &["^"]),
        (&["run", "posts.count()", "--from", "no such file"], 3, &["no such file"]),
        (&["run", "posts.count()", "--from", "ws://127.0.0.1:1"], 3, &["127.0.0.1:1", "5 attempts"]),
        (&["run", "posts.count()", "--from", "http://bsky.network"], 2, &["wss://bsky.network"]),
        (&["run", "posts.count()", "--format", "xml"], 2, &["xml", "ndjson"]),
        (
            &["run", "-posts.count()", "-q"],
            2,
            &["`-posts.count()` is taken for flags", "-- '-posts.count()'"],
        ),
        (&["check", "-x", "-posts.count()"], 2, &["-- '-posts.count()'"]),
        (&["run", "posts.count()", "--fro", "sim"], 2, &["'--fro'", "'--from'"]),
        (&["functions", "cuont"], 2, &["cuont", "count"]),
        (&["functions", "since"], 2, &["`since(predicate)` is a window", "count(window=since(predicate))"]),
        (&["functions", "updates"], 2, &["`posts.updates(…)` is a stream"]),
        (&["functions", "records"], 2, &["`records(…)` is a stream"]),
        (&["run", "posts.count()", "--for", "soon"], 2, &["soon", "30s"]),
        (&["sim", "--accounts", "18446744073709551615"], 2, &["18446744073709551615", "1 to 1000000"]),
        (&["sim", "--accounts", "0"], 2, &["--accounts", "1 to 1000000"]),
        (&["sim", "--rate=-1"], 2, &["--rate", "events a second"]),
        (&["run", "posts.count()", "--from", "sim:accounts=0"], 2, &["accounts=", "1 to 1000000"]),
    ];
    for (args, code, says) in cases {
        let ran = output(args);
        assert_eq!(ran.status.code(), Some(code), "{args:?}: {}", err(&ran));
        assert!(ran.stdout.is_empty(), "{args:?} prints data: {}", out(&ran));
        for text in says {
            assert!(err(&ran).contains(text), "{args:?} does not say {text:?}: {}", err(&ran));
        }
    }
}

#[test]
fn what_can_give_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 8] = [
        (&["tail", "--collections", ""], "app.bsky.feed.*"),
        (&["tail", "--collections", "not an nsid"], "not an nsid"),
        (&["tail", "--collections", "app.bsky.feed.post,a b*"], "no collection begins so"),
        (&["record", "-o", "-"], "goes to a file"),
        (&["run", "posts", "--since", "2026-02-01", "--until", "2026-01-01"], "--since is after --until"),
        (&["run", "posts", "-o", "f.parquet", "--roll-every", "1h"], "f.parquet/"),
        (&["run", "posts", "-o", "f.arrow", "--format", "arrow", "--roll-size", "1MiB"], "f.arrow/"),
        (&["record", "--append", "-o", "-"], "./-"),
    ];
    for (args, says) in cases {
        let ran = skytide(args).current_dir(folder.path()).output().unwrap();
        assert_eq!(ran.status.code(), Some(2), "{args:?}: {}", err(&ran));
        assert!(err(&ran).contains(says), "{args:?} does not say {says:?}: {}", err(&ran));
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    let sim = ["--from", "sim:accounts=20,rate=0,events=20", "-q"];
    for (collections, some) in [("app.bsky.*,com.example.none", true), ("*", true), ("com.example.*", false)]
    {
        let ran = output(&[&["tail", "--collections", collections], &sim[..]].concat());
        assert!(ran.status.success() && ran.stdout.is_empty() != some, "{collections}: {}", err(&ran));
    }
}

#[test]
fn hints_are_of_what_is_wrong() {
    let network = "does the network reach it";
    let tail = |url: &str, more: &[&str], code: i32| {
        let ran = output(&[&["tail", "--from", url], more].concat());
        assert_eq!(ran.status.code(), Some(code), "{url}: {}", err(&ran));
        err(&ran)
    };
    for wrong in ["ws://", "ws://127.0.0.1:99999"] {
        let said = tail(wrong, &[], 2);
        assert!(said.contains(wrong) && !said.contains(network), "{said}");
    }
    let said = tail(&answering("HTTP/1.1 501 No\r\ncontent-length: 0\r\n\r\n"), &[], 3);
    assert!(
        said.contains("answered 501") && said.contains("of a relay") && !said.contains(network),
        "{said}"
    );
    // What was never reached is told to scripts, too.
    for command in [&["tail"][..], &["run", "posts"], &["record", "-o", "/dev/null"]] {
        let ran = output(&[command, &["--from", "ws://127.0.0.1:1", "--for", "2s"]].concat());
        assert_eq!(ran.status.code(), Some(3), "{command:?}: {}", err(&ran));
        assert!(err(&ran).contains("1 not reached") && err(&ran).contains(network), "{}", err(&ran));
        assert!(err(&ran).contains("of --for: cannot connect to 127.0.0.1:1"), "{}", err(&ran));
    }
    let busy = answering("HTTP/1.1 503 No\r\ncontent-length: 4\r\n\r\nbusy");
    let said = tail(&busy, &["--for", "1s"], 3);
    assert!(said.contains("answered 503: busy") && !said.contains(network), "{said}");
    // What was read before a failure is told; what was one recording is no question of what sources are.
    let folder = tempfile::tempdir().unwrap();
    let path = recording(&folder, 20, "d.frames");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&whole[..], &[0xff; 8]].concat()).unwrap();
    let said = tail(&path, &[], 3);
    assert!(said.starts_with("20 events in") && !said.contains("hint"), "{said}");
    std::fs::write(&path, [0xff; 8]).unwrap();
    assert!(tail(&path, &[], 3).contains("a source is sim"));
}

#[test]
fn an_error_has_the_usage_of_its_command() {
    let ran = output(&["run", "one.x", "--from", "one.csv", "--lateness", "5s", "--time", "t", "--key", "k"]);
    let said = err(&ran);
    assert!(said.contains("never late\n\nUsage: skytide run "), "{said}");
    let ran = output(&["explain", "--svg", "posts.count()"]);
    assert_eq!(ran.status.code(), Some(2));
    let said = err(&ran);
    assert!(said.contains("`posts.count()` is taken for the file of --svg"), "{said}");
    assert!(
        said.contains("hint: the query stands before it: skytide explain 'posts.count()' --svg"),
        "{said}"
    );
}

#[test]
fn a_time_that_no_clock_counts_to_is_no_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = recording(&folder, 100, "few.frames");
    let file = folder.path().join("again.frames");
    let file = file.to_str().unwrap();
    for args in [["run", "posts.count()", "-q"], ["tail", "--limit", "1"], ["record", "-o", file]] {
        let ran = output(&[&args[..], &["--from", &path, "--for", "2562047h"]].concat());
        assert!(ran.status.success(), "{args:?}: {}", err(&ran));
    }
}

#[test]
fn a_recording_that_is_none_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nonsense.frames");
    std::fs::write(&path, b"\xff\xff\xff\xffthis is no recording").unwrap();
    let ran = output(&["run", MAIN, "--from", path.to_str().unwrap()]);
    assert_eq!(ran.status.code(), Some(3), "{}", err(&ran));
    assert!(err(&ran).contains("nonsense.frames"), "{}", err(&ran));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let mut child = Running(
        skytide(&["run", "likes.count()", "--from", "sim:accounts=20,rate=0", "-q"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut line = String::new();
    let mut stdout = BufReader::new(child.0.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    assert!(line.contains("result"), "{line}");
    drop(stdout);
    let status = child.0.wait().unwrap();
    let mut said = String::new();
    child.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(status.success(), "{status}: {said}");
    assert_eq!(said, "");
}

#[cfg(unix)]
#[test]
fn an_interrupt_flushes_what_was_done() {
    let mut child = Running(
        // So few that a program that is not optimised has nothing in hand.
        skytide(&["run", "likes.count()", "--from", "sim:accounts=20,rate=50", "--results", "history"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut stdout = BufReader::new(child.0.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let asked = Instant::now();
    let id = child.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(child.0.wait().unwrap().code(), Some(130));
    assert!(asked.elapsed() < Duration::from_secs(2), "it ends at once, not after {:?}", asked.elapsed());
    assert!(rest.is_empty() || rest.ends_with('\n'), "rows are whole");
}

#[cfg(unix)]
#[test]
fn an_end_does_not_wait_for_who_reads_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = recording(&folder, 3000, "e.frames");
    let stopped = ["run", "posts", "--from", &path];
    let run = ["run", "posts", "--from", &path, "--for", "4s"];
    let several = ["run", "posts", "likes", "follows", "--from", &path, "--for", "4s"];
    let timed = ["tail", "--from", &path, "--for", "4s"];
    let record = ["record", "--from", &path, "--for", "4s", "-o"];
    let begun = Instant::now();
    let start =
        |args: &[&str]| Running(skytide(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    // A named pipe without a reader, which one waits for that opens it; or with one that reads nothing.
    let pipe = |name: &str| {
        let pipe = folder.path().join(name);
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        pipe.to_str().unwrap().to_owned()
    };
    let (left, late, read) = (pipe("left.parquet"), format!("side={}", pipe("late")), pipe("read.arrow"));
    let frames = pipe("left.frames");
    let _reader = File::options().read(true).write(true).open(&read).unwrap();
    let made = ["--time", "created_at", "--mode", "live", "--late", &late, "-o", "/dev/null"];
    let mut ended = [
        (start(&stopped), 130),
        (start(&several), 1),
        (start(&timed), 1),
        (start(&[&record[..], &["/dev/stdout"]].concat()), 1),
        (start(&[&record[..], &[&frames]].concat()), 1),
        (start(&[&run[..], &["-o", &left]].concat()), 1),
        (start(&[&run[..], &["-o", &read]].concat()), 1),
        (start(&[&run[..], &made].concat()), 1),
    ];
    // What there is room for is written.
    let out = &mut ended[0].0.0.stdout.take().unwrap();
    out.read_exact(&mut [0]).unwrap();
    let id = ended[0].0.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    for (child, code) in &mut ended {
        let mut said = String::new();
        child.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(child.0.wait().unwrap().code(), Some(*code), "{said}");
        assert!(said.contains("nobody has read the output for 5 s"), "{said}");
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[test]
fn frames_of_unknown_kinds_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("u.frames");
    let mut recorder =
        skytide_firehose::Recorder::create(&path, skytide_firehose::Compression::None).unwrap();
    for frame in
        [&b"\xa2\x61t\x62#x\x62op\x07\xa0"[..], b"\xa2\x61t\x66#novel\x62op\x01\xa0", b"\xa1\x62op\x01\xa0"]
    {
        recorder.push(frame).unwrap();
    }
    recorder.finish().unwrap();
    let ran = output(&["tail", "--from", path.to_str().unwrap()]);
    assert!(ran.status.success());
    assert!(
        err(&ran).contains("3 events in") && err(&ran).contains("0 rows, 3 of an unknown kind"),
        "{}",
        err(&ran)
    );
}

#[test]
fn tail_prints_events_in_jetstreams_shape() {
    let folder = tempfile::tempdir().unwrap();
    let path = recording(&folder, 1000, "c.frames");
    let all = output(&["tail", "--from", &path, "-q"]);
    let events: Vec<serde_json::Value> =
        out(&all).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.len() >= 1000);
    let likes = output(&["tail", "--from", &path, "--collections", "app.bsky.feed.like", "-q"]);
    let expected =
        events.iter().filter(|event| event["commit"]["collection"] == "app.bsky.feed.like").count();
    assert!(expected > 500);
    assert_eq!(out(&likes).lines().count(), expected);
    let feed = output(&["tail", "--from", &path, "--collections", "app.bsky.feed.*", "--limit", "10", "-q"]);
    assert_eq!(out(&feed).lines().count(), 10);
    let identities = output(&["tail", "--from", &path, "--kinds", "identity,account", "-q"]);
    assert!(
        out(&identities)
            .lines()
            .all(|line| line.contains(r#""kind":"identity""#) || line.contains(r#""kind":"account""#))
    );
    let did = events[0]["did"].as_str().unwrap();
    let one = output(&["tail", "--from", &path, "--dids", did, "-q"]);
    assert!(!one.stdout.is_empty() && out(&one).lines().all(|line| line.contains(did)));
}

#[test]
fn sim_serves_another_process() {
    let (_server, url) = serve(&[]);
    let ran = output(&["run", "likes.count()", "--from", &url, "--cursor", "oldest", "--limit", "50", "-q"]);
    assert!(ran.status.success(), "{}", err(&ran));
    assert_eq!(out(&ran).lines().count(), 50);
    // Its labeler is at the same address.
    let labels = output(&["labels", "--from", &url, "--limit", "20", "-q"]);
    assert!(labels.status.success(), "{}", err(&labels));
    let labels = lines(&labels);
    assert!(labels.len() == 20 && labels.iter().all(|label| label["kind"] == "label"), "{labels:?}");
    let query = "labels.with_key(val).count()";
    let ran = output(&["run", query, "--from", &url, "--cursor", "oldest", "--limit", "20", "-q"]);
    assert!(ran.status.success(), "{}", err(&ran));
    assert!(lines(&ran).iter().all(|row| row["_key"].is_string() && row["result"].as_i64() > Some(0)));
}

#[test]
fn labels_identities_and_accounts_are_asked_about() {
    let from = "sim:accounts=50,rate=0,events=400";
    let labels = lines(&output(&["labels", "--from", from, "-q"]));
    let values = |value: &str| labels.iter().filter(|label| label["label"]["val"] == value).count();
    assert!(labels.len() >= 400 && values("spam") > 0, "{}", labels.len());
    let spam = lines(&output(&["labels", "--from", from, "--values", "spam", "-q"]));
    assert_eq!(spam.len(), values("spam"));
    let query = "labels.with_key(val).count()";
    let counts = lines(&output(&["run", query, "--from", from, "--results", "snapshot", "-q"]));
    let of_spam = counts.iter().find(|row| row["_key"] == "spam").unwrap();
    assert_eq!(of_spam["result"].as_u64(), Some(values("spam") as u64));
    let folder = tempfile::tempdir().unwrap();
    let of_repos = recording(&folder, 50, "repos.frames.zst");
    assert!(lines(&output(&["labels", "--from", &of_repos, "-q"])).is_empty());

    let from = "sim:accounts=50,rate=0,events=3000";
    let events = lines(&output(&["tail", "--from", from, "-q"]));
    let of = |kind: &str| events.iter().filter(|event| event["kind"] == kind).collect::<Vec<_>>();
    let identities = lines(&output(&["run", "identities.count()", "--from", from, "-q"]));
    assert_eq!(identities.len(), of("identity").len());
    let gone = of("account").iter().filter(|event| event["account"]["active"] == false).count();
    let query = "accounts.filter(not(active)).count()";
    assert_eq!(lines(&output(&["run", query, "--from", from, "-q"])).len(), gone);
    assert!(!identities.is_empty() && gone > 0);
    for command in ["run", "check", "explain"] {
        let both = output(&[command, "{ a: labels.count(), b: posts.count() }", "--from", from]);
        assert_eq!(both.status.code(), Some(1), "{command}");
        let error = err(&both);
        assert!(
            error.contains("a connection carries either") && error.contains("^^^^^"),
            "{command}: {error}"
        );
    }
}

#[test]
fn tail_prints_every_kind() {
    let folder = tempfile::tempdir().unwrap();
    let acts = folder.path().join("acts.txt");
    std::fs::write(
        &acts,
        "at 10 sync\nat 20 handle\nat 30 info\nat 40 tombstone # an account is gone\nat 50 migrate\n",
    )
    .unwrap();
    let (_server, url) = serve(&["--acts", &format!("@{}", acts.display()), "--events", "200"]);
    let kinds = "sync,handle,migrate,tombstone,info";
    let tail = ["tail", "--from", &url, "--cursor", "oldest", "--kinds", kinds, "--limit", "5", "-q"];
    let kinds: Vec<_> = lines(&output(&tail)).iter().map(|line| line["kind"].clone()).collect();
    assert_eq!(kinds, ["sync", "handle", "info", "tombstone", "migrate"]);
}

#[test]
fn tail_prints_what_may_have_been_missed() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!("@{}", path.display())
    };
    let faults = write("faults.txt", "at 100 disconnect\nat 200 garbage\nat 300 oversized\n");
    let acts = write("acts.txt", "at 150 lost\n");
    let (_server, url) = serve(&["--faults", &faults, "--acts", &acts]);
    let tail = ["tail", "--from", &url, "--cursor", "oldest", "--gaps", "--limit", "400", "-q"];
    let lines_of = lines(&output(&tail));
    let gaps: Vec<_> = lines_of.iter().enumerate().filter(|(_, line)| line["kind"] == "gap").collect();
    let causes: Vec<_> = gaps.iter().map(|(_, gap)| gap["gap"]["cause"].clone()).collect();
    assert_eq!(causes, ["reconnected", "chain_break", "quarantined", "oversized"]);
    assert_eq!(gaps[0].1["gap"]["asked"], gaps[0].1["gap"]["first"], "the server is inclusive");
    // Each stands where it belongs.
    let broken = gaps[1].0;
    let (did, last) = (&gaps[1].1["gap"]["did"], &gaps[1].1["gap"]["last"]);
    assert_eq!(&lines_of[broken + 1]["did"], did);
    assert!(lines_of[..broken].iter().rev().any(|line| &line["commit"]["rev"] == last));
    let tail = ["tail", "--from", &url, "--cursor", "oldest", "--kinds", "gap", "--limit", "1", "-q"];
    assert!(lines(&output(&tail)).iter().all(|line| line["kind"] == "gap"));

    let clean = output(&["tail", "--gaps", "--from", "sim:accounts=50,rate=0,events=2000"]);
    assert!(clean.status.success());
    assert!(lines(&clean).iter().all(|line| line["kind"] != "gap") && !err(&clean).contains("gaps"));
}

#[test]
fn a_jetstream_is_read_by_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let dictionary = folder.path().join("a.zdict");
    std::fs::write(&dictionary, r#"{"did":"did:plc:","time_us":17,"kind":"commit","commit":{"rev":"3m"#)
        .unwrap();
    let dictionary = dictionary.to_str().unwrap();
    let (_server, url) = serve(&["--events", "2000", "--dictionary", dictionary]);
    let url = format!("{url}/subscribe");
    let collection = "app.bsky.feed.post";
    let tail =
        ["tail", "--from", &url, "--cursor", "oldest", "--collections", collection, "--limit", "50", "-q"];
    let posts = lines(&output(&tail));
    assert_eq!(posts.len(), 50);
    assert!(posts.iter().all(|line| line["commit"]["collection"] == collection));
    let compressed = output(&[&tail[..], &["--dictionary", dictionary]].concat());
    assert_eq!(lines(&compressed), posts, "{}", err(&compressed));
    let ran = output(&["run", MAIN, "--from", &url, "--cursor", "oldest", "--limit", "50", "-q"]);
    assert!(ran.status.success(), "{}", err(&ran));
    let rows = lines(&ran);
    assert!(rows.len() == 50 && rows.iter().any(|row| row["_key"] == "en"));
    let misfit = output(&["tail", "--from", "wss://host.invalid", "--dictionary", "Cargo.toml"]);
    assert!(misfit.status.code() == Some(2) && err(&misfit).contains("is no Jetstream"), "{}", err(&misfit));
}

#[test]
fn faults_and_acts_that_are_none_are_named() {
    for (flag, text, part) in [
        ("--faults", "explode=3", "explode"),
        ("--faults", "@/no/such/file", "/no/such/file"),
        ("--acts", "dance=3", "dance"),
        ("--acts", "sync=lots", "lots"),
    ] {
        let ran = output(&["sim", "--listen", "127.0.0.1:0", flag, text]);
        assert_eq!(ran.status.code(), Some(2), "{flag} {text}");
        assert!(err(&ran).contains(flag) && err(&ran).contains(part), "{}", err(&ran));
    }
}

#[test]
fn help_for_every_command() {
    for command in ["run", "tail", "labels", "record", "check", "explain", "functions", "sim", "bench"] {
        let ran = output(&[command, "--help"]);
        assert!(ran.status.success() && out(&ran).contains("Usage"), "{command}");
    }
    let listed = out(&output(&["functions"]));
    for name in ["count", "sum", "filter", "with_key"] {
        assert!(listed.lines().any(|line| line.starts_with(name)), "{name} is listed");
    }
    assert!(out(&output(&["functions", "count"])).contains("count"));
    let explained = out(&output(&["explain", MAIN]));
    assert!(explained.contains("record.langs[0]"), "{explained}");
    assert!(out(&output(&["check", MAIN])).contains("record.langs[0] (utf8)"));
}

#[test]
fn pushed_rows_are_measured_until_their_rows_are_out() {
    let measured = lines(&output(&["bench", "live", "--rate", "500", "--seconds", "1"]));
    assert_eq!(measured.len(), 1, "{measured:?}");
    assert_eq!((&measured[0]["events"], &measured[0]["rows"]), (&500.into(), &500.into()));
    assert!(measured[0]["row_ms"]["p99"].as_f64().is_some_and(|ms| ms > 0.0), "{measured:?}");
}

#[test]
fn a_plan_is_drawn_on_stdout_or_into_a_file() {
    let drawn = out(&output(&["explain", MAIN, "--svg"]));
    assert!(drawn.starts_with("<svg ") && drawn.contains("new key: record.langs[0]"), "{drawn}");
    assert_eq!(out(&output(&["explain", MAIN, "--svg", "-"])), drawn);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.svg");
    let ran = output(&["explain", MAIN, "--svg", file.to_str().unwrap()]);
    assert!(ran.status.success() && out(&ran).is_empty(), "{}", err(&ran));
    assert_eq!(std::fs::read_to_string(file).unwrap(), drawn);
    let ran = output(&["explain", MAIN, "--svg", "/no/such/folder/plan.svg"]);
    assert!(ran.status.code() == Some(1) && err(&ran).contains("/no/such/folder/plan.svg"), "{}", err(&ran));
}

/// The folder of published vectors.
fn vectors() -> String {
    std::env::var("SKYTIDE_VECTORS").expect("SKYTIDE_VECTORS names the folder of vectors")
}

#[test]
#[ignore = "needs SKYTIDE_VECTORS"]
fn the_languages_of_the_real_window() {
    let path = format!("{}/relay-window/frames.bin.zst", vectors());
    let ran = output(&["run", MAIN, "--from", &path, "--results", "snapshot", "--format", "ndjson", "-q"]);
    assert!(ran.status.success(), "{}", err(&ran));
    let counts: Vec<(Option<String>, i64)> = out(&ran)
        .lines()
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            (row["_key"].as_str().map(str::to_owned), row["result"].as_i64().unwrap())
        })
        .collect();
    let expected = [
        (None, 1),
        (Some("de"), 1),
        (Some("en"), 7),
        (Some("en-US"), 1),
        (Some("es"), 1),
        (Some("ja"), 1),
        (Some("ko"), 1),
        (Some("ru"), 1),
        (Some("tr"), 3),
    ];
    assert_eq!(counts, expected.map(|(key, count)| (key.map(str::to_owned), count)));
}

#[test]
#[ignore = "needs SKYTIDE_VECTORS"]
fn tail_of_the_real_window_is_jetstreams() {
    let folder = vectors();
    let ran = output(&["tail", "--from", &format!("{folder}/relay-window/frames.bin.zst"), "-q"]);
    assert!(ran.status.success(), "{}", err(&ran));
    let events = |text: &str| {
        let mut events: Vec<String> = text
            .lines()
            .map(|line| {
                let mut event: serde_json::Value = serde_json::from_str(line).unwrap();
                event.as_object_mut().unwrap().remove("time_us").expect("each has its time");
                // As text with sorted keys, so that order of keys does not matter here.
                sorted(event).to_string()
            })
            .collect();
        events.sort();
        events
    };
    let expected = std::fs::read_to_string(format!("{folder}/relay-window/expected_v1.jsonl")).unwrap();
    assert_eq!(events(&expected).len(), 152);
    assert_eq!(events(&out(&ran)), events(&expected));
}

fn sorted(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            fields.into_iter().collect()
        }
        serde_json::Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}
