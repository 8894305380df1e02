//! Every kind of message and what it becomes: the documented payloads of `exchanges.md` §5, worked out by hand.

use super::*;

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn every_message_type_becomes_the_expected_event() {
    let pepe = TRADE.replace("BTC-USDT-SWAP", "PEPE-USDT-SWAP").replace("42219.9", "0.00001234");
    // In net mode only the order's side tells who died.
    let net = LIQUIDATION.replace("\"short\"", "\"net\"").replace("\"buy\"", "\"sell\"");
    let eth = LIQUIDATION.replace("IOST-USDT-SWAP", "ETH-USDT-SWAP").replace("0.007831", "2999.5");
    let done = CANDLE.replace("\"0\"]", "\"1\"]");
    let funded = FUNDING.replace(
        r#"{"arg":{"channel":"funding-rate","instId":"BTC-USDT-SWAP"},"data""#,
        r#"{"code":"0","msg":"","data""#,
    );
    let rows: Vec<(&str, &str, &str, Vec<&str>)> = vec![
        (
            "trade: contracts of 0.01 coins",
            "",
            TRADE,
            vec![
                r#"{"type":"trade","asset":"BTC","ts":1630048897897,"price":"42219.9","qty":"0.0012060306","taker":"buy","id":"130639474"}"#,
            ],
        ),
        (
            "trade: contracts of ten million coins",
            "",
            &pepe,
            vec![
                r#"{"type":"trade","asset":"PEPE","ts":1630048897897,"price":"0.00001234","qty":"1206030.6","taker":"buy","id":"130639474"}"#,
            ],
        ),
        (
            "liquidation: a buying order closes a short",
            "",
            LIQUIDATION,
            vec![
                r#"{"type":"liquidation","asset":"IOST","ts":1692266434010,"position":"short","price":"0.007831","qty":"13","price_kind":"bankruptcy","sampled":"latest"}"#,
            ],
        ),
        (
            "liquidation: a selling order closes a long",
            "",
            &net,
            vec![
                r#"{"type":"liquidation","asset":"IOST","ts":1692266434010,"position":"long","price":"0.007831","qty":"13","price_kind":"bankruptcy","sampled":"latest"}"#,
            ],
        ),
        (
            "liquidation: contracts of 0.1 coins",
            "",
            &eth,
            vec![
                r#"{"type":"liquidation","asset":"ETH","ts":1692266434010,"position":"short","price":"2999.5","qty":"1.3","price_kind":"bankruptcy","sampled":"latest"}"#,
            ],
        ),
        (
            "open interest: coins, rounded at 1e-12",
            "",
            OPEN_INTEREST,
            vec![r#"{"type":"open_interest","asset":"BTC","ts":1743041250440,"qty":"22161.130100000031"}"#],
        ),
        ("funding alone", "", FUNDING, vec![]),
        (
            "mark price",
            "",
            MARK,
            vec![r#"{"type":"mark","asset":"BTC","ts":1700724675500,"price":"60000.1"}"#],
        ),
        ("candle that runs", "", CANDLE, vec![]),
        (
            "candle that is finished",
            "",
            &done,
            vec![
                r#"{"type":"candle","asset":"BTC","ts":1597026383085,"interval":"1m","open":"8533.02","high":"8553.74","low":"8527.17","close":"8548.26","volume":"529.5858061"}"#,
            ],
        ),
        (
            "book",
            "",
            BOOK,
            vec![
                r#"{"type":"book","asset":"BTC","ts":1597026383085,"bids":[["8476.97","2.56"]],"asks":[["8476.98","4.15"]]}"#,
            ],
        ),
        ("ticker", "", TICKER, vec![]),
        (
            "candles of the past, oldest first, without the one that runs",
            CANDLES_CALL,
            CANDLES,
            vec![
                r#"{"type":"candle","asset":"BTC","ts":1699999980000,"interval":"1m","open":"1","high":"4","low":"0.5","close":"2","volume":"3"}"#,
                r#"{"type":"candle","asset":"BTC","ts":1700000040000,"interval":"1m","open":"2","high":"4","low":"0.5","close":"3","volume":"4.5"}"#,
            ],
        ),
        (
            "open interest of the past, oldest first",
            OPEN_INTEREST_CALL,
            OPEN_INTERESTS,
            vec![
                r#"{"type":"open_interest","asset":"BTC","ts":1699999800000,"qty":"10"}"#,
                r#"{"type":"open_interest","asset":"BTC","ts":1700000100000,"qty":"20"}"#,
            ],
        ),
        ("funding asked for", FUNDING_CALL, &funded, vec![]),
        (
            "mark price asked for",
            MARK_CALL,
            MARK_ANSWER,
            vec![r#"{"type":"mark","asset":"BTC","ts":1700000100000,"price":"200"}"#],
        ),
        ("time", TIME_CALL, TIME_ANSWER, vec![]),
        ("tiers", TIERS_CALL, TIERS, vec![]),
    ];
    for (what, call, text, expected) in rows {
        let mut feed = Feed::new();
        let events = if call.is_empty() { feed.ws(text) } else { feed.rest(call, text) };
        let expected: Vec<Value> = expected.iter().map(|e| serde_json::from_str(e).unwrap()).collect();
        assert_eq!(told(&events), expected, "{what}");
        assert!(events.iter().all(|e| e.venue.as_str() == "okx" && e.recv == Some(7)), "{what}");
        let counters = feed.counters();
        let known: u64 = feed.translator.tally().kinds.values().sum();
        assert_eq!((known, counters.unknown, counters.malformed), (3, 0, 0), "{what}");
        assert_eq!(counters.ignored, u64::from(what == "ticker"), "{what}");
    }
}
