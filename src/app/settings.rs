//! What the screen starts with; filled from the configuration.

use serde::{Deserialize, Serialize};

use crate::estimate::{Preset, TierSet};
use crate::market::{Asset, Interval};

use super::keymap::Keymap;
use super::model::{Model, Sides};
use super::palettes::Palette;
use super::panels::Kept;
use super::profile::MapBy;
use super::scale::{Limit, Unit};

/// The colours of candles: of those that closed at or above their open, and of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CandleColours {
    /// White up, red down.
    #[default]
    WhiteRed,
    /// Green up, red down.
    GreenRed,
    /// Red up, green down.
    RedGreen,
}

impl CandleColours {
    /// The next convention, round and round.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::WhiteRed => Self::GreenRed,
            Self::GreenRed => Self::RedGreen,
            Self::RedGreen => Self::WhiteRed,
        }
    }
}

/// How many colours the terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// None, or the user wants none: only characters and attributes are written.
    None,
    /// The sixteen colours that have names.
    Named,
    /// The 256 colours of xterm.
    Indexed,
    /// 24-bit colour.
    True,
}

/// Whether the heatmap is an image under the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Images {
    /// It is text.
    No,
    /// It is text until the terminal answers that it draws images.
    Asked,
    /// It is one.
    Yes,
}

/// How USD becomes intensity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Curve {
    /// Intensity is the square root of the share of the top; lifts the middle.
    Sqrt,
    /// Intensity is the share of the top.
    Linear,
    /// Equal factors are equal steps, over three decades at most: shows small and large at once.
    Log,
}

impl Curve {
    /// The next curve, round and round.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Sqrt => Self::Linear,
            Self::Linear => Self::Log,
            Self::Log => Self::Sqrt,
        }
    }

    /// The config word.
    pub const fn name(self) -> &'static str {
        ["sqrt", "linear", "log"][self as usize]
    }
}

/// The ranges a key steps through.
pub const RANGES: [Interval; 8] = [
    Interval::from_hours(12),
    Interval::from_hours(24),
    Interval::from_hours(3 * 24),
    Interval::from_hours(7 * 24),
    Interval::from_hours(30 * 24),
    Interval::from_hours(90 * 24),
    Interval::from_hours(180 * 24),
    Interval::from_hours(365 * 24),
];

/// The candle intervals a key steps through; before the first stands "auto".
pub const CANDLE_INTERVALS: [Interval; 6] =
    [Interval::M1, Interval::M5, Interval::M15, Interval::H1, Interval::H4, Interval::D1];

/// What the screen starts with.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "switches, by name")]
pub struct Settings {
    /// Time shown across the heatmap.
    pub range: Interval,
    /// Length of a candle; `None` for one candle a column of the screen.
    pub candle_interval: Option<Interval>,
    /// Whether candles are drawn.
    pub candles: bool,
    /// Levels below it are not drawn.
    pub threshold: Limit,
    /// The colour scale ends at or above it.
    pub cut: Limit,
    /// How USD becomes intensity.
    pub curve: Curve,
    /// Whether the colour scale spreads over what is in view instead of standing on round USD.
    pub relative_scale: bool,
    /// The palettes there are: the built-in ones, then the user's.
    pub palettes: Vec<Palette>,
    /// Which of them is drawn with.
    pub palette: usize,
    /// Whether the terminal's background is light.
    pub light: bool,
    /// The colours of candles.
    pub candle_colours: CandleColours,
    /// Whether the mouse is listened to.
    pub mouse: bool,
    /// The sides counted and drawn at the start.
    pub sides: Sides,
    /// How many colours the terminal has; with none the ramp is made of characters.
    pub depth: Depth,
    /// Steps of the ramp; fewer steps cost fewer bytes on the wire.
    pub colour_steps: usize,
    /// Frames a second, at most; a key is always answered at once.
    pub fps: u32,
    /// Whether the terminal moves the map's rows by itself; sparse marks then go with the map rather than stay in place.
    pub shifts: bool,
    /// The display model.
    pub model: Model,
    /// Another map's rule that is drawn instead of ours.
    pub preset: Option<Preset>,
    /// How far back the view of changes looks.
    pub difference: Interval,
    /// What the bars of the map are split by.
    pub map_by: MapBy,
    /// Tiers counted and drawn at the start.
    pub tiers: TierSet,
    /// The assets `next_symbol` steps through; when empty, all the assets there are.
    pub watchlist: Vec<Asset>,
    /// Which key does what.
    pub keymap: Keymap,
    /// Whether the heatmap is an image, by kitty's protocol, under the text.
    pub images: Images,
    /// Where pictures are written; empty for the current folder.
    pub snapshot_dir: std::path::PathBuf,
    /// What is kept between runs: the panels that are wanted, the filter of the tape.
    pub kept: Kept,
    /// Something to tell once, until the first key; empty for nothing.
    pub note: String,
}

impl Settings {
    /// The range in the words of the keys: `24h` rather than `1d`.
    pub fn range_label(&self) -> String {
        match self.range.ms() / 3_600_000 {
            hours @ 1..=24 => format!("{hours}h"),
            8_760 => "1y".to_owned(),
            _ => self.range.to_string(),
        }
    }

    /// The palette that is drawn with.
    pub fn palette(&self) -> &Palette {
        const FIRST: &Palette = &Palette::BUILT_IN[0];
        self.palettes.get(self.palette).unwrap_or(FIRST)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            range: Interval::D1,
            candle_interval: None,
            candles: true,
            threshold: Limit { unit: Unit::Percentile, value: 85.0 },
            cut: Limit { unit: Unit::Percentile, value: 99.5 },
            curve: Curve::Sqrt,
            relative_scale: false,
            palettes: Palette::BUILT_IN.to_vec(),
            palette: 0,
            light: false,
            candle_colours: CandleColours::default(),
            mouse: false,
            sides: Sides::default(),
            depth: Depth::True,
            colour_steps: 32,
            fps: 10,
            shifts: false,
            model: Model::default(),
            preset: None,
            difference: Interval::H1,
            map_by: MapBy::Tier,
            tiers: TierSet::ALL,
            watchlist: Vec::new(),
            keymap: Keymap::default(),
            images: Images::No,
            snapshot_dir: std::path::PathBuf::new(),
            kept: Kept::default(),
            note: String::new(),
        }
    }
}
