//! REST: paths, limits, paging and bodies as exchanges.md §5.3 has them. Rows come newest first.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use super::frames;
use super::{Exchange, instruments};
use crate::sim::exchange::View;
use crate::sim::text::{Decimal, base, price, quote, rounded, size, trimmed};
use crate::sim::world::contract::Contract;
use crate::sim::world::tick::Print;

/// Bars `candles` and statistics know of: the newest ones.
const REACH: i64 = 1_440;
/// Parameters, and their values.
type Params = HashMap<String, String>;

/// What is served at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Time,
    Instruments,
    Candles { all: bool },
    Trades { history: bool },
    Books { most: i64 },
    Tickers { one: bool },
    OpenInterest,
    Funding { history: bool },
    Mark,
    Tiers,
    InterestHistory,
    TakerVolume,
}

/// Path, requests allowed in two seconds, and what is there. `time` and `tickers` are not in the sheet.
const PATHS: [(&str, u32, What); 17] = [
    ("/api/v5/public/time", 10, What::Time),
    ("/api/v5/public/instruments", 20, What::Instruments),
    ("/api/v5/market/candles", 40, What::Candles { all: false }),
    ("/api/v5/market/history-candles", 20, What::Candles { all: true }),
    ("/api/v5/market/trades", 100, What::Trades { history: false }),
    ("/api/v5/market/history-trades", 20, What::Trades { history: true }),
    ("/api/v5/market/books", 40, What::Books { most: 400 }),
    ("/api/v5/market/books-full", 10, What::Books { most: 5_000 }),
    ("/api/v5/market/ticker", 20, What::Tickers { one: true }),
    ("/api/v5/market/tickers", 20, What::Tickers { one: false }),
    ("/api/v5/public/open-interest", 20, What::OpenInterest),
    ("/api/v5/public/funding-rate", 10, What::Funding { history: false }),
    ("/api/v5/public/funding-rate-history", 10, What::Funding { history: true }),
    ("/api/v5/public/mark-price", 10, What::Mark),
    ("/api/v5/public/position-tiers", 10, What::Tiers),
    ("/api/v5/rubik/stat/contracts/open-interest-history", 10, What::InterestHistory),
    ("/api/v5/rubik/stat/taker-volume-contract", 5, What::TakerVolume),
];

pub(super) fn router() -> Router<Arc<Exchange>> {
    PATHS.into_iter().fold(Router::new(), |router, (path, limit, what)| {
        let handler = async move |State(exchange): State<Arc<Exchange>>, Query(params): Query<Params>| {
            if !exchange.encoder.limits.request(path, limit) {
                return too_many();
            }
            match rows(&exchange, what, &params).await {
                Ok(rows) => {
                    let body = format!(r#"{{"code":"0","msg":"","data":[{}]}}"#, rows.join(","));
                    let cut = what == What::Instruments;
                    body_of(StatusCode::OK, if cut { exchange.trouble.cut_directory(body) } else { body })
                }
                Err(refusal) => refusal.into_response(),
            }
        };
        router.route(path, get(handler))
    })
}

fn body_of(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The answer to a request too many.
pub(super) fn too_many() -> Response {
    let body = json!({ "code": "50011", "msg": "Too Many Requests" });
    body_of(StatusCode::TOO_MANY_REQUESTS, body.to_string())
}

/// What is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A parameter is missing.
    Missing(&'static str),
    /// A parameter is not what it can be.
    Wrong(&'static str),
    /// There is no such instrument: not an error of HTTP.
    NoInstrument,
    /// The simulator failed.
    Broken,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, msg) = match self {
            Self::Missing(name) => {
                (StatusCode::BAD_REQUEST, "50014", format!("Parameter {name} cannot be empty"))
            }
            Self::Wrong(name) => (StatusCode::BAD_REQUEST, "51000", format!("Parameter {name} error")),
            Self::NoInstrument => {
                let msg = "Instrument ID, Instrument ID code, or Spread ID doesn't exist.";
                (StatusCode::OK, "51001", msg.to_owned())
            }
            Self::Broken => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        };
        body_of(status, json!({ "code": code, "msg": msg, "data": [] }).to_string())
    }
}

type Rows = Result<Vec<String>, Refusal>;

async fn rows(exchange: &Exchange, what: What, params: &Params) -> Rows {
    match what {
        What::Time => Ok(vec![json!({ "ts": exchange.now_ms().to_string() }).to_string()]),
        What::Instruments => {
            Ok(if swaps(params)? { instruments::list(exchange, params) } else { Vec::new() })
        }
        What::Tiers => tiers(exchange, params),
        What::Candles { all } => {
            let bar_ms = period(params, "bar", "1m")?;
            let (page, limit) = (Page::of(params)?, limit(params, 100, 300)?);
            of_one(exchange, params, |view| candles(view, bar_ms, all, page, limit)).await
        }
        What::Trades { history } => {
            // By number unless times are asked for.
            let by_time = history && params.get("type").is_some_and(|kind| kind == "2");
            let most = if history { 100 } else { 500 };
            let (page, limit) = (Page::of(params)?, limit(params, 100, most)?);
            of_one(exchange, params, |view| {
                let prints = view.history.prints.iter().rev();
                let fills = prints.flat_map(|print| trades(view.contract, print));
                fills
                    .filter(|(number, ms, _)| !history || page.holds(if by_time { *ms } else { *number }))
                    .map(|(.., row)| row)
                    .take(limit)
                    .collect()
            })
            .await
        }
        What::Books { most } => {
            let depth = number(params, "sz", 1, 1..=most)? as usize;
            of_one(exchange, params, |view| {
                let book = view.history.book(view.at);
                let seq = exchange.encoder.book_number(view.index, book.step);
                vec![frames::book(view.contract, &book, depth, seq, view.now_ms)]
            })
            .await
        }
        What::Tickers { one } => {
            let tell = |view: &View<'_>| {
                frames::ticker(&view.history, &view.history.book(view.at), view.now_ms, view.now_ms)
            };
            if one {
                of_one(exchange, params, |view| vec![tell(view)]).await
            } else {
                of_all(exchange, params, tell).await
            }
        }
        What::OpenInterest | What::InterestHistory if exchange.trouble.no_open_interest() => Ok(Vec::new()),
        What::OpenInterest => {
            of_all(exchange, params, |view| {
                let now = &view.history.now;
                frames::open_interest(view.contract, now.open_interest, now.mark, now.end_ms, false)
            })
            .await
        }
        What::Mark => {
            of_all(exchange, params, |view| {
                let now = &view.history.now;
                frames::mark_price(view.contract, now.mark, now.end_ms)
            })
            .await
        }
        What::Funding { history: false } => {
            of_one(exchange, params, |view| {
                let settled = view.history.funding.back().map_or(0.0, |row| row.rate);
                vec![frames::funding_rate(view.contract, &view.history.now, settled, view.now_ms)]
            })
            .await
        }
        What::Funding { history: true } => {
            let (page, limit) = (Page::of(params)?, limit(params, 400, 400)?);
            of_one(exchange, params, |view| funding(view, page, limit)).await
        }
        What::InterestHistory => {
            let period_ms = period(params, "period", "5m")?;
            let (page, limit) = (Page::between(params)?, limit(params, 100, 100)?);
            of_one(exchange, params, |view| interest_history(view, period_ms, page, limit)).await
        }
        What::TakerVolume => {
            let period_ms = period(params, "period", "5m")?;
            let (page, limit) = (Page::between(params)?, limit(params, 100, 100)?);
            let unit = number(params, "unit", 1, 0..=2)?;
            of_one(exchange, params, |view| taker_volume(view, period_ms, unit, page, limit)).await
        }
    }
}

/// Whether swaps are asked for; there is nothing else here.
fn swaps(params: &Params) -> Result<bool, Refusal> {
    match params.get("instType").map(String::as_str) {
        None | Some("") => Err(Refusal::Missing("instType")),
        Some("SWAP") => Ok(true),
        Some("SPOT" | "MARGIN" | "FUTURES" | "OPTION") => Ok(false),
        Some(_) => Err(Refusal::Wrong("instType")),
    }
}

/// Rows about the instrument that was asked for, brought up to the clock.
async fn of_one<T: FnOnce(&View<'_>) -> Vec<String>>(exchange: &Exchange, params: &Params, tell: T) -> Rows {
    let id = params.get("instId").filter(|id| !id.is_empty()).ok_or(Refusal::Missing("instId"))?;
    let index = Exchange::find(id).ok_or(Refusal::NoInstrument)?;
    if !exchange.is_trading(&Exchange::contracts()[index]) {
        return Err(Refusal::NoInstrument);
    }
    exchange.read(index, tell).await.map_err(|error| broken(&error))
}

/// A row about every instrument of the type, or about the one that was asked for.
async fn of_all(exchange: &Exchange, params: &Params, tell: impl Fn(&View<'_>) -> String) -> Rows {
    if !swaps(params)? {
        return Ok(Vec::new());
    }
    if params.contains_key("instId") {
        return of_one(exchange, params, |view| vec![tell(view)]).await;
    }
    let rows = exchange.read_all(|view| exchange.is_trading(view.contract).then(|| tell(view)));
    Ok(rows.into_iter().flatten().collect())
}

fn broken(error: &anyhow::Error) -> Refusal {
    tracing::error!("{error:#}");
    Refusal::Broken
}

fn number(
    params: &Params,
    name: &'static str,
    default: i64,
    allowed: std::ops::RangeInclusive<i64>,
) -> Result<i64, Refusal> {
    let Some(text) = params.get(name) else { return Ok(default) };
    text.parse().ok().filter(|n| allowed.contains(n)).ok_or(Refusal::Wrong(name))
}

/// How many rows; more than there may be are as many as there may be.
fn limit(params: &Params, default: i64, most: i64) -> Result<usize, Refusal> {
    Ok(number(params, "limit", default, 1..=i64::MAX)?.min(most) as usize)
}

/// Which rows are wanted, by time or number: those between two that are not wanted themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Page {
    older_than: i64,
    newer_than: i64,
}

impl Page {
    /// `after` a row come those older than it, `before` it the newer ones.
    fn of(params: &Params) -> Result<Self, Refusal> {
        Self::named(params, "after", "before")
    }

    /// Statistics call them `end` and `begin`.
    fn between(params: &Params) -> Result<Self, Refusal> {
        Self::named(params, "end", "begin")
    }

    fn named(params: &Params, older: &'static str, newer: &'static str) -> Result<Self, Refusal> {
        Ok(Self {
            older_than: number(params, older, i64::MAX, 0..=i64::MAX)?,
            newer_than: number(params, newer, -1, 0..=i64::MAX)?,
        })
    }

    fn holds(self, at: i64) -> bool {
        self.newer_than < at && at < self.older_than
    }
}

/// Length of bars, ms. Those that begin at midnight of UTC+8 (`6H`, `12H`, `1D`) are not served.
fn period(params: &Params, name: &'static str, default: &str) -> Result<i64, Refusal> {
    const MINUTE: i64 = 60_000;
    Ok(match params.get(name).map_or(default, String::as_str) {
        "1m" if name == "bar" => MINUTE,
        "3m" if name == "bar" => 3 * MINUTE,
        "5m" => 5 * MINUTE,
        "15m" => 15 * MINUTE,
        "30m" => 30 * MINUTE,
        "1H" => 60 * MINUTE,
        "2H" => 120 * MINUTE,
        "4H" => 240 * MINUTE,
        "6Hutc" => 360 * MINUTE,
        "12Hutc" => 720 * MINUTE,
        "1Dutc" => 1_440 * MINUTE,
        _ => return Err(Refusal::Wrong(name)),
    })
}

/// Bars, newest first. `candles` tells the running one and reaches back so far only; history tells what is over.
fn candles(view: &View<'_>, bar_ms: i64, all: bool, page: Page, limit: usize) -> Vec<String> {
    let bars = view.history.bars_of(bar_ms, 0, i64::MAX);
    let first = if all { 0 } else { bars.len().saturating_sub(REACH as usize) };
    let rows = bars[first..].iter().rev().map(|bar| (bar, bar.start_ms + bar_ms <= view.now_ms));
    rows.filter(|(bar, closed)| page.holds(bar.start_ms) && (*closed || !all))
        .map(|(bar, closed)| frames::candle(view.contract, bar, closed))
        .take(limit)
        .collect()
}

/// The fills of a print, newest first: number, time and row. REST does not put them together as the stream does: its
/// rows have no `count`.
fn trades(contract: &Contract, print: &Print) -> impl Iterator<Item = (i64, i64, String)> {
    let count = frames::fills(print);
    let (share, rest) = (print.lots / count as i64, print.lots % count as i64);
    let (contract, print) = (*contract, *print);
    (0..count).map(move |n| {
        let number = print.last_fill - n;
        let lots = if n == 0 { share + rest } else { share };
        let row = format!(
            r#"{{"instId":"{}","side":"{}","sz":"{}","px":"{}","source":"{}","tradeId":"{number}","ts":"{}"}}"#,
            contract.symbol,
            frames::side(print.taker_buys),
            trimmed(size(&contract, lots)),
            trimmed(price(&contract, print.ticks)),
            u8::from(print.id.is_multiple_of(17)),
            print.ms,
        );
        (number as i64, print.ms, row)
    })
}

/// `realizedRate` is what was paid.
fn funding(view: &View<'_>, page: Page, limit: usize) -> Vec<String> {
    let rows = view.history.funding.iter().rev().filter(|row| page.holds(row.ms));
    rows.take(limit)
        .map(|row| {
            // The rate foretold stands beside the one paid, a little off it.
            let foretold = rounded(row.rate + 1e-7, 16);
            json!({
                "formulaType": "noRate",
                "fundingRate": trimmed(foretold),
                "fundingTime": row.ms.to_string(),
                "instId": view.contract.symbol,
                "instType": "SWAP",
                "method": "current_period",
                "realizedRate": trimmed(rounded(row.rate, 16)),
            })
            .to_string()
        })
        .collect()
}

/// `[ts,oi,oiCcy,oiUsd]`
fn interest_history(view: &View<'_>, period_ms: i64, page: Page, limit: usize) -> Vec<String> {
    let rows = view.history.open_interest.iter().rev();
    rows.filter(|row| row.ms % period_ms == 0 && page.holds(row.ms))
        .take(limit)
        .map(|row| {
            let [oi, coins, usd] = frames::interest(view.contract, row.lots, row.mark, row.ms);
            json!([row.ms.to_string(), oi, coins, usd]).to_string()
        })
        .collect()
}

/// `[ts,sellVol,buyVol]`, in coins, contracts or USD by `unit`.
fn taker_volume(view: &View<'_>, period_ms: i64, unit: i64, page: Page, limit: usize) -> Vec<String> {
    let contract = view.contract;
    let bars = view.history.bars_of(period_ms, 0, i64::MAX);
    let rows = bars.iter().rev().take(REACH as usize).filter(|bar| page.holds(bar.start_ms));
    rows.take(limit)
        .map(|bar| {
            let told = |lots: i64, value: i128| {
                trimmed(match unit {
                    0 => base(contract, lots),
                    1 => size(contract, lots),
                    _ => quote(contract, value),
                })
            };
            let sold = told(bar.lots - bar.bought, bar.quote - bar.quote_bought);
            json!([bar.start_ms.to_string(), sold, told(bar.bought, bar.quote_bought)]).to_string()
        })
        .collect()
}

/// Margin tiers of families, sizes in contracts. The contract's caps are in USD; they are told at the price the market is
/// anchored to.
fn tiers(exchange: &Exchange, params: &Params) -> Rows {
    if !swaps(params)? {
        return Ok(Vec::new());
    }
    match params.get("tdMode").map(String::as_str) {
        None => return Err(Refusal::Missing("tdMode")),
        Some("isolated" | "cross") => {}
        Some(_) => return Err(Refusal::Wrong("tdMode")),
    }
    let families =
        params.get("instFamily").filter(|f| !f.is_empty()).ok_or(Refusal::Missing("instFamily"))?;
    let wanted = number(params, "tier", 0, 1..=i64::MAX)?;
    let mut rows = Vec::new();
    for family in families.split(',') {
        let contract = Exchange::contracts().iter().find(|c| frames::family(c) == family);
        let contract = contract.filter(|c| exchange.is_trading(c)).ok_or(Refusal::Wrong("instFamily"))?;
        let lot_usd = crate::sim::contracts::COINS[contract.coin].price * contract.lot_coins();
        let mut from = 0;
        for (n, tier) in contract.tiers.iter().enumerate() {
            let to = (tier.cap / lot_usd).round() as i64;
            if wanted == 0 || wanted == n as i64 + 1 {
                rows.push(tier_row(contract, n + 1, (from, to), tier.rate, tier.max_leverage));
            }
            from = to + 1;
        }
    }
    Ok(rows)
}

fn tier_row(contract: &Contract, tier: usize, lots: (i64, i64), mmr: f64, max_leverage: f64) -> String {
    json!({
        "baseMaxLoan": "",
        "imr": trimmed(rounded(1.0 / max_leverage, 4)),
        "instFamily": frames::family(contract),
        "instId": "",
        "maxLever": trimmed(Decimal(max_leverage as i128, 0)),
        "maxSz": trimmed(size(contract, lots.1)),
        "minSz": trimmed(size(contract, lots.0)),
        "mmr": trimmed(rounded(mmr, 4)),
        "optMgnFactor": "0",
        "quoteMaxLoan": "",
        "tier": tier.to_string(),
        "uly": frames::family(contract),
    })
    .to_string()
}

#[cfg(test)]
mod tests;
