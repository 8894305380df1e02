//! What `tickers` tells: a snapshot first, then only what changed (exchanges.md §4.2).

use std::fmt::Write as _;

use super::frames::{price, rate, seq};
use crate::sim::history::{Bar, History};
use crate::sim::hub::{Kind, Rows};
use crate::sim::text::{Decimal, quote, rounded, size};
use crate::sim::world::contract::Contract;

const HOUR_MS: i64 = 3_600_000;

/// Which way the last price came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Up with this print.
    Plus,
    /// Up with an earlier one.
    ZeroPlus,
    /// Down with this print.
    Minus,
    /// Down with an earlier one.
    ZeroMinus,
}

impl Direction {
    /// As of the last of these prices, ticks, newest first.
    pub fn of(mut newest_first: impl Iterator<Item = i64>) -> Self {
        let Some(last) = newest_first.next() else { return Self::ZeroPlus };
        for (n, before) in newest_first.enumerate() {
            match (last.cmp(&before), n) {
                (std::cmp::Ordering::Equal, _) => {}
                (std::cmp::Ordering::Greater, 0) => return Self::Plus,
                (std::cmp::Ordering::Greater, _) => return Self::ZeroPlus,
                (std::cmp::Ordering::Less, 0) => return Self::Minus,
                (std::cmp::Ordering::Less, _) => return Self::ZeroMinus,
            }
        }
        Self::ZeroPlus
    }

    /// The same for a further fill at that price.
    pub const fn again(self) -> Self {
        match self {
            Self::Plus | Self::ZeroPlus => Self::ZeroPlus,
            Self::Minus | Self::ZeroMinus => Self::ZeroMinus,
        }
    }

    /// As the wire spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plus => "PlusTick",
            Self::ZeroPlus => "ZeroPlusTick",
            Self::Minus => "MinusTick",
            Self::ZeroMinus => "ZeroMinusTick",
        }
    }
}

/// The last 24 hours without the running minute; it is added up once a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Day {
    /// Start of the running minute, UTC ms.
    minute_ms: i64,
    /// Price a day and an hour ago, ticks.
    yesterday: i64,
    hour_ago: i64,
    high: i64,
    low: i64,
    lots: i64,
    quote: i128,
}

impl Day {
    /// Adds it up anew if a minute has passed.
    fn renew(&mut self, history: &History) {
        let Some(running) = history.bars.back() else { return };
        if running.start_ms == self.minute_ms {
            return;
        }
        let mut day: Bar = Bar { lots: 0, quote: 0, ..*running };
        let mut hour_ago = running.open;
        for bar in history.bars.iter().rev().skip(1) {
            if bar.start_ms <= running.start_ms - 24 * HOUR_MS {
                break;
            }
            if bar.start_ms > running.start_ms - HOUR_MS {
                hour_ago = bar.open;
            }
            (day.open, day.high, day.low) = (bar.open, day.high.max(bar.high), day.low.min(bar.low));
            day.lots += bar.lots;
            day.quote += bar.quote;
        }
        *self = Self {
            minute_ms: running.start_ms,
            yesterday: day.open,
            hour_ago,
            high: day.high,
            low: day.low,
            lots: day.lots,
            quote: day.quote,
        };
    }
}

/// A contract's state as tickers tell it: prices in ticks, quantities in lots, mark and index in USD.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ticker {
    contract: &'static Contract,
    direction: Direction,
    last: i64,
    day: Day,
    mark: f64,
    index: f64,
    /// One side; `None` where open interest is left empty.
    interest: Option<i64>,
    next_funding: i64,
    funding: f64,
    bid: (i64, i64),
    ask: (i64, i64),
}

/// Fields in the order of the documented sample, `symbol` before and `single…` behind `openInterestValue`.
type Fields = [(&'static str, String); 23];

impl Ticker {
    /// As of the history; `at` is the true time of it, `ms` the venue's (UTC ms).
    pub fn of(history: &History, day: &mut Day, at: i64, ms: i64, hide_interest: bool) -> Self {
        let (contract, now, book) = (history.contract, &history.now, history.book(at));
        day.renew(history);
        let mut day = *day;
        if let Some(bar) = history.bars.back() {
            (day.high, day.low) = (day.high.max(bar.high), day.low.min(bar.low));
            day.lots += bar.lots;
            day.quote += bar.quote;
        }
        Self {
            contract,
            direction: Direction::of(history.prints.iter().rev().map(|print| print.ticks)),
            last: history.last().map_or(book.bid, |print| print.ticks),
            day,
            mark: now.mark,
            index: now.index,
            interest: (!hide_interest).then_some(now.open_interest),
            next_funding: contract.next_funding(ms),
            funding: now.funding,
            bid: (book.bid, book.resting(book.bid)),
            ask: (book.ask(), book.resting(book.ask())),
        }
    }

    fn fields(&self) -> Fields {
        let (contract, day) = (self.contract, &self.day);
        let lots = |lots: i64| size(contract, lots).to_string();
        // `openInterest` counts both sides, `singleOpenInterest` one (exchanges.md §1.3).
        let interest = |sides: i64| self.interest.map_or(String::new(), |one| lots(sides * one));
        let value = |sides: i64| {
            let usd = |one: i64| contract.qty_of(sides * one) * self.mark;
            self.interest.map_or(String::new(), |one| rounded(usd(one), 2).to_string())
        };
        let scale = super::frames::scale(contract);
        let change = i128::from(self.last - day.yesterday) * 1_000_000 / i128::from(day.yesterday.max(1));
        [
            ("tickDirection", self.direction.name().to_owned()),
            ("price24hPcnt", Decimal(change, 6).to_string()),
            ("lastPrice", price(contract, self.last).to_string()),
            ("prevPrice24h", price(contract, day.yesterday).to_string()),
            ("highPrice24h", price(contract, day.high).to_string()),
            ("lowPrice24h", price(contract, day.low).to_string()),
            ("prevPrice1h", price(contract, day.hour_ago).to_string()),
            ("markPrice", rounded(self.mark, scale).to_string()),
            ("indexPrice", rounded(self.index, scale).to_string()),
            ("openInterest", interest(2)),
            ("openInterestValue", value(2)),
            ("singleOpenInterest", interest(1)),
            ("singleOpenInterestValue", value(1)),
            ("turnover24h", quote(contract, day.quote).to_string()),
            ("volume24h", lots(day.lots)),
            ("fundingIntervalHour", (contract.funding_ms / HOUR_MS).to_string()),
            ("fundingCap", "0.005".to_owned()),
            ("nextFundingTime", self.next_funding.to_string()),
            ("fundingRate", rate(self.funding)),
            ("bid1Price", price(contract, self.bid.0).to_string()),
            ("bid1Size", lots(self.bid.1)),
            ("ask1Price", price(contract, self.ask.0).to_string()),
            ("ask1Size", lots(self.ask.1)),
        ]
    }

    /// The first frame of a subscription, at `at`; told as of `ms`.
    pub fn snapshot(&self, at: i64, ms: i64) -> (Rows, String) {
        self.frame("snapshot", &self.fields().map(Some), at, ms)
    }

    /// What changed since an earlier state.
    pub fn delta(&self, before: &Self, at: i64, ms: i64) -> (Rows, String) {
        let mut before = before.fields().into_iter();
        let changed = self.fields().map(|field| (before.next().as_ref() != Some(&field)).then_some(field));
        self.frame("delta", &changed, at, ms)
    }

    /// A frame books a row of each thing it says something new of.
    fn frame(
        &self,
        kind: &str,
        fields: &[Option<(&'static str, String)>],
        at: i64,
        ms: i64,
    ) -> (Rows, String) {
        let symbol = self.contract.symbol;
        let mut text =
            format!(r#"{{"topic":"tickers.{symbol}","type":"{kind}","data":{{"symbol":"{symbol}""#);
        let mut rows = Rows::from(Kind::Ticker);
        for (name, value) in fields.iter().flatten() {
            // Writing to a String cannot fail.
            let _ = write!(text, r#","{name}":"{value}""#);
            rows = match *name {
                "markPrice" => rows.and(Kind::Mark, 1),
                "openInterest" if !value.is_empty() => rows.and(Kind::OpenInterest, 1),
                "fundingRate" => rows.and(Kind::Funding, 1),
                _ => rows,
            };
        }
        let _ = write!(text, r#"}},"cs":{},"ts":{ms}}}"#, seq(at));
        (rows, text)
    }

    /// The row of `/v5/market/tickers`.
    pub fn row(&self) -> String {
        let mut text = format!(r#"{{"symbol":"{}""#, self.contract.symbol);
        for (name, value) in self.fields() {
            if name != "tickDirection" {
                let _ = write!(text, r#","{name}":"{value}""#);
            }
        }
        text.push_str(
            r#","predictedDeliveryPrice":"","basisRate":"","deliveryFeeRate":"","deliveryTime":"0"}"#,
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::sim::contracts::bybit::CONTRACTS;
    use crate::sim::venue::bybit::frames::tests::check;
    use crate::sim::world::tick::{Print, Tick};

    fn history(ticks: &[i64]) -> History {
        let mut history = History::new(&CONTRACTS[0]);
        for (n, ticks) in ticks.iter().enumerate() {
            let ms = 1_760_325_052_000 + n as i64 * 100;
            let print = Print {
                ms,
                ticks: *ticks,
                lots: 500,
                taker_buys: true,
                id: 7 + n as u64,
                first_fill: 70,
                last_fill: 71,
                buyer: 0,
                seller: 0,
            };
            history.print(&print);
            history.tick_book(ms);
        }
        let tick = Tick {
            end_ms: 1_760_325_053_000,
            mark: 66_666.604,
            index: 66_670.5,
            funding: -0.005,
            open_interest: 246_186_860,
            ..Tick::default()
        };
        history.end(&tick);
        history
    }

    fn ticker(history: &History) -> Ticker {
        let at = history.last().unwrap().ms;
        Ticker::of(history, &mut Day::default(), at, at, false)
    }

    #[test]
    fn the_snapshot_is_as_documented_and_open_interest_counts_both_sides() {
        let (rows, text) = ticker(&history(&[666_660, 666_666])).snapshot(5, 1_760_325_052_630);
        let frame = check(
            &text,
            r#"{"topic":"tickers.BTCUSDT","type":"snapshot","data":{"symbol":"BTCUSDT","tickDirection":"MinusTick","price24hPcnt":"-0.158315","lastPrice":"66666.60","prevPrice24h":"79206.20","highPrice24h":"79266.30","lowPrice24h":"65076.90","prevPrice1h":"66666.60","markPrice":"66666.60","indexPrice":"115418.19","openInterest":"492373.72","openInterestValue":"32824881841.75","singleOpenInterest":"1","singleOpenInterestValue":"1","turnover24h":"4936790807.6521","volume24h":"73191.3870","fundingIntervalHour":"8","fundingCap":"0.005","nextFundingTime":"1760342400000","fundingRate":"-0.005","bid1Price":"66666.60","bid1Size":"23789.165","ask1Price":"66666.70","ask1Size":"23775.469"},"cs":9532239429,"ts":1760325052630}"#,
        );
        let data = &frame["data"];
        assert_eq!(data["tickDirection"], "PlusTick");
        assert_eq!((&data["lastPrice"], &data["lowPrice24h"]), (&"66666.60".into(), &"66666.00".into()));
        assert_eq!(data["price24hPcnt"], "0.000009");
        assert_eq!(
            (&data["openInterest"], &data["singleOpenInterest"]),
            (&"492373.720".into(), &"246186.860".into())
        );
        assert_eq!(data["singleOpenInterestValue"], "16412441905.62", "246186.86 × 66666.604");
        assert_eq!((&data["volume24h"], &data["turnover24h"]), (&"1.000".into(), &"66666.3000".into()));
        assert_eq!(
            (&data["nextFundingTime"], &data["fundingRate"]),
            (&"1760342400000".into(), &"-0.005".into())
        );
        assert_eq!((&data["bid1Price"], &data["ask1Price"]), (&"66666.50".into(), &"66666.60".into()));
        let told = [Kind::Ticker, Kind::Mark, Kind::OpenInterest, Kind::Funding].map(|kind| rows.get(kind));
        assert_eq!(told, [1; 4]);
    }

    #[test]
    fn a_delta_leaves_out_what_did_not_change() {
        let (before, after) = (history(&[666_660]), history(&[666_660, 666_660]));
        let (rows, text) = ticker(&after).delta(&ticker(&before), 6, 7);
        let frame: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(frame["type"], "delta");
        let data = frame["data"].as_object().unwrap();
        assert_eq!((&data["symbol"], &data["volume24h"]), (&"BTCUSDT".into(), &"1.000".into()));
        for absent in ["lastPrice", "markPrice", "openInterest", "singleOpenInterest", "fundingRate"] {
            assert!(!data.contains_key(absent), "{absent}");
        }
        assert_eq!((rows.get(Kind::Mark), rows.get(Kind::OpenInterest)), (0, 0));
    }

    #[test]
    fn open_interest_can_be_empty() {
        let history = history(&[666_660]);
        let empty = Ticker::of(&history, &mut Day::default(), 0, 0, true);
        let (rows, text) = empty.delta(&ticker(&history), 6, 7);
        let frame: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&frame["data"]["openInterest"], &frame["data"]["singleOpenInterest"]),
            (&"".into(), &"".into())
        );
        assert_eq!(rows.get(Kind::OpenInterest), 0);
    }

    #[test]
    fn the_direction_looks_back_to_the_last_other_price() {
        for (prices, name) in [
            (&[3, 2][..], "PlusTick"),
            (&[3, 3, 2], "ZeroPlusTick"),
            (&[3, 4], "MinusTick"),
            (&[3, 3, 3, 4, 1], "ZeroMinusTick"),
            (&[3], "ZeroPlusTick"),
        ] {
            assert_eq!(Direction::of(prices.iter().copied()).name(), name, "{prices:?}");
        }
    }

    #[test]
    fn a_day_is_what_was_within_24_hours() {
        let mut history = History::new(&CONTRACTS[0]);
        for minute in 0..1_500_i64 {
            let (ms, ticks) = (minute * 60_000, 1_000 + minute);
            history.print(&Print {
                ms,
                ticks,
                lots: 2,
                taker_buys: true,
                id: 1,
                first_fill: 1,
                last_fill: 1,
                buyer: 0,
                seller: 0,
            });
        }
        let ticker = ticker(&history);
        let fields: std::collections::BTreeMap<_, _> = ticker.fields().into_iter().collect();
        // The running minute is 1499: the day began with 60, the last hour with 1440.
        assert_eq!((fields["prevPrice24h"].as_str(), fields["prevPrice1h"].as_str()), ("106.00", "244.00"));
        assert_eq!((fields["lowPrice24h"].as_str(), fields["highPrice24h"].as_str()), ("106.00", "249.90"));
        assert_eq!(fields["volume24h"], "2.880");
    }
}
