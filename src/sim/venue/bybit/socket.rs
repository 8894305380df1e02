//! Websocket connections: control messages and first frames (exchanges.md §4.1).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;
use serde_json::json;

use super::ticker::Ticker;
use super::topics::Topic;
use super::{Bybit, Exchange, frames};
use crate::sim::exchange::View;
use crate::sim::hub::{Kind, Rows, Seat, lock};
use crate::sim::session::{self, Reply};
use crate::sim::venue::Talk;

/// Characters of all topics of a connection.
const MAX_CHARS: usize = 21_000;

type Shared = Arc<Exchange>;

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/v5/public/linear", get(open))
}

async fn open(State(exchange): State<Shared>, upgrade: WebSocketUpgrade) -> Response {
    let number = exchange.encoder.connections.fetch_add(1, Ordering::Relaxed);
    let id = frames::uuid(number ^ exchange.now_ms() as u64);
    let talk = Conversation { exchange: Arc::clone(&exchange), id, topics: Vec::new() };
    session::open(exchange, upgrade, talk)
}

/// What a connection asked for.
pub(crate) struct Conversation {
    exchange: Shared,
    /// The connection's.
    id: String,
    topics: Vec<Topic>,
}

#[derive(Debug, Deserialize)]
struct Request {
    #[serde(default)]
    req_id: Option<String>,
    op: String,
    #[serde(default)]
    args: Vec<String>,
}

impl Talk<Bybit> for Conversation {
    async fn hear(&mut self, text: &str, seat: &Seat<Topic>) -> Vec<Reply> {
        let request: Request = match serde_json::from_str(text) {
            Ok(request) => request,
            Err(error) => {
                let none = Request { req_id: None, op: String::new(), args: Vec::new() };
                return vec![self.refuse(&none, &format!("Invalid request: {error}"))];
            }
        };
        match request.op.as_str() {
            "ping" => vec![Reply::Pong(self.ack(&request, "pong"))],
            "subscribe" => match self.topics(&request) {
                Ok(topics) => {
                    let mut replies = vec![Reply::say(self.ack(&request, ""))];
                    for topic in topics {
                        if !self.topics.contains(&topic) {
                            replies.extend(self.begin(topic, seat).await);
                        }
                    }
                    replies
                }
                Err(refusal) => vec![refusal],
            },
            "unsubscribe" => match self.topics(&request) {
                Ok(topics) => {
                    self.topics.retain(|topic| !topics.contains(topic));
                    seat.subscribe(self.topics.clone());
                    vec![Reply::say(self.ack(&request, ""))]
                }
                Err(refusal) => vec![refusal],
            },
            op => vec![self.refuse(&request, &format!("Invalid op: {op}"))],
        }
    }
}

impl Conversation {
    /// What a request names. One bad topic fails the whole request.
    fn topics(&self, request: &Request) -> Result<Vec<Topic>, Reply> {
        let topic = |name: &String| {
            Topic::parse(name)
                .filter(|topic| self.exchange.is_trading(&Exchange::contracts()[topic.symbol()]))
                .ok_or_else(|| self.refuse(request, &format!("Invalid topic: {name}")))
        };
        let topics: Vec<Topic> = request.args.iter().map(topic).collect::<Result<_, _>>()?;
        let held: usize = self.topics.iter().map(|topic| topic.to_string().len()).sum();
        let asked: usize = request.args.iter().map(String::len).sum();
        if request.op == "subscribe" && held + asked > MAX_CHARS {
            return Err(self.refuse(request, &format!("args are longer than {MAX_CHARS} characters")));
        }
        Ok(topics)
    }

    /// Subscribes to a topic; gives the snapshot it begins with, if it does. Nothing is told between the two.
    async fn begin(&mut self, topic: Topic, seat: &Seat<Topic>) -> Option<Reply> {
        let exchange = Arc::clone(&self.exchange);
        let begun = exchange.read(topic.symbol(), |view| {
            self.topics.push(topic);
            seat.subscribe(self.topics.clone());
            first_frame(&self.exchange, topic, view)
        });
        let (rows, text) = begun.await.inspect_err(|error| tracing::error!("{error:#}")).ok()??;
        Some(Reply::Say(text, rows))
    }

    fn ack(&self, request: &Request, message: &str) -> String {
        let Request { req_id, op, .. } = request;
        let req_id = json!(req_id.as_deref().unwrap_or_default());
        format!(
            r#"{{"success":true,"ret_msg":"{message}","conn_id":"{id}","req_id":{req_id},"op":"{op}"}}"#,
            id = self.id
        )
    }

    /// The documented refusal carries no `req_id`; one that was given comes back.
    fn refuse(&self, request: &Request, message: &str) -> Reply {
        let Request { req_id, op, .. } = request;
        let req_id = req_id.as_ref().map_or(String::new(), |id| format!(r#""req_id":{},"#, json!(id)));
        Reply::say(format!(
            r#"{{"success":false,"ret_msg":{message},"conn_id":"{id}",{req_id}"op":{op}}}"#,
            message = json!(message),
            id = self.id,
            op = json!(op),
        ))
    }
}

fn first_frame(exchange: &Exchange, topic: Topic, view: &View<'_>) -> Option<(Rows, String)> {
    let (at, ms) = (view.at, view.now_ms);
    let mut boards = lock(&exchange.encoder.boards);
    let board = &mut boards[view.index];
    match topic {
        Topic::Book(_, depth) => {
            let text = frames::book_snapshot(&view.history, depth, at, ms, board.base);
            Some((Kind::Book.into(), text))
        }
        Topic::Ticker(_) => {
            // The state the next delta is relative to.
            let hide = exchange.trouble.no_open_interest();
            let now = || Ticker::of(&view.history, &mut board.day, at, ms, hide);
            Some(board.ticker.get_or_insert_with(now).snapshot(at, ms))
        }
        _ => None,
    }
}
