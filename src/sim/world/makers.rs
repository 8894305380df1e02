//! Market makers: the other side of every trader, with inventories of their own.

use super::dice::Dice;

/// Market makers in the market.
const COUNT: usize = 12;

/// Inventories in lots; long is positive. Their sum is minus the traders' net position, always.
#[derive(Debug, Clone, Default)]
pub(crate) struct Makers([i64; COUNT]);

impl Makers {
    /// Some maker buys `lots` from a trader (sells, if negative); of two that could, the one it suits better.
    pub fn take(&mut self, dice: &mut Dice, lots: i64) {
        let (a, b) = (dice.below(COUNT), dice.below(COUNT));
        let shorter = if self.0[a] < self.0[b] { a } else { b };
        let longer = if shorter == a { b } else { a };
        self.0[if lots > 0 { shorter } else { longer }] += lots;
    }

    /// Two makers trade with each other: one always likes to get flatter, the other lets itself be used in three of ten.
    pub fn churn(&mut self, dice: &mut Dice, lots: i64) {
        let (a, b) = (dice.below(COUNT), dice.below(COUNT));
        let (shorter, longer) = if self.0[a] < self.0[b] { (a, b) } else { (b, a) };
        let (buyer, seller) = if dice.chance(0.85) { (shorter, longer) } else { (longer, shorter) };
        self.0[buyer] += lots;
        self.0[seller] -= lots;
    }

    /// Every inventory, lots.
    pub fn each(&self) -> &[i64] {
        &self.0
    }

    /// What those that are long hold, lots.
    pub fn long(&self) -> i64 {
        self.0.iter().filter(|lots| **lots > 0).sum()
    }

    /// What those that are short owe, lots, as a positive number.
    pub fn short(&self) -> i64 {
        -self.0.iter().filter(|lots| **lots < 0).sum::<i64>()
    }
}
