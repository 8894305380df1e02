//! Websocket connections: routes, subscriptions, envelopes and the exchange's own keep-alive (exchanges.md §3.1, §1.5).

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::SinkExt as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, interval_at, sleep_until};

use super::streams::{Route, Stream};
use super::{Exchange, Running};
use crate::sim::hub::{Letter, Seat};

/// Largest message taken from a client, bytes.
const MAX_MESSAGE: usize = 64 * 1_024;
/// Streams a connection may hold.
const MAX_STREAMS: usize = 1_024;
/// Messages a client may send in a second.
const MAX_INBOUND: u32 = 10;
/// Protocol pings.
const PING: Duration = Duration::from_secs(180);
/// Time a client has to answer one.
const PONG: Duration = Duration::from_secs(600);
/// Longest life of a connection.
const LIFE: Duration = Duration::from_secs(24 * 3_600);

type Shared = Arc<Exchange>;

/// Un-routed addresses carry what `/public` carries, and nothing else since 2026-04-23.
pub(super) fn router() -> Router<Shared> {
    let mut router = Router::new();
    for (prefix, route) in [("/market", Route::Market), ("/public", Route::Public), ("", Route::Public)] {
        let combined = async move |State(exchange): State<Shared>, Query(asked): Query<Asked>, upgrade| {
            let names = asked.streams.split('/').map(str::to_owned).collect();
            open(exchange, upgrade, route, true, names)
        };
        let raw = async move |State(exchange): State<Shared>, Path(names): Path<String>, upgrade| {
            let names = names.split('/').map(str::to_owned).collect();
            open(exchange, upgrade, route, false, names)
        };
        let bare = async move |State(exchange): State<Shared>, upgrade| {
            open(exchange, upgrade, route, false, Vec::new())
        };
        router = router
            .route(&format!("{prefix}/stream"), get(combined))
            .route(&format!("{prefix}/ws"), get(bare))
            .route(&format!("{prefix}/ws/{{*names}}"), get(raw));
    }
    router
}

#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(default)]
    streams: String,
}

fn open(
    exchange: Shared,
    upgrade: WebSocketUpgrade,
    route: Route,
    combined: bool,
    mut names: Vec<String>,
) -> Response {
    names.retain(|name| !name.is_empty());
    if names.len() > MAX_STREAMS {
        return StatusCode::BAD_REQUEST.into_response();
    }
    upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE).on_upgrade(move |socket| async move {
        let mut session = Session::new(exchange, route, combined);
        session.subscribe(names);
        session.run(socket).await;
    })
}

/// One connection.
struct Session {
    exchange: Shared,
    route: Route,
    combined: bool,
    /// Everything subscribed to, also what will never speak.
    names: Vec<String>,
    seat: Seat<Stream>,
    /// The running second and the messages received in it.
    inbound: (Instant, u32),
}

/// What to do after a message from the client.
enum Next {
    Reply(String),
    Nothing,
    Close(u16, &'static str),
}

impl Session {
    fn new(exchange: Shared, route: Route, combined: bool) -> Self {
        let seat = exchange.hub.join();
        Self { exchange, route, combined, names: Vec::new(), seat, inbound: (Instant::now(), 0) }
    }

    fn subscribe(&mut self, names: Vec<String>) {
        for name in names {
            if !self.names.contains(&name) {
                self.names.push(name);
            }
        }
        self.take_streams();
    }

    /// Asks for what exists and is on this route; the rest stays silent, as on the real exchange.
    fn take_streams(&self) {
        let streams: Vec<Stream> =
            self.names.iter().filter_map(|n| Stream::parse(n)).filter(|s| s.route() == self.route).collect();
        for symbol in streams.iter().filter_map(|s| s.symbol()) {
            self.exchange.wake(symbol);
        }
        self.seat.subscribe(streams);
    }

    async fn run(mut self, mut socket: WebSocket) {
        let _running = Running::enter(&self.exchange.running);
        let (stop, cut) = (self.exchange.stop.clone(), self.seat.cut());
        let born = Instant::now();
        let mut ping = interval_at(born + PING, PING);
        let mut heard = born;
        let why = loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break Some((1001, "going away")),
                // No farewell: the socket is full of what was not read.
                () = cut.cancelled() => break None,
                () = sleep_until(born + LIFE) => break Some((1001, "24 hours are over")),
                _ = ping.tick() => {
                    if heard.elapsed() > PONG {
                        break None;
                    }
                    let stamp = self.exchange.clock.now_ms().to_string();
                    if socket.send(Message::Ping(stamp.into())).await.is_err() {
                        break None;
                    }
                }
                message = socket.recv() => {
                    heard = Instant::now();
                    let next = match message {
                        Some(Ok(Message::Text(text))) => self.hear(text.as_str()),
                        Some(Ok(Message::Binary(_))) => Next::Close(1003, "text only"),
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => self.count(),
                        Some(Ok(Message::Close(_)) | Err(_)) | None => break None,
                    };
                    match next {
                        Next::Nothing => {}
                        Next::Reply(text) => {
                            if socket.send(Message::text(text)).await.is_err() {
                                break None;
                            }
                        }
                        Next::Close(code, reason) => break Some((code, reason)),
                    }
                }
                letter = self.seat.letters.recv() => {
                    let Some(letter) = letter else { break None };
                    let sent = tokio::select! {
                        sent = self.post(&mut socket, letter) => sent,
                        () = cut.cancelled() => false,
                        () = stop.cancelled() => false,
                    };
                    if !sent {
                        break None;
                    }
                }
            }
        };
        if let Some((code, reason)) = why {
            let farewell = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
            // A client that does not read its farewell does not hold up the end.
            let _ = tokio::time::timeout(Duration::from_secs(1), socket.send(farewell)).await;
        }
    }

    /// Sends a letter and all that wait behind it in one go.
    async fn post(&mut self, socket: &mut WebSocket, first: Letter<Stream>) -> bool {
        let mut letter = Some(first);
        while let Some(Letter { stream, payload }) = letter {
            let text = match stream.filter(|_| self.combined) {
                Some(stream) => format!(r#"{{"stream":"{stream}","data":{payload}}}"#),
                None => payload.to_string(),
            };
            if socket.feed(Message::text(text)).await.is_err() {
                return false;
            }
            letter = self.seat.letters.try_recv().ok();
        }
        socket.flush().await.is_ok()
    }

    /// Counts a message; too many in a second end the connection.
    fn count(&mut self) -> Next {
        if self.inbound.0.elapsed() >= Duration::from_secs(1) {
            self.inbound = (Instant::now(), 0);
        }
        self.inbound.1 += 1;
        if self.inbound.1 > MAX_INBOUND { Next::Close(1008, "too many requests") } else { Next::Nothing }
    }

    /// Answers a control message (exchanges.md §3.1).
    fn hear(&mut self, text: &str) -> Next {
        if let close @ Next::Close(..) = self.count() {
            return close;
        }
        if let Err(error) = serde_json::from_str::<&RawValue>(text) {
            return Next::Reply(refusal(3, &format!("Invalid JSON: {error}")));
        }
        let control: Control = match serde_json::from_str(text) {
            Ok(control) => control,
            Err(error) => return Next::Reply(refusal(2, &format!("Invalid request: {error}"))),
        };
        let id = control.id.map_or_else(|| "null".to_owned(), |id| id.to_string());
        let result = match control.method {
            Method::Subscribe => {
                if self.names.len() + control.params.len() > MAX_STREAMS {
                    return Next::Close(1008, "too many streams");
                }
                self.subscribe(control.params);
                "null".to_owned()
            }
            Method::Unsubscribe => {
                self.names.retain(|name| !control.params.contains(name));
                self.take_streams();
                "null".to_owned()
            }
            Method::ListSubscriptions => serde_json::json!(self.names).to_string(),
            Method::SetProperty | Method::GetProperty => {
                return Next::Reply(refusal(0, "Unknown property"));
            }
        };
        Next::Reply(format!(r#"{{"result":{result},"id":{id}}}"#))
    }
}

fn refusal(code: u8, msg: &str) -> String {
    serde_json::json!({ "code": code, "msg": msg }).to_string()
}

/// The exchange's own message names these variants in this order.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Method {
    Subscribe,
    Unsubscribe,
    ListSubscriptions,
    SetProperty,
    GetProperty,
}

#[derive(Debug, Deserialize)]
struct Control {
    method: Method,
    #[serde(default)]
    params: Vec<String>,
    id: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_method_is_told_as_documented() {
        let error =
            serde_json::from_str::<Control>(r#"{"method":"SUBSCRIB","params":[],"id":1}"#).unwrap_err();
        let told: serde_json::Value =
            serde_json::from_str(&refusal(2, &format!("Invalid request: {error}"))).unwrap();
        assert_eq!(told["code"], 2);
        let msg = told["msg"].as_str().unwrap().replace('`', "");
        let expected = "Invalid request: unknown variant SUBSCRIB, expected one of SUBSCRIBE, UNSUBSCRIBE, \
                        LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY at line 1 column 20";
        assert_eq!(msg, expected);
    }
}
