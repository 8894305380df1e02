//! File, environment and flags to one validated configuration. Unknown keys are refused.
//!
//! Precedence: flag, then environment (`MELTLINE_…`, read with the flags), then file, then default.

mod screen;
mod venues;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use etcetera::BaseStrategy;
use serde::{Deserialize, Serialize};

use crate::app::palettes::{Palette, Rgb};
use crate::app::scale::Unit;
use crate::market::{Asset, Interval};
use crate::store::StoreConfig;
pub use screen::{Background, Colour, Graphics, Hex, Screen, Scroll, UserPalette};
pub use venues::{VenueTable, Venues};

/// Everything a user can set. `config.example.toml` documents each key; a test holds it equal to [`Config::default`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Asset watched at the start.
    pub asset: Asset,
    /// Assets the next/previous keys step through.
    pub watchlist: Vec<Asset>,
    /// Time shown across the heatmap.
    pub range: Interval,
    /// Width of a price bin, basis points (1 to 100).
    pub bin_bp: f64,
    /// Folder for history and logs; empty for the platform's own.
    pub data_dir: PathBuf,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub log: LogLevel,
    /// The screen.
    pub screen: Screen,
    /// Sockets and REST.
    pub feed: Feed,
    /// History on disk.
    pub store: StoreConfig,
    /// The exchanges.
    pub venues: Venues,
    /// Palettes of the user's, by name.
    pub palettes: BTreeMap<String, UserPalette>,
    /// Keys by action; what is not named keeps its default keys.
    pub keys: BTreeMap<String, Vec<String>>,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What went wrong for good.
    Error,
    /// What went wrong and was mended.
    Warn,
    /// Milestones.
    Info,
    /// Details.
    Debug,
    /// Everything.
    Trace,
}

/// A setting that the program may choose by what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Auto<T> {
    /// Chosen by the program; written `"auto"`.
    #[default]
    Auto,
    /// Chosen by the user.
    Set(T),
}

impl<T> Auto<T> {
    /// The user's choice.
    pub fn set(self) -> Option<T> {
        match self {
            Self::Auto => None,
            Self::Set(value) => Some(value),
        }
    }
}

impl<T: Serialize> Serialize for Auto<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Set(value) => value.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Auto<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either<T> {
            Value(T),
            Word(String),
        }
        match Either::deserialize(deserializer) {
            Ok(Either::Value(value)) => Ok(Self::Set(value)),
            Ok(Either::Word(word)) if word == "auto" => Ok(Self::Auto),
            Ok(Either::Word(word)) => {
                Err(serde::de::Error::custom(format!("{word:?} is neither \"auto\" nor a valid value")))
            }
            Err(_) => Err(serde::de::Error::custom("expected \"auto\" or a valid value")),
        }
    }
}

/// `[feed]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Feed {
    /// Hours of history fetched at the start, 1 to 720.
    pub backfill_hours: u32,
    /// Seconds between two readings of open interest, 1 to 300.
    pub open_interest_secs: u32,
    /// Seconds a stream may be silent after it was subscribed, and a steady one at any time, 3 to 600.
    pub silence_secs: u32,
    /// Levels of an order book are kept up to this far from the mid price, percent (0.1 to 25).
    pub book_percent: f64,
    /// At most one order book event in so many ms, 100 to 60000.
    pub book_ms: u32,
    /// Folder that raw frames are recorded in; empty for none.
    pub capture: PathBuf,
    /// Whether all assets of the watchlist are followed, not only the one that is shown.
    pub follow_watchlist: bool,
    /// Whether the addresses of the venues are a simulator's; the screen then says SIMULATED.
    pub simulated: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            asset: Asset::default(),
            watchlist: ["BTC", "ETH", "SOL"].into_iter().filter_map(|name| name.parse().ok()).collect(),
            range: Interval::D1,
            bin_bp: 5.0,
            data_dir: PathBuf::new(),
            log: LogLevel::Info,
            screen: Screen::default(),
            feed: Feed::default(),
            store: StoreConfig::default(),
            venues: Venues::default(),
            palettes: BTreeMap::new(),
            keys: BTreeMap::new(),
        }
    }
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            backfill_hours: 48,
            open_interest_secs: 5,
            silence_secs: 15,
            book_percent: 2.0,
            book_ms: 1_000,
            capture: PathBuf::new(),
            follow_watchlist: true,
            simulated: false,
        }
    }
}

impl Config {
    /// Reads a file. The error names the file, the line and the nearest valid key or the range allowed.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("in the configuration {}", path.display()))
    }

    /// Reads the file a user named, else the one in the platform's own place if there is one, else the defaults.
    pub fn load(named: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(path) = named {
            return Self::read(path);
        }
        match default_path() {
            Some(path) if path.is_file() => Self::read(&path),
            _ => Ok(Self::default()),
        }
    }

    /// Reads the text of a file.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        refuse_unknown_keys(text)?;
        let config: Self = toml::from_str(text).map_err(|e| Located::new(text, e.span(), e.message()))?;
        config.validate()?;
        Ok(config)
    }

    /// Checks what types cannot.
    fn validate(&self) -> anyhow::Result<()> {
        fn within<T: PartialOrd + Copy + fmt::Display>(
            key: &str,
            value: T,
            low: T,
            high: T,
        ) -> anyhow::Result<()> {
            anyhow::ensure!(
                value >= low && value <= high,
                "{key} = {value}: use a value from {low} to {high}"
            );
            Ok(())
        }
        within("bin_bp", self.bin_bp, 1.0, 100.0)?;
        within("feed.backfill_hours", self.feed.backfill_hours, 1, 720)?;
        within("feed.open_interest_secs", self.feed.open_interest_secs, 1, 300)?;
        within("feed.silence_secs", self.feed.silence_secs, 3, 600)?;
        within("feed.book_percent", self.feed.book_percent, 0.1, 25.0)?;
        within("feed.book_ms", self.feed.book_ms, 100, 60_000)?;
        within("store.minute_hours", self.store.minute_hours, 1, 8_760)?;
        within("store.five_minute_days", self.store.five_minute_days, 1, 3_650)?;
        within("store.hour_days", self.store.hour_days, 1, 36_500)?;
        within("store.open_interest_days", self.store.open_interest_days, 1, 36_500)?;
        within("store.funding_days", self.store.funding_days, 1, 36_500)?;
        within("store.liquidation_days", self.store.liquidation_days, 0, 36_500)?;
        within("store.max_mb", self.store.max_mb, 50, 1_000_000)?;
        within("store.capture_max_mb", self.store.capture_max_mb, 50, 10_000_000)?;
        within("screen.difference", self.screen.difference, Interval::M1, Interval::from_hours(7 * 24))?;
        if let Some(steps) = self.screen.colour_steps.set() {
            within("screen.colour_steps", steps, 2, 256)?;
        }
        if let Some(fps) = self.screen.fps.set() {
            within("screen.fps", fps, 1, 60)?;
        }
        for (name, value, unit) in [
            ("screen.threshold", self.screen.threshold, self.screen.threshold_unit),
            ("screen.cut", self.screen.cut, self.screen.cut_unit),
        ] {
            let high = if unit == Unit::Usd { 1e15 } else { 100.0 };
            within(name, value, 0.0, high)?;
        }
        for (name, palette) in &self.palettes {
            anyhow::ensure!(
                (2..=64).contains(&palette.stops.len()),
                "palettes.{name}.stops has {} colours: use 2 to 64",
                palette.stops.len()
            );
            anyhow::ensure!(
                palette.indices.len() <= 64 && palette.indices.iter().all(|i| *i >= 16),
                "palettes.{name}.indices: use up to 64 of the indices 16 to 255 (the first 16 differ from terminal to terminal)"
            );
            anyhow::ensure!(
                Palette::BUILT_IN.iter().all(|p| p.name != name.as_str()),
                "palettes.{name}: that name is taken by a built-in palette"
            );
        }
        let palettes = self.palettes();
        if palettes.iter().all(|p| p.name != self.screen.palette.as_str()) {
            let names: Vec<&str> = palettes.iter().map(|p| &*p.name).collect();
            let shown: String = self.screen.palette.chars().filter(|c| !c.is_control()).take(40).collect();
            anyhow::bail!("screen.palette: there is no palette {shown:?}; there are {}", names.join(", "));
        }
        self.venues.validate()
    }

    /// The palettes there are: the built-in ones, then the user's.
    pub fn palettes(&self) -> Vec<Palette> {
        let user = |(name, p): (&String, &UserPalette)| {
            let stops: Vec<Rgb> = p.stops.iter().map(|s| s.0).collect();
            Palette::of_user(name, p.ground.0, &stops, &p.indices)
        };
        Palette::BUILT_IN.into_iter().chain(self.palettes.iter().map(user)).collect()
    }

    /// Where data is kept.
    pub fn data_dir(&self) -> PathBuf {
        if self.data_dir.as_os_str().is_empty() {
            etcetera::choose_base_strategy()
                .map_or_else(|_| PathBuf::from("meltline-data"), |dirs| dirs.data_dir().join("meltline"))
        } else {
            self.data_dir.clone()
        }
    }
}

/// Where the configuration is looked for.
pub fn default_path() -> Option<PathBuf> {
    let dirs = etcetera::choose_base_strategy().ok()?;
    Some(dirs.config_dir().join("meltline").join("config.toml"))
}

/// An error with its place in the text.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {what}")]
struct Located {
    line: usize,
    what: String,
}

impl Located {
    fn new(text: &str, span: Option<std::ops::Range<usize>>, what: impl Into<String>) -> Self {
        let at = span.map_or(0, |s| s.start.min(text.len()));
        let line = text.get(..at).unwrap_or(text).matches('\n').count() + 1;
        Self { line, what: what.into() }
    }
}

/// Walks the file's keys beside those of the default; `[keys]` is checked by the keymap itself.
fn refuse_unknown_keys(text: &str) -> anyhow::Result<()> {
    let found = toml::de::DeTable::parse(text).map_err(|e| Located::new(text, e.span(), e.message()))?;
    let known =
        toml::Table::try_from(Config::default()).context("the default configuration cannot be written")?;
    compare(text, found.get_ref(), &known, "")
}

fn compare(text: &str, found: &toml::de::DeTable<'_>, known: &toml::Table, path: &str) -> anyhow::Result<()> {
    for (key, value) in found {
        let name = key.get_ref();
        let full = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
        match known.get(name.as_ref()) {
            None => {
                let shown: String = full.chars().take(60).filter(|c| !c.is_control()).collect();
                let nearest = known.keys().max_by(|a, b| {
                    let near = |k: &str| strsim::jaro_winkler(k, name);
                    near(a).total_cmp(&near(b))
                });
                let hint = nearest.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
                return Err(
                    Located::new(text, Some(key.span()), format!("unknown key `{shown}`{hint}")).into()
                );
            }
            Some(toml::Value::Table(inner)) if !["keys", "palettes"].contains(&&*full) => {
                if let Some(table) = value.get_ref().as_table() {
                    compare(text, table, inner, &full)?;
                }
            }
            Some(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_file_is_the_default() {
        let example = include_str!("../config.example.toml");
        assert_eq!(Config::parse(example).unwrap(), Config::default());
    }

    #[test]
    fn the_example_file_names_every_key() {
        fn keys(table: &toml::Table, out: &mut Vec<String>) {
            for (key, value) in table {
                match value {
                    toml::Value::Table(inner) => keys(inner, out),
                    _ => out.push(key.clone()),
                }
            }
        }
        let example: toml::Table = toml::from_str(include_str!("../config.example.toml")).unwrap();
        let default = toml::Table::try_from(Config::default()).unwrap();
        let (mut told, mut there) = (Vec::new(), Vec::new());
        keys(&example, &mut told);
        keys(&default, &mut there);
        assert_eq!(told.iter().collect::<std::collections::BTreeSet<_>>(), there.iter().collect());
    }

    fn complaint(text: &str) -> String {
        format!("{:#}", Config::parse(text).unwrap_err())
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_the_nearest_valid_one() {
        assert_eq!(
            complaint("asset = \"ETH\"\n\n[screen]\npallete = \"magma\"\n"),
            "line 4: unknown key `screen.pallete`; did you mean `palette`?"
        );
        assert_eq!(
            complaint("[venues.binanse]\nenabled = true\n"),
            "line 1: unknown key `venues.binanse`; did you mean `binance`?"
        );
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_line_or_its_range() {
        assert!(complaint("range = \"24 hours\"").starts_with("line 1: bad interval"));
        assert!(complaint("\n\nasset = 5").starts_with("line 3: "));
        assert_eq!(complaint("bin_bp = 0.1"), "bin_bp = 0.1: use a value from 1 to 100");
        assert!(complaint("[venues.binance]\nrest = \"fapi\"").contains("must start with http://"));
        assert!(complaint("[screen]\nfps = \"fast\"").contains("auto"));
        assert!(complaint("a = ").starts_with("line 1"));
    }

    #[test]
    fn a_palette_of_the_users_is_checked_and_joins_the_others() {
        let config = Config::parse(
            "[screen]\npalette = \"night\"\n[palettes.night]\nground = \"#0a0a14\"\nstops = [\"#1b2a4a\", \"#f2e9c9\"]\n",
        )
        .unwrap();
        let palettes = config.palettes();
        assert_eq!((palettes.len(), &*palettes[palettes.len() - 1].name), (8, "night"));
        let night = |rest: &str| complaint(&format!("[palettes.night]\nground = \"#000000\"\n{rest}"));
        assert_eq!(night("stops = [\"#ffffff\"]"), "palettes.night.stops has 1 colours: use 2 to 64");
        assert!(
            night("stops = [\"white\", \"#ffffff\"]")
                .contains("bad colour \"white\": write it as \"#20a0ff\"")
        );
        assert!(night("stops = [\"#000000\", \"#ffffff\"]\nindices = [3]").contains("16 to 255"));
        assert!(night("stop = []").starts_with("line 3"));
        let unknown = complaint("[screen]\npalette = \"virridis\"");
        assert!(unknown.contains("no palette \"virridis\"; there are viridis, magma"), "{unknown}");
        assert!(
            complaint("[palettes.mono]\nground = \"#000000\"\nstops = [\"#000000\", \"#ffffff\"]")
                .contains("taken")
        );
    }
}
