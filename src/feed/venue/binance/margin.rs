//! Margin tiers shipped with the program: the signed endpoint that tells them needs a key (`exchanges.md` §3.4, §14).
//!
//! `margin.tsv` holds the ladders of every symbol of September 2026, made by `contrib/binance_margin.py`. Many symbols share
//! a ladder.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::market::{MarginTier, Qty};

const TEXT: &str = include_str!("margin.tsv");

/// The ladders, commonest first, and which of them a symbol has.
struct Table {
    ladders: Vec<Vec<MarginTier>>,
    by_symbol: HashMap<&'static str, usize>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table { ladders: Vec::new(), by_symbol: HashMap::new() };
    for (tiers, symbols) in rows().filter_map(row) {
        table.by_symbol.extend(symbols.split(' ').map(|symbol| (symbol, table.ladders.len())));
        table.ladders.push(tiers);
    }
    table
});

/// The lines that hold ladders.
fn rows() -> impl Iterator<Item = &'static str> {
    TEXT.lines().filter(|line| !line.starts_with('#'))
}

/// The tiers and the symbols of `150:300000:0.004:0 100:800000:0.005:300<tab>BTCUSDT`.
fn row(line: &'static str) -> Option<(Vec<MarginTier>, &'static str)> {
    let (ladder, symbols) = line.split_once('\t')?;
    Some((ladder.split(' ').map(tier).collect::<Option<_>>()?, symbols))
}

/// A tier of `leverage:cap:rate:deduction`.
fn tier(text: &str) -> Option<MarginTier> {
    let mut numbers = text.split(':').map(str::parse::<Qty>);
    let mut next = || numbers.next()?.ok();
    let max_leverage = next()?;
    Some(MarginTier { max_leverage, notional_cap: next()?, maintenance_rate: next()?, deduction: next()? })
}

/// The margin tiers of a symbol as Binance writes it (`1000PEPEUSDT`), small positions first; caps and deductions in USD. A
/// symbol listed since has the ladder most have, that of the typical small coin (§14).
pub fn tiers(symbol: &str) -> &'static [MarginTier] {
    let ladder = TABLE.by_symbol.get(symbol).copied().unwrap_or_default();
    TABLE.ladders.get(ladder).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(symbol: &str) -> Vec<String> {
        let text = |t: &MarginTier| {
            format!("{}|{}|{}|{}", t.max_leverage, t.notional_cap, t.maintenance_rate, t.deduction)
        };
        tiers(symbol).iter().map(text).collect()
    }

    #[test]
    fn every_row_is_read_and_every_symbol_has_one() {
        let rows: Vec<_> = rows().map(|line| row(line).unwrap_or_else(|| panic!("{line}"))).collect();
        let symbols: Vec<&str> = rows.iter().flat_map(|(_, symbols)| symbols.split(' ')).collect();
        assert_eq!((rows.len(), symbols.len(), TABLE.by_symbol.len()), (221, 907, 907));
    }

    /// Each deduction is the one before plus floor × step in rate, which makes the maintenance margin continuous
    /// (`exchanges.md` §14); leverage falls while caps and rates rise.
    #[test]
    fn every_deduction_follows_from_the_tier_before() {
        for ladder in &TABLE.ladders {
            assert_eq!(ladder[0].deduction, Qty::ZERO);
            for pair in ladder.windows(2) {
                let [low, high] = pair else { unreachable!() };
                let step = high.maintenance_rate.checked_sub(low.maintenance_rate).unwrap();
                let expected = low.deduction.checked_add(low.notional_cap.checked_mul(step).unwrap());
                assert_eq!(Some(high.deduction), expected, "{pair:?}");
                assert!(step.is_positive() && low.notional_cap < high.notional_cap, "{pair:?}");
                assert!(low.max_leverage > high.max_leverage, "{pair:?}");
            }
        }
    }

    /// `exchanges.md` §14.
    #[test]
    fn ladders_are_as_published() {
        assert_eq!(
            shown("BTCUSDT")[..3],
            ["150|300000|0.004|0", "100|800000|0.005|300", "75|3000000|0.0065|1500"]
        );
        assert_eq!(shown("1000PEPEUSDT").last().unwrap(), "1|35000000|0.5|11960070");
        assert_eq!(shown("AEVOUSDT")[5], "3|500000|0.1667|12975");
    }

    #[test]
    fn a_symbol_listed_since_has_the_typical_ladder() {
        assert_eq!(shown("ZZZUSDT"), shown("AEVOUSDT"));
        assert_eq!(shown("ZZZUSDT")[0], "50|5000|0.015|0");
    }
}
