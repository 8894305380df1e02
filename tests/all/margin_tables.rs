//! The simulator and the Binance adapter hold the venue's margin tiers each for itself; they must not drift apart.

use meltline::feed::venue::binance::margin;
use meltline::sim::venue::binance::contracts::CONTRACTS;

#[test]
fn simulator_and_adapter_hold_the_same_tiers() {
    for contract in CONTRACTS.iter().filter(|c| c.symbol.is_ascii()) {
        let asset = contract.base.trim_start_matches("1000").parse().unwrap();
        let ours: Vec<[f64; 4]> = margin::tiers(asset)
            .iter()
            .map(|t| {
                [
                    t.notional_cap.to_f64(),
                    t.maintenance_rate.to_f64(),
                    t.deduction.to_f64(),
                    t.max_leverage.to_f64(),
                ]
            })
            .collect();
        let theirs: Vec<[f64; 4]> =
            contract.tiers.iter().map(|t| [t.cap, t.rate, t.deduction, t.max_leverage]).collect();
        assert_eq!(ours.len(), theirs.len(), "{}", contract.symbol);
        for (a, b) in ours.iter().flatten().zip(theirs.iter().flatten()) {
            assert!((a - b).abs() <= 1e-12 * b.abs(), "{}: {a} {b}", contract.symbol);
        }
    }
}
