//! Every documented payload of `exchanges.md` §5 is read, and every rule about repeats, history and holes holds.

mod books;
mod hostile;
mod table;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::feed::frame::{BACKFILL, Body, POLL, RawFrame};
use crate::feed::status::Counters;
use crate::feed::translate::Translator;
use crate::feed::venue::json::{self, tests::near};
use crate::market::ndjson::write_event;
use crate::market::{EventKind, MarketEvent};

const INSTRUMENTS: &str = include_str!("../../../../../tests/data/okx/instruments.json");
const TICKERS: &str = include_str!("../../../../../tests/data/okx/tickers.json");

const TRADE: &str = r#"{"arg":{"channel":"trades","instId":"BTC-USDT-SWAP"},"data":[{"instId":"BTC-USDT-SWAP","tradeId":"130639474","px":"42219.9","sz":"0.12060306","side":"buy","ts":"1630048897897","count":"3","source":"0","seqId":1234}]}"#;
const LIQUIDATION: &str = r#"{"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[{"details":[{"bkLoss":"0","bkPx":"0.007831","ccy":"","posSide":"short","side":"buy","sz":"13","ts":"1692266434010"}],"instFamily":"IOST-USDT","instId":"IOST-USDT-SWAP","instType":"SWAP","uly":"IOST-USDT"}]}"#;
const OPEN_INTEREST: &str = r#"{"arg":{"channel":"open-interest","instId":"BTC-USDT-SWAP"},"data":[{"instId":"BTC-USDT-SWAP","instType":"SWAP","oi":"2216113.01000000309","oiCcy":"22161.1301000000309","oiUsd":"1939251795.54769270396321","ts":"1743041250440"}]}"#;
const MARK: &str = r#"{"arg":{"channel":"mark-price","instId":"BTC-USDT-SWAP"},"data":[{"instType":"SWAP","instId":"BTC-USDT-SWAP","markPx":"60000.1","ts":"1700724675500"}]}"#;
const FUNDING: &str = r#"{"arg":{"channel":"funding-rate","instId":"BTC-USDT-SWAP"},"data":[{"formulaType":"noRate","fundingRate":"0.0001875391284828","fundingTime":"1700726400000","impactValue":"","instId":"BTC-USDT-SWAP","instType":"SWAP","interestRate":"","method":"current_period","maxFundingRate":"0.00375","minFundingRate":"-0.00375","nextFundingRate":"","nextFundingTime":"1700755200000","premium":"0.0001233824646391","settFundingRate":"0.0001699799259033","settState":"settled","ts":"1700724675402"}]}"#;
const TICKER: &str = r#"{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[{"instType":"SPOT","instId":"BTC-USDT","last":"9999.99","lastSz":"0.1","askPx":"9999.99","askSz":"11","bidPx":"8888.88","bidSz":"5","open24h":"9000","high24h":"10000","low24h":"8888.88","volCcy24h":"2222","vol24h":"2222","sodUtc0":"2222","sodUtc8":"2222","ts":"1597026383085"}]}"#;
const CANDLE: &str = r#"{"arg":{"channel":"candle1m","instId":"BTC-USDT-SWAP"},"data":[["1597026383085","8533.02","8553.74","8527.17","8548.26","45247","529.5858061","5529.5858061","0"]]}"#;
const BOOK: &str = r#"{"arg":{"channel":"books","instId":"BTC-USDT-SWAP"},"action":"snapshot","data":[{"asks":[["8476.98","415","0","13"]],"bids":[["8476.97","256","0","12"]],"ts":"1597026383085","checksum":0,"prevSeqId":-1,"seqId":123456}]}"#;
const ACK: &str = r#"{"id":"1512","event":"subscribe","arg":{"channel":"trades","instId":"BTC-USDT-SWAP"},"connId":"a4d3ae55"}"#;
const ACK_TURNED: &str = r#"{"arg":{"channel":"trades","instId":"BTC-USDT-SWAP"},"connId":"a4d3ae55","event":"subscribe","id":"1512"}"#;
const LISTENS: &str = r#"{"id":"1512","event":"subscribe","arg":{"channel":"liquidation-orders","instType":"SWAP"},"connId":"a4d3ae55"}"#;
const ERROR: &str = r#"{"event":"error","code":"60012","msg":"Invalid request: {\"op\": \"subscribe\", \"argss\":[{ \"channel\" : \"trades\", \"instId\" : \"BTC-USD-191227\"}]}","connId":"a4d3ae55"}"#;
const NOTICE: &str = r#"{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please reconnect.","connId":"a4d3ae55"}"#;

const MARK_ANSWER: &str = r#"{"code":"0","msg":"","data":[{"instType":"SWAP","instId":"BTC-USDT-SWAP","markPx":"200","ts":"1700000100000"}]}"#;
const TIERS: &str = r#"{"code":"0","msg":"","data":[{"baseMaxLoan":"","imr":"0.02","instFamily":"BTC-USDT","instId":"","maxLever":"50","maxSz":"5000","minSz":"1001","mmr":"0.01","optMgnFactor":"0","quoteMaxLoan":"","tier":"2","uly":"BTC-USDT"},{"baseMaxLoan":"","imr":"0.01","instFamily":"BTC-USDT","instId":"","maxLever":"100","maxSz":"1000","minSz":"0","mmr":"0.004","optMgnFactor":"0","quoteMaxLoan":"","tier":"1","uly":"BTC-USDT"}]}"#;
const CANDLES: &str = r#"{"code":"0","msg":"","data":[["1700000100000","3","4","0.5","3","45","4.5","13.5","0"],["1700000040000","2","4","0.5","3","45","4.5","13.5","1"],["1699999980000","1","4","0.5","2","30","3","6","1"]]}"#;
const OPEN_INTERESTS: &str = r#"{"code":"0","msg":"","data":[["1700000100000","2000","20","1200000"],["1699999800000","1000","10","600000"]]}"#;

const CANDLES_CALL: &str = "/api/v5/market/candles?instId=BTC-USDT-SWAP&bar=1m&after=1700000100000&limit=300";
const OPEN_INTEREST_CALL: &str = "/api/v5/rubik/stat/contracts/open-interest-history?instId=BTC-USDT-SWAP&period=5m&begin=1&end=2&limit=100";
const TIERS_CALL: &str = "/api/v5/public/position-tiers?instType=SWAP&tdMode=isolated&instFamily=BTC-USDT";
const FUNDING_CALL: &str = "/api/v5/public/funding-rate?instId=BTC-USDT-SWAP";
const MARK_CALL: &str = "/api/v5/public/mark-price?instType=SWAP&instId=BTC-USDT-SWAP";
const TIME_CALL: &str = "/api/v5/public/time";
const TIME_ANSWER: &str = r#"{"code":"0","msg":"","data":[{"ts":"1597026383085"}]}"#;

/// Some time of the venue's.
const T: i64 = 1_700_000_200_000;

struct Feed {
    translator: Translator,
    wants: Vec<Want>,
}

impl Feed {
    /// That knows nothing.
    fn bare(asset: Option<&str>) -> Self {
        let wire = OkxWire::new(
            "okx".parse().unwrap(),
            asset.map(|a| a.parse().unwrap()),
            BookLimits { depth: 0.5, every_ms: 1_000 },
        );
        Self { translator: Translator::new(Box::new(wire)), wants: Vec::new() }
    }

    /// That knows what the venue lists.
    fn new() -> Self {
        let mut feed = Self::bare(None);
        feed.rest("/api/v5/public/instruments?instType=SWAP", INSTRUMENTS);
        feed.rest("/api/v5/market/tickers?instType=SWAP", TICKERS);
        feed
    }

    fn take(&mut self, conn: &'static str, body: Body) -> Vec<MarketEvent> {
        let mut out = Vec::new();
        let frame = RawFrame { recv: 7, venue: "okx".parse().unwrap(), conn: conn.into(), body };
        self.wants.extend(self.translator.take(&frame, &mut out).wants);
        out
    }

    /// The events of a frame, but for the terms of a contract.
    fn ws(&mut self, text: &str) -> Vec<MarketEvent> {
        let events = self.take("public", Body::Ws(text.into()));
        events.into_iter().filter(|e| !matches!(e.kind, EventKind::Instrument(_))).collect()
    }

    fn rest(&mut self, call: &str, text: &str) -> Vec<MarketEvent> {
        let events = self.take(POLL, Body::Rest { path: call.into(), text: text.into() });
        events.into_iter().filter(|e| !matches!(e.kind, EventKind::Instrument(_))).collect()
    }

    fn counters(&self) -> Counters {
        self.translator.tally().counters
    }

    /// What was asked for since the last look.
    fn asked(&mut self) -> Vec<String> {
        let text = |want| match want {
            Want::Send { conn: "public", text } => text,
            other => panic!("{other:?}"),
        };
        self.wants.drain(..).map(text).collect()
    }
}

/// An event as its line in our own format, without what is the same for all.
fn shown(event: &MarketEvent) -> Value {
    let mut line = Vec::new();
    write_event(&mut line, event).unwrap();
    let mut line: Value = serde_json::from_slice(&line).unwrap();
    for name in ["v", "venue", "recv"] {
        assert!(line.as_object_mut().unwrap().remove(name).is_some());
    }
    line
}

fn told(events: &[MarketEvent]) -> Vec<Value> {
    events.iter().map(shown).collect()
}

fn mark(ts: i64) -> String {
    MARK.replace("1700724675500", &ts.to_string())
}

#[test]
fn a_frame_whose_fields_come_in_another_order_says_the_same() {
    let (head, data) = TRADE.split_once(",\"data\":").unwrap();
    let turned = format!("{{ \"data\" : {}, {} }}\n", data.strip_suffix('}').unwrap(), &head[1..]);
    assert_eq!(Feed::new().ws(&turned), Feed::new().ws(TRADE));
    assert_eq!(stream::stream(&turned), Some("trades"));
    assert_eq!(stream::stream(TRADE), Some("trades"));
    for other in [ACK, ACK_TURNED, TICKER, NOTICE, "pong", "", "[1]"] {
        assert_eq!(stream::stream(other), None, "{other}");
    }
    assert!(stream::is_restart_notice(NOTICE));
    let turned = r#"{"code":"64008","event":"notice"}"#;
    assert!(stream::is_restart_notice(turned));
    for other in [ERROR, TRADE, ACK, "pong", r#"{"event":"notice","code":"64009"}"#] {
        assert!(!stream::is_restart_notice(other), "{other}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(5), ..ProptestConfig::default() })]

    #[test]
    fn trades_read_by_their_script_are_those_that_serde_reads(at in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), put in "[ -~]{0,3}") {
        let (head, row) = TRADE.strip_suffix("]}").unwrap().split_once(r#""data":["#).unwrap();
        let two = format!(r#"{head}"data":[{row},{}]}}"#, row.replace("buy", "sell"));
        for text in [TRADE, &two, &near(&two, at, to, &put)] {
            let read: Result<stream::Message<'_, stream::TradeRow<'_>>, _> = json::read(text);
            if let Some(trades) = stream::trades(text) {
                prop_assert_eq!(format!("{trades:?}"), format!("{:?}", read.unwrap()));
            }
        }
        prop_assert!(stream::trades(TRADE).is_some() && stream::trades(&two).is_some());
    }

    #[test]
    fn bars_read_by_their_script_are_those_that_serde_reads(at in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), put in "[ -~]{0,3}") {
        let (head, row) = CANDLE.strip_suffix("]}").unwrap().split_once(r#""data":["#).unwrap();
        let two = format!(r#"{head}"data":[{row},{}]}}"#, row.replace(r#""0"]"#, r#""1"]"#));
        for text in [CANDLE, &two, &near(&two, at, to, &put)] {
            let read: Result<stream::Message<'_, CandleRow<'_>>, _> = json::read(text);
            if let Some(candles) = stream::candles(text) {
                prop_assert_eq!(format!("{candles:?}"), format!("{:?}", read.unwrap()));
            }
        }
        prop_assert!(stream::candles(CANDLE).is_some() && stream::candles(&two).is_some());
    }
}

#[test]
fn what_is_not_data_is_counted_by_kind() {
    for (text, kind) in [
        (ACK, "ack"),
        (&ACK.replace("subscribe", "unsubscribe"), "ack"),
        (ACK_TURNED, "ack"),
        (ERROR, "error"),
        (NOTICE, "notice"),
        ("pong", "pong"),
        (TICKER, "tickers"),
        (&TICKER.replace("tickers", "books5"), "books5"),
        (&CANDLE.replace("candle1m", "candle1D"), "candle"),
    ] {
        let mut feed = Feed::bare(None);
        assert!(feed.ws(text).is_empty());
        assert_eq!(feed.translator.tally().kinds.get(kind), Some(&1), "{text}");
        assert_eq!((feed.counters().ignored, feed.counters().frames), (1, 1));
    }
    for text in [
        "{}",
        r#"{"event":"weather"}"#,
        r#"{"arg":{"channel":"weather"},"data":[]}"#,
        r#"{"arg":{"channel":"trades"}}"#,
    ] {
        let mut feed = Feed::new();
        assert!(feed.ws(text).is_empty());
        let counters = feed.counters();
        assert_eq!(counters.unknown + counters.malformed, 1, "{text}");
    }
    let mut feed = Feed::new();
    feed.rest("/api/v5/market/trades?instId=BTC-USDT-SWAP", TIME_ANSWER);
    assert_eq!(feed.counters().unknown, 1, "nobody asked for it");
}

#[test]
fn what_cannot_be_read_is_counted_and_nothing_else() {
    for text in ["", "{", "null", "7", "[]", "ping", "\u{1}", r#"{"arg":{"channel":"trades""#] {
        let mut feed = Feed::new();
        assert!(feed.ws(text).is_empty());
        assert_eq!(feed.counters().malformed, 1, "{text:?}");
    }
    for (good, bad) in [
        ("\"42219.9\"", "\"0\""),
        ("\"42219.9\"", "\"-1\""),
        ("\"42219.9\"", "\"1e3\""),
        ("\"0.12060306\"", "\"0\""),
        ("\"0.12060306\"", "\"0.000000000001\""),
        ("\"0.12060306\"", "\"-2\""),
        ("\"buy\"", "\"both\""),
        ("\"130639474\"", "\"x\""),
        ("\"1630048897897\"", "\"-1\""),
        ("\"1630048897897\"", "\"9999999999999999\""),
        ("\"1630048897897\"", "\"\""),
    ] {
        let mut feed = Feed::new();
        assert!(feed.ws(&TRADE.replace(good, bad)).is_empty(), "{bad}");
        assert_eq!(feed.counters().malformed, 1, "{bad}");
    }
    let mut feed = Feed::new();
    let refused = r#"{"code":"51001","msg":"Instrument ID does not exist","data":[]}"#;
    feed.rest(CANDLES_CALL, refused);
    feed.rest("/api/v5/market/candles?bar=1m", CANDLES);
    assert_eq!(feed.counters().malformed, 2);
    let crossed = CANDLES.replace(r#""2","4","0.5","3""#, r#""2","4","2.5","3""#);
    assert_eq!(feed.rest(CANDLES_CALL, &crossed).len(), 1, "the other bar is fine");
    assert_eq!(feed.counters().malformed, 3);
}

#[test]
fn a_row_that_cannot_be_read_does_not_cost_the_others() {
    let row = |id: u32, px: &str| {
        format!(
            r#"{{"instId":"BTC-USDT-SWAP","tradeId":"{id}","px":"{px}","sz":"1","side":"sell","ts":"1630048897897"}}"#
        )
    };
    let text = format!(
        r#"{{"arg":{{"channel":"trades","instId":"BTC-USDT-SWAP"}},"data":[{},{},{}]}}"#,
        row(1, "10"),
        row(2, "ten"),
        row(3, "11")
    );
    let mut feed = Feed::new();
    assert_eq!(feed.ws(&text).len(), 2);
    assert_eq!(feed.counters().malformed, 1, "and it is counted");
    let detail = |px: &str| format!(r#"{{"bkPx":"{px}","side":"buy","sz":"13","ts":"1692266434010"}}"#);
    let text =
        LIQUIDATION.replace(r#""details":["#, &format!(r#""details":[{},{},"#, detail(""), detail("0.0079")));
    assert_eq!(feed.ws(&text).len(), 2);
    assert_eq!(feed.counters().malformed, 2);
}

#[test]
fn the_first_liquidations_after_subscribing_are_history() {
    let of = |ts: i64, sz: u32| {
        LIQUIDATION
            .replace("IOST-USDT-SWAP", "BTC-USDT-SWAP")
            .replace("1692266434010", &ts.to_string())
            .replace("\"13\"", &format!("\"{sz}\""))
    };
    let mut feed = Feed::new();
    feed.take("public", Body::Open);
    feed.ws(&mark(T));
    feed.ws(LISTENS);
    assert!(feed.ws(&of(T - 1, 1)).is_empty(), "before we listened");
    assert_eq!((feed.counters().history, feed.counters().duplicates), (1, 0));
    assert_eq!(feed.ws(&of(T, 2)).len(), 1);
    feed.ws(&mark(T + 100_000));
    assert_eq!(feed.ws(&of(T + 50_000, 3)).len(), 1, "late, but not history");
    feed.ws(&mark(T + 200_000));
    feed.ws(&of(T + 199_000, 4));
    feed.take("public", Body::Close);
    // While away the venue goes on; the clock is asked for before the new connection's frames are read.
    feed.rest(TIME_CALL, &TIME_ANSWER.replace("1597026383085", &(T + 400_000).to_string()));
    feed.take("public", Body::Open);
    feed.ws(LISTENS);
    assert!(feed.ws(&of(T + 50_000, 3)).is_empty() && feed.ws(&of(T - 1, 1)).is_empty(), "known, or too old");
    assert!(feed.ws(&of(T + 199_000, 4)).is_empty(), "known");
    assert_eq!(feed.ws(&of(T + 300_000, 5)).len(), 1, "what the outage swallowed");
    // A second connection relieves the first: no outage, and its repeats are known.
    feed.take("public", Body::Open);
    feed.ws(&mark(T + 500_000));
    assert_eq!(feed.ws(&of(T + 499_000, 6)).len(), 1);
    feed.take("public", Body::Close);
    feed.ws(LISTENS);
    for (ts, sz) in [(T + 300_000, 5), (T + 499_000, 6)] {
        assert!(feed.ws(&of(ts, sz)).is_empty());
    }
    assert_eq!(feed.ws(&of(T + 499_500, 7)).len(), 1);
    let counters = feed.counters();
    assert_eq!((counters.history, counters.duplicates), (4, 2));
    let mut bare = Feed::new();
    assert_eq!(bare.ws(&of(1_000, 1)).len(), 1, "a recording without the answer to a subscription");
}

#[test]
fn liquidations_of_a_frame_come_out_in_order_and_foreign_ones_are_left_out() {
    let detail = |ts: i64| format!(r#"{{"bkPx":"60000","side":"sell","sz":"1","ts":"{ts}"}}"#);
    let text = format!(
        r#"{{"arg":{{"channel":"liquidation-orders","instType":"SWAP"}},"data":[{{"details":[{}],"instId":"BTC-USD-SWAP"}},{{"details":[{},{},{},{}],"instId":"BTC-USDT-SWAP"}},{{"details":[7],"instId":"BTC-USDC-SWAP"}}]}}"#,
        detail(1_000),
        detail(3_000),
        detail(1_000),
        detail(3_000),
        detail(2_000),
    );
    let mut feed = Feed::new();
    let times: Vec<i64> = feed.ws(&text).iter().map(|e| e.ts).collect();
    assert_eq!(times, [1_000, 2_000, 3_000]);
    assert_eq!((feed.counters().duplicates, feed.counters().malformed), (1, 0));
    let mut eth = Feed::bare(Some("ETH"));
    eth.rest("/api/v5/public/instruments?instType=SWAP", INSTRUMENTS);
    assert!(eth.ws(&text).is_empty());
    assert_eq!((eth.counters().ignored, eth.counters().malformed), (1, 0));
}

#[test]
fn funding_is_told_with_the_marks_that_follow() {
    let mut feed = Feed::new();
    feed.ws(FUNDING);
    let events = told(&feed.ws(MARK));
    let expected = r#"{"type":"mark","asset":"BTC","ts":1700724675500,"price":"60000.1","funding":"0.000187539128","funding_hours":8,"next_funding":1700726400000}"#;
    assert_eq!(events, [serde_json::from_str::<Value>(expected).unwrap()]);
    // A four-hour period, a negative rate.
    feed.ws(&FUNDING.replace("1700755200000", "1700740800000").replace("0.0001875391284828", "-0.0002"));
    let EventKind::Mark(m) = feed.ws(&mark(1_700_724_676_000))[0].kind else { panic!() };
    assert_eq!((m.funding_hours, m.funding.unwrap().to_string().as_str()), (Some(4), "-0.0002"));
    for odd in ["", "1700726400000", "1700726400001", "0"] {
        let mut feed = Feed::new();
        feed.ws(&FUNDING.replace("1700755200000", odd));
        let EventKind::Mark(m) = feed.ws(MARK)[0].kind else { panic!() };
        assert_eq!((m.funding_hours, m.next_funding), (None, Some(1_700_726_400_000)), "{odd:?}");
    }
}

#[test]
fn repeats_are_dropped_and_counted() {
    let mut feed = Feed::new();
    for text in [TRADE, MARK, OPEN_INTEREST, LIQUIDATION, &CANDLE.replace("\"0\"]", "\"1\"]")] {
        assert_eq!(feed.ws(text).len(), 1);
        assert!(feed.ws(text).is_empty());
    }
    assert_eq!(feed.counters().duplicates, 5);
}

#[test]
fn an_outage_is_told_once_the_link_is_back() {
    let mut feed = Feed::new();
    feed.take("public", Body::Open);
    feed.take("business", Body::Open);
    let trade = |id: &str, ts: i64| TRADE.replace("130639474", id).replace("1630048897897", &ts.to_string());
    feed.ws(&trade("1", T));
    feed.ws(&mark(T));
    feed.ws(&books::message("snapshot", -1, 10, T, "1", "1"));
    feed.take("business", Body::Close);
    assert_eq!(feed.ws(&mark(T + 1_000)).len(), 1, "candles are fetched; nothing else is missing");
    feed.take("public", Body::Close);
    feed.take("public", Body::Open);
    assert!(
        feed.ws(&books::message("update", 10, 11, T + 8_000, "1", "1")).is_empty(),
        "of a book that is not known any more"
    );
    let mut events = feed.ws(&trade("9", T + 9_000));
    events.extend(feed.ws(&mark(T + 9_000)));
    events.extend(feed.ws(&books::message("snapshot", -1, 10, T + 9_500, "1", "1")));
    let gaps: Vec<_> = events
        .iter()
        .filter_map(|e| match &e.kind {
            EventKind::Gap(g) => Some((g.stream.to_string(), g.from - T, g.to - T)),
            _ => None,
        })
        .collect();
    let expected =
        [("trade", 0, 9_000), ("mark", 1_000, 9_000), ("liquidation", 1_000, 9_000), ("book", 0, 9_500)];
    assert_eq!(gaps, expected.map(|(s, from, to)| (s.to_owned(), from, to)));
    assert_eq!(feed.counters().reconnects, 2);
}

#[test]
fn history_comes_out_in_order_with_the_terms_first() {
    let mut feed = Feed::bare(Some("BTC"));
    feed.take(BACKFILL, Body::Open);
    for (call, text) in [
        ("/api/v5/public/instruments?instType=SWAP", INSTRUMENTS),
        ("/api/v5/market/tickers?instType=SWAP", TICKERS),
        (TIERS_CALL, TIERS),
        (CANDLES_CALL, CANDLES),
        (OPEN_INTEREST_CALL, OPEN_INTERESTS),
        (MARK_CALL, MARK_ANSWER),
    ] {
        assert!(feed.take(BACKFILL, Body::Rest { path: call.into(), text: text.into() }).is_empty());
    }
    let events = feed.take(BACKFILL, Body::Close);
    let kinds: Vec<_> =
        events.iter().map(|e| (shown(e)["type"].as_str().unwrap().to_owned(), e.ts)).collect();
    let expected = [
        ("instrument", 0),
        ("open_interest", 1_699_999_800_000),
        ("candle", 1_699_999_980_000),
        ("candle", 1_700_000_040_000),
        ("mark", 1_700_000_100_000),
        ("open_interest", 1_700_000_100_000),
    ];
    assert_eq!(kinds, expected.map(|(kind, ts)| (kind.to_owned(), ts)));
    // 1,000 contracts of 0.01 coins at the last price of 60,000 USD.
    let terms = r#"{"type":"instrument","asset":"BTC","ts":0,"symbol":"BTC-USDT-SWAP","tick":"0.1","lot":"0.01","contract":"0.01","multiplier":"1","linear":true,"tiers":[["600000","0.004","0","100"],["3000000","0.01","0","50"]]}"#;
    assert_eq!(shown(&events[0]), serde_json::from_str::<Value>(terms).unwrap());
    assert_eq!(feed.translator.complete_until(), Some(1_700_000_100_000));
}

#[test]
fn terms_that_change_are_told_again_and_tiers_are_kept() {
    let instrument = |events: Vec<MarketEvent>| {
        events.into_iter().find_map(|e| match e.kind {
            EventKind::Instrument(i) => Some((i.contract.to_string(), i.tiers.len())),
            _ => None,
        })
    };
    let mut feed = Feed::new();
    let first = feed.take("public", Body::Ws(MARK.into()));
    assert_eq!(instrument(first), Some(("0.01".into(), 1)), "the assumed tier");
    feed.rest(TIERS_CALL, TIERS);
    let next = feed.take("public", Body::Ws(mark(1_700_724_676_000)));
    assert_eq!(instrument(next), Some(("0.01".into(), 2)));
    // The list again: nothing new. Then with a contract of another size.
    feed.rest("/api/v5/public/instruments?instType=SWAP", INSTRUMENTS);
    assert_eq!(instrument(feed.take("public", Body::Ws(mark(1_700_724_677_000)))), None);
    feed.rest(
        "/api/v5/public/instruments?instType=SWAP",
        &INSTRUMENTS.replace(r#""ctVal":"0.01""#, r#""ctVal":"0.1""#),
    );
    assert_eq!(instrument(feed.take("public", Body::Ws(mark(1_700_724_678_000)))), Some(("0.1".into(), 2)));
    let EventKind::Trade(trade) = &feed.ws(TRADE)[0].kind else { panic!() };
    assert_eq!(trade.qty.to_string(), "0.012060306");
    // Without a price the sizes of the tiers say nothing.
    let mut feed = Feed::bare(None);
    feed.rest("/api/v5/public/instruments?instType=SWAP", INSTRUMENTS);
    feed.rest(TIERS_CALL, TIERS);
    assert_eq!(feed.counters().ignored, 1);
}

#[test]
fn one_symbol_stands_for_an_asset() {
    let mut feed = Feed::new();
    assert!(feed.ws(&MARK.replace("BTC-USDT-SWAP", "BTC-USDC-SWAP")).is_empty(), "there is one in USDT");
    assert_eq!(feed.ws(&MARK.replace("BTC-USDT-SWAP", "SOL-USDC-SWAP")).len(), 1, "there is no other");
    assert!(feed.ws(&MARK.replace("BTC-USDT-SWAP", "GONE-USDT-SWAP")).is_empty());
    assert_eq!(feed.ws(MARK).len(), 1);
    assert_eq!(feed.counters().ignored, 2);
}

#[test]
fn without_the_list_only_contracts_of_known_size_are_followed() {
    let mut feed = Feed::bare(None);
    let EventKind::Trade(trade) = &feed.ws(TRADE)[0].kind else { panic!() };
    assert_eq!(trade.qty.to_string(), "0.0012060306");
    assert!(feed.ws(&TRADE.replace("BTC-USDT-SWAP", "PEPE-USDT-SWAP")).is_empty());
    assert_eq!(feed.counters().ignored, 1);
    feed.rest("/api/v5/public/instruments?instType=SWAP", INSTRUMENTS);
    assert_eq!(feed.ws(&TRADE.replace("BTC-USDT-SWAP", "PEPE-USDT-SWAP")).len(), 1);
    assert_eq!(feed.take("public", Body::Ws(MARK.into())).len(), 2, "now its terms are known, too");
}

#[test]
fn an_odd_contract_does_not_hide_the_rest() {
    let mut feed = Feed::bare(None);
    let odd = INSTRUMENTS.replace(r#""ctVal":"0.1""#, r#""ctVal":"x""#).replace(r#""lotSz":"0.1","#, "");
    feed.rest("/api/v5/public/instruments?instType=SWAP", &odd);
    assert_eq!(feed.counters().malformed, 1, "and is counted");
    assert_eq!(feed.ws(MARK).len(), 1);
    assert!(
        feed.ws(&MARK.replace("BTC", "ETH")).is_empty() && feed.ws(&MARK.replace("BTC", "PEPE")).is_empty()
    );
    feed.rest("/api/v5/public/instruments?instType=SWAP", &INSTRUMENTS[..INSTRUMENTS.len() / 2]);
    assert_eq!(feed.counters().malformed, 2);
    assert_eq!(feed.ws(&mark(1_700_724_676_000)).len(), 1, "a list that is cut off changes nothing");
}
