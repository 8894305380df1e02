//! One instrument's rows put in order: repeats dropped, numbering holes told, units made per coin.
//!
//! Every rule here looks only at what the venue sent, never at a clock, so that a replay drops and tells the same.

use std::collections::VecDeque;

use crate::market::event::{Book, Gap, Mark, is_time};
use crate::market::{Asset, Candle, EventKind, Liquidation, MarketEvent, Price, Qty, Trade, Venue};

use super::instruments::Listing;
use super::status::Counters;
use super::venue::Want;

/// Where rows go: events, counts, and the time of receipt they carry.
pub struct Sink<'a> {
    /// Events so far.
    pub events: &'a mut Vec<MarketEvent>,
    /// Counts so far.
    pub counters: &'a mut Counters,
    /// When the frame was received, UTC ns.
    pub recv: i64,
    /// When the venue says it sent the frame, UTC ms.
    pub sent: Option<i64>,
    /// What must be asked of the venue, such as a new snapshot of a book.
    pub wants: &'a mut Vec<Want>,
    /// A row's time was none: the row was left out, and the frame is malformed.
    pub odd_time: bool,
}

impl Sink<'_> {
    /// Whether a row's time is one. Asked before a row is remembered: one odd row must not make repeats of all that follow.
    fn takes(&mut self, ts: i64) -> bool {
        let sane = is_time(ts);
        self.odd_time |= !sane;
        sane
    }
}

/// How many liquidations are remembered to tell a repeat. OKX repeats its recent history after each subscription
/// (`exchanges.md` §5.2); at one a second this covers any overlap of connections, and it covers the worst seconds of a venue
/// that prints them all.
const REMEMBERED: usize = 4_096;

/// How many trades without running numbers are remembered to tell a repeat: an overlap of connections at some thousand
/// trades a second.
const REMEMBERED_TRADES: usize = 16_384;

/// The keys of the last few trades, in order of time. Nearly all are newer than all before: those are known to be new without a search.
#[derive(Debug, Clone, Default)]
struct Recent(VecDeque<(i64, u128)>);

impl Recent {
    /// Whether the key is new at `ts`; if so it is remembered and the oldest forgotten.
    fn insert(&mut self, ts: i64, key: u128) -> bool {
        let Self(recent) = self;
        let after = match recent.back() {
            Some(&(newest, _)) if ts < newest => recent.partition_point(|&(at, _)| at <= ts),
            _ => recent.len(),
        };
        if recent.range(..after).rev().take_while(|(at, _)| *at == ts).any(|(_, other)| *other == key) {
            return false;
        }
        recent.insert(after, (ts, key));
        if recent.len() > REMEMBERED_TRADES {
            recent.pop_front();
        }
        true
    }
}

/// The last few liquidations, in order of time. Nearly all are newer than all before: those are known to be new without a search.
#[derive(Debug, Clone, Default)]
struct Told(VecDeque<(i64, Liquidation, u32)>);

impl Told {
    /// Whether the `nth` of such liquidations at `ts` is new; if so it is remembered and the oldest forgotten.
    fn insert(&mut self, ts: i64, liquidation: Liquidation, nth: u32) -> bool {
        let Self(told) = self;
        let after = match told.back() {
            Some(&(newest, ..)) if ts <= newest => told.partition_point(|&(at, ..)| at <= ts),
            _ => told.len(),
        };
        let entry = (ts, liquidation, nth);
        if told.range(..after).rev().take_while(|e| e.0 == ts).any(|e| *e == entry) {
            return false;
        }
        told.insert(after, entry);
        if told.len() > REMEMBERED {
            told.pop_front();
        }
        true
    }
}

/// What was last seen of one instrument.
#[derive(Debug, Clone)]
pub struct Series {
    venue: Venue,
    /// The instrument.
    pub listing: Listing,
    told: bool,
    trade: Option<(u64, i64)>,
    /// Trades that carry no running number.
    trades: Recent,
    /// Time of the last such trade, and of the last before the link was lost.
    trade_at: Option<i64>,
    trade_lost_at: Option<i64>,
    /// End of the last candle.
    candle_end: Option<i64>,
    mark: Option<i64>,
    open_interest: Option<i64>,
    liquidations: Told,
    /// Time of the last mark price before the link was lost, until the next one closes the gap.
    lost_at: Option<i64>,
}

impl Series {
    /// Nothing seen yet.
    pub fn new(venue: Venue, listing: Listing) -> Self {
        Self {
            venue,
            listing,
            told: false,
            trade: None,
            trades: Recent::default(),
            trade_at: None,
            trade_lost_at: None,
            candle_end: None,
            mark: None,
            open_interest: None,
            liquidations: Told::default(),
            lost_at: None,
        }
    }

    /// End of the last candle, UTC ms.
    pub fn complete_until(&self) -> Option<i64> {
        self.candle_end
    }

    /// The asset.
    pub fn asset(&self) -> Asset {
        self.listing.asset
    }

    fn push(&mut self, out: &mut Sink<'_>, ts: i64, kind: EventKind) {
        if !out.takes(ts) {
            return;
        }
        self.tell_terms(out);
        let recv = Some(out.recv);
        out.events.push(MarketEvent { venue: self.venue, asset: self.listing.asset, ts, recv, kind });
    }

    /// Says the contract's terms, once, before anything else: they are known from the start (`ts` 0).
    pub fn tell_terms(&mut self, out: &mut Sink<'_>) {
        if self.told {
            return;
        }
        self.told = true;
        if let Some(instrument) = self.listing.instrument.clone() {
            out.events.push(MarketEvent {
                venue: self.venue,
                asset: self.listing.asset,
                ts: 0,
                recv: Some(out.recv),
                kind: EventKind::Instrument(Box::new(instrument)),
            });
        }
    }

    /// A stretch (UTC ms) in which a stream delivered nothing we can use.
    pub fn gap(&mut self, out: &mut Sink<'_>, stream: &str, from: i64, to: i64) {
        if from < to {
            // What a venue never keeps is no loss of ours.
            out.counters.gaps += u64::from(stream != "open_interest");
            self.push(out, to, EventKind::Gap(Gap { stream: stream.into(), from, to }));
        }
    }

    /// A print with the venue's running number. A hole in the numbers is a gap; a number that falls back while time goes
    /// on is a venue that began to count anew.
    pub fn trade(&mut self, out: &mut Sink<'_>, number: u64, ts: i64, trade: Trade) {
        if !out.takes(ts) {
            return;
        }
        if let Some((last, last_ts)) = self.trade {
            if number <= last && ts <= last_ts {
                out.counters.duplicates += 1;
                return;
            }
            if number > last.saturating_add(1) {
                out.counters.missed = out.counters.missed.saturating_add(number - last - 1);
                self.gap(out, "trade", last_ts, ts);
            } else if number <= last {
                self.gap(out, "trade", last_ts, ts);
            }
        }
        self.trade = Some((number, ts));
        self.push(out, ts, EventKind::Trade(trade));
    }

    /// A print of a venue that does not number its prints without holes, by a key that tells repeats. What an outage
    /// swallowed cannot be counted: the first print after it tells the stretch.
    pub fn keyed_trade(&mut self, out: &mut Sink<'_>, key: u128, ts: i64, trade: Trade) {
        if !out.takes(ts) {
            return;
        }
        if !self.trades.insert(ts, key) {
            out.counters.duplicates += 1;
            return;
        }
        if let Some(from) = self.trade_lost_at.take() {
            self.gap(out, "trade", from, ts);
        }
        self.trade_at = self.trade_at.max(Some(ts));
        self.push(out, ts, EventKind::Trade(trade));
    }

    /// A finished candle that starts at `ts`.
    pub fn candle(&mut self, out: &mut Sink<'_>, ts: i64, candle: Candle) {
        if !out.takes(ts) {
            return;
        }
        if self.candle_end.is_some_and(|end| ts < end) {
            out.counters.duplicates += 1;
            return;
        }
        self.candle_end = Some(ts.saturating_add(candle.interval.ms()));
        self.push(out, ts, EventKind::Candle(candle));
    }

    /// A mark price. The first after an outage also tells which stretch of marks and liquidations is missing: both come
    /// unnumbered, so the outage itself is all that is known.
    pub fn mark(&mut self, out: &mut Sink<'_>, ts: i64, mark: Mark) {
        if !out.takes(ts) {
            return;
        }
        if self.mark.is_some_and(|last| ts <= last) {
            out.counters.duplicates += 1;
            return;
        }
        if let Some(from) = self.lost_at.take() {
            self.gap(out, "mark", from, ts);
            self.gap(out, "liquidation", from, ts);
        }
        self.mark = Some(ts);
        self.push(out, ts, EventKind::Mark(mark));
    }

    /// A mark price that history tells, such as one that funding was paid on: it does not show that an outage is over.
    pub fn past_mark(&mut self, out: &mut Sink<'_>, ts: i64, mark: Mark) {
        let lost_at = self.lost_at.take();
        self.mark(out, ts, mark);
        self.lost_at = lost_at;
    }

    /// Open interest, one side, base coin.
    pub fn open_interest(&mut self, out: &mut Sink<'_>, ts: i64, qty: Qty) {
        if !out.takes(ts) {
            return;
        }
        if self.open_interest.is_some_and(|last| ts <= last) {
            out.counters.duplicates += 1;
            return;
        }
        self.open_interest = Some(ts);
        self.push(out, ts, EventKind::OpenInterest(qty));
    }

    /// An observed liquidation.
    pub fn liquidation(&mut self, out: &mut Sink<'_>, ts: i64, liquidation: Liquidation) {
        self.nth_liquidation(out, ts, liquidation, 0);
    }

    /// An observed liquidation of a feed that prints them all: the `nth` (from 0) of those that are alike in one frame. They are
    /// as many liquidations, while the same frame may come twice.
    pub fn nth_liquidation(&mut self, out: &mut Sink<'_>, ts: i64, liquidation: Liquidation, nth: u32) {
        if !out.takes(ts) {
            return;
        }
        if !self.liquidations.insert(ts, liquidation, nth) {
            out.counters.duplicates += 1;
            return;
        }
        self.push(out, ts, EventKind::Liquidation(liquidation));
    }

    /// Resting orders.
    pub fn book(&mut self, out: &mut Sink<'_>, ts: i64, book: Book) {
        self.push(out, ts, EventKind::Book(Box::new(book)));
    }

    /// The link that carries this instrument's marks and liquidations was lost.
    pub fn lost(&mut self) {
        self.lost_at = self.lost_at.or(self.mark);
        self.lost_trades();
    }

    /// The link that carries its trades was lost; only [`Series::keyed_trade`] needs to know.
    pub fn lost_trades(&mut self) {
        self.trade_lost_at = self.trade_lost_at.or(self.trade_at);
    }

    /// The contract's terms have become better known, or have changed: they are told again.
    pub fn new_terms(&mut self, listing: Listing) {
        if self.listing.instrument != listing.instrument {
            self.told = false;
        }
        self.listing = listing;
    }

    /// A price per coin.
    pub fn price(&self, quoted: Price) -> Result<Price, &'static str> {
        self.listing.price(quoted).ok_or("price does not fit")
    }

    /// Coins.
    pub fn qty(&self, quoted: Qty) -> Result<Qty, &'static str> {
        self.listing.qty(quoted).ok_or("quantity does not fit")
    }
}
