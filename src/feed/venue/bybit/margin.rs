//! Margin tiers: the public ones of `/v5/market/risk-limit`, and what is shipped for the time until they are known
//! (`exchanges.md` §4.3, §14).

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::feed::venue::read::{Number, parse};
use crate::market::{Asset, MarginTier, Qty};

/// Highest leverage, notional cap in USD, maintenance rate in 1/10,000, deduction in USD.
type Row = (u32, u64, u32, u64);

/// The tiers of BTCUSDT that are known; there are more, for larger positions (§14).
const BTC: [Row; 3] = [(150, 300_000, 33, 0), (100, 2_000_000, 50, 510), (90, 2_600_000, 56, 1_710)];

const ONE: i128 = 10_i128.pow(Qty::DIGITS);

/// The tiers to begin with, small positions first; caps and deductions in USD. Where no table is known the highest leverage
/// alone is: it makes one tier whose maintenance rate is half its initial margin, as in every row of §14.
pub fn shipped(asset: Asset, max_leverage: Option<Qty>) -> Vec<MarginTier> {
    if asset.as_str() == "BTC" {
        let whole = |n: u64| Qty::from_raw(i128::from(n) * ONE);
        let tier = |&(leverage, cap, rate, deduction): &Row| MarginTier {
            notional_cap: whole(cap),
            maintenance_rate: Qty::from_raw(i128::from(rate) * ONE / 10_000),
            deduction: whole(deduction),
            max_leverage: whole(u64::from(leverage)),
        };
        return BTC.iter().map(tier).collect();
    }
    let least = Qty::from_raw(ONE);
    let tier = |max_leverage: Qty| MarginTier {
        notional_cap: MarginTier::NO_CAP,
        maintenance_rate: Qty::from_raw(ONE * ONE / (2 * max_leverage.raw())),
        deduction: Qty::ZERO,
        max_leverage,
    };
    max_leverage.filter(|l| *l >= least).map(tier).into_iter().collect()
}

/// One row of `/v5/market/risk-limit`.
///
/// `{"id":1,"symbol":"BTCUSD","riskLimitValue":"150","maintenanceMargin":"0.5","initialMargin":"1","isLowestRisk":1,"maxLeverage":"100.00","mmDeduction":""}`
///
/// The rates are percent here and fractions in live linear rows; they are said to be numbers and shown as text (§4.3).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RiskRow<'a> {
    pub symbol: &'a str,
    risk_limit_value: Number<Qty>,
    maintenance_margin: Number<Qty>,
    initial_margin: Number<Qty>,
    max_leverage: Number<Qty>,
    #[serde(borrow)]
    mm_deduction: Option<&'a RawValue>,
}

impl RiskRow<'_> {
    /// Initial margin times highest leverage: near 1 where rates are fractions, near 100 where they are percent (§15 check 5).
    pub fn scale(&self) -> f64 {
        self.initial_margin.0.to_f64() * self.max_leverage.0.to_f64()
    }

    /// The tier, with its rate as a share of notional.
    pub fn tier(&self) -> Result<MarginTier, &'static str> {
        let parts = match self.scale() {
            scale if (0.5..2.0).contains(&scale) => 1,
            scale if (50.0..200.0).contains(&scale) => 100,
            _ => return Err("initial margin times leverage is neither 1 nor 100"),
        };
        let tier = MarginTier {
            notional_cap: self.risk_limit_value.0,
            maintenance_rate: Qty::from_raw(self.maintenance_margin.0.raw() / parts),
            deduction: match self.mm_deduction {
                // The first tier has nothing to deduct and says so with an empty text.
                None => Qty::ZERO,
                Some(text) if matches!(text.get(), "\"\"" | "null") => Qty::ZERO,
                Some(text) => parse::<Number<Qty>>(text.get()).map_err(|_| "a margin tier cannot be read")?.0,
            },
            max_leverage: self.max_leverage.0,
        };
        let one = Qty::from_raw(ONE);
        let plausible = tier.notional_cap.is_positive()
            && tier.maintenance_rate.is_positive()
            && tier.maintenance_rate < one
            && tier.deduction >= Qty::ZERO
            && tier.max_leverage >= one;
        if plausible { Ok(tier) } else { Err("a margin tier makes no sense") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tier(text: &str) -> Result<MarginTier, String> {
        let row: RiskRow<'_> = parse(text)?;
        Ok(row.tier()?)
    }

    const PERCENT: &str = r#"{"id":1,"symbol":"BTCUSD","riskLimitValue":"150","maintenanceMargin":"0.5","initialMargin":"1","isLowestRisk":1,"maxLeverage":"100.00","mmDeduction":""}"#;
    const FRACTION: &str = r#"{"id":2,"symbol":"BTCUSDT","riskLimitValue":"2000000","maintenanceMargin":"0.005","initialMargin":"0.01","isLowestRisk":0,"maxLeverage":"100.00","mmDeduction":"510"}"#;

    #[test]
    fn percent_and_fractions_come_out_alike() {
        let shown = |t: MarginTier| {
            [t.notional_cap, t.maintenance_rate, t.deduction, t.max_leverage].map(|q| q.to_string())
        };
        assert_eq!(shown(tier(PERCENT).unwrap()), ["150", "0.005", "0", "100"]);
        assert_eq!(shown(tier(FRACTION).unwrap()), ["2000000", "0.005", "510", "100"]);
        let bare =
            FRACTION.replace("\"0.005\"", "0.005").replace("\"0.01\"", "0.01").replace("\"510\"", "null");
        assert_eq!(shown(tier(&bare).unwrap()), ["2000000", "0.005", "0", "100"]);
        // 90x at an initial margin of 1.11 %: 0.999.
        let uneven = FRACTION.replace("100.00", "90").replace("\"0.01\"", "\"0.0111\"");
        assert_eq!(tier(&uneven).unwrap().max_leverage.to_string(), "90");
    }

    #[test]
    fn a_tier_that_makes_no_sense_is_refused() {
        for (good, bad) in [
            ("\"0.01\"", "\"0.1\""),
            ("\"0.005\"", "\"0\""),
            ("\"0.005\"", "\"1.5\""),
            ("\"2000000\"", "\"\""),
            ("\"510\"", "\"-1\""),
            ("\"100.00\"", "{}"),
        ] {
            assert!(tier(&FRACTION.replace(good, bad)).is_err(), "{bad}");
        }
    }

    /// Each deduction is the one before plus floor × step in rate (`exchanges.md` §14).
    #[test]
    fn every_shipped_deduction_follows_from_the_tier_before() {
        for pair in BTC.windows(2) {
            let (_, floor, rate, deduction) = pair[0];
            let (_, _, next_rate, next) = pair[1];
            assert_eq!(next, deduction + floor * u64::from(next_rate - rate) / 10_000, "{pair:?}");
        }
    }

    #[test]
    fn without_a_table_the_highest_leverage_makes_one_tier() {
        let eth: Asset = "ETH".parse().unwrap();
        let tiers = shipped(eth, Some("100".parse().unwrap()));
        let [tier] = tiers.as_slice() else { panic!("{tiers:?}") };
        assert_eq!(
            (tier.maintenance_rate.to_string(), tier.max_leverage.to_string()),
            ("0.005".into(), "100".into())
        );
        assert!(shipped(eth, None).is_empty());
        assert!(shipped(eth, Some(Qty::ZERO)).is_empty());
        assert_eq!(shipped("BTC".parse().unwrap(), None)[0].maintenance_rate.to_string(), "0.0033");
    }
}
