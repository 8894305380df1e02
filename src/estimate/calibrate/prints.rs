//! Learning from single liquidations: which of the masses the path has just consumed each of them came from.
//!
//! A print arrives after the mark has swept its level, so the last seconds' sweeps are remembered, cell by cell. Feeds that print
//! at most one liquidation a second are corrected: with `l` liquidations expected in a second, the number that happened given that one
//! was seen is taken as zero-truncated negative binomial with shape 1 (positions are lumpy), whose mean is `l / P(print)` with
//! `P(print) = 1 − 1/(1 + l) = l / (1 + l)` (`estimator.md` §4).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::weights::GammaPoisson;
use crate::estimate::cohort::Cohorts;

/// Seconds after which a second is settled: its late prints and the trades that closed them are in.
const SETTLED_AFTER: i64 = 2;
/// Seconds whose sweeps a late print may still belong to.
const REMEMBERED: i64 = 4;
/// Cells remembered of one second; what a crash sweeps beyond is put onto the last of them.
const MOST_CELLS: usize = 256;
/// A print counts at most this many usual sizes.
const MOST_SIZE: f64 = 20.0;
/// How fast the usual size follows.
const SIZE_STEP: f64 = 0.02;
/// The usual size before anything was seen, share of open interest.
const FIRST_SIZE: f64 = 1e-5;
/// More than this is never expected of one second, liquidations.
const MOST_EXPECTED: f64 = 200.0;
/// A print's own bin and each of its neighbours: how the uncertainty of its level is spread.
const SPREAD: [f64; 3] = [0.25, 0.5, 0.25];

/// What the path consumed in one second, and what came with it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Second {
    /// Which, UTC seconds.
    at: i64,
    /// Side and bin of each cell, in the order they were swept.
    cells: Vec<(u8, i32)>,
    /// The mass of every slot, cell by cell, base coin of unit cohort.
    masses: Vec<f64>,
    /// Base coin expected to be liquidated, by side.
    forecast: [f64; 2],
    /// Base coin printed, by side; `None` without a print.
    printed: [Option<f64>; 2],
    /// Base coin that takers bought and sold.
    taken: [f64; 2],
}

/// What a print tells: its side, how much, and where its level was.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// 0 long, 1 short: the position that died.
    pub side: usize,
    /// Base coin.
    pub qty: f64,
    /// The bin of its liquidation price, as well as its price tells.
    pub bin: i32,
    /// When, UTC seconds.
    pub at: i64,
    /// Whether the feed prints at most one a second.
    pub is_sampled: bool,
    /// Mass of the background in one bin, base coin.
    pub background: f64,
    /// Open interest, base coin.
    pub oi: f64,
}

/// What became of the seconds that are over, base coin by side.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Settled {
    /// What the feed was expected to print.
    pub shown: [f64; 2],
    /// What it is taken to have left out, where it prints at most one a second.
    pub hidden: [f64; 2],
}

/// The print-by-print learner of one venue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prints {
    slots: usize,
    has_feed: bool,
    is_sampled: bool,
    /// The usual size of a print and of its square, base coin.
    size: Option<f64>,
    square: f64,
    seconds: VecDeque<Second>,
    /// Emptied seconds, so that their room is used again.
    spare: Vec<Second>,
    tracker: Tracker,
    scratch: Vec<f64>,
}

impl Prints {
    /// Nothing printed yet.
    pub fn new(slots: usize) -> Self {
        Self {
            slots,
            has_feed: false,
            is_sampled: false,
            size: None,
            square: 0.0,
            seconds: VecDeque::new(),
            spare: Vec::new(),
            tracker: Tracker::default(),
            scratch: vec![0.0; slots],
        }
    }

    /// Whether all parts fit each other, as they may not where the state was read from a file.
    pub fn is_sound(&self, slots: usize) -> bool {
        let fits = |s: &Second| s.masses.len() == s.cells.len() * slots;
        self.slots == slots
            && self.scratch.len() == slots
            && self.seconds.iter().chain(&self.spare).all(fits)
            && self.tracker.buckets.len() == BUCKETS
    }

    /// Whether the venue prints liquidations at all.
    pub fn has_feed(&self) -> bool {
        self.has_feed
    }

    /// Whether its feed prints at most one a second.
    pub fn is_sampled(&self) -> bool {
        self.is_sampled
    }

    /// The usual size of a print, base coin.
    pub fn size(&self) -> Option<f64> {
        self.size
    }

    /// How lumpy what is liquidated is: mean square over mean of a print, base coin.
    pub fn lump(&self) -> f64 {
        self.size.map_or(0.0, |size| self.square / size)
    }

    /// Bytes held, for the memory budget.
    pub fn bytes(&self) -> usize {
        let seconds = self.seconds.iter().chain(&self.spare);
        seconds
            .map(|s| size_of::<Second>() + s.masses.capacity() * size_of::<f64>() + s.cells.capacity() * 8)
            .sum()
    }

    /// The second `at`, made if it is new. Times before the oldest remembered belong to the oldest.
    fn second(&mut self, at: i64) -> usize {
        match self.seconds.iter().rposition(|s| s.at <= at) {
            Some(i) if self.seconds[i].at == at => i,
            None if !self.seconds.is_empty() => 0,
            found => {
                let mut fresh = self.spare.pop().unwrap_or_default();
                fresh.at = at;
                let place = found.map_or(0, |i| i + 1);
                self.seconds.insert(place, fresh);
                place
            }
        }
    }

    /// Room for what a sweep of a bin takes: one number a slot, to be added to.
    pub fn trace(&mut self, at: i64, side: usize, bin: i32) -> &mut [f64] {
        if !self.has_feed {
            return &mut self.scratch;
        }
        let slots = self.slots;
        let i = self.second(at);
        let second = &mut self.seconds[i];
        let cell = (side as u8, bin);
        if second.cells.last() != Some(&cell) && second.cells.len() < MOST_CELLS {
            second.cells.push(cell);
            second.masses.resize(second.cells.len() * slots, 0.0);
        }
        let from = second.masses.len() - slots;
        &mut second.masses[from..]
    }

    /// That a sweep is expected to have forced so much, base coin.
    pub fn expect(&mut self, at: i64, side: usize, forced: f64) {
        if self.has_feed {
            let i = self.second(at);
            self.seconds[i].forecast[side] += forced;
        }
    }

    /// That takers bought (0) or sold (1) so much, base coin.
    pub fn take(&mut self, at: i64, way: usize, qty: f64) {
        if self.has_feed {
            let i = self.second(at);
            self.seconds[i].taken[way] += qty;
        }
    }

    /// The bin of a level the path has swept on that side of late that is nearest to `bin`; `bin` itself if there is none.
    pub fn nearest_swept(&self, side: usize, bin: i32) -> i32 {
        let cells = self.seconds.iter().flat_map(|s| &s.cells).filter(|(s, _)| usize::from(*s) == side);
        cells.map(|(_, b)| *b).min_by_key(|b| (b - bin).abs()).unwrap_or(bin)
    }

    /// Attributes a print to the masses at its level, resting or just consumed. Returns what falls to the background, events.
    pub fn attribute(&mut self, seen: &Seen, book: &Cohorts, weights: &mut GammaPoisson, floor: f64) -> f64 {
        let &Seen { side, qty, bin, at, is_sampled, background, oi } = seen;
        self.has_feed = true;
        self.is_sampled = is_sampled;
        let size = self.size.get_or_insert((FIRST_SIZE * oi).max(f64::MIN_POSITIVE));
        *size += SIZE_STEP * (qty.min(MOST_SIZE * *size) - *size);
        let size = *size;
        let believed = qty.min(MOST_SIZE * size);
        self.square += SIZE_STEP * (believed * believed - self.square);
        let i = self.second(at);
        let printed = &mut self.seconds[i].printed[side];
        *printed = Some(printed.unwrap_or(0.0) + qty);

        // What each slot had at the level.
        let mut there = vec![0.0; self.slots];
        let scale = book.scale();
        for (b, weight) in (bin - 1..).zip(SPREAD) {
            if let Some(cell) = book.cell(b) {
                for (slot, (sum, unit)) in there.iter_mut().zip(cell).enumerate() {
                    *sum += weight * unit * scale[slot % scale.len()];
                }
            }
        }
        for second in &self.seconds {
            for ((s, b), masses) in second.cells.iter().zip(second.masses.chunks_exact(self.slots)) {
                let near = usize::try_from(b - bin + 1).ok().and_then(|i| SPREAD.get(i));
                if let Some(weight) = near.filter(|_| usize::from(*s) == side) {
                    there.iter_mut().zip(masses).for_each(|(sum, mass)| *sum += weight * mass);
                }
            }
        }
        let floor = floor * background;
        let total = floor + weights.forecast(side, &there);
        if total <= 0.0 {
            return 0.0;
        }
        let events = believed / size;
        weights.credit(side, &there, events / total);
        events * floor / total
    }

    /// Settles the seconds that `now` (UTC seconds) has left behind.
    pub fn settle(&mut self, now: i64, weights: &mut GammaPoisson) -> Settled {
        let mut settled = Settled::default();
        // Those at the front have been settled; they are kept for late prints only.
        for i in 0..self.seconds.len() {
            let age = now - self.seconds[i].at;
            if age < SETTLED_AFTER {
                break;
            }
            for side in 0..2 {
                let forecast = std::mem::take(&mut self.seconds[i].forecast[side]);
                if forecast > 0.0 {
                    let (shown, hidden) = self.settle_side(i, side, forecast, weights);
                    settled.shown[side] += shown;
                    settled.hidden[side] += hidden;
                }
            }
        }
        while self.seconds.front().is_some_and(|s| now - s.at >= REMEMBERED) {
            if let Some(mut old) = self.seconds.pop_front() {
                old.cells.clear();
                old.masses.clear();
                (old.forecast, old.printed, old.taken) = Default::default();
                self.spare.push(old);
            }
        }
        settled
    }

    /// What of a second's forecast the feed was expected to show, and what it is taken to have left out, base coin.
    fn settle_side(
        &mut self,
        i: usize,
        side: usize,
        forecast: f64,
        weights: &mut GammaPoisson,
    ) -> (f64, f64) {
        let Some(size) = self.size.filter(|_| self.is_sampled) else { return (forecast, 0.0) };
        let expected = (forecast / size).min(MOST_EXPECTED);
        let shown = size * expected / (1.0 + expected);
        // Marks and prints are stamped by different clocks: a neighbouring second's print will do.
        let at = self.seconds[i].at;
        let near = |s: &&mut Second| (s.at - at).abs() <= 1 && s.printed[side].is_some();
        let Some(print) = self.seconds.iter_mut().filter(near).min_by_key(|s| (s.at - at).abs()) else {
            self.tracker.note(expected, false);
            return (shown, 0.0);
        };
        let printed = print.printed[side].take().unwrap_or(0.0);
        self.tracker.note(expected, true);
        // Liquidated longs are sold by takers, shorts are bought.
        let closing = 1 - side;
        let traded: f64 =
            self.seconds.iter().filter(|s| (at..=at + 1).contains(&s.at)).map(|s| s.taken[closing]).sum();
        let more = expected.min((traded - printed).max(0.0) / size);
        let second = &self.seconds[i];
        let cells = second.cells.iter().zip(second.masses.chunks_exact(self.slots));
        for (_, masses) in cells.filter(|((s, _), _)| usize::from(*s) == side) {
            weights.credit(side, masses, more / forecast);
        }
        (shown, more * size)
    }

    /// Every ten minutes: the factor by which all events should change so that prints come as often as expected.
    pub fn rescale(&mut self) -> Option<f64> {
        self.is_sampled.then(|| self.tracker.step()).flatten()
    }
}

/// How often seconds with so much expected brought a print: it tells the scale where sizes are hidden.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Tracker {
    /// By quarter octave of what was expected: seconds, seconds with a print, sum of what was expected.
    buckets: Vec<[f64; 3]>,
}

const BUCKETS: usize = 48;
/// The first bucket holds what is expected below 2^-8.
const LOWEST_OCTAVE: f64 = 8.0;
/// Prints needed before the scale is touched.
const FEWEST: f64 = 20.0;
/// Twelve hours in steps of ten minutes.
const HALF_LIFE_STEPS: f64 = 72.0;

impl Default for Tracker {
    fn default() -> Self {
        Self { buckets: vec![[0.0; 3]; BUCKETS] }
    }
}

impl Tracker {
    fn note(&mut self, expected: f64, came: bool) {
        let place = 4.0 * (libm::log2(expected) + LOWEST_OCTAVE);
        if (0.0..BUCKETS as f64).contains(&place) {
            let [seconds, prints, sum] = &mut self.buckets[place as usize];
            *seconds += 1.0;
            *prints += f64::from(u8::from(came));
            *sum += expected;
        }
    }

    /// The most likely factor `g` on all that was expected solves `Σ l·(z·p0/((1 − p0)·x) − (n − z)/x) = 0` with `x = 1 + g·l` and
    /// `p0 = 1/x`, where `n` seconds of which `z` with a print expected `l` each. A quarter of the way is gone at a time.
    fn step(&mut self) -> Option<f64> {
        let prints: f64 = self.buckets.iter().map(|b| b[1]).sum();
        let factor = (prints >= FEWEST).then(|| {
            let slope = |g: f64| -> f64 {
                let of = |&[n, z, sum]: &[f64; 3]| {
                    let l = sum / n;
                    let x = 1.0 + g * l;
                    // p0 / (1 − p0) = 1 / (x − 1)
                    z * l / (x * (x - 1.0)) - (n - z) * l / x
                };
                self.buckets.iter().filter(|b| b[0] > 0.0).map(of).sum()
            };
            let (mut low, mut high) = (0.05_f64, 20.0_f64);
            for _ in 0..40 {
                let g = (low * high).sqrt();
                if slope(g) > 0.0 { low = g } else { high = g }
            }
            libm::sqrt(libm::sqrt((low * high).sqrt())).clamp(0.85, 1.18)
        });
        let left = libm::exp2(-1.0 / HALF_LIFE_STEPS);
        for [seconds, prints, sum] in &mut self.buckets {
            *seconds *= left;
            *prints *= left;
            *sum *= left * factor.unwrap_or(1.0);
        }
        factor
    }
}
