//! Bybit's order book: what its numbers say about what is missing (`exchanges.md` §4.2).
//!
//! A snapshot takes the place of everything, and may come at any time. Updates are numbered one by one (`u`); a number that
//! is left out, or one that falls back while time goes on, means that the book is no longer known. Then the topic is
//! subscribed anew, which brings a snapshot.

use crate::feed::book::{BookLimits, LocalBook, Rows};
use crate::feed::series::{Series, Sink};
use crate::feed::venue::Want;
use crate::market::{Price, Qty};

use super::CONN;
use super::stream::{BOOK, BookPush, request};

/// How long a new subscription may take, ms of the venue's time, before it is asked for again.
const ASK_AGAIN: i64 = 10_000;

/// One instrument's book and where its numbering stands.
#[derive(Debug, Clone, Default)]
pub struct Book {
    local: LocalBook,
    /// Levels of the topic it is made of; a deeper topic takes over, a shallower one is left out.
    depth: u32,
    /// Number and time (UTC ms) of the last update.
    last: Option<(u64, i64)>,
    /// When a new subscription was last asked for, UTC ms.
    asked: Option<i64>,
}

impl Book {
    /// Reads a frame of the topic with so many levels; `false` where a deeper topic is followed.
    pub fn take(
        &mut self,
        depth: u32,
        push: &BookPush<'_>,
        limits: BookLimits,
        series: &mut Series,
        out: &mut Sink<'_>,
    ) -> Result<bool, &'static str> {
        if depth < self.depth {
            return Ok(false);
        }
        if depth > self.depth {
            self.lost();
            self.depth = depth;
        }
        // The matching engine's time compares with the time of trades.
        let (u, ts) = (push.data.u, push.cts.unwrap_or(push.ts));
        let rows = rows(series, &push.data.b).and_then(|bids| Ok((bids, rows(series, &push.data.a)?)));
        let (bids, asks) = match rows {
            Ok(rows) => rows,
            Err(why) => {
                self.lose(ts, series, out);
                return Err(why);
            }
        };
        // `u` is 1 after a restart of the service: that is a snapshot, whatever the frame says.
        let restart = u == 1;
        let snapshot = restart || push.kind == "snapshot";
        match self.last {
            // A connection that relieves another begins with what is known already.
            Some((last, at)) if u <= last && ts <= at && !restart => {
                out.counters.duplicates += 1;
                return Ok(true);
            }
            _ if snapshot => self.local.replace(&bids, &asks),
            Some((last, _)) if last.checked_add(1) == Some(u) => self.local.apply(&bids, &asks),
            Some((last, _)) => {
                out.counters.missed += u.saturating_sub(last.saturating_add(1));
                self.lose(ts, series, out);
                return Ok(true);
            }
            None => {
                self.lose(ts, series, out);
                return Ok(true);
            }
        }
        self.last = Some((u, ts));
        if self.local.book().is_crossed() {
            // No market is: an update was lost.
            self.lose(ts, series, out);
            return Ok(true);
        }
        self.asked = None;
        self.local.tell(limits, series, out, ts);
        Ok(true)
    }

    /// The book is not known any more; a new subscription is asked for, unless one is under way.
    fn lose(&mut self, ts: i64, series: &Series, out: &mut Sink<'_>) {
        self.local.lose();
        self.last = None;
        if self.asked.is_some_and(|asked| ts < asked.saturating_add(ASK_AGAIN)) {
            return;
        }
        self.asked = Some(ts);
        let topic = [format!("{BOOK}.{}", series.listing.symbol)];
        // A second subscription is refused while the first stands: `error:already subscribed`.
        for op in ["unsubscribe", "subscribe"] {
            out.wants.push(Want::Send { conn: CONN, text: request(op, &topic[0], &topic) });
        }
    }

    /// The link is gone; the next one begins with a snapshot.
    pub fn lost(&mut self) {
        self.local.lose();
        self.last = None;
        self.asked = None;
    }

    #[cfg(test)]
    pub fn whole(&self) -> Option<(u64, &crate::market::book::OrderBook)> {
        self.last.filter(|_| self.local.is_whole()).map(|(u, _)| (u, self.local.book()))
    }
}

/// Levels per coin.
fn rows(series: &Series, quoted: &[(Price, Qty)]) -> Result<Rows, &'static str> {
    let level = |&(price, qty): &(Price, Qty)| {
        if !price.is_positive() || qty < Qty::ZERO {
            return Err("a level of the book makes no sense");
        }
        Ok((series.price(price)?, series.qty(qty)?))
    };
    quoted.iter().map(level).collect()
}
