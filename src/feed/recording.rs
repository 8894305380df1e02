//! Recordings: files of our own events, or captures run through the same translators as live frames.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::market::event::sort_events;
use crate::market::ndjson::{self, LineError, Lines};
use crate::market::{Asset, EventKind, MarketEvent, Venue};

use super::book::BookLimits;
use super::capture;
use super::frame::RawFrame;
use super::status::Counters;
use super::translate::Translator;
use super::venue;

/// Events handed out at once from a file of events.
const CHUNK: usize = 1_024;

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
enum Content {
    Events(VecDeque<MarketEvent>),
    Capture(BTreeMap<Venue, Option<Translator>>),
}

/// Files being read, as one stream of events of one asset.
pub struct Recording {
    asset: Option<Asset>,
    files: VecDeque<PathBuf>,
    current: Option<Source>,
    content: Option<Content>,
    /// The frame that told what the files hold.
    first: Option<RawFrame>,
    tally: RecordingTally,
    ended: bool,
}

struct Source {
    name: String,
    lines: Lines,
}

/// What became of a look at the next line.
enum Next {
    Event(MarketEvent),
    Frame(RawFrame),
    Skipped,
    End,
}

impl Recording {
    /// Opens a file (`.gz` and `.zst` too, `-` is standard input). Without an asset, the first one seen is taken.
    pub fn open(path: &Path, asset: Option<Asset>) -> anyhow::Result<Self> {
        Self::open_all(&[path.to_path_buf()], asset)
    }

    /// Opens files that follow each other: segments of one capture, or files of events, which are read together.
    pub fn open_all(paths: &[PathBuf], asset: Option<Asset>) -> anyhow::Result<Self> {
        let mut recording = Self {
            asset,
            files: paths.iter().cloned().collect(),
            current: None,
            content: None,
            first: None,
            tally: RecordingTally::default(),
            ended: false,
        };
        // A file that is not there is told now, not in the middle of a replay.
        recording.current = recording.next_source()?;
        for path in &recording.files {
            if path.as_path() != Path::new("-") && !path.exists() {
                bail!("cannot open {}: no such file", path.display());
            }
        }
        Ok(recording)
    }

    /// The asset: the one asked for, or the first one seen.
    pub fn asset(&self) -> Option<Asset> {
        self.asset
    }

    /// What was found so far.
    pub fn tally(&self) -> RecordingTally {
        let mut tally = self.tally.clone();
        if let Some(Content::Capture(venues)) = &self.content {
            for frames in venues.values().flatten().map(Translator::tally) {
                tally.counters.add(&frames.counters);
                frames.kinds.iter().for_each(|(kind, n)| *tally.kinds.entry(kind).or_default() += n);
            }
        }
        tally
    }

    /// The next events in engine order; `None` at the end. Broken lines are counted and passed over.
    pub fn next_batch(&mut self) -> anyhow::Result<Option<Vec<MarketEvent>>> {
        if self.content.is_none() {
            self.find_content()?;
        }
        match &mut self.content {
            None => Ok(None),
            Some(Content::Events(events)) => {
                let batch: Vec<_> = events.drain(..events.len().min(CHUNK)).collect();
                Ok((!batch.is_empty()).then_some(batch))
            }
            Some(Content::Capture(_)) => self.next_frame_batch(),
        }
    }

    /// Reads up to the first usable line and, if it is an event, all the rest.
    fn find_content(&mut self) -> anyhow::Result<()> {
        loop {
            match self.next_line()? {
                Next::End => return Ok(()),
                Next::Skipped => {}
                Next::Event(event) => {
                    let events = self.read_events(event)?;
                    self.content = Some(Content::Events(events));
                    return Ok(());
                }
                Next::Frame(frame) => {
                    self.first = Some(frame);
                    self.content = Some(Content::Capture(BTreeMap::new()));
                    return Ok(());
                }
            }
        }
    }

    fn read_events(&mut self, first: MarketEvent) -> anyhow::Result<VecDeque<MarketEvent>> {
        let mut events = Vec::new();
        let asset = *self.asset.get_or_insert(first.asset);
        let mut keep = |event: MarketEvent| {
            if event.asset == asset {
                events.push(event);
            }
        };
        keep(first);
        loop {
            match self.next_line()? {
                Next::End => break,
                Next::Skipped | Next::Frame(_) => {}
                Next::Event(event) => keep(event),
            }
        }
        // Sums over venues would count twice what a venue of its own tells (`design.md` §9); public positions tell no market.
        let tells_market = |e: &MarketEvent| !matches!(e.kind, EventKind::Position(_));
        if events.iter().any(|e| !e.venue.is_aggregate() && tells_market(e)) {
            events.retain(|e| !e.venue.is_aggregate());
        }
        sort_events(&mut events);
        Ok(events.into())
    }

    fn next_frame_batch(&mut self) -> anyhow::Result<Option<Vec<MarketEvent>>> {
        let mut events = Vec::new();
        while !self.ended {
            let next = match self.first.take() {
                Some(frame) => Next::Frame(frame),
                None => self.next_line()?,
            };
            match next {
                Next::Frame(frame) => self.translate(&frame, &mut events),
                Next::Skipped | Next::Event(_) => {}
                Next::End => self.end_capture(&mut events),
            }
            let asset = self.asset.or_else(|| events.first().map(|e| e.asset));
            self.asset = asset;
            events.retain(|e| Some(e.asset) == asset);
            if !events.is_empty() {
                return Ok(Some(events));
            }
        }
        Ok(None)
    }

    fn translate(&mut self, frame: &RawFrame, events: &mut Vec<MarketEvent>) {
        let Some(Content::Capture(venues)) = &mut self.content else { return };
        let asset = self.asset;
        if let Some(translator) = venues
            .entry(frame.venue)
            .or_insert_with(|| venue::translator(frame.venue, asset, BookLimits::default()))
        {
            translator.take(frame, events);
        } else {
            self.tally.usable -= 1;
            self.tally.unknown += 1;
        }
    }

    fn end_capture(&mut self, events: &mut Vec<MarketEvent>) {
        self.ended = true;
        if let Some(Content::Capture(venues)) = &mut self.content {
            venues.values_mut().flatten().for_each(|t| t.finish(events));
        }
    }

    fn next_source(&mut self) -> anyhow::Result<Option<Source>> {
        let Some(path) = self.files.pop_front() else { return Ok(None) };
        let lines = Lines::new(ndjson::open(&path)?);
        Ok(Some(Source { name: path.display().to_string(), lines }))
    }

    fn next_line(&mut self) -> anyhow::Result<Next> {
        let Some(source) = &mut self.current else { return Ok(Next::End) };
        let tally = &mut self.tally;
        let (number, line) = match source.lines.next_line() {
            Ok(Some(line)) => line,
            Ok(None) => {
                self.current = self.next_source()?;
                return Ok(Next::Skipped);
            }
            // A cut-off archive keeps what was read before the cut.
            Err(e) if tally.lines > 0 => {
                tally.truncated += 1;
                let note = format!("{}: ends in the middle ({e}); what came before is kept", source.name);
                tally.note(note);
                self.current = self.next_source()?;
                return Ok(Next::Skipped);
            }
            Err(e) => return Err(e).with_context(|| format!("cannot read {}", source.name)),
        };
        tally.lines += 1;
        let line = match line {
            Ok(line) => line,
            Err(why) => {
                tally.complain(&source.name, number, &why);
                return Ok(Next::Skipped);
            }
        };
        let capture = match &self.content {
            Some(content) => matches!(content, Content::Capture(_)),
            None => line.contains("\"raw\"") || line.contains("\"event\""),
        };
        let read = if capture {
            capture::parse_line(line).map(Next::Frame).map_err(|e| Some(e.to_string()))
        } else {
            ndjson::parse_line(line).map(Next::Event).map_err(|e| match e {
                LineError::UnknownType(_) => None,
                e => Some(e.to_string()),
            })
        };
        Ok(match read {
            Ok(next) => {
                tally.usable += 1;
                next
            }
            Err(None) => {
                tally.unknown += 1;
                Next::Skipped
            }
            Err(Some(why)) => {
                tally.complain(&source.name, number, &why);
                Next::Skipped
            }
        })
    }
}
