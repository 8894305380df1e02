//! The map as closed columns hold it: what was shown then, with nothing made anew.

use std::sync::Arc;

use crate::engine::market::GRACE;
use crate::engine::snapshot::weighted_mark;
use crate::estimate::calibrate::Uncertainty;
use crate::estimate::{BinTable, Column, TIERS, Tier};
use crate::market::{Asset, Side, Venue};

use super::{LevelMap, LiquidationLevel, Totals, VenueShare, cents, level, parts, price_text};

impl LevelMap {
    /// The map at `ts` (UTC ms), within a share of the mark (0.25 = ±25 %), of the column that was the newest then of each venue that counts.
    ///
    /// Values are those of the columns: eight significant bits, position mass in steps of a 32nd of the level, and one side a bin, the
    /// mark's own counting as long. Of what public positions' distances are like columns tell nothing.
    pub fn of_columns(
        asset: Asset,
        bins: &BinTable,
        ts: i64,
        within: f64,
        columns: &[(Venue, Arc<Column>)],
    ) -> Self {
        let priced = columns.iter().map(|(_, c)| (c.mark, c.oi)).filter(|(mark, _)| *mark > 0.0);
        let mark = weighted_mark(priced);
        let levels = mark.map_or_else(Vec::new, |mark| {
            let low = bins.bin(mark * (1.0 - within)).unwrap_or(0);
            let high = bins.bin(mark * (1.0 + within)).unwrap_or(bins.len() - 1);
            let all: Vec<_> = columns.iter().map(|(venue, c)| Values::new(*venue, c, low, high)).collect();
            let at = |bin, side| {
                level(bins, bin, side, all.iter().filter_map(move |values| values.part(bin, side)))
            };
            (low..=high).flat_map(|bin| Side::BOTH.map(|side| at(bin, side))).flatten().collect()
        });
        let share = |(venue, column): &(Venue, Arc<Column>)| share(*venue, column, ts, &levels);
        Self {
            v: 1,
            asset,
            ts,
            mark: mark.map(price_text),
            model: 1,
            bin_bp: bins.bp(),
            venues: columns.iter().map(share).collect(),
            totals: Totals::of(&levels),
            levels,
        }
    }
}

fn share(venue: Venue, column: &Column, ts: i64, levels: &[LiquidationLevel]) -> VenueShare {
    let age = ts - column.end();
    let [long_usd, short_usd] = parts(levels, venue);
    let is_known = column.oi > 0.0 && column.mark > 0.0;
    VenueShare {
        venue,
        oi_usd: is_known.then(|| cents(column.oi * column.mark)),
        age_ms: Some(age),
        coverage: column.coverage,
        state: match column {
            c if c.mark <= 0.0 => "waiting",
            c if c.oi <= 0.0 => "no_open_interest",
            // The next one was due, and did not come.
            c if age > c.interval.ms() + GRACE + STALE_AFTER => "stale",
            _ => "recorded",
        },
        long_usd,
        short_usd,
        distances: None,
    }
}

/// How late (ms) the next column may be before the last one is stale, as events may.
const STALE_AFTER: i64 = super::STALE_AFTER;

/// A column's values bin by bin.
struct Values<'a> {
    venue: Venue,
    first: i32,
    mark_bin: i32,
    levels: [Vec<f64>; TIERS],
    factors: [Vec<f64>; TIERS],
    uncertainty: &'a Uncertainty,
}

impl<'a> Values<'a> {
    fn new(venue: Venue, column: &'a Column, low: i32, high: i32) -> Self {
        let unpacked = |packed: &[crate::estimate::Packed; TIERS]| {
            Tier::ALL.map(|tier| {
                let mut values = vec![0.0; (high - low + 1).max(0) as usize];
                packed[tier.index()].add_to(low, &mut values);
                values
            })
        };
        Self {
            venue,
            first: low,
            mark_bin: column.mark_bin,
            levels: unpacked(&column.levels),
            factors: unpacked(&column.factors),
            uncertainty: &column.uncertainty,
        }
    }

    /// What there is in a bin, where that bin is of the side.
    fn part(&self, bin: i32, side: Side) -> Option<(Venue, [f64; TIERS], f64, &'a Uncertainty)> {
        let of_bin = if bin <= self.mark_bin { Side::Long } else { Side::Short };
        let at = usize::try_from(bin - self.first).ok().filter(|_| of_bin == side)?;
        let read = |values: &[Vec<f64>; TIERS]| {
            Tier::ALL.map(|tier| values[tier.index()].get(at).copied().unwrap_or(0.0))
        };
        let (levels, factors) = (read(&self.levels), read(&self.factors));
        let position = levels.iter().zip(factors).map(|(usd, factor)| usd * factor).sum();
        Some((self.venue, levels, position, self.uncertainty))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::Packed;
    use crate::market::Interval;

    /// Levels of the 50x tier in two bins around the mark's, and one in it.
    fn column(mark_bin: i32, mark: f64, oi: f64) -> Arc<Column> {
        let mut levels: [Packed; TIERS] = Default::default();
        let mut factors: [Packed; TIERS] = Default::default();
        let tier = Tier::ALL.into_iter().find(|t| t.key() == "50").unwrap().index();
        levels[tier] = Packed::new(mark_bin - 1, &[100.0, 1.0, 50.0], 0.5);
        factors[tier] = Packed::new(mark_bin - 1, &[1.5, 1.0, 2.0], 0.5);
        Arc::new(Column {
            start: 0,
            interval: Interval::M1,
            mark,
            mark_bin,
            oi,
            coverage: 0.5,
            uncertainty: Uncertainty::default(),
            levels,
            factors,
            swept: Default::default(),
            printed: Default::default(),
            bar: None,
            gap: false,
            reconstructed: false,
        })
    }

    #[test]
    fn levels_of_venues_are_summed_by_side_and_what_is_old_is_stale() {
        let bins = BinTable::new(5.0);
        let mark_bin = bins.bin(60_000.0).unwrap();
        let of = |name: &str, oi: f64| (name.parse().unwrap(), column(mark_bin, 60_000.0, oi));
        let columns = [of("okx", 2.0), of("bybit", 1.0)];
        let asset: Asset = "BTC".parse().unwrap();
        let map = LevelMap::of_columns(asset, &bins, 70_000, 0.01, &columns);
        assert_eq!(map.mark.as_deref(), Some("60000"));
        let told: Vec<_> = map.levels.iter().map(|l| (l.side, l.usd, l.position_usd)).collect();
        // Two venues with the same column: the mark's bin counts as long.
        let expected = [(Side::Long, 200.0, 300.0), (Side::Long, 2.0, 2.0), (Side::Short, 100.0, 200.0)];
        assert_eq!(told, expected);
        assert_eq!((map.totals.long_usd, map.totals.short_usd), (202.0, 100.0));
        let share: Vec<_> = map
            .venues
            .iter()
            .map(|v| (v.venue.to_string(), v.oi_usd, v.age_ms, v.state, v.long_usd))
            .collect();
        let okx = ("okx".to_owned(), Some(120_000.0), Some(10_000), "recorded", 101.0);
        let bybit = ("bybit".to_owned(), Some(60_000.0), Some(10_000), "recorded", 101.0);
        assert_eq!(share, [okx, bybit]);
        let alone = LevelMap::of_columns(asset, &bins, 60_000_000, 0.01, &columns[1..]);
        assert_eq!((alone.venues[0].state, alone.levels.len()), ("stale", 3));
        let none = LevelMap::of_columns(asset, &bins, 70_000, 0.01, &[]);
        assert_eq!((none.mark, none.levels.len()), (None, 0));
    }
}
