//! What of REST can be seen without a server; the rest is in the integration tests.

use super::*;
use crate::sim::contracts::okx::CONTRACTS;

fn params(query: &[(&str, &str)]) -> Params {
    query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn pages_end_before_the_rows_they_are_named_after() {
    let page = Page::of(&params(&[("after", "200"), ("before", "100")])).unwrap();
    let held: Vec<i64> = [99, 100, 101, 199, 200].into_iter().filter(|at| page.holds(*at)).collect();
    assert_eq!(held, [101, 199]);
    assert!(Page::of(&params(&[])).unwrap().holds(0));
    let page = Page::between(&params(&[("begin", "5"), ("after", "3")])).unwrap();
    assert!(page.holds(6) && !page.holds(5), "statistics have names of their own");
    assert_eq!(Page::of(&params(&[("after", "x")])), Err(Refusal::Wrong("after")));
}

#[test]
fn limits_beyond_the_largest_are_the_largest() {
    assert_eq!(limit(&params(&[]), 100, 300), Ok(100));
    assert_eq!(limit(&params(&[("limit", "1000")]), 100, 300), Ok(300));
    assert_eq!(limit(&params(&[("limit", "0")]), 100, 300), Err(Refusal::Wrong("limit")));
}

#[test]
fn bars_are_named_as_documented() {
    let of = |name: &'static str, value: &str| period(&params(&[(name, value)]), name, "1m");
    assert_eq!(of("bar", "1m"), Ok(60_000));
    assert_eq!((of("bar", "1H"), of("bar", "1Dutc")), (Ok(3_600_000), Ok(86_400_000)));
    assert_eq!(of("bar", "1h"), Err(Refusal::Wrong("bar")), "hours are in capitals");
    assert_eq!(of("period", "1m"), Err(Refusal::Wrong("period")), "statistics begin at five minutes");
    assert_eq!(period(&params(&[]), "period", "5m"), Ok(300_000));
}

#[test]
fn a_print_is_told_fill_by_fill() {
    let print = Print {
        ms: 1_747_087_163_557,
        ticks: 1_025_379,
        lots: 1_001,
        taker_buys: false,
        id: 5,
        first_fill: 734_864_331,
        last_fill: 734_864_333,
        buyer: 0,
        seller: 0,
    };
    let rows: Vec<(i64, i64, String)> = trades(&CONTRACTS[0], &print).collect();
    let numbers: Vec<i64> = rows.iter().map(|row| row.0).collect();
    assert_eq!(numbers, [734_864_333, 734_864_332, 734_864_331], "newest first");
    let first: serde_json::Value = serde_json::from_str(&rows[0].2).unwrap();
    let expected = json!({"instId":"BTC-USDT-SWAP","side":"sell","sz":"3.35","px":"102537.9","source":"0","tradeId":"734864333","ts":"1747087163557"});
    assert_eq!(first, expected);
    assert!(rows[2].2.contains(r#""sz":"3.33""#), "{}", rows[2].2);
}
