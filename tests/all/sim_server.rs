//! The simulated exchange over loopback: REST shapes, routes, subscriptions, faults.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are not seen as tests")]

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use meltline::sim::{self, Scenario, SimConfig, SimServer};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;

const START: i64 = 1_763_800_000_000;
/// Nothing takes this long; it only keeps a failing test from hanging.
const PATIENCE: Duration = Duration::from_secs(60);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn server(scenario: Scenario, speed: f64) -> (SimServer, CancellationToken) {
    let stop = CancellationToken::new();
    let config = SimConfig { scenario, seed: 1, speed, listen: "127.0.0.1:0".parse().unwrap() };
    (sim::start_at(config, START, stop.clone()).await.unwrap(), stop)
}

async fn get(server: &SimServer, path: &str) -> (u16, reqwest::header::HeaderMap, Value) {
    // The crate's own TLS is set up by the program; loopback needs none, but the builder wants a provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client.get(format!("{}{path}", server.rest_url())).send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, headers, response.json().await.unwrap_or(Value::Null))
}

async fn connect(url: String) -> Socket {
    timeout(PATIENCE, connect_async(url)).await.unwrap().unwrap().0
}

async fn send(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
}

/// The next text frame that `wanted` takes.
async fn next(socket: &mut Socket, wanted: impl Fn(&Value) -> bool) -> Value {
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

fn number(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_answers_have_the_documented_shapes() {
    let (server, stop) = server(Scenario::Base, 1.0).await;

    let (status, headers, info) = get(&server, "/fapi/v1/exchangeInfo").await;
    assert_eq!(status, 200);
    assert_eq!(headers["x-mbx-used-weight-1m"], "1");
    let names: Vec<_> = info["symbols"].as_array().unwrap().iter().map(|s| s["symbol"].clone()).collect();
    assert_eq!(json!(names), json!(["BTCUSDT", "ETHUSDT", "SOLUSDT", "1000PEPEUSDT", "币安人生USDT"]));
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
    assert_eq!(tickers.as_array().unwrap().len(), 5);
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

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_carried_out() {
    let (server, stop) = server(Scenario::Base, 20.0).await;
    let faults = server.faults("binance").unwrap();
    let url = format!("{}/stream?streams=btcusdt@aggTrade/btcusdt@markPrice@1s", server.ws_market_url());
    let mut socket = connect(url.clone()).await;
    let trade = |f: &Value| f["stream"] == "btcusdt@aggTrade";
    let mark = |f: &Value| f["stream"] == "btcusdt@markPrice@1s";
    next(&mut socket, trade).await;
    faults.mute("@aggTrade");
    // Whatever was under way has arrived once a later mark has.
    let muted = get(&server, "/fapi/v1/time").await.2["serverTime"].as_i64();
    next(&mut socket, |f| mark(f) && f["data"]["E"].as_i64() > muted).await;
    let later = muted.map(|ms| ms + 10_000);
    let quiet = next(&mut socket, |f| trade(f) || f["data"]["E"].as_i64() > later).await;
    assert!(mark(&quiet), "{quiet}");
    faults.unmute();
    next(&mut socket, trade).await;

    faults.inject("{half a fr");
    let garbage =
        async { while !socket.next().await.unwrap().unwrap().to_text().unwrap().contains("half") {} };
    timeout(PATIENCE, garbage).await.expect("garbage arrives as it is");
    faults.cut_frame();
    let cut = async { while socket.next().await.is_some_and(|m| m.is_ok()) {} };
    timeout(PATIENCE, cut).await.expect("the connection ends in the middle of a frame");
    faults.block(Some(451));
    assert_eq!(get(&server, "/fapi/v1/time").await.0, 451);
    faults.block(None);

    let mut socket = connect(url.clone()).await;
    faults.refuse(true);
    faults.kill_connections();
    let end = timeout(PATIENCE, async { while socket.next().await.is_some_and(|m| m.is_ok()) {} }).await;
    assert!(end.is_ok(), "the connection is broken");
    assert!(connect_async(url.as_str()).await.is_err());
    faults.refuse(false);
    next(&mut connect(url).await, trade).await;
    stop.cancel();
    server.stopped().await.unwrap();
}
