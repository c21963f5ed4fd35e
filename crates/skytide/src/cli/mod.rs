//! The commands, and what they share: arguments, sources, status, how a run ends.

mod args;
mod bench;
mod complete;
mod failure;
mod functions;
mod input;
mod interrupt;
mod location;
mod pipe;
mod query;
mod record;
mod resume;
mod run;
mod same;
mod sim;
mod sources;
mod status;
mod table;
mod tagged;
mod tail;
mod target;
mod values;
mod visible;
mod waiting;

use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use skytide_connect::files::hush_caught;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use args::{Cli, Command};
use failure::Failure;

/// The variable that asks for the libraries' diagnostics on stderr: `SKYTIDE_LOG=skytide_firehose=debug`.
const LOG: &str = "SKYTIDE_LOG";

/// Parses the command line and carries it out.
pub(crate) fn main() -> ExitCode {
    hush_caught();
    let cli = match parsed() {
        Ok(cli) => cli,
        Err(error) => match query_like_a_flag(&error).or_else(|| query_for_a_file(&error)) {
            Some(failure) => return failure.report(),
            None => error.exit(),
        },
    };
    if let Ok(filter) = std::env::var(LOG) {
        match filter.parse::<Targets>() {
            Ok(targets) => {
                let lines = tracing_subscriber::fmt::layer()
                    .with_ansi(console::colors_enabled_stderr())
                    .with_writer(std::io::stderr);
                tracing_subscriber::registry().with(lines).with(targets).init();
            }
            Err(error) => {
                let failure = Failure::new(failure::USAGE, format!("{LOG}={filter:?}: {error}"));
                return failure
                    .hint("give a level, as debug, or levels by target, as skytide_firehose=debug")
                    .report();
            }
        }
    }
    let done = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Tail(args) => tail::tail(&args),
        Command::Labels(args) => tail::labels(&args),
        Command::Record(args) => record::record(&args),
        Command::Check(args) => query::check(&args),
        Command::Explain(args) => query::explain(&args),
        Command::Functions(args) => functions::functions(&args),
        Command::Complete(args) => complete::complete(&args),
        Command::Completions(args) => complete::completions(&args),
        Command::Sim(args) => sim::sim(&args),
        Command::Bench(args) => bench::bench(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// The command line.
fn parsed() -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches(&matches).map_err(|error| told_of(error, &mut command, &matches))
}

/// An error with the usage of the command that was given.
fn told_of(error: clap::Error, command: &mut clap::Command, matches: &ArgMatches) -> clap::Error {
    if let Some((name, matches)) = matches.subcommand()
        && let Some(command) = command.find_subcommand_mut(name)
    {
        return told_of(error, command, matches);
    }
    error.format(command)
}

/// What is said where `--svg`, which may have a file, has the query for it.
fn query_for_a_file(error: &clap::Error) -> Option<Failure> {
    let given: Vec<String> = std::env::args_os().skip(1).filter_map(|text| text.into_string().ok()).collect();
    let is_meant = error.kind() == ErrorKind::MissingRequiredArgument && given.first()? == "explain";
    let is_query = |text: &&String| !text.starts_with('-') && !text.ends_with(".svg");
    let query = given.iter().skip_while(|text| *text != "--svg").nth(1).filter(|_| is_meant);
    let query = query.filter(is_query)?;
    let failure = Failure::new(failure::USAGE, format!("`{query}` is taken for the file of --svg"));
    Some(failure.hint(format!("the query stands before it: skytide explain '{query}' --svg")))
}

/// What is said where a query begins as flags do, so that its first letter is taken for one.
fn query_like_a_flag(error: &clap::Error) -> Option<Failure> {
    let is_query = |text: &String| {
        text.starts_with('-') && !text.starts_with("--") && text.contains(['(', '.', ' ', '=', '*', '+', '/'])
    };
    let given = std::env::args_os().skip(1).filter_map(|text| text.into_string().ok());
    let mut given = given.take_while(|text| text != "--");
    let query = given.find(is_query).filter(|_| error.kind() == ErrorKind::UnknownArgument)?;
    let failure =
        Failure::new(failure::USAGE, format!("`{query}` is taken for flags, which begin with a dash"));
    Some(failure.hint(format!("a query that does, too, stands at the end, after two of them: -- '{query}'")))
}

/// Prints data on stdout. A closed pipe is no failure: its reader has what it wanted.
fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(failure::DATA, format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}
