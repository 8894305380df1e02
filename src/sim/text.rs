//! Numbers as exchanges write them: whole numbers of a power of ten, with all their zeros.

use std::fmt;

use super::world::contract::Contract;

/// A whole number at `10^-decimals`: `Decimal(50, 3)` is 0.050, `Decimal(7, -2)` is 700.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal(pub i128, pub i32);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value, decimals) = *self;
        let (sign, value) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
        let scale = 10_u128.pow(decimals.unsigned_abs());
        if decimals <= 0 {
            return write!(f, "{sign}{}", value * scale);
        }
        write!(f, "{sign}{}.{:0width$}", value / scale, value % scale, width = decimals as usize)
    }
}

/// A price in ticks, USD per quoted unit.
pub(crate) fn price(contract: &Contract, ticks: i64) -> Decimal {
    Decimal(i128::from(ticks), contract.price_decimals as i32)
}

/// A size in lots as the venue writes it: quoted units, or contracts where it counts those.
pub(crate) fn size(contract: &Contract, lots: i64) -> Decimal {
    Decimal(i128::from(lots), contract.size_decimals)
}

/// A quantity in lots as quoted units, wherever sizes are contracts.
pub(crate) fn base(contract: &Contract, lots: i64) -> Decimal {
    Decimal(i128::from(lots), contract.lot_decimals)
}

/// Quote volume in ticks × lots, USD.
pub(crate) fn quote(contract: &Contract, value: i128) -> Decimal {
    Decimal(value, contract.price_decimals as i32 + contract.lot_decimals)
}

/// Without the zeros at its end.
pub(crate) fn trimmed(number: Decimal) -> String {
    let text = number.to_string();
    match text.split_once('.') {
        Some(_) => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        None => text,
    }
}

/// A number with so many decimals: mark prices, rates.
pub(crate) fn rounded(value: f64, decimals: i32) -> Decimal {
    Decimal((value * super::world::contract::ten(decimals)).round() as i128, decimals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::contracts::{binance, bybit, okx};

    #[test]
    fn numbers_keep_their_zeros() {
        assert_eq!(price(&binance::CONTRACTS[3], 125_003).to_string(), "0.0125003");
        assert_eq!(Decimal(-5, 3).to_string(), "-0.005");
        assert_eq!(Decimal(7, 0).to_string(), "7");
        assert_eq!(
            ["0.0001", "-12", "100"],
            [Decimal(100, 6), Decimal(-120, 1), Decimal(100, 0)].map(trimmed)
        );
        assert_eq!(rounded(-0.000_381_67, 8).to_string(), "-0.00038167");
    }

    #[test]
    fn sizes_are_contracts_where_the_venue_counts_those() {
        assert_eq!(size(&okx::CONTRACTS[0], 1_234).to_string(), "12.34");
        assert_eq!(base(&okx::CONTRACTS[0], 1_234).to_string(), "0.1234");
        assert_eq!(size(&okx::CONTRACTS[3], 3).to_string(), "3");
        assert_eq!(base(&okx::CONTRACTS[3], 3).to_string(), "30000000");
        assert_eq!(quote(&okx::CONTRACTS[3], 12_500 * 3).to_string(), "375.00");
        assert_eq!(size(&bybit::CONTRACTS[3], 3).to_string(), "300");
    }
}
