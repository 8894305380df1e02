//! Binance's margin tiers: the adapter's table against the simulator's own and against the brackets it was made from.

use meltline::feed::venue::binance::margin;
use meltline::market::{MarginTier, Qty};
use meltline::sim::venue::binance::contracts::CONTRACTS;

/// Cap, maintenance rate, deduction, highest leverage.
fn numbers(tier: &MarginTier) -> [f64; 4] {
    [tier.notional_cap, tier.maintenance_rate, tier.deduction, tier.max_leverage].map(Qty::to_f64)
}

/// The simulator holds the tiers of its contracts for itself; they must not drift apart.
#[test]
fn simulator_and_adapter_hold_the_same_tiers() {
    for contract in CONTRACTS.iter().filter(|c| c.symbol.is_ascii()) {
        let ours: Vec<[f64; 4]> = margin::tiers(contract.symbol).iter().map(numbers).collect();
        let theirs: Vec<[f64; 4]> =
            contract.tiers.iter().map(|t| [t.cap, t.rate, t.deduction, t.max_leverage]).collect();
        assert_eq!(ours.len(), theirs.len(), "{}", contract.symbol);
        for (a, b) in ours.iter().flatten().zip(theirs.iter().flatten()) {
            assert!((a - b).abs() <= 1e-12 * b.abs(), "{}: {a} {b}", contract.symbol);
        }
    }
}

#[test]
fn the_table_holds_the_venues_own_numbers_for_every_symbol() {
    let Some(root) = std::env::var_os("MELTLINE_RECORDED") else {
        eprintln!("MELTLINE_RECORDED is not set: no brackets to compare with");
        return;
    };
    let text =
        std::fs::read_to_string(std::path::Path::new(&root).join("margin/binance-2026-09.json")).unwrap();
    let brackets: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(brackets.len(), 907);
    for (unified, rows) in &brackets {
        // "BTC/USDT:USDT" and "BTC/USDT:USDT-260925".
        let (pair, settled) = unified.split_once(':').unwrap();
        let expiry = settled.split_once('-').map_or(String::new(), |(_, day)| format!("_{day}"));
        let symbol = pair.replace('/', "") + &expiry;
        let theirs: Vec<MarginTier> = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                let number =
                    |key: &str| row["info"][key].as_f64().unwrap().to_string().parse::<Qty>().unwrap();
                let (cap, rate) = (number("notionalCap"), number("maintMarginRatio"));
                (cap, rate, number("cum"), number("initialLeverage")).into()
            })
            .collect();
        assert_eq!(margin::tiers(&symbol), theirs, "{symbol}");
    }
}
