//! Captures: what sockets and REST calls really delivered, one frame a line (`design.md` §6).
//!
//! ```json
//! {"recv":1718755200125000000,"venue":"binance","conn":"market","raw":"<the frame's text>"}
//! {"recv":1718755200125000000,"venue":"binance","conn":"backfill","rest":"/fapi/v1/time","raw":"<the answer>"}
//! {"recv":1718755200125000000,"venue":"binance","conn":"market","event":"open"}
//! ```

use std::borrow::Cow;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::market::{Asset, Interval, Venue};

use super::frame::{Body, POLL, RawFrame};
use super::venue::json;

/// A line as it stands in the file.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    recv: i64,
    venue: Venue,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    conn: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    rest: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    event: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    raw: Option<Cow<'a, str>>,
}

/// Why a line is not a frame.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Not JSON, or a field is missing or wrong.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Neither a frame nor an answer nor an opening or closing.
    #[error("neither `raw` nor a known `event`")]
    Empty,
}

/// Reads one line.
pub fn parse_line(line: &str) -> Result<RawFrame, CaptureError> {
    if let Some(frame) = socket_line(line) {
        return Ok(frame);
    }
    let line: Line<'_> = serde_json::from_str(line)?;
    let body = match (line.event.as_deref(), line.rest, line.raw) {
        (Some("open"), None, None) => Body::Open,
        (Some("close"), None, None) => Body::Close,
        (None, Some(path), Some(text)) => Body::Rest { path: path.into_owned(), text: text.into_owned() },
        (None, None, Some(text)) => Body::Ws(text.into_owned()),
        _ => return Err(CaptureError::Empty),
    };
    // `design.md` §6 shows answers without a connection.
    let conn = line.conn.map_or(Cow::Borrowed(POLL), |c| Cow::Owned(c.into_owned()));
    Ok(RawFrame { recv: line.recv, venue: line.venue, conn, body })
}

/// Reads the line of a socket's frame as [`write_line`] writes it: nearly all lines are such. `None` is left to `serde_json`, right or wrong.
fn socket_line(line: &str) -> Option<RawFrame> {
    let (recv, rest) = line.strip_prefix(r#"{"recv":"#)?.split_once(',')?;
    let (venue, rest) = json::lead(rest, r#""venue":""#)?;
    let (conn, rest) = json::lead(rest, r#","conn":""#)?;
    let raw = rest.strip_prefix(r#","raw":""#)?.strip_suffix(r#""}"#)?;
    // Rust reads numbers that are none to JSON, such as `+1` and `01`.
    let recv = recv.parse().ok().filter(|_| recv.starts_with(|first| matches!(first, '1'..='9')))?;
    let body = Body::Ws(unescaped(raw)?);
    Some(RawFrame { recv, venue: venue.parse().ok()?, conn: Cow::Owned(conn.into()), body })
}

/// What a JSON string says in which only quotes and backslashes are escaped, as they are in a frame that is JSON itself.
fn unescaped(string: &str) -> Option<String> {
    let mut text = Vec::with_capacity(string.len());
    let mut rest = string.as_bytes();
    while !rest.is_empty() {
        let plain = if let Some(eight) = rest.first_chunk() {
            // Eight bytes are copied at once, and those that are not plain taken off again.
            text.extend_from_slice(eight);
            let plain = json::plain_len(*eight);
            text.truncate(text.len() + plain - eight.len());
            plain
        } else {
            let plain = rest.iter().take_while(|b| !matches!(b, b'"' | b'\\' | ..b' ')).count();
            text.extend_from_slice(&rest[..plain]);
            plain
        };
        rest = match &rest[plain..] {
            [b'\\', escaped @ (b'"' | b'\\'), after @ ..] => {
                text.push(*escaped);
                after
            }
            [b'"' | b'\\' | ..b' ', ..] => return None,
            after => after,
        };
    }
    String::from_utf8(text).ok()
}

/// Writes one line.
pub fn write_line(out: &mut impl Write, frame: &RawFrame) -> io::Result<()> {
    let (rest, event, raw) = match &frame.body {
        Body::Ws(text) => (None, None, Some(text)),
        Body::Rest { path, text } => (Some(path), None, Some(text)),
        Body::Open => (None, Some("open"), None),
        Body::Close => (None, Some("close"), None),
    };
    let line = Line {
        recv: frame.recv,
        venue: frame.venue,
        conn: Some(Cow::Borrowed(&frame.conn)),
        rest: rest.map(|p| Cow::Borrowed(p.as_str())),
        event: event.map(Cow::Borrowed),
        raw: raw.map(|t| Cow::Borrowed(t.as_str())),
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

/// Where a capture goes.
enum Target {
    /// One file for everything.
    File(PathBuf),
    /// A file an hour and venue, such as `binance-btc-20261122T10.ndjson.zst`.
    Directory(PathBuf, Asset),
}

/// An open file of a capture.
struct Segment {
    venue: Option<Venue>,
    hour: i64,
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
        let file = BufWriter::with_capacity(1 << 16, options.open(path)?);
        Ok(match path.extension().and_then(|e| e.to_str()) {
            Some("zst") => Self::Zstd(Box::new(zstd::Encoder::new(file, 3)?)),
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
        let open = vec![Segment { venue: None, hour: 0, sink }];
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

    /// Ends the files properly.
    pub fn finish(mut self) -> io::Result<()> {
        self.open.drain(..).try_for_each(|s| s.sink.finish())
    }

    /// The index of the open segment that takes the frame; begins a new one when the hour has passed.
    fn segment(&mut self, frame: &RawFrame) -> io::Result<usize> {
        let Target::Directory(directory, asset) = &self.target else { return Ok(0) };
        let hour = frame.recv.div_euclid(Interval::H1.ms() * 1_000_000);
        let at = self.open.iter().position(|s| s.venue == Some(frame.venue));
        // Never back: an answer may have been received a moment before the frame that went ahead of it.
        if let Some(at) = at.filter(|&at| self.open[at].hour >= hour) {
            return Ok(at);
        }
        let sink = new_segment(directory, frame.venue, *asset, hour)?;
        let segment = Segment { venue: Some(frame.venue), hour, sink };
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
fn new_segment(directory: &Path, venue: Venue, asset: Asset, hour: i64) -> io::Result<Sink> {
    let start = jiff::Timestamp::from_second(hour * 3_600).map_err(io::Error::other)?;
    let stem = format!("{venue}-{}-{}", asset.as_str().to_lowercase(), start.strftime("%Y%m%dT%H"));
    for run in 1..1_000 {
        let name = if run == 1 { format!("{stem}.ndjson.zst") } else { format!("{stem}-{run}.ndjson.zst") };
        match Sink::create(&directory.join(name)) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            done => return done,
        }
    }
    Err(io::Error::other("too many captures of one hour"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

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
        let rest = parse_line(r#"{"recv":1,"venue":"binance","rest":"/x?y=1","raw":"[]"}"#).unwrap();
        assert_eq!(rest.body, Body::Rest { path: "/x?y=1".into(), text: "[]".into() });
        assert!(parse_line(r#"{"recv":1,"venue":"binance","conn":"market"}"#).is_err());
        assert!(parse_line(r#"{"recv":1,"venue":"binance","conn":"market","event":"paused"}"#).is_err());
    }

    #[test]
    fn a_usual_line_is_read_as_serde_reads_it() {
        let with = |raw: &str| format!(r#"{{"recv":17,"venue":"okx","conn":"public","raw":"{raw}"}}"#);
        let says = |raw: &str| match socket_line(&with(raw)).map(|frame| frame.body) {
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
            assert_eq!(socket_line(&with("x").replace("17", odd)), None, "{odd}");
        }
        assert_eq!(socket_line(&with("x").replace("okx", "OKX")), None);
        assert!(parse_line(&with("a\"b")).is_err());
    }

    #[test]
    fn a_directory_gets_a_file_an_hour_and_never_an_old_file() {
        const HOUR: i64 = 3_600_000_000_000;
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
                "binance-btc-20261122T11.ndjson.zst"
            ]
        );
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
