//! The map now: every level within reach of the mark, summed over venues, as `levels` writes it.

mod columns;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::estimate::calibrate::Uncertainty;
use crate::estimate::calibrate::band::Spread;
use crate::estimate::measured::Fit;
use crate::estimate::{BinTable, Readout, TIERS, Tier};
use crate::feed::status::LinkState;
use crate::market::{Asset, Side, Venue};

use super::market::VenueMarket;
use super::{Engine, Origin};

/// A venue that has told nothing for so long, ms, is stale.
const STALE_AFTER: i64 = 30_000;

/// The levels of an asset at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LevelMap {
    /// Format version.
    pub v: u32,
    /// What.
    pub asset: Asset,
    /// When, UTC ms; only what was known before is used.
    pub ts: i64,
    /// Mark price weighted by open interest, USD per coin, as text; `null` before the first price.
    pub mark: Option<String>,
    /// Display model; `levels` always uses every component at native bins.
    pub model: u8,
    /// Bin width, basis points.
    pub bin_bp: f64,
    /// Each venue's part.
    pub venues: Vec<VenueShare>,
    /// Sums.
    pub totals: Totals,
    /// Levels by rising price; bins without any are left out.
    pub levels: Vec<LiquidationLevel>,
}

/// One venue's part in the map.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VenueShare {
    /// Which.
    pub venue: Venue,
    /// Open interest, USD.
    pub oi_usd: Option<f64>,
    /// ms from the newest event of the asset back to the venue's newest; `null` if there was none. Of kept columns: from `ts` back to
    /// the end of the venue's column.
    pub age_ms: Option<i64>,
    /// Share of open interest the levels explain, 0 to 1.
    pub coverage: f64,
    /// `live`; `stale`: nothing for 30 s; `silent`: a stream that should speak does not; `connecting`, `backfilling`,
    /// `reconnecting`, `blocked`, `not_listed`; `recorded`; `waiting`: no price yet; `no_open_interest`: no estimate
    /// without.
    pub state: &'static str,
    /// Its part of the totals: longs below the mark, USD.
    pub long_usd: f64,
    /// Shorts above the mark, USD.
    pub short_usd: f64,
    /// The log-normal fitted to the distances of its public positions, and how well it fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distances: Option<Fit>,
}

/// Sums over the levels listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Longs below the mark, USD.
    pub long_usd: f64,
    /// Shorts above the mark, USD.
    pub short_usd: f64,
    /// The part that comes from public positions rather than the estimator, USD.
    pub measured_usd: f64,
}

/// An **estimated** amount of open position that would be force-closed in one bin. Never an observed liquidation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiquidationLevel {
    /// Lower edge of the bin, USD per coin, as text.
    pub price_low: String,
    /// Upper edge.
    pub price_high: String,
    /// Which positions die here.
    pub side: Side,
    /// USD expected to be force-closed if price sweeps the bin (T2).
    pub usd: f64,
    /// The lower and upper end of what may come: eight of ten should lie between them (docs/MODEL.md says how many do).
    pub usd_low: f64,
    /// See `usd_low`.
    pub usd_high: f64,
    /// USD of positions there now (T1).
    pub position_usd: f64,
    /// `usd` by leverage tier.
    #[serde(serialize_with = "tiers")]
    pub tiers: [f64; TIERS],
    /// `usd` by venue.
    pub venues: BTreeMap<Venue, f64>,
    /// The part that comes from public positions, USD.
    pub measured_usd: f64,
}

fn tiers<S: serde::Serializer>(tiers: &[f64; TIERS], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(Tier::MODELLED.map(|t| (t.key(), tiers[t.index()])))
}

/// A bin edge with nine significant digits: enough to tell bins apart at any price, without the noise of a float.
pub fn price_text(price: f64) -> String {
    let decimals = (8 - libm::floor(libm::log10(price.max(1e-13))) as i32).clamp(0, 18) as usize;
    let text = format!("{price:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// USD to the cent.
fn cents(usd: f64) -> f64 {
    (usd * 100.0).round() / 100.0
}

impl Engine {
    /// The map as known before `ts` (UTC ms), within a share of the mark (0.25 = ±25 %).
    pub fn level_map(&self, ts: i64, within: f64) -> LevelMap {
        let mark = self.mark();
        let readouts: Vec<(Venue, Readout)> =
            self.counted().filter_map(|m| Some((m.venue(), m.estimator().readout()?))).collect();
        let mut levels = Vec::new();
        if let Some(mark) = mark {
            for side in Side::BOTH {
                self.collect(&readouts, side, mark, within, &mut levels);
            }
        }
        levels.sort_by_key(|(bin, level): &(i32, LiquidationLevel)| (*bin, level.side));
        let levels: Vec<LiquidationLevel> = levels.into_iter().map(|(_, level)| level).collect();
        let share = |market: &VenueMarket| {
            let venue = market.venue();
            let [long_usd, short_usd] = parts(&levels, venue);
            VenueShare {
                venue,
                oi_usd: market.oi_usd().map(cents),
                age_ms: market.is_present().then(|| (self.now() - market.seen()).max(0)),
                coverage: readouts.iter().find(|(v, _)| *v == venue).map_or(0.0, |(_, r)| r.coverage),
                state: self.state(market),
                long_usd,
                short_usd,
                distances: market.estimator().fit(),
            }
        };
        LevelMap {
            v: 1,
            asset: self.asset(),
            ts,
            mark: mark.map(price_text),
            model: 1,
            bin_bp: self.bins().bp(),
            venues: self.counted().map(share).collect(),
            totals: Totals::of(&levels),
            levels,
        }
    }

    /// What a venue's part is worth, in one word.
    fn state(&self, market: &VenueMarket) -> &'static str {
        let stale = market.is_present() && self.now() - market.seen() > STALE_AFTER;
        let link = match &market.status.state {
            LinkState::Blocked => return "blocked",
            LinkState::Reconnecting { .. } => return "reconnecting",
            LinkState::Recorded => "recorded",
            _ if self.origin == Origin::Replay => "recorded",
            LinkState::Ended => return "not_listed",
            LinkState::Silent { .. } => "silent",
            LinkState::Connecting => return "connecting",
            LinkState::Backfilling => return "backfilling",
            LinkState::Live if stale => "stale",
            LinkState::Live => "live",
        };
        match (market.estimator().price(), market.estimator().oi()) {
            (None, _) => "waiting",
            (_, None) => "no_open_interest",
            _ => link,
        }
    }

    fn collect(
        &self,
        readouts: &[(Venue, Readout)],
        side: Side,
        mark: f64,
        within: f64,
        out: &mut Vec<(i32, LiquidationLevel)>,
    ) {
        let bins = self.bins();
        let low = bins.bin(mark * (1.0 - within)).unwrap_or(0);
        let high = bins.bin(mark * (1.0 + within)).unwrap_or(bins.len() - 1);
        for bin in low..=high {
            let parts = readouts.iter().map(|(venue, readout)| {
                let levels = readout.side(side);
                (*venue, levels.by_tier(bin), levels.position(bin), &readout.uncertainty)
            });
            out.extend(level(bins, bin, side, parts).map(|level| (bin, level)));
        }
    }
}

/// What venues have in one bin on one side, as one level: of each its levels (T2) by tier, its position mass (T1), USD, and what it takes
/// to put a band around them. `None` where there is not a cent.
fn level<'a>(
    bins: &BinTable,
    bin: i32,
    side: Side,
    parts: impl Iterator<Item = (Venue, [f64; TIERS], f64, &'a Uncertainty)>,
) -> Option<LiquidationLevel> {
    let mut tiers = [0.0; TIERS];
    let mut positions = 0.0;
    let mut spread = Spread::default();
    let mut venues = BTreeMap::new();
    for (venue, by_tier, position, uncertainty) in parts {
        let usd: f64 = by_tier.iter().sum();
        if usd > 0.0 {
            tiers.iter_mut().zip(by_tier).for_each(|(sum, part)| *sum += part);
            positions += position;
            spread.add(&by_tier, uncertainty);
            venues.insert(venue, cents(usd));
        }
    }
    let usd = cents(tiers.iter().sum());
    let (low, high) = spread.range();
    (usd > 0.0).then(|| LiquidationLevel {
        price_low: price_text(bins.edge(bin)),
        price_high: price_text(bins.edge(bin + 1)),
        side,
        usd,
        usd_low: cents(low),
        usd_high: cents(high),
        position_usd: cents(positions),
        tiers: tiers.map(cents),
        venues,
        measured_usd: cents(tiers[Tier::Known.index()]),
    })
}

/// A venue's part of the levels, longs then shorts, USD.
fn parts(levels: &[LiquidationLevel], venue: Venue) -> [f64; 2] {
    Side::BOTH.map(|side| {
        let of_it = levels.iter().filter(|l| l.side == side).filter_map(|l| l.venues.get(&venue));
        cents(of_it.sum())
    })
}

impl Totals {
    fn of(levels: &[LiquidationLevel]) -> Self {
        let sum = |side| cents(levels.iter().filter(|l| l.side == side).map(|l| l.usd).sum());
        Self {
            long_usd: sum(Side::Long),
            short_usd: sum(Side::Short),
            measured_usd: cents(levels.iter().map(|l| l.measured_usd).sum()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_written_with_nine_digits_at_any_price() {
        assert_eq!(price_text(63_990.123_456_78), "63990.1235");
        assert_eq!(price_text(0.000_012_345_678_912), "0.0000123456789");
        assert_eq!(price_text(250.0), "250");
    }
}
