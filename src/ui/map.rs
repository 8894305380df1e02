//! The map: levels by price now, stacked by leverage tier, with cumulative curves away from price.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};

use crate::estimate::Tier;
use crate::market::Side;

use super::{Canvas, text, totals};

/// Parts of a cell a bar can end in.
const PARTS: [&str; 8] = [" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
/// Tiers without colours.
const LETTERS: [&str; 6] = ["·", "A", "B", "C", "D", "E"];

/// Draws the map panel if it has a room.
pub fn draw(canvas: &Canvas<'_>, buf: &mut Buffer) {
    if let Some(area) = canvas.layout.titles {
        titles(canvas, area, buf);
    }
    let Some(area) = canvas.layout.map else { return };
    let app = canvas.app;
    let (profile, widths) = (app.profile(), app.widths());
    if widths.bar <= 0.0 {
        return;
    }
    let row_at = |row: usize| Rect { y: area.y + row as u16, height: 1, ..area };
    for (row, tiers) in profile.rows.iter().enumerate().take(usize::from(area.height)) {
        // Blanks in the colour of the curve that may come to cross them: a curve that moves then needs no colour codes.
        let side = if row as i64 > profile.price_row { canvas.theme.long } else { canvas.theme.short };
        buf.set_style(row_at(row), side);
        bar(canvas, tiers, widths.bar, row_at(row), buf);
    }
    let place = |(row, usd): (usize, f64)| {
        let x = usd / widths.curve.max(f64::MIN_POSITIVE) * f64::from(area.width - 1);
        (row_at(row).y, (x as u16).min(area.width - 1))
    };
    curve(profile.below().map(place), area.x, ["╮", "╰"], canvas.theme.long, buf);
    curve(profile.above().map(place), area.x, ["╯", "╭"], canvas.theme.short, buf);

    let [long, short] = totals::sides(app);
    let heavier = |side: Side| if totals::heavier(app) == Some(side) { " ◂ heavier" } else { "" };
    let short_text = format!("shorts {} above{}", text::usd(short), heavier(Side::Short));
    let long_text = format!("longs {} below{}", text::usd(long), heavier(Side::Long));
    for (y, words, style) in
        [(area.y, short_text, canvas.theme.short), (area.bottom() - 1, long_text, canvas.theme.long)]
    {
        let row = Rect { y, height: 1, ..area };
        let blank = " ".repeat(usize::from(area.width));
        buf.set_string(row.x, y, blank, Style::reset());
        text::line(buf, row, &words, style.patch(canvas.theme.strong));
    }
}

/// One row: tiers stacked from the left, lowest leverage first, to an eighth of a cell.
fn bar(canvas: &Canvas<'_>, row: &[f64; 6], widest: f64, area: Rect, buf: &mut Buffer) {
    let eighths = f64::from(area.width) * 8.0 / widest;
    let mut ends = [0_usize; 6];
    let mut sum = 0.0;
    for (end, usd) in ends.iter_mut().zip(row) {
        sum += usd;
        *end = (sum * eighths).round() as usize;
    }
    let full = ends[5];
    let tier_at = |eighth: usize| ends.iter().position(|end| eighth < *end);
    for x in 0..usize::from(area.width) {
        let (from, to) = (8 * x, 8 * x + 8);
        let Some(tier) = tier_at(from) else { break };
        let cell = &mut buf[(area.x + x as u16, area.y)];
        if !canvas.theme.colours {
            cell.set_symbol(LETTERS[tier]);
            continue;
        }
        let end = ends[tier].min(to);
        if end == to {
            // A space: some fonts leave gaps between full blocks.
            cell.set_symbol(" ").set_bg(canvas.theme.tiers[tier]);
            continue;
        }
        cell.set_symbol(PARTS[end - from]).set_fg(canvas.theme.tiers[tier]);
        if end < full {
            cell.bg = tier_at(end).map_or(Color::Reset, |t| canvas.theme.tiers[t]);
        }
    }
}

/// A cumulative curve as a stepped line of rows and columns, away from price. `corners` are the outer and the inner one
/// of a step.
fn curve(
    points: impl Iterator<Item = (u16, u16)>,
    left: u16,
    corners: [&'static str; 2],
    style: Style,
    buf: &mut Buffer,
) {
    let mut last = 0;
    for (y, x) in points {
        for at in last..=x {
            let symbol = match at {
                _ if x == last => "│",
                at if at == x => corners[0],
                at if at == last => corners[1],
                _ => "─",
            };
            buf[(left + at, y)].set_symbol(symbol).set_style(style);
        }
        last = x;
    }
}

fn titles(canvas: &Canvas<'_>, area: Rect, buf: &mut Buffer) {
    let theme = &canvas.theme;
    if let Some(legend) = canvas.layout.legend {
        let title = if canvas.app.scale().locked { " LOCKED" } else { " est. USD" };
        text::line(buf, Rect { width: legend.width, ..area }, title, theme.dim);
    }
    let heat = canvas.layout.heat;
    let heat = Rect { x: heat.x + 1, width: heat.width - 1, ..area };
    let left = vec![text::Piece::new(1, "estimated liquidation levels", theme.dim)];
    let zone = |mark: &str, zone: Option<super::zones::Zone>| {
        zone.map(|z| {
            let words = format!(
                "{mark} {} at {} ({})",
                text::usd(z.usd),
                text::price(z.price, text::decimals(z.price).saturating_sub(1)),
                text::percent(z.distance)
            );
            text::Piece::new(0, words, theme.zone)
        })
    };
    let mut right: Vec<text::Piece<'_>> =
        [zone("▲", canvas.zones.above), zone("▼", canvas.zones.below)].into_iter().flatten().collect();
    if !right.is_empty() {
        right.insert(0, text::Piece::new(2, "hot zones", theme.dim));
    }
    text::pieces(buf, heat, left, right);
    if let Some(map) = canvas.layout.map {
        let mut x = map.x;
        for tier in Tier::ALL {
            let on = canvas.app.selection().tiers.contains(tier);
            let label = if theme.colours { "■" } else { LETTERS[tier.index()] };
            let rest = Rect { x, width: map.right().saturating_sub(x), ..area };
            let mark = if on && theme.colours { Style::new().fg(theme.tier(tier)) } else { theme.dim };
            text::line(buf, rest, label, mark);
            let rest = Rect { x: x + 1, width: rest.width.saturating_sub(1), ..rest };
            let name = if on { tier.label() } else { "off" };
            text::line(buf, rest, name, theme.dim);
            x += name.len() as u16 + 2;
        }
    }
}
