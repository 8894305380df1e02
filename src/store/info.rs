//! What a file holds, in numbers.

use std::path::PathBuf;

use serde::Serialize;

use super::lock::Lock;
use super::open::OpenError;
use super::read::Reader;
use super::{StorePath, retention, schema};

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Info {
    /// Version of this form.
    pub v: u32,
    /// The asset.
    pub asset: String,
    /// The file.
    pub path: PathBuf,
    /// Version of its tables.
    pub version: u32,
    /// `live` or `simulated`.
    pub origin: &'static str,
    /// Width of its bins, basis points.
    pub bin_bp: f64,
    /// Size of the file and its log, bytes.
    pub bytes: u64,
    /// How much of the file holds something, bytes.
    pub used_bytes: u64,
    /// Who writes it now.
    pub writer: Option<String>,
    /// Its tables.
    pub tables: Vec<TableInfo>,
}

/// One kind of row on one venue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableInfo {
    /// `columns 1m`, `liquidations`, …
    pub what: String,
    /// Whose; empty for checkpoints, which hold all venues.
    pub venue: String,
    /// How many.
    pub rows: u64,
    /// Bytes of their bodies, where they have one.
    pub body_bytes: u64,
    /// Time of the first, UTC ms.
    pub first: i64,
    /// Time of the last, UTC ms.
    pub last: i64,
}

const TABLES: &str = "
    SELECT 'columns ' || CASE interval_ms WHEN 60000 THEN '1m' WHEN 300000 THEN '5m' WHEN 3600000 THEN '1h' ELSE '1d' END,
        name, count(*), sum(length(body)), min(start), max(start), interval_ms AS place
        FROM columns JOIN venues ON venues.id = venue GROUP BY interval_ms, venue
    UNION ALL SELECT 'liquidations', name, count(*), 0, min(ts), max(ts), 1e12
        FROM liquidations JOIN venues ON venues.id = venue GROUP BY venue
    UNION ALL SELECT 'open interest', name, count(*), 0, min(ts), max(ts), 2e12
        FROM open_interest JOIN venues ON venues.id = venue GROUP BY venue
    UNION ALL SELECT 'funding', name, count(*), 0, min(ts), max(ts), 3e12
        FROM funding JOIN venues ON venues.id = venue GROUP BY venue
    UNION ALL SELECT 'checkpoints', '', count(*), sum(length(body)), min(now), max(now), 4e12
        FROM checkpoints HAVING count(*) > 0
    ORDER BY place, name";

/// Looks at an asset's file; `None` where there is none.
pub fn info(at: &StorePath) -> Result<Option<Info>, OpenError> {
    let Some(reader) = Reader::open(at)? else { return Ok(None) };
    let read = || -> rusqlite::Result<Info> {
        let conn = reader.connection();
        let mut find = conn.prepare(TABLES)?;
        let table = |row: &rusqlite::Row<'_>| {
            Ok(TableInfo {
                what: row.get(0)?,
                venue: row.get(1)?,
                rows: row.get::<_, i64>(2)?.unsigned_abs(),
                body_bytes: row.get::<_, Option<i64>>(3)?.unwrap_or(0).unsigned_abs(),
                first: row.get(4)?,
                last: row.get(5)?,
            })
        };
        let mut log = at.database().into_os_string();
        log.push("-wal");
        let size = |path: PathBuf| std::fs::metadata(path).map_or(0, |m| m.len());
        Ok(Info {
            v: 1,
            asset: at.asset().to_string(),
            path: at.database(),
            version: schema::VERSION,
            origin: if reader.identity().simulated { "simulated" } else { "live" },
            bin_bp: reader.identity().bin_bp,
            bytes: size(at.database()) + size(log.into()),
            used_bytes: retention::used(conn)?,
            writer: Lock::holder(&at.lock()).map(|owner| owner.to_string()),
            tables: find.query_map([], table)?.collect::<rusqlite::Result<_>>()?,
        })
    };
    read().map(Some).map_err(|e| OpenError::Io { path: at.database(), why: e.to_string() })
}
