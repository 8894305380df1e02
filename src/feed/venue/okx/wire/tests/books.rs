//! Books from the wire: holes, repeats, and how often a new one is asked for.

use super::*;

/// A book message: numbers, time, one bid and one ask of so many contracts.
pub fn message(action: &str, before: i64, number: i64, ts: i64, bid: &str, ask: &str) -> String {
    BOOK.replace("snapshot", action)
        .replace("-1", &before.to_string())
        .replace("123456", &number.to_string())
        .replace("1597026383085", &ts.to_string())
        .replace("\"256\"", &format!("\"{bid}\""))
        .replace("\"415\"", &format!("\"{ask}\""))
}

#[test]
fn a_hole_in_the_book_is_told_and_a_new_snapshot_asked_for() {
    let mut feed = Feed::new();
    assert_eq!(feed.ws(&message("snapshot", -1, 10, T, "256", "415")).len(), 1);
    let next = feed.ws(&message("update", 10, 12, T + 1_000, "0", "100"));
    let expected =
        format!(r#"{{"type":"book","asset":"BTC","ts":{},"bids":[],"asks":[["8476.98","1"]]}}"#, T + 1_000);
    assert_eq!(told(&next), [serde_json::from_str::<Value>(&expected).unwrap()]);
    assert!(
        feed.ws(&message("update", 12, 15, T + 1_100, "5", "100")).is_empty(),
        "at most one a second is told"
    );
    // The heartbeat, and the venue that counts anew (§5.2).
    let quiet = BOOK
        .replace("snapshot", "update")
        .replace(r#"["8476.98","415","0","13"]"#, "")
        .replace(r#"["8476.97","256","0","12"]"#, "");
    let quiet =
        quiet.replace("-1", "15").replace("123456", "15").replace("1597026383085", &(T + 2_000).to_string());
    assert_eq!(feed.ws(&quiet).len(), 1);
    assert_eq!(feed.ws(&message("update", 15, 3, T + 3_000, "6", "100")).len(), 1);
    assert!(feed.ws(&message("update", 15, 3, T + 3_000, "6", "100")).is_empty());
    assert_eq!((feed.counters().duplicates, feed.asked().len()), (1, 0), "a repeat is no hole");
    // A hole.
    assert!(feed.ws(&message("update", 4, 5, T + 4_000, "7", "100")).is_empty());
    let asked = feed.asked();
    assert_eq!(asked.len(), 2);
    for (text, op) in asked.iter().zip(["unsubscribe", "subscribe"]) {
        let text: Value = serde_json::from_str(text).unwrap();
        assert_eq!(text["op"], op);
        assert_eq!(text["args"], serde_json::json!([{"channel": "books", "instId": "BTC-USDT-SWAP"}]));
        let id = text["id"].as_str().unwrap();
        assert!(id.len() <= 32 && id.chars().all(|c| c.is_ascii_alphanumeric()));
    }
    // What was on its way is of no use, and asks for nothing.
    assert!(feed.ws(&message("update", 5, 6, T + 4_100, "7", "100")).is_empty());
    feed.ws(&mark(T + 23_999));
    assert!(feed.asked().is_empty());
    feed.ws(&mark(T + 24_000));
    assert_eq!(feed.asked().len(), 2, "it did not come");
    let back = told(&feed.ws(&message("snapshot", -1, 50, T + 25_000, "1", "2")));
    assert_eq!(back.len(), 2);
    assert_eq!((&back[0]["type"], &back[0]["stream"]), (&Value::from("gap"), &Value::from("book")));
    assert_eq!((&back[0]["from"], &back[0]["to"]), (&Value::from(T + 3_000), &Value::from(T + 25_000)));
    feed.ws(&mark(T + 60_000));
    assert!(feed.asked().is_empty());
}

#[test]
fn a_storm_of_holes_stays_within_the_subscriptions_allowed() {
    let mut feed = Feed::new();
    let mut asked = 0;
    // An hour in which each snapshot is followed by a hole.
    for second in 0..3_600 {
        let ts = T + second * 1_000;
        feed.ws(&message("snapshot", -1, 10, ts, "1", "1"));
        feed.ws(&message("update", 11, 12, ts + 500, "1", "1"));
        asked += feed.asked().len();
    }
    assert!((2..=360).contains(&asked), "{asked} of 480 (§1.5)");
}

#[test]
fn a_book_that_crosses_is_not_believed() {
    let mut feed = Feed::new();
    feed.ws(&message("snapshot", -1, 10, T, "1", "1"));
    let crossed = message("update", 10, 11, T + 2_000, "1", "1").replace("8476.97", "8477");
    assert!(feed.ws(&crossed).is_empty());
    assert_eq!(feed.asked().len(), 2);
    let mut feed = Feed::new();
    assert!(feed.ws(&message("snapshot", -1, 10, T, "1", "1").replace("8476.97", "8477")).is_empty());
    for (good, bad) in
        [("\"256\"", "\"-1\""), ("8476.97", "0"), ("\"seqId\"", "\"x\""), ("\"prevSeqId\"", "\"y\"")]
    {
        let mut feed = Feed::new();
        assert!(feed.ws(&BOOK.replace(good, bad)).is_empty(), "{bad}");
        assert_eq!(feed.counters().malformed, 1, "{bad}");
    }
}
