//! Pictures that are kept: `meltline snapshot` as text and PNG.

use std::process::Output;

use meltline::app::{Effect, Message};
use meltline::picture::{self, Form};
use ratatui::style::Color;

use crate::commands::{assert_reader_may_go, meltline, recording};
use crate::fixture::Market;
use crate::screen::{app, frame, plain, text, typed};

fn run(args: &[&str]) -> Output {
    let mut command = meltline(args);
    for name in ["NO_COLOR", "CLICOLOR_FORCE", "COLORTERM"] {
        command.env_remove(name);
    }
    command.env("TERM", "xterm-256color").output().unwrap()
}

fn told(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_picture_is_the_screen_with_a_caption_for_its_last_row() {
    let app = app(plain(), Market::new(7, 600).snapshot(), 120, 40);
    let (screen, picture) = (frame(&app), picture::frame(&app));
    let rows = 120 * 39;
    assert_eq!(screen.content()[..rows], picture.content()[..rows]);
    let mut out = Vec::new();
    picture::write_text(&mut out, &picture, Form::Plain).unwrap();
    let lines = told(&out);
    let lines: Vec<&str> = lines.lines().collect();
    let shown = text(&app);
    assert_eq!(lines[..39], shown.lines().collect::<Vec<_>>()[..39]);
    assert!(lines[39].contains("estimates") && lines[39].contains("meltline 0."), "{}", lines[39]);
    assert!(!lines[39].contains("quit"));
}

#[test]
fn a_pipe_gets_plain_text_that_says_what_it_is_and_when() {
    let dir = tempfile::tempdir().unwrap();
    let path = recording(&dir);
    let path = path.to_str().unwrap();
    let out = run(&["snapshot", "btc", "--input", path, "--at", "2024-06-19T01:00:00Z", "--range", "12h"]);
    assert!(out.status.success(), "{}", told(&out.stderr));
    let picture = told(&out.stdout);
    assert_eq!(picture.lines().count(), 50);
    assert!(picture.lines().all(|l| l.chars().count() <= 160 && !l.ends_with(' ')));
    assert!(!picture.contains('\u{1b}'));
    assert!(picture.starts_with(" meltline  BTC  12h·"), "{picture}");
    // The newest event before the time asked for.
    assert!(picture.contains("REPLAY") && picture.contains("2024-06-19 00:59:59Z"), "{picture}");
    assert!(picture.contains("60599"), "the mark of that moment\n{picture}");
}

#[test]
fn colours_come_when_they_are_asked_for_and_by_sgr_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = recording(&dir);
    let all = ["snapshot", "BTC", "--input", path.to_str().unwrap(), "--size", "100x30", "--colour"];
    // Of sixteen colours black is the ground of the heat alone.
    for (colour, sign) in [("true", "48;2;"), ("256", "48;5;"), ("16", "40m")] {
        let out = run(&[&all[..], &[colour]].concat());
        let picture = told(&out.stdout);
        assert_eq!(picture.lines().count(), 30);
        assert!(picture.contains(sign), "{colour}");
        assert!(colour != "16" || !picture.contains(";5;") && !picture.contains(";2;"));
        for sequence in picture.split('\u{1b}').skip(1) {
            let end = sequence.find(|c: char| c.is_ascii_alphabetic()).unwrap();
            assert!(sequence.starts_with('[') && sequence.as_bytes()[end] == b'm', "{sequence:?}");
        }
        for line in picture.lines().filter(|l| l.contains('\u{1b}')) {
            assert!(line.ends_with("\u{1b}[0m"), "{line:?}");
        }
    }
    assert!(!told(&run(&[&all[..], &["none"]].concat()).stdout).contains('\u{1b}'));
}

#[test]
fn what_is_said_of_images_on_the_screen_is_in_no_picture() {
    let dir = tempfile::tempdir().unwrap();
    let path = recording(&dir);
    let config = dir.path().join("config.toml");
    std::fs::write(&config, "[screen]\ngraphics = \"kitty\"\n").unwrap();
    let out =
        run(&["--config", config.to_str().unwrap(), "snapshot", "BTC", "--input", path.to_str().unwrap()]);
    let picture = told(&out.stdout);
    assert!(picture.contains("levels are estimates") && !picture.contains("images"), "{picture}");
}

#[test]
fn only_the_venues_named_are_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let path = recording(&dir);
    let path = path.to_str().unwrap();
    let named = |venues: &str| run(&["snapshot", "BTC", "--input", path, "--venues", venues]);
    assert!(named("test").status.success());
    let other = named("bybit");
    assert_eq!(other.status.code(), Some(1));
    assert!(told(&other.stderr).contains("no price of BTC"), "{}", told(&other.stderr));
}

#[test]
fn sizes_out_of_bounds_are_wrong_usage_and_a_reader_that_goes_away_is_success() {
    let size = run(&["snapshot", "BTC", "--size", "40x50"]);
    assert_eq!(size.status.code(), Some(2));
    assert!(told(&size.stderr).contains("50x20 to 400x200"), "{}", told(&size.stderr));
    let dir = tempfile::tempdir().unwrap();
    assert_reader_may_go(&["snapshot", "BTC", "--input", recording(&dir).to_str().unwrap()]);
}

#[test]
fn ansi_text_draws_the_frame_it_was_made_of() {
    let settings = meltline::app::Settings::default();
    let app = app(settings, Market::new(7, 600).snapshot(), 160, 50);
    let picture = picture::frame(&app);
    let mut out = Vec::new();
    picture::write_text(&mut out, &picture, Form::Ansi).unwrap();
    let size = |cells: u16| std::num::NonZeroU16::new(cells).unwrap();
    let mut terminal = vt100::Parser::new(size(50), size(160), 0);
    let lines = told(&out);
    terminal.process(lines.trim_end_matches('\n').replace('\n', "\r\n").as_bytes());
    for y in 0..50 {
        for x in 0..160 {
            let (cell, shown) = (&picture[(x, y)], terminal.screen().cell(y, x).unwrap());
            let glyph = if shown.contents().is_empty() { " " } else { shown.contents() };
            assert_eq!(cell.symbol(), glyph, "{x},{y}");
            let told = match cell.bg {
                Color::Rgb(r, g, b) => vt100::Color::Rgb(r, g, b),
                Color::Indexed(i) => vt100::Color::Idx(i),
                _ => vt100::Color::Default,
            };
            assert_eq!(told, shown.bgcolor(), "{x},{y}");
        }
    }
}

/// A PNG's size and its pixels, row by row, three bytes each.
fn decoded(bytes: &[u8]) -> (usize, usize, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
    (info.width as usize, info.height as usize, pixels)
}

#[test]
fn a_png_has_the_colours_of_the_heatmap_to_the_pixel() {
    let settings = meltline::app::Settings::default();
    let app = app(settings, Market::new(7, 600).snapshot(), 160, 50);
    let frame = picture::frame(&app);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("map.png");
    picture::save(&path, &frame).unwrap();
    let (width, height, pixels) = decoded(&std::fs::read(path).unwrap());
    assert_eq!((width, height), (160 * picture::WIDTH, 50 * picture::HEIGHT));
    let at = |x: usize, y: usize| -> [u8; 3] { pixels[(y * width + x) * 3..][..3].try_into().unwrap() };
    let rgb = |colour: Color| match colour {
        Color::Rgb(r, g, b) => [r, g, b],
        // The white of rising candles and the red of falling ones on dark heat, and what they are on bright heat.
        Color::Indexed(231) => [255, 255, 255],
        Color::Indexed(211) => [255, 135, 175],
        Color::Indexed(16) => [0, 0, 0],
        Color::Indexed(52) => [95, 0, 0],
        other => panic!("{other:?}"),
    };
    let mut seen = std::collections::BTreeSet::new();
    let heat = app.layout().unwrap().heat;
    for y in heat.y..heat.bottom() {
        for x in heat.x..heat.right() {
            let cell = &frame[(x, y)];
            let (upper, lower) = match cell.symbol() {
                " " => (cell.bg, cell.bg),
                "▀" => (cell.fg, cell.bg),
                _ => continue,
            };
            let (left, top) = (usize::from(x) * picture::WIDTH, usize::from(y) * picture::HEIGHT);
            let half = picture::HEIGHT / 2;
            for (colour, top) in [(upper, top), (lower, top + half)] {
                for (i, j) in [(0, 0), (picture::WIDTH - 1, half - 1), (4, 5)] {
                    assert_eq!(at(left + i, top + j), rgb(colour), "cell {x},{y}");
                }
                seen.insert(rgb(colour));
            }
        }
    }
    assert!(seen.len() > 10, "a picture of one colour would prove nothing: {}", seen.len());
    assert_eq!(at(0, height - 1), picture::GROUND);
}

#[test]
fn the_command_writes_a_png_that_opens_and_says_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = recording(&dir);
    let out = dir.path().join("out.png");
    std::fs::write(&out, "old").unwrap();
    let base = ["snapshot", "BTC", "--input", path.to_str().unwrap(), "--size", "80x24", "--png"];
    let done = run(&[&base[..], &[out.to_str().unwrap()]].concat());
    assert!(done.status.success() && done.stdout.is_empty(), "{}", told(&done.stderr));
    let (width, height, pixels) = decoded(&std::fs::read(&out).unwrap());
    assert_eq!((width, height), (80 * picture::WIDTH, 24 * picture::HEIGHT));
    let colours: std::collections::BTreeSet<&[u8]> = pixels.chunks(3).collect();
    assert!(colours.len() > 30, "it has colours though a pipe has none");
    let piped = run(&[&base[..], &["-"]].concat());
    assert_eq!(piped.stdout, std::fs::read(&out).unwrap(), "the same bytes to a pipe");
    let nowhere = run(&[&base[..], &["/no/such/folder/out.png"]].concat());
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(told(&nowhere.stderr).contains("/no/such/folder/out.png"));
}

#[test]
fn keys_ask_for_a_picture_and_copy_what_is_under_the_crosshair() {
    let mut app = app(plain(), Market::new(7, 600).snapshot(), 120, 40);
    assert_eq!(typed(&mut app, "w"), Effect::WriteSnapshot);
    app.update(Message::Note("wrote a.png".to_owned()));
    assert!(text(&app).contains("wrote a.png"));
    let Effect::Copy(copied) = typed(&mut app, "y") else { panic!("no copy") };
    let lines: Vec<&str> = copied.lines().collect();
    assert!(lines[0].starts_with("BTC 6") && lines[0].ends_with('Z'), "{copied}");
    assert!(lines[1].starts_with("nearest shorts above: $") && lines[1].contains("(+"), "{copied}");
    assert!(lines[2].starts_with("nearest longs below: $") && lines[2].contains("(-"), "{copied}");
    assert_eq!(lines[3..], ["SIMULATED"]);
    assert!(text(&app).contains(&format!("sent to the clipboard: {}", lines[0])));

    typed(&mut app, "hhkkkk");
    let Effect::Copy(copied) = typed(&mut app, "y") else { panic!("no copy") };
    let cross = app.crosshair().unwrap();
    let g = app.grid().geometry;
    let (column, row) = (g.column(cross.ts) as usize, g.row(cross.position) as usize / 2 * 2);
    let usd: f64 = app.grid().columns[column].usd[row..row + 2].iter().sum();
    let lines: Vec<&str> = copied.lines().collect();
    let time = jiff::Timestamp::from_millisecond(g.time(column)).unwrap().to_string();
    assert!(lines[0].starts_with("BTC ") && lines[0].ends_with(&time), "{copied}");
    assert!(
        lines[1].starts_with(&format!("{} estimated, 80% within $", meltline::market::Usd(usd))),
        "{copied}"
    );
    assert!(lines[2].starts_with("tiers: ") && lines[3].starts_with("venues: "), "{copied}");
    assert!(copied.chars().all(|c| c == '\n' || !c.is_control()) && copied.len() < 1_000);
}

#[test]
fn before_the_first_price_there_is_nothing_to_copy() {
    let mut engine = meltline::engine::Engine::new(
        "BTC".parse().unwrap(),
        meltline::engine::Origin::Live,
        std::sync::Arc::new(meltline::estimate::BinTable::new(5.0)),
        &[],
    );
    let mut app = app(plain(), engine.snapshot(), 80, 24);
    assert_eq!(typed(&mut app, "y"), Effect::Redraw);
    assert!(text(&app).contains("nothing to copy yet"));
    assert_eq!(picture::file_stem(&app), "meltline-BTC");
}

#[test]
fn a_file_is_named_by_asset_and_time_of_what_is_drawn() {
    let mut snapshot = meltline::engine::Snapshot::clone(&Market::new(7, 10).snapshot());
    snapshot.now = 1_718_755_205_999;
    let drawn = app(plain(), std::sync::Arc::new(snapshot.clone()), 80, 24);
    assert_eq!(picture::file_stem(&drawn), "meltline-BTC-20240619-000005Z");
    snapshot.asset = "币安人生".parse().unwrap();
    let drawn = app(plain(), std::sync::Arc::new(snapshot), 80, 24);
    assert_eq!(picture::file_stem(&drawn), "meltline-币安人生-20240619-000005Z");
}
