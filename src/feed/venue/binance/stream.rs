//! Binance socket frames (`exchanges.md` §3.2). Each struct shows a real payload; the tests read it.
//!
//! An event's `e` and `st` are fields of each, so that reading the event once reads all that [`Head`] would. The commonest events have fields for all
//! that Binance writes, in its order: see [`json`].

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::feed::venue::json;
use crate::market::{Price, Qty};

/// What every event brings: the first look at a frame that does not begin with its kind.
#[derive(Debug, Deserialize)]
pub struct Head<'a> {
    #[serde(borrow)]
    pub e: Option<Cow<'a, str>>,
    /// 1 USD-M, 2 COIN-M; absent in older frames (§3.2).
    pub st: Option<u8>,
}

/// What is not an event: the envelope of a combined stream, and answers.
///
/// `{"stream":"btcusdt@depth","data":{…}}` (§3.1); a frame of a raw stream is the `data` alone.
#[derive(Debug, Deserialize)]
pub struct Envelope<'a> {
    #[serde(borrow)]
    pub stream: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub data: Option<&'a RawValue>,
    /// `{"result":null,"id":1}`
    pub id: Option<&'a RawValue>,
    /// `{"code":2,"msg":"Invalid request: …"}`
    pub code: Option<&'a RawValue>,
    #[serde(borrow)]
    pub msg: Option<Cow<'a, str>>,
    /// `{"lastUpdateId":1027024,"E":…,"bids":[…],"asks":[…]}`: a depth answer; recorders put it among the frames (§3.3).
    #[serde(rename = "lastUpdateId")]
    pub last_update_id: Option<&'a RawValue>,
}

/// `{"e":"aggTrade","E":123456789,"s":"BNBUSDT","a":5933014,"p":"0.001","q":"100","nq":"100","f":100,"l":105,"T":123456785,"m":true,"st":1}`
#[derive(Debug, Deserialize)]
pub struct AggTrade<'a> {
    #[serde(rename = "e")]
    _kind: IgnoredAny,
    #[serde(rename = "E")]
    pub sent: i64,
    #[serde(borrow)]
    pub s: Cow<'a, str>,
    /// Running number of the aggregate.
    pub a: u64,
    pub p: Price,
    pub q: Qty,
    #[serde(rename = "nq", default)]
    _normal_qty: IgnoredAny,
    /// Number of the first single trade in it.
    pub f: u64,
    #[serde(rename = "l", default)]
    _last: IgnoredAny,
    #[serde(rename = "T")]
    pub time: i64,
    /// The buyer was the maker: a seller took.
    pub m: bool,
    pub st: Option<u8>,
}

/// An aggregate that is written throughout as the venue writes it. `None` is left to `serde`.
pub fn aggregate(text: &str) -> Option<AggTrade<'_>> {
    let mut script = json::Script::new(text)?;
    script.pass(r#"{"e":"aggTrade","E":"#)?;
    let sent = script.whole()? as i64;
    script.pass(r#","s":""#)?;
    let s = script.string()?.into();
    script.pass(r#","a":"#)?;
    let a = script.whole()?;
    script.pass(r#","p":""#)?;
    let p = script.string()?.parse().ok()?;
    script.pass(r#","q":""#)?;
    let q = script.string()?.parse().ok()?;
    script.pass(r#","nq":""#)?;
    script.string()?;
    script.pass(r#","f":"#)?;
    let f = script.whole()?;
    script.pass(r#","l":"#)?;
    script.whole()?;
    script.pass(r#","T":"#)?;
    let time = script.whole()? as i64;
    script.pass(r#","m":"#)?;
    let m = script.truth()?;
    script.pass(r#","st":"#)?;
    let st = Some(script.whole()?.try_into().ok()?);
    script.ends("}").then_some(AggTrade {
        _kind: IgnoredAny,
        sent,
        s,
        a,
        p,
        q,
        _normal_qty: IgnoredAny,
        f,
        _last: IgnoredAny,
        time,
        m,
        st,
    })
}

/// `{"e":"trade","E":123456789,"s":"BTCUSDT","t":5933014,"p":"0.001","q":"100","T":123456785,"m":true}`
#[derive(Debug, Deserialize)]
pub struct SingleTrade<'a> {
    #[serde(rename = "e")]
    _kind: IgnoredAny,
    #[serde(rename = "E")]
    pub sent: i64,
    #[serde(borrow)]
    pub s: Cow<'a, str>,
    /// Running number.
    pub t: u64,
    pub p: Price,
    pub q: Qty,
    #[serde(rename = "T")]
    pub time: i64,
    pub m: bool,
    pub st: Option<u8>,
}

/// `{"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSDT","p":"11794.15000000","i":"11784.62659091","P":"11784.25641265","r":"0.00038167","ap":"11794.15000000","T":1562306400000,"st":1}`
#[derive(Debug, Deserialize)]
pub struct MarkPrice<'a> {
    #[serde(rename = "e")]
    _kind: IgnoredAny,
    #[serde(rename = "E")]
    pub sent: i64,
    #[serde(borrow)]
    pub s: Cow<'a, str>,
    pub p: Price,
    /// Index price; may be empty text.
    #[serde(borrow)]
    pub i: Option<Cow<'a, str>>,
    /// Funding rate of the running period; may be empty text.
    #[serde(borrow)]
    pub r: Option<Cow<'a, str>>,
    /// Next funding; 0 for a delisted symbol (§3.2).
    #[serde(rename = "T")]
    pub next_funding: Option<i64>,
    pub st: Option<u8>,
}

/// `{"e":"kline","E":1638747660000,"s":"BTCUSDT","k":{"t":1638747660000,"T":1638747719999,"s":"BTCUSDT","i":"1m","f":100,"L":200,"o":"0.0010","c":"0.0020","h":"0.0025","l":"0.0015","v":"1000","n":100,"x":false,"q":"1.0000","V":"500","Q":"0.500","B":"123456"}}`
#[derive(Debug, Deserialize)]
pub struct Kline<'a> {
    #[serde(rename = "e")]
    _kind: IgnoredAny,
    #[serde(rename = "E")]
    pub sent: i64,
    #[serde(borrow)]
    pub s: Cow<'a, str>,
    #[serde(borrow)]
    pub k: KlineBar<'a>,
    pub st: Option<u8>,
}

/// The bar inside a [`Kline`].
#[derive(Debug, Deserialize)]
pub struct KlineBar<'a> {
    /// Start.
    pub t: i64,
    #[serde(rename = "T", default)]
    _end: IgnoredAny,
    #[serde(rename = "s", default)]
    _symbol: IgnoredAny,
    #[serde(borrow)]
    pub i: Cow<'a, str>,
    #[serde(rename = "f", default)]
    _first: IgnoredAny,
    #[serde(rename = "L", default)]
    _last: IgnoredAny,
    pub o: Price,
    pub c: Price,
    pub h: Price,
    pub l: Price,
    pub v: Qty,
    #[serde(rename = "n", default)]
    _trades: IgnoredAny,
    /// Final.
    pub x: bool,
    #[serde(rename = "q", default)]
    _turnover: IgnoredAny,
    /// Taker buy volume, base coin.
    #[serde(rename = "V")]
    pub taker_buy: Qty,
}

/// A bar that is written throughout as the venue writes it. `None` is left to `serde`.
pub fn kline(text: &str) -> Option<Kline<'_>> {
    let mut script = json::Script::new(text)?;
    script.pass(r#"{"e":"kline","E":"#)?;
    let sent = script.whole()? as i64;
    script.pass(r#","s":""#)?;
    let s = script.string()?.into();
    script.pass(r#","k":{"t":"#)?;
    let t = script.whole()? as i64;
    script.pass(r#","T":"#)?;
    script.whole()?;
    script.pass(r#","s":""#)?;
    script.string()?;
    script.pass(r#","i":""#)?;
    let i = script.string()?.into();
    script.pass(r#","f":"#)?;
    script.whole()?;
    script.pass(r#","L":"#)?;
    script.whole()?;
    script.pass(r#","o":""#)?;
    let o = script.string()?.parse().ok()?;
    script.pass(r#","c":""#)?;
    let c = script.string()?.parse().ok()?;
    script.pass(r#","h":""#)?;
    let h = script.string()?.parse().ok()?;
    script.pass(r#","l":""#)?;
    let l = script.string()?.parse().ok()?;
    script.pass(r#","v":""#)?;
    let v = script.string()?.parse().ok()?;
    script.pass(r#","n":"#)?;
    script.whole()?;
    script.pass(r#","x":"#)?;
    let x = script.truth()?;
    script.pass(r#","q":""#)?;
    script.string()?;
    script.pass(r#","V":""#)?;
    let taker_buy = script.string()?.parse().ok()?;
    script.pass(r#","Q":""#)?;
    script.string()?;
    script.pass(r#","B":""#)?;
    script.string()?;
    let k = KlineBar {
        t,
        _end: IgnoredAny,
        _symbol: IgnoredAny,
        i,
        _first: IgnoredAny,
        _last: IgnoredAny,
        o,
        c,
        h,
        l,
        v,
        _trades: IgnoredAny,
        x,
        _turnover: IgnoredAny,
        taker_buy,
    };
    script.ends("}}").then_some(Kline { _kind: IgnoredAny, sent, s, k, st: None })
}

/// `{"e":"forceOrder","E":1568014460893,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"0.014","p":"9910","ap":"9910","X":"FILLED","l":"0.014","z":"0.014","T":1568014460893},"ps":"BTCUSDT","st":1}`
#[derive(Debug, Deserialize)]
pub struct ForceOrder<'a> {
    #[serde(rename = "e")]
    _kind: IgnoredAny,
    #[serde(rename = "E")]
    pub sent: i64,
    #[serde(borrow)]
    pub o: ForcedOrder<'a>,
    pub st: Option<u8>,
}

/// The order inside a [`ForceOrder`].
#[derive(Debug, Deserialize)]
pub struct ForcedOrder<'a> {
    #[serde(borrow)]
    pub s: Cow<'a, str>,
    /// Side of the closing order: `SELL` when a long died (§1.2).
    #[serde(rename = "S", borrow)]
    pub side: Cow<'a, str>,
    /// Average fill; `p` is the limit, worse than the market (§3.2).
    pub ap: Price,
    #[serde(rename = "X", borrow)]
    pub status: Cow<'a, str>,
    /// Accumulated filled quantity.
    pub z: Qty,
    #[serde(rename = "T")]
    pub time: i64,
}

/// The stream in the envelope of a combined frame: `btcusdt@markPrice@1s` gives `markPrice@1s`.
pub fn stream_name(text: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Name<'a> {
        #[serde(borrow)]
        stream: Cow<'a, str>,
    }
    // A struct would also be read from an array.
    let name: Name<'_> = text.starts_with('{').then(|| json::read(text).ok())??;
    match name.stream {
        Cow::Borrowed(s) => s.split_once('@').map(|(_, stream)| Cow::Borrowed(stream)),
        Cow::Owned(s) => s.split_once('@').map(|(_, stream)| Cow::Owned(stream.to_owned())),
    }
}
