//! Colours as a terminal shows them: the ramp of the heatmap, and the few styles of text.

use ratatui::style::{Color, Modifier, Style};

use crate::app::palettes::{self, BUILT, Colours, Heat, Palette, REMOVED, Rgb};
use crate::app::settings::{CandleColours, Depth};
use crate::estimate::{TIERS, Tier};

/// The ramp of characters, ground first.
pub const GLYPHS: [&str; 10] = [" ", ".", ":", "-", "=", "+", "*", "#", "%", "@"];
/// What was built, in characters.
pub const BUILT_GLYPHS: [&str; 4] = [" ", "+", "*", "#"];
/// What was removed.
pub const REMOVED_GLYPHS: [&str; 4] = [" ", "-", "~", "="];

/// A ramp as this terminal can show it. Steps below zero are those of what was removed, or of longs where each side has its own.
#[derive(Debug, Clone)]
pub struct Ramp {
    /// Colours by step, ground first; empty for the ramp of characters.
    colours: Vec<Color>,
    /// As `colours`, downward.
    below: Vec<Color>,
    /// Relative luminance of each.
    light: [Vec<f64>; 2],
    glyphs: &'static [&'static str],
    glyphs_below: &'static [&'static str],
    steps: usize,
    /// Whether each side has its own ramp.
    pub by_side: bool,
}

impl Ramp {
    /// A palette in a number of steps, on a dark or a light ground. Without colours every palette is the ramp of characters.
    pub fn new(palette: &Palette, depth: Depth, steps: usize, light: bool) -> Self {
        let none = (&[][..], &[][..]);
        let (colours, below) = match &palette.heat {
            Heat::Ramp(one) => (std::slice::from_ref(one), none.1),
            Heat::BySide([longs, shorts]) => (std::slice::from_ref(shorts), std::slice::from_ref(longs)),
            Heat::Glyphs => none,
        };
        let by_side = !below.is_empty() && depth != Depth::None;
        Self::of([colours, below], [&GLYPHS, &GLYPHS], depth, steps, light, by_side)
    }

    /// The two ramps of a difference: what was built, and downward what was removed.
    pub fn difference(palette: &Palette, depth: Depth, steps: usize, light: bool) -> Self {
        let (built, removed) = (&[BUILT], &[REMOVED]);
        let colours: [&[Colours]; 2] = if palette.heat == Heat::Glyphs { [&[]; 2] } else { [built, removed] };
        Self::of(colours, [&BUILT_GLYPHS, &REMOVED_GLYPHS], depth, steps, light, false)
    }

    fn of(
        colours: [&[Colours]; 2],
        glyphs: [&'static [&'static str]; 2],
        depth: Depth,
        steps: usize,
        light: bool,
        by_side: bool,
    ) -> Self {
        let steps = steps.max(2);
        let shown = colours.map(|ramp| match ramp {
            [ramp, ..] if light => shades(&ramp.on_light(), depth, steps),
            [ramp, ..] => shades(ramp, depth, steps),
            [] => Vec::new(),
        });
        let light = shown.each_ref().map(|ramp| ramp.iter().map(|c| luminance(*c)).collect());
        let [colours, below] = shown;
        let [glyphs, glyphs_below] = glyphs;
        Self { colours, below, light, glyphs, glyphs_below, steps, by_side }
    }

    /// A ramp that leaves the terminal's own ground everywhere: something else is to be seen there.
    pub fn clear(steps: usize) -> Self {
        let colours = vec![Color::Reset; steps.max(2) + 1];
        Self {
            below: colours.clone(),
            light: [vec![0.0; colours.len()], vec![0.0; colours.len()]],
            colours,
            glyphs: &GLYPHS,
            glyphs_below: &GLYPHS,
            steps: steps.max(2),
            by_side: false,
        }
    }

    /// The colour of a step, or `None` for a ramp of characters.
    pub fn colour(&self, step: i32) -> Option<Color> {
        let colours = if step < 0 { &self.below } else { &self.colours };
        colours.get((step.unsigned_abs() as usize).min(self.steps)).copied()
    }

    /// The relative luminance of a step, 0 to 1.
    pub fn luminance(&self, step: i32) -> f64 {
        let light = &self.light[usize::from(step < 0)];
        light.get((step.unsigned_abs() as usize).min(self.steps)).copied().unwrap_or(0.0)
    }

    /// The character of a step.
    pub fn glyph(&self, step: i32) -> &'static str {
        let glyphs = if step < 0 { self.glyphs_below } else { self.glyphs };
        let last = glyphs.len() - 1;
        glyphs[(step.unsigned_abs() as usize * last).div_ceil(self.steps).min(last)]
    }
}

/// The colours of so many steps, ground first; none without colours.
fn shades(ramp: &Colours, depth: Depth, steps: usize) -> Vec<Color> {
    let share = |i: usize| i as f64 / (steps - 1) as f64;
    let rgb = |(r, g, b): Rgb| Color::Rgb(r, g, b);
    match depth {
        Depth::None => Vec::new(),
        Depth::Named => std::iter::once(named(palettes::nearest_named(ramp.ground)))
            .chain((0..steps).map(|i| named(ramp.named_at(share(i)))))
            .collect(),
        Depth::Indexed => std::iter::once(Color::Indexed(ramp.ground_index))
            .chain((0..steps).map(|i| Color::Indexed(ramp.index_at(share(i)))))
            .collect(),
        Depth::True => {
            std::iter::once(rgb(ramp.ground)).chain((0..steps).map(|i| rgb(ramp.at(share(i))))).collect()
        }
    }
}

/// The colours that have names, in the order of xterm.
const NAMED: [Color; 16] = [
    Color::Black,
    Color::Red,
    Color::Green,
    Color::Yellow,
    Color::Blue,
    Color::Magenta,
    Color::Cyan,
    Color::Gray,
    Color::DarkGray,
    Color::LightRed,
    Color::LightGreen,
    Color::LightYellow,
    Color::LightBlue,
    Color::LightMagenta,
    Color::LightCyan,
    Color::White,
];

/// The place of a colour among those that have names.
pub fn place(colour: Color) -> Option<u8> {
    (0..).zip(NAMED).find(|(_, named)| *named == colour).map(|(place, _)| place)
}

fn named(index: u8) -> Color {
    NAMED.get(usize::from(index)).copied().unwrap_or_default()
}

/// A colour in numbers, the named ones as xterm shows them; `None` for the terminal's own.
pub fn rgb(colour: Color) -> Option<Rgb> {
    match colour {
        Color::Reset => None,
        Color::Rgb(r, g, b) => Some((r, g, b)),
        Color::Indexed(i) => Some(palettes::indexed(i)),
        name => place(name).map(palettes::indexed),
    }
}

/// Relative luminance of a colour, 0 to 1; the terminal's own counts as dark.
fn luminance(colour: Color) -> f64 {
    rgb(colour).map_or(0.0, palettes::luminance)
}

/// An index of xterm's 256 as a terminal of some depth shows it.
fn index(i: u8, depth: Depth) -> Color {
    match depth {
        Depth::None => Color::Reset,
        Depth::Named => named(palettes::nearest_named(palettes::indexed(i))),
        Depth::Indexed | Depth::True => Color::Indexed(i),
    }
}

/// What a candle is drawn with: on dark heat, and on bright heat.
#[derive(Debug, Clone, Copy)]
struct Inks([(Color, f64); 2]);

impl Inks {
    fn new(indices: [u8; 2], depth: Depth) -> Self {
        Self(indices.map(|i| (index(i, depth), luminance(index(i, depth)))))
    }

    /// The one that is told better from a ground of this luminance.
    fn on(self, ground: f64) -> Color {
        let apart = |ink: f64| (ink.max(ground) + 0.05) / (ink.min(ground) + 0.05);
        let [dark, bright] = self.0;
        if apart(dark.1) >= apart(bright.1) { dark.0 } else { bright.0 }
    }
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
    /// Candles that closed below their open, and the others.
    candles: [Inks; 2],
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
    /// The styles for a terminal, on a dark or a light background.
    pub fn new(depth: Depth, light: bool, candles: CandleColours) -> Self {
        let colours = depth != Depth::None;
        // Of each pair the first is for a dark background.
        let pick = |pair: [u8; 2]| pair[usize::from(light)];
        let ink = |pair: [u8; 2]| index(pick(pair), depth);
        // Of sixteen colours the nearest would be one for several.
        let each = |pairs: [[u8; 2]; TIERS], names: [u8; TIERS]| match depth {
            Depth::Named => names.map(named),
            _ => pairs.map(ink),
        };
        let fg = |pair: [u8; 2]| if colours { Style::new().fg(ink(pair)) } else { Style::new() };
        let bold = Style::new().add_modifier(Modifier::BOLD);
        // Down, then up; on dark heat, then on bright heat.
        let (falls, rises) = if depth == Depth::Named { ([13, 0], [10, 4]) } else { ([211, 52], [120, 22]) };
        let inks = match candles {
            CandleColours::WhiteRed if depth == Depth::Named => [falls, [15, 4]],
            CandleColours::WhiteRed => [falls, [231, 16]],
            CandleColours::GreenRed => [falls, rises],
            CandleColours::RedGreen => [rises, falls],
        };
        let print = |pair: [u8; 2]| {
            if colours { Style::new().fg(ink([16, 231])).bg(ink(pair)) } else { bold }
        };
        Self {
            dim: fg([244, 242]),
            strong: bold,
            good: fg([71, 28]),
            warn: fg([172, 130]).patch(bold),
            inverse: Style::new().add_modifier(Modifier::REVERSED),
            long: fg([167, 160]),
            short: fg([71, 28]),
            zone: fg([178, 94]).patch(bold),
            popup: if colours { Style::new().fg(ink([252, 236])).bg(ink([235, 254])) } else { Style::new() },
            prints: [[167, 160], [71, 28]].map(print),
            book: fg([67, 25]),
            built: ink([39, 25]),
            removed: ink([208, 130]),
            candles: inks.map(|pair| Inks::new(pair, depth)),
            sweep: ink([228, 90]),
            line: ink([250, 238]),
            hatch: ink([238, 250]),
            tiers: each(
                [[243, 249], [67, 67], [73, 37], [143, 143], [172, 172], [168, 168], [255, 16]],
                [8, 12, 6, 2, 3, 5, if light { 0 } else { 15 }],
            ),
            venues: each(
                [[178, 178], [68, 26], [252, 240], [73, 37], [133, 133], [143, 143], [243, 249]],
                [3, 12, 13, 6, 5, 2, 8],
            ),
            colours,
        }
    }

    /// The colour of a candle on heat of some relative luminance: the terminal's own without colours.
    pub fn candle(&self, up: bool, ground: f64) -> Color {
        self.candles[usize::from(up)].on(ground)
    }

    /// The colour of a tier.
    pub fn tier(&self, tier: Tier) -> Color {
        self.tiers[tier.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn palette(name: &str) -> Palette {
        Palette::BUILT_IN.into_iter().find(|p| p.name == name).unwrap()
    }

    fn red_and_blue(colour: Color) -> [u8; 2] {
        let (r, _, b) = rgb(colour).unwrap();
        [r, b]
    }

    #[test]
    fn a_ramp_has_the_ground_and_all_its_steps() {
        for name in ["viridis", "magma", "inferno", "cividis", "mono", "classic"] {
            for (depth, light) in
                [Depth::True, Depth::Indexed, Depth::Named].into_iter().flat_map(|d| [(d, false), (d, true)])
            {
                let ramp = Ramp::new(&palette(name), depth, 16, light);
                let sign = if light { -1.0 } else { 1.0 };
                for side in if ramp.by_side { &[1, -1][..] } else { &[1] } {
                    let light: Vec<f64> = (0..=16).map(|s| sign * ramp.luminance(side * s)).collect();
                    assert!(light.windows(2).all(|p| p[0] <= p[1]), "{name} {depth:?}: {light:?}");
                    assert!(light[0] < light[1] && light[1] < light[16], "{name} {depth:?}");
                    // Of sixteen colours some ramps have but two.
                    assert!(depth == Depth::Named || light[1] < light[8] && light[8] < light[16]);
                }
                assert_eq!(ramp.colour(99), ramp.colour(16), "more than the top is the top");
            }
        }
    }

    #[test]
    fn both_ramps_of_a_difference_stay_apart() {
        for depth in [Depth::True, Depth::Indexed, Depth::Named] {
            let ramp = Ramp::difference(&palette("mono"), depth, 16, false);
            for step in 1..=16 {
                let ([r, b], [red, blue]) =
                    (red_and_blue(ramp.colour(step).unwrap()), red_and_blue(ramp.colour(-step).unwrap()));
                assert!(b > r && red > blue, "step {step}");
            }
        }
        let plain = Ramp::difference(&palette("viridis"), Depth::None, 16, false);
        let glyphs = |sign: i32| (0..=16).map(|s| plain.glyph(sign * s)).collect::<Vec<_>>();
        assert_eq!((glyphs(1)[1], glyphs(1)[16], glyphs(-1)[1], glyphs(-1)[16]), ("+", "#", "-", "="));
    }

    #[test]
    fn the_ramp_of_characters_uses_every_character_and_no_colour() {
        let ramp = Ramp::new(&palette("viridis"), Depth::None, 16, false);
        assert_eq!(ramp.colour(3), None);
        let all: Vec<&str> = (0..=16).map(|s| ramp.glyph(s)).collect();
        assert_eq!((all[0], all[1], all[16]), (" ", ".", "@"));
        assert!(GLYPHS.iter().all(|g| all.contains(g)));
        assert!(!Ramp::new(&palette("classic"), Depth::None, 16, false).by_side);
    }

    #[test]
    fn candles_are_told_from_hot_and_cold_ground_in_every_palette() {
        let kinds = [CandleColours::WhiteRed, CandleColours::GreenRed, CandleColours::RedGreen];
        for (depth, light) in
            [Depth::True, Depth::Indexed, Depth::Named].into_iter().flat_map(|d| [(d, false), (d, true)])
        {
            for palette in Palette::BUILT_IN.iter().filter(|p| p.heat != Heat::Glyphs) {
                let ramp = Ramp::new(palette, depth, 16, light);
                for step in -16..=16 {
                    let ground = ramp.luminance(step);
                    for (kind, up) in kinds.into_iter().flat_map(|k| [(k, true), (k, false)]) {
                        let ink = luminance(Theme::new(depth, light, kind).candle(up, ground));
                        let apart = (ink.max(ground) + 0.05) / (ink.min(ground) + 0.05);
                        assert!(apart >= 2.0, "{} {depth:?} {light} step {step}: {apart}", palette.name);
                    }
                }
            }
        }
    }

    #[test]
    fn up_and_down_differ_in_lightness_too() {
        for kind in [CandleColours::WhiteRed, CandleColours::GreenRed, CandleColours::RedGreen] {
            let theme = Theme::new(Depth::True, false, kind);
            let [up, down] = [true, false].map(|up| luminance(theme.candle(up, 0.01)));
            assert!((up.max(down) + 0.05) / (up.min(down) + 0.05) > 1.5, "{kind:?}: {up} {down}");
        }
    }
}
