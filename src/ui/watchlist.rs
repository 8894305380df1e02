//! The watchlist: what is known of each asset. Pools and changes are known of the one that runs; of the others what venues' lists
//! tell.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::market::{Asset, Side};

use super::table::{self, Field};
use super::{Canvas, text};

const FIELDS: [Field; 6] = [
    Field::words("  asset", 10, 0),
    Field::number("price", 9, 1),
    Field::number("24h", 7, 2),
    Field::number("pool above", 14, 3),
    Field::number("pool below", 14, 3),
    Field::number("24h USD", 7, 4),
];

/// Draws the popup; `cursor` is the row that is chosen.
pub fn draw(canvas: &Canvas<'_>, cursor: usize, buf: &mut Buffer) {
    let (app, popup) = (canvas.app, canvas.theme.popup);
    let list = app.watchlist();
    let room = buf.area.width.saturating_sub(4);
    let width = table::width(&FIELDS).min(room);
    let inside = super::popup_box(canvas, buf, "watchlist", width, list.len() as u16 + 2);
    let visible = inside.height.saturating_sub(2).max(1);
    let top = (cursor + 1).saturating_sub(usize::from(visible));
    let rows = list.iter().enumerate().skip(top).take(usize::from(visible)).map(|(i, asset)| {
        let style = if i == cursor { popup.patch(canvas.theme.strong) } else { popup };
        let mark = if i == cursor { "›" } else { " " };
        // A long name is cut: it is no number.
        let name = format!("{mark} {}", text::pad(asset.as_str(), 8).trim_end());
        std::iter::once(name).chain(facts(canvas, *asset)).map(|words| (words, style)).collect()
    });
    let area = Rect { height: inside.height.saturating_sub(1), ..inside };
    table::draw(
        buf,
        area,
        &FIELDS,
        Some(popup.patch(canvas.theme.dim)),
        rows.collect::<Vec<Vec<(String, Style)>>>(),
    );
    let last = Rect { y: inside.bottom().saturating_sub(1), height: 1, ..inside };
    let hint = vec![
        text::Piece::new(0, "enter: watch", popup.patch(canvas.theme.dim)),
        text::Piece::new(1, "esc: close", popup.patch(canvas.theme.dim)),
        text::Piece::new(2, "- not known: one asset runs at a time", popup.patch(canvas.theme.dim)),
    ];
    text::pieces(buf, last, hint, Vec::new());
}

/// Price, change over a day, pools, volume of a day.
fn facts(canvas: &Canvas<'_>, asset: Asset) -> [String; 5] {
    let app = canvas.app;
    let dash = || "-".to_owned();
    let info = app.latest().assets.iter().find(|a| a.asset == asset);
    let volume = info.and_then(|a| a.day_usd).map_or_else(dash, |usd| text::usd(usd as f64));
    if asset != app.snapshot().asset {
        return [dash(), dash(), dash(), dash(), volume];
    }
    let pool = |side: Side| {
        let pool = app.pools().nearest(side);
        pool.map_or_else(dash, |p| format!("{} {}", text::usd(p.pool.usd), text::percent(p.distance)))
    };
    [
        app.price().map_or_else(dash, |p| text::price(p, text::decimals(p))),
        app.market().day_change.map_or_else(dash, text::percent),
        pool(Side::Short),
        pool(Side::Long),
        volume,
    ]
}
