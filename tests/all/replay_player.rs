//! The player of `replay`: commands go in, a stage is moved by them and by time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use meltline::command::replay::player::{Player, Wake};
use meltline::command::replay::stage::{Progress, Stage};
use meltline::engine::landmark::{Kind, Landmark};
use meltline::engine::playback::{Motion, Speed, Transport};
use meltline::engine::{Engine, Origin, Snapshot};
use meltline::estimate::{BinTable, Preset};

/// Events by their times; each advance takes in two at most.
struct Fake {
    events: Vec<i64>,
    taken: usize,
    landmarks: Vec<i64>,
}

impl Stage for Fake {
    fn first(&self) -> i64 {
        self.events[0]
    }

    fn now(&self) -> i64 {
        self.events[..self.taken].last().copied().unwrap_or(0)
    }

    fn next_at(&mut self) -> Option<i64> {
        self.events.get(self.taken).copied()
    }

    fn advance(&mut self, until: i64) -> Progress {
        for _ in 0..2 {
            match self.events.get(self.taken) {
                None => return Progress::End,
                Some(at) if *at >= until => return Progress::There,
                Some(_) => self.taken += 1,
            }
        }
        Progress::More
    }

    fn go(&mut self, target: i64) -> anyhow::Result<()> {
        if self.now() >= target {
            self.taken = 0;
        }
        Ok(())
    }

    fn landmarks(&self, _: &Landmark, from: i64, until: i64) -> Vec<i64> {
        self.landmarks.iter().copied().filter(|at| (from + 1..=until).contains(at)).collect()
    }

    fn set_preset(&mut self, _: Option<Preset>) {}

    fn share(&self, _: i64) -> f64 {
        self.taken as f64 / self.events.len() as f64
    }

    fn picture(&mut self) -> Arc<Snapshot> {
        let mut engine =
            Engine::new("BTC".parse().unwrap(), Origin::Replay, Arc::new(BinTable::new(500.0)), &[]);
        Arc::new(Snapshot { now: self.now(), ..Arc::unwrap_or_clone(engine.snapshot()) })
    }
}

const MINUTE: i64 = 60_000;
/// A whole multiple of ten minutes.
const START: i64 = 1_700_000_400_000;

/// An event every ten seconds for an hour.
fn fake() -> Fake {
    let events = (0..360).map(|i| START + i * 10_000).collect();
    Fake { events, taken: 0, landmarks: [12, 33].map(|m| START + m * MINUTE + 2_000).to_vec() }
}

fn landmark() -> Landmark {
    Landmark {
        kind: Kind::Liquidation,
        dt: MINUTE,
        low: 0.0,
        step: 1.0,
        least: 1.0,
        threshold: 0.0,
        hidden: Vec::new(),
        sides: [true, true],
    }
}

/// Turns until it waits.
fn settle(player: &mut Player<Fake>, now: Instant) -> Wake {
    loop {
        match player.turn(now) {
            Wake::Now => {}
            wake => return wake,
        }
    }
}

fn paused_at(minute: i64) -> Player<Fake> {
    let mut player = Player::new(fake(), Speed::Times(1.0), None, i64::MAX);
    player.ask(Transport::Seek(START + minute * MINUTE));
    settle(&mut player, Instant::now());
    if player.motion() == Motion::Playing {
        player.ask(Transport::PlayPause);
    }
    assert_eq!((player.at(), player.motion()), (START + minute * MINUTE, Motion::Paused));
    player
}

/// Asks, settles, and tells the clock in ms since the start and what it does then.
fn asked(player: &mut Player<Fake>, transport: Transport) -> (i64, Motion) {
    player.ask(transport);
    settle(player, Instant::now());
    (player.at() - START, player.motion())
}

#[test]
fn it_plays_by_the_times_of_the_events() {
    let begin = Instant::now();
    let mut player = Player::new(fake(), Speed::Times(10.0), None, i64::MAX);
    // The clock runs from the first event; at ten times the speed the second is due a second later.
    let wake = settle(&mut player, begin);
    assert_eq!((player.stage().taken, player.motion()), (0, Motion::Playing));
    assert!(matches!(wake, Wake::At(due) if due <= begin + Duration::from_millis(100)));
    settle(&mut player, begin + Duration::from_millis(999));
    assert_eq!((player.stage().taken, player.at()), (1, START + 9_990));
    settle(&mut player, begin + Duration::from_millis(1_001));
    assert_eq!((player.stage().taken, player.at()), (2, START + 10_010));
    // While it stands no time goes by.
    player.ask(Transport::PlayPause);
    assert_eq!(settle(&mut player, begin + Duration::from_secs(2)), Wake::Asked);
    player.ask(Transport::PlayPause);
    settle(&mut player, begin + Duration::from_secs(100));
    assert_eq!(player.at(), START + 10_010);
    // Another speed holds from now on.
    player.ask(Transport::Speed { faster: true });
    settle(&mut player, begin + Duration::from_secs(101));
    settle(&mut player, begin + Duration::from_secs(102));
    assert_eq!(player.at(), START + 30_010);
}

#[test]
fn at_full_speed_it_plays_to_the_end_and_stays_there() {
    let mut player = Player::new(fake(), Speed::Max, None, i64::MAX);
    assert_eq!(settle(&mut player, Instant::now()), Wake::Asked);
    assert_eq!((player.motion(), player.at()), (Motion::Ended, START + 3_590_001));
    let playback = player.picture().playback.clone().unwrap();
    assert_eq!((playback.share, playback.at), (1.0, START + 3_590_001));
    assert_eq!(asked(&mut player, Transport::PlayPause), (3_590_001, Motion::Ended));
    assert!(player.picture().playback.as_ref().unwrap().told.contains("end"));
    // Back from there, and on from here.
    assert_eq!(asked(&mut player, Transport::Step { columns: -1, ms: 10 * MINUTE }).0, 50 * MINUTE);
    assert_eq!(asked(&mut player, Transport::PlayPause), (3_590_001, Motion::Ended));
}

#[test]
fn it_stops_where_it_is_told_to() {
    let mut player = Player::new(fake(), Speed::Max, Some(START + 5 * MINUTE), START + 7 * MINUTE);
    settle(&mut player, Instant::now());
    assert_eq!((player.motion(), player.stage().now()), (Motion::Ended, START + 7 * MINUTE - 10_000));
    assert_eq!(asked(&mut player, Transport::Seek(START + 30 * MINUTE)).0, 7 * MINUTE);
}

#[test]
fn a_step_goes_to_the_next_boundary_and_many_add_up() {
    let mut player = paused_at(7);
    let step = |columns| Transport::Step { columns, ms: 5 * MINUTE };
    assert_eq!(asked(&mut player, step(1)), (10 * MINUTE, Motion::Paused));
    assert_eq!(asked(&mut player, step(1)), (15 * MINUTE, Motion::Paused));
    assert_eq!(player.stage().now(), START + 15 * MINUTE - 10_000, "what was known before");
    assert_eq!(asked(&mut player, step(-1)), (10 * MINUTE, Motion::Paused));
    assert_eq!(asked(&mut player, step(4)).0, 30 * MINUTE);
    // Pressed faster than it goes.
    player.ask(step(-1));
    player.ask(step(-1));
    assert_eq!(asked(&mut player, step(-1)).0, 15 * MINUTE);
    let mut player = paused_at(7);
    assert_eq!(asked(&mut player, step(-1)).0, 5 * MINUTE);
}

#[test]
fn a_seek_keeps_it_playing_or_standing_and_stays_within_the_recording() {
    let mut player = paused_at(7);
    assert_eq!(asked(&mut player, Transport::Seek(START + 40 * MINUTE)), (40 * MINUTE, Motion::Paused));
    assert_eq!(asked(&mut player, Transport::Seek(START + 3 * MINUTE)), (3 * MINUTE, Motion::Paused));
    assert_eq!(player.stage().taken, 18);
    assert_eq!(asked(&mut player, Transport::Seek(0)), (0, Motion::Paused));
    assert!(player.picture().playback.as_ref().unwrap().told.contains("beginning"));
    player.ask(Transport::PlayPause);
    assert_eq!(asked(&mut player, Transport::Seek(START + 9 * MINUTE)), (9 * MINUTE, Motion::Playing));
    assert_eq!(asked(&mut player, Transport::Seek(START + 90 * MINUTE)), (3_590_001, Motion::Ended));
}

#[test]
fn on_the_way_the_picture_stays_and_another_key_ends_it() {
    let mut player = paused_at(30);
    player.picture();
    player.ask(Transport::Seek(START + 20 * MINUTE));
    player.turn(Instant::now());
    let picture = player.picture();
    assert_eq!(picture.now, START + 30 * MINUTE - 10_000, "the one from before");
    assert_eq!(picture.playback.as_ref().unwrap().motion, Motion::Seeking(START + 20 * MINUTE));
    player.ask(Transport::PlayPause);
    assert_eq!(player.turn(Instant::now()), Wake::Asked);
    let picture = player.picture();
    assert_eq!((picture.now, player.at()), (START + 10_000, START + 10_001));
    assert!(picture.playback.as_ref().unwrap().told.contains("stopped"));
}

#[test]
fn jumps_stop_at_what_is_looked_for_and_say_when_there_is_none() {
    let jump = |forward| Transport::Jump { forward, landmark: landmark() };
    let mut player = paused_at(7);
    assert_eq!(asked(&mut player, jump(true)), (12 * MINUTE + 2_000, Motion::Paused));
    assert_eq!(asked(&mut player, jump(true)), (33 * MINUTE + 2_000, Motion::Paused));
    assert_eq!(asked(&mut player, jump(false)), (12 * MINUTE + 2_000, Motion::Paused));
    assert_eq!(asked(&mut player, jump(false)), (12 * MINUTE + 2_000, Motion::Paused));
    let told = |player: &mut Player<Fake>| player.picture().playback.as_ref().unwrap().told.to_string();
    assert_eq!(told(&mut player), "none before this");
    asked(&mut player, jump(true));
    assert_eq!(asked(&mut player, jump(true)).1, Motion::Ended);
    assert!(told(&mut player).starts_with("none after this"));
}
