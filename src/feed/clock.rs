//! When frames are received. A machine's clock may be set back while the program runs; receive times do not go back with it, as a recording is read in
//! their order.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::frame::now_ns;

/// Steps back by less than this are followed: that is how clocks are kept right. ns.
const FOLLOWED: i64 = 1_000_000_000;

/// A clock that runs on from where it was when the machine's was set back.
#[derive(Debug, Clone, Copy)]
struct Clock {
    /// What it showed, UTC ns, and when by the clock that nobody sets.
    anchor: (i64, Instant),
    /// How far it is ahead of the machine's, ns; 0 where it follows that.
    ahead: i64,
}

impl Clock {
    fn new(wall: i64, at: Instant) -> Self {
        Self { anchor: (wall, at), ahead: 0 }
    }

    /// What it shows when the machine's shows `wall`.
    fn now(&mut self, wall: i64, at: Instant) -> i64 {
        let (shown, then) = self.anchor;
        let passed = i64::try_from(at.saturating_duration_since(then).as_nanos()).unwrap_or(i64::MAX);
        let now = shown.saturating_add(passed);
        let ahead = now.saturating_sub(wall);
        let by = (ahead - self.ahead).div_euclid(FOLLOWED);
        if by >= 1 {
            tracing::warn!(
                "this machine's clock was set back by {by} s; receive times run on from where they were until meltline is started again"
            );
        }
        if ahead < FOLLOWED {
            if self.ahead > 0 {
                tracing::info!("this machine's clock is where it was before it was set back");
            }
            *self = Self::new(wall, at);
            return wall;
        }
        self.ahead = ahead;
        now
    }
}

static CLOCK: Mutex<Option<Clock>> = Mutex::new(None);

/// The receive time of something that comes now, UTC ns; and how far that is ahead of the machine's clock, ns.
fn read() -> (i64, i64) {
    let (wall, at) = (now_ns(), Instant::now());
    let mut clock = CLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let clock = clock.get_or_insert_with(|| Clock::new(wall, at));
    (clock.now(wall, at), clock.ahead)
}

/// The receive time of something that comes now, UTC ns.
pub fn receive_ns() -> i64 {
    read().0
}

/// How far receive times are ahead of the machine's clock, ms: 0 unless that was set back.
pub fn ahead_ms() -> i64 {
    read().1 / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const S: i64 = 1_000_000_000;

    #[test]
    fn receive_times_run_on_when_the_clock_is_set_back_and_follow_it_once_it_has_caught_up() {
        let start = Instant::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let mut clock = Clock::new(10_000 * S, start);
        assert_eq!((clock.now(10_010 * S, at(10)), clock.ahead), (10_010 * S, 0));
        // An hour back; eleven seconds have passed.
        assert_eq!((clock.now(6_411 * S, at(11)), clock.ahead), (10_011 * S, 3_600 * S));
        assert_eq!((clock.now(6_412 * S, at(12)), clock.ahead), (10_012 * S, 3_600 * S));
        // Half an hour forward, then all the way.
        assert_eq!((clock.now(8_213 * S, at(13)), clock.ahead), (10_013 * S, 1_800 * S));
        assert_eq!((clock.now(10_014 * S, at(14)), clock.ahead), (10_014 * S, 0));
    }

    #[test]
    fn a_clock_that_is_put_right_by_a_little_or_forward_is_followed() {
        let start = Instant::now();
        let mut clock = Clock::new(100 * S, start);
        let at = |s: u64| start + Duration::from_secs(s);
        assert_eq!(clock.now(101 * S - S / 2, at(1)), 101 * S - S / 2);
        assert_eq!(clock.now(5_000 * S, at(2)), 5_000 * S);
        assert_eq!((clock.now(5_001 * S, at(3)), clock.ahead), (5_001 * S, 0));
    }

    #[test]
    fn what_comes_now_is_received_now() {
        let before = now_ns();
        let received = receive_ns();
        assert!((before..=now_ns()).contains(&received));
        assert_eq!(ahead_ms(), 0);
    }
}
