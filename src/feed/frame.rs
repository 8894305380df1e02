//! What arrived, as it arrived: one frame of a socket, one answer to a REST call, one opening or closing of a link.
//!
//! Sockets, REST polls, backfills and captures all speak in these, so that a replay runs through the same code as live.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::market::Venue;

use super::clock::receive_ns;

/// The name under which a batch of history is bracketed by `Open` and `Close`.
pub const BACKFILL: &str = "backfill";

/// The name under which single REST answers (polls) run.
pub const POLL: &str = "poll";

/// One thing a venue sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawFrame {
    /// When we received it, UTC ns.
    pub recv: i64,
    /// Who sent it.
    pub venue: Venue,
    /// Over which connection: `market`, `public`, or [`BACKFILL`] and [`POLL`] for REST.
    pub conn: Cow<'static, str>,
    /// What.
    pub body: Body,
}

/// What a frame holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Text of a socket frame.
    Ws(String),
    /// The answer to a REST call.
    Rest {
        /// Path and query of the call.
        path: String,
        /// The answer's body.
        text: String,
    },
    /// The connection opened.
    Open,
    /// The connection closed or was lost.
    Close,
}

impl Body {
    /// Its text, if it has one.
    pub fn into_text(self) -> String {
        match self {
            Self::Ws(text) | Self::Rest { text, .. } => text,
            Self::Open | Self::Close => String::new(),
        }
    }
}

impl RawFrame {
    /// A frame received now.
    pub fn now(venue: Venue, conn: impl Into<Cow<'static, str>>, body: Body) -> Self {
        Self { recv: receive_ns(), venue, conn: conn.into(), body }
    }
}

/// The machine's clock, UTC ns. What the market did is told by the venue's own clock; when frames came, by the clock of receive times.
pub fn now_ns() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
}
