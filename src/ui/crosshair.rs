//! The crosshair and what lies under it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;

use crate::app::model::View;
use crate::estimate::Tier;
use crate::market::Venue;

use super::{Canvas, text};

/// Draws the crosshair, if it is on and in view, and its box.
pub fn draw(canvas: &Canvas<'_>, buf: &mut Buffer) {
    let (app, area) = (canvas.app, canvas.layout.heat);
    let g = app.grid().geometry;
    let Some(cross) = app.crosshair() else { return };
    let (column, row) = (g.column(cross.ts), g.row(cross.position));
    if !(0..g.columns as i64).contains(&column) || !(0..g.rows as i64).contains(&row) {
        return;
    }
    let (x, y) = (area.x + column as u16, area.bottom() - 1 - (row / 2) as u16);
    for cx in area.x..area.right() {
        line(canvas, if cx == x { "┼" } else { "─" }, (cx, y), buf);
    }
    for cy in (area.y..area.bottom()).filter(|cy| *cy != y) {
        line(canvas, "│", (x, cy), buf);
    }
    let price = app.snapshot().bins.price_at(cross.position);
    let label = Rect { y, height: 1, ..canvas.layout.prices };
    let words = format!("┼{}", text::price(price, text::decimals(price)));
    // Nothing shines through of a label that was there.
    buf.set_style(label, ratatui::style::Style::reset());
    text::line(
        buf,
        label,
        &format!("{words:<width$}", width = usize::from(label.width)),
        canvas.theme.inverse,
    );

    let lines = facts(canvas, column as usize, (row / 2 * 2) as usize, price);
    let width = lines.iter().map(|l| ratatui::text::Span::raw(l).width()).max().unwrap_or(0) as u16 + 4;
    let height = lines.len() as u16 + 2;
    if width > area.width || height > area.height {
        // No room for a box: the time axis has a row to spare.
        let row = canvas.layout.times;
        buf.set_string(row.x, row.y, " ".repeat(usize::from(row.width)), ratatui::style::Style::reset());
        text::line(buf, row, &lines.join("  "), canvas.theme.strong);
        return;
    }
    // In the corner away from the crosshair.
    let left = x >= area.x + area.width / 2;
    let top = y >= area.y + area.height / 2;
    let place = Rect::new(
        if left { area.x + 1 } else { area.right() - width - 1 }.max(area.x),
        if top { area.y } else { area.bottom() - height },
        width.min(area.width),
        height,
    );
    let title = text::time(g.time(column as usize), "%d %b %H:%M UTC");
    let inside = super::framed(canvas, buf, &title, place);
    for (i, words) in lines.iter().enumerate().take(usize::from(inside.height)) {
        let style = if i == 1 { canvas.theme.strong } else { ratatui::style::Style::new() };
        text::line(
            buf,
            Rect { y: inside.y + i as u16, height: 1, ..inside },
            words,
            canvas.theme.popup.patch(style),
        );
    }
}

fn line(canvas: &Canvas<'_>, symbol: &str, at: (u16, u16), buf: &mut Buffer) {
    let cell = &mut buf[at];
    // Of a cell's two heat colours the lower stays as the ground of the line.
    cell.set_symbol(symbol);
    cell.fg = if canvas.theme.colours { canvas.theme.line } else { Color::Reset };
}

/// Price and distance; USD; where it comes from.
fn facts(canvas: &Canvas<'_>, column: usize, lower: usize, price: f64) -> Vec<String> {
    let app = canvas.app;
    let distance = app.price().map(|now| text::percent(price / now - 1.0)).unwrap_or_default();
    let mut lines = vec![format!("{}  {distance}", text::price(price, text::decimals(price)))];
    let covered = app.grid().columns.get(column).is_some_and(|c| c.covered);
    if !covered {
        lines.push("no data here".to_owned());
        return lines;
    }
    let missing = app.grid().columns.get(column).map_or(&[][..], |c| &c.missing);
    let halves = [lower, lower + 1].map(|row| app.grid().probe(column, row));
    let total: f64 = halves.iter().flat_map(|p| p.tiers).sum();
    let is_difference = app.selection().view.is_difference();
    let amount = |usd: f64| if is_difference { text::usd_signed(usd) } else { text::usd(usd) };
    let share = |usd: f64| {
        if is_difference { String::new() } else { format!("{:>4.0}%", 100.0 * usd / total.max(1e-9)) }
    };
    match app.selection().view {
        View::Change(ms) => {
            let what = if total < 0.0 { "removed" } else { "built" };
            lines.push(format!("{} {what} in {}", amount(total), text::span(ms)));
        }
        View::Against(preset) => lines.push(format!("{} ours - {preset}", amount(total))),
        View::Preset(preset) => {
            lines.push(format!("{} by {preset}", amount(total)));
        }
        View::Ours => {
            // What is measured is no estimate: it moves both ends of the band.
            let (low, high) = halves[0].spread.joined(&halves[1].spread).range();
            let band = text::usd_range(low, high);
            lines.push(format!("{} estimated ({})", text::usd(total), band.trim_start_matches('$')));
            if let Some((ms, is_older)) = app.grid().age(column, lower, app.threshold()) {
                let more = if is_older { ">" } else { "" };
                lines.push(format!("above threshold for {more}{}", text::span(ms)));
            }
        }
    }
    // Only our levels have tiers.
    let has_tiers = matches!(app.selection().view, View::Ours | View::Change(_));
    for tier in Tier::ALL.into_iter().filter(|_| has_tiers) {
        let usd: f64 = halves.iter().map(|p| p.tiers[tier.index()]).sum();
        if usd.abs() > 0.0 {
            lines.push(format!("{:<5}{:>8}{}", tier.label(), amount(usd), share(usd)));
        }
    }
    let mut venues = halves[0].venues.clone();
    for (venue, usd) in &halves[1].venues {
        match venues.iter_mut().find(|(v, _)| v == venue) {
            Some((_, sum)) => *sum += usd,
            None => venues.push((*venue, *usd)),
        }
    }
    if venues.len() > 1 {
        for (venue, usd) in venues {
            lines.push(format!("{venue:<11} {:>7}{}", amount(usd), share(usd)));
        }
    }
    let at = app.grid().columns.get(column);
    let printed = at.map_or([0.0; 2], |c| {
        let here = c.prints.iter().filter(|(row, _)| row / 2 == lower / 2);
        here.fold([0.0; 2], |sum, (_, usd)| [sum[0] + usd[0], sum[1] + usd[1]])
    });
    for (usd, side) in printed.into_iter().zip(["longs", "shorts"]).filter(|(usd, _)| *usd > 0.0) {
        lines.push(format!("{} of {side} liquidated", text::usd(usd)));
    }
    // The books are those of this moment.
    if at.is_some_and(|c| c.live)
        && let Some(ratio) = app.criticality().ratio(app.grid().geometry.rows / 2 - 1 - lower / 2)
    {
        let least = if ratio >= 100.0 { "over 100".to_owned() } else { format!("{ratio:.2}") };
        lines.push(format!("forced / resting {least}"));
    }
    let listed = |venues: &[Venue]| venues.iter().map(Venue::as_str).collect::<Vec<_>>().join(", ");
    if !missing.is_empty() {
        lines.push(format!("no data: {}", listed(missing)));
    }
    if !halves[0].held.is_empty() {
        lines.push(format!("OI held constant: {}", listed(&halves[0].held)));
    }
    lines
}
