//! One subcommand a file, each thin; and what they share.

pub mod collect;
pub mod demo;
pub mod doctor;
pub mod image;
pub mod import;
mod lane;
mod lanes;
pub mod levels;
pub mod live;
mod pictures;
pub mod replay;
pub mod score;
pub mod screen;
pub mod sim;
pub mod snapshot;
mod start;
pub mod state;
pub mod store;
pub mod tap;
mod warm;

use std::io::{self, Write};

use anyhow::Context;
use clap::CommandFactory;
use tracing_subscriber::filter::LevelFilter;

use crate::cli::{Cli, Command, Common, ScreenArgs, ViewArgs};
use crate::config::{Config, LogLevel};
use crate::feed::recording::RecordingTally;

/// Runs what the command line asks for.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    let mut config = Config::load(cli.common.config.as_deref())?;
    // In files there are venues without adapters too: what reads files picks for itself.
    let picks_venues = match &cli.command {
        Some(Command::Score(_)) => true,
        Some(Command::Snapshot(args)) => args.input.is_some(),
        Some(Command::Levels(args)) => args.input.is_none() && args.is_past(),
        _ => false,
    };
    overlay(&mut config, &cli.common, picks_venues)?;
    match cli.command {
        None => {
            apply_screen(&mut config, &cli.screen);
            if let Some(asset) = cli.asset {
                config.asset = asset;
            }
            config.feed.capture = cli.live.capture.unwrap_or(config.feed.capture);
            let _log = log_to_file(&config)?;
            live::run(&config)
        }
        Some(Command::Demo(args)) => {
            apply_screen(&mut config, &args.screen);
            let _log = log_to_file(&config)?;
            demo::run(&args, config)
        }
        Some(Command::Replay(args)) => {
            apply_screen(&mut config, &args.screen);
            let _log = log_to_file(&config)?;
            replay::run(&args, &config)
        }
        Some(Command::Tap(args)) => {
            log_to_stderr(&config);
            tap::run(&args, config)
        }
        Some(Command::Levels(args)) => {
            log_to_stderr(&config);
            levels::run(&args, &cli.common.venues, &config)
        }
        Some(Command::Snapshot(args)) => {
            apply_view(&mut config, &args.view);
            log_to_stderr(&config);
            snapshot::run(&args, &cli.common.venues, &config)
        }
        Some(Command::Score(args)) => {
            log_to_stderr(&config);
            score::run(&args, &cli.common.venues, &config)
        }
        Some(Command::Sim(args)) => {
            log_to_stderr(&config);
            sim::run(&args, config)
        }
        Some(Command::Collect(args)) => {
            log_to_stderr(&config);
            collect::run(&args, &config)
        }
        Some(Command::Store(args)) => {
            log_to_stderr(&config);
            store::run(&args, &config)
        }
        Some(Command::Import(args)) => {
            log_to_stderr(&config);
            import::run(&args, &config)
        }
        Some(Command::Doctor(args)) => {
            log_to_stderr_quietly(&config);
            doctor::run(&args, &config, cli.common.config.as_deref())
        }
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "meltline", &mut script);
            io::stdout().write_all(&script).context("cannot write the completions")
        }
        Some(Command::Man) => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            io::stdout().write_all(&page).context("cannot write the manual page")
        }
    }
}

/// Flags stand above the file.
fn overlay(config: &mut Config, common: &Common, picks_venues: bool) -> anyhow::Result<()> {
    if let Some(dir) = &common.data_dir {
        config.data_dir.clone_from(dir);
    }
    if !common.venues.is_empty() && !picks_venues {
        config.venues.choose(&common.venues)?;
    }
    config.log = match (common.quiet, common.verbose) {
        (true, _) => LogLevel::Error,
        (false, 0) => config.log,
        (false, 1) => config.log.max(LogLevel::Debug),
        (false, _) => LogLevel::Trace,
    };
    Ok(())
}

fn apply_screen(config: &mut Config, args: &ScreenArgs) {
    apply_view(config, &args.view);
    config.screen.graphics = args.graphics.unwrap_or(config.screen.graphics);
}

fn apply_view(config: &mut Config, args: &ViewArgs) {
    config.range = args.range.unwrap_or(config.range);
    config.screen.model = args.model.unwrap_or(config.screen.model);
    config.screen.colour = args.colour.unwrap_or(config.screen.colour);
}

fn level(config: &Config) -> LevelFilter {
    match config.log {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

fn log_to_stderr(config: &Config) {
    // At most warnings unless asked for more: standard error is what a script's user reads.
    let level = if config.log == LogLevel::Info { LevelFilter::WARN } else { level(config) };
    tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false).with_max_level(level).init();
}

/// What `doctor` says, it says in its own lines; the log only speaks when asked to.
fn log_to_stderr_quietly(config: &Config) {
    let level = if config.log >= LogLevel::Debug { level(config) } else { LevelFilter::OFF };
    tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false).with_max_level(level).init();
}

/// The screen owns the terminal, so the log goes to a file, one a day, seven kept.
fn log_to_file(config: &Config) -> anyhow::Result<tracing_appender::non_blocking::WorkerGuard> {
    let dir = config.data_dir();
    let appender = tracing_appender::rolling::Builder::new()
        .rotation(tracing_appender::rolling::Rotation::DAILY)
        .filename_prefix("meltline")
        .filename_suffix("log")
        .max_log_files(7)
        .build(&dir)
        .with_context(|| format!("cannot write the log in {}: use --data-dir", dir.display()))?;
    let (writer, guard) = tracing_appender::non_blocking(appender);
    tracing_subscriber::fmt().with_writer(writer).with_ansi(false).with_max_level(level(config)).init();
    Ok(guard)
}

/// Tells on standard error what a recording held; an error if nothing was usable.
fn report(tally: &RecordingTally) -> anyhow::Result<()> {
    let mut err = io::stderr().lock();
    for complaint in &tally.complaints {
        writeln!(err, "{complaint}")?;
    }
    if tally.broken > 0 || tally.unknown > 0 || tally.truncated > 0 || !tally.kinds.is_empty() {
        writeln!(err, "{tally}")?;
    }
    anyhow::ensure!(tally.usable > 0, "nothing usable in the recording ({tally})");
    Ok(())
}

/// Whether an error is a reader that went away, which is no failure of ours.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe))
}
