//! All that a screen wants to see of the closed columns, or an engine to go on from.

use std::num::NonZeroUsize;
use std::sync::Arc;

use rusqlite::params;

use super::{Cell, Reader, connect};
use crate::engine::History;
use crate::engine::record::Stored;
use crate::estimate::Column;
use crate::market::{Interval, Venue};

impl Reader {
    /// The venues' closed columns from a time on (UTC ms), as far back as a screen shows them, or none where nobody looks; and of each the
    /// base columns from a time on, or where none is named what covers its running day.
    pub fn stored(
        &self,
        from: Option<i64>,
        since: impl Fn(Venue) -> Option<i64>,
    ) -> rusqlite::Result<Vec<Stored>> {
        let venues = self.venues()?;
        let histories =
            from.map(|from| self.histories(&venues, from, i64::MAX)).transpose()?.unwrap_or_default();
        let mut histories = histories.into_iter();
        let mut stored = Vec::new();
        for venue in venues {
            // Where only bars are known the base is longer than a minute.
            let mut base = None;
            for interval in History::INTERVALS {
                if let (None, Some((_, last))) = (base, self.span(venue, interval)?) {
                    base = Some((interval, last));
                }
            }
            let since = match (base, since(venue)) {
                (None, _) => Vec::new(),
                (Some((interval, _)), Some(from)) => self.columns(venue, interval, from, i64::MAX)?,
                (Some((interval, last)), None) => self.covering(venue, interval, Interval::D1.floor(last))?,
            };
            stored.push(Stored { venue, history: histories.next().unwrap_or_default(), since });
        }
        Ok(stored)
    }

    /// What [`Reader::stored`] left out: the closed columns before the time it was told.
    pub fn older(&self, than: i64) -> rusqlite::Result<Vec<(Venue, History)>> {
        let venues = self.venues()?;
        let histories = self.histories(&venues, i64::MIN, than)?;
        Ok(venues.into_iter().zip(histories).collect())
    }

    /// When the newest closed column ends, UTC ms.
    pub fn closed_until(&self) -> rusqlite::Result<Option<i64>> {
        self.conn.query_row("SELECT max(start + interval_ms) FROM columns", [], |row| row.get(0))
    }

    /// The venues' closed columns that start in `from..until`, as far back as a screen shows them. Unpacking takes most of the time, so that as
    /// many threads read as there are cores, each on a connection of its own.
    fn histories(&self, venues: &[Venue], from: i64, until: i64) -> rusqlite::Result<Vec<History>> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = cores.min(venues.len()).max(1);
        if threads == 1 {
            return venues.iter().map(|venue| self.history(*venue, from, until)).collect();
        }
        let (path, identity) = (&self.path, &self.identity);
        let read = |first: usize| {
            let reader = Self {
                conn: connect(path)?,
                path: path.clone(),
                identity: identity.clone(),
                damaged: Cell::new(0),
            };
            let venues = venues.iter().enumerate().skip(first).step_by(threads);
            let read: Vec<_> = venues
                .map(|(i, v)| Ok((i, reader.history(*v, from, until)?)))
                .collect::<rusqlite::Result<_>>()?;
            Ok::<_, rusqlite::Error>((read, reader.damaged()))
        };
        let done: Vec<_> = std::thread::scope(|scope| {
            let read = &read;
            let running: Vec<_> = (0..threads).map(|first| scope.spawn(move || read(first))).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            running.into_iter().map(join).collect()
        });
        let mut histories = vec![History::default(); venues.len()];
        for done in done {
            let (read, damaged) = done?;
            self.damaged.set(self.damaged.get() + damaged);
            for (i, history) in read {
                histories[i] = history;
            }
        }
        Ok(histories)
    }

    fn history(&self, venue: Venue, from: i64, until: i64) -> rusqlite::Result<History> {
        let mut history = History::default();
        let newest: Option<i64> = self.conn.query_row(
            "SELECT max(start + interval_ms) FROM columns WHERE venue = (SELECT id FROM venues WHERE name = ?1)",
            params![venue.as_str()],
            |row| row.get(0),
        )?;
        let newest = newest.unwrap_or(i64::MIN);
        for ((columns, interval), kept) in
            history.ladder.iter_mut().zip(History::INTERVALS).zip(History::KEPT)
        {
            // What the file keeps for longer is not looked at.
            let from = from.max(newest.saturating_sub(kept).saturating_sub(interval.ms()));
            *columns = self.columns(venue, interval, from, until)?;
        }
        history.forget(newest);
        Ok(history)
    }

    /// A venue's columns from a time on, at each time the coarsest below a day, down to the base.
    fn covering(&self, venue: Venue, base: Interval, mut from: i64) -> rusqlite::Result<Vec<Arc<Column>>> {
        let mut all: Vec<Arc<Column>> = Vec::new();
        for interval in History::INTERVALS.into_iter().rev().filter(|i| *i < Interval::D1 && *i >= base) {
            all.extend(self.columns(venue, interval, from, i64::MAX)?);
            from = all.last().map_or(from, |c| c.end());
        }
        Ok(all)
    }
}
