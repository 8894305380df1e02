//! Prices, quantities and rates as integers; dollars for drawing.
//!
//! Wire text goes straight to an integer, never through a float, so that what an exchange printed is what
//! is stored, compared and written back. A number too large for its type is an error, never a wrap.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a decimal text is not a number we can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumError {
    /// The text is not a plain decimal (digits, at most one point, an optional leading minus).
    #[error("not a decimal number: {0:?}")]
    Malformed(String),
    /// The number does not fit.
    #[error("number out of range: {0}")]
    Overflow(String),
}

/// The text of an error message holds at most this much of the offending input.
const QUOTED: usize = 40;

fn quoted(text: &str) -> String {
    text.chars().take(QUOTED).filter(|c| !c.is_control()).collect()
}

/// Parses a plain decimal into an integer at `10^-digits`; digits beyond that are rounded half away from zero.
fn parse_fixed(text: &str, digits: u32) -> Result<i128, NumError> {
    match parse_short(text.as_bytes(), digits) {
        Some(raw) => Ok(raw),
        None => parse_any(text, digits),
    }
}

/// Powers of ten up to the finest scale held.
const TENS: [u64; 14] = {
    let mut tens = [1; 14];
    let mut i = 1;
    while i < tens.len() {
        tens[i] = 10 * tens[i - 1];
        i += 1;
    }
    tens
};

/// [`parse_any`] for what venues mostly send: nothing to round, at most 18 digits, so that no step can overflow.
fn parse_short(text: &[u8], digits: u32) -> Option<i128> {
    let (negative, body) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    if body.len() > 19 {
        return None;
    }
    let mut number: u64 = 0;
    let mut point = body.len();
    for (place, &byte) in body.iter().enumerate() {
        match byte {
            b'0'..=b'9' => number = number * 10 + u64::from(byte - b'0'),
            b'.' if point == body.len() => point = place,
            _ => return None,
        }
    }
    let decimals = body.len().saturating_sub(point + 1);
    let has_point = usize::from(point < body.len());
    if !(1..=18).contains(&(body.len() - has_point)) {
        return None;
    }
    let missing = (digits as usize).checked_sub(decimals)?;
    let raw = i128::from(number) * i128::from(*TENS.get(missing)?);
    Some(if negative { -raw } else { raw })
}

/// Parses a plain decimal of any length.
fn parse_any(text: &str, digits: u32) -> Result<i128, NumError> {
    let malformed = || NumError::Malformed(quoted(text));
    let overflow = || NumError::Overflow(quoted(text));
    let (negative, body) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut raw: i128 = 0;
    let mut seen_digit = false;
    let mut decimals: Option<u32> = None;
    let mut round_up = false;
    for &byte in body {
        match byte {
            b'0'..=b'9' => {
                seen_digit = true;
                let digit = i128::from(byte - b'0');
                match decimals {
                    Some(n) if n >= digits => {
                        if n == digits {
                            round_up = digit >= 5;
                        }
                        decimals = Some(n.saturating_add(1));
                    }
                    _ => {
                        raw = raw.checked_mul(10).and_then(|r| r.checked_add(digit)).ok_or_else(overflow)?;
                        decimals = decimals.map(|n| n + 1);
                    }
                }
            }
            b'.' if decimals.is_none() => decimals = Some(0),
            _ => return Err(malformed()),
        }
    }
    if !seen_digit {
        return Err(malformed());
    }
    let missing = digits - decimals.unwrap_or(0).min(digits);
    raw = 10_i128.checked_pow(missing).and_then(|f| raw.checked_mul(f)).ok_or_else(overflow)?;
    if round_up {
        raw = raw.checked_add(1).ok_or_else(overflow)?;
    }
    Ok(if negative { -raw } else { raw })
}

/// Writes an integer at `10^-digits` as the shortest plain decimal.
fn write_fixed(f: &mut fmt::Formatter<'_>, raw: i128, digits: u32) -> fmt::Result {
    let scale = 10_u128.pow(digits);
    let magnitude = raw.unsigned_abs();
    let (whole, part) = (magnitude / scale, magnitude % scale);
    let sign = if raw < 0 { "-" } else { "" };
    if part == 0 {
        return write!(f, "{sign}{whole}");
    }
    let decimals = format!("{part:0width$}", width = digits as usize);
    write!(f, "{sign}{whole}.{}", decimals.trim_end_matches('0'))
}

/// Of more than 64 bits, as hardly any number is: apart, or the call would be made for all of them.
#[cold]
#[inline(never)]
fn wide(raw: i128) -> f64 {
    raw as f64
}

macro_rules! fixed_point {
    ($(#[$doc:meta])* $name:ident, $digits:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(i128);

        impl $name {
            /// Decimal places held.
            pub const DIGITS: u32 = $digits;
            /// Nothing.
            pub const ZERO: Self = Self(0);

            /// From the integer at `10^-DIGITS`.
            pub const fn from_raw(raw: i128) -> Self {
                Self(raw)
            }

            /// The integer at `10^-DIGITS`.
            pub const fn raw(self) -> i128 {
                self.0
            }

            /// As a float, right to the last place or the one before: for estimator weights and drawing only.
            pub fn to_f64(self) -> f64 {
                const SCALE: f64 = 10_u64.pow($digits) as f64;
                i64::try_from(self.0).map_or_else(|_| wide(self.0), |raw| raw as f64) / SCALE
            }

            /// The nearest value to a float, for generated data; `None` if it is not finite or does not fit.
            pub fn from_f64(value: f64) -> Option<Self> {
                const SCALE: f64 = 10_u64.pow($digits) as f64;
                let raw = (value * SCALE).round();
                (raw.is_finite() && raw.abs() < 1e38).then(|| Self(raw as i128))
            }

            /// Sum, or `None` if it does not fit.
            pub fn checked_add(self, other: Self) -> Option<Self> {
                self.0.checked_add(other.0).map(Self)
            }

            /// Difference, or `None` if it does not fit.
            pub fn checked_sub(self, other: Self) -> Option<Self> {
                self.0.checked_sub(other.0).map(Self)
            }

            /// This times a decimal factor such as a contract size or a multiplier, or `None` if it does not fit.
            pub fn checked_mul(self, factor: Qty) -> Option<Self> {
                let one = 10_i128.pow(Qty::DIGITS);
                if factor.raw() == one {
                    return Some(self);
                }
                self.0.checked_mul(factor.raw()).map(|p| Self(p / one))
            }

            /// This divided by a decimal factor, or `None` if that is zero or the result does not fit.
            pub fn checked_div(self, factor: Qty) -> Option<Self> {
                let one = 10_i128.pow(Qty::DIGITS);
                if factor.raw() == one {
                    return Some(self);
                }
                self.0.checked_mul(one)?.checked_div(factor.raw()).map(Self)
            }

            /// Whether this is more than nothing.
            pub const fn is_positive(self) -> bool {
                self.0 > 0
            }
        }

        impl FromStr for $name {
            type Err = NumError;

            fn from_str(text: &str) -> Result<Self, NumError> {
                parse_fixed(text, $digits).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_fixed(f, self.0, $digits)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(FixedVisitor(std::marker::PhantomData))
            }
        }
    };
}

struct FixedVisitor<T>(std::marker::PhantomData<T>);

impl<T: FromStr<Err = NumError>> serde::de::Visitor<'_> for FixedVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal number as text, such as \"65000.1\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

fixed_point! {
    /// A price in quote currency (USD) per one coin, at 1e-13: enough for coins sold by the million.
    Price, 13
}

fixed_point! {
    /// A quantity in base coin, at 1e-12.
    Qty, 12
}

fixed_point! {
    /// A dimensionless rate such as a funding rate, at 1e-12 (0.0001 is one basis point).
    Rate, 12
}

/// An amount of US dollars, for estimates and drawing.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Usd(pub f64);

impl fmt::Display for Usd {
    /// Three significant digits with k, M, B: `$950`, `$4.10M`, `$12.4k`, `$1.05B`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0.0 { "-" } else { "" };
        let magnitude = self.0.abs();
        if !magnitude.is_finite() {
            return f.pad("$?");
        }
        // 999.5 is where three digits round up into the next unit.
        let (value, unit) = match magnitude {
            m if m < 999.5 => (m, ""),
            m if m < 999.5e3 => (m / 1e3, "k"),
            m if m < 999.5e6 => (m / 1e6, "M"),
            m if m < 999.5e9 => (m / 1e9, "B"),
            m => (m / 1e12, "T"),
        };
        let decimals = match value {
            _ if unit.is_empty() => 0,
            v if v < 9.995 => 2,
            v if v < 99.95 => 1,
            _ => 0,
        };
        f.pad(&format!("{sign}${value:.decimals$}{unit}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::ProptestConfig;
    use proptest::test_runner::RngSeed;

    use super::*;

    #[test]
    fn wire_text_survives_a_round_trip() {
        for text in ["65000.1", "0.0000000000001", "-0.00038167", "922337203685477.5807", "0", "1"] {
            assert_eq!(text.parse::<Price>().unwrap().to_string(), text);
        }
        assert_eq!("11794.15000000".parse::<Price>().unwrap().to_string(), "11794.15");
        assert_eq!("5.".parse::<Qty>().unwrap(), Qty::from_raw(5_000_000_000_000));
    }

    #[test]
    fn digits_beyond_the_scale_are_rounded_half_away_from_zero() {
        assert_eq!("0.0000000000015".parse::<Qty>().unwrap().raw(), 2);
        assert_eq!("-0.0000000000015".parse::<Qty>().unwrap().raw(), -2);
        assert_eq!("0.00000000000149".parse::<Qty>().unwrap().raw(), 1);
    }

    #[test]
    fn a_number_that_does_not_fit_is_an_error_not_a_wrap() {
        let huge = "9".repeat(40);
        assert!(matches!(huge.parse::<Price>(), Err(NumError::Overflow(_))));
        for text in ["", "-", ".", "1e5", "1.2.3", "0x10", "NaN", " 1"] {
            assert!(matches!(text.parse::<Qty>(), Err(NumError::Malformed(_))), "{text:?}");
        }
    }

    #[test]
    fn the_short_way_reads_what_the_long_way_reads() {
        for text in
            ["999999999999999999", "-99999.9999999999999", ".5", "5.", "-.5", "00", "1.000000000000", "-0"]
        {
            assert_eq!(parse_short(text.as_bytes(), 13), parse_any(text, 13).ok(), "{text}");
        }
        for text in ["1000000000000000000", "0.00000000000001", "", "-", ".", "1..", "1-", "--1", "+1", "٣"]
        {
            assert_eq!(parse_short(text.as_bytes(), 13), None, "{text}");
        }
    }

    proptest::proptest! {
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(5), ..ProptestConfig::default() })]

        #[test]
        fn both_ways_agree(text in "-?[0-9]{0,20}\\.?[0-9]{0,15}[0-9.x-]?") {
            if let Some(raw) = parse_short(text.as_bytes(), 12) {
                proptest::prop_assert_eq!(parse_any(&text, 12), Ok(raw));
            }
        }
    }

    #[test]
    fn a_thousand_coin_price_divides_exactly() {
        let thousand: Qty = "1000".parse().unwrap();
        let price: Price = "0.0123456".parse().unwrap();
        assert_eq!(price.checked_div(thousand).unwrap().to_string(), "0.0000123456");
        let qty: Qty = "7".parse().unwrap();
        assert_eq!(qty.checked_mul(thousand).unwrap().to_string(), "7000");
    }

    #[test]
    fn dollars_keep_three_digits() {
        let shown: Vec<String> =
            [0.0, 950.0, 999.6, 4.1e6, 12_449.0, 1.05e9, -2e3, 999.4e3].map(|v| Usd(v).to_string()).into();
        assert_eq!(shown, ["$0", "$950", "$1.00k", "$4.10M", "$12.4k", "$1.05B", "-$2.00k", "$999k"]);
    }
}
