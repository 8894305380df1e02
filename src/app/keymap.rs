//! Which key does what. The names of the actions are the words of the configuration.

mod chord;

use std::collections::BTreeMap;
use std::str::FromStr;

pub use chord::{Chord, Sequence};

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
    Scale "scale" ["C"] "colour scale: square root, linear, log";
    RelativeScale "relative_scale" ["A"] "colour scale: absolute or relative to the view";
    NextRange "next_range" ["r"] "longer range";
    PreviousRange "previous_range" ["R"] "shorter range";
    CandleInterval "candle_interval" ["i"] "candle interval";
    Candles "candles" ["c"] "candles on or off";
    Model "model" ["m"] "model: precise, zones, comprehensive";
    Difference "difference" ["D"] "built and removed; ours less preset";
    Preset "preset" ["P"] "next map by another's published rule";
    Tiers "tiers" ["v"] "leverage tiers";
    Venues "venues" ["x"] "venues: what they deliver, on or off";
    Sides "sides" ["S"] "both sides, longs only, shorts only";
    MapBy "map_by" ["M"] "map by leverage tier or by venue";
    Bars "bars" ["b"] "liquidations per column";
    Depth "depth" ["d"] "depth of market";
    Pools "pools" ["g"] "pools";
    Tape "tape" ["t"] "tape of liquidations";
    TapeFilter "tape_filter" ["T"] "tape: larger liquidations only";
    Market "market" ["o"] "open interest, funding, skew";
    Watchlist "watchlist" ["W"] "watchlist";
    Palette "palette" ["p"] "next palette";
    Background "background" ["z b"] "for a dark or a light terminal";
    CandleColours "candle_colours" ["z c"] "candles: white and red, green up, red up";
    Left "left" ["left", "h"] "crosshair left; at the edge, earlier";
    Down "down" ["down", "j"] "crosshair down";
    Up "up" ["up", "k"] "crosshair up";
    Right "right" ["right", "l"] "crosshair right";
    NextPool "next_pool" [")"] "crosshair to the next pool above";
    PreviousPool "previous_pool" ["("] "crosshair to the next pool below";
    PanLeft "pan_left" ["shift-left", "z h"] "move the view: earlier";
    PanDown "pan_down" ["pagedown", "z j"] "move the view: lower prices";
    PanUp "pan_up" ["pageup", "z k"] "move the view: higher prices";
    PanRight "pan_right" ["shift-right", "z l"] "move the view: later";
    Centre "centre" ["z z"] "price to the middle";
    PriceZoomIn "price_zoom_in" ["+"] "price: closer";
    PriceZoomOut "price_zoom_out" ["-"] "price: wider";
    TimeZoomIn "time_zoom_in" [">"] "time: closer";
    TimeZoomOut "time_zoom_out" ["<"] "time: wider";
    Reset "reset" ["="] "undo zoom and crosshair";
    Follow "follow" ["f"] "follow the market";
    Freeze "freeze" ["space"] "freeze the picture; replay: play or pause";
    StepForward "step_forward" ["."] "replay: a column on";
    StepBack "step_back" [","] "replay: a column back";
    Seek "seek" [":"] "replay: go to a time";
    Faster "faster" ["*"] "replay: faster";
    Slower "slower" ["/"] "replay: slower";
    NextLiquidation "next_liquidation" ["J"] "replay: next very large liquidation";
    PreviousLiquidation "previous_liquidation" ["K"] "replay: previous one";
    NextSweep "next_sweep" ["X"] "replay: next sweep of drawn levels";
    PreviousSweep "previous_sweep" ["Z"] "replay: previous one";
    Mouse "mouse" ["z m"] "mouse on or off";
    WriteSnapshot "write_snapshot" ["w"] "write what is shown to a PNG file";
    Copy "copy" ["y"] "copy the crosshair, or price and pools (OSC 52)";
    Help "help" ["?"] "this page, and the models explained";
    Close "close" ["esc"] "close popup or crosshair";
    Suspend "suspend" ["ctrl-z"] "suspend";
    Quit "quit" ["q", "ctrl-c"] "quit";
}

impl Action {
    /// Whether a number before the key says how often.
    pub const fn repeats(self) -> bool {
        matches!(
            self,
            Self::Left
                | Self::Right
                | Self::Up
                | Self::Down
                | Self::PanLeft
                | Self::PanRight
                | Self::PanUp
                | Self::PanDown
                | Self::PriceZoomIn
                | Self::PriceZoomOut
                | Self::TimeZoomIn
                | Self::TimeZoomOut
                | Self::NextPool
                | Self::PreviousPool
        )
    }
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

/// Why a keymap is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    /// No such action; and the name nearest to it.
    #[error("unknown action {0:?}; did you mean {1:?}?")]
    UnknownAction(String, &'static str),
    /// Not a key.
    #[error(
        "bad key {0:?}: write one character, a name such as space, left or f1, and before it ctrl-, alt- or (with a name) \
         shift-; or up to four of these with spaces between"
    )]
    BadKey(String),
    /// A digit begins a number.
    #[error("bad key {0:?}: digits begin a number, such as 95 before a threshold key")]
    Digit(String),
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
    /// The second could never be typed.
    #[error("key {key} of {first} begins {longer} of {second}")]
    Begins {
        /// The shorter one.
        key: String,
        /// The action that has it.
        first: &'static str,
        /// The longer one.
        longer: String,
        /// The action that has that.
        second: &'static str,
    },
    /// There would be no way out.
    #[error("quit needs at least one key")]
    NoQuit,
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

/// What keys mean that were typed one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// This.
    Action(Action),
    /// They begin a longer sequence.
    Begins,
    /// Nothing.
    Nothing,
}

/// Which key does what.
#[derive(Debug, Clone, PartialEq)]
pub struct Keymap {
    keys: BTreeMap<Action, Vec<Sequence>>,
}

impl Default for Keymap {
    fn default() -> Self {
        let parse = |a: &Action| a.default_keys().iter().filter_map(|k| k.parse().ok()).collect();
        Self { keys: Action::ALL.iter().map(|a| (*a, parse(a))).collect() }
    }
}

impl Keymap {
    /// The default keys, with those of some actions replaced. Two actions on one key, or one on the beginning of another's, are
    /// refused.
    pub fn with<'a, K, V>(bindings: K) -> Result<Self, KeymapError>
    where
        K: IntoIterator<Item = (&'a str, V)>,
        V: IntoIterator<Item = &'a str>,
    {
        let mut map = Self::default();
        for (name, keys) in bindings {
            let sequences = keys.into_iter().map(str::parse).collect::<Result<_, _>>()?;
            map.keys.insert(name.parse()?, sequences);
        }
        let all: Vec<(&Sequence, Action)> =
            map.keys.iter().flat_map(|(action, keys)| keys.iter().map(|k| (k, *action))).collect();
        for (i, (key, action)) in all.iter().enumerate() {
            for (other, holder) in &all[..i] {
                if holder != action {
                    apart((other, *holder), (key, *action))?;
                }
            }
        }
        if map.keys(Action::Quit).is_empty() {
            return Err(KeymapError::NoQuit);
        }
        Ok(map)
    }

    /// What keys mean that were typed one after another.
    pub fn meaning(&self, typed: &[Chord]) -> Meaning {
        let mut begins = Meaning::Nothing;
        for (action, sequences) in &self.keys {
            for sequence in sequences.iter().filter(|s| s.begins_with(typed)) {
                if sequence.chords().len() == typed.len() {
                    return Meaning::Action(*action);
                }
                begins = Meaning::Begins;
            }
        }
        begins
    }

    /// What one key does alone.
    pub fn action(&self, key: impl Into<Chord>) -> Option<Action> {
        match self.meaning(&[key.into()]) {
            Meaning::Action(action) => Some(action),
            Meaning::Begins | Meaning::Nothing => None,
        }
    }

    /// The keys of an action; empty if it has none.
    pub fn keys(&self, action: Action) -> &[Sequence] {
        self.keys.get(&action).map_or(&[], Vec::as_slice)
    }

    /// The first key of an action, for hints.
    pub fn hint(&self, action: Action) -> Option<String> {
        self.keys(action).first().map(Sequence::to_string)
    }

    /// The actions whose keys begin with these, and the rest of the keys, for a hint.
    pub fn continued(&self, typed: &[Chord]) -> Vec<(String, Action)> {
        let longer = |s: &&Sequence| s.begins_with(typed) && s.chords().len() > typed.len();
        let rest = |s: &Sequence| {
            s.chords()[typed.len()..].iter().map(Chord::to_string).collect::<Vec<_>>().join(" ")
        };
        let of =
            |(action, keys): (&Action, &Vec<Sequence>)| keys.iter().find(longer).map(|s| (rest(s), *action));
        self.keys.iter().filter_map(of).collect()
    }
}

/// Whether both can be typed.
fn apart((a, first): (&Sequence, Action), (b, second): (&Sequence, Action)) -> Result<(), KeymapError> {
    if a == b {
        return Err(KeymapError::Conflict { key: a.to_string(), first: first.name(), second: second.name() });
    }
    let begins = |a: &Sequence, first: Action, b: &Sequence, second: Action| KeymapError::Begins {
        key: a.to_string(),
        first: first.name(),
        longer: b.to_string(),
        second: second.name(),
    };
    if b.begins_with(a.chords()) {
        return Err(begins(a, first, b, second));
    }
    if a.begins_with(b.chords()) {
        return Err(begins(b, second, a, first));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

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
    fn sequences_are_followed_key_by_key_and_none_hides_another() {
        let map = Keymap::with([("quit", vec!["ctrl-x ctrl-c"]), ("help", vec!["ctrl-x h"])]).unwrap();
        let ctrl = |c: char| Chord::from(key(KeyCode::Char(c), KeyModifiers::CONTROL));
        let plain = |c: char| Chord::from(key(KeyCode::Char(c), KeyModifiers::NONE));
        assert_eq!(map.meaning(&[ctrl('x')]), Meaning::Begins);
        assert_eq!(map.meaning(&[ctrl('x'), ctrl('c')]), Meaning::Action(Action::Quit));
        assert_eq!(map.meaning(&[ctrl('x'), plain('h')]), Meaning::Action(Action::Help));
        assert_eq!(map.meaning(&[ctrl('x'), plain('z')]), Meaning::Nothing);
        let next: Vec<(String, Action)> = map.continued(&[ctrl('x')]);
        assert_eq!(next, [("h".to_owned(), Action::Help), ("ctrl-c".to_owned(), Action::Quit)]);
        let error = |keys: &'static str| Keymap::with([("quit", vec![keys])]).unwrap_err().to_string();
        assert_eq!(error("s x"), "key s of symbol_picker begins s x of quit");
        assert_eq!(error("z"), "key z of quit begins z b of background");
        assert_eq!(error("z z"), "key z z is bound to both centre and quit");
    }

    #[test]
    fn unknown_words_are_refused() {
        assert_eq!(
            Keymap::with([("quitt", vec!["z"])]).unwrap_err(),
            KeymapError::UnknownAction("quitt".to_owned(), "quit")
        );
        for bad in ["", "ctrl-", "qq", "f13", "hyper-a", "shift-l", "a b c d e"] {
            let refused = Keymap::with([("help", vec![bad])]).unwrap_err().to_string();
            assert!(refused.starts_with("bad key"), "{bad}: {refused}");
        }
        assert_eq!(Keymap::with([("help", vec!["5"])]).unwrap_err(), KeymapError::Digit("5".to_owned()));
        assert_eq!("ctrl--".parse::<Chord>().unwrap().to_string(), "ctrl--");
    }
}
