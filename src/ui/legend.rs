//! The ramp with its USD ticks: beside the map, or in one line where there is no room.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::Span;

use super::{Canvas, text};

/// Draws whichever of the two has a room.
pub fn draw(canvas: &Canvas<'_>, buf: &mut Buffer) {
    let is_difference = canvas.app.selection().view.is_difference();
    if canvas.app.scale().top <= 0.0 {
        return;
    }
    if let Some(area) = canvas.layout.legend {
        if is_difference { difference_beside(canvas, area, buf) } else { beside(canvas, area, buf) }
    }
    if let Some(area) = canvas.layout.ramp {
        if is_difference { difference_line(canvas, area, buf) } else { line(canvas, area, buf) }
    }
}

/// The step of the ramp for a share of the way up; below the threshold it is the ground.
fn step_at(canvas: &Canvas<'_>, share: f64) -> i32 {
    canvas.app.step(canvas.app.scale().usd_at(share, canvas.app.settings.curve))
}

/// A ramp in a column of cells, two steps each; `share` is the way up at a height from 0 (below) to 1.
fn ramp(canvas: &Canvas<'_>, area: Rect, step: impl Fn(f64) -> i32, buf: &mut Buffer) {
    for y in 0..area.height {
        let at = |half: f64| 1.0 - (f64::from(y) + half) / f64::from(area.height);
        let cell = &mut buf[(area.x, area.y + y)];
        let (upper, lower) = (step(at(0.25)), step(at(0.75)));
        match (canvas.ramp.colour(upper), canvas.ramp.colour(lower)) {
            (Some(fg), Some(bg)) => cell.set_symbol("▀").set_fg(fg).set_bg(bg),
            _ => cell.set_symbol(canvas.ramp.glyph(if upper == 0 { lower } else { upper })),
        };
    }
}

/// What was built above the ground, what was removed below it.
fn difference_beside(canvas: &Canvas<'_>, area: Rect, buf: &mut Buffer) {
    let app = canvas.app;
    let step = |height: f64| {
        let share = 2.0 * height - 1.0;
        let step = step_at(canvas, share.abs());
        if share < 0.0 { -step } else { step }
    };
    ramp(canvas, Rect { x: area.right() - 2, ..area }, step, buf);
    let (top, least) = (text::usd_round(app.scale().top), text::usd(app.threshold()));
    let middle = area.y + area.height / 2;
    // Where the ramp leaves the ground.
    let reach = app.scale().intensity(app.threshold(), app.settings.curve) * f64::from(area.height) / 2.0;
    let (above, below) = (middle.saturating_sub(reach as u16 + 1), middle + reach as u16);
    let [more, less] = app.selection().view.signs().map(str::to_owned);
    let labels = [
        (area.y, format!("+{top}"), canvas.theme.dim),
        (area.y + 1, more, Style::new().fg(canvas.theme.built)),
        (above, format!("+{least}"), Style::new()),
        (below, format!("-{least}"), Style::new()),
        (area.bottom() - 2, less, Style::new().fg(canvas.theme.removed)),
        (area.bottom() - 1, format!("-{top}"), canvas.theme.dim),
    ];
    let mut last = None;
    for (y, words, style) in labels {
        if last.is_none_or(|l| y > l) && y < area.bottom() {
            let row = Rect { y, width: area.width - 2, height: 1, ..area };
            text::line_right(buf, row, &words, style);
            last = Some(y);
        }
    }
}

/// Both ramps of a difference in one line.
fn difference_line(canvas: &Canvas<'_>, area: Rect, buf: &mut Buffer) {
    let app = canvas.app;
    let top = text::usd_round(app.scale().top);
    let [more, less] = app.selection().view.signs();
    let (low, high) = (format!("-{top} {less} "), format!(" {more} +{top}"));
    let width = |t: &str| Span::raw(t).width() as u16;
    let room = area.width.saturating_sub(width(&low) + width(&high)).min(24);
    text::line(buf, area, &low, canvas.theme.dim);
    for x in 0..room {
        let share = 2.0 * (f64::from(x) + 0.5) / f64::from(room) - 1.0;
        let step = step_at(canvas, share.abs()) * if share < 0.0 { -1 } else { 1 };
        let cell = &mut buf[(area.x + width(&low) + x, area.y)];
        match canvas.ramp.colour(step) {
            Some(colour) => cell.set_symbol(" ").set_bg(colour),
            None => cell.set_symbol(canvas.ramp.glyph(step)).set_bg(Color::Reset),
        };
    }
    let used = width(&low) + room;
    let rest = Rect { x: area.x + used, width: area.width.saturating_sub(used), ..area };
    text::line(buf, rest, &high, canvas.theme.dim);
}

fn beside(canvas: &Canvas<'_>, area: Rect, buf: &mut Buffer) {
    let app = canvas.app;
    let (scale, curve) = (app.scale(), app.settings.curve);
    let height = f64::from(area.height);
    ramp(canvas, Rect { x: area.right() - 2, ..area }, |share| step_at(canvas, share), buf);
    if canvas.ramp.by_side {
        ramp(canvas, Rect { x: area.right() - 1, ..area }, |share| -step_at(canvas, share), buf);
    }
    let y_of =
        |usd: f64| area.y + (((1.0 - scale.intensity(usd, curve)) * height) as u16).min(area.height - 1);
    let mut above = None;
    for part in [1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01] {
        let usd = scale.top * part;
        let y = y_of(usd);
        if usd < app.threshold().max(scale.base) || above.is_some_and(|a: u16| y < a + 2) {
            continue;
        }
        above = Some(y);
        let label = Rect { y, width: area.width - 2, height: 1, ..area };
        let more = if part >= 1.0 { "≥" } else { "" };
        text::line_right(buf, label, &format!("{more}{}", text::usd_round(nice(usd))), canvas.theme.dim);
    }
    // The threshold, where the colours begin.
    let y = y_of(app.threshold().min(scale.top));
    if app.threshold() > 0.0 && above.is_none_or(|a| y > a) {
        let label = Rect { y, width: area.width - 2, height: 1, ..area };
        text::line_right(buf, label, &text::usd(app.threshold()), Style::new());
    }
}

/// Takes the noise of a multiplication off a round number.
fn nice(usd: f64) -> f64 {
    (usd * 1e6).round() / 1e6
}

fn line(canvas: &Canvas<'_>, area: Rect, buf: &mut Buffer) {
    let app = canvas.app;
    let low = format!("est. USD/row {} ", text::usd(app.threshold()));
    let high = format!(" ≥{}", text::usd_round(app.scale().top));
    let width = |t: &str| Span::raw(t).width() as u16;
    let room = area.width.saturating_sub(width(&low) + width(&high)).min(32);
    text::line(buf, area, &low, canvas.theme.dim);
    let from = area.x + width(&low);
    for x in 0..room {
        // Where each side has a ramp of its own, one after the other.
        let (share, sign) = match (f64::from(x) + 0.5) / f64::from(room) {
            share if !canvas.ramp.by_side => (share, 1),
            share if share < 0.5 => (2.0 * share, -1),
            share => (2.0 * share - 1.0, 1),
        };
        // From the threshold up: the ground needs no explanation here.
        let lowest = app.scale().intensity(app.threshold(), app.settings.curve);
        let step = sign * step_at(canvas, lowest + (1.0 - lowest) * share).max(1);
        let cell = &mut buf[(from + x, area.y)];
        match canvas.ramp.colour(step) {
            Some(colour) => cell.set_symbol(" ").set_bg(colour),
            None => cell.set_symbol(canvas.ramp.glyph(step)).set_bg(Color::Reset),
        };
    }
    let rest = Rect { x: from + room, width: area.width - width(&low).min(area.width) - room, ..area };
    text::line(buf, rest, &high, canvas.theme.dim);
}
