//! Hyperliquid perpetuals: where to connect and what to ask (`exchanges.md` §6). [`wire`] reads what comes back.

mod contact;
mod history;
pub mod margin;
mod stream;
pub mod wire;

use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;

use crate::feed::contact::Contact;
use crate::feed::instruments::Listing;
use crate::feed::{FeedConfig, HyperliquidConfig};
use crate::market::{Sampled, Venue};

use super::{Adapter, Answer, ConnSpec, KeepAlive, Nature, Pool, Reading, Request, Shared, StreamSpec};
pub(super) use history::guess;

/// The name in events and configuration.
pub const NAME: &str = "hyperliquid";

/// The server closes a connection that is silent for 60 s (§6.1).
const PING: Duration = Duration::from_secs(30);

/// How often the fast book comes (§6.2).
const BEAT: Duration = Duration::from_millis(500);

/// Where Hyperliquid is and what to ask of it.
pub struct Hyperliquid {
    venue: Venue,
    config: HyperliquidConfig,
    first: Duration,
    idle: Duration,
    idle_trades: Duration,
    pong: Duration,
}

impl Hyperliquid {
    /// Over its part of the configuration.
    pub fn new(config: &FeedConfig) -> Self {
        Self {
            venue: name(),
            config: config.hyperliquid.clone(),
            first: config.first_data,
            idle: config.idle,
            idle_trades: config.idle_trades,
            pong: config.pong,
        }
    }
}

/// [`NAME`] as a venue.
fn name() -> Venue {
    NAME.parse().unwrap_or_else(|_| unreachable!("a short lower-case name"))
}

impl Adapter for Hyperliquid {
    fn venue(&self) -> Venue {
        self.venue
    }

    fn title(&self) -> &'static str {
        "Hyperliquid"
    }

    fn rest_bases(&self) -> Vec<String> {
        vec![self.config.rest.clone()]
    }

    /// 80 % of 1200 a minute, as other programs on this address use the same pool (§6.1).
    fn pool(&self) -> Pool {
        Pool { weight: 960, per: Duration::from_secs(60) }
    }

    /// There is no public feed (§6.3).
    fn liquidations(&self) -> Option<Sampled> {
        None
    }

    fn directory(&self) -> Vec<Request> {
        vec![history::contexts()]
    }

    fn read_directory(&self, answers: &[Answer]) -> anyhow::Result<Reading> {
        let (_, text) = answers.first().context("no answer")?;
        let directory = history::directory(text).map_err(anyhow::Error::msg);
        directory.map(Reading::Done).context("metaAndAssetCtxs cannot be read")
    }

    fn clock(&self, listing: &Listing) -> Request {
        history::clock(&listing.symbol)
    }

    fn read_clock(&self, text: &str) -> Option<i64> {
        #[derive(Deserialize)]
        struct Clock {
            time: i64,
        }
        serde_json::from_str(text).ok().map(|c: Clock| c.time)
    }

    /// One subscription a message, and ten sockets for an address: instruments share one (§6.1).
    ///
    /// Two books: the fast one (5 levels, every 0.5 s) tells the venue's time, which contexts do not carry. At full
    /// precision even 20 levels reach only a few bp from the mid price, so depth is taken from 20 levels of
    /// three significant figures: each 0.1 % to 1 % of the price wide, they reach 2 % and more, every 5 s.
    fn connections(&self, listing: &Listing) -> Vec<ConnSpec> {
        let coin = history::quoted(&listing.symbol);
        let streams = [
            ("l2Book", r#","fast":true"#),
            ("trades", ""),
            ("activeAssetCtx", ""),
            ("candle", r#","interval":"1m""#),
            ("l2Book", r#","nSigFigs":3"#),
        ];
        let ask = |method: &str| {
            let text = |(kind, more): &(&str, &str)| {
                format!(r#"{{"method":"{method}","subscription":{{"type":"{kind}","coin":{coin}{more}}}}}"#)
            };
            streams.iter().map(text).collect::<Vec<_>>()
        };
        let stream = |name, first, idle, cadence| StreamSpec { name, first, idle, cadence };
        vec![ConnSpec {
            name: "public".into(),
            urls: vec![self.config.ws.clone()],
            hello: ask("subscribe"),
            again: Vec::new(),
            keep_alive: Some(KeepAlive {
                // Where silence is not to last long, a dead link is not to stay unnoticed either.
                every: PING.min(self.idle),
                text: r#"{"method":"ping"}"#.into(),
                patience: self.pong,
            }),
            streams: vec![
                stream("l2Book", Some(self.first), Some(self.idle.max(3 * BEAT)), Some(BEAT)),
                // The first frame is history and comes at once, however rarely the coin trades (§6.2).
                stream("trades", Some(self.first), Some(self.idle_trades), None),
                stream("activeAssetCtx", Some(self.first), Some(self.idle), None),
                // Nothing says that a bar comes before the coin trades.
                stream("candle", None, Some(self.idle_trades), None),
            ],
            shared: Some(Shared { name: listing.symbol.to_string(), goodbye: ask("unsubscribe") }),
        }]
    }

    /// The minutes; and at the start the contexts, for mark price, funding and the first reading of open interest, of
    /// which there is no history (§1.3). Funding rates of the past are not asked for: they come without a price.
    fn history(&self, listing: &Listing, from: i64, now: i64, fresh: bool) -> Vec<Request> {
        let candles = history::candles(&listing.symbol, from, now);
        candles.into_iter().chain(fresh.then(history::contexts)).collect()
    }

    fn stream_of(&self, text: &str) -> Option<&'static str> {
        const NAMES: [&str; 4] = ["trades", "l2Book", "activeAssetCtx", "candle"];
        let channel = stream::channel(text)?;
        NAMES.into_iter().find(|n| *n == channel)
    }

    fn nature(&self, text: &str) -> Nature {
        if stream::channel(text) == Some("pong") { Nature::Pong } else { Nature::Data }
    }

    fn addressee<'a>(&self, text: &'a str) -> Option<&'a str> {
        stream::coin(text)
    }

    fn contact(&self, _listing: &Listing) -> Box<dyn Contact> {
        Box::new(contact::FirstContact::default())
    }
}

#[cfg(test)]
mod tests;
