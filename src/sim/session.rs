//! A websocket connection, whatever is said on it: keep-alive, mailbox, farewell.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::WebSocketUpgrade;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use axum::response::Response;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tokio_util::sync::CancellationToken;

use futures_util::SinkExt as _;

use super::exchange::Exchange;
use super::hub::{Letter, Rows, Seat};
use super::trouble::KeepAlive;
use super::venue::{Encoder, Farewell, Talk};

/// Largest message taken from a client, bytes.
const MAX_MESSAGE: usize = 64 * 1_024;
/// Far enough away to be never.
const NEVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// What to do after a message from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Send this, with so many rows in it.
    Say(String, Rows),
    /// Send this answer to a ping, unless pings are to stay unanswered.
    Pong(String),
    /// Close with a code and a reason.
    Close(u16, &'static str),
}

impl Reply {
    /// An answer without rows.
    pub fn say(text: impl Into<String>) -> Self {
        Self::Say(text.into(), Rows::NONE)
    }
}

/// Takes a connection over from HTTP and serves it.
pub(crate) fn open<E: Encoder>(
    exchange: Arc<Exchange<E>>,
    upgrade: WebSocketUpgrade,
    talk: E::Talk,
) -> Response {
    upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE).on_upgrade(move |socket| async move {
        let _running = exchange.markets.run();
        let seat = exchange.hub.join();
        let rules = exchange.keep_alive();
        let born = Instant::now();
        let session = Session {
            exchange,
            seat,
            talk,
            rules,
            inbound: (born, 0),
            dies: born + rules.life.unwrap_or(NEVER),
            last_words: (1001, "the connection has lived long enough"),
        };
        session.run(socket).await;
    })
}

/// One connection.
struct Session<E: Encoder> {
    exchange: Arc<Exchange<E>>,
    seat: Seat<E::Stream>,
    talk: E::Talk,
    rules: KeepAlive,
    /// The running second and the messages received in it.
    inbound: (Instant, u32),
    /// When it ends, and with which words.
    dies: Instant,
    last_words: (u16, &'static str),
}

/// Whether a connection goes on.
enum Flow {
    On,
    /// Ends with a farewell.
    Close(u16, &'static str),
    /// Ends without.
    Drop,
}

impl<E: Encoder> Session<E> {
    async fn run(mut self, mut socket: WebSocket) {
        let (stop, cut) = (self.exchange.markets.stop.clone(), self.seat.cut());
        let born = Instant::now();
        let period = self.rules.ping.unwrap_or(NEVER);
        let mut ping = interval_at(born + period, period);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = born;
        let greeting = self.talk.greet(&self.seat).await;
        let mut flow = self.say(&mut socket, greeting).await;
        while matches!(flow, Flow::On) {
            flow = tokio::select! {
                biased;
                () = stop.cancelled() => Flow::Close(1001, "going away"),
                // No farewell: the socket is full of what was not read.
                () = cut.cancelled() => Flow::Drop,
                () = sleep_until(self.dies) => Flow::Close(self.last_words.0, self.last_words.1),
                () = sleep_until(heard + self.rules.silence) => Flow::Drop,
                _ = ping.tick() => {
                    let stamp = self.exchange.now_ms().to_string();
                    sent(&socket.send(Message::Ping(stamp.into())).await)
                }
                message = socket.recv() => {
                    heard = Instant::now();
                    // What was told before this was said goes out before its answer.
                    let flow = match self.seat.letters.try_recv() {
                        Ok(letter) => self.post_unless(&mut socket, letter, [&cut, &stop]).await,
                        Err(_) => Flow::On,
                    };
                    match flow {
                        Flow::On => self.hear(&mut socket, message).await,
                        flow => flow,
                    }
                }
                letter = self.seat.letters.recv() => {
                    if E::SENDING_COUNTS {
                        heard = Instant::now();
                    }
                    match letter {
                        Some(letter) => self.post_unless(&mut socket, letter, [&cut, &stop]).await,
                        None => Flow::Drop,
                    }
                }
            };
        }
        if let Flow::Close(code, reason) = flow {
            let farewell = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
            // A client that does not read its farewell does not hold up the end.
            let _ = tokio::time::timeout(Duration::from_secs(1), socket.send(farewell)).await;
        }
    }

    async fn hear(&mut self, socket: &mut WebSocket, message: Option<Result<Message, axum::Error>>) -> Flow {
        let text = match message {
            Some(Ok(Message::Text(text))) => Some(text),
            Some(Ok(Message::Binary(_))) => return Flow::Close(1003, "text only"),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => None,
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Flow::Drop,
        };
        if self.is_too_much() {
            return Flow::Close(1008, "too many requests");
        }
        let Some(text) = text else { return Flow::On };
        let replies = self.talk.hear(text.as_str(), &self.seat).await;
        self.say(socket, replies).await
    }

    /// Counts a message; too many in a second end the connection.
    fn is_too_much(&mut self) -> bool {
        if self.inbound.0.elapsed() >= Duration::from_secs(1) {
            self.inbound = (Instant::now(), 0);
        }
        self.inbound.1 += 1;
        self.rules.inbound.is_some_and(|most| self.inbound.1 > most)
    }

    async fn say(&mut self, socket: &mut WebSocket, replies: Vec<Reply>) -> Flow {
        for reply in replies {
            let (text, rows) = match reply {
                Reply::Say(text, rows) => (text, rows),
                Reply::Pong(_) if self.exchange.trouble.no_pongs() => continue,
                Reply::Pong(text) => (text, Rows::NONE),
                Reply::Close(code, reason) => return Flow::Close(code, reason),
            };
            if socket.send(Message::text(text)).await.is_err() {
                return Flow::Drop;
            }
            self.exchange.trouble.book(&rows);
        }
        Flow::On
    }

    /// As [`Self::post`], but not for longer than these let it.
    async fn post_unless(
        &mut self,
        socket: &mut WebSocket,
        first: Letter<E::Stream>,
        [cut, stop]: [&CancellationToken; 2],
    ) -> Flow {
        tokio::select! {
            flow = self.post(socket, first) => flow,
            () = cut.cancelled() => Flow::Drop,
            () = stop.cancelled() => Flow::Drop,
        }
    }

    /// Sends a letter and all that wait behind it in one go.
    async fn post(&mut self, socket: &mut WebSocket, first: Letter<E::Stream>) -> Flow {
        let mut next = Some(first);
        while let Some(letter) = next {
            let (text, rows) = match letter {
                Letter::Frame { stream, rows, payload } => {
                    (self.talk.wrap(stream, &payload).unwrap_or_else(|| payload.to_string()), rows)
                }
                Letter::Raw(text) => (text.to_string(), Rows::NONE),
                Letter::Restart(after) => match E::FAREWELL {
                    Farewell::Close => return Flow::Close(1001, "restarting"),
                    Farewell::Stay => (String::new(), Rows::NONE),
                    Farewell::Notice => {
                        (self.dies, self.last_words) = (Instant::now() + after, (1001, "service upgrade"));
                        (self.talk.notice(), Rows::NONE)
                    }
                },
            };
            if !text.is_empty() && socket.feed(Message::text(text)).await.is_err() {
                return Flow::Drop;
            }
            self.exchange.trouble.book(&rows);
            next = self.seat.letters.try_recv().ok();
        }
        sent(&socket.flush().await)
    }
}

fn sent(result: &Result<(), axum::Error>) -> Flow {
    if result.is_ok() { Flow::On } else { Flow::Drop }
}
