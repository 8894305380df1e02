//! What is read the plain way is what `serde_json` reads.

use std::borrow::Cow;
use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;
use crate::market::{Price, Qty};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Buy,
    Sell,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    s: Cow<'a, str>,
    p: Price,
    n: i64,
    m: bool,
    side: Option<Word>,
    st: Option<u8>,
    levels: Vec<(Price, Qty)>,
}

const ROW: &str = r#"{"s":"币安人生","p":"65000.1","n":-12,"m":true,"side":"buy","st":null,"levels":[["1.5","2"],["1.4","0"]],"more":{"a":[1,-2.50,"x",null,false,{}]}}"#;

#[test]
fn a_frame_of_a_venue_is_read_without_copies() {
    let row: Row<'_> = plain(ROW).unwrap();
    assert!(matches!(row.s, Cow::Borrowed("币安人生")));
    assert_eq!((row.p.to_string().as_str(), row.n, row.m, row.side), ("65000.1", -12, true, Some(Word::Buy)));
    assert_eq!((row.st, row.levels.len(), row.levels[0].1.to_string().as_str()), (None, 2, "2"));
}

#[test]
fn what_is_not_plain_is_left_to_serde_json() {
    for (text, value) in [
        (r#"{ "a" : 1 }"#, r#"{"a":1}"#),
        (r#"["\u0041"]"#, r#"["A"]"#),
        ("[1.5,1e2]", "[1.5,100.0]"),
        ("18446744073709551615", "18446744073709551615"),
    ] {
        assert!(plain::<Value>(text).is_none(), "{text}");
        assert_eq!(read::<Value>(text).unwrap(), serde_json::from_str::<Value>(value).unwrap());
    }
    let raw: &RawValue = read(r#"{"a":1}"#).unwrap();
    assert_eq!(raw.get(), r#"{"a":1}"#);
    let deep = "[".repeat(20) + &"]".repeat(20);
    assert!(plain::<IgnoredAny>(&deep).is_none());
    assert!(read::<IgnoredAny>(&deep).is_ok());
}

#[test]
fn what_is_not_json_is_refused() {
    for text in [
        "",
        "{",
        "}",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\":1}}",
        "01",
        "-",
        "1.",
        "1.5.",
        "--1",
        "\"",
        "\"a",
        "\"\u{1}\"",
        "tru",
        "nul",
        "truex",
        "[1}",
        "{]",
        "{1:2}",
        "[1.]",
        "[.5]",
        "[-]",
        "[00]",
    ] {
        assert!(plain::<Value>(text).is_none(), "{text}");
        assert!(plain::<IgnoredAny>(text).is_none(), "{text}");
    }
    let twice = ROW.replace("\"more\"", "\"n\"");
    assert!(plain::<Row<'_>>(&twice).is_none(), "a field given twice");
    assert!(plain::<(i64, i64)>("[1,2,3]").is_none());
    assert!(plain::<u8>("256").is_none());
    assert!(plain::<i64>("-0").is_none(), "serde_json takes it for a float");
}

#[test]
fn fields_are_read_in_any_order_and_what_is_none_is_passed_over() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Four {
        a: u8,
        long_name: Option<u8>,
        #[serde(rename = "B")]
        b: u8,
        #[serde(default)]
        last: u8,
    }
    for (text, long_name, last) in [
        (r#"{"a":1,"long_name":3,"B":2,"last":4}"#, Some(3), 4),
        (r#"{"last":4,"B":2,"long_name":3,"a":1}"#, Some(3), 4),
        (r#"{"x":0,"a":1,"y":{"a":9},"B":2,"b":7,"las":5,"lasts":6}"#, None, 0),
        (r#"{"B":2,"":[1],"a":1,"last":4,"LONG_NAME":8}"#, None, 4),
        (r#"{"long_name":null,"B":2,"a":1}"#, None, 0),
    ] {
        let four = Four { a: 1, long_name, b: 2, last };
        assert_eq!(plain(text), Some(four), "{text}");
    }
    for text in [
        r#"{"a":1}"#,
        r#"{"a":1,"B":2,"a":1}"#,
        r#"{"a":1,"B":2,"x"}"#,
        r#"{"a":1,"B":2,"x":"#,
        r#"{"a"1,"B":2}"#,
    ] {
        assert_eq!(plain::<Four>(text), None, "{text}");
    }
}

#[test]
fn a_whole_number_is_what_its_digits_make() {
    for text in [
        "",
        "-1",
        "+1",
        "1.0",
        "x",
        "12345678x",
        "1234567/",
        "1234567:",
        "9223372036854775808",
        "00000000000000000001",
    ] {
        assert_eq!(whole_number(text), None, "{text}");
    }
    for (text, number) in [
        ("0", 0),
        ("7", 7),
        ("12345678", 12_345_678),
        ("1795434083269987413", 1_795_434_083_269_987_413),
        ("9223372036854775807", i64::MAX),
        ("000000010", 10),
    ] {
        assert_eq!(whole_number(text), Some(number), "{text}");
    }
}

#[test]
fn the_leading_string_tells_the_kind() {
    let text = r#"{"topic":"publicTrade.BTCUSDT","data":[]}"#;
    let (topic, rest) = lead(text, "{\"topic\":\"").unwrap();
    assert_eq!((topic, rest), ("publicTrade.BTCUSDT", r#","data":[]}"#));
    for text in [r#"{"e":"x"}"#, r#"{"topic":"x\"y"}"#, r#"{"topic":"x"#, ""] {
        assert!(lead(text, "{\"topic\":\"").is_none(), "{text}");
    }
}

/// An alias counts as a field of its own in the names serde gives, but not in the places it reads: a struct with one would be read wrongly without a word.
#[test]
fn no_type_that_is_read_has_an_alias() {
    fn sources(dir: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.extension().and_then(|e| e.to_str()) {
                _ if entry.is_dir() => sources(&entry, found),
                Some("rs") => found.push(entry),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/feed"), &mut found);
    assert!(found.len() > 40, "{} files", found.len());
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        let has_alias =
            text.lines().any(|line| line.trim_start().starts_with("#[serde") && line.contains("alias"));
        assert!(!has_alias, "{}", path.display());
    }
}

#[test]
fn a_script_is_followed_to_the_end_or_not_at_all() {
    let read = |text: &str| {
        let mut script = Script::new(text)?;
        script.pass(r#"{"rows":["#)?;
        let rows = script.rows(|row| {
            row.pass("[")?;
            let number = row.whole()?;
            row.pass(r#",""#)?;
            let word = row.string()?.to_owned();
            row.pass(",")?;
            let truth = row.truth()?;
            row.pass("]")?;
            Some((number, word, truth))
        })?;
        script.ends("]}").then_some(rows)
    };
    let text = r#"{"rows":[[123456789012345678,"币安人生",false],[0,"",true]]}"#;
    let rows = vec![(123_456_789_012_345_678, "币安人生".to_owned(), false), (0, String::new(), true)];
    assert_eq!(read(text), Some(rows));
    for (from, to) in [
        ("[0", "[00"),
        ("[0", "[-0"),
        ("[0", "["),
        ("[0", "[1.5"),
        ("8,", "89,"),
        ("true", "tru"),
        ("true", "True"),
        ("币", "\\"),
        ("币", "\n"),
        ("\"\"", "\""),
        ("]]}", "]]"),
        ("]]}", "],]}"),
        ("]]}", "]]} "),
        ("],[", "][,"),
        ("[[", "[ ["),
    ] {
        assert_eq!(read(&text.replacen(from, to, 1)), None, "{from} {to}");
    }
}

#[test]
fn a_string_ends_where_it_ends_at_any_length() {
    for length in 0..40 {
        for fill in ["x", "\u{7f}", "!", "#", "[", "]", "é", "\u{a2}"] {
            let string = fill.repeat(length);
            let text = format!("{string}\"\\\u{1}");
            assert_eq!(string_len(text.as_bytes()), Some(string.len()), "{text}");
            assert_eq!(string_len(string.as_bytes()), None);
            assert_eq!(lead(&text, ""), Some((&*string, "\\\u{1}")));
            for odd in ["\\\\", "\\n", "\u{1f}", "\u{0}"] {
                let text = format!("[\"{string}{odd}{string}\"]");
                assert_eq!(lead(&text, "[\""), None, "{text}");
                assert_eq!(plain::<Vec<Cow<'_, str>>>(&text), None, "{text}");
                assert_eq!(plain_len(*format!("{odd}12345678").as_bytes().first_chunk().unwrap()), 0);
            }
        }
    }
}

/// A text with a few characters in the place of a few others.
pub fn near(text: &str, at: prop::sample::Index, to: prop::sample::Index, put: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let (from, to) = (at.index(chars.len()), to.index(chars.len()));
    let to = if to.abs_diff(from) < 4 { to.max(from) } else { from };
    chars.splice(from..to, put.chars());
    chars.into_iter().collect()
}

/// Texts that are nearly JSON, and often JSON.
fn near_json() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\"a\"",
        "\"p\":",
        "\"n\":",
        "1",
        "0",
        "-",
        "-1",
        "1.5",
        ".",
        "e",
        "1e5",
        "true",
        "false",
        "null",
        "\"\\n\"",
        "\"12.5\"",
        " ",
        "\t",
        "\u{7f}",
        "é",
        "999999999999999999",
        "9223372036854775808",
    ]);
    prop_oneof![
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat()),
        (any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[ -~]{0,3}")
            .prop_map(|(at, to, put)| near(ROW, at, to, &put)),
    ]
}

fn agree<'a, T: Deserialize<'a> + fmt::Debug + PartialEq>(text: &'a str) -> Result<(), TestCaseError> {
    if let Some(value) = plain::<T>(text) {
        prop_assert_eq!(Some(value), serde_json::from_str(text).ok(), "{}", text);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, rng_seed: proptest::test_runner::RngSeed::Fixed(11), ..ProptestConfig::default() })]

    #[test]
    fn what_is_accepted_is_what_serde_json_reads(text in near_json()) {
        agree::<Row<'_>>(&text)?;
        agree::<Value>(&text)?;
        agree::<IgnoredAny>(&text)?;
        agree::<Vec<i64>>(&text)?;
        agree::<Option<u8>>(&text)?;
        agree::<f64>(&text)?;
        agree::<(Price, u64)>(&text)?;
        agree::<BTreeMap<String, Option<i32>>>(&text)?;
        agree::<Word>(&text)?;
        agree::<char>(&text)?;
        agree::<()>(&text)?;
    }

    #[test]
    fn a_whole_number_is_what_the_standard_library_reads(n in 0..=i64::MAX, cut in 1_usize..20, odd in "[/:a-f .-]?") {
        let text = n.to_string();
        let text = format!("{}{odd}", &text[..cut.min(text.len())]);
        prop_assert_eq!(whole_number(&text), text.parse().ok());
    }

    /// Whatever `serde_json` writes without escapes and fractions is plain: the fast way is taken, not only safe.
    #[test]
    fn what_a_machine_writes_is_plain(n in -999_999_999_999_999_999_i64..1_000_000_000_000_000_000, words in prop::collection::vec("[a-zA-Z0-9_@.é]{0,12}", 0..6), m: bool) {
        let value = serde_json::json!({ "n": n, "words": words, "m": m, "none": null, "in": { "x": [n, [n]] } });
        prop_assert_eq!(plain::<Value>(&value.to_string()), Some(value));
    }
}
