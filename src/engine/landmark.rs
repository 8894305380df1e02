//! Places in time that are worth a look: where the screen marks a very large liquidation, or that price took a pool.

use std::collections::HashMap;

use crate::estimate::Packed;
use crate::market::Venue;

use super::market::GRACE;
use super::snapshot::History;

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Liquidations that were **observed**: in a cell of the screen together at least so much.
    Liquidation,
    /// Levels that price consumed (**estimated**): in a column of the screen, of rows at the threshold or above, together at least so much.
    Sweep,
}

/// What is looked for, in the cells of a screen, so that what is found is what the screen marks.
#[derive(Debug, Clone, PartialEq)]
pub struct Landmark {
    /// What.
    pub kind: Kind,
    /// Time across a column of the screen, ms.
    pub dt: i64,
    /// Lower edge of a row of pixels, bins; rows lie side by side from here in both directions.
    pub low: f64,
    /// Height of a row of pixels, bins. A cell is two of them, the lower one even.
    pub step: f64,
    /// USD from which on it counts.
    pub least: f64,
    /// USD of a row from which on it is drawn.
    pub threshold: f64,
    /// The venues that do not count.
    pub hidden: Vec<Venue>,
    /// The sides that count, longs first.
    pub sides: [bool; 2],
}

/// What happened in a stretch of time on one venue.
#[derive(Debug)]
pub struct Happened {
    /// Start, UTC ms.
    pub start: i64,
    /// End, UTC ms.
    pub end: i64,
    /// USD by bin, longs first.
    pub by_bin: [Vec<(i32, f64)>; 2],
}

/// USD by bin.
fn spread(packed: &Packed) -> Vec<(i32, f64)> {
    let each = |(bin, len, usd): (i32, i32, f64)| (bin..bin + len).map(move |bin| (bin, usd));
    packed.spans().filter(|s| s.2 > 0.0).flat_map(each).collect()
}

impl Landmark {
    /// What a stretch told: what was printed and what was swept in it, by side.
    pub fn happened(&self, (start, end): (i64, i64), printed: &[Packed; 2], swept: &[Packed; 2]) -> Happened {
        let [long, short] = match self.kind {
            Kind::Liquidation => printed,
            Kind::Sweep => swept,
        };
        Happened { start, end, by_bin: [spread(long), spread(short)] }
    }

    /// What the closed columns of a venue tell, from a time on (UTC ms).
    pub fn told(&self, history: &History, from: i64) -> Vec<Happened> {
        let columns = history.since(from).filter(|c| c.start >= from);
        columns.map(|c| self.happened((c.start, c.end()), &c.printed, &c.swept)).collect()
    }

    /// The times at which one is there, rising, UTC ms: what made it so is known from then on.
    pub fn times(&self, mut happened: Vec<Happened>) -> Vec<i64> {
        happened.sort_by_key(|h| (h.end, h.start));
        let mut cells = HashMap::<(i64, i64, usize), f64>::new();
        // Of sweeps what counts of a column: rows that are drawn, with all that is in them.
        let mut columns = HashMap::<(i64, usize), f64>::new();
        let mut times = Vec::new();
        for Happened { start, end, by_bin } in happened {
            let column = start.div_euclid(self.dt);
            for (side, bins) in by_bin.into_iter().enumerate().filter(|(side, _)| self.sides[*side]) {
                for (bin, usd) in bins {
                    let row = ((f64::from(bin) + 0.5 - self.low) / self.step).floor() as i64;
                    let (before, after) = match self.kind {
                        Kind::Liquidation => {
                            let sum = cells.entry((column, row.div_euclid(2), side)).or_default();
                            *sum += usd;
                            (*sum - usd, *sum)
                        }
                        Kind::Sweep => {
                            let row = cells.entry((column, row, side)).or_default();
                            let drawn = |usd: f64| if usd >= self.threshold { usd } else { 0.0 };
                            let more = drawn(*row + usd) - drawn(*row);
                            *row += usd;
                            let sum = columns.entry((column, side)).or_default();
                            *sum += more;
                            (*sum - more, *sum)
                        }
                    };
                    if before < self.least && after >= self.least {
                        times.push(end + GRACE);
                    }
                }
            }
        }
        times.sort_unstable();
        times.dedup();
        times
    }

    /// Whether a venue counts.
    pub fn counts(&self, venue: Venue) -> bool {
        !self.hidden.contains(&venue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;
    const NEVER: [i64; 0] = [];

    fn landmark(kind: Kind) -> Landmark {
        // Columns of five minutes; rows of two bins from bin 100 on, cells of four.
        let (dt, low, step) = (5 * MINUTE, 100.0, 2.0);
        Landmark { kind, dt, low, step, least: 10.0, threshold: 3.0, hidden: Vec::new(), sides: [true, true] }
    }

    /// Longs in a minute.
    fn longs(minute: i64, by_bin: &[(i32, f64)]) -> Happened {
        let (start, end) = (minute * MINUTE, (minute + 1) * MINUTE);
        Happened { start, end, by_bin: [by_bin.to_vec(), Vec::new()] }
    }

    /// Minutes at whose ends something is found.
    fn found(landmark: &Landmark, happened: Vec<Happened>) -> Vec<i64> {
        landmark.times(happened).into_iter().map(|at| (at - GRACE) / MINUTE).collect()
    }

    #[test]
    fn liquidations_of_a_cell_add_up_in_a_column_of_the_screen_and_not_beyond() {
        let all = landmark(Kind::Liquidation);
        // Bins 100 to 103 are a cell: 6 and 4 make it, in the second minute.
        assert_eq!(found(&all, vec![longs(1, &[(103, 4.0)]), longs(0, &[(100, 6.0)])]), [2]);
        assert_eq!(found(&all, vec![longs(0, &[(103, 6.0), (104, 6.0)])]), NEVER, "two cells");
        assert_eq!(found(&all, vec![longs(4, &[(100, 6.0)]), longs(5, &[(100, 6.0)])]), NEVER, "two columns");
        assert_eq!(found(&all, vec![longs(0, &[(100, 10.0)]), longs(1, &[(100, 50.0)])]), [1], "told once");
        let shorts = Landmark { sides: [false, true], ..all };
        assert_eq!(found(&shorts, vec![longs(0, &[(100, 10.0)])]), NEVER);
    }

    #[test]
    fn of_a_sweep_only_rows_that_are_drawn_count_and_then_all_of_them() {
        let all = landmark(Kind::Sweep);
        // Rows of two bins: four of 2.5 are below the threshold.
        let faint = [(100, 2.5), (102, 2.5), (104, 2.5), (106, 2.5)];
        assert_eq!(found(&all, vec![longs(0, &faint)]), NEVER);
        // The other halves raise each row to 5: together 20, and at the second of them 10.
        let rest = [(101, 2.5), (103, 2.5), (105, 2.5), (107, 2.5)];
        assert_eq!(found(&all, vec![longs(0, &faint), longs(2, &rest)]), [3]);
    }
}
