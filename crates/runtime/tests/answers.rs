//! One answer, whatever the number of workers, the batches, and the restarts; and each of them really taken.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so where it cannot go on")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{
    Event, chain, count_by_text, epochs, event, events, every, meeting, options, run, run_restored,
};
use proptest::prelude::*;
use skytide_runtime::{Epoch, Job, Options};
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::{Plan, Results};

fn plans() -> Vec<(&'static str, Arc<Plan>)> {
    vec![
        ("count by text", count_by_text(Results::history())),
        ("count by text, snapshot", count_by_text(Results::snapshot())),
        ("as it is", common::as_it_is()),
        ("chain", chain()),
        ("meeting", meeting(Results::history())),
        ("meeting, snapshot", meeting(Results::snapshot())),
    ]
}

/// The answer of [`count_by_text`] by a plain fold.
fn counted(events: &[Event]) -> Vec<String> {
    let mut counts: BTreeMap<&Option<String>, u64> = BTreeMap::new();
    let mut answer = Vec::new();
    for Event { time, text, .. } in events.iter().filter(|event| event.source == 0) {
        let count = counts.entry(text).or_default();
        // A null text is not counted, though null is a key (SEMANTICS 2.4, 4.2).
        *count += u64::from(text.is_some());
        answer.push(format!("{time},{},{count}", text.as_deref().unwrap_or("null")));
    }
    answer
}

#[test]
fn counts_by_key_in_the_order_of_events() {
    let events = events(2_000);
    let plan = count_by_text(Results::history());
    let expected = counted(&events);
    for workers in 1..=3 {
        for size in [1, 7, 300, events.len()] {
            let (answer, report) =
                run(&plan, options(workers), epochs(&plan, &events, &every(size, &events)));
            assert_eq!(answer, expected, "{workers} workers, epochs of {size}");
            assert_eq!(report.epochs as usize, events.len().div_ceil(size));
            assert_eq!(report.rows_out as usize, expected.len());
            assert_eq!(report.newest, events.last().map(|event| event.time));
            assert_eq!(report.regions[1].keys(), 18, "17 texts and null");
            assert_eq!(report.regions[1].rows_in as usize, expected.len());
            assert!(
                report.workers.len() == workers && report.workers.iter().all(|worker| worker.batches > 0)
            );
        }
    }
}

#[test]
fn is_one_answer_for_any_workers_and_batches() {
    let events = events(700);
    for (name, plan) in plans() {
        let (expected, _) = run(&plan, options(1), epochs(&plan, &events, &[]));
        assert!(!expected.is_empty());
        for workers in 1..=3 {
            for size in [1, 5, 64, 350] {
                let (answer, report) =
                    run(&plan, options(workers), epochs(&plan, &events, &every(size, &events)));
                assert_eq!(answer, expected, "{name}: {workers} workers, epochs of {size}");
                let used = report.workers.iter().filter(|worker| worker.batches > 0).count();
                let wanted = if name == "as it is" { 1 } else { workers };
                assert_eq!(used, wanted, "{name}: {:?}", report.workers);
            }
        }
    }
}

#[test]
fn goes_on_from_a_checkpoint_with_any_number_of_workers() {
    let events = events(120);
    for (name, plan) in plans() {
        let all = || epochs(&plan, &events, &every(4, &events));
        let (expected, _) = run(&plan, options(1), all());
        // At every boundary, up and down between 1 and 3 workers.
        let (answer, restores) =
            run_restored(&plan, 2, all(), |epoch| (epoch > 0).then_some(1 + epoch * 2 % 3));
        assert_eq!(restores, all().len() - 1);
        assert_eq!(answer, expected, "{name}");
    }
}

#[test]
fn shows_a_snapshot_at_the_end_by_key() {
    let events = [
        event(10, 0, "a", Some("x"), 1),
        event(20, 0, "b", None, 2),
        event(30, 0, "c", Some("b"), 3),
        event(40, 0, "c", Some("x"), 3),
    ];
    let plan = count_by_text(Results::snapshot());
    for workers in 1..=3 {
        let mut all = epochs(&plan, &events, &every(1, &events));
        // An event that the scan did not want is the newest all the same; the end is no event.
        all.push(Epoch { scans: vec![None], watermark: 70 });
        all.push(Epoch { scans: vec![None], watermark: i64::MAX });
        let (answer, report) = run(&plan, options(workers), all);
        assert_eq!(answer, ["71,null,0", "71,b,1", "71,x,2"]);
        assert_eq!((report.newest, report.epochs), (Some(70), 6));
        assert!(report.results.bytes > 0);

        let live = Options { mode: Mode::Live, ..options(workers) };
        let (answer, report) = run(&plan, live, epochs(&plan, &events, &every(2, &events)));
        assert_eq!(answer, ["11,x,1", "21,null,0", "31,b,1", "41,x,2"]);
        assert_eq!(report.results.bytes, 0);
    }
}

#[test]
fn answers_nothing_to_nothing() {
    for (_, plan) in plans() {
        for workers in 1..=2 {
            let (answer, report) = run(&plan, options(workers), Vec::new());
            assert!(answer.is_empty());
            assert_eq!((report.epochs, report.newest, report.state_bytes()), (0, None, report.state_bytes()));

            let empty = Epoch { scans: vec![None; plan.scans.len()], watermark: i64::MIN };
            let (answer, report) = run(&plan, options(workers), vec![empty; 5]);
            assert!(answer.is_empty());
            assert_eq!((report.epochs, report.newest), (5, None));
            assert!(report.workers.iter().all(|worker| worker.batches == 0));
        }
    }
}

#[test]
fn keeps_answers_over_a_checkpoint() {
    let events = events(50);
    let plan = count_by_text(Results::history());
    for workers in 1..=2 {
        let mut job = Job::start(Arc::clone(&plan), options(workers), None).unwrap();
        for epoch in epochs(&plan, &events, &every(10, &events)) {
            job.push(epoch).unwrap();
        }
        let checkpoint = job.checkpoint().unwrap();
        assert_eq!(checkpoint.newest(), events.last().map(|event| event.time));
        assert_eq!(job.checkpoint().unwrap(), checkpoint, "reading the state does not change it");
        assert_eq!(common::lines(&job.settle().unwrap()), counted(&events));
        assert!(job.settle().unwrap().is_empty());
    }
}

/// Events in order, with few keys and many equal times.
fn some_events() -> impl Strategy<Value = Vec<Event>> {
    let event = (
        0..3_i64,
        0..2_u16,
        proptest::option::of("[a-d]"),
        proptest::option::of("[a-e]"),
        proptest::option::of(-9..9_i64),
    );
    proptest::collection::vec(event, 0..60).prop_map(|events| {
        let mut time = 0;
        let mut events: Vec<Event> = events
            .into_iter()
            .map(|(later, source, key, text, number)| {
                time += later;
                Event { time, source, key, text, number }
            })
            .collect();
        events.sort_by_key(|event| (event.time, event.source));
        events
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_cuts_workers_and_restarts_give_one_answer(
        events in some_events(),
        cuts in proptest::collection::vec(0_usize..60, 0..12),
        workers in 1_usize..4,
        restarts in proptest::collection::vec(proptest::option::of(1_usize..4), 13),
        which in 0_usize..6,
    ) {
        let (_, plan) = plans().swap_remove(which);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(events.len())).collect();
        cuts.sort_unstable();
        let (expected, _) = run(&plan, options(1), epochs(&plan, &events, &[]));
        let (answer, _) = run(&plan, options(workers), epochs(&plan, &events, &cuts));
        prop_assert_eq!(&answer, &expected);
        let (answer, _) = run_restored(&plan, workers, epochs(&plan, &events, &cuts), |epoch| restarts[epoch]);
        prop_assert_eq!(&answer, &expected);
    }
}
