//! Following a file that another process writes: closed columns as they come, and how things stand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{OptionalExtension, params};
use serde::de::DeserializeOwned;

use super::codec;
use super::interest::Interest;
use super::lock::{Lock, Owner};
use super::open::OpenError;
use super::read::{LiquidationRow, Reader};
use super::rows::{ASSETS, BOOK, HEAD, NOW, WEEK};
use super::{Identity, StorePath};
use crate::engine::beside::{LiveHead, LiveVenue, LiveWeek};
use crate::engine::snapshot::{AssetInfo, LinkState, VenueStatus, weighted_mark};
use crate::engine::{History, Origin, Print, Snapshot, VenueView};
use crate::estimate::BinTable;
use crate::market::Venue;
use crate::market::event::Book;

/// What was told longer ago than this is not how things stand, ms.
const STALE: i64 = 5_000;
/// Liquidations on the tape.
const TAPE: usize = 500;

/// Tells from when on (UTC ms) closed columns are read.
type From<'a> = dyn Fn(&Reader) -> rusqlite::Result<i64> + 'a;

/// A row of the live table, and when it was told.
#[derive(Debug, Clone)]
struct Told<T> {
    digest: i64,
    at: Instant,
    value: T,
}

/// One that follows.
#[derive(Debug)]
pub struct Follower {
    reader: Reader,
    at: StorePath,
    bins: Arc<BinTable>,
    /// Of these only.
    venues: Vec<Venue>,
    interest: Interest,
    owner: Owner,
    /// From when on closed columns are read (UTC ms); `None` where they are not.
    from: Option<i64>,
    version: Option<i64>,
    /// The newest column that is known, by its place in the file.
    newest: i64,
    histories: BTreeMap<Venue, Arc<History>>,
    head: LiveHead,
    /// When that was written, UTC ms; very small before it was.
    told_at: i64,
    now: BTreeMap<Venue, Told<LiveVenue>>,
    weeks: BTreeMap<Venue, (i64, LiveWeek)>,
    books: BTreeMap<Venue, (i64, Option<Arc<Book>>)>,
    assets: (i64, Arc<[AssetInfo]>),
    tape: Arc<[Print]>,
    seq: u64,
}

impl Follower {
    /// Follows an asset's file on some venues; `None` where there is nothing that this version can follow: no file, one of another version, or
    /// another history.
    /// Closed columns are read from the time (UTC ms) on that `from` tells; those before it are left to [`Reader::older`].
    pub fn open(
        at: &StorePath,
        identity: &Identity,
        what: (&Arc<BinTable>, &[Venue]),
        owner: Owner,
        from: impl Fn(&Reader) -> rusqlite::Result<i64>,
    ) -> Result<Option<Self>, OpenError> {
        Self::opened(at, identity, what, owner, Some(&from))
    }

    /// As [`Follower::open`], for one who does not look at closed columns.
    pub fn of_live(
        at: &StorePath,
        identity: &Identity,
        what: (&Arc<BinTable>, &[Venue]),
        owner: Owner,
    ) -> Result<Option<Self>, OpenError> {
        Self::opened(at, identity, what, owner, None)
    }

    fn opened(
        at: &StorePath,
        identity: &Identity,
        (bins, venues): (&Arc<BinTable>, &[Venue]),
        owner: Owner,
        from: Option<&From<'_>>,
    ) -> Result<Option<Self>, OpenError> {
        let io = |why: &dyn std::fmt::Display| OpenError::Io { path: at.database(), why: why.to_string() };
        let Some(reader) = Reader::open(at)?.filter(|r| r.identity() == identity) else { return Ok(None) };
        let from = from.map(|from| from(&reader)).transpose().map_err(|e| io(&e))?;
        // First of all: until the columns are read, the writer has told how things stand.
        let interest = Interest::declare(at).map_err(|e| io(&e))?;
        let mut follower = Self {
            reader,
            at: at.clone(),
            bins: Arc::clone(bins),
            venues: venues.to_vec(),
            interest,
            owner,
            from,
            version: None,
            newest: 0,
            histories: BTreeMap::new(),
            head: LiveHead::default(),
            told_at: i64::MIN,
            now: BTreeMap::new(),
            weeks: BTreeMap::new(),
            books: BTreeMap::new(),
            assets: (0, Arc::from([])),
            tape: Arc::from([]),
            seq: 0,
        };
        follower.poll().map_err(|e| io(&e))?;
        Ok(Some(follower))
    }

    /// Who writes.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Says that somebody follows.
    pub fn interest(&self) -> &Interest {
        &self.interest
    }

    /// The file.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The right to write, once nobody has it; whoever gets it may follow no longer.
    pub fn freed(&self, purpose: &str) -> Option<Lock> {
        Lock::take(&self.at.lock(), purpose).ok()
    }

    /// Closed columns before this time (UTC ms) are still to be read.
    pub fn older(&self) -> Option<i64> {
        self.from
    }

    /// Puts closed columns of earlier times before those that are here.
    pub fn add_older(&mut self, older: Vec<(Venue, History)>) {
        for (venue, history) in older {
            if let Some(known) = self.histories.get_mut(&venue) {
                Arc::make_mut(known).prepend(history);
            }
        }
    }

    /// Somebody else may write by now.
    pub fn look_who_writes(&mut self) {
        if let Some(owner) = Lock::holder(&self.at.lock()) {
            self.owner = owner;
        }
    }

    /// Whether the writer tells how things stand.
    pub fn is_told(&self) -> bool {
        let now = jiff::Timestamp::now().as_millisecond();
        self.told_at > i64::MIN && (now - self.told_at).abs() <= STALE
    }

    /// How the feeds do, as far as that is told.
    pub fn statuses(&self) -> impl Iterator<Item = VenueStatus> {
        self.now.values().map(|told| told.value.status(told.at))
    }

    /// Takes in what was written since; says whether there was something.
    pub fn poll(&mut self) -> rusqlite::Result<bool> {
        let version = self.reader.data_version()?;
        if self.version == Some(version) {
            return Ok(false);
        }
        // In one piece: the running column follows the last one that is closed.
        self.reader.connection().execute_batch("BEGIN")?;
        let read = self.read();
        self.reader.connection().execute_batch("COMMIT")?;
        read?;
        self.version = Some(version);
        Ok(true)
    }

    fn read(&mut self) -> rusqlite::Result<()> {
        if let Some(from) = self.from {
            self.read_closed(from)?;
        }
        self.read_live()?;
        self.read_tape()
    }

    /// The closed columns: all of them the first time, then what was added.
    fn read_closed(&mut self, from: i64) -> rusqlite::Result<()> {
        let newest: Option<i64> =
            self.reader.connection().query_row("SELECT max(id) FROM columns", [], |row| row.get(0))?;
        if self.version.is_none() {
            for stored in self.reader.stored(Some(from), |_| Some(i64::MAX))? {
                if self.venues.contains(&stored.venue) {
                    self.histories.insert(stored.venue, Arc::new(stored.history));
                }
            }
        } else if newest.is_some_and(|id| id > self.newest) {
            self.read_columns()?;
        }
        self.newest = newest.unwrap_or(0);
        Ok(())
    }

    /// What was closed since.
    fn read_columns(&mut self) -> rusqlite::Result<()> {
        let mut ends: BTreeMap<Venue, i64> = BTreeMap::new();
        for (venue, column) in self.reader.columns_after(self.newest)? {
            if !self.venues.contains(&venue) {
                continue;
            }
            let end = ends.entry(venue).or_insert(i64::MIN);
            *end = (*end).max(column.end());
            let history = Arc::make_mut(self.histories.entry(venue).or_default());
            let Some(level) = History::INTERVALS.iter().position(|i| *i == column.interval) else { continue };
            let columns = &mut history.ladder[level];
            let place = columns.partition_point(|c| c.start < column.start);
            if columns.get(place).is_none_or(|c| c.start != column.start) {
                columns.insert(place, column);
            }
        }
        for (venue, end) in ends {
            if let Some(history) = self.histories.get_mut(&venue) {
                Arc::make_mut(history).forget(end);
            }
        }
        Ok(())
    }

    /// How things stand.
    fn read_live(&mut self) -> rusqlite::Result<()> {
        let Some((told_at, digest)) = self.live_row("", HEAD)? else { return Ok(()) };
        let now = jiff::Timestamp::now().as_millisecond();
        if told_at == self.told_at || (now - told_at).abs() > STALE {
            return Ok(());
        }
        let Some(head) = self.live_body("", HEAD, digest)? else { return Ok(()) };
        (self.head, self.told_at) = (head, told_at);
        if let Some((_, digest)) = self.live_row("", ASSETS)?.filter(|(_, digest)| *digest != self.assets.0)
            && let Some(assets) = self.live_body::<Vec<AssetInfo>>("", ASSETS, digest)?
        {
            self.assets = (digest, assets.into());
        }
        let venues = std::mem::take(&mut self.head.venues);
        for venue in venues.iter().filter(|v| self.venues.contains(v)) {
            let name = venue.as_str();
            if let Some((at, digest)) = self.live_row(name, NOW)?
                && self.now.get(venue).is_none_or(|told| told.digest != digest)
                && let Some(value) = self.live_body(name, NOW, digest)?
            {
                let age = Duration::from_millis(u64::try_from(now - at).unwrap_or(0));
                let at = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
                self.now.insert(*venue, Told { digest, at, value });
            }
            if let Some((_, digest)) = self.live_row(name, WEEK)?
                && self.weeks.get(venue).is_none_or(|(known, _)| *known != digest)
                && let Some(week) = self.live_body(name, WEEK, digest)?
            {
                self.weeks.insert(*venue, (digest, week));
            }
            if let Some((_, digest)) = self.live_row(name, BOOK)?
                && self.books.get(venue).is_none_or(|(known, _)| *known != digest)
                && let Some(book) = self.live_body::<Option<Book>>(name, BOOK, digest)?
            {
                self.books.insert(*venue, (digest, book.map(Arc::new)));
            }
        }
        self.now.retain(|venue, _| venues.contains(venue));
        self.head.venues = venues;
        Ok(())
    }

    /// When a part was told (UTC ms), and its digest.
    fn live_row(&self, venue: &str, part: &str) -> rusqlite::Result<Option<(i64, i64)>> {
        let mut find = self
            .reader
            .connection()
            .prepare_cached("SELECT written_at, digest FROM live WHERE venue = ?1 AND part = ?2")?;
        find.query_row(params![venue, part], |row| Ok((row.get(0)?, row.get(1)?))).optional()
    }

    fn live_body<T: DeserializeOwned>(
        &self,
        venue: &str,
        part: &str,
        digest: i64,
    ) -> rusqlite::Result<Option<T>> {
        let mut find = self
            .reader
            .connection()
            .prepare_cached("SELECT body FROM live WHERE venue = ?1 AND part = ?2")?;
        let body: Vec<u8> = find.query_row(params![venue, part], |row| row.get(0))?;
        // What another version tells otherwise is not told.
        Ok(codec::decode(&body, digest).inspect_err(|e| tracing::debug!("{part} of {venue}: {e}")).ok())
    }

    fn read_tape(&mut self) -> rusqlite::Result<()> {
        let rows = self.reader.newest_liquidations(TAPE)?;
        let print = |row: &LiquidationRow| {
            let price = row.liquidation.price.to_f64();
            let usd = price * row.liquidation.qty.to_f64();
            Print { ts: row.ts, venue: row.venue, side: row.liquidation.position, price, usd }
        };
        let is_followed = |row: &&LiquidationRow| self.venues.contains(&row.venue);
        let tape: Vec<Print> = rows.iter().filter(is_followed).map(print).collect();
        if tape[..] != self.tape[..] {
            self.tape = tape.into();
        }
        Ok(())
    }

    /// The picture now.
    pub fn snapshot(&mut self) -> Arc<Snapshot> {
        self.seq += 1;
        let (empty, no_week) = (Arc::default(), LiveWeek::default());
        let known = |venue: &Venue| self.histories.get(venue).unwrap_or(&empty);
        let live = self.head.venues.iter().filter_map(|venue| {
            let told = self.now.get(venue)?;
            let week = self.weeks.get(venue).map_or(&no_week, |(_, week)| week);
            let book = self.books.get(venue).and_then(|(_, book)| book.clone());
            Some(told.value.view(week, book, known(venue), told.at))
        });
        let mut venues: Vec<VenueView> = live.collect();
        let mut mark = self.head.mark;
        if venues.is_empty() {
            let waiting = |venue: &&Venue| VenueStatus {
                state: LinkState::Connecting,
                note: format!("waiting to be told by {}", self.owner.short()),
                ..VenueStatus::new(**venue)
            };
            let with_rows = self.venues.iter().filter(|v| self.histories.contains_key(v));
            venues = with_rows.map(|v| VenueView::of_history(waiting(&v), known(v))).collect();
            mark = weighted_mark(venues.iter().filter_map(|v| Some((v.mark?, v.oi_usd.unwrap_or(0.0)))));
        }
        let newest = || venues.iter().filter_map(|v| v.course.restored).max().unwrap_or(0);
        Arc::new(Snapshot {
            seq: self.seq,
            asset: self.at.asset(),
            origin: if self.reader.identity().simulated { Origin::Simulated } else { Origin::Live },
            now: if self.head.now > 0 { self.head.now } else { newest() },
            mark,
            bins: Arc::clone(&self.bins),
            tape: Arc::clone(&self.tape),
            assets: Arc::clone(&self.assets.1),
            events: self.head.events,
            followed: Some(self.owner.short().into()),
            playback: None,
            venues,
        })
    }
}
