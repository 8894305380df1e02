//! What one simulated second shows to the outside.

use crate::market::Side;

/// A taker order's fills at one price: the row of an aggregate trade stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Print {
    /// When, UTC ms of simulated time.
    pub ms: i64,
    /// Price in ticks.
    pub ticks: i64,
    /// Quantity in lots.
    pub lots: i64,
    /// Whether the taker bought.
    pub taker_buys: bool,
    /// Number of this row, without gaps.
    pub id: u64,
    /// Number of its first fill, without gaps over all rows.
    pub first_fill: u64,
    /// Number of its last fill.
    pub last_fill: u64,
    /// A trader among those who bought, as [`super::Holding::id`] names positions; 0 if only market makers did.
    pub buyer: u64,
    /// A trader among those who sold; 0 if only market makers did.
    pub seller: u64,
}

impl Print {
    /// The fills it consists of, with their numbers and lots. They are no more than its lots.
    pub fn fills(&self) -> impl ExactSizeIterator<Item = (u64, i64)> + DoubleEndedIterator {
        let count = ((self.last_fill - self.first_fill + 1) as i64).min(self.lots).max(1) as usize;
        let (each, first) = (self.lots / count as i64, self.first_fill);
        let surplus = self.lots - each * count as i64;
        (0..count).map(move |n| (first + n as u64, if n == 0 { each + surplus } else { each }))
    }
}

/// A trader who opened or closed a position, in whole or in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Party {
    /// The position, as [`super::Holding::id`] names it.
    pub id: u64,
    /// Whether the trader bought.
    pub buys: bool,
    /// Quantity in lots.
    pub lots: i64,
}

/// A forced close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forced {
    /// The position, as [`super::Holding::id`] names it.
    pub id: u64,
    /// When, UTC ms of simulated time.
    pub ms: i64,
    /// The position side that died.
    pub side: Side,
    /// Everything closed, lots.
    pub lots: i64,
    /// The largest single order among it, lots: a simulated trader stands for many accounts of unlike size.
    pub largest: i64,
    /// Average fill in ticks.
    pub ticks: i64,
    /// Price at which the position's margin is used up, in ticks: what venues call the bankruptcy price.
    pub bankruptcy: i64,
}

/// One second of a venue's market. Prices are USD per quoted unit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tick {
    /// End of the second, UTC ms of simulated time.
    pub end_ms: i64,
    /// Prints of the second, in order of time.
    pub prints: Vec<Print>,
    /// Forced closes executed in the second, in order of time.
    pub forced: Vec<Forced>,
    /// Traders whose orders are in the prints; the rest of the volume is market makers'.
    pub parties: Vec<Party>,
    /// Mark price at its end.
    pub mark: f64,
    /// Mark price averaged over the last minute.
    pub mark_mean: f64,
    /// Index price at its end.
    pub index: f64,
    /// Funding rate the running period would pay.
    pub funding: f64,
    /// A funding period that ended with this second: its rate.
    pub settled: Option<f64>,
    /// Best bid at its end, ticks; the best ask is one tick higher.
    pub bid: i64,
    /// Open interest at its end, one side, lots.
    pub open_interest: i64,
}
