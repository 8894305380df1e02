//! What must hold of the book-keeping whatever the market does.

use std::sync::Arc;

use meltline::estimate::{BinTable, Estimator};
use meltline::market::{Interval, MarketEvent, Side};
use proptest::prelude::*;

use crate::support::{candle, liquidation, mark, open_interest, position, trade};

/// One step of a random market: what happens, how price moves, how much.
#[derive(Debug, Clone)]
struct Step {
    kind: u8,
    jump: f64,
    size: f64,
    pause_ms: i64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let jump = prop_oneof![8 => -0.003..0.003_f64, 2 => -0.03..0.03_f64, 1 => -0.5..0.5_f64];
    let pause = prop_oneof![10 => 100..4_000_i64, 1 => 60_000..7_200_000_i64];
    let step = (0..11_u8, jump, 0.0..50.0_f64, pause).prop_map(|(kind, jump, size, pause_ms)| Step {
        kind,
        jump,
        size,
        pause_ms,
    });
    prop::collection::vec(step, 1..120)
}

fn events(steps: &[Step]) -> Vec<MarketEvent> {
    let (mut ts, mut price, mut oi) = (1_700_000_000_000_i64, 60_000.0, 1_000.0);
    let mut out = vec![open_interest(ts, oi)];
    for step in steps {
        ts += step.pause_ms;
        price = (price * (1.0 + step.jump)).clamp(1e-4, 1e6);
        out.push(match step.kind {
            0..=3 => trade(ts, price, step.size),
            4..=6 => mark(ts, price),
            7 => {
                // Now and then open interest collapses.
                oi = if step.size > 48.0 { oi * 0.01 } else { (oi + step.size - 25.0).max(0.0) };
                open_interest(ts, oi)
            }
            8 => candle(
                ts - 60_000,
                Interval::M1,
                [price, price * 1.002, price * 0.997, price * 1.001, step.size],
            ),
            9 => position(
                ts,
                &format!("account {}", step.size as u32 / 5),
                if step.jump > 0.0 { Side::Long } else { Side::Short },
                (step.size - 5.0).max(0.0),
                price * if step.jump > 0.0 { 0.96 } else { 1.04 },
            ),
            _ => liquidation(
                ts,
                if step.size > 25.0 { Side::Long } else { Side::Short },
                price,
                step.size / 10.0,
            ),
        });
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_coin_inserted_is_resting_swept_closed_or_gone(steps in steps()) {
        let mut estimator = Estimator::new("test".parse().unwrap(), Arc::new(BinTable::new(5.0)));
        for event in events(&steps) {
            estimator.apply(&event);
        }
        estimator.settle();
        for book in estimator.books() {
            for (ledger, held) in book.ledger().iter().zip(book.held()) {
                let accounted = held + ledger.swept + ledger.closed + ledger.left;
                prop_assert!((ledger.inserted - accounted).abs() <= 1e-9 * ledger.inserted.max(1e-9), "{ledger:?} {held}");
                prop_assert!(held >= -1e-9 * ledger.inserted);
            }
        }
    }

    /// What was opened waits to be spread: whether it does makes no difference but in the last digits.
    #[test]
    fn openings_that_wait_to_be_spread_are_read_and_swept_as_if_they_had_not_waited(steps in steps()) {
        let fresh = || Estimator::new("test".parse().unwrap(), Arc::new(BinTable::new(5.0)));
        let (mut waits, mut does_not) = (fresh(), fresh());
        for event in events(&steps) {
            waits.apply(&event);
            does_not.apply(&event);
            does_not.settle();
        }
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-7 * a.abs().max(b.abs()).max(1e-3);
        prop_assert_eq!(waits.readout().is_some(), does_not.readout().is_some());
        if let (Some(a), Some(b)) = (waits.readout(), does_not.readout()) {
            let before = waits.clone();
            waits.settle();
            prop_assert!(waits.readout() == before.readout(), "reading is as settling, to the last digit");
            for side in [0, 1] {
                let (a, b) = (&a.sides[side], &b.sides[side]);
                for bin in a.span().start.min(b.span().start)..a.span().end.max(b.span().end) {
                    prop_assert!(near(a.level(bin), b.level(bin)), "{} {}", a.level(bin), b.level(bin));
                    prop_assert!(near(a.position(bin), b.position(bin)));
                }
            }
        }
        for (a, b) in waits.books().iter().zip(does_not.books()) {
            for (a, b) in a.ledger().iter().zip(b.ledger()) {
                prop_assert!(near(a.swept, b.swept) && near(a.resting, b.resting), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn levels_are_never_negative_and_positions_never_exceed_open_interest(steps in steps()) {
        let mut estimator = Estimator::new("test".parse().unwrap(), Arc::new(BinTable::new(5.0)));
        for event in events(&steps) {
            estimator.apply(&event);
        }
        if let Some(readout) = estimator.readout() {
            let bins = BinTable::new(5.0);
            for side in &readout.sides {
                let mut coins = 0.0;
                for bin in side.span() {
                    prop_assert!(side.by_tier(bin).iter().all(|usd| *usd >= 0.0));
                    coins += side.position(bin) / bins.mid(bin);
                }
                prop_assert!(coins <= readout.oi * (1.0 + 1e-9), "{coins} of {}", readout.oi);
            }
            prop_assert!((0.0..=1.0).contains(&readout.coverage));
        }
    }

    #[test]
    fn a_mark_step_touches_only_the_bins_it_crosses(from in -0.02..0.02_f64, to in -0.02..0.02_f64) {
        let mut estimator = Estimator::new("test".parse().unwrap(), Arc::new(BinTable::new(5.0)));
        let (a, b) = (60_000.0 * (1.0 + from), 60_000.0 * (1.0 + to));
        for event in [
            mark(0, a),
            open_interest(1, 1_000.0),
            trade(500, 60_000.0, 100.0),
            trade(600, a, 100.0),
            open_interest(700, 1_050.0),
            mark(1_000, a),
        ] {
            estimator.apply(&event);
        }
        estimator.settle();
        let before = estimator.books().clone();
        estimator.apply(&mark(2_000, b));
        let bins = BinTable::new(5.0);
        let (low, high) = (bins.bin(a.min(b)).unwrap(), bins.bin(a.max(b)).unwrap());
        for (old, new) in before.iter().zip(estimator.books()) {
            for bin in old.span() {
                if bin < low || bin > high {
                    prop_assert_eq!(old.cell(bin), new.cell(bin));
                }
            }
        }
    }
}
