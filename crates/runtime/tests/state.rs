//! What a job says that it holds: of each part by the name that the plan is shown by, and about as many bytes
//! as the allocator says.

#![allow(unsafe_code, reason = "an allocator that counts is an `unsafe impl`")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so where it cannot go on")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{ArrayRef, Int64Array, StringArray};
use common::stream;
use skytide_runtime::{Epoch, Job, Options, Report};
use skytide_timestream::catalog::{Catalog, StreamDef};
use skytide_timestream::engine::{Mode, hash};
use skytide_timestream::plan::{PathStep, Plan, Results};
use skytide_timestream::rows::{Keys, Lane, Places, Rows};

/// The system's allocator, with how much is allocated now.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        NOW.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the pointer came from `alloc` above, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What is allocated is all tests' of the process: one at a time.
static TURN: Mutex<()> = Mutex::new(());

/// The stream `s0`, as `m`.
struct One;

impl Catalog for One {
    fn stream(&self, name: &str) -> Option<Arc<StreamDef>> {
        (name == "m").then(|| stream(0))
    }

    fn stream_function(&self, function: &str, _: &str) -> Result<Arc<StreamDef>, String> {
        Err(format!("no {function}"))
    }

    fn stream_method(&self, _: &StreamDef, _: &str) -> Option<Arc<StreamDef>> {
        None
    }

    fn names(&self) -> Vec<String> {
        vec!["m".to_owned()]
    }
}

fn planned(query: &str, results: Results) -> Arc<Plan> {
    let query =
        skytide_timestream::compile(query, &One).unwrap_or_else(|error| panic!("{}", error.render(query)));
    Arc::new(skytide_timestream::plan(Arc::new(query), results))
}

const ROWS: usize = 40_000;
const KEYS: usize = 16_000;
/// Nanoseconds from a row to the next: all are within two hours.
const STEP: i64 = 150_000_000;
const HOUR: i64 = 3_600_000_000_000;

/// Rows of the plan's scans from a number on.
fn epoch(plan: &Plan, start: usize, end: usize) -> Epoch {
    let key = |row: usize| format!("did:plc:{:016}", row * 7 % KEYS);
    let scans = plan.scans.iter().map(|scan| {
        let columns = scan.columns.iter().map(|column| -> ArrayRef {
            match column.path.as_slice() {
                [PathStep::Field(name)] if name == "number" => {
                    Arc::new((start..end).map(|row| row as i64).collect::<Int64Array>())
                }
                [PathStep::Field(name)] if name == "text" => Arc::new(
                    (start..end).map(|row| Some(format!("text {}", row % 15_000))).collect::<StringArray>(),
                ),
                _ => Arc::new((start..end).map(|row| Some(key(row))).collect::<StringArray>()),
            }
        });
        let columns = columns.collect();
        let values: ArrayRef = Arc::new((start..end).map(|row| Some(key(row))).collect::<StringArray>());
        let time = (start..end).map(|row| HOUR / 2 + row as i64 * STEP).collect();
        let places = Places::new(time, Lane::One(1), (start as u64..end as u64).collect());
        Some(Rows { places, key: Some(Keys { hashes: hash(&values), values }), columns })
    });
    Epoch { scans: scans.collect(), watermark: i64::MIN }
}

/// What a query's state is by the report, and by the allocator, after all rows.
fn held(query: &str, results: Results, mode: Mode, workers: usize) -> (Report, usize) {
    let plan = planned(query, results);
    let mut job =
        Job::start(Arc::clone(&plan), Options { workers, mode, ..Options::default() }, None).unwrap();
    // What is made once, whatever follows.
    job.push(epoch(&plan, 0, 1)).unwrap();
    job.settle().unwrap();
    let (before, held_before) = (NOW.load(Relaxed), job.report().state_bytes());
    for start in (1..ROWS).step_by(500) {
        job.push(epoch(&plan, start, (start + 500).min(ROWS))).unwrap();
        job.settle().unwrap();
    }
    let allocated = NOW.load(Relaxed) - before + held_before;
    (job.report(), allocated)
}

#[test]
fn bytes_held_are_about_what_is_allocated() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let history = Results::history();
    let queries = [
        ("m.count()", history),
        ("m.number.sum()", history),
        ("m.number.mean(window=since.hourly())", history),
        ("m.text.last()", history),
        ("m.with_key(text).number.max()", history),
        ("m.number.count(window=trailing(\"30m\"))", history),
        ("m.number.mean(window=trailing(\"30m\"))", history),
        ("m.text.max(window=sliding.hourly(2))", history),
        ("m.text.collect(2)", history),
        ("m.number.lag(1)", history),
        ("m.text.shift_by(\"1h\")", history),
        ("m.shift_until(number > 1000000).text", history),
        ("m.with_key(text).count().lookup(m.text)", history),
        ("{ text: m.text, n: m.count() }", Results::snapshot()),
    ];
    let mut wrong = Vec::new();
    for (query, results) in queries {
        for workers in [1, 2] {
            let (report, allocated) = held(query, results, Mode::Once, workers);
            let reported = report.state_bytes();
            // What workers keep of their own; of a calendar also what the ticks of all keys took room for.
            let room = 40 * 1024 + if query.contains("hourly") { 12 * KEYS } else { 0 };
            assert!(reported > 500_000, "{query} holds {reported}");
            if reported > allocated + allocated / 20 || allocated > reported + reported / 20 + room {
                wrong.push(format!(
                    "{query} with {workers} workers: {reported} bytes reported, {allocated} allocated"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_part_has_the_name_that_it_is_explained_by() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let query = "{ hours: m.count(window=since.hourly()), late: m.text.shift_by(\"1h\").last(), \
                 of: m.with_key(text).number.sum(window=trailing(\"1h\")).lookup(m.text), \
                 until: m.number.shift_until(m.number > 1000000).first() }";
    for workers in [1, 3] {
        let plan = planned(query, Results::history());
        let (report, _) = held(query, Results::history(), Mode::Live, workers);
        let text = report.explain(&plan);
        let plain = plan.explain();
        assert_eq!(report.regions.len(), plan.regions.len());
        let (mut words, mut labels) = (Vec::new(), Vec::new());
        for (number, region) in report.regions.iter().enumerate() {
            for part in &region.parts {
                words.push(part.words.clone());
                labels.push(part.label.split(' ').next().unwrap_or_default().to_owned());
                // What has a line has it under its label, with the same figures.
                if part.label.starts_with(['r', 'f', 'i']) && part.label != "rows" {
                    let block = text.split("region ").nth(number + 1).unwrap();
                    let line = block.lines().find(|line| {
                        line.trim_start()
                            .strip_prefix(&part.label)
                            .is_some_and(|rest| rest.starts_with([' ', ':']))
                    });
                    let line = line.unwrap_or_else(|| panic!("{} is not in {block}", part.label));
                    assert!(line.ends_with(']') && line.contains(" key"), "{line}");
                }
            }
        }
        for expected in [
            "keys by number",
            "count of points since the last end",
            "hourly ticks left",
            "points moved by \"1h\"",
            "last of text",
            "sum of number over the last 1h",
        ] {
            assert!(words.iter().any(|words| words == expected), "{expected:?} is not among {words:#?}");
        }
        for expected in ["keys", "r1", "feed", "input", "rows"] {
            assert!(
                labels.iter().any(|label| label.starts_with(&expected[..1])),
                "{expected} is not in {labels:?}"
            );
        }
        // But for the figures it is the plan.
        let bare: Vec<&str> = text.lines().map(|line| line.split("  [").next().unwrap_or_default()).collect();
        assert_eq!(bare, plain.lines().collect::<Vec<_>>());
        assert!(text.contains("in all]"), "{text}");
    }
}

#[test]
fn keys_and_points_are_counted() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let find = |report: &Report, words: &str| {
        let parts = report.regions.iter().flat_map(|region| &region.parts);
        parts.filter(|part| part.words.starts_with(words)).map(|part| part.held).next().unwrap()
    };
    for workers in [1, 2] {
        let (report, _) = held("m.number.sum()", Results::history(), Mode::Once, workers);
        assert_eq!(find(&report, "sum of number").keys, KEYS);
        assert_eq!(find(&report, "keys").keys, KEYS);

        let (report, _) = held("m.text.shift_by(\"1h\")", Results::history(), Mode::Once, workers);
        let moved = find(&report, "points moved");
        // The newest hour is on its way.
        let expected = (HOUR / STEP) as usize;
        assert!(moved.points.abs_diff(expected) <= 1, "{moved:?}");
        assert_eq!(moved.keys, KEYS);

        let (report, _) = held("m.shift_until(number > 39000).text", Results::history(), Mode::Once, workers);
        let held_back = find(&report, "points until");
        // A key's last point above is true; all of keys without one, and nothing else, are held.
        assert!(held_back.points > KEYS && held_back.points < ROWS && held_back.keys < KEYS, "{held_back:?}");

        let (report, _) = held("m.count()", Results::snapshot(), Mode::Once, workers);
        assert_eq!((report.results.keys, report.results.points), (KEYS, KEYS));
    }
    // Ticks are left to the keys of the newest hours alone.
    let (report, _) = held("m.count(window=since.hourly())", Results::history(), Mode::Live, 1);
    assert_eq!(find(&report, "hourly ticks left").keys, KEYS);
}
