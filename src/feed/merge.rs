//! Where all sources meet: the one place that decides the order of things.
//!
//! Frames are written to the capture and turned into events in the order in which they are taken here, so a replay of the
//! capture repeats the run. While history is fetched, socket frames of that venue are left in their channel: history
//! comes first, and a full channel holds the socket back rather than lose anything.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::market::{MarketEvent, Venue};

use super::board::Board;
use super::clock;
use super::frame::RawFrame;
use super::instruments::{Listing, picker_order};
use super::status::VenueStatus;
use super::tape::Tape;
use super::translate::Translator;
use super::venue::Want;
use super::{FeedConfig, FeedItem, Taps};

/// How often the capture is brought to the disk.
const FLUSH: Duration = Duration::from_secs(1);

/// What a driver hands over.
pub enum Order {
    /// A batch of history, bracketed.
    History(Vec<RawFrame>),
    /// There is no history to wait for any more: live frames follow.
    GoOn,
    /// The answer to a poll.
    Single(RawFrame),
    /// What the venue lists.
    Listings(Vec<Listing>),
}

/// The merger's end of one venue.
pub struct Link {
    board: Arc<Board>,
    translator: Translator,
    frames: mpsc::Receiver<RawFrame>,
    orders: mpsc::Receiver<Order>,
    outage: mpsc::Sender<Option<i64>>,
    wants: mpsc::Sender<Want>,
    /// Live frames wait for history.
    waiting: bool,
    /// Poll answers that came while waiting.
    held: Vec<RawFrame>,
    lag: Lag,
    told: Option<VenueStatus>,
}

impl Link {
    pub fn new(
        board: Arc<Board>,
        translator: Translator,
        frames: mpsc::Receiver<RawFrame>,
        orders: mpsc::Receiver<Order>,
        outage: mpsc::Sender<Option<i64>>,
        wants: mpsc::Sender<Want>,
    ) -> Self {
        Self {
            board,
            translator,
            frames,
            orders,
            outage,
            wants,
            waiting: true,
            held: Vec::new(),
            lag: Lag::default(),
            told: None,
        }
    }

    /// What to do next; a closed channel is simply silent.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Order> {
        if let Poll::Ready(Some(order)) = self.orders.poll_recv(cx) {
            return Poll::Ready(order);
        }
        if !self.waiting
            && let Poll::Ready(Some(frame)) = self.frames.poll_recv(cx)
        {
            return Poll::Ready(Order::Single(frame));
        }
        Poll::Pending
    }
}

/// Nobody listens any more.
struct Gone;

struct Merger<'a> {
    out: &'a mpsc::Sender<FeedItem>,
    stop: &'a CancellationToken,
    tape: Option<Tape>,
    observer: Option<Observer>,
    listed: BTreeMap<Venue, Vec<Listing>>,
}

/// Sees every frame with the events made of it, in the order in which they are taken.
pub type Observer = Box<dyn FnMut(&RawFrame, &[MarketEvent]) + Send>;

/// Runs until stopped or until nobody listens.
pub async fn run(
    config: &FeedConfig,
    mut links: Vec<Link>,
    out: mpsc::Sender<FeedItem>,
    taps: Taps,
    stop: CancellationToken,
) {
    let Taps { capture, observer } = taps;
    let mut merger =
        Merger { out: &out, stop: &stop, tape: capture.map(Tape::new), observer, listed: BTreeMap::new() };
    let mut status = interval(config.status_every);
    status.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut flush = interval(FLUSH);
    flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut turn = 0;
    loop {
        let done = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = out.closed() => break,
            _ = status.tick() => merger.tell(&mut links).await,
            _ = flush.tick() => {
                merger.tape.iter_mut().for_each(Tape::flush);
                Ok(())
            }
            (at, order) = next(&mut links, &mut turn) => merger.obey(&mut links[at], order).await,
        };
        if done.is_err() {
            break;
        }
    }
    if let Some(tape) = merger.tape {
        tape.finish();
    }
}

/// The next order of any venue, each in its turn.
async fn next(links: &mut [Link], turn: &mut usize) -> (usize, Order) {
    poll_fn(|cx| {
        for step in 0..links.len() {
            let at = (*turn + step) % links.len();
            if let Poll::Ready(order) = links[at].poll_next(cx) {
                *turn = at + 1;
                return Poll::Ready((at, order));
            }
        }
        Poll::Pending
    })
    .await
}

impl Merger<'_> {
    async fn obey(&mut self, link: &mut Link, order: Order) -> Result<(), Gone> {
        match order {
            Order::Single(frame) if link.waiting => link.held.push(frame),
            Order::Single(frame) => self.take(link, &frame).await?,
            Order::History(frames) => {
                for frame in &frames {
                    self.take(link, frame).await?;
                }
            }
            Order::GoOn => self.go_on(link).await?,
            Order::Listings(listings) => {
                self.listed.insert(link.board.venue(), listings);
                let listed = self.listed.iter().map(|(v, l)| (*v, l.as_slice()));
                self.send(FeedItem::Assets(picker_order(listed))).await?;
            }
        }
        Ok(())
    }

    async fn go_on(&mut self, link: &mut Link) -> Result<(), Gone> {
        link.waiting = false;
        for frame in std::mem::take(&mut link.held) {
            self.take(link, &frame).await?;
        }
        Ok(())
    }

    async fn take(&mut self, link: &mut Link, frame: &RawFrame) -> Result<(), Gone> {
        if let Some(tape) = &mut self.tape {
            tape.write(frame);
        }
        let mut events = Vec::new();
        let taken = link.translator.take(frame, &mut events);
        if let Some(observer) = &mut self.observer {
            observer(frame, &events);
        }
        for want in taken.wants {
            // A driver that is busy answers the next time it is asked: wires ask again while they go without.
            let _ = link.wants.try_send(want);
        }
        if let Some(sent) = taken.sent {
            link.lag.add(frame.recv / 1_000_000, sent);
        }
        if taken.lost && link.outage.try_send(link.translator.complete_until()).is_ok() {
            link.waiting = true;
        }
        self.hand_on(events).await
    }

    /// Hands events on, many in parts.
    async fn hand_on(&mut self, events: Vec<MarketEvent>) -> Result<(), Gone> {
        for part in parts(events) {
            self.send(FeedItem::Events(part)).await?;
        }
        Ok(())
    }

    async fn tell(&mut self, links: &mut [Link]) -> Result<(), Gone> {
        for link in links {
            // What it is off by the machine's clock, and not by receive times that ran on when that was set back.
            let clock = link.lag.least().map(|ms| ms.saturating_sub(clock::ahead_ms()));
            let mut counters = link.translator.counters();
            if let Some(tape) = &self.tape {
                counters.uncaptured = tape.lacks(link.board.venue());
                link.board.capture(tape.trouble());
            }
            link.board.measured(counters, link.lag.now(), clock);
            let status = link.board.status();
            if link.told.as_ref() != Some(&status) {
                link.told = Some(status.clone());
                self.send(FeedItem::Status(status)).await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self, item: FeedItem) -> Result<(), Gone> {
        tokio::select! {
            () = self.stop.cancelled() => Err(Gone),
            sent = self.out.send(item) => sent.map_err(|_| Gone),
        }
    }
}

/// Events handed on at once, about: a history comes in parts, so that who is told to stop need not take in all of it first.
const PART: usize = 128;

/// Events in parts. Each takes the room of its own: hundreds of parts wait while a history is taken in.
fn parts(events: Vec<MarketEvent>) -> impl Iterator<Item = Vec<MarketEvent>> {
    let mut rest = events.into_iter();
    std::iter::from_fn(move || {
        let end = parted_at(rest.as_slice()).unwrap_or(rest.len());
        let part: Vec<_> = rest.by_ref().take(end).collect();
        (!part.is_empty()).then_some(part)
    })
}

/// How many events the first part of these has, if there are too many for one. What becomes known at the same time stays together: a state kept
/// between two parts is taken to hold all that was known by then.
fn parted_at(events: &[MarketEvent]) -> Option<usize> {
    let rest = events.get(PART..)?;
    let known_at = events[PART - 1].known_at();
    rest.iter().position(|event| event.known_at() != known_at).map(|more| PART + more)
}

/// Receive time less event time, less its minimum over five minutes: clocks differ, delays only add.
#[derive(Debug, Default)]
struct Lag {
    /// The least difference of each ten seconds: (ten seconds since the epoch, ms).
    least: VecDeque<(i64, i64)>,
    last: Option<i64>,
}

impl Lag {
    const STEP: i64 = 10_000;
    const STEPS: i64 = 30;

    fn add(&mut self, recv: i64, sent: i64) {
        let difference = recv.saturating_sub(sent);
        let step = recv.div_euclid(Self::STEP);
        match self.least.back_mut() {
            Some((at, least)) if *at == step => *least = difference.min(*least),
            _ => self.least.push_back((step, difference)),
        }
        while self.least.front().is_some_and(|(at, _)| *at <= step - Self::STEPS) {
            self.least.pop_front();
        }
        self.last = Some(difference);
    }

    fn least(&self) -> Option<i64> {
        self.least.iter().map(|(_, d)| *d).min()
    }

    fn now(&self) -> Option<i64> {
        let least = self.least()?;
        self.last.map(|last| last.saturating_sub(least))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{EventKind, Qty};

    #[test]
    fn a_history_is_parted_where_time_goes_on() {
        let event = |ts: i64| MarketEvent {
            venue: "okx".parse().unwrap(),
            asset: "BTC".parse().unwrap(),
            ts,
            recv: None,
            kind: EventKind::OpenInterest(Qty::ZERO),
        };
        let of = |times: &[i64]| times.iter().copied().map(event).collect::<Vec<_>>();
        let each: Vec<i64> = (0..300).collect();
        assert_eq!(parted_at(&of(&each[..PART])), None);
        assert_eq!(parted_at(&of(&each[..=PART])), Some(PART));
        // Three of a time, and the part would end after the second of them.
        let threes: Vec<i64> = (0..300).map(|i| (i + 1) / 3).collect();
        assert_eq!(threes[PART - 1..=PART + 1], [42, 43, 43]);
        assert_eq!(parted_at(&of(&threes)), Some(PART));
        assert_eq!(parted_at(&of(&threes[1..])), Some(PART + 2));
        assert_eq!(parted_at(&of(&[7; 300])), None);

        let threes = of(&threes);
        let parts: Vec<_> = parts(threes.clone()).collect();
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [128, 129, 43]);
        assert!(
            parts.iter().all(|part| part.capacity() < part.len() + PART),
            "no part keeps the room of all"
        );
        assert_eq!(parts.concat(), threes);
    }

    #[test]
    fn lag_is_measured_against_the_least_of_five_minutes() {
        let mut lag = Lag::default();
        assert_eq!(lag.now(), None);
        // The venue's clock is an hour ahead.
        lag.add(1_000_000, 4_600_000);
        assert_eq!(lag.now(), Some(0));
        lag.add(1_000_100, 4_600_000);
        assert_eq!(lag.now(), Some(100));
        lag.add(1_000_000 + 400_000, 4_600_000 + 399_000);
        assert_eq!(lag.now(), Some(0), "the old minimum has left the window");
    }
}
