//! The terminal: what it can do, and leaving it as it was found.

pub mod backend;
pub mod caps;
pub mod guard;
