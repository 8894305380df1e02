//! Bybit's socket frames (`exchanges.md` §4.1, §4.2). Each struct shows a real payload; the tests read it.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::feed::venue::json;
use crate::market::{Price, Qty};

/// Trades as they happen.
pub const TRADES: &str = "publicTrade";
/// Every liquidation, in batches of half a second.
pub const LIQUIDATIONS: &str = "allLiquidation";
/// Mark and index price, funding, open interest.
pub const TICKERS: &str = "tickers";
/// Bars of a minute.
pub const KLINES: &str = "kline.1";
/// The book. 200 levels are the deepest on which two sources agree: 500 is gone, 1000 rests on one (§2, §4.2).
pub const BOOK: &str = "orderbook.200";

/// All we subscribe to.
pub const STREAMS: [&str; 5] = [TRADES, LIQUIDATIONS, TICKERS, KLINES, BOOK];

/// The topic of a frame, as it is written: `kline.1.BTCUSDT`. Runs on every frame, so it looks at the head only; the venue
/// writes the topic first, others put blanks or a message id before it.
pub fn topic(text: &str) -> Option<&str> {
    const KEY: &[u8] = b"\"topic\"";
    if let Some((topic, _)) = json::lead(text, r#"{"topic":""#) {
        return Some(topic);
    }
    let head = text.as_bytes();
    let at = head.windows(KEY.len()).take(200).position(|w| w == KEY)?;
    let value = text.get(at + KEY.len()..)?.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    value.split_once('"').map(|(topic, _)| topic)
}

/// A request on the socket.
///
/// `{"req_id":"x1","op":"subscribe","args":["publicTrade.BTCUSDT"]}`
#[derive(Debug, Serialize)]
struct Asked<'a> {
    req_id: &'a str,
    op: &'a str,
    args: &'a [String],
}

/// The text that subscribes to topics, or undoes it. The answer repeats `id`.
pub fn request(op: &str, id: &str, topics: &[String]) -> String {
    // Texts alone: writing them cannot fail.
    serde_json::to_string(&Asked { req_id: id, op, args: topics }).unwrap_or_default()
}

/// All topics of a symbol; [`topics`] of `BTCUSDT` begin with `publicTrade.BTCUSDT`.
pub fn topics(symbol: &str) -> Vec<String> {
    STREAMS.iter().map(|stream| format!("{stream}.{symbol}")).collect()
}

/// What is asked to keep a socket alive (§4.1).
pub const PING: &str = r#"{"op":"ping"}"#;

/// The answer to a request.
///
/// `{"success":false,"ret_msg":"Invalid topic: invalid.topic.BTCUSDT","conn_id":"cejreaspqfm9se7usbrg-2xh","op":"subscribe"}`,
/// or `{"success":true,"ret_msg":"pong","conn_id":"0970e817-426e-429a-a679-ff7f55e0b16a","req_id":"","op":"ping"}`
#[derive(Debug, Deserialize)]
pub struct Reply<'a> {
    pub success: Option<bool>,
    #[serde(borrow)]
    pub ret_msg: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub req_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub op: Option<Cow<'a, str>>,
}

/// Whether a text is the answer to our ping. Runs on every frame.
pub fn is_pong(text: &str) -> bool {
    // An answer is short, and data begin with their topic.
    text.len() < 400 && !text.starts_with("{\"topic\"") && text.contains("\"pong\"")
}

/// Whether a text says that a subscription to all our topics was refused; one bad topic is enough for that (§4.1). Runs on
/// every frame.
pub fn is_refusal_of_all(text: &str) -> bool {
    if text.len() > 1_000 || text.starts_with("{\"topic\"") || !text.contains("\"success\":false") {
        return false;
    }
    serde_json::from_str(text).is_ok_and(|reply: Reply<'_>| {
        // Those for one topic are named by it, those for all by the symbol; the name need not be repeated.
        let one = reply.req_id.is_some_and(|id| id.contains('.'));
        let held = reply.ret_msg.is_some_and(|words| words.contains("already subscribed"));
        reply.op.as_deref() == Some("subscribe") && !one && !held
    })
}

/// Frames that carry rows: trades, liquidations, bars.
#[derive(Debug, Deserialize)]
pub struct Rows<T> {
    #[serde(rename = "topic", default)]
    _topic: IgnoredAny,
    #[serde(rename = "type", default)]
    _kind: IgnoredAny,
    /// When the venue sent it, UTC ms.
    pub ts: i64,
    pub data: Vec<T>,
}

/// A print.
///
/// `{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1672304486868,"data":[{"T":1672304486865,"s":"BTCUSDT","S":"Buy","v":"0.001","p":"16578.50","L":"PlusTick","i":"20f43950-d8dd-5b31-9112-a178eb6023af","BT":false,"seq":1783284617}]}`
#[derive(Debug, Deserialize)]
pub struct TradeRow<'a> {
    #[serde(rename = "T")]
    pub time: i64,
    #[serde(borrow)]
    pub s: Cow<'a, str>,
    /// Side of the taker (§1.4).
    #[serde(rename = "S", borrow)]
    pub side: Cow<'a, str>,
    pub v: Qty,
    pub p: Price,
    #[serde(rename = "L", default)]
    _direction: IgnoredAny,
    /// Trade id.
    #[serde(borrow)]
    pub i: Cow<'a, str>,
    /// A block trade, agreed outside the book.
    #[serde(rename = "BT", default)]
    pub block: bool,
}

/// When a frame of trades was sent, UTC ms, and its rows, where it is written throughout as the venue writes it. `None` is left to [`Rows`].
pub fn trades(text: &str) -> Option<(i64, Vec<TradeRow<'_>>)> {
    let mut script = json::Script::new(text)?;
    script.pass(r#"{"topic":""#)?;
    script.string()?;
    script.pass(r#","type":"snapshot","ts":"#)?;
    let sent = script.whole()? as i64;
    script.pass(r#","data":["#)?;
    let rows = script.rows(|row| {
        row.pass(r#"{"T":"#)?;
        let time = row.whole()? as i64;
        row.pass(r#","s":""#)?;
        let s = row.string()?.into();
        row.pass(r#","S":""#)?;
        let side = row.string()?.into();
        row.pass(r#","v":""#)?;
        let v = row.string()?.parse().ok()?;
        row.pass(r#","p":""#)?;
        let p = row.string()?.parse().ok()?;
        row.pass(r#","L":""#)?;
        row.string()?;
        row.pass(r#","i":""#)?;
        let i = row.string()?.into();
        row.pass(r#","BT":"#)?;
        let block = row.truth()?;
        row.pass(r#","seq":"#)?;
        row.whole()?;
        row.pass("}")?;
        Some(TradeRow { time, s, side, v, p, _direction: IgnoredAny, i, block })
    })?;
    script.ends("]}").then_some((sent, rows))
}

/// A liquidation.
///
/// `{"topic":"allLiquidation.ROSEUSDT","type":"snapshot","ts":1739502303204,"data":[{"T":1739502302929,"s":"ROSEUSDT","S":"Sell","v":"20000","p":"0.04499"}]}`
#[derive(Debug, Deserialize)]
pub struct LiquidationRow<'a> {
    #[serde(rename = "T")]
    pub time: i64,
    #[serde(borrow)]
    pub s: Cow<'a, str>,
    /// Side of the **position**: `Buy` when a long died, unlike Binance and OKX (§1.2).
    #[serde(rename = "S", borrow)]
    pub side: Cow<'a, str>,
    /// Executed, base coin.
    pub v: Qty,
    /// Bankruptcy price, not a fill.
    pub p: Price,
}

/// A bar.
///
/// `{"topic":"kline.5.BTCUSDT","data":[{"start":1672324800000,"end":1672325099999,"interval":"5","open":"16649.5","close":"16677","high":"16677","low":"16608","volume":"2.081","turnover":"34666.4005","confirm":false,"timestamp":1672324988882}],"ts":1672324988882,"type":"snapshot"}`
#[derive(Debug, Deserialize)]
pub struct Bar {
    pub start: i64,
    pub open: Price,
    pub close: Price,
    pub high: Price,
    pub low: Price,
    pub volume: Qty,
    /// Final.
    pub confirm: bool,
}

/// Of a frame of bars of a minute the symbol, when it was sent, UTC ms, and the bars, where it is written throughout as the venue writes it. `None` is
/// left to [`Rows`].
pub fn bars(text: &str) -> Option<(&str, i64, Vec<Bar>)> {
    let mut script = json::Script::new(text)?;
    script.pass(r#"{"topic":"kline.1."#)?;
    let symbol = script.string()?;
    script.pass(r#","data":["#)?;
    let rows = script.rows(|row| {
        row.pass(r#"{"start":"#)?;
        let start = row.whole()? as i64;
        row.pass(r#","end":"#)?;
        row.whole()?;
        row.pass(r#","interval":""#)?;
        row.string()?;
        row.pass(r#","open":""#)?;
        let open = row.string()?.parse().ok()?;
        row.pass(r#","close":""#)?;
        let close = row.string()?.parse().ok()?;
        row.pass(r#","high":""#)?;
        let high = row.string()?.parse().ok()?;
        row.pass(r#","low":""#)?;
        let low = row.string()?.parse().ok()?;
        row.pass(r#","volume":""#)?;
        let volume = row.string()?.parse().ok()?;
        row.pass(r#","turnover":""#)?;
        row.string()?;
        row.pass(r#","confirm":"#)?;
        let confirm = row.truth()?;
        row.pass(r#","timestamp":"#)?;
        row.whole()?;
        row.pass("}")?;
        Some(Bar { start, open, close, high, low, volume, confirm })
    })?;
    script.pass(r#"],"ts":"#)?;
    let sent = script.whole()? as i64;
    script.ends(r#","type":"snapshot"}"#).then_some((symbol, sent, rows))
}

/// A frame of `tickers`: a snapshot, then what has changed.
///
/// `{"topic":"tickers.BTCUSDT","type":"delta","data":{"symbol":"BTCUSDT","markPrice":"66666.70"},"cs":9532239430,"ts":1760325052730}`
#[derive(Debug, Deserialize)]
pub struct TickerPush<'a> {
    #[serde(rename = "topic", default)]
    _topic: IgnoredAny,
    #[serde(rename = "type", borrow)]
    pub kind: Cow<'a, str>,
    #[serde(borrow)]
    pub data: Ticker<'a>,
    /// Cross sequence.
    #[serde(default)]
    pub cs: i64,
    pub ts: i64,
}

/// A ticker, whole or in part: an absent field is unchanged (§4.2). The row of `/v5/market/tickers` has the same names.
///
/// `{"symbol":"BTCUSDT","tickDirection":"MinusTick","price24hPcnt":"-0.158315","lastPrice":"66666.60","markPrice":"66666.60","indexPrice":"115418.19","openInterest":"492373.72","openInterestValue":"32824881841.75","turnover24h":"4936790807.6521","volume24h":"73191.3870","fundingIntervalHour":"8","fundingCap":"0.005","nextFundingTime":"1760342400000","fundingRate":"-0.005","bid1Price":"66666.60","bid1Size":"23789.165","ask1Price":"66666.70","ask1Size":"23775.469"}`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ticker<'a> {
    #[serde(borrow)]
    pub symbol: Cow<'a, str>,
    #[serde(rename = "tickDirection", default)]
    _direction: IgnoredAny,
    #[serde(rename = "price24hPcnt", default)]
    _change: IgnoredAny,
    #[serde(rename = "lastPrice", default)]
    _last: IgnoredAny,
    pub mark_price: Option<&'a str>,
    pub index_price: Option<&'a str>,
    /// Base coin, both sides added (§1.3).
    pub open_interest: Option<&'a str>,
    #[serde(rename = "openInterestValue", default)]
    _open_interest_usd: IgnoredAny,
    /// Base coin, one side; since 2026-06-11 (§1.3).
    pub single_open_interest: Option<&'a str>,
    #[serde(rename = "singleOpenInterestValue", default)]
    _single_open_interest_usd: IgnoredAny,
    /// Traded in 24 h, in the quote coin.
    #[serde(rename = "turnover24h")]
    pub turnover: Option<&'a str>,
    #[serde(rename = "volume24h", default)]
    _volume: IgnoredAny,
    pub funding_interval_hour: Option<&'a str>,
    pub next_funding_time: Option<&'a str>,
    pub funding_rate: Option<&'a str>,
    #[serde(rename = "bid1Price", default)]
    _bid: IgnoredAny,
    #[serde(rename = "bid1Size", default)]
    _bid_size: IgnoredAny,
    #[serde(rename = "ask1Price", default)]
    _ask: IgnoredAny,
    #[serde(rename = "ask1Size", default)]
    _ask_size: IgnoredAny,
}

/// A frame of the book: a snapshot, then absolute sizes of the levels that changed; size 0 removes one.
///
/// `{"topic":"orderbook.50.BTCUSDT","type":"snapshot","ts":1672304484978,"data":{"s":"BTCUSDT","b":[["16493.50","0.006"]],"a":[["16611.00","0.029"]],"u":18521288,"seq":7961638724},"cts":1672304484976}`
#[derive(Debug, Deserialize)]
pub struct BookPush<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Cow<'a, str>,
    pub ts: i64,
    /// When the matching engine made it, UTC ms: this compares with the time of trades.
    pub cts: Option<i64>,
    #[serde(borrow)]
    pub data: BookData<'a>,
}

/// What a [`BookPush`] carries.
#[derive(Debug, Deserialize)]
pub struct BookData<'a> {
    #[serde(borrow)]
    pub s: Cow<'a, str>,
    #[serde(default)]
    pub b: Vec<(Price, Qty)>,
    #[serde(default)]
    pub a: Vec<(Price, Qty)>,
    /// Running number of the update; 1 after a restart of the venue's service.
    pub u: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_found_at_the_head() {
        for (text, expected) in [
            (r#"{"topic":"kline.1.BTCUSDT","data":[]}"#, Some("kline.1.BTCUSDT")),
            ("{\n  \"topic\" : \"tickers.X\", \"ts\":1}", Some("tickers.X")),
            (r#"{"id":"1","topic":"tickers.Y"}"#, Some("tickers.Y")),
            (r#"{"success":true,"op":"ping"}"#, None),
            (r#"{"topic":"#, None),
            (r#"{"topic":"x"#, None),
            ("", None),
            ("龙虾", None),
        ] {
            assert_eq!(topic(text), expected, "{text}");
        }
        let deep = format!(r#"{{"pad":"{}","topic":"x.y"}}"#, "龙".repeat(300));
        assert_eq!(topic(&deep), None, "only the head is looked at");
    }

    #[test]
    fn requests_are_as_documented() {
        assert_eq!(
            request("subscribe", "x1", &topics("BTCUSDT")),
            r#"{"req_id":"x1","op":"subscribe","args":["publicTrade.BTCUSDT","allLiquidation.BTCUSDT","tickers.BTCUSDT","kline.1.BTCUSDT","orderbook.200.BTCUSDT"]}"#
        );
    }

    #[test]
    fn a_pong_is_told_from_data() {
        let pong = r#"{"success":true,"ret_msg":"pong","conn_id":"0970e817-426e-429a-a679-ff7f55e0b16a","req_id":"","op":"ping"}"#;
        assert!(is_pong(pong));
        assert!(!is_pong(r#"{"success":true,"ret_msg":"","conn_id":"c","req_id":"x1","op":"subscribe"}"#));
        assert!(!is_pong(r#"{"topic":"publicTrade.X","note":"pong"}"#));
    }
}
