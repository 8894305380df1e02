//! First contact: facts about a wire that rest on one source or on memory, checked against live frames
//! (`exchanges.md` §15). `meltline doctor` runs them and prints what it found.

use crate::market::{EventKind, MarketEvent, Price, Side};

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

    /// A fact that was looked at so many times, and found to hold so many times.
    pub fn counted(what: &'static str, held: u64, looked: u64) -> Self {
        match looked {
            0 => Self::unseen(what),
            _ => Self::seen(what, held == looked, format!("{held} of {looked}")),
        }
    }

    /// A fact that was looked at.
    pub fn seen(what: &'static str, ok: bool, detail: impl Into<String>) -> Self {
        Self { what, outcome: if ok { Outcome::Ok } else { Outcome::NotOk }, detail: detail.into() }
    }
}

/// How far a liquidation may lie beyond the mark price, as a share: the mark moves on while the row is on its way.
const LEEWAY: f64 = 0.01;

/// Whether liquidations name the side that died: that of a long lies at the mark price or below it, that of a short at
/// it or above (`exchanges.md` §15).
#[derive(Debug, Default)]
pub struct Sides {
    mark: Option<Price>,
    seen: u64,
    right: u64,
}

impl Sides {
    /// Looks at events.
    pub fn see(&mut self, events: &[MarketEvent]) {
        for event in events {
            match &event.kind {
                EventKind::Mark(mark) => self.mark = Some(mark.price),
                EventKind::Liquidation(l) => {
                    let Some(mark) = self.mark.map(Price::to_f64) else { continue };
                    let price = l.price.to_f64();
                    self.seen += 1;
                    self.right += u64::from(match l.position {
                        Side::Long => price <= mark * (1.0 + LEEWAY),
                        Side::Short => price >= mark * (1.0 - LEEWAY),
                    });
                }
                _ => {}
            }
        }
    }

    /// What came out, in the venue's words.
    pub fn finding(&self, what: &'static str) -> Finding {
        Finding::counted(what, self.right, self.seen)
    }
}

/// Watches a venue's frames, and the events made of them, and judges.
pub trait Contact: Send {
    /// A frame, and what the translator made of it.
    fn see(&mut self, frame: &RawFrame, events: &[MarketEvent]);
    /// What is known by now, one finding a fact, always in the same order.
    fn findings(&self) -> Vec<Finding>;
}
