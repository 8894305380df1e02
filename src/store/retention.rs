//! What goes when it is old, and what goes first when there is too much.

use rusqlite::{Connection, params};

use super::StoreConfig;
use super::rows::{FUNDING_SLOT, OPEN_INTEREST_SLOT};
use crate::market::Interval;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// Rounds in which the oldest tenth of something goes, at most, in one go.
const ROUNDS: u32 = 60;

/// A kind of row with an age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Columns(Interval),
    OpenInterest,
    Funding,
    Liquidations,
}

impl Kind {
    /// What goes first when there is too much: what is finest and made again soonest. Liquidations and columns of a day are never
    /// taken for want of room.
    const BY_WORTH: [Self; 5] = [
        Self::Columns(Interval::M1),
        Self::OpenInterest,
        Self::Columns(Interval::M5),
        Self::Funding,
        Self::Columns(Interval::H1),
    ];

    /// Time column (in ms once multiplied by the second) and what selects the rows.
    fn rows(self) -> (&'static str, i64, String) {
        match self {
            Self::Columns(interval) => ("start", 1, format!("columns WHERE interval_ms = {}", interval.ms())),
            Self::OpenInterest => ("slot", OPEN_INTEREST_SLOT, "open_interest WHERE 1".to_owned()),
            Self::Funding => ("slot", FUNDING_SLOT, "funding WHERE 1".to_owned()),
            Self::Liquidations => ("ts", 1, "liquidations WHERE 1".to_owned()),
        }
    }

    /// Removes what is older than a time (UTC ms).
    fn remove_before(self, conn: &Connection, before: i64) -> rusqlite::Result<usize> {
        let (time, unit, rows) = self.rows();
        conn.execute(&format!("DELETE FROM {rows} AND {time} < ?1"), params![before.div_euclid(unit)])
    }

    /// First and last time, UTC ms.
    fn span(self, conn: &Connection) -> rusqlite::Result<Option<(i64, i64)>> {
        let (time, unit, rows) = self.rows();
        // One by one: each is then found at an end of the index.
        let end = |what: &str| {
            conn.query_row(&format!("SELECT {what}({time}) FROM {rows}"), [], |row| {
                row.get::<_, Option<i64>>(0)
            })
        };
        Ok(end("min")?.zip(end("max")?).map(|(first, last)| (first * unit, last * unit)))
    }
}

/// Removes what is too old as of `now` (UTC ms), then what is too much. Returns how many rows went.
///
/// A clock that has run ahead removes nothing that is young beside the newest row of its kind.
pub fn prune(conn: &mut Connection, config: &StoreConfig, now: i64) -> rusqlite::Result<usize> {
    let mut gone = remove_outlived(conn, config, now)?;
    give_back(conn)?;
    let most = u64::from(config.max_mb) * 1_000_000;
    for _ in 0..ROUNDS {
        if used(conn)? <= most {
            break;
        }
        let removed = take_oldest(conn)?;
        if removed == 0 {
            tracing::warn!(
                "the history takes more than store.max_mb = {} without what may go",
                config.max_mb
            );
            break;
        }
        gone += removed;
        give_back(conn)?;
    }
    Ok(gone)
}

/// Removes what is too old as of `now` (UTC ms); the file keeps its size. Returns how many rows went.
pub fn remove_outlived(conn: &mut Connection, config: &StoreConfig, now: i64) -> rusqlite::Result<usize> {
    let tx = conn.transaction()?;
    let mut gone = 0;
    for (kind, before) in outlived(&tx, config, now)? {
        gone += kind.remove_before(&tx, before)?;
    }
    tx.commit()?;
    Ok(gone)
}

/// Whether a record is older (UTC ms) than what is kept of its kind, as the file is.
pub struct Outlived(Vec<(Kind, i64)>);

impl Outlived {
    /// As of `now`, UTC ms.
    pub fn new(conn: &Connection, config: &StoreConfig, now: i64) -> rusqlite::Result<Self> {
        outlived(conn, config, now).map(Self)
    }

    /// Whether a column is.
    pub fn column(&self, interval: Interval, start: i64) -> bool {
        self.is(Kind::Columns(interval), start)
    }

    /// Whether a reading of open interest is.
    pub fn open_interest(&self, ts: i64) -> bool {
        self.is(Kind::OpenInterest, ts)
    }

    /// Whether a funding rate is.
    pub fn funding(&self, ts: i64) -> bool {
        self.is(Kind::Funding, ts)
    }

    /// Whether a liquidation is.
    pub fn liquidation(&self, ts: i64) -> bool {
        self.is(Kind::Liquidations, ts)
    }

    fn is(&self, kind: Kind, ts: i64) -> bool {
        let (_, unit, _) = kind.rows();
        self.0.iter().any(|(k, before)| *k == kind && ts.div_euclid(unit) < before.div_euclid(unit))
    }
}

/// The kinds of which something is too old, and before when, UTC ms.
fn outlived(conn: &Connection, config: &StoreConfig, now: i64) -> rusqlite::Result<Vec<(Kind, i64)>> {
    let days = |days: u32| i64::from(days) * DAY;
    let kept = [
        (Kind::Columns(Interval::M1), i64::from(config.minute_hours) * HOUR),
        (Kind::Columns(Interval::M5), days(config.five_minute_days)),
        (Kind::Columns(Interval::H1), days(config.hour_days)),
        (Kind::OpenInterest, days(config.open_interest_days)),
        (Kind::Funding, days(config.funding_days)),
        (Kind::Liquidations, days(config.liquidation_days)),
    ];
    let mut before = Vec::new();
    for (kind, kept) in kept {
        if kept == 0 {
            continue;
        }
        if let Some((_, newest)) = kind.span(conn)? {
            // A column of the ladder is kept as long as its end is young enough.
            let length = if let Kind::Columns(interval) = kind { interval.ms() } else { 0 };
            before.push((kind, (newest + length).min(now) - kept - length));
        }
    }
    Ok(before)
}

/// Removes the oldest tenth of the least worth.
fn take_oldest(conn: &mut Connection) -> rusqlite::Result<usize> {
    for kind in Kind::BY_WORTH {
        let Some((first, last)) = kind.span(conn)? else { continue };
        let removed = kind.remove_before(conn, first + (last - first) / 10 + 1)?;
        if removed > 0 {
            return Ok(removed);
        }
    }
    Ok(0)
}

/// Bytes of the file that hold something.
pub fn used(conn: &Connection) -> rusqlite::Result<u64> {
    let number = |pragma: &str| {
        conn.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
    };
    Ok((number("page_count")?.saturating_sub(number("freelist_count")?)) * number("page_size")?)
}

/// Gives free pages back to the disk.
fn give_back(conn: &Connection) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached("PRAGMA incremental_vacuum")?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}
