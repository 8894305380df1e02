//! What one address may ask and hold (exchanges.md §6.1); on loopback there is only one address.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::sim::hub::lock;

/// Request weight a minute.
const WEIGHT: u32 = 1_200;
/// Websocket connections at once, and new ones a minute.
const CONNECTIONS: usize = 10;
const NEW_CONNECTIONS: usize = 30;
/// Subscriptions over all connections.
const SUBSCRIPTIONS: usize = 1_000;
/// Messages a minute over all connections.
const MESSAGES: usize = 2_000;
const MINUTE: Duration = Duration::from_secs(60);

/// What happened in the last minute.
#[derive(Debug, Default)]
struct Minute(VecDeque<(Instant, u32)>);

impl Minute {
    /// How much it was.
    fn sum(&mut self, now: Instant) -> u32 {
        while self.0.front().is_some_and(|(at, _)| now.duration_since(*at) >= MINUTE) {
            self.0.pop_front();
        }
        self.0.iter().map(|(_, amount)| amount).sum()
    }

    /// Adds to it, unless it would be more than allowed.
    fn take(&mut self, amount: u32, allowed: u32) -> bool {
        let now = Instant::now();
        let fits = self.sum(now) + amount <= allowed;
        if fits {
            self.0.push_back((now, amount));
        }
        fits
    }
}

#[derive(Debug, Default)]
struct State {
    weight: Minute,
    connections: usize,
    connected: Minute,
    subscriptions: usize,
    messages: Minute,
}

/// What the address uses.
#[derive(Debug, Default)]
pub struct Limits(Mutex<State>);

impl Limits {
    /// Whether a request of this weight is let through.
    pub fn ask(&self, weight: u32) -> bool {
        lock(&self.0).weight.take(weight, WEIGHT)
    }

    /// Books the weight of what was answered.
    pub fn answered(&self, weight: u32) {
        lock(&self.0).weight.0.push_back((Instant::now(), weight));
    }

    /// Whether one more connection is let in; it must [`leave`](Limits::leave).
    pub fn connect(&self) -> bool {
        let mut state = lock(&self.0);
        let fits = state.connections < CONNECTIONS && state.connected.take(1, NEW_CONNECTIONS as u32);
        state.connections += usize::from(fits);
        fits
    }

    /// A connection is gone with its subscriptions.
    pub fn leave(&self, subscriptions: usize) {
        let mut state = lock(&self.0);
        state.connections = state.connections.saturating_sub(1);
        state.subscriptions = state.subscriptions.saturating_sub(subscriptions);
    }

    /// Whether one more message is taken.
    pub fn hear(&self) -> bool {
        lock(&self.0).messages.take(1, MESSAGES as u32)
    }

    /// Whether one more subscription is taken.
    pub fn subscribe(&self) -> bool {
        let mut state = lock(&self.0);
        let fits = state.subscriptions < SUBSCRIPTIONS;
        state.subscriptions += usize::from(fits);
        fits
    }

    /// A subscription ended.
    pub fn unsubscribe(&self) {
        let mut state = lock(&self.0);
        state.subscriptions = state.subscriptions.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn six_hundred_light_requests_a_minute_and_no_more() {
        let limits = Limits::default();
        assert!((0..600).all(|_| limits.ask(2)));
        assert!(!limits.ask(2));
        tokio::time::advance(MINUTE).await;
        assert!(limits.ask(20));
        limits.answered(1_180);
        assert!(!limits.ask(2), "what was answered weighs too");
    }

    #[tokio::test(start_paused = true)]
    async fn ten_connections_at_once_and_thirty_new_ones_a_minute() {
        let limits = Limits::default();
        assert!((0..10).all(|_| limits.connect()));
        assert!(!limits.connect());
        limits.leave(0);
        assert!(limits.connect());
        for _ in 0..19 {
            limits.leave(0);
            assert!(limits.connect());
        }
        limits.leave(0);
        assert!(!limits.connect(), "the thirty-first of this minute");
        tokio::time::advance(MINUTE).await;
        assert!(limits.connect());
    }

    #[tokio::test(start_paused = true)]
    async fn subscriptions_and_messages_are_counted_over_all_connections() {
        let limits = Limits::default();
        assert!((0..1_000).all(|_| limits.subscribe()));
        assert!(!limits.subscribe());
        limits.leave(3);
        limits.unsubscribe();
        assert!((0..4).all(|_| limits.subscribe()));
        assert!(!limits.subscribe());
        assert!((0..2_000).all(|_| limits.hear()));
        assert!(!limits.hear());
    }
}
