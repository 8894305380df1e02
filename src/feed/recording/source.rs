//! One file of a recording: its lines, and how far it has been read.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use memchr::memmem;

use crate::feed::capture::{self, LineReader};
use crate::feed::frame::RawFrame;
use crate::feed::venue;
use crate::market::MarketEvent;
use crate::market::ndjson::{self, LineError, Lines, Place};

use super::RecordingTally;

/// Books in lines of so many bytes are not worth a look for their levels.
const SHORT: usize = 512;

/// The files that are meant: of folders, what a capture may be made of, by name.
pub fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        let entries = std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
        for entry in entries {
            let file = entry.with_context(|| format!("cannot read {}", path.display()))?.path();
            let name = file.file_name().map(OsStr::to_string_lossy).unwrap_or_default().into_owned();
            if [".ndjson", ".ndjson.zst", ".ndjson.gz"].iter().any(|end| name.ends_with(end)) {
                files.push(file);
            }
        }
        files[before..].sort();
        if files.len() == before {
            bail!(
                "no recording in {}: its name would end in .ndjson, .ndjson.zst or .ndjson.gz",
                path.display()
            );
        }
    }
    Ok(files)
}

/// What became of a look at the next line.
pub enum Next {
    Event(MarketEvent),
    Frame(RawFrame),
    Skipped,
    End,
}

/// A file, opened when it is read.
pub struct Source {
    path: PathBuf,
    lines: Option<Lines>,
    /// Where the next line begins; for the time when it is not open.
    place: Place,
    /// Bytes on the disk, and how many of them have been read.
    pub size: u64,
    taken: Arc<AtomicU64>,
    /// It is open, but not where it was left.
    on_the_way: bool,
    /// The levels of books are left out.
    thins: bool,
    thinned: String,
    reader: LineReader,
    /// Receive time of its first frame, UTC ns; very small where there is none.
    pub begins: i64,
    /// A frame that was read and waits for those of other files.
    pub head: Option<RawFrame>,
}

impl Source {
    /// A file that is not opened yet.
    pub fn new(path: PathBuf) -> Self {
        let size = std::fs::metadata(&path).map_or(0, |m| if m.is_file() { m.len() } else { 0 });
        Self {
            path,
            lines: None,
            place: Place::default(),
            size,
            taken: Arc::default(),
            on_the_way: false,
            thins: false,
            thinned: String::new(),
            reader: LineReader::default(),
            begins: i64::MIN,
            head: None,
        }
    }

    /// It as it stands here, closed.
    pub fn bookmark(&self) -> Self {
        Self {
            path: self.path.clone(),
            lines: None,
            place: self.lines.as_ref().map_or(self.place, Lines::place),
            taken: Arc::new(AtomicU64::new(self.taken())),
            head: self.head.clone(),
            thinned: String::new(),
            reader: LineReader::default(),
            ..*self
        }
    }

    /// Bytes that have been read, as they lie on the disk.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed).min(self.size)
    }

    /// Whether the place at which it was left has not been reached again.
    pub fn is_on_the_way(&self) -> bool {
        self.on_the_way
    }

    /// Levels of books are left out from now on.
    pub fn thin(&mut self) {
        self.thins = true;
    }

    /// Whether its name says that it holds nothing but books.
    pub fn holds_books(&self) -> bool {
        capture::holds_books(&self.path)
    }

    /// Whether it is standard input.
    pub fn is_pipe(&self) -> bool {
        self.path == Path::new("-")
    }

    /// Opens it where it was left.
    pub fn open(&mut self) -> anyhow::Result<()> {
        if self.lines.is_some() {
            return Ok(());
        }
        let is_pipe = self.is_pipe();
        if is_pipe && self.place != Place::default() {
            bail!("standard input cannot be read twice");
        }
        let text = if is_pipe {
            ndjson::open(&self.path)?
        } else {
            let file =
                File::open(&self.path).with_context(|| format!("cannot open {}", self.path.display()))?;
            self.taken = Arc::default();
            // Small steps, so that of a small file it can be told as well how far it has been read.
            let step = usize::try_from(self.size / 256).unwrap_or(usize::MAX).clamp(1 << 9, 1 << 17);
            ndjson::unpacked(&self.path, Counted { file, taken: Arc::clone(&self.taken), step })?
        };
        self.lines = Some(Lines::from(text, self.place));
        self.on_the_way = self.place.bytes > 0;
        Ok(())
    }

    /// Closes it; it begins anew.
    pub fn close(&mut self) {
        (self.lines, self.taken) = (None, Arc::default());
    }

    /// Looks up when its first frame was received; where none can be found it begins before all others, and is complained of in its turn.
    pub fn find_begin(&mut self) {
        if self.is_pipe() {
            return;
        }
        let mut look = Self::new(self.path.clone());
        let mut unheard = RecordingTally::default();
        self.begins = loop {
            match look.next(Some(true), &mut unheard, &mut String::new()) {
                Ok(Next::Frame(frame)) => break frame.recv,
                Ok(Next::Skipped | Next::Event(_)) => {}
                Ok(Next::End) | Err(_) => break i64::MIN,
            }
        };
    }

    /// The next line as a frame of a capture or as an event; without an answer to which of them, as what it looks like. A frame's text takes the
    /// place of `spare`.
    pub fn next(
        &mut self,
        capture: Option<bool>,
        tally: &mut RecordingTally,
        spare: &mut String,
    ) -> anyhow::Result<Next> {
        self.open()?;
        let Some(lines) = &mut self.lines else { return Ok(Next::End) };
        let name = || self.path.display().to_string();
        let read = if self.on_the_way {
            match lines.skip() {
                Ok(is_there) => {
                    self.on_the_way = !is_there;
                    return Ok(Next::Skipped);
                }
                Err(e) => Err(e),
            }
        } else {
            lines.next_line()
        };
        let (number, line) = match read {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(Next::End),
            // A cut-off archive keeps what was read before the cut.
            Err(e) if tally.lines > 0 => {
                tally.truncated += 1;
                tally.note(format!("{}: ends in the middle ({e}); what came before is kept", name()));
                return Ok(Next::End);
            }
            Err(e) => return Err(e).with_context(|| format!("cannot read {}", name())),
        };
        tally.lines += 1;
        let line = match line {
            Ok(line) => line,
            Err(why) => {
                tally.complain(&name(), number, &why);
                return Ok(Next::Skipped);
            }
        };
        let capture = capture.unwrap_or_else(|| capture::is_line(line));
        let read = if capture {
            let book = if self.thins && line.len() > SHORT { venue::book_line(line) } else { None };
            let line = match book {
                Some(book) if thin(line, book.sides, &mut self.thinned) => &self.thinned,
                _ => line,
            };
            self.reader.read(line, spare).map(Next::Frame).map_err(|e| Some(e.to_string()))
        } else {
            ndjson::parse_line(line).map(Next::Event).map_err(|e| match e {
                LineError::UnknownType(_) => None,
                e => Some(e.to_string()),
            })
        };
        Ok(match read {
            Ok(next) => {
                tally.usable += 1;
                next
            }
            Err(None) => {
                tally.unknown += 1;
                Next::Skipped
            }
            Err(Some(why)) => {
                tally.complain(&name(), number, &why);
                Next::Skipped
            }
        })
    }
}

/// Empties the sides of a book, `{"b":[["1","2"]],"a":[["3","4"]],"u":5}` becomes `{"b":[],"a":[],"u":5}`, if there is something in them. All
/// between the first and the last level goes unread: most of a capture is that.
fn thin(line: &str, sides: [&str; 2], out: &mut String) -> bool {
    let bytes = line.as_bytes();
    let first = memchr::memchr_iter(b'[', bytes).find(|at| bytes.get(at + 1) == Some(&b'['));
    let last = memchr::memrchr_iter(b']', bytes).find(|at| *at > 0 && bytes.get(at - 1) == Some(&b']'));
    let (Some(first), Some(last)) = (first, last) else { return false };
    if last < first {
        return false;
    }
    let (Some(before), Some(after)) = (line.get(..=first), line.get(last..)) else { return false };
    let is_escaped = capture::is_escaped(line);
    out.clear();
    out.push_str(before);
    for side in sides {
        let side = if is_escaped { Cow::Owned(side.replace('"', r#"\""#)) } else { Cow::Borrowed(side) };
        let key = side.trim_start_matches("],");
        let stands_in = |part: &str| memmem::find(part.as_bytes(), key.as_bytes()).is_some();
        if !stands_in(before) && !stands_in(after) {
            out.push_str(&side);
        }
    }
    out.push_str(after);
    true
}

/// A file whose bytes are counted as they are read.
struct Counted {
    file: File,
    taken: Arc<AtomicU64>,
    step: usize,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let step = self.step.min(buffer.len());
        let read = self.file.read(&mut buffer[..step])?;
        self.taken.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_levels_are_taken_out() {
        const SIDES: [&str; 2] = [r#"],"b":["#, r#"],"a":["#];
        let thinned = |line: &str| {
            let mut out = String::from("before");
            thin(line, SIDES, &mut out).then_some(out)
        };
        let both = r#"{"b":[["1","2"],["3","4"]],"a":[["1","2"]],"u":5}"#;
        assert_eq!(thinned(both).unwrap(), r#"{"b":[],"a":[],"u":5}"#);
        assert_eq!(thinned(r#"{"b":[],"a":[["1","2"]],"u":[5]}"#).unwrap(), r#"{"b":[],"a":[],"u":[5]}"#);
        assert_eq!(thinned(r#"{"b":[["1","2"],["1","2"]],"a":[]}"#).unwrap(), r#"{"b":[],"a":[]}"#);
        assert_eq!(thinned(r#"{"b":[],"a":[],"u":[5]}"#), None);
        assert_eq!(thinned(r#"]] {"b":[["1","2"#), None);
        let unnamed = |line: &str| {
            let mut out = String::new();
            thin(line, ["[],[]", ""], &mut out).then_some(out)
        };
        for levels in
            [r#"[[{"n":1},{"n":2}],[{"n":3}]]"#, r#"[[],[{"n":3}]]"#, r#"[[{"n":1}],[]]"#, "[[],[]]"]
        {
            let line = format!(r#"{{"levels":{levels},"time":5}}"#);
            assert_eq!(unnamed(&line).unwrap(), r#"{"levels":[[],[]],"time":5}"#);
        }
        let escaped = r#"{"recv":1,"venue":"okx","conn":"public","raw":"{\"data\":[{\"asks\":[[\"1\"]],\"bids\":[[\"2\"]]}]}"}"#;
        let sides = [r#"],"asks":["#, r#"],"bids":["#];
        let mut out = String::new();
        assert!(thin(escaped, sides, &mut out));
        assert_eq!(out, escaped.replace(r#"[\"1\"]"#, "").replace(r#"[\"2\"]"#, ""));
        let book = r#"{"recv":1,"venue":"okx","conn":"public","json":{"arg":{"channel":"books","instId":"#;
        let escaped =
            book.replace(r#""json":{"arg":{"channel":"books""#, r#""raw":"{\"arg\":{\"channel\":\"books\""#);
        for book in [book, &escaped] {
            assert_eq!(venue::book_line(book).unwrap().sides, sides);
            assert!(venue::book_line(&book.replace("books", "trades")).is_none());
        }
    }
}
