//! A capture on its way to the disk. Where the disk refuses it, it is tried again every minute in new files, and the frames it lacks are counted.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use tokio::time::Instant;

use crate::market::Venue;

use super::capture::Capture;
use super::frame::RawFrame;

/// How long a capture that could not be written stands.
const RETRY: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Goes,
    /// Until it is tried again.
    Stands(Instant),
    /// A single file cannot be begun anew.
    Ended,
}

/// A capture being written.
pub struct Tape {
    capture: Capture,
    state: State,
    trouble: String,
    /// Frames since it was last known to be on the disk.
    pending: BTreeMap<Venue, u64>,
    lacks: BTreeMap<Venue, u64>,
}

impl Tape {
    /// Of a capture in which nothing is yet.
    pub fn new(capture: Capture) -> Self {
        Self {
            capture,
            state: State::Goes,
            trouble: String::new(),
            pending: BTreeMap::new(),
            lacks: BTreeMap::new(),
        }
    }

    /// Why it is not written now; empty when all is well.
    pub fn trouble(&self) -> &str {
        &self.trouble
    }

    /// Frames of a venue that are not in it, or may not be, for it could not be written.
    pub fn lacks(&self, venue: Venue) -> u64 {
        self.lacks.get(&venue).copied().unwrap_or_default()
    }

    /// Adds a frame.
    pub fn write(&mut self, frame: &RawFrame) {
        let frames = if self.goes() { &mut self.pending } else { &mut self.lacks };
        *frames.entry(frame.venue).or_default() += 1;
        // Small writes into a buffer; a stalled disk holds the caller back, and with it the sockets, but loses nothing.
        if self.state == State::Goes
            && let Err(e) = self.capture.write(frame)
        {
            self.stop(&e);
        }
    }

    /// Brings what was written so far to the disk.
    pub fn flush(&mut self) {
        if !self.goes() {
            return;
        }
        if let Err(e) = self.capture.flush() {
            return self.stop(&e);
        }
        let has_written = !self.pending.is_empty();
        self.pending.clear();
        if has_written && !self.trouble.is_empty() {
            let lacks: u64 = self.lacks.values().sum();
            tracing::warn!(
                "capture to {} goes on; {lacks} frames since the start are not in it",
                self.capture.path().display()
            );
            self.trouble.clear();
        }
    }

    /// Ends its files properly.
    pub fn finish(mut self) {
        if self.goes()
            && let Err(e) = self.capture.finish()
        {
            tracing::error!("capture not ended properly: {e}");
        }
    }

    /// Whether it is written; begins anew when it is time.
    fn goes(&mut self) -> bool {
        if matches!(self.state, State::Stands(until) if Instant::now() >= until) {
            self.state = State::Goes;
        }
        self.state == State::Goes
    }

    fn stop(&mut self, error: &io::Error) {
        for (venue, frames) in std::mem::take(&mut self.pending) {
            *self.lacks.entry(venue).or_default() += frames;
        }
        let path = self.capture.path().display();
        let (state, why) = if self.capture.is_in_segments() {
            let why = format!("capture to {path} stopped: {error}; it is tried again every minute");
            (State::Stands(Instant::now() + RETRY), why)
        } else {
            (State::Ended, format!("capture to {path} ended: {error}"))
        };
        if self.trouble != why {
            tracing::error!("{why}");
        }
        (self.state, self.trouble) = (state, why);
        self.capture.break_off();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::frame::Body;

    fn frame(venue: &str) -> RawFrame {
        let body = Body::Ws("{}".into());
        // 2026-11-22T10:00Z
        RawFrame {
            recv: 1_795_341_600_000_000_000,
            venue: venue.parse().unwrap(),
            conn: "public".into(),
            body,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_the_disk_refuses_it_is_tried_again_and_what_is_missing_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("capture");
        let mut tape = Tape::new(Capture::directory(&folder, "BTC".parse().unwrap()).unwrap());
        std::fs::remove_dir(&folder).unwrap();
        for venue in ["okx", "okx", "bybit"] {
            tape.write(&frame(venue));
        }
        assert!(tape.trouble().contains("tried again every minute"), "{}", tape.trouble());
        let lacks = |tape: &Tape| ["okx", "bybit"].map(|venue| tape.lacks(venue.parse().unwrap()));
        assert_eq!(lacks(&tape), [2, 1]);

        // Still not there: one more is missing.
        tokio::time::advance(RETRY).await;
        tape.write(&frame("okx"));
        assert_eq!(lacks(&tape), [3, 1]);

        std::fs::create_dir(&folder).unwrap();
        tape.write(&frame("okx"));
        assert_eq!(lacks(&tape), [4, 1], "not before its time");
        tokio::time::advance(RETRY).await;
        tape.flush();
        assert!(!tape.trouble().is_empty(), "nothing was written yet");
        tape.write(&frame("okx"));
        tape.flush();
        assert_eq!((tape.trouble(), lacks(&tape)), ("", [4, 1]));
        tape.finish();
        let kept =
            zstd::decode_all(std::fs::File::open(folder.join("okx-btc-20261122T10.ndjson.zst")).unwrap());
        assert_eq!(String::from_utf8(kept.unwrap()).unwrap().lines().count(), 1);
    }
}
