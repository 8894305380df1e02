//! A line of a capture, read and written.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::feed::frame::{Body, POLL, RawFrame};
use crate::feed::venue::json;
use crate::market::Venue;

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
        let recv = json::whole_number(recv).filter(|_| !recv.starts_with('0'))?;
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
