//! A replay as it is driven: what may be asked of it, and what it tells of itself.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::landmark::Landmark;

/// How fast a recording runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// This many recorded seconds a second.
    Times(f64),
    /// As fast as it can be read.
    Max,
}

/// The speeds keys step through; beyond the last is [`Speed::Max`].
const SPEEDS: [f64; 13] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

impl Speed {
    /// The next step up or down; at the ends it stays.
    #[must_use]
    pub fn stepped(self, faster: bool) -> Self {
        let mut steps = SPEEDS.into_iter();
        let [slowest, fastest] = [SPEEDS[0], SPEEDS[SPEEDS.len() - 1]];
        match self {
            Self::Max if faster => Self::Max,
            Self::Max => Self::Times(fastest),
            Self::Times(now) if faster => steps.find(|s| *s > now).map_or(Self::Max, Self::Times),
            Self::Times(now) => Self::Times(steps.rfind(|s| *s < now).unwrap_or(slowest)),
        }
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Times(times) => write!(f, "{times}×"),
            Self::Max => f.write_str("max"),
        }
    }
}

impl FromStr for Speed {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "max" {
            return Ok(Self::Max);
        }
        match text.parse::<f64>() {
            Ok(x) if (0.01..=1_000_000.0).contains(&x) => Ok(Self::Times(x)),
            _ => Err("use max or a number from 0.01 to 1000000"),
        }
    }
}

/// What is asked of a replay.
#[derive(Debug, Clone, PartialEq)]
pub enum Transport {
    /// Play if it stands, stand if it plays. It also gives up a search.
    PlayPause,
    /// The next step of speed up, or down.
    Speed {
        /// Up.
        faster: bool,
    },
    /// To a boundary of columns, and stand there.
    Step {
        /// How many; below zero is back.
        columns: i64,
        /// Length of a column, ms.
        ms: i64,
    },
    /// To a time, UTC ms. It goes on as it did.
    Seek(i64),
    /// To the next or the previous place of a kind, and stand there.
    Jump {
        /// The next.
        forward: bool,
        /// Of which kind.
        landmark: Landmark,
    },
}

/// What a replay does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// It runs.
    Playing,
    /// It stands.
    Paused,
    /// It stands after the last event.
    Ended,
    /// It is on its way to a time, UTC ms.
    Seeking(i64),
    /// It looks for the next place of some kind.
    Searching,
}

/// What a replay tells of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Playback {
    /// What it does.
    pub motion: Motion,
    /// How fast it plays.
    pub speed: Speed,
    /// Its clock, UTC ms: what was known before is shown.
    pub at: i64,
    /// The part of the recording that lies behind, 0 to 1.
    pub share: f64,
    /// It plays columns as they were kept, not events.
    pub is_kept: bool,
    /// Order books are left unread.
    pub is_bare: bool,
    /// What became of the last thing asked, where that needs words; else empty.
    pub told: Arc<str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_step_by_one_two_and_five_up_to_the_fastest() {
        let mut speed = Speed::Times(0.1);
        let mut told = vec![speed.to_string()];
        while speed != Speed::Max {
            speed = speed.stepped(true);
            told.push(speed.to_string());
        }
        assert_eq!(told.join(" "), "0.1× 0.2× 0.5× 1× 2× 5× 10× 20× 50× 100× 200× 500× 1000× max");
        assert_eq!(Speed::Max.stepped(true), Speed::Max);
        assert_eq!(Speed::Max.stepped(false), Speed::Times(1000.0));
        assert_eq!(Speed::Times(0.1).stepped(false), Speed::Times(0.1));
        assert_eq!(Speed::Times(60.0).stepped(true), Speed::Times(100.0));
        assert_eq!(Speed::Times(60.0).stepped(false), Speed::Times(50.0));
        assert_eq!(Speed::Times(5000.0).stepped(true), Speed::Max);
    }

    #[test]
    fn a_speed_is_a_number_or_max() {
        assert_eq!(("max".parse(), "60".parse()), (Ok(Speed::Max), Ok(Speed::Times(60.0))));
        assert!("0".parse::<Speed>().is_err() && "fast".parse::<Speed>().is_err());
    }
}
