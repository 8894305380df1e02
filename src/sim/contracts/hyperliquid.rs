//! The perpetuals the simulated Hyperliquid lists. Prices have at most five significant figures and at most
//! 6 − szDecimals decimals, whole numbers being always allowed (exchanges.md §6.4): at the prices simulated here that is
//! one fixed power of ten a coin, coarser than the rule where the price could cross one.

use std::sync::LazyLock;

use super::{COINS, Grid, alts, tier, tiers_of};
use crate::sim::world::contract::Contract;
use crate::sim::world::margin::Tier;

/// A cap for the last tier, which has none.
const NO_CAP: f64 = 1e12;

/// exchanges.md §14: 40x, from 150M 20x; a rate is half the inverse of the leverage.
const BTC: [Tier; 2] = [tier(40.0, 150e6, 0.0125, 0.0), tier(20.0, NO_CAP, 0.025, 1_875_000.0)];
/// exchanges.md §14: 25x, from 100M 15x.
const ETH: [Tier; 2] =
    [tier(25.0, 100e6, 0.02, 0.0), tier(15.0, NO_CAP, 1.0 / 30.0, 100e6 * (1.0 / 30.0 - 0.02))];
/// exchanges.md §14: 20x, from 70M 10x.
const SOL: [Tier; 2] = [tier(20.0, 70e6, 0.025, 0.0), tier(10.0, NO_CAP, 0.05, 1_750_000.0)];
/// A small coin: 10x, made up.
const PEPE: [Tier; 1] = [tier(10.0, NO_CAP, 0.05, 0.0)];

fn contract(symbol: &'static str, coin: usize, grid: (u32, i32), tiers: &'static [Tier]) -> Contract {
    Contract {
        symbol,
        base: symbol,
        coin,
        multiplier: 1.0,
        price_decimals: grid.0,
        lot_decimals: grid.1,
        size_decimals: grid.1,
        open_interest_usd: COINS[coin].open_interest_usd * 12.0 / 45.0,
        // Funding is paid every hour (exchanges.md §6.2).
        funding_ms: 3_600_000,
        tiers,
    }
}

/// The universe of `meta`, in its order. `lot_decimals` is what `meta` calls szDecimals.
pub static CONTRACTS: LazyLock<Vec<Contract>> = LazyLock::new(|| {
    let mut contracts = vec![
        contract("BTC", 0, (0, 5), &BTC),
        contract("ETH", 1, (1, 4), &ETH),
        contract("SOL", 2, (2, 2), &SOL),
        Contract { multiplier: 1_000.0, ..contract("kPEPE", 3, (6, 0), &PEPE) },
    ];
    contracts.extend(alts().map(|(n, coin)| {
        let (grid, tiers) = (Grid::of(coin), tiers_of(coin, &SOL, &PEPE));
        contract(coin.name, n, (grid.price, grid.lot), tiers)
    }));
    contracts
});
