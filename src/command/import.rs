//! `meltline import`: history out of files into the store.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail, ensure};

use crate::cli::ImportArgs;
use crate::config::Config;
use crate::engine::record::{Checkpoint, Record, Sink};
use crate::engine::{Engine, Origin};
use crate::estimate::BinTable;
use crate::feed::archive::{Archive, Tally};
use crate::market::{EventKind, MarketEvent};
use crate::store::{Bulk, Identity, Imported, Reader, StorePath};

/// Runs the command.
pub fn run(args: &ImportArgs, config: &Config) -> anyhow::Result<()> {
    if !config.store.enabled {
        bail!("store.enabled = false: there is nothing to import into");
    }
    let at_asset = |asset| StorePath::new(&config.data_dir(), asset);
    // Files are looked into before anything is made.
    let folder = at_asset(crate::market::Asset::default()).folder().to_owned();
    let mut archive = Archive::open(&args.files, args.asset, args.venue, &folder)?;
    let asset = archive.asset();
    let at = at_asset(asset);
    let identity = Identity { asset, simulated: config.feed.simulated, bin_bp: config.bin_bp };
    let (bulk, notes) = Bulk::open(&at, &identity, config.store).with_context(|| {
        format!("nothing was imported: if a collector of {asset} runs, stop it meanwhile")
    })?;
    for note in notes {
        eprintln!("meltline: {note}");
    }
    let bulk = Arc::new(Mutex::new(bulk));
    let left_out = Arc::new(Mutex::new(0_u64));
    let mut lane = Lane { at, config, engine: None, kept: Checkpoint::default(), span: None };
    while let Some(batch) = archive.next_batch()? {
        let engine = lane.engine(&batch, &archive)?;
        if let Some(engine) = engine {
            engine.set_sink(sink(Arc::clone(&bulk), Arc::clone(&left_out)));
        }
        lane.apply(&batch);
        locked(&bulk).check()?;
    }
    let tally = archive.tally().clone();
    for complaint in &tally.complaints {
        eprintln!("{complaint}");
    }
    let untold = tally.refused.saturating_sub(tally.complaints.len() as u64);
    if untold > 0 {
        eprintln!("and {untold} more lines that could not be used");
    }
    let first_and_last = lane.span;
    if let Some(checkpoint) = lane.finish() {
        locked(&bulk).add(Record::Checkpoint(checkpoint));
    }
    let bulk = Arc::into_inner(bulk).and_then(|bulk| bulk.into_inner().ok());
    let imported = bulk.context("the engine did not end")?.finish()?;
    ensure!(first_and_last.is_some(), "nothing usable in these files");
    let told = Told { tally: &tally, imported: &imported, blank: *locked(&left_out), span: first_and_last };
    told.write(asset, &mut std::io::stdout().lock()).context("cannot write what was imported")
}

fn locked<T>(of: &Arc<Mutex<T>>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the engine closes and hears goes to the store, less columns without a level: they would stand in the way of the true ones, once the
/// files that are missing are imported too.
fn sink(bulk: Arc<Mutex<Bulk>>, left_out: Arc<Mutex<u64>>) -> Sink {
    Box::new(move |record| {
        let record = match record {
            Record::Columns { venue, mut columns } => {
                let came = columns.len();
                columns.retain(|column| !column.is_blank());
                *locked(&left_out) += (came - columns.len()) as u64;
                Record::Columns { venue, columns }
            }
            record => record,
        };
        if !matches!(&record, Record::Columns { columns, .. } if columns.is_empty()) {
            locked(&bulk).add(record);
        }
    })
}

/// The engine that the events run through.
struct Lane<'a> {
    at: StorePath,
    config: &'a Config,
    engine: Option<Engine>,
    /// The store's newest state.
    kept: Checkpoint,
    /// When the first and the last event were known, UTC ms.
    span: Option<(i64, i64)>,
}

impl Lane<'_> {
    /// The engine, if it is made just now: it goes on from the store's newest state where the files begin after that, so that month after
    /// month gives what all of them at once give. What lies before it is made from nothing, as a recording is.
    fn engine(&mut self, batch: &[MarketEvent], archive: &Archive) -> anyhow::Result<Option<&mut Engine>> {
        if self.engine.is_some() {
            return Ok(None);
        }
        let asset = archive.asset();
        let first = batch.iter().filter(|e| is_timed(e)).map(MarketEvent::known_at).min();
        let reader = Reader::open(&self.at)?.context("the history cannot be read")?;
        self.kept = reader.checkpoint()?.unwrap_or_default();
        let bins = Arc::new(BinTable::new(self.config.bin_bp));
        let goes_on = self.kept.now > 0 && first.is_none_or(|first| first > self.kept.now);
        let mut engine = if goes_on {
            let state = |venue| self.kept.venues.iter().find(|s| s.venue == venue);
            let stored = reader.stored(None, |venue| state(venue).map(|s| s.open.unwrap_or(i64::MAX)))?;
            Engine::restored(asset, Origin::Replay, &bins, &reader.venues()?, &self.kept, stored)?
        } else {
            Engine::new(asset, Origin::Replay, bins, &[])
        };
        engine.forget_columns();
        if let Some((venue, interval)) = archive.bars() {
            engine.expect_bars(venue, interval);
        }
        Ok(Some(self.engine.insert(engine)))
    }

    fn apply(&mut self, batch: &[MarketEvent]) {
        let Some(engine) = &mut self.engine else { return };
        for event in batch {
            engine.apply_event(event);
            if is_timed(event) {
                let known_at = event.known_at();
                let (first, last) = self.span.unwrap_or((known_at, known_at));
                self.span = Some((first.min(known_at), last.max(known_at)));
            }
        }
    }

    /// The state to keep: not where the store has one that is newer, or one of a venue that these files say nothing of.
    fn finish(self) -> Option<Checkpoint> {
        let state = self.engine?.checkpoint();
        let holds = |venue| state.venues.iter().any(|s| s.venue == venue);
        let is_newer = state.now > self.kept.now && self.kept.venues.iter().all(|kept| holds(kept.venue));
        is_newer.then_some(state)
    }
}

/// Whether an event stands at a time of its own.
fn is_timed(event: &MarketEvent) -> bool {
    !matches!(event.kind, EventKind::Instrument(_) | EventKind::Book(_) | EventKind::Gap(_))
}

/// What came of it.
struct Told<'a> {
    tally: &'a Tally,
    imported: &'a Imported,
    /// Columns without a level.
    blank: u64,
    span: Option<(i64, i64)>,
}

impl Told<'_> {
    fn write(&self, asset: crate::market::Asset, out: &mut impl Write) -> std::io::Result<()> {
        let Self { tally, imported, blank, span } = self;
        let (first, last) = span.unwrap_or_default();
        writeln!(out, "{asset}  {} to {}", time(first), time(last))?;
        writeln!(
            out,
            "  {:<14} {:>9} read  {:>9} refused  {:>9} of others  {:>9} repeats",
            "lines", tally.lines, tally.refused, tally.other, tally.repeats
        )?;
        let new = &imported.written;
        let rows = [
            ("columns", new.columns, Some(imported.known_columns)),
            ("liquidations", new.liquidations, Some(imported.known_liquidations)),
            ("open interest", new.open_interest, None),
            ("funding", new.funding, None),
        ];
        for (what, new, known) in rows {
            let known = known.map(|known| format!("  {known:>9} known")).unwrap_or_default();
            writeln!(out, "  {what:<14} {new:>9} new{known}")?;
        }
        if rows.iter().all(|(_, new, _)| *new == 0) {
            writeln!(out, "  nothing new")?;
        }
        if new.conflicts > 0 {
            writeln!(out, "  {} columns were kept otherwise before, and stay as they are", new.conflicts)?;
        }
        if *blank > 0 {
            writeln!(
                out,
                "  {blank} columns left out for want of price or open interest: import metrics and candles or trades of a time together"
            )?;
        }
        if imported.outlived > 0 {
            writeln!(out, "  {} rows are older than [store] keeps them, and went", imported.outlived)?;
        }
        Ok(())
    }
}

fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map_or_else(|_| ms.to_string(), |t| t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
