//! `meltline tap`: market events as NDJSON on standard output.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use anyhow::{Context, bail};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::cli::TapArgs;
use crate::config::Config;
use crate::feed::recording::Recording;
use crate::feed::{self, FeedItem};
use crate::market::MarketEvent;
use crate::market::ndjson::write_event;

use super::live;

/// Runs the command.
pub fn run(args: &TapArgs, mut config: Config) -> anyhow::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    if let Some(path) = &args.input {
        let mut recording = Recording::open(path, Some(args.asset))?;
        while let Some(batch) = recording.next_batch()? {
            write(&mut out, args, &batch)?;
        }
        out.flush()?;
        return super::report(&recording.tally());
    }
    if !args.venue.is_empty() {
        config.venues.choose(&args.venue)?;
    }
    config.feed.capture = args.live.capture.clone().unwrap_or(config.feed.capture);
    live::on_network(|runtime| runtime.block_on(tap_live(args, &config, &mut out)))
}

fn write(out: &mut impl Write, args: &TapArgs, batch: &[MarketEvent]) -> std::io::Result<()> {
    for event in batch {
        if args.venue.is_empty() || args.venue.contains(&event.venue) {
            write_event(out, event)?;
        }
    }
    Ok(())
}

async fn tap_live(args: &TapArgs, config: &Config, out: &mut impl Write) -> anyhow::Result<()> {
    let venues = config.venues.enabled();
    if venues.is_empty() {
        bail!("no venue is enabled: set enabled = true under [venues.binance] or another");
    }
    let capture = live::open_capture(&config.feed.capture, args.asset)?;
    let (items, mut received) = mpsc::channel(256);
    let stop = CancellationToken::new();
    let feed_config = Arc::new(live::feed_config(config));
    let (asset, feed_stop) = (args.asset, stop.clone());
    let feed = tokio::spawn(async move {
        feed::run(feed_config, &venues, asset, items, capture.into(), feed_stop).await
    });
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .context("cannot listen for SIGTERM")?;
    let mut told = String::new();
    let written = loop {
        tokio::select! {
            item = received.recv() => match item {
                Some(FeedItem::Events(batch)) => {
                    // A reader of a pipe wants events as they come.
                    if let Err(error) = write(out, args, &batch).and_then(|()| out.flush()) {
                        break Err(error);
                    }
                }
                Some(FeedItem::Status(status)) if status.note != told => {
                    told.clone_from(&status.note);
                    if !told.is_empty() {
                        eprintln!("meltline: {}: {told}", status.venue);
                    }
                }
                Some(_) => {}
                None => break Ok(()),
            },
            _ = tokio::signal::ctrl_c() => break Ok(()),
            _ = terminate.recv() => break Ok(()),
        }
    };
    // The capture is flushed and closed before the command ends.
    stop.cancel();
    drop(received);
    feed.await.context("the feed failed")??;
    Ok(written?)
}
