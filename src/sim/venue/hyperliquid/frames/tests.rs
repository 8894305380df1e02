use serde_json::Value;

use super::*;
use crate::sim::contracts::hyperliquid::CONTRACTS;
use crate::sim::venue::hyperliquid::topics::INTERVALS;
use crate::sim::world::tick::Tick;

/// Asserts the same keys, and at every key a value of the same JSON type, as documented; numbers written as text end in
/// no zero behind the first decimal.
fn check(ours: &str, documented: &str) -> Value {
    fn same(ours: &Value, documented: &Value, at: &str) {
        match (ours, documented) {
            (Value::Object(a), Value::Object(b)) => {
                assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{at}");
                for (key, value) in a {
                    same(value, &b[key], key);
                }
            }
            (Value::String(a), Value::String(b)) => {
                let number = |s: &str| s.bytes().all(|c| b"0123456789.-".contains(&c));
                assert_eq!(number(a), number(b), "{at}: {a} {b}");
                assert!(!number(a) || a.ends_with(".0") || !a.ends_with('0'), "{at}: {a}");
            }
            (Value::Array(a), Value::Array(b)) if !b.is_empty() => {
                assert!(!a.is_empty(), "{at}");
                for value in a {
                    same(value, &b[0], at);
                }
            }
            _ => assert_eq!(std::mem::discriminant(ours), std::mem::discriminant(documented), "{at}"),
        }
    }
    let value = serde_json::from_str(ours).unwrap();
    same(&value, &serde_json::from_str(documented).unwrap(), "frame");
    value
}

const PRINT: Print = Print {
    ms: 1_769_916_002_000,
    ticks: 104_320,
    lots: 1_501,
    taker_buys: false,
    id: 300_003,
    first_fill: 50,
    last_fill: 51,
    buyer: 0,
    seller: 9 << 32 | 1,
};

fn history() -> History {
    let mut history = History::new(&CONTRACTS[0]);
    history.print(&PRINT);
    history.tick_book(PRINT.ms);
    let tick = Tick {
        end_ms: PRINT.ms,
        mark: 104_333.4,
        index: 104_300.0,
        funding: -0.000_001_52,
        open_interest: 2_735_317_682,
        ..Tick::default()
    };
    history.end(&tick);
    history
}

#[test]
fn trades_are_as_documented() {
    let rows = trades(&CONTRACTS[0], &PRINT);
    let documented = r#"{"coin":"BTC","side":"A","px":"104320.0","sz":"0.01500","hash":"0x…","time":1769916002000,"tid":300003,"users":["0xbuyer3","0xseller3"]}"#;
    let [first, second] = [0, 1].map(|n| {
        let row: Value = serde_json::from_str(&rows[n]).unwrap();
        let keys = |row: &Value| row.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&row), keys(&serde_json::from_str(documented).unwrap()));
        row
    });
    assert_eq!((&first["side"], &first["px"]), (&"A".into(), &"104320.0".into()), "a seller took");
    assert_eq!((&first["sz"], &second["sz"]), (&"0.00751".into(), &"0.0075".into()));
    assert_eq!((&first["coin"], &first["time"]), (&"BTC".into(), &1_769_916_002_000_i64.into()));
    assert_eq!((first["hash"].as_str().unwrap().len(), &first["hash"]), (66, &second["hash"]));
    assert_ne!(first["tid"], second["tid"]);
    assert!(first["tid"].as_u64().unwrap() < 1 << 50);
    let seller = accounts::Account::trader(PRINT.seller).address();
    assert_eq!((&first["users"][1], &second["users"][1]), (&seller.as_str().into(), &seller.as_str().into()));
    assert_ne!(first["users"][0], first["users"][1]);
    assert_eq!(recent(&history(), 1), rows[1..]);
}

#[test]
fn books_are_as_documented() {
    let history = history();
    let book_at = history.book(PRINT.ms);
    let fast = check(
        &frame("l2Book", &book(&CONTRACTS[0], &book_at, Grain::Fast, 7)),
        r#"{"channel":"l2Book","data":{"coin":"BTC","levels":[[{"px":"98450.5","sz":"2.5","n":3}],[{"px":"98451.0","sz":"1.5","n":2}]],"time":1703875200000,"fast":true}}"#,
    );
    let data = &fast["data"];
    assert_eq!((&data["coin"], &data["time"], &data["fast"]), (&"BTC".into(), &7.into(), &true.into()));
    let count = |data: &Value| [0, 1].map(|side: usize| data["levels"][side].as_array().unwrap().len());
    assert_eq!(count(data), [5, 5]);
    assert_eq!(data["levels"][0][0]["px"], "104320.0");
    assert_eq!(
        (&data["levels"][0][1]["px"], &data["levels"][1][1]["px"]),
        (&"104319.0".into(), &"104322.0".into())
    );
    let slow: Value = serde_json::from_str(&book(&CONTRACTS[0], &book_at, Grain::Slow, 7)).unwrap();
    assert_eq!((count(&slow), slow.get("fast")), ([20, 20], None));
    check(
        &bbo(&CONTRACTS[0], &book_at, 7),
        r#"{"coin":"BTC","time":1,"bbo":[{"px":"98450.5","sz":"2.5","n":3},{"px":"98451.0","sz":"1.5","n":2}]}"#,
    );
}

#[test]
fn a_merged_book_has_coarse_prices_and_what_rests_between_them() {
    assert_eq!((step_of(97_158, 3), step_of(97_158, 5), step_of(7, 3)), (100, 1, 1));
    let down = |ticks: i64| ticks.div_euclid(100) * 100;
    let rows = vec![(97_158, 2), (97_101, 3), (97_099, 4), (96_900, 5)];
    assert_eq!(merged(rows.clone(), down, 2), [(97_100, 5), (97_000, 4)]);
    assert_eq!(merged(rows, down, 9), [(97_100, 5), (97_000, 4), (96_900, 5)]);
}

#[test]
fn candles_are_as_documented() {
    let bar = Bar { start_ms: 1_684_699_200_000, ..history().bars[0] };
    let row = check(
        &candle(&CONTRACTS[0], &bar, Interval::named(&INTERVALS, "1h").unwrap()),
        r#"{"t":1684699200000,"T":1684702799999,"s":"kPEPE","i":"1h","o":"0.001601","c":"0.001604","h":"0.001616","l":"0.001601","v":"520665683.0","n":709}"#,
    );
    assert_eq!((&row["t"], &row["T"]), (&1_684_699_200_000_i64.into(), &1_684_702_799_999_i64.into()));
    assert_eq!((&row["o"], &row["v"], &row["n"]), (&"104320.0".into(), &"0.01501".into(), &2.into()));
}

const CONTEXT: &str = r#"{"funding":"-0.0000015186","openInterest":"27353.17682","prevDayPx":"76317.0","dayNtlVlm":"1516669192.1953897476","premium":"-0.0005927453","oraclePx":"77605.0","markPx":"77562.0","midPx":"77558.5","impactPxs":["77558.0","77559.0"],"dayBaseVlm":"19707.77457"}"#;

#[test]
fn contexts_are_as_documented() {
    let history = history();
    let told = context(&history, PRINT.ms, true, false);
    let told = check(&told.to_string(), CONTEXT);
    assert_eq!((&told["openInterest"], &told["funding"]), (&"27353.17682".into(), &"-0.00000152".into()));
    assert_eq!((&told["markPx"], &told["oraclePx"]), (&"104333.0".into(), &"104300.0".into()));
    assert_eq!((&told["midPx"], &told["premium"]), (&"104320.5".into(), &"0.0001965484".into()));
    assert_eq!(told["impactPxs"], json!(["104320.0", "104321.0"]));
    assert_eq!((&told["dayBaseVlm"], &told["dayNtlVlm"]), (&"0.01501".into(), &"1565.8432".into()));

    let silent = context(&history, PRINT.ms, true, true);
    assert_eq!(silent.get("openInterest"), None);
    for gone in [context(&history, PRINT.ms, false, false), dead_context()] {
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&gone), keys(&told));
        assert!(["premium", "midPx", "impactPxs"].iter().all(|key| gone[key].is_null()));
        assert_eq!(gone["openInterest"], "0.0");
    }
}
