//! The estimator against sums worked out by hand.

use std::sync::Arc;

use meltline::estimate::components::Components;
use meltline::estimate::{BinTable, Estimator};
use meltline::market::{Interval, MarketEvent, Side};

use crate::support::{candle, liquidation_bar, mark, open_interest, trade};

/// Slot of a spike: nine of them, highest leverage first, three holding classes each.
const X10: usize = 6;
const X100: usize = 1;

fn run(events: &[MarketEvent]) -> Estimator {
    let mut estimator = Estimator::new("test".parse().unwrap(), Arc::new(BinTable::new(5.0)));
    for event in events {
        estimator.apply(event);
    }
    estimator.settle();
    estimator
}

/// Ten coins trade at 60,000 while open interest grows from 100 to 104: V = 10, D = 4.
fn opening() -> [MarketEvent; 4] {
    [mark(0, 60_000.0), open_interest(1, 100.0), trade(1_000, 60_000.0, 10.0), open_interest(5_000, 104.0)]
}

/// Unit mass of the first holding class of a component that has its level in a bin.
fn cell(e: &Estimator, side: Side, component: usize, bin: i32) -> f64 {
    let book = &e.books()[side.index()];
    book.cell(bin).map_or(0.0, |c| c[component * 3] * book.scale()[0])
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-12 * b.abs().max(1e-12), "{a} is not {b}");
}

#[test]
fn openings_are_growth_plus_half_the_turnover() {
    // V = 10, D = 4: turnover = 0.5 × (10 − 4) / 2 = 1.5, so 5.5 coins are opened on each side.
    let e = run(&opening());
    for book in e.books() {
        for ledger in book.ledger() {
            assert_eq!(ledger.inserted, 5.5);
            close(ledger.resting + ledger.left, 5.5);
            assert_eq!((ledger.swept, ledger.closed), (0.0, 0.0));
        }
    }
}

#[test]
fn a_ten_times_entry_rests_where_its_liquidation_price_is() {
    let e = run(&opening());
    let bins = BinTable::new(5.0);
    // Rate 0.45 % where tiers are unknown: 60,000 × 0.9 / 0.9955 and 60,000 × 1.1 / 1.0045.
    for (side, level) in [(Side::Long, 54_244.098), (Side::Short, 65_704.330)] {
        let at = bins.bin(level).unwrap();
        let around: f64 = (at - 2..=at + 2).map(|b| cell(&e, side, X10, b)).sum();
        close(around, 5.5);
        assert!(cell(&e, side, X10, at) > 0.0);
        assert_eq!(cell(&e, side, X10, at - 5), 0.0);
    }
}

#[test]
fn closings_age_every_class_by_its_own_hazard() {
    // Second reading: V = 20, D = −8: turnover 0.5 × 12 / 2 = 3, closed 8 + 3 = 11 of OI 96, opened 3.
    let e = run(&[&opening()[..], &[trade(6_000, 60_000.0, 20.0), open_interest(10_000, 96.0)]].concat());
    for (class, hazard) in [0.5, 3.0, 20.0].into_iter().enumerate() {
        let x: f64 = hazard * 11.0 / 96.0;
        let left = 5.5 / (1.0 + x + x * x / 2.0);
        let ledger = e.books()[0].ledger()[X10 * 3 + class];
        close(ledger.closed, 5.5 - left);
        close(ledger.resting, left + 3.0);
    }
}

#[test]
fn what_was_liquidated_is_not_closed_by_hand_again() {
    // Of the 11 coins closed, 11 were longs liquidated: longs do not age, shorts do.
    let e = run(&[
        &opening()[..],
        &[trade(6_000, 60_000.0, 20.0), liquidation_bar(6_500, 11.0, 0.0), open_interest(10_000, 96.0)],
    ]
    .concat());
    assert_eq!(e.books()[0].ledger()[X10 * 3].closed, 0.0);
    assert!(e.books()[1].ledger()[X10 * 3].closed > 0.0);
}

#[test]
fn a_falling_mark_sweeps_longs_and_leaves_shorts() {
    let mut e = run(&opening());
    let before = e.books()[1].clone();
    // 100x longs rest at 60,000 × 0.99 / 0.9955 = 59,668.5; the mark goes to 59,600 and back.
    e.apply(&mark(6_000, 60_000.0));
    e.apply(&mark(7_000, 59_600.0));
    close(e.books()[0].ledger()[X100 * 3].swept, 5.5);
    assert_eq!(e.books()[0].ledger()[X10 * 3].swept, 0.0);
    assert_eq!(e.books()[1], before);
}

#[test]
fn the_bin_that_holds_the_mark_is_swept_by_the_part_crossed() {
    let mut e = run(&[&opening()[..], &[mark(5_500, 60_000.0)]].concat());
    let bins = BinTable::new(5.0);
    let bin = bins.bin(54_244.098).unwrap();
    let rest = cell(&e, Side::Long, X10, bin);
    // Fall to three quarters of the way down the bin: a quarter stays.
    let (bottom, top) = (bins.edge(bin), bins.edge(bin + 1));
    e.apply(&mark(6_000, bottom + (top - bottom) * 0.25));
    let got = cell(&e, Side::Long, X10, bin);
    assert!((got / rest - 0.25).abs() < 1e-6, "{got} of {rest}");
    // Half of what is left of the bin's way: f = crossed part / part still unswept = 1/2.
    e.apply(&mark(7_000, bottom + (top - bottom) * 0.125));
    assert!((cell(&e, Side::Long, X10, bin) / rest - 0.125).abs() < 1e-6);
}

#[test]
fn marks_far_apart_do_not_sweep_but_trades_between_them_do() {
    let start = opening();
    let mut by_mark = run(&start);
    by_mark.apply(&mark(65_000, 59_000.0));
    assert_eq!(by_mark.books()[0].ledger()[X100 * 3].swept, 0.0);
    let mut by_trade = run(&start);
    by_trade.apply(&trade(64_000, 59_000.0, 1.0));
    close(by_trade.books()[0].ledger()[X100 * 3].swept, 5.5);
}

#[test]
fn an_up_candle_dips_before_it_rises() {
    // Longs at 100x from 60,000 die at 59,668; shorts at 60,335. The up candle 60,000 → 59,600 → 60,400 → 60,300 takes both,
    // the flat-bottomed one only the shorts.
    let start = [
        candle(0, Interval::M1, [60_000.0, 60_000.0, 60_000.0, 60_000.0, 10.0]),
        open_interest(59_999, 100.0),
        candle(60_000, Interval::M1, [60_000.0, 60_000.0, 60_000.0, 60_000.0, 10.0]),
        open_interest(119_999, 104.0),
    ];
    let mut both = run(&start);
    let (long, short) =
        (both.books()[0].ledger()[X100 * 3].resting, both.books()[1].ledger()[X100 * 3].resting);
    both.apply(&candle(120_000, Interval::M1, [60_000.0, 60_400.0, 59_600.0, 60_300.0, 0.0]));
    close(both.books()[0].ledger()[X100 * 3].swept, long);
    close(both.books()[1].ledger()[X100 * 3].swept, short);
    let mut up = run(&start);
    up.apply(&candle(120_000, Interval::M1, [60_000.0, 60_400.0, 60_000.0, 60_300.0, 0.0]));
    assert_eq!(up.books()[0].ledger()[X100 * 3].swept, 0.0);
    close(up.books()[1].ledger()[X100 * 3].swept, short);
}

#[test]
fn a_candle_where_trades_were_seen_counts_neither_volume_nor_path() {
    let trades = opening();
    let mut with_candle = run(&trades);
    with_candle.apply(&candle(0, Interval::M1, [60_000.0, 66_000.0, 50_000.0, 60_000.0, 1_000.0]));
    with_candle.apply(&open_interest(65_000, 104.0));
    let mut without = run(&trades);
    without.apply(&open_interest(65_000, 104.0));
    assert_eq!(with_candle.books(), without.books());
}

#[test]
fn what_a_candle_opened_behind_its_close_is_gone() {
    // One candle from 61,000 down to 60,000: a 100x long opened above 60,335 has its level above the close.
    let e = run(&[
        candle(0, Interval::M1, [61_000.0, 61_000.0, 61_000.0, 61_000.0, 1.0]),
        open_interest(59_999, 100.0),
        candle(60_000, Interval::M1, [61_000.0, 61_000.0, 60_000.0, 60_000.0, 100.0]),
        open_interest(119_999, 140.0),
    ]);
    let ledger = e.books()[0].ledger()[X100 * 3];
    // Second reading: V = 100, D = 40, opened 40 + 15 = 55, over 32 steps of 5.17 bp; one third of the way up and more is gone.
    assert!(ledger.swept > 30.0 && ledger.swept < 40.0, "{ledger:?}");
    let close_bin = BinTable::new(5.0).bin(60_000.0).unwrap();
    for bin in close_bin + 1..close_bin + 100 {
        assert_eq!(cell(&e, Side::Long, X100, bin), 0.0);
    }
}

#[test]
fn levels_are_the_prior_share_of_the_cohort_in_usd() {
    let e = run(&opening());
    let readout = e.readout().unwrap();
    let bins = BinTable::new(5.0);
    let at = bins.bin(54_244.098).unwrap();
    // 5.5 coins × 0.22 × ½ (10x) × 0.9 liquidatable × ½ survival, at the bins' middles.
    let x10 = 5.5 * 0.22 * 0.5 * 0.9 * 0.5;
    let expected: f64 =
        (at - 2..=at + 2).map(|b| cell(&e, Side::Long, X10, b) / 5.5 * x10 * bins.mid(b)).sum();
    let got: f64 = (at - 2..=at + 2).map(|b| readout.side(Side::Long).by_tier(b)[2]).sum();
    close(got, expected);
    assert!((got / (x10 * 54_244.0) - 1.0).abs() < 1e-3);
    // At its entry a position has made no progress towards its level: T1 = T2 / ½.
    let position: f64 = readout.side(Side::Long).positions[2].iter().sum();
    assert!((position / got - 2.0).abs() < 0.01, "{}", position / got);
}

#[test]
fn ten_times_the_coins_are_ten_times_the_levels() {
    let events = |scale: f64| {
        run(&[
            mark(0, 60_000.0),
            open_interest(1, 100.0 * scale),
            trade(1_000, 60_000.0, 10.0 * scale),
            open_interest(5_000, 104.0 * scale),
            mark(6_000, 59_900.0),
        ])
        .readout()
        .unwrap()
    };
    let (one, ten) = (events(1.0), events(10.0));
    for (a, b) in one.sides.iter().zip(&ten.sides) {
        for (x, y) in a.levels.iter().flatten().zip(b.levels.iter().flatten()) {
            assert!((x * 10.0 - y).abs() <= 1e-9 * y.abs());
        }
    }
}

#[test]
fn with_no_instrument_all_components_are_allowed() {
    let all = Components::new(&"test".parse().unwrap(), None, None, &BinTable::new(5.0));
    assert_eq!(all.len(), 23);
    assert!(all.iter().all(|c| c.weight > 0.0));
}
