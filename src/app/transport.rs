//! The keys that drive a replay.

use crossterm::event::{KeyCode, KeyEvent};

use super::popup::Popup;
use super::scale::{LEAST_SWEEP, PRINT_SIZES};
use super::seek::Prompt;
use super::{Action, App, Effect};
use crate::engine::Command;
use crate::engine::landmark::{Kind, Landmark};
use crate::engine::playback::{Playback, Transport};
use crate::market::Side;

impl App {
    /// How the replay does, if this is one.
    pub fn playback(&self) -> Option<&Playback> {
        self.latest.playback.as_ref()
    }

    /// A key that drives a replay, so many times; in any other picture it only says so.
    pub(super) fn drive(&mut self, action: Action, times: usize) -> Effect {
        if self.playback().is_none() {
            let key = self.settings.keymap.hint(action).unwrap_or_default();
            self.settings.note = format!("{key} ({}) drives a replay: meltline replay FILE", action.name());
            return Effect::Redraw;
        }
        let (columns, ms) = (times as i64, self.grid.geometry.dt);
        let asked = match action {
            Action::Freeze => Transport::PlayPause,
            Action::Faster | Action::Slower => Transport::Speed { faster: action == Action::Faster },
            Action::StepForward => Transport::Step { columns, ms },
            Action::StepBack => Transport::Step { columns: -columns, ms },
            Action::NextLiquidation | Action::PreviousLiquidation => match self.landmark(Kind::Liquidation) {
                Some(landmark) => Transport::Jump { forward: action == Action::NextLiquidation, landmark },
                None => return self.nothing_to_look_for(),
            },
            Action::NextSweep | Action::PreviousSweep => match self.landmark(Kind::Sweep) {
                Some(landmark) => Transport::Jump { forward: action == Action::NextSweep, landmark },
                None => return self.nothing_to_look_for(),
            },
            Action::Seek => {
                self.popup = Some(Popup::Seek(Prompt::default()));
                return Effect::Redraw;
            }
            _ => return Effect::None,
        };
        self.send(asked)
    }

    fn send(&mut self, asked: Transport) -> Effect {
        // Who asks to go somewhere wants to see it.
        if !matches!(asked, Transport::PlayPause | Transport::Speed { .. }) {
            self.viewport.end = None;
        }
        Effect::Command(Command::Replay(asked))
    }

    fn nothing_to_look_for(&mut self) -> Effect {
        "nothing is drawn yet that could be looked for".clone_into(&mut self.settings.note);
        Effect::Redraw
    }

    /// What the screen marks, in its cells and on its scale: the largest of the three sizes of liquidations, or a sweep.
    fn landmark(&self, kind: Kind) -> Option<Landmark> {
        let (g, top) = (self.grid.geometry, self.scale.top);
        let [.., largest] = PRINT_SIZES;
        let share = match kind {
            Kind::Liquidation => largest,
            Kind::Sweep => LEAST_SWEEP,
        };
        (top > 0.0).then(|| Landmark {
            kind,
            dt: g.dt,
            low: g.low,
            step: g.step,
            least: share * top,
            threshold: self.threshold,
            hidden: self.selection.hidden.clone(),
            sides: Side::BOTH.map(|side| self.selection.sides.has(side)),
        })
    }

    /// A key while a time is typed.
    pub(super) fn seek_key(&mut self, mut prompt: Prompt, key: KeyEvent, typed: Option<char>) -> Effect {
        match (key.code, typed) {
            (KeyCode::Esc, _) => return Effect::Redraw,
            (KeyCode::Enter, _) => {
                let at = self.playback().map_or(self.latest.now, |p| p.at);
                match prompt.time(at) {
                    Some(target) => return self.send(Transport::Seek(target)),
                    None if prompt.text.is_empty() => return Effect::Redraw,
                    None => prompt.is_refused = true,
                }
            }
            (KeyCode::Backspace, _) => prompt.pop(),
            (_, Some(c)) => prompt.push(c.encode_utf8(&mut [0; 4])),
            _ => {}
        }
        self.popup = Some(Popup::Seek(prompt));
        Effect::Redraw
    }

    /// The picture went back in time: nothing of what was later may stay.
    pub(super) fn go_back(&mut self) {
        let now = self.snapshot.now;
        self.viewport.end = self.viewport.end.filter(|end| *end < now);
        self.crosshair = self.crosshair.filter(|c| c.ts <= now + self.grid.geometry.dt);
        self.profile = super::Profile::default();
        self.criticality = super::Criticality::default();
        self.tape = super::Tape::default();
        self.resting = super::Resting::default();
        self.fit = super::Fit::default();
        self.liquidated.clear();
        self.liquidated_top = 0.0;
        self.went_back = true;
    }
}
