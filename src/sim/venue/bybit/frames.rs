//! The payloads of Bybit's topics, field by field as exchanges.md §4.2 shows them.

use std::fmt::Write as _;

use super::ticker::Direction;
use super::topics::Depth;
use crate::market::Side;
use crate::sim::history::{Bar, History};
use crate::sim::text::{Decimal, quote, rounded, size, trimmed};
use crate::sim::venue::interval::Interval;
use crate::sim::world::book::{Level, mix};
use crate::sim::world::contract::Contract;
use crate::sim::world::tick::{Forced, Print};

/// Decimals of prices: those of the tick, two at least, as the samples have them.
pub(super) fn scale(contract: &Contract) -> i32 {
    (contract.price_decimals as i32).max(2)
}

/// A price in ticks.
pub(super) fn price(contract: &Contract, ticks: i64) -> Decimal {
    let missing = scale(contract) - contract.price_decimals as i32;
    Decimal(i128::from(ticks) * 10_i128.pow(missing as u32), scale(contract))
}

/// A rate without zeros at its end.
pub(super) fn rate(value: f64) -> String {
    trimmed(rounded(value, 8))
}

/// The cross sequence of what happens at a time: it grows over all topics of a contract.
pub(super) fn seq(at: i64) -> i64 {
    at
}

/// An id of 36 characters.
pub(super) fn uuid(n: u64) -> String {
    let (high, low) = (mix(n), mix(!n));
    format!(
        "{:08x}-{:04x}-5{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        0x8000 | low >> 48 & 0x3fff,
        low & 0xffff_ffff_ffff
    )
}

/// `publicTrade`: the fills of a print. `at` is its true time.
pub fn trades(contract: &Contract, print: &Print, direction: Direction, at: i64) -> (usize, String) {
    let rows: Vec<String> = print
        .fills()
        .enumerate()
        .map(|(n, (fill, lots))| {
            let direction = if n == 0 { direction } else { direction.again() };
            format!(
                r#"{{"T":{ms},"s":"{symbol}","S":"{side}","v":"{qty}","p":"{price}","L":"{direction}","i":"{id}","BT":false,"seq":{seq}}}"#,
                ms = print.ms,
                symbol = contract.symbol,
                side = taker(print),
                qty = size(contract, lots),
                price = price(contract, print.ticks),
                direction = direction.name(),
                id = uuid(fill),
                seq = seq(at),
            )
        })
        .collect();
    let frame = format!(
        r#"{{"topic":"publicTrade.{symbol}","type":"snapshot","ts":{ts},"data":[{rows}]}}"#,
        symbol = contract.symbol,
        ts = print.ms + 3,
        rows = rows.join(","),
    );
    (rows.len(), frame)
}

pub(super) fn taker(print: &Print) -> &'static str {
    if print.taker_buys { "Buy" } else { "Sell" }
}

/// The lots of each account in a forced close: a simulated position stands for accounts of unlike size.
pub fn accounts(forced: &Forced) -> impl Iterator<Item = i64> {
    let (mut left, largest) = (forced.lots, forced.largest.max(1));
    std::iter::from_fn(move || {
        let lots = left.min(largest);
        left -= lots;
        (lots > 0).then_some(lots)
    })
}

/// `allLiquidation`: every forced close, account by account.
/// `S` is the side that died, as an order would open it: `Buy` for a long; `p` the bankruptcy price (exchanges.md §4.2).
pub fn liquidations(contract: &Contract, forced: &[&Forced], ts: i64) -> (usize, String) {
    let symbol = contract.symbol;
    let mut rows = Vec::new();
    for forced in forced {
        let side = if forced.side == Side::Long { "Buy" } else { "Sell" };
        for lots in accounts(forced) {
            rows.push(format!(
                r#"{{"T":{ms},"s":"{symbol}","S":"{side}","v":"{qty}","p":"{price}"}}"#,
                ms = forced.ms,
                qty = size(contract, lots),
                price = price(contract, forced.bankruptcy),
            ));
        }
    }
    let frame = format!(
        r#"{{"topic":"allLiquidation.{symbol}","type":"snapshot","ts":{ts},"data":[{}]}}"#,
        rows.join(",")
    );
    (rows.len(), frame)
}

/// `kline`: no taker split, on the real exchange either.
pub fn kline(contract: &Contract, bar: &Bar, interval: Interval, ms: i64, confirm: bool) -> String {
    let (name, symbol) = (interval.name, contract.symbol);
    format!(
        r#"{{"topic":"kline.{name}.{symbol}","data":[{{"start":{start},"end":{end},"interval":"{name}","open":"{open}","close":"{close}","high":"{high}","low":"{low}","volume":"{volume}","turnover":"{turnover}","confirm":{confirm},"timestamp":{ms}}}],"ts":{ms},"type":"snapshot"}}"#,
        start = bar.start_ms,
        end = bar.start_ms + interval.ms - 1,
        open = price(contract, bar.open),
        close = price(contract, bar.close),
        high = price(contract, bar.high),
        low = price(contract, bar.low),
        volume = size(contract, bar.lots),
        turnover = quote(contract, bar.quote),
    )
}

/// The moment a topic's book was last told at, true UTC ms.
pub(super) fn told(depth: Depth, at: i64) -> i64 {
    at.div_euclid(depth.pace_ms()) * depth.pace_ms()
}

/// Number of the update of a depth at a time: without gaps since the service was started at `base`, and 1 then.
pub(super) fn update_id(depth: Depth, at: i64, base: i64) -> i64 {
    (at - base).div_euclid(depth.pace_ms()) + 1
}

/// `orderbook` as a whole, as of `at` (true UTC ms); `ms` is the venue's time, `base` as for [`update_id`].
pub fn book_snapshot(history: &History, depth: Depth, at: i64, ms: i64, base: i64) -> String {
    let book = history.book(told(depth, at));
    let (bids, asks) = (book.bids(depth.levels()), book.asks(depth.levels()));
    book_frame(history.contract, depth, "snapshot", &bids, &asks, at, ms, base)
}

/// `orderbook`: what changed since the update before. An update in which nothing did repeats the best bid: none is
/// left out, since they are numbered without gaps.
pub fn book_delta(history: &History, depth: Depth, at: i64, ms: i64, base: i64) -> String {
    let book = history.book(at);
    let mut change = book.since(&history.book(at - depth.pace_ms()), depth.levels());
    if change.bids.is_empty() && change.asks.is_empty() {
        change.bids = book.bids(1);
    }
    book_frame(history.contract, depth, "delta", &change.bids, &change.asks, at, ms, base)
}

#[allow(clippy::too_many_arguments, reason = "the parts of one frame")]
fn book_frame(
    contract: &Contract,
    depth: Depth,
    kind: &str,
    bids: &[Level],
    asks: &[Level],
    at: i64,
    ms: i64,
    base: i64,
) -> String {
    format!(
        r#"{{"topic":"orderbook.{levels}.{symbol}","type":"{kind}","ts":{ts},"data":{{"s":"{symbol}","b":[{bids}],"a":[{asks}],"u":{u},"seq":{seq}}},"cts":{ms}}}"#,
        levels = depth.levels(),
        symbol = contract.symbol,
        ts = ms + 2,
        bids = levels(contract, bids),
        asks = levels(contract, asks),
        u = update_id(depth, at, base),
        seq = seq(at),
    )
}

/// Levels of a book: `["16493.50","0.006"],…`.
pub(super) fn levels(contract: &Contract, rows: &[Level]) -> String {
    let mut text = String::with_capacity(rows.len() * 24);
    for (n, (ticks, lots)) in rows.iter().enumerate() {
        let comma = if n > 0 { "," } else { "" };
        // A level that is gone has a size of plain 0. Writing to a String cannot fail.
        let _ = match lots {
            0 => write!(text, r#"{comma}["{}","0"]"#, price(contract, *ticks)),
            _ => write!(text, r#"{comma}["{}","{}"]"#, price(contract, *ticks), size(contract, *lots)),
        };
    }
    text
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::Value;

    use super::*;
    use crate::sim::contracts::bybit::CONTRACTS;
    use crate::sim::venue::bybit::topics::INTERVALS;
    use crate::sim::venue::shape::assert_same;

    /// Asserts the same keys, and at every key a value of the same JSON type, as documented.
    pub fn check(ours: &str, documented: &str) -> Value {
        let value = serde_json::from_str(ours).unwrap();
        assert_same(&value, &serde_json::from_str(documented).unwrap(), "frame");
        value
    }

    const PRINT: Print = Print {
        ms: 1_672_304_486_865,
        ticks: 165_785,
        lots: 10,
        taker_buys: true,
        id: 1,
        first_fill: 100,
        last_fill: 102,
        buyer: 0,
        seller: 0,
    };

    #[test]
    fn trades_are_as_documented_a_row_a_fill() {
        let (count, text) = trades(&CONTRACTS[0], &PRINT, Direction::Plus, 17);
        let frame = check(
            &text,
            r#"{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1672304486868,"data":[{"T":1672304486865,"s":"BTCUSDT","S":"Buy","v":"0.001","p":"16578.50","L":"PlusTick","i":"20f43950-d8dd-5b31-9112-a178eb6023af","BT":false,"seq":1783284617}]}"#,
        );
        assert_eq!((count, &frame["ts"]), (3, &1_672_304_486_868_i64.into()));
        let column = |key: &str| [0, 1, 2].map(|n: usize| frame["data"][n][key].clone());
        assert_eq!(column("v"), ["0.004", "0.003", "0.003"]);
        assert_eq!(column("L"), ["PlusTick", "ZeroPlusTick", "ZeroPlusTick"]);
        assert_eq!(column("p"), ["16578.50"; 3]);
        assert_eq!(column("S"), ["Buy"; 3]);
        assert_eq!(column("T")[2], 1_672_304_486_865_i64);
        let ids = column("i").map(|id| id.as_str().unwrap().to_owned());
        assert!(ids[0] != ids[1] && ids[1] != ids[2]);
        let parts: Vec<usize> = ids[0].split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
    }

    #[test]
    fn a_print_has_no_more_fills_than_lots() {
        let small = Print { lots: 2, ..PRINT };
        assert_eq!(small.fills().collect::<Vec<_>>(), [(100, 1), (101, 1)]);
    }

    #[test]
    fn liquidations_are_as_documented_and_none_is_left_out() {
        let forced = Forced {
            id: 1,
            ms: 1_739_502_302_929,
            side: Side::Long,
            lots: 2_000,
            largest: 900,
            ticks: 640_000,
            bankruptcy: 639_000,
        };
        let short = Forced { side: Side::Short, lots: 5, largest: 5, ..forced };
        let (count, text) = liquidations(&CONTRACTS[0], &[&forced, &short], 1_739_502_303_204);
        let frame = check(
            &text,
            r#"{"topic":"allLiquidation.ROSEUSDT","type":"snapshot","ts":1739502303204,"data":[{"T":1739502302929,"s":"ROSEUSDT","S":"Sell","v":"20000","p":"0.04499"}]}"#,
        );
        assert_eq!((count, &frame["topic"]), (4, &"allLiquidation.BTCUSDT".into()));
        let column = |key: &str| [0, 1, 2, 3].map(|n: usize| frame["data"][n][key].clone());
        assert_eq!(column("S"), ["Buy", "Buy", "Buy", "Sell"], "Buy: a long was liquidated");
        assert_eq!(column("v"), ["0.900", "0.900", "0.200", "0.005"]);
        assert_eq!(column("p"), ["63900.00"; 4], "bankruptcy price, not the fill");
        assert_eq!(column("T"), [1_739_502_302_929_i64; 4]);
    }

    #[test]
    fn candles_are_as_documented() {
        let bar = Bar {
            start_ms: 1_672_324_800_000,
            open: 166_495,
            high: 166_770,
            low: 166_080,
            close: 166_770,
            lots: 2_081,
            bought: 1_000,
            quote: 346_664_005,
            quote_bought: 1,
            first_fill: 1,
            last_fill: 9,
        };
        let frame = check(
            &kline(&CONTRACTS[0], &bar, INTERVALS[2], 1_672_324_988_882, false),
            r#"{"topic":"kline.5.BTCUSDT","data":[{"start":1672324800000,"end":1672325099999,"interval":"5","open":"16649.5","close":"16677","high":"16677","low":"16608","volume":"2.081","turnover":"34666.4005","confirm":false,"timestamp":1672324988882}],"ts":1672324988882,"type":"snapshot"}"#,
        );
        assert_eq!(frame["topic"], "kline.5.BTCUSDT");
        let row = &frame["data"][0];
        let texts = ["open", "close", "high", "low", "volume", "turnover"].map(|key| row[key].clone());
        assert_eq!(texts, ["16649.50", "16677.00", "16677.00", "16608.00", "2.081", "34666.4005"]);
        assert_eq!(
            (&row["start"], &row["end"]),
            (&1_672_324_800_000_i64.into(), &1_672_325_099_999_i64.into())
        );
    }

    fn history() -> History {
        let mut history = History::new(&CONTRACTS[0]);
        history.print(&Print { ms: 2_000, ..PRINT });
        for at in (2_000..3_000).step_by(100) {
            history.tick_book(at);
        }
        history
    }

    #[test]
    fn books_are_as_documented_and_numbered_without_gaps() {
        let documented = r#"{"topic":"orderbook.50.BTCUSDT","type":"snapshot","ts":1672304484978,"data":{"s":"BTCUSDT","b":[["16493.50","0.006"]],"a":[["16611.00","0.029"]],"u":18521288,"seq":7961638724},"cts":1672304484976}"#;
        let history = history();
        let frame = check(&book_snapshot(&history, Depth::L50, 2_160, 9_000, 0), documented);
        assert_eq!(
            (&frame["ts"], &frame["cts"], &frame["data"]["u"]),
            (&9_002.into(), &9_000.into(), &22.into())
        );
        assert_eq!(
            (&frame["data"]["b"][0][0], &frame["data"]["a"][0][0]),
            (&"16578.40".into(), &"16578.50".into())
        );
        let sides = ["b", "a"].map(|side| frame["data"][side].as_array().unwrap().len());
        assert_eq!(sides, [50, 50]);
        let ids = [2_200, 2_300, 2_400].map(|at| {
            let delta: Value = serde_json::from_str(&book_delta(&history, Depth::L50, at, at, 0)).unwrap();
            assert_eq!(delta["type"], "delta");
            delta["data"]["u"].clone()
        });
        assert_eq!(ids, [23, 24, 25]);
        assert_eq!([2_000, 2_200, 2_400].map(|at| update_id(Depth::L1000, at, 0)), [11, 12, 13]);
        assert_eq!(Depth::ALL.map(|depth| update_id(depth, 2_200, 2_200)), [1; 4], "1 on a restart");
    }

    #[test]
    fn a_level_that_is_gone_has_size_zero() {
        assert_eq!(levels(&CONTRACTS[0], &[(1_000_001, 0), (7, 6)]), r#"["100000.10","0"],["0.70","0.006"]"#);
    }
}
