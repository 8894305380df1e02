//! A plain client of the simulated venues, which knows HTTP, websockets and JSON and no venue.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use meltline::sim::{self, Scenario, SimConfig, SimServer};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;

/// When the simulated clock starts, UTC ms: Saturday 22 November 2025, 08:26:40.
pub const START: i64 = 1_763_800_000_000;
/// Nothing takes this long; it only keeps a failing test from hanging.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// All four venues.
pub async fn serve(scenario: Scenario, speed: f64) -> (SimServer, CancellationToken) {
    let stop = CancellationToken::new();
    let config = SimConfig { scenario, seed: 1, speed, listen: "127.0.0.1:0".parse().unwrap() };
    (sim::start_at(config, START, stop.clone()).await.unwrap(), stop)
}

/// Asks over HTTP: status and body.
pub async fn ask(request: reqwest::RequestBuilder) -> (u16, String) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

pub fn http() -> reqwest::Client {
    // The crate's own TLS is set up by the program; loopback needs none, but the builder wants a provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// A websocket.
pub struct Line(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Line {
    pub async fn open(url: &str) -> Self {
        Self(timeout(PATIENCE, connect_async(url)).await.unwrap().unwrap().0)
    }

    pub async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// The next text, which must be JSON; `None` once the connection has ended, however it did.
    pub async fn hear(&mut self) -> Option<Value> {
        let search = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                    Some(Ok(_)) => {}
                }
            }
        };
        timeout(PATIENCE, search).await.expect("nothing was said")
    }

    /// The next text that `wanted` takes.
    pub async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let search = async {
            loop {
                let text = self.hear().await.expect("the connection ended");
                if wanted(&text) {
                    return text;
                }
            }
        };
        timeout(PATIENCE, search).await.expect("it was not said")
    }

    /// Waits for the end of the connection.
    pub async fn end(&mut self) {
        timeout(PATIENCE, async { while self.hear().await.is_some() {} }).await.expect("it did not end");
    }
}

/// A number that is written as a string.
pub fn number(value: &Value) -> f64 {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).parse().unwrap()
}

pub fn rows(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}
