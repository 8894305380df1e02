//! What a terminal shows, cell by cell: two cells that look the same are the same here.

use ratatui::buffer::{Cell, CellWidth};
use ratatui::layout::Rect;
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

/// A screen of tiles. It grows to hold what is put on it.
#[derive(Debug, Clone, Default)]
pub struct Grid {
    width: u16,
    height: u16,
    tiles: Vec<Tile>,
}

impl Grid {
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

    /// Makes it a cleared screen of a size.
    pub fn clear(&mut self, width: u16, height: u16) {
        (self.width, self.height) = (width, height);
        self.tiles.clear();
        self.tiles.resize(usize::from(width) * usize::from(height), Tile::BLANK);
    }

    /// Grows to a size at least; what is new is blank.
    pub fn hold(&mut self, width: u16, height: u16) {
        if self.tiles.is_empty() {
            self.clear(width, height);
        } else if width > self.width {
            let old = std::mem::take(self);
            self.clear(width, old.height.max(height));
            for y in 0..old.height {
                self.row_mut(y)[..usize::from(old.width)].clone_from_slice(old.row(y));
            }
        } else if height > self.height {
            self.height = height;
            self.tiles.resize(usize::from(self.width) * usize::from(height), Tile::BLANK);
        }
    }

    /// Puts a cell where ratatui says it changed. Cells behind a wide glyph are said only for terminals that forget to clear
    /// them, and are the glyph's here.
    pub fn put(&mut self, x: u16, y: u16, cell: &Cell) {
        let row = self.row_mut(y);
        let Some((tile, after)) = row.get_mut(usize::from(x)..).and_then(<[Tile]>::split_first_mut) else {
            return;
        };
        if tile.glyph == Glyph::Behind {
            return;
        }
        let width = usize::from(cell.cell_width());
        let behind = width.saturating_sub(1);
        *tile = Tile::new(cell);
        // A wide glyph that does not fit would go to the next row, one of no width would stay where it is.
        if width == 0 || behind > after.len() {
            *tile = Tile { bg: cell.bg, ..Tile::BLANK };
        }
        let (over, rest) = after.split_at_mut(behind.min(after.len()));
        over.fill(Tile::of(Glyph::Behind));
        // What a wide glyph hid until now, or what is left of one that lost its first cell, is blank.
        for tile in rest.iter_mut().take_while(|tile| tile.glyph == Glyph::Behind) {
            *tile = Tile::BLANK;
        }
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

    fn written(text: &str) -> Grid {
        let mut grid = Grid::default();
        grid.clear(8, 1);
        let mut x = 0;
        for c in text.chars() {
            let cell = cell(&c.to_string(), Color::Reset, Color::Reset);
            grid.put(x, 0, &cell);
            x += cell.cell_width();
        }
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
        // What ratatui says of the cell behind is not seen.
        grid.put(2, 0, &cell("x", Color::Reset, Color::Reset));
        assert_eq!(glyphs(&grid, 0), "a币<b    ");
        grid.put(1, 0, &cell("x", Color::Reset, Color::Reset));
        assert_eq!(glyphs(&grid, 0), "ax b    ");
        grid.put(7, 0, &cell("币", Color::Reset, Color::Reset));
        assert_eq!(glyphs(&grid, 0), "ax b    ");
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
