//! Each kind of source goes on where it was.

use std::cell::RefCell;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use skytide_atproto::columns::Clock;
use skytide_atproto::frame::peek;
use skytide_atproto::message::{Identity, Message};
use skytide_connect::files::{Definition, Files};
use skytide_connect::frames::UNREACHED;
use skytide_connect::network::{Network, Wish};
use skytide_connect::recovery::{Recovery, Standing};
use skytide_connect::run::{End, RunOptions};
use skytide_connect::shared::Shared;
use skytide_connect::sink::TextFile;
use skytide_connect::source::Status;
use skytide_connect::sources::Offer;
use skytide_firehose::{Batch, Compression, Cursor, Recorder, Subscription};
use skytide_sim::{self as sim, Relay, RelayHandle};
use skytide_timestream::engine::{Mode, answer_schema};

use super::case::*;

/// A relay of these frames, and a network that reads them all.
fn relayed(frames: &Arc<[Bytes]>) -> (RelayHandle, Network) {
    let relay = Relay::from_frames(frames.to_vec(), sim::Pacing::Rate(1e6)).window(frames.len() as u64);
    let relay = relay.beginning(sim::Beginning::AtOnce).start("127.0.0.1:0").unwrap();
    let begun = Instant::now();
    while relay.counters().newest_seq < frames.len() as u64 {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::yield_now();
    }
    let mut network = network(relay.url().into());
    network.connection.limit = Some(frames.len() as u64);
    (relay, network)
}

#[test]
fn a_connection_goes_on_after_its_last_frame() {
    let frames = frames(3000);
    for (seed, clock) in (20..).zip([Clock::FrameTime, Clock::CreatedAt]) {
        let by_clock = |network| Network { clock, lateness: Duration::from_secs(20), ..network };
        let whole = Case::new(COUNT, by_clock(network(few(&frames)))).whole();
        // Killed while frames come, and while those are sent that came meanwhile.
        for (pacing, turns) in [(sim::Pacing::Rate(4000.0), 40), (sim::Pacing::Rate(1e6), 2)] {
            let relays = RefCell::new(Vec::new());
            let case = || {
                let relay = Relay::from_frames(frames.to_vec(), pacing).window(3000);
                let relay = relay.start("127.0.0.1:0").unwrap();
                let mut network = network(relay.url().into());
                network.connection.limit = Some(3000);
                relays.borrow_mut().push(relay);
                Case::new(COUNT, by_clock(network))
            };
            let told = hold_to(whole.clone(), case, seed, 3, turns);
            assert_eq!(told.read, 3000);
            let made: u64 = relays.borrow().iter().map(|relay| relay.counters().connections).sum();
            assert!(made > 5, "{made} connections");
        }
    }
}

/// These frames, so many minutes apart.
fn apart(frames: &[Bytes], minutes: usize) -> Arc<[Bytes]> {
    // The key, and the head of a text of 24 bytes.
    const TIME: &[u8] = b"dtimex\x18";
    let moved = frames.iter().enumerate().map(|(frame, bytes)| {
        let (mut bytes, minute) = (bytes.to_vec(), frame * minutes);
        let at = bytes.windows(TIME.len()).position(|bytes| bytes == TIME).unwrap() + TIME.len();
        let (day, hour) = (1 + minute / 1440, minute / 60 % 24);
        let time = format!("2020-01-{day:02}T{hour:02}:{:02}:00.000Z", minute % 60);
        bytes[at..at + 24].copy_from_slice(time.as_bytes());
        Bytes::from(bytes)
    });
    moved.collect()
}

#[test]
fn a_frame_that_comes_again_is_known_however_far_it_is_from_the_one_before() {
    let frames = apart(&frames(600), 6);
    let relays = RefCell::new(Vec::new());
    let case = || {
        let relay = Relay::from_frames(frames.to_vec(), sim::Pacing::Rate(2000.0)).window(600);
        let relay = relay.cursor_rule(sim::CursorRule::Inclusive).start("127.0.0.1:0").unwrap();
        let mut network = network(relay.url().into());
        network.connection.limit = Some(600);
        relays.borrow_mut().push(relay);
        Case::new(COUNT, network)
    };
    let whole = case().whole();
    // Each step is one of the time, and nothing else may be missing; each is believed.
    assert_eq!(whole.dropped, [("possible gaps", 599)]);
    let told = hold_to(whole, case, 90, 3, 8);
    assert_eq!(told.read, 600);
}

#[test]
fn a_jetstream_goes_on_without_the_events_that_come_again() {
    let frames = frames(4000);
    let served = || {
        let relay = Relay::from_frames(frames.to_vec(), sim::Pacing::Rate(4000.0)).window(4000).jetstream();
        relay.start("127.0.0.1:0").unwrap()
    };
    // It sends what is asked for: posts, identities and accounts.
    const EVENTS: u64 = 400;
    let case = |relay: &RelayHandle, clock| {
        let mut network = network(format!("{}/subscribe", relay.url()).into());
        network.connection.limit = Some(EVENTS);
        Case::new(COUNT, Network { clock, lateness: Duration::from_secs(20), ..network })
    };
    for (seed, clock) in (70..).zip([Clock::FrameTime, Clock::CreatedAt]) {
        let relay = served();
        let whole = case(&relay, clock).whole();
        assert!(whole.read == EVENTS && whole.counted > 100, "{} {}", whole.read, whole.counted);
        let told = hold_to(whole, || case(&relay, clock), seed, 3, 3);
        assert!(told.read == EVENTS && relay.counters().connections > 4);
    }
}

/// Frames as they are sent.
struct Sent(Mutex<mpsc::Receiver<Bytes>>);

impl sim::FrameSource for Sent {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Option<Option<u64>> {
        let frame = self.0.get_mut().unwrap().recv().ok()?;
        out.extend_from_slice(&frame);
        Some(peek(&frame).unwrap().seq)
    }
}

/// A Jetstream of frames that are yet to be sent. It ends once nobody can send any.
fn sending() -> (RelayHandle, mpsc::Sender<Bytes>) {
    let (send, sent) = mpsc::channel();
    let relay = Relay::from_source(Sent(Mutex::new(sent))).pacing(sim::Pacing::Rate(1e6)).window(100);
    (relay.ending(sim::Ending::Stay).jetstream().start("127.0.0.1:0").unwrap(), send)
}

#[test]
fn a_jetstream_that_had_nothing_yet_goes_on_from_when_it_was_read() {
    for shared in [None, Some(Shared::new())] {
        let (relay, send) = sending();
        let mut network = network(format!("{}/subscribe", relay.url()).into());
        (network.connection.cursor, network.shared) = (Cursor::Live, shared);
        let (folder, begun) = (tempfile::tempdir().unwrap(), Instant::now());
        let life = |network: &Network, stops: bool| {
            let case = Case::new("identities.count()", network.clone());
            let plan = case.plan();
            let recovery = Recovery::open(folder.path(), "q", &plan, Mode::Live).unwrap();
            let sources = case.sources(folder.path(), true);
            let mut source = sources.reopen(&plan, Mode::Live, recovery.source()).unwrap();
            let mut sink = TextFile::ndjson(&folder.path().join("rows.ndjson")).unwrap();
            let options = RunOptions { duration: Some(Duration::from_secs(30)), ..RunOptions::live() };
            let watch = |status: &Status, _| {
                case.is_in_time(begun);
                if stops && !status.dropped.contains_key(UNREACHED) {
                    options.stop.stop();
                }
            };
            recovery.run(plan, &mut source, &mut sink, &options, watch).unwrap()
        };
        let first = life(&network, true);
        assert_eq!((first.end, first.source.read), (End::Stopped, 0));
        // What comes while nobody is there.
        let mix = sim::Mix { accounts: 1000, ..sim::Mix::default() };
        let start = Timestamp::now().as_nanosecond() as i64;
        let frames = sim::Network::new(sim::Config { start, mix, ..sim::Config::default() });
        frames.take(60).for_each(|frame| send.send(frame.bytes).unwrap());
        drop(send);
        while relay.counters().newest_seq < 60 {
            assert!(begun.elapsed() < Duration::from_secs(60));
            std::thread::yield_now();
        }
        network.connection.limit = Some(10);
        let second = life(&network, false);
        assert_eq!((second.end, second.source.read), (End::Source, 10));
    }
}

#[test]
fn labels_go_on_after_their_last_frame() {
    let labels: Vec<Bytes> =
        sim::Labeler::new(sim::LabelerConfig::default()).take(1500).map(|frame| frame.bytes).collect();
    let relay = Relay::serving(sim::SUBSCRIBE_LABELS, sim::Replay::once(labels)).window(1500);
    let relay = relay.start("127.0.0.1:0").unwrap();
    let mut network = network(relay.url().into());
    network.connection.limit = Some(1500);
    let told = hold(&Case::new("labels.with_key(val).count()", network), 30, 2, 4);
    assert!(told.counted > 1000);
}

/// A recording of these frames.
fn recorded(folder: &Path, name: &str, frames: &[Bytes]) -> PathBuf {
    let path = folder.join(name);
    let compression = if name.ends_with("zst") { Compression::Zstd { level: 3 } } else { Compression::None };
    let mut recorder = Recorder::create(&path, compression).unwrap();
    frames.iter().for_each(|frame| recorder.push(frame).unwrap());
    recorder.finish().unwrap();
    path
}

#[test]
fn recordings_and_then_a_connection_are_one_stream() {
    let frames = frames(4000);
    let folder = tempfile::tempdir().unwrap();
    let (_relay, mut network) = relayed(&frames);
    network.connection.history = vec![
        recorded(folder.path(), "a.frames", &frames[..1500]),
        recorded(folder.path(), "b.frames.zst", &frames[1000..3000]),
    ];
    // Whoever wrote the first one was ended before it could finish; that is counted once.
    let mut cut = fs::read(&network.connection.history[0]).unwrap();
    cut.extend([7; 3]);
    fs::write(&network.connection.history[0], cut).unwrap();
    for (seed, clock) in (40..).zip([Clock::FrameTime, Clock::CreatedAt]) {
        let network = Network { clock, lateness: Duration::from_secs(20), ..network.clone() };
        let told = hold(&Case::new(COUNT, network), seed, 4, 8);
        assert_eq!(told.read, 4000);
        assert!(told.dropped.contains(&("cut off at the end", 1)), "{:?}", told.dropped);
    }
}

/// The frames that a Jetstream makes of these, as they come over a connection, whose times go back now and then.
fn events(relay: &RelayHandle, count: usize) -> Vec<Bytes> {
    let client = Subscription::jetstream(&relay.url()).cursor(Cursor::Oldest).blocking().unwrap();
    client.take(count).map(|frame| Bytes::copy_from_slice(&frame.unwrap().bytes)).collect()
}

#[test]
fn recordings_of_a_jetstream_and_then_a_connection_are_one_stream() {
    let relay = Relay::from_frames(frames(4000).to_vec(), sim::Pacing::AsRead).window(4000).jetstream();
    let relay = relay.beginning(sim::Beginning::AtOnce).start("127.0.0.1:0").unwrap();
    let events = events(&relay, 2500);
    let whole: Vec<u64> = events.iter().map(|event| peek(event).unwrap().seq.unwrap()).collect();
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = [("a.frames", 0..1500), ("b.frames.zst", 1000..2000)]
        .map(|(name, range)| recorded(folder.path(), name, &events[range]));
    let c = recorded(folder.path(), "c.frames", &events[500..]);
    // A last event whose time went back is not where the recording ends.
    let mut back = events[..1500].to_vec();
    back.swap(1400, 1499);
    let back = recorded(folder.path(), "back.frames", &back);
    let c = c.to_str().unwrap().to_owned();
    let live = format!("{}/subscribe", relay.url());
    for (history, location) in
        [(vec![a, b.clone()], live), (vec![back.clone(), b], c.clone()), (vec![back], c)]
    {
        let mut network = network(location.into());
        (network.connection.cursor, network.connection.history) = (Cursor::Live, history);
        network.connection.limit = Some(2500);
        let mut frames = network.connection.frames(&Wish::default()).unwrap();
        let (mut read, begun) = (Vec::new(), Instant::now());
        while frames
            .visit(1000, Duration::from_millis(50), |frame, _| read.push(peek(frame).unwrap().seq.unwrap()))
            .unwrap()
            != Batch::Ended
        {
            assert!(begun.elapsed() < Duration::from_secs(60), "{} frames", read.len());
        }
        read.sort_unstable();
        assert_eq!(read.len(), whole.len());
        assert!(read == whole);
    }
}

#[test]
fn recordings_alone_are_one_stream() {
    let frames = frames(2000);
    let folder = tempfile::tempdir().unwrap();
    let last = recorded(folder.path(), "c.frames", &frames[1200..]);
    // Whoever wrote it was ended before it could finish; that is counted once, however often it is read.
    let mut cut = fs::read(&last).unwrap();
    cut.extend([7; 3]);
    fs::write(&last, cut).unwrap();
    let mut network = network(last.to_str().unwrap().to_owned().into());
    network.connection.cursor = Cursor::Live;
    network.connection.history = vec![
        recorded(folder.path(), "a.frames", &frames[..500]),
        recorded(folder.path(), "b.frames.zst", &frames[300..1500]),
    ];
    let told = hold(&Case::new(COUNT, network.clone()), 44, 4, 8);
    assert_eq!((told.read, told.dropped), (2000, vec![("cut off at the end", 1), ("recorded before", 500)]));
    // Saved at its end, and asked again.
    let (case, folder) = (Case::new(COUNT, network), tempfile::tempdir().unwrap());
    for _ in 0..3 {
        let Ok(outcome) = case.life(folder.path(), 1, None) else { panic!() };
        let status = outcome.source;
        assert_eq!(
            (status.read, status.dropped.into_iter().collect()),
            (2000, vec![("cut off at the end", 1), ("recorded before", 500)])
        );
    }
}

#[test]
fn a_recording_of_a_numbering_that_began_anew_follows_the_one_before() {
    let identity = |(number, second): (u64, u64)| {
        let time = format!("2026-07-04T14:{:02}:{:02}.000Z", second / 60, second % 60);
        let message = Identity { seq: number, did: "did:plc:a", time: &time, handle: None };
        Bytes::from(Message::Identity(message).to_frame_bytes())
    };
    let before: Vec<Bytes> = (1000..1300).zip(0..).map(identity).collect();
    let after: Vec<Bytes> = (1..=500).zip(500..).map(identity).collect();
    let folder = tempfile::tempdir().unwrap();
    // The third begins within the second.
    let [a, b, c] = [("a.frames", &before[..]), ("b.frames", &after[..300]), ("c.frames.zst", &after[100..])]
        .map(|(name, frames)| recorded(folder.path(), name, frames));
    let mut network = network(c.to_str().unwrap().to_owned().into());
    network.connection.cursor = Cursor::Live;
    network.connection.history = vec![a, b];
    let told = hold(&Case::new("identities.count()", network), 45, 4, 8);
    assert_eq!((told.read, told.dropped), (800, vec![("recorded before", 200)]));
}

#[test]
fn the_place_in_a_recording_does_not_depend_on_numbers() {
    let mut frames = frames(1000).to_vec();
    // The numbering begins anew.
    let other = sim::Config { accounts: 60, rate: 20, seed: 2, ..sim::Config::default() };
    frames.extend(sim::Network::new(other).take(1000).map(|frame| frame.bytes));
    let folder = tempfile::tempdir().unwrap();
    let path = recorded(folder.path(), "a.frames", &frames);
    // What is in the memory is shown in pieces as small as a limit makes them.
    let case = Case::new(COUNT, network(few(&frames.clone().into())));
    hold(&case, 50, 2, 20);
    let mut named = network(path.to_str().unwrap().to_owned().into());
    let whole = Case::new(COUNT, named.clone()).whole();
    let folder = tempfile::tempdir().unwrap();
    for limit in [700, 1300, 2000] {
        named.connection.limit = Some(limit);
        let case = Case::new(COUNT, named.clone());
        // A run that came to its end is at its end: so each is one that was killed in its first turn after.
        assert!(case.life(folder.path(), 1, Some(0)).is_err());
    }
    let told = Case::new(COUNT, named).life(folder.path(), 1, None).unwrap_or_else(|_| panic!());
    assert_eq!(fs::read_to_string(folder.path().join("rows.ndjson")).unwrap(), whole.rows);
    assert_eq!(told.source.read, 2000);

    // One that has become shorter is another one.
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new(COUNT, network(path.to_str().unwrap().to_owned().into()));
    assert!(case.life(folder.path(), 1, Some(1)).is_err());
    recorded(path.parent().unwrap(), "a.frames", &frames[..100]);
    let refused = case.try_life(folder.path(), 1, None, &mut |_| {}).unwrap_or_else(|_| panic!());
    assert!(refused.unwrap_err().to_string().contains("ends 1900 frames before"), "what was read is gone");
    // Another recording, as long; one of the same numbers; and the one that it was, which has grown.
    let rows = fs::read(folder.path().join("rows.ndjson")).unwrap();
    let (all, mut of_others) = (super::case::frames(4000), frames.clone());
    of_others[0] = Bytes::from_static(b"no frame");
    for others in [&all[2000..], &of_others] {
        recorded(path.parent().unwrap(), "a.frames", others);
        let refused = case.try_life(folder.path(), 1, None, &mut |_| {}).unwrap_or_else(|_| panic!());
        let said = refused.unwrap_err().to_string();
        assert!(said.contains("a.frames: the frames before the place that was saved are others"), "{said}");
        assert_eq!(fs::read(folder.path().join("rows.ndjson")).unwrap(), rows);
    }
    frames.extend_from_slice(&all[3000..]);
    recorded(path.parent().unwrap(), "a.frames", &frames);
    assert_eq!(case.life(folder.path(), 1, None).unwrap_or_else(|_| panic!()).source.read, 3000);
}

#[test]
fn files_beside_a_network_are_read_again_up_to_the_place() {
    let frames = frames(2000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scores.csv");
    let mut csv = "ts,did,value\n".to_owned();
    for second in 0..100 {
        for row in 0..7 {
            csv.push_str(&format!("2026-01-01T00:{:02}:{:02}Z,k{row},{second}\n", second / 60, second % 60));
        }
    }
    fs::write(&path, &csv).unwrap();
    let files = || Offer::Files(Arc::new(Files::open(Definition::new(&path, "ts", "did")).unwrap()));
    for clock in [Clock::FrameTime, Clock::CreatedAt] {
        let network = Network { clock, lateness: Duration::from_secs(20), ..network(few(&frames)) };
        let mut case = Case::new("{ posts: posts.count(), score: scores.value.sum() }", network);
        case.offers.push(files());
        let told = hold(&case, 60, 3, 20);
        assert!(told.counted > 700);
    }
    let network = network(few(&frames));
    let mut case = Case::new("{ posts: posts.count(), score: scores.value.sum() }", network);
    case.offers.push(files());
    let lives = tempfile::tempdir().unwrap();
    assert!(case.life(lives.path(), 1, Some(5)).is_err());
    let written = path.metadata().unwrap().modified().unwrap();
    // It has grown, or has as many bytes and was written since.
    for text in [csv.clone() + "2026-01-01T01:00:00Z,k,1\n", csv.replace(",9\n", ",8\n")] {
        fs::write(&path, text).unwrap();
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(written + Duration::from_secs(1))
            .unwrap();
        case.offers[1] = files();
        let refused = case.try_life(lives.path(), 1, None, &mut |_| {}).unwrap_or_else(|_| panic!());
        assert!(refused.unwrap_err().to_string().contains("`scores` of 1 files"));
    }
}

#[test]
fn queries_that_share_a_connection_are_saved_each_by_itself() {
    let frames = frames(4000);
    let (_relay, mut network) = relayed(&frames);
    let queries = [COUNT, MOVED];
    let whole = queries.map(|query| Case::new(query, network.clone()).whole());
    network.shared = Some(Shared::new());
    let network = Arc::new(network);
    let folders = queries.map(|_| tempfile::tempdir().unwrap());
    for kills in [Some(2), Some(3), None] {
        std::thread::scope(|scope| {
            for (query, folder) in queries.iter().zip(&folders) {
                let mut case = Case::new(query, Network::default());
                case.offers = vec![Offer::Network(Arc::clone(&network))];
                scope.spawn(move || case.life(folder.path(), 1, kills).is_ok());
            }
        });
    }
    for (folder, whole) in folders.iter().zip(whole) {
        assert!(fs::read_to_string(folder.path().join("rows.ndjson")).unwrap() == whole.rows);
    }
}

#[test]
fn queries_that_share_a_jetstream_are_saved_each_by_itself() {
    const ROWS: usize = 450;
    let relay = Relay::from_frames(frames(4000).to_vec(), sim::Pacing::Rate(4000.0)).window(4000).jetstream();
    let relay = relay.start("127.0.0.1:0").unwrap();
    let mut network = network(format!("{}/subscribe", relay.url()).into());
    let queries = [COUNT, "likes.count()"];
    let begun = Instant::now();
    let life = |case: &Case, folder: &Path, killed: Option<usize>| {
        let plan = case.plan();
        let options = RunOptions { limit: Some(ROWS), ..RunOptions::live() };
        let living = || {
            let saved = folder.join("saved");
            let recovery = Recovery::open(&saved, "q", &plan, Mode::Live).unwrap().every(Duration::ZERO);
            let before = recovery.standing().map_or(0, Standing::rows);
            let source = case.sources(folder, true);
            let mut source = source.reopen(&plan, Mode::Live, recovery.source()).unwrap();
            let mut sink = TextFile::ndjson(&folder.join("rows.ndjson")).unwrap();
            let watch = |_: &_, rows| {
                assert!(begun.elapsed() < Duration::from_secs(120), "{} does not end", case.query);
                if killed.is_some_and(|killed| rows >= before + killed) {
                    resume_unwind(Box::new(Killed));
                }
            };
            recovery.run(Arc::clone(&plan), &mut source, &mut sink, &options, watch).unwrap();
            before
        };
        catch_unwind(AssertUnwindSafe(living)).ok()
    };
    let of = |query, network: &Arc<Network>| Case {
        offers: vec![Offer::Network(Arc::clone(network))],
        ..Case::new(query, Network::default())
    };
    let rows = |folder: &Path| fs::read_to_string(folder.join("rows.ndjson")).unwrap();
    let by_itself = Arc::new(network.clone());
    let whole = queries.map(|query| {
        let folder = tempfile::tempdir().unwrap();
        life(&of(query, &by_itself), folder.path(), None).unwrap();
        rows(folder.path())
    });
    network.shared = Some(Shared::new());
    let (network, before) = (Arc::new(network), relay.counters().connections);
    let folders = queries.map(|_| tempfile::tempdir().unwrap());
    // They are brought together by their first life, and save themselves while they are.
    let sources: Vec<_> = queries
        .iter()
        .map(|query| {
            let case = of(query, &network);
            let plan = case.plan();
            let source = case.sources(Path::new(""), true).open(&plan, Mode::Live).unwrap();
            (plan, source)
        })
        .collect();
    for ((plan, mut source), folder) in sources.into_iter().zip(&folders) {
        let saved = folder.path().join("saved");
        let recovery = Recovery::open(&saved, "q", &plan, Mode::Live).unwrap().every(Duration::ZERO);
        let mut sink = TextFile::ndjson(&folder.path().join("rows.ndjson")).unwrap();
        let options = RunOptions::live();
        let living = || {
            let watch = |_: &_, rows| {
                assert!(begun.elapsed() < Duration::from_secs(120), "it is not saved");
                // With the events of the seconds before, which come again.
                let is_saved = saved.join("q.saved").metadata().is_ok_and(|saved| saved.len() > 5000);
                if rows >= 60 && is_saved {
                    resume_unwind(Box::new(Killed));
                }
            };
            recovery.run(plan, &mut source, &mut sink, &options, watch)
        };
        assert!(catch_unwind(AssertUnwindSafe(living)).is_err());
    }
    assert_eq!(relay.counters().connections, before + 1);
    for ((query, folder), whole) in queries.iter().zip(&folders).zip(whole) {
        let case = of(query, &network);
        // More may have been saved than are asked for.
        life(&case, folder.path(), Some(40));
        let goes_on = life(&case, folder.path(), None).unwrap();
        assert!(goes_on > 0, "{query}");
        assert!(rows(folder.path()).lines().take(ROWS).eq(whole.lines()), "{query}");
    }
}

#[test]
fn a_stop_saves_queries_that_share_a_jetstream_where_they_are() {
    // Its events come at once, then there is silence; or they come on and on.
    for pacing in [sim::Pacing::AsRead, sim::Pacing::Rate(1000.0)] {
        let relay = Relay::from_frames(frames(4000).to_vec(), pacing).window(4000).jetstream();
        let relay = relay.start("127.0.0.1:0").unwrap();
        let mut network = network(format!("{}/subscribe", relay.url()).into());
        network.shared = Some(Shared::new());
        let network = Arc::new(network);
        let folder = tempfile::tempdir().unwrap();
        let opened = [COUNT, "likes.count()"].map(|query| {
            let offers = vec![Offer::Network(Arc::clone(&network))];
            let case = Case { offers, ..Case::new(query, Network::default()) };
            let (plan, sources) = (case.plan(), case.sources(folder.path(), true));
            let source = sources.open(&plan, Mode::Live).unwrap();
            (case, plan, source)
        });
        std::thread::scope(|scope| {
            for (name, (case, plan, mut source)) in ["a", "b"].into_iter().zip(opened) {
                let folder = folder.path();
                scope.spawn(move || {
                    let open = || Recovery::open(&folder.join("saved"), name, &plan, Mode::Live).unwrap();
                    let mut sink = TextFile::ndjson(&folder.join(name)).unwrap();
                    let (options, begun) = (RunOptions::live(), Instant::now());
                    let stop = options.stop.clone();
                    let watch = |_: &_, rows| {
                        case.is_in_time(begun);
                        if rows > 50 {
                            stop.stop();
                        }
                    };
                    let plan = Arc::clone(&plan);
                    let outcome = open().run(plan, &mut source, &mut sink, &options, watch).unwrap();
                    assert_eq!(outcome.end, End::Stopped);
                    assert_eq!(open().standing().unwrap().rows(), outcome.rows, "{}", case.query);
                });
            }
        });
        assert_eq!(relay.counters().connections, 1);
    }
}

#[test]
fn a_limit_is_of_all_lives_and_csv_has_one_header() {
    let case = Case::new(COUNT, network(few(&frames(1500))));
    let (plan, folder) = (case.plan(), tempfile::tempdir().unwrap());
    let path = folder.path().join("rows.csv");
    let lives = |limit: usize, killed: Option<usize>| {
        let options = RunOptions { limit: Some(limit), ..RunOptions::live() };
        let living = || {
            let saved = folder.path().join("saved");
            let recovery = Recovery::open(&saved, "q", &plan, Mode::Live).unwrap().every(Duration::ZERO);
            let source = case.sources(folder.path(), true);
            let mut source = source.reopen(&plan, Mode::Live, recovery.source()).unwrap();
            let mut sink = TextFile::csv(&path, &answer_schema(&plan).unwrap()).unwrap();
            let watch = |_: &_, rows| {
                if killed.is_some_and(|killed| rows >= killed) {
                    resume_unwind(Box::new(Killed));
                }
            };
            recovery.run(Arc::clone(&plan), &mut source, &mut sink, &options, watch).unwrap()
        };
        catch_unwind(AssertUnwindSafe(living)).ok()
    };
    assert!(lives(100, Some(30)).is_none());
    assert!(lives(100, Some(60)).is_none());
    let outcome = lives(100, None).unwrap();
    assert_eq!((outcome.end, outcome.rows), (End::Limit, 100));
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!((text.lines().count(), text.matches("_time").count()), (101, 1));
    // Whoever wants more has it: none was lost where the limit cut.
    assert_eq!(lives(150, None).unwrap().rows, 150);
    let longer = fs::read_to_string(&path).unwrap();
    assert!(longer.starts_with(&text) && longer.lines().count() == 151);
    let whole = case.whole().rows;
    let counts =
        |text: &str, count: fn(&str) -> String| text.lines().map(count).take(150).collect::<Vec<_>>();
    let of_csv =
        counts(longer.split_once('\n').unwrap().1, |line| line.rsplit(',').next().unwrap().to_owned());
    let of_json = counts(&whole, |line| line.rsplit(':').next().unwrap().trim_end_matches('}').to_owned());
    assert_eq!(of_csv, of_json);
}
