//! Hyperliquid REST calls and answers (`exchanges.md` §6.4). Each struct shows a real payload; the tests read it.
//!
//! There is one path, `/info`; what is asked stands in the posted JSON.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::feed::instruments::Listing;
use crate::feed::venue::read::{Number, minute};
use crate::feed::venue::{Directory, Request};
use crate::market::{Asset, Candle, Instrument, Interval, MarginTier, Price, Qty};

use super::margin;
use super::stream::{AssetCtx, CandleRow};

/// The one path.
pub const PATH: &str = "/info";

/// What a call asked, as far as its answer does not say it: `{"type":"meta","dex":""}`.
#[derive(Debug, Deserialize)]
pub struct Ask<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    /// Another exchange on the same chain; ours is the one without a name.
    #[serde(borrow, default)]
    pub dex: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub req: Option<CandleAsk<'a>>,
}

/// The inner part of `{"type":"candleSnapshot","req":{"coin":"BTC","interval":"1m","startTime":1684702007000,"endTime":1684784807000}}`.
#[derive(Debug, Deserialize)]
pub struct CandleAsk<'a> {
    #[serde(borrow)]
    pub coin: Cow<'a, str>,
    #[serde(borrow)]
    pub interval: Cow<'a, str>,
}

/// `{"type":"metaAndAssetCtxs"}` (weight 20): what is listed, and how each coin stands.
pub fn contexts() -> Request {
    Request::post(PATH, r#"{"type":"metaAndAssetCtxs"}"#, 20)
}

/// `{"type":"l2Book"}` (weight 2): the cheapest answer that tells the venue's time.
pub fn clock(coin: &str) -> Request {
    Request::post(PATH, format!(r#"{{"type":"l2Book","coin":{}}}"#, quoted(coin)), 2)
}

/// How far back minutes are kept: the last 5000 (§6.4).
const MINUTES: i64 = 5_000;

/// The call that tells the minutes from `from` up to the last finished one before `now` (UTC ms); `None` if there are
/// none. Minutes without a trade may be missing from the answer.
pub fn candles(coin: &str, from: i64, now: i64) -> Option<Request> {
    let minute = Interval::M1;
    let this = minute.floor(now);
    let start = minute.floor(from).max(this - MINUTES * minute.ms());
    let body = format!(
        r#"{{"type":"candleSnapshot","req":{{"coin":{},"interval":"1m","startTime":{start},"endTime":{}}}}}"#,
        quoted(coin),
        this - 1
    );
    // 20, and one for every 60 rows (§6.1).
    let rows = u32::try_from((this - start) / minute.ms()).unwrap_or_default();
    (start < this).then(|| Request::post(PATH, body, 20 + rows.div_ceil(60)))
}

/// A text as JSON; names are case-sensitive (§1.6).
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `meta`, alone or as the first half of `metaAndAssetCtxs`.
///
/// `{"universe":[{"name":"BTC","szDecimals":5,"maxLeverage":40,"marginTableId":56}],"marginTables":[[56,{"description":"tiered 40x","marginTiers":[{"lowerBound":"0.0","maxLeverage":40},{"lowerBound":"150000000.0","maxLeverage":20}]}]],"collateralToken":0}`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta<'a> {
    #[serde(borrow)]
    universe: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    margin_tables: Vec<&'a RawValue>,
}

/// One coin of [`Meta`]: `{"name":"ATOM","szDecimals":2,"maxLeverage":5,"marginTableId":5,"isDelisted":null}`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Coin<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    sz_decimals: Number<u32>,
    max_leverage: Number<u32>,
    margin_table_id: Option<Number<i64>>,
    is_delisted: Option<bool>,
}

/// One table of [`Meta`]: `[56,{"description":"tiered 40x","marginTiers":[{"lowerBound":"0.0","maxLeverage":40}]}]`
#[derive(Deserialize)]
struct MarginTable(Number<i64>, MarginRows);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MarginRows {
    margin_tiers: Vec<MarginRow>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MarginRow {
    lower_bound: Number<Qty>,
    max_leverage: Number<u32>,
}

/// A coin that trades, and how it stands if the answer tells it.
pub type Listed<'a> = (Listing, Option<AssetCtx<'a>>);

/// Reads `meta` (`{…}`) or `metaAndAssetCtxs` (`[{…},[…]]`): the coins that trade. One that cannot be read is left out:
/// an odd listing must not hide the rest.
pub fn universe(text: &str) -> Result<Vec<Listed<'_>>, String> {
    let (meta, contexts): (Meta<'_>, Option<Vec<&RawValue>>) = if text.trim_ascii_start().starts_with('[') {
        let (meta, contexts) = json(text)?;
        (meta, Some(contexts))
    } else {
        (json(text)?, None)
    };
    if contexts.as_ref().is_some_and(|c| c.len() != meta.universe.len()) {
        return Err("coins and contexts do not go together".into());
    }
    let tables: Vec<MarginTable> =
        meta.margin_tables.iter().filter_map(|raw| serde_json::from_str(raw.get()).ok()).collect();
    let listed = meta.universe.iter().enumerate().filter_map(|(at, raw)| {
        let coin: Coin<'_> = serde_json::from_str(raw.get()).ok()?;
        let context = contexts.as_ref().and_then(|c| c.get(at));
        let context: Option<AssetCtx<'_>> = context.and_then(|raw| serde_json::from_str(raw.get()).ok());
        Some((listing(&coin, context.as_ref(), &tables)?, context))
    });
    Ok(listed.collect())
}

/// Reads what is listed.
pub fn directory(text: &str) -> Result<Directory, String> {
    let listings = universe(text)?.into_iter().map(|(listing, _)| listing).collect();
    Ok(Directory { now: None, listings })
}

fn listing(coin: &Coin<'_>, context: Option<&AssetCtx<'_>>, tables: &[MarginTable]) -> Option<Listing> {
    if coin.is_delisted == Some(true) {
        return None;
    }
    let (asset, multiplier) = asset_of(&coin.name)?;
    let tick = tick(context.and_then(|c| c.mark_px), coin.sz_decimals.0)?.checked_div(multiplier)?;
    let instrument = Instrument {
        symbol: coin.name.as_ref().into(),
        tick,
        // Sizes go in steps of 10^−szDecimals (§6.4).
        lot: Qty::from_raw(10_i128.checked_pow(Qty::DIGITS.checked_sub(coin.sz_decimals.0)?)?),
        contract: Qty::from_raw(10_i128.pow(Qty::DIGITS)),
        multiplier,
        linear: true,
        tiers: tiers(asset, coin, tables),
    };
    let day_usd = context.and_then(|c| c.day_ntl_vlm.as_deref()).and_then(|usd| usd.parse::<Qty>().ok());
    Some(Listing {
        asset,
        instrument: Some(instrument),
        symbol: coin.name.as_ref().into(),
        multiplier,
        day_usd: day_usd.and_then(|usd| u64::try_from(usd.raw() / 10_i128.pow(Qty::DIGITS)).ok()),
    })
}

fn tiers(asset: Asset, coin: &Coin<'_>, tables: &[MarginTable]) -> Vec<MarginTier> {
    let table = coin.margin_table_id.and_then(|id| tables.iter().find(|t| t.0.0 == id.0));
    let rows = table.map(|MarginTable(_, rows)| {
        rows.margin_tiers.iter().map(|r| (r.lower_bound.0, r.max_leverage.0)).collect::<Vec<_>>()
    });
    let listed = rows.and_then(|rows| margin::tiers(&rows));
    listed.unwrap_or_else(|| margin::fallback(asset, coin.max_leverage.0))
}

/// The smallest price step near a price, in the venue's own unit: at most five significant figures and at most 6 − szDecimals
/// decimals; whole numbers are always allowed (§6.4). Without a price the decimals decide. `None` if there are too many.
fn tick(near: Option<Price>, sz_decimals: u32) -> Option<Price> {
    let decimals = i64::from(sz_decimals) - 6;
    let figures =
        near.filter(|p| p.is_positive()).map(|p| i64::from(p.raw().ilog10()) - i64::from(Price::DIGITS) - 4);
    let exponent = figures.unwrap_or(decimals).max(decimals).min(0);
    let places = u32::try_from(exponent + i64::from(Price::DIGITS)).ok()?;
    Some(Price::from_raw(10_i128.pow(places)))
}

/// Names that stand for a thousand coins (§1.6). A table, not a rule, and the case matters: `kPEPE` is not `KPEPE`.
const THOUSANDS: [&str; 7] = ["kPEPE", "kSHIB", "kBONK", "kFLOKI", "kLUNC", "kDOGS", "kNEIRO"];

/// The asset behind a coin's name and how many coins one unit is; `None` for what is no perpetual of ours: `dex:COIN` is
/// another exchange's, `@N` and `PURR/USDC` are spot (§1.6).
pub fn asset_of(name: &str) -> Option<(Asset, Qty)> {
    if name.contains([':', '@', '/', '#']) {
        return None;
    }
    let one = 10_i128.pow(Qty::DIGITS);
    let thousand = THOUSANDS.contains(&name).then(|| name.strip_prefix('k')).flatten();
    let (coin, coins) = thousand.map_or((name, one), |coin| (coin, 1_000 * one));
    Some((coin.parse().ok()?, Qty::from_raw(coins)))
}

/// What a coin is when the venue's own list is not at hand.
pub fn guess(name: &str) -> Option<Listing> {
    let (asset, multiplier) = asset_of(name)?;
    Some(Listing { asset, instrument: None, symbol: name.into(), multiplier, day_usd: None })
}

impl CandleRow<'_> {
    /// The bar, per coin. Hyperliquid does not split volume by taker (§6.2).
    pub fn candle(&self, listing: &Listing) -> Result<Candle, &'static str> {
        if Interval::M1.floor(self.t) != self.t {
            return Err("candle does not start with its minute");
        }
        minute(listing, [self.o, self.h, self.l, self.c], self.v, None)
    }
}

fn json<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests;
