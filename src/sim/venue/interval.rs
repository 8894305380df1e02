//! Lengths of candles.

/// Length of a candle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// As the wire spells it.
    pub name: &'static str,
    /// ms
    pub ms: i64,
}

impl Interval {
    /// So many minutes.
    pub const fn minutes(name: &'static str, minutes: i64) -> Self {
        Self { name, ms: minutes * 60_000 }
    }

    /// The one of this name.
    pub fn named(all: &[Self], name: &str) -> Option<Self> {
        all.iter().copied().find(|interval| interval.name == name)
    }
}
