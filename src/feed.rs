//! Bytes from outside to market events: sockets, REST, recordings.

pub mod status;

use crate::market::{Asset, MarketEvent};
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
