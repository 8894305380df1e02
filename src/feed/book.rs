//! A venue's order book kept up to date from its updates.
//!
//! Each venue numbers its updates in its own way, and its wire checks them; what is the same for all is here: a book is
//! whole or it is not, and it is told up to a depth, at a capped rate by the venue's own time, so that a replay
//! tells the same books.

use crate::market::book::{BookSide, OrderBook};
use crate::market::{Price, Qty};

use super::series::{Series, Sink};

/// How much of a book is told, and how often.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BookLimits {
    /// Levels further from the mid price than this share of it (0.02 = 2 %) are not told. They are kept: the price may come
    /// nearer without the venue saying again what rests there.
    pub depth: f64,
    /// At most one `book` event in so many ms.
    pub every_ms: i64,
}

impl Default for BookLimits {
    fn default() -> Self {
        Self { depth: 0.02, every_ms: 1_000 }
    }
}

/// One instrument's book.
#[derive(Debug, Clone, Default)]
pub struct LocalBook {
    book: OrderBook,
    whole: bool,
    /// When it was last told, UTC ms.
    told: Option<i64>,
    /// When it was last whole before it was lost, UTC ms.
    lost_at: Option<i64>,
}

/// Rows of an update: price per coin, base coin.
pub type Rows = Vec<(Price, Qty)>;

impl LocalBook {
    /// Whether the book is whole: begun by a snapshot, with no update missing since.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// What rests where.
    pub fn book(&self) -> &OrderBook {
        &self.book
    }

    /// A snapshot takes the place of everything.
    pub fn replace(&mut self, bids: &Rows, asks: &Rows) {
        self.book.clear();
        self.whole = true;
        self.apply(bids, asks);
    }

    /// An update: absolute quantities, 0 removes.
    pub fn apply(&mut self, bids: &Rows, asks: &Rows) {
        for (side, rows) in [(BookSide::Bid, bids), (BookSide::Ask, asks)] {
            for &(price, qty) in rows {
                self.book.set(side, price, qty);
            }
        }
    }

    /// An update is missing, or the link is gone: nothing is known until the next snapshot.
    pub fn lose(&mut self) {
        if self.whole {
            self.lost_at = self.lost_at.or(self.told);
        }
        self.whole = false;
        self.book.clear();
    }

    /// Tells the book as it stood at `ts` (UTC ms, the venue's time), unless it was told just before or is not whole.
    /// The first one after a loss also tells the stretch that is missing.
    pub fn tell(&mut self, limits: BookLimits, series: &mut Series, out: &mut Sink<'_>, ts: i64) {
        let due = self.told.is_none_or(|told| ts >= told.saturating_add(limits.every_ms));
        if !self.whole || !due || self.book.is_crossed() {
            return;
        }
        if let Some(from) = self.lost_at.take() {
            series.gap(out, "book", from, ts);
        }
        self.told = Some(ts);
        series.book(out, ts, self.book.near(limits.depth));
    }
}
