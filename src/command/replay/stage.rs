//! What is replayed: something that goes forward by events and can go back to where it was.

use std::sync::Arc;

use crate::engine::landmark::Landmark;
use crate::engine::market::VenueMarket;
use crate::engine::{Engine, Snapshot};
use crate::estimate::Preset;
use crate::feed::FeedItem;
use crate::feed::recording::{Recording, RecordingTally};
use crate::feed::status::{LinkState, VenueStatus, clean};
use crate::market::{EventKind, MarketEvent, Venue};

use super::checkpoints::{Checkpoint, Checkpoints};

/// How far a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// All that was known before the time is taken in.
    There,
    /// Enough for one go.
    More,
    /// There is nothing more.
    End,
}

/// What a player plays.
pub trait Stage {
    /// Where it begins, UTC ms.
    fn first(&self) -> i64;

    /// When the newest of what was taken in became known, UTC ms; 0 before the first.
    fn now(&self) -> i64;

    /// When the next thing becomes known, UTC ms; `None` at the end.
    fn next_at(&mut self) -> Option<i64>;

    /// Takes in what was known before a time (UTC ms), some of it.
    fn advance(&mut self, until: i64) -> Progress;

    /// Goes to the nearest state that it can be in at once and from which a time (UTC ms) is reached by going forward.
    fn go(&mut self, target: i64) -> anyhow::Result<()>;

    /// When places of a kind came up, after `from` and by `until` (UTC ms), rising; of what was taken in.
    fn landmarks(&self, landmark: &Landmark, from: i64, until: i64) -> Vec<i64>;

    /// Makes another map's columns beside ours, or none.
    fn set_preset(&mut self, preset: Option<Preset>);

    /// The part of it that lies before a time (UTC ms), 0 to 1.
    fn share(&self, at: i64) -> f64;

    /// The picture now.
    fn picture(&mut self) -> Arc<Snapshot>;

    /// Whether it plays columns as they were kept.
    fn is_kept(&self) -> bool {
        false
    }

    /// Whether order books are left unread.
    fn is_bare(&self) -> bool {
        false
    }
}

/// Events taken in at once.
const SOME: usize = 2_048;

/// A recording and the engine it feeds.
pub struct Recorded {
    recording: Recording,
    engine: Engine,
    /// Events that were read and not taken in.
    pending: std::vec::IntoIter<MarketEvent>,
    /// When the newest event was known, UTC ms; 0 before the first.
    newest: i64,
    /// Events taken in.
    count: u64,
    checkpoints: Checkpoints,
    preset: Option<Preset>,
    ended: bool,
    failed: Option<anyhow::Error>,
    /// What the whole held, once its end was reached.
    tally: Option<RecordingTally>,
}

impl Recorded {
    /// From the beginning of a recording.
    pub fn new(recording: Recording, engine: Engine) -> Self {
        let first =
            Checkpoint { newest: 0, count: 0, engine: engine.fork(), recording: recording.bookmark() };
        Self {
            recording,
            engine,
            pending: Vec::new().into_iter(),
            newest: 0,
            count: 0,
            checkpoints: Checkpoints::new(first),
            preset: None,
            ended: false,
            failed: None,
            tally: None,
        }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What the recording held, if it was read to its end; or why it could not be.
    pub fn finish(self) -> anyhow::Result<Option<RecordingTally>> {
        match self.failed {
            Some(error) => Err(error),
            None => Ok(self.tally),
        }
    }

    /// Reads the next events.
    fn read(&mut self) {
        if self.checkpoints.are_due(self.count) {
            self.checkpoints.add(Checkpoint {
                newest: self.newest,
                count: self.count,
                engine: self.engine.fork(),
                recording: self.recording.bookmark(),
            });
        }
        match self.recording.next_batch() {
            Ok(Some(batch)) => self.pending = batch.into_iter(),
            Ok(None) => self.end(),
            // A recording that breaks off shows what came before.
            Err(error) => {
                self.failed = Some(error);
                self.end();
            }
        }
    }

    fn end(&mut self) {
        self.ended = true;
        let tally = self.recording.tally();
        let note = match &self.failed {
            Some(error) => clean(&format!("{error:#}"), 200),
            None if tally.broken + tally.truncated > 0 => clean(&tally.to_string(), 200),
            None => String::new(),
        };
        self.tally = Some(tally);
        let venues: Vec<Venue> = self.engine.venues().iter().map(VenueMarket::venue).collect();
        for venue in venues {
            self.tell(venue, LinkState::Ended, note.clone());
        }
    }

    fn tell(&mut self, venue: Venue, state: LinkState, note: String) {
        let status = VenueStatus { state, note, ..VenueStatus::new(venue) };
        self.engine.apply(FeedItem::Status(status));
    }

    fn take(&mut self, event: MarketEvent) {
        let venue = event.venue;
        let is_ours = event.asset == self.engine.asset();
        if is_ours && !self.engine.venues().iter().any(|m| m.venue() == venue) {
            self.tell(venue, LinkState::Recorded, String::new());
        }
        self.newest = self.newest.max(event.known_at());
        self.count += 1;
        match event.kind {
            // What is large of it stays where it is.
            EventKind::Book(_) => self.engine.take(event),
            _ => self.engine.apply_event(&event),
        }
    }
}

impl Stage for Recorded {
    fn first(&self) -> i64 {
        let told = self.recording.span().map(|(first, _)| first);
        told.or(self.recording.begins()).unwrap_or(0)
    }

    fn now(&self) -> i64 {
        self.newest
    }

    fn next_at(&mut self) -> Option<i64> {
        while self.pending.as_slice().is_empty() && !self.ended {
            self.read();
        }
        self.pending.as_slice().iter().map(MarketEvent::known_at).find(|at| *at > 0)
    }

    fn advance(&mut self, until: i64) -> Progress {
        for _ in 0..SOME {
            let Some(event) = self.pending.as_slice().first() else {
                if self.ended {
                    return Progress::End;
                }
                self.read();
                if self.pending.as_slice().is_empty() && !self.ended {
                    return Progress::More;
                }
                continue;
            };
            // The terms of a contract may carry no time of their own.
            if event.known_at() > 0 && event.known_at() >= until {
                return Progress::There;
            }
            if let Some(event) = self.pending.next() {
                self.take(event);
            }
        }
        Progress::More
    }

    fn go(&mut self, target: i64) -> anyhow::Result<()> {
        let is_ahead = self.newest >= target;
        let Some(nearest) = self.checkpoints.before(target) else { return Ok(()) };
        if !is_ahead && nearest.count <= self.count {
            return Ok(());
        }
        nearest.recording.can_be_read_again()?;
        self.engine = nearest.engine.fork();
        self.recording = nearest.recording.bookmark();
        (self.newest, self.count) = (nearest.newest, nearest.count);
        self.pending = Vec::new().into_iter();
        self.ended = false;
        self.engine.set_preset(self.preset);
        Ok(())
    }

    fn landmarks(&self, landmark: &Landmark, from: i64, until: i64) -> Vec<i64> {
        self.engine.landmarks(landmark, from, until)
    }

    fn is_bare(&self) -> bool {
        self.recording.is_bare()
    }

    fn set_preset(&mut self, preset: Option<Preset>) {
        self.preset = preset;
        self.engine.set_preset(preset);
    }

    fn share(&self, at: i64) -> f64 {
        if self.ended && self.pending.as_slice().is_empty() {
            return 1.0;
        }
        let share = match self.recording.span() {
            Some((first, last)) => (at - first) as f64 / (last - first).max(1) as f64,
            None => self.recording.share(),
        };
        share.clamp(0.0, 1.0)
    }

    fn picture(&mut self) -> Arc<Snapshot> {
        self.engine.snapshot()
    }
}
