//! Price labels right of the map, time labels below it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::app::scale::nice_above;
use crate::market::Side;

use super::{Canvas, text};

/// The mark of rows in which liquidations would feed on themselves.
pub const SELF_FEEDING: &str = "»";
/// Rows between two price labels, about.
const PRICE_SPACING: f64 = 5.0;
/// Columns between two time labels, at least.
const TIME_SPACING: i64 = 11;

/// Draws round prices, the pools and the price now.
pub fn draw_prices(canvas: &Canvas<'_>, buf: &mut Buffer) {
    let area = canvas.layout.prices;
    let app = canvas.app;
    let g = app.grid().geometry;
    let bins = &app.snapshot().bins;
    let Some(now) = app.price() else { return };
    let cell_of = |price: f64| {
        let row = g.row(bins.position(price));
        (0..g.rows as i64).contains(&row).then(|| area.bottom() - 1 - (row / 2) as u16)
    };
    let row = |y: u16| Rect { y, height: 1, ..area };

    let (low, high) = (bins.price_at(g.low), bins.price_at(g.high()));
    let step = nice_above((high - low) * PRICE_SPACING / f64::from(area.height) * 0.75);
    // As many decimals as the step needs; six digits are enough for any price.
    let decimals = ((-step.log10()).ceil().max(0.0) as usize).min(text::decimals(now));
    let mut taken: Vec<u16> = Vec::new();
    let free = |taken: &[u16], y: u16, apart: u16| taken.iter().all(|t| t.abs_diff(y) >= apart);

    // Beyond the map it is told at its edge.
    let (mark, decimals_now) = match app.price_row() {
        ..0 => ("▲", decimals),
        row if row >= i64::from(area.height) => ("▼", decimals),
        _ => ("◀", text::decimals(now)),
    };
    let y = area.y + app.price_row().clamp(0, i64::from(area.height) - 1) as u16;
    let label = format!("{mark}{}", text::price(now, decimals_now));
    let width = usize::from(area.width);
    let label = if mark == "◀" { format!("{label:<width$}") } else { label };
    text::line(buf, row(y), &label, canvas.theme.inverse);
    taken.push(y);
    let pools = app.pools();
    let of = |side: Side| [pools.watched(side), pools.nearest(side), pools.largest(side)];
    for pool in Side::BOTH.into_iter().flat_map(of).flatten() {
        if let Some(y) = cell_of(pool.price).filter(|y| free(&taken, *y, 1)) {
            text::line(buf, row(y), &format!("◂{}", text::usd(pool.pool.usd)), canvas.theme.zone);
            taken.push(y);
        }
    }
    let first = (low / step).ceil();
    let count = (((high - low) / step) as usize).min(200);
    for i in 0..=count {
        let price = (first + i as f64) * step;
        if let Some(y) = cell_of(price).filter(|y| free(&taken, *y, 2)) {
            text::line(buf, row(y), &format!("╴{}", text::price(price, decimals)), canvas.theme.dim);
            taken.push(y);
        }
    }
    // Beside the labels: where more would be forced than rests.
    for y in 0..area.height {
        let cell = &mut buf[(area.right() - 1, area.y + y)];
        if app.criticality().is_marked(usize::from(y)) && cell.symbol() == " " {
            cell.set_symbol(SELF_FEEDING).set_style(canvas.theme.warn);
        }
    }
}

/// Steps between time labels, minutes.
const STEPS: [i64; 17] =
    [1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 7 * 1440, 14 * 1440, 28 * 1440];

/// Draws UTC times; a label starts under its column and never touches the next.
pub fn draw_times(canvas: &Canvas<'_>, buf: &mut Buffer) {
    const DAY: i64 = 86_400_000;
    let area = canvas.layout.times;
    let g = canvas.app.grid().geometry;
    if canvas.app.snapshot().now == 0 {
        return;
    }
    let step =
        STEPS.iter().map(|m| m * 60_000).find(|s| s / g.dt >= TIME_SPACING).unwrap_or(STEPS[16] * 60_000);
    let end = g.time(g.columns);
    let mut t = (g.start.div_euclid(step) + 1) * step;
    let mut free_from = 0;
    while t < end {
        let x = g.column(t);
        let label = match t.rem_euclid(DAY) {
            0 if step >= 28 * DAY => text::time(t, "%d %b %y"),
            0 => text::time(t, "%d %b"),
            _ => text::time(t, "%H:%M"),
        };
        let width = label.len() as i64 + 1;
        if x >= free_from && x + width <= i64::from(area.width) - 4 {
            let at = Rect { x: area.x + x as u16, width: width as u16, ..area };
            text::line(buf, at, &format!("╵{label}"), canvas.theme.dim);
            free_from = x + width + 2;
        }
        t += step;
    }
    text::line_right(buf, area, "UTC", canvas.theme.dim);
}
