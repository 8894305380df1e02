//! Much at once, and nobody waiting for it: what `import` writes with.

use std::path::PathBuf;

use rusqlite::Connection;

use super::lock::Lock;
use super::open::{OpenError, hold, lock_writer};
use super::retention::{self, Outlived};
use super::rows::{Numbered, Numbering, Rows, Written};
use super::{Identity, StoreConfig, StorePath};
use crate::engine::record::Record;

/// Records committed together.
const BATCH: usize = 2_048;

/// What was brought in, in rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// Rows that are new, and columns that were there and say otherwise.
    pub written: Written,
    /// Columns that were there already, whatever they say: they stay as they are.
    pub known_columns: u64,
    /// Liquidations that were there already.
    pub known_liquidations: u64,
    /// Rows older than what is kept of their kind, left out; and rows that have outlived that because newer ones came.
    pub outlived: u64,
}

/// An asset's file open for writing by this thread: what does not fit on the disk is an error here and now.
pub struct Bulk {
    conn: Connection,
    path: PathBuf,
    config: StoreConfig,
    numbering: Numbering,
    outlived: Outlived,
    held: Vec<Numbered>,
    imported: Imported,
    failed: Option<rusqlite::Error>,
    _lock: Lock,
}

impl Bulk {
    /// Opens an asset's file, and makes it if there is none. Returns what the user should know, too.
    pub fn open(
        at: &StorePath,
        identity: &Identity,
        config: StoreConfig,
    ) -> Result<(Self, Vec<String>), OpenError> {
        let held = hold(lock_writer(at, "import")?, at, identity)?;
        let now = jiff::Timestamp::now().as_millisecond();
        let outlived = Outlived::new(&held.conn, &config, now)
            .map_err(|e| OpenError::Io { path: at.database(), why: e.to_string() })?;
        let bulk = Self {
            conn: held.conn,
            path: at.database(),
            config,
            numbering: Numbering::default(),
            outlived,
            held: Vec::new(),
            imported: Imported::default(),
            failed: None,
            _lock: held.lock,
        };
        Ok((bulk, held.notes))
    }

    /// Adds a record. After a failure nothing more is taken: [`Bulk::check`] tells it.
    pub fn add(&mut self, record: Record) {
        if self.failed.is_some() {
            return;
        }
        if let Some(record) = self.young(record) {
            let numbered = self.numbering.number(record);
            self.held.push(numbered);
        }
        if self.held.len() >= BATCH {
            self.failed = self.commit().err();
        }
    }

    /// Whether all went well so far.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.failed.take() {
            None => Ok(()),
            Some(e) => Err(anyhow::anyhow!(
                "cannot write {}: {e}; what was committed before stays, and the import can be run again",
                self.path.display()
            )),
        }
    }

    /// Commits the rest and lets what has outlived its time go.
    pub fn finish(mut self) -> anyhow::Result<Imported> {
        if self.failed.is_none() {
            self.failed = self.commit().err();
        }
        self.check()?;
        let now = jiff::Timestamp::now().as_millisecond();
        self.imported.outlived += retention::prune(&mut self.conn, &self.config, now)? as u64;
        self.conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        Ok(self.imported)
    }

    /// What is young enough of a record.
    fn young(&mut self, record: Record) -> Option<Record> {
        let record = match record {
            Record::Columns { venue, mut columns } => {
                let came = columns.len();
                columns.retain(|c| !self.outlived.column(c.interval, c.start));
                self.imported.outlived += (came - columns.len()) as u64;
                return (!columns.is_empty()).then_some(Record::Columns { venue, columns });
            }
            Record::Liquidation { ts, .. } if self.outlived.liquidation(ts) => None,
            Record::OpenInterest { ts, .. } if self.outlived.open_interest(ts) => None,
            Record::Funding { ts, .. } if self.outlived.funding(ts) => None,
            record => Some(record),
        };
        self.imported.outlived += u64::from(record.is_none());
        record
    }

    fn commit(&mut self) -> rusqlite::Result<()> {
        let tx = self.conn.transaction()?;
        let mut rows = Rows::new(&tx);
        let (mut columns, mut liquidations) = (0, 0);
        for numbered in &self.held {
            match &numbered.record {
                Record::Columns { columns: closed, .. } => columns += closed.len() as u64,
                Record::Liquidation { .. } => liquidations += 1,
                _ => {}
            }
            rows.add(numbered)?;
        }
        let written = rows.written;
        tx.commit()?;
        self.held.clear();
        self.imported.known_columns += columns - written.columns;
        self.imported.known_liquidations += liquidations - written.liquidations;
        self.imported.written.add(&written);
        Ok(())
    }
}
