//! `meltline sim`: only the simulated exchanges, for other programs to connect to, or their market as a file.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::cli::SimArgs;
use crate::config::Config;
use crate::market::Asset;
use crate::sim::record::{RecordConfig, Recorded};
use crate::sim::venue::VenueId;
use crate::sim::{self, Endpoints};

use super::{demo, live};

/// Runs the command until it is told to stop, or as long as it was told to.
pub fn run(args: &SimArgs, config: Config) -> anyhow::Result<()> {
    match &args.events {
        Some(events) => write_events(args, events, &config),
        None => serve(args, config),
    }
}

/// The market as fast as it goes, into a file.
fn write_events(args: &SimArgs, events: &Path, config: &Config) -> anyhow::Result<()> {
    let mut coins = if args.asset.is_empty() { vec![Asset::default()] } else { args.asset.clone() };
    coins.sort_unstable();
    coins.dedup();
    let record = RecordConfig {
        scenario: args.market.scenario,
        seed: args.market.seed,
        coins: coins.iter().map(ToString::to_string).collect(),
        venues: config.venues.enabled().iter().filter_map(|venue| VenueId::named(venue.as_str())).collect(),
        seconds: args.duration.map(|duration| duration.ms() / 1_000),
        events: events.into(),
        truth: args.truth.clone(),
    };
    let recorded = async {
        let (stop, begun) = (CancellationToken::new(), Instant::now());
        let stopping = stop.clone();
        let mut recording = tokio::task::spawn_blocking(move || sim::record::record(&record, &stopping));
        let ended = tokio::select! {
            ended = &mut recording => ended,
            told = told_to_stop() => {
                told?;
                // The files are ended properly.
                stop.cancel();
                recording.await
            }
        };
        let Recorded { seconds, events } = ended.context("the simulation failed")??;
        let took = begun.elapsed().as_secs_f64();
        let hours = seconds as f64 / 3_600.0;
        eprintln!("{hours:.1} h simulated in {took:.1} s, {events} market events");
        Ok(())
    };
    live::on_network(|runtime| runtime.block_on(recorded))
}

/// The exchanges on sockets.
fn serve(args: &SimArgs, mut config: Config) -> anyhow::Result<()> {
    let serve = async {
        let stop = CancellationToken::new();
        let server = sim::start(demo::sim_config(&args.market, args.listen), stop.clone()).await?;
        if let Some(path) = &args.truth {
            server.write_truth(path)?;
        }
        if let Some(path) = &args.write_config {
            demo::point_at(&mut config, server.endpoints());
            write_config(path, &config)?;
        }
        // Who reads `ready` may connect.
        let mut out = std::io::stdout();
        writeln!(out, "ready")?;
        out.flush()?;
        tell(&server.endpoints());
        let span =
            args.duration.map(|d| Duration::from_secs_f64(d.ms() as f64 / 1_000.0 / args.market.speed));
        tokio::select! {
            told = told_to_stop() => told?,
            () = tokio::time::sleep(span.unwrap_or_default()), if span.is_some() => {}
        }
        stop.cancel();
        server.stopped().await
    };
    live::on_network(|runtime| runtime.block_on(serve))
}

/// Waits for SIGINT or SIGTERM.
pub(super) async fn told_to_stop() -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .context("cannot listen for SIGTERM")?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot listen for ctrl-c"),
        _ = terminate.recv() => Ok(()),
    }
}

/// Says where each venue is, for whoever watches.
fn tell(endpoints: &Endpoints) {
    let Endpoints { binance, bybit, okx, hyperliquid } = endpoints;
    eprintln!("simulated Binance: {} {} {}", binance.rest, binance.ws_market, binance.ws_public);
    eprintln!("simulated Bybit: {} {}", bybit.rest, bybit.ws);
    eprintln!("simulated OKX: {} {} {}", okx.rest, okx.ws_public, okx.ws_business);
    eprintln!("simulated Hyperliquid: {} {}", hyperliquid.rest, hyperliquid.ws);
}

/// Writes the whole configuration beside its final place and moves it there, so that no reader sees half of it.
fn write_config(path: &Path, config: &Config) -> anyhow::Result<()> {
    let text = toml::to_string(config).context("cannot write the configuration as TOML")?;
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    std::fs::write(part, text)
        .and_then(|()| std::fs::rename(part, path))
        .with_context(|| format!("cannot write {}", path.display()))
}
