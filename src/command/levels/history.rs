//! Levels as the history on disk has them: the columns as they were closed, nothing made anew.

use std::io::Write;
use std::sync::Arc;

use anyhow::{bail, ensure};

use crate::cli::{Format, LevelsArgs, Time};
use crate::config::Config;
use crate::engine::map::LevelMap;
use crate::engine::market::GRACE;
use crate::engine::snapshot::weighted_mark;
use crate::engine::{History, place};
use crate::estimate::{BinTable, Column};
use crate::market::{Asset, Venue};
use crate::store::{Reader, StorePath};

use super::{after, coinglass, write_form};

/// Writes the map at a time, or at each multiple of an interval; of all venues that are kept, or of those that are named.
pub fn write(
    args: &LevelsArgs,
    venues: &[Venue],
    config: &Config,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let kept = Kept::open(args.asset, venues, config)?;
    if let Some(every) = args.every {
        let mut due = after(every, kept.first + GRACE);
        let mut is_first = true;
        while due <= closed_by(kept.last) {
            kept.write(args, due, is_first, out)?;
            is_first = false;
            due += every.ms();
        }
        ensure!(!is_first, "no whole {every} in the history of {}: {}", args.asset, kept.span());
    } else {
        let ts = args.at.unwrap_or(Time::Back(0)).resolve(closed_by(kept.last));
        kept.write(args, ts, true, out)?;
    }
    if kept.reader.damaged() > 0 {
        eprintln!("meltline: {} damaged columns of the history were left out", kept.reader.damaged());
    }
    Ok(())
}

/// The first time at which a column that ends at `end` was known, UTC ms: it closes on an event after the grace.
const fn closed_by(end: i64) -> i64 {
    end + GRACE + 1
}

/// The end of the last column that may have been closed before a time, UTC ms.
const fn closed_before(ts: i64) -> i64 {
    ts.saturating_sub(GRACE + 1)
}

/// What is kept of an asset.
struct Kept {
    reader: Reader,
    asset: Asset,
    venues: Vec<Venue>,
    bins: BinTable,
    /// End of the first column and of the last, UTC ms.
    first: i64,
    last: i64,
}

impl Kept {
    fn open(asset: Asset, wanted: &[Venue], config: &Config) -> anyhow::Result<Self> {
        let at = StorePath::new(&config.data_dir(), asset);
        let Some(reader) = Reader::open(&at)? else {
            ensure!(
                !at.database().exists(),
                "{} cannot be read yet: it is empty or of an earlier version, which `meltline collect {asset}` brings forward",
                at.database().display()
            );
            bail!(
                "no history of {asset} in {}: `meltline collect {asset}` keeps one, --input reads a recording instead",
                at.folder().display()
            );
        };
        let mut venues = reader.venues()?;
        venues.retain(|venue| wanted.is_empty() || wanted.contains(venue));
        venues.sort_by_key(|venue| place(*venue));
        let Some((first, last)) = reader.ends(&venues)? else {
            bail!("no columns of {asset} in {} yet", at.database().display());
        };
        if reader.identity().simulated {
            eprintln!("meltline: this history is of simulated exchanges");
        }
        let bins = BinTable::new(reader.identity().bin_bp);
        Ok(Self { reader, asset, venues, bins, first, last })
    }

    fn span(&self) -> String {
        format!("columns are kept from {} to {}", time(closed_by(self.first)), time(self.last))
    }

    fn write(&self, args: &LevelsArgs, ts: i64, is_first: bool, out: &mut impl Write) -> anyhow::Result<()> {
        let columns = self.columns(ts)?;
        // Where the next column is due, the last one is still the newest.
        let reach = columns.iter().map(|(_, c)| c.interval.ms()).max().unwrap_or(0);
        ensure!(
            !columns.is_empty() && ts <= closed_by(self.last + reach),
            "no history of {} at {}: {}",
            self.asset,
            time(ts),
            self.span()
        );
        if args.format == Format::Coinglass {
            return self.coinglass(&columns, ts, args.within, out);
        }
        write_form(
            out,
            args.format,
            &LevelMap::of_columns(self.asset, &self.bins, ts, args.within, &columns),
            is_first,
        )
    }

    /// The newest column that was closed before a time, of each venue that counts.
    fn columns(&self, ts: i64) -> anyhow::Result<Vec<(Venue, Arc<Column>)>> {
        let mut columns = Vec::new();
        for venue in &self.venues {
            let column = self.reader.newest_until(*venue, closed_before(ts))?;
            columns.extend(column.map(|column| (*venue, column)));
        }
        // Sums over venues count for nothing where there is a venue of its own.
        if columns.iter().any(|(venue, _)| !venue.is_aggregate()) {
            columns.retain(|(venue, _)| !venue.is_aggregate());
        }
        Ok(columns)
    }

    /// The heatmap up to a time, from as far back as a screen shows it.
    fn coinglass(
        &self,
        newest: &[(Venue, Arc<Column>)],
        ts: i64,
        within: f64,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let mut histories = Vec::new();
        for (venue, column) in newest {
            let mut history = History::default();
            for (columns, interval) in history.ladder.iter_mut().zip(History::INTERVALS) {
                let until = closed_before(ts) - interval.ms() + 1;
                *columns = self.reader.columns(*venue, interval, i64::MIN, until)?;
            }
            history.forget(column.end());
            histories.push(history);
        }
        let mark = weighted_mark(newest.iter().map(|(_, c)| (c.mark, c.oi)).filter(|(mark, _)| *mark > 0.0));
        let histories: Vec<_> = histories.iter().collect();
        coinglass(out, mark, &self.bins, &histories, within)
    }
}

fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map_or_else(|_| ms.to_string(), |t| t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
