//! Recordings: files of our own events, or captures run through the same translators as live frames.

mod source;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::market::event::sort_events;
use crate::market::{Asset, EventKind, MarketEvent, Venue};

use super::book::BookLimits;
use super::frame::RawFrame;
use super::status::Counters;
use super::translate::Translator;
use super::venue;
use source::{Next, Source, files};

/// Events handed out at once from a file of events.
const CHUNK: usize = 1_024;
/// Events of a capture that are gathered before they are handed out: no more than lie near the processor until they are taken in.
const BATCH: usize = 128;

/// What a read through recordings found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordingTally {
    /// Lines read, without blank ones.
    pub lines: u64,
    /// Lines that gave something usable.
    pub usable: u64,
    /// Event types and venues this version does not know.
    pub unknown: u64,
    /// Broken lines.
    pub broken: u64,
    /// The first few broken lines, as `file:line: why`.
    pub complaints: Vec<String>,
    /// Files that end in the middle.
    pub truncated: u64,
    /// Files of books that nobody looks at, and so were not read.
    pub left_out: u64,
    /// Of captures: what came of their frames, summed over venues.
    pub counters: Counters,
    /// Of captures: frames by kind.
    pub kinds: BTreeMap<&'static str, u64>,
}

impl RecordingTally {
    /// How many complaints are kept word for word; the rest are counted.
    const KEPT: usize = 20;

    fn complain(&mut self, file: &str, line: u64, why: &dyn fmt::Display) {
        self.broken += 1;
        self.note(format!("{file}:{line}: {why}"));
    }

    fn note(&mut self, complaint: String) {
        if self.complaints.len() < Self::KEPT {
            self.complaints.push(complaint);
        }
    }
}

impl fmt::Display for RecordingTally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} usable lines, {} of unknown type, {} broken", self.usable, self.unknown, self.broken)?;
        if self.left_out > 0 {
            write!(f, "; {} files of books not read, as levels need none", self.left_out)?;
        }
        if !self.kinds.is_empty() {
            let Counters { frames, events, ignored, unknown, malformed, duplicates, missed, .. } =
                self.counters;
            write!(
                f,
                "; {frames} frames: {events} events, {ignored} ignored, {unknown} unknown, {malformed} malformed, \
                 {duplicates} repeats, {missed} missed;"
            )?;
            self.kinds.iter().try_for_each(|(kind, n)| write!(f, " {kind} {n}"))?;
        }
        Ok(())
    }
}

/// What the files hold, told by the first usable line.
#[derive(Clone)]
enum Content {
    /// All of them, in engine order, and the place of the next.
    Events(Arc<[MarketEvent]>, usize),
    Capture(Vec<(Venue, Option<Translator>)>),
}

/// Files being read, as one stream of events of one asset.
///
/// Files of a capture are read side by side, by the receive time of their frames; each is opened when its first frame is due.
pub struct Recording {
    asset: Option<Asset>,
    waiting: VecDeque<Source>,
    open: Vec<Source>,
    content: Option<Content>,
    tally: RecordingTally,
    ended: bool,
    /// Receive time of a capture's first frame, UTC ns.
    begins: Option<i64>,
    /// Bytes of all files, and of those that were read through.
    size: u64,
    done: u64,
    /// Events that were read already.
    ahead: Option<Vec<MarketEvent>>,
    /// How much of a capture's books is told.
    books: BookLimits,
    /// No book is told at all.
    bare: bool,
    /// The text of a frame that is done with: the next one's goes in its place.
    spare: String,
    /// Why it cannot be read on, until that is told.
    failure: Option<anyhow::Error>,
}

impl Recording {
    /// Opens a file (`.gz` and `.zst` too, `-` is standard input) or a folder of captures. Without an asset, the first one seen is taken.
    pub fn open(path: &Path, asset: Option<Asset>) -> anyhow::Result<Self> {
        Self::open_all(&[path.to_path_buf()], asset)
    }

    /// Opens files and folders that belong together: segments of one capture, or files of events. A file that is not there is told now, not in
    /// the middle of a replay.
    pub fn open_all(paths: &[PathBuf], asset: Option<Asset>) -> anyhow::Result<Self> {
        let mut waiting: VecDeque<Source> = files(paths)?.into_iter().map(Source::new).collect();
        for (i, source) in waiting.iter_mut().enumerate() {
            // The first is read from here on; that the others can be opened is enough.
            source.open()?;
            if i > 0 {
                source.close();
            }
        }
        Ok(Self {
            asset,
            size: waiting.iter().map(|s| s.size).sum(),
            waiting,
            open: Vec::new(),
            content: None,
            tally: RecordingTally::default(),
            ended: false,
            begins: None,
            done: 0,
            ahead: None,
            books: BookLimits::default(),
            bare: false,
            spare: String::new(),
            failure: None,
        })
    }

    /// What books hold is left out: nobody looks at them, and nothing else is made from them. Most of a capture is books: files of them alone are not
    /// even read, unless there is nothing else.
    #[must_use]
    pub fn without_books(mut self) -> Self {
        let left_out = self.waiting.iter().filter(|s| s.holds_books()).count();
        if left_out < self.waiting.len() {
            self.waiting.retain(|s| !s.holds_books());
            self.size = self.waiting.iter().map(|s| s.size).sum();
            self.tally.left_out = left_out as u64;
        }
        self.waiting.iter_mut().for_each(Source::thin);
        (self.books.depth, self.bare) = (0.0, true);
        self
    }

    /// Whether books are left out.
    pub fn is_bare(&self) -> bool {
        self.bare
    }

    /// It as it stands here, to be read from here on once more: no file of it is open. Standard input cannot be read again.
    #[must_use]
    pub fn bookmark(&self) -> Self {
        Self {
            asset: self.asset,
            waiting: self.waiting.iter().map(Source::bookmark).collect(),
            open: self.open.iter().map(Source::bookmark).collect(),
            content: self.content.clone(),
            tally: self.tally.clone(),
            ahead: self.ahead.clone(),
            spare: String::new(),
            failure: None,
            ..*self
        }
    }

    /// Whether a bookmark of it is of use.
    pub fn can_be_read_again(&self) -> anyhow::Result<()> {
        let is_pipe = self.waiting.iter().chain(&self.open).any(Source::is_pipe);
        anyhow::ensure!(!is_pipe, "standard input cannot be read twice: there is no way back");
        Ok(())
    }

    /// Reads up to the first events, which stay to be read; says whether there are any.
    pub fn peek(&mut self) -> anyhow::Result<bool> {
        while self.ahead.as_ref().is_none_or(Vec::is_empty) {
            self.ahead = self.next_batch()?;
            if self.ahead.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The asset: the one asked for, or the first one seen.
    pub fn asset(&self) -> Option<Asset> {
        self.asset
    }

    /// The times of its first and its last event, UTC ms, where all are known: a file of events is read whole before the first is told.
    pub fn span(&self) -> Option<(i64, i64)> {
        let Some(Content::Events(events, _)) = &self.content else { return None };
        let mut timed = events.iter().map(MarketEvent::known_at).filter(|at| *at > 0);
        let first = timed.next()?;
        Some((first, timed.next_back().unwrap_or(first)))
    }

    /// When a capture's first frame was received, UTC ms. What it tells of earlier times is history.
    pub fn begins(&self) -> Option<i64> {
        self.begins.map(|ns| ns.div_euclid(1_000_000))
    }

    /// The part that has been read, by bytes as they lie on the disk: 0 to 1.
    pub fn share(&self) -> f64 {
        match &self.content {
            Some(Content::Events(events, next)) => *next as f64 / events.len().max(1) as f64,
            _ if self.size == 0 => f64::from(u8::from(self.ended)),
            _ => (self.done + self.open.iter().map(Source::taken).sum::<u64>()) as f64 / self.size as f64,
        }
    }

    /// What was found so far.
    pub fn tally(&self) -> RecordingTally {
        let mut tally = self.tally.clone();
        if let Some(Content::Capture(venues)) = &self.content {
            for frames in venues.iter().filter_map(|(_, t)| t.as_ref()).map(Translator::tally) {
                tally.counters.add(&frames.counters);
                frames.kinds.iter().for_each(|(kind, n)| *tally.kinds.entry(kind).or_default() += n);
            }
        }
        tally
    }

    /// The next events in engine order; `None` at the end. Broken lines are counted and passed over. On the way to a bookmark batches may be
    /// empty, so that it can be given up.
    pub fn next_batch(&mut self) -> anyhow::Result<Option<Vec<MarketEvent>>> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Some(ahead));
        }
        if self.content.is_none() {
            self.find_content()?;
        }
        match &mut self.content {
            None => Ok(None),
            Some(Content::Events(events, next)) => {
                let from = *next;
                *next = (from + CHUNK).min(events.len());
                let batch = events[from..*next].to_vec();
                Ok((!batch.is_empty()).then_some(batch))
            }
            Some(Content::Capture(_)) => self.next_frame_batch(),
        }
    }

    /// Reads up to the first usable line and, if it is an event, all the rest.
    fn find_content(&mut self) -> anyhow::Result<()> {
        while let Some(mut source) = self.waiting.pop_front() {
            loop {
                match source.next(None, &mut self.tally, &mut self.spare)? {
                    Next::End => break,
                    Next::Skipped => {}
                    Next::Event(event) => {
                        self.waiting.push_front(source);
                        let events = self.read_events(event)?;
                        self.content = Some(Content::Events(events.into(), 0));
                        return Ok(());
                    }
                    Next::Frame(frame) => {
                        self.begin_capture(source, frame);
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn read_events(&mut self, first: MarketEvent) -> anyhow::Result<Vec<MarketEvent>> {
        let mut events = Vec::new();
        let asset = *self.asset.get_or_insert(first.asset);
        let bare = self.bare;
        let mut keep = |event: MarketEvent| {
            if event.asset == asset && !(bare && matches!(event.kind, EventKind::Book(_))) {
                events.push(event);
            }
        };
        keep(first);
        while let Some(mut source) = self.waiting.pop_front() {
            loop {
                match source.next(Some(false), &mut self.tally, &mut self.spare)? {
                    Next::End => break,
                    Next::Skipped | Next::Frame(_) => {}
                    Next::Event(event) => keep(event),
                }
            }
        }
        // Sums over venues would count twice what a venue of its own tells (`design.md` §9); public positions tell no market.
        let tells_market = |e: &MarketEvent| !matches!(e.kind, EventKind::Position(_));
        if events.iter().any(|e| !e.venue.is_aggregate() && tells_market(e)) {
            events.retain(|e| !e.venue.is_aggregate());
        }
        sort_events(&mut events);
        Ok(events)
    }

    /// The files of a capture, by the receive time of their first frames.
    fn begin_capture(&mut self, mut first: Source, frame: RawFrame) {
        (first.begins, first.head) = (frame.recv, Some(frame));
        self.waiting.iter_mut().for_each(Source::find_begin);
        self.waiting.push_front(first);
        self.waiting.make_contiguous().sort_by_key(|source| source.begins);
        self.begins = self.waiting.iter().map(|source| source.begins).find(|at| *at > i64::MIN);
        self.content = Some(Content::Capture(Vec::new()));
    }

    /// The next frame of all files, by receive time; in each file they stay in its order.
    fn next_frame(&mut self) -> anyhow::Result<Next> {
        loop {
            let mut at = 0;
            while let Some(source) = self.open.get_mut(at) {
                if source.head.is_some() {
                    at += 1;
                    continue;
                }
                match source.next(Some(true), &mut self.tally, &mut self.spare)? {
                    Next::Frame(frame) => source.head = Some(frame),
                    Next::Event(_) => {}
                    Next::Skipped => return Ok(Next::Skipped),
                    Next::End => {
                        self.done += source.size;
                        self.open.remove(at);
                    }
                }
            }
            let recv = |source: &Source| source.head.as_ref().map_or(i64::MIN, |frame| frame.recv);
            let least = self.open.iter_mut().min_by_key(|source| recv(source));
            let due = least.as_deref().map_or(i64::MAX, recv);
            if self.waiting.front().is_some_and(|next| next.begins < due) {
                self.open.extend(self.waiting.pop_front());
                continue;
            }
            return Ok(least.and_then(|source| source.head.take()).map_or(Next::End, Next::Frame));
        }
    }

    /// Events of the next frames. Room for them is asked for once rather than with each frame; what comes through a pipe may come
    /// slowly and is handed out as it does.
    fn next_frame_batch(&mut self) -> anyhow::Result<Option<Vec<MarketEvent>>> {
        let enough = if self.can_be_read_again().is_ok() { BATCH } else { 1 };
        // The last frame may bring more than is needed.
        let mut events = Vec::with_capacity(enough + enough / 8);
        while !self.ended && events.len() < enough {
            let before = events.len();
            match self.failure.take().map_or_else(|| self.next_frame(), Err) {
                Ok(Next::Frame(frame)) => {
                    self.translate(&frame, &mut events);
                    self.spare = frame.body.into_text();
                }
                Ok(Next::Skipped) if self.open.iter().any(Source::is_on_the_way) => return Ok(Some(events)),
                Ok(Next::Skipped | Next::Event(_)) => {}
                Ok(Next::End) => self.end_capture(&mut events),
                Err(failure) if events.is_empty() => return Err(failure),
                // What came before it is handed out first.
                Err(failure) => {
                    self.failure = Some(failure);
                    break;
                }
            }
            self.leave_out(&mut events, before);
        }
        Ok((!events.is_empty()).then_some(events))
    }

    /// Takes out of the events from a place on those of other assets, and books where they are not wanted.
    fn leave_out(&mut self, events: &mut Vec<MarketEvent>, from: usize) {
        let bare = self.bare;
        let Some(asset) = self.asset.or_else(|| events.get(from).map(|e| e.asset)) else { return };
        self.asset = Some(asset);
        let counts = |e: &MarketEvent| e.asset == asset && !(bare && matches!(e.kind, EventKind::Book(_)));
        match events[from..].iter().filter(|e| counts(e)).count() {
            all if all == events.len() - from => {}
            // A frame of a book brings nothing else.
            0 => events.truncate(from),
            _ => {
                let kept: Vec<MarketEvent> = events.drain(from..).filter(counts).collect();
                events.extend(kept);
            }
        }
    }

    fn translate(&mut self, frame: &RawFrame, events: &mut Vec<MarketEvent>) {
        let Some(Content::Capture(venues)) = &mut self.content else { return };
        let (asset, books) = (self.asset, self.books);
        let at = venues.iter().position(|(venue, _)| *venue == frame.venue).unwrap_or_else(|| {
            venues.push((frame.venue, venue::translator(frame.venue, asset, books)));
            venues.len() - 1
        });
        if let Some(translator) = &mut venues[at].1 {
            translator.take(frame, events);
        } else {
            self.tally.usable -= 1;
            self.tally.unknown += 1;
        }
    }

    fn end_capture(&mut self, events: &mut Vec<MarketEvent>) {
        self.ended = true;
        if let Some(Content::Capture(venues)) = &mut self.content {
            venues.iter_mut().filter_map(|(_, t)| t.as_mut()).for_each(|t| t.finish(events));
        }
    }
}
