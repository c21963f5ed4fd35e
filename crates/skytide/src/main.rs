//! The program `skytide`: the edge where the libraries meet a person, a terminal, files and signals.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
