//! An order book: what rests at which price on one venue.

use std::collections::BTreeMap;

use super::event::Book;
use super::num::{Price, Qty};

/// The side of a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BookSide {
    /// Buyers wait here.
    Bid,
    /// Sellers wait here.
    Ask,
}

/// Most levels kept on a side: what comes from outside must not fill the memory.
const MOST: usize = 10_000;

/// Resting orders by price. Prices in USD per coin, quantities in base coin, always positive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderBook {
    bids: BTreeMap<Price, Qty>,
    asks: BTreeMap<Price, Qty>,
}

impl OrderBook {
    /// Takes everything away.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    /// Sets what rests at a price; nothing, or less, takes the level away (removing an unknown one is normal).
    pub fn set(&mut self, side: BookSide, price: Price, qty: Qty) {
        let (levels, far) = match side {
            BookSide::Bid => (&mut self.bids, BTreeMap::pop_first as fn(&mut BTreeMap<Price, Qty>) -> _),
            BookSide::Ask => (&mut self.asks, BTreeMap::pop_last as fn(&mut BTreeMap<Price, Qty>) -> _),
        };
        if qty > Qty::ZERO {
            levels.insert(price, qty);
            if levels.len() > MOST {
                far(levels);
            }
        } else {
            levels.remove(&price);
        }
    }

    /// The best bid.
    pub fn bid(&self) -> Option<(Price, Qty)> {
        self.bids.last_key_value().map(|(p, q)| (*p, *q))
    }

    /// The best ask.
    pub fn ask(&self) -> Option<(Price, Qty)> {
        self.asks.first_key_value().map(|(p, q)| (*p, *q))
    }

    /// Whether the best bid is at or above the best ask, which no market allows: an update was lost.
    pub fn is_crossed(&self) -> bool {
        matches!((self.bid(), self.ask()), (Some((bid, _)), Some((ask, _))) if bid >= ask)
    }

    /// As an event, best first, without the levels further than a share of the mid price (0.02 = 2 %) from it; with all of
    /// them while a side is empty.
    pub fn near(&self, depth: f64) -> Book {
        let (Some((bid, _)), Some((ask, _))) = (self.bid(), self.ask()) else { return self.to_event() };
        let mid = f64::midpoint(bid.to_f64(), ask.to_f64());
        let (low, high) = (mid * (1.0 - depth), mid * (1.0 + depth));
        let bids = self.bids.iter().rev().take_while(|(p, _)| p.to_f64() >= low);
        let asks = self.asks.iter().take_while(|(p, _)| p.to_f64() <= high);
        Book { bids: bids.map(|(p, q)| (*p, *q)).collect(), asks: asks.map(|(p, q)| (*p, *q)).collect() }
    }

    /// As an event, best first.
    pub fn to_event(&self) -> Book {
        Book {
            bids: self.bids.iter().rev().map(|(p, q)| (*p, *q)).collect(),
            asks: self.asks.iter().map(|(p, q)| (*p, *q)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(bids: &[(&str, &str)], asks: &[(&str, &str)]) -> OrderBook {
        let mut book = OrderBook::default();
        for (side, rows) in [(BookSide::Bid, bids), (BookSide::Ask, asks)] {
            for (price, qty) in rows {
                book.set(side, price.parse().unwrap(), qty.parse().unwrap());
            }
        }
        book
    }

    #[test]
    fn levels_are_set_replaced_and_removed() {
        let mut book = book(&[("99", "1"), ("98", "2"), ("99", "3")], &[("101", "1")]);
        assert_eq!(book.bid(), Some(("99".parse().unwrap(), "3".parse().unwrap())));
        book.set(BookSide::Bid, "99".parse().unwrap(), Qty::ZERO);
        book.set(BookSide::Bid, "50".parse().unwrap(), Qty::ZERO);
        assert_eq!(book.bid(), Some(("98".parse().unwrap(), "2".parse().unwrap())));
        assert!(!book.is_crossed());
        book.set(BookSide::Bid, "101".parse().unwrap(), "1".parse().unwrap());
        assert!(book.is_crossed());
    }

    #[test]
    fn what_is_far_from_the_mid_is_not_told() {
        let event =
            book(&[("99", "1"), ("97.9", "1")], &[("101", "1"), ("102.1", "1"), ("102", "1")]).near(0.02);
        let prices = |rows: &[(Price, Qty)]| rows.iter().map(|r| r.0.to_string()).collect::<Vec<_>>();
        assert_eq!(prices(&event.bids), ["99"]);
        assert_eq!(prices(&event.asks), ["101", "102"]);
    }

    #[test]
    fn a_side_that_is_flooded_loses_its_furthest_levels() {
        let mut book = OrderBook::default();
        for n in 1..=MOST as i128 + 5 {
            book.set(BookSide::Bid, Price::from_raw(n), Qty::from_raw(1));
        }
        assert_eq!(book.bids.len(), MOST);
        assert_eq!(book.bid().unwrap().0, Price::from_raw(MOST as i128 + 5));
    }
}
