//! Levels by price at this moment, for the map panel: one row a cell of the screen.

use crate::estimate::TIERS;

/// A little air at the panel's edge, so that a growing level does not hit it before the widths move again.
const AIR: f64 = 1.08;

/// What the bars of the map are split by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MapBy {
    /// Leverage tier.
    #[default]
    Tier,
    /// Venue.
    Venue,
}

impl MapBy {
    /// The other one.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Tier => Self::Venue,
            Self::Venue => Self::Tier,
        }
    }

    /// The part of the snapshot's `i`-th venue; from the sixth on they share the last.
    pub const fn slot(i: usize) -> usize {
        if i < PARTS { i } else { PARTS - 1 }
    }
}

/// Parts a bar has at most: the tiers, or as many venues.
pub const PARTS: usize = TIERS;

/// USD of a row by part.
pub type Parts = [f64; PARTS];

/// The rows of the map, from above.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    /// What the rows are split by.
    pub by: MapBy,
    /// Whether the parts are what was built and what was removed instead.
    pub is_difference: bool,
    /// USD by part, row by row.
    pub rows: Vec<Parts>,
    /// The row that holds the price; below zero or beyond the rows when it is out of view.
    pub price_row: i64,
}

impl Profile {
    /// Takes over the rows in which the end of some part moved by at least `cell` USD, those that moved most first and at most
    /// `most` of them; says whether more are left.
    pub fn follow(&mut self, now: &Self, cell: f64, most: usize) -> bool {
        self.price_row = now.price_row;
        let mut moved: Vec<(f64, usize)> = Vec::new();
        for (row, (shown, new)) in self.rows.iter().zip(&now.rows).enumerate() {
            let (mut before, mut after, mut farthest) = (0.0, 0.0, 0.0_f64);
            for (a, b) in shown.iter().zip(new) {
                before += a;
                after += b;
                farthest = farthest.max((after - before).abs());
            }
            if farthest >= cell {
                moved.push((farthest, row));
            }
        }
        moved.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for &(_, row) in moved.iter().take(most) {
            self.rows[row] = now.rows[row];
        }
        moved.len() > most
    }

    /// USD of a row over all parts.
    pub fn usd(&self, row: usize) -> f64 {
        self.rows.get(row).map_or(0.0, |parts| parts.iter().sum())
    }

    /// Rows below price with the USD from price down to each, all rows included: the longs' curve.
    pub fn below(&self) -> impl Iterator<Item = (usize, f64)> {
        let first = (self.price_row + 1).clamp(0, self.rows.len() as i64) as usize;
        self.cumulative(first..self.rows.len())
    }

    /// Rows above price, from price up: the shorts' curve.
    pub fn above(&self) -> impl Iterator<Item = (usize, f64)> {
        let end = self.price_row.clamp(0, self.rows.len() as i64) as usize;
        self.cumulative((0..end).rev())
    }

    fn cumulative(&self, rows: impl Iterator<Item = usize>) -> impl Iterator<Item = (usize, f64)> {
        rows.scan(0.0, |sum, row| {
            *sum += self.usd(row);
            Some((row, *sum))
        })
    }

    /// USD built and removed over all rows, where they are a difference.
    pub fn changed(&self) -> [f64; 2] {
        [0, 1].map(|part| self.rows.iter().map(|row| row[part]).sum())
    }

    /// The USD that fill the width of the panel.
    pub fn widths(&self) -> Widths {
        let longest = (0..self.rows.len()).map(|r| self.usd(r)).fold(0.0, f64::max);
        let end = |curve: Option<(usize, f64)>| curve.map_or(0.0, |(_, usd)| usd);
        let widest = end(self.below().last()).max(end(self.above().last()));
        Widths { bar: AIR * longest, curve: AIR * widest }
    }
}

/// The USD that fill the width of the panel. They move with closed columns only, and not for a little: moving with
/// every tick, all bars would tremble and be repainted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Widths {
    /// For a bar.
    pub bar: f64,
    /// For a curve.
    pub curve: f64,
}

impl Widths {
    /// Moves to `wanted` where that no longer fits, or would fill much less of the panel.
    #[must_use]
    pub fn follow(self, wanted: Self) -> Self {
        let move_to = |old: f64, new: f64| if new > AIR * old || new < old / AIR.powi(3) { new } else { old };
        Self { bar: move_to(self.bar, wanted.bar), curve: move_to(self.curve, wanted.curve) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_follows_when_a_tier_ends_a_cell_further() {
        let row = |low: f64, x10: f64| [low, 0.0, x10, 0.0, 0.0, 0.0, 0.0];
        let rows = vec![row(10.0, 5.0), row(10.0, 5.0), row(10.0, 5.0)];
        let mut shown = Profile { rows, price_row: 1, ..Profile::default() };
        let rows = vec![row(10.9, 5.0), row(11.0, 5.0), row(10.5, 5.5)];
        let now = Profile { rows, price_row: 2, ..Profile::default() };
        assert!(shown.follow(&now, 1.0, 1), "one row is left for the next picture");
        assert_eq!(shown.rows, [row(10.0, 5.0), row(11.0, 5.0), row(10.0, 5.0)]);
        assert!(!shown.follow(&now, 1.0, 1));
        assert_eq!(shown.rows, [row(10.0, 5.0), row(11.0, 5.0), row(10.5, 5.5)]);
        assert_eq!(shown.price_row, 2);
    }

    #[test]
    fn curves_run_away_from_price_and_leave_its_row_out() {
        let row = |usd: f64| [usd, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0];
        let rows = vec![row(1.0), row(2.0), row(90.0), row(4.0), row(8.0)];
        let profile = Profile { rows, price_row: 2, ..Profile::default() };
        assert_eq!(profile.above().collect::<Vec<_>>(), [(1, 3.0), (0, 5.0)]);
        assert_eq!(profile.below().collect::<Vec<_>>(), [(3, 5.0), (4, 14.0)]);
        assert_eq!(profile.widths().bar, 91.0 * 1.08);
        assert_eq!(profile.widths().curve, 14.0 * 1.08);
        let high = Profile { price_row: -3, ..profile };
        assert_eq!((high.above().count(), high.below().count()), (0, 5));
    }
}
