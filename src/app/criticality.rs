//! Where liquidations would feed on themselves: what would be forced to trade against what rests there.

use crate::engine::{Snapshot, depth};

use super::pixels::{Selection, rows};
use super::viewport::Geometry;

/// A row that is marked stays so until it falls below this: a mark that trembles is no help.
const LET_GO: f64 = 0.8;

/// Rows of cells, from above.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Criticality {
    /// USD of levels over USD of resting orders; `None` where no book tells all.
    ratio: Vec<Option<f64>>,
    /// Whether the row is marked.
    marked: Vec<bool>,
}

impl Criticality {
    /// Reads levels and books of the venues that are drawn and have a book. Levels where a venue's book does not reach are left
    /// out, or they would be held against the orders of others.
    #[must_use]
    pub fn follow(&self, geometry: &Geometry, selection: &Selection, snapshot: &Snapshot) -> Self {
        let first = geometry.low.floor() as i32;
        let count = (geometry.high().ceil() as i32 - first).max(0) as usize;
        let (mut forced, mut resting, mut told) = (vec![0.0; count], vec![0.0; count], vec![0.0; count]);
        for view in selection.venues(snapshot) {
            let (Some(book), Some(live)) = (&view.book, &view.live) else { continue };
            let (mut levels, mut orders) = (vec![0.0; count], vec![0.0; count]);
            let span = depth::by_bin(book, &snapshot.bins, first, &mut orders);
            live.add_levels(selection.tiers, first, &mut levels);
            for bin in span.start.max(first)..span.end.min(first + count as i32) {
                let i = (bin - first) as usize;
                forced[i] += levels[i];
                resting[i] += orders[i];
                told[i] = 1.0;
            }
        }
        let [forced, resting, told] = [forced, resting, told].map(|bins| {
            let rows = rows(geometry, first, &bins);
            rows.chunks(2).rev().map(|pair| pair.iter().sum()).collect::<Vec<f64>>()
        });
        let ratio = forced.iter().zip(&resting).zip(&told).map(|((forced, resting), told)| {
            (*told >= 1.99 * geometry.step && *forced > 0.0).then(|| forced / resting)
        });
        let ratio: Vec<Option<f64>> = ratio.collect();
        let was = |row: usize| self.marked.len() == ratio.len() && self.marked[row];
        let limit = |row| if was(row) { LET_GO } else { 1.0 };
        let marked = ratio.iter().enumerate().map(|(row, r)| r.is_some_and(|r| r > limit(row))).collect();
        Self { ratio, marked }
    }

    /// USD of levels over USD of resting orders in a row of cells.
    pub fn ratio(&self, row: usize) -> Option<f64> {
        self.ratio.get(row).copied().flatten()
    }

    /// Whether more would be forced in a row of cells than rests there.
    pub fn is_marked(&self, row: usize) -> bool {
        self.marked.get(row).copied().unwrap_or(false)
    }
}
