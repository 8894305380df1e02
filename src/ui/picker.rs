//! The symbol picker.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::app::names;
use crate::app::popup::Picker;
use crate::engine::snapshot::AssetInfo;
use crate::market::Venue;

use super::{Canvas, text};

/// Cells for the 24 h volume.
const VOLUME: usize = 6;
/// Cells for the longest symbols; longer ones are cut.
const SYMBOL: usize = 14;
/// From this width on venues have their short names, below it letters.
const NAMES_FROM: u16 = 60;

/// Draws the picker: the query, then what matches: asset, venues that list it, USD traded in a day.
pub fn draw(canvas: &Canvas<'_>, picker: &Picker, buf: &mut Buffer) {
    let theme = &canvas.theme;
    let all = &canvas.app.latest().venues;
    let venues = Venues {
        all: all.iter().map(|v| v.venue).collect(),
        letters: names::letters(all.iter().map(|v| v.venue)),
        wide: buf.area.width >= NAMES_FROM,
    };
    let width = (1 + SYMBOL + 1 + venues.width() + 1 + VOLUME + 1).max(36);
    let inside = super::popup_box(canvas, buf, "symbol", width as u16, 16);
    if inside.is_empty() {
        return;
    }
    text::line(buf, inside, &format!("> {}▏", picker.query), theme.popup.patch(theme.strong));
    text::line_right(buf, inside, "24 h USD ", theme.popup.patch(theme.dim));
    let list = Rect { y: inside.y + 1, height: inside.height - 1, ..inside };
    let height = usize::from(list.height);
    let top = picker.cursor.saturating_sub(height.saturating_sub(1));
    for (i, info) in picker.matches.iter().enumerate().skip(top).take(height) {
        let row = Rect { y: list.y + (i - top) as u16, height: 1, ..list };
        let style = if i == picker.cursor { theme.popup.patch(theme.inverse) } else { theme.popup };
        let room = usize::from(row.width).saturating_sub(VOLUME + 2);
        let left = format!(" {} {}", text::pad(info.asset.as_str(), SYMBOL), venues.of(info));
        let volume = info.day_usd.map(|usd| text::usd(usd as f64)).unwrap_or_default();
        text::line(buf, row, &format!("{} {volume:>VOLUME$} ", text::pad(&left, room)), style);
    }
    if picker.matches.is_empty() {
        let words = match picker.choice() {
            Some(asset) => format!(" enter: ask the venues for {asset}"),
            None => " no symbols yet".to_owned(),
        };
        text::line(buf, list, &words, theme.dim.patch(theme.popup));
    }
}

/// How the venues of an asset are written: each in a place of its own, so that what is missing shows.
struct Venues {
    all: Vec<Venue>,
    letters: Vec<char>,
    wide: bool,
}

impl Venues {
    fn names(&self) -> impl Iterator<Item = (&Venue, String)> {
        let name = |(v, letter): (_, &char)| {
            (v, if self.wide { names::short(v).to_owned() } else { letter.to_string() })
        };
        self.all.iter().zip(&self.letters).map(name)
    }

    fn width(&self) -> usize {
        let gaps = if self.wide { self.all.len().saturating_sub(1) } else { 0 };
        self.names().map(|(_, name)| text::width(&name)).sum::<usize>() + gaps
    }

    fn of(&self, info: &AssetInfo) -> String {
        let place = |(venue, name): (&Venue, String)| {
            if info.venues.contains(venue) { name } else { " ".repeat(text::width(&name)) }
        };
        let places: Vec<String> = self.names().map(place).collect();
        places.join(if self.wide { " " } else { "" })
    }
}
