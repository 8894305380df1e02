//! The venues we speak to, and what each must know: where to connect, what to ask, how to read the answers.

pub mod binance;
pub mod bybit;
pub mod hyperliquid;
pub(super) mod json;
pub mod okx;
pub(super) mod read;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use memchr::memmem::Finder;

use crate::market::{Asset, Qty, Sampled, Venue};

use super::FeedConfig;
use super::book::BookLimits;
use super::contact::Contact;
use super::instruments::Listing;
use super::translate::{Translator, Wire};

/// A REST call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Path and query, such as `/fapi/v1/time`.
    pub path: String,
    /// What is posted, as JSON; a call without is a GET.
    pub body: Option<String>,
    /// What it costs of the venue's [`Pool`]; 0 for calls that have a limit of their own.
    pub weight: u32,
}

impl Request {
    /// A call that asks by its path alone.
    pub fn get(path: impl Into<String>, weight: u32) -> Self {
        Self { path: path.into(), body: None, weight }
    }

    /// A call that posts JSON.
    pub fn post(path: impl Into<String>, body: impl Into<String>, weight: u32) -> Self {
        Self { path: path.into(), body: Some(body.into()), weight }
    }

    /// What tells this call from others, in captures and to [`super::translate::Wire::answer`]: the path and, after a blank, the body.
    pub fn name(&self) -> String {
        match &self.body {
            Some(body) => format!("{} {body}", self.path),
            None => self.path.clone(),
        }
    }
}

/// How much may be asked of a venue in a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// So much weight.
    pub weight: u32,
    /// In this time.
    pub per: Duration,
}

/// What a venue says to a REST call beyond the HTTP status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The status says it all.
    ByStatus,
    /// Too many calls: wait so long.
    Slow(Duration),
    /// The call is refused, whatever the status says: why.
    Refused(String),
}

/// What a wire needs from the venue beyond what it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// A REST call, once; whoever wants the answer asks again if it does not come.
    Call(Request),
    /// A text on a socket, such as a new subscription.
    Send {
        /// The connection's name.
        conn: &'static str,
        /// The text.
        text: String,
    },
}

/// A stream a connection carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSpec {
    /// Name as the venue calls it, such as `aggTrade`.
    pub name: &'static str,
    /// How long it may stay silent after connecting; `None` for a stream that speaks only now and then.
    pub first: Option<Duration>,
    /// How long it may fall silent later before the connection is opened anew.
    pub idle: Option<Duration>,
    /// Its documented cadence, if it has one: on screen it counts as silent after 15 s or three times this.
    pub cadence: Option<Duration>,
}

/// A text that keeps a connection alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepAlive {
    /// How often it is sent.
    pub every: Duration,
    /// What is sent.
    pub text: String,
    /// How long its answer ([`Nature::Pong`]) may take before the connection is given up.
    pub patience: Duration,
}

/// A socket to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnSpec {
    /// Name in captures: `market`, `public`.
    pub name: Cow<'static, str>,
    /// Where to: the first address, and others to try in turn when it cannot be reached. Never empty.
    pub urls: Vec<String>,
    /// Texts to send once connected.
    pub hello: Vec<String>,
    /// Texts to send, once a connection, where the venue refuses the hello as a whole ([`Nature::Refused`]): its parts one by one.
    pub again: Vec<String>,
    /// For venues that want more than protocol pings.
    pub keep_alive: Option<KeepAlive>,
    /// What it carries.
    pub streams: Vec<StreamSpec>,
    /// At venues that give an address few sockets: instruments share one.
    pub shared: Option<Shared>,
}

/// An instrument's part of a socket that it shares with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// What its frames call it ([`Adapter::addressee`]).
    pub name: String,
    /// Texts that take the hello back.
    pub goodbye: Vec<String>,
}

/// What a socket's text is to the one who keeps the socket; all of them also go to the translator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Data, or an answer to a subscription.
    Data,
    /// The answer to our ping.
    Pong,
    /// The venue refuses all that the hello asked for, for the sake of one part.
    Refused,
    /// The venue will close this connection soon: another is opened at once, and takes over when it speaks.
    Restart,
}

/// What a venue lists.
#[derive(Debug, Clone, PartialEq)]
pub struct Directory {
    /// The venue's own time, UTC ms, if the list tells it.
    pub now: Option<i64>,
    /// Its perpetuals.
    pub listings: Vec<Listing>,
}

/// What the answers read so far amount to.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// More must be asked: the next pages.
    More(Vec<Request>),
    /// All is there.
    Done(Directory),
}

/// The answer to a call: [`Request::name`] and the text.
pub type Answer = (String, String);

/// A venue: pure knowledge, no I/O, no clock.
pub trait Adapter: Send + Sync {
    /// Its name.
    fn venue(&self) -> Venue;
    /// Its name as people write it.
    fn title(&self) -> &'static str;
    /// Where its REST calls go: the first base, and others to try when it cannot be reached.
    fn rest_bases(&self) -> Vec<String>;
    /// How much may be asked.
    fn pool(&self) -> Pool;
    /// What an answer says beyond its status.
    fn verdict(&self, _status: u16, _body: &str) -> Verdict {
        Verdict::ByStatus
    }
    /// How complete its liquidations are; `None` where there is no public feed of them.
    fn liquidations(&self) -> Option<Sampled>;
    /// The calls that list instruments.
    fn directory(&self) -> Vec<Request>;
    /// Reads the answers so far, in the order they came; an error where they make no sense.
    fn read_directory(&self, answers: &[Answer]) -> anyhow::Result<Reading>;
    /// The calls that tell an instrument's margin tiers; none where the list tells them or nobody does. The wire reads them.
    fn terms(&self, _listing: &Listing) -> Vec<Request> {
        Vec::new()
    }
    /// The call that tells the venue's time.
    fn clock(&self, listing: &Listing) -> Request;
    /// Reads that answer, UTC ms.
    fn read_clock(&self, text: &str) -> Option<i64>;
    /// The sockets to open for an instrument.
    fn connections(&self, listing: &Listing) -> Vec<ConnSpec>;
    /// The calls that tell what happened from `from` to `now` (UTC ms, the venue's clock); `fresh` at the start of a run.
    fn history(&self, listing: &Listing, from: i64, now: i64, fresh: bool) -> Vec<Request>;
    /// The call to repeat while running, where a stream is missing.
    fn poll(&self, _listing: &Listing) -> Option<Request> {
        None
    }
    /// Which of a connection's streams a frame belongs to. Runs on every frame: cheap.
    fn stream_of(&self, text: &str) -> Option<&'static str>;
    /// What a text is to the one who keeps the socket. Runs on every frame: cheap.
    fn nature(&self, _text: &str) -> Nature {
        Nature::Data
    }
    /// Of a frame on a socket that instruments share: whom it is for ([`Shared::name`]), or `None` where all should know it. Runs on every frame of
    /// such a socket: cheap.
    fn addressee<'a>(&self, _text: &'a str) -> Option<&'a str> {
        None
    }
    /// The checks to make when the venue is first reached (`exchanges.md` §15).
    fn contact(&self, listing: &Listing) -> Box<dyn Contact>;
}

/// The adapter of a venue.
pub fn adapter(venue: Venue, config: &FeedConfig) -> Option<Arc<dyn Adapter>> {
    Some(match venue.as_str() {
        binance::NAME => Arc::new(binance::Binance::new(config)),
        bybit::NAME => Arc::new(bybit::Bybit::new(config)),
        okx::NAME => Arc::new(okx::Okx::new(config)),
        hyperliquid::NAME => Arc::new(hyperliquid::Hyperliquid::new(config)),
        _ => return None,
    })
}

/// What is known of a line of a capture that tells a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BookLine {
    /// What ends one list of levels and begins another, where the frame stands in its line as it came. The lists stand side by side and can be emptied
    /// without harm to anything but the book, as numbers and times stand beside them (`exchanges.md` §3.2, §4.2, §5.2, §6.2).
    pub sides: [&'static str; 2],
    /// Whether nothing but the book is made of it. Hyperliquid's contexts tell no time, so its books are the clock by which those are dated.
    pub only_book: bool,
}

/// Whether a line of a capture tells a book.
pub fn book_line(line: &str) -> Option<BookLine> {
    /// What kind a frame is stands in its first words.
    const WORDS: usize = 220;
    let head = line.get(..WORDS).unwrap_or(line);
    let after_recv = memchr::memchr(b',', head.as_bytes())? + 1;
    let (venue, frame) = json::lead(head.get(after_recv..)?, r#""venue":""#)?;
    let (_, kind, book) = BOOKS.iter().find(|(name, ..)| *name == venue)?;
    kind.find(frame.as_bytes()).map(|_| *book)
}

/// By what each venue's books are known; quotes end with an escape or without one.
static BOOKS: LazyLock<[(&str, Finder<'static>, BookLine); 4]> = LazyLock::new(|| {
    let of = |name, kind, sides, only_book| (name, Finder::new(kind), BookLine { sides, only_book });
    [
        of(binance::NAME, r#""depthUpdate"#, [r#"],"b":["#, r#"],"a":["#], true),
        of(bybit::NAME, r#""orderbook."#, [r#"],"b":["#, r#"],"a":["#], true),
        of(okx::NAME, r#""books"#, [r#"],"asks":["#, r#"],"bids":["#], true),
        // Its lists have no names: `"levels":[[…],[…]]`.
        of(hyperliquid::NAME, r#""l2Book"#, ["[],[]", ""], false),
    ]
});

/// The translator of a venue's frames, for one asset or for whatever comes.
pub fn translator(venue: Venue, asset: Option<Asset>, book: BookLimits) -> Option<Translator> {
    let wire: Box<dyn Wire> = match venue.as_str() {
        binance::NAME => Box::new(binance::wire::BinanceWire::new(venue, asset, book)),
        bybit::NAME => Box::new(bybit::wire::BybitWire::new(venue, asset, book)),
        okx::NAME => Box::new(okx::wire::OkxWire::new(venue, asset, book)),
        hyperliquid::NAME => Box::new(hyperliquid::wire::HyperliquidWire::new(venue, asset, book)),
        _ => return None,
    };
    Some(Translator::new(wire))
}

/// What a symbol of a venue is when no list is at hand, and how many coins (or multiples) a contract is; `None` where it is no linear
/// perpetual, or nobody has said how large a contract is.
pub fn guess(venue: Venue, symbol: &str) -> Option<(Listing, Qty)> {
    let one = Qty::from_raw(10_i128.pow(Qty::DIGITS));
    match venue.as_str() {
        binance::NAME => Some((crate::feed::instruments::guess(symbol)?, one)),
        bybit::NAME => Some((bybit::guess(symbol)?, one)),
        okx::NAME => okx::guess(symbol),
        hyperliquid::NAME => Some((hyperliquid::guess(symbol)?, one)),
        _ => None,
    }
}
