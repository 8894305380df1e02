//! One market that runs: a feed and an engine of its own, or the pictures of another process that has them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::engine::snapshot::LinkState;
use crate::engine::{self, Engine, History, Input, Snapshot};
use crate::feed::{self, FeedConfig, FeedItem};
use crate::market::{Asset, Venue};
use crate::store::{Follower, Lock};

use super::live::{ITEMS, open_capture};
use super::warm::{Entrance, Ground, SCREEN, Warm};

/// The first has the venues to itself for this long, or until it is live.
const FIRST_ALONE: Duration = Duration::from_secs(10);
/// Whoever is not live by then is not waited for.
const NOT_WAITED_FOR: Duration = Duration::from_secs(60);
/// A history that another process writes is looked at this often at most, and at least.
const POLL: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];
/// How often one who follows looks whether the other has ended.
const TAKE_OVER_EVERY: Duration = Duration::from_millis(500);

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

/// The engine's thread, once there is one.
type Running = Option<std::thread::JoinHandle<Engine>>;

/// One market.
#[derive(Debug)]
pub struct Lane {
    asset: Asset,
    opened: Instant,
    inputs: mpsc::Sender<Input>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    /// Whether all of its history is wanted, or the newest part only.
    whole: watch::Sender<bool>,
    stop: CancellationToken,
    ran: JoinHandle<anyhow::Result<Running>>,
}

/// The other ends of what a lane holds.
struct Ends {
    inputs: mpsc::Sender<Input>,
    taken: mpsc::Receiver<Input>,
    published: watch::Sender<Arc<Snapshot>>,
    whole: watch::Receiver<bool>,
    stop: CancellationToken,
}

impl Lane {
    /// Starts the market of an asset; within the runtime of the sockets.
    pub fn open(road: &Road, asset: Asset, mut entrance: Entrance, stop: &CancellationToken) -> Self {
        let first = match &mut entrance {
            Entrance::Own(warm) => warm.engine.snapshot(),
            Entrance::Beside(follower) => follower.snapshot(),
        };
        let (published, snapshots) = watch::channel(first);
        let (inputs, taken) = mpsc::channel(engine::INPUTS);
        let stop = stop.child_token();
        let (whole, all) = watch::channel(false);
        let ends = Ends { inputs: inputs.clone(), taken, published, whole: all, stop: stop.clone() };
        let ran = tokio::spawn(run(road.clone(), asset, entrance, ends));
        Self { asset, opened: Instant::now(), inputs, snapshots, whole, stop, ran }
    }

    /// Whose market it is.
    pub fn asset(&self) -> Asset {
        self.asset
    }

    /// The pictures of its market.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// Comes back with a new picture, or with none when the feed has ended.
    pub async fn event(&mut self) -> anyhow::Result<Option<Arc<Snapshot>>> {
        tokio::select! {
            ended = &mut self.ran => ended.context("the feed failed")?.map(|_| None),
            changed = self.snapshots.changed() => {
                if changed.is_err() {
                    bail!("the engine stopped unexpectedly; the log has the reason");
                }
                Ok(Some(Arc::clone(&self.snapshots.borrow_and_update())))
            }
        }
    }

    /// The newest picture.
    pub fn newest(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshots.borrow())
    }

    /// Whether another may be opened beside it.
    pub fn is_settled(&self) -> bool {
        let newest = self.snapshots.borrow();
        if newest.followed.is_some() {
            return true;
        }
        let is_live = newest.venues.iter().any(|v| v.status.state == LinkState::Live);
        self.opened.elapsed() >= if is_live { FIRST_ALONE } else { NOT_WAITED_FOR }
    }

    /// It is shown from now on: all of its history is wanted.
    pub fn show(&self) {
        self.whole.send_replace(true);
    }

    /// Tells the engine.
    pub async fn tell(&self, input: Input) -> anyhow::Result<()> {
        self.inputs.send(input).await.ok().context("the engine stopped unexpectedly; the log has the reason")
    }

    /// Ends it; all that its feed sent is with its engine then.
    pub async fn close(self) -> anyhow::Result<()> {
        if self.ran.is_finished() {
            return Ok(());
        }
        self.stop.cancel();
        let engine = self.ran.await.context("a feed failed")??;
        drop(self.inputs);
        let Some(engine) = engine else { return Ok(()) };
        match spawn_blocking(move || engine.join().is_ok()).await {
            Ok(true) => Ok(()),
            _ => bail!("the engine stopped unexpectedly; the log has the reason"),
        }
    }
}

/// Follows as long as another process has the feeds, and has them itself from then on.
async fn run(road: Road, asset: Asset, mut entrance: Entrance, mut ends: Ends) -> anyhow::Result<Running> {
    let mut asked = Vec::new();
    let warm = loop {
        let follower = match entrance {
            Entrance::Own(warm) => break *warm,
            Entrance::Beside(follower) => follower,
        };
        tracing::info!("the history of {asset} is written by {}: it is followed", follower.owner());
        let (runtime, ground) = (Handle::current(), road.ground.clone());
        let following = move || {
            runtime.block_on(async { (follow(&ground, *follower, &mut ends, &mut asked).await, ends, asked) })
        };
        let after;
        (after, ends, asked) = spawn_blocking(following).await.context("the history cannot be followed")?;
        let ground = road.ground.clone();
        let next = match after {
            After::Stopped => return Ok(None),
            After::Freed(lock) => {
                spawn_blocking(move || Entrance::Own(Box::new(ground.take_over(asset, lock))))
            }
            After::Another => spawn_blocking(move || ground.enter(asset)),
        };
        entrance = next.await.context("the history cannot be opened")?;
    };
    let Warm { mut engine, known, older: than, .. } = warm;
    let Ends { inputs, taken, published, whole, stop } = ends;
    published.send_replace(engine.snapshot());
    let engine = engine::spawn(engine, taken, published)?;
    for input in asked {
        // An error is an engine that has ended, which is told where it is joined.
        let _ = inputs.send(input).await;
    }
    let (items, received) = mpsc::channel(ITEMS);
    let capture = open_capture(&road.capture, asset)?;
    let venues = road.ground.venues();
    let history = async {
        tokio::select! {
            older = older(&road.ground, asset, than, whole) => {
                let _ = inputs.send(Input::Older(older)).await;
            }
            () = stop.cancelled() => {}
        }
    };
    let feed = async {
        let until = stop.clone();
        let fed =
            feed::resume(Arc::clone(&road.feed), venues, (asset, &known), items, capture.into(), until).await;
        stop.cancel();
        fed
    };
    let (fed, (), ()) = tokio::join!(feed, forward(received, inputs.clone()), history);
    fed?;
    Ok(Some(engine))
}

/// The closed columns before a time (UTC ms), once they are wanted.
async fn older(
    ground: &Ground,
    asset: Asset,
    than: Option<i64>,
    mut whole: watch::Receiver<bool>,
) -> Vec<(Venue, History)> {
    let Some(than) = than else { return std::future::pending().await };
    if whole.wait_for(|whole| *whole).await.is_err() {
        // The lane is gone.
        return std::future::pending().await;
    }
    let ground = ground.clone();
    spawn_blocking(move || ground.older(asset, than)).await.unwrap_or_default()
}

async fn forward(mut items: mpsc::Receiver<FeedItem>, inputs: mpsc::Sender<Input>) {
    while let Some(item) = items.recv().await {
        if inputs.send(Input::Feed(item)).await.is_err() {
            return;
        }
    }
}

/// Why following has ended.
enum After {
    /// It was told to.
    Stopped,
    /// Nobody writes any more, and nobody else will: the right to is ours.
    Freed(Lock),
    /// Another process writes now, perhaps another file.
    Another,
}

/// Publishes what another process writes, until that has ended. What the engine is to know later is `asked`.
async fn follow(ground: &Ground, mut follower: Follower, ends: &mut Ends, asked: &mut Vec<Input>) -> After {
    let pace = |every: Duration| {
        let mut poll = tokio::time::interval(every.clamp(POLL[0], POLL[1]));
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        poll
    };
    let mut poll = pace(Duration::ZERO);
    let mut look = tokio::time::interval(TAKE_OVER_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut failures, mut was_told) = (0_u64, true);
    let asset = ends.published.borrow().asset;
    let mut history = std::pin::pin!(older(ground, asset, follower.older(), ends.whole.clone()));
    let mut is_whole = false;
    loop {
        tokio::select! {
            () = ends.stop.cancelled() => return After::Stopped,
            input = ends.taken.recv() => {
                let Some(input) = input else { return After::Stopped };
                if let Input::Every(every) = input {
                    poll = pace(every);
                }
                asked.retain(|old| std::mem::discriminant(old) != std::mem::discriminant(&input));
                asked.push(input);
            }
            _ = poll.tick() => match follower.poll() {
                Ok(false) => {}
                Ok(true) => {
                    ends.published.send_replace(follower.snapshot());
                }
                Err(error) => {
                    failures += 1;
                    if failures.is_power_of_two() {
                        tracing::warn!("{} cannot be read: {error}", follower.reader().path().display());
                    }
                }
            },
            older = &mut history, if !is_whole => {
                is_whole = true;
                follower.add_older(older);
                ends.published.send_replace(follower.snapshot());
            }
            _ = look.tick() => {
                if let Some(lock) = follower.freed(SCREEN) {
                    tracing::info!("{} has ended: its place is taken", follower.owner());
                    return After::Freed(lock);
                }
                let is_told = follower.is_told();
                if was_told && !is_told {
                    let owner = follower.owner().clone();
                    follower.look_who_writes();
                    if *follower.owner() != owner {
                        return After::Another;
                    }
                }
                was_told = is_told;
            }
        }
    }
}
