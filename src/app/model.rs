//! Which way levels are drawn. Models choose what the heatmap shows; totals, the map panel and `levels` always count
//! every component.

use serde::{Deserialize, Serialize};

use crate::estimate::{Preset, Tier, TierSet};
use crate::market::Side;

/// The display models (docs/MODEL.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Model {
    /// Spikes of leverages and what is measured, at native bins.
    Precise = 1,
    /// Everything, smoothed in price by what is not known of it.
    Zones = 2,
    /// Everything at native bins, with observed liquidations and self-feeding rows marked.
    #[default]
    Comprehensive = 3,
}

impl Model {
    /// All models, in the order in which a key steps through them.
    pub const ALL: [Self; 3] = [Self::Precise, Self::Zones, Self::Comprehensive];

    /// Its number, 1 to 3.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        ["precise", "zones", "comprehensive"][self as usize - 1]
    }

    /// The next model, round and round.
    #[must_use]
    pub const fn next(self) -> Self {
        Self::ALL[self as usize % Self::ALL.len()]
    }

    /// The tiers it draws of those that are switched on: what is smeared over all distances is no precise place.
    #[must_use]
    pub const fn tiers(self, on: TierSet) -> TierSet {
        match self {
            Self::Precise if on.contains(Tier::Low) => on.toggled(Tier::Low),
            _ => on,
        }
    }
}

/// The sides that are counted and drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sides {
    /// Longs and shorts.
    #[default]
    Both,
    /// Long positions: what would be sold, below price.
    Longs,
    /// Short positions: what would be bought, above price.
    Shorts,
}

impl Sides {
    /// The next choice, round and round.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Both => Self::Longs,
            Self::Longs => Self::Shorts,
            Self::Shorts => Self::Both,
        }
    }

    /// Whether a side is among them.
    pub fn has(self, side: Side) -> bool {
        match self {
            Self::Both => true,
            Self::Longs => side == Side::Long,
            Self::Shorts => side == Side::Short,
        }
    }
}

/// What the heatmap and the map panel show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    /// Our levels.
    #[default]
    Ours,
    /// Another map's levels instead of ours.
    Preset(Preset),
    /// What was built and what was removed: ours, less ours so many ms earlier.
    Change(i64),
    /// Ours, less another map's.
    Against(Preset),
}

impl View {
    /// Whether it shows a difference, so that amounts have signs.
    pub const fn is_difference(self) -> bool {
        matches!(self, Self::Change(_) | Self::Against(_))
    }

    /// What is above and what is below zero of a difference, in a word each.
    pub const fn signs(self) -> [&'static str; 2] {
        match self {
            Self::Against(_) => ["ours", "preset"],
            _ => ["built", "removed"],
        }
    }
}

/// The preset after one, round and round; none is before the first.
pub fn next_preset(now: Option<Preset>) -> Option<Preset> {
    let at = now.and_then(|now| Preset::ALL.iter().position(|p| *p == now));
    Preset::ALL.get(at.map_or(0, |at| at + 1)).copied()
}

/// Why a number is no model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown model: use 1 (precise), 2 (zones) or 3 (comprehensive)")]
pub struct ModelError;

impl TryFrom<u8> for Model {
    type Error = ModelError;

    fn try_from(number: u8) -> Result<Self, ModelError> {
        Self::ALL.into_iter().find(|m| m.number() == number).ok_or(ModelError)
    }
}

impl From<Model> for u8 {
    fn from(model: Model) -> Self {
        model.number()
    }
}

impl std::str::FromStr for Model {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self, ModelError> {
        text.parse::<u8>().map_err(|_| ModelError)?.try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_numbers_and_go_round() {
        assert_eq!(Model::ALL.map(Model::number), [1, 2, 3]);
        assert_eq!("2".parse(), Ok(Model::Zones));
        assert_eq!(["0", "4", "zones"].map(|t| t.parse::<Model>().is_ok()), [false; 3]);
        assert_eq!(Model::Comprehensive.next(), Model::Precise);
        assert_eq!(Model::Precise.next().next().name(), "comprehensive");
    }

    #[test]
    fn only_the_precise_model_leaves_the_smears_out() {
        assert!(!Model::Precise.tiers(TierSet::ALL).contains(Tier::Low));
        assert!(Model::Precise.tiers(TierSet::ALL).contains(Tier::Known));
        let without = TierSet::ALL.toggled(Tier::Low);
        assert_eq!(Model::Precise.tiers(without), without);
        assert_eq!(Model::Zones.tiers(TierSet::ALL), TierSet::ALL);
    }
}
