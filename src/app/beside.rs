//! The pools above and below price, with what a trader asks of each: how far, how much, how old, how thin the book on the way.

use crate::engine::{Snapshot, VenueView, depth};
use crate::estimate::TierSet;
use crate::insight::pools::{self, Pool};
use crate::market::Side;

use super::model::View;
use super::pixels::Selection;
use super::viewport::Geometry;

/// Levels farther from price belong to no pool, share of price.
const REACH: f64 = 0.25;
/// Within this distance the largest pool is the one to watch, beyond it the nearest.
const NEAR: f64 = 0.03;
/// Looked back in steps no shorter than this, ms.
const LOOK_BACK: i64 = 300_000;

/// A pool as seen from price.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beside {
    /// The pool.
    pub pool: Pool,
    /// The middle of its hottest bin, USD per coin.
    pub price: f64,
    /// How far that is from price, share; below zero for pools below.
    pub distance: f64,
    /// From its lower to its upper edge, share of price.
    pub width: f64,
    /// Since when its hottest bin has been above the threshold without a break, UTC ms; looked up for pools that are shown.
    pub since: Option<i64>,
    /// Whether it is older than the view: `since` is then where the looking ended.
    pub is_older: bool,
    /// Its USD over the USD of orders resting between price and its near edge, of the venues whose books reach that far.
    pub per_resting: Option<f64>,
}

/// The pools of both sides.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pools {
    /// Longs' then shorts', the nearest first.
    sides: [Vec<Beside>; 2],
}

/// One venue's levels and orders, bin by bin.
struct Venue {
    levels: Vec<f64>,
    orders: Vec<f64>,
    /// Bins of which its book tells everything.
    told: std::ops::Range<i32>,
}

impl Pools {
    /// Reads the levels of this moment. `threshold` is USD per row of the heatmap.
    pub fn new(
        geometry: &Geometry,
        selection: &Selection,
        snapshot: &Snapshot,
        (price, threshold): (f64, f64),
    ) -> Self {
        let bins = &snapshot.bins;
        let (Some(here), false) = (bins.bin(price), selection.view.is_difference()) else {
            return Self::default();
        };
        let first = bins.position(price * (1.0 - REACH)) as i32;
        let count = (bins.position(price * (1.0 + REACH)) as i32 - first).max(0) as usize;
        // A row of the heatmap is so many bins high.
        let per_bin = threshold / geometry.step;
        let venues: Vec<Venue> = selection
            .venues(snapshot)
            .filter_map(|v| Venue::read(v, selection, snapshot, first, count))
            .collect();
        let mut levels = vec![0.0; count];
        for venue in &venues {
            levels.iter_mut().zip(&venue.levels).for_each(|(sum, usd)| *sum += usd);
        }
        let middle = ((here - first).max(0) as usize).min(count);
        let (below, rest) = levels.split_at(middle);
        // Price is in the bin between: what is left there belongs to no side.
        let above = rest.get(1..).unwrap_or_default();
        let find = |side, first, usd| pools::find(side, first, usd, per_bin);
        let seen = |pool: Pool| {
            let core = bins.mid(pool.core);
            let path = match pool.side {
                Side::Long => pool.high + 1..here,
                Side::Short => here + 1..pool.low,
            };
            Beside {
                pool,
                price: core,
                distance: core / price - 1.0,
                width: (bins.edge(pool.high + 1) - bins.edge(pool.low)) / price,
                since: None,
                is_older: false,
                per_resting: per_resting(&venues, first, &pool, path),
            }
        };
        let sides = selection.sides;
        let find = |side, first, usd| if sides.has(side) { find(side, first, usd) } else { Vec::new() };
        let longs = find(Side::Long, first, below).into_iter().rev().map(seen).collect();
        let shorts = find(Side::Short, here + 1, above).into_iter().map(seen).collect();
        let mut found = Self { sides: [longs, shorts] };
        for side in Side::BOTH {
            let shown = [found.nearest_at(side), found.largest_at(side), found.watched_at(side)];
            for i in shown.into_iter().flatten() {
                let pool = found.sides[side.index()][i].pool;
                let born = born(geometry, selection, snapshot, &pool, per_bin);
                let beside = &mut found.sides[side.index()][i];
                beside.since = born.map(|(since, _)| since);
                beside.is_older = born.is_some_and(|(_, is_older)| is_older);
            }
        }
        found
    }

    /// All pools of a side, the nearest first; ages are looked up for those shown only.
    pub fn of(&self, side: Side) -> &[Beside] {
        &self.sides[side.index()]
    }

    fn nearest_at(&self, side: Side) -> Option<usize> {
        (!self.of(side).is_empty()).then_some(0)
    }

    fn largest_at(&self, side: Side) -> Option<usize> {
        let all = self.of(side).iter().enumerate();
        all.max_by(|a, b| a.1.pool.usd.total_cmp(&b.1.pool.usd)).map(|(i, _)| i)
    }

    fn watched_at(&self, side: Side) -> Option<usize> {
        let near = self.of(side).iter().enumerate().filter(|(_, p)| p.distance.abs() <= NEAR);
        let largest = near.max_by(|a, b| a.1.pool.usd.total_cmp(&b.1.pool.usd)).map(|(i, _)| i);
        largest.or_else(|| self.nearest_at(side))
    }

    /// The one that price would reach first.
    pub fn nearest(&self, side: Side) -> Option<&Beside> {
        self.of(side).get(self.nearest_at(side)?)
    }

    /// The largest, wherever it is.
    pub fn largest(&self, side: Side) -> Option<&Beside> {
        self.of(side).get(self.largest_at(side)?)
    }

    /// The one to watch: the largest within 3 % of price, else the nearest.
    pub fn watched(&self, side: Side) -> Option<&Beside> {
        self.of(side).get(self.watched_at(side)?)
    }
}

impl Venue {
    fn read(
        view: &VenueView,
        selection: &Selection,
        snapshot: &Snapshot,
        first: i32,
        count: usize,
    ) -> Option<Self> {
        let live = selection.live(view)?;
        let (mut levels, mut orders) = (vec![0.0; count], vec![0.0; count]);
        live.add_levels(selection.counted(), first, &mut levels);
        let told = view.book.as_ref().map_or(0..0, |b| depth::by_bin(b, &snapshot.bins, first, &mut orders));
        Some(Self { levels, orders, told })
    }

    /// USD in a range of bins.
    fn sum(usd: &[f64], first: i32, bins: std::ops::Range<i32>) -> f64 {
        let at = |bin: i32| ((bin - first).max(0) as usize).min(usd.len());
        let (from, to) = (at(bins.start), at(bins.end));
        usd.get(from..to.max(from)).unwrap_or_default().iter().sum()
    }
}

/// Of the venues whose books tell the whole path: levels of the pool over orders on the path.
fn per_resting(venues: &[Venue], first: i32, pool: &Pool, path: std::ops::Range<i32>) -> Option<f64> {
    let reach = |v: &&Venue| v.told.start <= path.start && v.told.end >= path.end;
    let mut sums = [0.0; 2];
    for venue in venues.iter().filter(reach) {
        sums[0] += Venue::sum(&venue.levels, first, pool.low..pool.high + 1);
        sums[1] += Venue::sum(&venue.orders, first, path.clone());
    }
    (sums[0] > 0.0 && sums[1] > 0.0).then(|| sums[0] / sums[1])
}

/// Since when the pool's hottest bin has been at or above the threshold without a break, and whether the looking ended before that
/// did. Gaps in the data break nothing. Only our own levels have a past that is kept whole.
fn born(
    geometry: &Geometry,
    selection: &Selection,
    snapshot: &Snapshot,
    pool: &Pool,
    threshold: f64,
) -> Option<(i64, bool)> {
    if selection.view != View::Ours {
        return None;
    }
    let step = geometry.dt.max(LOOK_BACK);
    let end = snapshot.now - geometry.dt * geometry.columns as i64;
    let mut since = snapshot.now;
    let mut t = snapshot.now - step;
    while t >= end {
        let levels: Vec<f64> = selection
            .venues(snapshot)
            .filter_map(|v| v.history.at(t))
            .filter(|c| !c.gap)
            .map(|c| level(c, selection.tiers, pool))
            .collect();
        if !levels.is_empty() {
            if levels.iter().sum::<f64>() < threshold {
                return Some((since, false));
            }
            since = t;
        }
        t -= step;
    }
    Some((since, true))
}

/// A venue's level in the pool's hottest bin, if it was on the pool's side then.
fn level(column: &crate::estimate::Column, tiers: TierSet, pool: &Pool) -> f64 {
    let was_below = pool.core < column.mark_bin;
    if was_below != (pool.side == Side::Long) {
        return 0.0;
    }
    let mut usd = [0.0];
    column.add_levels(tiers, pool.core, &mut usd);
    usd[0]
}
