//! Simulated time: starts at a given moment and runs faster than the wall if asked to.

use tokio::time::Instant;

/// The one clock of a simulated exchange.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start_ms: i64,
    speed: f64,
    started: Instant,
}

impl Clock {
    /// Starts now at `start_ms` (UTC ms of simulated time), running `speed` simulated seconds a second.
    pub fn start(start_ms: i64, speed: f64) -> Self {
        Self { start_ms, speed, started: Instant::now() }
    }

    /// UTC ms of simulated time.
    pub fn now_ms(&self) -> i64 {
        self.start_ms + (self.started.elapsed().as_secs_f64() * 1_000.0 * self.speed) as i64
    }

    /// The moment the clock was started at, UTC ms of simulated time.
    pub fn start_ms(&self) -> i64 {
        self.start_ms
    }
}
