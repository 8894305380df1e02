//! The prompt for a time to go to.

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;

use crate::market::Interval;

/// What can be typed, in a line.
pub const FORMS: &str = "14:30 · -2h · +15m · 2026-06-13T12:00Z";

/// No time is longer.
const LONGEST: usize = 40;

/// What was typed so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompt {
    /// The text.
    pub text: String,
    /// Whether it was refused as it stands.
    pub is_refused: bool,
}

impl Prompt {
    /// Adds text; whatever no time can hold is left out.
    pub fn push(&mut self, text: &str) {
        let room = LONGEST.saturating_sub(self.text.len());
        self.text
            .extend(text.chars().filter(|c| c.is_ascii_alphanumeric() || "-+:. ".contains(*c)).take(room));
        self.is_refused = false;
    }

    /// Takes the last character back.
    pub fn pop(&mut self) {
        self.text.pop();
        self.is_refused = false;
    }

    /// The time meant, UTC ms, at a time on the clock (UTC ms): RFC 3339 or a date and time in UTC, a time of the clock's day, unix ms, or a span
    /// from the clock on or back.
    pub fn time(&self, at: i64) -> Option<i64> {
        let text = self.text.trim();
        let span = |text: &str| text.trim().parse::<Interval>().ok().map(Interval::ms);
        if let Some(back) = text.strip_prefix('-') {
            return at.checked_sub(span(back)?);
        }
        if let Some(on) = text.strip_prefix('+') {
            return at.checked_add(span(on)?);
        }
        if text.len() > 9
            && let Ok(ms) = text.parse::<i64>()
        {
            return Some(ms);
        }
        if let Ok(time) = text.parse::<Timestamp>() {
            return Some(time.as_millisecond());
        }
        let utc =
            |local: DateTime| local.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp().as_millisecond());
        if let Ok(local) = text.trim_end_matches(['Z', 'z']).parse::<DateTime>() {
            return utc(local);
        }
        // `9:05` is meant as `09:05`.
        let clock = text.trim_end_matches(['Z', 'z']);
        let padded = if clock.find(':') == Some(1) { format!("0{clock}") } else { clock.to_owned() };
        let time = padded.contains(':').then(|| padded.parse::<Time>().ok()).flatten()?;
        let day = Timestamp::from_millisecond(at).ok()?.to_zoned(TimeZone::UTC).date();
        utc(day.to_datetime(time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_any_usual_form() {
        // 2024-06-19T10:30:00Z
        const AT: i64 = 1_718_793_000_000;
        const MIDNIGHT: i64 = AT - 10 * 3_600_000 - 30 * 60_000;
        let time = |text: &str| {
            let mut prompt = Prompt::default();
            prompt.push(text);
            prompt.time(AT)
        };
        assert_eq!(time("2024-06-19T12:00:00Z"), Some(MIDNIGHT + 12 * 3_600_000));
        assert_eq!(time("2024-06-19T14:00:00+02:00"), Some(MIDNIGHT + 12 * 3_600_000));
        assert_eq!(time("2024-06-18 23:00"), Some(MIDNIGHT - 3_600_000));
        assert_eq!(time("2024-06-18T23:00Z"), Some(MIDNIGHT - 3_600_000));
        assert_eq!(time("2024-06-18"), Some(MIDNIGHT - 24 * 3_600_000));
        assert_eq!(time("14:05"), Some(MIDNIGHT + (14 * 60 + 5) * 60_000));
        assert_eq!(time(" 9:05:30 "), Some(MIDNIGHT + (9 * 60 + 5) * 60_000 + 30_000));
        assert_eq!(time("-2h"), Some(AT - 7_200_000));
        assert_eq!(time("+15m"), Some(AT + 900_000));
        assert_eq!(time("1718755200000"), Some(MIDNIGHT));
        for bad in ["", "25:00", "yesterday", "-", "+x", "12", "10.5"] {
            assert_eq!(time(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_what_a_time_can_hold_is_taken() {
        let mut prompt = Prompt { is_refused: true, ..Prompt::default() };
        prompt.push("1\u{1b}2:\n30");
        assert_eq!((prompt.text.as_str(), prompt.is_refused), ("12:30", false));
        prompt.pop();
        assert_eq!(prompt.text, "12:3");
        prompt.push(&"1".repeat(99));
        assert_eq!(prompt.text.len(), 40);
    }
}
