//! The contracts the simulated Binance USD-M lists, with their margin tiers.

mod ladders;

use std::sync::LazyLock;

use super::{COINS, EIGHT_HOURS_MS, Grid, alts, tier};
use crate::sim::world::contract::Contract;
use crate::sim::world::margin::Tier;

/// exchanges.md §14, BTCUSDT.
const BTC: [Tier; 12] = [
    tier(150.0, 300e3, 0.004, 0.0),
    tier(100.0, 800e3, 0.005, 300.0),
    tier(75.0, 3e6, 0.0065, 1_500.0),
    tier(50.0, 12e6, 0.01, 12_000.0),
    tier(25.0, 70e6, 0.02, 132_000.0),
    tier(20.0, 100e6, 0.025, 482_000.0),
    tier(10.0, 230e6, 0.05, 2_982_000.0),
    tier(5.0, 480e6, 0.1, 14_482_000.0),
    tier(4.0, 600e6, 0.125, 26_482_000.0),
    tier(3.0, 800e6, 0.15, 41_482_000.0),
    tier(2.0, 1.2e9, 0.25, 121_482_000.0),
    tier(1.0, 1.8e9, 0.5, 421_482_000.0),
];

/// exchanges.md §14, ETHUSDT.
const ETH: [Tier; 12] = [
    tier(150.0, 300e3, 0.004, 0.0),
    tier(100.0, 800e3, 0.005, 300.0),
    tier(75.0, 3e6, 0.0065, 1_500.0),
    tier(50.0, 12e6, 0.01, 12_000.0),
    tier(25.0, 50e6, 0.02, 132_000.0),
    tier(20.0, 65e6, 0.025, 382_000.0),
    tier(10.0, 150e6, 0.05, 2_007_000.0),
    tier(5.0, 320e6, 0.1, 9_507_000.0),
    tier(4.0, 400e6, 0.125, 17_507_000.0),
    tier(3.0, 530e6, 0.15, 27_507_000.0),
    tier(2.0, 800e6, 0.25, 80_507_000.0),
    tier(1.0, 1.2e9, 0.5, 280_507_000.0),
];

/// exchanges.md §14, SOLUSDT.
const SOL: [Tier; 10] = [
    tier(100.0, 50e3, 0.005, 0.0),
    tier(75.0, 400e3, 0.0065, 75.0),
    tier(50.0, 1e6, 0.01, 1_475.0),
    tier(25.0, 4e6, 0.02, 11_475.0),
    tier(20.0, 8e6, 0.025, 31_475.0),
    tier(10.0, 40e6, 0.05, 231_475.0),
    tier(5.0, 80e6, 0.1, 2_231_475.0),
    tier(4.0, 100e6, 0.125, 4_231_475.0),
    tier(2.0, 200e6, 0.25, 16_731_475.0),
    tier(1.0, 400e6, 0.5, 66_731_475.0),
];

/// exchanges.md §14, 1000PEPEUSDT.
const PEPE: [Tier; 10] = [
    tier(75.0, 20e3, 0.0065, 0.0),
    tier(50.0, 200e3, 0.01, 70.0),
    tier(40.0, 300e3, 0.015, 1_070.0),
    tier(25.0, 1.5e6, 0.02, 2_570.0),
    tier(20.0, 3e6, 0.025, 10_070.0),
    tier(10.0, 15e6, 0.05, 85_070.0),
    tier(5.0, 20e6, 0.1, 835_070.0),
    tier(4.0, 25e6, 0.125, 1_335_070.0),
    tier(2.0, 30e6, 0.25, 4_460_070.0),
    tier(1.0, 35e6, 0.5, 11_960_070.0),
];

/// Binance's own table of 币安人生USDT (September 2026).
const MEME: [Tier; 6] = [
    tier(10.0, 10e3, 0.05, 0.0),
    tier(5.0, 60e3, 0.1, 500.0),
    tier(4.0, 120e3, 0.125, 2_000.0),
    tier(3.0, 300e3, 0.1667, 7_004.0),
    tier(2.0, 1e6, 0.25, 31_994.0),
    tier(1.0, 3e6, 0.5, 281_994.0),
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
        open_interest_usd: COINS[coin].open_interest_usd,
        funding_ms: EIGHT_HOURS_MS,
        tiers,
    }
}

/// Everything listed, in the order `exchangeInfo` names it. One symbol is not ASCII, as five of the real ones are not
/// (exchanges.md §1.6).
pub static CONTRACTS: LazyLock<Vec<Contract>> = LazyLock::new(|| {
    let mut contracts = vec![
        contract("BTCUSDT", "BTC", 0, (1, 3), &BTC),
        contract("ETHUSDT", "ETH", 1, (2, 3), &ETH),
        contract("SOLUSDT", "SOL", 2, (2, 0), &SOL),
        Contract { multiplier: 1_000.0, ..contract("1000PEPEUSDT", "1000PEPE", 3, (7, 0), &PEPE) },
    ];
    contracts.extend(alts().map(|(n, coin)| {
        let (grid, tiers) = (Grid::of(coin), ladders::ladder(coin.name));
        contract(format!("{}USDT", coin.name).leak(), coin.name, n, (grid.price, grid.lot), tiers)
    }));
    contracts.push(contract("币安人生USDT", "币安人生", COINS.len() - 1, (5, 0), &MEME));
    contracts
});
