//! Coins placed by side and bin.

use std::collections::BTreeMap;
use std::ops::Range;

/// Below this the common scale is multiplied into the cells.
const SMALLEST_SCALE: f64 = 1e-30;

/// Base coin by side and bin, under one scale so that all of it can fade at once.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    sides: [BTreeMap<i32, f64>; 2],
    scale: f64,
}

impl Default for Placed {
    fn default() -> Self {
        Self { sides: [BTreeMap::new(), BTreeMap::new()], scale: 1.0 }
    }
}

impl Placed {
    /// Places coins; a price outside the table has no bin and no level.
    pub fn add(&mut self, side: usize, bin: Option<i32>, coins: f64) {
        if let Some(bin) = bin
            && coins > 0.0
        {
            *self.sides[side].entry(bin).or_default() += coins / self.scale;
        }
    }

    /// Takes coins back, at most what is there.
    pub fn remove(&mut self, side: usize, bin: i32, coins: f64) {
        if let Some(held) = self.sides[side].get_mut(&bin) {
            *held = (*held - coins / self.scale).max(0.0);
        }
    }

    /// Whether anything is in a bin.
    pub fn holds(&self, side: usize, bin: i32) -> bool {
        self.sides[side].contains_key(&bin)
    }

    /// Multiplies everything by a factor from 0 to 1.
    pub fn fade(&mut self, factor: f64) {
        self.scale *= factor;
        if self.scale < SMALLEST_SCALE {
            let scale = std::mem::replace(&mut self.scale, 1.0);
            self.sides.iter_mut().flat_map(BTreeMap::values_mut).for_each(|coins| *coins *= scale);
        }
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Coins of both sides.
    pub fn total(&self) -> f64 {
        self.scale * self.sides.iter().flat_map(BTreeMap::values).sum::<f64>()
    }

    /// Empties the bins from the first to the last and tells what they held. Longs above and shorts below them are gone too.
    pub fn consume(&mut self, side: usize, (first, last): (i32, i32)) -> f64 {
        let cells = &mut self.sides[side];
        let mut coins = 0.0;
        loop {
            // The side's cell nearest to the path.
            let nearest = if side == 0 { cells.last_entry() } else { cells.first_entry() };
            let Some(cell) = nearest.filter(|c| if side == 0 { *c.key() >= first } else { *c.key() <= last })
            else {
                break;
            };
            let inside = (first..=last).contains(cell.key());
            let held = cell.remove();
            if inside {
                coins += held;
            }
        }
        coins * self.scale
    }

    /// The cells within a range, as the first bin and a value for each bin from there on.
    pub fn read(&self, side: usize, range: Range<i32>, value: impl Fn(i32, f64) -> f64) -> (i32, Vec<f64>) {
        let cells = self.sides[side].range(range);
        let (Some((&first, _)), Some((&last, _))) = (cells.clone().next(), cells.clone().next_back()) else {
            return (0, Vec::new());
        };
        let mut values = vec![0.0; (last - first + 1) as usize];
        for (bin, coins) in cells {
            values[(bin - first) as usize] = value(*bin, coins * self.scale);
        }
        (first, values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falling_price_consumes_longs_in_its_way_and_clears_those_behind() {
        let mut placed = Placed::default();
        for bin in [5, 10, 12, 20] {
            placed.add(0, Some(bin), f64::from(bin));
        }
        placed.fade(0.5);
        assert_eq!(placed.consume(0, (10, 15)), 11.0);
        assert_eq!(placed.read(0, 0..100, |_, coins| coins), (5, vec![2.5]));
    }

    #[test]
    fn rising_price_does_so_with_shorts() {
        let mut placed = Placed::default();
        for bin in [5, 10, 12, 20] {
            placed.add(1, Some(bin), f64::from(bin));
        }
        assert_eq!(placed.consume(1, (10, 15)), 22.0);
        assert_eq!(placed.read(1, 0..100, |_, coins| coins), (20, vec![20.0]));
    }

    #[test]
    fn fading_for_ever_never_loses_the_number() {
        let mut placed = Placed::default();
        for _ in 0..2_000 {
            placed.fade(0.5);
            placed.add(0, Some(1), 1.0);
        }
        assert!((placed.total() - 2.0).abs() < 1e-12);
    }
}
