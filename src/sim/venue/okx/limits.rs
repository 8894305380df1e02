//! Requests and connections an address may make (exchanges.md §1.5, §5.3); on loopback there is only one address.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::sim::hub::lock;

/// Length of the window requests are counted in.
const WINDOW: Duration = Duration::from_secs(2);
/// Websocket connections an address may make in a second.
const CONNECTS: usize = 3;
/// Subscribe, unsubscribe and login messages a connection may send in an hour.
const ORDERS: u32 = 480;

/// What was used.
#[derive(Debug, Default)]
pub struct Limits {
    /// By path: when the running window began, and the requests in it.
    requests: Mutex<HashMap<&'static str, (Instant, u32)>>,
    /// The last connections.
    connects: Mutex<VecDeque<Instant>>,
}

impl Limits {
    /// Whether a request to a path is within its limit, so many in two seconds.
    pub fn request(&self, path: &'static str, limit: u32) -> bool {
        let mut requests = lock(&self.requests);
        let now = Instant::now();
        let (began, used) = requests.entry(path).or_insert((now, 0));
        if now.duration_since(*began) >= WINDOW {
            (*began, *used) = (now, 0);
        }
        *used += 1;
        *used <= limit
    }

    /// Whether a connection may be made.
    pub fn connect(&self) -> bool {
        let mut connects = lock(&self.connects);
        let now = Instant::now();
        connects.retain(|at| now.duration_since(*at) < Duration::from_secs(1));
        if connects.len() >= CONNECTS {
            return false;
        }
        connects.push_back(now);
        true
    }
}

/// What a connection has asked for.
#[derive(Debug)]
pub struct Orders {
    began: Instant,
    used: u32,
}

impl Default for Orders {
    fn default() -> Self {
        Self { began: Instant::now(), used: 0 }
    }
}

impl Orders {
    /// Whether one more is within the limit.
    pub fn take(&mut self) -> bool {
        if self.began.elapsed() >= Duration::from_secs(3_600) {
            *self = Self::default();
        }
        self.used += 1;
        self.used <= ORDERS
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn paths_have_limits_of_their_own_that_refill() {
        let limits = Limits::default();
        assert!((0..5).all(|_| limits.request("/a", 5)));
        assert!(!limits.request("/a", 5) && limits.request("/b", 5));
        advance(Duration::from_millis(1_999)).await;
        assert!(!limits.request("/a", 5));
        advance(Duration::from_millis(1)).await;
        assert!(limits.request("/a", 5));
    }

    #[tokio::test(start_paused = true)]
    async fn three_connections_a_second() {
        let limits = Limits::default();
        assert!(limits.connect());
        advance(Duration::from_millis(600)).await;
        assert!(limits.connect() && limits.connect() && !limits.connect());
        advance(Duration::from_millis(400)).await;
        assert!(limits.connect() && !limits.connect(), "only the first is a second old");
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_orders_an_hour() {
        let mut orders = Orders::default();
        assert!((0..ORDERS).all(|_| orders.take()));
        assert!(!orders.take());
        advance(Duration::from_secs(3_600)).await;
        assert!(orders.take());
    }
}
