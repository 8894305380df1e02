//! Binance USD-M futures: where to connect and what to ask (`exchanges.md` §3). [`wire`] reads what comes back.

mod contact;
mod depth;
mod history;
pub mod margin;
mod stream;
pub mod wire;

use std::borrow::Cow;
use std::time::Duration;

use anyhow::Context;

use crate::feed::contact::Contact;
use crate::feed::instruments::{Listing, percent_encode};
use crate::feed::{BinanceConfig, FeedConfig};
use crate::market::{Sampled, Venue};

use super::{Adapter, Answer, ConnSpec, Pool, Reading, Request, StreamSpec};
use history::ServerTime;

/// The name in events and configuration.
pub const NAME: &str = "binance";

/// Where Binance is and what to ask of it.
pub struct Binance {
    venue: Venue,
    config: BinanceConfig,
    first: Duration,
    idle: Duration,
    idle_trades: Duration,
}

impl Binance {
    /// Over its part of the configuration.
    pub fn new(config: &FeedConfig) -> Self {
        Self {
            venue: name(),
            config: config.binance.clone(),
            first: config.first_data,
            idle: config.idle,
            idle_trades: config.idle_trades,
        }
    }
}

/// [`NAME`] as a venue.
fn name() -> Venue {
    NAME.parse().unwrap_or_else(|_| unreachable!("a short lower-case name"))
}

impl Adapter for Binance {
    fn venue(&self) -> Venue {
        self.venue
    }

    fn title(&self) -> &'static str {
        "Binance"
    }

    fn rest_bases(&self) -> Vec<String> {
        vec![self.config.rest.clone()]
    }

    /// 80 % of 2400 a minute, as other programs on this address use the same pool (§3.4).
    fn pool(&self) -> Pool {
        Pool { weight: 1_920, per: Duration::from_secs(60) }
    }

    /// At most one a second and symbol, the largest since 2026-04-14 (§1.2).
    fn liquidations(&self) -> Option<Sampled> {
        Some(Sampled::Largest)
    }

    fn directory(&self) -> Vec<Request> {
        vec![Request::get("/fapi/v1/exchangeInfo", 1)]
    }

    fn read_directory(&self, answers: &[Answer]) -> anyhow::Result<Reading> {
        let (_, text) = answers.first().context("no answer")?;
        let mut directory = history::directory(text).context("exchangeInfo cannot be read")?;
        let Some((_, day)) = answers.get(1) else {
            // All symbols at once cost 40 (§3.4).
            return Ok(Reading::More(vec![Request::get("/fapi/v1/ticker/24hr", 40)]));
        };
        history::add_volumes(&mut directory, day);
        Ok(Reading::Done(directory))
    }

    fn clock(&self, _listing: &Listing) -> Request {
        Request::get("/fapi/v1/time", 1)
    }

    fn read_clock(&self, text: &str) -> Option<i64> {
        serde_json::from_str(text).ok().map(|t: ServerTime| t.server_time)
    }

    /// Streams go to their route; on the wrong one they are silent (§3.1). They stand in the URL, so that no subscribe
    /// message can be lost or refused.
    fn connections(&self, listing: &Listing) -> Vec<ConnSpec> {
        let symbol = percent_encode(&listing.symbol.to_lowercase());
        let conn = |name: &'static str, base: &str, streams: Vec<StreamSpec>| {
            let names: Vec<_> = streams.iter().map(|s| format!("{symbol}@{}", s.name)).collect();
            ConnSpec {
                name: Cow::Borrowed(name),
                urls: vec![format!("{}/stream?streams={}", base.trim_end_matches('/'), names.join("/"))],
                hello: Vec::new(),
                again: Vec::new(),
                // Protocol pings only (§1.5).
                keep_alive: None,
                streams,
                shared: None,
            }
        };
        let stream = |name, idle| StreamSpec { name, first: Some(self.first), idle, cadence: None };
        let market = vec![
            stream("aggTrade", Some(self.idle_trades)),
            stream("markPrice@1s", Some(self.idle)),
            stream("kline_1m", Some(self.idle_trades)),
            StreamSpec { name: "forceOrder", first: None, idle: None, cadence: None },
        ];
        let public = vec![stream("depth@100ms", Some(self.idle_trades))];
        vec![conn("market", &self.config.ws_market, market), conn("public", &self.config.ws_public, public)]
    }

    fn history(&self, listing: &Listing, from: i64, now: i64, fresh: bool) -> Vec<Request> {
        let symbol = percent_encode(&listing.symbol);
        let mut calls = history::requests(&symbol, from, now);
        if fresh {
            calls.push(Request::get(format!("/fapi/v1/premiumIndex?symbol={symbol}"), 1));
        }
        calls.extend(self.poll(listing));
        calls
    }

    /// There is no stream of open interest (§1.3).
    fn poll(&self, listing: &Listing) -> Option<Request> {
        let symbol = percent_encode(&listing.symbol);
        Some(Request::get(format!("/fapi/v1/openInterest?symbol={symbol}"), 1))
    }

    fn stream_of(&self, text: &str) -> Option<&'static str> {
        const NAMES: [&str; 5] = ["aggTrade", "markPrice@1s", "kline_1m", "forceOrder", "depth@100ms"];
        let name = stream::stream_name(text)?;
        NAMES.into_iter().find(|n| *n == name)
    }

    fn contact(&self, _listing: &Listing) -> Box<dyn Contact> {
        Box::new(contact::FirstContact::default())
    }
}
