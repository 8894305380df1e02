//! OKX v5 swaps: its channels, frames and REST answers as `exchanges.md` §5 documents them.
//!
//! Left out: candles other than one minute by stream, bars that begin at midnight of UTC+8, ratios of accounts, premium
//! history, insurance fund, links to files, books tick by tick beyond the best level, anything signed. Listed beside the
//! contracts, without a market: an inverse swap and one that is not live, which clients have to pass over.

pub(crate) mod frames;
mod instruments;
pub(crate) mod limits;
pub(crate) mod numbers;
mod rest;
mod socket;
pub mod streams;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::response::Response;

use self::limits::Limits;
use self::numbers::{Numbers, Turn};
use self::streams::Stream;
use super::{Encoder, Farewell, VenueId};
use crate::sim::contracts::okx::COUNT;
use crate::sim::exchange;
use crate::sim::history::History;
use crate::sim::hub::{Kind, Rows, lock};
use crate::sim::listing::Event;
use crate::sim::trouble::KeepAlive;
use crate::sim::world::book::{Book, Change, STEP_MS};
use crate::sim::world::tick::{Forced, Tick};

/// The simulated OKX.
type Exchange = exchange::Exchange<Okx>;

/// A mark price is told again after this long even if it stands still, ms.
const STALE_MARK_MS: i64 = 10_000;
/// A book that nothing happened to is heard of this often, ms.
const HEARTBEAT_MS: i64 = 60_000;

/// What OKX remembers beside its markets; contracts are in their order.
#[derive(Debug, Default)]
pub(crate) struct Okx {
    limits: Limits,
    books: [Mutex<Numbers>; COUNT],
    /// Mark prices told last, in ticks, and when.
    marks: Mutex<[(i64, i64); COUNT]>,
    /// Forced closes that are told a second late, behind younger ones.
    late: Mutex<Vec<(usize, Forced)>>,
    /// Connections made so far.
    connections: AtomicU32,
}

impl Okx {
    /// The number of a contract's book in a state.
    fn book_number(&self, contract: usize, step: i64) -> i64 {
        lock(&self.books[contract]).of(step)
    }

    /// A name for a connection, `a4d3ae55`.
    fn next_connection(&self) -> String {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        format!("{:08x}", 0xa4d3_ae55_u32.wrapping_add(number.wrapping_mul(0x9e37_79b9)))
    }

    /// Which forced closes of a contract are told now: not all of them, some a second late, the youngest first.
    fn forced_now(&self, contract: usize, forced: &[Forced]) -> Vec<Forced> {
        let mut late = lock(&self.late);
        let mut now: Vec<Forced> = late.extract_if(.., |(c, _)| *c == contract).map(|(_, f)| f).collect();
        for forced in forced.iter().filter(|forced| frames::is_told(forced)) {
            if forced.id.is_multiple_of(5) {
                late.push((contract, *forced));
            } else {
                now.push(*forced);
            }
        }
        now.reverse();
        now
    }

    /// Whether a mark price is to be told: it changed, or was not heard of for long.
    fn is_news(&self, contract: usize, ticks: i64, ms: i64) -> bool {
        let mut marks = lock(&self.marks);
        let (last, at) = marks[contract];
        // A clock that is put back makes the last one old, too.
        let news = ticks != last || !(at..at + STALE_MARK_MS).contains(&ms);
        if news {
            marks[contract] = (ticks, ms);
        }
        news
    }
}

impl Encoder for Okx {
    const VENUE: VenueId = VenueId::Okx;
    /// exchanges.md §1.5. A connection on which nothing was said for half a minute, by neither side, is closed.
    const KEEP_ALIVE: KeepAlive =
        KeepAlive { ping: None, silence: Duration::from_secs(30), life: None, inbound: None };
    const SENDING_COUNTS: bool = true;
    const FAREWELL: Farewell = Farewell::Notice;
    type Stream = Stream;
    type Talk = socket::Conversation;

    fn router() -> Router<Arc<Exchange>> {
        rest::router().merge(socket::router())
    }

    fn tell(exchange: &Exchange, contract: usize, history: &History, event: &Event<'_>) {
        let hub = &exchange.hub;
        match *event {
            Event::Print(print) => hub.publish(Stream::Trades(contract), Kind::Trade, || {
                // Numbered by its own time, whatever the venue's clock says.
                let at = history.last().map_or(print.ms, |p| p.ms);
                let seq = exchange.encoder.book_number(contract, at.div_euclid(STEP_MS));
                frames::frame(Stream::Trades(contract), &frames::trade(history.contract, print, seq))
            }),
            Event::Book { at, ms } if at % STEP_MS == 0 => tell_book(exchange, contract, history, at, ms),
            // Candles come at most once a second (exchanges.md §5.2).
            Event::Bar { bar, ms, closed } if ms % 1_000 == 0 => {
                let rows = Rows::of(Kind::Candle, usize::from(closed));
                hub.publish_rows(Stream::Candle(contract), || {
                    let row = frames::candle(history.contract, bar, closed);
                    (rows, frames::frame(Stream::Candle(contract), &row))
                });
            }
            Event::Book { .. } | Event::Bar { .. } => {}
            Event::Second(tick) => tell_second(exchange, contract, history, tick),
        }
    }

    fn too_many(_retry_after_s: u64) -> Response {
        rest::too_many()
    }
}

/// The book has come to its next state at `at` (true UTC ms); `ms` is the venue's own time.
fn tell_book(exchange: &Exchange, contract: usize, history: &History, at: i64, ms: i64) {
    let hub = &exchange.hub;
    let turn =
        lock(&exchange.encoder.books[contract]).turn(at.div_euclid(STEP_MS), exchange.trouble.renumberings());
    let listed = history.contract;
    let (book, before) = (history.book(at), history.book(at - STEP_MS));
    let stream = Stream::Books(contract);
    hub.publish(stream, Kind::Book, || {
        frames::update(stream, listed, &book.since(&before, frames::LEVELS), turn, ms)
    });
    if at % HEARTBEAT_MS == 0 {
        let still = Turn { before: turn.now, now: turn.now };
        hub.publish_rows(stream, || {
            (Rows::NONE, frames::update(stream, listed, &Change::default(), still, ms))
        });
    }
    let stream = Stream::FiveLevels(contract);
    hub.publish(stream, Kind::Book, || {
        frames::frame(stream, &frames::five_levels(listed, &book, turn.now, ms))
    });
    let touch = |book: &Book| (book.bid, book.resting(book.bid), book.resting(book.ask()));
    if touch(&book) != touch(&before) {
        let stream = Stream::BestPrices(contract);
        hub.publish(stream, Kind::Ticker, || {
            frames::frame(stream, &frames::book(listed, &book, 1, turn.now, ms))
        });
    }
    let traded = history.last().is_some_and(|print| print.ms > at - STEP_MS);
    if traded || book.bid != before.bid {
        let stream = Stream::Tickers(contract);
        hub.publish(stream, Kind::Ticker, || frames::frame(stream, &frames::ticker(history, &book, at, ms)));
    }
}

fn tell_second(exchange: &Exchange, contract: usize, history: &History, tick: &Tick) {
    let (hub, listed, ms) = (&exchange.hub, history.contract, tick.end_ms);
    let seconds = ms.div_euclid(1_000);
    if exchange.encoder.is_news(contract, frames::mark_ticks(listed, tick.mark), ms) {
        let stream = Stream::MarkPrice(contract);
        hub.publish(stream, Kind::Mark, || frames::frame(stream, &frames::mark_price(listed, tick.mark, ms)));
    }
    if seconds % 3 == 0 {
        let (stream, empty) = (Stream::OpenInterest(contract), exchange.trouble.no_open_interest());
        hub.publish(stream, Kind::OpenInterest, || {
            let row = frames::open_interest(listed, tick.open_interest, tick.mark, ms, empty);
            frames::frame(stream, &row)
        });
    }
    // After 30 s or after 60 s, by turns (exchanges.md §5.2: 30 to 90 s).
    if seconds % 30 == 0 && (seconds / 30) % 3 != 1 {
        let stream = Stream::FundingRate(contract);
        hub.publish(stream, Kind::Funding, || {
            let settled = history.funding.back().map_or(0.0, |row| row.rate);
            frames::frame(stream, &frames::funding_rate(listed, tick, settled, ms))
        });
    }
    let forced = exchange.encoder.forced_now(contract, &tick.forced);
    if let Some(youngest) = forced.first() {
        hub.publish_rows(Stream::Liquidations, || {
            let mut rows = frames::liquidations(listed, forced.iter());
            // Now and then the inverse swap is in it, too; it is not counted.
            if contract == 0 && seconds % 5 == 0 {
                rows = format!("{},{rows}", frames::inverse_liquidation(listed, youngest));
            }
            (Rows::of(Kind::Liquidation, forced.len()), frames::frame(Stream::Liquidations, &rows))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forced(id: u64, ms: i64) -> Forced {
        Forced { id, ms, side: crate::market::Side::Long, lots: 1, largest: 1, ticks: 1, bankruptcy: 1 }
    }

    #[test]
    fn forced_closes_come_out_of_order_some_late_some_never() {
        let okx = Okx::default();
        let ids = |rows: Vec<Forced>| rows.iter().map(|f| f.id).collect::<Vec<_>>();
        // 15 is late; 3 and 17 are among those that are never told.
        let second: Vec<Forced> = [1, 2, 3, 15].map(|id| forced(id, id as i64)).to_vec();
        assert_eq!(ids(okx.forced_now(0, &second)), [2, 1]);
        assert!(okx.forced_now(1, &[]).is_empty(), "a contract of its own");
        assert_eq!(ids(okx.forced_now(0, &[forced(16, 16), forced(17, 17)])), [16, 15]);
        assert!(okx.forced_now(0, &[]).is_empty());
    }

    #[test]
    fn a_mark_price_that_stands_still_is_told_every_ten_seconds() {
        let okx = Okx::default();
        let told: Vec<i64> = (1..=25).filter(|second| okx.is_news(0, 7, second * 1_000)).collect();
        assert_eq!(told, [1, 11, 21]);
        assert!(okx.is_news(0, 8, 25_200) && !okx.is_news(0, 8, 25_400));
        assert!(okx.is_news(0, 8, 20_000), "the clock was put back");
    }

    #[test]
    fn connections_have_names_of_their_own() {
        let okx = Okx::default();
        let names: Vec<String> = (0..3).map(|_| okx.next_connection()).collect();
        assert_eq!(names[0], "a4d3ae55");
        assert!(names.iter().all(|name| name.len() == 8) && names[1] != names[2]);
    }
}
