//! What happens on a market, in one form for every venue.

use arrayvec::ArrayString;
use serde::{Deserialize, Serialize};

use super::candle::{Candle, Interval};
use super::instrument::{Asset, Instrument, Side, TakerSide, Venue};
use super::num::{Price, Qty, Rate};

/// One thing that happened on one venue, for one asset.
#[derive(Debug, Clone, PartialEq)]
pub struct MarketEvent {
    /// Where.
    pub venue: Venue,
    /// On what.
    pub asset: Asset,
    /// Exchange time, UTC ms; the start of the bar for candles and liquidation bars.
    pub ts: i64,
    /// When we received it, UTC ns; `None` in files that do not say.
    pub recv: Option<i64>,
    /// What.
    pub kind: EventKind,
}

/// The last time an event may carry: the end of the year 9999, UTC ms. It leaves room for sums of times.
const LATEST: i64 = 253_402_300_799_999;

/// Whether a number is a time in UTC ms: from 1970 to 9999. What comes from outside is checked before it is used.
pub fn is_time(ms: i64) -> bool {
    (0..=LATEST).contains(&ms)
}

impl MarketEvent {
    /// Whether the event's time is one; see [`is_time`].
    pub fn has_sane_time(&self) -> bool {
        is_time(self.ts)
    }

    /// When the event is known, UTC ms: a bar one ms before its end, everything else at its own time. That open interest is
    /// held constant is known from the start of the stretch: it says how what follows was made.
    pub fn known_at(&self) -> i64 {
        match &self.kind {
            EventKind::Candle(c) => self.ts.saturating_add(c.interval.ms() - 1),
            EventKind::LiquidationBar(b) => self.ts.saturating_add(b.interval.ms() - 1),
            // Of a stretch only the end is checked where lines are read.
            EventKind::Gap(g) if g.is_held() => g.from.clamp(0, self.ts.max(0)),
            _ => self.ts,
        }
    }

    /// The order in which events of a recording are taken: by the time they are known, then by kind.
    pub fn order(&self) -> (i64, u8) {
        (self.known_at(), self.kind.rank())
    }
}

/// Puts recorded events into the one order every run uses; events that compare equal keep their file order.
pub fn sort_events(events: &mut [MarketEvent]) {
    if !events.is_sorted_by_key(MarketEvent::order) {
        events.sort_by_key(MarketEvent::order);
    }
}

/// The kinds of event.
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// The contract's terms.
    Instrument(Box<Instrument>),
    /// A print.
    Trade(Trade),
    /// A finished candle.
    Candle(Candle),
    /// Mark price, and with it index and funding.
    Mark(Mark),
    /// A forced close that was observed.
    Liquidation(Liquidation),
    /// How much was liquidated in a bar, where only totals are known.
    LiquidationBar(LiquidationBar),
    /// Open interest in base coin, one side.
    OpenInterest(Qty),
    /// A position that is public.
    Position(Box<Position>),
    /// Resting orders.
    Book(Box<Book>),
    /// A stretch in which a stream delivered nothing we can use.
    Gap(Gap),
}

impl EventKind {
    /// Place in the order of events known at the same time.
    const fn rank(&self) -> u8 {
        match self {
            Self::Instrument(_) => 0,
            Self::Trade(_) => 1,
            Self::Candle(_) => 2,
            Self::Mark(_) => 3,
            Self::Liquidation(_) => 4,
            Self::LiquidationBar(_) => 5,
            Self::OpenInterest(_) => 6,
            Self::Position(_) => 7,
            Self::Book(_) => 8,
            Self::Gap(_) => 9,
        }
    }

    /// Whether it tells of the order book alone. Such events move no time and no level: a recording without them gives the same columns.
    pub fn is_of_book(&self) -> bool {
        match self {
            Self::Book(_) => true,
            Self::Gap(gap) => gap.is_of_book(),
            _ => false,
        }
    }
}

/// A print.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    /// USD per coin.
    pub price: Price,
    /// Base coin.
    pub qty: Qty,
    /// Who took liquidity.
    pub taker: TakerSide,
    /// The venue's own number for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<TradeId>,
    /// Who traded with whom, where the venue says it (Hyperliquid).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parties: Option<Parties>,
}

/// What a venue calls a trade, at most 40 bytes: a number or a UUID. It lies within the event, as there are more trades than all else.
pub type TradeId = ArrayString<40>;

/// What a venue calls an account, at most 44 bytes: `0x` and 40 digits, or 32 bytes in base 58.
pub type Account = ArrayString<44>;

/// The two accounts of a trade, as the venue names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parties {
    /// Who bought.
    pub buyer: Account,
    /// Who sold.
    pub seller: Account,
}

/// Mark price as published, with what came along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Mark price, USD per coin.
    pub price: Price,
    /// Index price, USD per coin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Price>,
    /// Funding rate of the running period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub funding: Option<Rate>,
    /// Length of the funding period, hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub funding_hours: Option<u32>,
    /// Next funding, UTC ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_funding: Option<i64>,
}

/// What a liquidation's price is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PriceKind {
    /// Average price of the closing fills.
    Fill,
    /// Limit price of the closing order.
    Order,
    /// The price at which the position's margin is gone.
    Bankruptcy,
}

/// How complete a liquidation feed is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sampled {
    /// Every liquidation is printed.
    #[default]
    No,
    /// At most one a second, the last.
    Latest,
    /// At most one a second, the largest.
    Largest,
}

/// A forced close that was **observed** on a feed. Never an estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Liquidation {
    /// The position side that died.
    pub position: Side,
    /// USD per coin; see `price_kind`.
    pub price: Price,
    /// Base coin.
    pub qty: Qty,
    /// What the price is.
    pub price_kind: PriceKind,
    /// How complete the feed is.
    #[serde(default)]
    pub sampled: Sampled,
}

/// Totals of a bar, where no single liquidation is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiquidationBar {
    /// Length of the bar.
    pub interval: Interval,
    /// Longs liquidated, base coin.
    pub long_qty: Qty,
    /// Shorts liquidated, base coin.
    pub short_qty: Qty,
}

/// A position that is public.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The account, as the venue names it.
    pub account: Box<str>,
    /// Its side.
    pub side: Side,
    /// Base coin.
    pub qty: Qty,
    /// Average entry, USD per coin.
    pub entry: Price,
    /// Nominal leverage; not the distance to liquidation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leverage: Option<Qty>,
    /// Liquidation price; `None` where the position has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liq_price: Option<Price>,
}

/// Resting orders, best first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book {
    /// Bids: price (USD per coin) and quantity (base coin).
    pub bids: Vec<(Price, Qty)>,
    /// Asks likewise.
    pub asks: Vec<(Price, Qty)>,
}

/// A stretch in which a stream delivered nothing we can use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The stream, by the name of the event type it carries: `trade`, `mark`, `liquidation`, `book`. A gap of
    /// `open_interest` is a stretch for which the venue keeps no readings: what stands there is held constant.
    pub stream: Box<str>,
    /// Start, UTC ms.
    pub from: i64,
    /// End, UTC ms; also the event's own time.
    pub to: i64,
}

impl Gap {
    /// Whether it tells of open interest held constant rather than of missing data.
    pub fn is_held(&self) -> bool {
        &*self.stream == "open_interest"
    }

    /// Whether it is the order book that has the hole.
    pub fn is_of_book(&self) -> bool {
        &*self.stream == "book"
    }
}
