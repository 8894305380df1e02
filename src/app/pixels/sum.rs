//! Summing bins into rows of pixels.

use std::sync::Arc;

use crate::estimate::{Column, TierSet};
use crate::market::{Side, Venue};

use super::super::model::Sides;
use super::super::viewport::Geometry;
use super::kernel;

/// A column of the history, and how much of a pixel column is its.
#[derive(Debug, Clone)]
pub struct Source {
    /// Whose it is.
    pub venue: Venue,
    /// The column.
    pub column: Arc<Column>,
    /// Share of the venue's levels in this pixel column, 0 to 1. Zero for columns that only lend their bar.
    pub weight: f64,
}

impl PartialEq for Source {
    /// Columns are immutable, so the same column is the same address.
    fn eq(&self, other: &Self) -> bool {
        self.venue == other.venue && self.weight == other.weight && Arc::ptr_eq(&self.column, &other.column)
    }
}

/// What of the columns is summed, and how.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// The tiers that count.
    pub tiers: TierSet,
    /// The sides that count.
    pub sides: Sides,
    /// Width of a bin as a logarithm, if levels are to be smoothed in price.
    pub smooth: Option<f64>,
}

impl Way {
    /// Bins around a view that count, too.
    pub fn margin(self, geometry: &Geometry) -> i32 {
        let span = (geometry.high() - geometry.low).ceil() as i32;
        self.smooth.map_or(0, |log_step| kernel::margin(span, log_step))
    }
}

/// Buffers for summing bins into rows.
pub struct Scratch {
    first: i32,
    bins: Vec<f64>,
    one: Vec<f64>,
}

impl Scratch {
    /// Buffers for a view and so many bins around it.
    pub fn new(geometry: &Geometry, margin: i32) -> Self {
        let first = geometry.low.floor() as i32 - margin;
        let count = (geometry.high().ceil() as i32 + margin - first).max(1) as usize;
        Self { first, bins: vec![0.0; count], one: vec![0.0; count] }
    }

    /// USD by row: each row takes of each bin the share its span covers, in log price.
    pub fn sum(&mut self, geometry: &Geometry, sources: &[Source], way: Way) -> Vec<f64> {
        self.sum_about(geometry, sources, way, mark_bin(sources))
    }

    /// As [`Scratch::sum`], for a part of the sources of which all together lie about the mark's bin.
    pub fn sum_about(
        &mut self,
        geometry: &Geometry,
        sources: &[Source],
        way: Way,
        mark_bin: i32,
    ) -> Vec<f64> {
        self.bins.fill(0.0);
        for source in sources.iter().filter(|s| s.weight > 0.0) {
            self.one.fill(0.0);
            source.column.add_levels(way.tiers, self.first, &mut self.one);
            way.sides.keep(source.column.mark_bin - self.first, &mut self.one);
            for (sum, usd) in self.bins.iter_mut().zip(&self.one) {
                *sum += usd * source.weight;
            }
        }
        if let Some(log_step) = way.smooth {
            self.bins = kernel::spread(&self.bins, self.first, mark_bin, log_step);
        }
        rows(geometry, self.first, &self.bins)
    }
}

impl Sides {
    /// Empties the bins of the sides that do not count; `mark` is the place of the mark's bin, which counts as below.
    pub fn keep(self, mark: i32, bins: &mut [f64]) {
        let middle = usize::try_from(mark + 1).unwrap_or(0).min(bins.len());
        let (below, above) = bins.split_at_mut(middle);
        if !self.has(Side::Long) {
            below.fill(0.0);
        }
        if !self.has(Side::Short) {
            above.fill(0.0);
        }
    }
}

/// The bin of price for several columns: their mean by open interest. Venues' marks are a bin or two apart.
pub fn mark_bin(sources: &[Source]) -> i32 {
    let weighed = sources.iter().map(|s| (s.weight * s.column.oi, f64::from(s.column.mark_bin)));
    let (sum, weight) = weighed.fold((0.0, 0.0), |(sum, all), (w, bin)| (sum + w * bin, all + w));
    if weight > 0.0 { (sum / weight).round() as i32 } else { sources.last().map_or(0, |s| s.column.mark_bin) }
}

/// Amounts by bin, from `first` on, as amounts by row.
pub fn rows(geometry: &Geometry, first: i32, bins: &[f64]) -> Vec<f64> {
    let mut below = Vec::with_capacity(bins.len() + 1);
    let mut sum = 0.0;
    below.push(sum);
    below.extend(bins.iter().map(|usd| {
        sum += usd;
        sum
    }));
    let below = |position: f64| {
        let x = (position - f64::from(first)).clamp(0.0, bins.len() as f64);
        let whole = x as usize;
        below[whole] + bins.get(whole).map_or(0.0, |usd| usd * (x - whole as f64))
    };
    let edge = |row: usize| below(geometry.low + row as f64 * geometry.step);
    (0..geometry.rows).map(|row| (edge(row + 1) - edge(row)).max(0.0)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::estimate::calibrate::Uncertainty;
    use crate::estimate::{Packed, TIERS, Tier};
    use crate::market::Interval;

    pub fn column(start: i64, interval: Interval, first_bin: i32, usd: &[f64], tier: Tier) -> Arc<Column> {
        let mut levels: [Packed; TIERS] = Default::default();
        levels[tier.index()] = Packed::new(first_bin, usd, 0.0);
        Arc::new(Column {
            start,
            interval,
            mark: 100.0,
            mark_bin: first_bin,
            oi: 1.0,
            coverage: 1.0,
            uncertainty: Uncertainty::default(),
            levels,
            factors: Default::default(),
            swept: Default::default(),
            printed: Default::default(),
            bar: None,
            gap: false,
            reconstructed: false,
        })
    }

    fn source(column: Arc<Column>, weight: f64) -> Source {
        Source { venue: "binance".parse().unwrap(), column, weight }
    }

    const PLAIN: Way = Way { tiers: TierSet::ALL, sides: Sides::Both, smooth: None };

    #[test]
    fn a_side_that_does_not_count_leaves_its_bins_empty() {
        let kept = |sides: Sides, mark: i32| {
            let mut bins = [1.0, 2.0, 3.0, 4.0];
            sides.keep(mark, &mut bins);
            bins
        };
        assert_eq!(kept(Sides::Both, 1), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(kept(Sides::Longs, 1), [1.0, 2.0, 0.0, 0.0]);
        assert_eq!(kept(Sides::Shorts, 1), [0.0, 0.0, 3.0, 4.0]);
        // The mark lies outside the view.
        assert_eq!((kept(Sides::Longs, -9), kept(Sides::Shorts, -9)), ([0.0; 4], [1.0, 2.0, 3.0, 4.0]));
        assert_eq!((kept(Sides::Longs, 9), kept(Sides::Shorts, 9)), ([1.0, 2.0, 3.0, 4.0], [0.0; 4]));
    }

    #[test]
    fn a_row_takes_of_each_bin_the_share_it_covers() {
        // Bins 10 to 13 hold 4, 8, 0, 16. Rows of 1.5 bins from 10.5: [10.5, 12) = 4/2 + 8; [12, 13.5) = 0 + 16/2.
        let g = Geometry { start: 0, dt: 1, columns: 1, low: 10.5, step: 1.5, rows: 3 };
        let c = column(0, Interval::M1, 10, &[4.0, 8.0, 0.0, 16.0], Tier::X50);
        let rows = Scratch::new(&g, 0).sum(&g, &[source(Arc::clone(&c), 1.0)], PLAIN);
        assert_eq!(rows, [10.0, 8.0, 8.0]);
        // Half of it and a quarter of a column twice as hot: 10 / 2 + 20 / 4.
        let d = column(60_000, Interval::M1, 10, &[8.0, 16.0], Tier::X50);
        let sources = [source(c, 0.5), source(d, 0.25)];
        assert_eq!(Scratch::new(&g, 0).sum(&g, &sources, PLAIN), [10.0, 4.0, 4.0]);
        let without = Way { tiers: TierSet::ALL.toggled(Tier::X50), ..PLAIN };
        assert_eq!(Scratch::new(&g, 0).sum(&g, &sources, without), [0.0; 3]);
    }

    #[test]
    fn what_lies_just_outside_is_smoothed_into_the_view() {
        let g = Geometry { start: 0, dt: 1, columns: 1, low: 110.0, step: 1.0, rows: 30 };
        let c = column(0, Interval::M1, 100, &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 9.0], Tier::X50);
        let way = Way { smooth: Some(0.0005), ..PLAIN };
        let rows = Scratch::new(&g, way.margin(&g)).sum(&g, &[source(c, 1.0)], way);
        assert!(rows[0] > rows[1] && rows[1] > 0.0 && rows.iter().sum::<f64>() < 9.0);
        assert_eq!(rows[20], 0.0);
    }
}
