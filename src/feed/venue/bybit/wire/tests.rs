//! Every documented payload of `exchanges.md` §4.1 to §4.3 is read, and every rule about repeats and holes holds.

mod hostile;
mod orderbook;

use proptest::prelude::*;

use super::*;
use crate::feed::frame::{BACKFILL, Body, RawFrame};
use crate::feed::status::Counters;
use crate::feed::translate::Translator;
use crate::feed::venue::Want;
use crate::feed::venue::json::{self, tests::near};
use crate::market::ndjson::write_event;
use crate::market::{EventKind, MarketEvent};

const TRADE: &str = r#"{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1672304486868,"data":[{"T":1672304486865,"s":"BTCUSDT","S":"Buy","v":"0.001","p":"16578.50","L":"PlusTick","i":"20f43950-d8dd-5b31-9112-a178eb6023af","BT":false,"seq":1783284617}]}"#;
const LIQUIDATION: &str = r#"{"topic":"allLiquidation.ROSEUSDT","type":"snapshot","ts":1739502303204,"data":[{"T":1739502302929,"s":"ROSEUSDT","S":"Sell","v":"20000","p":"0.04499"}]}"#;
const TICKER: &str = r#"{"topic":"tickers.BTCUSDT","type":"snapshot","data":{"symbol":"BTCUSDT","tickDirection":"MinusTick","price24hPcnt":"-0.158315","lastPrice":"66666.60","prevPrice24h":"79206.20","highPrice24h":"79266.30","lowPrice24h":"65076.90","prevPrice1h":"66666.60","markPrice":"66666.60","indexPrice":"115418.19","openInterest":"492373.72","openInterestValue":"32824881841.75","turnover24h":"4936790807.6521","volume24h":"73191.3870","fundingIntervalHour":"8","fundingCap":"0.005","nextFundingTime":"1760342400000","fundingRate":"-0.005","bid1Price":"66666.60","bid1Size":"23789.165","ask1Price":"66666.70","ask1Size":"23775.469"},"cs":9532239429,"ts":1760325052630}"#;
const KLINE: &str = r#"{"topic":"kline.5.BTCUSDT","data":[{"start":1672324800000,"end":1672325099999,"interval":"5","open":"16649.5","close":"16677","high":"16677","low":"16608","volume":"2.081","turnover":"34666.4005","confirm":false,"timestamp":1672324988882}],"ts":1672324988882,"type":"snapshot"}"#;
const BOOK: &str = r#"{"topic":"orderbook.50.BTCUSDT","type":"snapshot","ts":1672304484978,"data":{"s":"BTCUSDT","b":[["16493.50","0.006"]],"a":[["16611.00","0.029"]],"u":18521288,"seq":7961638724},"cts":1672304484976}"#;
const PONG: &str = r#"{"success":true,"ret_msg":"pong","conn_id":"0970e817-426e-429a-a679-ff7f55e0b16a","req_id":"","op":"ping"}"#;
const ACK: &str =
    r#"{"success":true,"ret_msg":"","conn_id":"cejreaspqfm9se7usbrg-2xh","req_id":"x1","op":"subscribe"}"#;
const REFUSAL: &str = r#"{"success":false,"ret_msg":"Invalid topic: invalid.topic.BTCUSDT","conn_id":"cejreaspqfm9se7usbrg-2xh","op":"subscribe"}"#;
const TIME: &str = r#"{"retCode":0,"retMsg":"OK","result":{"timeSecond":"1688639403","timeNano":"1688639403423213947"},"retExtInfo":{},"time":1688639403423}"#;
const INSTRUMENTS: [&str; 2] = [
    include_str!("../../../../../tests/data/bybit/instruments_1.json"),
    include_str!("../../../../../tests/data/bybit/instruments_2.json"),
];

struct Feed {
    translator: Translator,
    wants: Vec<Want>,
}

impl Feed {
    fn new() -> Self {
        let wire = BybitWire::new("bybit".parse().unwrap(), None, BookLimits::default());
        Self { translator: Translator::new(Box::new(wire)), wants: Vec::new() }
    }

    fn take(&mut self, conn: &'static str, body: Body) -> Vec<MarketEvent> {
        let mut out = Vec::new();
        let frame = RawFrame { recv: 7, venue: "bybit".parse().unwrap(), conn: conn.into(), body };
        let taken = self.translator.take(&frame, &mut out);
        self.wants.extend(taken.wants);
        out
    }

    fn ws(&mut self, text: &str) -> Vec<MarketEvent> {
        self.take(CONN, Body::Ws(text.into()))
    }

    fn rest(&mut self, path: &str, text: &str) -> Vec<MarketEvent> {
        self.take(BACKFILL, Body::Rest { path: path.into(), text: text.into() })
    }

    fn counters(&self) -> Counters {
        self.translator.tally().counters
    }

    fn kind(&self, kind: &str) -> u64 {
        self.translator.tally().kinds.get(kind).copied().unwrap_or_default()
    }
}

/// A translator that has seen one frame, and the events of it.
fn one(text: &str) -> (Feed, Vec<MarketEvent>) {
    let mut feed = Feed::new();
    let events = feed.ws(text);
    (feed, events)
}

/// Events in the words of our own format, without what all of these have in common.
fn lines(events: &[MarketEvent]) -> Vec<String> {
    let line = |event: &MarketEvent| {
        let mut out = Vec::new();
        write_event(&mut out, event).unwrap();
        let line = String::from_utf8(out).unwrap();
        line.trim_end()
            .replace(r#""v":1,"#, "")
            .replace(r#""venue":"bybit","#, "")
            .replace(r#""recv":7,"#, "")
    };
    events.iter().map(line).collect()
}

fn trade(symbol: &str, side: &str, price: &str, qty: &str, id: &str, ts: i64) -> String {
    format!(
        r#"{{"topic":"publicTrade.{symbol}","type":"snapshot","ts":{ts},"data":[{{"T":{ts},"s":"{symbol}","S":"{side}","v":"{qty}","p":"{price}","L":"PlusTick","i":"{id}","BT":false,"seq":1}}]}}"#
    )
}

fn delta(ts: i64, fields: &str) -> String {
    format!(
        r#"{{"topic":"tickers.BTCUSDT","type":"delta","data":{{"symbol":"BTCUSDT"{fields}}},"cs":{ts},"ts":{ts}}}"#
    )
}

fn answer(time: i64, list: &str) -> String {
    format!(
        r#"{{"retCode":0,"retMsg":"OK","result":{{"category":"linear","list":[{list}],"nextPageCursor":""}},"retExtInfo":{{}},"time":{time}}}"#
    )
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(5), ..ProptestConfig::default() })]

    #[test]
    fn trades_read_by_their_script_are_those_that_serde_reads(at in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), put in "[ -~]{0,3}") {
        let (head, row) = TRADE.strip_suffix("]}").unwrap().split_once(r#""data":["#).unwrap();
        let two = format!(r#"{head}"data":[{row},{}]}}"#, row.replace("Buy", "Sell").replace("false", "true"));
        for text in [TRADE, &two, &near(&two, at, to, &put)] {
            if let Some(trades) = stream::trades(text) {
                let read: Rows<TradeRow<'_>> = json::read(text).unwrap();
                prop_assert_eq!(format!("{trades:?}"), format!("{:?}", (read.ts, read.data)));
            }
        }
        prop_assert!(stream::trades(TRADE).is_some() && stream::trades(&two).is_some());
    }

    #[test]
    fn bars_read_by_their_script_are_those_that_serde_reads(at in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), put in "[ -~]{0,3}") {
        let minute = KLINE.replace("kline.5", "kline.1").replace(r#""interval":"5""#, r#""interval":"1""#);
        let (_, bar) = minute.split_once('[').unwrap();
        let (bar, _) = bar.split_once(']').unwrap();
        let two = minute.replace(bar, &format!("{bar},{}", bar.replace("false", "true")));
        for text in [&minute, &two, &near(&two, at, to, &put)] {
            if let Some((symbol, sent, bars)) = stream::bars(text) {
                let read: Rows<stream::Bar> = json::read(text).unwrap();
                prop_assert_eq!(format!("{sent} {bars:?}"), format!("{} {:?}", read.ts, read.data));
                prop_assert_eq!(stream::topic(text), Some(&*format!("kline.1.{symbol}")));
            }
        }
        prop_assert!(stream::bars(&minute).is_some() && stream::bars(&two).is_some() && stream::bars(KLINE).is_none());
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "one table, a row a message type")]
fn every_message_type_becomes_the_expected_event() {
    let minute = KLINE.replace("kline.5", "kline.1").replace(r#""interval":"5""#, r#""interval":"1""#);
    let finished = minute.replace(r#""confirm":false"#, r#""confirm":true"#);
    let single =
        TICKER.replace(r#""openInterestValue""#, r#""singleOpenInterest":"26332.321","openInterestValue""#);
    let book =
        BOOK.replace("BTCUSDT", "1000PEPEUSDT").replace("16493.50", "0.0123").replace("16611.00", "0.0124");
    let long =
        LIQUIDATION.replace("ROSEUSDT", "SHIB1000USDT").replace("Sell", "Buy").replace("0.04499", "0.013");
    let rpi = TRADE.replace(r#""BT":false"#, r#""BT":false,"RPI":true"#);
    let pepe = trade("1000PEPEUSDT", "Sell", "0.0123456", "7", "a", 5);
    let sats = trade("10000SATSUSDT", "Buy", "0.002", "3", "a", 5);
    let usdc = trade("BTCPERP", "Buy", "66000", "0.5", "a", 5);
    let rows: Vec<(&str, &str, Vec<&str>)> = vec![
        (
            TRADE,
            "publicTrade",
            vec![
                r#"{"type":"trade","asset":"BTC","ts":1672304486865,"price":"16578.5","qty":"0.001","taker":"buy","id":"20f43950-d8dd-5b31-9112-a178eb6023af"}"#,
            ],
        ),
        (
            &rpi,
            "publicTrade",
            vec![
                r#"{"type":"trade","asset":"BTC","ts":1672304486865,"price":"16578.5","qty":"0.001","taker":"buy","id":"20f43950-d8dd-5b31-9112-a178eb6023af"}"#,
            ],
        ),
        // A thousand coins a unit: the price is divided, the quantity multiplied.
        (
            &pepe,
            "publicTrade",
            vec![
                r#"{"type":"trade","asset":"PEPE","ts":5,"price":"0.0000123456","qty":"7000","taker":"sell","id":"a"}"#,
            ],
        ),
        (
            &sats,
            "publicTrade",
            vec![
                r#"{"type":"trade","asset":"SATS","ts":5,"price":"0.0000002","qty":"30000","taker":"buy","id":"a"}"#,
            ],
        ),
        (
            &usdc,
            "publicTrade",
            vec![
                r#"{"type":"trade","asset":"BTC","ts":5,"price":"66000","qty":"0.5","taker":"buy","id":"a"}"#,
            ],
        ),
        // The side of a liquidation is the position's.
        (
            LIQUIDATION,
            "allLiquidation",
            vec![
                r#"{"type":"liquidation","asset":"ROSE","ts":1739502302929,"position":"short","price":"0.04499","qty":"20000","price_kind":"bankruptcy","sampled":"no"}"#,
            ],
        ),
        (
            &long,
            "allLiquidation",
            vec![
                r#"{"type":"liquidation","asset":"SHIB","ts":1739502302929,"position":"long","price":"0.000013","qty":"20000000","price_kind":"bankruptcy","sampled":"no"}"#,
            ],
        ),
        // Both sides are halved; one side is taken as it is.
        (
            TICKER,
            "tickers",
            vec![
                r#"{"type":"mark","asset":"BTC","ts":1760325052630,"price":"66666.6","index":"115418.19","funding":"-0.005","funding_hours":8,"next_funding":1760342400000}"#,
                r#"{"type":"open_interest","asset":"BTC","ts":1760325052630,"qty":"246186.86"}"#,
            ],
        ),
        (
            &single,
            "tickers",
            vec![
                r#"{"type":"mark","asset":"BTC","ts":1760325052630,"price":"66666.6","index":"115418.19","funding":"-0.005","funding_hours":8,"next_funding":1760342400000}"#,
                r#"{"type":"open_interest","asset":"BTC","ts":1760325052630,"qty":"26332.321"}"#,
            ],
        ),
        (KLINE, "kline", vec![]),
        (&minute, "kline", vec![]),
        (
            &finished,
            "kline",
            vec![
                r#"{"type":"candle","asset":"BTC","ts":1672324800000,"interval":"1m","open":"16649.5","high":"16677","low":"16608","close":"16677","volume":"2.081"}"#,
            ],
        ),
        (
            BOOK,
            "orderbook",
            vec![
                r#"{"type":"book","asset":"BTC","ts":1672304484976,"bids":[["16493.5","0.006"]],"asks":[["16611","0.029"]]}"#,
            ],
        ),
        (
            &book,
            "orderbook",
            vec![
                r#"{"type":"book","asset":"PEPE","ts":1672304484976,"bids":[["0.0000123","6"]],"asks":[["0.0000124","29"]]}"#,
            ],
        ),
        (PONG, "pong", vec![]),
        (ACK, "ack", vec![]),
        (REFUSAL, "refusal", vec![]),
        (r#"{"topic":"adlAlert.USDT","type":"snapshot","ts":1,"data":[]}"#, "adlAlert", vec![]),
        (r#"{"topic":"insurance.USDT","type":"snapshot","ts":1,"data":[]}"#, "insurance", vec![]),
        (r#"{"topic":"priceLimit.BTCUSDT","ts":1,"data":{}}"#, "priceLimit", vec![]),
    ];
    for (text, kind, expected) in rows {
        let (feed, events) = one(text);
        assert_eq!(lines(&events), expected, "{text}");
        assert_eq!(feed.kind(kind), 1, "{text}: {:?}", feed.translator.tally());
        assert_eq!(feed.counters().events, expected.len() as u64);
        assert!(events.iter().all(|e| e.recv == Some(7)));
    }
}

#[test]
fn every_answer_becomes_the_expected_events() {
    let klines = r#"["1670608800000","0.17071","0.17073","0.17027","0.17055","268611","15.7"],["1670608740000","0.1","0.2","0.1","0.17071","10","1"]"#;
    let oi = r#"{"openInterest":"461134384.00000000","timestamp":"1670608800000"},{"openInterest":"4","singleOpenInterest":"2.5","timestamp":"1670608500000"}"#;
    let marks = r#"["1670608800000","0.1716","0.1716","0.1712","0.1713"],["1670605200000","0.17","0.17","0.17","0.17"]"#;
    let funding = r#"{"symbol":"1000PEPEUSDT","fundingRate":"0.0001","fundingRateTimestamp":"1670608800000"},{"symbol":"1000PEPEUSDT","fundingRate":"0.0002","fundingRateTimestamp":"1670580000000"}"#;
    let now = r#"{"symbol":"1000PEPEUSDT","markPrice":"0.1720","indexPrice":"","fundingRate":"0.0003","nextFundingTime":"0","openInterest":"10"}"#;
    let risk = r#"{"id":1,"symbol":"1000PEPEUSDT","riskLimitValue":"20000","maintenanceMargin":"0.01","initialMargin":"0.02","isLowestRisk":1,"maxLeverage":"50.00","mmDeduction":""}"#;
    let query = "category=linear&symbol=1000PEPEUSDT";
    let mut feed = Feed::new();
    feed.take(BACKFILL, Body::Open);
    for text in INSTRUMENTS {
        feed.rest("/v5/market/instruments-info?category=linear&limit=1000", text);
    }
    feed.rest("/v5/market/time", TIME);
    feed.rest(&format!("/v5/market/risk-limit?{query}"), &answer(1_670_608_850_000, risk));
    // The newest row is the running minute.
    feed.rest(&format!("/v5/market/kline?{query}&interval=1"), &answer(1_670_608_850_000, klines));
    feed.rest(&format!("/v5/market/open-interest?{query}&intervalTime=5min"), &answer(1_670_608_850_000, oi));
    feed.rest(&format!("/v5/market/mark-price-kline?{query}&interval=60"), &answer(1_670_608_850_000, marks));
    feed.rest(&format!("/v5/market/funding/history?{query}"), &answer(1_670_608_850_000, funding));
    feed.rest(&format!("/v5/market/tickers?{query}"), &answer(1_670_608_851_000, now));
    let events = feed.take(BACKFILL, Body::Close);
    assert_eq!(
        lines(&events),
        [
            r#"{"type":"instrument","asset":"PEPE","ts":0,"symbol":"1000PEPEUSDT","tick":"0.0000000001","lot":"100","contract":"1","multiplier":"1000","linear":true,"tiers":[["20000","0.01","0","50"]]}"#,
            r#"{"type":"open_interest","asset":"PEPE","ts":1670608500000,"qty":"2500"}"#,
            r#"{"type":"candle","asset":"PEPE","ts":1670608740000,"interval":"1m","open":"0.0001","high":"0.0002","low":"0.0001","close":"0.00017071","volume":"10000"}"#,
            r#"{"type":"mark","asset":"PEPE","ts":1670608800000,"price":"0.0001716","funding":"0.0001"}"#,
            r#"{"type":"open_interest","asset":"PEPE","ts":1670608800000,"qty":"230567192000"}"#,
            r#"{"type":"mark","asset":"PEPE","ts":1670608851000,"price":"0.000172","funding":"0.0003"}"#,
            r#"{"type":"open_interest","asset":"PEPE","ts":1670608851000,"qty":"5000"}"#,
        ]
    );
    let counters = feed.counters();
    assert_eq!((counters.unknown, counters.malformed, counters.frames), (0, 0, 9));
    assert_eq!(counters.ignored, 1, "one funding row has no mark price for its hour");
    // The same minutes again repeat nothing.
    feed.rest(&format!("/v5/market/kline?{query}&interval=1"), &answer(1_670_608_850_000, klines));
    assert_eq!(feed.counters().duplicates, 1);
}

#[test]
fn answers_we_have_no_use_for_are_known() {
    let mut feed = Feed::new();
    for (path, text, kind) in [
        ("/v5/market/kline?category=linear&symbol=BTCUSDT&interval=5", answer(9, ""), "klines"),
        (
            "/v5/market/kline?category=inverse&symbol=BTCUSD&interval=1",
            answer(9, ""),
            "answer of another category",
        ),
        ("/v5/market/tickers?category=linear", answer(9, ""), "tickers"),
        ("/v5/market/orderbook?category=linear&symbol=BTCUSDT", answer(9, ""), "answer we do not ask for"),
        ("/v2/public/symbols", "{}".into(), "answer of the API before v5"),
        (
            "/v5/market/kline?category=linear&symbol=BTCUSDT&interval=1",
            r#"{"retCode":10001,"retMsg":"params error","result":{},"time":1}"#.into(),
            "refusal",
        ),
    ] {
        assert!(feed.rest(path, &text).is_empty());
        assert_eq!(feed.kind(kind), 1, "{path}");
    }
    feed.rest("/v5/market/weather?category=linear&symbol=BTCUSDT", &answer(9, ""));
    feed.rest("/weather", "");
    assert_eq!((feed.counters().ignored, feed.counters().unknown, feed.counters().malformed), (6, 2, 0));
}

#[test]
fn tiers_that_are_told_take_the_place_of_those_shipped_and_outlive_a_new_list() {
    let tiers = |events: &[MarketEvent]| -> Vec<String> {
        let tiers = events.iter().filter_map(|e| match &e.kind {
            EventKind::Instrument(i) => {
                Some(i.tiers.iter().map(|t| t.max_leverage.to_string()).collect::<Vec<_>>().join(" "))
            }
            _ => None,
        });
        tiers.collect()
    };
    let row = |cap: &str, leverage: u32, initial: &str| {
        format!(
            r#"{{"symbol":"BTCUSDT","riskLimitValue":"{cap}","maintenanceMargin":"0.004","initialMargin":"{initial}","maxLeverage":"{leverage}","mmDeduction":"0"}}"#
        )
    };
    let call = "/v5/market/risk-limit?category=linear&symbol=BTCUSDT";
    let list = "/v5/market/instruments-info?category=linear&limit=1000";
    let mut feed = Feed::new();
    feed.rest(list, INSTRUMENTS[0]);
    assert_eq!(tiers(&feed.ws(TRADE)), ["150 100 90"], "shipped");
    let told = feed.rest(call, &answer(1, &[row("9", 50, "0.02"), row("5", 100, "0.01")].join(",")));
    assert_eq!(tiers(&told), ["100 50"], "small positions first");
    feed.rest(list, INSTRUMENTS[0]);
    assert_eq!(tiers(&feed.rest(call, &answer(2, ""))), [""; 0], "nothing new");
    assert_eq!(tiers(&feed.ws(&trade("BTCUSDT", "Buy", "1", "1", "z", 9))), [""; 0]);
    // One row that makes no sense: the table stays as it is.
    assert!(feed.rest(call, &answer(3, &[row("9", 50, "0.02"), row("5", 100, "0.1")].join(","))).is_empty());
    assert_eq!(feed.counters().malformed, 1);
    feed.rest(list, &INSTRUMENTS[0].replace(r#""tickSize": "0.10""#, r#""tickSize": "0.50""#));
    let events = feed.ws(&trade("BTCUSDT", "Buy", "1", "1", "y", 10));
    assert_eq!(tiers(&events), ["100 50"], "a new tick, the tiers as they were told");
}

#[test]
fn a_delta_leaves_unchanged_what_it_does_not_name() {
    let mut feed = Feed::new();
    feed.ws(TICKER);
    let base = 1_760_325_052_630;
    // Within a second nothing is told, and nothing is forgotten.
    assert!(feed.ws(&delta(base + 100, r#","markPrice":"66670","openInterest":"492373.74""#)).is_empty());
    assert!(feed.ws(&delta(base + 900, r#","bid1Price":"66669""#)).is_empty());
    assert_eq!(
        lines(&feed.ws(&delta(base + 1_000, r#","fundingRate":"0.0001""#))),
        [
            r#"{"type":"mark","asset":"BTC","ts":1760325053630,"price":"66670","index":"115418.19","funding":"0.0001","funding_hours":8,"next_funding":1760342400000}"#,
            r#"{"type":"open_interest","asset":"BTC","ts":1760325053630,"qty":"246186.87"}"#,
        ]
    );
    // A mark price that stands still is told all the same, open interest that does only every five seconds.
    let seconds = |feed: &mut Feed, from: i64, to: i64| -> Vec<usize> {
        (from..=to).map(|s| feed.ws(&delta(base + s * 1_000, "")).len()).collect()
    };
    assert_eq!(seconds(&mut feed, 2, 7), [1, 1, 1, 1, 2, 1]);
    // A new snapshot forgets what it does not name.
    let snapshot = delta(base + 9_000, r#","markPrice":"7""#).replace("delta", "snapshot");
    assert_eq!(
        lines(&feed.ws(&snapshot)),
        [r#"{"type":"mark","asset":"BTC","ts":1760325061630,"price":"7"}"#]
    );
    // What comes a second time over another connection is a repeat.
    assert!(feed.ws(TICKER).is_empty() && feed.ws(&snapshot).is_empty());
    assert_eq!(feed.counters().duplicates, 2);
    assert_eq!(
        lines(&feed.ws(&delta(base + 10_000, "")))[0],
        r#"{"type":"mark","asset":"BTC","ts":1760325062630,"price":"7"}"#
    );
}

#[test]
fn a_delta_before_any_snapshot_tells_what_it_knows() {
    let mut feed = Feed::new();
    assert!(feed.ws(&delta(1_000, r#","fundingRate":"0.0001""#)).is_empty());
    let events = feed.ws(&delta(1_100, r#","markPrice":"5""#));
    assert_eq!(lines(&events), [r#"{"type":"mark","asset":"BTC","ts":1100,"price":"5","funding":"0.0001"}"#]);
}

#[test]
fn block_trades_are_no_flow_of_the_market() {
    let block = TRADE.replace(r#""BT":false"#, r#""BT":true"#);
    let (feed, events) = one(&block);
    assert!(events.is_empty());
    assert_eq!((feed.kind("publicTrade"), feed.counters().ignored), (1, 1));
    let row = |id: &str, block: bool| {
        format!(r#"{{"T":5,"s":"BTCUSDT","S":"Buy","v":"1","p":"2","i":"{id}","BT":{block}}}"#)
    };
    let rows = [row("a", true), row("b", false), row("c", true)].join(",");
    let (feed, events) = one(&format!(r#"{{"topic":"publicTrade.BTCUSDT","ts":5,"data":[{rows}]}}"#));
    assert_eq!((events.len(), feed.counters().ignored), (1, 2), "rows left out are counted");
}

#[test]
fn a_trade_is_told_once_by_its_id() {
    let mut feed = Feed::new();
    assert_eq!(feed.ws(TRADE).len(), 1);
    assert!(feed.ws(TRADE).is_empty(), "the other connection");
    let next = TRADE.replace("a178eb6023af", "a178eb6023b0");
    assert_eq!(feed.ws(&next).len(), 1);
    for (id, times) in [("2290000000000000001", 1), ("2290000000000000002", 1), ("2290000000000000001", 0)] {
        assert_eq!(feed.ws(&TRADE.replace("20f43950-d8dd-5b31-9112-a178eb6023af", id)).len(), times, "{id}");
    }
    assert_eq!(feed.counters().duplicates, 2);
    assert_eq!(key("20f43950-d8dd-5b31-9112-a178eb6023af"), 0x20f4_3950_d8dd_5b31_9112_a178_eb60_23af);
}

#[test]
fn liquidations_alike_in_one_frame_are_two_and_a_repeated_frame_is_none() {
    let row = |qty: &str| format!(r#"{{"T":9,"s":"BTCUSDT","S":"Buy","v":"{qty}","p":"100"}}"#);
    let frame = |rows: &[String]| {
        format!(
            r#"{{"topic":"allLiquidation.BTCUSDT","type":"snapshot","ts":10,"data":[{}]}}"#,
            rows.join(",")
        )
    };
    let mut feed = Feed::new();
    let twice = frame(&[row("1"), row("2"), row("1")]);
    assert_eq!(feed.ws(&twice).len(), 3);
    assert!(feed.ws(&twice).is_empty());
    assert_eq!(feed.counters().duplicates, 3);
}

#[test]
fn one_bad_row_does_not_cost_the_others_and_is_counted() {
    let good = r#"{"T":5,"s":"BTCUSDT","S":"Buy","v":"1","p":"2","i":"a","BT":false}"#;
    for bad in [
        r#"{"T":5}"#,
        "7",
        r#"{"T":5,"s":"BTCUSDT","S":"Both","v":"1","p":"2","i":"b","BT":false}"#,
        r#"{"T":5,"s":"BTCUSDT","S":"Buy","v":"-1","p":"2","i":"b","BT":false}"#,
        r#"{"T":5,"s":"BTCUSDT","S":"Buy","v":"1","p":"0","i":"b","BT":false}"#,
        r#"{"T":-5,"s":"BTCUSDT","S":"Buy","v":"1","p":"2","i":"b","BT":false}"#,
        r#"{"T":999999999999999,"s":"BTCUSDT","S":"Buy","v":"1","p":"2","i":"b","BT":false}"#,
    ] {
        let frame = format!(r#"{{"topic":"publicTrade.BTCUSDT","ts":5,"data":[{bad},{good}]}}"#);
        let (feed, events) = one(&frame);
        assert_eq!((events.len(), feed.counters().malformed), (1, 1), "{bad}");
    }
    let good = r#"{"T":5,"s":"BTCUSDT","S":"Buy","v":"1","p":"2"}"#;
    let frame = format!(
        r#"{{"topic":"allLiquidation.BTCUSDT","ts":5,"data":[{good},{{"T":6,"s":"BTCUSDT","S":"Buy","v":"1"}}]}}"#
    );
    let (feed, events) = one(&frame);
    assert_eq!((events.len(), feed.counters().malformed), (1, 1));
    // An answer likewise.
    let rows = r#"["60000","1","4","0.5","2","10","1"],["x","1","4","0.5","2","10","1"],["0","1","4","3","2","10","1"],["90000","1","4","0.5","2","10","1"]"#;
    let mut feed = Feed::new();
    let events =
        feed.rest("/v5/market/kline?category=linear&symbol=BTCUSDT&interval=1", &answer(1_000_000, rows));
    assert_eq!((events.len(), feed.counters().malformed), (1, 1));
}

#[test]
fn what_cannot_be_read_is_counted_and_nothing_else() {
    for text in [
        "",
        "{",
        "null",
        "7",
        "[]",
        "\u{1}",
        r#"{"topic":"publicTrade.BTCUSDT"}"#,
        r#"{"topic":"tickers.BTCUSDT","type":"snapshot","data":{},"ts":1}"#,
        r#"{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1,"data":{"s":"BTCUSDT","u":-1}}"#,
        r#"{"topic":"publicTrade.BTCUSDT","ts":-1,"data":[]}"#,
        &TICKER.replace("66666.60", "-1"),
        &TICKER.replace("492373.72", "-1"),
        &TICKER.replace("66666.60", "1e9"),
    ] {
        let (feed, events) = one(text);
        assert!(events.is_empty());
        assert_eq!(feed.counters().malformed, 1, "{text:?}");
    }
    for text in ["{}", r#"{"topic":"weather.BTCUSDT"}"#, r#"{"op":"subscribe"}"#, r#"{"topic":""}"#] {
        assert_eq!(one(text).0.counters().unknown, 1, "{text}");
    }
    // Bars that contradict themselves, or do not begin with a minute.
    let bar = KLINE.replace("kline.5", "kline.1").replace(r#""confirm":false"#, r#""confirm":true"#);
    for (good, bad) in [("16608", "16650"), ("1672324800000", "1672324800001"), ("2.081", "-1")] {
        assert_eq!(one(&bar.replace(good, bad)).0.counters().malformed, 1, "{bad}");
    }
}

#[test]
fn frames_of_others_and_of_other_shapes_are_read() {
    // Blanks, a message id first, an option.
    let option = "{\n \"id\": \"x\", \"topic\": \"tickers.BTC-6JAN23-17500-C\", \"ts\": 1672917511074, \"data\": {\"symbol\": \"BTC-6JAN23-17500-C\", \"markPrice\": \"7.9\"}, \"type\": \"snapshot\"}";
    let (feed, events) = one(option);
    assert!(events.is_empty());
    assert_eq!(feed.kind("tickers"), 1);
    let spaced = TRADE.replace(':', ": ").replace(',', " ,\n");
    assert_eq!(one(&spaced).1.len(), 1);
    // One symbol stands for an asset.
    let mut feed = Feed::new();
    assert_eq!(feed.ws(TRADE).len(), 1);
    assert!(feed.ws(&trade("BTCPERP", "Buy", "1", "1", "z", 9)).is_empty());
    assert_eq!(feed.counters().ignored, 1);
    // A wire for one asset leaves the others.
    let wire = BybitWire::new("bybit".parse().unwrap(), Some("ETH".parse().unwrap()), BookLimits::default());
    let mut feed = Feed { translator: Translator::new(Box::new(wire)), wants: Vec::new() };
    assert!(feed.ws(TRADE).is_empty());
    assert_eq!(feed.ws(&TRADE.replace("BTCUSDT", "ETHUSDT")).len(), 1);
}

fn texts(wants: &[Want]) -> Vec<&str> {
    let text = |want| match want {
        &Want::Send { conn: CONN, ref text } => text.as_str(),
        other => panic!("{other:?}"),
    };
    wants.iter().map(text).collect()
}

#[test]
fn an_outage_is_told_once_the_link_is_back() {
    let mut feed = Feed::new();
    feed.take(CONN, Body::Open);
    feed.ws(TICKER);
    feed.ws(&trade("BTCUSDT", "Buy", "1", "1", "a", 1_760_325_052_000));
    feed.take(CONN, Body::Open);
    feed.take(CONN, Body::Close);
    let beside = feed.ws(&delta(1_760_325_053_630, ""));
    assert_eq!(beside.len(), 1, "one connection relieved the other: no outage");
    feed.take(CONN, Body::Close);
    feed.take(CONN, Body::Open);
    let back = TICKER.replace("1760325052630", "1760325090000");
    let mut events = feed.ws(&back);
    events.extend(feed.ws(&trade("BTCUSDT", "Buy", "1", "1", "b", 1_760_325_090_500)));
    let gaps: Vec<String> = lines(&events).into_iter().filter(|l| l.contains(r#""type":"gap""#)).collect();
    assert_eq!(
        gaps,
        [
            r#"{"type":"gap","asset":"BTC","ts":1760325090000,"stream":"mark","from":1760325053630,"to":1760325090000}"#,
            r#"{"type":"gap","asset":"BTC","ts":1760325090000,"stream":"liquidation","from":1760325053630,"to":1760325090000}"#,
            r#"{"type":"gap","asset":"BTC","ts":1760325090500,"stream":"trade","from":1760325052000,"to":1760325090500}"#,
        ]
    );
    assert_eq!(feed.counters().reconnects, 1);
}

#[test]
fn funding_paid_during_an_outage_does_not_end_it() {
    let (before, hour, after) = (1_670_608_000_000_i64, 1_670_608_800_000_i64, 1_670_609_000_000_i64);
    let query = "category=linear&symbol=BTCUSDT";
    let mut feed = Feed::new();
    feed.take(CONN, Body::Open);
    feed.ws(&delta(before, r#","markPrice":"5""#));
    feed.take(CONN, Body::Close);
    feed.rest(
        &format!("/v5/market/mark-price-kline?{query}"),
        &answer(after, &format!(r#"["{hour}","6","7","5","6"]"#)),
    );
    let row = format!(r#"{{"symbol":"BTCUSDT","fundingRate":"0.0001","fundingRateTimestamp":"{hour}"}}"#);
    let paid = feed.rest(&format!("/v5/market/funding/history?{query}"), &answer(after, &row));
    assert_eq!(
        lines(&paid),
        [r#"{"type":"mark","asset":"BTC","ts":1670608800000,"price":"6","funding":"0.0001"}"#]
    );
    let back = lines(&feed.ws(&delta(after, r#","markPrice":"8""#)));
    assert!(back[0].contains(r#""stream":"mark","from":1670608000000,"to":1670609000000"#), "{back:?}");
}
