//! `meltline store`: what is kept on disk, in numbers and in files.

use std::io::{BufWriter, IsTerminal, Write};

use anyhow::{Context, bail};

use crate::cli::{ExportArgs, StoreArgs, StoreCommand};
use crate::config::Config;
use crate::market::Asset;
use crate::store::export::{Export, Form};
use crate::store::info::{Info, info};
use crate::store::{self, Reader, StorePath};

/// Runs the command.
pub fn run(args: &StoreArgs, config: &Config) -> anyhow::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    match &args.command {
        StoreCommand::Info { asset, json } => tell(&mut out, *asset, *json, config)?,
        StoreCommand::Vacuum { asset } => {
            for at in places(*asset, config)? {
                let (before, after) = store::vacuum(&at)?;
                writeln!(out, "{}: {} before, {} after", at.asset(), size(before), size(after))?;
            }
        }
        StoreCommand::Export(args) => export(&mut out, args, config)?,
    }
    out.flush().context("cannot write")
}

/// One asset's file, or all there are.
fn places(asset: Option<Asset>, config: &Config) -> anyhow::Result<Vec<StorePath>> {
    let data_dir = config.data_dir();
    let all = match asset {
        Some(asset) => vec![StorePath::new(&data_dir, asset)],
        None => StorePath::all(&data_dir),
    };
    if all.is_empty() || all.iter().all(|at| matches!(at.database().try_exists(), Ok(false))) {
        let whose = asset.map(|a| format!(" of {a}")).unwrap_or_default();
        bail!("no history{whose} in {}: `meltline collect` makes one", data_dir.join("history").display());
    }
    Ok(all)
}

fn tell(out: &mut impl Write, asset: Option<Asset>, json: bool, config: &Config) -> anyhow::Result<()> {
    for at in places(asset, config)? {
        let Some(found) = info(&at)? else { continue };
        if json {
            serde_json::to_writer(&mut *out, &found).map_err(std::io::Error::from)?;
            writeln!(out)?;
        } else {
            table(out, &found)?;
        }
    }
    Ok(())
}

fn table(out: &mut impl Write, found: &Info) -> anyhow::Result<()> {
    let writer = found.writer.as_ref().map_or_else(|| "nobody writes".to_owned(), |w| format!("{w} writes"));
    writeln!(
        out,
        "{}  {} history in bins of {} bp, version {}\n{}  {}, {} in use; {writer}",
        found.asset,
        found.origin,
        found.bin_bp,
        found.version,
        found.path.display(),
        size(found.bytes),
        size(found.used_bytes),
    )?;
    for table in &found.tables {
        let bytes = if table.body_bytes > 0 { size(table.body_bytes) } else { String::new() };
        writeln!(
            out,
            "  {:<14} {:<12} {:>9} rows  {bytes:>9}  {} to {}",
            table.what,
            table.venue,
            table.rows,
            time(table.first),
            time(table.last)
        )?;
    }
    Ok(())
}

fn export(out: &mut impl Write, args: &ExportArgs, config: &Config) -> anyhow::Result<()> {
    let at = StorePath::new(&config.data_dir(), args.asset);
    let Some(reader) = Reader::open(&at)? else {
        bail!("no history of {} in {}", args.asset, at.folder().display());
    };
    if args.format == Form::Parquet && std::io::stdout().is_terminal() {
        bail!("a Parquet table is no text: send it to a file, as in `> {}.parquet`", args.asset);
    }
    let end = reader.newest()?.unwrap_or(0);
    let export = Export {
        what: args.what,
        form: args.format,
        from: args.from.map_or(0, |t| t.resolve(end)),
        until: args.to.map_or(i64::MAX, |t| t.resolve(end)),
        interval: args.interval,
        venues: args.venue.clone(),
    };
    let rows = export.write(&reader, out)?;
    if reader.damaged() > 0 {
        eprintln!("meltline: {} damaged rows were left out", reader.damaged());
    }
    if rows == 0 {
        eprintln!("meltline: no such rows");
    }
    Ok(())
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map_or_else(|_| ms.to_string(), |t| t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
