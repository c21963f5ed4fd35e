//! Rows from a pipe: every form, however it comes, and whatever comes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::TimeUnit;
use skytide_connect::late::Late;
use skytide_connect::run::{Answers, End, RunOptions};
use skytide_connect::sources::{Offer, Sources};
use skytide_connect::tables::{Definition, Piped, Table};
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Results;

/// Gives so many bytes at once.
struct Slowly(Cursor<Vec<u8>>, usize);

impl Read for Slowly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.1.min(buffer.len());
        self.0.read(&mut buffer[..len])
    }
}

/// The values of `query` over a stream `m` of what comes, so many bytes at once; and what ended it.
fn answer(query: &str, bytes: &[u8], at_once: usize) -> (Vec<i64>, Option<String>) {
    let piped = match Piped::open(Slowly(Cursor::new(bytes.to_vec()), at_once)) {
        Ok(piped) => piped,
        Err(error) => return (Vec::new(), Some(error.to_string())),
    };
    let table = Table::new(Definition {
        name: "m".to_owned(),
        fields: piped.fields().clone(),
        time: "t".to_owned(),
        hides_time: false,
        key: "k".to_owned(),
        subsort: None,
        grouping: None,
        unit: TimeUnit::Nanosecond,
        keeps: false,
        lateness: Duration::ZERO,
        late: Late::Drop,
    });
    let table = match table {
        Ok(table) => table,
        Err(error) => return (Vec::new(), Some(error.to_string())),
    };
    let offer = Offer::Table { name: "m".to_owned(), table: table.clone(), idle: None };
    let sources = Sources::new(vec![offer]);
    let query = match skytide_timestream::compile(query, &sources) {
        Ok(query) => query,
        Err(error) => return (Vec::new(), Some(error.to_string())),
    };
    let plan = Arc::new(skytide_timestream::plan(Arc::new(query), Results::history()));
    let source = sources.open(&plan, Mode::Live, &Arc::default()).unwrap();
    let options = RunOptions { duration: Some(Duration::from_secs(60)), ..RunOptions::live() };
    let mut answers = Answers::start(plan, source, &options).unwrap();
    piped.feed(table).unwrap();
    let (mut values, mut failed) = (Vec::new(), None);
    for batch in answers.by_ref() {
        match batch {
            Ok(batch) => {
                values
                    .extend(batch.column(2).as_primitive_opt::<Int64Type>().into_iter().flatten().flatten());
            }
            Err(error) => failed = Some(error.to_string()),
        }
    }
    assert!(failed.is_some() || answers.outcome().unwrap().end == End::Source);
    (values, failed)
}

fn batch(from: i64, rows: i64) -> RecordBatch {
    RecordBatch::try_from_iter([
        ("t", Arc::new((from..from + rows).collect::<Int64Array>()) as _),
        ("k", Arc::new((0..rows).map(|_| Some("A")).collect::<StringArray>()) as _),
        ("x", Arc::new((from..from + rows).collect::<Int64Array>()) as _),
    ])
    .unwrap()
}

fn stream() -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch(0, 1).schema()).unwrap();
    writer.write(&batch(1, 3)).unwrap();
    writer.write(&batch(4, 2)).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn every_form_is_read_however_it_comes() {
    let csv = "\u{feff}t,\"k\",x\r\n1,\"A\n,\"\"\",1\r\n2,A,2\r\n3,A,3\n4,B,4\n5,\"\n\",5";
    let json = "\u{feff}{\"t\": 1, \"k\": \"A\", \"x\": 1}\n\n{\"t\": 2, \"x\": 2}\n{\"t\": 3, \"x\": 3}\n{\"t\": 4, \"x\": 4}\n \
                {\"t\": 5, \"x\": 5}";
    for bytes in [csv.as_bytes(), json.as_bytes(), &stream()] {
        for at_once in [1, 7, 100, 1 << 20] {
            let answered = answer("m.x", bytes, at_once);
            assert_eq!(answered, (vec![1, 2, 3, 4, 5], None), "{at_once} at once");
        }
    }
}

#[test]
fn much_is_read_in_pieces() {
    let lines: String =
        (0..200_000).map(|at| format!("{{\"t\": {at}, \"k\": \"A\", \"x\": {at}}}\n")).collect();
    let (values, failed) = answer("m.x", lines.as_bytes(), usize::MAX);
    assert!(failed.is_none() && values.into_iter().eq(0..200_000));
}

#[test]
fn what_is_no_row_ends_it_by_its_line_and_what_was_before_is_answered() {
    let good: String = (1..=3).map(|at| format!("{{\"t\": {at}, \"k\": \"A\", \"x\": {at}}}\n")).collect();
    // Far behind the rows by which the types are found.
    let far: String = (0..40_000).map(|at| format!("{{\"t\": {at}, \"k\": \"A\", \"x\": {at}}}\n")).collect();
    let (values, failed) = answer("m.x", format!("{far}{{\"t\": 1,\n").as_bytes(), usize::MAX);
    assert!(values.into_iter().eq(0..40_000));
    let failed = failed.unwrap();
    assert!(failed.starts_with("standard input, line 40001: EOF while parsing"), "{failed}");
    let says = |bytes: &[u8]| answer("m.x", bytes, usize::MAX).1.unwrap();
    let near = says(format!("{good}[1]\n").as_bytes());
    assert!(near.starts_with("standard input, line 4: a row is a JSON object"), "{near}");
    let no_text = says(&[good.as_bytes(), b"\xff\xfe\n"].concat());
    assert_eq!(no_text, "standard input, line 4: it is no UTF-8");
}

#[test]
fn what_is_none_of_the_forms_is_named() {
    let says = |bytes: &[u8]| answer("m.x", bytes, 3).1.unwrap();
    for (bytes, says_of_it) in [
        (&b""[..], "standard input is empty"),
        (b"PAR1....", "standard input is Parquet"),
        (b"ARROW1\0\0", "standard input is an Arrow file"),
        (b"\x28\xb5\x2f\xfd....", "a recording, or compressed"),
    ] {
        let said = says(bytes);
        assert!(said.contains(says_of_it), "{said}");
    }
}

#[test]
fn a_stream_that_lies_or_is_cut_off_takes_no_memory_and_is_an_error() {
    let whole = stream();
    assert_eq!(
        answer("m.x", &whole[..whole.len() - 8], 64),
        (vec![1, 2, 3, 4, 5], None),
        "its end is a courtesy"
    );
    for cut in [5, 9, 100, whole.len() - 20] {
        let (_, failed) = answer("m.x", &whole[..cut], 64);
        assert!(failed.as_ref().is_some_and(|failed| failed.contains("cut off")), "{cut}: {failed:?}");
    }
    // Every byte in turn: no length of those may be believed, and nothing panics.
    for at in 8..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x7f;
        answer("m.x", &bytes, 1 << 20);
    }
    let mut long = whole;
    long[4..8].copy_from_slice(&0x7fff_fff0_u32.to_le_bytes());
    assert!(answer("m.x", &long, 64).1.unwrap().contains("cut off"));
}
