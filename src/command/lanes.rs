//! The markets that run side by side: the one on the screen, and the others of the watchlist.
//!
//! Each has a feed and an engine of its own, so that changing the asset shows what is there already. One by one the others follow
//! when the first is live: nobody waits for them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::engine::{self, Command, Input, Snapshot};
use crate::estimate::Preset;
use crate::market::Asset;

use super::lane::{Lane, Road};

/// The others are looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// No more markets run side by side.
const MOST: usize = 12;

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
        shown.show();
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
        let mut closed = self.shown.close().await;
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
                event = self.shown.event() => match event? {
                    Some(snapshot) => {
                        screens.shown.send_replace(snapshot);
                    }
                    None => return Ok(()),
                },
                command = commands.recv() => match command {
                    Some(Command::Preset(preset)) => {
                        self.preset = preset;
                        self.tell_preset().await?;
                    }
                    Some(Command::Watch(asset)) => {
                        self.show(asset).await?;
                        screens.shown.send_replace(self.shown.newest());
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
        self.others.iter().map(Lane::newest).collect()
    }

    /// Opens the next market of the watchlist, once those there are have settled.
    async fn open_next(&mut self) -> anyhow::Result<()> {
        let runs =
            |asset: Asset| self.shown.asset() == asset || self.others.iter().any(|l| l.asset() == asset);
        let Some(next) = self.road.followed.iter().copied().find(|asset| !runs(*asset)) else {
            return Ok(());
        };
        let is_settled = self.shown.is_settled() && self.others.iter().all(Lane::is_settled);
        if is_settled && self.others.len() + 1 < MOST {
            let lane = self.opened(next).await?;
            // Nobody looks at each of its pictures.
            lane.tell(Input::Every(LOOK_EVERY)).await?;
            self.others.push(lane);
        }
        Ok(())
    }

    async fn opened(&self, asset: Asset) -> anyhow::Result<Lane> {
        let ground = self.road.ground.clone();
        let entrance = tokio::task::spawn_blocking(move || ground.enter(asset));
        let entrance = entrance.await.context("the history cannot be opened")?;
        Ok(Lane::open(&self.road, asset, entrance, &self.stop))
    }

    /// Shows another market: the one that runs, or a new one.
    async fn show(&mut self, asset: Asset) -> anyhow::Result<()> {
        if asset == self.shown.asset() {
            return Ok(());
        }
        let next = match self.others.iter().position(|lane| lane.asset() == asset) {
            Some(at) => self.others.remove(at),
            None => self.opened(asset).await?,
        };
        let before = std::mem::replace(&mut self.shown, next);
        if self.road.followed.contains(&before.asset()) {
            before.tell(Input::Preset(None)).await?;
            before.tell(Input::Every(LOOK_EVERY)).await?;
            self.others.push(before);
        } else {
            before.close().await?;
        }
        self.shown.show();
        self.shown.tell(Input::Every(engine::SNAPSHOT_EVERY)).await?;
        self.tell_preset().await
    }

    async fn tell_preset(&self) -> anyhow::Result<()> {
        self.shown.tell(Input::Preset(self.preset)).await
    }
}
