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
use meltline::feed::frame::{Body, RawFrame};
use meltline::feed::venue;
use meltline::market::ndjson::parse_line;

const COUNT: u64 = 20_000;

/// Venue, name, and a frame that gives one event; each has a symbol of its own, so that all can run in turn. `@ms` stands for
/// a time that runs on, `@n` for a running number, `@d` for a digit and `@m` for a bool that change.
const SAMPLES: &str = include_str!("frames.tsv");

/// The `i`th frame of a sample.
fn frame(sample: &str, i: u64) -> String {
    sample
        .replace("@ms", &(1_718_755_200_000 + i).to_string())
        .replace("@n", &(5_266_583_935 + i).to_string())
        .replace("@d", &(1 + i % 9).to_string())
        .replace("@m", if i.is_multiple_of(2) { "true" } else { "false" })
}

/// Frames of one venue through its translator, as the merger does it; `every` wants an event of each.
fn translate(
    group: &mut BenchmarkGroup<'_, WallTime>,
    venue: &str,
    name: &str,
    texts: Vec<String>,
    every: bool,
) {
    let Ok(venue) = venue.parse() else { return };
    let frame = |(i, text): (usize, String)| {
        let recv = 1_718_755_200_000_000_000 + i as i64 * 1_000_000;
        RawFrame { recv, venue, conn: "market".into(), body: Body::Ws(text) }
    };
    let frames: Vec<RawFrame> = texts.into_iter().enumerate().map(frame).collect();
    let run = |events: &mut Vec<_>| {
        let mut translator = venue::translator(venue, None, BookLimits::default())?;
        for frame in &frames {
            translator.take(black_box(frame), events);
            black_box(&*events);
            events.clear();
        }
        Some(translator.tally().clone())
    };
    let Some(tally) = run(&mut Vec::new()) else { return };
    eprintln!("{venue} {name}: {:?}, {:?}", tally.counters, tally.kinds);
    assert!(
        !every || tally.counters.events >= frames.len() as u64,
        "frames that give no events measure nothing"
    );
    group.throughput(Throughput::Elements(frames.len() as u64));
    group.bench_function(format!("{venue} {name}"), |b| {
        b.iter_batched(Vec::new, |mut events| run(&mut events), BatchSize::LargeInput);
    });
}

fn ingest(c: &mut Criterion) {
    let mut group = c.benchmark_group("ingest");
    group.sample_size(20);
    let mut venues: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in SAMPLES.lines() {
        let [venue, name, sample] = line.splitn(3, '\t').collect::<Vec<_>>()[..] else { continue };
        translate(&mut group, venue, name, (0..COUNT).map(|i| frame(sample, i)).collect(), true);
        venues.entry(venue).or_default().push(sample);
    }
    for (venue, samples) in venues {
        let turns = (0..COUNT).flat_map(|i| samples.iter().map(move |sample| frame(sample, i)));
        translate(&mut group, venue, "all in turn", turns.take(COUNT as usize).collect(), true);
    }
    if let Some(path) = std::env::var_os("MELTLINE_BENCH_FRAMES") {
        let venue = std::env::var("MELTLINE_BENCH_VENUE").unwrap_or_else(|_| "binance".into());
        let text = std::fs::read_to_string(&path);
        assert!(text.is_ok(), "{}: {text:?}", path.display());
        let frames = text.iter().flat_map(|t| t.lines()).map(str::to_owned).collect();
        translate(&mut group, &venue, "recorded", frames, false);
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
