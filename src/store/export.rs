//! Rows in forms other programs read: CSV and NDJSON (`docs/FORMATS.md`).

use std::io::{self, Write};

use anyhow::Context;
use serde::Serialize;

use super::read::Reader;
use super::rows;
use crate::estimate::{BinTable, Column, Tier};
use crate::market::candle::Ohlc;
use crate::market::ndjson::write_event;
use crate::market::{Asset, Candle, EventKind, Interval, MarketEvent, Price, Qty, Venue};

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
    levels: Vec<Cell>,
}

/// One bin of a column. What is below the mark is long, what is above is short.
#[derive(Serialize)]
struct Cell {
    price_low: f64,
    price_high: f64,
    usd: f64,
    tiers: [f64; Tier::ALL.len()],
}

impl Export {
    /// Writes the rows. Returns how many.
    pub fn write(&self, reader: &Reader, out: &mut impl Write) -> anyhow::Result<u64> {
        let mut writer = Lines { export: self, asset: reader.identity().asset, out, rows: 0 };
        writer.all(reader).context("cannot export")?;
        Ok(writer.rows)
    }

    fn takes(&self, venue: Venue) -> bool {
        self.venues.is_empty() || self.venues.contains(&venue)
    }
}

struct Lines<'a, W> {
    export: &'a Export,
    asset: Asset,
    out: &'a mut W,
    rows: u64,
}

impl<W: Write> Lines<'_, W> {
    fn all(&mut self, reader: &Reader) -> anyhow::Result<()> {
        let &Export { what, form, from, until, .. } = self.export;
        let asset = self.asset;
        if form == Form::Csv {
            writeln!(self.out, "{}", header(what))?;
        }
        match what {
            What::Liquidations => {
                for row in
                    reader.liquidations(from, until)?.into_iter().filter(|r| self.export.takes(r.venue))
                {
                    let l = row.liquidation;
                    let (side, kind) = (rows::side_word(l.position), rows::kind_word(l.price_kind));
                    let sampled = rows::sampled_word(l.sampled);
                    match form {
                        Form::Csv => self.line(format_args!(
                            "{},{},{asset},{side},{},{},{kind},{sampled}",
                            row.ts, row.venue, l.price, l.qty
                        ))?,
                        Form::Ndjson => self.event(row.venue, row.ts, EventKind::Liquidation(l))?,
                    }
                }
            }
            What::OpenInterest => {
                for row in
                    reader.open_interest(from, until)?.into_iter().filter(|r| self.export.takes(r.venue))
                {
                    match form {
                        Form::Csv => {
                            self.line(format_args!("{},{},{asset},{}", row.ts, row.venue, row.qty))?;
                        }
                        Form::Ndjson => self.event(row.venue, row.ts, EventKind::OpenInterest(row.qty))?,
                    }
                }
            }
            What::Funding => {
                for row in reader.funding(from, until)?.into_iter().filter(|r| self.export.takes(r.venue)) {
                    let hours = row.hours.map(|h| h.to_string()).unwrap_or_default();
                    match form {
                        Form::Csv => {
                            self.line(format_args!("{},{},{asset},{},{hours}", row.ts, row.venue, row.rate))?;
                        }
                        Form::Ndjson => self.object(&FundingLine {
                            v: 1,
                            kind: "funding",
                            venue: row.venue,
                            asset,
                            ts: row.ts,
                            rate: row.rate.to_string(),
                            hours: row.hours,
                        })?,
                    }
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
        let asset = self.asset;
        if self.export.form == Form::Csv {
            return self.line(format_args!(
                "{},{venue},{asset},{},{},{},{},{},{}",
                column.start, column.interval, bar.open, bar.high, bar.low, bar.close, bar.volume
            ));
        }
        let ohlc = || {
            let [open, high, low, close] = [bar.open, bar.high, bar.low, bar.close].map(Price::from_f64);
            Some(Ohlc { open: open?, high: high?, low: low?, close: close? })
        };
        let candle = Candle {
            interval: column.interval,
            ohlc: ohlc(),
            volume: Qty::from_f64(bar.volume),
            taker_buy: None,
        };
        self.event(venue, column.start, EventKind::Candle(candle))
    }

    fn levels(&mut self, venue: Venue, column: &Column, bins: &BinTable) -> anyhow::Result<()> {
        let (first, tiers) = by_bin(column);
        let cells = tiers.into_iter().enumerate().filter_map(|(i, tiers)| {
            let (bin, usd) = (first + i as i32, tiers.iter().sum::<f64>());
            let cell = Cell { price_low: bins.edge(bin), price_high: bins.edge(bin + 1), usd, tiers };
            (usd > 0.0).then_some(cell)
        });
        let (start, asset, interval) = (column.start, self.asset, column.interval);
        if self.export.form == Form::Csv {
            for cell in cells {
                let tiers = cell.tiers.map(|usd| format!(",{usd}")).concat();
                let (low, high) = (cell.price_low, cell.price_high);
                self.line(format_args!(
                    "{start},{venue},{asset},{interval},{low},{high},{}{tiers}",
                    cell.usd
                ))?;
            }
            return Ok(());
        }
        self.object(&ColumnLine {
            v: 1,
            kind: "column",
            venue,
            asset,
            ts: start,
            interval,
            mark: column.mark,
            oi: column.oi,
            coverage: column.coverage,
            gap: column.gap,
            reconstructed: column.reconstructed,
            digest: format!("{:016x}", super::codec::column_digest(column)),
            levels: cells.collect(),
        })
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) -> anyhow::Result<()> {
        self.rows += 1;
        Ok(writeln!(self.out, "{line}")?)
    }

    fn object(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        self.rows += 1;
        serde_json::to_writer(&mut *self.out, value).map_err(io::Error::from)?;
        Ok(self.out.write_all(b"\n")?)
    }

    fn event(&mut self, venue: Venue, ts: i64, kind: EventKind) -> anyhow::Result<()> {
        self.rows += 1;
        Ok(write_event(self.out, &MarketEvent { venue, asset: self.asset, ts, recv: None, kind })?)
    }
}

/// The columns of a table, by their names.
fn header(what: What) -> String {
    match what {
        What::Liquidations => "ts,venue,asset,position,price,qty,price_kind,sampled".to_owned(),
        What::OpenInterest => "ts,venue,asset,qty".to_owned(),
        What::Funding => "ts,venue,asset,rate,hours".to_owned(),
        What::Candles => "ts,venue,asset,interval,open,high,low,close,volume".to_owned(),
        What::Levels => {
            let tiers = Tier::ALL.map(|t| format!(",usd_{t}")).concat();
            format!("ts,venue,asset,interval,price_low,price_high,usd{tiers}")
        }
    }
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
