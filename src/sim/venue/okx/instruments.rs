//! The list of instruments (exchanges.md §5.2, §5.3): every contract, and two rows a client has to pass over.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::Exchange;
use super::frames;
use crate::sim::text::{Decimal, trimmed};
use crate::sim::trouble::Directory;
use crate::sim::world::contract::Contract;

/// What tells instruments apart.
struct Instrument<'a> {
    id: &'a str,
    family: &'a str,
    /// `instCategory`: 1 is a coin, 3 a stock.
    category: &'a str,
    kind: &'a str,
    value: String,
    value_coin: &'a str,
    settled_in: &'a str,
    state: &'a str,
    leverage: String,
    tick: String,
    lot: String,
    code: usize,
}

/// The rows wanted by `instId`, `instFamily` and `uly`. What left the market is not in the list any more.
pub(super) fn list(exchange: &Exchange, params: &HashMap<String, String>) -> Vec<String> {
    let spoilt = exchange.trouble.directory() == Directory::OneRow;
    let contracts = Exchange::contracts().iter().enumerate().filter(|(_, c)| exchange.is_trading(c));
    let mut rows = vec![row(&inverse())];
    for (n, contract) in contracts {
        // The second contract, so that those before and after it can be seen to be read.
        let tick = if spoilt && n == 1 { "a tenth".to_owned() } else { unit(contract.price_decimals as i32) };
        rows.push(row(&linear(contract, 10_459 + n, tick)));
    }
    rows.push(row(&stock()));
    let asked = |row: &Value, name: &str| params.get(name).is_none_or(|value| row[name] == value.as_str());
    let wanted = |row: &Value| ["instId", "instFamily", "uly"].iter().all(|name| asked(row, name));
    rows.into_iter().filter(wanted).map(|row| row.to_string()).collect()
}

/// One of the last decimal: the tick, the lot.
fn unit(decimals: i32) -> String {
    trimmed(Decimal(1, decimals))
}

fn linear(contract: &Contract, code: usize, tick: String) -> Instrument<'_> {
    let leverage = contract.tiers.first().map_or(1.0, |tier| tier.max_leverage);
    Instrument {
        id: contract.symbol,
        family: frames::family(contract),
        category: "1",
        kind: "linear",
        value: unit(contract.lot_decimals - contract.size_decimals),
        value_coin: contract.base,
        settled_in: "USDT",
        state: "live",
        leverage: trimmed(Decimal(leverage as i128, 0)),
        tick,
        lot: unit(contract.size_decimals),
        code,
    }
}

/// An inverse swap: its contracts are of 100 USD.
fn inverse() -> Instrument<'static> {
    Instrument {
        id: "BTC-USD-SWAP",
        family: "BTC-USD",
        category: "1",
        kind: "inverse",
        value: "100".to_owned(),
        value_coin: "USD",
        settled_in: "BTC",
        state: "live",
        leverage: "100".to_owned(),
        tick: "0.1".to_owned(),
        lot: "1".to_owned(),
        code: 10_458,
    }
}

/// A swap on a stock while its contracts are resized.
fn stock() -> Instrument<'static> {
    Instrument {
        id: "ACME-USDT-SWAP",
        family: "ACME-USDT",
        category: "3",
        kind: "linear",
        value: "0.1".to_owned(),
        value_coin: "ACME",
        settled_in: "USDT",
        state: "rebase",
        leverage: "5".to_owned(),
        tick: "0.01".to_owned(),
        lot: "1".to_owned(),
        code: 20_001,
    }
}

fn row(instrument: &Instrument<'_>) -> Value {
    let texts = [
        ("alias", ""),
        ("auctionEndTime", ""),
        ("baseCcy", ""),
        ("category", "1"),
        ("contTdSwTime", ""),
        ("ctMult", "1"),
        ("ctType", instrument.kind),
        ("ctVal", &instrument.value),
        ("ctValCcy", instrument.value_coin),
        ("expTime", ""),
        ("instCategory", instrument.category),
        ("instFamily", instrument.family),
        ("instId", instrument.id),
        ("instType", "SWAP"),
        ("lever", &instrument.leverage),
        ("listTime", "1611916828000"),
        ("lotSz", &instrument.lot),
        ("maxIcebergSz", "100000000.0000000000000000"),
        ("maxLmtAmt", "20000000"),
        ("maxLmtSz", "100000000"),
        ("maxMktAmt", ""),
        ("maxMktSz", "30000"),
        ("maxPlatOILmt", ""),
        ("maxStopSz", "30000"),
        ("maxTriggerSz", "100000000.0000000000000000"),
        ("maxTwapSz", "100000000.0000000000000000"),
        ("minSz", &instrument.lot),
        ("openType", ""),
        ("optType", ""),
        ("posLmtAmt", ""),
        ("posLmtPct", ""),
        ("preMktSwTime", ""),
        ("quoteCcy", ""),
        ("ruleType", "normal"),
        ("settleCcy", instrument.settled_in),
        ("state", instrument.state),
        ("stk", ""),
        ("tickSz", &instrument.tick),
        ("uly", instrument.family),
    ];
    let mut row: Map<String, Value> =
        texts.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect();
    // The few that are no texts.
    row.insert("futureSettlement".to_owned(), false.into());
    row.insert("instIdCode".to_owned(), instrument.code.into());
    row.insert("tradeQuoteCcyList".to_owned(), Value::Array(Vec::new()));
    row.into()
}
