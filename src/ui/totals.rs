//! Totals in one line, where there is no room for the map panel.

use ratatui::buffer::Buffer;

use crate::app::App;
use crate::market::Side;

use super::{Canvas, text};

/// USD of estimated levels now, longs then shorts.
pub fn sides(app: &App) -> [f64; 2] {
    app.totals().map(|tiers| tiers.iter().sum())
}

/// The side with clearly more levels; within a twentieth of each other they are about even.
pub fn heavier(app: &App) -> Option<Side> {
    let [long, short] = sides(app);
    if long > 1.05 * short { Some(Side::Long) } else { (short > 1.05 * long).then_some(Side::Short) }
}

/// Draws the line if it has a room.
pub fn draw(canvas: &Canvas<'_>, buf: &mut Buffer) {
    let Some(area) = canvas.layout.totals else { return };
    let profile = canvas.app.profile();
    if profile.is_difference {
        let [built, removed] = profile.changed();
        let theme = &canvas.theme;
        let [more, less] = canvas.app.selection().view.signs();
        let amount = |usd: f64, word: &str| format!("{} {word}", text::usd_signed(usd));
        let left = vec![
            text::Piece::new(0, amount(built, more), theme.strong.fg(theme.built)),
            text::Piece::new(0, amount(-removed, less), theme.strong.fg(theme.removed)),
            text::Piece::new(2, "in view", theme.dim),
        ];
        return text::pieces(buf, area, left, Vec::new());
    }
    let [long, short] = sides(canvas.app);
    if long + short <= 0.0 {
        return;
    }
    let theme = &canvas.theme;
    let heavier = match heavier(canvas.app) {
        Some(Side::Long) => "longs heavier",
        Some(Side::Short) => "shorts heavier",
        None => "about even",
    };
    let (long, short) = (text::usd(long), text::usd(short));
    let wide = area.width >= 64;
    let left = vec![
        text::Piece::new(2, if wide { "estimated" } else { "est." }, theme.dim),
        text::Piece::new(
            0,
            if wide { format!("longs {long} below") } else { format!("longs {long}▼") },
            theme.long,
        ),
        text::Piece::new(
            0,
            if wide { format!("shorts {short} above") } else { format!("shorts {short}▲") },
            theme.short,
        ),
        text::Piece::new(1, heavier, theme.strong),
    ];
    text::pieces(buf, area, left, Vec::new());
}
