//! `meltline demo`: the screen on simulated exchanges in this process.

use tokio_util::sync::CancellationToken;

use crate::cli::{DemoArgs, MarketArgs};
use crate::config::Config;
use crate::feed::{BinanceConfig, BybitConfig, HyperliquidConfig, OkxConfig};
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
    live::on_network(|runtime| {
        let stop = CancellationToken::new();
        let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let server = runtime.block_on(sim::start(sim_config(&args.market, listen), stop.clone()))?;
        point_at(&mut config, server.endpoints());
        let shown = live::watch_live(runtime, &config, None);
        stop.cancel();
        runtime.block_on(server.stopped())?;
        shown
    })
}

/// The simulator's part of the command line.
pub fn sim_config(market: &MarketArgs, listen: std::net::SocketAddr) -> SimConfig {
    SimConfig { scenario: market.scenario, seed: market.seed, speed: market.speed, listen }
}

/// Every venue's addresses become the simulator's.
pub fn point_at(config: &mut Config, at: Endpoints) {
    config.feed.simulated = true;
    let venues = &mut config.venues;
    venues.binance.at = BinanceConfig {
        ws_market: at.binance.ws_market,
        ws_public: at.binance.ws_public,
        rest: at.binance.rest,
    };
    venues.bybit.at = BybitConfig { ws: at.bybit.ws, rest: at.bybit.rest };
    venues.okx.at =
        OkxConfig { ws_public: at.okx.ws_public, ws_business: at.okx.ws_business, rest: at.okx.rest };
    venues.hyperliquid.at = HyperliquidConfig { ws: at.hyperliquid.ws, rest: at.hyperliquid.rest };
    config.watchlist = ["BTC", "ETH", "SOL", "PEPE"].into_iter().filter_map(|a| a.parse().ok()).collect();
}
