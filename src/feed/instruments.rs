//! Which symbol is which asset, and how many coins one unit of it is.

use std::collections::BTreeSet;

use crate::market::{Asset, Instrument, Price, Qty};

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
    Some(Listing { asset, instrument: None, symbol: symbol.into(), multiplier })
}

/// Assets in the order a picker shows them: the majors, then by name.
pub fn picker_order(assets: impl IntoIterator<Item = Asset>) -> Vec<Asset> {
    const MAJORS: [&str; 6] = ["BTC", "ETH", "SOL", "XRP", "DOGE", "BNB"];
    let mut assets: Vec<Asset> = assets.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    assets.sort_by_key(|a| MAJORS.iter().position(|m| *m == a.as_str()).unwrap_or(MAJORS.len()));
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
    fn the_picker_starts_with_the_majors() {
        let names = ["ZEC", "ETH", "AAVE", "BTC", "BTC"].map(|n| n.parse().unwrap());
        let shown: Vec<String> = picker_order(names).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["BTC", "ETH", "AAVE", "ZEC"]);
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
