//! All integration tests: one binary, one link. A file is a behaviour.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod feed_exchange;
mod feed_live;
mod feed_recorded;
mod feed_trouble;
