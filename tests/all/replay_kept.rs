//! The kept history of an asset, played column by column: what is shown at a time is what was closed then.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use meltline::cli::Time;
use meltline::command::replay::kept::Kept;
use meltline::command::replay::player::{Player, Wake};
use meltline::engine::playback::{Motion, Speed, Transport};
use meltline::engine::record::Record;
use meltline::engine::{Engine, Origin};
use meltline::estimate::{BinTable, Column};
use meltline::market::{Interval, Side};
use meltline::store::{Identity, StoreConfig, StorePath, open_writer};

use crate::support::{liquidation, mark, open_interest, trade};

/// 2026-11-22T10:00Z
const T0: i64 = 1_795_341_600_000;
const MINUTE: i64 = 60_000;

/// Eighty minutes of a market on disk, a liquidation every ten; and the columns that were closed.
fn history(dir: &Path) -> Vec<Arc<Column>> {
    let asset = "BTC".parse().unwrap();
    let identity = Identity { asset, simulated: false, bin_bp: 5.0 };
    let writer = open_writer(&StorePath::new(dir, asset), &identity, StoreConfig::default()).unwrap().writer;
    let mut engine = Engine::new(asset, Origin::Live, Arc::new(BinTable::new(5.0)), &[]);
    let columns = Arc::new(Mutex::new(Vec::new()));
    let (closed, mut sink) = (Arc::clone(&columns), writer.into_sink());
    engine.set_sink(Box::new(move |record| {
        if let Record::Columns { columns, .. } = &record {
            closed.lock().unwrap().extend(columns.iter().cloned());
        }
        sink(record);
    }));
    for second in 0..80 * 60 {
        let ts = T0 + second * 1_000;
        let price = 60_000.0 + (second % 600) as f64;
        engine.apply_event(&trade(ts, price, 1.0));
        engine.apply_event(&mark(ts + 1, price));
        if second % 5 == 0 {
            engine.apply_event(&open_interest(ts + 2, 5_000.0 + second as f64));
        }
        if second % 600 == 30 {
            engine.apply_event(&liquidation(ts + 3, Side::Long, price, 1.0));
        }
    }
    drop(engine);
    std::mem::take(&mut *columns.lock().unwrap())
}

fn settle(player: &mut Player<Kept>) {
    while player.turn(Instant::now()) != Wake::Asked {}
}

#[test]
fn at_each_time_the_columns_closed_by_then_are_shown_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let closed = history(dir.path());
    let kept = Kept::open(dir.path(), "BTC".parse().unwrap()).unwrap();
    assert_eq!(kept.span(), (T0 + MINUTE, T0 + 79 * MINUTE));
    let mut player = Player::new(kept, Speed::Max, None, i64::MAX);
    settle(&mut player);
    assert_eq!((player.motion(), player.at()), (Motion::Ended, T0 + 79 * MINUTE));
    for minute in [79, 41, 1, 60, 66] {
        let at = T0 + minute * MINUTE;
        player.ask(Transport::Seek(at));
        settle(&mut player);
        let picture = player.picture();
        assert_eq!((player.at(), picture.now), (at, at - 1));
        let view = &picture.venues[0];
        let mut shown = view.history.ladder[0].clone();
        shown.extend(view.live.clone());
        let expected: Vec<_> =
            closed.iter().filter(|c| c.interval == Interval::M1 && c.end() <= at).cloned().collect();
        assert!(shown == expected, "the minutes at {minute}");
        assert!(view.history.ladder.iter().flatten().all(|c| c.end() <= at));
        assert_eq!(picture.tape.len() as i64, (minute + 9) / 10);
        assert!(picture.tape.iter().all(|p| p.ts < at));
        assert!(picture.playback.as_ref().unwrap().is_kept);
    }
    // An hour that is whole is there once the next minute is.
    assert_eq!(player.picture().venues[0].history.ladder[2].len(), 1);
    player.ask(Transport::Step { columns: -2, ms: MINUTE });
    settle(&mut player);
    assert_eq!(player.at(), T0 + 64 * MINUTE);
}

#[test]
fn what_is_not_there_is_told_with_the_span_that_is() {
    let dir = tempfile::tempdir().unwrap();
    history(dir.path());
    let none = Kept::open(dir.path(), "ETH".parse().unwrap()).err().unwrap().to_string();
    assert!(none.starts_with("no history of ETH in "), "{none}");
    let kept = Kept::open(dir.path(), "BTC".parse().unwrap()).unwrap();
    for (from, to) in [(Some(T0 + 81 * MINUTE), None), (None, Some(T0))] {
        let error = kept.bounds(from.map(Time::At), to.map(Time::At)).unwrap_err().to_string();
        assert_eq!(error, "the history of BTC goes from 2026-11-22T10:01Z to 2026-11-22T11:19Z");
    }
    assert_eq!(kept.bounds(Some(Time::Back(MINUTE)), None).unwrap(), (Some(T0 + 78 * MINUTE), i64::MAX));
}
