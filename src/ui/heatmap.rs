//! The heatmap: two price pixels a cell by half blocks, candles on top.

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};

use crate::app::Action;
use crate::app::model::Model;
use crate::app::pixels::PixelColumn;
use crate::app::scale::{LEAST_SWEEP, PRINT_SIZES};

use super::candles::{self, Ink, Stroke};
use super::{Canvas, text, venues};

/// Marks of observed liquidations by size, longs then shorts: the way price went.
pub const PRINTS: [[&str; 3]; 2] = [["▿", "▾", "▼"], ["▵", "▴", "▲"]];
/// The same without colours.
pub const PLAIN_PRINTS: [[&str; 3]; 2] = [["'", "v", "V"], [",", "^", "A"]];
/// Where price took a pool.
pub const SWEEP: &str = "×";
/// The same without colours.
pub const PLAIN_SWEEP: &str = "x";
/// One cell's two pixels.
#[derive(Clone, Copy)]
struct Pair {
    upper: i32,
    lower: i32,
    upper_ink: Option<Ink>,
    lower_ink: Option<Ink>,
}

impl Pair {
    fn has_ink(self) -> bool {
        self.upper_ink.is_some() || self.lower_ink.is_some()
    }

    /// The step further from the ground.
    fn hotter(self) -> i32 {
        if self.upper.abs() >= self.lower.abs() { self.upper } else { self.lower }
    }
}

/// Draws the heatmap.
pub fn draw(canvas: &Canvas<'_>, buf: &mut Buffer) {
    let area = canvas.layout.heat;
    let grid = canvas.app.grid();
    if !canvas.app.has_heat() {
        empty(canvas, area, buf);
        return;
    }
    let strokes = candles::strokes(canvas.app);
    let price_y = u16::try_from(canvas.app.price_row()).ok();
    // The price line is short: a line all across would repaint too many cells whenever price moves a row.
    let line_from = usize::from(area.width - area.width / 6);
    let phase = if canvas.app.settings.shifts { grid.geometry.start / grid.geometry.dt } else { 0 };
    // Row by row, as the buffer lies in memory: every frame passes here.
    for y in 0..area.height {
        let (lower_row, has_price) = (2 * usize::from(area.height - 1 - y), price_y == Some(y));
        let start = buf.index_of(area.x, area.y + y);
        let row = &mut buf.content[start..start + usize::from(area.width)];
        for (x, ((cell, column), stroke)) in row.iter_mut().zip(&grid.columns).zip(&strokes).enumerate() {
            let pair = pair(canvas, column, *stroke, lower_row);
            if pair.has_ink() {
                ink(canvas, pair, cell);
            } else if !column.covered {
                hatch(canvas, cell);
            } else if has_price && x >= line_from {
                cell.set_symbol("┄");
                over(canvas, pair.hotter(), cell);
            } else if !column.missing.is_empty() && is_marked(pair, phase + x as i64 + i64::from(y)) {
                hatch(canvas, cell);
            } else {
                ground(canvas, pair, cell);
            }
        }
    }
    for (x, column) in (area.x..area.right()).zip(&grid.columns) {
        sweeps(canvas, column, x, buf);
        prints(canvas, column, x, buf);
    }
    if canvas.app.settings.model == Model::Precise && canvas.app.scale().top <= 0.0 {
        let key = canvas.app.settings.keymap.hint(Action::Model).unwrap_or_default();
        let words = format!("model 1 shows spikes, and there are none here; other models: {key}");
        text::line(buf, Rect { height: 1, ..area }, &words, canvas.theme.warn);
    }
}

/// Marks how far price went when it took a pool: one mark a side at the end of what was swept in the column.
fn sweeps(canvas: &Canvas<'_>, column: &PixelColumn, x: u16, buf: &mut Buffer) {
    let (area, top) = (canvas.layout.heat, canvas.app.scale().top);
    for side in [0, 1] {
        let hot = |usd: f64| usd > 0.0 && usd >= canvas.app.threshold();
        let taken = || column.swept.iter().filter(|(_, usd)| hot(usd[side]));
        let usd: f64 = taken().map(|(_, usd)| usd[side]).sum();
        // Longs are swept on the way down.
        let end = if side == 0 { taken().next() } else { taken().next_back() };
        let Some((row, _)) = end.filter(|_| top > 0.0 && usd >= LEAST_SWEEP * top) else { continue };
        let cell = &mut buf[(x, area.bottom() - 1 - (row / 2) as u16)];
        cell.set_symbol(if canvas.theme.colours { SWEEP } else { PLAIN_SWEEP });
        cell.fg = canvas.theme.sweep;
        cell.bg = canvas.heat.colour(0).unwrap_or(Color::Reset);
    }
}

/// Marks where liquidations were **observed**, above candles and heat: they tell how good the estimate was.
fn prints(canvas: &Canvas<'_>, column: &PixelColumn, x: u16, buf: &mut Buffer) {
    let area = canvas.layout.heat;
    let top = canvas.app.scale().top;
    for cell in column.prints.chunk_by(|a, b| a.0 / 2 == b.0 / 2) {
        let [long, short] = [0, 1].map(|side| cell.iter().map(|(_, usd)| usd[side]).sum::<f64>());
        let y = area.bottom() - 1 - (cell[0].0 / 2) as u16;
        let size = PRINT_SIZES.iter().filter(|share| long.max(short) >= *share * top).count();
        if top > 0.0 && size > 0 {
            let side = usize::from(short > long);
            let glyphs = if canvas.theme.colours { PRINTS } else { PLAIN_PRINTS };
            buf[(x, y)].set_symbol(glyphs[side][size - 1]).set_style(canvas.theme.prints[side]);
        }
    }
}

fn pair(canvas: &Canvas<'_>, column: &PixelColumn, stroke: Option<Stroke>, lower_row: usize) -> Pair {
    // Where each side has its own ramp, longs have the one below zero.
    let is_long = |row: usize| canvas.ramp.by_side && row as i64 <= column.mark_row;
    let step = |row: usize| {
        let step = column.steps.get(row).map_or(0, |step| i32::from(*step));
        if is_long(row) { -step } else { step }
    };
    let ink = |row: usize| stroke.and_then(|s| s.ink(row as i64));
    Pair {
        upper: step(lower_row + 1),
        lower: step(lower_row),
        upper_ink: ink(lower_row + 1),
        lower_ink: ink(lower_row),
    }
}

/// Draws a thin line's glyph colour over the heat of a step.
fn over(canvas: &Canvas<'_>, step: i32, cell: &mut Cell) {
    cell.fg = canvas.theme.line;
    cell.bg = canvas.heat.colour(step).unwrap_or(Color::Reset);
}

/// Heat alone.
fn ground(canvas: &Canvas<'_>, pair: Pair, cell: &mut Cell) {
    match (canvas.heat.colour(pair.upper), canvas.heat.colour(pair.lower)) {
        (Some(upper), Some(lower)) if upper == lower => solid(upper, cell),
        (Some(upper), Some(lower)) => halves(upper, lower, cell),
        _ => {
            cell.set_symbol(canvas.heat.glyph(pair.hotter()));
        }
    }
}

/// A candle's part over the heat.
fn ink(canvas: &Canvas<'_>, pair: Pair, cell: &mut Cell) {
    let hotter = pair.hotter();
    // A body is told from the heat beside it, which is that under it.
    let ink_on = |ink: Ink, step: i32| canvas.theme.candle(ink.up(), canvas.ramp.luminance(step));
    let ink_colour = |ink: Ink| ink_on(ink, hotter);
    let (Some(upper), Some(lower)) = (canvas.heat.colour(pair.upper), canvas.heat.colour(pair.lower)) else {
        let ink = [pair.upper_ink, pair.lower_ink].into_iter().flatten();
        // Bodies before wicks.
        if let Some(ink) = ink.min_by_key(|i| matches!(i, Ink::Wick { .. })) {
            cell.set_symbol(match ink {
                Ink::Body { up: true } => "║",
                Ink::Body { up: false } => "█",
                Ink::Wick { .. } => "│",
            });
            cell.fg = ink_colour(ink);
        }
        return;
    };
    let body = |ink: Option<Ink>| ink.filter(|i| matches!(i, Ink::Body { .. }));
    match (body(pair.upper_ink), body(pair.lower_ink)) {
        (Some(ink), Some(_)) => solid(ink_colour(ink), cell),
        (Some(ink), None) => halves(ink_on(ink, pair.upper), lower, cell),
        (None, Some(ink)) => halves(upper, ink_on(ink, pair.lower), cell),
        (None, None) => {
            let symbol = match (pair.upper_ink, pair.lower_ink) {
                (Some(_), Some(_)) => "│",
                (Some(_), None) => "╵",
                _ => "╷",
            };
            cell.set_symbol(symbol);
            cell.fg = pair.upper_ink.or(pair.lower_ink).map_or(Color::Reset, ink_colour);
            cell.bg = canvas.heat.colour(hotter).unwrap_or(Color::Reset);
        }
    }
}

/// One colour: a space, as in a blank cell, costs fewer bytes than a block and a second colour.
fn solid(colour: Color, cell: &mut Cell) {
    cell.fg = Color::Reset;
    cell.bg = colour;
}

fn halves(upper: Color, lower: Color, cell: &mut Cell) {
    // The terminal's own ground is no ink.
    let (symbol, ink, ground) =
        if upper == Color::Reset { ("▄", lower, upper) } else { ("▀", upper, lower) };
    cell.set_symbol(symbol);
    cell.fg = ink;
    cell.bg = ground;
}

/// No data here: said, not guessed.
fn hatch(canvas: &Canvas<'_>, cell: &mut Cell) {
    cell.set_symbol(if canvas.theme.colours { "╱" } else { "/" });
    cell.fg = canvas.theme.hatch;
    cell.bg = canvas.heat.colour(0).unwrap_or(Color::Reset);
}

/// Whether a cell of a column that lacks a venue carries a stroke: one in a few, on the ground only, so that what the
/// other venues have stays to be seen. The strokes keep their place on the screen while the map moves on, so that they are not written
/// again; where the terminal moves the map itself they go with it, for the same reason.
fn is_marked(pair: Pair, place: i64) -> bool {
    const SPARSE: i64 = 6;
    pair.upper == 0 && pair.lower == 0 && place % SPARSE == 0
}

/// Nothing to draw yet: says what is awaited, venue by venue.
fn empty(canvas: &Canvas<'_>, area: Rect, buf: &mut Buffer) {
    let app = canvas.app;
    let shown = app.selection().venues(app.latest());
    let mut lines: Vec<(String, Style)> =
        shown.map(|v| (venues::waiting(app, v), canvas.theme.strong)).collect();
    if lines.is_empty() {
        let none = app.latest().venues.is_empty();
        let words = if none { "waiting for a venue" } else { "every venue is switched off" };
        lines.push((words.to_owned(), canvas.theme.strong));
    }
    let top = area.y + area.height.saturating_sub(lines.len() as u16) / 2;
    for (i, (line, style)) in lines.iter().enumerate().take(usize::from(area.height)) {
        let width = (ratatui::text::Span::raw(line.as_str()).width() as u16).min(area.width);
        let row = Rect::new(area.x + (area.width - width) / 2, top + i as u16, width, 1);
        text::line(buf, row, line, *style);
    }
}
