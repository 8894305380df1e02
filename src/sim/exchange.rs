//! One venue: what every one of them has, whatever its wire format.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse as _, Response};

use super::contracts;
use super::history::History;
use super::hub::{Hub, Letter, lock};
use super::listing::{Event, Listing};
use super::markets::{Ear, Markets};
use super::trouble::{KeepAlive, Trouble};
use super::venue::Encoder;
use super::world::World;
use super::world::contract::Contract;
use super::world::tick::Tick;

/// A venue that is served.
#[derive(Debug)]
pub(crate) struct Exchange<E: Encoder> {
    /// What the wire format remembers.
    pub encoder: E,
    pub markets: Arc<Markets>,
    pub hub: Hub<E::Stream>,
    pub trouble: Arc<Trouble>,
}

/// One contract's market at a moment, as the venue tells it: if its clock is wrong, so are all times in here.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub contract: &'static Contract,
    /// Its index among the venue's contracts.
    pub index: usize,
    pub history: Cow<'a, History>,
    /// The market on all venues, and the place of this one in it; `None` for one that is at rest.
    pub world: Option<(&'a World, usize)>,
    /// UTC ms by the venue's clock.
    pub now_ms: i64,
    /// UTC ms of simulated time: for books and for numbering, which do not depend on the venue's clock.
    pub at: i64,
}

impl<E: Encoder> Exchange<E> {
    pub fn new(markets: Arc<Markets>, trouble: Arc<Trouble>) -> Self {
        Self { encoder: E::default(), markets, hub: Hub::new(Arc::clone(&trouble)), trouble }
    }

    /// Everything served over HTTP.
    pub fn router(self: &Arc<Self>) -> Router {
        let guarded = middleware::from_fn_with_state(Arc::clone(self), guard::<E>);
        E::router().layer(guarded).with_state(Arc::clone(self))
    }

    /// The venue's contracts, delisted ones among them.
    pub fn contracts() -> &'static [Contract] {
        contracts::of(E::VENUE)
    }

    /// Index of a symbol among the contracts.
    pub fn find(symbol: &str) -> Option<usize> {
        Self::contracts().iter().position(|contract| contract.symbol == symbol)
    }

    /// Whether a contract is traded: it may be delisted while the venue runs.
    pub fn is_trading(&self, contract: &Contract) -> bool {
        !self.trouble.is_delisted(contract.symbol)
    }

    /// UTC ms by the venue's clock.
    pub fn now_ms(&self) -> i64 {
        self.markets.clock.now_ms() + self.trouble.skew_ms()
    }

    /// How connections are kept alive.
    pub fn keep_alive(&self) -> KeepAlive {
        self.trouble.keep_alive().unwrap_or(E::KEEP_ALIVE)
    }

    /// Begins to simulate a contract's market without waiting for it.
    pub fn wake(&self, index: usize) {
        if let Some(contract) = Self::contracts().get(index) {
            self.markets.wake(contract.coin);
        }
    }

    /// Reads a contract's market as it is now, building it if need be. Nothing is published while `tell` runs.
    pub async fn read<R>(&self, index: usize, tell: impl FnOnce(&View<'_>) -> R) -> anyhow::Result<R> {
        let contract = Self::contracts().get(index).context("no such contract")?;
        let listing = self.markets.listing(contract.coin).await?;
        self.markets
            .at_now(|at| self.look(index, listing, at, tell))
            .context("the venue does not list what it lists")
    }

    /// Reads all markets as they are now. None is built for it: who lists a venue wants to know what there is, and pays for
    /// no market but those that are then asked for. What nobody has asked for is told [at rest](History::at_rest).
    pub fn read_all<R>(&self, mut tell: impl FnMut(&View<'_>) -> R) -> Vec<R> {
        self.markets.at_now(|at| {
            let mut rows = Vec::with_capacity(Self::contracts().len());
            self.each(at, |view| rows.push(tell(view)));
            rows
        })
    }

    /// Looks at every market, simulated or at rest. Only for use while told of an event or a second.
    pub fn each(&self, at: i64, mut tell: impl FnMut(&View<'_>)) {
        for (index, contract) in Self::contracts().iter().enumerate() {
            if let Some(listing) = self.markets.built(contract.coin) {
                self.look(index, listing, at, &mut tell);
            } else {
                let now_ms = at + self.trouble.skew_ms();
                let history = Cow::Owned(History::at_rest(contract, now_ms));
                tell(&View { contract, index, history, world: None, now_ms, at });
            }
        }
    }

    fn look<R>(
        &self,
        index: usize,
        listing: &Mutex<Listing>,
        at: i64,
        tell: impl FnOnce(&View<'_>) -> R,
    ) -> Option<R> {
        let listing = lock(listing);
        let world = Some(listing.world(E::VENUE)?);
        let history = listing.history(E::VENUE)?;
        let skew = self.trouble.skew_ms();
        let contract = history.contract;
        let history = if skew == 0 { Cow::Borrowed(history) } else { Cow::Owned(history.shifted(skew)) };
        Some(tell(&View { contract, index, history, world, now_ms: at + skew, at }))
    }
}

/// Faults that answer before the venue does: who is kept out by location gets a page for people, not an error body
/// (exchanges.md §1.1). Websockets are let through.
async fn guard<E: Encoder>(
    State(exchange): State<Arc<Exchange<E>>>,
    request: Request,
    next: Next,
) -> Response {
    if !request.headers().contains_key(header::UPGRADE) {
        if let Some(status) = exchange.trouble.blocked().and_then(|code| StatusCode::from_u16(code).ok()) {
            return (status, Html("<html><body>not available here</body></html>")).into_response();
        }
        if let Some(retry_after) = exchange.trouble.take_refusal() {
            return E::too_many(retry_after);
        }
    }
    next.run(request).await
}

impl<E: Encoder> Ear for Exchange<E> {
    fn event(&self, coin: usize, history: &History, event: &Event<'_>) {
        let Some((index, contract)) = contracts::on(E::VENUE, coin) else { return };
        if !self.is_trading(contract) {
            return;
        }
        let skew = self.trouble.skew_ms();
        if skew == 0 {
            E::tell(self, index, history, event);
        } else {
            shifted(event, skew, |event| E::tell(self, index, history, event));
        }
    }

    fn second(&self, ms: i64) {
        E::second(self, ms);
    }

    fn inject(&self, text: &str) {
        self.hub.broadcast(&Letter::Raw(text.into()));
    }

    fn restart(&self, after: Duration) {
        E::restarted(self);
        self.hub.broadcast(&Letter::Restart(after));
    }
}

/// An event as a venue with a wrong clock tells it.
fn shifted(event: &Event<'_>, skew: i64, tell: impl FnOnce(&Event<'_>)) {
    match *event {
        Event::Print(print) => {
            let mut print = *print;
            print.ms += skew;
            tell(&Event::Print(&print));
        }
        Event::Book { at, ms } => tell(&Event::Book { at, ms: ms + skew }),
        Event::Bar { bar, ms, closed } => {
            let mut bar = *bar;
            bar.start_ms += skew;
            tell(&Event::Bar { bar: &bar, ms: ms + skew, closed });
        }
        Event::Second(tick) => {
            let mut tick: Tick = tick.clone();
            tick.end_ms += skew;
            tick.prints.iter_mut().for_each(|print| print.ms += skew);
            tick.forced.iter_mut().for_each(|forced| forced.ms += skew);
            tell(&Event::Second(&tick));
        }
    }
}
