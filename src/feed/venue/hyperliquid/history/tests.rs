//! What is listed, at which tick and with which tiers; and which calls history takes.

use super::*;

const LIST: &str = include_str!("../../../../../tests/data/hyperliquid/meta_and_asset_ctxs.json");

fn listed() -> Vec<Listing> {
    directory(LIST).unwrap().listings
}

#[test]
fn listings_are_the_coins_that_trade_and_nothing_else() {
    let shown: Vec<_> = listed()
        .iter()
        .map(|l| {
            let terms = l.instrument.as_ref().unwrap();
            let (tick, lot) = (terms.tick.to_string(), terms.lot.to_string());
            (l.symbol.to_string(), l.asset.to_string(), tick, lot, l.multiplier.to_string(), l.day_usd)
        })
        .collect();
    let row = |symbol: &str, asset: &str, tick: &str, lot: &str, multiplier: &str, day_usd| {
        let [symbol, asset, tick, lot, multiplier] =
            [symbol, asset, tick, lot, multiplier].map(str::to_owned);
        (symbol, asset, tick, lot, multiplier, day_usd)
    };
    assert_eq!(
        shown,
        [
            // 77562: five figures are whole dollars; 6 − 5 = 1 decimal would be finer.
            row("BTC", "BTC", "1", "0.00001", "1", Some(1_516_669_192)),
            row("ETH", "ETH", "0.1", "0.0001", "1", Some(591_989_409)),
            // 0.001604: five figures would be 1e-7, six decimals are 1e-6; per coin a thousandth of it.
            row("kPEPE", "PEPE", "0.000000001", "1", "1000", Some(20_000_000)),
            row("SOL", "SOL", "0.001", "0.01", "1", Some(400_000_000)),
            // No price: the decimals decide, 6 − 1.
            row("DULL", "DULL", "0.00001", "0.1", "1", Some(0)),
        ]
    );
}

#[test]
fn the_tick_follows_the_price_rule() {
    for (price, sz_decimals, expected) in [
        ("123456", 5, "1"),
        ("99999", 5, "1"),
        ("10000", 5, "1"),
        ("9999.9", 5, "0.1"),
        ("1.2345", 0, "0.0001"),
        ("0.99999", 0, "0.00001"),
        ("0.0012", 0, "0.000001"),
        ("0.0012", 4, "0.01"),
        ("5", 6, "1"),
        ("5", 9, "1"),
        ("0", 2, "0.0001"),
    ] {
        let tick = tick(Some(price.parse().unwrap()), sz_decimals).unwrap();
        assert_eq!(tick.to_string(), expected, "{price} {sz_decimals}");
    }
}

#[test]
fn tiers_are_those_the_venue_lists_and_else_built_in() {
    let tiers: Vec<Vec<[String; 4]>> = listed()
        .iter()
        .map(|l| {
            let tiers = &l.instrument.as_ref().unwrap().tiers;
            let row = |t: &MarginTier| {
                [t.notional_cap, t.maintenance_rate, t.deduction, t.max_leverage].map(|q| q.to_string())
            };
            tiers.iter().map(row).collect()
        })
        .collect();
    assert_eq!(tiers[0][0], ["150000000", "0.0125", "0", "40"]);
    assert_eq!(tiers[0][1], ["1000000000000", "0.025", "1875000", "20"]);
    // 3M · (0.1 − 0.05)
    assert_eq!(tiers[2][1], ["1000000000000", "0.1", "150000", "5"]);
    assert_eq!(tiers[3].len(), 2, "SOL names no table: the built-in one");
    assert_eq!(tiers[4], [["1000000000000", "0.166666666666", "0", "3"]], "a table that is not there");
}

#[test]
fn a_list_may_write_its_numbers_as_numbers_or_as_text() {
    let other_way = LIST
        .replace("\"lowerBound\":\"0.0\"", "\"lowerBound\":0.0")
        .replace("\"150000000.0\"", "150000000.0")
        .replace("\"100000000.0\"", "100000000")
        .replace("\"3000000.0\"", "3e6")
        .replace("\"maxLeverage\":40", "\"maxLeverage\":\"40\"")
        .replace("\"szDecimals\":5", "\"szDecimals\":\"5\"");
    assert_ne!(other_way, LIST);
    assert_eq!(directory(&other_way).unwrap().listings, listed());
}

#[test]
fn meta_alone_lists_as_well() {
    let meta = r#"{"universe":[{"isDelisted":null,"maxLeverage":40,"name":"BTC","onlyIsolated":null,"szDecimals":5}]}"#;
    let [btc] = directory(meta).unwrap().listings.try_into().unwrap();
    let terms = btc.instrument.unwrap();
    assert_eq!((terms.tick.to_string(), terms.tiers.len(), btc.day_usd), ("0.1".into(), 2, None));
}

#[test]
fn a_list_that_does_not_fit_together_is_refused() {
    for text in ["", "{}", "[]", "null", "7", r#"[{"universe":[]}]"#, r#"[{"universe":[{"name":"BTC"}]},[]]"#]
    {
        assert!(directory(text).is_err(), "{text}");
    }
    assert!(directory(r#"[{"universe":[]},[]]"#).unwrap().listings.is_empty());
}

#[test]
fn names_are_taken_by_table_and_by_case() {
    for (name, asset, coins) in
        [("BTC", "BTC", "1"), ("kPEPE", "PEPE", "1000"), ("KPEPE", "KPEPE", "1"), ("kNEW", "KNEW", "1")]
    {
        let listing = guess(name).unwrap();
        assert_eq!((listing.asset.as_str(), listing.multiplier.to_string().as_str()), (asset, coins));
    }
    for name in ["xyz:NVDA", "@142", "PURR/USDC", "#1", "", "B TC"] {
        assert!(guess(name).is_none(), "{name}");
    }
}

#[test]
fn history_is_one_call_of_at_most_five_thousand_minutes() {
    const NOW: i64 = 1_700_000_130_000;
    let call = candles("BTC", NOW - 2 * 86_400_000, NOW).unwrap();
    // The minute of NOW starts at …_100_000 + 20 s; it still runs.
    assert_eq!(
        call.name(),
        r#"/info {"type":"candleSnapshot","req":{"coin":"BTC","interval":"1m","startTime":1699827300000,"endTime":1700000099999}}"#
    );
    assert_eq!(call.weight, 20 + 48);
    let far = candles("kPEPE", NOW - 90 * 86_400_000, NOW).unwrap();
    assert!(far.name().contains(r#""coin":"kPEPE""#) && far.name().contains(r#""startTime":1699700100000,"#));
    assert_eq!(far.weight, 20 + 84);
    assert_eq!(candles("BTC", NOW - 1_000, NOW), None);
    assert_eq!(candles("BTC", NOW + 600_000, NOW), None);
    assert_eq!(clock("k\"X").name(), r#"/info {"type":"l2Book","coin":"k\"X"}"#);
}
