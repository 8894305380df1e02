//! The rules, a few lines each.

use std::collections::VecDeque;

use crate::estimate::bins::BinTable;
use crate::market::TakerSide;

use super::Preset;
use super::frame::Closed;
use super::placed::Placed;

const HOUR: i64 = 3_600_000;
/// Background of a map that says nothing, share of open interest in 5 bp: what the estimator's own background weighs.
const EVERYWHERE: f64 = 1e-4;
/// How far it reaches, share of price.
const REACH: [f64; 2] = [0.4, 1.6];
/// A large trade, USD.
const LARGE: f64 = 100_000.0;
/// Bars whose mean volume a burst is measured against.
const BURST_BARS: usize = 13;
/// A burst of one, two and three shares, in means of volume.
const BURSTS: [f64; 3] = [1.7, 2.7, 3.7];
/// A bar must reach this share of its open beyond it for a burst to count, and this share counts by itself.
const EXTENT: (f64, f64) = (1.0 / 333.0, 0.1);
/// Lines kept at most.
const LINES: usize = 500;
/// What one share of a burst is taken for, share of open interest: the rule itself draws lines without amounts.
const LINE: f64 = 1e-3;

/// Leverages and their shares, and the maintenance rate.
struct Ladder(&'static [(f64, f64)], f64);

const STATIC: Ladder = Ladder(&[(5.0, 0.20), (10.0, 0.35), (20.0, 0.30), (50.0, 0.15)], 0.005);
/// Entries around the mark that open interest is spread over, and their shares.
const STATIC_ENTRIES: [(f64, f64); 7] =
    [(-0.03, 0.08), (-0.02, 0.12), (-0.01, 0.18), (0.0, 0.24), (0.01, 0.18), (0.02, 0.12), (0.03, 0.08)];
const CANDLE: Ladder = Ladder(&[(5.0, 0.15), (10.0, 0.30), (25.0, 0.25), (50.0, 0.20), (100.0, 0.10)], 0.004);
const TAKER: Ladder = Ladder(&[(10.0, 0.25), (25.0, 0.25), (50.0, 0.25), (100.0, 0.25)], 0.004);
const VOLUME: Ladder = Ladder(&[(5.0, 0.2), (10.0, 0.2), (25.0, 0.2), (50.0, 0.2), (100.0, 0.2)], 0.005);
const TRADES: Ladder = Ladder(&[(100.0, 1.0), (50.0, 1.0), (25.0, 1.0), (10.0, 1.0)], 0.0);
const BURST_LEVERAGES: [f64; 3] = [25.0, 50.0, 100.0];

impl Ladder {
    /// Places longs and shorts (base coin) entered at a price.
    fn place(&self, entry: f64, coins: [f64; 2], bins: &BinTable, placed: &mut Placed) {
        let Self(rungs, rate) = self;
        for (leverage, share) in *rungs {
            let distance = 1.0 / leverage - rate;
            placed.add(0, bins.bin(entry * (1.0 - distance)), coins[0] * share);
            placed.add(1, bins.bin(entry * (1.0 + distance)), coins[1] * share);
        }
    }
}

/// A preset and what it remembers beside its levels.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    preset: Preset,
    volumes: VecDeque<f64>,
    bars: usize,
    /// Side, bin and coins of the lines drawn, oldest first.
    lines: VecDeque<(usize, i32, f64)>,
}

impl Rule {
    pub fn new(preset: Preset) -> Self {
        Self { preset, volumes: VecDeque::new(), bars: 0, lines: VecDeque::new() }
    }

    /// Length of the bars the rule works on, ms, where they are made of trades or of shorter candles.
    pub fn interval(&self) -> i64 {
        match self.preset {
            Preset::Uniform | Preset::OiStatic => HOUR,
            Preset::OiCandle | Preset::OiTaker | Preset::LargeTrades => HOUR / 4,
            Preset::VolumeBursts => HOUR / 12,
            Preset::VolumeUniform => HOUR / 60,
        }
    }

    /// Base coin in every bin, and how many bins below and above the path, of a map that is the same everywhere.
    pub fn everywhere(&self, oi: f64, bins: &BinTable) -> Option<(f64, [i32; 2])> {
        (self.preset == Preset::Uniform).then(|| {
            let reach = REACH.map(|factor| (libm::log(factor) / bins.log_step()).abs() as i32);
            (EVERYWHERE * bins.bp() / 5.0 * oi, reach)
        })
    }

    /// A trade at a price (USD per coin), of so many coins.
    pub fn trade(&mut self, price: f64, qty: f64, taker: TakerSide, bins: &BinTable, placed: &mut Placed) {
        if self.preset == Preset::LargeTrades && price * qty >= LARGE {
            let coins = if taker == TakerSide::Buy { [qty, 0.0] } else { [0.0, qty] };
            TRADES.place(price, coins, bins, placed);
        }
    }

    /// A bar has ended; `price` is where the path is now.
    pub fn close(&mut self, bar: &Closed, price: f64, bins: &BinTable, placed: &mut Placed) {
        let halved = |hours: f64| libm::exp2(-(bar.ms as f64) / (hours * HOUR as f64));
        match self.preset {
            Preset::Uniform => {}
            // Anew from what is open now, half of it on each side.
            Preset::OiStatic => {
                placed.clear();
                for (offset, share) in STATIC_ENTRIES {
                    STATIC.place(price * (1.0 + offset), [0.5 * bar.oi * share; 2], bins, placed);
                }
                // Entries beyond the mark would be liquidated already.
                if let Some(bin) = bins.bin(price) {
                    placed.consume(0, (bin + 1, i32::MAX));
                    placed.consume(1, (i32::MIN, bin - 1));
                }
            }
            Preset::OiCandle => {
                if bar.change > 0.0 {
                    let up = bar.close >= bar.open;
                    let coins = if up { [bar.change, 0.0] } else { [0.0, bar.change] };
                    CANDLE.place(bar.close, coins, bins, placed);
                } else {
                    let total = placed.total();
                    if bar.change < 0.0 && total > 0.0 {
                        placed.fade((1.0 + bar.change / total).max(0.0));
                    }
                }
            }
            Preset::OiTaker => {
                if bar.change > 0.0 {
                    let bought = if bar.volume() > 0.0 { bar.taken[0] / bar.volume() } else { 0.5 };
                    let coins = [bar.change * bought, bar.change * (1.0 - bought)];
                    TAKER.place(bar.typical(), coins, bins, placed);
                }
            }
            Preset::VolumeUniform => {
                placed.fade(halved(48.0));
                VOLUME.place(bar.typical(), bar.taken, bins, placed);
            }
            // Of candles no single trade is known: all of their volume counts.
            Preset::LargeTrades => {
                placed.fade(halved(24.0));
                TRADES.place(bar.typical(), bar.in_candles, bins, placed);
            }
            Preset::VolumeBursts => self.burst(bar, bins, placed),
        }
    }

    fn burst(&mut self, bar: &Closed, bins: &BinTable, placed: &mut Placed) {
        self.lines.retain(|&(side, bin, _)| placed.holds(side, bin));
        if self.volumes.len() == BURST_BARS {
            self.volumes.pop_front();
        }
        self.volumes.push_back(bar.volume());
        self.bars += 1;
        let mean = self.volumes.iter().sum::<f64>() / self.volumes.len() as f64;
        let shares = BURSTS.iter().filter(|&&times| bar.volume() > times * mean).count();
        let reached = ((bar.high - bar.open) / bar.open).max((bar.open - bar.low) / bar.open);
        if self.bars <= BURST_BARS || reached <= EXTENT.0 || (shares == 0 && reached < EXTENT.1) {
            return;
        }
        let coins = shares.max(1) as f64 * LINE * bar.oi;
        for leverage in BURST_LEVERAGES {
            let (below, above) = (bar.open * (1.0 - 1.0 / leverage), bar.open * (1.0 + 1.0 / leverage));
            for (side, price, beyond) in [(0, below, below < bar.low), (1, above, above > bar.high)] {
                if beyond && let Some(bin) = bins.bin(price) {
                    placed.add(side, Some(bin), coins);
                    self.lines.push_back((side, bin, coins));
                }
            }
        }
        while self.lines.len() > LINES {
            if let Some((side, bin, coins)) = self.lines.pop_front() {
                placed.remove(side, bin, coins);
            }
        }
    }
}
