//! What is traded: a coin, and a venue's perpetual on it with its grid, its size and its margin table.

use super::margin::Tier;

/// A coin with one index price, whatever venues list it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coin {
    /// The asset's plain name.
    pub name: &'static str,
    /// Price the market is anchored to, USD per coin.
    pub price: f64,
    /// Median size of a retail account's position, USD; decides the margin tiers met.
    pub account_usd: f64,
    /// Volatility as a multiple of the scenario's.
    pub wildness: f64,
    /// Open interest on Binance, USD, one side; the other venues have a fixed part of it.
    pub open_interest_usd: f64,
}

/// A venue's perpetual contract. It quotes `multiplier` coins; ticks and lots are powers of ten.
///
/// Inside the simulator prices are counted in ticks and quantities in lots. A lot is `10^-lot_decimals` quoted units
/// and is written on the wire as `10^-size_decimals`: the two differ where sizes are told in contracts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contract {
    /// The venue's symbol.
    pub symbol: &'static str,
    /// Base asset as the venue names it.
    pub base: &'static str,
    /// The coin, an index into [`crate::sim::contracts::COINS`].
    pub coin: usize,
    /// Coins in one quoted unit: 1000 where a symbol is scaled.
    pub multiplier: f64,
    /// Decimals of the tick: 1 is a tick of 0.1.
    pub price_decimals: u32,
    /// Decimals of the lot in quoted units: 3 is a lot of 0.001, -2 one of 100.
    pub lot_decimals: i32,
    /// Decimals of the lot as the venue writes sizes.
    pub size_decimals: i32,
    /// Open interest the venue's traders are scaled to, USD, one side.
    pub open_interest_usd: f64,
    /// Funding period, ms.
    pub funding_ms: i64,
    /// Margin table, small positions first.
    pub tiers: &'static [Tier],
}

/// A power of ten, exact up to 10^22 (and its inverse rounded once).
pub(crate) fn ten(exponent: i32) -> f64 {
    let whole = 10_u64.pow(exponent.unsigned_abs()) as f64;
    if exponent < 0 { 1.0 / whole } else { whole }
}

impl Contract {
    /// Smallest price step, USD per quoted unit.
    pub fn tick(&self) -> f64 {
        1.0 / ten(self.price_decimals as i32)
    }

    /// Smallest quantity, quoted units.
    pub fn lot(&self) -> f64 {
        ten(-self.lot_decimals)
    }

    /// Smallest quantity, coins.
    pub fn lot_coins(&self) -> f64 {
        self.lot() * self.multiplier
    }

    /// A price in ticks as USD per quoted unit.
    pub fn price_of(&self, ticks: i64) -> f64 {
        ticks as f64 / ten(self.price_decimals as i32)
    }

    /// A quantity in lots as quoted units.
    pub fn qty_of(&self, lots: i64) -> f64 {
        lots as f64 * self.lot()
    }

    /// Quoted units in one of the units sizes are written in: the contract size where those are contracts, else 1.
    pub fn contract_size(&self) -> f64 {
        ten(self.size_decimals - self.lot_decimals)
    }

    /// The next moment after `ms` at which funding is paid, UTC ms.
    pub fn next_funding(&self, ms: i64) -> i64 {
        (ms.div_euclid(self.funding_ms) + 1) * self.funding_ms
    }
}
