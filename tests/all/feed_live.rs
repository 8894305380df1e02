//! The feed against a venue that behaves: history before live data, planned reconnects, proxies, and replay of the capture.

use std::sync::atomic::Ordering;
use std::time::Duration;

use meltline::feed::capture::Capture;
use meltline::feed::net::ProxyEnv;
use meltline::feed::recording::Recording;
use meltline::market::{EventKind, MarketEvent};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::feed_exchange::{Exchange, Listener};

fn replay(path: &std::path::Path) -> Vec<MarketEvent> {
    let mut recording = Recording::open(path, Some("BTC".parse().unwrap())).unwrap();
    let mut events = Vec::new();
    while let Some(batch) = recording.next_batch().unwrap() {
        events.extend(batch);
    }
    assert_eq!(recording.tally().broken, 0);
    events
}

/// Replays a capture and checks that the events a run handed on are the first of it: a run that is stopped may have
/// written a frame whose events nobody took any more.
pub fn assert_replays(path: &std::path::Path, live: &[MarketEvent]) {
    let replayed = replay(path);
    assert!(replayed.len() >= live.len() && replayed.len() <= live.len() + 40);
    assert_eq!(&replayed[..live.len()], live);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_comes_first_and_the_capture_replays_to_the_same_events() {
    let exchange = Exchange::start().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.ndjson.zst");
    let mut feed = Listener::start(exchange.config(), Some(Capture::file(&path).unwrap()));
    feed.until("live with trades and a finished candle", |f| {
        f.live() && f.trades().len() > 100 && f.status().is_some_and(|s| s.lag_ms.is_some())
    })
    .await;
    assert_eq!(feed.assets.iter().map(ToString::to_string).collect::<Vec<_>>(), ["BTC"]);
    let status = feed.status().unwrap().clone();
    assert_eq!((status.counters.unknown, status.counters.malformed), (0, 0), "{status:?}");
    assert_eq!(status.note, "", "{status:?}");
    assert!(status.streams.iter().filter(|s| s.steady).all(|s| s.last.is_some()));

    let events = feed.end().await;
    assert!(matches!(events[0].kind, EventKind::Instrument(_)));
    let first_trade = events.iter().position(|e| matches!(e.kind, EventKind::Trade(_))).unwrap();
    let history = &events[..first_trade];
    let candles = history.iter().filter(|e| matches!(e.kind, EventKind::Candle(_))).count();
    assert!((119..=121).contains(&candles), "two hours of minutes, {candles}");
    assert!(history.iter().any(|e| matches!(e.kind, EventKind::OpenInterest(_))));
    assert!(history.is_sorted_by_key(MarketEvent::order));
    assert_replays(&path, &events);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_reconnect_loses_and_doubles_nothing() {
    let exchange = Exchange::start().await;
    let mut config = exchange.config();
    config.planned_reconnect = Duration::from_millis(150);
    let mut feed = Listener::start(config, None);
    let sockets = &exchange.sockets;
    feed.until("four connections", |f| {
        f.live() && sockets.load(Ordering::SeqCst) >= 4 && f.trades().len() > 300
    })
    .await;
    let trades = feed.trades();
    let expected: Vec<u64> = (trades[0]..=trades[trades.len() - 1]).collect();
    assert_eq!(trades, expected, "every trade once, in order");
    assert!(feed.gaps().is_empty());
    let counters = feed.status().unwrap().counters;
    assert_eq!((counters.missed, counters.reconnects), (0, 0));
    assert!(counters.duplicates > 0, "the connections overlapped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_holds_the_socket_back_and_loses_nothing() {
    let exchange = Exchange::start().await;
    let mut config = exchange.config();
    config.queue = 4;
    // What is not read for want of room is not the venue's silence.
    config.idle = Duration::from_secs(2);
    let mut feed = Listener::start(config, None);
    feed.until("live", |f| f.live() && !f.trades().is_empty()).await;
    let trades = || exchange.tape.trades.load(Ordering::SeqCst);
    let (before, last) = (trades(), feed.trades().len());
    while trades() < before + 600 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    feed.until("caught up", |f| f.trades().len() > last + 600).await;
    let numbers = feed.trades();
    assert!(numbers.windows(2).all(|w| w[1] == w[0] + 1), "every trade once, in order");
    assert_eq!(exchange.sockets.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_stream_goes_to_its_route() {
    let exchange = Exchange::start().await;
    let mut feed = Listener::start(exchange.config(), None);
    let book = |f: &Listener| f.events.iter().any(|e| matches!(e.kind, EventKind::Book(_)));
    feed.until("live, with trades and a book", |f| f.live() && !f.trades().is_empty() && book(f)).await;
    let asked = exchange.asked.lock().unwrap().clone();
    let has = |path: &str| asked.iter().any(|a| a == path);
    assert!(has(
        "/market/stream?streams=btcusdt@aggTrade/btcusdt@markPrice@1s/btcusdt@kline_1m/btcusdt@forceOrder"
    ));
    assert!(has("/public/stream?streams=btcusdt@depth@100ms"), "{asked:?}");
}

/// Takes connections to `venue.test` and brings them to the exchange. `socks` chooses the language.
async fn proxy(exchange: std::net::SocketAddr, socks: bool) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut server = TcpStream::connect(exchange).await.unwrap();
                if socks {
                    let mut hello = [0; 2];
                    client.read_exact(&mut hello).await.unwrap();
                    let mut methods = vec![0; usize::from(hello[1])];
                    client.read_exact(&mut methods).await.unwrap();
                    client.write_all(&[5, 0]).await.unwrap();
                    let mut request = vec![0; 5 + "venue.test".len() + 2];
                    client.read_exact(&mut request).await.unwrap();
                    assert_eq!(&request[..5], &[5, 1, 0, 3, 10], "a name, resolved by the proxy");
                    assert_eq!(&request[5..15], b"venue.test");
                    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
                } else {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(client.read_u8().await.unwrap());
                    }
                    let text = String::from_utf8(head.clone()).unwrap();
                    assert!(text.to_lowercase().contains("proxy-authorization: basic dtpw"), "{text}");
                    if text.starts_with("CONNECT venue.test:80 ") {
                        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                    } else {
                        server.write_all(&head).await.unwrap();
                    }
                }
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_kinds_of_proxy_carry_sockets_and_calls() {
    for socks in [false, true] {
        let exchange = Exchange::start().await;
        let address = proxy(exchange.address, socks).await;
        let url = if socks { format!("socks5://{address}") } else { format!("http://u:p@{address}") };
        let mut config = Exchange::config_by("venue.test");
        config.proxy = ProxyEnv::from_vars(|name| (name == "ALL_PROXY").then(|| url.clone()));
        let mut feed = Listener::start(config, None);
        feed.until("live through the proxy", |f| f.live() && f.trades().len() > 5).await;
    }
}
