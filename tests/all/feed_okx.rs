//! The feed against an OKX on loopback that misbehaves on request, and against OKX's real messages where `MELTLINE_RECORDED`
//! names the folder.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use meltline::feed::book::BookLimits;
use meltline::feed::capture::Capture;
use meltline::feed::frame::{Body, RawFrame};
use meltline::feed::status::LinkState;
use meltline::feed::translate::Translator;
use meltline::feed::venue::translator;
use meltline::feed::{FeedConfig, OkxConfig};
use meltline::market::{EventKind, MarketEvent, TakerSide};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

use crate::feed_exchange::{Listener, first_line, reply};
use crate::feed_live::assert_replays;

const INSTRUMENTS: &str = include_str!("../data/okx/instruments.json");
const TICKERS: &str = include_str!("../data/okx/tickers.json");

/// When the venue's clock starts, UTC ms; a whole five minutes.
const START: i64 = 1_700_000_100_000;

/// What goes wrong on the first public socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    /// Pings are not answered.
    Mute,
    /// An update of the book is swallowed.
    Hole,
    /// The venue says it will close the socket.
    Restart,
    /// Calls are refused with this status.
    Calls(u16),
    /// The clock cannot be asked, and so no history.
    NoClock,
}

/// The venue: a second of its time passes every few ms.
struct Okx {
    address: SocketAddr,
    clock: Arc<AtomicI64>,
    /// What was asked for and sent, in order: paths of calls, and texts of sockets after the socket's path.
    heard: Arc<Mutex<Vec<String>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Okx {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Okx {
    async fn start(trouble: Trouble) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (clock, heard) = (Arc::new(AtomicI64::new(START)), Arc::new(Mutex::new(Vec::new())));
        let ticking = tokio::spawn({
            let clock = Arc::clone(&clock);
            async move {
                let mut beat = tokio::time::interval(Duration::from_millis(5));
                loop {
                    beat.tick().await;
                    clock.fetch_add(1_000, Ordering::SeqCst);
                }
            }
        });
        let accepting = tokio::spawn({
            let (clock, heard) = (Arc::clone(&clock), Arc::clone(&heard));
            async move {
                let mut publics = 0;
                while let Ok((stream, _)) = listener.accept().await {
                    let (clock, heard) = (Arc::clone(&clock), Arc::clone(&heard));
                    let line = first_line(&stream).await;
                    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                    heard.lock().unwrap().push(path.clone());
                    if !path.starts_with("/ws/") {
                        let now = clock.load(Ordering::SeqCst);
                        tokio::spawn(async move { reply(stream, rest(&path, now, trouble)).await });
                        continue;
                    }
                    let first = path.ends_with("/public") && publics == 0;
                    publics += i32::from(path.ends_with("/public"));
                    let trouble = if first { trouble } else { Trouble::None };
                    tokio::spawn(async move {
                        let ws = accept_async(stream).await.unwrap();
                        Socket { ws, path, clock, heard, trouble, seq: 1_000, channels: Vec::new() }
                            .serve()
                            .await;
                    });
                }
            }
        });
        Self { address, clock, heard, tasks: vec![ticking, accepting] }
    }

    fn config(&self) -> FeedConfig {
        let ms = Duration::from_millis;
        FeedConfig {
            okx: OkxConfig {
                ws_public: format!("ws://{}/ws/v5/public", self.address),
                ws_business: format!("ws://{}/ws/v5/business", self.address),
                rest: format!("http://{}", self.address),
            },
            timeout: ms(5_000),
            backoff_first: ms(20),
            backoff_most: ms(100),
            overlap: ms(60),
            backfill: Duration::from_secs(7_200),
            blocked_retry: ms(100),
            status_every: ms(5),
            ..FeedConfig::default()
        }
    }

    /// How many of what was heard so far fit.
    fn count(&self, fits: impl Fn(&str) -> bool) -> usize {
        self.heard.lock().unwrap().iter().filter(|text| fits(text)).count()
    }
}

/// One socket of the venue.
struct Socket {
    ws: WebSocketStream<TcpStream>,
    path: String,
    clock: Arc<AtomicI64>,
    heard: Arc<Mutex<Vec<String>>>,
    trouble: Trouble,
    seq: i64,
    channels: Vec<String>,
}

impl Socket {
    async fn serve(mut self) {
        let mut beat = tokio::time::interval(Duration::from_millis(5));
        let mut beats = 0;
        loop {
            let texts = tokio::select! {
                message = self.ws.next() => {
                    let Some(Ok(Message::Text(text))) = message else { return };
                    self.heard.lock().unwrap().push(format!("{} {text}", self.path));
                    self.answers(&text)
                }
                _ = beat.tick() => {
                    beats += 1;
                    self.speaks(beats)
                }
            };
            for text in texts {
                if self.ws.send(Message::text(text)).await.is_err() {
                    return;
                }
            }
        }
    }

    fn answers(&mut self, text: &str) -> Vec<String> {
        if text == "ping" {
            return if self.trouble == Trouble::Mute { Vec::new() } else { vec!["pong".to_owned()] };
        }
        let asked: serde_json::Value = serde_json::from_str(text).unwrap();
        let (op, mut texts) = (asked["op"].as_str().unwrap(), Vec::new());
        for arg in asked["args"].as_array().unwrap() {
            texts.push(format!(r#"{{"id":"1","event":"{op}","arg":{arg},"connId":"a4d3ae55"}}"#));
            let channel = arg["channel"].as_str().unwrap();
            self.channels.retain(|c| c != channel);
            if op == "subscribe" {
                self.channels.push(channel.to_owned());
                match channel {
                    "books" => texts.push(self.book("snapshot", -1)),
                    // What happened before is repeated.
                    "liquidation-orders" => texts.push(liquidation(START - 3_600_000)),
                    _ => {}
                }
            }
        }
        texts
    }

    fn book(&self, action: &str, before: i64) -> String {
        let (ts, seq) = (self.clock.load(Ordering::SeqCst), self.seq);
        let rows = format!(r#""asks":[["60000.1","{seq}","0","1"]],"bids":[["60000","5","0","1"]]"#);
        format!(
            r#"{{"arg":{{"channel":"books","instId":"BTC-USDT-SWAP"}},"action":"{action}","data":[{{{rows},"ts":"{ts}","checksum":0,"prevSeqId":{before},"seqId":{seq}}}]}}"#
        )
    }

    fn speaks(&mut self, beats: i64) -> Vec<String> {
        let ts = self.clock.load(Ordering::SeqCst);
        let minute = ts.div_euclid(60_000) * 60_000 - 60_000;
        let row = |channel: &str, row: &str| {
            format!(
                r#"{{"arg":{{"channel":"{channel}","instId":"BTC-USDT-SWAP"}},"data":[{{"instId":"BTC-USDT-SWAP",{row},"ts":"{ts}"}}]}}"#
            )
        };
        let mut texts = Vec::new();
        for channel in self.channels.clone() {
            texts.push(match channel.as_str() {
                "trades" => row("trades", &format!(r#""tradeId":"{ts}","px":"60000.1","sz":"2","side":"buy","count":"3""#)),
                "mark-price" => row("mark-price", r#""markPx":"60000""#),
                "open-interest" => row("open-interest", r#""oi":"100000","oiCcy":"1000""#),
                "funding-rate" => {
                    row("funding-rate", r#""fundingRate":"0.0001","fundingTime":"1700006400000","nextFundingTime":"1700035200000""#)
                }
                "candle1m" => format!(
                    r#"{{"arg":{{"channel":"candle1m","instId":"BTC-USDT-SWAP"}},"data":[["{minute}","60000","60001","59999","60000","100","1","60000","1"]]}}"#
                ),
                "liquidation-orders" if beats % 7 == 0 => liquidation(ts),
                "books" => {
                    let before = self.seq;
                    self.seq += 2;
                    // The tenth update never leaves.
                    if self.seq == 1_020 && self.trouble == Trouble::Hole {
                        continue;
                    }
                    self.book("update", before)
                }
                _ => continue,
            });
        }
        if beats == 20 && self.trouble == Trouble::Restart {
            texts.push(r#"{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please reconnect.","connId":"a4d3ae55"}"#.to_owned());
        }
        texts
    }
}

fn liquidation(ts: i64) -> String {
    format!(
        r#"{{"arg":{{"channel":"liquidation-orders","instType":"SWAP"}},"data":[{{"details":[{{"bkLoss":"0","bkPx":"59000","ccy":"","posSide":"net","side":"sell","sz":"13","ts":"{ts}"}}],"instFamily":"BTC-USDT","instId":"BTC-USDT-SWAP","instType":"SWAP","uly":"BTC-USDT"}}]}}"#
    )
}

/// What a well-behaved venue answers.
fn rest(path: &str, now: i64, trouble: Trouble) -> (u16, &'static str, String) {
    if let Trouble::Calls(status) = trouble {
        let body = if status == 429 { r#"{"code":"50011","msg":"Too Many Requests"}"# } else { "<html>" };
        return (status, "", body.to_owned());
    }
    if trouble == Trouble::NoClock && path == "/api/v5/public/time" {
        return (503, "", String::new());
    }
    let number = |name: &str| -> i64 {
        path.split(['?', '&']).find_map(|p| p.strip_prefix(name)).unwrap().parse().unwrap()
    };
    let data = |rows: String| format!(r#"{{"code":"0","msg":"","data":[{rows}]}}"#);
    let newest_first = |mut rows: Vec<String>| {
        rows.reverse();
        data(rows.join(","))
    };
    let body = match path.split('?').next().unwrap() {
        "/api/v5/public/instruments" => INSTRUMENTS.to_owned(),
        "/api/v5/market/tickers" => TICKERS.to_owned(),
        "/api/v5/public/time" => data(format!(r#"{{"ts":"{now}"}}"#)),
        "/api/v5/market/candles" => {
            let (after, rows) = (number("after="), number("limit="));
            let starts = (1..=rows).rev().map(|back| after - back * 60_000);
            newest_first(
                starts
                    .map(|t| format!(r#"["{t}","60000","60001","59999","60000","100","1","60000","1"]"#))
                    .collect(),
            )
        }
        "/api/v5/rubik/stat/contracts/open-interest-history" => {
            let starts = (number("begin=") + 1..number("end=").min(now)).step_by(300_000);
            newest_first(starts.map(|t| format!(r#"["{t}","100000","1000","60000000"]"#)).collect())
        }
        "/api/v5/public/position-tiers" => {
            data(r#"{"tier":"1","maxSz":"1000","mmr":"0.004","maxLever":"100"}"#.to_owned())
        }
        "/api/v5/public/funding-rate" => data(format!(
            r#"{{"instId":"BTC-USDT-SWAP","fundingRate":"0.0001","fundingTime":"1700006400000","nextFundingTime":"1700035200000","ts":"{now}"}}"#
        )),
        "/api/v5/public/mark-price" => {
            data(format!(r#"{{"instId":"BTC-USDT-SWAP","markPx":"60000","ts":"{now}"}}"#))
        }
        other => panic!("no such call: {other}"),
    };
    (200, "", body)
}

/// How many events of a kind there are.
fn kinds(feed: &Listener, kind: fn(&EventKind) -> bool) -> usize {
    feed.events.iter().filter(|e| kind(&e.kind)).count()
}

fn reconnects(feed: &Listener) -> u64 {
    feed.status().map_or(0, |s| s.counters.reconnects)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_subscribed_to_and_becomes_events() {
    let venue = Okx::start(Trouble::None).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.ndjson");
    let mut feed = Listener::of("okx", venue.config(), Some(Capture::file(&path).unwrap()));
    feed.until("live, and everything was seen", |f| {
        let seen: [fn(&EventKind) -> bool; 5] = [
            |k| matches!(k, EventKind::Liquidation(_)),
            |k| matches!(k, EventKind::OpenInterest(_)),
            |k| matches!(k, EventKind::Mark(m) if m.funding_hours == Some(8)),
            |k| matches!(k, EventKind::Book(b) if b.asks.len() == 1),
            |k| matches!(k, EventKind::Candle(_)),
        ];
        // Two hours of minutes are fetched; those that end meanwhile are pushed.
        f.live()
            && f.trades().len() > 50
            && seen.iter().all(|kind| kinds(f, *kind) > 10)
            && kinds(f, seen[4]) > 123
    })
    .await;
    assert_eq!(venue.count(|t| t.starts_with("/ws/v5/public {") && t.contains(r#""op":"subscribe""#)), 1);
    assert_eq!(venue.count(|t| t.starts_with("/ws/v5/business {") && t.contains("candle1m")), 1);
    let assets: Vec<_> = feed.assets.iter().map(ToString::to_string).collect();
    assert_eq!(assets, ["BTC", "ETH", "SOL", "PEPE", "IOST"]);
    let status = feed.status().unwrap().clone();
    assert_eq!((status.counters.unknown, status.counters.malformed), (0, 0), "{status:?}");
    assert_eq!(status.note, "");
    let events = feed.end().await;
    let EventKind::Instrument(terms) = &events[0].kind else { panic!("{:?}", events[0]) };
    assert_eq!((terms.tiers.len(), terms.tiers[0].notional_cap.to_string().as_str()), (1, "600000"));
    for event in &events {
        match &event.kind {
            EventKind::Trade(t) => assert_eq!(t.qty.to_string(), "0.02"),
            EventKind::Liquidation(l) => {
                assert_eq!((l.qty.to_string().as_str(), event.ts >= START), ("0.13", true));
            }
            EventKind::Gap(gap) => panic!("{gap:?}"),
            _ => {}
        }
    }
    let minutes: Vec<i64> =
        events.iter().filter(|e| matches!(e.kind, EventKind::Candle(_))).map(|e| e.ts).collect();
    assert!(minutes.windows(2).all(|w| w[1] - w[0] == 60_000), "no minute is missing, none comes twice");
    assert_replays(&path, &events);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ping_that_is_not_answered_costs_the_connection() {
    let venue = Okx::start(Trouble::Mute).await;
    let config =
        FeedConfig { ping_most: Duration::from_secs(1), pong: Duration::from_secs(4), ..venue.config() };
    let mut feed = Listener::of("okx", config, None);
    feed.until("given up", |f| reconnects(f) == 1).await;
    assert!(feed.statuses.iter().any(|s| s.note.contains("does not answer our ping")), "{:?}", feed.status());
    let pings = venue.count(|t| t.ends_with("/public ping"));
    feed.until("back", |f| f.live() && f.gaps().len() >= 3).await;
    let trades = feed.trades().len();
    feed.until("pings that are answered", |f| {
        venue.count(|t| t.ends_with("/public ping")) > pings + 2 && f.trades().len() > trades
    })
    .await;
    assert_eq!(reconnects(&feed), 1);
    let ours = |t: &str| t.starts_with("/ws/v5/public {") && t.contains("liquidation-orders");
    assert_eq!(venue.count(ours), 2, "the second connection subscribes like the first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hole_in_the_book_is_mended_by_subscribing_anew() {
    let venue = Okx::start(Trouble::Hole).await;
    let mut feed = Listener::of("okx", venue.config(), None);
    feed.until("the gap is told", |f| f.gaps() == ["book"]).await;
    let books = kinds(&feed, |k| matches!(k, EventKind::Book(_)));
    feed.until("books go on", |f| kinds(f, |k| matches!(k, EventKind::Book(_))) > books + 5).await;
    let heard = venue.heard.lock().unwrap().clone();
    let mut ops = heard.iter().filter(|t| t.contains("books") && !t.contains("trades"));
    // The venue's time runs so fast here that it may be asked more than once.
    for op in ["unsubscribe", "subscribe"] {
        let text = ops.next().unwrap();
        assert!(text.starts_with("/ws/v5/public {") && text.contains(&format!(r#""op":"{op}""#)), "{text}");
    }
    assert_eq!((reconnects(&feed), feed.gaps().len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announced_restart_is_met_by_a_second_connection() {
    let venue = Okx::start(Trouble::Restart).await;
    let mut feed = Listener::of("okx", venue.config(), None);
    feed.until("a second connection", |_| venue.count(|t| t == "/ws/v5/public") == 2).await;
    let trades = feed.trades().len();
    feed.until("it takes over", |f| f.live() && f.trades().len() > trades + 100).await;
    let ids = feed.trades();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "nothing twice");
    assert_eq!((feed.gaps(), reconnects(&feed)), (Vec::new(), 0), "and nothing missing");
    let repeats = feed.status().unwrap().counters.duplicates;
    assert!(repeats > 0, "both were heard for a while");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_told_in_words() {
    for (status, words) in [(429, "asks us to slow down"), (403, "not available from this place")] {
        let venue = Okx::start(Trouble::Calls(status)).await;
        let mut feed = Listener::of("okx", venue.config(), None);
        feed.until("told", |f| f.status().is_some_and(|s| s.note.contains(words) && s.note.contains("OKX")))
            .await;
        let last = feed.status().unwrap();
        assert_eq!(last.state == LinkState::Blocked, status == 403, "{last:?}");
        assert_eq!(last.counters.rate_limited > 0, status == 429, "{last:?}");
        assert_eq!(venue.count(|t| t.starts_with("/ws/")), 0);
        assert!(venue.clock.load(Ordering::SeqCst) >= START);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_history_the_contract_is_still_known() {
    let venue = Okx::start(Trouble::NoClock).await;
    let config = FeedConfig { backfill_patience: Duration::from_millis(100), ..venue.config() };
    let mut feed = Listener::of("okx", config, None);
    feed.until("live data", |f| f.trades().len() > 10).await;
    assert!(matches!(feed.events[0].kind, EventKind::Instrument(_)), "{:?}", feed.events[0]);
}

/// A translator that knows what the fixture lists.
fn informed() -> Translator {
    let mut feed = translator("okx".parse().unwrap(), None, BookLimits::default()).unwrap();
    for (path, text) in [
        ("/api/v5/public/instruments?instType=SWAP", INSTRUMENTS),
        ("/api/v5/market/tickers?instType=SWAP", TICKERS),
    ] {
        take(&mut feed, Body::Rest { path: path.into(), text: text.into() });
    }
    feed
}

fn take(feed: &mut Translator, body: Body) -> Vec<MarketEvent> {
    let mut events = Vec::new();
    feed.take(&RawFrame { recv: 0, venue: "okx".parse().unwrap(), conn: "public".into(), body }, &mut events);
    events
}

/// Samples that give no events, and why.
const NOT_USED: [(&str, &str); 11] = [
    ("ws_bbo_tbt.json", "the book is followed by its updates"),
    ("ws_tickers.json", "volumes are asked for once for all contracts"),
    ("ws_instruments.json", "the list is asked for"),
    ("ws_opt_summary.json", "options; rows without their message"),
    ("http_get_index_price.json", "not asked for"),
    ("http_get_funding_rate_history.json", "not asked for: funding is told with mark prices"),
    ("http_get_order_book.json", "not asked for: the channel begins with a snapshot"),
    ("http_get_trades.json", "not asked for: trades are pushed"),
    ("http_get_option_summary.json", "options"),
    ("http_get_spread_orders.json", "spreads"),
    ("http_get_spread_trades.json", "spreads"),
];

/// Samples of accounts, orders and other products: nothing of these is ever asked for.
fn is_foreign(name: &str) -> bool {
    const PARTS: [&str; 14] = [
        "order",
        "account",
        "balance",
        "position_mode",
        "positions",
        "algo",
        "trade_fee",
        "transaction",
        "optional",
        "spread",
        "futures",
        "margin",
        "option",
        "spot",
    ];
    PARTS.iter().any(|part| name.contains(part))
}

/// The call whose answer a sample is.
fn call(name: &str) -> Option<&'static str> {
    Some(match name {
        "http_get_candlesticks.json" | "http_get_candlesticks_full.json" => {
            "/api/v5/market/candles?instId=BTC-USDT-SWAP&bar=1m&after=1&limit=300"
        }
        "http_get_instruments_swap.json" => "/api/v5/public/instruments?instType=SWAP",
        "http_get_mark_price.json" => "/api/v5/public/mark-price?instType=SWAP&instId=BTC-USDT-SWAP",
        "http_get_position_tiers.json" => {
            "/api/v5/public/position-tiers?instType=SWAP&tdMode=isolated&instFamily=BTC-USDT"
        }
        _ => return None,
    })
}

#[test]
fn every_real_sample_is_used_or_left_out_for_a_reason() {
    let Some(folder) = std::env::var_os("MELTLINE_RECORDED") else { return };
    let mut used = 0;
    for file in fs::read_dir(Path::new(&folder).join("wire/samples/okx")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        // Most are of other products than ours, with the same fields: they are taken for our contract.
        let text = fs::read_to_string(&path).unwrap();
        let ours = ["BTC-USDT", "BTC-USD"]
            .iter()
            .fold(text, |text, other| text.replace(&format!("\"{other}\""), "\"BTC-USDT-SWAP\""));
        let ours = ours.replace("candle1D", "candle1m");
        let mut feed = informed();
        let before = feed.tally().counters;
        let rest = call(name);
        let body = match rest {
            Some(path) => Body::Rest { path: path.into(), text: ours },
            None => Body::Ws(ours),
        };
        take(&mut feed, body);
        let after = feed.tally().counters;
        let bad = after.unknown + after.malformed - before.unknown - before.malformed;
        let ignored = after.ignored - before.ignored;
        let excused = NOT_USED.iter().any(|(n, _)| *n == name) || is_foreign(name);
        assert!((bad + ignored == 0) != excused, "{name}: {after:?}");
        used += u64::from(!excused);
    }
    assert_eq!(used, 10, "candles, trades, books, funding, marks, lists, tiers");
}

#[test]
fn every_recorded_frame_is_classified() {
    let Some(folder) = std::env::var_os("MELTLINE_RECORDED") else { return };
    let lines = |name: &str| {
        let file = fs::File::open(Path::new(&folder).join(format!("wire/recordings/{name}.gz"))).unwrap();
        BufReader::new(flate2::read::MultiGzDecoder::new(file)).lines().map(Result::unwrap)
    };
    // As they are: of contracts that are not followed.
    let mut feed = informed();
    // Trades of another coin and of a spot pair taken for our contracts of 0.1 and 0.01 coins.
    let mut renamed = informed();
    let (mut frames, mut expected, mut trades) = (0, Vec::new(), Vec::new());
    for line in lines("OKX.ws.1.0") {
        let Some((_, text)) = line.split_once(": ").filter(|(head, _)| head.parse::<f64>().is_ok()) else {
            continue;
        };
        assert!(take(&mut feed, Body::Ws(text.to_owned())).is_empty());
        frames += 1;
        let frame: serde_json::Value = serde_json::from_str(text).unwrap();
        if frame["arg"]["channel"] != "trades" || frame["data"].is_null() {
            continue;
        }
        for row in frame["data"].as_array().unwrap() {
            let size = match row["instId"].as_str().unwrap() {
                "UNI-USD-SWAP" => 0.1,
                "BTC-USDT" => 0.01,
                _ => continue,
            };
            let number = |name: &str| row[name].as_str().unwrap().parse::<f64>().unwrap();
            expected.push((number("px"), (number("sz") * size * 1e9).round(), row["side"] == "buy"));
        }
        let text = text.replace("UNI-USD-SWAP", "ETH-USDT-SWAP").replace("\"BTC-USDT\"", "\"BTC-USDT-SWAP\"");
        for event in take(&mut renamed, Body::Ws(text)) {
            if let EventKind::Trade(t) = event.kind {
                trades.push((t.price.to_f64(), (t.qty.to_f64() * 1e9).round(), t.taker == TakerSide::Buy));
            }
        }
    }
    let (counters, kinds) = (feed.tally().counters, feed.tally().kinds.clone());
    eprintln!("{frames} frames: {kinds:?}");
    assert_eq!((frames, counters.unknown, counters.malformed), (410, 0, 0));
    assert_eq!((kinds["ack"], kinds["books"], kinds["trades"]), (18, 290, 74));
    assert_eq!(trades, expected, "no trade is lost");
    assert_eq!(trades.len(), 70);
    // The lists of all products; those of other products than swaps are not asked for.
    let mut feed = translator("okx".parse().unwrap(), None, BookLimits::default()).unwrap();
    for line in lines("OKX.0") {
        let Some((head, text)) = line.split_once(": ") else { continue };
        let Some(path) = head.strip_prefix("https://www.okx.com").and_then(|p| p.split(" -> ").next()) else {
            continue;
        };
        if path.ends_with("instType=SWAP") {
            take(&mut feed, Body::Rest { path: path.into(), text: text.into() });
        }
    }
    let counters = feed.tally().counters;
    assert_eq!((counters.frames, counters.unknown, counters.malformed, counters.ignored), (5, 0, 0, 0));
}
