//! Asking the terminal itself whether it has 24-bit colour, what its background is, and whether it draws images. Its name does not tell (nearly all say xterm), and
//! `COLORTERM` and `COLORFGBG` do not travel through ssh.
//!
//! The answers come where keys come from. While the screen runs crossterm reads them and, as it does not know them, hands them on as
//! keys: Alt-P or Alt-], characters, Alt-\. [`Answers`] takes these out of the stream of events, early or late, so that nobody waits for them and no
//! key is lost. Silence means nothing: many terminals with 24 bits do not answer.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{QueueSelector, tcflush};

use super::caps::{Caps, Ground};

/// Sets a background of 24 bits and asks what is set (DECRQSS `m`), takes it back, and asks for the capabilities `RGB` and `Tc` (XTGETTCAP).
const COLOURS: &[u8] = b"\x1b[48;2;1;2;3m\x1bP$qm\x1b\\\x1b[m\x1bP+q524742\x1b\\\x1bP+q5463\x1b\\";
/// Asks for the background (OSC 11).
const GROUND: &[u8] = b"\x1b]11;?\x1b\\";
/// Asks whether an image of one pixel could be drawn, without drawing it (kitty's graphics protocol, "Querying support").
const IMAGES: &[u8] = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\";
/// Asks for the device attributes (DA1), which every terminal answers: then no more answers come.
const LAST: &[u8] = b"\x1b[c";
/// What answers begin with, after the escape: those to DECRQSS and XTGETTCAP, that to OSC 11, and that of kitty's graphics.
const BEGINNINGS: [&str; 6] = ["P0$r", "P1$r", "P0+r", "P1+r", "]11;", "_Gi="];

/// What to ask of a terminal: only what is not known, and whether it draws images if that matters; empty where all is known.
pub fn question(caps: &Caps, about_images: bool) -> Vec<u8> {
    let parts = [COLOURS, GROUND, IMAGES].into_iter();
    let parts = parts.zip([caps.is_open, caps.ground == Ground::Open, about_images]);
    let asked: Vec<&[u8]> = parts.filter(|(_, open)| *open).map(|(part, _)| part).collect();
    if asked.is_empty() { Vec::new() } else { [asked.concat().as_slice(), LAST].concat() }
}

/// What a terminal told of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// It has 24-bit colour; false also where it did not say so.
    pub has_true_colour: bool,
    /// Whether its background is light.
    pub is_light: Option<bool>,
    /// It draws images; false also where it did not say so.
    pub draws_images: bool,
}

impl Told {
    /// Takes in an answer, from its first character after the escape to its last before the end.
    fn hear(&mut self, answer: &str) {
        if let Some(body) = answer.strip_prefix('P') {
            self.has_true_colour |= says_yes(body);
        } else if let Some(colour) = answer.strip_prefix("]11;") {
            self.is_light = is_light(colour).or(self.is_light);
        } else if answer.starts_with("_Gi=") {
            self.draws_images |= answer.ends_with(";OK");
        }
    }
}

/// How long to wait for answers where nothing can be done meanwhile.
pub fn deadline(is_far: bool) -> Duration {
    Duration::from_millis(if is_far { 1_000 } else { 300 })
}

/// Whether an answer, without the control characters around it, says yes: the background that was set is still the same
/// (`1$r0;48:2::1:2:3m`), or one of the capabilities is there (`1+r524742=382f382f38`).
fn says_yes(answer: &str) -> bool {
    if let Some(names) = answer.strip_prefix("1+r") {
        return names.starts_with("524742") || names.starts_with("5463");
    }
    let Some(set) = answer.strip_prefix("1$r").and_then(|rest| rest.strip_suffix('m')) else { return false };
    let numbers: Vec<&str> = set.split([';', ':']).filter(|n| !n.is_empty()).collect();
    numbers.windows(2).any(|pair| pair == ["48", "2"]) && numbers.ends_with(&["1", "2", "3"])
}

/// Whether a colour as told by OSC 11 is light: `rgb:ffff/ffff/ffff` or `rgba:…`, one to four hexadecimal digits each.
fn is_light(colour: &str) -> Option<bool> {
    let (_, parts) = colour.split_once(':').filter(|(kind, _)| matches!(*kind, "rgb" | "rgba"))?;
    let share = |part: &str| {
        let most = 16_u32.checked_pow(part.len() as u32).filter(|_| (1..=4).contains(&part.len()))? - 1;
        Some(f64::from(u32::from_str_radix(part, 16).ok()?) / f64::from(most))
    };
    let shares: Vec<f64> = parts.split('/').map(share).collect::<Option<_>>()?;
    // How bright the eye finds them (ITU-R BT.601).
    let [r, g, b, ..] = shares[..] else { return None };
    Some(0.299 * r + 0.587 * g + 0.114 * b > 0.5)
}

/// Takes the terminal's answers out of the stream of events.
#[derive(Debug, Default)]
pub struct Answers {
    asked: Option<Instant>,
    /// Events that may belong to an answer, and when the last of them came.
    held: Vec<Event>,
    last: Option<Instant>,
    text: String,
    told: Told,
}

impl Answers {
    /// Keys that only look like the beginning of an answer are handed on after this.
    const HOLD: Duration = Duration::from_millis(50);
    /// The rest of an answer that has begun is awaited for this long.
    const REST: Duration = Duration::from_secs(1);
    /// Answers count for this long: nobody waits for them, and links and machines are slow. After it an escape key is an escape key
    /// at once; a late answer that comes in one piece is still known and dropped.
    pub const WATCH: Duration = Duration::from_secs(5);
    /// No answer is longer.
    const LONGEST: usize = 256;

    /// The question was asked.
    pub fn expect(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    /// What was told in time since the last look.
    pub fn told(&mut self) -> Told {
        std::mem::take(&mut self.told)
    }

    /// Takes an event; what is no part of an answer is handed on, in order.
    pub fn take(&mut self, event: Event, now: Instant) -> Vec<Event> {
        let Some(asked) = self.asked else { return vec![event] };
        // What is pasted, resized or focused meanwhile is no part of it.
        let Event::Key(key) = event else { return vec![event] };
        let begun = !self.held.is_empty();
        let before = self.held.last().and_then(Event::as_key_event);
        let after_escape = before.is_some_and(|key| key.code == KeyCode::Esc);
        let ends = match key.code {
            KeyCode::Char('\\') => begun && (key.modifiers.contains(KeyModifiers::ALT) || after_escape),
            KeyCode::Char('g') => begun && key.modifiers == KeyModifiers::CONTROL,
            _ => false,
        };
        if ends && self.is_answer() {
            if now <= asked + Self::WATCH {
                self.told.hear(&self.text);
            }
            self.forget();
            return Vec::new();
        }
        self.held.push(event);
        self.last = Some(now);
        let was_answer = self.is_answer();
        if self.goes_on(key, begun, after_escape, now <= asked + Self::WATCH) {
            return Vec::new();
        }
        if was_answer {
            // It broke off: what broke it is a key again, what came before never was one.
            let keys = 1 + usize::from(after_escape);
            self.held.drain(..self.held.len() - keys);
        }
        self.release()
    }

    /// When held events are handed on or given up, if nothing more comes.
    pub fn due(&self) -> Option<Instant> {
        let last = self.last.filter(|_| !self.held.is_empty())?;
        Some(last + if self.is_answer() { Self::REST } else { Self::HOLD })
    }

    /// Nothing more came: keys are handed on, the rest of an answer is given up.
    pub fn overdue(&mut self) -> Vec<Event> {
        if self.is_answer() {
            self.forget();
        }
        self.release()
    }

    /// Whether what is held can be nothing but an answer.
    fn is_answer(&self) -> bool {
        BEGINNINGS.iter().any(|beginning| self.text.starts_with(beginning))
    }

    /// Whether the newest of the held events may belong to an answer.
    fn goes_on(&mut self, key: KeyEvent, begun: bool, after_escape: bool, watched: bool) -> bool {
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Esc => (!begun && watched) || self.is_answer(),
            KeyCode::Char(c) if c.is_ascii_graphic() => {
                // The beginning, in one read or in two; the end is alike.
                let first = if begun { self.held.len() == 2 && after_escape } else { alt };
                self.text.push(c);
                let fits = self.is_answer() || BEGINNINGS.iter().any(|b| b.starts_with(&self.text));
                let is_plain = !alt && !after_escape && (key.modifiers - KeyModifiers::SHIFT).is_empty();
                fits && self.text.len() < Self::LONGEST && (first || begun && is_plain)
            }
            _ => false,
        }
    }

    fn forget(&mut self) {
        self.held.clear();
        self.text.clear();
    }

    fn release(&mut self) -> Vec<Event> {
        self.text.clear();
        std::mem::take(&mut self.held)
    }
}

/// Asks on standard input and output and waits, for programs without a screen; what is typed meanwhile is lost. `None` where
/// there is nobody to ask.
pub fn ask(question: &[u8], deadline: Duration) -> io::Result<Option<Told>> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Ok(None);
    }
    crossterm::terminal::enable_raw_mode()?;
    let answers = exchange(question, deadline);
    // An answer that comes later must not be typed into the shell.
    let _ = tcflush(rustix::stdio::stdin(), QueueSelector::IFlush);
    crossterm::terminal::disable_raw_mode()?;
    let mut told = Told::default();
    bodies(&answers?).for_each(|answer| told.hear(answer));
    Ok(Some(told))
}

/// Writes the question and reads until the last answer or the deadline.
fn exchange(question: &[u8], deadline: Duration) -> io::Result<String> {
    let mut out = io::stdout();
    out.write_all(question)?;
    out.flush()?;
    let end = Instant::now() + deadline;
    let mut bytes = Vec::new();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let stdin = rustix::stdio::stdin();
        if left.is_zero() || poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&timeout))? == 0 {
            break;
        }
        let mut part = [0; 512];
        let n = rustix::io::read(stdin, &mut part)?;
        bytes.extend_from_slice(part.get(..n).unwrap_or_default());
        let is_last = |text: &[u8]| text.starts_with(b"\x1b[?") && text.contains(&b'c');
        if n == 0 || bytes.len() > 4_096 || (0..bytes.len()).any(|i| is_last(&bytes[i..])) {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The answers in what was read, each from behind its escape to the escape or BEL that ends it.
fn bodies(read: &str) -> impl Iterator<Item = &str> {
    read.split(['\x1b', '\x07']).filter(|part| BEGINNINGS.iter().any(|beginning| part.starts_with(beginning)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events as crossterm makes them of bytes.
    fn events(bytes: &str) -> Vec<Event> {
        let mut events = Vec::new();
        let mut chars = bytes.chars();
        while let Some(c) = chars.next() {
            let (c, alt) =
                if c == '\x1b' { (chars.next(), KeyModifiers::ALT) } else { (Some(c), KeyModifiers::NONE) };
            events.push(Event::Key(match c {
                Some('\x07') => KeyEvent::new(KeyCode::Char('g'), KeyModifiers::CONTROL),
                Some(c) if c.is_uppercase() => KeyEvent::new(KeyCode::Char(c), KeyModifiers::SHIFT | alt),
                Some(c) => KeyEvent::new(KeyCode::Char(c), alt),
                None => KeyCode::Esc.into(),
            }));
        }
        events
    }

    fn asked(now: Instant) -> Answers {
        let mut answers = Answers::default();
        answers.expect(now);
        answers
    }

    fn through(answers: &mut Answers, list: Vec<Event>, now: Instant) -> Vec<Event> {
        list.into_iter().flat_map(|event| answers.take(event, now)).collect()
    }

    #[test]
    fn yes_is_told_in_each_way_terminals_have() {
        for yes in
            ["1$r0;48:2::1:2:3m", "1$r48:2:0:1:2:3m", "1$r0;48;2;1;2;3m", "1+r524742=382f382f38", "1+r5463"]
        {
            assert!(says_yes(yes), "{yes}");
        }
        for no in ["0$r", "1$r0;48;5;16m", "1$r0m", "0+r524742", "", "1$r"] {
            assert!(!says_yes(no), "{no}");
        }
    }

    #[test]
    fn a_background_is_light_or_dark_however_it_is_told() {
        for (colour, light) in [
            ("rgb:ffff/ffff/ffff", Some(true)),
            ("rgb:fd/f6/e3", Some(true)),
            ("rgb:0/0/0", Some(false)),
            ("rgb:1e1e/1e1e/2e2e", Some(false)),
            ("rgba:ffff/ffff/ffff/8080", Some(true)),
            ("rgb:ffff/ffff", None),
            ("rgb:fffff/0/0", None),
            ("rgb:zz/0/0", None),
            ("red", None),
        ] {
            assert_eq!(is_light(colour), light, "{colour}");
        }
        let now = Instant::now();
        for end in ["\x1b\\", "\x07"] {
            let mut answers = asked(now);
            let list = events(&format!("q\x1b]11;rgb:ffff/ffff/ffff{end}j\x1bP0+r5463{end}k"));
            assert_eq!(through(&mut answers, list, now), events("qjk"));
            assert_eq!(answers.told(), Told { is_light: Some(true), ..Told::default() });
        }
    }

    #[test]
    fn a_terminal_draws_images_if_it_says_so_and_only_then() {
        let now = Instant::now();
        for (answer, yes) in [("OK", true), ("ENOTSUPPORTED:no", false), ("EINVAL:OK?", false)] {
            let mut answers = asked(now);
            let list = events(&format!("q\x1b_Gi=31;{answer}\x1b\\k"));
            assert_eq!(through(&mut answers, list, now), events("qk"), "{answer}");
            assert_eq!(answers.told().draws_images, yes, "{answer}");
        }
        assert!(bodies("\x1b[?62c\x1b_Gi=31;OK\x1b\\").eq(["_Gi=31;OK"]));
    }

    #[test]
    fn only_what_is_not_known_is_asked() {
        let asked = |is_open, is_ground_open| {
            let ground = if is_ground_open { Ground::Open } else { Ground::Light };
            let caps = Caps { is_open, ground, ..Caps::detect(None) };
            assert!(String::from_utf8(question(&caps, true)).unwrap().contains("\x1b_Gi=31,"));
            let text = String::from_utf8(question(&caps, false)).unwrap();
            assert!(!text.contains("\x1b_G"));
            [text.contains("524742"), text.contains("]11;?"), text.ends_with("\x1b[c")]
        };
        assert_eq!(asked(false, false), [false, false, false]);
        assert_eq!(asked(true, false), [true, false, true]);
        assert_eq!(asked(false, true), [false, true, true]);
        assert_eq!(asked(true, true), [true, true, true]);
    }

    #[test]
    fn answers_are_taken_out_and_keys_around_them_stay() {
        let now = Instant::now();
        for end in ["\x1b\\", "\x07"] {
            let mut answers = asked(now);
            let list = events(&format!("q\x1bP1$r0;48:2::1:2:3m{end}j\x1bP0+r524742{end}\x1bP0+r5463{end}k"));
            assert_eq!(through(&mut answers, list, now), events("qjk"));
            assert!(answers.told().has_true_colour);
            assert!(answers.told() == Told::default() && answers.due().is_none(), "once");
        }
    }

    #[test]
    fn a_late_answer_is_no_key_and_changes_nothing() {
        let now = Instant::now();
        let mut answers = asked(now);
        let late = now + Duration::from_secs(20);
        assert_eq!(through(&mut answers, events("a\x1bP1+r5463\x1b\\b"), late), events("ab"));
        assert_eq!(answers.told(), Told::default());
    }

    #[test]
    fn an_answer_cut_after_its_escape_is_known_while_it_is_awaited() {
        let now = Instant::now();
        let mut answers = asked(now);
        let escape = || vec![Event::Key(KeyCode::Esc.into())];
        let cut = [escape(), events("P1+r5463"), escape(), events("\\")].concat();
        assert_eq!(through(&mut answers, cut, now), []);
        assert!(answers.told().has_true_colour);
        // Later an escape is handed on at once.
        assert_eq!(through(&mut answers, escape(), now + Answers::WATCH * 2), escape());
    }

    #[test]
    fn keys_that_look_like_an_answer_are_handed_on() {
        let now = Instant::now();
        let mut answers = asked(now);
        let near_misses =
            ["\x1b]x", "\x1b]12;", "\x1bPq", "\x1bP1q", "\x1bP1$q", "\x1bP\x1bPx", "\x1bP1\x1b\\"];
        for keys in near_misses {
            assert_eq!(through(&mut answers, events(keys), now), events(keys), "{keys:?}");
            assert!(answers.due().is_none());
        }
        assert_eq!(through(&mut answers, events("\x1bP"), now), []);
        assert_eq!(answers.due(), Some(now + Answers::HOLD));
        assert_eq!(answers.overdue(), events("\x1bP"));
        // An answer that stops half way is given up; the keys after it are keys again.
        assert_eq!(through(&mut answers, events("\x1bP1$r0;4"), now), []);
        assert_eq!(answers.due(), Some(now + Answers::REST));
        assert_eq!(answers.overdue(), []);
        assert_eq!(through(&mut answers, events("q"), now), events("q"));
    }

    #[test]
    fn who_did_not_ask_holds_nothing() {
        let mut answers = Answers::default();
        let list = events("\x1bP1+r5463\x1b\\");
        assert_eq!(through(&mut answers, list.clone(), Instant::now()), list);
    }

    #[test]
    fn answers_are_found_in_what_was_read() {
        let read = "x\x1bP1$r0m\x1b\\\x1bP1+r5463\x07\x1b[?62;4c";
        assert_eq!(bodies(read).collect::<Vec<_>>(), ["P1$r0m", "P1+r5463"]);
    }
}
