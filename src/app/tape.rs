//! The rows of the tape: they move down a few at a time, so that a liquidation does not rewrite the whole panel at once.

use crate::engine::{Print, Snapshot};
use crate::market::{Asset, Venue};

use super::pixels::Selection;

/// Rows that may change with one picture, from the newest down; the rest follow with the next.
const ROWS_A_PICTURE: usize = 3;

/// The tape as it is shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tape {
    /// **Observed** liquidations, the newest first.
    pub rows: Vec<Print>,
    /// What is told: the asset, the least USD, and the venues that are left out.
    filter: (Option<Asset>, u32, Vec<Venue>),
}

impl Tape {
    /// Takes in what was observed, for so many rows; says whether rows wait for the next picture. Another filter, another asset or
    /// a smaller room changes all rows at once.
    pub fn follow(&mut self, selection: &Selection, snapshot: &Snapshot, least: u32, rows: usize) -> bool {
        let told = selection.tape(snapshot).rev().filter(|p| p.usd >= f64::from(least));
        let now: Vec<Print> = told.take(rows).copied().collect();
        let filter = (Some(snapshot.asset), least, selection.hidden.clone());
        if filter != self.filter || now.len() < self.rows.len() {
            (self.rows, self.filter) = (now, filter);
            return false;
        }
        self.rows.extend(now.iter().skip(self.rows.len()));
        let behind: Vec<usize> = (0..now.len()).filter(|i| self.rows[*i] != now[*i]).collect();
        behind.iter().take(ROWS_A_PICTURE).for_each(|i| self.rows[*i] = now[*i]);
        behind.len() > ROWS_A_PICTURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Origin;
    use crate::estimate::BinTable;
    use crate::market::Side;

    fn print(ts: i64, usd: f64) -> Print {
        Print { ts, venue: "okx".parse().unwrap(), side: Side::Long, price: 1.0, usd }
    }

    fn snapshot(times: std::ops::Range<i64>) -> Snapshot {
        let bins = std::sync::Arc::new(BinTable::new(5.0));
        let mut engine = crate::engine::Engine::new("BTC".parse().unwrap(), Origin::Replay, bins, &[]);
        let tape = times.map(|ts| print(ts, 100.0 * ts as f64)).collect();
        Snapshot { tape, ..Snapshot::clone(&engine.snapshot()) }
    }

    #[test]
    fn the_newest_comes_at_once_and_the_rest_moves_down_a_few_rows_a_picture() {
        let all = Selection::default();
        let mut tape = Tape::default();
        let shown = |tape: &Tape| tape.rows.iter().map(|p| p.ts).collect::<Vec<_>>();
        assert!(!tape.follow(&all, &snapshot(0..9), 0, 6));
        assert_eq!(shown(&tape), [8, 7, 6, 5, 4, 3]);
        assert!(tape.follow(&all, &snapshot(0..10), 0, 6));
        assert_eq!(shown(&tape), [9, 8, 7, 5, 4, 3]);
        assert!(!tape.follow(&all, &snapshot(0..10), 0, 6));
        assert_eq!(shown(&tape), [9, 8, 7, 6, 5, 4]);
    }

    #[test]
    fn another_filter_changes_all_rows_at_once_and_a_tape_grows() {
        let all = Selection::default();
        let mut tape = Tape::default();
        let shown = |tape: &Tape| tape.rows.iter().map(|p| p.ts).collect::<Vec<_>>();
        tape.follow(&all, &snapshot(0..2), 0, 6);
        tape.follow(&all, &snapshot(0..3), 0, 6);
        assert_eq!(shown(&tape), [2, 1, 0]);
        assert!(!tape.follow(&all, &snapshot(0..9), 500, 6));
        assert_eq!(shown(&tape), [8, 7, 6, 5]);
        tape.follow(&Selection { hidden: vec!["okx".parse().unwrap()], ..all }, &snapshot(0..9), 500, 6);
        assert!(tape.rows.is_empty());
    }
}
