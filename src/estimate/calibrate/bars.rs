//! Learning where only totals of bars are known: what was liquidated is shared out over all that the bar swept.
//!
//! Price travelling far liquidates much whatever the map says, so three backgrounds that know nothing but the range stand beside
//! every map. The same layer calibrates ours and every rival's (`estimator.md` §5.3).

use serde::{Deserialize, Serialize};

use crate::estimate::components::Components;
use crate::estimate::grid::Bar;
use crate::market::Side;

use super::weights::{GammaPoisson, Source};

/// Backgrounds beside every map.
pub const BACKGROUNDS: usize = 3;
/// Prior of each.
pub const BACKGROUND: Source = Source::new(0.02, 1.0);
/// Prior of a map that is not ours, one source for all its mass.
pub const MAP: Source = Source::new(0.05, 2.0);
/// Half-life of the evidence, ms: 45 days.
const HALF_LIFE: f64 = 45.0 * 86_400_000.0;
/// A total counts at most this many usual sizes, or forecasts.
const MOST: f64 = 30.0;
/// The usual size before anything was seen, share of open interest.
const FIRST_SIZE: f64 = 1e-5;
/// Totals after which the usual size follows slowly.
const SETTLED: u32 = 100;

/// What the range alone exposes, by side: path × open interest, path² × open interest, path × volume, base coin.
///
/// A bar that closed up is taken to have gone open → low → high, any other open → high → low; the first side to be swept is
/// swept from the open.
pub fn backgrounds(bar: &Bar, oi: f64) -> [[f64; BACKGROUNDS]; 2] {
    path(bar).map(|d| [oi * d, oi * d * d * 50.0, bar.volume * d])
}

/// How far the bar swept longs (down) and shorts (up), natural logarithms.
pub fn path(bar: &Bar) -> [f64; 2] {
    let log = |high: f64, low: f64| libm::log(high / low).max(0.0);
    if bar.close >= bar.open {
        [log(bar.open, bar.low), log(bar.high, bar.low)]
    } else {
        [log(bar.high, bar.low), log(bar.high, bar.open)]
    }
}

/// Weights that follow totals of bars.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BarModel {
    /// The weights.
    pub weights: GammaPoisson,
    size: Size,
}

impl BarModel {
    /// Maps of one source each, and the backgrounds after them; without maps, the range alone.
    pub fn new(maps: usize) -> Self {
        let sources = [vec![MAP; maps], vec![BACKGROUND; BACKGROUNDS]].concat();
        Self { weights: GammaPoisson::new(&sources), size: Size::default() }
    }

    /// The estimator's slots, each a source of its own, and the backgrounds after them.
    pub fn of_components(components: &Components) -> Self {
        let weights = GammaPoisson::of_components(components, &[BACKGROUND; BACKGROUNDS]);
        Self { weights, size: Size::default() }
    }

    /// What is expected to be liquidated, by side, when these masses (maps, then backgrounds) are swept, base coin.
    pub fn forecast(&self, masses: &[Vec<f64>; 2]) -> [f64; 2] {
        Side::BOTH.map(|s| self.weights.forecast(s.index(), &masses[s.index()]))
    }

    /// Learns from a bar of so many ms, its totals by side, and open interest then, base coin.
    pub fn learn(&mut self, masses: &[Vec<f64>; 2], totals: [f64; 2], oi: f64, ms: i64) {
        for (side, total) in totals.into_iter().enumerate() {
            let size = self.size.follow(total, oi);
            let most = MOST * size.max(self.weights.forecast(side, &masses[side]));
            self.weights.learn(side, &masses[side], total, size, most);
        }
        self.weights.refresh();
        self.fade(ms);
    }

    /// Time passes without a total.
    pub fn fade(&mut self, ms: i64) {
        self.weights.fade(libm::exp2(-(ms as f64) / HALF_LIFE));
    }
}

/// The usual size of a total, base coin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Size {
    mean: Option<f64>,
    seen: u32,
}

impl Size {
    /// Takes in one more and says the size now.
    fn follow(&mut self, total: f64, oi: f64) -> f64 {
        let mean = self.mean.get_or_insert((FIRST_SIZE * oi).max(f64::MIN_POSITIVE));
        self.seen += 1;
        if self.seen < SETTLED {
            *mean += (total - *mean) / f64::from(self.seen + 20);
        } else {
            *mean += 0.01 * (total.min(MOST * *mean) - *mean);
        }
        *mean
    }
}
