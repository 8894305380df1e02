//! From markets to connections: each has a bounded mailbox, and whoever does not empty it is cut off.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Messages a connection may leave unread: some seconds of a busy market at two hundred times its speed.
const MAILBOX: usize = 8_192;

/// Locks, also after a holder panicked: what is behind these locks is whole between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A message of one stream.
#[derive(Debug, Clone)]
pub struct Letter<S> {
    /// The stream; `None` for what was injected and goes out as it is.
    pub stream: Option<S>,
    /// Its payload.
    pub payload: Arc<str>,
}

#[derive(Debug)]
struct Subscriber<S> {
    streams: Mutex<Vec<S>>,
    mailbox: mpsc::Sender<Letter<S>>,
    cut: CancellationToken,
}

/// Who is connected and wants what.
#[derive(Debug)]
pub struct Hub<S> {
    subscribers: Mutex<Vec<Arc<Subscriber<S>>>>,
    muted: Mutex<Vec<String>>,
    any_muted: AtomicBool,
}

/// A connection's end of the hub; leaving happens by dropping it.
#[derive(Debug)]
pub struct Seat<S> {
    subscriber: Arc<Subscriber<S>>,
    /// What was published and is not yet sent.
    pub letters: mpsc::Receiver<Letter<S>>,
}

impl<S> Default for Hub<S> {
    /// Nobody is connected.
    fn default() -> Self {
        Self { subscribers: Mutex::default(), muted: Mutex::default(), any_muted: AtomicBool::new(false) }
    }
}

impl<S: Copy + Eq + Display> Hub<S> {
    /// Takes a seat without subscriptions.
    pub fn join(&self) -> Seat<S> {
        let (mailbox, letters) = mpsc::channel(MAILBOX);
        let subscriber =
            Arc::new(Subscriber { streams: Mutex::default(), mailbox, cut: CancellationToken::new() });
        lock(&self.subscribers).push(Arc::clone(&subscriber));
        Seat { subscriber, letters }
    }

    /// Sends to everyone who wants the stream; the payload is written only if there is someone.
    pub fn publish(&self, stream: S, payload: impl FnOnce() -> String) {
        let mut write = Some(payload);
        let mut written: Option<Arc<str>> = None;
        lock(&self.subscribers).retain(|subscriber| {
            if subscriber.mailbox.is_closed() {
                return false;
            }
            if !lock(&subscriber.streams).contains(&stream) || self.is_muted(stream) {
                return true;
            }
            if let Some(write) = write.take() {
                written = Some(write().into());
            }
            let Some(payload) = written.clone() else { return true };
            if subscriber.mailbox.try_send(Letter { stream: Some(stream), payload }).is_err() {
                // Full or gone. An exchange does not wait for a slow reader, and dropping single frames would
                // leave it with a hole it cannot see.
                subscriber.cut.cancel();
                return false;
            }
            true
        });
    }

    /// Sends this text, which need not make sense, to every connection as a frame of its own.
    pub fn inject(&self, text: &str) {
        let payload: Arc<str> = text.into();
        for subscriber in lock(&self.subscribers).iter() {
            // A mailbox that is full is about to be cut off anyway.
            let _ = subscriber.mailbox.try_send(Letter { stream: None, payload: Arc::clone(&payload) });
        }
    }

    /// Silences streams whose name ends so; the connections stay.
    pub fn mute(&self, suffix: &str) {
        lock(&self.muted).push(suffix.to_owned());
        self.any_muted.store(true, Ordering::Relaxed);
    }

    /// Ends every silence.
    pub fn unmute(&self) {
        lock(&self.muted).clear();
        self.any_muted.store(false, Ordering::Relaxed);
    }

    fn is_muted(&self, stream: S) -> bool {
        self.any_muted.load(Ordering::Relaxed) && {
            let name = stream.to_string();
            lock(&self.muted).iter().any(|suffix| name.ends_with(suffix.as_str()))
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

    #[test]
    fn only_subscribers_get_letters_and_nothing_is_written_for_nobody() {
        let hub = Hub::default();
        let mut seat = hub.join();
        hub.publish("a", || unreachable!("nobody wants it"));
        seat.subscribe(vec!["a"]);
        hub.publish("a", || "1".to_owned());
        hub.publish("b", || unreachable!("nobody wants it"));
        hub.mute("a");
        hub.publish("a", || "2".to_owned());
        hub.unmute();
        hub.publish("a", || "3".to_owned());
        let got: Vec<String> =
            std::iter::from_fn(|| seat.letters.try_recv().ok()).map(|l| l.payload.to_string()).collect();
        assert_eq!(got, ["1", "3"]);
    }

    #[test]
    fn a_slow_reader_is_cut_and_forgotten() {
        let hub = Hub::default();
        let seat = hub.join();
        seat.subscribe(vec!["a"]);
        for _ in 0..MAILBOX {
            hub.publish("a", String::new);
        }
        assert!(!seat.cut().is_cancelled());
        hub.publish("a", String::new);
        assert!(seat.cut().is_cancelled());
        assert!(lock(&hub.subscribers).is_empty());
    }
}
