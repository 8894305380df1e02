//! Unit cohorts: for one side, how much was opened at a level as if all openers had used one component and class.
//!
//! A row holds the bins of one component side by side, each with its holding classes: an opening reaches over thousands of bins,
//! a sweep takes one or two. Ageing is one lazy scale per class: real mass = cell × scale. Only + − × ÷ touch the state.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::components::{CLASSES, Components};

/// Holding classes.
const H: usize = CLASSES.len();
/// Mass farther than this many bins from the path leaves the grid (a factor of 54 in price at 5 bp).
const REACH: i32 = 8_000;
/// Room is made this many bins further than asked, so that a drifting price does not move the cells at every step.
const SLACK: i32 = 32;
/// A scale below this is folded into the cells.
const SMALLEST_SCALE: f64 = 1e-30;
/// When nearly all of a side comes to be known, at least this share stays.
const SMALLEST_SHARE: f64 = 1e-6;
/// Bins whose openings wait to be spread, at most.
const MOST_WAITING: usize = 32;
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

/// The unit masses of one component before scaling: bin by bin, class by class. A smear reaches over thousands of bins, but most
/// of them are no business of most components.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Row {
    /// The bin of the first cell.
    first: i32,
    cells: Vec<[f64; H]>,
}

impl Row {
    fn span(&self) -> Range<i32> {
        self.first..self.first + self.cells.len() as i32
    }

    /// Where a bin's cell lies; past the end where there is none.
    fn place(&self, bin: i32) -> usize {
        usize::try_from(i64::from(bin) - i64::from(self.first)).unwrap_or(usize::MAX)
    }

    /// Makes cells for these bins, and some more within `all`.
    fn cover(&mut self, bins: &Range<i32>, all: &Range<i32>) {
        if self.cells.is_empty() {
            self.first = bins.start;
        }
        let span = self.span();
        if bins.start < span.start {
            self.first = (bins.start - SLACK).max(all.start);
            let more = (span.start - self.first) as usize;
            // Not doubled: cells are most of what a market keeps in memory.
            self.cells.reserve_exact(more);
            self.cells.splice(..0, std::iter::repeat_n([0.0; H], more));
        }
        if bins.end > span.end {
            let end = (bins.end + SLACK).min(all.end);
            let length = (end - self.first) as usize;
            self.cells.reserve_exact(length.saturating_sub(self.cells.len()));
            self.cells.resize(length, [0.0; H]);
        }
    }

    /// Adds masses to its cells from that of `first` on, to each class so many times.
    fn add(&mut self, first: i32, masses: &[f64], times: [f64; H]) {
        let at = self.place(first);
        // Two cells at once: what is added to them side by side is as much as a processor adds in three steps.
        let (pairs, last) = self.cells[at..at + masses.len()].as_chunks_mut::<2>();
        let (masses, last_mass) = masses.as_chunks::<2>();
        let [a, b, c] = times;
        for (pair, [mass, next]) in pairs.iter_mut().zip(masses) {
            let added = [mass * a, mass * b, mass * c, next * a, next * b, next * c];
            pair.as_flattened_mut().iter_mut().zip(added).for_each(|(slot, mass)| *slot += mass);
        }
        for (cell, mass) in last.iter_mut().zip(last_mass) {
            cell.iter_mut().zip(times).for_each(|(slot, times)| *slot += mass * times);
        }
    }

    /// Keeps only cells of these bins; the mass of the others leaves the grid.
    fn restrict(&mut self, bins: &Range<i32>, scale: [f64; H], ledgers: &mut [Ledger]) {
        let kept = common(&self.span(), bins);
        let kept = if kept.is_empty() { 0..0 } else { self.place(kept.start)..self.place(kept.end) };
        for cell in self.cells[..kept.start].iter().chain(&self.cells[kept.end..]) {
            for ((unit, scale), ledger) in cell.iter().zip(scale).zip(&mut *ledgers) {
                let mass = unit * scale;
                ledger.left += mass;
                ledger.resting -= mass;
            }
        }
        self.cells.truncate(kept.end);
        self.cells.drain(..kept.start);
        self.first += kept.start as i32;
    }
}

/// Coins opened at one bin that are not spread over their levels yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Waiting {
    bin: i32,
    /// Unit masses before scaling, by class.
    coins: [f64; H],
}

/// The cohorts of one side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cohorts {
    side: usize,
    /// The bins that may have cells.
    span: Range<i32>,
    /// One a component.
    rows: Vec<Row>,
    scale: [f64; H],
    ledger: Vec<Ledger>,
    /// What was opened since the path was last near a level of it. A market opens at the same few bins every second, and spreading what was opened there
    /// is most of the estimator's work: it is done once for all of it, before the path comes to the first level of it ([`Self::is_awaited`]) and before
    /// the cells are read ([`Self::spread`]).
    waiting: Vec<Waiting>,
}

impl Cohorts {
    /// Empty, for a side (0 long, 1 short) and a number of components.
    pub fn new(side: usize, components: usize) -> Self {
        Self {
            side,
            span: 0..0,
            rows: vec![Row::default(); components],
            scale: [1.0; H],
            ledger: vec![Ledger::default(); components * H],
            waiting: Vec::new(),
        }
    }

    /// Whether all parts fit each other, as they may not where the state was read from a file.
    pub fn is_sound(&self, side: usize, components: usize) -> bool {
        let Range { start, end } = self.span;
        let lies_inside = |row: &Row| {
            let end_of_row = i64::from(row.first) + row.cells.len() as i64;
            row.cells.is_empty() || start <= row.first && end_of_row <= i64::from(end)
        };
        self.side == side
            && (-REACH..=end).contains(&start)
            && (0..=i64::from(i32::MAX / 2)).contains(&(i64::from(end) + i64::from(REACH)))
            && self.rows.len() == components
            && self.rows.iter().all(lies_inside)
            && self.waiting.iter().all(|w| (-REACH..=end.saturating_add(REACH)).contains(&w.bin))
            && self.ledger.len() == components * H
    }

    /// Number of slots (component × holding class).
    pub fn slots(&self) -> usize {
        self.ledger.len()
    }

    /// The ledger, one entry a slot.
    pub fn ledger(&self) -> &[Ledger] {
        &self.ledger
    }

    /// The bins that may have mass.
    pub fn span(&self) -> Range<i32> {
        self.span.clone()
    }

    /// Bytes held, for the memory budget.
    pub fn bytes(&self) -> usize {
        let cells: usize = self.rows.iter().map(|row| row.cells.capacity()).sum();
        cells * size_of::<[f64; H]>()
            + self.ledger.len() * size_of::<Ledger>()
            + self.rows.len() * size_of::<Row>()
    }

    /// The lazy scale of each class.
    pub fn scale(&self) -> [f64; H] {
        self.scale
    }

    /// One bin's unit masses before scaling, slot by slot; `None` outside the span.
    pub fn cell(&self, bin: i32) -> Option<Vec<f64>> {
        let unit = |row: &Row| row.cells.get(row.place(bin)).copied().unwrap_or_default();
        self.span.contains(&bin).then(|| self.rows.iter().flat_map(unit).collect())
    }

    /// The bins in which a component may have mass.
    pub fn extent(&self, component: usize) -> Range<i32> {
        self.rows.get(component).map_or(0..0, Row::span)
    }

    /// The unit masses of one component before scaling, bin by bin; `bins` lie within its extent.
    pub fn masses(&self, component: usize, bins: &Range<i32>) -> &[[f64; H]] {
        let cells = |row: &Row| row.place(bins.start)..row.place(bins.end);
        self.rows.get(component).and_then(|row| row.cells.get(cells(row))).unwrap_or(&[])
    }

    /// Opens `share` of these coins, as seen from `center`, the bin the path is in now.
    pub fn open(&mut self, components: &Components, openings: &[Opening], share: f64, center: i32) {
        let levels = components.levels(self.side);
        // Where nothing of it is gone yet and nothing lies out of reach.
        let can_wait = |o: &Opening| {
            let (lowest, highest) = (o.bin + levels.start, o.bin + levels.end - 1);
            let is_whole =
                if self.side == 0 { highest <= o.trail.maybe_low } else { lowest >= o.trail.maybe_high };
            is_whole && lowest >= (center - REACH).max(0) && highest < center + REACH
        };
        let (waiting, others): (Vec<Opening>, Vec<Opening>) = openings.iter().partition(|o| can_wait(o));
        for opening in waiting {
            self.wait(components, opening.bin, share * opening.qty, center);
        }
        self.open_now(components, &others, share, center);
    }

    /// Opens coins that need not be spread yet.
    fn wait(&mut self, components: &Components, bin: i32, qty: f64, center: i32) {
        let levels = components.levels(self.side);
        let (lowest, highest) = (bin + levels.start, bin + levels.end - 1);
        let is_new = self.waiting.iter().all(|w| w.bin != bin);
        if is_new && self.waiting.len() >= MOST_WAITING {
            self.spread(components);
        }
        self.reserve(components, lowest, highest, center);
        let coins = self.scale.map(|scale| qty / scale);
        match self.waiting.iter_mut().find(|w| w.bin == bin) {
            Some(waiting) => waiting.coins.iter_mut().zip(coins).for_each(|(sum, more)| *sum += more),
            None => self.waiting.push(Waiting { bin, coins }),
        }
        let ledgers = self.ledger.chunks_exact_mut(H).zip(components.iter());
        for (ledgers, component) in ledgers.filter(|(_, c)| c.weight > 0.0) {
            let kernel = &component.kernels[self.side];
            let kept = qty * kernel.share_of(&(0..kernel.shares.len()));
            for ledger in ledgers {
                ledger.inserted += qty;
                ledger.resting += kept;
                ledger.left += qty - kept;
            }
        }
    }

    /// Whether the path, moving through these bins, comes to a level of what is not spread yet.
    pub fn is_awaited(&self, components: &Components, bins: &Range<i32>) -> bool {
        let levels = components.levels(self.side);
        self.waiting.iter().any(|w| {
            if self.side == 0 { bins.start < w.bin + levels.end } else { bins.end > w.bin + levels.start }
        })
    }

    /// Whether all that was opened lies in the cells.
    pub fn is_spread(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Spreads all that was opened over its levels, by the components it was opened with. When that is done decides about the last digits of sums: it must
    /// follow from events alone.
    pub fn spread(&mut self, components: &Components) {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() {
            return;
        }
        for (row, component) in self.rows.iter_mut().zip(components).filter(|(_, c)| c.weight > 0.0) {
            let kernel = &component.kernels[self.side];
            for Waiting { bin, coins } in &waiting {
                let begin = bin + kernel.offset;
                let levels = common(&self.span, &(begin..begin + kernel.shares.len() as i32));
                if levels.is_empty() {
                    continue;
                }
                row.cover(&levels, &self.span);
                let shares = &kernel.shares[(levels.start - begin) as usize..(levels.end - begin) as usize];
                row.add(levels.start, shares, *coins);
            }
        }
        // Its room is used again.
        self.waiting = waiting;
        self.waiting.clear();
    }

    /// Opens `share` of these coins and spreads them at once.
    fn open_now(&mut self, components: &Components, openings: &[Opening], share: f64, center: i32) {
        let bins = openings.iter().map(|o| o.bin);
        let (Some(lowest), Some(highest)) = (bins.clone().min(), bins.max()) else { return };
        let qty: f64 = share * openings.iter().map(|o| o.qty).sum::<f64>();
        let inverse = self.scale.map(|a| 1.0 / a);
        let reach = (center - REACH).max(0)..center + REACH;
        let longest = components.iter().map(|c| c.kernels[self.side].shares.len()).max().unwrap_or(0);
        let mut added = Vec::with_capacity(longest + (highest - lowest) as usize);
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
                    let of_kernel = (bins.start - begin) as usize..(bins.end - begin) as usize;
                    let mass = share * opening.qty;
                    let stays = part * mass;
                    let all = mass * kernel.share_of(&of_kernel);
                    kept += part * all;
                    crossed += all - part * all;
                    if stays > 0.0 {
                        let slots = &mut added[(bins.start - inside.start) as usize..];
                        let shares = &kernel.shares[of_kernel];
                        slots.iter_mut().zip(shares).for_each(|(slot, share)| *slot += stays * share);
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
                self.reserve(components, inside.start, inside.end - 1, center);
                self.rows[k].cover(&inside, &self.span);
                self.rows[k].add(inside.start, &added, inverse);
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
                for cell in self.rows.iter_mut().flat_map(|row| &mut row.cells) {
                    cell[h] *= self.scale[h];
                }
                for waiting in &mut self.waiting {
                    waiting.coins[h] *= self.scale[h];
                }
                self.scale[h] = 1.0;
            }
        }
    }

    /// The path consumes `fraction` of a bin; what it takes from each slot is added onto `trace`. Returns the coins expected to be
    /// force-closed by it under `theta`.
    pub fn sweep(&mut self, bin: i32, fraction: f64, theta: &[f64], trace: &mut [f64]) -> f64 {
        let scale = self.scale;
        let mut forced = 0.0;
        let rows = self.rows.iter_mut().zip(self.ledger.chunks_exact_mut(H));
        let slots = rows.zip(theta.chunks_exact(H)).zip(trace.chunks_exact_mut(H));
        for (((row, ledger), theta), trace) in slots {
            let at = row.place(bin);
            let Some(cell) = row.cells.get_mut(at) else { continue };
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

    /// Makes room for the bins `low..=high`; what lies out of reach of `center` then leaves the grid. What waits is spread first, as it was meant for
    /// the bins there were.
    fn reserve(&mut self, components: &Components, low: i32, high: i32, center: i32) {
        let span = self.span();
        if low >= span.start && high < span.end {
            return;
        }
        self.spread(components);
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
        self.span = start.max(center - REACH)..end.min(center + REACH);
        for (row, ledgers) in self.rows.iter_mut().zip(self.ledger.chunks_exact_mut(H)) {
            row.restrict(&self.span, self.scale, ledgers);
        }
    }

    /// The mass of every slot as the cells hold it now, to check the ledger against; all must be spread.
    pub fn held(&self) -> Vec<f64> {
        let sum = |row: &Row, h: usize| row.cells.iter().map(|cell| cell[h] * self.scale[h]).sum::<f64>();
        self.rows.iter().flat_map(|row| (0..H).map(move |h| sum(row, h))).collect()
    }
}
