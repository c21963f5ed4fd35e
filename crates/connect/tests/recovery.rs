//! Runs that are killed anywhere and go on from what was saved: all of their rows together are those of a run that was never killed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use skytide_atproto::columns::Clock;
use skytide_connect::files::{Definition, Files};
use skytide_connect::late::{Late, Side};
use skytide_connect::network::{Connection, Location, Network};
use skytide_connect::recovery::{Recovery, RecoveryError};
use skytide_connect::run::{End, Outcome, RunError, RunOptions, run};
use skytide_connect::shared::Shared;
use skytide_connect::sink::{Sink, TextFile};
use skytide_connect::source::SourceError;
use skytide_connect::sources::{Offer, Sources};
use skytide_connect::supply::{Supplier, Supply};
use skytide_connect::tables;
use skytide_firehose::{Batch, Compression, Cursor, Recorder};
use skytide_sim::{self as sim, Relay, RelayHandle};
use skytide_timestream::engine::{Mode, answer_schema};
use skytide_timestream::plan::{Plan, Results};

const COUNT: &str = "posts.with_key(record.langs[0]).count()";
const WINDOWS: &str = "{ minutes: likes.count(window=since.minutely()), closed: likes.count(window=tumbling.minutely()), \
                       last: likes.count(window=trailing(\"20s\")) }";
const MOVED: &str =
    "{ later: posts.record.text.len().shift_by(\"15s\"), now: posts.seq, likes: likes.count() }";

/// What ended a life.
struct Killed;

/// The same dice every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Frames of the simulated network, twenty a second: signed once for all tests.
fn frames(count: usize) -> Arc<[Bytes]> {
    static FRAMES: OnceLock<Vec<Bytes>> = OnceLock::new();
    let network = || sim::Network::new(sim::Config { accounts: 60, rate: 20, ..sim::Config::default() });
    FRAMES.get_or_init(|| network().take(4000).map(|frame| frame.bytes).collect())[..count].into()
}

/// Shows frames a few at a time.
struct Few {
    frames: Arc<[Bytes]>,
    at: usize,
    dice: Dice,
}

impl Supply for Few {
    fn visit(&mut self, max: usize, _: Duration, show: &mut dyn FnMut(&[u8])) -> Result<Batch, SourceError> {
        let some = self.dice.roll(80) as usize + 1;
        let shown = &self.frames[self.at..self.frames.len().min(self.at + some.min(max))];
        shown.iter().for_each(|frame| show(frame));
        self.at += shown.len();
        Ok(if shown.is_empty() { Batch::Ended } else { Batch::Received(shown.len()) })
    }
}

/// Where frames are that are shown a few at a time, each time in other batches.
fn few(frames: &Arc<[Bytes]>) -> Location {
    let frames = Arc::clone(frames);
    let opened = std::sync::atomic::AtomicU64::new(1);
    Location::Held(Supplier::new(move |_| {
        let seed = opened.fetch_add(1, std::sync::atomic::Ordering::Relaxed) * 0x9E37_79B9;
        Ok(Box::new(Few { frames: Arc::clone(&frames), at: 0, dice: Dice(seed) }))
    }))
}

fn network(location: Location) -> Network {
    let connection = Connection { location, cursor: Cursor::Oldest, ..Connection::default() };
    Network { connection, ..Network::default() }
}

/// A query, and what it reads.
#[derive(Clone)]
struct Case {
    query: &'static str,
    results: Results,
    mode: Mode,
    offers: Vec<Offer>,
    keeps_late: bool,
}

impl Case {
    fn new(query: &'static str, network: Network) -> Self {
        let offers = vec![Offer::Network(Arc::new(network))];
        Self { query, results: Results::history(), mode: Mode::Live, offers, keeps_late: false }
    }

    fn plan(&self) -> Arc<Plan> {
        let sources = Sources::new(self.offers.clone());
        let query = skytide_timestream::compile(self.query, &sources).unwrap();
        Arc::new(skytide_timestream::plan(Arc::new(query), self.results))
    }

    fn options(&self, workers: usize) -> RunOptions {
        RunOptions { mode: self.mode, workers, ..RunOptions::once() }
    }

    fn sources(&self, folder: &Path, is_new: bool) -> Sources {
        let sources = Sources::new(self.offers.clone());
        if !self.keeps_late {
            return sources;
        }
        let mut side = TextFile::ndjson(&folder.join("late.ndjson")).unwrap();
        if is_new {
            side.go_back(None).unwrap();
        }
        sources.late_to(Side::sink(side))
    }

    /// The answer of a run that nobody kills.
    fn whole(&self) -> Told {
        let folder = tempfile::tempdir().unwrap();
        let plan = self.plan();
        let mut sink = TextFile::ndjson(&folder.path().join("rows.ndjson")).unwrap();
        let mut source = self.sources(folder.path(), true).open(&plan, self.mode, &Arc::default()).unwrap();
        let outcome = run(plan, &mut source, &mut sink, &self.options(1), |_, _| {}).unwrap();
        Told::of(folder.path(), &outcome)
    }

    /// A life that ends with its source, or is killed in a turn.
    fn life(&self, folder: &Path, workers: usize, killed: Option<u64>) -> Result<Outcome, Killed> {
        self.try_life(folder, workers, killed, &mut |_| {}).map(Result::unwrap)
    }

    fn try_life(
        &self,
        folder: &Path,
        workers: usize,
        killed: Option<u64>,
        watch: &mut dyn FnMut(u64),
    ) -> Result<Result<Outcome, RunError>, Killed> {
        let plan = self.plan();
        let living = || {
            let saved = folder.join("saved");
            let mut recovery = Recovery::open(&saved, "q", &plan, self.mode)?.every(Duration::ZERO);
            let sources = self.sources(folder, recovery.source().is_none());
            let mut source = sources.reopen(&plan, self.mode, &Arc::default(), recovery.source())?;
            let mut sink = TextFile::ndjson(&folder.join("rows.ndjson"))?;
            let mut turn = 0;
            let options = self.options(workers);
            recovery.run(Arc::clone(&plan), &mut source, &mut sink, &options, |_, _| {
                watch(turn);
                if Some(turn) == killed {
                    // No message, and nothing is finished.
                    resume_unwind(Box::new(Killed));
                }
                turn += 1;
            })
        };
        catch_unwind(AssertUnwindSafe(living)).map_err(|cause| match cause.downcast::<Killed>() {
            Ok(_) => Killed,
            Err(other) => resume_unwind(other),
        })
    }

    /// Lives that are killed in one of their first `turns`, each with another number of workers, until one comes to its end. Some
    /// go on from what was saved a while before they were killed.
    fn lives(&self, dice: &mut Dice, turns: u64) -> (Told, usize) {
        let folder = tempfile::tempdir().unwrap();
        let saved = folder.path().join("saved/q.saved");
        for life in 0.. {
            let workers = [1, 1, 2, 3][dice.roll(4) as usize];
            let killed = (life < 12).then(|| dice.roll(turns));
            let (mut before, keeps) = (None, dice.roll(turns));
            let lived = self.try_life(folder.path(), workers, killed, &mut |turn| {
                if turn == keeps {
                    before = Some(fs::read(&saved).unwrap());
                }
            });
            match lived {
                Ok(outcome) => return (Told::of(folder.path(), &outcome.unwrap()), life),
                Err(Killed) => {
                    if let Some(before) = before.filter(|_| dice.roll(2) == 0) {
                        fs::write(&saved, before).unwrap();
                    }
                }
            }
        }
        unreachable!()
    }
}

/// All that a run tells.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    rows: String,
    /// Of several streams each is in order; which of them comes first depends on batches.
    late: Option<Vec<String>>,
    counted: usize,
    read: u64,
    points: u64,
    dropped: Vec<(&'static str, u64)>,
}

impl Told {
    fn of(folder: &Path, outcome: &Outcome) -> Self {
        assert_eq!(outcome.end, End::Source);
        let status = &outcome.source;
        // Connections and frames that come again are of lives, not of the answer.
        let dropped =
            status.dropped.iter().filter(|(reason, _)| !matches!(**reason, "repeated" | "reconnects"));
        Self {
            rows: fs::read_to_string(folder.join("rows.ndjson")).unwrap(),
            late: fs::read_to_string(folder.join("late.ndjson")).ok().map(|late| {
                let mut lines: Vec<_> = late.lines().map(str::to_owned).collect();
                lines.sort_unstable();
                lines
            }),
            counted: outcome.rows,
            read: status.read,
            points: status.points,
            dropped: dropped.map(|(reason, count)| (*reason, *count)).collect(),
        }
    }

    fn late(&self) -> u64 {
        self.dropped.iter().filter(|(reason, _)| reason.starts_with("late")).map(|(_, count)| count).sum()
    }
}

/// Kills a case in several ways, and holds what is told against a run that nobody kills.
fn hold(case: &Case, seed: u64, times: usize, turns: u64) -> Told {
    hold_to(case.whole(), || case.clone(), seed, times, turns)
}

/// The same of a case that is made for each time.
fn hold_to(whole: Told, case: impl Fn() -> Case, seed: u64, times: usize, turns: u64) -> Told {
    assert_eq!(whole.rows.lines().count(), whole.counted);
    let mut dice = Dice(seed);
    let mut all = 0;
    for time in 0..times {
        let case = case();
        let (told, lives) = case.lives(&mut dice, turns);
        assert!(told == whole, "{} time {time}: {}", case.query, difference(&told, &whole));
        all += lives;
    }
    assert!(all >= times, "it was killed {all} times");
    whole
}

/// Where two differ, in short.
fn difference(told: &Told, whole: &Told) -> String {
    let short = |told: &Told| format!("{} read, {} points, {:?}", told.read, told.points, told.dropped);
    let lines = told.rows.lines().zip(whole.rows.lines()).position(|(one, other)| one != other);
    format!(
        "{} rows ({}), not {} ({}); the first that differs is {lines:?}; late ones are the same: {}",
        told.rows.lines().count(),
        short(told),
        whole.rows.lines().count(),
        short(whole),
        told.late == whole.late,
    )
}

#[test]
fn killed_anywhere_each_row_is_there_once() {
    let frames = frames(2000);
    for (seed, query) in (1..).zip([COUNT, WINDOWS, MOVED]) {
        let case = Case::new(query, network(few(&frames)));
        let told = hold(&case, seed, 3, 20);
        assert!(told.counted > 100 && told.read == 2000, "{query}");
        // What comes only at the end.
        for results in [Results::history(), Results::snapshot()] {
            hold(&Case { results, mode: Mode::Once, ..case.clone() }, seed, 1, 20);
        }
    }
}

#[test]
fn a_snapshot_that_is_kept_current_ends_with_the_same_rows() {
    // How many rows a key has on the way there depends on batches.
    let last = |told: &Told| {
        let rows = told.rows.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        rows.map(|row| (row["_key"].to_string(), row)).collect::<BTreeMap<_, _>>()
    };
    let case = Case::new(WINDOWS, network(few(&frames(2000))));
    let case = Case { results: Results::snapshot(), ..case };
    let whole = last(&case.whole());
    let (told, lives) = case.lives(&mut Dice(7), 20);
    assert_eq!(last(&told), whole);
    assert!(whole.len() > 20 && lives > 0);
}

#[test]
fn what_is_late_and_what_waits_is_as_it_was() {
    let frames = frames(2000);
    let query = "{ texts: posts.record.text, likes: likes.filter(seq > 7).count() }";
    for (seed, clock) in (10..).zip([Clock::CreatedAt, Clock::Rev]) {
        for late in [Late::Drop, Late::Side] {
            let lateness = Duration::from_secs(if clock == Clock::Rev { 1 } else { 20 });
            let network = Network { clock, lateness, late, ..network(few(&frames)) };
            let case = Case { keeps_late: late == Late::Side, ..Case::new(query, network) };
            let told = hold(&case, seed, 3, 20);
            assert!(told.counted > 100, "{clock:?} {late:?}");
            assert!(clock == Clock::Rev || told.late() > 20, "{clock:?} {late:?}: {}", told.late());
            let kept = told.late.as_ref().map_or(0, Vec::len);
            assert_eq!(kept as u64, if late == Late::Side { told.late() } else { 0 });
            // All that there is, sorted.
            hold(&Case { mode: Mode::Once, keeps_late: false, ..case }, seed, 1, 20);
        }
    }
}

#[test]
fn a_stop_takes_nothing_from_the_answer() {
    let frames = frames(1500);
    let network =
        Network { clock: Clock::CreatedAt, lateness: Duration::from_secs(20), ..network(few(&frames)) };
    for (mode, results) in [(Mode::Live, Results::history()), (Mode::Once, Results::snapshot())] {
        let case = Case { mode, results, ..Case::new(COUNT, network.clone()) };
        let folder = tempfile::tempdir().unwrap();
        let plan = case.plan();
        let mut lives = 0;
        loop {
            let saved = folder.path().join("saved");
            let mut recovery = Recovery::open(&saved, "q", &plan, mode).unwrap();
            let sources = case.sources(folder.path(), true);
            let mut source = sources.reopen(&plan, mode, &Arc::default(), recovery.source()).unwrap();
            let mut sink = TextFile::ndjson(&folder.path().join("rows.ndjson")).unwrap();
            let (options, mut turns) = (case.options(1), 0);
            let stop = options.stop.clone();
            let outcome = recovery
                .run(Arc::clone(&plan), &mut source, &mut sink, &options, |_, _| {
                    turns += 1;
                    if turns == 17 {
                        stop.stop();
                    }
                })
                .unwrap();
            lives += 1;
            if outcome.end == End::Source {
                assert_eq!(Told::of(folder.path(), &outcome), case.whole());
                break;
            }
        }
        assert!(lives > 2, "{lives}");
        // One more finds nothing to do.
        let before = fs::read(folder.path().join("rows.ndjson")).unwrap();
        assert!(case.life(folder.path(), 2, None).is_ok());
        assert!(fs::read(folder.path().join("rows.ndjson")).unwrap() == before && !before.is_empty());
    }
}

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
    fs::write(&path, csv + "2026-01-01T01:00:00Z,k,1\n").unwrap();
    case.offers[1] = files();
    let refused = case.try_life(lives.path(), 1, None, &mut |_| {}).unwrap_or_else(|_| panic!());
    assert!(refused.unwrap_err().to_string().contains("`scores` of 1 files"));
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
fn a_limit_is_of_all_lives_and_csv_has_one_header() {
    let case = Case::new(COUNT, network(few(&frames(1500))));
    let (plan, folder) = (case.plan(), tempfile::tempdir().unwrap());
    let path = folder.path().join("rows.csv");
    let lives = |limit: usize, killed: Option<usize>| {
        let options = RunOptions { limit: Some(limit), ..RunOptions::live() };
        let living = || {
            let saved = folder.path().join("saved");
            let mut recovery = Recovery::open(&saved, "q", &plan, Mode::Live).unwrap().every(Duration::ZERO);
            let source = case.sources(folder.path(), true);
            let mut source = source.reopen(&plan, Mode::Live, &Arc::default(), recovery.source()).unwrap();
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

/// What a life is refused for.
fn refused(case: &Case, folder: &Path) -> String {
    let lived = case.try_life(folder, 1, None, &mut |_| panic!("it runs")).unwrap_or_else(|_| panic!());
    lived.unwrap_err().to_string()
}

#[test]
fn what_was_saved_of_something_else_is_refused() {
    let frames = frames(600);
    let read = Network { clock: Clock::CreatedAt, ..network(few(&frames)) };
    let case = Case::new(COUNT, read.clone());
    let folder = tempfile::tempdir().unwrap();
    assert!(case.life(folder.path(), 1, Some(5)).is_err());
    let saved = folder.path().join("saved/q.saved");
    let before = fs::read(&saved).unwrap();
    let with = |change: &dyn Fn(&mut Network)| {
        let mut other = read.clone();
        change(&mut other);
        refused(&Case::new(COUNT, other), folder.path())
    };

    let other = refused(&Case::new("likes.count()", read.clone()), folder.path());
    assert!(other.contains(&format!("is of the query `{COUNT}`; this one is `likes.count()`")), "{other}");
    let snapshot = refused(&Case { results: Results::snapshot(), ..case.clone() }, folder.path());
    assert!(snapshot.contains("of this query run in another way"), "{snapshot}");
    let once = refused(&Case { mode: Mode::Once, ..case.clone() }, folder.path());
    assert!(once.contains("made in Live mode, the job runs in Once mode"), "{once}");
    let address = with(&|network| network.connection.location = "ws://127.0.0.1:1".into());
    assert!(
        address.contains("reads the program's frames by createdAt")
            && address.contains("reads ws://127.0.0.1:1 by"),
        "{address}"
    );
    assert!(with(&|network| network.clock = Clock::FrameTime).contains("reads the program's frames"));
    assert!(with(&|network| network.lateness = Duration::from_secs(9)).contains("lateness 9s"));
    assert!(with(&|network| network.late = Late::Error).contains("late points: Error"));

    // Bytes that are none of it.
    let named = |bytes: &[u8]| {
        fs::write(&saved, bytes).unwrap();
        refused(&case, folder.path())
    };
    assert!(named(b"something else").ends_with("q.saved is not a saved run"));
    assert!(named(&before[..before.len() - 1]).contains("is damaged"));
    let mut newer = before.clone();
    newer[8] = 2;
    assert!(named(&newer).contains("has version 2, this program reads version 1"));
    let mut changed = before.clone();
    changed[before.len() / 2] ^= 1;
    assert!(named(&changed).contains("is damaged: its checksum does not fit"));
    fs::write(&saved, &before).unwrap();

    // Rows that are not where they were.
    let rows = folder.path().join("rows.ndjson");
    let text = fs::read(&rows).unwrap();
    fs::write(&rows, b"").unwrap();
    assert!(refused(&case, folder.path()).contains("rows.ndjson: it has 0 bytes, and had"));
    fs::write(&rows, text).unwrap();
    let plan = case.plan();
    let recovery = Recovery::open(&folder.path().join("saved"), "q", &plan, Mode::Live).unwrap();
    let mut elsewhere = TextFile::ndjson(&folder.path().join("other.ndjson")).unwrap();
    let mut recovery = recovery;
    let mut source = case
        .sources(folder.path(), true)
        .reopen(&plan, Mode::Live, &Arc::default(), recovery.source())
        .unwrap();
    let busy = Recovery::open(&folder.path().join("saved"), "q", &plan, Mode::Live);
    assert!(matches!(busy, Err(RecoveryError::Busy { .. })));
    let options = case.options(1);
    let error =
        recovery.run(plan, &mut source, &mut elsewhere, &options, |_, _| panic!("it runs")).unwrap_err();
    assert!(error.to_string().contains("rows.ndjson"), "{error}");
    drop(recovery);

    // What a run left that was killed as it saved is swept away; then it goes on.
    let left = folder.path().join("saved/.q.saved.abc.part");
    fs::write(&left, b"half").unwrap();
    assert!(case.life(folder.path(), 1, None).is_ok());
    assert!(!left.exists());
    assert_eq!(fs::read_to_string(&rows).unwrap(), case.whole().rows);
}

#[test]
fn what_cannot_be_gone_on_with_is_told_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let repos = Case::new(COUNT, network(Location::Repos(vec!["no.car".into()])));
    let told = refused(&repos, folder.path());
    assert!(told.contains("exported repositories cannot be gone on with in another run"), "{told}");
    let fields = arrow_schema::Fields::from(vec![
        arrow_schema::Field::new("t", arrow_schema::DataType::Int64, true),
        arrow_schema::Field::new("k", arrow_schema::DataType::Utf8, true),
    ]);
    let table = tables::Table::new(tables::Definition {
        name: "m".to_owned(),
        fields,
        time: "t".to_owned(),
        hides_time: false,
        key: "k".to_owned(),
        subsort: None,
        grouping: None,
        unit: arrow_schema::TimeUnit::Nanosecond,
        keeps: true,
        lateness: Duration::ZERO,
        late: Late::Drop,
    });
    let table = table.unwrap();
    let offer = Offer::Table { name: "m".to_owned(), table, idle: None };
    let case = Case { offers: vec![offer], ..Case::new("m.count()", Network::default()) };
    let told = refused(&case, folder.path());
    assert!(
        told.contains("table `m` cannot be gone on with in another run: rows that a program pushed"),
        "{told}"
    );
}

#[test]
fn bytes_that_somebody_made_do_no_harm() {
    let read =
        Network { clock: Clock::CreatedAt, lateness: Duration::from_secs(20), ..network(few(&frames(300))) };
    let case = Case::new("{ posts: posts.record.langs, likes: likes.count() }", read);
    let folder = tempfile::tempdir().unwrap();
    assert!(case.life(folder.path(), 1, Some(6)).is_err());
    let saved = folder.path().join("saved/q.saved");
    let before = fs::read(&saved).unwrap();
    let plan = case.plan();
    let sources = case.sources(folder.path(), false);
    let mut dice = Dice(99);
    let (mut refused, mut read) = (0, 0);
    for _ in 0..1000 {
        let mut bytes = before[..before.len() - 8].to_vec();
        // Lengths are at multiples of eight.
        let at = 24 + dice.roll(bytes.len() as u64 - 32) as usize;
        if dice.roll(2) == 0 {
            bytes[at] ^= 1 << dice.roll(8);
        } else {
            let at = at / 8 * 8;
            let length = [u64::MAX, i64::MAX as u64, 1 << 40, 0, dice.roll(5000)][dice.roll(5) as usize];
            bytes[at..at + 8].copy_from_slice(&length.to_le_bytes());
        }
        let sum = twox_hash::XxHash3_64::oneshot(&bytes);
        bytes.extend(sum.to_le_bytes());
        fs::write(&saved, bytes).unwrap();
        let opened = Recovery::open(&folder.path().join("saved"), "q", &plan, Mode::Live);
        let opened = opened.map_err(RunError::from).and_then(|recovery| {
            Ok(sources.reopen(&plan, Mode::Live, &Arc::default(), recovery.source()).map(drop)?)
        });
        match opened {
            Ok(()) => read += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 150 && read > 30, "{refused} refused, {read} read");
}
