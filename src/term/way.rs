//! What lies between this process and the terminal: multiplexers that redraw on their way, and links on which bytes are dear.

use std::fmt;

/// A program that keeps a screen of its own and draws it on the real terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Multiplexer {
    /// tmux
    Tmux,
    /// GNU screen
    Screen,
    /// zellij
    Zellij,
}

/// The way bytes take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Way {
    /// The multiplexer, if there is one.
    pub multiplexer: Option<Multiplexer>,
    /// Whether mosh keeps the screen in step at the other end.
    pub mosh: bool,
    /// Whether the session came through ssh.
    pub ssh: bool,
}

impl Way {
    /// The way of this process: by its environment, and by its ancestors for mosh, which sets no variable.
    pub fn detect() -> Self {
        Self { mosh: has_ancestor("mosh-server"), ..Self::from_env(|name| std::env::var(name).ok()) }
    }

    /// What an environment tells of it.
    pub fn from_env(var: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| var(name).is_some_and(|value| !value.is_empty());
        let multiplexers =
            [("TMUX", Multiplexer::Tmux), ("ZELLIJ", Multiplexer::Zellij), ("STY", Multiplexer::Screen)];
        Self {
            multiplexer: multiplexers.into_iter().find(|(name, _)| set(name)).map(|(_, found)| found),
            mosh: false,
            ssh: ["SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"].into_iter().any(set),
        }
    }

    /// Whether the bytes travel.
    pub fn is_far(self) -> bool {
        self.ssh || self.mosh
    }

    /// Whether someone else redraws the picture before it reaches the terminal.
    pub fn is_redrawn(self) -> bool {
        self.mosh || self.multiplexer.is_some()
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let multiplexer = self.multiplexer.map(|found| match found {
            Multiplexer::Tmux => "tmux",
            Multiplexer::Screen => "screen",
            Multiplexer::Zellij => "zellij",
        });
        // A mosh session is started through ssh and keeps its variables.
        let link = if self.mosh { Some("mosh") } else { self.ssh.then_some("ssh") };
        let words: Vec<&str> = multiplexer.into_iter().chain(link).collect();
        f.write_str(&if words.is_empty() { "nothing".to_owned() } else { words.join(" over ") })
    }
}

/// Whether a process of that name is among the ancestors of this one, as far as `/proc` tells; elsewhere the answer is no.
fn has_ancestor(name: &str) -> bool {
    /// More generations than any real session has.
    const GENERATIONS: usize = 32;
    let stat = |pid: u32| std::fs::read(format!("/proc/{pid}/stat")).ok();
    let parent_of =
        |pid: &u32| stat(*pid).and_then(|stat| Some(parsed(&stat)?.1)).filter(|parent| *parent > 0);
    std::iter::successors(Some(std::process::id()), parent_of)
        .skip(1)
        .take(GENERATIONS)
        .any(|pid| stat(pid).is_some_and(|stat| parsed(&stat).is_some_and(|(found, _)| found == name)))
}

/// Name and parent of a line of `/proc/PID/stat`: `4242 (mosh-server) S 1 4242 …`. The name may hold anything, brackets too.
fn parsed(stat: &[u8]) -> Option<(String, u32)> {
    let text = String::from_utf8_lossy(stat);
    let (head, tail) = text.rsplit_once(") ")?;
    let (_, name) = head.split_once(" (")?;
    Some((name.to_owned(), tail.split(' ').nth(1)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(names: &[&str]) -> Way {
        Way::from_env(|name| names.contains(&name).then(|| "x".to_owned()))
    }

    #[test]
    fn the_environment_tells_multiplexers_and_ssh() {
        assert_eq!(way(&[]), Way::default());
        assert_eq!(way(&["TMUX"]).multiplexer, Some(Multiplexer::Tmux));
        assert_eq!(way(&["STY"]).multiplexer, Some(Multiplexer::Screen));
        assert_eq!(way(&["ZELLIJ"]).multiplexer, Some(Multiplexer::Zellij));
        assert!(way(&["SSH_TTY"]).is_far() && !way(&["SSH_TTY"]).is_redrawn());
        assert!(!way(&["TMUX"]).is_far() && way(&["TMUX"]).is_redrawn());
        let shown = |names: &[&str]| way(names).to_string();
        assert_eq!([shown(&[]), shown(&["TMUX", "SSH_TTY"])], ["nothing", "tmux over ssh"]);
        assert_eq!(Way { mosh: true, ..way(&["SSH_TTY"]) }.to_string(), "mosh");
    }

    #[test]
    fn a_process_is_read_with_any_name() {
        assert_eq!(parsed(b"42 (mosh-server) S 1 42 42 0"), Some(("mosh-server".to_owned(), 1)));
        assert_eq!(parsed(b"42 (a) b (c) R 7 42"), Some(("a) b (c".to_owned(), 7)));
        assert_eq!(parsed(b"garbage"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn ancestors_are_found_and_strangers_are_not() {
        let parent = std::fs::read(format!("/proc/{}/stat", std::os::unix::process::parent_id())).unwrap();
        assert!(has_ancestor(&parsed(&parent).unwrap().0));
        assert!(!has_ancestor("no such process"));
    }
}
