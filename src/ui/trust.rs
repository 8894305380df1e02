//! The panel of venues: what each delivers and how far it can be trusted, and the switches.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use crate::app::{App, names};
use crate::engine::snapshot::{LinkState, StreamStatus};
use crate::engine::{Origin, VenueView, depth};
use crate::market::Sampled;

use super::venues::{mark, words};
use super::{Canvas, text};

/// Clocks that differ by less (ms) are not worth a word: the way of a message is in the difference.
const CLOCKS_DIFFER: i64 = 2_000;

/// A column of the table.
struct Fact {
    title: &'static str,
    width: u16,
    /// The higher, the sooner it moves from the table to the lines below.
    rank: u8,
    text: fn(&App, &VenueView) -> String,
}

const FACTS: [Fact; 12] = [
    Fact { title: "state", width: 20, rank: 0, text: words },
    Fact { title: "OI", width: 6, rank: 1, text: open_interest },
    Fact { title: "share", width: 5, rank: 2, text: share },
    Fact { title: "covers", width: 6, rank: 3, text: coverage },
    Fact { title: "lag", width: 8, rank: 4, text: lag },
    Fact { title: "liquidations", width: 19, rank: 5, text: liquidations },
    Fact { title: "band held", width: 9, rank: 5, text: band_held },
    Fact { title: "gaps", width: 5, rank: 6, text: |_, v| count(v.status.counters.gaps) },
    Fact { title: "missed", width: 6, rank: 6, text: |_, v| count(v.status.counters.missed) },
    Fact { title: "unreadable", width: 10, rank: 6, text: |_, v| count(v.status.counters.malformed) },
    Fact { title: "odd prints", width: 10, rank: 6, text: odd_prints },
    Fact { title: "clock", width: 8, rank: 7, text: clock },
];
/// Blanks between two columns.
const GAP: u16 = 2;

fn open_interest(_: &App, view: &VenueView) -> String {
    view.oi_usd.map_or_else(|| "-".to_owned(), text::usd)
}

/// Its part of the open interest of all venues.
fn share(app: &App, view: &VenueView) -> String {
    let all: f64 = app.latest().venues.iter().filter_map(|v| v.oi_usd).sum();
    view.oi_usd.filter(|_| all > 0.0).map_or_else(|| "-".to_owned(), |oi| format!("{:.0}%", 100.0 * oi / all))
}

fn coverage(_: &App, view: &VenueView) -> String {
    view.oi_usd.map_or_else(|| "-".to_owned(), |_| format!("{:.0}%", 100.0 * view.coverage))
}

/// How often, of late, what came lay within the 10-90 % band of what was foretold: four of five would be right.
fn band_held(_: &App, view: &VenueView) -> String {
    view.band_coverage.map_or_else(|| "-".to_owned(), |share| format!("{:.0}%", 100.0 * share))
}

/// Liquidations printed that were not believed, if any.
fn odd_prints(_: &App, view: &VenueView) -> String {
    if view.odd_prints == 0 { "-".to_owned() } else { count(view.odd_prints) }
}

fn lag(_: &App, view: &VenueView) -> String {
    view.status.lag_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"))
}

/// How far this machine's clock is off the venue's, if it is; a simulator's clock is meant to be.
fn clock(app: &App, view: &VenueView) -> String {
    let ms = view.status.clock_ms.filter(|ms| ms.abs() > CLOCKS_DIFFER);
    let ms = ms.filter(|_| app.latest().origin != Origin::Simulated);
    ms.map_or_else(|| "-".to_owned(), |ms| format!("{:+.1} s", ms as f64 / 1_000.0))
}

fn liquidations(_: &App, view: &VenueView) -> String {
    let words = match (view.status.liquidations, &view.status.state) {
        (Some(Sampled::No), _) => "every one",
        (Some(Sampled::Largest), _) => "largest each second",
        (Some(Sampled::Latest), _) => "sampled",
        (None, LinkState::Recorded | LinkState::Ended) => "-",
        (None, _) => "no public feed",
    };
    words.to_owned()
}

fn count(n: u64) -> String {
    match n {
        ..100_000 => n.to_string(),
        _ => format!("{}k", n / 1_000),
    }
}

/// Draws the panel; `cursor` is the row of the venue that is told about in full.
pub fn draw(canvas: &Canvas<'_>, cursor: usize, buf: &mut Buffer) {
    let app = canvas.app;
    let venues = &app.latest().venues;
    let room = buf.area.width.saturating_sub(4);
    let long = venues.iter().map(|v| v.venue.as_str().len()).max().unwrap_or(0) as u16;
    let name_width = if room >= 60 { long } else { 3 };
    let first = 6 + name_width;
    let shown = fitting(room.saturating_sub(first));
    let width = first + shown.iter().map(|f| GAP + f.width).sum::<u16>();
    let width = width.max(room.min(46));

    let view = venues.get(cursor);
    let details = view.map_or_else(Vec::new, |v| details(canvas, v, &shown, width));
    let rows = venues.len() as u16;
    let height = 1 + rows + 1 + details.len() as u16 + 2;
    let inside = super::popup_box(canvas, buf, "venues", width, height);
    let line = |y: u16| Rect { y: inside.y + y, height: 1, ..inside }.intersection(inside);

    let popup = canvas.theme.popup;
    let mut x = first;
    for fact in &shown {
        let area = Rect { x: inside.x + x + GAP, width: fact.width, ..line(0) }.intersection(inside);
        if fact.rank == 0 {
            text::line(buf, area, fact.title, popup.patch(canvas.theme.dim));
        } else {
            text::line_right(buf, area, fact.title, popup.patch(canvas.theme.dim));
        }
        x += GAP + fact.width;
    }
    // With little room the lines about one venue give way first, then the rows far from the cursor.
    let hint = inside.height.saturating_sub(1);
    let visible = rows.min(hint.saturating_sub(1));
    let top = (cursor as u16 + 1).saturating_sub(visible);
    for (i, view) in venues.iter().enumerate().skip(usize::from(top)).take(usize::from(visible)) {
        let style = if i == cursor { popup.patch(canvas.theme.inverse) } else { popup };
        row(canvas, (i, view), name_width, &shown, line(1 + i as u16 - top), style, buf);
    }
    let from = 1 + visible + 1;
    for (i, (words, style)) in details.iter().enumerate().take(usize::from(hint.saturating_sub(from))) {
        text::line(buf, line(from + i as u16), words, popup.patch(*style));
    }
    let keys = match width {
        60.. => "space or enter: on, off · digit: that one · a: all · esc closes",
        42.. => "space on/off · digit · a all · esc closes",
        _ => "space, digit, a · esc",
    };
    text::line(buf, line(hint), keys, popup.patch(canvas.theme.dim));
}

/// The columns there is room for.
fn fitting(room: u16) -> Vec<&'static Fact> {
    let mut shown: Vec<&Fact> = FACTS.iter().collect();
    while shown.len() > 1 && shown.iter().map(|f| GAP + f.width).sum::<u16>() > room {
        let worst = shown.iter().map(|f| f.rank).max();
        shown.retain(|f| Some(f.rank) != worst);
    }
    shown
}

fn row(
    canvas: &Canvas<'_>,
    (i, view): (usize, &VenueView),
    name_width: u16,
    facts: &[&Fact],
    area: Rect,
    style: Style,
    buf: &mut Buffer,
) {
    let app = canvas.app;
    let on = if app.selection().hidden.contains(&view.venue) { "[ ]" } else { "[x]" };
    let name = if name_width > 3 { view.venue.as_str() } else { names::short(&view.venue) };
    let blank = " ".repeat(usize::from(area.width));
    text::line(buf, area, &blank, style);
    text::line(buf, area, &format!("{} {on} {name}", i + 1), style);
    let mut x = area.x + 6 + name_width + GAP;
    for fact in facts {
        let place = Rect { x, width: fact.width, ..area }.intersection(area);
        let words = (fact.text)(app, view);
        if fact.rank == 0 {
            // The row of the cursor is inverse: a colour in it would be a blot.
            let chosen = style.add_modifier.contains(Modifier::REVERSED);
            let colour = if chosen { Style::new() } else { mark(app, &canvas.theme, view).1 };
            text::line(buf, place, &words, style.patch(colour));
        } else {
            text::line_right(buf, place, &words, style);
        }
        x += fact.width + GAP;
    }
}

/// What there is to say about one venue beyond its row.
fn details(canvas: &Canvas<'_>, view: &VenueView, shown: &[&Fact], width: u16) -> Vec<(String, Style)> {
    let (app, theme) = (canvas.app, &canvas.theme);
    let state = mark(app, theme, view).1;
    let mut lines = Vec::new();
    let mut say = |parts: Vec<String>, style: Style| {
        lines.extend(text::flow(&parts, usize::from(width)).into_iter().map(|l| (l, style)));
    };
    say(vec![format!("{}: {}", view.venue, words(app, view))], state.patch(theme.strong));
    if !view.status.note.is_empty() {
        say(vec![view.status.note.clone()], theme.warn);
    }
    if let Some(who) = &app.latest().followed {
        say(vec![format!("told by {who}, which has the feeds; presets are not told")], Style::new());
    }
    say(course(app, view), Style::new());
    let folded = FACTS.iter().filter(|f| f.rank > 0 && shown.iter().all(|s| s.title != f.title));
    let folded = folded.map(|f| (f.title, (f.text)(app, view))).filter(|(_, words)| words != "-");
    say(folded.map(|(title, words)| format!("{title} {words}")).collect(), Style::new());
    if clock(app, view) != "-" {
        say(
            vec!["this machine's clock and the venue's differ: ages and lag may be wrong".to_owned()],
            theme.warn,
        );
    }
    if view.mark.is_some() && view.oi_usd.is_none() {
        say(vec!["no open interest: no estimate".to_owned()], theme.warn);
    }
    if let Some(until) = view.held_until {
        let time = text::time(until, "%H:%M on %d %b");
        say(vec![format!("open interest before {time} unknown: held constant")], Style::new());
    }
    if let Some(fit) = view.distances {
        let words = [
            format!("distances of {} public positions:", fit.count),
            format!("median {:.0}%", 100.0 * fit.median),
            format!("sigma {:.2}", fit.sigma),
            format!("fit error {:.2}", fit.error),
        ];
        say(vec![words.join(" ")], Style::new());
    }
    say(book(view), Style::new());
    let (silent, speaking): (Vec<_>, Vec<_>) = view.status.streams.iter().partition(|s| app.is_silent(s));
    say(silent.into_iter().map(|s| format!("! {} silent", stream(app, s))).collect(), theme.warn);
    say(speaking.into_iter().map(|s| stream(app, s)).collect(), Style::new());
    lines
}

/// How its part of the picture in view came about: the shares, and where one passes into the other.
fn course(app: &App, view: &VenueView) -> Vec<String> {
    let Some(parts) = app.courses().of(view.venue) else { return Vec::new() };
    let time = |at: Option<i64>, word: &str| {
        at.map_or_else(String::new, |at| format!(" {word} {}", text::time(at, "%H:%M on %d %b")))
    };
    let told = [
        (parts.live, "live", time(view.course.live, "since")),
        (parts.kept, "kept from an earlier run", time(view.course.restored, "until")),
        (parts.told, "told later by the venue (REST)", String::new()),
        (parts.missing, "missing", String::new()),
    ];
    let words = told.iter().filter(|(ms, _, _)| *ms > 0);
    let mut words: Vec<String> =
        words.map(|(ms, word, when)| format!("{} {word}{when}", text::span(*ms))).collect();
    if let Some(first) = words.first_mut() {
        first.insert_str(0, "in view: ");
    }
    words
}

/// A stream and the time since it last spoke.
fn stream(app: &App, stream: &StreamStatus) -> String {
    let since = stream.last.and_then(|last| app.since(last));
    let age = since.map_or_else(|| "-".to_owned(), |age| text::span(age.as_millis() as i64));
    format!("{} {age}", stream.name)
}

/// A spread in two digits: that of a large coin is a hundredth of a basis point.
fn spread(bp: f64) -> String {
    let digits = if bp < 0.1 { 3 } else { 1 };
    format!("spread {bp:.digits$} bp")
}

/// Spread, and what rests near the middle.
fn book(view: &VenueView) -> Vec<String> {
    let Some(book) = &view.book else { return Vec::new() };
    let mut parts: Vec<String> = depth::spread_bp(book).map(spread).into_iter().collect();
    for (share, name) in [(0.001, "0.1%"), (0.01, "1%")] {
        if let Some(depth) = depth::within(book, share) {
            let least = if depth.is_whole { "" } else { "≥" };
            let [bids, asks] = depth.usd.map(text::usd);
            parts.push(format!("{name}: bids {least}{bids} asks {least}{asks}"));
        }
    }
    parts
}
