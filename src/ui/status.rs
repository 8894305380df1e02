//! The status line, and the line of hints and notices at the bottom: what is shown, and whether to trust it.

use ratatui::buffer::Buffer;
use ratatui::style::Style;

use crate::app::scale::Unit;
use crate::app::{Action, App};
use crate::engine::snapshot::LinkState;
use crate::engine::{Origin, VenueView};
use crate::estimate::Tier;

use super::Canvas;
use super::text::{self, Piece};

/// Draws the first and the last row.
pub fn draw(canvas: &Canvas<'_>, buf: &mut Buffer) {
    let (mut left, mut right) = (looking_at(canvas), Vec::new());
    left.extend(venues(canvas));
    right.extend(flags(canvas));
    right.extend(health(canvas));
    text::pieces(buf, canvas.layout.status, left, right);
    if let Some(area) = canvas.layout.hints {
        let mut left = notices(canvas);
        left.extend(hints(canvas));
        text::pieces(buf, area, left, Vec::new());
    }
}

fn looking_at(canvas: &Canvas<'_>) -> Vec<Piece<'static>> {
    let (app, theme) = (canvas.app, &canvas.theme);
    let settings = &app.settings;
    let tiers = settings_tiers(app);
    let limit = settings.threshold;
    let value = match limit.unit {
        Unit::Percentile => format!("p{} ≥ ", limit.value),
        Unit::ShareOfMax => format!("{}% of max ≥ ", round(limit.value)),
        Unit::Usd => "≥ ".to_owned(),
        Unit::ShareOfOi => format!("{}% of OI ≥ ", round(limit.value)),
    };
    let asset = match app.wanted() {
        Some(wanted) => format!("{} → {wanted}…", app.latest().asset),
        None => app.latest().asset.to_string(),
    };
    let mut pieces = vec![
        Piece::new(9, " meltline", theme.dim),
        Piece::new(0, asset, theme.strong),
        Piece::new(3, format!("{}·{}", settings.range_label(), text::span(app.candle_ms())), Style::new()),
        Piece::new(8, "model 1", theme.dim),
        Piece::new(2, format!("{value}{}", text::usd(app.threshold())), Style::new()),
    ];
    if app.scale().top <= 0.0 {
        // Nothing in view yet that a threshold could be taken of.
        pieces.pop();
    }
    if tiers < Tier::ALL.len() {
        pieces.push(Piece::new(2, format!("{tiers}/6 tiers"), theme.warn));
    }
    pieces
}

fn settings_tiers(app: &App) -> usize {
    app.selection().tiers.iter().count()
}

/// A percentage without the noise of binary fractions.
fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// Each venue with a mark for its state; the words are in the notices.
fn venues(canvas: &Canvas<'_>) -> Option<Piece<'static>> {
    let (app, theme) = (canvas.app, &canvas.theme);
    let all = &app.latest().venues;
    let mut piece = Piece { spans: Vec::new(), rank: 4 };
    for (i, view) in all.iter().enumerate() {
        let hidden = app.selection().hidden.contains(&view.venue);
        let (mark, style) = match &view.status.state {
            _ if hidden => ("-", theme.dim),
            _ if app.stale(view) => ("!", theme.warn),
            LinkState::Live | LinkState::Recorded => ("●", theme.good),
            LinkState::Connecting | LinkState::Backfilling => ("○", theme.dim),
            LinkState::Ended => ("■", theme.dim),
            LinkState::Silent { .. } => ("!", theme.warn),
            LinkState::Reconnecting { .. } => ("↻", theme.warn),
            LinkState::Blocked => ("×", theme.warn),
        };
        let name = view.venue.as_str();
        let short = if all.len() > 2 { name.get(..3).unwrap_or(name) } else { name };
        let gap = if i == 0 { "" } else { " " };
        piece.spans.push(ratatui::text::Span::styled(format!("{gap}{mark}"), style));
        let grey = hidden || app.stale(view);
        piece
            .spans
            .push(ratatui::text::Span::styled(short.to_owned(), if grey { theme.dim } else { Style::new() }));
    }
    (!all.is_empty()).then_some(piece)
}

fn flags(canvas: &Canvas<'_>) -> Vec<Piece<'static>> {
    let app = canvas.app;
    let mut pieces = Vec::new();
    if app.frozen() {
        pieces.push(Piece::new(0, " FROZEN ", canvas.theme.inverse));
    } else if !app.following() {
        pieces.push(Piece::new(1, "PAST", canvas.theme.warn));
    }
    match app.latest().origin {
        Origin::Simulated => pieces.push(Piece::new(0, " SIMULATED ", canvas.theme.inverse)),
        Origin::Replay => pieces.push(Piece::new(0, " REPLAY ", canvas.theme.inverse)),
        Origin::Live => {}
    }
    pieces
}

/// State, lag, coverage, clock.
fn health(canvas: &Canvas<'_>) -> Vec<Piece<'static>> {
    let (app, theme) = (canvas.app, &canvas.theme);
    let shown: Vec<&VenueView> = app.selection().venues(app.latest()).collect();
    let mut pieces = Vec::new();
    let live = shown.iter().filter(|v| v.status.state == LinkState::Live && !app.stale(v)).count();
    let state = if shown.iter().any(|v| app.stale(v)) {
        Some(("STALE", theme.warn))
    } else if live > 0 && live == shown.len() {
        Some(("LIVE", theme.good.patch(theme.strong)))
    } else if live > 0 {
        Some(("PARTLY LIVE", theme.warn))
    } else {
        match shown.first().map(|v| &v.status.state) {
            Some(LinkState::Connecting) => Some(("CONNECTING", theme.dim)),
            Some(LinkState::Backfilling) => Some(("BACKFILLING", theme.dim)),
            Some(LinkState::Ended) => Some(("ENDED", theme.dim)),
            Some(LinkState::Recorded) | None => None,
            Some(_) => Some(("NOT LIVE", theme.warn)),
        }
    };
    pieces.extend(state.map(|(word, style)| Piece::new(0, word, style)));
    // The worst of the venues: the picture is as old as its oldest part.
    if let Some(age) = shown.iter().filter_map(|v| app.age(v)).max() {
        pieces.push(Piece::new(1, format!("age {}", text::span(age.as_millis() as i64)), theme.warn));
    }
    if let Some(lag) = shown.iter().filter_map(|v| v.status.lag_ms).max() {
        pieces.push(Piece::new(6, format!("lag {lag} ms"), theme.dim));
    }
    let oi: f64 = shown.iter().filter_map(|v| v.oi_usd).sum();
    if oi > 0.0 {
        let covered: f64 = shown.iter().map(|v| v.coverage * v.oi_usd.unwrap_or(0.0)).sum();
        pieces.push(Piece::new(7, format!("covers {:.0}% of OI", 100.0 * covered / oi), theme.dim));
    }
    if app.latest().now > 0 {
        let now = app.snapshot().now;
        pieces.push(Piece::new(5, text::time(now, "%H:%M:%SZ "), Style::new()));
    }
    pieces
}

/// What is wrong, in words: venues that are not live, and what was counted as lost.
fn notices(canvas: &Canvas<'_>) -> Vec<Piece<'static>> {
    let app = canvas.app;
    let mut pieces = Vec::new();
    for view in &app.latest().venues {
        if let Some(words) = trouble(app, view) {
            // The first is never left out: it is cut at the edge instead.
            pieces.push(Piece::new(u8::from(!pieces.is_empty()), format!(" {words}"), canvas.theme.warn));
        }
        let c = &view.status.counters;
        let counts = [(c.missed, "missed"), (c.malformed, "malformed"), (c.unknown, "unknown")];
        let said: Vec<String> =
            counts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
        if !said.is_empty() {
            pieces.push(Piece::new(2, format!(" {}: {}", view.venue, said.join(", ")), canvas.theme.warn));
        }
    }
    pieces
}

/// Why a venue is not live, with its own words; `None` if there is nothing to say.
fn trouble(app: &App, view: &VenueView) -> Option<String> {
    let state = match &view.status.state {
        _ if app.stale(view) => "STALE".to_owned(),
        LinkState::Silent { stream } => format!("silent: no {stream}"),
        LinkState::Reconnecting { .. } => match app.retry_in(view) {
            Some(seconds) => format!("reconnecting in {seconds} s"),
            None => "reconnecting".to_owned(),
        },
        LinkState::Blocked => "refuses this address".to_owned(),
        LinkState::Connecting => "connecting".to_owned(),
        LinkState::Backfilling => "fetching history".to_owned(),
        LinkState::Live | LinkState::Recorded | LinkState::Ended if view.status.note.is_empty() => {
            return None;
        }
        LinkState::Live | LinkState::Recorded => "note".to_owned(),
        LinkState::Ended => "ended".to_owned(),
    };
    let note = &view.status.note;
    let dash = if note.is_empty() { "" } else { " - " };
    Some(format!("{}: {state}{dash}{note}", view.venue))
}

/// What the empty map awaits of a venue.
pub fn waiting(app: &App, view: &VenueView) -> String {
    let words = match &view.status.state {
        LinkState::Connecting => format!("connecting to {}…", view.venue),
        LinkState::Backfilling => format!("fetching history from {}…", view.venue),
        LinkState::Live | LinkState::Recorded => format!("waiting for the first minute from {}…", view.venue),
        LinkState::Ended => format!("nothing to draw from {}", view.venue),
        _ => return trouble(app, view).unwrap_or_default(),
    };
    if view.status.note.is_empty() { words } else { format!("{words} {}", view.status.note) }
}

/// The keys worth knowing first, with their words in the hint bar.
const HINTS: [(&[Action], &str); 13] = [
    (&[Action::Help], "help"),
    (&[Action::Quit], "quit"),
    (&[Action::SymbolPicker], "symbol"),
    (&[Action::ThresholdDown, Action::ThresholdUp], "threshold"),
    (&[Action::NextRange], "range"),
    (&[Action::Tiers], "tiers"),
    (&[Action::Left, Action::Right], "crosshair"),
    (&[Action::PriceZoomIn, Action::PriceZoomOut], "zoom"),
    (&[Action::Freeze], "freeze"),
    (&[Action::Candles], "candles"),
    (&[Action::Palette], "palette"),
    (&[Action::Venues], "venues"),
    (&[Action::LockScale], "lock scale"),
];

fn hints(canvas: &Canvas<'_>) -> Vec<Piece<'static>> {
    let keymap = &canvas.app.settings.keymap;
    let mut pieces = Vec::new();
    for (rank, (actions, word)) in HINTS.iter().enumerate() {
        let keys: Vec<String> = actions.iter().filter_map(|a| keymap.hint(*a)).collect();
        if keys.len() == actions.len() {
            let mut piece = Piece::new(3 + rank as u8, format!(" {}", keys.join(" ")), canvas.theme.strong);
            piece.spans.push(ratatui::text::Span::styled(format!(" {word}"), canvas.theme.dim));
            pieces.push(piece);
        }
    }
    pieces
}
