//! The contracts the simulated Bybit lists. Of its margin tiers exchanges.md §14 knows the first three of BTCUSDT; the
//! others are made up to look like them.

use std::sync::LazyLock;

use super::{COINS, EIGHT_HOURS_MS, EVERYWHERE, Grid, alts, tier, tiers_of};
use crate::sim::world::contract::Contract;
use crate::sim::world::margin::Tier;

/// exchanges.md §14, BTCUSDT, for the first three rows.
const BTC: [Tier; 10] = [
    tier(150.0, 300e3, 0.0033, 0.0),
    tier(100.0, 2e6, 0.005, 510.0),
    tier(90.0, 2.6e6, 0.0056, 1_710.0),
    tier(75.0, 8e6, 0.0067, 4_570.0),
    tier(50.0, 20e6, 0.01, 30_970.0),
    tier(25.0, 60e6, 0.02, 230_970.0),
    tier(20.0, 90e6, 0.025, 530_970.0),
    tier(10.0, 200e6, 0.05, 2_780_970.0),
    tier(5.0, 400e6, 0.1, 12_780_970.0),
    tier(2.0, 800e6, 0.25, 72_780_970.0),
];

/// ETHUSDT, made up.
const ETH: [Tier; 8] = [
    tier(100.0, 1e6, 0.005, 0.0),
    tier(75.0, 3e6, 0.0067, 1_700.0),
    tier(50.0, 10e6, 0.01, 11_600.0),
    tier(25.0, 40e6, 0.02, 111_600.0),
    tier(20.0, 60e6, 0.025, 311_600.0),
    tier(10.0, 120e6, 0.05, 1_811_600.0),
    tier(5.0, 240e6, 0.1, 7_811_600.0),
    tier(2.0, 480e6, 0.25, 43_811_600.0),
];

/// SOLUSDT, made up.
const SOL: [Tier; 7] = [
    tier(100.0, 200e3, 0.005, 0.0),
    tier(75.0, 600e3, 0.0067, 340.0),
    tier(50.0, 1.5e6, 0.01, 2_320.0),
    tier(25.0, 5e6, 0.02, 17_320.0),
    tier(10.0, 25e6, 0.05, 167_320.0),
    tier(5.0, 60e6, 0.1, 1_417_320.0),
    tier(2.0, 150e6, 0.25, 10_417_320.0),
];

/// 1000PEPEUSDT, made up.
const PEPE: [Tier; 6] = [
    tier(75.0, 50e3, 0.0067, 0.0),
    tier(50.0, 200e3, 0.01, 165.0),
    tier(25.0, 1e6, 0.02, 2_165.0),
    tier(10.0, 5e6, 0.05, 32_165.0),
    tier(5.0, 15e6, 0.1, 282_165.0),
    tier(2.0, 30e6, 0.25, 2_532_165.0),
];

fn contract(
    symbol: &'static str,
    base: &'static str,
    coin: usize,
    grid: (u32, i32),
    tiers: &'static [Tier],
) -> Contract {
    Contract {
        symbol,
        base,
        coin,
        multiplier: 1.0,
        price_decimals: grid.0,
        lot_decimals: grid.1,
        size_decimals: grid.1,
        open_interest_usd: COINS[coin].open_interest_usd * 25.0 / 45.0,
        funding_ms: EIGHT_HOURS_MS,
        tiers,
    }
}

/// How many contracts are listed; a number of its own, so that types can be as long without looking at the table.
pub const COUNT: usize = EVERYWHERE;

/// Everything listed, in the order `instruments-info` names it.
pub static CONTRACTS: LazyLock<Vec<Contract>> = LazyLock::new(|| {
    let mut contracts = vec![
        contract("BTCUSDT", "BTC", 0, (1, 3), &BTC),
        contract("ETHUSDT", "ETH", 1, (2, 2), &ETH),
        contract("SOLUSDT", "SOL", 2, (2, 1), &SOL),
        Contract { multiplier: 1_000.0, ..contract("1000PEPEUSDT", "1000PEPE", 3, (7, -2), &PEPE) },
    ];
    contracts.extend(alts().map(|(n, coin)| {
        let (grid, tiers) = (Grid::of(coin), tiers_of(coin, &SOL, &PEPE));
        contract(format!("{}USDT", coin.name).leak(), coin.name, n, (grid.price, grid.lot), tiers)
    }));
    contracts
});
