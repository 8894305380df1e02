//! What reaches the app, and what it asks for in return.

use std::sync::Arc;
use std::time::Instant;

use crossterm::event::{KeyEvent, MouseEvent};

use crate::engine::{Command, Snapshot};

/// Something happened.
#[derive(Debug, Clone)]
pub enum Message {
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// The mouse did something; it is listened to only when asked for.
    Mouse(MouseEvent),
    /// A new picture of the market.
    Snapshot(Arc<Snapshot>),
    /// New pictures of the other markets that run.
    Others(Vec<Arc<Snapshot>>),
    /// The terminal is this many columns wide and rows high.
    Resize(u16, u16),
    /// Something to tell once, until the next key.
    Note(String),
    /// Time went by (monotonic); ages on the screen count from it.
    Tick(Instant),
}

/// What the loop around the app is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Nothing on the screen changed.
    None,
    /// Draw.
    Redraw,
    /// Leave.
    Quit,
    /// Hand the terminal back to the shell until continued.
    Suspend,
    /// Draw, and listen to the mouse, or no longer.
    Mouse(bool),
    /// Draw, and write what is shown to a picture file.
    WriteSnapshot,
    /// Draw, and put a text on the user's clipboard.
    Copy(String),
    /// Draw, and ask the engine for something.
    Command(Command),
}
