//! The feed against a Bybit on loopback, and Bybit's real messages where `MELTLINE_RECORDED` names the folder.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use meltline::feed::book::BookLimits;
use meltline::feed::frame::{Body, RawFrame};
use meltline::feed::status::{LinkState, VenueStatus};
use meltline::feed::venue::translator;
use meltline::feed::{BybitConfig, FeedConfig, FeedItem, run};
use meltline::market::{EventKind, MarketEvent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};
use tokio_util::sync::CancellationToken;

/// Nothing here takes this long unless it hangs.
const HANG: Duration = Duration::from_secs(30);

/// When the venue's clock starts, UTC ms; a whole hour.
const START: i64 = 1_700_002_800_000;

/// What the venue does with the socket it is given, by its number.
type Manners = fn(usize, &str, &mut Vec<String>);
type Rest = fn(&str) -> (u16, String);

/// A Bybit that answers calls, and on its socket whatever a test's manners add to a list of replies.
struct Bybit {
    address: std::net::SocketAddr,
    /// Texts the client sent, by socket.
    heard: Arc<Mutex<Vec<(usize, String)>>>,
    serving: JoinHandle<()>,
}

impl Drop for Bybit {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Bybit {
    async fn start(manners: Manners, rest: Rest) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heard);
        let serving = tokio::spawn(async move {
            let mut sockets = 0;
            while let Ok((stream, _)) = listener.accept().await {
                let mut head = [0; 64];
                while stream.peek(&mut head).await.unwrap_or(0) < 24 {
                    tokio::task::yield_now().await;
                }
                if head.starts_with(b"GET /v5/public/linear") {
                    let seen = Arc::clone(&seen);
                    tokio::spawn(async move {
                        serve(sockets, accept_async(stream).await.unwrap(), manners, seen).await;
                    });
                    sockets += 1;
                } else {
                    tokio::spawn(reply(stream, rest));
                }
            }
        });
        Self { address, heard, serving }
    }

    fn config(&self) -> FeedConfig {
        let ms = Duration::from_millis;
        FeedConfig {
            bybit: BybitConfig {
                ws: format!("ws://{}/v5/public/linear", self.address),
                rest: format!("http://{}", self.address),
            },
            timeout: ms(5_000),
            first_data: ms(5_000),
            idle: ms(3_000),
            idle_trades: ms(20_000),
            backoff_first: ms(20),
            backoff_most: ms(50),
            backfill: Duration::from_secs(7_200),
            blocked_retry: ms(100),
            status_every: ms(5),
            ..FeedConfig::default()
        }
    }

    fn heard(&self, text: &str) -> usize {
        self.heard.lock().unwrap().iter().filter(|(_, t)| t.contains(text)).count()
    }
}

async fn serve(
    number: usize,
    mut ws: WebSocketStream<TcpStream>,
    manners: Manners,
    heard: Arc<Mutex<Vec<(usize, String)>>>,
) {
    while let Some(Ok(message)) = ws.next().await {
        let Message::Text(text) = message else { continue };
        heard.lock().unwrap().push((number, text.to_string()));
        let mut replies = Vec::new();
        manners(number, &text, &mut replies);
        for reply in replies {
            if ws.send(Message::text(reply)).await.is_err() {
                return;
            }
        }
    }
}

async fn reply(mut stream: TcpStream, rest: Rest) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap_or(b'\n'));
        assert!(head.len() < 10_000);
    }
    let head = String::from_utf8(head).unwrap();
    let (status, body) = rest(head.split(' ').nth(1).unwrap());
    let text =
        format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let _ = stream.write_all(text.as_bytes()).await;
}

fn answer(list: &str) -> (u16, String) {
    let text = format!(
        r#"{{"retCode":0,"retMsg":"OK","result":{{"category":"linear","list":[{list}],"nextPageCursor":""}},"retExtInfo":{{}},"time":{START}}}"#
    );
    (200, text)
}

/// What a well-behaved venue answers.
fn rest(path: &str) -> (u16, String) {
    match path.split('?').next().unwrap() {
        "/v5/market/instruments-info" => answer(
            r#"{"symbol":"BTCUSDT","contractType":"LinearPerpetual","status":"Trading","baseCoin":"BTC","quoteCoin":"USDT","leverageFilter":{"maxLeverage":"150"},"priceFilter":{"tickSize":"0.10"},"lotSizeFilter":{"qtyStep":"0.001"}}"#,
        ),
        "/v5/market/tickers" => answer(
            r#"{"symbol":"BTCUSDT","markPrice":"60000","openInterest":"2000","turnover24h":"5000000.5"}"#,
        ),
        "/v5/market/risk-limit" => answer(
            r#"{"symbol":"BTCUSDT","riskLimitValue":"300000","maintenanceMargin":"0.0033","initialMargin":"0.0066","maxLeverage":"150","mmDeduction":""}"#,
        ),
        "/v5/market/kline" => answer(&format!(
            r#"["{}","60000","60010","59990","60001","12","1"],["{}","60000","60010","59990","60000","12","1"]"#,
            START - 60_000,
            START - 120_000
        )),
        "/v5/market/open-interest" => {
            answer(&format!(r#"{{"openInterest":"1998","timestamp":"{}"}}"#, START - 300_000))
        }
        _ => answer(""),
    }
}

/// One second of the market: a print, a ticker, a liquidation and a step of the book.
fn market(step: i64, u: u64, kind: &str) -> [String; 4] {
    let now = START + step * 1_000;
    [
        format!(
            r#"{{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":{now},"data":[{{"T":{now},"s":"BTCUSDT","S":"Sell","v":"0.5","p":"60000.{step}","i":"00000000-0000-0000-0000-{step:012}","BT":false,"seq":{step}}}]}}"#
        ),
        format!(
            r#"{{"topic":"tickers.BTCUSDT","type":"{kind}","data":{{"symbol":"BTCUSDT","markPrice":"60000","openInterest":"{}"}},"cs":{step},"ts":{now}}}"#,
            2_000 + step
        ),
        format!(
            r#"{{"topic":"allLiquidation.BTCUSDT","type":"snapshot","ts":{now},"data":[{{"T":{now},"s":"BTCUSDT","S":"Buy","v":"1","p":"59900"}}]}}"#
        ),
        book(now, u, kind),
    ]
}

fn book(now: i64, u: u64, kind: &str) -> String {
    format!(
        r#"{{"topic":"orderbook.200.BTCUSDT","type":"{kind}","ts":{now},"data":{{"s":"BTCUSDT","b":[["59999","{u}"]],"a":[["60001","1"]],"u":{u},"seq":{u}}},"cts":{now}}}"#
    )
}

const PONG: &str = r#"{"success":true,"ret_msg":"pong","conn_id":"c","req_id":"","op":"ping"}"#;

/// A feed that runs, and all it has said.
struct Listener {
    items: mpsc::Receiver<FeedItem>,
    events: Vec<MarketEvent>,
    statuses: Vec<VenueStatus>,
    _stop: tokio_util::sync::DropGuard,
}

impl Listener {
    fn start(config: FeedConfig) -> Self {
        let (out, items) = mpsc::channel(16);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            let venues = ["bybit".parse().unwrap()];
            run(Arc::new(config), &venues, "BTC".parse().unwrap(), out, None.into(), stopped).await
        });
        Self { items, events: Vec::new(), statuses: Vec::new(), _stop: stop.drop_guard() }
    }

    async fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let listening = async {
            while !so(self) {
                match self.items.recv().await.expect("the feed runs") {
                    FeedItem::Events(events) => self.events.extend(events),
                    FeedItem::Status(status) => self.statuses.push(status),
                    FeedItem::Assets(assets) => assert_eq!(assets[0].day_usd, Some(5_000_000)),
                }
            }
        };
        let done = tokio::time::timeout(HANG, listening).await;
        assert!(done.is_ok(), "never: {what}; last status {:?}", self.statuses.last());
    }

    fn count(&self, kind: fn(&EventKind) -> bool) -> usize {
        self.events.iter().filter(|e| kind(&e.kind)).count()
    }

    fn live(&self) -> bool {
        self.statuses.last().is_some_and(|s| s.state == LinkState::Live)
    }

    fn noted(&self, state: fn(&LinkState) -> bool, words: &str) -> bool {
        self.statuses.iter().any(|s| state(&s.state) && s.note.contains(words))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_brings_history_live_data_and_a_book_that_heals() {
    let manners: Manners = |_, text, replies| {
        if text.contains("\"req_id\":\"BTCUSDT\"") {
            replies.push(
                r#"{"success":true,"ret_msg":"","conn_id":"c","req_id":"BTCUSDT","op":"subscribe"}"#.into(),
            );
            replies.extend(market(1, 10, "snapshot"));
            // Update 11 is missing.
            replies.extend(market(2, 12, "delta"));
        } else if text.contains("\"op\":\"subscribe\"") {
            replies.push(book(START + 3_000, 50, "snapshot"));
            replies.push(book(START + 4_000, 51, "delta"));
        } else if text.contains("\"op\":\"ping\"") {
            replies.push(PONG.into());
            replies.extend(market(5, 52, "delta"));
        }
    };
    let venue = Bybit::start(manners, rest).await;
    let mut feed = Listener::start(venue.config());
    feed.until("a book after the gap", |f| f.count(|k| matches!(k, EventKind::Book(_))) >= 3 && f.live())
        .await;
    let asked = venue.heard.lock().unwrap().clone();
    assert!(asked[0].1.contains(r#""args":["publicTrade.BTCUSDT","allLiquidation.BTCUSDT","tickers.BTCUSDT","kline.1.BTCUSDT","orderbook.200.BTCUSDT"]"#));
    let undone = asked.iter().position(|(_, t)| t.contains("unsubscribe")).unwrap();
    assert!(
        asked[undone..]
            .iter()
            .any(|(_, t)| t.contains(r#""op":"subscribe","args":["orderbook.200.BTCUSDT"]"#))
    );
    feed.until("a ping that is answered", |_| venue.heard(r#"{"op":"ping"}"#) > 0).await;

    let EventKind::Instrument(terms) = &feed.events[0].kind else { panic!("terms first") };
    assert_eq!(terms.tiers[0].max_leverage.to_string(), "150");
    assert_eq!(feed.count(|k| matches!(k, EventKind::Candle(_))), 2);
    assert!(feed.count(|k| matches!(k, EventKind::Trade(_))) >= 2);
    assert_eq!(
        feed.count(|k| matches!(k, EventKind::Liquidation(l) if l.position == meltline::market::Side::Long)),
        feed.count(|k| matches!(k, EventKind::Liquidation(_)))
    );
    let oi: Vec<String> = feed
        .events
        .iter()
        .filter_map(|e| if let EventKind::OpenInterest(q) = e.kind { Some(q.to_string()) } else { None })
        .collect();
    assert_eq!(oi[..3], ["999", "1000", "1000.5"], "history, the call, live: one side");
    let gaps: Vec<_> = feed
        .events
        .iter()
        .filter_map(|e| {
            if let EventKind::Gap(g) = &e.kind {
                Some((g.stream.as_ref(), g.from - START, g.to - START))
            } else {
                None
            }
        })
        .collect();
    assert_eq!(gaps, [("book", 1_000, 3_000)]);
    let counters = feed.statuses.last().unwrap().counters;
    assert_eq!((counters.unknown, counters.malformed, counters.missed), (0, 0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ping_without_an_answer_ends_the_connection() {
    let manners: Manners = |number, text, replies| {
        if text.contains("subscribe") {
            replies.extend(market(number as i64 + 1, 10, "snapshot"));
        } else if number > 0 {
            replies.push(PONG.into());
            replies.extend(market(9, 11, "delta"));
        }
    };
    let venue = Bybit::start(manners, rest).await;
    let ms = Duration::from_millis;
    // Data may pause for longer than a ping may take.
    let config = FeedConfig { idle: ms(1_500), pong: ms(200), ..venue.config() };
    let mut feed = Listener::start(config);
    feed.until("a second connection", |f| {
        f.live() && f.statuses.last().is_some_and(|s| s.counters.reconnects >= 1)
    })
    .await;
    assert!(feed.noted(|s| matches!(s, LinkState::Reconnecting { .. }), "Bybit does not answer our ping"));
    feed.until("data of the second", |f| {
        f.events.iter().any(|e| matches!(&e.kind, EventKind::Gap(g) if &*g.stream == "mark"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_refused_topic_does_not_cost_the_others() {
    let manners: Manners = |_, text, replies| {
        let refusal = |id: &str| {
            format!(
                r#"{{"success":false,"ret_msg":"Invalid topic: allLiquidation.BTCUSDT","conn_id":"c","req_id":"{id}","op":"subscribe"}}"#
            )
        };
        if text.contains("\"req_id\":\"BTCUSDT\"") {
            replies.push(refusal("BTCUSDT"));
        } else if text.contains("allLiquidation") {
            replies.push(refusal("allLiquidation.BTCUSDT"));
        } else if let Some(at) = ["publicTrade", "tickers"].iter().position(|t| text.contains(t)) {
            replies.push(market(1, 10, "snapshot")[at].clone());
        } else if text.contains("orderbook") {
            replies.push(market(1, 10, "snapshot")[3].clone());
        } else if text.contains("ping") {
            replies.push(PONG.into());
            replies.extend(market(2, 11, "delta"));
        }
    };
    let venue = Bybit::start(manners, rest).await;
    let mut feed = Listener::start(venue.config());
    feed.until("every other stream", |f| f.live() && f.count(|k| matches!(k, EventKind::Trade(_))) > 0).await;
    for topic in ["publicTrade", "allLiquidation", "tickers", "kline.1", "orderbook.200"] {
        assert_eq!(venue.heard(&format!(r#""args":["{topic}.BTCUSDT"]"#)), 1, "{topic}");
    }
    assert_eq!(feed.statuses.last().unwrap().counters.reconnects, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_stands_by_gets_over_a_refused_topic_before_it_takes_over() {
    let manners: Manners = |number, text, replies| {
        if text.contains("\"req_id\":\"BTCUSDT\"") {
            // The documented refusal (§4.1) repeats no name.
            replies.push(r#"{"success":false,"ret_msg":"Invalid topic: allLiquidation.BTCUSDT","conn_id":"c","op":"subscribe"}"#.into());
            return;
        }
        // What each connection begins with: the second is later than the first.
        let (step, u) = (1 + 10 * number as i64, 10 + 10 * number as u64);
        if let Some(at) = ["publicTrade", "tickers"].iter().position(|t| text.contains(t)) {
            replies.push(market(step, u, "snapshot")[at].clone());
        } else if text.contains("orderbook") {
            replies.push(market(step, u, "snapshot")[3].clone());
        }
    };
    let venue = Bybit::start(manners, rest).await;
    let ms = Duration::from_millis;
    // Nothing is said after the beginning, and that must not count as silence.
    let config = FeedConfig {
        planned_reconnect: ms(2_500),
        overlap: ms(50),
        idle: ms(60_000),
        idle_trades: ms(60_000),
        ..venue.config()
    };
    let mut feed = Listener::start(config);
    let second = START + 11_000;
    feed.until("data of the second connection", |f| f.live() && f.events.iter().any(|e| e.ts == second))
        .await;
    let counters = feed.statuses.last().unwrap().counters;
    assert_eq!((counters.reconnects, counters.unknown, counters.malformed), (0, 0, 0));
    assert_eq!(feed.count(|k| matches!(k, EventKind::Gap(_))), 0, "no outage");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_calls_and_a_refused_place_are_told_apart() {
    for (rest, state, words) in [
        (
            (|_| (403, "403, access too frequent".into())) as Rest,
            (|s| matches!(s, LinkState::Reconnecting { .. })) as fn(&LinkState) -> bool,
            "Bybit asks us to slow down; next call in 10 min",
        ),
        (
            |_| (403, "<html>The distribution is configured to block access from your country</html>".into()),
            |s| matches!(s, LinkState::Blocked),
            "Bybit is not available from this place (HTTP 403)",
        ),
        (
            |_| (200, r#"{"retCode":10016,"retMsg":"Service is restarting","result":{},"time":1}"#.into()),
            |s| matches!(s, LinkState::Reconnecting { .. }),
            "Service is restarting (retCode 10016)",
        ),
    ] {
        let venue = Bybit::start(|_, _, _| {}, rest).await;
        let mut feed = Listener::start(venue.config());
        feed.until(words, |f| f.noted(state, words)).await;
        let limited = feed.statuses.last().unwrap().counters.rate_limited;
        assert_eq!(limited > 0, words.contains("slow down"));
    }
}

/// Samples that are no market data of linear perpetuals, what they are known as (`None`: not known at all), and why.
const ELSEWHERE: [(&str, Option<&str>, &str); 14] = [
    ("ws_account_", None, "messages of an account never reach a public socket"),
    ("ws_order_response", None, "the answer to an order"),
    ("ws_auth_success", Some("ack"), "the answer to a login"),
    ("ws_auth_failure", Some("refusal"), "the answer to a login"),
    ("ws_subscription_ack", Some("ack"), "the answer to a subscription"),
    ("ws_subscription_failure", Some("refusal"), "the answer to a subscription"),
    ("ws_public_trade", Some("trade"), "edited by hand: `trade.linear`, where the venue sends `publicTrade`"),
    ("ws_kline", Some("kline"), "five minutes, and unfinished"),
    ("ws_ticker_option", Some("tickers"), "an option"),
    ("http_get_orderbook", Some("answer we do not ask for"), "the socket's snapshot is used"),
    ("http_get_trades_recent", Some("answer we do not ask for"), "no history beyond the last thousand"),
    ("http_get_instruments_inverse", Some("answer of another category"), "counted in dollars"),
    ("http_get_instruments_option", Some("answer of another category"), "options"),
    ("http_get_instruments_spot", Some("answer of another category"), "spot"),
];

/// Answers to calls of an account, which are never made.
const ACCOUNT: [&str; 9] = [
    "http_get_account_info",
    "http_get_executions",
    "http_get_fee_rate",
    "http_get_order_",
    "http_get_orders_",
    "http_get_positions",
    "http_get_user_",
    "http_get_wallet_",
    "http_post_user_",
];

/// The call that brings a sample of market data.
fn call(name: &str) -> Option<String> {
    let path = match name {
        n if n.starts_with("http_get_instruments_linear") => "instruments-info?category=linear",
        n if n.starts_with("http_get_instruments_") => "instruments-info?category=other",
        "http_get_klines_linear" => "kline?category=linear&symbol=BTCUSDT&interval=1",
        "http_get_funding_history" => "funding/history?category=linear&symbol=BTCUSDT",
        "http_get_orderbook" => "orderbook?category=linear&symbol=BTCUSDT",
        "http_get_trades_recent" => "recent-trade?category=linear&symbol=BTCUSDT",
        _ => return None,
    };
    Some(format!("/v5/market/{path}"))
}

/// The folder of real data, where there is one.
fn recorded() -> Option<PathBuf> {
    let folder = std::env::var_os("MELTLINE_RECORDED").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("MELTLINE_RECORDED is not set: not run");
    }
    folder
}

#[test]
fn every_real_bybit_message_is_classified() {
    let Some(folder) = recorded() else { return };
    let venue = "bybit".parse().unwrap();
    let mut used = Vec::new();
    for file in fs::read_dir(folder.join("wire/samples/bybit")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        if ACCOUNT.iter().any(|start| name.starts_with(start)) {
            continue;
        }
        let called = call(&name);
        assert!(called.is_some() || name.starts_with("ws_"), "{name}: no call brings this");
        let body =
            called.map_or_else(|| Body::Ws(text.clone()), |path| Body::Rest { path, text: text.clone() });
        let mut feed = translator(venue, None, BookLimits::default()).unwrap();
        let mut events = Vec::new();
        feed.take(&RawFrame { recv: 0, venue, conn: "public".into(), body }, &mut events);
        let counters = feed.tally().counters;
        assert_eq!(counters.malformed, 0, "{name}");
        let kind = feed.tally().kinds.keys().next().copied();
        if let Some((_, expected, why)) = ELSEWHERE.iter().find(|(start, ..)| name.starts_with(start)) {
            assert_eq!(kind, *expected, "{name}: {why}");
            continue;
        }
        // Two rows of funding come without the mark price of their hour.
        let ignored = if name == "http_get_funding_history" { 2 } else { 0 };
        assert_eq!((counters.ignored, counters.unknown), (ignored, 0), "{name}");
        used.push(name);
    }
    used.sort();
    assert_eq!(
        used,
        [
            "http_get_funding_history",
            "http_get_instruments_linear",
            "http_get_instruments_linear_symbol_type",
            "http_get_klines_linear",
            "ws_orderbook_delta",
            "ws_orderbook_snapshot",
            "ws_ticker_linear",
        ]
    );
}

/// The recordings are of the API that v5 took the place of: its topics are known by name and left out, as none is sent any more.
#[test]
fn every_recorded_frame_of_the_dead_api_is_known_as_such() {
    let Some(folder) = recorded() else { return };
    let venue = "bybit".parse().unwrap();
    let mut feed = translator(venue, None, BookLimits::default()).unwrap();
    let (mut events, mut frames) = (Vec::new(), 0);
    for name in ["BYBIT.0", "BYBIT.ws.25.0", "BYBIT.ws.26.0"] {
        let file = fs::File::open(folder.join(format!("wire/recordings/{name}.gz"))).unwrap();
        for line in BufReader::new(flate2::read::MultiGzDecoder::new(file)).lines().map(Result::unwrap) {
            let (head, text) = line.split_once(": ").unwrap_or(("", &line));
            let body = match head.split_once(" -> ") {
                Some((url, _)) => {
                    let path = url.strip_prefix("https://api.bybit.com").unwrap();
                    Body::Rest { path: path.into(), text: text.into() }
                }
                // Notes of the recorder: which sockets it opened, what it sent.
                None if head.parse::<f64>().is_err() => continue,
                None => Body::Ws(text.into()),
            };
            feed.take(&RawFrame { recv: 0, venue, conn: "public".into(), body }, &mut events);
            frames += 1;
        }
    }
    let tally = feed.tally();
    eprintln!("{frames} frames: {:?}", tally.kinds);
    assert!(frames > 4_000 && events.is_empty());
    assert_eq!((tally.counters.ignored, tally.counters.unknown, tally.counters.malformed), (frames, 0, 0));
    assert_eq!(
        tally.kinds.keys().copied().collect::<Vec<_>>(),
        ["ack", "answer of the API before v5", "orderBookL2_25", "trade"]
    );
}
