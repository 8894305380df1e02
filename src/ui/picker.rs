//! The symbol picker.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::app::popup::Picker;

use super::{Canvas, text};

/// Draws the picker: the query, then what matches.
pub fn draw(canvas: &Canvas<'_>, picker: &Picker, buf: &mut Buffer) {
    let theme = &canvas.theme;
    let inside = super::popup_box(canvas, buf, "symbol", 32, 14);
    if inside.is_empty() {
        return;
    }
    text::line(buf, inside, &format!("> {}▏", picker.query), theme.popup.patch(theme.strong));
    let list = Rect { y: inside.y + 1, height: inside.height - 1, ..inside };
    let height = usize::from(list.height);
    let top = picker.cursor.saturating_sub(height.saturating_sub(1));
    for (i, info) in picker.matches.iter().enumerate().skip(top).take(height) {
        let row = Rect { y: list.y + (i - top) as u16, height: 1, ..list };
        let style = if i == picker.cursor { theme.popup.patch(theme.inverse) } else { theme.popup };
        text::line(buf, row, &format!(" {:<width$}", info.asset, width = usize::from(row.width)), style);
    }
    if picker.matches.is_empty() {
        let words = match picker.choice() {
            Some(asset) => format!(" enter: ask the venues for {asset}"),
            None => " no symbols yet".to_owned(),
        };
        text::line(buf, list, &words, theme.dim.patch(theme.popup));
    }
}
