//! What the engine shows the world: an immutable picture, at most ten a second.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::playback::Playback;
use crate::estimate::calibrate::Tally;
use crate::estimate::measured::Fit;
use crate::estimate::{Bar, BinTable, Column, Preset};
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
    /// Who writes the history that this is read from, where another process does.
    pub followed: Option<Arc<str>>,
    /// How a replay does, where it can be driven.
    pub playback: Option<Playback>,
}

/// An observed liquidation, for the tape and the marks on the map.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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
    /// The log-normal of its public positions' distances, and how well it fits; where enough are known.
    pub distances: Option<Fit>,
    /// Its mark price, USD per coin.
    pub mark: Option<f64>,
    /// Its last trade, USD per coin.
    pub last: Option<f64>,
    /// Its open interest, USD.
    pub oi_usd: Option<f64>,
    /// Funding rate of the running period.
    pub funding: Option<f64>,
    /// Length of that period, hours, where the venue tells it.
    pub funding_hours: Option<u32>,
    /// Share of its open interest the resting mass explains, 0 to 1.
    pub coverage: f64,
    /// Before this time (UTC ms) the venue keeps no open interest: it was held constant, and columns say reconstructed.
    pub held_until: Option<i64>,
    /// Liquidations printed that were not believed: far from price, or more than was traded.
    pub odd_prints: u64,
    /// The share of hours, of late, whose liquidations lay within the band; `None` while there are too few.
    pub band_coverage: Option<f64>,
    /// What was foretold and what came in the last week, by hour or bar, oldest first.
    pub tallies: Arc<[Tally]>,
    /// Its newest book.
    pub book: Option<Arc<Book>>,
    /// How its picture came about.
    pub course: Course,
    /// Its closed columns.
    pub history: Arc<History>,
    /// The running column: levels as they are now.
    pub live: Option<Arc<Column>>,
    /// The same by another map's rule, while one is chosen.
    pub preset: Option<PresetView>,
}

/// How a venue's picture came about, in stretches of event time (UTC ms). Columns up to `restored` were drawn in an earlier run;
/// between that (or `first`) and `live` history told by the venue stands; from `live` on its streams were heard. What nobody told
/// is in the columns' own marks ([`Column::gap`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Course {
    /// The first event of this run.
    pub first: Option<i64>,
    /// The end of what was taken up from the store.
    pub restored: Option<i64>,
    /// Since when its streams are heard.
    pub live: Option<i64>,
    /// Events that the restored state held already.
    pub overlaps: u64,
}

/// One venue by another map's rule. All levels are in the lowest tier: a rule knows no tiers of ours.
#[derive(Debug, Clone)]
pub struct PresetView {
    /// Whose rule.
    pub preset: Preset,
    /// Its closed columns.
    pub history: Arc<History>,
    /// Its running column.
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

    /// The finest interval of the ladder whose columns hold all that is known: finer ones are kept for a while only.
    pub fn whole(&self) -> usize {
        let coarsest = self.ladder.iter().rposition(|l| !l.is_empty()).unwrap_or(0);
        // A coarse column starts before its data do, but never ends before them.
        let reaches = |finer: usize| match (self.ladder[finer].first(), self.ladder[finer + 1].first()) {
            (Some(fine), Some(coarse)) => fine.start < coarse.end(),
            _ => false,
        };
        (0..coarsest).rev().take_while(|l| reaches(*l)).last().unwrap_or(coarsest)
    }

    /// The finest closed column that holds a time (UTC ms).
    pub fn at(&self, t: i64) -> Option<&Arc<Column>> {
        let holding = |columns: &'_ [Arc<Column>]| columns.partition_point(|c| c.end() <= t);
        self.ladder.iter().find_map(|columns| columns.get(holding(columns)).filter(|c| c.start <= t))
    }

    /// The closed columns from a time (UTC ms) on, oldest first: at each time the finest, and none twice. The first may have
    /// started before.
    pub fn since(&self, from: i64) -> impl Iterator<Item = &Arc<Column>> {
        let (mut t, mut is_first) = (from, true);
        std::iter::from_fn(move || {
            // Only the first may have begun earlier: of any other a part has been told by finer ones.
            let is_over = |c: &Arc<Column>| if is_first { c.end() <= t } else { c.start < t };
            let after =
                self.ladder.iter().filter_map(|columns| columns.get(columns.partition_point(is_over)));
            let column = after.min_by_key(|c| (c.start.max(t), c.interval.ms()))?;
            (t, is_first) = (column.end(), false);
            Some(column)
        })
    }

    /// Start of the oldest column, UTC ms.
    pub fn first(&self) -> Option<i64> {
        self.ladder.iter().filter_map(|l| l.first()).map(|c| c.start).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::calibrate::Uncertainty;

    fn column(minute: i64, interval: Interval) -> Arc<Column> {
        Arc::new(Column {
            start: minute * 60_000,
            interval,
            mark: 100.0,
            mark_bin: 0,
            oi: 1.0,
            coverage: 1.0,
            uncertainty: Uncertainty::default(),
            levels: Default::default(),
            factors: Default::default(),
            swept: Default::default(),
            printed: Default::default(),
            bar: None,
            gap: false,
            reconstructed: false,
        })
    }

    #[test]
    fn the_whole_is_the_finest_interval_that_nothing_was_taken_from() {
        let ladder = |starts: [Option<i64>; 4]| {
            let mut history = History::default();
            for ((columns, start), interval) in history.ladder.iter_mut().zip(starts).zip(History::INTERVALS)
            {
                columns.extend(start.map(|minute| column(minute, interval)));
            }
            history.whole()
        };
        assert_eq!(ladder([None; 4]), 0);
        // Data from 00:58 on: five minutes and hours start before them.
        assert_eq!(ladder([Some(58), Some(55), Some(0), None]), 0);
        assert_eq!(ladder([Some(300), Some(55), Some(0), None]), 1);
        // From 22:00 on, over midnight; minutes of the last six hours only.
        assert_eq!(ladder([Some(1_500), Some(1_320), Some(1_320), Some(0)]), 1);
        assert_eq!(ladder([Some(9_000), Some(8_000), Some(7_000), Some(0)]), 3);
    }

    #[test]
    fn a_time_is_looked_up_in_the_finest_column_and_a_walk_takes_none_twice() {
        let at = |minute: i64, interval| column(minute, interval);
        let history = History {
            ladder: [
                vec![at(62, Interval::M1), at(63, Interval::M1)],
                vec![at(50, Interval::M5), at(55, Interval::M5), at(60, Interval::M5)],
                vec![at(0, Interval::H1)],
                Vec::new(),
            ],
        };
        let told = |c: &Arc<Column>| (c.start / 60_000, c.interval);
        let find = |minute: i64| history.at(minute * 60_000).map(told);
        assert_eq!(find(63), Some((63, Interval::M1)));
        assert_eq!(find(61), Some((60, Interval::M5)), "no minute of it is kept");
        assert_eq!(find(3), Some((0, Interval::H1)));
        assert_eq!((find(66), find(-1)), (None, None));
        let walk = |minute: i64| history.since(minute * 60_000).map(told).collect::<Vec<_>>();
        assert_eq!(walk(52), [(50, Interval::M5), (55, Interval::M5), (60, Interval::M5)]);
        assert_eq!(walk(-9)[..1], [(0, Interval::H1)]);
        assert_eq!(walk(63), [(63, Interval::M1)]);
        assert_eq!(walk(90), []);
    }

    #[test]
    fn the_mark_is_weighted_and_a_bar_has_the_prices_of_the_largest() {
        let mark = |priced: &[(f64, f64)]| weighted_mark(priced.iter().copied());
        assert_eq!(mark(&[(100.0, 3.0), (104.0, 1.0)]), Some(101.0));
        assert_eq!(mark(&[(100.0, 0.0), (104.0, 0.0)]), Some(100.0));
        assert_eq!(mark(&[]), None);
        let bar = |price: f64, volume| Bar { open: price, high: price, low: price, close: price, volume };
        let joint = joint_bar([(5.0, bar(1.0, 2.0)), (7.0, bar(3.0, 4.0)), (7.0, bar(9.0, 1.0))]);
        assert_eq!(joint, Some(bar(3.0, 7.0)));
        assert_eq!(joint_bar([]), None);
    }
}
