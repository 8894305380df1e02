//! How many trades a second the estimator takes on one core.
//!
//! `marked`: a market with a mark each second and a reading of open interest every five, as live.
//! `unmarked`: the path follows every trade, readings once a minute, as in recordings without marks.
//! `readout`: the levels of one venue, with leverages as elsewhere and with distances measured as on Hyperliquid.
//! `picture`: what ten times a second costs with four venues, all of which moved or none.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use meltline::engine::{Engine, Origin};
use meltline::estimate::{BinTable, Estimator};
use meltline::market::event::{EventKind, Mark, MarketEvent};
use meltline::market::{Price, Qty, TakerSide, Trade};

const TRADES: usize = 100_000;
/// Trades a second: a busy market.
const RATE: usize = 50;

fn event(ts: i64, kind: EventKind) -> Option<MarketEvent> {
    Some(MarketEvent { venue: "bench".parse().ok()?, asset: "BTC".parse().ok()?, ts, recv: None, kind })
}

/// A wandering market by a fixed rule.
fn market(marks: bool) -> Vec<MarketEvent> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let (mut price, mut oi) = (60_000.0, 90_000.0);
    let mut events = Vec::new();
    for i in 0..TRADES {
        let ts = (i * 1_000 / RATE) as i64;
        price *= 1.0 + (draw() - 0.5) * 2e-4;
        let trade = || {
            Some(EventKind::Trade(Trade {
                price: Price::from_f64((price * 10.0_f64).round() / 10.0)?,
                qty: Qty::from_f64(0.2)?,
                taker: TakerSide::Buy,
                id: None,
                parties: None,
            }))
        };
        events.extend(trade().and_then(|t| event(ts, t)));
        if marks && i % RATE == 0 {
            let mark = Price::from_f64(price).map(|price| Mark {
                price,
                index: None,
                funding: None,
                funding_hours: None,
                next_funding: None,
            });
            events.extend(mark.and_then(|m| event(ts, EventKind::Mark(m))));
        }
        let reading = if marks { 5 * RATE } else { 60 * RATE };
        if i % reading == 0 {
            oi += draw() - 0.45;
            events.extend(Qty::from_f64(oi).and_then(|q| event(ts, EventKind::OpenInterest(q))));
        }
    }
    events
}

fn estimate(c: &mut Criterion) {
    let mut group = c.benchmark_group("estimate");
    group.throughput(Throughput::Elements(TRADES as u64)).sample_size(10);
    let bins = Arc::new(BinTable::new(5.0));
    let Ok(venue) = "bench".parse() else { return };
    for (name, marks) in [("marked", true), ("unmarked", false)] {
        let events = market(marks);
        group.bench_function(name, |b| {
            b.iter_batched(
                || Estimator::new(venue, Arc::clone(&bins)),
                |mut estimator| {
                    for event in &events {
                        estimator.apply(black_box(event));
                    }
                    estimator
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.throughput(Throughput::Elements(1));
    let events = market(true);
    for name in ["bench", "hyperliquid"] {
        let Ok(venue) = name.parse() else { return };
        let mut full = Estimator::new(venue, Arc::clone(&bins));
        for event in &events {
            full.apply(event);
        }
        group.bench_function(format!("readout/{name}"), |b| b.iter(|| black_box(full.readout())));
    }

    let Ok(asset) = "BTC".parse() else { return };
    let mut engine = Engine::new(asset, Origin::Replay, bins, &[]);
    let venues: Vec<_> =
        ["binance", "bybit", "okx", "hyperliquid"].into_iter().filter_map(|v| v.parse().ok()).collect();
    for event in &events {
        for venue in &venues {
            engine.apply_event(&MarketEvent { venue: *venue, ..event.clone() });
        }
    }
    group.bench_function("picture/nothing moved", |b| b.iter(|| black_box(engine.snapshot())));
    let mut ts = engine.now();
    group.bench_function("picture/all moved", |b| {
        b.iter(|| {
            ts += 1;
            let price = Price::from_f64(60_000.0 + (ts % 2) as f64 / 10.0);
            let mark = price.map(|price| Mark {
                price,
                index: None,
                funding: None,
                funding_hours: None,
                next_funding: None,
            });
            if let Some(event) = mark.and_then(|m| event(ts, EventKind::Mark(m))) {
                for venue in &venues {
                    engine.apply_event(&MarketEvent { venue: *venue, ..event.clone() });
                }
            }
            black_box(engine.snapshot())
        });
    });
    group.finish();
}

criterion_group!(benches, estimate);
criterion_main!(benches);
