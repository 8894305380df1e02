//! The terminal: what it can do, drawing on it in few bytes, and leaving it as it was found.

pub mod caps;
pub mod clipboard;
mod encode;
pub mod guard;
pub mod kitty;
pub mod query;
pub mod screen;
mod tile;
pub mod way;

use std::fs::File;
use std::io;

use crossterm::terminal;
use ratatui::layout::Size;

/// The screen on standard output.
pub type Screen = screen::Screen<File>;

/// Opens the terminal on standard output for drawing. Not by the standard library's handle: that one writes a frame in pieces of its
/// line buffer.
pub fn open(caps: &caps::Caps) -> io::Result<Screen> {
    let out = File::from(rustix::io::dup(rustix::stdio::stdout())?);
    Ok(screen::Screen::new(out, size()?).repeating(caps.repeats))
}

/// The terminal's size in cells.
pub fn size() -> io::Result<Size> {
    terminal::size().map(Size::from)
}
