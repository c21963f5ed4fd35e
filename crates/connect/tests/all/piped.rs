//! Rows from a pipe: every form, however it comes, and whatever comes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_ipc::writer::StreamWriter;
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

/// Gives a row of CSV every so often, `count` of them.
struct Rarely {
    every: Duration,
    count: usize,
    given: Arc<AtomicUsize>,
}

impl Read for Rarely {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = self.given.load(Ordering::Relaxed);
        if at == self.count {
            return Ok(0);
        }
        std::thread::sleep(self.every);
        self.given.fetch_add(1, Ordering::Relaxed);
        let row = format!("{at},A,{at}\n");
        buffer[..row.len()].copy_from_slice(row.as_bytes());
        Ok(row.len())
    }
}

/// The values of `query` over a stream `m` of what comes, so many bytes at once; and what ended it.
fn answer(query: &str, bytes: &[u8], at_once: usize) -> (Vec<i64>, Option<String>) {
    answer_of(query, Slowly(Cursor::new(bytes.to_vec()), at_once))
}

fn answer_of(query: &str, input: impl Read + Send + 'static) -> (Vec<i64>, Option<String>) {
    let piped = match Piped::open(input) {
        Ok(piped) => piped,
        Err(error) => return (Vec::new(), Some(error.to_string())),
    };
    let definition = Definition::new("m", piped.fields().clone(), "t", "k");
    let table = Table::new(Definition { keeps: false, ..definition });
    let table = match table {
        Ok(table) => table,
        Err(error) => return (Vec::new(), Some(error.to_string())),
    };
    let offer = Offer::Table { table: table.clone(), idle: None };
    let sources = Sources::new(vec![offer]);
    let query = match skytide_timestream::compile(query, &sources) {
        Ok(query) => query,
        Err(error) => return (Vec::new(), Some(error.to_string())),
    };
    let plan = Arc::new(skytide_timestream::plan(Arc::new(query), Results::history()));
    let source = sources.open(&plan, Mode::Live).unwrap();
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
    let near = answer("m.x", format!("{good}[1]\n").as_bytes(), usize::MAX);
    assert_eq!(near, (vec![1, 2, 3], Some("standard input, line 4: a row is a JSON object".to_owned())));
    let no_text = answer("m.x", &[good.as_bytes(), b"\xff\xfe\n"].concat(), usize::MAX);
    assert_eq!(no_text, (vec![1, 2, 3], Some("standard input, line 4: it is no UTF-8".to_owned())));
    let no_text = answer("m.x", &[far.as_bytes(), b"\xff\xfe\n"].concat(), usize::MAX);
    assert!(no_text.0.into_iter().eq(0..40_000));
    assert_eq!(no_text.1.unwrap(), "standard input, line 40001: it is no UTF-8");
    assert!(says(b"{\"t\": 1, \n{}\n").starts_with("standard input, line 1: EOF while parsing"));
    assert_eq!(
        says(b"\xff\xfeabcdefgh\n"),
        "standard input is no text: a recording, or compressed, which is not read from a pipe; CSV, JSON lines and Arrow streams are"
    );
}

#[test]
fn a_row_of_csv_that_is_none_ends_it_by_its_line() {
    // Lines that are empty or within quotes are lines.
    let good = "\n\nt,k,x,\"y\n\"\n1,A,1,\n\n2,\"A\n\",2,\n";
    let near = answer("m.x", format!("{good}3,A\n4,A,4,\n").as_bytes(), usize::MAX);
    assert_eq!(
        near,
        (vec![1, 2], Some("standard input, line 9: incorrect number of fields, expected 4 got 2".to_owned()))
    );
    let far: String = (0..100_000).map(|at| format!("{at},A,{at},\n")).collect();
    let (values, failed) = answer("m.x", format!("\nt,k,x,\"y\n\"\n{far}1,2,3\n").as_bytes(), usize::MAX);
    assert!(values.into_iter().eq(0..100_000));
    let failed = failed.unwrap();
    assert!(
        failed.starts_with("standard input, line 100004: incorrect number of fields, expected 4 got 3"),
        "{failed}"
    );
}

#[test]
fn rows_before_a_quote_that_is_not_closed_are_answered() {
    let far: String = (0..100_000).map(|at| format!("{at},A,{at}\n")).collect();
    let (values, failed) =
        answer("m.x", format!("t,k,x\n{far}1,\"two\nlines\",\"1\n{far}").as_bytes(), usize::MAX);
    assert!(values.into_iter().eq(0..100_000));
    let failed = failed.unwrap();
    assert!(failed.starts_with("standard input, line 100003: a quote opens here"), "{failed}");
}

#[test]
fn empty_lines_before_a_header_are_none_in_any_piece() {
    for before in ["\n", "\r\n\n\n\n\n\n\n\n\n"] {
        let far: String = (0..300_000).map(|at| format!("{at},A,{at}\n")).collect();
        let (values, failed) = answer("m.x", format!("{before}t,k,x\n{far}").as_bytes(), usize::MAX);
        assert!(failed.is_none() && values.into_iter().eq(0..300_000), "{failed:?}");
    }
}

#[test]
fn a_quote_opens_at_the_begin_of_a_field_alone() {
    // Far behind the rows by which the types are found, and cut wherever a row can end.
    let far: String = (0..100_000).map(|at| format!("{at},A,{at}\n")).collect();
    let near =
        "100000,5\" disk,100000\n100001,\"p\n,q\",100001\n100002,\"\"\"\n,\"a\",100002\n100003,\"\",100003\n";
    let input = Cursor::new(format!("t,k,x\n{far}").into_bytes())
        .chain(Slowly(Cursor::new(near.as_bytes().to_vec()), 1));
    let (values, failed) = answer_of("m.x", input);
    assert!(failed.is_none() && values.into_iter().eq(0..100_004), "{failed:?}");
}

#[test]
fn rows_that_come_steadily_are_not_waited_for() {
    let given = Arc::new(AtomicUsize::new(0));
    let steady = Rarely { every: Duration::from_millis(20), count: 500, given: Arc::clone(&given) };
    let piped = Piped::open(Cursor::new(b"t,k,x\n1,A,1\n".to_vec()).chain(steady)).unwrap();
    assert_eq!(piped.fields().len(), 3);
    assert!(given.load(Ordering::Relaxed) < 500, "the pipe had ended");
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
    let mut long = whole.clone();
    long[4..8].copy_from_slice(&0x3fff_fff0_u32.to_le_bytes());
    assert!(answer("m.x", &long, 64).1.unwrap().contains("cut off"));
    // One that would never end is not read: neither a header nor a body.
    long[4..8].copy_from_slice(&0x7fff_fff0_u32.to_le_bytes());
    assert!(answer("m.x", &long, 64).1.unwrap().contains("a message is longer than 1024 MiB"));
    let word = |at: usize| u32::from_le_bytes(whole[at..at + 4].try_into().unwrap()) as usize;
    let begin = 8 + word(4);
    let body = begin + 8 + word(begin + 4);
    let is_length = |at: &usize| {
        let length = i64::from_le_bytes(whole[*at..at + 8].try_into().unwrap());
        let next = usize::try_from(length).ok().filter(|length| *length > 0).map(|length| body + length);
        next.is_some_and(|next| whole.get(next..next + 4) == Some(&[0xff; 4]))
    };
    let at = (begin..body - 8).find(is_length).unwrap();
    let mut long = whole.clone();
    long[at..at + 8].copy_from_slice(&(1_i64 << 62).to_le_bytes());
    let failed = answer_of("m.x", Cursor::new(long).chain(io::repeat(0).take(1 << 24))).1.unwrap();
    assert!(failed.contains("a message is longer than 1024 MiB"), "{failed}");
}
