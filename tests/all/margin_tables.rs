//! The simulator and the Binance adapter hold the venue's margin tiers each for itself; they must not drift apart.

use meltline::feed::venue::binance::margin;
use meltline::sim::venue::binance::contracts::CONTRACTS;

#[test]
fn simulator_and_adapter_hold_the_same_tiers() {
    for contract in &CONTRACTS {
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
        assert_eq!(ours, theirs, "{}", contract.symbol);
    }
}

#[test]
fn each_deduction_follows_from_the_tier_before() {
    // The schedule is continuous: cum(n) = cum(n−1) + cap(n−1) × (rate(n) − rate(n−1)).
    for contract in &CONTRACTS {
        for pair in contract.tiers.windows(2) {
            let expected = pair[0].deduction + pair[0].cap * (pair[1].rate - pair[0].rate);
            assert!((pair[1].deduction - expected).abs() < 0.01, "{} {:?}", contract.symbol, pair[1]);
        }
    }
}
