//! Reading levels out of the state: T2, the USD expected to be force-closed if price sweeps a bin, and T1, the position
//! mass there now.

use std::ops::Range;

use crate::market::Side;

use super::bins::BinTable;
use super::calibrate::{Calibration, Uncertainty};
use super::cohort::{Cohorts, common};
use super::components::{CLASSES, Components, SURVIVAL};
use super::measured::Measured;
use super::tiers::{TIERS, Tier};

/// Background mass of a 5 bp bin, share of open interest: it explains prints no level predicted and is the map's floor.
const BACKGROUND: f64 = 1e-4;
/// Background reaches as far from the path as the smears do, share of price.
const BACKGROUND_REACH: [f64; 2] = [0.4, 1.6];

/// The background: a thin uniform mass on the live side of the path.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Background {
    /// Mass of one bin, share of open interest.
    share: f64,
    /// How far it reaches below (longs) and above (shorts), bins.
    reach: [i32; 2],
}

impl Background {
    /// For a table of bins: the mass is stated for 5 bp and grows with the width.
    pub fn new(bins: &BinTable) -> Self {
        let reach = BACKGROUND_REACH.map(|factor| (libm::log(factor) / bins.log_step()).abs() as i32);
        Self { share: BACKGROUND * bins.bp() / 5.0, reach }
    }

    /// The bins it lies in on one side of the path.
    pub fn span(&self, side: usize, path_bin: i32) -> Range<i32> {
        if side == 0 {
            path_bin - self.reach[0]..path_bin + 1
        } else {
            path_bin..path_bin + self.reach[1] + 1
        }
    }

    /// Mass in each of those bins, base coin.
    pub fn mass(&self, oi: f64) -> f64 {
        oi * self.share
    }
}

/// One side's levels, USD by tier and bin.
#[derive(Debug, Clone, PartialEq)]
pub struct SideLevels {
    /// The first bin by tier: that of the lowest covers all others, most of which lie near the mark.
    pub first: [i32; TIERS],
    /// T2 by tier: USD expected to be force-closed if price sweeps the bin. Empty for tiers that have nothing.
    pub levels: [Vec<f64>; TIERS],
    /// T1 by tier: USD of positions there now.
    pub positions: [Vec<f64>; TIERS],
    /// What T1, and T2 with it, was scaled by so that T1 does not exceed open interest.
    pub scale: f64,
}

impl SideLevels {
    /// The bins covered.
    pub fn span(&self) -> Range<i32> {
        let low = Tier::Low.index();
        self.first[low]..self.first[low] + self.levels[low].len() as i32
    }

    /// T2 of a bin over all tiers, USD.
    pub fn level(&self, bin: i32) -> f64 {
        self.at(&self.levels, bin).iter().sum()
    }

    /// T2 of a bin by tier, USD.
    pub fn by_tier(&self, bin: i32) -> [f64; TIERS] {
        self.at(&self.levels, bin)
    }

    /// T1 of a bin over all tiers, USD.
    pub fn position(&self, bin: i32) -> f64 {
        self.at(&self.positions, bin).iter().sum()
    }

    fn at(&self, from: &[Vec<f64>; TIERS], bin: i32) -> [f64; TIERS] {
        Tier::ALL.map(|t| {
            let i = usize::try_from(bin - self.first[t.index()]).unwrap_or(usize::MAX);
            from[t.index()].get(i).copied().unwrap_or(0.0)
        })
    }
}

/// All levels of one venue at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Readout {
    /// Price the sides are split at, USD per coin.
    pub mark: f64,
    /// Its bin.
    pub mark_bin: i32,
    /// Open interest, base coin.
    pub oi: f64,
    /// Longs (at and below the mark's bin), then shorts (at and above).
    pub sides: [SideLevels; 2],
    /// Share of open interest that resting mass explains, 0 to 1, mean of both sides.
    pub coverage: f64,
    /// What it takes to put a band around a level.
    pub uncertainty: Uncertainty,
}

/// Where read-outs are made. Each takes a megabyte for a moment; an allocator may give that back and ask for it anew each time.
#[derive(Debug, Default)]
pub struct Room(Vec<Vec<f64>>);

impl Room {
    /// Takes back what a read-out was made in.
    pub fn take_back(&mut self, readout: Readout) {
        for SideLevels { levels, positions, .. } in readout.sides {
            self.0.extend(levels.into_iter().chain(positions).filter(|values| values.capacity() > 0));
        }
    }

    fn zeros(&mut self, length: usize) -> Vec<f64> {
        let mut values = self.0.pop().unwrap_or_default();
        values.clear();
        values.resize(length, 0.0);
        values
    }
}

impl Readout {
    /// Reads both sides at a price and its bin.
    pub fn new(sources: &Sources<'_>, oi: f64, (mark, mark_bin): (f64, i32), room: &mut Room) -> Self {
        let &Sources { bins, components, calibration, background, books, measured } = sources;
        let mut covered = 0.0;
        let sides = Side::BOTH.map(|side| {
            let i = side.index();
            let reading =
                Reading { bins, components, theta: calibration.theta(i), book: &books[i], measured, side: i };
            let floor = (background.span(i, mark_bin), background.mass(oi) * calibration.background(i));
            let (levels, share) = reading.read(&floor, oi, (mark, mark_bin), room);
            covered += share;
            levels
        });
        let uncertainty = calibration.uncertainty(components, books, mark);
        Self { mark, mark_bin, oi, sides, coverage: covered / 2.0, uncertainty }
    }

    /// One side.
    pub fn side(&self, side: Side) -> &SideLevels {
        &self.sides[side.index()]
    }
}

/// What levels are read from.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The bins.
    pub bins: &'a BinTable,
    /// The distance components.
    pub components: &'a Components,
    /// Their weights.
    pub calibration: &'a Calibration,
    /// The floor of the map.
    pub background: &'a Background,
    /// Mass by side.
    pub books: &'a [Cohorts; 2],
    /// Positions that are public.
    pub measured: &'a Measured,
}

/// What one side is read from.
struct Reading<'a> {
    bins: &'a BinTable,
    components: &'a Components,
    theta: &'a [f64],
    book: &'a Cohorts,
    measured: &'a Measured,
    side: usize,
}

impl Reading<'_> {
    /// The side's levels, and the share of open interest they cover. `floor`: where the background lies, and its T2 a bin.
    fn read(
        &self,
        floor: &(Range<i32>, f64),
        oi: f64,
        (mark, mark_bin): (f64, i32),
        room: &mut Room,
    ) -> (SideLevels, f64) {
        const H: usize = CLASSES.len();
        let &Reading { bins, components, theta, book, measured, side } = self;
        let cells = book.span();
        let live = if side == 0 {
            cells.start.min(floor.0.start)..mark_bin + 1
        } else {
            mark_bin..cells.end.max(floor.0.end)
        };
        let live = live.start.max(0)..live.end.min(bins.len());
        let scale = book.scale();
        let weights: Vec<f64> = theta.iter().enumerate().map(|(slot, t)| t * scale[slot % H]).collect();
        // progress = (entry − mark) / (entry − level) with entry = level / (1 ∓ d); with r = mark / level that is
        // (1 − r·(1 − d)) / d for a long and (r·(1 + d) − 1) / d for a short: linear in r, and so in 1 / level.
        let lines: Vec<(usize, f64, f64)> = components
            .iter()
            .map(|c| {
                let d = c.distance[side];
                let (at_zero, slope) =
                    if side == 0 { (1.0 / d, -(1.0 - d) / d) } else { (-1.0 / d, (1.0 + d) / d) };
                (c.tier.index(), at_zero, slope)
            })
            .collect();
        // A tier has room for the bins its components have: most of them lie near the mark, and nothing is as dear as passing over nothing.
        let has_known = measured.coins(side) > 0.0;
        let mut spans: [Range<i32>; TIERS] = std::array::from_fn(|_| 0..0);
        for (k, &(tier, ..)) in lines.iter().enumerate() {
            let extent = common(&book.extent(k), &live);
            if !extent.is_empty() {
                spans[tier] = hull(&spans[tier], &extent);
            }
        }
        spans[Tier::Low.index()] = live.clone();
        if has_known {
            spans[Tier::Known.index()] = live.clone();
        }
        let mut zeros = |tier: usize| room.zeros(spans[tier].len());
        let mut levels: [Vec<f64>; TIERS] = std::array::from_fn(&mut zeros);
        let mut positions: [Vec<f64>; TIERS] = std::array::from_fn(&mut zeros);
        let mut coins = room.zeros(live.len());
        let middles = bins.mids(&live);
        let inverses = bins.inverse_mids(&live);
        // Component by component, over the bins it has: every sum still takes its parts in the order of the components.
        for ((k, weights), &(tier, at_zero, slope)) in
            weights.as_chunks::<H>().0.iter().enumerate().zip(&lines)
        {
            let extent = common(&book.extent(k), &live);
            let masses = book.masses(k, &extent);
            if masses.is_empty() {
                continue;
            }
            let in_live = (extent.start - live.start) as usize..(extent.end - live.start) as usize;
            let in_tier =
                (extent.start - spans[tier].start) as usize..(extent.end - spans[tier].start) as usize;
            // Without a branch, so that several bins are computed at once: where nothing is, nothing is added.
            let places = levels[tier][in_tier.clone()].iter_mut().zip(&mut positions[tier][in_tier]);
            let places = places.zip(&mut coins[in_live.clone()]);
            let prices = middles[in_live.clone()].iter().zip(&inverses[in_live]);
            let slope = slope * mark;
            for ((cell, ((usd, position_usd), coins)), (middle, inverse)) in
                masses.iter().zip(places).zip(prices)
            {
                let level = cell.iter().zip(weights).map(|(u, w)| u * w).sum::<f64>();
                let progress = (at_zero + slope * inverse).clamp(0.0, 1.0);
                let position = level * (1.0 - (1.0 - SURVIVAL) * progress) / SURVIVAL;
                *usd += level * middle;
                *position_usd += position * middle;
                *coins += position;
            }
        }
        let low = Tier::Low.index();
        let reached = common(&floor.0, &live);
        let from = (reached.start - live.start) as usize;
        let rows = levels[low].iter_mut().zip(&mut positions[low]).zip(coins.iter_mut().zip(middles));
        for ((usd, position_usd), (coins, middle)) in rows.skip(from).take(reached.len()) {
            *usd += floor.1 * middle;
            *position_usd += floor.1 * middle;
            *coins += floor.1;
        }
        // What is public is exact; the estimate may fill what is left of open interest, not more.
        let known = measured.coins(side).min(oi);
        let modelled = sum(&coins);
        let scale = if modelled > oi - known { (oi - known) / modelled } else { 1.0 };
        if scale < 1.0 {
            for value in levels.iter_mut().chain(&mut positions).flatten() {
                *value *= scale;
            }
        }
        if has_known {
            let (exact, known_tier) = (known / measured.coins(side), Tier::Known.index());
            for (level, qty) in measured.levels(Side::BOTH[side]) {
                let bin = bins.bin(level).filter(|bin| live.contains(bin));
                if let Some(i) = bin.map(|bin| (bin - live.start) as usize) {
                    levels[known_tier][i] += exact * qty * middles[i];
                    positions[known_tier][i] += exact * qty * middles[i];
                }
            }
        }
        room.0.push(coins);
        let covered = known + modelled * scale;
        let share = if oi > 0.0 { (covered / oi).min(1.0) } else { 0.0 };
        (SideLevels { first: spans.map(|span| span.start), levels, positions, scale }, share)
    }
}

/// The bins from the first to the last of two runs of bins.
fn hull(a: &Range<i32>, b: &Range<i32>) -> Range<i32> {
    if a.is_empty() { b.clone() } else { a.start.min(b.start)..a.end.max(b.end) }
}

/// The sum of values, every eighth by itself first: a sum in one row waits for each addition before the next.
fn sum(values: &[f64]) -> f64 {
    let (eights, rest) = values.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for eight in eights {
        sums.iter_mut().zip(eight).for_each(|(sum, value)| *sum += value);
    }
    sums.iter().chain(rest).sum()
}
