//! Whatever comes, nothing panics and no event carries a number that is none.

use proptest::prelude::*;

use super::*;

/// No event may carry a price, quantity or time that is none.
fn assert_sane(events: &[MarketEvent]) {
    let price = |p: Price| p.is_positive();
    for event in events {
        assert!(event.has_sane_time(), "{event:?}");
        let sane = match &event.kind {
            EventKind::Trade(t) => price(t.price) && t.qty.is_positive(),
            EventKind::Liquidation(l) => price(l.price) && l.qty.is_positive(),
            EventKind::Mark(m) => price(m.price),
            EventKind::OpenInterest(q) => *q >= Qty::ZERO,
            EventKind::Candle(c) => {
                c.ohlc.is_some_and(|o| price(o.low)) && c.volume.is_some_and(|v| v >= Qty::ZERO)
            }
            EventKind::Book(b) => {
                let rows = b.bids.iter().chain(&b.asks).all(|(p, q)| price(*p) && q.is_positive());
                let crossed = b.bids.first().zip(b.asks.first()).is_some_and(|(bid, ask)| bid.0 >= ask.0);
                rows && !crossed
            }
            EventKind::Instrument(i) => {
                price(i.tick)
                    && i.contract.is_positive()
                    && i.tiers.iter().all(|t| t.notional_cap.is_positive())
            }
            EventKind::Gap(g) => g.from < g.to,
            EventKind::LiquidationBar(_) | EventKind::Position(_) => false,
        };
        assert!(sane, "{event:?}");
    }
}

const PAYLOADS: [&str; 18] = [
    TRADE,
    LIQUIDATION,
    OPEN_INTEREST,
    MARK,
    FUNDING,
    TICKER,
    CANDLE,
    BOOK,
    ACK,
    LISTENS,
    ERROR,
    NOTICE,
    CANDLES,
    OPEN_INTERESTS,
    TIERS,
    MARK_ANSWER,
    INSTRUMENTS,
    TICKERS,
];

const CALLS: [&str; 8] = [
    "/api/v5/public/instruments?instType=SWAP",
    "/api/v5/market/tickers?instType=SWAP",
    CANDLES_CALL,
    OPEN_INTEREST_CALL,
    TIERS_CALL,
    FUNDING_CALL,
    MARK_CALL,
    TIME_CALL,
];

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_counted_once_and_never_a_panic(text in ".{0,200}", path in "[ -~]{0,60}") {
        let mut feed = Feed::bare(None);
        feed.ws(&text);
        feed.rest(&path, &text);
        prop_assert_eq!(feed.counters().frames, 2);
    }

    #[test]
    fn a_mutated_payload_is_never_a_panic_nor_an_insane_number(
        which in 0..PAYLOADS.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), prop::sample::select(b"0123456789-.eE\"{}[],:".to_vec())]), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = PAYLOADS[which].as_bytes().to_vec();
        for (at, byte) in changes {
            let place = at.index(bytes.len());
            bytes[place] = byte;
        }
        for text in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            let text = String::from_utf8_lossy(text);
            let mut feed = Feed::new();
            let mut events = feed.take("public", Body::Ws(text.to_string()));
            for call in CALLS {
                events.extend(feed.take(POLL, Body::Rest { path: call.into(), text: text.to_string() }));
            }
            // What came before must not spoil what is well.
            events.extend(feed.take("public", Body::Ws(TRADE.into())));
            assert_sane(&events);
            let c = feed.counters();
            let kinds: u64 = feed.translator.tally().kinds.values().sum();
            prop_assert_eq!(c.frames, 12);
            prop_assert_eq!(kinds + c.unknown + c.malformed, c.frames);
        }
    }
}
