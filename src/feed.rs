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

pub mod archive;
mod backoff;
mod board;
pub mod book;
mod cache;
pub mod capture;
mod clock;
mod config;
pub mod contact;
mod driver;
pub mod frame;
pub mod instruments;
mod line;
mod merge;
pub mod net;
pub mod probe;
pub mod recording;
pub mod rest;
mod series;
mod session;
pub mod status;
mod tape;
pub mod translate;
mod trunk;
pub mod venue;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::market::{Asset, MarketEvent, Venue};
use capture::Capture;
pub use config::{BinanceConfig, BybitConfig, FeedConfig, HyperliquidConfig, OkxConfig};
use instruments::AssetInfo;
pub use merge::Observer;
use status::VenueStatus;

/// What a feed hands on.
#[derive(Debug, Clone)]
pub enum FeedItem {
    /// Events in the one order that recorder and engine share.
    Events(Vec<MarketEvent>),
    /// How the feed is doing.
    Status(VenueStatus),
    /// The assets a user may pick, best known first.
    Assets(Vec<AssetInfo>),
}

/// Who sees the frames as they are taken.
#[derive(Default)]
pub struct Taps {
    /// Writes them down.
    pub capture: Option<Capture>,
    /// Looks at them, and at the events made of them.
    pub observer: Option<Observer>,
}

impl From<Option<Capture>> for Taps {
    fn from(capture: Option<Capture>) -> Self {
        Self { capture, observer: None }
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
    taps: Taps,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    resume(config, venues, (asset, &[]), out, taps, stop).await
}

/// As [`run`], where it is known of some venues what happened up to a time (UTC ms): history is asked for from there on only.
pub async fn resume(
    config: Arc<FeedConfig>,
    venues: &[Venue],
    (asset, known): (Asset, &[(Venue, i64)]),
    out: mpsc::Sender<FeedItem>,
    taps: Taps,
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
        let known = known.iter().find(|(venue, _)| *venue == name).map(|(_, until)| *until);
        let (driver, link) =
            driver::pair(Arc::clone(&config), Arc::clone(&net), adapter, (asset, known), stop.clone())?;
        links.push(link);
        tasks.spawn(driver.run());
    }
    merge::run(&config, links, out, taps, stop).await;
    tasks.shutdown().await;
    Ok(())
}
