//! What the fuzz targets share: bytes from outside go through a venue's translator as a socket or a REST client would hand them
//! over, and whatever becomes an event must make sense.

use meltline::feed::book::BookLimits;
use meltline::feed::frame::{BACKFILL, Body, RawFrame};
use meltline::feed::venue;
use meltline::market::book::{BookSide, OrderBook};
use meltline::market::{EventKind, MarketEvent, Price, Qty};

/// Frames of one input; more are left out.
const FRAMES: usize = 64;

/// One frame a line: `>CONN` opens a connection, `<CONN` closes it, `?CALL<tab>ANSWER` is the answer to a REST call, `@CONN<tab>TEXT` a frame of
/// that connection, and anything else a frame of the connection `public`.
pub fn frames(venue: &str, data: &[u8]) {
    let Ok(venue) = venue.parse() else { return };
    let Some(mut translator) = venue::translator(venue, None, BookLimits::default()) else { return };
    let text = String::from_utf8_lossy(data);
    let mut events = Vec::new();
    for (n, line) in text.lines().take(FRAMES).enumerate() {
        let mut conn = "public".to_owned();
        let body = if let Some(name) = line.strip_prefix('>') {
            conn = name.to_owned();
            Body::Open
        } else if let Some(name) = line.strip_prefix('<') {
            conn = name.to_owned();
            Body::Close
        } else if let Some((path, text)) = line.strip_prefix('?').and_then(|l| l.split_once('\t')) {
            conn = BACKFILL.to_owned();
            Body::Rest { path: path.to_owned(), text: text.to_owned() }
        } else if let Some((name, text)) = line.strip_prefix('@').and_then(|l| l.split_once('\t')) {
            conn = name.to_owned();
            Body::Ws(text.to_owned())
        } else {
            Body::Ws(line.to_owned())
        };
        let frame = RawFrame { recv: n as i64, venue, conn: conn.into(), body };
        translator.take(&frame, &mut events);
    }
    translator.finish(&mut events);
    events.iter().for_each(check);
}

/// An event makes sense on its own.
fn check(event: &MarketEvent) {
    assert!(event.has_sane_time(), "{event:?}");
    let positive = |price: Price| assert!(price.is_positive(), "{event:?}");
    match &event.kind {
        EventKind::Trade(t) => {
            positive(t.price);
            assert!(t.qty.is_positive(), "{event:?}");
        }
        EventKind::Liquidation(l) => {
            positive(l.price);
            assert!(l.qty.is_positive(), "{event:?}");
        }
        EventKind::Mark(m) => positive(m.price),
        EventKind::OpenInterest(qty) => assert!(*qty >= Qty::ZERO, "{event:?}"),
        EventKind::Candle(c) => {
            if let Some(ohlc) = c.ohlc {
                positive(ohlc.low);
                assert!(ohlc.low <= ohlc.open && ohlc.open <= ohlc.high, "{event:?}");
                assert!(ohlc.low <= ohlc.close && ohlc.close <= ohlc.high, "{event:?}");
            }
        }
        EventKind::Book(book) => {
            assert!(book.bids.windows(2).all(|w| w[0].0 > w[1].0), "{event:?}");
            assert!(book.asks.windows(2).all(|w| w[0].0 < w[1].0), "{event:?}");
            if let (Some(bid), Some(ask)) = (book.bids.first(), book.asks.first()) {
                assert!(bid.0 < ask.0, "crossed: {event:?}");
            }
            assert!(book.bids.iter().chain(&book.asks).all(|(p, q)| p.is_positive() && q.is_positive()));
        }
        EventKind::Gap(gap) => assert!(gap.from < gap.to, "{event:?}"),
        EventKind::Instrument(_) | EventKind::LiquidationBar(_) | EventKind::Position(_) => {}
    }
}

/// Updates of three bytes (side, price, quantity) against a plain list.
pub fn book(data: &[u8]) {
    let mut book = OrderBook::default();
    let mut model: [[i128; 256]; 2] = [[0; 256]; 2];
    for update in data.chunks_exact(3) {
        let (side, at, qty) = (usize::from(update[0] & 1), update[1], i128::from(update[2] % 4));
        let name = [BookSide::Bid, BookSide::Ask][side];
        book.set(name, Price::from_raw(i128::from(at) + 1), Qty::from_raw(qty));
        model[side][usize::from(at)] = qty;
        let event = book.to_event();
        let rows = |side: usize| (0..256).filter(move |at| model[side][*at] > 0).map(move |at| (at as i128 + 1, model[side][at]));
        let raw = |rows: &[(Price, Qty)]| rows.iter().map(|(p, q)| (p.raw(), q.raw())).collect::<Vec<_>>();
        let mut bids: Vec<_> = rows(0).collect();
        bids.reverse();
        assert_eq!(raw(&event.bids), bids);
        assert_eq!(raw(&event.asks), rows(1).collect::<Vec<_>>());
    }
}
