//! What the engine hands on to be kept, and what it takes up again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::estimate::Column;
use crate::market::{Liquidation, Qty, Rate, Venue};

use super::beside::LiveMarket;
use super::snapshot::{History, Print};

/// Raised with every change of what a [`Checkpoint`] holds or of how the state it holds is meant: an older one is then of no use.
pub const STATE_VERSION: u32 = 3;

/// One thing to keep.
#[derive(Debug, Clone)]
pub enum Record {
    /// Columns of a venue that closed together: one of the base, and those it completed above it.
    Columns {
        /// Whose.
        venue: Venue,
        /// Finest first.
        columns: Vec<Arc<Column>>,
    },
    /// A forced close that was observed.
    Liquidation {
        /// Where.
        venue: Venue,
        /// Exchange time, UTC ms.
        ts: i64,
        /// What.
        liquidation: Liquidation,
    },
    /// A reading of open interest.
    OpenInterest {
        /// Where.
        venue: Venue,
        /// Exchange time, UTC ms.
        ts: i64,
        /// Base coin, one side.
        qty: Qty,
    },
    /// A funding rate as published.
    Funding {
        /// Where.
        venue: Venue,
        /// Exchange time, UTC ms.
        ts: i64,
        /// Of the running period.
        rate: Rate,
        /// Length of that period, where it is told.
        hours: Option<u32>,
    },
    /// The whole state.
    Checkpoint(Checkpoint),
    /// How things stand, for readers beside: each stands for the one before.
    Live(Box<LiveMarket>),
}

/// Where records go. It may block: that holds the engine back, and with it the feed.
pub type Sink = Box<dyn FnMut(Record) + Send + Sync>;

/// The state of an engine, from which it goes on bit for bit as if it had never stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Time of the newest event, UTC ms.
    pub now: i64,
    /// The hour in which venues last learned from another.
    pub(super) shared_at: i64,
    /// The tape.
    pub(super) tape: Vec<Print>,
    /// The venues' states.
    pub venues: Vec<VenueState>,
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self { now: 0, shared_at: i64::MIN, tape: Vec::new(), venues: Vec::new() }
    }
}

/// The state of one venue's market.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VenueState {
    /// Which venue.
    pub venue: Venue,
    /// When its newest event was known, UTC ms; very small before the first.
    pub seen: i64,
    /// Where its running column starts, UTC ms: closed columns from here on are not in the state.
    pub open: Option<i64>,
    /// All else, in the layout of [`STATE_VERSION`].
    pub(super) body: Vec<u8>,
}

impl VenueState {
    /// Its length.
    pub fn bytes(&self) -> usize {
        self.body.len()
    }
}

/// The closed columns of a venue, as they were kept.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Whose.
    pub venue: Venue,
    /// As much of them as a screen may want.
    pub history: History,
    /// The base columns from [`VenueState::open`] on, oldest first; where there is no state, the coarsest that cover the running day.
    pub since: Vec<Arc<Column>>,
}

/// Why a checkpoint is not taken up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Its bytes are no state.
    #[error("the state of {0} cannot be read")]
    Unreadable(Venue),
    /// Its parts do not fit each other.
    #[error("the state of {0} does not fit together")]
    Unsound(Venue),
}

/// A sink, or none.
#[derive(Default)]
pub(super) struct Outlet(pub Option<Sink>);

impl Outlet {
    pub fn send(&mut self, record: Record) {
        if let Some(sink) = &mut self.0 {
            sink(record);
        }
    }
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Outlet(open)" } else { "Outlet(closed)" })
    }
}
