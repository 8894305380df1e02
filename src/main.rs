//! Arguments to command to exit code.

use std::process::ExitCode;

use clap::Parser;
use meltline::cli::Cli;

fn main() -> ExitCode {
    // clap exits with 2 on wrong usage and 0 for --help and --version.
    let cli = Cli::parse();
    match meltline::command::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if meltline::command::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("meltline: {error:#}");
            ExitCode::FAILURE
        }
    }
}
