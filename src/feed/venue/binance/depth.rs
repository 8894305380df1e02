//! Binance's order book: a REST snapshot and the updates of `depth@100ms` put together (`exchanges.md` §3.3).

use std::borrow::Cow;
use std::collections::VecDeque;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::feed::book::{BookLimits, LocalBook, Rows};
use crate::feed::instruments::percent_encode;
use crate::feed::series::{Series, Sink};
use crate::feed::venue::{Request, Want};
use crate::market::{Price, Qty};

/// Updates kept while a snapshot is on its way: twenty seconds of them, more than a call may take.
const WAITING: usize = 200;

/// A snapshot that did not come is asked for again after so many ms of the venue's time.
const PATIENCE_MS: i64 = 10_000;

/// Levels of a side in a snapshot, the most there are, and what that costs (§3.3).
const SNAPSHOT: (u32, u32) = (1_000, 20);

/// `{"e":"depthUpdate","E":123456789,"T":123456788,"s":"BNBUSDT","U":157,"u":160,"pu":149,"b":[["0.0024","10"]],"a":[["0.0026","100"]],"ps":"BTCUSDT","st":1}` (§3.2)
#[derive(Debug, Deserialize)]
pub struct DepthUpdate<'a> {
    #[serde(rename = "e")]
    _kind: IgnoredAny,
    pub st: Option<u8>,
    #[serde(rename = "E")]
    pub sent: i64,
    #[serde(borrow)]
    pub s: Cow<'a, str>,
    /// Number of the first change in it.
    #[serde(rename = "U")]
    pub first: u64,
    /// Number of the last.
    pub u: u64,
    /// `u` of the update before.
    pub pu: u64,
    pub b: Vec<(Price, Qty)>,
    pub a: Vec<(Price, Qty)>,
}

/// `/fapi/v1/depth`: `{"lastUpdateId":1027024,"E":1589436922972,"T":1589436922959,"bids":[["4.00000000","431.00000000"]],"asks":[["4.00000200","12.00000000"]]}` (§3.3)
#[derive(Debug, Deserialize)]
pub struct Snapshot {
    #[serde(rename = "lastUpdateId")]
    pub id: u64,
    #[serde(rename = "E")]
    pub sent: Option<i64>,
    pub bids: Vec<(Price, Qty)>,
    pub asks: Vec<(Price, Qty)>,
}

/// An update, per coin.
#[derive(Debug, Clone)]
struct Update {
    first: u64,
    last: u64,
    previous: u64,
    bids: Rows,
    asks: Rows,
}

/// How far the book has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing to build on.
    Bare,
    /// A snapshot with this number; the update that spans it comes next.
    Snapshot(u64),
    /// Up to this update.
    Following(u64),
}

/// One instrument's book.
#[derive(Debug, Clone)]
pub struct Depth {
    limits: BookLimits,
    book: LocalBook,
    stage: Stage,
    waiting: VecDeque<Update>,
    /// When a snapshot was last asked for, UTC ms.
    asked: Option<i64>,
}

impl Depth {
    /// Nothing seen yet.
    pub fn new(limits: BookLimits) -> Self {
        Self { limits, book: LocalBook::default(), stage: Stage::Bare, waiting: VecDeque::new(), asked: None }
    }

    /// Takes in an update.
    pub fn update(
        &mut self,
        series: &mut Series,
        u: &DepthUpdate<'_>,
        out: &mut Sink<'_>,
    ) -> Result<(), &'static str> {
        let (bids, asks) = (rows(series, &u.b)?, rows(series, &u.a)?);
        self.follow(Update { first: u.first, last: u.u, previous: u.pu, bids, asks }, out);
        if self.stage == Stage::Bare {
            self.ask(series, u.sent, out);
        }
        self.book.tell(self.limits, series, out, u.sent);
        Ok(())
    }

    /// Takes in a snapshot: steps 2 and 3 of §3.3.
    pub fn snapshot(
        &mut self,
        series: &mut Series,
        s: &Snapshot,
        out: &mut Sink<'_>,
    ) -> Result<(), &'static str> {
        if let Stage::Following(last) = self.stage
            && s.id <= last
        {
            out.counters.duplicates += 1;
            return Ok(());
        }
        self.book.replace(&rows(series, &s.bids)?, &rows(series, &s.asks)?);
        self.stage = Stage::Snapshot(s.id);
        for update in std::mem::take(&mut self.waiting) {
            self.follow(update, out);
        }
        Ok(())
    }

    /// The link is gone.
    pub fn lost(&mut self) {
        self.stage = Stage::Bare;
        self.book.lose();
        self.waiting.clear();
        self.asked = None;
    }

    /// Steps 3 to 5 of §3.3.
    fn follow(&mut self, update: Update, out: &mut Sink<'_>) {
        let fits = match self.stage {
            Stage::Bare => false,
            // Older than the book: it was in the snapshot, or came over the other of two connections.
            Stage::Snapshot(id) | Stage::Following(id) if update.last < id => {
                out.counters.duplicates += 1;
                return;
            }
            Stage::Following(last) if update.last == last => {
                out.counters.duplicates += 1;
                return;
            }
            Stage::Snapshot(id) => update.first <= id && id <= update.last,
            Stage::Following(last) => update.previous == last,
        };
        if fits {
            self.book.apply(&update.bids, &update.asks);
            self.stage = Stage::Following(update.last);
            return;
        }
        if self.stage != Stage::Bare {
            self.stage = Stage::Bare;
            self.book.lose();
        }
        if self.waiting.len() == WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(update);
    }

    fn ask(&mut self, series: &Series, now: i64, out: &mut Sink<'_>) {
        if self.asked.is_some_and(|at| now < at.saturating_add(PATIENCE_MS)) {
            return;
        }
        self.asked = Some(now);
        let symbol = percent_encode(&series.listing.symbol);
        let (levels, weight) = SNAPSHOT;
        let path = format!("/fapi/v1/depth?symbol={symbol}&limit={levels}");
        out.wants.push(Want::Call(Request::get(path, weight)));
    }
}

/// Rows per coin.
fn rows(series: &Series, quoted: &[(Price, Qty)]) -> Result<Rows, &'static str> {
    quoted
        .iter()
        .map(|&(price, qty)| {
            if !price.is_positive() || qty < Qty::ZERO {
                return Err("a level with a bad price or quantity");
            }
            Ok((series.price(price)?, series.qty(qty)?))
        })
        .collect()
}

#[cfg(test)]
mod tests;
