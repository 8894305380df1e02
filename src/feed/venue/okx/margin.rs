//! Margin tiers: what stands in until the venue's public table is there, and that table read (`exchanges.md` §5.3, §14).

use std::borrow::Cow;

use serde::Deserialize;

use crate::market::{MarginTier, Price, Qty};

const ONE: i128 = 10_i128.pow(Qty::DIGITS);

/// Most tiers read from an answer: what comes from outside must not fill the memory.
const MOST: usize = 1_000;

/// The tier assumed before the table is known, from the contract's highest leverage. Of the tables only this is known:
/// where 100x is allowed the first tier's rate is 0.004 (§14), which is four tenths of the initial margin. That share is taken for
/// every contract, and for positions of any size.
pub fn assumed(lever: Qty) -> Vec<MarginTier> {
    let share = Qty::from_raw(4 * ONE / 10);
    let Some(rate) = share.checked_div(lever).filter(|_| lever.raw() >= ONE) else { return Vec::new() };
    vec![MarginTier {
        notional_cap: MarginTier::NO_CAP,
        maintenance_rate: rate,
        deduction: Qty::ZERO,
        max_leverage: lever,
    }]
}

/// A row of `/api/v5/public/position-tiers`.
///
/// `{"baseMaxLoan":"50","imr":"0.1","instId":"BTC-USDT","maxLever":"10","maxSz":"50","minSz":"0","mmr":"0.03","optMgnFactor":"0","quoteMaxLoan":"500000","tier":"1","uly":"","instFamily":""}`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TierRow<'a> {
    #[serde(borrow)]
    tier: Cow<'a, str>,
    /// Contracts.
    max_sz: Qty,
    mmr: Qty,
    max_lever: Qty,
}

/// The tiers of a contract of so many coins, small positions first. The venue bounds them in contracts; as dollars they are as good as
/// the price they are taken at (USD per coin). A tier's rate holds for the whole position, so nothing is deducted (§13).
pub fn tiers(rows: &[TierRow<'_>], coins: Qty, price: Price) -> Result<Vec<MarginTier>, &'static str> {
    let mut numbered = Vec::new();
    for row in rows.iter().take(MOST) {
        let number: u32 = row.tier.parse().map_err(|_| "a tier without its number")?;
        let cap = row.max_sz.to_f64() * coins.to_f64() * price.to_f64();
        let notional_cap = Qty::from_f64(cap).filter(|c| c.is_positive()).ok_or("a tier without a size")?;
        if !row.mmr.is_positive() || row.mmr.raw() >= ONE || row.max_lever.raw() < ONE {
            return Err("a tier whose rate or leverage is none");
        }
        let tier = MarginTier {
            notional_cap,
            maintenance_rate: row.mmr,
            deduction: Qty::ZERO,
            max_leverage: row.max_lever,
        };
        numbered.push((number, tier));
    }
    numbered.sort_by_key(|(number, _)| *number);
    Ok(numbered.into_iter().map(|(_, tier)| tier).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_the_table_is_known_the_rate_follows_from_the_leverage() {
        let told = |lever: &str| {
            let tiers = assumed(lever.parse().unwrap());
            tiers
                .iter()
                .map(|t| (t.maintenance_rate.to_string(), t.max_leverage.to_string()))
                .collect::<Vec<_>>()
        };
        assert_eq!(told("100"), [("0.004".to_owned(), "100".to_owned())], "as seen for BTC and ETH");
        assert_eq!(told("50"), [("0.008".to_owned(), "50".to_owned())]);
        assert!(told("0").is_empty() && told("-3").is_empty() && told("0.01").is_empty());
    }

    #[test]
    fn sizes_in_contracts_become_dollars_and_tiers_their_order() {
        let text = r#"[{"tier":"10","maxSz":"6000","mmr":"0.01","maxLever":"50"},{"tier":"2","maxSz":"2000","mmr":"0.005","maxLever":"100"}]"#;
        let rows: Vec<TierRow<'_>> = serde_json::from_str(text).unwrap();
        let tiers = tiers(&rows, "0.01".parse().unwrap(), "60000".parse().unwrap()).unwrap();
        let told: Vec<_> =
            tiers.iter().map(|t| (t.notional_cap.to_string(), t.maintenance_rate.to_string())).collect();
        // 2,000 contracts of 0.01 coins at 60,000 USD.
        assert_eq!(
            told,
            [("1200000".to_owned(), "0.005".to_owned()), ("3600000".to_owned(), "0.01".to_owned())]
        );
        assert!(tiers.iter().all(|t| t.deduction == Qty::ZERO));
    }

    #[test]
    fn a_tier_that_makes_no_sense_spoils_the_table() {
        for (good, bad) in [
            ("\"2\"", "\"x\""),
            ("2000", "0"),
            ("2000", "-5"),
            ("0.005", "0"),
            ("0.005", "1"),
            ("\"100\"", "\"0\""),
        ] {
            let text = r#"[{"tier":"2","maxSz":"2000","mmr":"0.005","maxLever":"100"}]"#.replace(good, bad);
            let rows: Vec<TierRow<'_>> = serde_json::from_str(&text).unwrap();
            assert!(tiers(&rows, "1".parse().unwrap(), "1".parse().unwrap()).is_err(), "{text}");
        }
    }
}
