//! The simulated OKX over loopback: what it refuses, what it cuts, and what it gets wrong on order.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are not seen as tests")]

use std::time::Duration;

use futures_util::StreamExt as _;
use meltline::sim::hub::Kind;
use meltline::sim::{Directory, KeepAlive, Scenario};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::{self, Message};

use super::sim_okx::{Okx, ask, is, millis, of, word};
use super::sim_server::{PATIENCE, Socket, next, send};

/// Reads a socket to its end; the close code, if there was a farewell.
async fn farewell(socket: &mut Socket) -> Option<u16> {
    let read = async {
        let mut code = None;
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Close(Some(frame)) = message {
                code = Some(frame.code.into());
            }
        }
        code
    };
    timeout(PATIENCE, read).await.expect("the connection goes on")
}

#[tokio::test(flavor = "multi_thread")]
async fn okx_refuses_what_is_too_much_or_from_the_wrong_place() {
    let okx = Okx::start(Scenario::Base, 1.0).await;
    okx.faults.rate_limit_next(1, 7);
    let (status, body) = okx.answer("public/time").await;
    assert_eq!((status, body), (429, json!({"code":"50011","msg":"Too Many Requests"})));
    okx.rows("public/time").await;
    let path = "rubik/stat/taker-volume-contract?instId=BTC-USDT-SWAP";
    let burst: Vec<u16> = futures_util::future::join_all((0..30).map(|_| okx.answer(path)))
        .await
        .into_iter()
        .map(|(status, _)| status)
        .collect();
    // Five in two seconds; a slow machine may have spread them over several windows.
    assert!(burst.contains(&200) && burst.contains(&429), "{burst:?}");
    okx.faults.block(Some(451));
    let (status, page) = okx.text("public/time").await;
    assert!(status == 451 && page.starts_with("<html>"), "{status} {page}");
    okx.faults.block(None);
    let sockets = futures_util::future::join_all((0..12).map(|_| connect_async(&okx.urls.ws_public))).await;
    assert!(sockets.iter().any(Result::is_ok));
    let refused = sockets.iter().find_map(|socket| match socket {
        Err(tungstenite::Error::Http(response)) => Some(response.status().as_u16()),
        _ => None,
    });
    assert_eq!(refused, Some(429), "three connections a second");
    drop(sockets);
    let mut socket = okx.connect(&okx.urls.ws_public).await;
    for n in 0..481 {
        ask(&mut socket, if n % 2 == 0 { "subscribe" } else { "unsubscribe" }, &json!([of("adl-warning")]))
            .await;
    }
    let refused = next(&mut socket, |f| f["event"] == "error").await;
    assert_eq!(refused["code"], "60014", "480 an hour");
    okx.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn okx_cuts_a_connection_on_which_nobody_speaks() {
    let okx = Okx::start(Scenario::Base, 1.0).await;
    // Its market is simulated once asked for: not while connections wait.
    okx.rows("market/books?instId=BTC-USDT-SWAP").await;
    let silence = Duration::from_millis(2_500);
    okx.faults.keep_alive(Some(KeepAlive { ping: None, silence, life: None, inbound: None }));
    let mut silent = okx.connect(&okx.urls.ws_public).await;
    assert_eq!(farewell(&mut silent).await, None, "dropped");

    // Whoever pings lives, and so does whoever is told something.
    let mut pinging = okx.connect(&okx.urls.ws_public).await;
    let mut told = okx.public(&json!([of("books")])).await;
    next(&mut told, |f| is(f, "books")).await;
    let born = Instant::now();
    while born.elapsed() < 2 * silence {
        send(&mut pinging, "ping").await;
        assert_eq!(word(&mut pinging).await, "pong");
        next(&mut told, |f| is(f, "books")).await;
    }
    okx.faults.ignore_pings(true);
    send(&mut pinging, "ping").await;
    ask(&mut pinging, "subscribe", &json!([of("adl-warning")])).await;
    assert!(word(&mut pinging).await.contains("subscribe"), "no pong before what came after the ping");
    okx.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn okx_gives_notice_before_it_restarts() {
    let okx = Okx::start(Scenario::Base, 1.0).await;
    let mut socket = okx.public(&json!([of("books")])).await;
    let name = next(&mut socket, |_| true).await["connId"].clone();
    okx.faults.restart(Duration::from_millis(500));
    let notice = next(&mut socket, |f| f["event"] == "notice").await;
    let msg = "The connection will soon be closed for a service upgrade. Please reconnect.";
    assert_eq!(notice, json!({"event":"notice","code":"64008","msg":msg,"connId":name}));
    next(&mut socket, |f| is(f, "books")).await;
    let mut new = okx.public(&json!([of("books")])).await;
    assert_eq!(farewell(&mut socket).await, Some(1001));
    next(&mut new, |f| is(f, "books")).await;
    okx.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn okx_is_wrong_on_order() {
    const OFF: i64 = 600_000;
    let okx = Okx::start(Scenario::Base, 20.0).await;
    let faults = &okx.faults;
    let mut socket = okx.public(&json!([of("trades"), of("open-interest"), of("mark-price")])).await;
    let trade = |f: &Value| is(f, "trades");
    let fill = |f: &Value| millis(&f["data"][0]["tradeId"]) - millis(&f["data"][0]["count"]);
    let mut last = next(&mut socket, trade).await;
    faults.double_next("trades.BTC-USDT-SWAP", 1);
    faults.delay_next("trades.BTC-USDT-SWAP", 1);
    let (mut double, mut back) = (false, false);
    while !(double && back) {
        let now = next(&mut socket, trade).await;
        double |= now == last;
        back |= fill(&now) < fill(&last);
        last = now;
    }

    faults.no_open_interest(true);
    next(&mut socket, |f| is(f, "open-interest") && f["data"][0]["oi"] == "").await;
    assert!(okx.rows("public/open-interest?instType=SWAP").await.is_empty());
    faults.no_open_interest(false);
    next(&mut socket, |f| is(f, "open-interest") && f["data"][0]["oi"] != "").await;

    let right = okx.time().await;
    faults.skew_clock(OFF);
    assert!(okx.time().await >= right + OFF);
    next(&mut socket, |f| trade(f) && millis(&f["data"][0]["ts"]) >= right + OFF).await;
    let bar = &okx.rows("market/candles?instId=BTC-USDT-SWAP&limit=1").await[0];
    assert!(millis(&bar[0]) > right + OFF - 60_000 && bar[8] == "0", "{bar}");
    faults.skew_clock(0);

    faults.mute("trades");
    let muted = okx.time().await;
    let quiet = |f: &Value| {
        let ms = millis(&f["data"][0]["ts"]);
        assert!(!trade(f) || ms <= muted || ms >= right + OFF, "{f}");
        is(f, "mark-price") && (muted + 20_000..right + OFF).contains(&ms)
    };
    next(&mut socket, quiet).await;
    faults.unmute();
    next(&mut socket, trade).await;

    let tick = async || {
        let list = okx.rows("public/instruments?instType=SWAP").await;
        let eth = list.iter().find(|i| i["instId"] == "ETH-USDT-SWAP").cloned().unwrap();
        (list.len(), eth["tickSz"].as_str().unwrap().to_owned())
    };
    assert_eq!(tick().await, (26, "0.01".to_owned()));
    faults.spoil_directory(Directory::OneRow);
    assert!(tick().await.1.parse::<f64>().is_err());
    faults.spoil_directory(Directory::Cut);
    let (_, cut) = okx.text("public/instruments?instType=SWAP").await;
    assert!(cut.len() > 1_000 && serde_json::from_str::<Value>(&cut).is_err());
    faults.spoil_directory(Directory::Whole);
    faults.delist("BTC-USDT-SWAP");
    assert_eq!(tick().await.0, 25, "it left the list");
    assert_eq!(okx.answer("market/candles?instId=BTC-USDT-SWAP").await.1["code"], "51001");
    ask(&mut socket, "subscribe", &json!([of("tickers")])).await;
    assert_eq!(next(&mut socket, |f| f["event"] == "error").await["code"], "60018");
    faults.relist();
    let relisted = okx.time().await;
    next(&mut socket, |f| trade(f) && millis(&f["data"][0]["ts"]) >= relisted).await;
    okx.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_okx_sent_is_what_was_received() {
    let okx = Okx::start(Scenario::Base, 60.0).await;
    let args = ["trades", "mark-price", "open-interest", "funding-rate", "books"].map(of);
    let liquidations = json!({"channel":"liquidation-orders","instType":"SWAP"});
    let mut socket = okx.public(&json!(args.iter().chain([&liquidations]).collect::<Vec<_>>())).await;
    let kinds = [
        (Kind::Trade, "trades"),
        (Kind::Mark, "mark-price"),
        (Kind::OpenInterest, "open-interest"),
        (Kind::Funding, "funding-rate"),
        (Kind::Liquidation, "liquidation-orders"),
    ];
    let mut got = [0_u64; 5];
    let mut muted = false;
    let reconcile = async {
        loop {
            let frame = next(&mut socket, |f| f["data"].is_array()).await;
            for (count, (_, channel)) in got.iter_mut().zip(kinds) {
                let elements = frame["data"].as_array().unwrap();
                let ours = elements.iter().filter(|e| is(&frame, channel) && e["instId"] != "BTC-USD-SWAP");
                *count += ours.map(|e| e["details"].as_array().map_or(1, Vec::len) as u64).sum::<u64>();
            }
            if !muted && got.iter().all(|count| *count > 0) {
                for (_, channel) in kinds {
                    okx.faults.mute(channel);
                }
                muted = true;
            }
            // Books go on and carry the loop along until all that was under way has come.
            let sent = okx.faults.sent();
            if muted && got == kinds.map(|(kind, _)| sent.get(kind)) {
                break;
            }
        }
    };
    timeout(PATIENCE, reconcile).await.expect("the books of account do not agree");
    okx.end().await;
}
