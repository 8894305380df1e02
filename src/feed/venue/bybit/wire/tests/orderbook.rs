//! The book against a model of the venue: what was lost, doubled or turned round on the way never leaves a wrong book.

use proptest::prelude::*;

use super::*;
use crate::market::book::{BookSide, OrderBook};
use crate::market::event::Book as BookEvent;

const NAME: &str = "BTCUSDT";

fn frame(kind: &str, depth: u32, u: u64, ts: i64, bids: &str, asks: &str) -> String {
    format!(
        r#"{{"topic":"orderbook.{depth}.{NAME}","type":"{kind}","ts":{ts},"data":{{"s":"{NAME}","b":[{bids}],"a":[{asks}],"u":{u},"seq":{u}}},"cts":{ts}}}"#
    )
}

fn books(events: &[MarketEvent]) -> Vec<&BookEvent> {
    let book = |e: &'_ MarketEvent| matches!(e.kind, EventKind::Book(_));
    let told = events.iter().filter(|e| book(e));
    told.filter_map(|e| if let EventKind::Book(b) = &e.kind { Some(b.as_ref()) } else { None }).collect()
}

fn best(book: &BookEvent) -> (String, String) {
    (book.bids[0].0.to_string(), book.asks[0].0.to_string())
}

#[test]
fn updates_change_the_book_and_it_is_told_once_a_second() {
    let mut feed = Feed::new();
    let first = feed.ws(&frame("snapshot", 200, 10, 1_000, r#"["100","1"],["99","2"]"#, r#"["101","1"]"#));
    assert_eq!(best(books(&first)[0]), ("100".into(), "101".into()));
    assert!(feed.ws(&frame("delta", 200, 11, 1_500, r#"["100","0"]"#, "")).is_empty(), "told just before");
    let later = feed.ws(&frame("delta", 200, 12, 2_000, "", r#"["100.5","3"]"#));
    assert_eq!(best(books(&later)[0]), ("99".into(), "100.5".into()));
    assert_eq!(feed.counters().missed, 0);
    assert!(feed.wants.is_empty());
}

#[test]
fn a_hole_in_the_numbers_brings_a_new_subscription_and_a_gap() {
    let mut feed = Feed::new();
    feed.ws(&frame("snapshot", 200, 10, 1_000, r#"["100","1"]"#, r#"["101","1"]"#));
    assert!(feed.ws(&frame("delta", 200, 13, 2_000, r#"["100","0"]"#, "")).is_empty());
    assert_eq!(
        texts(&feed.wants),
        [
            r#"{"req_id":"orderbook.200.BTCUSDT","op":"unsubscribe","args":["orderbook.200.BTCUSDT"]}"#,
            r#"{"req_id":"orderbook.200.BTCUSDT","op":"subscribe","args":["orderbook.200.BTCUSDT"]}"#,
        ]
    );
    assert_eq!(feed.counters().missed, 2);
    // It is asked for again only when it does not come for a while.
    feed.ws(&frame("delta", 200, 14, 11_900, "", ""));
    assert_eq!(feed.wants.len(), 2);
    feed.ws(&frame("delta", 200, 15, 12_000, "", ""));
    assert_eq!(feed.wants.len(), 4);
    let events = feed.ws(&frame("snapshot", 200, 20, 13_000, r#"["98","1"]"#, r#"["99","1"]"#));
    assert_eq!(
        lines(&events),
        [
            r#"{"type":"gap","asset":"BTC","ts":13000,"stream":"book","from":1000,"to":13000}"#,
            r#"{"type":"book","asset":"BTC","ts":13000,"bids":[["98","1"]],"asks":[["99","1"]]}"#,
        ]
    );
    assert!(!feed.ws(&frame("delta", 200, 21, 14_000, "", "")).is_empty(), "whole again");
}

#[test]
fn old_updates_that_come_after_the_snapshot_of_a_new_subscription_are_left_out() {
    let mut feed = Feed::new();
    feed.ws(&frame("snapshot", 200, 10, 1_000, r#"["100","1"]"#, r#"["101","1"]"#));
    feed.ws(&frame("delta", 200, 13, 1_300, r#"["100","9"]"#, ""));
    assert_eq!(feed.wants.len(), 2, "11 and 12 are missing");
    feed.ws(&frame("snapshot", 200, 15, 2_500, r#"["100","5"]"#, r#"["101","5"]"#));
    // On their way when the new subscription began: one before the snapshot, one that is in it.
    for (u, ts) in [(14, 2_400), (15, 2_500)] {
        assert!(feed.ws(&frame("delta", 200, u, ts, r#"["100","0"]"#, "")).is_empty());
    }
    assert_eq!((feed.counters().duplicates, feed.wants.len()), (2, 2));
    let events = feed.ws(&frame("delta", 200, 16, 3_600, "", r#"["101","6"]"#));
    assert_eq!(
        lines(&events),
        [r#"{"type":"book","asset":"BTC","ts":3600,"bids":[["100","5"]],"asks":[["101","6"]]}"#]
    );
}

#[test]
fn a_restart_of_the_service_and_a_new_snapshot_replace_everything() {
    let mut feed = Feed::new();
    feed.ws(&frame("snapshot", 200, 10, 1_000, r#"["100","1"]"#, r#"["101","1"]"#));
    // `u` is 1: whatever the frame is called.
    let events = feed.ws(&frame("delta", 200, 1, 2_000, r#"["50","1"]"#, r#"["51","1"]"#));
    assert_eq!(books(&events)[0].bids.len(), 1);
    assert_eq!(best(books(&events)[0]), ("50".into(), "51".into()));
    feed.ws(&frame("delta", 200, 2, 2_100, "", ""));
    let events = feed.ws(&frame("snapshot", 200, 70, 3_200, r#"["60","1"]"#, r#"["61","1"]"#));
    assert_eq!(best(books(&events)[0]), ("60".into(), "61".into()));
    // Numbers that fall back while time goes on, without a snapshot.
    assert!(feed.ws(&frame("delta", 200, 5, 4_300, "", "")).is_empty());
    assert_eq!(feed.wants.len(), 2);
}

#[test]
fn what_a_relieving_connection_repeats_leaves_the_book_as_it_is() {
    let mut feed = Feed::new();
    let first = [
        frame("snapshot", 200, 10, 1_000, r#"["100","1"]"#, r#"["101","1"]"#),
        frame("delta", 200, 11, 1_100, r#"["100","2"]"#, ""),
        frame("delta", 200, 12, 1_200, r#"["100","3"]"#, ""),
    ];
    for text in first.iter().chain(&first) {
        feed.ws(text);
    }
    assert_eq!((feed.counters().duplicates, feed.counters().missed, feed.wants.len()), (3, 0, 0));
    let events = feed.ws(&frame("delta", 200, 13, 2_000, "", ""));
    assert_eq!(books(&events)[0].bids[0].1.to_string(), "3");
}

#[test]
fn the_deepest_topic_is_followed() {
    let mut feed = Feed::new();
    assert_eq!(feed.ws(&frame("snapshot", 1, 10, 1_000, r#"["100","1"]"#, r#"["101","1"]"#)).len(), 1);
    let deeper = feed.ws(&frame("snapshot", 50, 900, 3_000, r#"["100","1"],["99","1"]"#, r#"["101","1"]"#));
    assert_eq!(books(&deeper)[0].bids.len(), 2);
    assert!(feed.ws(&frame("delta", 1, 11, 5_000, r#"["100","0"]"#, "")).is_empty());
    assert_eq!(feed.counters().ignored, 1);
    assert_eq!(feed.ws(&frame("delta", 50, 901, 6_000, "", "")).len(), 1);
    for other in ["full", "rpi", "9999", "0", "-1"] {
        feed.ws(&format!(r#"{{"topic":"orderbook.{other}.BTCUSDT"}}"#));
    }
    assert_eq!((feed.counters().ignored, feed.counters().malformed), (6, 0));
}

#[test]
fn a_book_that_cannot_be_is_not_told() {
    for (bids, asks) in
        [(r#"["102","1"]"#, ""), (r#"["-1","1"]"#, ""), ("", r#"["101","-1"]"#), ("", r#"["0","1"]"#)]
    {
        let mut feed = Feed::new();
        feed.ws(&frame("snapshot", 200, 10, 1_000, r#"["100","1"]"#, r#"["101","1"]"#));
        assert!(feed.ws(&frame("delta", 200, 11, 3_000, bids, asks)).is_empty());
        assert_eq!(feed.wants.len(), 2, "{bids}{asks}: subscribed anew");
        assert!(feed.ws(&frame("delta", 200, 12, 5_000, "", "")).is_empty(), "not whole");
    }
}

#[test]
fn what_is_far_from_the_mid_is_not_told_and_not_forgotten() {
    let mut feed = Feed::new();
    let told = feed.ws(&frame("snapshot", 200, 10, 1_000, r#"["100","1"],["97","7"]"#, r#"["101","1"]"#));
    assert_eq!(books(&told)[0].bids.len(), 1, "97 is more than 2 % away");
    let told = feed.ws(&frame("delta", 200, 11, 2_000, r#"["100","0"]"#, r#"["98","1"]"#));
    let level = books(&told)[0].bids[0];
    assert_eq!((level.0.to_string(), level.1.to_string()), ("97".into(), "7".into()));
}

#[test]
fn a_lost_link_begins_with_a_snapshot_and_tells_the_gap() {
    let mut feed = Feed::new();
    feed.take(CONN, Body::Open);
    feed.ws(&frame("snapshot", 200, 10, 1_000, r#"["100","1"]"#, r#"["101","1"]"#));
    feed.take(CONN, Body::Close);
    feed.take(CONN, Body::Open);
    let events = feed.ws(&frame("snapshot", 200, 50, 9_000, r#"["100","1"]"#, r#"["101","1"]"#));
    assert!(lines(&events)[0].contains(r#""stream":"book","from":1000,"to":9000"#), "{events:?}");
    assert!(feed.wants.is_empty(), "the new socket has subscribed by itself");
}

/// The venue: its book after each update, and the frames that lead there.
struct Model {
    frames: Vec<(u64, String)>,
    /// The book after the update of that number.
    truth: HashMap<u64, OrderBook>,
}

fn model(steps: &[(bool, bool, u8, u8)]) -> Model {
    let number = |n: u32| Price::from_raw(i128::from(n) * 10_i128.pow(Price::DIGITS));
    let size = |n: u8| Qty::from_raw(i128::from(n) * 10_i128.pow(Qty::DIGITS));
    let mut book = OrderBook::default();
    book.set(BookSide::Bid, number(1_000), size(5));
    book.set(BookSide::Ask, number(1_001), size(5));
    let whole = |book: &OrderBook| {
        let event = book.to_event();
        let rows = |rows: &[(Price, Qty)]| {
            rows.iter().map(|(p, q)| format!(r#"["{p}","{q}"]"#)).collect::<Vec<_>>().join(",")
        };
        (rows(&event.bids), rows(&event.asks))
    };
    let (mut frames, mut truth) = (Vec::new(), HashMap::new());
    let mut u = 100;
    for (n, &(snapshot, bid, price, qty)) in std::iter::once(&(true, true, 0, 5)).chain(steps).enumerate() {
        u += 1;
        let ts = 1_000 + n as i64 * 400;
        let (side, price) = if bid {
            (BookSide::Bid, number(1_000 - u32::from(price % 10)))
        } else {
            (BookSide::Ask, number(1_001 + u32::from(price % 10)))
        };
        book.set(side, price, size(qty % 4));
        let text = if snapshot {
            let (bids, asks) = whole(&book);
            frame("snapshot", 200, u, ts, &bids, &asks)
        } else {
            let row = format!(r#"["{price}","{}"]"#, size(qty % 4));
            let (bids, asks) = if bid { (row.as_str(), "") } else { ("", row.as_str()) };
            frame("delta", 200, u, ts, bids, asks)
        };
        frames.push((u, text));
        truth.insert(u, book.clone());
    }
    Model { frames, truth }
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(11), ..ProptestConfig::default() })]

    #[test]
    fn a_book_that_claims_to_be_whole_is_the_true_one(
        steps in prop::collection::vec((prop::bool::weighted(0.1), any::<bool>(), any::<u8>(), any::<u8>()), 1..60),
        mishaps in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..3, 1_usize..5), 0..8),
    ) {
        let model = model(&steps);
        let mut frames = model.frames.clone();
        for (at, what, by) in mishaps {
            let at = at.index(frames.len());
            match what {
                0 if frames.len() > 1 => { frames.remove(at); }
                1 => frames.insert((at + by).min(frames.len()), frames[at].clone()),
                _ => { let other = (at + by) % frames.len(); frames.swap(at, other); }
            }
        }
        let venue = "bybit".parse().unwrap();
        let mut wire = BybitWire::new(venue, None, BookLimits { depth: 1.0, every_ms: 0 });
        for (_, text) in frames {
            let (mut events, mut counters, mut wants) = (Vec::new(), Counters::default(), Vec::new());
            let mut sink = Sink { events: &mut events, counters: &mut counters, recv: 0, sent: None, wants: &mut wants, odd_time: false };
            let class = wire.socket(CONN, &text, &mut sink);
            prop_assert_eq!(class, Class::Used("orderbook"));
            let book = &wire.contract(NAME).unwrap().book;
            if let Some((u, held)) = book.whole() {
                prop_assert_eq!(held, &model.truth[&u]);
            }
            for told in books(&events) {
                let (u, held) = book.whole().expect("what is told is whole");
                prop_assert_eq!(told, &held.to_event(), "after update {}", u);
                if let (Some(bid), Some(ask)) = (told.bids.first(), told.asks.first()) {
                    prop_assert!(bid.0 < ask.0);
                }
            }
        }
    }
}
