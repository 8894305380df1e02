//! Ours against the documented payloads, for the tests of all encoders.

use serde_json::Value;

/// Asserts the same keys, and at every key a value of the same JSON type; texts that are numbers in one are in the other, and what
/// is an empty list in one is in the other. `at` names the place in a complaint.
pub fn assert_same(ours: &Value, documented: &Value, at: &str) {
    match (ours, documented) {
        (Value::Object(a), Value::Object(b)) => {
            assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{at}");
            for (key, value) in a {
                assert_same(value, &b[key], key);
            }
        }
        (Value::String(a), Value::String(b)) => {
            let number = |s: &str| !s.is_empty() && s.bytes().all(|c| b"0123456789.-".contains(&c));
            assert_eq!(number(a), number(b), "{at}: {a} {b}");
        }
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.is_empty(), b.is_empty(), "{at}");
            for value in a {
                assert_same(value, &b[0], at);
            }
        }
        _ => assert_eq!(std::mem::discriminant(ours), std::mem::discriminant(documented), "{at}"),
    }
}
