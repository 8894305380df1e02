//! The payloads of Hyperliquid's channels, field by field as exchanges.md §6.2 shows them.

use serde_json::{Value, json};

use super::accounts;
use super::numbers::{float, grid, px, sz};
use super::topics::Grain;
use crate::sim::history::{Bar, History};
use crate::sim::text::{Decimal, quote, rounded};
use crate::sim::venue::interval::Interval;
use crate::sim::world::book::{Book, Level, mix};
use crate::sim::world::contract::Contract;
use crate::sim::world::tick::Print;

/// A coin of the universe that died long ago: its context has nulls, nothing else speaks of it.
pub const DEAD: &str = "MATIC";

/// A message of a channel.
pub(super) fn frame(channel: &str, data: &str) -> String {
    format!(r#"{{"channel":"{channel}","data":{data}}}"#)
}

/// Rows of `trades`: the fills of a print. Buyer first, whoever took.
pub fn trades(contract: &Contract, print: &Print) -> Vec<String> {
    let part = |n: u64| mix(print.id << 2 | n);
    let hash = format!("{:016x}{:016x}{:016x}{:016x}", part(0), part(1), part(2), part(3));
    print
        .fills()
        .map(|(fill, lots)| {
            let [buyer, seller] = accounts::sides(print, fill).map(accounts::Account::address);
            format!(
                r#"{{"coin":"{coin}","side":"{side}","px":"{px}","sz":"{sz}","hash":"0x{hash}","time":{ms},"tid":{tid},"users":["{buyer}","{seller}"]}}"#,
                coin = contract.symbol,
                side = if print.taker_buys { "B" } else { "A" },
                px = px(contract, print.ticks),
                sz = sz(contract, lots),
                ms = print.ms,
                // 50 bits, as the samples have.
                tid = mix(fill) >> 14,
            )
        })
        .collect()
}

/// The rows of the last prints, oldest first, at most so many.
pub fn recent(history: &History, rows: usize) -> Vec<String> {
    let newest_first = history.prints.iter().rev();
    let mut out: Vec<String> =
        newest_first.flat_map(|print| trades(history.contract, print).into_iter().rev()).take(rows).collect();
    out.reverse();
    out
}

/// Levels on each side of a book.
pub const fn levels(fast: bool) -> usize {
    if fast { 5 } else { 20 }
}

fn level(contract: &Contract, (ticks, lots): Level) -> String {
    let orders = 1 + mix(ticks as u64) % 5;
    format!(r#"{{"px":"{}","sz":"{}","n":{orders}}}"#, px(contract, ticks), sz(contract, lots))
}

fn side(contract: &Contract, rows: Vec<Level>) -> String {
    rows.into_iter().map(|row| level(contract, row)).collect::<Vec<_>>().join(",")
}

/// Ticks that become one price where a price is told with so many significant figures.
fn step_of(ticks: i64, figures: u8) -> i64 {
    let digits = ticks.max(1).ilog10() + 1;
    10_i64.pow(digits.saturating_sub(u32::from(figures)))
}

/// Levels whose prices become the same, as one; at most so many, best first.
fn merged(rows: Vec<Level>, price: impl Fn(i64) -> i64, most: usize) -> Vec<Level> {
    let mut out: Vec<Level> = Vec::new();
    for (ticks, lots) in rows {
        let ticks = price(ticks);
        if let Some(last) = out.last_mut().filter(|last| last.0 == ticks) {
            last.1 += lots;
        } else if out.len() < most {
            out.push((ticks, lots));
        } else {
            break;
        }
    }
    out
}

/// `l2Book`: always the whole of it.
pub fn book(contract: &Contract, book: &Book, grain: Grain, ms: i64) -> String {
    let most = levels(grain == Grain::Fast);
    let (bids, asks) = match grain {
        Grain::Merged(figures) => {
            let step = step_of(book.bid, figures);
            let down = |ticks: i64| ticks.div_euclid(step) * step;
            let up = |ticks: i64| (ticks + step - 1).div_euclid(step) * step;
            let far = (most as i64 * step) as usize;
            (merged(book.bids(far), down, most), merged(book.asks(far), up, most))
        }
        Grain::Fast | Grain::Slow => (book.bids(most), book.asks(most)),
    };
    format!(
        r#"{{"coin":"{coin}","levels":[[{bids}],[{asks}]],"time":{ms}{fast}}}"#,
        coin = contract.symbol,
        bids = side(contract, bids),
        asks = side(contract, asks),
        fast = if grain == Grain::Fast { r#","fast":true"# } else { "" },
    )
}

/// `bbo`
pub fn bbo(contract: &Contract, book: &Book, ms: i64) -> String {
    let best = |rows: Vec<Level>| rows.first().map_or_else(|| "null".to_owned(), |row| level(contract, *row));
    format!(
        r#"{{"coin":"{coin}","time":{ms},"bbo":[{bid},{ask}]}}"#,
        coin = contract.symbol,
        bid = best(book.bids(1)),
        ask = best(book.asks(1)),
    )
}

/// `candle`, and a row of `candleSnapshot`: no taker split and no close flag, on the real exchange either.
pub fn candle(contract: &Contract, bar: &Bar, interval: Interval) -> String {
    format!(
        r#"{{"t":{start},"T":{end},"s":"{coin}","i":"{name}","o":"{open}","c":"{close}","h":"{high}","l":"{low}","v":"{volume}","n":{count}}}"#,
        start = bar.start_ms,
        end = bar.start_ms + interval.ms - 1,
        coin = contract.symbol,
        name = interval.name,
        open = px(contract, bar.open),
        close = px(contract, bar.close),
        high = px(contract, bar.high),
        low = px(contract, bar.low),
        volume = sz(contract, bar.lots),
        count = bar.last_fill - bar.first_fill + 1,
    )
}

/// What is known of a coin, as of `at` (true UTC ms). Without open interest that field is missing; a coin that is not
/// traded has none, and no book.
pub fn context(history: &History, at: i64, trading: bool, hide_interest: bool) -> Value {
    let (contract, now, book) = (history.contract, &history.now, history.book(at));
    let day = history.day();
    let open = day.map_or(book.bid, |day| day.open);
    let mid = contract.price_of(book.bid) + contract.tick() / 2.0;
    let premium = float(rounded(mid / now.index.max(1e-12) - 1.0, 10));
    let mut context = json!({
        "funding": float(rounded(now.funding, 10)),
        "openInterest": if trading { sz(contract, now.open_interest) } else { "0.0".to_owned() },
        "prevDayPx": px(contract, open),
        "dayNtlVlm": float(quote(contract, day.map_or(0, |day| day.quote))),
        "premium": trading.then_some(premium),
        "oraclePx": grid(contract, now.index),
        "markPx": grid(contract, now.mark),
        "midPx": trading.then(|| middle(&book)),
        "impactPxs": trading.then(|| [px(contract, book.bid), px(contract, book.ask())]),
        "dayBaseVlm": sz(contract, day.map_or(0, |day| day.lots)),
    });
    if hide_interest && let Some(fields) = context.as_object_mut() {
        fields.remove("openInterest");
    }
    context
}

/// The context of [`DEAD`].
pub fn dead_context() -> Value {
    json!({
        "funding": "0.0",
        "openInterest": "0.0",
        "prevDayPx": "0.3751",
        "dayNtlVlm": "0.0",
        "premium": null,
        "oraclePx": "0.3749",
        "markPx": "0.3751",
        "midPx": null,
        "impactPxs": null,
        "dayBaseVlm": "0.0",
    })
}

/// Halfway between bid and ask, half a tick from either.
pub fn middle(book: &Book) -> String {
    let contract = book.contract();
    float(Decimal(i128::from(book.bid) * 10 + 5, contract.price_decimals as i32 + 1))
}

#[cfg(test)]
mod tests;
