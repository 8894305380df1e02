//! The feed against a Hyperliquid on loopback, and the recorded messages of the real one where `MELTLINE_RECORDED` names the folder.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use meltline::feed::book::BookLimits;
use meltline::feed::capture::Capture;
use meltline::feed::frame::{Body, RawFrame};
use meltline::feed::status::{LinkState, VenueStatus};
use meltline::feed::venue::translator;
use meltline::feed::{FeedConfig, FeedItem, HyperliquidConfig, run};
use meltline::market::{EventKind, MarketEvent, Venue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use crate::feed_live::assert_replays;

const LIST: &str = include_str!("../data/hyperliquid/meta_and_asset_ctxs.json");

/// When the venue's clock starts, UTC ms; a whole minute.
const START: i64 = 1_769_916_000_000;

/// How the venue misbehaves.
#[derive(Clone, Copy, PartialEq)]
enum Manners {
    Good,
    /// Does not answer pings on its first socket.
    Deaf,
    /// Answers the first calls with this status.
    Refuses(u16, usize),
}

struct Exchange {
    address: String,
    /// Texts received on sockets.
    heard: Mutex<Vec<String>>,
    calls: AtomicUsize,
    sockets: AtomicUsize,
    clock: AtomicI64,
    manners: Manners,
}

fn venue() -> Venue {
    "hyperliquid".parse().unwrap()
}

impl Exchange {
    async fn start(manners: Manners) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let exchange = Arc::new(Self {
            address: listener.local_addr().unwrap().to_string(),
            heard: Mutex::default(),
            calls: AtomicUsize::new(0),
            sockets: AtomicUsize::new(0),
            clock: AtomicI64::new(START),
            manners,
        });
        let ours = Arc::clone(&exchange);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let ours = Arc::clone(&ours);
                tokio::spawn(async move {
                    let mut head = [0; 4];
                    while stream.peek(&mut head).await.is_ok_and(|n| n < 4) {
                        tokio::task::yield_now().await;
                    }
                    if &head == b"POST" { ours.answer(stream).await } else { ours.serve(stream).await }
                });
            }
        });
        exchange
    }

    fn config(&self) -> FeedConfig {
        let ms = Duration::from_millis;
        FeedConfig {
            hyperliquid: HyperliquidConfig {
                ws: format!("ws://{}/ws", self.address),
                rest: format!("http://{}", self.address),
            },
            timeout: ms(5_000),
            // The keep-alive comes as often as this; data come all the time.
            idle: ms(1_500),
            idle_trades: ms(5_000),
            pong: ms(1_500),
            backoff_first: ms(20),
            backoff_most: ms(100),
            backfill: Duration::from_secs(3_600),
            blocked_retry: ms(100),
            status_every: ms(5),
            ..FeedConfig::default()
        }
    }

    /// A socket: confirms subscriptions, sends the history of trades, answers pings; then a second of market every 5 ms.
    async fn serve(&self, stream: TcpStream) {
        let nth = self.sockets.fetch_add(1, Ordering::SeqCst);
        let mut ws = accept_async(stream).await.unwrap();
        let mut beat = tokio::time::interval(Duration::from_millis(5));
        let mut subscribed = 0;
        loop {
            let replies = tokio::select! {
                message = ws.next() => {
                    let Some(Ok(Message::Text(text))) = message else { return };
                    self.heard.lock().unwrap().push(text.to_string());
                    if text.contains("ping") {
                        let deaf = self.manners == Manners::Deaf && nth == 0;
                        if deaf { vec![] } else { vec![r#"{"channel":"pong"}"#.to_owned()] }
                    } else {
                        subscribed += 1;
                        self.confirm(&text)
                    }
                }
                _ = beat.tick(), if subscribed >= 5 => self.second(),
            };
            for reply in replies {
                if ws.send(Message::text(reply)).await.is_err() {
                    return;
                }
            }
        }
    }

    fn confirm(&self, text: &str) -> Vec<String> {
        if text.contains("nSigFigs") {
            let why = serde_json::json!({"channel": "error", "data": format!("Invalid subscription {text}")});
            return vec![why.to_string()];
        }
        let mut replies = vec![format!(r#"{{"channel":"subscriptionResponse","data":{text}}}"#)];
        if text.contains("trades") {
            let old = self.clock.load(Ordering::SeqCst) - 600_000;
            replies.push(trade(old, 1));
        }
        replies
    }

    fn second(&self) -> Vec<String> {
        let now = self.clock.fetch_add(1_000, Ordering::SeqCst) + 1_000;
        let minute = now.div_euclid(60_000) * 60_000;
        vec![
            format!(r#"{{"channel":"l2Book","data":{}}}"#, book(now, r#","fast":true"#)),
            trade(now, (now - START) as u64 / 1_000),
            r#"{"channel":"activeAssetCtx","data":{"coin":"BTC","ctx":{"funding":"0.0000125","openInterest":"27000","oraclePx":"77605.0","markPx":"77600.0","premium":null,"midPx":null}}}"#.into(),
            format!(r#"{{"channel":"candle","data":{}}}"#, bar(minute)),
        ]
    }

    async fn answer(&self, mut stream: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.trim().parse().unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        assert!(head.starts_with("post /info http/1.1") && head.contains("content-type: application/json"));
        let nth = self.calls.fetch_add(1, Ordering::SeqCst);
        let now = self.clock.load(Ordering::SeqCst);
        let ask: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let (status, text) = match (self.manners, ask["type"].as_str().unwrap()) {
            (Manners::Refuses(status, first), _) if nth < first => (status, "no".to_owned()),
            (_, "metaAndAssetCtxs") => (200, LIST.to_owned()),
            (_, "l2Book") => (200, book(now, "")),
            (_, "candleSnapshot") => {
                let req = &ask["req"];
                let (from, to) = (req["startTime"].as_i64().unwrap(), req["endTime"].as_i64().unwrap());
                let bars: Vec<String> = (from..to).step_by(60_000).map(bar).collect();
                (200, format!("[{}]", bars.join(",")))
            }
            (_, other) => panic!("no such call: {other}"),
        };
        let answer = format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nRetry-After: 0\r\nConnection: close\r\n\r\n{text}",
            text.len()
        );
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}

fn trade(time: i64, tid: u64) -> String {
    format!(
        r#"{{"channel":"trades","data":[{{"coin":"BTC","side":"B","px":"77600.0","sz":"0.5","hash":"0x0","time":{time},"tid":{tid},"users":["0xb","0xs"]}}]}}"#
    )
}

fn book(time: i64, more: &str) -> String {
    format!(
        r#"{{"coin":"BTC","time":{time},"levels":[[{{"px":"77599.0","sz":"1.5","n":3}}],[{{"px":"77601.0","sz":"2.5","n":2}}]]{more}}}"#
    )
}

fn bar(start: i64) -> String {
    format!(
        r#"{{"t":{start},"T":{},"s":"BTC","i":"1m","o":"77600.0","c":"77600.0","h":"77600.0","l":"77600.0","v":"30.0","n":60}}"#,
        start + 59_999
    )
}

/// A feed that runs, and all it has said.
struct Follower {
    items: mpsc::Receiver<FeedItem>,
    events: Vec<MarketEvent>,
    statuses: Vec<VenueStatus>,
    stop: CancellationToken,
    feed: JoinHandle<anyhow::Result<()>>,
}

impl Follower {
    fn start(config: FeedConfig, capture: Option<Capture>) -> Self {
        let (out, items) = mpsc::channel(16);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let feed = tokio::spawn(async move {
            run(Arc::new(config), &[venue()], "BTC".parse().unwrap(), out, capture.into(), stopped).await
        });
        Self { items, events: Vec::new(), statuses: Vec::new(), stop, feed }
    }

    async fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let listening = async {
            while !so(self) {
                match self.items.recv().await.expect("the feed runs") {
                    FeedItem::Events(events) => self.events.extend(events),
                    FeedItem::Status(status) => self.statuses.push(status),
                    FeedItem::Assets(_) => {}
                }
            }
        };
        let done = tokio::time::timeout(Duration::from_secs(30), listening).await;
        assert!(done.is_ok(), "never: {what}; last status {:?}", self.statuses.last());
    }

    fn live(&self) -> bool {
        self.statuses.last().is_some_and(|s| s.state == LinkState::Live)
    }

    fn count(&self, kind: impl Fn(&EventKind) -> bool) -> usize {
        self.events.iter().filter(|e| kind(&e.kind)).count()
    }

    async fn end(mut self) -> Vec<MarketEvent> {
        self.stop.cancel();
        while let Some(item) = self.items.recv().await {
            if let FeedItem::Events(events) = item {
                self.events.extend(events);
            }
        }
        self.feed.await.unwrap().unwrap();
        self.events
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_and_live_data_become_one_run_of_events() {
    let exchange = Exchange::start(Manners::Good).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.ndjson");
    let mut feed = Follower::start(exchange.config(), Some(Capture::file(&path).unwrap()));
    let pinged = || exchange.heard.lock().unwrap().iter().any(|t| t == r#"{"method":"ping"}"#);
    feed.until("live, with every kind of event, and pinged", |f| {
        f.live()
            && pinged()
            && f.count(|k| matches!(k, EventKind::Trade(_))) > 100
            && f.count(|k| matches!(k, EventKind::Book(_))) > 3
            && f.count(|k| matches!(k, EventKind::Candle(_))) > 62
    })
    .await;
    let status = feed.statuses.last().unwrap().clone();
    let counters = status.counters;
    assert_eq!((counters.unknown, counters.malformed, counters.reconnects), (0, 0, 0), "{status:?}");
    assert_eq!(status.liquidations, None);
    assert!(status.lag_ms.is_some());
    let heard = exchange.heard.lock().unwrap().clone();
    let kinds = ["l2Book", "trades", "activeAssetCtx", "candle", "l2Book"];
    for (text, kind) in heard.iter().zip(kinds) {
        assert!(text.starts_with(&format!(
            r#"{{"method":"subscribe","subscription":{{"type":"{kind}","coin":"BTC""#
        )));
    }

    let events = feed.end().await;
    assert!(matches!(&events[0].kind, EventKind::Instrument(i) if i.tiers.len() == 2));
    let first_trade = events.iter().position(|e| matches!(e.kind, EventKind::Trade(_))).unwrap();
    let EventKind::Trade(trade) = &events[first_trade].kind else { panic!() };
    assert!(events[first_trade].ts > START - 600_000 && &*trade.parties.unwrap().seller == "0xs");
    // A book is the first that a socket says.
    let history = events.iter().position(|e| matches!(e.kind, EventKind::Book(_))).unwrap();
    assert!(history < first_trade && events[..history].is_sorted_by_key(MarketEvent::order));
    let bars: Vec<i64> =
        events.iter().filter(|e| matches!(e.kind, EventKind::Candle(_))).map(|e| e.ts).collect();
    assert!(bars.windows(2).all(|w| w[1] == w[0] + 60_000), "each minute once: {bars:?}");
    let readings: Vec<i64> =
        events.iter().filter(|e| matches!(e.kind, EventKind::OpenInterest(_))).map(|e| e.ts).collect();
    assert_eq!(readings[0], bars[0], "held constant from the first bar on");
    let held = events.iter().find_map(|e| match &e.kind {
        EventKind::Gap(gap) => Some((gap.stream.to_string(), gap.from, gap.to)),
        _ => None,
    });
    assert_eq!(held, Some(("open_interest".into(), bars[0], readings[1])));
    assert_replays(&path, &events);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ping_without_answer_leads_to_a_new_connection() {
    let exchange = Exchange::start(Manners::Deaf).await;
    let mut feed = Follower::start(exchange.config(), None);
    let gap =
        |stream: &'static str| move |k: &EventKind| matches!(k, EventKind::Gap(g) if *g.stream == *stream);
    feed.until("live again, with the gaps told", |f| {
        f.live() && ["trade", "mark", "book"].iter().all(|s| f.count(gap(s)) == 1)
    })
    .await;
    assert!(feed.statuses.iter().any(|s| s.note == "Hyperliquid does not answer our ping"));
    assert_eq!(exchange.sockets.load(Ordering::SeqCst), 2);
    let counters = feed.statuses.last().unwrap().counters;
    assert_eq!((counters.reconnects, counters.malformed), (1, 0));
    assert_eq!(feed.count(gap("open_interest")), 1, "held at the start, not after an outage");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_and_refusals_are_shown_in_words() {
    for (status, words) in [
        (429, "Hyperliquid asks us to slow down"),
        (403, "Hyperliquid is not available from this place (HTTP 403)"),
    ] {
        let exchange = Exchange::start(Manners::Refuses(status, 2)).await;
        let mut feed = Follower::start(exchange.config(), None);
        feed.until("refused, and live at last", |f| {
            f.live() && f.count(|k| matches!(k, EventKind::Trade(_))) > 0
        })
        .await;
        let told = feed.statuses.iter().find(|s| s.note.starts_with(words));
        let told = told.unwrap_or_else(|| panic!("{status}: {:?}", feed.statuses.iter().map(|s| &s.note)));
        if status == 403 {
            assert_eq!(told.state, LinkState::Blocked);
        } else {
            assert_eq!(feed.statuses.last().unwrap().counters.rate_limited, 2);
        }
    }
}

/// Messages we classify and do not use, by the kind they are counted as, and why.
const DELIBERATELY_IGNORED: [(&str, &str); 24] = [
    ("fundingHistory", "rates without a mark price, which no event can carry"),
    ("recentTrades", "a second source of the same prints"),
    ("candleSnapshot", "hourly bars; we ask for minutes"),
    ("allMids", "mid prices of all coins; marks come with the context of ours"),
    ("allDexsAssetCtxs", "contexts of all coins by position; ours comes by name"),
    ("allPerpMetas", "lists of other exchanges on the same chain"),
    ("spotMeta", "spot"),
    ("spotClearinghouseState", "an account's"),
    ("clearinghouseState", "an account's"),
    ("user", "an account's; its fills with `liquidation` do not say whose they are"),
    ("userFills", "an account's"),
    ("userFillsByTime", "an account's"),
    ("userFunding", "an account's"),
    ("userNonFundingLedgerUpdates", "an account's"),
    ("openOrders", "an account's"),
    ("frontendOpenOrders", "an account's"),
    ("historicalOrders", "an account's"),
    ("portfolio", "an account's"),
    ("delegatorHistory", "an account's"),
    ("extraAgents", "an account's"),
    ("userRateLimit", "an account's"),
    ("userRole", "an account's"),
    ("userTwapSliceFills", "an account's"),
    ("userVaultEquities", "an account's"),
];

/// The single-quoted texts after a key in a recorded exchange of calls (YAML): folded over lines, quotes doubled.
fn quoted(text: &str, key: &str) -> Vec<String> {
    let folded = text.split('\n').map(str::trim).collect::<Vec<_>>().join(" ");
    let mut found = Vec::new();
    for part in folded.split(&format!("{key}: '")).skip(1) {
        let part = part.replace("''", "\u{1}");
        found.push(part.split('\'').next().unwrap().replace('\u{1}', "'"));
    }
    found
}

/// The recorded messages: a name, and the message as it would arrive.
fn samples(folder: &Path) -> Vec<(String, Body)> {
    let rest = |call: &str, text: &str| Body::Rest { path: format!("/info {call}"), text: text.into() };
    let files = |name: &str| -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(folder.join(name)).unwrap().map(|f| f.unwrap().path()).collect();
        files.sort();
        files
    };
    let mut all = Vec::new();
    for path in files("hyperliquid") {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let call = [
            ("http_all_perp_metas", r#"{"type":"allPerpMetas"}"#),
            ("http_clearinghouse_state", r#"{"type":"clearinghouseState"}"#),
            ("http_funding_history", r#"{"type":"fundingHistory","coin":"BTC"}"#),
            ("http_l2_book", r#"{"type":"l2Book","coin":"BTC"}"#),
            ("http_meta_perp", r#"{"type":"meta"}"#),
            ("http_recent_trades", r#"{"type":"recentTrades","coin":"BTC"}"#),
            ("http_spot_clearinghouse", r#"{"type":"spotClearinghouseState"}"#),
            ("http_spot_meta", r#"{"type":"spotMeta"}"#),
            ("http_user_fills", r#"{"type":"userFills"}"#),
        ];
        let call = call.iter().find(|(start, _)| name.starts_with(start));
        let body = match call {
            Some((_, call)) => rest(call, &text),
            // Kept without its envelope.
            None if name == "ws_book_data.json" => {
                Body::Ws(format!(r#"{{"channel":"l2Book","data":{text}}}"#))
            }
            None if name.starts_with("ws_") => Body::Ws(text),
            None => {
                assert_eq!(name, "README.md", "a sample nobody has looked at");
                continue;
            }
        };
        all.push((name, body));
    }
    for path in files("hyperliquid-rest") {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let (calls, answers) = (quoted(&text, "body"), quoted(&text, "string"));
        assert_eq!(calls.len(), answers.len(), "{name}");
        assert!(!calls.is_empty(), "{name}");
        all.extend(calls.iter().zip(&answers).map(|(call, answer)| (name.clone(), rest(call, answer))));
    }
    all
}

#[test]
fn every_recorded_hyperliquid_message_is_classified() {
    let Some(folder) = std::env::var_os("MELTLINE_RECORDED").map(PathBuf::from) else {
        eprintln!("MELTLINE_RECORDED is not set: not run");
        return;
    };
    let samples = samples(&folder.join("wire/samples"));
    assert!(samples.len() > 35, "{}", samples.len());
    let (mut used, mut ignored) = (0, 0);
    for (name, body) in samples {
        let mut feed = translator(venue(), None, BookLimits::default()).unwrap();
        let mut events = Vec::new();
        feed.take(&RawFrame { recv: 0, venue: venue(), conn: "public".into(), body }, &mut events);
        let tally = feed.tally();
        let (counters, kind) = (tally.counters, tally.kinds.keys().next().copied());
        assert_eq!((counters.unknown, counters.malformed), (0, 0), "{name}");
        let kind = kind.unwrap();
        if counters.ignored == 0 {
            used += 1;
            assert!(["meta", "l2Book"].contains(&kind), "{name}: {kind}");
        } else {
            ignored += 1;
            assert!(DELIBERATELY_IGNORED.iter().any(|(k, _)| *k == kind), "{name}: {kind} is not used");
            assert!(events.is_empty());
        }
        assert_eq!(name == "ws_book_data.json", events.iter().any(|e| matches!(e.kind, EventKind::Book(_))));
    }
    eprintln!("{used} used, {ignored} deliberately ignored");
    assert!(used >= 9, "{used}");
    // None of the recordings of sockets is Hyperliquid's.
    let recordings = std::fs::read_dir(folder.join("wire/recordings")).unwrap();
    let ours =
        recordings.filter(|f| f.as_ref().unwrap().file_name().to_string_lossy().starts_with("HYPERLIQUID"));
    assert_eq!(ours.count(), 0, "a recording nobody has looked at");
}

/// The hourly bars of the recordings, read as if they were minutes: the one form of candles there is.
#[test]
fn recorded_bars_have_the_shape_we_read() {
    let Some(folder) = std::env::var_os("MELTLINE_RECORDED").map(PathBuf::from) else {
        eprintln!("MELTLINE_RECORDED is not set: not run");
        return;
    };
    let mut seen = 0;
    for (_, body) in samples(&folder.join("wire/samples")) {
        let Body::Rest { path, text } = body else { continue };
        if !path.contains("candleSnapshot") {
            continue;
        }
        let (path, text) = (path.replace("\"1h\"", "\"1m\""), text.replace("\"1h\"", "\"1m\""));
        let rows = serde_json::from_str::<Vec<serde_json::Value>>(&text).unwrap();
        let mut feed = translator(venue(), None, BookLimits::default()).unwrap();
        let mut events = Vec::new();
        let body = Body::Rest { path, text };
        feed.take(&RawFrame { recv: 0, venue: venue(), conn: "backfill".into(), body }, &mut events);
        assert_eq!((events.len(), feed.tally().counters.malformed), (rows.len(), 0));
        for (event, row) in events.iter().zip(&rows) {
            let EventKind::Candle(candle) = &event.kind else { panic!() };
            assert_eq!((event.ts, event.asset.as_str()), (row["t"].as_i64().unwrap(), "PEPE"));
            let close: f64 = row["c"].as_str().unwrap().parse().unwrap();
            assert!((candle.ohlc.unwrap().close.to_f64() * 1_000.0 - close).abs() < 1e-12);
        }
        seen += 1;
    }
    assert_eq!(seen, 1);
}
