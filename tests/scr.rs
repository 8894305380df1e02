#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]
#[path = "all/arrows.rs"]
mod arrows;
#[path = "all/fixture.rs"]
mod fixture;
#[path = "all/screen.rs"]
mod screen;
#[path = "all/screen_bytes.rs"]
mod screen_bytes;
#[path = "all/screen_grid.rs"]
mod screen_grid;
#[path = "all/screen_keys.rs"]
mod screen_keys;
#[path = "all/screen_panels.rs"]
mod screen_panels;
#[path = "all/screen_pictures.rs"]
mod screen_pictures;
#[path = "all/screen_walk.rs"]
mod screen_walk;
#[path = "all/support.rs"]
mod support;
