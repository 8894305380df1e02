//! What the engine shows the world: an immutable picture, at most ten a second.

use std::sync::Arc;

use crate::estimate::{Bar, BinTable, Column};
pub use crate::feed::instruments::AssetInfo;
pub use crate::feed::status::{Counters, LinkState, StreamStatus, VenueStatus};
use crate::market::event::Book;
use crate::market::{Asset, Interval, Side, Venue};

/// Where the events come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The exchanges themselves.
    Live,
    /// Simulated exchanges; the screen says SIMULATED.
    Simulated,
    /// A recording.
    Replay,
}

/// Everything the screen and the headless commands read.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Counts up with every picture.
    pub seq: u64,
    /// What is watched.
    pub asset: Asset,
    /// Where the events come from.
    pub origin: Origin,
    /// Time of the newest event, UTC ms; 0 before the first.
    pub now: i64,
    /// Mark price weighted by open interest over the venues, USD per coin.
    pub mark: Option<f64>,
    /// The bin edges all columns share.
    pub bins: Arc<BinTable>,
    /// One picture a venue, in the order of the configuration.
    pub venues: Vec<VenueView>,
    /// The newest observed liquidations over all venues, oldest first (at most 500).
    pub tape: Arc<[Print]>,
    /// The assets a user may pick.
    pub assets: Arc<[AssetInfo]>,
    /// Events taken in since the start.
    pub events: u64,
}

/// An observed liquidation, for the tape and the marks on the map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Print {
    /// Exchange time, UTC ms.
    pub ts: i64,
    /// Where.
    pub venue: Venue,
    /// The position side that died.
    pub side: Side,
    /// USD per coin.
    pub price: f64,
    /// USD.
    pub usd: f64,
}

/// One venue's part of the picture.
#[derive(Debug, Clone)]
pub struct VenueView {
    /// Which venue.
    pub venue: Venue,
    /// How its feed is doing.
    pub status: VenueStatus,
    /// Its mark price, USD per coin.
    pub mark: Option<f64>,
    /// Its last trade, USD per coin.
    pub last: Option<f64>,
    /// Its open interest, USD.
    pub oi_usd: Option<f64>,
    /// Funding rate of the running period.
    pub funding: Option<f64>,
    /// Share of its open interest the resting mass explains, 0 to 1.
    pub coverage: f64,
    /// Before this time (UTC ms) the venue keeps no open interest: it was held constant, and columns say reconstructed.
    pub held_until: Option<i64>,
    /// Its newest book.
    pub book: Option<Arc<Book>>,
    /// Its closed columns.
    pub history: Arc<History>,
    /// The running column: levels as they are now.
    pub live: Option<Arc<Column>>,
}

/// The mean of prices weighted by open interest, or the first price where nobody has any.
pub fn weighted_mark(priced: impl Iterator<Item = (f64, f64)> + Clone) -> Option<f64> {
    let weight: f64 = priced.clone().map(|(_, oi)| oi).sum();
    if weight > 0.0 {
        Some(priced.map(|(price, oi)| price * oi).sum::<f64>() / weight)
    } else {
        priced.map(|(price, _)| price).next()
    }
}

/// One bar for several venues: prices of the one with the largest open interest (USD, the first of each pair), volume of
/// all. Venues trade a little apart, and a mean of their prices would be traded nowhere.
pub fn joint_bar(bars: impl IntoIterator<Item = (f64, Bar)>) -> Option<Bar> {
    let largest = |(a, sum): (f64, Bar), (b, bar): (f64, Bar)| {
        let volume = sum.volume + bar.volume;
        if b > a { (b, Bar { volume, ..bar }) } else { (a, Bar { volume, ..sum }) }
    };
    bars.into_iter().reduce(largest).map(|(_, bar)| bar)
}

/// Closed columns of one venue, by interval: one minute for six hours, five minutes for a week, one hour for half a year, days beyond.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Each interval's columns, oldest first, starts strictly rising; finest interval first.
    pub ladder: [Vec<Arc<Column>>; 4],
}

impl History {
    /// The intervals of the ladder.
    pub const INTERVALS: [Interval; 4] = [Interval::M1, Interval::M5, Interval::H1, Interval::D1];

    /// The columns to draw for the time from `from` to `to` (UTC ms): the coarsest interval that is still no longer than
    /// the span, else whatever finer or coarser columns there are.
    pub fn columns(&self, from: i64, to: i64) -> &[Arc<Column>] {
        let span = (to - from).max(1);
        let wanted = Self::INTERVALS.iter().rposition(|i| i.ms() <= span).unwrap_or(0);
        let finer = (0..wanted).rev();
        let coarser = wanted + 1..Self::INTERVALS.len();
        for level in std::iter::once(wanted).chain(finer).chain(coarser) {
            let columns = &self.ladder[level];
            let start = columns.partition_point(|c| c.end() <= from);
            let end = columns.partition_point(|c| c.start < to);
            if start < end {
                return &columns[start..end];
            }
        }
        &[]
    }

    /// The finest interval whose columns reach back to `from`, and its columns up to `to` (UTC ms).
    pub fn series(&self, from: i64, to: i64) -> &[Arc<Column>] {
        let reaches = |l: &&Vec<Arc<Column>>| l.first().is_some_and(|c| c.start <= from);
        let columns = self.ladder.iter().find(reaches).or(self.ladder.iter().rfind(|l| !l.is_empty()));
        let columns = columns.map_or(&[][..], Vec::as_slice);
        let start = columns.partition_point(|c| c.end() <= from);
        let end = columns.partition_point(|c| c.start < to);
        &columns[start..end.max(start)]
    }

    /// Start of the oldest column, UTC ms.
    pub fn first(&self) -> Option<i64> {
        self.ladder.iter().filter_map(|l| l.first()).map(|c| c.start).min()
    }
}
