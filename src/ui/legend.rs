//! The ramp with its USD ticks: beside the map, or in one line where there is no room.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::Span;

use super::{Canvas, text};

/// Draws whichever of the two has a room.
pub fn draw(canvas: &Canvas<'_>, buf: &mut Buffer) {
    if let Some(area) = canvas.layout.legend {
        beside(canvas, area, buf);
    }
    if let Some(area) = canvas.layout.ramp {
        line(canvas, area, buf);
    }
}

/// The step of the ramp for a share of the way up; below the threshold it is the ground.
fn step_at(canvas: &Canvas<'_>, share: f64) -> usize {
    canvas.app.step(canvas.app.scale().usd_at(share, canvas.app.settings.curve))
}

fn beside(canvas: &Canvas<'_>, area: Rect, buf: &mut Buffer) {
    let app = canvas.app;
    let (scale, curve) = (app.scale(), app.settings.curve);
    if scale.top <= 0.0 {
        return;
    }
    let height = f64::from(area.height);
    let bar = area.right() - 2;
    for y in 0..area.height {
        let share = |half: f64| 1.0 - (f64::from(y) + half) / height;
        let cell = &mut buf[(bar, area.y + y)];
        let (upper, lower) = (step_at(canvas, share(0.25)), step_at(canvas, share(0.75)));
        match (canvas.ramp.colour(upper), canvas.ramp.colour(lower)) {
            (Some(fg), Some(bg)) => cell.set_symbol("▀").set_fg(fg).set_bg(bg),
            _ => cell.set_symbol(canvas.ramp.glyph(upper.max(lower))),
        };
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
    if app.scale().top <= 0.0 {
        return;
    }
    let low = format!("est. USD/row {} ", text::usd(app.threshold()));
    let high = format!(" ≥{}", text::usd_round(app.scale().top));
    let width = |t: &str| Span::raw(t).width() as u16;
    let room = area.width.saturating_sub(width(&low) + width(&high)).min(32);
    text::line(buf, area, &low, canvas.theme.dim);
    let from = area.x + width(&low);
    for x in 0..room {
        let share = (f64::from(x) + 0.5) / f64::from(room);
        // From the threshold up: the ground needs no explanation here.
        let lowest = app.scale().intensity(app.threshold(), app.settings.curve);
        let step = step_at(canvas, lowest + (1.0 - lowest) * share).max(1);
        let cell = &mut buf[(from + x, area.y)];
        match canvas.ramp.colour(step) {
            Some(colour) => cell.set_symbol(" ").set_bg(colour),
            None => cell.set_symbol(canvas.ramp.glyph(step)).set_bg(Color::Reset),
        };
    }
    let rest = Rect { x: from + room, width: area.width - width(&low).min(area.width) - room, ..area };
    text::line(buf, rest, &high, canvas.theme.dim);
}
