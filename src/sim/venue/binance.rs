//! Binance USD-M futures: its streams, frames and REST answers as `exchanges.md` §3 documents them.
//!
//! Left out: tickers and partial books by stream, candles other than one minute by stream, anything signed.

pub use crate::sim::contracts::binance as contracts;
pub(crate) mod frames;
pub(crate) mod limits;
mod rest;
mod socket;
pub mod streams;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse as _, Response};

use self::limits::{Limits, Refused};
use self::streams::{Pace, Stream};
use super::{Encoder, Farewell, VenueId};
use crate::sim::exchange;
use crate::sim::history::History;
use crate::sim::hub::{Kind, Rows};
use crate::sim::listing::Event;
use crate::sim::trouble::KeepAlive;
use crate::sim::world::tick::Forced;

/// The simulated Binance.
type Exchange = exchange::Exchange<Binance>;

/// What Binance remembers beside its markets.
#[derive(Debug, Default)]
pub(crate) struct Binance {
    limits: Limits,
}

impl Encoder for Binance {
    const VENUE: VenueId = VenueId::Binance;
    /// exchanges.md §1.5.
    const KEEP_ALIVE: KeepAlive = KeepAlive {
        ping: Some(Duration::from_secs(180)),
        silence: Duration::from_secs(600),
        life: Some(Duration::from_secs(24 * 3_600)),
        inbound: Some(10),
    };
    const FAREWELL: Farewell = Farewell::Close;
    type Stream = Stream;
    type Talk = socket::Conversation;

    fn router() -> Router<Arc<Exchange>> {
        rest::router().merge(socket::router())
    }

    fn tell(exchange: &Exchange, symbol: usize, history: &History, event: &Event<'_>) {
        let (hub, contract) = (&exchange.hub, history.contract);
        match *event {
            Event::Print(print) => {
                hub.publish(Stream::AggTrade(symbol), Kind::Trade, || frames::agg_trade(contract, print));
                // Numbered by its own time, whatever the venue's clock says.
                let at = history.last().map_or(print.ms, |p| p.ms);
                let touch = || frames::book_ticker(contract, print, &history.book(at), at);
                hub.publish(Stream::BookTicker(symbol), Kind::Ticker, touch);
                hub.publish(Stream::AllBookTickers, Kind::Ticker, touch);
            }
            Event::Book { at, ms } => {
                for pace in Pace::ALL.into_iter().filter(|pace| at % pace.ms() == 0) {
                    hub.publish(Stream::Depth(symbol, pace), Kind::Book, || {
                        frames::depth_update(history, at - pace.ms(), at, ms)
                    });
                }
            }
            Event::Bar { bar, ms, closed } => {
                let rows = Rows::of(Kind::Candle, usize::from(closed));
                hub.publish_rows(Stream::Kline(symbol), || (rows, frames::kline(contract, bar, ms, closed)));
            }
            Event::Second(tick) => {
                let seconds = tick.end_ms / 1_000;
                let mark = || frames::mark_price(contract, tick);
                hub.publish(Stream::MarkPrice1s(symbol), Kind::Mark, mark);
                if seconds % 3 == 0 {
                    hub.publish(Stream::MarkPrice(symbol), Kind::Mark, mark);
                }
                if let Some(forced) = largest(&tick.forced) {
                    let row = || frames::force_order(contract, forced, tick.end_ms);
                    hub.publish(Stream::ForceOrder(symbol), Kind::Liquidation, row);
                    hub.publish(Stream::AllForceOrders, Kind::Liquidation, row);
                    // Both exchanges share this stream; now and then the other one speaks.
                    if seconds % 5 == 0 {
                        hub.publish_rows(Stream::AllForceOrders, || {
                            (Rows::NONE, frames::coin_force_order(contract, forced, tick.end_ms))
                        });
                    }
                }
            }
        }
    }

    fn second(exchange: &Exchange, ms: i64) {
        let all = || all_marks(exchange, ms);
        exchange.hub.publish_rows(Stream::AllMarkPrices1s, all);
        if ms % 3_000 == 0 {
            exchange.hub.publish_rows(Stream::AllMarkPrices, all);
        }
    }

    fn too_many(retry_after: u64) -> Response {
        rest::Refusal::Limit(Refused { banned: false, retry_after }).into_response()
    }
}

/// An array of marks, now and then with one of the COIN-M exchange, which is not counted.
fn all_marks(exchange: &Exchange, ms: i64) -> (Rows, String) {
    let (mut rows, mut ours) = (Vec::new(), 0);
    exchange.each(ms, |view| {
        if exchange.is_trading(view.contract) {
            rows.push(frames::mark_price(view.contract, &view.history.now));
            ours += 1;
        }
        if view.index == 0 && ms % 5_000 == 0 {
            rows.push(frames::coin_mark_price(view.contract, &view.history.now));
        }
    });
    (Rows::of(Kind::Mark, ours), format!("[{}]", rows.join(",")))
}

/// The forced close of a second that is printed: at most one a symbol, the largest (exchanges.md §1.2).
pub(crate) fn largest(forced: &[Forced]) -> Option<&Forced> {
    forced.iter().max_by_key(|f| f.largest)
}
