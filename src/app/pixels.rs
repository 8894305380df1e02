//! The pixel grid: levels summed over price and averaged over time, cached column by column.

mod gather;
mod kernel;
mod sum;

use std::sync::Arc;

use crate::engine::{Print, Snapshot, VenueView};
use crate::estimate::calibrate::band::Spread;
use crate::estimate::{Bar, BinTable, Column, Packed, Preset, TIERS, Tier, TierSet};
use crate::market::{Side, Venue};

use super::model::{Model, Sides, View};
use super::profile::{MapBy, PARTS, Parts};
use super::scale::Shading;
use super::viewport::Geometry;
use gather::{Lane, Standing, gather};
pub use sum::rows;
use sum::{Scratch, Source, Way, mark_bin};

/// Where the moment before a change is looked up, ms: the shortest column there is.
const MOMENT: i64 = 60_000;

/// One column of pixels.
#[derive(Debug, Clone, Default)]
pub struct PixelColumn {
    sources: Vec<Source>,
    /// What is taken off, where the view is a difference.
    against: Vec<Source>,
    /// USD by row, from below; below zero where a difference is.
    pub usd: Vec<f64>,
    /// The step of the ramp by row, and what made it so.
    pub steps: Vec<i16>,
    shading: Option<Shading>,
    /// USD of liquidations **observed** by row and side, where the model marks them; rows rising.
    pub prints: Vec<(usize, [f64; 2])>,
    /// USD of levels the mark's path consumed, as `prints`: **estimated**.
    pub swept: Vec<(usize, [f64; 2])>,
    /// Whether there is data to speak of, of any venue; without it the column is hatched.
    pub covered: bool,
    /// The venues that are drawn elsewhere and have no data to speak of here. Their share is not guessed.
    pub missing: Vec<Venue>,
    /// Whether it holds the levels of this moment and will still change.
    pub live: bool,
    /// The highest row that counts as below price: longs are there and below, shorts above.
    pub mark_row: i64,
    /// Trading during it: prices of the venue drawn with the largest open interest, volume of all.
    pub bar: Option<Bar>,
    /// Where that bar lies.
    pub place: Option<BarPlace>,
}

/// A bar's prices as bin positions: equal steps are equal in log price.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BarPlace {
    /// First.
    pub open: f64,
    /// Highest.
    pub high: f64,
    /// Lowest.
    pub low: f64,
    /// Last.
    pub close: f64,
}

impl BarPlace {
    fn new(bar: &Bar, bins: &BinTable) -> Self {
        let [open, high, low, close] =
            [bar.open, bar.high, bar.low, bar.close].map(|price| bins.position(price));
        Self { open, high, low, close }
    }

    /// Takes in the bar that follows.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        Self { high: self.high.max(next.high), low: self.low.min(next.low), close: next.close, ..self }
    }
}

impl PixelColumn {
    /// USD of liquidations **observed** in the time of the column, longs then shorts; of the venues and sides that are drawn. A
    /// column of the history that straddles two pixel columns counts where it starts.
    pub fn printed(&self, start: i64, sides: Sides) -> [f64; 2] {
        let columns = || self.sources.iter().map(|s| &s.column).filter(|c| c.start >= start);
        Side::BOTH.map(|side| {
            let usd = columns().map(|c| c.printed[side.index()].sum()).sum();
            if sides.has(side) { usd } else { 0.0 }
        })
    }

    /// Finds the steps of its rows, unless they are known: a closed column is shaded once a view.
    fn shade(&mut self, shading: Shading) {
        if self.shading != Some(shading) {
            self.shading = Some(shading);
            self.steps = self.usd.iter().map(|usd| shading.step(*usd) as i16).collect();
        }
    }

    /// Whether it is made of the same columns and says the same of them.
    fn is_like(&self, other: &Self) -> bool {
        (&self.sources, &self.against) == (&other.sources, &other.against)
            && (self.covered, self.live, &self.missing) == (other.covered, other.live, &other.missing)
    }

    /// Takes off what is compared with: only of venues with data on both sides, so that data that begin or end are not taken for
    /// levels that came or went.
    fn compare(&mut self, with: Self) {
        let holds = |list: &[Source], venue| list.iter().any(|s| s.venue == venue && s.weight > 0.0);
        let both = |venue| holds(&self.sources, venue) && holds(&with.sources, venue);
        let alone: Vec<Venue> = self
            .sources
            .iter()
            .chain(&with.sources)
            .filter(|s| s.weight > 0.0 && !both(s.venue))
            .map(|s| s.venue)
            .collect();
        self.covered &= with.covered && with.sources.iter().any(|s| s.weight > 0.0 && both(s.venue));
        for venue in with.missing.into_iter().chain(alone.iter().copied()) {
            if !self.missing.contains(&venue) {
                self.missing.push(venue);
            }
        }
        self.sources.iter_mut().filter(|s| alone.contains(&s.venue)).for_each(|s| s.weight = 0.0);
        let shared = with.sources.into_iter().filter(|s| s.weight > 0.0 && !alone.contains(&s.venue));
        self.against = shared.collect();
    }

    /// Finds the rows in which liquidations were observed, and those that were swept; a column that straddles two counts where it
    /// starts.
    fn find_marks(&mut self, start: i64, geometry: &Geometry, sides: Sides) {
        let columns = || self.sources.iter().map(|s| &*s.column).filter(|c| c.start >= start);
        let prints = by_row(columns().map(|c| &c.printed), geometry, sides);
        let swept = by_row(columns().map(|c| &c.swept), geometry, sides);
        (self.prints, self.swept) = (prints, swept);
    }
}

/// USD by row and side of what has a place in price; rows rising.
fn by_row<'a>(
    columns: impl Iterator<Item = &'a [Packed; 2]>,
    geometry: &Geometry,
    sides: Sides,
) -> Vec<(usize, [f64; 2])> {
    let mut rows = std::collections::BTreeMap::<usize, [f64; 2]>::new();
    for packed in columns {
        for side in Side::BOTH.into_iter().filter(|side| sides.has(*side)) {
            for (bin, len, usd) in packed[side.index()].spans().filter(|s| s.2 > 0.0) {
                for bin in bin..bin + len {
                    let row = geometry.row(f64::from(bin) + 0.5);
                    if (0..geometry.rows as i64).contains(&row) {
                        rows.entry(row as usize).or_default()[side.index()] += usd;
                    }
                }
            }
        }
    }
    rows.into_iter().collect()
}

/// What is drawn: which tiers, which venues, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// The tiers that count.
    pub tiers: TierSet,
    /// The venues that do not.
    pub hidden: Vec<Venue>,
    /// The sides that count.
    pub sides: Sides,
    /// The display model.
    pub model: Model,
    /// Levels, or a difference.
    pub view: View,
}

impl Default for Selection {
    /// Everything, by the default model.
    fn default() -> Self {
        Self {
            tiers: TierSet::ALL,
            hidden: Vec::new(),
            sides: Sides::default(),
            model: Model::default(),
            view: View::default(),
        }
    }
}

impl Selection {
    /// The venues that count, in their order.
    pub fn venues<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a VenueView> {
        snapshot.venues.iter().filter(|v| !self.hidden.contains(&v.venue))
    }

    /// The observed liquidations of the venues and sides that count, oldest first.
    pub fn tape<'a>(&'a self, snapshot: &'a Snapshot) -> impl DoubleEndedIterator<Item = &'a Print> {
        snapshot.tape.iter().filter(|p| !self.hidden.contains(&p.venue) && self.sides.has(p.side))
    }

    /// Whether observed liquidations and self-feeding rows are marked.
    pub fn marks(&self) -> bool {
        self.model == Model::Comprehensive && self.view == View::Ours
    }

    /// How the heatmap sums our levels, and how those of another map: they are drawn as they are.
    fn ways(&self, bins: &BinTable) -> [Way; 2] {
        let sides = self.sides;
        let plain = Way { tiers: TierSet::ALL, sides, smooth: None };
        let smooth = (self.model == Model::Zones).then(|| bins.log_step());
        let ours = Way { tiers: self.model.tiers(self.tiers), sides, smooth };
        match self.view {
            View::Ours | View::Change(_) => [ours, ours],
            View::Preset(_) => [plain, plain],
            View::Against(_) => [ours, plain],
        }
    }

    /// The tiers the map panel and the totals count.
    pub fn counted(&self) -> TierSet {
        if matches!(self.view, View::Preset(_)) { TierSet::ALL } else { self.tiers }
    }

    /// The running column that is drawn of a venue.
    pub fn live<'a>(&self, view: &'a VenueView) -> Option<&'a Arc<Column>> {
        match self.view {
            View::Preset(preset) => view.preset.as_ref().filter(|p| p.preset == preset)?.live.as_ref(),
            _ => view.live.as_ref(),
        }
    }

    /// What is drawn of each venue.
    fn lanes<'a>(&'a self, snapshot: &'a Snapshot) -> Vec<Lane<'a>> {
        match self.view {
            View::Preset(preset) => self.preset_lanes(snapshot, preset),
            _ => self.venues(snapshot).map(Lane::ours).collect(),
        }
    }

    /// What it is compared with.
    fn other_lanes<'a>(&'a self, snapshot: &'a Snapshot) -> Vec<Lane<'a>> {
        match self.view {
            View::Against(preset) => self.preset_lanes(snapshot, preset),
            View::Change(_) => self.lanes(snapshot),
            _ => Vec::new(),
        }
    }

    fn preset_lanes<'a>(&'a self, snapshot: &'a Snapshot, preset: Preset) -> Vec<Lane<'a>> {
        self.venues(snapshot).filter_map(|v| Lane::of_preset(v, preset)).collect()
    }
}

/// What a refresh found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Nothing.
    None,
    /// Only columns that hold this moment.
    Live,
    /// Closed columns, who tells of this moment, or the whole view.
    Closed,
}

/// What lies under the crosshair; amounts have signs where the view is a difference.
#[derive(Debug, Clone)]
pub struct Probe {
    /// USD by tier.
    pub tiers: [f64; TIERS],
    /// Variance of what is modelled of it, USD².
    pub spread: Spread,
    /// USD by venue.
    pub venues: Vec<(Venue, f64)>,
    /// The venues whose open interest is not known here and was held constant.
    pub held: Vec<Venue>,
}

/// The cached pixel grid.
#[derive(Debug, Clone)]
pub struct Grid {
    /// Its place in time and price.
    pub geometry: Geometry,
    selection: Selection,
    bins: Arc<BinTable>,
    /// What its closed columns were found in.
    standing: [Vec<Standing>; 2],
    /// The time it shows, UTC ms: columns that end by then are over.
    now: i64,
    /// Its columns, oldest first.
    pub columns: Vec<PixelColumn>,
}

impl Grid {
    /// A grid with no columns yet.
    pub fn new(geometry: Geometry, selection: Selection, bins: Arc<BinTable>) -> Self {
        Self { geometry, selection, bins, standing: Default::default(), now: i64::MIN, columns: Vec::new() }
    }

    /// Brings the grid up to date; only columns whose sources changed are summed again, and only those that may have are looked at.
    pub fn refresh(&mut self, geometry: Geometry, selection: &Selection, snapshot: &Snapshot) -> Change {
        let old = std::mem::take(&mut self.columns);
        let place = |g: &Geometry| (g.dt, g.low.to_bits(), g.step.to_bits(), g.rows);
        let reusable = place(&geometry) == place(&self.geometry)
            && *selection == self.selection
            && Arc::ptr_eq(&self.bins, &snapshot.bins);
        let shift = (geometry.start - self.geometry.start) / geometry.dt;
        let is_same = geometry == self.geometry && reusable;
        self.geometry = geometry;
        self.selection = selection.clone();
        self.bins = Arc::clone(&snapshot.bins);

        let mut old: Vec<Option<PixelColumn>> = old.into_iter().map(Some).collect();
        let mut scratch = self.scratch(&geometry);
        let lanes = [self.selection.lanes(snapshot), self.selection.other_lanes(snapshot)];
        let standing: [Vec<Standing>; 2] =
            lanes.each_ref().map(|lanes| lanes.iter().map(Lane::standing).collect());
        let stands = standing == self.standing;
        // A venue that has begun to tell of this moment changes all that is measured by it, as a column that closes does.
        let running = |standing: &[Vec<Standing>; 2]| {
            standing.iter().flatten().map(Standing::running).collect::<Vec<_>>()
        };
        let is_same = is_same && (stands || running(&standing) == running(&self.standing));
        let mut change = if is_same { Change::None } else { Change::Closed };
        let over = std::mem::replace(&mut self.now, snapshot.now).min(snapshot.now);
        self.standing = standing;
        for i in 0..geometry.columns {
            let slot = usize::try_from(i as i64 + shift).ok().filter(|_| reusable);
            let mut slot = slot.and_then(|s| old.get_mut(s));
            let is_over = stands && geometry.time(i + 1) <= over;
            if let Some(same) = slot.as_mut().and_then(|slot| slot.take_if(|c| is_over && !c.live)) {
                self.columns.push(same);
                continue;
            }
            let mut fresh = self.gather(geometry.time(i), snapshot.now, &lanes);
            let same = slot.and_then(|slot| slot.take_if(|c| c.is_like(&fresh)));
            let column = same.unwrap_or_else(|| {
                change = if fresh.live && change != Change::Closed { Change::Live } else { Change::Closed };
                self.fill(&mut fresh, &mut scratch);
                if self.selection.marks() {
                    fresh.find_marks(geometry.time(i), &geometry, self.selection.sides);
                }
                fresh
            });
            self.columns.push(column);
        }
        change
    }

    /// Buffers for a view, with what may be smoothed into it.
    fn scratch(&self, geometry: &Geometry) -> Scratch {
        let [ours, _] = self.selection.ways(&self.bins);
        Scratch::new(geometry, ours.margin(&self.geometry))
    }

    /// Finds the steps of the ramp of all columns that do not know theirs.
    pub fn shade(&mut self, shading: Shading) {
        self.columns.iter_mut().for_each(|column| column.shade(shading));
    }

    /// Finds what a pixel column is made of.
    fn gather(&self, start: i64, now: i64, [lanes, other]: &[Vec<Lane<'_>>; 2]) -> PixelColumn {
        let dt = self.geometry.dt;
        let mut pixel = gather(start, dt, now, lanes);
        let with = match self.selection.view {
            // This moment, less that moment: neither is a mean.
            View::Change(ms) if pixel.live => {
                gather((now - ms).div_euclid(MOMENT) * MOMENT, MOMENT, now, other)
            }
            View::Change(ms) => gather(start - ms, dt, now, other),
            View::Against(_) => gather(start, dt, now, other),
            View::Ours | View::Preset(_) => return pixel,
        };
        pixel.compare(with);
        pixel
    }

    /// Sums the rows of a pixel column.
    fn fill(&self, pixel: &mut PixelColumn, scratch: &mut Scratch) {
        let [way, other] = self.selection.ways(&self.bins);
        pixel.place = pixel.bar.map(|bar| BarPlace::new(&bar, &self.bins));
        pixel.usd = scratch.sum(&self.geometry, &pixel.sources, way);
        pixel.mark_row = self.geometry.row(f64::from(mark_bin(&pixel.sources)) + 0.5);
        if self.selection.view.is_difference() {
            let before = scratch.sum(&self.geometry, &pixel.against, other);
            pixel.usd.iter_mut().zip(before).for_each(|(usd, before)| *usd -= before);
        }
    }

    /// USD of the levels now, a row of two pixels at a time from above, split by tier or by venue; of the venues and tiers
    /// that are drawn, in every model. Of a difference: what was built, and what was removed.
    pub fn levels_now(&self, snapshot: &Snapshot, by: MapBy) -> Vec<Parts> {
        let mut rows = vec![[0.0; PARTS]; self.geometry.rows / 2];
        if self.selection.view.is_difference() {
            let start = snapshot.now.div_euclid(self.geometry.dt) * self.geometry.dt;
            let lanes = [self.selection.lanes(snapshot), self.selection.other_lanes(snapshot)];
            let mut pixel = self.gather(start, snapshot.now, &lanes);
            self.fill(&mut pixel, &mut self.scratch(&self.geometry));
            for (row, pair) in rows.iter_mut().rev().zip(pixel.usd.chunks(2)) {
                let usd: f64 = pair.iter().sum();
                row[usize::from(usd < 0.0)] = usd.abs();
            }
            return rows;
        }
        let lanes = self.selection.lanes(snapshot);
        let live = |lane: &Lane<'_>| {
            let column = Arc::clone(lane.live()?);
            let slot = snapshot.venues.iter().position(|v| v.venue == lane.venue)?;
            Some((MapBy::slot(slot), Source { venue: lane.venue, column, weight: 1.0 }))
        };
        let (slots, sources): (Vec<usize>, Vec<Source>) = lanes.iter().filter_map(live).unzip();
        let mut scratch = Scratch::new(&self.geometry, 0);
        let mut add = |part: usize, sources: &[Source], tiers: TierSet| {
            let usd = scratch.sum(
                &self.geometry,
                sources,
                Way { tiers, sides: self.selection.sides, smooth: None },
            );
            for (row, pair) in rows.iter_mut().rev().zip(usd.chunks(2)) {
                row[part] += pair.iter().sum::<f64>();
            }
        };
        match by {
            MapBy::Tier => {
                for tier in self.selection.counted().iter() {
                    add(tier.index(), &sources, [tier].into_iter().collect());
                }
            }
            MapBy::Venue => {
                for (slot, source) in slots.iter().zip(&sources) {
                    add(*slot, std::slice::from_ref(source), self.selection.counted());
                }
            }
        }
        rows
    }

    /// How long the levels of a pair of pixels have been at or above a threshold (USD) without a break, up to the end of a column:
    /// ms, and whether they were so already where the view begins. Columns without data break nothing. `None` where they are below.
    pub fn age(&self, column: usize, lower: usize, threshold: f64) -> Option<(i64, bool)> {
        let is_hot = |c: &PixelColumn| {
            let hottest =
                [lower, lower + 1].iter().filter_map(|row| c.usd.get(*row)).copied().fold(0.0, f64::max);
            hottest > 0.0 && hottest >= threshold
        };
        self.columns.get(column).filter(|c| is_hot(c))?;
        let cold = self.columns[..column].iter().rposition(|c| c.covered && !is_hot(c));
        let born = cold.map_or(0, |cold| cold + 1);
        Some(((column + 1 - born) as i64 * self.geometry.dt, cold.is_none()))
    }

    /// The tier and venue split of a pixel, and how far it can be trusted.
    pub fn probe(&self, column: usize, row: usize) -> Probe {
        let mut probe =
            Probe { tiers: [0.0; TIERS], spread: Spread::default(), venues: Vec::new(), held: Vec::new() };
        let Some(column) = self.columns.get(column) else { return probe };
        let row =
            Geometry { low: self.geometry.low + row as f64 * self.geometry.step, rows: 1, ..self.geometry };
        let mut scratch = self.scratch(&row);
        let [way, other] = self.selection.ways(&self.bins);
        for (sources, way, sign) in [(&column.sources, way, 1.0), (&column.against, other, -1.0)] {
            let mark = mark_bin(sources);
            let counted = |s: &&Source| s.weight > 0.0;
            let mut venues: Vec<Venue> = sources.iter().filter(counted).map(|s| s.venue).collect();
            venues.dedup();
            for venue in venues {
                let own: Vec<Source> =
                    sources.iter().filter(counted).filter(|s| s.venue == venue).cloned().collect();
                let mut by_tier = [0.0; TIERS];
                for tier in way.tiers.iter() {
                    let only = Way { tiers: [tier].into_iter().collect(), ..way };
                    by_tier[Tier::index(tier)] = scratch.sum_about(&row, &own, only, mark)[0];
                }
                let usd = sign * by_tier.iter().sum::<f64>();
                match probe.venues.iter_mut().find(|(v, _)| *v == venue) {
                    Some((_, sum)) => *sum += usd,
                    None => probe.venues.push((venue, usd)),
                }
                probe.tiers.iter_mut().zip(by_tier).for_each(|(sum, usd)| *sum += sign * usd);
                // Its columns tell of the same positions: what is off in one is off in all.
                if let Some(source) = own.last() {
                    probe.spread.add(&by_tier, &source.column.uncertainty);
                }
                if own.iter().any(|s| s.column.reconstructed) && !probe.held.contains(&venue) {
                    probe.held.push(venue);
                }
            }
        }
        probe
    }
}
