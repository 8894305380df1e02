//! The payloads of Binance's streams, field by field as exchanges.md §3.2 shows them.

use std::fmt::Write as _;

use crate::market::Side;
use crate::sim::history::{Bar, History};
use crate::sim::text::{Decimal, price, quote, rounded, size};
use crate::sim::world::book::{Book, Level};
use crate::sim::world::contract::Contract;
use crate::sim::world::tick::{Forced, Print, Tick};

/// Eight decimals, as mark prices and rates have.
pub(super) fn eight(value: f64) -> Decimal {
    rounded(value, 8)
}

/// `aggTrade`.
pub fn agg_trade(contract: &Contract, print: &Print) -> String {
    let Print { ms, lots, id, first_fill, last_fill, .. } = *print;
    // `nq` leaves out fills against retail price improvement orders, of which there are some now and then.
    let plain = if id % 17 == 0 && lots >= 10 { lots - lots / 10 } else { lots };
    format!(
        r#"{{"e":"aggTrade","E":{event},"s":"{symbol}","a":{id},"p":"{price}","q":"{qty}","nq":"{plain}","f":{first_fill},"l":{last_fill},"T":{ms},"m":{maker},"st":1}}"#,
        event = ms + 4,
        symbol = contract.symbol,
        price = price(contract, print.ticks),
        qty = size(contract, lots),
        plain = size(contract, plain),
        maker = !print.taker_buys,
    )
}

/// `forceOrder`: the closing order, so a long dies by `SELL`; `p` is its limit, 0.4 % worse than the fill `ap`.
pub fn force_order(contract: &Contract, forced: &Forced, event_ms: i64) -> String {
    force_row(contract, contract.symbol, &size(contract, forced.largest), forced, event_ms, 1)
}

/// A row of the COIN-M exchange as it turns up in `!forceOrder@arr` (exchanges.md §2, 2026-06-30): `st` 2, quantity
/// in contracts.
pub fn coin_force_order(contract: &Contract, forced: &Forced, event_ms: i64) -> String {
    force_row(contract, &coin_symbol(contract), &Decimal(12, 0), forced, event_ms, 2)
}

fn force_row(
    contract: &Contract,
    symbol: &str,
    qty: &Decimal,
    forced: &Forced,
    event_ms: i64,
    st: u8,
) -> String {
    let (side, limit) = match forced.side {
        Side::Long => ("SELL", forced.ticks - forced.ticks / 250),
        Side::Short => ("BUY", forced.ticks + forced.ticks / 250),
    };
    format!(
        r#"{{"e":"forceOrder","E":{event_ms},"o":{{"s":"{symbol}","S":"{side}","o":"LIMIT","f":"IOC","q":"{qty}","p":"{limit}","ap":"{fill}","X":"FILLED","l":"{qty}","z":"{qty}","T":{at}}},"ps":"{symbol}","st":{st}}}"#,
        limit = price(contract, limit),
        fill = price(contract, forced.ticks),
        at = forced.ms,
    )
}

fn coin_symbol(contract: &Contract) -> String {
    format!("{}USD_PERP", contract.base)
}

/// `markPriceUpdate`.
pub fn mark_price(contract: &Contract, tick: &Tick) -> String {
    mark_row(contract, contract.symbol, tick, 1)
}

/// The COIN-M row that `!markPrice@arr` carries along.
pub fn coin_mark_price(contract: &Contract, tick: &Tick) -> String {
    mark_row(contract, &coin_symbol(contract), tick, 2)
}

fn mark_row(contract: &Contract, symbol: &str, tick: &Tick, st: u8) -> String {
    format!(
        r#"{{"e":"markPriceUpdate","E":{event},"s":"{symbol}","p":"{mark}","i":"{index}","P":"{settle}","r":"{rate}","ap":"{mean}","T":{next},"st":{st}}}"#,
        event = tick.end_ms,
        mark = eight(tick.mark),
        index = eight(tick.index),
        settle = eight(tick.index),
        rate = eight(tick.funding),
        mean = eight(tick.mark_mean),
        next = contract.next_funding(tick.end_ms),
    )
}

/// `kline` of one minute.
pub fn kline(contract: &Contract, bar: &Bar, event_ms: i64, closed: bool) -> String {
    format!(
        r#"{{"e":"kline","E":{event_ms},"s":"{symbol}","k":{{"t":{start},"T":{end},"s":"{symbol}","i":"1m","f":{first},"L":{last},"o":"{open}","c":"{close}","h":"{high}","l":"{low}","v":"{volume}","n":{count},"x":{closed},"q":"{quote}","V":"{bought}","Q":"{quote_bought}","B":"0"}}}}"#,
        symbol = contract.symbol,
        start = bar.start_ms,
        end = bar.start_ms + 59_999,
        first = bar.first_fill,
        last = bar.last_fill,
        open = price(contract, bar.open),
        close = price(contract, bar.close),
        high = price(contract, bar.high),
        low = price(contract, bar.low),
        volume = size(contract, bar.lots),
        count = bar.last_fill - bar.first_fill + 1,
        quote = quote(contract, bar.quote),
        bought = size(contract, bar.bought),
        quote_bought = quote(contract, bar.quote_bought),
    )
}

/// `bookTicker` after a print, which leaves the touch beside its price. `at` is the print's own time, which numbers it;
/// `print.ms` the time the venue tells.
pub fn book_ticker(contract: &Contract, print: &Print, book: &Book, at: i64) -> String {
    let bid = if print.taker_buys { print.ticks - 1 } else { print.ticks };
    format!(
        r#"{{"e":"bookTicker","u":{at},"E":{event},"T":{ms},"s":"{symbol}","ps":"{symbol}","b":"{bid}","B":"{bid_qty}","a":"{ask}","A":"{ask_qty}","st":1}}"#,
        event = print.ms + 2,
        ms = print.ms,
        symbol = contract.symbol,
        bid_qty = size(contract, book.resting(bid)),
        ask = price(contract, bid + 1),
        ask_qty = size(contract, book.resting(bid + 1)),
        bid = price(contract, bid),
    )
}

/// Levels of a book on each side that REST knows and `@depth` keeps up to date (exchanges.md §3.3).
pub const LEVELS: usize = 1_000;

/// `depthUpdate`: what changed in the book since `from`, told at `at` (true UTC ms); `ms` is the venue's own time.
///
/// Updates are numbered by time: this one covers every number from `from` up to but without `at`, so that the number a
/// snapshot bears, its own time, lies in the first update after it (exchanges.md §3.3, steps 3 and 4).
pub fn depth_update(history: &History, from: i64, at: i64, ms: i64) -> String {
    let contract = history.contract;
    let change = history.book(at).since(&history.book(from), LEVELS);
    format!(
        r#"{{"e":"depthUpdate","E":{event},"T":{ms},"s":"{symbol}","U":{from},"u":{last},"pu":{before},"b":[{bids}],"a":[{asks}],"ps":"{symbol}","st":1}}"#,
        event = ms + 1,
        symbol = contract.symbol,
        last = at - 1,
        before = from - 1,
        bids = levels(contract, &change.bids),
        asks = levels(contract, &change.asks),
    )
}

/// Body of `/fapi/v1/depth` as of `at` (true UTC ms, its number); `ms` is the venue's own time.
pub fn depth(history: &History, limit: usize, at: i64, ms: i64) -> String {
    let (contract, book) = (history.contract, history.book(at));
    format!(
        r#"{{"lastUpdateId":{at},"E":{ms},"T":{ms},"bids":[{bids}],"asks":[{asks}]}}"#,
        bids = levels(contract, &book.bids(limit)),
        asks = levels(contract, &book.asks(limit)),
    )
}

/// Levels of a book as both REST and streams write them: `["100000.1","1.500"],…`.
pub fn levels(contract: &Contract, rows: &[Level]) -> String {
    let mut text = String::with_capacity(rows.len() * 24);
    for (n, (ticks, lots)) in rows.iter().enumerate() {
        let comma = if n > 0 { "," } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(text, r#"{comma}["{}","{}"]"#, price(contract, *ticks), size(contract, *lots));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::sim::contracts::binance::CONTRACTS;
    use crate::sim::venue::shape::assert_same;

    fn keys(text: &str) -> Vec<String> {
        match serde_json::from_str::<Value>(text).unwrap() {
            Value::Object(map) => map.keys().cloned().collect(),
            other => panic!("{other}"),
        }
    }

    fn check(ours: &str, documented: &str) -> Value {
        let value: Value = serde_json::from_str(ours).unwrap();
        assert_same(&value, &serde_json::from_str(documented).unwrap(), "frame");
        assert_eq!(keys(ours), keys(documented));
        value
    }

    const PRINT: Print = Print {
        ms: 123_456_785,
        ticks: 1_000_001,
        lots: 1_500,
        taker_buys: false,
        id: 5_933_014,
        first_fill: 100,
        last_fill: 105,
        buyer: 0,
        seller: 0,
    };

    #[test]
    fn agg_trade_is_as_documented() {
        let frame = check(
            &agg_trade(&CONTRACTS[0], &PRINT),
            r#"{"e":"aggTrade","E":123456789,"s":"BNBUSDT","a":5933014,"p":"0.001","q":"100","nq":"100","f":100,"l":105,"T":123456785,"m":true,"st":1}"#,
        );
        assert_eq!(frame["E"], 123_456_789);
        assert_eq!(frame["a"], 5_933_014);
        assert_eq!((&frame["p"], &frame["q"]), (&"100000.1".into(), &"1.500".into()));
        assert_eq!((&frame["f"], &frame["l"], &frame["T"]), (&100.into(), &105.into(), &123_456_785.into()));
        assert_eq!((&frame["m"], &frame["st"]), (&true.into(), &1.into()), "a seller took: buyer is maker");
    }

    const FORCE: &str = r#"{"e":"forceOrder","E":1568014460893,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"0.014","p":"9910","ap":"9910","X":"FILLED","l":"0.014","z":"0.014","T":1568014460893},"ps":"BTCUSDT","st":1}"#;

    #[test]
    fn force_order_is_as_documented_and_its_limit_is_worse_than_its_fill() {
        let mut forced = Forced {
            id: 1,
            ms: 1_568_014_460_891,
            side: Side::Long,
            lots: 40,
            largest: 14,
            ticks: 1_000_000,
            bankruptcy: 995_000,
        };
        let frame = check(&force_order(&CONTRACTS[0], &forced, 1_568_014_460_893), FORCE);
        let order = &frame["o"];
        assert_eq!(
            (&order["S"], &order["X"], &order["f"]),
            (&"SELL".into(), &"FILLED".into(), &"IOC".into())
        );
        assert_eq!(
            (&order["q"], &order["l"], &order["z"]),
            (&"0.014".into(), &"0.014".into(), &"0.014".into())
        );
        assert_eq!((&order["ap"], &order["p"]), (&"100000.0".into(), &"99600.0".into()));
        assert_eq!(order["T"], 1_568_014_460_891_i64);
        forced.side = Side::Short;
        let frame = check(&force_order(&CONTRACTS[0], &forced, 1_568_014_460_893), FORCE);
        assert_eq!((&frame["o"]["S"], &frame["o"]["p"]), (&"BUY".into(), &"100400.0".into()));
        let coin = check(&coin_force_order(&CONTRACTS[0], &forced, 1_568_014_460_893), FORCE);
        assert_eq!(
            (&coin["st"], &coin["ps"], &coin["o"]["z"]),
            (&2.into(), &"BTCUSD_PERP".into(), &"12".into())
        );
    }

    #[test]
    fn mark_price_is_as_documented() {
        let tick = Tick {
            end_ms: 1_562_305_380_000,
            mark: 11_794.15,
            index: 11_784.626_590_91,
            mark_mean: 11_794.0,
            funding: -0.000_381_67,
            ..Tick::default()
        };
        let frame = check(
            &mark_price(&CONTRACTS[0], &tick),
            r#"{"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSDT","p":"11794.15000000","i":"11784.62659091","P":"11784.25641265","r":"0.00038167","ap":"11794.15000000","T":1562306400000,"st":1}"#,
        );
        assert_eq!((&frame["p"], &frame["i"]), (&"11794.15000000".into(), &"11784.62659091".into()));
        assert_eq!((&frame["r"], &frame["ap"]), (&"-0.00038167".into(), &"11794.00000000".into()));
        assert_eq!(frame["T"], 1_562_313_600_000_i64, "the next of 0, 8 and 16 o'clock UTC");
    }

    #[test]
    fn kline_is_as_documented() {
        let bar = Bar {
            start_ms: 1_638_747_660_000,
            open: 10,
            high: 25,
            low: 5,
            close: 20,
            lots: 1_000,
            bought: 500,
            quote: 15_000,
            quote_bought: 7_500,
            first_fill: 100,
            last_fill: 199,
        };
        let frame = check(
            &kline(&CONTRACTS[0], &bar, 1_638_747_660_250, false),
            r#"{"e":"kline","E":1638747660000,"s":"BTCUSDT","k":{"t":1638747660000,"T":1638747719999,"s":"BTCUSDT","i":"1m","f":100,"L":200,"o":"0.0010","c":"0.0020","h":"0.0025","l":"0.0015","v":"1000","n":100,"x":false,"q":"1.0000","V":"500","Q":"0.500","B":"123456"}}"#,
        );
        let k = &frame["k"];
        assert_eq!((&k["t"], &k["T"]), (&1_638_747_660_000_i64.into(), &1_638_747_719_999_i64.into()));
        let prices = ["o", "h", "l", "c"].map(|key| k[key].as_str().unwrap().to_owned());
        assert_eq!(prices, ["1.0", "2.5", "0.5", "2.0"]);
        assert_eq!((&k["v"], &k["V"]), (&"1.000".into(), &"0.500".into()));
        assert_eq!((&k["q"], &k["Q"], &k["n"]), (&"1.5000".into(), &"0.7500".into(), &100.into()));
    }

    #[test]
    fn book_ticker_is_as_documented() {
        let frame = check(
            &book_ticker(&CONTRACTS[0], &PRINT, &Book::new(&CONTRACTS[0], 1, 1_000_001), PRINT.ms),
            r#"{"e":"bookTicker","u":400900217,"E":1568014460893,"T":1568014460891,"s":"BNBUSDT","ps":"BNBUSDT","b":"25.35190000","B":"31.21000000","a":"25.36520000","A":"40.66000000","st":1}"#,
        );
        assert_eq!((&frame["b"], &frame["a"]), (&"100000.1".into(), &"100000.2".into()));
    }

    #[test]
    fn depth_updates_are_as_documented_and_chain() {
        let mut history = History::new(&CONTRACTS[0]);
        history.print(&PRINT);
        for step in 0..=9 {
            history.tick_book(1_000 + step * 100);
        }
        let frame = |from, at| {
            check(
                &depth_update(&history, from, at, at + 7),
                r#"{"e":"depthUpdate","E":123456789,"T":123456788,"s":"BNBUSDT","U":157,"u":160,"pu":149,"b":[["0.0024","10"]],"a":[["0.0026","100"]],"ps":"BTCUSDT","st":1}"#,
            )
        };
        let (first, second) = (frame(1_600, 1_700), frame(1_700, 1_800));
        assert_eq!(second["pu"], first["u"], "step 4: pu is the u before");
        assert_eq!((&second["E"], &second["T"]), (&1_808.into(), &1_807.into()));
        // Step 3: the first update applied has U <= lastUpdateId <= u, whenever the snapshot was taken.
        for at in 1_700..1_800 {
            let snapshot: Value = serde_json::from_str(&depth(&history, 5, at, at)).unwrap();
            let id = snapshot["lastUpdateId"].as_i64().unwrap();
            assert!(first["u"].as_i64().unwrap() < id, "dropped");
            assert!((second["U"].as_i64().unwrap()..=second["u"].as_i64().unwrap()).contains(&id));
        }
    }

    #[test]
    fn a_depth_snapshot_is_as_documented() {
        let mut history = History::new(&CONTRACTS[0]);
        history.print(&PRINT);
        history.tick_book(1_000);
        let body = depth(&history, 5, 1_050, 1_057);
        let keys: Vec<String> = keys(&body);
        assert_eq!(keys, ["E", "T", "asks", "bids", "lastUpdateId"]);
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&body["bids"][0][0], &body["asks"][0][0]), (&"100000.1".into(), &"100000.2".into()));
        assert_eq!(body["bids"].as_array().unwrap().len(), 5);
    }
}
