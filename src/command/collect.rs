//! `meltline collect`: keeps history warm and records, without a screen.

mod captures;
mod report;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
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

/// How often captures are looked at for their size.
const CAPTURES_EVERY: Duration = Duration::from_secs(60);

/// One asset's feed, engine and writer.
struct Lane {
    asset: Asset,
    engine: JoinHandle<()>,
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
    let mut assets = args.assets.clone();
    assets.sort_unstable();
    assets.dedup();
    let capture = args.live.capture.clone().unwrap_or_else(|| config.feed.capture.clone());
    let feed_config = Arc::new(live::feed_config(config));
    live::runtime()?.block_on(async {
        let stop = CancellationToken::new();
        let _stopped = stop.clone().drop_guard();
        let mut feeds = JoinSet::new();
        let mut lanes = Vec::new();
        for asset in assets {
            let ground = ground.clone();
            let warm = tokio::task::spawn_blocking(move || ground.open(asset, Use::Collect));
            let warm = warm.await.context("the history cannot be opened")?;
            let taps = live::open_capture(&capture, asset)?;
            lanes.push(start(warm, asset, &feed_config, taps.into(), &mut feeds, &stop)?);
        }
        let limit = u64::from(config.store.capture_max_mb) * 1_000_000;
        let recorded = (!capture.as_os_str().is_empty()).then_some(capture);
        let ended = watch_over(&lanes, args, recorded.map(|dir| (dir, limit)), &mut feeds).await;
        stop.cancel();
        while feeds.join_next().await.is_some() {}
        // Each engine keeps its state and closes its file.
        let closed = tokio::task::spawn_blocking(move || {
            for lane in lanes {
                if lane.engine.join().is_err() {
                    bail!("the engine of {} stopped unexpectedly; the log has the reason", lane.asset);
                }
                let status = lane.writing.status();
                if status.dropped > 0 {
                    eprintln!("meltline: {}: {} records were not written", lane.asset, status.dropped);
                }
            }
            Ok(())
        });
        ended.and(closed.await.context("the engines did not end")?)
    })
}

fn start(
    warm: Warm,
    asset: Asset,
    config: &Arc<FeedConfig>,
    taps: feed::Taps,
    feeds: &mut JoinSet<anyhow::Result<()>>,
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
    let engine = headless::spawn(engine, received, summaries)?;
    let (config, stop) = (Arc::clone(config), stop.clone());
    feeds.spawn(async move { feed::resume(config, &venues, (asset, &known), items, taps, stop).await });
    Ok(Lane { asset, engine, summary, writing })
}

/// Tells how it goes until a signal, or until a feed fails.
async fn watch_over(
    lanes: &[Lane],
    args: &CollectArgs,
    captures: Option<(std::path::PathBuf, u64)>,
    feeds: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let mut told = std::pin::pin!(super::sim::told_to_stop());
    let mut line = tokio::time::interval(Duration::from_secs(args.status_every));
    let mut tidy = tokio::time::interval(CAPTURES_EVERY);
    // The first of an interval is at once, when there is nothing to tell.
    line.tick().await;
    loop {
        tokio::select! {
            stopped = &mut told => return stopped,
            Some(ended) = feeds.join_next() => {
                ended.context("a feed failed")??;
                bail!("a feed ended by itself");
            }
            _ = line.tick() => report::tell(lanes, args.status_json)?,
            _ = tidy.tick(), if captures.is_some() => {
                if let Some((dir, most)) = captures.clone() {
                    tokio::task::spawn_blocking(move || captures::tidy(&dir, most)).await?;
                }
            }
        }
    }
}
