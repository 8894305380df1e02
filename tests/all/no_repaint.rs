//! A column that was shown once it was closed is the same ever after: restarted, rolled up, replayed, read back from the disk.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use meltline::command::{demo, live};
use meltline::config::Config;
use meltline::engine::map::LevelMap;
use meltline::engine::{Engine, Origin, Snapshot};
use meltline::estimate::{BinTable, Column};
use meltline::feed::capture::Capture;
use meltline::feed::recording::Recording;
use meltline::feed::status::LinkState;
use meltline::feed::{self, FeedItem};
use meltline::market::{Asset, Interval, MarketEvent, Venue};
use meltline::sim::{self, Scenario, SimConfig};
use meltline::store::codec::column_digest;
use meltline::store::{Identity, Reader, StoreConfig, StorePath, open_writer};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::support::wandering_on;

const VENUES: [&str; 4] = ["binance", "bybit", "okx", "hyperliquid"];

fn asset() -> Asset {
    Asset::default()
}

fn bins() -> Arc<BinTable> {
    Arc::new(BinTable::new(5.0))
}

/// Every column the screen got once it was closed, by venue, interval and start.
#[derive(Default)]
struct Shown(BTreeMap<(Venue, Interval, i64), Arc<Column>>);

impl Shown {
    /// Looks at a picture: what was seen before must look the same.
    fn look(&mut self, snapshot: &Snapshot) {
        for venue in &snapshot.venues {
            for column in venue.history.ladder.iter().flatten() {
                let key = (venue.venue, column.interval, column.start);
                let first = self.0.entry(key).or_insert_with(|| Arc::clone(column));
                // What is shared is the same; what was read from the disk is compared once.
                if !Arc::ptr_eq(first, column) {
                    assert!(digest(first) == digest(column), "{key:?} changed");
                    *first = Arc::clone(column);
                }
            }
        }
    }

    fn count(&self, interval: Interval) -> usize {
        self.0.keys().filter(|(_, i, _)| *i == interval).count()
    }

    /// The store holds what was shown, bit for bit, and nothing else.
    fn assert_kept(&self, reader: &Reader) {
        let kept = reader.column_keys().unwrap();
        for key in &kept {
            let shown = self.0.get(&(key.venue, key.interval, key.start));
            assert_eq!(shown.map(|c| digest(c)), Some(key.digest), "{key:?}");
        }
        assert!(kept.len() == self.0.len(), "{} kept, {} shown", kept.len(), self.0.len());
    }

    /// What `levels --at` must say: the newest column of each venue that was closed before a time, the finest of those.
    fn map(&self, ts: i64) -> String {
        let newest = VENUES.iter().filter_map(|name| {
            let venue: Venue = name.parse().unwrap();
            let closed = self.0.iter().filter(|((v, ..), c)| *v == venue && c.end() + 2_000 < ts);
            let newest = closed.max_by_key(|(_, c)| (c.end(), -c.interval.ms()));
            newest.map(|(_, c)| (venue, Arc::clone(c)))
        });
        let columns: Vec<_> = newest.collect();
        serde_json::to_string(&LevelMap::of_columns(asset(), &bins(), ts, 0.25, &columns)).unwrap()
    }
}

fn digest(column: &Column) -> i64 {
    column_digest(column)
}

/// A line of `levels`.
fn levels(dir: &Path, ts: i64) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meltline"));
    command.env_remove("MELTLINE_CONFIG").args(["levels", "BTC", "--format", "json", "--at"]);
    command.arg(ts.to_string()).arg("--data-dir").arg(dir);
    command.arg("--config").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn store(dir: &Path) -> StorePath {
    StorePath::new(dir, asset())
}

/// Everything is kept, so that everything can be compared.
fn everything() -> StoreConfig {
    StoreConfig { minute_hours: 8_760, five_minute_days: 3_650, ..StoreConfig::default() }
}

/// An engine that writes the store and goes on from it, as the screen's does.
fn warm(dir: &Path) -> Engine {
    let identity = Identity { asset: asset(), simulated: true, bin_bp: 5.0 };
    let writer = open_writer(&store(dir), &identity, everything()).unwrap().writer;
    let reader = Reader::open(&store(dir)).unwrap().unwrap();
    let venues: Vec<Venue> = VENUES.iter().map(|name| name.parse().unwrap()).collect();
    let checkpoint = reader.checkpoint().unwrap().unwrap_or_default();
    let state = |venue| checkpoint.venues.iter().find(|s| s.venue == venue);
    let stored =
        reader.stored(Some(i64::MIN), |venue| state(venue).map(|s| s.open.unwrap_or(i64::MAX))).unwrap();
    let restored = Engine::restored(asset(), Origin::Simulated, &bins(), &venues, &checkpoint, stored);
    let mut engine = restored.unwrap();
    engine.interrupted();
    engine.set_sink(writer.into_sink());
    engine
}

#[test]
fn restarts_and_roll_ups_repaint_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // 2026-11-22T22:31Z: over the hour, and over midnight.
    let start = 1_795_386_660_000;
    let events = wandering_on(&VENUES[..2], start, 4 * 360, 10);
    let mut shown = Shown::default();
    // Killed in the middle of a minute, of five and of an hour; the last state is then not that of the end.
    let parts = [events.len() / 3, events.len() / 2 + 77, events.len()];
    let mut from = 0;
    for (run, to) in parts.into_iter().enumerate() {
        let mut engine = warm(dir.path());
        shown.look(&engine.snapshot());
        for (i, event) in events[from..to].iter().enumerate() {
            engine.apply_event(event);
            if i % 20 == 0 {
                shown.look(&engine.snapshot());
            }
            if i == (to - from) / 2 && run == 1 {
                engine.keep_checkpoint();
            }
        }
        if run != 1 {
            engine.keep_checkpoint();
        }
        shown.look(&engine.snapshot());
        drop(engine);
        // After the second run the state is older than its last columns: the venue's history tells the stretch again.
        from = if run == 1 { from + (to - from) / 2 + 1 } else { to };
        shown.assert_kept(&Reader::open(&store(dir.path())).unwrap().unwrap());
    }
    let counts = [Interval::M1, Interval::M5, Interval::H1, Interval::D1].map(|i| shown.count(i));
    // From 22:31 to 02:31: the last minute and five are not closed; hours 22 to 01, and the first day.
    assert_eq!(counts, [2 * 239, 2 * 48, 2 * 4, 2]);

    let mut unbroken = Engine::new(asset(), Origin::Replay, bins(), &[]);
    let mut replayed = Shown::default();
    replay(&events, dir.path(), &mut unbroken, &mut replayed);
    assert!(replayed.0.len() == shown.0.len());
    for (key, column) in &replayed.0 {
        assert!(digest(column) == digest(&shown.0[key]), "{key:?} is another in replay");
    }
    for minutes in [3, 61, 91, 200] {
        let ts = start + minutes * 60_000 + 30_000;
        assert!(levels(dir.path(), ts) == shown.map(ts), "the map after {minutes} minutes");
    }
}

/// Runs events that were written to a file through an engine.
fn replay(events: &[MarketEvent], dir: &Path, engine: &mut Engine, shown: &mut Shown) {
    let path = dir.join("events.ndjson");
    let mut out = Vec::new();
    for event in events {
        meltline::market::ndjson::write_event(&mut out, event).unwrap();
    }
    std::fs::write(&path, out).unwrap();
    let mut recording = Recording::open(&path, Some(asset())).unwrap();
    while let Some(batch) = recording.next_batch().unwrap() {
        for event in batch {
            engine.apply_event(&event);
        }
        shown.look(&engine.snapshot());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_simulated_exchanges_showed_live_stays_in_the_store_after_a_restart_and_in_replay() {
    // 2025-10-10T00:00Z: the history before it fills a day's last hours.
    const START: i64 = 1_760_054_400_000;
    let stop = CancellationToken::new();
    let listen = "127.0.0.1:0".parse().unwrap();
    let config = SimConfig { scenario: Scenario::Cascade, seed: 7, speed: 30.0, listen };
    let server = sim::start_at(config, START, stop.clone()).await.unwrap();
    let mut config = Config::default();
    demo::point_at(&mut config, server.endpoints());
    config.feed.backfill_hours = 2;
    let venues = config.venues.enabled();
    let config = Arc::new(live::feed_config(&config));
    let dir = tempfile::tempdir().unwrap();
    let mut shown = Shown::default();
    let capture = |run: i64| dir.path().join(format!("capture{run}.ndjson.zst"));
    for run in 0..2 {
        let mut engine = warm(dir.path());
        shown.look(&engine.snapshot());
        let known: Vec<_> =
            engine.venues().iter().filter(|m| m.is_present()).map(|m| (m.venue(), m.seen())).collect();
        assert_eq!(known.len(), if run == 0 { 0 } else { venues.len() });
        let (items, mut received) = mpsc::channel(64);
        let feed_stop = stop.child_token();
        let taps: feed::Taps = Some(Capture::file(&capture(run)).unwrap()).into();
        let fed = {
            let (config, venues, feed_stop) = (Arc::clone(&config), venues.clone(), feed_stop.clone());
            tokio::spawn(async move {
                feed::resume(config, &venues, (asset(), &known), items, taps, feed_stop).await
            })
        };
        let follow = async {
            let mut until = None;
            while let Some(item) = received.recv().await {
                engine.apply(item);
                shown.look(&engine.snapshot());
                let is_live = |m: &meltline::engine::market::VenueMarket| m.status.state == LinkState::Live;
                if until.is_none() && engine.venues().iter().all(is_live) {
                    // Three minutes of theirs, six seconds of ours.
                    until = Some(engine.now() + 180_000);
                }
                if until.is_some_and(|until| engine.now() > until) {
                    feed_stop.cancel();
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(180), follow).await.expect("it went on for too long");
        fed.await.unwrap().unwrap();
        shown.look(&engine.snapshot());
        if run == 0 {
            assert_eq!(shown.count(Interval::D1), 4, "the day was over");
            let mut replayed = Shown::default();
            let mut again = Engine::new(asset(), Origin::Replay, bins(), &venues);
            let mut recording = Recording::open(&capture(0), Some(asset())).unwrap();
            while let Some(batch) = recording.next_batch().unwrap() {
                again.apply(FeedItem::Events(batch));
            }
            replayed.look(&again.snapshot());
            // A run that is stopped may have captured a frame that nobody took any more.
            for (key, column) in &shown.0 {
                let other = replayed.0.get(key).map(|c| digest(c));
                assert!(other == Some(digest(column)), "{key:?} is another in replay");
            }
        }
        engine.keep_checkpoint();
        drop(engine);
        shown.assert_kept(&Reader::open(&store(dir.path())).unwrap().unwrap());
    }
    stop.cancel();
    server.stopped().await.unwrap();
    let last = shown.0.values().map(|c| c.end()).max().unwrap();
    for ts in [START - 1_800_000, START + 90_000, last + 5_000] {
        assert!(levels(dir.path(), ts) == shown.map(ts), "the map at {ts}");
    }
}
