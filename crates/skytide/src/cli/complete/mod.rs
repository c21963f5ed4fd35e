//! `skytide complete` and `skytide completions`: what may stand at a place of a query, for editors and for shells.
//!
//! A shell's script is the one that clap makes of commands and flags, which knows nothing of queries, and a
//! few lines that ask the program itself first: [`line`] finds in the line of the shell the query, if its
//! last word is one, and quotes what is offered as the word is quoted. (clap's own way to have the program
//! asked is not stable, and knows of a word neither its quotes nor the flags beside it.)

mod line;

use arrow_schema::Fields;
use clap::{Arg, CommandFactory, Parser};
use serde_json::json;
use skytide_connect::files::{Files, matching};
use skytide_timestream::completion::{self, Completion};
use skytide_timestream::{functions, types};

use super::args::{Cli, Command, CompleteArgs, CompletionsArgs};
use super::failure::{Failure, USAGE};
use super::location::Location;
use super::query::nameable;
use super::sources::SourcesArgs;
use super::values::{CandidatesArg, LineShellArg, NamedQuery};
use line::{Line, Rules, Word};

/// `skytide completions`.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "skytide", &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    script.push_str(match args.shell {
        clap_complete::Shell::Bash => include_str!("scripts/bash.sh"),
        clap_complete::Shell::Zsh => include_str!("scripts/zsh.zsh"),
        clap_complete::Shell::Fish => include_str!("scripts/fish.fish"),
        _ => "",
    });
    super::print(&script)
}

/// `skytide complete`.
pub(crate) fn complete(args: &CompleteArgs) -> Result<(), Failure> {
    if let (Some(line), Some(shell)) = (&args.line, args.shell) {
        return super::print(&of_line(line, &args.after, shell));
    }
    let Some(query) = &args.query else {
        return Err(Failure::new(USAGE, "a query is missing"));
    };
    let sources = nameable(&args.lexicons, &args.sources)?;
    let Completion { range, candidates } =
        completion::complete(query, args.at.unwrap_or(query.len()), &sources);
    let lines = candidates.iter().map(|candidate| {
        let completion::Candidate { text, kind, signature, summary } = candidate;
        match args.format {
            CandidatesArg::Lines => {
                format!("{}\t{kind}\t{}\t{}\n", shown(text), shown(signature), shown(summary))
            }
            CandidatesArg::Ndjson => {
                let candidate = json!({
                    "text": text,
                    "start": range.start,
                    "end": range.end,
                    "kind": kind.name(),
                    "signature": signature,
                    "summary": summary,
                });
                format!("{candidate}\n")
            }
        }
    });
    super::print(&lines.collect::<String>())
}

/// Text that stays on its line and in its column.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// What a shell's script is told: for bash and zsh what of the word is replaced, then for each candidate what
/// is put there and, after a tab, what it is; for fish the whole word instead. Nothing where the word is no
/// query.
fn of_line(before: &str, after: &str, shell: LineShellArg) -> String {
    let rules = match shell {
        LineShellArg::Bash | LineShellArg::Zsh => Rules::Posix,
        LineShellArg::Fish => Rules::Fish,
    };
    let line = Line::read(before, after, rules);
    let Some((asked, word)) = asked(&line) else { return String::new() };
    let is_column = matches!(asked, Asked::Column);
    let (stem, Completion { range, candidates }) = match asked {
        Asked::Function => {
            let begins = |name: &&str| name.starts_with(word.text.as_str());
            let names = functions::all().map(|function| function.name).filter(begins);
            let candidates = names.map(|name| completion::Candidate {
                text: name.to_owned(),
                kind: completion::Kind::Function,
                signature: String::new(),
                summary: functions::find(name).map_or("", |function| function.summary).to_owned(),
            });
            (0, Completion { range: 0..word.text.len(), candidates: candidates.collect() })
        }
        Asked::Query { has_name } => {
            let query = match word.text.parse() {
                Ok(NamedQuery { query, .. }) if has_name => query,
                _ => word.text.clone(),
            };
            let sources = sources(&line).or_else(|_| nameable(&[], &SourcesArgs::default()));
            let Ok(sources) = sources else { return String::new() };
            (word.text.len() - query.len(), completion::complete(&query, query.len(), &sources))
        }
        Asked::Column => {
            let columns = columns(&line).unwrap_or_else(Fields::empty);
            let begins = columns.iter().filter(|field| field.name().starts_with(&word.text));
            let candidates = begins.map(|field| completion::Candidate {
                text: field.name().clone(),
                kind: completion::Kind::Field,
                signature: types::name(field.data_type()),
                summary: String::new(),
            });
            (0, Completion { range: 0..word.text.len(), candidates: candidates.collect() })
        }
    };
    let start = stem + range.start;
    let (stem, typed) = word.text.split_at(start);
    let is_plain = |text: &str| !text.contains(char::is_control);
    if candidates.is_empty() || !is_plain(typed) || shell == LineShellArg::Fish && !is_plain(stem) {
        return String::new();
    }
    let mut out = match shell {
        LineShellArg::Bash | LineShellArg::Zsh => format!("{}\n", word.quoted(typed)),
        LineShellArg::Fish => String::new(),
    };
    let candidates: Vec<_> =
        candidates.iter().filter(|candidate| word.takes(&candidate.text, rules)).collect();
    if let ([only], LineShellArg::Fish, false) = (candidates.as_slice(), shell, is_column)
        && only.text != typed
    {
        // A query goes on: fish would close the quote of the only word there is.
        out.push_str(&format!("{stem}{}…\t\n", only.text));
    }
    for candidate in candidates {
        let text = match shell {
            LineShellArg::Bash => word.quoted(&candidate.text),
            // It quotes by itself.
            LineShellArg::Zsh => candidate.text.clone(),
            LineShellArg::Fish => format!("{stem}{}", candidate.text),
        };
        let what = if candidate.summary.is_empty() { &candidate.signature } else { &candidate.summary };
        out.push_str(&format!("{text}\t{}\n", shown(what)));
    }
    out
}

/// The flags that name columns of a file.
const COLUMNS: [&str; 3] = ["time", "key", "subsort"];

/// What the last word of a line is.
enum Asked {
    /// A query, which may have a name.
    Query { has_name: bool },
    /// The name of a function.
    Function,
    /// The name of a column of a file.
    Column,
}

/// What is asked for at the cursor; none where it is a command, a flag or another flag's value.
fn asked(line: &Line) -> Option<(Asked, &Word)> {
    let (word, words) = line.before.split_last()?;
    let mut command = Cli::command();
    command.build();
    let mut words = words.iter().skip(1);
    let mut command = &command;
    let (mut value_of, mut only_words, mut passed) = (None, false, 0);
    for word in &mut words {
        let text = word.text.as_str();
        if value_of.take().is_some() {
            continue;
        }
        if text == "--" {
            only_words = true;
        } else if !only_words && text.starts_with('-') && text.len() > 1 {
            value_of = flag(command, text).filter(|of| of.wants_value).map(|of| of.arg);
        } else if let Some(sub) = command.find_subcommand(text).filter(|_| passed == 0) {
            command = sub;
        } else {
            passed += 1;
        }
    }
    if let Some(of) = value_of {
        let is_column = COLUMNS.contains(&of.get_id().as_str());
        return is_column.then_some((Asked::Column, word));
    }
    if !only_words && word.text.starts_with('-') {
        return None;
    }
    let positional = command.get_positionals().last()?;
    let takes_many = positional.get_num_args().is_some_and(|range| range.max_values() > 1);
    if passed > 0 && !takes_many {
        return None;
    }
    match positional.get_id().as_str() {
        "query" => Some((Asked::Query { has_name: false }, word)),
        "queries" => Some((Asked::Query { has_name: true }, word)),
        "name" => Some((Asked::Function, word)),
        _ => None,
    }
}

/// A flag as it is written.
struct Flag<'c> {
    arg: &'c Arg,
    /// Whether the next word is its value.
    wants_value: bool,
}

/// The flag of a command that a word is.
fn flag<'c>(command: &'c clap::Command, word: &str) -> Option<Flag<'c>> {
    let takes = |arg: &Arg| arg.get_action().takes_values();
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        let is_called =
            |arg: &&Arg| arg.get_long_and_visible_aliases().is_some_and(|names| names.contains(&name));
        let arg = command.get_arguments().find(is_called)?;
        return Some(Flag { arg, wants_value: takes(arg) && value.is_none() });
    }
    // Of several letters the first that takes a value has the rest.
    let letters = word.strip_prefix('-')?;
    for (at, letter) in letters.char_indices() {
        let arg = command.get_arguments().find(|arg| arg.get_short() == Some(letter))?;
        if takes(arg) {
            return Some(Flag { arg, wants_value: at + letter.len_utf8() == letters.len() });
        }
    }
    None
}

/// The columns of the file that the line names before the cursor, or else after it.
fn columns(line: &Line) -> Option<Fields> {
    let mut command = Cli::command();
    command.build();
    let check = command.find_subcommand("check")?;
    let named = |words: &[Word]| {
        let mut found = Vec::new();
        let mut words = words.iter().map(|word| word.text.as_str());
        while let Some(word) = words.next() {
            let Some(of) = flag(check, word).filter(|of| of.arg.get_id() == "from") else { continue };
            let value =
                if of.wants_value { words.next() } else { word.split_once('=').map(|(_, value)| value) };
            found.extend(value.and_then(|value| value.parse::<Location>().ok()));
        }
        found
    };
    let (_, before) = line.before.split_last()?;
    let location = named(before).pop().or_else(|| named(&line.after).into_iter().next())?;
    let Location::Rows(path) = location else { return None };
    let first = matching(&path).ok()?.into_iter().next()?;
    Files::columns(&first).ok()
}

/// The sources that a line names: its flags that `skytide check` has, too.
fn sources(line: &Line) -> Result<skytide_connect::sources::Sources, Failure> {
    let mut command = Cli::command();
    command.build();
    let check = command.find_subcommand("check");
    let mut words = vec!["skytide", "check"];
    let mut all = line.before.iter().rev().skip(1).rev().chain(&line.after).map(|word| word.text.as_str());
    while let Some(word) = all.next() {
        let known = check.and_then(|check| flag(check, word)).filter(|of| of.arg.get_id() != "help");
        if let Some(of) = known {
            words.push(word);
            words.extend(of.wants_value.then(|| all.next()).flatten());
        }
    }
    // The query is what is being written.
    words.extend(["--", "posts"]);
    let parsed = Cli::try_parse_from(words);
    match parsed.map_err(|error| Failure::new(USAGE, error.to_string()))?.command {
        Command::Check(args) => nameable(&args.query.lexicons, &args.sources),
        _ => Err(Failure::new(USAGE, "no check")),
    }
}
