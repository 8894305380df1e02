//! What the terminal can show, how that is known, and what follows from the way the bytes take.

use super::query::Told;
use super::way::{Multiplexer, Way};

/// How many colours the terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// None, or none wanted.
    None,
    /// The sixteen that have names.
    Named,
    /// xterm's 256.
    Indexed,
    /// 24 bits.
    True,
}

/// What is known of the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caps {
    /// How many colours it has.
    pub colours: Colours,
    /// What told so, such as `TERM=xterm-256color`; the values are those of the environment, uncleaned.
    pub told_by: String,
    /// Whether the terminal itself may know of more colours than its name tells and can be asked.
    pub is_open: bool,
    /// What lies between.
    pub way: Way,
    /// Whether it repeats the last character on request (REP), as far as its name tells.
    pub repeats: bool,
    /// What its background is.
    pub ground: Ground,
}

/// What a terminal's background is, as far as it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// Dark, or nobody told and nobody can be asked.
    Dark,
    /// Light.
    Light,
    /// Nobody told; the terminal itself can be asked, and is taken for dark until it answers.
    Open,
}

impl From<bool> for Ground {
    fn from(is_light: bool) -> Self {
        if is_light { Self::Light } else { Self::Dark }
    }
}

impl Caps {
    /// Reads the environment of this process; a choice by flag or configuration goes before it.
    pub fn detect(choice: Option<Colours>) -> Self {
        Self::from_env(choice, Way::detect(), |name| std::env::var(name).ok())
    }

    /// As [`Caps::detect`], for any environment. Order: choice, `NO_COLOR`, `COLORTERM`, `CLICOLOR_FORCE`, `TERM`.
    pub fn from_env(choice: Option<Colours>, way: Way, var: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| var(name).filter(|v| !v.is_empty());
        let term = set("TERM").unwrap_or_default();
        let forced = set("CLICOLOR_FORCE").filter(|v| v != "0");
        let is_screen = way.multiplexer == Some(Multiplexer::Screen);
        // GNU screen hands its own environment on and, up to version 4, knows no true colour.
        let colorterm = set("COLORTERM").filter(|v| !is_screen && (v == "truecolor" || v == "24bit"));
        let named = of_term(&term);
        let mut is_open = false;
        let (colours, told_by) = if let Some(colours) = choice {
            (colours, "--colour or the configuration".to_owned())
        } else if set("NO_COLOR").is_some() {
            (Colours::None, "NO_COLOR".to_owned())
        } else if let Some(value) = colorterm {
            (Colours::True, format!("COLORTERM={value}"))
        } else if let (Colours::None, Some(value)) = (named, forced) {
            (Colours::Indexed, format!("CLICOLOR_FORCE={value}"))
        } else {
            // GNU screen would hand the question to the terminal as text.
            is_open = named == Colours::Indexed && !is_screen;
            (named, format!("TERM={term}"))
        };
        // `foreground;background`, sometimes with another field between; 7 and 15 are the whites of the 16 colours.
        // The Linux console has no way to say.
        let can_say = colours != Colours::None && !is_screen && term != "linux";
        let ground = match set("COLORFGBG") {
            Some(v) => matches!(v.rsplit(';').next(), Some("7" | "15")).into(),
            None if can_say => Ground::Open,
            None => Ground::Dark,
        };
        Self { colours, told_by, is_open, way, repeats: repeats(&term, way), ground }
    }

    /// Takes in what the terminal told of itself.
    #[must_use]
    pub fn answered(self, told: Told) -> Self {
        let ground = told.is_light.filter(|_| self.ground == Ground::Open).map_or(self.ground, Ground::from);
        if told.has_true_colour && self.is_open {
            let told_by = "the terminal's answer".to_owned();
            return Self { colours: Colours::True, told_by, is_open: false, ground, ..self };
        }
        Self { ground, ..self }
    }

    /// Steps of the ramp unless the user says otherwise: fewer where bytes are dear or drawn twice.
    pub fn colour_steps(&self) -> usize {
        if self.way.is_far() || self.way.is_redrawn() { 16 } else { 32 }
    }

    /// Frames a second unless the user says otherwise: fewer where the bytes travel.
    pub fn fps(&self) -> u32 {
        if self.way.is_far() { 4 } else { 10 }
    }

    /// Whether the terminal moves rows by itself unless the user says otherwise: not where someone redraws them on the way. mosh sends
    /// its own differences, and a pane of tmux that is narrower than its terminal pays for each moved row in full.
    pub fn shifts(&self) -> bool {
        !self.way.is_redrawn()
    }
}

/// Terminals that are known to have 24 bits; they repeat characters, too.
const KNOWN: [&str; 6] = ["xterm-kitty", "xterm-ghostty", "foot", "alacritty", "wezterm", "contour"];

/// Whether a terminal is of a name or of a variant of it.
fn is_named(term: &str, name: &str) -> bool {
    term == name || term.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'))
}

/// Colours by the name of the terminal: those that are known to have 24 bits, those that have 256, those that have any, the rest.
fn of_term(term: &str) -> Colours {
    const INDEXED: [&str; 5] = ["xterm", "screen", "tmux", "rxvt-unicode", "st"];
    const NAMED: [&str; 4] = ["linux", "rxvt", "cygwin", "ansi"];
    let is = |name: &str| is_named(term, name);
    if term.ends_with("-mono") || term.ends_with("-m") {
        Colours::None
    } else if term.ends_with("-16color") || term.ends_with("-color") {
        Colours::Named
    } else if KNOWN.into_iter().any(is) || term.ends_with("-direct") {
        Colours::True
    } else if INDEXED.into_iter().any(is) || term.contains("256color") {
        Colours::Indexed
    } else if NAMED.into_iter().any(is) {
        Colours::Named
    } else {
        Colours::None
    }
}

/// Only where it is known: tmux does so after characters of one byte, mosh and GNU screen do not, and any terminal may call itself
/// xterm.
fn repeats(term: &str, way: Way) -> bool {
    match way {
        Way { mosh: true, .. } => false,
        Way { multiplexer: Some(multiplexer), .. } => multiplexer == Multiplexer::Tmux,
        _ => KNOWN.into_iter().any(|name| is_named(term, name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(choice: Option<Colours>, env: &[(&str, &str)]) -> Caps {
        let var = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Caps::from_env(choice, Way::from_env(var), var)
    }

    #[test]
    fn the_order_is_choice_no_color_colorterm_term() {
        let truecolor = ("COLORTERM", "truecolor");
        assert_eq!(caps(None, &[]).colours, Colours::None);
        assert_eq!(caps(None, &[("TERM", "xterm-256color")]).colours, Colours::Indexed);
        assert_eq!(caps(None, &[("TERM", "xterm-kitty")]).colours, Colours::True);
        assert_eq!(caps(None, &[("TERM", "xterm-direct")]).colours, Colours::True);
        for (term, colours) in [
            ("linux", Colours::Named),
            ("rxvt", Colours::Named),
            ("rxvt-unicode", Colours::Indexed),
            ("xterm-16color", Colours::Named),
            ("xterm-mono", Colours::None),
            ("vt100", Colours::None),
        ] {
            assert_eq!(caps(None, &[("TERM", term)]).colours, colours, "{term}");
        }
        assert_eq!(caps(None, &[("TERM", "vt100"), ("CLICOLOR_FORCE", "1")]).colours, Colours::Indexed);
        assert_eq!(caps(None, &[("TERM", "xterm"), truecolor]).colours, Colours::True);
        assert_eq!(caps(None, &[truecolor, ("NO_COLOR", "1")]).colours, Colours::None);
        assert_eq!(caps(None, &[truecolor, ("NO_COLOR", "")]).colours, Colours::True);
        assert_eq!(caps(Some(Colours::Indexed), &[("NO_COLOR", "1")]).colours, Colours::Indexed);
    }

    #[test]
    fn what_told_is_told_and_only_a_name_leaves_something_to_ask() {
        let told = |env: &[(&str, &str)]| {
            let caps = caps(None, env);
            (caps.told_by, caps.is_open)
        };
        let xterm = ("TERM", "xterm-256color");
        assert_eq!(told(&[xterm]), ("TERM=xterm-256color".to_owned(), true));
        assert_eq!(told(&[xterm, ("COLORTERM", "24bit")]), ("COLORTERM=24bit".to_owned(), false));
        assert_eq!(told(&[xterm, ("NO_COLOR", "1")]), ("NO_COLOR".to_owned(), false));
        assert_eq!(told(&[("TERM", "linux")]), ("TERM=linux".to_owned(), false));
        assert_eq!(told(&[("CLICOLOR_FORCE", "1")]), ("CLICOLOR_FORCE=1".to_owned(), false));
        assert!(!caps(Some(Colours::Indexed), &[xterm]).is_open);
        let told = |env: &[(&str, &str)], told| {
            let caps = caps(None, env).answered(told);
            (caps.colours, caps.is_open, caps.ground)
        };
        let yes = Told { has_true_colour: true, is_light: Some(true), ..Told::default() };
        assert_eq!(told(&[xterm], yes), (Colours::True, false, Ground::Light));
        assert_eq!(told(&[xterm], Told::default()), (Colours::Indexed, true, Ground::Open));
        // What was told before is not asked.
        assert_eq!(
            told(&[("TERM", "xterm-kitty"), ("COLORFGBG", "15;0")], yes),
            (Colours::True, false, Ground::Dark)
        );
        assert_eq!(caps(None, &[("TERM", "linux")]).ground, Ground::Dark);
    }

    #[test]
    fn gnu_screen_is_not_believed_what_it_inherited() {
        let env = [("TERM", "screen-256color"), ("STY", "1.tty"), ("COLORTERM", "truecolor")];
        let caps = caps(None, &env);
        assert_eq!((caps.colours, caps.is_open), (Colours::Indexed, false));
    }

    #[test]
    fn each_way_has_its_steps_frames_and_scrolling() {
        let kitty = ("TERM", "xterm-kitty");
        let defaults = |caps: Caps| (caps.colour_steps(), caps.fps(), caps.shifts(), caps.repeats);
        assert_eq!(defaults(caps(None, &[kitty])), (32, 10, true, true));
        assert_eq!(defaults(caps(None, &[("TERM", "xterm-256color")])), (32, 10, true, false));
        assert_eq!(defaults(caps(None, &[kitty, ("SSH_CONNECTION", "1 2 3 4")])), (16, 4, true, true));
        assert_eq!(defaults(caps(None, &[kitty, ("TMUX", "socket,1,0")])), (16, 10, false, true));
        assert_eq!(defaults(caps(None, &[kitty, ("STY", "1.tty")])), (16, 10, false, false));
        assert_eq!(defaults(caps(None, &[kitty, ("ZELLIJ", "0")])), (16, 10, false, false));
        let mosh = Way { mosh: true, ssh: true, multiplexer: None };
        let caps = Caps::from_env(None, mosh, |name| (name == "TERM").then(|| "xterm-kitty".to_owned()));
        assert_eq!(defaults(caps), (16, 4, false, false));
    }

    #[test]
    fn the_background_is_dark_unless_the_terminal_says_otherwise() {
        let light = |value: &'static str| caps(None, &[("COLORFGBG", value)]).ground == Ground::Light;
        assert_eq!(["15;0", "0;15", "0;default;15", "0;7", ""].map(light), [false, true, true, true, false]);
        assert_eq!(caps(None, &[]).ground, Ground::Dark);
    }
}
