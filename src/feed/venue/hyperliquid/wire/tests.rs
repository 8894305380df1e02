//! Every documented payload of `exchanges.md` §6 is read, and every rule about repeats, history and losses holds.

mod chaos;

use super::*;
use crate::feed::frame::{BACKFILL, Body, RawFrame};
use crate::feed::status::Counters;
use crate::feed::translate::Translator;
use crate::market::ndjson;
use crate::market::{EventKind, MarketEvent};

const LIST: &str = include_str!("../../../../../tests/data/hyperliquid/meta_and_asset_ctxs.json");
const TRADE: &str = r#"{"coin":"BTC","side":"A","px":"104320.0","sz":"0.01500","hash":"0x0000000000000000000000000000000000000000000000000000000000000003","time":1769916002000,"tid":300003,"users":["0xbuyer3","0xseller3"]}"#;
const BOOK: &str = r#"{"channel":"l2Book","data":{"coin":"BTC","time":1769916001000,"levels":[[{"px":"98450.50","sz":"2.5","n":3},{"px":"98449.75","sz":"1.8","n":2}],[{"px":"98451.00","sz":"1.5","n":2},{"px":"98451.75","sz":"2.1","n":3}]]}}"#;
const CONTEXT: &str = r#"{"channel":"activeAssetCtx","data":{"coin":"BTC","ctx":{"funding":"-0.0000015186","openInterest":"27353.17682","prevDayPx":"76317.0","dayNtlVlm":"1516669192.1953897476","premium":"-0.0005927453","oraclePx":"77605.0","markPx":"77562.0","midPx":"77558.5","impactPxs":["77558.0","77559.0"],"dayBaseVlm":"19707.77457"}}}"#;
const CANDLE: &str = r#"{"channel":"candle","data":{"t":1769916000000,"T":1769916059999,"s":"kPEPE","i":"1m","o":"0.001601","c":"0.001604","h":"0.001616","l":"0.001601","v":"520665683.0","n":709}}"#;
const ACK: &str = r#"{"channel":"subscriptionResponse","data":{"method":"subscribe","subscription":{"type":"trades","coin":"BTC"}}}"#;
const REFUSED: &str = r#"{"channel":"error","data":"Error parsing JSON into valid websocket request: {\"method\":\"subscribe\"}"}"#;
const MIDS: &str =
    r#"{"channel":"allMids","data":{"mids":{"@142":"80907.5","BTC":"80868.5","PURR/USDC":"0.067131"}}}"#;
const BBO: &str =
    r#"{"channel":"bbo","data":{"coin":"BTC","time":1769916002000,"bbo":[{"px":"1","sz":"1","n":1},null]}}"#;
const FAST_CONTEXTS: &str = r#"{"channel":"fastAssetCtxs","data":"q1ZyCnFWsqpWyk0syg6oULJSsjQ3NTDQM1Wq1VFyDfFAkTI2MzXQMwJLVVRWWfmFuTiiyBuamOoZKdXWAgA="}"#;
const FILL: &str = r#"{"channel":"user","data":{"fills":[{"coin":"BTC","px":"66653.0","sz":"0.001","side":"A","time":1781528065899,"startPosition":"-0.0213","dir":"Open Short","closedPnl":"0.0","hash":"0xe29f","oid":55030848197,"crossed":false,"fee":"0.009997","tid":745210434703679,"cloid":"0xe8d5","liquidation":{"liquidatedUser":"0x360878d351f05975e25f1807a27895e1e5e004fb","markPx":"66607.0","method":"market"},"feeToken":"USDC","twapId":null}]}}"#;

const CANDLES: &str =
    r#"/info {"type":"candleSnapshot","req":{"coin":"kPEPE","interval":"1m","startTime":1,"endTime":2}}"#;
const CONTEXTS: &str = r#"/info {"type":"metaAndAssetCtxs"}"#;
const CLOCK: &str = r#"/info {"type":"l2Book","coin":"BTC"}"#;

/// The time a clock answer of these tests tells.
const NOW: i64 = 1_769_916_000_000;

struct Feed {
    translator: Translator,
    recv: i64,
}

impl Feed {
    fn new() -> Self {
        Self::of(None)
    }

    fn of(asset: Option<&str>) -> Self {
        let asset = asset.map(|a| a.parse().unwrap());
        let wire = HyperliquidWire::new("hyperliquid".parse().unwrap(), asset, BookLimits::default());
        Self { translator: Translator::new(Box::new(wire)), recv: 0 }
    }

    /// One that has been told the time, and that has had the history which comes first on the trades of BTC.
    fn ready() -> Self {
        let mut feed = Self::new();
        feed.clock(NOW);
        assert!(feed.ws(&trades(&[(1, 1)])).is_empty(), "history");
        feed
    }

    fn take(&mut self, conn: &'static str, body: Body) -> Vec<MarketEvent> {
        let mut out = Vec::new();
        let venue = "hyperliquid".parse().unwrap();
        self.translator.take(&RawFrame { recv: self.recv, venue, conn: conn.into(), body }, &mut out);
        out
    }

    fn ws(&mut self, text: &str) -> Vec<MarketEvent> {
        self.take("public", Body::Ws(text.into()))
    }

    fn rest(&mut self, call: &str, text: &str) -> Vec<MarketEvent> {
        self.take(BACKFILL, Body::Rest { path: call.into(), text: text.into() })
    }

    fn clock(&mut self, ms: i64) {
        assert!(self.rest(CLOCK, &format!(r#"{{"coin":"BTC","levels":[[],[]],"time":{ms}}}"#)).is_empty());
    }

    fn counters(&self) -> Counters {
        self.translator.tally().counters
    }

    /// How many frames were of a kind.
    fn kind(&self, kind: &str) -> u64 {
        self.translator.tally().kinds.get(kind).copied().unwrap_or_default()
    }
}

/// A frame of prints of BTC: time and number of each.
fn trades(rows: &[(i64, u64)]) -> String {
    let row = |&(time, tid): &(i64, u64)| {
        TRADE.replace("1769916002000", &time.to_string()).replace("300003", &tid.to_string())
    };
    let rows: Vec<String> = rows.iter().map(row).collect();
    format!(r#"{{"channel":"trades","data":[{}]}}"#, rows.join(","))
}

/// Events as the lines of a file, without what is the same for all.
fn lines(events: &[MarketEvent]) -> Vec<String> {
    let line = |event: &MarketEvent| {
        let mut line = Vec::new();
        ndjson::write_event(&mut line, event).unwrap();
        let line = String::from_utf8(line).unwrap();
        let same = [r#""v":1,"#, r#""venue":"hyperliquid","#, r#""recv":0,"#];
        same.iter().fold(line.trim_end().to_owned(), |line, same| line.replace(same, ""))
    };
    events.iter().map(line).collect()
}

fn gaps(events: &[MarketEvent]) -> Vec<(&str, i64, i64)> {
    events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Gap(gap) => Some((gap.stream.as_ref(), gap.from, gap.to)),
            _ => None,
        })
        .collect()
}

/// Each row: what is sent, the kind it is counted as, and the events it gives. Trades come after the history that
/// answers a subscription, and the venue has told the time `NOW`.
#[test]
fn every_message_type_becomes_the_expected_event() {
    let trade = format!(r#"{{"channel":"trades","data":[{TRADE}]}}"#);
    let bought = trade.replace(r#""side":"A""#, r#""side":"B""#).replace("300003", "300004");
    let nameless = trade.replace(r#","users":["0xbuyer3","0xseller3"]"#, "").replace("300003", "300005");
    let later = BOOK.replace("1769916001000", "1769916003000");
    let dead = CONTEXT
        .replace(r#""markPx":"77562.0""#, r#""markPx":null"#)
        .replace(r#""openInterest":"27353.17682""#, r#""openInterest":null"#);
    let pepe =
        CONTEXT.replace("\"BTC\"", "\"kPEPE\"").replace("77562.0", "0.001604").replace("77605.0", "0.001605");
    let pepe_book =
        BOOK.replace("\"BTC\"", "\"kPEPE\"").replace("98450.50", "0.001604").replace("98449.75", "0.001603");
    let pepe_book = pepe_book.replace("98451.00", "0.001605").replace("98451.75", "0.001606");
    let spread = "{\n \"channel\": \"trades\",\n \"data\": [ ]\n}";
    let backwards = format!(r#"{{"data":[{}],"channel":"trades"}}"#, TRADE.replace("300003", "300006"));
    let next_candle =
        CANDLE.replace("1769916000000", "1769916060000").replace("1769916059999", "1769916119999");
    let hour = CANDLE.replace("\"1m\"", "\"1h\"");
    let of_trade = |taker: &str, id: u64, parties: &str| {
        format!(
            r#"{{"type":"trade","asset":"BTC","ts":1769916002000,"price":"104320","qty":"0.015","taker":"{taker}","id":"{id}"{parties}}}"#
        )
    };
    let parties = r#","parties":{"buyer":"0xbuyer3","seller":"0xseller3"}"#;
    let book = r#"{"type":"book","asset":"BTC","ts":1769916003000,"bids":[["98450.5","2.5"],["98449.75","1.8"]],"asks":[["98451","1.5"],["98451.75","2.1"]]}"#;
    let table: [(&str, &str, Vec<String>); 24] = [
        ("Websocket connection established.", "greeting", vec![]),
        (ACK, "ack", vec![]),
        (&trades(&[(1, 2)]), "trades (history)", vec![]),
        (&trade, "trades", vec![of_trade("sell", 300_003, parties)]),
        (&bought, "trades", vec![of_trade("buy", 300_004, parties)]),
        (&nameless, "trades", vec![of_trade("sell", 300_005, "")]),
        (&backwards, "trades", vec![of_trade("sell", 300_006, parties)]),
        (spread, "trades", vec![]),
        (&later, "l2Book", vec![book.to_owned()]),
        (
            CONTEXT,
            "activeAssetCtx",
            vec![
                r#"{"type":"mark","asset":"BTC","ts":1769916003000,"price":"77562","index":"77605","funding":"-0.0000015186","funding_hours":1}"#.into(),
                r#"{"type":"open_interest","asset":"BTC","ts":1769916003000,"qty":"27353.17682"}"#.into(),
            ],
        ),
        (&dead, "activeAssetCtx", vec![]),
        // A thousand coins a unit: prices are divided, quantities multiplied.
        (
            &pepe,
            "activeAssetCtx",
            vec![
                r#"{"type":"mark","asset":"PEPE","ts":1769916003000,"price":"0.000001604","index":"0.000001605","funding":"-0.0000015186","funding_hours":1}"#.into(),
                r#"{"type":"open_interest","asset":"PEPE","ts":1769916003000,"qty":"27353176.82"}"#.into(),
            ],
        ),
        (
            &pepe_book,
            "l2Book",
            vec![r#"{"type":"book","asset":"PEPE","ts":1769916001000,"bids":[["0.000001604","2500"],["0.000001603","1800"]],"asks":[["0.000001605","1500"],["0.000001606","2100"]]}"#.into()],
        ),
        (CANDLE, "candle", vec![]),
        (
            &next_candle,
            "candle",
            vec![r#"{"type":"candle","asset":"PEPE","ts":1769916000000,"interval":"1m","open":"0.000001601","high":"0.000001616","low":"0.000001601","close":"0.000001604","volume":"520665683000"}"#.into()],
        ),
        (&hour, "candle", vec![]),
        (r#"{"channel":"pong"}"#, "pong", vec![]),
        (REFUSED, "error", vec![]),
        (MIDS, "allMids", vec![]),
        (BBO, "bbo", vec![]),
        (FAST_CONTEXTS, "fastAssetCtxs", vec![]),
        (FILL, "user", vec![]),
        (r#"{"channel":"activeAssetCtx","data":{"coin":"xyz:NVDA","ctx":{}}}"#, "activeAssetCtx", vec![]),
        (r#"{"channel":"webData3","data":{}}"#, "webData3", vec![]),
    ];
    let mut feed = Feed::ready();
    for (text, kind, expected) in table {
        let before = feed.kind(kind);
        let events = feed.ws(text);
        assert_eq!(lines(&events), expected, "{text}");
        assert_eq!(feed.kind(kind), before + 1, "{text}");
    }
    let counters = feed.counters();
    assert_eq!((counters.unknown, counters.malformed), (0, 0));
}

#[test]
fn what_is_known_of_a_call_is_by_its_type() {
    let mut feed = Feed::new();
    let funding = r#"[{"coin":"BTC","fundingRate":"0.0000125","premium":"0.00029005","time":1769908800000}]"#;
    for (call, text, kind) in [
        (r#"/info {"type":"fundingHistory","coin":"BTC","startTime":1}"#, funding, "fundingHistory"),
        (r#"/info {"type":"recentTrades","coin":"BTC"}"#, "[]", "recentTrades"),
        (r#"/info {"type":"clearinghouseState","user":"0x1"}"#, "{}", "clearinghouseState"),
        (r#"/info {"type":"meta","dex":"xyz"}"#, "{}", "other dex"),
        (r#"/info {"type":"meta","dex":""}"#, r#"{"universe":[]}"#, "meta"),
        (&CANDLES.replace("1m", "1h"), "[]", "candleSnapshot"),
        (CLOCK, r#"{"coin":"BTC","levels":[[],[]],"time":1}"#, "l2Book"),
    ] {
        assert!(feed.rest(call, text).is_empty());
        assert_eq!(feed.kind(kind), 1, "{call}");
    }
    feed.rest(r#"/info {"type":"weather"}"#, "{}");
    feed.rest("/exchange {}", "{}");
    feed.rest("/info", "{}");
    assert_eq!(feed.counters().unknown, 3);
    for (call, text) in [
        ("/info {", "{}"),
        (CONTEXTS, "null"),
        (CANDLES, r#"{"error":1}"#),
        (CLOCK, "null"),
        (r#"/info {"type":"candleSnapshot"}"#, "[]"),
    ] {
        let before = feed.counters().malformed;
        feed.rest(call, text);
        assert_eq!(feed.counters().malformed, before + 1, "{call}");
    }
}

#[test]
fn what_cannot_be_read_is_counted_and_nothing_else() {
    let good = trades(&[(5, 5)]);
    for text in ["", "{", "null", "7", "\"x\"", "[1]", "{}", r#"{"channel":7}"#, r#"{"channel":"trades"}"#] {
        let mut feed = Feed::ready();
        assert!(feed.ws(text).is_empty());
        assert_eq!(feed.counters().malformed, 1, "{text:?}");
    }
    for (good_part, bad) in [
        ("\"104320.0\"", "\"1e3\""),
        ("\"104320.0\"", "\"-1\""),
        ("\"0.01500\"", "\"0\""),
        ("\"0.01500\"", "0.5"),
        ("\"side\":\"A\"", "\"side\":\"a\""),
        ("\"time\":5", "\"time\":-5"),
        ("\"time\":5", "\"time\":253402300800000"),
        ("\"tid\":5", "\"tid\":-5"),
    ] {
        let mut feed = Feed::ready();
        assert!(feed.ws(&good.replace(good_part, bad)).is_empty());
        assert_eq!(feed.counters().malformed, 1, "{bad}");
    }
    for (text, part, bad) in [
        (BOOK, "98450.50", "98451.50"),
        (BOOK, "\"sz\":\"2.5\"", "\"sz\":\"0\""),
        (CONTEXT, "\"77562.0\"", "\"0\""),
        (CONTEXT, "27353.17682", "-1"),
        (CANDLE, "0.001616", "0.001600"),
        (CANDLE, "1769916000000", "1769916000001"),
        (CANDLE, "520665683.0", "-1"),
    ] {
        let mut feed = Feed::ready();
        assert!(feed.ws(&text.replace(part, bad)).is_empty(), "{bad}");
        assert_eq!(feed.counters().malformed, 1, "{bad}");
    }
    let mut feed = Feed::ready();
    let least = CONTEXT.replace("\"BTC\"", "\"kPEPE\"").replace("\"77562.0\"", "\"0.0000000000009\"");
    assert!(feed.ws(&least).is_empty(), "nothing is left of it per coin");
    assert_eq!(feed.counters().malformed, 1);
    let mut feed = Feed::new();
    feed.ws(r#"{"channel":"weather","data":1}"#);
    assert_eq!(feed.counters().unknown, 1);
}

#[test]
fn an_odd_row_does_not_take_the_good_ones_with_it() {
    let mut feed = Feed::ready();
    let row = |tid: u64| TRADE.replace("300003", &tid.to_string());
    let rows = [row(1), row(2).replace("\"0.01500\"", "null"), row(3).replace("\"A\"", "\"C\""), row(4)];
    let other = row(5).replace("\"BTC\"", "\"ETH\"");
    let events = feed.ws(&format!(r#"{{"channel":"trades","data":[{},{other}]}}"#, rows.join(",")));
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!((feed.counters().malformed, feed.kind("trades")), (1, 0), "and the frame is counted as odd");

    let bar = r#"{"t":60000,"T":119999,"s":"kPEPE","i":"1m","o":"1","c":"1","h":"1","l":"1","v":"1","n":1}"#;
    let bars = [
        bar.to_owned(),
        bar.replace("\"v\":\"1\"", "\"v\":1").replace("60000", "120000"),
        bar.replace("60000", "180000"),
    ];
    let events = feed.rest(CANDLES, &format!("[{}]", bars.join(",")));
    assert_eq!(events.iter().map(|e| e.ts).collect::<Vec<_>>(), [60_000, 180_000]);
    assert_eq!(feed.counters().malformed, 2);
}

#[test]
fn prints_are_told_once_and_history_never() {
    let mut feed = Feed::new();
    feed.take("public", Body::Open);
    feed.ws(ACK);
    assert!(feed.ws(&trades(&[(1_000, 1), (1_001, 2)])).is_empty());
    assert_eq!(feed.ws(&trades(&[(2_000, 3), (2_000, 4)])).len(), 2);
    assert_eq!(feed.ws(&trades(&[(2_000, 4), (2_001, 4)])).len(), 1, "the key is time and number");
    assert_eq!((feed.counters().duplicates, feed.kind("trades (history)")), (1, 1));

    // A second connection relieves the first: it begins with its own confirmation and history.
    feed.take("public", Body::Open);
    feed.take("public", Body::Close);
    feed.ws(ACK);
    assert!(feed.ws(&trades(&[(1_000, 1), (2_001, 4)])).is_empty());
    assert!(feed.ws(&trades(&[(2_001, 4)])).is_empty(), "held while both ran");
    let on = feed.ws(&trades(&[(2_500, 5)]));
    assert_eq!((on.len(), gaps(&on).len()), (1, 0), "nothing is missing");

    // An outage: what came in it is not made up from the history that follows.
    feed.take("public", Body::Close);
    feed.take("public", Body::Open);
    assert!(feed.ws(&trades(&[(2_600, 6)])).is_empty());
    let back = feed.ws(&trades(&[(9_000, 7)]));
    assert_eq!(gaps(&back), [("trade", 2_500, 9_000)]);
    assert_eq!(back.len(), 2);
}

#[test]
fn contexts_are_dated_by_what_the_venue_told_last() {
    let mut feed = Feed::new();
    feed.recv = 50_000_000_000;
    assert!(feed.ws(CONTEXT).is_empty(), "no time is known");
    assert_eq!((feed.counters().ignored, feed.kind("activeAssetCtx")), (1, 1));
    feed.clock(NOW);
    let mut dated = |after_ms: i64| {
        feed.recv = 50_000_000_000 + after_ms * 1_000_000;
        feed.ws(CONTEXT).first().map(|e| e.ts - NOW)
    };
    assert_eq!(dated(0), Some(0));
    assert_eq!(dated(700), Some(700), "the time of receipt has gone on");
    assert_eq!(dated(600), None, "our clock was set back: not dated before what was told");
    assert_eq!(dated(86_400_000), Some(MOST_SINCE), "a leap of our clock");
    feed.recv = 60_000_000_000;
    assert_eq!(feed.ws(&BOOK.replace("1769916001000", &(NOW + 40_000).to_string())).len(), 1);
    assert_eq!(feed.ws(CONTEXT)[0].ts, NOW + 40_000);
    assert_eq!(feed.counters().duplicates, 2, "mark and open interest of one reading");
}

#[test]
fn open_interest_is_held_constant_over_the_history_it_lacks() {
    let bars = |starts: &[i64]| {
        let bar = |t: &i64| {
            format!(
                r#"{{"t":{t},"T":{},"s":"BTC","i":"1m","o":"2","c":"1","h":"3","l":"1","v":"5","n":1}}"#,
                t + 59_999
            )
        };
        format!("[{}]", starts.iter().map(bar).collect::<Vec<_>>().join(","))
    };
    let call = CANDLES.replace("kPEPE", "BTC");
    let mut feed = Feed::of(Some("BTC"));
    feed.take("public", Body::Open);
    feed.take(BACKFILL, Body::Open);
    // The list may come from an earlier run; nothing has told the time yet.
    feed.rest(CONTEXTS, LIST);
    feed.clock(NOW + 30_000);
    // Newest first; a minute without trades is missing; the last one still runs.
    feed.rest(&call, &bars(&[NOW, NOW - 60_000, NOW - 240_000, NOW - 180_000]));
    feed.rest(CONTEXTS, LIST);
    let events = feed.take(BACKFILL, Body::Close);
    let told = lines(&events);
    assert!(told[0].contains(r#""type":"instrument","#) && told[0].contains(r#""tick":"1","#), "{}", told[0]);
    let first = NOW - 240_000;
    let candle = |t: i64| {
        format!(
            r#"{{"type":"candle","asset":"BTC","ts":{t},"interval":"1m","open":"2","high":"3","low":"1","close":"1","volume":"5"}}"#
        )
    };
    let read = NOW + 30_000;
    assert_eq!(
        told[1..],
        [
            format!(r#"{{"type":"open_interest","asset":"BTC","ts":{first},"qty":"27353.17682"}}"#),
            // That it is held is known from the start of the stretch.
            format!(
                r#"{{"type":"gap","asset":"BTC","ts":{read},"stream":"open_interest","from":{first},"to":{read}}}"#
            ),
            candle(first),
            candle(first + 60_000),
            candle(NOW - 60_000),
            format!(
                r#"{{"type":"mark","asset":"BTC","ts":{read},"price":"77562","index":"77605","funding":"-0.0000015186","funding_hours":1}}"#
            ),
            format!(r#"{{"type":"open_interest","asset":"BTC","ts":{read},"qty":"27353.17682"}}"#),
        ]
    );
    assert_eq!(feed.translator.complete_until(), Some(NOW));

    // After an outage open interest is known on both sides of it: nothing is held.
    feed.take("public", Body::Close);
    feed.take(BACKFILL, Body::Open);
    feed.clock(NOW + 200_000);
    feed.rest(&call, &bars(&[NOW, NOW + 60_000]));
    feed.rest(CONTEXTS, LIST);
    let events = feed.take(BACKFILL, Body::Close);
    let kinds: Vec<_> =
        events.iter().map(|e| (e.ts - NOW, matches!(e.kind, EventKind::OpenInterest(_)))).collect();
    assert_eq!(kinds.iter().filter(|k| k.1).collect::<Vec<_>>(), [&(200_000, true)]);
    assert_eq!(gaps(&events), [("mark", read, NOW + 200_000), ("liquidation", read, NOW + 200_000)]);
}

#[test]
fn a_bar_is_final_when_the_next_one_begins() {
    let bar = |minute: i64, close: &str| {
        let start = NOW + minute * 60_000;
        CANDLE
            .replace("1769916000000", &start.to_string())
            .replace("\"c\":\"0.001604\"", &format!("\"c\":\"{close}\""))
    };
    let closes = |events: &[MarketEvent]| -> Vec<(i64, String)> {
        let close = |e: &MarketEvent| match &e.kind {
            EventKind::Candle(c) => ((e.ts - NOW) / 60_000, c.ohlc.unwrap().close.to_string()),
            other => panic!("{other:?}"),
        };
        events.iter().map(close).collect()
    };
    let mut feed = Feed::new();
    assert!(feed.ws(&bar(0, "0.001602")).is_empty());
    assert!(feed.ws(&bar(0, "0.001603")).is_empty());
    assert_eq!(closes(&feed.ws(&bar(2, "0.001605"))), [(0, "0.000001603".into())], "minutes may be missing");
    assert!(feed.ws(&bar(0, "0.001604")).is_empty(), "a late frame of a bar that was told");
    assert_eq!(feed.counters().duplicates, 1);
    // An outage: the bar that ran is incomplete and not told; history tells it.
    feed.take("public", Body::Close);
    assert!(feed.ws(&bar(3, "0.001606")).is_empty());
    assert_eq!(feed.translator.complete_until(), Some(NOW + 60_000));
    let history = r#"[{"t":T0,"T":1,"s":"kPEPE","i":"1m","o":"0.001601","c":"0.001607","h":"0.001616","l":"0.001601","v":"1","n":1}]"#;
    let history = history.replace("T0", &(NOW + 120_000).to_string());
    assert_eq!(closes(&feed.rest(CANDLES, &history)), [(2, "0.000001607".into())]);
    assert!(feed.rest(CANDLES, &history).is_empty());
    assert_eq!(feed.counters().duplicates, 2);
    assert_eq!(closes(&feed.ws(&bar(4, "0.001605"))), [(3, "0.000001606".into())]);
}

fn book(time: i64, fast: bool) -> String {
    let text = BOOK.replace("1769916001000", &time.to_string());
    if fast { text.replace("]]}}", r#"]],"fast":true}}"#).replace("98450.50", "98450.60") } else { text }
}

fn best_bids(events: &[MarketEvent]) -> Vec<(i64, String)> {
    let bid = |e: &MarketEvent| match &e.kind {
        EventKind::Book(b) => Some((e.ts, b.bids[0].0.to_string())),
        _ => None,
    };
    events.iter().filter_map(bid).collect()
}

#[test]
fn the_deep_book_is_told_and_the_touch_only_until_it_comes() {
    let mut feed = Feed::new();
    assert_eq!(best_bids(&feed.ws(&book(1_000, true))), [(1_000, "98450.6".into())]);
    assert!(feed.ws(&book(1_500, true)).is_empty(), "at most one a second");
    assert_eq!(best_bids(&feed.ws(&book(2_000, false))), [(2_000, "98450.5".into())]);
    assert!(feed.ws(&book(3_500, true)).is_empty());
    assert_eq!(feed.counters().duplicates, 0);
    assert!(feed.ws(&book(2_000, false)).is_empty(), "a repeat");
    assert!(feed.ws(&book(3_400, true)).is_empty(), "older than what was seen");
    assert_eq!(feed.counters().duplicates, 2);
    feed.take("public", Body::Close);
    let back = feed.ws(&book(9_000, true));
    assert_eq!(
        (gaps(&back), best_bids(&back)),
        (vec![("book", 2_000, 9_000)], vec![(9_000, "98450.6".into())])
    );
    let crossed = book(12_000, false).replace("98450.50", "98451.00");
    assert!(feed.ws(&crossed).is_empty());
    assert_eq!(feed.counters().malformed, 1);
    let whole = feed.ws(&book(17_000, false));
    assert_eq!(gaps(&whole), [("book", 9_000, 17_000)]);
}

#[test]
fn terms_that_changed_are_told_again() {
    let mut feed = Feed::of(Some("BTC"));
    feed.clock(NOW);
    let first = feed.rest(CONTEXTS, LIST);
    assert!(matches!(first[0].kind, EventKind::Instrument(_)), "{first:?}");
    feed.recv = 1_000_000_000;
    let same = feed.rest(CONTEXTS, LIST);
    assert!(!same.iter().any(|e| matches!(e.kind, EventKind::Instrument(_))));
    feed.recv = 2_000_000_000;
    let changed = feed.rest(CONTEXTS, &LIST.replace("150000000.0", "200000000.0"));
    let EventKind::Instrument(terms) = &changed[0].kind else { panic!("{changed:?}") };
    assert_eq!(terms.tiers[0].notional_cap.to_string(), "200000000");
}

#[test]
fn one_asset_is_followed_and_others_are_counted() {
    let mut feed = Feed::of(Some("PEPE"));
    feed.clock(NOW);
    assert!(feed.ws(CONTEXT).is_empty() && feed.ws(&book(NOW, false)).is_empty());
    assert!(feed.ws(&trades(&[(1, 1)])).is_empty());
    assert_eq!(feed.counters().ignored, 3);
    assert_eq!(feed.ws(&CONTEXT.replace("\"BTC\"", "\"kPEPE\"")).len(), 2);
}
