//! Glyphs as pixels: letters from a font, everything that must fit its neighbours exactly as geometry.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster};

/// Pixels across a cell.
pub const WIDTH: usize = 9;
/// Pixels down a cell: a half block is ten.
pub const HEIGHT: usize = 20;

const W: f64 = WIDTH as f64;
const H: f64 = HEIGHT as f64;
/// Where lines run: the middle of a row and of a column of pixels, so that they are one pixel wide.
const MID: (f64, f64) = (4.5, 9.5);
/// Points looked at in a pixel, across and down.
const SAMPLES: usize = 4;

/// How much of each pixel a glyph covers, 0 to 255, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// Pixels across: those of a cell, or of two.
    pub width: usize,
    /// Row by row.
    pub cover: Vec<u8>,
}

impl Mask {
    fn blank(cells: usize) -> Self {
        let width = cells.max(1) * WIDTH;
        Self { width, cover: vec![0; width * HEIGHT] }
    }

    fn at(&mut self, x: usize, y: usize) -> Option<&mut u8> {
        (x < self.width).then(|| self.cover.get_mut(y * self.width + x)).flatten()
    }

    /// Whether nothing is to be seen.
    #[cfg(test)]
    pub fn is_blank(&self) -> bool {
        self.cover.iter().all(|cover| *cover == 0)
    }
}

/// The pixels of a glyph that takes one cell or two. What the font has not and we do not draw is a box with the number of its
/// code point: it is seen that something is missing, and what.
pub fn mask(glyph: char, cells: usize, bold: bool) -> Mask {
    let mut mask = Mask::blank(cells);
    if glyph == ' ' {
        return mask;
    }
    if let Some(parts) = parts(glyph) {
        fill(&mut mask, &parts);
    } else if let Some(digit) = subscript(glyph) {
        small(&mut mask, digit, (2, 9));
    } else if let Some(raster) = letter(glyph, bold) {
        for (y, row) in raster.rows().enumerate() {
            for (x, cover) in row.iter().enumerate() {
                if let Some(pixel) = mask.at(x, y) {
                    *pixel = *cover;
                }
            }
        }
    } else {
        number(&mut mask, glyph);
    }
    mask
}

fn letter(glyph: char, bold: bool) -> Option<noto_sans_mono_bitmap::RasterizedChar> {
    let weight = if bold { FontWeight::Bold } else { FontWeight::Regular };
    get_raster(glyph, weight, RasterHeight::Size20)
}

fn subscript(glyph: char) -> Option<char> {
    char::from_digit((glyph as u32).checked_sub('₀' as u32)?, 10)
}

/// A letter at half its size, its upper left corner at a pixel.
fn small(mask: &mut Mask, glyph: char, (left, top): (usize, usize)) {
    let Some(raster) = letter(glyph, true) else { return };
    for y in 0..HEIGHT / 2 {
        for x in 0..WIDTH.div_ceil(2) {
            let four = [(0, 0), (1, 0), (0, 1), (1, 1)];
            let sum: u32 =
                four.iter().map(|(i, j)| u32::from(raster.pixel(2 * x + i, 2 * y + j).unwrap_or(0))).sum();
            if let Some(pixel) = mask.at(left + x, top + y) {
                *pixel = (*pixel).max((sum / 4) as u8);
            }
        }
    }
}

/// A box with four hexadecimal digits.
fn number(mask: &mut Mask, glyph: char) {
    let right = mask.width as f64;
    let frame = [
        Part::Rect(0.0, 0.0, right, 1.0),
        Part::Rect(0.0, H - 1.0, right, H),
        Part::Rect(0.0, 0.0, 1.0, H),
        Part::Rect(right - 1.0, 0.0, right, H),
    ];
    fill(mask, &frame);
    // The middle of the two columns of digits.
    let left = mask.width / 2 - WIDTH / 2;
    for (i, digit) in format!("{:04X}", glyph as u32 & 0xffff).chars().enumerate() {
        small(mask, digit, (left + i % 2 * (WIDTH / 2), i / 2 * (HEIGHT / 2 - 1)));
    }
}

/// A part of a glyph, in pixels from the upper left corner of the cell.
enum Part {
    /// Left, top, right, bottom.
    Rect(f64, f64, f64, f64),
    /// From, to, and how wide.
    Line((f64, f64), (f64, f64), f64),
    /// Middle and radius.
    Disc((f64, f64), f64),
    /// Middle, radius and width.
    Ring((f64, f64), f64, f64),
    /// Three corners.
    Triangle([(f64, f64); 3]),
}

impl Part {
    fn holds(&self, x: f64, y: f64) -> bool {
        let from = |(cx, cy): (f64, f64)| (x - cx).hypot(y - cy);
        match *self {
            Self::Rect(left, top, right, bottom) => x >= left && x < right && y >= top && y < bottom,
            Self::Line(a, b, width) => {
                let along = (b.0 - a.0, b.1 - a.1);
                let share =
                    ((x - a.0) * along.0 + (y - a.1) * along.1) / (along.0 * along.0 + along.1 * along.1);
                let share = share.clamp(0.0, 1.0);
                from((a.0 + share * along.0, a.1 + share * along.1)) <= width / 2.0
            }
            Self::Disc(middle, radius) => from(middle) <= radius,
            Self::Ring(middle, radius, width) => (from(middle) - radius).abs() <= width / 2.0,
            Self::Triangle(corners) => {
                let side = |a: (f64, f64), b: (f64, f64)| (b.0 - a.0) * (y - a.1) - (b.1 - a.1) * (x - a.0);
                let [a, b, c] = corners;
                let sides = [side(a, b), side(b, c), side(c, a)];
                sides.iter().all(|s| *s >= 0.0) || sides.iter().all(|s| *s <= 0.0)
            }
        }
    }
}

/// Covers of each pixel what the parts hold of the points in it; edges on whole pixels are exact.
fn fill(mask: &mut Mask, parts: &[Part]) {
    let width = mask.width;
    for (i, pixel) in mask.cover.iter_mut().enumerate() {
        let place = |pixel: usize, sample: usize| pixel as f64 + (sample as f64 + 0.5) / SAMPLES as f64;
        let points =
            (0..SAMPLES * SAMPLES).map(|s| (place(i % width, s % SAMPLES), place(i / width, s / SAMPLES)));
        let held = points.filter(|(x, y)| parts.iter().any(|part| part.holds(*x, *y))).count();
        *pixel = (*pixel).max((held * 255 / (SAMPLES * SAMPLES)) as u8);
    }
}

/// What is drawn as geometry: blocks, lines of boxes, marks, and what the font lacks.
fn parts(glyph: char) -> Option<Vec<Part>> {
    use Part::{Disc, Line, Rect, Ring, Triangle};
    let code = glyph as u32;
    let (mx, my) = MID;
    let triangle = |a, b, c| vec![Triangle([a, b, c])];
    // Of one pixel's width, as the lines of boxes.
    let path = |points: &[(f64, f64)]| points.windows(2).map(|p| Line(p[0], p[1], 1.2)).collect::<Vec<_>>();
    let two = |a: &[(f64, f64)], b: &[(f64, f64)]| path(a).into_iter().chain(path(b)).collect();
    Some(match glyph {
        '▀' => vec![Rect(0.0, 0.0, W, H / 2.0)],
        '▁'..='█' => vec![Rect(0.0, H - H / 8.0 * f64::from(code - 0x2580), W, H)],
        '▉'..='▏' => vec![Rect(0.0, 0.0, W / 8.0 * f64::from(0x2590 - code), H)],
        '▐' => vec![Rect(W / 2.0, 0.0, W, H)],
        '║' => vec![Rect(mx - 1.5, 0.0, mx - 0.5, H), Rect(mx + 0.5, 0.0, mx + 1.5, H)],
        '┄' => [0.0, 3.0, 6.0].map(|x| Rect(x, my - 0.5, x + 2.0, my + 0.5)).into(),
        '╱' => vec![Line((0.0, H), (W, 0.0), 1.2)],
        '▲' => triangle((0.5, 15.0), (8.5, 15.0), (4.5, 5.0)),
        '▼' => triangle((0.5, 5.0), (8.5, 5.0), (4.5, 15.0)),
        '◀' => triangle((0.5, 10.0), (8.5, 5.0), (8.5, 15.0)),
        '▶' => triangle((8.5, 10.0), (0.5, 5.0), (0.5, 15.0)),
        '▴' => triangle((1.5, 13.0), (7.5, 13.0), (4.5, 7.0)),
        '▾' => triangle((1.5, 7.0), (7.5, 7.0), (4.5, 13.0)),
        '◂' => triangle((1.5, 10.0), (7.5, 7.0), (7.5, 13.0)),
        '▸' => triangle((7.5, 10.0), (1.5, 7.0), (1.5, 13.0)),
        '▵' => path(&[(1.5, 13.0), (7.5, 13.0), (4.5, 7.0), (1.5, 13.0)]),
        '▿' => path(&[(1.5, 7.0), (7.5, 7.0), (4.5, 13.0), (1.5, 7.0)]),
        '■' => vec![Rect(1.0, 6.0, 8.0, 13.0)],
        '●' => vec![Disc((4.5, 10.0), 3.5)],
        '•' => vec![Disc((4.5, 10.0), 2.0)],
        '○' => vec![Ring((4.5, 10.0), 3.2, 1.2)],
        '∅' => vec![Ring((4.5, 10.0), 3.2, 1.2), Line((1.0, 14.5), (8.0, 5.5), 1.2)],
        '↻' => vec![Ring((4.5, 10.5), 3.2, 1.2), Triangle([(4.5, 4.5), (4.5, 10.0), (8.5, 7.0)])],
        '→' => two(&[(0.5, 10.0), (8.5, 10.0)], &[(5.5, 7.0), (8.5, 10.0), (5.5, 13.0)]),
        '←' => two(&[(0.5, 10.0), (8.5, 10.0)], &[(3.5, 7.0), (0.5, 10.0), (3.5, 13.0)]),
        '↑' => two(&[(4.5, 5.0), (4.5, 15.0)], &[(1.5, 8.0), (4.5, 5.0), (7.5, 8.0)]),
        '↓' => two(&[(4.5, 5.0), (4.5, 15.0)], &[(1.5, 12.0), (4.5, 15.0), (7.5, 12.0)]),
        '≥' => two(&[(1.5, 5.5), (7.5, 8.5), (1.5, 11.5)], &[(1.5, 14.0), (7.5, 14.0)]),
        '≤' => two(&[(7.5, 5.5), (1.5, 8.5), (7.5, 11.5)], &[(1.5, 14.0), (7.5, 14.0)]),
        '–' | '−' => vec![Rect(0.5, 10.0, 8.5, 11.0)],
        '—' => vec![Rect(0.0, 10.0, W, 11.0)],
        '━' => vec![Rect(0.0, my - 1.0, W, my + 1.0)],
        '‖' => vec![Rect(2.0, 5.0, 3.5, 15.0), Rect(5.5, 5.0, 7.0, 15.0)],
        '…' => [1.5, 4.5, 7.5].map(|x| Disc((x, 14.5), 0.9)).into(),
        '‹' => path(&[(6.0, 7.0), (3.0, 10.5), (6.0, 14.0)]),
        '›' => path(&[(3.0, 7.0), (6.0, 10.5), (3.0, 14.0)]),
        _ => {
            let (_, arms) = ARMS.iter().find(|(glyphs, _)| glyphs.contains(glyph))?;
            let (near, far) = ((mx - 0.5, my - 0.5), (mx + 0.5, my + 0.5));
            let arm = |way: char| match way {
                'l' => Rect(0.0, near.1, far.0, far.1),
                'r' => Rect(near.0, near.1, W, far.1),
                'u' => Rect(near.0, 0.0, far.0, far.1),
                _ => Rect(near.0, near.1, far.0, H),
            };
            arms.chars().map(arm).collect()
        }
    })
}

/// The arms of the lines of boxes: left, right, up, down from the middle. Round corners are drawn as corners.
const ARMS: [(&str, &str); 15] = [
    ("─", "lr"),
    ("│", "ud"),
    ("┌╭", "rd"),
    ("┐╮", "ld"),
    ("└╰", "ru"),
    ("┘╯", "lu"),
    ("├", "rud"),
    ("┤", "lud"),
    ("┬", "lrd"),
    ("┴", "lru"),
    ("┼", "lrud"),
    ("╴", "l"),
    ("╵", "u"),
    ("╶", "r"),
    ("╷", "d"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The share of a cell's rows, from the top, that a glyph covers in full, and the same of columns from the left.
    fn full(glyph: char) -> (usize, usize) {
        let mask = mask(glyph, 1, false);
        let is_full = |x: usize, y: usize| mask.cover[y * WIDTH + x] == 255;
        let rows = (0..HEIGHT).filter(|y| (0..WIDTH).all(|x| is_full(x, *y))).count();
        let columns = (0..WIDTH).filter(|x| (0..HEIGHT).all(|y| is_full(*x, y))).count();
        (rows, columns)
    }

    #[test]
    fn blocks_cover_their_share_and_no_pixel_more() {
        assert_eq!(full('█'), (20, 9));
        let half = mask('▀', 1, false);
        assert!(half.cover[..10 * WIDTH].iter().all(|c| *c == 255));
        assert!(half.cover[10 * WIDTH..].iter().all(|c| *c == 0));
        let sum = |glyph| mask(glyph, 1, false).cover.iter().map(|c| f64::from(*c) / 255.0).sum::<f64>();
        // An eighth of 20 rows of 9, and of 9 columns of 20.
        assert!((sum('▁') - 22.5).abs() < 0.5 && (sum('▏') - 22.5).abs() < 3.0);
        assert_eq!(full('▄').0, 10);
        assert_eq!(full('▂').0, 5);
    }

    #[test]
    fn lines_of_boxes_meet_their_neighbours() {
        for (glyph, lit) in
            [('─', [true, true, false, false]), ('╭', [false, true, false, true]), ('┼', [true; 4])]
        {
            let mask = mask(glyph, 1, false);
            let at = |x: usize, y: usize| mask.cover[y * WIDTH + x] == 255;
            assert_eq!([at(0, 9), at(8, 9), at(4, 0), at(4, 19)], lit, "{glyph}");
        }
    }

    #[test]
    fn letters_are_thicker_in_bold_and_fit_their_cell() {
        let ink = |bold| mask('M', 1, bold).cover.iter().map(|c| u32::from(*c)).sum::<u32>();
        assert!(ink(true) > ink(false) && ink(false) > 0);
        assert_eq!(letter('M', true).unwrap().width(), WIDTH);
        assert_eq!(letter('M', false).unwrap().height(), HEIGHT);
    }

    #[test]
    fn what_no_font_has_is_a_box_with_its_number_and_a_blank_is_blank() {
        let wide = mask('币', 2, false);
        assert_eq!((wide.width, wide.cover.len()), (2 * WIDTH, 2 * WIDTH * HEIGHT));
        assert!(wide.cover[..2 * WIDTH].iter().all(|c| *c == 255), "its frame");
        assert_ne!(wide, mask('安', 2, false));
        assert!(mask(' ', 1, false).is_blank() && !mask('₄', 1, false).is_blank());
    }

    /// What the screen says in its own words and on its pictures; not every letter of every symbol an exchange may list.
    #[test]
    fn every_glyph_of_the_screen_is_drawn() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut seen = std::collections::BTreeSet::new();
        for dir in ["tests/snapshots", "src/ui", "src/app"] {
            for file in root.join(dir).read_dir().unwrap().map(|f| f.unwrap().path()).filter(|f| f.is_file())
            {
                seen.extend(std::fs::read_to_string(file).unwrap().chars().filter(|c| !c.is_whitespace()));
            }
        }
        assert!(seen.len() > 120 && seen.contains(&'▀') && seen.contains(&'↻'));
        for glyph in seen {
            let cells = if glyph > '\u{2fff}' { 2 } else { 1 };
            assert!(
                !mask(glyph, cells, false).is_blank() && !mask(glyph, cells, true).is_blank(),
                "{glyph:?}"
            );
            let known =
                parts(glyph).is_some() || subscript(glyph).is_some() || letter(glyph, false).is_some();
            assert!(known || glyph.is_alphanumeric(), "{glyph:?} is a box with a number");
        }
    }
}
