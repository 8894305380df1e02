//! Forecasts of what is liquidated in an hour, every method under the same calibration.
//!
//! A method's map is one source of mass beside three backgrounds that know nothing but the range ([`BarModel`]); its weight is
//! learned from the hours before. The question is then how much the **map** adds over knowing how far price went
//! (`estimator.md` §5.3).

use crate::estimate::calibrate::BarModel;
use crate::estimate::calibrate::bars::MAP;

use super::metrics::{self, Draws};
use super::venue::{Hour, MAPS, OURS, PROFILE, VenueScore};
use super::{Kind, Measures, Method, Report};

/// Bars of totals that are only learned from.
pub const LEARNING_BARS: usize = 200;
/// Hours of prints that are only learned from.
pub const LEARNING_HOURS: usize = 24;

/// Base coin liquidated in an hour, longs then shorts; `None` where data are missing.
pub type Realised = Option<[f64; 2]>;

/// The hours of a market: the sum over its venues where there are several.
#[derive(Debug, Clone)]
pub struct Hours {
    /// One after another, in time.
    pub rows: Vec<Hour>,
    /// What was liquidated in each.
    pub realised: Vec<Realised>,
    /// Rows that are only learned from.
    pub learning: usize,
    kind: Kind,
}

impl Hours {
    /// Puts the venues that tell liquidations together: only hours that all of them have.
    pub fn new<'a>(venues: impl Iterator<Item = &'a VenueScore>, kind: Kind) -> Self {
        let mut sum: Option<(Vec<Hour>, Vec<Realised>)> = None;
        for venue in venues {
            let label = |hour: &Hour| venue.realised(hour, kind);
            sum = Some(match sum {
                None => (venue.hours.clone(), venue.hours.iter().map(label).collect()),
                Some((rows, realised)) => {
                    let mut next = venue.hours.iter().peekable();
                    let both = rows.into_iter().zip(realised).filter_map(|(mut row, known)| {
                        while next.next_if(|h| h.start < row.start).is_some() {}
                        let other = next.next_if(|h| h.start == row.start)?;
                        row.add(other);
                        Some((row, known.zip(label(other)).map(|(a, b)| [a[0] + b[0], a[1] + b[1]])))
                    });
                    both.unzip()
                }
            });
        }
        let (rows, realised) = sum.unwrap_or_default();
        let learning = if kind == Kind::Priced {
            // History of which nobody says what was liquidated teaches nothing.
            let told = realised.iter().enumerate().filter(|(_, y)| y.is_some());
            told.map(|(i, _)| i).nth(LEARNING_HOURS).unwrap_or(rows.len())
        } else {
            LEARNING_BARS
        };
        Self { rows, realised, learning, kind }
    }

    /// Hours that are scored.
    pub fn scored(&self) -> usize {
        self.realised.iter().skip(self.learning).flatten().count()
    }

    /// Hours after the learning that cannot be scored.
    pub fn skipped(&self) -> usize {
        self.realised.len().saturating_sub(self.learning) - self.scored()
    }

    /// Whether the hour that starts then is scored.
    pub fn is_scored(&self, start: i64) -> bool {
        let found = self.rows.binary_search_by_key(&start, |row| row.start);
        found.is_ok_and(|i| i >= self.learning && self.realised[i].is_some())
    }

    /// A method's forecast of every hour, base coin, each made from the hours before it.
    pub fn forecast(&self, method: Method) -> Vec<[f64; 2]> {
        if method == Method::Ours {
            // The estimator learns from the same observations by itself: from totals by this same layer with its components as
            // sources, from prints one by one and without any background that knows the range. A second layer on top would only
            // remember for long that its first hours, at the prior, were several times too high.
            return self.rows.iter().map(|row| row.forecast.unwrap_or(row.swept[OURS])).collect();
        }
        let map: Option<Vec<[f64; 2]>> = match method {
            Method::RangeOnly => None,
            Method::Random => Some(self.shuffled()),
            Method::Ours => Some(self.stated(OURS)),
            Method::DistanceMatched => Some(self.stated(PROFILE)),
            Method::Preset(preset) => Some(self.swept(2 + preset as usize)),
        };
        let mut model = BarModel::new(usize::from(map.is_some()));
        let row = |(i, (hour, realised)): (usize, (&Hour, &Realised))| {
            let masses = [0, 1].map(|side| {
                let own = map.iter().map(|map| map[i][side]);
                own.chain(hour.backgrounds[side]).collect::<Vec<_>>()
            });
            let forecast = model.forecast(&masses);
            match realised {
                Some(realised) => model.learn(&masses, *realised, hour.oi, hour.ms),
                None => model.fade(hour.ms),
            }
            forecast
        };
        self.rows.iter().zip(&self.realised).enumerate().map(row).collect()
    }

    fn swept(&self, map: usize) -> Vec<[f64; 2]> {
        self.rows.iter().map(|row| row.swept[map]).collect()
    }

    /// A map that already states what is expected to be forced: its weight starts at one, where that of positions starts at
    /// [`MAP`]'s mean.
    fn stated(&self, map: usize) -> Vec<[f64; 2]> {
        self.rows.iter().map(|row| row.swept[map].map(|coins| coins / MAP.mean)).collect()
    }

    /// What the path swept of our map, in the order of chance: as much in all, at the wrong times.
    fn shuffled(&self) -> Vec<[f64; 2]> {
        let mut draws = Draws::new(2);
        let mut ours = self.stated(OURS);
        draws.shuffle(&mut ours);
        ours
    }

    /// Measures every method and compares ours with the best preset.
    pub fn measure(&self, report: &mut Report) {
        let price = |row: &Hour, coins: [f64; 2]| coins.map(|c| c * row.close);
        let from = self.learning.min(self.rows.len());
        let rows = &self.rows[from..];
        let realised: Vec<Realised> =
            rows.iter().zip(&self.realised[from..]).map(|(row, y)| y.map(|y| price(row, y))).collect();
        let all: Vec<Vec<[f64; 2]>> = Method::ALL
            .iter()
            .map(|method| {
                let forecast = self.forecast(*method);
                rows.iter().zip(&forecast[from..]).map(|(row, x)| price(row, *x)).collect()
            })
            .collect();
        let residuals: Vec<_> = all.iter().map(|x| metrics::residuals(x, &realised)).collect();
        let null = &residuals[Method::RangeOnly.index()];
        for (i, method) in Method::ALL.into_iter().enumerate() {
            let measures = &mut report.methods[i];
            measures.skill = metrics::skill(&residuals[i], null);
            self.measure_one(&all[i], &realised, measures);
            measures.raw_ratio = method.map().and_then(|map| {
                let scored = || rows.iter().zip(&realised).filter_map(|(row, y)| Some((row, (*y)?)));
                let swept = |(row, _): (&Hour, _)| row.swept[map].iter().sum::<f64>() * row.close;
                ratio(scored().map(swept).sum(), scored().map(|(_, y)| y[0] + y[1]).sum())
            });
        }
        let skill = |method: Method| report.methods[method.index()].skill;
        let best = Method::ALL
            .into_iter()
            .filter(|m| matches!(m, Method::Preset(_)))
            .max_by(|a, b| skill(*a).unwrap_or(f64::MIN).total_cmp(&skill(*b).unwrap_or(f64::MIN)));
        if let Some(method @ Method::Preset(preset)) = best
            && skill(method).is_some()
        {
            report.best_preset = Some(preset);
            let (ours, rival) = (&residuals[Method::Ours.index()], &residuals[method.index()]);
            report.skill_diff = metrics::skill_difference(ours, rival, null);
        }
    }

    /// Rank correlation and ratio; for totals also the share of dollars in the best hours, sides taken together.
    fn measure_one(&self, forecast: &[[f64; 2]], realised: &[Realised], measures: &mut Measures) {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        let rows = &self.rows[self.rows.len() - forecast.len()..];
        let rho = [0, 1].map(|side| {
            let from = x.len();
            for ((row, forecast), realised) in rows.iter().zip(forecast).zip(realised) {
                if let Some(realised) = realised
                    && row.backgrounds[side][0] > 0.0
                {
                    x.push(forecast[side]);
                    y.push(realised[side]);
                }
            }
            metrics::spearman(&x[from..], &y[from..])
        });
        measures.ratio = ratio(x.iter().sum(), y.iter().sum());
        if self.kind == Kind::Totals {
            [measures.rho_long, measures.rho_short] = rho;
            measures.top10 = metrics::top_share(&x, &y, 0.10);
            measures.top25 = metrics::top_share(&x, &y, 0.25);
        }
    }
}

fn ratio(predicted: f64, realised: f64) -> Option<f64> {
    (realised > 0.0).then(|| predicted / realised)
}

impl Hour {
    /// Adds another venue's hour.
    fn add(&mut self, other: &Self) {
        let coins = self.oi + other.oi;
        if coins > 0.0 {
            self.close = (self.close * self.oi + other.close * other.oi) / coins;
        }
        self.oi = coins;
        self.prints += other.prints;
        for map in 0..MAPS {
            for side in 0..2 {
                self.swept[map][side] += other.swept[map][side];
            }
        }
        for (own, others) in self.backgrounds.iter_mut().flatten().zip(other.backgrounds.iter().flatten()) {
            *own += others;
        }
        self.forecast = self.forecast.zip(other.forecast).map(|(a, b)| [a[0] + b[0], a[1] + b[1]]);
    }
}
