//! Positions sorted by the price that concerns them: a list per narrow price bin, so that a second of trading only
//! looks at the bins the price moved through.

/// No slot.
const NONE: u32 = u32::MAX;
/// Width of a bin in the logarithm of the price: 2 bp.
const WIDTH: f64 = 2e-4;
/// Bins on either side of the anchor: e^±1.6 is a fifth to five times the anchor price.
const REACH: i32 = 8_000;

/// Bins of one shelf.
const BINS: u32 = 2 * REACH as u32 + 1;

/// Trigger prices of one kind, by slot. Bins are each shelf's own: a venue and a side have one.
#[derive(Debug)]
pub(crate) struct Ladder {
    anchor: f64,
    heads: Vec<u32>,
    next: Vec<u32>,
    prev: Vec<u32>,
    bins: Vec<u32>,
}

impl Ladder {
    /// For `slots` positions on so many shelves around the anchor, which is the logarithm of a price.
    pub fn new(anchor: f64, slots: usize, shelves: usize) -> Self {
        Self {
            anchor,
            heads: vec![NONE; BINS as usize * shelves],
            next: vec![NONE; slots],
            prev: vec![NONE; slots],
            bins: vec![NONE; slots],
        }
    }

    /// A shelf's bin of a price given by its logarithm; prices beyond the reach share the outermost bin.
    fn bin(&self, shelf: usize, log_price: f64) -> u32 {
        let offset = libm::floor((log_price - self.anchor) / WIDTH);
        let bin = (offset.clamp(-f64::from(REACH), f64::from(REACH)) as i32 + REACH) as u32;
        shelf as u32 * BINS + bin
    }

    /// Files a slot under a price on a shelf, in place of where it was.
    pub fn set(&mut self, slot: u32, shelf: usize, log_price: f64) {
        self.remove(slot);
        let bin = self.bin(shelf, log_price);
        let head = self.heads[bin as usize];
        let at = slot as usize;
        self.next[at] = head;
        self.prev[at] = NONE;
        self.bins[at] = bin;
        if head != NONE {
            self.prev[head as usize] = slot;
        }
        self.heads[bin as usize] = slot;
    }

    /// Takes a slot out; nothing happens if it is not filed.
    pub fn remove(&mut self, slot: u32) {
        let at = slot as usize;
        let bin = self.bins[at];
        if bin == NONE {
            return;
        }
        let (before, after) = (self.prev[at], self.next[at]);
        if before == NONE {
            self.heads[bin as usize] = after;
        } else {
            self.next[before as usize] = after;
        }
        if after != NONE {
            self.prev[after as usize] = before;
        }
        self.bins[at] = NONE;
    }

    /// Collects the slots of every bin of a shelf between two prices (logarithms, either order), bin by bin from the
    /// first price towards the second.
    pub fn collect(&self, shelf: usize, from: f64, to: f64, out: &mut Vec<u32>) {
        let (first, last) = (self.bin(shelf, from), self.bin(shelf, to));
        if first <= last {
            for bin in first..=last {
                self.collect_bin(bin, out);
            }
        } else {
            for bin in (last..=first).rev() {
                self.collect_bin(bin, out);
            }
        }
    }

    fn collect_bin(&self, bin: u32, out: &mut Vec<u32>) {
        let mut slot = self.heads[bin as usize];
        while slot != NONE {
            out.push(slot);
            slot = self.next[slot as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_found_where_they_were_filed_last() {
        let mut ladder = Ladder::new(0.0, 5, 2);
        ladder.set(0, 0, 0.0101);
        ladder.set(1, 0, 0.0101);
        ladder.set(2, 0, -0.5);
        ladder.set(1, 0, 0.0203);
        ladder.set(4, 1, 0.0101);
        let mut found = Vec::new();
        ladder.collect(0, 0.0, 0.015, &mut found);
        assert_eq!(found, [0]);
        ladder.collect(0, 0.03, -0.6, &mut found);
        assert_eq!(found, [0, 1, 0, 2], "from the first price towards the second");
        ladder.remove(0);
        ladder.remove(0);
        found.clear();
        ladder.collect(0, -1.0, 1.0, &mut found);
        assert_eq!(found, [2, 1]);
        found.clear();
        ladder.collect(1, -1.0, 1.0, &mut found);
        assert_eq!(found, [4], "each shelf has prices of its own");
    }

    #[test]
    fn far_prices_share_the_outermost_bin() {
        let mut ladder = Ladder::new(0.0, 4, 2);
        ladder.set(0, 0, f64::NEG_INFINITY);
        ladder.set(1, 0, 99.0);
        ladder.set(2, 1, f64::NEG_INFINITY);
        let mut found = Vec::new();
        ladder.collect(0, -9.0, -9.0, &mut found);
        ladder.collect(0, 9.0, 9.0, &mut found);
        assert_eq!(found, [0, 1]);
    }
}
