//! Websocket connections: subscriptions one by one, and errors as text (exchanges.md §6.1).

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::topics::{Topic, Wanted};
use super::{Exchange, Hyperliquid, active_context, frames, info, over_all};
use crate::sim::exchange::View;
use crate::sim::hub::{Kind, Rows, Seat};
use crate::sim::session::{self, Reply};
use crate::sim::venue::Talk;

/// Trades of the past told at first.
const PAST: usize = 30;

type Shared = Arc<Exchange>;

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/ws", get(open))
}

/// The sheet does not say how one connection too many is turned away; here as a request too many is.
async fn open(State(exchange): State<Shared>, upgrade: WebSocketUpgrade) -> Response {
    if !exchange.encoder.limits.connect() {
        return info::too_many().into_response();
    }
    let talk = Conversation { exchange: Arc::clone(&exchange), topics: Vec::new() };
    session::open(exchange, upgrade, talk)
}

/// What a connection asked for.
pub(crate) struct Conversation {
    exchange: Shared,
    topics: Vec<Topic>,
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.exchange.encoder.limits.leave(self.topics.len());
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Method {
    Subscribe,
    Unsubscribe,
    Ping,
}

#[derive(Debug, Deserialize)]
struct Request<'a> {
    method: Method,
    #[serde(borrow)]
    subscription: Option<&'a RawValue>,
}

impl Talk<Hyperliquid> for Conversation {
    async fn hear(&mut self, text: &str, seat: &Seat<Topic>) -> Vec<Reply> {
        if !self.exchange.encoder.limits.hear() {
            return vec![Reply::Close(1008, "too many messages")];
        }
        self.answer(text, seat).await.unwrap_or_else(|| vec![refusal(text)])
    }
}

/// The request comes back as text; there is nothing else to match it by.
fn refusal(request: &str) -> Reply {
    let words = format!("Error parsing JSON into valid websocket request: {request}");
    Reply::say(frames::frame("error", &json!(words).to_string()))
}

impl Conversation {
    /// `None` for a request that cannot be read.
    async fn answer(&mut self, text: &str, seat: &Seat<Topic>) -> Option<Vec<Reply>> {
        let request: Request<'_> = serde_json::from_str(text).ok()?;
        let (name, begins) = match request.method {
            Method::Ping => return Some(vec![Reply::Pong(r#"{"channel":"pong"}"#.to_owned())]),
            Method::Subscribe => ("subscribe", true),
            Method::Unsubscribe => ("unsubscribe", false),
        };
        let subscription = request.subscription?;
        let wanted: Wanted = serde_json::from_str(subscription.get()).ok()?;
        let topic = wanted.topic().ok()?;
        let data = format!(r#"{{"method":"{name}","subscription":{}}}"#, subscription.get());
        let mut replies = vec![Reply::say(frames::frame("subscriptionResponse", &data))];
        let held = topic.is_some_and(|topic| self.topics.contains(&topic));
        match topic {
            Some(topic) if begins && !held => {
                if !self.exchange.encoder.limits.subscribe() {
                    return None;
                }
                replies.extend(self.begin(topic, seat).await);
            }
            Some(topic) if !begins && held => {
                self.topics.retain(|held| *held != topic);
                self.exchange.encoder.limits.unsubscribe();
                seat.subscribe(self.topics.clone());
            }
            _ => {}
        }
        Some(replies)
    }

    /// Subscribes to a topic; gives the frame it begins with. Nothing is told between the two.
    async fn begin(&mut self, topic: Topic, seat: &Seat<Topic>) -> Option<Reply> {
        let exchange = Arc::clone(&self.exchange);
        self.topics.push(topic);
        let Some(coin) = topic.coin() else {
            return Some(exchange.markets.at_now(|at| {
                seat.subscribe(self.topics.clone());
                let (rows, text) = over_all(&exchange, topic, at);
                Reply::Say(text, rows)
            }));
        };
        let begun = exchange.read(coin, |view| {
            seat.subscribe(self.topics.clone());
            first_frame(&exchange, topic, view)
        });
        let (rows, text) = begun.await.inspect_err(|error| tracing::error!("{error:#}")).ok()?;
        Some(Reply::Say(text, rows))
    }
}

/// What a subscription begins with: how things stand, and for trades those of the past, which are nobody's news and
/// not booked.
fn first_frame(exchange: &Exchange, topic: Topic, view: &View<'_>) -> (Rows, String) {
    let (contract, history, at, ms) = (view.contract, &view.history, view.at, view.now_ms);
    match topic {
        Topic::Trades(_) => {
            let rows = frames::recent(history, PAST);
            (Rows::NONE, frames::frame("trades", &format!("[{}]", rows.join(","))))
        }
        Topic::Book(_, grain) => {
            let book = history.book(at);
            (Kind::Book.into(), frames::frame("l2Book", &frames::book(contract, &book, grain, ms)))
        }
        Topic::Bbo(_) => {
            let book = history.book(at);
            (Kind::Ticker.into(), frames::frame("bbo", &frames::bbo(contract, &book, ms)))
        }
        Topic::Candle(_, interval) => {
            let running = history.bars_of(interval.ms, i64::MIN / 2, i64::MAX).pop();
            let data =
                running.map_or_else(|| "null".to_owned(), |bar| frames::candle(contract, &bar, interval));
            (Rows::NONE, frames::frame("candle", &data))
        }
        _ => active_context(exchange, history, at),
    }
}
