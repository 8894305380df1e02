//! Rows that come by the million, read by what their writer always puts between the values.

use super::{is_plain, leading_digits, string_len};

/// A frame on its way through [`Script::pass`] and the values between. Each step says `None` where the text goes on otherwise; the frame is then left to
/// [`super::read`]. What is read to the end, `serde_json` reads with the same result.
pub struct Script<'a> {
    /// What has not been passed.
    rest: &'a str,
}

impl<'a> Script<'a> {
    /// At the start of a text; `None` if there are escapes or control characters in it.
    pub fn new(text: &'a str) -> Option<Self> {
        is_plain(text).then_some(Self { rest: text })
    }

    /// Passes over these words.
    #[inline]
    pub fn pass(&mut self, words: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(words)?;
        Some(())
    }

    /// A string whose opening quote was passed, and its closing one.
    #[inline]
    pub fn string(&mut self) -> Option<&'a str> {
        let length = string_len(self.rest.as_bytes())?;
        let string = self.rest.get(..length)?;
        self.rest = self.rest.get(length + 1..)?;
        Some(string)
    }

    /// A whole number of at most 18 digits.
    #[inline]
    pub fn whole(&mut self) -> Option<u64> {
        let (number, digits) = leading_digits(self.rest.as_bytes());
        let padded = digits > 1 && self.rest.starts_with('0');
        if padded || !(1..=18).contains(&digits) {
            return None;
        }
        self.rest = self.rest.get(digits..)?;
        Some(number)
    }

    /// `true` or `false`.
    #[inline]
    pub fn truth(&mut self) -> Option<bool> {
        match self.pass("false") {
            Some(()) => Some(false),
            None => self.pass("true").map(|()| true),
        }
    }

    /// Whether nothing but these words is left.
    pub fn ends(&self, words: &str) -> bool {
        self.rest == words
    }

    /// Rows, one at least, with a comma between them.
    pub fn rows<T>(&mut self, row: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        /// Few rows are shorter, so that room is asked for once.
        const SHORTEST: usize = 128;
        let mut rows = Vec::with_capacity(self.rest.len() / SHORTEST + 1);
        loop {
            rows.push(row(self)?);
            if self.pass(",").is_none() {
                return Some(rows);
            }
        }
    }
}
