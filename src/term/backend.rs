//! A backend that writes nothing when nothing changed, and everything else as one synchronized update.

use std::io::{self, Write};

use crossterm::queue;
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};

/// Wraps crossterm's backend. The stock one writes resets, hides the cursor and flushes on every frame, changed or not.
#[derive(Debug)]
pub struct QuietBackend<W: Write> {
    inner: CrosstermBackend<W>,
    written: bool,
}

impl<W: Write> QuietBackend<W> {
    /// A backend on a buffered writer; it is flushed once a frame.
    pub fn new(writer: W) -> Self {
        Self { inner: CrosstermBackend::new(writer), written: false }
    }
}

/// Closes the synchronized update on every way out: a terminal left waiting would stand still.
struct Synchronized<'a, W: Write>(&'a mut CrosstermBackend<W>);

impl<'a, W: Write> Synchronized<'a, W> {
    fn begin(inner: &'a mut CrosstermBackend<W>) -> io::Result<Self> {
        queue!(inner, BeginSynchronizedUpdate)?;
        Ok(Self(inner))
    }
}

impl<W: Write> Drop for Synchronized<'_, W> {
    fn drop(&mut self) {
        // A failing write shows at the flush that follows.
        let _ = queue!(self.0, EndSynchronizedUpdate);
    }
}

impl<W: Write> Backend for QuietBackend<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut content = content.peekable();
        if content.peek().is_none() {
            return Ok(());
        }
        self.written = true;
        Synchronized::begin(&mut self.inner)?.0.draw(content)
    }

    // The guard hides the cursor once and shows it when it leaves. Ratatui would say so on every frame, and its terminal
    // prints to standard error, and panics, if the cursor cannot be shown on a terminal that is gone.

    fn hide_cursor(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        self.inner.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.inner.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.inner.clear()
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        self.inner.clear_region(clear_type)
    }

    fn size(&self) -> io::Result<Size> {
        self.inner.size()
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.inner.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.written) { Backend::flush(&mut self.inner) } else { Ok(()) }
    }
}
