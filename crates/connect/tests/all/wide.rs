//! Rows of more columns than anybody writes by hand: what is done with them goes by how many columns there are,
//! not by how many for each of the others.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use skytide_connect::files::{Definition, FileError, Files};
use skytide_connect::run::{Answers, RunOptions};
use skytide_connect::sources::{Offer, Sources};
use skytide_connect::tables::{Table, csv_fields, json_fields};
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Results;

/// Columns, of which each looked for among all others would take minutes.
const MANY: usize = 60_000;

/// How many rows a query over these has.
fn rows(query: &str, offer: Offer) -> usize {
    let sources = Sources::new(vec![offer]);
    let query = Arc::new(skytide_timestream::compile(query, &sources).unwrap());
    let plan = Arc::new(skytide_timestream::plan(query, Results::history()));
    let source = sources.open(&plan, Mode::Once).unwrap();
    let answers = Answers::start(plan, source, &RunOptions::once()).unwrap();
    answers.map(|batch| batch.unwrap().num_rows()).sum()
}

fn open(paths: Vec<PathBuf>) -> Result<Files, FileError> {
    let definition = Definition::new(&paths[0], "t", "k");
    Files::open(Definition { name: "m".into(), paths, ..definition })
}

fn header(columns: usize) -> String {
    format!("t,k,{}\n", (0..columns).map(|at| format!("c{at}")).collect::<Vec<_>>().join(","))
}

fn line(columns: usize, time: i64) -> String {
    format!("{time},A,{}1\n", "1,".repeat(columns - 1))
}

/// So many rows, each with thirty fields that no other has: of its own, or of a record in it.
fn new_keys(rows: usize, inside: bool) -> String {
    let row = |row: usize| {
        let fields = (0..30).map(|field| format!("\"f{row}_{field}\": 1")).collect::<Vec<_>>().join(", ");
        let fields = if inside { format!("\"r\": {{{fields}}}") } else { fields };
        format!("{{\"t\": {row}, \"k\": \"A\", {fields}}}\n")
    };
    (0..rows).map(row).collect()
}

fn put(folder: &Path, name: &str, text: String) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn csv_of_many_columns() {
    let folder = tempfile::tempdir().unwrap();
    let text = header(MANY) + &line(MANY, 1) + &line(MANY, 2);
    let path = put(folder.path(), "m.csv", text.clone());
    let again = put(folder.path(), "again.csv", text.clone());
    let files = open(vec![path, again]).unwrap();
    assert_eq!(files.fields().len(), MANY + 2);
    assert_eq!(rows("m.c5.last()", Offer::Files(Arc::new(files))), 4);
    let twice = put(folder.path(), "twice.csv", header(MANY).replace("c59999", "c59998") + &line(MANY, 1));
    let told = open(vec![twice]).unwrap_err().to_string();
    assert!(told.ends_with("two columns are called \"c59998\""), "{told}");

    let definition = skytide_connect::tables::Definition::new("m", csv_fields(&text).unwrap(), "t", "k");
    let table = Table::new(definition).unwrap();
    table.push_csv(&text).unwrap();
    let counts = table.counts().unwrap();
    assert_eq!((counts.rows, counts.misfits, counts.unknown), (2, 0, 0));
}

#[test]
fn rows_of_json_with_ever_new_keys() {
    let folder = tempfile::tempdir().unwrap();
    for (inside, query, columns) in [(false, "m.f7_7.last()", MANY + 2), (true, "m.r.f7_7.last()", 3)] {
        let text = new_keys(MANY / 30, inside);
        let files = open(vec![put(folder.path(), "m.jsonl", text.clone())]).unwrap();
        assert_eq!(files.fields().len(), columns);
        let counts = json_fields(&text).unwrap().len();
        assert_eq!(counts, columns);
        assert_eq!(rows(query, Offer::Files(Arc::new(files))), MANY / 30);
    }
    // Of keys that come behind the rows by which the types are found each is counted.
    let narrow = "{\"t\": 1, \"k\": \"A\", \"f7_7\": 2}\n".repeat(10_000);
    let files = open(vec![put(folder.path(), "m.jsonl", narrow + &new_keys(20, false))]).unwrap();
    assert_eq!(files.fields().len(), 3);
    assert_eq!(rows("m.f7_7.last()", Offer::Files(Arc::new(files))), 10_020);
}
