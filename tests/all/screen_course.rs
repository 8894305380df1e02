//! The screen tells how its picture came about: heard live, kept from an earlier run, told later by the venue, or missing; and whom it follows.

use std::sync::Arc;

use crossterm::event::KeyCode;
use meltline::app::{App, Message};
use meltline::engine::Snapshot;
use meltline::engine::snapshot::{Course, LinkState};
use meltline::estimate::Preset;

use crate::fixture::Market;
use crate::screen::{MINUTES, app, plain, press, text, typed};

const HOUR: i64 = 3_600_000;

/// A day of which the store had all until twelve hours ago, and streams are heard since an hour.
fn day(width: u16, height: u16) -> App {
    app(plain(), Arc::new(day_of(&LinkState::Live)), width, height)
}

/// The same, of links in a state.
fn day_of(state: &LinkState) -> Snapshot {
    let mut snapshot = Snapshot::clone(&Market::new(7, MINUTES).snapshot());
    let now = snapshot.now;
    for view in &mut snapshot.venues {
        view.status.state = state.clone();
        view.course = Course {
            first: Some(now - 13 * HOUR),
            restored: Some(now - 12 * HOUR),
            live: Some(now - HOUR),
            overlaps: 0,
        };
    }
    // One of them heard nothing for a while.
    let history = Arc::make_mut(&mut snapshot.venues[1].history);
    for columns in &mut history.ladder {
        columns.retain(|c| c.end() <= now - 4 * HOUR || c.start >= now - 3 * HOUR);
    }
    snapshot
}

#[test]
fn parts_of_the_picture_are_told_by_venue_and_together() {
    let app = day(200, 50);
    let venue = |i: usize| app.courses().of(app.latest().venues[i].venue).unwrap();
    assert_eq!((venue(0).live, venue(0).told), (HOUR, 11 * HOUR));
    assert!((HOUR..=HOUR + 600_000).contains(&(venue(1).missing - venue(0).missing)), "{:?}", venue(1));
    assert_eq!(venue(0).live, venue(1).live);
    let whole = venue(0).whole();
    assert_eq!(whole, venue(1).whole());
    assert!((18 * HOUR..=30 * HOUR).contains(&whole), "about a day: {whole} ms");
    let first = text(&app).lines().next().unwrap().to_owned();
    assert!(first.contains("% live") && first.contains("% kept") && first.contains("% REST"), "{first}");
}

#[test]
fn the_panel_of_venues_tells_it_in_full_and_recordings_tell_nothing() {
    let mut app = day(160, 50);
    press(&mut app, KeyCode::Char('x'));
    let panel = text(&app);
    assert!(panel.contains("in view:") && panel.contains("1h live since"), "{panel}");
    assert!(panel.contains("kept from an earlier run until") && panel.contains("11h told later"), "{panel}");
    let recorded = app_of(&mut Market::new(7, MINUTES));
    assert_eq!(recorded.courses().all().whole(), 0);
    assert!(!text(&recorded).contains("% kept"));
}

#[test]
fn a_recording_that_plays_tells_nothing_of_who_heard_it() {
    for state in [LinkState::Recorded, LinkState::Ended] {
        let recorded = app(plain(), Arc::new(day_of(&state)), 200, 50);
        assert_eq!(recorded.courses().all().whole(), 0);
        assert!(!text(&recorded).contains("% REST"));
    }
}

fn app_of(market: &mut Market) -> App {
    app(plain(), market.snapshot(), 160, 50)
}

#[test]
fn who_is_followed_is_named_and_presets_are_said_to_be_missing() {
    let mut market = Market::new(7, MINUTES);
    let mut snapshot = Snapshot::clone(&market.snapshot());
    snapshot.followed = Some("collect 4711".into());
    let followed = Arc::new(snapshot);
    let mut app = app(plain(), Arc::clone(&followed), 160, 50);
    assert!(text(&app).lines().next().unwrap().contains("follows collect 4711"));
    typed(&mut app, "P");
    assert!(app.settings.preset.is_none());
    assert!(text(&app).contains("no presets: collect 4711 has the feeds"), "{}", text(&app));

    // Chosen while the feeds were ours.
    let mut app = app_of(&mut market);
    typed(&mut app, "P");
    assert!(app.settings.preset.is_some());
    app.update(Message::Snapshot(Arc::clone(&followed)));
    assert_eq!(app.settings.preset, None);
    assert!(text(&app).contains("no presets"));

    let mut settings = plain();
    settings.preset = Some(Preset::ALL[0]);
    let app = crate::screen::app(settings, followed, 160, 50);
    assert_eq!(app.settings.preset, None);
}
