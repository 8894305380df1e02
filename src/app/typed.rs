//! What was typed and does nothing yet: a number before a key, and the first keys of several.

use super::keymap::{Action, Chord};
use super::scale::Unit;
use super::settings::Settings;

/// A number has no more characters.
const LONGEST: usize = 8;
/// A key is repeated no more often by a number before it.
const MOST: usize = 500;

/// A number, then keys.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Typed {
    number: String,
    /// The keys so far.
    pub keys: Vec<Chord>,
}

impl Typed {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.number.is_empty() && self.keys.is_empty()
    }

    /// Takes a digit, or the point in a number; says whether it did. A number stands before all keys.
    pub fn take_digit(&mut self, key: Chord) -> bool {
        let point = key.is('.') && !self.number.is_empty() && !self.number.contains('.');
        let Some(digit) = key.digit().or(point.then_some('.')) else { return false };
        if !self.keys.is_empty() {
            return false;
        }
        if self.number.len() < LONGEST {
            self.number.push(digit);
        }
        true
    }

    /// The number, if there is one.
    pub fn number(&self) -> Option<f64> {
        self.number.parse().ok()
    }

    /// How often a key is to be repeated.
    pub fn times(&self) -> usize {
        self.number().map_or(1, |n| (n as usize).clamp(1, MOST))
    }

    /// It, and what may follow, in a line; `None` if there is nothing.
    pub fn told(&self, settings: &Settings) -> Option<String> {
        let keymap = &settings.keymap;
        if !self.keys.is_empty() {
            let typed: Vec<String> = self.keys.iter().map(Chord::to_string).collect();
            let next = keymap.continued(&self.keys);
            let next: Vec<String> =
                next.iter().map(|(key, action)| format!("{key} {}", action.name())).collect();
            return Some(format!("{} …  {}", typed.join(" "), next.join("  ")));
        }
        let number = self.number()?;
        let limit = |action: Action, word: &str, unit: Unit| {
            let unit = match unit {
                Unit::Percentile => format!("p{number}"),
                Unit::ShareOfMax => format!("{number}% of max"),
                Unit::Usd => format!("${number}M"),
                Unit::ShareOfOi => format!("{number}% of OI"),
            };
            keymap.hint(action).map(|key| format!("{key} {word} {unit}"))
        };
        let next = [
            limit(Action::ThresholdUp, "threshold", settings.threshold.unit),
            limit(Action::CutUp, "cut", settings.cut.unit),
            Some("or a key to repeat".to_owned()),
        ];
        let next: Vec<String> = next.into_iter().flatten().collect();
        Some(format!("{} …  {}", self.number, next.join("  ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &str) -> Typed {
        let mut typed = Typed::default();
        for key in keys.chars() {
            let key: Chord = key.to_string().parse().unwrap();
            if !typed.take_digit(key) {
                typed.keys.push(key);
            }
        }
        typed
    }

    #[test]
    fn a_number_has_one_point_and_stands_before_the_keys() {
        assert_eq!(typed("95").number(), Some(95.0));
        assert_eq!(typed("99.5").number(), Some(99.5));
        assert_eq!(typed(".5").number(), None);
        assert_eq!(typed("1.2.3").keys.len(), 2);
        assert_eq!(typed("z1").keys.len(), 2);
        assert_eq!(typed("123456789").number(), Some(12_345_678.0));
        assert_eq!(
            [typed("").times(), typed("0").times(), typed("7").times(), typed("9999").times()],
            [1, 1, 7, 500]
        );
    }

    #[test]
    fn it_tells_what_may_follow() {
        let settings = Settings::default();
        assert_eq!(
            typed("95").told(&settings).unwrap(),
            "95 …  ] threshold p95  } cut p95  or a key to repeat"
        );
        let told = typed("z").told(&settings).unwrap();
        assert!(told.starts_with("z …  b background  c candle_colours"), "{told}");
        assert_eq!(typed("").told(&settings), None);
    }
}
