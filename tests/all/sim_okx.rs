//! The simulated OKX over loopback: what it answers and what it tells.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are not seen as tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt as _;
use meltline::sim::{Faults, OkxEndpoints, Scenario, SimServer};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_util::sync::CancellationToken;

use super::sim_server::{PATIENCE, START, Socket, next, number, send, server};

pub struct Okx {
    server: SimServer,
    pub urls: OkxEndpoints,
    pub faults: Faults,
    stop: CancellationToken,
    client: reqwest::Client,
}

impl Okx {
    pub async fn start(scenario: Scenario, speed: f64) -> Self {
        let (server, stop) = server(scenario, speed).await;
        // The crate's own TLS is set up by the program; loopback needs none, but the builder wants a provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { urls: server.endpoints().okx, faults: server.faults("okx").unwrap(), server, stop, client }
    }

    pub async fn text(&self, path: &str) -> (u16, String) {
        let response = self.client.get(format!("{}/api/v5/{path}", self.urls.rest)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub async fn answer(&self, path: &str) -> (u16, Value) {
        let (status, text) = self.text(path).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// The rows of an answer that went well.
    pub async fn rows(&self, path: &str) -> Vec<Value> {
        let (status, body) = self.answer(path).await;
        assert_eq!((status, &body["code"], &body["msg"]), (200, &"0".into(), &"".into()), "{path} {body}");
        body["data"].as_array().unwrap().clone()
    }

    pub async fn time(&self) -> i64 {
        millis(&self.rows("public/time").await[0]["ts"])
    }

    /// Connects, waiting while more connections would be too many.
    pub async fn connect(&self, url: &str) -> Socket {
        let patient = async {
            loop {
                match connect_async(url).await {
                    Ok((socket, _)) => return socket,
                    Err(tungstenite::Error::Http(response)) => {
                        assert_eq!(response.status(), 429);
                        sleep(Duration::from_millis(100)).await;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        };
        timeout(PATIENCE, patient).await.unwrap()
    }

    pub async fn public(&self, args: &Value) -> Socket {
        let mut socket = self.connect(&self.urls.ws_public).await;
        ask(&mut socket, "subscribe", args).await;
        socket
    }

    pub async fn end(self) {
        self.stop.cancel();
        self.server.stopped().await.unwrap();
    }
}

pub async fn ask(socket: &mut Socket, op: &str, args: &Value) {
    send(socket, &json!({ "op": op, "args": args }).to_string()).await;
}

pub fn of(channel: &str) -> Value {
    json!({ "channel": channel, "instId": "BTC-USDT-SWAP" })
}

pub fn is(frame: &Value, channel: &str) -> bool {
    frame["arg"]["channel"] == channel && frame["data"].is_array()
}

pub fn millis(text: &Value) -> i64 {
    text.as_str().unwrap().parse().unwrap()
}

/// The next text, JSON or not.
pub async fn word(socket: &mut Socket) -> String {
    let read = async {
        loop {
            if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
                return text.to_string();
            }
        }
    };
    timeout(PATIENCE, read).await.expect("nothing came")
}

#[tokio::test(flavor = "multi_thread")]
async fn okx_rest_answers_newest_first_in_contracts() {
    let okx = Okx::start(Scenario::Base, 1.0).await;
    let list = okx.rows("public/instruments?instType=SWAP").await;
    let ours: Vec<&Value> = list
        .iter()
        .filter(|i| i["state"] == "live" && i["ctType"] == "linear" && i["settleCcy"] == "USDT")
        .collect();
    let told = |key: &str| ours.iter().map(|i| i[key].as_str().unwrap()).collect::<Vec<_>>();
    let names = ["BTC", "ETH", "SOL", "PEPE", "XRP", "BNB"].map(|coin| format!("{coin}-USDT-SWAP"));
    assert_eq!(told("instId")[..6], names);
    assert_eq!(told("ctVal")[..6], ["0.01", "0.1", "1", "10000000", "10", "0.1"]);
    assert_eq!(told("lotSz")[..6], ["0.01", "1", "1", "1", "1", "1"]);
    assert_eq!((told("tickSz")[0], told("lever")[0]), ("0.1", "100"));
    assert_eq!((ours.len(), list.len()), (24, 26), "two are to be passed over");
    assert_eq!(okx.rows("public/instruments?instType=SWAP&instId=ETH-USDT-SWAP").await.len(), 1);

    // Back through everything remembered, page by page.
    let (mut starts, mut after) = (Vec::new(), i64::MAX);
    loop {
        let path = format!("market/history-candles?instId=BTC-USDT-SWAP&bar=1m&limit=300&after={after}");
        let page = okx.rows(&path).await;
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 300);
        starts.extend(page.iter().map(|row| millis(&row[0])));
        after = millis(&page.last().unwrap()[0]);
        let row = page[0].as_array().unwrap();
        assert_eq!((row.len(), &row[8]), (9, &"1".into()), "only what is over");
        assert!((number(&row[5]) * 0.01 - number(&row[6])).abs() < 1e-9, "contracts and coins");
        let mean = number(&row[7]) / number(&row[6]);
        assert!((number(&row[3])..=number(&row[2])).contains(&mean), "{row:?}");
    }
    assert!(starts.len() >= 2_880 && starts.windows(2).all(|w| w[0] - w[1] == 60_000));
    let recent = okx.rows("market/candles?instId=BTC-USDT-SWAP&limit=2").await;
    assert_eq!((&recent[0][8], &recent[1][8]), (&"0".into(), &"1".into()), "the first is running");

    let oi = &okx.rows("public/open-interest?instType=SWAP&instId=PEPE-USDT-SWAP").await[0];
    assert!((number(&oi["oiCcy"]) / number(&oi["oi"]) / 1e7 - 1.0).abs() < 1e-6);
    let all = okx.rows("public/open-interest?instType=SWAP").await;
    assert_eq!(all.len(), 24, "also those that nobody asked for");
    assert!(
        (number(&all[4]["oiUsd"]) / (1.4e9 * 0.4) - 1.0).abs() < 1e-6,
        "which are told as they are listed"
    );
    let path = "rubik/stat/contracts/open-interest-history?instId=PEPE-USDT-SWAP&period=5m";
    let history = okx.rows(path).await;
    assert_eq!(history.len(), 100);
    assert!(history.windows(2).all(|w| millis(&w[0][0]) - millis(&w[1][0]) == 300_000));
    assert!((0.8..1.2).contains(&(number(&history[0][2]) / number(&oi["oiCcy"]))));
    let older = okx.rows(&format!("{path}&end={}", millis(&history[99][0]))).await;
    assert_eq!(millis(&history[99][0]) - millis(&older[0][0]), 300_000);
    let volume = &okx.rows("rubik/stat/taker-volume-contract?instId=BTC-USDT-SWAP&limit=2").await[1];
    let at = millis(&volume[0]);
    let path = format!("market/candles?instId=BTC-USDT-SWAP&bar=5m&after={}&limit=1", at + 1);
    let bar = &okx.rows(&path).await[0];
    assert_eq!(bar[0], volume[0]);
    assert!((number(&volume[1]) + number(&volume[2]) - number(&bar[5])).abs() < 1e-6, "sold and bought");

    let funding = okx.rows("public/funding-rate-history?instId=BTC-USDT-SWAP").await;
    assert_eq!(funding.len(), 6, "two days of eight hours");
    assert!(millis(&funding[0]["fundingTime"]) > millis(&funding[5]["fundingTime"]));
    let now = &okx.rows("public/funding-rate?instId=BTC-USDT-SWAP").await[0];
    assert_eq!(millis(&now["nextFundingTime"]) - millis(&now["fundingTime"]), 8 * 3_600_000);
    assert_eq!(now["settFundingRate"], funding[0]["realizedRate"]);
    let mark = &okx.rows("public/mark-price?instType=SWAP&instId=BTC-USDT-SWAP").await[0];
    let book = &okx.rows("market/books?instId=BTC-USDT-SWAP&sz=400").await[0];
    assert_eq!((book["bids"].as_array().unwrap().len(), book["bids"][0].as_array().unwrap().len()), (400, 4));
    assert!((number(&mark["markPx"]) / number(&book["bids"][0][0]) - 1.0).abs() < 0.01);
    let trades = okx.rows("market/trades?instId=BTC-USDT-SWAP&limit=500").await;
    let ids: Vec<i64> = trades.iter().map(|t| millis(&t["tradeId"])).collect();
    assert_eq!((ids.len(), trades[0].get("count")), (500, None));
    assert!(ids.windows(2).all(|w| w[0] == w[1] + 1), "every fill for itself");
    let page = okx.rows(&format!("market/history-trades?instId=BTC-USDT-SWAP&after={}", ids[9])).await;
    assert_eq!((millis(&page[0]["tradeId"]), page.len()), (ids[10], 100));

    let tiers =
        okx.rows("public/position-tiers?instType=SWAP&tdMode=isolated&instFamily=BTC-USDT,PEPE-USDT").await;
    assert_eq!(tiers[0]["maxLever"], "100");
    assert_eq!(
        (&tiers[0]["minSz"], &tiers[0]["maxSz"], &tiers[1]["minSz"]),
        (&"0".into(), &"1500".into(), &"1500.01".into()),
        "1.5 million USD"
    );
    assert_eq!((&tiers[0]["mmr"], &tiers[0]["imr"]), (&"0.004".into(), &"0.01".into()));
    let pepe = tiers.iter().find(|t| t["instFamily"] == "PEPE-USDT").unwrap();
    assert_eq!(pepe["maxSz"], "800", "100 thousand USD at 125 USD a contract");

    for (path, status, code) in [
        ("market/candles?instId=NOPE-USDT-SWAP", 200, "51001"),
        ("market/candles?instId=BTC-USD-SWAP", 200, "51001"),
        ("market/candles", 400, "50014"),
        ("market/candles?instId=BTC-USDT-SWAP&bar=1h", 400, "51000"),
        ("public/instruments", 400, "50014"),
        ("public/position-tiers?instType=SWAP&tdMode=isolated", 400, "50014"),
        ("public/position-tiers?instType=SWAP&tdMode=isolated&instFamily=BTC-USDT-SWAP", 400, "51000"),
    ] {
        let (got, body) = okx.answer(path).await;
        assert_eq!((got, &body["code"]), (status, &code.into()), "{path}");
    }
    okx.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn okx_answers_every_argument_for_itself() {
    let okx = Okx::start(Scenario::Base, 1.0).await;
    let mut socket = okx.connect(&okx.urls.ws_public).await;
    let any = |_: &Value| true;
    send(
        &mut socket,
        r#"{"id":"1512","op":"subscribe","args":[{"channel":"open-interest","instId":"BTC-USDT-SWAP"},{"channel":"trade","instId":"BTC-USDT-SWAP"},{"channel":"liquidation-orders","instType":"OPTION"},{"channel":"candle1m","instId":"BTC-USDT-SWAP"},{"channel":"mark-price","instId":"ETH-USDT-SWAP"}]}"#,
    )
    .await;
    let first = next(&mut socket, any).await;
    let name = first["connId"].as_str().unwrap().to_owned();
    assert_eq!(name.len(), 8);
    let expected = json!({"id":"1512","event":"subscribe","arg":of("open-interest"),"connId":name});
    assert_eq!(first, expected);
    for (code, words) in [
        ("60018", "channel:trade,instId:BTC-USDT-SWAP doesn't exist"),
        ("60018", "channel:liquidation-orders,instType:OPTION doesn't exist"),
        ("64001", "migrated to the '/business' URL"),
    ] {
        let error = next(&mut socket, |f| f["event"] == "error").await;
        assert_eq!(
            (&error["code"], &error["id"], &error["connId"]),
            (&code.into(), &"1512".into(), &name.as_str().into())
        );
        assert!(error["msg"].as_str().unwrap().contains(words), "{error}");
    }
    let last = next(&mut socket, |f| f["event"] == "subscribe").await;
    assert_eq!(last["arg"]["instId"], "ETH-USDT-SWAP", "one wrong argument spoils no other");
    let wrong = r#"{"op": "subscribe", "argss":[{ "channel" : "trades", "instId" : "BTC-USD-191227"}]}"#;
    send(&mut socket, wrong).await;
    let error = next(&mut socket, |f| f["event"] == "error").await;
    assert_eq!(error["code"], "60012");
    assert_eq!(error["msg"], format!("Invalid request: {wrong}"));
    let oi = next(&mut socket, |f| is(f, "open-interest")).await;
    assert_eq!(oi["arg"], of("open-interest"));
    ask(&mut socket, "unsubscribe", &json!([of("open-interest")])).await;
    next(&mut socket, |f| f["event"] == "unsubscribe").await;
    send(&mut socket, "ping").await;
    while word(&mut socket).await != "pong" {}

    let mut business = okx.connect(&okx.urls.ws_business).await;
    ask(&mut business, "subscribe", &json!([of("candle1m"), of("trades")])).await;
    assert_eq!(next(&mut business, any).await["event"], "subscribe");
    assert_eq!(next(&mut business, |f| f["event"] == "error").await["code"], "60018");
    let candle = next(&mut business, |f| is(f, "candle1m")).await;
    assert_eq!(candle["data"][0].as_array().unwrap().len(), 9);
    okx.end().await;
}

/// A book as a client keeps it: levels by price in tenths, contracts as text.
#[derive(Debug, Clone, Default, PartialEq)]
struct Kept {
    bids: BTreeMap<i64, String>,
    asks: BTreeMap<i64, String>,
    seq: i64,
}

impl Kept {
    fn of(frame: &Value) -> Self {
        assert_eq!((&frame["action"], &frame["data"][0]["prevSeqId"]), (&"snapshot".into(), &(-1).into()));
        let mut kept = Self::default();
        kept.write(&frame["data"][0]);
        assert_eq!((kept.bids.len(), kept.asks.len()), (400, 400));
        kept
    }

    fn write(&mut self, data: &Value) {
        assert_eq!(data["checksum"], 0);
        self.seq = data["seqId"].as_i64().unwrap();
        for (side, name) in [(&mut self.bids, "bids"), (&mut self.asks, "asks")] {
            for row in data[name].as_array().unwrap() {
                let price = (number(&row[0]) * 10.0).round() as i64;
                if row[1] == "0" {
                    side.remove(&price).expect("only what was there goes");
                } else {
                    side.insert(price, row[1].as_str().unwrap().to_owned());
                }
            }
        }
    }

    /// Whether an update follows this state; it is taken in if so.
    fn take(&mut self, frame: &Value) -> bool {
        assert_eq!(frame["action"], "update");
        let data = &frame["data"][0];
        let follows = data["prevSeqId"] == self.seq;
        if follows {
            self.write(data);
        }
        follows
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_okx_book_kept_by_updates_is_the_book() {
    let okx = Okx::start(Scenario::Churny, 20.0).await;
    let books = |f: &Value| is(f, "books");
    let mut socket = okx.public(&json!([of("books")])).await;
    assert_eq!(next(&mut socket, |_| true).await["event"], "subscribe", "before the first frame");
    let mut kept = Kept::of(&next(&mut socket, |_| true).await);
    let (mut updates, mut still) = (0, 0);
    while updates < 700 {
        let frame = next(&mut socket, books).await;
        assert!(kept.take(&frame), "a hole: {frame}");
        let data = &frame["data"][0];
        if data["prevSeqId"] == data["seqId"] {
            assert_eq!((&data["asks"], &data["bids"]), (&json!([]), &json!([])), "a heartbeat");
            still += 1;
        }
        updates += 1;
    }
    assert_eq!(kept.bids.len(), 400);
    assert!(kept.bids.keys().next_back() < kept.asks.keys().next(), "crossed");
    assert!(still >= 1, "a heartbeat a minute");
    // Someone who comes later sees the same.
    let mut late = okx.public(&json!([of("books")])).await;
    let mut fresh = Kept::of(&next(&mut late, books).await);
    while kept.seq < fresh.seq {
        assert!(kept.take(&next(&mut socket, books).await));
    }
    while fresh.seq < kept.seq {
        assert!(fresh.take(&next(&mut late, books).await));
    }
    assert_eq!(kept, fresh);

    okx.faults.renumber_books();
    let reset = loop {
        let frame = next(&mut socket, books).await;
        let before = kept.seq;
        assert!(kept.take(&frame), "a reset is no hole");
        if kept.seq < before {
            break kept.seq;
        }
    };
    assert!(kept.take(&next(&mut socket, books).await) && kept.seq >= reset, "and goes on from there");
    okx.faults.lose_next("books.BTC", 1);
    let torn = async {
        loop {
            if !kept.take(&next(&mut socket, books).await) {
                break;
            }
        }
    };
    timeout(PATIENCE, torn).await.expect("an update is missing");
    // A new start.
    ask(&mut socket, "unsubscribe", &json!([of("books")])).await;
    next(&mut socket, |f| f["event"] == "unsubscribe").await;
    ask(&mut socket, "subscribe", &json!([of("books")])).await;
    let mut kept = Kept::of(&next(&mut socket, books).await);
    for _ in 0..50 {
        assert!(kept.take(&next(&mut socket, books).await));
    }
    okx.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn okx_tells_one_story_on_all_channels() {
    let okx = Okx::start(Scenario::Base, 20.0).await;
    let channels = ["trades", "open-interest", "mark-price", "funding-rate", "tickers"];
    let mut socket = okx.public(&json!(channels.map(of))).await;
    let mut business = okx.connect(&okx.urls.ws_business).await;
    ask(&mut business, "subscribe", &json!([of("candle1m")])).await;

    // Trades of each minute, by start: contracts, and the last price.
    let (mut minutes, mut ids) = (BTreeMap::<i64, (f64, f64)>::new(), Vec::new());
    let (mut marks, mut interests, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    let mut last = 0.0;
    while minutes.len() < 4 || rates.len() < 3 {
        let frame = next(&mut socket, |f| f["data"].is_array()).await;
        let row = &frame["data"][0];
        let ms = millis(&row["ts"]);
        match frame["arg"]["channel"].as_str().unwrap() {
            "trades" => {
                last = number(&row["px"]);
                let minute = minutes.entry(ms.div_euclid(60_000) * 60_000).or_default();
                *minute = (minute.0 + number(&row["sz"]), last);
                ids.push((millis(&row["tradeId"]), millis(&row["count"])));
            }
            "open-interest" => {
                assert!((number(&row["oiCcy"]) / number(&row["oi"]) - 0.01).abs() < 1e-9, "{row}");
                interests.push(ms);
            }
            "mark-price" => {
                assert!(last == 0.0 || (number(&row["markPx"]) / last - 1.0).abs() < 0.01, "{row} {last}");
                marks.push((ms, row["markPx"].clone()));
            }
            "funding-rate" => rates.push(ms),
            _ => assert!(number(&row["bidPx"]) < number(&row["askPx"]), "{row}"),
        }
    }
    // Each tells its last fill; only where lots are fewer than fills is a number left out.
    let steps: Vec<i64> = ids.windows(2).map(|w| w[1].0 - w[1].1 - w[0].0).collect();
    assert!(steps.iter().all(|step| (0..6).contains(step)), "{steps:?}");
    assert!(steps.iter().filter(|step| **step == 0).count() * 10 > steps.len() * 9, "{steps:?}");
    assert!(interests.windows(2).all(|w| w[1] - w[0] == 3_000));
    assert!(marks.windows(2).all(|w| w[0].1 != w[1].1 || w[1].0 - w[0].0 >= 10_000), "on change");
    assert!(rates.windows(2).all(|w| [30_000, 60_000].contains(&(w[1] - w[0]))), "{rates:?}");
    // The second minute was seen whole; so was its candle.
    let (start, (contracts, close)) = minutes.iter().nth(1).unwrap();
    let candle = next(&mut business, |f| {
        is(f, "candle1m") && f["data"][0][8] == "1" && millis(&f["data"][0][0]) == *start
    });
    let candle = candle.await["data"][0].clone();
    assert!((number(&candle[5]) - contracts).abs() < 1e-6, "{candle} {contracts}");
    assert!((number(&candle[4]) - close).abs() < 1e-9);
    okx.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn okx_liquidations_begin_with_old_ones_and_come_out_of_order() {
    // The first fall comes after half a simulated minute: slowly enough that we are there by then.
    let okx = Okx::start(Scenario::Cascade, 6.0).await;
    let all = json!([{"channel":"liquidation-orders","instType":"SWAP"}]);
    let mut socket = okx.public(&all).await;
    next(&mut socket, |f| f["event"] == "subscribe").await;
    let first = next(&mut socket, |_| true).await;
    assert_eq!(first["arg"], all[0]);
    let rows = |frame: &Value| -> Vec<Value> {
        let elements = frame["data"].as_array().unwrap();
        let ours = elements.iter().filter(|e| e["instId"] == "BTC-USDT-SWAP");
        ours.flat_map(|e| e["details"].as_array().unwrap().clone()).collect()
    };
    let past = rows(&first);
    assert!(past.len() > 10 && past.iter().any(|row| millis(&row["ts"]) < START), "what was before we came");
    // Liquidations alone may be silent for longer than the connection lives.
    ask(&mut socket, "subscribe", &json!([of("mark-price")])).await;
    let (mut times, mut sides, mut inverse) = (Vec::new(), BTreeSet::new(), false);
    while times.len() < 20 || !inverse {
        let frame = next(&mut socket, |f| is(f, "liquidation-orders")).await;
        inverse |= frame["data"].as_array().unwrap().iter().any(|e| e["instId"] == "BTC-USD-SWAP");
        for row in rows(&frame) {
            times.push(millis(&row["ts"]));
            sides.insert((row["side"].to_string(), row["posSide"].to_string()));
        }
    }
    let backwards = times.windows(2).filter(|w| w[1] < w[0]).count();
    assert!(backwards >= 1, "rows are not in order: {times:?}");
    let told = |side: &str, position: &str| sides.contains(&(format!("{side:?}"), format!("{position:?}")));
    assert!(told("sell", "long") && told("sell", "net"), "{sides:?}");
    assert!(!told("sell", "short") && !told("buy", "long"), "{sides:?}");
    okx.end().await;
}
