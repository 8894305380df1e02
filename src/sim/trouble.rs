//! Troubles a client must live with, on order, and the books of what was sent.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::hub::{Kind, Rows, lock};

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Sent,
    /// Swallowed: a hole in the sequence.
    Lost,
    Twice,
    /// Leaves after the stream's next frame.
    Late,
}

/// What is wrong with the venue's list of instruments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Directory {
    /// Nothing.
    #[default]
    Whole,
    /// It ends in its middle.
    Cut,
    /// One row has nonsense for numbers; the others are right.
    OneRow,
}

/// How a venue keeps connections alive. `None`: it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepAlive {
    /// Protocol pings are sent this often.
    pub ping: Option<Duration>,
    /// A client not heard of for this long is dropped.
    pub silence: Duration,
    /// Longest life of a connection.
    pub life: Option<Duration>,
    /// Messages taken from a client in a second before it is cut off.
    pub inbound: Option<u32>,
}

/// What happens to frames of streams whose names match.
#[derive(Debug)]
struct Order {
    fate: Fate,
    pattern: String,
    left: u32,
}

/// A venue's orders of trouble. Everything is off at first.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    muted: Mutex<Vec<String>>,
    orders: Mutex<Vec<Order>>,
    /// Whether either of the above has something in it: asked for every frame.
    streams: AtomicBool,
    skew_ms: AtomicI64,
    no_pongs: AtomicBool,
    no_open_interest: AtomicBool,
    renumberings: AtomicU32,
    directory: Mutex<Directory>,
    delisted: Mutex<BTreeSet<String>>,
    keep_alive: Mutex<Option<KeepAlive>>,
    blocked: Mutex<Option<u16>>,
    /// Requests still to be refused, and the wait to tell them, seconds.
    refusals: Mutex<(u32, u64)>,
    sent: [AtomicU64; Kind::COUNT],
}

impl Trouble {
    pub fn mute(&self, pattern: &str) {
        lock(&self.muted).push(pattern.to_owned());
        self.streams.store(true, Ordering::Relaxed);
    }

    pub fn unmute(&self) {
        lock(&self.muted).clear();
    }

    pub fn order(&self, fate: Fate, pattern: &str, count: u32) {
        lock(&self.orders).push(Order { fate, pattern: pattern.to_owned(), left: count });
        self.streams.store(true, Ordering::Relaxed);
    }

    /// What becomes of the next frame of a stream.
    pub fn fate(&self, stream: &impl Display) -> Fate {
        if !self.streams.load(Ordering::Relaxed) {
            return Fate::Sent;
        }
        let name = stream.to_string();
        let matches =
            |pattern: &String| name.starts_with(pattern.as_str()) || name.ends_with(pattern.as_str());
        if lock(&self.muted).iter().any(matches) {
            return Fate::Lost;
        }
        let mut orders = lock(&self.orders);
        let Some(at) = orders.iter().position(|order| matches(&order.pattern)) else { return Fate::Sent };
        let order = &mut orders[at];
        let fate = order.fate;
        order.left = order.left.saturating_sub(1);
        if order.left == 0 {
            orders.remove(at);
        }
        fate
    }

    pub fn set_skew(&self, ms: i64) {
        self.skew_ms.store(ms, Ordering::Relaxed);
    }

    /// How far the venue's clock is off, ms.
    pub fn skew_ms(&self) -> i64 {
        self.skew_ms.load(Ordering::Relaxed)
    }

    pub fn set_no_pongs(&self, on: bool) {
        self.no_pongs.store(on, Ordering::Relaxed);
    }

    /// Whether pings stay unanswered.
    pub fn no_pongs(&self) -> bool {
        self.no_pongs.load(Ordering::Relaxed)
    }

    pub fn set_no_open_interest(&self, on: bool) {
        self.no_open_interest.store(on, Ordering::Relaxed);
    }

    /// Whether open interest is left out or empty wherever it is told.
    pub fn no_open_interest(&self) -> bool {
        self.no_open_interest.load(Ordering::Relaxed)
    }

    pub fn renumber_books(&self) {
        self.renumberings.fetch_add(1, Ordering::Relaxed);
    }

    /// How often books were ordered to be numbered anew.
    pub fn renumberings(&self) -> u32 {
        self.renumberings.load(Ordering::Relaxed)
    }

    pub fn set_directory(&self, directory: Directory) {
        *lock(&self.directory) = directory;
    }

    /// What is wrong with the list of instruments.
    pub fn directory(&self) -> Directory {
        *lock(&self.directory)
    }

    /// The list of instruments as it leaves: whole, or cut in its middle.
    pub fn cut_directory(&self, mut body: String) -> String {
        if self.directory() == Directory::Cut {
            let mut at = body.len() * 3 / 5;
            while !body.is_char_boundary(at) {
                at -= 1;
            }
            body.truncate(at);
        }
        body
    }

    pub fn delist(&self, symbol: &str) {
        lock(&self.delisted).insert(symbol.to_owned());
    }

    pub fn relist(&self) {
        lock(&self.delisted).clear();
    }

    /// Whether a symbol has left the market while it ran.
    pub fn is_delisted(&self, symbol: &str) -> bool {
        lock(&self.delisted).contains(symbol)
    }

    pub fn set_keep_alive(&self, rules: Option<KeepAlive>) {
        *lock(&self.keep_alive) = rules;
    }

    pub fn keep_alive(&self) -> Option<KeepAlive> {
        *lock(&self.keep_alive)
    }

    pub fn block(&self, status: Option<u16>) {
        *lock(&self.blocked) = status;
    }

    pub fn blocked(&self) -> Option<u16> {
        *lock(&self.blocked)
    }

    pub fn refuse_next(&self, count: u32, retry_after: u64) {
        *lock(&self.refusals) = (count, retry_after);
    }

    /// Whether this request is refused; if so, the seconds to wait.
    pub fn take_refusal(&self) -> Option<u64> {
        let mut refusals = lock(&self.refusals);
        refusals.0 = refusals.0.checked_sub(1)?;
        Some(refusals.1)
    }

    /// Books rows that were put on a connection.
    pub fn book(&self, rows: &Rows) {
        for (kind, sent) in Kind::ALL.into_iter().zip(&self.sent) {
            sent.fetch_add(u64::from(rows.get(kind)), Ordering::Relaxed);
        }
    }

    pub fn sent(&self) -> Sent {
        Sent(std::array::from_fn(|n| self.sent[n].load(Ordering::Relaxed)))
    }
}

/// Rows put on a venue's websocket connections since it was started, all connections together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent([u64; Kind::COUNT]);

impl Sent {
    /// How many of a kind.
    pub fn get(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_on_demand_are_counted() {
        let trouble = Trouble::default();
        assert_eq!(trouble.take_refusal(), None);
        trouble.refuse_next(2, 7);
        assert_eq!(
            [trouble.take_refusal(), trouble.take_refusal(), trouble.take_refusal()],
            [Some(7), Some(7), None]
        );
    }

    #[test]
    fn a_cut_list_ends_between_characters() {
        let trouble = Trouble::default();
        let list = "币安人生".to_owned();
        assert_eq!(trouble.cut_directory(list.clone()), list);
        trouble.set_directory(Directory::Cut);
        assert_eq!(trouble.cut_directory(list), "币安");
    }

    #[test]
    fn what_was_sent_is_booked_by_kind() {
        let trouble = Trouble::default();
        trouble.book(&Rows::of(Kind::Trade, 3).and(Kind::Mark, 1));
        trouble.book(&Kind::Trade.into());
        assert_eq!((trouble.sent().get(Kind::Trade), trouble.sent().get(Kind::Mark)), (4, 1));
        assert_eq!(trouble.sent().get(Kind::Book), 0);
    }
}
