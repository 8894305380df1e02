//! One venue's market: its estimator, its columns and its running bar.

mod state;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::estimate::calibrate::Tally;
use crate::estimate::levels::ByBin;
use crate::estimate::readout::Room;
use crate::estimate::{Bar, BinTable, Column, Estimator, Preset};
use crate::feed::status::VenueStatus;
use crate::market::event::{Book, Gap};
use crate::market::{Asset, Candle, EventKind, Interval, MarketEvent, Venue};

use super::ladder::Ladder;
use super::landmark::{Happened, Landmark};
use super::pack::{PackedLevels, pack};
use super::preset::{Minutes, PresetLane};
use super::snapshot::{Course, History, VenueView};

/// A column closes on the venue's first event this long (ms) after its end, so that late frames still count.
pub const GRACE: i64 = 2_000;

thread_local! {
    /// Of all markets that a thread has: one column is made at a time.
    static ROOM: RefCell<Room> = RefCell::default();
}

/// One venue, one asset.
#[derive(Debug, Clone)]
pub struct VenueMarket {
    venue: Venue,
    /// How the feed is doing.
    pub status: VenueStatus,
    estimator: Estimator,
    ladder: Ladder,
    /// Length of the finest column; known with the first event that brings volume.
    base: Interval,
    /// Start of the running column.
    open: Option<i64>,
    /// Known-at of the newest event.
    seen: i64,
    /// Columns that start before this were closed in an earlier run: they stay as they are.
    closed_until: i64,
    /// Minutes that history tells when they are not kept any more are not made.
    skips_outlived: bool,
    /// When the event was received that opened the running column, UTC ns.
    opened_at: Option<i64>,
    /// Events up to here are in the state that was taken up; and how many came again.
    taken_until: i64,
    overlaps: u64,
    /// Since when nobody has listened, until somebody does again.
    unheard_since: Option<i64>,
    /// How the picture came about.
    course: Course,
    /// Bars of buckets that are not closed yet.
    bars: BTreeMap<i64, Bar>,
    traded: bool,
    gaps: Vec<(i64, i64)>,
    /// Stretches in which open interest is held constant, and the end of the last of them.
    held: Vec<(i64, i64)>,
    held_until: Option<i64>,
    last: Option<f64>,
    funding: Option<f64>,
    funding_hours: Option<u32>,
    /// The newest book and its time. It says nothing about levels: columns never see it.
    book: Option<(i64, Arc<Book>)>,
    /// Counts what may change the running column.
    changes: u64,
    /// The levels as last packed, with the estimator's version then.
    packed: Option<(u64, PackedLevels)>,
    /// What was foretold and what came, as last shown.
    tallies: Arc<[Tally]>,
    /// The running column as last shown, with the count then.
    live: Option<(u64, Option<Arc<Column>>)>,
    /// What another map's columns are made from, and those of the one that is chosen.
    minutes: Minutes,
    preset: Option<PresetLane>,
}

impl VenueMarket {
    /// An empty market.
    pub fn new(venue: Venue, bins: Arc<BinTable>) -> Self {
        Self {
            venue,
            status: VenueStatus::new(venue),
            estimator: Estimator::new(venue, bins),
            ladder: Ladder::default(),
            base: Interval::M1,
            open: None,
            seen: i64::MIN,
            closed_until: i64::MIN,
            skips_outlived: false,
            opened_at: None,
            taken_until: i64::MIN,
            overlaps: 0,
            unheard_since: None,
            course: Course::default(),
            bars: BTreeMap::new(),
            traded: false,
            gaps: Vec::new(),
            held: Vec::new(),
            held_until: None,
            last: None,
            funding: None,
            funding_hours: None,
            book: None,
            changes: 0,
            packed: None,
            tallies: Arc::from([]),
            live: None,
            minutes: Minutes::default(),
            preset: None,
        }
    }

    /// Makes another map's columns from the last week, and on from here; or none.
    pub fn set_preset(&mut self, preset: Option<Preset>, asset: Asset) {
        if preset == self.preset.as_ref().map(PresetLane::preset) {
            return;
        }
        let (bins, until) = (self.estimator.bins(), self.open.unwrap_or(i64::MIN));
        self.preset =
            preset.map(|preset| PresetLane::build(preset, bins, &self.minutes, until, (self.venue, asset)));
    }

    /// Which venue.
    pub fn venue(&self) -> Venue {
        self.venue
    }

    /// The estimator.
    pub fn estimator(&self) -> &Estimator {
        &self.estimator
    }

    /// When the newest event was known, UTC ms; very small before the first.
    pub fn seen(&self) -> i64 {
        self.seen
    }

    /// Whether anything of the asset has come from here.
    pub fn is_present(&self) -> bool {
        self.seen > i64::MIN
    }

    /// How the picture came about.
    pub fn course(&self) -> Course {
        Course { overlaps: self.overlaps, ..self.course }
    }

    /// Takes the gains of a venue that is better observed as the prior.
    pub fn adopt(&mut self, gains: &[Vec<f64>; 2]) {
        if self.estimator.adopt(gains) {
            self.changes += 1;
        }
    }

    /// What was closed since this was last asked, finest first.
    pub fn take_closed(&mut self) -> Vec<Arc<Column>> {
        self.ladder.take_closed()
    }

    /// Closed columns are handed on and forgotten from now on.
    pub fn forget_columns(&mut self) {
        self.ladder.forget();
    }

    /// Minutes that are received when they are older than they are kept are not made from now on, only what they are rolled up to.
    pub fn skip_outlived(&mut self) {
        self.skips_outlived = true;
    }

    /// The closed columns.
    pub fn history(&self) -> &Arc<History> {
        &self.ladder.history
    }

    /// Puts closed columns of earlier times before those that are here.
    pub fn add_older(&mut self, older: History) {
        self.ladder.prepend(older);
    }

    /// Takes in one event: first closes the columns whose time has passed, then changes state.
    pub fn apply(&mut self, event: &MarketEvent) {
        let known_at = event.known_at();
        match &event.kind {
            EventKind::Book(book) => return self.set_book(event.ts, Arc::new(Book::clone(book))),
            EventKind::Gap(gap) if gap.is_of_book() => return,
            // The terms of a contract carry no time of their own.
            EventKind::Instrument(_) => {
                self.changes += 1;
                return self.estimator.apply(event);
            }
            _ if self.has_taken(event) => {
                self.overlaps += 1;
                return;
            }
            EventKind::Candle(c) => self.choose_base(c.interval),
            EventKind::LiquidationBar(b) => self.choose_base(b.interval),
            _ => {}
        }
        self.changes += 1;
        self.close_columns(known_at, event.recv);
        match &event.kind {
            EventKind::Trade(t) => {
                self.traded = true;
                self.last = Some(t.price.to_f64());
                self.add_trade(event.ts, t.price.to_f64(), t.qty.to_f64());
            }
            EventKind::Candle(c) => self.add_candle(event.ts, c),
            EventKind::Mark(m) => {
                self.funding = m.funding.map(crate::market::Rate::to_f64).or(self.funding);
                self.funding_hours = m.funding_hours.or(self.funding_hours);
            }
            EventKind::Gap(gap) => self.add_gap(gap),
            _ => {}
        }
        self.estimator.apply(event);
        self.minutes.apply(event);
        if let Some(lane) = &mut self.preset {
            lane.apply(event);
        }
        if self.course.first.is_none() {
            self.course.first = Some(known_at);
        }
        self.seen = self.seen.max(known_at);
        if self.open.is_none() {
            self.open = Some(self.base.floor(known_at));
            self.opened_at = event.recv;
        }
    }

    /// Whether the state that was taken up holds an event already: history tells it again.
    pub fn has_taken(&self, event: &MarketEvent) -> bool {
        let is_timeless =
            matches!(event.kind, EventKind::Instrument(_) | EventKind::Book(_) | EventKind::Gap(_));
        !is_timeless && event.known_at() <= self.taken_until
    }

    /// Keeps a book, if it is not older than the one there is. It closes no column and moves no time, so that recordings
    /// with more and with fewer books give the same pictures.
    pub fn set_book(&mut self, ts: i64, book: Arc<Book>) {
        if self.book.as_ref().is_none_or(|(at, _)| *at <= ts) {
            self.book = Some((ts, book));
        }
    }

    fn add_gap(&mut self, gap: &Gap) {
        let stretch = (gap.from, gap.to);
        if gap.is_held() {
            self.held.push(stretch);
            self.held_until = self.held_until.max(Some(gap.to));
        } else {
            self.gaps.push(stretch);
        }
    }

    /// Where only bars are known, columns are as long as they are.
    pub(super) fn choose_base(&mut self, interval: Interval) {
        let known = History::INTERVALS.into_iter().rev().find(|i| i.ms() <= interval.ms());
        if let Some(base) = known
            && base > self.base
            && !self.traded
            && self.ladder.is_empty()
        {
            self.base = base;
            self.open = None;
        }
    }

    fn add_trade(&mut self, ts: i64, price: f64, qty: f64) {
        let bar = Bar { open: price, high: price, low: price, close: price, volume: qty };
        self.bars.entry(self.base.floor(ts)).and_modify(|b| b.append(&bar)).or_insert(bar);
    }

    /// The venue's own bar stands above one made of the trades we saw.
    fn add_candle(&mut self, ts: i64, candle: &Candle) {
        let Some(ohlc) = candle.ohlc else { return };
        let bar = Bar {
            open: ohlc.open.to_f64(),
            high: ohlc.high.to_f64(),
            low: ohlc.low.to_f64(),
            close: ohlc.close.to_f64(),
            volume: candle.volume.map_or(0.0, crate::market::Qty::to_f64),
        };
        if !self.traded {
            self.last = Some(bar.close);
        }
        let start = self.base.floor(ts);
        if candle.interval >= self.base {
            self.bars.insert(start, bar);
        } else {
            self.bars.entry(start).and_modify(|b| b.append(&bar)).or_insert(bar);
        }
    }

    /// Closes the columns whose time has passed when an event becomes known (UTC ms) that was received then (UTC ns).
    fn close_columns(&mut self, known_at: i64, recv: Option<i64>) {
        while let Some(start) = self.open {
            let end = start + self.base.ms();
            if known_at < end + GRACE {
                return;
            }
            // Where nothing was heard after this bucket, the next one that may hold something follows.
            let next = if self.seen >= end { end } else { self.base.floor(known_at - GRACE).max(end) };
            // A bucket in which nothing was heard stays empty.
            if self.seen >= start {
                self.estimator.settle();
                self.close(start, next, recv);
                self.estimator.take_activity();
            }
            (self.open, self.opened_at) = (Some(next), recv);
            self.bars = self.bars.split_off(&next);
            for stretches in [&mut self.gaps, &mut self.held] {
                stretches.retain(|&(_, to)| to > next);
            }
        }
    }

    /// Closes the column that starts at `start`; another that starts at `next` will follow.
    fn close(&mut self, start: i64, next: i64, recv: Option<i64>) {
        let is_skipped = self.skips_outlived && self.is_unseen(start, next, recv);
        let levels = if is_skipped { None } else { self.packed().cloned() };
        let column = self.column(start, levels.unwrap_or_default());
        if let Some(lane) = &mut self.preset {
            lane.close(&column);
        }
        if start < self.closed_until {
            return;
        }
        if is_skipped {
            self.ladder.pass(&column);
        } else {
            self.ladder.push(column);
        }
    }

    /// Whether a column is no longer kept when what follows it is received, and is rolled up with the next, whose levels stand for both.
    fn is_unseen(&self, start: i64, next: i64, recv: Option<i64>) -> bool {
        let mut kept = History::INTERVALS.into_iter().zip(History::KEPT).skip_while(|(i, _)| *i != self.base);
        let (Some((base, kept)), Some((above, _))) = (kept.next(), kept.next()) else { return false };
        let Some((recv, opened_at)) = recv.zip(self.opened_at) else { return false };
        // A clock that is hours ahead makes all look old; but only history is received faster than it happened.
        let is_history = recv.abs_diff(opened_at) < base.ms().unsigned_abs() * 1_000_000 / 2;
        let is_outlived = next < (recv / 1_000_000).saturating_sub(kept);
        is_history && is_outlived && above.floor(start) == above.floor(next)
    }

    /// The levels now, packed; `None` before the first price and open interest. Packed again only when they changed.
    fn packed(&mut self) -> Option<&PackedLevels> {
        let version = self.estimator.version();
        if self.packed.as_ref().is_none_or(|(at, _)| *at != version) {
            self.packed = ROOM.with_borrow_mut(|room| {
                let readout = self.estimator.readout_in(room)?;
                let packed = PackedLevels::new(&readout);
                room.take_back(readout);
                Some((version, packed))
            });
        }
        self.packed.as_ref().map(|(_, levels)| levels)
    }

    /// The column that starts at `start`, with these levels, as things stand.
    fn column(&self, start: i64, levels: PackedLevels) -> Column {
        let end = start + self.base.ms();
        let activity = self.estimator.activity();
        let price = self.estimator.price().unwrap_or(0.0);
        let within = |stretches: &[(i64, i64)]| stretches.iter().any(|&(from, to)| from < end && to > start);
        let has_levels = self.estimator.price().is_some() && self.estimator.oi().is_some();
        let PackedLevels { coverage, levels, factors } = levels;
        Column {
            start,
            interval: self.base,
            mark: price,
            mark_bin: self.estimator.bins().bin(price).unwrap_or(0),
            oi: self.estimator.oi().unwrap_or(0.0),
            coverage,
            // Every print changes it, also where the levels stay as they are.
            uncertainty: self.estimator.uncertainty(),
            levels,
            factors,
            swept: [pack(&activity.swept[0]), pack(&activity.swept[1])],
            printed: [pack(&activity.printed[0]), pack(&activity.printed[1])],
            bar: self.bars.get(&start).copied(),
            gap: !has_levels || within(&self.gaps),
            reconstructed: within(&self.held),
        }
    }

    /// What happened in the running column.
    pub fn running(&self, landmark: &Landmark) -> Option<Happened> {
        let start = self.open?;
        let activity = self.estimator.activity();
        let packed = |by_bin: &[ByBin; 2]| [pack(&by_bin[0]), pack(&by_bin[1])];
        let (printed, swept) = (packed(&activity.printed), packed(&activity.swept));
        Some(landmark.happened((start, start + self.base.ms()), &printed, &swept))
    }

    /// The running column, made anew only when something changed; `None` before the first price.
    fn live(&mut self) -> Option<Arc<Column>> {
        if let Some((at, column)) = &self.live
            && *at == self.changes
        {
            return column.clone();
        }
        let start = self.open.filter(|_| self.estimator.price().is_some());
        let levels = start.and_then(|_| self.packed()).cloned().unwrap_or_default();
        let column = start.map(|start| Arc::new(self.column(start, levels)));
        self.live = Some((self.changes, column.clone()));
        column
    }

    /// The tallies, gathered anew only when there is a new one.
    fn tallies(&mut self) -> Arc<[Tally]> {
        let tallies = self.estimator.tallies();
        if tallies.last() != self.tallies.last() {
            self.tallies = tallies.iter().copied().collect();
        }
        Arc::clone(&self.tallies)
    }

    /// The picture of this venue.
    pub fn view(&mut self) -> VenueView {
        let live = self.live();
        VenueView {
            venue: self.venue,
            status: self.status.clone(),
            distances: self.estimator.fit(),
            mark: self.estimator.price(),
            last: self.last,
            oi_usd: self.oi_usd(),
            funding: self.funding,
            funding_hours: self.funding_hours,
            coverage: live.as_ref().map_or(0.0, |c| c.coverage),
            held_until: self.held_until,
            odd_prints: self.estimator.calibration().odd_prints(),
            band_coverage: self.estimator.calibration().band().coverage(),
            tallies: self.tallies(),
            book: self.book.as_ref().map(|(_, book)| Arc::clone(book)),
            history: Arc::clone(&self.ladder.history),
            course: self.course(),
            preset: self.preset.as_mut().map(|lane| lane.view(live.as_ref(), self.changes)),
            live,
        }
    }

    /// Open interest, USD.
    pub fn oi_usd(&self) -> Option<f64> {
        Some(self.estimator.oi()? * self.estimator.price()?)
    }
}
