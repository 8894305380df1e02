//! Bybit linear perpetuals: where to connect and what to ask (`exchanges.md` §4). [`wire`] reads what comes back.

mod answers;
mod book;
mod contact;
mod history;
mod margin;
mod stream;
mod symbols;
pub mod wire;

use std::borrow::Cow;
use std::time::Duration;

use crate::feed::contact::Contact;
use crate::feed::instruments::Listing;
use crate::feed::{BybitConfig, FeedConfig};
use crate::market::event::is_time;
use crate::market::{Sampled, Venue};

use super::{Adapter, Answer, ConnSpec, KeepAlive, Nature, Pool, Reading, Request, StreamSpec, Verdict};
pub(super) use symbols::guess;

/// The name in events and configuration.
pub const NAME: &str = "bybit";

/// The name of the one connection.
const CONN: &str = "public";

/// Where REST calls go when [`BybitConfig::rest`] is the venue's own and cannot be reached (§4.3).
const SECOND_REST: &str = "https://api.bytick.com";

/// How often we ping; the venue wants it every 20 s (§1.5).
const PING_EVERY: Duration = Duration::from_secs(20);

/// How long to wait when the venue says that we ask too often (§4.3).
const TOO_FREQUENT: Duration = Duration::from_secs(600);

/// The span of the limit on calls (§4.3).
const SPAN: Duration = Duration::from_secs(5);

/// The beat of tickers and of the book (§4.2).
const BEAT: Duration = Duration::from_millis(100);

/// Where Bybit is and what to ask of it.
pub struct Bybit {
    venue: Venue,
    config: BybitConfig,
    first: Duration,
    idle: Duration,
    idle_trades: Duration,
    pong: Duration,
}

impl Bybit {
    /// Over its part of the configuration.
    pub fn new(config: &FeedConfig) -> Self {
        Self {
            venue: NAME.parse().unwrap_or_else(|_| unreachable!("a short lower-case name")),
            config: config.bybit.clone(),
            first: config.first_data,
            idle: config.idle,
            idle_trades: config.idle_trades,
            pong: config.pong,
        }
    }
}

impl Adapter for Bybit {
    fn venue(&self) -> Venue {
        self.venue
    }

    fn title(&self) -> &'static str {
        "Bybit"
    }

    fn rest_bases(&self) -> Vec<String> {
        let mut bases = vec![self.config.rest.clone()];
        if self.config.rest == BybitConfig::default().rest {
            bases.push(SECOND_REST.into());
        }
        bases
    }

    /// 80 % of 600 calls in 5 s, as other programs on this address share the limit (§4.3).
    fn pool(&self) -> Pool {
        Pool { weight: 480, per: SPAN }
    }

    /// The venue says 200 on errors, and 403 both to places it does not serve and to those who ask too often (§4.3).
    fn verdict(&self, status: u16, body: &str) -> Verdict {
        if status == 403 && body.to_ascii_lowercase().contains("too frequent") {
            return Verdict::Slow(TOO_FREQUENT);
        }
        if status != 200 {
            return Verdict::ByStatus;
        }
        match history::refusal(body) {
            None => Verdict::ByStatus,
            Some((10_006, _)) => Verdict::Slow(SPAN),
            Some((code, words)) => Verdict::Refused(format!("{words} (retCode {code})")),
        }
    }

    /// All of them (§1.2).
    fn liquidations(&self) -> Option<Sampled> {
        Some(Sampled::No)
    }

    fn directory(&self) -> Vec<Request> {
        history::directory_calls()
    }

    fn read_directory(&self, answers: &[Answer]) -> anyhow::Result<Reading> {
        history::directory(answers)
    }

    fn terms(&self, listing: &Listing) -> Vec<Request> {
        vec![history::risk_limit(&listing.symbol)]
    }

    fn clock(&self, _listing: &Listing) -> Request {
        Request::get(history::TIME, 1)
    }

    fn read_clock(&self, text: &str) -> Option<i64> {
        history::time(text).ok().filter(|&now| is_time(now))
    }

    /// One socket for all. Bars come every 1 to 60 s, so they are not waited for.
    fn connections(&self, listing: &Listing) -> Vec<ConnSpec> {
        let stream = |name, first, idle, cadence| StreamSpec { name, first, idle, cadence };
        let (first, beat) = (Some(self.first), Some(BEAT));
        let idle = Some(self.idle.max(BEAT * 3));
        let topics = stream::topics(&listing.symbol);
        let alone = |topic: &String| stream::request("subscribe", topic, std::slice::from_ref(topic));
        vec![ConnSpec {
            name: Cow::Borrowed(CONN),
            urls: vec![self.config.ws.clone()],
            hello: vec![stream::request("subscribe", &listing.symbol, &topics)],
            again: topics.iter().map(alone).collect(),
            keep_alive: Some(KeepAlive {
                // Well inside the time after which silence counts.
                every: PING_EVERY.min(self.idle * 2 / 3),
                text: stream::PING.into(),
                patience: self.pong,
            }),
            streams: vec![
                stream(stream::TRADES, first, Some(self.idle_trades), None),
                stream(stream::TICKERS, first, idle, beat),
                stream(stream::BOOK, first, idle, beat),
                stream(stream::KLINES, None, Some(self.idle_trades), None),
                stream(stream::LIQUIDATIONS, None, None, None),
            ],
            shared: None,
        }]
    }

    fn history(&self, listing: &Listing, from: i64, now: i64, fresh: bool) -> Vec<Request> {
        history::requests(&listing.symbol, from, now, fresh)
    }

    fn stream_of(&self, text: &str) -> Option<&'static str> {
        let topic = stream::topic(text)?;
        stream::STREAMS.into_iter().find(|s| topic.strip_prefix(s).is_some_and(|rest| rest.starts_with('.')))
    }

    fn nature(&self, text: &str) -> Nature {
        match text {
            _ if stream::is_pong(text) => Nature::Pong,
            _ if stream::is_refusal_of_all(text) => Nature::Refused,
            _ => Nature::Data,
        }
    }

    fn contact(&self, _listing: &Listing) -> Box<dyn Contact> {
        Box::new(contact::FirstContact::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bybit() -> Bybit {
        Bybit::new(&FeedConfig::default())
    }

    #[test]
    fn a_403_is_a_limit_or_a_refusal_of_the_place_by_its_words() {
        let verdict = |status, body| bybit().verdict(status, body);
        assert_eq!(verdict(403, "403, Access too frequent."), Verdict::Slow(TOO_FREQUENT));
        assert_eq!(
            verdict(403, "<html>The Amazon CloudFront distribution is configured to block access</html>"),
            Verdict::ByStatus
        );
        assert_eq!(verdict(200, r#"{"retCode":0,"retMsg":"OK","result":{},"time":1}"#), Verdict::ByStatus);
        assert_eq!(verdict(200, "{\n \"retCode\": 0 }"), Verdict::ByStatus);
        assert_eq!(verdict(200, r#"{"retCode":10006,"retMsg":"Too many visits!"}"#), Verdict::Slow(SPAN));
        assert_eq!(
            verdict(200, r#"{"retCode":10001,"retMsg":"params error:\u001b[2J symbol invalid"}"#),
            Verdict::Refused("params error:[2J symbol invalid (retCode 10001)".into())
        );
        assert_eq!(verdict(502, "<html>"), Verdict::ByStatus);
    }

    #[test]
    fn frames_are_told_apart_by_their_topic() {
        for (topic, stream) in [
            ("publicTrade.BTCUSDT", Some("publicTrade")),
            ("allLiquidation.BTCUSDT", Some("allLiquidation")),
            ("tickers.BTCUSDT", Some("tickers")),
            ("kline.1.BTCUSDT", Some("kline.1")),
            ("kline.15.BTCUSDT", None),
            ("orderbook.200.BTCUSDT", Some("orderbook.200")),
            ("orderbook.50.BTCUSDT", None),
            ("weather.BTCUSDT", None),
        ] {
            assert_eq!(bybit().stream_of(&format!(r#"{{"topic":"{topic}","data":[]}}"#)), stream);
        }
        assert_eq!(bybit().stream_of(r#"{"success":true}"#), None);
    }

    #[test]
    fn a_refusal_of_all_topics_is_told_from_that_of_one() {
        let refusal = |id: &str, words: &str, op: &str| {
            bybit()
                .nature(&format!(r#"{{"success":false,"ret_msg":"{words}","conn_id":"c",{id}"op":"{op}"}}"#))
        };
        let wrong = "Invalid topic: orderbook.200.BTCUSDT";
        let (all, one) = (r#""req_id":"BTCUSDT","#, r#""req_id":"orderbook.200.BTCUSDT","#);
        // The documented one (§4.1) repeats no name.
        for id in [all, "", r#""req_id":"","#] {
            assert_eq!(refusal(id, wrong, "subscribe"), Nature::Refused, "{id}");
        }
        assert_eq!(refusal(one, wrong, "subscribe"), Nature::Data);
        assert_eq!(refusal(all, wrong, "unsubscribe"), Nature::Data);
        assert_eq!(refusal(all, "error:already subscribed,topic:tickers.BTCUSDT", "subscribe"), Nature::Data);
        let granted = r#"{"success":true,"ret_msg":"","conn_id":"c","req_id":"BTCUSDT","op":"subscribe"}"#;
        assert_eq!(bybit().nature(granted), Nature::Data);
        assert_eq!(bybit().nature(r#"{"success":false,"op":"subscribe""#), Nature::Data);
    }

    #[test]
    fn the_second_address_is_tried_only_beside_the_first_of_the_venue() {
        assert_eq!(bybit().rest_bases(), ["https://api.bybit.com", "https://api.bytick.com"]);
        let config = BybitConfig { rest: "http://127.0.0.1:1".into(), ..BybitConfig::default() };
        let own = Bybit::new(&FeedConfig { bybit: config, ..FeedConfig::default() });
        assert_eq!(own.rest_bases(), ["http://127.0.0.1:1"]);
    }

    #[test]
    fn a_connection_subscribes_pings_and_waits_for_what_has_a_beat() {
        let [conn] = bybit().connections(&symbols::guess("BTCUSDT").unwrap()).try_into().unwrap();
        assert_eq!((conn.hello.len(), conn.again.len()), (1, 5));
        assert_eq!(
            conn.again[4],
            r#"{"req_id":"orderbook.200.BTCUSDT","op":"subscribe","args":["orderbook.200.BTCUSDT"]}"#
        );
        // A connection takes 21,000 characters of topics (§4.1).
        assert!(conn.hello[0].contains("\"req_id\":\"BTCUSDT\"") && conn.hello[0].len() < 21_000);
        let keep_alive = conn.keep_alive.unwrap();
        assert_eq!((keep_alive.every, keep_alive.text.as_str()), (PING_EVERY, r#"{"op":"ping"}"#));
        let steady: Vec<_> = conn.streams.iter().filter(|s| s.first.is_some()).map(|s| s.name).collect();
        assert_eq!(steady, ["publicTrade", "tickers", "orderbook.200"]);
        assert!(conn.streams.iter().all(|s| (s.name == "allLiquidation") == s.idle.is_none()));
    }

    #[test]
    fn the_clock_is_the_time_of_the_answer() {
        let text = r#"{"retCode":0,"retMsg":"OK","result":{"timeSecond":"1688639403","timeNano":"1688639403423213947"},"retExtInfo":{},"time":1688639403423}"#;
        assert_eq!(bybit().read_clock(text), Some(1_688_639_403_423));
        assert_eq!(bybit().read_clock(&text.replace("1688639403423}", "9223372036854775807}")), None);
        assert_eq!(bybit().read_clock("[]"), None);
    }
}
