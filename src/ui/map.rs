//! The map: levels by price now, stacked by leverage tier or by venue, with cumulative curves away from price.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};

use crate::app::model::{Model, View};
use crate::app::names;
use crate::app::profile::{MapBy, Parts};
use crate::app::settings::Curve;
use crate::estimate::{TIERS, Tier};
use crate::market::Side;

use super::{Canvas, text, totals};

/// Parts of a cell a bar can end in.
const PARTS: [&str; 8] = [" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
/// Tiers without colours.
const LETTERS: [&str; TIERS] = ["·", "A", "B", "C", "D", "E", "K"];

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
    if profile.is_difference {
        return differences(canvas, area, buf);
    }
    let inks = Inks::new(canvas);
    let row_at = |row: usize| Rect { y: area.y + row as u16, height: 1, ..area };
    for (row, parts) in profile.rows.iter().enumerate().take(usize::from(area.height)) {
        // Blanks in the colour of the curve that may come to cross them: a curve that moves then needs no colour codes.
        let side = if row as i64 > profile.price_row { canvas.theme.long } else { canvas.theme.short };
        buf.set_style(row_at(row), side);
        bar(&inks, parts, widths.bar, row_at(row), buf);
    }
    let place = |(row, usd): (usize, f64)| {
        let x = usd / widths.curve.max(f64::MIN_POSITIVE) * f64::from(area.width - 1);
        (row_at(row).y, (x as u16).min(area.width - 1))
    };
    curve(profile.below().map(place), area.x, ["╮", "╰"], canvas.theme.long, buf);
    curve(profile.above().map(place), area.x, ["╯", "╭"], canvas.theme.short, buf);

    axes(canvas, area, buf);

    let [long, short] = totals::sides(app);
    let heavier = |side: Side| match totals::heavier(app) {
        // The heat leaves some of it out: the totals never do.
        _ if app.settings.model == Model::Precise => " · all tiers",
        Some(heavier) if heavier == side => " ◂ heavier",
        _ => "",
    };
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

/// Below the panel: what its width stands for, for a bar and for a curve.
fn axes(canvas: &Canvas<'_>, area: Rect, buf: &mut Buffer) {
    let (widths, theme) = (canvas.app.widths(), &canvas.theme);
    let row = Rect { y: canvas.layout.times.y, height: 1, ..area };
    let pieces = vec![
        text::Piece::new(2, format!("bars to {}", text::usd(widths.bar)), theme.dim),
        text::Piece::new(1, format!("curves to {}", text::usd(widths.curve)), theme.dim),
    ];
    text::pieces(buf, row, vec![text::Piece::new(0, "$0", theme.dim)], pieces);
}

/// What was built to the right of the middle, what was removed to the left, row by row.
fn differences(canvas: &Canvas<'_>, area: Rect, buf: &mut Buffer) {
    let (profile, theme) = (canvas.app.profile(), &canvas.theme);
    let half = area.width / 2;
    let cells = f64::from(half - 1) / canvas.app.widths().bar;
    let middle = area.x + half;
    for (y, parts) in profile.rows.iter().enumerate().take(usize::from(area.height)) {
        let y = area.y + y as u16;
        buf[(middle, y)].set_symbol("│").set_style(theme.dim);
        let [built, removed] = [parts[0], parts[1]].map(|usd| ((usd * cells).round() as u16).min(half - 1));
        for (x, colour, letter) in (1..=built)
            .map(|i| (middle + i, theme.built, "+"))
            .chain((1..=removed).map(|i| (middle - i, theme.removed, "-")))
        {
            let cell = &mut buf[(x.min(area.right() - 1), y)];
            if theme.colours {
                cell.set_symbol(" ").set_bg(colour);
            } else {
                cell.set_symbol(letter);
            }
        }
    }
    let [built, removed] = profile.changed();
    let [more, less] = canvas.app.selection().view.signs();
    for (y, usd, word, colour) in
        [(area.y, built, more, theme.built), (area.bottom() - 1, -removed, less, theme.removed)]
    {
        let row = Rect { y, height: 1, ..area };
        buf.set_string(row.x, y, " ".repeat(usize::from(area.width)), Style::reset());
        let words = format!("{} {word} in view", text::usd_signed(usd));
        text::line(buf, row, &words, theme.strong.fg(colour));
    }
}

/// How the parts of a bar look.
struct Inks {
    colours: [Color; TIERS],
    /// What stands for them where there are no colours.
    letters: Option<[String; TIERS]>,
}

impl Inks {
    fn new(canvas: &Canvas<'_>) -> Self {
        let theme = &canvas.theme;
        let (colours, letters) = match canvas.app.profile().by {
            MapBy::Tier => (theme.tiers, LETTERS.map(str::to_owned)),
            MapBy::Venue => {
                let venues = canvas.app.snapshot().venues.iter().map(|v| v.venue);
                let letters = names::letters(venues);
                let mut parts =
                    std::array::from_fn(|i| letters.get(i).map(char::to_string).unwrap_or_default());
                // The last stands for all from its place on.
                if letters.len() > TIERS {
                    "+".clone_into(&mut parts[TIERS - 1]);
                }
                (theme.venues, parts)
            }
        };
        Self { colours, letters: (!theme.colours).then_some(letters) }
    }

    /// The mark of a part in the legend.
    fn mark(&self, part: usize) -> &str {
        self.letters.as_ref().map_or("■", |letters| &letters[part])
    }
}

/// One row: parts stacked from the left, lowest leverage or first venue first, to an eighth of a cell.
fn bar(inks: &Inks, row: &Parts, widest: f64, area: Rect, buf: &mut Buffer) {
    let eighths = f64::from(area.width) * 8.0 / widest;
    let mut ends = [0_usize; TIERS];
    let mut sum = 0.0;
    for (end, usd) in ends.iter_mut().zip(row) {
        sum += usd;
        *end = (sum * eighths).round() as usize;
    }
    let full = ends[TIERS - 1];
    let part_at = |eighth: usize| ends.iter().position(|end| eighth < *end);
    for x in 0..usize::from(area.width) {
        let (from, to) = (8 * x, 8 * x + 8);
        let Some(part) = part_at(from) else { break };
        let cell = &mut buf[(area.x + x as u16, area.y)];
        if let Some(letters) = &inks.letters {
            cell.set_symbol(&letters[part]);
            continue;
        }
        let end = ends[part].min(to);
        if end == to {
            // A space: some fonts leave gaps between full blocks.
            cell.set_symbol(" ").set_bg(inks.colours[part]);
            continue;
        }
        cell.set_symbol(PARTS[end - from]).set_fg(inks.colours[part]);
        if end < full {
            cell.bg = part_at(end).map_or(Color::Reset, |p| inks.colours[p]);
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
        let (scale, curve) = (canvas.app.scale(), canvas.app.settings.curve);
        let title = match (scale.locked, scale.relative, curve) {
            (true, ..) => " LOCKED",
            (_, true, _) => "relative",
            (.., Curve::Log) => " USD log",
            (.., Curve::Linear) => " USD lin.",
            (.., Curve::Sqrt) => " est. USD",
        };
        text::line(buf, Rect { width: legend.width, ..area }, title, theme.dim);
    }
    let heat = canvas.layout.heat;
    let heat = Rect { x: heat.x + 2, width: heat.width - 2, ..area };
    let title = match canvas.app.selection().view {
        View::Ours => "estimated liquidation levels".to_owned(),
        View::Preset(preset) => format!("not ours: levels by the rule {preset}"),
        View::Against(preset) => format!("our levels less those by the rule {preset}"),
        View::Change(ms) => format!("estimated levels built and removed in {}", text::span(ms)),
    };
    let left = vec![text::Piece::new(1, title, theme.dim)];
    let zone = |mark: &str, side: Side| {
        canvas.app.pools().watched(side).map(|z| {
            let words = format!(
                "{mark} {} at {} ({})",
                text::usd(z.pool.usd),
                text::price(z.price, text::decimals(z.price).saturating_sub(1)),
                text::percent(z.distance)
            );
            text::Piece::new(0, words, theme.zone)
        })
    };
    let mut right: Vec<text::Piece<'_>> =
        [zone("▲", Side::Short), zone("▼", Side::Long)].into_iter().flatten().collect();
    if !right.is_empty() {
        right.insert(0, text::Piece::new(2, "pools", theme.dim));
    }
    text::pieces(buf, heat, left, right);
    if let Some(map) = canvas.layout.map {
        legend(canvas, Rect { x: map.x, width: map.width, ..area }, buf);
    }
}

/// Which colour or letter is which tier or venue.
fn legend(canvas: &Canvas<'_>, area: Rect, buf: &mut Buffer) {
    let (app, theme) = (canvas.app, &canvas.theme);
    let selection = app.selection();
    if app.profile().is_difference {
        let [more, less] = selection.view.signs();
        let [plus, minus] = if theme.colours { ["■", "■"] } else { ["+", "-"] };
        text::line(buf, area, &format!("{minus}{less}"), Style::new().fg(theme.removed));
        let rest = Rect { x: area.x + area.width / 2, width: area.width - area.width / 2, ..area };
        text::line(buf, rest, &format!("{plus}{more}"), Style::new().fg(theme.built));
        return;
    }
    let parts: Vec<(String, bool)> = match app.profile().by {
        MapBy::Tier => {
            let known = app.totals().iter().any(|side| side[Tier::Known.index()] > 0.0);
            // Measured positions have a place where there are any; the names then need the room of an x.
            let tiers = if known { &Tier::ALL[..] } else { &Tier::MODELLED };
            let name = |t: Tier| if known { t.key().to_owned() } else { t.label().to_owned() };
            tiers.iter().map(|t| (name(*t), selection.tiers.contains(*t))).collect()
        }
        MapBy::Venue => {
            let venues = app.snapshot().venues.iter().map(|v| v.venue);
            let name = |v| (names::short(&v).to_owned(), !selection.hidden.contains(&v));
            let mut parts: Vec<(String, bool)> = venues.map(name).collect();
            if parts.len() > 6 {
                parts.truncate(5);
                parts.push(("others".to_owned(), true));
            }
            parts
        }
    };
    let inks = Inks::new(canvas);
    let mut x = area.x;
    for (part, (name, on)) in parts.iter().enumerate() {
        let rest = Rect { x, width: area.right().saturating_sub(x), ..area };
        let mark = if *on && theme.colours { Style::new().fg(inks.colours[part]) } else { theme.dim };
        text::line(buf, rest, inks.mark(part), mark);
        let rest = Rect { x: x + 1, width: rest.width.saturating_sub(1), ..rest };
        // A tier that is off keeps its place; a venue's name is needed to know which is off.
        let words = match (on, app.profile().by) {
            (true, _) => name.clone(),
            (false, MapBy::Tier) => "off".to_owned(),
            (false, MapBy::Venue) => format!("{name} off"),
        };
        text::line(buf, rest, &words, theme.dim);
        x += words.len() as u16 + 2;
    }
}
