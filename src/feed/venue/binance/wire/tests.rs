//! Every documented payload of `exchanges.md` §3.2 and §3.4 is read, and every rule about repeats and holes holds.

mod hostile;

use proptest::prelude::*;

use super::*;
use crate::feed::book::BookLimits;
use crate::feed::frame::{BACKFILL, Body, RawFrame};
use crate::feed::status::Counters;
use crate::feed::translate::Translator;
use crate::feed::venue::json::tests::near;
use crate::market::{EventKind, MarketEvent};

const AGG: &str = r#"{"e":"aggTrade","E":123456789,"s":"BNBUSDT","a":5933014,"p":"0.001","q":"100","nq":"100","f":100,"l":105,"T":123456785,"m":true,"st":1}"#;
const FORCED: &str = r#"{"e":"forceOrder","E":1568014460893,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"0.014","p":"9910","ap":"9910","X":"FILLED","l":"0.014","z":"0.014","T":1568014460893},"ps":"BTCUSDT","st":1}"#;
const FORCED_SHORT: &str = r#"{"e":"forceOrder","E":1698871323061,"o":{"s":"BTCUSDT","S":"BUY","o":"LIMIT","f":"IOC","q":"1.437","p":"35100.81","ap":"34959.70","X":"FILLED","l":"1.437","z":"1.437","T":1698871323059}}"#;
const MARK: &str = r#"{"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSDT","p":"11794.15000000","i":"11784.62659091","P":"11784.25641265","r":"0.00038167","ap":"11794.15000000","T":1562306400000,"st":1}"#;
const KLINE: &str = r#"{"e":"kline","E":1638747660000,"s":"BTCUSDT","k":{"t":1638747660000,"T":1638747719999,"s":"BTCUSDT","i":"1m","f":100,"L":200,"o":"0.0010","c":"0.0020","h":"0.0025","l":"0.0015","v":"1000","n":100,"x":false,"q":"1.0000","V":"500","Q":"0.500","B":"123456"}}"#;
const TICKER: &str = r#"{"e":"24hrTicker","E":123456789,"s":"BNBUSDT","p":"0.0015","P":"250.00","w":"0.0018","c":"0.0025","Q":"10","o":"0.0010","h":"0.0025","l":"0.0010","v":"10000","q":"18","O":0,"C":86400000,"F":0,"L":18150,"n":18151,"ps":"BTCUSDT","st":1}"#;
const BOOK_TICKER: &str = r#"{"e":"bookTicker","u":400900217,"E":1568014460893,"T":1568014460891,"s":"BNBUSDT","ps":"BNBUSDT","b":"25.35190000","B":"31.21000000","a":"25.36520000","A":"40.66000000","st":1}"#;
const CONTRACT: &str = r#"{"e":"contractInfo","E":1669356423908,"s":"IOTAUSDT","ct":"PERPETUAL","dt":4133404800000,"ot":1569398400000,"cs":"TRADING","bks":[{"bs":1,"bnf":0,"bnc":5000,"mmr":0.01,"cf":0,"mi":21,"ma":50}],"st":1}"#;
const DEPTH: &str = r#"{"e":"depthUpdate","E":123456789,"T":123456788,"s":"BNBUSDT","U":157,"u":160,"pu":149,"b":[["0.0024","10"]],"a":[["0.0026","100"]],"ps":"BTCUSDT","st":1}"#;
const EXCHANGE_INFO: &str = include_str!("../../../../../tests/data/binance/exchange_info.json");

struct Feed(Translator);

impl Feed {
    fn new() -> Self {
        Self(Translator::new(Box::new(BinanceWire::new(
            "binance".parse().unwrap(),
            None,
            BookLimits::default(),
        ))))
    }

    fn take(&mut self, conn: &'static str, body: Body) -> Vec<MarketEvent> {
        let mut out = Vec::new();
        let frame = RawFrame { recv: 7, venue: "binance".parse().unwrap(), conn: conn.into(), body };
        self.0.take(&frame, &mut out);
        out
    }

    fn ws(&mut self, text: &str) -> Vec<MarketEvent> {
        self.take("market", Body::Ws(text.into()))
    }

    fn rest(&mut self, path: &str, text: &str) -> Vec<MarketEvent> {
        self.take(BACKFILL, Body::Rest { path: path.into(), text: text.into() })
    }

    fn counters(&self) -> Counters {
        self.0.tally().counters
    }
}

/// A translator that has seen one frame, and the events of it.
fn one(text: &str) -> (Feed, Vec<MarketEvent>) {
    let mut feed = Feed::new();
    let events = feed.ws(text);
    (feed, events)
}

fn combined(data: &str) -> String {
    format!(r#"{{"stream":"x@y","data":{data}}}"#)
}

#[test]
fn an_aggregate_with_the_buyer_as_maker_was_sold() {
    for text in [AGG.to_owned(), combined(AGG), format!("[{AGG}]"), combined(&format!("[{AGG}]"))] {
        let (_, events) = one(&text);
        let [event] = events.as_slice() else { panic!("{text}: {events:?}") };
        assert_eq!((event.asset.as_str(), event.ts, event.recv), ("BNB", 123_456_785, Some(7)));
        let EventKind::Trade(trade) = &event.kind else { panic!("{event:?}") };
        assert_eq!(trade.taker, TakerSide::Sell);
        assert_eq!((trade.price.to_string(), trade.qty.to_string()), ("0.001".into(), "100".into()));
        assert_eq!(trade.id.as_deref(), Some("5933014"));
    }
}

#[test]
fn a_sell_order_kills_a_long_at_its_average_fill() {
    for (text, side, price, qty, ts) in [
        (FORCED, Side::Long, "9910", "0.014", 1_568_014_460_893),
        (FORCED_SHORT, Side::Short, "34959.7", "1.437", 1_698_871_323_059),
    ] {
        let (_, events) = one(text);
        let EventKind::Liquidation(l) = &events[0].kind else { panic!() };
        assert_eq!(
            (l.position, l.price.to_string().as_str(), l.qty.to_string().as_str()),
            (side, price, qty)
        );
        assert_eq!((l.price_kind, l.sampled, events[0].ts), (PriceKind::Fill, Sampled::Largest, ts));
    }
    for odd in [
        FORCED.replace("FILLED", "NEW"),
        FORCED.replace("FILLED", "EXPIRED"),
        FORCED.replace(r#""z":"0.014""#, r#""z":"0""#),
    ] {
        let (feed, events) = one(&odd);
        assert!(events.is_empty());
        assert_eq!(feed.counters().ignored, 1);
    }
    let (_, partly) = one(&FORCED.replace("FILLED", "PARTIALLY_FILLED"));
    assert_eq!(partly.len(), 1);
}

#[test]
fn a_mark_price_brings_index_and_funding() {
    let (_, events) = one(MARK);
    let EventKind::Mark(mark) = &events[0].kind else { panic!() };
    assert_eq!(events[0].ts, 1_562_305_380_000);
    assert_eq!(mark.price.to_string(), "11794.15");
    assert_eq!(mark.index.unwrap().to_string(), "11784.62659091");
    assert_eq!(mark.funding.unwrap().to_string(), "0.00038167");
    assert_eq!(mark.next_funding, Some(1_562_306_400_000));
    let delisted = MARK.replace("1562306400000", "0").replace("0.00038167", "");
    let (_, events) = one(&delisted);
    let EventKind::Mark(mark) = &events[0].kind else { panic!() };
    assert_eq!((mark.next_funding, mark.funding), (None, None));
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(5), ..ProptestConfig::default() })]

    #[test]
    fn an_aggregate_read_by_its_script_is_the_one_that_serde_reads(at in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), put in "[ -~]{0,3}") {
        for text in [AGG, &near(AGG, at, to, &put)] {
            if let Some(trade) = stream::aggregate(text) {
                prop_assert_eq!(format!("{trade:?}"), format!("{:?}", json::read::<AggTrade<'_>>(text).unwrap()));
            }
        }
        prop_assert!(stream::aggregate(AGG).is_some());
    }

    #[test]
    fn a_bar_read_by_its_script_is_the_one_that_serde_reads(at in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), put in "[ -~]{0,3}") {
        for text in [KLINE, &near(KLINE, at, to, &put)] {
            if let Some(kline) = stream::kline(text) {
                prop_assert_eq!(format!("{kline:?}"), format!("{:?}", json::read::<Kline<'_>>(text).unwrap()));
            }
        }
        prop_assert!(stream::kline(KLINE).is_some());
    }
}

#[test]
fn only_a_final_minute_is_a_candle() {
    let (feed, events) = one(KLINE);
    assert!(events.is_empty(), "the bar still runs");
    assert_eq!(feed.0.tally().kinds["kline"], 1);
    let done = KLINE.replace(r#""x":false"#, r#""x":true"#).replace(r#""l":"0.0015""#, r#""l":"0.0010""#);
    let (mut feed, events) = one(&done);
    let EventKind::Candle(candle) = &events[0].kind else { panic!() };
    assert_eq!((events[0].ts, events[0].known_at()), (1_638_747_660_000, 1_638_747_719_999));
    assert_eq!(candle.taker_buy.unwrap().to_string(), "500");
    assert!(feed.ws(&done).is_empty(), "a repeat");
    assert_eq!(feed.counters().duplicates, 1);
    let (feed, _) = one(&done.replace(r#""l":"0.0010""#, r#""l":"0.0030""#));
    assert_eq!(feed.counters().malformed, 1, "prices that contradict");
    let (feed, _) = one(&done.replace(r#""i":"1m""#, r#""i":"5m""#));
    assert_eq!(feed.counters().ignored, 1);
}

#[test]
fn what_is_known_and_not_used_is_counted_by_kind() {
    for (text, kind) in [
        (TICKER, "24hrTicker"),
        (BOOK_TICKER, "bookTicker"),
        (CONTRACT, "contractInfo"),
        (r#"{"result":null,"id":1}"#, "ack"),
        (r#"{"code":2,"msg":"Invalid request: unknown variant"}"#, "error"),
        (r#"{"lastUpdateId":1027024,"E":1,"T":1,"bids":[["4.0","431.0"]],"asks":[]}"#, "depth"),
    ] {
        let (feed, events) = one(text);
        assert!(events.is_empty());
        assert_eq!(feed.0.tally().kinds.get(kind), Some(&1), "{text}");
        assert_eq!((feed.counters().ignored, feed.counters().frames), (1, 1));
    }
}

#[test]
fn inverse_contracts_are_left_out() {
    for text in [AGG, FORCED, MARK] {
        let (feed, events) = one(&text.replace(r#""st":1"#, r#""st":2"#));
        assert!(events.is_empty());
        assert_eq!(feed.counters().ignored, 1);
    }
    let mixed =
        format!("[{},{MARK}]", MARK.replace(r#""st":1"#, r#""st":2"#).replace("BTCUSDT", "BTCUSD_PERP"));
    let (feed, events) = one(&mixed);
    assert_eq!((events.len(), feed.0.tally().kinds["markPriceUpdate"]), (1, 1));
}

#[test]
fn what_cannot_be_read_is_counted_and_nothing_else() {
    for text in ["", "{", "null", "7", "\"x\"", "\u{1}", "[1]", r#"{"e":"aggTrade"}"#, r#"{"stream":1}"#] {
        let (feed, events) = one(text);
        assert!(events.is_empty());
        assert_eq!(feed.counters().malformed, 1, "{text:?}");
    }
    for (good, bad) in
        [("\"0.001\"", "\"1e3\""), ("\"0.001\"", "\"-1\""), ("\"0.001\"", "\"0\""), ("\"100\"", "0.5")]
    {
        let (feed, events) = one(&AGG.replace(good, bad));
        assert!(events.is_empty());
        assert_eq!(feed.counters().malformed, 1, "{bad}");
    }
    for text in ["{}", "[]", r#"{"e":"weather"}"#, r#"{"stream":"x","data":{}}"#] {
        assert_eq!(one(text).0.counters().unknown, 1, "{text}");
    }
}

fn agg(number: u64, ts: i64) -> String {
    AGG.replace("5933014", &number.to_string()).replace("123456785", &ts.to_string())
}

#[test]
fn numbers_tell_repeats_and_holes() {
    let mut feed = Feed::new();
    assert_eq!(feed.ws(&agg(10, 1_000)).len(), 1);
    assert!(feed.ws(&agg(10, 1_000)).is_empty(), "the other connection");
    assert_eq!(feed.ws(&agg(11, 1_000)).len(), 1);
    let after = feed.ws(&agg(15, 2_000));
    let EventKind::Gap(gap) = &after[0].kind else { panic!("{after:?}") };
    assert_eq!((gap.stream.as_ref(), gap.from, gap.to, after[0].ts), ("trade", 1_000, 2_000, 2_000));
    assert!(matches!(after[1].kind, EventKind::Trade(_)));
    let anew = feed.ws(&agg(1, 3_000));
    assert_eq!(anew.len(), 2, "the venue counts anew: a gap and the trade");
    let counters = feed.counters();
    assert_eq!((counters.duplicates, counters.missed, counters.frames, counters.events), (1, 3, 5, 6));
}

#[test]
fn single_trades_and_aggregates_are_never_both_used() {
    let single = |t: u64| {
        format!(
            r#"{{"e":"trade","E":123456789,"s":"BNBUSDT","t":{t},"p":"0.001","q":"100","T":123456785,"m":true}}"#
        )
    };
    let mut feed = Feed::new();
    assert_eq!(feed.ws(&single(104)).len(), 1);
    assert_eq!(feed.ws(&single(105)).len(), 1);
    assert!(feed.ws(AGG).is_empty(), "covers trades 100 to 105, which are known");
    let next =
        AGG.replace("\"f\":100", "\"f\":106").replace("5933014", "5933015").replace("123456785", "123456799");
    assert!(feed.ws(&next).iter().any(|e| matches!(e.kind, EventKind::Trade(_))));
    assert!(feed.ws(&single(120)).is_empty(), "aggregates have taken over");
    assert_eq!(feed.counters().ignored, 2);
}

#[test]
fn history_comes_out_in_order_with_the_terms_first() {
    let mut feed = Feed::new();
    assert!(feed.take(BACKFILL, Body::Open).is_empty());
    feed.rest("/fapi/v1/exchangeInfo", EXCHANGE_INFO);
    // serverTime of the fixture is 1626858243909: the second row is the running minute.
    let rows = r#"[[1626858120000,"1","4","0.5","2","10",1626858179999,"0",3,"4","0","0"],[1626858240000,"1","4","0.5","2","10",1626858299999,"0",3,"4","0","0"]]"#;
    feed.rest("/fapi/v1/klines?symbol=1000PEPEUSDT&interval=1m", rows);
    let oi = r#"[{"symbol":"1000PEPEUSDT","sumOpenInterest":"20403.12345678","sumOpenInterestValue":"1","CMCCirculatingSupply":"165880.538","timestamp":1626858000000}]"#;
    feed.rest("/futures/data/openInterestHist?symbol=1000PEPEUSDT&period=5m", oi);
    let now = r#"{"openInterest":"10659.509","symbol":"1000PEPEUSDT","time":1626858243000}"#;
    feed.rest("/fapi/v1/openInterest?symbol=1000PEPEUSDT", now);
    let premium = r#"{"symbol":"1000PEPEUSDT","markPrice":"11.5","indexPrice":"11.4","estimatedSettlePrice":"11.4","lastFundingRate":"0.00038246","nextFundingTime":1626860000000,"interestRate":"0.0001","time":1626858243500}"#;
    feed.rest("/fapi/v1/premiumIndex?symbol=1000PEPEUSDT", premium);
    let events = feed.take(BACKFILL, Body::Close);
    let [terms, oi, candle, oi_now, mark] = events.as_slice() else { panic!("{events:?}") };
    let EventKind::Instrument(terms) = &terms.kind else { panic!() };
    assert_eq!((terms.symbol.as_ref(), terms.tick.to_string()), ("1000PEPEUSDT", "0.0000000001".into()));
    assert_eq!(terms.tiers.len(), 10);
    assert!(matches!(oi.kind, EventKind::OpenInterest(q) if q.to_string() == "20403123.45678"));
    let EventKind::Candle(c) = &candle.kind else { panic!() };
    assert_eq!(
        (c.ohlc.unwrap().high.to_string(), c.volume.unwrap().to_string()),
        ("0.004".into(), "10000".into())
    );
    assert!(matches!(oi_now.kind, EventKind::OpenInterest(_)));
    let EventKind::Mark(m) = &mark.kind else { panic!() };
    assert_eq!((m.price.to_string(), m.next_funding), ("0.0115".into(), Some(1_626_860_000_000)));
    assert_eq!(feed.counters().events, 5);
    // A second fetch of the same minutes repeats nothing.
    feed.rest("/fapi/v1/klines?symbol=1000PEPEUSDT&interval=1m", rows);
    assert_eq!(feed.counters().duplicates, 1);
}

#[test]
fn listings_are_trading_perpetuals_in_dollars() {
    let directory = history::directory(EXCHANGE_INFO).unwrap();
    assert_eq!(directory.now, Some(1_626_858_243_909));
    let shown: Vec<_> = directory.listings.iter().map(|l| (l.symbol.as_ref(), l.asset.as_str())).collect();
    assert_eq!(
        shown,
        [("BTCUSDT", "BTC"), ("1000PEPEUSDT", "PEPE"), ("币安人生USDT", "币安人生"), ("BTCUSDC", "BTC")]
    );
    for step in [r#""tickSize": "0.00001""#, r#""tickSize": "0.0000001""#, r#""stepSize": "0.001""#] {
        let without = EXCHANGE_INFO.replace(step, &step.replace('1', "0"));
        assert!(history::directory(&without).unwrap().listings.len() < 4, "a step of nothing: {step}");
    }
}

#[test]
fn an_outage_is_told_once_the_link_is_back() {
    let mut feed = Feed::new();
    feed.take("market", Body::Open);
    feed.ws(MARK);
    feed.take("market", Body::Open);
    feed.take("market", Body::Close);
    let beside = feed.ws(&MARK.replace("1562305380000", "1562305381000"));
    assert_eq!(beside.len(), 1, "one connection relieved the other: no outage");
    feed.take("market", Body::Close);
    feed.take("market", Body::Open);
    let back = feed.ws(&MARK.replace("1562305380000", "1562305390000"));
    let gaps: Vec<_> = back
        .iter()
        .filter_map(|e| match &e.kind {
            EventKind::Gap(g) => Some((g.stream.as_ref(), g.from, g.to)),
            _ => None,
        })
        .collect();
    assert_eq!(
        gaps,
        [
            ("mark", 1_562_305_381_000, 1_562_305_390_000),
            ("liquidation", 1_562_305_381_000, 1_562_305_390_000)
        ]
    );
    assert_eq!(feed.counters().reconnects, 1);
    assert_eq!(feed.ws(&MARK.replace("1562305380000", "1562305391000")).len(), 1);
}

#[test]
fn one_symbol_stands_for_an_asset() {
    let mut feed = Feed::new();
    assert_eq!(feed.ws(MARK).len(), 1);
    assert!(feed.ws(&MARK.replace("BTCUSDT", "BTCUSDC")).is_empty());
    assert_eq!(feed.counters().ignored, 1);
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_counted_once_and_never_a_panic(text in ".{0,200}", path in "[ -~]{0,60}") {
        let mut feed = Feed::new();
        feed.ws(&text);
        feed.rest(&path, &text);
        prop_assert_eq!(feed.counters().frames, 2);
    }
}
