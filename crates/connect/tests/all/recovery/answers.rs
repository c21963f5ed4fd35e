//! What is answered over lives that are killed is what one life answers.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use skytide_atproto::columns::Clock;
use skytide_connect::late::Late;
use skytide_connect::network::{Location, Network};
use skytide_connect::recovery::Recovery;
use skytide_connect::run::{End, RunError};
use skytide_connect::sink::TextFile;
use skytide_connect::source::SourceError;
use skytide_connect::supply::{Supplier, Supply};
use skytide_firehose::Batch;
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Results;

use super::case::*;

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
            // Much waits, and little is late; or the other way round, so that it matters after any frame by
            // what that is judged.
            let lateness = Duration::from_secs(if late == Late::Side { 20 } else { 1 });
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
            let recovery = Recovery::open(&saved, "q", &plan, mode).unwrap();
            let sources = case.sources(folder.path(), true);
            let mut source = sources.reopen(&plan, mode, recovery.source()).unwrap();
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

/// Fails once it has shown so many frames.
struct Failing(Few, usize);

impl Supply for Failing {
    fn visit(
        &mut self,
        max: usize,
        wait: Duration,
        show: &mut dyn FnMut(&[u8]),
    ) -> Result<Batch, SourceError> {
        if self.0.at >= self.1 {
            return Err(SourceError::Supply("it is gone".into()));
        }
        self.0.visit(max, wait, show)
    }
}

#[test]
fn what_has_failed_goes_on_from_before_it_failed() {
    let all = frames(1500);
    let fails = Arc::new(AtomicBool::new(true));
    let location = || {
        let (frames, fails) = (Arc::clone(&all), Arc::clone(&fails));
        Location::Held(Supplier::new(move |_| {
            let whole = Few { frames: Arc::clone(&frames), at: 0, dice: Dice(7) };
            let until = if fails.swap(false, Ordering::Relaxed) { 700 } else { usize::MAX };
            Ok(Box::new(Failing(whole, until)))
        }))
    };
    for clock in [Clock::FrameTime, Clock::CreatedAt] {
        let by_clock = |network| Network { clock, lateness: Duration::from_secs(20), ..network };
        let whole = Case::new(COUNT, by_clock(network(few(&all)))).whole();
        let (case, folder) = (Case::new(COUNT, by_clock(network(location()))), tempfile::tempdir().unwrap());
        fails.store(true, Ordering::Relaxed);
        let Ok(failed) = case.try_life(folder.path(), 1, None, &mut |_| {}) else { panic!() };
        assert!(matches!(failed, Err(RunError::Source(SourceError::Supply(_)))));
        let Ok(outcome) = case.life(folder.path(), 1, None) else { panic!() };
        let told = Told::of(folder.path(), &outcome);
        assert!(told == whole, "{}", difference(&told, &whole));
    }
}
