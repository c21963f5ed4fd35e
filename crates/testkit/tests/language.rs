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

/// Rules that cases cannot show, since they are about sources and clocks: the tests that do, by file.
const ELSEWHERE: [(&str, &str, &[&str]); 4] = [
    (
        "7.3",
        "crates/atproto/src/clock.rs",
        &[
            "time_is_the_running_maximum",
            "a_time_is_believed_up_to_five_minutes_ahead",
            "what_is_not_beyond_its_arrival_is_no_leap",
            "it_is_believed_up_to_five_minutes_after_its_arrival",
            "sixteen_in_a_row_move_the_clock_to_their_lowest",
            "the_first_of_a_connection_is_capped_by_its_arrival",
        ],
    ),
    (
        "7.3",
        "crates/connect/tests/all/firehose.rs",
        &["other_clocks_are_put_in_order", "late_points_of_a_network_follow_its_policy"],
    ),
    (
        "7.3",
        "crates/connect/tests/all/tables.rs",
        &[
            "lateness_is_told_row_by_row_whatever_came_in_one_push",
            "live_answers_history_then_what_is_pushed_and_late_rows_are_counted",
            "late_rows_that_are_kept_go_to_the_side_whole",
            "a_source_can_stop_at_its_first_late_row",
            "what_was_no_longer_waited_for_follows_the_policy_of_its_table",
            "over_what_is_there_nothing_is_late_however_long_a_table_is_silent",
        ],
    ),
    (
        "7.4",
        "crates/connect/tests/all/tables.rs",
        &["live_waits_for_every_table_but_the_silent", "a_time_waits_while_another_table_may_still_have_it"],
    ),
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

/// The cases that the book shows: its indented blocks of events and queries, each on its line.
fn book(text: &str) -> String {
    let mut is_case = false;
    let mut before = "";
    let lines = text.lines().map(|line| {
        let shown = line.strip_prefix("    ").unwrap_or_default();
        if before.trim().is_empty() {
            is_case = ["events ", "query"].iter().any(|word| shown.starts_with(word));
        }
        before = line;
        if is_case { shown } else { "" }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_case_of_the_book_gives_its_rows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/queries.md");
    let cases = TestFile::parse(&book(&fs::read_to_string(path).unwrap())).unwrap().cases;
    let mut tally = Tally::default();
    for case in &cases {
        tally.run("docs/queries.md", case);
    }
    assert!(tally.failures.is_empty(), "{} failures:\n{}", tally.failures.len(), tally.failures.join("\n"));
    assert!(tally.answered >= 8, "{} cases", tally.answered);
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

/// The rules of docs/semantics.md that cases can show: those with a number in bold, the functions, and the
/// worked cases.
fn rules() -> BTreeSet<String> {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/semantics.md")).unwrap();
    let numbers = text.lines().filter_map(|line| line.strip_prefix("- **")?.split_once("**"));
    let numbers = numbers.map(|(number, _)| number).chain(["3", "9"]);
    numbers.filter(|number| ELSEWHERE.iter().all(|(rule, ..)| rule != number)).map(str::to_owned).collect()
}

#[test]
fn every_rule_has_a_case() {
    let covered: BTreeSet<String> = files().into_iter().flat_map(|(_, _, file)| file.rules).collect();
    let rules = rules();
    assert!(rules.len() > 30, "{rules:?}");
    let missing: Vec<_> = rules.difference(&covered).collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
    let unknown: Vec<_> = covered.difference(&rules).collect();
    assert!(unknown.is_empty(), "there are no rules {unknown:?}");
}

#[test]
fn rules_without_cases_have_the_tests_that_are_named() {
    for (rule, file, tests) in ELSEWHERE {
        let text =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file)).unwrap();
        for test in tests {
            let is_there = text.contains(&format!("#[test]\nfn {test}()"))
                || text.contains(&format!("#[test]\n    fn {test}()"));
            assert!(is_there, "{rule}: no test `{test}` in {file}");
        }
    }
}
