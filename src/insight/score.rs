//! How well the levels foretold what was liquidated: conditional on the path, beside null models and the rivals' rules.
//!
//! Price travelling far liquidates much whatever the map says, so nothing here rewards knowing the path: totals are scored over
//! what the range alone foretells, single liquidations within the bins that were swept. docs/MODEL.md, "Score", has the protocol.

pub mod metrics;
pub mod places;
pub mod totals;
pub mod truth;
pub mod venue;

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::estimate::{BinTable, Preset};
use crate::market::{Asset, Interval, MarketEvent};

use totals::Hours;
use truth::{Truth, TruthReport, TruthScore};
use venue::{OURS, PROFILE, VenueScore};

/// Bars of totals below which nothing is claimed.
pub const FEWEST_BARS: usize = 300;
/// Liquidations below which nothing is claimed.
pub const FEWEST_PRINTS: usize = 200;
/// Windows below which nothing is claimed of single liquidations.
pub const FEWEST_WINDOWS: usize = 24;
/// Events a venue must have seen before others take over what it found.
const FULL_EVENTS: f64 = 200.0;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The estimator.
    Ours,
    /// Only how far price went: the null that skill is counted from.
    RangeOnly,
    /// As much as ours, in the order of chance.
    Random,
    /// The mean of our maps by distance from the price: knows how far, not where.
    DistanceMatched,
    /// A published rule.
    Preset(Preset),
}

impl Method {
    /// All of them, in the order they are shown in.
    pub const ALL: [Self; 11] = [
        Self::Ours,
        Self::RangeOnly,
        Self::Random,
        Self::DistanceMatched,
        Self::Preset(Preset::Uniform),
        Self::Preset(Preset::OiStatic),
        Self::Preset(Preset::OiCandle),
        Self::Preset(Preset::OiTaker),
        Self::Preset(Preset::VolumeUniform),
        Self::Preset(Preset::LargeTrades),
        Self::Preset(Preset::VolumeBursts),
    ];

    /// Place in `ALL`.
    pub const fn index(self) -> usize {
        match self {
            Self::Ours => 0,
            Self::RangeOnly => 1,
            Self::Random => 2,
            Self::DistanceMatched => 3,
            Self::Preset(preset) => 4 + preset as usize,
        }
    }

    /// The map it reads, of those a venue follows.
    const fn map(self) -> Option<usize> {
        match self {
            Self::Ours => Some(OURS),
            Self::DistanceMatched => Some(PROFILE),
            Self::Preset(preset) => Some(2 + preset as usize),
            Self::RangeOnly | Self::Random => None,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ours => "ours",
            Self::RangeOnly => "range_only",
            Self::Random => "random",
            Self::DistanceMatched => "distance_matched",
            Self::Preset(preset) => preset.name(),
        })
    }
}

/// What the liquidations were told as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Totals of bars.
    Totals,
    /// One by one, with a price.
    Priced,
    /// Not at all: only positions are known.
    Truth,
}

/// One method's measures; those that do not apply are `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Measures {
    /// Spearman of longs: forecast and total by hour, or level and liquidated USD by swept bin.
    #[serde(serialize_with = "rounded")]
    pub rho_long: Option<f64>,
    /// The same of shorts.
    #[serde(serialize_with = "rounded")]
    pub rho_short: Option<f64>,
    /// Share of liquidated USD in the best tenth of the hours (by forecast) or of the swept bins (by level).
    #[serde(serialize_with = "rounded")]
    pub top10: Option<f64>,
    /// The same of the best quarter.
    #[serde(serialize_with = "rounded")]
    pub top25: Option<f64>,
    /// Bits a liquidation over uniform.
    #[serde(serialize_with = "rounded")]
    pub bits: Option<f64>,
    /// Predicted over realised, after calibration.
    #[serde(serialize_with = "rounded")]
    pub ratio: Option<f64>,
    /// What the path swept of the map over what was liquidated, as it stands.
    #[serde(serialize_with = "rounded")]
    pub raw_ratio: Option<f64>,
    /// Skill over the range alone.
    #[serde(serialize_with = "rounded")]
    pub skill: Option<f64>,
}

/// Six decimals: more is noise.
#[allow(clippy::ref_option, reason = "the way serde hands it")]
fn rounded<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(round).serialize(serializer)
}

/// Six decimals.
fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// The score of one market.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Format version.
    pub v: u32,
    /// Where the events came from.
    pub file: String,
    /// What.
    pub asset: Option<Asset>,
    /// How the liquidations were told.
    pub kind: Kind,
    /// Bars with totals that are scored; liquidations; snapshots of positions.
    pub n: usize,
    /// Hours (or bars) that are scored.
    pub hours: usize,
    /// Hours after the learning that are not, because something is missing.
    pub skipped: usize,
    /// By method.
    #[serde(serialize_with = "by_method")]
    pub methods: [Measures; Method::ALL.len()],
    /// The preset with the most skill.
    pub best_preset: Option<Preset>,
    /// Our skill less its: 2.5 %, 50 % and 97.5 % of the bootstrap.
    #[serde(serialize_with = "rounded_three")]
    pub skill_diff: Option<[f64; 3]>,
    /// Whether there is enough to say anything.
    pub enough: bool,
    /// Against true positions, where they are known.
    pub truth: Option<TruthReport>,
}

fn by_method<S: Serializer>(methods: &[Measures], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(Method::ALL.iter().map(ToString::to_string).zip(methods))
}

#[allow(clippy::ref_option, reason = "the way serde hands it")]
fn rounded_three<S: Serializer>(value: &Option<[f64; 3]>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(|v| v.map(round)).serialize(serializer)
}

impl Report {
    /// Measures of one method.
    pub fn of(&self, method: Method) -> &Measures {
        &self.methods[method.index()]
    }
}

/// Scores one market as its events go by.
#[derive(Debug)]
pub struct Scorer {
    bins: Arc<BinTable>,
    asset: Option<Asset>,
    venues: Vec<VenueScore>,
    truth: TruthScore,
    /// When the newest event was known, UTC ms.
    seen: i64,
    /// The hour in which findings were last shared.
    shared_at: i64,
}

impl Scorer {
    /// Nothing seen yet; `truths` are maps of true positions to compare with.
    pub fn new(bins: Arc<BinTable>, truths: Vec<Truth>) -> Self {
        Self {
            truth: TruthScore::new(&bins, truths),
            bins,
            asset: None,
            venues: Vec::new(),
            seen: 0,
            shared_at: 0,
        }
    }

    /// Takes in one event; they come in the order of [`MarketEvent::order`].
    pub fn apply(&mut self, event: &MarketEvent) {
        self.asset.get_or_insert(event.asset);
        self.share_findings(event);
        self.truth.before(event, &mut self.venues);
        self.seen = self.seen.max(event.known_at());
        if self.truth.take(event, &mut self.venues) {
            return;
        }
        let at = self.venues.iter().position(|v| v.venue() == event.venue).unwrap_or_else(|| {
            self.venues.push(VenueScore::new(event.venue, &self.bins));
            self.venues.len() - 1
        });
        self.venues[at].apply(event);
    }

    /// Once an hour, as the engine does it: venues whose feed leaves liquidations out, or that have none, take what the
    /// best-observed venue has found as the prior of their own weights.
    fn share_findings(&mut self, event: &MarketEvent) {
        let hour = event.known_at().div_euclid(Interval::H1.ms());
        if hour <= self.shared_at || self.venues.len() < 2 {
            return;
        }
        self.shared_at = hour;
        let events = |v: &VenueScore| v.estimator().calibration().full_events();
        let best = self.venues.iter().filter_map(|v| Some((events(v)?, v)));
        let best = best.filter(|(n, _)| *n >= FULL_EVENTS).max_by(|a, b| a.0.total_cmp(&b.0));
        let Some((from, gains)) = best.map(|(_, v)| (v.venue(), v.estimator().calibration().gains())) else {
            return;
        };
        for venue in self.venues.iter_mut().filter(|v| v.venue() != from && events(v).is_none()) {
            venue.adopt(&gains);
        }
    }

    /// The venues.
    pub fn venues(&self) -> &[VenueScore] {
        &self.venues
    }

    /// The hours of the market and how its liquidations were told; the last hour, which may not be over, is left out.
    pub fn hours(&self) -> (Kind, Hours) {
        let kind = if self.venues.iter().any(|v| v.has_prints) {
            Kind::Priced
        } else if self.venues.iter().any(|v| v.has_totals) {
            Kind::Totals
        } else {
            Kind::Truth
        };
        (kind, Hours::new(self.venues.iter().filter(|v| tells(v, kind)), kind))
    }

    /// The score. `file` is where the events came from.
    pub fn finish(mut self, file: String) -> Report {
        self.truth.end(&mut self.venues);
        // An hour that was told to its end is over.
        for venue in &mut self.venues {
            venue.turn(self.seen + 1);
        }
        let (kind, hours) = self.hours();
        let truth = self.truth.report();
        let mut report = Report {
            v: 1,
            file,
            asset: self.asset,
            kind,
            n: 0,
            hours: hours.scored(),
            skipped: hours.skipped(),
            methods: [Measures::default(); Method::ALL.len()],
            best_preset: None,
            skill_diff: None,
            enough: false,
            truth,
        };
        match kind {
            Kind::Totals => {
                hours.measure(&mut report);
                report.n = report.hours;
                report.enough = report.n >= FEWEST_BARS;
            }
            Kind::Priced => {
                hours.measure(&mut report);
                let mut windows: Vec<_> = Vec::new();
                for venue in self.venues.iter().filter(|v| tells(v, kind)) {
                    windows.extend_from_slice(&venue.swept);
                }
                windows.sort_by_key(|w| w.start);
                places::measure(&windows, |w| hours.is_scored(w.start), &mut report);
                let counted = hours.rows.iter().filter(|row| hours.is_scored(row.start));
                report.n = counted.map(|row| row.prints as usize).sum();
                report.enough = report.n >= FEWEST_PRINTS && report.hours >= FEWEST_WINDOWS;
            }
            Kind::Truth => report.n = report.truth.as_ref().map_or(0, |t| t.n),
        }
        report
    }
}

/// Whether a venue tells liquidations this way.
fn tells(venue: &VenueScore, kind: Kind) -> bool {
    match kind {
        Kind::Priced => venue.has_prints,
        Kind::Totals => venue.has_totals,
        Kind::Truth => false,
    }
}
