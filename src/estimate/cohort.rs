//! Unit cohorts: for one side, how much was opened at a level as if all openers had used one component and class.
//!
//! A cell holds every slot (component × holding class) of one price bin side by side, so that a sweep scales one
//! contiguous run. Ageing is one lazy scale per class: real mass = cell × scale. Only + − × ÷ touch the state.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::components::{CLASSES, Components};

/// Holding classes.
const H: usize = CLASSES.len();
/// Mass farther than this many bins from the path leaves the grid (a factor of 54 in price at 5 bp).
const REACH: i32 = 8_000;
/// Cells are made this many bins further than asked, so that a drifting price does not move them at every step.
const SLACK: i32 = 32;
/// A scale below this is folded into the cells.
const SMALLEST_SCALE: f64 = 1e-30;
/// When nearly all of a side comes to be known, at least this share stays.
const SMALLEST_SHARE: f64 = 1e-6;
/// Largest hazard applied at one reading.
const LARGEST_HAZARD: f64 = 5.0;

/// What became of the mass of one slot, base coin of unit cohort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// Opened.
    pub inserted: f64,
    /// Still there.
    pub resting: f64,
    /// Consumed by the path.
    pub swept: f64,
    /// The part of it that was opened behind where the path had already been.
    pub crossed: f64,
    /// Closed by hand, or come to be known and counted as measured from then on.
    pub closed: f64,
    /// Carried too far from price to matter.
    pub left: f64,
}

impl Ledger {
    /// What the path consumed while it rested: mass that could have been seen to be liquidated.
    pub fn exposed(&self) -> f64 {
        self.swept - self.crossed
    }
}

/// Where the path has been since an entry was made: mass opened behind it is gone already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// Lowest bin the path has certainly reached since; longs above it are gone.
    pub low: i32,
    /// Lowest bin it reached at a time that may lie before or after the entry; longs above it are half gone.
    pub maybe_low: i32,
    /// Highest bin certainly reached since; shorts below it are gone.
    pub high: i32,
    /// Highest bin that may have been reached since; shorts below it are half gone.
    pub maybe_high: i32,
}

impl Trail {
    /// Nothing has moved since.
    pub const fn at(bin: i32) -> Self {
        Self { low: bin, maybe_low: bin, high: bin, maybe_high: bin }
    }

    /// The path moved on to `bin`.
    pub fn extend(&mut self, bin: i32) {
        self.low = self.low.min(bin);
        self.maybe_low = self.maybe_low.min(bin);
        self.high = self.high.max(bin);
        self.maybe_high = self.maybe_high.max(bin);
    }

    /// The bins of a side whose mass is whole, half gone and gone, with the share that is still open.
    fn parts(&self, side: usize) -> [(Range<i32>, f64); 3] {
        if side == 0 {
            let (half, gone) = (self.maybe_low + 1, self.low + 1);
            [(i32::MIN..half, 1.0), (half..gone, 0.5), (gone..i32::MAX, 0.0)]
        } else {
            let (gone, half) = (self.high, self.maybe_high);
            [(half..i32::MAX, 1.0), (gone..half, 0.5), (i32::MIN..gone, 0.0)]
        }
    }
}

/// Coins opened at one price.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// The bin of the entry price.
    pub bin: i32,
    /// Base coin.
    pub qty: f64,
    /// Where the path has been since.
    pub trail: Trail,
}

/// What two ranges share.
pub fn common(a: &Range<i32>, b: &Range<i32>) -> Range<i32> {
    a.start.max(b.start)..a.end.min(b.end)
}

/// What mass of a hazard is divided by when a share of open interest is closed by hand: `e^x` to the second order, by + − × ÷ alone.
pub fn closing_divisor(hazard: f64, share: f64) -> f64 {
    let x = (hazard * share).min(LARGEST_HAZARD);
    if x > 0.0 { 1.0 + x + x * x / 2.0 } else { 1.0 }
}

/// The cohorts of one side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cohorts {
    side: usize,
    slots: usize,
    /// The bin of the first cell.
    first: i32,
    /// `slots` values a bin.
    cells: Vec<f64>,
    /// By component, the bins that ever got mass of it: a smear reaches over thousands of bins, but most of them are no
    /// business of most components.
    extents: Vec<Range<i32>>,
    scale: [f64; H],
    ledger: Vec<Ledger>,
}

impl Cohorts {
    /// Empty, for a side (0 long, 1 short) and a number of components.
    pub fn new(side: usize, components: usize) -> Self {
        let slots = components * H;
        Self {
            side,
            slots,
            first: 0,
            cells: Vec::new(),
            extents: vec![0..0; components],
            scale: [1.0; H],
            ledger: vec![Ledger::default(); slots],
        }
    }

    /// Whether all parts fit each other, as they may not where the state was read from a file.
    pub fn is_sound(&self, side: usize, components: usize) -> bool {
        let slots = components * H;
        let end = i64::from(self.first) + (self.cells.len() / slots.max(1)) as i64;
        self.side == side
            && self.slots == slots
            && self.cells.len().is_multiple_of(slots)
            && (0..=i64::from(i32::MAX / 2)).contains(&(end + i64::from(REACH)))
            && self.extents.len() == components
            && self.ledger.len() == slots
    }

    /// Number of slots in a cell.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// The ledger, one entry a slot.
    pub fn ledger(&self) -> &[Ledger] {
        &self.ledger
    }

    /// The bins that have cells.
    pub fn span(&self) -> Range<i32> {
        self.first..self.first + (self.cells.len() / self.slots) as i32
    }

    /// Bytes held, for the memory budget.
    pub fn bytes(&self) -> usize {
        self.cells.capacity() * size_of::<f64>()
            + self.ledger.len() * size_of::<Ledger>()
            + self.extents.len() * size_of::<Range<i32>>()
    }

    /// The lazy scale of each class.
    pub fn scale(&self) -> [f64; H] {
        self.scale
    }

    /// One bin's unit masses before scaling, slot by slot; `None` outside the cells.
    pub fn cell(&self, bin: i32) -> Option<&[f64]> {
        let at = usize::try_from(bin.checked_sub(self.first)?).ok()? * self.slots;
        self.cells.get(at..at + self.slots)
    }

    /// The bins in which a component may have mass.
    pub fn extent(&self, component: usize) -> Range<i32> {
        self.extents.get(component).map_or(0..0, |extent| common(extent, &self.span()))
    }

    /// The unit masses of one component before scaling, bin by bin; `bins` lie within its extent.
    pub fn masses(&self, component: usize, bins: &Range<i32>) -> impl Iterator<Item = &[f64]> {
        let at = |bin: i32| usize::try_from(bin - self.first).unwrap_or(0) * self.slots;
        let cells = self.cells.get(at(bins.start)..at(bins.end)).unwrap_or(&[]);
        cells.chunks_exact(self.slots).map(move |cell| &cell[component * H..component * H + H])
    }

    /// Opens `share` of these coins, as seen from `center`, the bin the path is in now.
    pub fn open(&mut self, components: &Components, openings: &[Opening], share: f64, center: i32) {
        let bins = openings.iter().map(|o| o.bin);
        let (Some(lowest), Some(highest)) = (bins.clone().min(), bins.max()) else { return };
        let qty: f64 = share * openings.iter().map(|o| o.qty).sum::<f64>();
        let inverse = self.scale.map(|a| 1.0 / a);
        let reach = (center - REACH).max(0)..center + REACH;
        let mut added = Vec::new();
        for (k, component) in components.iter().enumerate().filter(|(_, c)| c.weight > 0.0) {
            let kernel = &component.kernels[self.side];
            let length = kernel.shares.len() as i32;
            let inside = common(&reach, &(lowest + kernel.offset..highest + kernel.offset + length));
            // All openings are gathered in one row of bins first: the cells are far larger than the cache.
            added.clear();
            added.resize(inside.len(), 0.0);
            let (mut kept, mut crossed) = (0.0, 0.0);
            for opening in openings {
                let begin = opening.bin + kernel.offset;
                let levels = common(&inside, &(begin..begin + length));
                for (open, part) in opening.trail.parts(self.side) {
                    let bins = common(&levels, &open);
                    if bins.is_empty() {
                        continue;
                    }
                    let shares = &kernel.shares[(bins.start - begin) as usize..(bins.end - begin) as usize];
                    for (slot, part_of_bin) in
                        added[(bins.start - inside.start) as usize..].iter_mut().zip(shares)
                    {
                        let mass = share * opening.qty * part_of_bin;
                        let stays = part * mass;
                        *slot += stays;
                        kept += stays;
                        crossed += mass - stays;
                    }
                }
            }
            for ledger in &mut self.ledger[k * H..k * H + H] {
                ledger.inserted += qty;
                ledger.resting += kept;
                ledger.swept += crossed;
                ledger.crossed += crossed;
                ledger.left += qty - kept - crossed;
            }
            if !inside.is_empty() {
                self.reserve(inside.start, inside.end - 1, center);
                self.add(k, inside.start, &added, inverse);
            }
        }
    }

    /// Adds masses to one component of the cells from `first` on.
    fn add(&mut self, component: usize, first: i32, masses: &[f64], inverse: [f64; H]) {
        let extent = &mut self.extents[component];
        let end = first + masses.len() as i32;
        *extent = if extent.start >= extent.end {
            first..end
        } else {
            first.min(extent.start)..end.max(extent.end)
        };
        let at = (first - self.first) as usize * self.slots;
        let cells = self.cells[at..].chunks_exact_mut(self.slots);
        for (cell, mass) in cells.zip(masses).filter(|(_, mass)| **mass > 0.0) {
            for (slot, inverse) in cell[component * H..component * H + H].iter_mut().zip(inverse) {
                *slot += mass * inverse;
            }
        }
    }

    /// Ages all mass: `share` of open interest was closed by hand.
    pub fn close(&mut self, share: f64) {
        self.divide(CLASSES.map(|(hazard, _)| closing_divisor(hazard, share)));
    }

    /// Part of the mass is known from now on: `share` stays.
    pub fn keep(&mut self, share: f64) {
        self.divide([1.0 / share.max(SMALLEST_SHARE); H]);
    }

    /// Divides all mass, by class.
    fn divide(&mut self, divisors: [f64; H]) {
        for (h, divisor) in divisors.into_iter().enumerate().filter(|(_, d)| *d > 1.0) {
            self.scale[h] /= divisor;
            for ledger in self.ledger.iter_mut().skip(h).step_by(H) {
                let rest = ledger.resting / divisor;
                ledger.closed += ledger.resting - rest;
                ledger.resting = rest;
            }
            if self.scale[h] < SMALLEST_SCALE {
                for value in self.cells.iter_mut().skip(h).step_by(H) {
                    *value *= self.scale[h];
                }
                self.scale[h] = 1.0;
            }
        }
    }

    /// The path consumes `fraction` of a bin; what it takes from each slot is added onto `trace`. Returns the coins expected to be
    /// force-closed by it under `theta`.
    pub fn sweep(&mut self, bin: i32, fraction: f64, theta: &[f64], trace: &mut [f64]) -> f64 {
        let scale = self.scale;
        let Some(at) = usize::try_from(bin - self.first).ok().map(|i| i * self.slots) else { return 0.0 };
        let Some(cell) = self.cells.get_mut(at..at + self.slots) else { return 0.0 };
        let mut forced = 0.0;
        let slots = cell.chunks_exact_mut(H).zip(theta.chunks_exact(H)).zip(trace.chunks_exact_mut(H));
        for (((cell, theta), trace), ledger) in slots.zip(self.ledger.chunks_exact_mut(H)) {
            for h in 0..H {
                let taken = fraction * cell[h];
                cell[h] -= taken;
                let mass = taken * scale[h];
                trace[h] += mass;
                forced += theta[h] * mass;
                ledger[h].swept += mass;
                ledger[h].resting -= mass;
            }
        }
        forced
    }

    /// Makes cells for the bins `low..=high`; what lies out of reach of `center` then leaves the grid.
    fn reserve(&mut self, low: i32, high: i32, center: i32) {
        let span = self.span();
        if low >= span.start && high < span.end {
            return;
        }
        let (start, end) =
            if span.is_empty() { (low, high + 1) } else { (low.min(span.start), (high + 1).max(span.end)) };
        let start = if start < span.start || span.is_empty() { start - SLACK } else { start };
        let end = if end > span.end || span.is_empty() { end + SLACK } else { end };
        // Longs rest below the path and shorts above: the cells on the other side have been swept empty.
        let (start, end) = if self.side == 0 {
            (start, end.min(high.max(center) + 1 + SLACK))
        } else {
            (start.max(low.min(center) - SLACK), end)
        };
        self.resize(start.max(center - REACH), end.min(center + REACH));
    }

    fn resize(&mut self, start: i32, end: i32) {
        let old = self.span();
        for bin in old.clone().filter(|b| !(start..end).contains(b)) {
            self.leave(bin);
        }
        let mut cells = vec![0.0; (end - start) as usize * self.slots];
        let keep = old.start.max(start)..old.end.min(end);
        if !keep.is_empty() {
            let from = (keep.start - old.start) as usize * self.slots;
            let to = (keep.start - start) as usize * self.slots;
            let len = keep.len() * self.slots;
            cells[to..to + len].copy_from_slice(&self.cells[from..from + len]);
        }
        self.first = start;
        self.cells = cells;
    }

    /// A bin's mass leaves the grid.
    fn leave(&mut self, bin: i32) {
        let scale = self.scale;
        let at = (bin - self.first) as usize * self.slots;
        for (slot, ledger) in self.ledger.iter_mut().enumerate() {
            let mass = self.cells[at + slot] * scale[slot % H];
            ledger.left += mass;
            ledger.resting -= mass;
        }
    }

    /// The mass of every slot as the cells hold it now, to check the ledger against.
    pub fn held(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.slots];
        for cell in self.cells.chunks_exact(self.slots) {
            for (slot, (sum, value)) in sums.iter_mut().zip(cell).enumerate() {
                *sum += value * self.scale[slot % H];
            }
        }
        sums
    }
}
