//! Which streams of a connection have spoken, and for how long each may be silent.

use std::time::Duration;

use tokio::time::Instant;

use crate::feed::venue::ConnSpec;

/// How often a stream's allowance may double: two minutes grow to two hours.
const MOST_DOUBLINGS: u32 = 6;

/// A connection that lived this many allowances before a stream fell silent was a good one.
const GOOD_LIFE: u32 = 10;

/// How long each stream may be silent. A coin that hardly trades must not make us reconnect for ever, so the allowance of
/// a stream doubles each time a new connection does not make it speak for long.
#[derive(Debug)]
pub struct Patience(Vec<Allowance>);

#[derive(Debug)]
struct Allowance {
    first: Option<Duration>,
    idle: Option<Duration>,
    doublings: u32,
}

impl Allowance {
    fn first(&self) -> Option<Duration> {
        self.first.map(|d| d * (1 << self.doublings))
    }

    fn idle(&self) -> Option<Duration> {
        self.idle.map(|d| d * (1 << self.doublings))
    }
}

impl Patience {
    /// As the venue's adapter has it.
    pub fn new(spec: &ConnSpec) -> Self {
        let streams = spec.streams.iter();
        Self(streams.map(|s| Allowance { first: s.first, idle: s.idle, doublings: 0 }).collect())
    }

    /// A stream was silent on a connection that lived so long.
    pub fn silent(&mut self, stream: usize, life: Duration) {
        let allowance = &mut self.0[stream];
        let good = allowance.idle().is_some_and(|idle| life > idle * GOOD_LIFE);
        allowance.doublings = if good { 1 } else { (allowance.doublings + 1).min(MOST_DOUBLINGS) };
    }
}

/// What a connection's streams have done since it was opened.
pub struct Watch<'a> {
    patience: &'a Patience,
    opened: Instant,
    last: Vec<Option<Instant>>,
}

impl<'a> Watch<'a> {
    /// Of a connection that was opened now.
    pub fn new(patience: &'a Patience) -> Self {
        Self { patience, opened: Instant::now(), last: vec![None; patience.0.len()] }
    }

    /// Notes that a stream spoke; its place.
    pub fn heard(&mut self, spec: &ConnSpec, name: &str) -> Option<usize> {
        let at = spec.streams.iter().position(|s| s.name == name)?;
        self.last[at] = Some(Instant::now());
        Some(at)
    }

    /// Time in which nobody listened does not count.
    pub fn pause(&mut self, time: Duration) {
        self.opened += time;
        self.last.iter_mut().flatten().for_each(|last| *last += time);
    }

    /// Every stream that should speak after opening has spoken.
    pub fn all_spoke(&self) -> bool {
        self.patience.0.iter().zip(&self.last).all(|(a, last)| a.first.is_none() || last.is_some())
    }

    /// When the first stream will have been silent for too long, and which.
    pub fn due(&self) -> Option<(Instant, usize)> {
        let streams = self.patience.0.iter().zip(&self.last).enumerate();
        let due = streams.filter_map(|(at, (allowance, last))| match last {
            Some(last) => allowance.idle().map(|idle| (*last + idle, at)),
            None => allowance.first().map(|first| (self.opened + first, at)),
        });
        due.min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::venue::StreamSpec;

    const SECOND: Duration = Duration::from_secs(1);

    fn spec() -> ConnSpec {
        let stream = |name, first, idle| StreamSpec { name, first, idle, cadence: None };
        ConnSpec {
            name: "market".into(),
            urls: Vec::new(),
            hello: Vec::new(),
            again: Vec::new(),
            keep_alive: None,
            streams: vec![
                stream("mark", Some(SECOND), Some(2 * SECOND)),
                stream("trade", Some(SECOND), Some(10 * SECOND)),
                stream("liquidation", None, None),
            ],
            shared: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_stream_has_its_own_deadline() {
        let (spec, start) = (spec(), Instant::now());
        let patience = Patience::new(&spec);
        let mut watch = Watch::new(&patience);
        assert_eq!(watch.due(), Some((start + SECOND, 0)));
        watch.heard(&spec, "mark");
        assert!(!watch.all_spoke());
        assert_eq!(watch.due(), Some((start + SECOND, 1)));
        watch.heard(&spec, "trade");
        assert!(watch.all_spoke(), "liquidations come when they come");
        assert_eq!(watch.due(), Some((start + 2 * SECOND, 0)));
        watch.pause(SECOND);
        assert_eq!(watch.due(), Some((start + 3 * SECOND, 0)));
        assert_eq!(watch.heard(&spec, "weather"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_stays_silent_is_given_more_time_and_no_other_is() {
        let (spec, start) = (spec(), Instant::now());
        let mut patience = Patience::new(&spec);
        for _ in 0..20 {
            patience.silent(1, SECOND);
        }
        let mut watch = Watch::new(&patience);
        assert_eq!(watch.due(), Some((start + SECOND, 0)));
        watch.heard(&spec, "mark");
        watch.heard(&spec, "trade");
        assert_eq!(watch.last[1].zip(patience.0[1].idle()), Some((start, 640 * SECOND)));
        patience.silent(1, 6_401 * SECOND);
        assert_eq!(patience.0[1].idle(), Some(20 * SECOND), "it had been fine for long");
    }
}
