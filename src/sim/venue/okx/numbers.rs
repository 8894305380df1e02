//! The numbers of books: every state of a book has one, larger than the one before, until maintenance sets them back
//! (exchanges.md §5.2).

use crate::sim::world::book::STEP_MS;

/// How often maintenance comes, and when in that time, UTC ms.
const MAINTENANCE_MS: i64 = 6 * 3_600_000;
const MAINTENANCE_AT_MS: i64 = 187 * 60_000;

/// How a contract's books are numbered at present.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// The step that has number 0.
    base: i64,
    /// Orders to number anew that were carried out.
    renumbered: u32,
}

/// The numbers an update bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    /// `prevSeqId`
    pub before: i64,
    /// `seqId`
    pub now: i64,
}

impl Numbers {
    /// The number of a state of the book. They grow by seven or seventeen: whoever counts on the next one is wrong.
    pub fn of(&self, step: i64) -> i64 {
        10 * (step - self.base) + (7 * step).rem_euclid(10)
    }

    /// Numbers the state that has just come. It is set back if maintenance is due or ordered: `renumberings` counts
    /// the orders so far.
    pub fn turn(&mut self, step: i64, renumberings: u32) -> Turn {
        let before = self.of(step - 1);
        let due = (step * STEP_MS).rem_euclid(MAINTENANCE_MS) == MAINTENANCE_AT_MS;
        if due || self.renumbered != renumberings {
            self.renumbered = renumberings;
            // To the half, so that it can be done again at once.
            self.base += (step - self.base) / 2;
        }
        Turn { before, now: self.of(step) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: i64 = 17_638_000_000;

    #[test]
    fn numbers_grow_but_not_by_one_and_each_update_names_the_one_before() {
        let mut numbers = Numbers::default();
        let turns: Vec<Turn> = (1..50).map(|n| numbers.turn(STEP + n, 0)).collect();
        assert!(turns.windows(2).all(|w| w[1].before == w[0].now));
        assert!([7, 17].iter().all(|step| turns.iter().any(|t| t.now - t.before == *step)));
        assert!(turns.iter().all(|t| [7, 17].contains(&(t.now - t.before))));
    }

    #[test]
    fn maintenance_sets_numbers_back_without_breaking_the_chain() {
        let mut numbers = Numbers::default();
        let before = numbers.turn(STEP, 0);
        for n in 1..5 {
            let reset = numbers.turn(STEP + 2 * i64::from(n) - 1, n);
            assert!(reset.now < reset.before && reset.now > 0, "{reset:?}");
            let after = numbers.turn(STEP + 2 * i64::from(n), n);
            assert_eq!(after.before, reset.now);
            assert!(after.now > after.before && after.now < before.now);
        }
        let due = (MAINTENANCE_AT_MS + 1_000 * MAINTENANCE_MS) / STEP_MS;
        let mut numbers = Numbers::default();
        let reset = |step| {
            let turn = numbers.turn(step, 0);
            (turn.now < turn.before).then_some(step)
        };
        assert_eq!((due - 100..due + 100).filter_map(reset).collect::<Vec<_>>(), [due]);
    }
}
