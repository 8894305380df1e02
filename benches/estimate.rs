//! How many trades a second the estimator takes on one core.
//!
//! `marked`: a market with a mark each second and a reading of open interest every five, as live.
//! `unmarked`: the path follows every trade, readings once a minute, as in recordings without marks.
//! `learning`: as `marked`, with a liquidation a second of a feed that prints one a second, and as `unmarked` with one.
//! `backfill`: a day of four venues' minutes, as a start fetches it.
//! `readout`: the levels of one venue, with leverages as elsewhere and with distances measured as on Hyperliquid.
//! `picture`: what ten times a second costs with four venues, all of which moved or none.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use meltline::engine::{Engine, Origin};
use meltline::estimate::{BinTable, Estimator};
use meltline::market::candle::Ohlc;
use meltline::market::event::{EventKind, Mark, MarketEvent, PriceKind, Sampled};
use meltline::market::{Candle, Interval, Liquidation, Price, Qty, Side, TakerSide, Trade};

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

/// A liquidation after the first trade of each second, at its price.
fn with_liquidations(events: Vec<MarketEvent>) -> Vec<MarketEvent> {
    let mut out = Vec::new();
    let mut second = -1;
    for event in events {
        let print = match &event.kind {
            EventKind::Trade(t) if event.ts / 1_000 > second => Qty::from_f64(0.05).map(|qty| Liquidation {
                position: if event.ts / 1_000 % 2 == 0 { Side::Long } else { Side::Short },
                price: t.price,
                qty,
                price_kind: PriceKind::Fill,
                sampled: Sampled::Latest,
            }),
            _ => None,
        };
        let ts = event.ts;
        out.push(event);
        if let Some(print) = print.and_then(|l| self::event(ts, EventKind::Liquidation(l))) {
            second = ts / 1_000;
            out.push(print);
        }
    }
    out
}

/// A day of one-minute candles and readings of open interest, four venues.
fn day_of_minutes() -> Vec<MarketEvent> {
    let mut events = Vec::new();
    for minute in 0..1_440_i64 {
        let price = 60_000.0 * (1.0 + 0.02 * libm::sin(minute as f64 / 97.0));
        let at = |factor: f64| Price::from_f64((price * factor * 10.0_f64).round() / 10.0);
        let ohlc = || Some(Ohlc { open: at(1.0)?, high: at(1.0006)?, low: at(0.9995)?, close: at(1.0002)? });
        let candle =
            Candle { interval: Interval::M1, ohlc: ohlc(), volume: Qty::from_f64(80.0), taker_buy: None };
        let reading = Qty::from_f64(90_000.0 + (minute % 50) as f64);
        for name in ["binance", "bybit", "okx", "hyperliquid"] {
            let Ok(venue) = name.parse() else { continue };
            events.extend(
                event(minute * 60_000, EventKind::Candle(candle)).map(|e| MarketEvent { venue, ..e }),
            );
            let reading =
                reading.and_then(|qty| event(minute * 60_000 + 59_999, EventKind::OpenInterest(qty)));
            events.extend(reading.map(|e| MarketEvent { venue, ..e }));
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
    for (name, marks) in [("learning/marked", true), ("learning/unmarked", false)] {
        let events = with_liquidations(market(marks));
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
    let Ok(asset) = "BTC".parse() else { return };
    let day = day_of_minutes();
    group.throughput(Throughput::Elements(day.len() as u64));
    group.bench_function("backfill", |b| {
        b.iter_batched(
            || Engine::new(asset, Origin::Replay, Arc::clone(&bins), &[]),
            |mut engine| {
                for event in &day {
                    engine.apply_event(black_box(event));
                }
                engine
            },
            BatchSize::LargeInput,
        );
    });

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
