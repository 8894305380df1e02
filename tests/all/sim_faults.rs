//! Every trouble the simulated exchanges can be ordered to make, carried out over loopback on Binance.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are not seen as tests")]

use std::time::Duration;

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use meltline::sim::hub::Kind;
use meltline::sim::{Directory, Faults, KeepAlive, Scenario, SimServer};
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use super::sim_server::{PATIENCE, Socket, connect, get, next, server};
use super::sim_wire::http;

async fn binance(speed: f64) -> (SimServer, Faults, CancellationToken) {
    let (server, stop) = server(Scenario::Base, speed).await;
    let faults = server.faults("binance").unwrap();
    (server, faults, stop)
}

fn market(server: &SimServer, streams: &str) -> String {
    format!("{}/ws/{streams}", server.ws_market_url())
}

async fn end(server: SimServer, stop: CancellationToken) {
    stop.cancel();
    server.stopped().await.unwrap();
}

async fn server_time(server: &SimServer) -> i64 {
    get(server, "/fapi/v1/time").await.2["serverTime"].as_i64().unwrap()
}

/// Reads a socket to its end; the close frame, if there was one.
async fn farewell(socket: &mut Socket) -> Option<(u16, String)> {
    let read = async {
        let mut words = None;
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Close(Some(frame)) = message {
                words = Some((u16::from(frame.code), frame.reason.to_string()));
            }
        }
        words
    };
    timeout(PATIENCE, read).await.expect("the connection goes on")
}

fn id(frame: &Value) -> u64 {
    frame["a"].as_u64().unwrap()
}

/// Ids of the next `count` trades.
async fn ids(socket: &mut Socket, count: usize) -> Vec<u64> {
    let mut ids = Vec::new();
    while ids.len() < count {
        ids.push(id(&next(socket, |f| f["e"] == "aggTrade").await));
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_carried_out() {
    let (server, faults, stop) = binance(20.0).await;
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
    assert_eq!(farewell(&mut socket).await, None, "the connection is broken");
    assert!(connect_async(url.as_str()).await.is_err());
    faults.refuse(false);
    next(&mut connect(url).await, trade).await;
    end(server, stop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_open_line_hears_nothing_and_does_not_end() {
    let (server, faults, stop) = binance(20.0).await;
    let mut old = connect(market(&server, "btcusdt@markPrice@1s")).await;
    next(&mut old, |_| true).await;
    faults.freeze_connections();
    let frozen = server_time(&server).await;
    let mut new = connect(market(&server, "btcusdt@markPrice@1s")).await;
    next(&mut new, |f| f["E"].as_i64().unwrap() > frozen + 20_000).await;
    old.send(Message::text(r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#)).await.unwrap();
    let mut left = 0;
    let last = loop {
        match old.next().now_or_never() {
            Some(Some(Ok(Message::Text(text)))) => {
                let frame: Value = serde_json::from_str(&text).unwrap();
                assert!(frame["E"].as_i64().unwrap() <= frozen, "{frame}");
                left += 1;
            }
            other => break other,
        }
    };
    assert!(last.is_none(), "neither a frame nor an end after {left} that were under way: {last:?}");
    faults.kill_connections();
    assert_eq!(farewell(&mut old).await, None, "reset in the end");
    end(server, stop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_split_frames_say_the_same() {
    let (server, faults, stop) = binance(1.0).await;
    faults.split_frames(true);
    let mut socket = connect(market(&server, "btcusdt@aggTrade")).await;
    let split = ids(&mut socket, 10).await;
    faults.slow(Some((16, Duration::from_millis(1))));
    let slow = ids(&mut socket, 10).await;
    faults.split_frames(false);
    faults.slow(None);
    let whole = ids(&mut socket, 10).await;
    let all: Vec<u64> = [split, slow, whole].concat();
    assert!(all.windows(2).all(|w| w[1] == w[0] + 1), "{all:?}");
    end(server, stop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_can_stay_unanswered() {
    let (server, faults, stop) = binance(1.0).await;
    let mut socket = connect(market(&server, "btcusdt@aggTrade")).await;
    faults.ignore_pings(true);
    socket.send(Message::Ping("first".into())).await.unwrap();
    // Whatever the server says to this, it says after it has read the ping.
    socket.send(Message::text(r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#)).await.unwrap();
    let mut heard = Vec::new();
    let mut read = async |until: &str| loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Pong(payload) => heard.push(String::from_utf8(payload.to_vec()).unwrap()),
            Message::Text(text) if text.contains(until) => return heard.clone(),
            _ => {}
        }
    };
    let heard = timeout(PATIENCE, read("result")).await.unwrap();
    assert!(heard.is_empty(), "{heard:?}");
    faults.ignore_pings(false);
    socket.send(Message::Ping("second".into())).await.unwrap();
    socket.send(Message::text(r#"{"method":"LIST_SUBSCRIPTIONS","id":4}"#)).await.unwrap();
    let pong = async {
        loop {
            if let Message::Pong(payload) = socket.next().await.unwrap().unwrap() {
                return payload;
            }
        }
    };
    assert_eq!(timeout(PATIENCE, pong).await.unwrap(), "second");
    end(server, stop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_are_lost_doubled_and_swapped() {
    let (server, faults, stop) = binance(10.0).await;
    let mut public = connect(format!("{}/ws/btcusdt@depth@100ms", server.ws_public_url())).await;
    next(&mut public, |_| true).await;
    faults.lose_next("btcusdt@depth", 1);
    let mut last = next(&mut public, |_| true).await;
    let hole = loop {
        let event = next(&mut public, |_| true).await;
        if event["pu"] != last["u"] {
            break event["pu"].as_i64().unwrap() - last["u"].as_i64().unwrap();
        }
        last = event;
    };
    assert_eq!(hole, 100, "one update of 100 ms is missing");

    let mut socket = connect(market(&server, "btcusdt@aggTrade")).await;
    next(&mut socket, |_| true).await;
    faults.double_next("@aggTrade", 1);
    faults.delay_next("@aggTrade", 1);
    let mut steps = Vec::new();
    let mut last = id(&next(&mut socket, |_| true).await) as i64;
    // One step of 0 for the double; 2, -1, 2 for the pair that changed places.
    while steps != [0, 2, -1, 2] {
        let now = id(&next(&mut socket, |_| true).await) as i64;
        if now - last != 1 {
            steps.push(now - last);
        }
        assert!(steps.len() <= 4, "{steps:?}");
        last = now;
    }
    end(server, stop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_is_wrong_everywhere() {
    const OFF: i64 = 600_000;
    let (server, faults, stop) = binance(1.0).await;
    let right = server_time(&server).await;
    faults.skew_clock(OFF);
    let mut socket = connect(market(&server, "btcusdt@aggTrade/btcusdt@markPrice@1s/btcusdt@kline_1m")).await;
    let near = |ms: &Value| (right + OFF..right + OFF + 60_000).contains(&ms.as_i64().unwrap());
    assert!(near(&(server_time(&server).await.into())));
    let trade = next(&mut socket, |f| f["e"] == "aggTrade").await;
    assert!(near(&trade["T"]) && near(&trade["E"]), "{trade}");
    assert!(near(&next(&mut socket, |f| f["e"] == "markPriceUpdate").await["E"]));
    let bar = next(&mut socket, |f| f["e"] == "kline").await;
    assert!(near(&bar["E"]) && bar["k"]["t"].as_i64().unwrap() > right + OFF - 60_000, "{bar}");
    assert!(near(&get(&server, "/fapi/v1/openInterest?symbol=BTCUSDT").await.2["time"]));
    let bars = get(&server, "/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=1").await.2;
    assert!(bars[0][0].as_i64().unwrap() > right + OFF - 60_000, "{bars}");
    faults.skew_clock(0);
    assert!(server_time(&server).await < right + 60_000);
    end(server, stop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_instruments_can_be_spoilt() {
    let (server, faults, stop) = binance(1.0).await;
    let client = http();
    let info = async || {
        let url = format!("{}/fapi/v1/exchangeInfo", server.rest_url());
        client.get(url).send().await.unwrap().text().await.unwrap()
    };
    let ticks = |text: &str| -> Vec<String> {
        let list: Value = serde_json::from_str(text).unwrap();
        let symbols = list["symbols"].as_array().unwrap();
        symbols.iter().map(|s| s["filters"][0]["tickSize"].as_str().unwrap().to_owned()).collect()
    };
    let whole = info().await;
    faults.spoil_directory(Directory::Cut);
    let cut = info().await;
    assert!(cut.len() > 1_000 && serde_json::from_str::<Value>(&cut).is_err());
    faults.spoil_directory(Directory::OneRow);
    let (right, spoilt) = (ticks(&whole), ticks(&info().await));
    let differ: Vec<_> = (0..right.len()).filter(|n| right[*n] != spoilt[*n]).collect();
    assert_eq!(differ, [1]);
    assert!(spoilt[1].parse::<f64>().is_err());
    faults.spoil_directory(Directory::Whole);
    assert_eq!(ticks(&info().await), right);
    end(server, stop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_interest_can_be_missing() {
    let (server, faults, stop) = binance(1.0).await;
    faults.no_open_interest(true);
    let now = get(&server, "/fapi/v1/openInterest?symbol=BTCUSDT").await.2;
    assert_eq!(now["openInterest"], "");
    let path = "/futures/data/openInterestHist?symbol=BTCUSDT&period=5m";
    assert_eq!(get(&server, path).await.2, serde_json::json!([]));
    faults.no_open_interest(false);
    assert_eq!(get(&server, path).await.2.as_array().unwrap().len(), 30);
    end(server, stop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delisted_symbol_changes_its_status_and_falls_silent() {
    let (server, faults, stop) = binance(20.0).await;
    let mut socket = connect(market(&server, "btcusdt@aggTrade/ethusdt@aggTrade")).await;
    next(&mut socket, |f| f["s"] == "BTCUSDT").await;
    next(&mut socket, |f| f["s"] == "ETHUSDT").await;
    faults.delist("BTCUSDT");
    let gone = server_time(&server).await;
    let quiet = next(&mut socket, |f| {
        let ms = f["T"].as_i64().unwrap();
        assert!(f["s"] == "ETHUSDT" || ms <= gone, "{f}");
        ms > gone + 20_000
    });
    quiet.await;
    let status = async || {
        let symbols = get(&server, "/fapi/v1/exchangeInfo").await.2["symbols"].clone();
        [symbols[0]["status"].clone(), symbols[1]["status"].clone()]
    };
    assert_eq!(status().await, ["SETTLING", "TRADING"]);
    faults.relist();
    assert_eq!(status().await, ["TRADING", "TRADING"]);
    next(&mut socket, |f| f["s"] == "BTCUSDT").await;
    end(server, stop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_closes_with_a_frame() {
    let (server, faults, stop) = binance(1.0).await;
    let mut socket = connect(market(&server, "btcusdt@aggTrade")).await;
    next(&mut socket, |_| true).await;
    faults.restart(Duration::from_secs(60));
    let (code, _) = farewell(&mut socket).await.expect("a close frame");
    assert_eq!(code, 1001);
    next(&mut connect(market(&server, "btcusdt@aggTrade")).await, |_| true).await;
    end(server, stop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_pinged_and_live_only_so_long() {
    let (server, faults, stop) = binance(1.0).await;
    let rules = KeepAlive {
        ping: Some(Duration::from_millis(20)),
        silence: Duration::from_secs(600),
        life: Some(Duration::from_millis(400)),
        inbound: None,
    };
    faults.keep_alive(Some(rules));
    let mut socket = connect(market(&server, "btcusdt@nothing")).await;
    let (mut pings, mut last) = (0, 0);
    let words = timeout(PATIENCE, async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Ping(stamp))) => {
                    // The payload is to come back in the pong: it is the server's time.
                    let stamp: i64 = std::str::from_utf8(&stamp).unwrap().parse().unwrap();
                    assert!(stamp >= last);
                    (pings, last) = (pings + 1, stamp);
                }
                Some(Ok(Message::Close(frame))) => return frame,
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    })
    .await
    .unwrap();
    assert_eq!(words.map(|frame| u16::from(frame.code)), Some(1001));
    assert!(pings >= 2, "{pings}");

    // Whoever is not heard of is dropped, with no farewell. Without pings this client has nothing to answer.
    let rules = KeepAlive { ping: None, silence: Duration::from_millis(100), life: None, inbound: None };
    faults.keep_alive(Some(rules));
    let mut silent = connect(market(&server, "btcusdt@nothing")).await;
    assert_eq!(farewell(&mut silent).await, None);
    faults.keep_alive(None);
    end(server, stop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_what_was_received() {
    let (server, faults, stop) = binance(60.0).await;
    let mut socket =
        connect(market(&server, "btcusdt@aggTrade/btcusdt@markPrice@1s/btcusdt@kline_1m/btcusdt@forceOrder"))
            .await;
    let kinds = [
        (Kind::Trade, "aggTrade"),
        (Kind::Mark, "markPriceUpdate"),
        (Kind::Candle, "kline"),
        (Kind::Liquidation, "forceOrder"),
    ];
    let mut got = [0_u64; 4];
    let mut muted = false;
    let reconcile = async {
        loop {
            let frame = next(&mut socket, |_| true).await;
            for (count, (kind, name)) in got.iter_mut().zip(kinds) {
                let counts = frame["e"] == name && (kind != Kind::Candle || frame["k"]["x"] == true);
                *count += u64::from(counts);
            }
            if !muted && got.iter().all(|count| *count > 0) {
                faults.mute("btcusdt@aggTrade");
                faults.mute("btcusdt@markPrice");
                faults.mute("btcusdt@forceOrder");
                muted = true;
            }
            // Running candles are still told: they carry the loop on until all that was under way has come.
            let sent = faults.sent();
            if muted && got == kinds.map(|(kind, _)| sent.get(kind)) {
                break;
            }
        }
    };
    timeout(PATIENCE, reconcile).await.expect("the books do not agree");
    assert_eq!(faults.sent().get(Kind::Book), 0);
    assert_eq!(server.faults("bybit").unwrap().sent().get(Kind::Trade), 0, "each venue has its own books");
    end(server, stop).await;
}
