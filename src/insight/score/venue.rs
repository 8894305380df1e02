//! One venue, window by window: what each map held when a window began, what the path swept of it, and what was liquidated.

use std::sync::Arc;

use crate::estimate::calibrate::bars;
use crate::estimate::{Bar, BinTable, Estimator, Preset, PresetMap};
use crate::market::{Candle, EventKind, Interval, MarketEvent, Price, Qty, Side, Venue};

use super::Kind;

/// Maps that are followed: ours, its mean profile by distance, and the presets.
pub const MAPS: usize = 2 + Preset::ALL.len();
/// Place of our map among them, and of its mean profile.
pub const OURS: usize = 0;
/// See [`OURS`].
pub const PROFILE: usize = 1;

/// What is known of one window, longs then shorts, base coin.
#[derive(Debug, Clone, PartialEq)]
pub struct Hour {
    /// Start, UTC ms.
    pub start: i64,
    /// Length, ms.
    pub ms: i64,
    /// Price at its end, USD per coin.
    pub close: f64,
    /// Open interest at its start.
    pub oi: f64,
    /// By map, what the path swept of it.
    pub swept: [[f64; 2]; MAPS],
    /// What the range alone exposes.
    pub backgrounds: [[f64; bars::BACKGROUNDS]; 2],
    /// What the prints sum up to.
    pub printed: [f64; 2],
    /// What a total of the bar says; `None` where there is none.
    pub total: Option<[f64; 2]>,
    /// What the estimator itself foretold, where it learns from totals of bars.
    pub forecast: Option<[f64; 2]>,
    /// Liquidations printed.
    pub prints: u32,
    /// Whether part of it was told by candles.
    pub in_candles: bool,
}

/// The bins one side of the path swept in a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Swept {
    /// Start of the window, UTC ms.
    pub start: i64,
    /// Which side.
    pub side: Side,
    /// By map and bin, the level when the window began, USD.
    pub levels: [Vec<f64>; MAPS],
    /// By bin, USD liquidated.
    pub usd: Vec<f64>,
    /// By bin, liquidations.
    pub prints: Vec<u32>,
}

/// A map of one side: first bin, USD by bin.
type SideMap = (i32, Vec<f64>);

fn at(map: &SideMap, bin: i32) -> f64 {
    usize::try_from(bin - map.0).ok().and_then(|i| map.1.get(i)).copied().unwrap_or(0.0)
}

/// A window under way.
#[derive(Debug, Clone)]
struct Window {
    start: i64,
    /// Where the path was, USD per coin.
    from: Option<f64>,
    oi: Option<f64>,
    /// Ours and the presets' as they were.
    maps: Option<Vec<[SideMap; 2]>>,
    bar: Option<Bar>,
    /// Side, bin and USD of what was printed.
    printed: Vec<(Side, i32, f64)>,
    coins: [f64; 2],
    total: Option<[f64; 2]>,
    in_candles: bool,
}

/// One venue of the market that is scored.
#[derive(Debug, Clone)]
pub struct VenueScore {
    venue: Venue,
    bins: Arc<BinTable>,
    estimator: Estimator,
    presets: Vec<PresetMap>,
    interval: Interval,
    window: Option<Window>,
    /// Where the path is, and when a tick last moved it.
    price: Option<f64>,
    last_tick: i64,
    last_trade: i64,
    profile: Profile,
    /// Windows that are over.
    pub hours: Vec<Hour>,
    /// Their bins, where single liquidations are known.
    pub swept: Vec<Swept>,
    /// Stretches with data missing, UTC ms.
    pub gaps: Vec<(i64, i64)>,
    /// Whether any liquidation was printed, and whether any total was.
    pub has_prints: bool,
    /// See `has_prints`.
    pub has_totals: bool,
}

impl VenueScore {
    /// An empty venue.
    pub fn new(venue: Venue, bins: &Arc<BinTable>) -> Self {
        Self {
            venue,
            estimator: Estimator::new(venue, Arc::clone(bins)),
            presets: Preset::ALL.map(|p| PresetMap::new(p, Arc::clone(bins))).into(),
            bins: Arc::clone(bins),
            interval: Interval::H1,
            window: None,
            price: None,
            last_tick: i64::MIN,
            last_trade: i64::MIN,
            profile: Profile::default(),
            hours: Vec::new(),
            swept: Vec::new(),
            gaps: Vec::new(),
            has_prints: false,
            has_totals: false,
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

    /// What was liquidated in one of its hours, base coin; `None` where that is not known.
    pub fn realised(&self, hour: &Hour, kind: Kind) -> Option<[f64; 2]> {
        let end = hour.start + hour.ms;
        if self.gaps.iter().any(|&(from, to)| from < end && to > hour.start) {
            return None;
        }
        match kind {
            Kind::Totals => hour.total,
            // Where there are trades, candles are history, and nobody printed what was liquidated then.
            Kind::Priced => Some(hour.printed).filter(|_| !hour.in_candles || self.last_trade == i64::MIN),
            Kind::Truth => None,
        }
    }

    /// Takes another venue's findings as the prior.
    pub fn adopt(&mut self, gains: &[Vec<f64>; 2]) {
        self.estimator.adopt(gains);
    }

    /// The map of a preset, by its place in `Preset::ALL`, as it is at a time (UTC ms): first bin and USD by bin.
    pub fn preset_levels(&mut self, preset: usize, now: i64, side: Side) -> (i32, Vec<f64>) {
        let Some(map) = self.presets.get_mut(preset) else { return (0, Vec::new()) };
        map.advance(now);
        map.levels(side)
    }

    /// Takes in a public position of this venue.
    pub fn apply_position(&mut self, event: &MarketEvent) {
        self.estimator.apply(event);
    }

    /// Takes in one event.
    pub fn apply(&mut self, event: &MarketEvent) {
        match &event.kind {
            EventKind::Book(_) => return,
            EventKind::Instrument(_) => return self.estimator.apply(event),
            EventKind::Gap(gap) => {
                if matches!(&*gap.stream, "liquidation" | "mark" | "trade") {
                    self.gaps.push((gap.from, gap.to));
                }
            }
            EventKind::LiquidationBar(bar) => self.set_interval(bar.interval),
            _ => {}
        }
        self.turn(event.known_at());
        self.estimator.apply(event);
        // The estimator closes an hour of prints with the first event after it.
        if let (Some(hour), Some(tally)) = (self.hours.last_mut(), self.estimator.tallies().last())
            && tally.start == hour.start
        {
            hour.forecast = Some(tally.predicted);
        }
        for preset in &mut self.presets {
            preset.apply(event);
        }
        let before = std::mem::replace(&mut self.price, self.estimator.price());
        let Some(window) = &mut self.window else { return };
        match &event.kind {
            EventKind::Candle(candle) => {
                if self.last_trade < event.ts {
                    window.add_candle(candle, self.last_tick < event.ts);
                }
            }
            EventKind::Liquidation(l) => {
                self.has_prints = true;
                let (price, qty) = (l.price.to_f64(), l.qty.to_f64());
                window.coins[l.position.index()] += qty;
                if let Some(bin) = self.price.and_then(|p| self.bins.bin(p)) {
                    window.printed.push((l.position, bin, price * qty));
                }
            }
            EventKind::LiquidationBar(bar) => {
                self.has_totals = true;
                window.total = Some([bar.long_qty, bar.short_qty].map(Qty::to_f64));
            }
            kind => {
                if let EventKind::Trade(trade) = kind {
                    self.last_trade = event.ts;
                    window.add_volume(trade.qty.to_f64(), self.price);
                }
                if before != self.price
                    && let Some(price) = self.price
                {
                    self.last_tick = event.ts;
                    window.add_price(before.unwrap_or(price), price);
                }
            }
        }
    }

    /// Totals of longer or shorter bars make windows as long as they are; what was gathered by hours is given up.
    fn set_interval(&mut self, interval: Interval) {
        if interval != self.interval && !self.has_totals {
            self.interval = interval;
            self.window = None;
            self.hours.clear();
            self.swept.clear();
        }
    }

    /// Lets time pass: ends the window that is over and begins the one that holds `now`, UTC ms.
    pub fn turn(&mut self, now: i64) {
        let start = self.interval.floor(now);
        if self.window.as_ref().is_some_and(|w| w.start >= start) {
            return;
        }
        if let Some(window) = self.window.take() {
            self.end(&window);
        }
        for preset in &mut self.presets {
            preset.advance(start);
            preset.take_swept();
        }
        self.estimator.take_activity();
        let maps = self.estimator.readout().map(|readout| {
            let ours = [0, 1].map(|side| {
                let levels = &readout.sides[side];
                (levels.span().start, levels.span().map(|bin| levels.level(bin)).collect())
            });
            let presets = self.presets.iter().map(|p| Side::BOTH.map(|side| p.levels(side)));
            std::iter::once(ours).chain(presets).collect()
        });
        self.window = Some(Window {
            start,
            from: self.price,
            oi: self.estimator.oi(),
            maps,
            bar: None,
            printed: Vec::new(),
            coins: [0.0; 2],
            total: None,
            in_candles: false,
        });
    }

    /// Takes down what became of a window.
    fn end(&mut self, window: &Window) {
        let activity = self.estimator.take_activity();
        let (Some(maps), Some(bar), Some(oi)) = (&window.maps, window.bar, window.oi) else { return };
        let from = window.from.unwrap_or(bar.open);
        let bins = &self.bins;
        let mut swept = [[0.0; 2]; MAPS];
        for (side, by_bin) in activity.swept.iter().enumerate() {
            swept[OURS][side] = by_bin.iter().map(|(bin, usd)| usd / bins.mid(*bin)).sum();
        }
        // The profile counts from where the window began to its extremes.
        let reach = [bar.low, bar.high].map(|p| (libm::log(p / from) / bins.log_step()).abs());
        let passed = [bar.low < from, bar.high > from];
        for side in 0..2 {
            if passed[side] {
                swept[PROFILE][side] = self.profile.within(side, reach[side]) / from;
            }
        }
        for (preset, slot) in self.presets.iter_mut().zip(&mut swept[2..]) {
            *slot = preset.take_swept();
        }
        self.hours.push(Hour {
            start: window.start,
            ms: self.interval.ms(),
            close: bar.close,
            oi,
            swept,
            backgrounds: bars::backgrounds(&bar, oi),
            printed: window.coins,
            total: window.total,
            forecast: self
                .estimator
                .tallies()
                .last()
                .filter(|t| t.start == window.start)
                .map(|t| t.predicted),
            prints: window.printed.len() as u32,
            in_candles: window.in_candles,
        });
        let start_bin = bins.bin(from);
        if let (Some(start), Some(low), Some(high)) = (start_bin, bins.bin(bar.low), bins.bin(bar.high)) {
            if !self.has_totals || self.has_prints {
                self.swept.extend(self.bins_swept(window, maps, Side::Long, (low, start - 1), start));
                self.swept.extend(self.bins_swept(window, maps, Side::Short, (start + 1, high), start));
            }
            self.profile.add(&maps[OURS], start);
        }
    }

    /// The bins from the first to the last that one side of the path went through.
    fn bins_swept(
        &self,
        window: &Window,
        maps: &[[SideMap; 2]],
        side: Side,
        (first, last): (i32, i32),
        start: i32,
    ) -> Option<Swept> {
        if first > last {
            return None;
        }
        let s = side.index();
        let read = |map: &[SideMap; 2]| (first..=last).map(|bin| at(&map[s], bin)).collect();
        let levels = std::array::from_fn(|map| match map {
            OURS => read(&maps[OURS]),
            PROFILE => (first..=last).map(|bin| self.profile.at(s, bin.abs_diff(start) as usize)).collect(),
            preset => read(&maps[preset - 1]),
        });
        let count = (last - first + 1) as usize;
        let mut swept =
            Swept { start: window.start, side, levels, usd: vec![0.0; count], prints: vec![0; count] };
        for (_, bin, usd) in window.printed.iter().filter(|(s, ..)| *s == side) {
            // A print comes a little after its level was crossed: one made on the way back belongs to the nearest bin.
            let place = ((*bin).clamp(first, last) - first) as usize;
            swept.usd[place] += usd;
            swept.prints[place] += 1;
        }
        Some(swept)
    }
}

impl Window {
    fn add_price(&mut self, from: f64, price: f64) {
        let bar = self.bar.get_or_insert(Bar { open: from, high: from, low: from, close: from, volume: 0.0 });
        bar.append(&Bar { open: price, high: price, low: price, close: price, volume: 0.0 });
    }

    fn add_volume(&mut self, volume: f64, price: Option<f64>) {
        if let Some(price) = price {
            self.add_price(price, price);
        }
        if let Some(bar) = &mut self.bar {
            bar.volume += volume;
        }
    }

    fn add_candle(&mut self, candle: &Candle, tells_path: bool) {
        let Some(ohlc) = candle.ohlc else { return };
        let volume = candle.volume.map_or(0.0, Qty::to_f64);
        self.in_candles |= volume > 0.0;
        if tells_path {
            let [open, high, low, close] = [ohlc.open, ohlc.high, ohlc.low, ohlc.close].map(Price::to_f64);
            let next = Bar { open, high, low, close, volume };
            match &mut self.bar {
                Some(bar) => bar.append(&next),
                None => self.bar = Some(next),
            }
        } else if let Some(bar) = &mut self.bar {
            bar.volume += volume;
        }
    }
}

/// The mean of our map by distance from the price, over the windows that are over.
#[derive(Debug, Clone, Default)]
struct Profile {
    /// By side, USD summed by distance in bins.
    sums: [Vec<f64>; 2],
    windows: f64,
}

impl Profile {
    fn add(&mut self, ours: &[SideMap; 2], start: i32) {
        self.windows += 1.0;
        for (side, (first, levels)) in ours.iter().enumerate() {
            for (i, usd) in levels.iter().enumerate() {
                let bin = first + i as i32;
                let distance = if side == 0 { start - bin } else { bin - start };
                let Ok(distance) = usize::try_from(distance) else { continue };
                let sums = &mut self.sums[side];
                if sums.len() <= distance {
                    sums.resize(distance + 1, 0.0);
                }
                sums[distance] += usd;
            }
        }
    }

    /// Mean USD so many bins away.
    fn at(&self, side: usize, distance: usize) -> f64 {
        self.sums[side].get(distance).map_or(0.0, |sum| sum / self.windows)
    }

    /// Mean USD within a distance, counted in bins from the price.
    fn within(&self, side: usize, reach: f64) -> f64 {
        let part = |(distance, sum): (usize, &f64)| sum * (reach - distance as f64).clamp(0.0, 1.0);
        let near = self.sums[side].iter().enumerate().take(reach.ceil() as usize).map(part);
        if self.windows > 0.0 { near.sum::<f64>() / self.windows } else { 0.0 }
    }
}
