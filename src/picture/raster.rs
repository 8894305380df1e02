//! A frame as pixels, and those as PNG.

use std::collections::HashMap;
use std::io::{self, Write};

use ratatui::buffer::{Buffer, CellWidth};
use ratatui::style::Modifier;

use super::colour::{self, GROUND, Rgb};
use super::glyph::{self, HEIGHT, Mask, WIDTH};

/// A frame as pixels: a cell is 9×20, its halves 9×10.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    rgb: Vec<u8>,
}

impl Pixels {
    /// Draws a frame.
    pub fn new(buf: &Buffer) -> Self {
        let columns = usize::from(buf.area.width);
        let (width, height) = (columns * WIDTH, usize::from(buf.area.height) * HEIGHT);
        let mut pixels = Self { width, height, rgb: GROUND.repeat(width * height) };
        let mut masks: HashMap<(char, usize, bool), Mask> = HashMap::new();
        for (row, cells) in buf.content().chunks(columns.max(1)).enumerate() {
            let mut covered = 0;
            for (column, cell) in cells.iter().enumerate() {
                // A wide character owns the cell behind it.
                if covered > 0 {
                    covered -= 1;
                    continue;
                }
                let wide = usize::from(cell.cell_width()).clamp(1, columns - column);
                covered = wide - 1;
                let glyph = cell.symbol().chars().next().unwrap_or(' ');
                let bold = cell.modifier.contains(Modifier::BOLD);
                let mask = masks.entry((glyph, wide, bold)).or_insert_with(|| glyph::mask(glyph, wide, bold));
                pixels.stamp((column * WIDTH, row * HEIGHT), mask, colour::of_cell(cell));
            }
        }
        pixels
    }

    /// The colour of a pixel; `None` outside.
    pub fn at(&self, x: usize, y: usize) -> Option<Rgb> {
        let from = (y * self.width + x) * 3;
        (x < self.width).then(|| self.rgb.get(from..from + 3)?.try_into().ok()).flatten()
    }

    fn stamp(&mut self, (left, top): (usize, usize), mask: &Mask, [ink, ground]: [Rgb; 2]) {
        for (y, row) in mask.cover.chunks(mask.width).enumerate() {
            let from = ((top + y) * self.width + left) * 3;
            for (pixel, cover) in self.rgb[from..].chunks_exact_mut(3).zip(row) {
                pixel.copy_from_slice(&colour::mix(ground, ink, *cover));
            }
        }
    }

    /// Writes them as a PNG of 8 bits a channel.
    pub fn write_png(&self, out: impl Write) -> io::Result<()> {
        let mut encoder = png::Encoder::new(out, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.add_text_chunk(
            "Software".to_owned(),
            concat!("meltline ", env!("CARGO_PKG_VERSION")).to_owned(),
        )?;
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.rgb)?;
        Ok(writer.finish()?)
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::{Color, Style};

    use super::*;

    fn at(pixels: &Pixels, x: usize, y: usize) -> Rgb {
        pixels.at(x, y).unwrap()
    }

    #[test]
    fn half_blocks_are_two_colours_a_cell_to_the_pixel() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 3, 2));
        let style = Style::new().fg(Color::Rgb(200, 100, 0)).bg(Color::Rgb(0, 50, 250));
        buf.set_string(1, 1, "▀", style);
        let pixels = Pixels::new(&buf);
        assert_eq!((pixels.width, pixels.height), (27, 40));
        for (x, y) in [(9, 20), (17, 29)] {
            assert_eq!(at(&pixels, x, y), [200, 100, 0]);
        }
        for (x, y) in [(9, 30), (17, 39)] {
            assert_eq!(at(&pixels, x, y), [0, 50, 250]);
        }
        for (x, y) in [(8, 20), (18, 39), (9, 19)] {
            assert_eq!(at(&pixels, x, y), GROUND);
        }
    }

    #[test]
    fn a_wide_character_takes_two_cells_and_is_cut_at_the_edge() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 4, 1));
        buf.set_string(0, 0, "币x", Style::new());
        let whole = Pixels::new(&buf);
        assert_ne!(at(&whole, 17, 10), GROUND, "the right edge of its box");
        buf[(3, 0)].set_symbol("币");
        assert_eq!(Pixels::new(&buf).width, 36);
    }
}
