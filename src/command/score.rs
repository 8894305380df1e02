//! `meltline score`: how well the levels foretold the liquidations in recordings.

use std::collections::VecDeque;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};

use crate::cli::{ScoreArgs, ScoreFormat};
use crate::config::Config;
use crate::estimate::{BinTable, Preset};
use crate::feed::recording::Recording;
use crate::insight::score::truth::{Truth, TruthKind, TruthReport};
use crate::insight::score::{
    FEWEST_BARS, FEWEST_PRINTS, FEWEST_WINDOWS, Kind, Method, Report, Scorer, totals,
};
use crate::market::event::sort_events;
use crate::market::ndjson::{self, Lines};
use crate::market::{Asset, EventKind, MarketEvent, Venue};

/// Broken lines of a truth file told word for word.
const COMPLAINTS: u64 = 20;

/// Runs the command.
pub fn run(args: &ScoreArgs, venues: &[Venue], config: &Config) -> anyhow::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut sources = Sources::open(args)?;
    let truth = TruthFiles::read(&args.truth)?;
    ensure!(
        !sources.markets.is_empty(),
        "only positions in {}: name the recording of their market beside it",
        listed(&sources.positions)
    );
    let bins = Arc::new(BinTable::new(config.bin_bp));
    let mut told = false;
    for market in std::mem::take(&mut sources.markets) {
        let report = score(market, &sources.positions, &truth, venues, &bins)?;
        match args.format {
            ScoreFormat::Json => {
                serde_json::to_writer(&mut out, &report).map_err(std::io::Error::from)?;
                out.write_all(b"\n")?;
            }
            ScoreFormat::Table => {
                if told {
                    writeln!(out)?;
                }
                table(&mut out, &report)?;
            }
        }
        told = true;
        out.flush().context("cannot write the score")?;
    }
    Ok(())
}

/// Scores one market: its own events and the public positions that are told elsewhere.
fn score(
    mut market: Source,
    positions: &[PathBuf],
    truth: &TruthFiles,
    venues: &[Venue],
    bins: &Arc<BinTable>,
) -> anyhow::Result<Report> {
    let asset = market.recording.asset();
    let maps = truth.maps.iter().filter(|t| Some(t.asset) == asset).cloned().collect();
    let mut others: Vec<MarketEvent> =
        truth.positions.iter().filter(|e| Some(e.asset) == asset).cloned().collect();
    for path in positions {
        others.extend(Source::open(std::slice::from_ref(path), asset)?.rest()?);
    }
    sort_events(&mut others);
    let mut others = VecDeque::from(others);
    let mut scorer = Scorer::new(Arc::clone(bins), maps);
    let counts = |e: &MarketEvent| {
        venues.is_empty() || venues.contains(&e.venue) || matches!(e.kind, EventKind::Position(_))
    };
    while let Some(batch) = market.next_batch()? {
        for event in batch.iter().filter(|e| counts(e)) {
            let due = others.partition_point(|o| o.order() < event.order());
            others.drain(..due).for_each(|other| scorer.apply(&other));
            scorer.apply(event);
        }
    }
    for event in &others {
        scorer.apply(event);
    }
    super::report(&market.recording.tally())?;
    let report = scorer.finish(market.name.clone());
    ensure!(
        report.kind != Kind::Truth || report.truth.is_some(),
        "nothing to score in {}: it holds no liquidations (liquidation or liquidation_bar) and there are no true positions",
        market.name
    );
    Ok(report)
}

/// A recording being read, with what was looked at already.
struct Source {
    name: String,
    recording: Recording,
    seen: VecDeque<Vec<MarketEvent>>,
}

impl Source {
    fn open(paths: &[PathBuf], asset: Option<Asset>) -> anyhow::Result<Self> {
        let recording = Recording::open_all(paths, asset)?.without_books();
        Ok(Self { name: listed(paths), recording, seen: VecDeque::new() })
    }

    fn next_batch(&mut self) -> anyhow::Result<Option<Vec<MarketEvent>>> {
        match self.seen.pop_front() {
            Some(batch) => Ok(Some(batch)),
            None => self.recording.next_batch(),
        }
    }

    fn rest(mut self) -> anyhow::Result<Vec<MarketEvent>> {
        let mut events = Vec::new();
        while let Some(batch) = self.next_batch()? {
            events.extend(batch);
        }
        super::report(&self.recording.tally())?;
        Ok(events)
    }

    /// Whether there is nothing but positions; reads on until there is.
    fn is_positions_only(&mut self) -> anyhow::Result<bool> {
        while let Some(batch) = self.recording.next_batch()? {
            let only = batch.iter().all(|e| matches!(e.kind, EventKind::Position(_)));
            self.seen.push_back(batch);
            if !only {
                return Ok(false);
            }
        }
        Ok(!self.seen.is_empty())
    }

    /// Whether it is made of frames; known once something was read.
    fn is_capture(&self) -> bool {
        !self.recording.tally().kinds.is_empty()
    }
}

/// The files, sorted by what they are.
struct Sources {
    markets: Vec<Source>,
    positions: Vec<PathBuf>,
}

impl Sources {
    /// Every event file is a market of its own; captures are segments of one, in the order they were named.
    fn open(args: &ScoreArgs) -> anyhow::Result<Self> {
        let (mut markets, mut positions, mut captures) = (Vec::new(), Vec::new(), Vec::new());
        for path in &args.files {
            let mut source = Source::open(std::slice::from_ref(path), args.asset)?;
            if source.is_positions_only()? {
                if path == Path::new("-") {
                    bail!("positions from standard input cannot be read twice: name a file");
                }
                positions.push(path.clone());
            } else {
                if source.is_capture() {
                    captures.push((path.clone(), markets.len()));
                }
                markets.push(source);
            }
        }
        if captures.len() > 1 {
            let paths: Vec<PathBuf> = captures.iter().map(|(path, _)| path.clone()).collect();
            let asset = args.asset.or(markets[captures[0].1].recording.asset());
            for (_, at) in captures.iter().rev() {
                markets.remove(*at);
            }
            markets.insert(captures[0].1, Source::open(&paths, asset)?);
        }
        Ok(Self { markets, positions })
    }
}

/// What `--truth` names.
#[derive(Default)]
struct TruthFiles {
    maps: Vec<Truth>,
    positions: Vec<MarketEvent>,
}

impl TruthFiles {
    fn read(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut truth = Self::default();
        for path in paths {
            let (mut usable, mut broken) = (0_u64, 0_u64);
            let mut lines = Lines::new(ndjson::open(path)?);
            while let Some((number, line)) =
                lines.next_line().with_context(|| format!("cannot read {}", path.display()))?
            {
                let read = line.map_err(String::from).and_then(|line| truth.take(line));
                match read {
                    Ok(()) => usable += 1,
                    Err(why) => {
                        broken += 1;
                        if broken <= COMPLAINTS {
                            writeln!(std::io::stderr(), "{}:{number}: {why}", path.display())?;
                        }
                    }
                }
            }
            ensure!(usable > 0, "no truth in {}: it needs truth lines or position events", path.display());
        }
        Ok(truth)
    }

    fn take(&mut self, line: &str) -> Result<(), String> {
        if line.contains("\"truth\"") {
            self.maps.push(Truth::parse(line)?);
            return Ok(());
        }
        let event = ndjson::parse_line(line).map_err(|e| e.to_string())?;
        if !matches!(event.kind, EventKind::Position(_)) {
            return Err("neither a truth line nor a position".into());
        }
        self.positions.push(event);
        Ok(())
    }
}

fn listed(paths: &[PathBuf]) -> String {
    match paths {
        [] => String::new(),
        [one] => one.display().to_string(),
        [first, rest @ ..] => format!("{} and {} more", first.display(), rest.len()),
    }
}

fn table(out: &mut impl Write, report: &Report) -> anyhow::Result<()> {
    let asset = report.asset.map_or_else(String::new, |a| format!("{a}  "));
    writeln!(out, "{}", report.file)?;
    if report.kind == Kind::Truth {
        writeln!(out, "{asset}no liquidations told: only positions can be compared")?;
    } else {
        writeln!(out, "{asset}{}\n", basis(report))?;
        writeln!(
            out,
            "{:<18} {:>8} {:>9} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7}",
            "method", "rho long", "rho short", "top 10%", "top 25%", "bits", "ratio", "raw", "skill"
        )?;
        for method in Method::ALL {
            let m = report.of(method);
            let best = matches!(method, Method::Preset(p) if Some(p) == report.best_preset);
            writeln!(
                out,
                "{:<18} {:>8} {:>9} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7}{}",
                method,
                three(m.rho_long),
                three(m.rho_short),
                percent(m.top10),
                percent(m.top25),
                three(m.bits),
                two(m.ratio),
                two(m.raw_ratio),
                three(m.skill),
                if best { "  best preset" } else { "" },
            )?;
        }
        writeln!(out, "\n{}", verdict(report))?;
    }
    if let Some(truth) = &report.truth {
        writeln!(out, "{}", truth_verdict(truth))?;
    }
    Ok(())
}

/// What the numbers stand on.
fn basis(report: &Report) -> String {
    let Report { n, hours, skipped, .. } = report;
    let skipped = if *skipped > 0 { format!(", {skipped} left out for missing data") } else { String::new() };
    match report.kind {
        Kind::Priced => format!(
            "{n} liquidations in {hours} hours{skipped}; the first {} hours are only learned from",
            totals::LEARNING_HOURS
        ),
        _ => format!(
            "{n} bars of liquidation totals{skipped}; the first {} are only learned from",
            totals::LEARNING_BARS
        ),
    }
}

/// One sentence in plain words.
fn verdict(report: &Report) -> String {
    if !report.enough {
        let needed = match report.kind {
            Kind::Priced => {
                format!("{FEWEST_PRINTS} liquidations over {FEWEST_WINDOWS} hours are needed")
            }
            _ => format!("{FEWEST_BARS} bars are needed"),
        };
        return format!("too few to say: {needed}. The numbers above are what there is, not a finding.");
    }
    let (Some(preset), Some([low, mid, high])) = (report.best_preset, report.skill_diff) else {
        return "nothing to compare with: the range alone explains all there is.".into();
    };
    let skill = three(report.of(Method::Ours).skill);
    let difference = format!("{mid:+.3} [{low:+.3}, {high:+.3}] (95 %, n = {})", report.n);
    if low > 0.0 {
        format!("ours foretells best: skill {skill} over the range alone, ahead of {preset} by {difference}.")
    } else if high < 0.0 {
        format!("{preset} foretells better: ours has skill {skill}, a difference of {difference}.")
    } else {
        format!("no difference can be told: ours has skill {skill}, against {preset} {difference}.")
    }
}

fn truth_verdict(truth: &TruthReport) -> String {
    let against = match truth.kind {
        TruthKind::Maps => "the true positions",
        TruthKind::Positions => "public positions",
    };
    let best = Preset::ALL
        .into_iter()
        .zip(truth.presets)
        .filter_map(|(preset, rho)| Some((preset, rho?)))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    let best = best.map_or_else(String::new, |(preset, rho)| format!("; best preset {preset} {rho:.3}"));
    let half = match (truth.half_measured, truth.alone_on_half) {
        (Some(half), Some(alone)) => format!(
            "\n  with half of the accounts measured, against the other half: {half:.3} (without them {alone:.3})"
        ),
        _ => String::new(),
    };
    format!("against {against} at {} times: rank correlation {}{best}{half}", truth.n, three(truth.alone))
}

fn three(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |v| format!("{v:.3}"))
}

fn two(value: Option<f64>) -> String {
    value
        .map_or_else(|| "-".into(), |v| if v.abs() < 1_000.0 { format!("{v:.2}") } else { format!("{v:.0}") })
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |v| format!("{:.1}%", 100.0 * v))
}
