//! In tmux, in a whole window and in a split one, and through mosh: what the terminal shows is what the program drew. It needs `tmux` and
//! `mosh` (README, "Developing") and fails without them.
#![cfg(target_os = "linux")]

use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use crate::screen_lean::difference;
use crate::screen_wire::replay;
use crate::terminal::{PATIENCE, Terminal, hot_cells};

const SIZE: (u16, u16) = (60, 200);

/// A terminal of a size that was fed with bytes.
fn fed(bytes: &[u8], (rows, columns): (u16, u16)) -> vt100::Parser {
    let size = |cells| NonZeroU16::new(cells).unwrap();
    let mut parser = vt100::Parser::new(size(rows), size(columns), 0);
    parser.process(bytes);
    parser
}

/// Polls until two screens are there and the same; what differed in the end is told.
fn wait_until_same(what: &str, mut both: impl FnMut() -> Option<(vt100::Parser, vt100::Parser)>) {
    let begun = Instant::now();
    let mut last = "nothing to compare".to_owned();
    while begun.elapsed() < PATIENCE {
        if let Some((left, right)) = both() {
            match difference(left.screen(), right.screen()) {
                None => return,
                Some(words) => last = words,
            }
        }
        std::thread::park_timeout(std::time::Duration::from_millis(100));
    }
    panic!("{what}: {last}");
}

/// Whether a recording was played to its end.
fn is_over(screen: &vt100::Screen) -> bool {
    let text = screen.contents();
    // The help covers the map, and in a narrow pane everything.
    text.contains("keys ·") || text.contains("ENDED") && hot_cells(screen) > 100
}

/// The program's command line for a shell.
fn command_line(dir: &Path) -> String {
    let args = replay(dir, "auto", 30).join(" ");
    format!("{} {args} --data-dir {}", env!("CARGO_BIN_EXE_meltline"), dir.display())
}

/// A server of tmux of its own, with one session in which the program runs.
struct Tmux {
    dir: tempfile::TempDir,
}

impl Tmux {
    /// Starts it; everything the program writes is kept in a file. `split` puts another pane beside it.
    fn start(split: bool) -> Self {
        let tmux = Self { dir: tempfile::tempdir().unwrap() };
        let conf = "set -g status off\nset -g default-terminal tmux-256color\n\
                    set -as terminal-features ',xterm-256color:RGB'\nset -g window-size latest\n";
        std::fs::write(tmux.path("conf"), conf).unwrap();
        let program = format!("{} wait-for go; exec {}", tmux.line(), command_line(tmux.dir.path()));
        std::fs::write(tmux.path("program.sh"), program).unwrap();
        let script = format!("sh {}", tmux.path("program.sh").display());
        tmux.tell(&["new-session", "-d", "-x", "200", "-y", "60", &script]);
        if split {
            tmux.tell(&["split-window", "-h", "-d", "-t", "0", "cat"]);
        }
        tmux.tell(&["pipe-pane", "-t", "0.0", &format!("cat >> {}", tmux.path("bytes").display())]);
        tmux
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn line(&self) -> String {
        format!("tmux -S {}", self.path("socket").display())
    }

    fn output(&self, args: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        for name in ["TMUX", "NO_COLOR", "SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY", "MELTLINE_CONFIG"] {
            command.env_remove(name);
        }
        command.env("XDG_CONFIG_HOME", self.dir.path()).env("LC_ALL", "C.UTF-8");
        command.arg("-S").arg(self.path("socket")).arg("-f").arg(self.path("conf")).args(args);
        command.output().expect("tmux is needed: apt-get install tmux")
    }

    fn tell(&self, args: &[&str]) -> String {
        let output = self.output(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Rows and columns of the program's pane.
    fn pane(&self) -> (u16, u16) {
        let text = self.tell(&["display-message", "-p", "-t", "0.0", "#{pane_height} #{pane_width}"]);
        let (rows, columns) = text.trim().split_once(' ').unwrap();
        (rows.parse().unwrap(), columns.parse().unwrap())
    }

    /// What the program wrote.
    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path("bytes")).unwrap_or_default()
    }

    /// The pane as tmux tells it, text and colours.
    fn captured(&self) -> vt100::Parser {
        let text = self.tell(&["capture-pane", "-e", "-p", "-N", "-t", "0.0"]);
        fed(text.trim_end_matches('\n').replace('\n', "\r\n").as_bytes(), self.pane())
    }

    /// What the program drew, once the recording is over.
    fn drawn(&self) -> Option<vt100::Parser> {
        Some(fed(&self.bytes(), self.pane())).filter(|drawn| is_over(drawn.screen()))
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = self.output(&["kill-server"]);
    }
}

/// The left part of a terminal as one of its own.
fn left_part(screen: &vt100::Screen, (rows, columns): (u16, u16)) -> vt100::Parser {
    let lines = screen.rows_formatted(0, columns).take(rows.into()).enumerate();
    let lines: Vec<String> = lines.map(|(y, line)| format!("\x1b[m\x1b[{}H{line}", y + 1)).collect();
    fed(lines.concat().as_bytes(), (rows, columns))
}

/// Runs the program in a pane with a client attached, and compares pane and client with what it drew, also after keys.
fn assert_right_in_tmux(split: bool) {
    let tmux = Tmux::start(split);
    let socket = tmux.path("socket").display().to_string();
    let env = [("TERM", "xterm-256color"), ("LC_ALL", "C.UTF-8")];
    let mut client =
        Terminal::run(&["tmux", "-S", &socket, "attach"], &env, SIZE, tempfile::tempdir().unwrap());
    client.wait("attached client", vt100::Screen::alternate_screen);
    tmux.tell(&["wait-for", "-S", "go"]);
    // The client writes what tmux believes to be on its screen: a lost cell would show.
    let same = |when: &str| {
        wait_until_same(&format!("pane, {when}"), || Some((tmux.captured(), tmux.drawn()?)));
        wait_until_same(&format!("client, {when}"), || {
            let seen = left_part(client.screen.lock().unwrap().screen(), tmux.pane());
            Some((seen, tmux.drawn()?))
        });
    };
    same("at the end");
    let bytes = tmux.bytes();
    eprintln!("tmux, split {split}: {} bytes in, {} bytes to the client", bytes.len(), client.written());
    assert!(!bytes.windows(3).any(|b| b == b"\x1b[P"), "no shifted rows in tmux");
    for key in ["c", "<", "-", "?"] {
        let before = tmux.bytes().len();
        tmux.tell(&["send-keys", "-t", "0.0", key]);
        let begun = Instant::now();
        while tmux.bytes().len() == before {
            assert!(begun.elapsed() < PATIENCE, "no answer to {key}");
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
        let same = |when: &str| {
            wait_until_same(&format!("pane, {when}"), || Some((tmux.captured(), tmux.drawn()?)));
        };
        same(key);
    }
    client.press("\u{1b}");
}

#[test]
fn the_picture_is_right_in_a_whole_window_of_tmux() {
    assert_right_in_tmux(false);
}

#[test]
fn the_picture_is_right_in_a_split_window_of_tmux() {
    assert_right_in_tmux(true);
}

#[test]
fn the_picture_is_right_through_mosh() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    // `script` keeps what the program writes on the server's side.
    let program = format!("exec script -qfc '{}' {}", command_line(dir.path()), path("bytes").display());
    std::fs::write(path("program.sh"), program).unwrap();
    let server = Command::new("mosh-server")
        .args(["new", "-i", "127.0.0.1", "-c", "256", "-l", "LC_ALL=C.UTF-8", "--", "sh"])
        .arg(path("program.sh"))
        .env("LC_ALL", "C.UTF-8")
        .env("XDG_CONFIG_HOME", dir.path())
        .env_remove("NO_COLOR")
        .env_remove("TMUX")
        .env_remove("MELTLINE_CONFIG")
        .output()
        .expect("mosh is needed: apt-get install mosh");
    let told = String::from_utf8_lossy(&server.stdout).into_owned();
    let connect = told.lines().find_map(|line| line.strip_prefix("MOSH CONNECT ")).expect(&told);
    let (port, key) = connect.split_once(' ').unwrap();
    let env = [
        ("MOSH_KEY", key),
        ("TERM", "xterm-256color"),
        ("LC_ALL", "C.UTF-8"),
        ("MOSH_PREDICTION_DISPLAY", "never"),
    ];
    let mut client =
        Terminal::run(&["mosh-client", "127.0.0.1", port], &env, SIZE, tempfile::tempdir().unwrap());
    let bytes = || {
        let all = std::fs::read(path("bytes")).unwrap_or_default();
        // `script` may begin with a line of its own.
        let header =
            if all.starts_with(b"Script started") { all.iter().position(|b| *b == b'\n') } else { None };
        all[header.map_or(0, |at| at + 1)..].to_vec()
    };
    let drawn = || Some(fed(&bytes(), SIZE)).filter(|drawn| is_over(drawn.screen()));
    let same = |client: &Terminal, when: &str| {
        wait_until_same(&format!("mosh, {when}"), || {
            let seen = left_part(client.screen.lock().unwrap().screen(), SIZE);
            Some((seen, drawn()?))
        });
    };
    same(&client, "at the end");
    eprintln!("mosh: {} bytes in, {} bytes to the client", bytes().len(), client.written());
    let written = bytes();
    assert!(!written.windows(3).any(|b| b == b"\x1b[P"), "no shifted rows over mosh");
    for key in ["c", "<", "?"] {
        let before = bytes().len();
        client.press(key);
        let begun = Instant::now();
        while bytes().len() == before {
            assert!(begun.elapsed() < PATIENCE, "no answer to {key}");
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
        same(&client, key);
    }
    client.press("\u{1b}");
    client.wait("map without help", |s| !s.contents().contains("pick a symbol"));
    client.press("q");
    client.ended();
}
