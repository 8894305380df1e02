//! What the panels read of the screen's state.

use std::time::{Duration, Instant};

use super::beside::Pools;
use super::criticality::Criticality;
use super::figures::Market;
use super::fit::Fit;
use super::pixels::{Grid, Selection};
use super::popup::Popup;
use super::profile::{Profile, Widths};
use super::resting::Resting;
use super::scale::{Scale, Shading};
use super::{App, Crosshair, Layout, Place, watch};
use crate::engine::snapshot::{LinkState, StreamStatus, weighted_mark};
use crate::engine::{Print, Snapshot, VenueView};
use crate::estimate::TIERS;
use crate::market::{Asset, Interval, Side};

/// After this long without a frame a venue is stale.
pub const STALE_AFTER: Duration = Duration::from_secs(30);
/// Ages below this are not worth saying.
const AGE_SHOWN_AFTER: Duration = Duration::from_secs(3);

impl App {
    /// The picture that is drawn.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The newest picture, for the state of the feeds.
    pub fn latest(&self) -> &Snapshot {
        &self.latest
    }

    /// The rooms of the screen; `None` if the terminal is too small.
    pub fn layout(&self) -> Option<&Layout> {
        self.layout.as_ref()
    }

    /// The map's place; `None` if the terminal is too small.
    pub fn place(&self) -> Option<Place> {
        self.layout.as_ref().map(|layout| Place::new(self.grid.geometry, layout))
    }

    /// Terminal size in cells, as far as the app was told.
    pub fn size(&self) -> (u16, u16) {
        self.size
    }

    /// The pixel grid.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Whether there is anything to draw on the heatmap.
    pub fn has_heat(&self) -> bool {
        self.grid.columns.iter().any(|c| c.covered || c.bar.is_some())
    }

    /// The colour scale.
    pub fn scale(&self) -> Scale {
        self.scale
    }

    /// Levels below it are not drawn, USD per cell.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Levels by price as the map panel shows them: at most a cell's width behind this moment.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The USD that fill the width of the map panel.
    pub fn widths(&self) -> Widths {
        self.widths
    }

    /// What is counted and drawn.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// The crosshair, if it is on.
    pub fn crosshair(&self) -> Option<Crosshair> {
        self.crosshair
    }

    /// What was typed of a number or of several keys and does nothing yet, and what it may become.
    pub fn typed(&self) -> Option<String> {
        self.typed.told(&self.settings)
    }

    /// The popup, if one is open.
    pub fn popup(&self) -> Option<&Popup> {
        self.popup.as_ref()
    }

    /// The asset that was asked for and has not come yet.
    pub fn wanted(&self) -> Option<Asset> {
        self.wanted
    }

    /// Whether the picture is frozen.
    pub fn frozen(&self) -> bool {
        self.frozen
    }

    /// Whether the right edge of the map is this moment.
    pub fn following(&self) -> bool {
        self.viewport.end.is_none()
    }

    /// The step of the ramp for an amount in a cell; 0 is the ground, below it is what was removed.
    pub fn step(&self, usd: f64) -> i32 {
        self.shading().step(usd)
    }

    pub(super) fn shading(&self) -> Shading {
        let settings = &self.settings;
        Shading {
            scale: self.scale,
            threshold: self.threshold,
            curve: settings.curve,
            steps: settings.colour_steps,
        }
    }

    /// Where more would be forced than rests, row by row.
    pub fn criticality(&self) -> &Criticality {
        &self.criticality
    }

    /// How well the venues drawn were foretold.
    pub fn fit(&self) -> Fit {
        self.fit
    }

    /// The pools above and below price.
    pub fn pools(&self) -> &Pools {
        &self.pools
    }

    /// The market in figures.
    pub fn market(&self) -> &Market {
        &self.market
    }

    /// The newest of the liquidations that are told: **observed**, at most a few pictures behind.
    pub fn tape(&self) -> &[Print] {
        &self.tape.rows
    }

    /// Resting orders by row.
    pub fn resting(&self) -> &Resting {
        &self.resting
    }

    /// USD liquidated in each column, longs then shorts, and the USD at the end of their scale. **Observed**, not estimated.
    pub fn liquidated(&self) -> (&[[f64; 2]], f64) {
        (&self.liquidated, self.liquidated_top)
    }

    /// Price now, USD per coin: the mark prices of the venues that are drawn, weighted by open interest.
    pub fn price(&self) -> Option<f64> {
        let shown = self.selection.venues(&self.snapshot);
        let priced: Vec<(f64, f64)> =
            shown.filter_map(|v| (v.mark.or(v.last)).map(|p| (p, v.oi_usd.unwrap_or(0.0) / p))).collect();
        weighted_mark(priced.iter().copied()).or(self.snapshot.mark)
    }

    /// The row of cells that price is told in, from above; it may lie outside of the map.
    pub fn price_row(&self) -> i64 {
        self.price_row
    }

    /// Length of a candle as drawn.
    pub fn candle_ms(&self) -> i64 {
        self.settings.candle_interval.map_or(0, Interval::ms).max(self.grid.geometry.dt)
    }

    /// Time since a moment; `None` before the first tick.
    pub fn since(&self, moment: Instant) -> Option<Duration> {
        Some(self.now?.saturating_duration_since(moment))
    }

    /// Whether a stream has been silent for too long.
    pub fn is_silent(&self, stream: &StreamStatus) -> bool {
        self.now.is_some_and(|now| stream.is_silent(now))
    }

    /// Time since the venue's last frame, once it is worth saying. Recordings have no age.
    pub fn age(&self, view: &VenueView) -> Option<Duration> {
        if matches!(view.status.state, LinkState::Recorded | LinkState::Ended) {
            return None;
        }
        let age = self.now?.checked_duration_since(view.status.last_frame()?)?;
        (age >= AGE_SHOWN_AFTER).then_some(age)
    }

    /// Whether nothing came from the venue for too long.
    pub fn stale(&self, view: &VenueView) -> bool {
        self.age(view).is_some_and(|age| age >= STALE_AFTER)
    }

    /// Seconds until the venue is tried again.
    pub fn retry_in(&self, view: &VenueView) -> Option<u64> {
        match view.status.state {
            LinkState::Reconnecting { at } => Some(at.saturating_duration_since(self.now?).as_secs()),
            _ => None,
        }
    }

    /// USD of estimated levels now: longs then shorts, by tier; of the venues and tiers that are drawn.
    pub fn totals(&self) -> [[f64; TIERS]; 2] {
        self.totals
    }

    /// What is known of each asset of the watchlist.
    pub fn watched(&self) -> Vec<watch::Row> {
        let row = |asset: Asset| {
            let info = self.latest.assets.iter().find(|a| a.asset == asset);
            let day_usd = info.and_then(|a| a.day_usd).map(|usd| usd as f64);
            if asset != self.snapshot.asset {
                let known = self.others.row(asset).cloned();
                return watch::Row { day_usd, ..known.unwrap_or(watch::Row::unknown(asset)) };
            }
            let nearest = |side| self.pools.nearest(side).map(|p| (p.pool.usd, p.distance));
            watch::Row {
                asset,
                runs: true,
                price: self.price(),
                day_change: self.market.day_change,
                pools: [nearest(Side::Short), nearest(Side::Long)],
                day_usd,
            }
        };
        self.watchlist().into_iter().map(row).collect()
    }

    /// The assets `next_symbol` steps through.
    pub fn watchlist(&self) -> Vec<Asset> {
        if self.settings.watchlist.is_empty() {
            self.latest.assets.iter().map(|a| a.asset).collect()
        } else {
            self.settings.watchlist.clone()
        }
    }
}
