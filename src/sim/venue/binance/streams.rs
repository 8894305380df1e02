//! Stream names and the route each is served on.

use std::fmt;
use std::sync::LazyLock;

use super::contracts::CONTRACTS;

/// Symbols as stream names spell them: in lower case, where a script has one.
static NAMES: LazyLock<Vec<String>> =
    LazyLock::new(|| CONTRACTS.iter().map(|contract| contract.symbol.to_lowercase()).collect());

/// The two public websocket routes. A stream asked for on the wrong one is acknowledged and stays silent
/// (exchanges.md §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `/public`: books.
    Public,
    /// `/market`: trades, marks, candles, liquidations.
    Market,
}

/// How often a book's changes are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// `@depth@100ms`
    Fast,
    /// `@depth`
    Usual,
    /// `@depth@500ms`
    Slow,
}

impl Pace {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fast, Self::Usual, Self::Slow];

    /// Time between two updates, ms.
    pub const fn ms(self) -> i64 {
        match self {
            Self::Fast => 100,
            Self::Usual => 250,
            Self::Slow => 500,
        }
    }
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
    /// `<symbol>@depth`, `@depth@100ms`, `@depth@500ms`
    Depth(usize, Pace),
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
        let symbol = NAMES.iter().position(|name| name == symbol)?;
        Some(match kind {
            "aggTrade" => Self::AggTrade(symbol),
            "forceOrder" => Self::ForceOrder(symbol),
            "kline_1m" => Self::Kline(symbol),
            "markPrice" => Self::MarkPrice(symbol),
            "markPrice@1s" => Self::MarkPrice1s(symbol),
            "bookTicker" => Self::BookTicker(symbol),
            "depth" => Self::Depth(symbol, Pace::Usual),
            "depth@100ms" => Self::Depth(symbol, Pace::Fast),
            "depth@500ms" => Self::Depth(symbol, Pace::Slow),
            _ => return None,
        })
    }

    /// Where it speaks (routing table of exchanges.md §3.1).
    pub const fn route(self) -> Route {
        match self {
            Self::BookTicker(_) | Self::Depth(..) | Self::AllBookTickers => Route::Public,
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
            | Self::BookTicker(s)
            | Self::Depth(s, _) => Some(s),
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
            Self::Depth(_, Pace::Usual) => "depth",
            Self::Depth(_, Pace::Fast) => "depth@100ms",
            Self::Depth(_, Pace::Slow) => "depth@500ms",
            Self::AllForceOrders => "!forceOrder@arr",
            Self::AllMarkPrices => "!markPrice@arr",
            Self::AllMarkPrices1s => "!markPrice@arr@1s",
            Self::AllBookTickers => "!bookTicker",
        };
        match self.symbol() {
            Some(symbol) => write!(f, "{}@{kind}", NAMES[symbol]),
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
            ("btcusdt@depth", Route::Public),
            ("币安人生usdt@depth@100ms", Route::Public),
            ("btcusdt@depth@500ms", Route::Public),
            ("!bookTicker", Route::Public),
            ("!forceOrder@arr", Route::Market),
            ("!markPrice@arr", Route::Market),
            ("!markPrice@arr@1s", Route::Market),
        ] {
            let stream = Stream::parse(name).unwrap();
            assert_eq!(stream.to_string(), name);
            assert_eq!(stream.route(), route, "{name}");
        }
        for name in ["", "BTCUSDT@aggTrade", "btcusdt", "btcusdt@", "fooousdt@aggTrade", "btcusdt@aggtrade"] {
            assert_eq!(Stream::parse(name), None, "{name:?}");
        }
    }
}
