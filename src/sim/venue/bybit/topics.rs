//! Topics of the linear websocket (exchanges.md §4.2).

use std::fmt;

use crate::sim::contracts::bybit::CONTRACTS;
use crate::sim::venue::interval::Interval;

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

/// Lengths of candles as topics and parameters spell them: minutes, or `D`. Weeks and months are longer than the history.
pub const INTERVALS: [Interval; 11] = [
    Interval::minutes("1", 1),
    Interval::minutes("3", 3),
    Interval::minutes("5", 5),
    Interval::minutes("15", 15),
    Interval::minutes("30", 30),
    Interval::minutes("60", 60),
    Interval::minutes("120", 120),
    Interval::minutes("240", 240),
    Interval::minutes("360", 360),
    Interval::minutes("720", 720),
    Interval::minutes("D", 1_440),
];

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
            Some(("kline", name)) => Self::Kline(symbol, Interval::named(&INTERVALS, name)?),
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
