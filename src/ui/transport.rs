//! How a replay does: what it does, how fast, its clock, and how far it is.

use ratatui::buffer::Buffer;
use ratatui::style::Style;
use ratatui::text::Span;

use crate::app::seek::{FORMS, Prompt};
use crate::engine::playback::{Motion, Playback};

use super::text::{self, Piece};
use super::{Canvas, Rect};

/// Cells of the bar.
const BAR: usize = 12;

/// A sign for what a replay does; and without colours.
pub fn sign(canvas: &Canvas<'_>, motion: Motion) -> &'static str {
    let [sign, plain] = match motion {
        Motion::Playing => ["▶", ">"],
        Motion::Paused => ["‖", "||"],
        Motion::Ended => ["■", "[]"],
        Motion::Seeking(_) | Motion::Searching => ["»", ">>"],
    };
    if canvas.theme.colours { sign } else { plain }
}

/// The transport in pieces, for the last row.
pub fn pieces(canvas: &Canvas<'_>, playback: &Playback) -> Vec<Piece<'static>> {
    let theme = &canvas.theme;
    let mut pieces =
        vec![Piece::new(0, format!(" {} {}", sign(canvas, playback.motion), playback.speed), theme.strong)];
    let word = match playback.motion {
        Motion::Playing => String::new(),
        Motion::Paused => "paused".to_owned(),
        Motion::Ended => "end".to_owned(),
        Motion::Seeking(target) => format!("going to {}", text::time(target, "%m-%d %H:%M")),
        Motion::Searching => "looking".to_owned(),
    };
    if !word.is_empty() {
        pieces.push(Piece::new(1, word, Style::new()));
    }
    // To the minute: the seconds run in the first row.
    pieces.push(Piece::new(1, text::time(playback.at, "%Y-%m-%d %H:%MZ"), Style::new()));
    let done = (playback.share * BAR as f64).round() as usize;
    let [on, off] = if theme.colours { ["━", "┄"] } else { ["=", "-"] };
    let mut bar = Piece::new(9, on.repeat(done.min(BAR)), theme.good);
    bar.spans.push(Span::styled(off.repeat(BAR.saturating_sub(done)), theme.dim));
    pieces.push(bar);
    // All of it only at the end.
    let percent = (100.0 * playback.share).floor();
    pieces.push(Piece::new(2, format!("{percent:.0}%"), Style::new()));
    if !playback.told.is_empty() {
        pieces.push(Piece::new(1, playback.told.to_string(), theme.warn));
    }
    pieces
}

/// Draws the prompt for a time.
pub fn draw_prompt(canvas: &Canvas<'_>, prompt: &Prompt, buf: &mut Buffer) {
    let theme = &canvas.theme;
    let inside = super::popup_box(canvas, buf, "go to (UTC)", text::width(FORMS) as u16, 2);
    if inside.is_empty() {
        return;
    }
    text::line(buf, inside, &format!("> {}▏", prompt.text), theme.popup.patch(theme.strong));
    let below = Rect { y: inside.y + 1, height: inside.height.saturating_sub(1), ..inside };
    if prompt.is_refused {
        text::line(buf, below, &format!("no time: {FORMS}"), theme.popup.patch(theme.warn));
    } else {
        text::line(buf, below, FORMS, theme.popup.patch(theme.dim));
    }
}
