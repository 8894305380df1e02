//! From a read-out and what happened to the packed form columns keep.

use crate::estimate::levels::ByBin;
use crate::estimate::{Packed, Readout, Tier};
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
    pub levels: [Packed; 6],
    /// T1 over T2 by tier.
    pub factors: [Packed; 6],
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
    let (long, short) = (readout.side(Side::Long), readout.side(Side::Short));
    let i = tier.index();
    if [long, short].into_iter().all(|side| side.levels[i].iter().all(|usd| *usd <= 0.0)) {
        return (Packed::default(), Packed::default());
    }
    let first = long.span().start.min(short.span().start);
    let end = long.span().end.max(short.span().end);
    let mut levels = vec![0.0; (end - first) as usize];
    let mut positions = levels.clone();
    for side in [long, short] {
        let at = (side.first - first) as usize;
        for (into, from) in [(&mut levels, &side.levels[i]), (&mut positions, &side.positions[i])] {
            for (slot, value) in into[at..].iter_mut().zip(from) {
                *slot += value;
            }
        }
    }
    let floor = FLOOR.max(readout.oi * readout.mark * FLOOR_SHARE);
    for (position, level) in positions.iter_mut().zip(&levels) {
        *position =
            if *level >= floor { (*position / level / FACTOR_STEP).round() * FACTOR_STEP } else { 0.0 };
    }
    (Packed::new(first, &levels, floor), Packed::new(first, &positions, f64::MIN_POSITIVE))
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
