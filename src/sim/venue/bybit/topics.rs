//! Topics of the linear websocket (exchanges.md §4.2).

use std::fmt;

use crate::sim::contracts::bybit::CONTRACTS;

/// How deep a book topic looks, and how often it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// `orderbook.1`: snapshots only.
    L1,
    /// `orderbook.50`
    L50,
    /// `orderbook.200`
    L200,
    /// `orderbook.1000`
    L1000,
}

impl Depth {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::L1, Self::L50, Self::L200, Self::L1000];

    /// Levels on each side.
    pub const fn levels(self) -> usize {
        match self {
            Self::L1 => 1,
            Self::L50 => 50,
            Self::L200 => 200,
            Self::L1000 => 1_000,
        }
    }

    /// Time between two updates, ms. The two shallow ones are faster on the real exchange; the simulated book changes
    /// every 100 ms.
    pub const fn pace_ms(self) -> i64 {
        match self {
            Self::L1000 => 200,
            _ => 100,
        }
    }
}

/// Length of a candle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// As topics and parameters spell it: minutes, or `D`.
    pub name: &'static str,
    /// ms
    pub ms: i64,
}

const fn interval(name: &'static str, minutes: i64) -> Interval {
    Interval { name, ms: minutes * 60_000 }
}

impl Interval {
    /// Those simulated; weeks and months are longer than the history.
    pub const ALL: [Self; 11] = [
        interval("1", 1),
        interval("3", 3),
        interval("5", 5),
        interval("15", 15),
        interval("30", 30),
        interval("60", 60),
        interval("120", 120),
        interval("240", 240),
        interval("360", 360),
        interval("720", 720),
        interval("D", 1_440),
    ];

    /// The interval of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|interval| interval.name == name)
    }
}

/// A topic we can speak. Symbols are indices into the contracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// `publicTrade.SYM`
    Trade(usize),
    /// `allLiquidation.SYM`
    Liquidation(usize),
    /// `tickers.SYM`
    Ticker(usize),
    /// `kline.INTERVAL.SYM`
    Kline(usize, Interval),
    /// `orderbook.LEVELS.SYM`
    Book(usize, Depth),
}

impl Topic {
    /// Reads a name; `None` for topics that do not exist.
    pub fn parse(name: &str) -> Option<Self> {
        let (kind, symbol) = name.rsplit_once('.')?;
        let symbol = CONTRACTS.iter().position(|contract| contract.symbol == symbol)?;
        Some(match kind.split_once('.') {
            Some(("kline", name)) => Self::Kline(symbol, Interval::named(name)?),
            Some(("orderbook", levels)) => {
                let levels: usize = levels.parse().ok()?;
                Self::Book(symbol, Depth::ALL.into_iter().find(|depth| depth.levels() == levels)?)
            }
            _ => match kind {
                "publicTrade" => Self::Trade(symbol),
                "allLiquidation" => Self::Liquidation(symbol),
                "tickers" => Self::Ticker(symbol),
                _ => return None,
            },
        })
    }

    /// The contract it is about.
    pub const fn symbol(self) -> usize {
        match self {
            Self::Trade(symbol)
            | Self::Liquidation(symbol)
            | Self::Ticker(symbol)
            | Self::Kline(symbol, _)
            | Self::Book(symbol, _) => symbol,
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trade(_) => f.write_str("publicTrade")?,
            Self::Liquidation(_) => f.write_str("allLiquidation")?,
            Self::Ticker(_) => f.write_str("tickers")?,
            Self::Kline(_, interval) => write!(f, "kline.{}", interval.name)?,
            Self::Book(_, depth) => write!(f, "orderbook.{}", depth.levels())?,
        }
        write!(f, ".{}", CONTRACTS[self.symbol()].symbol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_and_print_alike() {
        for name in [
            "publicTrade.BTCUSDT",
            "allLiquidation.1000PEPEUSDT",
            "tickers.ETHUSDT",
            "kline.1.SOLUSDT",
            "kline.D.BTCUSDT",
            "orderbook.1.BTCUSDT",
            "orderbook.1000.BTCUSDT",
        ] {
            assert_eq!(Topic::parse(name).unwrap().to_string(), name);
        }
        for name in [
            "",
            "publicTrade",
            "publicTrade.",
            "publicTrade.btcusdt",
            "publicTrade.PEPEUSDT",
            "liquidation.BTCUSDT",
            "kline.2.BTCUSDT",
            "kline.BTCUSDT",
            "orderbook.500.BTCUSDT",
            "invalid.topic.BTCUSDT",
        ] {
            assert_eq!(Topic::parse(name), None, "{name:?}");
        }
    }
}
