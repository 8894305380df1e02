//! Colours: the ramps of the heatmap, and the few styles of text.

use ratatui::style::{Color, Modifier, Style};

use crate::app::settings::{Depth, PaletteName};
use crate::estimate::{TIERS, Tier};

type Rgb = (u8, u8, u8);

/// One ramp: samples of the colour map, and the xterm-256 indices picked by hand for it. Lightness rises in both.
struct Table {
    ground: Rgb,
    ground_index: u8,
    stops: &'static [Rgb],
    indices: [u8; 16],
}

const VIRIDIS: Table = Table {
    ground: (20, 8, 28),
    ground_index: 233,
    stops: &[
        (68, 1, 84),
        (72, 26, 108),
        (71, 47, 125),
        (65, 68, 135),
        (57, 86, 140),
        (49, 104, 142),
        (42, 120, 142),
        (35, 136, 142),
        (31, 152, 139),
        (34, 168, 132),
        (53, 183, 121),
        (84, 197, 104),
        (122, 209, 81),
        (165, 219, 54),
        (210, 226, 27),
        (253, 231, 37),
    ],
    indices: [53, 54, 24, 25, 61, 30, 31, 66, 36, 72, 42, 78, 113, 148, 184, 220],
};

// The first samples of magma and inferno are nearly black: they are the ground.
const MAGMA: Table = Table {
    ground: (8, 6, 18),
    ground_index: 233,
    stops: &[
        (32, 17, 75),
        (59, 15, 112),
        (87, 21, 126),
        (114, 31, 129),
        (140, 41, 129),
        (168, 50, 125),
        (196, 60, 117),
        (222, 73, 104),
        (241, 96, 93),
        (250, 127, 94),
        (254, 159, 109),
        (254, 191, 132),
        (253, 222, 160),
        (252, 253, 191),
    ],
    indices: [17, 18, 53, 54, 89, 90, 125, 161, 167, 203, 173, 209, 216, 186, 222, 229],
};

const INFERNO: Table = Table {
    ground: (8, 6, 18),
    ground_index: 233,
    stops: &[
        (36, 12, 79),
        (66, 10, 104),
        (93, 18, 110),
        (120, 28, 109),
        (147, 38, 103),
        (174, 48, 92),
        (199, 62, 76),
        (221, 81, 58),
        (237, 105, 37),
        (248, 133, 15),
        (252, 165, 10),
        (250, 198, 45),
        (242, 230, 97),
        (252, 255, 164),
    ],
    indices: [17, 53, 54, 89, 90, 125, 161, 131, 167, 202, 172, 208, 214, 221, 227, 229],
};

const CIVIDIS: Table = Table {
    ground: (8, 10, 18),
    ground_index: 233,
    stops: &[
        (0, 32, 77),
        (0, 48, 111),
        (42, 64, 108),
        (72, 82, 107),
        (94, 98, 110),
        (114, 115, 116),
        (135, 132, 121),
        (158, 150, 119),
        (182, 169, 113),
        (208, 190, 103),
        (234, 211, 87),
        (255, 234, 70),
    ],
    indices: [17, 18, 24, 60, 242, 243, 244, 102, 245, 246, 108, 144, 179, 185, 221, 227],
};

const MONO: Table = Table {
    ground: (10, 10, 10),
    ground_index: 232,
    stops: &[(40, 40, 40), (255, 255, 255)],
    indices: [235, 237, 238, 240, 241, 242, 244, 245, 247, 248, 250, 251, 252, 254, 255, 231],
};

// What was built is blue and what was removed is orange, so that no kind of colour-blind eye takes one for the other.
const BUILT: Table = Table {
    ground: (8, 10, 18),
    ground_index: 233,
    stops: &[
        (12, 34, 66),
        (16, 60, 104),
        (20, 92, 146),
        (28, 126, 184),
        (52, 162, 214),
        (104, 198, 236),
        (170, 230, 250),
    ],
    indices: [17, 18, 19, 24, 25, 26, 31, 32, 33, 38, 39, 75, 45, 81, 117, 123],
};

const REMOVED: Table = Table {
    ground: (8, 10, 18),
    ground_index: 233,
    stops: &[
        (58, 28, 6),
        (98, 44, 8),
        (142, 64, 10),
        (186, 90, 16),
        (224, 124, 32),
        (248, 166, 76),
        (255, 212, 150),
    ],
    indices: [52, 88, 94, 130, 166, 202, 172, 173, 208, 209, 214, 215, 216, 221, 222, 223],
};

/// The ramp of characters, ground first.
pub const GLYPHS: [&str; 10] = [" ", ".", ":", "-", "=", "+", "*", "#", "%", "@"];
/// What was built, in characters.
pub const BUILT_GLYPHS: [&str; 4] = [" ", "+", "*", "#"];
/// What was removed.
pub const REMOVED_GLYPHS: [&str; 4] = [" ", "-", "~", "="];

/// A ramp as this terminal can show it. Steps below zero are those of what was removed.
#[derive(Debug, Clone)]
pub struct Ramp {
    /// Colours by step, ground first; empty for the ramp of characters.
    colours: Vec<Color>,
    /// As `colours`, downward.
    removed: Vec<Color>,
    glyphs: &'static [&'static str],
    removed_glyphs: &'static [&'static str],
    steps: usize,
}

impl Ramp {
    /// A palette in a number of steps. Without colours every palette is the ramp of characters.
    pub fn new(name: PaletteName, depth: Depth, steps: usize) -> Self {
        let steps = steps.max(2);
        let colours = match name {
            PaletteName::Viridis => VIRIDIS.colours(depth, steps),
            PaletteName::Magma => MAGMA.colours(depth, steps),
            PaletteName::Inferno => INFERNO.colours(depth, steps),
            PaletteName::Cividis => CIVIDIS.colours(depth, steps),
            PaletteName::Mono => MONO.colours(depth, steps),
            PaletteName::Glyph => Vec::new(),
        };
        Self { colours, removed: Vec::new(), glyphs: &GLYPHS, removed_glyphs: &GLYPHS, steps }
    }

    /// The two ramps of a difference: what was built, and downward what was removed.
    pub fn difference(name: PaletteName, depth: Depth, steps: usize) -> Self {
        let steps = steps.max(2);
        let colours = |table: &Table| match name {
            PaletteName::Glyph => Vec::new(),
            _ => table.colours(depth, steps),
        };
        Self {
            colours: colours(&BUILT),
            removed: colours(&REMOVED),
            glyphs: &BUILT_GLYPHS,
            removed_glyphs: &REMOVED_GLYPHS,
            steps,
        }
    }

    /// A ramp that leaves the terminal's own ground everywhere: something else is to be seen there.
    pub fn clear(steps: usize) -> Self {
        let colours = vec![Color::Reset; steps.max(2) + 1];
        Self {
            removed: colours.clone(),
            colours,
            glyphs: &GLYPHS,
            removed_glyphs: &GLYPHS,
            steps: steps.max(2),
        }
    }

    /// The colour of a step, or `None` for a ramp of characters.
    pub fn colour(&self, step: i32) -> Option<Color> {
        let colours = if step < 0 { &self.removed } else { &self.colours };
        colours.get((step.unsigned_abs() as usize).min(self.steps)).copied()
    }

    /// The character of a step.
    pub fn glyph(&self, step: i32) -> &'static str {
        let glyphs = if step < 0 { self.removed_glyphs } else { self.glyphs };
        let last = glyphs.len() - 1;
        glyphs[(step.unsigned_abs() as usize * last).div_ceil(self.steps).min(last)]
    }
}

impl Table {
    /// The colours of so many steps, ground first; none without colours.
    fn colours(&self, depth: Depth, steps: usize) -> Vec<Color> {
        let share = |i: usize| i as f64 / (steps - 1) as f64;
        let rgb = |(r, g, b): Rgb| Color::Rgb(r, g, b);
        match depth {
            Depth::None => Vec::new(),
            Depth::Indexed => std::iter::once(Color::Indexed(self.ground_index))
                .chain((0..steps).map(|i| Color::Indexed(self.indices[(share(i) * 15.0).round() as usize])))
                .collect(),
            Depth::True => std::iter::once(rgb(self.ground))
                .chain((0..steps).map(|i| rgb(sample(self.stops, share(i)))))
                .collect(),
        }
    }
}

/// The colour at a share of the way along the stops.
fn sample(stops: &[Rgb], share: f64) -> Rgb {
    let x = share.clamp(0.0, 1.0) * (stops.len() - 1) as f64;
    let i = (x as usize).min(stops.len() - 2);
    let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * (x - i as f64)).round() as u8;
    let (a, b) = (stops[i], stops[i + 1]);
    (mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

/// The styles of everything that is not heat. Without colours only attributes are left.
#[derive(Debug, Clone, Copy)]
pub struct Theme {
    /// Labels, rules, hints.
    pub dim: Style,
    /// What the eye should find first.
    pub strong: Style,
    /// All is well.
    pub good: Style,
    /// Something is not as it should be.
    pub warn: Style,
    /// Inverse: the price label, SIMULATED, the chosen row.
    pub inverse: Style,
    /// Long positions.
    pub long: Style,
    /// Short positions.
    pub short: Style,
    /// The densest zones.
    pub zone: Style,
    /// Popups and boxes over the map.
    pub popup: Style,
    /// A liquidation that was observed, on the map: longs, then shorts.
    pub prints: [Style; 2],
    /// Orders resting in the books.
    pub book: Style,
    /// What was built.
    pub built: Color,
    /// What was removed.
    pub removed: Color,
    /// Candle that closed at or above its open.
    pub up: Color,
    /// Candle that closed below its open.
    pub down: Color,
    /// Where price took a pool.
    pub sweep: Color,
    /// Lines over the map.
    pub line: Color,
    /// Hatching where there is no data.
    pub hatch: Color,
    /// Leverage tiers.
    pub tiers: [Color; TIERS],
    /// Venues by their place in the configuration; from the seventh on they share the last.
    pub venues: [Color; TIERS],
    /// Whether there are colours at all.
    pub colours: bool,
}

impl Theme {
    /// The styles for a terminal.
    pub fn new(depth: Depth) -> Self {
        let colours = depth != Depth::None;
        let ink = |index: u8| if colours { Color::Indexed(index) } else { Color::Reset };
        let fg = |index: u8| if colours { Style::new().fg(ink(index)) } else { Style::new() };
        let bold = Style::new().add_modifier(Modifier::BOLD);
        Self {
            dim: fg(244),
            strong: bold,
            good: fg(71),
            warn: fg(172).patch(bold),
            inverse: Style::new().add_modifier(Modifier::REVERSED),
            long: fg(167),
            short: fg(71),
            zone: fg(178).patch(bold),
            popup: if colours { Style::new().fg(ink(252)).bg(ink(235)) } else { Style::new() },
            prints: [167, 71].map(
                |index| {
                    if colours { Style::new().fg(ink(16)).bg(ink(index)) } else { bold }
                },
            ),
            book: fg(67),
            built: ink(39),
            removed: ink(208),
            up: ink(231),
            down: ink(204),
            sweep: ink(228),
            line: ink(250),
            hatch: ink(238),
            tiers: [243, 67, 73, 143, 172, 168, 255].map(ink),
            venues: [178, 68, 252, 73, 133, 143, 243].map(ink),
            colours,
        }
    }

    /// The colour of a tier.
    pub fn tier(&self, tier: Tier) -> Color {
        self.tiers[tier.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rgb(colour: Color) -> [f64; 3] {
        match colour {
            Color::Rgb(r, g, b) => [r, g, b].map(f64::from),
            Color::Indexed(i @ 232..) => [8.0 + 10.0 * f64::from(i - 232); 3],
            Color::Indexed(i @ 16..) => {
                let level = |n: u8| [0.0, 95.0, 135.0, 175.0, 215.0, 255.0][usize::from(n)];
                let i = i - 16;
                [level(i / 36), level(i / 6 % 6), level(i % 6)]
            }
            other => panic!("{other:?} is not a fixed colour"),
        }
    }

    /// Relative luminance: rises exactly when lightness does.
    fn luminance(colour: Color) -> f64 {
        let linear = |c: f64| {
            let c = c / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        let [r, g, b] = rgb(colour).map(linear);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    #[test]
    fn lightness_rises_along_every_ramp() {
        for name in PaletteName::ALL.into_iter().filter(|p| *p != PaletteName::Glyph) {
            for (depth, steps) in [(Depth::True, 16), (Depth::True, 32), (Depth::Indexed, 16)] {
                let ramp = Ramp::new(name, depth, steps);
                let steps = steps as i32;
                let light: Vec<f64> = (0..=steps).map(|s| luminance(ramp.colour(s).unwrap())).collect();
                for pair in light.windows(2) {
                    assert!(pair[0] < pair[1], "{} {depth:?}: {light:?}", name.name());
                }
            }
        }
    }

    #[test]
    fn both_ramps_of_a_difference_rise_from_one_ground_and_stay_apart() {
        for depth in [Depth::True, Depth::Indexed] {
            let ramp = Ramp::difference(PaletteName::Mono, depth, 16);
            for sign in [1, -1] {
                let light: Vec<f64> = (0..=16).map(|s| luminance(ramp.colour(sign * s).unwrap())).collect();
                assert!(light.windows(2).all(|pair| pair[0] < pair[1]), "{depth:?} {sign}: {light:?}");
            }
            for step in 1..=16 {
                let ([r, _, b], [red, _, blue]) =
                    (rgb(ramp.colour(step).unwrap()), rgb(ramp.colour(-step).unwrap()));
                assert!(b > r && red > blue, "step {step}");
            }
        }
        let plain = Ramp::difference(PaletteName::Viridis, Depth::None, 16);
        let glyphs = |sign: i32| (0..=16).map(|s| plain.glyph(sign * s)).collect::<Vec<_>>();
        assert_eq!((glyphs(1)[1], glyphs(1)[16], glyphs(-1)[1], glyphs(-1)[16]), ("+", "#", "-", "="));
    }

    #[test]
    fn the_ramp_of_characters_uses_every_character_and_no_colour() {
        let ramp = Ramp::new(PaletteName::Viridis, Depth::None, 16);
        assert_eq!(ramp.colour(3), None);
        let all: Vec<&str> = (0..=16).map(|s| ramp.glyph(s)).collect();
        assert_eq!((all[0], all[1], all[16]), (" ", ".", "@"));
        assert!(GLYPHS.iter().all(|g| all.contains(g)));
    }

    #[test]
    fn candles_stand_out_from_every_ground() {
        for depth in [Depth::True, Depth::Indexed] {
            let theme = Theme::new(depth);
            assert!(luminance(theme.up) > 2.0 * luminance(theme.down));
            for name in PaletteName::ALL.into_iter().filter(|p| *p != PaletteName::Glyph) {
                let ground = luminance(Ramp::new(name, depth, 16).colour(0).unwrap());
                assert!((luminance(theme.down) + 0.05) / (ground + 0.05) > 4.5);
            }
        }
    }
}
