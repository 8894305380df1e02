//! The heatmap as an image under the text, by kitty's protocol.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use meltline::app::pixels::Grid;
use meltline::app::settings::Depth;
use meltline::app::viewport::Geometry;
use meltline::app::{App, Message, Settings};
use meltline::command::image::Under;
use meltline::picture::ROWS;
use meltline::ui::{self, Medium};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;

use crate::fixture::Market;
use crate::screen::{MINUTES, app, typed};

fn settings() -> Settings {
    Settings { depth: Depth::True, colour_steps: 16, ..Settings::default() }
}

/// An image as the terminal understands it.
struct Received {
    at: (usize, usize),
    keys: BTreeMap<String, String>,
    rgb: Vec<u8>,
}

impl Received {
    fn number(&self, key: &str) -> usize {
        self.keys[key].parse().unwrap()
    }
}

/// Reads what a terminal would of the bytes of a frame: moves of the cursor and images.
fn received(bytes: &[u8]) -> Vec<Received> {
    let text = std::str::from_utf8(bytes).unwrap();
    let mut images: Vec<Received> = Vec::new();
    let (mut at, mut data) = ((0, 0), String::new());
    for part in text.split('\u{1b}').filter(|p| !p.is_empty() && *p != "\\") {
        if let Some(place) = part.strip_prefix('[').and_then(|p| p.strip_suffix('H')) {
            let (row, column) = place.split_once(';').unwrap();
            at = (column.parse::<usize>().unwrap() - 1, row.parse::<usize>().unwrap() - 1);
            continue;
        }
        let (keys, body) = part.strip_prefix("_G").unwrap().split_once(';').unwrap_or((&part[2..], ""));
        let keys: BTreeMap<String, String> = keys
            .split(',')
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let (quiet, more) = (keys["q"].clone(), keys.get("m").cloned());
        assert_eq!(quiet, "2", "an answer would be taken for keys");
        if keys.get("a").is_some_and(|a| a == "d") {
            images.retain(|i| i.keys["i"] != keys["i"]);
            continue;
        }
        if keys.contains_key("a") {
            images.push(Received { at, keys, rgb: Vec::new() });
            data.clear();
        }
        data.push_str(body);
        assert!(body.len() <= 4_096);
        if more.as_deref() == Some("0") {
            let packed = BASE64_STANDARD.decode(&data).unwrap();
            let image = images.last_mut().unwrap();
            flate2::read::ZlibDecoder::new(&packed[..]).read_to_end(&mut image.rgb).unwrap();
            assert_eq!(image.rgb.len(), 3 * image.number("s") * image.number("v"));
        }
    }
    images
}

/// The frame the text is drawn into.
fn over_image(app: &App) -> Buffer {
    let (width, height) = app.size();
    let mut buf = Buffer::empty(Rect::new(0, 0, width, height));
    ui::draw(app, &mut buf, Medium::OverImage);
    buf
}

#[test]
fn an_image_shows_the_finer_grid_in_the_colours_of_the_text() {
    let app = app(settings(), Market::new(7, MINUTES).snapshot(), 120, 40);
    let (bytes, is_shown) = Under::default().follow(&app).unwrap();
    assert!(is_shown);
    let images = received(&bytes);
    assert_eq!(images.len(), 2, "older columns and the newest");
    let heat = app.layout().unwrap().heat;
    let g = app.grid().geometry;
    let fine = Geometry { step: g.step / 2.0, rows: 2 * g.rows, ..g };
    let mut grid = Grid::new(fine, app.selection().clone(), Arc::clone(&app.snapshot().bins));
    grid.refresh(fine, app.selection(), app.snapshot());
    let ramp = ui::ramp(&app);
    let colour = |usd: f64| match ramp.colour(app.step(usd)).unwrap() {
        Color::Rgb(r, g, b) => [r, g, b],
        other => panic!("{other:?}"),
    };
    let mut columns = 0;
    let mut seen = std::collections::BTreeSet::new();
    for image in &images {
        assert_eq!(image.at, (usize::from(heat.x) + columns, usize::from(heat.y)));
        let (width, height) = (image.number("s"), image.number("v"));
        assert_eq!((image.number("c"), image.number("r")), (width, usize::from(heat.height)));
        assert_eq!(height, ROWS * usize::from(heat.height));
        assert!(image.keys["z"].parse::<i64>().unwrap() < i64::from(i32::MIN / 2), "popups cover it");
        for (i, pixel) in image.rgb.chunks(3).enumerate() {
            let column = &grid.columns[columns + i % width];
            let usd = if column.covered { column.usd[height - 1 - i / width] } else { 0.0 };
            // As much USD for its height as a row of text that is twice as high.
            assert_eq!(pixel, colour(2.0 * usd));
            seen.insert(pixel.to_owned());
        }
        columns += width;
    }
    assert_eq!(columns, usize::from(heat.width));
    assert!(seen.len() > 8, "an image of one colour would prove nothing: {}", seen.len());
}

#[test]
fn a_finer_row_has_its_share_of_the_row_it_lies_in() {
    let app = app(settings(), Market::new(7, 600).snapshot(), 120, 40);
    let g = app.grid().geometry;
    let fine = Geometry { step: g.step / 2.0, rows: 2 * g.rows, ..g };
    let mut grid = Grid::new(fine, app.selection().clone(), Arc::clone(&app.snapshot().bins));
    grid.refresh(fine, app.selection(), app.snapshot());
    for (coarse, fine) in app.grid().columns.iter().zip(&grid.columns) {
        for (usd, pair) in coarse.usd.iter().zip(fine.usd.chunks(2)) {
            assert!((usd - pair.iter().sum::<f64>()).abs() <= 1e-6 * usd.max(1.0));
        }
    }
}

#[test]
fn the_text_above_leaves_the_ground_to_the_image_and_popups_do_not() {
    let mut app = app(settings(), Market::new(7, MINUTES).snapshot(), 120, 40);
    let heat = app.layout().unwrap().heat;
    let mut cells = 0;
    let frame = over_image(&app);
    let place = |f: &Buffer, x: u16, y: u16| (f[(x, y)].symbol().to_owned(), f[(x, y)].bg);
    for y in heat.y..heat.bottom() {
        for x in heat.x..heat.right() {
            let (symbol, bg) = place(&frame, x, y);
            // Marks of observed liquidations have a ground of their own, and bodies of candles are one.
            let is_candle = symbol == " " && [231, 211, 16, 52].map(Color::Indexed).contains(&bg);
            assert!(bg == Color::Reset || is_candle || "▿▾▼▵▴▲".contains(&symbol), "{symbol} {bg:?}");
            assert!(symbol != "▀" || frame[(x, y)].fg != Color::Reset);
            cells += usize::from(symbol == " " && bg == Color::Reset);
        }
    }
    assert!(cells > 1_000);
    typed(&mut app, "?");
    let help = over_image(&app);
    let (x, y) = (heat.x + heat.width / 2, heat.y + heat.height / 2);
    assert_ne!(place(&help, x, y).1, Color::Reset, "the popup's own ground hides the image");
}

#[test]
fn a_whole_image_is_small_an_unchanged_one_nothing_and_a_live_one_is_its_tail() {
    // A heatmap of 200×60 cells at least.
    let mut market = Market::new(7, MINUTES);
    let mut app = app(settings(), market.snapshot(), 282, 84);
    let heat = app.layout().unwrap().heat;
    assert!(heat.width >= 200 && heat.height >= 60, "{heat:?}");
    let mut under = Under::default();
    let whole = under.follow(&app).unwrap().0.len();
    assert_eq!(under.follow(&app).unwrap(), (Vec::new(), true));
    let mut live = Vec::new();
    for _ in 0..20 {
        market.trade(0.3);
        app.update(Message::Snapshot(market.snapshot()));
        let (bytes, _) = under.follow(&app).unwrap();
        assert!(received(&bytes).iter().all(|i| i.number("s") == 8), "only the newest columns");
        live.push(bytes.len());
    }
    eprintln!("whole {whole}, live {live:?}");
    assert!(whole <= 20_000, "{whole}");
    assert!(live.iter().all(|bytes| *bytes <= 1_500) && live.iter().any(|bytes| *bytes > 0), "{live:?}");
}

#[test]
fn another_size_begins_anew_and_what_cannot_be_an_image_is_text() {
    let mut app = app(settings(), Market::new(7, 600).snapshot(), 120, 40);
    let mut under = Under::default();
    let first = under.follow(&app).unwrap().0;
    app.update(Message::Resize(110, 40));
    let (bytes, _) = under.follow(&app).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(text.starts_with("\u{1b}_Ga=d,d=I,q=2,"), "the old one is taken away first");
    assert_eq!((received(&first).len(), received(&bytes).len()), (2, 2));
    // Too small, a ramp of characters, no data.
    app.update(Message::Resize(20, 5));
    let (bytes, is_shown) = under.follow(&app).unwrap();
    assert!(!is_shown && received(&bytes).is_empty());
    app.update(Message::Resize(110, 40));
    app.settings.palette = 6;
    assert!(!under.follow(&app).unwrap().1);
    app.settings.palette = 1;
    assert_eq!(received(&under.follow(&app).unwrap().0).len(), 2, "and it comes back");
    app.settings.depth = Depth::None;
    assert!(!under.follow(&app).unwrap().1);
    let mut nothing = meltline::engine::Engine::new(
        "BTC".parse().unwrap(),
        meltline::engine::Origin::Live,
        Arc::clone(&app.snapshot().bins),
        &[],
    );
    let waiting = crate::screen::app(settings(), nothing.snapshot(), 120, 40);
    assert!(!Under::default().follow(&waiting).unwrap().1, "words say what is awaited");
}
