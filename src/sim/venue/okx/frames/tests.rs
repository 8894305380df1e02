//! Against the payloads of exchanges.md §5.2.

use serde_json::Value;

use super::*;
use crate::sim::contracts::okx::CONTRACTS;
use crate::sim::venue::shape::assert_same;

fn btc() -> &'static Contract {
    &CONTRACTS[0]
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn check(ours: &str, documented: &str) -> Value {
    let value = json(ours);
    assert_same(&value, &json(documented), "row");
    value
}

/// Every text of an object by its key.
fn texts<const N: usize>(row: &Value, keys: [&str; N]) -> [String; N] {
    keys.map(|key| row[key].as_str().unwrap().to_owned())
}

const PRINT: Print = Print {
    ms: 1_630_048_897_897,
    ticks: 422_190,
    lots: 1_206,
    taker_buys: true,
    id: 7,
    first_fill: 130_639_472,
    last_fill: 130_639_474,
    buyer: 0,
    seller: 0,
};

#[test]
fn trade_is_as_documented() {
    let documented = r#"{"instId":"BTC-USDT","tradeId":"130639474","px":"42219.9","sz":"0.12060306","side":"buy","ts":"1630048897897","count":"3","source":"0","seqId":1234}"#;
    let row = check(&trade(btc(), &PRINT, 1_234), documented);
    assert_eq!(texts(&row, ["instId", "tradeId", "px"]), ["BTC-USDT-SWAP", "130639474", "42219"]);
    assert_eq!(texts(&row, ["sz", "side", "ts"]), ["12.06", "buy", "1630048897897"], "contracts of 0.01 BTC");
    assert_eq!(
        (texts(&row, ["count", "source"]), &row["seqId"]),
        (["3", "0"].map(str::to_owned), &1_234.into())
    );
    let small = Print { lots: 2, taker_buys: false, id: 34, ..PRINT };
    let row = check(&trade(btc(), &small, 1), documented);
    assert_eq!(
        texts(&row, ["count", "side", "source"]),
        ["2", "sell", "1"],
        "two lots are at most two fills"
    );
}

const LONG: Forced = Forced {
    id: 1,
    ms: 1_692_266_434_010,
    side: Side::Long,
    lots: 1_300,
    largest: 500,
    ticks: 999_000,
    bankruptcy: 995_005,
};

#[test]
fn liquidations_are_as_documented() {
    let documented = r#"{"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[{"details":[{"bkLoss":"0","bkPx":"0.007831","ccy":"","posSide":"short","side":"buy","sz":"13","ts":"1692266434010"}],"instFamily":"IOST-USDT","instId":"IOST-USDT-SWAP","instType":"SWAP","uly":"IOST-USDT"}]}"#;
    let rows = [LONG, Forced { side: Side::Short, id: 2, ..LONG }, Forced { id: 3, ..LONG }];
    let frame = frame(Stream::Liquidations, &liquidations(btc(), rows.iter()));
    let frame = check(&frame, documented);
    let details = &frame["data"][0]["details"];
    assert_eq!(texts(&details[0], ["side", "posSide", "bkPx", "sz"]), ["sell", "long", "99500.5", "13"]);
    assert_eq!(texts(&details[1], ["side", "posSide"]), ["buy", "short"]);
    assert_eq!(
        texts(&details[2], ["side", "posSide"]),
        ["sell", "net"],
        "net mode tells no side but the order's"
    );
    assert_eq!(texts(&frame["data"][0], ["instId", "uly"]), ["BTC-USDT-SWAP", "BTC-USDT"]);
    let inverse = check(&inverse_liquidation(btc(), &LONG), &json(documented)["data"][0].to_string());
    assert_eq!(texts(&inverse, ["instId", "instFamily"]), ["BTC-USD-SWAP", "BTC-USD"]);
}

#[test]
fn open_interest_is_as_documented_with_dust_now_and_then() {
    let documented = r#"{"instId":"BTC-USDT-SWAP","instType":"SWAP","oi":"2216113.01000000309","oiCcy":"22161.1301000000309","oiUsd":"1939251795.54769270396321","ts":"1743041250440"}"#;
    let row = check(&open_interest(btc(), 221_611_301, 87_506.94, 1_743_041_244_000, false), documented);
    let (oi, coins) = ("2216113.01000000309", "22161.1301000000309");
    assert_eq!(texts(&row, ["oi", "oiCcy", "ts"]), [oi, coins, "1743041244000"]);
    let usd: f64 = row["oiUsd"].as_str().unwrap().parse().unwrap();
    assert!((usd - 22_161.130_1 * 87_506.94).abs() < 1.0, "{usd}");
    let row = check(&open_interest(btc(), 221_611_301, 87_506.94, 1_743_041_247_000, false), documented);
    assert_eq!(texts(&row, ["oi", "oiCcy"]), ["2216113.01", "22161.1301"]);
    let pepe = json(&open_interest(&CONTRACTS[3], 12, 0.000_012_5, 3_000, false));
    assert_eq!(texts(&pepe, ["oi", "oiCcy", "oiUsd"]), ["12", "120000000", "1500"], "ten million coins each");
    let row = json(&open_interest(btc(), 221_611_301, 87_506.94, 3_000, true));
    assert_eq!(texts(&row, ["oi", "oiCcy", "oiUsd"]), ["", "", ""]);
}

#[test]
fn mark_price_is_as_documented() {
    let documented =
        r#"{"instType":"FUTURES","instId":"LTC-USD-190628","markPx":"0.1","ts":"1597026383085"}"#;
    let row = check(&mark_price(btc(), 84_660.149, 1_597_026_383_000), documented);
    assert_eq!(texts(&row, ["instType", "markPx", "ts"]), ["SWAP", "84660.1", "1597026383000"]);
}

#[test]
fn funding_rate_is_as_documented_and_its_times_tell_the_interval() {
    let documented = r#"{"formulaType":"noRate","fundingRate":"0.0001875391284828","fundingTime":"1700726400000","impactValue":"","instId":"BTC-USD-SWAP","instType":"SWAP","interestRate":"","method":"current_period","maxFundingRate":"0.00375","minFundingRate":"-0.00375","nextFundingRate":"","nextFundingTime":"1700755200000","premium":"0.0001233824646391","settFundingRate":"0.0001699799259033","settState":"settled","ts":"1700724675402"}"#;
    let tick = Tick { mark: 50_005.0, index: 50_000.0, funding: -0.000_187_54, ..Tick::default() };
    let row = check(&funding_rate(btc(), &tick, 0.000_1, 1_700_724_675_402), documented);
    assert_eq!(texts(&row, ["fundingRate", "premium"]), ["-0.00018754", "0.0001"]);
    assert_eq!(texts(&row, ["settFundingRate", "ts"]), ["0.0001", "1700724675402"]);
    assert_eq!(texts(&row, ["fundingTime", "nextFundingTime"]), ["1700726400000", "1700755200000"]);
}

/// Three minutes of the turn of a day in UTC, and one print an hour before midnight of UTC+8.
fn history() -> History {
    let mut history = History::new(btc());
    let midnight = 19_600 * DAY_MS;
    let mut print = |ms, ticks, lots| {
        history.print(&Print { ms, ticks, lots, ..PRINT });
    };
    print(midnight - 9 * 3_600_000, 400_000, 100);
    print(midnight - 8 * 3_600_000, 410_000, 200);
    print(midnight + 60_000, 430_000, 300);
    print(midnight + 120_000, 420_000, 45);
    history
}

#[test]
fn ticker_is_as_documented() {
    let documented = r#"{"instType":"SPOT","instId":"BTC-USDT","last":"9999.99","lastSz":"0.1","askPx":"9999.99","askSz":"11","bidPx":"8888.88","bidSz":"5","open24h":"9000","high24h":"10000","low24h":"8888.88","volCcy24h":"2222","vol24h":"2222","sodUtc0":"2222","sodUtc8":"2222","ts":"1597026383085"}"#;
    let now = 19_600 * DAY_MS + 121_000;
    let row = check(&ticker(&history(), &Book::new(btc(), 1, 419_999), now, now + 5), documented);
    assert_eq!(texts(&row, ["last", "lastSz", "bidPx", "askPx"]), ["42000", "0.45", "41999.9", "42000"]);
    assert_eq!(texts(&row, ["open24h", "high24h", "low24h"]), ["40000", "43000", "40000"]);
    assert_eq!(texts(&row, ["vol24h", "volCcy24h"]), ["6.45", "0.0645"], "contracts, coins");
    assert_eq!(texts(&row, ["sodUtc0", "sodUtc8", "ts"]), ["43000", "41000", &(now + 5).to_string()]);
}

#[test]
fn candle_is_as_documented() {
    let documented = r#"["1597026383085","8533.02","8553.74","8527.17","8548.26","45247","529.5858061","5529.5858061","0"]"#;
    let bar = Bar {
        start_ms: 1_597_026_360_000,
        open: 85_330,
        high: 85_537,
        low: 85_271,
        close: 85_482,
        lots: 12_345,
        bought: 0,
        quote: 85_400 * 12_345,
        quote_bought: 0,
        first_fill: 1,
        last_fill: 2,
    };
    let row = check(&candle(btc(), &bar, false), documented);
    assert_eq!(row.as_array().unwrap().len(), 9);
    let row: Vec<&str> = row.as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    assert_eq!(row[..5], ["1597026360000", "8533", "8553.7", "8527.1", "8548.2"]);
    assert_eq!(row[5..], ["123.45", "1.2345", "10542.63", "0"], "contracts, coins, USD, running");
    assert_eq!(json(&candle(btc(), &bar, true))[8], "1");
}

#[test]
fn a_book_begins_whole_and_goes_on_by_changes() {
    let documented = r#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"snapshot","data":[{"asks":[["8476.98","415","0","13"]],"bids":[["8476.97","256","0","12"]],"ts":"1597026383085","checksum":0,"prevSeqId":-1,"seqId":123456}]}"#;
    let stream = Stream::Books(0);
    let whole = check(
        &snapshot(stream, btc(), &Book::new(btc(), 1, 847_697), 123_456, 1_597_026_383_085),
        documented,
    );
    let (action, data) = (&whole["action"], &whole["data"][0]);
    assert_eq!(
        (action, &data["prevSeqId"], &data["seqId"]),
        (&"snapshot".into(), &(-1).into(), &123_456.into())
    );
    assert_eq!((data["asks"].as_array().unwrap().len(), data["bids"].as_array().unwrap().len()), (400, 400));
    assert_eq!((&data["bids"][0][0], &data["asks"][0][0]), (&"84769.7".into(), &"84769.8".into()));
    let change = Change { bids: vec![(847_697, 0)], asks: vec![(847_698, 1_310)] };
    let next = check(&update(stream, btc(), &change, Turn { before: 123_456, now: 123_470 }, 2), documented);
    assert_eq!((&next["action"], &next["data"][0]["prevSeqId"]), (&"update".into(), &123_456.into()));
    assert_eq!(next["data"][0]["bids"], json(r#"[["84769.7","0","0","0"]]"#), "gone");
    assert_eq!(next["data"][0]["asks"], json(r#"[["84769.8","13.1","0","11"]]"#));
    let still = json(&update(stream, btc(), &Change::default(), Turn { before: 9, now: 9 }, 3));
    assert_eq!((&still["data"][0]["asks"], &still["data"][0]["bids"]), (&json("[]"), &json("[]")));
}

#[test]
fn small_books_are_whole_each_time() {
    let seen = Book::new(btc(), 1, 847_697);
    let best = frame(Stream::BestPrices(0), &book(btc(), &seen, 1, 5, 6));
    let best = check(
        &best,
        r#"{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"asks":[["8476.98","415","0","13"]],"bids":[["8476.97","256","0","12"]],"ts":"1597026383085","seqId":123456}]}"#,
    );
    assert_eq!(best["data"][0]["asks"].as_array().unwrap().len(), 1);
    let five = json(&five_levels(btc(), &seen, 5, 6));
    assert_eq!((five["bids"].as_array().unwrap().len(), &five["bids"][4][0]), (5, &"84769.3".into()));
}
