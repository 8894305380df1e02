//! Who trades what where: venues, assets, sides, instruments and their margin tiers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::num::{Price, Qty};

/// The position side: who is long profits when price rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Liquidated when price falls; levels below the mark.
    Long,
    /// Liquidated when price rises; levels above the mark.
    Short,
}

impl Side {
    /// Both sides, in the order used for arrays of two.
    pub const BOTH: [Self; 2] = [Self::Long, Self::Short];

    /// 0 for long, 1 for short.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// The side of the aggressor, who took liquidity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TakerSide {
    /// The taker bought.
    Buy,
    /// The taker sold.
    Sell,
}

/// Why a name is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad {what} name {name:?}: {rule}")]
pub struct NameError {
    what: &'static str,
    name: String,
    rule: &'static str,
}

impl NameError {
    fn new(what: &'static str, name: &str, rule: &'static str) -> Self {
        Self { what, name: name.chars().take(40).filter(|c| !c.is_control()).collect(), rule }
    }
}

/// A name within `N` bytes. What follows it is zero, so that two are compared as a whole, which is asked of every event.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Name<const N: usize> {
    bytes: [u8; N],
    len: u8,
}

impl<const N: usize> Name<N> {
    /// `None` where it is too long.
    fn new(name: &str) -> Option<Self> {
        let mut bytes = [0; N];
        bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        Some(Self { bytes, len: u8::try_from(name.len()).ok()? })
    }

    fn as_str(&self) -> &str {
        let name = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        std::str::from_utf8(name).unwrap_or_default()
    }
}

impl<const N: usize> Default for Name<N> {
    fn default() -> Self {
        Self { bytes: [0; N], len: 0 }
    }
}

impl<const N: usize> fmt::Debug for Name<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// An exchange by its lower-case name: `binance`, `bybit`. Any such name is accepted; those we know have adapters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Venue(Name<16>);

impl Venue {
    /// The name that stands for data which is already a sum over venues.
    pub const AGGREGATE: &'static str = "aggregate";

    /// The name.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether events under this name are sums over venues.
    pub fn is_aggregate(&self) -> bool {
        self.as_str() == Self::AGGREGATE
    }
}

impl FromStr for Venue {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        if name.is_empty() || !name.bytes().all(plain) {
            return Err(NameError::new("venue", name, "use lower-case letters, digits, - and _"));
        }
        Name::new(name).map(Self).ok_or_else(|| NameError::new("venue", name, "at most 16 characters"))
    }
}

/// What a user picks, in upper case: `BTC`, `PEPE`. Prices and quantities are always per one coin of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Asset(Name<32>);

impl Asset {
    /// The name.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Default for Asset {
    /// Bitcoin: what is shown where nothing else is asked for.
    fn default() -> Self {
        Self(Name::new("BTC").unwrap_or_default())
    }
}

impl FromStr for Asset {
    type Err = NameError;

    /// Lower-case input is raised; names may be in any script (some exchanges list Chinese ones).
    fn from_str(name: &str) -> Result<Self, NameError> {
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || "-_.:@".contains(c)) {
            return Err(NameError::new("asset", name, "use letters and digits, such as BTC"));
        }
        let raised = name.to_uppercase();
        Name::new(&raised).map(Self).ok_or_else(|| NameError::new("asset", name, "at most 32 bytes"))
    }
}

macro_rules! named {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
named!(Venue);
named!(Asset);

/// One row of a venue's margin table, in the venue's own order (small positions first).
///
/// On the wire of our own events: `["300000","0.004","0","100"]` = cap, rate, deduction, leverage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(Qty, Qty, Qty, Qty)", into = "(Qty, Qty, Qty, Qty)")]
pub struct MarginTier {
    /// Largest position of the tier, USD notional.
    pub notional_cap: Qty,
    /// Maintenance margin rate, as a share of notional (0.004 = 0.4 %).
    pub maintenance_rate: Qty,
    /// Maintenance amount ("cum", deduction) subtracted from rate × notional, USD.
    pub deduction: Qty,
    /// Highest leverage allowed in the tier.
    pub max_leverage: Qty,
}

impl MarginTier {
    /// The cap of a tier that holds for positions of any size, or of an unknown one: a million million USD.
    pub const NO_CAP: Qty = Qty::from_raw(10_i128.pow(12 + Qty::DIGITS));
}

impl From<(Qty, Qty, Qty, Qty)> for MarginTier {
    fn from((notional_cap, maintenance_rate, deduction, max_leverage): (Qty, Qty, Qty, Qty)) -> Self {
        Self { notional_cap, maintenance_rate, deduction, max_leverage }
    }
}

impl From<MarginTier> for (Qty, Qty, Qty, Qty) {
    fn from(t: MarginTier) -> Self {
        (t.notional_cap, t.maintenance_rate, t.deduction, t.max_leverage)
    }
}

/// One venue's perpetual for an asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instrument {
    /// The venue's own symbol, such as `1000PEPEUSDT`.
    pub symbol: Box<str>,
    /// Smallest price step, USD per one coin (already divided by the multiplier).
    pub tick: Price,
    /// Smallest quantity step, in the venue's own unit.
    #[serde(default)]
    pub lot: Qty,
    /// Coins (or multiples) per contract; 1 where sizes are in coins.
    #[serde(default = "one")]
    pub contract: Qty,
    /// Coins per quoted unit: 1000 for `1000PEPEUSDT`, 1 for `BTCUSDT`.
    #[serde(default = "one")]
    pub multiplier: Qty,
    /// Whether margin and profit are in the quote currency (linear) rather than in the coin (inverse).
    #[serde(default = "yes")]
    pub linear: bool,
    /// Margin tiers, small positions first; empty where unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<MarginTier>,
}

impl Instrument {
    /// Highest leverage any tier allows, or `None` where tiers are unknown.
    pub fn max_leverage(&self) -> Option<Qty> {
        self.tiers.iter().map(|t| t.max_leverage).max()
    }
}

fn one() -> Qty {
    Qty::from_raw(10_i128.pow(Qty::DIGITS))
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn venue_names_are_lower_case_and_short() {
        assert_eq!("binance".parse::<Venue>().unwrap().as_str(), "binance");
        assert!("Binance".parse::<Venue>().is_err());
        assert!("an-exchange-with-a-long-name".parse::<Venue>().is_err());
        assert!("x\u{1b}[2J".parse::<Venue>().is_err());
    }

    #[test]
    fn asset_names_are_raised_and_may_be_in_any_script() {
        assert_eq!("btc".parse::<Asset>().unwrap().as_str(), "BTC");
        assert_eq!("币安人生".parse::<Asset>().unwrap().as_str(), "币安人生");
        assert!("B TC".parse::<Asset>().is_err());
        assert!("".parse::<Asset>().is_err());
    }

    #[test]
    fn names_are_in_the_order_of_their_letters_and_fill_their_room() {
        let mut names = ["okx", "bybit", "b", "binance", "ab", "zz-9_", "sixteen-letters_"];
        let mut venues = names.map(|name| name.parse::<Venue>().unwrap());
        names.sort_unstable();
        venues.sort_unstable();
        assert_eq!(venues.each_ref().map(Venue::as_str), names);
        let longest = "币".repeat(10);
        assert_eq!(longest.parse::<Asset>().unwrap().to_string(), longest);
        assert!("币".repeat(11).parse::<Asset>().is_err());
        assert_eq!(format!("{:?} [{:>5}]", venues[0], venues[1]), "Venue(\"ab\") [    b]");
    }
}
