//! The map: levels by price now, stacked by leverage tier or by venue, with cumulative curves away from price.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};

use crate::app::names;
use crate::app::profile::{MapBy, Parts};
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
        legend(canvas, Rect { x: map.x, width: map.width, ..area }, buf);
    }
}

/// Which colour or letter is which tier or venue.
fn legend(canvas: &Canvas<'_>, area: Rect, buf: &mut Buffer) {
    let (app, theme) = (canvas.app, &canvas.theme);
    let selection = app.selection();
    let parts: Vec<(String, bool)> = match app.profile().by {
        MapBy::Tier => {
            Tier::ALL.map(|t| (t.label().to_owned(), selection.tiers.contains(t))).into_iter().collect()
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
