//! The tables, and how older files become newer ones.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::Identity;

/// `melt`: tells our files from others (`PRAGMA application_id`).
pub const APPLICATION: i32 = 0x6d65_6c74;

/// The steps from nothing to the newest version: step `i` makes version `i + 1`. A step that was released is never changed; what
/// is new is one more step.
pub const STEPS: [&str; 2] = [
    "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE venues (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE columns (
        id INTEGER PRIMARY KEY,
        venue INTEGER NOT NULL REFERENCES venues (id),
        interval_ms INTEGER NOT NULL,
        start INTEGER NOT NULL,
        digest INTEGER NOT NULL,
        body BLOB NOT NULL,
        UNIQUE (venue, interval_ms, start)
    ) STRICT;
    CREATE INDEX columns_by_age ON columns (interval_ms, start);
    CREATE TABLE liquidations (
        ts INTEGER NOT NULL,
        venue INTEGER NOT NULL REFERENCES venues (id),
        position TEXT NOT NULL,
        price TEXT NOT NULL,
        qty TEXT NOT NULL,
        nth INTEGER NOT NULL,
        price_kind TEXT NOT NULL,
        sampled TEXT NOT NULL,
        PRIMARY KEY (ts, venue, position, price, qty, nth)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE open_interest (
        slot INTEGER NOT NULL,
        venue INTEGER NOT NULL REFERENCES venues (id),
        ts INTEGER NOT NULL,
        qty TEXT NOT NULL,
        PRIMARY KEY (slot, venue)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE funding (
        slot INTEGER NOT NULL,
        venue INTEGER NOT NULL REFERENCES venues (id),
        ts INTEGER NOT NULL,
        rate TEXT NOT NULL,
        hours INTEGER,
        PRIMARY KEY (slot, venue)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE checkpoints (
        id INTEGER PRIMARY KEY,
        saved_at INTEGER NOT NULL,
        now INTEGER NOT NULL,
        state_version INTEGER NOT NULL,
        digest INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
",
    // How things stand, for readers beside; `venue` is empty where a row is about all of them.
    "
    CREATE TABLE live (
        venue TEXT NOT NULL,
        part TEXT NOT NULL,
        written_at INTEGER NOT NULL,
        digest INTEGER NOT NULL,
        body BLOB NOT NULL,
        UNIQUE (venue, part)
    ) STRICT;
",
];

/// The newest version.
pub const VERSION: u32 = STEPS.len() as u32;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing in it yet.
    Empty,
    /// Ours, of this version.
    Ours(u32),
    /// A database of something else.
    Foreign,
}

/// What a file is; an error is that it cannot be read as a database.
pub fn state(conn: &Connection) -> rusqlite::Result<State> {
    let number = |pragma: &str| conn.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (i32::try_from(application), u32::try_from(version)) {
        (Ok(APPLICATION), Ok(version)) => State::Ours(version),
        (Ok(0), Ok(0)) if tables == 0 => State::Empty,
        _ => State::Foreign,
    })
}

/// Brings a file from `version` to the end of the steps, each in a transaction of its own, with a copy of the file before each that
/// has something to lose.
pub fn migrate(
    conn: &mut Connection,
    version: u32,
    steps: &[&str],
    path: &Path,
) -> anyhow::Result<Vec<String>> {
    let mut notes = Vec::new();
    for (at, step) in steps.iter().enumerate().skip(version as usize) {
        if at > 0 && version > 0 {
            let copy = super::open::beside(path, &format!("v{at}"));
            conn.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
            super::open::for_the_user_only(&copy)?;
            notes.push(format!(
                "{} brought to version {}; the old one is {}",
                path.display(),
                at + 1,
                copy.display()
            ));
        }
        let tx = conn.transaction()?;
        tx.execute_batch(step)?;
        tx.pragma_update(None, "application_id", APPLICATION)?;
        tx.pragma_update(None, "user_version", at as i64 + 1)?;
        tx.commit()?;
    }
    Ok(notes)
}

/// Says in a new file whose it is.
pub fn sign(conn: &Connection, identity: &Identity) -> rusqlite::Result<()> {
    let program = concat!("meltline ", env!("CARGO_PKG_VERSION"));
    let origin = if identity.simulated { "simulated" } else { "live" };
    let rows = [
        ("asset", identity.asset.to_string()),
        ("origin", origin.to_owned()),
        ("bin_bp", identity.bin_bp.to_string()),
        ("created_by", program.to_owned()),
    ];
    for (key, value) in rows {
        conn.execute("INSERT OR IGNORE INTO meta (key, value) VALUES (?1, ?2)", params![key, value])?;
    }
    Ok(())
}

/// Whose file it is; `None` where that cannot be read.
pub fn identity(conn: &Connection) -> rusqlite::Result<Option<Identity>> {
    let get = |key: &str| {
        conn.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get::<_, String>(0))
            .optional()
    };
    let (asset, origin, bin_bp) = (get("asset")?, get("origin")?, get("bin_bp")?);
    let read = || {
        let simulated = match origin?.as_str() {
            "live" => false,
            "simulated" => true,
            _ => return None,
        };
        Some(Identity { asset: asset?.parse().ok()?, simulated, bin_bp: bin_bp?.parse().ok()? })
    };
    Ok(read())
}
