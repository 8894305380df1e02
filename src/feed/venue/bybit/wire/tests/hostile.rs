//! Broken and hostile bytes: counted, never a panic, never a number that makes no sense.

use proptest::prelude::*;

use super::*;

fn sensible(events: &[MarketEvent]) -> Result<(), TestCaseError> {
    for event in events {
        prop_assert!(event.has_sane_time(), "{event:?}");
        let right = match &event.kind {
            EventKind::Trade(t) => t.price.is_positive() && t.qty.is_positive(),
            EventKind::Liquidation(l) => l.price.is_positive() && l.qty.is_positive(),
            EventKind::Mark(m) => m.price.is_positive() && m.index.is_none_or(Price::is_positive),
            EventKind::OpenInterest(q) => *q >= Qty::ZERO,
            EventKind::Candle(c) => c.ohlc.is_some_and(|o| o.low.is_positive() && o.low <= o.high),
            EventKind::Book(b) => {
                b.bids.iter().chain(&b.asks).all(|(p, q)| p.is_positive() && q.is_positive())
            }
            EventKind::Instrument(i) => i.tick.is_positive(),
            EventKind::Gap(g) => g.from < g.to,
            _ => false,
        };
        prop_assert!(right, "{event:?}");
    }
    Ok(())
}

const QUERY: &str = "category=linear&symbol=BTCUSDT&interval=1";

fn calls() -> [String; 9] {
    [
        "instruments-info",
        "tickers",
        "time",
        "kline",
        "mark-price-kline",
        "open-interest",
        "funding/history",
        "risk-limit",
        "x",
    ]
    .map(|name| format!("/v5/market/{name}?{QUERY}"))
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

    #[test]
    fn a_mutated_payload_is_never_a_panic_and_gives_nothing_senseless(
        which in 0_usize..14, at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
    ) {
        let finished = KLINE.replace("kline.5", "kline.1").replace("false", "true");
        let delta = frame_after(BOOK);
        let lists = [
            r#"["1670608740000","0.1","0.2","0.1","0.17071","10","1"]"#,
            r#"{"openInterest":"4","singleOpenInterest":"2.5","timestamp":"1670608500000"}"#,
            r#"{"symbol":"BTCUSDT","fundingRate":"0.0001","fundingRateTimestamp":"1670608740000"}"#,
            r#"{"id":1,"symbol":"BTCUSDT","riskLimitValue":"20000","maintenanceMargin":"0.01","initialMargin":"0.02","isLowestRisk":1,"maxLeverage":"50.00","mmDeduction":""}"#,
        ].map(|list| answer(1_670_608_850_000, list));
        let payloads = [
            TRADE, LIQUIDATION, TICKER, &finished, BOOK, &delta, PONG, REFUSAL, TIME,
            INSTRUMENTS[0], &lists[0], &lists[1], &lists[2], &lists[3],
        ];
        let mut bytes = payloads[which].as_bytes().to_vec();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        for text in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            let text = String::from_utf8_lossy(text);
            let mut feed = Feed::new();
            sensible(&feed.ws(BOOK))?;
            sensible(&feed.ws(&text))?;
            sensible(&feed.ws(TICKER))?;
            for call in calls() {
                sensible(&feed.rest(&call, &text))?;
            }
            sensible(&feed.ws(TRADE))?;
            let counters = feed.counters();
            let kinds: u64 = feed.translator.tally().kinds.values().sum();
            prop_assert_eq!(counters.frames, 13);
            prop_assert_eq!(kinds + counters.unknown + counters.malformed, counters.frames);
        }
    }
}

/// The update that follows a snapshot.
fn frame_after(snapshot: &str) -> String {
    snapshot.replace("snapshot", "delta").replace("18521288", "18521289")
}

#[test]
fn names_do_not_fill_the_memory() {
    let mut feed = Feed::new();
    for n in 0..6_000 {
        feed.ws(&trade(&format!("C{n}USDT"), "Buy", "1", "1", "a", 5));
    }
    let counters = feed.counters();
    assert_eq!((counters.events, counters.ignored), (5_000, 1_000));
}
