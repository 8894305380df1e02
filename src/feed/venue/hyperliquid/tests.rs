//! What is asked of Hyperliquid.

use super::*;
use crate::feed::venue::adapter;

fn listing(coin: &str) -> Listing {
    history::guess(coin).unwrap()
}

fn ours() -> Hyperliquid {
    Hyperliquid::new(&FeedConfig::default())
}

#[test]
fn one_socket_subscribes_to_one_stream_a_message() {
    let [conn] = ours().connections(&listing("kPEPE")).try_into().unwrap();
    assert_eq!(conn.urls, ["wss://api.hyperliquid.xyz/ws"]);
    assert_eq!(
        conn.hello,
        [
            r#"{"method":"subscribe","subscription":{"type":"l2Book","coin":"kPEPE","fast":true}}"#,
            r#"{"method":"subscribe","subscription":{"type":"trades","coin":"kPEPE"}}"#,
            r#"{"method":"subscribe","subscription":{"type":"activeAssetCtx","coin":"kPEPE"}}"#,
            r#"{"method":"subscribe","subscription":{"type":"candle","coin":"kPEPE","interval":"1m"}}"#,
            r#"{"method":"subscribe","subscription":{"type":"l2Book","coin":"kPEPE","nSigFigs":3}}"#,
        ]
    );
    let keep_alive = conn.keep_alive.unwrap();
    assert_eq!((keep_alive.every, keep_alive.text.as_str()), (PING, r#"{"method":"ping"}"#));
}

#[test]
fn history_reads_contexts_only_at_the_start() {
    let (ours, btc) = (ours(), listing("BTC"));
    let names = |fresh| {
        let calls = ours.history(&btc, 1_700_000_000_000, 1_700_000_400_000, fresh);
        calls.iter().map(|c| c.body.clone().unwrap_or_default()[..16].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(true), [r#"{"type":"candleS"#, r#"{"type":"metaAnd"#]);
    assert_eq!(names(false), [r#"{"type":"candleS"#]);
    assert_eq!((ours.poll(&btc), ours.liquidations(), ours.terms(&btc)), (None, None, Vec::new()));
    let total: u32 = ours.history(&btc, 0, 1_700_000_400_000, true).iter().map(|c| c.weight).sum();
    assert!(total < ours.pool().weight, "a start fits a minute: {total}");
}

#[test]
fn frames_are_told_by_their_channel() {
    let ours = ours();
    for (text, stream, nature) in [
        (r#"{"channel":"pong"}"#, None, Nature::Pong),
        (r#"{"channel":"trades","data":[]}"#, Some("trades"), Nature::Data),
        (r#"{"channel":"l2Book","data":{}}"#, Some("l2Book"), Nature::Data),
        (r#"{"channel":"activeAssetCtx","data":{}}"#, Some("activeAssetCtx"), Nature::Data),
        (r#"{"channel":"candle","data":{}}"#, Some("candle"), Nature::Data),
        (r#"{"channel":"subscriptionResponse","data":{}}"#, None, Nature::Data),
        ("pong", None, Nature::Data),
    ] {
        assert_eq!((ours.stream_of(text), ours.nature(text)), (stream, nature), "{text}");
    }
}

#[test]
fn the_clock_is_the_time_of_a_book() {
    let ours = ours();
    assert_eq!(ours.clock(&listing("BTC")).weight, 2);
    let book = r#"{"coin":"BTC","levels":[[{"px":"98450.50","sz":"2.5"}],[]],"time":1703875200000}"#;
    assert_eq!(ours.read_clock(book), Some(1_703_875_200_000));
    assert_eq!(ours.read_clock("null"), None);
    assert!(adapter("hyperliquid".parse().unwrap(), &FeedConfig::default()).is_some());
}
