//! The estimator: where open positions would be force-closed.
//!
//! Pure: no clock, no I/O, no randomness. The same events give the same columns, bit for bit.

pub mod bins;
pub mod calibrate;
pub mod cohort;
pub mod components;
pub mod grid;
pub mod levels;
pub mod margin;
pub mod measured;
pub mod preset;
pub mod readout;
pub mod tiers;

pub use bins::BinTable;
pub use grid::{Bar, Column, Packed};
pub use levels::Estimator;
pub use preset::{Preset, PresetMap};
pub use readout::Readout;
pub use tiers::{TIERS, Tier, TierSet};
