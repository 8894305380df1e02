//! Frames to events: the part every venue shares.
//!
//! A [`Translator`] holds one venue's [`Wire`] and does what is the same for all: it gathers a batch of history and
//! puts it in order, counts every frame under exactly one heading, and tells the wire when a link was lost. It is
//! stateful and deterministic: the same frames give the same events.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::market::MarketEvent;
use crate::market::event::sort_events;

use super::frame::{BACKFILL, Body, RawFrame};
use super::series::Sink;
use super::status::{Counters, clean};
use super::venue::Want;

/// What a frame was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// A kind that gives events.
    Used(&'static str),
    /// A kind we know and do not use, by choice.
    Ignored(&'static str),
    /// A kind we do not know.
    Unknown,
    /// Cannot be read.
    Malformed(Cow<'static, str>),
}

/// One venue's own language.
pub trait Wire: Send {
    /// Reads a socket frame.
    fn socket(&mut self, conn: &str, text: &str, out: &mut Sink<'_>) -> Class;

    /// Reads the answer to a REST call, named by [`super::venue::Request::name`].
    fn answer(&mut self, call: &str, text: &str, out: &mut Sink<'_>) -> Class;

    /// The last connection of this name is gone.
    fn lost(&mut self, conn: &str);

    /// Up to when every minute is known, UTC ms; history after an outage begins here.
    fn complete_until(&self) -> Option<i64>;

    /// It as it is now, to go on from again.
    fn copied(&self) -> Box<dyn Wire>;
}

impl Clone for Box<dyn Wire> {
    fn clone(&self) -> Self {
        self.copied()
    }
}

/// Counts by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrameTally {
    /// Totals.
    pub counters: Counters,
    /// Frames of each kind we know, used or not.
    pub kinds: BTreeMap<&'static str, u64>,
}

/// What came of one frame.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Taken {
    /// When the venue says it sent the frame, UTC ms.
    pub sent: Option<i64>,
    /// The link's last connection closed with this frame: what follows has a gap before it.
    pub lost: bool,
    /// What must be asked of the venue now. A replay has nobody to ask: the answers are in the capture.
    pub wants: Vec<Want>,
}

/// Frames of one venue to events.
#[derive(Clone)]
pub struct Translator {
    wire: Box<dyn Wire>,
    counters: Counters,
    /// Frames of each kind. There are a dozen, and their names are literals: the same one lies at the same place, which is all that is compared.
    kinds: Vec<(&'static str, u64)>,
    /// Events of the batch of history that is being read.
    batch: Option<Vec<MarketEvent>>,
    /// Open connections by name; two of one name while one relieves the other.
    open: BTreeMap<Box<str>, u32>,
}

impl Translator {
    /// Over a venue's wire.
    pub fn new(wire: Box<dyn Wire>) -> Self {
        Self { wire, counters: Counters::default(), kinds: Vec::new(), batch: None, open: BTreeMap::new() }
    }

    /// Counts so far.
    pub fn tally(&self) -> FrameTally {
        let mut kinds = BTreeMap::new();
        // A name that stands at several places in the program may lie at as many.
        self.kinds.iter().for_each(|(kind, n)| *kinds.entry(*kind).or_default() += n);
        FrameTally { counters: self.counters, kinds }
    }

    /// Totals so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Up to when every minute is known, UTC ms.
    pub fn complete_until(&self) -> Option<i64> {
        self.wire.complete_until()
    }

    /// Reads one frame and adds its events to `out`. History comes out at the end of its batch, in engine order.
    pub fn take(&mut self, frame: &RawFrame, out: &mut Vec<MarketEvent>) -> Taken {
        let before = out.len();
        let mut taken = Taken::default();
        match &frame.body {
            Body::Open if frame.conn == BACKFILL => self.batch = Some(Vec::new()),
            Body::Close if frame.conn == BACKFILL => self.end_batch(out),
            Body::Open => *self.open.entry(frame.conn.as_ref().into()).or_default() += 1,
            Body::Close => taken.lost = self.closed(&frame.conn),
            Body::Ws(text) => {
                self.read(frame, out, &mut taken, |wire, sink| wire.socket(&frame.conn, text, sink));
            }
            Body::Rest { path, text } => {
                self.read(frame, out, &mut taken, |wire, sink| wire.answer(path, text, sink));
            }
        }
        self.counters.events += (out.len() - before) as u64;
        taken
    }

    /// Gives out a batch of history that was cut short (a capture that ends in the middle of one).
    pub fn finish(&mut self, out: &mut Vec<MarketEvent>) {
        let before = out.len();
        self.end_batch(out);
        self.counters.events += (out.len() - before) as u64;
    }

    fn end_batch(&mut self, out: &mut Vec<MarketEvent>) {
        if let Some(mut batch) = self.batch.take() {
            sort_events(&mut batch);
            out.append(&mut batch);
        }
    }

    fn closed(&mut self, conn: &str) -> bool {
        let left = self.open.get(conn).copied().unwrap_or(1).saturating_sub(1);
        self.open.insert(conn.into(), left);
        if left == 0 {
            self.wire.lost(conn);
            self.counters.reconnects += 1;
        }
        left == 0
    }

    fn read(
        &mut self,
        frame: &RawFrame,
        out: &mut Vec<MarketEvent>,
        taken: &mut Taken,
        read: impl FnOnce(&mut dyn Wire, &mut Sink<'_>) -> Class,
    ) {
        let events = self.batch.as_mut().unwrap_or(out);
        let counters = &mut self.counters;
        counters.frames += 1;
        let mut sink =
            Sink { events, counters, recv: frame.recv, sent: None, wants: &mut taken.wants, odd_time: false };
        let mut class = read(self.wire.as_mut(), &mut sink);
        taken.sent = sink.sent;
        if sink.odd_time {
            class = Class::Malformed("time out of range".into());
        }
        match class {
            Class::Used(kind) => count(&mut self.kinds, kind),
            Class::Ignored(kind) => {
                counters.ignored += 1;
                count(&mut self.kinds, kind);
            }
            Class::Unknown => {
                counters.unknown += 1;
                complain(counters.unknown, frame, "frame of an unknown kind");
            }
            Class::Malformed(why) => {
                counters.malformed += 1;
                complain(counters.malformed, frame, &why);
            }
        }
    }
}

/// Counts one more of a kind.
fn count(kinds: &mut Vec<(&'static str, u64)>, kind: &'static str) {
    match kinds.iter_mut().find(|(known, _)| std::ptr::eq(*known, kind)) {
        Some((_, n)) => *n += 1,
        None => kinds.push((kind, 1)),
    }
}

/// Logs the 1st, 2nd, 4th, 8th … of its sort: a venue that changed its wire must be seen, not fill the disk.
fn complain(count: u64, frame: &RawFrame, why: &str) {
    if count.is_power_of_two() {
        let text = match &frame.body {
            Body::Ws(text) | Body::Rest { text, .. } => clean(text, 200),
            Body::Open | Body::Close => String::new(),
        };
        tracing::warn!(venue = %frame.venue, conn = %clean(&frame.conn, 40), count, "{}: {text}", clean(why, 120));
    }
}
