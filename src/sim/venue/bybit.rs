//! Bybit v5 linear: its topics, frames and REST answers as `exchanges.md` §4 documents them.
//!
//! Left out: candles of the premium, account ratios, insurance and ADL alerts, anything signed. Where the
//! sheet does not say, an answer has the form of its nearest sample: an unknown `op` is refused like a bad topic, and
//! every refused REST parameter has code 10001.

pub(crate) mod frames;
mod limits;
mod rest;
mod socket;
pub(crate) mod ticker;
pub mod topics;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse as _, Response};

use self::limits::Limits;
use self::ticker::{Day, Direction, Ticker};
use self::topics::{Depth, INTERVALS, Topic};
use super::{Encoder, Farewell, VenueId};
use crate::sim::contracts::bybit::COUNT;
use crate::sim::exchange;
use crate::sim::history::{History, MINUTE_MS};
use crate::sim::hub::{Kind, Rows, lock};
use crate::sim::listing::Event;
use crate::sim::trouble::KeepAlive;
use crate::sim::world::tick::Forced;

/// The simulated Bybit.
type Exchange = exchange::Exchange<Bybit>;

/// How often tickers are told, ms.
const TICKER_MS: i64 = 100;
/// How often the running candle is told, ms.
const KLINE_MS: i64 = 1_000;
/// Liquidations are told in batches of this length, ms.
const BATCH_MS: i64 = 500;
/// A touch that does not change is told again after this time, ms.
const TOUCH_MS: i64 = 3_000;
/// "A new snapshot may come any time": here at these times, ms.
const FRESH_MS: i64 = 600_000;

/// What Bybit remembers beside its markets.
#[derive(Debug, Default)]
pub(crate) struct Bybit {
    limits: Limits,
    boards: Mutex<[Board; COUNT]>,
    /// Connections there were.
    connections: AtomicU64,
}

/// What is remembered of a contract.
#[derive(Debug, Default)]
struct Board {
    day: Day,
    /// As it was told last.
    ticker: Option<Ticker>,
    /// When the service was last restarted, true UTC ms: a multiple of every book's pace.
    base: i64,
    /// A restart was ordered and not yet shown.
    restarting: bool,
    /// When `orderbook.1` was told last.
    touch_at: i64,
}

impl Encoder for Bybit {
    const VENUE: VenueId = VenueId::Bybit;
    /// exchanges.md §1.5: the client pings, and who is idle for 10 minutes is cut off.
    const KEEP_ALIVE: KeepAlive =
        KeepAlive { ping: None, silence: Duration::from_secs(600), life: None, inbound: None };
    const FAREWELL: Farewell = Farewell::Stay;
    type Stream = Topic;
    type Talk = socket::Conversation;

    fn router() -> Router<Arc<Exchange>> {
        rest::router().merge(socket::router())
    }

    fn tell(exchange: &Exchange, symbol: usize, history: &History, event: &Event<'_>) {
        let (hub, contract) = (&exchange.hub, history.contract);
        match *event {
            Event::Print(print) => hub.publish_rows(Topic::Trade(symbol), || {
                let direction = Direction::of(history.prints.iter().rev().map(|p| p.ticks));
                // Numbered by its own time, whatever the venue's clock says.
                let at = history.last().map_or(print.ms, |p| p.ms);
                let (count, text) = frames::trades(contract, print, direction, at);
                (Rows::of(Kind::Trade, count), text)
            }),
            Event::Book { at, ms } if at % TICKER_MS == 0 => {
                tell_books(exchange, symbol, history, at, ms);
                // Whole seconds wait for their mark price.
                if at % 1_000 != 0 {
                    tell_ticker(exchange, symbol, history, at, ms);
                }
            }
            Event::Book { .. } => {}
            Event::Bar { bar, ms, closed } => {
                if !closed && (ms - bar.start_ms) % KLINE_MS != 0 {
                    return;
                }
                hub.publish_rows(Topic::Kline(symbol, INTERVALS[0]), || {
                    let text = frames::kline(contract, bar, INTERVALS[0], ms, closed);
                    (Rows::of(Kind::Candle, usize::from(closed)), text)
                });
                let Some(minute) = history.bars.back().map(|b| b.start_ms) else { return };
                let skew = bar.start_ms - minute;
                for interval in &INTERVALS[1..] {
                    let start = minute.div_euclid(interval.ms) * interval.ms;
                    let ends = closed && minute + MINUTE_MS == start + interval.ms;
                    hub.publish_rows(Topic::Kline(symbol, *interval), || {
                        let mut long = history.bars_of(interval.ms, start, start).pop().unwrap_or(*bar);
                        long.start_ms = start + skew;
                        let text = frames::kline(contract, &long, *interval, ms, ends);
                        (Rows::of(Kind::Candle, usize::from(ends)), text)
                    });
                }
            }
            Event::Second(tick) => {
                tell_ticker(exchange, symbol, history, history.now.end_ms, tick.end_ms);
                let half = tick.end_ms - BATCH_MS;
                let (early, late): (Vec<&Forced>, Vec<&Forced>) =
                    tick.forced.iter().partition(|forced| forced.ms <= half);
                for batch in [early, late].iter().filter(|batch| !batch.is_empty()) {
                    hub.publish_rows(Topic::Liquidation(symbol), || {
                        let (count, text) = frames::liquidations(contract, batch, tick.end_ms + 5);
                        (Rows::of(Kind::Liquidation, count), text)
                    });
                }
            }
        }
    }

    /// HTTP 403 (exchanges.md §4.3); its body is these words, nothing tells how long to wait.
    fn too_many(_retry_after: u64) -> Response {
        rest::too_frequent().into_response()
    }

    fn restarted(exchange: &Exchange) {
        lock(&exchange.encoder.boards).iter_mut().for_each(|board| board.restarting = true);
    }
}

fn tell_books(exchange: &Exchange, symbol: usize, history: &History, at: i64, ms: i64) {
    let mut boards = lock(&exchange.encoder.boards);
    let board = &mut boards[symbol];
    let restarts = board.restarting && Depth::ALL.iter().all(|depth| at % depth.pace_ms() == 0);
    if restarts {
        (board.restarting, board.base) = (false, at);
    }
    let base = board.base;
    let fresh = restarts || at % FRESH_MS == 0;
    for depth in [Depth::L50, Depth::L200, Depth::L1000] {
        if at % depth.pace_ms() != 0 {
            continue;
        }
        exchange.hub.publish(Topic::Book(symbol, depth), Kind::Book, || {
            if fresh {
                frames::book_snapshot(history, depth, at, ms, base)
            } else {
                frames::book_delta(history, depth, at, ms, base)
            }
        });
    }
    let (book, before) = (history.book(at), history.book(at - Depth::L1.pace_ms()));
    let touch = |book: &crate::sim::world::book::Book| (book.bids(1), book.asks(1));
    if fresh || at - board.touch_at >= TOUCH_MS || touch(&book) != touch(&before) {
        board.touch_at = at;
        exchange.hub.publish(Topic::Book(symbol, Depth::L1), Kind::Book, || {
            frames::book_snapshot(history, Depth::L1, at, ms, base)
        });
    }
}

fn tell_ticker(exchange: &Exchange, symbol: usize, history: &History, at: i64, ms: i64) {
    let mut boards = lock(&exchange.encoder.boards);
    let board = &mut boards[symbol];
    let now = Ticker::of(history, &mut board.day, at, ms, exchange.trouble.no_open_interest());
    if let Some(before) = board.ticker.replace(now)
        && before != now
    {
        exchange.hub.publish_rows(Topic::Ticker(symbol), || now.delta(&before, at, ms));
    }
}
