//! Positions that are public: exact mass, no weight applied.
//!
//! Some venues show every account's position. Those that are known need no estimate: they rest at their own liquidation price, and
//! the estimator covers the remainder only (`estimator.md`, "Exact Hyperliquid positions"). An account that becomes known is no
//! opening: it was among the unknown before. One that is not told again fades as the fastest holders do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::market::event::Position;
use crate::market::{Price, Side};

/// Accounts kept; beyond, the smallest part of what is told is left out, and counted.
const MOST_ACCOUNTS: usize = 65_536;
/// A position that has faded to this share of what was told is forgotten.
const FORGOTTEN: f64 = 0.01;
/// Positions needed before a distribution is fitted to them.
const FEWEST_FITTED: usize = 30;

/// One account's position.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Known {
    side: usize,
    /// Base coin when it was told.
    qty: f64,
    /// The fading when it was told.
    told_at: f64,
    /// USD per coin.
    entry: f64,
    /// USD per coin; `None` where it has none.
    level: Option<f64>,
}

/// What a told position changes in what is known of its side, base coin.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Change {
    /// Came to be known: it was open before.
    pub found: [f64; 2],
    /// Opened (above zero) or closed by an account that was known already.
    pub traded: [f64; 2],
}

/// A log-normal of distances from entry to liquidation, notional-weighted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// Median distance, share of entry.
    pub median: f64,
    /// Standard deviation of its logarithm.
    pub sigma: f64,
    /// Largest difference between the fitted and the true cumulative share of notional (Kolmogorov and Smirnov), 0 to 1.
    pub error: f64,
    /// Positions fitted.
    pub count: usize,
}

/// The known positions of one venue.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    accounts: BTreeMap<Box<str>, Known>,
    /// Base coin by side, with the fading.
    sums: [f64; 2],
    /// What is left of a position told at the start and never again.
    fading: f64,
    /// The levels nearest to price: the highest of the longs, the lowest of the shorts.
    nearest: [Option<f64>; 2],
    left_out: u64,
}

impl Measured {
    /// Nothing known.
    pub fn new() -> Self {
        Self { fading: 1.0, ..Self::default() }
    }

    /// Whether all parts fit each other, as they may not where the state was read from a file.
    pub fn is_sound(&self) -> bool {
        self.accounts.values().all(|known| known.side < 2)
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// Number of accounts known.
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Positions that found no room.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Base coin known on a side.
    pub fn coins(&self, side: usize) -> f64 {
        self.sums[side]
    }

    /// Takes in what an account holds; nothing (`qty` 0) when it has closed.
    pub fn tell(&mut self, position: &Position) -> Change {
        let mut change = Change::default();
        let old = self.accounts.remove(&position.account);
        let side = position.side.index();
        let qty = position.qty.to_f64().max(0.0);
        if let Some(old) = old {
            let held = self.now(&old);
            // What had faded in the meantime was taken for closed; it comes to be known again.
            if old.side == side {
                let fresh = qty - old.qty;
                change.traded[side] = fresh;
                change.found[side] = old.qty - held;
            } else {
                change.traded[old.side] = -held;
                change.traded[side] = qty;
            }
            self.sums[old.side] -= held;
        } else {
            change.found[side] = qty;
        }
        if qty > 0.0 {
            if self.accounts.len() >= MOST_ACCOUNTS {
                self.left_out += 1;
                return Change::default();
            }
            let level = position.liq_price.map(Price::to_f64).filter(|p| *p > 0.0);
            let known = Known { side, qty, told_at: self.fading, entry: position.entry.to_f64(), level };
            self.accounts.insert(position.account.clone(), known);
            self.sums[side] += qty;
        }
        self.find_nearest();
        change
    }

    fn now(&self, known: &Known) -> f64 {
        known.qty * self.fading / known.told_at
    }

    fn find_nearest(&mut self) {
        self.nearest = [None, None];
        for known in self.accounts.values() {
            let Some(level) = known.level else { continue };
            let nearest = &mut self.nearest[known.side];
            let is_nearer = |best: f64| if known.side == 0 { level > best } else { level < best };
            if nearest.is_none_or(is_nearer) {
                *nearest = Some(level);
            }
        }
    }

    /// Time passed in which the fastest holders closed all but `1 / divisor` of what they held.
    pub fn fade(&mut self, divisor: f64) {
        if self.is_empty() || divisor <= 1.0 {
            return;
        }
        self.fading /= divisor;
        self.sums = self.sums.map(|coins| coins / divisor);
        let fading = self.fading;
        let before = self.accounts.len();
        self.accounts.retain(|_, known| fading / known.told_at >= FORGOTTEN);
        if self.accounts.len() < before {
            self.recount();
        }
    }

    fn recount(&mut self) {
        self.sums = [0.0; 2];
        for known in self.accounts.values() {
            self.sums[known.side] += known.qty * self.fading / known.told_at;
        }
        self.find_nearest();
    }

    /// The path went from one price to another: positions whose level it passed are gone. Returns each one's level and base coin.
    pub fn sweep(&mut self, side: usize, to: f64) -> Vec<(f64, f64)> {
        let reaches = |level: f64| if side == 0 { to <= level } else { to >= level };
        if !self.nearest[side].is_some_and(reaches) {
            return Vec::new();
        }
        let (mut swept, fading) = (Vec::new(), self.fading);
        self.accounts.retain(|_, known| {
            let Some(level) = known.level.filter(|l| known.side == side && reaches(*l)) else { return true };
            swept.push((level, known.qty * fading / known.told_at));
            false
        });
        self.recount();
        swept
    }

    /// Level (USD per coin) and base coin of each position of a side that has a level.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = (f64, f64)> {
        let of_side = self.accounts.values().filter(move |k| k.side == side.index());
        of_side.filter_map(|known| Some((known.level?, self.now(known))))
    }

    /// Fits a log-normal to the distances; `None` while too few are known.
    pub fn fit(&self) -> Option<Fit> {
        let distance = |k: &Known| {
            let away = k.level? - k.entry;
            let share = if k.side == 0 { -away } else { away } / k.entry;
            // Margin taken out after a win can put the level beyond the entry: no distance says that.
            (share > 0.0).then(|| (libm::log(share), self.now(k) * k.entry))
        };
        let mut points: Vec<(f64, f64)> = self.accounts.values().filter_map(distance).collect();
        if points.len() < FEWEST_FITTED {
            return None;
        }
        let total: f64 = points.iter().map(|(_, w)| w).sum();
        let mean = points.iter().map(|(x, w)| x * w).sum::<f64>() / total;
        let sigma = (points.iter().map(|(x, w)| (x - mean).powi(2) * w).sum::<f64>() / total).sqrt();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut below, mut error) = (0.0, 0.0_f64);
        for (x, weight) in &points {
            let fitted = 0.5 * libm::erfc((mean - x) / (sigma * std::f64::consts::SQRT_2));
            error = error.max((fitted - below / total).abs());
            below += weight;
            error = error.max((fitted - below / total).abs());
        }
        Some(Fit { median: libm::exp(mean), sigma, error, count: points.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(account: &str, side: Side, qty: &str, entry: &str, level: &str) -> Position {
        Position {
            account: account.into(),
            side,
            qty: qty.parse().unwrap(),
            entry: entry.parse().unwrap(),
            leverage: None,
            liq_price: Some(level.parse().unwrap()),
        }
    }

    #[test]
    fn a_new_account_is_found_and_a_known_one_trades() {
        let mut known = Measured::new();
        let first = known.tell(&told("a", Side::Long, "3", "100", "80"));
        assert_eq!(first, Change { found: [3.0, 0.0], traded: [0.0, 0.0] });
        let more = known.tell(&told("a", Side::Long, "5", "101", "82"));
        assert_eq!(more, Change { found: [0.0, 0.0], traded: [2.0, 0.0] });
        let turned = known.tell(&told("a", Side::Short, "1", "99", "120"));
        assert_eq!(turned, Change { found: [0.0, 0.0], traded: [-5.0, 1.0] });
        assert_eq!((known.coins(0), known.coins(1), known.len()), (0.0, 1.0, 1));
        let closed = known.tell(&told("a", Side::Short, "0", "99", "120"));
        assert_eq!(closed.traded, [0.0, -1.0]);
        assert!(known.is_empty());
    }

    #[test]
    fn the_path_takes_what_it_passes_and_nothing_else() {
        let mut known = Measured::new();
        known.tell(&told("a", Side::Long, "3", "100", "80"));
        known.tell(&told("b", Side::Long, "2", "100", "90"));
        known.tell(&told("c", Side::Short, "7", "100", "90"));
        assert_eq!(known.sweep(0, 90.5), []);
        assert_eq!(known.sweep(0, 85.0), [(90.0, 2.0)]);
        assert_eq!((known.coins(0), known.coins(1)), (3.0, 7.0));
    }

    #[test]
    fn what_is_not_told_again_fades_and_comes_back_when_it_is() {
        let mut known = Measured::new();
        known.tell(&told("a", Side::Long, "8", "100", "80"));
        known.fade(4.0);
        assert_eq!(known.coins(0), 2.0);
        let again = known.tell(&told("a", Side::Long, "8", "100", "80"));
        assert_eq!(again, Change { found: [6.0, 0.0], traded: [0.0, 0.0] });
        known.fade(200.0);
        assert!(known.is_empty() && known.coins(0) == 0.0);
    }

    #[test]
    fn a_log_normal_is_found_again_with_a_small_error() {
        let mut known = Measured::new();
        // Quantiles of a log-normal with median 20 % and sigma 0.5, equally weighted by notional.
        let quantiles = [-1.645, -1.036, -0.674, -0.385, -0.126, 0.126, 0.385, 0.674, 1.036, 1.645];
        for (i, z) in quantiles.iter().cycle().take(40).enumerate() {
            let level = 100.0 * (1.0 - 0.2 * libm::exp(0.5 * z));
            known.tell(&told(&format!("{i}"), Side::Long, "1", "100", &format!("{level:.6}")));
        }
        let fit = known.fit().unwrap();
        assert!((fit.median - 0.2).abs() < 0.001 && (fit.sigma - 0.46).abs() < 0.03, "{fit:?}");
        assert!(fit.error < 0.09, "{fit:?}");
    }
}
