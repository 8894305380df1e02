use std::hash::{DefaultHasher, Hash, Hasher};

use super::*;
use crate::sim::venue::binance::contracts::CONTRACTS;

const LIVE: i64 = 1_763_800_000;
const HOUR: i64 = 3_600;

/// Runs a market up to `after` seconds into live time and hands every second to `look`.
fn run(scenario: Scenario, seed: u64, lead: i64, after: i64, mut look: impl FnMut(&World, &Tick)) {
    let mut world = World::new(&CONTRACTS[0], scenario, seed, LIVE, lead);
    let mut tick = Tick::default();
    for _ in 0..lead + after {
        world.step(&mut tick);
        look(&world, &tick);
    }
}

fn fingerprint(seed: u64) -> u64 {
    let mut hash = DefaultHasher::new();
    run(Scenario::Base, seed, 2 * HOUR, 0, |_, tick| {
        for p in &tick.prints {
            (p.ms, p.ticks, p.lots, p.taker_buys, p.id).hash(&mut hash);
        }
        (tick.mark.to_bits(), tick.open_interest, tick.forced.len()).hash(&mut hash);
    });
    hash.finish()
}

#[test]
fn one_seed_makes_one_market() {
    assert_eq!(fingerprint(3), fingerprint(3));
    assert_ne!(fingerprint(3), fingerprint(4));
}

#[test]
fn what_longs_hold_equals_what_shorts_owe_at_all_times() {
    run(Scenario::Cascade, 1, 6 * HOUR, HOUR, |world, tick| {
        assert_eq!(world.open_interest(), world.short_interest());
        assert_eq!(tick.open_interest, world.open_interest());
    });
}

#[test]
fn the_books_of_a_side_add_up_to_its_positions() {
    run(Scenario::IsoHigh, 2, 6 * HOUR, 0, |world, tick| {
        if tick.end_ms % 600_000 == 0 {
            for side in Side::BOTH {
                let held: i64 = world.positions().filter(|p| p.0 == side).map(|p| p.2).sum();
                assert_eq!(held, world.traders.lots(side));
            }
        }
    });
}

#[test]
fn nobody_outlives_its_liquidation_price() {
    run(Scenario::Cascade, 2, 4 * HOUR, HOUR, |world, tick| {
        if tick.end_ms % 10_000 == 0 {
            for (side, price, _) in world.positions() {
                let alive = if side == Side::Long { tick.mark > price } else { tick.mark < price };
                assert!(alive, "{side:?} at {price}, mark {}", tick.mark);
            }
        }
    });
}

#[test]
fn every_scenario_liquidates_both_sides_within_two_days() {
    for scenario in Scenario::ALL {
        let (mut closed, mut interest, mut prices) = ([0_i64; 2], 0, (f64::MAX, 0.0_f64));
        run(scenario, 1, 48 * HOUR, 0, |_, tick| {
            for forced in &tick.forced {
                closed[forced.side.index()] += forced.lots;
            }
            prices = (prices.0.min(tick.mark), prices.1.max(tick.mark));
            interest = tick.open_interest;
        });
        assert!(closed.iter().all(|lots| *lots > 0), "{scenario}: {closed:?}");
        let share = closed.iter().sum::<i64>() as f64 / interest as f64;
        assert!((0.001..0.5).contains(&share), "{scenario}: {share} of open interest in two days");
        assert!(prices.0 > 75_000.0 && prices.1 < 130_000.0, "{scenario}: {prices:?}");
    }
}

#[test]
fn crowds_are_on_the_side_the_scenario_says() {
    for (scenario, crowd) in [(Scenario::Squeeze, Side::Short), (Scenario::Cascade, Side::Long)] {
        let mut closed = [0_i64; 2];
        run(scenario, 3, 30 * HOUR, 6 * HOUR, |_, tick| {
            if tick.end_ms > LIVE * 1_000 {
                tick.forced.iter().for_each(|f| closed[f.side.index()] += f.lots);
            }
        });
        assert!(closed[crowd.index()] > closed.iter().sum::<i64>() / 2, "{scenario}: {closed:?}");
    }
}

#[test]
fn the_cascade_comes_within_two_minutes_of_live_time() {
    let (mut before, mut after) = (0, 0);
    let mut interest = 0;
    run(Scenario::Cascade, 4, 30 * HOUR, 120, |_, tick| {
        let closed: i64 = tick.forced.iter().map(|f| f.lots).sum();
        interest = tick.open_interest;
        match tick.end_ms / 1_000 - LIVE {
            -3_600..=0 => before += closed,
            1.. => after += closed,
            _ => {}
        }
    });
    assert!(after > 2 * before, "{after} in two minutes, {before} in the hour before");
    assert!(after > interest / 500, "{after} of {interest}");
}

#[test]
fn prints_are_in_order_and_numbered_without_gaps() {
    let (mut last, mut fill) = (None::<(i64, u64)>, None::<u64>);
    run(Scenario::Base, 5, HOUR, 0, |_, tick| {
        assert!(!tick.prints.is_empty());
        for p in &tick.prints {
            assert!((tick.end_ms - 1_000..tick.end_ms).contains(&p.ms) && p.lots > 0);
            if let Some((ms, id)) = last {
                assert!(p.ms >= ms && p.id == id + 1);
            }
            assert!(fill.is_none_or(|f| p.first_fill == f + 1) && p.last_fill >= p.first_fill);
            (last, fill) = (Some((p.ms, p.id)), Some(p.last_fill));
        }
    });
}
