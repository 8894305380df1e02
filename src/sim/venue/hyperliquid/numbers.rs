//! Numbers as Hyperliquid writes them: decimal texts without zeros at their end, with one decimal at least.

use crate::sim::text::{self, Decimal, rounded, trimmed};
use crate::sim::world::contract::Contract;

/// `26951.0`, `0.0125`.
pub(super) fn float(number: Decimal) -> String {
    let mut text = trimmed(number);
    if !text.contains('.') {
        text.push_str(".0");
    }
    text
}

/// A price in ticks.
pub(super) fn px(contract: &Contract, ticks: i64) -> String {
    float(text::price(contract, ticks))
}

/// A price in USD, on the contract's grid.
pub(super) fn grid(contract: &Contract, usd: f64) -> String {
    float(rounded(usd, contract.price_decimals as i32))
}

/// A size in lots.
pub(super) fn sz(contract: &Contract, lots: i64) -> String {
    float(text::size(contract, lots))
}

/// An amount of money.
pub(super) fn usd(value: f64) -> String {
    float(rounded(value, 6))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::contracts::hyperliquid::CONTRACTS;

    #[test]
    fn numbers_have_one_decimal_at_least_and_no_zeros_behind() {
        assert_eq!(px(&CONTRACTS[0], 104_320), "104320.0");
        assert_eq!(px(&CONTRACTS[3], 12_500), "0.0125");
        assert_eq!(grid(&CONTRACTS[1], 2_296.449_9), "2296.4");
        assert_eq!(sz(&CONTRACTS[0], 1_500), "0.015");
        assert_eq!(sz(&CONTRACTS[3], 440), "440.0");
        assert_eq!(usd(-0.25), "-0.25");
    }
}
