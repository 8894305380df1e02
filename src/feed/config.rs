//! What a feed needs to know: where the venues are, and how patient to be.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::book::BookLimits;
use super::net::ProxyEnv;
use super::rest::Pools;
use super::trunk::Trunks;

/// Where Binance is; `exchanges.md` §1.1 and §3.1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BinanceConfig {
    /// Base of the `/market` route.
    pub ws_market: String,
    /// Base of the `/public` route.
    pub ws_public: String,
    /// Base of REST calls.
    pub rest: String,
}

impl Default for BinanceConfig {
    fn default() -> Self {
        Self {
            ws_market: "wss://fstream.binance.com/market".into(),
            ws_public: "wss://fstream.binance.com/public".into(),
            rest: "https://fapi.binance.com".into(),
        }
    }
}

/// Where Bybit is; `exchanges.md` §1.1 and §4.1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BybitConfig {
    /// The public socket of linear contracts.
    pub ws: String,
    /// Base of REST calls.
    pub rest: String,
}

impl Default for BybitConfig {
    fn default() -> Self {
        Self { ws: "wss://stream.bybit.com/v5/public/linear".into(), rest: "https://api.bybit.com".into() }
    }
}

/// Where OKX is; `exchanges.md` §1.1 and §5.1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OkxConfig {
    /// The public socket.
    pub ws_public: String,
    /// The business socket: candles.
    pub ws_business: String,
    /// Base of REST calls.
    pub rest: String,
}

impl Default for OkxConfig {
    fn default() -> Self {
        Self {
            ws_public: "wss://ws.okx.com/ws/v5/public".into(),
            ws_business: "wss://ws.okx.com/ws/v5/business".into(),
            rest: "https://www.okx.com".into(),
        }
    }
}

/// Where Hyperliquid is; `exchanges.md` §1.1 and §6.1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HyperliquidConfig {
    /// The socket.
    pub ws: String,
    /// Base of REST calls.
    pub rest: String,
}

impl Default for HyperliquidConfig {
    fn default() -> Self {
        Self { ws: "wss://api.hyperliquid.xyz/ws".into(), rest: "https://api.hyperliquid.xyz".into() }
    }
}

/// What a feed needs to know. The times are here so that tests can shrink them.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedConfig {
    /// Where Binance is.
    pub binance: BinanceConfig,
    /// Where Bybit is.
    pub bybit: BybitConfig,
    /// Where OKX is.
    pub okx: OkxConfig,
    /// Where Hyperliquid is.
    pub hyperliquid: HyperliquidConfig,
    /// How much of the books is kept.
    pub book: BookLimits,
    /// Folder in which the venues' lists of instruments are kept between runs; `None` to keep none.
    pub cache: Option<PathBuf>,
    /// Which proxy to use: [`ProxyEnv::from_env`], or none, which is the default.
    pub proxy: ProxyEnv,
    /// What was asked of each venue: shared by all feeds over clones of this configuration.
    pub pools: Pools,
    /// The sockets that several assets share: those of all feeds over clones of this configuration.
    pub trunks: Trunks,
    /// Longest time to open a socket or wait for a REST answer.
    pub timeout: Duration,
    /// How long a stream that should speak may be silent after connecting: on a wrong route Binance is silent without
    /// any error (`exchanges.md` §3.1).
    pub first_data: Duration,
    /// How long a stream with a beat of its own (mark price, each second) may fall silent; a stream whose documented beat is
    /// slower has three beats.
    pub idle: Duration,
    /// How long trades and candles may, before the connection is opened anew: a small coin can trade rarely.
    pub idle_trades: Duration,
    /// The longest time between two texts that keep a connection alive; venues want theirs more often than that.
    pub ping_most: Duration,
    /// How long the answer to a ping may take.
    pub pong: Duration,
    /// First wait before trying again.
    pub backoff_first: Duration,
    /// Longest wait before trying again.
    pub backoff_most: Duration,
    /// When to relieve a connection by a new one; Binance cuts at 24 h (`exchanges.md` §1.5).
    pub planned_reconnect: Duration,
    /// How long old and new connection run side by side once the new one speaks.
    pub overlap: Duration,
    /// How often open interest is asked for where there is no stream of it.
    pub oi_poll: Duration,
    /// How much history is fetched at the start.
    pub backfill: Duration,
    /// How long live data wait for history before they go on without.
    pub backfill_patience: Duration,
    /// How long to wait when the venue refuses this place.
    pub blocked_retry: Duration,
    /// How often the lists of instruments are fetched anew.
    pub relist: Duration,
    /// How soon after a stream fell silent, and at most how often, the venue is asked whether it still lists the asset.
    pub relist_silent: Duration,
    /// How often a status may be sent.
    pub status_every: Duration,
    /// Frames that may wait between sockets and merger before sockets are left unread.
    pub queue: usize,
}

impl Default for FeedConfig {
    fn default() -> Self {
        Self {
            binance: BinanceConfig::default(),
            bybit: BybitConfig::default(),
            okx: OkxConfig::default(),
            hyperliquid: HyperliquidConfig::default(),
            book: BookLimits::default(),
            cache: None,
            proxy: ProxyEnv::default(),
            pools: Pools::default(),
            trunks: Trunks::default(),
            timeout: Duration::from_secs(15),
            first_data: Duration::from_secs(15),
            idle: Duration::from_secs(30),
            idle_trades: Duration::from_secs(120),
            ping_most: Duration::from_secs(60),
            pong: Duration::from_secs(10),
            backoff_first: Duration::from_millis(500),
            backoff_most: Duration::from_secs(30),
            planned_reconnect: Duration::from_secs(23 * 3600),
            overlap: Duration::from_secs(2),
            oi_poll: Duration::from_secs(5),
            backfill: Duration::from_secs(2 * 86_400),
            backfill_patience: Duration::from_secs(90),
            blocked_retry: Duration::from_secs(300),
            relist: Duration::from_secs(86_400),
            relist_silent: Duration::from_secs(60),
            status_every: Duration::from_millis(250),
            queue: 16_384,
        }
    }
}
