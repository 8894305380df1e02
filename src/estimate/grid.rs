//! Columns: what the levels were when a bucket of time closed. Closed columns are immutable and shared.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::market::{Interval, Side};

use super::calibrate::Uncertainty;
use super::tiers::{TIERS, Tier, TierSet};

/// More than any table has.
const MOST_BINS: i64 = 1 << 22;

/// Values over neighbouring bins, quantised to 8 significant bits and run-length packed.
///
/// Neighbouring bins of a smear differ by less than a quantum, and most bins of a spike are empty, so a few hundred runs
/// hold a few thousand bins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    first_bin: i32,
    /// Shared: roll-ups repeat the levels of their last column, and every picture those of the running one.
    runs: Arc<[Run]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    code: u16,
    len: u16,
}

/// The upper half of the nearest `f32`: 8 exponent bits and 7 of mantissa, rounded to even.
fn encode(value: f64) -> u16 {
    let bits = (value as f32).to_bits();
    (bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) >> 16) as u16
}

fn decode(code: u16) -> f64 {
    f64::from(f32::from_bits(u32::from(code) << 16))
}

impl Packed {
    /// Packs non-negative values for the bins from `first_bin` on; values below `floor` become nothing.
    pub fn new(first_bin: i32, values: &[f64], floor: f64) -> Self {
        // All codes first and then their runs: without a branch between them several codes are made at once.
        let code = |&value: &f64| if value >= floor && value < f64::INFINITY { encode(value) } else { 0 };
        let codes: Vec<u16> = values.iter().map(code).collect();
        let Some(start) = codes.iter().position(|code| *code != 0) else { return Self::default() };
        let end = codes.iter().rposition(|code| *code != 0).map_or(start, |last| last + 1);
        let mut runs: Vec<Run> = Vec::new();
        for codes in codes[start..end].chunks(usize::from(u16::MAX)) {
            // Each code is written over until it ends its run: how long a run is cannot be foreseen, and a branch on it is mostly wrong.
            let (from, mut begin) = (runs.len(), 0);
            runs.resize(from + codes.len(), Run { code: 0, len: 0 });
            let (mut at, mut i) = (from, 0);
            while i < codes.len() {
                // What is alike by the eight, as between spikes, is passed over by the eight.
                let eight = |from: usize| codes.get(from..).and_then(<[u16]>::first_chunk::<8>);
                if eight(i + 1).is_some_and(|next| eight(i) == Some(next)) {
                    i += 8;
                    continue;
                }
                for &code in codes.iter().skip(i).take(8) {
                    i += 1;
                    let ends = codes.get(i) != Some(&code);
                    runs[at] = Run { code, len: (i - begin) as u16 };
                    at += usize::from(ends);
                    begin = if ends { i } else { begin };
                }
            }
            runs.truncate(at);
        }
        Self { first_bin: first_bin + start as i32, runs: runs.into() }
    }

    /// Adds the values of the bins `first..first + out.len()` onto `out`.
    pub fn add_to(&self, first: i32, out: &mut [f64]) {
        let (mut bin, end) = (self.first_bin, first + out.len() as i32);
        for run in self.runs.iter() {
            // Few of many runs lie in a window of one bin, such as that in which a pool's past is looked up.
            if bin >= end {
                break;
            }
            let from = bin.max(first);
            bin += i32::from(run.len);
            let to = bin.min(end);
            if from < to && run.code != 0 {
                let value = decode(run.code);
                for slot in &mut out[(from - first) as usize..(to - first) as usize] {
                    *slot += value;
                }
            }
        }
    }

    /// Runs of equal values: first bin, number of bins, value.
    pub fn spans(&self) -> impl Iterator<Item = (i32, i32, f64)> {
        let mut bin = self.first_bin;
        self.runs.iter().map(move |run| {
            let at = bin;
            bin += i32::from(run.len);
            (at, i32::from(run.len), decode(run.code))
        })
    }

    /// Whether its bins lie in a table, as they may not where it was read from a file.
    fn is_sound(&self) -> bool {
        let bins: i64 = self.runs.iter().map(|r| i64::from(r.len)).sum();
        (-MOST_BINS..=MOST_BINS).contains(&i64::from(self.first_bin)) && bins <= MOST_BINS
    }

    /// Sum over all bins.
    pub fn sum(&self) -> f64 {
        self.spans().map(|(_, len, value)| f64::from(len) * value).sum()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.runs.len() * size_of::<Run>()
    }
}

/// Prices and volume of a bar, for drawing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// First price, USD per coin.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Volume, base coin.
    pub volume: f64,
}

impl Bar {
    /// Takes in the bar that follows.
    pub fn append(&mut self, next: &Self) {
        self.high = self.high.max(next.high);
        self.low = self.low.min(next.low);
        self.close = next.close;
        self.volume += next.volume;
    }
}

/// One venue's levels at the end of a bucket of time, and what happened in the bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Start of the bucket, UTC ms.
    pub start: i64,
    /// Length of the bucket.
    pub interval: Interval,
    /// Mark price at the end, USD per coin. Bins below hold longs, bins above hold shorts.
    pub mark: f64,
    /// The bin that holds the mark.
    pub mark_bin: i32,
    /// Open interest at the end, base coin.
    pub oi: f64,
    /// Share of the open interest the resting mass explains, 0 to 1, mean of both sides.
    pub coverage: f64,
    /// What it takes to put a band around the levels.
    pub uncertainty: Uncertainty,
    /// Estimated USD force-closed if price sweeps the bin (T2), by tier.
    pub levels: [Packed; TIERS],
    /// Position mass over level (T1 / T2) in the bin, by tier.
    pub factors: [Packed; TIERS],
    /// Estimated USD the mark's path consumed during the bucket, longs then shorts, by bin.
    pub swept: [Packed; 2],
    /// USD of liquidations **observed** during the bucket, longs then shorts, by bin of their price.
    pub printed: [Packed; 2],
    /// Trading during the bucket; `None` if nothing traded.
    pub bar: Option<Bar>,
    /// Whether data was missing: drawn hatched.
    pub gap: bool,
    /// Whether the venue keeps no open interest of this time, so that it was held constant.
    pub reconstructed: bool,
}

impl Column {
    /// Whether its parts fit each other, as they may not where it was read from a file.
    pub fn is_sound(&self) -> bool {
        let mut packed = self.levels.iter().chain(&self.factors).chain(&self.swept).chain(&self.printed);
        crate::market::event::is_time(self.start)
            && (0..=MOST_BINS).contains(&i64::from(self.mark_bin))
            && packed.all(Packed::is_sound)
    }

    /// End of the bucket, UTC ms.
    pub fn end(&self) -> i64 {
        self.start + self.interval.ms()
    }

    /// Adds the USD levels of the bins `first..first + out.len()` onto `out`, for the given tiers.
    pub fn add_levels(&self, tiers: TierSet, first: i32, out: &mut [f64]) {
        for tier in tiers.iter() {
            self.levels[tier.index()].add_to(first, out);
        }
    }

    /// USD of levels on one side, by tier, over all bins.
    pub fn totals(&self, side: Side) -> [f64; TIERS] {
        Tier::ALL.map(|tier| {
            self.levels[tier.index()]
                .spans()
                .map(|(bin, len, value)| {
                    // The bin of the mark may hold either side's remainder; by convention it counts as long.
                    let below = (self.mark_bin + 1 - bin).clamp(0, len);
                    let count = if side == Side::Long { below } else { len - below };
                    f64::from(count) * value
                })
                .sum()
        })
    }

    /// The column that stands for two neighbours: the later levels, both sweeps and prints.
    #[must_use]
    pub fn merged(&self, next: &Self, start: i64, interval: Interval) -> Self {
        let sum = |a: &Packed, b: &Packed| {
            if a.runs.is_empty() {
                return b.clone();
            }
            if b.runs.is_empty() {
                return a.clone();
            }
            let end = |p: &Packed| p.first_bin + p.runs.iter().map(|r| i32::from(r.len)).sum::<i32>();
            let first = a.first_bin.min(b.first_bin);
            let mut values = vec![0.0; (end(a).max(end(b)) - first) as usize];
            a.add_to(first, &mut values);
            b.add_to(first, &mut values);
            Packed::new(first, &values, f64::MIN_POSITIVE)
        };
        let bar = match (self.bar, next.bar) {
            (Some(mut a), Some(b)) => {
                a.append(&b);
                Some(a)
            }
            (a, b) => a.or(b),
        };
        Self {
            start,
            interval,
            swept: [sum(&self.swept[0], &next.swept[0]), sum(&self.swept[1], &next.swept[1])],
            printed: [sum(&self.printed[0], &next.printed[0]), sum(&self.printed[1], &next.printed[1])],
            bar,
            gap: self.gap || next.gap,
            reconstructed: self.reconstructed || next.reconstructed,
            ..next.clone()
        }
    }

    /// Whether it holds no level at all, as where price or open interest is not known.
    pub fn is_blank(&self) -> bool {
        self.levels.iter().all(|tier| tier.runs.is_empty())
    }

    /// Bytes held, for the memory budget.
    pub fn bytes(&self) -> usize {
        let packed = self.levels.iter().chain(&self.factors).chain(&self.swept).chain(&self.printed);
        size_of::<Self>() + packed.map(Packed::bytes).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn packing_keeps_values_to_half_a_quantum() {
        let values = [0.0, 0.0, 1.5, 1.5, 1.5, 0.2, 0.0, 1_234_567.0, 0.0];
        let packed = Packed::new(100, &values, 0.5);
        let mut out = vec![0.0; 9];
        packed.add_to(100, &mut out);
        assert_eq!(&out[..7], &[0.0, 0.0, 1.5, 1.5, 1.5, 0.0, 0.0]);
        assert!((out[7] / 1_234_567.0 - 1.0).abs() < 1.0 / 256.0);
        assert_eq!(packed.spans().count(), 3, "the empty ends are not held");
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(3), ..ProptestConfig::default() })]

        #[test]
        fn runs_are_those_that_a_plain_count_finds(parts in prop::collection::vec((0..4_u8, 1..40_usize), 0..30), long in any::<bool>()) {
            let mut values: Vec<f64> =
                parts.iter().flat_map(|&(value, len)| std::iter::repeat_n(f64::from(value), len)).collect();
            if long {
                // Longer than a run can be.
                values.resize(values.len() + 70_000, 3.0);
            }
            let packed = Packed::new(-5, &values, 1.0);
            let first = values.iter().position(|value| *value > 0.0);
            let last = values.iter().rposition(|value| *value > 0.0);
            let held = first.zip(last).map_or(0..0, |(first, last)| first..last + 1);
            let bin = -5 + held.start as i32;
            let mut plain: Vec<(i32, i32, f64)> = Vec::new();
            for (i, value) in values[held.clone()].iter().enumerate() {
                match plain.last_mut() {
                    // What is cut is cut where so many values have passed.
                    Some((_, len, of)) if of == value && i % usize::from(u16::MAX) != 0 => *len += 1,
                    _ => plain.push((bin + i as i32, 1, *value)),
                }
            }
            prop_assert_eq!(packed.spans().collect::<Vec<_>>(), plain);
            // Windows of any size show what is there.
            for (from, len) in [(-20, 1), (-5, 1), (0, 7), (3, 400), (-30, 80_000)] {
                let mut out = vec![0.5; len];
                packed.add_to(from, &mut out);
                let at = |bin: i32| usize::try_from(bin + 5).ok().and_then(|i| values.get(i)).copied().unwrap_or(0.0);
                let wanted: Vec<f64> = (from..from + len as i32).map(|bin| 0.5 + at(bin)).collect();
                prop_assert_eq!(out, wanted);
            }
        }
    }

    #[test]
    fn a_window_that_cuts_a_run_gets_its_part_only() {
        let packed = Packed::new(10, &[2.0; 10], 0.5);
        let mut out = vec![1.0; 4];
        packed.add_to(18, &mut out);
        assert_eq!(out, [3.0, 3.0, 1.0, 1.0]);
        let mut before = vec![0.0; 4];
        packed.add_to(0, &mut before);
        assert_eq!(before, [0.0; 4]);
    }
}
