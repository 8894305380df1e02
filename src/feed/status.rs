//! The truth about a feed, in words a trader understands.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::market::{Sampled, Venue};

/// What a venue's feed is doing.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkState {
    /// Opening sockets.
    Connecting,
    /// Fetching history.
    Backfilling,
    /// Every stream delivers.
    Live,
    /// Connected, but a stream that should deliver does not.
    Silent {
        /// The stream.
        stream: String,
    },
    /// Lost; will try again.
    Reconnecting {
        /// When.
        at: Instant,
    },
    /// The venue refuses this place or this address; tried again rarely.
    Blocked,
    /// Events come from a recording.
    Recorded,
    /// Ended: the recording is at its end, or the feed was switched off.
    Ended,
}

/// One stream of a venue.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamStatus {
    /// Name as the venue calls it, such as `aggTrade`.
    pub name: Cow<'static, str>,
    /// When its last frame arrived (monotonic).
    pub last: Option<Instant>,
    /// Whether the stream is expected to speak all the time (a liquidation feed is not).
    pub steady: bool,
    /// How long it may be silent before it is called so: 15 s, three times its documented cadence, or three times what is usual for
    /// this asset, whichever is longest; `None` for a stream that speaks only now and then.
    pub limit: Option<Duration>,
}

impl StreamStatus {
    /// Whether it has been silent for too long.
    pub fn is_silent(&self, now: Instant) -> bool {
        let age = self.last.map(|last| now.saturating_duration_since(last));
        self.limit.zip(age).is_some_and(|(limit, age)| age > limit)
    }
}

/// What was counted; nothing is lost in silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Frames received.
    pub frames: u64,
    /// Events made of them.
    pub events: u64,
    /// Frames of a kind we do not use, by choice.
    pub ignored: u64,
    /// Frames of a kind we do not know.
    pub unknown: u64,
    /// Frames that could not be read.
    pub malformed: u64,
    /// Rows that repeat what was seen (overlapping connections).
    pub duplicates: u64,
    /// Rows that tell of the time before they were asked for, where a venue begins with some.
    pub history: u64,
    /// Rows missing by the venue's own numbering.
    pub missed: u64,
    /// Connections lost.
    pub reconnects: u64,
    /// Times the venue told us to slow down.
    pub rate_limited: u64,
    /// Stretches that are missing.
    pub gaps: u64,
    /// Frames that are missing in the capture, or may be, for it could not be written.
    pub uncaptured: u64,
}

impl Counters {
    /// Adds what another counted.
    pub fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.events += other.events;
        self.ignored += other.ignored;
        self.unknown += other.unknown;
        self.malformed += other.malformed;
        self.duplicates += other.duplicates;
        self.history += other.history;
        // Told by the venue, who may jump to any number.
        self.missed = self.missed.saturating_add(other.missed);
        self.reconnects += other.reconnects;
        self.rate_limited += other.rate_limited;
        self.gaps += other.gaps;
        self.uncaptured += other.uncaptured;
    }
}

/// The state of one venue's feed.
#[derive(Debug, Clone, PartialEq)]
pub struct VenueStatus {
    /// Which venue.
    pub venue: Venue,
    /// What it is doing.
    pub state: LinkState,
    /// Why, in plain words; empty when all is well. Free of control characters.
    pub note: String,
    /// Its streams.
    pub streams: Vec<StreamStatus>,
    /// Receive time less event time, ms, less its minimum over five minutes (clocks differ).
    pub lag_ms: Option<i64>,
    /// This machine's clock less the venue's, ms: the least of five minutes, delays included.
    pub clock_ms: Option<i64>,
    /// How complete its liquidations are; `None` where the venue has no public feed of them.
    pub liquidations: Option<Sampled>,
    /// What was counted since the start.
    pub counters: Counters,
}

impl VenueStatus {
    /// A feed that has not begun.
    pub fn new(venue: Venue) -> Self {
        Self {
            venue,
            state: LinkState::Connecting,
            note: String::new(),
            streams: Vec::new(),
            lag_ms: None,
            clock_ms: None,
            liquidations: None,
            counters: Counters::default(),
        }
    }

    /// When anything last arrived (monotonic).
    pub fn last_frame(&self) -> Option<Instant> {
        self.streams.iter().filter_map(|s| s.last).max()
    }
}

/// Text from outside with control characters taken out and cut to a length fit for a status line.
pub fn clean(text: &str, max_chars: usize) -> String {
    text.chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control())
        .take(max_chars)
        .collect()
}
