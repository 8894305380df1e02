//! Learning from what was observed: the weight of every slot follows the venue's own liquidations.
//!
//! Where single liquidations are printed they are attributed one by one ([`prints`]); where only totals of bars are known those
//! are shared out over what the bar swept ([`bars`]). The masses never depend on the weights, so what is learned holds for
//! everything that rests, whenever it was opened. Without observations the weights stay at the prior.

pub mod band;
pub mod bars;
pub mod prints;
pub mod tally;
pub mod weights;

use serde::{Deserialize, Serialize};

use super::cohort::Cohorts;
use super::components::{CLASSES, Components};
use super::grid::Bar;
use super::tiers::TIERS;
pub use band::{Band, Uncertainty};
pub use bars::BarModel;
pub use tally::{Tallies, Tally};
pub use weights::{GammaPoisson, Source};

use bars::{BACKGROUND, BACKGROUNDS};
use prints::{Prints, Seen};

/// Prior of the background where liquidations are printed: mean and events.
const PRINTED_BACKGROUND: Source = Source::new(0.02, 0.5);
/// Half-life of evidence from prints, ms: three days.
const HALF_LIFE: f64 = 3.0 * 86_400_000.0;
/// Weights are refreshed this often, ms of event time.
const REFRESH: i64 = 60_000;
/// The scale of a sampled feed is looked at every so many refreshes.
const RESCALE_EVERY: i64 = 10;
/// Time is taken to pass by at most this much from one event to the next, ms, so that one wrong time cannot end the memory.
const LONGEST_STEP: i64 = 86_400_000;
/// Length of a tally where prints are counted, ms.
const HOUR: i64 = 3_600_000;
/// Mass of the background in a 5 bp bin is 1e-4 of open interest; the path's background counts 5e-4 (the bin's width). Their ratio
/// turns a weight of the latter into one of the former.
const PATH_TO_BIN: f64 = 5.0;
/// A print whose level is farther than this from the path is not believed, share of price.
const FARTHEST_PRINT: f64 = 0.15;
/// Printed liquidations are trades: what is believed of them within a minute or two is at most what was traded, and this share of
/// open interest.
const UNTRADED: f64 = 2e-3;

/// What kind of observations a venue gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Evidence {
    None,
    Prints,
    Totals,
}

/// A liquidation as the estimator sees it.
#[derive(Debug, Clone, Copy)]
pub struct Observed {
    /// Exchange time, UTC ms.
    pub ts: i64,
    /// 0 long, 1 short: the position that died.
    pub side: usize,
    /// Base coin.
    pub qty: f64,
    /// USD per coin of its level, as well as its price tells, and the bin.
    pub level: (f64, i32),
    /// Whether the feed prints at most one a second.
    pub is_sampled: bool,
    /// Open interest, base coin.
    pub oi: f64,
    /// Where the path is, USD per coin.
    pub path: f64,
    /// Mass of the background in one bin, base coin.
    pub background: f64,
}

/// The running hour, or bar.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Running {
    start: i64,
    ms: i64,
    bar: Option<Bar>,
    predicted: [f64; 2],
    realised: [f64; 2],
    /// Whether it was seen from its start, with a feed.
    is_whole: bool,
    /// Whether its total was learned.
    is_told: bool,
}

impl Running {
    const fn new(start: i64, ms: i64, is_whole: bool) -> Self {
        let nothing = [0.0; 2];
        Self { start, ms, bar: None, predicted: nothing, realised: nothing, is_whole, is_told: false }
    }
}

/// What one venue's liquidations have taught.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    slots: usize,
    /// The slots, then the backgrounds of bars.
    model: BarModel,
    evidence: Evidence,
    /// Background of a bin where liquidations are printed.
    background: Source,
    /// Its weight as of the last refresh.
    background_weight: f64,
    /// The slots' exposure when it was last counted, by side.
    counted: [Vec<f64>; 2],
    /// Background mass swept since then, base coin.
    background_swept: f64,
    prints: Prints,
    /// The second up to which prints are settled.
    settled: i64,
    /// The range alone, to compare with.
    range: BarModel,
    running: Option<Running>,
    tallies: Tallies,
    band: Band,
    /// When weights were last refreshed, in units of [`REFRESH`].
    refreshed: Option<i64>,
    /// Coins traded in the last minute and this one, and coins of liquidations believed in them.
    traded: [f64; 2],
    believed: [f64; 2],
    odd: u64,
}

impl Calibration {
    /// The prior.
    pub fn new(components: &Components) -> Self {
        let slots = components.len() * CLASSES.len();
        Self {
            slots,
            model: BarModel::of_components(components),
            evidence: Evidence::None,
            background: PRINTED_BACKGROUND,
            background_weight: PRINTED_BACKGROUND.mean,
            counted: [vec![0.0; slots], vec![0.0; slots]],
            background_swept: 0.0,
            prints: Prints::new(slots),
            settled: i64::MIN,
            range: BarModel::new(0),
            running: None,
            tallies: Tallies::default(),
            band: Band::default(),
            refreshed: None,
            traded: [0.0; 2],
            believed: [0.0; 2],
            odd: 0,
        }
    }

    /// Whether all parts fit each other, as they may not where the state was read from a file.
    pub fn is_sound(&self, slots: usize) -> bool {
        self.slots == slots
            && self.model.weights.is_sound(slots + BACKGROUNDS)
            && self.range.weights.is_sound(BACKGROUNDS)
            && self.counted.iter().all(|side| side.len() == slots)
            && self.prints.is_sound(slots)
            && self.running.is_none_or(|r| r.ms > 0)
    }

    /// The contract's terms have changed, and the prior with them.
    pub fn set_components(&mut self, components: &Components) {
        self.model.weights.set_components(components, &[BACKGROUND; BACKGROUNDS]);
    }

    /// Weights of a side's slots.
    pub fn theta(&self, side: usize) -> &[f64] {
        &self.model.weights.theta(side)[..self.slots]
    }

    /// Weight of the background in a bin.
    pub fn background(&self, side: usize) -> f64 {
        match self.evidence {
            Evidence::Totals => self.model.weights.theta(side)[self.slots] * PATH_TO_BIN,
            Evidence::None | Evidence::Prints => self.background_weight,
        }
    }

    /// Bytes held, for the memory budget.
    pub fn bytes(&self) -> usize {
        4 * self.slots * size_of::<Source>()
            + self.prints.bytes()
            + size_of_val(&self.tallies)
            + self.tallies.iter().len() * size_of::<Tally>()
    }

    /// What was foretold and what came.
    pub fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    /// How well the bands have held.
    pub fn band(&self) -> &Band {
        &self.band
    }

    /// What it takes to put a band around a level; `price` turns coins into USD.
    pub fn uncertainty(&self, components: &Components, books: &[Cohorts; 2], price: f64) -> Uncertainty {
        let (mut weights, mut sums) = ([0.0; TIERS], [0.0; TIERS]);
        for (side, book) in books.iter().enumerate() {
            let slots = self.model.weights.sources(side).iter().zip(self.theta(side)).zip(book.ledger());
            let tiers = components.iter().flat_map(|c| [c.tier.index(); CLASSES.len()]);
            for (((source, theta), ledger), tier) in slots.zip(tiers) {
                let level = theta * ledger.resting;
                weights[tier] += level * level / (source.count + source.events);
                sums[tier] += level;
            }
        }
        for (weight, sum) in weights.iter_mut().zip(sums).filter(|(_, sum)| *sum > 0.0) {
            *weight /= sum * sum;
        }
        Uncertainty::new(weights, self.prints.lump() * price, &self.band)
    }

    /// Prints that were not believed: far from price, larger than open interest, or more than was traded.
    pub fn odd_prints(&self) -> u64 {
        self.odd
    }

    /// How many events are known, where the venue prints every liquidation; nothing elsewhere.
    pub fn full_events(&self) -> Option<f64> {
        let is_full = self.evidence == Evidence::Prints && !self.prints.is_sampled();
        is_full.then(|| self.model.weights.events())
    }

    /// How far each slot's weight is from its prior, by side.
    pub fn gains(&self) -> [Vec<f64>; 2] {
        self.model.weights.gains().map(|mut gains| {
            gains.truncate(self.slots);
            gains
        })
    }

    /// Takes another venue's gains into the prior.
    pub fn adopt(&mut self, components: &Components, gains: &[Vec<f64>; 2]) {
        self.model.weights.adopt(&components.prior(), gains);
        self.model.weights.refresh();
    }

    /// Time has come to `now` (UTC ms): settles what is over. Returns the base coin, by side, that a sampled feed is taken to have
    /// left out, and whether the weights have changed.
    pub fn advance(&mut self, now: i64, books: &[Cohorts; 2]) -> ([f64; 2], bool) {
        let mut hidden = [0.0; 2];
        let second = now.div_euclid(1_000);
        if second <= self.settled {
            return (hidden, false);
        }
        self.settled = second;
        if self.evidence == Evidence::Prints {
            let settled = self.prints.settle(second, &mut self.model.weights);
            hidden = settled.hidden;
            if let Some(running) = &mut self.running {
                running.predicted.iter_mut().zip(settled.shown).for_each(|(sum, more)| *sum += more);
            }
        }
        let period = now.div_euclid(REFRESH);
        let due = *self.refreshed.get_or_insert(period);
        if period <= due {
            return (hidden, false);
        }
        let passed = (period - due).min(LONGEST_STEP / REFRESH);
        self.refreshed = Some(due + passed);
        for sums in [&mut self.traded, &mut self.believed] {
            *sums = [if passed == 1 { sums[1] } else { 0.0 }, 0.0];
        }
        if self.evidence != Evidence::Prints {
            return (hidden, false);
        }
        self.count(books);
        let weights = &mut self.model.weights;
        if due.div_euclid(RESCALE_EVERY) != (due + passed).div_euclid(RESCALE_EVERY)
            && let Some(factor) = self.prints.rescale()
        {
            weights.rescale(factor);
        }
        weights.refresh();
        self.background_weight = self.background.theta(1.0);
        let left = libm::exp2(-((passed * REFRESH) as f64) / HALF_LIFE);
        weights.fade(left);
        self.background.events *= left;
        self.background.exposure *= left;
        (hidden, true)
    }

    /// Where liquidations are printed: what was swept since the last count is exposure.
    pub fn count(&mut self, books: &[Cohorts; 2]) {
        if let (Evidence::Prints, Some(size)) = (self.evidence, self.prints.size()) {
            for (side, book) in books.iter().enumerate() {
                let sources = self.model.weights.sources_mut(side).iter_mut();
                for ((source, ledger), before) in sources.zip(book.ledger()).zip(&self.counted[side]) {
                    source.exposure += (ledger.exposed() - before) / size;
                }
            }
            self.background.exposure += self.background_swept / size;
            self.forget(books);
        }
    }

    /// What was swept since the last count is no exposure.
    pub fn forget(&mut self, books: &[Cohorts; 2]) {
        self.background_swept = 0.0;
        for (counted, book) in self.counted.iter_mut().zip(books) {
            counted.iter_mut().zip(book.ledger()).for_each(|(c, ledger)| *c = ledger.exposed());
        }
    }

    /// As [`Self::forget`], where liquidations are printed one by one.
    pub fn forget_printed(&mut self, books: &[Cohorts; 2]) {
        if self.evidence == Evidence::Prints {
            self.forget(books);
        }
    }

    /// Something happens on the venue at `ts` (UTC ms): if a new hour or bar has begun, the last one is closed.
    pub fn begin(&mut self, ts: i64, oi: f64, books: &[Cohorts; 2]) {
        let ms = self.running.map_or(HOUR, |r| r.ms);
        let start = ts.div_euclid(ms) * ms;
        if self.running.is_some_and(|r| start <= r.start) {
            return;
        }
        let is_prints = self.evidence == Evidence::Prints;
        let old = self.running.replace(Running::new(start, ms, is_prints));
        if !is_prints {
            self.forget(books);
        }
        let Some(old) = old else { return };
        let passed = (start - old.start).min(LONGEST_STEP);
        match self.evidence {
            Evidence::Prints if old.is_whole => self.tally(&old, oi, self.prints.lump()),
            Evidence::Totals if old.is_told => self.model.fade(passed - ms),
            Evidence::Totals => self.model.fade(passed),
            Evidence::Prints | Evidence::None => {}
        }
    }

    fn tally(&mut self, running: &Running, oi: f64, lump: f64) {
        let &Running { start, ms, bar, predicted, realised, is_whole, .. } = running;
        let Some(bar) = bar else { return };
        let masses = bars::backgrounds(&bar, oi).map(Vec::from);
        let range_only = self.range.forecast(&masses);
        self.range.learn(&masses, realised, oi, ms);
        for side in 0..2 {
            self.band.learn(predicted[side], realised[side], lump);
        }
        self.tallies.push(Tally { start, ms, bar, oi, predicted, range_only, realised, is_whole });
    }

    /// The path came to a price.
    pub fn moved(&mut self, price: f64) {
        if let Some(running) = &mut self.running {
            let here = Bar { open: price, high: price, low: price, close: price, volume: 0.0 };
            running.bar.get_or_insert(here).append(&here);
        }
    }

    /// So many coins were traded at `ts` (UTC ms); by takers who bought (0) or sold (1), where that is known.
    pub fn traded(&mut self, ts: i64, way: Option<usize>, qty: f64) {
        self.traded[1] += qty;
        if let Some(bar) = self.running.as_mut().and_then(|r| r.bar.as_mut()) {
            bar.volume += qty;
        }
        if let (Evidence::Prints, Some(way)) = (self.evidence, way) {
            self.prints.take(ts.div_euclid(1_000), way, qty);
        }
    }

    /// The weights of a side's slots, and room for what a sweep of a bin takes from each.
    pub fn sweeping(&mut self, ts: i64, side: usize, bin: i32) -> (&[f64], &mut [f64]) {
        let theta = &self.model.weights.theta(side)[..self.slots];
        (theta, self.prints.trace(ts.div_euclid(1_000), side, bin))
    }

    /// A sweep is expected to have forced so many coins, and passed so much of the background's mass.
    pub fn swept(&mut self, ts: i64, side: usize, forced: f64, background: f64) {
        self.background_swept += background;
        self.prints.expect(ts.div_euclid(1_000), side, forced);
    }

    /// The path took so many coins of public positions: no weight is needed to foretell that they are liquidated.
    pub fn swept_known(&mut self, side: usize, qty: f64) {
        if let Some(running) = &mut self.running {
            running.predicted[side] += qty;
        }
    }

    /// So many coins of public positions were printed.
    pub fn came_of_known(&mut self, side: usize, qty: f64) {
        if let Some(running) = &mut self.running {
            running.realised[side] += qty;
        }
    }

    /// Learns from a print. Returns how much of it is believed, base coin.
    pub fn print(&mut self, seen: &Observed, books: &[Cohorts; 2]) -> f64 {
        let &Observed { ts, side, qty, level: (price, bin), is_sampled, oi, path, background } = seen;
        let tradable = self.traded[0] + self.traded[1] + UNTRADED * oi;
        let is_odd = (price / path - 1.0).abs() > FARTHEST_PRINT
            || qty > oi
            || self.believed[0] + self.believed[1] + qty > tradable;
        if is_odd {
            self.odd += 1;
            return 0.0;
        }
        self.believed[1] += qty;
        if self.evidence != Evidence::Prints {
            // What was swept before the first print may or may not have been printed.
            self.evidence = Evidence::Prints;
            self.forget(books);
        }
        // The usual size is about to change: what was swept before counts by the old one.
        self.count(books);
        if let Some(running) = &mut self.running {
            running.realised[side] += qty;
        }
        let at = ts.div_euclid(1_000);
        let bin = self.prints.nearest_swept(side, bin);
        let seen = Seen { side, qty, bin, at, is_sampled, background, oi };
        let floor = self.background(side);
        self.background.events += self.prints.attribute(&seen, &books[side], &mut self.model.weights, floor);
        qty
    }

    /// Learns from the totals of a bar that began at `ts` (UTC ms) and lasted `ms`, longs then shorts, base coin.
    pub fn total(&mut self, ts: i64, ms: i64, totals: [f64; 2], oi: f64, books: &[Cohorts; 2]) -> bool {
        if self.evidence == Evidence::Prints {
            return false;
        }
        let fits = self.running.filter(|r| r.start == ts && r.ms == ms && !r.is_told);
        let mut running = fits.unwrap_or(Running::new(ts, ms, false));
        running.is_told = true;
        self.running = Some(running);
        self.evidence = Evidence::Totals;
        let (Some(_), Some(bar)) = (fits, running.bar) else { return false };
        // Before the first reading of open interest there is no scale to count by.
        if oi <= 0.0 {
            return false;
        }
        let masses = bars::backgrounds(&bar, oi).map(Vec::from);
        let masses = [0, 1].map(|side: usize| {
            let exposed = books[side].ledger().iter().zip(&self.counted[side]).map(|(l, c)| l.exposed() - c);
            exposed.chain(masses[side].iter().copied()).collect::<Vec<f64>>()
        });
        running.predicted = self.model.forecast(&masses);
        running.realised = totals;
        running.is_whole = true;
        self.model.learn(&masses, totals, oi, ms);
        self.tally(&running, oi, 0.0);
        true
    }

    /// Data was missing from `from` (UTC ms) to now.
    pub fn gap(&mut self, from: i64) {
        if let Some(running) = &mut self.running {
            running.is_whole = false;
        }
        self.tallies.spoil(from);
    }
}
