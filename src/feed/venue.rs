//! The venues we speak to, and what each must know: where to connect, what to ask, how to read the answers.

pub mod binance;
mod json;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::market::{Asset, Venue};

use super::FeedConfig;
use super::instruments::Listing;
use super::translate::Translator;

/// A REST call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Path and query, such as `/fapi/v1/time`.
    pub path: String,
    /// What it costs of the venue's limit; 0 for calls that have a limit of their own.
    pub weight: u32,
}

/// A stream a connection carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSpec {
    /// Name as the venue calls it, such as `aggTrade`.
    pub name: &'static str,
    /// How long it may stay silent after connecting; `None` for a stream that speaks only now and then.
    pub first: Option<Duration>,
    /// How long it may fall silent later.
    pub idle: Option<Duration>,
}

/// A socket to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnSpec {
    /// Name in captures: `market`, `public`.
    pub name: Cow<'static, str>,
    /// Where to.
    pub url: String,
    /// Texts to send once connected.
    pub hello: Vec<String>,
    /// Text to send when this long has passed, for venues that want more than protocol pings.
    pub keep_alive: Option<(Duration, String)>,
    /// What it carries.
    pub streams: Vec<StreamSpec>,
}

/// What a venue lists, and its clock.
#[derive(Debug, Clone, PartialEq)]
pub struct Directory {
    /// The venue's own time, UTC ms.
    pub now: i64,
    /// Its perpetuals.
    pub listings: Vec<Listing>,
}

/// A venue: pure knowledge, no I/O, no clock.
pub trait Adapter: Send + Sync {
    /// Its name.
    fn venue(&self) -> Venue;
    /// Its name as people write it.
    fn title(&self) -> &'static str;
    /// Where its REST calls go.
    fn rest_base(&self) -> &str;
    /// The call that lists instruments and tells the venue's time.
    fn directory(&self) -> Request;
    /// Reads that answer.
    fn read_directory(&self, text: &str) -> anyhow::Result<Directory>;
    /// The call that only tells the venue's time.
    fn clock(&self) -> Request;
    /// Reads that answer, UTC ms.
    fn read_clock(&self, text: &str) -> Option<i64>;
    /// The sockets to open for an instrument.
    fn connections(&self, listing: &Listing) -> Vec<ConnSpec>;
    /// The calls that tell what happened from `from` to `now` (UTC ms, the venue's clock); `fresh` at the start of a run.
    fn history(&self, listing: &Listing, from: i64, now: i64, fresh: bool) -> Vec<Request>;
    /// The call to repeat while running.
    fn poll(&self, listing: &Listing) -> Request;
    /// Which of a connection's streams a frame belongs to.
    fn stream_of(&self, text: &str) -> Option<&'static str>;
}

/// The adapter of a venue.
pub fn adapter(venue: Venue, config: &FeedConfig) -> Option<Arc<dyn Adapter>> {
    match venue.as_str() {
        binance::NAME => Some(Arc::new(binance::Binance::new(config))),
        _ => None,
    }
}

/// The translator of a venue's frames, for one asset or for whatever comes.
pub fn translator(venue: Venue, asset: Option<Asset>) -> Option<Translator> {
    match venue.as_str() {
        binance::NAME => Some(Translator::new(Box::new(binance::wire::BinanceWire::new(venue, asset)))),
        _ => None,
    }
}
