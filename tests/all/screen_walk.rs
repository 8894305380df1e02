//! A random walk over keys, sizes and pictures: no panic, and no label on top of another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use meltline::app::{App, Message, Settings};
use meltline::engine::Snapshot;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::fixture::{self, Market};
use crate::screen::{app, frame};
use crate::screen_panels::tape;

/// Words of the time axis and labels of the price axis must be whole.
fn assert_labels_whole(app: &App) {
    if app.popup().is_some() || app.crosshair().is_some() {
        return;
    }
    let Some(layout) = app.layout() else { return };
    let buffer = frame(app);
    let row = |area: ratatui::layout::Rect, y: u16| -> String {
        (area.left()..area.right()).map(|x| buffer[(x, y)].symbol()).collect()
    };
    let times = row(layout.times, layout.times.y);
    for label in times.split('╵').skip(1) {
        let label = label.trim_end_matches("UTC").trim_end();
        let whole = match label.as_bytes() {
            [_, _, b':', _, _] => label.chars().filter(char::is_ascii_digit).count() == 4,
            [day @ .., _, _, _] => day.len() == 3 || label.len() == 9,
            _ => false,
        };
        assert!(whole, "{label:?} in {times:?}");
    }
    for y in layout.prices.top()..layout.prices.bottom() {
        let label = row(layout.prices, y);
        // The last cell may carry the mark of a self-feeding row.
        let label = label.trim_end_matches('»').trim_end();
        let Some(number) = label.strip_prefix(['╴', '◀', '◂', '▲', '▼']) else {
            assert_eq!(label, "");
            continue;
        };
        let plain = number.trim_start_matches(['$', '<']).trim_end_matches(['k', 'M', 'B', 'T']);
        assert!(plain.parse::<f64>().is_ok(), "{label:?}");
    }
}

/// Whether a word of a panel is a whole number with its unit, or no number at all.
fn is_whole(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.parse::<f64>().is_ok_and(|v| v >= 0.0);
    if let Some(amount) = word.strip_prefix('$').or_else(|| word.strip_prefix("<$")) {
        let bare = amount.strip_suffix(['k', 'M', 'B', 'T']);
        return bare.map_or_else(|| digits(amount) && amount.len() <= 3, digits);
    }
    if let Some(change) =
        word.strip_prefix(['+', '-']).filter(|w| w.starts_with(|c: char| c.is_ascii_digit()))
    {
        return change.strip_suffix('%').is_some_and(digits);
    }
    match word.split(':').collect::<Vec<_>>()[..] {
        [h, m, s] if digits(h) => h.len() == 2 && m.len() == 2 && s.len() == 2,
        [longs, shorts] if digits(longs) => {
            longs.parse::<u32>().unwrap() + shorts.parse::<u32>().unwrap() == 100
        }
        _ => true,
    }
}

/// Nothing in the panels is cut, and a cell of air is left at their sides.
fn assert_panels_whole(app: &App) {
    if app.popup().is_some() {
        return;
    }
    let Some(layout) = app.layout() else { return };
    let buffer = frame(app);
    for room in [layout.pools, layout.tape, layout.market].into_iter().flatten() {
        for y in room.top() + 1..room.bottom() {
            let row: String = (room.left()..room.right()).map(|x| buffer[(x, y)].symbol()).collect();
            assert!(row.starts_with(' ') && row.ends_with(' '), "{row:?}");
            assert!(row.split_whitespace().all(is_whole), "{row:?}");
        }
    }
    if let Some(bars) = layout.bars {
        for y in [bars.top(), bars.bottom() - 1] {
            let cells = layout.prices.left()..layout.prices.right();
            let label: String = cells.map(|x| buffer[(x, y)].symbol()).collect();
            assert!(is_whole(label.trim_end().trim_start_matches(['▴', '▾'])), "{label:?}");
        }
    }
}

#[test]
fn numbers_are_known_when_they_are_cut() {
    for whole in
        ["$1.2M", "$85k", "$7", "<$1", "$0", "+1.54%", "-12%", "01:00:24", "54:46", "nearest", "-", ">24h"]
    {
        assert!(is_whole(whole), "{whole}");
    }
    for cut in ["$", "$1200", "+1.5", "-1", "01:00", "01:00:2", "54:4"] {
        assert!(!is_whole(cut), "{cut}");
    }
}

#[test]
fn any_keys_at_any_size_neither_panic_nor_overlap() {
    const CODES: [KeyCode; 8] = [
        KeyCode::Left,
        KeyCode::Right,
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Backspace,
        KeyCode::PageDown,
    ];
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut market = Market::new(5, 900);
    let mut app = app(Settings::default(), market.snapshot(), 160, 50);
    let start = Instant::now();
    let mut drawn = 0;
    let mut tapes = 0;
    let with_tape = |market: &mut Market, tapes: usize| {
        let mut snapshot = Snapshot::clone(&market.snapshot());
        tape(&mut snapshot, tapes % 60);
        Arc::new(snapshot)
    };
    for i in 0..10_000_u64 {
        let message = match rng.random_range(0..100) {
            0..2 => Message::Resize(rng.random_range(50..=240), rng.random_range(20..=70)),
            2 => Message::Resize(rng.random_range(1..=60), rng.random_range(1..=24)),
            3..5 => Message::Tick(start + Duration::from_millis(100 * i)),
            5 => Message::Snapshot(fixture::empty()),
            6..12 => {
                market.trade(0.5);
                if rng.random_range(0..2) == 0 {
                    market.close();
                }
                tapes += 1;
                Message::Snapshot(with_tape(&mut market, tapes))
            }
            12..35 => {
                Message::Key(KeyEvent::new(CODES[rng.random_range(0..CODES.len())], KeyModifiers::NONE))
            }
            _ => {
                let c = char::from(rng.random_range(b' '..=b'~'));
                let modifiers =
                    if rng.random_range(0..20) == 0 { KeyModifiers::ALT } else { KeyModifiers::NONE };
                Message::Key(KeyEvent::new(KeyCode::Char(c), modifiers))
            }
        };
        app.update(message);
        if rng.random_range(0..4) == 0 {
            assert_labels_whole(&app);
            assert_panels_whole(&app);
            frame(&app);
            drawn += 1;
        }
    }
    assert!(drawn > 500);
}
