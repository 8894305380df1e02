//! The simulated Hyperliquid over loopback, checked against exchanges.md §6 by a plain client.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are not seen as tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use meltline::sim::hub::Kind;
use meltline::sim::{Directory, Faults, KeepAlive, Scenario, SimServer};
use serde_json::{Value, json};

use crate::sim_wire::{Line, START, ask, http, number, rows, serve};

/// Every simulated coin, and one that is dead.
const UNIVERSE: usize = 25;

async fn post(server: &SimServer, request: &Value) -> (u16, Value) {
    let url = format!("{}/info", server.endpoints().hyperliquid.rest);
    let (status, body) = ask(http().post(url).json(request)).await;
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

async fn info(server: &SimServer, request: Value) -> Value {
    let (status, body) = post(server, &request).await;
    assert_eq!(status, 200, "{request} {body}");
    body
}

fn faults(server: &SimServer) -> Faults {
    server.faults("hyperliquid").unwrap()
}

/// Subscribes and checks the answer; what was subscribed to before may speak in between.
async fn subscribe(line: &mut Line, subscription: Value) {
    line.say(&json!({ "method": "subscribe", "subscription": subscription }).to_string()).await;
    let ack = line.until(|frame| frame["channel"] == "subscriptionResponse").await;
    assert_eq!(ack["data"], json!({ "method": "subscribe", "subscription": subscription }));
}

async fn connected(server: &SimServer) -> Line {
    Line::open(&server.endpoints().hyperliquid.ws).await
}

#[tokio::test(flavor = "multi_thread")]
async fn info_answers_have_the_documented_shapes() {
    let (server, stop) = serve(Scenario::Base, 1.0).await;
    let meta = info(&server, json!({"type":"meta"})).await;
    let names: Vec<_> = rows(&meta["universe"]).iter().map(|row| row["name"].clone()).collect();
    assert_eq!(json!(names[..6]), json!(["BTC", "ETH", "SOL", "MATIC", "kPEPE", "XRP"]));
    assert_eq!(names.len(), UNIVERSE);
    assert_eq!(meta["collateralToken"], 0);
    let btc = &meta["universe"][0];
    assert_eq!(
        (&btc["szDecimals"], &btc["maxLeverage"], btc.get("isDelisted")),
        (&json!(5), &json!(40), None)
    );
    assert_eq!(meta["universe"][3]["isDelisted"], true);
    let tables: BTreeMap<u64, &Value> = rows(&meta["marginTables"])
        .iter()
        .map(|table| (table[0].as_u64().unwrap(), &table[1]["marginTiers"]))
        .collect();
    let of = |n: usize| tables[&meta["universe"][n]["marginTableId"].as_u64().unwrap()];
    let tiers = json!([{"lowerBound":"0.0","maxLeverage":40},{"lowerBound":"150000000.0","maxLeverage":20}]);
    assert_eq!(of(0), &tiers, "exchanges.md §14");
    assert_eq!(of(4), &json!([{"lowerBound":"0.0","maxLeverage":10}]));

    let both = info(&server, json!({"type":"metaAndAssetCtxs"})).await;
    assert_eq!((&both[0], rows(&both[1]).len()), (&meta, UNIVERSE));
    assert_eq!(
        (&both[1][3]["midPx"], &both[1][3]["impactPxs"], &both[1][3]["premium"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert!((0.005..0.03).contains(&number(&both[1][4]["markPx"])), "price of a thousand coins");
    let mids = info(&server, json!({"type":"allMids"})).await;
    assert!((number(&mids["BTC"]) / number(&both[1][0]["midPx"]) - 1.0).abs() < 0.01);

    let req = json!({"coin":"BTC","interval":"1m","startTime":START - 3_600_000,"endTime":START});
    let candles = info(&server, json!({"type":"candleSnapshot","req":req})).await;
    let starts: Vec<i64> = rows(&candles).iter().map(|row| row["t"].as_i64().unwrap()).collect();
    assert_eq!((starts.len(), starts[0] % 60_000), (60, 0));
    assert!(starts.windows(2).all(|w| w[1] - w[0] == 60_000), "oldest first");
    assert!(number(&candles[0]["l"]) <= number(&candles[0]["o"]) && number(&candles[0]["v"]) > 0.0);
    let paid =
        info(&server, json!({"type":"fundingHistory","coin":"BTC","startTime":START - 7_200_000})).await;
    assert_eq!(rows(&paid).len(), 2, "hourly");
    assert_eq!(paid[0]["time"].as_i64().unwrap() % 3_600_000, 0);
    assert!(number(&paid[0]["fundingRate"]).abs() < 0.000_4 && paid[0]["premium"].is_string());
    let book = info(&server, json!({"type":"l2Book","coin":"kPEPE"})).await;
    assert_eq!([0, 1].map(|side: usize| rows(&book["levels"][side]).len()), [20, 20]);
    assert!(number(&book["levels"][0][0]["px"]) < number(&book["levels"][1][0]["px"]));
    let recent = info(&server, json!({"type":"recentTrades","coin":"BTC"})).await;
    assert!(rows(&recent).len() == 10 && recent[0]["time"].as_i64() >= recent[9]["time"].as_i64());

    let nobody = "0x00000000000000000000000000000000000000ab";
    let state = info(&server, json!({"type":"clearinghouseState","user":nobody})).await;
    assert_eq!(
        (&state["assetPositions"], &state["marginSummary"]["accountValue"]),
        (&json!([]), &json!("0.0"))
    );
    for request in [
        json!({"type":"webData2","user":nobody}),
        json!({"type":"clearinghouseState","user":"0xabc"}),
        json!({"type":"l2Book","coin":"KPEPE"}),
        json!({"type":"candleSnapshot","req":{"coin":"BTC","interval":"1","startTime":0}}),
        json!({"type":"fundingHistory","coin":"BTC"}),
        json!({"type":"meta","dex":"xyz"}),
        json!([]),
    ] {
        assert_eq!(post(&server, &request).await.0, 422, "{request}");
    }
    stop.cancel();
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_are_counted_and_one_too_many_is_429() {
    let (server, stop) = serve(Scenario::Base, 1.0).await;
    // 59 times 20, and once 2 + 20: the next one would be beyond 1200.
    for _ in 0..58 {
        info(&server, json!({"type":"meta"})).await;
    }
    let range = json!({"coin":"BTC","interval":"1m","startTime":START - 7_200_000,"endTime":START - 1});
    let hours = info(&server, json!({"type":"candleSnapshot","req":range})).await;
    assert_eq!(rows(&hours).len(), 120, "20 + 2");
    for _ in 0..9 {
        info(&server, json!({"type":"l2Book","coin":"BTC"})).await;
    }
    assert_eq!(post(&server, &json!({"type":"l2Book","coin":"BTC"})).await.0, 429);
    stop.cancel();
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn control_messages_are_answered_as_documented() {
    let (server, stop) = serve(Scenario::Base, 1.0).await;
    let mut line = connected(&server).await;
    line.say(r#"{"method":"ping"}"#).await;
    assert_eq!(line.hear().await.unwrap(), json!({"channel":"pong"}));
    for wrong in [
        r#"{"method":"subscribe"}"#,
        r#"{"method":"subscribe","subscription":{"type":"webData2","user":"0x00"}}"#,
        r#"{"method":"subscribe","subscription":{"type":"trades","coin":"KPEPE"}}"#,
        r#"{"method":"subscribe","subscription":[{"type":"trades","coin":"BTC"}]}"#,
        "{half",
    ] {
        line.say(wrong).await;
        let words = format!("Error parsing JSON into valid websocket request: {wrong}");
        assert_eq!(line.hear().await.unwrap(), json!({"channel":"error","data":words}));
    }
    let trades = json!({"type":"trades","coin":"BTC"});
    line.say(&json!({"method":"subscribe","subscription":trades}).to_string()).await;
    let ack = json!({"channel":"subscriptionResponse","data":{"method":"subscribe","subscription":trades}});
    assert_eq!(line.hear().await.unwrap(), ack);
    let past = line.hear().await.unwrap();
    assert!(past["channel"] == "trades" && rows(&past["data"]).len() == 30);
    let last = rows(&past["data"]).iter().map(|row| row["time"].as_i64().unwrap()).max().unwrap();
    let next = line.hear().await.unwrap();
    assert!(next["data"][0]["time"].as_i64().unwrap() > last, "the first frame was history");
    line.say(&json!({"method":"unsubscribe","subscription":trades}).to_string()).await;
    let ack = json!({"channel":"subscriptionResponse","data":{"method":"unsubscribe","subscription":trades}});
    line.until(|frame| *frame == ack).await;
    // A coin that died long ago can be subscribed to, and says nothing.
    subscribe(&mut line, json!({"type":"trades","coin":"MATIC"})).await;

    let mut others = Vec::new();
    for _ in 0..9 {
        others.push(connected(&server).await);
    }
    let url = server.endpoints().hyperliquid.ws;
    assert!(tokio_tungstenite::connect_async(url).await.is_err(), "ten connections at once");
    stop.cancel();
    line.end().await;
    server.stopped().await.unwrap();
}

/// What a minute of all subscriptions on BTC said.
#[derive(Default)]
struct Heard {
    /// Base coin by minute.
    traded: BTreeMap<i64, f64>,
    /// Ids of rows.
    ids: BTreeSet<u64>,
    users: BTreeMap<String, usize>,
    first_trade: Option<i64>,
    history: bool,
    books: [Vec<i64>; 2],
    /// The last state of each candle: start, volume.
    candles: BTreeMap<i64, f64>,
    contexts: usize,
    mark: f64,
    best: usize,
}

impl Heard {
    /// Listens until there is enough. Who says nothing for a minute is cut off (exchanges.md §6.1), and a slow machine may need
    /// longer than that.
    async fn until(&mut self, line: &mut Line, enough: impl Fn(&Self) -> bool) {
        let mut spoke = Instant::now();
        while !enough(self) {
            if spoke.elapsed() > Duration::from_secs(15) {
                line.say(r#"{"method":"ping"}"#).await;
                spoke = Instant::now();
            }
            self.take(&line.hear().await.unwrap());
        }
    }

    fn take(&mut self, frame: &Value) {
        let data = &frame["data"];
        match frame["channel"].as_str().unwrap() {
            "trades" if !self.history => self.history = true,
            "trades" => {
                for row in rows(data) {
                    let at = row["time"].as_i64().unwrap();
                    self.first_trade.get_or_insert(at);
                    *self.traded.entry(at / 60_000 * 60_000).or_default() += number(&row["sz"]);
                    assert!(self.ids.insert(row["tid"].as_u64().unwrap()), "each row once");
                    let users = rows(&row["users"]);
                    assert!(users.len() == 2 && users[0] != users[1]);
                    for user in users {
                        assert_eq!(user.as_str().unwrap().len(), 42);
                        *self.users.entry(user.as_str().unwrap().to_owned()).or_default() += 1;
                    }
                }
            }
            "l2Book" => {
                let fast = data["fast"] == true;
                let levels = if fast { 5 } else { 20 };
                assert_eq!([0, 1].map(|side: usize| rows(&data["levels"][side]).len()), [levels; 2]);
                let best = [0, 1].map(|side: usize| number(&data["levels"][side][0]["px"]));
                assert!(best[0] < best[1]);
                self.books[usize::from(fast)].push(data["time"].as_i64().unwrap());
            }
            "candle" => {
                assert_eq!(data["T"].as_i64().unwrap(), data["t"].as_i64().unwrap() + 59_999);
                self.candles.insert(data["t"].as_i64().unwrap(), number(&data["v"]));
            }
            "activeAssetCtx" => {
                let ctx = &data["ctx"];
                self.mark = number(&ctx["markPx"]);
                assert!((self.mark / number(&ctx["oraclePx"]) - 1.0).abs() < 0.02);
                assert!(number(&ctx["openInterest"]) * self.mark > 1e8, "one side, in coins");
                self.contexts += 1;
            }
            "bbo" => self.best += 1,
            "pong" => {}
            other => panic!("{other}: {frame}"),
        }
    }
}

async fn all_of_btc(line: &mut Line) -> Heard {
    let mut heard = Heard::default();
    for subscription in [
        json!({"type":"trades","coin":"BTC"}),
        json!({"type":"l2Book","coin":"BTC","fast":true}),
        json!({"type":"l2Book","coin":"BTC"}),
        json!({"type":"candle","coin":"BTC","interval":"1m"}),
        json!({"type":"activeAssetCtx","coin":"BTC"}),
        json!({"type":"bbo","coin":"BTC"}),
    ] {
        line.say(&json!({ "method": "subscribe", "subscription": subscription }).to_string()).await;
        loop {
            let frame = line.hear().await.unwrap();
            if frame["channel"] == "subscriptionResponse" {
                break;
            }
            heard.take(&frame);
        }
    }
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn two_minutes_of_all_subscriptions_agree_with_each_other() {
    let (server, stop) = serve(Scenario::Base, 30.0).await;
    let mut line = connected(&server).await;
    let mut heard = all_of_btc(&mut line).await;
    heard.until(&mut line, |heard| heard.candles.len() >= 4).await;
    let first = heard.first_trade.unwrap();
    let last = *heard.candles.last_key_value().unwrap().0;
    let whole: Vec<_> = heard.candles.iter().filter(|(start, _)| **start > first && **start < last).collect();
    assert!(whole.len() >= 2);
    for (start, volume) in whole {
        assert!((heard.traded[start] - volume).abs() < 1e-6, "a candle is final when the next begins");
    }
    for (times, pace) in heard.books.iter().zip([5_000, 500]) {
        // The first is as of the subscription.
        let steps: BTreeSet<i64> = times[1..].windows(2).map(|w| w[1] - w[0]).collect();
        assert_eq!(steps, BTreeSet::from([pace]));
    }
    assert!(heard.contexts > 100 && heard.best > 20, "{} {}", heard.contexts, heard.best);
    assert!(heard.users.values().filter(|times| **times > 1).count() > 10, "addresses come back");

    // The books of account: once all is silent, what came is what was sent.
    let faults = faults(&server);
    faults.mute("");
    loop {
        line.say(r#"{"method":"ping"}"#).await;
        loop {
            let frame = line.hear().await.unwrap();
            if frame["channel"] == "pong" {
                break;
            }
            heard.take(&frame);
        }
        let sent = faults.sent();
        let books = heard.books.iter().map(Vec::len).sum::<usize>();
        let came = [
            (Kind::Trade, heard.ids.len()),
            (Kind::Book, books),
            (Kind::Mark, heard.contexts),
            (Kind::OpenInterest, heard.contexts),
            (Kind::Funding, heard.contexts),
            (Kind::Ticker, heard.best),
            (Kind::Candle, 0),
            (Kind::Liquidation, 0),
        ];
        if came.iter().all(|(kind, rows)| sent.get(*kind) == *rows as u64) {
            break;
        }
    }
    stop.cancel();
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_traded_can_be_asked_for_and_shows_the_position() {
    let (server, stop) = serve(Scenario::Base, 100.0).await;
    let mut line = connected(&server).await;
    let mut heard = all_of_btc(&mut line).await;
    heard.until(&mut line, |heard| heard.users.len() >= 120 && heard.mark > 0.0).await;
    let (mut makers, mut held, mut sides) = (0, 0, BTreeSet::new());
    for user in heard.users.keys().take(120) {
        let state = info(&server, json!({"type":"clearinghouseState","user":user})).await;
        for row in rows(&state["assetPositions"]) {
            assert_eq!(row["type"], "oneWay");
            let position = &row["position"];
            assert_eq!((&position["coin"], &position["maxLeverage"]), (&json!("BTC"), &json!(40)));
            let (szi, entry) = (number(&position["szi"]), number(&position["entryPx"]));
            let value = number(&position["positionValue"]);
            assert!((value / (szi.abs() * heard.mark) - 1.0).abs() < 0.02);
            if position["leverage"]["type"] == "cross" {
                makers += 1;
                assert_eq!(position["liquidationPx"], Value::Null);
                continue;
            }
            held += 1;
            sides.insert(szi > 0.0);
            let leverage = position["leverage"]["value"].as_f64().unwrap();
            assert!((1.0..=40.0).contains(&leverage));
            let Some(liquidation) = position["liquidationPx"].as_str() else {
                assert!(szi > 0.0 && leverage < 1.5, "only a long can be safe: {position}");
                continue;
            };
            let liquidation: f64 = liquidation.parse().unwrap();
            assert!(liquidation > 0.0 && (liquidation < entry) == (szi > 0.0), "{position}");
            // exchanges.md §13: what is left at that price is the maintenance margin; one account's size decides the tier.
            let raw = number(&position["leverage"]["rawUsd"]);
            let rate = (raw + szi * liquidation) / (szi.abs() * liquidation);
            assert!((rate - 0.0125).abs() < 1e-4, "{rate}");
        }
        let all = number(&state["marginSummary"]["accountValue"]);
        assert!(all >= number(&state["crossMarginSummary"]["accountValue"]) - 1e-6);
    }
    assert!(makers > 0 && held > 10 && sides.len() == 2, "{makers} {held}");
    stop.cancel();
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_over_all_coins_are_in_the_order_of_the_universe() {
    let (server, stop) = serve(Scenario::Base, 10.0).await;
    let mut line = connected(&server).await;
    subscribe(&mut line, json!({"type":"assetCtxs"})).await;
    subscribe(&mut line, json!({"type":"allDexsAssetCtxs"})).await;
    subscribe(&mut line, json!({"type":"allMids"})).await;
    let one = line.until(|frame| frame["channel"] == "assetCtxs").await;
    assert_eq!((&one["data"]["dex"], rows(&one["data"]["ctxs"]).len()), (&json!(""), UNIVERSE));
    let all = line.until(|frame| frame["channel"] == "allDexsAssetCtxs").await;
    let ctxs = &all["data"]["ctxs"][0];
    assert_eq!(ctxs[0], "");
    let marks: Vec<f64> = rows(&ctxs[1]).iter().map(|ctx| number(&ctx["markPx"]).log10().round()).collect();
    assert_eq!(marks[..6], [5.0, 4.0, 2.0, 0.0, -2.0, 0.0], "BTC ETH SOL MATIC kPEPE XRP");
    let mids = line.until(|frame| frame["channel"] == "allMids").await;
    let names: Vec<_> = mids["data"]["mids"].as_object().unwrap().keys().collect();
    assert!(!names.iter().any(|name| *name == "MATIC"), "no middle where there is no book");
    assert_eq!(names.len(), UNIVERSE - 1);
    stop.cancel();
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_show_in_hyperliquids_own_way() {
    let (server, stop) = serve(Scenario::Base, 20.0).await;
    let faults = faults(&server);
    let mut line = connected(&server).await;
    for subscription in [
        json!({"type":"trades","coin":"BTC"}),
        json!({"type":"activeAssetCtx","coin":"BTC"}),
        json!({"type":"l2Book","coin":"BTC","fast":true}),
    ] {
        subscribe(&mut line, subscription).await;
    }
    let is = |channel: &'static str| move |frame: &Value| frame["channel"] == channel;
    faults.double_next("trades", 1);
    let mut before = line.until(is("trades")).await;
    loop {
        let next = line.until(is("trades")).await;
        if next == before {
            break;
        }
        before = next;
    }
    let time = |frame: &Value| frame["data"]["time"].as_i64().unwrap();
    let book = time(&line.until(is("l2Book")).await);
    faults.lose_next("l2Book.fast", 1);
    let mut last = book;
    loop {
        let next = time(&line.until(is("l2Book")).await);
        if next - last != 500 {
            assert_eq!(next - last, 1_000, "one book was swallowed");
            break;
        }
        last = next;
    }

    faults.skew_clock(-600_000);
    line.until(|frame| frame["channel"] == "trades" && frame["data"][0]["time"].as_i64() < Some(START)).await;
    let late = info(&server, json!({"type":"l2Book","coin":"BTC"})).await;
    assert!(late["time"].as_i64() < Some(START));
    faults.skew_clock(0);
    faults.no_open_interest(true);
    let bare = |frame: &Value| {
        frame["channel"] == "activeAssetCtx" && frame["data"]["ctx"].get("openInterest").is_none()
    };
    line.until(bare).await;
    faults.no_open_interest(false);

    faults.spoil_directory(Directory::OneRow);
    assert_eq!(info(&server, json!({"type":"meta"})).await["universe"][1]["szDecimals"], "a few");
    faults.spoil_directory(Directory::Cut);
    assert!(post(&server, &json!({"type":"meta"})).await.1.is_string(), "no JSON");
    faults.spoil_directory(Directory::Whole);
    faults.rate_limit_next(1, 7);
    assert_eq!(post(&server, &json!({"type":"meta"})).await.0, 429);
    faults.block(Some(403));
    let (status, page) = post(&server, &json!({"type":"meta"})).await;
    assert!(status == 403 && page.as_str().unwrap().starts_with("<html>"));
    faults.block(None);

    faults.delist("BTC");
    let meta = info(&server, json!({"type":"metaAndAssetCtxs"})).await;
    assert_eq!((&meta[0]["universe"][0]["isDelisted"], &meta[1][0]["midPx"]), (&json!(true), &Value::Null));
    faults.relist();
    faults.ignore_pings(true);
    line.say(r#"{"method":"ping"}"#).await;
    line.say(r#"{"method":"nothing"}"#).await;
    let answer = line.until(|frame| frame["channel"] == "pong" || frame["channel"] == "error").await;
    assert_eq!(answer["channel"], "error", "no pong before it");
    faults.ignore_pings(false);

    let rules = KeepAlive { ping: None, silence: Duration::from_millis(300), life: None, inbound: None };
    faults.keep_alive(Some(rules));
    let mut idle = connected(&server).await;
    subscribe(&mut idle, json!({"type":"trades","coin":"BTC"})).await;
    idle.end().await;
    faults.restart(Duration::ZERO);
    line.end().await;
    stop.cancel();
    server.stopped().await.unwrap();
}
