//! Completion as editors and shells have it: what is printed, and what a real bash makes of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Running, err, out, output};
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
    told_amid(shell, line, "")
}

/// What it is told with the cursor before the rest of the line.
fn told_amid(shell: &str, line: &str, after: &str) -> Vec<String> {
    texts(&["complete", "--shell", shell, "--line", line, "--after", after])
}

/// A file of one row, and the flags that name it.
fn rows(folder: &Path, name: &str, content: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    format!("--from {} --time ts --key user", path.display())
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
    assert_eq!(told_amid("zsh", "skytide run 'visits.pa", &after), ["pa", "page"]);
    // No word has begun at the cursor.
    let after = format!(" --from {} --time ts --key user", path.display());
    assert!(told_amid("zsh", "skytide run ", &after).contains(&"visits".to_owned()));
    // What cannot be opened is the editor's to know; a shell goes on with what is always there.
    assert!(!output(&["complete", "vis", "--from", "none.csv"]).status.success());
    assert_eq!(told("bash", "skytide run --from none.csv 'posts.wi"), ["wi", "with_key("]);
}

#[test]
fn what_follows_the_cursor_may_look_like_a_flag() {
    for (line, after) in [("skytide run 'posts.se", "-1'"), ("skytide run 'posts.se", "--limit'")] {
        assert_eq!(told_amid("bash", line, after)[..2], ["se", "seq"], "{after}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = lines(&["completions", shell]).join("\n");
        assert!(script.contains("--line=\"") && script.contains("--after=\""), "{shell}");
    }
}

#[test]
fn names_of_files_forge_no_lines() {
    let folder = tempfile::tempdir().unwrap();
    let row = r#"{"ts":"2026-07-04T00:00:00Z","user":"ann","o":{"a\u001b[31m\nb\tc":1}}"#;
    let from = rows(folder.path(), "visits.jsonl", &format!("{row}\n"));
    let from: Vec<_> = from.split(' ').collect();
    for query in ["visits.o", "visits.o.", "vis"] {
        let ran = output(&[&["complete", query], &from[..]].concat());
        let shown = out(&ran);
        assert!(!shown.is_empty(), "{query}: {}", err(&ran));
        for line in shown.split_terminator('\n') {
            let columns: Vec<_> = line.split('\t').collect();
            assert_eq!(columns.len(), 4, "{line:?}");
            assert!(!columns.concat().contains(char::is_control), "{line:?}");
        }
    }
    let ran = output(&[&["check", "visits.o"], &from[..]].concat());
    let shown = out(&ran);
    assert!(shown.contains(r"struct<a\u{1b}[31m\nb\tc: i64>"), "{shown:?} {}", err(&ran));
}

/// A pipe of the system is opened by whoever reads it, who waits for one that writes.
#[cfg(unix)]
#[test]
fn pipes_are_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let rows = rows(folder.path(), "visits.csv", "ts,user,page\n2026-07-04T00:00:00Z,ann,home\n");
    for name in ["named.jsonl", "unnamed"] {
        let pipe = folder.path().join(name);
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for flag in ["--from", "--lexicon"] {
            let mut command = crate::common::skytide(&["complete", "vis", flag, pipe.to_str().unwrap()]);
            let started =
                command.args(rows.split(' ')).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
            let mut asked = Running(started.unwrap());
            let until = Instant::now() + Duration::from_secs(60);
            let ended = loop {
                match asked.0.try_wait().unwrap() {
                    None if Instant::now() < until => std::thread::sleep(Duration::from_millis(10)),
                    ended => break ended,
                }
            };
            assert!(ended.is_some_and(|status| status.success()), "{name} {flag}: {ended:?}");
            let mut shown = String::new();
            asked.0.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
            assert!(shown.starts_with("visits\t"), "{name} {flag}: {shown}");
        }
    }
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
fn columns_of_the_file_that_is_named_are_offered() {
    let folder = tempfile::tempdir().unwrap();
    let one = rows(folder.path(), "one.csv", "ts,user,the time\n2026-07-04T00:00:00Z,ann,1\n");
    let other = rows(folder.path(), "other.csv", "at,id\n2026-07-04T00:00:00Z,ann\n");
    assert_eq!(told("bash", &format!("skytide run x {one} --time ")), ["", "ts", "user", r"the\ time"]);
    assert_eq!(told("bash", &format!("skytide run x {one} {other} --key i")), ["i", "id"]);
    assert_eq!(told("fish", &format!("skytide check x {one} --subsort 'th")), ["the time"]);
    assert_eq!(told_amid("zsh", "skytide run x --key t", &format!(" {one}")), ["t", "ts", "the time"]);
    for line in [
        "skytide run x --time ",
        "skytide run x --from wss://a --time t",
        "skytide run x --from no.csv --key ",
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
fn what_a_shell_would_take_for_history_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let from = rows(folder.path(), "x.csv", "ts,user,a!-2,a b\n2026-07-04T00:00:00Z,ann,1,2\n");
    for shell in ["bash", "zsh"] {
        let found = told(shell, &format!(r#"skytide run {from} "x.\`a"#));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(!found.concat().contains('!'), "{found:?}");
    }
    // Elsewhere nothing of it is left.
    let line = format!("skytide run {from} ");
    assert_eq!(told("bash", &format!(r"{line}x.\`a")), [r"\`a", r"\`a\!-2\`", r"\`a\ b\`"]);
    assert_eq!(told("bash", &format!("{line}'x.`a")), ["`a", "`a!-2`", "`a b`"]);
    assert_eq!(told("fish", &format!("{line}\"x.`a")), ["x.`a!-2`", "x.`a b`"]);
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

/// The script of a shell, in a file.
#[cfg(target_os = "linux")]
fn script(shell: &str, folder: &Path) -> PathBuf {
    let script = folder.join(format!("skytide.{shell}"));
    std::fs::write(&script, lines(&["completions", shell]).join("\n")).unwrap();
    script
}

/// What a shell prints that finds the program; none where it, or what is to run it, is not there.
#[cfg(target_os = "linux")]
fn printed(command: &mut Command, typed: &str) -> Option<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_skytide"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    command.env("PATH", path).env("TERM", "dumb");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut shell = match command.spawn() {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        started => Running(started.unwrap()),
    };
    let mut stdin = shell.0.stdin.take().unwrap();
    write!(stdin, "{typed}").unwrap();
    drop(stdin);
    let mut shown = Vec::new();
    shell.0.stdout.take().unwrap().read_to_end(&mut shown).unwrap();
    Some(String::from_utf8_lossy(&shown).into_owned())
}

/// What a shell on a terminal prints of what is typed.
#[cfg(target_os = "linux")]
fn printed_on_terminal(shell: &str, typed: &str) -> Option<String> {
    printed(Command::new("script").args(["-qec", shell, "/dev/null"]), typed)
}

/// Says past the harness, which shows nothing of a test that passes, that something has not been tested here.
#[cfg(target_os = "linux")]
#[allow(clippy::explicit_write, reason = "what `eprintln!` says the harness keeps")]
fn left_out(test: &str, missing: &str) {
    writeln!(std::io::stderr(), "test {test} is left out: there is no {missing}").unwrap();
}

/// Typed after a line: it is not run but has its words printed.
#[cfg(target_os = "linux")]
const PRINT: &str = "\u{1}printf '<%s>' \n\nexit\n";

#[cfg(target_os = "linux")]
#[test]
fn a_bash_completes_queries() {
    let folder = tempfile::tempdir().unwrap();
    let script = script("bash", folder.path());
    let from = rows(folder.path(), "x.csv", "ts,user,a:bc\n2026-07-04T00:00:00Z,ann,1\n");
    let [amid, behind] = [r"x.\`a:b", r"x.\`a:"].map(|word| format!("skytide run {from} {word}\t"));
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
        // Its word begins behind a colon.
        (&amid, "<x.`a:bc`>"),
        (&behind, "<x.`a:bc`>"),
    ] {
        let typed = format!("source {}\n{line}{PRINT}", script.display());
        let Some(shown) = printed_on_terminal("bash --norc --noprofile -i", &typed) else {
            assert!(std::env::var_os("CI").is_none(), "there is no `script` to run a bash on a terminal");
            return left_out("a_bash_completes_queries", "`script`");
        };
        assert!(shown.contains(completed), "{line:?}: {shown}");
    }
}

/// One of before 4.4 knows neither `nosort` nor `mapfile`.
#[cfg(target_os = "linux")]
#[test]
fn an_old_bash_is_told_of_flags_alone() {
    let folder = tempfile::tempdir().unwrap();
    let script = script("bash", folder.path());
    let text = std::fs::read_to_string(&script).unwrap();
    for (version, is_old) in [("3 2", true), ("4 3", true), ("4 4", false), ("5 2", false)] {
        // What it has is told by what is said of its version.
        let told = text.replace("BASH_VERSINFO", "version");
        std::fs::write(&script, format!("version=({version})\ncomplete() {{ echo \"$@\"; }}\n{told}"))
            .unwrap();
        let Some(shown) = printed(Command::new("bash").arg(&script), "") else {
            return left_out("an_old_bash_is_told_of_flags_alone", "bash");
        };
        assert!(shown.contains("-F _skytide "), "{version}: {shown}");
        assert_eq!(shown.contains("nosort"), !is_old, "{version}: {shown}");
        assert_eq!(shown.contains("_skytide_or_query"), !is_old, "{version}: {shown}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_zsh_completes_queries() {
    if printed(Command::new("zsh").args(["-fc", "exit"]), "").is_none() {
        return left_out("a_zsh_completes_queries", "zsh");
    }
    let folder = tempfile::tempdir().unwrap();
    let script = script("zsh", folder.path());
    let from = rows(folder.path(), "visits.csv", "ts,user,page\n2026-07-04T00:00:00Z,ann,home\n");
    let forward = |word: &str| "\u{6}".repeat("skytide run ".len() + word.len());
    // The cursor is within the quotes, then where no word has begun.
    let within = format!("skytide run 'visits.pa' {from}\u{1}{}\t", forward("'visits.pa"));
    let empty = format!("skytide run  {from}\u{1}{}\tvisi\t.pa\t", forward(""));
    for (line, completed) in [
        ("skytide run 'posts.wi\tdid).coun\t)'", "<skytide><run><posts.with_key(did).count()>"),
        ("skytide run a=posts.wi\tdid\\)", "<skytide><run><a=posts.with_key(did)>"),
        (&within, "<skytide><run><visits.page><--from>"),
        (&empty, "<skytide><run><visits.page><--from>"),
    ] {
        let begin = "bindkey -e; autoload -Uz compinit; compinit -uD; source";
        let typed = format!("{begin} {}\n{line}{PRINT}", script.display());
        let Some(shown) = printed_on_terminal("zsh -fi", &typed) else {
            return left_out("a_zsh_completes_queries", "`script`");
        };
        assert!(shown.contains(completed), "{line:?}: {shown}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_fish_completes_queries() {
    let folder = tempfile::tempdir().unwrap();
    let script = script("fish", folder.path());
    for (line, offered) in [
        ("skytide run 'posts.wi", vec!["posts.with_key(…", "posts.with_key("]),
        ("skytide run \"a=posts.record.creat", vec!["a=posts.record.createdAt…", "a=posts.record.createdAt"]),
        ("skytide run --form", vec!["--format"]),
    ] {
        let asks = r#"source $argv[1]; complete -C "$argv[2]""#;
        let mut fish = Command::new("fish");
        fish.args(["--no-config", "-c", asks]).arg(&script).arg(line).env("HOME", folder.path());
        let Some(shown) = printed(&mut fish, "") else { return left_out("a_fish_completes_queries", "fish") };
        let found: Vec<_> = shown.lines().map(|line| line.split('\t').next().unwrap()).collect();
        assert_eq!(found, offered, "{line}");
    }
}
