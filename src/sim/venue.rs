//! The venues, each in its own wire format: from what happens in the simulated markets to the bytes the real exchange
//! would send.

pub mod binance;
pub mod bybit;
pub mod hyperliquid;
mod interval;
pub mod okx;
#[cfg(test)]
mod shape;

use std::fmt::{self, Debug, Display};
use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::response::Response;

use super::exchange::Exchange;
use super::history::History;
use super::hub::Seat;
use super::listing::Event;
use super::markets::{Ear, Markets};
use super::session::Reply;
use super::trouble::{KeepAlive, Trouble};

/// A venue of the simulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VenueId {
    /// Binance USD-M.
    Binance,
    /// Bybit linear.
    Bybit,
    /// OKX swaps.
    Okx,
    /// Hyperliquid perpetuals.
    Hyperliquid,
}

impl VenueId {
    /// How many there are.
    pub const COUNT: usize = 4;
    /// All of them, in the order of their ports.
    pub const ALL: [Self; Self::COUNT] = [Self::Binance, Self::Bybit, Self::Okx, Self::Hyperliquid];

    /// Place in [`VenueId::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name in events and configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Binance => "binance",
            Self::Bybit => "bybit",
            Self::Okx => "okx",
            Self::Hyperliquid => "hyperliquid",
        }
    }

    /// The venue of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|venue| venue.name() == name)
    }
}

impl Display for VenueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What happens to a connection when the service restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// A close frame.
    Close,
    /// [`Talk::notice`] now, a close frame after the time that was ordered.
    Notice,
    /// Nothing: the venue shows it in its streams.
    Stay,
}

/// A venue's wire format, and what it has to remember for it (made by `Default`).
///
/// To add a venue, implement this and write one line in [`serve`]. A venue gets:
///
/// * its contracts from [`crate::sim::contracts`] (`Exchange::<E>::contracts()`; contracts are named by their index),
/// * every event of its markets through [`Encoder::tell`], in order of time. It answers by
///   `exchange.hub.publish(stream, kind, || payload)`; the payload is written only if someone subscribed, and `kind`
///   (or [`Rows`](super::hub::Rows), for a frame of several rows) goes into the books of account,
/// * history for REST through `exchange.read(contract, |view| …)`: a [`View`](super::exchange::View) with the
///   [`History`] (bars, a day's statistics, open
///   interest, funding, last prints and forced closes, book) and the [`World`](super::world::World)
///   (`holdings(desk)`: positions; a print names the traders among its buyers and sellers).
///   Nothing is published while the closure runs, so a subscription made by `seat.subscribe(…)` and a snapshot taken
///   within it fit together without a hole,
/// * websocket connections through [`session::open`](super::session::open): it keeps the connection alive by the
///   rules of [`Encoder::KEEP_ALIVE`], hands the client's texts to the [`Talk`] and sends what the hub has for it,
/// * books from [`History::book`] (`view.history.book(view.at)`): snapshots by `bids(n)`/`asks(n)`, changes by
///   `book.since(&earlier, n)`. `book.step` (UTC time in 100 ms) is a sequence number without gaps,
/// * numbers as exchanges write them from [`text`](super::text): `price`, `size` (contracts on OKX), `base`, `quote`,
///   `rounded`.
///
/// Most faults need nothing from a venue: those of TCP, silence, holes, doubles, late frames, a wrong clock (times in
/// events and views are already shifted; `exchange.now_ms()` too), 403/451, delisted symbols falling silent, unanswered
/// pings (answer with [`Reply::Pong`]). A venue itself must
///
/// * ask `exchange.trouble.directory()` in its list of instruments (`OneRow`: one row with nonsense for its tick, and
///   pass the whole body through `exchange.trouble.cut_directory(body)`),
/// * leave out what `exchange.is_trading(contract)` denies, or give it another status,
/// * leave open interest empty while `exchange.trouble.no_open_interest()`,
/// * say how it refuses ([`Encoder::too_many`]) and how it restarts ([`Encoder::FAREWELL`], [`Encoder::restarted`]).
///
/// Names of streams (`Display`) are matched by their beginning or end when faults are ordered for them.
pub(crate) trait Encoder: Debug + Default + Send + Sync + Sized + 'static {
    /// Which venue it is.
    const VENUE: VenueId;
    /// How it keeps connections alive.
    const KEEP_ALIVE: KeepAlive;
    /// Whether what is sent to a client keeps its connection alive as well as what it says.
    const SENDING_COUNTS: bool = false;
    /// What it does to connections when it restarts.
    const FAREWELL: Farewell;
    /// A stream clients can subscribe to; its `Display` is the name faults are ordered by.
    type Stream: Copy + Eq + Debug + Display + Send + Sync + 'static;
    /// One connection's conversation.
    type Talk: Talk<Self>;

    /// REST paths and websocket routes.
    fn router() -> Router<Arc<Exchange<Self>>>;

    /// Publishes what happened in the market of a contract. The history is as of this event; times in it are true even
    /// where the venue's clock is wrong, so times come from the event.
    fn tell(exchange: &Exchange<Self>, contract: usize, history: &History, event: &Event<'_>);

    /// Publishes what goes over all contracts at once, after each second (true UTC ms).
    fn second(_exchange: &Exchange<Self>, _ms: i64) {}

    /// The answer to a request too many.
    fn too_many(retry_after_s: u64) -> Response;

    /// The service restarts now.
    fn restarted(_exchange: &Exchange<Self>) {}
}

/// A conversation with a client.
pub(crate) trait Talk<E: Encoder>: Send + Sync + 'static {
    /// The connection is open; streams named in its address are subscribed to here.
    fn greet(&mut self, _seat: &Seat<E::Stream>) -> impl Future<Output = Vec<Reply>> + Send {
        async { Vec::new() }
    }

    /// The client said something.
    fn hear(&mut self, text: &str, seat: &Seat<E::Stream>) -> impl Future<Output = Vec<Reply>> + Send;

    /// A stream's payload as it leaves on this connection; `None`: as it is.
    fn wrap(&self, _stream: E::Stream, _payload: &str) -> Option<String> {
        None
    }

    /// The notice before a restart.
    fn notice(&self) -> String {
        String::new()
    }
}

/// A venue that is served.
pub(crate) struct Served {
    pub ear: Arc<dyn Ear>,
    pub router: Router,
}

/// Makes a venue of the markets.
pub(crate) fn serve(venue: VenueId, markets: &Arc<Markets>, trouble: &Arc<Trouble>) -> Served {
    fn of<E: Encoder>(markets: &Arc<Markets>, trouble: &Arc<Trouble>) -> Served {
        let exchange = Arc::new(Exchange::<E>::new(Arc::clone(markets), Arc::clone(trouble)));
        Served { router: exchange.router(), ear: exchange }
    }
    match venue {
        VenueId::Binance => of::<binance::Binance>(markets, trouble),
        VenueId::Bybit => of::<bybit::Bybit>(markets, trouble),
        VenueId::Okx => of::<okx::Okx>(markets, trouble),
        VenueId::Hyperliquid => of::<hyperliquid::Hyperliquid>(markets, trouble),
    }
}
