//! The screen's state: what is looked at, and what each key does to it. No I/O, no clock.

pub mod beside;
mod copy;
pub mod course;
pub mod criticality;
pub mod figures;
pub mod fit;
pub mod keymap;
mod keys;
pub mod layout;
pub mod manual;
pub mod message;
pub mod model;
mod mouse;
pub mod names;
pub mod palettes;
pub mod panels;
pub mod pixels;
pub mod popup;
pub mod profile;
mod readings;
pub mod resting;
pub mod scale;
pub mod seek;
pub mod settings;
pub mod tape;
mod transport;
mod typed;
pub mod viewport;
pub mod watch;

use std::sync::Arc;
use std::time::Instant;

pub use keymap::{Action, Keymap};
pub use layout::{Layout, Place};
pub use message::{Effect, Message};
pub use settings::Settings;

use crate::engine::snapshot::StreamStatus;
use crate::engine::{Snapshot, VenueView};
use crate::estimate::TIERS;
use crate::market::{Asset, Side};
use beside::Pools;
use course::Courses;
use criticality::Criticality;
use figures::Market;
use fit::Fit;
use model::View;
use pixels::{Change, Grid, Selection};
use popup::Popup;
use profile::{Profile, Widths};
use resting::Resting;
use scale::{Cells, Scale};
use tape::Tape;
use typed::Typed;
use viewport::Viewport;
use watch::Others;

/// A place on the map, kept in time and price so that it stays where it is when the map moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Crosshair {
    /// UTC ms.
    pub ts: i64,
    /// Bin position.
    pub position: f64,
}

/// Everything the screen knows.
#[derive(Debug)]
pub struct App {
    /// What the user has chosen, and may still change by key.
    pub settings: Settings,
    /// The picture that is drawn.
    snapshot: Arc<Snapshot>,
    /// The newest picture; another than the drawn one while frozen.
    latest: Arc<Snapshot>,
    frozen: bool,
    size: (u16, u16),
    layout: Option<Layout>,
    selection: Selection,
    viewport: Viewport,
    grid: Grid,
    cells: Cells,
    scale: Scale,
    threshold: f64,
    widths: Widths,
    /// The row of cells that holds the price, from above; may lie outside.
    price_row: i64,
    /// Low edge, step and rows of the grid that row is one of.
    price_row_of: (f64, f64, usize),
    profile: Profile,
    totals: [[f64; TIERS]; 2],
    criticality: Criticality,
    fit: Fit,
    courses: Courses,
    pools: Pools,
    others: Others,
    market: Market,
    tape: Tape,
    resting: Resting,
    /// USD liquidated in each column of the grid, longs then shorts, and the USD at the end of their scale.
    liquidated: Vec<[f64; 2]>,
    liquidated_top: f64,
    /// When the figures were last read, UTC ms.
    read_at: i64,
    /// Rows of the map or of the tape wait for the next picture.
    behind: bool,
    /// The picture is of an earlier time than the one before.
    went_back: bool,
    crosshair: Option<Crosshair>,
    /// Where the left button of the mouse went down.
    dragged: Option<(u16, u16)>,
    typed: Typed,
    popup: Option<Popup>,
    /// The asset that was asked for and has not come yet.
    wanted: Option<Asset>,
    now: Option<Instant>,
}

impl App {
    /// A screen on a first picture, which may still be empty.
    pub fn new(settings: Settings, snapshot: Arc<Snapshot>) -> Self {
        let selection = Selection {
            tiers: settings.tiers,
            sides: settings.sides,
            model: settings.model,
            view: settings.preset.map_or(View::Ours, View::Preset),
            ..Selection::default()
        };
        let scale = Scale { relative: settings.relative_scale, ..Scale::default() };
        let viewport = Viewport::FOLLOW;
        let geometry = viewport.geometry(0, settings.range.ms(), 0, 0);
        let grid = Grid::new(geometry, selection.clone(), Arc::clone(&snapshot.bins));
        let mut app = Self {
            settings,
            latest: Arc::clone(&snapshot),
            snapshot,
            frozen: false,
            size: (80, 24),
            layout: None,
            selection,
            viewport,
            grid,
            cells: Cells::default(),
            scale,
            threshold: 0.0,
            widths: Widths::default(),
            price_row: 0,
            price_row_of: (0.0, 0.0, 0),
            profile: Profile::default(),
            totals: Default::default(),
            criticality: Criticality::default(),
            fit: Fit::default(),
            courses: Courses::default(),
            pools: Pools::default(),
            others: Others::default(),
            market: Market::default(),
            tape: Tape::default(),
            resting: Resting::default(),
            liquidated: Vec::new(),
            liquidated_top: 0.0,
            read_at: 0,
            behind: false,
            went_back: false,
            crosshair: None,
            dragged: None,
            typed: Typed::default(),
            popup: None,
            wanted: None,
            now: None,
        };
        app.leave_presets(app.settings.preset.is_some());
        app.refresh();
        app
    }

    /// Takes in what happened and says what is to be done about it.
    pub fn update(&mut self, message: Message) -> Effect {
        match message {
            Message::Key(key) => self.key(key),
            Message::Paste(text) => self.paste(&text),
            Message::Mouse(mouse) => self.mouse(mouse),
            Message::Snapshot(snapshot) => self.take(snapshot),
            Message::Others(snapshots) => {
                let before = self.watched();
                self.others = Others::new(snapshots, &self.selection);
                let is_shown = matches!(self.popup, Some(Popup::Watchlist(_)))
                    || self.layout.is_some_and(|l| l.watch.is_some());
                if is_shown && self.watched() != before { Effect::Redraw } else { Effect::None }
            }
            Message::Resize(width, height) => {
                self.size = (width, height);
                self.refresh();
                Effect::Redraw
            }
            Message::Note(note) => {
                self.settings.note = note;
                Effect::Redraw
            }
            Message::Tick(now) => {
                let before = self.ages();
                self.now = Some(now);
                if self.behind {
                    self.refresh();
                    return Effect::Redraw;
                }
                if self.ages() == before { Effect::None } else { Effect::Redraw }
            }
        }
    }

    fn take(&mut self, snapshot: Arc<Snapshot>) -> Effect {
        let moved_on = snapshot.asset != self.latest.asset;
        self.latest = snapshot;
        if moved_on {
            // Another market: nothing of the old view applies.
            self.wanted = None;
            self.frozen = false;
            self.crosshair = None;
            self.viewport = Viewport::FOLLOW;
            self.scale.reset();
        }
        if matches!(self.selection.view, View::Preset(_) | View::Against(_)) {
            self.leave_presets(true);
        }
        if !self.frozen {
            let before = std::mem::replace(&mut self.snapshot, Arc::clone(&self.latest));
            if before.now > self.snapshot.now {
                self.go_back();
            }
            self.refresh();
        }
        Effect::Redraw
    }

    /// Brings grid, scale and threshold up to date with snapshot, view and size.
    fn refresh(&mut self) {
        self.layout = Layout::new(self.size.0, self.size.1, self.settings.kept.panels);
        let Some(layout) = self.layout else { return };
        let (columns, rows) = (usize::from(layout.heat.width), 2 * usize::from(layout.heat.height));
        let range = self.settings.range.ms();
        let place = |v: &Viewport, now: i64| v.geometry(now, range, columns, rows);
        let mut change =
            self.grid.refresh(place(&self.viewport, self.snapshot.now), &self.selection, &self.snapshot);
        if change == Change::Closed && self.fit_price() {
            change = change.max(self.grid.refresh(
                place(&self.viewport, self.snapshot.now),
                &self.selection,
                &self.snapshot,
            ));
        }
        let row_moved = self.follow_price_row();
        if std::mem::take(&mut self.went_back) {
            change = Change::Closed;
        }
        if change == Change::Closed {
            self.rescale(false);
            let tallies = self.selection.venues(&self.snapshot).map(|v| &*v.tallies);
            self.fit = Fit::new(tallies, self.snapshot.now);
            self.courses = Courses::new(&self.selection, &self.snapshot, &self.grid.geometry);
        }
        self.grid.shade(self.shading());
        self.read_panels(&layout, change);
        let mut levels = self.levels_now();
        let kind = |p: &Profile| (p.by, p.is_difference, p.rows.len());
        let same = kind(&levels) == kind(&self.profile);
        if change == Change::Closed || !same {
            self.profile = levels;
            self.behind = false;
        } else {
            // A row is redrawn when it moved by a cell, not by every trade; and where all moved at once, a few a picture.
            // Where price takes another row, label and line go first and the curves with the next picture.
            if row_moved {
                levels.price_row = self.profile.price_row;
            }
            let cell = self.widths.bar / f64::from(layout.map.map_or(1, |m| m.width));
            self.behind = self.profile.follow(&levels, cell, ROWS_A_PICTURE) || row_moved;
        }
        if let Some(room) = layout.tape {
            let (least, rows) = (self.settings.kept.tape_usd, usize::from(room.height.saturating_sub(1)));
            self.behind |= self.tape.follow(&self.selection, &self.snapshot, least, rows);
        }
    }

    /// Reads the panels anew: the threshold moved under them.
    fn reread(&mut self) {
        if let Some(layout) = self.layout {
            self.read_panels(&layout, Change::Closed);
        }
    }

    /// Brings what stands beside the heatmap up to date. Figures are held for a while: nobody reads them ten times a second.
    fn read_panels(&mut self, layout: &Layout, change: Change) {
        let is_closed = change == Change::Closed;
        let now = self.snapshot.now;
        let read_at = self.read_at;
        let since = |ms: i64, phase: i64| (now - phase).div_euclid(ms) != (read_at - phase).div_euclid(ms);
        let price = self.price();
        if is_closed || since(HOLD_POOLS, 0) {
            self.totals = self.totals_now();
            self.criticality = if self.selection.marks() {
                self.criticality.follow(&self.grid.geometry, &self.selection, &self.snapshot)
            } else {
                Criticality::default()
            };
            self.pools = price.map_or_else(Pools::default, |price| {
                Pools::new(&self.grid.geometry, &self.selection, &self.snapshot, (price, self.threshold))
            });
        }
        // Not in the same picture as the pools: each has few bytes to write.
        if is_closed || since(HOLD_FIGURES, HOLD_POOLS / 2) {
            self.market = Market::new(&self.selection, &self.snapshot, price);
        }
        self.read_at = now;
        if let Some(depth) = layout.depth {
            let how = (depth.width, is_closed);
            self.resting = std::mem::take(&mut self.resting).follow(
                &self.grid.geometry,
                &self.selection,
                &self.snapshot,
                how,
            );
        }
        if layout.bars.is_some() {
            let columns = self.grid.columns.iter().enumerate();
            let (g, sides) = (self.grid.geometry, self.selection.sides);
            if is_closed || self.liquidated.len() != self.grid.columns.len() {
                self.liquidated = columns.map(|(i, c)| c.printed(g.time(i), sides)).collect();
            } else {
                columns
                    .filter(|(_, c)| c.live)
                    .for_each(|(i, c)| self.liquidated[i] = c.printed(g.time(i), sides));
            }
            let largest = self.liquidated.iter().flatten().copied().fold(0.0, f64::max);
            if is_closed || largest > self.liquidated_top {
                self.liquidated_top = scale::steady_top(self.liquidated_top, largest);
            }
        }
    }

    /// The rows of the map as they are at this moment.
    fn levels_now(&self) -> Profile {
        let by = self.settings.map_by;
        let rows = self.grid.levels_now(&self.snapshot, by);
        let is_difference = self.selection.view.is_difference();
        Profile { by, is_difference, price_row: self.price_row, rows }
    }

    /// Finds the row of cells that holds the price. It stays while price is hardly beyond it: the label, the line and both curves
    /// would jump to and fro with every trade at its edge. Says whether it is another one.
    fn follow_price_row(&mut self) -> bool {
        let g = self.grid.geometry;
        let rows = (g.rows / 2) as i64;
        let position = self.price().map_or(f64::MIN, |price| self.snapshot.bins.position(price));
        let from_above = rows as f64 - (position - g.low) / (2.0 * g.step);
        let held = self.price_row as f64;
        let is_near = (held - ROW_EDGE..held + 1.0 + ROW_EDGE).contains(&from_above);
        let same =
            std::mem::replace(&mut self.price_row_of, (g.low, g.step, g.rows)) == (g.low, g.step, g.rows);
        if same && is_near {
            return false;
        }
        let row = from_above.floor().min(rows as f64) as i64;
        std::mem::replace(&mut self.price_row, row) != row
    }

    fn totals_now(&self) -> [[f64; TIERS]; 2] {
        let mut totals = [[0.0; TIERS]; 2];
        for column in self.selection.venues(&self.snapshot).filter_map(|v| self.selection.live(v)) {
            for side in Side::BOTH.into_iter().filter(|side| self.selection.sides.has(*side)) {
                let sums = column.totals(side);
                for tier in self.selection.counted().iter() {
                    totals[side.index()][tier.index()] += sums[tier.index()];
                }
            }
        }
        totals
    }

    /// Lets the price axis follow the market; says whether it moved.
    fn fit_price(&mut self) -> bool {
        let bins = &self.snapshot.bins;
        let bars = || self.grid.columns.iter().filter_map(|c| c.bar);
        let Some(mark) = self.price().or_else(|| bars().next_back().map(|b| b.close)) else { return false };
        let low = bars().map(|b| b.low).fold(mark, f64::min);
        let high = bars().map(|b| b.high).fold(mark, f64::max);
        let at = |price: f64| bins.position(price);
        self.viewport.fit_price(bins, self.settings.range.ms(), at(mark), at(low), at(high))
    }

    /// Threshold and colour scale from the cells in view. Only when closed columns changed or the user asked, and not for a
    /// little unless asked: a moving scale repaints all.
    fn rescale(&mut self, asked: bool) {
        let cells = self.grid.columns.iter().flat_map(|c| c.usd.iter().map(|usd| usd.abs()));
        let oi = self.selection.venues(&self.snapshot).filter_map(|v| v.oi_usd).sum();
        self.cells = Cells::new(cells, oi);
        let threshold = self.settings.threshold.usd(&self.cells);
        if asked || (threshold / self.threshold - 1.0).abs() > STILL || self.threshold <= 0.0 {
            self.threshold = threshold;
        }
        self.widths = self.widths.follow(self.levels_now().widths());
        self.scale.follow(self.threshold, self.settings.cut.usd(&self.cells));
    }

    /// What changes with time alone: for each venue, the seconds since its last frame, once they are worth saying; and of
    /// the streams of the venue that is looked at.
    fn ages(&self) -> (Vec<[Option<u64>; 2]>, Vec<Option<u64>>) {
        let venue = |v: &VenueView| [self.age(v).map(|a| a.as_secs()), self.retry_in(v)];
        let stream = |s: &StreamStatus| Some(self.since(s.last?)?.as_secs());
        let looked_at = match self.popup {
            Some(Popup::Venues(row)) => self.latest.venues.get(row).map(|v| &v.status.streams),
            _ => None,
        };
        let streams = looked_at.into_iter().flatten().map(stream).collect();
        (self.latest.venues.iter().map(venue).collect(), streams)
    }
}

/// Rows of the map that may move with one picture; the rest follow with the next.
const ROWS_A_PICTURE: usize = 5;
/// Pools, totals, and where levels outweigh the books, are read anew this often, ms of market time.
const HOLD_POOLS: i64 = 1_000;
/// The figures of the market are.
const HOLD_FIGURES: i64 = 5_000;
/// Price may go this far beyond the edge of its row before it takes the next, rows of cells.
const ROW_EDGE: f64 = 0.25;
/// A threshold that would move by less than this share stays.
const STILL: f64 = 0.05;
