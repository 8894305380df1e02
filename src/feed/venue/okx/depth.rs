//! OKX's order book put together from the `books` channel (`exchanges.md` §5.2): a snapshot, then updates that each name
//! the one before.

use crate::feed::book::BookLimits;
use crate::feed::book::{LocalBook, Rows};
use crate::feed::series::{Series, Sink};

/// The least time between two askings for a snapshot, by the venue's time. An asking costs two of the 480 subscriptions and
/// unsubscriptions an hour that a connection is allowed (§1.5); this leaves a quarter of them.
const PATIENCE_MS: i64 = 20_000;

/// One message of the channel.
pub struct Update {
    /// Takes the place of everything, rather than changing some levels.
    pub snapshot: bool,
    /// `prevSeqId`: -1 for a snapshot.
    pub before: i64,
    /// `seqId`.
    pub number: i64,
    /// USD per coin, coins.
    pub bids: Rows,
    /// Likewise.
    pub asks: Rows,
}

/// What became of an [`Update`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The book is whole and up to date.
    Followed,
    /// It says what the last one said.
    Repeat,
    /// The book is not whole: no snapshot yet, or something is missing.
    Lost,
}

/// A book and its place in the venue's numbering.
#[derive(Debug, Clone, Default)]
pub struct Depth {
    book: LocalBook,
    /// `prevSeqId` and `seqId` of the last message.
    last: (i64, i64),
    /// Something is missing: only a new snapshot helps.
    broken: bool,
    /// When one was last asked for on this connection, by the venue's time, UTC ms.
    asked: Option<i64>,
}

impl Depth {
    /// Takes a message. An update must name the one before it; that its own number may be lower (the venue began anew) or the
    /// same (nothing changed for a while) makes no difference.
    pub fn take(&mut self, update: &Update) -> Step {
        let place = (update.before, update.number);
        if update.snapshot {
            self.book.replace(&update.bids, &update.asks);
            self.broken = false;
        } else if self.book.is_whole() && place == self.last && update.before != update.number {
            return Step::Repeat;
        } else if self.book.is_whole() && update.before == self.last.1 {
            self.book.apply(&update.bids, &update.asks);
        } else {
            return self.broken();
        }
        self.last = place;
        // No market is crossed: the numbers fit and yet something is wrong.
        if self.book.book().is_crossed() { self.broken() } else { Step::Followed }
    }

    fn broken(&mut self) -> Step {
        self.book.lose();
        self.broken = true;
        Step::Lost
    }

    /// The connection is gone; the next one subscribes by itself.
    pub fn lost(&mut self) {
        self.book.lose();
        self.broken = false;
        self.asked = None;
    }

    /// Whether to ask for a snapshot now (UTC ms, the venue's time): something is missing, and none was asked for lately.
    pub fn asks(&mut self, now: i64) -> bool {
        let asks = self.broken && self.asked.is_none_or(|at| now >= at.saturating_add(PATIENCE_MS));
        if asks {
            self.asked = Some(now);
        }
        asks
    }

    /// Tells the book as it stood at `ts` (UTC ms), at its capped rate.
    pub fn tell(&mut self, limits: BookLimits, series: &mut Series, out: &mut Sink<'_>, ts: i64) {
        self.book.tell(limits, series, out, ts);
    }
}

#[cfg(test)]
mod tests;
