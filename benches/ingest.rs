//! How many frames and lines a second become events on one core.
//!
//! A venue's samples are one line each in `frames.tsv`. To measure your own recordings, name a file of newline-separated
//! frames in `MELTLINE_BENCH_FRAMES` and their venue in `MELTLINE_BENCH_VENUE` (binance if not named).

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{
    BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use meltline::feed::book::BookLimits;
use meltline::feed::capture::{self, LineReader};
use meltline::feed::frame::{Body, RawFrame};
use meltline::feed::venue;
use meltline::market::ndjson::parse_line;

const COUNT: u64 = 20_000;

/// Venue, name, and a frame; each has a symbol or a state of its own, so that all can run in turn. `@ms` stands for a time that
/// runs on, `@n` for a running number and `@p` for the one before it, `@u` for a UUID, `@d` for a digit and `@m` for a bool
/// that change. What must come first has a name that begins with `?`: the call whose answer it is, or nothing more for a frame.
const SAMPLES: &str = include_str!("frames.tsv");

/// The `i`th frame of a sample.
fn frame(sample: &str, i: u64) -> String {
    sample
        .replace("@ms", &(1_718_755_200_000 + i).to_string())
        .replace("@n", &(5_266_583_935 + i).to_string())
        .replace("@p", &(5_266_583_934 + i).to_string())
        .replace("@u", &uuid(i))
        .replace("@d", &(1 + i % 9).to_string())
        .replace("@m", if i.is_multiple_of(2) { "true" } else { "false" })
}

/// The `i`th of texts that look like random UUIDs.
fn uuid(i: u64) -> String {
    // An odd factor keeps different numbers different.
    let (high, low) = (i.wrapping_mul(0x9e37_79b9_7f4a_7c15), i.wrapping_mul(0xd134_2543_de82_ef95));
    let text = format!("{high:016x}{low:016x}");
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

/// Frames of one venue through its translator, as the merger does it, after those that must come first; `every` wants each to be used.
fn translate(
    group: &mut BenchmarkGroup<'_, WallTime>,
    venue: &str,
    name: &str,
    first: &[Body],
    texts: Vec<String>,
    every: bool,
) {
    let Ok(venue) = venue.parse() else { return };
    let frame = |(i, body): (usize, Body)| {
        let recv = 1_718_755_200_000_000_000 + i as i64 * 1_000_000;
        RawFrame { recv, venue, conn: "market".into(), body }
    };
    let first: Vec<RawFrame> = first.iter().cloned().map(|body| frame((0, body))).collect();
    let frames: Vec<RawFrame> = texts.into_iter().map(Body::Ws).enumerate().map(frame).collect();
    let run = |events: &mut Vec<_>| {
        let mut translator = venue::translator(venue, None, BookLimits::default())?;
        for frame in first.iter().chain(&frames) {
            translator.take(black_box(frame), events);
            black_box(&*events);
            events.clear();
        }
        Some(translator.tally().clone())
    };
    let Some(tally) = run(&mut Vec::new()) else { return };
    eprintln!("{venue} {name}: {:?}, {:?}", tally.counters, tally.kinds);
    let c = tally.counters;
    let lost = c.ignored + c.unknown + c.malformed + c.duplicates + c.missed;
    assert!(!every || lost <= first.len() as u64, "frames that are not used measure nothing");
    group.throughput(Throughput::Elements(frames.len() as u64));
    group.bench_function(format!("{venue} {name}"), |b| {
        b.iter_batched(Vec::new, |mut events| run(&mut events), BatchSize::LargeInput);
    });
}

/// Frames of all venues as a capture holds them, back to frames.
fn capture_lines(group: &mut BenchmarkGroup<'_, WallTime>) {
    let mut lines: Vec<String> = Vec::new();
    for (i, line) in (0..COUNT).zip(SAMPLES.lines().cycle()) {
        let [venue, _, sample] = line.splitn(3, '\t').collect::<Vec<_>>()[..] else { continue };
        let Ok(venue) = venue.parse() else { continue };
        let body = Body::Ws(frame(sample, i));
        let mut text = Vec::new();
        let frame =
            RawFrame { recv: 1_718_755_200_000_000_000 + i as i64, venue, conn: "market".into(), body };
        if capture::write_line(&mut text, &frame).is_ok() {
            lines.extend(String::from_utf8(text));
        }
    }
    let (mut reader, mut spare) = (LineReader::default(), String::new());
    let mut read = || {
        let mut is_read = |line: &&String| match black_box(reader.read(line, &mut spare)) {
            Ok(frame) => {
                spare = frame.body.into_text();
                true
            }
            Err(_) => false,
        };
        lines.iter().filter(&mut is_read).count()
    };
    assert_eq!(read(), lines.len(), "lines that are not read measure nothing");
    group.throughput(Throughput::Elements(lines.len() as u64));
    group.bench_function("capture lines", |b| b.iter(&mut read));
}

fn ingest(c: &mut Criterion) {
    let mut group = c.benchmark_group("ingest");
    group.sample_size(20);
    let mut venues: BTreeMap<&str, (Vec<Body>, Vec<&str>)> = BTreeMap::new();
    for line in SAMPLES.lines() {
        let [venue, name, sample] = line.splitn(3, '\t').collect::<Vec<_>>()[..] else { continue };
        let (first, samples) = venues.entry(venue).or_default();
        match name.strip_prefix('?') {
            Some("") => first.push(Body::Ws(frame(sample, 0))),
            Some(call) => first.push(Body::Rest { path: call.into(), text: frame(sample, 0) }),
            None => {
                let texts = (0..COUNT).map(|i| frame(sample, i)).collect();
                translate(&mut group, venue, name, first, texts, true);
                samples.push(sample);
            }
        }
    }
    capture_lines(&mut group);
    for (venue, (first, samples)) in venues {
        let turns = (0..COUNT).flat_map(|i| samples.iter().map(move |sample| frame(sample, i)));
        translate(&mut group, venue, "all in turn", &first, turns.take(COUNT as usize).collect(), true);
    }
    if let Some(path) = std::env::var_os("MELTLINE_BENCH_FRAMES") {
        let venue = std::env::var("MELTLINE_BENCH_VENUE").unwrap_or_else(|_| "binance".into());
        let text = std::fs::read_to_string(&path);
        assert!(text.is_ok(), "{}: {text:?}", path.display());
        let frames = text.iter().flat_map(|t| t.lines()).map(str::to_owned).collect();
        translate(&mut group, &venue, "recorded", &[], frames, false);
    }
    group.throughput(Throughput::Elements(COUNT));
    let lines: Vec<String> = (0..COUNT)
        .map(|i| {
            let ts = 1_718_755_200_000 + i;
            format!(
                r#"{{"v":1,"type":"trade","venue":"binance","asset":"BTC","ts":{ts},"price":"65000.1","qty":"0.5","taker":"buy"}}"#
            )
        })
        .collect();
    group.bench_function("event lines", |b| {
        b.iter(|| lines.iter().filter(|line| black_box(parse_line(line)).is_ok()).count());
    });
    group.finish();
}

criterion_group!(benches, ingest);
criterion_main!(benches);
