//! Starting where the last run ended: the store, the engine made of it, and what is left to ask the venues.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::config::Config;
use crate::engine::{Engine, History, Origin};
use crate::estimate::BinTable;
use crate::feed::FeedItem;
use crate::feed::status::clean;
use crate::market::{Asset, Interval, Venue};
use crate::store::writer::Watch;
use crate::store::{self, Follower, Identity, Lock, OpenError, Opened, Owner, Reader, StorePath};

/// A state this much ahead of the clock is not believed, ms.
const AHEAD: i64 = 3_600_000;
/// What is read at first is the range on screen, a day at least, and this much more of it.
const MARGIN: f64 = 1.25;
/// How long a file that is just being closed is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// What an engine is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// A screen looks at its columns, and it keeps what it learns.
    Screen,
    /// It keeps what it learns, and nobody looks.
    Collect,
    /// Its levels are looked at once, and it keeps nothing.
    Look,
    /// The same with its columns.
    Picture,
}

/// An engine that goes on from what was kept, as far as there is something.
#[derive(Debug)]
pub struct Warm {
    /// The engine; its records go to the store, if one is written.
    pub engine: Engine,
    /// How writing goes, where the store is written.
    pub watch: Option<Watch>,
    /// Closed columns before this time (UTC ms) are still to be read, where there are any.
    pub older: Option<i64>,
    /// Up to when each venue is known, UTC ms.
    pub known: Vec<(Venue, i64)>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// Why the store is not written, where it should be.
    pub refused: Option<OpenError>,
}

/// How a market is entered.
#[derive(Debug)]
pub enum Entrance {
    /// With an engine and feeds of our own.
    Own(Box<Warm>),
    /// Following the process that has them.
    Beside(Box<Follower>),
}

/// What the right to write is for, in the words told to others.
pub const SCREEN: &str = "screen";
const COLLECT: &str = "collect";

/// What engines of a run have in common.
#[derive(Debug, Clone)]
pub struct Ground {
    config: Arc<Config>,
    bins: Arc<BinTable>,
    origin: Origin,
    venues: Vec<Venue>,
}

impl Ground {
    /// From the configuration.
    pub fn new(config: &Config) -> Self {
        Self {
            bins: Arc::new(BinTable::new(config.bin_bp)),
            origin: if config.feed.simulated { Origin::Simulated } else { Origin::Live },
            venues: config.venues.enabled(),
            config: Arc::new(config.clone()),
        }
    }

    /// The venues to follow.
    pub fn venues(&self) -> &[Venue] {
        &self.venues
    }

    /// Whether history is kept: of simulated exchanges only where a folder is named.
    fn keeps(&self) -> bool {
        self.config.store.enabled
            && !(self.config.feed.simulated && self.config.data_dir.as_os_str().is_empty())
    }

    /// An engine for an asset. Blocks while the file is opened and read.
    pub fn open(&self, asset: Asset, purpose: Use) -> Warm {
        let right = (matches!(purpose, Use::Screen | Use::Collect) && self.keeps())
            .then(|| self.right(asset, purpose));
        self.open_with(asset, purpose, right)
    }

    /// An engine for a screen, or where another process writes the history one that follows it. Blocks likewise.
    pub fn enter(&self, asset: Asset) -> Entrance {
        let right = self.keeps().then(|| self.right(asset, Use::Screen));
        if let Some(Err(OpenError::Held { owner, .. })) = &right {
            match self.follow(asset, owner) {
                Ok(Some(follower)) => return Entrance::Beside(Box::new(follower)),
                Ok(None) => tracing::warn!("{owner} writes what this version does not read"),
                Err(error) => tracing::warn!("{owner} cannot be followed: {error}"),
            }
        }
        Entrance::Own(Box::new(self.open_with(asset, Use::Screen, right)))
    }

    /// An engine for a screen whose right to write has become free. Blocks likewise.
    pub fn take_over(&self, asset: Asset, right: Lock) -> Warm {
        self.open_with(asset, Use::Screen, Some(Ok(right)))
    }

    /// An engine with the state that another process has now, where one writes the history and tells it. Blocks likewise, for a few seconds
    /// at most.
    pub fn beside(&self, asset: Asset, purpose: Use) -> Option<Engine> {
        let at = self.at(asset);
        let owner = Lock::holder(&at.lock()).filter(|_| self.keeps())?;
        self.asked(&at, asset, purpose, &owner)
            .inspect_err(|error| tracing::warn!("{owner} cannot be asked for its state: {error:#}"))
            .ok()
            .flatten()
    }

    fn asked(
        &self,
        at: &StorePath,
        asset: Asset,
        purpose: Use,
        owner: &Owner,
    ) -> anyhow::Result<Option<Engine>> {
        let (identity, begun) = (self.identity(asset), Instant::now());
        let follower = Follower::of_live(at, &identity, (&self.bins, &self.venues), owner.clone())?;
        let Some(mut follower) = follower else { return Ok(None) };
        let before = follower.reader().newest_checkpoint()?;
        follower.interest().ask_for_state()?;
        while follower.reader().newest_checkpoint()? == before || !follower.is_told() {
            if begun.elapsed() >= PATIENCE {
                tracing::warn!("{owner} was asked for its state and did not tell it");
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(20));
            follower.poll()?;
        }
        let (mut engine, _) = self.restored(follower.reader(), asset, purpose)?;
        let statuses: Vec<_> = follower.statuses().collect();
        for status in statuses {
            engine.apply(FeedItem::Status(status));
        }
        Ok(Some(engine))
    }

    /// One who follows the writer of an asset, once there is something to follow.
    fn follow(&self, asset: Asset, owner: &Owner) -> Result<Option<Follower>, OpenError> {
        let (at, identity, begun) = (self.at(asset), self.identity(asset), Instant::now());
        loop {
            let read_from = |reader: &Reader| self.read_from(reader);
            let follower =
                Follower::open(&at, &identity, (&self.bins, &self.venues), owner.clone(), read_from)?;
            // A writer that has just begun is still making its file.
            if follower.is_some() || begun.elapsed() >= PATIENCE {
                return Ok(follower);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// From when on closed columns are read at first, UTC ms: what is on screen comes before what may be.
    fn read_from(&self, reader: &Reader) -> rusqlite::Result<i64> {
        let span = self.config.range.ms().max(Interval::D1.ms()) as f64 * MARGIN;
        Ok(reader.closed_until()?.map_or(i64::MIN, |end| end.saturating_sub(span as i64)))
    }

    /// The closed columns of an asset before a time (UTC ms). Blocks while they are read.
    pub fn older(&self, asset: Asset, than: i64) -> Vec<(Venue, History)> {
        let read = || -> anyhow::Result<_> {
            let reader = Reader::open(&self.at(asset))?.context("the file is gone")?;
            Ok(reader.older(than)?)
        };
        read()
            .inspect_err(|error| tracing::warn!("older columns of {asset} are not shown: {error:#}"))
            .unwrap_or_default()
    }

    fn at(&self, asset: Asset) -> StorePath {
        StorePath::new(&self.config.data_dir(), asset)
    }

    fn open_with(&self, asset: Asset, purpose: Use, right: Option<Result<Lock, OpenError>>) -> Warm {
        let at = self.at(asset);
        let mut warm = Warm {
            engine: self.fresh(asset),
            watch: None,
            older: None,
            known: Vec::new(),
            notes: Vec::new(),
            refused: None,
        };
        if self.keeps() {
            let open =
                |right| store::open_writer_holding(right, &at, &self.identity(asset), self.config.store);
            let opened = right.map(|right| right.and_then(open));
            self.restore(&at, asset, purpose, &mut warm);
            match opened {
                Some(Ok(Opened { writer, notes })) => {
                    warm.watch = Some(writer.watch());
                    warm.engine.set_wishes(writer.wishes());
                    warm.engine.set_sink(writer.into_sink());
                    warm.notes.splice(0..0, notes);
                }
                Some(Err(error)) => {
                    warm.notes.insert(0, error.to_string());
                    warm.refused = Some(error);
                }
                None => {}
            }
        }
        if purpose == Use::Collect {
            warm.engine.forget_columns();
        }
        if i64::from(self.config.store.minute_hours) * Interval::H1.ms() <= History::KEPT[0] {
            warm.engine.skip_outlived();
        }
        for note in &mut warm.notes {
            *note = clean(note, 300);
            // `collect` says it on standard error, where its log goes too.
            if purpose != Use::Collect {
                tracing::warn!("{note}");
            }
        }
        warm
    }

    fn fresh(&self, asset: Asset) -> Engine {
        Engine::new(asset, self.origin, Arc::clone(&self.bins), &self.venues)
    }

    fn identity(&self, asset: Asset) -> Identity {
        Identity { asset, simulated: self.config.feed.simulated, bin_bp: self.config.bin_bp }
    }

    /// The right to write. Who switches from an asset and back finds its file being closed.
    fn right(&self, asset: Asset, purpose: Use) -> Result<Lock, OpenError> {
        let (at, begun) = (self.at(asset), Instant::now());
        let word = if purpose == Use::Collect { COLLECT } else { SCREEN };
        let own = format!("process {} ", std::process::id());
        loop {
            match store::lock_writer(&at, word) {
                Err(OpenError::Held { owner, .. })
                    if owner.0.starts_with(&own) && begun.elapsed() < PATIENCE =>
                {
                    std::thread::sleep(Duration::from_millis(50));
                }
                done => return done,
            }
        }
    }

    fn restore(&self, at: &StorePath, asset: Asset, purpose: Use, warm: &mut Warm) {
        let reader = match Reader::open(at) {
            Ok(Some(reader)) if *reader.identity() == self.identity(asset) => reader,
            // A file of another history is told by who wants to write it.
            Ok(_) | Err(OpenError::Newer { .. } | OpenError::Foreign { .. }) => return,
            Err(error) => return warm.notes.push(error.to_string()),
        };
        match self.restored(&reader, asset, purpose) {
            Ok((engine, from)) => {
                warm.older = from;
                warm.known = engine
                    .venues()
                    .iter()
                    .filter(|m| m.is_present())
                    .map(|m| (m.venue(), m.seen()))
                    .collect();
                warm.engine = engine;
                warm.engine.interrupted();
            }
            Err(error) => warm.notes.push(format!("the history of {asset} is not taken up: {error:#}")),
        }
        if reader.damaged() > 0 {
            warm.notes
                .push(format!("{} damaged rows of the history of {asset} were left out", reader.damaged()));
        }
    }

    /// The engine, and from when on its closed columns are read, where they are.
    fn restored(&self, reader: &Reader, asset: Asset, purpose: Use) -> anyhow::Result<(Engine, Option<i64>)> {
        let mut checkpoint = reader.checkpoint()?.unwrap_or_default();
        let now = jiff::Timestamp::now().as_millisecond();
        anyhow::ensure!(
            self.config.feed.simulated || checkpoint.now <= now + AHEAD,
            "it ends in the future; is the clock right?"
        );
        checkpoint.venues.retain(|state| self.venues.contains(&state.venue));
        let since = |venue: Venue| {
            let state = checkpoint.venues.iter().find(|s| s.venue == venue);
            state.map(|s| s.open.unwrap_or(i64::MAX))
        };
        let from =
            matches!(purpose, Use::Screen | Use::Picture).then(|| self.read_from(reader)).transpose()?;
        let stored = reader.stored(from, since)?;
        Ok((Engine::restored(asset, self.origin, &self.bins, &self.venues, &checkpoint, stored)?, from))
    }
}
