//! One venue's course: what it lists, its sockets, its history, its polls.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::bail;

use tokio::sync::{Mutex, broadcast, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::market::{Asset, Interval};

use super::FeedConfig;
use super::backoff::Backoff;
use super::board::Board;
use super::cache::ListCache;
use super::frame::{BACKFILL, Body, POLL, RawFrame, now_ns};
use super::instruments::Listing;
use super::merge::{Link, Order};
use super::net::Net;
use super::rest::{Rest, RestError};
use super::session::{Session, TEXTS};
use super::status::LinkState;
use super::venue::{self, Adapter, Answer, Directory, Reading, Request, Want};

/// Most calls that one list of instruments may take: a list that goes round and round must end.
const PAGES: usize = 200;

/// Runs one venue.
pub struct Driver {
    config: Arc<FeedConfig>,
    net: Arc<Net>,
    rest: Rest,
    adapter: Arc<dyn Adapter>,
    asset: Asset,
    /// Up to when all is known from an earlier run, UTC ms.
    known: Option<i64>,
    board: Arc<Board>,
    frames: mpsc::Sender<RawFrame>,
    orders: mpsc::Sender<Order>,
    /// The merger tells of an outage: up to when it knows every minute, UTC ms.
    outages: Mutex<mpsc::Receiver<Option<i64>>>,
    /// What the wire wants to be asked.
    wants: Mutex<mpsc::Receiver<Want>>,
    cache: Option<ListCache>,
    stop: CancellationToken,
}

/// What a venue lists, and the answers that say so.
struct Listed {
    frames: Vec<RawFrame>,
    directory: Directory,
}

/// The sockets of an instrument.
struct Sockets {
    /// Ends them when dropped.
    _sessions: JoinSet<()>,
    /// Texts to each, by the connection's name.
    texts: HashMap<String, broadcast::Sender<String>>,
}

/// A venue's driver and the merger's end of it.
pub fn pair(
    config: Arc<FeedConfig>,
    net: Arc<Net>,
    adapter: Arc<dyn Adapter>,
    (asset, known): (Asset, Option<i64>),
    stop: CancellationToken,
) -> anyhow::Result<(Driver, Link)> {
    let (frames, frames_seen) = mpsc::channel(config.queue);
    let (orders, orders_seen) = mpsc::channel(64);
    // One outage at a time: the merger reads no further socket frames until it is dealt with.
    let (outage, outages) = mpsc::channel(1);
    let (want, wants) = mpsc::channel(64);
    let board = Arc::new(Board::new(adapter.venue(), adapter.liquidations()));
    let translator = venue::translator(adapter.venue(), Some(asset), config.book)
        .ok_or_else(|| anyhow::anyhow!("no translator for venue {}", adapter.venue()))?;
    let link = Link::new(Arc::clone(&board), translator, frames_seen, orders_seen, outage, want);
    let rest = Rest::new(&net, Arc::clone(&adapter))?;
    let base = adapter.rest_bases().into_iter().next().unwrap_or_default();
    let cache = config.cache.as_deref().map(|folder| ListCache::new(folder, adapter.venue(), &base));
    Ok((
        Driver {
            config,
            net,
            rest,
            adapter,
            asset,
            known,
            board,
            frames,
            orders,
            outages: Mutex::new(outages),
            wants: Mutex::new(wants),
            cache,
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
        let Listed { frames, directory } = self.listed().await;
        let Some(listing) = self.pick(directory).await else {
            let note = format!("{} lists no perpetual for {}", self.adapter.title(), self.asset);
            self.board.rest(LinkState::Ended, &note);
            self.order(Order::GoOn).await;
            return;
        };
        let sockets = self.open_sockets(&listing);
        // A candle that was under way then comes whole.
        let known = self.known.map(|until| Interval::M1.floor(until));
        self.catch_up(&listing, (known, true), frames).await;

        let mut poll = interval(self.config.oi_poll);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let call = self.adapter.poll(&listing);
        let mut relist = interval_at(Instant::now() + self.config.relist, self.config.relist);
        let mut silences = self.board.silences();
        let mut suspect_at: Option<Instant> = None;
        let mut outages = self.outages.lock().await;
        let mut wants = self.wants.lock().await;
        loop {
            tokio::select! {
                biased;
                outage = outages.recv() => {
                    let Some(known) = outage else { return };
                    self.board.all_up().await;
                    self.catch_up(&listing, (known, known.is_none()), Vec::new()).await;
                }
                want = wants.recv() => {
                    let Some(want) = want else { return };
                    self.grant(want, &sockets).await;
                }
                Ok(()) = silences.changed() => {
                    // A stream fell silent: perhaps the contract is gone. Asked after a while, so not again and again.
                    suspect_at.get_or_insert(Instant::now() + self.config.relist_silent);
                }
                () = sleep_until(suspect_at.unwrap_or_else(Instant::now)), if suspect_at.is_some() => {
                    suspect_at = None;
                    if !self.is_still_listed().await {
                        return;
                    }
                }
                _ = relist.tick() => {
                    if !self.is_still_listed().await {
                        return;
                    }
                }
                // Not part of what is waited for: a call that was begun is heard out, or a ban it brings would go unnoticed.
                _ = poll.tick() => self.poll(call.as_ref()).await,
            }
        }
    }

    /// What the venue lists; asked until it answers, unless it is known from an earlier run.
    async fn listed(&self) -> Listed {
        let mut kept = self.kept().await;
        if let Some((_, listed)) = &kept {
            self.order(Order::Listings(listed.directory.listings.clone())).await;
        }
        let mut backoff = self.backoff();
        loop {
            let until = kept.as_ref().map(|_| Instant::now() + self.config.timeout);
            let error = match self.ask_list(until).await {
                Ok(listed) => return listed,
                Err(error) => error,
            };
            if let Some((at, listed)) = kept.take() {
                let minutes = (now_ns() / 1_000_000 - at) / 60_000;
                tracing::warn!(
                    "{}: {error:#}; going on with the list of {minutes} min ago",
                    self.adapter.title()
                );
                return listed;
            }
            let wait = backoff.wait();
            let at = (Instant::now() + wait).into_std();
            let note = format!("{}: {error:#}", self.adapter.title());
            self.board.rest(LinkState::Reconnecting { at }, &note);
            sleep(wait).await;
        }
    }

    /// Asks for the list, page by page.
    async fn ask_list(&self, until: Option<Instant>) -> anyhow::Result<Listed> {
        let mut answers: Vec<Answer> = Vec::new();
        let mut frames = Vec::new();
        let mut calls = self.adapter.directory();
        loop {
            for call in &calls {
                // Only the first call is indispensable: what a list lacks for a page that was refused, its adapter knows.
                let first = answers.is_empty();
                let until =
                    if first { until } else { Some(until.unwrap_or(Instant::now() + self.config.timeout)) };
                let frame = match self.fetch(call, BACKFILL, until).await {
                    Err(RestError::Refused { .. }) if !first => {
                        answers.push((call.name(), String::new()));
                        continue;
                    }
                    answer => answer?,
                };
                if let Body::Rest { path, text } = &frame.body {
                    answers.push((path.clone(), text.clone()));
                }
                frames.push(frame);
            }
            match self.adapter.read_directory(&answers)? {
                Reading::Done(directory) => {
                    self.keep(answers);
                    return Ok(Listed { frames, directory });
                }
                Reading::More(next) if !next.is_empty() && answers.len() < PAGES => calls = next,
                Reading::More(_) => bail!("its list of instruments does not end"),
            }
        }
    }

    /// What was listed in an earlier run, and when, UTC ms.
    async fn kept(&self) -> Option<(i64, Listed)> {
        let cache = self.cache.clone()?;
        let (at, answers) = tokio::task::spawn_blocking(move || cache.read()).await.ok()??;
        let Ok(Reading::Done(directory)) = self.adapter.read_directory(&answers) else { return None };
        let frame = |(path, text)| RawFrame::now(self.adapter.venue(), BACKFILL, Body::Rest { path, text });
        Some((at, Listed { frames: answers.into_iter().map(frame).collect(), directory }))
    }

    /// Keeps a list for the next run, without waiting for the disk.
    fn keep(&self, answers: Vec<Answer>) {
        if let Some(cache) = self.cache.clone() {
            tokio::task::spawn_blocking(move || {
                if let Err(e) = cache.write(answers) {
                    tracing::warn!("the list of instruments is not kept: {e:#}");
                }
            });
        }
    }

    /// Tells what may be picked, and picks our asset's listing.
    async fn pick(&self, directory: Directory) -> Option<Listing> {
        self.order(Order::Listings(directory.listings.clone())).await;
        directory.listings.into_iter().find(|l| l.asset == self.asset)
    }

    /// Asks for the list anew. An asset that has gone from it is told, and ends the venue's part.
    async fn is_still_listed(&self) -> bool {
        let Listed { frames, directory } = match self.ask_list(Some(Instant::now())).await {
            Ok(listed) => listed,
            Err(e) => {
                tracing::warn!(
                    "{}: the list of instruments cannot be refreshed: {e:#}",
                    self.adapter.title()
                );
                return true;
            }
        };
        self.board.rest(LinkState::Live, "");
        let Some(listing) = self.pick(directory).await else {
            let note = format!("{} does not list {} any more", self.adapter.title(), self.asset);
            tracing::warn!("{note}");
            self.board.rest(LinkState::Ended, &note);
            return false;
        };
        for frame in frames {
            self.order(Order::Single(frame)).await;
        }
        for call in self.adapter.terms(&listing) {
            self.ask_once(&call).await;
        }
        true
    }

    /// Does what the wire wants.
    async fn grant(&self, want: Want, sockets: &Sockets) {
        match want {
            Want::Call(call) => self.ask_once(&call).await,
            Want::Send { conn, text } => {
                if let Some(texts) = sockets.texts.get(conn) {
                    // Nobody listens while the socket is down; a new one subscribes anew anyway.
                    let _ = texts.send(text);
                }
            }
        }
    }

    /// Makes a call once; whoever wants the answer asks again.
    async fn ask_once(&self, call: &Request) {
        match self.rest.call(call).await {
            Ok(text) => self.order(Order::Single(self.answer(call, POLL, text))).await,
            Err(e) => {
                self.count(&e);
                tracing::warn!("{e}");
            }
        }
    }

    fn open_sockets(&self, listing: &Listing) -> Sockets {
        let mut texts = HashMap::new();
        let specs = self.adapter.connections(listing);
        self.board.expect(&specs);
        let mut sessions = JoinSet::new();
        for (conn, spec) in specs.into_iter().enumerate() {
            let sender = broadcast::Sender::new(TEXTS);
            texts.insert(spec.name.to_string(), sender.clone());
            let session = Session {
                config: Arc::clone(&self.config),
                net: Arc::clone(&self.net),
                adapter: Arc::clone(&self.adapter),
                board: Arc::clone(&self.board),
                conn,
                spec,
                frames: self.frames.clone(),
                texts: sender,
                stop: self.stop.clone(),
            };
            sessions.spawn(session.run());
        }
        Sockets { _sessions: sessions, texts }
    }

    /// What happened since the time up to which every minute is known (UTC ms), or since the span of history began; then
    /// live data follow. History is asked for once the sockets are open, so that no minute can end between the two. While they
    /// cannot be opened, what history there is must do. With `fresh` the terms and whatever else has not been told yet are asked for too.
    async fn catch_up(
        &self,
        listing: &Listing,
        (mut known, mut fresh): (Option<i64>, bool),
        mut first: Vec<RawFrame>,
    ) {
        loop {
            let up = timeout(self.config.timeout, self.board.all_up()).await.is_ok();
            self.board.rest(LinkState::Backfilling, "");
            let Some((now, frames)) = self.history(listing, (known, fresh), first.clone()).await else {
                tracing::warn!("{}: no history; live data go on without it", self.adapter.title());
                // But not without the list: it tells what the numbers count.
                self.order(Order::History(self.bracketed(first))).await;
                break;
            };
            first.clear();
            self.board.rest(LinkState::Live, "");
            self.order(Order::History(frames)).await;
            if up {
                break;
            }
            (known, fresh) = (Some(now), false);
            self.board.all_up().await;
        }
        self.order(Order::GoOn).await;
    }

    /// A bracketed batch of history up to now (UTC ms, the venue's clock); `None` if it takes too long.
    async fn history(
        &self,
        listing: &Listing,
        (known, fresh): (Option<i64>, bool),
        first: Vec<RawFrame>,
    ) -> Option<(i64, Vec<RawFrame>)> {
        let until = Instant::now() + self.config.backfill_patience;
        let clock = self.fetch(&self.adapter.clock(listing), BACKFILL, Some(until)).await.ok()?;
        let Body::Rest { text, .. } = &clock.body else { return None };
        let now = self.adapter.read_clock(text)?;
        let most = i64::try_from(self.config.backfill.as_millis()).unwrap_or(i64::MAX / 2);
        let from = known.unwrap_or(i64::MIN).max(now - most);
        let mut frames = first;
        frames.push(clock);
        let terms = if fresh { self.adapter.terms(listing) } else { Vec::new() };
        for call in terms.into_iter().chain(self.adapter.history(listing, from, now, fresh)) {
            match self.fetch(&call, BACKFILL, Some(until)).await {
                Ok(frame) => frames.push(frame),
                // A call the venue does not like costs only its own answer.
                Err(RestError::Refused { .. }) => {}
                Err(_) => return None,
            }
        }
        Some((now, self.bracketed(frames)))
    }

    /// Answers as one batch of history.
    fn bracketed(&self, answers: Vec<RawFrame>) -> Vec<RawFrame> {
        let bracket = |body| RawFrame::now(self.adapter.venue(), BACKFILL, body);
        let mut frames = vec![bracket(Body::Open)];
        frames.extend(answers);
        frames.push(bracket(Body::Close));
        frames
    }

    async fn poll(&self, call: Option<&Request>) {
        let Some(call) = call else { return };
        match self.rest.call(call).await {
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
            let e = match self.rest.call(call).await {
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
        RawFrame::now(self.adapter.venue(), conn, Body::Rest { path: call.name(), text })
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
