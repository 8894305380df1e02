//! The stretch of levels to watch on each side of price.

use crate::app::App;

/// Within this distance of price the densest zone counts, beyond it the nearest.
const NEAR: f64 = 0.03;

/// A run of neighbouring rows that are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Zone {
    /// Pixel row of the hottest part, counted from below.
    pub row: usize,
    /// Price there, USD per coin.
    pub price: f64,
    /// Distance from price now, as a share; negative below.
    pub distance: f64,
    /// Estimated USD in the whole run.
    pub usd: f64,
}

/// The zone to watch above and below price: the densest that is near, else the nearest of those in view.
#[derive(Debug, Clone, Copy, Default)]
pub struct Zones {
    /// Shorts would be closed here.
    pub above: Option<Zone>,
    /// Longs would be closed here.
    pub below: Option<Zone>,
}

impl Zones {
    /// Reads the newest column of the map: runs of rows at or above the threshold, one on each side.
    pub fn find(app: &App) -> Self {
        let mut zones = Self::default();
        let (Some(column), Some(now)) = (app.grid().columns.last(), app.price()) else { return zones };
        if !column.live && !column.covered || app.selection().view.is_difference() {
            return zones;
        }
        let g = app.grid().geometry;
        let bins = &app.snapshot().bins;
        let here = g.row(bins.position(now));
        let mut row = 0;
        while row < column.usd.len() {
            let side = (row as i64).cmp(&here);
            let run = column.usd[row..]
                .iter()
                .enumerate()
                .take_while(|(i, usd)| app.step(**usd) > 0 && ((row + i) as i64).cmp(&here) == side)
                .count();
            let Some(hottest) = (row..row + run).max_by(|a, b| column.usd[*a].total_cmp(&column.usd[*b]))
            else {
                row += 1;
                continue;
            };
            let usd = column.usd[row..row + run].iter().sum();
            let price = bins.price_at(g.low + (hottest as f64 + 0.5) * g.step);
            let zone = Zone { row: hottest, price, distance: price / now - 1.0, usd };
            let slot = if side.is_gt() { &mut zones.above } else { &mut zones.below };
            let near = |zone: &Zone| zone.distance.abs() <= NEAR;
            let better = slot.is_none_or(|best| match (near(&zone), near(&best)) {
                (true, true) => zone.usd > best.usd,
                (false, false) => zone.distance.abs() < best.distance.abs(),
                (is_near, _) => is_near,
            });
            if side.is_ne() && better {
                *slot = Some(zone);
            }
            row += run;
        }
        zones
    }
}
