//! One venue's market: its estimator, its columns and its running bar.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::estimate::levels::ByBin;
use crate::estimate::{Bar, BinTable, Column, Estimator, Packed, Readout, Tier};
use crate::feed::status::VenueStatus;
use crate::market::event::Gap;
use crate::market::{Candle, EventKind, Interval, MarketEvent, Side, Venue};

use super::snapshot::{History, VenueView};

/// A column closes on the venue's first event this long (ms) after its end, so that late frames still count.
const GRACE: i64 = 2_000;
/// Levels below this many USD, or this share of open interest, are not kept in columns.
const FLOOR: f64 = 0.5;
const FLOOR_SHARE: f64 = 1e-8;
/// Position mass over level lies between 1 and 2; columns keep it in steps of this.
const FACTOR_STEP: f64 = 1.0 / 32.0;
/// How long each interval of the ladder is kept, ms; the last for ever.
const KEPT: [i64; 4] = [6 * 3_600_000, 7 * 86_400_000, 180 * 86_400_000, i64::MAX];

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
    /// Bars of buckets that are not closed yet.
    bars: BTreeMap<i64, Bar>,
    traded: bool,
    gaps: Vec<(i64, i64)>,
    last: Option<f64>,
    funding: Option<f64>,
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
            bars: BTreeMap::new(),
            traded: false,
            gaps: Vec::new(),
            last: None,
            funding: None,
        }
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

    /// The closed columns.
    pub fn history(&self) -> &Arc<History> {
        &self.ladder.history
    }

    /// Takes in one event: first closes the columns whose time has passed, then changes state.
    pub fn apply(&mut self, event: &MarketEvent) {
        let known_at = event.known_at();
        match &event.kind {
            // The terms of a contract carry no time of their own.
            EventKind::Instrument(_) => return self.estimator.apply(event),
            EventKind::Candle(c) => self.choose_base(c.interval),
            EventKind::LiquidationBar(b) => self.choose_base(b.interval),
            _ => {}
        }
        self.close_columns(known_at);
        match &event.kind {
            EventKind::Trade(t) => {
                self.traded = true;
                self.last = Some(t.price.to_f64());
                self.add_trade(event.ts, t.price.to_f64(), t.qty.to_f64());
            }
            EventKind::Candle(c) => self.add_candle(event.ts, c),
            EventKind::Mark(m) => self.funding = m.funding.map(crate::market::Rate::to_f64).or(self.funding),
            EventKind::Gap(Gap { from, to, .. }) => self.gaps.push((*from, *to)),
            _ => {}
        }
        self.estimator.apply(event);
        self.seen = self.seen.max(known_at);
        if self.open.is_none() {
            self.open = Some(self.base.floor(known_at));
        }
    }

    /// Where only bars are known, columns are as long as they are.
    fn choose_base(&mut self, interval: Interval) {
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

    fn close_columns(&mut self, known_at: i64) {
        while let Some(start) = self.open {
            let end = start + self.base.ms();
            if known_at < end + GRACE {
                return;
            }
            if self.seen >= start {
                let column = self.column(start);
                self.estimator.take_activity();
                self.ladder.push(column);
                self.open = Some(end);
            } else {
                // Nothing was heard in this bucket: it stays empty, and the next one that may hold something follows.
                self.open = Some(self.base.floor(known_at - GRACE).max(end));
            }
            let open = self.open.unwrap_or(end);
            self.bars = self.bars.split_off(&open);
            self.gaps.retain(|&(_, to)| to > open);
        }
    }

    /// The column that starts at `start`, as things stand.
    fn column(&self, start: i64) -> Column {
        let end = start + self.base.ms();
        let activity = self.estimator.activity();
        let readout = self.estimator.readout();
        let price = self.estimator.price().unwrap_or(0.0);
        let mut column = Column {
            start,
            interval: self.base,
            mark: price,
            mark_bin: self.estimator.bins().bin(price).unwrap_or(0),
            oi: self.estimator.oi().unwrap_or(0.0),
            coverage: 0.0,
            levels: Default::default(),
            factors: Default::default(),
            swept: [pack(&activity.swept[0]), pack(&activity.swept[1])],
            printed: [pack(&activity.printed[0]), pack(&activity.printed[1])],
            bar: self.bars.get(&start).copied(),
            gap: readout.is_none() || self.gaps.iter().any(|&(from, to)| from < end && to > start),
        };
        if let Some(readout) = readout {
            column.coverage = readout.coverage;
            for tier in Tier::ALL {
                let (levels, factors) = pack_tier(&readout, tier);
                column.levels[tier.index()] = levels;
                column.factors[tier.index()] = factors;
            }
        }
        column
    }

    /// The picture of this venue.
    pub fn view(&self) -> VenueView {
        let live =
            self.open.filter(|_| self.estimator.price().is_some()).map(|start| Arc::new(self.column(start)));
        VenueView {
            venue: self.venue,
            status: self.status.clone(),
            mark: self.estimator.price(),
            last: self.last,
            oi_usd: self.oi_usd(),
            funding: self.funding,
            coverage: live.as_ref().map_or(0.0, |c| c.coverage),
            history: Arc::clone(&self.ladder.history),
            live,
        }
    }

    /// Open interest, USD.
    pub fn oi_usd(&self) -> Option<f64> {
        Some(self.estimator.oi()? * self.estimator.price()?)
    }
}

/// One tier's levels over both sides (longs below the mark, shorts above, the mark's bin holds what both have left), and
/// position mass over level in each bin.
fn pack_tier(readout: &Readout, tier: Tier) -> (Packed, Packed) {
    let (long, short) = (readout.side(Side::Long), readout.side(Side::Short));
    let i = tier.index();
    if [long, short].into_iter().all(|side| side.levels[i].iter().all(|usd| *usd <= 0.0)) {
        return (Packed::default(), Packed::default());
    }
    let first = long.span().start.min(short.span().start);
    let end = long.span().end.max(short.span().end);
    let mut levels = vec![0.0; (end - first) as usize];
    let mut positions = levels.clone();
    for side in [long, short] {
        let at = (side.first - first) as usize;
        for (into, from) in [(&mut levels, &side.levels[i]), (&mut positions, &side.positions[i])] {
            for (slot, value) in into[at..].iter_mut().zip(from) {
                *slot += value;
            }
        }
    }
    let floor = FLOOR.max(readout.oi * readout.mark * FLOOR_SHARE);
    for (position, level) in positions.iter_mut().zip(&levels) {
        *position =
            if *level >= floor { (*position / level / FACTOR_STEP).round() * FACTOR_STEP } else { 0.0 };
    }
    (Packed::new(first, &levels, floor), Packed::new(first, &positions, f64::MIN_POSITIVE))
}

fn pack(amounts: &ByBin) -> Packed {
    let (Some((&first, _)), Some((&last, _))) = (amounts.first_key_value(), amounts.last_key_value()) else {
        return Packed::default();
    };
    let mut values = vec![0.0; (last - first + 1) as usize];
    for (bin, usd) in amounts {
        values[(bin - first) as usize] = *usd;
    }
    Packed::new(first, &values, FLOOR)
}

/// Closed columns and the unfinished roll-ups above them.
#[derive(Debug, Clone, Default)]
struct Ladder {
    history: Arc<History>,
    partial: [Option<Column>; 3],
}

impl Ladder {
    fn is_empty(&self) -> bool {
        self.history.ladder.iter().all(Vec::is_empty)
    }

    /// Adds a closed column and what it completes above it.
    fn push(&mut self, column: Column) {
        let history = Arc::make_mut(&mut self.history);
        let level = History::INTERVALS.iter().position(|i| *i == column.interval).unwrap_or(0);
        for above in level + 1..History::INTERVALS.len() {
            let interval = History::INTERVALS[above];
            let start = interval.floor(column.start);
            let partial = &mut self.partial[above - 1];
            if let Some(old) = partial.take_if(|p| p.start != start) {
                history.ladder[above].push(Arc::new(old));
            }
            let merged = match partial.take() {
                Some(p) => p.merged(&column, start, interval),
                None => Column { start, interval, ..column.clone() },
            };
            if merged.end() <= column.end() {
                history.ladder[above].push(Arc::new(merged));
            } else {
                *partial = Some(merged);
            }
        }
        let newest = column.end();
        history.ladder[level].push(Arc::new(column));
        for (columns, kept) in history.ladder.iter_mut().zip(KEPT) {
            let old = columns.partition_point(|c| c.end() < newest.saturating_sub(kept));
            columns.drain(..old);
        }
    }
}
