//! The simulated Bybit over loopback, checked against exchanges.md §4 by a plain client.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are not seen as tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meltline::sim::hub::Kind;
use meltline::sim::{Directory, Faults, KeepAlive, Scenario, SimServer};
use serde_json::{Value, json};

use crate::sim_wire::{Line, START, ask, http, number, rows, serve};

/// How many contracts Bybit lists.
const LISTED: usize = 24;

async fn get(server: &SimServer, path: &str) -> (u16, Value) {
    let rest = server.endpoints().bybit.rest;
    let (status, body) = ask(http().get(format!("{rest}{path}"))).await;
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

/// The result of a request that is not refused.
async fn result(server: &SimServer, path: &str) -> Value {
    let (status, mut body) = get(server, &format!("/v5/market/{path}")).await;
    assert_eq!((status, &body["retCode"], &body["retMsg"]), (200, &json!(0), &json!("OK")), "{body}");
    assert!(body["retExtInfo"].is_object() && body["time"].as_i64().unwrap() >= START);
    body["result"].take()
}

async fn subscribed(server: &SimServer, topics: &[&str]) -> Line {
    let mut line = Line::open(&server.endpoints().bybit.ws).await;
    line.say(&json!({ "req_id": "x1", "op": "subscribe", "args": topics }).to_string()).await;
    let ack = line.hear().await.unwrap();
    assert_eq!((&ack["success"], &ack["op"]), (&json!(true), &json!("subscribe")), "{ack}");
    line
}

fn faults(server: &SimServer) -> Faults {
    server.faults("bybit").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn instruments_and_risk_limits_come_in_pages() {
    let (server, stop) = serve(Scenario::Base, 1.0).await;

    let all = result(&server, "instruments-info?category=linear&limit=1000").await;
    let names: Vec<_> = rows(&all["list"]).iter().map(|row| row["symbol"].clone()).collect();
    assert_eq!(json!(names[..5]), json!(["BTCUSDT", "ETHUSDT", "SOLUSDT", "1000PEPEUSDT", "XRPUSDT"]));
    assert_eq!(names.len(), LISTED);
    assert_eq!((&all["category"], &all["nextPageCursor"]), (&json!("linear"), &json!("")));
    let btc = &all["list"][0];
    assert_eq!(
        (&btc["priceFilter"]["tickSize"], &btc["lotSizeFilter"]["qtyStep"]),
        (&json!("0.10"), &json!("0.001"))
    );
    assert_eq!(
        (&btc["fundingInterval"], &btc["leverageFilter"]["maxLeverage"]),
        (&json!(480), &json!("150.00"))
    );
    let first = result(&server, "instruments-info?category=linear&limit=3").await;
    let cursor = first["nextPageCursor"].as_str().unwrap();
    assert_eq!((rows(&first["list"]).len(), cursor), (3, "first%3DBTCUSDT%26last%3DSOLUSDT"));
    for cursor in [cursor.to_owned(), cursor.replace('%', "%25")] {
        let second =
            result(&server, &format!("instruments-info?category=linear&limit=3&cursor={cursor}")).await;
        assert_eq!(
            (&second["list"][0]["symbol"], &second["nextPageCursor"]),
            (&json!("1000PEPEUSDT"), &json!("first%3D1000PEPEUSDT%26last%3DBNBUSDT"))
        );
    }

    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = result(&server, &format!("risk-limit?category=linear&cursor={cursor}")).await;
        let symbols: BTreeSet<_> = rows(&page["list"]).iter().map(|row| row["symbol"].to_string()).collect();
        pages.push(symbols);
        cursor = page["nextPageCursor"].as_str().unwrap().to_owned();
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(pages.iter().map(BTreeSet::len).collect::<Vec<_>>(), [15, 9], "15 symbols a page");
    assert!(pages[0].is_disjoint(&pages[1]));
    let tiers = result(&server, "risk-limit?category=linear&symbol=BTCUSDT").await;
    for (n, expected) in [
        ["300000", "0.0033", "0.0066", ""],
        ["2000000", "0.005", "0.01", "510"],
        ["2600000", "0.0056", "0.0111", "1710"],
    ]
    .iter()
    .enumerate()
    {
        let row = &tiers["list"][n];
        let ours =
            ["riskLimitValue", "maintenanceMargin", "initialMargin", "mmDeduction"].map(|key| &row[key]);
        assert_eq!(ours, *expected, "exchanges.md §14");
    }
    for row in rows(&tiers["list"]) {
        let whole = number(&row["initialMargin"]) * number(&row["maxLeverage"]);
        assert!((0.98..1.01).contains(&whole), "fractions: {whole}");
    }
    stop.cancel();
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn history_comes_newest_first_and_refusals_are_http_200() {
    let (server, stop) = serve(Scenario::Base, 1.0).await;

    let klines = result(&server, "kline?category=linear&symbol=BTCUSDT&interval=1&limit=1000").await;
    let starts: Vec<i64> = rows(&klines["list"]).iter().map(|row| number(&row[0]) as i64).collect();
    assert_eq!((starts.len(), rows(&klines["list"][0]).len()), (1_000, 7));
    assert!(starts.windows(2).all(|w| w[0] - w[1] == 60_000), "newest first");
    let path =
        format!("kline?category=linear&symbol=BTCUSDT&interval=60&start={}&end={}", START - 7_200_000, START);
    let hours = result(&server, &path).await;
    let hours: Vec<f64> = rows(&hours["list"]).iter().map(|row| number(&row[0])).collect();
    assert_eq!(hours, [1_763_798_400_000.0, 1_763_794_800_000.0]);

    let path = format!("category=linear&symbol=BTCUSDT&interval=5&end={START}&limit=500");
    let [traded, marks, index] = [
        result(&server, &format!("kline?{path}")).await,
        result(&server, &format!("mark-price-kline?{path}")).await,
        result(&server, &format!("index-price-kline?{path}")).await,
    ];
    assert_eq!((rows(&marks["list"]).len(), rows(&marks["list"][0]).len()), (500, 5), "no volume");
    for ((traded, mark), index) in
        rows(&traded["list"]).iter().zip(rows(&marks["list"])).zip(rows(&index["list"]))
    {
        assert!(traded[0] == mark[0] && traded[0] == index[0]);
        let close = number(&traded[4]);
        assert!(
            (number(&mark[4]) / close - 1.0).abs() < 0.02 && (number(&index[4]) / close - 1.0).abs() < 0.02
        );
        assert!(number(&mark[3]) <= number(&mark[4]) && number(&mark[4]) <= number(&mark[2]));
    }

    let (mut interest, mut cursor) = (Vec::new(), String::new());
    for _ in 0..3 {
        let path = format!(
            "open-interest?category=linear&symbol=BTCUSDT&intervalTime=5min&limit=200&cursor={cursor}"
        );
        let page = result(&server, &path).await;
        interest.extend(rows(&page["list"]).to_vec());
        cursor = page["nextPageCursor"].as_str().unwrap().to_owned();
    }
    assert!(interest.len() >= 576 && cursor.is_empty(), "two days of five minutes: {}", interest.len());
    for pair in interest.windows(2) {
        assert_eq!(number(&pair[0]["timestamp"]) - number(&pair[1]["timestamp"]), 300_000.0);
    }
    for row in &interest {
        assert_eq!(number(&row["openInterest"]), 2.0 * number(&row["singleOpenInterest"]));
    }

    let tickers = result(&server, "tickers?category=linear").await;
    assert_eq!(rows(&tickers["list"]).len(), LISTED, "also those that nobody asked for");
    let pepe = &tickers["list"][3];
    assert!((0.005..0.03).contains(&number(&pepe["lastPrice"])), "price of a thousand coins");
    let ratio =
        number(&tickers["list"][0]["singleOpenInterest"]) / number(&interest[0]["singleOpenInterest"]);
    assert!((0.9..1.1).contains(&ratio), "one unit for both: {ratio}");
    let book = result(&server, "orderbook?category=linear&symbol=BTCUSDT&limit=200").await;
    assert_eq!((rows(&book["b"]).len(), rows(&book["a"]).len()), (200, 200));
    assert!(number(&book["b"][0][0]) < number(&book["a"][0][0]));
    let trades = result(&server, "recent-trade?category=linear&symbol=SOLUSDT&limit=20").await;
    let times: Vec<f64> = rows(&trades["list"]).iter().map(|row| number(&row["time"])).collect();
    assert!(times.len() == 20 && times.is_sorted_by(|a, b| a >= b));
    let paid = result(&server, "funding/history?category=linear&symbol=BTCUSDT").await;
    assert_eq!(rows(&paid["list"]).len(), 6, "two days of eight hours");
    assert_eq!(number(&paid["list"][0]["fundingRateTimestamp"]) % 28_800_000.0, 0.0);

    for path in [
        "kline?category=linear&symbol=PEPEUSDT&interval=1",
        "kline?category=linear&symbol=BTCUSDT&interval=1m",
        "kline?category=linear&symbol=BTCUSDT&interval=1&limit=1001",
        "kline?category=inverse&symbol=BTCUSD&interval=1",
        "open-interest?category=linear&symbol=BTCUSDT&intervalTime=1min",
        "instruments-info?category=linear&cursor=nonsense",
        "tickers",
    ] {
        let (status, body) = get(&server, &format!("/v5/market/{path}")).await;
        assert_eq!((status, &body["retCode"]), (200, &json!(10_001)), "{path}");
    }
    stop.cancel();
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn control_messages_are_answered_as_documented() {
    let (server, stop) = serve(Scenario::Base, 1.0).await;
    let mut line = Line::open(&server.endpoints().bybit.ws).await;
    line.say(r#"{"op":"ping"}"#).await;
    let mut pong = line.hear().await.unwrap();
    let id = pong["conn_id"].take();
    assert_eq!(id.as_str().unwrap().len(), 36);
    assert_eq!(pong, json!({"success":true,"ret_msg":"pong","conn_id":null,"req_id":"","op":"ping"}));

    line.say(r#"{"op":"subscribe","args":["publicTrade.BTCUSDT","invalid.topic.BTCUSDT"]}"#).await;
    let refused = json!({"success":false,"ret_msg":"Invalid topic: invalid.topic.BTCUSDT","conn_id":id,"op":"subscribe"});
    assert_eq!(line.hear().await.unwrap(), refused);
    line.say(r#"{"req_id":"x1","op":"subscribe","args":["orderbook.50.BTCUSDT","tickers.BTCUSDT"]}"#).await;
    // One bad topic failed the whole request: nothing of it has come in between.
    let ack = json!({"success":true,"ret_msg":"","conn_id":id,"req_id":"x1","op":"subscribe"});
    assert_eq!(line.hear().await.unwrap(), ack);
    for topic in ["orderbook.50.BTCUSDT", "tickers.BTCUSDT"] {
        let first = line.hear().await.unwrap();
        assert_eq!((&first["topic"], &first["type"]), (&json!(topic), &json!("snapshot")));
    }
    line.until(|frame| frame["topic"] == "orderbook.50.BTCUSDT" && frame["type"] == "delta").await;

    line.say(r#"{"req_id":"x2","op":"unsubscribe","args":["orderbook.50.BTCUSDT","tickers.BTCUSDT"]}"#).await;
    line.until(|frame| frame["req_id"] == "x2" && frame["success"] == true).await;
    line.say(r#"{"op":"ping"}"#).await;
    line.until(|frame| frame["op"] == "ping").await;
    let long = vec!["publicTrade.BTCUSDT"; 1_200];
    line.say(&json!({"req_id":"x3","op":"subscribe","args":long}).to_string()).await;
    assert_eq!(
        line.until(|frame| frame["req_id"] == "x3").await["success"],
        false,
        "beyond 21,000 characters"
    );
    for nonsense in ["{half", r#"{"op":"shout"}"#] {
        line.say(nonsense).await;
        assert_eq!(line.until(|frame| frame["op"].is_string()).await["success"], false, "{nonsense}");
    }
    stop.cancel();
    line.end().await;
    server.stopped().await.unwrap();
}

/// One side of a book: prices as they are written, and their sizes.
type Side = BTreeMap<i64, String>;

/// A book kept by a client that knows the rules of exchanges.md §4.2 and nothing else.
#[derive(Default)]
struct Book {
    sides: [Side; 2],
    update: Option<i64>,
    holes: usize,
}

impl Book {
    fn take(&mut self, frame: &Value) {
        let update = frame["data"]["u"].as_i64().unwrap();
        if frame["type"] == "snapshot" {
            self.sides = Default::default();
        } else if self.update.is_none_or(|last| update != last + 1) {
            self.holes += 1;
        }
        self.update = Some(update);
        for (side, key) in self.sides.iter_mut().zip(["b", "a"]) {
            for row in rows(&frame["data"][key]) {
                let price = (number(&row[0]) * 100.0).round() as i64;
                if row[1] == "0" {
                    assert!(side.remove(&price).is_some(), "only what was there goes");
                } else {
                    side.insert(price, row[1].as_str().unwrap().to_owned());
                }
            }
        }
    }

    fn of(frame: &Value) -> Self {
        let mut book = Self::default();
        book.take(&json!({ "type": "snapshot", "data": frame }));
        book
    }
}

/// Rows that came, by kind.
#[derive(Debug, Default)]
struct Account(BTreeMap<Kind, u64>);

impl Account {
    fn take(&mut self, frame: &Value) {
        let data = &frame["data"];
        let told = |field: &str| u64::from(data.get(field).is_some());
        let kinds = match frame["topic"].as_str().unwrap().split('.').next().unwrap() {
            "publicTrade" => vec![(Kind::Trade, rows(data).len() as u64)],
            "kline" => vec![(Kind::Candle, u64::from(data[0]["confirm"] == true))],
            "orderbook" => vec![(Kind::Book, 1)],
            _ => vec![
                (Kind::Ticker, 1),
                (Kind::Mark, told("markPrice")),
                (Kind::OpenInterest, told("openInterest")),
            ],
        };
        for (kind, rows) in kinds {
            *self.0.entry(kind).or_default() += rows;
        }
    }
}

/// Takes a frame's fields over: only what changed may be there, and what is known then must agree.
fn update_ticker(ticker: &mut Value, data: &Value) {
    for (key, value) in data.as_object().unwrap() {
        assert!(ticker.get(key) != Some(value) || key == "symbol", "{key} did not change");
        ticker[key] = value.clone();
    }
    let told = |key: &str| number(&ticker[key]);
    assert_eq!(told("openInterest"), 2.0 * told("singleOpenInterest"));
    let value = told("singleOpenInterest") * told("markPrice");
    assert!((value / told("singleOpenInterestValue") - 1.0).abs() < 1e-4);
    assert!(told("bid1Price") < told("ask1Price"));
    assert!((told("lastPrice") / told("markPrice") - 1.0).abs() < 0.01);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_minutes_of_all_topics_agree_with_each_other_and_with_rest() {
    let (server, stop) = serve(Scenario::Base, 30.0).await;
    let topics = [
        "publicTrade.BTCUSDT",
        "tickers.BTCUSDT",
        "kline.1.BTCUSDT",
        "orderbook.1.BTCUSDT",
        "orderbook.50.BTCUSDT",
        "orderbook.1000.BTCUSDT",
    ];
    let mut line = subscribed(&server, &topics).await;
    let (mut shallow, mut deep, mut ticker) = (Book::default(), Book::default(), json!({}));
    let (mut traded, mut closed): (BTreeMap<i64, f64>, Vec<(i64, f64)>) = (BTreeMap::new(), Vec::new());
    let mut account = Account::default();
    let (mut first_trade, mut ids, mut seq, mut touches) = (i64::MAX, BTreeSet::new(), 0, 0);
    let (mut whole, mut compared): (Option<Book>, usize) = (None, 0);
    while closed.len() < 3 {
        let frame = line.hear().await.unwrap();
        account.take(&frame);
        let data = &frame["data"];
        match frame["topic"].as_str().unwrap() {
            "publicTrade.BTCUSDT" => {
                for row in rows(data) {
                    let at = row["T"].as_i64().unwrap();
                    first_trade = first_trade.min(at);
                    *traded.entry(at / 60_000 * 60_000).or_default() += number(&row["v"]);
                    assert!(ids.insert(row["i"].to_string()), "each row once");
                    assert!(row["seq"].as_i64().unwrap() >= seq);
                    seq = row["seq"].as_i64().unwrap();
                }
            }
            "tickers.BTCUSDT" => {
                assert_eq!(frame["type"] == "snapshot", ticker == json!({}), "one snapshot, then deltas");
                update_ticker(&mut ticker, data);
            }
            "kline.1.BTCUSDT" => {
                let row = &data[0];
                assert_eq!(row["end"].as_i64().unwrap(), row["start"].as_i64().unwrap() + 59_999);
                if row["confirm"] == true {
                    closed.push((row["start"].as_i64().unwrap(), number(&row["volume"])));
                }
            }
            "orderbook.1.BTCUSDT" => {
                assert_eq!((&frame["type"], rows(&data["b"]).len()), (&json!("snapshot"), 1));
                touches += 1;
            }
            "orderbook.50.BTCUSDT" => {
                shallow.take(&frame);
                assert_eq!(shallow.sides.each_ref().map(BTreeMap::len), [50, 50]);
            }
            _ => {
                deep.take(&frame);
                if whole.is_none() {
                    let path = "orderbook?category=linear&symbol=BTCUSDT&limit=1000";
                    // Its number does not lie behind what was read from the socket so far.
                    whole = Some(Book::of(&result(&server, path).await));
                }
                if let Some(asked) = whole.take_if(|asked| asked.update <= deep.update) {
                    assert_eq!(asked.update, deep.update, "its number was told");
                    assert!(asked.sides == deep.sides, "the book kept is the book asked for");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 5, "{compared} books");
    assert_eq!((shallow.holes, deep.holes), (0, 0));
    assert!(touches > 10, "{touches}");
    let full: Vec<_> = closed.iter().filter(|(start, _)| *start > first_trade).collect();
    assert!(full.len() >= 2);
    for (start, volume) in full {
        assert!((traded[start] - volume).abs() < 1e-6, "{start}: {} {volume}", traded[start]);
    }

    // The books of account: once all is silent, what came is what was sent.
    let faults = faults(&server);
    let mut other = subscribed(&server, &["publicTrade.ETHUSDT"]).await;
    account.take(&other.hear().await.unwrap());
    faults.mute("");
    loop {
        for line in [&mut line, &mut other] {
            line.say(r#"{"op":"ping"}"#).await;
            loop {
                let frame = line.hear().await.unwrap();
                if frame["op"] == "ping" {
                    break;
                }
                account.take(&frame);
            }
        }
        let sent = faults.sent();
        if account.0.iter().all(|(kind, rows)| sent.get(*kind) == *rows) {
            assert_eq!(account.0.len(), 6, "{account:?}");
            break;
        }
    }
    stop.cancel();
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_liquidation_is_told_in_batches_with_the_position_side() {
    let (server, stop) = serve(Scenario::Cascade, 400.0).await;
    let mut line = subscribed(&server, &["allLiquidation.BTCUSDT", "tickers.BTCUSDT"]).await;
    let (mut mark, mut count, mut longs, mut together) = (0.0, 0, 0, 0);
    while count < 60 {
        let frame = line.hear().await.unwrap();
        if let Some(price) = frame["data"].get("markPrice") {
            mark = number(price);
        }
        if frame["topic"] != "allLiquidation.BTCUSDT" {
            continue;
        }
        let rows = rows(&frame["data"]);
        let times: Vec<i64> = rows.iter().map(|row| row["T"].as_i64().unwrap()).collect();
        assert!(times.is_sorted() && times[times.len() - 1] - times[0] < 500, "a batch of 500 ms");
        assert!(times[0] <= frame["ts"].as_i64().unwrap());
        for row in rows {
            assert!(number(&row["v"]) > 0.0);
            count += 1;
            if row["S"] == "Buy" {
                longs += 1;
                assert!(number(&row["p"]) < mark * 1.003, "a long's bankruptcy price is below: {row} {mark}");
            }
        }
        together = together.max(rows.len());
    }
    assert!(longs > 40, "longs die in a cascade: {longs}");
    assert!(together > 1, "several in a batch");
    stop.cancel();
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_show_in_bybits_own_way() {
    let (server, stop) = serve(Scenario::Base, 20.0).await;
    let faults = faults(&server);
    let mut line =
        subscribed(&server, &["orderbook.50.BTCUSDT", "publicTrade.BTCUSDT", "tickers.BTCUSDT"]).await;
    let is_book = |frame: &Value| frame["topic"] == "orderbook.50.BTCUSDT";
    let update = |frame: &Value| frame["data"]["u"].as_i64().unwrap();

    let before = update(&line.until(is_book).await);
    faults.lose_next("orderbook.50", 1);
    let mut last = before;
    loop {
        let next = update(&line.until(is_book).await);
        if next != last + 1 {
            assert_eq!(next, last + 2, "one update was swallowed");
            break;
        }
        last = next;
    }
    faults.restart(Duration::ZERO);
    let fresh = line.until(|frame| is_book(frame) && frame["type"] == "snapshot").await;
    assert_eq!((update(&fresh), rows(&fresh["data"]["b"]).len()), (1, 50), "u is 1 on a restart");
    assert_eq!(update(&line.until(is_book).await), 2);
    let mut second = subscribed(&server, &["orderbook.50.BTCUSDT"]).await;
    assert!(update(&second.until(is_book).await) < 1_000, "numbered since the restart");

    faults.double_next("publicTrade", 1);
    let is_trade = |frame: &Value| frame["topic"] == "publicTrade.BTCUSDT";
    let mut before = line.until(is_trade).await;
    loop {
        let next = line.until(is_trade).await;
        if next == before {
            break;
        }
        before = next;
    }

    faults.skew_clock(600_000);
    let told = |frame: &Value| frame["ts"].as_i64().unwrap();
    let now = get(&server, "/v5/market/time").await.1["time"].as_i64().unwrap();
    assert!(now > START + 600_000);
    line.until(|frame| is_trade(frame) && frame["data"][0]["T"].as_i64() >= Some(START + 600_000)).await;
    assert!(told(&line.until(is_book).await) > START + 600_000);
    faults.skew_clock(0);

    faults.no_open_interest(true);
    line.until(|frame| frame["data"]["openInterest"] == "").await;
    let path = "open-interest?category=linear&symbol=BTCUSDT&intervalTime=5min";
    assert_eq!(result(&server, path).await["list"], json!([]));
    faults.no_open_interest(false);
    line.until(|frame| frame["data"]["openInterest"].as_str().is_some_and(|oi| !oi.is_empty())).await;

    let list = "instruments-info?category=linear";
    faults.spoil_directory(Directory::OneRow);
    assert_eq!(result(&server, list).await["list"][1]["priceFilter"]["tickSize"], "a tenth");
    faults.spoil_directory(Directory::Cut);
    assert!(get(&server, &format!("/v5/market/{list}")).await.1.is_string(), "no JSON");
    faults.spoil_directory(Directory::Whole);
    faults.rate_limit_next(1, 7);
    assert_eq!(get(&server, "/v5/market/time").await, (403, json!("access too frequent")));
    faults.block(Some(403));
    let (status, page) = get(&server, "/v5/market/time").await;
    assert!(status == 403 && page.as_str().unwrap().starts_with("<html>"));
    faults.block(None);

    faults.delist("BTCUSDT");
    assert_eq!(rows(&result(&server, list).await["list"]).len(), LISTED - 1);
    line.say(r#"{"op":"subscribe","args":["kline.1.BTCUSDT"]}"#).await;
    let refused = line.until(|frame| frame["op"] == "subscribe").await;
    assert_eq!(refused["ret_msg"], "Invalid topic: kline.1.BTCUSDT");
    faults.relist();
    line.until(is_trade).await;

    faults.ignore_pings(true);
    line.say(r#"{"op":"ping"}"#).await;
    line.say(r#"{"req_id":"after","op":"subscribe","args":[]}"#).await;
    let answer = line.until(|frame| frame["op"].is_string()).await;
    assert_eq!(answer["req_id"], "after", "no pong before it");
    faults.ignore_pings(false);

    let rules = KeepAlive { ping: None, silence: Duration::from_millis(300), life: None, inbound: None };
    faults.keep_alive(Some(rules));
    let mut idle = subscribed(&server, &["tickers.BTCUSDT"]).await;
    idle.end().await;
    stop.cancel();
    server.stopped().await.unwrap();
}
