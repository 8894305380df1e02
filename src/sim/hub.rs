//! From markets to connections: each has a bounded mailbox, and whoever does not empty it is cut off.

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::trouble::{Fate, Trouble};

/// Messages a connection may leave unread: some seconds of a busy market at two hundred times its speed.
const MAILBOX: usize = 8_192;

/// Locks, also after a holder panicked: what is behind these locks is whole between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a frame carries, for the books of account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Prints.
    Trade,
    /// Forced closes.
    Liquidation,
    /// Candles that are closed (running ones are not counted; where a venue never says "closed", none are).
    Candle,
    /// Mark prices.
    Mark,
    /// Open interest.
    OpenInterest,
    /// Funding rates.
    Funding,
    /// Books and changes of books.
    Book,
    /// Best prices and daily statistics.
    Ticker,
}

impl Kind {
    /// How many there are.
    pub const COUNT: usize = 8;
    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Trade,
        Self::Liquidation,
        Self::Candle,
        Self::Mark,
        Self::OpenInterest,
        Self::Funding,
        Self::Book,
        Self::Ticker,
    ];
}

/// Rows in a frame, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rows([u32; Kind::COUNT]);

impl Rows {
    /// None: an answer, a heartbeat.
    pub const NONE: Self = Self([0; Kind::COUNT]);

    /// So many of a kind.
    pub fn of(kind: Kind, count: usize) -> Self {
        Self::NONE.and(kind, count)
    }

    /// And so many of another.
    #[must_use]
    pub fn and(mut self, kind: Kind, count: usize) -> Self {
        self.0[kind as usize] += count as u32;
        self
    }

    /// How many of a kind.
    pub fn get(&self, kind: Kind) -> u32 {
        self.0[kind as usize]
    }
}

impl From<Kind> for Rows {
    fn from(kind: Kind) -> Self {
        Self::of(kind, 1)
    }
}

/// Something for a connection.
#[derive(Debug, Clone)]
pub enum Letter<S> {
    /// A message of a stream.
    Frame {
        /// The stream.
        stream: S,
        /// What is in it.
        rows: Rows,
        /// Its payload.
        payload: Arc<str>,
    },
    /// Injected: goes out as it is.
    Raw(Arc<str>),
    /// The service restarts in so long.
    Restart(Duration),
}

#[derive(Debug)]
struct Subscriber<S> {
    streams: Mutex<Vec<S>>,
    mailbox: mpsc::Sender<Letter<S>>,
    cut: CancellationToken,
}

/// Who is connected to a venue and wants what.
#[derive(Debug)]
pub struct Hub<S> {
    subscribers: Mutex<Vec<Arc<Subscriber<S>>>>,
    trouble: Arc<Trouble>,
    /// Frames kept back, to leave after their successors.
    late: Mutex<Vec<Letter<S>>>,
}

/// A connection's end of the hub; leaving happens by dropping it.
#[derive(Debug)]
pub struct Seat<S> {
    subscriber: Arc<Subscriber<S>>,
    /// What was published and is not yet sent.
    pub letters: mpsc::Receiver<Letter<S>>,
}

impl<S: Copy + Eq + Display> Hub<S> {
    /// Nobody is connected.
    pub(crate) fn new(trouble: Arc<Trouble>) -> Self {
        Self { subscribers: Mutex::default(), trouble, late: Mutex::default() }
    }

    /// Takes a seat without subscriptions.
    pub fn join(&self) -> Seat<S> {
        let (mailbox, letters) = mpsc::channel(MAILBOX);
        let subscriber =
            Arc::new(Subscriber { streams: Mutex::default(), mailbox, cut: CancellationToken::new() });
        lock(&self.subscribers).push(Arc::clone(&subscriber));
        Seat { subscriber, letters }
    }

    /// Sends one row to everyone who wants the stream; the payload is written only if there is someone.
    pub fn publish(&self, stream: S, kind: Kind, payload: impl FnOnce() -> String) {
        self.publish_rows(stream, || (kind.into(), payload()));
    }

    /// Sends rows to everyone who wants the stream; they are written only if there is someone.
    pub fn publish_rows(&self, stream: S, write: impl FnOnce() -> (Rows, String)) {
        if !self.is_wanted(stream) {
            return;
        }
        let (rows, payload) = write();
        let letter = Letter::Frame { stream, rows, payload: payload.into() };
        match self.trouble.fate(&stream) {
            Fate::Sent => self.deliver(stream, &letter),
            Fate::Lost => {}
            Fate::Twice => {
                self.deliver(stream, &letter);
                self.deliver(stream, &letter);
            }
            Fate::Late => {
                lock(&self.late).push(letter);
                return;
            }
        }
        self.deliver_late(stream);
    }

    /// What was kept back of a stream goes out behind what came after it.
    fn deliver_late(&self, stream: S) {
        let of_stream =
            |letter: &mut Letter<S>| matches!(letter, Letter::Frame { stream: s, .. } if *s == stream);
        let late: Vec<_> = lock(&self.late).extract_if(.., of_stream).collect();
        for letter in &late {
            self.deliver(stream, letter);
        }
    }

    fn is_wanted(&self, stream: S) -> bool {
        lock(&self.subscribers).iter().any(|subscriber| lock(&subscriber.streams).contains(&stream))
    }

    fn deliver(&self, stream: S, letter: &Letter<S>) {
        lock(&self.subscribers).retain(|subscriber| {
            if subscriber.mailbox.is_closed() {
                return false;
            }
            if !lock(&subscriber.streams).contains(&stream) {
                return true;
            }
            let taken = subscriber.mailbox.try_send(letter.clone()).is_ok();
            if !taken {
                // Full or gone. An exchange does not wait for a slow reader, and dropping single frames would
                // leave it with a hole it cannot see.
                subscriber.cut.cancel();
            }
            taken
        });
    }

    /// Hands every connection this letter, whatever it subscribed to.
    pub fn broadcast(&self, letter: &Letter<S>) {
        for subscriber in lock(&self.subscribers).iter() {
            // A mailbox that is full is about to be cut off anyway.
            let _ = subscriber.mailbox.try_send(letter.clone());
        }
    }
}

impl<S: Copy + Eq> Seat<S> {
    /// Replaces the subscriptions.
    pub fn subscribe(&self, streams: Vec<S>) {
        *lock(&self.subscriber.streams) = streams;
    }

    /// Done once the connection has fallen too far behind.
    pub fn cut(&self) -> CancellationToken {
        self.subscriber.cut.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> (Hub<&'static str>, Arc<Trouble>) {
        let trouble = Arc::new(Trouble::default());
        (Hub::new(Arc::clone(&trouble)), trouble)
    }

    fn read(seat: &mut Seat<&'static str>) -> Vec<String> {
        std::iter::from_fn(|| seat.letters.try_recv().ok())
            .map(|letter| match letter {
                Letter::Frame { payload, .. } | Letter::Raw(payload) => payload.to_string(),
                Letter::Restart(_) => "restart".to_owned(),
            })
            .collect()
    }

    fn publish(hub: &Hub<&'static str>, texts: &[&str]) {
        for text in texts {
            hub.publish("trades.a", Kind::Trade, || (*text).to_owned());
        }
    }

    #[test]
    fn only_subscribers_get_letters_and_nothing_is_written_for_nobody() {
        let (hub, trouble) = hub();
        let mut seat = hub.join();
        hub.publish("trades.a", Kind::Trade, || unreachable!("nobody wants it"));
        seat.subscribe(vec!["trades.a"]);
        publish(&hub, &["1"]);
        hub.publish("b", Kind::Trade, || unreachable!("nobody wants it"));
        trouble.mute("trades");
        publish(&hub, &["2"]);
        trouble.unmute();
        publish(&hub, &["3"]);
        assert_eq!(read(&mut seat), ["1", "3"]);
        hub.broadcast(&Letter::Restart(Duration::ZERO));
        assert_eq!(read(&mut seat), ["restart"]);
    }

    #[test]
    fn frames_are_lost_doubled_and_swapped_on_order() {
        let (hub, trouble) = hub();
        let mut seat = hub.join();
        seat.subscribe(vec!["trades.a"]);
        trouble.order(Fate::Lost, "trades.a", 1);
        publish(&hub, &["1", "2"]);
        trouble.order(Fate::Twice, ".a", 1);
        publish(&hub, &["3", "4"]);
        trouble.order(Fate::Late, "trades", 1);
        publish(&hub, &["5", "6", "7"]);
        trouble.order(Fate::Lost, "other", 1);
        publish(&hub, &["8"]);
        assert_eq!(read(&mut seat), ["2", "3", "3", "4", "6", "5", "7", "8"]);
    }

    #[test]
    fn a_slow_reader_is_cut_and_forgotten() {
        let (hub, _) = hub();
        let seat = hub.join();
        seat.subscribe(vec!["trades.a"]);
        for _ in 0..MAILBOX {
            publish(&hub, &[""]);
        }
        assert!(!seat.cut().is_cancelled());
        publish(&hub, &[""]);
        assert!(seat.cut().is_cancelled());
        assert!(lock(&hub.subscribers).is_empty());
    }
}
