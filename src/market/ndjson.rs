//! Market events as newline-delimited JSON: the format `tap` writes and `--input` reads.
//!
//! One event a line, `{"v":1,"type":"trade","venue":"binance","asset":"BTC","ts":…}`. Unknown fields are ignored, unknown
//! types are counted, a broken line is reported with its file and number and the run goes on.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::candle::{Candle, Interval, Ohlc};
use super::event::{Book, EventKind, Gap, Liquidation, LiquidationBar, Mark, MarketEvent, Position, Trade};
use super::instrument::{Asset, Instrument, Venue};
use super::num::{Price, Qty};

/// The version every line carries.
pub const VERSION: u32 = 1;

/// A longer line is not an event of ours; it is skipped, not held in memory.
pub const MAX_LINE: usize = 4 << 20;

/// The part of a line that tells what the rest is.
#[derive(Deserialize)]
struct Head<'a> {
    v: u32,
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
}

/// What every event has around its own fields.
#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    venue: Venue,
    asset: Asset,
    ts: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recv: Option<i64>,
    #[serde(flatten)]
    body: T,
}

/// A candle's fields as they stand in a line.
#[derive(Serialize, Deserialize)]
struct CandleLine {
    interval: Interval,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open: Option<Price>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    high: Option<Price>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    low: Option<Price>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    close: Option<Price>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    volume: Option<Qty>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    taker_buy: Option<Qty>,
}

/// Why a line is not an event.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// A type this version does not know; not an error of the file.
    #[error("unknown event type {0:?}")]
    UnknownType(String),
    /// A version this program does not know.
    #[error("version {0}, but this program reads version 1")]
    Version(u32),
    /// Not JSON, or a field is missing or wrong.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Fields that contradict each other.
    #[error("{0}")]
    Invalid(&'static str),
}

/// Reads one line.
pub fn parse_line(line: &str) -> Result<MarketEvent, LineError> {
    fn body<'a, T: Deserialize<'a>>(
        line: &'a str,
        kind: impl FnOnce(T) -> Result<EventKind, LineError>,
    ) -> Result<MarketEvent, LineError> {
        let e: Flat<T> = Flat::parse(line)?;
        let kind = kind(e.body)?;
        // The terms of a contract may come without a time: they are then known from the start.
        let ts = match (e.ts, &kind) {
            (Some(ts), _) => ts,
            (None, EventKind::Instrument(_)) => 0,
            (None, _) => return Err(LineError::Invalid("missing field `ts`")),
        };
        sane(MarketEvent { venue: e.venue, asset: e.asset, ts, recv: e.recv, kind })
    }
    let head: Head<'_> = serde_json::from_str(line)?;
    if head.v != VERSION {
        return Err(LineError::Version(head.v));
    }
    match head.kind.as_ref() {
        "trade" => body(line, |b: Trade| Ok(EventKind::Trade(b))),
        "mark" => body(line, |b: Mark| Ok(EventKind::Mark(b))),
        "open_interest" => body(line, |b: OpenInterestLine| Ok(EventKind::OpenInterest(b.qty))),
        "candle" => body(line, |b: CandleLine| Ok(EventKind::Candle(b.candle()?))),
        "liquidation" => body(line, |b: Liquidation| Ok(EventKind::Liquidation(b))),
        "liquidation_bar" => body(line, |b: LiquidationBar| Ok(EventKind::LiquidationBar(b))),
        "instrument" => body(line, |b: Instrument| Ok(EventKind::Instrument(Box::new(b)))),
        "position" => body(line, |b: Position| Ok(EventKind::Position(Box::new(b)))),
        "book" => body(line, |b: Book| Ok(EventKind::Book(Box::new(b)))),
        "gap" => {
            let e: Untimed = serde_json::from_str(line)?;
            let gap: Gap = serde_json::from_str(line)?;
            if gap.to < gap.from {
                return Err(LineError::Invalid("gap ends before it starts"));
            }
            Ok(MarketEvent {
                venue: e.venue,
                asset: e.asset,
                ts: gap.to,
                recv: e.recv,
                kind: EventKind::Gap(gap),
            })
        }
        other => Err(LineError::UnknownType(other.chars().take(40).filter(|c| !c.is_control()).collect())),
    }
}

fn sane(event: MarketEvent) -> Result<MarketEvent, LineError> {
    if event.has_sane_time() {
        Ok(event)
    } else {
        Err(LineError::Invalid("time out of range (1970 to 9999, ms)"))
    }
}

/// `qty` alone.
#[derive(Serialize, Deserialize)]
struct OpenInterestLine {
    qty: Qty,
}

/// The envelope; a gap and an instrument may come without a time.
#[derive(Deserialize)]
struct Untimed {
    venue: Venue,
    asset: Asset,
    #[serde(default)]
    ts: Option<i64>,
    #[serde(default)]
    recv: Option<i64>,
}

/// The envelope beside the body. Two passes over a short line cost less than serde's buffering of flattened fields.
struct Flat<T> {
    venue: Venue,
    asset: Asset,
    ts: Option<i64>,
    recv: Option<i64>,
    body: T,
}

impl<'a, T: Deserialize<'a>> Flat<T> {
    fn parse(line: &'a str) -> Result<Self, LineError> {
        let e: Untimed = serde_json::from_str(line)?;
        let body: T = serde_json::from_str(line)?;
        Ok(Self { venue: e.venue, asset: e.asset, ts: e.ts, recv: e.recv, body })
    }
}

impl CandleLine {
    fn candle(self) -> Result<Candle, LineError> {
        let ohlc = match (self.open, self.high, self.low, self.close) {
            (Some(open), Some(high), Some(low), Some(close)) => {
                if low > high || open < low || open > high || close < low || close > high {
                    return Err(LineError::Invalid(
                        "candle prices contradict each other (low ≤ open, close ≤ high)",
                    ));
                }
                Some(Ohlc { open, high, low, close })
            }
            (None, None, None, None) => None,
            _ => return Err(LineError::Invalid("candle has some of open, high, low, close but not all")),
        };
        Ok(Candle { interval: self.interval, ohlc, volume: self.volume, taker_buy: self.taker_buy })
    }
}

/// Writes one event and the newline.
pub fn write_event(out: &mut impl Write, event: &MarketEvent) -> io::Result<()> {
    fn line<T: Serialize>(
        out: &mut impl Write,
        e: &MarketEvent,
        kind: &'static str,
        body: T,
    ) -> io::Result<()> {
        #[derive(Serialize)]
        struct Line<T> {
            v: u32,
            #[serde(rename = "type")]
            kind: &'static str,
            #[serde(flatten)]
            envelope: Envelope<T>,
        }
        let envelope = Envelope { venue: e.venue, asset: e.asset, ts: e.ts, recv: e.recv, body };
        serde_json::to_writer(&mut *out, &Line { v: VERSION, kind, envelope })?;
        out.write_all(b"\n")
    }
    match &event.kind {
        EventKind::Instrument(b) => line(out, event, "instrument", b),
        EventKind::Trade(b) => line(out, event, "trade", b),
        EventKind::Candle(c) => line(
            out,
            event,
            "candle",
            CandleLine {
                interval: c.interval,
                open: c.ohlc.map(|o| o.open),
                high: c.ohlc.map(|o| o.high),
                low: c.ohlc.map(|o| o.low),
                close: c.ohlc.map(|o| o.close),
                volume: c.volume,
                taker_buy: c.taker_buy,
            },
        ),
        EventKind::Mark(b) => line(out, event, "mark", b),
        EventKind::Liquidation(b) => line(out, event, "liquidation", b),
        EventKind::LiquidationBar(b) => line(out, event, "liquidation_bar", b),
        EventKind::OpenInterest(qty) => line(out, event, "open_interest", OpenInterestLine { qty: *qty }),
        EventKind::Position(b) => line(out, event, "position", b),
        EventKind::Book(b) => line(out, event, "book", b),
        EventKind::Gap(b) => line(out, event, "gap", b),
    }
}

/// Opens a file for reading by its ending: `.gz`, `.zst`, anything else as it is; `-` is standard input.
pub fn open(path: &Path) -> anyhow::Result<Box<dyn BufRead + Send>> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    unpacked(path, file)
}

/// The text of an opened file, by the ending of its name.
pub fn unpacked(path: &Path, file: impl Read + Send + 'static) -> anyhow::Result<Box<dyn BufRead + Send>> {
    let raw: Box<dyn Read + Send> = match path.extension().and_then(|e| e.to_str()) {
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(file))),
        Some("zst") => Box::new(zstd::Decoder::new(file)?),
        _ => Box::new(file),
    };
    // Files of a capture are read side by side: what waits of all of them should lie near the processor.
    Ok(Box::new(BufReader::with_capacity(1 << 14, raw)))
}

/// A line's number, and its text or why it cannot be read as text.
pub type Line<'a> = (u64, Result<&'a str, &'static str>);

/// Lines of a file, one at a time, with their numbers; over-long lines are skipped and told as errors.
pub struct Lines {
    source: Box<dyn BufRead + Send>,
    /// A line that did not lie in the source's own buffer as a whole.
    buffer: Vec<u8>,
    /// Bytes of the line told last that still lie in the source's buffer.
    told: usize,
    place: Place,
    /// Bytes to pass over before the next line.
    ahead: u64,
}

/// A place between two lines of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Bytes of text before it.
    pub bytes: u64,
    /// Lines before it.
    pub lines: u64,
}

impl Lines {
    /// Over an opened source.
    pub fn new(source: Box<dyn BufRead + Send>) -> Self {
        Self::from(source, Place::default())
    }

    /// Over an opened source, from a place on; [`Self::skip`] goes there.
    pub fn from(source: Box<dyn BufRead + Send>, place: Place) -> Self {
        Self { source, buffer: Vec::new(), told: 0, place, ahead: place.bytes }
    }

    /// Where the next line begins.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Passes over some of what lies before the place to begin at; says whether it is there.
    pub fn skip(&mut self) -> io::Result<bool> {
        const SOME: u64 = 8 << 20;
        let wanted = self.ahead.min(SOME);
        let passed = io::copy(&mut (&mut self.source).take(wanted), &mut io::sink())?;
        // A file that has become shorter has nothing more to tell.
        self.ahead = if passed < wanted { 0 } else { self.ahead - wanted };
        Ok(self.ahead == 0)
    }

    /// The next line that is not blank; `None` at the end. The error is the source failing (a disk, a broken archive); nothing more can be read then.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        self.source.consume(std::mem::take(&mut self.told));
        loop {
            // Nearly all lines lie in the buffer as a whole: they are told from there.
            let chunk = self.source.fill_buf()?;
            let end = memchr::memchr(b'\n', chunk);
            if let Some(end) = end.filter(|end| *end <= MAX_LINE && !is_blank(&chunk[..*end])) {
                self.told = end + 1;
                self.pass(end + 1);
                let line = self.source.fill_buf()?.get(..end).unwrap_or_default();
                return Ok(Some((self.place.lines, text(line))));
            }
            self.buffer.clear();
            let mut limited = (&mut self.source).take(MAX_LINE as u64 + 1);
            let read = limited.read_until(b'\n', &mut self.buffer)?;
            if read == 0 {
                return Ok(None);
            }
            self.pass(read);
            if self.buffer.len() > MAX_LINE && self.buffer.last() != Some(&b'\n') {
                self.skip_rest_of_line()?;
                return Ok(Some((self.place.lines, Err("line longer than 4 MiB"))));
            }
            if !is_blank(&self.buffer) {
                break;
            }
        }
        Ok(Some((self.place.lines, text(&self.buffer))))
    }

    /// A line is behind.
    fn pass(&mut self, bytes: usize) {
        self.place.bytes += bytes as u64;
        self.place.lines += 1;
    }

    fn skip_rest_of_line(&mut self) -> io::Result<()> {
        loop {
            let chunk = self.source.fill_buf()?;
            if chunk.is_empty() {
                return Ok(());
            }
            let (used, done) = match chunk.iter().position(|&b| b == b'\n') {
                Some(at) => (at + 1, true),
                None => (chunk.len(), false),
            };
            self.source.consume(used);
            self.place.bytes += used as u64;
            if done {
                return Ok(());
            }
        }
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

fn text(line: &[u8]) -> Result<&str, &'static str> {
    simdutf8::basic::from_utf8(line.trim_ascii()).map_err(|_| "not UTF-8 text")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of `design.md` §6, as published in docs/FORMATS.md.
    const SAMPLES: [&str; 9] = [
        r#"{"v":1,"type":"instrument","venue":"okx","asset":"BTC","ts":0,"symbol":"BTC-USDT-SWAP","tick":"0.1","lot":"0.01","contract":"0.01","multiplier":"1","linear":true,"tiers":[["300000","0.004","0","100"]]}"#,
        r#"{"v":1,"type":"trade","venue":"binance","asset":"BTC","ts":1718755200123,"recv":1718755200125000000,"price":"65000.1","qty":"0.5","taker":"buy","id":"26129"}"#,
        r#"{"v":1,"type":"open_interest","venue":"bybit","asset":"BTC","ts":1718755200000,"qty":"52664.642"}"#,
        r#"{"v":1,"type":"mark","venue":"binance","asset":"BTC","ts":1718755200000,"price":"65001.2","index":"65000.9","funding":"0.0001","funding_hours":8,"next_funding":1718784000000}"#,
        r#"{"v":1,"type":"liquidation","venue":"bybit","asset":"BTC","ts":1718755201000,"position":"long","price":"64800","qty":"1.2","price_kind":"bankruptcy","sampled":"no"}"#,
        r#"{"v":1,"type":"candle","venue":"binance","asset":"BTC","ts":1718755200000,"interval":"1m","open":"65000","high":"65010","low":"64990","close":"65001","volume":"12.3","taker_buy":"6.1"}"#,
        r#"{"v":1,"type":"liquidation_bar","venue":"binance","asset":"BTC","ts":1718755200000,"interval":"1h","long_qty":"12.5","short_qty":"3.1"}"#,
        r#"{"v":1,"type":"book","venue":"binance","asset":"BTC","ts":1718755200000,"bids":[["65000","1.5"]],"asks":[["65000.1","2"]]}"#,
        r#"{"v":1,"type":"position","venue":"hyperliquid","asset":"BTC","ts":1718755200000,"account":"0xabc","side":"long","qty":"3.1","entry":"64000","leverage":"20","liq_price":"61000"}"#,
    ];

    #[test]
    fn every_documented_line_is_read_and_written_back_unchanged() {
        for line in SAMPLES {
            let event = parse_line(line).unwrap_or_else(|e| panic!("{line}: {e}"));
            let mut out = Vec::new();
            write_event(&mut out, &event).unwrap();
            assert_eq!(String::from_utf8(out).unwrap().trim_end(), line);
        }
    }

    #[test]
    fn a_gap_is_known_at_its_end() {
        let line = r#"{"v":1,"type":"gap","venue":"bybit","asset":"BTC","stream":"trade","from":1718755200000,"to":1718755260000}"#;
        assert_eq!(parse_line(line).unwrap().ts, 1_718_755_260_000);
    }

    #[test]
    fn a_bar_is_known_one_ms_before_its_end() {
        assert_eq!(parse_line(SAMPLES[5]).unwrap().known_at(), 1_718_755_259_999);
        assert_eq!(parse_line(SAMPLES[6]).unwrap().known_at(), 1_718_758_799_999);
    }

    #[test]
    fn unknown_fields_are_ignored_and_unknown_types_told_apart_from_broken_lines() {
        let extra = SAMPLES[1].replace("\"id\"", "\"colour\":\"red\",\"id\"");
        assert_eq!(parse_line(&extra).unwrap(), parse_line(SAMPLES[1]).unwrap());
        let unknown = r#"{"v":1,"type":"weather","venue":"x","asset":"BTC","ts":1}"#;
        assert!(matches!(parse_line(unknown), Err(LineError::UnknownType(t)) if t == "weather"));
        assert!(matches!(parse_line(r#"{"v":2,"type":"trade"}"#), Err(LineError::Version(2))));
        let missing = parse_line(r#"{"v":1,"type":"trade","venue":"x","asset":"BTC","ts":1,"price":"1"}"#);
        let timeless = parse_line(r#"{"v":1,"type":"open_interest","venue":"x","asset":"BTC","qty":"1"}"#);
        assert!(timeless.unwrap_err().to_string().contains("ts"));
        let late = parse_line(
            r#"{"v":1,"type":"open_interest","venue":"x","asset":"BTC","ts":9223372036854775807,"qty":"1"}"#,
        );
        assert!(late.unwrap_err().to_string().contains("out of range"));
        assert!(missing.unwrap_err().to_string().contains("qty"), "the message names the field");
    }

    #[test]
    fn a_candle_whose_prices_contradict_is_refused() {
        let bad = SAMPLES[5].replace("64990", "65005");
        assert!(matches!(parse_line(&bad), Err(LineError::Invalid(_))));
    }

    #[test]
    fn an_over_long_line_is_skipped_and_the_next_one_read() {
        let mut text = "x".repeat(MAX_LINE + 10);
        text.push('\n');
        text.push_str("next\n");
        let mut lines = Lines::new(Box::new(io::Cursor::new(text.into_bytes())));
        assert!(matches!(lines.next_line().unwrap(), Some((1, Err(_)))));
        assert!(matches!(lines.next_line().unwrap(), Some((2, Ok("next")))));
        assert!(lines.next_line().unwrap().is_none());
    }

    #[test]
    fn lines_and_places_are_the_same_wherever_the_buffer_ends() {
        let text = "one\n\n  two  \r\n \nthree\n\u{e9}\nlast";
        // Numbered with the blank ones, and where the next begins.
        let wanted = [(1, "one", 4), (3, "two", 14), (5, "three", 22), (6, "\u{e9}", 25), (7, "last", 29)];
        for capacity in 1..40 {
            let source = BufReader::with_capacity(capacity, io::Cursor::new(text));
            let mut lines = Lines::new(Box::new(source));
            for (number, line, after) in wanted {
                assert_eq!(lines.next_line().unwrap(), Some((number, Ok(line))), "{capacity}");
                assert_eq!(lines.place(), Place { bytes: after, lines: number });
            }
            assert!(lines.next_line().unwrap().is_none());
        }
    }
}
