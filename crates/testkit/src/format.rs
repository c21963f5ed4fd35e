//! The text format of language tests: events in, a query, the rows that come out or the error.
//!
//! ```text
//! # rule 4.2: aggregations skip nulls and hold their value there
//! events m key=id id:utf8 x:i64
//! 00:00:00, A, 1
//! 00:00:01, A, null
//!
//! query
//! m.x.sum()
//! ----
//! _time, _key, result
//! 00:00:00, A, 1
//! 00:00:01, A, 1
//! ```
//!
//! Blocks end at an empty line. `events NAME key=COLUMN [source=SOURCE] COLUMN:TYPE …` starts a table, whose
//! rows are a time and a value a column; `events NAME` alone goes on with it, which tells in what order the
//! tables of one source arrive. Tables serve the queries after them, until tables follow queries again.
//! `query [results=snapshot] [since=…] [until=…] [changed_since=…] [at=…] [overflows=N] [misfits=N]
//! [moved_back=N] [held=N]` is followed by the query's text and by `----` and the rows, or by `error` and
//! pieces of the message. Types have no spaces here; see [`crate::text`] for them and for values.

use std::collections::BTreeSet;
use std::ops::Range;

use arrow_schema::{DataType, Fields};
use skytide_timestream::functions::Example;
use skytide_timestream::plan::Results;

use crate::answer::{Answer, AnswerRow};
use crate::events::{Row, Table};
use crate::reference::Warnings;
use crate::text::{self, TextError, parse_field, parse_time, pieces};

/// A test file.
#[derive(Debug)]
pub struct TestFile {
    /// Numbers of the rules that it says it covers.
    pub rules: BTreeSet<String>,
    /// Its queries.
    pub cases: Vec<Case>,
    lines: Vec<String>,
}

/// A query with what it should give.
#[derive(Debug)]
pub struct Case {
    /// The line on which it starts, from 1.
    pub line: usize,
    /// What it is asked over.
    pub tables: Vec<Table>,
    /// Its text.
    pub query: String,
    /// Which points are shown.
    pub results: Results,
    /// What it should give.
    pub expected: Expected,
    /// The lines that an accepted answer replaces, from 0.
    answer: Range<usize>,
}

/// What a query should give.
#[derive(Debug)]
pub enum Expected {
    /// Rows: the header and the rows as written; and what became null on the way, where it is said.
    Rows(Vec<String>, Option<Warnings>),
    /// An error before anything runs, whose text holds each of these.
    Error(Vec<String>),
}

/// A file that cannot be read as tests.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: {what}")]
pub struct FormatError {
    /// From 1.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

impl TestFile {
    /// Reads a test file.
    ///
    /// # Errors
    /// The first line that cannot be understood.
    pub fn parse(file: &str) -> Result<Self, FormatError> {
        let lines: Vec<String> = file.lines().map(str::to_owned).collect();
        let mut read = Self { rules: BTreeSet::new(), cases: Vec::new(), lines };
        let (mut tables, mut asked) = (Vec::new(), false);
        let mut at = 0;
        while at < read.lines.len() {
            let end = read.lines[at..].iter().position(|line| line.trim().is_empty());
            let end = end.map_or(read.lines.len(), |length| at + length);
            let line = read.lines[at].trim();
            if line.is_empty() {
                at += 1;
                continue;
            }
            if let Some(comment) = line.strip_prefix('#') {
                read.rules.extend(rules(comment));
                at += 1;
                continue;
            }
            match line.split_whitespace().next() {
                Some("events") => {
                    if std::mem::take(&mut asked) {
                        tables.clear();
                    }
                    read_table(&mut tables, &read.lines, at..end)?;
                }
                Some("query") => {
                    asked = true;
                    let case = read_case(&tables, &read.lines, at..end)?;
                    read.cases.push(case);
                }
                _ => {
                    return Err(FormatError {
                        line: at + 1,
                        what: format!("neither events nor query: `{line}`"),
                    });
                }
            }
            at = end;
        }
        Ok(read)
    }

    /// The file with these answers (the header and the rows) in place of the rows that stand in it, case by
    /// case; none leaves a case as it is.
    #[must_use]
    pub fn with_answers(&self, answers: &[Option<Vec<String>>]) -> String {
        let mut text = String::new();
        let mut push = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        let mut from = 0;
        for (case, answer) in self.cases.iter().zip(answers) {
            let Some(answer) = answer else { continue };
            self.lines[from..case.answer.start].iter().for_each(|line| push(line));
            push("----");
            answer.iter().for_each(|line| push(line));
            from = case.answer.end;
        }
        self.lines[from..].iter().for_each(|line| push(line));
        text
    }
}

/// Numbers of rules in a comment `rule 4.2: …` or `rules 4.2, 1.3: …`.
fn rules(comment: &str) -> Vec<String> {
    let comment = comment.trim();
    let Some(list) = comment.strip_prefix("rules ").or_else(|| comment.strip_prefix("rule ")) else {
        return Vec::new();
    };
    let list = list.split_once(':').map_or(list, |(numbers, _)| numbers);
    list.split(',').map(|number| number.trim().to_owned()).collect()
}

fn at_line(line: usize) -> impl Fn(TextError) -> FormatError {
    move |error| FormatError { line: line + 1, what: error.0 }
}

fn read_table(tables: &mut Vec<Table>, lines: &[String], block: Range<usize>) -> Result<(), FormatError> {
    let first = block.start;
    let wrong = |line: usize, what: String| FormatError { line: line + 1, what };
    let mut words = lines[first].split_whitespace().skip(1);
    let name = words.next().ok_or_else(|| wrong(first, "events of what?".to_owned()))?.to_owned();
    let (mut key, mut source, mut fields) = (None, None, Vec::new());
    for word in words {
        match word.split_once('=') {
            Some(("key", column)) => key = Some(column.to_owned()),
            Some(("source", name)) => source = Some(name.to_owned()),
            _ => fields.push(parse_field(word).map_err(at_line(first))?),
        }
    }
    let known = tables.iter().position(|table| table.name == name);
    let table = match (known, key) {
        (Some(known), None) if fields.is_empty() => &mut tables[known],
        (None, Some(key)) if fields.iter().any(|field| *field.name() == key) => {
            let source = source.unwrap_or_else(|| name.clone());
            tables.push(Table { name, source, key, fields: Fields::from(fields), rows: Vec::new() });
            let last = tables.len() - 1;
            &mut tables[last]
        }
        _ => return Err(wrong(first, format!("`{name}` needs its columns, and its key among them, once"))),
    };
    for line in block.skip(1) {
        let cells = pieces(&lines[line]).map_err(at_line(line))?;
        if cells.len() != table.fields.len() + 1 {
            return Err(wrong(line, format!("{} cells, expected {}", cells.len(), table.fields.len() + 1)));
        }
        let time = parse_time(cells[0]).map_err(at_line(line))?;
        if table.rows.last().is_some_and(|last| last.time > time) {
            return Err(wrong(line, "the rows of a table stand in order of time".to_owned()));
        }
        let values = cells[1..]
            .iter()
            .zip(&table.fields)
            .map(|(cell, field)| text::parse(cell, field.data_type()))
            .collect::<Result<_, _>>()
            .map_err(at_line(line))?;
        table.rows.push(Row { line, time, values });
    }
    Ok(())
}

fn read_case(tables: &[Table], lines: &[String], block: Range<usize>) -> Result<Case, FormatError> {
    let first = block.start;
    let wrong = |line: usize, what: String| FormatError { line: line + 1, what };
    let mut is_snapshot = false;
    let (mut since, mut until, mut changed_since, mut at) = (None, None, None, None);
    let mut warnings = Warnings::default();
    for word in lines[first].split_whitespace().skip(1) {
        let number = |text: &str| text.parse().map_err(|_| wrong(first, format!("`{text}` is no number")));
        let time = |text: &str| parse_time(text).map_err(at_line(first)).map(Some);
        match word.split_once('=') {
            Some(("results", "history")) => is_snapshot = false,
            Some(("results", "snapshot")) => is_snapshot = true,
            Some(("since", text)) => since = time(text)?,
            Some(("until", text)) => until = time(text)?,
            Some(("changed_since", text)) => changed_since = time(text)?,
            Some(("at", text)) => at = time(text)?,
            Some(("overflows", text)) => warnings.overflows = number(text)?,
            Some(("misfits", text)) => warnings.misfits = number(text)?,
            Some(("moved_back", text)) => warnings.moved_back = number(text)?,
            Some(("held", text)) => warnings.held = number(text)?,
            _ => return Err(wrong(first, format!("no option `{word}`"))),
        }
    }
    let results = match is_snapshot {
        true if since.is_none() && until.is_none() => Results::Snapshot { changed_since, at },
        false if changed_since.is_none() && at.is_none() => Results::History { since, until },
        _ => {
            return Err(wrong(
                first,
                "since and until cut a history, changed_since and at a snapshot".to_owned(),
            ));
        }
    };
    let body = first + 1..block.end;
    let split =
        body.clone().find(|&line| ["----", "error"].contains(&lines[line].trim())).unwrap_or(block.end);
    let query = lines[body.start..split].join("\n");
    if query.is_empty() {
        return Err(wrong(first, "a query without text".to_owned()));
    }
    let after: Vec<String> = lines.get(split + 1..block.end).unwrap_or_default().to_vec();
    let is_error = lines.get(split).is_some_and(|line| line.trim() == "error") && split < block.end;
    let expected = if is_error { Expected::Error(after) } else { Expected::Rows(after, Some(warnings)) };
    if matches!(&expected, Expected::Error(pieces) if pieces.is_empty()) {
        return Err(wrong(split, "an error without a piece of its message".to_owned()));
    }
    Ok(Case { line: first + 1, tables: tables.to_vec(), query, results, expected, answer: split..block.end })
}

/// An example of a function as a case: its events are a table named `events` whose key is the column `key`.
///
/// # Errors
/// What cannot be read, with its line in the example.
pub fn example(example: &Example) -> Result<Case, FormatError> {
    let mut lines = example.events.lines();
    let header = pieces(lines.next().unwrap_or_default()).map_err(at_line(0))?;
    let columns = header.get(2..).unwrap_or_default().iter().map(|field| field.replace(' ', ""));
    let first = format!("events events key=key key:utf8 {}", columns.collect::<Vec<_>>().join(" "));
    let lines: Vec<String> = std::iter::once(first).chain(lines.map(str::to_owned)).collect();
    let mut tables = Vec::new();
    read_table(&mut tables, &lines, 0..lines.len())?;
    Ok(Case {
        line: 0,
        tables,
        query: example.query.to_owned(),
        results: Results::history(),
        expected: Expected::Rows(example.rows.lines().map(str::to_owned).collect(), None),
        answer: 0..0,
    })
}

/// Reads the rows that a test expects, in the columns that the query turned out to have.
///
/// # Errors
/// Another header than the answer's, or a cell that is no value of its column; with the row's number.
pub fn read_answer(lines: &[String], warnings: Option<Warnings>, like: &Answer) -> Result<Answer, String> {
    let header = lines.first().cloned().unwrap_or_default();
    let expected = like.render().swap_remove(0);
    if header != expected {
        return Err(format!("columns `{header}`, the answer's are `{expected}`"));
    }
    let read = |line: &String| -> Result<AnswerRow, TextError> {
        let cells = pieces(line)?;
        if cells.len() != like.columns.len() + 2 {
            return Err(TextError(format!("{} cells, expected {}", cells.len(), like.columns.len() + 2)));
        }
        let values =
            cells[2..].iter().zip(&like.columns).map(|(cell, (_, data_type))| text::parse(cell, data_type));
        Ok(AnswerRow {
            time: parse_time(cells[0])?,
            key: text::parse(cells[1], &like.key_type)?,
            values: values.collect::<Result<_, _>>()?,
        })
    };
    let rows = lines
        .iter()
        .enumerate()
        .skip(1)
        .map(|(number, line)| read(line).map_err(|error| format!("row {number}: {error}")));
    Ok(Answer {
        key_type: DataType::clone(&like.key_type),
        columns: like.columns.clone(),
        rows: rows.collect::<Result<_, _>>()?,
        warnings: warnings.unwrap_or(like.warnings),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# rules 1.1, 4.2: what it shows
events m key=id source=s id:utf8 x:list<i64>
00:00:00, A, [1, 2]

events n key=id source=s id:utf8
00:00:00, A

events m
00:00:00, B, null

query results=snapshot at=00:00:01 overflows=2
m.x
----
_time, _key, result
old

query
bad
error
no field

query
m
";

    #[test]
    fn a_file_is_read_and_its_answers_are_replaced() {
        let file = TestFile::parse(FILE).unwrap();
        assert_eq!(file.rules.iter().collect::<Vec<_>>(), ["1.1", "4.2"]);
        let [snapshot, error, open] = &file.cases[..] else { panic!("{} cases", file.cases.len()) };
        assert_eq!(snapshot.tables.len(), 2);
        assert_eq!(snapshot.tables[0].rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 8]);
        assert_eq!(snapshot.line, 11);
        assert_eq!(
            snapshot.results,
            Results::Snapshot { changed_since: None, at: Some(parse_time("00:00:01").unwrap()) }
        );
        assert!(
            matches!(&snapshot.expected, Expected::Rows(rows, warnings) if rows.len() == 2 && warnings.unwrap().overflows == 2)
        );
        assert!(matches!(&error.expected, Expected::Error(pieces) if pieces == &["no field"]));
        assert!(matches!(&open.expected, Expected::Rows(rows, _) if rows.is_empty()));

        let accepted =
            file.with_answers(&[Some(vec!["header".into(), "new".into()]), None, Some(vec!["h".into()])]);
        let expected = FILE.replace("_time, _key, result\nold\n", "header\nnew\n") + "----\nh\n";
        assert_eq!(accepted, expected);
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_line() {
        for (file, line) in [
            ("what", 1),
            ("events", 1),
            ("events m id:utf8", 1),
            ("events m key=x id:utf8", 1),
            ("events m key=id id:utf9", 1),
            ("events m key=id id:utf8\n00:00:00", 2),
            ("events m key=id id:utf8\n00:00:01, A\n00:00:00, A", 3),
            ("\nquery at=00:00:00\nm\n----", 2),
            ("query wild\nm\n----", 1),
            ("query\n----", 1),
            ("query\nm\nerror\n", 3),
        ] {
            assert_eq!(TestFile::parse(file).map(|_| ()).map_err(|error| error.line), Err(line), "{file}");
        }
    }
}
