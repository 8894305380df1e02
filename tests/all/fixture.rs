//! A market made by hand: a seeded price path and levels at leverage distances from where volume traded.

#![allow(
    clippy::unwrap_used,
    reason = "also compiled by benches, where the lint table's leave for tests does not reach"
)]

use std::ops::Range;
use std::sync::Arc;

use meltline::engine::snapshot::AssetInfo;
use meltline::engine::snapshot::{LinkState, VenueStatus};
use meltline::engine::{Course, History, Origin, PresetView, Snapshot, VenueView};
use meltline::estimate::calibrate::{Tally, Uncertainty};
use meltline::estimate::{Bar, BinTable, Column, Packed, Preset, TIERS, Tier};
use meltline::market::event::Book as OrderBook;
use meltline::market::{Interval, Price, Qty, Sampled, Side, Venue};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Midnight before the last minute of the fixture.
const START: i64 = 1_718_668_800_000;
const MINUTE: i64 = 60_000;
/// Bins on each side of the first price that are kept.
const REACH: i32 = 1_000;

/// The venues of the fixture: name, open interest against the first, how complete their liquidations are, and minutes in
/// which their data are missing.
const VENUES: [(&str, f64, Option<Sampled>, Range<i64>); 4] = [
    ("binance", 1.0, Some(Sampled::Largest), 0..0),
    ("bybit", 0.45, Some(Sampled::No), 0..0),
    ("okx", 0.35, Some(Sampled::Latest), 760..900),
    ("hyperliquid", 0.4, None, 0..0),
];
/// Two hours in which nobody has data, to be hatched.
const SILENCE: Range<i64> = 300..420;
/// Before this minute the last venue's open interest is held constant.
const HELD_UNTIL: i64 = 600;

/// One venue's book of levels over a window of bins.
struct Book {
    venue: Venue,
    weight: f64,
    liquidations: Option<Sampled>,
    missing: Range<i64>,
    first: i32,
    tiers: [Vec<f64>; TIERS],
    /// Liquidations of the running minute, by bin, longs then shorts.
    printed: [Vec<f64>; 2],
}

impl Book {
    fn new(
        (venue, weight, liquidations, missing): (&str, f64, Option<Sampled>, Range<i64>),
        middle: i32,
    ) -> Self {
        let empty = || vec![0.0; 2 * REACH as usize];
        Self {
            venue: venue.parse().unwrap(),
            weight,
            liquidations,
            missing,
            first: middle - REACH,
            tiers: std::array::from_fn(|_| empty()),
            printed: [empty(), empty()],
        }
    }

    /// Whether its positions spread over all distances, as where margin is cross by default.
    fn is_smeared(&self) -> bool {
        self.liquidations.is_none()
    }

    fn add(&mut self, tier: Tier, bin: i32, usd: f64) {
        if let Some(slot) = self.tiers[tier.index()].get_mut((bin - self.first) as usize) {
            *slot += usd;
        }
    }

    /// Empties the bins price has passed on its way from `open`; a third of what was there is printed.
    fn sweep(&mut self, low: i32, high: i32, open: i32) {
        let from = (low - self.first).max(0) as usize;
        let to = ((high - self.first).max(-1) + 1) as usize;
        for tier in &mut self.tiers {
            let to = to.min(tier.len());
            for (bin, level) in tier.iter_mut().enumerate().take(to).skip(from) {
                let usd = std::mem::take(level);
                if self.liquidations.is_some() {
                    self.printed[usize::from(bin as i32 + self.first > open)][bin] += usd / 3.0;
                }
            }
        }
    }

    /// Orders resting up to 2 % from price, more of them farther away.
    fn resting(&self, price: f64) -> OrderBook {
        let side = |sign: f64| {
            let row = |i: i32| {
                let away = 0.0001 + 0.00025 * f64::from(i);
                let price = Price::from_f64(price * (1.0 + sign * away)).unwrap();
                (price, Qty::from_f64(self.weight * (150.0 + 4.0 * f64::from(i))).unwrap())
            };
            (0..80).map(row).collect()
        };
        OrderBook { bids: side(-1.0), asks: side(1.0) }
    }

    fn decay(&mut self) {
        for tier in &mut self.tiers {
            for usd in tier {
                *usd *= 0.9997;
            }
        }
    }
}

/// A running fixture: each step is one minute.
pub struct Market {
    rng: ChaCha8Rng,
    bins: Arc<BinTable>,
    books: Vec<Book>,
    histories: Vec<Arc<History>>,
    price: f64,
    minute: i64,
    seq: u64,
    burst: f64,
    bar: Bar,
}

impl Market {
    /// A market on four venues with so many minutes behind it.
    pub fn new(seed: u64, minutes: i64) -> Self {
        Self::on(VENUES.len(), seed, minutes)
    }

    /// A market on the first few of the venues.
    pub fn on(venues: usize, seed: u64, minutes: i64) -> Self {
        let bins = Arc::new(BinTable::new(5.0));
        let price = 65_000.0;
        let middle = bins.bin(price).unwrap();
        let mut market = Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            bins,
            books: VENUES.into_iter().take(venues).map(|v| Book::new(v, middle)).collect(),
            histories: vec![Arc::default(); venues],
            price,
            minute: 0,
            seq: 0,
            burst: 1.0,
            bar: Bar { open: price, high: price, low: price, close: price, volume: 0.0 },
        };
        for _ in 0..minutes {
            market.trade(1.0);
            market.close();
        }
        market.trade(0.4);
        market
    }

    /// Trades for a part of the running minute: volume, new positions, the sweep.
    pub fn trade(&mut self, part: f64) {
        self.burst = (self.burst * 0.97 + 0.03 + self.rng.random_range(-0.06..0.065_f64)).max(0.2);
        if self.rng.random_range(0.0..1.0) < 0.01 {
            self.burst += self.rng.random_range(1.0..6.0);
        }
        let pull = (65_000.0_f64 / self.price).ln() * 0.002;
        for _ in 0..4 {
            let step = self.rng.random_range(-1.0..1.0_f64) * 0.0004 * self.burst.sqrt() + pull * part;
            self.price *= step.exp();
            self.bar.high = self.bar.high.max(self.price);
            self.bar.low = self.bar.low.min(self.price);
        }
        self.bar.close = self.price;
        self.bar.volume += 40.0 * self.burst * part;
        let (low, high) = (self.bins.bin(self.bar.low).unwrap(), self.bins.bin(self.bar.high).unwrap());
        for book in &mut self.books {
            for (tier, distance, share) in [
                (Tier::X100, 0.0062, 0.16),
                (Tier::X50, 0.0162, 0.24),
                (Tier::X25, 0.0362, 0.30),
                (Tier::X10, 0.096, 0.2),
                (Tier::X5, 0.196, 0.1),
            ] {
                if book.is_smeared() {
                    break;
                }
                let usd = 2.0e5 * self.burst * self.burst * share * book.weight * part;
                for sign in [-1.0, 1.0] {
                    let jitter: f64 = self.rng.random_range(0.7..1.3);
                    let bin = self.bins.bin(self.price * (1.0 + sign * distance)).unwrap();
                    book.add(tier, bin, usd * jitter);
                    book.add(tier, bin + 1, 0.5 * usd * jitter);
                }
            }
            let cross = self.rng.random_range(20..600);
            let middle = self.bins.bin(self.price).unwrap();
            if book.is_smeared() {
                for far in 10..600 {
                    let usd = 1.0e3 * self.burst * book.weight * part * (1.0 - f64::from(far) / 700.0);
                    book.add(Tier::Low, middle - far, usd);
                    book.add(Tier::Low, middle + far, usd);
                }
            }
            for sign in [-1, 1] {
                book.add(Tier::Low, middle + sign * cross, 1.2e5 * self.burst * book.weight * part);
            }
            book.sweep(low, high, self.bins.bin(self.bar.open).unwrap());
            book.decay();
        }
    }

    /// Ends the running minute.
    pub fn close(&mut self) {
        for (i, book) in self.books.iter().enumerate() {
            let column = Arc::new(self.column(book));
            push(Arc::make_mut(&mut self.histories[i]), column, self.minute);
        }
        for printed in self.books.iter_mut().flat_map(|book| &mut book.printed) {
            printed.fill(0.0);
        }
        self.minute += 1;
        self.bar =
            Bar { open: self.price, high: self.price, low: self.price, close: self.price, volume: 0.0 };
    }

    fn column(&self, book: &Book) -> Column {
        let middle = self.bins.bin(self.price).unwrap();
        let pack = |tier: &Vec<f64>| Packed::new(book.first, tier, 100.0);
        Column {
            start: START + self.minute * MINUTE,
            interval: Interval::M1,
            mark: self.price,
            mark_bin: middle,
            oi: 80_000.0 * book.weight,
            coverage: 0.9,
            uncertainty: Uncertainty { weights: [0.04; TIERS], lump: 20_000.0, widening: 1.2 },
            levels: std::array::from_fn(|t| pack(&book.tiers[t])),
            factors: Default::default(),
            swept: Default::default(),
            printed: [0, 1].map(|side: usize| pack(&book.printed[side])),
            bar: Some(self.bar),
            gap: SILENCE.contains(&self.minute) || book.missing.contains(&self.minute),
            reconstructed: book.is_smeared() && self.minute < HELD_UNTIL,
        }
    }

    /// A week of hours in which what came swung around what was foretold, less than around the range.
    fn tallies(&self, book: &Book) -> Arc<[Tally]> {
        let hour = |i: i64| {
            let swing = [0.7, 1.2, 0.95, 1.1, 1.3, 0.8, 1.0][(i % 7) as usize];
            let foretold = 40.0 * book.weight * (1.0 + (i % 5) as f64);
            Tally {
                start: START + (self.minute / 60 + i - 168) * 60 * MINUTE,
                ms: 60 * MINUTE,
                bar: self.bar,
                oi: 80_000.0 * book.weight,
                predicted: [foretold, 0.5 * foretold],
                range_only: [80.0 * book.weight, 60.0 * book.weight],
                realised: [swing * foretold, 0.5 * swing * foretold],
                is_whole: true,
            }
        };
        (0..168).map(hour).collect()
    }

    /// The picture now.
    pub fn snapshot(&mut self) -> Arc<Snapshot> {
        self.seq += 1;
        let venues = self.books.iter().zip(&self.histories).map(|(book, history)| {
            let live = self.column(book);
            VenueView {
                course: Course::default(),
                venue: book.venue,
                status: VenueStatus {
                    state: LinkState::Live,
                    lag_ms: Some(38),
                    liquidations: book.liquidations,
                    ..VenueStatus::new(book.venue)
                },
                distances: None,
                mark: Some(self.price),
                last: Some(self.price),
                oi_usd: Some(live.oi * self.price),
                funding: Some(1e-4),
                funding_hours: Some(8),
                coverage: 0.9,
                odd_prints: 0,
                band_coverage: Some(0.78),
                tallies: self.tallies(book),
                held_until: book.is_smeared().then_some(START + HELD_UNTIL * MINUTE),
                book: Some(Arc::new(book.resting(self.price))),
                history: Arc::clone(history),
                preset: None,
                live: Some(Arc::new(live)),
            }
        });
        let names = ["BTC", "ETH", "SOL", "PEPE", "XRP", "DOGE", "ETHFI", "币安人生"];
        let venues_of =
            |i: usize| self.books.iter().map(|b| b.venue).skip(i / 7).step_by(1 + i / 4).collect();
        let assets = names.iter().enumerate().map(|(i, name)| AssetInfo {
            asset: name.parse().unwrap(),
            venues: venues_of(i),
            day_usd: (i != 5).then_some(48_200_000_000 >> (2 * i)),
        });
        Arc::new(Snapshot {
            seq: self.seq,
            asset: "BTC".parse().unwrap(),
            origin: Origin::Simulated,
            now: START + self.minute * MINUTE + 24_000,
            mark: Some(self.price),
            bins: Arc::clone(&self.bins),
            venues: venues.collect(),
            tape: Arc::from([]),
            assets: assets.collect(),
            events: self.seq * 1_000,
            followed: None,
            playback: None,
        })
    }

    /// Estimated USD on one side of price, over all venues; what the screen's totals must add up to.
    pub fn total(&mut self, side: Side) -> f64 {
        let snapshot = self.snapshot();
        snapshot.venues.iter().filter_map(|v| v.live.as_ref()).flat_map(|c| c.totals(side)).sum()
    }
}

/// Adds a minute, and rolls whole five minutes and hours up.
fn push(history: &mut History, column: Arc<Column>, minute: i64) {
    let [minutes, fives, hours, _] = &mut history.ladder;
    minutes.push(column);
    let roll = |columns: &[Arc<Column>], interval: Interval| {
        let first = columns.first()?;
        let start = first.start;
        let sum =
            columns[1..].iter().fold(Column::clone(first), |sum, next| sum.merged(next, start, interval));
        Some(Arc::new(Column { interval, ..sum }))
    };
    if minute % 5 == 4 {
        fives.extend(roll(&minutes[minutes.len().saturating_sub(5)..], Interval::M5));
    }
    if minute % 60 == 59 {
        hours.extend(roll(&fives[fives.len().saturating_sub(12)..], Interval::H1));
    }
    if minutes.len() > 360 {
        minutes.remove(0);
    }
}

/// A snapshot in which nothing has come yet.
pub fn empty() -> Arc<Snapshot> {
    let mut snapshot = Snapshot::clone(&Market::new(1, 0).snapshot());
    snapshot.now = 0;
    snapshot.mark = None;
    snapshot.assets = Arc::from([]);
    for view in &mut snapshot.venues {
        view.live = None;
        view.mark = None;
        view.last = None;
        view.oi_usd = None;
        view.history = Arc::default();
        view.status.state = LinkState::Backfilling;
        view.status.lag_ms = None;
    }
    Arc::new(snapshot)
}

/// Gives every venue a preset's map: its own, halved.
pub fn preset_of_half(snapshot: &mut Snapshot, preset: Preset) {
    let halved = |column: &Arc<Column>| {
        let levels = column.levels.each_ref().map(|packed| {
            let first = packed.spans().next().map_or(0, |s| s.0);
            let values: Vec<f64> = packed
                .spans()
                .flat_map(|(_, len, usd)| std::iter::repeat_n(usd / 2.0, len as usize))
                .collect();
            Packed::new(first, &values, 0.0)
        });
        Arc::new(Column { levels, ..Column::clone(column) })
    };
    for view in &mut snapshot.venues {
        let ladder = view.history.ladder.each_ref().map(|l| l.iter().map(halved).collect());
        view.preset = Some(PresetView {
            preset,
            history: Arc::new(History { ladder }),
            live: view.live.as_ref().map(halved),
        });
    }
}
