//! The real binary in a real terminal: it draws, it leaves the terminal as it was.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// Longest wait for anything here; a slow machine waits, a broken program fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

fn size(cells: u16) -> std::num::NonZeroU16 {
    std::num::NonZeroU16::new(cells).unwrap()
}

pub struct Terminal {
    pub screen: Arc<Mutex<vt100::Parser>>,
    /// Everything that was written.
    pub bytes: Arc<Mutex<Vec<u8>>>,
    master: Box<dyn MasterPty + Send>,
    pub keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    _data: tempfile::TempDir,
}

impl Terminal {
    pub fn start(args: &[&str], rows: u16, cols: u16) -> Self {
        let data = tempfile::tempdir().unwrap();
        let program = env!("CARGO_BIN_EXE_meltline");
        let folder = data.path().to_str().unwrap().to_owned();
        let args = [&[program], args, &["--data-dir", &folder]].concat();
        Self::run(&args, &[("TERM", "xterm-256color")], (rows, cols), data)
    }

    /// Any program; the folder is its for the time being.
    pub fn run(
        program: &[&str],
        env: &[(&str, &str)],
        (rows, cols): (u16, u16),
        data: tempfile::TempDir,
    ) -> Self {
        let pty =
            native_pty_system().openpty(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
        let mut command = CommandBuilder::from_argv(program.iter().map(Into::into).collect());
        command.env("XDG_CONFIG_HOME", data.path());
        for name in [
            "NO_COLOR",
            "COLORTERM",
            "SSH_CONNECTION",
            "SSH_CLIENT",
            "SSH_TTY",
            "TMUX",
            "STY",
            "ZELLIJ",
            "MELTLINE_CONFIG",
            "HTTPS_PROXY",
            "ALL_PROXY",
        ] {
            command.env_remove(name);
        }
        for (name, value) in env {
            command.env(name, value);
        }
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(size(rows), size(cols), 0)));
        let mut reader = pty.master.try_clone_reader().unwrap();
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (seen, kept) = (Arc::clone(&screen), Arc::clone(&bytes));
        std::thread::spawn(move || {
            let mut part = vec![0; 65_536];
            while let Ok(n) = reader.read(&mut part) {
                if n == 0 {
                    break;
                }
                kept.lock().unwrap().extend_from_slice(&part[..n]);
                seen.lock().unwrap().process(&part[..n]);
            }
        });
        let keys = pty.master.take_writer().unwrap();
        Self { screen, bytes, master: pty.master, keys, child, _data: data }
    }

    pub fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Bytes that were written so far.
    pub fn written(&self) -> usize {
        self.bytes.lock().unwrap().len()
    }

    /// Polls until certain bytes were written.
    pub fn wait_for_bytes(&self, wanted: &[u8]) {
        let begun = Instant::now();
        while !self.bytes.lock().unwrap().windows(wanted.len()).any(|bytes| bytes == wanted) {
            assert!(begun.elapsed() < PATIENCE, "never written: {:?}", String::from_utf8_lossy(wanted));
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Polls until the screen is as wanted.
    pub fn wait(&mut self, what: &str, wanted: impl Fn(&vt100::Screen) -> bool) {
        let begun = Instant::now();
        while !wanted(self.screen.lock().unwrap().screen()) {
            assert!(begun.elapsed() < PATIENCE, "no {what} on:\n{}", self.text());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Polls until the bytes written are as wanted.
    fn wait_raw(&mut self, what: &str, wanted: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        while !wanted(&String::from_utf8_lossy(&self.bytes.lock().unwrap())) {
            assert!(begun.elapsed() < PATIENCE, "no {what} on:\n{}", self.text());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    pub fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Waits for the end; the exit code.
    pub fn ended(&mut self) -> u32 {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            assert!(begun.elapsed() < PATIENCE, "still running:\n{}", self.text());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.process_id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Cells of the heatmap that carry heat: half blocks, either way up, in a colour of their own.
pub fn hot_cells(screen: &vt100::Screen) -> usize {
    let (rows, cols) = screen.size();
    (0..rows.get())
        .flat_map(|r| (0..cols.get()).map(move |c| (r, c)))
        .filter_map(|(r, c)| screen.cell(r, c))
        .filter(|cell| matches!(cell.contents(), "▀" | "▄") && cell.fgcolor() != vt100::Color::Default)
        .count()
}

/// The terminal is given back; its last bytes may still be on their way when the program has ended.
fn restored(terminal: &mut Terminal) {
    terminal
        .wait("terminal as it was", |s| !s.alternate_screen() && !s.hide_cursor() && !s.bracketed_paste());
}

#[test]
fn the_demo_fills_its_map_and_q_gives_the_terminal_back() {
    let mut terminal = Terminal::start(&["demo", "--seed", "3"], 50, 160);
    terminal.wait("heatmap", |s| s.contents().contains("SIMULATED") && hot_cells(s) > 200);
    assert!(terminal.screen.lock().unwrap().screen().alternate_screen());
    terminal.wait("totals", |s| s.contents().contains("shorts $") && s.contents().contains("longs $"));
    terminal.press("?");
    terminal.wait("help", |s| s.contents().contains("pick a symbol"));
    terminal.press("\u{1b}");
    // Escape and q in one read would be alt-q.
    terminal.wait("map without help", |s| !s.contents().contains("pick a symbol"));
    terminal.press("q");
    assert_eq!(terminal.ended(), 0);
    restored(&mut terminal);
}

#[test]
fn another_symbol_is_picked_by_typing_its_name() {
    let mut terminal = Terminal::start(&["demo", "--seed", "3"], 40, 120);
    terminal.wait("heatmap", |s| hot_cells(s) > 100);
    terminal.press("s");
    terminal.wait("picker", |s| s.contents().contains("PEPE"));
    terminal.press("pep\r");
    terminal.wait("PEPE's map", |s| s.rows(0, 120).next().unwrap().contains("PEPE") && hot_cells(s) > 100);
    terminal.press("q");
    assert_eq!(terminal.ended(), 0);
}

#[test]
fn a_terminated_program_gives_the_terminal_back() {
    let mut terminal = Terminal::start(&["demo"], 30, 100);
    terminal.wait("screen", |s| s.contents().contains("SIMULATED"));
    terminal.signal("-TERM");
    terminal.ended();
    restored(&mut terminal);
}

#[test]
fn a_resize_is_followed() {
    let mut terminal = Terminal::start(&["demo"], 30, 100);
    terminal.wait("heatmap", |s| hot_cells(s) > 50);
    terminal.screen.lock().unwrap().screen_mut().set_size(size(20), size(50));
    terminal.master.resize(PtySize { rows: 20, cols: 50, pixel_width: 0, pixel_height: 0 }).unwrap();
    terminal.wait("smaller heatmap", |s| {
        s.contents().contains("SIMULATED") && hot_cells(s) > 20 && s.contents().lines().count() <= 20
    });
    terminal.press("q");
    assert_eq!(terminal.ended(), 0);
}

/// An hour of a market, as events.
fn recording(dir: &tempfile::TempDir) -> String {
    let path = dir.path().join("events.ndjson");
    let mut file = std::fs::File::create(&path).unwrap();
    for second in 0..3_600_i64 {
        let ts = 1_718_755_200_000 + second * 1_000;
        let price = 60_000.0 + (second % 900) as f64;
        for event in [
            crate::support::trade(ts, price, 20.0),
            crate::support::mark(ts, price),
            crate::support::open_interest(ts, 10_000.0 + second as f64),
        ] {
            meltline::market::ndjson::write_event(&mut file, &event).unwrap();
        }
    }
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_recording_stays_on_its_last_frame_until_q() {
    let dir = tempfile::tempdir().unwrap();
    let path = recording(&dir);
    let mut terminal = Terminal::start(&["replay", &path, "--range", "2h"], 40, 120);
    terminal.wait("heatmap", |s| s.contents().contains("REPLAY") && hot_cells(s) > 50);
    terminal.press("q");
    assert_eq!(terminal.ended(), 0);
    restored(&mut terminal);
}

#[test]
fn a_recording_played_as_fast_as_it_can_be_leaves_books_unread_unless_asked() {
    use meltline::market::EventKind;
    use meltline::market::event::Book;

    use crate::support::{event, price, qty};

    let dir = tempfile::tempdir().unwrap();
    let path = recording(&dir);
    let book = Book { bids: vec![(price(59_990.0), qty(5.0))], asks: vec![(price(60_910.0), qty(5.0))] };
    let mut file = std::fs::File::options().append(true).open(&path).unwrap();
    let last = event(1_718_758_799_500, EventKind::Book(Box::new(book)));
    meltline::market::ndjson::write_event(&mut file, &last).unwrap();
    for (options, is_read) in [
        ([].as_slice(), false),
        (&["--books", "always"], true),
        (&["--speed", "1000"], true),
        (&["--speed", "1000", "--books", "never"], false),
    ] {
        let args = ["replay", &path, "--range", "2h"].iter().chain(options).copied().collect::<Vec<_>>();
        let mut terminal = Terminal::start(&args, 50, 160);
        terminal.wait("end", |s| s.contents().contains("ENDED"));
        // Told in the depth of market: what rests, or that nobody has looked.
        terminal.wait("depth", |s| s.contents().contains(if is_read { "book $" } else { "not read" }));
        terminal.press("q");
        assert_eq!(terminal.ended(), 0);
    }
}

#[test]
fn a_picture_is_written_and_the_crosshair_copied() {
    let dir = tempfile::tempdir().unwrap();
    let path = recording(&dir);
    let config = dir.path().join("config.toml");
    let pictures = dir.path().join("pictures");
    std::fs::write(&config, format!("[screen]\nsnapshot_dir = {pictures:?}\n")).unwrap();
    let config = config.to_str().unwrap();
    let mut terminal = Terminal::start(&["replay", &path, "--range", "2h", "--config", config], 40, 200);
    terminal.wait("heatmap", |s| s.contents().contains("ENDED") && hot_cells(s) > 50);
    terminal.press("w");
    terminal.wait("note", |s| s.contents().contains("wrote "));
    // The recording ends at 00:59:59.
    let png = std::fs::read(pictures.join("meltline-BTC-20240619-005959Z.png")).unwrap();
    assert!(png.starts_with(b"\x89PNG"));
    terminal.press("y");
    terminal.wait("note", |s| s.contents().contains("sent to the clipboard: BTC 6"));
    // "BTC 6" begins with QlRDIDY in base 64.
    terminal.wait_raw("copy", |raw| raw.contains("\u{1b}]52;c;QlRDID"));
    terminal.press("q");
    assert_eq!(terminal.ended(), 0);
    restored(&mut terminal);
}

#[test]
fn an_image_lies_under_the_text_and_is_gone_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = recording(&dir);
    let mut terminal = Terminal::start(&["replay", &path, "--range", "2h", "--graphics", "kitty"], 40, 120);
    terminal.wait("end", |s| s.contents().contains("ENDED"));
    // This terminal does not say that it is kitty: it is asked, and until it answers heat is text.
    terminal.wait_raw("question", |raw| raw.contains("\u{1b}_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\u{1b}\\"));
    terminal
        .wait("text", |s| s.contents().contains("has not said that it draws images") && hot_cells(s) > 50);
    assert!(!terminal.text().contains('\u{fffd}'), "{}", terminal.text());
    terminal.press("\u{1b}_Gi=31;OK\u{1b}\\");
    terminal.wait("no note", |s| !s.contents().contains("has not said"));
    terminal.wait_raw("image", |raw| raw.contains("\u{1b}_Ga=T,q=2,f=24,o=z,"));
    // Between the legend and the price axis no cell is of two colours: the heat is in the image.
    let two_colours = |s: &vt100::Screen| {
        let cells = (2..30).flat_map(|y| (9..80).map(move |x| (y, x))).filter_map(|(y, x)| s.cell(y, x));
        cells.filter(|c| c.contents() == "▀" && c.bgcolor() != vt100::Color::Default).count()
    };
    assert_eq!(two_colours(terminal.screen.lock().unwrap().screen()), 0);
    terminal.press("q");
    assert_eq!(terminal.ended(), 0);
    restored(&mut terminal);
    terminal.wait_raw("image taken away", |raw| {
        raw.rfind("\u{1b}_Ga=d,d=I,q=2,").is_some_and(|gone| {
            gone > raw.rfind("a=T").unwrap_or(0) && gone < raw.rfind("\u{1b}[?1049l").unwrap_or(0)
        })
    });
}

#[test]
fn a_hang_up_ends_the_program() {
    let mut terminal = Terminal::start(&["demo"], 30, 100);
    terminal.wait("screen", |s| s.contents().contains("SIMULATED"));
    terminal.signal("-HUP");
    assert_eq!(terminal.ended(), 0);
    restored(&mut terminal);
}

/// The state letter of a process: R running, S sleeping, T stopped.
#[cfg(target_os = "linux")]
fn state(pid: u32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next()).unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn a_suspended_program_gives_the_terminal_back_and_draws_anew_when_continued() {
    let mut terminal = Terminal::start(&["demo", "--seed", "3"], 40, 120);
    terminal.wait("heatmap", |s| hot_cells(s) > 100);
    let pid = terminal.child.process_id().unwrap();
    terminal.signal("-TSTP");
    terminal.wait("terminal given back", |s| !s.alternate_screen());
    let begun = Instant::now();
    while state(pid) != 'T' {
        assert!(begun.elapsed() < PATIENCE, "not stopped");
        std::thread::park_timeout(Duration::from_millis(10));
    }
    restored(&mut terminal);
    terminal.signal("-CONT");
    terminal.wait("full redraw", |s| s.alternate_screen() && hot_cells(s) > 100);
    terminal.press("q");
    assert_eq!(terminal.ended(), 0);
}

/// Device attributes (DA1) of a terminal, and its answers to the question for true colour.
const ATTRIBUTES: &str = "\u{1b}[?62;22c";
const YES: &str = "\u{1b}P1$r0;48:2::1:2:3m\u{1b}\\\u{1b}P1+r524742=382f382f38\u{1b}\\";
const NO: &str = "\u{1b}P0$r\u{1b}\\\u{1b}P0+r524742\u{1b}\\";

/// Whether a colour of 24 bits is on the screen.
fn is_true_colour(screen: &vt100::Screen) -> bool {
    let (rows, cols) = screen.size();
    let mut cells = (0..rows.get()).flat_map(|r| (0..cols.get()).map(move |c| (r, c)));
    cells.any(|(r, c)| matches!(screen.cell(r, c).unwrap().bgcolor(), vt100::Color::Rgb(..)))
}

/// The first line of the screen.
fn status(screen: &vt100::Screen) -> String {
    screen.rows(0, screen.size().1.get()).next().unwrap()
}

/// The demo, drawn in 256 colours, with the question just asked.
fn asked() -> Terminal {
    let terminal = Terminal::start(&["demo", "--seed", "3"], 40, 160);
    // The last two of the question: the background, and what every terminal answers.
    terminal.wait_for_bytes(b"\x1b]11;?\x1b\\\x1b[c");
    assert!(terminal.screen.lock().unwrap().screen().alternate_screen(), "the first frame does not wait");
    terminal
}

#[test]
fn a_terminal_that_answers_yes_gets_true_colour_and_no_key_is_lost_or_made_up() {
    let mut terminal = asked();
    // Keys before, between and after: the range goes from 24h to 3d, 7d, 30d.
    terminal.press(&format!("r{YES}r{ATTRIBUTES}r"));
    // A day's data are a few columns of thirty: not many cells are hot.
    terminal.wait("true colour", |s| is_true_colour(s) && hot_cells(s) > 0);
    terminal.wait("30 days", |s| status(s).contains(" 30d·"));
    let is_model_3 =
        |s: &vt100::Screen| !["model 1", "model 2"].iter().any(|other| status(s).contains(other));
    assert!(is_model_3(terminal.screen.lock().unwrap().screen()), "{}", terminal.text());
    terminal.press("q");
    assert_eq!(terminal.ended(), 0);
    restored(&mut terminal);
}

#[test]
fn a_terminal_that_tells_of_a_light_background_is_drawn_for_it() {
    let mut terminal = asked();
    // Rules are grey 244 on dark, 242 on light.
    let rule = |s: &vt100::Screen| {
        let (rows, cols) = s.size();
        let mut cells = (0..rows.get()).flat_map(|r| (0..cols.get()).filter_map(move |c| s.cell(r, c)));
        cells.find(|cell| cell.contents() == "─").map(vt100::Cell::fgcolor)
    };
    terminal.wait("dark", |s| rule(s) == Some(vt100::Color::Idx(244)));
    terminal.press(&format!("r\x1b]11;rgb:ffff/ffff/f0f0\x1b\\{ATTRIBUTES}r"));
    terminal.wait("light", |s| rule(s) == Some(vt100::Color::Idx(242)));
    terminal.wait("7 days", |s| status(s).contains(" 7d·"));
    terminal.press("q");
    assert_eq!(terminal.ended(), 0);
    restored(&mut terminal);
}

#[test]
fn a_terminal_that_says_no_or_nothing_stays_at_256_colours() {
    for answer in ["", NO] {
        let mut terminal = asked();
        terminal.press(&format!("r{answer}{ATTRIBUTES}r"));
        terminal.wait("7 days", |s| status(s).contains(" 7d·") && hot_cells(s) > 100);
        let screen = terminal.screen.lock().unwrap().screen().clone();
        assert!(!is_true_colour(&screen));
        terminal.press("q");
        assert_eq!(terminal.ended(), 0);
    }
}

#[test]
fn a_late_answer_is_swallowed() {
    let mut terminal = asked();
    terminal.wait("heatmap", |s| hot_cells(s) > 100);
    let asked_at = Instant::now();
    while asked_at.elapsed() <= meltline::term::query::Answers::WATCH {
        std::thread::park_timeout(Duration::from_millis(10));
    }
    terminal.press(&format!("{YES}r"));
    terminal.wait("3 days", |s| status(s).contains(" 3d·") && hot_cells(s) > 100);
    let screen = terminal.screen.lock().unwrap().screen().clone();
    assert!(!is_true_colour(&screen));
    terminal.press("q");
    assert_eq!(terminal.ended(), 0);
}

#[test]
fn a_user_who_chose_the_colours_is_not_second_guessed() {
    let mut terminal = Terminal::start(&["demo", "--color", "256"], 30, 100);
    terminal.wait("heatmap", |s| hot_cells(s) > 50);
    terminal.press("q");
    assert_eq!(terminal.ended(), 0);
    let bytes = terminal.bytes.lock().unwrap();
    assert!(!bytes.windows(2).any(|b| b == b"\x1bP"), "nothing was asked");
}
