//! Binance's frames and answers as events (`exchanges.md` §3.2, §3.4).

use std::collections::HashMap;
use std::str::FromStr;

use serde_json::value::RawValue;

use crate::feed::book::BookLimits;
use crate::feed::instruments::{Listing, guess, percent_decode};
use crate::feed::series::{Series, Sink};
use crate::feed::translate::{Class, Wire};
use crate::feed::venue::json;
use crate::feed::venue::read::{Fault, minute, numbered, object, parse, positive};
use crate::market::event::{Mark, is_time};
use crate::market::{Asset, Liquidation, Price, PriceKind, Qty, Sampled, Side, TakerSide, Trade, Venue};

use super::depth::{Depth, DepthUpdate, Snapshot};
use super::history::{self, KlineRow, OpenInterestNow, OpenInterestRow, PremiumIndex, ServerTime};
use super::stream::{self, AggTrade, Envelope, ForceOrder, Head, Kline, MarkPrice, SingleTrade};

/// Which of the two trade streams an instrument is read from. Both carry the same prints; never both are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prints {
    /// Single trades up to this number.
    Single(u64),
    /// Aggregates.
    Aggregate,
}

/// An instrument and what only Binance needs to know about it.
#[derive(Clone)]
struct Contract {
    series: Series,
    prints: Option<Prints>,
    depth: Depth,
}

/// Binance's frames to events.
#[derive(Clone)]
pub struct BinanceWire {
    venue: Venue,
    /// Only this asset, or whatever comes.
    asset: Option<Asset>,
    book: BookLimits,
    listings: HashMap<Box<str>, Listing>,
    /// Instruments we take.
    contracts: Vec<Contract>,
    /// Their places by symbol; `None` for symbols we do not take.
    places: HashMap<Box<str>, Option<usize>>,
    /// The place asked for last: most frames are of the same instrument as the one before.
    last: usize,
    /// The newest time the venue told, UTC ms: bars that end later are not finished.
    now: i64,
}

type Read = Result<Class, Fault>;

impl BinanceWire {
    /// For one asset, or for whatever comes.
    pub fn new(venue: Venue, asset: Option<Asset>, book: BookLimits) -> Self {
        Self {
            venue,
            asset,
            book,
            listings: HashMap::new(),
            contracts: Vec::new(),
            places: HashMap::new(),
            last: 0,
            now: 0,
        }
    }

    /// The contract of a symbol, if we take it.
    fn contract(&mut self, symbol: &str) -> Option<&mut Contract> {
        let of_symbol = |c: &Contract| *c.series.listing.symbol == *symbol;
        if !self.contracts.get(self.last).is_some_and(of_symbol) {
            self.last = self.place(symbol)?;
        }
        self.contracts.get_mut(self.last)
    }

    /// Its place. We take the right asset, and only one symbol for an asset.
    fn place(&mut self, symbol: &str) -> Option<usize> {
        if let Some(place) = self.places.get(symbol) {
            return *place;
        }
        // A hostile sender must not fill the memory with names: Binance lists about 900 (§14).
        if self.places.len() >= 5_000 {
            return None;
        }
        let listing = self.listings.get(symbol).cloned().or_else(|| guess(symbol));
        let place = listing
            .filter(|l| self.asset.is_none_or(|a| a == l.asset))
            .filter(|l| !self.contracts.iter().any(|c| c.series.asset() == l.asset))
            .map(|listing| {
                let series = Series::new(self.venue, listing);
                self.contracts.push(Contract { series, prints: None, depth: Depth::new(self.book) });
                self.contracts.len() - 1
            });
        self.places.insert(symbol.into(), place);
        place
    }

    /// The venue says when it spoke.
    fn told(&mut self, ms: i64, out: &mut Sink<'_>) {
        if is_time(ms) {
            out.sent = Some(ms);
            self.now = self.now.max(ms);
        }
    }

    fn frame(&mut self, text: &str, out: &mut Sink<'_>) -> Read {
        let text = text.trim_ascii();
        if text.starts_with('[') {
            return self.array(text, out);
        }
        if let Some(class) = self.usual(unwrapped(text).unwrap_or(text), out) {
            return Ok(class);
        }
        let head: Head<'_> = object(text)?;
        if head.e.is_some() {
            return self.headed(&head, text, out);
        }
        let outer: Envelope<'_> = object(text)?;
        match outer.data.filter(|_| outer.stream.is_some()).map(RawValue::get) {
            Some(data) if data.starts_with('[') => self.array(data, out),
            Some(data) => self.row(data, out),
            None => Ok(answer(&outer)),
        }
    }

    /// All-market streams send arrays of what single streams send. The frame is what its best row is.
    fn array(&mut self, text: &str, out: &mut Sink<'_>) -> Read {
        let rows: Vec<&RawValue> = parse(text)?;
        let mut class = Class::Unknown;
        for row in rows {
            let seen = match self.usual(row.get(), out) {
                Some(seen) => seen,
                None => self.row(row.get(), out)?,
            };
            if matches!(class, Class::Unknown) || matches!(seen, Class::Used(_)) {
                class = seen;
            }
        }
        Ok(class)
    }

    /// An event that begins with its kind, as Binance sends them (§3.2), read in one pass. `None` is left to the general
    /// way, which finds the words of an error: an event that failed has changed nothing it would stumble over.
    fn usual(&mut self, text: &str, out: &mut Sink<'_>) -> Option<Class> {
        let (kind, _) = json::lead(text, r#"{"e":""#)?;
        self.event(kind, text, out).ok()
    }

    fn row(&mut self, text: &str, out: &mut Sink<'_>) -> Read {
        let head: Head<'_> = object(text)?;
        if head.e.is_some() { self.headed(&head, text, out) } else { Ok(answer(&object(text)?)) }
    }

    fn headed(&mut self, head: &Head<'_>, text: &str, out: &mut Sink<'_>) -> Read {
        let kind = head.e.as_deref().unwrap_or_default();
        if head.st == COIN_MARGINED { Ok(unused(kind)) } else { self.event(kind, text, out) }
    }

    fn event(&mut self, kind: &str, text: &str, out: &mut Sink<'_>) -> Read {
        match kind {
            "aggTrade" => match stream::aggregate(text) {
                Some(trade) => self.aggregate(&trade, out),
                None => self.aggregate(&parse(text)?, out),
            },
            "trade" => self.single(&parse(text)?, out),
            "markPriceUpdate" => self.mark(&parse(text)?, out),
            "kline" => match stream::kline(text) {
                Some(kline) => self.kline(&kline, out),
                None => self.kline(&parse(text)?, out),
            },
            "forceOrder" => self.forced(&parse(text)?, out),
            "depthUpdate" => self.depth(&parse(text)?, out),
            _ => parse(text).map(|_: Head<'_>| unused(kind)),
        }
    }

    /// Notes what every event tells, and finds its contract if we take it.
    fn heard(
        &mut self,
        st: Option<u8>,
        sent: i64,
        symbol: &str,
        out: &mut Sink<'_>,
    ) -> Option<&mut Contract> {
        if st == COIN_MARGINED {
            return None;
        }
        self.told(sent, out);
        self.contract(symbol)
    }

    fn aggregate(&mut self, t: &AggTrade<'_>, out: &mut Sink<'_>) -> Read {
        const KIND: &str = "aggTrade";
        let Some(contract) = self.heard(t.st, t.sent, &t.s, out) else {
            return Ok(Class::Ignored(KIND));
        };
        if matches!(contract.prints, Some(Prints::Single(last)) if t.f <= last) {
            return Ok(Class::Ignored(KIND));
        }
        contract.prints = Some(Prints::Aggregate);
        let trade = print(&contract.series, t.p, t.q, t.m, t.a)?;
        contract.series.trade(out, t.a, t.time, trade);
        Ok(Class::Used(KIND))
    }

    fn single(&mut self, t: &SingleTrade<'_>, out: &mut Sink<'_>) -> Read {
        const KIND: &str = "trade";
        let Some(contract) = self.heard(t.st, t.sent, &t.s, out) else {
            return Ok(Class::Ignored(KIND));
        };
        let last = match contract.prints {
            Some(Prints::Aggregate) => return Ok(Class::Ignored(KIND)),
            Some(Prints::Single(last)) => last,
            None => 0,
        };
        let trade = print(&contract.series, t.p, t.q, t.m, t.t)?;
        contract.prints = Some(Prints::Single(last.max(t.t)));
        contract.series.trade(out, t.t, t.time, trade);
        Ok(Class::Used(KIND))
    }

    fn mark(&mut self, m: &MarkPrice<'_>, out: &mut Sink<'_>) -> Read {
        const KIND: &str = "markPriceUpdate";
        let Some(contract) = self.heard(m.st, m.sent, &m.s, out) else {
            return Ok(Class::Ignored(KIND));
        };
        let mark = mark(&contract.series, m.p, m.i.as_deref(), m.r.as_deref(), m.next_funding)?;
        contract.series.mark(out, m.sent, mark);
        Ok(Class::Used(KIND))
    }

    fn kline(&mut self, k: &Kline<'_>, out: &mut Sink<'_>) -> Read {
        const KIND: &str = "kline";
        let bar = &k.k;
        let Some(contract) = self.heard(k.st, k.sent, &k.s, out).filter(|_| bar.i == "1m") else {
            return Ok(Class::Ignored(KIND));
        };
        if bar.x {
            let prices = [bar.o, bar.h, bar.l, bar.c];
            let candle = minute(&contract.series.listing, prices, bar.v, Some(bar.taker_buy))?;
            contract.series.candle(out, bar.t, candle);
        }
        Ok(Class::Used(KIND))
    }

    fn forced(&mut self, f: &ForceOrder<'_>, out: &mut Sink<'_>) -> Read {
        const KIND: &str = "forceOrder";
        let o = &f.o;
        let Some(contract) = self.heard(f.st, f.sent, &o.s, out) else {
            return Ok(Class::Ignored(KIND));
        };
        if !matches!(o.status.as_ref(), "FILLED" | "PARTIALLY_FILLED") || !o.z.is_positive() {
            return Ok(Class::Ignored(KIND));
        }
        let position = match o.side.as_ref() {
            "SELL" => Side::Long,
            "BUY" => Side::Short,
            _ => return Err("side is neither BUY nor SELL".into()),
        };
        let series = &mut contract.series;
        let price = positive(series.price(o.ap)?)?;
        let qty = series.qty(o.z)?;
        let (price_kind, sampled) = (PriceKind::Fill, Sampled::Largest);
        series.liquidation(out, o.time, Liquidation { position, price, qty, price_kind, sampled });
        Ok(Class::Used(KIND))
    }

    fn depth(&mut self, u: &DepthUpdate<'_>, out: &mut Sink<'_>) -> Read {
        const KIND: &str = "depthUpdate";
        let Some(contract) = self.heard(u.st, u.sent, &u.s, out) else {
            return Ok(Class::Ignored(KIND));
        };
        contract.depth.update(&mut contract.series, u, out)?;
        Ok(Class::Used(KIND))
    }

    fn rest(&mut self, path: &str, text: &str, out: &mut Sink<'_>) -> Read {
        let (call, query) = path.split_once('?').unwrap_or((path, ""));
        let symbol = query.split('&').find_map(|p| p.strip_prefix("symbol=")).and_then(percent_decode);
        match call {
            "/fapi/v1/exchangeInfo" => self.directory(text, out),
            "/fapi/v1/time" => {
                let time: ServerTime = parse(text)?;
                self.told(time.server_time, out);
                Ok(Class::Used("time"))
            }
            "/fapi/v1/klines" => self.klines(&symbol.ok_or("no symbol in the call")?, text, out),
            "/futures/data/openInterestHist" => {
                self.open_interest_history(&symbol.ok_or("no symbol in the call")?, text, out)
            }
            "/fapi/v1/openInterest" => {
                const KIND: &str = "openInterest";
                let row: OpenInterestNow<'_> = parse(text)?;
                self.told(row.time, out);
                let Some(contract) = self.contract(&row.symbol) else { return Ok(Class::Ignored(KIND)) };
                let qty = open_interest(&contract.series, row.open_interest)?;
                contract.series.open_interest(out, row.time, qty);
                Ok(Class::Used(KIND))
            }
            "/fapi/v1/premiumIndex" => {
                const KIND: &str = "premiumIndex";
                let row: PremiumIndex<'_> = object(text)?;
                self.told(row.time, out);
                let Some(contract) = self.contract(&row.symbol) else { return Ok(Class::Ignored(KIND)) };
                let (index, funding) = (row.index_price.as_deref(), row.last_funding_rate.as_deref());
                let mark = mark(&contract.series, row.mark_price, index, funding, row.next_funding_time)?;
                contract.series.mark(out, row.time, mark);
                Ok(Class::Used(KIND))
            }
            "/fapi/v1/depth" => {
                const KIND: &str = "depth";
                let snapshot: Snapshot = object(text)?;
                let symbol = symbol.ok_or("no symbol in the call")?;
                if let Some(sent) = snapshot.sent {
                    self.told(sent, out);
                }
                let Some(contract) = self.contract(&symbol) else { return Ok(Class::Ignored(KIND)) };
                contract.depth.snapshot(&mut contract.series, &snapshot, out)?;
                Ok(Class::Used(KIND))
            }
            // What was traded in a day is read where the list is read.
            "/fapi/v1/ticker/24hr" => Ok(Class::Ignored("ticker/24hr")),
            _ => Ok(Class::Unknown),
        }
    }

    fn directory(&mut self, text: &str, out: &mut Sink<'_>) -> Read {
        let directory = history::directory(text).map_err(|e| e.to_string())?;
        if let Some(now) = directory.now {
            self.told(now, out);
        }
        self.listings = directory.listings.into_iter().map(|l| (l.symbol.clone(), l)).collect();
        for contract in &mut self.contracts {
            if let Some(listing) = self.listings.get(&contract.series.listing.symbol) {
                contract.series.new_terms(listing.clone());
            }
        }
        Ok(Class::Used("exchangeInfo"))
    }

    fn klines(&mut self, symbol: &str, text: &str, out: &mut Sink<'_>) -> Read {
        const KIND: &str = "klines";
        let rows: Vec<KlineRow> = parse(text)?;
        let now = self.now;
        let Some(contract) = self.contract(symbol) else { return Ok(Class::Ignored(KIND)) };
        for row in rows {
            // The last row may be the running minute; the venue's own clock tells.
            if now == 0 || row.6 < now {
                let candle = row.candle(&contract.series.listing)?;
                contract.series.candle(out, row.0, candle);
            }
        }
        Ok(Class::Used(KIND))
    }

    fn open_interest_history(&mut self, symbol: &str, text: &str, out: &mut Sink<'_>) -> Read {
        const KIND: &str = "openInterestHist";
        let rows: Vec<OpenInterestRow> = parse(text)?;
        let Some(contract) = self.contract(symbol) else { return Ok(Class::Ignored(KIND)) };
        for row in rows {
            let qty = open_interest(&contract.series, row.sum_open_interest)?;
            contract.series.open_interest(out, row.timestamp, qty);
        }
        Ok(Class::Used(KIND))
    }
}

impl Wire for BinanceWire {
    fn copied(&self) -> Box<dyn Wire> {
        Box::new(self.clone())
    }

    fn socket(&mut self, _conn: &str, text: &str, out: &mut Sink<'_>) -> Class {
        self.frame(text, out).unwrap_or_else(Class::Malformed)
    }

    fn answer(&mut self, path: &str, text: &str, out: &mut Sink<'_>) -> Class {
        self.rest(path, text, out).unwrap_or_else(Class::Malformed)
    }

    fn lost(&mut self, conn: &str) {
        for contract in &mut self.contracts {
            match conn {
                "market" => contract.series.lost(),
                "public" => contract.depth.lost(),
                _ => {}
            }
        }
    }

    fn complete_until(&self) -> Option<i64> {
        self.contracts.iter().filter_map(|c| c.series.complete_until()).min()
    }
}

/// `st` of inverse contracts, which share the all-market streams; their quantities are contracts, not coins (§3.2).
const COIN_MARGINED: Option<u8> = Some(2);

/// A kind we know and do not use, also one we use, for rows we leave out; or an unknown one.
fn unused(kind: &str) -> Class {
    const KINDS: [&str; 9] = [
        "aggTrade",
        "trade",
        "markPriceUpdate",
        "kline",
        "forceOrder",
        "depthUpdate",
        "bookTicker",
        "24hrTicker",
        "contractInfo",
    ];
    KINDS.into_iter().find(|k| *k == kind).map_or(Class::Unknown, Class::Ignored)
}

/// `data` in a frame of a combined stream that is written as Binance writes it (§3.1).
fn unwrapped(text: &str) -> Option<&str> {
    let (_, rest) = json::lead(text, r#"{"stream":""#)?;
    rest.strip_prefix(r#","data":"#)?.strip_suffix('}')
}

/// What is not an event.
fn answer(frame: &Envelope<'_>) -> Class {
    match frame {
        Envelope { last_update_id: Some(_), .. } => Class::Ignored("depth"),
        Envelope { code: Some(_), msg: Some(msg), .. } => {
            tracing::warn!("binance refuses a request: {}", crate::feed::status::clean(msg, 200));
            Class::Ignored("error")
        }
        Envelope { id: Some(_), .. } => Class::Ignored("ack"),
        _ => Class::Unknown,
    }
}

/// Open interest in coins; a new contract has none.
fn open_interest(series: &Series, quoted: Qty) -> Result<Qty, &'static str> {
    if quoted < Qty::ZERO { Err("open interest below zero") } else { series.qty(quoted) }
}

fn print(
    series: &Series,
    price: Price,
    qty: Qty,
    buyer_is_maker: bool,
    number: u64,
) -> Result<Trade, &'static str> {
    Ok(Trade {
        price: positive(series.price(price)?)?,
        qty: positive(series.qty(qty)?)?,
        taker: if buyer_is_maker { TakerSide::Sell } else { TakerSide::Buy },
        id: Some(numbered(number)),
        parties: None,
    })
}

fn mark(
    series: &Series,
    price: Price,
    index: Option<&str>,
    funding: Option<&str>,
    next_funding: Option<i64>,
) -> Result<Mark, &'static str> {
    fn number<T: FromStr>(text: Option<&str>) -> Result<Option<T>, &'static str> {
        text.filter(|t| !t.is_empty()).map(|t| t.parse().map_err(|_| "not a number")).transpose()
    }
    Ok(Mark {
        price: positive(series.price(price)?)?,
        // Zero is no price; it says that there is none.
        index: number(index)?
            .filter(|p| *p != Price::ZERO)
            .map(|p| positive(series.price(p)?))
            .transpose()?,
        funding: number(funding)?,
        funding_hours: None,
        next_funding: next_funding.filter(|&t| t > 0),
    })
}

#[cfg(test)]
mod tests;
