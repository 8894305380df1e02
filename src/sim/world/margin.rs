//! When a position is liquidated: the venue's maintenance tiers and the price at which equity meets them.

use crate::market::Side;

/// One row of a maintenance table, small positions first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tier {
    /// Highest leverage allowed.
    pub max_leverage: f64,
    /// Largest position of the tier, USD.
    pub cap: f64,
    /// Maintenance margin as a share of notional.
    pub rate: f64,
    /// Maintenance amount subtracted from rate × notional ("cum"), USD.
    pub deduction: f64,
}

/// The tier that holds a notional (USD); the last one for anything larger.
pub fn tier_of(tiers: &[Tier], notional: f64) -> Option<&Tier> {
    tiers.iter().find(|t| notional <= t.cap).or(tiers.last())
}

/// Liquidation price of an isolated linear position (exchanges.md §13).
///
/// `entry` in USD per coin, `size` in coins, `margin` in USD. The tier is the one that holds the notional at the
/// liquidation price, so the price is worked out with the entry's tier and once more if it falls into another;
/// the deduction makes that enough. Never below zero.
pub fn liquidation_price(tiers: &[Tier], side: Side, entry: f64, size: f64, margin: f64) -> f64 {
    let with = |tier: &Tier| match side {
        Side::Long => (entry - (margin + tier.deduction) / size) / (1.0 - tier.rate),
        Side::Short => (entry + (margin + tier.deduction) / size) / (1.0 + tier.rate),
    };
    let Some(first) = tier_of(tiers, entry * size) else { return 0.0 };
    let price = with(first);
    match tier_of(tiers, price.max(0.0) * size) {
        Some(second) if second != first => with(second),
        _ => price,
    }
    .max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::contracts::binance::CONTRACTS;

    fn tier(max_leverage: f64, cap: f64, rate: f64, deduction: f64) -> Tier {
        Tier { max_leverage, cap, rate, deduction }
    }

    fn close(price: f64, expected: f64) -> bool {
        (price - expected).abs() < 0.005
    }

    /// The vectors of exchanges.md §13: E 60,000, L 20.
    #[test]
    fn liquidation_prices_match_the_published_vectors() {
        for (rate, long, short) in [
            (0.004, 57_228.92, 62_749.00),
            (0.0033, 57_188.72, 62_792.78),
            (0.0045, 57_257.66, 62_717.77),
            (0.0125, 57_721.52, 62_222.22),
        ] {
            let table = [tier(150.0, 1e9, rate, 0.0)];
            assert!(close(liquidation_price(&table, Side::Long, 60_000.0, 1.0, 3_000.0), long), "{rate}");
            assert!(close(liquidation_price(&table, Side::Short, 60_000.0, 1.0, 3_000.0), short), "{rate}");
        }
    }

    /// Binance S = 10, L = 10 sits in tier 2 of §14 (m .005, D 300).
    #[test]
    fn a_larger_position_uses_its_tier_and_deduction() {
        let btc = CONTRACTS[0].tiers;
        assert!(close(liquidation_price(btc, Side::Long, 60_000.0, 10.0, 60_000.0), 54_241.21));
        assert!(close(liquidation_price(btc, Side::Short, 60_000.0, 10.0, 60_000.0), 65_701.49));
    }

    #[test]
    fn equity_at_the_liquidation_price_equals_maintenance_in_the_tier_reached() {
        let btc = CONTRACTS[0].tiers;
        for (side, sign) in [(Side::Long, 1.0), (Side::Short, -1.0)] {
            for size in [0.1, 2.9, 3.1, 7.9, 8.2, 29.0, 31.0, 300.0] {
                let (entry, margin) = (100_000.0, 100_000.0 * size / 12.0);
                let price = liquidation_price(btc, side, entry, size, margin);
                let reached = tier_of(btc, price * size).unwrap();
                let equity = margin + sign * size * (price - entry);
                let needed = price * size * reached.rate - reached.deduction;
                assert!((equity - needed).abs() < 1e-6 * entry * size, "{side:?} {size}: {equity} {needed}");
            }
        }
    }
}
