//! The tape: liquidations as they were observed, the newest first.

use ratatui::buffer::Buffer;
use ratatui::style::Style;

use crate::app::names;
use crate::market::{Sampled, Side, Venue};

use super::table::{self, Field};
use super::{Canvas, text};

/// From so many USD on a liquidation is large, and very large.
const LARGE: [f64; 2] = [100_000.0, 1_000_000.0];
/// Marks of longs, then shorts, by size; and the same without colours.
const MARKS: [[&str; 3]; 2] = [["▿", "▾", "▼"], ["▵", "▴", "▲"]];

const FIELDS: [Field; 5] = [
    Field::words("time", 8, 2),
    Field::words("venue", 4, 1),
    Field::words("side", 7, 0),
    Field::number("price", 9, 3),
    Field::number("USD", 6, 0),
];

/// Draws the panel if it has a room.
pub fn draw(canvas: &Canvas<'_>, buf: &mut Buffer) {
    let Some(area) = canvas.layout.tape else { return };
    let (app, theme) = (canvas.app, &canvas.theme);
    let least = app.settings.kept.tape_usd;
    let filter =
        if least > 0 { format!(" ≥ {}", text::usd_round(f64::from(least))) } else { String::new() };
    let sampled = |venue: Venue| {
        let view = app.snapshot().venues.iter().find(|v| v.venue == venue);
        view.is_some_and(|v| matches!(v.status.liquidations, Some(Sampled::Latest | Sampled::Largest)))
    };
    let any = app.selection().venues(app.snapshot()).any(|v| sampled(v.venue));
    let note = if any { "~ sampled" } else { "" };
    let inside = super::panel(canvas, buf, area, &format!("liquidations{filter}"), note);
    let prints = app.tape();
    if prints.is_empty() {
        let words = if least > 0 { "none so large yet" } else { "none observed yet" };
        let piece = text::Piece::new(1, words, theme.dim);
        return text::pieces(buf, ratatui::layout::Rect { height: 1, ..inside }, vec![piece], Vec::new());
    }
    let rows = prints.iter().map(|print| {
        let size = LARGE.iter().filter(|usd| print.usd >= **usd).count();
        let strong = if size > 0 { theme.strong } else { Style::new() };
        let side = match print.side {
            Side::Long => (format!("{} long", MARKS[0][size]), theme.long.patch(strong)),
            Side::Short => (format!("{} short", MARKS[1][size]), theme.short.patch(strong)),
        };
        let mark = if sampled(print.venue) { "~" } else { "" };
        vec![
            (text::time(print.ts, "%H:%M:%S"), theme.dim),
            (format!("{}{mark}", names::short(&print.venue)), theme.dim),
            side,
            (text::price(print.price, text::decimals(print.price)), Style::new()),
            (text::usd(print.usd), strong),
        ]
    });
    table::draw(buf, inside, &FIELDS, None, rows);
}
