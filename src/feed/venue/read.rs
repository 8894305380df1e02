//! What every wire does with a text and the numbers in it.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use crate::feed::instruments::Listing;
use crate::market::candle::Ohlc;
use crate::market::event::{TradeId, is_time};
use crate::market::{Candle, Interval, Price, Qty};

use super::json;

/// What is wrong with a text, in words.
pub type Fault = Cow<'static, str>;

/// Reads JSON; the words of an error are `serde_json`'s.
pub fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Fault> {
    json::read(text).map_err(|e| e.to_string().into())
}

/// As [`parse`], but an array is not taken for a struct's fields in order.
pub fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Fault> {
    if text.trim_ascii_start().starts_with('{') { parse(text) } else { Err("not an object".into()) }
}

/// A text that may be missing. A plain `Option<Cow<str>>` copies what it reads; inside this the text stays where it is.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// A number that is written as one or as text: where a venue may do either, and it is read too rarely for haste.
#[derive(Debug, Clone, Copy)]
pub struct Number<T>(pub T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Number<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<T: FromStr<Err: Display>> Visitor<'_> for Either<T> {
            type Value = Number<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or one as text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number<T>, E> {
                text.parse().map(Number).map_err(E::custom)
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Number<T>, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Number<T>, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Number<T>, E> {
                // Written out in full, without an exponent, and without a point where it is whole.
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

/// More than nothing. Asked also after a conversion to coins: the smallest price of a thousand coins is none of one.
pub fn positive<T: PartialOrd + Default>(number: T) -> Result<T, &'static str> {
    if number > T::default() { Ok(number) } else { Err("not a positive number") }
}

/// A one-minute bar per coin: from open, high, low, close and the volume as quoted, and what takers bought of it, where that is
/// told.
pub fn minute(
    listing: &Listing,
    prices: [Price; 4],
    volume: Qty,
    taker_buy: Option<Qty>,
) -> Result<Candle, &'static str> {
    const RANGE: &str = "number does not fit";
    let [open, high, low, close] = prices.map(|p| listing.price(p).ok_or(RANGE));
    let ohlc = Ohlc { open: open?, high: high?, low: low?, close: close? };
    let inside = |p: Price| ohlc.low <= p && p <= ohlc.high;
    if !ohlc.low.is_positive() || !inside(ohlc.open) || !inside(ohlc.close) {
        return Err("candle prices contradict each other");
    }
    let volume = listing.qty(volume).ok_or(RANGE)?;
    let taker_buy = taker_buy.map(|q| listing.qty(q).ok_or(RANGE)).transpose()?;
    if volume < Qty::ZERO {
        return Err("volume is less than nothing");
    }
    if taker_buy.is_some_and(|bought| bought < Qty::ZERO || bought > volume) {
        return Err("taker volume exceeds volume");
    }
    Ok(Candle { interval: Interval::M1, ohlc: Some(ohlc), volume: Some(volume), taker_buy })
}

/// A time, UTC ms. It is checked before it is remembered: one wild time would make all later rows look old.
pub fn time(ms: i64) -> Result<i64, &'static str> {
    if is_time(ms) { Ok(ms) } else { Err("time out of range") }
}

/// The name of a trade that has a number: its 20 digits at most fit.
pub fn numbered(number: u64) -> TradeId {
    TradeId::from(itoa::Buffer::new().format(number)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        name: Option<Text<'a>>,
    }

    #[test]
    fn a_text_that_may_be_missing_is_not_copied() {
        let named: Named<'_> = parse(r#"{"name":"BTC"}"#).unwrap();
        assert!(matches!(named.name, Some(Text(Cow::Borrowed("BTC")))));
        let escaped: Named<'_> = parse(r#"{"name":"\u0042TC"}"#).unwrap();
        assert_eq!(escaped.name.as_deref(), Some("BTC"));
        assert!(parse::<Named<'_>>(r#"{"name":null}"#).unwrap().name.is_none());
        assert!(parse::<Named<'_>>("{}").unwrap().name.is_none());
    }

    #[test]
    fn a_number_may_be_written_as_text() {
        let qty = |text| parse::<Number<Qty>>(text).map(|n| n.0.to_string());
        for (text, expected) in [
            ("\"150000000.0\"", "150000000"),
            ("150000000.0", "150000000"),
            ("150000000", "150000000"),
            ("1.5e8", "150000000"),
            ("-0.25", "-0.25"),
            ("-3", "-3"),
        ] {
            assert_eq!(qty(text).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(parse::<Number<u32>>("40.0").map(|n| n.0), Ok(40));
        for text in ["null", "true", "[1]", "\"\"", "\"x\"", "1e300"] {
            assert!(qty(text).is_err(), "{text}");
        }
        assert!(parse::<Number<u32>>("-1").is_err() && parse::<Number<u32>>("0.5").is_err());
    }

    #[test]
    fn an_array_is_no_object_though_it_has_its_fields_in_order() {
        assert!(parse::<Named<'_>>(r#"["BTC"]"#).is_ok());
        assert_eq!(object::<Named<'_>>(r#"["BTC"]"#).unwrap_err(), "not an object");
        assert!(object::<Named<'_>>(r#" {"name":"BTC"}"#).is_ok());
    }
}
