//! Queries that are killed and go on, and what is told of them.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use skytide_connect::late::Side;
use skytide_connect::network::{Connection, Location, Network};
use skytide_connect::recovery::Recovery;
use skytide_connect::run::{End, Outcome, RunError, RunOptions, run};
use skytide_connect::sink::{FileFormat, FileSink, Ndjson, Roll, Sink, TextFile};
use skytide_connect::source::SourceError;
use skytide_connect::sources::{Offer, Sources};
use skytide_connect::supply::{Supplier, Supply};
use skytide_firehose::{Batch, Cursor};
use skytide_sim::{self as sim};
use skytide_timestream::engine::{Mode, answer_schema};
use skytide_timestream::plan::{Plan, Results};

pub(crate) const COUNT: &str = "posts.with_key(record.langs[0]).count()";
pub(crate) const WINDOWS: &str = "{ minutes: likes.count(window=since.minutely()), closed: likes.count(window=tumbling.minutely()), \
                       last: likes.count(window=trailing(\"20s\")) }";
pub(crate) const MOVED: &str =
    "{ later: posts.record.text.len().shift_by(\"15s\"), now: posts.seq, likes: likes.count() }";

/// Far longer than any life takes: one that waits for ever fails its test.
const LIMIT: Duration = Duration::from_secs(120);

/// What ended a life.
pub(crate) struct Killed;

/// The same dice every time.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Frames of the simulated network, twenty a second: signed once for all tests.
pub(crate) fn frames(count: usize) -> Arc<[Bytes]> {
    static FRAMES: OnceLock<Vec<Bytes>> = OnceLock::new();
    let network = || sim::Network::new(sim::Config { accounts: 60, rate: 20, ..sim::Config::default() });
    FRAMES.get_or_init(|| network().take(4000).map(|frame| frame.bytes).collect())[..count].into()
}

/// Shows frames a few at a time.
pub(crate) struct Few {
    pub(crate) frames: Arc<[Bytes]>,
    pub(crate) at: usize,
    pub(crate) dice: Dice,
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
pub(crate) fn few(frames: &Arc<[Bytes]>) -> Location {
    let frames = Arc::clone(frames);
    let opened = std::sync::atomic::AtomicU64::new(1);
    Location::Held(Supplier::new(move |_| {
        let seed = opened.fetch_add(1, std::sync::atomic::Ordering::Relaxed) * 0x9E37_79B9;
        Ok(Box::new(Few { frames: Arc::clone(&frames), at: 0, dice: Dice(seed) }))
    }))
}

pub(crate) fn network(location: Location) -> Network {
    let connection = Connection { location, cursor: Cursor::Oldest, ..Connection::default() };
    Network { connection, ..Network::default() }
}

/// A query, and what it reads.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) query: &'static str,
    pub(crate) results: Results,
    pub(crate) mode: Mode,
    pub(crate) offers: Vec<Offer>,
    pub(crate) keeps_late: bool,
    pub(crate) output: Output,
}

/// Where the rows go.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Output {
    Lines,
    File(FileFormat),
    Folder(FileFormat, Roll),
}

impl Case {
    pub(crate) fn new(query: &'static str, network: Network) -> Self {
        let offers = vec![Offer::Network(Arc::new(network))];
        let (results, mode) = (Results::history(), Mode::Live);
        Self { query, results, mode, offers, keeps_late: false, output: Output::Lines }
    }

    pub(crate) fn plan(&self) -> Arc<Plan> {
        let sources = Sources::new(self.offers.clone());
        let query = skytide_timestream::compile(self.query, &sources).unwrap();
        Arc::new(skytide_timestream::plan(Arc::new(query), self.results))
    }

    pub(crate) fn options(&self, workers: usize) -> RunOptions {
        RunOptions { mode: self.mode, workers, ..RunOptions::once() }
    }

    pub(crate) fn sources(&self, folder: &Path, is_new: bool) -> Sources {
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
    pub(crate) fn whole(&self) -> Told {
        let folder = tempfile::tempdir().unwrap();
        let plan = self.plan();
        let mut sink = TextFile::ndjson(&folder.path().join("rows.ndjson")).unwrap();
        let mut source = self.sources(folder.path(), true).open(&plan, self.mode).unwrap();
        let begun = Instant::now();
        let watch = |_: &_, _| self.is_in_time(begun);
        let outcome = run(plan, &mut source, &mut sink, &self.options(1), watch).unwrap();
        Told::of(folder.path(), &outcome)
    }

    pub(crate) fn is_in_time(&self, begun: Instant) {
        assert!(begun.elapsed() < LIMIT, "{} has not come to its end", self.query);
    }

    /// Where the rows of a life go, which is saved there.
    fn sink(&self, folder: &Path, plan: &Plan, recovery: &Recovery) -> Result<Box<dyn Sink>, RunError> {
        let schema = answer_schema(plan).unwrap();
        let sink = match self.output {
            Output::Lines => return Ok(Box::new(TextFile::ndjson(&folder.join("rows.ndjson"))?)),
            Output::File(format) => {
                FileSink::file(&folder.join("rows").with_extension(format.ending()), format, &schema)
            }
            Output::Folder(format, roll) => FileSink::folder(&folder.join("rows"), format, &schema, roll),
        };
        Ok(Box::new(sink?.kept_in(&recovery.rows())?))
    }

    /// A life that ends with its source, or is killed in a turn.
    pub(crate) fn life(&self, folder: &Path, workers: usize, killed: Option<u64>) -> Result<Outcome, Killed> {
        self.try_life(folder, workers, killed, &mut |_| {}).map(Result::unwrap)
    }

    pub(crate) fn try_life(
        &self,
        folder: &Path,
        workers: usize,
        killed: Option<u64>,
        watch: &mut dyn FnMut(u64),
    ) -> Result<Result<Outcome, RunError>, Killed> {
        let plan = self.plan();
        let living = || {
            let saved = folder.join("saved");
            let recovery = Recovery::open(&saved, "q", &plan, self.mode)?.every(Duration::ZERO);
            let sources = self.sources(folder, recovery.source().is_none());
            let mut source = sources.reopen(&plan, self.mode, recovery.source())?;
            let mut sink = self.sink(folder, &plan, &recovery)?;
            let (mut turn, begun) = (0, Instant::now());
            let options = self.options(workers);
            recovery.run(Arc::clone(&plan), &mut source, sink.as_mut(), &options, |_, _| {
                self.is_in_time(begun);
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

    /// Lives that are killed in one of their first `turns`, each with another number of workers, until one
    /// comes to its end. Some go on from what was saved a while before they were killed.
    pub(crate) fn lives(&self, dice: &mut Dice, turns: u64) -> (Told, usize) {
        let folder = tempfile::tempdir().unwrap();
        let saved = folder.path().join("saved");
        for life in 0.. {
            let workers = [1, 1, 2, 3][dice.roll(4) as usize];
            let killed = (life < 12).then(|| dice.roll(turns));
            let (mut before, keeps) = (None, dice.roll(turns));
            let lived = self.try_life(folder.path(), workers, killed, &mut |turn| {
                if turn == keeps {
                    before = Some(files(&saved));
                }
            });
            match lived {
                Ok(outcome) => return (Told::of(folder.path(), &outcome.unwrap()), life),
                Err(Killed) => {
                    if let Some(before) = before.filter(|_| dice.roll(2) == 0) {
                        files(&saved).keys().for_each(|name| fs::remove_file(saved.join(name)).unwrap());
                        before.iter().for_each(|(name, bytes)| fs::write(saved.join(name), bytes).unwrap());
                    }
                }
            }
        }
        unreachable!()
    }
}

/// The files of a folder.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

/// The rows of a Parquet or Arrow file, as JSON lines.
pub(crate) fn lines_of(name: &str, bytes: Vec<u8>) -> String {
    let batches: Vec<_> = if name.ends_with(".arrow") {
        let reader = arrow_ipc::reader::FileReader::try_new(std::io::Cursor::new(bytes), None).unwrap();
        reader.map(Result::unwrap).collect()
    } else {
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap();
        reader.build().unwrap().map(Result::unwrap).collect()
    };
    let mut text = Vec::new();
    let mut lines = Ndjson::new(&mut text);
    batches.iter().for_each(|batch| lines.write(batch).unwrap());
    String::from_utf8(text).unwrap()
}

/// All that a run tells.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) rows: String,
    /// Of several streams each is in order; which of them comes first depends on batches.
    pub(crate) late: Option<Vec<String>>,
    pub(crate) counted: usize,
    pub(crate) read: u64,
    pub(crate) points: u64,
    pub(crate) dropped: Vec<(&'static str, u64)>,
}

impl Told {
    pub(crate) fn of(folder: &Path, outcome: &Outcome) -> Self {
        assert_eq!(outcome.end, End::Source);
        let status = &outcome.source;
        // Connections and frames that come again are of lives, not of the answer.
        let dropped =
            status.dropped.iter().filter(|(reason, _)| !matches!(**reason, "repeated" | "reconnects"));
        Self {
            rows: rows(folder),
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

    pub(crate) fn late(&self) -> u64 {
        self.dropped.iter().filter(|(reason, _)| reason.starts_with("late")).map(|(_, count)| count).sum()
    }
}

/// The rows that were given out, as JSON lines, whatever they are in.
fn rows(folder: &Path) -> String {
    if folder.join("rows").is_dir() {
        return files(&folder.join("rows")).into_iter().map(|(name, bytes)| lines_of(&name, bytes)).collect();
    }
    let file = |ending: &str| fs::read(folder.join("rows").with_extension(ending)).ok();
    let whole = |ending: &str| Some(lines_of(&format!(".{ending}"), file(ending)?));
    let text = || file("ndjson").map(|bytes| String::from_utf8(bytes).unwrap());
    whole("parquet").or_else(|| whole("arrow")).or_else(text).unwrap()
}

/// Kills a case in several ways, and holds what is told against a run that nobody kills.
pub(crate) fn hold(case: &Case, seed: u64, times: usize, turns: u64) -> Told {
    hold_to(case.whole(), || case.clone(), seed, times, turns)
}

/// The same of a case that is made for each time.
pub(crate) fn hold_to(whole: Told, case: impl Fn() -> Case, seed: u64, times: usize, turns: u64) -> Told {
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
pub(crate) fn difference(told: &Told, whole: &Told) -> String {
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
