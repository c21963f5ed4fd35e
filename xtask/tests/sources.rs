//! Rules over the texts of sources that no compiler checks.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Files of Rust and Python in a folder and those within it, with their texts.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources.extend(sources_within(&path));
        } else if path.extension().is_some_and(|of| of == "rs" || of == "py" || of == "toml") {
            let text = fs::read_to_string(&path).unwrap();
            sources.push((path, text));
        }
    }
    sources
}

/// What a build leaves is no source.
fn sources_within(folder: &Path) -> Vec<(PathBuf, String)> {
    let name = folder.file_name().unwrap_or_default();
    if name == "target" || name.to_string_lossy().starts_with('.') { Vec::new() } else { sources(folder) }
}

/// The protocol is data and operators are state machines: what happens depends on what they are given alone
/// (ARCHITECTURE.md, invariant 5).
#[test]
fn the_protocol_and_the_engine_have_no_files_sockets_clocks_or_threads() {
    let never = ["fs", "net", "thread", "env", "Instant", "SystemTime"];
    for name in ["atproto", "timestream"] {
        let found = sources(&root().join("crates").join(name).join("src"));
        assert!(found.len() > 20, "{name} has {} files", found.len());
        for (path, text) in found {
            // Tests may.
            if path.iter().any(|part| part == "tests" || part == "tests.rs") {
                continue;
            }
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
            for (at, line) in code.enumerate() {
                let names = line.split(|c: char| !(c.is_alphanumeric() || "_:".contains(c)));
                let found = names.flat_map(|name| name.split("::")).find(|name| never.contains(name));
                assert!(found.is_none(), "{}:{}: {line}", path.display(), at + 1);
            }
        }
    }
}

/// A difference between two versions is read line by line. Rows of tables have no other line to go on in.
#[test]
fn comments_are_not_wider_than_code() {
    for (path, text) in
        ["crates", "xtask", "fuzz"].into_iter().flat_map(|folder| sources(&root().join(folder)))
    {
        for (at, line) in text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("//")) {
            let is_row = line.trim_start_matches(['/', '!', ' ']).starts_with('|');
            let width = line.chars().count();
            assert!(width <= 120 || is_row, "{}:{}: {width} characters", path.display(), at + 1);
        }
    }
}

/// Whoever reads that a line is there by a rule can look it up.
#[test]
fn each_rule_that_is_cited_is_there() {
    let rules = fs::read_to_string(root().join("docs/semantics.md")).unwrap();
    let mut cited = 0;
    for (path, text) in
        ["crates", "xtask", "fuzz", "tests"].into_iter().flat_map(|folder| sources(&root().join(folder)))
    {
        for rest in text.split("SEMANTICS ").skip(1) {
            let number: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
            let number = number.trim_end_matches('.');
            if number.is_empty() {
                continue;
            }
            let is_there =
                rules.contains(&format!("**{number}**")) || rules.contains(&format!("## {number}. "));
            assert!(is_there, "{}: docs/semantics.md has no rule {number}", path.display());
            cited += 1;
        }
    }
    assert!(cited > 50, "{cited} rules are cited");
}
