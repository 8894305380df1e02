//! The player: what is asked of it goes in, a stage is moved, pictures come out. No I/O and no clock of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::Snapshot;
use crate::engine::landmark::Landmark;
use crate::engine::market::GRACE;
use crate::engine::playback::{Motion, Playback, Speed, Transport};
use crate::estimate::Preset;

use super::stage::{Progress, Stage};

/// When the player wants its next turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// At once.
    Now,
    /// Then, or when something is asked.
    At(Instant),
    /// When something is asked.
    Asked,
}

/// Turns while it plays at a speed come no faster.
const LEAST_WAIT: Duration = Duration::from_millis(10);
/// A clock that is further behind, in seconds of ours, goes on from where it is.
const MOST_BEHIND: f64 = 0.25;
/// Whether something came up is looked at this often on a search, ms of market time.
const LOOK_EVERY: i64 = 60_000;

/// What it is on its way to.
#[derive(Debug, Clone)]
enum Way {
    /// A time, UTC ms; and whether it plays from there.
    To(i64, bool),
    /// The next of its kind after a time, UTC ms.
    Next(Landmark, i64),
}

/// Plays a stage.
pub struct Player<S> {
    stage: S,
    motion: Motion,
    way: Option<Way>,
    speed: Speed,
    /// What was known before is shown, UTC ms.
    at: i64,
    /// It stops here, UTC ms.
    to: i64,
    /// A moment, and the clock then.
    anchor: Option<(Instant, i64)>,
    told: Arc<str>,
    /// The picture before it went on its way.
    before: Option<Arc<Snapshot>>,
    seq: u64,
}

impl<S: Stage> Player<S> {
    /// It plays from a time on, where one is given, and never beyond another (UTC ms).
    pub fn new(stage: S, speed: Speed, from: Option<i64>, to: i64) -> Self {
        let at = stage.first();
        let mut player = Self {
            stage,
            motion: Motion::Playing,
            way: None,
            speed,
            at,
            to,
            anchor: None,
            told: Arc::from(""),
            before: None,
            seq: 0,
        };
        if from.is_some() || speed != Speed::Max {
            player.set_out(Way::To(from.unwrap_or(at), true));
            // Until there is something to see, what comes is shown.
            player.before = None;
        }
        player
    }

    /// What it plays.
    pub fn stage(&self) -> &S {
        &self.stage
    }

    /// What it played.
    pub fn into_stage(self) -> S {
        self.stage
    }

    /// What it does.
    pub fn motion(&self) -> Motion {
        self.motion
    }

    /// Its clock, UTC ms.
    pub fn at(&self) -> i64 {
        self.at
    }

    /// Makes another map's columns beside ours, or none.
    pub fn set_preset(&mut self, preset: Option<Preset>) {
        self.stage.set_preset(preset);
    }

    /// Takes in what is asked.
    pub fn ask(&mut self, asked: Transport) {
        self.told = Arc::from("");
        match asked {
            Transport::PlayPause => match self.motion {
                Motion::Playing => self.rest(Motion::Paused),
                Motion::Paused => self.set_motion(Motion::Playing),
                Motion::Ended => self.tell("this is the end: step or seek back"),
                Motion::Seeking(_) | Motion::Searching => {
                    self.tell("stopped on the way");
                    self.rest(Motion::Paused);
                }
            },
            Transport::Speed { faster } => {
                self.speed = self.speed.stepped(faster);
                self.anchor = None;
            }
            Transport::Step { columns, ms } => {
                let from = match self.way {
                    Some(Way::To(target, _)) => target,
                    _ => self.at,
                };
                // The boundary before, or the one after, whichever lies behind the step.
                let whole = if columns > 0 { from.div_euclid(ms) } else { (from + ms - 1).div_euclid(ms) };
                self.seek((whole + columns) * ms, false);
            }
            Transport::Seek(target) => {
                let plays = match (&self.way, self.motion) {
                    (Some(Way::To(_, plays)), _) => *plays,
                    (_, motion) => motion == Motion::Playing,
                };
                self.seek(target, plays);
            }
            Transport::Jump { forward: true, landmark } => {
                let at = self.at;
                self.set_out(Way::Next(landmark, at));
            }
            Transport::Jump { forward: false, landmark } => {
                if let Some(at) = self.stage.landmarks(&landmark, i64::MIN, self.at - 1).last() {
                    self.seek(*at, false);
                } else {
                    self.tell("none before this");
                    self.rest(Motion::Paused);
                }
            }
        }
    }

    fn tell(&mut self, words: &str) {
        self.told = Arc::from(words);
    }

    fn set_motion(&mut self, motion: Motion) {
        (self.motion, self.way, self.anchor, self.before) = (motion, None, None, None);
    }

    /// Stands where the stage stands.
    fn rest(&mut self, motion: Motion) {
        if self.way.is_some() {
            self.at = self.stage.first().max(self.stage.now() + 1);
        }
        self.set_motion(motion);
    }

    fn seek(&mut self, target: i64, plays: bool) {
        let first = self.stage.first();
        if target < first {
            self.tell("this is the beginning");
        } else if target > self.to {
            self.tell("it is played to here only");
        }
        let target = target.clamp(first, self.to.max(first));
        self.hold_picture();
        match self.stage.go(target) {
            Ok(()) => self.set_out(Way::To(target, plays)),
            Err(error) => {
                self.told = Arc::from(format!("{error:#}"));
                self.rest(Motion::Paused);
            }
        }
    }

    /// What is seen now is seen on the way, too.
    fn hold_picture(&mut self) {
        if self.way.is_none() && self.before.is_none() && self.seq > 0 {
            self.before = Some(self.picture());
        }
    }

    fn set_out(&mut self, way: Way) {
        self.hold_picture();
        self.motion = match &way {
            Way::To(target, _) => Motion::Seeking(*target),
            Way::Next(..) => Motion::Searching,
        };
        self.way = Some(way);
        self.anchor = None;
    }

    /// Does some work, at a moment, and says when there is more.
    pub fn turn(&mut self, now: Instant) -> Wake {
        match (self.way.clone(), self.motion) {
            (Some(Way::To(target, plays)), _) => {
                match self.stage.advance(target) {
                    Progress::More => {}
                    Progress::There => {
                        self.set_motion(if plays { Motion::Playing } else { Motion::Paused });
                        // Where nothing is known before the beginning, it begins with the first event.
                        let first = if self.stage.now() == 0 { self.stage.next_at() } else { None };
                        self.at = first.map_or(target, |at| at.max(target));
                    }
                    Progress::End => self.end(),
                }
                Wake::Now
            }
            (Some(Way::Next(landmark, looked)), _) => {
                self.search(landmark, looked);
                Wake::Now
            }
            (None, Motion::Playing) => self.play(now),
            (None, _) => Wake::Asked,
        }
    }

    fn play(&mut self, now: Instant) -> Wake {
        let Speed::Times(times) = self.speed else {
            match self.stage.advance(self.to) {
                Progress::More => self.at = self.at.max(self.stage.now() + 1),
                Progress::There | Progress::End => self.end(),
            }
            return Wake::Now;
        };
        let (begun, from) = *self.anchor.get_or_insert((now, self.at));
        let passed = now.saturating_duration_since(begun).as_secs_f64() * 1e3 * times;
        let clock = from.saturating_add(passed.round() as i64).min(self.to);
        match self.stage.advance(clock) {
            Progress::There if clock >= self.to => {
                self.end();
                Wake::Now
            }
            Progress::There => {
                self.at = clock;
                // An event is shown once the clock is past it; and the clock is seen to run.
                let next = self.stage.next_at().map_or(clock, |at| at + 1);
                let event = Duration::try_from_secs_f64((next - from) as f64 / 1e3 / times);
                let second = Duration::from_secs_f64((1.0 / times).clamp(0.1, 1.0));
                let due = event.map_or(now + second, |d| (begun + d).min(now + second));
                Wake::At(due.max(now + LEAST_WAIT))
            }
            Progress::More => {
                // What cannot be kept up with is not owed.
                self.at = self.at.max(self.stage.now() + 1);
                if (clock - self.at) as f64 / 1e3 / times > MOST_BEHIND {
                    self.anchor = Some((now, self.at));
                }
                Wake::Now
            }
            Progress::End => {
                self.end();
                Wake::Now
            }
        }
    }

    /// Goes on to where it can next be told whether something came up: so long after each minute that its columns are complete.
    fn search(&mut self, landmark: Landmark, looked: i64) {
        let after = |at: i64| ((at - GRACE).div_euclid(LOOK_EVERY) + 1) * LOOK_EVERY + GRACE;
        let next = self.stage.next_at().map_or(looked, |at| looked.max(at));
        let target = after(next).min(self.to);
        let progress = self.stage.advance(target);
        if progress == Progress::More {
            return;
        }
        let found = self.stage.landmarks(&landmark, looked, target).first().copied();
        match found {
            Some(at) => self.seek(at, false),
            None if progress == Progress::End || target >= self.to => {
                self.end();
                self.tell("none after this: this is the end");
            }
            None => self.way = Some(Way::Next(landmark, target)),
        }
    }

    fn end(&mut self) {
        self.at = (self.stage.now() + 1).min(self.to);
        self.set_motion(Motion::Ended);
    }

    /// What is to be seen now: on a way, what was seen before it.
    pub fn picture(&mut self) -> Arc<Snapshot> {
        let shown = match &self.before {
            Some(before) if self.way.is_some() => Arc::clone(before),
            _ => self.stage.picture(),
        };
        self.seq += 1;
        let playback = Playback {
            motion: self.motion,
            speed: self.speed,
            at: self.at,
            share: self.stage.share(self.at),
            is_kept: self.stage.is_kept(),
            is_bare: self.stage.is_bare(),
            told: Arc::clone(&self.told),
        };
        let snapshot = Arc::unwrap_or_clone(shown);
        Arc::new(Snapshot { seq: self.seq, playback: Some(playback), ..snapshot })
    }
}
