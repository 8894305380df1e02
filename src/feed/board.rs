//! Where a venue's sockets, calls and merger write down how they are doing, and from where its status is read.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use crate::market::Venue;

use super::status::{Counters, LinkState, StreamStatus, VenueStatus, clean};
use super::venue::ConnSpec;

/// The longest note that fits a status line.
const NOTE: usize = 160;

/// One connection's state.
#[derive(Debug, Clone)]
struct Conn {
    state: LinkState,
    note: String,
    streams: Vec<StreamStatus>,
}

#[derive(Debug)]
struct Inner {
    conns: Vec<Conn>,
    /// State of the REST side; `Live` when it has nothing to say.
    rest: (LinkState, String),
    /// Trouble of the capture.
    capture: String,
    lag_ms: Option<i64>,
    counters: Counters,
    rate_limited: u64,
    /// Messages refused unread.
    refused: u64,
}

/// One venue's board.
#[derive(Debug)]
pub struct Board {
    venue: Venue,
    inner: Mutex<Inner>,
    /// How many connections are down.
    down: watch::Sender<usize>,
}

impl Board {
    pub fn new(venue: Venue) -> Self {
        let inner = Inner {
            conns: Vec::new(),
            rest: (LinkState::Connecting, String::new()),
            capture: String::new(),
            lag_ms: None,
            counters: Counters::default(),
            rate_limited: 0,
            refused: 0,
        };
        Self { venue, inner: Mutex::new(inner), down: watch::Sender::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves plain numbers behind; they are still true.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the connections there will be; all are down.
    pub fn expect(&self, specs: &[ConnSpec]) {
        let mut inner = self.lock();
        for spec in specs {
            let stream = |s: &super::venue::StreamSpec| StreamStatus {
                name: s.name,
                last: None,
                steady: s.first.is_some(),
            };
            let streams = spec.streams.iter().map(stream).collect();
            inner.conns.push(Conn { state: LinkState::Connecting, note: String::new(), streams });
        }
        self.down.send_modify(|n| *n += specs.len());
    }

    /// Waits until every connection is up.
    pub async fn all_up(&self) {
        // The sender lives in this board, so waiting cannot fail.
        let _ = self.down.subscribe().wait_for(|n| *n == 0).await;
    }

    /// A connection came up.
    pub fn up(&self) {
        self.down.send_modify(|n| *n = n.saturating_sub(1));
    }

    /// A connection was lost.
    pub fn lost(&self) {
        self.down.send_modify(|n| *n += 1);
    }

    /// Sets the state of a connection; text from outside may stand in the note.
    pub fn conn(&self, conn: usize, state: LinkState, note: &str) {
        if let Some(c) = self.lock().conns.get_mut(conn) {
            c.state = state;
            c.note = clean(note, NOTE);
        }
    }

    /// A stream spoke.
    pub fn heard(&self, conn: usize, stream: usize, at: Instant) {
        if let Some(s) = self.lock().conns.get_mut(conn).and_then(|c| c.streams.get_mut(stream)) {
            s.last = Some(at);
        }
    }

    /// Sets the state of the REST side; `Live` and nothing when all is well.
    pub fn rest(&self, state: LinkState, note: &str) {
        self.lock().rest = (state, clean(note, NOTE));
    }

    /// The venue told us to slow down.
    pub fn rate_limited(&self) {
        self.lock().rate_limited += 1;
    }

    /// A message was refused unread.
    pub fn refused(&self) {
        self.lock().refused += 1;
    }

    /// The capture ended with an error; events go on.
    pub fn capture_failed(&self, why: &str) {
        self.lock().capture = clean(why, NOTE);
    }

    /// What the merger measured.
    pub fn measured(&self, counters: Counters, lag_ms: Option<i64>) {
        let mut inner = self.lock();
        inner.counters = counters;
        inner.lag_ms = lag_ms;
    }

    /// All of it in one.
    pub fn status(&self) -> VenueStatus {
        let inner = self.lock();
        let rest = (&inner.rest.0, &inner.rest.1);
        let conns = inner.conns.iter().map(|c| (&c.state, &c.note));
        // `max_by_key` takes the last of equals: sockets before REST.
        let (state, note) =
            std::iter::once(rest).chain(conns).max_by_key(|(s, _)| gravity(s)).unwrap_or(rest);
        let notes = [note, rest.1, &inner.capture];
        let note = notes.into_iter().find(|n| !n.is_empty()).cloned().unwrap_or_default();
        let mut counters = inner.counters;
        counters.rate_limited += inner.rate_limited;
        counters.frames += inner.refused;
        counters.malformed += inner.refused;
        VenueStatus {
            venue: self.venue,
            state: state.clone(),
            note,
            streams: inner.conns.iter().flat_map(|c| c.streams.iter().cloned()).collect(),
            lag_ms: inner.lag_ms,
            counters,
        }
    }
}

/// The worse state of two is the venue's.
fn gravity(state: &LinkState) -> u8 {
    match state {
        LinkState::Live | LinkState::Recorded => 0,
        LinkState::Backfilling => 1,
        LinkState::Connecting => 2,
        LinkState::Silent { .. } => 3,
        LinkState::Reconnecting { .. } => 4,
        LinkState::Blocked => 5,
        LinkState::Ended => 6,
    }
}
