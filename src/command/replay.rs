//! `meltline replay`: the screen on a recording.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::cli::{ReplayArgs, ReplaySpeed, Time};
use crate::config::Config;
use crate::engine::{self, Command, Engine, Input, Origin};
use crate::estimate::BinTable;
use crate::feed::FeedItem;
use crate::feed::recording::Recording;
use crate::feed::status::{LinkState, VenueStatus, clean};
use crate::market::{Asset, MarketEvent, Venue};

use super::screen;

/// Runs the command. The screen stays on the last frame until the user quits.
pub fn run(args: &ReplayArgs, config: &Config) -> anyhow::Result<()> {
    let (settings, caps) = super::start::screen(config)?;
    let (from, to) = bounds(args)?;
    let mut recording = Recording::open_all(&args.files, args.asset)?;
    let Some(first) = recording.next_batch()? else {
        super::report(&recording.tally())?;
        bail!("no events of the asset in the recording");
    };
    let asset = args.asset.or(recording.asset()).or(first.first().map(|e| e.asset)).unwrap_or(config.asset);
    let bins = Arc::new(BinTable::new(config.bin_bp));
    let mut engine = Engine::new(asset, Origin::Replay, bins, &[]);
    let (snapshots, seen) = watch::channel(engine.snapshot());
    let (inputs, taken) = mpsc::channel(engine::INPUTS);
    let (commands, asked) = mpsc::channel(8);
    let thread = engine::spawn(engine, taken, snapshots)?;
    let runtime = super::live::runtime()?;
    let asking = runtime.spawn(answer(asked, inputs.clone()));
    let player = Player { recording, inputs, from, to, speed: args.speed, venues: Vec::new() };
    let playing = runtime.spawn(player.play(first, asset));
    let shown = screen::run(settings, caps, (seen, None), commands, None, false);
    playing.abort();
    asking.abort();
    let played = runtime.block_on(playing);
    if thread.join().is_err() {
        bail!("the engine stopped unexpectedly; the log has the reason");
    }
    shown?;
    match played {
        Ok(result) => super::report(&result?),
        Err(_) => Ok(()),
    }
}

/// Passes on what a recording can answer: another map, also at its end. There is no other asset to switch to.
async fn answer(mut asked: mpsc::Receiver<Command>, inputs: mpsc::Sender<Input>) {
    while let Some(command) = asked.recv().await {
        if let Command::Preset(preset) = command
            && inputs.send(Input::Preset(preset)).await.is_err()
        {
            return;
        }
    }
}

/// `--from` and `--to` as UTC ms; spans back count from the recording's end, which takes a reading of its own.
fn bounds(args: &ReplayArgs) -> anyhow::Result<(i64, i64)> {
    let relative = [args.from, args.to].into_iter().flatten().any(|t| matches!(t, Time::Back(_)));
    let mut end = 0;
    if relative {
        if args.files.iter().any(|f| f.as_os_str() == "-") {
            bail!("--from and --to with a span back need a file: standard input cannot be read twice");
        }
        let mut recording = Recording::open_all(&args.files, args.asset)?;
        while let Some(batch) = recording.next_batch()? {
            end = batch.iter().map(MarketEvent::known_at).fold(end, i64::max);
        }
    }
    let from = args.from.map_or(i64::MIN, |t| t.resolve(end));
    let to = args.to.map_or(i64::MAX, |t| t.resolve(end));
    anyhow::ensure!(from < to, "--from must lie before --to");
    Ok((from, to))
}

/// Feeds a recording to the engine at the speed asked for.
struct Player {
    recording: Recording,
    inputs: mpsc::Sender<Input>,
    from: i64,
    to: i64,
    speed: ReplaySpeed,
    venues: Vec<Venue>,
}

impl Player {
    /// Plays to the end and tells what the recording held.
    async fn play(
        mut self,
        first: Vec<MarketEvent>,
        asset: Asset,
    ) -> anyhow::Result<crate::feed::recording::RecordingTally> {
        let mut next = Some(first);
        let mut start: Option<(Instant, i64)> = None;
        let mut error = None;
        while let Some(batch) = next {
            for part in self.paced(batch) {
                let Some(at) = part.iter().map(MarketEvent::known_at).find(|&at| at > 0) else {
                    self.send(part, asset).await?;
                    continue;
                };
                if at >= self.to {
                    break;
                }
                if let ReplaySpeed::Times(speed) = self.speed
                    && at >= self.from
                {
                    let (begun, from) = *start.get_or_insert((Instant::now(), at));
                    let due =
                        Duration::try_from_secs_f64((at - from) as f64 / 1e3 / speed).unwrap_or_default();
                    tokio::time::sleep_until(begun + due).await;
                }
                self.send(part, asset).await?;
            }
            // A recording that breaks off shows what came before.
            next = match self.recording.next_batch() {
                Ok(batch) => batch,
                Err(e) => {
                    error = Some(e);
                    None
                }
            };
        }
        let tally = self.recording.tally();
        let note = match &error {
            Some(e) => clean(&format!("{e:#}"), 200),
            None if tally.broken + tally.truncated > 0 => clean(&tally.to_string(), 200),
            None => String::new(),
        };
        for venue in std::mem::take(&mut self.venues) {
            self.status(venue, LinkState::Ended, note.clone()).await?;
        }
        match error {
            Some(e) => Err(e),
            None => Ok(tally),
        }
    }

    /// A batch cut where its known-at time changes, unless speed does not matter.
    fn paced(&self, batch: Vec<MarketEvent>) -> Vec<Vec<MarketEvent>> {
        if self.speed == ReplaySpeed::Max && self.to == i64::MAX {
            return vec![batch];
        }
        let mut parts: Vec<Vec<MarketEvent>> = Vec::new();
        for event in batch {
            match parts.last_mut() {
                Some(part) if part.last().is_some_and(|e| e.known_at() == event.known_at()) => {
                    part.push(event);
                }
                _ => parts.push(vec![event]),
            }
        }
        parts
    }

    async fn send(&mut self, batch: Vec<MarketEvent>, asset: Asset) -> anyhow::Result<()> {
        for event in batch.iter().filter(|e| e.asset == asset) {
            if !self.venues.contains(&event.venue) {
                self.venues.push(event.venue);
                let venue = event.venue;
                self.status(venue, LinkState::Recorded, String::new()).await?;
            }
        }
        self.inputs.send(Input::Feed(FeedItem::Events(batch))).await.context("the engine has stopped")
    }

    async fn status(&mut self, venue: Venue, state: LinkState, note: String) -> anyhow::Result<()> {
        let status = VenueStatus { state, note, ..VenueStatus::new(venue) };
        self.inputs.send(Input::Feed(FeedItem::Status(status))).await.context("the engine has stopped")
    }
}
