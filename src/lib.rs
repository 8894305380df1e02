//! meltline: the crypto liquidation heatmap in a terminal.
//!
//! The map of this house is `docs/ARCHITECTURE.md`; in one breath: [`feed`] turns bytes from outside into [`market`] events,
//! [`engine`] runs them through [`estimate`] and publishes snapshots, [`app`] and [`ui`] show them on a [`term`]inal, [`picture`]
//! makes files of what they show, [`sim`] is an exchange to try it on, and [`command`] holds one subcommand a file.

pub mod app;
pub mod cli;
pub mod command;
pub mod config;
pub mod engine;
pub mod estimate;
pub mod feed;
pub mod insight;
pub mod market;
pub mod picture;
pub mod sim;
pub mod store;
pub mod term;
pub mod ui;
