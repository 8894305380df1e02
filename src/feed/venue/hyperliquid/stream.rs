//! Hyperliquid socket frames (`exchanges.md` §6.1, §6.2). Each struct shows a real payload; the tests read it.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::feed::venue::json;
use crate::feed::venue::read::Text;
use crate::market::{Price, Qty, Rate};

/// What a connection may begin with, and no JSON. Not in `exchanges.md`: the venue's own client passes it over
/// (`hyperliquid-python-sdk`, `websocket_manager.py`).
pub const GREETING: &str = "Websocket connection established.";

/// Every frame but the [`GREETING`]: `{"channel":"trades","data":[…]}`. The channel is known from the head by the time this is read.
#[derive(Debug, Deserialize)]
pub struct Frame<T> {
    #[serde(rename = "channel", default)]
    _channel: IgnoredAny,
    pub data: T,
}

/// Only the channel, for a frame that does not begin with it.
#[derive(Debug, Deserialize)]
pub struct Head<'a> {
    #[serde(borrow)]
    pub channel: Cow<'a, str>,
}

/// The channel of a frame that begins with it, as all frames seen do. Reads no further than the name.
pub fn channel(text: &str) -> Option<&str> {
    if let Some((name, _)) = json::lead(text, r#"{"channel":""#) {
        return Some(name);
    }
    let key = text.trim_ascii_start().strip_prefix('{')?.trim_ascii_start();
    let value = key.strip_prefix("\"channel\"")?.trim_ascii_start().strip_prefix(':')?;
    value.trim_ascii_start().strip_prefix('"')?.split_once('"').map(|(name, _)| name)
}

/// The coin that a frame is about, as it is written there: the first that is named, as no subscription of ours brings several in one frame. An error
/// quotes the request it refuses (§6.1). Reads no further than the name.
pub fn coin(text: &str) -> Option<&str> {
    let (key, end) = match channel(text)? {
        "candle" => (r#""s":""#, '"'),
        "error" => (r#"\"coin\":\""#, '\\'),
        _ => (r#""coin":""#, '"'),
    };
    let (_, name) = text.split_once(key)?;
    name.split_once(end).map(|(name, _)| name)
}

/// One row of `trades` (§6.2).
///
/// `{"coin":"BTC","side":"A","px":"104320.0","sz":"0.01500","hash":"0x…","time":1769916002000,"tid":300003,"users":["0xbuyer3","0xseller3"]}`
#[derive(Debug, Deserialize)]
pub struct TradeRow<'a> {
    #[serde(borrow)]
    pub coin: Cow<'a, str>,
    /// The aggressor: `B` bought, `A` sold (§1.4).
    #[serde(borrow)]
    pub side: Cow<'a, str>,
    pub px: Price,
    pub sz: Qty,
    #[serde(rename = "hash", default)]
    _hash: IgnoredAny,
    pub time: i64,
    /// With time and coin the key of a print.
    pub tid: u64,
    /// Buyer and seller.
    #[serde(borrow, default)]
    pub users: Option<(&'a str, &'a str)>,
}

/// The rows of a frame of trades that is written throughout as the venue writes it. `None` is left to [`Frame`].
pub fn trades(text: &str) -> Option<Vec<TradeRow<'_>>> {
    let mut script = json::Script::new(text)?;
    script.pass(r#"{"channel":"trades","data":["#)?;
    let rows = script.rows(|row| {
        row.pass(r#"{"coin":""#)?;
        let coin = row.string()?.into();
        row.pass(r#","side":""#)?;
        let side = row.string()?.into();
        row.pass(r#","px":""#)?;
        let px = row.string()?.parse().ok()?;
        row.pass(r#","sz":""#)?;
        let sz = row.string()?.parse().ok()?;
        row.pass(r#","hash":""#)?;
        row.string()?;
        row.pass(r#","time":"#)?;
        let time = row.whole()? as i64;
        row.pass(r#","tid":"#)?;
        let tid = row.whole()?;
        row.pass(r#","users":[""#)?;
        let buyer = row.string()?;
        row.pass(r#",""#)?;
        let seller = row.string()?;
        row.pass("]}")?;
        Some(TradeRow { coin, side, px, sz, _hash: IgnoredAny, time, tid, users: Some((buyer, seller)) })
    })?;
    script.ends("]}").then_some(rows)
}

/// `data` of `l2Book`; also the answer to the REST call of that name, which has no `fast` (§6.2, §6.4).
///
/// `{"coin":"BTC","time":1703875200000,"levels":[[{"px":"98450.50","sz":"2.5","n":3}],[{"px":"98451.00","sz":"1.5","n":2}]],"fast":true}`
#[derive(Debug, Deserialize)]
pub struct L2Book<'a> {
    #[serde(borrow)]
    pub coin: Cow<'a, str>,
    pub time: i64,
    /// Bids, asks; best first.
    pub levels: (Vec<Level>, Vec<Level>),
    /// Five levels twice a second, rather than twenty every five seconds.
    #[serde(default)]
    pub fast: bool,
}

/// One level of an [`L2Book`].
#[derive(Debug, Deserialize)]
pub struct Level {
    pub px: Price,
    pub sz: Qty,
    #[serde(rename = "n", default)]
    _orders: IgnoredAny,
}

/// `data` of `activeAssetCtx`: `{"coin":"BTC","ctx":{…}}`. It carries no time (§6.2).
#[derive(Debug, Deserialize)]
pub struct ActiveAssetCtx<'a> {
    #[serde(borrow)]
    pub coin: Cow<'a, str>,
    #[serde(borrow)]
    pub ctx: AssetCtx<'a>,
}

/// A coin's context, from the socket and in `metaAndAssetCtxs`. Coins that do not trade have nulls (§6.2).
///
/// `{"funding":"-0.0000015186","openInterest":"27353.17682","prevDayPx":"76317.0","dayNtlVlm":"1516669192.1953897476","premium":"-0.0005927453","oraclePx":"77605.0","markPx":"77562.0","midPx":"77558.5","impactPxs":["77558.0","77559.0"],"dayBaseVlm":"19707.77457"}`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AssetCtx<'a> {
    /// Of one hour.
    pub funding: Option<Rate>,
    /// Base coin, one side (§1.3).
    pub open_interest: Option<Qty>,
    pub oracle_px: Option<Price>,
    pub mark_px: Option<Price>,
    /// USD traded in 24 h.
    #[serde(borrow)]
    pub day_ntl_vlm: Option<Text<'a>>,
}

/// `data` of `candle`, and one row of `candleSnapshot` (§6.2, §6.4). Nothing tells that a bar is final.
///
/// `{"t":1684699200000,"T":1684702799999,"s":"kPEPE","i":"1h","o":"0.001601","c":"0.001604","h":"0.001616","l":"0.001601","v":"520665683.0","n":709}`
#[derive(Debug, Deserialize)]
pub struct CandleRow<'a> {
    /// Start.
    pub t: i64,
    #[serde(rename = "T", default)]
    _end: IgnoredAny,
    #[serde(borrow)]
    pub s: Cow<'a, str>,
    #[serde(borrow)]
    pub i: Cow<'a, str>,
    pub o: Price,
    pub c: Price,
    pub h: Price,
    pub l: Price,
    /// Base coin.
    pub v: Qty,
}

/// `data` of `subscriptionResponse`: what was asked for, word for word.
///
/// `{"method":"subscribe","subscription":{"type":"trades","coin":"BTC"}}`
#[derive(Debug, Deserialize)]
pub struct Subscribed<'a> {
    #[serde(borrow)]
    pub method: Cow<'a, str>,
    #[serde(borrow)]
    pub subscription: Subscription<'a>,
}

/// A stream of a coin.
#[derive(Debug, Deserialize)]
pub struct Subscription<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    #[serde(borrow)]
    pub coin: Option<Cow<'a, str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_channel_is_read_from_the_head_alone() {
        for (text, expected) in [
            (r#"{"channel":"trades","data":[]}"#, Some("trades")),
            ("{\n  \"channel\" : \"l2Book\", cut off", Some("l2Book")),
            (r#"{"channel":"pong"}"#, Some("pong")),
            (r#"{"data":[],"channel":"trades"}"#, None),
            (r#"["channel":"trades"]"#, None),
            (r#"{"channel":7}"#, None),
            (r#"{"channel":"trades"#, None),
            ("", None),
        ] {
            assert_eq!(channel(text), expected, "{text}");
        }
    }

    #[test]
    fn a_frame_is_about_the_coin_it_names_first() {
        for (text, expected) in [
            (r#"{"channel":"trades","data":[{"coin":"kPEPE","side":"A"},{"coin":"BTC"}]}"#, Some("kPEPE")),
            (r#"{"channel":"l2Book","data":{"coin":"BTC","levels":[[],[]],"time":1}}"#, Some("BTC")),
            (r#"{"channel":"candle","data":{"t":1,"T":2,"s":"xyz:XYZ100","i":"1m"}}"#, Some("xyz:XYZ100")),
            (r#"{"channel":"activeAssetCtx","data":{"coin":"BTC","ctx":{}}}"#, Some("BTC")),
            (
                r#"{"channel":"subscriptionResponse","data":{"method":"subscribe","subscription":{"type":"trades","coin":"BTC"}}}"#,
                Some("BTC"),
            ),
            (
                r#"{"channel":"error","data":"Error parsing JSON into valid websocket request: {\"method\":\"subscribe\",\"subscription\":{\"type\":\"trades\",\"coin\":\"ETH\"}}"}"#,
                Some("ETH"),
            ),
            (
                r#"{"channel":"error","data":"Error parsing JSON into valid websocket request: {\"method\":\"subscribe\"}"}"#,
                None,
            ),
            (r#"{"channel":"trades","data":[]}"#, None),
            (r#"{"channel":"pong"}"#, None),
            (r#"{"channel":"l2Book","data":{"coin":"BTC"#, None),
            (GREETING, None),
        ] {
            assert_eq!(coin(text), expected, "{text}");
        }
    }
}
