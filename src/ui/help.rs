//! The help: the keys, made from the keymap, and a page for each way of drawing.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::app::manual;

use super::{Canvas, text};

/// Cells between two columns.
const GAP: u16 = 3;

/// Draws a page, scrolled down by `top` rows.
pub fn draw(canvas: &Canvas<'_>, page: usize, top: usize, buf: &mut Buffer) {
    let keymap = &canvas.app.settings.keymap;
    let room = buf.area.width.saturating_sub(4);
    let width = (manual::width(page, keymap) as u16).min(room);
    let lines = manual::lines(page, keymap, usize::from(width));
    let title = format!("{} · {}/{}", manual::title(page), page + 1, manual::COUNT);
    // What does not fit below goes beside, where there is room.
    let rows = buf.area.height.saturating_sub(2).max(1);
    let columns = (lines.len() as u16).div_ceil(rows).min((room + GAP) / (width + GAP)).max(1);
    let wanted = (lines.len() as u16).div_ceil(columns);
    let inside = super::popup_box(canvas, buf, &title, columns * (width + GAP) - GAP, wanted);
    let height = usize::from(inside.height);
    let shown = height * usize::from(columns);
    let top = top.min(lines.len().saturating_sub(shown));
    for (i, (key, words)) in lines.iter().skip(top).take(shown).enumerate() {
        let (column, y) = ((i / height.max(1)) as u16, (i % height.max(1)) as u16);
        let x = inside.x + column * (width + GAP);
        let row = Rect { x, y: inside.y + y, height: 1, width: width.min(inside.right().saturating_sub(x)) };
        text::line(buf, row, key, canvas.theme.popup.patch(canvas.theme.strong));
        let used = (key.chars().count() as u16).min(row.width);
        text::line(buf, Rect { x: row.x + used, width: row.width - used, ..row }, words, canvas.theme.popup);
    }
    let edge = Rect { y: inside.bottom(), height: 1, ..inside };
    let more = if top + shown < lines.len() { " down: more " } else { "" };
    text::line_right(buf, edge, more, canvas.theme.dim);
    text::line(buf, edge, " ← → pages ", canvas.theme.dim);
}
