//! The score: who made the liquidations wins, chance wins nothing, and nothing is known before its time.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use meltline::estimate::{BinTable, Preset, PresetMap};
use meltline::feed::recording::Recording;
use meltline::insight::score::truth::TruthKind;
use meltline::insight::score::{Kind, Method, Report, Scorer};
use meltline::market::event::{EventKind, Gap, Position, sort_events};
use meltline::market::ndjson::write_event;
use meltline::market::{Candle, Interval, MarketEvent, Side, TakerSide};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::commands::meltline;
use crate::support::{candle, event, liquidation, liquidation_bar, mark, open_interest, price, qty, trade};

const HOUR: i64 = 3_600_000;
/// A whole hour, UTC ms.
const START: i64 = 1_759_996_800_000;

fn bins() -> Arc<BinTable> {
    Arc::new(BinTable::new(5.0))
}

fn score(events: &[MarketEvent]) -> Report {
    let mut scorer = Scorer::new(bins(), Vec::new());
    for e in events {
        scorer.apply(e);
    }
    scorer.finish("test".into())
}

/// Hourly candles and open interest of a price that wanders, by chance that is the same in every run.
fn wandering(hours: i64) -> Vec<MarketEvent> {
    let mut dice = ChaCha8Rng::seed_from_u64(7);
    let (mut at, mut oi, mut events) = (60_000.0_f64, 10_000.0_f64, vec![open_interest(START, 10_000.0)]);
    for i in 0..hours {
        let ts = START + i * HOUR;
        let wide = if dice.random_bool(0.2) { 0.02 } else { 0.006 };
        let to = (at * (1.0 + wide * dice.random_range(-1.0..1.0_f64))).clamp(40_000.0, 90_000.0);
        let low = at.min(to) * (1.0 - 0.5 * wide * dice.random_range(0.0..1.0_f64));
        let high = at.max(to) * (1.0 + 0.5 * wide * dice.random_range(0.0..1.0_f64));
        let volume = dice.random_range(300.0..3_000.0_f64);
        let mut bar = candle(ts, Interval::H1, [at, high, low, to, volume]);
        if let EventKind::Candle(Candle { taker_buy, .. }) = &mut bar.kind {
            *taker_buy = Some(qty(volume * dice.random_range(0.2..0.8_f64)));
        }
        events.push(bar);
        oi = (oi + dice.random_range(-300.0..300.0_f64)).clamp(7_000.0, 14_000.0);
        events.push(open_interest(ts + HOUR - 1, oi));
        at = to;
    }
    events
}

/// The same with totals of each hour: what the path sweeps of a preset's map.
fn liquidated_by(preset: Preset, hours: i64) -> Vec<MarketEvent> {
    let mut map = PresetMap::new(preset, bins());
    let mut events = Vec::new();
    for e in wandering(hours) {
        map.apply(&e);
        if matches!(e.kind, EventKind::Candle(_)) {
            let [long, short] = map.take_swept();
            events.push(liquidation_bar(e.ts, 0.01 * long, 0.01 * short));
        }
        events.push(e);
    }
    sort_events(&mut events);
    events
}

#[test]
fn a_preset_that_makes_the_liquidations_wins() {
    for preset in [Preset::VolumeUniform, Preset::OiTaker] {
        let report = score(&liquidated_by(preset, 900));
        // Nothing can be foretold of the first hour, and 200 more are only learned from.
        assert_eq!((report.kind, report.n, report.enough), (Kind::Totals, 699, true));
        assert_eq!(report.best_preset, Some(preset));
        let skill = |method| report.of(method).skill.unwrap();
        assert!(skill(Method::Preset(preset)) > 0.5, "{:?}", report.of(Method::Preset(preset)));
        assert!(skill(Method::Preset(preset)) > skill(Method::Ours));
        assert!(skill(Method::Preset(preset)) > skill(Method::Random) + 0.3);
        assert!(report.skill_diff.unwrap()[2] < 0.0, "and the interval says so: {:?}", report.skill_diff);
        assert_eq!(skill(Method::RangeOnly), 0.0);
    }
}

#[test]
fn when_liquidations_fall_by_chance_nobody_wins() {
    let mut events = liquidated_by(Preset::VolumeUniform, 900);
    let mut bars: Vec<_> = events
        .iter()
        .filter_map(|e| if let EventKind::LiquidationBar(bar) = e.kind { Some(bar) } else { None })
        .collect();
    let mut dice = ChaCha8Rng::seed_from_u64(1);
    for i in (1..bars.len()).rev() {
        bars.swap(i, dice.random_range(0..=i));
    }
    let mut bars = bars.into_iter();
    for e in &mut events {
        if let EventKind::LiquidationBar(bar) = &mut e.kind {
            *bar = bars.next().unwrap();
        }
    }
    let report = score(&events);
    let [low, _, high] = report.skill_diff.unwrap();
    // Ours learns all its components from noise, so it may even lose a little.
    assert!(low <= 0.0 && high >= -0.1, "{:?}", report.skill_diff);
    for method in Method::ALL {
        assert!(report.of(method).skill.unwrap() < 0.1, "{method}: {:?}", report.of(method));
    }
}

#[test]
fn a_forecast_knows_nothing_that_comes_later() {
    let events = liquidated_by(Preset::OiTaker, 400);
    let forecasts = |events: &[MarketEvent]| {
        let mut scorer = Scorer::new(bins(), Vec::new());
        for e in events {
            scorer.apply(e);
        }
        let hours = scorer.hours().1;
        let causal = Method::ALL.into_iter().filter(|m| *m != Method::Random);
        causal.map(|method| hours.forecast(method)).collect::<Vec<_>>()
    };
    // Three events an hour.
    let (whole, part) = (forecasts(&events), forecasts(&events[..=(3 * 250)]));
    for (whole, part) in whole.iter().zip(&part) {
        assert!(part.len() > 240);
        assert!(part.iter().flatten().all(|x| x.is_finite() && *x >= 0.0));
        assert_eq!(&whole[..part.len()], &part[..]);
    }
}

#[test]
fn missing_data_leaves_hours_out() {
    let mut events = liquidated_by(Preset::OiTaker, 400);
    let at = START + 300 * HOUR;
    let gap = Gap { stream: "liquidation".into(), from: at + 60_000, to: at + HOUR + 60_000 };
    events.push(event(gap.to, EventKind::Gap(gap)));
    // And one hour of which nobody says what was liquidated.
    events.retain(|e| !(matches!(e.kind, EventKind::LiquidationBar(_)) && e.ts == START + 350 * HOUR));
    sort_events(&mut events);
    let report = score(&events);
    assert_eq!((report.hours, report.skipped), (196, 3));
}

/// Ticks of a wandering price; liquidations are printed where the path sweeps a preset's map.
fn printed_by(preset: Preset, hours: i64) -> Vec<MarketEvent> {
    let mut dice = ChaCha8Rng::seed_from_u64(11);
    let mut map = PresetMap::new(preset, bins());
    let (mut at, mut drift, mut oi) = (60_000.0_f64, 0.0, 10_000.0);
    let mut events = vec![open_interest(START, oi)];
    for i in 0..hours * 720 {
        let ts = START + i * 5_000;
        if i % 360 == 0 {
            drift = dice.random_range(-1.0..1.0_f64) * 4e-5;
        }
        at *= 1.0 + drift + 2e-4 * dice.random_range(-1.0..1.0_f64);
        let mut print = trade(ts, at, dice.random_range(0.1..4.0_f64));
        if let EventKind::Trade(trade) = &mut print.kind
            && dice.random_bool(0.5)
        {
            trade.taker = TakerSide::Sell;
        }
        let mut all = vec![print, mark(ts + 1, at)];
        if i % 60 == 59 {
            oi += dice.random_range(-100.0..100.0_f64);
            all.push(open_interest(ts + 3, oi));
        }
        for e in &all {
            map.apply(e);
        }
        for (side, coins) in Side::BOTH.into_iter().zip(map.take_swept()) {
            if coins > 0.0 {
                all.insert(2, liquidation(ts + 2, side, at, 0.02 * coins));
            }
        }
        events.extend(all);
    }
    events
}

#[test]
fn a_preset_that_says_where_liquidations_fall_is_told_by_their_places() {
    let preset = Method::Preset(Preset::OiTaker);
    let report = score(&printed_by(Preset::OiTaker, 72));
    assert_eq!((report.kind, report.enough), (Kind::Priced, true));
    let right = report.of(preset);
    assert!(right.bits.unwrap() > 0.5, "{right:?}");
    assert!(right.top10.unwrap() > 0.5, "{right:?}");
    for method in Method::ALL.into_iter().filter(|m| *m != preset) {
        let other = report.of(method);
        assert!(other.bits.unwrap_or(0.0) < right.bits.unwrap() - 0.2, "{method}: {other:?}");
        assert!(other.top10.unwrap_or(0.0) < right.top10.unwrap(), "{method}: {other:?}");
    }
    assert!(report.of(Method::Preset(Preset::Uniform)).bits.unwrap().abs() < 0.01);
    assert!(report.of(Method::Random).bits.unwrap() < 0.1);
}

#[test]
fn history_without_prints_is_no_hour_without_liquidations() {
    // Half a day of candles before the first tick, as a backfill brings them.
    let tick = |e: MarketEvent| MarketEvent { ts: e.ts + 12 * HOUR, ..e };
    let mut events = wandering(12);
    events.extend(printed_by(Preset::OiTaker, 50).into_iter().map(tick));
    let report = score(&events);
    // The learning takes 24 hours of ticks, and nothing comes after the last to say that it is over.
    assert_eq!((report.hours, report.skipped), (50 - 24 - 1, 0));
}

/// Positions of twenty accounts a snapshot, each hour: longs at 10x of entries around 60,000.
fn positions(hours: std::ops::Range<i64>) -> Vec<MarketEvent> {
    let one = |ts: i64, n: u32| {
        let distance = 0.02 + 0.013 * f64::from(n);
        let position = Position {
            account: format!("0x{n:040x}").into(),
            side: Side::Long,
            qty: qty(f64::from(n % 5 + 1)),
            entry: price(60_000.0),
            leverage: None,
            liq_price: Some(price(60_000.0 * (1.0 - distance))),
        };
        let mut e = event(ts, EventKind::Position(Box::new(position)));
        e.venue = "hyperliquid".parse().unwrap();
        e
    };
    hours.flat_map(|h| (0..20).map(move |n| one(START + h * HOUR + 1_000, n))).collect()
}

#[test]
fn public_positions_are_compared_only_while_the_market_is_known() {
    let mut events = liquidated_by(Preset::OiTaker, 60);
    // Ten before a day has passed, ten within the market, ten long after it.
    events.extend(positions(5..15));
    events.extend(positions(40..50));
    events.extend(positions(500..510));
    sort_events(&mut events);
    let truth = score(&events).truth.unwrap();
    assert_eq!((truth.kind, truth.n), (TruthKind::Positions, 10));
    assert!(truth.alone.unwrap().abs() <= 1.0 && truth.half_measured.is_some());
    assert!(truth.presets.iter().all(Option::is_some));
}

#[test]
fn maps_of_true_positions_are_compared_as_they_are_known() {
    let events = liquidated_by(Preset::OiTaker, 60);
    // The truth is the preset's own map at hour 50.
    let mut map = PresetMap::new(Preset::OiTaker, bins());
    let ts = START + 50 * HOUR;
    events.iter().filter(|e| e.known_at() < ts).for_each(|e| map.apply(e));
    map.advance(ts);
    let (first, usd) = map.levels(Side::Long);
    let rows: Vec<String> = usd
        .iter()
        .enumerate()
        .map(|(i, usd)| {
            let bin = first + i as i32;
            format!("[\"{}\",\"{}\",{usd}]", bins().edge(bin), bins().edge(bin + 1))
        })
        .collect();
    let line = format!(
        r#"{{"v":1,"type":"truth","venue":"test","asset":"BTC","ts":{ts},"side":"long","bins":[{}]}}"#,
        rows.join(",")
    );
    let truth = meltline::insight::score::truth::Truth::parse(&line).unwrap();
    let mut scorer = Scorer::new(bins(), vec![truth]);
    for e in &events {
        scorer.apply(e);
    }
    let report = scorer.finish("test".into()).truth.unwrap();
    assert_eq!((report.kind, report.n), (TruthKind::Maps, 1));
    assert!(report.presets[Preset::OiTaker as usize].unwrap() > 0.95, "{report:?}");
    assert!(report.alone.unwrap() < 0.95);
}

fn write(path: &Path, events: &[MarketEvent]) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    for e in events {
        write_event(&mut file, e).unwrap();
    }
    file.flush().unwrap();
}

fn run(files: &[&Path], more: &[&str]) -> Output {
    let mut command = meltline(&["score"]);
    command.args(files).args(more).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_short_file_says_that_it_is_too_short_and_json_says_it_a_line_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let (short, long) = (dir.path().join("short.ndjson"), dir.path().join("long.ndjson"));
    write(&short, &liquidated_by(Preset::OiTaker, 260));
    write(&long, &liquidated_by(Preset::OiTaker, 520));
    let table = run(&[&short], &[]);
    assert!(table.status.success(), "{}", text(&table.stderr));
    assert!(text(&table.stdout).contains("too few to say: 300 bars are needed"), "{}", text(&table.stdout));
    let json = run(&[&short, &long], &["--format", "json"]);
    let out = text(&json.stdout);
    let rows: Vec<serde_json::Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!((&rows[0]["enough"], &rows[0]["n"]), (&false.into(), &59.into()));
    assert_eq!((&rows[1]["enough"], &rows[1]["n"]), (&true.into(), &319.into()));
    assert_eq!(rows[1]["best_preset"], "oi_taker");
    assert_eq!(rows[1]["methods"].as_object().unwrap().len(), 11);
    assert!(rows[1]["methods"]["ours"]["bits"].is_null(), "bits are of single liquidations");
    assert!(rows[1]["skill_diff"][0].as_f64().unwrap() <= rows[1]["skill_diff"][2].as_f64().unwrap());
}

#[test]
fn what_cannot_be_scored_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let silent = dir.path().join("silent.ndjson");
    write(&silent, &wandering(30));
    let out = run(&[&silent], &[]);
    assert!(!out.status.success());
    assert!(text(&out.stderr).contains("holds no liquidations"), "{}", text(&out.stderr));
    let alone = dir.path().join("positions.ndjson");
    write(&alone, &positions(0..3));
    let out = run(&[&alone], &[]);
    assert!(!out.status.success());
    assert!(text(&out.stderr).contains("name the recording of their market"), "{}", text(&out.stderr));
    let out = run(&[Path::new("/nonexistent/file")], &[]);
    assert_eq!(out.status.code(), Some(1));
}

#[test]
fn positions_in_a_file_of_their_own_are_the_truth_of_a_sum_over_venues() {
    let dir = tempfile::tempdir().unwrap();
    let (market, known) = (dir.path().join("market.ndjson"), dir.path().join("positions.ndjson"));
    let aggregate = |mut e: MarketEvent| {
        e.venue = "aggregate".parse().unwrap();
        e
    };
    let market_events: Vec<_> = liquidated_by(Preset::OiTaker, 60).into_iter().map(aggregate).collect();
    write(&market, &market_events);
    write(&known, &positions(40..50));
    let score = |files: &[&Path], more: &[&str]| -> serde_json::Value {
        let out = run(files, &[&["--format", "json"], more].concat());
        serde_json::from_str(&text(&out.stdout)).unwrap_or_else(|_| panic!("{}", text(&out.stderr)))
    };
    let beside = score(&[&market, &known], &[]);
    assert_eq!(beside["truth"]["n"], 10);
    assert_eq!(beside, score(&[&market], &["--truth", known.to_str().unwrap()]));
    // In one file they do not push the sum out either.
    let both = dir.path().join("both.ndjson");
    let mut events = market_events;
    events.extend(positions(40..50));
    write(&both, &events);
    let mut in_one = score(&[&both], &[]);
    in_one["file"] = beside["file"].clone();
    assert_eq!(in_one, beside);
}

/// The recordings named, or nothing where there are none.
fn recorded(name: &str) -> Option<PathBuf> {
    let Some(root) = std::env::var_os("MELTLINE_RECORDED") else {
        eprintln!("MELTLINE_RECORDED is not set: no recorded data to run on");
        return None;
    };
    Some(PathBuf::from(root).join("events").join(name))
}

#[test]
fn presets_reach_the_skill_that_an_independent_implementation_found() {
    let measured = [
        ("binance-BTC-1h-2024-06_08.ndjson.gz", [0.028, 0.020, 0.047, 0.110, 0.043, 0.011]),
        ("aggregate-BTC-1h-2025-12_2026-02.ndjson.gz", [0.064, 0.037, 0.158, 0.236, 0.157, 0.087]),
    ];
    for (name, skills) in measured {
        let Some(path) = recorded(name) else { return };
        let mut scorer = Scorer::new(bins(), Vec::new());
        let mut recording = Recording::open(&path, None).unwrap();
        while let Some(batch) = recording.next_batch().unwrap() {
            for e in &batch {
                scorer.apply(e);
            }
        }
        let report = scorer.finish(name.into());
        assert_eq!(report.of(Method::RangeOnly).skill, Some(0.0));
        assert_eq!(report.best_preset, Some(Preset::VolumeUniform));
        for (preset, expected) in Preset::ALL[1..].iter().zip(skills) {
            let skill = report.of(Method::Preset(*preset)).skill.unwrap();
            assert!((skill - expected).abs() < 0.02, "{name}: {preset} {skill} is not {expected}");
        }
        assert!(report.of(Method::Random).skill.unwrap().abs() < 0.05);
        assert!(report.of(Method::Preset(Preset::Uniform)).skill.unwrap() < 0.05);
        assert!(report.skill_diff.unwrap()[0] > 0.0, "{:?}", report.skill_diff);
    }
}
