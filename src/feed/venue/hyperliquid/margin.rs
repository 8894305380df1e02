//! Margin tiers of Hyperliquid: the maintenance rate of a tier is half the initial margin at its highest leverage,
//! m = 1 / (2 · maxLeverage) (`exchanges.md` §13, §14). `meta` tells the tiers; a built-in table stands in where it does not.

use crate::market::{Asset, MarginTier, Qty};

/// Where a tier begins (USD notional), and the highest leverage in it.
pub type Row = (Qty, u32);

const ONE: i128 = 10_i128.pow(Qty::DIGITS);

/// Highest leverage up to a notional, and from there on (`exchanges.md` §14): name, first, USD, then.
const BUILT_IN: [(&str, u32, u64, u32); 3] =
    [("BTC", 40, 150_000_000, 20), ("ETH", 25, 100_000_000, 15), ("SOL", 20, 70_000_000, 10)];

/// The tiers of a table, small positions first; caps and deductions in USD. A table is left out (`None`) if it does not begin at 0, its
/// bounds do not grow, or its leverages do not fall.
pub fn tiers(rows: &[Row]) -> Option<Vec<MarginTier>> {
    if rows.first()?.0 != Qty::ZERO {
        return None;
    }
    let mut tiers = Vec::with_capacity(rows.len());
    let mut deduction: i128 = 0;
    for (at, &(bound, leverage)) in rows.iter().enumerate() {
        if leverage == 0 {
            return None;
        }
        if let Some(&(before, wider)) = at.checked_sub(1).and_then(|at| rows.get(at)) {
            if bound <= before || leverage >= wider {
                return None;
            }
            // What keeps the margin continuous: bound × the step in rate, 1/2l − 1/2w (§14).
            let (l, w) = (i128::from(leverage), i128::from(wider));
            let step = bound.raw().checked_mul(w - l)? / (2 * l * w);
            deduction = deduction.checked_add(step)?;
        }
        tiers.push(MarginTier {
            notional_cap: rows.get(at + 1).map_or(MarginTier::NO_CAP, |next| next.0),
            maintenance_rate: Qty::from_raw(ONE / (2 * i128::from(leverage))),
            deduction: Qty::from_raw(deduction),
            max_leverage: whole(u64::from(leverage)),
        });
    }
    Some(tiers)
}

/// The tiers of an asset whose table is not at hand: the built-in ones if they begin with the leverage the venue
/// lists, else that leverage for any size.
pub fn fallback(asset: Asset, max_leverage: u32) -> Vec<MarginTier> {
    let built_in =
        BUILT_IN.iter().find(|(name, first, ..)| *name == asset.as_str() && *first == max_leverage);
    let rows = match built_in {
        Some(&(_, first, bound, then)) => vec![(Qty::ZERO, first), (whole(bound), then)],
        None => vec![(Qty::ZERO, max_leverage)],
    };
    tiers(&rows).unwrap_or_default()
}

fn whole(n: u64) -> Qty {
    Qty::from_raw(i128::from(n) * ONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(tiers: &[MarginTier]) -> Vec<[String; 4]> {
        let row = |t: &MarginTier| {
            [t.notional_cap, t.maintenance_rate, t.deduction, t.max_leverage].map(|q| q.to_string())
        };
        tiers.iter().map(row).collect()
    }

    #[test]
    fn the_built_in_tables_are_those_of_the_sheet() {
        let btc = fallback("BTC".parse().unwrap(), 40);
        assert_eq!(
            shown(&btc),
            [
                ["150000000", "0.0125", "0", "40"],
                // 150M · (0.025 − 0.0125)
                ["1000000000000", "0.025", "1875000", "20"]
            ]
        );
        let eth = fallback("ETH".parse().unwrap(), 25);
        // 100M · (1/30 − 1/50) = 100M · 20/1500
        assert_eq!(shown(&eth)[1], ["1000000000000", "0.033333333333", "1333333.333333333333", "15"]);
        let sol = fallback("SOL".parse().unwrap(), 20);
        assert_eq!(shown(&sol)[1], ["1000000000000", "0.05", "1750000", "10"]);
        let small = fallback("ATOM".parse().unwrap(), 5);
        assert_eq!(shown(&small), [["1000000000000", "0.1", "0", "5"]]);
        let changed = fallback("BTC".parse().unwrap(), 50);
        assert_eq!(shown(&changed), [["1000000000000", "0.01", "0", "50"]], "the venue's word goes first");
    }

    #[test]
    fn deductions_add_up_over_tiers() {
        let rows = [(Qty::ZERO, 20), (whole(1_000), 10), (whole(10_000), 5)];
        let tiers = tiers(&rows).unwrap();
        // 1,000 · (0.05 − 0.025) = 25; 25 + 10,000 · (0.1 − 0.05) = 525
        assert_eq!(tiers.iter().map(|t| t.deduction.to_string()).collect::<Vec<_>>(), ["0", "25", "525"]);
        assert_eq!(tiers[1].notional_cap, whole(10_000));
    }

    #[test]
    fn a_table_that_contradicts_itself_is_none() {
        for rows in [
            vec![],
            vec![(whole(1), 20)],
            vec![(Qty::ZERO, 0)],
            vec![(Qty::ZERO, 20), (Qty::ZERO, 10)],
            vec![(Qty::ZERO, 20), (whole(5), 20)],
            vec![(Qty::ZERO, 20), (Qty::from_raw(i128::MAX), 10)],
        ] {
            assert!(tiers(&rows).is_none(), "{rows:?}");
        }
        assert!(fallback("BTC".parse().unwrap(), 0).is_empty());
    }
}
