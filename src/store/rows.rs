//! Records to rows. What is there already stays.

use std::collections::{BTreeMap, VecDeque};

use rusqlite::{OptionalExtension, Transaction, params};
use serde::Serialize;

use super::codec;
use crate::engine::beside::{LiveMarket, LiveParts};
use crate::engine::record::{Checkpoint, Record, STATE_VERSION};
use crate::estimate::Column;
use crate::market::{Liquidation, PriceKind, Sampled, Side, Venue};

/// Readings of open interest are kept one in so many ms: the first.
pub const OPEN_INTEREST_SLOT: i64 = 5_000;
/// Funding rates likewise.
pub const FUNDING_SLOT: i64 = 60_000;
/// Checkpoints kept.
const CHECKPOINTS: i64 = 2;
/// Liquidations remembered to number those that are alike.
const REMEMBERED: usize = 4_096;

/// What was written, in rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Columns of every interval.
    pub columns: u64,
    /// Liquidations.
    pub liquidations: u64,
    /// Readings of open interest.
    pub open_interest: u64,
    /// Funding rates.
    pub funding: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Rows that were there already.
    pub repeats: u64,
    /// Columns that were there already and said otherwise: the old ones stay.
    pub conflicts: u64,
}

impl Written {
    /// Adds what another batch wrote.
    pub fn add(&mut self, other: &Self) {
        self.columns += other.columns;
        self.liquidations += other.liquidations;
        self.open_interest += other.open_interest;
        self.funding += other.funding;
        self.checkpoints += other.checkpoints;
        self.repeats += other.repeats;
        self.conflicts += other.conflicts;
    }
}

/// Parts of the live table.
pub const HEAD: &str = "head";
/// The assets a user may pick.
pub const ASSETS: &str = "assets";
/// What of a venue changes all the time.
pub const NOW: &str = "now";
/// What of a venue changes now and then.
pub const WEEK: &str = "week";
/// What rests on a venue.
pub const BOOK: &str = "book";

/// What readers beside were told last, by its digest.
#[derive(Debug, Default)]
pub struct Told(BTreeMap<(&'static str, Box<str>), i64>);

/// A record on its way, with the number of a liquidation among those that are alike.
#[derive(Debug, Clone)]
pub struct Numbered {
    /// What.
    pub record: Record,
    /// From 0.
    pub nth: u32,
}

/// Numbers liquidations that are alike to the millisecond, so that each has a row and the same one told again has none.
#[derive(Debug, Default)]
pub struct Numbering(VecDeque<(Venue, i64, Liquidation)>);

impl Numbering {
    /// The record with its number.
    pub fn number(&mut self, record: Record) -> Numbered {
        let Record::Liquidation { venue, ts, liquidation } = &record else {
            return Numbered { record, nth: 0 };
        };
        let one = (*venue, *ts, *liquidation);
        let nth = self.0.iter().filter(|seen| **seen == one).count() as u32;
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(one);
        Numbered { record, nth }
    }
}

/// Puts rows into the tables of one transaction.
pub struct Rows<'a> {
    tx: &'a Transaction<'a>,
    /// Known within this transaction: a row that is rolled back has no number.
    venues: BTreeMap<Venue, i64>,
    /// What was written.
    pub written: Written,
}

impl<'a> Rows<'a> {
    /// Into a transaction.
    pub fn new(tx: &'a Transaction<'a>) -> Self {
        Self { tx, venues: BTreeMap::new(), written: Written::default() }
    }

    /// Adds one record.
    pub fn add(&mut self, numbered: &Numbered) -> rusqlite::Result<()> {
        match &numbered.record {
            Record::Columns { venue, columns } => columns.iter().try_for_each(|c| self.column(*venue, c)),
            Record::Liquidation { venue, ts, liquidation } => {
                self.liquidation(*venue, *ts, liquidation, numbered.nth)
            }
            Record::OpenInterest { venue, ts, qty } => {
                let id = self.venue(*venue)?;
                let slot = ts.div_euclid(OPEN_INTEREST_SLOT);
                let mut insert = self.tx.prepare_cached(
                    "INSERT INTO open_interest (slot, venue, ts, qty) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                )?;
                // Others of the slot are left out by choice: they are no repeats.
                self.written.open_interest += insert.execute(params![slot, id, ts, qty.to_string()])? as u64;
                Ok(())
            }
            Record::Funding { venue, ts, rate, hours } => {
                let id = self.venue(*venue)?;
                let slot = ts.div_euclid(FUNDING_SLOT);
                let mut insert = self.tx.prepare_cached(
                    "INSERT INTO funding (slot, venue, ts, rate, hours) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                )?;
                self.written.funding +=
                    insert.execute(params![slot, id, ts, rate.to_string(), hours])? as u64;
                Ok(())
            }
            Record::Checkpoint(checkpoint) => self.checkpoint(checkpoint),
            // Told on its own: it is no history.
            Record::Live(_) => Ok(()),
        }
    }

    /// Tells readers beside how things stand; what is as it was told before is left alone.
    pub fn live(&mut self, live: &LiveMarket, told: &mut Told) -> rusqlite::Result<()> {
        // Told again also where nothing has changed: a reader sees by it that somebody tells.
        told.0.remove(&(HEAD, "".into()));
        self.tell("", HEAD, &live.head, told)?;
        self.tell("", ASSETS, &live.assets, told)?;
        live.venues.iter().try_for_each(|LiveParts { now, week, book }| {
            self.tell(now.venue.as_str(), NOW, now, told)?;
            self.tell(now.venue.as_str(), WEEK, week, told)?;
            self.tell(now.venue.as_str(), BOOK, book, told)
        })
    }

    fn tell(
        &self,
        venue: &str,
        part: &'static str,
        value: &impl Serialize,
        told: &mut Told,
    ) -> rusqlite::Result<()> {
        let known = told.0.get(&(part, venue.into())).copied();
        let body = codec::encode_changed(value, known)
            .map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
        let Some(body) = body else { return Ok(()) };
        let mut put = self.tx.prepare_cached(
            "INSERT INTO live (venue, part, written_at, digest, body) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (venue, part) DO UPDATE SET written_at = ?3, digest = ?4, body = ?5",
        )?;
        let now = jiff::Timestamp::now().as_millisecond();
        put.execute(params![venue, part, now, body.digest, body.bytes])?;
        told.0.insert((part, venue.into()), body.digest);
        Ok(())
    }

    fn venue(&mut self, venue: Venue) -> rusqlite::Result<i64> {
        if let Some(id) = self.venues.get(&venue) {
            return Ok(*id);
        }
        self.tx.execute("INSERT INTO venues (name) VALUES (?1) ON CONFLICT DO NOTHING", [venue.as_str()])?;
        let id =
            self.tx.query_row("SELECT id FROM venues WHERE name = ?1", [venue.as_str()], |row| row.get(0))?;
        self.venues.insert(venue, id);
        Ok(id)
    }

    fn column(&mut self, venue: Venue, column: &Column) -> rusqlite::Result<()> {
        let id = self.venue(venue)?;
        let body = codec::encode(column).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
        let interval = column.interval.ms();
        let mut insert = self.tx.prepare_cached(
            "INSERT INTO columns (venue, interval_ms, start, digest, body) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
        )?;
        if insert.execute(params![id, interval, column.start, body.digest, body.bytes])? == 1 {
            self.written.columns += 1;
            return Ok(());
        }
        let mut find = self.tx.prepare_cached(
            "SELECT digest FROM columns WHERE venue = ?1 AND interval_ms = ?2 AND start = ?3",
        )?;
        let there: Option<i64> =
            find.query_row(params![id, interval, column.start], |row| row.get(0)).optional()?;
        if there == Some(body.digest) {
            self.written.repeats += 1;
        } else {
            self.written.conflicts += 1;
            if self.written.conflicts.is_power_of_two() {
                tracing::warn!(
                    %venue,
                    interval = %column.interval,
                    start = column.start,
                    "a closed column came again with other content; the one that is kept stays"
                );
            }
        }
        Ok(())
    }

    fn liquidation(&mut self, venue: Venue, ts: i64, l: &Liquidation, nth: u32) -> rusqlite::Result<()> {
        let id = self.venue(venue)?;
        let mut insert = self.tx.prepare_cached(
            "INSERT INTO liquidations (ts, venue, position, price, qty, nth, price_kind, sampled)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
        )?;
        let row = params![
            ts,
            id,
            side_word(l.position),
            l.price.to_string(),
            l.qty.to_string(),
            nth,
            kind_word(l.price_kind),
            sampled_word(l.sampled)
        ];
        let new = insert.execute(row)? as u64;
        self.written.liquidations += new;
        self.written.repeats += 1 - new;
        Ok(())
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> rusqlite::Result<()> {
        let body =
            codec::encode(checkpoint).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
        let saved_at = jiff::Timestamp::now().as_millisecond();
        self.tx.execute(
            "INSERT INTO checkpoints (saved_at, now, state_version, digest, body) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![saved_at, checkpoint.now, STATE_VERSION, body.digest, body.bytes],
        )?;
        self.tx.execute(
            "DELETE FROM checkpoints WHERE id <= (SELECT max(id) FROM checkpoints) - ?1",
            [CHECKPOINTS],
        )?;
        self.written.checkpoints += 1;
        Ok(())
    }
}

/// As in event files.
pub fn side_word(side: Side) -> &'static str {
    if side == Side::Long { "long" } else { "short" }
}

/// As in event files.
pub fn kind_word(kind: PriceKind) -> &'static str {
    match kind {
        PriceKind::Fill => "fill",
        PriceKind::Order => "order",
        PriceKind::Bankruptcy => "bankruptcy",
    }
}

/// As in event files.
pub fn sampled_word(sampled: Sampled) -> &'static str {
    match sampled {
        Sampled::No => "no",
        Sampled::Latest => "latest",
        Sampled::Largest => "largest",
    }
}
