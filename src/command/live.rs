//! `meltline [ASSET]`: the screen on live exchanges; and what every command that opens sockets needs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::engine::Engine;
use crate::engine::market::VenueMarket;
use crate::feed::book::BookLimits;
use crate::feed::capture::Capture;
use crate::feed::net::ProxyEnv;
use crate::feed::status::{LinkState, VenueStatus};
use crate::feed::{self, FeedConfig, FeedItem, Taps};
use crate::market::Asset;

use super::lane::{Lane, Road};
use super::lanes::{Lanes, Screens};
use super::state::StateFile;
use super::warm::{Entrance, Ground, Use, Warm};
use super::{screen, state};

/// How long a headless command waits for the first full picture.
pub const SETTLE: Duration = Duration::from_secs(60);
/// A state no older than this is the map now, ms.
const FRESH: i64 = 60_000;
/// Items under way between a feed and the engine. Few: who is told to stop takes in those that are under way, and of a history each holds a hundred minutes.
pub const ITEMS: usize = 16;

/// Runs the screen on the exchanges of the configuration.
pub fn run(config: &Config) -> anyhow::Result<()> {
    // A simulator is a place to try things: what is switched there is not kept.
    let state = if config.feed.simulated { None } else { state::default_path() };
    on_network(|runtime| watch_live(runtime, config, state.map(StateFile::open)))
}

/// How long what was begun and is not waited for may hold up the end.
const LINGER: Duration = Duration::from_millis(500);

/// Acts on the runtime the sockets live on: two threads, so that a slow parse does not delay a pong.
pub fn on_network<T>(act: impl FnOnce(&Runtime) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("feed")
        .enable_all()
        .build()
        .context("cannot start the network runtime")?;
    let done = act(&runtime);
    // Where no name server answers, the system looks a name up for ten seconds and more, and cannot be told to leave off.
    runtime.shutdown_timeout(LINGER);
    done
}

/// Feed, engine and screen, until the user quits. With a state file, as it was opened, the screen starts as it was left.
pub fn watch_live(
    runtime: &Runtime,
    config: &Config,
    state: Option<(StateFile, Option<String>)>,
) -> anyhow::Result<()> {
    let ground = Ground::new(config);
    if ground.venues().is_empty() {
        bail!("no venue is enabled: set enabled = true under [venues.binance] or another");
    }
    let (mut settings, caps) = super::start::screen(config)?;
    let state = state.map(|(file, note)| {
        settings.kept = file.kept();
        if let Some(note) = note {
            settings.note = note;
        }
        file
    });
    let mut entrance = ground.enter(config.asset);
    if let Entrance::Own(warm) = &mut entrance
        && let Some(note) =
            std::mem::take(&mut warm.notes).into_iter().next().filter(|_| settings.note.is_empty())
    {
        settings.note = note;
    }
    let road = Road {
        ground,
        feed: Arc::new(feed_config(config)),
        capture: config.feed.capture.clone(),
        followed: if config.feed.follow_watchlist { config.watchlist.clone() } else { Vec::new() },
    };
    let stop = CancellationToken::new();
    let first = {
        let _runtime = runtime.enter();
        Lane::open(&road, config.asset, entrance, &stop)
    };
    let (shown, seen) = watch::channel(Arc::clone(&first.snapshots().borrow()));
    let (others, beside) = watch::channel(Vec::new());
    let (commands, asked) = mpsc::channel(8);
    let lanes = Lanes::new(road, first, stop.clone());
    let running = runtime.spawn(lanes.run(Screens { shown, others }, asked));
    let shown = screen::run(settings, caps, (seen, Some(beside)), commands, state, false);
    stop.cancel();
    let fed = runtime.block_on(running).context("the feeds' supervisor failed")?;
    shown.and(fed)
}

/// The capture a folder asks for; none where it is empty.
pub fn open_capture(dir: &Path, asset: Asset) -> anyhow::Result<Option<Capture>> {
    if dir.as_os_str().is_empty() {
        return Ok(None);
    }
    Capture::directory(dir, asset).map(Some)
}

/// The feed's part of the configuration.
pub fn feed_config(config: &Config) -> FeedConfig {
    let venues = &config.venues;
    let silence = Duration::from_secs(u64::from(config.feed.silence_secs));
    let defaults = FeedConfig::default();
    FeedConfig {
        binance: venues.binance.at.clone(),
        bybit: venues.bybit.at.clone(),
        okx: venues.okx.at.clone(),
        hyperliquid: venues.hyperliquid.at.clone(),
        book: BookLimits {
            depth: config.feed.book_percent / 100.0,
            every_ms: i64::from(config.feed.book_ms),
        },
        // A simulator's lists are of no use to the next run.
        cache: (!config.feed.simulated).then(|| config.data_dir().join("instruments")),
        proxy: ProxyEnv::from_env(),
        first_data: silence,
        idle: silence,
        idle_trades: defaults.idle_trades.max(silence),
        oi_poll: Duration::from_secs(u64::from(config.feed.open_interest_secs)),
        backfill: Duration::from_secs(u64::from(config.feed.backfill_hours) * 3_600),
        ..defaults
    }
}

/// An engine that has taken in what there was to wait for.
pub struct Settled {
    /// As it then stands.
    pub engine: Engine,
    /// The venues that are not live, and why, for the user.
    pub missing: Vec<String>,
}

/// Connects and waits for history and the first live data of every venue. One that refuses us or does not list the asset is not
/// waited for, and nobody is for longer than `patience`.
///
/// # Errors
/// No venue is live by then.
pub fn settled_engine(asset: Asset, config: &Config, patience: Duration) -> anyhow::Result<Settled> {
    settled(asset, config, patience, Use::Look)
}

/// As [`settled_engine`], with the closed columns that are kept.
pub fn settled_picture(asset: Asset, config: &Config, patience: Duration) -> anyhow::Result<Settled> {
    settled(asset, config, patience, Use::Picture)
}

fn settled(asset: Asset, config: &Config, patience: Duration, purpose: Use) -> anyhow::Result<Settled> {
    let ground = Ground::new(config);
    if ground.venues().is_empty() {
        bail!("no venue is enabled: set enabled = true under [venues.binance] or another");
    }
    let venues = ground.venues().to_vec();
    // Who has the feeds already is asked: no sockets are opened twice on one machine.
    if let Some(engine) = ground.beside(asset, purpose) {
        let missing = engine.venues().iter().filter(|m| !is_live(m)).map(why_missing).collect();
        return Ok(Settled { engine, missing });
    }
    let Warm { mut engine, known, .. } = ground.open(asset, purpose);
    // What was kept within the last minute is as good as anything the venues would tell.
    let now = jiff::Timestamp::now().as_millisecond();
    if !config.feed.simulated && (now - FRESH..=now).contains(&engine.now()) {
        for venue in venues {
            let status = VenueStatus { state: LinkState::Recorded, ..VenueStatus::new(venue) };
            engine.apply(FeedItem::Status(status));
        }
        return Ok(Settled { engine, missing: Vec::new() });
    }
    let settle = async {
        let (items, mut received) = mpsc::channel(ITEMS);
        let stop = CancellationToken::new();
        let _stop = stop.clone().drop_guard();
        let config = Arc::new(feed_config(config));
        let feed = tokio::spawn(async move {
            feed::resume(config, &venues, (asset, &known), items, Taps::default(), stop).await
        });
        let waited = tokio::time::timeout(patience, async {
            while !engine.venues().iter().all(|m| is_live(m) || is_out(m)) {
                let Some(item) = received.recv().await else { return false };
                engine.apply(item);
            }
            true
        })
        .await;
        if waited == Ok(false) {
            feed.await.context("the feed failed")??;
            bail!("the feed ended before the first picture");
        }
        let missing: Vec<String> = engine.venues().iter().filter(|m| !is_live(m)).map(why_missing).collect();
        if !engine.venues().iter().any(is_live) {
            bail!("no venue is live for {asset}: {}", missing.join("; "));
        }
        Ok(Settled { engine, missing })
    };
    on_network(|runtime| runtime.block_on(settle))
}

/// All that is expected of a venue is there: every stream delivers, and there is something to estimate from.
fn is_live(market: &VenueMarket) -> bool {
    let estimator = market.estimator();
    market.status.state == LinkState::Live && estimator.price().is_some() && estimator.oi().is_some()
}

/// Nothing will come of a venue soon.
fn is_out(market: &VenueMarket) -> bool {
    matches!(market.status.state, LinkState::Blocked | LinkState::Ended)
}

fn why_missing(market: &VenueMarket) -> String {
    let status = &market.status;
    let why = match status.state {
        _ if !status.note.is_empty() => &status.note,
        LinkState::Live if market.estimator().price().is_some() => "no open interest yet",
        _ => "no data yet",
    };
    format!("{} is not live: {why}", market.venue())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{RecvTimeoutError, channel};

    use super::*;

    #[test]
    fn a_name_that_is_looked_up_for_long_does_not_hold_up_the_end() {
        let (answer, looked_up) = channel::<()>();
        let (told, ended) = channel();
        std::thread::spawn(move || {
            let ran = on_network(|runtime| {
                runtime.spawn_blocking(move || looked_up.recv());
                Ok(7)
            });
            told.send(ran.ok()).unwrap();
        });
        // Nobody answers before it has ended.
        let ended = ended.recv_timeout(Duration::from_secs(60));
        assert_ne!(ended, Err(RecvTimeoutError::Timeout));
        assert_eq!(ended, Ok(Some(7)));
        drop(answer);
    }
}
