//! What each key does to the screen.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::market::Side;

use crate::engine::Command;
use crate::estimate::{TIERS, Tier, TierSet};
use crate::market::{Asset, Interval};

use super::keymap::{Chord, Meaning};
use super::model::View;
use super::popup::{Picker, Popup};
use super::typed::Typed;
use super::viewport::Viewport;
use super::{Action, App, Crosshair, Effect, layout, manual, model, settings};

/// Share of the view's height that price moves by.
const PAN: f64 = 0.25;

fn toggle(switch: &mut bool) {
    *switch = !*switch;
}

impl App {
    pub(super) fn paste(&mut self, text: &str) -> Effect {
        match &mut self.popup {
            Some(Popup::Picker(picker)) => picker.push(text, &self.latest.assets),
            Some(Popup::Seek(prompt)) => prompt.push(text),
            _ => return Effect::None,
        }
        Effect::Redraw
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Effect {
        if key.kind == KeyEventKind::Release {
            return Effect::None;
        }
        // It was seen, or it is in the way.
        self.settings.note.clear();
        match self.popup.take() {
            Some(popup) => self.popup_key(popup, key),
            None => self.typed_key(key.into()),
        }
    }

    /// A key while no popup is open: a digit of a number, one of several keys, or an action.
    fn typed_key(&mut self, key: Chord) -> Effect {
        let typing = !self.typed.is_empty();
        if self.typed.take_digit(key) {
            return Effect::Redraw;
        }
        self.typed.keys.push(key);
        match self.settings.keymap.meaning(&self.typed.keys) {
            Meaning::Begins => Effect::Redraw,
            Meaning::Action(action) => {
                let typed = std::mem::take(&mut self.typed);
                // What was begun is given up first.
                if action == Action::Close && typing {
                    return Effect::Redraw;
                }
                match self.act_numbered(action, &typed) {
                    Effect::None if typing => Effect::Redraw,
                    effect => effect,
                }
            }
            Meaning::Nothing => {
                let began = self.typed.keys.len() > 1;
                self.typed = Typed::default();
                // The last of several that mean nothing together may mean something alone.
                match if began { self.typed_key(key) } else { Effect::None } {
                    Effect::None if typing => Effect::Redraw,
                    effect => effect,
                }
            }
        }
    }

    /// An action with a number before its key: the threshold or the cut itself, or how often.
    fn act_numbered(&mut self, action: Action, typed: &Typed) -> Effect {
        match (action, typed.number()) {
            (Action::ThresholdDown | Action::ThresholdUp, Some(number)) => {
                self.settings.threshold = self.settings.threshold.set(number);
                self.changed_scale(false);
                Effect::Redraw
            }
            (Action::CutDown | Action::CutUp, Some(number)) => {
                self.settings.cut = self.settings.cut.set(number);
                self.changed_scale(true);
                Effect::Redraw
            }
            (Action::StepForward | Action::StepBack, Some(_)) => self.drive(action, typed.times()),
            (action, Some(_)) if action.repeats() => {
                let mut effect = Effect::None;
                for _ in 0..typed.times() {
                    effect = self.act(action);
                }
                effect
            }
            _ => self.act(action),
        }
    }

    /// Shows ours where no other map's columns are to be had: another process has the feeds. Says whether that is so.
    pub(super) fn leave_presets(&mut self, is_asked: bool) -> bool {
        let Some(who) = &self.latest.followed else { return false };
        if is_asked {
            self.settings.note = format!("no presets: {who} has the feeds, and tells our columns only");
        }
        self.settings.preset = None;
        if let View::Preset(_) | View::Against(_) = self.selection.view {
            self.selection.view = View::Ours;
        }
        true
    }

    /// The threshold or the ends of the scale were changed; whether the scale forgets what it has seen.
    fn changed_scale(&mut self, forgets: bool) {
        if forgets {
            self.scale.reset();
            self.others.reread(&self.selection);
        }
        self.rescale(true);
        self.grid.shade(self.shading());
        self.reread();
    }

    /// A key while a popup is open. The popup was taken out; whoever keeps it open puts it back.
    #[expect(clippy::too_many_lines, reason = "an arm a popup")]
    fn popup_key(&mut self, mut popup: Popup, key: KeyEvent) -> Effect {
        let action = self.settings.keymap.action(key);
        let typed = match key.code {
            KeyCode::Char(c) if !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => {
                Some(c)
            }
            _ => None,
        };
        if let Popup::Seek(prompt) = popup {
            return self.seek_key(prompt, key, typed);
        }
        let digit = typed.and_then(|c| c.to_digit(10)).and_then(|d| (d as usize).checked_sub(1));
        let types = matches!(popup, Popup::Picker(_));
        let step = match (key.code, action) {
            (KeyCode::Up, _) => -1,
            (KeyCode::Down, _) => 1,
            (KeyCode::PageUp, _) => -10,
            (KeyCode::PageDown, _) => 10,
            (_, Some(Action::Up)) if !types => -1,
            (_, Some(Action::Down)) if !types => 1,
            _ => 0,
        };
        let turn = match (key.code, action) {
            (KeyCode::Left | KeyCode::BackTab, _) | (_, Some(Action::Left)) => manual::COUNT - 1,
            (KeyCode::Right | KeyCode::Tab, _) | (_, Some(Action::Right)) => 1,
            _ => 0,
        };
        let venues = self.latest.venues.len();
        match (&mut popup, key.code) {
            (_, KeyCode::Esc) | (Popup::Help { .. }, KeyCode::Enter) => return Effect::Redraw,
            (Popup::Picker(picker), KeyCode::Enter) => {
                return match picker.choice() {
                    Some(asset) => self.watch(asset),
                    None => Effect::Redraw,
                };
            }
            (Popup::Watchlist(row), KeyCode::Enter) => {
                return match self.watchlist().get(*row) {
                    Some(asset) => self.watch(*asset),
                    None => Effect::Redraw,
                };
            }
            (Popup::Picker(picker), KeyCode::Backspace) => picker.pop(&self.latest.assets),
            (Popup::Picker(picker), _) if typed.is_some() => {
                picker.push(&typed.map(String::from).unwrap_or_default(), &self.latest.assets);
            }
            (Popup::Picker(picker), _) if step != 0 => picker.step(step),
            (Popup::Help { page, top }, _) if step != 0 => {
                let rows = usize::from(self.size.1.saturating_sub(2));
                let cells = usize::from(self.size.0.saturating_sub(4));
                let keymap = &self.settings.keymap;
                let lines = manual::lines(*page, keymap, manual::width(*page, keymap).min(cells)).len();
                *top = top.saturating_add_signed(step).min(lines.saturating_sub(rows));
            }
            (Popup::Help { page, top }, _) if turn != 0 => {
                (*page, *top) = ((*page + turn) % manual::COUNT, 0);
            }
            (Popup::Tiers(row), _) if step != 0 => *row = row.saturating_add_signed(step).min(TIERS - 1),
            (Popup::Venues(row), _) if step != 0 => {
                *row = row.saturating_add_signed(step).min(venues.saturating_sub(1));
            }
            (Popup::Watchlist(row), _) if step != 0 => {
                *row = row.saturating_add_signed(step).min(self.watchlist().len().saturating_sub(1));
            }
            (Popup::Tiers(row), KeyCode::Enter | KeyCode::Char(' ' | '1'..='7')) => {
                *row = digit.unwrap_or(*row);
                self.selection.tiers = self.selection.tiers.toggled(Tier::ALL[*row]);
                self.refresh();
            }
            (Popup::Tiers(_), KeyCode::Char('a')) => {
                self.selection.tiers = TierSet::ALL;
                self.refresh();
            }
            (Popup::Venues(row), KeyCode::Enter | KeyCode::Char(' ' | '1'..='9')) => {
                let chosen = digit.unwrap_or(*row);
                if chosen < venues {
                    *row = chosen;
                    self.toggle_venue(chosen);
                }
            }
            (Popup::Venues(_), KeyCode::Char('a')) => {
                self.selection.hidden.clear();
                self.refresh();
            }
            // Every other key means what it always means, and closes the popup; the popup's own key just closes it.
            _ => {
                let opens = match popup {
                    Popup::Help { .. } => Action::Help,
                    Popup::Picker(_) => Action::SymbolPicker,
                    Popup::Tiers(_) => Action::Tiers,
                    Popup::Venues(_) => Action::Venues,
                    Popup::Watchlist(_) => Action::Watchlist,
                    Popup::Seek(_) => Action::Seek,
                };
                return match action {
                    Some(a) if a == opens => Effect::Redraw,
                    Some(a) => match self.act(a) {
                        Effect::None => Effect::Redraw,
                        effect => effect,
                    },
                    None => {
                        self.popup = Some(popup);
                        Effect::None
                    }
                };
            }
        }
        self.popup = Some(popup);
        Effect::Redraw
    }

    fn toggle_venue(&mut self, row: usize) {
        let Some(venue) = self.latest.venues.get(row).map(|v| v.venue) else { return };
        match self.selection.hidden.iter().position(|v| *v == venue) {
            Some(i) => {
                self.selection.hidden.remove(i);
            }
            None => self.selection.hidden.push(venue),
        }
        self.refresh();
    }

    #[expect(clippy::too_many_lines, reason = "a line or two an action")]
    fn act(&mut self, action: Action) -> Effect {
        match action {
            Action::Quit => return Effect::Quit,
            Action::Suspend => return Effect::Suspend,
            Action::SymbolPicker => self.popup = Some(Popup::Picker(Picker::new(&self.latest.assets))),
            Action::NextSymbol => return self.step_symbol(1),
            Action::PreviousSymbol => return self.step_symbol(-1),
            Action::ThresholdDown => self.settings.threshold = self.settings.threshold.stepped(false),
            Action::ThresholdUp => self.settings.threshold = self.settings.threshold.stepped(true),
            Action::CutDown => self.settings.cut = self.settings.cut.stepped(false),
            Action::CutUp => self.settings.cut = self.settings.cut.stepped(true),
            Action::ThresholdUnit => {
                let unit = self.settings.threshold.unit.next();
                self.settings.threshold = self.settings.threshold.in_unit(unit, &self.cells);
                self.settings.cut = self.settings.cut.in_unit(unit, &self.cells);
            }
            Action::LockScale => self.scale.locked = !self.scale.locked,
            Action::NextRange => self.step_range(1),
            Action::PreviousRange => self.step_range(-1),
            Action::CandleInterval => self.settings.candle_interval = self.next_candle_interval(),
            Action::Candles => self.settings.candles = !self.settings.candles,
            Action::Model => {
                self.settings.model = self.settings.model.next();
                self.selection.model = self.settings.model;
            }
            Action::Difference => {
                let change = View::Change(self.settings.difference.ms());
                self.selection.view = match self.selection.view {
                    View::Preset(preset) => View::Against(preset),
                    View::Ours | View::Against(_) => change,
                    View::Change(_) => self.settings.preset.map_or(View::Ours, View::Preset),
                };
            }
            Action::Preset if self.playback().is_some_and(|p| p.is_kept) => {
                "kept columns hold no other map's levels".clone_into(&mut self.settings.note);
                return Effect::Redraw;
            }
            // Other maps' columns are made by an engine of our own.
            Action::Preset if self.leave_presets(true) => {}
            Action::Preset => {
                let preset = model::next_preset(self.settings.preset);
                self.settings.preset = preset;
                let is_compared = matches!(self.selection.view, View::Against(_));
                self.selection.view = match preset {
                    Some(preset) if is_compared => View::Against(preset),
                    Some(preset) => View::Preset(preset),
                    None => View::Ours,
                };
            }
            Action::Tiers => self.popup = Some(Popup::Tiers(0)),
            Action::Venues => self.popup = Some(Popup::Venues(0)),
            Action::Bars => toggle(&mut self.settings.kept.panels.bars),
            Action::Depth => toggle(&mut self.settings.kept.panels.depth),
            Action::Pools => toggle(&mut self.settings.kept.panels.pools),
            Action::Tape => toggle(&mut self.settings.kept.panels.tape),
            Action::Market => toggle(&mut self.settings.kept.panels.market),
            Action::TapeFilter => self.settings.kept.tape_usd = self.settings.kept.next_tape_usd(),
            Action::Watchlist if self.size.0 >= layout::WATCHLIST_FROM => {
                toggle(&mut self.settings.kept.panels.watchlist);
            }
            Action::Watchlist => {
                let here = self.watchlist().iter().position(|a| *a == self.latest.asset);
                self.popup = Some(Popup::Watchlist(here.unwrap_or(0)));
            }
            Action::MapBy => self.settings.map_by = self.settings.map_by.next(),
            Action::Sides => {
                self.settings.sides = self.settings.sides.next();
                self.selection.sides = self.settings.sides;
            }
            Action::Scale => self.settings.curve = self.settings.curve.next(),
            Action::RelativeScale => {
                self.scale.relative = !self.scale.relative;
                self.settings.relative_scale = self.scale.relative;
            }
            Action::Palette => {
                self.settings.palette = (self.settings.palette + 1) % self.settings.palettes.len().max(1);
            }
            Action::Background => toggle(&mut self.settings.light),
            Action::CandleColours => self.settings.candle_colours = self.settings.candle_colours.next(),
            Action::Mouse => {
                toggle(&mut self.settings.mouse);
                let words = if self.settings.mouse {
                    "the mouse is listened to; selecting text needs shift"
                } else {
                    "the mouse is the terminal's own"
                };
                words.clone_into(&mut self.settings.note);
                return Effect::Mouse(self.settings.mouse);
            }
            Action::NextPool => self.step_pool(true),
            Action::PreviousPool => self.step_pool(false),
            Action::PanLeft => self.pan_columns(-self.page()),
            Action::PanRight => self.pan_columns(self.page()),
            Action::PanUp => self.viewport.pan_price(PAN),
            Action::PanDown => self.viewport.pan_price(-PAN),
            Action::Centre => self.centre(),
            Action::Left => self.move_crosshair(-1, 0),
            Action::Right => self.move_crosshair(1, 0),
            Action::Up => self.move_crosshair(0, 1),
            Action::Down => self.move_crosshair(0, -1),
            Action::PriceZoomIn => self.viewport.zoom_price(&self.snapshot.bins, true),
            Action::PriceZoomOut => self.viewport.zoom_price(&self.snapshot.bins, false),
            Action::TimeZoomIn => self.viewport.zoom_time(true),
            Action::TimeZoomOut => self.viewport.zoom_time(false),
            Action::Reset => {
                self.viewport = Viewport::FOLLOW;
                self.crosshair = None;
            }
            Action::Follow => {
                self.viewport.end = None;
                self.viewport.auto_price = true;
            }
            Action::Freeze if self.playback().is_some() => return self.drive(action, 1),
            Action::StepForward
            | Action::StepBack
            | Action::Seek
            | Action::Faster
            | Action::Slower
            | Action::NextLiquidation
            | Action::PreviousLiquidation
            | Action::NextSweep
            | Action::PreviousSweep => return self.drive(action, 1),
            Action::Freeze => {
                self.frozen = !self.frozen;
                self.snapshot = Arc::clone(&self.latest);
            }
            Action::WriteSnapshot => return Effect::WriteSnapshot,
            Action::Copy => {
                let Some(text) = self.told() else {
                    "nothing to copy yet".clone_into(&mut self.settings.note);
                    return Effect::Redraw;
                };
                // Whether it arrived nobody tells us.
                let first = text.lines().next().unwrap_or_default();
                self.settings.note = format!("sent to the clipboard: {first}");
                return Effect::Copy(text);
            }
            Action::Help => self.popup = Some(Popup::Help { page: 0, top: 0 }),
            Action::Close => self.crosshair = None,
        }
        self.refresh();
        match action {
            Action::CutDown
            | Action::CutUp
            | Action::ThresholdUnit
            | Action::RelativeScale
            | Action::Reset
            | Action::Model
            | Action::Sides
            | Action::Difference
            | Action::Preset => self.changed_scale(true),
            Action::ThresholdDown | Action::ThresholdUp | Action::LockScale => self.changed_scale(false),
            _ => {}
        }
        match action {
            Action::Preset => Effect::Command(Command::Preset(self.settings.preset)),
            _ => Effect::Redraw,
        }
    }

    /// Columns of a page: half of the view.
    fn page(&self) -> i64 {
        (self.grid.geometry.columns as i64 / 2).max(1)
    }

    pub(super) fn pan_columns(&mut self, columns: i64) {
        self.viewport.pan_time(columns, self.grid.geometry.dt, self.snapshot.now);
    }

    /// Price, or the crosshair if it is on, to the middle.
    fn centre(&mut self) {
        let bins = &self.snapshot.bins;
        let price = self.price().map(|p| bins.position(p));
        if let Some(position) = self.crosshair.map(|c| c.position).or(price)
            && self.viewport.half > 0.0
        {
            self.viewport.centre = position.round();
            self.viewport.auto_price = false;
        }
    }

    /// Puts the crosshair on the next pool above or below where it is, or else price; the view moves along.
    fn step_pool(&mut self, up: bool) {
        let Some(price) = self.price() else { return };
        let bins = &self.snapshot.bins;
        let here = self.crosshair.map_or_else(|| bins.position(price), |c| c.position);
        let pools = Side::BOTH.into_iter().flat_map(|side| self.pools.of(side));
        let places = pools.map(|p| bins.position(p.price));
        // Half a row around it is here.
        let margin = self.grid.geometry.step / 2.0;
        let beyond = |at: &f64| if up { *at > here + margin } else { *at < here - margin };
        let near = |a: &f64, b: &f64| (a - here).abs().total_cmp(&(b - here).abs());
        let Some(position) = places.filter(beyond).min_by(near) else { return };
        let g = self.grid.geometry;
        let ts = self.crosshair.map_or_else(|| g.time(g.columns.saturating_sub(1)), |c| c.ts);
        self.crosshair = Some(Crosshair { ts, position });
        if !(g.low..g.high()).contains(&position) {
            self.viewport.centre = position.round();
            self.viewport.auto_price = false;
        }
    }

    fn step_symbol(&mut self, by: isize) -> Effect {
        let list = self.watchlist();
        // From the one on its way, so that the key can be pressed twice.
        let from = self.wanted.unwrap_or(self.latest.asset);
        let here = list.iter().position(|a| *a == from);
        let next = match here {
            Some(i) => (i as isize + by).rem_euclid(list.len() as isize) as usize,
            None => 0,
        };
        match list.get(next) {
            Some(asset) => self.watch(*asset),
            None => Effect::None,
        }
    }

    /// Asks for an asset, unless it is the one that is watched.
    fn watch(&mut self, asset: Asset) -> Effect {
        self.wanted = (asset != self.latest.asset).then_some(asset);
        self.wanted.map_or(Effect::Redraw, |asset| Effect::Command(Command::Watch(asset)))
    }

    fn step_range(&mut self, by: isize) {
        let ranges = &settings::RANGES;
        let here = ranges.iter().position(|r| *r >= self.settings.range).unwrap_or(ranges.len() - 1);
        self.settings.range = ranges[here.saturating_add_signed(by).min(ranges.len() - 1)];
        self.viewport = Viewport { end: self.viewport.end, ..Viewport::FOLLOW };
        self.scale.reset();
    }

    fn next_candle_interval(&self) -> Option<Interval> {
        let dt = self.grid.geometry.dt;
        let after = self.settings.candle_interval.map_or(dt, Interval::ms);
        // Only intervals that can be told apart from one candle a column, and of which a few fit.
        let widest = dt * self.grid.geometry.columns as i64 / 4;
        settings::CANDLE_INTERVALS.into_iter().find(|i| i.ms() > after.max(dt) && i.ms() <= widest)
    }

    /// Moves the crosshair by cells; over the edge the view moves along.
    fn move_crosshair(&mut self, right: i64, up: i64) {
        let g = self.grid.geometry;
        if g.columns == 0 || g.rows == 0 || self.viewport.half == 0.0 {
            return;
        }
        let start = self.price().map_or(self.viewport.centre, |p| self.snapshot.bins.position(p));
        let cross = self.crosshair.unwrap_or(Crosshair { ts: g.time(g.columns - 1), position: start });
        let last = g.columns as i64 - 1;
        let column = g.column(cross.ts).clamp(0, last) + right;
        // By cells: the lower of the two pixels stands for both.
        let cell = g.row(cross.position).clamp(0, g.rows as i64 - 1) / 2;
        let row = 2 * (cell + up);
        let newest = g.dt * (self.snapshot.now.div_euclid(g.dt));
        if !(0..=last).contains(&column) {
            self.pan_columns(right);
        }
        if row < 0 || row >= g.rows as i64 {
            self.viewport.centre += 2.0 * up as f64 * g.step;
            self.viewport.auto_price = false;
        }
        self.crosshair = Some(Crosshair {
            ts: (g.start + column * g.dt + g.dt / 2).min(newest + g.dt / 2),
            position: g.low + (row as f64 + 0.5) * g.step,
        });
    }
}
