//! One venue's course: what it lists, its sockets, its history, its polls.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::market::Asset;

use super::FeedConfig;
use super::backoff::Backoff;
use super::board::Board;
use super::frame::{BACKFILL, Body, POLL, RawFrame};
use super::instruments::{Listing, picker_order};
use super::merge::{Link, Order};
use super::net::Net;
use super::rest::{Rest, RestError};
use super::session::Session;
use super::status::LinkState;
use super::venue::{self, Adapter, Directory, Request};

/// Runs one venue.
pub struct Driver {
    config: Arc<FeedConfig>,
    net: Arc<Net>,
    rest: Rest,
    adapter: Arc<dyn Adapter>,
    asset: Asset,
    board: Arc<Board>,
    frames: mpsc::Sender<RawFrame>,
    orders: mpsc::Sender<Order>,
    /// The merger tells of an outage: up to when it knows every minute, UTC ms.
    outages: Mutex<mpsc::Receiver<Option<i64>>>,
    stop: CancellationToken,
}

/// A venue's driver and the merger's end of it.
pub fn pair(
    config: Arc<FeedConfig>,
    net: Arc<Net>,
    adapter: Arc<dyn Adapter>,
    asset: Asset,
    stop: CancellationToken,
) -> anyhow::Result<(Driver, Link)> {
    let (frames, frames_seen) = mpsc::channel(config.queue);
    let (orders, orders_seen) = mpsc::channel(64);
    // One outage at a time: the merger reads no further socket frames until it is dealt with.
    let (outage, outages) = mpsc::channel(1);
    let board = Arc::new(Board::new(adapter.venue()));
    let translator = venue::translator(adapter.venue(), Some(asset))
        .ok_or_else(|| anyhow::anyhow!("no translator for venue {}", adapter.venue()))?;
    let link = Link::new(Arc::clone(&board), translator, frames_seen, orders_seen, outage);
    let rest = Rest::new(&net, adapter.title(), adapter.rest_base())?;
    Ok((
        Driver {
            config,
            net,
            rest,
            adapter,
            asset,
            board,
            frames,
            orders,
            outages: Mutex::new(outages),
            stop,
        },
        link,
    ))
}

impl Driver {
    /// Runs until stopped.
    pub async fn run(self) {
        let stop = self.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.follow() => stop.cancelled().await,
        }
    }

    async fn follow(self) {
        let (answer, directory) = self.directory().await;
        let assets = picker_order(directory.listings.iter().map(|l| l.asset));
        self.order(Order::Assets(assets)).await;
        let Some(listing) = directory.listings.into_iter().find(|l| l.asset == self.asset) else {
            let note = format!("{} lists no perpetual for {}", self.adapter.title(), self.asset);
            self.board.rest(LinkState::Ended, &note);
            self.order(Order::GoOn).await;
            return;
        };
        let _sessions = self.open_sockets(&listing);
        self.catch_up(&listing, None, vec![answer]).await;

        let mut poll = interval(self.config.oi_poll);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let call = self.adapter.poll(&listing);
        let mut outages = self.outages.lock().await;
        loop {
            tokio::select! {
                biased;
                outage = outages.recv() => {
                    let Some(known) = outage else { return };
                    self.board.all_up().await;
                    self.catch_up(&listing, known, Vec::new()).await;
                }
                () = async { poll.tick().await; self.poll(&call).await } => {}
            }
        }
    }

    /// What the venue lists; asked until it answers.
    async fn directory(&self) -> (RawFrame, Directory) {
        let mut backoff = self.backoff();
        loop {
            if let Ok(frame) = self.fetch(&self.adapter.directory(), BACKFILL, None).await {
                let Body::Rest { text, .. } = &frame.body else { continue };
                match self.adapter.read_directory(text) {
                    Ok(directory) => return (frame, directory),
                    Err(e) => {
                        let note = format!("{}: {e:#}", self.adapter.title());
                        let wait = backoff.wait();
                        let at = (Instant::now() + wait).into_std();
                        self.board.rest(LinkState::Reconnecting { at }, &note);
                        sleep(wait).await;
                    }
                }
            }
        }
    }

    fn open_sockets(&self, listing: &Listing) -> JoinSet<()> {
        let specs = self.adapter.connections(listing);
        self.board.expect(&specs);
        let mut sessions = JoinSet::new();
        for (conn, spec) in specs.into_iter().enumerate() {
            let session = Session {
                config: Arc::clone(&self.config),
                net: Arc::clone(&self.net),
                adapter: Arc::clone(&self.adapter),
                board: Arc::clone(&self.board),
                conn,
                spec,
                frames: self.frames.clone(),
                stop: self.stop.clone(),
            };
            sessions.spawn(session.run());
        }
        sessions
    }

    /// What happened since the time up to which every minute is known (UTC ms), or since the span of history began; then
    /// live data follow. History is asked for once the sockets are open, so that no minute can end between the two. While they
    /// cannot be opened, what history there is must do.
    async fn catch_up(&self, listing: &Listing, mut known: Option<i64>, mut first: Vec<RawFrame>) {
        loop {
            let up = timeout(self.config.timeout, self.board.all_up()).await.is_ok();
            self.board.rest(LinkState::Backfilling, "");
            let Some((now, frames)) = self.history(listing, known, std::mem::take(&mut first)).await else {
                tracing::warn!("{}: no history; live data go on without it", self.adapter.title());
                break;
            };
            self.board.rest(LinkState::Live, "");
            self.order(Order::History(frames)).await;
            if up {
                break;
            }
            known = Some(now);
            self.board.all_up().await;
        }
        self.order(Order::GoOn).await;
    }

    /// A bracketed batch of history up to now (UTC ms, the venue's clock); `None` if it takes too long.
    async fn history(
        &self,
        listing: &Listing,
        known: Option<i64>,
        first: Vec<RawFrame>,
    ) -> Option<(i64, Vec<RawFrame>)> {
        let until = Instant::now() + self.config.backfill_patience;
        let bracket = |body| RawFrame::now(self.adapter.venue(), BACKFILL, body);
        let clock = self.fetch(&self.adapter.clock(), BACKFILL, Some(until)).await.ok()?;
        let Body::Rest { text, .. } = &clock.body else { return None };
        let now = self.adapter.read_clock(text)?;
        let most = i64::try_from(self.config.backfill.as_millis()).unwrap_or(i64::MAX / 2);
        let from = known.unwrap_or(i64::MIN).max(now - most);
        let mut frames = vec![bracket(Body::Open)];
        frames.extend(first);
        frames.push(clock);
        for call in self.adapter.history(listing, from, now, known.is_none()) {
            match self.fetch(&call, BACKFILL, Some(until)).await {
                Ok(frame) => frames.push(frame),
                // A call the venue does not like costs only its own answer.
                Err(RestError::Refused { .. }) => {}
                Err(_) => return None,
            }
        }
        frames.push(bracket(Body::Close));
        Some((now, frames))
    }

    async fn poll(&self, call: &Request) {
        match self.rest.get(call).await {
            Ok(text) => {
                self.board.rest(LinkState::Live, "");
                self.order(Order::Single(self.answer(call, POLL, text))).await;
            }
            Err(e) => {
                self.count(&e);
                let state = if e.is_blocked() { LinkState::Blocked } else { LinkState::Live };
                self.board.rest(state, &e.to_string());
            }
        }
    }

    /// Makes a call until it is answered, or until it is clear that it will not be before `until`.
    async fn fetch(
        &self,
        call: &Request,
        conn: &'static str,
        until: Option<Instant>,
    ) -> Result<RawFrame, RestError> {
        let mut backoff = self.backoff();
        loop {
            let e = match self.rest.get(call).await {
                Ok(text) => return Ok(self.answer(call, conn, text)),
                Err(e) => e,
            };
            self.count(&e);
            let wait = match e.wait() {
                Some(wait) => wait,
                None if e.is_blocked() => self.config.blocked_retry,
                None => backoff.wait(),
            };
            let at = Instant::now() + wait;
            let late = until.is_some_and(|until| at > until || matches!(e, RestError::Refused { .. }));
            let state = match late {
                _ if e.is_blocked() => LinkState::Blocked,
                true => LinkState::Live,
                false => LinkState::Reconnecting { at: at.into_std() },
            };
            let missing = if late { "no history: " } else { "" };
            self.board.rest(state, &format!("{missing}{e}"));
            if late {
                return Err(e);
            }
            sleep(wait).await;
        }
    }

    fn answer(&self, call: &Request, conn: &'static str, text: String) -> RawFrame {
        RawFrame::now(self.adapter.venue(), conn, Body::Rest { path: call.path.clone(), text })
    }

    fn count(&self, error: &RestError) {
        if error.is_limit() {
            self.board.rate_limited();
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(self.config.backoff_first, self.config.backoff_most)
    }

    async fn order(&self, order: Order) {
        // A closed channel is the end of the feed.
        let _ = self.orders.send(order).await;
    }
}
