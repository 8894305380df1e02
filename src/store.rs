//! History on disk: one SQLite file an asset, written by one process, read by any number (`docs/STORE.md`).
//!
//! ```text
//! engine ──Record──► bounded channel ──► writer thread ──► BTC.db (WAL) ──► readers
//! ```
//!
//! What is in the file never changes: a row that is there already stays as it is, and one that says otherwise is counted and
//! logged. A file that cannot be trusted is set aside under a name of its own, one from a later version is left alone.

mod bulk;
pub mod codec;
pub mod export;
pub mod follow;
pub mod info;
mod interest;
mod lock;
mod open;
pub mod read;
mod retention;
mod rows;
mod schema;
pub mod writer;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::market::Asset;

pub use bulk::{Bulk, Imported};
pub use follow::Follower;
pub use interest::Interest;
pub use lock::{Lock, Owner};
pub use open::{OpenError, Opened, lock_writer, open_writer, open_writer_holding, vacuum};
pub use read::Reader;
pub use schema::VERSION;
pub use writer::{Writer, WriterStatus};

/// `[store]`: what is kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoreConfig {
    /// Whether history is kept at all.
    pub enabled: bool,
    /// Hours that columns of a minute are kept, 1 to 8760.
    pub minute_hours: u32,
    /// Days that columns of five minutes are kept, 1 to 3650.
    pub five_minute_days: u32,
    /// Days that columns of an hour are kept, 1 to 36500. Columns of a day are kept for ever.
    pub hour_days: u32,
    /// Days that readings of open interest are kept, 1 to 36500.
    pub open_interest_days: u32,
    /// Days that funding rates are kept, 1 to 36500.
    pub funding_days: u32,
    /// Days that observed liquidations are kept, 0 to 36500; 0 keeps them for ever.
    pub liquidation_days: u32,
    /// Megabytes an asset's file may take, 50 to 1000000; beyond, the finest and oldest goes first.
    pub max_mb: u32,
    /// Megabytes that raw captures of all assets may take, 50 to 10000000; beyond, the oldest segments go.
    pub capture_max_mb: u32,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            minute_hours: 6,
            five_minute_days: 7,
            hour_days: 180,
            open_interest_days: 30,
            funding_days: 365,
            liquidation_days: 0,
            max_mb: 2_000,
            capture_max_mb: 20_000,
        }
    }
}

/// Whose history a file holds. What was made otherwise does not mix.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// The asset.
    pub asset: Asset,
    /// Whether the exchanges were simulated.
    pub simulated: bool,
    /// Width of a price bin, basis points.
    pub bin_bp: f64,
}

/// Where an asset's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorePath {
    folder: PathBuf,
    asset: Asset,
}

impl StorePath {
    /// Under a data folder.
    pub fn new(data_dir: &Path, asset: Asset) -> Self {
        Self { folder: data_dir.join("history"), asset }
    }

    /// The folder of all assets.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.folder.join(format!("{}.db", self.asset))
    }

    /// What the writer locks. The file stays; only its lock counts.
    pub fn lock(&self) -> PathBuf {
        self.folder.join(format!("{}.lock", self.asset))
    }

    /// What readers lock that follow the writer: it tells how things stand only while somebody does. When the file was changed last is when
    /// the whole state was asked for last.
    pub fn followed(&self) -> PathBuf {
        self.folder.join(format!("{}.followed", self.asset))
    }

    /// The assets that have a file under a data folder.
    pub fn all(data_dir: &Path) -> Vec<Self> {
        let Ok(entries) = std::fs::read_dir(data_dir.join("history")) else { return Vec::new() };
        let asset = |entry: std::io::Result<std::fs::DirEntry>| {
            let path = entry.ok()?.path();
            let is_database = path.extension().is_some_and(|e| e == "db");
            // What was set aside or copied has lower-case letters in its name, which no asset's own has.
            let asset: Asset = path.file_stem()?.to_str().filter(|_| is_database)?.parse().ok()?;
            let own = Self::new(data_dir, asset);
            (own.database() == path).then_some(own)
        };
        let mut all: Vec<Self> = entries.filter_map(asset).collect();
        all.sort_by_key(|p| p.asset);
        all
    }

    /// The asset.
    pub fn asset(&self) -> Asset {
        self.asset
    }
}
