//! The terminal: what it can do, drawing on it in few bytes, and leaving it as it was found.

pub mod backend;
pub mod caps;
pub mod clipboard;
mod encode;
pub mod guard;
pub mod kitty;
pub mod query;
mod tile;
pub mod way;

use std::fs::File;
use std::io;

use ratatui::Terminal;

/// The terminal on standard output.
pub type Screen = Terminal<backend::QuietBackend<File>>;

/// Opens the terminal on standard output for drawing. Not by the standard library's handle: that one writes a frame in pieces of its
/// line buffer.
pub fn open(caps: &caps::Caps) -> io::Result<Screen> {
    let out = File::from(rustix::io::dup(rustix::stdio::stdout())?);
    Terminal::new(backend::QuietBackend::new(out).repeating(caps.repeats))
}
