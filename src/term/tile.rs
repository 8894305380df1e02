//! What a terminal shows, cell by cell: two cells that look the same are the same here.

use ratatui::buffer::{Cell, CellWidth};
use ratatui::layout::{Rect, Size};
use ratatui::style::{Color, Modifier};

/// Attributes that are seen on a blank.
pub const ON_BLANK: Modifier = Modifier::REVERSED
    .union(Modifier::UNDERLINED)
    .union(Modifier::CROSSED_OUT)
    .union(Modifier::SLOW_BLINK)
    .union(Modifier::RAPID_BLINK);

/// What stands in a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Glyph {
    /// Nobody knows: it equals nothing that is wanted.
    Unknown,
    /// The rest of the wide glyph before it.
    Behind,
    /// One character.
    Char(char),
    /// A character with what combines with it.
    Cluster(Box<str>),
}

/// A cell of the screen. Blocks are kept in one form (`▄` and `█` as `▀` and a blank), a blank without a foreground.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// What stands in it.
    pub glyph: Glyph,
    /// The foreground.
    pub fg: Color,
    /// The background.
    pub bg: Color,
    /// The attributes.
    pub modifier: Modifier,
}

impl Tile {
    /// A cell of a cleared screen.
    pub const BLANK: Self =
        Self { glyph: Glyph::Char(' '), fg: Color::Reset, bg: Color::Reset, modifier: Modifier::empty() };

    const fn of(glyph: Glyph) -> Self {
        Self { glyph, ..Self::BLANK }
    }

    /// Whether it shows its background only.
    pub fn is_blank(&self) -> bool {
        self.glyph == Glyph::Char(' ') && self.modifier.is_empty()
    }

    /// Whether it is two pixels, the foreground above the background.
    pub fn is_pair(&self) -> bool {
        self.glyph == Glyph::Char('▀') && self.is_swappable()
    }

    /// Whether foreground and background can change places: the terminal's own colours cannot.
    fn is_swappable(&self) -> bool {
        self.modifier.is_empty() && self.fg != Color::Reset && self.bg != Color::Reset
    }

    /// Whether a cell plainly makes this tile: where it says no, only [`Tile::new`] knows.
    fn is_of(&self, cell: &Cell) -> bool {
        let Glyph::Char(c) = self.glyph else { return false };
        let is_same = match cell.symbol().as_bytes() {
            [byte] => c == char::from(*byte),
            bytes => bytes == c.encode_utf8(&mut [0; 4]).as_bytes(),
        };
        let has_no_ink = || c == ' ' && self.modifier.is_empty() && !cell.modifier.intersects(ON_BLANK);
        is_same
            && self.bg == cell.bg
            && ((self.fg, self.modifier) == (cell.fg, cell.modifier) || has_no_ink())
    }

    fn new(cell: &Cell) -> Self {
        let symbol = cell.symbol();
        let mut chars = symbol.chars();
        let glyph = match (chars.next(), chars.next()) {
            (None, _) => Glyph::Char(' '),
            (Some(c), None) => Glyph::Char(c),
            _ => Glyph::Cluster(symbol.into()),
        };
        let mut tile = Self { glyph, fg: cell.fg, bg: cell.bg, modifier: cell.modifier };
        match tile.glyph {
            Glyph::Char('█') if tile.modifier.is_empty() && tile.fg != Color::Reset => {
                tile = Self { bg: tile.fg, ..Self::BLANK };
            }
            Glyph::Char('▄') if tile.is_swappable() => {
                tile = Self { glyph: Glyph::Char('▀'), fg: tile.bg, bg: tile.fg, ..tile };
            }
            _ => {}
        }
        if tile.is_pair() && tile.fg == tile.bg {
            tile.glyph = Glyph::Char(' ');
        }
        if tile.glyph == Glyph::Char(' ') && !tile.modifier.intersects(ON_BLANK) {
            (tile.fg, tile.modifier) = (Color::Reset, Modifier::empty());
        }
        tile
    }
}

/// A screen of tiles.
#[derive(Debug, Clone)]
pub struct Grid {
    width: u16,
    height: u16,
    tiles: Vec<Tile>,
}

impl Grid {
    /// A cleared screen of a size.
    pub fn blank(Size { width, height }: Size) -> Self {
        Self { width, height, tiles: vec![Tile::BLANK; usize::from(width) * usize::from(height)] }
    }

    /// Columns.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u16 {
        self.height
    }

    /// A row; empty outside.
    pub fn row(&self, y: u16) -> &[Tile] {
        let width = usize::from(self.width);
        self.tiles.get(usize::from(y) * width..(usize::from(y) + 1) * width).unwrap_or_default()
    }

    fn row_mut(&mut self, y: u16) -> &mut [Tile] {
        let width = usize::from(self.width);
        self.tiles.get_mut(usize::from(y) * width..(usize::from(y) + 1) * width).unwrap_or_default()
    }

    /// Puts the cells of a row; whether any looks other than before. What a buffer has behind a wide glyph is not seen.
    pub fn put_row(&mut self, y: u16, cells: &[Cell]) -> bool {
        let row = self.row_mut(y);
        let mut changed = false;
        let mut x = 0;
        while let (Some(cell), Some(tile)) = (cells.get(x), row.get_mut(x)) {
            // Most cells of most frames.
            if tile.is_of(cell) {
                x += 1;
                while row.get(x).is_some_and(|tile| tile.glyph == Glyph::Behind) {
                    x += 1;
                }
                continue;
            }
            let (mut new, mut width) = (Tile::new(cell), usize::from(cell.cell_width()));
            // A wide glyph that does not fit would go to the next row, one of no width would stay where it is.
            if width == 0 || x + width > cells.len() {
                (new, width) = (Tile { bg: cell.bg, ..Tile::BLANK }, 1);
            }
            let behind = std::iter::repeat_n(Tile::of(Glyph::Behind), width - 1);
            for (tile, new) in row[x..].iter_mut().zip(std::iter::once(new).chain(behind)) {
                changed |= *tile != new;
                *tile = new;
            }
            x += width;
        }
        changed
    }

    /// Whether a row of an area can be moved left by some columns without cutting a wide glyph in two.
    pub fn can_shift(&self, y: u16, area: Rect, columns: u16) -> bool {
        let row = self.row(y);
        let is_cut = |x: u16| row.get(usize::from(x)).is_some_and(|tile| tile.glyph == Glyph::Behind);
        area.right() <= self.width
            && columns < area.width
            && ![area.x, area.x + columns, area.right()].into_iter().any(is_cut)
    }

    /// Moves a row of an area left; what comes in on the right is not known.
    pub fn shift(&mut self, y: u16, area: Rect, columns: u16) {
        let (from, to) = (usize::from(area.x), usize::from(area.right()));
        if let Some(row) = self.row_mut(y).get_mut(from..to) {
            row.rotate_left(usize::from(columns));
            let kept = row.len() - usize::from(columns);
            row[kept..].fill(Tile::of(Glyph::Unknown));
        }
    }

    /// Takes over a row of another grid of the same size.
    pub fn copy_row(&mut self, y: u16, from: &Self) {
        self.row_mut(y).clone_from_slice(from.row(y));
    }
}

#[cfg(test)]
mod tests {
    use ratatui::buffer::Buffer;
    use ratatui::style::Style;

    use super::*;

    fn cell(symbol: &str, fg: Color, bg: Color) -> Cell {
        let mut cell = Cell::default();
        cell.set_symbol(symbol);
        (cell.fg, cell.bg) = (fg, bg);
        cell
    }

    fn glyphs(grid: &Grid, y: u16) -> String {
        let glyph = |tile: &Tile| match &tile.glyph {
            Glyph::Unknown => '?',
            Glyph::Behind => '<',
            Glyph::Char(c) => *c,
            Glyph::Cluster(text) => text.chars().next().unwrap(),
        };
        grid.row(y).iter().map(glyph).collect()
    }

    /// A row of eight cells as ratatui writes text into it: what is behind a wide glyph is a blank.
    fn cells(text: &str) -> Vec<Cell> {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 8, 1));
        buffer.set_string(0, 0, text, Style::new());
        buffer.content
    }

    fn written(text: &str) -> Grid {
        let mut grid = Grid::blank(Size::new(8, 1));
        grid.put_row(0, &cells(text));
        grid
    }

    #[test]
    fn blocks_that_look_the_same_are_the_same() {
        let (a, b) = (Color::Indexed(1), Color::Rgb(1, 2, 3));
        assert_eq!(Tile::new(&cell("▄", a, b)), Tile::new(&cell("▀", b, a)));
        assert_eq!(Tile::new(&cell("█", a, b)), Tile::new(&cell(" ", b, a)));
        assert_eq!(Tile::new(&cell("▀", a, a)), Tile::new(&cell(" ", b, a)));
        // The terminal's own background cannot be a foreground.
        assert_ne!(Tile::new(&cell("▄", a, Color::Reset)), Tile::new(&cell("▀", Color::Reset, a)));
        let mut bold = cell("▄", a, b);
        bold.modifier = Modifier::BOLD;
        assert_eq!(Tile::new(&bold).glyph, Glyph::Char('▄'));
    }

    #[test]
    fn a_wide_glyph_owns_what_is_behind_it() {
        let mut grid = written("a币b");
        assert_eq!(glyphs(&grid, 0), "a币<b    ");
        assert!(!grid.put_row(0, &cells("a币b")), "the same again");
        let mut seen = cells("a币b");
        seen[2].set_symbol("x");
        assert!(!grid.put_row(0, &seen), "what is behind is not seen");
        assert!(grid.put_row(0, &cells("axxb")));
        assert_eq!(glyphs(&grid, 0), "axxb    ");
        assert!(grid.put_row(0, &cells("币xb")));
        assert_eq!(glyphs(&grid, 0), "币<xb    ");
        let mut last = cells("ab");
        last[7].set_symbol("币");
        assert!(grid.put_row(0, &last));
        assert_eq!(glyphs(&grid, 0), "ab      ", "there is no place for it");
    }

    #[test]
    fn only_what_looks_other_is_a_change() {
        let (a, b) = (Color::Indexed(1), Color::Rgb(1, 2, 3));
        let mut grid = Grid::blank(Size::new(2, 1));
        assert!(grid.put_row(0, &[cell("▀", a, b), cell("x", a, b)]));
        assert!(!grid.put_row(0, &[cell("▄", b, a), cell("x", a, b)]));
        assert!(grid.put_row(0, &[cell("▀", a, b), cell("x", b, b)]));
        assert!(grid.put_row(0, &[cell("▀", a, b), cell("y", b, b)]));
        assert!(grid.put_row(0, &[cell("▀", a, b), cell(" ", b, b)]));
        assert!(!grid.put_row(0, &[cell("▀", a, b), cell(" ", a, b)]), "no ink is seen");
    }

    #[test]
    fn a_shift_leaves_the_unknown_on_the_right_and_cuts_no_glyph() {
        let mut grid = written("abcdefgh");
        let area = Rect::new(2, 0, 4, 1);
        assert!(grid.can_shift(0, area, 1));
        grid.shift(0, area, 1);
        assert_eq!(glyphs(&grid, 0), "abdef?gh");
        assert!(!written("a币cdefg").can_shift(0, area, 1));
        assert!(!written("abc币fg").can_shift(0, Rect::new(2, 0, 2, 1), 1));
        assert!(!grid.can_shift(0, Rect::new(6, 0, 4, 1), 1));
    }
}
