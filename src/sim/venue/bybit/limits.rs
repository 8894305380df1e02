//! 600 requests in 5 seconds an address; who asks for more is shut out for ten minutes (exchanges.md §4.3).

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::sim::hub::lock;

/// Requests within a window.
const REQUESTS: usize = 600;
const WINDOW: Duration = Duration::from_secs(5);
const SHUT_OUT: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
struct State {
    /// When the last requests came.
    taken: VecDeque<Instant>,
    shut_until: Option<Instant>,
}

/// What one address has asked; on loopback there is only one.
#[derive(Debug, Default)]
pub struct Limits(Mutex<State>);

impl Limits {
    /// Whether a request is let through.
    pub fn take(&self) -> bool {
        let mut state = lock(&self.0);
        let now = Instant::now();
        if state.shut_until.is_some_and(|until| now < until) {
            return false;
        }
        while state.taken.front().is_some_and(|at| now.duration_since(*at) >= WINDOW) {
            state.taken.pop_front();
        }
        if state.taken.len() >= REQUESTS {
            state.shut_until = Some(now + SHUT_OUT);
            return false;
        }
        state.taken.push_back(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_request_too_many_shuts_out_for_ten_minutes() {
        let limits = Limits::default();
        for _ in 0..2 {
            assert!((0..REQUESTS).all(|_| limits.take()));
            tokio::time::advance(WINDOW).await;
        }
        assert!((0..REQUESTS).all(|_| limits.take()));
        assert!(!limits.take());
        tokio::time::advance(Duration::from_secs(599)).await;
        assert!(!limits.take(), "also when the window is over");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(limits.take());
    }
}
