//! The one thread that writes a file.
//!
//! Records wait in a bounded channel that blocks, and are committed together twice a second: with the way there, at most a second
//! is lost when the process is killed. When the disk is full they are held, up to a limit, and tried again until there is room.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::watch;

use super::interest::Lookout;
use super::lock::Lock;
use super::rows::{Numbered, Numbering, Rows, Told, Written};
use super::{StoreConfig, StorePath, retention};
use crate::engine::beside::{LiveMarket, Wishes};
use crate::engine::record::{Record, Sink};

/// Records that may wait for the thread; a full channel holds the engine back. A history that is fetched makes columns faster than a disk takes
/// them, some 10 kB each, and every asset of a collector has a channel: it is short.
const QUEUE: usize = 128;
/// How often what came is committed.
const COMMIT_EVERY: Duration = Duration::from_millis(500);
/// Records committed together, at most.
const BATCH: usize = 128;
/// Records held while nothing can be written.
const HELD: usize = 20_000;
/// How soon writing is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often the writer looks whether anybody follows.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often what is too old goes.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// And the first time.
const FIRST_PRUNE: Duration = Duration::from_secs(60);
/// Columns after which rows that are too old go before their time: history that is fetched brings minutes by the thousand that are older than they are kept.
const PRUNE_AFTER: u64 = 2_000;
/// How often writing is tried at the end, before what is held is given up.
const LAST_TRIES: u32 = 3;

/// How writing goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriterStatus {
    /// Rows written, repeats and conflicts since the start.
    pub written: Written,
    /// Records given up: no room, or the file would not take them.
    pub dropped: u64,
    /// Records that wait for the disk.
    pub held: usize,
    /// Why nothing is written at the moment.
    pub trouble: Option<String>,
    /// Size of the file, bytes.
    pub bytes: u64,
}

enum Message {
    Keep(Box<Record>),
    End,
}

/// A file's writer. What was handed to it is on disk once [`Writer::close`] is back.
#[derive(Debug)]
pub struct Writer {
    to: SyncSender<Message>,
    thread: Option<JoinHandle<()>>,
    status: Arc<Mutex<WriterStatus>>,
    wishes: watch::Receiver<Wishes>,
    path: PathBuf,
}

impl Writer {
    pub(super) fn spawn(
        conn: Connection,
        at: &StorePath,
        config: StoreConfig,
        lock: Lock,
    ) -> std::io::Result<Self> {
        let (path, lookout) = (at.database(), Lookout::new(at));
        let wishes = lookout.wishes();
        let (to, from) = sync_channel(QUEUE);
        let status = Arc::new(Mutex::new(WriterStatus::default()));
        let worker = Worker {
            conn,
            path: path.clone(),
            config,
            status: Arc::clone(&status),
            numbering: Numbering::default(),
            held: Vec::new(),
            lookout,
            live: None,
            told: Told::default(),
            tried: Instant::now(),
            looked: Instant::now(),
            prune_at: Instant::now() + FIRST_PRUNE,
            unpruned: 0,
            _lock: lock,
        };
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || worker.run(&from))?;
        Ok(Self { to, thread: Some(thread), status, wishes, path })
    }

    /// Hands over a record; blocks while the disk is slower than the market.
    pub fn keep(&self, record: Record) {
        // An error is a thread that has failed, which is told when it is ended.
        let _ = self.to.send(Message::Keep(Box::new(record)));
    }

    /// Where an engine hands its records. Once the sink is dropped, all of them are on disk.
    pub fn into_sink(self) -> Sink {
        Box::new(move |record| self.keep(record))
    }

    /// Looks on while the writer is somewhere else.
    pub fn watch(&self) -> Watch {
        Watch(Arc::clone(&self.status))
    }

    /// What readers beside ask of the engine.
    pub fn wishes(&self) -> watch::Receiver<Wishes> {
        self.wishes.clone()
    }

    /// How writing goes.
    pub fn status(&self) -> WriterStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what has been handed over so far, and ends.
    pub fn close(mut self) -> WriterStatus {
        self.end();
        self.status()
    }

    fn end(&mut self) {
        let _ = self.to.send(Message::End);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writer of {} stopped unexpectedly", self.path.display());
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.end();
        }
    }
}

/// Tells how a writer does.
#[derive(Debug, Clone)]
pub struct Watch(Arc<Mutex<WriterStatus>>);

impl Watch {
    /// How writing goes.
    pub fn status(&self) -> WriterStatus {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Worker {
    conn: Connection,
    path: PathBuf,
    config: StoreConfig,
    status: Arc<Mutex<WriterStatus>>,
    numbering: Numbering,
    held: Vec<Numbered>,
    lookout: Lookout,
    /// How things stand, if that is to be told.
    live: Option<Box<LiveMarket>>,
    /// What was told last.
    told: Told,
    tried: Instant,
    looked: Instant,
    prune_at: Instant,
    /// Columns written since rows were last looked at for their age.
    unpruned: u64,
    _lock: Lock,
}

impl Worker {
    fn run(mut self, from: &Receiver<Message>) {
        loop {
            let is_stuck = self.status(|s| s.trouble.is_some());
            let pause = if is_stuck { RETRY } else { COMMIT_EVERY };
            let wait = pause.saturating_sub(self.tried.elapsed());
            let wait = wait.min(LOOK_EVERY.saturating_sub(self.looked.elapsed()));
            let is_awaited = match from.recv_timeout(wait) {
                Ok(Message::Keep(record)) => self.take(*record),
                Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => return self.finish(),
                Err(RecvTimeoutError::Timeout) => false,
            };
            if self.tried.elapsed() >= pause || (!is_stuck && (is_awaited || self.held.len() >= BATCH)) {
                self.write();
                self.prune();
            }
            if self.looked.elapsed() >= LOOK_EVERY {
                self.lookout.look();
                self.looked = Instant::now();
            }
        }
    }

    fn status<T>(&self, act: impl FnOnce(&mut WriterStatus) -> T) -> T {
        act(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes in a record; says whether somebody waits for it.
    fn take(&mut self, record: Record) -> bool {
        match record {
            Record::Live(live) => {
                self.live = Some(live);
                true
            }
            record => {
                let is_state = matches!(record, Record::Checkpoint(_));
                self.hold(record);
                is_state && self.lookout.is_followed()
            }
        }
    }

    /// Keeps a record until it is written. A newer state stands for an older one.
    fn hold(&mut self, record: Record) {
        if matches!(record, Record::Checkpoint(_)) {
            self.held.retain(|h| !matches!(h.record, Record::Checkpoint(_)));
        }
        if self.held.len() < HELD {
            let numbered = self.numbering.number(record);
            self.held.push(numbered);
        } else {
            let dropped = self.status(|s| {
                s.dropped += 1;
                s.dropped
            });
            if dropped.is_power_of_two() {
                tracing::error!("{}: {dropped} records given up for want of room", self.path.display());
            }
        }
        self.status(|s| s.held = self.held.len());
    }

    /// Commits what is held, or says why it cannot be.
    fn write(&mut self) {
        self.tried = Instant::now();
        let live = self.live.take();
        if self.held.is_empty() && live.is_none() {
            return;
        }
        match commit(&mut self.conn, &self.held, live.as_deref().map(|live| (live, &mut self.told))) {
            Ok(written) => self.written(&written),
            Err(e) => {
                // None of it was told.
                self.told = Told::default();
                if is_passing(&e) { self.stuck(&e) } else { self.one_by_one(&e) }
            }
        }
    }

    fn written(&mut self, written: &Written) {
        self.held.clear();
        self.unpruned += written.columns;
        let bytes = std::fs::metadata(&self.path).map_or(0, |m| m.len());
        let was = self.status(|s| {
            s.written.add(written);
            (s.bytes, s.held) = (bytes, 0);
            s.trouble.take()
        });
        if was.is_some() {
            tracing::info!("{} is written again", self.path.display());
        }
    }

    fn stuck(&mut self, error: &rusqlite::Error) {
        let why = in_words(error);
        let is_new = self.status(|s| s.trouble.replace(why.clone()).as_ref() != Some(&why));
        if is_new {
            tracing::error!("{}: {why}; what comes is held and tried again", self.path.display());
        }
    }

    /// Something in what is held cannot be written, ever: the rest must not suffer for it.
    fn one_by_one(&mut self, error: &rusqlite::Error) {
        tracing::error!("{}: {error}; its records are tried one by one", self.path.display());
        let mut held = std::mem::take(&mut self.held).into_iter();
        let mut sum = Written::default();
        while let Some(one) = held.next() {
            let one = std::slice::from_ref(&one);
            match commit(&mut self.conn, one, None) {
                Ok(written) => sum.add(&written),
                Err(e) if is_passing(&e) => {
                    self.status(|s| s.written.add(&sum));
                    self.held = one.iter().cloned().chain(held).collect();
                    return self.stuck(&e);
                }
                Err(_) => self.status(|s| s.dropped += 1),
            }
        }
        self.written(&sum);
    }

    /// What is too old goes, and now and then what is too much.
    fn prune(&mut self) {
        let is_time = Instant::now() >= self.prune_at;
        if !is_time && self.unpruned < PRUNE_AFTER {
            return;
        }
        self.unpruned = 0;
        let (now, begun) = (jiff::Timestamp::now().as_millisecond(), Instant::now());
        let pruned = if is_time {
            self.prune_at = begun + PRUNE_EVERY;
            retention::prune(&mut self.conn, &self.config, now)
        } else {
            // The room that this makes is taken by what comes next.
            retention::remove_outlived(&mut self.conn, &self.config, now)
        };
        match pruned {
            Ok(gone) => {
                tracing::debug!("{}: {gone} old rows removed in {:?}", self.path.display(), begun.elapsed());
            }
            Err(e) => tracing::warn!("{}: old rows stay for now: {e}", self.path.display()),
        }
    }

    fn finish(mut self) {
        let begun = Instant::now();
        for _ in 0..LAST_TRIES {
            if self.held.is_empty() {
                break;
            }
            self.write();
        }
        let lost = self.held.len();
        if lost > 0 {
            self.status(|s| s.dropped += lost as u64);
            tracing::error!("{}: {lost} records were not written", self.path.display());
        }
        if let Err(e) = self.conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::debug!("{}: the log stays: {e}", self.path.display());
        }
        tracing::debug!("{}: ended in {:?}", self.path.display(), begun.elapsed());
    }
}

/// All of it in one transaction, or none.
fn commit(
    conn: &mut Connection,
    held: &[Numbered],
    live: Option<(&LiveMarket, &mut Told)>,
) -> rusqlite::Result<Written> {
    let tx = conn.transaction()?;
    let mut rows = Rows::new(&tx);
    held.iter().try_for_each(|numbered| rows.add(numbered))?;
    if let Some((live, told)) = live {
        rows.live(live, told)?;
    }
    let written = rows.written;
    tx.commit()?;
    Ok(written)
}

/// Whether an error can pass by itself.
fn is_passing(error: &rusqlite::Error) -> bool {
    use ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, PermissionDenied, ReadOnly, SystemIoFailure,
    };
    matches!(
        error.sqlite_error_code(),
        Some(
            DiskFull
                | SystemIoFailure
                | ReadOnly
                | CannotOpen
                | PermissionDenied
                | DatabaseBusy
                | DatabaseLocked
        )
    )
}

fn in_words(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full".to_owned(),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => "the file may not be written".to_owned(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "the file is locked by another process".to_owned()
        }
        _ => format!("the disk fails ({error})"),
    }
}

#[cfg(test)]
mod tests;
