//! Request weight: a pool a minute, and what happens beyond it (exchanges.md §3.4).

use std::sync::Mutex;

use tokio::time::Instant;

use crate::sim::hub::lock;

/// Weight per minute and address.
const PER_MINUTE: u32 = 2_400;
/// Refused requests in one minute after which the address is banned.
const PATIENCE: u32 = 60;
/// Seconds of the first ban.
const BAN_S: u64 = 120;

/// Which pool a request draws from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// The common pool: this much weight.
    Weight(u32),
    /// Requests per five minutes of `/futures/data`: 1000.
    Data,
    /// Requests per five minutes of funding endpoints: 500.
    Funding,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Whether it is a ban (418) and not yet only a warning (429).
    pub banned: bool,
    /// Seconds to stay away.
    pub retry_after: u64,
}

#[derive(Debug)]
struct State {
    started: Instant,
    /// Pools: number of the running window, and what was used of it.
    used: [(u64, u32); 3],
    refused: u32,
    banned_until: Option<Instant>,
}

/// The pools of one address; on loopback there is only one.
#[derive(Debug)]
pub struct Limits(Mutex<State>);

impl Default for Limits {
    /// Full pools.
    fn default() -> Self {
        Self(Mutex::new(State { started: Instant::now(), used: [(0, 0); 3], refused: 0, banned_until: None }))
    }
}

impl Limits {
    /// Takes from a pool; weight used of the common pool in this minute.
    pub fn take(&self, pool: Pool) -> Result<u32, Refused> {
        let mut state = lock(&self.0);
        let now = Instant::now();
        if let Some(left) = state.banned_until.and_then(|until| until.checked_duration_since(now)) {
            return Err(Refused { banned: true, retry_after: left.as_secs() + 1 });
        }
        let (index, cost, limit, window) = match pool {
            Pool::Weight(weight) => (0, weight, PER_MINUTE, 60),
            Pool::Data => (1, 1, 1_000, 300),
            Pool::Funding => (2, 1, 500, 300),
        };
        let seconds = now.duration_since(state.started).as_secs();
        let number = seconds / window;
        if state.used[index].0 != number {
            state.used[index] = (number, 0);
            state.refused = 0;
        }
        if state.used[index].1 + cost > limit {
            state.refused += 1;
            if state.refused > PATIENCE {
                state.banned_until = Some(now + std::time::Duration::from_secs(BAN_S));
                return Err(Refused { banned: true, retry_after: BAN_S });
            }
            return Err(Refused { banned: false, retry_after: window - seconds % window });
        }
        state.used[index].1 += cost;
        Ok(state.used[0].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_pool_refuses_beyond_its_weight_and_refills() {
        let limits = Limits::default();
        for n in 1..=240 {
            assert_eq!(limits.take(Pool::Weight(10)), Ok(n * 10));
        }
        tokio::time::advance(std::time::Duration::from_secs(20)).await;
        assert_eq!(limits.take(Pool::Weight(1)), Err(Refused { banned: false, retry_after: 40 }));
        assert!(limits.take(Pool::Data).is_ok(), "a pool of its own");
        tokio::time::advance(std::time::Duration::from_secs(40)).await;
        assert_eq!(limits.take(Pool::Weight(1)), Ok(1));
    }

    #[tokio::test(start_paused = true)]
    async fn who_keeps_asking_is_banned_for_two_minutes() {
        let limits = Limits::default();
        assert!(limits.take(Pool::Weight(PER_MINUTE)).is_ok());
        for _ in 0..PATIENCE {
            assert!(!limits.take(Pool::Weight(1)).unwrap_err().banned);
        }
        assert_eq!(limits.take(Pool::Weight(1)), Err(Refused { banned: true, retry_after: BAN_S }));
        tokio::time::advance(std::time::Duration::from_secs(BAN_S + 1)).await;
        assert!(limits.take(Pool::Weight(1)).is_ok());
    }
}
