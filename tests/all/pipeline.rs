//! The whole way in one process: simulated exchange, sockets, translator, engine; and its capture replayed.

use std::sync::Arc;
use std::time::Duration;

use meltline::engine::{Engine, Origin};
use meltline::estimate::{BinTable, Column};
use meltline::feed::capture::Capture;
use meltline::feed::recording::Recording;
use meltline::feed::status::LinkState;
use meltline::feed::{self, BinanceConfig, FeedConfig, FeedItem};
use meltline::market::Asset;
use meltline::sim::{self, Scenario, SimConfig, SimServer};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const START: i64 = 1_759_996_800_000;

async fn server(speed: f64, stop: CancellationToken) -> SimServer {
    let listen = "127.0.0.1:0".parse().unwrap();
    sim::start_at(SimConfig { scenario: Scenario::Base, seed: 7, speed, listen }, START, stop).await.unwrap()
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
    let server = server(60.0, stop.clone()).await;
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
