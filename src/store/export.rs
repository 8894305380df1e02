//! Rows in forms other programs read: CSV, NDJSON and Parquet (`docs/FORMATS.md`).

#[cfg(feature = "parquet")]
mod parquet;

use std::io::{self, Write};

use anyhow::Context;
use serde::Serialize;

use super::read::Reader;
use super::rows;
use crate::estimate::{BinTable, Column, Tier};
use crate::market::candle::Ohlc;
use crate::market::ndjson::write_event;
use crate::market::{Asset, Candle, EventKind, Interval, MarketEvent, Price, Qty, Rate, Venue};

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// Observed liquidations
    Liquidations,
    /// Readings of open interest
    OpenInterest,
    /// Funding rates
    Funding,
    /// Bars of the columns
    Candles,
    /// Estimated levels, column by column and bin by bin
    Levels,
}

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// A header and a row each
    Csv,
    /// An object a line; liquidations, open interest and candles as market events
    Ndjson,
    /// A table other programs read fast (where meltline was built with `--features parquet`)
    Parquet,
}

/// A cell of a table.
#[derive(Debug, Clone, Copy)]
enum Cell<'a> {
    /// UTC ms.
    Time(i64),
    Text(&'a str),
    Number(f64),
    // As exact as they came, where the form can be.
    Price(Price),
    Qty(Qty),
    Rate(Rate),
    /// Where it is known.
    Hours(Option<u32>),
}

impl std::fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Time(ms) => ms.fmt(f),
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
            Self::Price(price) => price.fmt(f),
            Self::Qty(qty) => qty.fmt(f),
            Self::Rate(rate) => rate.fmt(f),
            Self::Hours(hours) => hours.map_or(Ok(()), |hours| hours.fmt(f)),
        }
    }
}

/// Where rows of cells go.
trait Table {
    /// Adds a row.
    fn row(&mut self, cells: &[Cell<'_>]) -> anyhow::Result<()>;

    /// Writes what is left.
    fn end(&mut self) -> anyhow::Result<()>;
}

/// A header, and a line a row.
struct Csv<'a, W>(&'a mut W);

impl<W: Write> Table for Csv<'_, W> {
    fn row(&mut self, cells: &[Cell<'_>]) -> anyhow::Result<()> {
        for (i, cell) in cells.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            write!(self.0, "{comma}{cell}")?;
        }
        Ok(writeln!(self.0)?)
    }

    fn end(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Which rows, and how.
#[derive(Debug, Clone)]
pub struct Export {
    /// What.
    pub what: What,
    /// In which form.
    pub form: Form,
    /// From this time on, UTC ms.
    pub from: i64,
    /// Before this time, UTC ms.
    pub until: i64,
    /// Length of the columns, for candles and levels.
    pub interval: Interval,
    /// Only these venues; all where empty.
    pub venues: Vec<Venue>,
}

/// A funding rate's line.
#[derive(Serialize)]
struct FundingLine<'a> {
    v: u32,
    #[serde(rename = "type")]
    kind: &'a str,
    venue: Venue,
    asset: Asset,
    ts: i64,
    rate: String,
    hours: Option<u32>,
}

/// A column's line.
#[derive(Serialize)]
struct ColumnLine<'a> {
    v: u32,
    #[serde(rename = "type")]
    kind: &'a str,
    venue: Venue,
    asset: Asset,
    ts: i64,
    interval: Interval,
    mark: f64,
    oi: f64,
    coverage: f64,
    gap: bool,
    reconstructed: bool,
    digest: String,
    levels: Vec<Level>,
}

/// One bin of a column. What is below the mark is long, what is above is short.
#[derive(Serialize)]
struct Level {
    price_low: f64,
    price_high: f64,
    usd: f64,
    tiers: [f64; Tier::ALL.len()],
}

impl Export {
    /// Writes the rows. Returns how many.
    pub fn write(&self, reader: &Reader, out: &mut impl Write) -> anyhow::Result<u64> {
        match self.form {
            Form::Csv => {
                writeln!(out, "{}", header(self.what).join(",")).context("cannot export")?;
                self.run(reader, Out::Table(&mut Csv(out)))
            }
            Form::Ndjson => self.run(reader, Out::Lines(out)),
            #[cfg(feature = "parquet")]
            Form::Parquet => {
                self.run(reader, Out::Table(&mut parquet::Parquet::new(&header(self.what), out)?))
            }
            #[cfg(not(feature = "parquet"))]
            Form::Parquet => anyhow::bail!(
                "this meltline was built without Parquet: `cargo install --path . --features parquet` builds one with it"
            ),
        }
        .context("cannot export")
    }

    fn run<'a>(&'a self, reader: &Reader, out: Out<'a>) -> anyhow::Result<u64> {
        let mut run = Run { export: self, asset: reader.identity().asset, out, count: 0 };
        run.all(reader)?;
        if let Out::Table(table) = run.out {
            table.end()?;
        }
        Ok(run.count)
    }

    fn takes(&self, venue: Venue) -> bool {
        self.venues.is_empty() || self.venues.contains(&venue)
    }
}

/// Where rows go.
enum Out<'a> {
    Table(&'a mut dyn Table),
    Lines(&'a mut dyn Write),
}

struct Run<'a> {
    export: &'a Export,
    asset: Asset,
    out: Out<'a>,
    /// Rows written.
    count: u64,
}

impl Run<'_> {
    fn all(&mut self, reader: &Reader) -> anyhow::Result<()> {
        let &Export { what, from, until, .. } = self.export;
        let export = self.export;
        match what {
            What::Liquidations => {
                for row in reader.liquidations(from, until)?.iter().filter(|r| export.takes(r.venue)) {
                    let l = row.liquidation;
                    let (side, kind) = (rows::side_word(l.position), rows::kind_word(l.price_kind));
                    let cells = [
                        Cell::Text(side),
                        Cell::Price(l.price),
                        Cell::Qty(l.qty),
                        Cell::Text(kind),
                        Cell::Text(rows::sampled_word(l.sampled)),
                    ];
                    self.event(row.venue, row.ts, &cells, || Some(EventKind::Liquidation(l)))?;
                }
            }
            What::OpenInterest => {
                for row in reader.open_interest(from, until)?.iter().filter(|r| export.takes(r.venue)) {
                    let cells = [Cell::Qty(row.qty)];
                    self.event(row.venue, row.ts, &cells, || Some(EventKind::OpenInterest(row.qty)))?;
                }
            }
            What::Funding => {
                for row in reader.funding(from, until)?.iter().filter(|r| export.takes(r.venue)) {
                    if matches!(self.out, Out::Table(_)) {
                        let cells = [Cell::Rate(row.rate), Cell::Hours(row.hours)];
                        self.event(row.venue, row.ts, &cells, || None)?;
                        continue;
                    }
                    self.object(&FundingLine {
                        v: 1,
                        kind: "funding",
                        venue: row.venue,
                        asset: self.asset,
                        ts: row.ts,
                        rate: row.rate.to_string(),
                        hours: row.hours,
                    })?;
                }
            }
            What::Candles | What::Levels => self.columns(reader)?,
        }
        Ok(())
    }

    fn columns(&mut self, reader: &Reader) -> anyhow::Result<()> {
        let &Export { what, from, until, interval, .. } = self.export;
        let bins = BinTable::new(reader.identity().bin_bp);
        for venue in reader.venues()?.into_iter().filter(|v| self.export.takes(*v)) {
            // A day at a time: a year of levels is no business of the memory.
            let Some((first, last)) = reader.span(venue, interval)? else { continue };
            let (mut at, end) = (first.max(from), last.saturating_add(1).min(until));
            while at < end {
                let next = at.saturating_add(Interval::D1.ms()).min(end);
                for column in reader.columns(venue, interval, at, next)? {
                    match what {
                        What::Candles => self.candle(venue, &column)?,
                        _ => self.levels(venue, &column, &bins)?,
                    }
                }
                at = next;
            }
        }
        Ok(())
    }

    fn candle(&mut self, venue: Venue, column: &Column) -> anyhow::Result<()> {
        let Some(bar) = column.bar else { return Ok(()) };
        let interval = column.interval.to_string();
        let cells = [bar.open, bar.high, bar.low, bar.close, bar.volume].map(Cell::Number);
        let cells = [&[Cell::Text(&interval)], &cells[..]].concat();
        let ohlc = || {
            let [open, high, low, close] = [bar.open, bar.high, bar.low, bar.close].map(Price::from_f64);
            Some(Ohlc { open: open?, high: high?, low: low?, close: close? })
        };
        let candle = || {
            let (ohlc, volume) = (ohlc(), Qty::from_f64(bar.volume));
            Some(EventKind::Candle(Candle { interval: column.interval, ohlc, volume, taker_buy: None }))
        };
        self.event(venue, column.start, &cells, candle)
    }

    fn levels(&mut self, venue: Venue, column: &Column, bins: &BinTable) -> anyhow::Result<()> {
        let (first, tiers) = by_bin(column);
        let levels = tiers.into_iter().enumerate().filter_map(|(i, tiers)| {
            let (bin, usd) = (first + i as i32, tiers.iter().sum::<f64>());
            let level = Level { price_low: bins.edge(bin), price_high: bins.edge(bin + 1), usd, tiers };
            (usd > 0.0).then_some(level)
        });
        if matches!(self.out, Out::Table(_)) {
            let interval = column.interval.to_string();
            for level in levels {
                let mut cells = vec![Cell::Text(&interval)];
                cells.extend([level.price_low, level.price_high, level.usd].map(Cell::Number));
                cells.extend(level.tiers.map(Cell::Number));
                self.event(venue, column.start, &cells, || None)?;
            }
            return Ok(());
        }
        self.object(&ColumnLine {
            v: 1,
            kind: "column",
            venue,
            asset: self.asset,
            ts: column.start,
            interval: column.interval,
            mark: column.mark,
            oi: column.oi,
            coverage: column.coverage,
            gap: column.gap,
            reconstructed: column.reconstructed,
            digest: format!("{:016x}", super::codec::column_digest(column)),
            levels: levels.collect(),
        })
    }

    /// A row of a table, or the event it is.
    fn event(
        &mut self,
        venue: Venue,
        ts: i64,
        cells: &[Cell<'_>],
        kind: impl FnOnce() -> Option<EventKind>,
    ) -> anyhow::Result<()> {
        self.count += 1;
        let asset = self.asset;
        match &mut self.out {
            Out::Table(table) => {
                let first = [Cell::Time(ts), Cell::Text(venue.as_str()), Cell::Text(asset.as_str())];
                table.row(&[&first, cells].concat())
            }
            Out::Lines(out) => match kind() {
                Some(kind) => Ok(write_event(out, &MarketEvent { venue, asset, ts, recv: None, kind })?),
                None => Ok(()),
            },
        }
    }

    fn object(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        self.count += 1;
        if let Out::Lines(out) = &mut self.out {
            serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }
}

/// The columns of a table, by their names.
fn header(what: What) -> Vec<String> {
    let own = match what {
        What::Liquidations => "position price qty price_kind sampled",
        What::OpenInterest => "qty",
        What::Funding => "rate hours",
        What::Candles => "interval open high low close volume",
        What::Levels => "interval price_low price_high usd",
    };
    let mut names: Vec<String> = ["ts", "venue", "asset"].map(str::to_owned).into();
    names.extend(own.split(' ').map(str::to_owned));
    if what == What::Levels {
        names.extend(Tier::ALL.map(|tier| format!("tier_{tier}_usd")));
    }
    names
}

/// USD by tier of each bin from the first on.
fn by_bin(column: &Column) -> (i32, Vec<[f64; Tier::ALL.len()]>) {
    let spans = || column.levels.iter().flat_map(|p| p.spans().map(|(bin, len, _)| (bin, bin + len)));
    let first = spans().map(|(from, _)| from).min().unwrap_or(0);
    let last = spans().map(|(_, to)| to).max().unwrap_or(first);
    let mut bins = vec![[0.0; Tier::ALL.len()]; (last - first) as usize];
    for (tier, packed) in column.levels.iter().enumerate() {
        for (bin, len, usd) in packed.spans() {
            bins.iter_mut()
                .skip((bin - first) as usize)
                .take(len as usize)
                .for_each(|tiers| tiers[tier] = usd);
        }
    }
    (first, bins)
}
