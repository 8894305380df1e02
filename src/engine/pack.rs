//! From a read-out and what happened to the packed form columns keep.

use crate::estimate::levels::ByBin;
use crate::estimate::{Packed, Readout, TIERS, Tier};
use crate::market::Side;

/// Levels below this many USD, or this share of open interest, are not kept in columns.
const FLOOR: f64 = 0.5;
const FLOOR_SHARE: f64 = 1e-8;
/// Position mass over level lies between 1 and 2; columns keep it in steps of this.
const FACTOR_STEP: f64 = 1.0 / 32.0;

/// The levels of a read-out, packed.
#[derive(Debug, Clone, Default)]
pub struct PackedLevels {
    /// Share of the open interest they explain, 0 to 1.
    pub coverage: f64,
    /// T2 by tier.
    pub levels: [Packed; TIERS],
    /// T1 over T2 by tier.
    pub factors: [Packed; TIERS],
}

impl PackedLevels {
    /// Packs a read-out.
    pub fn new(readout: &Readout) -> Self {
        let mut packed = Self { coverage: readout.coverage, ..Self::default() };
        for tier in Tier::ALL {
            let (levels, factors) = pack_tier(readout, tier);
            packed.levels[tier.index()] = levels;
            packed.factors[tier.index()] = factors;
        }
        packed
    }
}

/// One tier's levels over both sides (longs below the mark, shorts above, the mark's bin holds what both have left), and
/// position mass over level in each bin.
fn pack_tier(readout: &Readout, tier: Tier) -> (Packed, Packed) {
    let floor = FLOOR.max(readout.oi * readout.mark * FLOOR_SHARE);
    let i = tier.index();
    let [long, short] = Side::BOTH.map(|side| Half {
        first: readout.side(side).first[i],
        levels: &readout.side(side).levels[i],
        positions: &readout.side(side).positions[i],
    });
    let (long, short) = (long.trim_low(floor), short.trim_high(floor));
    let (levels, positions) = (join(long, short, |h| h.levels), join(long, short, |h| h.positions));
    let first = if long.levels.is_empty() { short.first } else { long.first };
    let factor = |(level, position): (&f64, &f64)| {
        let steps = nearest(position / level / FACTOR_STEP);
        if *level >= floor { steps * FACTOR_STEP } else { 0.0 }
    };
    let factors: Vec<f64> = levels.iter().zip(&positions).map(factor).collect();
    (Packed::new(first, &levels, floor), Packed::new(first, &factors, f64::MIN_POSITIVE))
}

/// The nearest whole number of a positive one below 2⁵¹, half up. By additions alone, which take several numbers at once: above 2⁵² there is
/// nothing but whole numbers.
fn nearest(value: f64) -> f64 {
    const WHOLE: f64 = (1_u64 << 52) as f64;
    let up = value + 0.5;
    let even = (up + WHOLE) - WHOLE;
    if even > up { even - 1.0 } else { even }
}

/// One side of a tier.
#[derive(Clone, Copy)]
struct Half<'a> {
    first: i32,
    levels: &'a [f64],
    positions: &'a [f64],
}

// Most of a spike's side is empty. Its bin at the mark stays: what is too little there may be enough with the other side's.
impl Half<'_> {
    /// Longs without what is too little at their far end.
    fn trim_low(self, floor: f64) -> Self {
        let near = self.levels.len().saturating_sub(1);
        let from = self.levels.iter().position(|usd| *usd >= floor).unwrap_or(near).min(near);
        Self {
            first: self.first + from as i32,
            levels: &self.levels[from..],
            positions: &self.positions[from..],
        }
    }

    /// Shorts likewise.
    fn trim_high(self, floor: f64) -> Self {
        let to = self.levels.iter().rposition(|usd| *usd >= floor).map_or(1, |last| last + 1);
        let to = to.min(self.levels.len());
        Self { levels: &self.levels[..to], positions: &self.positions[..to], ..self }
    }
}

/// The values of both sides bin by bin, from the first of the longs to the last of the shorts; they share one bin at most,
/// that of the mark.
fn join<'a>(long: Half<'a>, short: Half<'a>, of: impl Fn(&Half<'a>) -> &'a [f64]) -> Vec<f64> {
    let (below, above) = (of(&long), of(&short));
    if below.is_empty() || above.is_empty() {
        return [below, above].concat();
    }
    let end = long.first + below.len() as i32;
    let hole = (short.first - end).max(0) as usize;
    let shared = ((end - short.first).max(0) as usize).min(below.len()).min(above.len());
    let mut values = Vec::with_capacity(below.len() + hole + above.len());
    values.extend_from_slice(below);
    values.resize(below.len() + hole, 0.0);
    let (both, alone) = above.split_at(shared);
    values[below.len() - shared..].iter_mut().zip(both).for_each(|(sum, more)| *sum += more);
    values.extend_from_slice(alone);
    values
}

/// Packs amounts by bin.
pub fn pack(amounts: &ByBin) -> Packed {
    let (Some((&first, _)), Some((&last, _))) = (amounts.first_key_value(), amounts.last_key_value()) else {
        return Packed::default();
    };
    let mut values = vec![0.0; (last - first + 1) as usize];
    for (bin, usd) in amounts {
        values[(bin - first) as usize] = *usd;
    }
    Packed::new(first, &values, FLOOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::calibrate::Uncertainty;
    use crate::estimate::readout::SideLevels;

    #[test]
    fn both_sides_meet_in_the_bin_of_the_mark() {
        // A floor of half a dollar: the outer quarters are nothing, the two halves of bin 12 are one level.
        let side = |first: i32, usd: &[f64]| {
            let mut levels: [Vec<f64>; TIERS] = Default::default();
            levels[2] = usd.to_vec();
            let positions = levels.clone().map(|tier| tier.iter().map(|usd| 1.5 * usd).collect());
            SideLevels { first: [first; TIERS], levels, positions, scale: 1.0 }
        };
        let readout = Readout {
            mark: 100.0,
            mark_bin: 12,
            oi: 0.0,
            sides: [side(9, &[0.25, 4.0, 0.0, 0.3]), side(12, &[0.3, 0.0, 8.0, 0.25])],
            coverage: 1.0,
            uncertainty: Uncertainty::default(),
        };
        let packed = PackedLevels::new(&readout);
        let read = |packed: &Packed| {
            let mut out = vec![0.0; 7];
            packed.add_to(9, &mut out);
            out
        };
        // 0.6 to eight bits is 0.6015625.
        assert_eq!(read(&packed.levels[2]), [0.0, 4.0, 0.0, 0.601_562_5, 0.0, 8.0, 0.0]);
        assert_eq!(read(&packed.factors[2]), [0.0, 1.5, 0.0, 1.5, 0.0, 1.5, 0.0]);
        assert_eq!(packed.levels[0], Packed::default());
        // Sides that hold nothing pack to nothing.
        let empty = Readout { sides: [side(9, &[0.1; 4]), side(12, &[0.1; 4])], ..readout };
        assert_eq!(PackedLevels::new(&empty).levels[2], Packed::default());
    }

    fn one_side() -> impl proptest::strategy::Strategy<Value = Vec<(f64, f64)>> {
        use proptest::prelude::*;
        let usd = prop_oneof![4 => Just(0.0), 1 => 0.0..1.0_f64, 3 => 1.0..1e6_f64];
        prop::collection::vec((usd, 1.0..2.0_f64), 1..40)
    }

    proptest::proptest! {
        /// The short way gives what summing both sides in one row of bins gives.
        #[test]
        fn packing_is_the_sum_of_both_sides(long in one_side(), short in one_side()) {
            let side = |first: i32, rows: &[(f64, f64)]| {
                let mut levels: [Vec<f64>; TIERS] = Default::default();
                let mut positions = levels.clone();
                levels[0] = rows.iter().map(|r| r.0).collect();
                positions[0] = rows.iter().map(|r| r.0 * r.1).collect();
                SideLevels { first: [first; TIERS], levels, positions, scale: 1.0 }
            };
            let first = 1_000 - long.len() as i32 + 1;
            let sides = [side(first, &long), side(1_000, &short)];
            let mut sums = vec![(0.0, 0.0); long.len() + short.len() - 1];
            for (at, rows) in [(0, &sides[0]), (long.len() - 1, &sides[1])] {
                for (i, (usd, position)) in rows.levels[0].iter().zip(&rows.positions[0]).enumerate() {
                    sums[at + i].0 += usd;
                    sums[at + i].1 += position;
                }
            }
            let factor = |(usd, position): &(f64, f64)| {
                if *usd >= FLOOR { (position / usd / FACTOR_STEP).round() * FACTOR_STEP } else { 0.0 }
            };
            let levels: Vec<f64> = sums.iter().map(|s| s.0).collect();
            let factors: Vec<f64> = sums.iter().map(factor).collect();
            let readout = Readout { mark: 1.0, mark_bin: 1_000, oi: 0.0, sides, coverage: 1.0, uncertainty: Uncertainty::default() };
            let packed = PackedLevels::new(&readout);
            proptest::prop_assert_eq!(&packed.levels[0], &Packed::new(first, &levels, FLOOR));
            proptest::prop_assert_eq!(&packed.factors[0], &Packed::new(first, &factors, f64::MIN_POSITIVE));
        }
    }
}
