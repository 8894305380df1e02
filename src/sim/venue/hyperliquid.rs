//! Hyperliquid perpetuals: its subscriptions, frames and `info` answers as `exchanges.md` §6 documents them. There is
//! no feed of liquidations; trades name both accounts, and the state of each can be asked for.
//!
//! Left out: `fastAssetCtxs`, everything about a user by websocket, books merged into coarser prices, requests by
//! websocket (`post`), other dexes than the first. They are refused like what does not exist.

pub mod accounts;
pub(crate) mod frames;
mod info;
mod limits;
mod numbers;
mod socket;
pub mod topics;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use self::limits::Limits;
use self::topics::{Grain, INTERVALS, Topic};
use super::{Encoder, Farewell, VenueId};
use crate::sim::contracts::hyperliquid::CONTRACTS;
use crate::sim::exchange;
use crate::sim::history::{History, MINUTE_MS};
use crate::sim::hub::{Kind, Rows};
use crate::sim::listing::Event;
use crate::sim::trouble::KeepAlive;
use crate::sim::world::book::STEP_MS;

/// The simulated Hyperliquid.
type Exchange = exchange::Exchange<Hyperliquid>;

/// How often the running candle is told, ms.
const CANDLE_MS: i64 = 1_000;
/// Where in the universe the dead coin is.
const DEAD_PLACE: usize = 3;
/// How often `allMids` is told, ms.
const MIDS_MS: i64 = 2_000;

/// Time between two books, ms (exchanges.md §6.2).
const fn pace_ms(fast: bool) -> i64 {
    if fast { 500 } else { 5_000 }
}

/// What Hyperliquid remembers beside its markets.
#[derive(Debug, Default)]
pub(crate) struct Hyperliquid {
    limits: Limits,
}

impl Encoder for Hyperliquid {
    const VENUE: VenueId = VenueId::Hyperliquid;
    /// exchanges.md §6.1: whoever says nothing for 60 s is cut off.
    const KEEP_ALIVE: KeepAlive =
        KeepAlive { ping: None, silence: Duration::from_secs(60), life: None, inbound: None };
    const FAREWELL: Farewell = Farewell::Close;
    type Stream = Topic;
    type Talk = socket::Conversation;

    fn router() -> Router<Arc<Exchange>> {
        info::router().merge(socket::router())
    }

    fn tell(exchange: &Exchange, coin: usize, history: &History, event: &Event<'_>) {
        let (hub, contract) = (&exchange.hub, history.contract);
        match *event {
            Event::Print(print) => hub.publish_rows(Topic::Trades(coin), || {
                let rows = frames::trades(contract, print);
                let data = format!("[{}]", rows.join(","));
                (Rows::of(Kind::Trade, rows.len()), frames::frame("trades", &data))
            }),
            Event::Book { at, ms } => {
                let book = history.book(at);
                for grain in Grain::ALL {
                    if at % pace_ms(grain == Grain::Fast) == 0 {
                        hub.publish(Topic::Book(coin, grain), Kind::Book, || {
                            frames::frame("l2Book", &frames::book(contract, &book, grain, ms))
                        });
                    }
                }
                let before = history.book(at - STEP_MS);
                let moved = (book.bids(1), book.asks(1)) != (before.bids(1), before.asks(1));
                if at % STEP_MS == 0 && moved {
                    let bbo = || frames::frame("bbo", &frames::bbo(contract, &book, ms));
                    hub.publish(Topic::Bbo(coin), Kind::Ticker, bbo);
                }
            }
            Event::Bar { bar, ms, closed } => {
                if !closed && (ms - bar.start_ms) % CANDLE_MS != 0 {
                    return;
                }
                let Some(minute) = history.bars.back().map(|b| b.start_ms) else { return };
                let skew = bar.start_ms - minute;
                for interval in INTERVALS {
                    hub.publish_rows(Topic::Candle(coin, interval), || {
                        let start = minute.div_euclid(interval.ms) * interval.ms;
                        let mut long = match interval.ms {
                            MINUTE_MS => *bar,
                            ms => history.bars_of(ms, start, start).pop().unwrap_or(*bar),
                        };
                        long.start_ms = start + skew;
                        // Nothing says that a candle is closed, so none is counted.
                        (Rows::NONE, frames::frame("candle", &frames::candle(contract, &long, interval)))
                    });
                }
            }
            Event::Second(_) => {
                let at = history.now.end_ms;
                hub.publish_rows(Topic::Ctx(coin), || active_context(exchange, history, at));
            }
        }
    }

    fn second(exchange: &Exchange, ms: i64) {
        for topic in [Topic::AllCtxs, Topic::AllDexs, Topic::AllMids] {
            if topic != Topic::AllMids || ms % MIDS_MS == 0 {
                exchange.hub.publish_rows(topic, || over_all(exchange, topic, ms));
            }
        }
    }

    /// HTTP 429 (exchanges.md §6.1); nothing tells how long to wait.
    fn too_many(_retry_after: u64) -> Response {
        info::too_many().into_response()
    }
}

/// Rows the contexts of so many coins add up to, if all that is shown in them is new.
fn rows_of(coins: usize, hide_interest: bool) -> Rows {
    let shown = if hide_interest { 0 } else { coins };
    Rows::of(Kind::Mark, coins).and(Kind::Funding, coins).and(Kind::OpenInterest, shown)
}

/// `activeAssetCtx` as of `at` (true UTC ms).
fn active_context(exchange: &Exchange, history: &History, at: i64) -> (Rows, String) {
    let (contract, hide) = (history.contract, exchange.trouble.no_open_interest());
    let trading = exchange.is_trading(contract);
    let context = frames::context(history, at, trading, hide);
    let data = json!({ "coin": contract.symbol, "ctx": context });
    (rows_of(1, hide), frames::frame("activeAssetCtx", &data.to_string()))
}

/// A context for every coin of the universe, in its order. As all that is over all coins, it is only for moments at
/// which nothing else is told.
fn contexts(exchange: &Exchange, at: i64) -> Vec<Value> {
    let (mut contexts, hide) = (Vec::new(), exchange.trouble.no_open_interest());
    exchange.each(at, |view| {
        contexts.push(frames::context(&view.history, at, exchange.is_trading(view.contract), hide));
    });
    universe(contexts, frames::dead_context())
}

/// What is halfway between bid and ask, of every coin that is traded.
fn mids(exchange: &Exchange, at: i64) -> Value {
    let mut mids = serde_json::Map::new();
    exchange.each(at, |view| {
        if exchange.is_trading(view.contract) {
            mids.insert(view.contract.symbol.to_owned(), frames::middle(&view.history.book(at)).into());
        }
    });
    mids.into()
}

/// Puts what is there for the dead coin among what is there for the contracts.
fn universe<T>(mut contracts: Vec<T>, dead: T) -> Vec<T> {
    contracts.insert(contracts.len().min(DEAD_PLACE), dead);
    contracts
}

/// A frame over all coins.
fn over_all(exchange: &Exchange, topic: Topic, at: i64) -> (Rows, String) {
    let (rows, data) = if topic == Topic::AllMids {
        (Kind::Ticker.into(), json!({ "mids": mids(exchange, at) }))
    } else {
        let coins = CONTRACTS.iter().filter(|contract| exchange.is_trading(contract)).count();
        let contexts = contexts(exchange, at);
        let data = match topic {
            Topic::AllDexs => json!({ "ctxs": [["", contexts]] }),
            _ => json!({ "dex": "", "ctxs": contexts }),
        };
        (rows_of(coins, exchange.trouble.no_open_interest()), data)
    };
    (rows, frames::frame(&topic.to_string(), &data.to_string()))
}
