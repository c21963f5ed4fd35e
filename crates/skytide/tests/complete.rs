//! Completion as editors and shells have it: what is printed, and what a real bash makes of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Running, err, out, output};
use serde_json::Value;

fn lines(args: &[&str]) -> Vec<String> {
    let ran = output(args);
    assert!(ran.status.success(), "{args:?}: {}", err(&ran));
    out(&ran).lines().map(str::to_owned).collect()
}

/// The first column of each line.
fn texts(args: &[&str]) -> Vec<String> {
    lines(args).iter().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

/// What a shell is told of a line.
fn told(shell: &str, line: &str) -> Vec<String> {
    texts(&["complete", "--shell", shell, "--line", line])
}

#[test]
fn candidates_are_lines() {
    let found = lines(&["complete", "posts.wi"]);
    assert_eq!(
        found,
        [
            "with_key(\tfunction\twith_key<T: any, K: any>(stream: T, key: K, grouping: utf8?) -> T\tThe same points under another key."
        ]
    );
    // At a place amid the query, as JSON.
    let found = lines(&["complete", "posts.co.last()", "--at", "8", "--format", "ndjson"]);
    let found: Vec<Value> = found.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = found.iter().find(|candidate| candidate["text"] == "count(").unwrap();
    assert_eq!(
        (&count["start"], &count["end"], &count["kind"]),
        (&6.into(), &8.into(), &"aggregation".into())
    );
    assert!(lines(&["complete", "posts.nothing"]).is_empty());
}

#[test]
fn streams_of_files_are_offered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("visits.csv");
    std::fs::write(&path, "ts,user,page\n2026-07-04T00:00:00Z,ann,home\n").unwrap();
    let from = ["--from", path.to_str().unwrap(), "--time", "ts", "--key", "user"];
    assert_eq!(texts(&[&["complete", "vis"], &from[..]].concat()), ["visits"]);
    assert_eq!(texts(&[&["complete", "v.pa", "--as", "v"], &from[..]].concat()), ["page"]);
    // A line's own sources, wherever they stand on it.
    let line = format!("skytide run -o x --from {} --time ts --key user 'visits.pa", path.display());
    assert_eq!(told("bash", &line), ["pa", "page"]);
    let after = format!("th' --limit 3 --from={} --time ts --key user", path.display());
    let line = "skytide run 'visits.pa";
    assert_eq!(texts(&["complete", "--shell", "zsh", "--line", line, "--after", &after]), ["pa", "page"]);
    // What cannot be opened is the editor's to know; a shell goes on with what is always there.
    assert!(!output(&["complete", "vis", "--from", "none.csv"]).status.success());
    assert_eq!(told("bash", "skytide run --from none.csv 'posts.wi"), ["wi", "with_key("]);
}

#[test]
fn a_shell_is_told_of_queries_alone() {
    for line in [
        "skytide run 'posts.wi",
        "skytide run posts.wi",
        "skytide run -q --limit 3 'langs=posts.wi",
        "skytide run 'posts.count()' \"posts.wi",
        "skytide run --limit=3 -- 'posts.wi",
        "skytide check 'posts.wi",
        "skytide explain 'posts.wi",
        "skytide bench read posts.wi",
    ] {
        let found = told("zsh", line);
        assert_eq!(found, ["wi", "with_key("], "{line}");
    }
    assert_eq!(told("bash", "skytide functions with"), ["with", "with_key"]);
    assert_eq!(told("fish", "skytide run 'a=posts.wi"), ["a=posts.with_key(…", "a=posts.with_key("]);
    // A query of several lines is one word; fish is told whole words by lines.
    assert_eq!(told("bash", "skytide run 'posts\n.wi"), ["wi", "with_key("]);
    assert!(told("fish", "skytide run 'posts\n.wi").is_empty());
    for line in [
        "skytide",
        "skytide ru",
        "skytide run --fo",
        "skytide run --from posts.wi",
        "skytide run -o posts.wi",
        "skytide run -qo posts.wi",
        "skytide check 'posts.count()' posts.wi",
        "skytide tail posts.wi",
        "skytide functions len w",
        "",
    ] {
        assert!(told("bash", line).is_empty(), "{line}");
    }
}

#[test]
fn candidates_are_quoted_as_their_word() {
    for (line, told_of) in [
        ("skytide run posts.wi", ["wi", r"with_key\("]),
        ("skytide run \"posts.select(\\\"ur", [r#"\"ur"#, r#"\"uri\""#]),
        ("skytide run 'posts.filter(did == '\\''x'\\'').wi", ["wi", "with_key("]),
    ] {
        assert_eq!(told("bash", line), told_of, "{line}");
    }
}

#[test]
fn every_shell_has_its_script() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = lines(&["completions", shell]).join("\n");
        assert!(script.contains("resume-every") && script.contains("explain"), "{shell}");
        let asks = script.contains("complete --shell");
        assert_eq!(asks, matches!(shell, "bash" | "zsh" | "fish"), "{shell}");
    }
    assert_eq!(output(&["completions", "cmd"]).status.code(), Some(2));
}

/// Types at a bash on a terminal; tabs are pressed. None where there is no terminal to be had.
#[cfg(target_os = "linux")]
fn typed_at_bash(line: &str, folder: &Path) -> Option<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_skytide"));
    let script = folder.join("skytide.bash");
    std::fs::write(&script, lines(&["completions", "bash"]).join("\n")).unwrap();
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let started = Command::new("script")
        .args(["-qec", "bash --norc --noprofile -i", "/dev/null"])
        .env("PATH", path)
        .env("TERM", "dumb")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut bash = Running(started.ok()?);
    let mut stdin = bash.0.stdin.take().unwrap();
    // What was completed is shown by going to the line's begin and having it printed.
    write!(stdin, "source {}\n{line}\u{1}printf '<%s>' \n\nexit\n", script.display()).unwrap();
    drop(stdin);
    let mut shown = String::new();
    std::io::Read::read_to_string(&mut bash.0.stdout.take().unwrap(), &mut shown).unwrap();
    Some(shown)
}

#[cfg(target_os = "linux")]
#[test]
fn a_bash_completes_queries() {
    let folder = tempfile::tempdir().unwrap();
    for (line, completed) in [
        // The quote stays open: the query goes on.
        ("skytide run 'posts.wi\tdid).co\tunt()'", "<skytide><run><posts.with_key(did).count()>"),
        (
            "skytide run 'langs=posts.record.cre\t' --form\tcsv",
            "<skytide><run><langs=posts.record.createdAt><--format><csv>",
        ),
        (
            "skytide run \"posts.filter(did == \\\"x\\\").wi\tdid)\"",
            "<skytide><run><posts.filter(did == \"x\").with_key(did)>",
        ),
        ("skytide run a=posts.wi\tdid\\)", "<skytide><run><a=posts.with_key(did)>"),
    ] {
        let Some(shown) = typed_at_bash(line, folder.path()) else { return };
        assert!(shown.contains(completed), "{line:?}: {shown}");
    }
}
