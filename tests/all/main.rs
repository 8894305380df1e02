//! All integration tests: one binary, one link. A file is a behaviour.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so"
)]

mod fixture;
mod screen;
mod screen_bytes;
mod screen_grid;
mod screen_keys;
mod screen_pictures;
mod screen_walk;
