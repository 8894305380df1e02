//! Bytes that were damaged, and books that were lost, doubled and mixed up.

use proptest::prelude::*;

use super::*;
use crate::feed::venue::json::{self, tests::near};

/// What no event may ever carry.
fn is_sound(event: &MarketEvent) -> bool {
    let positive = |rows: &[(Price, Qty)]| rows.iter().all(|r| r.0.is_positive() && r.1.is_positive());
    event.has_sane_time()
        && match &event.kind {
            EventKind::Trade(t) => t.price.is_positive() && t.qty.is_positive(),
            EventKind::Mark(m) => m.price.is_positive() && m.index.is_none_or(Price::is_positive),
            EventKind::OpenInterest(q) => *q >= Qty::ZERO,
            EventKind::Candle(c) => {
                c.ohlc.unwrap().path().iter().all(|p| p.is_positive()) && c.volume.unwrap() >= Qty::ZERO
            }
            EventKind::Book(b) => {
                positive(&b.bids)
                    && positive(&b.asks)
                    && b.bids.first().zip(b.asks.first()).is_none_or(|(bid, ask)| bid.0 < ask.0)
            }
            EventKind::Instrument(i) => i.tick.is_positive(),
            EventKind::Gap(g) => g.from < g.to,
            other => panic!("not of this venue: {other:?}"),
        }
}

/// The true book at a time: some levels around a mid price that wanders; crossed now and then.
fn truth(time: i64, fast: bool) -> (String, Rows, Rows) {
    let mid = 1_000 + (time / 500 * 7_919) % 23;
    let (step, levels) = if fast { (1, 5) } else { (10, 20) };
    let inside = if time % 4_500 == 0 { -2 } else { 1 };
    let side = |sign: i64| -> Vec<(i64, i64)> {
        (0..levels).map(|n| (mid + sign * (inside + n * step), 1 + (time / 500 + n) % 9)).collect()
    };
    let rows = |side: &[(i64, i64)]| -> Rows {
        side.iter().map(|(p, q)| (p.to_string().parse().unwrap(), q.to_string().parse().unwrap())).collect()
    };
    let json = |side: &[(i64, i64)]| {
        let level = |(p, q): &(i64, i64)| format!(r#"{{"px":"{p}","sz":"{q}","n":1}}"#);
        format!("[{}]", side.iter().map(level).collect::<Vec<_>>().join(","))
    };
    let (bids, asks) = (side(-1), side(1));
    let text = format!(
        r#"{{"channel":"l2Book","data":{{"coin":"BTC","time":{time},"levels":[{},{}]{}}}}}"#,
        json(&bids),
        json(&asks),
        if fast { r#","fast":true"# } else { "" }
    );
    (text, rows(&bids), rows(&asks))
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(11), ..ProptestConfig::default() })]

    #[test]
    fn trades_read_by_their_script_are_those_that_serde_reads(at in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), put in "[ -~]{0,3}") {
        let frame = |rows: &str| format!(r#"{{"channel":"trades","data":[{rows}]}}"#);
        let (one, two) = (frame(TRADE), frame(&format!("{TRADE},{}", TRADE.replace("\"A\"", "\"B\""))));
        for text in [&one, &two, &near(&two, at, to, &put)] {
            if let Some(trades) = stream::trades(text) {
                let read: Frame<Vec<TradeRow<'_>>> = json::read(text).unwrap();
                prop_assert_eq!(format!("{trades:?}"), format!("{:?}", read.data));
            }
        }
        prop_assert!(stream::trades(&one).is_some() && stream::trades(&two).is_some());
    }

    #[test]
    fn any_text_is_counted_once_and_never_a_panic(text in ".{0,200}", call in "[ -~]{0,60}") {
        let mut feed = Feed::new();
        feed.ws(&text);
        feed.ws(&format!(r#"{{"channel":"{text}"#));
        feed.rest(&call, &text);
        feed.rest(CONTEXTS, &text);
        prop_assert_eq!(feed.counters().frames, 4);
    }

    #[test]
    fn a_mutated_payload_is_never_a_panic_nor_an_unsound_event(
        which in 0_usize..12, hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        digits in any::<bool>(), cut in any::<prop::sample::Index>(),
    ) {
        let trade = format!(r#"{{"channel":"trades","data":[{TRADE},{TRADE}]}}"#);
        let bars = r#"[{"t":1769915940000,"T":1769915999999,"s":"kPEPE","i":"1m","o":"2","c":"1","h":"3","l":"1","v":"5","n":1}]"#;
        let payloads = [&trade, BOOK, CONTEXT, CANDLE, ACK, REFUSED, MIDS, BBO, FAST_CONTEXTS, FILL, LIST, bars];
        let mut bytes = payloads[which].as_bytes().to_vec();
        for (at, byte) in hits {
            let place = at.index(bytes.len());
            // Half of the time digits become digits, so that what comes out is still JSON.
            bytes[place] = if digits && bytes[place].is_ascii_digit() { b'0' + byte % 10 } else { byte };
        }
        for text in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            let text = String::from_utf8_lossy(text);
            let mut feed = Feed::ready();
            let before = feed.counters().frames;
            let mut events = feed.ws(&text);
            events.extend(feed.ws(&text.replace("177", "178").replace("176991600", "176991606")));
            for call in [CONTEXTS, CANDLES, CLOCK, r#"/info {"type":"meta"}"#, &text] {
                events.extend(feed.rest(call, &text));
            }
            events.extend(feed.ws(CONTEXT));
            let odd = events.iter().find(|e| !is_sound(e));
            prop_assert!(odd.is_none(), "{odd:?}");
            let c = feed.counters();
            let kinds: u64 = feed.translator.tally().kinds.values().sum();
            prop_assert_eq!(c.frames, before + 8);
            prop_assert_eq!(kinds + c.unknown + c.malformed, c.frames);
        }
    }

    /// Books that are lost, doubled and out of order: whatever is told is the true book of its own time, and never crossed.
    #[test]
    fn a_book_that_is_told_is_the_true_one(
        sent in prop::collection::vec((0_i64..60, any::<bool>(), 0_u8..20), 1..120),
    ) {
        let limits = BookLimits { depth: 10.0, every_ms: 0 };
        let mut wire = HyperliquidWire::new("hyperliquid".parse().unwrap(), None, limits);
        let (mut counters, mut wants) = (Counters::default(), Vec::new());
        let mut told = 0;
        for (beat, fast, luck) in sent {
            if luck == 0 {
                wire.lost("public");
                told = 0;
                continue;
            }
            let (text, ..) = truth(500 * (beat + 1), fast);
            let mut events = Vec::new();
            let mut sink = Sink { events: &mut events, counters: &mut counters, recv: 0, sent: None, wants: &mut wants, odd_time: false };
            wire.socket("public", &text, &mut sink);
            for event in events {
                let EventKind::Book(book) = &event.kind else { continue };
                let of = |fast| {
                    let (_, bids, asks) = truth(event.ts, fast);
                    (bids, asks)
                };
                let seen = (book.bids.clone(), book.asks.clone());
                prop_assert!(is_sound(&event));
                prop_assert!(seen == of(fast), "{event:?}");
                prop_assert!(event.ts >= told, "time goes on");
                told = event.ts;
            }
        }
        prop_assert!(wants.is_empty(), "a full snapshot needs no resumption");
    }
}
