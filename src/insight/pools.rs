//! Pools: clusters of neighbouring hot bins on one side of price (`design.md` §9).

use crate::market::Side;

/// Cold bins in a row that do not end a pool.
const WIDEST_GAP: usize = 2;
/// The share of its side's total below which a cluster is no pool.
const LEAST_SHARE: f64 = 0.01;

/// A maximal run of bins at or above a threshold, gaps of at most two bins joined.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pool {
    /// The positions that would be closed in it.
    pub side: Side,
    /// Its lowest bin.
    pub low: i32,
    /// Its highest bin, which belongs to it.
    pub high: i32,
    /// Its hottest bin.
    pub core: i32,
    /// Estimated USD in all its bins, those of the gaps included.
    pub usd: f64,
}

/// The pools of one side, from the lowest price up: `usd` holds the estimated USD of its bins from `first` on, all of the side,
/// and `threshold` is USD a bin. A pool holds at least a hundredth of the side's total.
pub fn find(side: Side, first: i32, usd: &[f64], threshold: f64) -> Vec<Pool> {
    let least = LEAST_SHARE * usd.iter().sum::<f64>();
    let hot = |usd: f64| usd > 0.0 && usd >= threshold;
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (i, _) in usd.iter().enumerate().filter(|(_, usd)| hot(**usd)) {
        match runs.last_mut() {
            Some((_, last)) if i - *last <= WIDEST_GAP + 1 => *last = i,
            _ => runs.push((i, i)),
        }
    }
    let pool = |(low, high): (usize, usize)| {
        let bins = usd.get(low..=high)?;
        let core = bins.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?.0;
        let at = |i: usize| first + i as i32;
        Some(Pool { side, low: at(low), high: at(high), core: at(low + core), usd: bins.iter().sum() })
    };
    runs.into_iter().filter_map(pool).filter(|pool| pool.usd >= least).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(usd: &[f64], threshold: f64) -> Vec<(i32, i32, i32, f64)> {
        let pools = find(Side::Long, 100, usd, threshold);
        pools.into_iter().map(|p| (p.low, p.high, p.core, p.usd)).collect()
    }

    #[test]
    fn runs_are_joined_over_two_cold_bins_and_not_over_three() {
        let usd = [0.0, 5.0, 9.0, 1.0, 1.0, 6.0, 1.0, 1.0, 1.0, 5.0];
        assert_eq!(ends(&usd, 5.0), [(101, 105, 102, 22.0), (109, 109, 109, 5.0)]);
    }

    #[test]
    fn at_the_threshold_is_hot_and_nothing_is_never() {
        assert_eq!(ends(&[4.0, 0.0, 4.1], 4.1), [(102, 102, 102, 4.1)]);
        assert_eq!(ends(&[0.0, 0.0, 0.0, 0.0], 0.0), []);
        assert_eq!(ends(&[], 1.0), []);
    }

    #[test]
    fn a_pool_holds_a_hundredth_of_its_side() {
        let usd = [99.0, 0.0, 0.0, 0.0, 0.99, 0.0, 0.0, 0.0, 1.01];
        // 101 in all: 1.01 is just enough, 0.99 is not.
        assert_eq!(ends(&usd, 0.5), [(100, 100, 100, 99.0), (108, 108, 108, 1.01)]);
    }
}
