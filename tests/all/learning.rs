//! What liquidations teach, and what they must not be able to do.

use std::sync::Arc;

use meltline::engine::{Engine, Origin};
use meltline::estimate::{BinTable, Estimator, Tier};
use meltline::market::event::Sampled;
use meltline::market::{EventKind, Interval, MarketEvent, Side, TakerSide};

use crate::support::{candle, liquidation, liquidation_bar, mark, open_interest, position, trade};

/// Slots of the 10x and the 50x spike: component-major, three holding classes each.
const X10: usize = 6 * 3;
const X50: usize = 3 * 3;
const MINUTE: i64 = 60_000;

fn estimator() -> Estimator {
    Estimator::new("test".parse().unwrap(), Arc::new(BinTable::new(5.0)))
}

fn run(events: &[MarketEvent]) -> Estimator {
    let mut estimator = estimator();
    for event in events {
        estimator.apply(event);
    }
    estimator.settle();
    estimator
}

/// Traders enter at 60,000, price falls by 11 % within a minute and comes back, again and again. `coins(distance)` of a thousand
/// coins a bin is liquidated at each step of the fall, where `distance` is how far it has come, share of entry.
fn falls(count: i64, scale: f64, sampled: Sampled, coins: impl Fn(f64) -> f64) -> Vec<MarketEvent> {
    let mut events = Vec::new();
    let mut oi = 50_000.0 * scale;
    for round in 0..count {
        let start = round * 10 * MINUTE;
        events.extend([mark(start, 60_000.0), open_interest(start + 1, oi)]);
        events.push(trade(start + 1_000, 60_000.0, 2_000.0 * scale));
        oi += 1_000.0 * scale;
        events.push(open_interest(start + 2_000, oi));
        for step in 1..=55_i64 {
            let at = start + 2_000 + step * 1_000;
            let price = 60_000.0 * (1.0 - 0.002 * step as f64);
            events.push(mark(at, price));
            let qty = coins(0.002 * step as f64) * scale;
            if qty > 0.0 {
                let mut print = liquidation(at + 1, Side::Long, price, qty);
                if let EventKind::Liquidation(l) = &mut print.kind {
                    l.sampled = sampled;
                }
                events.push(print);
            }
            // What was liquidated was sold, hidden or not, and as much changed hands besides.
            let mut sale = trade(at + 2, price, 25.0 * scale + qty);
            if let EventKind::Trade(t) = &mut sale.kind {
                t.taker = TakerSide::Sell;
            }
            events.push(sale);
        }
        oi -= 500.0 * scale;
        events.push(open_interest(start + 70_000, oi));
        for step in (0..55_i64).rev() {
            events.push(mark(start + 130_000 - step * 1_000, 60_000.0 * (1.0 - 0.002 * step as f64)));
        }
    }
    events
}

/// Only those about 9.6 % below their entry die: a 10x long's distance.
fn ten_times(distance: f64) -> f64 {
    if (0.0955..0.0965).contains(&distance) { 200.0 } else { 0.0 }
}

fn gain(e: &Estimator, slot: usize) -> f64 {
    e.calibration().gains()[Side::Long.index()][slot]
}

#[test]
fn totals_before_the_first_reading_of_open_interest_teach_nothing_and_break_nothing() {
    const HOUR: i64 = 60 * MINUTE;
    let bar = |i: i64| candle(i * HOUR, Interval::H1, [60_000.0, 60_900.0, 59_100.0, 60_000.0, 400.0]);
    let with_totals = |first: &[MarketEvent]| {
        let mut events = first.to_vec();
        for i in 1..40 {
            events.extend([
                bar(i),
                liquidation_bar(i * HOUR, 3.0, 2.0),
                open_interest((i + 1) * HOUR - 1, 50_000.0),
            ]);
        }
        run(&events)
    };
    // The first bar has a total of nothing, of something, or none at all; there is no open interest to count either by.
    let nothing = with_totals(&[bar(0), liquidation_bar(0, 0.0, 0.0)]);
    let something = with_totals(&[bar(0), liquidation_bar(0, 500.0, 0.0)]);
    let levels = |e: &Estimator| {
        let readout = e.readout().unwrap();
        Side::BOTH.map(|side| readout.side(side).levels.iter().flatten().sum::<f64>())
    };
    assert!(levels(&nothing).iter().all(|usd| usd.is_finite() && *usd > 0.0));
    for (a, b) in levels(&nothing).into_iter().zip(levels(&something)) {
        assert!((a / b - 1.0).abs() < 1e-12, "{a} {b}");
    }
    assert!(nothing.tallies().iter().len() > 20, "the bars after it are compared");
}

#[test]
fn weights_follow_the_leverage_that_is_liquidated() {
    let e = run(&falls(60, 1.0, Sampled::No, ten_times));
    let gains: Vec<f64> = (0..9).map(|spike| gain(&e, 3 * spike)).collect();
    // Of those whose level was passed all but 10x were never liquidated; 5x and 3x were never reached.
    assert!(gains[..6].iter().all(|g| 8.0 * g < gain(&e, X10)), "{gains:?}");
    assert!(gains[8] > gain(&e, X10), "{gains:?}");
    // What happened to longs says half as much about shorts, but never turns their weight around.
    let shorts = &e.calibration().gains()[Side::Short.index()];
    assert!(shorts[X50] < 1.0 && shorts[X50] > gain(&e, X50));
}

#[test]
fn without_a_print_the_weights_stay_at_the_prior() {
    let e = run(&falls(6, 1.0, Sampled::No, |_| 0.0));
    assert!(e.calibration().gains().iter().flatten().all(|g| *g == 1.0));
    assert_eq!(e.tallies().iter().count(), 0);
}

#[test]
fn ten_times_the_coins_teach_the_same_and_give_ten_times_the_levels() {
    let of = |scale| run(&falls(8, scale, Sampled::No, ten_times));
    let (one, ten) = (of(1.0), of(10.0));
    let (a, b) = (one.readout().unwrap(), ten.readout().unwrap());
    for (a, b) in a.sides.iter().zip(&b.sides) {
        for (x, y) in a.levels.iter().flatten().zip(b.levels.iter().flatten()) {
            assert!((10.0 * x - y).abs() <= 1e-6 * y.abs() + 1e-6, "{x} {y}");
        }
    }
}

#[test]
fn a_flood_of_absurd_prints_is_counted_and_changes_nothing() {
    let honest = falls(8, 1.0, Sampled::No, ten_times);
    let mut flooded = honest.clone();
    let last = honest.last().unwrap().ts;
    for i in 0..10_000_i64 {
        // Ten times below price; more than there is; and a thousand coins each, a hundred times what is traded.
        flooded.push(match i % 3 {
            0 => liquidation(last + 1, Side::Long, 6_000.0, 1.0),
            1 => liquidation(last + 1, Side::Short, 60_000.0, 1e9),
            _ => liquidation(last + 1, Side::Long, 60_000.0, 40_000.0),
        });
    }
    let (honest, flooded) = (run(&honest), run(&flooded));
    assert_eq!(flooded.calibration().odd_prints(), 10_000);
    assert_eq!(honest.books(), flooded.books());
    assert_eq!(honest.readout(), flooded.readout());
}

#[test]
fn plausible_prints_in_any_number_are_believed_up_to_what_was_traded() {
    let mut events = falls(8, 1.0, Sampled::No, ten_times);
    let last = events.last().unwrap().ts;
    events.extend((0..100_000).map(|i| liquidation(last + 1 + i / 100, Side::Long, 60_000.0, 1.0)));
    let e = run(&events);
    // Nothing was traded for a minute: two thousandths of open interest (about 54,000 coins) may have been liquidated unseen.
    assert!(e.calibration().odd_prints() > 99_000, "{}", e.calibration().odd_prints());
    let readout = e.readout().unwrap();
    assert!(
        readout
            .sides
            .iter()
            .flat_map(|s| s.levels.iter().flatten())
            .all(|usd| usd.is_finite() && *usd >= 0.0)
    );
}

#[test]
fn a_feed_of_one_print_a_second_is_scaled_up_to_what_it_hides() {
    // Four prints of five coins a second against only the last of them.
    let every = |distance: f64| if (0.09..0.11).contains(&distance) { 20.0 } else { 0.0 };
    let last = |distance: f64| every(distance) / 4.0;
    let level = |e: &Estimator| -> f64 {
        let readout = e.readout().unwrap();
        readout.side(Side::Long).levels.iter().flatten().sum()
    };
    let full = level(&run(&falls(40, 1.0, Sampled::No, every)));
    let thinned = level(&run(&falls(40, 1.0, Sampled::Latest, last)));
    let naive = level(&run(&falls(40, 1.0, Sampled::No, last)));
    assert!(naive < 0.7 * full, "{naive} of {full}");
    assert!(thinned > 1.1 * naive, "{thinned} against {naive} of {full}");
    assert!(thinned < 1.5 * full, "{thinned} of {full}");
}

/// Hours in which price falls by `depth` and comes back; a fixed share of what a fall of more than 9.5 % sweeps is liquidated.
fn hours(count: i64, labelled: impl Fn(i64) -> bool) -> Vec<MarketEvent> {
    let mut events = Vec::new();
    for hour in 0..count {
        let start = hour * 60 * MINUTE;
        let depth = [0.004, 0.1, 0.02, 0.05][(hour % 4) as usize];
        let bar = [60_000.0, 60_020.0, 60_000.0 * (1.0 - depth), 60_000.0, 5_000.0];
        events.push(candle(start, Interval::H1, bar));
        if labelled(hour) {
            events.push(liquidation_bar(start, if depth > 0.09 { 120.0 } else { 1.0 }, 0.5));
        }
        events.push(open_interest(start + 60 * MINUTE - 1, 50_000.0 + (hour % 3) as f64 * 500.0));
    }
    events
}

#[test]
fn totals_of_bars_teach_what_a_fall_of_that_depth_brings() {
    let e = run(&hours(200, |_| true));
    let of_depth = |rest: i64| {
        let late = e.tallies().iter().filter(|t| t.start / (60 * MINUTE) % 4 == rest);
        late.map(|t| t.predicted[0] / t.realised[0]).next_back().unwrap()
    };
    assert!((0.6..1.6).contains(&of_depth(1)), "{}", of_depth(1));
    let tally = e.tallies().last().unwrap();
    assert_eq!((tally.start, tally.ms), (199 * 60 * MINUTE, 60 * MINUTE));
}

#[test]
fn an_hour_without_a_total_teaches_nothing_and_is_not_counted() {
    let e = run(&hours(120, |hour| hour % 5 != 0));
    assert!(e.tallies().iter().all(|t| t.start / (60 * MINUTE) % 5 != 0));
    // 1 h of 5 has no total: of the last 120 hours 96 have.
    assert_eq!(e.tallies().iter().count(), 96);
}

#[test]
fn public_positions_are_told_apart_and_the_rest_is_less_by_them() {
    let before = [
        mark(0, 60_000.0),
        open_interest(1, 1_000.0),
        trade(1_000, 60_000.0, 900.0),
        open_interest(5_000, 1_400.0),
        mark(6_000, 60_000.0),
    ];
    let alone = run(&before).readout().unwrap();
    let known = [&before[..], &[position(6_001, "0xa", Side::Long, 700.0, 57_000.0)]].concat();
    let shared = run(&known).readout().unwrap();
    let sum = |r: &meltline::estimate::Readout, tier: Tier| -> f64 {
        r.side(Side::Long).positions[tier.index()].iter().sum()
    };
    // 700 of 1,400 coins are known: the estimate covers the other half, and 700 coins rest at 57,000, give or take half a bin.
    let exact = sum(&shared, Tier::Known);
    assert!((exact / (700.0 * 57_000.0) - 1.0).abs() < 3e-4, "{exact}");
    for tier in [Tier::X10, Tier::X25] {
        assert!((sum(&shared, tier) / sum(&alone, tier) - 0.5).abs() < 1e-9);
    }
    // The path takes it: nothing of it is left, and it was not opened again.
    let swept = run(&[&known[..], &[mark(7_000, 59_000.0), mark(8_000, 56_900.0)]].concat());
    assert_eq!(sum(&swept.readout().unwrap(), Tier::Known), 0.0);
    assert!(swept.activity().swept[0].values().any(|usd| *usd >= 700.0 * 57_000.0));
}

#[test]
fn a_venue_that_hides_liquidations_starts_from_what_another_found() {
    let venue = |mut event: MarketEvent, name: &str| {
        event.venue = name.parse().unwrap();
        event
    };
    let full = falls(40, 1.0, Sampled::No, ten_times).into_iter().map(|e| venue(e, "bybit"));
    let quiet = falls(40, 1.0, Sampled::No, |_| 0.0).into_iter().map(|e| venue(e, "okx"));
    let mut events: Vec<MarketEvent> = full.chain(quiet).collect();
    meltline::market::event::sort_events(&mut events);
    let bins = Arc::new(BinTable::new(5.0));
    let mut engine = Engine::new("BTC".parse().unwrap(), Origin::Replay, bins, &[]);
    for event in &events {
        engine.apply_event(event);
    }
    let theta = |name: &str, slot: usize| {
        let market = engine.venues().iter().find(|m| m.venue().as_str() == name).unwrap();
        market.estimator().calibration().theta(0)[slot]
    };
    assert!(theta("okx", X10) / theta("okx", X50) > 3.0 * 0.22 / 0.15);
    assert!((theta("okx", X10) / theta("bybit", X10) - 1.0).abs() < 0.2);
}
