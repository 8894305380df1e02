//! The listeners, and what decides whether and how their connections live.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::hub::lock;
use super::line::Line;

/// A line through which bytes only trickle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slow {
    /// Bytes at a time.
    pub bytes: usize,
    /// Time between two of them.
    pub every: Duration,
}

/// What decides how a venue's connections live.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    refuse: AtomicBool,
    /// The next thing written, on any connection, is written by half.
    cut_next: AtomicBool,
    splits: AtomicBool,
    drops_pongs: AtomicBool,
    slow: Mutex<Option<Slow>>,
    /// Ends every line that is open; replaced by a fresh one as it is used.
    lines: Mutex<CancellationToken>,
    /// Freezes every line that is open; replaced likewise.
    frozen: Mutex<Arc<AtomicBool>>,
    /// Half-open lines nobody serves any more.
    kept: Mutex<Vec<TcpStream>>,
}

impl Gate {
    /// Whether new connections are dropped as soon as they are accepted.
    pub fn refuse(&self, refuse: bool) {
        self.refuse.store(refuse, Ordering::Relaxed);
    }

    /// Lets the next write on any connection break off in its middle, and that connection with it.
    pub fn cut_next(&self) {
        self.cut_next.store(true, Ordering::Relaxed);
    }

    pub fn take_cut(&self) -> bool {
        self.cut_next.swap(false, Ordering::Relaxed)
    }

    /// Whether websocket messages are fragmented and written by small pieces.
    pub fn split(&self, split: bool) {
        self.splits.store(split, Ordering::Relaxed);
    }

    pub fn splits(&self) -> bool {
        self.splits.load(Ordering::Relaxed)
    }

    /// Whether protocol pongs are left out.
    pub fn drop_pongs(&self, drop: bool) {
        self.drops_pongs.store(drop, Ordering::Relaxed);
    }

    pub fn drops_pongs(&self) -> bool {
        self.drops_pongs.load(Ordering::Relaxed)
    }

    /// Lets bytes trickle, or run again.
    pub fn trickle(&self, slow: Option<Slow>) {
        *lock(&self.slow) = slow;
    }

    pub fn slow(&self) -> Option<Slow> {
        *lock(&self.slow)
    }

    /// Breaks every open connection without a farewell.
    pub fn kill(&self) {
        std::mem::take(&mut *lock(&self.lines)).cancel();
        lock(&self.kept).clear();
    }

    /// Freezes every open connection: it stays open, and nothing is read or written on it any more.
    pub fn freeze(&self) {
        std::mem::take(&mut *lock(&self.frozen)).store(true, Ordering::Relaxed);
    }

    /// What ends and what freezes a new line.
    pub fn enter(&self) -> (CancellationToken, Arc<AtomicBool>) {
        (lock(&self.lines).clone(), Arc::clone(&lock(&self.frozen)))
    }

    /// Keeps a half-open line until all are killed.
    pub fn keep(&self, stream: TcpStream) {
        lock(&self.kept).push(stream);
    }
}

/// Connections held at once; more are dropped as they come.
const MAX_LINES: usize = 512;

/// A listener whose connections can be troubled from outside.
#[derive(Debug)]
pub(crate) struct Door {
    listener: TcpListener,
    gate: Arc<Gate>,
    room: Arc<Semaphore>,
}

impl Door {
    pub fn new(listener: TcpListener, gate: Arc<Gate>) -> Self {
        Self { listener, gate, room: Arc::new(Semaphore::new(MAX_LINES)) }
    }
}

impl axum::serve::Listener for Door {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(_) if self.gate.refuse.load(Ordering::Relaxed) => {}
                Ok((stream, from)) => {
                    let Ok(place) = Arc::clone(&self.room).try_acquire_owned() else { continue };
                    // Frames are small and each is news.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!("cannot set TCP_NODELAY: {error}");
                    }
                    return (Line::new(stream, Arc::clone(&self.gate), place), from);
                }
                Err(error) => {
                    // Out of file descriptors, most likely: some will come back.
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
