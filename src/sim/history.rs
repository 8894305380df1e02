//! What a venue's market remembers: candles, open interest and funding of the last days, and its book a moment ago.

use std::collections::VecDeque;

use super::contracts::COINS;
use super::world::book::{Book, STEP_MS};
use super::world::contract::Contract;
use super::world::tick::{Forced, Print, Tick};

/// A minute, ms.
pub const MINUTE_MS: i64 = 60_000;
/// Interval of remembered open interest, ms.
pub const OI_MS: i64 = 5 * MINUTE_MS;
/// Days remembered; what is older is dropped.
const DAYS: usize = 3;
/// A day, ms.
const DAY_MS: i64 = 86_400_000;
/// Prints remembered.
const PRINTS: usize = 1_000;
/// Forced closes remembered.
const FORCED: usize = 100;
/// What a market at rest is said to trade in a day, as a multiple of its open interest.
const DAILY_TURNOVER: i64 = 3;
/// States of the book remembered, in steps.
const BOOKS: usize = 16;

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

/// The first, highest, lowest and last of a price, USD.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// First.
    pub open: f64,
    /// Highest.
    pub high: f64,
    /// Lowest.
    pub low: f64,
    /// Last.
    pub close: f64,
}

impl Range {
    fn at(price: f64) -> Self {
        Self { open: price, high: price, low: price, close: price }
    }

    fn append(&mut self, next: &Self) {
        self.high = self.high.max(next.high);
        self.low = self.low.min(next.low);
        self.close = next.close;
    }
}

/// A bar of the prices that are not traded at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MarkBar {
    /// Start, UTC ms.
    pub start_ms: i64,
    /// Mark price.
    pub mark: Range,
    /// Index price.
    pub index: Range,
}

impl MarkBar {
    fn append(&mut self, next: &Self) {
        self.mark.append(&next.mark);
        self.index.append(&next.index);
    }
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

/// The remembered past of one contract's market, and its present.
#[derive(Debug, Clone)]
pub struct History {
    /// The contract.
    pub contract: &'static Contract,
    /// Minute bars, the last one running.
    pub bars: VecDeque<Bar>,
    /// Mark and index by the minute, the last one running.
    pub marks: VecDeque<MarkBar>,
    /// Open interest at every fifth minute.
    pub open_interest: VecDeque<OpenInterest>,
    /// Funding payments.
    pub funding: VecDeque<Funding>,
    /// The last prints, oldest first.
    pub prints: VecDeque<Print>,
    /// The last forced closes, oldest first.
    pub forced: VecDeque<Forced>,
    /// The last second seen whole, without its prints, forced closes and parties.
    pub now: Tick,
    /// Best bid (ticks) of the last states of the book, by number of the step.
    bids: [i64; BOOKS],
    /// The last of those steps.
    step: i64,
}

impl History {
    /// Nothing yet.
    pub fn new(contract: &'static Contract) -> Self {
        Self {
            contract,
            bars: VecDeque::new(),
            marks: VecDeque::new(),
            open_interest: VecDeque::new(),
            funding: VecDeque::new(),
            prints: VecDeque::new(),
            forced: VecDeque::new(),
            now: Tick::default(),
            bids: [1; BOOKS],
            step: 0,
        }
    }

    /// A market that is not simulated because nobody has asked for it, as a list of all markets tells it at `ms` (UTC ms): at
    /// the price it is anchored to, with the open interest it is scaled to, and a usual day's volume in one bar.
    pub fn at_rest(contract: &'static Contract, ms: i64) -> Self {
        let mut history = Self::new(contract);
        let price = COINS[contract.coin].price * contract.multiplier;
        let ticks = (price / contract.tick()).round() as i64;
        let open_interest = (contract.open_interest_usd / price / contract.lot()) as i64;
        let (first_fill, last_fill) = (1, 1);
        let lots = open_interest * DAILY_TURNOVER;
        history.print(&Print {
            ms,
            ticks,
            lots,
            taker_buys: true,
            id: 1,
            first_fill,
            last_fill,
            buyer: 0,
            seller: 0,
        });
        let (mark, index) = (price, price);
        history.end(&Tick {
            end_ms: ms,
            mark,
            mark_mean: mark,
            index,
            bid: ticks - 1,
            open_interest,
            ..Tick::default()
        });
        history.tick_book(ms);
        history
    }

    /// The last print seen.
    pub fn last(&self) -> Option<&Print> {
        self.prints.back()
    }

    /// Best bid by the last print, which left the touch beside its price; ticks.
    pub fn bid(&self) -> i64 {
        self.last().map_or(self.now.bid, |p| if p.taker_buys { p.ticks - 1 } else { p.ticks })
    }

    /// The book as it stood at `ms` (UTC ms): the state of the last step before or at it. Steps older than a second and
    /// a half are forgotten, those to come are not known: the nearest known one stands for them.
    pub fn book(&self, ms: i64) -> Book {
        let step = ms.div_euclid(STEP_MS).clamp(self.step + 1 - BOOKS as i64, self.step);
        Book::new(self.contract, step, self.bids[step.rem_euclid(BOOKS as i64) as usize])
    }

    /// Takes in that the clock has come to `ms`: the book steps on if it is due.
    pub fn tick_book(&mut self, ms: i64) {
        let (step, bid) = (ms.div_euclid(STEP_MS), self.bid());
        let first = (self.step + 1).max(step + 1 - BOOKS as i64);
        for step in first..=step {
            self.bids[step.rem_euclid(BOOKS as i64) as usize] = bid;
        }
        self.step = self.step.max(step);
    }

    /// The same past with every time in it moved by so many ms, as a venue with a wrong clock would tell it.
    #[must_use]
    pub fn shifted(&self, ms: i64) -> Self {
        let mut shifted = self.clone();
        shifted.bars.iter_mut().for_each(|bar| bar.start_ms += ms);
        shifted.marks.iter_mut().for_each(|bar| bar.start_ms += ms);
        shifted.open_interest.iter_mut().for_each(|row| row.ms += ms);
        shifted.funding.iter_mut().for_each(|row| row.ms += ms);
        shifted.prints.iter_mut().for_each(|print| print.ms += ms);
        shifted.forced.iter_mut().for_each(|forced| forced.ms += ms);
        shifted.now.end_ms += ms;
        shifted
    }

    /// Takes in a print; if it begins a minute, gives the bar it closed.
    pub fn print(&mut self, print: &Print) -> Option<Bar> {
        let start_ms = print.ms.div_euclid(MINUTE_MS) * MINUTE_MS;
        push(&mut self.prints, *print, PRINTS);
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
        let second = MarkBar {
            // A second belongs to the minute it lies in.
            start_ms: (tick.end_ms - 1).div_euclid(MINUTE_MS) * MINUTE_MS,
            mark: Range::at(tick.mark),
            index: Range::at(tick.index),
        };
        match self.marks.back_mut() {
            Some(bar) if bar.start_ms == second.start_ms => bar.append(&second),
            _ => push(&mut self.marks, second, DAYS * 1_440),
        }
        for forced in &tick.forced {
            push(&mut self.forced, *forced, FORCED);
        }
        if tick.end_ms % OI_MS == 0 {
            let row = OpenInterest { ms: tick.end_ms, lots: tick.open_interest, mark: tick.mark };
            push(&mut self.open_interest, row, DAYS * 288);
        }
        if let Some(rate) = tick.settled {
            let keep = DAYS * (DAY_MS / self.contract.funding_ms) as usize;
            push(&mut self.funding, Funding { ms: tick.end_ms, rate, mark: tick.mark }, keep);
        }
    }

    /// The last 24 hours as one bar, as far as remembered.
    pub fn day(&self) -> Option<Bar> {
        let last = self.bars.back()?;
        let first = self.bars.partition_point(|b| b.start_ms <= last.start_ms - DAY_MS);
        let mut bars = self.bars.range(first..);
        let mut day = *bars.next()?;
        bars.for_each(|bar| day.append(bar));
        Some(day)
    }

    /// Bars of `interval_ms`, joined from minutes, whose start lies in `from..=to`; oldest first.
    pub fn bars_of(&self, interval_ms: i64, from: i64, to: i64) -> Vec<Bar> {
        join(&self.bars, interval_ms, from, to)
    }

    /// The same of mark and index.
    pub fn marks_of(&self, interval_ms: i64, from: i64, to: i64) -> Vec<MarkBar> {
        join(&self.marks, interval_ms, from, to)
    }
}

/// What is remembered by the minute.
trait Minute: Copy {
    fn start_ms(&self) -> i64;
    fn starting(self, ms: i64) -> Self;
    fn join(&mut self, next: &Self);
}

impl Minute for Bar {
    fn start_ms(&self) -> i64 {
        self.start_ms
    }

    fn starting(self, start_ms: i64) -> Self {
        Self { start_ms, ..self }
    }

    fn join(&mut self, next: &Self) {
        self.append(next);
    }
}

impl Minute for MarkBar {
    fn start_ms(&self) -> i64 {
        self.start_ms
    }

    fn starting(self, start_ms: i64) -> Self {
        Self { start_ms, ..self }
    }

    fn join(&mut self, next: &Self) {
        self.append(next);
    }
}

/// Joins minutes into bars whose start lies in `from..=to`.
fn join<M: Minute>(minutes: &VecDeque<M>, interval_ms: i64, from: i64, to: i64) -> Vec<M> {
    let floor = |ms: i64| ms.div_euclid(interval_ms) * interval_ms;
    let first = minutes.partition_point(|bar| bar.start_ms() < floor(from));
    let mut out: Vec<M> = Vec::new();
    for bar in minutes.range(first..) {
        let start_ms = floor(bar.start_ms());
        if start_ms > to {
            break;
        }
        match out.last_mut() {
            Some(open) if open.start_ms() == start_ms => open.join(bar),
            _ if start_ms >= from => out.push(bar.starting(start_ms)),
            _ => {}
        }
    }
    out
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

    use crate::sim::contracts::binance::CONTRACTS;

    fn history() -> History {
        History::new(&CONTRACTS[0])
    }

    fn print(ms: i64, ticks: i64, lots: i64, taker_buys: bool) -> Print {
        Print { ms, ticks, lots, taker_buys, id: 1, first_fill: 1, last_fill: 1, buyer: 0, seller: 0 }
    }

    #[test]
    fn minutes_add_up_and_join_into_longer_bars() {
        let mut history = history();
        assert_eq!(history.print(&print(60_000, 100, 2, true)), None);
        assert_eq!(history.print(&print(119_999, 90, 3, false)), None);
        let closed = history.print(&print(120_000, 95, 1, true)).unwrap();
        assert_eq!((closed.open, closed.high, closed.low, closed.close), (100, 100, 90, 90));
        assert_eq!((closed.lots, closed.bought, closed.quote, closed.quote_bought), (5, 2, 470, 200));
        let day = history.day().unwrap();
        assert_eq!((day.open, day.close, day.high, day.lots), (100, 95, 100, 6));
        let joined = history.bars_of(300_000, 0, i64::MAX);
        assert_eq!(joined.len(), 1);
        assert_eq!((joined[0].start_ms, joined[0].close, joined[0].lots), (0, 95, 6));
        for (end_ms, mark) in [(61_000, 5.0), (120_000, 7.0), (121_000, 4.0)] {
            history.end(&Tick { end_ms, mark, index: 1.0, ..Tick::default() });
        }
        let minutes: Vec<_> = history.marks_of(60_000, 0, i64::MAX).iter().map(|bar| bar.mark).collect();
        let first = Range { open: 5.0, high: 7.0, low: 5.0, close: 7.0 };
        assert_eq!(minutes, [first, Range::at(4.0)], "a second belongs to the minute it lies in");
        let joined = history.marks_of(300_000, 0, i64::MAX);
        assert_eq!((joined.len(), joined[0].start_ms, joined[0].mark.low), (1, 0, 4.0));
        assert_eq!(history.bars_of(60_000, 60_001, i64::MAX).len(), 1, "starts at or after `from`");
    }

    #[test]
    fn the_book_of_a_moment_ago_is_remembered() {
        let mut history = history();
        history.print(&print(1_000, 100, 1, false));
        history.tick_book(1_000);
        history.print(&print(1_120, 107, 1, true));
        history.tick_book(1_150);
        assert_eq!((history.book(1_199).bid, history.book(1_199).step), (106, 11), "seen when the step came");
        history.tick_book(1_200);
        assert_eq!((history.book(1_200).bid, history.book(1_250).step), (106, 12));
        assert_eq!((history.book(1_099).bid, history.book(1_000).step), (100, 10));
        assert_eq!(history.book(9_999).step, 12, "what is to come is not known");
    }

    #[test]
    fn a_wrong_clock_moves_every_time() {
        let mut history = history();
        history.print(&print(60_000, 100, 2, true));
        let shifted = history.shifted(-600_000);
        assert_eq!((shifted.bars[0].start_ms, shifted.prints[0].ms), (-540_000, -540_000));
        assert_eq!(history.bars[0].start_ms, 60_000);
    }

    #[test]
    fn old_rows_are_dropped() {
        let mut history = history();
        for minute in 0..10_000 {
            history.print(&print(minute * MINUTE_MS, 1, 1, true));
        }
        assert_eq!(history.bars.len(), DAYS * 1_440);
        assert_eq!(history.day().unwrap().lots, 1_440);
        assert_eq!(history.bars.back().unwrap().start_ms, 9_999 * MINUTE_MS);
    }

    #[test]
    fn a_market_at_rest_is_told_at_its_anchor_with_its_open_interest_and_a_day_of_volume() {
        let history = History::at_rest(&CONTRACTS[3], 86_400_000);
        let contract = history.contract;
        assert_eq!(contract.symbol, "1000PEPEUSDT");
        assert_eq!((history.now.mark, history.now.index), (0.0125, 0.0125));
        let coins = contract.qty_of(history.now.open_interest) * contract.multiplier;
        assert!((coins * 0.000_012_5 / 2.4e8 - 1.0).abs() < 1e-6);
        let day = history.day().unwrap();
        assert_eq!((contract.price_of(day.close), day.lots), (0.0125, 3 * history.now.open_interest));
        let book = history.book(86_400_000);
        assert_eq!((book.bid, book.ask()), (day.close - 1, day.close));
    }
}
