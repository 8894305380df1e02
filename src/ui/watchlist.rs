//! The watchlist: price, change, the nearest pools of each asset; as a panel, or as a popup to choose from.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::app::watch::Row;

use super::table::{self, Field};
use super::{Canvas, text};

const FIELDS: [Field; 6] = [
    Field::words("  asset", 10, 0),
    Field::number("price", 9, 1),
    Field::number("24h", 7, 2),
    Field::number("pool above", 14, 3),
    Field::number("pool below", 14, 3),
    Field::number("24h USD", 7, 4),
];

/// Draws the panel if it has a room.
pub fn draw_panel(canvas: &Canvas<'_>, buf: &mut Buffer) {
    let Some(area) = canvas.layout.watch else { return };
    let (app, theme) = (canvas.app, &canvas.theme);
    let inside = super::panel(canvas, buf, area, "watchlist", "pools: est. USD, distance");
    let here = app.latest().asset;
    let watched = app.watched();
    // The asset that runs is never scrolled out.
    let visible = usize::from(inside.height.saturating_sub(1)).max(1);
    let at = watched.iter().position(|row| row.asset == here).unwrap_or(0);
    let rows = watched.iter().skip((at + 1).saturating_sub(visible)).map(|row| {
        let is_here = row.asset == here;
        let style = if is_here { theme.strong } else { Style::new() };
        cells(row, if is_here { "›" } else { " " }).map(|words| (words, style)).to_vec()
    });
    table::draw(buf, inside, &FIELDS, Some(theme.dim), rows);
}

/// Draws the popup; `cursor` is the row that is chosen.
pub fn draw(canvas: &Canvas<'_>, cursor: usize, buf: &mut Buffer) {
    let (app, popup) = (canvas.app, canvas.theme.popup);
    let list = app.watched();
    let room = buf.area.width.saturating_sub(4);
    let width = table::width(&FIELDS).min(room);
    let inside = super::popup_box(canvas, buf, "watchlist", width, list.len() as u16 + 2);
    let visible = inside.height.saturating_sub(2).max(1);
    let top = (cursor + 1).saturating_sub(usize::from(visible));
    let rows = list.iter().enumerate().skip(top).take(usize::from(visible)).map(|(i, row)| {
        let style = if i == cursor { popup.patch(canvas.theme.strong) } else { popup };
        cells(row, if i == cursor { "›" } else { " " }).map(|words| (words, style)).to_vec()
    });
    let area = Rect { height: inside.height.saturating_sub(1), ..inside };
    table::draw(
        buf,
        area,
        &FIELDS,
        Some(popup.patch(canvas.theme.dim)),
        rows.collect::<Vec<Vec<(String, Style)>>>(),
    );
    let last = Rect { y: inside.bottom().saturating_sub(1), height: 1, ..inside };
    let hint = vec![
        text::Piece::new(0, "enter: watch", popup.patch(canvas.theme.dim)),
        text::Piece::new(1, "esc: close", popup.patch(canvas.theme.dim)),
        text::Piece::new(2, "- not known (yet)", popup.patch(canvas.theme.dim)),
    ];
    text::pieces(buf, last, hint, Vec::new());
}

/// Name, price, change over a day, pools, volume of a day.
fn cells(row: &Row, mark: &str) -> [String; 6] {
    let dash = || "-".to_owned();
    let pool = |pool: Option<(f64, f64)>| {
        pool.map_or_else(dash, |(usd, away)| format!("{} {}", text::usd(usd), text::percent(away)))
    };
    let [above, below] = row.pools;
    [
        // A long name is cut: it is no number.
        format!("{mark} {}", text::pad(row.asset.as_str(), 8).trim_end()),
        row.price.map_or_else(dash, |p| text::price(p, text::decimals(p))),
        row.day_change.map_or_else(dash, text::percent),
        pool(above),
        pool(below),
        row.day_usd.map_or_else(dash, text::usd),
    ]
}
