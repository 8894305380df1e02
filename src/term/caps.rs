//! What the terminal can show, told from the environment, and how dear each byte is.

/// How many colours the terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// None, too few, or none wanted.
    None,
    /// xterm's 256.
    Indexed,
    /// 24 bits.
    True,
}

/// What is known of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// How many colours it has.
    pub colours: Colours,
    /// Whether the bytes travel, or are re-drawn by a multiplexer on their way.
    pub remote: bool,
    /// Whether its background is light, as far as `COLORFGBG` tells.
    pub light: bool,
}

impl Caps {
    /// Reads the environment of this process; a choice by flag or configuration goes before it.
    pub fn detect(choice: Option<Colours>) -> Self {
        Self::from_env(choice, |name| std::env::var(name).ok())
    }

    /// As [`Caps::detect`], for any environment. Order: choice, `NO_COLOR`, `COLORTERM`, `CLICOLOR_FORCE`, `TERM`.
    pub fn from_env(choice: Option<Colours>, var: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| var(name).filter(|v| !v.is_empty());
        let term = set("TERM").unwrap_or_default();
        let forced = set("CLICOLOR_FORCE").is_some_and(|v| v != "0");
        let colours = if let Some(colours) = choice {
            colours
        } else if set("NO_COLOR").is_some() {
            Colours::None
        } else if set("COLORTERM").is_some_and(|v| v == "truecolor" || v == "24bit") {
            Colours::True
        } else {
            match of_term(&term) {
                Colours::None if forced => Colours::Indexed,
                colours => colours,
            }
        };
        // A mosh session is started through ssh and keeps its variables.
        let far = ["SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY", "TMUX", "STY", "ZELLIJ"];
        // `foreground;background`, sometimes with another field between; 7 and 15 are the whites of the 16 colours.
        let light = set("COLORFGBG").is_some_and(|v| matches!(v.rsplit(';').next(), Some("7" | "15")));
        Self { colours, remote: far.into_iter().any(|name| set(name).is_some()), light }
    }

    /// Steps of the ramp unless the user says otherwise: fewer where bytes are dear.
    pub fn colour_steps(self) -> usize {
        if self.remote { 16 } else { 32 }
    }

    /// Frames a second unless the user says otherwise.
    pub fn fps(self) -> u32 {
        if self.remote { 4 } else { 10 }
    }
}

/// Colours by the name of the terminal: those that are known to have 24 bits, those that have 256, the rest.
fn of_term(term: &str) -> Colours {
    const TRUE: [&str; 6] = ["xterm-kitty", "xterm-ghostty", "foot", "alacritty", "wezterm", "contour"];
    const INDEXED: [&str; 5] = ["xterm", "screen", "tmux", "rxvt-unicode", "st"];
    let is = |name: &str| term == name || term.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'));
    if TRUE.into_iter().any(is) || term.ends_with("-direct") {
        Colours::True
    } else if INDEXED.into_iter().any(is) || term.contains("256color") {
        Colours::Indexed
    } else {
        Colours::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(choice: Option<Colours>, env: &[(&str, &str)]) -> Caps {
        Caps::from_env(choice, |name| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn the_order_is_choice_no_color_colorterm_term() {
        let truecolor = ("COLORTERM", "truecolor");
        assert_eq!(caps(None, &[]).colours, Colours::None);
        assert_eq!(caps(None, &[("TERM", "xterm-256color")]).colours, Colours::Indexed);
        assert_eq!(caps(None, &[("TERM", "xterm-kitty")]).colours, Colours::True);
        assert_eq!(caps(None, &[("TERM", "xterm-direct")]).colours, Colours::True);
        assert_eq!(caps(None, &[("TERM", "linux")]).colours, Colours::None);
        assert_eq!(caps(None, &[("TERM", "linux"), ("CLICOLOR_FORCE", "1")]).colours, Colours::Indexed);
        assert_eq!(caps(None, &[("TERM", "xterm"), truecolor]).colours, Colours::True);
        assert_eq!(caps(None, &[truecolor, ("NO_COLOR", "1")]).colours, Colours::None);
        assert_eq!(caps(None, &[truecolor, ("NO_COLOR", "")]).colours, Colours::True);
        assert_eq!(caps(Some(Colours::Indexed), &[("NO_COLOR", "1")]).colours, Colours::Indexed);
    }

    #[test]
    fn a_far_terminal_gets_fewer_steps_and_frames() {
        let near = caps(None, &[]);
        let far = caps(None, &[("SSH_CONNECTION", "1 2 3 4")]);
        assert_eq!((near.colour_steps(), near.fps()), (32, 10));
        assert_eq!((far.colour_steps(), far.fps()), (16, 4));
        assert!(caps(None, &[("TMUX", "socket,1,0")]).remote);
    }

    #[test]
    fn the_background_is_dark_unless_the_terminal_says_otherwise() {
        let light = |value: &'static str| caps(None, &[("COLORFGBG", value)]).light;
        assert_eq!(["15;0", "0;15", "0;default;15", "0;7", ""].map(light), [false, true, true, true, false]);
        assert!(!caps(None, &[]).light);
    }
}
