//! `meltline replay`: the screen on a recording, which can be driven.

mod checkpoints;
pub mod kept;
pub mod player;
pub mod stage;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::app::Settings;
use crate::cli::{Books, ReplayArgs, Time};
use crate::config::Config;
use crate::engine::playback::Speed;
use crate::engine::{Command, Engine, Origin, SNAPSHOT_EVERY, Snapshot};
use crate::estimate::BinTable;
use crate::feed::recording::Recording;
use crate::market::{Asset, MarketEvent};
use crate::term::caps::Caps;

use super::screen;
use kept::Kept;
use player::{Player, Wake};
use stage::{Recorded, Stage};

/// Runs the command. The screen stays on the last frame until the user quits.
pub fn run(args: &ReplayArgs, config: &Config) -> anyhow::Result<()> {
    let (settings, caps) = super::start::screen(config)?;
    if let Some(asset) = kept_asset(args) {
        let stage = Kept::open(&config.data_dir(), asset)?;
        let (from, to) = stage.bounds(args.from, args.to)?;
        return show(Player::new(stage, args.speed, from, to), settings, caps).map(|_| ());
    }
    let (from, to) = bounds(args)?;
    let recording = open(args)?;
    let asset = args.asset.or(recording.asset()).unwrap_or(config.asset);
    let bins = Arc::new(BinTable::new(config.bin_bp));
    let mut engine = Engine::new(asset, Origin::Replay, bins, &[]);
    // There is no way to a time before it was begun but to start there.
    if from.is_none_or(|from| recording.begins().is_some_and(|begins| begins <= from)) {
        engine.skip_outlived();
    }
    let stage = Recorded::new(recording, engine);
    let stage = show(Player::new(stage, args.speed, from, to), settings, caps)?;
    match stage.finish()? {
        Some(tally) => super::report(&tally),
        None => Ok(()),
    }
}

/// The asset whose kept history is meant: a single name that is no file.
fn kept_asset(args: &ReplayArgs) -> Option<Asset> {
    let [name] = args.files.as_slice() else { return None };
    let text = name.to_str().filter(|text| !text.contains(['.', '/']) && *text != "-")?;
    if name.exists() { None } else { text.parse().ok() }
}

/// Plays on the screen until the user quits; what was played comes back.
fn show<S: Stage + Send + 'static>(
    mut player: Player<S>,
    settings: Settings,
    caps: Caps,
) -> anyhow::Result<S> {
    let (pictures, seen) = watch::channel(player.picture());
    let (commands, asked) = mpsc::channel(8);
    let thread = spawn(player, asked, pictures)?;
    let shown = screen::run(settings, caps, (seen, None), commands, None, false);
    let Ok(stage) = thread.join() else {
        bail!("the player stopped unexpectedly; the log has the reason");
    };
    shown.map(|()| stage)
}

/// A recording in which there is something of the asset, at its beginning.
fn open(args: &ReplayArgs) -> anyhow::Result<Recording> {
    let mut recording = Recording::open_all(&args.files, args.asset)?;
    let has_books = match args.books {
        Books::Auto => args.speed != Speed::Max,
        Books::Always => true,
        Books::Never => false,
    };
    if !has_books {
        recording = recording.without_books();
    }
    if !recording.peek()? {
        super::report(&recording.tally())?;
        bail!("no events of the asset in the recording");
    }
    Ok(recording)
}

/// `--from` and `--to` as UTC ms; spans back count from the recording's end, which takes a reading of its own.
fn bounds(args: &ReplayArgs) -> anyhow::Result<(Option<i64>, i64)> {
    let relative = [args.from, args.to].into_iter().flatten().any(|t| matches!(t, Time::Back(_)));
    let mut end = 0;
    if relative {
        if args.files.iter().any(|f| f.as_os_str() == "-") {
            bail!("--from and --to with a span back need a file: standard input cannot be read twice");
        }
        let mut recording = Recording::open_all(&args.files, args.asset)?.without_books();
        while let Some(batch) = recording.next_batch()? {
            end = batch.iter().map(MarketEvent::known_at).fold(end, i64::max);
        }
    }
    let from = args.from.map(|t| t.resolve(end));
    let to = args.to.map_or(i64::MAX, |t| t.resolve(end));
    anyhow::ensure!(from.is_none_or(|from| from < to), "--from must lie before --to");
    Ok((from, to))
}

/// While it plays as fast as it can, what pictures take is missing there: they come four times a second.
const HURRIED_EVERY: Duration = Duration::from_millis(250);

/// Plays on a thread of its own until nobody asks any more.
fn spawn<S: Stage + Send + 'static>(
    mut player: Player<S>,
    mut asked: mpsc::Receiver<Command>,
    pictures: watch::Sender<Arc<Snapshot>>,
) -> anyhow::Result<JoinHandle<S>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .context("cannot start the player's timer")?;
    let run = async move {
        let mut published = Instant::now();
        let mut motion = player.motion();
        let mut newest = player.stage().now();
        loop {
            let wake = player.turn(Instant::now().into_std());
            // What stands is shown at once.
            let changed = player.motion() != motion;
            let every = if wake == Wake::Now { HURRIED_EVERY } else { SNAPSHOT_EVERY };
            if changed || wake == Wake::Asked || published.elapsed() >= every {
                pictures.send_replace(player.picture());
                (published, motion, newest) = (Instant::now(), player.motion(), player.stage().now());
            }
            let command = match wake {
                Wake::Now => match asked.try_recv() {
                    Ok(command) => Some(command),
                    Err(TryRecvError::Empty) => continue,
                    Err(TryRecvError::Disconnected) => None,
                },
                Wake::Asked => asked.recv().await,
                Wake::At(due) => {
                    let is_behind = player.stage().now() != newest;
                    let due = Instant::from_std(due);
                    let due = if is_behind { due.min(published + SNAPSHOT_EVERY) } else { due };
                    match tokio::time::timeout_at(due, asked.recv()).await {
                        Ok(command) => command,
                        Err(_) => continue,
                    }
                }
            };
            match command {
                Some(Command::Replay(transport)) => player.ask(transport),
                Some(Command::Preset(preset)) => player.set_preset(preset),
                // There is no other asset to switch to.
                Some(Command::Watch(_)) => {}
                None => return player.into_stage(),
            }
        }
    };
    std::thread::Builder::new()
        .name("player".into())
        .spawn(move || runtime.block_on(run))
        .context("cannot start the player's thread")
}
