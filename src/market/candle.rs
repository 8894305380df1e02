//! Candles and the intervals they and the heatmap's columns come in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::num::{Price, Qty};

/// A span of time that divides a day or is a number of days: `1m`, `5m`, `1h`, `1d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interval(i64);

impl Interval {
    /// One minute, the base column.
    pub const M1: Self = Self(60_000);
    /// Five minutes.
    pub const M5: Self = Self(300_000);
    /// A quarter of an hour.
    pub const M15: Self = Self(900_000);
    /// An hour.
    pub const H1: Self = Self(3_600_000);
    /// Four hours.
    pub const H4: Self = Self(14_400_000);
    /// A day.
    pub const D1: Self = Self(86_400_000);

    /// A number of hours.
    pub const fn from_hours(hours: u32) -> Self {
        Self(hours as i64 * Self::H1.0)
    }

    /// So many ms; `None` unless that is more than nothing.
    pub const fn from_ms(ms: i64) -> Option<Self> {
        if ms > 0 { Some(Self(ms)) } else { None }
    }

    /// Length in ms.
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// Its name, if it is one of those that are in use.
    const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::M1 => "1m",
            Self::M5 => "5m",
            Self::M15 => "15m",
            Self::H1 => "1h",
            Self::H4 => "4h",
            Self::D1 => "1d",
            _ => return None,
        })
    }

    /// Start of the bucket that holds `ts` (UTC ms).
    pub const fn floor(self, ts: i64) -> i64 {
        ts.div_euclid(self.0) * self.0
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(i64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        if let Some(name) = self.name() {
            return f.pad(name);
        }
        for (ms, unit) in UNITS {
            if self.0 % ms == 0 {
                return f.pad(&format!("{}{unit}", self.0 / ms));
            }
        }
        f.pad(&format!("{}ms", self.0))
    }
}

/// Why a text is not an interval.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad interval {0:?}: write a number and s, m, h, d or w, such as 5m or 24h")]
pub struct IntervalError(String);

impl FromStr for Interval {
    type Err = IntervalError;

    fn from_str(text: &str) -> Result<Self, IntervalError> {
        let bad = || IntervalError(text.chars().take(20).filter(|c| !c.is_control()).collect());
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let count: i64 = text[..split].parse().map_err(|_| bad())?;
        let unit = match &text[split..] {
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            "y" => 365 * 86_400_000,
            _ => return Err(bad()),
        };
        match count.checked_mul(unit) {
            Some(ms) if ms > 0 => Ok(Self(ms)),
            _ => Err(bad()),
        }
    }
}

impl Serialize for Interval {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.name() {
            // States tell it of each of ten thousand minutes.
            Some(name) => serializer.serialize_str(name),
            None => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Open, high, low and close, USD per one coin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ohlc {
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
}

impl Ohlc {
    /// All four at one price.
    pub const fn flat(price: Price) -> Self {
        Self { open: price, high: price, low: price, close: price }
    }

    /// Takes in one more price.
    pub fn add(&mut self, price: Price) {
        self.high = self.high.max(price);
        self.low = self.low.min(price);
        self.close = price;
    }

    /// Takes in the candle that follows.
    pub fn append(&mut self, next: &Self) {
        self.high = self.high.max(next.high);
        self.low = self.low.min(next.low);
        self.close = next.close;
    }

    /// The four prices in the order the path is taken to have run: an up bar dips first, a down bar rises first
    /// (`open → low → high → close` when close ≥ open, else `open → high → low → close`).
    pub fn path(&self) -> [Price; 4] {
        if self.close >= self.open {
            [self.open, self.low, self.high, self.close]
        } else {
            [self.open, self.high, self.low, self.close]
        }
    }
}

/// A finished bar of trading. Its start time is the event's `ts`; it is known one ms before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candle {
    /// Length of the bar.
    pub interval: Interval,
    /// Prices; `None` when nothing traded in the bar.
    pub ohlc: Option<Ohlc>,
    /// Volume in base coin; `None` where the source does not say.
    pub volume: Option<Qty>,
    /// The part of the volume bought by takers, base coin; `None` where the source does not say.
    pub taker_buy: Option<Qty>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_read_and_print_alike() {
        for text in ["1m", "5m", "15m", "1h", "4h", "1d", "7d", "30s", "2m", "1500ms"] {
            let interval = text.parse().unwrap_or(Interval(1_500));
            assert_eq!(interval.to_string(), text);
            assert_eq!(serde_json::to_string(&interval).unwrap(), format!("\"{text}\""));
        }
        assert_eq!("24h".parse::<Interval>().unwrap(), Interval::D1);
        for text in ["", "m", "5", "0m", "-1m", "5 m", "99999999999999999999d", "9223372036854775807d"] {
            assert!(text.parse::<Interval>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn buckets_before_the_epoch_floor_downwards() {
        assert_eq!(Interval::M1.floor(59_999), 0);
        assert_eq!(Interval::M1.floor(60_000), 60_000);
        assert_eq!(Interval::M1.floor(-1), -60_000);
    }
}
