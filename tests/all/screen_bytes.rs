//! What a frame costs on the wire, and what it must not contain.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use meltline::app::settings::{Depth, PaletteName};
use meltline::app::{App, Message, Settings};
use meltline::engine::Snapshot;
use meltline::term::backend::QuietBackend;
use meltline::ui;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};

use crate::fixture::Market;
use crate::screen::{app, typed};

/// A writer that keeps what was written.
#[derive(Clone, Default)]
struct Tape(Rc<RefCell<Vec<u8>>>);

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A terminal of a fixed size, and the bytes of each of its frames.
struct Wire {
    terminal: Terminal<QuietBackend<Tape>>,
    tape: Tape,
}

impl Wire {
    fn new(width: u16, height: u16) -> Self {
        let tape = Tape::default();
        let viewport = Viewport::Fixed(Rect::new(0, 0, width, height));
        let backend = QuietBackend::new(tape.clone());
        Self { terminal: Terminal::with_options(backend, TerminalOptions { viewport }).unwrap(), tape }
    }

    fn frame(&mut self, app: &App) -> Vec<u8> {
        self.terminal.draw(|f| ui::draw(app, f)).unwrap();
        self.tape.0.take()
    }
}

/// Bytes of each frame, as a series of pictures is drawn at 200×60 in 16 steps.
fn frames(settings: Settings, pictures: impl IntoIterator<Item = Arc<Snapshot>>) -> Vec<usize> {
    let mut pictures = pictures.into_iter();
    let first = pictures.next().unwrap();
    let mut app = app(Settings { colour_steps: 16, ..settings }, first, 200, 60);
    let mut wire = Wire::new(200, 60);
    let mut sizes = vec![wire.frame(&app).len()];
    for picture in pictures {
        app.update(Message::Snapshot(picture));
        sizes.push(wire.frame(&app).len());
    }
    sizes
}

#[test]
fn frames_stay_in_their_budgets() {
    for depth in [Depth::True, Depth::Indexed] {
        let mut market = Market::new(7, 1_500);
        let first = market.snapshot();
        let mut pictures = vec![Arc::clone(&first), first];
        // Two screen columns' time, minute by minute with five live updates in each.
        let mut closes = Vec::new();
        let dt = {
            let settings = Settings { depth, ..Settings::default() };
            app(settings, market.snapshot(), 200, 60).grid().geometry.dt
        };
        let mut last = pictures[0].now / dt;
        for _ in 0..24 {
            for _ in 0..5 {
                market.trade(0.02);
                pictures.push(market.snapshot());
            }
            market.close();
            let picture = market.snapshot();
            if picture.now / dt != last {
                last = picture.now / dt;
                closes.push(pictures.len());
            }
            pictures.push(picture);
        }
        let sizes = frames(Settings { depth, ..Settings::default() }, pictures);
        let scrolls: Vec<usize> = closes.iter().map(|i| sizes[*i]).collect();
        let live: Vec<usize> = (2..sizes.len()).filter(|i| !closes.contains(i)).map(|i| sizes[i]).collect();
        let mean = live.iter().sum::<usize>() / live.len();
        let largest = live.iter().max().unwrap();
        println!(
            "{depth:?}: full {}, unchanged {}, scrolls {scrolls:?}, live mean {mean} max {largest}",
            sizes[0], sizes[1]
        );
        assert!(sizes[0] <= 70_000, "full: {}", sizes[0]);
        assert_eq!(sizes[1], 0, "nothing changed");
        assert!(!scrolls.is_empty() && scrolls.iter().all(|s| *s <= 36_000), "scrolled: {scrolls:?}");
        assert!(*largest <= 1_500, "live: {live:?}");
    }
}

#[test]
fn time_alone_writes_nothing() {
    let mut app = app(Settings::default(), Market::new(7, 300).snapshot(), 200, 60);
    let mut wire = Wire::new(200, 60);
    wire.frame(&app);
    app.update(Message::Tick(Instant::now()));
    assert_eq!(wire.frame(&app), b"");
}

#[test]
fn without_colours_no_colour_is_written() {
    let mut market = Market::new(7, 600);
    let settings = Settings { depth: Depth::None, palette: PaletteName::Magma, ..Settings::default() };
    let mut app = app(settings, market.snapshot(), 160, 50);
    let mut wire = Wire::new(160, 50);
    let mut bytes = wire.frame(&app);
    for keys in ["hhkk", "v", "x", "?", "seth"] {
        typed(&mut app, keys);
        bytes.extend(wire.frame(&app));
        app.update(Message::Key(crossterm::event::KeyCode::Esc.into()));
    }
    market.trade(1.0);
    app.update(Message::Snapshot(market.snapshot()));
    bytes.extend(wire.frame(&app));

    let text = String::from_utf8(bytes).unwrap();
    let mut seen = 0;
    for sequence in text.split("\u{1b}[").skip(1) {
        let end = sequence.find(|c: char| c.is_ascii_alphabetic()).unwrap();
        if sequence.as_bytes()[end] == b'm' {
            // Attributes and resets only: 39 and 49 are "the terminal's own".
            for code in sequence[..end].split(';') {
                assert!(["", "0", "1", "7", "22", "27", "39", "49", "59"].contains(&code), "SGR {code}");
                seen += 1;
            }
        }
    }
    assert!(seen > 0 && text.contains('@'), "the ramp is made of characters");
}
