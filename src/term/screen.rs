//! The screen that is drawn on: it knows what the terminal shows, writes nothing when nothing changed, and everything else in few
//! bytes as one synchronized update.

use std::io::{self, Write};

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect, Size};

use super::encode::Encoder;
use super::tile::Grid;

/// Begin and end of a synchronized update (DEC private mode 2026): a frame is shown whole. Who does not know it ignores it.
const SYNCHRONIZED: [&[u8]; 2] = [b"\x1b[?2026h", b"\x1b[?2026l"];
/// Erases the display (ED, ECMA-48, 8.3.39).
const ERASE: &[u8] = b"\x1b[2J";

/// Draws on a writer by differences from its own copy of the screen.
///
/// Stands where ratatui's `Terminal` would: that one keeps two pictures of its own, compares them cell by cell, and hands on what
/// differs; here the one picture is compared with what the terminal shows.
#[derive(Debug)]
pub struct Screen<W: Write> {
    out: W,
    /// What the next frame is drawn into.
    picture: Buffer,
    /// What the terminal shows.
    shown: Grid,
    /// What it shall show.
    wanted: Grid,
    /// An area that moves left by some columns with the next frame.
    moving: Option<(Rect, u16)>,
    /// Whether the terminal repeats blanks on request.
    repeats: bool,
    /// Bytes that go before the cells of the next frame.
    before: Vec<u8>,
}

impl<W: Write> Screen<W> {
    /// A screen on a writer with a cleared terminal of a size; a frame is one write.
    pub fn new(out: W, size: Size) -> Self {
        Self {
            out,
            picture: Buffer::empty(Rect::from((Position::ORIGIN, size))),
            shown: Grid::blank(size),
            wanted: Grid::blank(size),
            moving: None,
            repeats: false,
            before: Vec::new(),
        }
    }

    /// Says whether the terminal is known to repeat the last character on request (REP).
    #[must_use]
    pub fn repeating(mut self, repeats: bool) -> Self {
        self.repeats = repeats;
        self
    }

    /// The size drawn for, cells.
    pub fn size(&self) -> Size {
        self.picture.area.as_size()
    }

    /// Draws for another size from now on, on a cleared terminal.
    pub fn resize(&mut self, size: Size) {
        self.picture.resize(Rect::from((Position::ORIGIN, size)));
        self.clear();
    }

    /// Has the terminal cleared with the next frame: nobody knows what it shows.
    pub fn clear(&mut self) {
        (self.shown, self.wanted) = (Grid::blank(self.size()), Grid::blank(self.size()));
        self.moving = None;
        self.before = ERASE.to_vec();
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
    ///
    /// # Errors
    ///
    /// If the terminal is gone.
    pub fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.out.flush()
    }

    /// Shows what is drawn into a blank buffer of the screen's size.
    ///
    /// # Errors
    ///
    /// If the terminal is gone.
    pub fn draw(&mut self, picture: impl FnOnce(&mut Buffer)) -> io::Result<()> {
        self.picture.reset();
        picture(&mut self.picture);
        let width = usize::from(self.wanted.width()).max(1);
        let rows = (0..).zip(self.picture.content.chunks(width));
        let touched: Vec<u16> =
            rows.filter_map(|(y, row)| self.wanted.put_row(y, row).then_some(y)).collect();
        let mut bytes = std::mem::take(&mut self.before);
        bytes.extend(self.encode(&touched));
        if !bytes.is_empty() {
            self.say(&[SYNCHRONIZED[0], &bytes, SYNCHRONIZED[1]].concat())?;
        }
        for y in touched {
            self.shown.copy_row(y, &self.wanted);
        }
        Ok(())
    }

    /// The bytes that lead to the wanted screen, by the shorter way.
    fn encode(&mut self, touched: &[u16]) -> Vec<u8> {
        let mut plain = Encoder::new(&self.wanted, self.repeats);
        plain.update(&self.shown, touched.iter().copied());
        let plain = plain.finish();
        let Some((area, columns)) = self.moving.take() else { return plain };
        let mut shifted = self.shown.clone();
        let mut shift = Encoder::new(&self.wanted, self.repeats);
        shift.shift(&mut shifted, area, columns);
        shift.update(&shifted, 0..self.wanted.height());
        Some(shift.finish()).filter(|bytes| bytes.len() < plain.len()).unwrap_or(plain)
    }
}
