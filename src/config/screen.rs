//! `[screen]` and `[palettes]`: what is drawn, and how.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Auto;
use crate::app::model::{Model, Sides};
use crate::app::palettes::Rgb;
use crate::app::scale::Unit;
use crate::app::settings::{CandleColours, Curve};
use crate::estimate::{Preset, Tier};
use crate::market::Interval;

/// `[screen]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Screen {
    /// What the heatmap shows: 1 precise, 2 zones, 3 comprehensive.
    pub model: Model,
    /// Another map's rule that is drawn instead of ours, or `none`.
    #[serde(with = "none_or")]
    pub preset: Option<Preset>,
    /// How far back the view of changes looks, at least a minute.
    pub difference: Interval,
    /// Candle interval, or `auto` for one candle a column of the screen.
    pub candle_interval: Auto<Interval>,
    /// Whether candles are drawn.
    pub candles: bool,
    /// Levels below this are not drawn, in `threshold_unit`.
    pub threshold: f64,
    /// What `threshold` counts.
    pub threshold_unit: Unit,
    /// The colour scale ends here, in `cut_unit`.
    pub cut: f64,
    /// What `cut` counts.
    pub cut_unit: Unit,
    /// How USD becomes colour.
    pub scale: Curve,
    /// Whether the colour scale spreads over what is in view instead of standing on round USD.
    pub relative_scale: bool,
    /// The palette: a built-in one, or one of `[palettes]`.
    pub palette: String,
    /// Whether the terminal's background is dark or light.
    pub background: Background,
    /// The colours of candles.
    pub candle_colours: CandleColours,
    /// The sides drawn at the start.
    pub sides: Sides,
    /// Whether the mouse is listened to.
    pub mouse: bool,
    /// How many colours the terminal is given.
    pub colour: Colour,
    /// Whether the heatmap is an image.
    pub graphics: Graphics,
    /// Steps of the ramp, 2 to 256; `auto` is 16 over ssh and mosh and in multiplexers, and 32 elsewhere.
    pub colour_steps: Auto<u16>,
    /// Frames a second at most, 1 to 60; `auto` is 4 over ssh and mosh and 10 elsewhere.
    pub fps: Auto<u16>,
    /// How the map moves on.
    pub scroll: Scroll,
    /// Leverage tiers shown at the start.
    pub tiers: Vec<Tier>,
    /// Folder that pictures are written to; empty for the current one.
    pub snapshot_dir: PathBuf,
}

impl Default for Screen {
    fn default() -> Self {
        Self {
            model: Model::default(),
            preset: None,
            difference: Interval::H1,
            candle_interval: Auto::Auto,
            candles: true,
            threshold: 85.0,
            threshold_unit: Unit::Percentile,
            cut: 99.5,
            cut_unit: Unit::Percentile,
            scale: Curve::Sqrt,
            relative_scale: false,
            palette: "viridis".to_owned(),
            background: Background::Auto,
            candle_colours: CandleColours::default(),
            sides: Sides::default(),
            mouse: false,
            colour: Colour::Auto,
            graphics: Graphics::None,
            colour_steps: Auto::Auto,
            fps: Auto::Auto,
            scroll: Scroll::Auto,
            tiers: Tier::ALL.to_vec(),
            snapshot_dir: PathBuf::new(),
        }
    }
}

/// How the map moves on when a column is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scroll {
    /// `shift`, unless tmux, screen, zellij or mosh is between.
    Auto,
    /// By differences alone.
    Diff,
    /// The terminal shifts the rows where that takes fewer bytes.
    Shift,
}

/// How many colours the terminal is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    /// What the environment and the terminal itself tell.
    Auto,
    /// None; heat is drawn with characters.
    None,
    /// The sixteen colours that have names.
    #[serde(rename = "16")]
    #[value(name = "16")]
    Named,
    /// The 256 colours of xterm.
    #[serde(rename = "256")]
    #[value(name = "256")]
    Indexed,
    /// 24-bit colour.
    True,
}

/// The terminal's background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Background {
    /// What `COLORFGBG` tells, else dark.
    Auto,
    /// Light on dark.
    Dark,
    /// Dark on light.
    Light,
}

/// One of `[palettes]`: a ground and two colours or more, from little to much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserPalette {
    /// What is below the threshold, `"#rrggbb"`.
    pub ground: Hex,
    /// From little to much, 2 to 64.
    pub stops: Vec<Hex>,
    /// The same as indices of xterm's 256, 16 and above; empty for the nearest.
    #[serde(default)]
    pub indices: Vec<u8>,
}

/// A colour as `"#rrggbb"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hex(pub Rgb);

impl TryFrom<String> for Hex {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let shown: String = text.chars().filter(|c| !c.is_control()).take(20).collect();
        let digits =
            text.strip_prefix('#').filter(|d| d.len() == 6 && d.bytes().all(|b| b.is_ascii_hexdigit()));
        let value = digits.and_then(|d| u32::from_str_radix(d, 16).ok());
        let [_, r, g, b] =
            value.ok_or(format!("bad colour {shown:?}: write it as \"#20a0ff\""))?.to_be_bytes();
        Ok(Self((r, g, b)))
    }
}

impl From<Hex> for String {
    fn from(Hex((r, g, b)): Hex) -> Self {
        format!("#{r:02x}{g:02x}{b:02x}")
    }
}

/// Whether the heatmap is an image under the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Graphics {
    /// Text everywhere.
    None,
    /// An image by kitty's protocol, unless a multiplexer is between.
    Kitty,
    /// An image where the environment tells of a terminal that draws it.
    Auto,
}

/// A setting that can be `none`.
mod none_or {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "the signature serde asks for")]
    pub fn serialize<T: Serialize, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => value.serialize(serializer),
            None => serializer.serialize_str("none"),
        }
    }

    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
        D: Deserializer<'de>,
    {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        if text == "none" {
            return Ok(None);
        }
        text.parse().map(Some).map_err(serde::de::Error::custom)
    }
}
