//! Opening a file: what it is, whether it is whole, who else writes.

use std::fs::{DirBuilder, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::lock::{Lock, LockError, Owner};
use super::schema::{self, STEPS, State, VERSION};
use super::writer::Writer;
use super::{Identity, StoreConfig, StorePath};

/// How long another's short transaction is waited for.
const BUSY: Duration = Duration::from_secs(5);

/// Pages a writer keeps in memory, kB: it appends, and reads next to nothing back. SQLite would keep 2 MB, for each asset.
const CACHE_KB: i64 = 512;

/// Why a file is not written to.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process writes.
    #[error("{path} is being written by {owner}: one process writes, others read")]
    Held {
        /// Which file.
        path: PathBuf,
        /// Who.
        owner: Owner,
    },
    /// A later version wrote it.
    #[error(
        "{path} was written by a later version (its version {found}, ours {VERSION}): it is left alone; use that version or another --data-dir"
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Not ours.
    #[error("{path} is a database, but not of meltline: it is left alone; use another --data-dir")]
    Foreign {
        /// Which file.
        path: PathBuf,
    },
    /// It holds another history.
    #[error("{path} holds the history of {found}, not of {wanted}: they do not mix; use another --data-dir")]
    Other {
        /// Which file.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        wanted: String,
    },
    /// It cannot be made, read or written.
    #[error("cannot open the history in {path}: {why}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// A file open for writing.
#[derive(Debug)]
pub struct Opened {
    /// Its writer.
    pub writer: Writer,
    /// What the user should know, such as that a broken file was set aside.
    pub notes: Vec<String>,
}

/// Opens an asset's file for writing, and makes it if there is none.
pub fn open_writer(at: &StorePath, identity: &Identity, config: StoreConfig) -> Result<Opened, OpenError> {
    open_writer_holding(lock_writer(at, "writer")?, at, identity, config)
}

/// Takes the right to write an asset's file; what for, in a word, is told to those who want it too.
pub fn lock_writer(at: &StorePath, purpose: &str) -> Result<Lock, OpenError> {
    let path = at.database();
    let io = |why: &dyn std::fmt::Display| OpenError::Io { path: path.clone(), why: why.to_string() };
    make_folder(at.folder()).map_err(|e| io(&e))?;
    Lock::take(&at.lock(), purpose).map_err(|e| match e {
        LockError::Held(owner) => OpenError::Held { path: path.clone(), owner },
        LockError::Io(e) => io(&e),
    })
}

/// As [`open_writer`], with the right to write it in hand.
pub fn open_writer_holding(
    lock: Lock,
    at: &StorePath,
    identity: &Identity,
    config: StoreConfig,
) -> Result<Opened, OpenError> {
    let Held { conn, lock, notes } = hold(lock, at, identity)?;
    let writer = Writer::spawn(conn, at, config, lock)
        .map_err(|e| OpenError::Io { path: at.database(), why: e.to_string() })?;
    Ok(Opened { writer, notes })
}

/// A file that nobody else writes as long as this lives.
pub(super) struct Held {
    pub conn: Connection,
    pub lock: Lock,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// Opens an asset's file with the right to write it in hand, and makes it if there is none.
pub(super) fn hold(lock: Lock, at: &StorePath, identity: &Identity) -> Result<Held, OpenError> {
    let path = at.database();
    let io = |why: &dyn std::fmt::Display| OpenError::Io { path: path.clone(), why: why.to_string() };
    let mut notes = Vec::new();
    let conn = loop {
        match prepare(&path, identity, &mut notes) {
            Ok(conn) => break conn,
            Err(Trouble::Broken(why)) => {
                let aside = set_aside(&path).map_err(|e| io(&e))?;
                notes.push(format!(
                    "{} is damaged ({why}); it was set aside as {}, and a new history begins",
                    path.display(),
                    aside.display()
                ));
            }
            Err(Trouble::Refused(error)) => return Err(error),
            Err(Trouble::Other(e)) => return Err(io(&format!("{e:#}"))),
        }
    };
    Ok(Held { conn, lock, notes })
}

/// Makes an asset's file as small as it can be. Returns its size before and after, bytes.
pub fn vacuum(at: &StorePath) -> Result<(u64, u64), OpenError> {
    let path = at.database();
    let io = |why: &dyn std::fmt::Display| OpenError::Io { path: path.clone(), why: why.to_string() };
    let _lock = lock_writer(at, "vacuum")?;
    let size = || std::fs::metadata(&path).map(|m| m.len()).map_err(|e| io(&e));
    let before = size()?;
    let conn = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|e| io(&e))?;
    match schema::state(&conn).map_err(|e| io(&e))? {
        State::Ours(version) if version <= VERSION => {}
        State::Ours(found) => return Err(OpenError::Newer { path, found }),
        State::Foreign | State::Empty => return Err(OpenError::Foreign { path }),
    }
    let packed = conn
        .execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")
        .and_then(|()| conn.close().map_err(|(_, e)| e));
    packed.map_err(|e| io(&e))?;
    Ok((before, size()?))
}

/// What stands in the way.
enum Trouble {
    /// The file is no database, or a damaged one.
    Broken(String),
    Refused(OpenError),
    Other(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Trouble {
    fn from(error: E) -> Self {
        let error = error.into();
        match error.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code) {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Broken(format!("{error:#}")),
            _ => Self::Other(error),
        }
    }
}

fn prepare(path: &Path, identity: &Identity, notes: &mut Vec<String>) -> Result<Connection, Trouble> {
    create(path)?;
    let mut conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    conn.busy_timeout(BUSY)?;
    let refused = |error| Err(Trouble::Refused(error));
    let version = match schema::state(&conn)? {
        State::Empty => 0,
        State::Ours(version) if version <= VERSION => version,
        State::Ours(found) => return refused(OpenError::Newer { path: path.into(), found }),
        State::Foreign => return refused(OpenError::Foreign { path: path.into() }),
    };
    if version == 0 {
        // Before the first table, so that room can be given back bit by bit.
        conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    } else {
        let verdict: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(Trouble::Broken(crate::feed::status::clean(&verdict, 120)));
        }
    }
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(Trouble::Other(anyhow::anyhow!("the disk does not allow a write-ahead log")));
    }
    // A commit survives the end of the process; only a crash of the machine may cost the last few.
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    conn.pragma_update(None, "journal_size_limit", 16 << 20)?;
    conn.pragma_update(None, "cache_size", -CACHE_KB)?;
    notes.extend(schema::migrate(&mut conn, version, &STEPS, path)?);
    if version == 0 {
        schema::sign(&conn, identity)?;
    }
    match schema::identity(&conn)? {
        Some(found) if found == *identity => Ok(conn),
        Some(found) => refused(OpenError::Other {
            path: path.into(),
            found: in_words(&found),
            wanted: in_words(identity),
        }),
        None => Err(Trouble::Broken("it does not say whose history it is".to_owned())),
    }
}

fn in_words(identity: &Identity) -> String {
    let origin = if identity.simulated { "simulated " } else { "" };
    format!("{origin}{} in bins of {} bp", identity.asset, identity.bin_bp)
}

/// Makes a folder for the user's eyes only.
pub(super) fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// An empty file is an empty database; its log takes on its mode.
fn create(path: &Path) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).with_context(|| "it cannot be written".to_owned())
}

/// Takes a file from the eyes of others.
pub(super) fn for_the_user_only(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(())
}

/// A name that is not taken, beside a file: `BTC.v1-20261122T160000Z.db`.
pub(super) fn beside(path: &Path, why: &str) -> PathBuf {
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let name = |n: u32| match n {
        1 => path.with_file_name(format!("{stem}.{why}-{now}.db")),
        n => path.with_file_name(format!("{stem}.{why}-{now}-{n}.db")),
    };
    (1..1_000).map(name).find(|p| !p.exists()).unwrap_or_else(|| name(1_000))
}

/// Gives a damaged file, with its log, a name of its own.
fn set_aside(path: &Path) -> std::io::Result<PathBuf> {
    let aside = beside(path, "corrupt");
    for tail in ["-wal", "-shm"] {
        let with = |p: &Path| {
            let mut name = p.as_os_str().to_owned();
            name.push(tail);
            PathBuf::from(name)
        };
        if with(path).exists() {
            std::fs::rename(with(path), with(&aside))?;
        }
    }
    std::fs::rename(path, &aside)?;
    Ok(aside)
}
