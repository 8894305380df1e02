//! A simulated perpetual-futures exchange: markets with traders who open, close and get liquidated, served on
//! loopback by the real exchange's REST paths, websocket routes and frames.
//!
//! [`world`] is the market, deterministic and without a clock. [`listing`] gives it a memory ([`history`]) and
//! tells what happens in order of time. [`venue`] puts that into a venue's own bytes, [`hub`] hands them to
//! whoever subscribed, `server` owns the listener. Two days of history stand behind REST from the start.
//!
//! ```no_run
//! # async fn demo() -> anyhow::Result<()> {
//! use meltline::sim::{self, Scenario, SimConfig};
//! let stop = tokio_util::sync::CancellationToken::new();
//! let listen = "127.0.0.1:0".parse()?;
//! let config = SimConfig { scenario: Scenario::Cascade, seed: 1, speed: 1.0, listen };
//! let server = sim::start(config, stop.clone()).await?;
//! println!("{} {}", server.rest_url(), server.ws_market_url());
//! stop.cancel();
//! server.stopped().await
//! # }
//! ```

mod clock;
pub mod history;
pub mod hub;
pub mod listing;
mod server;
pub mod venue;
pub mod world;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use clock::Clock;
use server::{Door, Gate};
use venue::binance::Exchange;
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
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// Starts a simulated exchange whose clock begins at the wall's; it accepts connections when this returns.
///
/// BTC is simulated at once, the other contracts when first asked for. Ends when `stop` is cancelled.
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
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let addr = listener.local_addr().context("the listener has no address")?;
    let clock = Clock::start(start_ms, speed);
    let exchange = Arc::new(Exchange::new(clock, scenario, seed, stop.clone()));
    let gate = Arc::new(Gate::default());
    let door = Door::new(listener, Arc::clone(&gate));
    exchange.wake(0);
    tokio::spawn(Arc::clone(&exchange).pulse());
    let router = Arc::clone(&exchange).router();
    let stopping = stop.clone();
    let served = tokio::spawn(async move {
        axum::serve(door, router).with_graceful_shutdown(stopping.cancelled_owned()).await
    });
    Ok(SimServer { addr, faults: Faults { exchange, gate }, stop, served })
}

/// A running simulated exchange.
#[derive(Debug)]
pub struct SimServer {
    addr: SocketAddr,
    faults: Faults,
    stop: CancellationToken,
    served: JoinHandle<std::io::Result<()>>,
}

impl SimServer {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Base of the REST paths: `http://127.0.0.1:PORT`.
    pub fn rest_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Base of the market websocket route, without `/stream` or `/ws`: `ws://127.0.0.1:PORT/market`.
    pub fn ws_market_url(&self) -> String {
        format!("ws://{}/market", self.addr)
    }

    /// Base of the public websocket route: `ws://127.0.0.1:PORT/public`.
    pub fn ws_public_url(&self) -> String {
        format!("ws://{}/public", self.addr)
    }

    /// Faults to order; the handle may outlive the server, then without effect.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// Waits for the end: `stop` was cancelled and every connection is closed.
    pub async fn stopped(self) -> anyhow::Result<()> {
        let Self { faults, stop, mut served, .. } = self;
        let Faults { exchange, gate } = faults;
        let result = tokio::select! {
            result = &mut served => result,
            () = stop.cancelled() => {
                // Connections say goodbye; who does not take it within two seconds is dropped.
                if let Ok(result) = tokio::time::timeout(Duration::from_secs(2), &mut served).await {
                    result
                } else {
                    gate.kill();
                    served.await
                }
            }
        };
        if tokio::time::timeout(Duration::from_secs(2), exchange.idle()).await.is_err() {
            gate.kill();
        }
        result.context("the simulated exchange broke")?.context("the simulated exchange failed to serve")
    }
}

/// Troubles a client must live with, on order.
#[derive(Debug, Clone)]
pub struct Faults {
    exchange: Arc<Exchange>,
    gate: Arc<Gate>,
}

impl Faults {
    /// Breaks every open connection, REST and websocket, without a farewell. New ones are accepted.
    pub fn kill_connections(&self) {
        self.gate.kill();
    }

    /// While set, new connections are dropped as soon as they are made.
    pub fn refuse(&self, refuse: bool) {
        self.gate.refuse(refuse);
    }

    /// Silences every stream whose name ends so (`@aggTrade`, `btcusdt@markPrice@1s`) on live connections.
    pub fn mute(&self, stream_suffix: &str) {
        self.exchange.hub.mute(stream_suffix);
    }

    /// Lets all streams speak again.
    pub fn unmute(&self) {
        self.exchange.hub.unmute();
    }

    /// Answers the next `n` REST requests with 429 and `Retry-After`.
    pub fn rate_limit_next(&self, n: u32, retry_after_secs: u64) {
        self.exchange.limits.refuse_next(n, retry_after_secs);
    }

    /// Answers every REST request with this status and a page of HTML, as 451 and 403 come from the real exchange;
    /// `None` ends it.
    pub fn block(&self, status: Option<u16>) {
        self.exchange.limits.block(status);
    }

    /// Sends this text to every websocket connection as a frame of its own: nonsense, or ten megabytes.
    pub fn inject(&self, text: &str) {
        self.exchange.hub.inject(text);
    }

    /// Breaks off the next write on any connection in its middle, and that connection with it.
    pub fn cut_frame(&self) {
        self.gate.cut_next();
    }
}
