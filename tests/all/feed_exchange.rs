//! A venue on loopback for the tests of the feed: it speaks Binance's paths and frames and misbehaves on request.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use meltline::feed::status::{LinkState, VenueStatus};
use meltline::feed::{BinanceConfig, FeedConfig, FeedItem, capture::Capture, run};
use meltline::market::{Asset, EventKind, MarketEvent, Venue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};
use tokio_util::sync::CancellationToken;

/// Nothing here takes this long unless it hangs.
const HANG: Duration = Duration::from_secs(30);

/// When the venue's clock starts, UTC ms; a whole five minutes.
pub const START: i64 = 1_700_000_100_000;

/// A socket of the venue, and what the tape said since it was asked for.
pub struct Socket {
    pub ws: WebSocketStream<TcpStream>,
    pub frames: broadcast::Receiver<String>,
}

type Served = Pin<Box<dyn Future<Output = ()> + Send>>;
type OnSocket = dyn Fn(usize, Socket, Arc<Tape>) -> Served + Send + Sync;
type OnRest = dyn Fn(&str) -> Option<(u16, &'static str, String)> + Send + Sync;

/// What the market does: one print, mark and bar update every second of its own time.
pub struct Tape {
    pub frames: broadcast::Sender<String>,
    /// What the public route carries.
    pub books: broadcast::Sender<String>,
    pub clock: AtomicI64,
    pub trades: AtomicU64,
}

impl Tape {
    fn tick(&self) {
        let now = self.clock.fetch_add(1_000, Ordering::SeqCst) + 1_000;
        let n = self.trades.fetch_add(1, Ordering::SeqCst) + 1;
        let (minute, done) = ((now - 1_000).div_euclid(60_000) * 60_000, now % 60_000 == 0);
        let frames = [
            format!(
                r#"{{"stream":"btcusdt@aggTrade","data":{{"e":"aggTrade","E":{now},"s":"BTCUSDT","a":{n},"p":"60000.{n}","q":"0.5","nq":"0.5","f":{n},"l":{n},"T":{now},"m":true,"st":1}}}}"#
            ),
            format!(
                r#"{{"stream":"btcusdt@markPrice@1s","data":{{"e":"markPriceUpdate","E":{now},"s":"BTCUSDT","p":"60000","i":"60001","P":"60000","r":"0.0001","ap":"60000","T":{},"st":1}}}}"#,
                START + 28_800_000
            ),
            format!(
                r#"{{"stream":"btcusdt@kline_1m","data":{{"e":"kline","E":{now},"s":"BTCUSDT","k":{{"t":{minute},"T":{},"s":"BTCUSDT","i":"1m","f":1,"L":2,"o":"60000","c":"60000","h":"60000","l":"60000","v":"30","n":1,"x":{done},"q":"1","V":"10","Q":"1","B":"0"}}}}}}"#,
                minute + 59_999
            ),
        ];
        let _ = self.books.send(format!(
            r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{now},"T":{now},"s":"BTCUSDT","U":{n},"u":{n},"pu":{},"b":[["59999","{n}"]],"a":[],"st":1}}}}"#,
            n - 1
        ));
        for frame in frames {
            // Nobody may be listening.
            let _ = self.frames.send(frame);
        }
        if n.is_multiple_of(7) {
            let _ = self.frames.send(format!(
                r#"{{"stream":"btcusdt@forceOrder","data":{{"e":"forceOrder","E":{now},"o":{{"s":"BTCUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"1","p":"59000","ap":"59900","X":"FILLED","l":"1","z":"1","T":{now}}}}}}}"#
            ));
        }
    }
}

/// Sends what the tape says, but for the frames a test keeps back.
pub async fn forward(mut socket: Socket, pass: impl Fn(&str) -> bool) {
    loop {
        tokio::select! {
            frame = socket.frames.recv() => {
                let frame = frame.expect("the tape keeps running");
                if pass(&frame) && socket.ws.send(Message::text(frame)).await.is_err() {
                    return;
                }
            }
            message = socket.ws.next() => if !matches!(message, Some(Ok(_))) { return },
        }
    }
}

/// The venue.
pub struct Exchange {
    pub address: std::net::SocketAddr,
    pub tape: Arc<Tape>,
    pub sockets: Arc<AtomicUsize>,
    /// Paths asked for, sockets too.
    pub asked: Arc<Mutex<Vec<String>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Exchange {
    /// Behaves well.
    pub async fn start() -> Self {
        Self::with(|_, socket, _| Box::pin(forward(socket, |_| true)), |_| None).await
    }

    /// With a say in what happens on the n-th socket, and in answers: status, further headers, body.
    pub async fn with(
        on_socket: impl Fn(usize, Socket, Arc<Tape>) -> Served + Send + Sync + 'static,
        on_rest: impl Fn(&str) -> Option<(u16, &'static str, String)> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tape = Arc::new(Tape {
            frames: broadcast::channel(10_000).0,
            books: broadcast::channel(10_000).0,
            clock: AtomicI64::new(START),
            trades: AtomicU64::new(0),
        });
        let sockets = Arc::new(AtomicUsize::new(0));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (on_socket, on_rest): (Arc<OnSocket>, Arc<OnRest>) = (Arc::new(on_socket), Arc::new(on_rest));
        let ticking = tokio::spawn({
            let tape = Arc::clone(&tape);
            async move {
                let mut beat = tokio::time::interval(Duration::from_millis(5));
                loop {
                    beat.tick().await;
                    tape.tick();
                }
            }
        });
        let accepting = tokio::spawn({
            let (tape, sockets, asked) = (Arc::clone(&tape), Arc::clone(&sockets), Arc::clone(&asked));
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (tape, sockets, asked) =
                        (Arc::clone(&tape), Arc::clone(&sockets), Arc::clone(&asked));
                    let (on_socket, on_rest) = (Arc::clone(&on_socket), Arc::clone(&on_rest));
                    tokio::spawn(async move {
                        let line = first_line(&stream).await;
                        let path = line.split(' ').nth(1).unwrap_or_default();
                        let path = path.strip_prefix("http://venue.test").unwrap_or(path).to_owned();
                        asked.lock().unwrap().push(path.clone());
                        if path.starts_with("/public/stream") {
                            // The book misbehaves in tests of its own.
                            let frames = tape.books.subscribe();
                            forward(accept(stream, frames).await, |_| true).await;
                        } else if path.contains("/stream") {
                            let n = sockets.fetch_add(1, Ordering::SeqCst);
                            let frames = tape.frames.subscribe();
                            on_socket(n, accept(stream, frames).await, tape).await;
                        } else {
                            let answer = on_rest(&path).unwrap_or_else(|| (200, "", rest(&path, &tape)));
                            reply(stream, answer).await;
                        }
                    });
                }
            }
        });
        Self { address, tape, sockets, asked, tasks: vec![ticking, accepting] }
    }

    /// A configuration that points here, with short times.
    pub fn config(&self) -> FeedConfig {
        Self::config_by(&self.address.to_string())
    }

    /// The same under another name.
    pub fn config_by(host: &str) -> FeedConfig {
        let ms = Duration::from_millis;
        FeedConfig {
            binance: BinanceConfig {
                ws_market: format!("ws://{host}/market"),
                ws_public: format!("ws://{host}/public"),
                rest: format!("http://{host}"),
            },
            timeout: ms(5_000),
            // Longer than a busy machine stalls: tests of silence set their own.
            first_data: ms(15_000),
            idle: ms(15_000),
            idle_trades: ms(15_000),
            backoff_first: ms(20),
            backoff_most: ms(100),
            overlap: ms(60),
            oi_poll: ms(50),
            backfill: Duration::from_secs(7_200),
            blocked_retry: ms(100),
            status_every: ms(5),
            ..FeedConfig::default()
        }
    }
}

pub async fn first_line(stream: &TcpStream) -> String {
    let mut buffer = [0; 2_048];
    loop {
        let n = stream.peek(&mut buffer).await.unwrap_or(0);
        let text = String::from_utf8_lossy(&buffer[..n]);
        if n == 0 || text.contains("\r\n") {
            return text.lines().next().unwrap_or_default().to_owned();
        }
        tokio::task::yield_now().await;
    }
}

#[allow(clippy::result_large_err, reason = "the shape the handshake callback has")]
async fn accept(stream: TcpStream, frames: broadcast::Receiver<String>) -> Socket {
    let answer = |_: &Request, response: Response| -> Result<Response, ErrorResponse> { Ok(response) };
    let ws = accept_hdr_async(stream, answer).await.expect("a socket handshake");
    Socket { ws, frames }
}

/// Answers a call: status, further headers, body.
pub async fn reply(mut stream: TcpStream, (status, headers, body): (u16, &'static str, String)) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let answer = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nX-MBX-USED-WEIGHT-1M: 5\r\n{headers}Connection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
}

fn query(path: &str, name: &str) -> i64 {
    let pairs = path.split(['?', '&']);
    pairs.filter_map(|p| p.split_once('=')).find(|(n, _)| *n == name).unwrap().1.parse().unwrap()
}

/// What a well-behaved venue answers.
fn rest(path: &str, tape: &Tape) -> String {
    let now = tape.clock.load(Ordering::SeqCst);
    let rows = |step: i64, row: &dyn Fn(i64) -> String| {
        let (from, to) = (query(path, "startTime"), query(path, "endTime"));
        let first = from.div_euclid(step) * step + if from % step == 0 { 0 } else { step };
        let rows: Vec<String> = (first..=to).step_by(step as usize).map(row).collect();
        format!("[{}]", rows.join(","))
    };
    match path.split('?').next().unwrap() {
        "/fapi/v1/exchangeInfo" => format!(
            r#"{{"serverTime":{now},"symbols":[{{"symbol":"BTCUSDT","contractType":"PERPETUAL","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[{{"filterType":"PRICE_FILTER","tickSize":"0.1"}},{{"filterType":"LOT_SIZE","stepSize":"0.001"}}]}}]}}"#
        ),
        "/fapi/v1/ticker/24hr" => r#"[{"symbol":"BTCUSDT","quoteVolume":"1234.5"}]"#.to_owned(),
        "/fapi/v1/depth" => format!(
            r#"{{"lastUpdateId":{},"E":{now},"T":{now},"bids":[["59999","1"]],"asks":[["60001","1"]]}}"#,
            tape.trades.load(Ordering::SeqCst)
        ),
        "/fapi/v1/time" => format!(r#"{{"serverTime":{now}}}"#),
        "/fapi/v1/klines" => rows(60_000, &|t| {
            format!(r#"[{t},"60000","60010","59990","60001","12",{},"1",5,"6","1","0"]"#, t + 59_999)
        }),
        "/futures/data/openInterestHist" => rows(300_000, &|t| {
            format!(
                r#"{{"symbol":"BTCUSDT","sumOpenInterest":"1000.5","sumOpenInterestValue":"1","timestamp":{t}}}"#
            )
        }),
        "/fapi/v1/openInterest" => format!(r#"{{"openInterest":"1001","symbol":"BTCUSDT","time":{now}}}"#),
        "/fapi/v1/premiumIndex" => format!(
            r#"{{"symbol":"BTCUSDT","markPrice":"60000","indexPrice":"60001","lastFundingRate":"0.0001","nextFundingTime":0,"time":{now}}}"#
        ),
        other => panic!("no such call: {other}"),
    }
}

/// A feed that runs, and all it has said.
pub struct Listener {
    items: mpsc::Receiver<FeedItem>,
    pub events: Vec<MarketEvent>,
    pub statuses: Vec<VenueStatus>,
    pub assets: Vec<Asset>,
    stop: CancellationToken,
    feed: JoinHandle<anyhow::Result<()>>,
}

impl Listener {
    pub fn start(config: FeedConfig, capture: Option<Capture>) -> Self {
        Self::of("binance", config, capture)
    }

    /// Of BTC on another venue.
    pub fn of(venue: &'static str, config: FeedConfig, capture: Option<Capture>) -> Self {
        let (out, items) = mpsc::channel(16);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let feed = tokio::spawn(async move {
            let venues: [Venue; 1] = [venue.parse().unwrap()];
            run(Arc::new(config), &venues, "BTC".parse().unwrap(), out, capture.into(), stopped).await
        });
        Self { items, events: Vec::new(), statuses: Vec::new(), assets: Vec::new(), stop, feed }
    }

    /// Listens until something is so.
    pub async fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let listening = async {
            while !so(self) {
                match self.items.recv().await.expect("the feed runs") {
                    FeedItem::Events(events) => {
                        assert!(!events.is_empty());
                        self.events.extend(events);
                    }
                    FeedItem::Status(status) => self.statuses.push(status),
                    FeedItem::Assets(assets) => self.assets = assets.iter().map(|a| a.asset).collect(),
                }
            }
        };
        let done = tokio::time::timeout(HANG, listening).await;
        assert!(done.is_ok(), "never: {what}; last status {:?}", self.statuses.last());
    }

    pub fn status(&self) -> Option<&VenueStatus> {
        self.statuses.last()
    }

    pub fn live(&self) -> bool {
        self.status().is_some_and(|s| s.state == LinkState::Live)
    }

    pub fn trades(&self) -> Vec<u64> {
        let number = |e: &MarketEvent| match &e.kind {
            EventKind::Trade(t) => t.id.as_ref().map(|id| id.parse().unwrap()),
            _ => None,
        };
        self.events.iter().filter_map(number).collect()
    }

    pub fn gaps(&self) -> Vec<String> {
        let gap = |e: &'_ MarketEvent| match &e.kind {
            EventKind::Gap(g) => Some(g.stream.to_string()),
            _ => None,
        };
        self.events.iter().filter_map(gap).collect()
    }

    /// Stops the feed and gives all its events.
    pub async fn end(mut self) -> Vec<MarketEvent> {
        self.stop.cancel();
        let rest = async {
            while let Some(item) = self.items.recv().await {
                if let FeedItem::Events(events) = item {
                    self.events.extend(events);
                }
            }
            self.feed.await.unwrap().unwrap();
        };
        tokio::time::timeout(HANG, rest).await.expect("the feed ends when told to");
        self.events
    }
}
