//! The engine: one thread owns the state of the watched market and publishes snapshots.

pub mod snapshot;

pub use snapshot::{History, Origin, Print, Snapshot, VenueView};

use crate::market::Asset;

/// What the screen may ask of the programme behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Watch another asset: its feed is opened, its history fetched.
    Watch(Asset),
}
