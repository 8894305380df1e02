//! A simulated perpetual-futures exchange on loopback.

pub mod history;
pub mod venue;
pub mod world;
