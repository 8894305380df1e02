//! The help page, made from the keymap.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::app::{Action, keymap::Chord};

use super::{Canvas, text};

/// Draws the help page, scrolled down by `top` rows.
pub fn draw(canvas: &Canvas<'_>, top: usize, buf: &mut Buffer) {
    let keymap = &canvas.app.settings.keymap;
    let rows: Vec<(String, &str)> = Action::ALL
        .iter()
        .map(|a| (keymap.keys(*a).iter().map(Chord::to_string).collect::<Vec<_>>().join(" "), a.help()))
        .filter(|(keys, _)| !keys.is_empty())
        .collect();
    let keys = rows.iter().map(|(k, _)| ratatui::text::Span::raw(k).width()).max().unwrap_or(0) as u16;
    let words = rows.iter().map(|(_, w)| w.len()).max().unwrap_or(0) as u16;
    let inside = super::popup_box(canvas, buf, "keys", keys + 2 + words, rows.len() as u16);
    let height = usize::from(inside.height);
    let top = top.min(rows.len().saturating_sub(height));
    for (i, (key, what)) in rows.iter().skip(top).take(height).enumerate() {
        let row = Rect { y: inside.y + i as u16, height: 1, ..inside };
        text::line(buf, row, key, canvas.theme.popup.patch(canvas.theme.strong));
        let rest = Rect { x: row.x + keys + 2, width: row.width.saturating_sub(keys + 2), ..row };
        text::line(buf, rest, what, canvas.theme.popup);
    }
    if top + height < rows.len() {
        let more = Rect { y: inside.bottom(), height: 1, ..inside };
        text::line_right(buf, more, " down: more ", canvas.theme.dim);
    }
}
