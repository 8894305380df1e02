//! Hyperliquid's frames and answers as events (`exchanges.md` §6.2, §6.4).
//!
//! Contexts, which carry mark price, funding and open interest, tell no time. They are dated by the newest time the venue told in
//! books and prints, plus what has passed since by the times of receipt; those are in a capture, so a replay gives the same.
//!
//! Fills that carry `liquidation{}` come only to who asks for an account by name, ten at most (§6.1, §6.3). They would be a sample of
//! accounts somebody picked, neither complete nor the largest, and the channel `user` does not say whose fills it brings: they are
//! classified and left out. The venue has no liquidation events.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::feed::book::{BookLimits, LocalBook, Rows};
use crate::feed::instruments::Listing;
use crate::feed::series::{Series, Sink};
use crate::feed::status::clean;
use crate::feed::translate::{Class, Wire};
use crate::feed::venue::read::{Fault, numbered, parse, positive, time};
use crate::market::event::{Account, Mark, Parties};
use crate::market::{Asset, Candle, Interval, Price, Qty, TakerSide, Trade, Venue};

use super::history::{self, Ask};
use super::stream::{
    self, ActiveAssetCtx, AssetCtx, CandleRow, Frame, Head, L2Book, Level, Subscribed, TradeRow,
};

/// The most time that is added to what the venue told, ms: a book comes every half second, and a leap of the local clock must not
/// date a mark price far ahead.
const MOST_SINCE: i64 = 30_000;

/// A coin and what only Hyperliquid needs to know about it.
#[derive(Clone)]
struct Contract {
    series: Series,
    book: LocalBook,
    /// Time of the newest deep book, UTC ms.
    depth_at: Option<i64>,
    /// Time of the newest fast book, UTC ms.
    touch_at: Option<i64>,
    /// The bar that runs, with its start, UTC ms: it is final when the next one begins (§6.2).
    running: Option<(i64, Candle)>,
    /// The next `trades` frame is the history that answers the subscription (§6.2).
    history_due: bool,
    /// Open interest has been seen.
    measured: bool,
    /// Start of the first bar of history, UTC ms, while no open interest has been seen.
    first_bar: Option<i64>,
}

/// Hyperliquid's frames to events.
#[derive(Clone)]
pub struct HyperliquidWire {
    venue: Venue,
    /// Only this asset, or whatever comes.
    asset: Option<Asset>,
    limits: BookLimits,
    listings: HashMap<Box<str>, Listing>,
    contracts: Vec<Contract>,
    /// Where a coin stands among the contracts; `None` for those we do not take.
    places: HashMap<Box<str>, Option<usize>>,
    /// The place asked for last: most frames are of the same coin as the one before.
    recent: usize,
    /// The newest time the venue told, UTC ms, and when we received it, UTC ns.
    told: Option<(i64, i64)>,
}

type Read = Result<Class, Fault>;

impl HyperliquidWire {
    /// For one asset, or for whatever comes; books are kept to the limits.
    pub fn new(venue: Venue, asset: Option<Asset>, limits: BookLimits) -> Self {
        let (listings, places) = (HashMap::new(), HashMap::new());
        Self { venue, asset, limits, listings, contracts: Vec::new(), places, recent: 0, told: None }
    }

    /// The contract of a coin, if we take it.
    fn contract(&mut self, coin: &str) -> Option<&mut Contract> {
        if self.contracts.get(self.recent).is_none_or(|c| *c.series.listing.symbol != *coin) {
            self.recent = match self.places.get(coin) {
                Some(place) => *place,
                None => self.meet(coin),
            }?;
        }
        self.contracts.get_mut(self.recent)
    }

    /// The place of a coin met for the first time, if we take it: the right asset, and no other coin already stands for that asset.
    fn meet(&mut self, coin: &str) -> Option<usize> {
        // A hostile sender must not fill the memory with names: Hyperliquid lists some hundred.
        if self.places.len() >= 5_000 {
            return None;
        }
        let listing = self.listings.get(coin).cloned().or_else(|| history::guess(coin));
        let place = listing
            .filter(|l| self.asset.is_none_or(|a| a == l.asset))
            .filter(|l| self.contracts.iter().all(|c| c.series.asset() != l.asset))
            .map(|listing| {
                self.contracts.push(Contract::new(Series::new(self.venue, listing)));
                self.contracts.len() - 1
            });
        self.places.insert(coin.into(), place);
        place
    }

    fn tell(&mut self, ms: i64, out: &mut Sink<'_>) {
        out.sent = Some(ms);
        if self.told.is_none_or(|(told, _)| ms > told) {
            self.told = Some((ms, out.recv));
        }
    }

    /// The venue's time at the receipt of what carries none, UTC ms; `None` while it has told none.
    fn now(&self, recv: i64) -> Option<i64> {
        let (told, at) = self.told?;
        Some(told + (recv.saturating_sub(at) / 1_000_000).clamp(0, MOST_SINCE))
    }

    fn frame(&mut self, text: &str, out: &mut Sink<'_>) -> Read {
        let channel = match stream::channel(text) {
            Some(channel) => Cow::Borrowed(channel),
            // A struct would also be read from an array.
            None if text.trim_ascii_start().starts_with('{') => parse::<Head<'_>>(text)?.channel,
            None if text == stream::GREETING => return Ok(Class::Ignored("greeting")),
            None => return Err("not an object".into()),
        };
        match channel.as_ref() {
            "trades" => self.trades(text, out),
            "l2Book" => self.book(&parse::<Frame<L2Book<'_>>>(text)?.data, out),
            "activeAssetCtx" => self.context(&parse::<Frame<ActiveAssetCtx<'_>>>(text)?.data, out),
            "candle" => self.candle(&parse::<Frame<CandleRow<'_>>>(text)?.data, out),
            "subscriptionResponse" => Ok(self.subscribed(&parse::<Frame<Subscribed<'_>>>(text)?.data)),
            "error" => {
                // The refused request stands in it as text, without a number (§6.1).
                let why: Frame<Cow<'_, str>> = parse(text)?;
                tracing::warn!("hyperliquid refuses a request: {}", clean(&why.data, 200));
                Ok(Class::Ignored("error"))
            }
            other => Ok(known(&UNUSED_CHANNELS, other)),
        }
    }

    fn trades(&mut self, text: &str, out: &mut Sink<'_>) -> Read {
        const KIND: &str = "trades";
        let whole = || parse::<Frame<Vec<TradeRow<'_>>>>(text).ok().map(|frame| frame.data);
        let (rows, mut odd) = match stream::trades(text).or_else(whole) {
            Some(rows) => (rows, None),
            None => rows(parse::<Frame<&RawValue>>(text)?.data.get())?,
        };
        let Some(coin) = rows.first().map(|row| row.coin.as_ref()) else {
            return odd.map_or(Ok(Class::Used(KIND)), Err);
        };
        let Some(contract) = self.contract(coin) else { return Ok(Class::Ignored(KIND)) };
        if std::mem::take(&mut contract.history_due) {
            out.counters.history += rows.len() as u64;
            return odd.map_or(Ok(Class::Ignored("trades (history)")), Err);
        }
        let mut newest = None;
        for row in &rows {
            match print(contract, coin, row) {
                Ok(trade) => {
                    newest = newest.max(Some(row.time));
                    // A time is positive, so this keeps all its bits.
                    let key = (u128::from(row.time.unsigned_abs()) << 64) | u128::from(row.tid);
                    contract.series.keyed_trade(out, key, row.time, trade);
                }
                Err(why) => odd = Some(why.into()),
            }
        }
        if let Some(ms) = newest {
            self.tell(ms, out);
        }
        odd.map_or(Ok(Class::Used(KIND)), Err)
    }

    /// Always a full snapshot (§6.2): there is nothing to resume, and nothing to ask for after a loss.
    fn book(&mut self, b: &L2Book<'_>, out: &mut Sink<'_>) -> Read {
        const KIND: &str = "l2Book";
        let limits = self.limits;
        let ts = time(b.time)?;
        self.tell(ts, out);
        let Some(contract) = self.contract(&b.coin) else { return Ok(Class::Ignored(KIND)) };
        let listing = &contract.series.listing;
        let (bids, asks) = (levels(listing, &b.levels.0)?, levels(listing, &b.levels.1)?);
        let newest = if b.fast { &mut contract.touch_at } else { &mut contract.depth_at };
        if newest.is_some_and(|newest| ts <= newest) {
            out.counters.duplicates += 1;
            return Ok(Class::Used(KIND));
        }
        *newest = Some(ts);
        // The touch alone is told only where there is nothing deeper: two books that alternate would be neither.
        if b.fast && contract.depth_at.is_some() {
            return Ok(Class::Used(KIND));
        }
        contract.book.replace(&bids, &asks);
        if contract.book.book().is_crossed() {
            contract.book.lose();
            return Err("bids and asks cross".into());
        }
        contract.book.tell(limits, &mut contract.series, out, ts);
        Ok(Class::Used(KIND))
    }

    fn context(&mut self, c: &ActiveAssetCtx<'_>, out: &mut Sink<'_>) -> Read {
        const KIND: &str = "activeAssetCtx";
        let now = self.now(out.recv);
        let Some(contract) = self.contract(&c.coin) else { return Ok(Class::Ignored(KIND)) };
        // Until the venue tells its time a context cannot be dated; books tell it twice a second.
        let Some(now) = now else { return Ok(Class::Ignored(KIND)) };
        contract.reading(&c.ctx, now, out)?;
        Ok(Class::Used(KIND))
    }

    fn candle(&mut self, row: &CandleRow<'_>, out: &mut Sink<'_>) -> Read {
        const KIND: &str = "candle";
        let Some(contract) = self.contract(&row.s).filter(|_| row.i == "1m") else {
            return Ok(Class::Ignored(KIND));
        };
        let start = time(row.t)?;
        let candle = row.candle(&contract.series.listing)?;
        match contract.running {
            Some((running, _)) if start < running => {
                out.counters.duplicates += 1;
                return Ok(Class::Used(KIND));
            }
            Some((running, last)) if start > running => contract.series.candle(out, running, last),
            _ => {}
        }
        contract.running = Some((start, candle));
        Ok(Class::Used(KIND))
    }

    /// What follows a new subscription to trades is history.
    fn subscribed(&mut self, s: &Subscribed<'_>) -> Class {
        if let Some(coin) = &s.subscription.coin
            && s.method == "subscribe"
            && s.subscription.kind == "trades"
            && let Some(contract) = self.contract(coin)
        {
            contract.history_due = true;
        }
        Class::Ignored("ack")
    }

    fn rest(&mut self, call: &str, text: &str, out: &mut Sink<'_>) -> Read {
        let Some((history::PATH, body)) = call.split_once(' ') else { return Ok(Class::Unknown) };
        let ask: Ask<'_> = parse(body)?;
        match ask.kind.as_ref() {
            // Another exchange on the same chain (§6.4).
            "meta" | "metaAndAssetCtxs" if ask.dex.as_ref().is_some_and(|dex| !dex.is_empty()) => {
                Ok(Class::Ignored("other dex"))
            }
            "meta" => self.universe("meta", text, out),
            "metaAndAssetCtxs" => self.universe("metaAndAssetCtxs", text, out),
            "l2Book" => {
                // Asked as a clock; books come over the socket.
                let book: L2Book<'_> = parse(text)?;
                self.tell(time(book.time)?, out);
                Ok(Class::Used("l2Book"))
            }
            "candleSnapshot" => {
                let req = ask.req.ok_or("no coin in the call")?;
                self.candles(&req.coin, &req.interval, text, out)
            }
            other => Ok(known(&UNUSED_CALLS, other)),
        }
    }

    fn universe(&mut self, kind: &'static str, text: &str, out: &mut Sink<'_>) -> Read {
        let listed = history::universe(text)?;
        self.listings = listed.iter().map(|(l, _)| (l.symbol.clone(), l.clone())).collect();
        // The list may be that of an earlier run: its readings count only once the venue has told its time.
        let now = self.now(out.recv);
        let mut odd: Option<Fault> = None;
        for (listing, context) in listed {
            let symbol = listing.symbol.clone();
            if self.asset.is_some_and(|a| a != listing.asset) {
                continue;
            }
            let Some(contract) = self.contract(&symbol) else { continue };
            contract.series.new_terms(listing);
            if let Some((now, context)) = now.zip(context)
                && let Err(why) =
                    contract.hold(&context, now, out).and_then(|()| contract.reading(&context, now, out))
            {
                odd = Some(why.into());
            }
        }
        odd.map_or(Ok(Class::Used(kind)), Err)
    }

    fn candles(&mut self, coin: &str, interval: &str, text: &str, out: &mut Sink<'_>) -> Read {
        const KIND: &str = "candleSnapshot";
        let now = self.told.map_or(i64::MAX, |(told, _)| told);
        let Some(contract) = self.contract(coin).filter(|_| interval == "1m") else {
            return Ok(Class::Ignored(KIND));
        };
        let (mut rows, mut odd) = rows::<CandleRow<'_>>(text)?;
        rows.sort_by_key(|row| row.t);
        for row in &rows {
            match time(row.t).and_then(|start| Ok((start, row.candle(&contract.series.listing)?))) {
                // The last row may be the running minute; the venue's own clock tells.
                Ok((start, candle)) if start + Interval::M1.ms() <= now => {
                    if !contract.measured {
                        contract.first_bar = contract.first_bar.or(Some(start));
                    }
                    contract.series.candle(out, start, candle);
                }
                Ok(_) => {}
                Err(why) => odd = Some(why.into()),
            }
        }
        odd.map_or(Ok(Class::Used(KIND)), Err)
    }
}

impl Contract {
    fn new(series: Series) -> Self {
        Self {
            series,
            book: LocalBook::default(),
            depth_at: None,
            touch_at: None,
            running: None,
            history_due: true,
            measured: false,
            first_bar: None,
        }
    }

    /// Open interest has no history. The first reading that comes with the bars of the past stands for all of them:
    /// it is told at their start, and that it is held constant is told as a gap (`design.md` §9).
    fn hold(&mut self, context: &AssetCtx<'_>, now: i64, out: &mut Sink<'_>) -> Result<(), &'static str> {
        let held = self.first_bar.filter(|&first| !self.measured && first < now);
        if let Some((first, qty)) = held.zip(context.open_interest) {
            let qty = open_interest(&self.series, qty)?;
            self.series.open_interest(out, first, qty);
            self.series.gap(out, "open_interest", first, now);
        }
        Ok(())
    }

    /// How the coin stands at `now`, UTC ms. A coin that does not trade may lack any of it.
    fn reading(&mut self, context: &AssetCtx<'_>, now: i64, out: &mut Sink<'_>) -> Result<(), &'static str> {
        let series = &mut self.series;
        let index =
            context.oracle_px.filter(|p| p.is_positive()).map(|p| price(&series.listing, p)).transpose()?;
        let mark = context.mark_px.map(|p| price(&series.listing, p)).transpose()?;
        let qty = context.open_interest.map(|qty| open_interest(series, qty)).transpose()?;
        if let Some(price) = mark {
            // Funding is by the hour (§6.2).
            let (funding, funding_hours) = (context.funding, context.funding.map(|_| 1));
            series.mark(out, now, Mark { price, index, funding, funding_hours, next_funding: None });
        }
        if let Some(qty) = qty {
            series.open_interest(out, now, qty);
            self.measured = true;
            self.first_bar = None;
        }
        Ok(())
    }

    fn lost(&mut self) {
        self.series.lost();
        self.book.lose();
        (self.depth_at, self.touch_at) = (None, None);
        // A bar that was interrupted is told by history.
        self.running = None;
        self.history_due = true;
    }
}

impl Wire for HyperliquidWire {
    fn copied(&self) -> Box<dyn Wire> {
        Box::new(self.clone())
    }

    fn socket(&mut self, _conn: &str, text: &str, out: &mut Sink<'_>) -> Class {
        self.frame(text, out).unwrap_or_else(Class::Malformed)
    }

    fn answer(&mut self, call: &str, text: &str, out: &mut Sink<'_>) -> Class {
        self.rest(call, text, out).unwrap_or_else(Class::Malformed)
    }

    /// There is but one connection, and it carries everything.
    fn lost(&mut self, _conn: &str) {
        self.contracts.iter_mut().for_each(Contract::lost);
    }

    fn complete_until(&self) -> Option<i64> {
        self.contracts.iter().filter_map(|c| c.series.complete_until()).min()
    }
}

/// Channels we know and do not use (§6.1, §6.2): other ways to what we have, and what belongs to accounts.
const UNUSED_CHANNELS: [&str; 18] = [
    "pong",
    "bbo",
    "allMids",
    "assetCtxs",
    "allDexsAssetCtxs",
    "fastAssetCtxs",
    "activeSpotAssetCtx",
    "user",
    "userFills",
    "userEvents",
    "userFundings",
    "userNonFundingLedgerUpdates",
    "clearinghouseState",
    "allDexsClearinghouseState",
    "openOrders",
    "orderUpdates",
    "webData2",
    "webData3",
];

/// Calls we know and do not use (§6.4): other ways to what we have, and what belongs to accounts. `fundingHistory` has rates
/// without a mark price, which no event can carry.
const UNUSED_CALLS: [&str; 27] = [
    "fundingHistory",
    "recentTrades",
    "allMids",
    "predictedFundings",
    "perpDexs",
    "allPerpMetas",
    "marginTable",
    "perpsAtOpenInterestCap",
    "spotMeta",
    "exchangeStatus",
    "clearinghouseState",
    "spotClearinghouseState",
    "openOrders",
    "frontendOpenOrders",
    "historicalOrders",
    "orderStatus",
    "userFills",
    "userFillsByTime",
    "userFunding",
    "userNonFundingLedgerUpdates",
    "userRateLimit",
    "userRole",
    "userTwapSliceFills",
    "userVaultEquities",
    "portfolio",
    "delegatorHistory",
    "extraAgents",
];

fn known(names: &[&'static str], name: &str) -> Class {
    names.iter().find(|n| **n == name).map_or(Class::Unknown, |n| Class::Ignored(n))
}

/// The rows of a list; where one cannot be read, the others and why.
type Listed<T> = (Vec<T>, Option<Fault>);

fn rows<'a, T: Deserialize<'a>>(list: &'a str) -> Result<Listed<T>, Fault> {
    if let Ok(rows) = parse(list) {
        return Ok((rows, None));
    }
    let mut odd = None;
    let raw: Vec<&'a RawValue> = parse(list)?;
    let read = raw.into_iter().filter_map(|row| parse(row.get()).map_err(|why| odd = Some(why)).ok());
    Ok((read.collect(), odd))
}

fn open_interest(series: &Series, qty: Qty) -> Result<Qty, &'static str> {
    if qty < Qty::ZERO { Err("negative open interest") } else { series.qty(qty) }
}

fn print(contract: &Contract, coin: &str, row: &TradeRow<'_>) -> Result<Trade, &'static str> {
    if row.coin != coin {
        return Err("trades of several coins in one frame");
    }
    time(row.time)?;
    Ok(Trade {
        price: price(&contract.series.listing, row.px)?,
        qty: qty(&contract.series.listing, row.sz)?,
        taker: match row.side.as_ref() {
            "B" => TakerSide::Buy,
            "A" => TakerSide::Sell,
            _ => return Err("side is neither A nor B"),
        },
        id: Some(numbered(row.tid)),
        parties: row.users.and_then(|(buyer, seller)| {
            Some(Parties { buyer: Account::from(buyer).ok()?, seller: Account::from(seller).ok()? })
        }),
    })
}

fn levels(listing: &Listing, levels: &[Level]) -> Result<Rows, &'static str> {
    levels.iter().map(|level| Ok((price(listing, level.px)?, qty(listing, level.sz)?))).collect()
}

/// A price per coin. Tested after the division: the smallest price of a thousand coins is none of one.
fn price(listing: &Listing, quoted: Price) -> Result<Price, &'static str> {
    positive(listing.price(quoted).ok_or("price does not fit")?)
}

fn qty(listing: &Listing, quoted: Qty) -> Result<Qty, &'static str> {
    positive(listing.qty(quoted).ok_or("quantity does not fit")?)
}

#[cfg(test)]
mod tests;
