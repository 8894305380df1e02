//! First contact: facts about a wire that rest on one source or on memory, checked against live frames
//! (`exchanges.md` §15). `meltline doctor` runs them and prints what it found.

use crate::market::MarketEvent;

use super::frame::RawFrame;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is as we believe.
    Ok,
    /// It is not: something the program builds on is wrong.
    NotOk,
    /// Nothing came by that could tell.
    NotSeen,
}

/// One checked fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The fact, as a short sentence: `open interest is counted on both sides`.
    pub what: &'static str,
    /// How it came out.
    pub outcome: Outcome,
    /// What was seen, such as `ratio 2.000`; may be empty. Free of control characters.
    pub detail: String,
}

impl Finding {
    /// A fact nothing was seen of yet.
    pub fn unseen(what: &'static str) -> Self {
        Self { what, outcome: Outcome::NotSeen, detail: String::new() }
    }

    /// A fact that was looked at.
    pub fn seen(what: &'static str, ok: bool, detail: impl Into<String>) -> Self {
        Self { what, outcome: if ok { Outcome::Ok } else { Outcome::NotOk }, detail: detail.into() }
    }
}

/// Watches a venue's frames, and the events made of them, and judges.
pub trait Contact: Send {
    /// A frame, and what the translator made of it.
    fn see(&mut self, frame: &RawFrame, events: &[MarketEvent]);
    /// What is known by now, one finding a fact, always in the same order.
    fn findings(&self) -> Vec<Finding>;
}
