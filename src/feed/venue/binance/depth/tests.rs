use proptest::prelude::*;

use super::*;
use crate::feed::frame::{BACKFILL, Body, POLL, RawFrame};
use crate::feed::translate::Translator;
use crate::feed::venue::binance::wire::BinanceWire;
use crate::market::event::Book;
use crate::market::{EventKind, MarketEvent};

/// A client of one symbol, told at every update.
struct Client {
    feed: Translator,
    events: Vec<MarketEvent>,
    asked: usize,
}

impl Client {
    fn new() -> Self {
        let limits = BookLimits { depth: 0.5, every_ms: 0 };
        let wire = BinanceWire::new("binance".parse().unwrap(), Some("BTC".parse().unwrap()), limits);
        Self { feed: Translator::new(Box::new(wire)), events: Vec::new(), asked: 0 }
    }

    fn take(&mut self, conn: &'static str, body: Body) {
        let frame = RawFrame { recv: 0, venue: "binance".parse().unwrap(), conn: conn.into(), body };
        self.asked += self.feed.take(&frame, &mut self.events).wants.len();
    }

    fn update(&mut self, at: i64, [first, last, previous]: [u64; 3], bids: &str, asks: &str) {
        let text = format!(
            r#"{{"e":"depthUpdate","E":{at},"T":{at},"s":"BTCUSDT","U":{first},"u":{last},"pu":{previous},"b":{bids},"a":{asks},"ps":"BTCUSDT","st":1}}"#
        );
        self.take("public", Body::Ws(text));
    }

    fn snapshot(&mut self, id: u64, bids: &str, asks: &str) {
        let text = format!(r#"{{"lastUpdateId":{id},"E":1,"T":1,"bids":{bids},"asks":{asks}}}"#);
        let path = "/fapi/v1/depth?symbol=BTCUSDT&limit=1000".to_owned();
        self.take(POLL, Body::Rest { path, text });
    }

    fn books(&self) -> Vec<&Book> {
        let book = |e: &'_ MarketEvent| matches!(e.kind, EventKind::Book(_));
        let told = self.events.iter().filter(|e| book(e));
        told.filter_map(|e| if let EventKind::Book(b) = &e.kind { Some(b.as_ref()) } else { None }).collect()
    }

    fn last(&self) -> Option<String> {
        let show = |rows: &[(Price, Qty)]| {
            rows.iter().map(|(p, q)| format!("{p}x{q}")).collect::<Vec<_>>().join(" ")
        };
        self.books().last().map(|b| format!("{} | {}", show(&b.bids), show(&b.asks)))
    }
}

#[test]
fn the_documented_payloads_are_read() {
    const UPDATE: &str = r#"{"e":"depthUpdate","E":123456789,"T":123456788,"s":"BNBUSDT","U":157,"u":160,"pu":149,"b":[["0.0024","10"]],"a":[["0.0026","100"]],"ps":"BTCUSDT","st":1}"#;
    const SNAPSHOT: &str =
        r#"{"lastUpdateId":1027024,"E":5,"T":5,"bids":[["4.00000000","431.00000000"]],"asks":[]}"#;
    let update: DepthUpdate<'_> = serde_json::from_str(UPDATE).unwrap();
    assert_eq!((update.first, update.u, update.pu, update.sent), (157, 160, 149, 123_456_789));
    assert_eq!(update.a, [("0.0026".parse().unwrap(), "100".parse().unwrap())]);
    let snapshot: Snapshot = serde_json::from_str(SNAPSHOT).unwrap();
    assert_eq!((snapshot.id, snapshot.bids.len(), snapshot.sent), (1_027_024, 1, Some(5)));
}

/// The five steps of §3.3, worked through by hand.
#[test]
fn a_snapshot_and_the_updates_around_it_make_a_book() {
    let mut client = Client::new();
    client.update(1_000, [90, 99, 89], r#"[["99","9"]]"#, "[]");
    assert_eq!(client.asked, 1, "the first update asks for a snapshot");
    client.update(1_100, [100, 105, 99], r#"[["98","1"],["97","0"]]"#, r#"[["101","2"]]"#);
    assert_eq!((client.asked, client.books().len()), (1, 0), "asked once, told nothing");
    // 102 lies in 100..=105: the update before it is dropped, this one applies.
    client.snapshot(102, r#"[["99","5"],["97","4"]]"#, r#"[["101","1"],["102","3"]]"#);
    client.update(1_200, [106, 107, 105], r#"[["99","0"]]"#, "[]");
    assert_eq!(client.last().unwrap(), "98x1 | 101x2 102x3");
    assert_eq!(client.asked, 1);
}

#[test]
fn a_hole_in_the_numbers_makes_the_book_unknown_until_a_new_snapshot() {
    let mut client = Client::new();
    client.update(1_000, [1, 5, 0], "[]", "[]");
    client.snapshot(5, r#"[["99","5"]]"#, r#"[["101","1"]]"#);
    client.update(1_100, [5, 6, 5], "[]", "[]");
    assert_eq!(client.books().len(), 1);
    // 7..9 never came.
    client.update(1_200, [10, 12, 9], r#"[["99","6"]]"#, "[]");
    assert_eq!((client.books().len(), client.asked), (1, 1), "asked a moment ago");
    client.update(12_000, [13, 14, 12], r#"[["100","7"]]"#, "[]");
    assert_eq!((client.books().len(), client.asked), (1, 2));
    client.snapshot(12, r#"[["99","6"]]"#, r#"[["101","1"]]"#);
    client.update(12_100, [15, 15, 14], "[]", "[]");
    assert_eq!(client.last().unwrap(), "100x7 99x6 | 101x1");
    let gap = client.events.iter().find_map(|e| match &e.kind {
        EventKind::Gap(g) => Some((g.stream.to_string(), g.from, g.to)),
        _ => None,
    });
    assert_eq!(gap, Some(("book".to_owned(), 1_100, 12_100)));
}

#[test]
fn an_update_seen_on_two_connections_counts_once() {
    let mut client = Client::new();
    client.update(1_000, [1, 5, 0], "[]", "[]");
    client.snapshot(5, r#"[["99","5"]]"#, r#"[["101","1"]]"#);
    client.update(1_100, [5, 6, 5], r#"[["99","0"]]"#, "[]");
    client.update(1_100, [5, 6, 5], r#"[["99","0"]]"#, "[]");
    client.update(1_200, [7, 8, 6], r#"[["98","1"]]"#, "[]");
    assert_eq!(client.last().unwrap(), "98x1 | 101x1");
    assert_eq!(client.asked, 1);
}

#[test]
fn a_lost_link_loses_the_book() {
    let mut client = Client::new();
    client.take("public", Body::Open);
    client.update(1_000, [1, 5, 0], "[]", "[]");
    client.snapshot(5, r#"[["99","5"]]"#, r#"[["101","1"]]"#);
    client.update(1_100, [5, 6, 5], "[]", "[]");
    client.take("public", Body::Close);
    client.take("public", Body::Open);
    client.update(1_300, [9, 9, 8], "[]", "[]");
    assert_eq!((client.books().len(), client.asked), (1, 2), "a new snapshot at once");
    // An answer in a batch of history counts as well.
    client.take(BACKFILL, Body::Open);
    client.snapshot(9, r#"[["90","5"]]"#, r#"[["91","1"]]"#);
    client.take(BACKFILL, Body::Close);
    client.update(1_400, [10, 10, 9], "[]", "[]");
    assert_eq!(client.last().unwrap(), "90x5 | 91x1");
}

proptest! {
    /// Whatever is lost, doubled or delayed on the way, a book that is told is the exchange's own at that update.
    #[test]
    fn a_book_that_is_told_is_true(
        changes in prop::collection::vec((0..2_u8, 0..20_i64, 0..4_i64), 1..120),
        fate in prop::collection::vec(0..12_u8, 120),
    ) {
        let mut truth = crate::market::book::OrderBook::default();
        let mut client = Client::new();
        let mut waiting: Option<(u64, String, String)> = None;
        let mut last = 0_u64;
        for (n, (side, offset, qty)) in changes.iter().enumerate() {
            let number = n as u64 + 1;
            // Bids at 81..=100, asks at 101..=120: the truth is never crossed.
            let price = if *side == 0 { 100 - offset } else { 101 + offset };
            let book_side = [crate::market::book::BookSide::Bid, crate::market::book::BookSide::Ask][usize::from(*side)];
            truth.set(book_side, price.to_string().parse().unwrap(), qty.to_string().parse().unwrap());
            let row = format!(r#"[["{price}","{qty}"]]"#);
            let (bids, asks) = if *side == 0 { (row.as_str(), "[]") } else { ("[]", row.as_str()) };
            let at = 1_000 + 11_000 * n as i64;
            let (asked, told) = (client.asked, client.books().len());
            let lost = fate[n] == 0;
            if !lost {
                client.update(at, [number, number, last], bids, asks);
                if fate[n] == 1 {
                    client.update(at, [number, number, last], bids, asks);
                }
            }
            last = number;
            if client.books().len() > told {
                prop_assert_eq!((*client.books().last().unwrap()).clone(), truth.to_event());
            }
            if client.asked > asked {
                let rows = |rows: &[(Price, Qty)]| {
                    let rows: Vec<_> = rows.iter().map(|(p, q)| format!(r#"["{p}","{q}"]"#)).collect();
                    format!("[{}]", rows.join(","))
                };
                let event = truth.to_event();
                waiting = Some((number, rows(&event.bids), rows(&event.asks)));
            }
            // The answer takes its time, now and then.
            if fate[n] % 3 != 2 && let Some((id, bids, asks)) = waiting.take() {
                client.snapshot(id, &bids, &asks);
            }
        }
    }
}
