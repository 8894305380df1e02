//! What the user asks for.

pub mod screen;
