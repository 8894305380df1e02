//! Bybit's REST answers and the calls that bring them (`exchanges.md` §4.3). Each struct shows a real payload; the tests read it.

use std::borrow::Cow;
use std::collections::HashMap;

use anyhow::{Context, anyhow};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::feed::instruments::{Listing, percent_encode};
use crate::feed::status::clean;
use crate::feed::venue::read::{Fault, minute, object};
use crate::feed::venue::{Answer, Directory, Reading, Request};
use crate::market::{Candle, Instrument, Interval, Price, Qty};

use super::margin;
use super::stream::Ticker;
use super::symbols::asset_of;

pub const INSTRUMENTS: &str = "/v5/market/instruments-info";
pub const TICKERS: &str = "/v5/market/tickers";
pub const TIME: &str = "/v5/market/time";
pub const KLINES: &str = "/v5/market/kline";
pub const MARK_KLINES: &str = "/v5/market/mark-price-kline";
pub const OPEN_INTEREST: &str = "/v5/market/open-interest";
pub const FUNDING: &str = "/v5/market/funding/history";
pub const RISK_LIMIT: &str = "/v5/market/risk-limit";

/// The envelope of every answer. HTTP says 200 on errors too; `retCode` tells.
///
/// `{"retCode":0,"retMsg":"OK","result":{"timeSecond":"1688639403","timeNano":"1688639403423213947"},"retExtInfo":{},"time":1688639403423}`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    time: Option<i64>,
}

/// The verdict in an [`Envelope`]: `{"retCode":10001,"retMsg":"params error: symbol invalid","result":{},"retExtInfo":{},"time":1672025956592}`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Code<'a> {
    ret_code: i64,
    #[serde(borrow)]
    ret_msg: Option<Cow<'a, str>>,
}

/// Why the venue refuses a call: its code and its words; `None` if it does not, or if the text is no answer of its.
pub fn refusal(text: &str) -> Option<(i64, String)> {
    // Nearly every answer begins so, and lists are long.
    if text.starts_with("{\"retCode\":0,") || !text.trim_ascii_start().starts_with('{') {
        return None;
    }
    let code: Code<'_> = serde_json::from_str(text).ok()?;
    (code.ret_code != 0).then(|| (code.ret_code, clean(code.ret_msg.as_deref().unwrap_or_default(), 120)))
}

/// A list in an answer.
///
/// `{"category":"linear","symbol":"BTCUSDT","list":[…],"nextPageCursor":""}`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    #[serde(borrow)]
    list: Vec<&'a RawValue>,
    #[serde(borrow)]
    next_page_cursor: Option<Cow<'a, str>>,
}

/// An answer taken apart.
#[derive(Debug)]
pub struct Page<'a> {
    /// When it was given, UTC ms.
    pub time: Option<i64>,
    /// Its rows, unread: one that cannot be read must not cost the others.
    pub rows: Vec<&'a RawValue>,
    /// Where the next page begins, if there is one.
    pub cursor: Option<String>,
}

/// Takes an answer apart.
pub fn page(text: &str) -> Result<Page<'_>, Fault> {
    let Envelope { result, time } = object(text)?;
    let List { list: rows, next_page_cursor } = object(result.ok_or("an answer without a result")?.get())?;
    let cursor = next_page_cursor.filter(|c| !c.is_empty()).map(Cow::into_owned);
    Ok(Page { time, rows, cursor })
}

/// The time at which an answer was given, UTC ms.
pub fn time(text: &str) -> Result<i64, Fault> {
    object::<Envelope<'_>>(text)?.time.ok_or_else(|| "an answer without a time".into())
}

/// One row of `/v5/market/instruments-info`.
///
/// `{"symbol":"BTCUSDT","contractType":"LinearPerpetual","status":"Trading","baseCoin":"BTC","quoteCoin":"USDT","launchTime":"1585526400000","deliveryTime":"0","leverageFilter":{"minLeverage":"1","maxLeverage":"100.00","leverageStep":"0.01"},"priceFilter":{"minPrice":"0.10","maxPrice":"1999999.80","tickSize":"0.10"},"lotSizeFilter":{"maxOrderQty":"1190.000","minOrderQty":"0.001","qtyStep":"0.001"},"fundingInterval":480,"settleCoin":"USDT"}`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    contract_type: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    base_coin: Cow<'a, str>,
    #[serde(borrow)]
    quote_coin: Cow<'a, str>,
    price_filter: PriceFilter,
    lot_size_filter: LotSizeFilter,
    leverage_filter: Option<LeverageFilter>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PriceFilter {
    tick_size: Price,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LotSizeFilter {
    qty_step: Qty,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeverageFilter {
    max_leverage: Qty,
}

/// The perpetuals in dollars on a page of `instruments-info`. A row that cannot be read is left out: one odd listing must not
/// hide the rest.
pub fn listings(page: &Page<'_>) -> Vec<Listing> {
    page.rows.iter().filter_map(|row| listing(row.get())).collect()
}

fn listing(text: &str) -> Option<Listing> {
    let s: Listed<'_> = serde_json::from_str(text).ok()?;
    let quoted = matches!(s.quote_coin.as_ref(), "USDT" | "USDC");
    if s.contract_type != "LinearPerpetual" || s.status != "Trading" || !quoted {
        return None;
    }
    let (asset, multiplier) = asset_of(&s.symbol, &s.base_coin)?;
    let tick = s.price_filter.tick_size.checked_div(multiplier).filter(|t| t.is_positive())?;
    let instrument = Instrument {
        symbol: s.symbol.as_ref().into(),
        tick,
        lot: s.lot_size_filter.qty_step,
        contract: Qty::from_raw(10_i128.pow(Qty::DIGITS)),
        multiplier,
        linear: true,
        tiers: margin::shipped(asset, s.leverage_filter.map(|f| f.max_leverage)),
    };
    Some(Listing { asset, instrument: Some(instrument), symbol: s.symbol.into(), multiplier, day_usd: None })
}

/// The calls that list instruments: their first page, and what was traded of each.
pub fn directory_calls() -> Vec<Request> {
    vec![instruments(None), Request::get(format!("{TICKERS}?category=linear"), 1)]
}

/// More than 500 symbols are listed, 1000 come on a page (§4.3).
fn instruments(cursor: Option<&str>) -> Request {
    let mut path = format!("{INSTRUMENTS}?category=linear&limit=1000");
    if let Some(cursor) = cursor {
        // It comes ready for a URL: `first%3DBIOUSDT%26last%3DBIOUSDT`.
        let ready = cursor.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~%".contains(&b));
        path.push_str("&cursor=");
        path.push_str(&if ready { Cow::Borrowed(cursor) } else { Cow::Owned(percent_encode(cursor)) });
    }
    Request::get(path, 1)
}

/// Reads the answers so far. USDT comes before USDC for an asset that has both.
pub fn directory(answers: &[Answer]) -> anyhow::Result<Reading> {
    let mut listings_seen = Vec::new();
    let mut volumes: HashMap<Box<str>, u64> = HashMap::new();
    let (mut now, mut next) = (None, None);
    for (call, text) in answers {
        let name = call.split('?').next().unwrap_or_default();
        if let Some((code, words)) = refusal(text) {
            return Err(anyhow!("{words} ({code})")).with_context(|| format!("{name} is refused"));
        }
        let page =
            page(text).map_err(|e| anyhow!("{e}")).with_context(|| format!("{name} cannot be read"))?;
        now = page.time.or(now);
        if name == INSTRUMENTS {
            listings_seen.extend(listings(&page));
            next = page.cursor.map(|cursor| instruments(Some(&cursor)));
        } else {
            volumes.extend(page.rows.iter().filter_map(|row| volume(row.get())));
        }
    }
    // A cursor that leads to a page that was asked for already ends the list.
    if let Some(next) = next.filter(|next| answers.iter().all(|(asked, _)| *asked != next.name())) {
        return Ok(Reading::More(vec![next]));
    }
    for listing in &mut listings_seen {
        listing.day_usd = volumes.get(&listing.symbol).copied();
    }
    listings_seen.sort_by_key(|l| !l.symbol.ends_with("USDT"));
    Ok(Reading::Done(Directory { now, listings: listings_seen }))
}

/// A symbol and what was traded of it in 24 h, USD.
fn volume(row: &str) -> Option<(Box<str>, u64)> {
    let ticker: Ticker<'_> = serde_json::from_str(row).ok()?;
    let turnover: Qty = ticker.turnover?.parse().ok()?;
    let dollars = u64::try_from(turnover.raw() / 10_i128.pow(Qty::DIGITS)).ok()?;
    Some((ticker.symbol.as_ref().into(), dollars))
}

/// One row of `/v5/market/kline`: start, open, high, low, close, volume in base coin, turnover.
///
/// `["1670608800000","17071","17073","17027","17055.5","268611","15.74462667"]`
#[derive(Debug, Deserialize)]
pub struct KlineRow<'a>(pub &'a str, Price, Price, Price, Price, Qty, serde::de::IgnoredAny);

impl KlineRow<'_> {
    /// The bar, per coin.
    pub fn candle(&self, listing: &Listing) -> Result<Candle, &'static str> {
        // Bybit does not say what takers bought (§4.2).
        minute(listing, [self.1, self.2, self.3, self.4], self.5, None)
    }
}

/// One row of `/v5/market/mark-price-kline`: start, open, high, low, close.
///
/// `["1670608800000","17164.16","17164.16","17121.5","17131.64"]`
#[derive(Debug, Deserialize)]
pub struct MarkKlineRow<'a>(
    pub &'a str,
    pub Price,
    serde::de::IgnoredAny,
    serde::de::IgnoredAny,
    serde::de::IgnoredAny,
);

/// One row of `/v5/market/open-interest`: `{"openInterest":"461134384.00000000","timestamp":"1669571400000"}`, since 2026-06-11
/// with `"singleOpenInterest":"230567192.00000000"`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenInterestRow<'a> {
    open_interest: Option<&'a str>,
    single_open_interest: Option<&'a str>,
    pub timestamp: &'a str,
}

impl OpenInterestRow<'_> {
    /// One side, as quoted.
    pub fn one_sided(&self) -> Result<Option<Qty>, &'static str> {
        one_sided(self.single_open_interest, self.open_interest)
    }
}

/// Open interest of one side from a row that has it, or has the sum of both sides, or neither (§1.3).
pub fn one_sided(single: Option<&str>, both: Option<&str>) -> Result<Option<Qty>, &'static str> {
    let qty = match (number::<Qty>(single)?, number::<Qty>(both)?) {
        (Some(single), _) => Some(single),
        (None, both) => both.map(|b| Qty::from_raw(b.raw() / 2)),
    };
    if qty.is_some_and(|q| q < Qty::ZERO) { Err("open interest is negative") } else { Ok(qty) }
}

/// A number in text; an empty text is none.
pub fn number<T: std::str::FromStr>(text: Option<&str>) -> Result<Option<T>, &'static str> {
    text.filter(|t| !t.is_empty()).map(|t| t.parse().map_err(|_| "not a number")).transpose()
}

/// One row of `/v5/market/funding/history`: `{"symbol":"BTCUSDT","fundingRate":"0.0001","fundingRateTimestamp":"1709884800000"}`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FundingRow<'a> {
    #[serde(borrow)]
    pub symbol: Cow<'a, str>,
    pub funding_rate: &'a str,
    pub funding_rate_timestamp: &'a str,
}

/// The call that tells an instrument's margin tiers.
pub fn risk_limit(symbol: &str) -> Request {
    Request::get(format!("{RISK_LIMIT}?category=linear&symbol={}", percent_encode(symbol)), 1)
}

/// Most rows a call gives: bars, open interest, funding (§4.3).
const MOST_BARS: i64 = 1_000;
const MOST_READINGS: i64 = 200;

/// The calls that tell what happened between `from` and `now` (UTC ms): minutes up to the last finished one, open interest
/// every five minutes, and the funding paid at whole hours with the mark price of that hour. Each call names its own window,
/// no longer than the rows it may give, and the windows go forward in time, since the rows inside one come newest first.
pub fn requests(symbol: &str, from: i64, now: i64, fresh: bool) -> Vec<Request> {
    let symbol = percent_encode(symbol);
    let of =
        |path: &str, rest: String| Request::get(format!("{path}?category=linear&symbol={symbol}&{rest}"), 1);
    let (minute, hour) = (Interval::M1.ms(), Interval::H1.ms());
    let mut calls = Vec::new();
    let end = Interval::M1.floor(now) - 1;
    for (start, stop) in windows(Interval::M1.floor(from), end, MOST_BARS * minute) {
        calls.push(of(KLINES, format!("interval=1&start={start}&end={stop}&limit={MOST_BARS}")));
    }
    for (start, stop) in windows(Interval::M5.floor(from), now, MOST_READINGS * Interval::M5.ms()) {
        let window = format!("intervalTime=5min&startTime={start}&endTime={stop}&limit={MOST_READINGS}");
        calls.push(of(OPEN_INTEREST, window));
    }
    // Funding is paid at whole hours; most outages hold none.
    let first = Interval::H1.floor(from - 1) + hour;
    for (start, stop) in windows(first, now, MOST_BARS * hour) {
        calls.push(of(MARK_KLINES, format!("interval=60&start={start}&end={stop}&limit={MOST_BARS}")));
    }
    for (start, stop) in windows(first, now, MOST_READINGS * hour) {
        calls.push(of(FUNDING, format!("startTime={start}&endTime={stop}&limit={MOST_READINGS}")));
    }
    if fresh {
        calls.push(Request::get(format!("{TICKERS}?category=linear&symbol={symbol}"), 1));
    }
    calls
}

/// Cuts `from..=to` into windows of at most `length` ms, both ends inside.
fn windows(from: i64, to: i64, length: i64) -> impl Iterator<Item = (i64, i64)> {
    let mut start = from;
    std::iter::from_fn(move || {
        let stop = (start + length - 1).min(to);
        let window = (start <= to).then_some((start, stop));
        start = stop + 1;
        window
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGES: [&str; 2] = [
        include_str!("../../../../tests/data/bybit/instruments_1.json"),
        include_str!("../../../../tests/data/bybit/instruments_2.json"),
    ];
    const TICKER_LIST: &str = r#"{"retCode":0,"retMsg":"OK","result":{"category":"linear","list":[{"symbol":"BTCUSDT","lastPrice":"66666.60","turnover24h":"4936790807.6521"},{"symbol":"SHIB1000USDT","turnover24h":""},{"symbol":7}]},"retExtInfo":{},"time":1672376496682}"#;

    fn answer(call: &Request, text: &str) -> Answer {
        (call.name(), text.to_owned())
    }

    #[test]
    fn a_list_is_read_page_by_page() {
        let calls = directory_calls();
        let mut answers = vec![answer(&calls[0], PAGES[0]), answer(&calls[1], TICKER_LIST)];
        let Reading::More(next) = directory(&answers).unwrap() else { panic!("there is a second page") };
        assert_eq!(
            next[0].path,
            "/v5/market/instruments-info?category=linear&limit=1000&cursor=first%3DBTCPERP%26last%3DSHIB1000USDT"
        );
        answers.push(answer(&next[0], PAGES[1]));
        let Reading::Done(directory) = directory(&answers).unwrap() else { panic!("that was all") };
        assert_eq!(directory.now, Some(1_735_809_771_700));
        let shown: Vec<_> =
            directory.listings.iter().map(|l| (l.symbol.as_ref(), l.asset.as_str(), l.day_usd)).collect();
        assert_eq!(
            shown,
            [
                ("BTCUSDT", "BTC", Some(4_936_790_807)),
                ("SHIB1000USDT", "SHIB", None),
                ("1000PEPEUSDT", "PEPE", None),
                ("BTCPERP", "BTC", None),
            ],
            "trading perpetuals in dollars, USDT first"
        );
        let pepe = directory.listings[2].instrument.as_ref().unwrap();
        assert_eq!((pepe.tick.to_string(), pepe.lot.to_string()), ("0.0000000001".into(), "100".into()));
        assert_eq!(
            (pepe.multiplier.to_string(), pepe.max_leverage().unwrap().to_string()),
            ("1000".into(), "75".into())
        );
        assert_eq!(directory.listings[0].instrument.as_ref().unwrap().tiers.len(), 3);
    }

    #[test]
    fn a_list_that_goes_round_ends_and_a_refused_one_is_an_error() {
        let calls = directory_calls();
        let mut answers = vec![answer(&calls[0], PAGES[0])];
        let Reading::More(next) = directory(&answers).unwrap() else { panic!() };
        answers.push(answer(&next[0], PAGES[0]));
        assert!(matches!(directory(&answers).unwrap(), Reading::Done(_)), "the same cursor again");
        let refused = r#"{"retCode":10006,"retMsg":"Too many visits","result":{},"time":1}"#;
        let error = directory(&[answer(&calls[0], refused)]).unwrap_err();
        assert!(format!("{error:#}").contains("Too many visits (10006)"), "{error:#}");
        assert!(directory(&[answer(&calls[0], "<html>")]).is_err());
        let odd = instruments(Some("a b&c"));
        assert!(odd.path.ends_with("&cursor=a%20b%26c"), "{}", odd.path);
    }

    #[test]
    fn windows_go_forward_and_hold_no_more_than_an_answer() {
        let (from, now) = (1_700_000_100_000, 1_700_000_100_000 + 2 * 86_400_000 + 30_000);
        let calls = requests("BTCUSDT", from, now, true);
        let paths: Vec<&str> = calls.iter().map(|c| c.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "/v5/market/kline?category=linear&symbol=BTCUSDT&interval=1&start=1700000100000&end=1700060099999&limit=1000",
                "/v5/market/kline?category=linear&symbol=BTCUSDT&interval=1&start=1700060100000&end=1700120099999&limit=1000",
                "/v5/market/kline?category=linear&symbol=BTCUSDT&interval=1&start=1700120100000&end=1700172899999&limit=1000",
                "/v5/market/open-interest?category=linear&symbol=BTCUSDT&intervalTime=5min&startTime=1700000100000&endTime=1700060099999&limit=200",
                "/v5/market/open-interest?category=linear&symbol=BTCUSDT&intervalTime=5min&startTime=1700060100000&endTime=1700120099999&limit=200",
                "/v5/market/open-interest?category=linear&symbol=BTCUSDT&intervalTime=5min&startTime=1700120100000&endTime=1700172930000&limit=200",
                "/v5/market/mark-price-kline?category=linear&symbol=BTCUSDT&interval=60&start=1700002800000&end=1700172930000&limit=1000",
                "/v5/market/funding/history?category=linear&symbol=BTCUSDT&startTime=1700002800000&endTime=1700172930000&limit=200",
                "/v5/market/tickers?category=linear&symbol=BTCUSDT",
            ]
        );
        // Ten minutes inside an hour: no funding was paid.
        let short = requests("BTCUSDT", 1_700_000_100_000, 1_700_000_700_000, false);
        let names: Vec<&str> = short.iter().map(|c| c.path.split('?').next().unwrap()).collect();
        assert_eq!(names, [KLINES, OPEN_INTEREST]);
        assert!(
            requests("BTCUSDT", 60_000, 60_000, false)
                .iter()
                .all(|c| !c.path.starts_with("/v5/market/kline?"))
        );
    }

    #[test]
    fn open_interest_counts_one_side() {
        let qty = |single, both| one_sided(single, both).unwrap().map(|q| q.to_string());
        // The pair reported live (`exchanges.md` §1.3).
        assert_eq!(qty(Some("26332.321"), Some("52664.642")).unwrap(), "26332.321");
        assert_eq!(qty(None, Some("52664.642")).unwrap(), "26332.321");
        assert_eq!(qty(Some(""), Some("3")).unwrap(), "1.5");
        assert_eq!(qty(None, None), None);
        assert!(one_sided(None, Some("-2")).is_err());
        assert!(one_sided(Some("x"), None).is_err());
    }
}
