//! Bytes that mean harm: never a panic, never a number no market can have, and the fast way of reading finds what the general
//! way finds.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::market::event::is_time;

const TRADE: &str = r#"{"e":"trade","E":123456789,"s":"BTCUSDT","t":5933014,"p":"0.001","q":"100","X":"MARKET","T":123456785,"m":true}"#;
const ACK: &str = r#"{"result":null,"id":1}"#;
const REFUSED: &str = r#"{"code":2,"msg":"Invalid request: unknown variant"}"#;
const FRAMES: [&str; 12] =
    [AGG, TRADE, FORCED, FORCED_SHORT, MARK, KLINE, DEPTH, TICKER, BOOK_TICKER, CONTRACT, ACK, REFUSED];

/// Calls and their documented answers (§3.4).
const ANSWERS: [(&str, &str); 6] = [
    ("/fapi/v1/exchangeInfo", EXCHANGE_INFO),
    ("/fapi/v1/time", r#"{"serverTime":1499827319559}"#),
    (
        "/fapi/v1/klines?symbol=1000PEPEUSDT",
        r#"[[1626858120000,"1","4","0.5","2","10",1626858179999,"0",3,"4","0","0"]]"#,
    ),
    ("/fapi/v1/openInterest", r#"{"openInterest":"10659.509","symbol":"1000PEPEUSDT","time":1589437530011}"#),
    (
        "/futures/data/openInterestHist?symbol=1000PEPEUSDT",
        r#"[{"symbol":"1000PEPEUSDT","sumOpenInterest":"20403.12345678","sumOpenInterestValue":"176196512.12345678","CMCCirculatingSupply":"165880.538","timestamp":1591261042378}]"#,
    ),
    (
        "/fapi/v1/premiumIndex",
        r#"{"symbol":"1000PEPEUSDT","markPrice":"11793.63104562","indexPrice":"11781.80495970","estimatedSettlePrice":"11781.16138815","lastFundingRate":"0.00038246","nextFundingTime":1597392000000,"interestRate":"0.00010000","time":1597370495002}"#,
    ),
];

/// Values a field may be given.
const VALUES: [&str; 26] = [
    "0",
    "-1",
    "1",
    "1.5",
    "-0",
    "1e999",
    "true",
    "null",
    "{}",
    "[]",
    "\"\"",
    "\"0\"",
    "\"-1\"",
    "\"0.0000000000001\"",
    "\"1e5\"",
    "\"NaN\"",
    "\"\\u0030\"",
    "\"170141183460469231731687303715884105727\"",
    "\"-170141183460469231731687303715884105728\"",
    "\"99999999999999999999999999.9\"",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "253402300799999",
    "99999999999999999999999999999999999999999",
    "\"1000000MOGUSDT\"",
];

/// One piece of harm.
#[derive(Debug, Clone)]
enum Harm {
    /// Another byte.
    Flip(Index, u8),
    /// The end is missing.
    Cut(Index),
    /// A stretch comes twice.
    Twice(Index, Index),
    /// A stretch is missing.
    Drop(Index, Index),
    /// Another value after one of the colons or commas.
    Value(Index, &'static str),
    /// Another field's name before one of the colons.
    Name(Index, &'static str),
    /// Deep nesting.
    Nest(Index, &'static str, usize),
}

impl Harm {
    fn any() -> impl Strategy<Value = Self> {
        let names = vec![
            "e",
            "E",
            "s",
            "st",
            "p",
            "q",
            "T",
            "stream",
            "data",
            "id",
            "code",
            "msg",
            "lastUpdateId",
            "o",
            "X",
            "x",
        ];
        prop_oneof![
            2 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Self::Flip(at, byte)),
            1 => any::<Index>().prop_map(Self::Cut),
            1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Self::Twice(from, to)),
            1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Self::Drop(from, to)),
            6 => (any::<Index>(), select(VALUES.to_vec())).prop_map(|(at, value)| Self::Value(at, value)),
            2 => (any::<Index>(), select(names)).prop_map(|(at, name)| Self::Name(at, name)),
            1 => (any::<Index>(), select(vec!["[", "{\"a\":"]), 1_usize..400).prop_map(|(at, open, deep)| Self::Nest(at, open, deep)),
        ]
    }

    fn done_to(&self, text: &mut Vec<u8>) {
        let places = |text: &[u8], marks: &[u8]| -> Vec<usize> {
            text.iter().enumerate().filter(|(_, b)| marks.contains(b)).map(|(at, _)| at).collect()
        };
        let span = |from: &Index, to: &Index, text: &[u8]| {
            let (from, to) = (from.index(text.len()), to.index(text.len()));
            from.min(to)..from.max(to)
        };
        if text.is_empty() {
            return;
        }
        match self {
            Self::Flip(at, byte) => {
                let at = at.index(text.len());
                text[at] = *byte;
            }
            Self::Cut(at) => text.truncate(at.index(text.len())),
            Self::Twice(from, to) => {
                let span = span(from, to, text);
                let stretch = text[span.clone()].to_vec();
                text.splice(span.start..span.start, stretch);
            }
            Self::Drop(from, to) => {
                let span = span(from, to, text);
                text.drain(span);
            }
            Self::Value(at, value) => {
                let marks = places(text, b":,");
                if let Some(start) = (!marks.is_empty()).then(|| marks[at.index(marks.len())] + 1) {
                    let length = text[start..].iter().position(|b| b",}]".contains(b)).unwrap_or(0);
                    text.splice(start..start + length, value.bytes());
                }
            }
            Self::Name(at, name) => {
                let marks = places(text, b":");
                if let Some(end) = (!marks.is_empty()).then(|| marks[at.index(marks.len())]) {
                    let start = text[..end].iter().rposition(|b| b",{".contains(b)).map_or(0, |at| at + 1);
                    text.splice(start..end, format!("\"{name}\"").bytes());
                }
            }
            Self::Nest(at, open, deep) => {
                let at = at.index(text.len());
                text.splice(at..at, open.repeat(*deep).bytes());
            }
        }
    }
}

fn harmed(text: &str, harms: &[Harm]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for harm in harms {
        harm.done_to(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What no market can have is in no event.
fn check(events: &[MarketEvent]) -> Result<(), TestCaseError> {
    for event in events {
        let priced = |price: Price, qty: Qty| price.is_positive() && qty.is_positive();
        let sane = is_time(event.ts)
            && match &event.kind {
                EventKind::Trade(t) => priced(t.price, t.qty),
                EventKind::Liquidation(l) => priced(l.price, l.qty),
                EventKind::Mark(m) => m.price.is_positive() && m.index.is_none_or(Price::is_positive),
                EventKind::OpenInterest(qty) => *qty >= Qty::ZERO,
                EventKind::Candle(c) => {
                    let (ohlc, volume) = (c.ohlc.unwrap(), c.volume.unwrap());
                    let within = |p: Price| ohlc.low <= p && p <= ohlc.high;
                    ohlc.low.is_positive()
                        && within(ohlc.open)
                        && within(ohlc.close)
                        && (Qty::ZERO..=volume).contains(&c.taker_buy.unwrap())
                }
                EventKind::Instrument(i) => {
                    i.tick.is_positive() && i.lot.is_positive() && i.multiplier.is_positive()
                }
                EventKind::Gap(gap) => is_time(gap.from) && gap.from < gap.to && gap.to == event.ts,
                _ => false,
            };
        prop_assert!(sane, "{event:?}");
    }
    Ok(())
}

/// A text that is either bare, in an envelope or in an array.
fn wrapped(text: &str, how: usize) -> String {
    match how {
        0 => text.to_owned(),
        1 => combined(text),
        2 => format!("[{text},{MARK}]"),
        _ => combined(&format!("[{text}]")),
    }
}

#[test]
fn an_odd_time_is_not_remembered() {
    for odd in ["9223372036854775807", "-1", "253402300800000"] {
        let mut feed = Feed::new();
        feed.rest("/fapi/v1/exchangeInfo", EXCHANGE_INFO);
        let pepe = AGG.replace("BNBUSDT", "1000PEPEUSDT");
        let hostile = pepe.replace("5933014", "18446744073709551615").replace("123456785", odd);
        assert!(feed.ws(&hostile).is_empty());
        assert_eq!(feed.counters().malformed, 1);
        let events = feed.ws(&pepe);
        assert!(
            matches!(events.as_slice(), [terms, trade] if matches!((&terms.kind, &trade.kind), (EventKind::Instrument(_), EventKind::Trade(_)))),
            "{events:?}"
        );
    }
}

#[test]
fn numbers_that_jump_to_the_end_and_back_are_counted_without_overflow() {
    let mut feed = Feed::new();
    for round in 0..3 {
        feed.ws(&agg(1, 2_000 * round));
        feed.ws(&agg(u64::MAX, 2_000 * round + 1_000));
    }
    assert_eq!(feed.counters().missed, u64::MAX);
}

#[test]
fn a_price_that_is_nothing_per_coin_is_refused() {
    let tiny = AGG.replace("BNBUSDT", "1000000MOGUSDT").replace("0.001", "0.0000000000001");
    let (feed, events) = one(&tiny);
    assert!(events.is_empty());
    assert_eq!(feed.counters().malformed, 1);
}

#[test]
fn open_interest_below_zero_is_refused() {
    let mut feed = Feed::new();
    let row = r#"{"openInterest":"-1","symbol":"BTCUSDT","time":1589437530011}"#;
    assert!(feed.rest("/fapi/v1/openInterest?symbol=BTCUSDT", row).is_empty());
    assert_eq!(feed.rest("/fapi/v1/openInterest?symbol=BTCUSDT", &row.replace("-1", "0")).len(), 1);
    assert_eq!(feed.counters().malformed, 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn harmed_frames_and_answers_give_no_insane_event(
        frames in prop::collection::vec((select(FRAMES.to_vec()), 0_usize..4, prop::collection::vec(Harm::any(), 0..4)), 1..6),
        answers in prop::collection::vec((select(ANSWERS.to_vec()), prop::collection::vec(Harm::any(), 0..4)), 0..3),
    ) {
        let mut feed = Feed::new();
        let count = (frames.len() + answers.len()) as u64;
        for ((call, text), harms) in answers {
            check(&feed.rest(call, &harmed(text, &harms)))?;
        }
        for (text, how, harms) in frames {
            check(&feed.ws(&wrapped(&harmed(text, &harms), how)))?;
        }
        let (c, kinds) = (feed.counters(), feed.0.tally().kinds.values().sum::<u64>());
        prop_assert_eq!(c.frames, count);
        prop_assert_eq!(kinds + c.unknown + c.malformed, c.frames, "each frame under one heading");
    }

    /// A space after each brace leaves a frame the same, but takes it off the fast way.
    #[test]
    fn the_fast_way_and_the_general_way_agree(
        text in select(FRAMES.to_vec()), how in 0_usize..4, harms in prop::collection::vec(Harm::any(), 0..3),
    ) {
        let text = wrapped(&harmed(text, &harms), how);
        let (fast, general) = (one(&text), one(&text.replace('{', "{ ")));
        prop_assert_eq!(fast.1, general.1, "{}", &text);
        prop_assert_eq!(fast.0.0.tally(), general.0.0.tally(), "{}", &text);
    }
}
