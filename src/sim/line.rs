//! A connection whose bytes can be troubled: broken, frozen, slowed, or cut into fragments.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::server::Gate;

/// Bytes in a write while frames are split.
const PIECE: usize = 7;

/// A connection that can be troubled.
#[derive(Debug)]
pub(crate) struct Line {
    /// Taken only when the line is dropped.
    stream: Option<TcpStream>,
    gate: Arc<Gate>,
    token: CancellationToken,
    killed: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Half-open from here on: nothing is read or written any more, and it does not end.
    frozen: Arc<AtomicBool>,
    /// It was cut in the middle of a write.
    broken: bool,
    frames: Frames,
    /// Accepted and not yet on the wire.
    out: VecDeque<u8>,
    /// Runs while a slow line rests.
    pause: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl Line {
    pub fn new(stream: TcpStream, gate: Arc<Gate>, place: OwnedSemaphorePermit) -> Self {
        let (token, frozen) = gate.enter();
        Self {
            stream: Some(stream),
            gate,
            killed: Box::pin(token.clone().cancelled_owned()),
            token,
            frozen,
            broken: false,
            frames: Frames::default(),
            out: VecDeque::new(),
            pause: None,
            _place: place,
        }
    }

    fn check(&self) -> io::Result<()> {
        if self.token.is_cancelled() {
            return Err(self.reset());
        }
        if self.broken { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }

    /// The line is to end by a reset, not by a farewell.
    fn reset(&self) -> io::Error {
        if let Some(Err(error)) = self.stream.as_ref().map(TcpStream::set_zero_linger) {
            tracing::debug!("cannot set SO_LINGER: {error}");
        }
        io::ErrorKind::ConnectionReset.into()
    }

    fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Relaxed)
    }

    /// Whether bytes have to go through `out`.
    fn is_troubled(&self) -> bool {
        !self.out.is_empty() || self.gate.splits() || self.gate.drops_pongs() || self.gate.slow().is_some()
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Puts what waits on the wire.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            let slow = self.gate.slow();
            let (front, _) = self.out.as_slices();
            let most = match slow {
                Some(slow) => slow.bytes.max(1),
                None if self.gate.splits() => PIECE,
                None => front.len(),
            };
            let piece = &front[..front.len().min(most)];
            let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(())) };
            let written = ready!(Pin::new(stream).poll_write(cx, piece))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.drain(..written);
            self.pause = slow.map(|slow| Box::pin(tokio::time::sleep(slow.every)));
        }
        Poll::Ready(Ok(()))
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
            return Poll::Ready(Err(self.reset()));
        }
        if self.is_frozen() {
            return Poll::Pending;
        }
        self.stream()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        let this = &mut *self;
        if this.is_frozen() {
            // As into a dead network: the sender notices nothing.
            return Poll::Ready(Ok(buf.len()));
        }
        if this.gate.take_cut() {
            this.broken = true;
            return this.stream()?.poll_write(cx, &buf[..buf.len() / 2]);
        }
        if !this.is_troubled() {
            let written = ready!(this.stream()?.poll_write(cx, buf))?;
            this.frames.follow(&buf[..written]);
            return Poll::Ready(Ok(written));
        }
        ready!(this.poll_drain(cx))?;
        this.frames.rewrite(buf, this.gate.splits(), this.gate.drops_pongs(), &mut this.out);
        // Whatever does not go now goes with the flush.
        if let Poll::Ready(Err(error)) = this.poll_drain(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        if self.is_frozen() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_drain(cx))?;
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_frozen() {
            return Poll::Ready(Ok(()));
        }
        self.stream()?.poll_shutdown(cx)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Whoever served a half-open line may go; the line stays, so that its other end hears nothing.
        if self.is_frozen()
            && !self.token.is_cancelled()
            && let Some(stream) = self.stream.take()
        {
            self.gate.keep(stream);
        }
    }
}

/// Follows the bytes a server writes, knows where websocket frames begin, and can cut them up.
#[derive(Debug, Default)]
struct Frames {
    state: State,
    /// Bytes of the response's head or of a frame's header, as far as they have come.
    head: Vec<u8>,
}

#[derive(Debug, Default)]
enum State {
    /// Within the head of the first response.
    #[default]
    Head,
    /// It was no upgrade: nothing to cut.
    Http,
    /// Within a frame's header.
    Header,
    /// Within a payload.
    Payload {
        /// Bytes left of the part that is being written.
        left: u64,
        /// Parts still to come: the first byte of their headers, and their length.
        parts: VecDeque<(u8, u64)>,
        /// The frame is a pong that is not sent.
        dropped: bool,
    },
}

impl Frames {
    /// Takes note of what was written as it is.
    fn follow(&mut self, bytes: &[u8]) {
        self.rewrite(bytes, false, false, &mut VecDeque::new());
    }

    /// Appends to `out` what is to be written in place of these bytes: with `split`, each message in three fragments;
    /// with `no_pongs`, without pongs.
    fn rewrite(&mut self, mut bytes: &[u8], split: bool, no_pongs: bool, out: &mut VecDeque<u8>) {
        loop {
            match &mut self.state {
                State::Http => {
                    out.extend(bytes);
                    return;
                }
                State::Head => {
                    let Some((&byte, rest)) = bytes.split_first() else { return };
                    bytes = rest;
                    out.push_back(byte);
                    self.head.push(byte);
                    if self.head.ends_with(b"\r\n\r\n") {
                        let upgraded = self.head.starts_with(b"HTTP/1.1 101");
                        self.state = if upgraded { State::Header } else { State::Http };
                        self.head.clear();
                    }
                }
                State::Header => {
                    let Some((&byte, rest)) = bytes.split_first() else { return };
                    bytes = rest;
                    self.head.push(byte);
                    if let Some((first, length)) = header(&self.head) {
                        let mut parts = plan(first, length, split);
                        let dropped = no_pongs && first & 0x0f == 0xa;
                        let (first, left) = parts.pop_front().unwrap_or((first, length));
                        if !dropped {
                            write_header(first, left, out);
                        }
                        self.head.clear();
                        self.state = State::Payload { left, parts, dropped };
                    }
                }
                State::Payload { left: 0, parts, .. } => {
                    if let Some((first, length)) = parts.pop_front() {
                        write_header(first, length, out);
                        let parts = std::mem::take(parts);
                        self.state = State::Payload { left: length, parts, dropped: false };
                    } else {
                        self.state = State::Header;
                    }
                }
                State::Payload { left, dropped, .. } => {
                    if bytes.is_empty() {
                        return;
                    }
                    let (now, later) =
                        bytes.split_at(bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX)));
                    if !*dropped {
                        out.extend(now);
                    }
                    *left -= now.len() as u64;
                    bytes = later;
                }
            }
        }
    }
}

/// First byte and payload length of a whole frame header (RFC 6455 §5.2; a server's frames have no mask).
fn header(bytes: &[u8]) -> Option<(u8, u64)> {
    match *bytes {
        [first, length @ 0..126] => Some((first, u64::from(length))),
        [first, 126, a, b] => Some((first, u64::from(u16::from_be_bytes([a, b])))),
        [first, 127, a, b, c, d, e, f, g, h] => Some((first, u64::from_be_bytes([a, b, c, d, e, f, g, h]))),
        _ => None,
    }
}

fn write_header(first: u8, length: u64, out: &mut VecDeque<u8>) {
    out.push_back(first);
    if length < 126 {
        out.push_back(length as u8);
    } else if let Ok(length) = u16::try_from(length) {
        out.push_back(126);
        out.extend(length.to_be_bytes());
    } else {
        out.push_back(127);
        out.extend(length.to_be_bytes());
    }
}

/// How a frame is written: as it is, or a whole message in three fragments.
fn plan(first: u8, length: u64, split: bool) -> VecDeque<(u8, u64)> {
    const FIN: u8 = 0x80;
    let opcode = first & 0x0f;
    if !split || first & FIN == 0 || !(opcode == 1 || opcode == 2) || length < 3 {
        return VecDeque::from([(first, length)]);
    }
    let third = length / 3;
    VecDeque::from([(first & !FIN, third), (0, third), (FIN, length - 2 * third)])
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n";

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = VecDeque::new();
        write_header(first, payload.len() as u64, &mut out);
        out.extend(payload);
        out.into()
    }

    /// What comes out when the bytes go in by pieces of this size.
    fn rewritten(bytes: &[u8], piece: usize, split: bool, no_pongs: bool) -> Vec<u8> {
        let (mut frames, mut out) = (Frames::default(), VecDeque::new());
        bytes.chunks(piece).for_each(|chunk| frames.rewrite(chunk, split, no_pongs, &mut out));
        out.into()
    }

    #[test]
    fn messages_are_cut_in_three_and_control_frames_are_not() {
        let long = [b'x'; 400];
        let sent = [HEAD, &frame(0x81, b"abcdefg"), &frame(0x89, b"ping"), &frame(0x81, &long)].concat();
        let expected = [
            HEAD,
            &frame(0x01, b"ab"),
            &frame(0x00, b"cd"),
            &frame(0x80, b"efg"),
            &frame(0x89, b"ping"),
            &frame(0x01, &long[..133]),
            &frame(0x00, &long[..133]),
            &frame(0x80, &long[..134]),
        ]
        .concat();
        for piece in [1, 2, 3, 50, 10_000] {
            assert_eq!(rewritten(&sent, piece, true, false), expected, "{piece}");
            assert_eq!(rewritten(&sent, piece, false, false), sent, "{piece}");
        }
    }

    #[test]
    fn pongs_are_left_out_on_order() {
        let sent = [HEAD, &frame(0x8a, b"1"), &frame(0x81, b"ab"), &frame(0x8a, b"")].concat();
        assert_eq!(rewritten(&sent, 3, false, true), [HEAD, &frame(0x81, b"ab")].concat());
    }

    #[test]
    fn plain_http_is_left_alone() {
        let sent = b"HTTP/1.1 200 OK\r\n\r\n\x81\x03abc".as_slice();
        assert_eq!(rewritten(sent, 4, true, true), sent);
    }

    #[test]
    fn a_frame_that_began_whole_ends_whole() {
        let (mut frames, mut out) = (Frames::default(), VecDeque::new());
        let sent = [HEAD, &frame(0x81, b"abcdef")].concat();
        let (begun, rest) = sent.split_at(sent.len() - 3);
        frames.follow(begun);
        frames.rewrite(rest, true, false, &mut out);
        assert_eq!(out, b"def");
    }
}
