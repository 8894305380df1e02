//! Asking the terminal itself whether it has 24-bit colour. Its name does not tell (nearly all say xterm) and `COLORTERM` does not
//! travel through ssh.
//!
//! The answers come where keys come from. While the screen runs crossterm reads them and, as it does not know them, hands them on as
//! keys: Alt-P, characters, Alt-\. [`Answers`] takes these out of the stream of events, early or late, so that nobody waits for them and no key is
//! lost. Silence means nothing: many terminals with 24 bits do not answer.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{QueueSelector, tcflush};

/// Sets a background of 24 bits and asks what is set (DECRQSS `m`), takes it back, asks for the capabilities `RGB` and `Tc` (XTGETTCAP), and
/// last for the device attributes (DA1), which every terminal answers: then no more answers come.
pub const QUESTION: &[u8] = b"\x1b[48;2;1;2;3m\x1bP$qm\x1b\\\x1b[m\x1bP+q524742\x1b\\\x1bP+q5463\x1b\\\x1b[c";

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

/// Takes the terminal's answers out of the stream of events.
#[derive(Debug, Default)]
pub struct Answers {
    asked: Option<Instant>,
    /// Events that may belong to an answer, and when the last of them came.
    held: Vec<Event>,
    last: Option<Instant>,
    text: String,
    found: bool,
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

    /// Whether an answer in time said yes; told once.
    pub fn found(&mut self) -> bool {
        std::mem::take(&mut self.found)
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
            self.found |= now <= asked + Self::WATCH && says_yes(&self.text);
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

    /// Whether what is held can be nothing but an answer: digit, `$` or `+`, `r` after the beginning.
    fn is_answer(&self) -> bool {
        let mut chars = self.text.chars();
        matches!((chars.next(), chars.next(), chars.next()), (Some('0' | '1'), Some('$' | '+'), Some('r')))
    }

    /// Whether the newest of the held events may belong to an answer.
    fn goes_on(&mut self, key: KeyEvent, begun: bool, after_escape: bool, watched: bool) -> bool {
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            // The beginning, in one read or in two; and the same of the end.
            KeyCode::Char('P') if !begun => alt,
            KeyCode::Char('P') if self.held.len() == 2 && after_escape => true,
            KeyCode::Esc => (!begun && watched) || self.is_answer(),
            KeyCode::Char(c) if begun && !alt && !after_escape && c.is_ascii_graphic() => {
                self.text.push(c);
                let fits = match self.text.len() {
                    1 => matches!(c, '0' | '1'),
                    2 => matches!(c, '$' | '+'),
                    3 => c == 'r',
                    n => n < Self::LONGEST,
                };
                fits && key.modifiers.difference(KeyModifiers::SHIFT).is_empty()
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
pub fn ask(deadline: Duration) -> io::Result<Option<bool>> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Ok(None);
    }
    crossterm::terminal::enable_raw_mode()?;
    let answers = exchange(deadline);
    // An answer that comes later must not be typed into the shell.
    let _ = tcflush(rustix::stdio::stdin(), QueueSelector::IFlush);
    crossterm::terminal::disable_raw_mode()?;
    Ok(Some(bodies(&answers?).any(says_yes)))
}

/// Writes the question and reads until the last answer or the deadline.
fn exchange(deadline: Duration) -> io::Result<String> {
    let mut out = io::stdout();
    out.write_all(QUESTION)?;
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

/// The answers in what was read: each from `ESC P` to `ESC \` or BEL.
fn bodies(read: &str) -> impl Iterator<Item = &str> {
    read.split("\x1bP").skip(1).filter_map(|rest| rest.split(['\x1b', '\x07']).next())
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
    fn answers_are_taken_out_and_keys_around_them_stay() {
        let now = Instant::now();
        for end in ["\x1b\\", "\x07"] {
            let mut answers = asked(now);
            let list = events(&format!("q\x1bP1$r0;48:2::1:2:3m{end}j\x1bP0+r524742{end}\x1bP0+r5463{end}k"));
            assert_eq!(through(&mut answers, list, now), events("qjk"));
            assert!(answers.found());
            assert!(!answers.found() && answers.due().is_none(), "once");
        }
    }

    #[test]
    fn a_late_answer_is_no_key_and_changes_nothing() {
        let now = Instant::now();
        let mut answers = asked(now);
        let late = now + Duration::from_secs(20);
        assert_eq!(through(&mut answers, events("a\x1bP1+r5463\x1b\\b"), late), events("ab"));
        assert!(!answers.found());
    }

    #[test]
    fn an_answer_cut_after_its_escape_is_known_while_it_is_awaited() {
        let now = Instant::now();
        let mut answers = asked(now);
        let escape = || vec![Event::Key(KeyCode::Esc.into())];
        let cut = [escape(), events("P1+r5463"), escape(), events("\\")].concat();
        assert_eq!(through(&mut answers, cut, now), []);
        assert!(answers.found());
        // Later an escape is handed on at once.
        assert_eq!(through(&mut answers, escape(), now + Answers::WATCH * 2), escape());
    }

    #[test]
    fn keys_that_look_like_an_answer_are_handed_on() {
        let now = Instant::now();
        let mut answers = asked(now);
        let near_misses = ["\x1bPq", "\x1bP1q", "\x1bP1$q", "\x1bP\x1bPx", "\x1bP1\x1b\\"];
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
        assert_eq!(bodies(read).collect::<Vec<_>>(), ["1$r0m", "1+r5463"]);
    }
}
