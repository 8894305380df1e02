//! What is connected to and asked for, and what answers mean.

use super::*;
use crate::feed::instruments::Listing;

const INSTRUMENTS: &str = include_str!("../../../../tests/data/okx/instruments.json");
const TICKERS: &str = include_str!("../../../../tests/data/okx/tickers.json");

fn btc() -> Listing {
    history::listings(INSTRUMENTS).unwrap().listings.into_iter().find(|l| l.asset.as_str() == "BTC").unwrap()
}

#[test]
fn two_connections_carry_everything() {
    let okx = Okx::new(&FeedConfig::default());
    let [public, business] = <[ConnSpec; 2]>::try_from(okx.connections(&btc())).unwrap();
    assert_eq!(public.urls, ["wss://ws.okx.com/ws/v5/public", "wss://ws.okx.com:8443/ws/v5/public"]);
    assert_eq!(business.urls, ["wss://ws.okx.com/ws/v5/business", "wss://ws.okx.com:8443/ws/v5/business"]);
    let args = |spec: &ConnSpec| {
        let hello: serde_json::Value = serde_json::from_str(&spec.hello[0]).unwrap();
        assert_eq!((hello["op"].as_str(), spec.hello.len()), (Some("subscribe"), 1));
        assert!(spec.hello[0].len() < 64 << 10, "§1.5");
        hello["args"].clone()
    };
    let on = |channel: &str| serde_json::json!({"channel": channel, "instId": "BTC-USDT-SWAP"});
    let expected = serde_json::json!([
        on("trades"), on("books"), on("mark-price"), on("open-interest"), on("funding-rate"),
        {"channel": "liquidation-orders", "instType": "SWAP"}
    ]);
    assert_eq!(args(&public), expected);
    assert_eq!(args(&business), serde_json::json!([on("candle1m")]));
    for spec in [&public, &business] {
        let keep_alive = spec.keep_alive.as_ref().unwrap();
        assert_eq!(
            (keep_alive.text.as_str(), keep_alive.every.as_secs()),
            ("ping", 25),
            "before 30 s of silence"
        );
    }
    let stream = |name: &str| public.streams.iter().find(|s| s.name == name).unwrap();
    assert_eq!(stream("liquidation-orders").first.or(stream("liquidation-orders").idle), None);
    assert_eq!(stream("funding-rate").idle, Some(Duration::from_secs(270)), "three of its beats");
    assert_eq!(stream("mark-price").idle, Some(Duration::from_secs(30)));
    for spec in public.streams.iter().chain(&business.streams) {
        assert!(stream::CHANNELS.contains(&spec.name));
    }
}

#[test]
fn other_addresses_are_tried_only_in_place_of_okx_s_own() {
    let mut config = FeedConfig::default();
    assert_eq!(Okx::new(&config).rest_bases(), ["https://www.okx.com", "https://openapi.okx.com"]);
    config.okx.rest = "http://127.0.0.1:9".into();
    config.okx.ws_public = "ws://127.0.0.1:9/ws/v5/public".into();
    let okx = Okx::new(&config);
    assert_eq!(okx.rest_bases(), ["http://127.0.0.1:9"]);
    assert_eq!(okx.connections(&btc())[0].urls, ["ws://127.0.0.1:9/ws/v5/public"]);
}

#[test]
fn the_list_comes_with_volumes_if_they_can_be_read() {
    let okx = Okx::new(&FeedConfig::default());
    let calls = okx.directory();
    assert_eq!(
        calls.iter().map(|c| c.path.as_str()).collect::<Vec<_>>(),
        ["/api/v5/public/instruments?instType=SWAP", "/api/v5/market/tickers?instType=SWAP",]
    );
    let read = |tickers: &str| {
        let answers = [(calls[0].name(), INSTRUMENTS.to_owned()), (calls[1].name(), tickers.to_owned())];
        match okx.read_directory(&answers).unwrap() {
            Reading::Done(directory) => directory,
            Reading::More(more) => panic!("{more:?}"),
        }
    };
    let directory = read(TICKERS);
    assert_eq!(directory.now, Some(1_700_000_100_123));
    assert_eq!(directory.listings[0].day_usd, Some(6_000_000_000));
    assert_eq!(directory.listings.len(), 5);
    assert_eq!(read("<html>").listings[0].day_usd, None);
    assert!(okx.read_directory(&[]).is_err());
    assert!(okx.read_directory(&[(calls[0].name(), "<html>".into())]).is_err());
}

#[test]
fn errors_are_told_from_answers() {
    let okx = Okx::new(&FeedConfig::default());
    let slow = Verdict::Slow(SLOW);
    for (status, body, verdict) in [
        (200, r#"{"code":"0","msg":"","data":[]}"#, Verdict::ByStatus),
        (200, r#"{ "msg": "", "code": "0", "data": [] }"#, Verdict::ByStatus),
        (429, r#"{"code":"50011","msg":"Too Many Requests"}"#, slow.clone()),
        (429, "", slow.clone()),
        (200, r#"{"code":"50011","msg":"Too Many Requests"}"#, slow),
        (
            200,
            r#"{"code":"51001","msg":"no such thing","data":[]}"#,
            Verdict::Refused("51001: no such thing".into()),
        ),
        (400, r#"{"code":"51000","msg":"Parameter instId error"}"#, Verdict::ByStatus),
        (403, "<html>", Verdict::ByStatus),
        (451, "<html>", Verdict::ByStatus),
        (503, "", Verdict::ByStatus),
    ] {
        assert_eq!(okx.verdict(status, body), verdict, "{status} {body}");
    }
}

#[test]
fn what_a_text_is_to_the_one_who_keeps_the_socket() {
    let okx = Okx::new(&FeedConfig::default());
    assert_eq!(okx.nature("pong"), Nature::Pong);
    let notice = r#"{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please reconnect.","connId":"a4d3ae55"}"#;
    assert_eq!(okx.nature(notice), Nature::Restart);
    assert_eq!(okx.nature(r#"{"arg":{"channel":"trades","instId":"X"},"data":[]}"#), Nature::Data);
}

#[test]
fn a_run_begins_with_mark_and_funding() {
    let okx = Okx::new(&FeedConfig::default());
    let (now, listing) = (1_700_000_100_000, btc());
    let fresh = okx.history(&listing, now - 60_000, now, true);
    assert!(
        fresh.iter().any(|r| r.path.contains("funding-rate"))
            && fresh.last().unwrap().path.contains("mark-price")
    );
    assert!(okx.history(&listing, now - 60_000, now, false).iter().all(|r| !r.path.contains("mark-price")));
    assert_eq!(okx.terms(&listing).len(), 1);
    assert!(okx.poll(&listing).is_none(), "everything else is pushed");
}
