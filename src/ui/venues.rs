//! What a venue's feed is doing, in a mark and in words.

use ratatui::style::Style;

use crate::app::App;
use crate::engine::snapshot::LinkState;
use crate::engine::{Origin, VenueView};

use super::palette::Theme;
use super::text;

/// Whether the venue has nothing to deliver: no contract of the asset, or a recording that is at its end.
pub fn is_out(view: &VenueView) -> bool {
    view.status.state == LinkState::Ended
}

/// A mark of one cell for its state.
pub fn mark(app: &App, theme: &Theme, view: &VenueView) -> (&'static str, Style) {
    match &view.status.state {
        _ if app.selection().hidden.contains(&view.venue) => ("-", theme.dim),
        _ if app.stale(view) => ("!", theme.warn),
        LinkState::Live | LinkState::Recorded => ("●", theme.good),
        LinkState::Connecting | LinkState::Backfilling => ("○", theme.dim),
        LinkState::Ended if app.latest().origin == Origin::Replay => ("■", theme.dim),
        LinkState::Ended => ("∅", theme.dim),
        LinkState::Silent { .. } => ("!", theme.warn),
        LinkState::Reconnecting { .. } => ("↻", theme.warn),
        LinkState::Blocked => ("×", theme.warn),
    }
}

/// Its state in words.
pub fn words(app: &App, view: &VenueView) -> String {
    if let Some(age) = app.age(view).filter(|_| app.stale(view)) {
        return format!("no data for {}", text::span(age.as_millis() as i64));
    }
    match &view.status.state {
        LinkState::Live => "live".to_owned(),
        LinkState::Recorded => "recorded".to_owned(),
        LinkState::Connecting => "connecting".to_owned(),
        LinkState::Backfilling => "fetching history".to_owned(),
        LinkState::Silent { stream } => format!("silent: {stream}"),
        LinkState::Reconnecting { .. } => match app.retry_in(view) {
            Some(seconds) => format!("reconnecting in {seconds} s"),
            None => "reconnecting".to_owned(),
        },
        LinkState::Blocked => "blocked here".to_owned(),
        LinkState::Ended if app.latest().origin == Origin::Replay => "ended".to_owned(),
        LinkState::Ended => "not listed".to_owned(),
    }
}

/// Why a venue is not live, with its own words; `None` if there is nothing to say.
pub fn trouble(app: &App, view: &VenueView) -> Option<String> {
    let note = &view.status.note;
    let fine = matches!(view.status.state, LinkState::Live | LinkState::Recorded | LinkState::Ended);
    let state = match fine && !app.stale(view) {
        true if note.is_empty() => return None,
        true if !is_out(view) => "note".to_owned(),
        _ => words(app, view),
    };
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
