//! One socket, kept alive: the loop every venue shares.
//!
//! A connection is opened, its streams are watched, and when it is lost or silent it is opened again. Before the venue
//! cuts it, a second one takes over: it runs beside the first until every steady stream has spoken and the two have
//! overlapped for a while; only then do its frames follow those of the first, where repeats are told by number and time.

mod patience;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_tungstenite::tungstenite;
use tokio_util::sync::CancellationToken;

use super::FeedConfig;
use super::backoff::Backoff;
use super::board::Board;
use super::frame::{Body, RawFrame};
use super::line::{Heard, Line, Lost, Wire};
use super::net::{Net, obstacle};
use super::rest::{RestError, retry_after};
use super::status::LinkState;
use super::trunk::Dial;
use super::venue::{Adapter, ConnSpec, KeepAlive, Nature, Verdict};
use patience::{Patience, Watch};

/// Between two texts to the venue; Binance cuts faster senders (`exchanges.md` §1.5).
const SPACING: Duration = Duration::from_millis(300);

/// One connection of a venue.
pub struct Session {
    pub config: Arc<FeedConfig>,
    pub net: Arc<Net>,
    pub adapter: Arc<dyn Adapter>,
    pub board: Arc<Board>,
    /// Place on the board.
    pub conn: usize,
    pub spec: ConnSpec,
    pub frames: mpsc::Sender<RawFrame>,
    /// Texts to send on whatever sockets are open.
    pub texts: broadcast::Sender<String>,
    pub stop: CancellationToken,
}

/// Texts that may wait to be sent; more are not asked for at once.
pub const TEXTS: usize = 64;

/// How a socket's life ended.
enum End {
    /// The feed is over.
    Stopped,
    /// Another took over.
    Relieved,
    /// Lost, and why.
    Lost(String),
    /// A stream that should speak did not.
    Silent(usize),
    /// The venue does not want us: why, and how long to wait at least.
    Refused { blocked: bool, note: String, wait: Duration },
}

/// Who holds a socket's frames back or lets them through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Runs beside another; its frames wait.
    Standby,
    /// Its frames go out.
    Active,
    /// What has arrived still goes out, then it is closed.
    Retired,
}

/// A socket being served.
struct Running<'a> {
    served: Pin<Box<dyn Future<Output = End> + Send + 'a>>,
    role: watch::Sender<Role>,
    /// Every steady stream has spoken.
    ready: watch::Receiver<bool>,
    /// The venue says it will close the socket.
    restart: watch::Receiver<bool>,
    relieve_at: Instant,
}

/// What a socket tells about itself while it is served.
struct Told {
    ready: watch::Sender<bool>,
    restart: watch::Sender<bool>,
}

impl Session {
    /// Runs until stopped.
    pub async fn run(self) {
        let mut backoff = Backoff::new(self.config.backoff_first, self.config.backoff_most);
        let mut patience = Patience::new(&self.spec);
        let mut address = 0;
        loop {
            let dialled = tokio::select! {
                () = self.stop.cancelled() => return,
                dialled = self.dial(address) => dialled,
            };
            let end = match dialled {
                Err(e) => {
                    address += 1;
                    self.refused(&e)
                }
                Ok(line) => {
                    self.board.up();
                    self.tell(Body::Open).await;
                    let opened = Instant::now();
                    let (end, spoke) = self.live(line, &patience, address).await;
                    self.tell(Body::Close).await;
                    self.board.lost();
                    if spoke {
                        backoff.reset();
                    }
                    if let End::Silent(stream) = end {
                        patience.silent(stream, opened.elapsed());
                    }
                    end
                }
            };
            let mut wait = backoff.wait();
            let at = (Instant::now() + wait).into_std();
            match end {
                End::Stopped | End::Relieved => return,
                End::Silent(stream) => {
                    let stream = self.spec.streams[stream].name;
                    let note = format!(
                        "{} sends nothing on {stream}: wrong address, or nothing happens there; connecting anew",
                        self.adapter.title()
                    );
                    tracing::warn!("{note}");
                    self.board.conn(self.conn, LinkState::Silent { stream: stream.to_owned() }, &note);
                    self.board.silent();
                }
                End::Refused { blocked, note, wait: at_least } => {
                    wait = wait.max(at_least);
                    tracing::warn!(wait = ?wait, "{note}");
                    let at = (Instant::now() + wait).into_std();
                    let state = if blocked { LinkState::Blocked } else { LinkState::Reconnecting { at } };
                    self.board.conn(self.conn, state, &note);
                }
                End::Lost(why) => {
                    tracing::warn!(wait = ?wait, "{}: {why}", self.adapter.title());
                    self.board.conn(self.conn, LinkState::Reconnecting { at }, &why);
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = sleep(wait) => {}
            }
        }
    }

    /// Opens a line to one of the addresses, counted round and round.
    async fn dial(&self, address: usize) -> Result<Line, Arc<tungstenite::Error>> {
        let urls = &self.spec.urls;
        let url = urls.get(address % urls.len().max(1)).cloned().unwrap_or_default();
        let most = |k: &KeepAlive| KeepAlive { every: k.every.min(self.config.ping_most), ..k.clone() };
        let keep_alive = self.spec.keep_alive.as_ref().map(most);
        let (net, adapter) = (Arc::clone(&self.net), Arc::clone(&self.adapter));
        let mut line = match &self.spec.shared {
            None => Line::Own(Box::new(Wire::open(&net, adapter, &url, keep_alive).await?)),
            Some(who) => {
                let dial = Dial { config: Arc::clone(&self.config), net, adapter, url, keep_alive };
                Line::Shared(self.config.trunks.join(&dial, who).await?)
            }
        };
        for (n, text) in self.spec.hello.iter().enumerate() {
            if n > 0 {
                sleep(SPACING).await;
            }
            line.send(text).await?;
        }
        Ok(line)
    }

    /// Why no socket was opened, in words.
    fn refused(&self, error: &tungstenite::Error) -> End {
        let venue = self.adapter.title();
        let tungstenite::Error::Http(answer) = error else {
            return End::Lost(format!("cannot reach {venue}: {}", obstacle(error)));
        };
        let status = answer.status();
        let wait = retry_after(answer.headers());
        let refusal = match self.adapter.verdict(status.as_u16(), "") {
            Verdict::Slow(wait) => RestError::Slow { venue, wait },
            Verdict::ByStatus | Verdict::Refused(_) => RestError::of(venue, status, wait, ""),
        };
        if refusal.is_limit() {
            self.board.rate_limited();
        }
        let retry = if refusal.is_blocked() { self.config.blocked_retry } else { Duration::ZERO };
        let wait = refusal.wait().unwrap_or(retry);
        End::Refused { blocked: refusal.is_blocked(), note: refusal.to_string(), wait }
    }

    async fn tell(&self, body: Body) {
        // A closed channel is the end of the feed, which the stop token tells as well.
        let _ = self.frames.send(RawFrame::now(self.adapter.venue(), self.spec.name.clone(), body)).await;
    }

    fn start<'a>(&'a self, line: Line, role: Role, patience: &'a Patience) -> Running<'a> {
        let (role, role_seen) = watch::channel(role);
        let (ready_told, ready) = watch::channel(false);
        let (restart_told, restart) = watch::channel(false);
        let told = Told { ready: ready_told, restart: restart_told };
        let relieve_at = line.opened() + self.config.planned_reconnect;
        let served = Box::pin(self.serve(line, role_seen, told, patience));
        Running { served, role, ready, restart, relieve_at }
    }

    /// From an opened socket to the end of it and of all that relieved it; and whether the last one spoke on all streams.
    async fn live(&self, line: Line, patience: &Patience, address: usize) -> (End, bool) {
        let mut active = self.start(line, Role::Active, patience);
        let mut standby: Option<Running<'_>> = None;
        let mut retry = Backoff::new(self.config.backoff_first, self.config.backoff_most);
        loop {
            tokio::select! {
                biased;
                end = &mut active.served => match standby.take() {
                    Some(next) if !matches!(end, End::Stopped) => active = self.succeed(next).await,
                    _ => return (end, *active.ready.borrow()),
                },
                Ok(()) = active.restart.changed() => {
                    tracing::info!("{} {}: restart announced", self.adapter.title(), self.spec.name);
                    active.relieve_at = Instant::now();
                }
                line = async { sleep_until(active.relieve_at).await; self.dial(address).await }, if standby.is_none() => {
                    match line {
                        Ok(line) => standby = Some(self.start(line, Role::Standby, patience)),
                        Err(e) => {
                            tracing::warn!("planned reconnect: {}", obstacle(&e));
                            active.relieve_at = Instant::now() + retry.wait();
                        }
                    }
                }
                ready = next_ready(&mut standby, self.config.overlap) => {
                    let Some(next) = standby.take() else { continue };
                    if ready {
                        active = self.relieve(active, next).await;
                        retry.reset();
                    } else {
                        active.relieve_at = Instant::now() + retry.wait();
                    }
                }
            }
        }
    }

    /// The next socket takes over from one that works.
    async fn relieve<'a>(&self, old: Running<'a>, next: Running<'a>) -> Running<'a> {
        old.role.send_replace(Role::Retired);
        old.served.await;
        tracing::info!("{} {}: planned reconnect done", self.adapter.title(), self.spec.name);
        self.succeed(next).await
    }

    /// The next socket takes over from one that has ended. Its opening is told before the other's closing, so that
    /// nobody sees an outage: it has been listening all the while.
    async fn succeed<'a>(&self, next: Running<'a>) -> Running<'a> {
        self.tell(Body::Open).await;
        self.tell(Body::Close).await;
        next.role.send_replace(Role::Active);
        if *next.ready.borrow() {
            self.board.conn(self.conn, LinkState::Live, "");
        }
        next
    }

    async fn serve(
        &self,
        mut line: Line,
        mut role: watch::Receiver<Role>,
        told: Told,
        patience: &Patience,
    ) -> End {
        let mut watch = Watch::new(patience);
        self.note_ready(&watch, &role, &told.ready);
        let mut held = VecDeque::new();
        let mut texts = self.texts.subscribe();
        let mut again = self.spec.again.as_slice();
        loop {
            let due = watch.due();
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {
                    line.close();
                    return End::Stopped;
                }
                Ok(()) = role.changed() => {
                    let now = *role.borrow_and_update();
                    if now == Role::Active && self.send_all(&mut held).await.is_none() {
                        return End::Stopped;
                    }
                    if now == Role::Retired {
                        return self.drain(line).await;
                    }
                }
                stream = silence(due) => return End::Silent(stream),
                heard = line.next() => {
                    let heard = match heard {
                        Ok(heard) => heard,
                        Err(lost) => return self.lost(lost),
                    };
                    match self.listen(&heard, &mut watch, &role, &told.ready) {
                        Nature::Data | Nature::Pong => {}
                        // Here and not in the wire: the frames of a standby do not reach that yet.
                        Nature::Refused => {
                            for text in std::mem::take(&mut again) {
                                if let Err(e) = line.send(text).await {
                                    return End::Lost(obstacle(&e));
                                }
                                sleep(SPACING).await;
                            }
                        }
                        Nature::Restart => {
                            told.restart.send_replace(true);
                        }
                    }
                    held.push_back(self.frame(heard));
                    if *role.borrow() == Role::Active {
                        let before = Instant::now();
                        if self.send_all(&mut held).await.is_none() {
                            return End::Stopped;
                        }
                        // While the merger waits for history the line is not read; that is not the venue's silence.
                        watch.pause(before.elapsed());
                    } else if held.len() > self.config.queue {
                        return End::Lost("the second connection ran full before it could take over".into());
                    }
                }
                text = next_text(&mut texts) => {
                    if let Err(e) = line.send(&text).await {
                        return End::Lost(obstacle(&e));
                    }
                    sleep(SPACING).await;
                }
            }
        }
    }

    /// What has already arrived on a line that was relieved.
    async fn drain(&self, mut line: Line) -> End {
        while let Some(Ok(heard)) = line.next().now_or_never() {
            if self.frames.send(self.frame(heard)).await.is_err() {
                return End::Stopped;
            }
        }
        line.close();
        End::Relieved
    }

    /// Why a line ended, in words.
    fn lost(&self, why: Lost) -> End {
        let venue = self.adapter.title();
        End::Lost(match why {
            Lost::Closed => format!("{venue} closed the connection"),
            Lost::Dead => format!("{venue} does not answer our ping"),
            Lost::Broken(why) => format!("connection to {venue} lost: {why}"),
            Lost::TooLarge => {
                self.board.refused();
                format!("{venue} sent a message of more than 8 MB; it was not read")
            }
        })
    }

    fn frame(&self, (text, _): Heard) -> RawFrame {
        RawFrame::now(self.adapter.venue(), self.spec.name.clone(), Body::Ws(text))
    }

    /// Notes which stream spoke, and what the text is to us.
    fn listen(
        &self,
        (text, nature): &Heard,
        watch: &mut Watch<'_>,
        role: &watch::Receiver<Role>,
        ready: &watch::Sender<bool>,
    ) -> Nature {
        if let Some(stream) = self.adapter.stream_of(text).and_then(|name| watch.heard(&self.spec, name)) {
            self.board.heard(self.conn, stream, std::time::Instant::now());
            self.note_ready(watch, role, ready);
        }
        *nature
    }

    /// Once every steady stream has spoken, the connection is as good as it gets.
    fn note_ready(&self, watch: &Watch<'_>, role: &watch::Receiver<Role>, ready: &watch::Sender<bool>) {
        if watch.all_spoke() && !*ready.borrow() {
            ready.send_replace(true);
            if *role.borrow() == Role::Active {
                self.board.conn(self.conn, LinkState::Live, "");
            }
        }
    }

    /// `None` when nobody listens any more, or the feed is stopped while the merger is busy.
    async fn send_all(&self, held: &mut VecDeque<RawFrame>) -> Option<()> {
        while let Some(frame) = held.pop_front() {
            tokio::select! {
                () = self.stop.cancelled() => return None,
                sent = self.frames.send(frame) => sent.ok()?,
            }
        }
        Some(())
    }
}

/// Waits until the standby has spoken on all streams and overlapped for a while: `true`; or has ended before: `false`.
async fn next_ready(standby: &mut Option<Running<'_>>, overlap: Duration) -> bool {
    let Some(next) = standby else { return std::future::pending().await };
    let mut ready = next.ready.clone();
    let settled = async {
        if ready.wait_for(|r| *r).await.is_err() {
            std::future::pending::<()>().await;
        }
        sleep(overlap).await;
    };
    tokio::select! {
        _ = &mut next.served => false,
        () = settled => true,
    }
}

/// The next text to send; one that fell out of the queue is asked for again by whoever needs it.
async fn next_text(texts: &mut broadcast::Receiver<String>) -> String {
    loop {
        match texts.recv().await {
            Ok(text) => return text,
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Waits until a stream has been silent for too long; which.
async fn silence(due: Option<(Instant, usize)>) -> usize {
    let Some((at, stream)) = due else { return std::future::pending().await };
    sleep_until(at).await;
    stream
}
