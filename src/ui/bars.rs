//! Liquidations that were **observed**, column by column of the heatmap: shorts up, longs down, on a USD scale of their own.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::{Canvas, text};

/// Lower eighths of a cell.
const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// Draws the bars if they have a room.
pub fn draw(canvas: &Canvas<'_>, buf: &mut Buffer) {
    let Some(area) = canvas.layout.bars else { return };
    let (app, theme) = (canvas.app, &canvas.theme);
    let (columns, top) = app.liquidated();
    let half = area.height / 2;
    labels(canvas, area, top, buf);
    if columns.iter().flatten().all(|usd| *usd <= 0.0) {
        if app.snapshot().now > 0 {
            let row = Rect { x: area.x + 1, y: area.y + half - 1, width: area.width - 1, height: 1 };
            text::pieces(
                buf,
                row,
                vec![text::Piece::new(1, "no liquidations observed here", theme.dim)],
                Vec::new(),
            );
        }
        return;
    }
    // One colour a half, so that only partial cells need a code.
    buf.set_style(Rect { height: half, ..area }, theme.short);
    buf.set_style(Rect { y: area.y + half, height: area.height - half, ..area }, theme.long);
    for (x, [long, short]) in (area.x..area.right()).zip(columns) {
        let eighths = |usd: f64, cells: u16| {
            let full = 8 * usize::from(cells);
            // Whatever there was is seen.
            ((usd / top * full as f64).round() as usize).clamp(usize::from(usd > 0.0), full)
        };
        let mut up = eighths(*short, half);
        for y in (area.y..area.y + half).rev() {
            buf[(x, y)].set_symbol(EIGHTHS[up.min(8)]);
            up = up.saturating_sub(8);
        }
        let mut down = eighths(*long, area.height - half);
        for y in area.y + half..area.bottom() {
            let part = down.min(8);
            let cell = &mut buf[(x, y)];
            if part == 0 || part == 8 {
                cell.set_symbol(EIGHTHS[part]);
            } else {
                // There are no upper eighths: the lower ones of the ground, with the colours changed over.
                cell.set_symbol(EIGHTHS[8 - part]).modifier.insert(Modifier::REVERSED);
            }
            down -= part;
        }
    }
}

/// Sides on the left, the scale on the right.
fn labels(canvas: &Canvas<'_>, area: Rect, top: f64, buf: &mut Buffer) {
    let theme = &canvas.theme;
    if let Some(legend) = canvas.layout.legend {
        let row = |y: u16| Rect { x: legend.x, y, width: legend.width - 1, height: 1 };
        text::line_right(buf, row(area.y), "shorts", theme.short);
        text::line_right(buf, row(area.y + 1), "observed", theme.dim);
        text::line_right(buf, row(area.bottom() - 2), "liq. USD", theme.dim);
        text::line_right(buf, row(area.bottom() - 1), "longs", theme.long);
    }
    if top > 0.0 {
        let prices = canvas.layout.prices;
        let row = |y: u16| Rect { x: prices.x, y, width: prices.width, height: 1 };
        let scale = text::usd_round(top);
        let plain: Style = theme.dim;
        text::line(buf, row(area.y), &format!("▴{scale}"), plain);
        text::line(buf, row(area.bottom() - 1), &format!("▾{scale}"), plain);
    }
}
