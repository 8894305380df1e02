//! Subscriptions (exchanges.md §6.2).

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::frames::DEAD;
use crate::sim::contracts::hyperliquid::CONTRACTS;
use crate::sim::venue::interval::Interval;

/// Lengths of candles that are simulated; longer ones than a day are longer than the history.
pub const INTERVALS: [Interval; 11] = [
    Interval::minutes("1m", 1),
    Interval::minutes("3m", 3),
    Interval::minutes("5m", 5),
    Interval::minutes("15m", 15),
    Interval::minutes("30m", 30),
    Interval::minutes("1h", 60),
    Interval::minutes("2h", 120),
    Interval::minutes("4h", 240),
    Interval::minutes("8h", 480),
    Interval::minutes("12h", 720),
    Interval::minutes("1d", 1_440),
];

/// How much of a book is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// 5 levels twice a second.
    Fast,
    /// 20 levels every 5 s.
    Slow,
    /// The same with prices merged to so many significant figures, 2 to 5.
    Merged(u8),
}

impl Grain {
    /// All that are told.
    pub const ALL: [Self; 6] =
        [Self::Fast, Self::Slow, Self::Merged(2), Self::Merged(3), Self::Merged(4), Self::Merged(5)];
}

/// What can be subscribed to. Coins are indices into the contracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// `trades`
    Trades(usize),
    /// `l2Book`
    Book(usize, Grain),
    /// `bbo`
    Bbo(usize),
    /// `candle`
    Candle(usize, Interval),
    /// `activeAssetCtx`
    Ctx(usize),
    /// `assetCtxs`
    AllCtxs,
    /// `allDexsAssetCtxs`
    AllDexs,
    /// `allMids`
    AllMids,
}

/// A `subscription` as clients write it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wanted {
    #[serde(rename = "type")]
    kind: String,
    coin: Option<String>,
    interval: Option<String>,
    #[serde(default)]
    fast: bool,
    #[serde(default)]
    n_sig_figs: Option<Value>,
    #[serde(default)]
    mantissa: Option<Value>,
    #[serde(default)]
    dex: String,
}

impl Wanted {
    /// The topic it names: `Err` if there is none, `Ok(None)` if it is about a coin that is listed and dead.
    pub fn topic(&self) -> Result<Option<Topic>, ()> {
        if !self.dex.is_empty() {
            return Err(());
        }
        match self.kind.as_str() {
            "assetCtxs" => return Ok(Some(Topic::AllCtxs)),
            "allDexsAssetCtxs" => return Ok(Some(Topic::AllDexs)),
            "allMids" => return Ok(Some(Topic::AllMids)),
            _ => {}
        }
        let name = self.coin.as_deref().ok_or(())?;
        let coin = CONTRACTS.iter().position(|contract| contract.symbol == name);
        if coin.is_none() && name != DEAD {
            return Err(());
        }
        // A mantissa asks for steps of 2 or 5, which nobody here needs.
        let grain = match (&self.n_sig_figs, self.fast) {
            _ if self.mantissa.is_some() => None,
            (None, true) => Some(Grain::Fast),
            (None, false) => Some(Grain::Slow),
            (Some(figures), false) => {
                figures.as_u64().filter(|n| (2..=5).contains(n)).map(|n| Grain::Merged(n as u8))
            }
            (Some(_), true) => None,
        };
        let interval = self.interval.as_deref().and_then(|name| Interval::named(&INTERVALS, name));
        let topic: fn(usize, Grain, Interval) -> Topic = match self.kind.as_str() {
            "trades" => |coin, _, _| Topic::Trades(coin),
            "l2Book" if grain.is_some() => |coin, grain, _| Topic::Book(coin, grain),
            "bbo" => |coin, _, _| Topic::Bbo(coin),
            "activeAssetCtx" => |coin, _, _| Topic::Ctx(coin),
            "candle" if interval.is_some() => |coin, _, interval| Topic::Candle(coin, interval),
            _ => return Err(()),
        };
        Ok(coin.map(|coin| topic(coin, grain.unwrap_or(Grain::Slow), interval.unwrap_or(INTERVALS[0]))))
    }
}

impl Topic {
    /// The coin it is about.
    pub const fn coin(self) -> Option<usize> {
        match self {
            Self::Trades(coin)
            | Self::Book(coin, _)
            | Self::Bbo(coin)
            | Self::Candle(coin, _)
            | Self::Ctx(coin) => Some(coin),
            Self::AllCtxs | Self::AllDexs | Self::AllMids => None,
        }
    }
}

/// Type and coin: `trades.BTC`, `l2Book.fast.BTC`, `candle.1m.kPEPE`, `allMids`.
impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trades(_) => "trades",
            Self::Book(_, Grain::Slow) => "l2Book",
            Self::Book(_, Grain::Fast) => "l2Book.fast",
            Self::Book(_, Grain::Merged(_)) => "l2Book.merged",
            Self::Bbo(_) => "bbo",
            Self::Candle(..) => "candle",
            Self::Ctx(_) => "activeAssetCtx",
            Self::AllCtxs => "assetCtxs",
            Self::AllDexs => "allDexsAssetCtxs",
            Self::AllMids => "allMids",
        })?;
        if let Self::Candle(_, interval) = self {
            write!(f, ".{}", interval.name)?;
        }
        self.coin().map_or(Ok(()), |coin| write!(f, ".{}", CONTRACTS[coin].symbol))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(json: &str) -> Result<Option<String>, ()> {
        let wanted: Wanted = serde_json::from_str(json).unwrap();
        Ok(wanted.topic()?.map(|topic| topic.to_string()))
    }

    #[test]
    fn subscriptions_are_read_as_documented() {
        for (json, name) in [
            (r#"{"type":"trades","coin":"BTC"}"#, "trades.BTC"),
            (r#"{"type":"l2Book","coin":"kPEPE"}"#, "l2Book.kPEPE"),
            (r#"{"type":"l2Book","coin":"BTC","fast":true,"nSigFigs":null}"#, "l2Book.fast.BTC"),
            (r#"{"type":"l2Book","coin":"BTC","nSigFigs":3}"#, "l2Book.merged.BTC"),
            (r#"{"type":"bbo","coin":"SOL"}"#, "bbo.SOL"),
            (r#"{"type":"candle","coin":"ETH","interval":"1m"}"#, "candle.1m.ETH"),
            (r#"{"type":"activeAssetCtx","coin":"BTC"}"#, "activeAssetCtx.BTC"),
            (r#"{"type":"assetCtxs","dex":""}"#, "assetCtxs"),
            (r#"{"type":"allDexsAssetCtxs"}"#, "allDexsAssetCtxs"),
            (r#"{"type":"allMids"}"#, "allMids"),
        ] {
            assert_eq!(topic(json), Ok(Some(name.to_owned())), "{json}");
        }
        for json in [
            r#"{"type":"trades"}"#,
            r#"{"type":"trades","coin":"KPEPE"}"#,
            r#"{"type":"webData2","user":"0x00"}"#,
            r#"{"type":"candle","coin":"ETH","interval":"7m"}"#,
            r#"{"type":"l2Book","coin":"BTC","nSigFigs":6}"#,
            r#"{"type":"l2Book","coin":"BTC","nSigFigs":5,"mantissa":2}"#,
            r#"{"type":"assetCtxs","dex":"xyz"}"#,
        ] {
            assert_eq!(topic(json), Err(()), "{json}");
        }
        assert_eq!(topic(&format!(r#"{{"type":"trades","coin":"{DEAD}"}}"#)), Ok(None));
    }
}
