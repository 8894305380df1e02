//! The feed against a venue that does not behave: it says what happened, recovers by itself, and counts what it lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use meltline::feed::Taps;
use meltline::feed::capture::Capture;
use meltline::feed::status::LinkState;
use meltline::market::EventKind;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;

use crate::feed_exchange::{Exchange, Listener, Socket, forward};
use crate::feed_live::assert_replays;

/// Forwards frames until some trades have gone out, and gives the socket back.
async fn forward_some(mut socket: Socket, trades: usize) -> Socket {
    let mut seen = 0;
    while seen < trades {
        let frame = socket.frames.recv().await.unwrap();
        seen += usize::from(frame.contains("aggTrade"));
        socket.ws.send(Message::text(frame)).await.unwrap();
    }
    socket
}

/// An exchange whose first socket goes wrong in some way after 50 trades.
async fn first_socket<F, R>(wrong: F) -> Exchange
where
    F: Fn(Socket) -> R + Send + Sync + Copy + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    Exchange::with(
        move |n, socket, _| {
            Box::pin(async move {
                if n == 0 {
                    wrong(forward_some(socket, 50).await).await;
                } else {
                    forward(socket, |_| true).await;
                }
            })
        },
        |_| None,
    )
    .await
}

/// Runs until the feed is back after the first socket went wrong; what is lost is told and counted.
async fn recovers(exchange: &Exchange) -> Listener {
    let mut feed = Listener::start(exchange.config(), None);
    feed.until("back", |f| {
        f.live() && f.gaps().len() >= 3 && f.status().is_some_and(|s| s.counters.reconnects == 1)
    })
    .await;
    let trades = feed.trades();
    assert!(trades.is_sorted_by(|a, b| a < b), "nothing twice");
    let holes: u64 = trades.windows(2).map(|w| w[1] - w[0] - 1).sum();
    feed.until("all that is missing is counted", |f| f.status().unwrap().counters.missed == holes).await;
    assert_eq!(feed.gaps().iter().filter(|g| *g == "trade").count(), 1);
    feed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_replaced_and_its_minutes_fetched() {
    let down = Arc::new(AtomicBool::new(false));
    let exchange = {
        let down = Arc::clone(&down);
        Exchange::with(
            move |n, socket, tape| {
                let down = Arc::clone(&down);
                Box::pin(async move {
                    if n == 0 {
                        drop(forward_some(socket, 50).await);
                        down.store(true, Ordering::SeqCst);
                    } else if n > 5 {
                        forward(socket, |_| true).await;
                    }
                    // In between the door opens and closes at once, for some minutes of the market's time.
                    tape.clock.fetch_add(180_000, Ordering::SeqCst);
                })
            },
            |_| None,
        )
        .await
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.ndjson");
    let mut feed = Listener::start(exchange.config(), Some(Capture::file(&path).unwrap()));
    feed.until("back", |f| down.load(Ordering::SeqCst) && f.live() && f.gaps().len() >= 3).await;
    assert!(
        feed.statuses
            .iter()
            .any(|s| matches!(s.state, LinkState::Reconnecting { .. }) && s.note.contains("Binance"))
    );
    let last = feed.trades().len();
    feed.until("a little more", |f| f.trades().len() > last + 20).await;
    let events = feed.end().await;
    let candles: Vec<i64> =
        events.iter().filter(|e| matches!(e.kind, EventKind::Candle(_))).map(|e| e.ts).collect();
    let steps: Vec<i64> = candles.windows(2).map(|w| w[1] - w[0]).filter(|step| *step != 60_000).collect();
    assert!(steps.is_empty(), "no minute is missing and none is told twice: {steps:?}");
    assert_replays(&path, &events);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_cut_in_half_costs_one_connection() {
    let exchange = first_socket(|socket| async move {
        // Text frame of 1,000 bytes, of which 13 come.
        let mut stream = socket.ws.into_inner();
        stream.write_all(&[0x81, 0x7e, 0x03, 0xe8]).await.unwrap();
        stream.write_all(br#"{"e":"aggTrad"#).await.unwrap();
    })
    .await;
    recovers(&exchange).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_frame_cost_one_connection() {
    let exchange = first_socket(|socket| async move {
        let mut stream = socket.ws.into_inner();
        stream.write_all(&[0xff; 64]).await.unwrap();
        // Left open: it is the feed that must hang up.
        std::future::pending::<()>().await;
    })
    .await;
    recovers(&exchange).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_ten_megabytes_is_refused_and_counted() {
    let exchange = first_socket(|mut socket| async move {
        // The feed hangs up in the middle of it.
        let _ = socket.ws.send(Message::text("x".repeat(10 << 20))).await;
        std::future::pending::<()>().await;
    })
    .await;
    let feed = recovers(&exchange).await;
    assert_eq!(feed.status().unwrap().counters.malformed, 1);
    assert!(feed.statuses.iter().any(|s| s.note.contains("more than 8 MB")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_counted_and_the_connection_kept() {
    let exchange = Exchange::with(
        |_, mut socket, _| {
            Box::pin(async move {
                for text in ["", "{", "\u{1b}[2J", "[1,2]", r#"{"e":"aggTrade","a":-1}"#, r#"{"e":"news"}"#] {
                    socket.ws.send(Message::text(text)).await.unwrap();
                }
                socket.ws.send(Message::binary(vec![0xff, 0x00])).await.unwrap();
                forward(socket, |_| true).await;
            })
        },
        |_| None,
    )
    .await;
    let mut feed = Listener::start(exchange.config(), None);
    feed.until("live", |f| f.live() && f.trades().len() > 10).await;
    feed.until("counted", |f| f.status().is_some_and(|s| s.counters.malformed == 6)).await;
    let counters = feed.status().unwrap().counters;
    assert_eq!((counters.unknown, counters.reconnects), (1, 0));
    assert_eq!(exchange.sockets.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_on_one_stream_is_told_by_its_name_and_cured() {
    let exchange = Exchange::with(
        |n, socket, _| {
            Box::pin(async move { forward(socket, |frame| n > 0 || !frame.contains("kline")).await })
        },
        |_| None,
    )
    .await;
    let mut config = exchange.config();
    config.first_data = Duration::from_millis(1_500);
    let mut feed = Listener::start(config, None);
    feed.until("told", |f| {
        f.status().is_some_and(|s| s.state == LinkState::Silent { stream: "kline_1m".into() })
    })
    .await;
    assert!(feed.status().unwrap().note.contains("kline_1m"));
    feed.until("cured", Listener::live).await;
    assert!(!feed.trades().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_falls_silent_later_is_noticed() {
    // Falls silent on each connection until the test has seen it: a machine that stalls may cost one by itself.
    let seen = Arc::new(AtomicBool::new(false));
    let cured = Arc::clone(&seen);
    let exchange = Exchange::with(
        move |_, socket, _| {
            let (sent, cured) = (AtomicUsize::new(0), Arc::clone(&cured));
            Box::pin(async move {
                let pass = |frame: &str| {
                    !frame.contains("markPrice")
                        || cured.load(Ordering::SeqCst)
                        || sent.fetch_add(1, Ordering::SeqCst) < 30
                };
                forward(socket, pass).await;
            })
        },
        |_| None,
    )
    .await;
    let mut config = exchange.config();
    config.idle = Duration::from_secs(1);
    let mut feed = Listener::start(config, None);
    feed.until("live", Listener::live).await;
    feed.until("silent", |f| {
        f.status().is_some_and(|s| s.state == LinkState::Silent { stream: "markPrice@1s".into() })
    })
    .await;
    seen.store(true, Ordering::SeqCst);
    feed.until("live again", Listener::live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_route_sends_nothing_and_that_is_told() {
    let exchange =
        Exchange::with(|n, socket, _| Box::pin(async move { forward(socket, |_| n > 1).await }), |_| None)
            .await;
    let mut config = exchange.config();
    config.first_data = Duration::from_millis(800);
    let mut feed = Listener::start(config, None);
    feed.until("silent", |f| f.status().is_some_and(|s| matches!(s.state, LinkState::Silent { .. }))).await;
    feed.until("live", |f| f.live() && !f.trades().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protocol_ping_is_answered_with_its_payload() {
    let answered = Arc::new(AtomicBool::new(false));
    let exchange = {
        let answered = Arc::clone(&answered);
        Exchange::with(
            move |_, mut socket, _| {
                let answered = Arc::clone(&answered);
                Box::pin(async move {
                    socket.ws.send(Message::Ping("1700000000000".into())).await.unwrap();
                    while let Some(Ok(message)) = socket.ws.next().await {
                        if message == Message::Pong("1700000000000".into()) {
                            answered.store(true, Ordering::SeqCst);
                            break;
                        }
                    }
                    forward(socket, |_| true).await;
                })
            },
            |_| None,
        )
        .await
    };
    let mut feed = Listener::start(exchange.config(), None);
    feed.until("live after the pong", |f| f.live() && answered.load(Ordering::SeqCst)).await;
}

/// Answers the first calls of a path in a way of the test's choosing.
fn first_calls(
    path: &'static str,
    times: usize,
    answer: (u16, &'static str, &'static str),
) -> impl Fn(&str) -> Option<(u16, &'static str, String)> {
    let calls = AtomicUsize::new(0);
    move |asked| {
        let hit = asked.starts_with(path) && calls.fetch_add(1, Ordering::SeqCst) < times;
        hit.then(|| (answer.0, answer.1, answer.2.to_owned()))
    }
}

async fn exchange_answering(
    on_rest: impl Fn(&str) -> Option<(u16, &'static str, String)> + Send + Sync + 'static,
) -> Exchange {
    Exchange::with(|_, socket, _| Box::pin(async move { forward(socket, |_| true).await }), on_rest).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_429_is_waited_out_as_long_as_it_says() {
    let refusal = (429, "Retry-After: 1\r\n", r#"{"code":-1003,"msg":"Too many requests"}"#);
    let exchange = exchange_answering(first_calls("/fapi/v1/klines", 1, refusal)).await;
    let mut feed = Listener::start(exchange.config(), None);
    feed.until("told", |f| {
        f.status().is_some_and(|s| s.note.contains("slow down") && s.note.contains("1 s"))
    })
    .await;
    assert!(feed.trades().is_empty(), "live data wait for history");
    feed.until("live with history", |f| f.live() && !f.trades().is_empty()).await;
    assert_eq!(feed.status().unwrap().counters.rate_limited, 1);
    assert!(feed.events.iter().any(|e| matches!(e.kind, EventKind::Candle(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ban_is_told_with_its_length_and_live_data_go_on() {
    let refusal = (418, "Retry-After: 7200\r\n", "{}");
    let exchange = exchange_answering(first_calls("/fapi/v1/klines", 1, refusal)).await;
    let mut feed = Listener::start(exchange.config(), None);
    feed.until("told", |f| f.status().is_some_and(|s| s.note.contains("banned") && s.note.contains("2 h")))
        .await;
    feed.until("trades without history", |f| f.trades().len() > 10).await;
    assert_eq!(feed.status().unwrap().state, LinkState::Blocked);
    assert_eq!(feed.status().unwrap().counters.rate_limited, 1, "and is not asked again while the ban lasts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_during_a_ban_does_not_hold_up_live_data() {
    let asked = AtomicUsize::new(0);
    let exchange = Exchange::with(
        |n, socket, _| {
            Box::pin(async move {
                if n == 0 {
                    drop(forward_some(socket, 50).await);
                } else {
                    forward(socket, |_| true).await;
                }
            })
        },
        // History is given; the first poll after it is answered with a ban.
        move |path| {
            let banned =
                path.starts_with("/fapi/v1/openInterest?") && asked.fetch_add(1, Ordering::SeqCst) == 1;
            banned.then(|| (418, "Retry-After: 7200\r\n", "{}".to_owned()))
        },
    )
    .await;
    let mut feed = Listener::start(exchange.config(), None);
    feed.until("banned", |f| f.status().is_some_and(|s| s.state == LinkState::Blocked)).await;
    let sockets = &exchange.sockets;
    feed.until("a second socket speaks", |f| {
        sockets.load(Ordering::SeqCst) == 2 && f.gaps().iter().any(|g| g == "mark")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_place_is_told_in_words_and_tried_again_slowly() {
    let refusal =
        (451, "Content-Type: text/html\r\n", "<html>Unavailable For Legal Reasons\u{1b}[31m</html>");
    let exchange = exchange_answering(first_calls("/fapi/v1/exchangeInfo", 2, refusal)).await;
    let mut feed = Listener::start(exchange.config(), None);
    feed.until("blocked", |f| f.status().is_some_and(|s| s.state == LinkState::Blocked)).await;
    let note = &feed.status().unwrap().note;
    assert!(
        note.contains("not available from this place (HTTP 451)") && note.contains("HTTPS_PROXY"),
        "{note}"
    );
    feed.until("let in", |f| f.live() && !f.trades().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_venues_own_trouble_is_tried_again() {
    let exchange = exchange_answering(first_calls("/fapi/v1/klines", 2, (503, "", "down"))).await;
    let mut feed = Listener::start(exchange.config(), None);
    feed.until("told", |f| f.statuses.iter().any(|s| s.note.contains("HTTP 503"))).await;
    feed.until("live with history", |f| f.live() && !f.trades().is_empty()).await;
    assert!(feed.events.iter().any(|e| matches!(e.kind, EventKind::Candle(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_call_costs_only_its_own_answer() {
    let refusal = (400, "", r#"{"code":-1121,"msg":"Invalid symbol."}"#);
    let exchange = exchange_answering(first_calls("/futures/data/openInterestHist", 1, refusal)).await;
    let mut feed = Listener::start(exchange.config(), None);
    feed.until("live", |f| f.live() && !f.trades().is_empty()).await;
    assert!(feed.events.iter().any(|e| matches!(e.kind, EventKind::Candle(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_no_json_is_no_history_but_no_end() {
    let exchange = exchange_answering(first_calls("/fapi/v1/klines", 1, (200, "", "<html>"))).await;
    let mut feed = Listener::start(exchange.config(), None);
    feed.until("live", |f| f.live() && !f.trades().is_empty()).await;
    feed.until("counted", |f| f.status().is_some_and(|s| s.counters.malformed == 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_listening_ends_the_feed() {
    let exchange = Exchange::start().await;
    let (out, items) = tokio::sync::mpsc::channel(1);
    drop(items);
    let config = Arc::new(exchange.config());
    let stop = tokio_util::sync::CancellationToken::new();
    let venues = ["binance".parse().unwrap()];
    meltline::feed::run(config, &venues, "BTC".parse().unwrap(), out, Taps::default(), stop).await.unwrap();
}
