//! A frame as lines of text, plain or with the colours of ANSI.

use std::fmt::Write as _;
use std::io::{self, Write};

use ratatui::buffer::{Buffer, Cell, CellWidth};
use ratatui::style::{Color, Modifier};

use crate::ui::palette;

/// How a frame is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Characters alone.
    Plain,
    /// Colours and attributes by SGR; no other escape sequence.
    Ansi,
}

/// Writes a frame, a line a row, without the blanks at the ends. With [`Form::Ansi`] every line that changed a colour ends with a
/// reset, so that a part of them can be cut out and printed.
pub fn write_text(out: &mut impl Write, buf: &Buffer, form: Form) -> io::Result<()> {
    let width = usize::from(buf.area.width.max(1));
    for row in buf.content().chunks(width) {
        let shown = row.iter().rposition(|cell| !is_blank(cell, form)).map_or(0, |last| last + 1);
        let mut line = String::new();
        let mut pen = Cell::EMPTY;
        let mut covered = 0;
        for cell in &row[..shown] {
            // A wide character owns the cell behind it.
            if covered > 0 {
                covered -= 1;
                continue;
            }
            if form == Form::Ansi {
                dress(&mut line, &mut pen, cell);
            }
            line.push_str(cell.symbol());
            covered = cell.cell_width().saturating_sub(1);
        }
        if line.contains('\u{1b}') {
            line.push_str("\u{1b}[0m");
        }
        line.push('\n');
        out.write_all(line.as_bytes())?;
    }
    Ok(())
}

/// Whether nothing is seen of a cell.
fn is_blank(cell: &Cell, form: Form) -> bool {
    cell.symbol() == " " && (form == Form::Plain || (cell.bg == Color::Reset && !shows_ink(cell)))
}

/// A blank shows no foreground, unless it is reversed, underlined or struck through.
fn shows_ink(cell: &Cell) -> bool {
    const LINES: Modifier = Modifier::REVERSED.union(Modifier::UNDERLINED).union(Modifier::CROSSED_OUT);
    cell.symbol() != " " || cell.modifier.intersects(LINES)
}

/// Changes the pen to what a cell needs, with as little as that takes.
fn dress(line: &mut String, pen: &mut Cell, cell: &Cell) {
    let mut codes: Vec<String> = Vec::new();
    if cell.modifier != pen.modifier {
        // Taking single attributes back differs between terminals; starting over does not.
        codes.push("0".to_owned());
        *pen = Cell::EMPTY;
        pen.modifier = cell.modifier;
        for (flag, code) in [
            (Modifier::BOLD, "1"),
            (Modifier::DIM, "2"),
            (Modifier::ITALIC, "3"),
            (Modifier::UNDERLINED, "4"),
            (Modifier::REVERSED, "7"),
            (Modifier::CROSSED_OUT, "9"),
        ] {
            if cell.modifier.contains(flag) {
                codes.push(code.to_owned());
            }
        }
    }
    if shows_ink(cell) && cell.fg != pen.fg {
        codes.push(code(cell.fg, 30));
        pen.fg = cell.fg;
    }
    if cell.bg != pen.bg {
        codes.push(code(cell.bg, 40));
        pen.bg = cell.bg;
    }
    if !codes.is_empty() {
        // Writing to a string cannot fail.
        let _ = write!(line, "\u{1b}[{}m", codes.join(";"));
    }
}

/// The parameters of SGR for a colour; `base` is 30 for the foreground, 40 for the background.
fn code(colour: Color, base: u8) -> String {
    match colour {
        Color::Reset => (base + 9).to_string(),
        Color::Indexed(i) => format!("{};5;{i}", base + 8),
        Color::Rgb(r, g, b) => format!("{};2;{r};{g};{b}", base + 8),
        // The bright eight have their own codes.
        name => {
            palette::place(name).map_or(base + 9, |i| base + if i < 8 { i } else { 60 + i - 8 }).to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    fn written(buf: &Buffer, form: Form) -> String {
        let mut out = Vec::new();
        write_text(&mut out, buf, form).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn plain_text_has_no_escape_and_no_blanks_at_the_ends() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 8, 3));
        buf.set_string(1, 0, "ab", Style::new().fg(Color::Red).bg(Color::Blue));
        buf.set_string(0, 2, "币b", Style::new());
        assert_eq!(written(&buf, Form::Plain), " ab\n\n币b\n");
    }

    #[test]
    fn ansi_says_each_colour_once_and_resets_at_the_end_of_a_line() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 8, 3));
        let warm = Style::new().fg(Color::Indexed(172)).bg(Color::Rgb(1, 2, 3));
        buf.set_string(0, 0, "ab", warm);
        buf.set_string(2, 0, " ", Style::new().bg(Color::Rgb(1, 2, 3)));
        buf.set_string(1, 1, "x", Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED));
        buf.set_string(0, 2, "y", Style::new());
        let lines = "\u{1b}[38;5;172;48;2;1;2;3mab \u{1b}[0m\n \u{1b}[0;1;7mx\u{1b}[0m\ny\n";
        assert_eq!(written(&buf, Form::Ansi), lines);
    }

    #[test]
    fn the_terminal_s_own_colours_have_their_codes() {
        let codes = [Color::Reset, Color::Red, Color::DarkGray, Color::White].map(|c| code(c, 40));
        assert_eq!(codes, ["49", "41", "100", "107"]);
    }
}
