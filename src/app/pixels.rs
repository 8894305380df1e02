//! The pixel grid: levels summed over price and averaged over time, cached column by column.

use std::sync::Arc;

use crate::engine::snapshot::joint_bar;
use crate::engine::{History, Print, Snapshot, VenueView};
use crate::estimate::{Bar, BinTable, Column, TIERS, Tier, TierSet};
use crate::market::Venue;

use super::profile::{MapBy, PARTS, Parts};
use super::viewport::Geometry;

/// A column of the history, and how much of a pixel column is its.
#[derive(Debug, Clone)]
struct Source {
    venue: Venue,
    column: Arc<Column>,
    /// Share of the venue's levels in this pixel column, 0 to 1. Zero for columns that only lend their bar.
    weight: f64,
}

impl PartialEq for Source {
    /// Columns are immutable, so the same column is the same address.
    fn eq(&self, other: &Self) -> bool {
        self.venue == other.venue && self.weight == other.weight && Arc::ptr_eq(&self.column, &other.column)
    }
}

/// One column of pixels.
#[derive(Debug, Clone, Default)]
pub struct PixelColumn {
    sources: Vec<Source>,
    /// USD by row, from below.
    pub usd: Vec<f64>,
    /// Whether there is data to speak of, of any venue; without it the column is hatched.
    pub covered: bool,
    /// The venues that are drawn elsewhere and have no data to speak of here. Their share is not guessed.
    pub missing: Vec<Venue>,
    /// Whether it holds the levels of this moment and will still change.
    pub live: bool,
    /// Trading during it: prices of the venue drawn with the largest open interest, volume of all.
    pub bar: Option<Bar>,
}

impl PixelColumn {
    /// USD of liquidations **observed** in the time of the column, longs then shorts; of the venues that are drawn. A
    /// column of the history that straddles two pixel columns counts where it starts.
    pub fn printed(&self, start: i64) -> [f64; 2] {
        let columns = || self.sources.iter().map(|s| &s.column).filter(|c| c.start >= start);
        [0, 1].map(|side| columns().map(|c| c.printed[side].sum()).sum())
    }
}

/// What is drawn: which tiers, which venues.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// The tiers that count.
    pub tiers: TierSet,
    /// The venues that do not.
    pub hidden: Vec<Venue>,
}

impl Selection {
    /// The venues that count, in their order.
    pub fn venues<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a VenueView> {
        snapshot.venues.iter().filter(|v| !self.hidden.contains(&v.venue))
    }

    /// The observed liquidations of the venues that count, oldest first.
    pub fn tape<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a Print> {
        snapshot.tape.iter().filter(|p| !self.hidden.contains(&p.venue))
    }
}

/// What a refresh found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Nothing.
    None,
    /// Only columns that hold this moment.
    Live,
    /// Closed columns, or the whole view.
    Closed,
}

/// What lies under the crosshair.
#[derive(Debug, Clone)]
pub struct Probe {
    /// USD by tier.
    pub tiers: [f64; TIERS],
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
    /// Its columns, oldest first.
    pub columns: Vec<PixelColumn>,
}

impl Grid {
    /// A grid with no columns yet.
    pub fn new(geometry: Geometry, selection: Selection, bins: Arc<BinTable>) -> Self {
        Self { geometry, selection, bins, columns: Vec::new() }
    }

    /// Brings the grid up to date; only columns whose sources changed are summed again.
    pub fn refresh(&mut self, geometry: Geometry, selection: &Selection, snapshot: &Snapshot) -> Change {
        let old = std::mem::take(&mut self.columns);
        let place = |g: &Geometry| (g.dt, g.low.to_bits(), g.step.to_bits(), g.rows);
        let reusable = place(&geometry) == place(&self.geometry)
            && *selection == self.selection
            && Arc::ptr_eq(&self.bins, &snapshot.bins);
        let shift = (geometry.start - self.geometry.start) / geometry.dt;
        let mut change = if geometry == self.geometry && reusable { Change::None } else { Change::Closed };
        self.geometry = geometry;
        self.selection = selection.clone();
        self.bins = Arc::clone(&snapshot.bins);

        let mut old: Vec<Option<PixelColumn>> = old.into_iter().map(Some).collect();
        let mut scratch = Scratch::new(&geometry);
        let drawn: Vec<&VenueView> = self.selection.venues(snapshot).collect();
        let has_data: Vec<bool> = drawn.iter().map(|v| has_data(v)).collect();
        for i in 0..geometry.columns {
            let mut fresh = gather(geometry.time(i), geometry.dt, snapshot.now, &drawn, &has_data);
            let slot = usize::try_from(i as i64 + shift).ok().filter(|_| reusable);
            let same = slot.and_then(|s| old.get_mut(s)).and_then(|slot| {
                slot.take_if(|c| {
                    c.sources == fresh.sources
                        && (c.covered, c.live, &c.missing) == (fresh.covered, fresh.live, &fresh.missing)
                })
            });
            self.columns.push(same.unwrap_or_else(|| {
                change = if fresh.live && change != Change::Closed { Change::Live } else { Change::Closed };
                fresh.usd = scratch.sum(&geometry, &fresh.sources, self.selection.tiers);
                fresh
            }));
        }
        change
    }

    /// USD of the levels now, a row of two pixels at a time from above, split by tier or by venue; of the venues and tiers
    /// that are drawn.
    pub fn levels_now(&self, snapshot: &Snapshot, by: MapBy) -> Vec<Parts> {
        let mut scratch = Scratch::new(&self.geometry);
        let live = |i: usize, v: &VenueView| {
            let column = Arc::clone(v.live.as_ref()?);
            Some((MapBy::slot(i), Source { venue: v.venue, column, weight: 1.0 }))
        };
        let all =
            snapshot.venues.iter().enumerate().filter(|(_, v)| !self.selection.hidden.contains(&v.venue));
        let (slots, sources): (Vec<usize>, Vec<Source>) = all.filter_map(|(i, v)| live(i, v)).unzip();
        let mut rows = vec![[0.0; PARTS]; self.geometry.rows / 2];
        let mut add = |part: usize, sources: &[Source], tiers: TierSet| {
            let usd = scratch.sum(&self.geometry, sources, tiers);
            for (row, pair) in rows.iter_mut().rev().zip(usd.chunks(2)) {
                row[part] += pair.iter().sum::<f64>();
            }
        };
        match by {
            MapBy::Tier => {
                for tier in self.selection.tiers.iter() {
                    add(tier.index(), &sources, [tier].into_iter().collect());
                }
            }
            MapBy::Venue => {
                for (slot, source) in slots.iter().zip(&sources) {
                    add(*slot, std::slice::from_ref(source), self.selection.tiers);
                }
            }
        }
        rows
    }

    /// The tier and venue split of a pixel.
    pub fn probe(&self, column: usize, row: usize) -> Probe {
        let mut probe = Probe { tiers: [0.0; TIERS], venues: Vec::new(), held: Vec::new() };
        let Some(column) = self.columns.get(column) else { return probe };
        let row =
            Geometry { low: self.geometry.low + row as f64 * self.geometry.step, rows: 1, ..self.geometry };
        let mut scratch = Scratch::new(&row);
        for source in column.sources.iter().filter(|s| s.weight > 0.0) {
            let mut total = 0.0;
            for tier in self.selection.tiers.iter() {
                let only: TierSet = [tier].into_iter().collect();
                let usd = scratch.sum(&row, std::slice::from_ref(source), only)[0];
                probe.tiers[Tier::index(tier)] += usd;
                total += usd;
            }
            match probe.venues.iter_mut().find(|(v, _)| *v == source.venue) {
                Some((_, usd)) => *usd += total,
                None => probe.venues.push((source.venue, total)),
            }
            if source.column.reconstructed && !probe.held.contains(&source.venue) {
                probe.held.push(source.venue);
            }
        }
        probe
    }
}

/// Whether anything of a venue can be drawn anywhere.
fn has_data(view: &VenueView) -> bool {
    let mut columns = view.live.iter().chain(view.history.ladder.iter().flatten());
    columns.any(|c| !c.gap)
}

/// Finds the columns of the history that make up one pixel column.
fn gather(start: i64, dt: i64, now: i64, venues: &[&VenueView], has_data: &[bool]) -> PixelColumn {
    let end = start + dt;
    let mut pixel = PixelColumn::default();
    if start > now {
        return pixel;
    }
    let span = (end.min(now + 1) - start).max(1);
    let mut bars = Vec::new();
    for (view, has_data) in venues.iter().zip(has_data) {
        let first = pixel.sources.len();
        let mut covered = 0;
        let live = view.live.as_ref().filter(|c| c.start < end && c.end() > start && !c.gap);
        let lives = live.is_some() && now < end;
        let mut walk = |column: &Arc<Column>, from: i64, to: i64| {
            if column.gap {
                return;
            }
            covered += to - from;
            // The newest pixel column shows the levels as they are now, not a mean over its span.
            let weight = if lives { 0.0 } else { (to - from) as f64 };
            pixel.sources.push(Source { venue: view.venue, column: Arc::clone(column), weight });
        };
        let mut t = start;
        while t < end {
            match column_at(&view.history, t, dt) {
                Ok(column) => {
                    let to = column.end().min(end);
                    walk(column, t, to);
                    t = to;
                }
                Err(next) => t = next.min(end),
            }
        }
        if let Some(column) = live {
            let from = column.start.max(start);
            covered += (end.min(now + 1) - from).max(1);
            let weight = if lives { 1.0 } else { (column.end().min(end) - from) as f64 };
            pixel.sources.push(Source { venue: view.venue, column: Arc::clone(column), weight });
            pixel.live = true;
        }
        let sources = &mut pixel.sources[first..];
        let total: f64 = sources.iter().map(|s| s.weight).sum();
        for source in sources.iter_mut() {
            source.weight /= total.max(f64::MIN_POSITIVE);
        }
        if 2 * covered >= span {
            pixel.covered = true;
        } else if *has_data {
            pixel.missing.push(view.venue);
        }
        // A column that straddles two pixel columns trades in the one it starts in.
        let trading = sources.iter().map(|s| &s.column).filter(|c| c.start >= start && c.bar.is_some());
        let oi = trading.clone().next_back().map_or(0.0, |c| c.oi * c.mark);
        let bar = trading.filter_map(|c| c.bar).reduce(|mut sum, next| {
            sum.append(&next);
            sum
        });
        bars.extend(bar.map(|bar| (oi, bar)));
    }
    pixel.bar = joint_bar(bars);
    pixel
}

/// The closed column that holds a time: the coarsest that is no longer than `dt`, else a finer one, else a coarser one.
/// If none does, when to look again.
fn column_at(history: &History, t: i64, dt: i64) -> Result<&Arc<Column>, i64> {
    let wanted = History::INTERVALS.iter().rposition(|i| i.ms() <= dt).unwrap_or(0);
    let mut next = i64::MAX;
    for level in (0..=wanted).rev().chain(wanted + 1..History::INTERVALS.len()) {
        let columns = &history.ladder[level];
        let i = columns.partition_point(|c| c.end() <= t);
        match columns.get(i) {
            Some(column) if column.start <= t => return Ok(column),
            Some(column) => next = next.min(column.start),
            None => {}
        }
    }
    Err(next)
}

/// Buffers for summing bins into rows.
struct Scratch {
    first: i32,
    bins: Vec<f64>,
    one: Vec<f64>,
    prefix: Vec<f64>,
}

impl Scratch {
    fn new(geometry: &Geometry) -> Self {
        let first = geometry.low.floor() as i32;
        let count = (geometry.high().ceil() as i32 - first).max(1) as usize;
        Self { first, bins: vec![0.0; count], one: vec![0.0; count], prefix: vec![0.0; count + 1] }
    }

    /// USD by row: each row takes of each bin the share its span covers, in log price.
    fn sum(&mut self, geometry: &Geometry, sources: &[Source], tiers: TierSet) -> Vec<f64> {
        self.bins.fill(0.0);
        for source in sources.iter().filter(|s| s.weight > 0.0) {
            self.one.fill(0.0);
            source.column.add_levels(tiers, self.first, &mut self.one);
            for (sum, usd) in self.bins.iter_mut().zip(&self.one) {
                *sum += usd * source.weight;
            }
        }
        let mut sum = 0.0;
        for (below, usd) in self.prefix[1..].iter_mut().zip(&self.bins) {
            sum += usd;
            *below = sum;
        }
        let below = |position: f64| {
            let x = (position - f64::from(self.first)).clamp(0.0, self.bins.len() as f64);
            let whole = x as usize;
            self.prefix[whole] + self.bins.get(whole).map_or(0.0, |usd| usd * (x - whole as f64))
        };
        let edge = |row: usize| below(geometry.low + row as f64 * geometry.step);
        (0..geometry.rows).map(|row| (edge(row + 1) - edge(row)).max(0.0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::Packed;
    use crate::estimate::calibrate::Uncertainty;
    use crate::market::Interval;

    fn column(start: i64, interval: Interval, first_bin: i32, usd: &[f64], tier: Tier) -> Arc<Column> {
        let mut levels: [Packed; TIERS] = Default::default();
        levels[tier.index()] = Packed::new(first_bin, usd, 0.0);
        Arc::new(Column {
            start,
            interval,
            mark: 100.0,
            mark_bin: first_bin,
            oi: 1.0,
            coverage: 1.0,
            uncertainty: Uncertainty::default(),
            levels,
            factors: Default::default(),
            swept: Default::default(),
            printed: Default::default(),
            bar: None,
            gap: false,
            reconstructed: false,
        })
    }

    fn source(column: Arc<Column>, weight: f64) -> Source {
        Source { venue: "binance".parse().unwrap(), column, weight }
    }

    #[test]
    fn a_row_takes_of_each_bin_the_share_it_covers() {
        // Bins 10 to 13 hold 4, 8, 0, 16. Rows of 1.5 bins from 10.5: [10.5, 12) = 4/2 + 8; [12, 13.5) = 0 + 16/2.
        let g = Geometry { start: 0, dt: 1, columns: 1, low: 10.5, step: 1.5, rows: 3 };
        let c = column(0, Interval::M1, 10, &[4.0, 8.0, 0.0, 16.0], Tier::X50);
        let rows = Scratch::new(&g).sum(&g, &[source(Arc::clone(&c), 1.0)], TierSet::ALL);
        assert_eq!(rows, [10.0, 8.0, 8.0]);
        // Half of it and a quarter of a column twice as hot: 10 / 2 + 20 / 4.
        let d = column(60_000, Interval::M1, 10, &[8.0, 16.0], Tier::X50);
        let sources = [source(c, 0.5), source(d, 0.25)];
        assert_eq!(Scratch::new(&g).sum(&g, &sources, TierSet::ALL), [10.0, 4.0, 4.0]);
        assert_eq!(Scratch::new(&g).sum(&g, &sources, TierSet::ALL.toggled(Tier::X50)), [0.0; 3]);
    }

    #[test]
    fn a_time_is_looked_up_in_the_coarsest_column_that_fits_then_finer_then_coarser() {
        let mut history = History::default();
        let at = |minute: i64, interval| column(minute * 60_000, interval, 0, &[1.0], Tier::Low);
        history.ladder[0] = vec![at(5, Interval::M1), at(6, Interval::M1)];
        history.ladder[1] = vec![at(0, Interval::M5)];
        let find = |minute: i64, dt: i64| {
            column_at(&history, minute * 60_000, dt * 60_000).map(|c| (c.start / 60_000, c.interval))
        };
        assert_eq!(find(0, 10), Ok((0, Interval::M5)));
        assert_eq!(find(5, 10), Ok((5, Interval::M1)), "no five minutes are closed yet");
        assert_eq!(find(3, 1), Ok((0, Interval::M5)), "older than the fine columns");
        assert_eq!(find(7, 1), Err(i64::MAX));
        assert_eq!(find(-1, 1), Err(0));
    }
}
