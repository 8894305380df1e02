//! Minutes that history tells when they are not kept any more need not be made: all that is kept is the same without them.

use std::sync::{Arc, Mutex};

use meltline::engine::record::Record;
use meltline::engine::{Engine, History, Origin};
use meltline::estimate::{BinTable, Column};
use meltline::market::{Interval, MarketEvent};

use crate::support::{START, wandering_on};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// Length of the history, and of what was heard after it.
const FETCHED: i64 = 9 * HOUR;
const HEARD: i64 = HOUR;

/// A market of two venues, with holes of seconds to an hour; its first hours were received together, the others as they happened.
fn market() -> Vec<MarketEvent> {
    let mut events = wandering_on(&["here", "there"], START, (FETCHED + HEARD) / 10_000, 10);
    let mut state = 12_345_u64;
    let mut until = START;
    while until < START + FETCHED + HEARD {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let from = until + (state >> 40) as i64 % (40 * MINUTE);
        until = from + [5_000, 70_000, 3 * MINUTE, 7 * MINUTE, HOUR][(state >> 33) as usize % 5];
        let venue = if state >> 60 & 1 == 0 { "here" } else { "there" };
        events.retain(|e| e.venue.as_str() != venue || !(from..until).contains(&e.ts));
    }
    for event in &mut events {
        event.recv = Some(event.ts.max(START + FETCHED) * 1_000_000);
    }
    events
}

/// What an engine makes of it, and the columns it closed.
fn run(skips: bool) -> (Engine, Vec<Arc<Column>>) {
    let bins = Arc::new(BinTable::new(5.0));
    let mut engine = Engine::new("BTC".parse().unwrap(), Origin::Replay, bins, &[]);
    if skips {
        engine.skip_outlived();
    }
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    engine.set_sink(Box::new(move |record| {
        if let Record::Columns { columns, .. } = record {
            sink.lock().unwrap().extend(columns);
        }
    }));
    for event in &market() {
        engine.apply_event(event);
    }
    let told = told.lock().unwrap().clone();
    (engine, told)
}

#[test]
fn minutes_older_than_they_are_kept_are_skipped_and_nothing_else_changes() {
    let (whole, all) = run(false);
    let (skipping, some) = run(true);
    assert!(whole.checkpoint() == skipping.checkpoint(), "the state");
    for (a, b) in whole.venues().iter().zip(skipping.venues()) {
        assert!(a.history().ladder[0].len() > 100);
        assert!(a.history().ladder == b.history().ladder, "the columns of {}", a.venue());
    }
    // What it closed is what the other closed, without minutes that were older than they are kept when they came.
    let mut rest = some.iter();
    let mut next = rest.next();
    let mut skipped = 0;
    for column in &all {
        if next == Some(column) {
            next = rest.next();
            continue;
        }
        skipped += 1;
        assert_eq!(column.interval, Interval::M1);
        assert!(column.end() < START + FETCHED - History::KEPT[0], "{}", column.start);
    }
    assert!(next.is_none(), "a column that the other has not");
    // Of three hours on two venues, without the last minute of every five and without the holes.
    let most = 2 * 3 * 60 * 4 / 5;
    assert!((most / 2..=most).contains(&skipped), "{skipped} of {most}");
}

#[test]
fn what_is_received_as_it_happens_is_never_skipped_whatever_the_clock_says() {
    let run = |skips: bool, ahead: Option<i64>| {
        let mut engine =
            Engine::new("BTC".parse().unwrap(), Origin::Replay, Arc::new(BinTable::new(5.0)), &[]);
        if skips {
            engine.skip_outlived();
        }
        for mut event in market() {
            event.recv = ahead.map(|ahead| (event.ts + ahead) * 1_000_000);
            engine.apply_event(&event);
        }
        engine.venues()[0].history().ladder.clone()
    };
    let whole = run(false, None);
    assert!(whole[0].len() > 100);
    for ahead in [None, Some(0), Some(10 * HOUR), Some(-10 * HOUR)] {
        assert!(run(true, ahead) == whole, "{ahead:?}");
    }
}
