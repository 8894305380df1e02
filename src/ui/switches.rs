//! The popup of switches for leverage tiers.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::estimate::Tier;

use super::{Canvas, text};

struct Switch {
    on: bool,
    label: String,
    note: String,
    style: Style,
}

/// Draws the leverage-tier switches with the USD each tier has now.
pub fn draw_tiers(canvas: &Canvas<'_>, cursor: usize, buf: &mut Buffer) {
    let [long, short] = canvas.app.totals();
    let switches = Tier::ALL.map(|tier| Switch {
        on: canvas.app.selection().tiers.contains(tier),
        label: tier.label().to_owned(),
        note: match long[tier.index()] + short[tier.index()] {
            usd if usd > 0.0 => text::usd(usd),
            _ => String::new(),
        },
        style: if canvas.theme.colours { Style::new().fg(canvas.theme.tier(tier)) } else { Style::new() },
    });
    draw(canvas, "leverage tiers", &switches, cursor, buf);
}

fn draw(canvas: &Canvas<'_>, title: &str, switches: &[Switch], cursor: usize, buf: &mut Buffer) {
    let theme = &canvas.theme;
    let inside = super::popup_box(canvas, buf, title, 36, switches.len() as u16 + 2);
    for (i, switch) in switches.iter().enumerate() {
        let row = Rect { y: inside.y + i as u16, height: 1, ..inside }.intersection(inside);
        let mark = if switch.on { "[x]" } else { "[ ]" };
        let words = format!("{} {mark} {:<8}", i + 1, switch.label);
        let style =
            if i == cursor { theme.popup.patch(theme.inverse) } else { theme.popup.patch(switch.style) };
        text::line(buf, row, &words, style);
        text::line_right(buf, row, &switch.note, theme.popup);
    }
    let hint = Rect { y: inside.y + switches.len() as u16 + 1, height: 1, ..inside }.intersection(inside);
    text::line(buf, hint, "digit or space switches, a all, esc closes", theme.popup.patch(theme.dim));
}
