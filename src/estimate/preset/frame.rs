//! What every rule stands on: the path, and bars made of trades or candles.

use crate::estimate::bins::BinTable;
use crate::estimate::grid::Bar;
use crate::market::{Candle, Price, Qty, TakerSide};

/// Marks farther apart than this (ms) do not tell the path.
const DENSE_MARKS: i64 = 5_000;

/// A finished bar, as the rules see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Closed {
    /// First price, USD per coin.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Base coin bought and sold by takers.
    pub taken: [f64; 2],
    /// The part of it that came as candles.
    pub in_candles: [f64; 2],
    /// Open interest at the end, base coin.
    pub oi: f64,
    /// Its change since the bar before, base coin.
    pub change: f64,
    /// ms since the end of the bar before, or the bar's own length.
    pub ms: i64,
}

impl Closed {
    /// The usual one price for a bar.
    pub fn typical(&self) -> f64 {
        (self.high + self.low + self.close) / 3.0
    }

    /// Base coin traded.
    pub fn volume(&self) -> f64 {
        self.taken[0] + self.taken[1]
    }
}

#[derive(Debug, Clone, Copy)]
struct Running {
    start: i64,
    end: i64,
    prices: Bar,
    taken: [f64; 2],
    in_candles: [f64; 2],
}

/// The path and the running bar.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// Length of a bar, ms; a longer candle is a bar of its own.
    interval: i64,
    path: Option<(f64, i32)>,
    last_mark: Option<i64>,
    last_dense_mark: Option<i64>,
    last_trade: Option<i64>,
    bar: Option<Running>,
    last_end: Option<i64>,
    oi: Option<f64>,
    settled: Option<f64>,
}

impl Frame {
    pub fn new(interval: i64) -> Self {
        Self {
            interval,
            path: None,
            last_mark: None,
            last_dense_mark: None,
            last_trade: None,
            bar: None,
            last_end: None,
            oi: None,
            settled: None,
        }
    }

    /// Price (USD per coin) and bin of the path.
    pub fn path(&self) -> Option<(f64, i32)> {
        self.path
    }

    pub fn price(&self) -> Option<f64> {
        self.path.map(|(price, _)| price)
    }

    /// Sets the path and tells its bin; a price outside the table changes nothing.
    pub fn set_path(&mut self, price: f64, bins: &BinTable) -> Option<i32> {
        let bin = match self.path {
            // Most prices lie where the last one did.
            Some((_, bin)) if bins.edge(bin) <= price && price < bins.edge(bin + 1) => bin,
            _ => bins.bin(price)?,
        };
        self.path = Some((price, bin));
        Some(bin)
    }

    /// Open interest, base coin; nothing before the first reading.
    pub fn oi(&self) -> f64 {
        self.oi.unwrap_or(0.0)
    }

    pub fn set_oi(&mut self, oi: f64) {
        self.oi = Some(oi);
        self.settled.get_or_insert(oi);
    }

    pub fn trades_tell_path(&self, ts: i64) -> bool {
        self.last_dense_mark.is_none_or(|at| ts - at > DENSE_MARKS)
    }

    /// Notes a mark; whether it tells the path, or at least where it starts.
    pub fn mark_tells_path(&mut self, ts: i64) -> bool {
        let dense = self.last_mark.replace(ts).is_some_and(|at| ts - at <= DENSE_MARKS);
        if dense {
            self.last_dense_mark = Some(ts);
        }
        dense || self.path.is_none()
    }

    pub fn trade(&mut self, ts: i64, price: f64, qty: f64, taker: TakerSide) {
        self.last_trade = Some(ts);
        let taken = if taker == TakerSide::Buy { [qty, 0.0] } else { [0.0, qty] };
        let prices = Bar { open: price, high: price, low: price, close: price, volume: qty };
        self.add(ts, self.interval, &prices, taken, [0.0; 2]);
    }

    /// Takes in a candle, unless trades have told its time already; its prices where no dense marks told the path.
    pub fn candle(&mut self, ts: i64, candle: &Candle) -> Option<Bar> {
        let ohlc = candle.ohlc?;
        if self.last_trade.is_some_and(|at| at >= ts) {
            return None;
        }
        let volume = candle.volume.map_or(0.0, Qty::to_f64);
        let [open, high, low, close] = [ohlc.open, ohlc.high, ohlc.low, ohlc.close].map(Price::to_f64);
        // Where nobody says who took liquidity, the bar's direction tells a little.
        let guess = || volume * (0.5 + 5.0 * (close / open - 1.0)).clamp(0.1, 0.9);
        let bought = candle.taker_buy.map_or_else(guess, Qty::to_f64);
        let taken = [bought, (volume - bought).max(0.0)];
        let bar = Bar { open, high, low, close, volume };
        self.add(ts, candle.interval.ms().max(self.interval), &bar, taken, taken);
        self.last_dense_mark.is_none_or(|at| at < ts).then_some(bar)
    }

    fn add(&mut self, ts: i64, length: i64, prices: &Bar, taken: [f64; 2], in_candles: [f64; 2]) {
        match &mut self.bar {
            Some(bar) if (bar.start..bar.end).contains(&ts) => {
                bar.prices.append(prices);
                for side in 0..2 {
                    bar.taken[side] += taken[side];
                    bar.in_candles[side] += in_candles[side];
                }
            }
            // What comes late is of a bar that is settled.
            Some(bar) if ts < bar.start => {}
            _ => {
                let start = ts.div_euclid(length) * length;
                let end = start + length;
                self.bar = Some(Running { start, end, prices: *prices, taken, in_candles });
            }
        }
    }

    /// The running bar, if it has ended by `now` (UTC ms).
    pub fn close(&mut self, now: i64) -> Option<Closed> {
        let Running { start, end, prices, taken, in_candles } = self.bar.take_if(|bar| bar.end <= now)?;
        let oi = self.oi();
        let before = std::mem::replace(&mut self.settled, self.oi).unwrap_or(oi);
        let since = self.last_end.replace(end).unwrap_or(start);
        let Bar { open, high, low, close, .. } = prices;
        Some(Closed { open, high, low, close, taken, in_candles, oi, change: oi - before, ms: end - since })
    }
}
