//! The whole way in one process: simulated exchange, sockets, translator, engine; and its capture replayed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meltline::command::{demo, live};
use meltline::config::Config;
use meltline::engine::{Engine, Origin};
use meltline::estimate::{BinTable, Column};
use meltline::feed::capture::Capture;
use meltline::feed::recording::Recording;
use meltline::feed::status::{LinkState, VenueStatus};
use meltline::feed::{self, BinanceConfig, FeedConfig, FeedItem, Taps};
use meltline::market::{Asset, EventKind, Venue};
use meltline::sim::{self, Scenario, SimConfig, SimServer};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const START: i64 = 1_759_996_800_000;

async fn server(scenario: Scenario, speed: f64, stop: CancellationToken) -> SimServer {
    let listen = "127.0.0.1:0".parse().unwrap();
    sim::start_at(SimConfig { scenario, seed: 7, speed, listen }, START, stop).await.unwrap()
}

fn feed_config(server: &SimServer) -> FeedConfig {
    FeedConfig {
        binance: BinanceConfig {
            ws_market: server.ws_market_url(),
            ws_public: server.ws_public_url(),
            rest: server.rest_url(),
        },
        backfill: Duration::from_secs(6 * 3_600),
        oi_poll: Duration::from_millis(200),
        ..FeedConfig::default()
    }
}

fn engine(asset: Asset, origin: Origin) -> Engine {
    Engine::new(asset, origin, Arc::new(BinTable::new(5.0)), &["binance".parse().unwrap()])
}

fn columns(engine: &Engine) -> Vec<Arc<Column>> {
    engine.venues()[0].history().ladder.iter().flatten().cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_through_the_simulator_and_its_capture_replayed_give_the_same_columns() {
    let stop = CancellationToken::new();
    let server = server(Scenario::Base, 60.0, stop.clone()).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("capture.ndjson.zst");
    let asset: Asset = "BTC".parse().unwrap();
    let feed_stop = stop.child_token();
    let (items, mut received) = mpsc::channel(64);
    let config = Arc::new(feed_config(&server));
    let capture = Capture::file(&path).unwrap();
    let venues = ["binance".parse().unwrap()];
    let run = feed::run(config, &venues, asset, items, Some(capture).into(), feed_stop.clone());
    let mut live = engine(asset, Origin::Simulated);
    let follow = async {
        let mut was_live = false;
        while let Some(item) = received.recv().await {
            was_live |= matches!(&item, FeedItem::Status(s) if s.state == LinkState::Live);
            live.apply(item);
            // Ten minutes of live market, ten seconds of ours.
            if was_live && live.now() > START + 600_000 {
                feed_stop.cancel();
            }
        }
    };
    let (ran, ()) = tokio::join!(
        async {
            tokio::time::timeout(Duration::from_secs(90), run).await.expect("the feed went on for too long")
        },
        follow
    );
    ran.unwrap();
    let mut replayed = engine(asset, Origin::Replay);
    let mut recording = Recording::open(&path, Some(asset)).unwrap();
    while let Some(batch) = recording.next_batch().unwrap() {
        replayed.apply(FeedItem::Events(batch));
    }
    let (a, b) = (columns(&live), columns(&replayed));
    assert!(a.len() > 360, "{} columns", a.len());
    assert!(a.iter().any(|c| c.levels.iter().any(|l| l.sum() > 1e6)), "levels of some weight");
    assert_eq!(a.len(), b.len());
    for (x, y) in a.iter().zip(&b) {
        assert_eq!(x, y, "column at {}", x.start);
    }
    assert_eq!(live.level_map(live.now(), 0.25).levels, replayed.level_map(replayed.now(), 0.25).levels);
    stop.cancel();
    server.stopped().await.unwrap();
}

/// Five minutes after the start, by the venues' clock.
const LATER: i64 = START + 300_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_frame_of_four_venues_is_understood() {
    let stop = CancellationToken::new();
    let server = server(Scenario::Cascade, 20.0, stop.clone()).await;
    let mut config = Config::default();
    demo::point_at(&mut config, server.endpoints());
    let venues = config.venues.enabled();
    config.feed.backfill_hours = 1;
    let feed_config = Arc::new(live::feed_config(&config));
    let (items, mut received) = mpsc::channel(64);
    let feed_stop = stop.child_token();
    let asset = "BTC".parse().unwrap();
    let feed = {
        let (venues, feed_stop) = (venues.clone(), feed_stop.clone());
        tokio::spawn(async move {
            feed::run(feed_config, &venues, asset, items, Taps::default(), feed_stop).await
        })
    };
    let mut statuses: BTreeMap<Venue, VenueStatus> = BTreeMap::new();
    let mut trades: BTreeMap<Venue, i64> = BTreeMap::new();
    let listen = async {
        while trades.len() < venues.len() || trades.values().any(|newest| *newest < LATER) {
            match received.recv().await.expect("the feed runs") {
                FeedItem::Status(status) => {
                    statuses.insert(status.venue, status);
                }
                FeedItem::Events(events) => {
                    for event in events {
                        if matches!(event.kind, EventKind::Trade(_)) {
                            trades.insert(event.venue, event.ts);
                        }
                    }
                }
                FeedItem::Assets(_) => {}
            }
        }
    };
    let heard = tokio::time::timeout(Duration::from_secs(180), listen).await;
    assert!(heard.is_ok(), "{trades:?} {statuses:?}");
    for status in statuses.values() {
        let counters = status.counters;
        assert!(counters.frames > 500, "{status:?}");
        assert_eq!((counters.unknown, counters.malformed), (0, 0), "{status:?}");
    }
    feed_stop.cancel();
    drop(received);
    feed.await.unwrap().unwrap();
    stop.cancel();
    server.stopped().await.unwrap();
}
