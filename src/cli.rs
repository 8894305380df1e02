//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::app::model::Model;
use crate::config::{Colour, Graphics};
use crate::engine::playback::Speed;
use crate::market::{Asset, Interval, Venue};

/// The crypto liquidation heatmap in a terminal: where leveraged positions would be force-closed, over price and time.
#[derive(Debug, Parser)]
#[command(name = "meltline", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do; without it, the live heatmap
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Asset to watch, such as BTC or PEPE
    pub asset: Option<Asset>,

    /// Options of the screen
    #[command(flatten)]
    pub screen: ScreenArgs,

    /// Options of the live feed
    #[command(flatten)]
    pub live: LiveArgs,

    /// Options every command has
    #[command(flatten)]
    pub common: Common,
}

/// Options every command has.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Configuration file
    #[arg(long, global = true, value_name = "FILE", env = "MELTLINE_CONFIG", help_heading = "Common")]
    pub config: Option<PathBuf>,

    /// Folder for history and the log
    #[arg(long, global = true, value_name = "DIR", env = "MELTLINE_DATA_DIR", help_heading = "Common")]
    pub data_dir: Option<PathBuf>,

    /// Venues to use, separated by commas
    #[arg(
        long,
        global = true,
        value_name = "A,B",
        value_delimiter = ',',
        env = "MELTLINE_VENUES",
        help_heading = "Common"
    )]
    pub venues: Vec<Venue>,

    /// Say more in the log (twice: everything)
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet", help_heading = "Common")]
    pub verbose: u8,

    /// Say only what went wrong
    #[arg(short, long, global = true, help_heading = "Common")]
    pub quiet: bool,
}

/// Options of the screen.
#[derive(Debug, Clone, Default, Args)]
pub struct ScreenArgs {
    /// What is drawn
    #[command(flatten)]
    pub view: ViewArgs,

    /// Draw the heatmap as an image, by kitty's protocol
    #[arg(long, value_enum, env = "MELTLINE_GRAPHICS")]
    pub graphics: Option<Graphics>,
}

/// Options of commands that draw.
#[derive(Debug, Clone, Default, Args)]
pub struct ViewArgs {
    /// Time across the heatmap, such as 12h, 24h or 7d
    #[arg(long, value_name = "SPAN", env = "MELTLINE_RANGE")]
    pub range: Option<Interval>,

    /// What the heatmap shows: 1 precise, 2 zones, 3 comprehensive
    #[arg(long, value_name = "1|2|3", env = "MELTLINE_MODEL")]
    pub model: Option<Model>,

    /// Colours the terminal is given
    #[arg(long, visible_alias = "color", value_enum, env = "MELTLINE_COLOUR")]
    pub colour: Option<Colour>,
}

/// Options of commands that open sockets.
#[derive(Debug, Clone, Default, Args)]
pub struct LiveArgs {
    /// Record the raw frames in this folder, for replay
    #[arg(long, value_name = "DIR", env = "MELTLINE_CAPTURE")]
    pub capture: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The heatmap on a simulated exchange in this process: no network needed
    Demo(DemoArgs),
    /// The heatmap on a recording (event files in NDJSON, captures, .gz and .zst too) or on the kept history of an asset; keys drive it
    Replay(ReplayArgs),
    /// Market events as NDJSON on standard output
    Tap(TapArgs),
    /// The liquidation levels now, at a time or as a series
    Levels(LevelsArgs),
    /// One picture of the heatmap, as text or PNG
    Snapshot(SnapshotArgs),
    /// How well the levels foretold the liquidations in a recording, beside null models and other heatmaps' rules
    Score(ScoreArgs),
    /// Only the simulated exchanges, for other programs to connect to, or their market as a file
    Sim(SimArgs),
    /// Keep history warm and record, without a screen: for a box that is always on
    Collect(CollectArgs),
    /// What is kept on disk: look at it, pack it, export it
    Store(StoreArgs),
    /// Bring history in from files: Binance's public archive, Tardis' CSV, our own events
    Import(ImportArgs),
    /// Check terminal, files, clock and the way to every venue, and say what to do about what is wrong
    Doctor(DoctorArgs),
    /// Print shell completions
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// `collect`
#[derive(Debug, Clone, Args)]
pub struct CollectArgs {
    /// Assets to keep
    #[arg(required = true, value_name = "ASSET")]
    pub assets: Vec<Asset>,

    /// The status as JSON on standard output instead of words on standard error
    #[arg(long)]
    pub status_json: bool,

    /// Seconds between two lines of status
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub status_every: u64,

    /// The feed
    #[command(flatten)]
    pub live: LiveArgs,
}

/// `store`
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    /// What to do
    #[command(subcommand)]
    pub command: StoreCommand,
}

/// What to do with what is kept.
#[derive(Debug, Clone, Subcommand)]
pub enum StoreCommand {
    /// Sizes, spans and rows, and who writes
    Info {
        /// Asset; all there are unless named
        asset: Option<Asset>,
        /// One object a line
        #[arg(long)]
        json: bool,
    },
    /// Give all free room back to the disk; nobody may be writing
    Vacuum {
        /// Asset; all there are unless named
        asset: Option<Asset>,
    },
    /// Rows as CSV, NDJSON or Parquet on standard output
    Export(ExportArgs),
}

/// `store export`
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// Asset
    pub asset: Asset,
    /// What to export
    #[arg(value_enum)]
    pub what: crate::store::export::What,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = crate::store::export::Form::Csv)]
    pub format: crate::store::export::Form,
    /// From here on: RFC 3339, unix ms, or back from the newest row such as -2h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<Time>,
    /// Before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<Time>,
    /// Length of candles and columns: 1m, 5m, 1h or 1d
    #[arg(long, value_name = "INTERVAL", default_value = "1m")]
    pub interval: Interval,
    /// Only these venues, separated by commas
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub venue: Vec<Venue>,
}

/// `import`
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// Files of one asset, in any order: Binance's archive of USD-M futures (klines, aggTrades, metrics), trades and liquidations as
    /// Tardis exports them, events (NDJSON); plain, .zip, .gz or .zst
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Asset; that of the first file unless named
    #[arg(long)]
    pub asset: Option<Asset>,
    /// Only what is of this venue
    #[arg(long)]
    pub venue: Option<Venue>,
}

/// `doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Asset to look at
    pub asset: Option<Asset>,

    /// Seconds to watch live streams for the first-contact checks; 0 leaves them out
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub watch: u64,
}

/// What the simulated market does.
#[derive(Debug, Clone, Args)]
pub struct MarketArgs {
    /// The kind of market
    #[arg(long, value_enum, default_value_t = crate::sim::Scenario::Base)]
    pub scenario: crate::sim::Scenario,

    /// Seed of the market's dice
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Simulated seconds a second
    #[arg(long, default_value = "1", value_name = "X", value_parser = speed)]
    pub speed: f64,
}

/// `demo`
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Asset to watch: BTC, ETH, SOL, PEPE or another of the simulated coins
    pub asset: Option<Asset>,
    /// The market
    #[command(flatten)]
    pub market: MarketArgs,
    /// The screen
    #[command(flatten)]
    pub screen: ScreenArgs,
    /// The feed
    #[command(flatten)]
    pub live: LiveArgs,
}

/// `sim`
#[derive(Debug, Clone, Args)]
pub struct SimArgs {
    /// Address to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: std::net::SocketAddr,
    /// Listen to nobody: run as fast as possible and write the market events every venue (or those of --venues) would
    /// show, as NDJSON; packed if the name ends in .zst, - is standard output
    #[arg(long, value_name = "FILE", conflicts_with_all = ["listen", "speed", "write_config"])]
    pub events: Option<PathBuf>,
    /// Also write, every 15 simulated minutes, at which prices the open positions would really be liquidated
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,
    /// End after this much simulated time, such as 6d; without it, when told to
    #[arg(long = "for", value_name = "DURATION")]
    pub duration: Option<Interval>,
    /// Assets written with --events, separated by commas [default: BTC]
    #[arg(long, value_name = "A,B", value_delimiter = ',', requires = "events")]
    pub asset: Vec<Asset>,
    /// The market
    #[command(flatten)]
    pub market: MarketArgs,
    /// Write a configuration that points every venue at the simulator
    #[arg(long, value_name = "FILE")]
    pub write_config: Option<PathBuf>,
}

/// When a replay reads order books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Books {
    /// Where it does not begin at speed max
    Auto,
    /// At any speed
    Always,
    /// At none
    Never,
}

/// `replay`
#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// Recordings: event files, captures or folders of captures; - is standard input. Or an asset, such as BTC: its kept history
    #[arg(required = true, value_name = "FILE|ASSET")]
    pub files: Vec<PathBuf>,
    /// Asset to watch; the first in the recording unless named
    #[arg(long)]
    pub asset: Option<Asset>,
    /// Recorded seconds a second, or max
    #[arg(long, default_value = "max", value_name = "X|max")]
    pub speed: Speed,
    /// Show from here on: RFC 3339, unix ms, or back from the recording's end such as -2h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<Time>,
    /// Stop here
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<Time>,
    /// Whether order books are read; without them a capture takes a quarter of the time at speed max, with the same levels
    #[arg(long, value_enum, default_value_t = Books::Auto, value_name = "WHEN")]
    pub books: Books,
    /// The screen
    #[command(flatten)]
    pub screen: ScreenArgs,
}

/// `tap`
#[derive(Debug, Clone, Args)]
pub struct TapArgs {
    /// Asset
    pub asset: Asset,
    /// Only these venues, separated by commas
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub venue: Vec<Venue>,
    /// Read a recording instead of the venues; - is standard input
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// The feed
    #[command(flatten)]
    pub live: LiveArgs,
}

/// `levels`
#[derive(Debug, Clone, Args)]
pub struct LevelsArgs {
    /// Asset
    pub asset: Asset,
    /// Read a recording instead of the venues; - is standard input
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// The map as known before this time: RFC 3339, unix ms, or back from the end of the recording such as -2h; without a
    /// recording, as the history on disk has it
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "every")]
    pub at: Option<Time>,
    /// One map at each whole multiple of this (UTC), such as 1h
    #[arg(long, value_name = "INTERVAL")]
    pub every: Option<Interval>,
    /// Levels this far from the mark, such as 25% or 0.25
    #[arg(long, value_name = "SHARE", default_value = "25%", value_parser = share)]
    pub within: f64,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

impl LevelsArgs {
    /// Whether it is about what was, rather than about now.
    pub fn is_past(&self) -> bool {
        self.at.is_some() || self.every.is_some()
    }
}

/// `snapshot`
#[derive(Debug, Clone, Args)]
pub struct SnapshotArgs {
    /// Asset
    pub asset: Asset,
    /// Read a recording instead of the venues; - is standard input
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// The heatmap as known before this time: RFC 3339, unix ms, or back from the recording's end such as -2h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, requires = "input")]
    pub at: Option<Time>,
    /// Size in cells, 50x20 to 400x200 [default: the terminal's less a row for the prompt, else 160x50]
    #[arg(long, value_name = "COLSxROWS", value_parser = size)]
    pub size: Option<(u16, u16)>,
    /// Write a PNG to this file instead of text to standard output; a file that is there is replaced, - is standard output
    #[arg(long, value_name = "FILE")]
    pub png: Option<PathBuf>,
    /// What is drawn
    #[command(flatten)]
    pub view: ViewArgs,
}

/// `score`
#[derive(Debug, Clone, Args)]
pub struct ScoreArgs {
    /// Recordings: event files are scored one by one, captures as one; a file of positions alone is the truth for the others;
    /// - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// True positions to compare with: `truth` lines of a simulator, or `position` events
    #[arg(long, value_name = "FILE")]
    pub truth: Vec<PathBuf>,
    /// Asset to score; the first in each recording unless named
    #[arg(long)]
    pub asset: Option<Asset>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = ScoreFormat::Table)]
    pub format: ScoreFormat,
}

/// Form of the score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScoreFormat {
    /// For eyes: a row a method and a sentence
    Table,
    /// One object a line
    Json,
}

/// Form of the levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For eyes: the largest levels
    Table,
    /// One object a line
    Json,
    /// One level a line
    Csv,
    /// The shape of `CoinGlass`'s heatmap data
    Coinglass,
}

/// A point in time as a user writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// UTC ms.
    At(i64),
    /// ms before the end.
    Back(i64),
}

impl Time {
    /// UTC ms, given the end (UTC ms) that relative times count from.
    pub fn resolve(self, end: i64) -> i64 {
        match self {
            Self::At(ms) => ms,
            Self::Back(ms) => end - ms,
        }
    }
}

impl std::str::FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(span) = text.strip_prefix('-') {
            return span.parse::<Interval>().map(|i| Self::Back(i.ms())).map_err(|e| e.to_string());
        }
        if let Ok(ms) = text.parse::<i64>() {
            return Ok(Self::At(ms));
        }
        text.parse::<jiff::Timestamp>()
            .map(|t| Self::At(t.as_millisecond()))
            .map_err(|_| "use RFC 3339 (2026-06-13T12:00:00Z), unix ms, or a span back such as -2h".into())
    }
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if (0.01..=1_000.0).contains(&x) => Ok(x),
        _ => Err("use a number from 0.01 to 1000".into()),
    }
}

/// The smallest picture, cells.
pub const SMALLEST_PICTURE: (u16, u16) = (50, 20);
/// The largest.
pub const LARGEST_PICTURE: (u16, u16) = (400, 200);

fn size(text: &str) -> Result<(u16, u16), String> {
    let ((least_width, least_height), (most_width, most_height)) = (SMALLEST_PICTURE, LARGEST_PICTURE);
    let parsed = text.split_once(['x', 'X', '×']).map(|(w, h)| (w.parse::<u16>(), h.parse::<u16>()));
    match parsed {
        Some((Ok(w), Ok(h)))
            if (least_width..=most_width).contains(&w) && (least_height..=most_height).contains(&h) =>
        {
            Ok((w, h))
        }
        _ => Err(format!(
            "use columns x rows from {least_width}x{least_height} to {most_width}x{most_height}, such as 160x50"
        )),
    }
}

fn share(text: &str) -> Result<f64, String> {
    let value = match text.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().map(|p| p / 100.0),
        None => text.parse::<f64>(),
    };
    match value {
        Ok(x) if x > 0.0 && x < 1.0 => Ok(x),
        _ => Err("use a share of the mark between 0 and 1, or a percentage below 100%".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn an_asset_alone_is_the_live_screen_and_a_word_is_a_command() {
        assert_eq!(Cli::parse_from(["meltline", "eth"]).asset.unwrap().as_str(), "ETH");
        assert!(matches!(Cli::parse_from(["meltline", "man"]).command, Some(Command::Man)));
    }

    #[test]
    fn a_model_has_a_number() {
        assert_eq!(Cli::parse_from(["meltline", "--model", "2"]).screen.view.model, Some(Model::Zones));
        assert!(Cli::try_parse_from(["meltline", "--model", "4"]).is_err());
    }

    #[test]
    fn colour_is_spelt_either_way() {
        for flag in ["--colour", "--color"] {
            let cli = Cli::parse_from(["meltline", flag, "256"]);
            assert_eq!(cli.screen.view.colour, Some(Colour::Indexed));
        }
    }

    #[test]
    fn times_are_absolute_or_counted_back() {
        assert_eq!("1718755200000".parse::<Time>().unwrap(), Time::At(1_718_755_200_000));
        assert_eq!("2024-06-19T00:00:00Z".parse::<Time>().unwrap(), Time::At(1_718_755_200_000));
        assert_eq!("-2h".parse::<Time>().unwrap().resolve(10_000_000), 2_800_000);
        assert!("yesterday".parse::<Time>().is_err());
    }

    #[test]
    fn sizes_are_columns_and_rows_within_bounds() {
        assert_eq!(size("160x50"), Ok((160, 50)));
        assert_eq!(size("50x20"), Ok((50, 20)));
        assert_eq!(size("400X200"), Ok((400, 200)));
        for bad in ["49x20", "50x19", "401x50", "160x201", "160", "x", "-160x50", "160x50x1", "1e2x50"] {
            assert!(size(bad).unwrap_err().contains("50x20 to 400x200"), "{bad}");
        }
    }

    #[test]
    fn shares_are_told_either_way() {
        assert_eq!(share("25%"), Ok(0.25));
        assert_eq!(share("0.1"), Ok(0.1));
        assert!(share("0").is_err() && share("150%").is_err());
    }
}
