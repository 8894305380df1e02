//! What a frame costs on the wire, and what it must not contain.

use std::sync::Arc;
use std::time::{Duration, Instant};

use meltline::app::profile::MapBy;
use meltline::app::settings::Depth;
use meltline::app::{App, Effect, Message, Place, Settings};
use meltline::engine::Snapshot;
use meltline::engine::snapshot::StreamStatus;
use meltline::term::screen::Screen;
use meltline::ui::{self, Medium};
use ratatui::layout::{Rect, Size};
use ratatui::{Terminal, TerminalOptions, Viewport};

use crate::fixture::Market;
use crate::screen::{app, typed};
use crate::screen_lean::{Tape, assert_same};
use crate::screen_panels::tape;

/// A terminal of a fixed size, and the bytes of each of its frames.
struct Wire {
    screen: Screen<Tape>,
    tape: Tape,
    place: Option<Place>,
}

impl Wire {
    fn new(width: u16, height: u16) -> Self {
        let tape = Tape::default();
        Self { screen: Screen::new(tape.clone(), Size::new(width, height)), tape, place: None }
    }

    fn frame(&mut self, app: &App) -> Vec<u8> {
        let before = std::mem::replace(&mut self.place, app.place());
        if let (true, Some(place), Some(before)) = (app.settings.shifts, self.place, before)
            && let Some((room, columns)) = place.moved_since(&before)
        {
            self.screen.shift(room, columns);
        }
        self.screen.draw(|buf| ui::draw(app, buf, Medium::Terminal)).unwrap();
        self.tape.0.take()
    }
}

/// Bytes of the frames of a run at 200×60, by what happened.
#[derive(Debug, Default)]
pub struct Cost {
    /// The first frame, and those after the price axis moved.
    full: Vec<usize>,
    /// A column closed: the map may move on, scale and bars may follow.
    scrolled: Vec<usize>,
    /// The same map, newer numbers.
    live: Vec<usize>,
    /// The same picture again.
    unchanged: Vec<usize>,
}

impl Cost {
    /// Draws a series of pictures, each once and then once more.
    pub fn of(settings: Settings, pictures: impl IntoIterator<Item = Arc<Snapshot>>) -> Self {
        let mut pictures = pictures.into_iter();
        let mut app = app(settings, pictures.next().unwrap(), 200, 60);
        let mut wire = Wire::new(200, 60);
        let mut cost = Self::default();
        cost.full.push(wire.frame(&app).len());
        for picture in pictures {
            let (before, closed_before) = (app.grid().geometry, closed(app.snapshot()));
            app.update(Message::Snapshot(picture));
            let after = app.grid().geometry;
            let bytes = wire.frame(&app).len();
            if after == before && closed(app.snapshot()) == closed_before {
                cost.live.push(bytes);
            } else if (after.low, after.step, after.dt) == (before.low, before.step, before.dt) {
                cost.scrolled.push(bytes);
            } else {
                cost.full.push(bytes);
            }
            cost.unchanged.push(wire.frame(&app).len());
        }
        cost
    }

    /// Holds the run to the budgets of 16 steps.
    pub fn assert_in_budget(&self) {
        let most = |sizes: &[usize]| sizes.iter().copied().max().unwrap_or(0);
        let mean = self.live.iter().sum::<usize>() / self.live.len().max(1);
        eprintln!(
            "full {:?}, scrolled {:?}, live {} frames, mean {mean}, most {}",
            self.full,
            self.scrolled,
            self.live.len(),
            most(&self.live)
        );
        assert!(most(&self.full) <= 40_000, "full: {:?}", self.full);
        assert!(most(&self.scrolled) <= 17_000, "scrolled: {:?}", self.scrolled);
        assert!(mean <= 600 && most(&self.live) <= 3_000, "live: {:?}", self.live);
        assert_eq!(most(&self.unchanged), 0, "nothing changed");
    }
}

/// Where each venue's finest closed columns end.
fn closed(snapshot: &Snapshot) -> Vec<Option<i64>> {
    snapshot.venues.iter().map(|v| v.history.ladder[0].last().map(|c| c.start)).collect()
}

#[test]
fn frames_stay_in_their_budgets() {
    // On the four venues of the fixture, the map by tier and by venue.
    for (depth, map_by, shifts) in [
        (Depth::True, MapBy::Tier, false),
        (Depth::True, MapBy::Venue, true),
        (Depth::Indexed, MapBy::Tier, false),
        (Depth::True, MapBy::Tier, true),
    ] {
        let mut market = Market::new(7, 1_500);
        let mut observed = 30;
        let mut picture = |market: &mut Market, more: usize, seconds: i64| {
            let mut snapshot = Snapshot::clone(&market.snapshot());
            snapshot.now += 1_000 * seconds;
            observed += more;
            tape(&mut snapshot, observed);
            Arc::new(snapshot)
        };
        let mut pictures = vec![picture(&mut market, 0, 0)];
        // Minute by minute, with five live updates in each, five seconds apart: pools and figures are read anew. One of them
        // brings a liquidation.
        for _ in 0..24 {
            for i in 0..5 {
                market.trade(0.02);
                pictures.push(picture(&mut market, usize::from(i == 2), 5 * i));
            }
            market.close();
            pictures.push(picture(&mut market, 0, 0));
        }
        let settings = Settings { depth, map_by, shifts, colour_steps: 16, ..Settings::default() };
        let cost = Cost::of(settings, pictures);
        assert!(cost.scrolled.len() >= 2 && cost.live.len() > 100);
        cost.assert_in_budget();
    }
}

#[test]
fn the_terminal_shows_what_the_stock_encoder_shows() {
    let mut market = Market::new(11, 1_500);
    let settings = Settings { depth: Depth::True, ..Settings::default() };
    let mut app = app(settings, market.snapshot(), 200, 60);
    let mut wire = Wire::new(200, 60);
    let tape = Tape::default();
    let viewport = Viewport::Fixed(Rect::new(0, 0, 200, 60));
    let stock = ratatui::backend::CrosstermBackend::new(tape.clone());
    let mut stock = Terminal::with_options(stock, TerminalOptions { viewport }).unwrap();
    let size = |cells: u16| std::num::NonZeroU16::new(cells).unwrap();
    let mut screens = [(); 2].map(|()| vt100::Parser::new(size(60), size(200), 0));
    for (step, key) in "hhjjkvlxc?s+>-<rpi]]u[".chars().cycle().take(300).enumerate() {
        match step % 3 {
            0 => drop(app.update(Message::Key(crate::screen::key(key)))),
            1 => {
                market.trade(0.3);
                app.update(Message::Snapshot(market.snapshot()));
            }
            _ => {
                market.close();
                app.update(Message::Snapshot(market.snapshot()));
                app.update(Message::Key(crossterm::event::KeyCode::Esc.into()));
            }
        }
        screens[0].process(&wire.frame(&app));
        stock.draw(|f| ui::draw(&app, f.buffer_mut(), Medium::Terminal)).unwrap();
        screens[1].process(&tape.0.take());
        assert_same(screens[0].screen(), screens[1].screen(), &format!("frame {step}"));
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
fn the_panel_of_venues_writes_only_what_it_says_anew() {
    let mut app = app(Settings::default(), Market::new(7, 300).snapshot(), 160, 50);
    let mut wire = Wire::new(160, 50);
    let start = Instant::now();
    let mut snapshot = Snapshot::clone(app.latest());
    for view in &mut snapshot.venues {
        let stream = StreamStatus { name: "trades".into(), last: Some(start), steady: true, limit: None };
        view.status.streams.push(stream);
    }
    app.update(Message::Tick(start));
    app.update(Message::Snapshot(Arc::new(snapshot)));
    let mut at = |app: &mut App, ms: u64| {
        let effect = app.update(Message::Tick(start + Duration::from_millis(ms)));
        (effect, wire.frame(app).len())
    };
    at(&mut app, 0);
    assert_eq!(at(&mut app, 1_000), (Effect::None, 0), "a second is not worth saying");
    typed(&mut app, "x");
    let (_, opened) = at(&mut app, 1_000);
    let (effect, second) = at(&mut app, 2_000);
    assert_eq!(effect, Effect::Redraw, "here it is");
    assert!(opened > 300 && (1..100).contains(&second), "{opened} {second}");
    assert_eq!(at(&mut app, 2_100), (Effect::None, 0));
}

#[test]
fn without_colours_no_colour_is_written() {
    let mut market = Market::new(7, 600);
    let settings = Settings { depth: Depth::None, palette: 1, ..Settings::default() };
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
