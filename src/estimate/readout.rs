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
    /// The first bin.
    pub first: i32,
    /// T2 by tier: USD expected to be force-closed if price sweeps the bin. Empty for tiers the venue does not have.
    pub levels: [Vec<f64>; TIERS],
    /// T1 by tier: USD of positions there now.
    pub positions: [Vec<f64>; TIERS],
    /// What T1, and T2 with it, was scaled by so that T1 does not exceed open interest.
    pub scale: f64,
}

impl SideLevels {
    /// The bins covered.
    pub fn span(&self) -> Range<i32> {
        self.first..self.first + self.levels[0].len() as i32
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
        let i = usize::try_from(bin - self.first).unwrap_or(usize::MAX);
        Tier::ALL.map(|t| from[t.index()].get(i).copied().unwrap_or(0.0))
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

    fn empty(&mut self) -> Vec<f64> {
        let mut values = self.0.pop().unwrap_or_default();
        values.clear();
        values
    }

    fn zeros(&mut self, length: usize) -> Vec<f64> {
        let mut values = self.empty();
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
        // (1 − r·(1 − d)) / d for a long and (r·(1 + d) − 1) / d for a short: linear in r.
        let lines: Vec<(usize, f64, f64)> = components
            .iter()
            .map(|c| {
                let d = c.distance[side];
                let (at_zero, slope) =
                    if side == 0 { (1.0 / d, -(1.0 - d) / d) } else { (-1.0 / d, (1.0 + d) / d) };
                (c.tier.index(), at_zero, slope)
            })
            .collect();
        let middles = bins.mids(&live);
        let mut ratios = room.empty();
        ratios.extend(middles.iter().map(|middle| mark / middle));
        // Tiers the venue does not have stay empty.
        let known_tier = Tier::Known.index();
        let has_known = measured.coins(side) > 0.0;
        let used = |tier: usize| {
            tier == Tier::Low.index()
                || tier == known_tier && has_known
                || lines.iter().any(|(t, ..)| *t == tier)
        };
        let mut zeros = |tier: usize| if used(tier) { room.zeros(live.len()) } else { Vec::new() };
        let mut levels: [Vec<f64>; TIERS] = std::array::from_fn(&mut zeros);
        let mut positions: [Vec<f64>; TIERS] = std::array::from_fn(&mut zeros);
        let mut coins = room.zeros(live.len());
        // Component by component, over the bins it has: every sum still takes its parts in the order of the components.
        for ((k, weights), (tier, at_zero, slope)) in weights.chunks_exact(H).enumerate().zip(&lines) {
            let extent = common(&book.extent(k), &live);
            if extent.is_empty() {
                continue;
            }
            let from = (extent.start - live.start) as usize;
            let rows = levels[*tier][from..].iter_mut().zip(&mut positions[*tier][from..]);
            let rows = rows.zip(&mut coins[from..]).zip(middles[from..].iter().zip(&ratios[from..]));
            for (cell, (((usd, position_usd), coins), (middle, ratio))) in
                book.masses(k, &extent).iter().zip(rows)
            {
                let level = cell.iter().zip(weights).map(|(u, w)| u * w).sum::<f64>();
                if level > 0.0 {
                    let progress = (at_zero + slope * ratio).clamp(0.0, 1.0);
                    let position = level * (1.0 - (1.0 - SURVIVAL) * progress) / SURVIVAL;
                    *usd += level * middle;
                    *position_usd += position * middle;
                    *coins += position;
                }
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
        let modelled: f64 = coins.iter().sum();
        let scale = if modelled > oi - known { (oi - known) / modelled } else { 1.0 };
        if scale < 1.0 {
            for value in levels.iter_mut().chain(&mut positions).flatten() {
                *value *= scale;
            }
        }
        if has_known {
            let exact = known / measured.coins(side);
            for (level, qty) in measured.levels(Side::BOTH[side]) {
                let bin = bins.bin(level).filter(|bin| live.contains(bin));
                if let Some(i) = bin.map(|bin| (bin - live.start) as usize) {
                    levels[known_tier][i] += exact * qty * middles[i];
                    positions[known_tier][i] += exact * qty * middles[i];
                }
            }
        }
        room.0.extend([ratios, coins]);
        let covered = known + modelled * scale;
        let share = if oi > 0.0 { (covered / oi).min(1.0) } else { 0.0 };
        (SideLevels { first: live.start, levels, positions, scale }, share)
    }
}
