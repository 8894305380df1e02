//! Bybit's frames as events (`exchanges.md` §4.2). What calls bring is read in `answers`.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use foldhash::fast::FixedState;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::feed::book::BookLimits;
use crate::feed::instruments::Listing;
use crate::feed::series::{Series, Sink};
use crate::feed::status::clean;
use crate::feed::translate::{Class, Wire};
use crate::feed::venue::read::{Fault, minute, parse, positive, time};
use crate::market::event::{Mark, TradeId};
use crate::market::{
    Asset, Liquidation, MarginTier, Price, PriceKind, Qty, Rate, Sampled, Side, TakerSide, Trade, Venue,
};

use super::book::Book;
use super::history::{number, one_sided};
use super::stream::{self, BookPush, LiquidationRow, Reply, Rows, Ticker, TickerPush, TradeRow};
use super::{CONN, symbols};

/// Most symbols that are remembered: a hostile sender must not fill the memory with names. Bybit lists some 600.
const MOST_SYMBOLS: usize = 5_000;

/// At most one mark price and one reading of open interest in so many ms: tickers come ten times a second.
const EVERY: i64 = 1_000;

/// Open interest that has not changed is told again after so many ms: it settles what was traded meanwhile.
const UNCHANGED: i64 = 5_000;

/// What a ticker said last. A field that a frame leaves out is unchanged.
#[derive(Debug, Clone, Default)]
pub(super) struct Quote {
    /// Time and sequence of the last frame.
    at: Option<(i64, i64)>,
    mark: Option<Price>,
    index: Option<Price>,
    funding: Option<Rate>,
    funding_hours: Option<u32>,
    next_funding: Option<i64>,
    /// One side, per coin.
    open_interest: Option<Qty>,
    /// When the mark price was last told, UTC ms.
    marked: Option<i64>,
    /// The open interest told last, and when, UTC ms.
    counted: Option<(i64, Qty)>,
}

impl Quote {
    /// Takes what a ticker says; nothing of one that cannot be read.
    fn merge(&mut self, ticker: &Ticker<'_>, series: &Series) -> Result<(), &'static str> {
        let mark = number::<Price>(ticker.mark_price)?.map(|p| series.price(positive(p)?)).transpose()?;
        let index = number::<Price>(ticker.index_price)?.filter(|p| p.is_positive());
        let index = index.map(|p| series.price(p)).transpose()?;
        let funding = number(ticker.funding_rate)?;
        let funding_hours = number(ticker.funding_interval_hour)?;
        let next_funding = number(ticker.next_funding_time)?.filter(|&t| t > 0);
        let open_interest = one_sided(ticker.single_open_interest, ticker.open_interest)?;
        let open_interest = open_interest.map(|q| series.qty(q)).transpose()?;
        self.mark = mark.or(self.mark);
        self.index = index.or(self.index);
        self.funding = funding.or(self.funding);
        self.funding_hours = funding_hours.or(self.funding_hours);
        self.next_funding = next_funding.or(self.next_funding);
        self.open_interest = open_interest.or(self.open_interest);
        Ok(())
    }

    /// Tells what is due at `ts` (UTC ms): the mark price once a second, whether it moved or not, so that its path has no holes;
    /// open interest when it changed, at most once a second.
    fn tell(&mut self, series: &mut Series, out: &mut Sink<'_>, ts: i64) {
        let due = |last: Option<i64>, after: i64| last.is_none_or(|last| ts >= last.saturating_add(after));
        if let Some(price) = self.mark.filter(|_| due(self.marked, EVERY)) {
            self.marked = Some(ts);
            let mark = Mark {
                price,
                index: self.index,
                funding: self.funding,
                funding_hours: self.funding_hours,
                next_funding: self.next_funding,
            };
            series.mark(out, ts, mark);
        }
        if let Some(qty) = self.open_interest {
            let wait = if self.counted.is_some_and(|(_, last)| last == qty) { UNCHANGED } else { EVERY };
            if due(self.counted.map(|(at, _)| at), wait) {
                self.counted = Some((ts, qty));
                series.open_interest(out, ts, qty);
            }
        }
    }

    /// The link is gone; what was told stays told.
    fn forget(&mut self) {
        *self = Self { marked: self.marked, counted: self.counted, ..Self::default() };
    }
}

/// An instrument and what only Bybit needs to know about it.
#[derive(Clone)]
pub(super) struct Contract {
    pub series: Series,
    quote: Quote,
    book: Book,
    /// Tiers the venue told.
    pub tiers: Option<Vec<MarginTier>>,
    /// Mark prices at whole hours, until the funding of that hour is read.
    pub hours: BTreeMap<i64, Price>,
}

impl Contract {
    fn new(venue: Venue, listing: Listing) -> Self {
        Self {
            series: Series::new(venue, listing),
            quote: Quote::default(),
            book: Book::default(),
            tiers: None,
            hours: BTreeMap::new(),
        }
    }

    /// Takes a ticker that is a whole, from a call.
    pub fn ticker(&mut self, ticker: &Ticker<'_>, ts: i64, out: &mut Sink<'_>) -> Result<(), &'static str> {
        let mut quote = Quote { marked: self.quote.marked, counted: self.quote.counted, ..Quote::default() };
        quote.merge(ticker, &self.series)?;
        quote.tell(&mut self.series, out, ts);
        (self.quote.marked, self.quote.counted) = (quote.marked, quote.counted);
        Ok(())
    }
}

/// A symbol, and its contract if we take it.
#[derive(Clone)]
struct Known {
    symbol: Box<str>,
    contract: Option<Contract>,
}

/// Bybit's frames to events.
#[derive(Clone)]
pub struct BybitWire {
    venue: Venue,
    /// Only this asset, or whatever comes.
    asset: Option<Asset>,
    limits: BookLimits,
    pub(super) listings: HashMap<Box<str>, Listing>,
    known: Vec<Known>,
    places: HashMap<Box<str>, usize>,
    /// Place of the symbol seen last; the next frame is likely of the same.
    recent: usize,
}

/// What became of a frame.
pub(super) type Read = Result<Class, Fault>;

impl BybitWire {
    /// For one asset, or for whatever comes.
    pub fn new(venue: Venue, asset: Option<Asset>, limits: BookLimits) -> Self {
        Self {
            venue,
            asset,
            limits,
            listings: HashMap::new(),
            known: Vec::new(),
            places: HashMap::new(),
            recent: 0,
        }
    }

    /// The contract of a symbol, if we take it.
    pub(super) fn contract(&mut self, symbol: &str) -> Option<&mut Contract> {
        if self.known.get(self.recent).is_none_or(|k| *k.symbol != *symbol) {
            self.recent = match self.places.get(symbol) {
                Some(&place) => place,
                None => self.learn(symbol)?,
            };
        }
        self.known.get_mut(self.recent)?.contract.as_mut()
    }

    /// Decides whether we take a symbol: the right asset, and no other symbol already stands for that asset.
    fn learn(&mut self, symbol: &str) -> Option<usize> {
        if self.known.len() >= MOST_SYMBOLS {
            return None;
        }
        let listing = self.listings.get(symbol).cloned().or_else(|| symbols::guess(symbol));
        let wanted = listing.filter(|l| self.asset.is_none_or(|a| a == l.asset)).filter(|l| {
            let taken = |c: &Contract| c.series.asset() == l.asset;
            !self.known.iter().filter_map(|k| k.contract.as_ref()).any(taken)
        });
        let contract = wanted.map(|listing| Contract::new(self.venue, listing));
        self.places.insert(symbol.into(), self.known.len());
        self.known.push(Known { symbol: symbol.into(), contract });
        Some(self.known.len() - 1)
    }

    /// The contracts we take.
    pub(super) fn contracts(&mut self) -> impl Iterator<Item = &mut Contract> {
        self.known.iter_mut().filter_map(|k| k.contract.as_mut())
    }

    fn frame(&mut self, text: &str, out: &mut Sink<'_>) -> Read {
        let Some(topic) = stream::topic(text) else { return reply(text) };
        let (kind, rest) = topic.split_once('.').unwrap_or((topic, ""));
        match kind {
            stream::TRADES => self.trades(text, out),
            stream::LIQUIDATIONS => self.liquidations(text, out),
            stream::TICKERS => self.ticker(text, out),
            "kline" => self.bars(text, out),
            "orderbook" => self.book(rest, text, out),
            _ => Ok(known(kind).map_or(Class::Unknown, Class::Ignored)),
        }
    }

    fn trades(&mut self, text: &str, out: &mut Sink<'_>) -> Read {
        let (rows, mut fault) = match stream::trades(text) {
            Some((sent, rows)) => {
                out.sent = Some(time(sent)?);
                (rows, None)
            }
            None => rows::<TradeRow<'_>>(text, out)?,
        };
        let (mut used, mut blocks) = (false, 0);
        for row in &rows {
            if row.block {
                blocks += 1;
                continue;
            }
            let Some(contract) = self.contract(&row.s) else { continue };
            used = true;
            match print(&contract.series, row) {
                Ok(trade) => contract.series.keyed_trade(out, key(&row.i), row.time, trade),
                Err(e) => fault = fault.or(Some(e.into())),
            }
        }
        // A block trade was agreed elsewhere: no flow of this market (§4.2). A frame of nothing else counts itself.
        out.counters.ignored += if used || fault.is_some() { blocks } else { u64::saturating_sub(blocks, 1) };
        class(stream::TRADES, used, fault)
    }

    fn liquidations(&mut self, text: &str, out: &mut Sink<'_>) -> Read {
        let (rows, mut fault) = rows::<LiquidationRow<'_>>(text, out)?;
        // Two rows alike in one frame are two liquidations; only a frame can come twice.
        let mut seen: HashMap<(i64, &str, Price, Qty), u32, FixedState> = HashMap::default();
        let mut used = false;
        for row in &rows {
            let Some(contract) = self.contract(&row.s) else { continue };
            used = true;
            let mut nth = 0;
            if rows.len() > 1 {
                let count = seen.entry((row.time, &row.side, row.p, row.v)).or_default();
                nth = *count;
                *count += 1;
            }
            match liquidation(&contract.series, row) {
                Ok(l) => contract.series.nth_liquidation(out, row.time, l, nth),
                Err(e) => fault = fault.or(Some(e.into())),
            }
        }
        class(stream::LIQUIDATIONS, used, fault)
    }

    fn ticker(&mut self, text: &str, out: &mut Sink<'_>) -> Read {
        const KIND: &str = stream::TICKERS;
        let push: TickerPush<'_> = parse(text)?;
        out.sent = Some(time(push.ts)?);
        let Some(contract) = self.contract(&push.data.symbol) else { return Ok(Class::Ignored(KIND)) };
        let (quote, at) = (&mut contract.quote, (push.ts, push.cs));
        if quote.at.is_some_and(|last| at <= last) {
            // A connection that relieves another begins with what is known already.
            out.counters.duplicates += 1;
            return Ok(Class::Used(KIND));
        }
        if push.kind == "snapshot" {
            quote.forget();
        }
        quote.merge(&push.data, &contract.series)?;
        quote.at = Some(at);
        quote.tell(&mut contract.series, out, push.ts);
        Ok(Class::Used(KIND))
    }

    fn bars(&mut self, text: &str, out: &mut Sink<'_>) -> Read {
        /// The topic alone, with its escapes read.
        #[derive(Deserialize)]
        struct Topic<'a> {
            #[serde(borrow)]
            topic: Cow<'a, str>,
        }
        if let Some((symbol, sent, rows)) = stream::bars(text) {
            out.sent = Some(time(sent)?);
            return self.minutes(Some(symbol), &rows, None, out);
        }
        let (rows, fault) = rows::<stream::Bar>(text, out)?;
        let topic: Topic<'_> = parse(text)?;
        // Bars of other lengths are no use to us.
        let symbol = topic.topic.strip_prefix(stream::KLINES).and_then(|t| t.strip_prefix('.'));
        self.minutes(symbol, &rows, fault, out)
    }

    /// Bars of a minute, if it is one and the symbol ours, and what was wrong with others.
    fn minutes(
        &mut self,
        symbol: Option<&str>,
        rows: &[stream::Bar],
        mut fault: Option<Fault>,
        out: &mut Sink<'_>,
    ) -> Read {
        const KIND: &str = "kline";
        let Some(contract) = symbol.and_then(|s| self.contract(s)) else { return class(KIND, false, fault) };
        for bar in rows.iter().filter(|bar| bar.confirm) {
            let prices = [bar.open, bar.high, bar.low, bar.close];
            let candle = whole_minute(bar.start)
                .and_then(|()| minute(&contract.series.listing, prices, bar.volume, None));
            match candle {
                Ok(candle) => contract.series.candle(out, bar.start, candle),
                Err(e) => fault = fault.or(Some(e.into())),
            }
        }
        class(KIND, true, fault)
    }

    /// `rest` is what follows `orderbook.`: depth and symbol.
    fn book(&mut self, rest: &str, text: &str, out: &mut Sink<'_>) -> Read {
        const KIND: &str = "orderbook";
        let depth = rest.split('.').next().unwrap_or_default();
        // There are others, such as `orderbook.full` and `orderbook.rpi`, with rules of their own.
        let Some(depth) = depth.parse().ok().filter(|d| (1..=1_000).contains(d)) else {
            return Ok(Class::Ignored(KIND));
        };
        let push: BookPush<'_> = parse(text)?;
        out.sent = Some(time(push.ts)?);
        time(push.cts.unwrap_or(push.ts))?;
        let limits = self.limits;
        let Some(contract) = self.contract(&push.data.s) else { return Ok(Class::Ignored(KIND)) };
        let used = contract.book.take(depth, &push, limits, &mut contract.series, out)?;
        class(KIND, used, None)
    }
}

impl Wire for BybitWire {
    fn copied(&self) -> Box<dyn Wire> {
        Box::new(self.clone())
    }

    fn socket(&mut self, _conn: &str, text: &str, out: &mut Sink<'_>) -> Class {
        self.frame(text, out).unwrap_or_else(Class::Malformed)
    }

    fn answer(&mut self, call: &str, text: &str, out: &mut Sink<'_>) -> Class {
        self.rest(call, text, out).unwrap_or_else(Class::Malformed)
    }

    fn lost(&mut self, conn: &str) {
        if conn != CONN {
            return;
        }
        for contract in self.contracts() {
            contract.series.lost();
            contract.quote.forget();
            contract.book.lost();
        }
    }

    fn complete_until(&self) -> Option<i64> {
        let contracts = self.known.iter().filter_map(|k| k.contract.as_ref());
        contracts.filter_map(|c| c.series.complete_until()).min()
    }
}

/// The rows of a frame, and what is wrong with the first that cannot be read: it must not cost the others.
fn rows<'a, T: Deserialize<'a>>(text: &'a str, out: &mut Sink<'_>) -> Result<(Vec<T>, Option<Fault>), Fault> {
    let (ts, rows, fault) = match parse::<Rows<T>>(text) {
        Ok(read) => (read.ts, read.data, None),
        Err(_) => row_by_row(text)?,
    };
    out.sent = Some(time(ts)?);
    Ok((rows, fault))
}

fn row_by_row<'a, T: Deserialize<'a>>(text: &'a str) -> Result<(i64, Vec<T>, Option<Fault>), Fault> {
    let read = parse::<Rows<&RawValue>>(text)?;
    let (mut rows, mut fault) = (Vec::new(), None);
    for raw in read.data {
        match parse(raw.get()) {
            Ok(row) => rows.push(row),
            Err(e) => fault = fault.or(Some(e)),
        }
    }
    Ok((read.ts, rows, fault))
}

/// What a frame was: one that has a fault counts as malformed, whatever else it gave.
pub(super) fn class(kind: &'static str, used: bool, fault: Option<Fault>) -> Read {
    match fault {
        Some(fault) => Err(fault),
        None if used => Ok(Class::Used(kind)),
        None => Ok(Class::Ignored(kind)),
    }
}

/// Kinds we know and do not use: the venue's others (§4.2), and those of the API that was shut down before v5, of which
/// there are recordings.
fn known(kind: &str) -> Option<&'static str> {
    const KINDS: [&str; 6] =
        ["adlAlert", "insurance", "priceLimit", "liquidation", "orderBookL2_25", "trade"];
    KINDS.into_iter().find(|k| *k == kind)
}

/// Checks that a bar begins with a minute.
pub(super) fn whole_minute(ts: i64) -> Result<(), &'static str> {
    if time(ts)? % 60_000 == 0 { Ok(()) } else { Err("a bar does not begin with a minute") }
}

fn print(series: &Series, row: &TradeRow<'_>) -> Result<Trade, &'static str> {
    time(row.time)?;
    let taker = match row.side.as_ref() {
        "Buy" => TakerSide::Buy,
        "Sell" => TakerSide::Sell,
        _ => return Err("side is neither Buy nor Sell"),
    };
    let (price, qty) = (series.price(positive(row.p)?)?, series.qty(positive(row.v)?)?);
    Ok(Trade { price: positive(price)?, qty, taker, id: TradeId::from(&row.i).ok(), parties: None })
}

fn liquidation(series: &Series, row: &LiquidationRow<'_>) -> Result<Liquidation, &'static str> {
    time(row.time)?;
    // The side of the position, not of the order that closed it (§1.2).
    let position = match row.side.as_ref() {
        "Buy" => Side::Long,
        "Sell" => Side::Short,
        _ => return Err("side is neither Buy nor Sell"),
    };
    let (price, qty) = (series.price(positive(row.p)?)?, series.qty(positive(row.v)?)?);
    let (price_kind, sampled) = (PriceKind::Bankruptcy, Sampled::No);
    Ok(Liquidation { position, price: positive(price)?, qty, price_kind, sampled })
}

/// A key that tells trade ids apart: the number a UUID is, or a hash (FNV-1a) of any other text.
fn key(id: &str) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let (mut number, mut digits) = (0_u128, 0);
    for byte in id.bytes() {
        // No branch tells a digit from a letter: they come at random, so that it would be guessed wrong half the time.
        if byte.is_ascii_digit() | matches!(byte, b'a'..=b'f') {
            number = number << 4 | u128::from((byte & 0xf) + 9 * (byte >> 6));
            digits += 1;
        } else if byte != b'-' {
            digits = 0;
            break;
        }
    }
    if digits == 32 {
        return number;
    }
    id.bytes().fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}

/// The answer to a request of ours.
fn reply(text: &str) -> Read {
    if !text.trim_ascii_start().starts_with('{') {
        return Err("not an object".into());
    }
    let reply: Reply<'_> = parse(text)?;
    if reply.op.as_deref() == Some("pong") || reply.ret_msg.as_deref() == Some("pong") {
        return Ok(Class::Ignored("pong"));
    }
    match reply.success {
        Some(true) => Ok(Class::Ignored("ack")),
        // What was refused as a whole has been asked for again, part by part, by whoever keeps the socket.
        Some(false) => {
            let words = reply.ret_msg.as_deref().unwrap_or_default();
            tracing::warn!("bybit refuses a request: {}", clean(words, 200));
            Ok(Class::Ignored("refusal"))
        }
        None => Ok(Class::Unknown),
    }
}

#[cfg(test)]
mod tests;
