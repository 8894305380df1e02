//! The help: the keys, made from the keymap, and a page for each way of drawing.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::app::manual;

use super::{Canvas, text};

/// Draws a page, scrolled down by `top` rows.
pub fn draw(canvas: &Canvas<'_>, page: usize, top: usize, buf: &mut Buffer) {
    let keymap = &canvas.app.settings.keymap;
    let room = buf.area.width.saturating_sub(4);
    let width = (manual::width(page, keymap) as u16).min(room);
    let lines = manual::lines(page, keymap, usize::from(width));
    let title = format!("{} · {}/{}", manual::title(page), page + 1, manual::COUNT);
    let inside = super::popup_box(canvas, buf, &title, width, lines.len() as u16);
    let height = usize::from(inside.height);
    let top = top.min(lines.len().saturating_sub(height));
    for (i, (key, words)) in lines.iter().skip(top).take(height).enumerate() {
        let row = Rect { y: inside.y + i as u16, height: 1, ..inside };
        text::line(buf, row, key, canvas.theme.popup.patch(canvas.theme.strong));
        let used = (key.chars().count() as u16).min(row.width);
        text::line(buf, Rect { x: row.x + used, width: row.width - used, ..row }, words, canvas.theme.popup);
    }
    let edge = Rect { y: inside.bottom(), height: 1, ..inside };
    let more = if top + height < lines.len() { " down: more " } else { "" };
    text::line_right(buf, edge, more, canvas.theme.dim);
    text::line(buf, edge, " ← → pages ", canvas.theme.dim);
}
