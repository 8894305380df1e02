//! A book follows the venue's own, whatever happens to the messages on their way.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::*;
use crate::market::Price;
use crate::market::Qty;

fn rows(levels: &[(i64, u32)]) -> Rows {
    levels.iter().map(|&(p, q)| (Price::from_raw(i128::from(p)), Qty::from_raw(i128::from(q)))).collect()
}

fn message(snapshot: bool, before: i64, number: i64, bids: &[(i64, u32)], asks: &[(i64, u32)]) -> Update {
    Update { snapshot, before, number, bids: rows(bids), asks: rows(asks) }
}

#[test]
fn an_update_must_name_the_one_before() {
    let mut depth = Depth::default();
    assert_eq!(depth.take(&message(false, 1, 2, &[(1, 1)], &[])), Step::Lost, "no snapshot yet");
    assert_eq!(depth.take(&message(true, -1, 10, &[(1, 1)], &[(9, 1)])), Step::Followed);
    assert_eq!(depth.take(&message(false, 10, 15, &[(2, 1)], &[])), Step::Followed, "numbers may skip");
    assert_eq!(depth.take(&message(false, 15, 15, &[], &[])), Step::Followed, "nothing changed for a while");
    assert_eq!(depth.take(&message(false, 15, 15, &[], &[])), Step::Followed);
    assert_eq!(depth.take(&message(false, 15, 3, &[(3, 1)], &[])), Step::Followed, "the venue counts anew");
    assert_eq!(depth.take(&message(false, 15, 3, &[(3, 1)], &[])), Step::Repeat);
    assert_eq!(depth.book.book().bid(), Some((Price::from_raw(3), Qty::from_raw(1))));
    assert_eq!(depth.take(&message(false, 4, 5, &[], &[])), Step::Lost, "4 is missing");
    assert_eq!(depth.take(&message(false, 3, 4, &[], &[])), Step::Lost, "too late");
    assert_eq!(depth.take(&message(true, -1, 7, &[(1, 1)], &[(9, 1)])), Step::Followed);
    assert_eq!(depth.take(&message(false, 7, 8, &[(9, 1)], &[])), Step::Lost, "crossed");
}

#[test]
fn a_snapshot_is_asked_for_once_in_a_while() {
    let (snapshot, hole) = (message(true, -1, 1, &[], &[]), message(false, 7, 8, &[], &[]));
    let mut depth = Depth::default();
    assert!(!depth.asks(0), "the subscription itself asks");
    depth.take(&hole);
    assert!(depth.asks(1_000));
    assert!(!depth.asks(1_001) && !depth.asks(20_999));
    assert!(depth.asks(21_000) && !depth.asks(21_001));
    depth.take(&snapshot);
    assert!(!depth.asks(100_000), "it is there");
    depth.take(&hole);
    assert!(depth.asks(100_000));
    depth.take(&snapshot);
    depth.take(&hole);
    assert!(!depth.asks(119_999) && depth.asks(120_000), "not too often, even if it comes each time");
    depth.take(&hole);
    depth.lost();
    assert!(!depth.asks(200_000), "the next connection subscribes by itself");
}

/// What happens to a message on its way.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Arrives,
    Missing,
    Twice,
    /// After the next one.
    Late,
    /// Comes again at the end.
    Echoed,
}

type Sides = (BTreeMap<i64, u32>, BTreeMap<i64, u32>);

/// The venue's book, and the messages that tell it: a snapshot now and then, updates, and one beginning of a new count.
fn script(changes: &[(bool, i64, u32, u8)]) -> (Vec<Update>, HashMap<i64, Sides>) {
    let mut sides: Sides = (BTreeMap::from([(50, 1)]), BTreeMap::from([(51, 1)]));
    let all = |sides: &Sides| {
        let list = |side: &BTreeMap<i64, u32>| side.iter().map(|(p, q)| (*p, *q)).collect::<Vec<_>>();
        (list(&sides.0), list(&sides.1))
    };
    let mut number = 1_000;
    let (bids, asks) = all(&sides);
    let mut messages = vec![message(true, -1, number, &bids, &asks)];
    let mut states = HashMap::from([(number, sides.clone())]);
    for (at, &(bid, price, qty, kind)) in changes.iter().enumerate() {
        let before = number;
        number = if at == changes.len() / 2 { 1 } else { number + 1 + i64::from(kind % 3) };
        let (side, price) = if bid { (&mut sides.0, price) } else { (&mut sides.1, price + 50) };
        if qty == 0 {
            side.remove(&price);
        } else {
            side.insert(price, qty);
        }
        if kind == 0 {
            let (bids, asks) = all(&sides);
            messages.push(message(true, -1, number, &bids, &asks));
        } else {
            let row = [(price, qty)];
            let (bids, asks): (&[_], &[_]) = if bid { (&row, &[]) } else { (&[], &row) };
            messages.push(message(false, before, number, bids, asks));
        }
        states.insert(number, sides.clone());
    }
    (messages, states)
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(11), ..ProptestConfig::default() })]

    #[test]
    fn a_book_that_claims_to_be_whole_is_the_venues_own(
        changes in prop::collection::vec((any::<bool>(), 1_i64..=50, 0_u32..4, 0_u8..12), 1..60),
        fates in prop::collection::vec(prop_oneof![
            20 => Just(Fate::Arrives), 1 => Just(Fate::Missing), 2 => Just(Fate::Twice), 1 => Just(Fate::Late), 1 => Just(Fate::Echoed),
        ], 61),
    ) {
        let (messages, states) = script(&changes);
        let mut order: Vec<&Update> = Vec::new();
        let (mut late, mut echoes) = (None, Vec::new());
        for (message, fate) in messages.iter().zip(&fates) {
            match fate {
                Fate::Arrives => order.push(message),
                Fate::Missing => {}
                Fate::Twice => order.extend([message, message]),
                Fate::Echoed => { order.push(message); echoes.push(message); }
                Fate::Late => { order.extend(late.replace(message)); continue; }
            }
            order.extend(late.take());
        }
        order.extend(echoes);
        let mut depth = Depth::default();
        for message in order {
            let step = depth.take(message);
            prop_assert_eq!(depth.book.is_whole(), step != Step::Lost);
            if step == Step::Lost {
                continue;
            }
            let truth = &states[&depth.last.1];
            let book = depth.book.book().to_event();
            let plain = |rows: &[(Price, Qty)]| -> BTreeMap<i64, u32> {
                rows.iter().map(|(p, q)| (p.raw() as i64, q.raw() as u32)).collect()
            };
            prop_assert_eq!((&plain(&book.bids), &plain(&book.asks)), (&truth.0, &truth.1));
            prop_assert!(!depth.book.book().is_crossed());
        }
    }
}
