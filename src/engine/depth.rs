//! What a book says about how easily price moves.

use std::ops::Range;

use crate::estimate::BinTable;
use crate::market::event::Book;
use crate::market::{Price, Qty};

/// Resting orders near the middle of a book.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Depth {
    /// USD of bids, then asks.
    pub usd: [f64; 2],
    /// Whether the book as told reaches that far on both sides; without, there is at least so much.
    pub is_whole: bool,
}

/// The middle between best bid and best ask, USD per coin; `None` while a side is empty.
pub fn mid(book: &Book) -> Option<f64> {
    Some(f64::midpoint(book.bids.first()?.0.to_f64(), book.asks.first()?.0.to_f64()))
}

/// The distance between best bid and best ask, basis points of the middle.
pub fn spread_bp(book: &Book) -> Option<f64> {
    let (bid, ask) = (book.bids.first()?.0.to_f64(), book.asks.first()?.0.to_f64());
    Some(10_000.0 * (ask - bid) / mid(book)?)
}

/// What rests within a share of the middle (0.01 = 1 %).
pub fn within(book: &Book, share: f64) -> Option<Depth> {
    let mid = mid(book)?;
    let near = |price: Price| (price.to_f64() / mid - 1.0).abs() <= share;
    let side = |rows: &[(Price, Qty)]| {
        let usd = rows.iter().take_while(|(p, _)| near(*p)).map(|(p, q)| p.to_f64() * q.to_f64()).sum();
        // A row beyond, or one so near the end that the next may well lie beyond, shows that nothing is cut off.
        let reach = rows.last().map_or(0.0, |(p, _)| (p.to_f64() / mid - 1.0).abs());
        (usd, reach >= 0.95 * share)
    };
    let ((bids, bids_whole), (asks, asks_whole)) = (side(&book.bids), side(&book.asks));
    Some(Depth { usd: [bids, asks], is_whole: bids_whole && asks_whole })
}

/// Adds the USD that rest in each bin from `first` on onto `out`, and tells the bins of which the book says everything: those
/// between its ends.
pub fn by_bin(book: &Book, bins: &BinTable, first: i32, out: &mut [f64]) -> Range<i32> {
    let mut ends = [None; 2];
    for ((side, step), end) in [(&book.bids, -1), (&book.asks, 1)].into_iter().zip(&mut ends) {
        for (price, qty) in side {
            let price = price.to_f64();
            // Most rows lie in the bin of the row before, or in one beside it.
            let here = |bin: &i32| bins.edge(*bin) <= price && price < bins.edge(*bin + 1);
            let near = end.and_then(|bin| [bin, bin + step].into_iter().find(here));
            let Some(bin) = near.or_else(|| bins.bin(price)) else { continue };
            *end = Some(bin);
            if let Some(slot) = usize::try_from(bin - first).ok().and_then(|i| out.get_mut(i)) {
                *slot += price * qty.to_f64();
            }
        }
    }
    match ends {
        [Some(low), Some(high)] => low + 1..high,
        _ => 0..0,
    }
}

/// The same book in few rows: the best of each side as it is, then one row for each basis point of distance from it, with all that rests there at the
/// price that comes first.
pub fn in_brief(book: &Book) -> Book {
    let side = |rows: &[(Price, Qty)]| {
        let mut brief: Vec<(Price, Qty)> = Vec::new();
        let mut last = None;
        for &(price, qty) in rows {
            let Some(&(best, _)) = brief.first() else {
                brief.push((price, qty));
                continue;
            };
            let step = (10_000.0 * (price.to_f64() / best.to_f64() - 1.0).abs()).floor();
            match brief.last_mut() {
                Some((_, sum)) if last == Some(step) => *sum = sum.checked_add(qty).unwrap_or(*sum),
                _ => brief.push((price, qty)),
            }
            last = Some(step);
        }
        brief
    };
    Book { bids: side(&book.bids), asks: side(&book.asks) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rests_is_summed_by_bin_and_the_ends_are_not_whole() {
        let rows = |rows: &[(&str, &str)]| {
            rows.iter().map(|(p, q)| (p.parse().unwrap(), q.parse().unwrap())).collect::<Vec<(Price, Qty)>>()
        };
        // Bins of 1 %: 1000 and 1001 share one.
        let bins = BinTable::new(100.0);
        let at = bins.bin(1000.0).unwrap();
        let edge = bins.edge(at + 1);
        let book = Book {
            bids: rows(&[("1000", "1"), ("980", "2"), ("960", "5")]),
            asks: rows(&[("1001", "3"), ("1030", "1"), ("1050", "1")]),
        };
        assert!(edge > 1001.0 && bins.edge(at) <= 1000.0, "{edge}");
        let mut out = vec![0.0; 3];
        let span = by_bin(&book, &bins, at - 2, &mut out);
        assert_eq!(out[2], 1000.0 + 3.0 * 1001.0);
        assert_eq!(out[0] + out[1], 2.0 * 980.0);
        assert_eq!(span, bins.bin(960.0).unwrap() + 1..bins.bin(1050.0).unwrap());
        assert_eq!(by_bin(&Book { asks: rows(&[]), ..book }, &bins, at, &mut out), 0..0);
    }

    #[test]
    fn depth_is_summed_from_the_middle_and_a_short_book_says_so() {
        let rows = |rows: &[(&str, &str)]| {
            rows.iter().map(|(p, q)| (p.parse().unwrap(), q.parse().unwrap())).collect::<Vec<(Price, Qty)>>()
        };
        // Middle 1000: 0.1 % is 1 USD, 1 % is 10.
        let book = Book {
            bids: rows(&[("999.9", "1"), ("999.2", "2"), ("998", "3"), ("985", "50")]),
            asks: rows(&[("1000.1", "1"), ("1001.1", "4"), ("1005", "2")]),
        };
        assert_eq!(mid(&book), Some(1000.0));
        assert!((spread_bp(&book).unwrap() - 2.0).abs() < 1e-9);
        let near = within(&book, 0.001).unwrap();
        assert!((near.usd[0] - (999.9 + 2.0 * 999.2)).abs() < 1e-9);
        assert!((near.usd[1] - 1000.1).abs() < 1e-9 && near.is_whole);
        let far = within(&book, 0.01).unwrap();
        assert!((far.usd[0] - (999.9 + 2.0 * 999.2 + 3.0 * 998.0)).abs() < 1e-9);
        assert!((far.usd[1] - (1000.1 + 4.0 * 1001.1 + 2.0 * 1005.0)).abs() < 1e-9);
        assert!(!far.is_whole, "the asks end at half a percent");
        assert_eq!(within(&Book { bids: rows(&[]), ..book }, 0.01), None);
    }

    #[test]
    fn a_book_in_brief_has_a_row_a_basis_point_behind_the_best() {
        let rows = |rows: &[(&str, &str)]| {
            rows.iter().map(|(p, q)| (p.parse().unwrap(), q.parse().unwrap())).collect::<Vec<(Price, Qty)>>()
        };
        // A basis point of 10,000 is 1.
        let book = Book {
            bids: rows(&[
                ("10000", "1"),
                ("9999.9", "2"),
                ("9999.2", "3"),
                ("9998.9", "4"),
                ("9990", "5"),
                ("9989.5", "6"),
            ]),
            asks: rows(&[("10000.1", "1"), ("10003", "2")]),
        };
        let brief = in_brief(&book);
        assert_eq!(brief.bids, rows(&[("10000", "1"), ("9999.9", "5"), ("9998.9", "4"), ("9990", "11")]));
        assert_eq!(brief.asks, book.asks);
        assert_eq!(in_brief(&brief), brief);
        let empty = Book { bids: Vec::new(), asks: Vec::new() };
        assert_eq!(in_brief(&empty), empty);
    }
}
