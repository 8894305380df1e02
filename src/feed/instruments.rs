//! Which symbol is which asset, and how many coins one unit of it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::market::{Asset, Instrument, Price, Qty, Venue};

/// One perpetual a venue lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// What a user picks.
    pub asset: Asset,
    /// The contract's terms; `None` where only the symbol is known.
    pub instrument: Option<Instrument>,
    /// The venue's own symbol.
    pub symbol: Box<str>,
    /// Coins per quoted unit: 1000 for `1000PEPEUSDT`.
    pub multiplier: Qty,
    /// Traded in the last 24 h, USD, if the venue's list tells it.
    pub day_usd: Option<u64>,
}

/// An asset a user may pick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetInfo {
    /// The asset.
    pub asset: Asset,
    /// The venues that list it.
    pub venues: Vec<Venue>,
    /// Traded in the last 24 h on the venues that tell it, USD.
    pub day_usd: Option<u64>,
}

impl Listing {
    /// A price per quoted unit as a price per coin, or `None` if it does not fit.
    pub fn price(&self, quoted: Price) -> Option<Price> {
        quoted.checked_div(self.multiplier)
    }

    /// Quoted units as coins, or `None` if it does not fit.
    pub fn qty(&self, quoted: Qty) -> Option<Qty> {
        quoted.checked_mul(self.multiplier)
    }
}

/// Base names that stand for a multiple of a coin (`exchanges.md` §1.6). A table, not a rule: `1INCH` is one coin.
const MULTIPLES: [(&str, &str, u32); 15] = [
    ("1000BONK", "BONK", 1_000),
    ("1000CAT", "CAT", 1_000),
    ("1000CHEEMS", "CHEEMS", 1_000),
    ("1000FLOKI", "FLOKI", 1_000),
    ("1000LUNC", "LUNC", 1_000),
    ("1000PEPE", "PEPE", 1_000),
    ("1000RATS", "RATS", 1_000),
    ("1000SATS", "SATS", 1_000),
    ("1000SHIB", "SHIB", 1_000),
    ("1000WHY", "WHY", 1_000),
    ("1000X", "X", 1_000),
    ("1000XEC", "XEC", 1_000),
    ("1000000BOB", "BOB", 1_000_000),
    ("1000000MOG", "MOG", 1_000_000),
    ("1MBABYDOGE", "BABYDOGE", 1_000_000),
];

/// The asset behind a base name and how many coins one unit is; `None` if the name cannot be an asset.
pub fn asset_of(base: &str) -> Option<(Asset, Qty)> {
    let multiple = MULTIPLES.iter().find(|(name, ..)| *name == base);
    let (name, coins) = multiple.map_or((base, 1), |&(_, coin, coins)| (coin, coins));
    let coins = Qty::from_raw(i128::from(coins) * 10_i128.pow(Qty::DIGITS));
    name.parse().ok().map(|asset| (asset, coins))
}

/// What a symbol is when the venue's own list is not at hand: everything before `USDT` or `USDC`.
pub fn guess(symbol: &str) -> Option<Listing> {
    let base = symbol.strip_suffix("USDT").or_else(|| symbol.strip_suffix("USDC"))?;
    let (asset, multiplier) = asset_of(base)?;
    Some(Listing { asset, instrument: None, symbol: symbol.into(), multiplier, day_usd: None })
}

/// What venues list, as assets in the order a picker shows them: the majors, then by volume, then by name.
pub fn picker_order<'a>(venues: impl IntoIterator<Item = (Venue, &'a [Listing])>) -> Vec<AssetInfo> {
    const MAJORS: [&str; 6] = ["BTC", "ETH", "SOL", "XRP", "DOGE", "BNB"];
    let mut assets: BTreeMap<Asset, AssetInfo> = BTreeMap::new();
    for (venue, listings) in venues {
        for listing in listings {
            let asset = listing.asset;
            let info = assets.entry(asset).or_insert(AssetInfo { asset, venues: Vec::new(), day_usd: None });
            // The first listing of an asset is the one that is followed.
            if !info.venues.contains(&venue) {
                info.venues.push(venue);
                let both = info.day_usd.into_iter().chain(listing.day_usd).reduce(u64::saturating_add);
                info.day_usd = both;
            }
        }
    }
    let mut assets: Vec<AssetInfo> = assets.into_values().collect();
    let major = |a: &AssetInfo| MAJORS.iter().position(|m| *m == a.asset.as_str()).unwrap_or(MAJORS.len());
    assets.sort_by_key(|a| (major(a), std::cmp::Reverse(a.day_usd.unwrap_or(0))));
    assets
}

/// Percent-encodes everything but unreserved characters; some symbols are not ASCII (`exchanges.md` §1.6).
pub fn percent_encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Undoes [`percent_encode`]; `None` for a broken escape or text that is not UTF-8.
pub fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiples_are_told_by_table() {
        for (symbol, asset, coins) in [
            ("BTCUSDT", "BTC", "1"),
            ("1000PEPEUSDT", "PEPE", "1000"),
            ("1000000MOGUSDT", "MOG", "1000000"),
            ("1MBABYDOGEUSDT", "BABYDOGE", "1000000"),
            ("1INCHUSDT", "1INCH", "1"),
            ("1000XUSDT", "X", "1000"),
            ("1000SHIBUSDC", "SHIB", "1000"),
            ("币安人生USDT", "币安人生", "1"),
        ] {
            let listing = guess(symbol).unwrap();
            assert_eq!((listing.asset.as_str(), listing.multiplier.to_string().as_str()), (asset, coins));
        }
        assert!(guess("BTCUSDT_260925").is_none(), "a delivery contract is no perpetual");
        assert!(guess("USDT").is_none());
    }

    #[test]
    fn a_multiple_is_quoted_per_coin() {
        let pepe = guess("1000PEPEUSDT").unwrap();
        assert_eq!(pepe.price("0.0123456".parse().unwrap()).unwrap().to_string(), "0.0000123456");
        assert_eq!(pepe.qty("7".parse().unwrap()).unwrap().to_string(), "7000");
    }

    #[test]
    fn the_picker_starts_with_the_majors_and_goes_on_by_volume() {
        let listing = |symbol: &str, day_usd| Listing { day_usd, ..guess(symbol).unwrap() };
        let one = [
            listing("AAVEUSDT", Some(5)),
            listing("ZECUSDT", Some(7)),
            listing("ETHUSDT", None),
            listing("BTCUSDT", Some(1)),
            listing("BTCUSDC", Some(90)),
            listing("1INCHUSDT", None),
        ];
        let other = [listing("AAVEUSDT", Some(3)), listing("BTCUSDT", Some(2))];
        let venues: [Venue; 2] = ["one".parse().unwrap(), "other".parse().unwrap()];
        let shown = picker_order([(venues[0], &one[..]), (venues[1], &other[..])]);
        let shown: Vec<_> = shown.iter().map(|a| (a.asset.to_string(), a.venues.len(), a.day_usd)).collect();
        let expected = [
            ("BTC", 2, Some(3)),
            ("ETH", 1, None),
            ("AAVE", 2, Some(8)),
            ("ZEC", 1, Some(7)),
            ("1INCH", 1, None),
        ];
        assert_eq!(shown, expected.map(|(a, n, d)| (a.to_owned(), n, d)));
    }

    #[test]
    fn symbols_of_any_script_go_through_a_url() {
        assert_eq!(percent_encode("龙虾usdt"), "%E9%BE%99%E8%99%BEusdt");
        assert_eq!(percent_decode("%E9%BE%99%E8%99%BEusdt").unwrap(), "龙虾usdt");
        assert!(percent_decode("%E").is_none());
        assert!(percent_decode("%zz").is_none());
        assert!(percent_decode("%FF").is_none(), "not UTF-8");
    }
}
