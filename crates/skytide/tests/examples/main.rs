//! The example programs as a newcomer meets them: each is run against a simulated relay, and what it prints
//! is held to what the network did, as a decoder that shares no code with the client reads it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking; with panic! it says what it saw"
)]

mod decoder;
mod process;

use std::collections::BTreeMap;

use bytes::Bytes;
use ipld_core::ipld::Ipld;
use jiff::{Timestamp, ToSpan as _};
use skytide_atproto::frame::Frame;
use skytide_atproto::message as wire;
use skytide_sim::{
    Config, FaultKind, FaultScript, Faults, Labeler, LabelerConfig, Mix, Network, Pacing, Relay, RelayHandle,
    Replay, SUBSCRIBE_LABELS, SimFrame,
};

use decoder::{Map, Message, Op, blobs, car, link, list, map, text};
use process::{Done, Running, example, program};

/// A small network, in which records are changed and deleted more often than in the real one.
fn config() -> Config {
    let mix = Mix { deletes: 100, updates: 100, others: 40, ..Mix::default() };
    Config { accounts: 50, mix, ..Config::default() }
}

/// A relay of it, on a port of its own. The first client gets the first frame.
fn relay() -> RelayHandle {
    Relay::new(Network::new(config())).start("127.0.0.1:0").unwrap()
}

/// What its messages say, from the first on.
fn messages() -> impl Iterator<Item = Message> {
    Network::new(config()).map(|frame| Message::read(&frame))
}

/// What is printed by an example that succeeds and has nothing else to say.
fn printed(name: &str, arguments: &[&str]) -> Vec<String> {
    let Done { status, lines, stderr } = Running::start(&example(name), arguments).finish();
    assert!(status.success() && stderr.is_empty(), "{name}: {status}, {stderr}");
    lines
}

/// A value as JSON without its links and bytes, which these tests leave out.
fn json(value: &Ipld) -> serde_json::Value {
    match value {
        Ipld::String(text) => text.as_str().into(),
        Ipld::List(items) => items.iter().map(json).collect(),
        Ipld::Null => serde_json::Value::Null,
        other => panic!("no text and no list: {other:?}"),
    }
}

#[test]
fn repos_prints_every_operation() {
    let relay = relay();
    let lines = printed("repos", &[&relay.url(), "1000"]);

    let mut expected = messages().flat_map(|message| {
        let did = message.did().to_owned();
        message.ops().into_iter().map(move |op| (did.clone(), op)).collect::<Vec<_>>()
    });
    let mut with_record = 0;
    for line in &lines {
        let (did, Op { action, path, record }) = expected.next().unwrap();
        let mut parts = line.splitn(3, ' ');
        assert_eq!(parts.next(), Some(&*action), "{line}");
        assert_eq!(parts.next(), Some(&*format!("at://{did}/{path}")), "{line}");
        let printed = parts.next().unwrap();
        let Some(record) = record.map(map) else {
            assert_eq!(printed, "");
            continue;
        };
        let printed: serde_json::Map<_, _> = serde_json::from_str(printed).unwrap();
        assert!(
            printed.keys().collect::<std::collections::BTreeSet<_>>().into_iter().eq(record.keys()),
            "{line}"
        );
        assert_eq!(printed["$type"], text(&record, "$type"), "{line}");
        with_record += 1;
    }
    assert_eq!(lines.len(), 1000);
    assert!((800..1000).contains(&with_record), "{with_record}");
}

#[test]
fn new_posts_prints_the_posts_that_are_created_and_nothing_else() {
    let relay = relay();
    let lines = printed("new_posts", &[&relay.url(), "100"]);

    assert_eq!(lines, messages().flat_map(|message| new_posts(&message)).take(100).collect::<Vec<_>>());
}

/// The lines of `new_posts` for a message.
fn new_posts(message: &Message) -> Vec<String> {
    let line = |op: Op| {
        let post = map(op.record.unwrap());
        let langs = post.get("langs").map_or(serde_json::Value::Null, json);
        format!("{} {langs} {}", message.did(), json(&post["text"]))
    };
    message.ops().into_iter().filter(Op::is_new_post).map(line).collect()
}

/// What is said of something, by whom, about what: that of which the newest label counts.
type Identity = (String, String, String);

#[test]
fn labels_keeps_the_ones_that_hold() {
    // Half a day ago, so that of labels that end some have ended: after one hour and after six.
    let start = Timestamp::now() - 12.hours();
    let start = i64::try_from(start.as_nanosecond()).unwrap();
    let config = LabelerConfig {
        network: Config { start, accounts: 200, ..Config::default() },
        negations: 200,
        expiring: 300,
        ..LabelerConfig::default()
    };
    // Some of what was said at first is said once more at the end, though much has changed since.
    let mut frames: Vec<_> = Labeler::new(config).take(1000).collect();
    for repeated in 0..400 {
        frames.push(renumbered(&frames[repeated], frames.len() as u64 + 1));
    }
    let relay = Relay::new(Network::new(config.network))
        .also(SUBSCRIBE_LABELS, Replay::once(frames.iter().map(|frame| frame.bytes.clone())))
        .start("127.0.0.1:0")
        .unwrap();
    let lines = printed("labels", &[&relay.url(), &frames.len().to_string()]);
    let printed = |sign: &str| -> Vec<String> {
        lines.iter().filter_map(|line| line.strip_prefix(sign)).map(str::to_owned).collect()
    };

    let (mut given, mut retracted) = (Vec::new(), Vec::new());
    let mut newest: BTreeMap<Identity, Map> = BTreeMap::new();
    for frame in &frames {
        let message = Message::read(frame);
        for label in list(&message.payload, "labels").iter().cloned().map(map) {
            let identity = ["src", "uri", "val"].map(|key| text(&label, key).to_owned());
            let [src, uri, val] = &identity;
            let of_sign = if is_retraction(&label) { &mut retracted } else { &mut given };
            of_sign.push(format!(" {val} {uri} by {src}"));
            // Times of one form are in order as texts.
            let slot = newest.entry(identity.into()).or_insert_with(|| label.clone());
            if text(slot, "cts") <= text(&label, "cts") {
                *slot = label;
            }
        }
    }
    assert_eq!(printed("+"), given);
    assert_eq!(printed("-"), retracted);
    assert_eq!(lines.len(), given.len() + retracted.len() + printed("=").len());

    let now = Timestamp::now().to_string();
    let has_ended = |label: &Map| label.contains_key("exp") && *text(label, "exp") < *now;
    let holding = newest.iter().filter(|(_, label)| !is_retraction(label) && !has_ended(label));
    let holding: Vec<_> = holding.map(|((src, uri, val), _)| format!(" {val} {uri} by {src}")).collect();
    assert_eq!(printed("="), holding);

    // Every rule had something to decide.
    let count = |holds: &dyn Fn(&Map) -> bool| newest.values().filter(|label| holds(label)).count();
    assert!(count(&is_retraction) > 50);
    assert!(count(&|label| !is_retraction(label) && has_ended(label)) > 50);
    assert!(count(&|label| label.contains_key("exp") && !has_ended(label)) > 50);
}

/// A frame of labels under another number.
fn renumbered(frame: &SimFrame, seq: u64) -> SimFrame {
    let parsed = Frame::parse(&frame.bytes).unwrap();
    let Ok(wire::Message::Labels(labels)) = wire::Message::parse(&parsed) else { panic!("no labels") };
    let bytes = wire::Message::Labels(wire::Labels { seq, ..labels }).to_frame_bytes();
    SimFrame { seq, time: frame.time, bytes: bytes.into() }
}

fn is_retraction(label: &Map) -> bool {
    label.get("neg") == Some(&Ipld::Bool(true))
}

#[test]
fn commits_tells_what_is_in_them() {
    const COMMITS: usize = 1000;
    let relay = relay();
    let lines = printed("commits", &[&relay.url(), &COMMITS.to_string()]);

    let commits: Vec<_> = messages().filter(|message| message.t == "#commit").take(COMMITS).collect();
    let expected: Vec<_> = commits.iter().flat_map(described).collect();
    assert_eq!(lines, expected);
    let about = |what: &str| lines.iter().filter(|line| line.starts_with(what)).count();
    assert_eq!(about("commit "), COMMITS);
    assert!(about("  gone: ") > 20 && about("  blob: ") > 10, "{} {}", about("  gone: "), about("  blob: "));
}

/// The lines of a commit.
fn described(message: &Message) -> Vec<String> {
    let commit = &message.payload;
    let Ipld::Integer(seq) = commit["seq"] else { panic!("no number") };
    let (did, blocks) = (message.did(), decoder::bytes(commit, "blocks"));
    let car = car(blocks);
    let signed = map(serde_ipld_dagcbor::from_slice(car[&link(commit, "commit")]).unwrap());
    let mut lines = vec![
        format!("commit {seq} of {did}, rev {}", text(commit, "rev")),
        format!("  {} blocks in a CAR of {} bytes", car.len(), blocks.len()),
        format!(
            "  signed by {}: rev {}, tree {}",
            text(&signed, "did"),
            text(&signed, "rev"),
            link(&signed, "data")
        ),
    ];
    let mut done: BTreeMap<String, u32> = BTreeMap::new();
    for op in message.ops() {
        *done.entry(format!("{} {}", op.collection(), op.action)).or_default() += 1;
        if op.action == "delete" {
            lines.push(format!("  gone: at://{did}/{}", op.path));
        }
        let mut found = Vec::new();
        op.record.iter().for_each(|record| blobs(record, &mut found));
        lines.extend(found.into_iter().map(|(cid, of, size)| format!("  blob: {cid} {of} {size} bytes")));
    }
    lines.extend(done.into_iter().map(|(what, count)| {
        let (collection, action) = what.split_once(' ').unwrap();
        format!("  {count} {action} {collection}")
    }));
    lines
}

/// The lines of `robust`.
fn events() -> impl Iterator<Item = String> {
    messages().map(|message| event(&message))
}

fn event(message: &Message) -> String {
    let Ipld::Integer(seq) = message.payload["seq"] else { panic!("no number") };
    let kind = match message.t.as_str() {
        "#commit" => "Commit",
        "#identity" => "Identity",
        "#account" => "Account",
        other => panic!("{other} is not in this network"),
    };
    format!("{seq} {kind} {}", message.did())
}

#[test]
fn robust_misses_nothing_over_faults_and_restarts() {
    const RUNS: [usize; 3] = [450, 1, 549];
    // A connection ends at its 300th frame at the latest; some begin badly.
    let script: FaultScript = "
        on every at 50 garbage
        on every at 120 truncated
        on every at 180 text
        on every at 300 disconnect
        on 1 at 200 close 1000
        on 2 at 40 reset
        connect 2 duplicates 20
        connect 3 answer 503
        connect 4 cursor exclusive
    "
    .parse()
    .unwrap();
    let relay = Relay::new(Network::new(config()))
        .faults(Faults::new(1).script(script))
        .window(100_000)
        .start("127.0.0.1:0")
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cursor.txt");

    let mut expected = events();
    let mut so_far = 0;
    let mut said = String::new();
    for count in RUNS {
        let arguments = [&relay.url(), file.to_str().unwrap(), &count.to_string()];
        let Done { status, lines, stderr } = Running::start(&example("robust"), &arguments).finish();
        assert!(status.success(), "{status}: {stderr}");
        assert_eq!(lines, expected.by_ref().take(count).collect::<Vec<_>>(), "{stderr}");
        so_far += count;
        assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{so_far}\n"));
        said.push_str(&stderr);
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing is left beside the file");

    use FaultKind::{Answer, Close, Cursor, Disconnect, Duplicates, Garbage, Reset, Text, Truncated};
    let fired = relay.fault_counts();
    for kind in [Answer, Close, Cursor, Disconnect, Duplicates, Garbage, Reset, Text, Truncated] {
        assert!(fired.contains_key(&kind), "{kind} has not fired: {fired:?}");
    }
    // Nobody asked for frames that came again, or missed what did not come.
    let lines = |begin: &str, has: &str| {
        said.lines().filter(|line| line.starts_with(begin) && line.contains(has)).count()
    };
    assert_eq!(lines("connected, asking for what comes", ""), 1, "{said}");
    assert!(lines("skipped ", "bytes") > 4, "{said}");
    assert!(lines("gap ", "reconnected") > 2 && lines("gap ", "does not decode") > 4, "{said}");
    assert_eq!(lines("", "panicked"), 0, "{said}");
}

#[cfg(unix)]
#[test]
fn robust_ends_with_an_interrupt_and_goes_on_from_there() {
    let relay = Relay::new(Network::new(config())).pacing(Pacing::Rate(1000.0)).window(100_000);
    let relay = relay.start("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cursor.txt");
    let arguments = [&relay.url(), file.to_str().unwrap()];

    let mut running = Running::start(&example("robust"), &arguments);
    let mut lines: Vec<_> = (0..100).map(|_| running.line().unwrap()).collect();
    running.interrupt();
    let Done { status, lines: rest, stderr } = running.finish();
    assert!(status.success(), "{status}: {stderr}");
    lines.extend(rest);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{}\n", lines.len()));

    let again = [arguments[0], arguments[1], "100"];
    let Done { status, lines: rest, stderr } = Running::start(&example("robust"), &again).finish();
    assert!(status.success(), "{status}: {stderr}");
    lines.extend(rest);
    assert_eq!(lines, events().take(lines.len()).collect::<Vec<_>>());
}

#[test]
fn robust_says_which_file_is_no_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cursor.txt");
    std::fs::write(&file, "elsewhere").unwrap();
    let arguments = ["ws://127.0.0.1:1", file.to_str().unwrap()];
    let Done { status, stderr, .. } = Running::start(&example("robust"), &arguments).finish();
    assert!(!status.success() && stderr.contains("cursor.txt"), "{stderr}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "elsewhere");
}

#[test]
fn language_counts_answers_as_the_program_does() {
    // The program has no say over the mix of the network that it simulates.
    let network = Config { accounts: 50, ..Config::default() };
    let relay = Relay::new(Network::new(network)).start("127.0.0.1:0").unwrap();
    let lines = printed("language_counts", &[&relay.url(), "300"]);

    let query = "posts.with_key(record.langs[0]).count()";
    let from = format!("sim:seed={},accounts={},rate=0", network.seed, network.accounts);
    let arguments = ["run", query, "--from", &from, "--limit", "300", "--format", "ndjson", "-q"];
    let Done { status, lines: expected, stderr } = Running::start(&program(), &arguments).finish();
    assert!(status.success(), "{status}: {stderr}");
    assert_eq!(lines, expected);
    assert_eq!(lines.len(), 300);
}

#[test]
fn words_are_counted_by_a_function_of_its_own() {
    let relay = relay();
    let lines = printed("words", &[&relay.url(), "300"]);

    let mut words: BTreeMap<Option<String>, u64> = BTreeMap::new();
    let posts = messages().flat_map(|message| message.ops()).filter(Op::is_new_post);
    for (line, op) in lines.iter().zip(posts) {
        let post = map(op.record.unwrap());
        let lang = match post.get("langs") {
            Some(Ipld::List(langs)) => {
                langs.first().map(json).and_then(|lang| Some(lang.as_str()?.to_owned()))
            }
            _ => None,
        };
        let sum = words.entry(lang.clone()).or_default();
        *sum += text(&post, "text").split(' ').count() as u64;
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&row["_key"], &row["result"]), (&lang.into(), &(*sum).into()), "{line}");
    }
    assert_eq!(lines.len(), 300);
    assert!(words.len() > 2 && words.values().any(|sum| *sum > 300), "{words:?}");
}

#[test]
fn rows_that_are_pushed_are_answered() {
    let lines = printed("rows", &["50"]);
    // An order of each of three every half minute: two are in the minute, and when the older one has left it, one is.
    let result = |line: &String| {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        (row["_key"].as_str().unwrap().to_owned(), row["result"].as_i64())
    };
    let rows: Vec<_> = lines.iter().map(result).collect();
    let order = |number: i64| 100 + number;
    for number in 0..50 {
        let (now, before) = (order(number), if number < 3 { 0 } else { order(number - 3) });
        let expected = (["ann", "bob", "cyn"][number as usize % 3].to_owned(), Some(now + before));
        assert!(rows.contains(&expected), "{expected:?}");
    }
    assert!(rows.len() >= 50 + 44, "{}", rows.len());
}

#[test]
fn what_cannot_be_read_is_skipped_and_said() {
    // A word that no operation has: the frame is one, the commit is none.
    let spoilt = |frame: &SimFrame| -> Option<Bytes> {
        let at = frame.bytes.windows(13).position(|bytes| bytes == b"factionfcreat")?;
        let mut bytes = frame.bytes.to_vec();
        bytes[at + 8] = b'C';
        Some(bytes.into())
    };
    let mut network = Network::new(config());
    let (mut served, mut kept, mut skips) = (Vec::new(), Vec::new(), 0);
    loop {
        let frame = network.next_frame();
        if let Some(bytes) = spoilt(&frame).filter(|_| frame.seq.is_multiple_of(10)) {
            served.push(bytes);
            skips += 1;
            continue;
        }
        let message = Message::read(&frame);
        let prints = !new_posts(&message).is_empty();
        served.push(frame.bytes);
        kept.push(message);
        // With this one each example has printed all that it is to print.
        if skips >= 30 && prints {
            break;
        }
    }
    let skipped = |name: &str, arguments: &[&str], count: usize, expected: Vec<String>, line: &str| {
        let relay = Relay::from_frames(served.clone(), Pacing::AsRead).start("127.0.0.1:0").unwrap();
        let (url, count) = (relay.url(), count.to_string());
        let arguments = [&[url.as_str()], arguments, &[count.as_str()]].concat();
        let Done { status, lines, stderr } = Running::start(&example(name), &arguments).finish();
        assert!(status.success(), "{name}: {status}: {stderr}");
        assert_eq!(lines, expected, "{name}");
        let said = stderr.lines().filter(|said| said.starts_with(line)).count();
        assert_eq!(said, skips, "{name}: {stderr}");
    };
    let posts: Vec<_> = kept.iter().flat_map(new_posts).collect();
    skipped("new_posts", &[], posts.len(), posts, "skipped: ");
    let commits: Vec<_> = kept.iter().filter(|message| message.t == "#commit").collect();
    skipped("commits", &[], commits.len(), commits.into_iter().flat_map(described).collect(), "skipped: ");
    let operated = |message: &Message| {
        let did = message.did().to_owned();
        message.ops().into_iter().map(move |op| format!("{} at://{did}/{}", op.action, op.path))
    };
    let operations: Vec<_> = kept.iter().flat_map(operated).collect();
    let relay = Relay::from_frames(served.clone(), Pacing::AsRead).start("127.0.0.1:0").unwrap();
    let (url, count) = (relay.url(), (operations.len() + skips).to_string());
    let Done { status, lines, stderr } = Running::start(&example("repos"), &[&url, &count]).finish();
    let place = |line: &String| line.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" ");
    assert!(status.success() && lines.iter().map(place).eq(operations), "{status}: {stderr}");
    assert_eq!(stderr.lines().filter(|said| said.starts_with("frame ")).count(), skips, "{stderr}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cursor.txt");
    skipped("robust", &[file.to_str().unwrap()], kept.len(), kept.iter().map(event).collect(), "gap ");
}

#[test]
fn a_wrong_address_is_an_error() {
    let names = ["repos", "new_posts", "labels", "commits", "language_counts", "words"];
    // Nothing serves there.
    let running = names.map(|name| (name, Running::start(&example(name), &["ws://127.0.0.1:1"])));
    for (name, running) in running {
        let Done { status, lines, stderr } = running.finish();
        assert!(status.code() == Some(1) && lines.is_empty(), "{name}: {status}");
        assert!(stderr.contains("127.0.0.1"), "{name}: {stderr}");
    }
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let relay = Relay::new(Network::new(config()))
        .also(SUBSCRIBE_LABELS, Labeler::new(LabelerConfig::default()))
        .start("127.0.0.1:0")
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cursor.txt");
    let many = "1000000";
    let with_file = [&relay.url(), file.to_str().unwrap(), many];
    for name in ["repos", "new_posts", "labels", "commits", "robust", "language_counts", "words"] {
        let arguments: &[&str] = if name == "robust" { &with_file } else { &[&relay.url(), many] };
        let mut running = Running::start(&example(name), arguments);
        assert!(running.line().is_some(), "{name} prints nothing");
        let Done { status, stderr, .. } = running.close();
        assert!(matches!(status.code(), Some(0 | 1)), "{name}: {status}: {stderr}");
        assert!(!stderr.contains("panicked"), "{name}: {stderr}");
    }
}
