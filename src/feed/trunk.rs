//! A socket that the assets of a process share, at venues that give an address few of them (`exchanges.md` §6.1: Hyperliquid ten).
//!
//! A [`Place`] on it is to a session what a socket of its own would be: it sends what it likes and hears what is meant for it. An instrument has
//! one place on a socket. Who asks for a second one while the first is held gets it on another socket, which is what a planned
//! reconnect wants; so all who share an old socket move to the same new one.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Shared as Joint, WeakShared};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite;

use super::FeedConfig;
use super::backoff::Backoff;
use super::line::{Heard, Lost, Wire};
use super::net::{Net, obstacle};
use super::rest::retry_after;
use super::venue::{Adapter, KeepAlive, Nature, Shared};

/// Frames that may wait at a place. One whose session does not read them for so long is given up, rather than that the others wait for it.
const WAITING: usize = 1_024;

/// Texts and newcomers that may wait for the socket.
const ASKS: usize = 64;

/// What comes to a place: frames, and at last why no more come.
type Frames = mpsc::Receiver<Result<Heard, Lost>>;

/// A place on a shared socket. It is free again once this is dropped.
pub struct Place {
    opened: Instant,
    frames: Frames,
    asks: mpsc::Sender<Ask>,
}

impl Place {
    /// When the socket was opened.
    pub fn opened(&self) -> Instant {
        self.opened
    }

    /// The next frame. Nothing is lost if this is given up before it is ready.
    pub async fn next(&mut self) -> Result<Heard, Lost> {
        self.frames.recv().await.unwrap_or(Err(Lost::Closed))
    }

    /// Sends a text.
    ///
    /// # Errors
    /// The socket is gone.
    pub async fn send(&self, text: &str) -> tungstenite::Result<()> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe).into();
        self.asks.send(Ask::Send(text.to_owned())).await.map_err(gone)
    }
}

/// What is wanted of a shared socket.
enum Ask {
    /// Send this.
    Send(String),
    /// A place; none is given to an instrument that has one. When the socket was opened, and what comes.
    Join(Shared, oneshot::Sender<Option<(Instant, Frames)>>),
}

/// A shared socket, seen from those who have a place on it. It is closed when nobody has.
type Door = mpsc::Sender<Ask>;

/// An attempt to open a socket, which all who want one wait for.
type Opening = Pin<Box<dyn Future<Output = Opened> + Send>>;
type Opened = Result<Door, Arc<tungstenite::Error>>;

/// How a socket is opened and kept.
#[derive(Clone)]
pub struct Dial {
    pub config: Arc<FeedConfig>,
    pub net: Arc<Net>,
    pub adapter: Arc<dyn Adapter>,
    pub url: String,
    pub keep_alive: Option<KeepAlive>,
}

/// The shared sockets of a process, by address.
#[derive(Clone, Default)]
pub struct Trunks(Arc<Mutex<HashMap<String, Address>>>);

impl PartialEq for Trunks {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl std::fmt::Debug for Trunks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trunks")
    }
}

/// What there is at an address.
struct Address {
    /// The newest socket.
    newest: Option<mpsc::WeakSender<Ask>>,
    pending: Option<WeakShared<Opening>>,
    backoff: Backoff,
    /// No attempt before: the last one failed.
    not_before: Instant,
}

impl Trunks {
    /// A place for an instrument: on the newest socket, or on one that is opened for it.
    ///
    /// # Errors
    /// As those of [`Net::connect`]; all who wait for the same attempt get the same.
    pub async fn join(&self, dial: &Dial, who: &Shared) -> Result<Place, Arc<tungstenite::Error>> {
        let newest = self.at(dial, |address| address.newest.as_ref().and_then(mpsc::WeakSender::upgrade));
        if let Some(door) = newest
            && let Some(place) = take(door, who).await
        {
            return Ok(place);
        }
        loop {
            let door = self.attempt(dial).await?;
            // None where another of the same name was faster, or the socket is lost again already.
            if let Some(place) = take(door, who).await {
                return Ok(place);
            }
        }
    }

    /// Looks at an address.
    fn at<T>(&self, dial: &Dial, look: impl FnOnce(&mut Address) -> T) -> T {
        let fresh = || Address {
            newest: None,
            pending: None,
            backoff: Backoff::new(dial.config.backoff_first, dial.config.backoff_most),
            not_before: Instant::now(),
        };
        let mut addresses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        look(addresses.entry(dial.url.clone()).or_insert_with(fresh))
    }

    /// The attempt under way, or a new one.
    fn attempt(&self, dial: &Dial) -> Joint<Opening> {
        self.at(dial, |address| {
            if let Some(attempt) = address.pending.as_ref().and_then(WeakShared::upgrade) {
                return attempt;
            }
            let (trunks, dial, not_before) = (self.clone(), dial.clone(), address.not_before);
            let attempt: Opening = Box::pin(async move {
                sleep_until(not_before).await;
                let (adapter, keep_alive) = (Arc::clone(&dial.adapter), dial.keep_alive.clone());
                let opened = Wire::open(&dial.net, adapter, &dial.url, keep_alive).await;
                trunks.at(&dial, |address| address.settle(opened, &dial))
            });
            let attempt = attempt.shared();
            address.pending = attempt.downgrade();
            attempt
        })
    }
}

impl Address {
    /// Takes in how an attempt ended.
    fn settle(&mut self, opened: tungstenite::Result<Wire>, dial: &Dial) -> Opened {
        self.pending = None;
        match opened {
            Ok(wire) => {
                self.backoff.reset();
                let (door, asks) = mpsc::channel(ASKS);
                self.newest = Some(door.downgrade());
                let adapter = Arc::clone(&dial.adapter);
                let spoke = wire.opened();
                let trunk = Trunk { wire, adapter, asks, seats: Vec::new(), spoke, idle: dial.config.idle };
                tokio::spawn(trunk.run());
                Ok(door)
            }
            Err(e) => {
                let asked = match &e {
                    tungstenite::Error::Http(answer) => retry_after(answer.headers()),
                    _ => None,
                };
                self.not_before = Instant::now() + self.backoff.wait().max(asked.unwrap_or_default());
                Err(Arc::new(e))
            }
        }
    }
}

/// Asks a socket for a place.
async fn take(door: Door, who: &Shared) -> Option<Place> {
    let (reply, answer) = oneshot::channel();
    door.send(Ask::Join(who.clone(), reply)).await.ok()?;
    let (opened, frames) = answer.await.ok()??;
    Some(Place { opened, frames, asks: door })
}

/// A shared socket, as its task holds it.
struct Trunk {
    wire: Wire,
    adapter: Arc<dyn Adapter>,
    asks: mpsc::Receiver<Ask>,
    seats: Vec<Seat>,
    /// When data last came, for whomever.
    spoke: Instant,
    /// How long none may come. A silent stream is begun anew on the same socket; where all are silent, the socket is at fault.
    idle: Duration,
}

/// The other end of a [`Place`].
struct Seat {
    who: Shared,
    frames: mpsc::Sender<Result<Heard, Lost>>,
}

impl Seat {
    /// Tells what came; `false` where nobody listens, or not fast enough.
    fn tell(&self, heard: Heard) -> bool {
        // The last of the room is kept for the reason of the end.
        if self.frames.capacity() > 1 {
            return self.frames.try_send(Ok(heard)).is_ok();
        }
        self.end(Lost::Broken("frames were not read in time".into()));
        false
    }

    /// Tells that it is over.
    fn end(&self, why: Lost) {
        // Who has left does not need to know.
        let _ = self.frames.try_send(Err(why));
    }
}

impl Trunk {
    /// Runs until nobody has a place, or the socket is lost.
    async fn run(mut self) {
        let lost = loop {
            let done = tokio::select! {
                biased;
                ask = self.asks.recv() => match ask {
                    Some(ask) => self.grant(ask).await,
                    None => return self.wire.close(),
                },
                heard = self.wire.next() => match heard {
                    Ok(heard) => self.tell(heard).await,
                    Err(lost) => break lost,
                },
                () = sleep_until(self.spoke + self.idle) => break Lost::Broken("nothing comes any more".into()),
            };
            if let Err(e) = done {
                break Lost::Broken(obstacle(&e));
            }
        };
        for seat in &self.seats {
            seat.end(lost.clone());
        }
    }

    async fn grant(&mut self, ask: Ask) -> tungstenite::Result<()> {
        match ask {
            Ask::Send(text) => self.wire.send(&text).await,
            Ask::Join(who, reply) => {
                let left = self.seats.extract_if(.., |seat| seat.frames.is_closed()).collect();
                self.take_back(left).await?;
                let is_held = self.seats.iter().any(|seat| seat.who.name == who.name);
                let place = (!is_held).then(|| {
                    let (frames, heard) = mpsc::channel(WAITING);
                    self.seats.push(Seat { who, frames });
                    (self.wire.opened(), heard)
                });
                // Who has left meanwhile is found out with the next frame.
                let _ = reply.send(place);
                Ok(())
            }
        }
    }

    /// Tells a frame to the one it is for, or to all. One that is for nobody was under way when its instrument left.
    async fn tell(&mut self, heard: Heard) -> tungstenite::Result<()> {
        if heard.1 == Nature::Pong {
            return Ok(());
        }
        if self.adapter.stream_of(&heard.0).is_some() {
            self.spoke = Instant::now();
        }
        let name = self.adapter.addressee(&heard.0);
        let is_deaf = |seat: &mut Seat| name.is_none_or(|n| n == seat.who.name) && !seat.tell(heard.clone());
        let left = self.seats.extract_if(.., is_deaf).collect();
        self.take_back(left).await
    }

    /// Ends the subscriptions of those who have left.
    async fn take_back(&mut self, left: Vec<Seat>) -> tungstenite::Result<()> {
        for text in left.iter().flat_map(|seat| &seat.who.goodbye) {
            self.wire.send(text).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
