//! The kinds of market that can be simulated and the numbers that make them so.
//!
//! The first five are the reference market of `estimator.md` §5.1, number by number. What differs from it differs on
//! purpose: sizes, flow and impact are shares of open interest (the reference's is a thousand million USD, 400,000 times
//! its median account), so that a coin of any size behaves alike; two fifths as many newcomers, each standing for as many
//! more accounts, keep a coin cheap enough to simulate two days of it at the start; a position is cut in part where the
//! venue's own table says that it is large, not above a million USD everywhere; the book gets deeper far from the price,
//! and nobody holds for more than eight days, so that a market can run for weeks. Four venues share a coin, each with its
//! crowd (`Habits`), and coins are wild in different degrees.

use std::fmt;
use std::str::FromStr;

use crate::sim::venue::VenueId;

/// A kind of market. `estimator.md` §5.1 is the model of the first five.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Scenario {
    /// Mixed leverage, half of it cross margin.
    #[default]
    Base,
    /// Much isolated margin at high leverage.
    IsoHigh,
    /// Mostly cross margin at low leverage, more professionals.
    CrossLow,
    /// Market makers trade much among themselves.
    Churny,
    /// Low volatility.
    Calm,
    /// A slow grind up over crowded shorts, again and again.
    Squeeze,
    /// Crowded longs, then sharp falls that liquidate them; the first within two minutes of the start.
    Cascade,
}

impl Scenario {
    /// All of them, as the command line lists them.
    pub const ALL: [Self; 7] =
        [Self::Base, Self::IsoHigh, Self::CrossLow, Self::Churny, Self::Calm, Self::Squeeze, Self::Cascade];

    /// The name in snake case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::IsoHigh => "iso_high",
            Self::CrossLow => "cross_low",
            Self::Churny => "churny",
            Self::Calm => "calm",
            Self::Squeeze => "squeeze",
            Self::Cascade => "cascade",
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a text is not a scenario.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such scenario; choose base, iso_high, cross_low, churny, calm, squeeze or cascade")]
pub struct ScenarioError;

impl FromStr for Scenario {
    type Err = ScenarioError;

    fn from_str(name: &str) -> Result<Self, ScenarioError> {
        Self::ALL.into_iter().find(|s| s.name() == name).ok_or(ScenarioError)
    }
}

/// Leverage a retail trader may pick.
pub(crate) const MENU: [f64; 9] = [3.0, 5.0, 10.0, 20.0, 25.0, 50.0, 75.0, 100.0, 125.0];

/// What sets one scenario apart.
#[derive(Debug, Clone)]
pub(crate) struct Params {
    /// Share of retail positions with cross margin, which carry extra equity.
    pub cross: f64,
    /// Share of positions with a stop before liquidation.
    pub stop: f64,
    /// Share that adds margin once instead.
    pub top_up: f64,
    /// Share of professionals: large, low leverage, patient.
    pub pro: f64,
    /// Volume of market makers among themselves, as a multiple of open interest per day.
    pub churn: f64,
    /// Share of orders that take rather than rest.
    pub taker: f64,
    /// Weights of `MENU`.
    pub menu: [f64; 9],
    /// Highest leverage picked, whatever the venue allows.
    pub max_leverage: f64,
    /// Standard deviation of the index's log-return over a day.
    pub volatility: f64,
    /// Multiple of the common price impact.
    pub impact: f64,
    /// Shares of traders who follow and who fade the last half hour; the rest do neither.
    pub follow: f64,
    /// See `follow`.
    pub fade: f64,
    /// Standing lean of the crowd, logit of going long.
    pub lean: f64,
    /// Newcomers a second when activity is average.
    pub arrivals: f64,
    /// Open interest its traders settle at, as a multiple of the median account's position; measured.
    pub settled: f64,
    /// Random slides of 5 to 40 minutes per day.
    pub slides: f64,
}

impl Params {
    pub fn of(scenario: Scenario) -> Self {
        let base = Self {
            cross: 0.5,
            stop: 0.45,
            top_up: 0.08,
            pro: 0.15,
            churn: 2.2,
            taker: 0.65,
            menu: [0.06, 0.14, 0.26, 0.22, 0.09, 0.12, 0.04, 0.05, 0.02],
            max_leverage: 125.0,
            volatility: 0.028,
            impact: 1.0,
            follow: 0.40,
            fade: 0.25,
            lean: 0.0,
            arrivals: 0.25,
            settled: 215_000.0,
            slides: 0.8,
        };
        let high = [0.03, 0.07, 0.18, 0.22, 0.14, 0.18, 0.06, 0.09, 0.03];
        match scenario {
            Scenario::Base => base,
            Scenario::IsoHigh => Self {
                cross: 0.2,
                stop: 0.30,
                top_up: 0.05,
                pro: 0.10,
                taker: 0.75,
                settled: 142_000.0,
                menu: high,
                ..base
            },
            Scenario::CrossLow => Self {
                cross: 0.8,
                stop: 0.55,
                top_up: 0.12,
                pro: 0.30,
                churn: 1.8,
                taker: 0.50,
                menu: [0.16, 0.26, 0.28, 0.16, 0.05, 0.06, 0.01, 0.02, 0.0],
                impact: 0.8,
                arrivals: 0.15,
                settled: 255_000.0,
                ..base
            },
            Scenario::Churny => Self { churn: 10.4, taker: 0.55, settled: 216_000.0, ..base },
            Scenario::Calm => Self { volatility: 0.016, settled: 227_000.0, ..base },
            Scenario::Squeeze => Self {
                cross: 0.3,
                stop: 0.32,
                menu: high,
                volatility: 0.016,
                follow: 0.10,
                fade: 0.45,
                lean: -0.9,
                settled: 327_000.0,
                slides: 0.0,
                ..base
            },
            Scenario::Cascade => Self {
                cross: 0.25,
                stop: 0.30,
                menu: high,
                volatility: 0.020,
                impact: 1.4,
                follow: 0.10,
                fade: 0.45,
                lean: 1.2,
                settled: 379_000.0,
                slides: 0.0,
                ..base
            },
        }
    }
}

/// How a venue's traders differ from those of Binance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    /// Weights of `MENU` are multiplied by leverage to this power.
    pub tilt: f64,
    /// Added to the share of cross margin.
    pub cross: f64,
    /// Highest leverage picked.
    pub max_leverage: f64,
}

impl Habits {
    /// The venue's crowd: Hyperliquid's is cross by default and has the lowest limits, Bybit's likes more leverage.
    pub const fn of(venue: VenueId) -> Self {
        match venue {
            VenueId::Binance => Self { tilt: 0.0, cross: 0.0, max_leverage: 125.0 },
            VenueId::Bybit => Self { tilt: 0.15, cross: -0.05, max_leverage: 100.0 },
            VenueId::Okx => Self { tilt: -0.1, cross: 0.05, max_leverage: 100.0 },
            VenueId::Hyperliquid => Self { tilt: -0.4, cross: 0.3, max_leverage: 40.0 },
        }
    }
}

impl Params {
    /// The scenario as this venue's traders live it.
    pub fn at(&self, venue: VenueId) -> Self {
        let Habits { tilt, cross, max_leverage } = Habits::of(venue);
        let mut menu = self.menu;
        for (weight, leverage) in menu.iter_mut().zip(MENU) {
            *weight *= libm::pow(leverage, tilt);
        }
        Self { menu, cross: (self.cross + cross).clamp(0.0, 0.9), max_leverage, ..self.clone() }
    }
}

/// The part of the index that is staged: log-return of one second.
///
/// `second` counts from the start of live time and is negative in the history before it, so that a scenario shows
/// what it is about soon after someone starts to watch.
pub(crate) fn staged_return(scenario: Scenario, second: i64) -> f64 {
    const HOUR: i64 = 3_600;
    match scenario {
        Scenario::Squeeze => {
            // Ten hours of grinding up, two of sliding back; live time begins three hours into the grind.
            let phase = (second + 3 * HOUR).rem_euclid(12 * HOUR);
            if phase < 10 * HOUR { 0.060 / 36_000.0 } else { -0.060 / 7_200.0 }
        }
        Scenario::Cascade => {
            // Far apart in the history, so that a crowd has gathered when live time begins; then often.
            let (since, period) = if second < 30 {
                ((second + 3 * HOUR).rem_euclid(8 * HOUR), 8 * HOUR)
            } else {
                ((second - 30).rem_euclid(40 * 60), 40 * 60)
            };
            let (fall, bounce) = (50, 600);
            if since < fall {
                -0.026 / fall as f64
            } else if since < fall + bounce {
                0.013 / bounce as f64
            } else {
                0.013 / (period - fall - bounce) as f64
            }
        }
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_and_print_alike() {
        for scenario in Scenario::ALL {
            assert_eq!(scenario.to_string().parse::<Scenario>().unwrap(), scenario);
            let listed = clap::ValueEnum::to_possible_value(&scenario).unwrap();
            assert_eq!(listed.get_name(), scenario.name());
        }
        assert!("wild".parse::<Scenario>().is_err());
    }

    #[test]
    fn staged_moves_cancel_over_a_cycle() {
        for (scenario, cycle) in [(Scenario::Squeeze, 43_200), (Scenario::Cascade, 2_400)] {
            let sum: f64 = (100..100 + cycle).map(|s| staged_return(scenario, s)).sum();
            assert!(sum.abs() < 1e-9, "{scenario}: {sum}");
        }
    }

    #[test]
    fn the_first_cascade_falls_within_two_minutes_of_live_time() {
        let fall: f64 = (0..120).map(|s| staged_return(Scenario::Cascade, s)).sum();
        assert!(fall < -0.02, "{fall}");
    }
}
