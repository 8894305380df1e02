//! Files of others, and of ours, as one stream of events of one asset: what `import` reads.
//!
//! Files that are named together are merged in known-at order. Each is opened when its turn comes and read as it goes, so that months of
//! trades need no more memory than a minute of them.

mod kind;
mod rows;
mod source;
mod zip;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use crate::market::{Asset, EventKind, Instrument, Interval, MarketEvent, Price, Venue};

use super::venue::binance;
use kind::{Kind, Table};
use source::{Opened, Source, Sourced};

/// Events handed out at once.
const BATCH: usize = 1_024;

/// What a read through files found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines read, without blank ones.
    pub lines: u64,
    /// Events handed out.
    pub events: u64,
    /// Lines that could not be used.
    pub refused: u64,
    /// Lines about other assets or venues, or of a type this version does not know.
    pub other: u64,
    /// Rows that another of the files has told already.
    pub repeats: u64,
    /// Files that end in the middle.
    pub truncated: u64,
    /// The first few complaints, as `file:line: why`.
    pub complaints: Vec<String>,
}

impl Tally {
    /// How many complaints are kept word for word; the rest are counted.
    const KEPT: usize = 20;

    fn refuse(&mut self, file: &str, line: u64, why: &str) {
        self.refused += 1;
        self.note(format!("{file}:{line}: {why}"));
    }

    fn note(&mut self, complaint: String) {
        if self.complaints.len() < Self::KEPT {
            self.complaints.push(complaint);
        }
    }
}

/// A file whose turn has not come.
struct Planned {
    path: PathBuf,
    kind: Kind,
}

/// Files being read, as one stream of events of one asset.
pub struct Archive {
    asset: Asset,
    venue: Option<Venue>,
    spill: PathBuf,
    planned: Vec<Planned>,
    open: BTreeMap<usize, Source>,
    /// What comes next of each file: its order and the file; of files that are not open yet, when they begin.
    heads: BinaryHeap<Reverse<((i64, u8), usize)>>,
    next: BTreeMap<usize, Sourced>,
    /// Terms of contracts, known from the start.
    terms: Vec<MarketEvent>,
    bars: Option<(Venue, Interval)>,
    /// The last mark of each table.
    marks: BTreeMap<Table, i64>,
    given: i64,
    tally: Tally,
}

impl Archive {
    /// Looks into each file and puts them in order. Without an asset, the first file's is taken; with a venue, only its events. What is
    /// too much for the memory is sorted in files without names in `spill`.
    pub fn open(
        paths: &[PathBuf],
        asset: Option<Asset>,
        venue: Option<Venue>,
        spill: &Path,
    ) -> anyhow::Result<Self> {
        let mut plan = Plan { asset, venue, ..Plan::default() };
        for path in paths {
            plan.add(path, spill).with_context(|| path.display().to_string())?;
        }
        let Some(asset) = plan.asset else {
            bail!("nothing usable in {}", paths.first().map(|p| p.display().to_string()).unwrap_or_default());
        };
        let bars = match (plan.interval, plan.has_trades) {
            (Some(interval), false) => binance::NAME.parse().ok().map(|venue| (venue, interval)),
            _ => None,
        };
        Ok(Self {
            asset,
            venue,
            spill: spill.to_owned(),
            terms: plan.symbol.iter().filter_map(|symbol| terms(symbol, asset)).collect(),
            planned: plan.files,
            open: BTreeMap::new(),
            heads: plan.heads,
            next: BTreeMap::new(),
            bars,
            marks: BTreeMap::new(),
            given: i64::MIN,
            tally: plan.tally,
        })
    }

    /// The asset.
    pub fn asset(&self) -> Asset {
        self.asset
    }

    /// Where only candles are known of a venue, its name and how long they are.
    pub fn bars(&self) -> Option<(Venue, Interval)> {
        self.bars
    }

    /// What was found so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The next events in engine order; `None` at the end.
    pub fn next_batch(&mut self) -> anyhow::Result<Option<Vec<MarketEvent>>> {
        let mut batch = std::mem::take(&mut self.terms);
        while batch.len() < BATCH {
            let Some((sourced, file)) = self.next_event()? else { break };
            batch.extend(self.checked(sourced, file));
        }
        self.tally.events += batch.len() as u64;
        Ok((!batch.is_empty()).then_some(batch))
    }

    fn next_event(&mut self) -> anyhow::Result<Option<(Sourced, usize)>> {
        while let Some(Reverse((_, file))) = self.heads.pop() {
            let sourced = self.next.remove(&file);
            self.advance(file)?;
            if let Some(sourced) = sourced {
                return Ok(Some((sourced, file)));
            }
        }
        Ok(None)
    }

    /// Reads on in a file, which is opened where its turn has come and closed at its end.
    fn advance(&mut self, file: usize) -> anyhow::Result<()> {
        let Some(Planned { path, kind }) = self.planned.get(file) else { return Ok(()) };
        let source = match self.open.entry(file) {
            std::collections::btree_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(Source::open(path, kind, Some(self.asset), &self.spill, &mut self.tally)?)
            }
        };
        if let Some(sourced) = source.next(&mut self.tally)? {
            self.heads.push(Reverse((sourced.event.order(), file)));
            self.next.insert(file, sourced);
        } else {
            self.open.remove(&file);
        }
        Ok(())
    }

    /// The event, unless it is of no use.
    fn checked(&mut self, sourced: Sourced, file: usize) -> Option<MarketEvent> {
        let Sourced { event, mark, line } = sourced;
        let Planned { path, kind } = self.planned.get(file)?;
        if self.venue.is_some_and(|venue| venue != event.venue) {
            self.tally.other += 1;
            return None;
        }
        if let (Kind::Binance(table, _), Some(mark)) = (kind, mark) {
            let last = self.marks.entry(*table).or_insert(i64::MIN);
            if mark <= *last {
                self.tally.repeats += 1;
                return None;
            }
            *last = mark;
        }
        let is_timeless =
            matches!(event.kind, EventKind::Instrument(_) | EventKind::Book(_) | EventKind::Gap(_));
        if !is_timeless {
            let known_at = event.known_at();
            if known_at < self.given {
                let why = "out of order by more than a minute: sort the file by time";
                self.tally.refuse(&path.display().to_string(), line, why);
                return None;
            }
            self.given = known_at;
        }
        Some(event)
    }
}

/// What is known of the files before they are read.
#[derive(Default)]
struct Plan {
    asset: Option<Asset>,
    venue: Option<Venue>,
    files: Vec<Planned>,
    heads: BinaryHeap<Reverse<((i64, u8), usize)>>,
    symbol: Option<Box<str>>,
    interval: Option<Interval>,
    has_trades: bool,
    tally: Tally,
}

impl Plan {
    fn add(&mut self, path: &Path, spill: &Path) -> anyhow::Result<()> {
        ensure!(path != Path::new("-"), "standard input cannot be imported: name a file");
        let Some(first) = Opened::open(path)?.first()? else {
            self.tally.note(format!("{}: it is empty", path.display()));
            return Ok(());
        };
        let (kind, _) = kind::tell(path, &first)?;
        // Where a file begins is in its first row that can be read; events may be in any order.
        let begins = if kind == Kind::Events {
            let asset = crate::market::ndjson::parse_line(&first).ok().map(|event| event.asset);
            self.asset = self.asset.or(asset);
            Some((i64::MIN, 0))
        } else {
            let probed = &mut Tally::default();
            let begun = Source::open(path, &kind, self.asset, spill, probed)?.next(probed)?;
            if begun.is_none() {
                self.tally.note(format!("{}: nothing usable in it", path.display()));
                self.tally.refused += probed.refused;
                probed.complaints.drain(..).for_each(|complaint| self.tally.note(complaint));
            }
            if let Some(sourced) = &begun {
                self.see(&kind, &sourced.event)?;
            }
            begun.map(|sourced| sourced.event.order())
        };
        if let Some(begins) = begins {
            self.heads.push(Reverse((begins, self.files.len())));
            self.files.push(Planned { path: path.to_owned(), kind });
        }
        Ok(())
    }

    /// What does not fit the other files is told before anything is read.
    fn see(&mut self, kind: &Kind, event: &MarketEvent) -> anyhow::Result<()> {
        let asset = *self.asset.get_or_insert(event.asset);
        ensure!(
            event.asset == asset,
            "it is of {}, and {asset} is imported: import each asset by itself",
            event.asset
        );
        let Kind::Binance(table, listing) = kind else {
            self.has_trades |= matches!(event.kind, EventKind::Trade(_));
            return Ok(());
        };
        ensure!(
            self.venue.is_none_or(|venue| venue == event.venue),
            "it is of {}, which --venue leaves out",
            event.venue
        );
        let symbol = self.symbol.get_or_insert_with(|| listing.symbol.clone());
        ensure!(
            *symbol == listing.symbol,
            "it is of {}, and {symbol} is of the same asset: import only one of them",
            listing.symbol
        );
        self.has_trades |= *table == Table::AggTrades;
        if let EventKind::Candle(candle) = &event.kind {
            let interval = *self.interval.get_or_insert(candle.interval);
            ensure!(
                candle.interval == interval,
                "its candles are of {}, others of {interval}: import only one of them",
                candle.interval
            );
        }
        Ok(())
    }
}

/// The margin tiers of a symbol of Binance's, which its archive does not hold: those that are built in. Of the steps of its prices and
/// sizes, which say nothing of levels, the finest are told.
fn terms(symbol: &str, asset: Asset) -> Option<MarketEvent> {
    let listing = super::instruments::guess(symbol)?;
    let instrument = Instrument {
        symbol: symbol.into(),
        tick: Price::from_raw(1),
        lot: crate::market::Qty::from_raw(1),
        contract: kind::one(),
        multiplier: listing.multiplier,
        linear: true,
        tiers: binance::margin::tiers(symbol).to_vec(),
    };
    let venue = binance::NAME.parse().ok()?;
    Some(MarketEvent { venue, asset, ts: 0, recv: None, kind: EventKind::Instrument(Box::new(instrument)) })
}
