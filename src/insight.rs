//! What is read out of the levels. Pure: no clock, no I/O.

pub mod pools;
pub mod score;
