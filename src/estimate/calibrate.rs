//! Learning from what was observed.

pub mod bars;
pub mod tally;
pub mod weights;

pub use bars::BarModel;
pub use tally::{Tallies, Tally};
pub use weights::{GammaPoisson, Source};
