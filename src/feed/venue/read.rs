//! What every wire does with a text and the numbers in it.

use std::borrow::Cow;

use serde::Deserialize;

use crate::market::event::is_time;

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
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// More than nothing. Asked also after a conversion to coins: the smallest price of a thousand coins is none of one.
pub fn positive<T: PartialOrd + Default>(number: T) -> Result<T, &'static str> {
    if number > T::default() { Ok(number) } else { Err("not a positive number") }
}

/// A time, UTC ms. It is checked before it is remembered: one wild time would make all later rows look old.
pub fn time(ms: i64) -> Result<i64, &'static str> {
    if is_time(ms) { Ok(ms) } else { Err("time out of range") }
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
    fn an_array_is_no_object_though_it_has_its_fields_in_order() {
        assert!(parse::<Named<'_>>(r#"["BTC"]"#).is_ok());
        assert_eq!(object::<Named<'_>>(r#"["BTC"]"#).unwrap_err(), "not an object");
        assert!(object::<Named<'_>>(r#" {"name":"BTC"}"#).is_ok());
    }
}
