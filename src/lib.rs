//! meltline: the crypto liquidation heatmap in a terminal.

pub mod app;
pub mod command;
pub mod engine;
pub mod estimate;
pub mod feed;
pub mod market;
pub mod term;
pub mod ui;
