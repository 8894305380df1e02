//! Arguments to command to exit code.

use std::io::Write;
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
            // After a hang-up standard error is gone too, and `eprintln!` would panic.
            let _ = writeln!(std::io::stderr(), "meltline: {error:#}");
            ExitCode::FAILURE
        }
    }
}
