//! Colours of a terminal as they stand in a picture.

use ratatui::buffer::Cell;
use ratatui::style::{Color, Modifier};

/// Red, green, blue.
pub type Rgb = [u8; 3];

/// What a terminal's own foreground becomes: a light grey.
pub const INK: Rgb = [212, 212, 212];
/// What its own background becomes: nearly black, as the grounds of the ramps.
pub const GROUND: Rgb = [13, 13, 16];

/// The sixteen named colours, in the order of xterm.
const NAMED: [Rgb; 16] = [
    [0, 0, 0],
    [205, 0, 0],
    [0, 205, 0],
    [205, 205, 0],
    [0, 0, 238],
    [205, 0, 205],
    [0, 205, 205],
    [229, 229, 229],
    [127, 127, 127],
    [255, 0, 0],
    [0, 255, 0],
    [255, 255, 0],
    [92, 92, 255],
    [255, 0, 255],
    [0, 255, 255],
    [255, 255, 255],
];

/// A colour in numbers; `own` is what the terminal's own stands for.
pub fn rgb(colour: Color, own: Rgb) -> Rgb {
    match colour {
        Color::Reset => own,
        Color::Rgb(r, g, b) => [r, g, b],
        Color::Indexed(i) => indexed(i),
        Color::Black => NAMED[0],
        Color::Red => NAMED[1],
        Color::Green => NAMED[2],
        Color::Yellow => NAMED[3],
        Color::Blue => NAMED[4],
        Color::Magenta => NAMED[5],
        Color::Cyan => NAMED[6],
        Color::Gray => NAMED[7],
        Color::DarkGray => NAMED[8],
        Color::LightRed => NAMED[9],
        Color::LightGreen => NAMED[10],
        Color::LightYellow => NAMED[11],
        Color::LightBlue => NAMED[12],
        Color::LightMagenta => NAMED[13],
        Color::LightCyan => NAMED[14],
        Color::White => NAMED[15],
    }
}

/// xterm's 256 colours: the named ones, a cube of six steps, 24 greys.
fn indexed(index: u8) -> Rgb {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    match index {
        0..16 => NAMED[usize::from(index)],
        16..232 => [36, 6, 1].map(|of| STEPS[usize::from((index - 16) / of % 6)]),
        232.. => [8 + 10 * (index - 232); 3],
    }
}

/// Foreground and background of a cell, with what its attributes make of them.
pub fn of_cell(cell: &Cell) -> [Rgb; 2] {
    let (mut ink, mut ground) = (rgb(cell.fg, INK), rgb(cell.bg, GROUND));
    if cell.modifier.contains(Modifier::REVERSED) {
        std::mem::swap(&mut ink, &mut ground);
    }
    if cell.modifier.contains(Modifier::DIM) {
        ink = mix(ground, ink, 128);
    }
    [ink, ground]
}

/// The ground with so much ink on it, 0 to 255.
pub fn mix(ground: Rgb, ink: Rgb, cover: u8) -> Rgb {
    let cover = u32::from(cover);
    let part = |ground: u8, ink: u8| {
        let sum = u32::from(ground) * (255 - cover) + u32::from(ink) * cover;
        ((sum + 127) / 255) as u8
    };
    [0, 1, 2].map(|i| part(ground[i], ink[i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cube_and_the_greys_are_those_of_xterm() {
        // 172 = 16 + 36·4 + 6·2 + 0.
        assert_eq!(indexed(172), [215, 135, 0]);
        assert_eq!((indexed(16), indexed(231)), ([0, 0, 0], [255, 255, 255]));
        assert_eq!((indexed(232), indexed(255)), ([8, 8, 8], [238, 238, 238]));
    }

    #[test]
    fn ink_covers_the_ground_by_its_share() {
        assert_eq!(mix([0, 10, 200], [255, 20, 100], 0), [0, 10, 200]);
        assert_eq!(mix([0, 10, 200], [255, 20, 100], 255), [255, 20, 100]);
        assert_eq!(mix([0, 0, 200], [255, 100, 100], 51), [51, 20, 180]);
    }

    #[test]
    fn reversed_cells_change_ink_and_ground() {
        let mut cell = Cell::EMPTY;
        assert_eq!(of_cell(&cell), [INK, GROUND]);
        cell.modifier = Modifier::REVERSED;
        assert_eq!(of_cell(&cell), [GROUND, INK]);
    }
}
