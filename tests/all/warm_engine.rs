//! An engine that goes on from a checkpoint and its stored columns does so bit for bit, as if it had never stopped.

use std::sync::{Arc, Mutex};

use meltline::engine::record::{Checkpoint, Record, STATE_VERSION, Stored};
use meltline::engine::{Engine, History, Origin};
use meltline::estimate::{BinTable, Column};
use meltline::market::{Interval, MarketEvent};

use crate::support::{event, trade, wandering};

fn bins() -> Arc<BinTable> {
    Arc::new(BinTable::new(5.0))
}

/// An engine and what it hands on.
fn kept(mut engine: Engine) -> (Engine, Arc<Mutex<Vec<Record>>>) {
    let records = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&records);
    engine.set_sink(Box::new(move |record| sink.lock().unwrap().push(record)));
    (engine, records)
}

fn fresh() -> Engine {
    Engine::new("BTC".parse().unwrap(), Origin::Replay, bins(), &[])
}

fn columns(records: &Arc<Mutex<Vec<Record>>>) -> Vec<Arc<Column>> {
    let of = |r: &Record| match r {
        Record::Columns { columns, .. } => columns.clone(),
        _ => Vec::new(),
    };
    records.lock().unwrap().iter().flat_map(of).collect()
}

fn feed(engine: &mut Engine, events: &[MarketEvent]) {
    for event in events {
        engine.apply_event(event);
    }
}

/// What a store would give back: the ladder as it keeps it, and the base columns from the checkpoint's running one on.
fn stored(checkpoint: &Checkpoint, columns: &[Arc<Column>]) -> Vec<Stored> {
    let state = &checkpoint.venues[0];
    let mut history = History::default();
    for (ladder, interval) in history.ladder.iter_mut().zip(History::INTERVALS) {
        ladder.extend(columns.iter().filter(|c| c.interval == interval).cloned());
    }
    let newest = columns.iter().filter(|c| c.interval == Interval::M1).map(|c| c.end()).max().unwrap();
    history.forget(newest);
    let since = columns.iter().filter(|c| c.interval == Interval::M1 && Some(c.start) >= state.open);
    vec![Stored { venue: state.venue, history, since: since.cloned().collect() }]
}

fn over_the_wire(checkpoint: &Checkpoint) -> Checkpoint {
    postcard::from_bytes(&postcard::to_stdvec(checkpoint).unwrap()).unwrap()
}

fn restored(checkpoint: &Checkpoint, columns: &[Arc<Column>]) -> Engine {
    let stored = stored(checkpoint, columns);
    Engine::restored("BTC".parse().unwrap(), Origin::Replay, &bins(), &[], checkpoint, stored).unwrap()
}

#[test]
fn every_column_after_a_restart_equals_the_unbroken_run() {
    let events = wandering(200);
    let (mut unbroken, all) = kept(fresh());
    feed(&mut unbroken, &events);
    // In the middle of a minute, of five and of an hour.
    for at in [3, events.len() / 3, events.len() / 2 + 77] {
        let (mut first, records) = kept(fresh());
        feed(&mut first, &events[..at]);
        let before = columns(&records);
        let checkpoint = over_the_wire(&first.checkpoint());
        drop(first);
        let history = if before.is_empty() { Vec::new() } else { stored(&checkpoint, &before) };
        let second =
            Engine::restored("BTC".parse().unwrap(), Origin::Replay, &bins(), &[], &checkpoint, history);
        let (mut second, records) = kept(second.unwrap());
        feed(&mut second, &events[at..]);
        let after = columns(&records);
        assert!(after.iter().any(|c| c.interval == Interval::H1));
        assert_eq!([before, after].concat(), columns(&all), "stopped after {at} events");
        assert_eq!(second.venues()[0].history().ladder, unbroken.venues()[0].history().ladder);
        assert_eq!(second.snapshot().tape, unbroken.snapshot().tape);
        assert_eq!(second.checkpoint(), unbroken.checkpoint());
    }
}

#[test]
fn what_was_closed_after_the_checkpoint_stays_as_it_is_and_is_not_told_again() {
    let events = wandering(130);
    let (mut engine, records) = kept(fresh());
    let half = events.len() / 2;
    feed(&mut engine, &events[..half]);
    let checkpoint = engine.checkpoint();
    feed(&mut engine, &events[half..]);
    let closed = columns(&records);
    let ladder = engine.venues()[0].history().ladder.clone();
    drop(engine);
    // Killed here: the state is an hour old, the columns are not. The same hour comes again, then another minute.
    let (mut again, records) = kept(restored(&checkpoint, &closed));
    assert_eq!(again.venues()[0].history().ladder, ladder);
    feed(&mut again, &events);
    assert_eq!(columns(&records), [], "all of it was closed before");
    let more = wandering(133);
    feed(&mut again, &more[events.len()..]);
    let fresh: Vec<i64> =
        columns(&records).iter().filter(|c| c.interval == Interval::M1).map(|c| c.start).collect();
    let last = ladder[0].last().unwrap().start;
    assert_eq!(fresh, [last + 60_000, last + 120_000, last + 180_000]);
}

#[test]
fn events_that_the_state_holds_already_do_not_count_twice() {
    let events = wandering(30);
    let (mut engine, _) = kept(fresh());
    feed(&mut engine, &events);
    let checkpoint = engine.checkpoint();
    let (mut again, records) = kept(restored_alone(&checkpoint));
    feed(&mut again, &events[events.len() / 2..]);
    assert_eq!(again.checkpoint().venues, checkpoint.venues);
    assert_eq!(again.snapshot().tape, engine.snapshot().tape);
    assert!(records.lock().unwrap().is_empty());
    assert_eq!(again.snapshot().venues[0].course.overlaps as usize, events.len() - events.len() / 2);
}

fn restored_alone(checkpoint: &Checkpoint) -> Engine {
    Engine::restored("BTC".parse().unwrap(), Origin::Replay, &bins(), &[], checkpoint, Vec::new()).unwrap()
}

#[test]
fn an_engine_that_forgets_its_columns_tells_the_same_ones() {
    let events = wandering(200);
    let (mut one, all) = kept(fresh());
    feed(&mut one, &events);
    let mut other = fresh();
    other.forget_columns();
    let (mut other, told) = kept(other);
    feed(&mut other, &events);
    assert_eq!(columns(&told), columns(&all));
    assert!(other.venues()[0].history().ladder.iter().all(Vec::is_empty));
}

#[test]
fn a_state_whose_bytes_are_damaged_is_refused_and_never_panics() {
    let (mut engine, _) = kept(fresh());
    feed(&mut engine, &wandering(5));
    let bytes = postcard::to_stdvec(&engine.checkpoint()).unwrap();
    for at in (0..bytes.len()).step_by(bytes.len() / 300 + 1) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x41;
        if let Ok(checkpoint) = postcard::from_bytes::<Checkpoint>(&damaged) {
            // A flipped bit of a number is a number; of a length it is refused. Neither may panic.
            let _ = Engine::restored(
                "BTC".parse().unwrap(),
                Origin::Replay,
                &bins(),
                &[],
                &checkpoint,
                Vec::new(),
            );
        }
    }
    assert!(postcard::from_bytes::<Checkpoint>(&bytes[..bytes.len() / 2]).is_err());
}

#[test]
fn an_interruption_is_told_once_the_streams_are_heard_again() {
    use meltline::engine::snapshot::LinkState;
    use meltline::feed::FeedItem;
    use meltline::feed::status::VenueStatus;
    let events = wandering(10);
    let (mut engine, _) = kept(fresh());
    feed(&mut engine, &events);
    let seen = engine.venues()[0].seen();
    let mut again = restored_alone(&engine.checkpoint());
    again.interrupted();
    let later = seen + 90_000;
    again.apply_event(&event(later, trade(later, 60_000.0, 1.0).kind));
    let status = VenueStatus { state: LinkState::Live, ..VenueStatus::new("test".parse().unwrap()) };
    again.apply(FeedItem::Status(status));
    again.apply_event(&event(later + 60_000, trade(later + 60_000, 60_000.0, 1.0).kind));
    let view = again.snapshot().venues[0].clone();
    assert_eq!((view.course.restored, view.course.live), (Some(seen), Some(later)));
    let gaps: Vec<bool> = view.history.ladder[0].iter().map(|c| c.gap).collect();
    assert_eq!(gaps, [false, true], "the column in which somebody listened again lacks its start");
}

#[test]
fn columns_without_a_state_stay_as_they_are_and_history_goes_on_from_them() {
    let events = wandering(130);
    let (mut engine, records) = kept(fresh());
    feed(&mut engine, &events);
    let closed = columns(&records);
    let mut alone = stored(&engine.checkpoint(), &closed);
    alone[0].since = closed.iter().filter(|c| c.interval == Interval::M1).cloned().collect();
    let venues = ["test".parse().unwrap()];
    let none = Checkpoint::default();
    let again = Engine::restored("BTC".parse().unwrap(), Origin::Replay, &bins(), &venues, &none, alone);
    let (mut again, told) = kept(again.unwrap());
    assert_eq!(again.venues()[0].history().ladder, engine.venues()[0].history().ladder);
    feed(&mut again, &wandering(190));
    let told = columns(&told);
    let end = closed.iter().filter(|c| c.interval == Interval::M1).map(|c| c.end()).max().unwrap();
    assert!(told.iter().all(|c| c.end() > end) && told.iter().any(|c| c.interval == Interval::H1));
    let (mut unbroken, all) = kept(fresh());
    feed(&mut unbroken, &wandering(190));
    let later: Vec<_> = columns(&all).into_iter().filter(|c| c.end() > end).collect();
    assert_eq!(told, later, "the same history makes the same state");
}

/// The state of one market after half an hour, as it is kept: its layout, and what its numbers mean.
///
/// When this fails, a state that an earlier build kept is read by this one. If anything was added to, taken from or moved within what is
/// kept, or means something else now, raise `engine::record::STATE_VERSION`: earlier states are then left alone and made anew. If the same
/// numbers are only computed otherwise, leave it. Then write the new pair here.
#[test]
fn a_change_of_the_kept_state_comes_with_a_new_version() {
    let (mut engine, _) = kept(fresh());
    feed(&mut engine, &wandering(30));
    let state = postcard::to_stdvec(&engine.checkpoint()).unwrap();
    let told = (STATE_VERSION, state.len(), meltline::store::codec::digest(&state).cast_unsigned());
    assert_eq!(told, (3, 192_731, 15_804_815_520_743_563_114));
}
