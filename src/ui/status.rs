//! The status line, and the line of hints and notices at the bottom: what is shown, and whether to trust it.

use ratatui::buffer::Buffer;
use ratatui::style::Style;
use ratatui::text::Span;

use crate::app::model::{Model, Sides, View};
use crate::app::profile::MapBy;
use crate::app::scale::Unit;
use crate::app::{Action, App, names};
use crate::engine::playback::Motion;
use crate::engine::snapshot::{Counters, LinkState};
use crate::engine::{Origin, VenueView};
use crate::estimate::TIERS;

use super::text::{self, Piece};
use super::venues::{is_out, trouble};
use super::{Canvas, Medium, transport};

/// Draws the first and the last row.
pub fn draw(canvas: &Canvas<'_>, buf: &mut Buffer) {
    let (mut left, mut right) = (looking_at(canvas), Vec::new());
    left.extend(venues(canvas));
    left.extend(fit(canvas));
    right.extend(flags(canvas));
    right.extend(health(canvas));
    text::pieces(buf, canvas.layout.status, left, right);
    if let Some(area) = canvas.layout.hints {
        let mut left = notices(canvas);
        let mut right = Vec::new();
        match canvas.medium {
            Medium::Picture => right.extend(caption(canvas)),
            Medium::Terminal | Medium::OverImage => {
                let playback = canvas.app.playback();
                left.splice(0..0, playback.into_iter().flat_map(|p| transport::pieces(canvas, p)));
                left.extend(hints(canvas));
            }
        }
        text::pieces(buf, area, left, right);
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
    // The ramp below says it again.
    let threshold_rank = if canvas.layout.ramp.is_some() { 5 } else { 2 };
    // What was chosen is worth more room than what is so from the start.
    let model_rank = if settings.model == Model::default() { 8 } else { 3 };
    let mut pieces = vec![
        Piece::new(9, " meltline", theme.dim),
        Piece::new(0, asset, theme.strong),
        Piece::new(3, format!("{}·{}", settings.range_label(), text::span(app.candle_ms())), Style::new()),
        Piece::new(model_rank, format!("model {}", settings.model.number()), theme.dim),
        Piece::new(threshold_rank, format!("{value}{}", text::usd(app.threshold())), Style::new()),
    ];
    if app.scale().top <= 0.0 {
        // Nothing in view yet that a threshold could be taken of.
        pieces.pop();
    }
    match app.selection().sides {
        Sides::Both => {}
        Sides::Longs => pieces.push(Piece::new(2, "longs only", theme.warn)),
        Sides::Shorts => pieces.push(Piece::new(2, "shorts only", theme.warn)),
    }
    if tiers < TIERS {
        pieces.push(Piece::new(2, format!("{tiers}/{TIERS} tiers"), theme.warn));
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

/// From this width on venues have their short names, below it letters.
const NAMES_FROM: u16 = 100;

/// Each venue with a mark for its state; the words are in the notices and in the panel of venues.
fn venues(canvas: &Canvas<'_>) -> Option<Piece<'static>> {
    let (app, theme) = (canvas.app, &canvas.theme);
    let all = &app.latest().venues;
    let letters = names::letters(all.iter().map(|v| v.venue));
    let wide = canvas.layout.status.width >= NAMES_FROM;
    // There the notices below say it.
    let narrow = canvas.layout.ramp.is_some();
    let mut piece = Piece { spans: Vec::new(), rank: 4 };
    for (i, (view, letter)) in all.iter().zip(letters).enumerate() {
        let (mark, style) = super::venues::mark(app, theme, view);
        let gap = if i == 0 { "" } else { " " };
        piece.spans.push(Span::styled(format!("{gap}{mark}"), style));
        let name = match (wide, all.len()) {
            (_, ..=2) => view.venue.to_string(),
            (true, _) => names::short(&view.venue).to_owned(),
            (false, _) => letter.to_string(),
        };
        let grey = app.stale(view) || app.selection().hidden.contains(&view.venue) || is_out(view);
        piece.spans.push(Span::styled(name, if grey { theme.dim } else { Style::new() }));
        if let Some(seconds) = app.retry_in(view).filter(|_| !narrow) {
            piece.spans.push(Span::styled(format!(" {seconds}s"), theme.warn));
        }
    }
    (!all.is_empty()).then_some(piece)
}

/// How well liquidations were foretold: USD foretold over USD observed, and the skill over the range of price alone. Dashes until
/// there is enough.
fn fit(canvas: &Canvas<'_>) -> Option<Piece<'static>> {
    let (fit, theme) = (canvas.app.fit(), &canvas.theme);
    // Before the first data there is nothing to fit.
    if canvas.app.latest().now == 0 {
        return None;
    }
    let ratio = |ratio: Option<f64>| match ratio {
        None => "-".to_owned(),
        Some(r) if r < 0.095 => format!("{r:.2}×"),
        Some(r) if r < 9.95 => format!("{r:.1}×"),
        Some(r) if r < 99.5 => format!("{r:.0}×"),
        Some(_) => ">99×".to_owned(),
    };
    let skill = fit.skill.map_or_else(|| "-".to_owned(), |s| format!("{s:.2}").replacen("0.", ".", 1));
    let style = |is_known: bool| if is_known { Style::new() } else { theme.dim };
    let parts = [
        ("fit ".to_owned(), theme.dim),
        (ratio(fit.day), style(fit.day.is_some())),
        (" 24h · ".to_owned(), theme.dim),
        (ratio(fit.week), style(fit.week.is_some())),
        (" 7d · skill ".to_owned(), theme.dim),
        (skill, style(fit.skill.is_some())),
    ];
    Some(Piece {
        spans: parts.into_iter().map(|(words, style)| Span::styled(words, style)).collect(),
        rank: 7,
    })
}

fn flags(canvas: &Canvas<'_>) -> Vec<Piece<'static>> {
    let app = canvas.app;
    let mut pieces = Vec::new();
    let (words, style) = match app.selection().view {
        View::Ours => (String::new(), Style::new()),
        View::Preset(preset) => (format!("preset {preset}"), canvas.theme.warn),
        View::Against(preset) => (format!("OURS - {preset}"), canvas.theme.warn),
        View::Change(ms) => (format!(" CHANGE {} ", text::span(ms)), canvas.theme.inverse),
    };
    if !words.is_empty() {
        pieces.push(Piece::new(0, words, style));
    }
    if app.frozen() {
        pieces.push(Piece::new(0, " FROZEN ", canvas.theme.inverse));
    } else if !app.following() {
        pieces.push(Piece::new(1, "PAST", canvas.theme.warn));
    }
    let origin = app.latest().origin;
    if origin == Origin::Simulated {
        pieces.push(Piece::new(0, " SIMULATED ", canvas.theme.inverse));
    }
    if origin == Origin::Replay || app.playback().is_some() {
        pieces.push(replay(canvas));
    }
    if let Some(who) = &app.latest().followed {
        pieces.push(Piece::new(3, format!("follows {who}"), Style::new()));
    }
    pieces
}

/// That it is a replay; and, where no row below says it, what it does.
fn replay(canvas: &Canvas<'_>) -> Piece<'static> {
    let playback = canvas.app.playback();
    let kept = if playback.is_some_and(|p| p.is_kept) { "of kept columns " } else { "" };
    let transport = playback.filter(|_| canvas.layout.hints.is_none());
    let transport = transport.map(|p| format!("{} {} ", transport::sign(canvas, p.motion), p.speed));
    Piece::new(0, format!(" REPLAY {kept}{}", transport.unwrap_or_default()), canvas.theme.inverse)
}

/// State, lag, coverage, clock.
fn health(canvas: &Canvas<'_>) -> Vec<Piece<'static>> {
    let (app, theme) = (canvas.app, &canvas.theme);
    // A venue without the asset takes nothing from the picture.
    let (out, shown): (Vec<&VenueView>, Vec<&VenueView>) =
        app.selection().venues(app.latest()).partition(|v| is_out(v));
    let mut pieces = Vec::new();
    let live = shown.iter().filter(|v| v.status.state == LinkState::Live && !app.stale(v)).count();
    let state = if shown.iter().any(|v| app.stale(v)) {
        Some(("STALE".to_owned(), theme.warn))
    } else if live > 0 && live == shown.len() {
        Some(("LIVE".to_owned(), theme.good.patch(theme.strong)))
    } else if live > 0 {
        Some((format!("{live}/{} LIVE", shown.len()), theme.warn))
    } else {
        let replay = app.latest().origin == Origin::Replay;
        let (word, style) = match shown.first().map(|v| &v.status.state) {
            Some(LinkState::Connecting) => ("CONNECTING", theme.dim),
            Some(LinkState::Backfilling) => ("BACKFILLING", theme.dim),
            Some(LinkState::Recorded) => ("", theme.dim),
            None if out.is_empty() => ("NO VENUE", theme.warn),
            None if replay => ("ENDED", theme.dim),
            None => ("NOT LISTED", theme.warn),
            Some(_) => ("NOT LIVE", theme.warn),
        };
        (!word.is_empty()).then(|| (word.to_owned(), style))
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
    if let Some(words) = course(app) {
        pieces.push(Piece::new(8, words, theme.dim));
    }
    if app.latest().now > 0 {
        let now = app.playback().map_or(app.snapshot().now, |p| p.at);
        pieces.push(Piece::new(5, text::time(now, "%H:%M:%SZ "), Style::new()));
    }
    pieces
}

/// How the picture came about, over the venues that are drawn: shares of the time in view.
fn course(app: &App) -> Option<String> {
    let parts = app.courses().all();
    let whole = parts.whole();
    let words =
        [(parts.live, "live"), (parts.kept, "kept"), (parts.told, "REST"), (parts.missing, "missing")];
    let told: Vec<String> = words
        .iter()
        .filter(|(part, _)| *part > 0)
        .map(|(part, word)| match part * 100 / whole {
            0 => format!("<1% {word}"),
            percent => format!("{percent}% {word}"),
        })
        .collect();
    (!told.is_empty()).then(|| told.join(" "))
}

/// What is wrong, in words: venues that are drawn but not live, and what was counted as lost.
fn notices(canvas: &Canvas<'_>) -> Vec<Piece<'static>> {
    let app = canvas.app;
    let mut pieces = Vec::new();
    if let Some(typed) = app.typed() {
        pieces.push(Piece::new(0, format!(" {typed}"), canvas.theme.strong));
    }
    if !app.settings.note.is_empty() {
        pieces.push(Piece::new(0, format!(" {}", app.settings.note), canvas.theme.warn));
    }
    let shown: Vec<&VenueView> = app.selection().venues(app.latest()).collect();
    let all_out = shown.iter().all(|v| is_out(v));
    // That a venue does not list the asset is worth a mark, not a line for ever.
    for view in shown.iter().filter(|v| all_out || !is_out(v)) {
        if let Some(words) = trouble(app, view) {
            // The first is never left out: it is cut at the edge instead.
            pieces.push(Piece::new(u8::from(!pieces.is_empty()), format!(" {words}"), canvas.theme.warn));
        }
    }
    let mut sum = Counters::default();
    let mut with_losses = Vec::new();
    for view in shown {
        let c = &view.status.counters;
        if c.missed + c.malformed + c.unknown + c.uncaptured > 0 {
            with_losses.push(view.venue);
            sum.add(c);
        }
    }
    let counts = [
        (sum.missed, "missed"),
        (sum.malformed, "unreadable"),
        (sum.unknown, "unknown"),
        (sum.uncaptured, "not captured"),
    ];
    let said: Vec<String> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    let who = match with_losses[..] {
        [] => return pieces,
        [venue] => venue.to_string(),
        _ => format!("{} venues", with_losses.len()),
    };
    pieces.push(Piece::new(2, format!(" {who}: {}", said.join(", ")), canvas.theme.warn));
    pieces
}

/// The keys worth knowing first, with their words in the hint bar.
const HINTS: [(&[Action], &str); 19] = [
    (&[Action::Help], "help"),
    (&[Action::Quit], "quit"),
    (&[Action::SymbolPicker], "symbol"),
    (&[Action::ThresholdDown, Action::ThresholdUp], "threshold"),
    (&[Action::NextRange], "range"),
    (&[Action::Model], "model"),
    (&[Action::Tiers], "tiers"),
    (&[Action::Venues], "venues"),
    (&[Action::Left, Action::Right], "crosshair"),
    (&[Action::PriceZoomIn, Action::PriceZoomOut], "zoom"),
    (&[Action::Difference], "changes"),
    (&[Action::Preset], "preset"),
    (&[Action::Freeze], "freeze"),
    (&[Action::MapBy], "map by venue"),
    (&[Action::Candles], "candles"),
    (&[Action::Palette], "palette"),
    (&[Action::LockScale], "lock scale"),
    (&[Action::WriteSnapshot], "picture"),
    (&[Action::Copy], "copy"),
];

/// The keys that drive a replay.
const REPLAY_HINTS: [(&[Action], &str); 6] = [
    (&[Action::Freeze], "play"),
    (&[Action::StepBack, Action::StepForward], "step"),
    (&[Action::Seek], "go to"),
    (&[Action::Slower, Action::Faster], "speed"),
    (&[Action::PreviousLiquidation, Action::NextLiquidation], "liquidation"),
    (&[Action::PreviousSweep, Action::NextSweep], "sweep"),
];

/// What a picture says of itself, so that it can be passed on: the clock above has no date.
fn caption(canvas: &Canvas<'_>) -> Vec<Piece<'static>> {
    let dim = canvas.theme.dim;
    let mut pieces = vec![Piece::new(4, concat!("meltline ", env!("CARGO_PKG_VERSION")), dim)];
    let now = canvas.app.snapshot().now;
    if now > 0 {
        pieces.insert(0, Piece::new(2, text::time(now, "%Y-%m-%d %H:%M:%SZ "), dim));
    }
    pieces.insert(0, Piece::new(3, "liquidation levels are estimates", dim));
    pieces
}

fn hints(canvas: &Canvas<'_>) -> Vec<Piece<'static>> {
    let keymap = &canvas.app.settings.keymap;
    let mut pieces = Vec::new();
    let folded = |a: &Action| *a == Action::MapBy && canvas.layout.map.is_none();
    let playback = canvas.app.playback();
    let usual = HINTS.iter().filter(|(a, _)| !a.iter().any(folded));
    let usual = usual.filter(|(a, _)| playback.is_none() || **a != [Action::Freeze]);
    let driving = REPLAY_HINTS.iter().filter(|_| playback.is_some());
    for (rank, (actions, word)) in driving.chain(usual).enumerate() {
        let keys: Vec<String> = actions.iter().filter_map(|a| keymap.hint(*a)).collect();
        if keys.len() == actions.len() {
            let mut piece = Piece::new(3 + rank as u8, format!(" {}", keys.join(" ")), canvas.theme.strong);
            let word = match (actions, canvas.app.settings.map_by) {
                ([Action::MapBy], MapBy::Venue) => "map by tier",
                ([Action::Freeze], _) if playback.is_some_and(|p| p.motion == Motion::Playing) => "pause",
                _ => word,
            };
            piece.spans.push(Span::styled(format!(" {word}"), canvas.theme.dim));
            pieces.push(piece);
        }
    }
    pieces
}
