//! The engine: one thread owns the state of the watched market and publishes snapshots.

pub mod beside;
pub mod depth;
pub mod headless;
mod keep;
mod ladder;
pub mod landmark;
pub mod map;
pub mod market;
mod pack;
pub mod playback;
mod preset;
pub mod record;
pub mod snapshot;

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::estimate::{BinTable, Preset};
use crate::feed::FeedItem;
use crate::feed::instruments::AssetInfo;
use crate::market::{Asset, EventKind, Interval, MarketEvent, Venue};

use beside::{Duties, Wishes};
use landmark::Landmark;
use market::VenueMarket;
use playback::Transport;
use record::Outlet;
pub use snapshot::{Course, History, Origin, PresetView, Print, Snapshot, VenueView};

/// Liquidations kept for the tape.
const TAPE: usize = 500;
/// Snapshots come no faster than this, unless told otherwise.
pub const SNAPSHOT_EVERY: Duration = Duration::from_millis(100);
/// Findings are shared this often, ms.
const SHARE_EVERY: i64 = 3_600_000;
/// Liquidations, in units of their usual size, before a venue's findings are worth sharing.
const ENOUGH_EVENTS: f64 = 200.0;
/// The state is kept this soon after the start, and this often from then on.
const FIRST_CHECKPOINT: Duration = Duration::from_secs(60);
const CHECKPOINT_EVERY: Duration = Duration::from_secs(15 * 60);
/// Inputs that may wait for the engine; a full channel holds the feed back.
pub const INPUTS: usize = 1_024;

/// What the screen may ask of the programme behind it.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Watch another asset: its feed is opened, its history fetched.
    Watch(Asset),
    /// Make another map's columns beside ours, or none.
    Preset(Option<Preset>),
    /// Drive the replay.
    Replay(Transport),
}

/// What the engine takes in.
#[derive(Debug)]
pub enum Input {
    /// From a feed.
    Feed(FeedItem),
    /// Publish a picture this often at most.
    Every(Duration),
    /// Closed columns of earlier times, as they were kept.
    Older(Vec<(Venue, History)>),
    /// Make another map's columns beside ours, or none.
    Preset(Option<Preset>),
}

/// The state of the watched market.
#[derive(Debug)]
pub struct Engine {
    asset: Asset,
    origin: Origin,
    bins: Arc<BinTable>,
    venues: Vec<VenueMarket>,
    preset: Option<Preset>,
    tape: VecDeque<Print>,
    assets: Arc<[AssetInfo]>,
    now: i64,
    events: u64,
    seq: u64,
    /// The hour in which venues last learned from another.
    shared_at: i64,
    sink: Outlet,
    forgets: bool,
    skips_outlived: bool,
    /// What readers beside ask for, until the loop takes it.
    wishes: Option<watch::Receiver<Wishes>>,
}

impl Engine {
    /// An empty market for an asset on the named venues; others that turn up in the events are added.
    pub fn new(asset: Asset, origin: Origin, bins: Arc<BinTable>, venues: &[Venue]) -> Self {
        let markets = venues.iter().map(|v| VenueMarket::new(*v, Arc::clone(&bins))).collect();
        Self {
            asset,
            origin,
            bins,
            venues: markets,
            preset: None,
            tape: VecDeque::new(),
            assets: Arc::from([]),
            now: 0,
            events: 0,
            seq: 0,
            shared_at: i64::MIN,
            sink: Outlet::default(),
            forgets: false,
            skips_outlived: false,
            wishes: None,
        }
    }

    /// Takes in one item of a feed.
    pub fn apply(&mut self, item: FeedItem) {
        match item {
            FeedItem::Events(events) => {
                for event in events {
                    self.take(event);
                }
            }
            FeedItem::Status(status) => {
                let venue = status.venue;
                self.market(venue).status = status;
                self.heard(venue);
            }
            FeedItem::Assets(assets) => self.assets = assets.into(),
        }
    }

    /// Takes in one event and keeps what is large of it as it came: books.
    pub fn take(&mut self, event: MarketEvent) {
        match event.kind {
            EventKind::Book(book) if event.asset == self.asset => {
                self.events += 1;
                self.market(event.venue).set_book(event.ts, Arc::from(book));
            }
            _ => self.apply_event(&event),
        }
    }

    /// Takes in one event; those about other assets are not ours.
    pub fn apply_event(&mut self, event: &MarketEvent) {
        if event.asset != self.asset {
            return;
        }
        self.events += 1;
        let market = self.place_of(event.venue);
        if self.venues[market].has_taken(event) {
            self.venues[market].apply(event);
            return;
        }
        if !matches!(event.kind, EventKind::Instrument(_)) && !event.kind.is_of_book() {
            self.now = self.now.max(event.known_at());
            self.share_findings();
        }
        if let EventKind::Liquidation(l) = &event.kind {
            if self.tape.len() == TAPE {
                self.tape.pop_front();
            }
            let price = l.price.to_f64();
            self.tape.push_back(Print {
                ts: event.ts,
                venue: event.venue,
                side: l.position,
                price,
                usd: price * l.qty.to_f64(),
            });
        }
        self.venues[market].apply(event);
        self.hand_on(market, event);
    }

    /// Once an hour of event time, venues whose feed leaves liquidations out, or that have none, take what the best-observed venue
    /// has found as the prior of their own weights.
    fn share_findings(&mut self) {
        let hour = self.now.div_euclid(SHARE_EVERY);
        if hour <= self.shared_at {
            return;
        }
        self.shared_at = hour;
        let events = |m: &VenueMarket| m.estimator().calibration().full_events();
        let best = self.venues.iter().filter(|m| events(m).is_some_and(|n| n >= ENOUGH_EVENTS));
        let Some(best) = best.max_by(|a, b| events(a).unwrap_or(0.0).total_cmp(&events(b).unwrap_or(0.0)))
        else {
            return;
        };
        let (from, gains) = (best.venue(), best.estimator().calibration().gains());
        for market in self.venues.iter_mut().filter(|m| m.venue() != from && events(m).is_none()) {
            market.adopt(&gains);
        }
    }

    fn market(&mut self, venue: Venue) -> &mut VenueMarket {
        let at = self.place_of(venue);
        &mut self.venues[at]
    }

    /// Where a venue's market stands; one that has none yet gets it.
    fn place_of(&mut self, venue: Venue) -> usize {
        self.venues.iter().position(|m| m.venue() == venue).unwrap_or_else(|| {
            // In recordings venues turn up as they speak; on screen each has its place.
            let at = self.venues.partition_point(|m| place(m.venue()) <= place(venue));
            let mut market = VenueMarket::new(venue, Arc::clone(&self.bins));
            market.set_preset(self.preset, self.asset);
            if self.forgets {
                market.forget_columns();
            }
            if self.skips_outlived {
                market.skip_outlived();
            }
            self.venues.insert(at, market);
            at
        })
    }

    /// Of a venue only bars of this length will come: its columns are as long.
    pub fn expect_bars(&mut self, venue: Venue, interval: Interval) {
        self.market(venue).choose_base(interval);
    }

    /// Makes another map's columns beside ours, or none.
    pub fn set_preset(&mut self, preset: Option<Preset>) {
        self.preset = preset;
        for market in &mut self.venues {
            market.set_preset(preset, self.asset);
        }
    }

    /// What is watched.
    pub fn asset(&self) -> Asset {
        self.asset
    }

    /// The venues' markets.
    pub fn venues(&self) -> &[VenueMarket] {
        &self.venues
    }

    /// Whether data of a venue of its own are here: sums over venues then count for nothing.
    fn has_venue(&self) -> bool {
        self.venues.iter().any(|m| m.is_present() && !m.venue().is_aggregate())
    }

    /// The markets that count: what is already a sum over venues is left out where a venue of its own is here.
    pub fn counted(&self) -> impl Iterator<Item = &VenueMarket> + Clone {
        let own = self.has_venue();
        self.venues.iter().filter(move |m| !(own && m.venue().is_aggregate()))
    }

    /// The bins.
    pub fn bins(&self) -> &Arc<BinTable> {
        &self.bins
    }

    /// Time of the newest event, UTC ms; 0 before the first.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// The mark price weighted by open interest over the venues, USD per coin.
    pub fn mark(&self) -> Option<f64> {
        let price = |m: &VenueMarket| Some((m.estimator().price()?, m.estimator().oi().unwrap_or(0.0)));
        snapshot::weighted_mark(self.counted().filter_map(price))
    }

    /// When places of a kind came up, after `from` and by `until` (UTC ms), rising; as far back as columns are kept.
    pub fn landmarks(&self, landmark: &Landmark, from: i64, until: i64) -> Vec<i64> {
        let column = from.saturating_sub(market::GRACE).div_euclid(landmark.dt).saturating_mul(landmark.dt);
        let mut happened = Vec::new();
        for market in self.counted().filter(|m| landmark.counts(m.venue())) {
            happened.extend(landmark.told(market.history(), column));
            happened.extend(market.running(landmark).filter(|h| h.start >= column));
        }
        let mut times = landmark.times(happened);
        times.retain(|at| (from + 1..=until).contains(at));
        times
    }

    /// The picture now.
    pub fn snapshot(&mut self) -> Arc<Snapshot> {
        self.seq += 1;
        let own = self.has_venue();
        let counts = |venue: Venue| !(own && venue.is_aggregate());
        Arc::new(Snapshot {
            seq: self.seq,
            asset: self.asset,
            origin: self.origin,
            now: self.now,
            mark: self.mark(),
            bins: Arc::clone(&self.bins),
            venues: self.venues.iter_mut().filter(|m| counts(m.venue())).map(VenueMarket::view).collect(),
            tape: self.tape.iter().filter(|p| counts(p.venue)).copied().collect(),
            assets: Arc::clone(&self.assets),
            events: self.events,
            followed: None,
            playback: None,
        })
    }
}

/// Where a venue stands among others: the large ones first, then the rest as they come.
pub fn place(venue: Venue) -> usize {
    const ORDER: [&str; 4] = ["binance", "bybit", "okx", "hyperliquid"];
    ORDER.iter().position(|name| *name == venue.as_str()).unwrap_or(ORDER.len())
}

/// Runs an engine on a thread of its own until the inputs end; a column close then never delays a pong.
pub fn spawn(
    mut engine: Engine,
    mut inputs: mpsc::Receiver<Input>,
    snapshots: watch::Sender<Arc<Snapshot>>,
) -> anyhow::Result<JoinHandle<Engine>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .context("cannot start the engine's timer")?;
    let run = async move {
        let mut batch = Vec::new();
        let mut published = Instant::now();
        let mut changed = false;
        let mut every = SNAPSHOT_EVERY;
        let mut duties = Duties::new(&mut engine);
        loop {
            let due = published + every;
            tokio::select! {
                count = inputs.recv_many(&mut batch, 64) => {
                    if count == 0 {
                        engine.keep_checkpoint();
                        snapshots.send_replace(engine.snapshot());
                        return engine;
                    }
                    for input in batch.drain(..) {
                        match input {
                            Input::Feed(item) => engine.apply(item),
                            Input::Every(time) => every = time,
                            Input::Older(older) => engine.add_older(older),
                            Input::Preset(preset) => engine.set_preset(preset),
                        }
                    }
                    changed = true;
                }
                () = tokio::time::sleep_until(due), if changed => {}
                () = duties.due() => {}
            }
            duties.perform(&mut engine);
            if changed && Instant::now() >= due {
                snapshots.send_replace(engine.snapshot());
                published = Instant::now();
                changed = false;
            }
        }
    };
    std::thread::Builder::new()
        .name("engine".into())
        .spawn(move || runtime.block_on(run))
        .context("cannot start the engine's thread")
}
