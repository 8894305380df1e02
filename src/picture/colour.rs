//! Colours of a terminal as they stand in a picture.

use ratatui::buffer::Cell;
use ratatui::style::{Color, Modifier};

use crate::ui::palette;

/// Red, green, blue.
pub type Rgb = [u8; 3];

/// What a terminal's own foreground becomes: a light grey.
pub const INK: Rgb = [212, 212, 212];
/// What its own background becomes: nearly black, as the grounds of the ramps.
pub const GROUND: Rgb = [13, 13, 16];

/// A colour in numbers; `own` is what the terminal's own stands for.
pub fn rgb(colour: Color, own: Rgb) -> Rgb {
    palette::rgb(colour).map_or(own, Rgb::from)
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
