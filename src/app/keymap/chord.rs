//! Keys as the configuration writes them: one with its modifiers, and several one after another.

use std::fmt;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{KeymapError, printable};

/// A key with its modifiers, as the configuration writes it: `q`, `L`, `ctrl-c`, `space`, `shift-left`, `f1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Hash)]
pub struct Chord {
    code: KeyCode,
    ctrl: bool,
    alt: bool,
    /// Of keys that are no character: a character says it itself.
    shift: bool,
}

/// Keys with a name; every other key is its own character.
const NAMED: [(&str, KeyCode); 15] = [
    ("space", KeyCode::Char(' ')),
    ("esc", KeyCode::Esc),
    ("enter", KeyCode::Enter),
    ("tab", KeyCode::Tab),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
    ("insert", KeyCode::Insert),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pageup", KeyCode::PageUp),
    ("pagedown", KeyCode::PageDown),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
];

impl From<KeyEvent> for Chord {
    fn from(key: KeyEvent) -> Self {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        let code = match key.code {
            KeyCode::Char(c) if ctrl => KeyCode::Char(c.to_ascii_lowercase()),
            code => code,
        };
        let shift = key.modifiers.contains(KeyModifiers::SHIFT) && !matches!(code, KeyCode::Char(_));
        Self { code, ctrl, alt: key.modifiers.contains(KeyModifiers::ALT), shift }
    }
}

impl FromStr for Chord {
    type Err = KeymapError;

    fn from_str(text: &str) -> Result<Self, KeymapError> {
        let bad = || KeymapError::BadKey(printable(text));
        let (mut ctrl, mut alt, mut shift, mut rest) = (false, false, false, text);
        loop {
            // `ctrl-` alone leaves nothing to press, and `-` is a key itself.
            let after = |word: &str| rest.strip_prefix(word).filter(|m| !m.is_empty());
            if let Some(more) = after("ctrl-") {
                (ctrl, rest) = (true, more);
            } else if let Some(more) = after("alt-") {
                (alt, rest) = (true, more);
            } else if let Some(more) = after("shift-") {
                (shift, rest) = (true, more);
            } else {
                break;
            }
        }
        let mut chars = rest.chars();
        let code = match (chars.next(), chars.next()) {
            (Some(c), None) if !c.is_control() && !c.is_whitespace() => KeyCode::Char(c),
            _ => match rest.strip_prefix('f').and_then(|n| n.parse::<u8>().ok()) {
                Some(n @ 1..=12) => KeyCode::F(n),
                _ => NAMED.iter().find(|(name, _)| *name == rest).map(|(_, code)| *code).ok_or_else(bad)?,
            },
        };
        // A shifted character is another character: `L`, not `shift-l`.
        if shift && matches!(code, KeyCode::Char(_)) {
            return Err(bad());
        }
        Ok(Self { code, ctrl, alt, shift })
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ctrl = if self.ctrl { "ctrl-" } else { "" };
        let alt = if self.alt { "alt-" } else { "" };
        let shift = if self.shift { "shift-" } else { "" };
        let key = match (self.code, NAMED.iter().find(|(_, code)| *code == self.code)) {
            (_, Some((name, _))) => (*name).to_owned(),
            (KeyCode::Char(c), None) => c.to_string(),
            (KeyCode::F(n), None) => format!("f{n}"),
            (other, None) => other.to_string(),
        };
        f.pad(&format!("{ctrl}{alt}{shift}{key}"))
    }
}

impl Chord {
    /// The digit it is, without modifiers.
    pub fn digit(self) -> Option<char> {
        match self.code {
            KeyCode::Char(c) if c.is_ascii_digit() && !self.ctrl && !self.alt => Some(c),
            _ => None,
        }
    }

    /// Whether it is this character, without modifiers.
    pub fn is(self, character: char) -> bool {
        self.code == KeyCode::Char(character) && !self.ctrl && !self.alt
    }
}

/// Keys pressed one after another: `q`, or `z z`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence(Vec<Chord>);

/// Keys a sequence has at most.
const LONGEST: usize = 4;

impl Sequence {
    /// The keys, in order; at least one.
    pub fn chords(&self) -> &[Chord] {
        &self.0
    }

    /// Whether it begins with all of another's keys, or is the same.
    pub fn begins_with(&self, keys: &[Chord]) -> bool {
        self.0.starts_with(keys)
    }
}

impl FromStr for Sequence {
    type Err = KeymapError;

    fn from_str(text: &str) -> Result<Self, KeymapError> {
        let chords: Vec<Chord> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        // A number before a key says how often, or how much.
        if chords.first().is_some_and(|first| first.digit().is_some()) {
            return Err(KeymapError::Digit(printable(text)));
        }
        if chords.is_empty() || chords.len() > LONGEST {
            return Err(KeymapError::BadKey(printable(text)));
        }
        Ok(Self(chords))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self.0.iter().map(Chord::to_string).collect();
        f.pad(&keys.join(" "))
    }
}
