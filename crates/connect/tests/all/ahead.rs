//! Sources that are ahead of another: how much of them is held, and how that goes out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use skytide_connect::files::{self, Files};
use skytide_connect::late::Judge;
use skytide_connect::merge::Merge;
use skytide_connect::reorder::Reorder;
use skytide_connect::source::{Next, Source, SourceError, Status};
use skytide_connect::sources::{Offer, Sources};
use skytide_connect::tables::{Definition, Table};
use skytide_runtime::Epoch;
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Results;
use skytide_timestream::rows::{Lane, Places, Rows};

/// Rows and bytes that an epoch may have.
const MOST: (usize, usize) = (16_384, 64 << 20);

/// Rows of one key, with texts of so many bytes.
fn batch(times: impl Iterator<Item = i64>, width: usize) -> RecordBatch {
    let times: Vec<i64> = times.collect();
    let texts = times.iter().map(|time| format!("{time:0width$}"));
    RecordBatch::try_from_iter([
        ("text", Arc::new(StringArray::from_iter_values(texts)) as ArrayRef),
        ("k", Arc::new(StringArray::from_iter_values(times.iter().map(|_| "A")))),
        ("t", Arc::new(Int64Array::from(times))),
    ])
    .unwrap()
}

fn table(name: &str, waits: bool) -> Table {
    let fields = batch(std::iter::empty(), 0).schema().fields().clone();
    Table::new(Definition { waits, ..Definition::new(name, fields, "t", "k") }).unwrap()
}

/// A stream `m` of a file, of so many rows of 8 KiB.
fn file(folder: &Path, rows: i64) -> Offer {
    let path = folder.join("m.parquet");
    let properties = WriterProperties::builder().set_dictionary_enabled(false).build();
    let schema = batch(std::iter::empty(), 0).schema();
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), schema, Some(properties)).unwrap();
    for first in (0..rows).step_by(1000) {
        writer.write(&batch(first..rows.min(first + 1000), 8 << 10)).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
    Offer::Files(Arc::new(Files::open(files::Definition::new(&path, "t", "k")).unwrap()))
}

/// Streams `m` and `n`, opened live or not.
fn open(m: Offer, n: &Table, mode: Mode) -> Merge {
    let sources = Sources::new(vec![m, offer(n)]);
    let query = skytide_timestream::compile("{ m: m.text, n: n.text }", &sources).unwrap();
    let plan = skytide_timestream::plan(Arc::new(query), Results::history());
    sources.open(&plan, mode).unwrap()
}

fn offer(table: &Table) -> Offer {
    Offer::Table { table: table.clone(), idle: None }
}

/// The times of the epochs that a source has for now, which are in order, and bounded.
fn epochs(source: &mut impl Source) -> Vec<Vec<i64>> {
    let (mut epochs, mut reached, mut idle) = (Vec::new(), i64::MIN, 0);
    // A file does a piece of its work each time, also where that gives nothing yet.
    while idle < 100 {
        let Next::Epoch(epoch) = source.next(Duration::ZERO).unwrap() else {
            idle += 1;
            continue;
        };
        idle = 0;
        assert!(epoch.watermark >= reached);
        reached = epoch.watermark;
        let scans: Vec<Rows> = epoch.scans.into_iter().flatten().collect();
        let mut times: Vec<i64> = scans.iter().flat_map(|rows| rows.places.time.to_vec()).collect();
        let bytes: usize = scans.iter().flat_map(|rows| &rows.columns).map(bytes).sum();
        assert!(times.len() <= MOST.0 && bytes <= MOST.1, "{} rows of {bytes} bytes", times.len());
        times.sort_unstable();
        let last = epochs.last().and_then(|times: &Vec<i64>| times.last());
        assert!(times.first().is_none_or(|first| last < Some(first)), "a time is in two epochs");
        epochs.extend(Some(times).filter(|times| !times.is_empty()));
    }
    epochs
}

fn bytes(column: &ArrayRef) -> usize {
    let texts = column.as_any().downcast_ref::<StringArray>();
    texts.map_or(8 * column.len(), |texts| texts.iter().flatten().map(str::len).sum())
}

#[test]
fn a_file_waits_for_the_one_behind_and_goes_on_with_it() {
    const ROWS: i64 = 16_000;
    let folder = tempfile::tempdir().unwrap();
    for mode in [Mode::Live, Mode::Once] {
        let n = table("n", false);
        let far = [ROWS / 2];
        if mode == Mode::Once {
            n.push_batch(&batch(far.into_iter(), 1)).unwrap();
        }
        let mut source = open(file(folder.path(), ROWS), &n, mode);
        if mode == Mode::Live {
            assert_eq!(epochs(&mut source), Vec::<Vec<i64>>::new());
            let read = source.status().read;
            assert!(read > 0 && read < ROWS as u64 / 2, "{read} rows are held");
            n.push_batch(&batch(far.into_iter(), 1)).unwrap();
            assert_eq!(epochs(&mut source).concat(), (0..ROWS / 2).collect::<Vec<_>>());
            let read = source.status().read;
            assert!(read > ROWS as u64 / 2 && read < ROWS as u64, "{read} rows are read");
            n.end();
        }
        let rest = epochs(&mut source);
        let from = if mode == Mode::Live { ROWS / 2 } else { 0 };
        assert!(rest.len() > 1);
        assert!(rest.concat().len() as i64 == ROWS - from + 1 && rest[0][0] == from);
    }
}

/// Two rows of each time are held of a table, a good many more than an epoch has.
fn much_is_held() -> (Merge, Table) {
    let (m, n) = (table("m", false), table("n", false));
    let mut source = open(offer(&m), &n, Mode::Live);
    for first in (0..50_000).step_by(10_000) {
        m.push_batch(&batch((first..first + 10_000).map(|at| at / 2), 10)).unwrap();
    }
    // Pushing waits for no other source.
    assert!(epochs(&mut source).is_empty() && source.status().read == 50_000);
    (source, n)
}

#[test]
fn what_was_held_goes_out_in_several_epochs() {
    let (mut source, n) = much_is_held();
    n.push_batch(&batch(std::iter::once(1_000_000), 1)).unwrap();
    let given = epochs(&mut source);
    // What is of the time up to which the first one has told waits.
    assert!(given.len() > 3 && given.concat().len() == 50_000 - 2);
}

#[test]
fn a_stop_between_two_epochs_leaves_none_of_what_was_pushed() {
    let (mut source, n) = much_is_held();
    n.push_batch(&batch(std::iter::once(1_000_000), 1)).unwrap();
    let first = loop {
        let Next::Epoch(epoch) = source.next(Duration::ZERO).unwrap() else { continue };
        if let Some(rows) = epoch.scans.into_iter().flatten().next() {
            break rows.len();
        }
    };
    assert!(source.close());
    assert_eq!(first + epochs(&mut source).concat().len(), 50_000 - 2);
    assert!(matches!(source.next(Duration::ZERO), Ok(Next::End)));
}

#[test]
fn whoever_can_wait_finds_no_room_while_a_table_is_ahead() {
    for waits in [true, false] {
        let (m, n) = (table("m", waits), table("n", false));
        let mut source = open(offer(&m), &n, Mode::Live);
        let pushed = (0..120_000).step_by(5_000).find(|first| {
            m.push_batch(&batch(*first..first + 5_000, 1 << 10)).unwrap();
            epochs(&mut source);
            !m.has_room()
        });
        assert_eq!(pushed.is_some(), waits);
        if waits {
            n.end();
            epochs(&mut source);
            assert!(m.has_room());
        }
    }
}

/// Rows of which each epoch stands before the last.
struct Backwards(i64);

impl Source for Backwards {
    fn next(&mut self, _: Duration) -> Result<Next, SourceError> {
        if self.0 == 0 {
            return Ok(Next::End);
        }
        self.0 -= 1;
        let times = self.0 * 1000..(self.0 + 1) * 1000;
        let ordinal = times.clone().map(i64::cast_unsigned).collect();
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(times.clone()));
        let places = Places::new(times.collect(), Lane::One(1), ordinal);
        let rows = Rows { places, key: None, columns: vec![column] };
        Ok(Next::Epoch(Epoch { scans: vec![Some(rows)], watermark: 0 }))
    }

    fn status(&self) -> Status {
        Status::default()
    }
}

#[test]
fn what_was_sorted_goes_out_in_several_epochs() {
    let mut source = Reorder::new(Backwards(50), Mode::Once, Judge::new(Duration::ZERO));
    let given = epochs(&mut source);
    assert!(given.len() > 3);
    assert_eq!(given.concat(), (0..50_000).collect::<Vec<_>>());
}
