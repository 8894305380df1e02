//! What a market remembers: candles, open interest and funding of the last days.

use std::collections::VecDeque;

use super::world::tick::{Print, Tick};

/// A minute, ms.
pub const MINUTE_MS: i64 = 60_000;
/// Interval of remembered open interest, ms.
pub const OI_MS: i64 = 5 * MINUTE_MS;
/// Days remembered; what is older is dropped.
const DAYS: usize = 3;

/// A bar of trading: prices in ticks, quantities in lots, quote volume in ticks × lots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    /// Start, UTC ms.
    pub start_ms: i64,
    /// First price.
    pub open: i64,
    /// Highest price.
    pub high: i64,
    /// Lowest price.
    pub low: i64,
    /// Last price.
    pub close: i64,
    /// Volume.
    pub lots: i64,
    /// The part of it takers bought.
    pub bought: i64,
    /// Volume in quote.
    pub quote: i128,
    /// The part of it takers bought.
    pub quote_bought: i128,
    /// Number of the first fill.
    pub first_fill: u64,
    /// Number of the last fill.
    pub last_fill: u64,
}

impl Bar {
    fn begin(start_ms: i64, print: &Print) -> Self {
        let mut bar = Self {
            start_ms,
            open: print.ticks,
            high: print.ticks,
            low: print.ticks,
            close: print.ticks,
            lots: 0,
            bought: 0,
            quote: 0,
            quote_bought: 0,
            first_fill: print.first_fill,
            last_fill: print.last_fill,
        };
        bar.add(print);
        bar
    }

    fn add(&mut self, print: &Print) {
        let quote = i128::from(print.ticks) * i128::from(print.lots);
        self.high = self.high.max(print.ticks);
        self.low = self.low.min(print.ticks);
        self.close = print.ticks;
        self.lots += print.lots;
        self.quote += quote;
        if print.taker_buys {
            self.bought += print.lots;
            self.quote_bought += quote;
        }
        self.last_fill = print.last_fill;
    }

    /// Takes in the bar that follows.
    pub fn append(&mut self, next: &Self) {
        self.high = self.high.max(next.high);
        self.low = self.low.min(next.low);
        self.close = next.close;
        self.lots += next.lots;
        self.bought += next.bought;
        self.quote += next.quote;
        self.quote_bought += next.quote_bought;
        self.last_fill = next.last_fill;
    }
}

/// Open interest at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OpenInterest {
    /// When, UTC ms.
    pub ms: i64,
    /// Lots, one side.
    pub lots: i64,
    /// Mark price then, USD.
    pub mark: f64,
}

/// A funding payment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Funding {
    /// When, UTC ms.
    pub ms: i64,
    /// Rate paid by longs.
    pub rate: f64,
    /// Mark price then, USD.
    pub mark: f64,
}

/// The remembered past of one market, and its present.
#[derive(Debug, Default)]
pub struct History {
    /// Minute bars, the last one running.
    pub bars: VecDeque<Bar>,
    /// Open interest at every fifth minute.
    pub open_interest: VecDeque<OpenInterest>,
    /// Funding payments.
    pub funding: VecDeque<Funding>,
    /// The last print seen.
    pub last: Option<Print>,
    /// The last second seen whole, without its prints.
    pub now: Tick,
}

impl History {
    /// Takes in a print; if it begins a minute, gives the bar it closed.
    pub fn print(&mut self, print: &Print) -> Option<Bar> {
        let start_ms = print.ms.div_euclid(MINUTE_MS) * MINUTE_MS;
        self.last = Some(*print);
        match self.bars.back_mut() {
            Some(bar) if bar.start_ms == start_ms => {
                bar.add(print);
                None
            }
            closed => {
                let closed = closed.copied();
                push(&mut self.bars, Bar::begin(start_ms, print), DAYS * 1_440);
                closed
            }
        }
    }

    /// Takes in the end of a second.
    pub fn end(&mut self, tick: &Tick) {
        self.now.end_ms = tick.end_ms;
        self.now.mark = tick.mark;
        self.now.mark_mean = tick.mark_mean;
        self.now.index = tick.index;
        self.now.funding = tick.funding;
        self.now.bid = tick.bid;
        self.now.open_interest = tick.open_interest;
        if tick.end_ms % OI_MS == 0 {
            let row = OpenInterest { ms: tick.end_ms, lots: tick.open_interest, mark: tick.mark };
            push(&mut self.open_interest, row, DAYS * 288);
        }
        if let Some(rate) = tick.settled {
            push(&mut self.funding, Funding { ms: tick.end_ms, rate, mark: tick.mark }, DAYS * 3);
        }
    }

    /// Bars of `interval_ms`, joined from minutes, whose start lies in `from..=to`; oldest first.
    pub fn bars_of(&self, interval_ms: i64, from: i64, to: i64) -> Vec<Bar> {
        let first = self.bars.partition_point(|b| b.start_ms < from.div_euclid(interval_ms) * interval_ms);
        let mut out: Vec<Bar> = Vec::new();
        for bar in self.bars.range(first..) {
            let start_ms = bar.start_ms.div_euclid(interval_ms) * interval_ms;
            if start_ms > to {
                break;
            }
            match out.last_mut() {
                Some(open) if open.start_ms == start_ms => open.append(bar),
                _ if start_ms >= from => out.push(Bar { start_ms, ..*bar }),
                _ => {}
            }
        }
        out
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T, keep: usize) {
    while queue.len() >= keep {
        queue.pop_front();
    }
    queue.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(ms: i64, ticks: i64, lots: i64, taker_buys: bool) -> Print {
        Print { ms, ticks, lots, taker_buys, id: 1, first_fill: 1, last_fill: 1 }
    }

    #[test]
    fn minutes_add_up_and_join_into_longer_bars() {
        let mut history = History::default();
        assert_eq!(history.print(&print(60_000, 100, 2, true)), None);
        assert_eq!(history.print(&print(119_999, 90, 3, false)), None);
        let closed = history.print(&print(120_000, 95, 1, true)).unwrap();
        assert_eq!((closed.open, closed.high, closed.low, closed.close), (100, 100, 90, 90));
        assert_eq!((closed.lots, closed.bought, closed.quote, closed.quote_bought), (5, 2, 470, 200));
        let joined = history.bars_of(300_000, 0, i64::MAX);
        assert_eq!(joined.len(), 1);
        assert_eq!((joined[0].start_ms, joined[0].close, joined[0].lots), (0, 95, 6));
        assert_eq!(history.bars_of(60_000, 60_001, i64::MAX).len(), 1, "starts at or after `from`");
    }

    #[test]
    fn old_rows_are_dropped() {
        let mut history = History::default();
        for minute in 0..10_000 {
            history.print(&print(minute * MINUTE_MS, 1, 1, true));
        }
        assert_eq!(history.bars.len(), DAYS * 1_440);
        assert_eq!(history.bars.back().unwrap().start_ms, 9_999 * MINUTE_MS);
    }
}
