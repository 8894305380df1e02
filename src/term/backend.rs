//! A backend that knows what the terminal shows: it writes nothing when nothing changed, and everything else in few bytes as one
//! synchronized update.

use std::io::{self, Write};

use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::{Cell, CellWidth};
use ratatui::layout::{Position, Rect, Size};

use super::encode::Encoder;
use super::tile::Grid;

/// Begin and end of a synchronized update (DEC private mode 2026): a frame is shown whole. Who does not know it ignores it.
const SYNCHRONIZED: [&[u8]; 2] = [b"\x1b[?2026h", b"\x1b[?2026l"];

/// Draws on a writer by differences from its own copy of the screen.
#[derive(Debug)]
pub struct QuietBackend<W: Write> {
    inner: CrosstermBackend<W>,
    /// What the terminal shows.
    shown: Grid,
    /// What it shall show.
    wanted: Grid,
    /// The size the terminal said last; of one that was never asked it is learnt from what is drawn.
    size: std::cell::Cell<Size>,
    /// The rows in which the two may differ.
    touched: Vec<bool>,
    /// An area that moves left by some columns with the next frame.
    moving: Option<(Rect, u16)>,
    /// Whether the terminal repeats blanks on request.
    repeats: bool,
    /// The frame that waits for its flush.
    frame: Vec<u8>,
    /// Bytes that go before the cells of the next frame.
    before: Vec<u8>,
}

impl<W: Write> QuietBackend<W> {
    /// A backend on a writer with a cleared screen; a frame is one write.
    pub fn new(writer: W) -> Self {
        Self {
            inner: CrosstermBackend::new(writer),
            shown: Grid::default(),
            wanted: Grid::default(),
            size: std::cell::Cell::default(),
            touched: Vec::new(),
            moving: None,
            repeats: false,
            frame: Vec::new(),
            before: Vec::new(),
        }
    }

    /// Says whether the terminal is known to repeat the last character on request (REP).
    #[must_use]
    pub fn repeating(mut self, repeats: bool) -> Self {
        self.repeats = repeats;
        self
    }

    /// Tells that what the area shows will be left by so many columns in the next frame. The terminal may then move it by itself;
    /// it is asked to where that takes fewer bytes.
    pub fn shift(&mut self, area: Rect, columns: u16) {
        self.moving = Some((area, columns)).filter(|_| columns > 0);
    }

    /// Puts bytes before the cells of the next frame, within the same synchronized update; the cursor may be left anywhere.
    pub fn put_before(&mut self, bytes: &[u8]) {
        self.before.extend_from_slice(bytes);
    }

    /// Writes something that shows nothing, after the frames before it.
    pub fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_all(bytes)?;
        Backend::flush(&mut self.inner)
    }

    fn touch(&mut self, y: u16) {
        let y = usize::from(y);
        if y >= self.touched.len() {
            self.touched.resize(y + 1, false);
        }
        self.touched[y] = true;
    }

    /// The bytes that lead to the wanted screen, by the shorter way.
    fn encode(&mut self) -> Vec<u8> {
        let rows = (0_u16..).zip(&self.touched).filter(|(_, touched)| **touched).map(|(y, _)| y);
        let mut plain = Encoder::new(&self.wanted, self.repeats);
        plain.update(&self.shown, rows);
        let plain = plain.finish();
        let Some((area, columns)) = self.moving.take() else { return plain };
        let mut shifted = self.shown.clone();
        let mut shift = Encoder::new(&self.wanted, self.repeats);
        shift.shift(&mut shifted, area, columns);
        shift.update(&shifted, 0..self.wanted.height());
        Some(shift.finish()).filter(|bytes| bytes.len() < plain.len()).unwrap_or(plain)
    }
}

impl<W: Write> Backend for QuietBackend<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let Size { width, height } = self.size.get();
        self.wanted.hold(width, height);
        for (x, y, cell) in content {
            if width == 0 {
                self.wanted.hold(x + cell.cell_width().max(1), y + 1);
            }
            self.wanted.put(x, y, cell);
            self.touch(y);
        }
        self.shown.hold(self.wanted.width(), self.wanted.height());
        let mut bytes = std::mem::take(&mut self.before);
        bytes.extend(self.encode());
        if !bytes.is_empty() {
            self.frame = [SYNCHRONIZED[0], &bytes, SYNCHRONIZED[1]].concat();
        }
        for (y, touched) in (0_u16..).zip(&mut self.touched) {
            if std::mem::take(touched) {
                self.shown.copy_row(y, &self.wanted);
            }
        }
        Ok(())
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
        self.clear_region(ClearType::All)
    }

    /// Clears the whole screen, whichever part is meant: ratatui draws everything anew after each of them.
    fn clear_region(&mut self, _: ClearType) -> io::Result<()> {
        // The next frame may be of another size.
        self.shown.clear(0, 0);
        self.wanted.clear(0, 0);
        self.inner.clear()
    }

    fn size(&self) -> io::Result<Size> {
        let size = self.inner.size()?;
        self.size.set(size);
        Ok(size)
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.inner.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.frame.is_empty() {
            return Ok(());
        }
        self.inner.write_all(&std::mem::take(&mut self.frame))?;
        Backend::flush(&mut self.inner)
    }
}
