//! REST: everything is `POST /info` with a `type` (exchanges.md §6.4).

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::accounts::{self, Account};
use super::numbers::float;
use super::topics::{Grain, INTERVALS};
use super::{Exchange, contexts, frames, mids, universe};
use crate::sim::contracts::EIGHT_HOURS_MS;
use crate::sim::exchange::View;
use crate::sim::history::Funding;
use crate::sim::text::rounded;
use crate::sim::trouble::Directory;
use crate::sim::venue::interval::Interval;
use crate::sim::world::contract::Contract;

/// Candles kept by the real exchange.
const CANDLES: usize = 5_000;
/// Rows of funding in an answer; the sheet does not say.
const FUNDINGS: usize = 500;
/// Rows of `recentTrades`.
const RECENT: usize = 10;
/// The margin table of the dead coin: numbers below 50 are tables of one tier with that leverage.
const DEAD_LEVERAGE: u32 = 20;

pub(super) fn router() -> Router<Arc<Exchange>> {
    Router::new().route("/info", post(answer))
}

pub(super) fn too_many() -> impl IntoResponse {
    (StatusCode::TOO_MANY_REQUESTS, "Too many requests")
}

/// A body that is no request; the sheet does not say what comes then, and this is what clients report.
fn unreadable() -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, "Failed to deserialize the JSON body into the target type")
        .into_response()
}

async fn answer(State(exchange): State<Arc<Exchange>>, body: String) -> Response {
    let Ok(request) = serde_json::from_str::<Value>(&body) else { return unreadable() };
    let kind = request["type"].as_str().unwrap_or_default();
    let limits = &exchange.encoder.limits;
    let weight = match kind {
        "l2Book" | "allMids" | "clearinghouseState" => 2,
        _ => 20,
    };
    if !limits.ask(weight) {
        return too_many().into_response();
    }
    let answered = match reply(&exchange, kind, &request).await {
        Ok(Some(answered)) => answered,
        Ok(None) => return unreadable(),
        Err(error) => {
            tracing::error!("{error:#}");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    limits.answered(answered.weight);
    ([(header::CONTENT_TYPE, "application/json")], answered.body).into_response()
}

/// An answer, and what it weighs beside its request.
#[derive(Debug)]
struct Answered {
    body: String,
    weight: u32,
}

impl Answered {
    fn plain(body: String) -> Self {
        Self { body, weight: 0 }
    }

    /// A list, which weighs 1 for so many rows.
    fn rows(rows: &[String], a_weight: usize) -> Self {
        Self { body: format!("[{}]", rows.join(",")), weight: (rows.len() / a_weight) as u32 }
    }
}

/// `None` for what cannot be read.
async fn reply(exchange: &Exchange, kind: &str, request: &Value) -> anyhow::Result<Option<Answered>> {
    if request.get("dex").and_then(Value::as_str).is_some_and(|dex| !dex.is_empty()) {
        return Ok(None);
    }
    let answered = match kind {
        "meta" => Some(Answered::plain(exchange.trouble.cut_directory(meta(exchange).to_string()))),
        "metaAndAssetCtxs" => {
            let contexts = exchange.markets.at_now(|at| contexts(exchange, at));
            let body = json!([meta(exchange), contexts]).to_string();
            Some(Answered::plain(exchange.trouble.cut_directory(body)))
        }
        "allMids" => Some(Answered::plain(exchange.markets.at_now(|at| mids(exchange, at)).to_string())),
        "l2Book" => {
            with(exchange, request, |view, _: &Coin| {
                Answered::plain(frames::book(
                    view.contract,
                    &view.history.book(view.at),
                    Grain::Slow,
                    view.now_ms,
                ))
            })
            .await?
        }
        "recentTrades" => {
            with(exchange, request, |view, _: &Coin| {
                let mut rows = frames::recent(&view.history, RECENT);
                rows.reverse();
                Answered::rows(&rows, 20)
            })
            .await?
        }
        "candleSnapshot" => match request.get("req") {
            Some(req)
                if Interval::named(&INTERVALS, req["interval"].as_str().unwrap_or_default()).is_some() =>
            {
                with(exchange, req, candles).await?
            }
            _ => None,
        },
        "fundingHistory" => with(exchange, request, funding).await?,
        "clearinghouseState" => state(exchange, request),
        _ => None,
    };
    Ok(answered)
}

#[derive(Debug, Deserialize)]
struct Coin {
    coin: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Range {
    coin: String,
    #[serde(default)]
    interval: String,
    start_time: i64,
    end_time: Option<i64>,
}

impl Range {
    fn holds(&self, ms: i64) -> bool {
        (self.start_time..=self.end_time.unwrap_or(i64::MAX)).contains(&ms)
    }
}

/// A request that names a coin.
trait Named: DeserializeOwned {
    fn coin(&self) -> &str;
}

impl Named for Coin {
    fn coin(&self) -> &str {
        &self.coin
    }
}

impl Named for Range {
    fn coin(&self) -> &str {
        &self.coin
    }
}

/// The answer about the coin that was asked for, brought up to the clock.
async fn with<R: Named>(
    exchange: &Exchange,
    request: &Value,
    tell: impl FnOnce(&View<'_>, &R) -> Answered,
) -> anyhow::Result<Option<Answered>> {
    let Ok(request) = serde_json::from_value::<R>(request.clone()) else { return Ok(None) };
    let Some(coin) = Exchange::find(request.coin()) else { return Ok(None) };
    exchange.read(coin, |view| tell(view, &request)).await.map(Some)
}

/// Who is not simulated has nothing, and nobody has anything in a market that is at rest.
fn state(exchange: &Exchange, request: &Value) -> Option<Answered> {
    let user = request["user"].as_str()?;
    let digits = user.strip_prefix("0x")?;
    if digits.len() != 40 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let account = Account::of(user);
    let state = exchange.markets.at_now(|at| {
        let mut positions = Vec::new();
        exchange.each(at, |view| {
            positions.extend(account.and_then(|account| accounts::position(account, view)));
        });
        accounts::state(account, &positions, at + exchange.trouble.skew_ms())
    });
    Some(Answered::plain(state.to_string()))
}

/// What is listed.
fn meta(exchange: &Exchange) -> Value {
    let spoilt = exchange.trouble.directory() == Directory::OneRow;
    let contracts = Exchange::contracts();
    let coin = |(n, contract): (usize, &Contract)| {
        // The second row is spoilt, so that those before and after it can be seen to be read.
        let decimals = if spoilt && n == 1 { json!("a few") } else { json!(contract.size_decimals) };
        let (id, highest) = table(contract);
        let mut row = json!({
            "name": contract.symbol,
            "szDecimals": decimals,
            "maxLeverage": highest,
            "marginTableId": id,
        });
        if !exchange.is_trading(contract) {
            row["isDelisted"] = json!(true);
        }
        row
    };
    let dead = json!({
        "name": frames::DEAD,
        "szDecimals": 1,
        "maxLeverage": DEAD_LEVERAGE,
        "marginTableId": DEAD_LEVERAGE,
        "isDelisted": true,
    });
    let dead_table = json!([DEAD_LEVERAGE, {
        "description": "",
        "marginTiers": [{ "lowerBound": "0.0", "maxLeverage": DEAD_LEVERAGE }],
    }]);
    json!({
        "universe": universe(contracts.iter().enumerate().map(coin).collect(), dead),
        "marginTables": universe(contracts.iter().map(margin_table).collect(), dead_table),
        "collateralToken": 0,
    })
}

/// Number of a contract's margin table, and its highest leverage.
fn table(contract: &Contract) -> (u32, u32) {
    let highest = contract.tiers.first().map_or(1, |tier| tier.max_leverage as u32);
    let id = if contract.tiers.len() > 1 { 50 + contract.coin as u32 + 1 } else { highest };
    (id, highest)
}

/// Tiers by where they begin; rates and deductions follow from the leverage (exchanges.md §14).
fn margin_table(contract: &Contract) -> Value {
    let (id, highest) = table(contract);
    let mut lower = 0.0;
    let tiers: Vec<_> = contract
        .tiers
        .iter()
        .map(|tier| {
            let row = json!({
                "lowerBound": float(rounded(lower, 1)),
                "maxLeverage": tier.max_leverage as u32,
            });
            lower = tier.cap;
            row
        })
        .collect();
    let description = if tiers.len() > 1 { format!("tiered {highest}x") } else { String::new() };
    json!([id, { "description": description, "marginTiers": tiers }])
}

fn candles(view: &View<'_>, range: &Range) -> Answered {
    let interval = Interval::named(&INTERVALS, &range.interval).unwrap_or(INTERVALS[0]);
    let to = range.end_time.unwrap_or(i64::MAX);
    let bars = view.history.bars_of(interval.ms, range.start_time, to);
    let kept = &bars[bars.len().saturating_sub(CANDLES)..];
    let rows: Vec<_> = kept.iter().map(|bar| frames::candle(view.contract, bar, interval)).collect();
    Answered::rows(&rows, 60)
}

fn funding(view: &View<'_>, range: &Range) -> Answered {
    let coin = view.contract.symbol;
    let rows: Vec<_> = view
        .history
        .funding
        .iter()
        .filter(|row| range.holds(row.ms))
        .take(FUNDINGS)
        .map(|row| {
            let rate = float(rounded(row.rate, 10));
            let premium = float(rounded(premium(row, view.contract), 10));
            format!(r#"{{"coin":"{coin}","fundingRate":"{rate}","premium":"{premium}","time":{}}}"#, row.ms)
        })
        .collect();
    Answered::rows(&rows, 20)
}

/// The premium that gave a rate; 0 stands for all those that leave the rate at one basis point in eight hours.
fn premium(row: &Funding, contract: &Contract) -> f64 {
    let over = row.rate * EIGHT_HOURS_MS as f64 / contract.funding_ms as f64 - 0.0001;
    if over.abs() < 1e-7 { 0.0 } else { over + 0.0001 + 0.0005 * over.signum() }
}
