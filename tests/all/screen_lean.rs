//! The lean encoder shows what ratatui's own shows: a thousand random frames through a terminal each.

use std::cell::RefCell;
use std::io::{self, Write};
use std::num::NonZeroU16;
use std::rc::Rc;

use meltline::term::screen::Screen;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::{Buffer, CellWidth};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::{Terminal, TerminalOptions, Viewport};

const SIZE: (u16, u16) = (70, 22);
/// What moves: between a column on the left and an axis on the right.
const MAP: Rect = Rect::new(6, 2, 50, 16);

/// A writer that keeps what was written.
#[derive(Clone, Default)]
pub struct Tape(pub Rc<RefCell<Vec<u8>>>);

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A cell as an eye sees it: blocks by their two pixels, a blank by its background.
#[derive(Debug, PartialEq)]
pub enum Look {
    /// The rest of a wide glyph.
    Behind,
    Pixels(vt100::Color, vt100::Color),
    Glyph(String, vt100::Color, vt100::Color, [bool; 5]),
}

/// What a terminal shows.
pub fn looks(screen: &vt100::Screen) -> Vec<Look> {
    let (rows, columns) = screen.size();
    let cells = (0..rows.get()).flat_map(|y| (0..columns.get()).map(move |x| (y, x)));
    let look = |(y, x)| {
        let cell = screen.cell(y, x).unwrap();
        let (fg, bg) = (cell.fgcolor(), cell.bgcolor());
        let attributes = [cell.bold(), cell.dim(), cell.italic(), cell.underline(), cell.inverse()];
        let is_plain = !attributes.contains(&true);
        let is_default = fg == vt100::Color::Default || bg == vt100::Color::Default;
        match cell.contents() {
            _ if cell.is_wide_continuation() => Look::Behind,
            // Bold, dim or italic is not seen on a blank.
            "" | " " if !cell.underline() && !cell.inverse() => Look::Pixels(bg, bg),
            "█" if is_plain && fg != vt100::Color::Default => Look::Pixels(fg, fg),
            "▀" if is_plain && !is_default => Look::Pixels(fg, bg),
            "▄" if is_plain && !is_default => Look::Pixels(bg, fg),
            "" => Look::Glyph(" ".to_owned(), fg, bg, attributes.map(|_| false)),
            text => Look::Glyph(text.to_owned(), fg, bg, attributes),
        }
    };
    cells.map(look).collect()
}

/// The first cell in which two terminals differ, in words.
pub fn difference(left: &vt100::Screen, right: &vt100::Screen) -> Option<String> {
    assert_eq!(left.size(), right.size());
    let columns = usize::from(left.size().1.get());
    let mut cells = looks(left).into_iter().zip(looks(right)).enumerate();
    let (i, (left, right)) = cells.find(|(_, (left, right))| left != right)?;
    Some(format!("row {} column {}: {left:?} is not {right:?}", i / columns, i % columns))
}

/// Two terminals show the same.
pub fn assert_same(left: &vt100::Screen, right: &vt100::Screen, when: &str) {
    assert_eq!(difference(left, right), None, "{when}");
}

/// What draws pictures on a tape.
trait Draw {
    fn draw(&mut self, picture: &Buffer);
}

impl Draw for Terminal<CrosstermBackend<Tape>> {
    fn draw(&mut self, picture: &Buffer) {
        Self::draw(self, |frame| frame.buffer_mut().clone_from(picture)).unwrap();
    }
}

impl Draw for Screen<Tape> {
    fn draw(&mut self, picture: &Buffer) {
        Self::draw(self, |buf| buf.clone_from(picture)).unwrap();
    }
}

/// A terminal behind what draws on it, fed with every frame.
struct Shown<D> {
    artist: D,
    tape: Tape,
    parser: vt100::Parser,
}

impl Shown<Terminal<CrosstermBackend<Tape>>> {
    fn stock() -> Self {
        let viewport = Viewport::Fixed(Rect::new(0, 0, SIZE.0, SIZE.1));
        Self::new(|tape| {
            Terminal::with_options(CrosstermBackend::new(tape), TerminalOptions { viewport }).unwrap()
        })
    }
}

impl Shown<Screen<Tape>> {
    fn lean(repeats: bool) -> Self {
        Self::new(|tape| Screen::new(tape, SIZE.into()).repeating(repeats))
    }
}

impl<D: Draw> Shown<D> {
    fn new(artist: impl FnOnce(Tape) -> D) -> Self {
        let tape = Tape::default();
        let size = |cells| NonZeroU16::new(cells).unwrap();
        Self { artist: artist(tape.clone()), tape, parser: vt100::Parser::new(size(SIZE.1), size(SIZE.0), 0) }
    }

    /// Draws a picture; the bytes that took.
    fn frame(&mut self, picture: &Buffer) -> usize {
        self.artist.draw(picture);
        let bytes = self.tape.0.take();
        self.parser.process(&bytes);
        bytes.len()
    }
}

/// Random pictures that follow on one another.
struct Painter {
    rng: ChaCha8Rng,
    picture: Buffer,
}

impl Painter {
    fn new(seed: u64) -> Self {
        let picture = Buffer::empty(Rect::new(0, 0, SIZE.0, SIZE.1));
        Self { rng: ChaCha8Rng::seed_from_u64(seed), picture }
    }

    fn colour(&mut self) -> Color {
        match self.rng.random_range(0..8) {
            0 => Color::Reset,
            1 => [Color::Red, Color::LightBlue, Color::Black, Color::White][self.rng.random_range(0..4)],
            2 | 3 => Color::Indexed(self.rng.random_range(16..24)),
            _ => Color::Rgb(self.rng.random_range(1..4), 100, 200),
        }
    }

    fn style(&mut self) -> Style {
        const ALL: [Modifier; 5] =
            [Modifier::BOLD, Modifier::DIM, Modifier::ITALIC, Modifier::UNDERLINED, Modifier::REVERSED];
        let mut modifier = Modifier::empty();
        while self.rng.random_range(0..4) == 0 {
            modifier |= ALL[self.rng.random_range(0..5)];
        }
        // The terminal of the tests knows either bold or dim.
        if modifier.contains(Modifier::BOLD) {
            modifier -= Modifier::DIM;
        }
        Style::reset().fg(self.colour()).bg(self.colour()).add_modifier(modifier)
    }

    /// Words of narrow, wide and combined characters anywhere.
    fn text(&mut self) {
        const WORDS: [&str; 8] = ["a", " ", "12,345", "币安", "e\u{301}x", "   ", "─▲×", "人 y"];
        for _ in 0..self.rng.random_range(1..12) {
            let word = WORDS[self.rng.random_range(0..WORDS.len())].repeat(self.rng.random_range(1..4));
            let (x, y) = (self.rng.random_range(0..SIZE.0), self.rng.random_range(0..SIZE.1));
            let style = self.style();
            self.picture.set_string(x, y, word, style);
        }
    }

    fn block(&mut self, x: u16, y: u16) {
        let symbol = [" ", "▀", "▄", "█", "▀", " "][self.rng.random_range(0..6)];
        let (fg, bg) = (self.colour(), self.colour());
        self.picture[(x, y)].reset();
        self.picture[(x, y)].set_symbol(symbol).set_fg(fg).set_bg(bg);
    }

    /// Bands of heat that end here and there, as levels do.
    fn heat(&mut self) {
        for y in MAP.top()..MAP.bottom() {
            let mut x = MAP.left();
            while x < MAP.right() {
                self.block(x, y);
                let cell = self.picture[(x, y)].clone();
                let end = (x + self.rng.random_range(1..20)).min(MAP.right());
                (x..end).for_each(|x| self.picture[(x, y)] = cell.clone());
                x = end;
            }
        }
    }

    /// The map goes left and gets a new last column.
    fn scroll(&mut self) {
        for y in MAP.top()..MAP.bottom() {
            for x in MAP.left() + 1..MAP.right() {
                self.picture[(x - 1, y)] = self.picture[(x, y)].clone();
            }
            self.block(MAP.right() - 1, y);
        }
    }

    /// No glyph reaches into another: ratatui's own differences take that for granted.
    fn settle(&mut self) {
        for y in 0..SIZE.1 {
            let mut x = 0;
            while x < SIZE.0 {
                let width = self.picture[(x, y)].cell_width().max(1);
                if x + width > SIZE.0 {
                    self.picture[(x, y)].reset();
                }
                let end = (x + width).min(SIZE.0);
                (x + 1..end).for_each(|x| self.picture[(x, y)].reset());
                x = end;
            }
        }
    }

    fn column(&mut self) {
        (MAP.top()..MAP.bottom()).for_each(|y| self.block(MAP.right() - 1, y));
    }
}

#[test]
fn a_thousand_random_frames_look_as_ratatuis_own_encoder_draws_them() {
    for repeats in [false, true] {
        let mut painter = Painter::new(5);
        let mut stock = Shown::stock();
        let mut lean = Shown::lean(repeats);
        let mut bytes = [0; 2];
        for step in 0..1_000 {
            match step % 7 {
                0 => painter.heat(),
                1 => painter.text(),
                2 | 3 => painter.scroll(),
                4 => painter.column(),
                5 => {
                    painter.text();
                    painter.column();
                }
                _ if step % 21 == 6 => painter.picture.reset(),
                _ => painter.text(),
            }
            painter.settle();
            bytes[0] += stock.frame(&painter.picture);
            bytes[1] += lean.frame(&painter.picture);
            // On a cleared screen: a wide glyph that moves by a cell leaves its colour behind in ratatui's own differences.
            let mut fresh = Shown::stock();
            fresh.frame(&painter.picture);
            assert_same(lean.parser.screen(), fresh.parser.screen(), &format!("frame {step}"));
            assert_eq!(lean.frame(&painter.picture), 0, "nothing changed");
        }
        assert!(10 * bytes[1] < 7 * bytes[0], "lean {} of {}", bytes[1], bytes[0]);
    }
}

#[test]
fn rows_that_the_terminal_shifts_look_as_if_they_were_written() {
    let mut painter = Painter::new(9);
    let mut lean = Shown::lean(false);
    let mut shifted = Shown::lean(false);
    let mut bytes = [0; 2];
    for step in 0..1_000 {
        let mut moved = 0;
        match step % 11 {
            0 => painter.heat(),
            1 | 2 => painter.text(),
            3 => painter.column(),
            4..8 => {
                painter.scroll();
                moved = 1;
            }
            8 | 9 => {
                painter.scroll();
                painter.scroll();
                painter.text();
                moved = 2;
            }
            // What was told about the next frame may be wrong.
            _ => moved = 7,
        }
        painter.settle();
        shifted.artist.shift(MAP, moved);
        bytes[0] += lean.frame(&painter.picture);
        let took = shifted.frame(&painter.picture);
        bytes[1] += took;
        assert_same(shifted.parser.screen(), lean.parser.screen(), &format!("frame {step}"));
        assert_eq!(shifted.frame(&painter.picture), 0, "nothing changed");
    }
    assert!(10 * bytes[1] < 8 * bytes[0], "shifted {} of {}", bytes[1], bytes[0]);
}
