//! The language tests of `tests/language`, and the examples of every function, in every way of running a query.
//!
//! `SKYTIDE_ACCEPT=1` writes the reference's answers into the files; a person then reads what changed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by failing")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use skytide_testkit::format::{Expected, TestFile};
use skytide_testkit::suite::Tally;
use skytide_testkit::ways::Way;
use skytide_timestream::functions;

/// The rules of the language that this version touches, each of which has a case.
const RULES: [&str; 20] = [
    "1.1", "1.2", "1.3", "1.4", "1.5", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "4.1", "4.2", "6.2", "7.2",
    "7.5", "7.6", "7.7", "8.1", "8.2",
];

fn files() -> Vec<(String, PathBuf, TestFile)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/language");
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let file = TestFile::parse(&fs::read_to_string(&path).unwrap());
        let file = file.unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, path, file)
    };
    paths.into_iter().map(read).collect()
}

/// Every way but one is taken by every query; live by those of one source that has events.
fn assert_ways_were_taken(tally: &Tally) {
    for way in Way::all() {
        let (runs, taken) = tally.way(&way);
        match way {
            Way::Live => {
                assert!(runs * 10 >= tally.answered * 8, "{runs} of {} live", tally.answered);
                assert!(taken.frames > 3 * runs as u64 && taken.pauses > 0, "{taken:?}");
            }
            _ => assert_eq!(runs, tally.answered, "{way:?}"),
        }
        match way {
            Way::BatchesOfOne => assert!(taken.epochs > tally.answered as u64, "{taken:?}"),
            Way::Workers(workers) => {
                assert_eq!(taken.batches.len(), workers);
                assert!(taken.batches.iter().all(|batches| *batches > 0), "{taken:?}");
            }
            Way::Restored(_) => {
                assert!(
                    taken.restores == taken.epochs && taken.restores > 0 && taken.restored_bytes > 0,
                    "{taken:?}"
                );
            }
            _ => {}
        }
    }
}

/// The judge is judged first: against rows that were worked out by hand, without an engine.
#[test]
fn the_reference_gives_the_rows_of_every_case_and_example() {
    let accept = std::env::var_os("SKYTIDE_ACCEPT").is_some_and(|value| value == "1");
    let mut tally = Tally::default();
    for (name, path, file) in files() {
        let answers: Vec<_> = file
            .cases
            .iter()
            .map(|case| tally.ask_reference(&name, case).map(|answer| answer.render()))
            .collect();
        if accept {
            fs::write(path, file.with_answers(&answers)).unwrap();
        }
    }
    for function in functions::all() {
        tally.ask_reference_examples(function);
    }
    assert!(tally.failures.is_empty(), "{} failures:\n{}", tally.failures.len(), tally.failures.join("\n"));
}

#[test]
fn every_case_gives_its_rows_in_every_way() {
    let mut tally = Tally::default();
    let mut dropped = 0;
    for (name, _, file) in files() {
        for case in &file.cases {
            tally.run(&name, case);
        }
        dropped += file.cases.iter().filter(|case| matches!(case.expected, Expected::Error(_))).count();
    }
    assert!(tally.failures.is_empty(), "{} failures:\n{}", tally.failures.len(), tally.failures.join("\n"));
    assert_eq!(tally.refused, dropped);
    assert!(tally.answered >= 90, "{} cases", tally.answered);
    assert_ways_were_taken(&tally);
    let (_, one_by_one) = tally.way(&Way::BatchesOfOne);
    assert!(one_by_one.dropped > 0, "no scan's test dropped an event: {one_by_one:?}");
}

#[test]
fn every_example_of_a_function_gives_its_rows_in_every_way() {
    let mut tally = Tally::default();
    for function in functions::all() {
        tally.run_examples(function);
    }
    assert!(tally.failures.is_empty(), "{} failures:\n{}", tally.failures.len(), tally.failures.join("\n"));
    assert!(tally.answered >= functions::all().count(), "{} examples", tally.answered);
    assert_ways_were_taken(&tally);
}

#[test]
fn every_rule_has_a_case() {
    let covered: BTreeSet<String> = files().into_iter().flat_map(|(_, _, file)| file.rules).collect();
    let missing: Vec<_> = RULES.iter().filter(|rule| !covered.contains(**rule)).collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}
