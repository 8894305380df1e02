//! OKX swaps: where to connect and what to ask (`exchanges.md` §5). [`wire`] reads what comes back.

mod contact;
mod depth;
mod history;
mod margin;
mod stream;
pub mod wire;

use std::borrow::Cow;
use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;

use crate::feed::contact::Contact;
use crate::feed::instruments::Listing;
use crate::feed::{FeedConfig, OkxConfig};
use crate::market::{Sampled, Venue};

use super::{
    Adapter, Answer, ConnSpec, Directory, KeepAlive, Nature, Pool, Reading, Request, StreamSpec, Verdict,
};
use history::cost;
pub(super) use history::guess;

/// The name in events and configuration.
pub const NAME: &str = "okx";

/// The connection that carries everything but candles.
const PUBLIC: &str = "public";

/// The connection that carries candles (§5.2).
const BUSINESS: &str = "business";

/// How long to wait when OKX says we ask too much: its windows are two seconds long (`exchanges.md` §5.3).
const SLOW: Duration = Duration::from_secs(5);

/// Where OKX is and what to ask of it.
pub struct Okx {
    venue: Venue,
    config: OkxConfig,
    first: Duration,
    idle: Duration,
    idle_trades: Duration,
    pong: Duration,
}

impl Okx {
    /// Over its part of the configuration.
    pub fn new(config: &FeedConfig) -> Self {
        Self {
            venue: NAME.parse().unwrap_or_else(|_| unreachable!("a short lower-case name")),
            config: config.okx.clone(),
            first: config.first_data,
            idle: config.idle,
            idle_trades: config.idle_trades,
            pong: config.pong,
        }
    }

    fn connection(
        &self,
        name: &'static str,
        url: &str,
        args: &[(&str, &str)],
        streams: Vec<StreamSpec>,
    ) -> ConnSpec {
        ConnSpec {
            name: Cow::Borrowed(name),
            urls: sockets(url),
            hello: vec![subscription("subscribe", args)],
            again: Vec::new(),
            // OKX cuts a connection on which nothing was said for 30 s (§1.5). The patience is ten seconds unless set otherwise,
            // which makes it a ping every 25 s.
            keep_alive: Some(KeepAlive {
                every: (self.pong * 5 / 2).min(Duration::from_secs(25)),
                text: "ping".into(),
                patience: self.pong,
            }),
            streams,
            shared: None,
        }
    }
}

/// A text that begins or ends subscriptions to channels, each about a contract, or about all of them where it names `SWAP` (§5.1).
fn subscription(op: &str, args: &[(&str, &str)]) -> String {
    let arg = |&(channel, about): &(&str, &str)| {
        let key = if about == "SWAP" { "instType" } else { "instId" };
        serde_json::json!({ "channel": channel, key: about })
    };
    let args: Vec<_> = args.iter().map(arg).collect();
    serde_json::json!({ "id": "meltline", "op": op, "args": args }).to_string()
}

/// A socket's addresses. OKX's own port 8443 is said to be retired; it is tried when 443 does not answer (§5.1).
fn sockets(url: &str) -> Vec<String> {
    const OWN: &str = "wss://ws.okx.com/";
    let other = url.strip_prefix(OWN).map(|path| format!("wss://ws.okx.com:8443/{path}"));
    std::iter::once(url.to_owned()).chain(other).collect()
}

impl Adapter for Okx {
    fn venue(&self) -> Venue {
        self.venue
    }

    fn title(&self) -> &'static str {
        "OKX"
    }

    /// Both names are documented for OKX's own service (§5.1).
    fn rest_bases(&self) -> Vec<String> {
        let base = self.config.rest.clone();
        let other = (base == OkxConfig::default().rest).then(|| "https://openapi.okx.com".to_owned());
        std::iter::once(base).chain(other).collect()
    }

    fn pool(&self) -> Pool {
        Pool { weight: cost::POOL, per: Duration::from_secs(2) }
    }

    fn verdict(&self, status: u16, body: &str) -> Verdict {
        #[derive(Deserialize)]
        struct Failure<'a> {
            #[serde(borrow)]
            code: Cow<'a, str>,
            #[serde(borrow)]
            msg: Cow<'a, str>,
        }
        const FINE: &str = r#"{"code":"0""#;
        if status == 429 {
            return Verdict::Slow(SLOW);
        }
        if body.starts_with(FINE) || !body.starts_with('{') {
            return Verdict::ByStatus;
        }
        match serde_json::from_str::<Failure<'_>>(body) {
            Ok(failure) if failure.code == "50011" => Verdict::Slow(SLOW),
            Ok(failure) if failure.code != "0" && status == 200 => {
                Verdict::Refused(format!("{}: {}", failure.code, failure.msg))
            }
            _ => Verdict::ByStatus,
        }
    }

    fn liquidations(&self) -> Option<Sampled> {
        Some(wire::SAMPLED)
    }

    fn directory(&self) -> Vec<Request> {
        [history::INSTRUMENTS, history::TICKERS]
            .map(|path| Request::get(format!("{path}?instType=SWAP"), cost::USUAL))
            .into()
    }

    fn read_directory(&self, answers: &[Answer]) -> anyhow::Result<Reading> {
        let answer =
            |path: &str| answers.iter().find(|(call, _)| call.starts_with(path)).map(|(_, text)| text);
        let text = answer(history::INSTRUMENTS).context("no list of instruments")?;
        let mut listings = history::listings(text).context("instruments cannot be read")?.listings;
        // Volumes only sort the picker: a list without them is still a list.
        let tickers =
            answer(history::TICKERS).and_then(|text| history::tickers(text).ok()).unwrap_or_default();
        for listing in &mut listings {
            listing.day_usd = tickers.rows.get(&listing.symbol).map(|(_, usd)| *usd);
        }
        Ok(Reading::Done(Directory { now: tickers.now, listings }))
    }

    fn terms(&self, listing: &Listing) -> Vec<Request> {
        history::tiers(&listing.symbol).into_iter().collect()
    }

    fn clock(&self, _listing: &Listing) -> Request {
        Request::get(history::TIME, cost::SELDOM)
    }

    fn read_clock(&self, text: &str) -> Option<i64> {
        history::time(text)
    }

    fn connections(&self, listing: &Listing) -> Vec<ConnSpec> {
        let symbol = listing.symbol.as_ref();
        let ms = Duration::from_millis;
        // Cadences: §5.2. A stream with a beat may miss three; books and trades of a small coin may rest for longer.
        let beat = |name, first, cadence: Duration| StreamSpec {
            name,
            first,
            idle: Some(self.idle.max(cadence * 3)),
            cadence: Some(cadence),
        };
        let quiet = |name, cadence| StreamSpec {
            name,
            first: Some(self.first),
            idle: Some(self.idle_trades),
            cadence,
        };
        let public = vec![
            quiet("trades", None),
            quiet("books", Some(ms(100))),
            beat("mark-price", Some(self.first), ms(10_000)),
            beat("open-interest", Some(self.first), ms(3_000)),
            // Nothing says that it speaks before its time has come.
            beat("funding-rate", None, ms(90_000)),
            StreamSpec { name: "liquidation-orders", first: None, idle: None, cadence: None },
        ];
        let business = vec![quiet("candle1m", None)];
        let args = |streams: &[StreamSpec]| -> Vec<(&'static str, &str)> {
            // Liquidations are told for all contracts at once (§5.2).
            let about = |name| if name == "liquidation-orders" { "SWAP" } else { symbol };
            streams.iter().map(|s| (s.name, about(s.name))).collect()
        };
        let (ws_public, ws_business) = (&self.config.ws_public, &self.config.ws_business);
        vec![
            self.connection(PUBLIC, ws_public, &args(&public), public),
            self.connection(BUSINESS, ws_business, &args(&business), business),
        ]
    }

    fn history(&self, listing: &Listing, from: i64, now: i64, fresh: bool) -> Vec<Request> {
        let mut calls = history::requests(&listing.symbol, from, now);
        if fresh {
            calls.extend(history::mark(&listing.symbol));
        }
        calls
    }

    fn stream_of(&self, text: &str) -> Option<&'static str> {
        stream::stream(text)
    }

    fn nature(&self, text: &str) -> Nature {
        match text {
            "pong" => Nature::Pong,
            text if stream::is_restart_notice(text) => Nature::Restart,
            _ => Nature::Data,
        }
    }

    fn contact(&self, listing: &Listing) -> Box<dyn Contact> {
        Box::new(contact::FirstContact::new(listing))
    }
}

#[cfg(test)]
mod tests;
