//! Drawing: from the app's state to a frame. Pure; one panel a file.

pub mod palette;

mod axis;
mod bars;
mod candles;
mod crosshair;
mod depth;
mod heatmap;
mod help;
mod legend;
mod map;
mod market;
mod picker;
mod pools;
mod status;
mod switches;
mod table;
mod tape;
mod text;
mod totals;
mod transport;
mod trust;
mod venues;
mod watchlist;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Clear, Widget};

use crate::app::App;
use crate::app::popup::Popup;
use palette::{Ramp, Theme};

/// What a frame is drawn on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// A terminal.
    Terminal,
    /// A terminal that shows an image of the heat under its text.
    OverImage,
    /// A picture that is kept: its last row says what it shows instead of which keys there are.
    Picture,
}

/// What every panel draws with.
struct Canvas<'a> {
    app: &'a App,
    layout: &'a crate::app::Layout,
    medium: Medium,
    theme: Theme,
    ramp: Ramp,
    /// The ramp of the heatmap itself: where an image of the heat is shown, the ground is left for it.
    heat: Ramp,
}

/// The colours of heat.
pub fn ramp(app: &App) -> Ramp {
    let settings = &app.settings;
    let kind = if app.selection().view.is_difference() { Ramp::difference } else { Ramp::new };
    kind(settings.palette(), settings.depth, settings.colour_steps, settings.light)
}

/// Draws the whole screen into a buffer, which is blank.
pub fn draw(app: &App, buf: &mut Buffer, medium: Medium) {
    let area = buf.area;
    let fits = app.size() == (area.width, area.height);
    let Some(layout) = app.layout().filter(|_| fits) else {
        text::line(buf, area, "terminal too small", ratatui::style::Style::new());
        return;
    };
    let settings = &app.settings;
    let ramp = ramp(app);
    let heat = match medium {
        Medium::OverImage => Ramp::clear(settings.colour_steps),
        Medium::Terminal | Medium::Picture => ramp.clone(),
    };
    let canvas = Canvas {
        app,
        layout,
        medium,
        theme: Theme::new(settings.depth, settings.light, settings.candle_colours),
        ramp,
        heat,
    };
    status::draw(&canvas, buf);
    heatmap::draw(&canvas, buf);
    axis::draw_prices(&canvas, buf);
    axis::draw_times(&canvas, buf);
    legend::draw(&canvas, buf);
    map::draw(&canvas, buf);
    totals::draw(&canvas, buf);
    depth::draw(&canvas, buf);
    bars::draw(&canvas, buf);
    pools::draw(&canvas, buf);
    tape::draw(&canvas, buf);
    market::draw(&canvas, buf);
    watchlist::draw_panel(&canvas, buf);
    crosshair::draw(&canvas, buf);
    match app.popup() {
        Some(Popup::Help { page, top }) => help::draw(&canvas, *page, *top, buf),
        Some(Popup::Picker(picker)) => picker::draw(&canvas, picker, buf),
        Some(Popup::Tiers(row)) => switches::draw_tiers(&canvas, *row, buf),
        Some(Popup::Venues(row)) => trust::draw(&canvas, *row, buf),
        Some(Popup::Watchlist(row)) => watchlist::draw(&canvas, *row, buf),
        Some(Popup::Seek(prompt)) => transport::draw_prompt(&canvas, prompt, buf),
        None => {}
    }
}

/// A cleared, framed box for a popup in the middle of a room, as large as wanted if there is room; returns its inside.
fn popup_box(canvas: &Canvas<'_>, buf: &mut Buffer, title: &str, width: u16, height: u16) -> Rect {
    let room = buf.area;
    let (width, height) = ((width + 4).min(room.width), (height + 2).min(room.height));
    let area =
        Rect::new(room.x + (room.width - width) / 2, room.y + (room.height - height) / 2, width, height);
    framed(canvas, buf, title, area)
}

/// A panel's title in the first row of its room, with a note on the right if there is a place for it; returns the room below, a cell
/// of air on both sides.
fn panel(canvas: &Canvas<'_>, buf: &mut Buffer, area: Rect, title: &str, note: &str) -> Rect {
    let dim = canvas.theme.dim;
    let first = Rect { height: 1, ..area };
    text::rule(buf, first, dim);
    text::line(buf, Rect { x: area.x + 1, width: area.width - 1, ..first }, &format!(" {title} "), dim);
    let (used, wanted) = (text::width(title) + 4, text::width(note) + 2);
    if !note.is_empty() && used + wanted + 1 < usize::from(area.width) {
        let place = Rect { width: area.width - 1, ..first };
        text::line_right(buf, place, &format!(" {note} "), dim);
    }
    Rect { x: area.x + 1, y: area.y + 1, width: area.width - 2, height: area.height - 1 }
}

/// Clears an area, frames it, and returns its inside.
fn framed(canvas: &Canvas<'_>, buf: &mut Buffer, title: &str, area: Rect) -> Rect {
    Clear.render(area, buf);
    buf.set_style(area, canvas.theme.popup);
    ratatui::widgets::Block::bordered()
        .border_type(ratatui::widgets::BorderType::Rounded)
        .border_style(canvas.theme.dim)
        .title(format!(" {title} "))
        .title_style(canvas.theme.strong)
        .render(area, buf);
    Rect::new(area.x + 2, area.y + 1, area.width.saturating_sub(4), area.height.saturating_sub(2))
}
