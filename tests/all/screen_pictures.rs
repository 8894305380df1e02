//! Whole screens as text: what a trader sees at each size.

use crossterm::event::KeyCode;
use meltline::app::App;

use crate::fixture::{self, Market};
use crate::screen::{MINUTES, app, plain, press, text, typed};

fn day(width: u16, height: u16) -> App {
    app(plain(), Market::new(7, MINUTES).snapshot(), width, height)
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
fn help_is_made_of_the_keymap() {
    let mut app = day(80, 24);
    typed(&mut app, "?");
    assert_picture("screen_help", &app);
    for _ in 0..40 {
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
