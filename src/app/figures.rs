//! The market in figures: open interest, funding, what was liquidated, and which side is heavier.

use crate::engine::{Snapshot, VenueView};
use crate::market::{Side, Venue};

use super::pixels::Selection;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// Levels within this share of price count as near.
const NEAR: f64 = 0.05;
/// The funding period of a venue that does not tell it, hours (`exchanges.md` §2, `fundingInfo`).
const USUAL_PERIOD: f64 = 8.0;

/// The figures of one venue, or of all that are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Figures {
    /// Open interest, USD.
    pub oi_usd: Option<f64>,
    /// Its change over an hour and over a day, share, in coins: price alone does not move it. Of the venues that know both ends.
    pub oi_change: [Option<f64>; 2],
    /// Funding rate per eight hours, weighted by open interest.
    pub funding: Option<f64>,
    /// USD liquidated in the last 24 hours, as far as they are known and observed: longs, then shorts.
    pub liquidated: [f64; 2],
}

impl Figures {
    /// Funding over a year, share: the rate of eight hours, three times a day.
    pub fn yearly(&self) -> Option<f64> {
        self.funding.map(|rate| rate * 3.0 * 365.0)
    }
}

/// The figures of the market.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Market {
    /// All venues that are drawn.
    pub all: Figures,
    /// Each of them.
    pub venues: Vec<(Venue, Figures)>,
    /// USD of estimated levels within 5 % of price, longs then shorts.
    pub near: [f64; 2],
    /// How much of the last 24 hours is known, ms.
    pub known: i64,
    /// Change of the price over 24 hours, share.
    pub day_change: Option<f64>,
}

impl Market {
    /// Reads the venues that are drawn.
    pub fn new(selection: &Selection, snapshot: &Snapshot, price: Option<f64>) -> Self {
        let views: Vec<&VenueView> = selection.venues(snapshot).collect();
        let now = snapshot.now;
        let mut market = Self::default();
        let mut moved = [[0.0; 2]; 2];
        let (mut paid, mut weight) = (0.0, 0.0);
        for view in &views {
            let figures = of_venue(view, now, &mut moved);
            if let (Some(rate), Some(oi)) = (figures.funding, figures.oi_usd) {
                paid += rate * oi;
                weight += oi;
            }
            market.all.oi_usd = market.all.oi_usd.into_iter().chain(figures.oi_usd).reduce(|a, b| a + b);
            for side in 0..2 {
                market.all.liquidated[side] += figures.liquidated[side];
            }
            market.venues.push((view.venue, figures));
        }
        market.all.oi_change = moved.map(|[then, now]| (then > 0.0).then(|| now / then - 1.0));
        market.all.funding = (weight > 0.0).then(|| paid / weight);
        let first = views.iter().filter_map(|v| v.history.first()).min();
        market.known = first.map_or(0, |first| (now - first).clamp(0, DAY));
        market.day_change = price.and_then(|price| {
            let largest = views.iter().filter(|v| v.history.at(now - DAY).is_some());
            let largest =
                largest.max_by(|a, b| a.oi_usd.unwrap_or(0.0).total_cmp(&b.oi_usd.unwrap_or(0.0)))?;
            // A venue's own price then and now: venues trade a little apart.
            let then = largest.history.at(now - DAY)?.mark;
            (then > 0.0).then(|| largest.mark.unwrap_or(price) / then - 1.0)
        });
        if let Some(price) = price {
            market.near = near(&views, selection, snapshot, price);
        }
        market
    }
}

/// The figures of one venue; its open interest then and now is added onto `moved` where both are known.
fn of_venue(view: &VenueView, now: i64, moved: &mut [[f64; 2]; 2]) -> Figures {
    let coins = view.live.as_ref().map_or(0.0, |c| c.oi);
    let mut oi_change = [None; 2];
    for ((change, sums), span) in oi_change.iter_mut().zip(moved).zip([HOUR, DAY]) {
        // Where open interest was held constant there is no change to tell.
        let then = view.history.at(now - span).filter(|c| !c.gap && !c.reconstructed && c.oi > 0.0);
        if let Some(then) = then.filter(|_| coins > 0.0) {
            *change = Some(coins / then.oi - 1.0);
            sums[0] += then.oi;
            sums[1] += coins;
        }
    }
    let hours = view.funding_hours.filter(|hours| *hours > 0).map_or(USUAL_PERIOD, f64::from);
    let mut liquidated = [0.0; 2];
    let closed = view.history.since(now - DAY).filter(|c| c.start >= now - DAY);
    for column in closed.chain(&view.live) {
        for side in Side::BOTH {
            liquidated[side.index()] += column.printed[side.index()].sum();
        }
    }
    Figures {
        oi_usd: view.oi_usd,
        oi_change,
        funding: view.funding.map(|rate| rate * 8.0 / hours),
        liquidated,
    }
}

/// USD of levels near price, longs then shorts.
fn near(views: &[&VenueView], selection: &Selection, snapshot: &Snapshot, price: f64) -> [f64; 2] {
    let bins = &snapshot.bins;
    let first = bins.position(price * (1.0 - NEAR)) as i32;
    let count = (bins.position(price * (1.0 + NEAR)) as i32 - first).max(0) as usize;
    let mut sums = [0.0; 2];
    for live in views.iter().filter_map(|v| selection.live(v)) {
        let mut levels = vec![0.0; count];
        live.add_levels(selection.counted(), first, &mut levels);
        let middle = ((live.mark_bin - first).max(0) as usize).min(count);
        let (below, above) = levels.split_at(middle);
        sums[0] += below.iter().sum::<f64>();
        sums[1] += above.iter().sum::<f64>();
    }
    sums
}
