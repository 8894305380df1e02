//! The rules of other maps beside our estimate: the minutes their history is made from, and their columns while one is chosen.
//!
//! Nothing is computed while none is chosen: the minutes are a few numbers each, and are only read when one is asked for.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::estimate::calibrate::Uncertainty;
use crate::estimate::{Bar, BinTable, Column, Packed, Preset, PresetMap, TIERS, Tier};
use crate::market::candle::Ohlc;
use crate::market::event::Trade;
use crate::market::{Asset, Candle, EventKind, Interval, MarketEvent, Price, Qty, Side, TakerSide, Venue};

use super::ladder::Ladder;
use super::snapshot::{History, PresetView};

const MINUTE: i64 = 60_000;
/// Minutes kept: seven days. Each takes 56 bytes: about half a megabyte for a venue.
const KEPT: usize = 7 * DAY;
/// Minutes of a day.
const DAY: usize = 24 * 60;
/// Columns of a minute are made for this long back, as the ladder keeps them; before that of five.
const FINE: i64 = 6 * 3_600_000;
/// A trade of a preset that looks for large ones, USD.
const LARGE: f64 = 100_000.0;
/// Levels below this are not kept, USD.
const FLOOR: f64 = 1.0;

/// A minute, or a longer bar where only longer ones are told. Single precision is a part in ten million.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Kept {
    /// Start, UTC ms.
    start: i64,
    /// Length.
    interval: Interval,
    /// Whether its trades were seen one by one.
    traded: bool,
    open: f32,
    high: f32,
    low: f32,
    close: f32,
    /// Base coin.
    volume: f32,
    /// Of which takers bought; not a number where nobody says.
    bought: f32,
    /// Base coin in single large trades, bought and sold.
    large: [f32; 2],
    /// Open interest when it was last told, base coin; not a number before it was.
    oi: f32,
}

impl Kept {
    fn new(start: i64, price: f64, oi: f32) -> Self {
        let price = price as f32;
        Self {
            start,
            interval: Interval::M1,
            traded: true,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: 0.0,
            bought: 0.0,
            large: [0.0; 2],
            oi,
        }
    }

    fn end(&self) -> i64 {
        self.start + self.interval.ms()
    }

    fn bar(&self) -> Bar {
        let [open, high, low, close, volume] =
            [self.open, self.high, self.low, self.close, self.volume].map(f64::from);
        Bar { open, high, low, close, volume }
    }

    fn trade(&mut self, price: f64, qty: f64, taker: TakerSide) {
        let (here, coins) = (price as f32, qty as f32);
        (self.high, self.low, self.close) = (self.high.max(here), self.low.min(here), here);
        self.volume += coins;
        self.bought += if taker == TakerSide::Buy { coins } else { 0.0 };
        if price * qty >= LARGE {
            self.large[usize::from(taker == TakerSide::Sell)] += coins;
        }
    }

    /// The venue's own bar stands above one made of the trades we saw; who took liquidity stays if it does not say.
    fn candle(&mut self, candle: &Candle, ohlc: &Ohlc) {
        let [open, high, low, close] =
            [ohlc.open, ohlc.high, ohlc.low, ohlc.close].map(|p| p.to_f64() as f32);
        let volume = candle.volume.map_or(0.0, Qty::to_f64) as f32;
        let seen = if self.volume > 0.0 { volume * self.bought / self.volume } else { f32::NAN };
        let bought = candle.taker_buy.map_or(seen, |qty| qty.to_f64() as f32);
        *self = Self { interval: candle.interval, open, high, low, close, volume, bought, ..*self };
    }

    /// What a rule is told of it: its bar (or, where the rule looks at single trades, its path and its large trades) and open
    /// interest at its end.
    fn events(&self, preset: Preset) -> Option<Vec<(i64, EventKind)>> {
        let price = |value: f32| Price::from_f64(f64::from(value));
        let qty = |value: f32| Qty::from_f64(f64::from(value));
        let ohlc = Ohlc {
            open: price(self.open)?,
            high: price(self.high)?,
            low: price(self.low)?,
            close: price(self.close)?,
        };
        let last = self.end() - 1;
        let mut events = Vec::new();
        if preset == Preset::LargeTrades && self.traded {
            let path = ohlc.path().map(|price| (price, 0.0, TakerSide::Buy));
            let sides = [(self.large[0], TakerSide::Buy), (self.large[1], TakerSide::Sell)];
            let large = sides.into_iter().filter(|(coins, _)| *coins > 0.0);
            let large = large.map(|(coins, taker)| (ohlc.close, coins, taker));
            for (price, coins, taker) in path.into_iter().chain(large) {
                let trade = Trade { price, qty: qty(coins)?, taker, id: None, parties: None };
                events.push((last, EventKind::Trade(trade)));
            }
        } else {
            let taker_buy = Some(self.bought).filter(|b| b.is_finite()).and_then(qty);
            let volume = qty(self.volume);
            let candle = Candle { interval: self.interval, ohlc: Some(ohlc), volume, taker_buy };
            events.push((self.start, EventKind::Candle(candle)));
        }
        events.extend(
            qty(self.oi).filter(|_| self.oi.is_finite()).map(|oi| (last, EventKind::OpenInterest(oi))),
        );
        Some(events)
    }
}

/// The last week of one venue, minute by minute.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Minutes {
    kept: VecDeque<Kept>,
    oi: Option<f32>,
}

impl Minutes {
    /// Takes in one event.
    pub fn apply(&mut self, event: &MarketEvent) {
        match &event.kind {
            EventKind::Trade(t) => {
                let start = event.ts.div_euclid(MINUTE) * MINUTE;
                let (price, oi) = (t.price.to_f64(), self.oi.unwrap_or(f32::NAN));
                // What comes late for a minute that is gone changes nothing that was drawn.
                if let Some(kept) = self.at(start, || Kept::new(start, price, oi))
                    && kept.traded
                {
                    kept.trade(price, t.qty.to_f64(), t.taker);
                }
            }
            EventKind::Candle(c) if c.interval >= Interval::M1 => {
                let Some(ohlc) = &c.ohlc else { return };
                let (price, oi) = (ohlc.open.to_f64(), self.oi.unwrap_or(f32::NAN));
                let fresh = || Kept { traded: false, ..Kept::new(event.ts, price, oi) };
                if let Some(kept) = self.at(event.ts, fresh) {
                    kept.candle(c, ohlc);
                }
            }
            EventKind::OpenInterest(qty) => {
                let oi = qty.to_f64() as f32;
                self.oi = Some(oi);
                if let Some(kept) = self.kept.back_mut().filter(|k| k.end() > event.ts) {
                    kept.oi = oi;
                }
            }
            _ => {}
        }
    }

    /// The minute that starts then, made if there is none.
    fn at(&mut self, start: i64, fresh: impl FnOnce() -> Kept) -> Option<&mut Kept> {
        let place = match self.kept.back() {
            Some(last) if last.start == start => self.kept.len() - 1,
            Some(last) if last.start > start => {
                let place = self.kept.partition_point(|k| k.start < start);
                if self.kept.get(place).is_none_or(|k| k.start != start) {
                    self.kept.insert(place, fresh());
                }
                place
            }
            _ => {
                // By the day: doubled, a week would take the room of two, and every venue of every asset keeps one.
                if self.kept.len() == self.kept.capacity() {
                    self.kept.reserve_exact(DAY);
                }
                self.kept.push_back(fresh());
                self.kept.len() - 1
            }
        };
        if self.kept.len() > KEPT {
            self.kept.pop_front();
            return self.kept.get_mut(place.checked_sub(1)?);
        }
        self.kept.get_mut(place)
    }
}

/// One venue's columns by another map's rule.
#[derive(Debug, Clone)]
pub struct PresetLane {
    map: PresetMap,
    bins: Arc<BinTable>,
    ladder: Ladder,
    /// The running column as last made, with the count of changes then.
    live: Option<(u64, Arc<Column>)>,
}

impl PresetLane {
    /// The rule's history from the minutes that are kept, up to the start of the running column (UTC ms).
    pub fn build(
        preset: Preset,
        bins: &Arc<BinTable>,
        minutes: &Minutes,
        until: i64,
        (venue, asset): (Venue, Asset),
    ) -> Self {
        let mut lane = Self {
            map: PresetMap::new(preset, Arc::clone(bins)),
            bins: Arc::clone(bins),
            ladder: Ladder::default(),
            live: None,
        };
        let mut bar: Option<Bar> = None;
        for kept in minutes.kept.iter().take_while(|k| k.end() <= until) {
            for (ts, kind) in kept.events(preset).unwrap_or_default() {
                lane.map.apply(&MarketEvent { venue, asset, ts, recv: None, kind });
            }
            let end = kept.end();
            lane.map.advance(end);
            let next = kept.bar();
            match &mut bar {
                Some(bar) => bar.append(&next),
                None => bar = Some(next),
            }
            let wanted = if until - end < FINE { Interval::M1 } else { Interval::M5 };
            let wanted = wanted.max(kept.interval);
            let interval =
                History::INTERVALS.into_iter().rev().find(|i| *i <= wanted).unwrap_or(Interval::M1);
            if end % interval.ms() == 0 {
                let (mark, start) = (f64::from(kept.close), end - interval.ms());
                let column = Column {
                    start,
                    interval,
                    mark,
                    mark_bin: lane.bins.bin(mark).unwrap_or(0),
                    oi: f64::from(kept.oi).max(0.0),
                    coverage: 1.0,
                    uncertainty: Uncertainty::default(),
                    levels: Default::default(),
                    factors: Default::default(),
                    swept: Default::default(),
                    printed: Default::default(),
                    bar: bar.take(),
                    gap: false,
                    reconstructed: false,
                };
                lane.push(column);
            }
        }
        lane
    }

    /// Takes in one event.
    pub fn apply(&mut self, event: &MarketEvent) {
        self.map.apply(event);
    }

    /// Closes the column that goes with one of ours.
    pub fn close(&mut self, ours: &Column) {
        self.map.advance(ours.end());
        self.push(ours.clone());
    }

    fn push(&mut self, mut column: Column) {
        column.levels = self.levels();
        column.factors = Default::default();
        self.ladder.push(column);
    }

    /// The map now. A rule knows no tiers of ours: all is in one.
    fn levels(&self) -> [Packed; TIERS] {
        let [(low, longs), (high, shorts)] = Side::BOTH.map(|side| self.map.levels(side));
        let (first, end) = match (longs.is_empty(), shorts.is_empty()) {
            (true, true) => return Default::default(),
            (false, true) => (low, low + longs.len() as i32),
            (true, false) => (high, high + shorts.len() as i32),
            (false, false) => (low.min(high), (low + longs.len() as i32).max(high + shorts.len() as i32)),
        };
        let mut usd = vec![0.0; (end - first) as usize];
        for (from, values) in [(low, longs), (high, shorts)] {
            if !values.is_empty() {
                let slots = &mut usd[(from - first) as usize..];
                slots.iter_mut().zip(values).for_each(|(slot, value)| *slot += value);
            }
        }
        let mut levels: [Packed; TIERS] = Default::default();
        levels[Tier::Low.index()] = Packed::new(first, &usd, FLOOR);
        levels
    }

    /// The picture of it, beside ours; `changes` counts what may have changed the running column.
    pub fn view(&mut self, ours: Option<&Arc<Column>>, changes: u64) -> PresetView {
        let is_new = |(at, column): &(u64, Arc<Column>)| {
            *at != changes || ours.is_some_and(|ours| ours.start != column.start)
        };
        if self.live.as_ref().is_none_or(is_new) {
            self.live = ours.map(|ours| {
                let column =
                    Column { levels: self.levels(), factors: Default::default(), ..Column::clone(ours) };
                (changes, Arc::new(column))
            });
        }
        PresetView {
            preset: self.map.preset(),
            history: Arc::clone(&self.ladder.history),
            live: self.live.as_ref().map(|(_, column)| Arc::clone(column)),
        }
    }

    /// Whose rule it is.
    pub fn preset(&self) -> Preset {
        self.map.preset()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: (&str, &str) = ("binance", "BTC");

    fn event(ts: i64, kind: EventKind) -> MarketEvent {
        MarketEvent { venue: PLACE.0.parse().unwrap(), asset: PLACE.1.parse().unwrap(), ts, recv: None, kind }
    }

    fn price(value: f64) -> Price {
        Price::from_f64(value).unwrap()
    }

    fn qty(value: f64) -> Qty {
        Qty::from_f64(value).unwrap()
    }

    /// A minute of a market that swings and grows: its bar and its open interest.
    fn minute(i: i64) -> [MarketEvent; 2] {
        let at = |i: i64| 65_000.0 * (1.0 + 0.01 * libm::sin(i as f64 / 40.0));
        let (open, close) = (at(i), at(i + 1));
        let ohlc = Ohlc {
            open: price(open),
            high: price(open.max(close) + 5.0),
            low: price(open.min(close) - 5.0),
            close: price(close),
        };
        let candle = Candle {
            interval: Interval::M1,
            ohlc: Some(ohlc),
            volume: Some(qty(50.0 + (i % 7) as f64)),
            taker_buy: Some(qty(20.0 + (i % 5) as f64)),
        };
        let oi = qty(80_000.0 + 3.0 * i as f64 + 40.0 * ((i % 11) - 5) as f64);
        [
            event(i * MINUTE, EventKind::Candle(candle)),
            event((i + 1) * MINUTE - 1, EventKind::OpenInterest(oi)),
        ]
    }

    fn built(preset: Preset, minutes: &Minutes, until: i64) -> PresetLane {
        let place = (PLACE.0.parse().unwrap(), PLACE.1.parse().unwrap());
        PresetLane::build(preset, &Arc::new(BinTable::new(5.0)), minutes, until * MINUTE, place)
    }

    fn total(lane: &PresetLane) -> f64 {
        lane.levels().iter().map(Packed::sum).sum()
    }

    #[test]
    fn single_trades_count_one_by_one_where_they_are_known() {
        let trade = |ts: i64, coins: f64| {
            let taker = TakerSide::Buy;
            event(
                ts,
                EventKind::Trade(Trade {
                    price: price(65_000.0),
                    qty: qty(coins),
                    taker,
                    id: None,
                    parties: None,
                }),
            )
        };
        let map = |coins: f64| {
            let mut minutes = Minutes::default();
            minutes.apply(&event(0, EventKind::OpenInterest(qty(1_000.0))));
            (0..1_200).for_each(|i| minutes.apply(&trade(i * 1_000, coins)));
            total(&built(Preset::LargeTrades, &minutes, 20))
        };
        assert_eq!(map(1.0), 0.0, "65 thousand each, 78 million together");
        assert!(map(2.0) > 0.0);
    }

    /// Coins times price by bin, from one end.
    fn cumulative(lane: &PresetLane) -> std::collections::BTreeMap<i32, f64> {
        let mut sums = std::collections::BTreeMap::new();
        for (bin, len, usd) in lane.levels().iter().flat_map(|packed| packed.spans().collect::<Vec<_>>()) {
            (bin..bin + len).for_each(|bin| *sums.entry(bin).or_insert(0.0) += usd);
        }
        let mut sum = 0.0;
        for usd in sums.values_mut() {
            sum += *usd;
            *usd = sum;
        }
        sums
    }

    #[test]
    fn a_map_chosen_late_is_the_map_that_ran_all_along() {
        const COUNT: i64 = 600;
        // The other two place nothing in a market without large trades and bursts.
        let quiet = [Preset::LargeTrades, Preset::VolumeBursts];
        for preset in Preset::ALL.iter().copied().filter(|p| !quiet.contains(p)) {
            let mut running = built(preset, &Minutes::default(), 0);
            let mut minutes = Minutes::default();
            for event in (0..COUNT).flat_map(minute) {
                minutes.apply(&event);
                running.apply(&event);
            }
            running.map.advance(COUNT * MINUTE);
            let late = built(preset, &minutes, COUNT);
            let (a, b) = (cumulative(&running), cumulative(&late));
            let all = total(&running);
            assert!(all > 1e6, "{preset}: {all}");
            // Minutes are kept in single precision, which may move an amount into the next bin: below any bin the sums agree to half a
            // percent of all, and to a part in ten thousand over all.
            assert!((total(&late) / all - 1.0).abs() < 1e-4, "{preset}: {} {all}", total(&late));
            for (bin, usd) in &a {
                let there = b.range(..=bin).next_back().map_or(0.0, |(_, usd)| *usd);
                assert!((there - usd).abs() < 0.005 * all, "{preset} at {bin}: {usd} {there} of {all}");
            }
        }
    }

    #[test]
    fn a_week_is_kept_and_late_bars_find_their_place() {
        let mut minutes = Minutes::default();
        (0..KEPT as i64 + 50).filter(|i| *i != 5_000).flat_map(minute).for_each(|e| minutes.apply(&e));
        assert_eq!((minutes.kept.len(), minutes.kept[0].start), (KEPT, 49 * MINUTE));
        minutes.apply(&minute(5_000)[0]);
        assert_eq!((minutes.kept.len(), minutes.kept[0].start), (KEPT, 50 * MINUTE));
        assert!(minutes.kept.iter().is_sorted_by(|a, b| a.start < b.start));
        // What is older than all that is kept falls out at once.
        minutes.apply(&minute(3)[0]);
        assert_eq!((minutes.kept.len(), minutes.kept[0].start), (KEPT, 50 * MINUTE));
        assert!(KEPT * size_of::<Kept>() < 600_000);
    }
}
