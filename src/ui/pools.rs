//! The pools beside price: the nearest and the largest, above and below.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::app::beside::Beside;
use crate::market::Side;

use super::table::{self, Field};
use super::{Canvas, text};

const FIELDS: [Field; 7] = [
    Field::words("est.", 9, 0),
    Field::number("away", 7, 0),
    Field::number("at", 8, 2),
    Field::number("USD", 6, 0),
    Field::number("wide", 5, 4),
    Field::number("age", 5, 3),
    Field::number("× book", 6, 1),
];

/// Draws the panel if it has a room.
pub fn draw(canvas: &Canvas<'_>, buf: &mut Buffer) {
    let Some(area) = canvas.layout.pools else { return };
    let (app, theme) = (canvas.app, &canvas.theme);
    let inside = super::panel(canvas, buf, area, "pools", "× book: USD / resting on the way");
    let rows = rows(canvas);
    if rows.is_empty() {
        let words = if app.selection().view.is_difference() {
            "not while changes are shown"
        } else {
            "none at the threshold"
        };
        let piece = text::Piece::new(1, words, theme.dim);
        return text::pieces(buf, Rect { height: 1, ..inside }, vec![piece], Vec::new());
    }
    let now = app.snapshot().now;
    let rows = rows.into_iter().map(|(name, pool)| {
        let mark = if pool.pool.side == Side::Short { "▲" } else { "▼" };
        let side = if pool.pool.side == Side::Short { theme.short } else { theme.long };
        let age = pool.since.map_or_else(
            || "-".to_owned(),
            |since| format!("{}{}", if pool.is_older { ">" } else { "" }, age(now - since)),
        );
        vec![
            (format!("{mark} {name}"), side),
            (text::percent(pool.distance), Style::new()),
            (text::price(pool.price, text::decimals(pool.price).saturating_sub(1)), Style::new()),
            (text::usd(pool.pool.usd), theme.zone),
            (format!("{:.1}%", 100.0 * pool.width), Style::new()),
            (age, Style::new()),
            (pool.per_resting.map_or_else(|| "-".to_owned(), times), Style::new()),
        ]
    });
    table::draw(buf, inside, &FIELDS, Some(theme.dim), rows);
}

/// The pools shown, from the highest price down: on each side the nearest and, where that is another, the largest.
fn rows<'a>(canvas: &'a Canvas<'_>) -> Vec<(&'static str, &'a Beside)> {
    let pools = canvas.app.pools();
    let both = |side: Side| {
        let near = pools.nearest(side).map(|pool| ("nearest", pool));
        let large = pools.largest(side).map(|pool| ("largest", pool));
        let is_other = near.map(|(_, p)| p.pool) != large.map(|(_, p)| p.pool);
        near.into_iter().chain(large.filter(|_| is_other))
    };
    let above: Vec<_> = both(Side::Short).collect();
    above.into_iter().rev().chain(both(Side::Long)).collect()
}

/// A span in one unit: an age is no better known than its look-back.
fn age(ms: i64) -> String {
    match ms / 60_000 {
        m @ ..60 => format!("{m}m"),
        m @ 60..2_880 => format!("{}h", m / 60),
        m => format!("{}d", m / 1_440),
    }
}

/// How often, in two digits.
fn times(ratio: f64) -> String {
    match ratio {
        r if r < 0.095 => "<0.1×".to_owned(),
        r if r < 9.95 => format!("{r:.1}×"),
        r if r < 99.5 => format!("{r:.0}×"),
        _ => ">99×".to_owned(),
    }
}
