//! The panels beside the heatmap: pools, tape, market, depth, liquidation bars, the watchlist; where they fold and how they are kept.

use std::sync::Arc;

use crossterm::event::KeyCode;
use meltline::app::{App, Effect, Message, Settings};
use meltline::engine::snapshot::History;
use meltline::engine::{Command, Print, Snapshot};
use meltline::estimate::Packed;
use meltline::market::Side;
use ratatui::layout::Rect;

use crate::fixture::Market;
use crate::screen::{MINUTES, app, frame, plain, press, text, typed};

/// A tape of so many liquidations, the newest last: on all venues in turn, from $500 up to some millions. A longer one begins like a
/// shorter one within the hour.
pub fn tape(snapshot: &mut Snapshot, prints: usize) {
    let start = snapshot.now.div_euclid(3_600_000) * 3_600_000 - 60_000;
    let print = |i: usize| {
        let away = (i % 7) as f64 * 0.0004;
        let side = if i.is_multiple_of(3) { Side::Short } else { Side::Long };
        Print {
            ts: start + 1_700 * i as i64,
            venue: snapshot.venues[i % snapshot.venues.len()].venue,
            side,
            price: 65_000.0 * if side == Side::Long { 1.0 - away } else { 1.0 + away },
            usd: 500.0 * 3.7_f64.powi((i * 5 % 8) as i32),
        }
    };
    snapshot.tape = (0..prints).map(print).collect();
}

/// A day with a tape.
pub fn day(width: u16, height: u16) -> App {
    let mut snapshot = Snapshot::clone(&Market::new(7, MINUTES).snapshot());
    tape(&mut snapshot, 30);
    app(plain(), Arc::new(snapshot), width, height)
}

fn assert_picture(name: &str, app: &App) {
    insta::with_settings!({snapshot_path => "../snapshots", prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!(name, text(app));
    });
}

/// The text of a room.
fn room(app: &App, area: Option<Rect>) -> Vec<String> {
    let (buffer, Some(area)) = (frame(app), area) else { return Vec::new() };
    let row = |y: u16| (area.left()..area.right()).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (area.top()..area.bottom()).map(row).collect()
}

#[test]
fn whole_screens_at_every_size() {
    for (width, height) in [(240, 70), (160, 50), (100, 30), (80, 24), (50, 20)] {
        assert_picture(&format!("panels_{width}x{height}"), &day(width, height));
    }
}

#[test]
fn the_watchlist_at_every_size() {
    for (width, height) in [(160, 50), (80, 24), (50, 20)] {
        let mut app = day(width, height);
        typed(&mut app, "W");
        assert_picture(&format!("watchlist_{width}x{height}"), &app);
    }
}

#[test]
fn the_watchlist_watches_what_is_chosen() {
    let mut app = day(100, 30);
    app.settings.watchlist = ["ETH", "BTC", "PEPE"].map(|a| a.parse().unwrap()).to_vec();
    typed(&mut app, "W");
    let words = text(&app);
    let line = |asset: &str| words.lines().find(|l| l.contains(asset)).unwrap().to_owned();
    assert!(line("› BTC").contains("65205.9"), "the one that runs is chosen, and its price known\n{words}");
    assert!(!line(" ETH ").contains('%'), "of the others no price is made up\n{words}");
    press(&mut app, KeyCode::Down);
    assert_eq!(press(&mut app, KeyCode::Enter), Effect::Command(Command::Watch("PEPE".parse().unwrap())));
    assert!(app.popup().is_none());
    typed(&mut app, "W");
    assert_eq!(typed(&mut app, "W"), Effect::Redraw);
    assert!(app.popup().is_none(), "its own key closes it");
}

#[test]
fn each_panel_has_a_key_and_leaves_its_room_to_the_others() {
    let mut app = day(160, 50);
    let rooms = |app: &App| {
        let l = app.layout().unwrap();
        [l.bars, l.depth, l.pools, l.tape, l.market].map(|r| r.is_some())
    };
    assert_eq!(rooms(&app), [true; 5]);
    for (i, key) in ["b", "d", "g", "t", "o"].into_iter().enumerate() {
        let heat = app.layout().unwrap().heat;
        typed(&mut app, key);
        let mut expected = [true; 5];
        expected[i] = false;
        assert_eq!(rooms(&app), expected, "{key}");
        let now = app.layout().unwrap().heat;
        assert!(now.area() > heat.area() || i > 1, "{key}: the heatmap gains");
        typed(&mut app, key);
        assert_eq!((rooms(&app), app.layout().unwrap().heat), ([true; 5], heat), "{key}");
    }
    typed(&mut app, "gto");
    assert!(app.layout().unwrap().heat.height > 40, "without the three their row goes");
}

#[test]
fn a_note_is_told_until_the_first_key() {
    let settings = Settings { note: "the saved panels cannot be read".to_owned(), ..plain() };
    let mut app = app(settings, Market::new(7, 90).snapshot(), 100, 30);
    assert!(text(&app).contains("the saved panels cannot be read"));
    typed(&mut app, "c");
    assert!(!text(&app).contains("cannot be read"));
}

#[test]
fn the_tape_leaves_out_what_is_smaller_than_its_filter_and_venues_that_are_off() {
    let mut app = day(160, 50);
    let tape = |app: &App| room(app, app.layout().unwrap().tape);
    let all = tape(&app);
    assert!(all[0].contains(" liquidations ") && all[0].contains("~ sampled"));
    // The newest is the 29th: $500 × 3.7^(145 mod 8).
    assert!(all[1].contains("00:59:49 byb  ▿ long    64974.0"), "{all:?}");
    assert!(all[1].contains("$1.9k"), "{all:?}");
    assert!(all.iter().any(|l| l.contains("bin~")) && all.iter().all(|l| !l.contains("byb~")));
    typed(&mut app, "TT");
    let large = tape(&app);
    assert!(large[0].contains("liquidations ≥ $10k"));
    assert!(
        large[1..].iter().all(|l| !l.contains("$1.9k") && l.contains('k') | l.contains('M')),
        "{large:?}"
    );
    typed(&mut app, "TTTT");
    assert_eq!(tape(&app), all, "round and round");
    typed(&mut app, "x2");
    press(&mut app, KeyCode::Esc);
    assert!(tape(&app).iter().all(|l| !l.contains("byb")));
}

#[test]
fn bars_go_down_for_longs_and_up_for_shorts_on_a_scale_of_their_own() {
    let app = day(160, 50);
    let (columns, top) = app.liquidated();
    let area = app.layout().unwrap().bars.unwrap();
    assert_eq!(columns.len(), usize::from(area.width));
    let largest = columns.iter().flatten().copied().fold(0.0, f64::max);
    assert!(largest > 0.0 && largest <= top && top <= 5.0 * largest, "{largest} {top}");
    let drawn = room(&app, Some(area));
    for (x, [long, short]) in columns.iter().enumerate() {
        let cell = |row: &str| row.chars().nth(x).unwrap();
        assert_eq!(cell(&drawn[1]) != ' ', *short > 0.0, "shorts of column {x}");
        assert_eq!(cell(&drawn[2]) != ' ', *long > 0.0, "longs of column {x}");
    }
    // Their sum is what the columns of the history printed.
    let start = app.grid().geometry.start;
    let printed: f64 = app
        .snapshot()
        .venues
        .iter()
        .flat_map(|v| v.history.since(start).chain(&v.live))
        .filter(|c| c.start >= start)
        .map(|c| c.printed[0].sum())
        .sum();
    let shown: f64 = columns.iter().map(|c| c[0]).sum();
    assert!((shown / printed - 1.0).abs() < 0.05, "{shown} {printed}");
}

#[test]
fn pools_are_told_from_the_nearest_and_the_axis_tells_the_same() {
    let app = day(160, 50);
    let rows = room(&app, app.layout().unwrap().pools);
    let axis = room(&app, Some(app.layout().unwrap().prices)).join("\n");
    for side in Side::BOTH {
        let all = app.pools().of(side);
        assert!(!all.is_empty());
        assert!(all.windows(2).all(|p| p[0].distance.abs() < p[1].distance.abs()));
        assert!(all.iter().all(|p| (p.distance > 0.0) == (side == Side::Short)));
        let near = app.pools().nearest(side).unwrap();
        assert!(near.since.is_some_and(|since| since <= app.snapshot().now), "it has an age");
        let large = app.pools().largest(side).unwrap();
        assert!(all.iter().all(|p| p.pool.usd <= large.pool.usd));
        let watched = app.pools().watched(side).unwrap();
        let usd = meltline_usd(watched.pool.usd);
        assert!(axis.contains(&format!("◂{usd}")), "{usd}\n{axis}");
        let usd = meltline_usd(near.pool.usd);
        assert!(rows.iter().any(|l| l.contains(&usd)), "{usd}\n{rows:?}");
    }
}

/// Three digits of an amount, in M or B.
fn meltline_usd(usd: f64) -> String {
    let (value, unit) = if usd >= 0.9995e9 { (usd / 1e9, "B") } else { (usd / 1e6, "M") };
    if value < 9.95 { format!("${value:.1}{unit}") } else { format!("${value:.0}{unit}") }
}

#[test]
fn open_interest_and_funding_are_summed_over_the_venues_drawn() {
    let mut snapshot = Snapshot::clone(&Market::new(7, MINUTES).snapshot());
    let now = snapshot.now;
    let views = &mut snapshot.venues;
    for (i, view) in views.iter_mut().enumerate() {
        view.oi_usd = Some([4e9, 2e9, 1e9, 1e9][i]);
        view.funding = Some([2e-4, 1e-4, 0.0, 1e-5][i]);
        view.funding_hours = [None, Some(4), Some(8), Some(1)][i];
        // An hour ago a quarter less, where it is known; a day ago only on one.
        let mut ladder = view.history.ladder.clone();
        for column in ladder.iter_mut().flatten() {
            let old = Arc::make_mut(column);
            if old.start < now - 3_000_000 {
                old.oi *= 0.75;
            }
            old.gap = i > 0 && old.start < now - 80_000_000;
            old.reconstructed = i == 3;
        }
        view.history = Arc::new(History { ladder });
    }
    let app = app(plain(), Arc::new(snapshot), 160, 50);
    let all = app.market().all;
    assert_eq!(all.oi_usd, Some(8e9));
    assert!((all.oi_change[0].unwrap() - 1.0 / 3.0).abs() < 1e-9, "{:?}", all.oi_change);
    assert!((all.oi_change[1].unwrap() - 1.0 / 3.0).abs() < 1e-9, "of the one that knows");
    // Per eight hours: 2, 2, 0 and 0.8 bp; weighted 4:2:1:1.
    assert!((all.funding.unwrap() - (8e-4 + 4e-4 + 8e-5) / 8.0).abs() < 1e-12);
    assert!((all.yearly().unwrap() - 1_095.0 * all.funding.unwrap()).abs() < 1e-12);
    let venues = &app.market().venues;
    assert_eq!(venues[3].1.oi_change, [None; 2], "held constant: no change to tell");
    assert!(venues[1].1.oi_change[0].is_some() && venues[1].1.oi_change[1].is_none());
    let words = room(&app, app.layout().unwrap().market).join("\n");
    for part in ["$8.0B", "+33%", "+0.0160%", "+18%"] {
        assert!(words.contains(part), "{part}\n{words}");
    }
}

#[test]
fn depth_is_the_sum_of_the_books_row_by_row_and_follows_the_venues() {
    let mut app = day(160, 50);
    let sum = |app: &App| app.resting().rows.iter().sum::<f64>();
    let book = |app: &App, only: Option<usize>| -> f64 {
        let views = app.snapshot().venues.iter().enumerate().filter(|(i, _)| only.is_none_or(|o| o == *i));
        let books = views.filter_map(|(_, v)| v.book.as_ref());
        let rows = books.flat_map(|b| b.bids.iter().chain(&b.asks));
        rows.map(|(price, qty)| price.to_f64() * qty.to_f64()).sum()
    };
    assert!((sum(&app) / book(&app, None) - 1.0).abs() < 1e-9);
    typed(&mut app, "x234");
    press(&mut app, KeyCode::Esc);
    assert!((sum(&app) / book(&app, Some(0)) - 1.0).abs() < 1e-9);
    assert!(app.resting().top >= app.resting().rows.iter().copied().fold(0.0, f64::max));
    let mut bare = Snapshot::clone(app.latest());
    bare.venues.iter_mut().for_each(|v| v.book = None);
    app.update(Message::Snapshot(Arc::new(bare)));
    assert!(text(&app).contains("no book"));
}

#[test]
fn a_sweep_of_a_pool_is_marked_where_price_turned() {
    let mut snapshot = Snapshot::clone(&Market::new(7, MINUTES).snapshot());
    let bins = Arc::clone(&snapshot.bins);
    let mark = snapshot.mark.unwrap();
    let bin = bins.bin(mark * 0.985).unwrap();
    let mut ladder = snapshot.venues[0].history.ladder.clone();
    let at = ladder[0].len() - 30;
    let start = ladder[0][at].start;
    // The minute, and every longer column it is part of.
    for column in ladder.iter_mut().flatten().filter(|c| c.start <= start && start < c.end()) {
        Arc::make_mut(column).swept = [Packed::new(bin, &[2e9; 3], 0.0), Packed::default()];
    }
    snapshot.venues[0].history = Arc::new(History { ladder });
    let mut app = app(plain(), Arc::new(snapshot), 160, 50);
    let (g, heat) = (app.grid().geometry, app.layout().unwrap().heat);
    let x = heat.x + g.column(start) as u16;
    let y = heat.bottom() - 1 - (g.row(f64::from(bin) + 0.5) / 2) as u16;
    assert_eq!(frame(&app)[(x, y)].symbol(), "x", "the lowest row of what was swept");
    let marks = |app: &App| {
        let cells =
            (heat.left()..heat.right()).flat_map(|x| (heat.top()..heat.bottom()).map(move |y| (x, y)));
        let buffer = frame(app);
        cells.filter(|at| buffer[*at].symbol() == "x").count()
    };
    assert_eq!(marks(&app), 1, "one mark a side and column");
    typed(&mut app, "m");
    assert_eq!(marks(&app), 0, "model 1 marks nothing");
}

#[test]
fn the_watchlist_tells_of_the_other_markets_that_run() {
    let mut here = Market::new(7, 1_500);
    let mut there = Snapshot::clone(&Market::new(8, 1_500).snapshot());
    there.asset = "ETH".parse().unwrap();
    let mut app = app(plain(), here.snapshot(), 240, 60);
    app.settings.watchlist = ["BTC", "ETH", "SOL"].map(|a| a.parse().unwrap()).to_vec();
    let row = |app: &App, asset: &str| {
        let lines = room(app, app.layout().unwrap().watch);
        let line = lines.into_iter().find(|l| l.contains(&format!(" {asset} ")));
        line.unwrap_or_default().split_once(asset).map(|(_, told)| told.to_owned())
    };
    assert!(row(&app, "BTC").is_some(), "{}", text(&app));
    assert!(!row(&app, "ETH").unwrap().contains('$'), "nothing is known of it yet");
    assert_eq!(app.update(Message::Others(vec![Arc::new(there.clone())])), Effect::Redraw);
    let told = row(&app, "ETH").unwrap();
    let eth = app.watched()[1].clone();
    assert_eq!(eth.price, there.mark);
    let [above, below] = eth.pools.map(|pool| pool.unwrap());
    assert!(above.1 > 0.0 && below.1 < 0.0 && above.0 > 1e6 && below.0 > 1e6);
    assert!(told.contains('$') && told.matches('%').count() == 3, "price, change and two pools: {told:?}");
    assert_eq!(app.update(Message::Others(vec![Arc::new(there)])), Effect::None, "it says nothing new");
    typed(&mut app, "W");
    assert!(!text(&app).contains("watchlist"));
}
