//! Channels and what they are about.

use std::fmt;

use crate::sim::contracts::okx::CONTRACTS;

/// The two public websocket addresses (exchanges.md §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `/ws/v5/public`
    Public,
    /// `/ws/v5/business`: candles.
    Business,
}

/// A channel of a contract, or of all of them. Contracts are indices into `CONTRACTS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// `trades`
    Trades(usize),
    /// `liquidation-orders`, of every swap at once.
    Liquidations,
    /// `open-interest`
    OpenInterest(usize),
    /// `mark-price`
    MarkPrice(usize),
    /// `funding-rate`
    FundingRate(usize),
    /// `tickers`
    Tickers(usize),
    /// `candle1m`
    Candle(usize),
    /// `books`: 400 levels and what changes in them.
    Books(usize),
    /// `books5`: five levels, all of them each time.
    FiveLevels(usize),
    /// `bbo-tbt`: the best ones.
    BestPrices(usize),
}

/// What the channel and parameters of a subscription name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// A stream.
    Stream(Stream),
    /// A channel that exists and has nothing to say here.
    Silent,
    /// A channel of the other address.
    Elsewhere,
    /// No such channel, or not of this.
    Nothing,
}

impl Stream {
    /// What `channel` with `instId` or `instType` names on a route.
    pub fn named(route: Route, channel: &str, inst_id: Option<&str>, inst_type: Option<&str>) -> Named {
        if channel == "liquidation-orders" {
            // By type, not by instrument (exchanges.md §5.2).
            return match (route, inst_type) {
                (Route::Public, Some("SWAP")) => Named::Stream(Self::Liquidations),
                _ => Named::Nothing,
            };
        }
        if matches!(channel, "instruments" | "adl-warning" | "price-limit") && route == Route::Public {
            return Named::Silent;
        }
        let Some(contract) = inst_id.and_then(|id| CONTRACTS.iter().position(|c| c.symbol == id)) else {
            return Named::Nothing;
        };
        let stream = match channel {
            "trades" => Self::Trades(contract),
            "open-interest" => Self::OpenInterest(contract),
            "mark-price" => Self::MarkPrice(contract),
            "funding-rate" => Self::FundingRate(contract),
            "tickers" => Self::Tickers(contract),
            "candle1m" => Self::Candle(contract),
            "books" => Self::Books(contract),
            "books5" => Self::FiveLevels(contract),
            "bbo-tbt" => Self::BestPrices(contract),
            _ => return Named::Nothing,
        };
        match (route, stream.route()) {
            (Route::Public, Route::Business) => Named::Elsewhere,
            (Route::Business, Route::Public) => Named::Nothing,
            _ => Named::Stream(stream),
        }
    }

    /// Where it speaks.
    pub const fn route(self) -> Route {
        match self {
            Self::Candle(_) => Route::Business,
            _ => Route::Public,
        }
    }

    /// The one contract it is about.
    pub const fn contract(self) -> Option<usize> {
        match self {
            Self::Trades(c)
            | Self::OpenInterest(c)
            | Self::MarkPrice(c)
            | Self::FundingRate(c)
            | Self::Tickers(c)
            | Self::Candle(c)
            | Self::Books(c)
            | Self::FiveLevels(c)
            | Self::BestPrices(c) => Some(c),
            Self::Liquidations => None,
        }
    }

    const fn channel(self) -> &'static str {
        match self {
            Self::Trades(_) => "trades",
            Self::Liquidations => "liquidation-orders",
            Self::OpenInterest(_) => "open-interest",
            Self::MarkPrice(_) => "mark-price",
            Self::FundingRate(_) => "funding-rate",
            Self::Tickers(_) => "tickers",
            Self::Candle(_) => "candle1m",
            Self::Books(_) => "books",
            Self::FiveLevels(_) => "books5",
            Self::BestPrices(_) => "bbo-tbt",
        }
    }

    /// The `arg` its frames bear: `{"channel":"trades","instId":"BTC-USDT-SWAP"}`.
    pub fn arg(self) -> String {
        let channel = self.channel();
        match self.contract() {
            Some(contract) => {
                format!(r#"{{"channel":"{channel}","instId":"{}"}}"#, CONTRACTS[contract].symbol)
            }
            None => format!(r#"{{"channel":"{channel}","instType":"SWAP"}}"#),
        }
    }
}

/// As faults name it: `trades.BTC-USDT-SWAP`, `liquidation-orders.SWAP`.
impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = self.contract().map_or("SWAP", |contract| CONTRACTS[contract].symbol);
        write!(f, "{}.{about}", self.channel())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_found_on_their_own_address_and_named_in_frames() {
        use Route::{Business, Public};
        let id = Some("ETH-USDT-SWAP");
        for (channel, route) in [
            ("trades", Public),
            ("open-interest", Public),
            ("mark-price", Public),
            ("funding-rate", Public),
            ("tickers", Public),
            ("books", Public),
            ("books5", Public),
            ("bbo-tbt", Public),
            ("candle1m", Business),
        ] {
            let Named::Stream(stream) = Stream::named(route, channel, id, None) else { panic!("{channel}") };
            assert_eq!(stream.to_string(), format!("{channel}.ETH-USDT-SWAP"));
            assert_eq!(stream.arg(), format!(r#"{{"channel":"{channel}","instId":"ETH-USDT-SWAP"}}"#));
        }
        assert_eq!(Stream::named(Public, "candle1m", id, None), Named::Elsewhere);
        assert_eq!(Stream::named(Business, "trades", id, None), Named::Nothing);
        assert_eq!(Stream::named(Public, "trades", Some("ETH-USDT"), None), Named::Nothing);
        assert_eq!(Stream::named(Public, "trades", None, Some("SWAP")), Named::Nothing);
        assert_eq!(Stream::named(Public, "nonsense", id, None), Named::Nothing);
        assert_eq!(Stream::named(Public, "instruments", None, Some("SWAP")), Named::Silent);
    }

    #[test]
    fn liquidations_are_subscribed_to_by_type() {
        let named = |id, kind| Stream::named(Route::Public, "liquidation-orders", id, kind);
        assert_eq!(named(None, Some("SWAP")), Named::Stream(Stream::Liquidations));
        assert_eq!(named(Some("BTC-USDT-SWAP"), None), Named::Nothing);
        assert_eq!(named(None, Some("FUTURES")), Named::Nothing);
        assert_eq!(Stream::Liquidations.arg(), r#"{"channel":"liquidation-orders","instType":"SWAP"}"#);
        assert_eq!(Stream::Liquidations.to_string(), "liquidation-orders.SWAP");
    }
}
