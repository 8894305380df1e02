//! Margin tiers to liquidation prices, exact for linear contracts in isolated margin.
//!
//! Equity `M ± S·(P − E)` equals maintenance margin `S·P·m − D` at `P = LP` (venue help pages; docs/MODEL.md has the derivation):
//!
//! ```text
//! long :  LP = (E − (M + D)/S) / (1 − m)        short:  LP = (E + (M + D)/S) / (1 + m)
//! ```
//!
//! `E` entry (USD per coin), `S` size (coins), `M` margin (USD), `m` maintenance rate and `D` deduction of the tier.

use serde::{Deserialize, Serialize};

use crate::market::{MarginTier, Side};

/// Maintenance rate assumed where a venue's tiers are unknown.
pub const UNKNOWN_RATE: f64 = 0.0045;

/// A margin tier in floats, for the arithmetic here.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tier {
    /// Largest notional, USD.
    pub cap: f64,
    /// Maintenance rate, share of notional.
    pub rate: f64,
    /// Deduction, USD.
    pub deduction: f64,
    /// Highest leverage.
    pub max_leverage: f64,
}

impl From<&MarginTier> for Tier {
    fn from(t: &MarginTier) -> Self {
        Self {
            cap: t.notional_cap.to_f64(),
            rate: t.maintenance_rate.to_f64(),
            deduction: t.deduction.to_f64(),
            max_leverage: t.max_leverage.to_f64(),
        }
    }
}

/// Liquidation price (USD per coin) of a position of `qty` coins entered at `entry` with `leverage`, nothing added.
///
/// The tier is the one that holds the notional at the liquidation price; the schedule is continuous, so one
/// re-evaluation settles it. Notionals above the last cap stay in the last tier. Without tiers [`UNKNOWN_RATE`] holds.
/// A long whose margin covers the whole price has no liquidation price: the result is then zero.
pub fn liquidation_price(side: Side, entry: f64, qty: f64, leverage: f64, tiers: &[Tier]) -> f64 {
    let fallback =
        Tier { cap: f64::INFINITY, rate: UNKNOWN_RATE, deduction: 0.0, max_leverage: f64::INFINITY };
    let tier_of =
        |notional: f64| tiers.iter().find(|t| notional <= t.cap).or(tiers.last()).unwrap_or(&fallback);
    let price = |tier: &Tier| {
        let cushion = entry / leverage + tier.deduction / qty;
        match side {
            Side::Long => ((entry - cushion) / (1.0 - tier.rate)).max(0.0),
            Side::Short => (entry + cushion) / (1.0 + tier.rate),
        }
    };
    let first = tier_of(entry * qty);
    let estimate = price(first);
    price(tier_of(estimate * qty))
}

/// Maintenance rate at a leverage: that of the lowest tier whose maximum leverage is at least it; the lowest rate of all
/// where no tier allows so much, [`UNKNOWN_RATE`] without tiers.
pub fn maintenance_rate(leverage: f64, tiers: &[Tier]) -> f64 {
    tiers.iter().find(|t| t.max_leverage >= leverage).or(tiers.first()).map_or(UNKNOWN_RATE, |t| t.rate)
}

/// Distance from entry to liquidation as a share of entry, for a small isolated position.
pub fn distance(side: Side, leverage: f64, rate: f64) -> f64 {
    match side {
        Side::Long => 1.0 - (1.0 - 1.0 / leverage) / (1.0 - rate),
        Side::Short => (1.0 + 1.0 / leverage) / (1.0 + rate) - 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn tiers(rows: &[(f64, f64, f64, f64)]) -> Vec<Tier> {
        rows.iter()
            .map(|&(cap, rate, deduction, max_leverage)| Tier { cap, rate, deduction, max_leverage })
            .collect()
    }

    /// First rows of Binance's BTCUSDT table (2026-09).
    fn binance_btc() -> Vec<Tier> {
        tiers(&[(3e5, 0.004, 0.0, 150.0), (8e5, 0.005, 300.0, 100.0), (3e6, 0.0065, 1_500.0, 75.0)])
    }

    /// E = 60,000; the vectors published with the formula, to the cent.
    #[rstest]
    #[case::binance(&[(3e5, 0.004, 0.0, 150.0)], 1.0, 20.0, 57_228.92, 62_749.00)]
    #[case::bybit(&[(3e5, 0.0033, 0.0, 150.0)], 1.0, 20.0, 57_188.72, 62_792.78)]
    #[case::okx_with_taker_fee(&[(1e9, 0.0045, 0.0, 100.0)], 1.0, 20.0, 57_257.66, 62_717.77)]
    #[case::hyperliquid(&[(1.5e8, 0.0125, 0.0, 40.0)], 1.0, 20.0, 57_721.52, 62_222.22)]
    fn published_vectors_hold_to_the_cent(
        #[case] rows: &[(f64, f64, f64, f64)],
        #[case] qty: f64,
        #[case] leverage: f64,
        #[case] long: f64,
        #[case] short: f64,
    ) {
        let tiers = tiers(rows);
        let cent = |p: f64| (p * 100.0).round() / 100.0;
        assert_eq!(cent(liquidation_price(Side::Long, 60_000.0, qty, leverage, &tiers)), long);
        assert_eq!(cent(liquidation_price(Side::Short, 60_000.0, qty, leverage, &tiers)), short);
    }

    #[test]
    fn a_larger_position_falls_into_the_second_tier_with_its_deduction() {
        let at =
            |side| (liquidation_price(side, 60_000.0, 10.0, 10.0, &binance_btc()) * 100.0).round() / 100.0;
        assert_eq!(at(Side::Long), 54_241.21);
        assert_eq!(at(Side::Short), 65_701.49);
    }

    #[test]
    fn the_tier_at_the_liquidation_price_decides() {
        // 5.1 coins at 60,000 are 306,000 USD: tier 2 at entry, but 278,000 at a 10x long's liquidation: tier 1.
        let tiers = binance_btc();
        let got = liquidation_price(Side::Long, 60_000.0, 5.1, 10.0, &tiers);
        assert!((got - (60_000.0 - 6_000.0) / 0.996).abs() < 1e-9);
    }

    #[test]
    fn the_schedule_is_continuous_at_a_cap() {
        let tiers = binance_btc();
        let below = liquidation_price(Side::Short, 60_000.0, 4.749, 20.0, &tiers);
        let above = liquidation_price(Side::Short, 60_000.0, 4.785, 20.0, &tiers);
        assert!((below - above).abs() < 0.6, "{below} {above}");
    }

    #[test]
    fn without_tiers_the_stated_rate_holds() {
        assert_eq!(maintenance_rate(100.0, &[]), UNKNOWN_RATE);
        assert_eq!(maintenance_rate(90.0, &binance_btc()), 0.004, "the lowest tier allows 150x");
    }
}
