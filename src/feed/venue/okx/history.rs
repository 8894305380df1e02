//! OKX's lists and history over REST (`exchanges.md` §5.3): what is asked, and the payloads that are not also pushed.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::feed::instruments::{Listing, asset_of, percent_encode};
use crate::feed::venue::Request;
use crate::feed::venue::read::minute;
use crate::market::{Candle, Instrument, Interval, Price, Qty};

use super::margin;
use super::stream::{CandleRow, Message, Ms};

/// What calls cost of the pool: the venue limits each path by itself (§5.3), and a path that may be called half as often
/// costs twice as much. With 20 in two seconds, any one path stays within half of its own limit, so that two windows that
/// follow each other closely do not break it.
pub mod cost {
    /// 40 in two seconds.
    pub const OFTEN: u32 = 1;
    /// 20 in two seconds.
    pub const USUAL: u32 = 2;
    /// 10 in two seconds.
    pub const SELDOM: u32 = 4;
    /// The whole pool of two seconds.
    pub const POOL: u32 = 20;
}

/// The list of contracts. `/api/v5/public/instruments?instType=SWAP` (§5.3).
pub const INSTRUMENTS: &str = "/api/v5/public/instruments";

/// Last prices and volumes of all contracts, 20 calls in two seconds: OKX v5 documentation, "GET / Tickers" of the market data
/// section; the row is that of the `tickers` channel (§5.2).
pub const TICKERS: &str = "/api/v5/market/tickers";

/// The venue's clock, 10 calls in two seconds: OKX v5 documentation, "Get system time" of the public data section.
pub const TIME: &str = "/api/v5/public/time";

/// One contract of the list: `{"alias":"","auctionEndTime":"","baseCcy":"","category":"1","contTdSwTime":"","ctMult":"1","ctType":"linear","ctVal":"0.1","ctValCcy":"ETH","expTime":"","futureSettlement":false,"instFamily":"ETH-USDT","instId":"ETH-USDT-SWAP","instIdCode":10461,"instType":"SWAP","lever":"100","listTime":"1573557408000","lotSz":"0.01","maxIcebergSz":"100000000.0000000000000000","maxLmtAmt":"20000000","maxLmtSz":"100000000","maxMktAmt":"","maxMktSz":"20000","minSz":"0.01","openType":"","optType":"","quoteCcy":"","ruleType":"normal","settleCcy":"USDT","state":"live","stk":"","tickSz":"0.01","tradeQuoteCcyList":[],"uly":"ETH-USDT"}`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Contract<'a> {
    #[serde(borrow)]
    inst_id: Cow<'a, str>,
    #[serde(borrow)]
    inst_type: Cow<'a, str>,
    #[serde(borrow)]
    ct_type: Cow<'a, str>,
    #[serde(borrow)]
    ct_val: Cow<'a, str>,
    #[serde(borrow)]
    ct_mult: Cow<'a, str>,
    #[serde(borrow)]
    settle_ccy: Cow<'a, str>,
    #[serde(borrow)]
    state: Cow<'a, str>,
    #[serde(borrow)]
    tick_sz: Cow<'a, str>,
    #[serde(borrow)]
    lot_sz: Cow<'a, str>,
    #[serde(borrow)]
    lever: Cow<'a, str>,
}

/// Contracts that can be followed, and how many rows could not be read.
#[derive(Debug, Default)]
pub struct Listed {
    /// One an asset; the USDT contract where there is also one in USDC.
    pub listings: Vec<Listing>,
    /// Rows that make no sense. One odd contract must not hide the rest.
    pub odd: usize,
}

/// Reads the list: live linear contracts that settle in USDT or USDC (§5.2).
pub fn listings(text: &str) -> Result<Listed, serde_json::Error> {
    let message: Message<'_, &RawValue> = serde_json::from_str(text)?;
    let mut listed = Listed::default();
    for row in message.data {
        match serde_json::from_str::<Contract<'_>>(row.get()).ok().map(|c| c.listing()) {
            Some(Ok(listing)) => listed.listings.extend(listing),
            Some(Err(_)) | None => listed.odd += 1,
        }
    }
    listed.listings.sort_by_key(|l| !l.symbol.ends_with("-USDT-SWAP"));
    let mut seen = HashSet::new();
    listed.listings.retain(|l| seen.insert(l.asset));
    Ok(listed)
}

impl Contract<'_> {
    /// `Ok(None)` for what is not ours by choice.
    fn listing(&self) -> Result<Option<Listing>, &'static str> {
        let ours = self.inst_type == "SWAP"
            && self.ct_type == "linear"
            && self.state == "live"
            && matches!(self.settle_ccy.as_ref(), "USDT" | "USDC");
        if !ours {
            return Ok(None);
        }
        let base = self.inst_id.strip_suffix("-SWAP").and_then(|f| f.strip_suffix(self.settle_ccy.as_ref()));
        let base = base.and_then(|b| b.strip_suffix('-')).ok_or("a symbol of another form")?;
        let (asset, multiplier) = asset_of(base).ok_or("no asset's name")?;
        let number =
            |text: &str| text.parse().ok().filter(|n: &Qty| n.is_positive()).ok_or("not a positive number");
        let tick: Price = self.tick_sz.parse().map_err(|_| "not a number")?;
        // "PEPE-USDT-SWAP" is one coin; how many a contract holds is told by its value (§1.6).
        let contract = number(&self.ct_val)?.checked_mul(number(&self.ct_mult)?).filter(|c| c.is_positive());
        let instrument = Instrument {
            symbol: self.inst_id.as_ref().into(),
            tick: tick.checked_div(multiplier).filter(|t| t.is_positive()).ok_or("not a positive number")?,
            lot: number(&self.lot_sz)?,
            contract: contract.ok_or("number does not fit")?,
            multiplier,
            linear: true,
            tiers: self.lever.parse().map(margin::assumed).unwrap_or_default(),
        };
        let symbol = instrument.symbol.clone();
        Ok(Some(Listing { asset, instrument: Some(instrument), symbol, multiplier, day_usd: None }))
    }
}

/// What a contract is when the venue's list is not at hand, such as in a part of a capture, and coins per contract: only the two
/// whose size is documented (§5.2).
pub fn guess(symbol: &str) -> Option<(Listing, Qty)> {
    let (base, hundredths) = match symbol {
        "BTC-USDT-SWAP" => ("BTC", 1),
        "ETH-USDT-SWAP" => ("ETH", 10),
        _ => return None,
    };
    let (asset, multiplier) = asset_of(base)?;
    let contract = Qty::from_raw(hundredths * 10_i128.pow(Qty::DIGITS - 2));
    Some((Listing { asset, instrument: None, symbol: symbol.into(), multiplier, day_usd: None }, contract))
}

/// One row of [`TICKERS`].
///
/// `{"instType":"SWAP","instId":"LTC-USD-SWAP","last":"9999.99","lastSz":"1","askPx":"9999.99","askSz":"11","bidPx":"8888.88","bidSz":"5","open24h":"9000","high24h":"10000","low24h":"8888.88","volCcy24h":"2222","vol24h":"2222","sodUtc0":"0.1","sodUtc8":"0.1","ts":"1597026383085"}`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TickerRow<'a> {
    #[serde(borrow)]
    inst_id: Cow<'a, str>,
    last: Price,
    /// Base coin, for contracts (§5.2).
    vol_ccy24h: Qty,
    ts: Ms,
}

/// What the tickers tell.
#[derive(Debug, Default)]
pub struct Tickers {
    /// Last price as quoted, and 24 h volume in USD, by symbol. A contract that has no last price yet is left out.
    pub rows: HashMap<Box<str>, (Price, u64)>,
    /// The newest time of them, UTC ms.
    pub now: Option<i64>,
}

/// Reads the tickers of all contracts.
pub fn tickers(text: &str) -> Result<Tickers, serde_json::Error> {
    let message: Message<'_, &RawValue> = serde_json::from_str(text)?;
    let mut tickers = Tickers::default();
    for row in message.data {
        let Ok(row) = serde_json::from_str::<TickerRow<'_>>(row.get()) else { continue };
        tickers.now = tickers.now.max(Some(row.ts.0));
        // A float that does not fit becomes the nearest whole number that does.
        let usd = (row.vol_ccy24h.to_f64() * row.last.to_f64()).max(0.0) as u64;
        if row.last.is_positive() {
            tickers.rows.insert(row.inst_id.into(), (row.last, usd));
        }
    }
    Ok(tickers)
}

/// `/api/v5/public/time`: `{"code":"0","msg":"","data":[{"ts":"1597026383085"}]}`
pub fn time(text: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Row {
        ts: Ms,
    }
    let message: Message<'_, Row> = serde_json::from_str(text).ok()?;
    message.data.first().map(|row| row.ts.0)
}

/// One row of `/api/v5/rubik/stat/contracts/open-interest-history`: start of the period, contracts, base coin, USD.
///
/// `["1743041250440","2216113.01000000309","22161.1301000000309","1939251795.54769270396321"]`
#[derive(Debug, Deserialize)]
pub struct OpenInterestBar(pub Ms, serde::de::IgnoredAny, pub Qty, serde::de::IgnoredAny);

impl CandleRow<'_> {
    /// Whether the bar is finished.
    pub fn is_final(&self) -> bool {
        self.8 == "1"
    }

    /// The bar, per coin. OKX does not tell which part of the volume takers bought.
    pub fn candle(&self, listing: &Listing) -> Result<Candle, &'static str> {
        minute(listing, [self.1, self.2, self.3, self.4], self.6, None)
    }
}

/// Most rows of a call for candles; the newest 1,440 come from a path that may be called more often.
const CANDLES: i64 = 300;
/// So many minutes back `candles` goes; a little less than it says, as time passes between the calls.
const RECENT: i64 = 1_400 * Interval::M1.ms();

/// Most rows of a call for past open interest, and how many five-minute periods back it goes.
const OPEN_INTEREST: i64 = 100;
const OPEN_INTEREST_PERIODS: i64 = 1_440;

/// The calls that tell the minutes from `from` up to the last finished one before `now` (UTC ms), and the open interest
/// beside them, oldest first. The venue gives the rows of a call newest first, and fills minutes without a trade: the rows before the
/// end of a window, as many as it has minutes, are the window.
pub fn requests(symbol: &str, from: i64, now: i64) -> Vec<Request> {
    let symbol = percent_encode(symbol);
    let minute = Interval::M1;
    let mut calls = Vec::new();
    let end = minute.floor(now);
    let recent = minute.floor(now - RECENT);
    let mut start = minute.floor(from);
    while start < end {
        let (path, cost, edge) = if start < recent {
            ("history-candles", cost::USUAL, recent)
        } else {
            ("candles", cost::OFTEN, end)
        };
        let stop = (start + CANDLES * minute.ms()).min(edge);
        let rows = (stop - start) / minute.ms();
        // `after`: rows older than that.
        let path = format!("/api/v5/market/{path}?instId={symbol}&bar=1m&after={stop}&limit={rows}");
        calls.push(Request::get(path, cost));
        start = stop;
    }
    let five = Interval::M5;
    let mut start = five.floor(from.max(now - OPEN_INTEREST_PERIODS * five.ms()));
    while start < now {
        let stop = start + OPEN_INTEREST * five.ms();
        // `begin` and `end`: rows newer and older than that, neither included (OKX v5 documentation, "Get contract open
        // interest history").
        let path = format!(
            "/api/v5/rubik/stat/contracts/open-interest-history?instId={symbol}&period=5m&begin={}&end={stop}&limit={OPEN_INTEREST}",
            start - 1
        );
        calls.push(Request::get(path, cost::SELDOM));
        start = stop;
    }
    calls
}

/// The calls that tell mark price and funding now; by socket the funding may take a minute and a half (§5.2). Funding comes
/// first: it is told with the mark price.
pub fn mark(symbol: &str) -> [Request; 2] {
    let symbol = percent_encode(symbol);
    [
        Request::get(format!("/api/v5/public/funding-rate?instId={symbol}"), cost::SELDOM),
        Request::get(format!("/api/v5/public/mark-price?instType=SWAP&instId={symbol}"), cost::SELDOM),
    ]
}

/// The call for the margin tiers of a contract; they are those of its family, `BTC-USDT` (§5.3).
pub fn tiers(symbol: &str) -> Option<Request> {
    let family = percent_encode(symbol.strip_suffix("-SWAP")?);
    let path = format!("/api/v5/public/position-tiers?instType=SWAP&tdMode=isolated&instFamily={family}");
    Some(Request::get(path, cost::SELDOM))
}

#[cfg(test)]
mod tests;
