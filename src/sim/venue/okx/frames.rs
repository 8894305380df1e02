//! Rows and frames of OKX, field by field as exchanges.md §5.2 shows them. REST rows are the same where the sheet does
//! not say otherwise.
//!
//! Everything is text, sizes are contracts, and numbers have no zeros they do not need.

use std::fmt::Write as _;

use super::numbers::Turn;
use super::streams::Stream;
use crate::market::Side;
use crate::sim::history::{Bar, History};
use crate::sim::text::{Decimal, base, price, quote, rounded, size, trimmed};
use crate::sim::world::book::{Book, Change, Level};
use crate::sim::world::contract::Contract;
use crate::sim::world::tick::{Forced, Print, Tick};

/// Levels of `books` on each side.
pub const LEVELS: usize = 400;
/// A day, ms.
const DAY_MS: i64 = 86_400_000;
/// From midnight UTC back to midnight of UTC+8, ms.
const EIGHT_HOURS_MS: i64 = 8 * 3_600_000;

/// A frame with these rows.
pub fn frame(stream: Stream, rows: &str) -> String {
    format!(r#"{{"arg":{},"data":[{rows}]}}"#, stream.arg())
}

/// `BTC-USDT` of `BTC-USDT-SWAP`: instrument family, and underlying.
pub fn family(contract: &Contract) -> &'static str {
    contract.symbol.strip_suffix("-SWAP").unwrap_or(contract.symbol)
}

/// Fills in a print: a lot cannot be shared.
pub fn fills(print: &Print) -> u64 {
    (print.last_fill - print.first_fill + 1).min(print.lots.unsigned_abs()).max(1)
}

/// Row of `trades`: the fills of one taker order at one price, under the number of the last of them.
pub fn trade(contract: &Contract, print: &Print, seq: i64) -> String {
    format!(
        r#"{{"instId":"{id}","tradeId":"{trade}","px":"{px}","sz":"{sz}","side":"{side}","ts":"{ms}","count":"{count}","source":"{source}","seqId":{seq}}}"#,
        id = contract.symbol,
        trade = print.last_fill,
        px = trimmed(price(contract, print.ticks)),
        sz = trimmed(size(contract, print.lots)),
        side = side(print.taker_buys),
        ms = print.ms,
        count = fills(print),
        // Some liquidity is of a programme of its own; its fills are not put together with others.
        source = u8::from(print.id.is_multiple_of(17)),
    )
}

pub(super) fn side(buys: bool) -> &'static str {
    if buys { "buy" } else { "sell" }
}

/// Whether a forced close is told at all: the channel is not complete (exchanges.md §1.2).
pub fn is_told(forced: &Forced) -> bool {
    forced.id % 7 != 3
}

/// Element of `liquidation-orders`: a contract's forced closes, in the order given. `bkPx` is where the margin is used
/// up; a long dies by `sell`. Some accounts are in net mode.
pub fn liquidations<'a>(contract: &Contract, forced: impl Iterator<Item = &'a Forced>) -> String {
    let mut details = String::new();
    for forced in forced {
        let comma = if details.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(
            details,
            r#"{comma}{{"bkLoss":"0","bkPx":"{px}","ccy":"","posSide":"{position}","side":"{side}","sz":"{sz}","ts":"{ms}"}}"#,
            px = trimmed(price(contract, forced.bankruptcy)),
            position = match forced.side {
                _ if forced.id.is_multiple_of(3) => "net",
                Side::Long => "long",
                Side::Short => "short",
            },
            side = side(forced.side == Side::Short),
            sz = trimmed(size(contract, forced.lots)),
            ms = forced.ms,
        );
    }
    element(&details, family(contract))
}

/// A forced close of the inverse swap that is listed beside a contract, in contracts of 100 USD. The channel carries all
/// swaps.
pub fn inverse_liquidation(contract: &Contract, forced: &Forced) -> String {
    let detail = format!(
        r#"{{"bkLoss":"0","bkPx":"{}","ccy":"","posSide":"net","side":"{}","sz":"12","ts":"{}"}}"#,
        trimmed(price(contract, forced.bankruptcy)),
        side(forced.side == Side::Short),
        forced.ms,
    );
    element(&detail, &format!("{}-USD", contract.base))
}

fn element(details: &str, family: &str) -> String {
    format!(
        r#"{{"details":[{details}],"instFamily":"{family}","instId":"{family}-SWAP","instType":"SWAP","uly":"{family}"}}"#
    )
}

/// Row of `open-interest`, one side. With `empty` its numbers are missing.
pub fn open_interest(contract: &Contract, lots: i64, mark: f64, ms: i64, empty: bool) -> String {
    let (mut contracts, mut coins, mut usd) = Default::default();
    if !empty {
        let [oi, ccy, value] = interest(contract, lots, mark, ms);
        (contracts, coins, usd) = (oi, ccy, value);
    }
    format!(
        r#"{{"instId":"{}","instType":"SWAP","oi":"{contracts}","oiCcy":"{coins}","oiUsd":"{usd}","ts":"{ms}"}}"#,
        contract.symbol,
    )
}

/// Open interest in contracts, coins and USD.
pub fn interest(contract: &Contract, lots: i64, mark: f64, ms: i64) -> [String; 3] {
    // The documented sample has the dust of a sum of floats on it ("2216113.01000000309"); so have some of these.
    let dust = if (ms / 3_000) % 4 == 0 { 309 } else { 0 };
    let fine = i128::from(lots) * 10_i128.pow((11 - contract.size_decimals).unsigned_abs()) + dust;
    let coins = Decimal(fine, 11 + contract.lot_decimals - contract.size_decimals);
    let usd = rounded(contract.qty_of(lots) * mark, 14);
    [Decimal(fine, 11), coins, usd].map(trimmed)
}

/// A mark price in ticks: `markPx` is as fine as prices are.
pub fn mark_ticks(contract: &Contract, mark: f64) -> i64 {
    (mark / contract.tick()).round() as i64
}

/// Row of `mark-price`.
pub fn mark_price(contract: &Contract, mark: f64, ms: i64) -> String {
    format!(
        r#"{{"instType":"SWAP","instId":"{}","markPx":"{}","ts":"{ms}"}}"#,
        contract.symbol,
        trimmed(price(contract, mark_ticks(contract, mark))),
    )
}

/// Row of `funding-rate`. `settled` is the rate last paid.
pub fn funding_rate(contract: &Contract, now: &Tick, settled: f64, ms: i64) -> String {
    let next = contract.next_funding(ms);
    let sixteen = |value: f64| trimmed(rounded(value, 16));
    format!(
        r#"{{"formulaType":"noRate","fundingRate":"{rate}","fundingTime":"{next}","impactValue":"","instId":"{id}","instType":"SWAP","interestRate":"","method":"current_period","maxFundingRate":"0.00375","minFundingRate":"-0.00375","nextFundingRate":"","nextFundingTime":"{after}","premium":"{premium}","settFundingRate":"{settled}","settState":"settled","ts":"{ms}"}}"#,
        rate = sixteen(now.funding),
        id = contract.symbol,
        after = next + contract.funding_ms,
        premium = sixteen(now.mark / now.index - 1.0),
        settled = sixteen(settled),
    )
}

/// Row of `tickers`, empty if nothing was ever traded. `now` is by the clock of the history, `ms` is what is told.
pub fn ticker(history: &History, book: &Book, now: i64, ms: i64) -> String {
    let contract = history.contract;
    let Some(day) = history.day() else { return String::new() };
    let opened = |at: i64| {
        let from = history.bars.partition_point(|bar| bar.start_ms < at);
        trimmed(price(contract, history.bars.get(from).map_or(day.open, |bar| bar.open)))
    };
    let midnight = now.div_euclid(DAY_MS) * DAY_MS;
    let east = (now + EIGHT_HOURS_MS).div_euclid(DAY_MS) * DAY_MS - EIGHT_HOURS_MS;
    let px = |ticks| trimmed(price(contract, ticks));
    let sz = |lots| trimmed(size(contract, lots));
    format!(
        r#"{{"instType":"SWAP","instId":"{id}","last":"{last}","lastSz":"{last_sz}","askPx":"{ask}","askSz":"{ask_sz}","bidPx":"{bid}","bidSz":"{bid_sz}","open24h":"{open}","high24h":"{high}","low24h":"{low}","volCcy24h":"{coins}","vol24h":"{contracts}","sodUtc0":"{utc0}","sodUtc8":"{utc8}","ts":"{ms}"}}"#,
        id = contract.symbol,
        last = px(day.close),
        last_sz = sz(history.last().map_or(0, |print| print.lots)),
        ask = px(book.ask()),
        ask_sz = sz(book.resting(book.ask())),
        bid = px(book.bid),
        bid_sz = sz(book.resting(book.bid)),
        open = px(day.open),
        high = px(day.high),
        low = px(day.low),
        coins = trimmed(base(contract, day.lots)),
        contracts = sz(day.lots),
        utc0 = opened(midnight),
        utc8 = opened(east),
    )
}

/// Row of `candle1m` and of REST candles: `confirm` is 1 once the bar is over.
pub fn candle(contract: &Contract, bar: &Bar, closed: bool) -> String {
    let px = |ticks| trimmed(price(contract, ticks));
    format!(
        r#"["{start}","{open}","{high}","{low}","{close}","{contracts}","{coins}","{quote}","{confirm}"]"#,
        start = bar.start_ms,
        open = px(bar.open),
        high = px(bar.high),
        low = px(bar.low),
        close = px(bar.close),
        contracts = trimmed(size(contract, bar.lots)),
        coins = trimmed(base(contract, bar.lots)),
        quote = trimmed(quote(contract, bar.quote)),
        confirm = u8::from(closed),
    )
}

/// The first frame of `books`.
pub fn snapshot(stream: Stream, contract: &Contract, book: &Book, seq: i64, ms: i64) -> String {
    let whole = Change { bids: book.bids(LEVELS), asks: book.asks(LEVELS) };
    books(stream, "snapshot", contract, &whole, Turn { before: -1, now: seq }, ms)
}

/// A later frame of `books`: what changed, nothing for a heartbeat.
pub fn update(stream: Stream, contract: &Contract, change: &Change, turn: Turn, ms: i64) -> String {
    books(stream, "update", contract, change, turn, ms)
}

fn books(stream: Stream, action: &str, contract: &Contract, change: &Change, turn: Turn, ms: i64) -> String {
    format!(
        r#"{{"arg":{arg},"action":"{action}","data":[{{"asks":[{asks}],"bids":[{bids}],"ts":"{ms}","checksum":0,"prevSeqId":{before},"seqId":{now}}}]}}"#,
        arg = stream.arg(),
        asks = levels(contract, &change.asks),
        bids = levels(contract, &change.bids),
        before = turn.before,
        now = turn.now,
    )
}

/// Row of `bbo-tbt` and of REST `books`: so many levels, whole.
pub fn book(contract: &Contract, book: &Book, depth: usize, seq: i64, ms: i64) -> String {
    format!(
        r#"{{"asks":[{}],"bids":[{}],"ts":"{ms}","seqId":{seq}}}"#,
        levels(contract, &book.asks(depth)),
        levels(contract, &book.bids(depth)),
    )
}

/// Row of `books5`.
pub fn five_levels(contract: &Contract, book: &Book, seq: i64, ms: i64) -> String {
    format!(
        r#"{{"asks":[{asks}],"bids":[{bids}],"instId":"{id}","ts":"{ms}","seqId":{seq}}}"#,
        asks = levels(contract, &book.asks(5)),
        bids = levels(contract, &book.bids(5)),
        id = contract.symbol,
    )
}

/// `["8476.98","415","0","13"]`: price, contracts, a field out of use, orders.
fn levels(contract: &Contract, rows: &[Level]) -> String {
    let mut text = String::with_capacity(rows.len() * 28);
    for (n, (ticks, lots)) in rows.iter().enumerate() {
        let comma = if n > 0 { "," } else { "" };
        let orders = if *lots == 0 { 0 } else { 1 + lots % 13 };
        let (px, sz) = (trimmed(price(contract, *ticks)), trimmed(size(contract, *lots)));
        // Writing to a String cannot fail.
        let _ = write!(text, r#"{comma}["{px}","{sz}","0","{orders}"]"#);
    }
    text
}

#[cfg(test)]
mod tests;
