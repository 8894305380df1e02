//! `meltline sim`: only the simulated exchange, for other programs to connect to.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::cli::SimArgs;
use crate::config::Config;
use crate::sim;

use super::{demo, live};

/// Runs the command until it is told to stop.
pub fn run(args: &SimArgs, mut config: Config) -> anyhow::Result<()> {
    live::runtime()?.block_on(async {
        let stop = CancellationToken::new();
        let server = sim::start(demo::sim_config(&args.market, args.listen), stop.clone()).await?;
        if let Some(path) = &args.write_config {
            demo::point_at(&mut config, &server);
            write_config(path, &config)?;
        }
        // Who reads `ready` may connect.
        let mut out = std::io::stdout();
        writeln!(out, "ready")?;
        out.flush()?;
        eprintln!(
            "simulated Binance on {}: {} {} {}",
            server.addr(),
            server.rest_url(),
            server.ws_market_url(),
            server.ws_public_url()
        );
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
