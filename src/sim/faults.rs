//! The handle by which tests order trouble.

use std::sync::Arc;
use std::time::Duration;

use super::markets::Ear;
use super::server::{Gate, Slow};
use super::trouble::{Directory, Fate, KeepAlive, Sent, Trouble};

/// Troubles of one venue a client must live with, on order.
///
/// Streams are named by the beginning or the end of their name: `@aggTrade`, `btcusdt@markPrice@1s`; `publicTrade`,
/// `publicTrade.BTCUSDT`, `.BTCUSDT`.
#[derive(Debug, Clone)]
pub struct Faults {
    pub(super) gate: Arc<Gate>,
    pub(super) trouble: Arc<Trouble>,
    pub(super) ear: Arc<dyn Ear>,
}

impl Faults {
    // --- connections

    /// Resets every open connection, REST and websocket. New ones are accepted.
    pub fn kill_connections(&self) {
        self.gate.kill();
    }

    /// While set, new connections are dropped as soon as they are made.
    pub fn refuse(&self, refuse: bool) {
        self.gate.refuse(refuse);
    }

    /// Makes every open connection half-open: it stays, but nothing is read or written on it any more, and no end of it
    /// is seen. New ones are served.
    pub fn freeze_connections(&self) {
        self.gate.freeze();
    }

    /// Lets bytes trickle to clients, so many at a time, until `None` ends it. What waits goes out faster then.
    pub fn slow(&self, trickle: Option<(usize, Duration)>) {
        self.gate.trickle(trickle.map(|(bytes, every)| Slow { bytes, every }));
    }

    /// While set, each websocket message is sent in three fragments, by small writes.
    pub fn split_frames(&self, split: bool) {
        self.gate.split(split);
    }

    /// Breaks off the next write on any connection in its middle, and that connection with it.
    pub fn cut_frame(&self) {
        self.gate.cut_next();
    }

    /// While set, a client's pings get no answer, neither protocol pings nor the venue's own.
    pub fn ignore_pings(&self, ignore: bool) {
        self.gate.drop_pongs(ignore);
        self.trouble.set_no_pongs(ignore);
    }

    /// Other rules for keeping alive connections made from now on; `None`: the venue's own.
    pub fn keep_alive(&self, rules: Option<KeepAlive>) {
        self.trouble.set_keep_alive(rules);
    }

    /// Restarts the service as this venue does it: connections are closed, at once or, where the venue gives a notice,
    /// `after` it; or streams begin anew.
    pub fn restart(&self, after: Duration) {
        self.ear.restart(after);
    }

    // --- frames

    /// Sends this text to every websocket connection as a frame of its own: nonsense, or ten megabytes.
    pub fn inject(&self, text: &str) {
        self.ear.inject(text);
    }

    /// Silences streams on live connections.
    pub fn mute(&self, stream: &str) {
        self.trouble.mute(stream);
    }

    /// Lets all streams speak again.
    pub fn unmute(&self) {
        self.trouble.unmute();
    }

    /// Swallows the next `n` frames of streams: a hole in their sequence.
    pub fn lose_next(&self, stream: &str, n: u32) {
        self.trouble.order(Fate::Lost, stream, n);
    }

    /// Sends the next `n` frames of streams twice.
    pub fn double_next(&self, stream: &str, n: u32) {
        self.trouble.order(Fate::Twice, stream, n);
    }

    /// Sends the next `n` frames of streams after the one that follows them.
    pub fn delay_next(&self, stream: &str, n: u32) {
        self.trouble.order(Fate::Late, stream, n);
    }

    /// Numbers books anew, as after maintenance, where the venue's numbers can go back (OKX: `seqId` below `prevSeqId`).
    pub fn renumber_books(&self) {
        self.trouble.renumber_books();
    }

    // --- what the venue says

    /// Puts the venue's clock off by so many ms: every time it tells is moved, in streams and answers.
    pub fn skew_clock(&self, ms: i64) {
        self.trouble.set_skew(ms);
    }

    /// Spoils the list of instruments.
    pub fn spoil_directory(&self, directory: Directory) {
        self.trouble.set_directory(directory);
    }

    /// While set, open interest is empty or left out.
    pub fn no_open_interest(&self, on: bool) {
        self.trouble.set_no_open_interest(on);
    }

    /// Takes a symbol (as the venue spells it) out of the market: it leaves the list of instruments or changes its
    /// status there, and its streams fall silent.
    pub fn delist(&self, symbol: &str) {
        self.trouble.delist(symbol);
    }

    /// Lists everything again.
    pub fn relist(&self) {
        self.trouble.relist();
    }

    /// Answers the next `n` REST requests as the venue answers one too many, with this wait where it tells one.
    pub fn rate_limit_next(&self, n: u32, retry_after_secs: u64) {
        self.trouble.refuse_next(n, retry_after_secs);
    }

    /// Answers every REST request with this status and a page of HTML, as 451 and 403 come from the real exchange;
    /// `None` ends it.
    pub fn block(&self, status: Option<u16>) {
        self.trouble.block(status);
    }

    // --- books of account

    /// Rows put on websocket connections since the start.
    pub fn sent(&self) -> Sent {
        self.trouble.sent()
    }
}
