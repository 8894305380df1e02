//! The listener, and the faults tests can order.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::hub::lock;

/// What decides whether connections live.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    refuse: AtomicBool,
    /// The next thing written, on any connection, is written by half.
    cut_next: AtomicBool,
    /// Ends every line that is open; replaced by a fresh one as it is used.
    lines: Mutex<CancellationToken>,
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

    /// Breaks every open connection without a farewell.
    pub fn kill(&self) {
        std::mem::take(&mut *lock(&self.lines)).cancel();
    }
}

/// Connections held at once; more are dropped as they come.
const MAX_LINES: usize = 512;

/// A listener whose connections can be broken from outside.
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
                    let token = lock(&self.gate.lines).clone();
                    let killed = Box::pin(token.clone().cancelled_owned());
                    let gate = Arc::clone(&self.gate);
                    return (Line { stream, gate, token, killed, broken: false, _place: place }, from);
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

/// A connection that can be broken.
#[derive(Debug)]
pub(crate) struct Line {
    stream: TcpStream,
    gate: Arc<Gate>,
    token: CancellationToken,
    killed: Pin<Box<WaitForCancellationFutureOwned>>,
    /// It was cut in the middle of a write.
    broken: bool,
    _place: OwnedSemaphorePermit,
}

impl Line {
    fn check(&self) -> io::Result<()> {
        if self.broken || self.token.is_cancelled() {
            Err(io::ErrorKind::ConnectionReset.into())
        } else {
            Ok(())
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        // An idle reader has to be woken when the line is broken.
        if self.killed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        if self.gate.cut_next.swap(false, Ordering::Relaxed) {
            self.broken = true;
            return Pin::new(&mut self.stream).poll_write(cx, &buf[..buf.len() / 2]);
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
