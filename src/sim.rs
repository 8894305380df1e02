//! Simulated perpetual-futures exchanges: one market per coin, traded on four venues by traders who open, close and
//! get liquidated, each venue served on loopback by the real exchange's REST paths, websocket routes and frames.
//!
//! [`world`] is the market, deterministic and without a clock. [`listing`] gives it a memory ([`history`]) and
//! tells what happens in order of time. [`venue`] puts that into each venue's own bytes, [`hub`] hands them to
//! whoever subscribed, `server` owns the listeners. Two days of history stand behind REST from the start.
//! [`Faults`] make a venue misbehave on order. [`record`](mod@record) runs the market without any of that, into a file, and
//! [`truth`] tells what no exchange tells.
//!
//! ```no_run
//! # async fn demo() -> anyhow::Result<()> {
//! use meltline::sim::{self, Scenario, SimConfig};
//! let stop = tokio_util::sync::CancellationToken::new();
//! let listen = "127.0.0.1:0".parse()?;
//! let config = SimConfig { scenario: Scenario::Cascade, seed: 1, speed: 1.0, listen };
//! let server = sim::start(config, stop.clone()).await?;
//! println!("{:#?}", server.endpoints());
//! stop.cancel();
//! server.stopped().await
//! # }
//! ```

mod clock;
pub mod contracts;
mod exchange;
mod faults;
pub mod history;
pub mod hub;
mod line;
pub mod listing;
mod markets;
pub mod record;
mod server;
mod session;
mod shown;
mod spool;
mod text;
mod trouble;
pub mod truth;
pub mod venue;
pub mod world;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use clock::Clock;
pub use faults::Faults;
use markets::Markets;
use server::{Door, Gate};
use trouble::Trouble;
pub use trouble::{Directory, KeepAlive, Sent};
use venue::{Served, VenueId};
pub use world::scenario::{Scenario, ScenarioError};

/// Fastest clock served: beyond it a client is not shown a market but a flood.
pub const MAX_SPEED: f64 = 1_000.0;

/// What to simulate and where to serve it.
#[derive(Debug, Clone, PartialEq)]
pub struct SimConfig {
    /// The kind of market.
    pub scenario: Scenario,
    /// Same seed, scenario and start time: same market.
    pub seed: u64,
    /// Simulated seconds per second, above 0 and at most `MAX_SPEED`.
    pub speed: f64,
    /// Where Binance listens; the other venues take the next three ports, in the order of [`VenueId::ALL`]. With port 0
    /// each takes a free one.
    pub listen: SocketAddr,
}

/// Starts the simulated exchanges with a clock that begins at the wall's; they accept connections when this returns.
///
/// BTC is simulated at once, the other coins when first asked for. Ends when `stop` is cancelled.
pub async fn start(config: SimConfig, stop: CancellationToken) -> anyhow::Result<SimServer> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    start_at(config, since.as_millis() as i64, stop).await
}

/// As [`start`], with the simulated clock beginning at `start_ms` (UTC ms), so that a run can be repeated.
pub async fn start_at(
    config: SimConfig,
    start_ms: i64,
    stop: CancellationToken,
) -> anyhow::Result<SimServer> {
    let SimConfig { scenario, seed, speed, listen } = config;
    anyhow::ensure!(speed > 0.0 && speed <= MAX_SPEED, "speed must be above 0 and at most {MAX_SPEED}");
    // All ports or none: nothing is served before every listener stands.
    let mut listeners = Vec::with_capacity(VenueId::COUNT);
    for venue in VenueId::ALL {
        listeners.push(bind(listen, venue).await?);
    }
    let markets = Arc::new(Markets::new(Clock::start(start_ms, speed), scenario, seed, stop.clone()));
    let mut services = Vec::with_capacity(VenueId::COUNT);
    let mut ears = [const { None }; VenueId::COUNT];
    for (venue, (listener, addr)) in VenueId::ALL.into_iter().zip(listeners) {
        let (gate, trouble) = (Arc::new(Gate::default()), Arc::new(Trouble::default()));
        let Served { ear, router } = venue::serve(venue, &markets, &trouble);
        ears[venue.index()] = Some(Arc::downgrade(&ear));
        let door = Door::new(listener, Arc::clone(&gate));
        let stopping = stop.clone();
        let served = tokio::spawn(async move {
            axum::serve(door, router).with_graceful_shutdown(stopping.cancelled_owned()).await
        });
        services.push(Service { venue, addr, faults: Faults { gate, trouble, ear }, served });
    }
    markets.tell_to(ears);
    markets.wake(0);
    tokio::spawn(Arc::clone(&markets).pulse());
    Ok(SimServer { markets, services, stop })
}

async fn bind(mut listen: SocketAddr, venue: VenueId) -> anyhow::Result<(TcpListener, SocketAddr)> {
    if listen.port() != 0 {
        let port = listen.port().checked_add(venue.index() as u16);
        listen.set_port(
            port.context("four ports are needed, the first of them too close to the last there is")?,
        );
    }
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen} for {venue}"))?;
    let addr = listener.local_addr().context("the listener has no address")?;
    Ok((listener, addr))
}

/// A venue that is served.
#[derive(Debug)]
struct Service {
    venue: VenueId,
    addr: SocketAddr,
    faults: Faults,
    served: JoinHandle<std::io::Result<()>>,
}

/// Running simulated exchanges.
#[derive(Debug)]
pub struct SimServer {
    markets: Arc<Markets>,
    services: Vec<Service>,
    stop: CancellationToken,
}

/// Where each venue is served: base URLs as a configuration takes them, without a slash at their end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Binance USD-M.
    pub binance: BinanceEndpoints,
    /// Bybit linear.
    pub bybit: PlainEndpoints,
    /// OKX swaps.
    pub okx: OkxEndpoints,
    /// Hyperliquid perpetuals.
    pub hyperliquid: PlainEndpoints,
}

/// Addresses of a venue with one websocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainEndpoints {
    /// Base of the REST paths: `http://127.0.0.1:PORT`.
    pub rest: String,
    /// The websocket, with its path: `ws://127.0.0.1:PORT/v5/public/linear`.
    pub ws: String,
}

/// Addresses of Binance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinanceEndpoints {
    /// Base of the REST paths: `http://127.0.0.1:PORT`.
    pub rest: String,
    /// The market route, without `/stream` or `/ws`: `ws://127.0.0.1:PORT/market`.
    pub ws_market: String,
    /// The public route: `ws://127.0.0.1:PORT/public`.
    pub ws_public: String,
}

/// Addresses of OKX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OkxEndpoints {
    /// Base of the REST paths: `http://127.0.0.1:PORT`.
    pub rest: String,
    /// The public websocket: `ws://127.0.0.1:PORT/ws/v5/public`.
    pub ws_public: String,
    /// The business websocket: `ws://127.0.0.1:PORT/ws/v5/business`.
    pub ws_business: String,
}

impl SimServer {
    /// Where each venue is served.
    pub fn endpoints(&self) -> Endpoints {
        let rest = |venue| format!("http://{}", self.addr_of(venue));
        let ws = |venue, path: &str| format!("ws://{}{path}", self.addr_of(venue));
        Endpoints {
            binance: BinanceEndpoints {
                rest: rest(VenueId::Binance),
                ws_market: ws(VenueId::Binance, "/market"),
                ws_public: ws(VenueId::Binance, "/public"),
            },
            bybit: PlainEndpoints { rest: rest(VenueId::Bybit), ws: ws(VenueId::Bybit, "/v5/public/linear") },
            okx: OkxEndpoints {
                rest: rest(VenueId::Okx),
                ws_public: ws(VenueId::Okx, "/ws/v5/public"),
                ws_business: ws(VenueId::Okx, "/ws/v5/business"),
            },
            hyperliquid: PlainEndpoints {
                rest: rest(VenueId::Hyperliquid),
                ws: ws(VenueId::Hyperliquid, "/ws"),
            },
        }
    }

    fn addr_of(&self, venue: VenueId) -> SocketAddr {
        // One service a venue, in their order.
        self.services[venue.index()].addr
    }

    /// Where Binance listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr_of(VenueId::Binance)
    }

    /// Binance's [`BinanceEndpoints::rest`].
    pub fn rest_url(&self) -> String {
        self.endpoints().binance.rest
    }

    /// Binance's [`BinanceEndpoints::ws_market`].
    pub fn ws_market_url(&self) -> String {
        self.endpoints().binance.ws_market
    }

    /// Binance's [`BinanceEndpoints::ws_public`].
    pub fn ws_public_url(&self) -> String {
        self.endpoints().binance.ws_public
    }

    /// Faults to order of a venue (`"okx"`); `None` if there is no such venue. The handle may outlive the server, then
    /// without effect.
    pub fn faults(&self, venue: &str) -> Option<Faults> {
        self.services
            .iter()
            .find(|service| service.venue.name() == venue)
            .map(|service| service.faults.clone())
    }

    /// Writes the truth behind the markets to a file, in place of what is there, at every quarter of an hour of simulated
    /// time: BTC's from the first on, another coin's once it is simulated. A file that cannot be written any more ends
    /// with one line in the log; the market goes on.
    pub fn write_truth(&self, path: &Path) -> anyhow::Result<()> {
        self.markets.write_truth(spool::Spool::create(path)?);
        Ok(())
    }

    /// Waits for the end: `stop` was cancelled and every connection is closed.
    pub async fn stopped(self) -> anyhow::Result<()> {
        let Self { markets, services, stop } = self;
        let ends = services.into_iter().map(|service| end(service, &stop));
        futures_util::future::try_join_all(ends).await?;
        // Connections that were taken over by websockets have their own two seconds.
        if tokio::time::timeout(GRACE, markets.idle()).await.is_err() {
            tracing::debug!("some simulated connections did not take their farewell");
        }
        tokio::task::spawn_blocking(move || markets.end_truth()).await.context("cannot end the truth")?;
        Ok(())
    }
}

/// How long connections have to take their farewell.
const GRACE: Duration = Duration::from_secs(2);

async fn end(service: Service, stop: &CancellationToken) -> anyhow::Result<()> {
    let Service { venue, faults, mut served, .. } = service;
    let result = tokio::select! {
        result = &mut served => result,
        () = stop.cancelled() => {
            // Connections say goodbye; who does not take it in time is dropped.
            if let Ok(result) = tokio::time::timeout(GRACE, &mut served).await {
                result
            } else {
                faults.gate.kill();
                served.await
            }
        }
    };
    result
        .with_context(|| format!("the simulated {venue} broke"))?
        .with_context(|| format!("the simulated {venue} failed to serve"))
}
