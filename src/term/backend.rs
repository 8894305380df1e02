//! A backend that writes nothing when nothing changed, and everything else as one synchronized update.

use std::io::{self, Write};

use crossterm::cursor::{MoveDown, MoveLeft, MoveRight, MoveTo};
use crossterm::queue;
use crossterm::style::{Attribute, Print, SetAttribute, SetBackgroundColor, SetForegroundColor};
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use ratatui::backend::IntoCrossterm;
use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::{Cell, CellWidth};
use ratatui::layout::{Position, Size};
use ratatui::style::Modifier;

/// Wraps crossterm's backend. The stock one writes resets, hides the cursor and flushes on every frame, changed or not; and
/// it writes both colours of a cell where one changed.
#[derive(Debug)]
pub struct QuietBackend<W: Write> {
    inner: CrosstermBackend<W>,
    written: bool,
    /// Bytes that go before the cells of the next frame.
    before: Vec<u8>,
    /// Columns of the terminal as it last said; behind the last one the cursor's place is not defined.
    columns: std::cell::Cell<u16>,
}

impl<W: Write> QuietBackend<W> {
    /// A backend on a buffered writer; it is flushed once a frame.
    pub fn new(writer: W) -> Self {
        Self {
            inner: CrosstermBackend::new(writer),
            written: false,
            before: Vec::new(),
            columns: std::cell::Cell::new(u16::MAX),
        }
    }
}

impl<W: Write> QuietBackend<W> {
    /// Puts bytes before the cells of the next frame, within the same synchronized update; the cursor may be left anywhere.
    pub fn put_before(&mut self, bytes: &[u8]) {
        self.before.extend_from_slice(bytes);
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

/// What the terminal writes with and where, within one frame: it begins and ends with nothing set.
struct Pen {
    at: Option<(u16, u16)>,
    columns: u16,
    fg: ratatui::style::Color,
    bg: ratatui::style::Color,
    modifier: Modifier,
}

impl Default for Pen {
    fn default() -> Self {
        let plain = ratatui::style::Color::Reset;
        Self { at: None, columns: u16::MAX, fg: plain, bg: plain, modifier: Modifier::empty() }
    }
}

impl Pen {
    fn draw<'a, W: Write>(
        mut self,
        out: &mut CrosstermBackend<W>,
        content: impl Iterator<Item = (u16, u16, &'a Cell)>,
    ) -> io::Result<()> {
        for (x, y, cell) in content {
            self.go(out, x, y)?;
            self.dress(out, cell)?;
            queue!(out, Print(cell.symbol()))?;
            // Only after one-cell glyphs is the cursor's place beyond doubt on every terminal.
            self.at = (cell.cell_width() == 1 && x + 1 < self.columns).then_some((x + 1, y));
        }
        queue!(out, SetAttribute(Attribute::Reset))
    }

    /// By the shortest way: a heatmap changes in columns, where one step down and back is shorter than an address.
    fn go<W: Write>(&mut self, out: &mut CrosstermBackend<W>, x: u16, y: u16) -> io::Result<()> {
        match self.at {
            Some(at) if at == (x, y) => Ok(()),
            Some((from, row)) if row == y && x > from && x - from < 10 => queue!(out, MoveRight(x - from)),
            Some((from, row)) if row + 1 == y && from >= x && from - x < 10 => {
                queue!(out, MoveDown(1))?;
                if from > x { queue!(out, MoveLeft(from - x)) } else { Ok(()) }
            }
            _ => queue!(out, MoveTo(x, y)),
        }
    }

    fn dress<W: Write>(&mut self, out: &mut CrosstermBackend<W>, cell: &Cell) -> io::Result<()> {
        if cell.modifier != self.modifier {
            // Taking single attributes back differs between terminals; starting over does not.
            queue!(out, SetAttribute(Attribute::Reset))?;
            *self = Self { at: self.at, columns: self.columns, modifier: cell.modifier, ..Self::default() };
            for (flag, attribute) in [
                (Modifier::BOLD, Attribute::Bold),
                (Modifier::DIM, Attribute::Dim),
                (Modifier::ITALIC, Attribute::Italic),
                (Modifier::UNDERLINED, Attribute::Underlined),
                (Modifier::REVERSED, Attribute::Reverse),
                (Modifier::CROSSED_OUT, Attribute::CrossedOut),
            ] {
                if cell.modifier.contains(flag) {
                    queue!(out, SetAttribute(attribute))?;
                }
            }
        }
        // A blank shows no foreground, unless reversed or struck through.
        let shows_fg = cell.symbol() != " " || !cell.modifier.is_empty();
        if shows_fg && cell.fg != self.fg {
            queue!(out, SetForegroundColor(cell.fg.into_crossterm()))?;
            self.fg = cell.fg;
        }
        if cell.bg != self.bg {
            queue!(out, SetBackgroundColor(cell.bg.into_crossterm()))?;
            self.bg = cell.bg;
        }
        Ok(())
    }
}

impl<W: Write> Backend for QuietBackend<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut content = content.peekable();
        let images = std::mem::take(&mut self.before);
        if content.peek().is_none() && images.is_empty() {
            return Ok(());
        }
        self.written = true;
        let update = Synchronized::begin(&mut self.inner)?;
        update.0.write_all(&images)?;
        Pen { columns: self.columns.get(), ..Pen::default() }.draw(update.0, content)
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
        let size = self.inner.size()?;
        self.columns.set(size.width);
        Ok(size)
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.inner.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.written) { Backend::flush(&mut self.inner) } else { Ok(()) }
    }
}
