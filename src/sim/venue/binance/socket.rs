//! Websocket connections: routes, subscriptions and envelopes (exchanges.md §3.1).

use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::streams::{Route, Stream};
use super::{Binance, Exchange};
use crate::sim::hub::Seat;
use crate::sim::session::{self, Reply};
use crate::sim::venue::Talk;

/// Streams a connection may hold.
const MAX_STREAMS: usize = 1_024;

type Shared = Arc<Exchange>;

/// Un-routed addresses carry what `/public` carries, and nothing else since 2026-04-23.
pub(super) fn router() -> Router<Shared> {
    let mut router = Router::new();
    for (prefix, route) in [("/market", Route::Market), ("/public", Route::Public), ("", Route::Public)] {
        let combined = async move |State(exchange): State<Shared>, Query(asked): Query<Asked>, upgrade| {
            open(exchange, upgrade, route, true, &asked.streams)
        };
        let raw = async move |State(exchange): State<Shared>, Path(names): Path<String>, upgrade| {
            open(exchange, upgrade, route, false, &names)
        };
        let bare =
            async move |State(exchange): State<Shared>, upgrade| open(exchange, upgrade, route, false, "");
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

fn open(exchange: Shared, upgrade: WebSocketUpgrade, route: Route, combined: bool, names: &str) -> Response {
    let names: Vec<String> = names.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if names.len() > MAX_STREAMS {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let talk = Conversation { exchange: Arc::clone(&exchange), route, combined, names };
    session::open(exchange, upgrade, talk)
}

/// What a connection asked for.
pub(crate) struct Conversation {
    exchange: Shared,
    route: Route,
    combined: bool,
    /// Everything subscribed to, also what will never speak.
    names: Vec<String>,
}

impl Talk<Binance> for Conversation {
    async fn greet(&mut self, seat: &Seat<Stream>) -> Vec<Reply> {
        let mut names = Vec::with_capacity(self.names.len());
        for name in std::mem::take(&mut self.names) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        self.names = names;
        self.take_streams(seat);
        Vec::new()
    }

    async fn hear(&mut self, text: &str, seat: &Seat<Stream>) -> Vec<Reply> {
        vec![self.answer(text, seat)]
    }

    fn wrap(&self, stream: Stream, payload: &str) -> Option<String> {
        self.combined.then(|| format!(r#"{{"stream":"{stream}","data":{payload}}}"#))
    }
}

impl Conversation {
    /// Asks for what exists and is on this route; the rest stays silent, as on the real exchange.
    fn take_streams(&self, seat: &Seat<Stream>) {
        let streams: Vec<Stream> =
            self.names.iter().filter_map(|n| Stream::parse(n)).filter(|s| s.route() == self.route).collect();
        for symbol in streams.iter().filter_map(|s| s.symbol()) {
            self.exchange.wake(symbol);
        }
        seat.subscribe(streams);
    }

    /// Answers a control message (exchanges.md §3.1).
    fn answer(&mut self, text: &str, seat: &Seat<Stream>) -> Reply {
        if let Err(error) = serde_json::from_str::<&RawValue>(text) {
            return refusal(3, &format!("Invalid JSON: {error}"));
        }
        let control: Control = match serde_json::from_str(text) {
            Ok(control) => control,
            Err(error) => return refusal(2, &format!("Invalid request: {error}")),
        };
        let id = control.id.map_or_else(|| "null".to_owned(), |id| id.to_string());
        let result = match control.method {
            Method::Subscribe => {
                if self.names.len() + control.params.len() > MAX_STREAMS {
                    return Reply::Close(1008, "too many streams");
                }
                for name in control.params {
                    if !self.names.contains(&name) {
                        self.names.push(name);
                    }
                }
                self.take_streams(seat);
                "null".to_owned()
            }
            Method::Unsubscribe => {
                self.names.retain(|name| !control.params.contains(name));
                self.take_streams(seat);
                "null".to_owned()
            }
            Method::ListSubscriptions => serde_json::json!(self.names).to_string(),
            Method::SetProperty | Method::GetProperty => return refusal(0, "Unknown property"),
        };
        Reply::say(format!(r#"{{"result":{result},"id":{id}}}"#))
    }
}

fn refusal(code: u8, msg: &str) -> Reply {
    Reply::say(serde_json::json!({ "code": code, "msg": msg }).to_string())
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
        let Reply::Say(text, _) = refusal(2, &format!("Invalid request: {error}")) else { unreachable!() };
        let told: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(told["code"], 2);
        let msg = told["msg"].as_str().unwrap().replace('`', "");
        let expected = "Invalid request: unknown variant SUBSCRIB, expected one of SUBSCRIBE, UNSUBSCRIBE, \
                        LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY at line 1 column 20";
        assert_eq!(msg, expected);
    }
}
