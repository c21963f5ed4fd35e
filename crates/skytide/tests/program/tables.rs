//! Tables for a person: what is in line, and what a cell may hold.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::ffi::OsStrExt;

use crate::common::{err, out, output, skytide};

/// What a query over these lines of CSV prints as a table.
fn table(rows: &str, query: &str, results: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.csv");
    std::fs::write(&file, rows).unwrap();
    let of = ["--from", file.to_str().unwrap(), "--as", "rows", "--time", "t", "--key", "k"];
    let ran = output(&[&["run", query, "--format", "table", "--results", results, "-q"], &of[..]].concat());
    assert!(ran.status.success(), "{}", err(&ran));
    out(&ran)
}

#[test]
fn numbers_that_are_none_stand_among_the_others() {
    let row =
        |key: i32| format!("2026-01-01T00:00:{key:02},k{key},{}\n", if key % 3 == 0 { -1 } else { key });
    let rows = format!("t,k,x\n{}", (0..60).map(row).collect::<String>());
    let table = table(&rows, "rows.x.sqrt()", "snapshot");
    assert_eq!(table.lines().filter(|line| line.contains("NaN")).count(), 20, "{table}");
    let keys: Vec<_> = table.lines().filter_map(|line| line.split('┆').nth(1)).map(str::trim).collect();
    assert_eq!(keys[..3], ["_key", "k59", "k58"], "the largest first: {table}");
}

#[test]
fn what_stands_behind_wide_characters_is_in_line() {
    let rows =
        "t,k,x\n2026-01-01T00:00:01,にほん,1\n2026-01-01T00:00:02,abcdef,2\n2026-01-01T00:00:03,日本,3\n";
    let table = table(rows, "rows.x", "history");
    let numbers: Vec<_> = table.lines().skip(1).map(|line| line.split_once("Z  ").unwrap().1).collect();
    assert_eq!(numbers, ["にほん       1", "abcdef       2", "日本         3"], "{table}");
}

#[test]
fn an_argument_that_is_no_text_is_refused() {
    let ran = skytide(&["run", "rows.count()", "--from"])
        .arg(std::ffi::OsStr::from_bytes(b"r\xff.csv"))
        .output()
        .unwrap();
    assert!(ran.status.code() == Some(2) && err(&ran).contains("UTF-8"), "{}", err(&ran));
}

#[test]
fn what_would_steer_a_terminal_is_shown() {
    let rows = "t,k,c\u{1b}]0;name\u{7}\u{202e}\n2026-01-01T00:00:01,a\u{202e}b\u{9b}2J,1\n";
    for results in ["history", "snapshot"] {
        let table = table(rows, "rows", results);
        assert!(!table.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{9b}']), "{table}");
        assert!(
            table.contains(r"c\u{1b}]0;name\u{7}\u{202e}") && table.contains(r"a\u{202e}b\u{9b}2J"),
            "{table}"
        );
    }
    let ran = output(&["run", "rows", "--from", "\u{1b}[31mnone.csv", "--time", "t", "--key", "k"]);
    assert!(err(&ran).contains(r"\u{1b}[31mnone.csv") && !err(&ran).contains('\u{1b}'), "{}", err(&ran));
}
