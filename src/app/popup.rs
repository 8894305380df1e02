//! What can lie over the heatmap: the help pages, the symbol picker, the tier and venue switches.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::seek::Prompt;
use crate::engine::snapshot::AssetInfo;
use crate::market::Asset;

/// The popup that is open.
#[derive(Debug, Clone, PartialEq)]
pub enum Popup {
    /// The help.
    Help {
        /// The page: the keys first.
        page: usize,
        /// Rows scrolled down.
        top: usize,
    },
    /// The symbol picker.
    Picker(Picker),
    /// Leverage tiers; the cursor's row.
    Tiers(usize),
    /// Venues; the cursor's row.
    Venues(usize),
    /// The watchlist; the cursor's row.
    Watchlist(usize),
    /// A time to go to in a replay.
    Seek(Prompt),
}

/// The fuzzy symbol picker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picker {
    /// What was typed.
    pub query: String,
    /// The chosen row of `matches`.
    pub cursor: usize,
    /// The assets that match, best first.
    pub matches: Vec<AssetInfo>,
}

/// No symbol is longer.
const LONGEST_QUERY: usize = 32;

impl Picker {
    /// A picker over some assets, best known first.
    pub fn new(assets: &[AssetInfo]) -> Self {
        Self { matches: assets.to_vec(), ..Self::default() }
    }

    /// Adds text to the query; whatever no symbol can hold is left out.
    pub fn push(&mut self, text: &str, assets: &[AssetInfo]) {
        let room = LONGEST_QUERY.saturating_sub(self.query.chars().count());
        self.query.extend(text.chars().filter(|c| c.is_alphanumeric() || "-_.:@".contains(*c)).take(room));
        self.filter(assets);
    }

    /// Takes the last character back.
    pub fn pop(&mut self, assets: &[AssetInfo]) {
        self.query.pop();
        self.filter(assets);
    }

    /// Moves the choice, staying on the list.
    pub fn step(&mut self, by: isize) {
        self.cursor = self.cursor.saturating_add_signed(by).min(self.matches.len().saturating_sub(1));
    }

    /// The chosen asset. A name no venue has told us of yet may be asked for as well.
    pub fn choice(&self) -> Option<Asset> {
        self.matches.get(self.cursor).map(|m| m.asset).or_else(|| self.query.parse().ok())
    }

    fn filter(&mut self, assets: &[AssetInfo]) {
        let pattern = Pattern::parse(&self.query, CaseMatching::Ignore, Normalization::Smart);
        let mut matcher = Matcher::new(Config::DEFAULT);
        let mut buffer = Vec::new();
        let score = |a: &AssetInfo| pattern.score(Utf32Str::new(a.asset.as_str(), &mut buffer), &mut matcher);
        let mut scored: Vec<(u32, &AssetInfo)> =
            assets.iter().map(score).zip(assets).filter_map(|(s, a)| Some((s?, a))).collect();
        // Stable: among equals the best known comes first.
        scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        self.matches = scored.into_iter().map(|(_, asset)| asset.clone()).collect();
        self.cursor = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_narrows_the_list_and_the_best_known_wins_ties() {
        let info = |name: &str| AssetInfo { asset: name.parse().unwrap(), venues: Vec::new(), day_usd: None };
        let assets = ["BTC", "ETH", "ETHFI", "PEPE", "WETH"].map(info);
        let mut picker = Picker::new(&assets);
        assert_eq!(picker.choice().unwrap().as_str(), "BTC");
        picker.push("e\u{1b}[th\n", &assets);
        assert_eq!(picker.query, "eth");
        assert_eq!(picker.choice().unwrap().as_str(), "ETH");
        assert_eq!(picker.matches.len(), 3);
        picker.step(9);
        assert_eq!(picker.cursor, 2);
        picker.push("zz", &assets);
        assert_eq!(picker.choice().unwrap().as_str(), "ETHZZ");
        for _ in 0..9 {
            picker.pop(&assets);
        }
        assert_eq!(picker.matches.len(), 5);
    }
}
