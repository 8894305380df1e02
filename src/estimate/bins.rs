//! Logarithmic price bins whose edges every machine agrees on.
//!
//! `edge[0] = 1e-13`, `edge[i + 1] = edge[i] × (1 + w)` in `f64` up to 1e7, `w` = 5 bp by default. A price lies in the last
//! bin whose lower edge is at or below it; the logarithm is only a first guess. A distance in leverage is then a constant
//! shift in bins, and a column never has to be re-binned when price runs away.

use std::ops::Range;

use crate::market::Price;

/// The first edge, USD: the smallest price the program can hold.
const LOWEST: f64 = 1e-13;
/// No edge lies above this, USD.
const HIGHEST: f64 = 1e7;

/// The table of edges for one bin width.
#[derive(Debug, Clone, PartialEq)]
pub struct BinTable {
    bp: f64,
    edges: Vec<f64>,
    /// Geometric middles.
    middles: Vec<f64>,
    /// One over each of them: a division takes as long as all else that is computed of a bin.
    inverses: Vec<f64>,
    log_step: f64,
}

impl BinTable {
    /// Builds the table for bins `bp` basis points wide (1 to 100).
    pub fn new(bp: f64) -> Self {
        let bp = if bp.is_finite() { bp.clamp(1.0, 100.0) } else { 5.0 };
        let factor = 1.0 + bp / 10_000.0;
        let mut edges = Vec::with_capacity(100_000);
        let mut edge = LOWEST;
        while edge <= HIGHEST {
            edges.push(edge);
            edge *= factor;
        }
        let middles: Vec<f64> = edges.windows(2).map(|pair| (pair[0] * pair[1]).sqrt()).collect();
        let inverses = middles.iter().map(|middle| 1.0 / middle).collect();
        Self { bp, edges, middles, inverses, log_step: libm::log(factor) }
    }

    /// Bin width in basis points.
    pub fn bp(&self) -> f64 {
        self.bp
    }

    /// Width of a bin as a natural logarithm.
    pub fn log_step(&self) -> f64 {
        self.log_step
    }

    /// Number of bins.
    pub fn len(&self) -> i32 {
        self.edges.len() as i32 - 1
    }

    /// Never: a table always has bins.
    pub fn is_empty(&self) -> bool {
        self.len() <= 0
    }

    /// The bin that holds a price in USD, or `None` outside the table.
    pub fn bin(&self, price: f64) -> Option<i32> {
        if !(price >= LOWEST && price < *self.edges.last()?) {
            return None;
        }
        let mut i = (libm::log(price / LOWEST) / self.log_step) as usize;
        i = i.min(self.edges.len() - 2);
        while self.edges[i] > price {
            i -= 1;
        }
        while self.edges[i + 1] <= price {
            i += 1;
        }
        Some(i as i32)
    }

    /// The bin that holds a price.
    pub fn bin_of(&self, price: Price) -> Option<i32> {
        self.bin(price.to_f64())
    }

    /// Lower edge of a bin, USD; clamped to the table.
    pub fn edge(&self, bin: i32) -> f64 {
        self.edges[bin.clamp(0, self.len()) as usize]
    }

    /// Geometric middle of a bin, USD.
    pub fn mid(&self, bin: i32) -> f64 {
        self.middles[bin.clamp(0, self.len() - 1) as usize]
    }

    /// Geometric middles of these bins, USD; of none where they do not all lie in the table.
    pub fn mids(&self, bins: &Range<i32>) -> &[f64] {
        Self::of(&self.middles, bins)
    }

    /// One over the geometric middles of these bins, coins per USD; likewise.
    pub fn inverse_mids(&self, bins: &Range<i32>) -> &[f64] {
        Self::of(&self.inverses, bins)
    }

    fn of<'a>(values: &'a [f64], bins: &Range<i32>) -> &'a [f64] {
        let place = |bin: i32| usize::try_from(bin).unwrap_or(usize::MAX);
        values.get(place(bins.start)..place(bins.end)).unwrap_or_default()
    }

    /// Where a price lies, counted in bins with the fraction of the way through its bin (by logarithm); for drawing.
    pub fn position(&self, price: f64) -> f64 {
        libm::log(price.max(LOWEST) / LOWEST) / self.log_step
    }

    /// The price at a fractional bin position; for drawing.
    pub fn price_at(&self, position: f64) -> f64 {
        LOWEST * libm::exp(position * self.log_step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_lies_in_the_last_bin_whose_edge_is_at_or_below_it() {
        let table = BinTable::new(5.0);
        for bin in [0, 1, 40_000, 79_999, table.len() - 1] {
            assert_eq!(table.bin(table.edge(bin)), Some(bin));
            assert_eq!(table.bin(table.mid(bin)), Some(bin));
            let below = f64::from_bits(table.edge(bin + 1).to_bits() - 1);
            assert_eq!(table.bin(below), Some(bin));
        }
        for outside in [0.0, -1.0, f64::NAN, 1e-14, 2e7, f64::INFINITY] {
            assert_eq!(table.bin(outside), None);
        }
    }

    #[test]
    fn the_first_edges_are_repeated_multiplication() {
        let table = BinTable::new(5.0);
        assert_eq!(table.edge(0), 1e-13);
        assert_eq!(table.edge(1), 1e-13 * 1.0005);
        assert_eq!(table.edge(2), 1e-13 * 1.0005 * 1.0005);
    }
}
