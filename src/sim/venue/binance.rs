//! Binance USD-M futures: its contracts, streams, frames and REST answers as `exchanges.md` §3 documents them.
//!
//! Left out: `depth` streams, tickers by stream, candles other than one minute by stream, anything signed.

mod book;
pub mod contracts;
pub(crate) mod frames;
pub(crate) mod limits;
mod rest;
mod socket;
pub mod streams;

use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use axum::Router;
use tokio::sync::{OnceCell, watch};
use tokio_util::sync::CancellationToken;

use self::contracts::{CONTRACTS, COUNT};
use self::limits::Limits;
use self::streams::Stream;
use crate::sim::clock::Clock;
use crate::sim::hub::{Hub, lock};
use crate::sim::listing::{Event, Listing};
use crate::sim::world::scenario::Scenario;
use crate::sim::world::tick::Forced;

/// How often the markets are brought up to the clock, ms of wall time.
const PULSE_MS: u64 = 25;

/// The simulated Binance: markets, built when first asked for, and everyone who listens to them.
#[derive(Debug)]
pub(crate) struct Exchange {
    clock: Clock,
    scenario: Scenario,
    seed: u64,
    listings: [OnceCell<Mutex<Listing>>; COUNT],
    pub hub: Hub<Stream>,
    pub limits: Limits,
    /// Simulated time everything was told up to, UTC ms. Held while telling, so that frames leave in order.
    told_ms: Mutex<i64>,
    /// Ends the connections.
    stop: CancellationToken,
    /// Tasks and connections that run.
    running: watch::Sender<usize>,
}

impl Exchange {
    pub fn new(clock: Clock, scenario: Scenario, seed: u64, stop: CancellationToken) -> Self {
        Self {
            clock,
            scenario,
            seed,
            listings: Default::default(),
            hub: Hub::default(),
            limits: Limits::new(),
            told_ms: Mutex::new(clock.start_ms()),
            stop,
            running: watch::Sender::new(0),
        }
    }

    /// Everything served over HTTP.
    pub fn router(self: Arc<Self>) -> Router {
        rest::router().merge(socket::router()).with_state(self)
    }

    /// The market of a contract, simulated up to now if nobody asked for it before.
    pub async fn listing(&self, symbol: usize) -> anyhow::Result<&Mutex<Listing>> {
        let cell = self.listings.get(symbol).context("no such contract")?;
        cell.get_or_try_init(|| async move {
            let (scenario, seed, start_ms) = (self.scenario, self.seed, self.clock.start_ms());
            let build = move || Listing::build(&CONTRACTS[symbol], scenario, seed, start_ms);
            let listing = tokio::task::spawn_blocking(build).await.context("cannot simulate the history")?;
            Ok(Mutex::new(listing))
        })
        .await
    }

    /// Begins to simulate a contract without waiting for it.
    pub fn wake(self: &Arc<Self>, symbol: usize) {
        if self.listings.get(symbol).is_some_and(OnceCell::initialized) {
            return;
        }
        let exchange = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = exchange.listing(symbol).await {
                tracing::error!("{error:#}");
            }
        });
    }

    /// Waits until nothing runs any more.
    pub async fn idle(&self) {
        // Fails only if the sender is gone, and it is ours.
        let _ = self.running.subscribe().wait_for(|running| *running == 0).await;
    }

    /// Keeps the markets at the clock until stopped.
    pub async fn pulse(self: Arc<Self>) {
        let _running = Running::enter(&self.running);
        let mut interval = tokio::time::interval(std::time::Duration::from_millis(PULSE_MS));
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        while self.stop.run_until_cancelled(interval.tick()).await.is_some() {
            self.catch_up();
        }
    }

    /// Tells what has happened since the last time; simulated time now, UTC ms.
    pub fn catch_up(&self) -> i64 {
        let mut told = lock(&self.told_ms);
        let now = self.clock.now_ms().max(*told);
        // Second by second over all markets, for the streams that carry all of them.
        let mut second = (told.div_euclid(1_000) + 1) * 1_000;
        while second <= now {
            self.tell(second);
            self.tell_all_marks(second);
            second += 1_000;
        }
        self.tell(now);
        *told = now;
        now
    }

    fn running(&self) -> impl Iterator<Item = (usize, &Mutex<Listing>)> {
        self.listings.iter().enumerate().filter_map(|(n, cell)| Some((n, cell.get()?)))
    }

    fn tell(&self, to_ms: i64) {
        for (symbol, listing) in self.running() {
            lock(listing).advance(to_ms, &mut |event| self.publish(symbol, &event));
        }
    }

    fn publish(&self, symbol: usize, event: &Event<'_>) {
        let contract = &CONTRACTS[symbol];
        match *event {
            Event::Print(print) => {
                self.hub.publish(Stream::AggTrade(symbol), || frames::agg_trade(contract, print));
                self.hub.publish(Stream::BookTicker(symbol), || frames::book_ticker(contract, print));
                self.hub.publish(Stream::AllBookTickers, || frames::book_ticker(contract, print));
            }
            Event::Bar { bar, ms, closed } => {
                self.hub.publish(Stream::Kline(symbol), || frames::kline(contract, bar, ms, closed));
            }
            Event::Second(tick) => {
                let seconds = tick.end_ms / 1_000;
                self.hub.publish(Stream::MarkPrice1s(symbol), || frames::mark_price(contract, tick));
                if seconds % 3 == 0 {
                    self.hub.publish(Stream::MarkPrice(symbol), || frames::mark_price(contract, tick));
                }
                if let Some(forced) = largest(&tick.forced) {
                    let row = || frames::force_order(contract, forced, tick.end_ms);
                    self.hub.publish(Stream::ForceOrder(symbol), row);
                    self.hub.publish(Stream::AllForceOrders, row);
                    // Both exchanges share this stream; now and then the other one speaks.
                    if seconds % 5 == 0 {
                        let row = || frames::coin_force_order(contract, forced, tick.end_ms);
                        self.hub.publish(Stream::AllForceOrders, row);
                    }
                }
            }
        }
    }

    fn tell_all_marks(&self, second_ms: i64) {
        let rows = || {
            let mut rows = Vec::new();
            for (symbol, listing) in self.running() {
                let listing = lock(listing);
                let (contract, now) = (&CONTRACTS[symbol], &listing.history().now);
                rows.push(frames::mark_price(contract, now));
                if symbol == 0 && second_ms % 5_000 == 0 {
                    rows.push(frames::coin_mark_price(contract, now));
                }
            }
            format!("[{}]", rows.join(","))
        };
        self.hub.publish(Stream::AllMarkPrices1s, rows);
        if second_ms % 3_000 == 0 {
            self.hub.publish(Stream::AllMarkPrices, rows);
        }
    }
}

/// Counts a task while it lives.
struct Running(watch::Sender<usize>);

impl Running {
    fn enter(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|n| *n += 1);
        Self(count.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}

/// The forced close of a second that is printed: at most one a symbol, the largest (exchanges.md §1.2).
fn largest(forced: &[Forced]) -> Option<&Forced> {
    forced.iter().max_by_key(|f| f.largest)
}
