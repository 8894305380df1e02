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

mod line;

use std::ffi::OsStr;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use zstd::zstd_safe::CParameter;

use crate::market::{Asset, Interval, Venue};

use super::frame::RawFrame;
use super::venue;
pub use line::{CaptureError, LineReader, is_escaped, is_line, write_line};

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
    use crate::feed::frame::Body;
    use std::io::Read;

    fn frame(recv: i64, body: Body) -> RawFrame {
        RawFrame { recv, venue: "binance".parse().unwrap(), conn: "market".into(), body }
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
