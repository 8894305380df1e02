//! Bytes from outside to market events: sockets, REST, recordings.
//!
//! Every source hands [`frame::RawFrame`]s to one merger. The merger writes each to the capture, if one is wanted, in the
//! order in which it consumes them; runs it through the venue's [`translate::Translator`], which is deterministic and knows no
//! clock; and sends the events on over a bounded channel. A replay of the capture feeds the same frames through the same
//! translator, so its events are the same, in the same order.
//!
//! ```text
//! session (one a socket) ──┐
//! backfill, poll (REST) ───┼─► merge ─► capture
//! recording (a file) ──────┘     └────► translate + venue ─► FeedItem
//! ```

mod backoff;
mod board;
pub mod capture;
mod driver;
pub mod frame;
pub mod instruments;
mod merge;
pub mod net;
pub mod recording;
pub mod rest;
mod series;
mod session;
pub mod status;
pub mod translate;
pub mod venue;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::market::{Asset, MarketEvent, Venue};
use capture::Capture;
use net::ProxyEnv;
use status::VenueStatus;

/// What a feed hands on.
#[derive(Debug, Clone)]
pub enum FeedItem {
    /// Events in the one order that recorder and engine share.
    Events(Vec<MarketEvent>),
    /// How the feed is doing.
    Status(VenueStatus),
    /// The assets a user may pick, best known first.
    Assets(Vec<Asset>),
}

/// Where Binance is; `exchanges.md` §1.1 and §3.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinanceConfig {
    /// Base of the `/market` route.
    pub ws_market: String,
    /// Base of the `/public` route.
    pub ws_public: String,
    /// Base of REST calls.
    pub rest: String,
    /// Streams of the `/public` route to record beside the rest, such as `depth@100ms`; they give no events.
    pub record_public: Vec<String>,
}

impl Default for BinanceConfig {
    fn default() -> Self {
        Self {
            ws_market: "wss://fstream.binance.com/market".into(),
            ws_public: "wss://fstream.binance.com/public".into(),
            rest: "https://fapi.binance.com".into(),
            record_public: Vec::new(),
        }
    }
}

/// What a feed needs to know. The times are here so that tests can shrink them.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedConfig {
    /// Where Binance is.
    pub binance: BinanceConfig,
    /// Which proxy to use: [`ProxyEnv::from_env`], or none, which is the default.
    pub proxy: ProxyEnv,
    /// Longest time to open a socket or wait for a REST answer.
    pub timeout: Duration,
    /// How long a stream that should speak may be silent after connecting: on a wrong route Binance is silent without
    /// any error (`exchanges.md` §3.1).
    pub first_data: Duration,
    /// How long a stream with a beat of its own (mark price, each second) may fall silent.
    pub idle: Duration,
    /// How long trades and candles may: a small coin can trade rarely.
    pub idle_trades: Duration,
    /// First wait before trying again.
    pub backoff_first: Duration,
    /// Longest wait before trying again.
    pub backoff_most: Duration,
    /// When to relieve a connection by a new one; Binance cuts at 24 h (`exchanges.md` §1.5).
    pub planned_reconnect: Duration,
    /// How long old and new connection run side by side once the new one speaks.
    pub overlap: Duration,
    /// How often open interest is asked for.
    pub oi_poll: Duration,
    /// How much history is fetched at the start.
    pub backfill: Duration,
    /// How long live data wait for history before they go on without.
    pub backfill_patience: Duration,
    /// How long to wait when the venue refuses this place.
    pub blocked_retry: Duration,
    /// How often a status may be sent.
    pub status_every: Duration,
    /// Frames that may wait between sockets and merger before sockets are left unread.
    pub queue: usize,
}

impl Default for FeedConfig {
    fn default() -> Self {
        Self {
            binance: BinanceConfig::default(),
            proxy: ProxyEnv::default(),
            timeout: Duration::from_secs(15),
            first_data: Duration::from_secs(15),
            idle: Duration::from_secs(30),
            idle_trades: Duration::from_secs(120),
            backoff_first: Duration::from_millis(500),
            backoff_most: Duration::from_secs(30),
            planned_reconnect: Duration::from_secs(23 * 3600),
            overlap: Duration::from_secs(2),
            oi_poll: Duration::from_secs(5),
            backfill: Duration::from_secs(2 * 86_400),
            backfill_patience: Duration::from_secs(90),
            blocked_retry: Duration::from_secs(300),
            status_every: Duration::from_millis(250),
            queue: 16_384,
        }
    }
}

/// Follows an asset on the venues until stopped, or until nobody listens any more.
///
/// Trouble with a venue is told by [`FeedItem::Status`] and tried again; it does not end the feed. The error is a venue
/// without an adapter, or a client that cannot be built.
pub async fn run(
    config: Arc<FeedConfig>,
    venues: &[Venue],
    asset: Asset,
    out: mpsc::Sender<FeedItem>,
    capture: Option<Capture>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let net = Arc::new(net::Net::new(&config)?);
    let mut links = Vec::new();
    // Whatever ends the merger (stop, or nobody listening) ends sockets and drivers too.
    let stop = stop.child_token();
    let _ended = stop.clone().drop_guard();
    let mut tasks = tokio::task::JoinSet::new();
    for &name in venues {
        let adapter =
            venue::adapter(name, &config).ok_or_else(|| anyhow::anyhow!("no adapter for venue {name}"))?;
        let (driver, link) =
            driver::pair(Arc::clone(&config), Arc::clone(&net), adapter, asset, stop.clone())?;
        links.push(link);
        tasks.spawn(driver.run());
    }
    merge::run(&config, links, out, capture, stop).await;
    tasks.shutdown().await;
    Ok(())
}
