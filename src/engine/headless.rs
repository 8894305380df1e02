//! An engine nobody looks at: it keeps what it learns and tells how it does once a second.

use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::Engine;
use super::beside::Duties;
use super::snapshot::{Course, VenueStatus};
use crate::feed::FeedItem;
use crate::market::Venue;

/// A summary comes no faster than this.
const SUMMARY_EVERY: Duration = Duration::from_secs(1);

/// How an engine does.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Time of the newest event, UTC ms; 0 before the first.
    pub now: i64,
    /// Events taken in since the start.
    pub events: u64,
    /// Its venues.
    pub venues: Vec<VenueSummary>,
}

/// How one venue does.
#[derive(Debug, Clone)]
pub struct VenueSummary {
    /// Which.
    pub venue: Venue,
    /// Its feed.
    pub status: VenueStatus,
    /// Its price, USD per coin.
    pub mark: Option<f64>,
    /// Its open interest, USD.
    pub oi_usd: Option<f64>,
    /// How its picture came about.
    pub course: Course,
}

impl Engine {
    /// How it does.
    pub fn summary(&self) -> Summary {
        let venue = |m: &super::market::VenueMarket| VenueSummary {
            venue: m.venue(),
            status: m.status.clone(),
            mark: m.estimator().price(),
            oi_usd: m.oi_usd(),
            course: m.course(),
        };
        Summary { now: self.now, events: self.events, venues: self.venues.iter().map(venue).collect() }
    }
}

/// Runs an engine on a thread of its own until its items end. Then its state has been kept and its sink is closed.
pub fn spawn(
    mut engine: Engine,
    mut items: mpsc::Receiver<FeedItem>,
    summaries: watch::Sender<Summary>,
) -> anyhow::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .context("cannot start the engine's timer")?;
    let run = async move {
        let mut batch = Vec::new();
        let mut told = Instant::now();
        let mut duties = Duties::new(&mut engine);
        loop {
            tokio::select! {
                count = items.recv_many(&mut batch, 64) => {
                    if count == 0 {
                        break;
                    }
                    batch.drain(..).for_each(|item| engine.apply(item));
                }
                () = duties.due() => {}
            }
            duties.perform(&mut engine);
            let now = Instant::now();
            if now >= told + SUMMARY_EVERY {
                summaries.send_replace(engine.summary());
                told = now;
            }
        }
        engine.keep_checkpoint();
        summaries.send_replace(engine.summary());
    };
    std::thread::Builder::new()
        .name("engine".into())
        .spawn(move || runtime.block_on(run))
        .context("cannot start the engine's thread")
}
