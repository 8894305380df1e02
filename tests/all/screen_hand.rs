//! What the hands do: numbers before keys, keys one after another, the mouse; and the switches they reach.

use crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use meltline::app::settings::{CandleColours, Curve};
use meltline::app::{App, Effect, Keymap, Message, Settings};
use meltline::market::Side;

use crate::fixture::Market;
use crate::screen::{app, frame, plain, press, text, typed};

fn hours(hours: i64) -> App {
    app(plain(), Market::new(3, 60 * hours).snapshot(), 120, 40)
}

fn mouse(app: &mut App, kind: MouseEventKind, (column, row): (u16, u16), modifiers: KeyModifiers) -> Effect {
    app.update(Message::Mouse(MouseEvent { kind, column, row, modifiers }))
}

#[test]
fn a_number_before_a_threshold_key_is_the_threshold() {
    let mut app = hours(12);
    typed(&mut app, "9");
    assert!(text(&app).contains("9 …  ] threshold p9"), "what it may become is said");
    typed(&mut app, "2.5]");
    assert_eq!(app.settings.threshold.value, 92.5);
    assert!(text(&app).contains("p92.5 ≥ $") && !text(&app).contains("…  ]"));
    typed(&mut app, "98{");
    assert_eq!(app.settings.cut.value, 98.0);
    // USD counts in millions.
    typed(&mut app, "uu3[");
    assert_eq!((app.settings.threshold.value, app.threshold()), (3e6, 3e6));
    typed(&mut app, "7");
    press(&mut app, KeyCode::Esc);
    typed(&mut app, "]");
    assert_eq!(app.settings.threshold.value, 5e6, "the number was given up");
}

#[test]
fn a_number_before_an_arrow_says_how_often() {
    let mut app = hours(12);
    typed(&mut app, "l");
    let start = app.crosshair().unwrap();
    let dt = app.grid().geometry.dt;
    typed(&mut app, "12h");
    assert_eq!(app.crosshair().unwrap().ts, start.ts - 12 * dt);
    typed(&mut app, "5k");
    let rows = (app.crosshair().unwrap().position - start.position) / app.grid().geometry.step;
    assert!((rows - 10.0).abs() <= 2.0, "two pixels a cell: {rows}");
}

#[test]
fn keys_one_after_another_are_one_key_and_a_wrong_one_means_itself() {
    let keymap = Keymap::with([("candles", vec!["g c"]), ("pools", vec!["g p"])]).unwrap();
    let mut app = app(Settings { keymap, ..plain() }, Market::new(3, 300).snapshot(), 120, 40);
    assert_eq!(typed(&mut app, "g"), Effect::Redraw);
    assert!(text(&app).contains("g …  c candles  p pools"));
    typed(&mut app, "c");
    assert!(!app.settings.candles);
    typed(&mut app, "gm");
    assert_eq!(app.settings.model.number(), 1, "g m means nothing, m does");
    assert!(!text(&app).contains("g …"));
    typed(&mut app, "g");
    press(&mut app, KeyCode::Esc);
    typed(&mut app, "c");
    assert!(!app.settings.candles, "c alone means nothing now");
}

#[test]
fn a_side_alone_is_drawn_and_counted() {
    let mut app = hours(12);
    let sum = |app: &App, side: Side| app.totals()[side.index()].iter().sum::<f64>();
    let both = Side::BOTH.map(|side| sum(&app, side));
    let heat = |app: &App| app.grid().columns.iter().flat_map(|c| c.usd.clone()).sum::<f64>();
    let all = heat(&app);
    typed(&mut app, "S");
    assert!(text(&app).contains("longs only"));
    assert_eq!([sum(&app, Side::Long), sum(&app, Side::Short)], [both[0], 0.0]);
    let longs = heat(&app);
    for column in app.grid().columns.iter().filter(|c| c.covered) {
        let above = column.usd.iter().skip((column.mark_row + 3).max(0) as usize);
        assert_eq!(above.sum::<f64>(), 0.0);
    }
    typed(&mut app, "S");
    assert_eq!([sum(&app, Side::Long), sum(&app, Side::Short)], [0.0, both[1]]);
    let shorts = heat(&app);
    // Columns whose mark lies in a bin count that bin as below.
    assert!(((longs + shorts) / all - 1.0).abs() < 1e-9, "{longs} {shorts} {all}");
    typed(&mut app, "S");
    assert!((heat(&app) / all - 1.0).abs() < 1e-12 && !text(&app).contains("only"));
}

#[test]
fn scale_palette_ground_and_candles_go_round_by_key() {
    let mut app = app(Settings::default(), Market::new(3, 720).snapshot(), 120, 40);
    let first = frame(&app);
    typed(&mut app, "C");
    assert_eq!(app.settings.curve, Curve::Linear);
    typed(&mut app, "C");
    assert_eq!(app.settings.curve, Curve::Log);
    assert!(text(&app).contains("log"), "a scale that is not the usual one is named");
    typed(&mut app, "C");
    assert_eq!(frame(&app), first);
    typed(&mut app, "A");
    assert!(app.scale().relative && text(&app).contains("relative"));
    assert_eq!(app.scale().base, app.threshold());
    typed(&mut app, "A");
    assert_eq!(frame(&app), first);
    for _ in 0..app.settings.palettes.len() {
        typed(&mut app, "p");
    }
    assert_eq!(frame(&app), first);
    typed(&mut app, "zb");
    assert!(app.settings.light && frame(&app) != first);
    typed(&mut app, "zbzc");
    assert_eq!(app.settings.candle_colours, CandleColours::GreenRed);
    typed(&mut app, "zczc");
    assert_eq!(frame(&app), first);
}

#[test]
fn the_view_moves_by_pages_and_pools_and_comes_back() {
    let mut app = hours(24);
    let home = app.grid().geometry;
    typed(&mut app, "zh");
    assert_eq!(app.grid().geometry.start, home.start - home.columns as i64 / 2 * home.dt);
    assert!(!app.following());
    typed(&mut app, "zl");
    assert!(app.following());
    press(&mut app, KeyCode::PageUp);
    assert!((app.grid().geometry.low - home.low - home.rows as f64 / 4.0 * home.step).abs() <= home.step);
    typed(&mut app, "zz");
    let price = app.snapshot().bins.position(app.price().unwrap());
    let g = app.grid().geometry;
    assert!((f64::midpoint(g.low, g.high()) - price).abs() <= g.step);
    typed(&mut app, "=");
    typed(&mut app, ")");
    let nearest = app.pools().nearest(Side::Short).unwrap().price;
    let at = |app: &App| app.snapshot().bins.price_at(app.crosshair().unwrap().position);
    assert!((at(&app) / nearest - 1.0).abs() < 1e-3);
    typed(&mut app, "((");
    assert!(at(&app) < app.price().unwrap());
}

#[test]
fn the_mouse_points_drags_and_zooms() {
    let mut app = hours(24);
    assert_eq!(typed(&mut app, "zm"), Effect::Mouse(true));
    let heat = app.layout().unwrap().heat;
    let at = (heat.x + 30, heat.y + 10);
    let none = KeyModifiers::NONE;
    mouse(&mut app, MouseEventKind::Down(MouseButton::Left), at, none);
    let g = app.grid().geometry;
    let cross = app.crosshair().unwrap();
    assert_eq!(g.column(cross.ts), 30);
    assert_eq!(g.row(cross.position) / 2, i64::from(heat.height) - 1 - 10);

    // What is under the pointer stays under it.
    mouse(&mut app, MouseEventKind::Drag(MouseButton::Left), (at.0 + 7, at.1 - 3), none);
    let g = app.grid().geometry;
    assert_eq!((g.column(cross.ts), g.row(cross.position) / 2), (37, i64::from(heat.height) - 1 - 7));
    mouse(&mut app, MouseEventKind::Up(MouseButton::Left), at, none);
    assert_eq!(mouse(&mut app, MouseEventKind::Drag(MouseButton::Left), at, none), Effect::None);

    let (before, dt) = (app.grid().geometry, app.grid().geometry.dt);
    mouse(&mut app, MouseEventKind::ScrollUp, at, none);
    assert!(app.grid().geometry.dt < dt);
    let on_axis = (app.layout().unwrap().prices.x, at.1);
    mouse(&mut app, MouseEventKind::ScrollUp, on_axis, none);
    assert!(app.grid().geometry.step < before.step);
    let row = |g: meltline::app::viewport::Geometry| {
        g.low + g.step * (2.0 * f64::from(heat.bottom() - 1 - at.1) + 1.0)
    };
    assert!((row(app.grid().geometry) - row(before)).abs() < 2.0 * before.step);
    let step = app.grid().geometry.step;
    mouse(&mut app, MouseEventKind::ScrollDown, at, KeyModifiers::CONTROL);
    assert!(app.grid().geometry.step > step);

    mouse(&mut app, MouseEventKind::Down(MouseButton::Right), at, none);
    assert!(app.crosshair().is_none());
    let nowhere = mouse(&mut app, MouseEventKind::Down(MouseButton::Left), (0, 0), none);
    assert_eq!(nowhere, Effect::None);
    typed(&mut app, "?");
    mouse(&mut app, MouseEventKind::ScrollDown, at, none);
    assert!(app.popup().is_some());
    press(&mut app, KeyCode::Esc);
    assert_eq!(typed(&mut app, "zm"), Effect::Mouse(false));
}
