//! All integration tests: one binary, one link. A file is a behaviour.

mod fixture;
mod screen;
mod screen_bytes;
mod screen_keys;
mod screen_pictures;
mod screen_walk;
