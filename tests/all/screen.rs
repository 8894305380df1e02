//! What the screen tests share: an app on a market, keys by name, and the text of a frame.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use meltline::app::settings::Depth;
use meltline::app::{App, Effect, Message, Settings};
use meltline::engine::Snapshot;
use meltline::ui::{self, Medium};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Minutes behind the market of the pictures: a day and an hour.
pub const MINUTES: i64 = 1_500;

/// Settings without colours: a frame is then all in its text.
pub fn plain() -> Settings {
    Settings { depth: Depth::None, ..Settings::default() }
}

/// An app of a size on a picture.
pub fn app(settings: Settings, snapshot: Arc<Snapshot>, width: u16, height: u16) -> App {
    let mut app = App::new(settings, snapshot);
    app.update(Message::Resize(width, height));
    app
}

/// A key by its character.
pub fn key(c: char) -> KeyEvent {
    KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)
}

/// Presses a key that has no character.
pub fn press(app: &mut App, code: KeyCode) -> Effect {
    app.update(Message::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

/// Presses one key after another; the effect of the last.
pub fn typed(app: &mut App, keys: &str) -> Effect {
    keys.chars().fold(Effect::None, |_, c| app.update(Message::Key(key(c))))
}

/// Draws one frame.
pub fn frame(app: &App) -> Buffer {
    let (width, height) = app.size();
    let mut picture = Buffer::empty(Rect::new(0, 0, width, height));
    ui::draw(app, &mut picture, Medium::Terminal);
    picture
}

/// The text of a frame, a line a row, without the blanks at the ends.
pub fn text(app: &App) -> String {
    let buffer = frame(app);
    let rows = buffer.content().chunks(usize::from(buffer.area.width.max(1)));
    let mut lines: Vec<String> = Vec::new();
    for row in rows {
        let mut line = String::new();
        let mut skip = 0;
        for cell in row {
            // A wide character owns the cell behind it.
            if skip == 0 {
                line.push_str(cell.symbol());
                skip = ratatui::text::Span::raw(cell.symbol()).width().saturating_sub(1);
            } else {
                skip -= 1;
            }
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}
