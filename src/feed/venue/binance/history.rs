//! Binance REST answers (`exchanges.md` §3.4). Each struct shows a real payload; the tests read it.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::feed::instruments::{Listing, asset_of};
use crate::feed::venue::read::minute;
use crate::feed::venue::{Directory, Request};
use crate::market::{Candle, Instrument, Interval, Price, Qty};

use super::margin;

/// `/fapi/v1/exchangeInfo`.
///
/// `{"timezone":"UTC","serverTime":1626858243909,"symbols":[{"symbol":"BTCUSDT","contractType":"PERPETUAL","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[{"filterType":"PRICE_FILTER","tickSize":"0.01"},{"filterType":"LOT_SIZE","stepSize":"0.001"}]}]}`
#[derive(Deserialize)]
struct ExchangeInfo<'a> {
    #[serde(rename = "serverTime")]
    server_time: i64,
    #[serde(borrow)]
    symbols: Vec<&'a RawValue>,
}

/// One symbol of [`ExchangeInfo`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Symbol<'a> {
    #[serde(borrow, rename = "symbol")]
    name: Cow<'a, str>,
    #[serde(borrow)]
    contract_type: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    base_asset: Cow<'a, str>,
    #[serde(borrow)]
    quote_asset: Cow<'a, str>,
    #[serde(borrow)]
    filters: Vec<Filter<'a>>,
}

/// One filter of a [`Symbol`]; other kinds carry other fields.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter<'a> {
    #[serde(borrow, rename = "filterType")]
    kind: Cow<'a, str>,
    tick_size: Option<Price>,
    step_size: Option<Qty>,
}

/// Reads `exchangeInfo`: trading perpetuals in USDT or USDC, of which USDT comes first for an asset that has both. A symbol that cannot be
/// read is left out: one odd listing must not hide the rest.
pub fn directory(text: &str) -> Result<Directory, serde_json::Error> {
    let info: ExchangeInfo<'_> = serde_json::from_str(text)?;
    let mut listings: Vec<Listing> = info.symbols.iter().filter_map(|raw| listing(raw.get())).collect();
    listings.sort_by_key(|l| !l.symbol.ends_with("USDT"));
    Ok(Directory { now: Some(info.server_time), listings })
}

fn listing(text: &str) -> Option<Listing> {
    let s: Symbol<'_> = serde_json::from_str(text).ok()?;
    let quoted = matches!(s.quote_asset.as_ref(), "USDT" | "USDC");
    if s.contract_type != "PERPETUAL" || s.status != "TRADING" || !quoted {
        return None;
    }
    let (asset, multiplier) = asset_of(&s.base_asset)?;
    let filter = |kind: &str| s.filters.iter().find(|f| f.kind == kind);
    let tick = filter("PRICE_FILTER")?.tick_size?.checked_div(multiplier).filter(|t| t.is_positive())?;
    let lot = filter("LOT_SIZE")?.step_size.filter(|l| l.is_positive())?;
    let instrument = Instrument {
        symbol: s.name.as_ref().into(),
        tick,
        lot,
        contract: Qty::from_raw(10_i128.pow(Qty::DIGITS)),
        multiplier,
        linear: true,
        tiers: margin::tiers(&s.name).to_vec(),
    };
    Some(Listing { asset, instrument: Some(instrument), symbol: s.name.into(), multiplier, day_usd: None })
}

/// One row of `/fapi/v1/ticker/24hr`, whose `quoteVolume` is in dollars for our symbols. The fields are those of the stream of the same
/// name (§3.2) written out, as public clients read them.
///
/// `{"symbol":"BTCUSDT","lastPrice":"4.00000200","volume":"8913.30000000","quoteVolume":"15.30000000"}`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DayRow<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    quote_volume: Qty,
}

/// Adds what was traded in a day; a list that cannot be read costs only that.
pub fn add_volumes(directory: &mut Directory, text: &str) {
    let Ok(rows) = serde_json::from_str::<Vec<DayRow<'_>>>(text) else { return };
    let volumes: HashMap<&str, Qty> = rows.iter().map(|r| (r.symbol.as_ref(), r.quote_volume)).collect();
    for listing in &mut directory.listings {
        // USD without cents; a negative volume is none.
        listing.day_usd = volumes.get(listing.symbol.as_ref()).map(|v| v.to_f64().max(0.0) as u64);
    }
}

/// One row of `/fapi/v1/klines`.
///
/// `[1499040000000,"0.01634790","0.80000000","0.01575800","0.01577100","148976.11427815",1499644799999,"2434.19055334",308,"1756.87402397","28.46694368","0"]`
/// = openTime, o, h, l, c, vol, closeTime, quoteVol, trades, takerBuyBase, takerBuyQuote, 0.
#[derive(Deserialize)]
pub struct KlineRow(
    pub i64,
    Price,
    Price,
    Price,
    Price,
    Qty,
    pub i64,
    serde::de::IgnoredAny,
    serde::de::IgnoredAny,
    Qty,
    serde::de::IgnoredAny,
    serde::de::IgnoredAny,
);

impl KlineRow {
    /// The finished bar, per coin.
    pub fn candle(&self, listing: &Listing) -> Result<Candle, &'static str> {
        minute(listing, [self.1, self.2, self.3, self.4], self.5, Some(self.9))
    }
}

/// One row of `/futures/data/openInterestHist`.
///
/// `{"symbol":"BTCUSDT","sumOpenInterest":"20403.12345678","sumOpenInterestValue":"176196512.12345678","CMCCirculatingSupply":"165880.538","timestamp":1591261042378}`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenInterestRow {
    pub sum_open_interest: Qty,
    pub timestamp: i64,
}

/// `/fapi/v1/openInterest`: `{"openInterest":"10659.509","symbol":"BTCUSDT","time":1589437530011}`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenInterestNow<'a> {
    pub open_interest: Qty,
    #[serde(borrow)]
    pub symbol: Cow<'a, str>,
    pub time: i64,
}

/// `/fapi/v1/premiumIndex`, as Binance documents it.
///
/// `{"symbol":"BTCUSDT","markPrice":"11793.63104562","indexPrice":"11781.80495970","estimatedSettlePrice":"11781.16138815","lastFundingRate":"0.00038246","nextFundingTime":1597392000000,"interestRate":"0.00010000","time":1597370495002}`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PremiumIndex<'a> {
    #[serde(borrow)]
    pub symbol: Cow<'a, str>,
    pub mark_price: Price,
    #[serde(borrow)]
    pub index_price: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub last_funding_rate: Option<Cow<'a, str>>,
    pub next_funding_time: Option<i64>,
    pub time: i64,
}

/// `/fapi/v1/time`: `{"serverTime":1499827319559}`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerTime {
    pub server_time: i64,
}

/// Most rows a `klines` call gives, and what such a call costs (§3.4).
const KLINES: (i64, u32) = (1_500, 10);

/// Most rows an `openInterestHist` call gives; it has a limit of its own, not the weight pool (§3.4).
const OPEN_INTEREST: i64 = 500;

/// How far back `openInterestHist` goes (§3.4).
const OPEN_INTEREST_SPAN: i64 = 30 * Interval::D1.ms();

/// The calls that tell the minutes from `from` up to the last finished one before `now`, and the open interest beside
/// them. Each call names its own window, no longer than the rows it may give.
pub fn requests(symbol: &str, from: i64, now: i64) -> Vec<Request> {
    let minute = Interval::M1;
    let mut calls = Vec::new();
    let end = minute.floor(now) - 1;
    let mut start = minute.floor(from);
    while start < end {
        let stop = (start + KLINES.0 * minute.ms() - 1).min(end);
        let path = format!(
            "/fapi/v1/klines?symbol={symbol}&interval=1m&startTime={start}&endTime={stop}&limit={}",
            KLINES.0
        );
        calls.push(Request::get(path, KLINES.1));
        start = stop + 1;
    }
    let mut start = Interval::M5.floor(from.max(now - OPEN_INTEREST_SPAN));
    while start < now {
        let stop = (start + OPEN_INTEREST * Interval::M5.ms() - 1).min(now);
        let path = format!(
            "/futures/data/openInterestHist?symbol={symbol}&period=5m&limit={OPEN_INTEREST}&startTime={start}&endTime={stop}"
        );
        calls.push(Request::get(path, 0));
        start = stop + 1;
    }
    calls
}
