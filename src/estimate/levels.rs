//! The estimator of one venue's instrument: events in, liquidation levels out.
//!
//! Openings and closings follow from volume and open interest alone (docs/MODEL.md): with volume `V` and change `D`
//! between two readings, `turnover = rho·(V − |D|)/2` positions are replaced on each side, `D` more are opened or closed.

mod state;

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::market::candle::Ohlc;
use crate::market::event::{LiquidationBar, Position, PriceKind, Sampled};
use crate::market::{Candle, EventKind, Instrument, Liquidation, MarketEvent, Side, TakerSide, Venue};

use super::bins::BinTable;
use super::calibrate::{Calibration, Observed, Tallies, Uncertainty};
use super::cohort::{Cohorts, Opening, Trail, closing_divisor};
use super::components::{CLASSES, Components};
use super::margin;
use super::measured::{Fit, Measured};
use super::readout::{Background, Readout, Room, Sources};

/// Share of the volume not explained by the change of open interest that really replaces positions; the rest is
/// inventory passed between market makers.
const TURNOVER: f64 = 0.5;
/// Marks farther apart than this (ms) do not tell the path.
const DENSE_MARKS: i64 = 5_000;
/// No component is nearer to its entry than this many bins at 5 bp (18 bp).
const NEAREST_BINS: i32 = 3;
/// Entries kept apart between two readings of open interest; further ones join the nearest.
const MOST_ENTRIES: usize = 2_048;
/// Steps a candle's openings are spread over, at most.
const CANDLE_STEPS: f64 = 40.0;
/// Public positions are fitted this often, ms.
const REFIT: i64 = 3_600_000;
/// Minutes remembered as traded, so that a late candle does not count their volume twice.
const TRADED_MINUTES: usize = 2_880;

/// USD by bin, gathered between two columns.
pub type ByBin = std::collections::BTreeMap<i32, f64>;

/// What the path consumed and the feed printed since it was last asked, USD by bin, longs then shorts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    /// Estimated.
    pub swept: [ByBin; 2],
    /// Observed.
    pub printed: [ByBin; 2],
}

/// One venue, one asset.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Estimator {
    venue: Venue,
    // What is made from the rest is not kept: [`Estimator::revived`] makes it again.
    #[serde(skip, default = "state::no_bins")]
    bins: Arc<BinTable>,
    #[serde(skip)]
    components: Components,
    tiers: Vec<margin::Tier>,
    calibration: Calibration,
    #[serde(skip)]
    background: Background,
    books: [Cohorts; 2],
    /// Volume waiting for the next reading of open interest, by entry price.
    pending: Vec<Opening>,
    /// Coins of pending volume, and how many of them came as candles.
    volume: f64,
    candle_volume: f64,
    /// Where the path is: price and its bin.
    path: Option<(f64, i32)>,
    /// Time of the last mark, and of the last one that was dense.
    last_mark: Option<i64>,
    last_dense_mark: Option<i64>,
    mark: Option<f64>,
    traded: std::collections::VecDeque<i64>,
    oi: Option<f64>,
    /// Coins liquidated by the feed since the last reading, by side.
    liquidated: [f64; 2],
    /// Positions that are public, and since the last reading: coins of theirs that came to be known, that they traded, and that the
    /// path took.
    measured: Measured,
    has_own_positions: bool,
    found: [f64; 2],
    known_trades: [f64; 2],
    known_swept: [f64; 2],
    /// Coins that were not known at the last reading, by side.
    unknown: [f64; 2],
    /// The distances of public positions, and the hour they were fitted.
    fit: Option<Fit>,
    fitted_at: i64,
    #[serde(with = "state::as_json")]
    instrument: Option<Instrument>,
    activity: Activity,
    /// Counts what changes the levels.
    version: u64,
}

impl Estimator {
    /// An empty estimator with prior weights.
    pub fn new(venue: Venue, bins: Arc<BinTable>) -> Self {
        let components = Components::new(&venue, None, None, &bins);
        let count = components.len();
        Self {
            venue,
            tiers: Vec::new(),
            calibration: Calibration::new(&components),
            background: Background::new(&bins),
            components,
            bins,
            books: [Cohorts::new(0, count), Cohorts::new(1, count)],
            pending: Vec::new(),
            volume: 0.0,
            candle_volume: 0.0,
            path: None,
            last_mark: None,
            last_dense_mark: None,
            mark: None,
            traded: std::collections::VecDeque::new(),
            oi: None,
            liquidated: [0.0; 2],
            measured: Measured::new(),
            has_own_positions: false,
            found: [0.0; 2],
            known_trades: [0.0; 2],
            known_swept: [0.0; 2],
            unknown: [0.0; 2],
            fit: None,
            fitted_at: i64::MIN,
            instrument: None,
            activity: Activity::default(),
            version: 0,
        }
    }

    /// Takes in one event. Kinds the estimator has no use for are left alone.
    pub fn apply(&mut self, event: &MarketEvent) {
        if !matches!(event.kind, EventKind::Instrument(_) | EventKind::Book(_)) {
            self.pass_time(event.known_at());
        }
        match &event.kind {
            EventKind::Trade(t) => self.trade(event.ts, t.price.to_f64(), t.qty.to_f64(), t.taker),
            EventKind::Mark(m) => self.mark(event.ts, m.price.to_f64()),
            EventKind::OpenInterest(qty) => self.open_interest(qty.to_f64()),
            EventKind::Candle(c) => self.candle(event.ts, c),
            EventKind::Liquidation(l) => self.liquidation(event.ts, l),
            EventKind::LiquidationBar(b) => self.liquidation_bar(event.ts, b),
            EventKind::Instrument(i) => self.instrument(i),
            EventKind::Gap(gap) if !gap.is_of_book() && !gap.is_held() => self.calibration.gap(gap.from),
            EventKind::Position(p) => {
                // Another market's accounts say nothing about how far away this one's traders are liquidated.
                self.has_own_positions |= event.venue == self.venue;
                self.position(p);
            }
            EventKind::Book(_) | EventKind::Gap(_) => {}
        }
    }

    /// What is learned follows event time.
    fn pass_time(&mut self, now: i64) {
        let (hidden, changed) = self.calibration.advance(now, &self.books);
        self.liquidated.iter_mut().zip(hidden).for_each(|(sum, more)| *sum += more);
        self.version += u64::from(changed);
        let hour = now.div_euclid(REFIT);
        if hour > self.fitted_at && self.has_own_positions {
            self.fitted_at = hour;
            if let Some(fit) = self.measured.fit() {
                self.version += 1;
                self.fit = Some(fit);
                self.set_components();
            }
        }
    }

    /// The contract's terms decide maintenance rates and which leverages exist. Mass already resting stays where it is.
    fn instrument(&mut self, instrument: &Instrument) {
        if self.instrument.as_ref() == Some(instrument) {
            return;
        }
        self.version += 1;
        self.tiers = instrument.tiers.iter().map(margin::Tier::from).collect();
        self.instrument = Some(instrument.clone());
        self.set_components();
    }

    fn set_components(&mut self) {
        self.settle();
        let Self { venue, instrument, fit, bins, .. } = self;
        self.components = Components::new(venue, instrument.as_ref(), fit.as_ref(), bins);
        self.calibration.set_components(&self.components);
    }

    /// Spreads all that was opened over its levels. It changes none of them but in its last digit, and when it is done must follow from events alone.
    pub fn settle(&mut self) {
        for book in &mut self.books {
            book.spread(&self.components);
        }
    }

    /// A public position: exact mass from now on. What was not known of it before was part of what is estimated.
    fn position(&mut self, position: &Position) {
        self.version += 1;
        let oi = self.oi.unwrap_or(0.0);
        let before = [0, 1].map(|side| self.measured.coins(side));
        let change = self.measured.tell(position);
        for (side, before) in before.into_iter().enumerate() {
            self.found[side] += change.found[side];
            self.known_trades[side] += change.traded[side].abs();
            let unknown = oi - before;
            if change.found[side] > 0.0 && unknown > 0.0 {
                self.books[side].keep(1.0 - (change.found[side] / unknown).min(1.0));
            }
        }
    }

    fn trade(&mut self, ts: i64, price: f64, qty: f64, taker: TakerSide) {
        let Some(bin) = self.bin(price) else { return };
        self.calibration.begin(ts, self.oi.unwrap_or(0.0), &self.books);
        let minute = ts.div_euclid(60_000);
        if self.traded.back().is_none_or(|&last| last < minute) {
            self.traded.push_back(minute);
            if self.traded.len() > TRADED_MINUTES {
                self.traded.pop_front();
            }
        }
        if self.last_dense_mark.is_none_or(|at| ts - at > DENSE_MARKS) {
            self.move_path(ts, price, bin);
        }
        if qty > 0.0 {
            self.calibration.traded(ts, Some(usize::from(taker == TakerSide::Sell)), qty);
            let now = self.path.map_or(bin, |(_, b)| b);
            self.enter(bin, qty, Trail::at(now));
            self.volume += qty;
        }
    }

    fn mark(&mut self, ts: i64, price: f64) {
        let Some(bin) = self.bin(price) else { return };
        self.calibration.begin(ts, self.oi.unwrap_or(0.0), &self.books);
        self.mark = Some(price);
        if self.last_mark.is_some_and(|at| ts - at <= DENSE_MARKS) {
            self.last_dense_mark = Some(ts);
            self.move_path(ts, price, bin);
        } else if self.path.is_none() {
            self.version += 1;
            self.path = Some((price, bin));
        }
        self.last_mark = Some(ts);
    }

    /// A bar counts where nothing finer was seen: its path if there were neither dense marks nor trades, its volume if
    /// there were no trades.
    fn candle(&mut self, ts: i64, candle: &Candle) {
        let end = ts + candle.interval.ms();
        let (from, to) = (ts.div_euclid(60_000), (end - 1).div_euclid(60_000));
        let first = self.traded.partition_point(|&minute| minute < from);
        if self.traded.get(first).is_some_and(|&minute| minute <= to) {
            return;
        }
        let Some(ohlc) = candle.ohlc else { return };
        self.calibration.begin(ts, self.oi.unwrap_or(0.0), &self.books);
        // Who prints liquidations did not print those of a bar that history tells.
        self.calibration.count(&self.books);
        if self.last_dense_mark.is_none_or(|at| at < ts) {
            for price in ohlc.path() {
                let price = price.to_f64();
                if let Some(bin) = self.bin(price) {
                    self.move_path(end - 1, price, bin);
                }
            }
        }
        self.calibration.forget_printed(&self.books);
        if let Some(volume) = candle.volume.filter(|v| v.is_positive()) {
            self.calibration.traded(ts, None, volume.to_f64());
            self.spread(&ohlc, volume.to_f64());
        }
    }

    /// Openings of a bar lie evenly (by logarithm) from its low to its high; when inside the bar they were made is not
    /// known, so what the bar's own path crosses between its extreme and its close is taken as half gone.
    fn spread(&mut self, ohlc: &Ohlc, volume: f64) {
        let position = |p: crate::market::Price| self.bins.position(p.to_f64());
        let (low, high) = (position(ohlc.low), position(ohlc.high));
        let (Some(low_bin), Some(high_bin), Some(close_bin)) =
            (self.bins.bin_of(ohlc.low), self.bins.bin_of(ohlc.high), self.bins.bin_of(ohlc.close))
        else {
            return;
        };
        // The step is 5 bp whatever the bin width.
        let steps = ((high - low) * self.bins.bp() / 5.0).floor().clamp(1.0, CANDLE_STEPS);
        let trail = Trail { low: close_bin, maybe_low: low_bin, high: close_bin, maybe_high: high_bin };
        for i in 0..steps as usize {
            let at = low + (i as f64 + 0.5) * (high - low) / steps;
            let bin = (at.floor() as i32).clamp(low_bin, high_bin);
            self.enter(bin, volume / steps, trail);
        }
        self.volume += volume;
        self.candle_volume += volume;
    }

    fn enter(&mut self, bin: i32, qty: f64, trail: Trail) {
        let full = self.pending.len() >= MOST_ENTRIES;
        // An entry may be joined while the path has stayed nearer to it than any level: then nothing of it is gone yet.
        let joins = |e: &Opening| {
            e.bin == bin
                && (e.trail == trail
                    || (e.trail.maybe_low >= bin - NEAREST_BINS
                        && e.trail.maybe_high <= bin + NEAREST_BINS
                        && trail.maybe_low >= bin - NEAREST_BINS
                        && trail.maybe_high <= bin + NEAREST_BINS))
        };
        let found = self.pending.iter().rposition(joins).or_else(|| {
            full.then(|| (0..self.pending.len()).min_by_key(|&i| (self.pending[i].bin - bin).abs())).flatten()
        });
        match found {
            Some(i) => self.pending[i].qty += qty,
            None => self.pending.push(Opening { bin, qty, trail }),
        }
    }

    /// A reading of open interest settles the volume since the last one.
    fn open_interest(&mut self, oi: f64) {
        let is_first = self.oi.is_none();
        let before = self.oi.unwrap_or(oi);
        if self.volume <= 0.0 && self.oi.is_some() {
            // Open interest moves by trading alone: the change belongs to volume still under way.
            return;
        }
        self.version += 1;
        self.oi = Some(oi);
        // Where all volume came as candles it may be rounded or late: it is at least the change.
        let volume = if self.candle_volume >= self.volume {
            self.volume.max((oi - before).abs())
        } else {
            self.volume
        };
        let center = self.path.map_or_else(|| self.pending.first().map_or(0, |e| e.bin), |(_, bin)| bin);
        let mut closed_share = 0.0;
        for side in 0..2 {
            // Everything here is about what is not known: without public positions that is all of it.
            let known = self.measured.coins(side);
            let unknown = (oi - known).max(0.0);
            let unknown_before = if is_first { unknown } else { self.unknown[side] - self.found[side] };
            let volume = (volume - self.known_trades[side]).max(0.0);
            let change = (unknown - unknown_before).clamp(-volume, volume);
            let turnover = TURNOVER * (volume - change.abs()) / 2.0;
            let opened = change.max(0.0) + turnover;
            let closed = (-change).max(0.0) + turnover;
            let by_hand = (closed - self.liquidated[side]).max(0.0) / unknown.max(f64::MIN_POSITIVE);
            self.books[side].close(by_hand);
            closed_share += by_hand / 2.0;
            if opened > 0.0 && self.volume > 0.0 {
                self.books[side].open(&self.components, &self.pending, opened / self.volume, center);
            }
        }
        // Who is not told again fades as those who hold for the shortest time.
        self.measured.fade(closing_divisor(CLASSES[CLASSES.len() - 1].0, closed_share));
        self.unknown = [0, 1].map(|side| (oi - self.measured.coins(side)).max(0.0));
        (self.found, self.known_trades, self.known_swept) = Default::default();
        self.pending.clear();
        self.volume = 0.0;
        self.candle_volume = 0.0;
        self.liquidated = [0.0; 2];
    }

    fn liquidation(&mut self, ts: i64, liquidation: &Liquidation) {
        // What lies around its level is looked at.
        self.settle();
        let (side, qty) = (liquidation.position, liquidation.qty.to_f64());
        let price = liquidation.price.to_f64();
        let Some((path, path_bin)) = self.path else { return };
        let oi = self.oi.unwrap_or(0.0);
        let level = match liquidation.price_kind {
            // The price at which its margin was used up: the level lies nearer to the entry, by the maintenance rate.
            PriceKind::Bankruptcy => {
                let tier = self.tiers.iter().find(|t| price * qty <= t.cap).or(self.tiers.last());
                let rate = tier.map_or(margin::UNKNOWN_RATE, |t| t.rate);
                price / if side == Side::Long { 1.0 - rate } else { 1.0 + rate }
            }
            // Where it was closed says what it fetched, not what set it off: that was the mark.
            PriceKind::Fill | PriceKind::Order if (price / path - 1.0).abs() < 0.1 => path,
            PriceKind::Fill | PriceKind::Order => price,
        };
        let bin = self.bins.bin(level).unwrap_or(path_bin);
        let is_sampled = liquidation.sampled != Sampled::No;
        let background = self.background.mass(oi);
        let seen =
            Observed { ts, side: side.index(), qty, level: (level, bin), is_sampled, oi, path, background };
        // What public positions lost teaches nothing about the others.
        let known = &mut self.known_swept[side.index()];
        let of_known = qty.min(*known);
        *known -= of_known;
        self.calibration.came_of_known(side.index(), of_known);
        let seen = Observed { qty: qty - of_known, ..seen };
        if seen.qty > 0.0 {
            self.liquidated[side.index()] += self.calibration.print(&seen, &self.books);
        }
        self.show_print(side, qty, price);
    }

    fn liquidation_bar(&mut self, ts: i64, bar: &LiquidationBar) {
        let totals = [bar.long_qty.to_f64(), bar.short_qty.to_f64()];
        if self.calibration.total(ts, bar.interval.ms(), totals, self.oi.unwrap_or(0.0), &self.books) {
            self.version += 1;
        }
        for (side, qty) in Side::BOTH.into_iter().zip(totals) {
            self.liquidated[side.index()] += qty;
            if let Some((price, _)) = self.path {
                self.show_print(side, qty, price);
            }
        }
    }

    /// What was observed is shown at the price it came with.
    fn show_print(&mut self, side: Side, qty: f64, price: f64) {
        if let Some(bin) = self.bin(price) {
            *self.activity.printed[side.index()].entry(bin).or_default() += qty * price;
        }
    }

    /// Moves the path to `price` and consumes what lies between: longs on the way down, shorts on the way up.
    fn move_path(&mut self, ts: i64, price: f64, bin: i32) {
        self.calibration.moved(price);
        if self.path.is_some_and(|(from, _)| from == price) {
            return;
        }
        self.version += 1;
        let Some((from, from_bin)) = self.path.replace((price, bin)) else { return };
        let side = usize::from(price > from);
        let (low, high) = if side == 0 { (bin, from_bin) } else { (from_bin, bin) };
        if self.books[side].is_awaited(&self.components, &(low..high + 1)) {
            self.books[side].spread(&self.components);
        }
        let span = self.books[side].span();
        let background = self.background.span(side, from_bin);
        let background_mass = self.background.mass(self.oi.unwrap_or(0.0));
        let floor = self.calibration.background(side) * background_mass;
        for b in low.max(span.start)..=high.min(span.end - 1) {
            let (bottom, top) = (self.bins.edge(b), self.bins.edge(b + 1));
            let fraction = if side == 0 {
                let (upper, lower) = (top.min(from), bottom.max(price));
                (upper - lower) / (upper - bottom)
            } else {
                let (upper, lower) = (top.min(price), bottom.max(from));
                (upper - lower) / (top - lower)
            };
            let fraction = fraction.clamp(0.0, 1.0);
            let (theta, trace) = self.calibration.sweeping(ts, side, b);
            let mut forced = self.books[side].sweep(b, fraction, theta, trace);
            let passed = if background.contains(&b) { fraction } else { 0.0 };
            forced += passed * floor;
            self.calibration.swept(ts, side, forced, passed * background_mass);
            if forced > 0.0 {
                *self.activity.swept[side].entry(b).or_default() += forced * self.bins.mid(b);
            }
        }
        for (level, qty) in self.measured.sweep(side, price) {
            self.known_swept[side] += qty;
            self.calibration.swept_known(side, qty);
            if let Some(bin) = self.bins.bin(level) {
                *self.activity.swept[side].entry(bin).or_default() += qty * level;
            }
        }
        if bin != from_bin {
            for entry in &mut self.pending {
                entry.trail.extend(bin);
            }
        }
    }

    fn bin(&self, price: f64) -> Option<i32> {
        // Most prices lie where the last one did.
        if let Some((_, bin)) = self.path
            && self.bins.edge(bin) <= price
            && price < self.bins.edge(bin + 1)
        {
            return Some(bin);
        }
        self.bins.bin(price)
    }

    /// What it takes to put a band around the levels now.
    pub fn uncertainty(&self) -> Uncertainty {
        let price = self.path.map_or(0.0, |(price, _)| price);
        self.calibration.uncertainty(&self.components, &self.books, price)
    }

    /// A number that changes whenever the levels may have; as long as it stays, so do those of [`Self::readout`].
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The levels now.
    pub fn readout(&self) -> Option<Readout> {
        self.readout_in(&mut Room::default())
    }

    /// As [`Self::readout`], for one who reads again and again.
    pub fn readout_in(&self, room: &mut Room) -> Option<Readout> {
        let (price, bin) = self.path?;
        let Self { bins, components, calibration, background, measured, .. } = self;
        // Who reads changes nothing, not a last digit.
        let mut books = Cow::Borrowed(&self.books);
        if !self.books.iter().all(Cohorts::is_spread) {
            books.to_mut().iter_mut().for_each(|book| book.spread(components));
        }
        let books = &*books;
        let sources = Sources { bins, components, calibration, background, books, measured };
        Some(Readout::new(&sources, self.oi?, (price, bin), room))
    }

    /// What was swept and printed since it was last taken.
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Begins the activity anew.
    pub fn take_activity(&mut self) -> Activity {
        std::mem::take(&mut self.activity)
    }

    /// What was foretold and what came, by hour or bar, for the last week. Empty until liquidations are observed.
    pub fn tallies(&self) -> &Tallies {
        self.calibration.tallies()
    }

    /// What the venue's liquidations have taught.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// The positions that are public.
    pub fn measured(&self) -> &Measured {
        &self.measured
    }

    /// The distances of public positions, once enough are known.
    pub fn fit(&self) -> Option<Fit> {
        self.fit
    }

    /// Takes the gains of a venue that is better observed as the prior. Says whether it could: components of another kind (there
    /// are no spikes where all margin is cross) have nothing to learn from these.
    pub fn adopt(&mut self, gains: &[Vec<f64>; 2]) -> bool {
        let fits = gains.iter().all(|side| side.len() == self.calibration.theta(0).len());
        if fits {
            self.version += 1;
            self.calibration.adopt(&self.components, gains);
        }
        fits
    }

    /// Where the path is, USD per coin: the mark where marks are dense, else the last trade or close.
    pub fn price(&self) -> Option<f64> {
        self.path.map(|(price, _)| price)
    }

    /// The last published mark, USD per coin.
    pub fn published_mark(&self) -> Option<f64> {
        self.mark
    }

    /// Open interest, base coin.
    pub fn oi(&self) -> Option<f64> {
        self.oi
    }

    /// The cohorts by side, for the book-keeping identity.
    pub fn books(&self) -> &[Cohorts; 2] {
        &self.books
    }

    /// Bytes of state held, without what all venues share, for the memory budget.
    pub fn bytes(&self) -> usize {
        let books: usize = self.books.iter().map(Cohorts::bytes).sum();
        size_of::<Self>()
            + books
            + self.calibration.bytes()
            + self.pending.capacity() * size_of::<Opening>()
            + self.traded.capacity() * size_of::<i64>()
    }

    /// The bins.
    pub fn bins(&self) -> &Arc<BinTable> {
        &self.bins
    }
}
