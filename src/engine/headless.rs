//! An engine nobody looks at: it keeps what it learns and tells how it does once a second.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinError;
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

/// Runs an engine until its items end. Then its state has been kept and its sink is closed. Until then it computes, and waits for the disk, without
/// ever giving its thread away: not for a runtime that serves sockets.
///
/// # Errors
/// The sink could not be closed, for it panicked.
pub async fn run(
    mut engine: Engine,
    mut items: mpsc::Receiver<FeedItem>,
    summaries: watch::Sender<Summary>,
) -> Result<(), JoinError> {
    let mut batch = Vec::new();
    let mut told = Instant::now();
    let mut duties = Duties::new(&mut engine);
    let mut has_begun = false;
    loop {
        tokio::select! {
            count = items.recv_many(&mut batch, 64) => {
                if count == 0 {
                    break;
                }
                if !std::mem::replace(&mut has_begun, true) {
                    duties.begin(engine.asset);
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
    // All engines of a collector end at once: while this one's file is ended the next one can keep its state.
    tokio::task::spawn_blocking(move || drop(engine)).await
}
