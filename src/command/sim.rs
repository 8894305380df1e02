//! `meltline sim`: only the simulated exchanges, for other programs to connect to.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::cli::SimArgs;
use crate::config::Config;
use crate::sim::{self, Endpoints};

use super::{demo, live};

/// Runs the command until it is told to stop.
pub fn run(args: &SimArgs, mut config: Config) -> anyhow::Result<()> {
    live::runtime()?.block_on(async {
        let stop = CancellationToken::new();
        let server = sim::start(demo::sim_config(&args.market, args.listen), stop.clone()).await?;
        if let Some(path) = &args.write_config {
            demo::point_at(&mut config, server.endpoints());
            write_config(path, &config)?;
        }
        // Who reads `ready` may connect.
        let mut out = std::io::stdout();
        writeln!(out, "ready")?;
        out.flush()?;
        tell(&server.endpoints());
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
            .context("cannot listen for SIGTERM")?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot listen for ctrl-c")?,
            _ = terminate.recv() => {}
        }
        stop.cancel();
        server.stopped().await
    })
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
