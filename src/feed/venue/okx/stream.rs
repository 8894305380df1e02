//! OKX socket frames (`exchanges.md` §5.1, §5.2). Each struct shows a real payload; the tests read it. REST answers carry
//! their rows in the same `data`, and are read by the same [`Message`].

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, Visitor};

use crate::feed::translate::Class;
use crate::feed::venue::json;
use crate::feed::venue::read::Text;
use crate::market::{Price, Qty, Rate};

/// The channels we subscribe to, by the venue's names; also the names of the streams.
pub const CHANNELS: [&str; 7] =
    ["trades", "books", "mark-price", "open-interest", "funding-rate", "liquidation-orders", "candle1m"];

/// The channel of a frame that is written as OKX writes pushes, without reading the rest:
/// `{"arg":{"channel":"trades","instId":"BTC-USDT-SWAP"},"data":[…`. An answer to a subscription names its channel, too.
pub fn channel(text: &str) -> Option<&str> {
    let (name, rest) = json::lead(text, r#"{"arg":{"channel":""#)?;
    let (_, after) = rest.split_once('}')?;
    let is_push = after.starts_with(r#","data":"#) || after.starts_with(r#","action":"#);
    is_push.then_some(name)
}

/// Which of our streams a frame belongs to. Runs on every frame; only a push whose fields come in another order is parsed.
pub fn stream(text: &str) -> Option<&'static str> {
    let ours = |name: &str| CHANNELS.into_iter().find(|c| *c == name);
    if let Some(name) = channel(text) {
        return ours(name);
    }
    let head: Head<'_> = text.starts_with('{').then(|| serde_json::from_str(text).ok())??;
    head.arg.filter(|_| head.event.is_none() && head.data.is_some()).and_then(|arg| ours(&arg.channel))
}

/// Channels we know and do not use (§5.2); of the candles only those of a minute are.
pub fn unused(channel: &str) -> Class {
    const CHANNELS: [&str; 9] = [
        "tickers",
        "books5",
        "bbo-tbt",
        "books-l2-tbt",
        "trades-all",
        "index-tickers",
        "adl-warning",
        "price-limit",
        "instruments",
    ];
    if channel.starts_with("candle") {
        return Class::Ignored("candle");
    }
    CHANNELS.into_iter().find(|c| *c == channel).map_or(Class::Unknown, Class::Ignored)
}

/// The announcement that this connection will be closed (§5.1), in whatever order its fields come.
pub fn is_restart_notice(text: &str) -> bool {
    // Runs on every frame: pushes begin otherwise, and notices are short.
    channel(text).is_none() && text.len() < 1_000 && text.contains("\"notice\"") && text.contains("\"64008\"")
}

/// A first look at a frame that does not begin as pushes do.
///
/// `{"id":"1512","event":"subscribe","arg":{"channel":"trades","instId":"BTC-USDT-SWAP"},"connId":"a4d3ae55"}`
#[derive(Debug, Deserialize)]
pub struct Head<'a> {
    #[serde(borrow)]
    pub event: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub arg: Option<Arg<'a>>,
    #[serde(borrow)]
    pub code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub msg: Option<Cow<'a, str>>,
    pub data: Option<IgnoredAny>,
}

/// What was subscribed to: `{"channel":"trades","instId":"BTC-USDT-SWAP"}`, or with `instType` for `liquidation-orders`.
#[derive(Debug, Default, Deserialize)]
pub struct Arg<'a> {
    #[serde(borrow, default)]
    pub channel: Cow<'a, str>,
    #[serde(borrow, rename = "instId")]
    pub symbol: Option<Text<'a>>,
}

/// A push, or the answer to a REST call, with rows of one kind.
///
/// `{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"snapshot","data":[…]}` (§5.2),
/// `{"code":"0","msg":"","data":[…]}` (§5.3)
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "R: Deserialize<'de>"))]
pub struct Message<'a, R> {
    #[serde(borrow)]
    pub arg: Option<Arg<'a>>,
    /// `snapshot` or `update` of a book.
    #[serde(borrow)]
    pub action: Option<Text<'a>>,
    /// Of a REST answer: `0` when all is well.
    #[serde(borrow)]
    pub code: Option<Cow<'a, str>>,
    pub data: Vec<R>,
}

/// The side of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderSide {
    Buy,
    Sell,
}

/// `{"instId":"BTC-USDT","tradeId":"130639474","px":"42219.9","sz":"0.12060306","side":"buy","ts":"1630048897897","count":"3","source":"0","seqId":1234}`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TradeRow<'a> {
    #[serde(borrow, rename = "instId")]
    pub symbol: Cow<'a, str>,
    /// Number of the last of the trades that are summed up in the row: it grows, but not by one.
    #[serde(borrow)]
    pub trade_id: Cow<'a, str>,
    pub px: Price,
    /// Contracts.
    pub sz: Qty,
    /// The taker's side (§1.4).
    pub side: OrderSide,
    pub ts: Ms,
    #[serde(rename = "count", default)]
    _count: IgnoredAny,
    #[serde(rename = "source", default)]
    _source: IgnoredAny,
    #[serde(rename = "seqId", default)]
    _sequence: IgnoredAny,
}

/// A push of trades that is written throughout as the venue writes it. `None` is left to [`Message`].
pub fn trades(text: &str) -> Option<Message<'_, TradeRow<'_>>> {
    let mut script = json::Script::new(text)?;
    script.pass(r#"{"arg":{"channel":"trades","instId":""#)?;
    let symbol = Some(Text(script.string()?.into()));
    script.pass(r#"},"data":["#)?;
    let data = script.rows(|row| {
        row.pass(r#"{"instId":""#)?;
        let symbol = row.string()?.into();
        row.pass(r#","tradeId":""#)?;
        let trade_id = row.string()?.into();
        row.pass(r#","px":""#)?;
        let px = row.string()?.parse().ok()?;
        row.pass(r#","sz":""#)?;
        let sz = row.string()?.parse().ok()?;
        row.pass(r#","side":""#)?;
        let side = match row.string()? {
            "buy" => OrderSide::Buy,
            "sell" => OrderSide::Sell,
            _ => return None,
        };
        row.pass(r#","ts":""#)?;
        let ts = Ms::new(row.whole()? as i64)?;
        row.pass(r#"","count":""#)?;
        row.string()?;
        row.pass(r#","source":""#)?;
        row.string()?;
        row.pass(r#","seqId":"#)?;
        row.whole()?;
        row.pass("}")?;
        Some(TradeRow {
            symbol,
            trade_id,
            px,
            sz,
            side,
            ts,
            _count: IgnoredAny,
            _source: IgnoredAny,
            _sequence: IgnoredAny,
        })
    })?;
    let arg = Some(Arg { channel: "trades".into(), symbol });
    script.ends("]}").then_some(Message { arg, action: None, code: None, data })
}

/// `{"details":[…],"instFamily":"IOST-USDT","instId":"IOST-USDT-SWAP","instType":"SWAP","uly":"IOST-USDT"}`
///
/// Its details are [`LiquidationDetail`]s, or unread where one of them cannot be read.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "D: Deserialize<'de>"))]
pub struct LiquidationRow<'a, D> {
    #[serde(borrow, rename = "instId")]
    pub symbol: Cow<'a, str>,
    pub details: Vec<D>,
}

/// `{"bkLoss":"0","bkPx":"0.007831","ccy":"","posSide":"short","side":"buy","sz":"13","ts":"1692266434010"}`
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiquidationDetail {
    /// The price at which the liquidation account took over.
    pub bk_px: Price,
    /// Side of the closing order: `sell` when a long died. `posSide` says `net` in net mode (§5.2).
    pub side: OrderSide,
    /// Contracts.
    pub sz: Qty,
    pub ts: Ms,
}

/// `{"instId":"BTC-USDT-SWAP","instType":"SWAP","oi":"2216113.01000000309","oiCcy":"22161.1301000000309","oiUsd":"1939251795.54769270396321","ts":"1743041250440"}`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenInterestRow<'a> {
    #[serde(borrow, rename = "instId")]
    pub symbol: Cow<'a, str>,
    /// Base coin, one side (§1.3).
    pub oi_ccy: Qty,
    pub ts: Ms,
}

/// Contracts and coins of an [`OpenInterestRow`], to compare them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContractsRow {
    pub oi: Qty,
    pub oi_ccy: Qty,
}

/// `{"instType":"FUTURES","instId":"LTC-USD-190628","markPx":"0.1","ts":"1597026383085"}`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MarkRow<'a> {
    #[serde(borrow, rename = "instId")]
    pub symbol: Cow<'a, str>,
    pub mark_px: Price,
    pub ts: Ms,
}

/// `{"formulaType":"noRate","fundingRate":"0.0001875391284828","fundingTime":"1700726400000","impactValue":"","instId":"BTC-USD-SWAP","instType":"SWAP","interestRate":"","method":"current_period","maxFundingRate":"0.00375","minFundingRate":"-0.00375","nextFundingRate":"","nextFundingTime":"1700755200000","premium":"0.0001233824646391","settFundingRate":"0.0001699799259033","settState":"settled","ts":"1700724675402"}`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FundingRow<'a> {
    #[serde(borrow, rename = "instId")]
    pub symbol: Cow<'a, str>,
    pub funding_rate: Rate,
    /// When the rate is paid.
    pub funding_time: Ms,
    /// When the one after it is; the difference is the period (§5.2). May be empty text.
    #[serde(borrow)]
    pub next_funding_time: Option<Cow<'a, str>>,
    pub ts: Ms,
}

/// `{"asks":[["8476.98","415","0","13"]],"bids":[["8476.97","256","0","12"]],"ts":"1597026383085","checksum":0,"prevSeqId":-1,"seqId":123456}`
///
/// The checksum is a constant today and is not looked at (§5.2).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BookRow {
    pub asks: Vec<Level>,
    pub bids: Vec<Level>,
    pub ts: Ms,
    pub prev_seq_id: Option<i64>,
    pub seq_id: Option<i64>,
}

/// Price, contracts, `"0"`, orders.
#[derive(Debug, Deserialize)]
pub struct Level(pub Price, pub Qty, IgnoredAny, IgnoredAny);

/// `["1597026383085","8533.02","8553.74","8527.17","8548.26","45247","529.5858061","5529.5858061","0"]` = start, open, high,
/// low, close, volume in contracts, in base coin, in quote currency, and whether the bar is finished (`1`).
#[derive(Debug, Deserialize)]
pub struct CandleRow<'a>(
    pub Ms,
    pub Price,
    pub Price,
    pub Price,
    pub Price,
    IgnoredAny,
    pub Qty,
    IgnoredAny,
    #[serde(borrow)] pub Cow<'a, str>,
);

/// A push of bars of a minute that is written throughout as the venue writes it. `None` is left to [`Message`].
pub fn candles(text: &str) -> Option<Message<'_, CandleRow<'_>>> {
    let mut script = json::Script::new(text)?;
    script.pass(r#"{"arg":{"channel":"candle1m","instId":""#)?;
    let symbol = Some(Text(script.string()?.into()));
    script.pass(r#"},"data":["#)?;
    let data = script.rows(|row| {
        row.pass(r#"[""#)?;
        let start = Ms::new(row.whole()? as i64)?;
        row.pass(r#"",""#)?;
        let mut next = || {
            let value = row.string()?;
            row.pass(r#",""#).map(|()| value)
        };
        let [open, high, low, close] = [next()?, next()?, next()?, next()?];
        next()?;
        let volume = next()?.parse().ok()?;
        next()?;
        let last = row.string()?.into();
        row.pass("]")?;
        let price = |text: &str| text.parse().ok();
        let (open, high, low, close) = (price(open)?, price(high)?, price(low)?, price(close)?);
        Some(CandleRow(start, open, high, low, close, IgnoredAny, volume, IgnoredAny, last))
    })?;
    let arg = Some(Arg { channel: "candle1m".into(), symbol });
    script.ends("]}").then_some(Message { arg, action: None, code: None, data })
}

/// A time, UTC ms, written as text. What lies outside 1970 to 9999 is refused here, before it can spoil what is remembered of a
/// series; empty text is no time either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ms(pub i64);

impl Ms {
    fn new(ms: i64) -> Option<Self> {
        /// The end of the year 9999.
        const LATEST: i64 = 253_402_300_799_999;
        (0..=LATEST).contains(&ms).then_some(Self(ms))
    }
}

impl<'de> Deserialize<'de> for Ms {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Ms;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("milliseconds since 1970 as text")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Ms, E> {
                let ms = text.parse().map_err(|_| E::custom("not a time in ms"))?;
                Ms::new(ms).ok_or_else(|| E::custom("time out of range"))
            }
        }
        deserializer.deserialize_str(Text)
    }
}
