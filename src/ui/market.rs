//! The market in figures: open interest, funding, what was liquidated in a day, and the skew of the estimate.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::app::figures::Figures;
use crate::app::names;

use super::table::{self, Field};
use super::{Canvas, text, totals};

const FIELDS: [Field; 8] = [
    Field::words("", 4, 0),
    Field::number("OI", 6, 0),
    Field::number("1h", 5, 2),
    Field::number("24h", 5, 1),
    Field::number("fund/8h", 8, 1),
    Field::number("/year", 5, 4),
    Field::number("longs", 5, 3),
    Field::number("shorts", 6, 3),
];

/// Draws the panel if it has a room.
pub fn draw(canvas: &Canvas<'_>, buf: &mut Buffer) {
    let Some(area) = canvas.layout.market else { return };
    let (app, theme) = (canvas.app, &canvas.theme);
    let market = app.market();
    let known = text::span(market.known.div_euclid(3_600_000) * 3_600_000);
    let note =
        if market.known >= 3_600_000 { format!("longs, shorts: liquidated {known}") } else { String::new() };
    let inside = super::panel(canvas, buf, area, "OI · funding · skew", &note);
    if inside.height < 3 {
        return;
    }
    let all = (market.venues.len() != 1).then_some(("all".to_owned(), market.all));
    let venues = market.venues.iter().map(|(venue, f)| (names::short(venue).to_owned(), *f));
    let rows = all.into_iter().chain(venues).enumerate().map(|(i, (name, figures))| {
        let style = if i == 0 { theme.strong } else { Style::new() };
        row(name, &figures, style, theme.dim)
    });
    table::draw(
        buf,
        Rect { height: inside.height - 1, ..inside },
        &FIELDS,
        Some(theme.dim),
        rows.collect::<Vec<_>>(),
    );
    // Below the rows there are, or in the last one.
    let lines = 1 + market.venues.len() as u16 + u16::from(market.venues.len() != 1);
    let y = inside.y + lines.min(inside.height - 1);
    skew(canvas, Rect { y, height: 1, ..inside }, buf);
}

fn row(name: String, figures: &Figures, style: Style, dim: Style) -> Vec<(String, Style)> {
    let or_dash = |words: Option<String>| words.map_or_else(|| ("-".to_owned(), dim), |w| (w, style));
    let percent = |share: Option<f64>, digits: usize| share.map(|s| format!("{:+.digits$}%", 100.0 * s));
    let change = |share: Option<f64>| percent(share, usize::from(!share.is_some_and(|s| s.abs() >= 0.1)));
    let liquidated = |usd: f64| (usd > 0.0).then(|| text::usd(usd));
    vec![
        (name, style),
        or_dash(figures.oi_usd.map(text::usd)),
        or_dash(change(figures.oi_change[0])),
        or_dash(change(figures.oi_change[1])),
        or_dash(percent(figures.funding, 4)),
        or_dash(change(figures.yearly())),
        or_dash(liquidated(figures.liquidated[0])),
        or_dash(liquidated(figures.liquidated[1])),
    ]
}

/// How the estimate leans, near price and in all.
fn skew(canvas: &Canvas<'_>, area: Rect, buf: &mut Buffer) {
    let theme = &canvas.theme;
    let share = |[long, short]: [f64; 2]| {
        let longs = (long + short > 0.0).then(|| (100.0 * long / (long + short)).round());
        longs.map_or_else(|| "-".to_owned(), |longs| format!("{longs:.0}:{:.0}", 100.0 - longs))
    };
    let near = format!("within 5% {}", share(canvas.app.market().near));
    let all = format!("all {}", share(totals::sides(canvas.app)));
    let left = vec![
        text::Piece::new(2, "longs:shorts est.", theme.dim),
        text::Piece::new(1, near, Style::new()),
        text::Piece::new(3, all, Style::new()),
    ];
    text::pieces(buf, area, left, Vec::new());
}
