use std::hash::{DefaultHasher, Hash, Hasher};

use super::*;

const LIVE: i64 = 1_763_800_000;
const HOUR: i64 = 3_600;
const BTC: usize = 0;
const DESKS: std::ops::Range<usize> = 0..VenueId::COUNT;

/// Runs BTC's market up to `after` seconds into live time and lets `look` see every second.
fn run(scenario: Scenario, seed: u64, lead: i64, after: i64, mut look: impl FnMut(&World)) {
    let mut world = World::new(BTC, scenario, seed, LIVE, lead);
    for _ in 0..lead + after {
        world.step(true);
        look(&world);
    }
}

/// Lots closed by force in the last second, as coins, by side and over all desks.
fn forced(world: &World) -> [f64; 2] {
    let mut coins = [0.0; 2];
    for desk in &world.desks {
        for forced in &desk.tick.forced {
            coins[forced.side.index()] += forced.lots as f64 * desk.contract.lot_coins();
        }
    }
    coins
}

fn interest(world: &World) -> f64 {
    DESKS.map(|d| world.open_interest(d) as f64 * world.desks[d].contract.lot_coins()).sum()
}

fn fingerprint(seed: u64) -> u64 {
    let mut hash = DefaultHasher::new();
    run(Scenario::Base, seed, 2 * HOUR, 0, |world| {
        for tick in world.desks.iter().map(|d| &d.tick) {
            for p in &tick.prints {
                (p.ms, p.ticks, p.lots, p.taker_buys, p.id).hash(&mut hash);
            }
            (tick.mark.to_bits(), tick.open_interest, tick.forced.len()).hash(&mut hash);
        }
    });
    hash.finish()
}

#[test]
fn one_seed_makes_one_market() {
    assert_eq!(fingerprint(3), fingerprint(3));
    assert_ne!(fingerprint(3), fingerprint(4));
}

#[test]
fn a_market_takes_the_same_course_unwatched() {
    let end = |watched: bool| {
        let mut world = World::new(BTC, Scenario::Cascade, 2, LIVE, HOUR);
        (0..2 * HOUR).for_each(|_| world.step(watched));
        DESKS.map(|d| (world.tick(d).mark.to_bits(), world.open_interest(d))).collect::<Vec<_>>()
    };
    assert_eq!(end(true), end(false));
}

#[test]
fn what_longs_hold_equals_what_shorts_owe_on_every_venue_at_all_times() {
    run(Scenario::Cascade, 1, 6 * HOUR, HOUR, |world| {
        for desk in DESKS {
            assert_eq!(world.open_interest(desk), world.short_interest(desk));
            assert_eq!(world.tick(desk).open_interest, world.open_interest(desk));
        }
    });
}

#[test]
fn the_books_of_a_side_add_up_to_its_positions() {
    run(Scenario::IsoHigh, 2, 6 * HOUR, 0, |world| {
        if world.second % 600 == 0 {
            for desk in DESKS {
                for side in Side::BOTH {
                    let held: i64 = world.holdings(desk).filter(|p| p.side == side).map(|p| p.lots).sum();
                    assert_eq!(held, world.traders.lots(desk, side));
                }
            }
        }
    });
}

#[test]
fn nobody_outlives_the_liquidation_price_of_its_venue() {
    run(Scenario::Cascade, 2, 4 * HOUR, HOUR, |world| {
        if world.second % 10 == 0 {
            for desk in DESKS {
                let mark = world.tick(desk).mark;
                for p in world.holdings(desk) {
                    let alive =
                        if p.side == Side::Long { mark > p.liquidation } else { mark < p.liquidation };
                    assert!(alive, "{p:?}, mark {mark}");
                }
            }
        }
    });
}

#[test]
fn every_scenario_liquidates_both_sides_within_two_days() {
    for scenario in Scenario::ALL {
        let (mut closed, mut prices) = ([0.0; 2], (f64::MAX, 0.0_f64));
        let (mut at_start, mut at_end) = (0.0, 0.0);
        run(scenario, 1, 48 * HOUR, 0, |world| {
            let [longs, shorts] = forced(world);
            closed = [closed[0] + longs, closed[1] + shorts];
            let mark = world.tick(0).mark;
            prices = (prices.0.min(mark), prices.1.max(mark));
            at_end = interest(world);
            if at_start == 0.0 {
                at_start = at_end;
            }
        });
        assert!(closed.iter().all(|coins| *coins > 0.0), "{scenario}: {closed:?}");
        let share = (closed[0] + closed[1]) / at_end;
        assert!((0.001..0.5).contains(&share), "{scenario}: {share} of open interest in two days");
        assert!(prices.0 > 75_000.0 && prices.1 < 130_000.0, "{scenario}: {prices:?}");
        let usd = at_end * 100_000.0;
        assert!((0.6..1.6).contains(&(usd / 13.33e9)), "{scenario}: open interest is {usd} USD");
        assert!((0.6..1.6).contains(&(at_end / at_start)), "{scenario}: {at_start} {at_end}");
    }
}

#[test]
fn open_interest_is_shared_by_the_venues_as_they_are_sized() {
    run(Scenario::Base, 9, 24 * HOUR, 0, |world| {
        if world.second == LIVE {
            let whole = interest(world);
            for (desk, share) in DESKS.zip([0.45, 0.25, 0.18, 0.12]) {
                let coins = world.open_interest(desk) as f64 * world.desks[desk].contract.lot_coins();
                assert!((coins / whole - share).abs() < 0.06, "{desk}: {}", coins / whole);
            }
        }
    });
}

#[test]
fn venues_trade_a_few_basis_points_apart() {
    let (mut widest, mut sum, mut seconds) = (0.0_f64, 0.0, 0.0);
    run(Scenario::Base, 5, 24 * HOUR, 0, |world| {
        let lasts = || world.desks.iter().map(|d| d.last);
        let apart = lasts().fold(f64::MIN, f64::max) - lasts().fold(f64::MAX, f64::min);
        widest = widest.max(apart);
        (sum, seconds) = (sum + apart, seconds + 1.0);
    });
    assert!((1e-4..10e-4).contains(&(sum / seconds)), "{} on average", sum / seconds);
    assert!(widest < 80e-4, "{widest}");
}

#[test]
fn hyperliquid_has_lower_leverage_than_the_others() {
    run(Scenario::Base, 6, HOUR, 0, |world| {
        if world.second == LIVE {
            let margins: Vec<Vec<f64>> = DESKS
                .map(|desk| {
                    let contract = world.desks[desk].contract;
                    let share = |p: Holding| p.margin / (p.entry * contract.qty_of(p.lots));
                    world.holdings(desk).map(share).collect()
                })
                .collect();
            let least = |desk: usize| margins[desk].iter().copied().fold(1.0, f64::min);
            let high = |desk: usize| {
                margins[desk].iter().filter(|m| **m < 0.055).count() as f64 / margins[desk].len() as f64
            };
            assert!(high(3) < 0.6 * high(0), "{} {}", high(3), high(0));
            assert!(high(1) > high(2), "Bybit's like more leverage than OKX's");
            assert!(least(3) > 1.0 / 41.0, "at most 40x: {}", least(3));
            assert!(least(0) < 1.0 / 75.0, "Binance has its gamblers: {}", least(0));
        }
    });
}

#[test]
fn crowds_are_on_the_side_the_scenario_says() {
    for (scenario, crowd) in [(Scenario::Squeeze, Side::Short), (Scenario::Cascade, Side::Long)] {
        let mut closed = [0.0; 2];
        run(scenario, 3, 30 * HOUR, 6 * HOUR, |world| {
            if world.second > LIVE {
                let [longs, shorts] = forced(world);
                closed = [closed[0] + longs, closed[1] + shorts];
            }
        });
        assert!(2.0 * closed[crowd.index()] > closed[0] + closed[1], "{scenario}: {closed:?}");
    }
}

#[test]
fn the_cascade_comes_within_two_minutes_of_live_time() {
    let (mut before, mut after) = (0.0, 0.0);
    let mut at_end = 0.0;
    let mut venues = [false; 4];
    run(Scenario::Cascade, 4, 30 * HOUR, 120, |world| {
        let closed: f64 = forced(world).iter().sum();
        at_end = interest(world);
        match world.second - LIVE {
            -3_600..=0 => before += closed,
            1.. => {
                after += closed;
                for (seen, desk) in venues.iter_mut().zip(&world.desks) {
                    *seen |= !desk.tick.forced.is_empty();
                }
            }
            _ => {}
        }
    });
    assert!(after > 2.0 * before, "{after} in two minutes, {before} in the hour before");
    assert!(after > at_end / 500.0, "{after} of {at_end}");
    assert_eq!(venues, [true; 4], "every venue liquidates");
}

#[test]
fn prints_are_in_order_and_numbered_without_gaps_on_each_venue() {
    let mut last = [None::<(i64, u64)>; VenueId::COUNT];
    let mut fill = [None::<u64>; VenueId::COUNT];
    run(Scenario::Base, 5, HOUR, 0, |world| {
        for desk in DESKS {
            let tick = world.tick(desk);
            assert!(!tick.prints.is_empty());
            for p in &tick.prints {
                assert!((tick.end_ms - 1_000..tick.end_ms).contains(&p.ms) && p.lots > 0);
                if let Some((ms, id)) = last[desk] {
                    assert!(p.ms >= ms && p.id == id + 1);
                }
                assert!(fill[desk].is_none_or(|f| p.first_fill == f + 1) && p.last_fill >= p.first_fill);
                (last[desk], fill[desk]) = (Some((p.ms, p.id)), Some(p.last_fill));
            }
        }
    });
}

#[test]
fn bankruptcy_is_beyond_the_price_that_triggered() {
    let mut seen = 0;
    run(Scenario::Cascade, 4, 8 * HOUR, 300, |world| {
        for desk in &world.desks {
            for f in &desk.tick.forced {
                let (mark, bankruptcy) = (desk.tick.mark, desk.contract.price_of(f.bankruptcy));
                let off = (bankruptcy / mark - 1.0) * if f.side == Side::Long { -1.0 } else { 1.0 };
                // The mark has moved on a second since: a little slack.
                assert!((-0.01..0.5).contains(&off), "{f:?} at {mark}");
                seen += 1;
            }
        }
    });
    assert!(seen > 100);
}

#[test]
fn whoever_trades_is_named_and_can_be_found_while_it_holds() {
    let (mut found, mut names) = (0, 0);
    run(Scenario::Base, 7, HOUR, 0, |world| {
        for desk in DESKS {
            for party in &world.tick(desk).parties {
                assert!(party.lots > 0);
                if let Some(holding) = world.holding(desk, party.id) {
                    assert_eq!(holding.id, party.id);
                    assert!(world.holding((desk + 1) % VenueId::COUNT, party.id).is_none());
                    found += 1;
                }
            }
            for print in &world.tick(desk).prints {
                for (id, buys) in [(print.buyer, true), (print.seller, false)] {
                    let named = |p: &Party| p.id == id && p.buys == buys;
                    assert!(id == 0 || world.tick(desk).parties.iter().any(named), "{print:?}");
                    names += usize::from(id != 0);
                }
            }
        }
    });
    assert!(found > 500 && names > 500, "{found} {names}");
}
