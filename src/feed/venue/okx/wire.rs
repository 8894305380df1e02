//! OKX's frames and answers as events (`exchanges.md` §5.2, §5.3).

mod contract;

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::feed::book::BookLimits;
use crate::feed::instruments::{Listing, percent_decode};
use crate::feed::series::{Series, Sink};
use crate::feed::status::clean;
use crate::feed::translate::{Class, Wire};
use crate::feed::venue::Want;
use crate::feed::venue::read::{Fault, object, parse};
use crate::market::event::{Mark, TradeId};
use crate::market::{Asset, Price, Qty, TakerSide, Trade, Venue};

use super::depth::{Depth, Step, Update};
use super::history::{self, OpenInterestBar};
use super::margin::{self, TierRow};
use super::stream::{
    self, BookRow, CandleRow, FundingRow, Head, LiquidationDetail, LiquidationRow, MarkRow, Message,
    OpenInterestRow, OrderSide, TradeRow,
};
use super::{PUBLIC, subscription};
pub use contract::SAMPLED;
use contract::{Contract, Funding};

/// How far before a loss of the link liquidations are taken from the history that follows each subscription: the feed lags, and
/// what was seen before is known.
const OVERLAP_MS: i64 = 60_000;

/// OKX's frames to events.
#[derive(Clone)]
pub struct OkxWire {
    venue: Venue,
    /// Only this asset, or whatever comes.
    asset: Option<Asset>,
    limits: BookLimits,
    /// What the venue lists, by symbol; one symbol an asset.
    listings: HashMap<Box<str>, Listing>,
    /// Last prices as listed, USD per quoted unit.
    prices: HashMap<Box<str>, Price>,
    contracts: Vec<Contract>,
    /// Place of the contract that was last spoken of.
    latest: usize,
    /// The newest time the venue told, UTC ms.
    now: i64,
    /// The time up to which liquidations were listened to when the link was lost, UTC ms.
    lost_at: Option<i64>,
    /// Liquidations before this time (UTC ms) repeat history.
    floor: Option<i64>,
}

type Read = Result<Class, Fault>;

/// Whether a row was of an instrument we take; or why it cannot be read.
type Took = Result<bool, &'static str>;

/// What is said once for all rows of a message.
#[derive(Debug, Clone, Copy)]
struct About<'a> {
    symbol: &'a str,
    snapshot: bool,
}

/// What became of the rows of a message.
#[derive(Default)]
struct Tally {
    used: bool,
    wrong: Option<Fault>,
}

impl Tally {
    fn count(&mut self, took: Result<bool, Fault>) {
        match took {
            Ok(ours) => self.used |= ours,
            Err(why) => self.wrong = self.wrong.take().or(Some(why)),
        }
    }

    fn read(self, kind: &'static str) -> Read {
        match self.wrong {
            Some(why) => Err(why),
            None if self.used => Ok(Class::Used(kind)),
            None => Ok(Class::Ignored(kind)),
        }
    }
}

/// How a row is taken.
type Take<R> = fn(&mut OkxWire, About<'_>, &R, &mut Sink<'_>) -> Took;

impl OkxWire {
    /// For one asset, or for whatever comes.
    pub fn new(venue: Venue, asset: Option<Asset>, limits: BookLimits) -> Self {
        Self {
            venue,
            asset,
            limits,
            listings: HashMap::new(),
            prices: HashMap::new(),
            contracts: Vec::new(),
            latest: 0,
            now: 0,
            lost_at: None,
            floor: None,
        }
    }

    /// The contract of a symbol, if we take it.
    fn contract(&mut self, symbol: &str) -> Option<&mut Contract> {
        let is = |c: &Contract| *c.series.listing.symbol == *symbol;
        if !self.contracts.get(self.latest).is_some_and(is) {
            let known = self.contracts.iter().position(is);
            self.latest = known.or_else(|| self.begin(symbol))?;
        }
        self.contracts.get_mut(self.latest)
    }

    /// Begins to follow a symbol, if it is the one that stands for an asset we want.
    fn begin(&mut self, symbol: &str) -> Option<usize> {
        let listed = || {
            let listing = self.listings.get(symbol)?.clone();
            let size = listing.instrument.as_ref()?.contract;
            Some((listing, size))
        };
        let known = if self.listings.is_empty() { history::guess(symbol) } else { listed() };
        let (listing, size) = known.filter(|(l, _)| self.asset.is_none_or(|a| a == l.asset))?;
        self.contracts.push(Contract {
            series: Series::new(self.venue, listing),
            size,
            tiers: None,
            funding: Funding::default(),
            depth: Depth::default(),
        });
        Some(self.contracts.len() - 1)
    }

    /// The venue says it is this late (UTC ms).
    fn told(&mut self, ms: i64, out: &mut Sink<'_>) {
        out.sent = Some(ms);
        self.now = self.now.max(ms);
    }

    fn frame(&mut self, text: &str, out: &mut Sink<'_>) -> Read {
        let text = text.trim_ascii();
        if let Some(channel) = stream::channel(text) {
            return self.push(channel, text, out);
        }
        // The answer to our ping, which is not JSON (§5.1).
        if text == "pong" {
            return Ok(Class::Ignored("pong"));
        }
        let head: Head<'_> = object(text)?;
        match (head.event.as_deref(), &head.arg) {
            (Some(event), _) => Ok(self.heard(event, &head)),
            (None, Some(arg)) if head.data.is_some() => self.push(&arg.channel, text, out),
            _ => Ok(Class::Unknown),
        }
    }

    /// What is not data (§5.1).
    fn heard(&mut self, event: &str, head: &Head<'_>) -> Class {
        let words = || {
            let code = head.code.as_deref().unwrap_or_default();
            clean(&format!("{code}: {}", head.msg.as_deref().unwrap_or_default()), 200)
        };
        match event {
            "subscribe" => {
                if head.arg.as_ref().is_some_and(|a| a.channel == "liquidation-orders") {
                    self.listens();
                }
                Class::Ignored("ack")
            }
            "unsubscribe" => Class::Ignored("ack"),
            "error" => {
                tracing::warn!("OKX refuses a request: {}", words());
                Class::Ignored("error")
            }
            "notice" => {
                tracing::info!("OKX announces: {}", words());
                Class::Ignored("notice")
            }
            _ => Class::Unknown,
        }
    }

    /// A subscription to liquidations begins, and with it a repeat of those before (§5.2). What came before we first
    /// listened is left out; what an outage swallowed is taken.
    fn listens(&mut self) {
        let now = self.lost_at.take().unwrap_or(self.now);
        self.floor = Some(if self.floor.is_some() { now.saturating_sub(OVERLAP_MS) } else { now });
    }

    fn push(&mut self, channel: &str, text: &str, out: &mut Sink<'_>) -> Read {
        match channel {
            "trades" => match stream::trades(text) {
                Some(message) => self.whole("trades", None, &message, out, Self::trade),
                None => self.rows("trades", None, text, out, Self::trade),
            },
            "books" => self.rows("books", None, text, out, Self::book),
            "mark-price" => self.rows("mark-price", None, text, out, Self::mark),
            "open-interest" => self.rows("open-interest", None, text, out, Self::open_interest),
            "funding-rate" => self.rows("funding-rate", None, text, out, Self::funding),
            "liquidation-orders" => self.forced(text, out),
            "candle1m" => match stream::candles(text) {
                Some(message) => self.whole("candle1m", None, &message, out, Self::candle),
                None => self.rows("candle1m", None, text, out, Self::candle),
            },
            _ => Ok(stream::unused(channel)),
        }
    }

    /// Takes the rows of a push, or of the answer to a call about a symbol, which come newest first (§5.3). A row that cannot be
    /// read does not cost the others, but the whole counts as one that cannot be read.
    fn rows<'a, R: Deserialize<'a>>(
        &mut self,
        kind: &'static str,
        asked: Option<&str>,
        text: &'a str,
        out: &mut Sink<'_>,
        take: Take<R>,
    ) -> Read {
        match object(text) {
            Ok(message) => self.whole(kind, asked, &message, out, take),
            Err(_) => self.row_by_row(kind, asked, text, out, take),
        }
    }

    /// The rows of a message that can all be read.
    fn whole<R>(
        &mut self,
        kind: &'static str,
        asked: Option<&str>,
        message: &Message<'_, R>,
        out: &mut Sink<'_>,
        take: Take<R>,
    ) -> Read {
        let about = About::new(asked, message)?;
        let mut tally = Tally::default();
        for row in in_order(&message.data, asked.is_some()) {
            tally.count(take(self, about, row, out).map_err(Fault::from));
        }
        tally.read(kind)
    }

    fn row_by_row<'a, R: Deserialize<'a>>(
        &mut self,
        kind: &'static str,
        asked: Option<&str>,
        text: &'a str,
        out: &mut Sink<'_>,
        take: Take<R>,
    ) -> Read {
        let message = object::<Message<'a, &'a RawValue>>(text)?;
        let about = About::new(asked, &message)?;
        let mut tally = Tally::default();
        for row in in_order(&message.data, asked.is_some()) {
            let row: Result<R, _> = parse(row.get());
            tally.count(row.and_then(|row| take(self, about, &row, out).map_err(Fault::from)));
        }
        tally.read(kind)
    }

    fn trade(&mut self, _: About<'_>, t: &TradeRow<'_>, out: &mut Sink<'_>) -> Took {
        self.told(t.ts.0, out);
        let Some(contract) = self.contract(&t.symbol) else { return Ok(false) };
        let number: u64 = t.trade_id.parse().map_err(|_| "the number of a trade is none")?;
        let trade = Trade {
            price: contract.price(t.px)?,
            qty: contract.coins(t.sz)?,
            taker: match t.side {
                OrderSide::Buy => TakerSide::Buy,
                OrderSide::Sell => TakerSide::Sell,
            },
            id: TradeId::from(&t.trade_id).ok(),
            parties: None,
        };
        contract.series.keyed_trade(out, u128::from(number), t.ts.0, trade);
        Ok(true)
    }

    /// Liquidations of all instruments. One that cannot be read costs neither the others nor, if it is not ours, anything.
    fn forced(&mut self, text: &str, out: &mut Sink<'_>) -> Read {
        const KIND: &str = "liquidation-orders";
        if let Ok(message) = object::<Message<'_, LiquidationRow<'_, LiquidationDetail>>>(text) {
            return self.whole(KIND, None, &message, out, |wire, _, row, out| {
                wire.liquidations(&row.symbol, row.details.iter().copied().map(Ok), out)
            });
        }
        self.rows(KIND, None, text, out, |wire, _, row: &LiquidationRow<'_, &RawValue>, out| {
            let read = |raw: &&RawValue| parse(raw.get()).map_err(|_| "a liquidation that cannot be read");
            wire.liquidations(&row.symbol, row.details.iter().map(read), out)
        })
    }

    fn liquidations(
        &mut self,
        symbol: &str,
        details: impl Iterator<Item = Result<LiquidationDetail, &'static str>>,
        out: &mut Sink<'_>,
    ) -> Took {
        let floor = self.floor;
        let Some(contract) = self.contract(symbol) else { return Ok(false) };
        let mut took = Ok(true);
        let mut rows = Vec::new();
        for detail in details {
            match detail.and_then(|d| Ok((d.ts.0, contract.liquidation(&d)?))) {
                Ok(row) => rows.push(row),
                Err(why) => took = Err(why),
            }
        }
        // They come in no order (§5.2).
        rows.sort_by_key(|(ts, _)| *ts);
        for (ts, liquidation) in rows {
            if floor.is_some_and(|floor| ts < floor) {
                out.counters.history += 1;
            } else {
                contract.series.liquidation(out, ts, liquidation);
            }
        }
        took
    }

    fn open_interest(&mut self, _: About<'_>, row: &OpenInterestRow<'_>, out: &mut Sink<'_>) -> Took {
        self.now = self.now.max(row.ts.0);
        let Some(contract) = self.contract(&row.symbol) else { return Ok(false) };
        let qty = contract.series.qty(row.oi_ccy)?;
        contract.series.open_interest(out, row.ts.0, not_negative(qty)?);
        Ok(true)
    }

    /// The bars of past open interest carry the start of their period (§5.3).
    fn open_interest_bar(&mut self, about: About<'_>, row: &OpenInterestBar, out: &mut Sink<'_>) -> Took {
        let Some(contract) = self.contract(about.symbol) else { return Ok(false) };
        let qty = contract.series.qty(row.2)?;
        contract.series.open_interest(out, row.0.0, not_negative(qty)?);
        Ok(true)
    }

    fn mark(&mut self, _: About<'_>, row: &MarkRow<'_>, out: &mut Sink<'_>) -> Took {
        self.now = self.now.max(row.ts.0);
        let now = self.now;
        let Some(contract) = self.contract(&row.symbol) else { return Ok(false) };
        let price = contract.price(row.mark_px)?;
        let Funding { rate: funding, hours: funding_hours, next: next_funding } = contract.funding;
        contract.series.mark(
            out,
            row.ts.0,
            Mark { price, index: None, funding, funding_hours, next_funding },
        );
        // While the book is away its own channel is silent; this one is not.
        if contract.depth.asks(now) {
            out.wants.extend(new_book(&contract.series.listing.symbol));
        }
        Ok(true)
    }

    /// Funding is told with the mark prices that follow.
    #[allow(clippy::unnecessary_wraps, reason = "the shape in which rows are taken")]
    fn funding(&mut self, _: About<'_>, row: &FundingRow<'_>, _: &mut Sink<'_>) -> Took {
        self.now = self.now.max(row.ts.0);
        let Some(contract) = self.contract(&row.symbol) else { return Ok(false) };
        let next = row.funding_time.0;
        // Not always eight hours (§5.2).
        let after: Option<i64> = row.next_funding_time.as_deref().and_then(|t| t.parse().ok());
        let period = after.and_then(|after| after.checked_sub(next)).filter(|p| p % 3_600_000 == 0);
        let hours = period.and_then(|p| u32::try_from(p / 3_600_000).ok()).filter(|h| *h > 0);
        contract.funding = Funding { rate: Some(row.funding_rate), hours, next: Some(next) };
        Ok(true)
    }

    fn candle(&mut self, about: About<'_>, row: &CandleRow<'_>, out: &mut Sink<'_>) -> Took {
        let Some(contract) = self.contract(about.symbol) else { return Ok(false) };
        if row.is_final() {
            let candle = row.candle(&contract.series.listing)?;
            contract.series.candle(out, row.0.0, candle);
        }
        Ok(true)
    }

    fn book(&mut self, about: About<'_>, row: &BookRow, out: &mut Sink<'_>) -> Took {
        let limits = self.limits;
        self.told(row.ts.0, out);
        let now = self.now;
        let Some(contract) = self.contract(about.symbol) else { return Ok(false) };
        let numbers = row.prev_seq_id.zip(row.seq_id).ok_or("a book without numbers")?;
        let update = Update {
            snapshot: about.snapshot,
            before: numbers.0,
            number: numbers.1,
            bids: contract.levels(&row.bids)?,
            asks: contract.levels(&row.asks)?,
        };
        match contract.depth.take(&update) {
            Step::Followed => contract.depth.tell(limits, &mut contract.series, out, row.ts.0),
            Step::Repeat => out.counters.duplicates += 1,
            Step::Lost if contract.depth.asks(now) => {
                out.wants.extend(new_book(&contract.series.listing.symbol));
            }
            Step::Lost => {}
        }
        Ok(true)
    }

    fn rest(&mut self, call: &str, text: &str, out: &mut Sink<'_>) -> Read {
        const NAMELESS: &str = "no symbol in the call";
        let (path, query) = call.split_once('?').unwrap_or((call, ""));
        let named = |name: &str| {
            let pair = query.split('&').filter_map(|p| p.split_once('=')).find(|(n, _)| *n == name);
            pair.and_then(|(_, value)| percent_decode(value))
        };
        let symbol = named("instId").ok_or(NAMELESS);
        match path {
            history::INSTRUMENTS => self.directory(text),
            history::TICKERS => self.tickers(text, out),
            history::TIME => {
                let now = history::time(text).ok_or("no time in it")?;
                self.told(now, out);
                Ok(Class::Used("time"))
            }
            "/api/v5/market/candles" | "/api/v5/market/history-candles" => {
                self.rows("candles", Some(&symbol?), text, out, Self::candle)
            }
            "/api/v5/rubik/stat/contracts/open-interest-history" => {
                self.rows("open-interest-history", Some(&symbol?), text, out, Self::open_interest_bar)
            }
            "/api/v5/public/funding-rate" => {
                self.rows("funding-rate", Some(&symbol?), text, out, Self::funding)
            }
            "/api/v5/public/mark-price" => self.rows("mark-price", Some(&symbol?), text, out, Self::mark),
            "/api/v5/public/position-tiers" => self.tiers(&named("instFamily").ok_or(NAMELESS)?, text),
            _ => Ok(Class::Unknown),
        }
    }

    fn directory(&mut self, text: &str) -> Read {
        let listed = history::listings(text).map_err(|e| e.to_string())?;
        self.listings = listed.listings.into_iter().map(|l| (l.symbol.clone(), l)).collect();
        for contract in &mut self.contracts {
            if let Some(listing) = self.listings.get(&contract.series.listing.symbol) {
                contract.learn(listing.clone());
            }
        }
        if listed.odd > 0 {
            return Err(format!("{} contracts of the list cannot be read", listed.odd).into());
        }
        Ok(Class::Used("instruments"))
    }

    fn tickers(&mut self, text: &str, out: &mut Sink<'_>) -> Read {
        let tickers = history::tickers(text).map_err(|e| e.to_string())?;
        if let Some(now) = tickers.now {
            self.told(now, out);
        }
        self.prices = tickers.rows.into_iter().map(|(symbol, (last, _))| (symbol, last)).collect();
        Ok(Class::Used("tickers"))
    }

    /// The table of a family is that of its perpetual.
    fn tiers(&mut self, family: &str, text: &str) -> Read {
        const KIND: &str = "position-tiers";
        let message: Message<'_, TierRow<'_>> = object(text)?;
        let symbol = format!("{family}-SWAP");
        let last = self.prices.get(symbol.as_str()).copied();
        let Some(contract) = self.contract(&symbol) else { return Ok(Class::Ignored(KIND)) };
        // Without a price the venue's sizes say nothing in dollars; the assumed tier stays.
        let Some(last) = last else { return Ok(Class::Ignored(KIND)) };
        let tiers = margin::tiers(&message.data, contract.coins(one())?, contract.price(last)?)?;
        if tiers.is_empty() {
            return Err("no tiers in it".into());
        }
        contract.tiers = Some(tiers);
        contract.learn(contract.series.listing.clone());
        Ok(Class::Used(KIND))
    }
}

impl<'a> About<'a> {
    fn new<R>(asked: Option<&'a str>, message: &'a Message<'_, R>) -> Result<Self, Fault> {
        if let Some(code) = message.code.as_deref().filter(|c| *c != "0") {
            return Err(format!("refused with code {}", clean(code, 20)).into());
        }
        let told = message.arg.as_ref().and_then(|a| a.symbol.as_deref());
        Ok(Self {
            symbol: asked.or(told).unwrap_or_default(),
            snapshot: message.action.as_deref() == Some("snapshot"),
        })
    }
}

impl Wire for OkxWire {
    fn copied(&self) -> Box<dyn Wire> {
        Box::new(self.clone())
    }

    fn socket(&mut self, _conn: &str, text: &str, out: &mut Sink<'_>) -> Class {
        self.frame(text, out).unwrap_or_else(Class::Malformed)
    }

    fn answer(&mut self, call: &str, text: &str, out: &mut Sink<'_>) -> Class {
        self.rest(call, text, out).unwrap_or_else(Class::Malformed)
    }

    /// The business connection carries candles, which history makes up for.
    fn lost(&mut self, conn: &str) {
        if conn == PUBLIC {
            self.lost_at = self.lost_at.or(Some(self.now));
            for contract in &mut self.contracts {
                contract.series.lost();
                contract.depth.lost();
            }
        }
    }

    fn complete_until(&self) -> Option<i64> {
        self.contracts.iter().filter_map(|c| c.series.complete_until()).min()
    }
}

/// What brings a new snapshot of a book: the subscription ended and begun again.
fn new_book(symbol: &str) -> [Want; 2] {
    ["unsubscribe", "subscribe"].map(|op| {
        let text = subscription(op, &[("books", symbol)]);
        Want::Send { conn: PUBLIC, text }
    })
}

/// Rows, oldest first.
fn in_order<R>(rows: &[R], newest_first: bool) -> impl Iterator<Item = &R> {
    let last = rows.len();
    (0..last).filter_map(move |at| rows.get(if newest_first { last - 1 - at } else { at }))
}

fn not_negative(qty: Qty) -> Result<Qty, &'static str> {
    if qty >= Qty::ZERO { Ok(qty) } else { Err("less than nothing") }
}

fn one() -> Qty {
    Qty::from_raw(10_i128.pow(Qty::DIGITS))
}

#[cfg(test)]
mod tests;
