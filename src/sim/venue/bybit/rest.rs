//! REST: paths, parameters and bodies as exchanges.md §4.3 has them. Everything refused is HTTP 200 with a `retCode`.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use super::Exchange;
use super::frames::{self, price, rate};
use super::ticker::{Day, Ticker};
use super::topics::{Depth, INTERVALS};
use crate::sim::contracts::{COINS, EIGHT_HOURS_MS};
use crate::sim::exchange::View;
use crate::sim::history::{Bar, MarkBar, Range};
use crate::sim::hub::lock;
use crate::sim::text::{Decimal, quote, rounded, size, trimmed};
use crate::sim::trouble::Directory;
use crate::sim::venue::interval::Interval;
use crate::sim::world::contract::Contract;
use crate::sim::world::margin::Tier;

/// Symbols on a page of risk limits.
const RISK_PAGE: usize = 15;

type Params = HashMap<String, String>;

pub(super) fn router() -> Router<Arc<Exchange>> {
    let paths = [
        "time",
        "instruments-info",
        "kline",
        "mark-price-kline",
        "index-price-kline",
        "recent-trade",
        "orderbook",
        "tickers",
        "open-interest",
        "funding/history",
        "risk-limit",
    ];
    paths
        .into_iter()
        .fold(Router::new(), |router, path| router.route(&format!("/v5/market/{path}"), get(answer)))
}

/// More than 600 requests in 5 s (exchanges.md §4.3).
pub(super) fn too_frequent() -> impl IntoResponse {
    (StatusCode::FORBIDDEN, "access too frequent")
}

/// What the exchange refuses: its code and words.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal(i32, String);

/// The sheet knows no code for a wrong parameter; 10001 stands for all of them here.
fn bad(what: &str) -> Refusal {
    Refusal(10_001, format!("params error: {what}"))
}

fn broken(error: &anyhow::Error) -> Refusal {
    tracing::error!("{error:#}");
    Refusal(10_016, "Internal server error".to_owned())
}

async fn answer(State(exchange): State<Arc<Exchange>>, uri: Uri, Query(params): Query<Params>) -> Response {
    if !exchange.encoder.limits.take() {
        return too_frequent().into_response();
    }
    let path = uri.path().trim_start_matches("/v5/market/");
    let result = result(&exchange, path, &params).await;
    let time = exchange.now_ms();
    let mut body = match result {
        Ok(result) => {
            format!(r#"{{"retCode":0,"retMsg":"OK","result":{result},"retExtInfo":{{}},"time":{time}}}"#)
        }
        Err(Refusal(code, words)) => {
            json!({ "retCode": code, "retMsg": words, "result": {}, "retExtInfo": {}, "time": time })
                .to_string()
        }
    };
    if path == "instruments-info" {
        body = exchange.trouble.cut_directory(body);
    }
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn result(exchange: &Exchange, path: &str, params: &Params) -> Result<String, Refusal> {
    if path == "time" {
        let ms = exchange.now_ms();
        let nano = format!("{ms}000000");
        return Ok(json!({ "timeSecond": (ms / 1_000).to_string(), "timeNano": nano }).to_string());
    }
    if params.get("category").map(String::as_str) != Some("linear") {
        return Err(bad("category invalid"));
    }
    match path {
        "instruments-info" => instruments(exchange, params),
        "risk-limit" => risk_limits(params),
        "kline" => {
            let interval = params.get("interval").and_then(|name| Interval::named(&INTERVALS, name));
            let interval = interval.ok_or_else(|| bad("interval invalid"))?;
            let (span, limit) = (Span::of(params, "start", "end")?, limit(params, 200, 1_000)?);
            with(exchange, params, |view| klines(view, interval, span, limit)).await
        }
        "mark-price-kline" | "index-price-kline" => {
            let interval = params.get("interval").and_then(|name| Interval::named(&INTERVALS, name));
            let interval = interval.ok_or_else(|| bad("interval invalid"))?;
            let (span, limit) = (Span::of(params, "start", "end")?, limit(params, 200, 1_000)?);
            let of: fn(&MarkBar) -> Range = match path {
                "mark-price-kline" => |bar| bar.mark,
                _ => |bar| bar.index,
            };
            with(exchange, params, |view| marks(view, interval, span, limit, of)).await
        }
        "recent-trade" => {
            let limit = limit(params, 500, 1_000)?;
            with(exchange, params, |view| recent(view, limit)).await
        }
        "orderbook" => {
            let limit = limit(params, 25, 1_000)?;
            with(exchange, params, |view| book(exchange, view, limit)).await
        }
        "tickers" => tickers(exchange, params).await,
        "open-interest" => {
            let period = params.get("intervalTime").and_then(|name| period_ms(name));
            let period = period.ok_or_else(|| bad("intervalTime invalid"))?;
            let (mut span, limit) = (Span::of(params, "startTime", "endTime")?, limit(params, 50, 200)?);
            // A cursor leads on to older rows, whatever was asked for.
            span.open = false;
            if let Some(before) = params.get("cursor").and_then(|cursor| field(cursor, "lasttime")) {
                let before: i64 = before.parse().map_err(|_| bad("cursor invalid"))?;
                span.to = span.to.min(before * 1_000 - 1);
            }
            let empty = exchange.trouble.no_open_interest();
            with(exchange, params, |view| open_interest(view, period, span, limit, empty)).await
        }
        _ => {
            let (span, limit) = (Span::of(params, "startTime", "endTime")?, limit(params, 200, 200)?);
            with(exchange, params, |view| funding(view, span, limit)).await
        }
    }
}

/// The answer about the contract that was asked for, brought up to the clock.
async fn with(
    exchange: &Exchange,
    params: &Params,
    tell: impl FnOnce(&View<'_>) -> String,
) -> Result<String, Refusal> {
    exchange.read(symbol(params)?, tell).await.map_err(|error| broken(&error))
}

fn symbol(params: &Params) -> Result<usize, Refusal> {
    params.get("symbol").and_then(|name| Exchange::find(name)).ok_or_else(|| bad("symbol invalid"))
}

fn limit(params: &Params, default: usize, most: usize) -> Result<usize, Refusal> {
    let Some(text) = params.get("limit") else { return Ok(default) };
    text.parse().ok().filter(|n| (1..=most).contains(n)).ok_or_else(|| bad("limit invalid"))
}

/// The times asked for, both included, UTC ms.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: i64,
    to: i64,
    /// Only a start was given.
    open: bool,
}

impl Span {
    fn of(params: &Params, from: &str, to: &str) -> Result<Self, Refusal> {
        let time = |name: &str| match params.get(name) {
            None => Ok(None),
            Some(text) => text.parse::<i64>().map(Some).map_err(|_| bad(&format!("{name} invalid"))),
        };
        let (from, to) = (time(from)?, time(to)?);
        let open = from.is_some() && to.is_none();
        let span = Self { from: from.unwrap_or(0), to: to.unwrap_or(i64::MAX), open };
        if span.from > span.to { Err(bad("start is after end")) } else { Ok(span) }
    }

    fn holds(&self, ms: i64) -> bool {
        (self.from..=self.to).contains(&ms)
    }

    /// Keeps a page of rows, which come oldest first, and turns it newest first. The newest are kept, except where only
    /// a start was given; the sheet does not say.
    fn page<T>(&self, rows: &mut Vec<T>, limit: usize) {
        if self.open {
            rows.truncate(limit);
        } else {
            rows.drain(..rows.len().saturating_sub(limit));
        }
        rows.reverse();
    }
}

/// A part of a cursor, which may come back as it was given out (percent-encoded) or decoded.
fn field<'a>(cursor: &'a str, name: &str) -> Option<&'a str> {
    cursor.split("%26").flat_map(|part| part.split('&')).find_map(|part| {
        let rest = part.strip_prefix(name)?;
        rest.strip_prefix("%3D").or_else(|| rest.strip_prefix('='))
    })
}

/// Rows by symbol.
type Named<'a, T> = Vec<(&'a str, T)>;

/// Symbols after the one a cursor names, at most so many, and the cursor behind them.
fn paged<'a, T>(
    mut rows: Named<'a, T>,
    cursor: Option<&String>,
    most: usize,
) -> Result<(Named<'a, T>, String), Refusal> {
    if let Some(cursor) = cursor.filter(|cursor| !cursor.is_empty()) {
        let last = field(cursor, "last").ok_or_else(|| bad("cursor invalid"))?;
        let at = rows.iter().position(|(name, _)| *name == last).ok_or_else(|| bad("cursor invalid"))?;
        rows.drain(..=at);
    }
    let more = rows.len() > most;
    rows.truncate(most);
    let next = match (rows.first(), rows.last()) {
        (Some((first, _)), Some((last, _))) if more => format!("first%3D{first}%26last%3D{last}"),
        _ => String::new(),
    };
    Ok((rows, next))
}

/// Only what is traded is listed.
fn instruments(exchange: &Exchange, params: &Params) -> Result<String, Refusal> {
    let spoilt = exchange.trouble.directory() == Directory::OneRow;
    let asked = params.get("symbol");
    let rows = Exchange::contracts()
        .iter()
        .enumerate()
        // The second row is spoilt, so that those before and after it can be seen to be read.
        .map(|(n, contract)| (contract, spoilt && n == 1))
        .filter(|(contract, _)| exchange.is_trading(contract))
        .filter(|(contract, _)| asked.is_none_or(|symbol| symbol == contract.symbol))
        .map(|(contract, spoilt)| (contract.symbol, instrument(contract, spoilt)))
        .collect();
    let (rows, next) = paged(rows, params.get("cursor"), limit(params, 500, 1_000)?)?;
    let list: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
    Ok(json!({ "category": "linear", "list": list, "nextPageCursor": next }).to_string())
}

fn instrument(contract: &Contract, spoilt: bool) -> serde_json::Value {
    let tick = price(contract, 1).to_string();
    let highest = (COINS[contract.coin].price * contract.multiplier * 20.0 / contract.tick()) as i64;
    let lots = |lots: i64| size(contract, lots).to_string();
    let highest_leverage = contract.tiers.first().map_or(1.0, |tier| tier.max_leverage);
    json!({
        "symbol": contract.symbol,
        "symbolId": contract.coin + 5,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": contract.base,
        "quoteCoin": "USDT",
        "launchTime": "1585526400000",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": frames::scale(contract).to_string(),
        "leverageFilter": {
            "minLeverage": "1",
            "maxLeverage": format!("{highest_leverage:.2}"),
            "leverageStep": "0.01",
        },
        "priceFilter": {
            "minPrice": tick,
            "maxPrice": price(contract, highest).to_string(),
            "tickSize": if spoilt { "a tenth" } else { &tick },
        },
        "lotSizeFilter": {
            "maxOrderQty": lots(1_190_000),
            "minOrderQty": lots(1),
            "qtyStep": lots(1),
            "postOnlyMaxOrderQty": lots(1_190_000),
            "maxMktOrderQty": lots(500_000),
            "minNotionalValue": "5",
        },
        "unifiedMarginTrade": true,
        // Minutes.
        "fundingInterval": contract.funding_ms / 60_000,
        "settleCoin": "USDT",
        "copyTrading": "both",
        "upperFundingRate": "0.005",
        "lowerFundingRate": "-0.005",
        "isPreListing": false,
        "preListingInfo": null,
        "symbolType": "",
    })
}

/// Fractions, as live linear rows have them.
fn risk_limits(params: &Params) -> Result<String, Refusal> {
    let mut tables: Vec<(&str, &[Tier])> =
        Exchange::contracts().iter().map(|contract| (contract.symbol, contract.tiers)).collect();
    tables.sort_unstable_by_key(|(symbol, _)| *symbol);
    if let Some(asked) = params.get("symbol") {
        tables.retain(|(symbol, _)| symbol == asked);
        if tables.is_empty() {
            return Err(bad("symbol invalid"));
        }
    }
    let (tables, next) = paged(tables, params.get("cursor"), RISK_PAGE)?;
    let row = |id: usize, symbol: &str, tier: &Tier| {
        let plain = |value: f64| trimmed(rounded(value, 6));
        let deduction = if tier.deduction > 0.0 { plain(tier.deduction) } else { String::new() };
        json!({
            "id": id + 1,
            "symbol": symbol,
            "riskLimitValue": plain(tier.cap),
            "maintenanceMargin": plain(tier.rate),
            // Four decimals: 150x is told as 0.0066 (exchanges.md §14).
            "initialMargin": trimmed(Decimal((1e4 / tier.max_leverage) as i128, 4)),
            "isLowestRisk": i32::from(id == 0),
            "maxLeverage": format!("{:.2}", tier.max_leverage),
            "mmDeduction": deduction,
        })
    };
    let list: Vec<_> = tables
        .iter()
        .flat_map(|(symbol, tiers)| tiers.iter().enumerate().map(move |(id, tier)| row(id, symbol, tier)))
        .collect();
    Ok(json!({ "category": "linear", "list": list, "nextPageCursor": next }).to_string())
}

fn klines(view: &View<'_>, interval: Interval, span: Span, limit: usize) -> String {
    let mut bars = view.history.bars_of(interval.ms, span.from, span.to);
    span.page(&mut bars, limit);
    let rows: Vec<_> = bars.iter().map(|bar| kline(view.contract, bar)).collect();
    let symbol = view.contract.symbol;
    format!(r#"{{"category":"linear","symbol":"{symbol}","list":[{}]}}"#, rows.join(","))
}

fn kline(contract: &Contract, bar: &Bar) -> String {
    format!(
        r#"["{}","{}","{}","{}","{}","{}","{}"]"#,
        bar.start_ms,
        price(contract, bar.open),
        price(contract, bar.high),
        price(contract, bar.low),
        price(contract, bar.close),
        size(contract, bar.lots),
        quote(contract, bar.quote),
    )
}

/// Candles of a price that is not traded at: without volume.
fn marks(view: &View<'_>, interval: Interval, span: Span, limit: usize, of: fn(&MarkBar) -> Range) -> String {
    let (contract, scale) = (view.contract, frames::scale(view.contract));
    let mut bars = view.history.marks_of(interval.ms, span.from, span.to);
    span.page(&mut bars, limit);
    let rows: Vec<_> = bars
        .iter()
        .map(|bar| {
            let Range { open, high, low, close } = of(bar);
            let [open, high, low, close] = [open, high, low, close].map(|price| rounded(price, scale));
            format!(r#"["{}","{open}","{high}","{low}","{close}"]"#, bar.start_ms)
        })
        .collect();
    let symbol = contract.symbol;
    format!(r#"{{"category":"linear","symbol":"{symbol}","list":[{}]}}"#, rows.join(","))
}

fn recent(view: &View<'_>, limit: usize) -> String {
    let contract = view.contract;
    let newest_first = view.history.prints.iter().rev();
    let rows: Vec<_> = newest_first
        .flat_map(|print| print.fills().rev().map(move |fill| (print, fill)))
        .take(limit)
        .map(|(print, (fill, lots))| {
            json!({
                "execId": frames::uuid(fill),
                "symbol": contract.symbol,
                "price": price(contract, print.ticks).to_string(),
                "size": size(contract, lots).to_string(),
                "side": frames::taker(print),
                "time": print.ms.to_string(),
                "isBlockTrade": false,
            })
        })
        .collect();
    json!({ "category": "linear", "list": rows }).to_string()
}

/// The book as `orderbook.1000` last told it: `u` is that topic's.
fn book(exchange: &Exchange, view: &View<'_>, limit: usize) -> String {
    let (contract, at) = (view.contract, view.at);
    let base = lock(&exchange.encoder.boards)[view.index].base;
    let book = view.history.book(frames::told(Depth::L1000, at));
    format!(
        r#"{{"s":"{symbol}","b":[{bids}],"a":[{asks}],"ts":{ts},"u":{u},"seq":{seq},"cts":{cts}}}"#,
        symbol = contract.symbol,
        bids = frames::levels(contract, &book.bids(limit)),
        asks = frames::levels(contract, &book.asks(limit)),
        ts = view.now_ms,
        u = frames::update_id(Depth::L1000, at, base),
        seq = frames::seq(at),
        cts = view.now_ms - 1,
    )
}

async fn tickers(exchange: &Exchange, params: &Params) -> Result<String, Refusal> {
    let hide = exchange.trouble.no_open_interest();
    let row =
        |view: &View<'_>| Ticker::of(&view.history, &mut Day::default(), view.at, view.now_ms, hide).row();
    let rows = if params.contains_key("symbol") {
        vec![with(exchange, params, row).await?]
    } else {
        let listed = |view: &View<'_>| exchange.is_trading(view.contract).then(|| row(view));
        exchange.read_all(listed).into_iter().flatten().collect()
    };
    Ok(format!(r#"{{"category":"linear","list":[{}]}}"#, rows.join(",")))
}

fn period_ms(name: &str) -> Option<i64> {
    const MINUTE: i64 = 60_000;
    Some(match name {
        "5min" => 5 * MINUTE,
        "15min" => 15 * MINUTE,
        "30min" => 30 * MINUTE,
        "1h" => 60 * MINUTE,
        "4h" => EIGHT_HOURS_MS / 2,
        "1d" => 3 * EIGHT_HOURS_MS,
        _ => return None,
    })
}

fn open_interest(view: &View<'_>, period_ms: i64, span: Span, limit: usize, empty: bool) -> String {
    let contract = view.contract;
    // Whatever the venue's clock says, rows lie at whole periods of the true one.
    let skew = view.now_ms - view.at;
    let rows = view.history.open_interest.iter();
    let mut rows: Vec<_> =
        rows.filter(|row| !empty && (row.ms - skew) % period_ms == 0 && span.holds(row.ms)).collect();
    let all = rows.len();
    span.page(&mut rows, limit);
    let next = match rows.last() {
        Some(row) if all > limit => format!("lastid%3D{all}%26lasttime%3D{}", row.ms / 1_000),
        _ => String::new(),
    };
    let eight = |lots: i64| rounded(contract.qty_of(lots), 8).to_string();
    let list: Vec<_> = rows
        .into_iter()
        .map(|row| {
            json!({
                "openInterest": eight(2 * row.lots),
                "singleOpenInterest": eight(row.lots),
                "timestamp": row.ms.to_string(),
            })
        })
        .collect();
    json!({ "symbol": contract.symbol, "category": "linear", "list": list, "nextPageCursor": next })
        .to_string()
}

fn funding(view: &View<'_>, span: Span, limit: usize) -> String {
    let rows = view.history.funding.iter();
    let mut rows: Vec<_> = rows.filter(|row| span.holds(row.ms)).collect();
    span.page(&mut rows, limit);
    let list: Vec<_> = rows
        .into_iter()
        .map(|row| {
            json!({
                "symbol": view.contract.symbol,
                "fundingRate": rate(row.rate),
                "fundingRateTimestamp": row.ms.to_string(),
            })
        })
        .collect();
    json!({ "category": "linear", "list": list }).to_string()
}
