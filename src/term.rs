//! The terminal: what it can do, and leaving it as it was found.

pub mod backend;
pub mod caps;
pub mod clipboard;
pub mod guard;
pub mod kitty;

use std::io::{self, BufWriter, Stdout};

use ratatui::Terminal;

/// A frame is larger than the standard library's line buffer; this holds the largest, so that it is one write.
const FRAME_BYTES: usize = 256 * 1024;

/// The terminal on standard output.
pub type Screen = Terminal<backend::QuietBackend<BufWriter<Stdout>>>;

/// Opens the terminal on standard output for drawing.
pub fn open() -> io::Result<Screen> {
    Terminal::new(backend::QuietBackend::new(BufWriter::with_capacity(FRAME_BYTES, io::stdout())))
}
