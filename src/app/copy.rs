//! What the copy key tells: the place under the crosshair, or price and the nearest pools; plain text to paste.

use jiff::Timestamp;

use crate::engine::Origin;
use crate::estimate::Tier;
use crate::market::{Side, Usd};

use super::App;
use super::model::View;

impl App {
    /// A few lines of text without control characters but for the ends of lines; `None` before the first price.
    ///
    /// ```text
    /// BTC 65210.5 (-0.42%) 2026-06-13T12:00:00Z
    /// $12.4M estimated, 80% within $8.00M to $19.0M
    /// tiers: 50x $10.0M, 100x $2.40M
    /// venues: binance $8.00M, bybit $4.40M
    /// ```
    pub fn told(&self) -> Option<String> {
        let mut lines = self.told_of_crosshair().or_else(|| self.told_of_pools())?;
        match self.latest.origin {
            Origin::Live => {}
            Origin::Simulated => lines.push("SIMULATED".to_owned()),
            Origin::Replay => lines.push("from a recording".to_owned()),
        }
        Some(lines.join("\n"))
    }

    /// The cell under the crosshair, if it is on and in view.
    fn told_of_crosshair(&self) -> Option<Vec<String>> {
        let cross = self.crosshair?;
        let g = self.grid.geometry;
        let column = usize::try_from(g.column(cross.ts)).ok()?;
        let pixels = self.grid.columns.get(column)?;
        // A cell is two rows.
        let lower = usize::try_from(g.row(cross.position)).ok().filter(|row| *row < g.rows)? / 2 * 2;
        let mut lines = vec![self.at(self.snapshot.bins.price_at(cross.position), g.time(column))];
        if !pixels.covered {
            lines.push("no data".to_owned());
            return Some(lines);
        }
        let halves = [lower, lower + 1].map(|row| self.grid.probe(column, row));
        let mut tiers =
            Tier::ALL.map(|t| (t.to_string(), halves.iter().map(|h| h.tiers[t.index()]).sum::<f64>()));
        let usd = Usd(tiers.iter().map(|(_, usd)| usd).sum());
        lines.push(match self.selection.view {
            View::Ours => {
                let (low, high) = halves[0].spread.joined(&halves[1].spread).range();
                format!("{usd} estimated, 80% within {} to {}", Usd(low), Usd(high))
            }
            View::Preset(preset) => format!("{usd} by {preset}"),
            View::Against(preset) => format!("{usd} ours less {preset}"),
            View::Change(_) => {
                let what = if usd.0 < 0.0 { "removed" } else { "built" };
                format!("{} {what} in {}", Usd(usd.0.abs()), self.settings.difference)
            }
        });
        if matches!(self.selection.view, View::Ours | View::Change(_)) {
            lines.extend(listed("tiers", &mut tiers));
        }
        let mut venues: Vec<(String, f64)> = Vec::new();
        for (venue, usd) in halves.iter().flat_map(|h| &h.venues) {
            match venues.iter_mut().find(|(name, _)| name == venue.as_str()) {
                Some((_, sum)) => *sum += usd,
                None => venues.push((venue.to_string(), *usd)),
            }
        }
        lines.extend(listed("venues", &mut venues));
        let printed = pixels.prints.iter().filter(|(row, _)| row / 2 == lower / 2);
        let printed = printed.fold([0.0; 2], |sum, (_, usd)| [sum[0] + usd[0], sum[1] + usd[1]]);
        for (usd, side) in printed.into_iter().zip(["longs", "shorts"]).filter(|(usd, _)| *usd > 0.0) {
            lines.push(format!("observed: {} of {side} liquidated", Usd(usd)));
        }
        if !pixels.missing.is_empty() {
            let missing: Vec<String> = pixels.missing.iter().map(ToString::to_string).collect();
            lines.push(format!("no data of {}", missing.join(", ")));
        }
        Some(lines)
    }

    /// Price now and the nearest pool of each side.
    fn told_of_pools(&self) -> Option<Vec<String>> {
        let price = self.price()?;
        let mut lines = vec![self.at(price, self.snapshot.now)];
        for (side, words) in [(Side::Short, "shorts above"), (Side::Long, "longs below")] {
            lines.extend(self.pools.nearest(side).map(|beside| {
                let (at, usd) = (digits(beside.price), Usd(beside.pool.usd));
                format!("nearest {words}: {usd} estimated at {at} ({:+.2}%)", 100.0 * beside.distance)
            }));
        }
        Some(lines)
    }

    /// What, at which price, how far from price now, and when.
    fn at(&self, price: f64, ts: i64) -> String {
        let far = self.price().map(|now| 100.0 * (price / now - 1.0)).filter(|far| far.abs() >= 0.005);
        let far = far.map(|far| format!(" ({far:+.2}%)")).unwrap_or_default();
        let time = Timestamp::from_millisecond(ts).map(|t| t.to_string()).unwrap_or_default();
        format!("{} {}{far} {time}", self.snapshot.asset, digits(price))
    }
}

/// Parts with their amounts, the largest first; none without any.
fn listed(name: &str, parts: &mut [(String, f64)]) -> Option<String> {
    parts.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    let shown = parts.iter().filter(|(_, usd)| usd.abs() >= 0.5);
    let shown: Vec<String> = shown.map(|(part, usd)| format!("{part} {}", Usd(*usd))).collect();
    (!shown.is_empty()).then(|| format!("{name}: {}", shown.join(", ")))
}

/// A price in six digits, whole coins of large ones in full.
fn digits(price: f64) -> String {
    let decimals = if price > 0.0 { (5.0 - price.log10().floor()).clamp(0.0, 16.0) as usize } else { 2 };
    format!("{price:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_have_six_digits_whatever_their_size() {
        let told = [65_210.53, 1_234_567.8, 3.456_789_1, 0.000_012_345_678].map(digits);
        assert_eq!(told, ["65210.5", "1234568", "3.45679", "0.0000123457"]);
    }

    #[test]
    fn parts_are_listed_by_size_and_crumbs_are_not() {
        let mut parts = [("a", 2e6), ("b", -7e6), ("c", 0.4)].map(|(name, usd)| (name.to_owned(), usd));
        assert_eq!(listed("tiers", &mut parts).unwrap(), "tiers: b -$7.00M, a $2.00M");
        assert_eq!(listed("tiers", &mut []), None);
    }
}
