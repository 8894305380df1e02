//! The same events give the same columns, bit for bit, and a closed column never changes.

use std::sync::Arc;

use meltline::engine::{Engine, Origin};
use meltline::estimate::{BinTable, Column};
use meltline::market::MarketEvent;

use crate::support::{mark, open_interest, trade, wandering};

fn engine() -> Engine {
    Engine::new("BTC".parse().unwrap(), Origin::Replay, Arc::new(BinTable::new(5.0)), &[])
}

fn feed(engine: &mut Engine, events: &[MarketEvent]) {
    for event in events {
        engine.apply_event(event);
    }
}

fn columns(engine: &Engine) -> Vec<Arc<Column>> {
    engine.venues()[0].history().ladder.iter().flatten().cloned().collect()
}

#[test]
fn the_same_events_twice_give_the_same_columns() {
    let events = wandering(120);
    let run = || {
        let mut engine = engine();
        feed(&mut engine, &events);
        columns(&engine)
    };
    let (first, second) = (run(), run());
    assert!(first.len() > 120);
    assert_eq!(first, second);
}

#[test]
fn looking_at_the_market_does_not_change_it() {
    let events = wandering(30);
    let mut watched = engine();
    for (i, event) in events.iter().enumerate() {
        watched.apply_event(event);
        if i % 97 == 0 {
            watched.snapshot();
            watched.level_map(event.ts, 0.25);
        }
    }
    let mut alone = engine();
    feed(&mut alone, &events);
    assert_eq!(columns(&watched), columns(&alone));
}

#[test]
fn a_closed_column_is_never_repainted() {
    let events = wandering(60);
    let mut engine = engine();
    let (early, late) = events.split_at(events.len() / 2);
    feed(&mut engine, early);
    let before: Vec<Column> = columns(&engine).iter().map(|c| (**c).clone()).collect();
    feed(&mut engine, late);
    let after = columns(&engine);
    for column in before {
        let now = after.iter().find(|c| c.start == column.start && c.interval == column.interval).unwrap();
        assert_eq!(**now, column);
    }
}

#[test]
fn a_column_closes_on_the_first_event_two_seconds_after_its_end() {
    let mut engine = engine();
    let count = |e: &Engine| e.venues()[0].history().ladder[0].len();
    engine.apply_event(&mark(30_000, 60_000.0));
    engine.apply_event(&open_interest(31_000, 10.0));
    engine.apply_event(&mark(61_999, 60_000.0));
    assert_eq!(count(&engine), 0);
    engine.apply_event(&mark(62_000, 60_000.0));
    assert_eq!(count(&engine), 1);
    assert_eq!(engine.venues()[0].history().ladder[0][0].start, 0);
}

#[test]
fn five_minutes_are_the_last_minute_with_the_activity_of_all() {
    let mut engine = engine();
    feed(&mut engine, &wandering(12));
    let history = engine.venues()[0].history();
    let five = &history.ladder[1][1];
    let minutes: Vec<_> =
        history.ladder[0].iter().filter(|c| c.start >= five.start && c.end() <= five.end()).collect();
    assert_eq!(minutes.len(), 5);
    assert_eq!(five.levels, minutes[4].levels);
    let swept: f64 = minutes.iter().map(|c| c.swept[0].sum() + c.swept[1].sum()).sum();
    let kept = five.swept[0].sum() + five.swept[1].sum();
    assert!((kept / swept - 1.0).abs() < 0.02, "{kept} {swept}");
    let high = minutes.iter().filter_map(|c| c.bar).map(|b| b.high).fold(0.0, f64::max);
    assert_eq!(five.bar.unwrap().high, high);
}

#[test]
fn minutes_are_kept_for_six_hours_and_hours_beyond() {
    let mut engine = engine();
    for half_minute in 0..2 * 60 * 24 {
        let ts = 1_700_006_400_000 + half_minute * 30_000;
        engine.apply_event(&trade(ts, 60_000.0, 1.0));
        engine.apply_event(&open_interest(ts + 1, 1_000.0));
    }
    let ladder = &engine.venues()[0].history().ladder;
    let lengths: Vec<usize> = ladder.iter().map(Vec::len).collect();
    // A day: six hours of minutes and the one that just closed, all five minutes and hours; the day itself is not over.
    assert_eq!(lengths, [361, 287, 23, 0]);
}
