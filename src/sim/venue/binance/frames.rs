//! The payloads of Binance's streams, field by field as exchanges.md §3.2 shows them.

use std::fmt;

use crate::market::Side;
use crate::sim::history::Bar;
use crate::sim::world::FUNDING_MS;
use crate::sim::world::contract::Contract;
use crate::sim::world::tick::{Forced, Print, Tick};

/// A whole number at `10^-decimals`, written as the exchange writes decimals: with all its zeros.
pub(crate) struct Decimal(pub i128, pub u32);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value, decimals) = *self;
        let (sign, value) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
        if decimals == 0 {
            return write!(f, "{sign}{value}");
        }
        let scale = 10_u128.pow(decimals);
        write!(f, "{sign}{}.{:0width$}", value / scale, value % scale, width = decimals as usize)
    }
}

/// A price in ticks.
pub(crate) fn price(contract: &Contract, ticks: i64) -> Decimal {
    Decimal(i128::from(ticks), contract.price_decimals)
}

/// A quantity in lots.
pub(crate) fn qty(contract: &Contract, lots: i64) -> Decimal {
    Decimal(i128::from(lots), contract.lot_decimals)
}

/// Quote volume in ticks × lots.
pub(crate) fn quote(contract: &Contract, value: i128) -> Decimal {
    Decimal(value, contract.price_decimals + contract.lot_decimals)
}

/// Eight decimals, as mark prices and rates have.
pub(crate) fn eight(value: f64) -> Decimal {
    Decimal((value * 1e8).round() as i128, 8)
}

/// When the running funding period ends, UTC ms.
pub(crate) fn next_funding(ms: i64) -> i64 {
    (ms.div_euclid(FUNDING_MS) + 1) * FUNDING_MS
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
        qty = qty(contract, lots),
        plain = qty(contract, plain),
        maker = !print.taker_buys,
    )
}

/// `forceOrder`: the closing order, so a long dies by `SELL`; `p` is its limit, 0.4 % worse than the fill `ap`.
pub fn force_order(contract: &Contract, forced: &Forced, event_ms: i64) -> String {
    force_row(contract, contract.symbol, &qty(contract, forced.largest), forced, event_ms, 1)
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
    mark_row(contract.symbol, tick, 1)
}

/// The COIN-M row that `!markPrice@arr` carries along.
pub fn coin_mark_price(contract: &Contract, tick: &Tick) -> String {
    mark_row(&coin_symbol(contract), tick, 2)
}

fn mark_row(symbol: &str, tick: &Tick, st: u8) -> String {
    format!(
        r#"{{"e":"markPriceUpdate","E":{event},"s":"{symbol}","p":"{mark}","i":"{index}","P":"{settle}","r":"{rate}","ap":"{mean}","T":{next},"st":{st}}}"#,
        event = tick.end_ms,
        mark = eight(tick.mark),
        index = eight(tick.index),
        settle = eight(tick.index),
        rate = eight(tick.funding),
        mean = eight(tick.mark_mean),
        next = next_funding(tick.end_ms),
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
        volume = qty(contract, bar.lots),
        count = bar.last_fill - bar.first_fill + 1,
        quote = quote(contract, bar.quote),
        bought = qty(contract, bar.bought),
        quote_bought = quote(contract, bar.quote_bought),
    )
}

/// `bookTicker` after a print, which leaves the touch beside its price.
pub fn book_ticker(contract: &Contract, print: &Print) -> String {
    let bid = if print.taker_buys { print.ticks - 1 } else { print.ticks };
    format!(
        r#"{{"e":"bookTicker","u":{id},"E":{event},"T":{ms},"s":"{symbol}","ps":"{symbol}","b":"{bid}","B":"{bid_qty}","a":"{ask}","A":"{ask_qty}","st":1}}"#,
        id = print.last_fill,
        event = print.ms + 2,
        ms = print.ms,
        symbol = contract.symbol,
        bid_qty = qty(contract, super::book::resting(contract, bid)),
        ask = price(contract, bid + 1),
        ask_qty = qty(contract, super::book::resting(contract, bid + 1)),
        bid = price(contract, bid),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::contracts::CONTRACTS;
    use super::*;

    fn keys(text: &str) -> Vec<String> {
        match serde_json::from_str::<Value>(text).unwrap() {
            Value::Object(map) => map.keys().cloned().collect(),
            other => panic!("{other}"),
        }
    }

    /// Asserts the same keys, and at every key a value of the same JSON type, as the documented payload.
    fn same_shape(ours: &Value, documented: &Value, at: &str) {
        match (ours, documented) {
            (Value::Object(a), Value::Object(b)) => {
                assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{at}");
                for (key, value) in a {
                    same_shape(value, &b[key], key);
                }
            }
            (Value::String(a), Value::String(b)) => {
                let number = |s: &str| !s.is_empty() && s.bytes().all(|c| b"0123456789.-".contains(&c));
                assert_eq!(number(a), number(b), "{at}: {a} {b}");
            }
            _ => assert_eq!(std::mem::discriminant(ours), std::mem::discriminant(documented), "{at}"),
        }
    }

    fn check(ours: &str, documented: &str) -> Value {
        let value: Value = serde_json::from_str(ours).unwrap();
        same_shape(&value, &serde_json::from_str(documented).unwrap(), "frame");
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
        let mut forced =
            Forced { ms: 1_568_014_460_891, side: Side::Long, lots: 40, largest: 14, ticks: 1_000_000 };
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
            &book_ticker(&CONTRACTS[0], &PRINT),
            r#"{"e":"bookTicker","u":400900217,"E":1568014460893,"T":1568014460891,"s":"BNBUSDT","ps":"BNBUSDT","b":"25.35190000","B":"31.21000000","a":"25.36520000","A":"40.66000000","st":1}"#,
        );
        assert_eq!((&frame["b"], &frame["a"]), (&"100000.1".into(), &"100000.2".into()));
    }

    #[test]
    fn small_numbers_keep_their_zeros() {
        assert_eq!(price(&CONTRACTS[3], 125_003).to_string(), "0.0125003");
        assert_eq!(Decimal(-5, 3).to_string(), "-0.005");
        assert_eq!(Decimal(7, 0).to_string(), "7");
    }
}
