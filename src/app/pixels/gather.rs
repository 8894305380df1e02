//! Finds the columns of the history that make up one pixel column.

use std::sync::Arc;

use crate::engine::snapshot::joint_bar;
use crate::engine::{History, VenueView};
use crate::estimate::{Column, Preset};
use crate::market::Venue;

use super::{PixelColumn, Source};

/// One venue's columns, as far as a view draws them.
pub struct Lane<'a> {
    pub venue: Venue,
    history: &'a Arc<History>,
    live: Option<&'a Arc<Column>>,
    has_data: bool,
}

/// What a lane says of closed pixel columns: while that stays the same, so do they.
#[derive(Debug, Clone)]
pub struct Standing {
    venue: Venue,
    history: Arc<History>,
    /// Start and end of the running column, UTC ms, and whether it is a gap.
    live: Option<(i64, i64, bool)>,
}

impl PartialEq for Standing {
    /// Histories are immutable, so the same history is the same address.
    fn eq(&self, other: &Self) -> bool {
        (self.venue, self.live) == (other.venue, other.live) && Arc::ptr_eq(&self.history, &other.history)
    }
}

impl Standing {
    /// The venue, and whether it has a running column.
    pub fn running(&self) -> (Venue, bool) {
        (self.venue, self.live.is_some())
    }
}

impl<'a> Lane<'a> {
    fn new(venue: Venue, history: &'a Arc<History>, live: Option<&'a Arc<Column>>) -> Self {
        // Whether anything of the venue can be drawn anywhere.
        let has_data = live.into_iter().chain(history.ladder.iter().flatten()).any(|c| !c.gap);
        Self { venue, history, live, has_data }
    }

    /// Our own estimate.
    pub fn ours(view: &'a VenueView) -> Self {
        Self::new(view.venue, &view.history, view.live.as_ref())
    }

    /// Another map's, if that is what the engine makes.
    pub fn of_preset(view: &'a VenueView, preset: Preset) -> Option<Self> {
        let lane = view.preset.as_ref().filter(|p| p.preset == preset)?;
        Some(Self::new(view.venue, &lane.history, lane.live.as_ref()))
    }

    /// What it says of closed pixel columns.
    pub fn standing(&self) -> Standing {
        let live = self.live.map(|c| (c.start, c.end(), c.gap));
        Standing { venue: self.venue, history: Arc::clone(self.history), live }
    }

    /// The running column.
    pub fn live(&self) -> Option<&Arc<Column>> {
        self.live
    }
}

/// The pixel column from `start` (UTC ms) on, `dt` ms long; its rows are not summed yet.
pub fn gather(start: i64, dt: i64, now: i64, lanes: &[Lane<'_>]) -> PixelColumn {
    let end = start + dt;
    let mut pixel = PixelColumn::default();
    if start > now {
        return pixel;
    }
    let span = (end.min(now + 1) - start).max(1);
    let mut bars = Vec::new();
    for &Lane { venue, history, live, has_data } in lanes {
        let first = pixel.sources.len();
        let mut covered = 0;
        let live = live.filter(|c| c.start < end && c.end() > start && !c.gap);
        let lives = live.is_some() && now < end;
        let mut walk = |column: &Arc<Column>, from: i64, to: i64| {
            if column.gap {
                return;
            }
            covered += to - from;
            // The newest pixel column shows the levels as they are now, not a mean over its span.
            let weight = if lives { 0.0 } else { (to - from) as f64 };
            pixel.sources.push(Source { venue, column: Arc::clone(column), weight });
        };
        let mut t = start;
        while t < end {
            match column_at(history, t, dt) {
                Ok(column) => {
                    let to = column.end().min(end);
                    walk(column, t, to);
                    t = to;
                }
                Err(next) => t = next.min(end),
            }
        }
        if let Some(column) = live {
            let from = column.start.max(start);
            covered += (end.min(now + 1) - from).max(1);
            let weight = if lives { 1.0 } else { (column.end().min(end) - from) as f64 };
            pixel.sources.push(Source { venue, column: Arc::clone(column), weight });
            pixel.live = true;
        }
        let sources = &mut pixel.sources[first..];
        let total: f64 = sources.iter().map(|s| s.weight).sum();
        for source in sources.iter_mut() {
            source.weight /= total.max(f64::MIN_POSITIVE);
        }
        if 2 * covered >= span {
            pixel.covered = true;
        } else if has_data {
            pixel.missing.push(venue);
        }
        // A column that straddles pixel columns trades in the one it starts in; but not a day of which the last hours are drawn by themselves.
        let trades = |c: &&Arc<Column>| c.start >= start && c.bar.is_some() && !is_told_finer(history, c, dt);
        let trading = sources.iter().map(|s| &s.column).filter(trades);
        let oi = trading.clone().next_back().map_or(0.0, |c| c.oi * c.mark);
        let bar = trading.filter_map(|c| c.bar).reduce(|mut sum, next| {
            sum.append(&next);
            sum
        });
        bars.extend(bar.map(|bar| (oi, bar)));
    }
    pixel.bar = joint_bar(bars);
    pixel
}

/// The closed column that holds a time: the coarsest that is no longer than `dt`, else a finer one, else a coarser one.
/// If none does, when to look again.
fn column_at(history: &History, t: i64, dt: i64) -> Result<&Arc<Column>, i64> {
    let wanted = History::INTERVALS.iter().rposition(|i| i.ms() <= dt).unwrap_or(0);
    let mut next = i64::MAX;
    for level in (0..=wanted).rev().chain(wanted + 1..History::INTERVALS.len()) {
        let columns = &history.ladder[level];
        let i = columns.partition_point(|c| c.end() <= t);
        match columns.get(i) {
            Some(column) if column.start <= t => return Ok(column),
            Some(column) => next = next.min(column.start),
            None => {}
        }
    }
    Err(next)
}

/// Whether part of a column that is longer than `dt` is told by finer ones as well: those of a history begin in the middle of a day.
fn is_told_finer(history: &History, column: &Column, dt: i64) -> bool {
    let finer = history.ladder.iter().zip(History::INTERVALS);
    let mut finer = finer.take_while(|(_, interval)| interval.ms() < column.interval.ms());
    column.interval.ms() > dt
        && finer.any(|(columns, _)| {
            let i = columns.partition_point(|c| c.end() <= column.start);
            columns.get(i).is_some_and(|c| c.start < column.end())
        })
}

#[cfg(test)]
mod tests {
    use super::super::sum::tests::column;
    use super::*;
    use crate::estimate::{Bar, Tier};
    use crate::market::Interval;

    #[test]
    fn a_time_is_looked_up_in_the_coarsest_column_that_fits_then_finer_then_coarser() {
        let mut history = History::default();
        let at = |minute: i64, interval| column(minute * 60_000, interval, 0, &[1.0], Tier::Low);
        history.ladder[0] = vec![at(5, Interval::M1), at(6, Interval::M1)];
        history.ladder[1] = vec![at(0, Interval::M5)];
        let find = |minute: i64, dt: i64| {
            column_at(&history, minute * 60_000, dt * 60_000).map(|c| (c.start / 60_000, c.interval))
        };
        assert_eq!(find(0, 10), Ok((0, Interval::M5)));
        assert_eq!(find(5, 10), Ok((5, Interval::M1)), "no five minutes are closed yet");
        assert_eq!(find(3, 1), Ok((0, Interval::M5)), "older than the fine columns");
        assert_eq!(find(7, 1), Err(i64::MAX));
        assert_eq!(find(-1, 1), Err(0));
    }

    #[test]
    fn an_hour_whose_end_is_told_in_minutes_has_no_candle_of_its_own() {
        const MINUTE: i64 = 60_000;
        let traded = |start: i64, interval, price: f64| {
            let bar = Bar { open: price, high: price, low: price, close: price, volume: 1.0 };
            let mut column = column(start * MINUTE, interval, 0, &[1.0], Tier::Low);
            Arc::make_mut(&mut column).bar = Some(bar);
            column
        };
        let mut history = History::default();
        history.ladder[2] = vec![traded(0, Interval::H1, 7.0), traded(60, Interval::H1, 8.0)];
        history.ladder[0] = vec![traded(90, Interval::M1, 9.0)];
        let history = Arc::new(history);
        let lane = Lane::new("binance".parse().unwrap(), &history, None);
        let candle = |minute: i64, dt: i64| {
            let pixel = gather(minute * MINUTE, dt * MINUTE, i64::MAX - 1, std::slice::from_ref(&lane));
            pixel.bar.map(|bar| bar.close)
        };
        assert_eq!(candle(0, 15), Some(7.0), "there is nothing finer");
        assert_eq!(candle(15, 15), None, "it stands where the hour begins");
        assert_eq!(candle(60, 15), None);
        assert_eq!(candle(90, 15), Some(9.0));
        assert_eq!(candle(60, 60), Some(8.0), "an hour wide, it is one candle");
    }
}
