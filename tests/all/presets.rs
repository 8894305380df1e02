//! Other heatmaps' rules against sums worked out by hand.

use std::sync::Arc;

use meltline::estimate::{BinTable, Preset, PresetMap};
use meltline::market::event::EventKind;
use meltline::market::{Candle, Interval, MarketEvent, Side, TakerSide, Trade};

use crate::support::{candle, event, mark, open_interest, price, qty, trade};

const HOUR: i64 = 3_600_000;

/// A map by a rule after these events and everything that is due by `now`.
fn map(preset: Preset, events: &[MarketEvent], now: i64) -> PresetMap {
    let mut map = PresetMap::new(preset, Arc::new(BinTable::new(5.0)));
    for e in events {
        map.apply(e);
    }
    map.advance(now);
    map
}

/// Coins near a price (the bin that holds it), by the USD the map tells.
fn coins(map: &PresetMap, side: Side, at: f64) -> f64 {
    let bins = BinTable::new(5.0);
    let bin = bins.bin(at).unwrap();
    let (first, usd) = map.levels(side);
    usd.get((bin - first) as usize).copied().unwrap_or(0.0) / bins.mid(bin)
}

fn total_coins(map: &PresetMap, side: Side) -> f64 {
    let bins = BinTable::new(5.0);
    let (first, usd) = map.levels(side);
    usd.iter().enumerate().map(|(i, usd)| usd / bins.mid(first + i as i32)).sum()
}

#[track_caller]
fn close(got: f64, expected: f64) {
    assert!((got - expected).abs() <= 1e-9 * expected.abs().max(1e-9), "{got} is not {expected}");
}

/// A quiet hour and an hour up to 60,600 in which open interest grows by 100 coins; 300 of 400 coins were bought by takers.
fn growth() -> Vec<MarketEvent> {
    let mut up = candle(HOUR, Interval::H1, [60_000.0, 60_900.0, 59_900.0, 60_600.0, 400.0]);
    if let EventKind::Candle(Candle { taker_buy, .. }) = &mut up.kind {
        *taker_buy = Some(qty(300.0));
    }
    vec![
        candle(0, Interval::H1, [60_000.0, 60_000.0, 60_000.0, 60_000.0, 1.0]),
        open_interest(HOUR - 1, 1_000.0),
        up,
        open_interest(2 * HOUR - 1, 1_100.0),
    ]
}

#[test]
fn growth_in_a_bar_that_closed_up_is_all_longs_entered_at_its_close() {
    let map = map(Preset::OiCandle, &growth(), 2 * HOUR);
    // 30 % at 10x: 60,600 × (1 − 0.1 + 0.004).
    close(coins(&map, Side::Long, 60_600.0 * 0.904), 30.0);
    close(coins(&map, Side::Long, 60_600.0 * 0.804), 15.0);
    close(total_coins(&map, Side::Long), 100.0);
    close(total_coins(&map, Side::Short), 0.0);
}

#[test]
fn falling_open_interest_takes_its_share_of_every_level() {
    let mut events = growth();
    events.push(candle(2 * HOUR, Interval::H1, [60_600.0, 60_600.0, 60_600.0, 60_600.0, 10.0]));
    events.push(open_interest(3 * HOUR - 1, 1_075.0));
    let map = map(Preset::OiCandle, &events, 3 * HOUR);
    close(coins(&map, Side::Long, 60_600.0 * 0.904), 22.5);
}

#[test]
fn growth_is_split_by_who_took_liquidity() {
    let map = map(Preset::OiTaker, &growth(), 2 * HOUR);
    // Entered at (60,900 + 59,900 + 60,600) / 3; a quarter each, three quarters of them long.
    let entry = 181_400.0 / 3.0;
    close(coins(&map, Side::Long, entry * 0.904), 18.75);
    close(coins(&map, Side::Short, entry * 1.096), 6.25);
}

#[test]
fn volume_is_split_by_who_took_it_and_fades_by_half_in_two_days() {
    let entry = 181_400.0 / 3.0;
    let now = map(Preset::VolumeUniform, &growth(), 2 * HOUR);
    close(coins(&now, Side::Long, entry * 0.905), 60.0);
    close(coins(&now, Side::Short, entry * 1.095), 20.0);
    let mut later = growth();
    later.push(candle(49 * HOUR, Interval::H1, [60_600.0, 60_600.0, 60_600.0, 60_600.0, 1e-9]));
    close(coins(&map(Preset::VolumeUniform, &later, 50 * HOUR), Side::Long, entry * 0.905), 30.0);
}

#[test]
fn large_trades_place_their_whole_amount_at_four_leverages() {
    let sell = |ts, at, coins| {
        let trade =
            Trade { price: price(at), qty: qty(coins), taker: TakerSide::Sell, id: None, parties: None };
        event(ts, EventKind::Trade(trade))
    };
    // 2 × 60,000 is large, 1 × 60,000 is not.
    let map = map(
        Preset::LargeTrades,
        &[trade(0, 60_000.0, 2.0), trade(1, 60_000.0, 1.0), sell(2, 60_000.0, 3.0)],
        3,
    );
    for (side, sign, expected) in [(Side::Long, -1.0, 2.0), (Side::Short, 1.0, 3.0)] {
        for distance in [0.01, 0.02, 0.04, 0.10] {
            close(coins(&map, side, 60_000.0 * (1.0 + sign * distance)), expected);
        }
        close(total_coins(&map, side), 4.0 * expected);
    }
}

#[test]
fn open_interest_is_spread_over_entries_around_the_mark_at_each_hour() {
    let map = map(Preset::OiStatic, &growth(), 2 * HOUR);
    // Half of 1,100 coins, 35 % of it at 10x, 24 % of that entered at the mark of 60,600.
    close(coins(&map, Side::Long, 60_600.0 * 0.905), 550.0 * 0.35 * 0.24);
    // 50x longs entered 3 % higher would be liquidated already.
    let kept: f64 = 550.0 * (1.0 - 0.15 * (0.12 + 0.08));
    close(total_coins(&map, Side::Long), kept);
}

#[test]
fn a_burst_of_volume_draws_lines_beyond_the_bar() {
    let quiet = |i: i64| candle(i * HOUR, Interval::H1, [60_000.0, 60_000.0, 60_000.0, 60_000.0, 10.0]);
    let mut events = vec![open_interest(0, 1_000.0)];
    events.extend((0..13).map(quiet));
    // 13 bars of mean (12 · 10 + 30) / 13 = 11.5: thirty is more than 1.7 of it, less than 2.7 of it.
    events.push(candle(13 * HOUR, Interval::H1, [60_000.0, 60_700.0, 60_000.0, 60_700.0, 30.0]));
    let map = map(Preset::VolumeBursts, &events, 14 * HOUR);
    for leverage in [25.0, 50.0, 100.0] {
        close(coins(&map, Side::Long, 60_000.0 * (1.0 - 1.0 / leverage)), 1.0);
    }
    // 100x shorts at 60,600 lie within the bar.
    close(total_coins(&map, Side::Short), 2.0);
}

#[test]
fn uniform_is_the_same_in_coins_everywhere_and_counts_the_way() {
    let mut map = map(Preset::Uniform, &[open_interest(0, 1_000.0), trade(1, 60_000.0, 1.0)], 2);
    for at in [40_000.0, 55_000.0, 60_000.0] {
        close(coins(&map, Side::Long, at), 0.1);
    }
    assert_eq!(coins(&map, Side::Long, 60_100.0), 0.0, "only the live side");
    map.apply(&trade(2, 54_000.0, 1.0));
    // 0.1 coins in each of ln(60/54) / ln(1.0005) bins.
    close(map.take_swept()[0], 0.1 * (60.0_f64 / 54.0).ln() / 1.0005_f64.ln());
    close(coins(&map, Side::Long, 54_000.0), 0.1);
}

#[test]
fn the_path_consumes_what_it_touches_once() {
    for events in [
        vec![mark(2 * HOUR, 60_600.0), mark(2 * HOUR + 1_000, 54_700.0), mark(2 * HOUR + 2_000, 60_600.0)],
        vec![candle(2 * HOUR, Interval::H1, [60_600.0, 60_600.0, 54_700.0, 60_600.0, 1e-9])],
    ] {
        let mut map = map(Preset::OiCandle, &growth(), 2 * HOUR);
        map.take_swept();
        for e in &events {
            map.apply(e);
        }
        // 10x and nearer are gone: 30 + 25 + 20 + 10; 5x is left.
        close(map.take_swept()[0], 85.0);
        close(total_coins(&map, Side::Long), 15.0);
    }
}

#[test]
fn names_are_read_back_and_others_refused() {
    for preset in Preset::ALL {
        assert_eq!(preset.to_string().parse::<Preset>().unwrap(), preset);
        assert_eq!(serde_json::to_value(preset).unwrap(), preset.name());
    }
    assert!("magic".parse::<Preset>().unwrap_err().to_string().contains("volume_bursts"));
}
