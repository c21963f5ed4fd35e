//! Rows of text: what they are, by file and by pipe alike.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::{Fields, TimeUnit};
use skytide_connect::files::{self, Files};
use skytide_connect::run::{Answers, End, RunOptions};
use skytide_connect::sink::{Ndjson, Sink as _};
use skytide_connect::sources::{Offer, Sources};
use skytide_connect::tables::{self, Piped, Table};
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Results;
use skytide_timestream::types;

/// What a query answers: the columns that were found, rows as text and what was counted; or the error.
type Answered = Result<(Vec<String>, Vec<String>, BTreeMap<&'static str, u64>), String>;

fn shown(fields: &Fields) -> Vec<String> {
    fields.iter().map(|field| format!("{} {}", field.name(), types::name(field.data_type()))).collect()
}

/// Runs a query to its end.
fn run(query: &str, fields: &Fields, sources: &Sources, mode: Mode, begin: impl FnOnce()) -> Answered {
    let query = skytide_timestream::compile(query, sources).map_err(|error| error.to_string())?;
    let plan = Arc::new(skytide_timestream::plan(Arc::new(query), Results::history()));
    let source = sources.open(&plan, mode).map_err(|error| error.to_string())?;
    let options = match mode {
        Mode::Once => RunOptions::once(),
        Mode::Live => RunOptions { duration: Some(Duration::from_secs(60)), ..RunOptions::live() },
    };
    let mut answers = Answers::start(plan, source, &options).map_err(|error| error.to_string())?;
    begin();
    let mut rows = Vec::new();
    for batch in answers.by_ref() {
        let batch = batch.map_err(|error| error.to_string())?;
        let mut lines = Vec::new();
        Ndjson::new(&mut lines).write(&batch).unwrap();
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let row: serde_json::Map<_, _> = serde_json::from_slice(line).unwrap();
            rows.push(row.values().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        }
    }
    let outcome = answers.outcome().unwrap();
    assert_eq!(outcome.end, End::Source);
    Ok((shown(fields), rows, outcome.source.dropped.clone()))
}

fn by_file(query: &str, path: &Path, unit: TimeUnit) -> Answered {
    let definition = files::Definition { name: "m".into(), unit, ..files::Definition::new(path, "t", "k") };
    let files = Files::open(definition).map_err(|error| error.to_string())?;
    let (fields, sources) = (files.fields().clone(), Sources::new(vec![Offer::Files(Arc::new(files))]));
    run(query, &fields, &sources, Mode::Once, || {})
}

fn by_pipe(query: &str, text: &str, unit: TimeUnit) -> Answered {
    let piped = Piped::open(Cursor::new(text.as_bytes().to_vec())).map_err(|error| error.to_string())?;
    let fields = piped.fields().clone();
    let definition = tables::Definition::new("m", fields.clone(), "t", "k");
    let table = Table::new(tables::Definition { keeps: false, unit, ..definition }).unwrap();
    let sources = Sources::new(vec![Offer::Table { table: table.clone(), idle: None }]);
    run(query, &fields, &sources, Mode::Live, || piped.feed(table).unwrap())
}

/// Puts a text into a file of a folder that is gone with the first of the two.
fn put(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

/// The answer of a query over these rows, which is one by file and by pipe.
fn answer(query: &str, name: &str, text: &str) -> Answered {
    answer_in(query, name, text, TimeUnit::Nanosecond)
}

fn answer_in(query: &str, name: &str, text: &str, unit: TimeUnit) -> Answered {
    let (_folder, path) = put(name, text);
    let (file, pipe) = (by_file(query, &path, unit), by_pipe(query, text, unit));
    assert_eq!(file, pipe, "{query} of {name}");
    file
}

/// What ends a query by file, by pipe and as text that a program pushes, each without what it is told of.
fn error(name: &str, text: &str) -> [String; 3] {
    let (_folder, path) = put(name, text);
    let file = by_file("m.x", &path, TimeUnit::Nanosecond).unwrap_err();
    let of = format!("{}, ", path.display());
    let pipe = by_pipe("m.x", text, TimeUnit::Nanosecond).unwrap_err();
    [
        file.strip_prefix(&of).unwrap_or_else(|| panic!("{file}")).to_owned(),
        pipe.strip_prefix("standard input, ").unwrap_or_else(|| panic!("{pipe}")).to_owned(),
        tables::csv_fields(text).unwrap_err().to_string(),
    ]
}

/// Rows by which the types are found, of file and pipe: `each` gives the fields of a row but for its time.
fn first(each: &str) -> String {
    let long = "-".repeat(120);
    (0..10_000).map(|at| format!("{{\"t\": {at}, {each}, \"long\": \"{long}\"}}\n")).collect()
}

fn last(rows: &[String], count: usize) -> Vec<&str> {
    rows[rows.len() - count..].iter().map(|row| row.split_once(' ').unwrap().1).collect()
}

#[test]
fn a_fraction_among_whole_numbers_of_json_does_not_fit() {
    let first = first("\"k\": 1, \"x\": 1, \"xs\": [1], \"r\": {\"x\": 1}");
    let text = format!(
        "{first}{{\"t\": 10000, \"k\": 1, \"x\": 1.9, \"xs\": [2.5, 3.0], \"r\": {{\"x\": -0.5}}}}\n\
         {{\"t\": 10001, \"k\": 2.5, \"x\": 2.0, \"xs\": [], \"r\": {{\"x\": 7}}}}\n\
         {{\"t\": 10002.75, \"k\": 1, \"x\": 3}}\n"
    );
    let query = "{ x: m.x, a: m.xs[0], b: m.xs[1], r: m.r.x }";
    let (fields, rows, counted) = answer_in(query, "m.jsonl", &text, TimeUnit::Second).unwrap();
    assert_eq!(fields, ["t i64", "k i64", "x i64", "xs list<i64>", "r struct<x: i64>", "long utf8"]);
    assert_eq!(rows.len(), 10_002);
    assert_eq!(last(&rows, 2), ["1 null null 3 null", "null 2 null null 7"]);
    // The time that does not fit is one of them.
    assert_eq!(counted, BTreeMap::from([("misfitting values", 5), ("without a time", 1)]));
}

#[test]
fn a_fraction_in_rows_that_a_program_pushes_is_cut_off_unless_they_are_text() {
    let fields = tables::json_fields("{\"t\": 1, \"k\": 1, \"x\": 1}").unwrap();
    let table = Table::new(tables::Definition::new("m", fields, "t", "k")).unwrap();
    let text =
        "{\"t\": 1, \"k\": 1, \"x\": 1.9}\n{\"t\": 2.0, \"k\": 1, \"x\": 2.0}\n{\"t\": 2.5, \"k\": 1}\n";
    table.push_json(text).unwrap();
    let row: serde_json::Value = serde_json::from_str("{\"t\": 3.5, \"k\": 1, \"x\": 3.9}").unwrap();
    table.push_rows(&[tables::Value::of_json(&row)]).unwrap();
    let counts = table.counts().unwrap();
    assert_eq!((counts.rows, counts.misfits, counts.untimed), (4, 2, 1));
    let sources = Sources::new(vec![Offer::Table { table, idle: None }]);
    let (_, rows, _) = run("m.x", &Fields::empty(), &sources, Mode::Once, || {}).unwrap();
    assert_eq!(last(&rows, 3), ["1 null", "1 2", "1 3"]);
}

#[test]
fn a_quote_that_is_not_closed_ends_the_query_at_its_line() {
    let far: String = (0..60_000).map(|at| format!("{at},A,{at}\n")).collect();
    for (text, line) in [
        ("t,k,x\n1,A,one\n2,A,\"two\n3,A,three\n4,A,four\n".to_owned(), 3),
        ("t,k,\"x\n1,A,one\n".to_owned(), 1),
        ("\n\nt,k,x\n1,A,\"one\nline\"\n\n2,\"A\n\",\"cut o".to_owned(), 8),
        ("t,k,x\n1,A,\"".to_owned(), 2),
        ("t,k,x\n1,A,\"one\"\"".to_owned(), 2),
        // Far behind the rows by which the types are found.
        (format!("t,k,x\n{far}1,A,\"one\n{far}"), 60_002),
    ] {
        for said in error("m.csv", &text) {
            let what = format!("line {line}: a quote opens here and is never closed: is the text cut off? ");
            assert!(said.starts_with(&what), "{said}");
        }
    }
    let (_folder, path) = put("m.tsv", "t\tk\tx\n1\tA\t5\", 6\n2\tA\t\"two\n3\tA\tthree\n");
    let said = by_file("m.x", &path, TimeUnit::Nanosecond).unwrap_err();
    assert!(said.contains("m.tsv, line 3: a quote opens here"), "{said}");
}

#[test]
fn quotes_that_are_closed_hold_what_they_hold() {
    let text =
        "\u{feff}t,k,x\n1,A,\"two\nlines\"\n2,A,\"say \"\"so\"\"\"\n3,A,5\" disk\n4,A,\"\"\"\"\n5,A,\"end\"";
    let (_, rows, counted) = answer("m.x", "m.csv", text).unwrap();
    assert_eq!(
        last(&rows, 5),
        [r#""A" "two\nlines""#, r#""A" "say \"so\"""#, r#""A" "5\" disk""#, r#""A" "\"""#, r#""A" "end""#]
    );
    assert_eq!(counted, BTreeMap::new());
}

#[test]
fn types_of_text_are_those_of_files_through_a_pipe_too() {
    // Moments of JSON are texts; what is the time is a time.
    let text = "\u{feff}{\"t\": \"2026-01-01T10:00:00+02:00\", \"k\": \"A\", \"d\": \"2026-01-01T10:00:00+02:00\"}\n\
                {\"t\": \"2026-01-01T08:30:00Z\", \"k\": \"A\", \"d\": \"2026-01-01T08:30:00Z\"}\n";
    let (fields, rows, _) =
        answer("m.filter(d > \"2026-01-01T09:00:00Z\").d.len()", "m.jsonl", text).unwrap();
    assert_eq!(fields, ["t utf8", "k utf8", "d utf8"]);
    assert_eq!(rows, ["\"2026-01-01T08:00:00Z\" \"A\" 25"]);
    // Of CSV an empty cell is null, and no word is.
    let text = "t,k,x,s,d\n2026-01-01,null,1,null,2026-01-01\n2026-01-02,NULL,null,,2026-01-02T01:00:00Z\n2026-01-03,,3,x,\n";
    let (fields, rows, counted) = answer("{ x: m.x, s: m.s, d: m.d }", "m.csv", text).unwrap();
    assert_eq!(fields, ["t timestamp", "k utf8", "x utf8", "s utf8", "d timestamp"]);
    assert_eq!(last(&rows, 2), [r#""NULL" "null" null "2026-01-02T01:00:00Z""#, r#"null "3" "x" null"#]);
    assert_eq!(counted, BTreeMap::new());
}

#[test]
fn values_of_json_in_no_column_are_counted() {
    let first = first("\"k\": \"A\", \"o\": {\"a\": 1}, \"l\": [{\"a\": 1}]");
    let text = format!(
        "{first}{{\"t\": 10000, \"k\": \"A\", \"o\": {{\"a\": 2, \"b\": 3}}, \"l\": [{{\"c\": 1}}], \"z\": 5, \"y\": null}}\n"
    );
    for query in ["m.o.a", "m.count()"] {
        let (_, rows, counted) = answer(query, "m.jsonl", &text).unwrap();
        assert_eq!(rows.len(), 10_001);
        assert_eq!(counted, BTreeMap::from([("values of unknown columns", 3)]));
    }
}

#[test]
fn whole_numbers_beyond_i64_are_keys_apart() {
    let line = |at: usize, id: &str| format!("{{\"t\": {at}, \"k\": {id}}}\n");
    let of = |ids: &[&str]| -> String { ids.iter().enumerate().map(|(at, id)| line(at, id)).collect() };
    let ids = ["3439722301264460078", "3439722301264460079", "14565249271442862456"];
    let (fields, rows, _) = answer("m.count()", "m.jsonl", &of(&ids)).unwrap();
    assert_eq!(fields[1], "k u64");
    assert_eq!(last(&rows, 3), ids.map(|id| format!("{id} 1")));
    let ids = ["-3439722301264460078", "-3439722301264460079", "14565249271442862456"];
    let (fields, rows, _) = answer("m.count()", "m.jsonl", &of(&ids)).unwrap();
    assert_eq!(fields[1], "k decimal");
    assert_eq!(last(&rows, 3), ids.map(|id| format!("{id} 1")));
}

#[test]
fn whole_numbers_of_csv_are_of_the_type_that_those_of_json_are_of() {
    let (high, most) = ("9223372036854775808", "18446744073709551615");
    for (cells, of) in [
        (["1", "", high], "u64"),
        ([most, "1", ""], "u64"),
        (["-1", most, "5"], "decimal"),
        (["0.5", most, "-1"], "f64"),
        ([high, "18446744073709551616", "1"], "utf8"),
        ([high, "x", "1"], "utf8"),
        ([high, "+5", "1"], "utf8"),
    ] {
        let rows = (1..).zip(cells).map(|(at, cell)| format!("{at},A,{cell},\"a,b\"\n"));
        let text = format!("t,k,x,s\n{}", rows.collect::<String>());
        let (fields, found, counted) = answer("m.x", "m.csv", &text).unwrap();
        assert_eq!(fields[2..], [format!("x {of}"), "s utf8".to_owned()], "{cells:?}");
        assert_eq!(counted, BTreeMap::new());
        let pushed = tables::csv_fields(&text).unwrap();
        assert_eq!(shown(&pushed), fields);
        if of == "u64" || of == "decimal" {
            let numbers = found.iter().map(|row| row.rsplit(' ').next().unwrap());
            assert_eq!(
                numbers.collect::<Vec<_>>(),
                cells.map(|cell| if cell.is_empty() { "null" } else { cell })
            );
        }
    }
}

#[test]
fn an_array_of_json_is_told_from_rows() {
    for text in ["[{\"t\": 1, \"k\": 1}]", "[\n  {\"t\": 1}\n]\n"] {
        let (_folder, path) = put("m.jsonl", text);
        for said in [
            by_file("m.t", &path, TimeUnit::Nanosecond).unwrap_err(),
            by_pipe("m.t", text, TimeUnit::Nanosecond).unwrap_err(),
            tables::json_fields(text).unwrap_err().to_string(),
        ] {
            assert!(said.contains("line 1: a row is a JSON object, and this begins an array"), "{said}");
        }
    }
}

#[test]
fn rows_that_each_have_fields_of_their_own_are_read_in_the_time_of_their_fields() {
    // Of each field against each other it would be some minutes.
    let field = |at: usize| format!("\"f{at:06}\": {at}");
    let row = |time: usize| {
        let fields: Vec<_> = (0..30).map(|at| field(time * 30 + at)).collect();
        format!("{{\"t\": {time}, \"k\": \"A\", \"m\": {{{0}}}, {0}}}\n", fields.join(", "))
    };
    let text: String = (0..1200).map(row).collect();
    let (_folder, path) = put("m.jsonl", &text);
    let (fields, rows, counted) = by_file("m.f000031", &path, TimeUnit::Nanosecond).unwrap();
    assert_eq!((fields.len(), counted), (36_003, BTreeMap::new()));
    assert_eq!(last(&rows[..3], 3), ["\"A\" null", "\"A\" 31", "\"A\" null"]);
}
