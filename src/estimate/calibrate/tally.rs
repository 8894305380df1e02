//! What was foretold and what came, hour by hour.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::estimate::grid::Bar;

/// Hours kept: a week and a little.
const KEPT: usize = 7 * 24 + 1;

/// One hour (or one bar, where only totals of bars are known) of one venue.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Start, UTC ms.
    pub start: i64,
    /// Length, ms.
    pub ms: i64,
    /// The path and the volume (base coin).
    pub bar: Bar,
    /// Open interest before it was settled with the bar, base coin.
    pub oi: f64,
    /// Base coin the feed was expected to show given the path, longs then shorts; made from what was known before each sweep. Of a
    /// feed that prints at most one liquidation a second that is less than what is expected to be liquidated.
    pub predicted: [f64; 2],
    /// Base coin the range alone foretold.
    pub range_only: [f64; 2],
    /// Base coin observed.
    pub realised: [f64; 2],
    /// Whether the feed was complete for the whole of it.
    pub is_whole: bool,
}

/// The last week's tallies, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tallies(VecDeque<Tally>);

impl Tallies {
    /// One more.
    pub fn push(&mut self, tally: Tally) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(tally);
    }

    /// Those that end after `from` (UTC ms) were not whole.
    pub fn spoil(&mut self, from: i64) {
        self.0.iter_mut().rev().take_while(|t| t.start + t.ms > from).for_each(|t| t.is_whole = false);
    }

    /// All that are kept, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Tally> + ExactSizeIterator {
        self.0.iter()
    }

    /// The newest.
    pub fn last(&self) -> Option<&Tally> {
        self.0.back()
    }
}
