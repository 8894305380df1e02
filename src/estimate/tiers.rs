//! Leverage tiers as the screen shows them: groups of distance components, and what needs no estimate.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A group of distance components. Spikes belong to the nearest leverage; smears and background to `Low`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// Low leverage, cross margin and everything unexplained.
    Low,
    /// 3x and 5x.
    X5,
    /// 10x.
    X10,
    /// 20x and 25x.
    X25,
    /// 50x.
    X50,
    /// 75x to 150x.
    X100,
    /// Positions that are public: measured, whatever their leverage. Everything else is modelled.
    Known,
}

/// Number of tiers.
pub const TIERS: usize = 7;

impl Tier {
    /// All tiers, lowest leverage first.
    pub const ALL: [Self; TIERS] =
        [Self::Low, Self::X5, Self::X10, Self::X25, Self::X50, Self::X100, Self::Known];

    /// The tiers that are estimated.
    pub const MODELLED: [Self; TIERS - 1] =
        [Self::Low, Self::X5, Self::X10, Self::X25, Self::X50, Self::X100];

    /// Place in `ALL`.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Short name: `low`, `5x`, … `100x`, `known`.
    pub const fn label(self) -> &'static str {
        ["low", "5x", "10x", "25x", "50x", "100x", "known"][self as usize]
    }

    /// Key in JSON: `low`, `5`, … `100`, `known`.
    pub const fn key(self) -> &'static str {
        ["low", "5", "10", "25", "50", "100", "known"][self as usize]
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

/// Why a text is not a tier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown leverage tier {0:?}: use low, 5x, 10x, 25x, 50x, 100x or known")]
pub struct TierError(String);

impl FromStr for Tier {
    type Err = TierError;

    fn from_str(text: &str) -> Result<Self, TierError> {
        Self::ALL
            .into_iter()
            .find(|t| t.label() == text || t.key() == text)
            .ok_or_else(|| TierError(text.chars().take(20).filter(|c| !c.is_control()).collect()))
    }
}

/// Which tiers are counted and drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TierSet(u8);

impl TierSet {
    /// Every tier.
    pub const ALL: Self = Self((1 << TIERS) - 1);

    /// No tier.
    pub const NONE: Self = Self(0);

    /// Whether a tier is in the set.
    pub const fn contains(self, tier: Tier) -> bool {
        self.0 & (1 << tier as u8) != 0
    }

    /// The set with one tier switched.
    #[must_use]
    pub const fn toggled(self, tier: Tier) -> Self {
        Self(self.0 ^ (1 << tier as u8))
    }

    /// The tiers in the set, lowest leverage first.
    pub fn iter(self) -> impl Iterator<Item = Tier> {
        Tier::ALL.into_iter().filter(move |t| self.contains(*t))
    }
}

impl FromIterator<Tier> for TierSet {
    fn from_iter<I: IntoIterator<Item = Tier>>(tiers: I) -> Self {
        tiers.into_iter().fold(Self::NONE, |set, t| Self(set.0 | 1 << t as u8))
    }
}

impl Serialize for Tier {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

impl<'de> Deserialize<'de> for Tier {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
