//! Margin tiers shipped with the program: the signed endpoint that tells them needs a key (`exchanges.md` §3.4, §14).

use crate::market::{Asset, MarginTier, Qty};

/// Highest leverage, notional cap in USD, maintenance rate in 1/10,000, deduction in USD.
type Row = (u32, u64, u32, u64);

const BTC: [Row; 12] = [
    (150, 300_000, 40, 0),
    (100, 800_000, 50, 300),
    (75, 3_000_000, 65, 1_500),
    (50, 12_000_000, 100, 12_000),
    (25, 70_000_000, 200, 132_000),
    (20, 100_000_000, 250, 482_000),
    (10, 230_000_000, 500, 2_982_000),
    (5, 480_000_000, 1_000, 14_482_000),
    (4, 600_000_000, 1_250, 26_482_000),
    (3, 800_000_000, 1_500, 41_482_000),
    (2, 1_200_000_000, 2_500, 121_482_000),
    (1, 1_800_000_000, 5_000, 421_482_000),
];

const ETH: [Row; 12] = [
    (150, 300_000, 40, 0),
    (100, 800_000, 50, 300),
    (75, 3_000_000, 65, 1_500),
    (50, 12_000_000, 100, 12_000),
    (25, 50_000_000, 200, 132_000),
    (20, 65_000_000, 250, 382_000),
    (10, 150_000_000, 500, 2_007_000),
    (5, 320_000_000, 1_000, 9_507_000),
    (4, 400_000_000, 1_250, 17_507_000),
    (3, 530_000_000, 1_500, 27_507_000),
    (2, 800_000_000, 2_500, 80_507_000),
    (1, 1_200_000_000, 5_000, 280_507_000),
];

const SOL: [Row; 10] = [
    (100, 50_000, 50, 0),
    (75, 400_000, 65, 75),
    (50, 1_000_000, 100, 1_475),
    (25, 4_000_000, 200, 11_475),
    (20, 8_000_000, 250, 31_475),
    (10, 40_000_000, 500, 231_475),
    (5, 80_000_000, 1_000, 2_231_475),
    (4, 100_000_000, 1_250, 4_231_475),
    (2, 200_000_000, 2_500, 16_731_475),
    (1, 400_000_000, 5_000, 66_731_475),
];

const XRP: [Row; 11] = [
    (100, 40_000, 50, 0),
    (75, 80_000, 60, 40),
    (50, 150_000, 100, 360),
    (40, 400_000, 125, 735),
    (25, 1_000_000, 200, 3_735),
    (20, 2_000_000, 250, 8_735),
    (10, 10_000_000, 500, 58_735),
    (5, 20_000_000, 1_000, 558_735),
    (4, 25_000_000, 1_250, 1_058_735),
    (2, 50_000_000, 2_500, 4_183_735),
    (1, 100_000_000, 5_000, 16_683_735),
];

const DOGE: [Row; 10] = [
    (75, 80_000, 65, 0),
    (50, 150_000, 100, 280),
    (40, 750_000, 125, 655),
    (25, 2_000_000, 200, 6_280),
    (20, 4_000_000, 250, 16_280),
    (10, 20_000_000, 500, 116_280),
    (5, 40_000_000, 1_000, 1_116_280),
    (4, 50_000_000, 1_250, 2_116_280),
    (2, 100_000_000, 2_500, 8_366_280),
    (1, 200_000_000, 5_000, 33_366_280),
];

const PEPE: [Row; 10] = [
    (75, 20_000, 65, 0),
    (50, 200_000, 100, 70),
    (40, 300_000, 150, 1_070),
    (25, 1_500_000, 200, 2_570),
    (20, 3_000_000, 250, 10_070),
    (10, 15_000_000, 500, 85_070),
    (5, 20_000_000, 1_000, 835_070),
    (4, 25_000_000, 1_250, 1_335_070),
    (2, 30_000_000, 2_500, 4_460_070),
    (1, 35_000_000, 5_000, 11_960_070),
];

/// The table 111 smaller coins share.
const TYPICAL: [Row; 8] = [
    (50, 5_000, 150, 0),
    (20, 10_000, 250, 50),
    (10, 20_000, 500, 300),
    (5, 50_000, 1_000, 1_300),
    (4, 250_000, 1_250, 2_550),
    (3, 500_000, 1_667, 12_975),
    (2, 7_500_000, 2_500, 54_625),
    (1, 12_500_000, 5_000, 1_929_625),
];

const ONE: i128 = 10_i128.pow(Qty::DIGITS);

/// The margin tiers of an asset's USDT contract, small positions first; caps and deductions in USD.
pub fn tiers(asset: Asset) -> Vec<MarginTier> {
    let rows: &[Row] = match asset.as_str() {
        "BTC" => &BTC,
        "ETH" => &ETH,
        "SOL" => &SOL,
        "XRP" => &XRP,
        "DOGE" => &DOGE,
        "PEPE" => &PEPE,
        _ => &TYPICAL,
    };
    let whole = |n: u64| Qty::from_raw(i128::from(n) * ONE);
    let tier = |&(leverage, cap, rate, deduction): &Row| MarginTier {
        notional_cap: whole(cap),
        maintenance_rate: Qty::from_raw(i128::from(rate) * ONE / 10_000),
        deduction: whole(deduction),
        max_leverage: whole(u64::from(leverage)),
    };
    rows.iter().map(tier).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each deduction is the one before plus floor × step in rate, which makes the maintenance margin continuous (`exchanges.md` §14).
    #[test]
    fn every_deduction_follows_from_the_tier_before() {
        for rows in [&BTC[..], &ETH, &SOL, &XRP, &DOGE, &PEPE, &TYPICAL] {
            for pair in rows.windows(2) {
                let (_, floor, rate, cum) = pair[0];
                let (_, _, next_rate, next_cum) = pair[1];
                let expected = cum + floor * u64::from(next_rate - rate) / 10_000;
                assert_eq!(next_cum, expected, "{pair:?}");
            }
        }
    }

    #[test]
    fn rates_keep_their_digits() {
        let tiers = tiers("BTC".parse().unwrap());
        assert_eq!(tiers[2].maintenance_rate.to_string(), "0.0065");
        assert_eq!(tiers[1].deduction.to_string(), "300");
        assert_eq!(tiers[0].max_leverage.to_string(), "150");
        assert_eq!(super::tiers("ZZZ".parse().unwrap())[0].max_leverage.to_string(), "50");
    }
}
