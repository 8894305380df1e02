//! A plausible order book. Nothing rests in it for real: trading is by flow and impact, and the book only shows a
//! depth that agrees with that impact, changing a little every 100 ms.
//!
//! What rests at a price at a time is a function of both, so a book needs no memory: a snapshot can be taken at any
//! moment and at any depth, and what changed between two moments is the difference of two books.

use super::contract::Contract;

/// Time between two states of a book, ms.
pub const STEP_MS: i64 = 100;
/// Share of open interest that rests within a basis point, on each side.
const PER_BP: f64 = 0.001;

/// A price level: ticks and lots. Zero lots: nothing rests there any more.
pub type Level = (i64, i64);

/// A venue's book at a moment. The best ask is one tick above the best bid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Book {
    contract: &'static Contract,
    /// Number of the state: UTC time in steps of [`STEP_MS`].
    pub step: i64,
    /// Best bid, ticks.
    pub bid: i64,
}

/// What changed between two books of the same depth.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Bids, best first: new quantities, 0 for levels that are gone.
    pub bids: Vec<Level>,
    /// Asks, best first.
    pub asks: Vec<Level>,
}

impl Book {
    /// The book of a contract in a state.
    pub fn new(contract: &'static Contract, step: i64, bid: i64) -> Self {
        Self { contract, step, bid: bid.max(1) }
    }

    /// What it is a book of.
    pub fn contract(&self) -> &'static Contract {
        self.contract
    }

    /// Best ask, ticks.
    pub fn ask(&self) -> i64 {
        self.bid + 1
    }

    /// The best bids, best first; fewer than asked for only where prices end at one tick.
    pub fn bids(&self, levels: usize) -> Vec<Level> {
        (0..levels as i64)
            .map(|n| self.bid - n)
            .take_while(|t| *t > 0)
            .map(|t| (t, self.resting(t)))
            .collect()
    }

    /// The best asks, best first.
    pub fn asks(&self, levels: usize) -> Vec<Level> {
        (0..levels as i64).map(|n| self.ask() + n).map(|t| (t, self.resting(t))).collect()
    }

    /// Lots resting at a price; the same whenever that price is looked at in this state.
    pub fn resting(&self, ticks: i64) -> i64 {
        let level = mix(ticks as u64);
        // Each level is touched at its own pace, every second to every eight seconds.
        let period = 10 + (level >> 8) as i64 % 70;
        let epoch = (self.step + (level >> 24) as i64 % period).div_euclid(period);
        let now = mix(level ^ epoch as u64);
        let contract = self.contract;
        let price = contract.price_of(ticks);
        let tick_bp = contract.tick() / price * 1e4;
        let mean = PER_BP * contract.open_interest_usd * tick_bp / price / contract.lot();
        // Mostly thin, here and there a wall.
        let wall = unit(level);
        ((mean * (0.1 + 3.6 * wall * wall * wall) * (0.6 + 0.8 * unit(now))) as i64).max(1)
    }

    /// What changed since an earlier book, both seen `levels` deep: levels that left that window are gone.
    pub fn since(&self, before: &Self, levels: usize) -> Change {
        let window = levels as i64;
        let changed = |old: std::ops::Range<i64>, new: std::ops::Range<i64>| {
            let (from, to) = (old.start.min(new.start).max(1), old.end.max(new.end));
            (from..to).filter_map(move |ticks| {
                let was = if old.contains(&ticks) { before.resting(ticks) } else { 0 };
                let is = if new.contains(&ticks) { self.resting(ticks) } else { 0 };
                (was != is).then_some((ticks, is))
            })
        };
        let below = |book: &Self| book.bid + 1 - window..book.bid + 1;
        let above = |book: &Self| book.ask()..book.ask() + window;
        let mut bids: Vec<Level> = changed(below(before), below(self)).collect();
        bids.reverse();
        Change { bids, asks: changed(above(before), above(self)).collect() }
    }
}

/// `SplitMix64`'s finisher: neighbouring numbers get unrelated values.
pub(crate) fn mix(n: u64) -> u64 {
    let mut mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn unit(mixed: u64) -> f64 {
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::sim::contracts::binance::CONTRACTS;

    #[test]
    fn the_book_does_not_cross_and_has_the_depth_of_the_impact() {
        let book = Book::new(&CONTRACTS[0], 17, 1_000_000);
        let (bids, asks) = (book.bids(100), book.asks(100));
        assert_eq!((bids[0].0, asks[0].0, bids.len(), asks.len()), (1_000_000, 1_000_001, 100, 100));
        assert!(bids.windows(2).all(|w| w[0].0 > w[1].0) && asks.windows(2).all(|w| w[0].0 < w[1].0));
        let contract = &CONTRACTS[0];
        let usd: f64 = bids.iter().map(|(t, l)| contract.price_of(*t) * contract.qty_of(*l)).sum();
        assert!((6e6..24e6).contains(&usd), "{usd} within a basis point");
    }

    #[test]
    fn whoever_applies_the_changes_has_the_book() {
        let mut before = Book::new(&CONTRACTS[0], 0, 1_000_000);
        let mut bids: BTreeMap<i64, i64> = before.bids(50).into_iter().collect();
        let mut asks: BTreeMap<i64, i64> = before.asks(50).into_iter().collect();
        let mut changed = 0;
        for step in 1..200 {
            let after = Book::new(&CONTRACTS[0], step, 1_000_000 + (step * 7) % 90 - 45);
            let change = after.since(&before, 50);
            for (side, rows) in [(&mut bids, &change.bids), (&mut asks, &change.asks)] {
                for (ticks, lots) in rows {
                    if *lots == 0 {
                        assert!(side.remove(ticks).is_some(), "only what was there goes");
                    } else {
                        side.insert(*ticks, *lots);
                    }
                }
            }
            assert_eq!(bids.iter().rev().map(|(t, l)| (*t, *l)).collect::<Vec<_>>(), after.bids(50));
            assert_eq!(asks.iter().map(|(t, l)| (*t, *l)).collect::<Vec<_>>(), after.asks(50));
            changed += change.bids.len();
            before = after;
        }
        assert!(changed > 200, "{changed}");
    }

    #[test]
    fn a_book_that_stands_still_changes_a_little() {
        let book = |step| Book::new(&CONTRACTS[0], step, 1_000_000);
        let changes: usize = (0..100).map(|s| book(s + 1).since(&book(s), 1_000).bids.len()).sum();
        assert!((1_000..10_000).contains(&changes), "{changes} of 1000 levels in ten seconds");
        assert_eq!(book(5).since(&book(5), 1_000), Change::default());
    }

    #[test]
    fn prices_end_at_one_tick() {
        let book = Book::new(&CONTRACTS[0], 1, 3);
        assert_eq!(book.bids(10).len(), 3);
        let gone = Book::new(&CONTRACTS[0], 1, 1).since(&book, 10);
        assert!(gone.bids.iter().all(|(ticks, _)| *ticks > 0));
    }
}
