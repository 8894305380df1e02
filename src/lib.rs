//! meltline: the crypto liquidation heatmap in a terminal.

pub mod config;
pub mod engine;
pub mod estimate;
pub mod feed;
pub mod market;
pub mod sim;
