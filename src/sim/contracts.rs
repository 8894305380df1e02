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

/// How many coins have contracts of their own told row by row: the first in [`COINS`]. The ones after them have the contracts
/// [`Grid`] derives.
const TOLD: usize = 4;
/// Open interest on Binance from which a derived contract has the margin tiers of SOL on the venues but Binance, which has its own for each;
/// below, those of PEPE.
const LARGE_USD: f64 = 5e8;

/// A coin whose contracts are derived.
const fn alt(name: &'static str, price: f64, open_interest_usd: f64) -> Coin {
    let account_usd = if open_interest_usd < LARGE_USD { 600.0 } else { 1_200.0 };
    Coin { name, price, account_usd, wildness: 1.4, open_interest_usd }
}

/// Every coin, in the order venues list them. The last one is on Binance alone. Prices and open interest are made up, but of the
/// size they had.
pub static COINS: [Coin; 25] = [
    Coin { name: "BTC", price: 100_000.0, account_usd: 2_500.0, wildness: 1.0, open_interest_usd: 6.0e9 },
    Coin { name: "ETH", price: 3_500.0, account_usd: 2_000.0, wildness: 1.3, open_interest_usd: 3.5e9 },
    Coin { name: "SOL", price: 180.0, account_usd: 1_200.0, wildness: 1.4, open_interest_usd: 1.1e9 },
    Coin { name: "PEPE", price: 0.000_012_5, account_usd: 600.0, wildness: 1.5, open_interest_usd: 2.4e8 },
    alt("XRP", 2.3, 1.4e9),
    alt("BNB", 640.0, 6.0e8),
    alt("DOGE", 0.16, 7.0e8),
    alt("HYPE", 34.0, 6.5e8),
    alt("SUI", 1.7, 3.4e8),
    alt("LINK", 13.5, 3.2e8),
    alt("ADA", 0.45, 2.6e8),
    alt("ENA", 0.26, 2.4e8),
    alt("AVAX", 14.5, 2.2e8),
    alt("LTC", 62.0, 1.9e8),
    alt("AAVE", 170.0, 1.6e8),
    alt("UNI", 6.2, 1.3e8),
    alt("DOT", 2.4, 1.3e8),
    alt("TRX", 0.28, 1.1e8),
    alt("NEAR", 2.1, 1.0e8),
    alt("ARB", 0.22, 8.0e7),
    alt("APT", 3.0, 7.0e7),
    alt("TON", 1.6, 7.0e7),
    alt("WIF", 0.4, 7.0e7),
    alt("OP", 0.35, 6.0e7),
    Coin { name: "币安人生", price: 0.12, account_usd: 400.0, wildness: 1.8, open_interest_usd: 3.0e7 },
];

/// Coins that every venue lists.
pub const EVERYWHERE: usize = COINS.len() - 1;

/// The rule for contracts that are not told row by row: prices of five significant digits and lots of one to ten USD, or
/// whole coins. Many real contracts are within a digit of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Grid {
    /// Decimals of the tick.
    price: u32,
    /// Decimals of the lot, coins.
    lot: i32,
    /// The power of ten of coins that are worth ten to a hundred USD.
    tens: i32,
}

impl Grid {
    fn of(coin: &Coin) -> Self {
        let magnitude = libm::floor(libm::log10(coin.price)) as i32;
        Self { price: (4 - magnitude).max(0) as u32, lot: magnitude.max(0), tens: 1 - magnitude }
    }
}

/// The coins whose contracts are derived, with their indices.
fn alts() -> impl Iterator<Item = (usize, &'static Coin)> {
    COINS.iter().enumerate().take(EVERYWHERE).skip(TOLD)
}

/// Which of two margin tables a derived contract has.
fn tiers_of(coin: &Coin, large: &'static [Tier], small: &'static [Tier]) -> &'static [Tier] {
    if coin.open_interest_usd < LARGE_USD { small } else { large }
}

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
        let sizes: Vec<f64> = okx::CONTRACTS[..TOLD].iter().map(Contract::contract_size).collect();
        assert_eq!(sizes, [0.01, 0.1, 1.0, 1e7]);
        assert_eq!(okx::CONTRACTS[0].lot(), 1e-4, "a hundredth of a contract");
        let coins = [&binance::CONTRACTS, &bybit::CONTRACTS, &hyperliquid::CONTRACTS];
        for contract in coins.into_iter().flat_map(|contracts| contracts.iter()) {
            assert_eq!(contract.contract_size(), 1.0, "{}", contract.symbol);
        }
    }

    #[test]
    fn derived_contracts_have_five_digits_and_lots_anyone_can_afford() {
        for (n, coin) in alts() {
            for venue in VenueId::ALL {
                let (_, contract) = on(venue, n).unwrap();
                let (ticks, lot_usd) = (coin.price / contract.tick(), coin.price * contract.lot_coins());
                let name = contract.symbol;
                assert!((1e4..1e5).contains(&ticks), "{name}: {ticks}");
                let most = if venue == VenueId::Okx { 10.0..100.0 } else { 0.1..10.0 };
                assert!(most.contains(&lot_usd), "{name}: a lot of {lot_usd} USD");
            }
            // exchanges.md §6.4: at most 6 − szDecimals decimals.
            let (_, perpetual) = on(VenueId::Hyperliquid, n).unwrap();
            assert!(perpetual.price_decimals as i32 + perpetual.size_decimals <= 6, "{}", coin.name);
        }
    }

    #[test]
    fn each_venue_names_a_derived_contract_in_its_own_way() {
        let doge = COINS.iter().position(|coin| coin.name == "DOGE").unwrap();
        let shown = VenueId::ALL.map(|venue| {
            let (_, c) = on(venue, doge).unwrap();
            (c.symbol, c.tick(), c.lot_coins(), c.contract_size())
        });
        assert_eq!(
            shown,
            [
                ("DOGEUSDT", 1e-5, 1.0, 1.0),
                ("DOGEUSDT", 1e-5, 1.0, 1.0),
                ("DOGE-USDT-SWAP", 1e-5, 100.0, 100.0),
                ("DOGE", 1e-5, 1.0, 1.0),
            ]
        );
    }
}
