//! Captures: what sockets and REST calls really delivered, one frame a line (`design.md` §6).
//!
//! ```json
//! {"recv":1718755200125000000,"venue":"binance","conn":"market","json":{"stream":"btcusdt@aggTrade","data":{}}}
//! {"recv":1718755200125000000,"venue":"binance","conn":"backfill","rest":"/fapi/v1/time","json":{"serverTime":1718755200100}}
//! {"recv":1718755200125000000,"venue":"okx","conn":"public","raw":"pong"}
//! {"recv":1718755200125000000,"venue":"binance","conn":"market","event":"open"}
//! ```
//!
//! A frame that is JSON written by machine, as nearly all are, stands as it came in `json`, byte for byte and last in its line: nothing of it
//! has to be escaped, read and copied again. Any other text is a string in `raw`.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use zstd::zstd_safe::CParameter;

use crate::market::{Asset, Interval, Venue};

use super::frame::{Body, POLL, RawFrame};
use super::venue::{self, json};

/// A line as it stands in the file.
#[derive(Deserialize)]
struct Line<'a> {
    recv: i64,
    venue: Venue,
    #[serde(borrow, default)]
    conn: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    rest: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    event: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    raw: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    json: Option<&'a RawValue>,
}

/// Why a line is not a frame.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Not JSON, or a field is missing or wrong.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Neither a frame nor an answer nor an opening or closing.
    #[error("neither `json` nor `raw` nor a known `event`")]
    Empty,
}

/// Reads the lines of a capture.
#[derive(Debug, Default)]
pub struct LineReader {
    /// Who sent the frame of the line before, as it stands there: most lines of a file say the same.
    origin: Option<Origin>,
}

/// What a line says between the time and the frame.
#[derive(Debug)]
struct Origin {
    /// `,"venue":"okx","conn":"public"`.
    text: Box<str>,
    venue: Venue,
    conn: Cow<'static, str>,
}

impl LineReader {
    /// Reads one line. The text of a socket's frame goes in the place of a string that is not needed any more.
    pub fn read(&mut self, line: &str, spare: &mut String) -> Result<RawFrame, CaptureError> {
        self.socket_line(line, spare).map_or_else(|| any_line(line), Ok)
    }

    /// Reads the line of a socket's frame as [`write_line`] writes it: nearly all lines are such. `None` is left to `serde_json`, right or wrong.
    fn socket_line(&mut self, line: &str, spare: &mut String) -> Option<RawFrame> {
        let line = line.strip_prefix(r#"{"recv":"#)?;
        let (recv, rest) = line.split_at_checked(memchr::memchr(b',', line.as_bytes())?)?;
        if self.origin.as_ref().is_none_or(|origin| !rest.starts_with(&*origin.text)) {
            self.origin = Some(Origin::read(rest)?);
        }
        let Origin { text: origin, venue, conn } = self.origin.as_ref()?;
        let rest = rest.get(origin.len()..)?;
        let mut text = std::mem::take(spare);
        if let Some(json) = rest.strip_prefix(r#","json":"#) {
            let json = json.strip_suffix('}').filter(|json| json.ends_with(['}', ']']))?;
            text.clear();
            text.push_str(json);
        } else {
            text = unescaped(rest.strip_prefix(r#","raw":""#)?.strip_suffix(r#""}"#)?, text)?;
        }
        // Rust reads numbers that are none to JSON, such as `+1` and `01`.
        let recv = recv.parse().ok().filter(|_| recv.starts_with(|first| matches!(first, '1'..='9')))?;
        Some(RawFrame { recv, venue: *venue, conn: conn.clone(), body: Body::Ws(text) })
    }
}

impl Origin {
    fn read(text: &str) -> Option<Self> {
        let (venue, rest) = json::lead(text, r#","venue":""#)?;
        let (conn, rest) = json::lead(rest, r#","conn":""#)?;
        let usual = CONNS.into_iter().find(|name| *name == conn);
        let conn = usual.map_or_else(|| Cow::Owned(conn.into()), Cow::Borrowed);
        Some(Self { text: text.get(..text.len() - rest.len())?.into(), venue: venue.parse().ok()?, conn })
    }
}

fn any_line(line: &str) -> Result<RawFrame, CaptureError> {
    let line: Line<'_> = serde_json::from_str(line)?;
    let text = match (line.json, line.raw) {
        (Some(json), None) => Some(json.get().to_owned()),
        (None, raw) => raw.map(Cow::into_owned),
        (Some(_), Some(_)) => return Err(CaptureError::Empty),
    };
    let body = match (line.event.as_deref(), line.rest, text) {
        (Some("open"), None, None) => Body::Open,
        (Some("close"), None, None) => Body::Close,
        (None, Some(path), Some(text)) => Body::Rest { path: path.into_owned(), text },
        (None, None, Some(text)) => Body::Ws(text),
        _ => return Err(CaptureError::Empty),
    };
    // `design.md` §6 shows answers without a connection.
    let conn = line.conn.map_or(Cow::Borrowed(POLL), |c| Cow::Owned(c.into_owned()));
    Ok(RawFrame { recv: line.recv, venue: line.venue, conn, body })
}

/// Whether a line looks like one of a capture rather than an event of ours.
pub fn is_line(line: &str) -> bool {
    ["\"json\"", "\"raw\"", "\"event\""].iter().any(|key| line.contains(key))
}

/// Whether a line holds its frame as a string, and so with escapes.
pub fn is_escaped(line: &str) -> bool {
    line.contains(r#""raw":""#)
}

/// The names most connections have: those need no copy.
const CONNS: [&str; 3] = ["market", "public", "business"];

/// What a JSON string says in which only quotes and backslashes are escaped, as they are in a frame that is JSON itself; in place of `spare`.
fn unescaped(string: &str, spare: String) -> Option<String> {
    const EIGHT: usize = 8;
    let mut text = spare.into_bytes();
    // Eight bytes are copied at once, and those that are not plain written over.
    text.resize(string.len() + EIGHT, 0);
    let (mut from, mut to) = (string.as_bytes(), 0);
    while let Some(eight) = from.first_chunk::<EIGHT>() {
        text.get_mut(to..to + EIGHT)?.copy_from_slice(eight);
        let plain = json::plain_len(*eight);
        (from, to) = match &from[plain..] {
            after if plain == EIGHT => (after, to + plain),
            [b'\\', escaped @ (b'"' | b'\\'), after @ ..] => {
                *text.get_mut(to + plain)? = *escaped;
                (after, to + plain + 1)
            }
            _ => return None,
        };
    }
    while let [first, after @ ..] = from {
        let (byte, after) = match (first, after) {
            (b'\\', [escaped @ (b'"' | b'\\'), after @ ..]) => (*escaped, after),
            (b'"' | b'\\' | ..b' ', _) => return None,
            (plain, after) => (*plain, after),
        };
        *text.get_mut(to)? = byte;
        (from, to) = (after, to + 1);
    }
    text.truncate(to);
    String::from_utf8(text).ok()
}

/// Writes one line.
pub fn write_line(out: &mut impl Write, frame: &RawFrame) -> io::Result<()> {
    write!(out, r#"{{"recv":{},"venue":"{}","conn":"#, frame.recv, frame.venue)?;
    serde_json::to_writer(&mut *out, &frame.conn)?;
    match &frame.body {
        Body::Open => out.write_all(br#","event":"open""#)?,
        Body::Close => out.write_all(br#","event":"close""#)?,
        Body::Ws(text) => write_text(out, text)?,
        Body::Rest { path, text } => {
            out.write_all(br#","rest":"#)?;
            serde_json::to_writer(&mut *out, path)?;
            write_text(out, text)?;
        }
    }
    out.write_all(b"}\n")
}

fn write_text(out: &mut impl Write, text: &str) -> io::Result<()> {
    if text.starts_with(['{', '[']) && json::plain::<IgnoredAny>(text).is_some() {
        out.write_all(br#","json":"#)?;
        return out.write_all(text.as_bytes());
    }
    out.write_all(br#","raw":"#)?;
    serde_json::to_writer(out, text).map_err(Into::into)
}

/// Where a capture goes.
enum Target {
    /// One file for everything.
    File(PathBuf),
    /// Two files an hour and venue: `binance-btc-20261122T10.ndjson.zst`, and `binance-btc-books-20261122T10.ndjson.zst` for what only order books are
    /// built of. That is four fifths of all, and levels are computed without it.
    Directory(PathBuf, Asset),
}

/// What stands in the name of a segment of books.
const BOOKS: &str = "books";

/// Whether a file is named as a segment that holds nothing but books.
pub fn holds_books(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    name.split('-').nth(2) == Some(BOOKS)
}

/// An open file of a capture.
struct Segment {
    venue: Option<Venue>,
    books: bool,
    hour: i64,
    path: PathBuf,
    sink: Sink,
}

enum Sink {
    Plain(BufWriter<File>),
    // A frame is flushed to the disk at each `flush`, so that a crash costs at most a second.
    Zstd(Box<zstd::Encoder<'static, BufWriter<File>>>),
}

impl Sink {
    fn create(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        // What somebody trades is nobody else's business.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = BufWriter::new(options.open(path)?);
        Ok(match path.extension().and_then(|e| e.to_str()) {
            Some("zst") => Self::Zstd(Box::new(packer(file)?)),
            _ => Self::Plain(file),
        })
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Plain(w) => w,
            Self::Zstd(w) => w,
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(mut w) => w.flush(),
            Self::Zstd(w) => w.finish()?.flush(),
        }
    }
}

/// Frames repeat what was said just before: a window of 32 kB makes files a tenth larger than one of 512 kB, and a packer takes 0.3 MB rather than 1.9.
/// Every venue of every asset has one or two packers.
const WINDOW_LOG: u32 = 15;

/// Packs what is written. Level 6 takes about three times the work of level 3, once, for a file that is a tenth smaller and is unpacked somewhat faster.
fn packer<W: Write>(out: W) -> io::Result<zstd::Encoder<'static, W>> {
    let mut packer = zstd::Encoder::new(out, 6)?;
    for small in [CParameter::WindowLog(WINDOW_LOG), CParameter::HashLog(14), CParameter::ChainLog(14)] {
        packer.set_parameter(small)?;
    }
    Ok(packer)
}

/// Writes frames to disk as they are consumed. Existing files are never touched.
pub struct Capture {
    target: Target,
    open: Vec<Segment>,
    line: Vec<u8>,
}

impl Capture {
    /// Everything into one new file, compressed if its name ends in `.zst`.
    pub fn file(path: &Path) -> anyhow::Result<Self> {
        let sink = Sink::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        let open = vec![Segment { venue: None, books: false, hour: 0, path: path.into(), sink }];
        Ok(Self { target: Target::File(path.into()), open, line: Vec::new() })
    }

    /// Hourly compressed files in a directory, which is made if need be.
    pub fn directory(path: &Path, asset: Asset) -> anyhow::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path).with_context(|| format!("cannot make directory {}", path.display()))?;
        Ok(Self { target: Target::Directory(path.into(), asset), open: Vec::new(), line: Vec::new() })
    }

    /// Adds one frame.
    pub fn write(&mut self, frame: &RawFrame) -> io::Result<()> {
        self.line.clear();
        write_line(&mut self.line, frame)?;
        let at = self.segment(frame)?;
        self.open[at].sink.writer().write_all(&self.line)
    }

    /// Brings what was written so far to the disk.
    pub fn flush(&mut self) -> io::Result<()> {
        self.open.iter_mut().try_for_each(|s| s.sink.writer().flush())
    }

    /// Whether it goes into segments, so that it can go on in new ones after trouble.
    pub fn is_in_segments(&self) -> bool {
        matches!(self.target, Target::Directory(..))
    }

    /// Leaves its files as they are on the disk, without a proper end; those into which nothing came are removed. Segments begin anew with the next frame.
    pub fn break_off(&mut self) {
        for Segment { path, sink, .. } in self.open.drain(..) {
            drop(sink);
            if std::fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() == 0)
                && let Err(e) = std::fs::remove_file(&path)
            {
                tracing::warn!("{} is empty and cannot be removed: {e}", path.display());
            }
        }
    }

    /// Ends the files properly.
    pub fn finish(mut self) -> io::Result<()> {
        self.open.drain(..).try_for_each(|s| s.sink.finish())
    }

    /// The index of the open segment that takes the frame; begins a new one when the hour has passed.
    fn segment(&mut self, frame: &RawFrame) -> io::Result<usize> {
        let Target::Directory(directory, asset) = &self.target else { return Ok(0) };
        let hour = frame.recv.div_euclid(Interval::H1.ms() * 1_000_000);
        let line = std::str::from_utf8(&self.line).unwrap_or_default();
        let books = venue::book_line(line).is_some_and(|book| book.only_book);
        let at = self.open.iter().position(|s| s.venue == Some(frame.venue) && s.books == books);
        // Never back: an answer may have been received a moment before the frame that went ahead of it.
        if let Some(at) = at.filter(|&at| self.open[at].hour >= hour) {
            return Ok(at);
        }
        let kind = if books { format!("{BOOKS}-") } else { String::new() };
        let (path, sink) = new_segment(
            directory,
            &format!("{}-{}-{kind}", frame.venue, asset.as_str().to_lowercase()),
            hour,
        )?;
        let segment = Segment { venue: Some(frame.venue), books, hour, path, sink };
        if let Some(at) = at {
            std::mem::replace(&mut self.open[at], segment).sink.finish()?;
            return Ok(at);
        }
        self.open.push(segment);
        Ok(self.open.len() - 1)
    }

    /// Where the capture goes.
    pub fn path(&self) -> &Path {
        match &self.target {
            Target::File(path) | Target::Directory(path, _) => path,
        }
    }
}

/// Creates the file of an hour; a second run in the same hour gets a file of its own, as appending behind a cut-off
/// compressed frame would make both unreadable.
fn new_segment(directory: &Path, of: &str, hour: i64) -> io::Result<(PathBuf, Sink)> {
    let start = jiff::Timestamp::from_second(hour * 3_600).map_err(io::Error::other)?;
    let stem = format!("{of}{}", start.strftime("%Y%m%dT%H"));
    for run in 1..1_000 {
        let name = if run == 1 { format!("{stem}.ndjson.zst") } else { format!("{stem}-{run}.ndjson.zst") };
        let path = directory.join(name);
        match Sink::create(&path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            done => return done.map(|sink| (path, sink)),
        }
    }
    Err(io::Error::other("too many captures of one hour"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn parse_line(line: &str) -> Result<RawFrame, CaptureError> {
        LineReader::default().read(line, &mut String::new())
    }

    fn socket_line(line: &str, mut spare: String) -> Option<RawFrame> {
        LineReader::default().socket_line(line, &mut spare)
    }

    fn frame(recv: i64, body: Body) -> RawFrame {
        RawFrame { recv, venue: "binance".parse().unwrap(), conn: "market".into(), body }
    }

    #[test]
    fn every_body_is_read_back_as_written() {
        let bodies = [
            Body::Ws("{\"e\":\"x\\n\"}\u{1f600}\u{1}".into()),
            Body::Rest { path: "/fapi/v1/time?a=%20".into(), text: String::new() },
            Body::Open,
            Body::Close,
        ];
        for body in bodies {
            let mut line = Vec::new();
            let frame = frame(5, body);
            write_line(&mut line, &frame).unwrap();
            assert_eq!(line.iter().position(|&b| b == b'\n'), Some(line.len() - 1));
            assert_eq!(parse_line(std::str::from_utf8(&line).unwrap()).unwrap(), frame);
        }
    }

    #[test]
    fn the_documented_lines_are_read() {
        let ws = parse_line(r#"{"recv":1,"venue":"binance","conn":"market","raw":"{}"}"#).unwrap();
        assert_eq!(ws.body, Body::Ws("{}".into()));
        for text in [r#""json":[]"#, r#""raw":"[]""#] {
            let rest = format!(r#"{{"recv":1,"venue":"binance","rest":"/x?y=1",{text}}}"#);
            let rest = parse_line(&rest).unwrap();
            assert_eq!(rest.body, Body::Rest { path: "/x?y=1".into(), text: "[]".into() });
        }
        assert!(parse_line(r#"{"recv":1,"venue":"binance","conn":"market"}"#).is_err());
        assert!(parse_line(r#"{"recv":1,"venue":"binance","conn":"market","json":{},"raw":"{}"}"#).is_err());
        assert!(parse_line(r#"{"recv":1,"venue":"binance","conn":"market","event":"paused"}"#).is_err());
    }

    #[test]
    fn a_frame_written_by_machine_stands_as_it_came_and_any_other_as_a_string() {
        let line = |text: &str| {
            let (mut line, frame) = (Vec::new(), frame(17, Body::Ws(text.into())));
            write_line(&mut line, &frame).unwrap();
            let line = String::from_utf8(line).unwrap();
            assert_eq!(parse_line(line.trim_end()).unwrap(), frame);
            // However its fields are ordered.
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(value["recv"], 17);
            line
        };
        for text in [r#"{"e":"x","p":["1.50",-2,3.25,null],"m":{}}"#, "[]", r#"[{"a":"é"}]"#] {
            let stands = format!(r#"{{"recv":17,"venue":"binance","conn":"market","json":{text}}}"#);
            assert_eq!(line(text), stands + "\n");
        }
        for text in
            ["pong", "", "5", "[3e9]", "{}{}", "{\"a\": 1}", "{\"a\":\n1}", "{\"a\":\"\\n\"}", "{\"a\":1"]
        {
            assert!(line(text).contains(r#","raw":""#), "{text}");
        }
        let other = r#"{"conn":"market","json":{"a":1},"recv":17,"venue":"binance"}"#;
        assert_eq!(parse_line(other).unwrap(), frame(17, Body::Ws(r#"{"a":1}"#.into())));
        for broken in
            [r#","json":{"a":1"#, r#","json":{"a":1}"#, r#","json":5}"#, r#","json":{"a":1},"b":2}"#]
        {
            let broken = format!(r#"{{"recv":17,"venue":"binance","conn":"market"{broken}"#);
            assert!(socket_line(&broken, String::new()).is_none(), "{broken}");
        }
    }

    #[test]
    fn a_usual_line_is_read_as_serde_reads_it() {
        let with = |raw: &str| format!(r#"{{"recv":17,"venue":"okx","conn":"public","raw":"{raw}"}}"#);
        let says = |raw: &str| match socket_line(&with(raw), String::from("a text of before"))
            .map(|frame| frame.body)
        {
            Some(Body::Ws(text)) => Some(text),
            _ => None,
        };
        // Escapes at every place of the eight bytes that are looked at together, and in the last few.
        for length in 0..20 {
            let plain = "abcdefghijklmnopqrstuvwxyz".split_at(length).0;
            for (raw, text) in [
                (r#"\""#, "\""),
                (r"\\", "\\"),
                (r#"\"\\\"x"#, "\"\\\"x"),
                ("\u{e9}\u{1f600}", "\u{e9}\u{1f600}"),
            ] {
                let raw = format!("{plain}{raw}{plain}");
                assert_eq!(says(&raw), Some(format!("{plain}{text}{plain}")), "{raw}");
                let line = with(&raw);
                let by_serde: Line<'_> = serde_json::from_str(&line).unwrap();
                assert_eq!(says(&raw).as_deref(), by_serde.raw.as_deref());
            }
            for odd in [r"\n", r"\u0041", "\"", "\t", r#"","x":""#] {
                assert_eq!(says(&format!("{plain}{odd}{plain}")), None, "{odd}");
            }
            assert_eq!(says(&format!("{plain}\\")), None);
        }
        for odd in ["+17", "017", "-17", "1.7", "", "99999999999999999999"] {
            assert_eq!(socket_line(&with("x").replace("17", odd), String::new()), None, "{odd}");
        }
        assert_eq!(socket_line(&with("x").replace("okx", "OKX"), String::new()), None);
        assert!(parse_line(&with("a\"b")).is_err());
    }

    #[test]
    fn lines_of_several_senders_in_one_file_are_told_apart() {
        let mut reader = LineReader::default();
        let senders =
            [("okx", "public"), ("okx", "public2"), ("okx", "public"), ("bybit", "public"), ("okx", "poll")];
        for (n, (venue, conn)) in senders.into_iter().cycle().take(20).enumerate() {
            let form = ["json", "raw"][n % 2];
            let text = ["{}", "\"pong\""][n % 2];
            let line = format!(r#"{{"recv":{},"venue":"{venue}","conn":"{conn}","{form}":{text}}}"#, n + 1);
            let frame = reader.read(&line, &mut String::new()).unwrap();
            assert_eq!((frame.venue.as_str(), &*frame.conn, frame.recv), (venue, conn, n as i64 + 1));
        }
    }

    #[test]
    fn a_directory_gets_two_files_an_hour_and_never_an_old_file() {
        const HOUR: i64 = 3_600_000_000_000;
        let book = Body::Ws(r#"{"e":"depthUpdate","b":[],"a":[]}"#.into());
        let dir = tempfile::tempdir().unwrap();
        let asset = "BTC".parse().unwrap();
        // 2026-11-22T10:00Z
        let start = 1_795_341_600_000_000_000;
        for _ in 0..2 {
            let mut capture = Capture::directory(dir.path(), asset).unwrap();
            for hour in 0..2 {
                capture.write(&frame(start + hour * HOUR, Body::Open)).unwrap();
                capture.write(&frame(start + hour * HOUR - 1, Body::Close)).unwrap();
            }
            capture.write(&frame(start + HOUR, book.clone())).unwrap();
            // Books that other things are dated by stay with these.
            let clock = Body::Ws(r#"{"channel":"l2Book","data":{"levels":[[],[]]}}"#.into());
            let clock = RawFrame { venue: "hyperliquid".parse().unwrap(), ..frame(start, clock) };
            capture.write(&clock).unwrap();
            capture.finish().unwrap();
        }
        let mut names: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "binance-btc-20261122T10-2.ndjson.zst",
                "binance-btc-20261122T10.ndjson.zst",
                "binance-btc-20261122T11-2.ndjson.zst",
                "binance-btc-20261122T11.ndjson.zst",
                "binance-btc-books-20261122T11-2.ndjson.zst",
                "binance-btc-books-20261122T11.ndjson.zst",
                "hyperliquid-btc-20261122T10-2.ndjson.zst",
                "hyperliquid-btc-20261122T10.ndjson.zst"
            ]
        );
        let of_books: Vec<bool> = names.iter().map(|name| holds_books(&dir.path().join(name))).collect();
        assert_eq!(of_books, [false, false, false, false, true, true, false, false]);
        assert!(!holds_books(Path::new("my-books-of.ndjson")));
    }

    #[test]
    fn a_capture_that_was_broken_off_leaves_what_was_written_and_goes_on_in_new_files() {
        let dir = tempfile::tempdir().unwrap();
        let mut capture = Capture::directory(dir.path(), "BTC".parse().unwrap()).unwrap();
        let of = |venue: &str| RawFrame { venue: venue.parse().unwrap(), ..frame(0, Body::Open) };
        capture.write(&of("okx")).unwrap();
        capture.flush().unwrap();
        // Nothing of it has left the packer.
        capture.write(&of("bybit")).unwrap();
        let flushed = std::fs::metadata(dir.path().join("okx-btc-19700101T00.ndjson.zst")).unwrap().len();
        assert!(flushed > 0);
        std::fs::File::create(dir.path().join("mine")).unwrap();
        capture.break_off();
        capture.write(&of("okx")).unwrap();
        capture.finish().unwrap();
        let mut names: Vec<_> =
            std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["mine", "okx-btc-19700101T00-2.ndjson.zst", "okx-btc-19700101T00.ndjson.zst"]);
    }

    #[test]
    fn a_packed_capture_is_read_with_a_small_window() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ndjson.zst");
        let mut capture = Capture::file(&path).unwrap();
        // More than two windows.
        for n in 0..60_000 {
            capture.write(&frame(n, Body::Ws(format!("frame {n}")))).unwrap();
        }
        capture.finish().unwrap();
        // A larger window would be refused.
        let mut decoder = zstd::Decoder::new(File::open(&path).unwrap()).unwrap();
        decoder.window_log_max(WINDOW_LOG).unwrap();
        let mut text = String::new();
        decoder.read_to_string(&mut text).unwrap();
        assert!(text.len() > 2 << WINDOW_LOG, "{}", text.len());
        assert_eq!(text.lines().count(), 60_000);
    }

    #[test]
    fn what_was_flushed_is_readable_without_a_proper_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ndjson.zst");
        let mut capture = Capture::file(&path).unwrap();
        capture.write(&frame(1, Body::Ws("one".into()))).unwrap();
        capture.flush().unwrap();
        capture.write(&frame(2, Body::Ws("two".into()))).unwrap();
        // As after a crash: the file is read while the writer has not ended it.
        let mut text = Vec::new();
        let mut decoder = zstd::Decoder::new(File::open(&path).unwrap()).unwrap();
        let _ = decoder.read_to_end(&mut text);
        assert!(String::from_utf8(text).unwrap().contains("one"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        capture.finish().unwrap();
        assert!(Capture::file(&path).is_err(), "an existing file is never touched");
    }
}
