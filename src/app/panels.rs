//! The panels that keys switch on and off, and what is kept of the screen between runs.

use serde::{Deserialize, Serialize};

/// Which of the panels are wanted; whether there is room for them is for the layout to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "a switch a panel, by name")]
pub struct Panels {
    /// Observed liquidations per column, below the heatmap.
    pub bars: bool,
    /// Depth of market, beside the price axis.
    pub depth: bool,
    /// The pools nearest to price and the largest.
    pub pools: bool,
    /// The newest observed liquidations.
    pub tape: bool,
    /// Open interest, funding, skew.
    pub market: bool,
    /// The watchlist; where there is no room for it a popup shows it.
    pub watchlist: bool,
}

impl Default for Panels {
    fn default() -> Self {
        Self { bars: true, depth: true, pools: true, tape: true, market: true, watchlist: true }
    }
}

/// What is kept between runs: the state file's content, in TOML.
///
/// ```toml
/// tape_usd = 10000
///
/// [panels]
/// bars = true
/// depth = false
/// pools = true
/// tape = true
/// market = true
/// watchlist = true
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// Smaller liquidations are left out of the tape, USD.
    pub tape_usd: u32,
    /// The panels that are wanted.
    pub panels: Panels,
}

/// The filters a key steps the tape through, USD.
const TAPE_STEPS: [u32; 6] = [0, 1_000, 10_000, 50_000, 100_000, 1_000_000];

impl Kept {
    /// The next filter of the tape, round and round.
    pub fn next_tape_usd(&self) -> u32 {
        TAPE_STEPS.into_iter().find(|usd| *usd > self.tape_usd).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_of_the_tape_goes_round() {
        let next = |tape_usd| Kept { tape_usd, ..Kept::default() }.next_tape_usd();
        assert_eq!([0, 1_000, 7_000, 100_000, 1_000_000].map(next), [1_000, 10_000, 10_000, 1_000_000, 0]);
    }
}
