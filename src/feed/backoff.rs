//! Waits between attempts: doubling, bounded, and never in step with everybody else's.

use std::time::Duration;

use super::frame::now_ns;

/// The next wait, and the limits of all.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, next: first }
    }

    /// A wait between half and all of the current step; the step doubles.
    pub fn wait(&mut self) -> Duration {
        let step = self.next.min(self.most);
        self.next = step.saturating_mul(2);
        // The clock's last digits are random enough to keep many clients apart.
        let jitter = f64::from(u32::try_from(now_ns().rem_euclid(1_000_000) / 1_000).unwrap_or(0)) / 2_000.0;
        step.mul_f64(0.5 + jitter)
    }

    /// Starts anew. Only real data may do that: a server that accepts and drops connections is still down.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100), ms(1_000));
        for step in [100, 200, 400, 800, 1_000, 1_000] {
            let wait = backoff.wait();
            assert!(ms(step) / 2 <= wait && wait <= ms(step), "{wait:?} of {step}");
        }
        backoff.reset();
        assert!(backoff.wait() <= ms(100));
    }
}
