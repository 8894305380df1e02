//! Which asset a Bybit symbol is, and how many coins one unit of it is (`exchanges.md` §1.6).

use crate::feed::instruments::Listing;
use crate::market::{Asset, Qty};

/// Base names that stand for a multiple of a coin, before the coin's name or after it. A table, not a rule: `1INCH` is one
/// coin. It also knows contracts that are gone, for the sake of old recordings.
const MULTIPLES: [(&str, &str, u32); 33] = [
    ("1000APU", "APU", 1_000),
    ("1000BEER", "BEER", 1_000),
    ("1000BONK", "BONK", 1_000),
    ("1000BTT", "BTT", 1_000),
    ("1000CAT", "CAT", 1_000),
    ("1000CATS", "CATS", 1_000),
    ("1000FLOKI", "FLOKI", 1_000),
    ("1000IQ50", "IQ50", 1_000),
    ("1000LUNC", "LUNC", 1_000),
    ("1000NEIROCTO", "NEIROCTO", 1_000),
    ("1000PEPE", "PEPE", 1_000),
    ("1000RATS", "RATS", 1_000),
    ("1000TAG", "TAG", 1_000),
    ("1000TOSHI", "TOSHI", 1_000),
    ("1000TURBO", "TURBO", 1_000),
    ("1000X", "X", 1_000),
    ("1000XEC", "XEC", 1_000),
    ("SHIB1000", "SHIB", 1_000),
    ("10000COQ", "COQ", 10_000),
    ("10000ELON", "ELON", 10_000),
    ("10000LADYS", "LADYS", 10_000),
    ("10000NFT", "NFT", 10_000),
    ("10000QUBIC", "QUBIC", 10_000),
    ("10000SATS", "SATS", 10_000),
    ("10000STARL", "STARL", 10_000),
    ("10000WEN", "WEN", 10_000),
    ("1000000BABYDOGE", "BABYDOGE", 1_000_000),
    ("1000000CHEEMS", "CHEEMS", 1_000_000),
    ("1000000MOG", "MOG", 1_000_000),
    ("1000000PEIPEI", "PEIPEI", 1_000_000),
    ("1000000VINU", "VINU", 1_000_000),
    ("10000000AIDOGE", "AIDOGE", 10_000_000),
    ("1MBABYDOGE", "BABYDOGE", 1_000_000),
];

/// Multiples that a symbol may spell out beside a base coin which does not.
const SPELLED: [u32; 5] = [1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// What a symbol and its `baseCoin` stand for: the asset, and the coins of one unit. `None` if the name cannot be an asset.
///
/// The multiple stands in both (`1000PEPEUSDT`, `1000PEPE`), where the table tells it; or in the symbol alone
/// (`1000PEPEUSDT`, `PEPE`), where the two together do.
pub fn asset_of(symbol: &str, base: &str) -> Option<(Asset, Qty)> {
    let name = name_of(symbol).unwrap_or(base);
    let spelled = |coins: &u32| {
        let digits = coins.to_string();
        [name.strip_prefix(digits.as_str()), name.strip_suffix(digits.as_str())].contains(&Some(base))
    };
    let (coin, coins) = match MULTIPLES.iter().find(|(multiple, ..)| *multiple == base) {
        Some(&(_, coin, coins)) => (coin, coins),
        None => (base, SPELLED.into_iter().find(spelled).unwrap_or(1)),
    };
    let coins = Qty::from_raw(i128::from(coins) * 10_i128.pow(Qty::DIGITS));
    coin.parse().ok().map(|asset| (asset, coins))
}

/// A symbol without what it is settled in: `USDT`, or `PERP` for USDC. Dated contracts (`BTC-27MAR26`) have neither.
fn name_of(symbol: &str) -> Option<&str> {
    let name = symbol.strip_suffix("USDT").or_else(|| symbol.strip_suffix("PERP"))?;
    (!name.is_empty() && name.chars().all(char::is_alphanumeric)).then_some(name)
}

/// What a symbol is when the venue's own list is not at hand.
pub fn guess(symbol: &str) -> Option<Listing> {
    let (asset, multiplier) = asset_of(symbol, name_of(symbol)?)?;
    Some(Listing { asset, instrument: None, symbol: symbol.into(), multiplier, day_usd: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiples_stand_before_or_after_the_coin() {
        for (symbol, asset, coins) in [
            ("BTCUSDT", "BTC", "1"),
            ("BTCPERP", "BTC", "1"),
            ("1000PEPEUSDT", "PEPE", "1000"),
            ("1000PEPEPERP", "PEPE", "1000"),
            ("10000SATSUSDT", "SATS", "10000"),
            ("SHIB1000USDT", "SHIB", "1000"),
            ("SHIB1000PERP", "SHIB", "1000"),
            ("1000000BABYDOGEUSDT", "BABYDOGE", "1000000"),
            ("1000XUSDT", "X", "1000"),
            ("1INCHUSDT", "1INCH", "1"),
            ("BANANAS31USDT", "BANANAS31", "1"),
        ] {
            let listing = guess(symbol).unwrap();
            assert_eq!((listing.asset.as_str(), listing.multiplier.to_string().as_str()), (asset, coins));
        }
        for odd in [
            "BTCUSDT-25SEP26",
            "BTC-27MAR26",
            "BTCUSD",
            "BTC-6JAN23-17500-C",
            "kline.1.BTCUSDT",
            "USDT",
            "PERP",
            "",
        ] {
            assert!(guess(odd).is_none(), "{odd} is no linear perpetual");
        }
    }

    #[test]
    fn a_multiple_in_the_symbol_alone_is_seen_beside_the_base_coin() {
        for (symbol, base, asset, coins) in [
            ("1000FROGUSDT", "FROG", "FROG", "1000"),
            ("FROG1000PERP", "FROG", "FROG", "1000"),
            ("1000000FROGUSDT", "FROG", "FROG", "1000000"),
            ("1000PEPEUSDT", "PEPE", "PEPE", "1000"),
            ("1000FROGUSDT", "1000FROG", "1000FROG", "1"),
            ("1INCHUSDT", "1INCH", "1INCH", "1"),
            ("AMDUSDT", "AMDSTOCK", "AMDSTOCK", "1"),
        ] {
            let (seen, multiplier) = asset_of(symbol, base).unwrap();
            assert_eq!((seen.as_str(), multiplier.to_string().as_str()), (asset, coins), "{symbol}");
        }
        assert!(asset_of("XUSDT", "\u{1b}[2J").is_none());
    }
}
