//! `meltline demo`: the screen on simulated exchanges in this process.

use tokio_util::sync::CancellationToken;

use crate::cli::{DemoArgs, MarketArgs};
use crate::config::Config;
use crate::sim::{self, Endpoints, SimConfig};

use super::live;

/// Runs the command.
pub fn run(args: &DemoArgs, mut config: Config) -> anyhow::Result<()> {
    if let Some(asset) = args.asset {
        config.asset = asset;
    }
    if let Some(dir) = &args.live.capture {
        config.feed.capture.clone_from(dir);
    }
    let runtime = live::runtime()?;
    let stop = CancellationToken::new();
    let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let server = runtime.block_on(sim::start(sim_config(&args.market, listen), stop.clone()))?;
    point_at(&mut config, server.endpoints());
    let shown = live::watch_live(&runtime, &config);
    stop.cancel();
    runtime.block_on(server.stopped())?;
    shown
}

/// The simulator's part of the command line.
pub fn sim_config(market: &MarketArgs, listen: std::net::SocketAddr) -> SimConfig {
    SimConfig { scenario: market.scenario, seed: market.seed, speed: market.speed, listen }
}

/// Every venue's addresses become the simulator's.
pub fn point_at(config: &mut Config, endpoints: Endpoints) {
    config.feed.simulated = true;
    let venues = &mut config.venues;
    venues.binance.enabled = true;
    venues.binance.ws_market = endpoints.binance.ws_market;
    venues.binance.ws_public = endpoints.binance.ws_public;
    venues.binance.rest = endpoints.binance.rest;
    config.watchlist = ["BTC", "ETH", "SOL", "PEPE"].into_iter().filter_map(|a| a.parse().ok()).collect();
}
