//! States of a replay to go back to: every so many events one, in memory, fewer as they become many.

use crate::engine::Engine;
use crate::feed::recording::Recording;

/// Events between two checkpoints at first.
const SPACING: u64 = 1 << 16;
/// No more checkpoints are held, and no more bytes of what they do not share (a rough count).
const MOST: usize = 32;
const MOST_BYTES: usize = 256 << 20;

/// A state, and the recording from there on.
pub struct Checkpoint {
    /// When its newest event was known, UTC ms; 0 before the first.
    pub newest: i64,
    /// Events taken in.
    pub count: u64,
    /// The engine.
    pub engine: Engine,
    /// What follows.
    pub recording: Recording,
}

/// Checkpoints by the events before them; the first is the beginning and stays.
pub struct Checkpoints {
    all: Vec<(Checkpoint, usize)>,
    spacing: u64,
}

impl Checkpoints {
    /// With the beginning.
    pub fn new(first: Checkpoint) -> Self {
        Self { all: vec![(first, 0)], spacing: SPACING }
    }

    /// Whether there is none near enough before so many events, nor soon after.
    pub fn are_due(&self, count: u64) -> bool {
        let next = self.all.partition_point(|(c, _)| c.count <= count);
        let before = next.checked_sub(1).and_then(|at| self.all.get(at)).map_or(0, |(c, _)| c.count);
        let is_alone = self.all.get(next).is_none_or(|(c, _)| c.count - count >= self.spacing / 2);
        count - before >= self.spacing && is_alone
    }

    /// Adds one; where they become too many every other goes.
    pub fn add(&mut self, checkpoint: Checkpoint) {
        let bytes = checkpoint.engine.bytes();
        let at = self.all.partition_point(|(c, _)| c.count <= checkpoint.count);
        self.all.insert(at, (checkpoint, bytes));
        let held = |all: &[(Checkpoint, usize)]| all.iter().map(|(_, bytes)| bytes).sum::<usize>();
        while self.all.len() > MOST || (self.all.len() > 2 && held(&self.all) > MOST_BYTES) {
            let mut at = 0;
            self.all.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.spacing *= 2;
        }
    }

    /// The last one that holds nothing known at a time (UTC ms) or later. Of equal times the first: events of one time may come on both
    /// sides of a checkpoint.
    pub fn before(&self, target: i64) -> Option<&Checkpoint> {
        self.all.iter().rev().map(|(c, _)| c).find(|c| c.newest < target).or(self.all.first().map(|(c, _)| c))
    }
}
