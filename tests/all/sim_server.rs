//! The simulated exchanges over loopback: Binance's REST shapes, routes, subscriptions and books; ports of all venues.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are not seen as tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use meltline::sim::{self, Scenario, SimConfig, SimServer};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;

pub const START: i64 = 1_763_800_000_000;
/// Nothing takes this long; it only keeps a failing test from hanging.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub async fn server(scenario: Scenario, speed: f64) -> (SimServer, CancellationToken) {
    let stop = CancellationToken::new();
    let config = SimConfig { scenario, seed: 1, speed, listen: "127.0.0.1:0".parse().unwrap() };
    (sim::start_at(config, START, stop.clone()).await.unwrap(), stop)
}

pub async fn get(server: &SimServer, path: &str) -> (u16, reqwest::header::HeaderMap, Value) {
    // The crate's own TLS is set up by the program; loopback needs none, but the builder wants a provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client.get(format!("{}{path}", server.rest_url())).send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, headers, response.json().await.unwrap_or(Value::Null))
}

pub async fn connect(url: String) -> Socket {
    timeout(PATIENCE, connect_async(url)).await.unwrap().unwrap().0
}

pub async fn send(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
}

/// The next text frame that `wanted` takes.
pub async fn next(socket: &mut Socket, wanted: impl Fn(&Value) -> bool) -> Value {
    let search = async {
        loop {
            if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
                let value: Value = serde_json::from_str(&text).unwrap();
                if wanted(&value) {
                    return value;
                }
            }
        }
    };
    timeout(PATIENCE, search).await.expect("the frame did not come")
}

pub fn number(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_answers_have_the_documented_shapes() {
    let (server, stop) = server(Scenario::Base, 1.0).await;

    let (status, headers, info) = get(&server, "/fapi/v1/exchangeInfo").await;
    assert_eq!(status, 200);
    assert_eq!(headers["x-mbx-used-weight-1m"], "1");
    let names: Vec<_> = info["symbols"].as_array().unwrap().iter().map(|s| s["symbol"].clone()).collect();
    assert_eq!(json!(names[..5]), json!(["BTCUSDT", "ETHUSDT", "SOLUSDT", "1000PEPEUSDT", "XRPUSDT"]));
    assert_eq!((names.len(), &names[24]), (25, &json!("币安人生USDT")));
    let filters = info["symbols"][3]["filters"].as_array().unwrap();
    let filter = |kind: &str| filters.iter().find(|f| f["filterType"] == kind).unwrap();
    assert_eq!(filter("PRICE_FILTER")["tickSize"], "0.0000001");
    assert_eq!(filter("LOT_SIZE")["stepSize"], "1");
    assert!(info["serverTime"].as_i64().unwrap() >= START);

    let (_, headers, klines) = get(&server, "/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=1500").await;
    assert_eq!(headers["x-mbx-used-weight-1m"], "11", "1 + 10");
    let rows = klines.as_array().unwrap();
    assert_eq!(rows.len(), 1_500);
    for pair in rows.windows(2) {
        assert_eq!(pair[1][0].as_i64().unwrap() - pair[0][0].as_i64().unwrap(), 60_000);
    }
    let row = rows[0].as_array().unwrap();
    assert_eq!(row.len(), 12);
    assert_eq!(row[6].as_i64().unwrap(), row[0].as_i64().unwrap() + 59_999);
    assert!(number(&row[3]) <= number(&row[1]) && number(&row[2]) >= number(&row[4]));
    assert!(number(&row[9]) < number(&row[5]), "takers bought a part of the volume");
    let from = rows[0][0].as_i64().unwrap() - 86_400_000;
    let path = format!("/fapi/v1/klines?symbol=BTCUSDT&interval=1h&startTime={from}&limit=3");
    let hours = get(&server, &path).await.2;
    assert_eq!(hours.as_array().unwrap().len(), 3);
    assert_eq!(hours[0][0].as_i64().unwrap() % 3_600_000, 0);

    let path = "/futures/data/openInterestHist?symbol=BTCUSDT&period=5m&limit=500";
    let history = get(&server, path).await.2;
    assert_eq!(history.as_array().unwrap().len(), 500);
    assert_eq!(history[499]["symbol"], "BTCUSDT");
    assert_eq!(history[0]["timestamp"].as_i64().unwrap() % 300_000, 0);
    assert!(number(&history[0]["sumOpenInterestValue"]) > 1e9);

    let interest = get(&server, "/fapi/v1/openInterest?symbol=BTCUSDT").await.2;
    let ratio = number(&interest["openInterest"]) / number(&history[499]["sumOpenInterest"]);
    assert!((0.9..1.1).contains(&ratio), "one unit for both: {ratio}");

    let premium = get(&server, "/fapi/v1/premiumIndex?symbol=BTCUSDT").await.2;
    assert_eq!(premium["nextFundingTime"].as_i64().unwrap() % 28_800_000, 0);
    let book = get(&server, "/fapi/v1/depth?symbol=BTCUSDT&limit=20").await.2;
    assert!(number(&book["bids"][0][0]) < number(&book["asks"][0][0]));
    assert_eq!(book["asks"].as_array().unwrap().len(), 20);
    let rates = get(&server, "/fapi/v1/fundingRate?symbol=BTCUSDT").await.2;
    assert_eq!(rates.as_array().unwrap().len(), 6, "two days of eight hours");
    let tickers = get(&server, "/fapi/v1/ticker/24hr").await.2;
    assert_eq!(tickers.as_array().unwrap().len(), 25, "also those that nobody asked for");
    assert!(number(&tickers[3]["lastPrice"]) < 0.03);

    for (path, code) in [
        ("/fapi/v1/klines?symbol=NOPEUSDT&interval=1m", -1121),
        ("/fapi/v1/depth?symbol=BTCUSDT&limit=1001", -1130),
        ("/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=1501", -1130),
    ] {
        let (status, _, body) = get(&server, path).await;
        assert_eq!((status, body["code"].as_i64()), (400, Some(code)), "{path}");
    }
    let (_, _, body) = get(&server, "/fapi/v1/openInterest?symbol=btcusdt").await;
    assert_eq!(body, json!({"code":-1121,"msg":"Invalid symbol."}));

    server.faults("binance").unwrap().rate_limit_next(1, 7);
    let (status, headers, _) = get(&server, "/fapi/v1/time").await;
    assert_eq!((status, &headers["retry-after"]), (429, &"7".parse().unwrap()));
    assert_eq!(get(&server, "/fapi/v1/time").await.0, 200);
    stop.cancel();
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_speak_on_their_own_route_only() {
    let (server, stop) = server(Scenario::Base, 60.0).await;
    let streams = "btcusdt@aggTrade/btcusdt@markPrice@1s/btcusdt@kline_1m/btcusdt@bookTicker";
    let mut market = connect(format!("{}/stream?streams={streams}", server.ws_market_url())).await;
    let mut public = connect(format!("{}/stream?streams={streams}", server.ws_public_url())).await;

    let (mut kinds, mut last_id, mut told) = (std::collections::BTreeSet::new(), None, None);
    let mut closed = Vec::new();
    while closed.len() < 2 || kinds.len() < 3 {
        let frame = next(&mut market, |_| true).await;
        let name = frame["stream"].as_str().unwrap().to_owned();
        assert_ne!(name, "btcusdt@bookTicker", "books are not on /market");
        let data = &frame["data"];
        if name == "btcusdt@aggTrade" {
            let id = data["a"].as_u64().unwrap();
            assert!(last_id.is_none_or(|last| id == last + 1), "rows are numbered without gaps");
            last_id = Some(id);
        }
        if data["k"]["x"] == true {
            closed.push(data["k"]["t"].as_i64().unwrap());
        }
        told = told.max(data["E"].as_i64());
        kinds.insert(name);
    }
    assert_eq!(closed[1] - closed[0], 60_000, "each minute is closed once");
    let only_books = |f: &Value| {
        assert_eq!(f["stream"], "btcusdt@bookTicker", "trades are not on /public");
        f["data"]["E"].as_i64() > told
    };
    next(&mut public, only_books).await;
    stop.cancel();
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn control_messages_are_answered_as_documented() {
    let (server, stop) = server(Scenario::Base, 1.0).await;
    let mut socket = connect(format!("{}/ws", server.ws_market_url())).await;
    let any = |_: &Value| true;
    send(&mut socket, r#"{"method":"SUBSCRIBE","params":["btcusdt@nonsense","btcusdt@bookTicker"],"id":1}"#)
        .await;
    assert_eq!(next(&mut socket, any).await, json!({"result":null,"id":1}));
    send(&mut socket, r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#).await;
    let listed = json!({"result":["btcusdt@nonsense","btcusdt@bookTicker"],"id":3});
    assert_eq!(next(&mut socket, any).await, listed);
    send(&mut socket, r#"{"method":"UNSUBSCRIBE","params":["btcusdt@nonsense"],"id":2}"#).await;
    assert_eq!(next(&mut socket, any).await, json!({"result":null,"id":2}));
    send(&mut socket, "{nonsense").await;
    assert_eq!(next(&mut socket, any).await["code"], 3);
    send(&mut socket, r#"{"method":"SHOUT","id":4}"#).await;
    let refused = next(&mut socket, any).await;
    assert_eq!(refused["code"], 2);
    assert!(refused["msg"].as_str().unwrap().starts_with("Invalid request: unknown variant `SHOUT`"));
    send(&mut socket, r#"{"method":"SUBSCRIBE","params":["btcusdt@aggTrade"],"id":5}"#).await;
    let frame = next(&mut socket, |f| f["e"] == "aggTrade").await;
    assert_eq!((&frame["s"], &frame["st"]), (&json!("BTCUSDT"), &json!(1)), "raw, without an envelope");
    stop.cancel();
    let farewell = timeout(PATIENCE, async { while socket.next().await.is_some_and(|m| m.is_ok()) {} }).await;
    assert!(farewell.is_ok(), "the connection ends with the server");
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn liquidations_come_at_most_once_a_second_and_the_cascade_comes_soon() {
    let (server, stop) = server(Scenario::Cascade, 100.0).await;
    let mut socket = connect(format!("{}/ws/btcusdt@forceOrder", server.ws_market_url())).await;
    let mut seen = Vec::new();
    while seen.len() < 20 {
        let frame = next(&mut socket, |f| f["e"] == "forceOrder").await;
        let order = &frame["o"];
        let (limit, fill) = (number(&order["p"]), number(&order["ap"]));
        let worse = if order["S"] == "SELL" { fill - limit } else { limit - fill };
        assert!((0.003..0.005).contains(&(worse / fill)));
        seen.push((frame["E"].as_i64().unwrap(), order["S"] == "SELL"));
    }
    assert!(seen.windows(2).all(|w| w[1].0 - w[0].0 >= 1_000), "one a second at most");
    assert!(seen[19].0 - START < 120_000, "within two simulated minutes: {}", seen[19].0 - START);
    assert!(seen.iter().filter(|s| s.1).count() > 15, "longs die");
    stop.cancel();
    server.stopped().await.unwrap();
}

/// A book kept by the five steps of exchanges.md §3.3.
struct LocalBook {
    /// Prices as the wire has them; quantities likewise.
    sides: [BTreeMap<String, String>; 2],
    /// `u` of the last update applied.
    last: i64,
}

impl LocalBook {
    fn new(snapshot: &Value) -> Self {
        let mut book = Self { sides: [BTreeMap::new(), BTreeMap::new()], last: 0 };
        book.apply(["bids", "asks"].map(|side| &snapshot[side]));
        book
    }

    fn apply(&mut self, sides: [&Value; 2]) {
        for (book, rows) in self.sides.iter_mut().zip(sides) {
            for row in rows.as_array().unwrap() {
                let (price, qty) = (row[0].as_str().unwrap().to_owned(), row[1].as_str().unwrap());
                if qty.parse::<f64>().unwrap() == 0.0 {
                    book.remove(&price);
                } else {
                    book.insert(price, qty.to_owned());
                }
            }
        }
    }

    fn update(&mut self, event: &Value) {
        self.apply([&event["b"], &event["a"]]);
        self.last = event["u"].as_i64().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_book_kept_by_the_five_steps_stays_equal_to_the_exchanges() {
    let (server, stop) = server(Scenario::Cascade, 20.0).await;
    for stream in ["btcusdt@depth@100ms", "btcusdt@depth"] {
        let mut socket = connect(format!("{}/ws/{stream}", server.ws_public_url())).await;
        next(&mut socket, |_| true).await;
        let path = "/fapi/v1/depth?symbol=BTCUSDT&limit=1000";
        let snapshot = get(&server, path).await.2;
        let id = snapshot["lastUpdateId"].as_i64().unwrap();
        let mut book = LocalBook::new(&snapshot);
        let first = next(&mut socket, |e| e["u"].as_i64().unwrap() >= id).await;
        assert!(first["U"].as_i64().unwrap() <= id, "step 3 of exchanges.md §3.3: {first}");
        book.update(&first);
        for _ in 0..100 {
            let event = next(&mut socket, |_| true).await;
            assert_eq!(event["pu"].as_i64(), Some(book.last), "step 4");
            book.update(&event);
        }
        // Up to a second snapshot: then both have seen the same.
        let snapshot = get(&server, path).await.2;
        let id = snapshot["lastUpdateId"].as_i64().unwrap();
        let beyond = loop {
            let event = next(&mut socket, |_| true).await;
            if event["u"].as_i64().unwrap() >= id {
                break event;
            }
            book.update(&event);
        };
        assert!(beyond["U"].as_i64().unwrap() <= id);
        if stream.ends_with("@100ms") {
            assert_eq!(book.sides, LocalBook::new(&snapshot).sides, "{stream}");
        } else {
            // This one tells a quarter of a second at once and may not have come as far as the snapshot.
            book.update(&beyond);
            book.update(&next(&mut socket, |_| true).await);
        }
        assert_eq!([book.sides[0].len(), book.sides[1].len()], [1_000, 1_000], "{stream}");
    }
    stop.cancel();
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symbol_beyond_ascii_is_served_by_its_name() {
    let (server, stop) = server(Scenario::Base, 20.0).await;
    // 币安人生, percent-encoded as a URL needs it.
    let name = "%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9F";
    let interest = get(&server, &format!("/fapi/v1/openInterest?symbol={name}USDT")).await.2;
    assert_eq!(interest["symbol"], "币安人生USDT");
    let url = format!("{}/stream?streams={name}usdt@aggTrade", server.ws_market_url());
    let frame = next(&mut connect(url).await, |_| true).await;
    assert_eq!(
        (&frame["stream"], &frame["data"]["s"]),
        (&json!("币安人生usdt@aggTrade"), &json!("币安人生USDT"))
    );
    stop.cancel();
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_late_is_not_told_the_past() {
    let (server, stop) = server(Scenario::Base, 100.0).await;
    let mut clock = connect(format!("{}/ws/btcusdt@markPrice@1s", server.ws_market_url())).await;
    next(&mut clock, |f| f["E"].as_i64().unwrap() > START + 120_000).await;
    let mut socket = connect(format!("{}/ws/ethusdt@aggTrade", server.ws_market_url())).await;
    let first = next(&mut socket, |_| true).await;
    assert!(first["T"].as_i64().unwrap() > START + 120_000, "{first}");
    stop.cancel();
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_venue_has_a_port_of_its_own() {
    let (first, stop) = server(Scenario::Base, 1.0).await;
    let endpoints = first.endpoints();
    assert_eq!(endpoints.binance.rest, first.rest_url());
    let port = |url: &str| url.rsplit(':').next().unwrap().split('/').next().unwrap().parse::<u16>().unwrap();
    let ports = [
        port(&endpoints.binance.rest),
        port(&endpoints.bybit.rest),
        port(&endpoints.okx.rest),
        port(&endpoints.hyperliquid.rest),
    ];
    assert!(ports.iter().all(|p| ports.iter().filter(|q| p == *q).count() == 1), "{ports:?}");
    stop.cancel();
    first.stopped().await.unwrap();

    // With a port given, the venues take it and the next three. Someone else may hold one of them: try a few.
    let mut tried = 0;
    let (server, stop, base) = loop {
        let base = 20_000 + (std::process::id() as u16 % 20_000) + tried * 8;
        let stop = CancellationToken::new();
        let listen = format!("127.0.0.1:{base}").parse().unwrap();
        let config = SimConfig { scenario: Scenario::Base, seed: 1, speed: 1.0, listen };
        match sim::start_at(config, START, stop.clone()).await {
            Ok(server) => break (server, stop, base),
            Err(error) => assert!(tried < 50, "{error:#}"),
        }
        tried += 1;
    };
    let at = |offset: u16, path: &str| format!("127.0.0.1:{}{path}", base + offset);
    let endpoints = server.endpoints();
    assert_eq!(endpoints.binance.ws_market, format!("ws://{}", at(0, "/market")));
    assert_eq!(endpoints.binance.ws_public, format!("ws://{}", at(0, "/public")));
    assert_eq!(endpoints.bybit.rest, format!("http://{}", at(1, "")));
    assert_eq!(endpoints.bybit.ws, format!("ws://{}", at(1, "/v5/public/linear")));
    assert_eq!(endpoints.okx.ws_public, format!("ws://{}", at(2, "/ws/v5/public")));
    assert_eq!(endpoints.okx.ws_business, format!("ws://{}", at(2, "/ws/v5/business")));
    assert_eq!(endpoints.hyperliquid.ws, format!("ws://{}", at(3, "/ws")));
    assert!(server.faults("okx").is_some() && server.faults("nasdaq").is_none());
    stop.cancel();
    server.stopped().await.unwrap();
}
