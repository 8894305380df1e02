//! One instrument's rows put in order: repeats dropped, numbering holes told, units made per coin.
//!
//! Every rule here looks only at what the venue sent, never at a clock, so that a replay drops and tells the same.

use std::collections::VecDeque;

use crate::market::event::{Gap, Mark};
use crate::market::{Asset, Candle, EventKind, Liquidation, MarketEvent, Price, Qty, Trade, Venue};

use super::instruments::Listing;
use super::status::Counters;

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
}

/// How many liquidations are remembered to tell a repeat; at one a second this covers any overlap of connections.
const REMEMBERED: usize = 64;

/// What was last seen of one instrument.
#[derive(Debug)]
pub struct Series {
    venue: Venue,
    /// The instrument.
    pub listing: Listing,
    told: bool,
    trade: Option<(u64, i64)>,
    /// End of the last candle.
    candle_end: Option<i64>,
    mark: Option<i64>,
    open_interest: Option<i64>,
    liquidations: VecDeque<(i64, Liquidation)>,
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
            candle_end: None,
            mark: None,
            open_interest: None,
            liquidations: VecDeque::new(),
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

    fn gap(&mut self, out: &mut Sink<'_>, stream: &str, from: i64, to: i64) {
        if from < to {
            self.push(out, to, EventKind::Gap(Gap { stream: stream.into(), from, to }));
        }
    }

    /// A print with the venue's running number. A hole in the numbers is a gap; a number that falls back while time goes
    /// on is a venue that began to count anew.
    pub fn trade(&mut self, out: &mut Sink<'_>, number: u64, ts: i64, trade: Trade) {
        if let Some((last, last_ts)) = self.trade {
            if number <= last && ts <= last_ts {
                out.counters.duplicates += 1;
                return;
            }
            if number > last.saturating_add(1) {
                out.counters.missed += number - last - 1;
                self.gap(out, "trade", last_ts, ts);
            } else if number <= last {
                self.gap(out, "trade", last_ts, ts);
            }
        }
        self.trade = Some((number, ts));
        self.push(out, ts, EventKind::Trade(trade));
    }

    /// A finished candle that starts at `ts`.
    pub fn candle(&mut self, out: &mut Sink<'_>, ts: i64, candle: Candle) {
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

    /// Open interest, one side, base coin.
    pub fn open_interest(&mut self, out: &mut Sink<'_>, ts: i64, qty: Qty) {
        if self.open_interest.is_some_and(|last| ts <= last) {
            out.counters.duplicates += 1;
            return;
        }
        self.open_interest = Some(ts);
        self.push(out, ts, EventKind::OpenInterest(qty));
    }

    /// An observed liquidation.
    pub fn liquidation(&mut self, out: &mut Sink<'_>, ts: i64, liquidation: Liquidation) {
        let row = (ts, liquidation);
        if self.liquidations.contains(&row) {
            out.counters.duplicates += 1;
            return;
        }
        if self.liquidations.len() == REMEMBERED {
            self.liquidations.pop_front();
        }
        self.liquidations.push_back(row);
        self.push(out, ts, EventKind::Liquidation(liquidation));
    }

    /// The link that carries this instrument was lost.
    pub fn lost(&mut self) {
        self.lost_at = self.lost_at.or(self.mark);
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
