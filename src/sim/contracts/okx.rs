//! The contracts the simulated OKX lists. Sizes are told in contracts of `ctVal` coins (exchanges.md §5.2: BTC 0.01 with
//! lots of a hundredth of a contract, ETH 0.1). The rate of a margin tier applies to the whole position: there is no
//! deduction (§13). Of the tiers §14 knows the first rate of BTC and ETH; the others are made up to look like them. Caps
//! are in USD here; the venue tells them in contracts.

use std::sync::LazyLock;

use super::{COINS, EIGHT_HOURS_MS, EVERYWHERE, Grid, alts, tier, tiers_of};
use crate::sim::world::contract::Contract;
use crate::sim::world::margin::Tier;

/// BTC-USDT-SWAP, made up after its first row.
const BTC: [Tier; 8] = [
    tier(100.0, 1.5e6, 0.004, 0.0),
    tier(75.0, 6e6, 0.0065, 0.0),
    tier(50.0, 15e6, 0.01, 0.0),
    tier(25.0, 40e6, 0.02, 0.0),
    tier(20.0, 70e6, 0.025, 0.0),
    tier(10.0, 200e6, 0.05, 0.0),
    tier(5.0, 500e6, 0.1, 0.0),
    tier(2.0, 1.2e9, 0.25, 0.0),
];

/// ETH-USDT-SWAP, made up after its first row.
const ETH: [Tier; 7] = [
    tier(100.0, 1e6, 0.004, 0.0),
    tier(75.0, 4e6, 0.0065, 0.0),
    tier(50.0, 10e6, 0.01, 0.0),
    tier(25.0, 30e6, 0.02, 0.0),
    tier(10.0, 120e6, 0.05, 0.0),
    tier(5.0, 300e6, 0.1, 0.0),
    tier(2.0, 700e6, 0.25, 0.0),
];

/// SOL-USDT-SWAP, made up.
const SOL: [Tier; 6] = [
    tier(75.0, 200e3, 0.0065, 0.0),
    tier(50.0, 1e6, 0.01, 0.0),
    tier(25.0, 4e6, 0.02, 0.0),
    tier(10.0, 20e6, 0.05, 0.0),
    tier(5.0, 60e6, 0.1, 0.0),
    tier(2.0, 150e6, 0.25, 0.0),
];

/// PEPE-USDT-SWAP, made up.
const PEPE: [Tier; 5] = [
    tier(50.0, 100e3, 0.01, 0.0),
    tier(25.0, 500e3, 0.02, 0.0),
    tier(10.0, 3e6, 0.05, 0.0),
    tier(5.0, 10e6, 0.1, 0.0),
    tier(2.0, 30e6, 0.25, 0.0),
];

/// `grid`: decimals of the tick, of the lot in coins and of the lot in contracts.
fn contract(
    symbol: &'static str,
    base: &'static str,
    coin: usize,
    grid: (u32, i32, i32),
    tiers: &'static [Tier],
) -> Contract {
    Contract {
        symbol,
        base,
        coin,
        multiplier: 1.0,
        price_decimals: grid.0,
        lot_decimals: grid.1,
        size_decimals: grid.2,
        open_interest_usd: COINS[coin].open_interest_usd * 18.0 / 45.0,
        funding_ms: EIGHT_HOURS_MS,
        tiers,
    }
}

/// How many contracts are listed; a number of its own, so that types can be as long without looking at the table.
pub const COUNT: usize = EVERYWHERE;

/// Everything listed. A derived contract is of ten to a hundred USD. PEPE is not scaled by its name: ten million coins are one contract (exchanges.md §1.6).
pub static CONTRACTS: LazyLock<Vec<Contract>> = LazyLock::new(|| {
    let mut contracts = vec![
        contract("BTC-USDT-SWAP", "BTC", 0, (1, 4, 2), &BTC),
        contract("ETH-USDT-SWAP", "ETH", 1, (2, 1, 0), &ETH),
        contract("SOL-USDT-SWAP", "SOL", 2, (2, 0, 0), &SOL),
        contract("PEPE-USDT-SWAP", "PEPE", 3, (9, -7, 0), &PEPE),
    ];
    contracts.extend(alts().map(|(n, coin)| {
        let (grid, tiers) = (Grid::of(coin), tiers_of(coin, &SOL, &PEPE));
        contract(format!("{}-USDT-SWAP", coin.name).leak(), coin.name, n, (grid.price, -grid.tens, 0), tiers)
    }));
    contracts
});
