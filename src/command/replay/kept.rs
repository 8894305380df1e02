//! The kept history of an asset as something to play: column by column, as they were closed. Nothing is made anew.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};

use super::stage::{Progress, Stage};
use crate::cli::Time;
use crate::engine::landmark::Landmark;
use crate::engine::snapshot::{LinkState, VenueStatus, weighted_mark};
use crate::engine::{History, Origin, Print, Snapshot, VenueView};
use crate::estimate::{BinTable, Column, Preset};
use crate::market::{Asset, Venue};
use crate::store::read::LiquidationRow;
use crate::store::{Reader, StorePath};

/// Liquidations on the tape.
const TAPE: usize = 500;
/// Columns taken in at once.
const SOME: usize = 64;

/// One venue's columns.
struct Lane {
    venue: Venue,
    all: History,
    /// The finest at each time, none twice, oldest first.
    walk: Vec<Arc<Column>>,
}

/// What was kept of an asset, and how much of it is shown.
pub struct Kept {
    asset: Asset,
    origin: Origin,
    bins: Arc<BinTable>,
    lanes: Vec<Lane>,
    prints: Vec<Print>,
    /// The ends of the columns of all venues, rising, UTC ms.
    ends: Vec<i64>,
    /// How many of these are shown.
    shown: usize,
}

impl Kept {
    /// Reads the history of an asset in a data folder.
    pub fn open(data_dir: &Path, asset: Asset) -> anyhow::Result<Self> {
        let at = StorePath::new(data_dir, asset);
        let Some(reader) = Reader::open(&at)? else {
            let folder = at.folder().display();
            bail!("no history of {asset} in {folder}: `meltline collect {asset}` makes one");
        };
        let read = || -> rusqlite::Result<_> {
            Ok((reader.stored(Some(i64::MIN), |_| Some(i64::MAX))?, reader.liquidations(i64::MIN, i64::MAX)?))
        };
        let (stored, liquidations) =
            read().with_context(|| format!("cannot read {}", reader.path().display()))?;
        let lane = |(venue, all): (Venue, History)| {
            let walk = all.since(i64::MIN).cloned().collect();
            Lane { venue, all, walk }
        };
        let lanes: Vec<Lane> = stored.into_iter().map(|s| lane((s.venue, s.history))).collect();
        let mut ends: Vec<i64> = lanes.iter().flat_map(|l| l.walk.iter().map(|c| c.end())).collect();
        ends.sort_unstable();
        ends.dedup();
        if ends.is_empty() {
            bail!("the history of {asset} in {} holds no closed column yet", reader.path().display());
        }
        let identity = reader.identity();
        Ok(Self {
            asset,
            origin: if identity.simulated { Origin::Simulated } else { Origin::Replay },
            bins: Arc::new(BinTable::new(identity.bin_bp)),
            lanes,
            prints: liquidations.iter().map(print).collect(),
            ends,
            shown: 0,
        })
    }

    /// When its first and its last column were closed, UTC ms.
    pub fn span(&self) -> (i64, i64) {
        let last = self.ends.last().copied().unwrap_or(0);
        (self.ends.first().copied().unwrap_or(last), last)
    }

    /// `--from` and `--to` as UTC ms; spans back count from its end. Both must lie within it.
    pub fn bounds(&self, from: Option<Time>, to: Option<Time>) -> anyhow::Result<(Option<i64>, i64)> {
        let (first, last) = self.span();
        let from = from.map(|t| t.resolve(last));
        let to = to.map_or(i64::MAX, |t| t.resolve(last));
        if from.is_some_and(|from| from > last) || to < first {
            let told = |ms: i64| {
                let time = jiff::Timestamp::from_millisecond(ms);
                time.map_or_else(|_| ms.to_string(), |t| t.strftime("%Y-%m-%dT%H:%MZ").to_string())
            };
            bail!("the history of {} goes from {} to {}", self.asset, told(first), told(last));
        }
        anyhow::ensure!(from.is_none_or(|from| from < to), "--from must lie before --to");
        Ok((from, to))
    }

    /// The end of the newest column that is shown, UTC ms.
    fn until(&self) -> i64 {
        self.shown.checked_sub(1).and_then(|at| self.ends.get(at)).copied().unwrap_or(i64::MIN)
    }

    fn view(lane: &Lane, until: i64) -> VenueView {
        let shown = lane.walk.partition_point(|c| c.end() <= until);
        let newest = shown.checked_sub(1).and_then(|at| lane.walk.get(at));
        // The newest stands where the running one stands in a live picture; what is rolled up with it comes after it.
        let before = newest.map_or(i64::MIN, |c| c.start);
        let mut history = History::default();
        for (columns, all) in history.ladder.iter_mut().zip(&lane.all.ladder) {
            columns.extend_from_slice(&all[..all.partition_point(|c| c.end() <= before)]);
        }
        let status = VenueStatus { state: LinkState::Recorded, ..VenueStatus::new(lane.venue) };
        VenueView {
            last: newest.and_then(|c| c.bar).map(|bar| bar.close),
            live: newest.cloned(),
            ..VenueView::of_columns(status, Arc::new(history), newest.map(|c| &**c))
        }
    }
}

fn print(row: &LiquidationRow) -> Print {
    let price = row.liquidation.price.to_f64();
    let usd = price * row.liquidation.qty.to_f64();
    Print { ts: row.ts, venue: row.venue, side: row.liquidation.position, price, usd }
}

impl Stage for Kept {
    fn first(&self) -> i64 {
        self.span().0
    }

    fn now(&self) -> i64 {
        if self.shown == 0 { 0 } else { self.until() - 1 }
    }

    /// A column is known 1 ms before its end, as bars are.
    fn next_at(&mut self) -> Option<i64> {
        self.ends.get(self.shown).map(|end| end - 1)
    }

    fn advance(&mut self, until: i64) -> Progress {
        let due = self.ends.partition_point(|end| *end <= until);
        self.shown = due.min(self.shown + SOME).max(self.shown);
        match (self.shown < due, self.shown < self.ends.len()) {
            (true, _) => Progress::More,
            (false, true) => Progress::There,
            (false, false) => Progress::End,
        }
    }

    fn go(&mut self, target: i64) -> anyhow::Result<()> {
        self.shown = self.ends.partition_point(|end| *end <= target);
        Ok(())
    }

    fn landmarks(&self, landmark: &Landmark, from: i64, until: i64) -> Vec<i64> {
        let column = from.div_euclid(landmark.dt).saturating_sub(1).saturating_mul(landmark.dt);
        let shown = self.until();
        let lanes = self.lanes.iter().filter(|lane| landmark.counts(lane.venue));
        let told = lanes.flat_map(|lane| landmark.told(&lane.all, column)).filter(|h| h.end <= shown);
        let mut times = landmark.times(told.collect());
        times.retain(|at| (from + 1..=until).contains(at));
        times
    }

    /// Kept columns hold our levels only.
    fn set_preset(&mut self, _preset: Option<Preset>) {}

    fn share(&self, at: i64) -> f64 {
        let (first, last) = self.span();
        if at >= last { 1.0 } else { ((at - first) as f64 / (last - first).max(1) as f64).max(0.0) }
    }

    fn picture(&mut self) -> Arc<Snapshot> {
        let until = self.until();
        let venues: Vec<VenueView> = self.lanes.iter().map(|lane| Self::view(lane, until)).collect();
        let prints = self.prints.partition_point(|p| p.ts < until);
        let priced = venues.iter().filter_map(|v| v.live.as_ref()).map(|c| (c.mark, c.oi));
        Arc::new(Snapshot {
            seq: 0,
            asset: self.asset,
            origin: self.origin,
            now: self.now(),
            mark: weighted_mark(priced.collect::<Vec<_>>().into_iter()),
            bins: Arc::clone(&self.bins),
            venues,
            tape: self.prints[prints.saturating_sub(TAPE)..prints].into(),
            assets: Arc::from([]),
            events: self.shown as u64,
            followed: None,
            playback: None,
        })
    }

    fn is_kept(&self) -> bool {
        true
    }
}
