//! Which key does what. The names of the actions are the words of the configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

macro_rules! actions {
    ($($variant:ident $name:literal [$($key:literal),*] $help:literal;)*) => {
        /// What a key can do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action {
            $(#[doc = $help] $variant,)*
        }

        impl Action {
            /// All actions, in the order of the help page.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The config word.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it does, for the help page.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)* }
            }

            /// The keys it has unless the configuration says otherwise.
            pub const fn default_keys(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($key),*],)* }
            }
        }
    };
}

actions! {
    SymbolPicker "symbol_picker" ["s"] "pick a symbol";
    NextSymbol "next_symbol" ["n"] "next symbol of the watchlist";
    PreviousSymbol "previous_symbol" ["N"] "previous symbol";
    ThresholdDown "threshold_down" ["["] "draw smaller levels too";
    ThresholdUp "threshold_up" ["]"] "draw larger levels only";
    CutDown "cut_down" ["{"] "end the colour scale lower";
    CutUp "cut_up" ["}"] "end the colour scale higher";
    ThresholdUnit "threshold_unit" ["u"] "threshold in percentile, share of max, USD, % of OI";
    LockScale "lock_scale" ["L"] "lock the colour scale";
    NextRange "next_range" ["r"] "longer range";
    PreviousRange "previous_range" ["R"] "shorter range";
    CandleInterval "candle_interval" ["i"] "candle interval";
    Candles "candles" ["c"] "candles on or off";
    Model "model" ["m"] "model: precise, zones, comprehensive";
    Difference "difference" ["D"] "built and removed; ours less preset";
    Preset "preset" ["P"] "next map by another's published rule";
    Tiers "tiers" ["v"] "leverage tiers";
    Venues "venues" ["x"] "venues: what they deliver, on or off";
    MapBy "map_by" ["M"] "map by leverage tier or by venue";
    Bars "bars" ["b"] "liquidations per column";
    Depth "depth" ["d"] "depth of market";
    Pools "pools" ["g"] "pools";
    Tape "tape" ["t"] "tape of liquidations";
    TapeFilter "tape_filter" ["T"] "tape: larger liquidations only";
    Market "market" ["o"] "open interest, funding, skew";
    Watchlist "watchlist" ["W"] "watchlist";
    Palette "palette" ["p"] "next palette";
    Left "left" ["left", "h"] "crosshair left; at the edge, earlier";
    Down "down" ["down", "j"] "crosshair down";
    Up "up" ["up", "k"] "crosshair up";
    Right "right" ["right", "l"] "crosshair right";
    PriceZoomIn "price_zoom_in" ["+"] "price: closer";
    PriceZoomOut "price_zoom_out" ["-"] "price: wider";
    TimeZoomIn "time_zoom_in" [">"] "time: closer";
    TimeZoomOut "time_zoom_out" ["<"] "time: wider";
    Reset "reset" ["="] "undo zoom and crosshair";
    Follow "follow" ["f"] "follow the market";
    Freeze "freeze" ["space"] "freeze the picture";
    WriteSnapshot "write_snapshot" ["w"] "write what is shown to a PNG file";
    Copy "copy" ["y"] "copy the crosshair, or price and pools (OSC 52)";
    Help "help" ["?"] "this page, and the models explained";
    Close "close" ["esc"] "close popup or crosshair";
    Suspend "suspend" ["ctrl-z"] "suspend";
    Quit "quit" ["q", "ctrl-c"] "quit";
}

impl FromStr for Action {
    type Err = KeymapError;

    fn from_str(name: &str) -> Result<Self, KeymapError> {
        let found = Self::ALL.iter().copied().find(|a| a.name() == name);
        let near = |a: &&Self| strsim::jaro_winkler(a.name(), name);
        let nearest = || Self::ALL.iter().max_by(|a, b| near(a).total_cmp(&near(b))).map_or("", |a| a.name());
        found.ok_or_else(|| KeymapError::UnknownAction(printable(name), nearest()))
    }
}

/// A key with its modifiers, as the configuration writes it: `q`, `L`, `ctrl-c`, `space`, `left`, `f1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Hash)]
pub struct Chord {
    code: KeyCode,
    ctrl: bool,
    alt: bool,
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
        Self { code, ctrl, alt: key.modifiers.contains(KeyModifiers::ALT) }
    }
}

impl FromStr for Chord {
    type Err = KeymapError;

    fn from_str(text: &str) -> Result<Self, KeymapError> {
        let bad = || KeymapError::BadKey(printable(text));
        let (mut ctrl, mut alt, mut rest) = (false, false, text);
        loop {
            // `ctrl-` alone leaves nothing to press, and `-` is a key itself.
            if let Some(more) = rest.strip_prefix("ctrl-").filter(|m| !m.is_empty()) {
                (ctrl, rest) = (true, more);
            } else if let Some(more) = rest.strip_prefix("alt-").filter(|m| !m.is_empty()) {
                (alt, rest) = (true, more);
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
        Ok(Self { code, ctrl, alt })
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ctrl = if self.ctrl { "ctrl-" } else { "" };
        let alt = if self.alt { "alt-" } else { "" };
        let key = match (self.code, NAMED.iter().find(|(_, code)| *code == self.code)) {
            (_, Some((name, _))) => (*name).to_owned(),
            (KeyCode::Char(c), None) => c.to_string(),
            (KeyCode::F(n), None) => format!("f{n}"),
            (other, None) => other.to_string(),
        };
        f.pad(&format!("{ctrl}{alt}{key}"))
    }
}

/// Why a keymap is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    /// No such action; and the name nearest to it.
    #[error("unknown action {0:?}; did you mean {1:?}?")]
    UnknownAction(String, &'static str),
    /// Not a key.
    #[error(
        "bad key {0:?}: write one character, a name such as space, left or f1, and before it ctrl- or alt-"
    )]
    BadKey(String),
    /// One key, two actions.
    #[error("key {key} is bound to both {first} and {second}")]
    Conflict {
        /// The key.
        key: String,
        /// The action that has it.
        first: &'static str,
        /// The action that wants it.
        second: &'static str,
    },
    /// There would be no way out.
    #[error("quit needs at least one key")]
    NoQuit,
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

/// Which key does what.
#[derive(Debug, Clone, PartialEq)]
pub struct Keymap {
    keys: BTreeMap<Action, Vec<Chord>>,
}

impl Default for Keymap {
    fn default() -> Self {
        let parse = |a: &Action| a.default_keys().iter().filter_map(|k| k.parse().ok()).collect();
        Self { keys: Action::ALL.iter().map(|a| (*a, parse(a))).collect() }
    }
}

impl Keymap {
    /// The default keys, with those of some actions replaced. Two actions on one key are refused.
    pub fn with<'a, K, V>(bindings: K) -> Result<Self, KeymapError>
    where
        K: IntoIterator<Item = (&'a str, V)>,
        V: IntoIterator<Item = &'a str>,
    {
        let mut map = Self::default();
        for (name, keys) in bindings {
            let chords = keys.into_iter().map(str::parse).collect::<Result<_, _>>()?;
            map.keys.insert(name.parse()?, chords);
        }
        let mut taken: Vec<(Chord, Action)> = Vec::new();
        for (&action, chords) in &map.keys {
            for &chord in chords {
                match taken.iter().find(|(c, a)| *c == chord && *a != action) {
                    Some((_, other)) => {
                        return Err(KeymapError::Conflict {
                            key: chord.to_string(),
                            first: other.name(),
                            second: action.name(),
                        });
                    }
                    None => taken.push((chord, action)),
                }
            }
        }
        if map.keys(Action::Quit).is_empty() {
            return Err(KeymapError::NoQuit);
        }
        Ok(map)
    }

    /// What a key does.
    pub fn action(&self, key: KeyEvent) -> Option<Action> {
        let chord = Chord::from(key);
        self.keys.iter().find(|(_, chords)| chords.contains(&chord)).map(|(action, _)| *action)
    }

    /// The keys of an action; empty if it has none.
    pub fn keys(&self, action: Action) -> &[Chord] {
        self.keys.get(&action).map_or(&[], Vec::as_slice)
    }

    /// The first key of an action, for hints.
    pub fn hint(&self, action: Action) -> Option<String> {
        self.keys(action).first().map(Chord::to_string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode, modifiers: KeyModifiers) -> KeyEvent {
        KeyEvent::new(code, modifiers)
    }

    #[test]
    fn every_default_key_is_readable_and_the_defaults_do_not_conflict() {
        let map = Keymap::with::<_, Vec<&str>>([]).unwrap();
        for action in Action::ALL {
            assert_eq!(map.keys(*action).len(), action.default_keys().len(), "{}", action.name());
            assert_eq!(action.name().parse::<Action>().unwrap(), *action);
            for (chord, text) in map.keys(*action).iter().zip(action.default_keys()) {
                assert_eq!(chord.to_string(), *text);
            }
        }
    }

    #[test]
    fn keys_reach_their_actions_with_shift_in_the_character() {
        let map = Keymap::default();
        assert_eq!(map.action(key(KeyCode::Char('L'), KeyModifiers::SHIFT)), Some(Action::LockScale));
        assert_eq!(map.action(key(KeyCode::Char('l'), KeyModifiers::NONE)), Some(Action::Right));
        assert_eq!(map.action(key(KeyCode::Char('c'), KeyModifiers::CONTROL)), Some(Action::Quit));
        assert_eq!(map.action(key(KeyCode::Char('c'), KeyModifiers::NONE)), Some(Action::Candles));
        assert_eq!(map.action(key(KeyCode::Char(' '), KeyModifiers::NONE)), Some(Action::Freeze));
        assert_eq!(map.action(key(KeyCode::F(5), KeyModifiers::NONE)), None);
    }

    #[test]
    fn a_rebinding_replaces_and_a_conflict_names_both() {
        let map = Keymap::with([("quit", vec!["Q", "ctrl-x"])]).unwrap();
        assert_eq!(map.action(key(KeyCode::Char('q'), KeyModifiers::NONE)), None);
        assert_eq!(map.action(key(KeyCode::Char('Q'), KeyModifiers::SHIFT)), Some(Action::Quit));
        let error = Keymap::with([("quit", vec!["s"])]).unwrap_err().to_string();
        assert_eq!(error, "key s is bound to both symbol_picker and quit");
        assert_eq!(Keymap::with([("quit", vec![])]).unwrap_err(), KeymapError::NoQuit);
    }

    #[test]
    fn unknown_words_are_refused() {
        assert_eq!(
            Keymap::with([("quitt", vec!["z"])]).unwrap_err(),
            KeymapError::UnknownAction("quitt".to_owned(), "quit")
        );
        for bad in ["", "ctrl-", "qq", "f13", "hyper-a"] {
            let refused = Keymap::with([("help", vec![bad])]).unwrap_err();
            assert_eq!(refused, KeymapError::BadKey(bad.to_owned()));
        }
        assert_eq!("ctrl--".parse::<Chord>().unwrap().to_string(), "ctrl--");
    }
}
