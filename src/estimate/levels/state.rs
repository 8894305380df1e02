//! The estimator's state as it is kept between runs: every number bit for bit, without what can be made from the rest.

use std::sync::Arc;

use super::super::components::CLASSES;
use super::{Background, BinTable, Components, Estimator};

/// A table to hold the place until the real one is at hand.
pub(super) fn no_bins() -> Arc<BinTable> {
    Arc::new(BinTable::new(100.0))
}

impl Estimator {
    /// Makes a state that was read from a file whole again; `None` where its parts do not fit each other.
    #[must_use]
    pub fn revived(mut self, bins: Arc<BinTable>) -> Option<Self> {
        self.components = Components::new(&self.venue, self.instrument.as_ref(), self.fit.as_ref(), &bins);
        self.background = Background::new(&bins);
        let (count, last) = (self.components.len(), bins.len());
        let is_bin = |bin: i32| (0..last).contains(&bin);
        self.bins = bins;
        let books = self.books.iter().enumerate().all(|(side, book)| book.is_sound(side, count));
        let bins = self.path.is_none_or(|(_, bin)| is_bin(bin)) && self.pending.iter().all(|o| is_bin(o.bin));
        let is_sound =
            books && bins && self.calibration.is_sound(count * CLASSES.len()) && self.measured.is_sound();
        is_sound.then_some(self)
    }
}

/// A contract's terms as the JSON of event files: its optional fields are left out there, which compact formats cannot.
pub(super) mod as_json {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

    use crate::market::Instrument;

    #[expect(clippy::ref_option, reason = "the signature serde asks for")]
    pub fn serialize<S: Serializer>(terms: &Option<Instrument>, serializer: S) -> Result<S::Ok, S::Error> {
        let text = terms.as_ref().map(serde_json::to_string).transpose().map_err(ser::Error::custom)?;
        text.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Instrument>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|t| serde_json::from_str(&t)).transpose().map_err(de::Error::custom)
    }
}
