//! All integration tests: one binary, one link. A file is a behaviour.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod arrows;
mod book_keeping;
mod commands;
mod determinism;
mod fault_matrix;
mod feed_bybit;
mod feed_exchange;
mod feed_hyperliquid;
mod feed_live;
mod feed_okx;
mod feed_recorded;
mod feed_trouble;
mod fixture;
mod hand_worked_levels;
mod margin_tables;
mod pipeline;
mod recorded;
mod screen;
mod screen_bytes;
mod screen_grid;
mod screen_keys;
mod screen_pictures;
mod screen_walk;
mod settled;
mod sim_bybit;
mod sim_faults;
mod sim_hyperliquid;
mod sim_okx;
mod sim_okx_trouble;
mod sim_server;
mod sim_wire;
mod support;
mod terminal;
mod venues_together;
