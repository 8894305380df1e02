//! A line to a venue, as a session sees it: a socket of its own that is kept alive, or a place on one that several assets share.

use std::sync::Arc;

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::{self, Message};

use super::net::{Net, Socket, obstacle};
use super::trunk::Place;
use super::venue::{Adapter, KeepAlive, Nature};

/// What came over a line: the text of a frame, and what it is to the one who keeps the socket.
pub type Heard = (String, Nature);

/// Why a line ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// The venue closed it.
    Closed,
    /// The venue sent a message beyond all bounds, which was not read.
    TooLarge,
    /// The venue does not answer a ping.
    Dead,
    /// It broke, and how, in words.
    Broken(String),
}

/// See the module.
pub enum Line {
    /// A socket of its own.
    Own(Box<Wire>),
    /// A place on a shared one.
    Shared(Place),
}

impl Line {
    /// When the socket was opened.
    pub fn opened(&self) -> Instant {
        match self {
            Self::Own(wire) => wire.opened,
            Self::Shared(place) => place.opened(),
        }
    }

    /// The next frame. Nothing is lost if this is given up before it is ready.
    pub async fn next(&mut self) -> Result<Heard, Lost> {
        match self {
            Self::Own(wire) => wire.next().await,
            Self::Shared(place) => place.next().await,
        }
    }

    /// Sends a text.
    ///
    /// # Errors
    /// The socket is gone.
    pub async fn send(&mut self, text: &str) -> tungstenite::Result<()> {
        match self {
            Self::Own(wire) => wire.send(text).await,
            Self::Shared(place) => place.send(text).await,
        }
    }

    /// Says goodbye. The venue need not answer; a slow one does not hold us up.
    pub fn close(self) {
        if let Self::Own(wire) = self {
            wire.close();
        }
    }
}

/// A socket kept alive.
pub struct Wire {
    socket: Socket,
    opened: Instant,
    adapter: Arc<dyn Adapter>,
    pings: Option<Pings>,
    /// Since when nobody listens, after a frame was given out.
    left: Option<Instant>,
}

/// Texts that keep a socket alive.
struct Pings {
    rule: KeepAlive,
    /// When the next one is due.
    at: Instant,
    /// Until when the answer to the last one may take.
    answer_by: Option<Instant>,
}

impl Wire {
    /// Opens a socket and keeps it alive by a rule, where the venue wants more than protocol pings.
    ///
    /// # Errors
    /// As those of [`Net::connect`].
    pub async fn open(
        net: &Net,
        adapter: Arc<dyn Adapter>,
        url: &str,
        keep_alive: Option<KeepAlive>,
    ) -> tungstenite::Result<Self> {
        let socket = net.connect(url).await?;
        let opened = Instant::now();
        let pings = keep_alive.map(|rule| Pings { at: opened + rule.every, rule, answer_by: None });
        Ok(Self { socket, opened, adapter, pings, left: None })
    }

    /// When it was opened.
    pub fn opened(&self) -> Instant {
        self.opened
    }

    /// The next frame, and a ping on the way if one is due. Nothing is lost if this is given up before it is ready.
    pub async fn next(&mut self) -> Result<Heard, Lost> {
        // While nobody listens, no answer can be heard.
        if let Some(left) = self.left.take()
            && let Some(by) = self.pings.as_mut().and_then(|p| p.answer_by.as_mut())
        {
            *by += left.elapsed();
        }
        loop {
            let ping_at = self.pings.as_ref().map(|p| p.at);
            let answer_by = self.pings.as_ref().and_then(|p| p.answer_by);
            tokio::select! {
                // What has arrived comes first: the answer to a ping may wait among frames that nobody had time to read.
                biased;
                message = self.socket.next() => {
                    if let Some(heard) = self.read(message)? {
                        self.left = Some(Instant::now());
                        return Ok(heard);
                    }
                }
                () = at(answer_by) => return Err(Lost::Dead),
                () = at(ping_at) => self.ping().await.map_err(|e| Lost::Broken(obstacle(&e)))?,
            }
        }
    }

    /// A message as a frame. Pings are answered by the socket itself, with the same payload.
    fn read(&mut self, message: Option<tungstenite::Result<Message>>) -> Result<Option<Heard>, Lost> {
        let text = match message {
            None | Some(Ok(Message::Close(_))) => return Err(Lost::Closed),
            Some(Err(tungstenite::Error::Capacity(_))) => return Err(Lost::TooLarge),
            Some(Err(e)) => return Err(Lost::Broken(obstacle(&e))),
            Some(Ok(Message::Text(text))) => text.as_str().to_owned(),
            // No venue of ours sends binary frames; what one might send is counted as a frame that cannot be read.
            Some(Ok(Message::Binary(bytes))) => String::from_utf8_lossy(&bytes).into_owned(),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => return Ok(None),
        };
        let nature = self.adapter.nature(&text);
        if nature == Nature::Pong
            && let Some(pings) = &mut self.pings
        {
            pings.answer_by = None;
        }
        Ok(Some((text, nature)))
    }

    async fn ping(&mut self) -> tungstenite::Result<()> {
        let Some(pings) = &mut self.pings else { return Ok(()) };
        self.socket.send(Message::text(pings.rule.text.as_str())).await?;
        let now = Instant::now();
        pings.at = now + pings.rule.every;
        pings.answer_by = pings.answer_by.or(Some(now + pings.rule.patience));
        Ok(())
    }

    /// Sends a text.
    ///
    /// # Errors
    /// The socket is gone.
    pub async fn send(&mut self, text: &str) -> tungstenite::Result<()> {
        self.socket.send(Message::text(text)).await
    }

    /// Says goodbye, without waiting for the answer.
    pub fn close(mut self) {
        let _ = self.socket.close(None).now_or_never();
    }
}

/// Waits for a time; for ever where there is none.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
