//! What `levels` waits for on live venues, and for whom it does not.

use std::time::Duration;

use meltline::command::demo::point_at;
use meltline::command::live::{Settled, settled_engine};
use meltline::config::Config;
use meltline::picture::{self, Form};
use meltline::sim::{self, Scenario, SimConfig, SimServer};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::screen::{app, plain};

/// Nothing here takes this long unless it hangs.
const HANG: Duration = Duration::from_secs(120);
/// Patience that does not end: what comes back has not waited for its end.
const ENDLESS: Duration = Duration::from_secs(86_400);
const NAMES: [&str; 4] = ["binance", "bybit", "okx", "hyperliquid"];

async fn market() -> (SimServer, DropGuard) {
    let stop = CancellationToken::new();
    let listen = "127.0.0.1:0".parse().unwrap();
    let config = SimConfig { scenario: Scenario::Base, seed: 3, speed: 10.0, listen };
    (sim::start(config, stop.clone()).await.unwrap(), stop.drop_guard())
}

async fn settled(server: &SimServer, patience: Duration) -> anyhow::Result<Settled> {
    let mut config = Config::default();
    point_at(&mut config, server.endpoints());
    config.feed.backfill_hours = 1;
    let asset = "BTC".parse().unwrap();
    let (tell, told) = tokio::sync::oneshot::channel();
    // It has a runtime of its own, which must not stand in ours; and if it hangs, the test does not wait for it.
    std::thread::spawn(move || drop(tell.send(settled_engine(asset, &config, patience))));
    tokio::time::timeout(HANG, told).await.expect("it waits for nobody").unwrap()
}

/// The venues a map would have levels of.
fn mapped(settled: &Settled) -> Vec<String> {
    let map = settled.engine.level_map(settled.engine.now() + 1, 0.25);
    map.venues.iter().filter(|v| v.oi_usd.is_some()).map(|v| v.venue.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_are_there_are_waited_for() {
    let (server, _stop) = market().await;
    let settled = settled(&server, ENDLESS).await.unwrap();
    assert_eq!(settled.missing, [""; 0]);
    assert_eq!(mapped(&settled), NAMES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_of_a_simulated_market_says_so() {
    let (server, _stop) = market().await;
    let mut settled = settled(&server, ENDLESS).await.unwrap();
    let app = app(plain(), settled.engine.snapshot(), 120, 40);
    let mut picture = Vec::new();
    picture::write_text(&mut picture, &picture::frame(&app), Form::Plain).unwrap();
    let picture = String::from_utf8(picture).unwrap();
    assert!(picture.contains(" SIMULATED ") && picture.contains(" LIVE "), "{picture}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_refuses_us_or_does_not_list_the_asset_is_not_waited_for_and_named() {
    let (server, _stop) = market().await;
    server.faults("bybit").unwrap().block(Some(451));
    server.faults("okx").unwrap().delist("BTC-USDT-SWAP");
    let settled = settled(&server, ENDLESS).await.unwrap();
    assert_eq!(mapped(&settled), ["binance", "hyperliquid"]);
    let [bybit, okx] = settled.missing.try_into().unwrap();
    assert!(bybit.starts_with("bybit is not live: Bybit is not available from this place"), "{bybit}");
    assert_eq!(okx, "okx is not live: OKX lists no perpetual for BTC");
}

#[tokio::test(flavor = "multi_thread")]
async fn patience_ends_with_those_that_are_live() {
    let (server, _stop) = market().await;
    for name in ["binance", "bybit", "hyperliquid"] {
        server.faults(name).unwrap().refuse(true);
    }
    // A slow machine takes its time to be live at all.
    let mut patience = Duration::from_secs(3);
    let settled = loop {
        match settled(&server, patience).await {
            Ok(settled) => break settled,
            Err(error) => assert!(error.to_string().starts_with("no venue is live"), "{error}"),
        }
        patience *= 2;
    };
    assert_eq!(mapped(&settled), ["okx"]);
    assert_eq!(settled.missing.len(), 3, "{:?}", settled.missing);
    assert!(settled.missing[0].starts_with("binance is not live: "), "{:?}", settled.missing);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_none_it_fails_and_says_why() {
    let (server, _stop) = market().await;
    for name in NAMES {
        server.faults(name).unwrap().block(Some(403));
    }
    let error = settled(&server, ENDLESS).await.err().unwrap().to_string();
    assert!(error.starts_with("no venue is live for BTC: binance is not live: Binance is not"), "{error}");
    assert!(NAMES.iter().all(|name| error.contains(name)), "{error}");
}
