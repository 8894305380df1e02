//! The map against positions that are really there.
//!
//! Compared is the shape of the position mass (T1) by distance from the mark, one side at a time: Spearman over equal steps of
//! price. Maps of true positions are whole (a simulator's), public positions are a sample of accounts.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::metrics::spearman;
use super::venue::VenueScore;
use super::{round, rounded};
use crate::estimate::{BinTable, Estimator, Preset};
use crate::market::event::Position;
use crate::market::{Asset, EventKind, MarketEvent, Price, Side, Venue};

/// Time at the start of the market that is only learned from, ms: a day.
const LEARNING: i64 = 86_400_000;
/// A map is not compared with a truth later than this after the newest event of its market, ms: it would be out of date.
const STALE: i64 = 2 * 3_600_000;
/// Public positions told within this time are one snapshot, ms.
const SNAPSHOT: i64 = 60_000;
/// A side needs so many public positions within reach.
const FEWEST: usize = 5;
/// Width of a step and number of steps, shares of the mark: 12 % for maps, 30 % for public positions.
const MAP_STEPS: (f64, usize) = (0.0025, 48);
const POSITION_STEPS: (f64, usize) = (0.02, 15);

/// True positions of one side at one moment: `{"v":1,"type":"truth","venue":"sim","asset":"BTC","ts":1759996800000,"side":"long",
/// "bins":[["61000","61050",12500.0]]}`, a bin being lowest and highest liquidation price (USD per coin) and USD.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Truth {
    v: u32,
    #[serde(rename = "type")]
    kind: TruthType,
    /// Where.
    pub venue: Venue,
    /// On what.
    pub asset: Asset,
    /// When, UTC ms.
    pub ts: i64,
    /// Which side.
    pub side: Side,
    /// Lower edge, upper edge, USD.
    pub bins: Vec<(Price, Price, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TruthType {
    Truth,
}

impl Truth {
    /// Reads a line. The error says why it is none.
    pub fn parse(line: &str) -> Result<Self, String> {
        let truth: Self = serde_json::from_str(line).map_err(|e| e.to_string())?;
        let TruthType::Truth = truth.kind;
        if truth.v != 1 {
            return Err(format!("version {}, but this program reads version 1", truth.v));
        }
        if !crate::market::event::is_time(truth.ts) {
            return Err("time out of range (1970 to 9999, ms)".into());
        }
        Ok(truth)
    }
}

/// What the truth is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TruthKind {
    /// Maps of all positions.
    Maps,
    /// Public positions of some accounts.
    Positions,
}

/// Mean rank correlations with the true positions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TruthReport {
    /// What the truth is known from. Maps stand above positions where there are both.
    pub kind: TruthKind,
    /// Maps compared, one venue and side each; or snapshots of positions, each of up to two sides.
    pub n: usize,
    /// The estimate alone, against all of the truth.
    #[serde(serialize_with = "rounded")]
    pub alone: Option<f64>,
    /// With half of the accounts given as measured, against the other half.
    #[serde(serialize_with = "rounded")]
    pub half_measured: Option<f64>,
    /// The estimate alone against that other half, to compare with.
    #[serde(serialize_with = "rounded")]
    pub alone_on_half: Option<f64>,
    /// The presets, against all of the truth.
    #[serde(serialize_with = "by_preset")]
    pub presets: [Option<f64>; Preset::ALL.len()],
}

fn by_preset<S: Serializer>(presets: &[Option<f64>], serializer: S) -> Result<S::Ok, S::Error> {
    let rows = Preset::ALL.iter().zip(presets);
    serializer.collect_map(rows.map(|(preset, rho)| (preset.name(), rho.map(round))))
}

#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    n: u32,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.n += 1;
    }

    fn value(self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / f64::from(self.n))
    }
}

#[derive(Debug, Clone, Default)]
struct Means {
    snapshots: usize,
    alone: Mean,
    half: Mean,
    alone_on_half: Mean,
    presets: [Mean; Preset::ALL.len()],
}

/// One venue's estimator without any public position, and with those of half of the accounts.
#[derive(Debug, Clone)]
struct Twins {
    venue: Venue,
    alone: Estimator,
    half: Estimator,
}

/// Compares maps with the truth as events go by.
#[derive(Debug)]
pub struct TruthScore {
    bins: Arc<BinTable>,
    maps: VecDeque<Truth>,
    /// When the first and the newest event of the market were known, UTC ms.
    market: Option<(i64, i64)>,
    /// The snapshot being gathered: positions with their venue, and when it began.
    gathered: Vec<Position>,
    source: Option<(Venue, i64)>,
    twins: Option<Vec<Twins>>,
    by_map: Means,
    by_position: Means,
}

impl TruthScore {
    /// With these maps of the truth.
    pub fn new(bins: &Arc<BinTable>, mut maps: Vec<Truth>) -> Self {
        maps.sort_by_key(|t| t.ts);
        Self {
            bins: Arc::clone(bins),
            maps: maps.into(),
            market: None,
            gathered: Vec::new(),
            source: None,
            twins: None,
            by_map: Means::default(),
            by_position: Means::default(),
        }
    }

    /// Compares what is due before an event is taken in.
    pub fn before(&mut self, event: &MarketEvent, venues: &mut [VenueScore]) {
        let now = event.known_at();
        if self.source.is_some_and(|(_, since)| now > since + SNAPSHOT) {
            self.compare_positions(venues);
        }
        while self.maps.front().is_some_and(|t| t.ts <= now) {
            if let Some(map) = self.maps.pop_front() {
                self.compare_map(&map, venues);
            }
        }
        if !matches!(event.kind, EventKind::Instrument(_) | EventKind::Position(_)) {
            self.market = Some((self.market.map_or(now, |(first, _)| first), now));
        }
    }

    /// Takes in an event. Public positions are taken whole: the result says so.
    pub fn take(&mut self, event: &MarketEvent, venues: &mut [VenueScore]) -> bool {
        if let EventKind::Position(position) = &event.kind {
            self.source.get_or_insert((event.venue, event.ts));
            self.gathered.retain(|p| p.account != position.account);
            self.gathered.push(Position::clone(position));
            // What is public is part of a venue's own map, and of no other's.
            if let Some(own) = venues.iter_mut().find(|v| v.venue() == event.venue) {
                own.apply_position(event);
            }
            let twins = self.twins.get_or_insert_with(|| {
                let copy = |v: &VenueScore| {
                    let estimator = v.estimator().clone();
                    Twins { venue: v.venue(), alone: estimator.clone(), half: estimator }
                };
                venues.iter().map(copy).collect()
            });
            if is_given(&position.account) {
                let at = twins.iter().position(|t| t.venue == event.venue).unwrap_or(0);
                if let Some(twins) = twins.get_mut(at) {
                    twins.half.apply(event);
                }
            }
            return true;
        }
        if let Some(all) = &mut self.twins {
            let at = all.iter().position(|t| t.venue == event.venue).unwrap_or_else(|| {
                let fresh = Estimator::new(event.venue, Arc::clone(&self.bins));
                all.push(Twins { venue: event.venue, alone: fresh.clone(), half: fresh });
                all.len() - 1
            });
            all[at].alone.apply(event);
            all[at].half.apply(event);
        }
        false
    }

    /// Compares what is left.
    pub fn end(&mut self, venues: &mut [VenueScore]) {
        if self.source.is_some() {
            self.compare_positions(venues);
        }
    }

    /// What came out; `None` where nothing could be compared.
    pub fn report(&self) -> Option<TruthReport> {
        let of = |kind, means: &Means| TruthReport {
            kind,
            n: means.snapshots,
            alone: means.alone.value(),
            half_measured: means.half.value(),
            alone_on_half: means.alone_on_half.value(),
            presets: means.presets.map(Mean::value),
        };
        let all = [(TruthKind::Maps, &self.by_map), (TruthKind::Positions, &self.by_position)];
        all.into_iter().find(|(_, means)| means.snapshots > 0).map(|(kind, means)| of(kind, means))
    }

    /// Whether there is a map to compare with: one that has learned for a while and is not out of date.
    fn is_mapped(&self, ts: i64) -> bool {
        self.market.is_some_and(|(first, newest)| ts >= first + LEARNING && ts <= newest + STALE)
    }

    fn compare_map(&mut self, map: &Truth, venues: &mut [VenueScore]) {
        if !self.is_mapped(map.ts) {
            return;
        }
        let venues = target(venues, map.venue);
        let Some(mark) = mark(venues.iter().map(VenueScore::estimator)) else { return };
        let steps = Steps { mark, side: map.side, grid: MAP_STEPS };
        let middle =
            |(low, high, usd): &(Price, Price, f64)| (f64::midpoint(low.to_f64(), high.to_f64()), *usd);
        let truth = steps.gather(map.bins.iter().map(middle));
        if !varies(&truth) {
            return;
        }
        self.by_map.snapshots += 1;
        self.by_map.alone.add(rho(&steps.positions(venues.iter().map(VenueScore::estimator)), &truth));
        steps.compare_presets(venues, map.ts, &truth, &self.bins, &mut self.by_map);
    }

    fn compare_positions(&mut self, venues: &mut [VenueScore]) {
        let (Some((venue, ts)), positions) = (self.source.take(), std::mem::take(&mut self.gathered)) else {
            return;
        };
        let Some(twins) = self.twins.as_ref().filter(|_| self.is_mapped(ts)) else { return };
        let venues = target(venues, venue);
        let names: Vec<Venue> = venues.iter().map(VenueScore::venue).collect();
        let own = |t: &&Twins| names.contains(&t.venue);
        let Some(mark) = mark(twins.iter().filter(own).map(|t| &t.alone)) else { return };
        let mut compared = false;
        for side in Side::BOTH {
            let steps = Steps { mark, side, grid: POSITION_STEPS };
            let gather = |half: Option<bool>| {
                let counted =
                    positions.iter().filter(|p| p.side == side && half != Some(is_given(&p.account)));
                let levels = counted.filter_map(|p| {
                    let price = p.liq_price?.to_f64();
                    Some((price, price * p.qty.to_f64()))
                });
                let near: Vec<_> = levels.filter(|(price, _)| steps.step(*price).is_some()).collect();
                let truth = steps.gather(near.iter().copied());
                (near.len() >= FEWEST && varies(&truth)).then_some(truth)
            };
            let means = &mut self.by_position;
            let alone = steps.positions(twins.iter().filter(own).map(|t| &t.alone));
            if let Some(all) = gather(None) {
                compared = true;
                means.alone.add(rho(&alone, &all));
                steps.compare_presets(venues, ts, &all, &self.bins, means);
            }
            // The half that was given is left out.
            if let Some(other) = gather(Some(true)) {
                means.alone_on_half.add(rho(&alone, &other));
                means.half.add(rho(&steps.positions(twins.iter().filter(own).map(|t| &t.half)), &other));
            }
        }
        self.by_position.snapshots += usize::from(compared);
    }
}

/// The venue the truth is of, if it has a map; else all that there are.
fn target(venues: &mut [VenueScore], venue: Venue) -> &mut [VenueScore] {
    match venues.iter().position(|v| v.venue() == venue) {
        Some(at) if venues[at].estimator().oi().is_some() => &mut venues[at..=at],
        _ => venues,
    }
}

/// Mark price weighted by open interest, USD per coin.
fn mark<'a>(estimators: impl Iterator<Item = &'a Estimator>) -> Option<f64> {
    let (mut sum, mut weights) = (0.0, 0.0);
    for (price, oi) in estimators.filter_map(|e| Some((e.price()?, e.oi()?))) {
        sum += price * oi;
        weights += oi;
    }
    (weights > 0.0).then(|| sum / weights)
}

/// Whether an account is one of the half that is given: a fixed hash (FNV-1a) of its name decides.
fn is_given(account: &str) -> bool {
    let hash = account.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash >> 40 & 1 == 0
}

fn varies(values: &[f64]) -> bool {
    values.iter().any(|v| *v != values[0])
}

/// A map that is the same everywhere says nothing: zero.
fn rho(map: &[f64], truth: &[f64]) -> f64 {
    spearman(map, truth).unwrap_or(0.0)
}

/// Equal steps of price outward from the mark, on one side.
#[derive(Debug, Clone, Copy)]
struct Steps {
    mark: f64,
    side: Side,
    /// Width, share of the mark, and number.
    grid: (f64, usize),
}

impl Steps {
    fn step(&self, price: f64) -> Option<usize> {
        let away = if self.side == Side::Long { self.mark - price } else { price - self.mark };
        let step = away / (self.grid.0 * self.mark);
        (away > 0.0 && step < self.grid.1 as f64).then_some(step as usize)
    }

    /// Sums (price, USD) by step.
    fn gather(&self, levels: impl Iterator<Item = (f64, f64)>) -> Vec<f64> {
        let mut sums = vec![0.0; self.grid.1];
        for (price, usd) in levels {
            if let Some(step) = self.step(price) {
                sums[step] += usd;
            }
        }
        sums
    }

    /// The position mass of estimators.
    fn positions<'a>(&self, estimators: impl Iterator<Item = &'a Estimator>) -> Vec<f64> {
        let mut sums = vec![0.0; self.grid.1];
        for estimator in estimators {
            let Some(readout) = estimator.readout() else { continue };
            let levels = readout.side(self.side);
            let mass = levels.span().map(|bin| (estimator.bins().mid(bin), levels.position(bin)));
            sums.iter_mut().zip(self.gather(mass)).for_each(|(sum, usd)| *sum += usd);
        }
        sums
    }

    fn compare_presets(
        &self,
        venues: &mut [VenueScore],
        ts: i64,
        truth: &[f64],
        bins: &BinTable,
        means: &mut Means,
    ) {
        for (i, mean) in means.presets.iter_mut().enumerate() {
            let mut sums = vec![0.0; self.grid.1];
            for venue in &mut *venues {
                let (first, levels) = venue.preset_levels(i, ts, self.side);
                let levels = levels.iter().enumerate().map(|(n, usd)| (bins.mid(first + n as i32), *usd));
                sums.iter_mut().zip(self.gather(levels)).for_each(|(sum, usd)| *sum += usd);
            }
            mean.add(rho(&sums, truth));
        }
    }
}
