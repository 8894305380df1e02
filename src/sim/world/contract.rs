//! What is traded: a perpetual's grid, its size and its margin table.

use super::margin::Tier;

/// A perpetual contract of the simulated exchange. Ticks and lots are powers of ten.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contract {
    /// The venue's symbol.
    pub symbol: &'static str,
    /// The symbol as stream names spell it.
    pub stream: &'static str,
    /// Base asset as the venue names it.
    pub base: &'static str,
    /// Price the market is anchored to, USD per quoted unit.
    pub price: f64,
    /// Decimals of the tick: 1 is a tick of 0.1.
    pub price_decimals: u32,
    /// Decimals of the lot: 3 is a lot of 0.001.
    pub lot_decimals: u32,
    /// Open interest the population of traders is scaled to, USD, one side.
    pub open_interest_usd: f64,
    /// Median size of a retail account's position, USD; decides the margin tiers met.
    pub account_usd: f64,
    /// Volatility as a multiple of the scenario's.
    pub wildness: f64,
    /// Margin table, small positions first.
    pub tiers: &'static [Tier],
}

impl Contract {
    /// Smallest price step, USD.
    pub fn tick(&self) -> f64 {
        1.0 / 10_u64.pow(self.price_decimals) as f64
    }

    /// Smallest quantity, base units.
    pub fn lot(&self) -> f64 {
        1.0 / 10_u64.pow(self.lot_decimals) as f64
    }

    /// A price in ticks as USD.
    pub fn price_of(&self, ticks: i64) -> f64 {
        ticks as f64 / 10_u64.pow(self.price_decimals) as f64
    }

    /// A quantity in lots as base units.
    pub fn qty_of(&self, lots: i64) -> f64 {
        lots as f64 / 10_u64.pow(self.lot_decimals) as f64
    }
}
