//! The market without sockets and without a clock: it runs as fast as it can, and what the venues would show goes to a
//! file of market events, the truth behind it to another.

use std::path::PathBuf;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::contracts::COINS;
use super::shown::Shown;
use super::spool::Spool;
use super::truth::{self, Bins, QUARTER_MS};
use super::venue::VenueId;
use super::world::World;
use super::world::scenario::Scenario;
use crate::market::MarketEvent;
use crate::market::event::sort_events;
use crate::market::ndjson::write_event;

/// When a recorded market begins, UTC ms: always then, so that a seed gives the same bytes on every day.
/// 2026-01-01T00:00:00Z.
pub const START_MS: i64 = 1_767_225_600_000;
/// Trading before it, so that the recording does not begin with an empty market, seconds.
pub const LEAD_S: i64 = 16 * 3_600;
/// Bytes gathered before they go to the file.
const BLOCK: usize = 256 << 10;

/// What to record.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordConfig {
    /// The kind of market.
    pub scenario: Scenario,
    /// Same seed, scenario, coins and venues: same bytes.
    pub seed: u64,
    /// The coins, by name; each has a market of its own.
    pub coins: Vec<String>,
    /// Whose events are written. The truth is of all venues that list a coin.
    pub venues: Vec<VenueId>,
    /// Simulated seconds; without end if `None`.
    pub seconds: Option<i64>,
    /// Where the market events go; compressed if the name ends in `.zst`, `-` is standard output.
    pub events: PathBuf,
    /// Where the truth goes.
    pub truth: Option<PathBuf>,
}

/// What was recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Simulated seconds.
    pub seconds: i64,
    /// Market events written.
    pub events: u64,
}

/// Runs the market until the time is over or `stop` is cancelled. Blocks the thread.
///
/// Fails if the events cannot be written; a truth that cannot be written ends with one line in the log.
pub fn record(config: &RecordConfig, stop: &CancellationToken) -> anyhow::Result<Recorded> {
    let mut recorder = Recorder::new(config)?;
    let mut recorded = Recorded::default();
    while !stop.is_cancelled() && config.seconds.is_none_or(|seconds| recorded.seconds < seconds) {
        recorder.second()?;
        recorded.seconds += 1;
    }
    recorded.events = recorder.finish()?;
    Ok(recorded)
}

struct Recorder {
    markets: Vec<(World, Vec<Shown>)>,
    bins: Bins,
    /// Told and not yet written: of the running moment more may come.
    pending: Vec<MarketEvent>,
    block: Vec<u8>,
    written: u64,
    events: Spool,
    truth: Option<Spool>,
}

impl Recorder {
    fn new(config: &RecordConfig) -> anyhow::Result<Self> {
        // The files first: a path that cannot be written is told at once.
        let events = Spool::create(&config.events)?;
        let truth = config.truth.as_deref().map(Spool::create).transpose()?;
        let (mut markets, mut pending) = (Vec::new(), Vec::new());
        for name in &config.coins {
            let coin = COINS.iter().position(|coin| coin.name == name);
            let coin = coin.with_context(|| {
                let known: Vec<_> = COINS.iter().map(|coin| coin.name).collect();
                format!("no market is simulated for {name}: choose {}", known.join(", "))
            })?;
            let mut world = World::new(coin, config.scenario, config.seed, START_MS / 1_000, LEAD_S);
            (0..LEAD_S).for_each(|_| world.step(false));
            let shown = Shown::of(&world, &config.venues)?;
            for venue in &shown {
                pending.push(venue.instrument(START_MS)?);
            }
            markets.push((world, shown));
        }
        anyhow::ensure!(!pending.is_empty(), "no venue that is switched on lists what is to be recorded");
        let bins = Bins::default();
        Ok(Self { markets, bins, pending, block: Vec::new(), written: 0, events, truth })
    }

    fn second(&mut self) -> anyhow::Result<()> {
        let mut now = i64::MAX;
        for (world, shown) in &mut self.markets {
            world.step(true);
            now = world.now_ms();
            for venue in shown {
                venue.tell(world, &mut self.pending);
            }
        }
        self.write_before(now)?;
        if now % QUARTER_MS == 0 {
            self.tell_truth();
        }
        Ok(())
    }

    /// Writes the events known before `ms` (UTC ms): whatever comes later is known then or later.
    fn write_before(&mut self, ms: i64) -> anyhow::Result<()> {
        sort_events(&mut self.pending);
        let known = self.pending.partition_point(|event| event.known_at() < ms);
        for event in self.pending.drain(..known) {
            write_event(&mut self.block, &event)?;
        }
        self.written += known as u64;
        if self.block.len() >= BLOCK {
            self.events.put(std::mem::take(&mut self.block))?;
        }
        Ok(())
    }

    fn tell_truth(&mut self) {
        let Some(file) = &mut self.truth else { return };
        let mut block = Vec::new();
        let mut lines =
            self.markets.iter().map(|(world, _)| truth::write_lines(&mut block, world, &self.bins));
        if let Err(error) = lines.try_for_each(|line| line).and_then(|()| file.put(block)) {
            truth_ends(&error);
            self.truth = None;
        }
    }

    /// Ends the files; how many events were written.
    fn finish(mut self) -> anyhow::Result<u64> {
        self.write_before(i64::MAX)?;
        self.events.put(std::mem::take(&mut self.block))?;
        self.events.finish()?;
        if let Some(Err(error)) = self.truth.map(Spool::finish) {
            truth_ends(&error);
        }
        Ok(self.written)
    }
}

/// Says that there will be no more truth. The market goes on: who listens to it has not asked for the truth.
pub(super) fn truth_ends(error: &anyhow::Error) {
    tracing::error!("no more truth is written: {error:#}; the market goes on");
}
