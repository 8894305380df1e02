//! `meltline levels`: the map now, at a time, or as a series.

mod history;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};

use crate::app::names;
use crate::cli::{Format, LevelsArgs};
use crate::config::Config;
use crate::engine::map::{LevelMap, LiquidationLevel};
use crate::engine::{Engine, History, Origin, snapshot};
use crate::estimate::{BinTable, Tier, TierSet};
use crate::feed::recording::Recording;
use crate::market::{Asset, Interval, Side, Usd, Venue};

use super::live::{self, Settled};

/// Levels a table shows on each side.
const TABLE_ROWS: usize = 15;

/// Runs the command.
pub fn run(args: &LevelsArgs, venues: &[Venue], config: &Config) -> anyhow::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    if let Some(path) = &args.input {
        from_recording(args, path, config, &mut out)?;
    } else if args.is_past() {
        history::write(args, venues, config, &mut out)?;
    } else {
        let settle =
            if args.format == Format::Coinglass { live::settled_picture } else { live::settled_engine };
        let Settled { engine, missing } = settle(args.asset, config, live::SETTLE)?;
        for venue in missing {
            eprintln!("meltline: {venue}");
        }
        write_map(&mut out, args, &engine, engine.now() + 1, true)?;
    }
    out.flush().context("cannot write the levels")
}

fn from_recording(
    args: &LevelsArgs,
    path: &Path,
    config: &Config,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let at = match args.at {
        Some(time @ crate::cli::Time::Back(_)) => Some(time.resolve(end_of(path, args.asset)?)),
        Some(time) => Some(time.resolve(0)),
        None => None,
    };
    let mut recording = Recording::open(path, Some(args.asset))?.without_books();
    let mut engine = Engine::new(args.asset, Origin::Replay, Arc::new(BinTable::new(config.bin_bp)), &[]);
    if at.is_none() && args.every.is_none() {
        engine.skip_outlived();
    }
    let mut next = None;
    let mut rows = 0_usize;
    while let Some(batch) = recording.next_batch()? {
        for event in &batch {
            let known_at = event.known_at();
            if at.is_some_and(|at| known_at >= at) {
                continue;
            }
            // Terms of a contract may come without a time; they do not start the series.
            if let Some(every) = args.every.filter(|_| known_at > 0) {
                let due = next.get_or_insert_with(|| after(every, known_at));
                while known_at >= *due {
                    write_map(out, args, &engine, *due, rows == 0)?;
                    rows += 1;
                    *due += every.ms();
                }
            }
            engine.apply_event(event);
        }
    }
    super::report(&recording.tally())?;
    if engine.mark().is_none() {
        bail!("no price of {} in {}: levels need trades, marks or candles", args.asset, path.display());
    }
    match (args.every, next) {
        (Some(_), Some(due)) if engine.now() >= due - 1 => write_map(out, args, &engine, due, rows == 0)?,
        (Some(_), _) => {}
        (None, _) => write_map(out, args, &engine, at.unwrap_or(engine.now() + 1), true)?,
    }
    Ok(())
}

/// The first multiple of the interval after `ts`.
fn after(every: Interval, ts: i64) -> i64 {
    every.floor(ts) + every.ms()
}

/// When the newest event of a recording is known, UTC ms.
pub(super) fn end_of(path: &Path, asset: Asset) -> anyhow::Result<i64> {
    if path == Path::new("-") {
        bail!("--at with a span back needs a file: standard input cannot be read twice");
    }
    let mut recording = Recording::open(path, Some(asset))?.without_books();
    let mut end = 0;
    while let Some(batch) = recording.next_batch()? {
        end = batch.iter().map(crate::market::MarketEvent::known_at).fold(end, i64::max);
    }
    Ok(end)
}

fn write_map(
    out: &mut impl Write,
    args: &LevelsArgs,
    engine: &Engine,
    ts: i64,
    first: bool,
) -> anyhow::Result<()> {
    match args.format {
        Format::Coinglass => {
            let histories: Vec<_> = engine.counted().map(|m| m.history().as_ref()).collect();
            coinglass(out, engine.mark(), engine.bins(), &histories, args.within)
        }
        form => write_form(out, form, &engine.level_map(ts, args.within), first),
    }
}

/// A map in a form that is made of maps.
fn write_form(out: &mut impl Write, form: Format, map: &LevelMap, first: bool) -> anyhow::Result<()> {
    match form {
        Format::Json => serde_json::to_writer(&mut *out, map)
            .map_err(std::io::Error::from)
            .and_then(|()| out.write_all(b"\n"))
            .map_err(Into::into),
        Format::Csv => csv(out, map, first),
        Format::Table | Format::Coinglass => table(out, map),
    }
}

fn csv(out: &mut impl Write, map: &LevelMap, header: bool) -> anyhow::Result<()> {
    if header {
        write!(out, "ts,asset,side,price_low,price_high,usd,usd_low,usd_high,position_usd,measured_usd")?;
        for tier in Tier::MODELLED {
            write!(out, ",tier_{tier}_usd")?;
        }
        writeln!(out, ",venues")?;
    }
    for level in &map.levels {
        let side = if level.side == Side::Long { "long" } else { "short" };
        write!(
            out,
            "{},{},{side},{},{},{},{},{},{},{}",
            map.ts,
            map.asset,
            level.price_low,
            level.price_high,
            level.usd,
            level.usd_low,
            level.usd_high,
            level.position_usd,
            level.measured_usd
        )?;
        for tier in Tier::MODELLED {
            write!(out, ",{}", level.tiers[tier.index()])?;
        }
        // One field whatever venues there are: `binance=8000000;bybit=4400000`.
        let venues: Vec<String> = level.venues.iter().map(|(v, usd)| format!("{v}={usd}")).collect();
        writeln!(out, ",{}", venues.join(";"))?;
    }
    Ok(())
}

/// The largest levels of each side around the mark.
fn table(out: &mut impl Write, map: &LevelMap) -> anyhow::Result<()> {
    let mark: f64 = map.mark.as_deref().and_then(|m| m.parse().ok()).unwrap_or(0.0);
    let time =
        jiff::Timestamp::from_millisecond(map.ts).map_or_else(|_| map.ts.to_string(), |t| t.to_string());
    writeln!(
        out,
        "{}  estimated liquidation levels at {time}  mark {}",
        map.asset,
        map.mark.as_deref().unwrap_or("unknown")
    )?;
    for venue in &map.venues {
        let oi = venue.oi_usd.map_or_else(|| "unknown".into(), |usd| Usd(usd).to_string());
        writeln!(
            out,
            "{:<11}  open interest {oi:>7}  coverage {:>3.0} %  longs {:>7}  shorts {:>7}  {}",
            venue.venue,
            venue.coverage * 100.0,
            Usd(venue.long_usd).to_string(),
            Usd(venue.short_usd).to_string(),
            venue.state.replace('_', " "),
        )?;
        if let Some(fit) = venue.distances {
            writeln!(
                out,
                "             distances of {} public positions: median {:.0} %, sigma {:.2}, fit error {:.2}",
                fit.count,
                100.0 * fit.median,
                fit.sigma,
                fit.error
            )?;
        }
    }
    writeln!(out, "longs below {}   shorts above {}\n", Usd(map.totals.long_usd), Usd(map.totals.short_usd))?;
    let mut largest: Vec<_> = map.levels.iter().collect();
    largest.sort_by(|a, b| b.usd.total_cmp(&a.usd));
    let mut kept: Vec<_> = Side::BOTH
        .into_iter()
        .flat_map(|side| largest.iter().filter(move |l| l.side == side).take(TABLE_ROWS))
        .collect();
    let low = |text: &str| text.parse::<f64>().unwrap_or(0.0);
    kept.sort_by(|a, b| low(&b.price_low).total_cmp(&low(&a.price_low)));
    let wide = kept.iter().flat_map(|l| [&l.price_low, &l.price_high]).map(String::len).max().unwrap_or(0);
    writeln!(
        out,
        "{:>wide$} {:>wide$} {:<5} {:>8} {:>9} {:>15} {:>9}  mostly",
        "from", "to", "side", "distance", "level", "80 % within", "positions"
    )?;
    for level in kept {
        let middle = f64::midpoint(low(&level.price_low), low(&level.price_high));
        let mostly = Tier::ALL
            .into_iter()
            .max_by(|a, b| level.tiers[a.index()].total_cmp(&level.tiers[b.index()]))
            .unwrap_or(Tier::Low);
        writeln!(
            out,
            "{:>wide$} {:>wide$} {:<5} {:>+7.2}% {:>9} {:>15} {:>9}  {mostly}{}",
            level.price_low,
            level.price_high,
            if level.side == Side::Long { "long" } else { "short" },
            (middle / mark - 1.0) * 100.0,
            Usd(level.usd).to_string(),
            format!("{}–{}", Usd(level.usd_low), Usd(level.usd_high)),
            Usd(level.position_usd).to_string(),
            largest_venues(level),
        )?;
    }
    Ok(())
}

/// The two venues with the most of a level, where there are several.
fn largest_venues(level: &LiquidationLevel) -> String {
    let mut parts: Vec<_> = level.venues.iter().collect();
    if parts.len() < 2 {
        return String::new();
    }
    parts.sort_by(|a, b| b.1.total_cmp(a.1));
    let part = |(venue, usd)| format!(" {} {:.0}%", names::short(venue), 100.0 * usd / level.usd);
    let two: String = parts.into_iter().take(2).map(part).collect();
    format!("  {}", two.trim_start())
}

/// `{"y_axis":[price…],"liquidation_leverage_data":[[x,y,usd]…],"price_candlesticks":[[t,o,h,l,c,v]…]}`: `x` counts
/// columns, `y` prices; times in unix seconds, as scripts written for that service expect.
fn coinglass(
    out: &mut impl Write,
    mark: Option<f64>,
    bins: &BinTable,
    histories: &[&History],
    within: f64,
) -> anyhow::Result<()> {
    let Some(mark) = mark else { bail!("no price yet: the heatmap is empty") };
    let low = bins.bin(mark * (1.0 - within)).unwrap_or(0);
    let high = bins.bin(mark * (1.0 + within)).unwrap_or(bins.len() - 1);
    // Of all venues the finest columns that hold the whole of what is known of each.
    let level = histories.iter().map(|h| h.whole()).max().unwrap_or(0);
    let columns: Vec<_> = histories.iter().map(|h| h.ladder[level].as_slice()).collect();
    let mut starts: Vec<i64> = columns.iter().copied().flatten().map(|c| c.start).collect();
    starts.sort_unstable();
    starts.dedup();
    let prices: Vec<f64> = (low..=high).map(|b| rounded(bins.mid(b))).collect();
    let mut cells = Vec::new();
    let mut candles = Vec::new();
    for (x, start) in starts.iter().enumerate() {
        let mut levels = vec![0.0; prices.len()];
        let here = || columns.iter().copied().flatten().filter(|c| c.start == *start);
        for column in here() {
            column.add_levels(TierSet::ALL, low, &mut levels);
        }
        let bar = snapshot::joint_bar(here().filter_map(|c| Some((c.oi * c.mark, c.bar?))));
        for (y, usd) in levels.iter().enumerate().filter(|(_, usd)| **usd > 0.0) {
            cells.push((x, y, rounded(*usd)));
        }
        if let Some(b) = bar {
            candles.push((start / 1_000, b.open, b.high, b.low, b.close, b.volume));
        }
    }
    let heatmap = serde_json::json!({
        "y_axis": prices,
        "liquidation_leverage_data": cells,
        "price_candlesticks": candles,
    });
    serde_json::to_writer(&mut *out, &heatmap).map_err(std::io::Error::from)?;
    out.write_all(b"\n")?;
    Ok(())
}

/// Six significant digits are what a packed column can tell.
fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}
