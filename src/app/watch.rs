//! The watchlist: what is known of each asset on it, from its own market where that runs.

use std::sync::Arc;

use crate::engine::Snapshot;
use crate::engine::snapshot::weighted_mark;
use crate::market::{Asset, Side};

use super::beside::Pools;
use super::figures::Market;
use super::model::View;
use super::pixels::Selection;
use super::scale::Cells;
use super::viewport::Geometry;

/// Cells this far from price make the threshold of an asset that has no view of its own, share of price: as far as a day's view reaches.
const REACH: f64 = 0.055;
/// The threshold of an asset that has no view of its own: this percentile of those cells.
const PERCENTILE: f64 = 85.0;
/// Bins in a cell's row, about, as a day's view on a usual screen has them.
const ROW: f64 = 4.0;
/// How far back the age of its pools would be looked up, ms and columns; nobody asks for it.
const NO_PAST: (i64, usize) = (60_000, 0);

/// One asset.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Which.
    pub asset: Asset,
    /// Whether its market runs here.
    pub runs: bool,
    /// Price, USD per coin.
    pub price: Option<f64>,
    /// Change of the price over 24 hours, share.
    pub day_change: Option<f64>,
    /// The nearest pools above and below: USD, and the distance from price as a share.
    pub pools: [Option<(f64, f64)>; 2],
    /// USD traded in 24 hours, as the venues' lists tell it.
    pub day_usd: Option<f64>,
}

impl Row {
    /// An asset of which nothing is known.
    pub fn unknown(asset: Asset) -> Self {
        Self { asset, runs: false, price: None, day_change: None, pools: [None; 2], day_usd: None }
    }

    /// What the market of another asset tells, seen with the same tiers, sides and venues.
    pub fn of(snapshot: &Snapshot, selection: &Selection) -> Self {
        let selection = Selection { view: View::Ours, ..selection.clone() };
        let row = Self { runs: true, ..Self::unknown(snapshot.asset) };
        let marks = selection.venues(snapshot).filter_map(|v| Some((v.mark?, v.oi_usd.unwrap_or(0.0))));
        let marks: Vec<(f64, f64)> = marks.collect();
        let Some(price) = weighted_mark(marks.into_iter()) else { return row };
        let bins = &snapshot.bins;
        let (low, high) = (bins.position(price * (1.0 - REACH)), bins.position(price * (1.0 + REACH)));
        let mut levels = vec![0.0; (high - low).max(0.0) as usize];
        for live in selection.venues(snapshot).filter_map(|v| selection.live(v)) {
            let mut one = vec![0.0; levels.len()];
            live.add_levels(selection.counted(), low as i32, &mut one);
            levels.iter_mut().zip(one).for_each(|(sum, usd)| *sum += usd);
        }
        let rows = levels.chunks(ROW as usize).map(|bins| bins.iter().sum());
        let threshold = Cells::new(rows, 0.0).percentile(PERCENTILE);
        let (dt, columns) = NO_PAST;
        let geometry = Geometry { start: 0, dt, columns, low, step: ROW, rows: 0 };
        let pools = Pools::new(&geometry, &selection, snapshot, (price, threshold));
        let nearest = |side| pools.nearest(side).map(|p| (p.pool.usd, p.distance));
        Self {
            price: Some(price),
            day_change: Market::new(&selection, snapshot, Some(price)).day_change,
            pools: [nearest(Side::Short), nearest(Side::Long)],
            ..row
        }
    }
}

/// The other assets whose markets run, and what was read of them.
#[derive(Debug, Clone, Default)]
pub struct Others {
    snapshots: Vec<Arc<Snapshot>>,
    rows: Vec<Row>,
}

impl Others {
    /// Reads what has come.
    pub fn new(snapshots: Vec<Arc<Snapshot>>, selection: &Selection) -> Self {
        let rows = snapshots.iter().map(|s| Row::of(s, selection)).collect();
        Self { snapshots, rows }
    }

    /// Reads it again with another selection.
    pub fn reread(&mut self, selection: &Selection) {
        *self = Self::new(std::mem::take(&mut self.snapshots), selection);
    }

    /// What is known of an asset.
    pub fn row(&self, asset: Asset) -> Option<&Row> {
        self.rows.iter().find(|row| row.asset == asset)
    }
}
