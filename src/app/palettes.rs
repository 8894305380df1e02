//! The palettes of the heatmap: what colours there are, by name; how a terminal shows them is the drawing's business.

use std::borrow::Cow;

/// Red, green, blue, 0 to 255 each.
pub type Rgb = (u8, u8, u8);

/// One ramp: samples of the colour map at equal steps, and the xterm-256 indices picked by hand for it. Lightness rises in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Colours {
    /// What is below the threshold.
    pub ground: Rgb,
    /// The same of xterm's 256.
    pub ground_index: u8,
    /// From little to much; two at least.
    pub stops: Cow<'static, [Rgb]>,
    /// The same of xterm's 256, evenly over the ramp.
    pub indices: Cow<'static, [u8]>,
    /// The same of the sixteen colours that have names.
    pub named: Cow<'static, [u8]>,
}

impl Colours {
    /// The colour at a share (0 to 1) of the way along the stops.
    pub fn at(&self, share: f64) -> Rgb {
        let x = share.clamp(0.0, 1.0) * (self.stops.len() - 1) as f64;
        let i = (x as usize).min(self.stops.len() - 2);
        let mix =
            |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * (x - i as f64)).round() as u8;
        let (a, b) = (self.stops[i], self.stops[i + 1]);
        (mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
    }

    /// The index of xterm's 256 at a share of the way.
    pub fn index_at(&self, share: f64) -> u8 {
        of_share(&self.indices, share)
    }

    /// The named colour at a share of the way.
    pub fn named_at(&self, share: f64) -> u8 {
        of_share(&self.named, share)
    }

    /// The same for a light ground: from light to dark, without what could not be told from the ground.
    #[must_use]
    pub fn on_light(&self) -> Self {
        const SAMPLES: usize = 24;
        let samples = (0..SAMPLES).map(|i| self.at(i as f64 / (SAMPLES - 1) as f64));
        let stops: Vec<Rgb> = samples.rev().filter(|c| lightness(*c) <= LIGHTEST).collect();
        let dark = |indices: &[u8], lightest: f64| -> Vec<u8> {
            indices.iter().rev().copied().filter(|i| lightness(indexed(*i)) <= lightest).collect()
        };
        let (indices, named) = (dark(&self.indices, LIGHTEST), dark(&self.named, LIGHTEST_NAMED));
        if stops.len() < 2 || indices.is_empty() || named.is_empty() {
            return self.clone();
        }
        Self {
            ground: (255, 255, 255),
            ground_index: 231,
            stops: stops.into(),
            indices: indices.into(),
            named: named.into(),
        }
    }
}

fn of_share(indices: &[u8], share: f64) -> u8 {
    let last = indices.len() - 1;
    indices[((share.clamp(0.0, 1.0) * last as f64).round() as usize).min(last)]
}

/// On a light ground nothing is lighter.
const LIGHTEST: f64 = 90.0;
/// Of the named colours, of which there are few: the light grey may be used.
const LIGHTEST_NAMED: f64 = 92.0;

/// How much becomes which colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heat {
    /// One ramp for both sides.
    Ramp(Colours),
    /// Longs, then shorts.
    BySide([Colours; 2]),
    /// Characters instead of colours.
    Glyphs,
}

/// A palette by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Palette {
    /// The config word.
    pub name: Cow<'static, str>,
    /// Its colours.
    pub heat: Heat,
}

impl Palette {
    /// The palettes there are without any of the user's, in the order in which a key steps through them.
    pub const BUILT_IN: [Self; 7] = [
        Self { name: Cow::Borrowed("viridis"), heat: Heat::Ramp(VIRIDIS) },
        Self { name: Cow::Borrowed("magma"), heat: Heat::Ramp(MAGMA) },
        Self { name: Cow::Borrowed("inferno"), heat: Heat::Ramp(INFERNO) },
        Self { name: Cow::Borrowed("cividis"), heat: Heat::Ramp(CIVIDIS) },
        Self { name: Cow::Borrowed("mono"), heat: Heat::Ramp(MONO) },
        Self { name: Cow::Borrowed("classic"), heat: Heat::BySide([LONGS, SHORTS]) },
        Self { name: Cow::Borrowed("glyph"), heat: Heat::Glyphs },
    ];

    /// A palette of the user's: its ground, and two colours or more from little to much. Indices of xterm's 256 may be left out:
    /// then the nearest are taken.
    pub fn of_user(name: &str, ground: Rgb, stops: &[Rgb], indices: &[u8]) -> Self {
        let nearest = || (0..16).map(|i| f64::from(i) / 15.0);
        let mut colours = Colours {
            ground,
            ground_index: nearest_index(ground),
            stops: stops.to_vec().into(),
            indices: indices.to_vec().into(),
            named: Cow::default(),
        };
        if indices.is_empty() {
            colours.indices = nearest().map(|share| nearest_index(colours.at(share))).collect();
        }
        let mut named: Vec<u8> = nearest().map(|share| nearest_named(colours.at(share))).collect();
        // Each once, and none darker than the one before it.
        let mut lightest = 0.0;
        named.retain(|i| {
            let light = lightness(indexed(*i));
            let rises = light > lightest;
            lightest = lightest.max(light);
            rises
        });
        if named.is_empty() {
            named.push(nearest_named(colours.at(1.0)));
        }
        colours.named = named.into();
        Self { name: name.to_owned().into(), heat: Heat::Ramp(colours) }
    }
}

/// The sixteen colours that have names, as xterm shows them; every terminal has its own.
const NAMED: [Rgb; 16] = [
    (0, 0, 0),
    (205, 0, 0),
    (0, 205, 0),
    (205, 205, 0),
    (0, 0, 238),
    (205, 0, 205),
    (0, 205, 205),
    (229, 229, 229),
    (127, 127, 127),
    (255, 0, 0),
    (0, 255, 0),
    (255, 255, 0),
    (92, 92, 255),
    (255, 0, 255),
    (0, 255, 255),
    (255, 255, 255),
];

/// The colour of an index of xterm's 256: the named ones, a cube of six steps, 24 greys.
pub fn indexed(index: u8) -> Rgb {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    match index {
        232.. => [8 + 10 * (index - 232); 3].into(),
        16.. => {
            let i = index - 16;
            let level = |n: u8| LEVELS[usize::from(n)];
            (level(i / 36), level(i / 6 % 6), level(i % 6))
        }
        _ => NAMED[usize::from(index)],
    }
}

/// How far two colours are from one another, squared.
fn apart((r, g, b): Rgb, (x, y, z): Rgb) -> u32 {
    let square = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
    square(r, x) + square(g, y) + square(b, z)
}

fn nearest_index(colour: Rgb) -> u8 {
    (16..=255).min_by_key(|i| apart(colour, indexed(*i))).unwrap_or(16)
}

/// The named colour that is nearest; for one that is no grey none of the greys, which are near to everything.
pub fn nearest_named(colour: Rgb) -> u8 {
    const GREY: u8 = 40;
    let is_grey = |(r, g, b): Rgb| r.max(g).max(b) - r.min(g).min(b) < GREY;
    let fits = |i: &u8| is_grey(indexed(*i)) == is_grey(colour);
    (0..16).filter(fits).min_by_key(|i| apart(colour, indexed(*i))).unwrap_or(0)
}

/// Relative luminance of a colour, 0 to 1 (WCAG 2, sRGB).
pub fn luminance((r, g, b): Rgb) -> f64 {
    let linear = |c: u8| {
        let c = f64::from(c) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
}

/// CIE L* of a colour, 0 to 100: equal steps look equal.
pub fn lightness(colour: Rgb) -> f64 {
    let y = luminance(colour);
    if y > 0.008_856 { 116.0 * y.cbrt() - 16.0 } else { 903.3 * y }
}

/// How well two colours are told apart, 1 to 21 (WCAG 2 contrast).
pub fn contrast(a: Rgb, b: Rgb) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

const VIRIDIS: Colours = Colours {
    ground: (20, 8, 28),
    ground_index: 233,
    stops: Cow::Borrowed(&[
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
    ]),
    indices: Cow::Borrowed(&[53, 54, 24, 30, 36, 42, 113, 148, 184, 220]),
    named: Cow::Borrowed(&[4, 12, 6, 10, 11]),
};

// The first samples of magma and inferno are nearly black: they are the ground.
const MAGMA: Colours = Colours {
    ground: (8, 6, 18),
    ground_index: 233,
    stops: Cow::Borrowed(&[
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
    ]),
    indices: Cow::Borrowed(&[17, 53, 54, 90, 126, 161, 167, 203, 209, 216, 222, 229]),
    named: Cow::Borrowed(&[4, 5, 13, 15]),
};

const INFERNO: Colours = Colours {
    ground: (8, 6, 18),
    ground_index: 233,
    stops: Cow::Borrowed(&[
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
    ]),
    indices: Cow::Borrowed(&[17, 53, 54, 89, 125, 161, 202, 208, 214, 221, 229]),
    named: Cow::Borrowed(&[1, 9, 3, 11]),
};

const CIVIDIS: Colours = Colours {
    ground: (8, 10, 18),
    ground_index: 233,
    stops: Cow::Borrowed(&[
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
    ]),
    indices: Cow::Borrowed(&[17, 18, 24, 60, 242, 244, 102, 144, 179, 221, 227]),
    named: Cow::Borrowed(&[4, 8, 3, 11]),
};

const MONO: Colours = Colours {
    ground: (10, 10, 10),
    ground_index: 232,
    stops: Cow::Borrowed(&[(40, 40, 40), (255, 255, 255)]),
    indices: Cow::Borrowed(&[235, 237, 238, 240, 241, 242, 244, 245, 247, 248, 250, 251, 252, 254, 255, 231]),
    named: Cow::Borrowed(&[8, 7, 15]),
};

// What was built is blue and what was removed is orange, so that no kind of colour-blind eye takes one for the other.

/// What was built.
pub const BUILT: Colours = Colours {
    ground: (8, 10, 18),
    ground_index: 233,
    stops: Cow::Borrowed(&[
        (12, 34, 66),
        (16, 60, 104),
        (20, 92, 146),
        (28, 126, 184),
        (52, 162, 214),
        (104, 198, 236),
        (170, 230, 250),
    ]),
    indices: Cow::Borrowed(&[17, 18, 19, 24, 25, 26, 31, 32, 33, 38, 39, 75, 45, 81, 117, 123]),
    named: Cow::Borrowed(&[4, 12, 14]),
};

/// What was removed.
pub const REMOVED: Colours = Colours {
    ground: (8, 10, 18),
    ground_index: 233,
    stops: Cow::Borrowed(&[
        (58, 28, 6),
        (98, 44, 8),
        (142, 64, 10),
        (186, 90, 16),
        (224, 124, 32),
        (248, 166, 76),
        (255, 212, 150),
    ]),
    indices: Cow::Borrowed(&[52, 88, 94, 130, 166, 202, 172, 173, 208, 209, 214, 215, 216, 221, 222, 223]),
    named: Cow::Borrowed(&[1, 9, 3]),
};

// The other maps' habit: longs red, shorts green. Both rise through the same lightness, so that they compare.
const LONGS: Colours = Colours {
    ground: (10, 8, 10),
    ground_index: 232,
    stops: Cow::Borrowed(&[
        (89, 0, 7),
        (114, 2, 14),
        (142, 1, 20),
        (164, 28, 35),
        (183, 50, 51),
        (203, 69, 67),
        (223, 88, 83),
        (243, 106, 100),
        (253, 131, 123),
        (254, 159, 151),
        (254, 186, 179),
        (255, 211, 206),
    ]),
    indices: Cow::Borrowed(&[52, 88, 124, 160, 196, 203, 210, 217, 224]),
    named: Cow::Borrowed(&[1, 9, 15]),
};

const SHORTS: Colours = Colours {
    ground: (10, 8, 10),
    ground_index: 232,
    stops: Cow::Borrowed(&[
        (0, 47, 16),
        (0, 64, 24),
        (0, 80, 33),
        (0, 98, 41),
        (0, 116, 50),
        (0, 134, 60),
        (36, 151, 76),
        (60, 169, 93),
        (80, 187, 110),
        (99, 206, 127),
        (118, 224, 144),
        (137, 243, 162),
    ]),
    indices: Cow::Borrowed(&[22, 28, 65, 34, 71, 77, 120, 157]),
    named: Cow::Borrowed(&[2, 10, 15]),
};

#[cfg(test)]
mod tests {
    use super::*;

    fn ramps() -> Vec<(String, Colours)> {
        let of = |p: &Palette| match &p.heat {
            Heat::Ramp(colours) => vec![(p.name.to_string(), colours.clone())],
            Heat::BySide([longs, shorts]) => {
                vec![
                    (format!("{} longs", p.name), longs.clone()),
                    (format!("{} shorts", p.name), shorts.clone()),
                ]
            }
            Heat::Glyphs => Vec::new(),
        };
        let named = Palette::BUILT_IN.iter().flat_map(of);
        named.chain([("built".to_owned(), BUILT), ("removed".to_owned(), REMOVED)]).collect()
    }

    #[test]
    fn steps_of_every_ramp_look_equal() {
        for (name, ramp) in ramps() {
            for (ramp, sign) in [(ramp.on_light(), -1.0), (ramp, 1.0)] {
                let light: Vec<f64> = (0..16).map(|i| lightness(ramp.at(f64::from(i) / 15.0))).collect();
                let mean = (light[15] - light[0]) / 15.0;
                assert!(sign * mean > 3.5, "{name}: {light:?}");
                for pair in light.windows(2) {
                    let step = (pair[1] - pair[0]) / mean;
                    assert!((0.75..1.3).contains(&step), "{name}: {step} of the mean step in {light:?}");
                }
            }
        }
    }

    #[test]
    fn lightness_rises_along_every_ramp_and_falls_on_a_light_ground() {
        for (name, ramp) in ramps() {
            for (ramp, sign) in [(ramp.on_light(), -1.0), (ramp, 1.0)] {
                let colours =
                    std::iter::once(ramp.ground).chain((0..32).map(|i| ramp.at(f64::from(i) / 31.0)));
                let picked = std::iter::once(indexed(ramp.ground_index));
                let picked = picked.chain(ramp.indices.iter().map(|i| indexed(*i)));
                let rises = |colours: Vec<Rgb>| {
                    let light: Vec<f64> = colours.into_iter().map(|c| sign * lightness(c)).collect();
                    assert!(light.windows(2).all(|pair| pair[0] < pair[1]), "{name}: {light:?}");
                };
                rises(colours.collect());
                rises(picked.collect());
                let named = std::iter::once(nearest_named(ramp.ground)).chain(ramp.named.iter().copied());
                rises(named.map(indexed).collect());
            }
        }
    }

    #[test]
    fn both_sides_of_a_ramp_are_as_light_as_each_other() {
        let Some(Palette { heat: Heat::BySide([longs, shorts]), .. }) =
            Palette::BUILT_IN.into_iter().find(|p| p.name == "classic")
        else {
            unreachable!("it has two ramps")
        };
        for i in 0..=10 {
            let [a, b] = [&longs, &shorts].map(|ramp| ramp.at(f64::from(i) / 10.0));
            assert!((lightness(a) - lightness(b)).abs() < 2.0, "{a:?} {b:?}");
            assert!(a.0 > a.1 && b.1 > b.0);
        }
    }

    #[test]
    fn lightness_and_contrast_are_the_standards_own() {
        assert_eq!((lightness((0, 0, 0)), lightness((255, 255, 255)).round()), (0.0, 100.0));
        // sRGB mid grey (119) has L* 50.
        assert!((lightness((119, 119, 119)) - 50.0).abs() < 0.1);
        assert_eq!(contrast((0, 0, 0), (255, 255, 255)).round(), 21.0);
        assert_eq!((indexed(16), indexed(231), indexed(244)), ((0, 0, 0), (255, 255, 255), (128, 128, 128)));
    }

    #[test]
    fn a_palette_of_the_users_finds_its_own_indices() {
        let palette = Palette::of_user("night", (0, 0, 0), &[(95, 0, 0), (255, 255, 255)], &[]);
        let Heat::Ramp(colours) = palette.heat else { unreachable!("it is one ramp") };
        assert_eq!((colours.ground_index, colours.index_at(0.0), colours.index_at(1.0)), (16, 52, 231));
        assert_eq!(colours.at(0.5), (175, 128, 128));
        let picked = Palette::of_user("night", (0, 0, 0), &[(95, 0, 0), (255, 255, 255)], &[52, 124, 231]);
        let Heat::Ramp(colours) = picked.heat else { unreachable!("it is one ramp") };
        assert_eq!(colours.index_at(0.5), 124);
    }
}
