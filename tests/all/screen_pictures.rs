//! Whole screens as text: what a trader sees at each size.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use crossterm::event::KeyCode;
use meltline::app::{App, Message};
use meltline::engine::snapshot::{LinkState, StreamStatus};
use meltline::engine::{Origin, Snapshot};
use meltline::estimate::Preset;
use meltline::market::event::Book;

use crate::fixture::{self, Market};
use crate::screen::{MINUTES, app, plain, press, text, typed};

fn day(width: u16, height: u16) -> App {
    // Made once: it is the same for every picture.
    static DAY: LazyLock<Arc<Snapshot>> = LazyLock::new(|| Market::new(7, MINUTES).snapshot());
    app(plain(), Arc::clone(&DAY), width, height)
}

fn assert_picture(name: &str, app: &App) {
    insta::with_settings!({snapshot_path => "../snapshots", prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!(name, text(app));
    });
}

#[test]
fn wide() {
    assert_picture("screen_160x50", &day(160, 50));
}

#[test]
fn usual() {
    assert_picture("screen_80x24", &day(80, 24));
}

#[test]
fn phone() {
    assert_picture("screen_50x20", &day(50, 20));
}

#[test]
fn models_and_changes_at_every_size() {
    for (width, height) in [(160, 50), (80, 24), (50, 20)] {
        let mut app = day(width, height);
        for (keys, name) in [("m", "precise"), ("m", "zones"), ("mD", "changes")] {
            typed(&mut app, keys);
            assert_picture(&format!("screen_{name}_{width}x{height}"), &app);
        }
    }
}

#[test]
fn presets_and_ours_less_a_preset_at_every_size() {
    for (width, height) in [(160, 50), (80, 24), (50, 20)] {
        let mut app = day(width, height);
        let mut snapshot = Snapshot::clone(app.latest());
        fixture::preset_of_half(&mut snapshot, Preset::Uniform);
        typed(&mut app, "P");
        app.update(Message::Snapshot(Arc::new(snapshot)));
        assert_picture(&format!("screen_preset_{width}x{height}"), &app);
        typed(&mut app, "D");
        assert_picture(&format!("screen_against_{width}x{height}"), &app);
    }
}

#[test]
fn the_crosshair_tells_a_change_and_the_band_of_the_newest_column() {
    let mut app = day(160, 50);
    typed(&mut app, "kkkkkkkk");
    assert_picture("screen_crosshair_now", &app);
    typed(&mut app, "Djjjjjjjjjjjjjjjj");
    assert_picture("screen_crosshair_change", &app);
}

#[test]
fn the_model_is_explained() {
    let mut app = day(50, 20);
    typed(&mut app, "?lll");
    assert_picture("screen_help_model", &app);
}

#[test]
fn help_is_made_of_the_keymap() {
    let mut app = day(80, 24);
    typed(&mut app, "?");
    assert_picture("screen_help", &app);
    for _ in 0..80 {
        press(&mut app, KeyCode::Down);
    }
    assert!(text(&app).contains("quit"), "the end of the page can be reached");
}

#[test]
fn picker_narrows_while_typing() {
    let mut app = day(80, 24);
    typed(&mut app, "s");
    assert!(text(&app).contains("币安人生"));
    typed(&mut app, "eth");
    assert_picture("screen_picker", &app);
}

#[test]
fn crosshair_tells_what_lies_under_it() {
    let mut app = day(80, 24);
    typed(&mut app, "hhhhhhhhhhkkkkkk");
    assert_picture("screen_crosshair", &app);
}

#[test]
fn nothing_yet_says_what_is_awaited() {
    let app = app(plain(), fixture::empty(), 80, 24);
    assert_picture("screen_empty", &app);
}

#[test]
fn too_small_says_so_at_every_size_and_never_panics() {
    let snapshot = Market::new(7, 90).snapshot();
    for (width, height) in (1..=60).flat_map(|w| [1, 2, 5, 7, 8, 9, 12, 30].map(|h| (w, h))) {
        let app = app(plain(), snapshot.clone(), width, height);
        let text = text(&app);
        if width < 30 || height < 8 {
            let words: String = "terminal too small".chars().take(usize::from(width)).collect();
            assert_eq!(text.lines().next().unwrap(), words.trim_end(), "{width}x{height}");
        } else {
            assert!(text.contains("BTC"), "{width}x{height}");
        }
    }
    for (width, height) in [(400, 120), (400, 8), (30, 120)] {
        assert!(text(&app(plain(), snapshot.clone(), width, height)).contains("BTC"));
    }
}

/// A screen on four venues of which one lives, one is silent, one is lost and one is told to stay away.
fn trouble(width: u16, height: u16) -> App {
    let mut app = day(width, height);
    let now = Instant::now();
    let ago = |seconds| Some(now.checked_sub(Duration::from_secs(seconds)).unwrap());
    let stream = |name: &'static str, last, limit: Option<u64>| StreamStatus {
        name: name.into(),
        last,
        steady: limit.is_some(),
        limit: limit.map(Duration::from_secs),
    };
    let mut snapshot = Snapshot::clone(app.latest());
    snapshot.origin = Origin::Live;
    let book = |middle: f64| {
        let side = |sign: f64| {
            let row = |i: i32| {
                (crate::support::price(middle + sign * (0.5 + 5.0 * f64::from(i))), crate::support::qty(2.0))
            };
            (0..40).map(row).collect()
        };
        Arc::new(Book { bids: side(-1.0), asks: side(1.0) })
    };
    let [binance, bybit, okx, hyperliquid] = &mut snapshot.venues[..] else { panic!("four venues") };
    binance.status.streams = vec![stream("aggTrade", ago(0), Some(15)), stream("forceOrder", ago(95), None)];
    binance.status.clock_ms = Some(2_400);
    binance.status.counters.gaps = 2;
    binance.status.counters.missed = 14;
    bybit.status.state = LinkState::Silent { stream: "tickers".to_owned() };
    bybit.status.note.push_str("connected, but nothing on tickers for more than 15 s");
    bybit.status.streams =
        vec![stream("publicTrade", ago(1), Some(15)), stream("tickers", ago(21), Some(15))];
    bybit.book = Some(book(65_000.0));
    okx.status.state = LinkState::Reconnecting { at: now + Duration::from_secs(4) };
    okx.status.note.push_str("connection reset by peer");
    hyperliquid.status.state = LinkState::Live;
    hyperliquid.status.streams = vec![stream("trades", ago(0), Some(15))];
    app.update(Message::Tick(now));
    app.update(Message::Snapshot(Arc::new(snapshot)));
    typed(&mut app, "x");
    app
}

#[test]
fn the_panel_of_venues_fits_every_size() {
    for (width, height) in [(160, 50), (80, 24), (50, 20)] {
        let mut app = trouble(width, height);
        press(&mut app, KeyCode::Down);
        assert_picture(&format!("screen_venues_{width}x{height}"), &app);
    }
    for (width, height) in (30..=60).flat_map(|w| [8, 9, 10, 12, 14].map(|h| (w, h))) {
        let mut app = trouble(width, height);
        for row in ["bin", "byb", "okx", "hl"] {
            let words = text(&app);
            assert!(
                words.contains("[x]") && words.contains("esc") && words.contains(row),
                "{width}x{height} {row}\n{words}"
            );
            press(&mut app, KeyCode::Down);
        }
    }
}

#[test]
fn the_map_by_venue_has_a_letter_for_each() {
    let mut app = day(160, 50);
    typed(&mut app, "M");
    assert_picture("screen_by_venue", &app);
    typed(&mut app, "x3");
    press(&mut app, KeyCode::Esc);
    assert!(text(&app).contains("Ookx off"));
    typed(&mut app, "M");
    assert!(text(&app).contains("E100x"));
}

#[test]
fn the_picker_shrinks_to_letters() {
    let mut app = day(50, 20);
    typed(&mut app, "s");
    assert_picture("screen_picker_50x20", &app);
}
