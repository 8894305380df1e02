//! Reading a file, beside its writer or without one.

mod history;
mod recent;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use super::codec::{self, CodecError};
use super::open::OpenError;
use super::schema::{self, State, VERSION};
use super::{Identity, StorePath};
use crate::engine::History;
use crate::engine::record::{Checkpoint, STATE_VERSION};
use crate::estimate::Column;
use crate::market::{Interval, Liquidation, PriceKind, Qty, Rate, Sampled, Side, Venue};

/// A file open for reading only.
#[derive(Debug)]
pub struct Reader {
    conn: Connection,
    path: PathBuf,
    identity: Identity,
    damaged: Cell<u64>,
}

/// A liquidation as it was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiquidationRow {
    /// Exchange time, UTC ms.
    pub ts: i64,
    /// Where.
    pub venue: Venue,
    /// What.
    pub liquidation: Liquidation,
    /// Which of those that are alike to the millisecond, from 0.
    pub nth: u32,
}

/// A reading of open interest: the first of its five seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenInterestRow {
    /// Exchange time, UTC ms.
    pub ts: i64,
    /// Where.
    pub venue: Venue,
    /// Base coin, one side.
    pub qty: Qty,
}

/// A funding rate: the first of its minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FundingRow {
    /// Exchange time, UTC ms.
    pub ts: i64,
    /// Where.
    pub venue: Venue,
    /// Of the running period.
    pub rate: Rate,
    /// Length of that period, where it was told.
    pub hours: Option<u32>,
}

/// Where and which a column is, without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ColumnKey {
    /// Whose.
    pub venue: Venue,
    /// Its length.
    pub interval: Interval,
    /// Its start, UTC ms.
    pub start: i64,
    /// What tells it from any other.
    pub digest: i64,
}

impl Reader {
    /// Opens an asset's file; `None` where there is none yet.
    pub fn open(at: &StorePath) -> Result<Option<Self>, OpenError> {
        let path = at.database();
        match std::fs::metadata(&path) {
            Ok(meta) if meta.len() > 0 => {}
            // Somebody else's history is not none at all.
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(OpenError::Io { path, why: e.to_string() });
            }
            _ => return Ok(None),
        }
        let io = |e: rusqlite::Error| OpenError::Io { path: path.clone(), why: e.to_string() };
        let conn = connect(&path).map_err(io)?;
        match schema::state(&conn).map_err(io)? {
            State::Ours(VERSION) => {}
            State::Ours(found) if found > VERSION => return Err(OpenError::Newer { path, found }),
            // Older ones are brought forward by the next writer.
            State::Ours(_) | State::Empty => return Ok(None),
            State::Foreign => return Err(OpenError::Foreign { path }),
        }
        let Some(identity) = schema::identity(&conn).map_err(io)? else {
            let why = "it does not say whose history it is".to_owned();
            return Err(OpenError::Io { path, why });
        };
        Ok(Some(Self { conn, path, identity, damaged: Cell::new(0) }))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose history it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// A number that changes with every commit of another process, or of another part of this one.
    pub fn data_version(&self) -> rusqlite::Result<i64> {
        self.conn.pragma_query_value(None, "data_version", |row| row.get(0))
    }

    /// Rows that could not be read since this was opened.
    pub fn damaged(&self) -> u64 {
        self.damaged.get()
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.conn
    }

    /// The venues that have rows.
    pub fn venues(&self) -> rusqlite::Result<Vec<Venue>> {
        let mut find = self.conn.prepare_cached("SELECT name FROM venues ORDER BY id")?;
        find.query_map([], |row| venue(row, 0))?.collect()
    }

    /// A venue's columns of an interval that start in `from..until` (UTC ms), oldest first. Damaged ones are left out and counted.
    pub fn columns(
        &self,
        venue: Venue,
        interval: Interval,
        from: i64,
        until: i64,
    ) -> rusqlite::Result<Vec<Arc<Column>>> {
        let mut find = self.conn.prepare_cached(
            "SELECT digest, body FROM columns WHERE venue = (SELECT id FROM venues WHERE name = ?1)
             AND interval_ms = ?2 AND start >= ?3 AND start < ?4 ORDER BY start",
        )?;
        let mut rows = find.query(params![venue.as_str(), interval.ms(), from, until])?;
        let mut columns = Vec::new();
        while let Some(row) = rows.next()? {
            let bytes = row.get_ref(1)?.as_blob()?;
            match codec::decode_column(bytes, row.get(0)?) {
                Ok(column) => columns.push(Arc::new(column)),
                Err(e) => self.complain("a column", e),
            }
        }
        Ok(columns)
    }

    /// A venue's newest column that ends at a time (UTC ms) or before, whatever its interval; of those that end together the finest.
    pub fn newest_until(&self, venue: Venue, end: i64) -> rusqlite::Result<Option<Arc<Column>>> {
        let mut last = self.conn.prepare_cached(
            "SELECT max(start) FROM columns WHERE venue = (SELECT id FROM venues WHERE name = ?1)
             AND interval_ms = ?2 AND start <= ?3",
        )?;
        let mut ends = Vec::new();
        for interval in History::INTERVALS {
            let of = params![venue.as_str(), interval.ms(), end.saturating_sub(interval.ms())];
            let start = last.query_row(of, |row| row.get::<_, Option<i64>>(0))?;
            ends.extend(start.map(|start| (start + interval.ms(), interval, start)));
        }
        // The sort is stable: the finest stays first.
        ends.sort_by_key(|(end, ..)| std::cmp::Reverse(*end));
        for (_, interval, start) in ends {
            // A damaged one is told and the next best stands for it.
            if let Some(column) = self.columns(venue, interval, start, start + 1)?.pop() {
                return Ok(Some(column));
            }
        }
        Ok(None)
    }

    /// End of the first and of the last column of these venues, UTC ms.
    pub fn ends(&self, venues: &[Venue]) -> rusqlite::Result<Option<(i64, i64)>> {
        let mut ends: Option<(i64, i64)> = None;
        for venue in venues {
            for interval in History::INTERVALS {
                if let Some((first, last)) = self.span(*venue, interval)? {
                    let (first, last) = (first + interval.ms(), last + interval.ms());
                    ends = Some(ends.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
                }
            }
        }
        Ok(ends)
    }

    /// Start of a venue's first and last column of an interval, UTC ms.
    pub fn span(&self, venue: Venue, interval: Interval) -> rusqlite::Result<Option<(i64, i64)>> {
        let end = |what: &str| {
            let find = format!(
                "SELECT {what}(start) FROM columns WHERE venue = (SELECT id FROM venues WHERE name = ?1) AND interval_ms = ?2"
            );
            let of = params![venue.as_str(), interval.ms()];
            self.conn.query_row(&find, of, |row| row.get::<_, Option<i64>>(0))
        };
        Ok(end("min")?.zip(end("max")?))
    }

    /// Every column's key, by venue, interval and start.
    pub fn column_keys(&self) -> rusqlite::Result<Vec<ColumnKey>> {
        let mut find = self.conn.prepare_cached(
            "SELECT name, interval_ms, start, digest FROM columns JOIN venues ON venues.id = venue",
        )?;
        let key = |row: &Row<'_>| {
            let interval = interval(row.get(1)?);
            Ok(ColumnKey { venue: venue(row, 0)?, interval, start: row.get(2)?, digest: row.get(3)? })
        };
        let mut keys = find.query_map([], key)?.collect::<rusqlite::Result<Vec<_>>>()?;
        keys.sort_unstable();
        Ok(keys)
    }

    /// Observed liquidations in `from..until` (UTC ms), oldest first.
    pub fn liquidations(&self, from: i64, until: i64) -> rusqlite::Result<Vec<LiquidationRow>> {
        let mut find = self.conn.prepare_cached(
            "SELECT name, ts, position, price, qty, price_kind, sampled, nth FROM liquidations
             JOIN venues ON venues.id = venue WHERE ts >= ?1 AND ts < ?2 ORDER BY ts, venue, position, price, qty, nth",
        )?;
        find.query_map([from, until], liquidation_row)?.collect()
    }

    /// Readings of open interest in `from..until` (UTC ms), oldest first.
    pub fn open_interest(&self, from: i64, until: i64) -> rusqlite::Result<Vec<OpenInterestRow>> {
        let mut find = self.conn.prepare_cached(
            "SELECT name, ts, qty FROM open_interest JOIN venues ON venues.id = venue
             WHERE slot >= ?1 AND slot <= ?2 AND ts >= ?3 AND ts < ?4 ORDER BY slot, ts",
        )?;
        let slot = |ms: i64| ms.div_euclid(super::rows::OPEN_INTEREST_SLOT);
        let row = |row: &Row<'_>| {
            Ok(OpenInterestRow { venue: venue(row, 0)?, ts: row.get(1)?, qty: parsed(row, 2)? })
        };
        find.query_map([slot(from), slot(until), from, until], row)?.collect()
    }

    /// Funding rates in `from..until` (UTC ms), oldest first.
    pub fn funding(&self, from: i64, until: i64) -> rusqlite::Result<Vec<FundingRow>> {
        let mut find = self.conn.prepare_cached(
            "SELECT name, ts, rate, hours FROM funding JOIN venues ON venues.id = venue
             WHERE slot >= ?1 AND slot <= ?2 AND ts >= ?3 AND ts < ?4 ORDER BY slot, ts",
        )?;
        let slot = |ms: i64| ms.div_euclid(super::rows::FUNDING_SLOT);
        let row = |row: &Row<'_>| {
            Ok(FundingRow {
                venue: venue(row, 0)?,
                ts: row.get(1)?,
                rate: parsed(row, 2)?,
                hours: row.get(3)?,
            })
        };
        find.query_map([slot(from), slot(until), from, until], row)?.collect()
    }

    /// The newest state of this version, if there is one that is whole.
    pub fn checkpoint(&self) -> rusqlite::Result<Option<Checkpoint>> {
        let mut find = self.conn.prepare_cached(
            "SELECT digest, body FROM checkpoints WHERE state_version = ?1 ORDER BY id DESC",
        )?;
        let mut rows = find.query([STATE_VERSION])?;
        while let Some(row) = rows.next()? {
            match codec::decode(row.get_ref(1)?.as_blob()?, row.get(0)?) {
                Ok(checkpoint) => return Ok(Some(checkpoint)),
                Err(e) => self.complain("a checkpoint", e),
            }
        }
        Ok(None)
    }

    /// When the newest row of any kind was known, UTC ms.
    pub fn newest(&self) -> rusqlite::Result<Option<i64>> {
        let find = "SELECT max(t) FROM (SELECT max(ts) AS t FROM liquidations UNION ALL
            SELECT max(slot) * ?1 FROM open_interest UNION ALL SELECT max(start + interval_ms) FROM columns UNION ALL
            SELECT max(now) FROM checkpoints)";
        let slot = super::rows::OPEN_INTEREST_SLOT;
        Ok(self.conn.query_row(find, [slot], |row| row.get::<_, Option<i64>>(0)).optional()?.flatten())
    }

    fn complain(&self, what: &str, error: CodecError) {
        self.damaged.set(self.damaged.get() + 1);
        if self.damaged.get().is_power_of_two() {
            tracing::warn!("{what} in {} is left out: {error}", self.path.display());
        }
    }
}

/// A log that nobody writes any more can be read only where its index may be made; where nothing may be made and there is no log,
/// the file alone is the truth.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let usual = Connection::open_with_flags(path, flags).and_then(|conn| {
        conn.busy_timeout(Duration::from_secs(5))?;
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
        Ok(conn)
    });
    usual.or_else(|error| {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        if std::fs::metadata(&log).is_ok_and(|m| m.len() > 0) {
            return Err(error);
        }
        let plain = |byte: &u8| byte.is_ascii() && !b"?#%".contains(byte);
        let letter =
            |byte: &u8| if plain(byte) { char::from(*byte).to_string() } else { format!("%{byte:02x}") };
        let mut address = String::from("file:");
        address.extend(path.as_os_str().as_encoded_bytes().iter().map(letter));
        address.push_str("?immutable=1");
        Connection::open_with_flags(address, flags | OpenFlags::SQLITE_OPEN_URI)
    })
}

/// Name of the venue, time, side, price, quantity, kind of price, sampling, number.
fn liquidation_row(row: &Row<'_>) -> rusqlite::Result<LiquidationRow> {
    let liquidation = Liquidation {
        position: if word(row, 2)? == "long" { Side::Long } else { Side::Short },
        price: parsed(row, 3)?,
        qty: parsed(row, 4)?,
        price_kind: match word(row, 5)? {
            "bankruptcy" => PriceKind::Bankruptcy,
            "order" => PriceKind::Order,
            _ => PriceKind::Fill,
        },
        sampled: match word(row, 6)? {
            "largest" => Sampled::Largest,
            "latest" => Sampled::Latest,
            _ => Sampled::No,
        },
    };
    Ok(LiquidationRow { ts: row.get(1)?, venue: venue(row, 0)?, liquidation, nth: row.get(7)? })
}

fn interval(ms: i64) -> Interval {
    History::INTERVALS.into_iter().find(|i| i.ms() == ms).unwrap_or(Interval::M1)
}

fn word<'a>(row: &'a Row<'_>, at: usize) -> rusqlite::Result<&'a str> {
    Ok(row.get_ref(at)?.as_str()?)
}

fn venue(row: &Row<'_>, at: usize) -> rusqlite::Result<Venue> {
    parsed(row, at)
}

fn parsed<T>(row: &Row<'_>, at: usize) -> rusqlite::Result<T>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text = word(row, at)?;
    text.parse().map_err(|e: T::Err| {
        rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(e))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_that_may_not_be_looked_at_is_not_none_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let at = StorePath::new(dir.path(), "BTC".parse().unwrap());
        assert!(Reader::open(&at).unwrap().is_none());
        // A file where the folder should be stands for all that bars the way.
        std::fs::write(at.folder(), "").unwrap();
        let said = Reader::open(&at).unwrap_err().to_string();
        assert!(said.contains("BTC.db"), "{said}");
    }
}
