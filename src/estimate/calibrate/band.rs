//! How far from the estimate what comes may lie: a band that should hold eight of ten.
//!
//! A level's variance has three parts (`estimator.md` §4): what is not known of the weights, the lumps liquidations come in, and what
//! the model gets wrong. The band is that of a Gamma distribution with this mean and variance, both ends moved out by a power the
//! venue's own history teaches: a little wider after each miss, a little narrower after each hit, so that it settles where four of
//! five hit (Gibbs and Candès, "Adaptive conformal inference under distribution shift", 2021).

use serde::{Deserialize, Serialize};

use crate::estimate::tiers::{TIERS, Tier};

/// Standard deviation of the model's own error, share of the level.
const MODEL_ERROR: f64 = 0.6;
/// How much of what comes the band should hold.
const NOMINAL: f64 = 0.8;
/// Step of the widening, by hour and side.
const STEP: f64 = 0.08;
/// Limits of the widening.
const WIDENING: [f64; 2] = [0.5, 8.0];
/// Beyond this relative variance the upper quantile of a Gamma distribution falls again, and the cube with it.
const LARGEST_VARIANCE: f64 = 3.7;
/// Memory of the real coverage, hours and sides.
const MEMORY: f64 = 200.0;
/// Observations below which no coverage is stated.
const FEWEST: f64 = 48.0;
/// The normal quantile of 90 %.
const Z: f64 = 1.281_551_565_545;

/// How well the bands have held on one venue.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Band {
    widening: f64,
    hits: f64,
    seen: f64,
}

impl Default for Band {
    fn default() -> Self {
        Self { widening: 1.0, hits: 0.0, seen: 0.0 }
    }
}

impl Band {
    /// Takes in what was foretold of a side's hour and what came, in the same unit; `lump` is the mean square over the mean of one
    /// liquidation.
    pub fn learn(&mut self, predicted: f64, realised: f64, lump: f64) {
        if predicted <= 0.0 {
            return;
        }
        let spread = MODEL_ERROR * predicted;
        let (low, high) = range(predicted, spread * spread + lump * predicted, self.widening);
        let hit = (low..=high).contains(&realised);
        let step = if hit { NOMINAL - 1.0 } else { NOMINAL };
        self.widening = (self.widening * libm::exp(STEP * step)).clamp(WIDENING[0], WIDENING[1]);
        let left = 1.0 - 1.0 / MEMORY;
        self.seen = self.seen * left + 1.0;
        self.hits = self.hits * left + f64::from(u8::from(hit));
    }

    /// The share of hours whose total lay in its band, of late; `None` while there are too few.
    pub fn coverage(&self) -> Option<f64> {
        (self.seen >= FEWEST).then(|| self.hits / self.seen)
    }
}

/// What it takes to put a band around a level.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Uncertainty {
    /// By tier: variance of the weights over their square.
    pub weights: [f32; TIERS],
    /// Mean square over mean of one liquidation, USD.
    pub lump: f32,
    /// The history's widening, a power on both ends' ratio to the middle.
    pub widening: f32,
}

impl Uncertainty {
    /// Joins what the venue's history says.
    pub fn new(weights: [f64; TIERS], lump: f64, band: &Band) -> Self {
        Self { weights: weights.map(|w| w as f32), lump: lump as f32, widening: band.widening as f32 }
    }

    /// Variance of a level of so many USD by tier, USD². What is known of public positions is no estimate.
    pub fn variance(&self, by_tier: &[f64; TIERS]) -> f64 {
        let part = |t: &Tier| (by_tier[t.index()], f64::from(self.weights[t.index()]));
        let usd: f64 = Tier::MODELLED.iter().map(|t| part(t).0).sum();
        let unknown: f64 = Tier::MODELLED.iter().map(part).map(|(usd, share)| usd * usd * share).sum();
        unknown + f64::from(self.lump) * usd + (MODEL_ERROR * usd).powi(2)
    }
}

/// The band around a level that several venues share.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spread {
    /// USD that is estimated, and USD that is known.
    modelled: f64,
    known: f64,
    variance: f64,
    /// Sum of widenings, weighted by USD.
    widening: f64,
}

impl Spread {
    /// Adds a venue's part, USD by tier.
    pub fn add(&mut self, by_tier: &[f64; TIERS], uncertainty: &Uncertainty) {
        let known = by_tier[Tier::Known.index()];
        let modelled = by_tier.iter().sum::<f64>() - known;
        self.known += known;
        self.modelled += modelled;
        self.variance += uncertainty.variance(by_tier);
        self.widening += modelled * f64::from(uncertainty.widening);
    }

    /// The band around two levels taken together.
    #[must_use]
    pub fn joined(&self, other: &Self) -> Self {
        Self {
            modelled: self.modelled + other.modelled,
            known: self.known + other.known,
            variance: self.variance + other.variance,
            widening: self.widening + other.widening,
        }
    }

    /// Where eight of ten should lie, USD.
    pub fn range(&self) -> (f64, f64) {
        if self.modelled <= 0.0 {
            return (self.known, self.known);
        }
        let (low, high) = range(self.modelled, self.variance, self.widening / self.modelled);
        (self.known + low, self.known + high)
    }
}

/// The 10 % and 90 % quantiles of a Gamma distribution with a mean and a variance, by Wilson and Hilferty's cube, and both moved out
/// from the mean by a power.
pub fn range(mean: f64, variance: f64, widening: f64) -> (f64, f64) {
    if mean <= 0.0 {
        return (0.0, 0.0);
    }
    let relative = (variance / (mean * mean)).min(LARGEST_VARIANCE);
    let quantile = |z: f64| {
        let cube_root = 1.0 - relative / 9.0 + z * (relative / 9.0).sqrt();
        mean * libm::pow(cube_root.max(0.0), 3.0 * widening)
    };
    (quantile(-Z), quantile(Z))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_gamma_distribution() {
        // Shape 4, scale 1 (mean 4, variance 4): chi-square with 8 degrees of freedom over 2: 3.490 / 2 and 13.362 / 2.
        let (low, high) = range(4.0, 4.0, 1.0);
        assert!((low - 1.745).abs() < 0.02 && (high - 6.681).abs() < 0.02, "{low} {high}");
        assert_eq!(range(0.0, 1.0, 1.0), (0.0, 0.0));
    }

    #[test]
    fn a_band_that_misses_widens_until_four_of_five_hit() {
        let mut band = Band::default();
        // What comes is log-uniform from a 20th to 20 times of what was foretold.
        let mut state = 1_u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        for _ in 0..4_000 {
            band.learn(1.0, libm::exp((2.0 * draw() - 1.0) * 3.0), 0.0);
        }
        let coverage = band.coverage().unwrap();
        assert!((coverage - 0.8).abs() < 0.06, "{coverage}");
        assert!(band.widening > 1.0);
    }
}
