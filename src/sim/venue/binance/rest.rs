//! REST: paths, weights, parameters and bodies as exchanges.md §3.4 has them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderName, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use super::Exchange;
use super::frames::{self, eight};
use super::limits::{Pool, Refused};
use crate::sim::exchange::View;
use crate::sim::history::Bar;
use crate::sim::text::{Decimal, price, quote, size};
use crate::sim::trouble::Directory;
use crate::sim::world::contract::Contract;

const USED: HeaderName = HeaderName::from_static("x-mbx-used-weight-1m");

type Params = HashMap<String, String>;

pub(super) fn router() -> Router<Arc<Exchange>> {
    let paths = [
        "/fapi/v1/ping",
        "/fapi/v1/time",
        "/fapi/v1/exchangeInfo",
        "/fapi/v1/klines",
        "/fapi/v1/openInterest",
        "/fapi/v1/premiumIndex",
        "/fapi/v1/fundingRate",
        "/fapi/v1/depth",
        "/fapi/v1/ticker/24hr",
        "/futures/data/openInterestHist",
    ];
    paths.into_iter().fold(Router::new(), |router, path| router.route(path, get(answer)))
}

/// What the exchange refuses: HTTP status, its own code, its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    Limit(Refused),
    Code(i32, String),
    Broken,
}

/// An invalid parameter. The sheet knows `-1130` from a wrong `limit` (exchanges.md §3.3); it stands for all of them here.
fn bad(parameter: &str) -> Refusal {
    Refusal::Code(-1130, format!("Data sent for parameter '{parameter}' is not valid."))
}

fn no_symbol() -> Refusal {
    Refusal::Code(-1121, "Invalid symbol.".to_owned())
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = |code: i32, msg: &str| json!({ "code": code, "msg": msg }).to_string();
        let content = (header::CONTENT_TYPE, "application/json".to_owned());
        match self {
            Self::Limit(Refused { banned, retry_after }) => {
                let status = if banned { StatusCode::IM_A_TEAPOT } else { StatusCode::TOO_MANY_REQUESTS };
                let msg = "Too many requests; current limit is 2400 request weight per minute.";
                let headers = [content, (header::RETRY_AFTER, retry_after.to_string())];
                (status, headers, body(-1003, msg)).into_response()
            }
            Self::Code(code, msg) => (StatusCode::BAD_REQUEST, [content], body(code, &msg)).into_response(),
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

async fn answer(State(exchange): State<Arc<Exchange>>, uri: Uri, Query(params): Query<Params>) -> Response {
    let path = uri.path();
    let used = match exchange.encoder.limits.take(pool(path, &params)) {
        Ok(used) => used,
        Err(refused) => return Refusal::Limit(refused).into_response(),
    };
    let mut response = match body(&exchange, path, &params).await {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(refusal) => refusal.into_response(),
    };
    response.headers_mut().insert(USED, used.into());
    response
}

fn pool(path: &str, params: &Params) -> Pool {
    let one = params.contains_key("symbol");
    let limit = |default: u32| params.get("limit").and_then(|l| l.parse().ok()).unwrap_or(default);
    match path {
        "/futures/data/openInterestHist" => Pool::Data,
        "/fapi/v1/fundingRate" => Pool::Funding,
        "/fapi/v1/klines" => Pool::Weight(match limit(500) {
            0..100 => 1,
            100..500 => 2,
            500..=1_000 => 5,
            _ => 10,
        }),
        "/fapi/v1/depth" => Pool::Weight(match limit(500) {
            0..=50 => 2,
            51..=100 => 5,
            101..=500 => 10,
            _ => 20,
        }),
        "/fapi/v1/premiumIndex" if !one => Pool::Weight(10),
        "/fapi/v1/ticker/24hr" if !one => Pool::Weight(40),
        _ => Pool::Weight(1),
    }
}

async fn body(exchange: &Exchange, path: &str, params: &Params) -> Result<String, Refusal> {
    match path {
        "/fapi/v1/ping" => Ok("{}".to_owned()),
        "/fapi/v1/time" => Ok(json!({ "serverTime": exchange.now_ms() }).to_string()),
        "/fapi/v1/exchangeInfo" => Ok(exchange.trouble.cut_directory(exchange_info(exchange))),
        "/fapi/v1/klines" => {
            let limit = number(params, "limit", 500, 1..=1_500)?;
            let interval = params.get("interval").map_or("", String::as_str);
            let interval_ms = interval_ms(interval).ok_or_else(|| bad("interval"))?;
            let span = span(params)?;
            with(exchange, params, |view| klines(view, interval_ms, span, limit as usize)).await
        }
        "/fapi/v1/openInterest" => {
            let empty = exchange.trouble.no_open_interest();
            with(exchange, params, |view| open_interest_now(view, empty)).await
        }
        "/fapi/v1/premiumIndex" => each(exchange, params, premium_index).await,
        "/fapi/v1/ticker/24hr" => each(exchange, params, ticker).await,
        "/fapi/v1/fundingRate" => {
            let limit = number(params, "limit", 100, 1..=1_000)? as usize;
            let span = span(params)?;
            with(exchange, params, |view| funding(view, span, limit)).await
        }
        "/fapi/v1/depth" => {
            let limit = number(params, "limit", 500, 1..=1_000)?;
            if ![5, 10, 20, 50, 100, 500, 1_000].contains(&limit) {
                return Err(bad("limit"));
            }
            let depth = |view: &View<'_>| frames::depth(&view.history, limit as usize, view.at, view.now_ms);
            with(exchange, params, depth).await
        }
        _ => {
            let period = params.get("period").map_or("", String::as_str);
            let period_ms = interval_ms(period).filter(|ms| *ms >= 300_000).ok_or_else(|| bad("period"))?;
            let limit = number(params, "limit", 30, 1..=500)? as usize;
            let span = span(params)?;
            if exchange.trouble.no_open_interest() {
                return Ok("[]".to_owned());
            }
            with(exchange, params, |view| open_interest(view, period_ms, span, limit)).await
        }
    }
}

/// The answer about the contract that was asked for, brought up to the clock.
async fn with(
    exchange: &Exchange,
    params: &Params,
    tell: impl FnOnce(&View<'_>) -> String,
) -> Result<String, Refusal> {
    let name = params.get("symbol").ok_or_else(|| {
        Refusal::Code(
            -1102,
            "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.".to_owned(),
        )
    })?;
    let symbol = Exchange::find(name).ok_or_else(no_symbol)?;
    exchange.read(symbol, tell).await.map_err(|error| broken(&error))
}

/// One object if a symbol is given, else an array of all.
async fn each(
    exchange: &Exchange,
    params: &Params,
    tell: impl Fn(&View<'_>) -> String,
) -> Result<String, Refusal> {
    if params.contains_key("symbol") {
        return with(exchange, params, tell).await;
    }
    Ok(format!("[{}]", exchange.read_all(tell).join(",")))
}

fn broken(error: &anyhow::Error) -> Refusal {
    tracing::error!("{error:#}");
    Refusal::Broken
}

fn number(
    params: &Params,
    name: &str,
    default: i64,
    allowed: std::ops::RangeInclusive<i64>,
) -> Result<i64, Refusal> {
    let Some(text) = params.get(name) else { return Ok(default) };
    text.parse().ok().filter(|n| allowed.contains(n)).ok_or_else(|| bad(name))
}

/// `startTime` and `endTime`, where given.
fn span(params: &Params) -> Result<(Option<i64>, Option<i64>), Refusal> {
    let time = |name: &str| match params.get(name) {
        None => Ok(None),
        Some(text) => text.parse::<i64>().ok().filter(|t| *t >= 0).map(Some).ok_or_else(|| bad(name)),
    };
    let (from, to) = (time("startTime")?, time("endTime")?);
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(bad("startTime"));
    }
    Ok((from, to))
}

fn interval_ms(name: &str) -> Option<i64> {
    const MINUTE: i64 = 60_000;
    Some(match name {
        "1m" => MINUTE,
        "3m" => 3 * MINUTE,
        "5m" => 5 * MINUTE,
        "15m" => 15 * MINUTE,
        "30m" => 30 * MINUTE,
        "1h" => 60 * MINUTE,
        "2h" => 120 * MINUTE,
        "4h" => 240 * MINUTE,
        "6h" => 360 * MINUTE,
        "12h" => 720 * MINUTE,
        "1d" => 1_440 * MINUTE,
        _ => return None,
    })
}

/// With a start the first `limit` rows from it, without one the last.
fn cut<T>(rows: &mut Vec<T>, from: Option<i64>, limit: usize) {
    if from.is_some() {
        rows.truncate(limit);
    } else {
        let surplus = rows.len().saturating_sub(limit);
        rows.drain(..surplus);
    }
}

fn klines(view: &View<'_>, interval_ms: i64, span: (Option<i64>, Option<i64>), limit: usize) -> String {
    let (from, to) = span;
    let mut bars = view.history.bars_of(interval_ms, from.unwrap_or(0), to.unwrap_or(i64::MAX));
    cut(&mut bars, from, limit);
    let mut body = String::with_capacity(bars.len() * 160 + 2);
    body.push('[');
    for (n, bar) in bars.iter().enumerate() {
        if n > 0 {
            body.push(',');
        }
        kline(&mut body, view.contract, bar, interval_ms);
    }
    body.push(']');
    body
}

fn kline(body: &mut String, contract: &Contract, bar: &Bar, interval_ms: i64) {
    // Writing to a String cannot fail.
    let _ = write!(
        body,
        r#"[{},"{}","{}","{}","{}","{}",{},"{}",{},"{}","{}","0"]"#,
        bar.start_ms,
        price(contract, bar.open),
        price(contract, bar.high),
        price(contract, bar.low),
        price(contract, bar.close),
        size(contract, bar.lots),
        bar.start_ms + interval_ms - 1,
        quote(contract, bar.quote),
        bar.last_fill - bar.first_fill + 1,
        size(contract, bar.bought),
        quote(contract, bar.quote_bought),
    );
}

fn open_interest_now(view: &View<'_>, empty: bool) -> String {
    let (contract, seen) = (view.contract, &view.history.now);
    let lots = if empty { String::new() } else { size(contract, seen.open_interest).to_string() };
    json!({ "openInterest": lots, "symbol": contract.symbol, "time": view.now_ms.min(seen.end_ms) })
        .to_string()
}

fn open_interest(view: &View<'_>, period_ms: i64, span: (Option<i64>, Option<i64>), limit: usize) -> String {
    let contract = view.contract;
    let (from, to) = (span.0.unwrap_or(0), span.1.unwrap_or(i64::MAX));
    let rows = view.history.open_interest.iter();
    let mut rows: Vec<_> = rows
        .filter(|row| row.ms % period_ms == 0 && (from..=to).contains(&row.ms))
        .map(|row| {
            let coins = contract.qty_of(row.lots);
            json!({
                "symbol": contract.symbol,
                "sumOpenInterest": eight(coins).to_string(),
                "sumOpenInterestValue": eight(coins * row.mark).to_string(),
                "CMCCirculatingSupply": "0",
                "timestamp": row.ms,
            })
        })
        .collect();
    // Which end is cut where a start is given is not documented; taken to be as for candles.
    cut(&mut rows, span.0, limit);
    json!(rows).to_string()
}

fn funding(view: &View<'_>, span: (Option<i64>, Option<i64>), limit: usize) -> String {
    let (from, to) = (span.0.unwrap_or(0), span.1.unwrap_or(i64::MAX));
    let mut rows: Vec<_> = view
        .history
        .funding
        .iter()
        .filter(|row| (from..=to).contains(&row.ms))
        .map(|row| {
            json!({
                "symbol": view.contract.symbol,
                "fundingRate": eight(row.rate).to_string(),
                "fundingTime": row.ms,
                "markPrice": eight(row.mark).to_string(),
                "rateType": "Regular",
            })
        })
        .collect();
    cut(&mut rows, span.0, limit);
    json!(rows).to_string()
}

fn premium_index(view: &View<'_>) -> String {
    let seen = &view.history.now;
    json!({
        "symbol": view.contract.symbol,
        "markPrice": eight(seen.mark).to_string(),
        "indexPrice": eight(seen.index).to_string(),
        "estimatedSettlePrice": eight(seen.index).to_string(),
        "lastFundingRate": eight(seen.funding).to_string(),
        "interestRate": "0.00010000",
        "nextFundingTime": view.contract.next_funding(view.now_ms),
        "time": view.now_ms.min(seen.end_ms),
    })
    .to_string()
}

fn ticker(view: &View<'_>) -> String {
    let (contract, now) = (view.contract, view.now_ms);
    let Some(day) = view.history.day() else { return "{}".to_owned() };
    let change = day.close - day.open;
    let last = view.history.last();
    // Quote volume over volume is in ticks already.
    let mean = day.quote / i128::from(day.lots.max(1));
    json!({
        "symbol": contract.symbol,
        "priceChange": price(contract, change).to_string(),
        "priceChangePercent": Decimal(i128::from(change) * 100_000 / i128::from(day.open.max(1)), 3).to_string(),
        "weightedAvgPrice": Decimal(mean, contract.price_decimals as i32).to_string(),
        "lastPrice": price(contract, day.close).to_string(),
        "lastQty": size(contract, last.map_or(0, |p| p.lots)).to_string(),
        "openPrice": price(contract, day.open).to_string(),
        "highPrice": price(contract, day.high).to_string(),
        "lowPrice": price(contract, day.low).to_string(),
        "volume": size(contract, day.lots).to_string(),
        "quoteVolume": quote(contract, day.quote).to_string(),
        "openTime": day.start_ms,
        "closeTime": now,
        "firstId": day.first_fill,
        "lastId": day.last_fill,
        "count": day.last_fill - day.first_fill + 1,
    })
    .to_string()
}

fn exchange_info(exchange: &Exchange) -> String {
    let spoilt = exchange.trouble.directory() == Directory::OneRow;
    let symbols: Vec<_> = Exchange::contracts()
        .iter()
        .enumerate()
        .map(|(n, contract)| {
            let status = if exchange.is_trading(contract) { "TRADING" } else { "SETTLING" };
            // The second row, so that those before and after it can be seen to be read.
            symbol(contract, status, spoilt && n == 1)
        })
        .collect();
    json!({
        "timezone": "UTC",
        "serverTime": exchange.now_ms(),
        "futuresType": "U_MARGINED",
        "rateLimits": [
            { "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2_400 },
        ],
        "exchangeFilters": [],
        "assets": [{ "asset": "USDT", "marginAvailable": true, "autoAssetExchange": "0" }],
        "symbols": symbols,
    })
    .to_string()
}

fn symbol(contract: &Contract, status: &str, spoilt: bool) -> serde_json::Value {
    let tick = Decimal(1, contract.price_decimals as i32).to_string();
    let tick = if spoilt { "a tenth".to_owned() } else { tick };
    let lot = Decimal(1, contract.size_decimals).to_string();
    let highest = crate::sim::contracts::COINS[contract.coin].price * contract.multiplier * 40.0;
    let ceiling = price(contract, (highest / contract.tick()) as i64).to_string();
    json!({
        "symbol": contract.symbol,
        "pair": contract.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": 4_133_404_800_000_i64,
        "onboardDate": 1_569_398_400_000_i64,
        "status": status,
        // Placeholders, on the real exchange too ("ignore").
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": contract.base,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        // Finer than the tick: it is not what prices are rounded to.
        "pricePrecision": contract.price_decimals + 1,
        "quantityPrecision": contract.size_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "filters": [
            { "filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": ceiling, "tickSize": tick },
            { "filterType": "LOT_SIZE", "minQty": lot, "maxQty": "10000000", "stepSize": lot },
            { "filterType": "MARKET_LOT_SIZE", "minQty": lot, "maxQty": "1000000", "stepSize": lot },
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    })
}
