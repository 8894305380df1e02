//! Which stretch of time and price is on the screen.

use crate::estimate::BinTable;

/// The pixel grid's place in time and price. Prices are fractional bin positions: equal steps are equal in log price.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geometry {
    /// Left edge of the first column, UTC ms; a multiple of `dt`.
    pub start: i64,
    /// Time across a column, ms.
    pub dt: i64,
    /// Columns.
    pub columns: usize,
    /// Lower edge of the lowest row, bins.
    pub low: f64,
    /// Height of a row, bins.
    pub step: f64,
    /// Pixel rows, two a cell, counted from below.
    pub rows: usize,
}

impl Geometry {
    /// Left edge of a column, UTC ms.
    pub fn time(&self, column: usize) -> i64 {
        self.start + column as i64 * self.dt
    }

    /// The column of a time, which may lie outside.
    pub fn column(&self, ts: i64) -> i64 {
        (ts - self.start).div_euclid(self.dt)
    }

    /// How many columns it went on since another one, where that is all that happened.
    pub fn moved_since(&self, before: &Self) -> Option<u16> {
        let still = Self { start: before.start, ..*self } == *before;
        let columns = (self.start - before.start) / self.dt;
        u16::try_from(columns).ok().filter(|n| still && *n > 0 && usize::from(*n) < self.columns)
    }

    /// The pixel row of a bin position, counted from below; may lie outside.
    pub fn row(&self, position: f64) -> i64 {
        ((position - self.low) / self.step).floor() as i64
    }

    /// Upper edge of the highest row, bins.
    pub fn high(&self) -> f64 {
        self.low + self.step * self.rows as f64
    }
}

/// What the user chose to look at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Viewport {
    /// Right edge, UTC ms; `None` follows the market.
    pub end: Option<i64>,
    /// Steps of time zoom; above zero is closer.
    pub time_zoom: i32,
    /// Bin position in the middle.
    pub centre: f64,
    /// Bins from the middle to an edge.
    pub half: f64,
    /// Whether price follows the market too: no price zoom or pan by hand.
    pub auto_price: bool,
}

/// One step of zoom.
const ZOOM: f64 = 1.25;

impl Viewport {
    /// Follows the market in both directions; the first data sets the price.
    pub const FOLLOW: Self = Self { end: None, time_zoom: 0, centre: 0.0, half: 0.0, auto_price: true };

    /// Time across a column of the screen, ms: whole minutes, coarser for long ranges, so that a closed column of the
    /// screen is made of closed columns of the history.
    pub fn dt(&self, range_ms: i64, columns: usize) -> i64 {
        const MINUTE: i64 = 60_000;
        let raw = range_ms as f64 * ZOOM.powi(-self.time_zoom) / columns.max(1) as f64;
        let unit = match raw as i64 / MINUTE {
            ..30 => MINUTE,
            30..360 => 5 * MINUTE,
            _ => 60 * MINUTE,
        };
        ((raw / unit as f64).ceil() as i64).max(1) * unit
    }

    /// The pixel grid for a number of columns and pixel rows.
    pub fn geometry(&self, now: i64, range_ms: i64, columns: usize, rows: usize) -> Geometry {
        let dt = self.dt(range_ms, columns);
        let end = self.end.unwrap_or(now);
        let right = (end.div_euclid(dt) + 1) * dt;
        let step = (2.0 * self.half / rows.max(1) as f64).max(1e-3);
        let low = ((self.centre - self.half) / step).round() * step;
        Geometry { start: right - columns as i64 * dt, dt, columns, low, step, rows }
    }

    /// Zooms time; `true` is closer.
    pub fn zoom_time(&mut self, closer: bool) {
        self.time_zoom = (self.time_zoom + if closer { 1 } else { -1 }).clamp(-6, 20);
    }

    /// Zooms price about the middle; `true` is closer. The widest view holds a fifth to five times the middle.
    pub fn zoom_price(&mut self, bins: &BinTable, closer: bool) {
        // Before the first data there is no middle to zoom about.
        if self.half == 0.0 {
            return;
        }
        let factor = if closer { 1.0 / ZOOM } else { ZOOM };
        self.half = (self.half * factor).clamp(4.0, 5_f64.ln() / bins.log_step());
        self.auto_price = false;
    }

    /// Moves price by a share of the view's height; above zero is up.
    pub fn pan_price(&mut self, share: f64) {
        if self.half > 0.0 {
            self.centre += 2.0 * self.half * share;
            self.auto_price = false;
        }
    }

    /// Moves time by whole columns; below zero is earlier. At `now` (UTC ms) the view follows the market again.
    pub fn pan_time(&mut self, columns: i64, dt: i64, now: i64) {
        let newest = dt * now.div_euclid(dt);
        let end = self.end.unwrap_or(now) + columns * dt;
        self.end = (end < newest).then_some(end);
    }

    /// Zooms price so that the bin position under a pointer stays where it is.
    pub fn zoom_price_about(&mut self, bins: &BinTable, closer: bool, position: f64) {
        let before = self.half;
        self.zoom_price(bins, closer);
        if before > 0.0 {
            self.centre = position + (self.centre - position) * self.half / before;
        }
    }

    /// Lets price follow the market: sets middle and height when they are out of place, and says whether they moved.
    ///
    /// `mark` is the price to keep in the middle half, `low` and `high` the prices traded in view (bin positions).
    /// The height grows in steps of zoom, so that it hardly ever changes.
    pub fn fit_price(&mut self, bins: &BinTable, range_ms: i64, mark: f64, low: f64, high: f64) -> bool {
        if !self.auto_price {
            return false;
        }
        let before = *self;
        let unset = self.half == 0.0;
        if unset || (mark - self.centre).abs() > 0.5 * self.half {
            self.centre = mark.round();
        }
        let base = base_half(range_ms) / bins.log_step();
        let needed = 1.05 * (high - self.centre).max(self.centre - low);
        let steps = (needed / base).max(1.0).log(ZOOM).ceil();
        self.half = base * ZOOM.powf(steps);
        *self != before
    }
}

/// Half of the price span shown for a range, as a logarithm: wide enough for the levels that matter in that time.
fn base_half(range_ms: i64) -> f64 {
    let days = range_ms as f64 / 86_400_000.0;
    // 5.5 % for a day, growing with the root of time as prices do.
    (0.055 * days.sqrt()).clamp(0.03, 0.7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_lie_on_multiples_of_their_span_and_hold_the_range() {
        let view = Viewport { half: 100.0, ..Viewport::FOLLOW };
        let g = view.geometry(1_000_000_000, 86_400_000, 107, 90);
        assert_eq!(g.dt, 14 * 60_000);
        assert_eq!(g.start % g.dt, 0);
        assert!(g.time(107) > 1_000_000_000 && g.time(106) <= 1_000_000_000);
        assert_eq!(g.column(g.time(3) + g.dt - 1), 3);
    }

    #[test]
    fn price_is_left_alone_until_the_mark_leaves_the_middle_half() {
        let bins = BinTable::new(5.0);
        let day = 86_400_000;
        let mut view = Viewport::FOLLOW;
        assert!(view.fit_price(&bins, day, 80_000.0, 79_950.0, 80_050.0));
        assert!(!view.fit_price(&bins, day, 80_040.0, 79_950.0, 80_050.0));
        assert!(view.fit_price(&bins, day, 80_060.0, 79_950.0, 80_060.0));
        assert_eq!(view.centre, 80_060.0);
        let half = view.half;
        assert!(view.fit_price(&bins, day, 80_060.0, 79_900.0, 80_060.0));
        assert!(view.half > half && view.half >= 160.0);
        view.zoom_price(&bins, true);
        assert!(!view.fit_price(&bins, day, 90_000.0, 90_000.0, 90_000.0));
    }

    #[test]
    fn a_pan_moves_by_shares_and_columns_and_ends_at_the_market() {
        let mut view = Viewport { half: 100.0, centre: 1_000.0, ..Viewport::FOLLOW };
        view.pan_price(0.25);
        assert_eq!((view.centre, view.auto_price), (1_050.0, false));
        let (dt, now) = (60_000, 6_000_000);
        view.pan_time(-10, dt, now);
        assert_eq!(view.end, Some(5_400_000));
        view.pan_time(4, dt, now);
        assert_eq!(view.end, Some(5_640_000));
        view.pan_time(6, dt, now);
        assert_eq!(view.end, None, "it follows again");
    }

    #[test]
    fn a_zoom_about_a_pointer_keeps_what_is_under_it() {
        let bins = BinTable::new(5.0);
        let mut view = Viewport { half: 100.0, centre: 1_000.0, ..Viewport::FOLLOW };
        // 1050 lies at three quarters of the height.
        view.zoom_price_about(&bins, true, 1_050.0);
        assert_eq!(view.half, 80.0);
        assert!(((1_050.0 - (view.centre - view.half)) / (2.0 * view.half) - 0.75).abs() < 1e-12);
    }
}
