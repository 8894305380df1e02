//! What no exchange tells: at which prices the open positions would be liquidated. Truth files are for judging
//! estimates by; their lines are described in `docs/FORMATS.md`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::world::World;
use crate::market::Side;

/// Time between two accounts, ms: whole quarters of an hour, UTC.
pub const QUARTER_MS: i64 = 900_000;

/// First edge, USD per coin.
const LOWEST: f64 = 1e-13;
/// No edge lies above this, USD per coin.
const HIGHEST: f64 = 1e7;
/// An edge over the one before.
const STEP: f64 = 1.0 + 5.0 / 10_000.0;

/// Price bins 5 bp wide, made as the estimator makes its own (`design.md` §5): by repeated multiplication, so that the
/// two are the same to the last bit.
#[derive(Debug)]
pub struct Bins(Vec<f64>);

impl Default for Bins {
    fn default() -> Self {
        Self(
            std::iter::successors(Some(LOWEST), |edge| Some(edge * STEP))
                .take_while(|e| *e <= HIGHEST)
                .collect(),
        )
    }
}

impl Bins {
    /// The bin that holds a price (USD per coin): its number and its edges.
    pub fn at(&self, price: f64) -> Option<(usize, [f64; 2])> {
        let above = self.0.partition_point(|edge| *edge <= price);
        let low = above.checked_sub(1)?;
        Some((low, [*self.0.get(low)?, *self.0.get(above)?]))
    }
}

/// A line of a truth file.
#[derive(Serialize)]
struct Line {
    v: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    venue: &'static str,
    asset: &'static str,
    ts: i64,
    side: Side,
    bins: Vec<(String, String, f64)>,
}

/// Appends a market's truth as of now: two lines a venue, longs first.
pub fn write_lines(out: &mut Vec<u8>, world: &World, bins: &Bins) -> anyhow::Result<()> {
    for (desk, venue) in world.venues().enumerate() {
        for side in Side::BOTH {
            let asset = world.coin().name;
            let bins = in_bins(world, desk, side, bins);
            let line =
                Line { v: 1, kind: "truth", venue: venue.name(), asset, ts: world.now_ms(), side, bins };
            serde_json::to_writer(&mut *out, &line)?;
            out.push(b'\n');
        }
    }
    Ok(())
}

/// The bins in which positions of a side would be liquidated, with their USD: coins times the geometric middle of the
/// bin, as everywhere (`design.md` §9).
fn in_bins(world: &World, desk: usize, side: Side, bins: &Bins) -> Vec<(String, String, f64)> {
    let contract = world.contract(desk);
    let mut coins: BTreeMap<usize, ([f64; 2], f64)> = BTreeMap::new();
    for held in world.holdings(desk).filter(|held| held.side == side) {
        // A long with margin for all of it has no such price: zero lies below the first bin.
        if let Some((bin, edges)) = bins.at(held.liquidation / contract.multiplier) {
            coins.entry(bin).or_insert((edges, 0.0)).1 += held.lots as f64 * contract.lot_coins();
        }
    }
    let told = |([low, high], coins): ([f64; 2], f64)| {
        let usd = coins * (low * high).sqrt();
        (nine_digits(low), nine_digits(high), (usd * 100.0).round() / 100.0)
    };
    coins.into_values().map(told).collect()
}

/// Nine significant digits, without zeros at their end.
fn nine_digits(price: f64) -> String {
    let exponent = if price > 0.0 { libm::floor(libm::log10(price)) as i32 } else { 0 };
    let text = format!("{price:.*}", (8 - exponent).max(0) as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_have_nine_digits_whatever_the_price() {
        assert_eq!(nine_digits(64_050.123_456), "64050.1235");
        assert_eq!(nine_digits(64_050.0), "64050");
        assert_eq!(nine_digits(0.000_012_501_234_567), "0.0000125012346");
        assert_eq!(nine_digits(1e7), "10000000");
    }

    #[test]
    fn a_price_lies_between_its_edges_and_a_bin_is_five_basis_points_wide() {
        let bins = Bins::default();
        for price in [1e-12, 0.000_012_5, 1.0, 64_000.0, 9.9e6] {
            let (bin, [low, high]) = bins.at(price).unwrap();
            assert!(low <= price && price < high, "{price}: {low} {high}");
            assert!((high / low - 1.0005).abs() < 1e-12);
            assert_eq!(bins.at(low).map(|(bin, _)| bin), Some(bin), "the lower edge belongs to it");
            assert_eq!(bins.at(high).map(|(bin, _)| bin), Some(bin + 1), "the upper to the next");
        }
        assert!([0.0, -1.0, f64::NAN, 2e7, f64::INFINITY].iter().all(|price| bins.at(*price).is_none()));
    }
}
