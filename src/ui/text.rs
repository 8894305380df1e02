//! Numbers and times as a trader reads them, and lines that know their width.

use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

/// An amount of USD in three digits: `$4.2B`, `$120M`, `$85k`.
pub fn usd(amount: f64) -> String {
    if !(amount > 0.0 && amount.is_finite()) {
        return "$0".to_owned();
    }
    for (unit, suffix) in [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"), (1.0, "")] {
        // 999.5 k is said as 1.0 M.
        if amount >= 0.9995 * unit {
            let value = amount / unit;
            return if value < 9.995 && suffix.is_empty() {
                format!("${value:.0}")
            } else if value < 9.95 {
                format!("${value:.1}{suffix}")
            } else {
                format!("${value:.0}{suffix}")
            };
        }
    }
    "<$1".to_owned()
}

/// As [`usd`], with the sign of a difference: `+$1.2M`, `-$85k`.
pub fn usd_signed(amount: f64) -> String {
    format!("{}{}", if amount.is_sign_negative() { '-' } else { '+' }, usd(amount.abs()))
}

/// A band of USD, the unit said once where both ends share it: `$1.2–3.4M`, `$850k–1.2M`.
pub fn usd_range(low: f64, high: f64) -> String {
    let (low, high) = (usd(low), usd(high));
    let unit = |text: &str| text.chars().last().filter(char::is_ascii_alphabetic);
    let short = if unit(&low) == unit(&high) {
        low.trim_end_matches(|c: char| c.is_ascii_alphabetic())
    } else {
        &low
    };
    format!("{short}–{}", high.trim_start_matches('$'))
}

/// As [`usd`], with round amounts kept short: `$20M`, `$2M`.
pub fn usd_round(amount: f64) -> String {
    usd(amount).replace(".0", "")
}

/// A price with the digits its size calls for, in nine characters at most. Small prices count their zeros:
/// `0.0₄1234` is 0.00001234.
pub fn price(price: f64, decimals: usize) -> String {
    if !(price > 0.0 && price.is_finite()) {
        return "-".to_owned();
    }
    let zeros = (-price.log10()).ceil() - 1.0;
    if zeros >= 4.0 {
        let digits = (price * 10_f64.powf(zeros + 4.0)).round();
        // 0.00009999996 rounds up into the decade above.
        let (digits, zeros) = if digits >= 10_000.0 { (1000.0, zeros - 1.0) } else { (digits, zeros) };
        let subscript: String = (zeros as u32)
            .to_string()
            .bytes()
            .map(|b| char::from_u32(0x2050 + u32::from(b)).unwrap_or('?'))
            .collect();
        return format!("0.0{subscript}{digits:.0}");
    }
    format!("{price:.decimals$}")
}

/// Decimals that show about six digits of a price.
pub fn decimals(price: f64) -> usize {
    if price > 0.0 { (5.0 - price.log10().floor()).clamp(0.0, 7.0) as usize } else { 2 }
}

/// A signed percentage: `+1.8%`.
pub fn percent(share: f64) -> String {
    let digits = if share.abs() < 0.1 { 2 } else { 1 };
    format!("{:+.digits$}%", share * 100.0)
}

/// A span of time in two units at most: `45s`, `5m`, `3h`, `2d`.
pub fn span(ms: i64) -> String {
    match ms / 1000 {
        s @ ..60 => format!("{s}s"),
        s @ 60..3_600 => format!("{}m", s / 60),
        s if s % 3_600 >= 60 && s < 86_400 => format!("{}h{:02}m", s / 3_600, s % 3_600 / 60),
        s @ ..172_800 => format!("{}h", s / 3_600),
        s => format!("{}d", s / 86_400),
    }
}

/// UTC time by a `strftime` format; empty outside the calendar.
pub fn time(ts: i64, format: &str) -> String {
    jiff::Timestamp::from_millisecond(ts)
        .map(|t| t.to_zoned(TimeZone::UTC).strftime(format).to_string())
        .unwrap_or_default()
}

/// Writes a text in the first row of an area, cut to its width.
pub fn line(buf: &mut Buffer, area: Rect, text: &str, style: Style) {
    let area = area.intersection(buf.area);
    if !area.is_empty() {
        put(buf, area, text, style);
    }
}

/// Writes a text from the first cell of an area on and tells where it ends. Plain letters are cells one by one: nothing is to be
/// found out about them.
fn put(buf: &mut Buffer, area: Rect, text: &str, style: Style) -> u16 {
    if !text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return buf.set_stringn(area.x, area.y, text, usize::from(area.width), style).0;
    }
    let mut x = area.x;
    for (i, _) in text.char_indices().take(usize::from(area.width)) {
        buf[(x, area.y)].set_symbol(&text[i..=i]).set_style(style);
        x += 1;
    }
    x
}

/// Draws a rule in the first row of an area.
pub fn rule(buf: &mut Buffer, area: Rect, style: Style) {
    let row = Rect { height: 1, ..area }.intersection(buf.area);
    for place in row.positions() {
        buf[place].set_symbol("─").set_style(style);
    }
}

/// Writes a text against the right edge of an area's first row; the left part is lost if it is too long.
pub fn line_right(buf: &mut Buffer, area: Rect, text: &str, style: Style) {
    let width = (Span::raw(text).width() as u16).min(area.width);
    line(buf, Rect { x: area.right() - width, width, ..area }, text, style);
}

/// Cells a text takes.
pub fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// A text filled up with blanks to a number of cells; cut where it is longer.
pub fn pad(text: &str, cells: usize) -> String {
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = width(c.encode_utf8(&mut [0; 4]));
        if used + wide > cells {
            break;
        }
        out.push(c);
        used += wide;
    }
    out.extend(std::iter::repeat_n(' ', cells - used));
    out
}

/// Parts joined by dots, as many on a line as fit; a part that is longer than a line is broken between words.
pub fn flow(parts: &[String], cells: usize) -> Vec<String> {
    const DOT: &str = " · ";
    let mut lines: Vec<String> = Vec::new();
    let mut add = |text: &str, glue: &str| match lines.last_mut() {
        Some(line) if !glue.is_empty() && width(line) + width(glue) + width(text) <= cells => {
            line.push_str(glue);
            line.push_str(text);
        }
        _ => lines.push(text.to_owned()),
    };
    for (i, part) in parts.iter().enumerate() {
        let glue = if i == 0 { "" } else { DOT };
        if width(part) <= cells {
            add(part, glue);
        } else {
            for (j, word) in part.split(' ').enumerate() {
                add(word, if j == 0 { glue } else { " " });
            }
        }
    }
    lines
}

/// A piece of a line that may be left out when there is no room.
pub struct Piece<'a> {
    /// The text.
    pub spans: Vec<Span<'a>>,
    /// The higher, the sooner it is left out.
    pub rank: u8,
}

impl<'a> Piece<'a> {
    /// A piece of one style.
    pub fn new(rank: u8, text: impl Into<std::borrow::Cow<'a, str>>, style: Style) -> Self {
        Self { spans: vec![Span::styled(text, style)], rank }
    }

    fn width(&self) -> usize {
        self.spans.iter().map(Span::width).sum()
    }
}

/// Writes pieces from the left, and others against the right, in one row, leaving out the least needed until they fit.
pub fn pieces(buf: &mut Buffer, area: Rect, mut left: Vec<Piece<'_>>, mut right: Vec<Piece<'_>>) {
    const GAP: usize = 2;
    let width = |list: &[Piece<'_>]| list.iter().map(|p| p.width() + GAP).sum::<usize>();
    while width(&left) + width(&right) > usize::from(area.width) + GAP {
        let worst = left.iter().chain(&right).map(|p| p.rank).max().unwrap_or(0);
        if worst == 0 {
            break;
        }
        // Among equals the last one goes first.
        let out = if let Some(i) = right.iter().rposition(|p| p.rank == worst) {
            right.remove(i)
        } else if let Some(i) = left.iter().rposition(|p| p.rank == worst) {
            left.remove(i)
        } else {
            break;
        };
        drop(out);
    }
    let used = write(buf, area, left, GAP);
    let rest = Rect { x: area.x + used, width: area.width - used, ..area };
    let wanted = (width(&right).saturating_sub(GAP) as u16).min(rest.width);
    write(buf, Rect { x: rest.right() - wanted, width: wanted, ..rest }, right, GAP);
}

fn write(buf: &mut Buffer, area: Rect, pieces: Vec<Piece<'_>>, gap: usize) -> u16 {
    let mut spans = Vec::new();
    for piece in pieces {
        if !spans.is_empty() {
            spans.push(Span::raw(" ".repeat(gap)));
        }
        spans.extend(piece.spans);
    }
    let mut x = area.x;
    for span in spans {
        x = put(buf, Rect { x, width: area.right() - x, ..area }, &span.content, span.style);
    }
    x - area.x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usd_has_two_or_three_digits() {
        let cases = [
            (4.2e9, "$4.2B"),
            (9.96e9, "$10B"),
            (123.4e6, "$123M"),
            (999_600.0, "$1.0M"),
            (85_000.0, "$85k"),
            (7.0, "$7"),
            (0.3, "<$1"),
            (0.0, "$0"),
            (f64::NAN, "$0"),
        ];
        for (amount, text) in cases {
            assert_eq!(usd(amount), text);
        }
        assert_eq!(usd_range(1.2e6, 3.4e6), "$1.2–3.4M");
        assert_eq!(usd_range(8.5e5, 1.2e6), "$850k–1.2M");
        assert_eq!((usd_signed(1.2e6), usd_signed(-85e3)), ("+$1.2M".to_owned(), "-$85k".to_owned()));
        assert_eq!(usd_round(2e7), "$20M");
        assert_eq!(usd_round(2e6), "$2M");
    }

    #[test]
    fn prices_fit_nine_characters() {
        for (value, text) in [
            (65_000.1, "65000.1"),
            (3_412.5, "3412.50"),
            (1.2345, "1.23450"),
            (0.123_456_7, "0.123457"),
            (0.001_234, "0.0012340"),
            (0.000_123_4, "0.0001234"),
            (0.000_012_34, "0.0₄1234"),
            (0.000_099_999_96, "0.0₃1000"),
        ] {
            assert_eq!(price(value, decimals(value)), text);
            assert!(text.chars().count() <= 9);
        }
    }

    #[test]
    fn wide_characters_are_padded_and_cut_by_cells() {
        assert_eq!(pad("ab", 4), "ab  ");
        assert_eq!(pad("币安人生", 10), "币安人生  ");
        assert_eq!(pad("币安人生", 5), "币安 ");
    }

    #[test]
    fn parts_flow_over_lines_and_only_long_ones_are_broken() {
        let parts = ["one two", "three", "a part that is too long", "end"].map(str::to_owned);
        assert_eq!(flow(&parts, 16), ["one two · three", "a part that is", "too long · end"]);
        assert!(flow(&[], 16).is_empty());
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(time(1_718_755_200_000, "%d %b %H:%M"), "19 Jun 00:00");
        assert_eq!(time(i64::MAX, "%H"), "");
        assert_eq!(
            [45_000, 300_000, 5_400_000, 86_400_000, 259_200_000].map(span).join(" "),
            "45s 5m 1h30m 24h 3d"
        );
    }
}
