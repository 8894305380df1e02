//! From one screen to another in few bytes: only the colour that changed, the shortest way to the next cell, the block whose
//! colours are set already, and rows that the terminal moves by itself. What each of these saves: `docs/TERMINAL.md`.

use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use super::tile::{Glyph, Grid, ON_BLANK, Tile};

/// Bytes of one colour, about: what is weighed against longer glyphs.
const COLOUR_BYTES: usize = 12;
/// A run in the next row that starts this close is written before the rest of this one.
const CLOSE: u16 = 2;

/// Attributes with the codes that set them and take them back (ECMA-48, 8.3.117).
const ATTRIBUTES: [(Modifier, u16, u16); 9] = [
    (Modifier::BOLD, 1, 22),
    (Modifier::DIM, 2, 22),
    (Modifier::ITALIC, 3, 23),
    (Modifier::UNDERLINED, 4, 24),
    (Modifier::SLOW_BLINK, 5, 25),
    (Modifier::RAPID_BLINK, 6, 25),
    (Modifier::REVERSED, 7, 27),
    (Modifier::HIDDEN, 8, 28),
    (Modifier::CROSSED_OUT, 9, 29),
];

/// Neighbouring cells of a row that have to be written.
#[derive(Debug, Clone, Copy)]
struct Run {
    y: u16,
    from: u16,
    to: u16,
}

/// Writes what leads from the screen a terminal shows to another one of the same size. It begins and ends with no colour and no
/// attribute set.
pub struct Encoder<'a> {
    wanted: &'a Grid,
    /// Whether the terminal repeats the last character on request (REP). Only ever after a blank: tmux repeats no
    /// character of more than one byte.
    repeats: bool,
    out: Vec<u8>,
    /// Where the cursor is, if that is beyond doubt. Behind the last column it waits at the end of the row.
    at: Option<(u16, u16)>,
    fg: Color,
    bg: Color,
    modifier: Modifier,
}

impl<'a> Encoder<'a> {
    /// An encoder on a terminal of which only the screen is known.
    pub fn new(wanted: &'a Grid, repeats: bool) -> Self {
        let (fg, bg, modifier) = (Color::Reset, Color::Reset, Modifier::empty());
        Self { wanted, repeats, out: Vec::new(), at: None, fg, bg, modifier }
    }

    /// Lets the terminal move the rows of an area left: at its left edge cells are taken out, at its right edge blanks put in, so
    /// that what stands beside it stays where it is. What it then shows is done to `shown` as well.
    pub fn shift(&mut self, shown: &mut Grid, area: Rect, columns: u16) {
        let rows: Vec<u16> = (area.y..area.bottom().min(shown.height()))
            .filter(|y| shown.can_shift(*y, area, columns))
            .collect();
        for &y in &rows {
            self.go(area.x, y);
            self.control(columns, b'P');
            shown.shift(y, area, columns);
        }
        for &y in &rows {
            self.go(area.right() - columns, y);
            self.control(columns, b'@');
        }
    }

    /// Writes the cells of some rows in which two screens differ.
    pub fn update(&mut self, shown: &Grid, rows: impl Iterator<Item = u16>) {
        let runs: Vec<Run> = rows.flat_map(|y| runs(y, shown.row(y), self.wanted.row(y))).collect();
        // Each run once; from each to the cheaper of the next in its row and the next below, so that columns are written as columns
        // and bands of one colour as bands.
        let mut written = vec![false; runs.len()];
        for first in 0..runs.len() {
            let mut next = Some(first).filter(|i| !written[*i]);
            while let Some(i) = next {
                written[i] = true;
                self.run(shown, runs[i]);
                let ahead = Some(i + 1).filter(|next| runs.get(*next).is_some_and(|run| run.y == runs[i].y));
                let near = [ahead, self.below(&runs)].into_iter().flatten();
                next = near.filter(|i| !written[*i]).min_by_key(|i| self.cost(runs[*i]));
            }
        }
    }

    /// The bytes; nothing stays set.
    pub fn finish(mut self) -> Vec<u8> {
        if (self.fg, self.bg, self.modifier) != (Color::Reset, Color::Reset, Modifier::empty()) {
            self.out.extend_from_slice(b"\x1b[m");
        }
        self.out
    }

    /// A run that starts close below the cursor.
    fn below(&self, runs: &[Run]) -> Option<usize> {
        let (x, y) = self.at?;
        let i = runs.partition_point(|run| (run.y, run.from) < (y + 1, x.saturating_sub(CLOSE)));
        runs.get(i).filter(|run| run.y == y + 1 && run.from <= x).map(|_| i)
    }

    /// Bytes to the first cell of a run and its colours, about.
    fn cost(&self, run: Run) -> usize {
        let (x, y) = self.at.unwrap_or_default();
        let way = if run.y == y {
            control_len(run.from.abs_diff(x))
        } else {
            1 + usize::from(x.abs_diff(run.from))
        };
        let colours = self.wanted.row(run.y).get(usize::from(run.from)).map_or(0, |tile| {
            let changes = self.changes(tile.fg, tile.bg);
            match tile {
                tile if tile.is_blank() => usize::from(tile.bg != self.bg),
                tile if tile.is_pair() => changes.min(self.changes(tile.bg, tile.fg)),
                _ => changes,
            }
        });
        way + COLOUR_BYTES * colours
    }

    /// How many of the two colours are not set.
    fn changes(&self, fg: Color, bg: Color) -> usize {
        usize::from(self.fg != fg) + usize::from(self.bg != bg)
    }

    fn run(&mut self, shown: &Grid, run: Run) {
        let row = self.wanted.row(run.y);
        self.reach(shown, run.from, run.y);
        let mut x = run.from;
        while let Some((tile, after)) = row.get(usize::from(x)..run.to.into()).and_then(<[Tile]>::split_first)
        {
            if tile.is_blank() {
                let count = 1 + after.iter().take_while(|next| *next == tile).count() as u16;
                self.blanks(tile.bg, count);
                x += count;
                self.at = Some((x, run.y));
            } else {
                self.glyph(tile);
                let behind = after.iter().take_while(|next| next.glyph == Glyph::Behind).count() as u16;
                x += 1 + behind;
                // Only after one character of one cell is the cursor's place beyond doubt on every terminal.
                let is_sure = behind == 0 && matches!(tile.glyph, Glyph::Char(_));
                self.at = is_sure.then_some((x, run.y));
            }
        }
    }

    /// Draws blanks of one background.
    fn blanks(&mut self, bg: Color, count: u16) {
        let is_ink = bg != Color::Reset && self.fg == bg && self.modifier.is_empty();
        // Three bytes each, or one each and a colour.
        if is_ink && self.bg != bg && 2 * usize::from(count) < COLOUR_BYTES {
            (0..count).for_each(|_| self.out.extend_from_slice("█".as_bytes()));
            return;
        }
        self.dress(None, bg, self.modifier - ON_BLANK);
        self.out.push(b' ');
        let more = count - 1;
        if self.repeats && usize::from(more) > control_len(more) {
            self.control(more, b'b');
        } else {
            self.out.extend(std::iter::repeat_n(b' ', more.into()));
        }
    }

    fn glyph(&mut self, tile: &Tile) {
        if tile.is_pair() && self.changes(tile.bg, tile.fg) < self.changes(tile.fg, tile.bg) {
            self.dress(Some(tile.bg), tile.fg, tile.modifier);
            self.out.extend_from_slice("▄".as_bytes());
            return;
        }
        self.dress(Some(tile.fg), tile.bg, tile.modifier);
        match &tile.glyph {
            Glyph::Char(c) => self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Glyph::Cluster(text) => self.out.extend_from_slice(text.as_bytes()),
            // Wanted screens have neither alone.
            Glyph::Unknown | Glyph::Behind => self.out.push(b' '),
        }
    }

    /// Goes to a cell, over a few cells that are right already by writing them again where that is shorter.
    fn reach(&mut self, shown: &Grid, x: u16, y: u16) {
        if let Some((from, row)) = self.at
            && row == y
            && from < x
            && usize::from(x - from) < control_len(x - from)
        {
            let between = usize::from(from)..usize::from(x);
            let tiles = self.wanted.row(y).get(between.clone()).unwrap_or_default();
            let is_plain = |tile: &Tile| match tile.glyph {
                Glyph::Char(c) if tile.is_blank() => {
                    c == ' ' && self.bg == tile.bg && !self.modifier.intersects(ON_BLANK)
                }
                Glyph::Char(c) => {
                    c.is_ascii() && (self.fg, self.bg, self.modifier) == (tile.fg, tile.bg, tile.modifier)
                }
                _ => false,
            };
            if shown.row(y).get(between) == Some(tiles) && tiles.iter().all(is_plain) {
                let text =
                    tiles.iter().map(|tile| if let Glyph::Char(c) = tile.glyph { c as u8 } else { b' ' });
                self.out.extend(text);
                self.at = Some((x, y));
                return;
            }
        }
        self.go(x, y);
    }

    /// Moves the cursor by the shortest way.
    fn go(&mut self, x: u16, y: u16) {
        if self.at == Some((x, y)) && x < self.wanted.width() {
            return;
        }
        let absolute = 3 + digits(y + 1) + if x == 0 { 0 } else { 1 + digits(x + 1) };
        let start = self.out.len();
        if let Some((from, row)) = self.at {
            self.step(from, row, x, y);
            if self.out.len() - start <= absolute {
                self.at = Some((x, y));
                return;
            }
            self.out.truncate(start);
        }
        self.out.extend_from_slice(b"\x1b[");
        self.number(y + 1);
        if x > 0 {
            self.out.push(b';');
            self.number(x + 1);
        }
        self.out.push(b'H');
        self.at = Some((x, y));
    }

    /// Relative moves. In raw mode a line feed leads one row down and nowhere else; the row is there, so nothing scrolls.
    fn step(&mut self, mut from: u16, row: u16, x: u16, y: u16) {
        // At the end of a row only its beginning is a sure place.
        if x == 0 && from > 0 || from >= self.wanted.width() {
            self.out.push(b'\r');
            from = 0;
        }
        if y < row {
            self.control(row - y, b'A');
        } else if usize::from(y - row) < control_len(y - row) {
            self.out.extend(std::iter::repeat_n(b'\n', usize::from(y - row)));
        } else {
            self.control(y - row, b'B');
        }
        if x > from {
            self.control(x - from, b'C');
        } else if usize::from(from - x) < control_len(from - x) {
            self.out.extend(std::iter::repeat_n(b'\x08', usize::from(from - x)));
        } else {
            self.control(from - x, b'D');
        }
    }

    /// Sets colours and attributes; without a foreground it may stay what it is.
    fn dress(&mut self, fg: Option<Color>, bg: Color, modifier: Modifier) {
        let fg_changes = fg.is_some_and(|fg| fg != self.fg);
        if !fg_changes && bg == self.bg && modifier == self.modifier {
            return;
        }
        let start = self.out.len();
        self.out.extend_from_slice(b"\x1b[");
        let (off, on) = (self.modifier - modifier, modifier - self.modifier);
        // Taking back bold or dim takes back both.
        let both = Modifier::BOLD | Modifier::DIM;
        let again = if off.intersects(both) { modifier & both } else { Modifier::empty() };
        let mut taken = 0;
        for (attribute, _, code) in ATTRIBUTES {
            if off.contains(attribute) && code != taken {
                code_of(&mut self.out, code);
                taken = code;
            }
        }
        set(&mut self.out, on | again);
        if let Some(fg) = fg.filter(|_| fg_changes) {
            colour(&mut self.out, fg, 30);
        }
        if bg != self.bg {
            colour(&mut self.out, bg, 40);
        }
        self.out.push(b'm');
        if !off.is_empty() {
            let fresh = fresh(fg.unwrap_or(Color::Reset), bg, modifier);
            if fresh.len() < self.out.len() - start {
                self.out.truncate(start);
                self.out.extend_from_slice(&fresh);
                self.fg = Color::Reset;
            }
        }
        (self.fg, self.bg, self.modifier) = (fg.unwrap_or(self.fg), bg, modifier);
    }

    fn number(&mut self, n: u16) {
        number(&mut self.out, n);
    }

    /// A control function of one number; 1 is left out.
    fn control(&mut self, n: u16, code: u8) {
        self.out.extend_from_slice(b"\x1b[");
        if n > 1 {
            self.number(n);
        }
        self.out.push(code);
    }
}

/// The runs of a row.
fn runs(y: u16, shown: &[Tile], wanted: &[Tile]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (x, (_, tile)) in shown.iter().zip(wanted).enumerate().filter(|(_, (shown, wanted))| shown != wanted)
    {
        let x = x as u16;
        // A wide glyph is written whole.
        let own = wanted[..=usize::from(x)].iter().rposition(|tile| tile.glyph != Glyph::Behind);
        let from = if tile.glyph == Glyph::Behind { own.unwrap_or(0) as u16 } else { x };
        match runs.last_mut() {
            Some(run) if from <= run.to => run.to = run.to.max(x + 1),
            _ => runs.push(Run { y, from, to: x + 1 }),
        }
    }
    for run in &mut runs {
        let rest = wanted.get(usize::from(run.to)..).unwrap_or_default();
        run.to += rest.iter().take_while(|tile| tile.glyph == Glyph::Behind).count() as u16;
    }
    runs
}

/// Colours and attributes set from nothing.
fn fresh(fg: Color, bg: Color, modifier: Modifier) -> Vec<u8> {
    let mut out = b"\x1b[".to_vec();
    if (fg, bg, modifier) != (Color::Reset, Color::Reset, Modifier::empty()) {
        code_of(&mut out, 0);
    }
    set(&mut out, modifier);
    for (wanted, ground) in [(fg, 30), (bg, 40)] {
        if wanted != Color::Reset {
            colour(&mut out, wanted, ground);
        }
    }
    out.push(b'm');
    out
}

/// Appends a code to a control sequence.
fn code_of(out: &mut Vec<u8>, code: u16) {
    if out.last() != Some(&b'[') {
        out.push(b';');
    }
    number(out, code);
}

/// Appends the codes that set attributes.
fn set(out: &mut Vec<u8>, modifier: Modifier) {
    for (attribute, code, _) in ATTRIBUTES {
        if modifier.contains(attribute) {
            code_of(out, code);
        }
    }
}

/// Appends the codes of a colour; `ground` is 30 for the foreground and 40 for the background.
fn colour(out: &mut Vec<u8>, colour: Color, ground: u16) {
    let (code, more): (u16, &[u8]) = match colour {
        Color::Reset => (9, &[]),
        Color::Black => (0, &[]),
        Color::Red => (1, &[]),
        Color::Green => (2, &[]),
        Color::Yellow => (3, &[]),
        Color::Blue => (4, &[]),
        Color::Magenta => (5, &[]),
        Color::Cyan => (6, &[]),
        Color::Gray => (7, &[]),
        Color::DarkGray => (60, &[]),
        Color::LightRed => (61, &[]),
        Color::LightGreen => (62, &[]),
        Color::LightYellow => (63, &[]),
        Color::LightBlue => (64, &[]),
        Color::LightMagenta => (65, &[]),
        Color::LightCyan => (66, &[]),
        Color::White => (67, &[]),
        Color::Indexed(i) => (8, &[5, i]),
        Color::Rgb(r, g, b) => (8, &[2, r, g, b]),
    };
    code_of(out, ground + code);
    for n in more {
        code_of(out, (*n).into());
    }
}

fn number(out: &mut Vec<u8>, n: u16) {
    let mut divisor = 10_u16.pow(digits(n) as u32 - 1);
    while divisor > 0 {
        out.push(b'0' + (n / divisor % 10) as u8);
        divisor /= 10;
    }
}

/// Digits of a number.
fn digits(n: u16) -> usize {
    1 + n.checked_ilog10().unwrap_or(0) as usize
}

/// Bytes of a control function of one number.
fn control_len(n: u16) -> usize {
    if n > 1 { 3 + digits(n) } else { 3 }
}
