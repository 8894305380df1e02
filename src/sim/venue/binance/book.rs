//! A plausible order book. Nothing rests in it for real: trading is by flow and impact, and the book only shows a
//! depth that agrees with that impact.

use std::fmt::Write;

use super::frames::{price, qty};
use crate::sim::history::History;
use crate::sim::world::contract::Contract;

/// Share of open interest that rests within a basis point, on each side.
const PER_BP: f64 = 0.002;

/// Lots resting at a price in ticks; the same each time that price is looked at.
pub fn resting(contract: &Contract, ticks: i64) -> i64 {
    // SplitMix64's finisher: neighbouring prices get unrelated sizes.
    let mut mixed = (ticks as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let unit = ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
    let tick_bp = contract.tick() / contract.price * 1e4;
    let mean = PER_BP * contract.open_interest_usd * tick_bp / contract.price / contract.lot();
    // Mostly thin, here and there a wall.
    ((mean * (0.1 + 3.6 * unit * unit * unit)) as i64).max(1)
}

/// Body of `/fapi/v1/depth` (exchanges.md §3.3).
pub fn depth(contract: &Contract, history: &History, limit: i64) -> String {
    let (update, bid) = history
        .last
        .map_or((0, history.now.bid), |p| (p.last_fill, if p.taker_buys { p.ticks - 1 } else { p.ticks }));
    let now = history.last.map_or(0, |p| p.ms).max(history.now.end_ms);
    let mut body = format!(r#"{{"lastUpdateId":{update},"E":{now},"T":{now},"bids":["#);
    for level in 0..limit {
        row(&mut body, contract, bid - level, level == 0);
    }
    body.push_str(r#"],"asks":["#);
    for level in 0..limit {
        row(&mut body, contract, bid + 1 + level, level == 0);
    }
    body.push_str("]}");
    body
}

fn row(body: &mut String, contract: &Contract, ticks: i64, first: bool) {
    let comma = if first { "" } else { "," };
    // Writing to a String cannot fail.
    let _ = write!(
        body,
        r#"{comma}["{}","{}"]"#,
        price(contract, ticks.max(1)),
        qty(contract, resting(contract, ticks.max(1)))
    );
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::contracts::CONTRACTS;
    use super::*;

    #[test]
    fn the_book_does_not_cross_and_has_the_depth_of_the_impact() {
        let mut history = History::default();
        history.now.bid = 1_000_000;
        let body: Value = serde_json::from_str(&depth(&CONTRACTS[0], &history, 100)).unwrap();
        let price = |side: &str, n: usize| body[side][n][0].as_str().unwrap().parse::<f64>().unwrap();
        assert!(price("bids", 0) < price("asks", 0));
        assert!(price("bids", 99) < price("bids", 98) && price("asks", 99) > price("asks", 98));
        let usd: f64 = (0..100)
            .map(|n| price("bids", n) * body["bids"][n][1].as_str().unwrap().parse::<f64>().unwrap())
            .sum();
        assert!((6e6..24e6).contains(&usd), "{usd} within a basis point");
    }
}
