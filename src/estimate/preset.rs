//! Published rules of other heatmaps, to compare with: each a few lines over one frame of bars, path and bins.
//!
//! None of them learns, and each is told as its makers describe it or as its open source reads (`estimator.md` §1; the table is
//! in docs/MODEL.md). All amounts are base coin inside and USD where they are read out.

mod frame;
mod placed;
mod rules;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::market::{EventKind, MarketEvent, Side};

use super::bins::BinTable;
use frame::Frame;
use placed::Placed;
use rules::Rule;

/// A published rule, named by what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Preset {
    /// The same in every bin on the live side of the mark: a map that says nothing
    Uniform,
    /// Open interest now, at fixed leverages around the mark
    OiStatic,
    /// Growth of open interest, all to the side of the candle's colour
    OiCandle,
    /// Growth of open interest, split by who took liquidity
    OiTaker,
    /// All volume by who took liquidity, at five leverages alike, fading
    VolumeUniform,
    /// Trades of 100,000 USD and more, at four leverages in full
    LargeTrades,
    /// Lines at three leverages from bars of unusual volume
    VolumeBursts,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Uniform,
        Self::OiStatic,
        Self::OiCandle,
        Self::OiTaker,
        Self::VolumeUniform,
        Self::LargeTrades,
        Self::VolumeBursts,
    ];

    /// The name in configuration and output: `oi_candle`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::OiStatic => "oi_static",
            Self::OiCandle => "oi_candle",
            Self::OiTaker => "oi_taker",
            Self::VolumeUniform => "volume_uniform",
            Self::LargeTrades => "large_trades",
            Self::VolumeBursts => "volume_bursts",
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a text names no preset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown preset {0:?}: use uniform, oi_static, oi_candle, oi_taker, volume_uniform, large_trades or volume_bursts"
)]
pub struct PresetError(String);

impl FromStr for Preset {
    type Err = PresetError;

    fn from_str(text: &str) -> Result<Self, PresetError> {
        Self::ALL
            .into_iter()
            .find(|p| p.name() == text)
            .ok_or_else(|| PresetError(text.chars().take(20).filter(|c| !c.is_control()).collect()))
    }
}

/// One venue's map by a preset.
///
/// Fed with the events the estimator gets, in the same order. A level the path touches is consumed, whole and at once.
#[derive(Debug, Clone)]
pub struct PresetMap {
    preset: Preset,
    bins: Arc<BinTable>,
    frame: Frame,
    rule: Rule,
    placed: Placed,
    swept: [f64; 2],
}

impl PresetMap {
    /// An empty map.
    pub fn new(preset: Preset, bins: Arc<BinTable>) -> Self {
        let rule = Rule::new(preset);
        Self {
            preset,
            frame: Frame::new(rule.interval()),
            rule,
            placed: Placed::default(),
            bins,
            swept: [0.0; 2],
        }
    }

    /// Whose rule it is.
    pub fn preset(&self) -> Preset {
        self.preset
    }

    /// Takes in one event.
    pub fn apply(&mut self, event: &MarketEvent) {
        match &event.kind {
            EventKind::Trade(trade) => {
                self.advance(event.ts);
                let (price, qty) = (trade.price.to_f64(), trade.qty.to_f64());
                if self.frame.trades_tell_path(event.ts) {
                    self.walk(price);
                }
                self.frame.trade(event.ts, price, qty, trade.taker);
                self.rule.trade(price, qty, trade.taker, &self.bins, &mut self.placed);
            }
            EventKind::Mark(mark) => {
                self.advance(event.ts);
                if self.frame.mark_tells_path(event.ts) {
                    self.walk(mark.price.to_f64());
                }
            }
            EventKind::OpenInterest(qty) => {
                self.advance(event.ts);
                self.frame.set_oi(qty.to_f64());
            }
            EventKind::Candle(candle) => {
                self.advance(event.known_at());
                if let Some(bar) = self.frame.candle(event.ts, candle) {
                    self.sweep_bar(bar.open, bar.high, bar.low, bar.close);
                }
            }
            _ => {}
        }
    }

    /// Lets time pass up to `now`, UTC ms: bars that have ended by then are settled.
    pub fn advance(&mut self, now: i64) {
        if let Some(bar) = self.frame.close(now) {
            let price = self.frame.price().unwrap_or(bar.close);
            self.rule.close(&bar, price, &self.bins, &mut self.placed);
        }
    }

    /// Base coin of levels the path consumed since this was last asked, longs then shorts.
    pub fn take_swept(&mut self) -> [f64; 2] {
        std::mem::take(&mut self.swept)
    }

    /// The map of one side now: its first bin and the USD in each bin from there on; nothing before the first price.
    /// Only the live side of the path: at or below it for longs, at or above it for shorts.
    pub fn levels(&self, side: Side) -> (i32, Vec<f64>) {
        let Some((_, path)) = self.frame.path() else { return (0, Vec::new()) };
        let live = if side == Side::Long { i32::MIN..path + 1 } else { path..i32::MAX };
        if let Some((coins, reach)) = self.rule.everywhere(self.frame.oi(), &self.bins) {
            let [below, above] = reach;
            let first = if side == Side::Long { path - below } else { path }.max(0);
            let last = if side == Side::Long { path } else { path + above }.min(self.bins.len() - 1);
            return (first, (first..=last).map(|bin| coins * self.bins.mid(bin)).collect());
        }
        self.placed.read(side.index(), live, |bin, coins| coins * self.bins.mid(bin))
    }

    /// Moves the path to a price and consumes what it touches.
    fn walk(&mut self, price: f64) {
        let Some((from, from_bin)) = self.frame.path() else {
            self.frame.set_path(price, &self.bins);
            return;
        };
        if price == from {
            return;
        }
        let Some(bin) = self.frame.set_path(price, &self.bins) else { return };
        if price < from {
            self.consume(0, (bin, from_bin), (price, from));
        } else {
            self.consume(1, (from_bin, bin), (from, price));
        }
    }

    /// The path of a bar: open → low → high → close if it closed up, else open → high → low → close, without the way back
    /// from the second extreme: what lies there was consumed on the way out.
    fn sweep_bar(&mut self, open: f64, high: f64, low: f64, close: f64) {
        let (top, bottom) = if close >= open { (open, low) } else { (high, open) };
        let bin = |price| self.bins.bin(price);
        let (Some(low_bin), Some(top_bin), Some(bottom_bin), Some(high_bin)) =
            (bin(low), bin(top), bin(bottom), bin(high))
        else {
            return;
        };
        self.consume(0, (low_bin, top_bin), (low, top));
        self.consume(1, (bottom_bin, high_bin), (bottom, high));
        self.frame.set_path(close, &self.bins);
    }

    /// Consumes one side's levels in these bins; what lies behind them was passed unseen and is gone.
    fn consume(&mut self, side: usize, bins: (i32, i32), prices: (f64, f64)) {
        self.swept[side] += match self.rule.everywhere(self.frame.oi(), &self.bins) {
            Some((coins, _)) => coins * libm::log(prices.1 / prices.0) / self.bins.log_step(),
            None => self.placed.consume(side, bins),
        };
    }
}
