//! Depth of market: what rests at each price now, in the rows of the heatmap; asks above price, bids below.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Canvas, text};

/// Left eighths of a cell.
const EIGHTHS: [&str; 9] = [" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"];

/// Draws the panel if it has a room.
pub fn draw(canvas: &Canvas<'_>, buf: &mut Buffer) {
    let Some(area) = canvas.layout.depth else { return };
    let (resting, theme) = (canvas.app.resting(), &canvas.theme);
    if let Some(titles) = canvas.layout.titles {
        let place = Rect { x: area.x, width: area.width - 1, ..titles };
        let words = format!("book {}", text::usd_round(resting.top));
        text::line(buf, place, if resting.top > 0.0 { &words } else { "book" }, theme.dim);
    }
    if !resting.has_book {
        let row = Rect { y: area.y + area.height / 2, width: area.width - 1, height: 1, ..area };
        let is_bare = canvas.app.latest().playback.as_ref().is_some_and(|p| p.is_bare);
        return text::line(buf, row, if is_bare { "not read" } else { "no book" }, theme.dim);
    }
    // A column of air on the right: the map follows.
    let width = usize::from(area.width - 1);
    for (usd, y) in resting.rows.iter().zip(area.y..area.bottom()) {
        let full = 8 * width;
        let end = ((usd / resting.top.max(f64::MIN_POSITIVE) * full as f64).round() as usize).min(full);
        buf.set_style(Rect { y, height: 1, ..area }, theme.book);
        for x in 0..width {
            let part = end.saturating_sub(8 * x).min(8);
            if part == 0 {
                break;
            }
            buf[(area.x + x as u16, y)].set_symbol(EIGHTHS[part]);
        }
    }
}
