//! All markets under one clock, and who hears of them.

use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{OnceCell, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::contracts::COINS;
use super::history::History;
use super::hub::lock;
use super::listing::{Event, Listing};
use super::record::truth_ends;
use super::spool::Spool;
use super::truth::{self, Bins, QUARTER_MS};
use super::venue::VenueId;
use super::world::scenario::Scenario;

/// How often the markets are brought up to the clock, ms of wall time.
const PULSE_MS: u64 = 25;

/// A venue, as the markets and the orders of trouble see it.
pub(crate) trait Ear: Send + Sync {
    /// Something happened in its market on a coin.
    fn event(&self, coin: usize, history: &History, event: &Event<'_>);

    /// Everything up to the end of this second (UTC ms) was told, of all coins.
    fn second(&self, ms: i64);

    /// Sends this text to every websocket connection.
    fn inject(&self, text: &str);

    /// Restarts the service, after a notice where the venue gives one.
    fn restart(&self, after: Duration);
}

/// The markets, each built when first asked for.
#[derive(Debug)]
pub(crate) struct Markets {
    pub clock: Clock,
    scenario: Scenario,
    seed: u64,
    listings: [OnceCell<Mutex<Listing>>; COINS.len()],
    /// Simulated time everything was told up to, UTC ms. Held while telling, so that frames leave in order.
    told_ms: Mutex<i64>,
    ears: OnceLock<Ears>,
    /// Where the truth goes, if anyone asked for it.
    truth: Mutex<Option<(Spool, Bins)>>,
    /// Ends the connections.
    pub stop: CancellationToken,
    /// Tasks and connections that run.
    running: watch::Sender<usize>,
}

/// By venue. They hold the markets, so the markets must not hold them.
type Ears = [Option<Weak<dyn Ear>>; VenueId::COUNT];

impl std::fmt::Debug for dyn Ear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ear")
    }
}

impl Markets {
    pub fn new(clock: Clock, scenario: Scenario, seed: u64, stop: CancellationToken) -> Self {
        Self {
            clock,
            scenario,
            seed,
            listings: Default::default(),
            told_ms: Mutex::new(clock.start_ms()),
            ears: OnceLock::new(),
            truth: Mutex::new(None),
            stop,
            running: watch::Sender::new(0),
        }
    }

    /// Says who is to hear of what happens; only the first call counts.
    pub fn tell_to(&self, ears: Ears) {
        if self.ears.set(ears).is_err() {
            tracing::error!("the markets are told to two sets of venues");
        }
    }

    /// From now on the truth of every market that is simulated goes to this file each quarter of an hour.
    pub fn write_truth(&self, file: Spool) {
        *lock(&self.truth) = Some((file, Bins::default()));
    }

    /// Ends the file of truth. Waits for the disk.
    pub fn end_truth(&self) {
        let truth = lock(&self.truth).take();
        if let Some(Err(error)) = truth.map(|(file, _)| file.finish()) {
            truth_ends(&error);
        }
    }

    /// The market of a coin, simulated up to now if nobody asked for it before.
    pub async fn listing(self: &Arc<Self>, coin: usize) -> anyhow::Result<&Mutex<Listing>> {
        if self.built(coin).is_none() {
            // In a task of its own: who asked may lose patience, and whoever asks next must not begin anew.
            let markets = Arc::clone(self);
            let build = tokio::spawn(async move { markets.build(coin).await });
            build.await.context("cannot simulate the history")??;
        }
        self.built(coin).context("no such coin")
    }

    /// Simulates a coin, unless that was done or is being done.
    async fn build(&self, coin: usize) -> anyhow::Result<()> {
        let cell = self.listings.get(coin).context("no such coin")?;
        let built = cell.get_or_try_init(|| async move {
            let (scenario, seed, start_ms) = (self.scenario, self.seed, self.clock.start_ms());
            let asked_ms = self.clock.now_ms();
            let build = move || {
                let mut listing = Listing::build(coin, scenario, seed, start_ms);
                // What happened before anyone asked is nobody's news.
                listing.advance(asked_ms, &mut |_, _, _| ());
                listing
            };
            let listing = tokio::task::spawn_blocking(build).await.context("cannot simulate the history")?;
            anyhow::Ok(Mutex::new(listing))
        });
        built.await.map(|_| ())
    }

    /// The market of a coin if it was built.
    pub fn built(&self, coin: usize) -> Option<&Mutex<Listing>> {
        self.listings.get(coin)?.get()
    }

    /// Begins to simulate a coin without waiting for it.
    pub fn wake(self: &Arc<Self>, coin: usize) {
        if self.built(coin).is_some() {
            return;
        }
        let markets = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = markets.build(coin).await {
                tracing::error!("{error:#}");
            }
        });
    }

    /// Waits until nothing runs any more.
    pub async fn idle(&self) {
        // Fails only if the sender is gone, and it is ours.
        let _ = self.running.subscribe().wait_for(|running| *running == 0).await;
    }

    /// Counts a task for `idle` while what is given lives.
    pub fn run(&self) -> Running {
        Running::enter(&self.running)
    }

    /// Keeps the markets at the clock until stopped.
    pub async fn pulse(self: Arc<Self>) {
        let _running = self.run();
        let mut interval = tokio::time::interval(Duration::from_millis(PULSE_MS));
        interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while self.stop.run_until_cancelled(interval.tick()).await.is_some() {
            self.at_now(|_| ());
        }
    }

    /// Tells what has happened since the last time, then runs `then` with the time all is told up to (UTC ms) before
    /// anything else is told: a snapshot taken and a subscription made in it fit together.
    pub fn at_now<R>(&self, then: impl FnOnce(i64) -> R) -> R {
        let mut told = lock(&self.told_ms);
        let now = self.clock.now_ms().max(*told);
        let ears = self.ears.get().map(|ears| ears.each_ref().map(|ear| ear.as_ref()?.upgrade()));
        let ears = ears.unwrap_or_default();
        // Second by second over all markets, for the streams that carry all of them.
        let mut second = (told.div_euclid(1_000) + 1) * 1_000;
        while second <= now {
            self.tell(&ears, second);
            ears.iter().flatten().for_each(|ear| ear.second(second));
            if second % QUARTER_MS == 0 {
                self.tell_truth(second);
            }
            second += 1_000;
        }
        self.tell(&ears, now);
        *told = now;
        then(now)
    }

    /// Hands the truth of a quarter of an hour to the file without waiting for the disk.
    fn tell_truth(&self, ms: i64) {
        let mut place = lock(&self.truth);
        let Some((file, bins)) = place.as_mut() else { return };
        let mut block = Vec::new();
        let written = self.listings.iter().filter_map(OnceCell::get).try_for_each(|listing| {
            let listing = lock(listing);
            // A market that was just built may be ahead of what was told; its truth begins with the next quarter.
            let now = listing.market().now_ms() == ms;
            if now { truth::write_lines(&mut block, listing.market(), bins) } else { Ok(()) }
        });
        if let Err(error) = written.and_then(|()| file.offer(block)) {
            truth_ends(&error);
            *place = None;
        }
    }

    fn tell(&self, ears: &[Option<Arc<dyn Ear>>; VenueId::COUNT], to_ms: i64) {
        for (coin, cell) in self.listings.iter().enumerate() {
            let Some(listing) = cell.get() else { continue };
            lock(listing).advance(to_ms, &mut |venue, history, event| {
                if let Some(ear) = &ears[venue.index()] {
                    ear.event(coin, history, event);
                }
            });
        }
    }
}

/// Counts a task while it lives.
#[derive(Debug)]
pub(crate) struct Running(watch::Sender<usize>);

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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_market_is_built_though_who_asked_for_it_has_gone() {
        let clock = Clock::start(1_763_800_000_000, 1.0);
        let markets = Arc::new(Markets::new(clock, Scenario::Base, 1, CancellationToken::new()));
        assert!(markets.listing(1).now_or_never().is_none());
        let built = async {
            while markets.built(1).is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), built).await.expect("nobody builds it");
        assert!(markets.listing(COINS.len()).await.is_err(), "no such coin");
    }
}
