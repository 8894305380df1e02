//! Where a venue's sockets, calls and merger write down how they are doing, and from where its status is read.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::market::{Sampled, Venue};

use super::status::{Counters, LinkState, StreamStatus, VenueStatus, clean};
use super::venue::ConnSpec;

/// How long a stream may be silent before it is called so, whatever its cadence.
const SILENCE: Duration = Duration::from_secs(15);

/// The longest pause a stream's limit grows with: beyond it lies a weekend, not a quiet coin.
const MOST_PAUSE: Duration = Duration::from_secs(600);

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
    clock_ms: Option<i64>,
    counters: Counters,
    rate_limited: u64,
    /// Messages refused unread.
    refused: u64,
}

/// One venue's board.
#[derive(Debug)]
pub struct Board {
    venue: Venue,
    liquidations: Option<Sampled>,
    inner: Mutex<Inner>,
    /// How many connections are down.
    down: watch::Sender<usize>,
    /// How often a stream that should speak did not.
    silences: watch::Sender<u64>,
}

impl Board {
    pub fn new(venue: Venue, liquidations: Option<Sampled>) -> Self {
        let inner = Inner {
            conns: Vec::new(),
            rest: (LinkState::Connecting, String::new()),
            capture: String::new(),
            lag_ms: None,
            clock_ms: None,
            counters: Counters::default(),
            rate_limited: 0,
            refused: 0,
        };
        Self {
            venue,
            liquidations,
            inner: Mutex::new(inner),
            down: watch::Sender::new(0),
            silences: watch::Sender::new(0),
        }
    }

    /// Whose board it is.
    pub fn venue(&self) -> Venue {
        self.venue
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
                name: s.name.into(),
                last: None,
                steady: s.first.is_some(),
                limit: s.idle.map(|_| SILENCE.max(s.cadence.unwrap_or_default() * 3)),
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

    /// A stream that should speak did not.
    pub fn silent(&self) {
        self.silences.send_modify(|n| *n += 1);
    }

    /// Tells of each silence from now on.
    pub fn silences(&self) -> watch::Receiver<u64> {
        self.silences.subscribe()
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
            // What is usual for a coin that hardly trades is no silence: the limit grows with the pauses seen.
            if let (Some(last), Some(limit)) = (s.last, &mut s.limit) {
                *limit = (*limit).max(at.saturating_duration_since(last).min(MOST_PAUSE) * 3);
            }
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

    /// Why the capture is not written, if it is not; events go on.
    pub fn capture(&self, why: &str) {
        self.lock().capture = clean(why, NOTE);
    }

    /// What the merger measured.
    pub fn measured(&self, counters: Counters, lag_ms: Option<i64>, clock_ms: Option<i64>) {
        let mut inner = self.lock();
        inner.counters = counters;
        inner.lag_ms = lag_ms;
        inner.clock_ms = clock_ms;
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
        let mut note = notes.into_iter().find(|n| !n.is_empty()).cloned().unwrap_or_default();
        let mut state = state.clone();
        let now = Instant::now();
        let silent = inner.conns.iter().flat_map(|c| &c.streams).find(|s| s.is_silent(now));
        if let (LinkState::Live, Some(stream)) = (&state, silent) {
            let limit = stream.limit.unwrap_or_default().as_secs();
            note = format!("connected, but nothing on {} for more than {limit} s", stream.name);
            state = LinkState::Silent { stream: stream.name.to_string() };
        }
        let mut counters = inner.counters;
        counters.rate_limited += inner.rate_limited;
        counters.frames += inner.refused;
        counters.malformed += inner.refused;
        VenueStatus {
            venue: self.venue,
            state,
            note,
            streams: inner.conns.iter().flat_map(|c| c.streams.iter().cloned()).collect(),
            lag_ms: inner.lag_ms,
            clock_ms: inner.clock_ms,
            liquidations: self.liquidations,
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
