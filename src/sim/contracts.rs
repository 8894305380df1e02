//! Everything that is traded: the coins, and each venue's contracts on them.

pub mod binance;
pub mod bybit;
pub mod hyperliquid;
pub mod okx;

use super::venue::VenueId;
use super::world::contract::{Coin, Contract};
use super::world::margin::Tier;

/// Eight hours: the usual funding period, ms.
pub(crate) const EIGHT_HOURS_MS: i64 = 8 * 3_600_000;

/// Every coin, in the order venues list them. The last one is on Binance alone.
pub static COINS: [Coin; 5] = [
    Coin { name: "BTC", price: 100_000.0, account_usd: 2_500.0, wildness: 1.0 },
    Coin { name: "ETH", price: 3_500.0, account_usd: 2_000.0, wildness: 1.3 },
    Coin { name: "SOL", price: 180.0, account_usd: 1_200.0, wildness: 1.4 },
    Coin { name: "PEPE", price: 0.000_012_5, account_usd: 600.0, wildness: 1.5 },
    Coin { name: "币安人生", price: 0.12, account_usd: 400.0, wildness: 1.8 },
];

/// A venue's contracts.
pub fn of(venue: VenueId) -> &'static [Contract] {
    match venue {
        VenueId::Binance => &binance::CONTRACTS,
        VenueId::Bybit => &bybit::CONTRACTS,
        VenueId::Okx => &okx::CONTRACTS,
        VenueId::Hyperliquid => &hyperliquid::CONTRACTS,
    }
}

/// A venue's contract on a coin, with its index among the venue's contracts.
pub fn on(venue: VenueId, coin: usize) -> Option<(usize, &'static Contract)> {
    of(venue).iter().enumerate().find(|(_, contract)| contract.coin == coin)
}

/// max leverage | notional cap | rate | deduction, as in exchanges.md §14.
const fn tier(max_leverage: f64, cap: f64, rate: f64, deduction: f64) -> Tier {
    Tier { max_leverage, cap, rate, deduction }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_coin_is_listed_somewhere_and_only_the_last_is_not_everywhere() {
        for (coin, Coin { name, .. }) in COINS.iter().enumerate() {
            let listed = VenueId::ALL.iter().filter(|v| on(**v, coin).is_some()).count();
            assert_eq!(listed, if coin + 1 == COINS.len() { 1 } else { 4 }, "{name}");
        }
    }

    #[test]
    fn deductions_obey_the_recurrence_of_the_sheet_except_where_there_are_none() {
        for contract in VenueId::ALL.iter().flat_map(|v| of(*v)) {
            let none = contract.symbol.ends_with("-SWAP");
            assert!(contract.tiers.iter().all(|t| !none || t.deduction == 0.0), "{}", contract.symbol);
            for pair in contract.tiers.windows(2) {
                assert!(pair[0].cap < pair[1].cap && pair[0].rate < pair[1].rate, "{}", contract.symbol);
                assert!(pair[0].max_leverage > pair[1].max_leverage, "{}", contract.symbol);
                let expected = pair[0].deduction + pair[0].cap * (pair[1].rate - pair[0].rate);
                assert!(
                    none || (pair[1].deduction - expected).abs() < 1.0,
                    "{}: {expected}",
                    contract.symbol
                );
            }
        }
    }

    #[test]
    fn maintenance_never_eats_the_whole_initial_margin() {
        for contract in VenueId::ALL.iter().flat_map(|v| of(*v)) {
            for tier in contract.tiers {
                assert!(tier.rate < 1.0 / tier.max_leverage, "{} {}", contract.symbol, tier.max_leverage);
            }
        }
    }

    #[test]
    fn open_interest_is_shared_out_as_45_25_18_12() {
        for (coin, Coin { name, .. }) in COINS.iter().enumerate().take(COINS.len() - 1) {
            let usd = VenueId::ALL.map(|v| on(v, coin).map_or(0.0, |(_, c)| c.open_interest_usd));
            let whole: f64 = usd.iter().sum();
            for (usd, share) in usd.iter().zip([0.45, 0.25, 0.18, 0.12]) {
                assert!((usd / whole - share).abs() < 0.001, "{name} {usd}");
            }
        }
    }

    #[test]
    fn contract_sizes_are_the_documented_ones() {
        let sizes: Vec<f64> = okx::CONTRACTS.iter().map(Contract::contract_size).collect();
        assert_eq!(sizes, [0.01, 0.1, 1.0, 1e7]);
        assert_eq!(okx::CONTRACTS[0].lot(), 1e-4, "a hundredth of a contract");
        for contract in binance::CONTRACTS.iter().chain(&bybit::CONTRACTS).chain(&hyperliquid::CONTRACTS) {
            assert_eq!(contract.contract_size(), 1.0, "{}", contract.symbol);
        }
    }
}
