//! Small tables: columns that are left out whole, the least needed first, where there is no room for all.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::text;

/// Blanks between two columns, and between two where there is not enough room for all.
const GAP: u16 = 2;
const NARROW_GAP: u16 = 1;

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its words in the first row.
    pub title: &'static str,
    /// Cells its texts take at most.
    pub width: u16,
    /// The higher, the sooner it is left out; 0 stays.
    pub rank: u8,
    /// Whether its texts stand on the left; numbers stand on the right.
    pub is_left: bool,
}

impl Field {
    /// A column of numbers.
    pub const fn number(title: &'static str, width: u16, rank: u8) -> Self {
        Self { title, width, rank, is_left: false }
    }

    /// A column of words.
    pub const fn words(title: &'static str, width: u16, rank: u8) -> Self {
        Self { title, width, rank, is_left: true }
    }
}

/// Cells some columns take.
fn taken(fields: &[(usize, &Field)], gap: u16) -> u16 {
    fields.iter().map(|(_, f)| f.width + gap).sum::<u16>().saturating_sub(gap)
}

/// The columns there is room for, with their places, and the blanks between them.
fn fitting(fields: &[Field], room: u16) -> (Vec<(usize, &Field)>, u16) {
    let mut shown: Vec<(usize, &Field)> = fields.iter().enumerate().collect();
    while taken(&shown, NARROW_GAP) > room {
        let worst = shown.iter().map(|(_, f)| f.rank).max().unwrap_or(0);
        match shown.iter().rposition(|(_, f)| f.rank == worst && worst > 0) {
            Some(i) => shown.remove(i),
            None => break,
        };
    }
    let gap = if taken(&shown, GAP) > room { NARROW_GAP } else { GAP };
    (shown, gap)
}

/// Cells a table of these columns would like to have.
pub fn width(fields: &[Field]) -> u16 {
    taken(&fields.iter().enumerate().collect::<Vec<_>>(), GAP)
}

/// Draws the titles, if wanted, and as many rows as there is room for; each row has a text for each column. A text that is wider
/// than its column is left out: half a number is worse than none.
pub fn draw(
    buf: &mut Buffer,
    area: Rect,
    fields: &[Field],
    titles: Option<Style>,
    rows: impl IntoIterator<Item = Vec<(String, Style)>>,
) {
    let (shown, gap) = fitting(fields, area.width);
    let mut put = |y: u16, at: &dyn Fn(usize) -> (String, Style)| {
        let mut x = area.x;
        for (i, field) in &shown {
            let cell = Rect { x, y, width: field.width, height: 1 }.intersection(area);
            let (words, style) = at(*i);
            if text::width(&words) <= usize::from(cell.width) {
                if field.is_left {
                    text::line(buf, cell, &words, style);
                } else {
                    text::line_right(buf, cell, &words, style);
                }
            }
            x += field.width + gap;
        }
    };
    let mut y = area.y;
    if let Some(style) = titles
        && y < area.bottom()
    {
        put(y, &|i| (fields[i].title.to_owned(), style));
        y += 1;
    }
    for (row, y) in rows.into_iter().zip(y..area.bottom()) {
        put(y, &|i| row.get(i).cloned().unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_left_out_whole_and_what_is_too_wide_is_not_cut() {
        let fields = [Field::words("a", 3, 0), Field::number("bb", 4, 2), Field::number("c", 4, 1)];
        assert_eq!(width(&fields), 15);
        let draw = |room: u16| {
            let area = Rect::new(0, 0, room, 2);
            let mut buf = Buffer::empty(area);
            let row = ["x", "1234", "56789"].map(|t| (t.to_owned(), Style::new())).to_vec();
            super::draw(&mut buf, area, &fields, Some(Style::new()), [row]);
            let line = |y| (0..room).map(|x| buf[(x, y)].symbol()).collect::<String>();
            [line(0), line(1)]
        };
        assert_eq!(draw(15), ["a      bb     c", "x    1234      "]);
        assert_eq!(draw(14), ["a     bb    c ", "x   1234      "]);
        assert_eq!(draw(12), ["a       c   ", "x           "]);
        assert_eq!(draw(3), ["a  ", "x  "]);
        assert_eq!(draw(2), ["a ", "x "]);
    }
}
