//! The keys that drive a replay, and what it shows of itself.

use std::sync::Arc;

use crossterm::event::KeyCode;
use meltline::app::settings::Depth;
use meltline::app::{App, Effect, Keymap, Message, Settings};
use meltline::engine::landmark::Kind;
use meltline::engine::playback::{Motion, Playback, Speed, Transport};
use meltline::engine::{Command, Origin, Snapshot};

use crate::fixture::Market;
use crate::screen::{MINUTES, app, plain, press, text, typed};

/// The fixture's market as a replay, its clock half a second after its newest event.
fn replay(motion: Motion, change: impl FnOnce(&mut Playback)) -> Arc<Snapshot> {
    let mut snapshot = Snapshot::clone(&Market::new(3, MINUTES).snapshot());
    let mut playback = Playback {
        motion,
        speed: Speed::Times(10.0),
        at: snapshot.now + 500,
        share: 0.348,
        is_kept: false,
        is_bare: false,
        told: Arc::from(""),
    };
    change(&mut playback);
    snapshot.origin = Origin::Replay;
    snapshot.playback = Some(playback);
    Arc::new(snapshot)
}

fn on(motion: Motion) -> App {
    app(plain(), replay(motion, |_| ()), 160, 50)
}

fn asked(app: &mut App, keys: &str) -> Transport {
    match typed(app, keys) {
        Effect::Command(Command::Replay(asked)) => asked,
        other => panic!("{keys}: {other:?}"),
    }
}

#[test]
fn keys_ask_the_player_and_space_plays_instead_of_freezing() {
    let mut app = on(Motion::Playing);
    let ms = app.grid().geometry.dt;
    assert_eq!(asked(&mut app, " "), Transport::PlayPause);
    assert!(!app.frozen());
    assert_eq!(asked(&mut app, "."), Transport::Step { columns: 1, ms });
    assert_eq!(asked(&mut app, ","), Transport::Step { columns: -1, ms });
    assert_eq!(asked(&mut app, "12,"), Transport::Step { columns: -12, ms });
    assert_eq!(asked(&mut app, "*"), Transport::Speed { faster: true });
    assert_eq!(asked(&mut app, "/"), Transport::Speed { faster: false });
    let top = app.scale().top;
    for (keys, forward, kind, least) in [
        ("J", true, Kind::Liquidation, 0.3 * top),
        ("K", false, Kind::Liquidation, 0.3 * top),
        ("X", true, Kind::Sweep, 0.5 * top),
        ("Z", false, Kind::Sweep, 0.5 * top),
    ] {
        let Transport::Jump { forward: on, landmark } = asked(&mut app, keys) else { panic!("{keys}") };
        assert_eq!((on, landmark.kind, landmark.least, landmark.dt), (forward, kind, least, ms));
        assert_eq!((landmark.low, landmark.step), (app.grid().geometry.low, app.grid().geometry.step));
        assert_eq!(landmark.threshold, app.threshold());
    }
}

#[test]
fn a_time_is_typed_and_refused_in_words() {
    let mut app = on(Motion::Paused);
    let at = app.playback().unwrap().at;
    typed(&mut app, ":-2h");
    assert!(text(&app).contains("> -2h"), "{}", text(&app));
    let seek = |effect| match effect {
        Effect::Command(Command::Replay(Transport::Seek(at))) => at,
        other => panic!("{other:?}"),
    };
    assert_eq!(seek(press(&mut app, KeyCode::Enter)), at - 7_200_000);
    assert!(app.popup().is_none());
    typed(&mut app, ":noon");
    press(&mut app, KeyCode::Enter);
    assert!(text(&app).contains("no time: 14:30"), "{}", text(&app));
    press(&mut app, KeyCode::Backspace);
    press(&mut app, KeyCode::Esc);
    assert!(app.popup().is_none());
    typed(&mut app, ":");
    app.update(Message::Paste("1718755200000\n".to_owned()));
    assert_eq!(seek(press(&mut app, KeyCode::Enter)), 1_718_755_200_000);
}

#[test]
fn in_a_live_picture_the_keys_only_say_what_they_are_for() {
    for keys in [".", ",", ":", "*", "/", "J", "K", "X", "Z"] {
        let mut app = app(plain(), Market::new(3, 120).snapshot(), 120, 40);
        assert_eq!(typed(&mut app, keys), Effect::Redraw);
        assert!(app.popup().is_none() && text(&app).contains("drives a replay"), "{keys}");
    }
    let mut app = app(plain(), Market::new(3, 120).snapshot(), 120, 40);
    assert_eq!(typed(&mut app, " "), Effect::Redraw);
    assert!(app.frozen());
}

#[test]
fn hints_come_from_the_keymap() {
    let keymap = Keymap::with([("step_forward", vec!["tab"]), ("seek", vec!["z t"])]).unwrap();
    let app = app(Settings { keymap, ..plain() }, replay(Motion::Paused, |_| ()), 200, 50);
    let words = text(&app);
    assert!(words.contains(", tab step") && words.contains("z t go to"), "{words}");
}

#[test]
fn a_transport_says_what_it_does_without_colour_at_every_size() {
    for (motion, plain_sign, sign) in [
        (Motion::Playing, " > 10×", " ▶ 10×"),
        (Motion::Paused, " || 10×", " ‖ 10×"),
        (Motion::Ended, " [] 10×", " ■ 10×"),
        (Motion::Searching, " >> 10×", " » 10×"),
    ] {
        for (width, height) in [(160, 50), (80, 24), (50, 20), (40, 10)] {
            for (depth, sign) in [(Depth::None, plain_sign), (Depth::True, sign)] {
                let settings = Settings { depth, ..Settings::default() };
                let app = app(settings, replay(motion, |_| ()), width, height);
                let words = text(&app);
                assert!(words.contains(&sign[1..]) && words.contains("REPLAY"), "{width}x{height}\n{words}");
                if height >= 12 {
                    assert!(words.contains("34%"), "{width}x{height}\n{words}");
                }
            }
        }
    }
}

#[test]
fn what_cannot_be_done_and_what_is_played_are_told() {
    let told = |p: &mut Playback| {
        p.told = Arc::from("none after this: this is the end");
        p.is_kept = true;
    };
    let mut app = app(plain(), replay(Motion::Ended, told), 80, 24);
    let words = text(&app);
    assert!(words.contains("none after this") && words.contains("REPLAY of kept columns"), "{words}");
    typed(&mut app, "P");
    assert!(text(&app).contains("kept columns hold no other map"));
}

#[test]
fn the_transport_at_three_sizes() {
    for (width, height) in [(160, 50), (80, 24), (50, 20)] {
        let rows = |app: &App| {
            let words = text(app);
            let lines: Vec<&str> = words.lines().collect();
            [lines[0], lines[lines.len() - 1]].join("\n")
        };
        let shown: Vec<String> = [
            replay(Motion::Playing, |_| ()),
            replay(Motion::Paused, |p| p.is_kept = true),
            replay(Motion::Seeking(1_700_000_000_000), |_| ()),
            replay(Motion::Ended, |p| (p.share, p.speed) = (1.0, Speed::Max)),
        ]
        .map(|snapshot| rows(&app(Settings { depth: Depth::True, ..plain() }, snapshot, width, height)))
        .to_vec();
        insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(format!("transport_{width}x{height}"), shown.join("\n\n"));
        });
    }
}
