//! How many frames and lines a second become events on one core.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use meltline::feed::book::BookLimits;
use meltline::feed::frame::{Body, RawFrame};
use meltline::feed::venue;
use meltline::market::ndjson::parse_line;

const COUNT: u64 = 20_000;

/// aggTrade frames of a combined stream, numbered without holes, as the venue sends them.
fn frames() -> Vec<RawFrame> {
    let Ok(venue) = "binance".parse() else { return Vec::new() };
    let frame = |i: u64| RawFrame {
        recv: 1_718_755_200_000_000_000 + i as i64 * 1_000_000,
        venue,
        conn: "market".into(),
        body: Body::Ws(format!(
            r#"{{"stream":"btcusdt@aggTrade","data":{{"e":"aggTrade","E":{ts},"s":"BTCUSDT","a":{i},"p":"65000.{d}","q":"0.0{d}1","nq":"0.0{d}1","f":{i},"l":{i},"T":{ts},"m":{m},"st":1}}}}"#,
            ts = 1_718_755_200_000 + i,
            d = i % 10,
            m = i.is_multiple_of(2),
        )),
    };
    (0..COUNT).map(frame).collect()
}

fn ingest(c: &mut Criterion) {
    let mut group = c.benchmark_group("ingest");
    group.throughput(Throughput::Elements(COUNT)).sample_size(10);
    let (Ok(venue), Ok(asset)) = ("binance".parse(), "BTC".parse()) else { return };
    let frames = frames();
    group.bench_function("binance aggTrade frames", |b| {
        b.iter_batched(
            || venue::translator(venue, Some(asset), BookLimits::default()),
            |translator| {
                let mut events = Vec::new();
                if let Some(mut translator) = translator {
                    for frame in &frames {
                        translator.take(black_box(frame), &mut events);
                        events.clear();
                    }
                }
            },
            BatchSize::LargeInput,
        );
    });
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
