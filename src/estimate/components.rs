//! Distance components: how far from entry a position is force-closed, and how likely that distance is a priori.
//!
//! Nine spikes stand for isolated positions at the usual leverages, fourteen log-spaced smears for cross margin, odd
//! leverages and positions built in steps. On logarithmic bins a component is one constant shift, computed once.

use std::ops::Range;

use crate::market::{Instrument, Side, Venue};

use super::bins::BinTable;
use super::margin::{self, maintenance_rate};
use super::measured::Fit;
use super::tiers::Tier;

/// Spike leverages with their prior share of openings, by notional (docs/MODEL.md). The first stands for 150x where a
/// venue allows it.
const SPIKES: [(f64, f64, Tier); 9] = [
    (125.0, 0.03, Tier::X100),
    (100.0, 0.07, Tier::X100),
    (75.0, 0.05, Tier::X100),
    (50.0, 0.15, Tier::X50),
    (25.0, 0.12, Tier::X25),
    (20.0, 0.20, Tier::X25),
    (10.0, 0.22, Tier::X10),
    (5.0, 0.11, Tier::X5),
    (3.0, 0.05, Tier::X5),
];

/// No level is nearer to its entry than this share (18 bp): the venues' own margin buffers see to that.
const NEAREST: f64 = 0.0018;
/// Half width of a spike, share of entry (fees, funding and rounding blur it).
const SPIKE_HALF: f64 = 0.0002;

/// Holding classes: hazard per closed share of open interest, and prior share of openings. Three points that stand in for
/// heavy-tailed holding times.
pub const CLASSES: [(f64, f64); 3] = [(0.5, 0.5), (3.0, 0.3), (20.0, 0.2)];

/// Public positions the prior of distances is worth.
const PRIOR_POSITIONS: f64 = 30.0;
/// No fitted log-normal is narrower than this.
const NARROWEST: f64 = 0.2;

/// Share of open interest that can be liquidated at all (the rest is hedged or barely levered).
const LIQUIDATABLE: f64 = 0.9;
/// Share of a position's life at liquidation that is force-closed rather than left by hand on the way (psi at 1).
pub const SURVIVAL: f64 = 0.5;

/// Where one component puts mass: a run of bins relative to the entry's bin, and the share of the mass in each.
#[derive(Debug, Clone, PartialEq)]
pub struct Kernel {
    /// First bin relative to the entry's.
    pub offset: i32,
    /// Share in each bin from there on; they sum to 1.
    pub shares: Box<[f64]>,
    /// Their sums: of none of them, of the first, of the first two and so on.
    sums: Box<[f64]>,
}

/// One distance component.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// The tier it is shown under.
    pub tier: Tier,
    /// Prior share of openings; zero where the venue does not allow the leverage.
    pub weight: f64,
    /// Middle distance from entry by side, share of entry.
    pub distance: [f64; 2],
    /// Bins by side.
    pub kernels: [Kernel; 2],
}

/// All components of one venue's instrument.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Components {
    all: Vec<Component>,
    /// From the lowest to the highest level by side, bins relative to the entry's; of those with weight.
    levels: [Range<i32>; 2],
}

/// The log-normal prior of the smears: median distance and sigma of its logarithm.
struct Smears {
    count: usize,
    farthest: f64,
    median: f64,
    sigma: f64,
}

impl Components {
    /// Builds them for a venue and its instrument (tiers and maximum leverage), if that is known.
    ///
    /// Hyperliquid's margin is cross by default and its true distances are public: no spikes, the measured log-normal
    /// (median 28 %, sigma 1.16). Everywhere else half of the openings are spikes, half smears (median 12 %, sigma 1).
    /// Where true distances of public positions are at hand (`fit`), both give way to them as more are known.
    pub fn new(venue: &Venue, instrument: Option<&Instrument>, fit: Option<&Fit>, bins: &BinTable) -> Self {
        let trust = fit.map_or(0.0, |f| f.count as f64 / (f.count as f64 + PRIOR_POSITIONS));
        let fitted = |smears: Smears| {
            let Some(fit) = fit else { return smears };
            let between = |prior: f64, found: f64| prior + trust * (found - prior);
            let median = libm::exp(between(libm::log(smears.median), libm::log(fit.median)));
            Smears { median, sigma: between(smears.sigma, fit.sigma).max(NARROWEST), ..smears }
        };
        if venue.as_str() == "hyperliquid" {
            let smears = Smears { count: 16, farthest: 0.90, median: 0.28, sigma: 1.16 };
            return Self::of(fitted(smears).components(1.0, bins));
        }
        let spiked = 0.5 * (1.0 - trust);
        let tiers: Vec<margin::Tier> =
            instrument.map(|i| i.tiers.iter().map(margin::Tier::from).collect()).unwrap_or_default();
        let limit = tiers.iter().map(|t| t.max_leverage).fold(0.0, f64::max);
        let mut all: Vec<Component> = SPIKES
            .iter()
            .enumerate()
            .map(|(i, &(leverage, share, tier))| {
                let leverage = if i == 0 && limit >= 150.0 { 150.0 } else { leverage };
                let allowed = tiers.is_empty() || leverage <= limit;
                let rate = maintenance_rate(leverage, &tiers);
                let distance = Side::BOTH.map(|side| margin::distance(side, leverage, rate).max(NEAREST));
                let spans = distance.map(|d| (d - SPIKE_HALF, d + SPIKE_HALF));
                Component::new(tier, if allowed { spiked * share } else { 0.0 }, spans, bins)
            })
            .collect();
        let smears = Smears { count: 14, farthest: 0.60, median: 0.12, sigma: 1.0 };
        all.extend(fitted(smears).components(1.0 - spiked, bins));
        let total: f64 = all.iter().map(|c| c.weight).sum();
        for component in &mut all {
            component.weight /= total;
        }
        Self::of(all)
    }

    fn of(all: Vec<Component>) -> Self {
        let levels = [0, 1].map(|side| {
            let kernels = all.iter().filter(|c| c.weight > 0.0).map(|c| &c.kernels[side]);
            let start = kernels.clone().map(|k| k.offset).min().unwrap_or(0);
            let end = kernels.map(|k| k.offset + k.shares.len() as i32).max().unwrap_or(0);
            start..end
        });
        Self { all, levels }
    }

    /// Where levels of a side lie, from the lowest to the highest: bins relative to the entry's.
    pub fn levels(&self, side: usize) -> Range<i32> {
        self.levels[side].clone()
    }

    /// Number of components.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Never: there are always smears.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The components in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Component> {
        self.all.iter()
    }

    /// Prior weight of every slot (component-major, then class): the share of a unit cohort that is expected to be
    /// force-closed when its level is swept.
    pub fn prior(&self) -> Vec<f64> {
        let weight = |c: &Component, class: f64| c.weight * class * LIQUIDATABLE * SURVIVAL;
        self.all.iter().flat_map(|c| CLASSES.map(|(_, class)| weight(c, class))).collect()
    }
}

impl<'a> IntoIterator for &'a Components {
    type Item = &'a Component;
    type IntoIter = std::slice::Iter<'a, Component>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Smears {
    const NEAREST: f64 = 0.003;

    fn components(&self, total: f64, bins: &BinTable) -> Vec<Component> {
        let (near, far) = (libm::log(Self::NEAREST), libm::log(self.farthest));
        let edge = |i: usize| libm::exp(near + (far - near) * i as f64 / self.count as f64);
        let spans: Vec<(f64, f64)> = (0..self.count).map(|i| (edge(i), edge(i + 1))).collect();
        let density = |&(lo, hi): &(f64, f64)| {
            let z = (libm::log((lo * hi).sqrt()) - libm::log(self.median)) / self.sigma;
            libm::exp(-0.5 * z * z)
        };
        let sum: f64 = spans.iter().map(density).sum();
        spans
            .iter()
            .map(|span| Component::new(Tier::Low, total * density(span) / sum, [*span, *span], bins))
            .collect()
    }
}

impl Component {
    /// `spans`: nearest and farthest distance by side, shares of entry.
    fn new(tier: Tier, weight: f64, spans: [(f64, f64); 2], bins: &BinTable) -> Self {
        let [(long_near, long_far), (short_near, short_far)] = spans;
        let position = |factor: f64| 0.5 + libm::log(factor) / bins.log_step();
        Self {
            tier,
            weight,
            distance: spans.map(|(near, far)| 0.5 * (near + far)),
            kernels: [
                Kernel::new(position(1.0 - long_far), position(1.0 - long_near)),
                Kernel::new(position(1.0 + short_near), position(1.0 + short_far)),
            ],
        }
    }
}

impl Kernel {
    /// Spreads mass evenly (by logarithm) between two positions counted in bins, exact in the end bins.
    fn new(from: f64, to: f64) -> Self {
        let first = from.floor() as i32;
        let last = to.ceil() as i32 - 1;
        let width = to - from;
        let share = |bin: i32| {
            let bin = f64::from(bin);
            ((bin + 1.0).min(to) - bin.max(from)) / width
        };
        let shares: Box<[f64]> = (first..=last.max(first)).map(share).collect();
        let sum = |sum: &mut f64, share: &f64| Some(std::mem::replace(sum, *sum + share));
        let sums = shares.iter().chain([&0.0]).scan(0.0, sum).collect();
        Self { offset: first, shares, sums }
    }

    /// What lies in some of its bins, which are counted from its first.
    pub fn share_of(&self, bins: &Range<usize>) -> f64 {
        self.sums[bins.end] - self.sums[bins.start]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Components {
        Components::new(&"binance".parse().unwrap(), None, None, &BinTable::new(5.0))
    }

    #[test]
    fn every_kernel_holds_exactly_one_unit() {
        for component in &sample() {
            for kernel in &component.kernels {
                let sum: f64 = kernel.shares.iter().sum();
                assert!((sum - 1.0).abs() < 1e-12);
                assert!(kernel.shares.iter().all(|&s| s >= 0.0));
                let length = kernel.shares.len();
                for bins in [0..0, 0..1, 1..length, length - 1..length, 0..length, length..length] {
                    let sum: f64 = kernel.shares[bins.clone()].iter().sum();
                    assert!((kernel.share_of(&bins) - sum).abs() < 1e-12, "{bins:?}");
                }
            }
        }
    }

    #[test]
    fn a_ten_times_long_lies_about_ten_percent_below_its_entry() {
        let bins = BinTable::new(5.0);
        let all = sample();
        let ten = all.iter().find(|c| c.tier == Tier::X10).unwrap();
        // 1 − 0.9/0.9955 = 9.593 % (rate 0.45 %): the level of an entry at 60,000 is 54,244.10, give or take the blur.
        let entry = bins.bin(60_000.0).unwrap();
        let kernel = &ten.kernels[0];
        let low = bins.edge(entry + kernel.offset);
        let high = bins.edge(entry + kernel.offset + kernel.shares.len() as i32);
        assert!(low < 54_244.10 && 54_244.10 < high, "{low} {high}");
        assert!(high / low < 1.002);
        assert!((ten.distance[0] - 0.095_931_692).abs() < 1e-9);
        assert!((ten.distance[1] - 0.095_072_175).abs() < 1e-9, "{}", ten.distance[1]);
    }

    #[test]
    fn prior_weights_are_half_spikes_half_smears_and_sum_to_the_liquidatable_share() {
        let all = sample();
        let spikes: f64 = all.iter().filter(|c| c.tier != Tier::Low).map(|c| c.weight).sum();
        assert!((spikes - 0.5).abs() < 1e-12);
        let prior: f64 = all.prior().iter().sum();
        assert!((prior - 0.45).abs() < 1e-12);
    }

    #[test]
    fn leverages_the_venue_does_not_allow_carry_no_weight() {
        let tier = |cap: &str, rate: &str, deduction: &str, leverage: &str| {
            let n = |t: &str| t.parse().unwrap();
            crate::market::MarginTier {
                notional_cap: n(cap),
                maintenance_rate: n(rate),
                deduction: n(deduction),
                max_leverage: n(leverage),
            }
        };
        let instrument: Instrument = Instrument {
            symbol: "ALTUSDT".into(),
            tick: "0.01".parse().unwrap(),
            lot: "1".parse().unwrap(),
            contract: "1".parse().unwrap(),
            multiplier: "1".parse().unwrap(),
            linear: true,
            tiers: vec![tier("5000", "0.015", "0", "50"), tier("10000", "0.025", "50", "20")],
        };
        let all = Components::new(&"binance".parse().unwrap(), Some(&instrument), None, &BinTable::new(5.0));
        let heavy: f64 = all.iter().filter(|c| c.tier == Tier::X100).map(|c| c.weight).sum();
        assert_eq!(heavy, 0.0);
        let total: f64 = all.iter().map(|c| c.weight).sum();
        assert!((total - 1.0).abs() < 1e-12);
        // 50x at 1.5 %: 1 − 0.98/0.985 = 0.5076 %
        let fifty = all.iter().find(|c| c.tier == Tier::X50).unwrap();
        assert!((fifty.distance[0] - 0.005_076_142).abs() < 1e-9);
    }
}
