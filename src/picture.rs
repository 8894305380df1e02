//! Pictures: a frame of the screen as text and as PNG, and the heatmap as an image for terminals that draw some.

mod colour;
mod file;
mod glyph;
mod heat;
mod raster;
mod text;

use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::app::App;
use crate::ui::{self, Medium};

pub use colour::{GROUND, INK, Rgb};
pub use file::{save, save_new};
pub use glyph::{HEIGHT, WIDTH};
pub use heat::{Heat, HeatPixels, ROWS};
pub use raster::Pixels;
pub use text::{Form, write_text};

/// The frame an app shows, as large as the app believes its terminal to be.
pub fn frame(app: &App) -> Buffer {
    let (width, height) = app.size();
    let mut buf = Buffer::empty(Rect::new(0, 0, width, height));
    ui::draw(app, &mut buf, Medium::Picture);
    buf
}

/// What a picture's file is called without its ending: `meltline-BTC-20260613-120005Z`, by the time of the newest event that is
/// drawn (UTC), or `meltline-BTC` before the first.
pub fn file_stem(app: &App) -> String {
    let drawn = app.snapshot();
    let asset: String =
        drawn.asset.as_str().chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    let time = jiff::Timestamp::from_millisecond(drawn.now).ok().filter(|_| drawn.now > 0);
    let time = time.map(|t| t.to_zoned(TimeZone::UTC).strftime("-%Y%m%d-%H%M%SZ").to_string());
    format!("meltline-{asset}{}", time.unwrap_or_default())
}
