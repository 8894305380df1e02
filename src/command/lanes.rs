//! The markets that run side by side: the one on the screen, and the others of the watchlist.
//!
//! Each has a feed and an engine of its own, so that changing the asset shows what is there already. One by one the others follow
//! when the first is live: nobody waits for them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::engine::{self, Command, Engine, Input, Snapshot};
use crate::estimate::Preset;
use crate::feed::status::LinkState;
use crate::feed::{self, FeedConfig, FeedItem};
use crate::market::Asset;

use super::live::{ITEMS, open_capture};
use super::warm::{Ground, Use, Warm};

/// The others are looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The first has the venues to itself for this long, or until it is live.
const FIRST_ALONE: Duration = Duration::from_secs(10);
/// Whoever is not live by then is not waited for.
const NOT_WAITED_FOR: Duration = Duration::from_secs(60);
/// No more markets run side by side.
const MOST: usize = 12;

/// What the lanes of a run have in common.
#[derive(Debug, Clone)]
pub struct Road {
    /// The stores, bins and venues.
    pub ground: Ground,
    /// The feeds' part of the configuration.
    pub feed: Arc<FeedConfig>,
    /// Folder that raw frames of every lane are recorded in; empty for none.
    pub capture: PathBuf,
    /// Assets that are followed, shown or not.
    pub followed: Vec<Asset>,
}

/// One market.
#[derive(Debug)]
pub struct Lane {
    asset: Asset,
    opened: Instant,
    inputs: mpsc::Sender<Input>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    stop: CancellationToken,
    fed: JoinHandle<anyhow::Result<()>>,
    engine: std::thread::JoinHandle<Engine>,
}

impl Lane {
    /// Starts the feed and the engine of an asset; within the runtime of the sockets.
    pub fn open(road: &Road, asset: Asset, warm: Warm, stop: &CancellationToken) -> anyhow::Result<Self> {
        let Warm { mut engine, known, .. } = warm;
        let (published, snapshots) = watch::channel(engine.snapshot());
        let (inputs, taken) = mpsc::channel(engine::INPUTS);
        let engine = engine::spawn(engine, taken, published)?;
        let stop = stop.child_token();
        let (items, received) = mpsc::channel(ITEMS);
        let capture = open_capture(&road.capture, asset)?;
        let (road, to, until) = (road.clone(), inputs.clone(), stop.clone());
        let fed = tokio::spawn(async move {
            let venues = road.ground.venues();
            let feed =
                feed::resume(Arc::clone(&road.feed), venues, (asset, &known), items, capture.into(), until);
            tokio::join!(feed, forward(received, to)).0
        });
        Ok(Self { asset, opened: Instant::now(), inputs, snapshots, stop, fed, engine })
    }

    /// The pictures of its market.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// Whether another may be opened beside it.
    fn is_settled(&self) -> bool {
        let is_live = self.snapshots.borrow().venues.iter().any(|v| v.status.state == LinkState::Live);
        self.opened.elapsed() >= if is_live { FIRST_ALONE } else { NOT_WAITED_FOR }
    }

    /// Ends it; all that its feed sent is with its engine then.
    async fn close(self) -> anyhow::Result<()> {
        self.stop.cancel();
        let fed = self.fed.await.context("a feed failed")?;
        drop(self.inputs);
        let engine = self.engine;
        match tokio::task::spawn_blocking(move || engine.join().is_ok()).await {
            Ok(true) => fed,
            _ => bail!("the engine stopped unexpectedly; the log has the reason"),
        }
    }
}

async fn forward(mut items: mpsc::Receiver<FeedItem>, inputs: mpsc::Sender<Input>) {
    while let Some(item) = items.recv().await {
        if inputs.send(Input::Feed(item)).await.is_err() {
            return;
        }
    }
}

/// Where the pictures go.
#[derive(Debug)]
pub struct Screens {
    /// Those of the market that is shown.
    pub shown: watch::Sender<Arc<Snapshot>>,
    /// Those of the others.
    pub others: watch::Sender<Vec<Arc<Snapshot>>>,
}

/// The markets that run.
#[derive(Debug)]
pub struct Lanes {
    road: Road,
    shown: Lane,
    others: Vec<Lane>,
    preset: Option<Preset>,
    stop: CancellationToken,
}

impl Lanes {
    /// A first market, which is shown.
    pub fn new(road: Road, shown: Lane, stop: CancellationToken) -> Self {
        Self { road, shown, others: Vec::new(), preset: None, stop }
    }

    /// Runs until told to stop, or until the feed of the market that is shown fails.
    pub async fn run(
        mut self,
        screens: Screens,
        mut commands: mpsc::Receiver<Command>,
    ) -> anyhow::Result<()> {
        let ran = self.follow(&screens, &mut commands).await;
        self.stop.cancel();
        let mut closed = Ok(());
        if !self.shown.fed.is_finished() {
            closed = self.shown.close().await;
        }
        for lane in self.others {
            closed = closed.and(lane.close().await);
        }
        ran.and(closed)
    }

    async fn follow(
        &mut self,
        screens: &Screens,
        commands: &mut mpsc::Receiver<Command>,
    ) -> anyhow::Result<()> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                ended = &mut self.shown.fed => return ended.context("the feed failed")?,
                changed = self.shown.snapshots.changed() => {
                    if changed.is_err() {
                        bail!("the engine stopped unexpectedly; the log has the reason");
                    }
                    let snapshot = Arc::clone(&self.shown.snapshots.borrow_and_update());
                    screens.shown.send_replace(snapshot);
                }
                command = commands.recv() => match command {
                    Some(Command::Preset(preset)) => {
                        self.preset = preset;
                        self.tell_preset().await?;
                    }
                    Some(Command::Watch(asset)) => {
                        self.show(asset).await?;
                        screens.shown.send_replace(Arc::clone(&self.shown.snapshots.borrow_and_update()));
                        screens.others.send_replace(self.looked_at());
                    }
                    // The app asks it only of a replay.
                    Some(Command::Replay(_)) => {}
                    None => return Ok(()),
                },
                _ = look.tick() => {
                    screens.others.send_replace(self.looked_at());
                    self.open_next().await?;
                }
            }
        }
    }

    /// The newest pictures of the markets that are not shown.
    fn looked_at(&self) -> Vec<Arc<Snapshot>> {
        self.others.iter().map(|lane| Arc::clone(&lane.snapshots.borrow())).collect()
    }

    /// Opens the next market of the watchlist, once those there are have settled.
    async fn open_next(&mut self) -> anyhow::Result<()> {
        let runs = |asset: Asset| self.shown.asset == asset || self.others.iter().any(|l| l.asset == asset);
        let Some(next) = self.road.followed.iter().copied().find(|asset| !runs(*asset)) else {
            return Ok(());
        };
        let is_settled = self.shown.is_settled() && self.others.iter().all(Lane::is_settled);
        if is_settled && self.others.len() + 1 < MOST {
            let lane = self.opened(next).await?;
            // Nobody looks at each of its pictures.
            self.tell(&lane, Input::Every(LOOK_EVERY)).await?;
            self.others.push(lane);
        }
        Ok(())
    }

    async fn opened(&self, asset: Asset) -> anyhow::Result<Lane> {
        let ground = self.road.ground.clone();
        let warm = tokio::task::spawn_blocking(move || ground.open(asset, Use::Screen));
        Lane::open(&self.road, asset, warm.await.context("the history cannot be opened")?, &self.stop)
    }

    /// Shows another market: the one that runs, or a new one.
    async fn show(&mut self, asset: Asset) -> anyhow::Result<()> {
        if asset == self.shown.asset {
            return Ok(());
        }
        let next = match self.others.iter().position(|lane| lane.asset == asset) {
            Some(at) => self.others.remove(at),
            None => self.opened(asset).await?,
        };
        let before = std::mem::replace(&mut self.shown, next);
        if self.road.followed.contains(&before.asset) {
            self.tell(&before, Input::Preset(None)).await?;
            self.tell(&before, Input::Every(LOOK_EVERY)).await?;
            self.others.push(before);
        } else {
            before.close().await?;
        }
        self.tell(&self.shown, Input::Every(engine::SNAPSHOT_EVERY)).await?;
        self.tell_preset().await
    }

    async fn tell_preset(&self) -> anyhow::Result<()> {
        self.tell(&self.shown, Input::Preset(self.preset)).await
    }

    async fn tell(&self, lane: &Lane, input: Input) -> anyhow::Result<()> {
        lane.inputs.send(input).await.ok().context("the engine stopped unexpectedly; the log has the reason")
    }
}
