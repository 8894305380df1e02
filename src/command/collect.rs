//! `meltline collect`: keeps history warm and records, without a screen.

mod captures;
mod report;
mod turns;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::cli::CollectArgs;
use crate::config::Config;
use crate::engine::headless::{self, Summary};
use crate::engine::market::VenueMarket;
use crate::feed::{self, FeedConfig};
use crate::market::Asset;
use crate::store::writer::Watch;

use super::live::{self, ITEMS};
use super::warm::{Ground, Use, Warm};
use turns::Turns;

/// How often captures are looked at for their size.
const CAPTURES_EVERY: Duration = Duration::from_secs(60);
/// How often those who wait for their turn to fetch history are looked after.
const TURNS_EVERY: Duration = Duration::from_secs(1);

/// Most threads that all engines share: beside its state an engine needs room to make columns in, and a thread keeps its room.
const ENGINES: usize = 2;

/// One asset's feed, engine and writer.
struct Lane {
    asset: Asset,
    engine: JoinHandle<Result<(), JoinError>>,
    summary: watch::Receiver<Summary>,
    writing: Watch,
}

/// Runs the command until it is told to stop.
pub fn run(args: &CollectArgs, config: &Config) -> anyhow::Result<()> {
    let ground = Ground::new(config);
    if ground.venues().is_empty() {
        bail!("no venue is enabled: set enabled = true under [venues.binance] or another");
    }
    if !config.store.enabled {
        bail!("store.enabled = false: there is nothing to collect into");
    }
    let mut assets = Vec::new();
    for asset in &args.assets {
        if !assets.contains(asset) {
            assets.push(*asset);
        }
    }
    let capture = args.live.capture.clone().unwrap_or_else(|| config.feed.capture.clone());
    let feed_config = Arc::new(live::feed_config(config));
    let engines = engines(assets.len())?;
    let collect = async {
        let stop = CancellationToken::new();
        let _stopped = stop.clone().drop_guard();
        let (mut lanes, mut turns) = (Vec::new(), Turns::default());
        for asset in assets {
            let ground = ground.clone();
            let warm = tokio::task::spawn_blocking(move || ground.open(asset, Use::Collect));
            let warm = warm.await.context("the history cannot be opened")?;
            let taps = live::open_capture(&capture, asset)?;
            lanes.push(start(warm, asset, &feed_config, taps.into(), (&mut turns, engines.handle()), &stop)?);
        }
        lanes.sort_unstable_by_key(|lane| lane.asset);
        let limit = u64::from(config.store.capture_max_mb) * 1_000_000;
        let recorded = (!capture.as_os_str().is_empty()).then_some(capture);
        let mut feeds = JoinSet::new();
        let recorded = recorded.map(|dir| (dir, limit));
        let ended = watch_over(&lanes, args, recorded, &mut turns, &mut feeds).await;
        let told = Instant::now();
        stop.cancel();
        // An engine ends when nobody can feed it any more.
        drop(turns);
        while feeds.join_next().await.is_some() {}
        tracing::debug!("feeds ended in {:?}", told.elapsed());
        // Each engine keeps its state and closes its file.
        for lane in lanes {
            let asset = lane.asset;
            if lane.engine.await.and_then(|ended| ended).is_err() {
                bail!("the engine of {asset} stopped unexpectedly; the log has the reason");
            }
            let status = lane.writing.status();
            if status.dropped > 0 {
                eprintln!("meltline: {asset}: {} records were not written", status.dropped);
            }
        }
        tracing::debug!("ended in {:?}", told.elapsed());
        ended
    };
    live::on_network(|runtime| runtime.block_on(collect))
}

/// Where the engines run: not among the sockets, whose pongs no column may delay.
fn engines(assets: usize) -> anyhow::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(assets.clamp(1, ENGINES))
        .thread_name("engine")
        .enable_time()
        .build()
        .context("cannot start the engines' threads")
}

/// Starts an asset's engine; its feed waits for its turn.
fn start(
    warm: Warm,
    asset: Asset,
    config: &Arc<FeedConfig>,
    taps: feed::Taps,
    (turns, engines): (&mut Turns, &Handle),
    stop: &CancellationToken,
) -> anyhow::Result<Lane> {
    let Warm { engine, watch: writing, known, notes, refused, .. } = warm;
    if let Some(refused) = refused {
        return Err(refused.into());
    }
    for note in notes {
        eprintln!("meltline: {note}");
    }
    let Some(writing) = writing else {
        bail!("the exchanges are simulated: name a folder for their history with --data-dir");
    };
    let venues: Vec<_> = engine.venues().iter().map(VenueMarket::venue).collect();
    let (summaries, summary) = watch::channel(engine.summary());
    let (items, received) = mpsc::channel(ITEMS);
    let engine = engines.spawn(headless::run(engine, received, summaries));
    let (config, stop) = (Arc::clone(config), stop.clone());
    let feed = async move { feed::resume(config, &venues, (asset, &known), items, taps, stop).await };
    turns.add(asset, summary.clone(), Box::pin(feed));
    Ok(Lane { asset, engine, summary, writing })
}

/// Tells how it goes until a signal, or until a feed fails.
async fn watch_over(
    lanes: &[Lane],
    args: &CollectArgs,
    captures: Option<(std::path::PathBuf, u64)>,
    turns: &mut Turns,
    feeds: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let mut told = std::pin::pin!(super::sim::told_to_stop());
    let mut line = tokio::time::interval(Duration::from_secs(args.status_every));
    let mut tidy = tokio::time::interval(CAPTURES_EVERY);
    let mut next = tokio::time::interval(TURNS_EVERY);
    // The first of an interval is at once, when there is nothing to tell.
    line.tick().await;
    loop {
        tokio::select! {
            stopped = &mut told => return stopped,
            Some(ended) = feeds.join_next() => {
                ended.context("a feed failed")??;
                bail!("a feed ended by itself");
            }
            _ = next.tick(), if !turns.is_over() => turns.go_on(feeds),
            _ = line.tick() => report::tell(lanes, turns, args.status_json)?,
            _ = tidy.tick(), if captures.is_some() => {
                if let Some((dir, most)) = captures.clone() {
                    tokio::task::spawn_blocking(move || captures::tidy(&dir, most)).await?;
                }
            }
        }
    }
}
