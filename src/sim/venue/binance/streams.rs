//! Stream names and the route each is served on.

use std::fmt;

use super::contracts::CONTRACTS;

/// The two public websocket routes. A stream asked for on the wrong one is acknowledged and stays silent
/// (exchanges.md §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `/public`: books.
    Public,
    /// `/market`: trades, marks, candles, liquidations.
    Market,
}

/// A stream we can speak. Symbols are indices into `CONTRACTS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// `<symbol>@aggTrade`
    AggTrade(usize),
    /// `<symbol>@forceOrder`
    ForceOrder(usize),
    /// `<symbol>@kline_1m`
    Kline(usize),
    /// `<symbol>@markPrice`, every 3 s
    MarkPrice(usize),
    /// `<symbol>@markPrice@1s`
    MarkPrice1s(usize),
    /// `<symbol>@bookTicker`
    BookTicker(usize),
    /// `!forceOrder@arr`
    AllForceOrders,
    /// `!markPrice@arr`, every 3 s
    AllMarkPrices,
    /// `!markPrice@arr@1s`
    AllMarkPrices1s,
    /// `!bookTicker`
    AllBookTickers,
}

impl Stream {
    /// Reads a name; `None` for streams that do not exist here, which the exchange acknowledges all the same.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "!forceOrder@arr" => return Some(Self::AllForceOrders),
            "!markPrice@arr" => return Some(Self::AllMarkPrices),
            "!markPrice@arr@1s" => return Some(Self::AllMarkPrices1s),
            "!bookTicker" => return Some(Self::AllBookTickers),
            _ => {}
        }
        let (symbol, kind) = name.split_once('@')?;
        let symbol = CONTRACTS.iter().position(|c| c.stream == symbol)?;
        Some(match kind {
            "aggTrade" => Self::AggTrade(symbol),
            "forceOrder" => Self::ForceOrder(symbol),
            "kline_1m" => Self::Kline(symbol),
            "markPrice" => Self::MarkPrice(symbol),
            "markPrice@1s" => Self::MarkPrice1s(symbol),
            "bookTicker" => Self::BookTicker(symbol),
            _ => return None,
        })
    }

    /// Where it speaks (routing table of exchanges.md §3.1).
    pub const fn route(self) -> Route {
        match self {
            Self::BookTicker(_) | Self::AllBookTickers => Route::Public,
            _ => Route::Market,
        }
    }

    /// The one contract it is about.
    pub const fn symbol(self) -> Option<usize> {
        match self {
            Self::AggTrade(s)
            | Self::ForceOrder(s)
            | Self::Kline(s)
            | Self::MarkPrice(s)
            | Self::MarkPrice1s(s)
            | Self::BookTicker(s) => Some(s),
            _ => None,
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::AggTrade(_) => "aggTrade",
            Self::ForceOrder(_) => "forceOrder",
            Self::Kline(_) => "kline_1m",
            Self::MarkPrice(_) => "markPrice",
            Self::MarkPrice1s(_) => "markPrice@1s",
            Self::BookTicker(_) => "bookTicker",
            Self::AllForceOrders => "!forceOrder@arr",
            Self::AllMarkPrices => "!markPrice@arr",
            Self::AllMarkPrices1s => "!markPrice@arr@1s",
            Self::AllBookTickers => "!bookTicker",
        };
        match self.symbol() {
            Some(symbol) => write!(f, "{}@{kind}", CONTRACTS[symbol].stream),
            None => f.write_str(kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_and_print_alike_and_know_their_route() {
        for (name, route) in [
            ("btcusdt@aggTrade", Route::Market),
            ("ethusdt@forceOrder", Route::Market),
            ("solusdt@kline_1m", Route::Market),
            ("1000pepeusdt@markPrice", Route::Market),
            ("btcusdt@markPrice@1s", Route::Market),
            ("btcusdt@bookTicker", Route::Public),
            ("!bookTicker", Route::Public),
            ("!forceOrder@arr", Route::Market),
            ("!markPrice@arr", Route::Market),
            ("!markPrice@arr@1s", Route::Market),
        ] {
            let stream = Stream::parse(name).unwrap();
            assert_eq!(stream.to_string(), name);
            assert_eq!(stream.route(), route, "{name}");
        }
        for name in ["", "BTCUSDT@aggTrade", "btcusdt", "btcusdt@", "dogeusdt@aggTrade", "btcusdt@aggtrade"] {
            assert_eq!(Stream::parse(name), None, "{name:?}");
        }
    }
}
