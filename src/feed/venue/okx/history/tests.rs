//! What is asked, and the lists read.

use super::*;

const INSTRUMENTS: &str = include_str!("../../../../../tests/data/okx/instruments.json");
const TICKERS: &str = include_str!("../../../../../tests/data/okx/tickers.json");

#[test]
fn listings_are_live_linear_swaps_one_an_asset() {
    let listed = listings(INSTRUMENTS).unwrap();
    assert_eq!(listed.odd, 0);
    let shown: Vec<_> = listed
        .listings
        .iter()
        .map(|l| {
            let i = l.instrument.as_ref().unwrap();
            (
                l.asset.as_str(),
                l.symbol.as_ref(),
                i.contract.to_string(),
                i.tick.to_string(),
                i.lot.to_string(),
            )
        })
        .collect();
    let expected = [
        ("BTC", "BTC-USDT-SWAP", "0.01", "0.1", "0.01"),
        ("ETH", "ETH-USDT-SWAP", "0.1", "0.01", "0.01"),
        ("PEPE", "PEPE-USDT-SWAP", "10000000", "0.000000001", "0.1"),
        ("IOST", "IOST-USDT-SWAP", "1", "0.000001", "1"),
        ("SOL", "SOL-USDC-SWAP", "10", "0.01", "1"),
    ];
    assert_eq!(shown, expected.map(|(a, s, c, t, l)| (a, s, c.to_owned(), t.to_owned(), l.to_owned())));
    let pepe = listed.listings[2].instrument.as_ref().unwrap();
    assert_eq!(pepe.multiplier.to_string(), "1", "not scaled in its name");
    assert_eq!(pepe.max_leverage().unwrap().to_string(), "50");
    assert!(listings("{}").is_err() && listings("").is_err());
}

#[test]
fn volumes_are_coins_times_the_last_price() {
    let tickers = tickers(TICKERS).unwrap();
    assert_eq!(tickers.rows["BTC-USDT-SWAP"], ("60000".parse().unwrap(), 6_000_000_000));
    assert_eq!(tickers.rows["PEPE-USDT-SWAP"].1, 50_000_000);
    assert!(!tickers.rows.contains_key("IOST-USDT-SWAP"), "it has not traded");
    assert_eq!(tickers.now, Some(1_700_000_100_123));
}

/// Windows of the calls, with the rows they may give: what they name, and their cost.
fn windows(calls: &[Request], start: &str) -> Vec<(i64, i64, u32)> {
    let number = |path: &str, name: &str| -> i64 {
        path.split(['?', '&']).find_map(|p| p.strip_prefix(name)).unwrap().parse().unwrap()
    };
    let of = |r: &Request| (number(&r.path, "after="), number(&r.path, "limit="), r.weight);
    calls.iter().filter(|r| r.path.starts_with(start)).map(of).collect()
}

#[test]
fn two_days_of_minutes_are_asked_for_without_a_hole() {
    const MINUTE: i64 = 60_000;
    let now = 1_700_000_123_456;
    let from = now - 2 * 86_400_000;
    let calls = requests("BTC-USDT-SWAP", from, now);
    let old = windows(&calls, "/api/v5/market/history-candles?instId=BTC-USDT-SWAP&bar=1m&");
    let new = windows(&calls, "/api/v5/market/candles?instId=BTC-USDT-SWAP&bar=1m&");
    let mut next = from / MINUTE * MINUTE;
    for (after, rows, _) in old.iter().chain(&new) {
        assert!((1..=300).contains(rows));
        assert_eq!(after - rows * MINUTE, next, "each window begins where the one before ends");
        next = *after;
    }
    assert_eq!(next, now / MINUTE * MINUTE, "the running minute is not asked for");
    assert!(new.iter().all(|(after, rows, _)| now - (after - rows * MINUTE) < 1_440 * MINUTE), "§5.3");
    assert_eq!((old.len(), new.len()), (5, 5));
    let oi: Vec<&str> =
        calls.iter().map(|r| r.path.as_str()).filter(|p| p.contains("open-interest")).collect();
    assert_eq!(oi.len(), 6, "576 periods, 100 a call");
    let weight: u32 = calls.iter().map(|r| r.weight).sum();
    assert_eq!(weight, 5 * cost::USUAL + 5 * cost::OFTEN + 6 * cost::SELDOM);
}

#[test]
fn past_open_interest_reaches_back_as_far_as_it_is_kept() {
    let now = 1_700_000_100_000;
    let calls = requests("BTC-USDT-SWAP", now - 30 * 86_400_000, now);
    let oi: Vec<&str> =
        calls.iter().map(|r| r.path.as_str()).filter(|p| p.contains("open-interest")).collect();
    assert_eq!(oi.len(), 15, "1,440 periods");
    // 1,440 periods of five minutes back, and one ms, as `begin` is not included.
    let first = now - 1_440 * 300_000;
    let last = first + 100 * 300_000;
    let expected = format!(
        "/api/v5/rubik/stat/contracts/open-interest-history?instId=BTC-USDT-SWAP&period=5m&begin={}&end={last}&limit=100",
        first - 1
    );
    assert_eq!(oi[0], expected);
    assert!(oi[1].contains(&format!("begin={}&", last - 1)));
    assert!(requests("BTC-USDT-SWAP", now, now).is_empty(), "nothing has happened since");
}

#[test]
fn symbols_go_through_a_url() {
    let [funding, mark] = mark("龙虾-USDT-SWAP");
    assert_eq!(funding.path, "/api/v5/public/funding-rate?instId=%E9%BE%99%E8%99%BE-USDT-SWAP");
    assert_eq!(mark.path, "/api/v5/public/mark-price?instType=SWAP&instId=%E9%BE%99%E8%99%BE-USDT-SWAP");
    let tiers = tiers("BTC-USDT-SWAP").unwrap();
    assert_eq!(tiers.path, "/api/v5/public/position-tiers?instType=SWAP&tdMode=isolated&instFamily=BTC-USDT");
    assert_eq!(time(r#"{"code":"0","msg":"","data":[{"ts":"1597026383085"}]}"#), Some(1_597_026_383_085));
    assert_eq!(time("<html>"), None);
}
