//! Websocket connections: addresses, subscriptions and what they are answered (exchanges.md §5.1).

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

use super::limits::Orders;
use super::streams::{Named, Route, Stream};
use super::{Exchange, Okx, frames, rest};
use crate::sim::contracts::okx::CONTRACTS;
use crate::sim::hub::{Kind, Rows, Seat};
use crate::sim::session::{self, Reply};
use crate::sim::venue::Talk;
use crate::sim::world::tick::Forced;

/// Longest `id` of a message.
const MAX_ID: usize = 32;

type Shared = Arc<Exchange>;

pub(super) fn router() -> Router<Shared> {
    let address = |route| {
        get(async move |State(exchange): State<Shared>, upgrade: WebSocketUpgrade| {
            open(exchange, upgrade, route)
        })
    };
    Router::new()
        .route("/ws/v5/public", address(Route::Public))
        .route("/ws/v5/business", address(Route::Business))
}

fn open(exchange: Shared, upgrade: WebSocketUpgrade, route: Route) -> Response {
    if !exchange.encoder.limits.connect() {
        return rest::too_many();
    }
    let name = exchange.encoder.next_connection();
    let talk = Conversation {
        exchange: Arc::clone(&exchange),
        route,
        name,
        streams: Vec::new(),
        orders: Orders::default(),
    };
    session::open(exchange, upgrade, talk)
}

/// A connection and what it subscribed to.
pub(crate) struct Conversation {
    exchange: Shared,
    route: Route,
    /// `connId`
    name: String,
    streams: Vec<Stream>,
    orders: Orders,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Op {
    Subscribe,
    Unsubscribe,
}

#[derive(Debug, Deserialize)]
struct Request {
    id: Option<String>,
    op: Op,
    args: Vec<Value>,
}

/// The parameters that name a stream.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Arg {
    channel: String,
    inst_id: Option<String>,
    inst_type: Option<String>,
}

impl Request {
    /// Reads a message: it has arguments, and an id of letters and digits if any.
    fn read(text: &str) -> Option<Self> {
        let request: Self = serde_json::from_str(text).ok()?;
        let id_is_good = |id: &String| id.len() <= MAX_ID && id.bytes().all(|b| b.is_ascii_alphanumeric());
        (!request.args.is_empty() && request.id.as_ref().is_none_or(id_is_good)).then_some(request)
    }
}

impl Talk<Okx> for Conversation {
    async fn hear(&mut self, text: &str, seat: &Seat<Stream>) -> Vec<Reply> {
        if text == "ping" {
            return vec![Reply::Pong("pong".to_owned())];
        }
        if !self.orders.take() {
            return vec![self.refusal(None, "60014", "Requests too frequent")];
        }
        let Some(request) = Request::read(text) else {
            return vec![self.refusal(None, "60012", &format!("Invalid request: {text}"))];
        };
        let mut replies = Vec::new();
        for arg in &request.args {
            self.obey(&request, arg, seat, &mut replies).await;
        }
        replies
    }

    fn notice(&self) -> String {
        let msg = "The connection will soon be closed for a service upgrade. Please reconnect.";
        json!({ "event": "notice", "code": "64008", "msg": msg, "connId": self.name }).to_string()
    }
}

impl Conversation {
    /// Does what is asked for one argument: each is answered for itself, and one that is wrong spoils no other.
    async fn obey(&mut self, request: &Request, arg: &Value, seat: &Seat<Stream>, replies: &mut Vec<Reply>) {
        let id = request.id.as_deref();
        let Ok(Arg { channel, inst_id, inst_type }) = Arg::deserialize(arg) else {
            replies.push(self.refusal(id, "60012", &format!("Invalid request: {arg}")));
            return;
        };
        let stream = match Stream::named(self.route, &channel, inst_id.as_deref(), inst_type.as_deref()) {
            Named::Stream(stream) if self.is_traded(stream) => Some(stream),
            Named::Silent => None,
            Named::Elsewhere => {
                let msg = "This channel has been migrated to the '/business' URL. Please subscribe using the new URL.";
                replies.push(self.refusal(id, "64001", msg));
                return;
            }
            Named::Stream(_) | Named::Nothing => {
                let of = inst_id.map(|id| format!(",instId:{id}"));
                let of = of.or_else(|| Some(format!(",instType:{}", inst_type?))).unwrap_or_default();
                let msg = format!(
                    "Wrong URL or channel:{channel}{of} doesn't exist. Please use the correct URL, channel and parameters referring to API document."
                );
                replies.push(self.refusal(id, "60018", &msg));
                return;
            }
        };
        let event = if request.op == Op::Subscribe { "subscribe" } else { "unsubscribe" };
        let mut answer = json!({ "event": event, "arg": arg, "connId": self.name });
        if let Some(id) = id {
            answer["id"] = id.into();
        }
        replies.push(Reply::say(answer.to_string()));
        let Some(stream) = stream else { return };
        if request.op == Op::Unsubscribe {
            self.streams.retain(|held| *held != stream);
            seat.subscribe(self.streams.clone());
        } else if !self.streams.contains(&stream) {
            self.streams.push(stream);
            replies.extend(self.begin(stream, seat).await);
        }
    }

    fn is_traded(&self, stream: Stream) -> bool {
        stream.contract().is_none_or(|contract| self.exchange.is_trading(&CONTRACTS[contract]))
    }

    /// Subscribes; a book begins with all of it, liquidations begin with those of the last time.
    async fn begin(&self, stream: Stream, seat: &Seat<Stream>) -> Option<Reply> {
        let exchange = &self.exchange;
        let subscribe = || seat.subscribe(self.streams.clone());
        match stream {
            Stream::Books(contract) => {
                let look = exchange.read(contract, |view| {
                    subscribe();
                    let book = view.history.book(view.at);
                    let seq = exchange.encoder.book_number(contract, book.step);
                    frames::snapshot(stream, view.contract, &book, seq, view.now_ms)
                });
                Some(match look.await {
                    Ok(text) => Reply::Say(text, Kind::Book.into()),
                    Err(error) => {
                        tracing::error!("{error:#}");
                        Reply::Close(1011, "internal error")
                    }
                })
            }
            Stream::Liquidations => {
                // So that there is a past to tell: the first contract's market at least, the others' if they are built.
                if let Err(error) = exchange.read(0, |_| ()).await {
                    tracing::error!("{error:#}");
                }
                exchange.markets.at_now(|at| {
                    subscribe();
                    self.past_liquidations(at)
                })
            }
            _ => {
                subscribe();
                if let Some(contract) = stream.contract() {
                    exchange.wake(contract);
                }
                None
            }
        }
    }

    /// The frame of what was liquidated lately, as it was told then, the youngest first. Nothing may be told meanwhile.
    fn past_liquidations(&self, at: i64) -> Option<Reply> {
        let (mut elements, mut rows) = (Vec::new(), 0);
        self.exchange.each(at, |view| {
            let told: Vec<&Forced> =
                view.history.forced.iter().rev().filter(|forced| frames::is_told(forced)).collect();
            if !told.is_empty() && self.exchange.is_trading(view.contract) {
                rows += told.len();
                elements.push(frames::liquidations(view.contract, told.into_iter()));
            }
        });
        let text = || frames::frame(Stream::Liquidations, &elements.join(","));
        (rows > 0).then(|| Reply::Say(text(), Rows::of(Kind::Liquidation, rows)))
    }

    fn refusal(&self, id: Option<&str>, code: &str, msg: &str) -> Reply {
        let mut error = json!({ "event": "error", "code": code, "msg": msg, "connId": self.name });
        if let Some(id) = id {
            error["id"] = id.into();
        }
        Reply::say(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_documented_and_nothing_else() {
        let request = Request::read(
            r#"{"id":"1512","op":"subscribe","args":[{"channel":"trades","instId":"BTC-USDT-SWAP"},{"channel":"liquidation-orders","instType":"SWAP"}]}"#,
        )
        .unwrap();
        assert_eq!((request.id.as_deref(), request.op, request.args.len()), (Some("1512"), Op::Subscribe, 2));
        let arg = Arg::deserialize(&request.args[1]).unwrap();
        assert_eq!((arg.inst_id, arg.inst_type.as_deref()), (None, Some("SWAP")));
        for wrong in [
            "",
            "{}",
            r#"{"op":"subscribe","args":[]}"#,
            r#"{"op":"subscribe","argss":[{"channel":"trades"}]}"#,
            r#"{"op":"login","args":[{"channel":"trades"}]}"#,
            r#"{"id":"1-2","op":"subscribe","args":[{"channel":"trades"}]}"#,
            r#"{"id":"123456789012345678901234567890123","op":"subscribe","args":[{"channel":"trades"}]}"#,
        ] {
            assert!(Request::read(wrong).is_none(), "{wrong}");
        }
    }
}
