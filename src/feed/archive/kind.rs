//! What a file holds, told by its name and its first line.

use std::path::Path;

use anyhow::{Context, bail};

use crate::feed::capture;
use crate::feed::instruments::Listing;
use crate::feed::venue::{self, binance};
use crate::market::{Qty, Venue};

/// What a file holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Market events of ours, a line each.
    Events,
    /// A kind of Binance's public archive (`exchanges.md` §3.4), all of one symbol.
    Binance(Table, Box<Listing>),
    /// Trades of any symbols as Tardis exports them.
    TardisTrades,
    /// Liquidations likewise.
    TardisLiquidations,
}

/// The kinds of file in Binance's public archive that say something of levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Candles.
    Klines,
    /// Trades, those of one price and taker within 100 ms as one.
    AggTrades,
    /// Open interest, each five minutes.
    Metrics,
}

/// First names of the columns of each table, where a file has a header.
const HEADERS: [(&str, Table); 3] =
    [("open_time,", Table::Klines), ("agg_trade_id,", Table::AggTrades), ("create_time,", Table::Metrics)];
/// The header of trades and of liquidations alike.
const TARDIS: &str = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount";

/// Names that may follow a file's own: how it is packed, and that it is a table.
const ENDINGS: [&str; 4] = [".gz", ".zst", ".zip", ".csv"];

/// Tells what a file holds, and whether its first line is a header.
pub fn tell(path: &Path, first: &str) -> anyhow::Result<(Kind, bool)> {
    if first.starts_with('{') {
        if capture::is_line(first) {
            bail!(
                "it is a capture of raw frames: make events of it first, with `meltline tap ASSET --input FILE`"
            );
        }
        return Ok((Kind::Events, false));
    }
    let name = bare_name(path);
    let header = first.trim_start_matches('\u{feff}').to_ascii_lowercase();
    if header.starts_with(TARDIS) {
        return Ok((tardis(&name)?, true));
    }
    let told = HEADERS.iter().find(|(start, _)| header.starts_with(start)).map(|(_, table)| *table);
    let mut parts = name.split('-');
    let (symbol, kind) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let named = match kind {
        "aggTrades" => Some(Table::AggTrades),
        "metrics" => Some(Table::Metrics),
        interval if is_interval(interval) => Some(Table::Klines),
        _ => None,
    };
    let table = told.or(named).context(
        "what it holds is told neither by its first line nor by its name: NDJSON events, Binance's archive (such as \
         BTCUSDT-aggTrades-2024-06-19.zip) and Tardis' trades and liquidations are read",
    )?;
    let columns = first.split(',').count();
    if table == Table::AggTrades && columns > 7 {
        bail!(
            "it is of the spot market: the heatmap is made of USD-M futures (data/futures/um in the archive)"
        );
    }
    if told.is_none() && columns != columns_of(table) {
        bail!("by its name it has {} columns, but its first line has {columns}", columns_of(table));
    }
    let listing = crate::feed::instruments::guess(symbol).with_context(|| {
        format!(
            "{symbol:?} in its name is no perpetual in USDT or USDC: name it as the archive does, such as \
             BTCUSDT-aggTrades-2024-06-19.csv"
        )
    })?;
    Ok((Kind::Binance(table, Box::new(listing)), told.is_some()))
}

/// How many columns a table has.
pub const fn columns_of(table: Table) -> usize {
    match table {
        Table::Klines => 12,
        Table::AggTrades => 7,
        Table::Metrics => 8,
    }
}

/// `binance-futures_liquidations_2021-09-01_PERPETUALS.csv.gz`: the two kinds have the same columns.
fn tardis(name: &str) -> anyhow::Result<Kind> {
    match (name.contains("liquidations"), name.contains("trades")) {
        (true, false) => Ok(Kind::TardisLiquidations),
        (false, true) => Ok(Kind::TardisTrades),
        _ => bail!(
            "it is Tardis', but trades and liquidations have the same columns: put the one word into its name, as in \
             binance-futures_trades_2024-06-01_BTCUSDT.csv.gz"
        ),
    }
}

/// The venue of an exchange as Tardis calls it.
pub fn tardis_venue(exchange: &str) -> Option<Venue> {
    let name = match exchange {
        "binance-futures" => binance::NAME,
        "bybit" => venue::bybit::NAME,
        "okex-swap" => venue::okx::NAME,
        "hyperliquid" => venue::hyperliquid::NAME,
        _ => return None,
    };
    name.parse().ok()
}

/// Coins a contract is, for what is counted in coins.
pub fn one() -> Qty {
    Qty::from_raw(10_i128.pow(Qty::DIGITS))
}

/// `1m`, `12h`, `1mo`.
fn is_interval(text: &str) -> bool {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    unit.len() < text.len() && ["s", "m", "h", "d", "w", "mo"].contains(&unit)
}

/// A file's name without how it is packed.
fn bare_name(path: &Path) -> String {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mut bare = name.as_str();
    while let Some(shorter) = ENDINGS.iter().find_map(|ending| bare.strip_suffix(ending)) {
        bare = shorter;
    }
    bare.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRADE: &str = "1,65000.1,0.5,1,2,1718755200123,true";
    const CANDLE: &str = "1718755200000,1,3,1,2,10,1718755259999,20,5,4,8,0";

    fn told(name: &str, first: &str) -> String {
        match tell(Path::new(name), first) {
            Ok((Kind::Binance(table, listing), header)) => {
                format!("{table:?} {} x{} {header}", listing.asset, listing.multiplier)
            }
            Ok((kind, header)) => format!("{kind:?} {header}"),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn kinds_are_told_by_name_or_header() {
        assert_eq!(told("dir/BTCUSDT-aggTrades-2024-06-19.zip", TRADE), "AggTrades BTC x1 false");
        assert_eq!(told("1000PEPEUSDT-1m-2024-06.csv.gz", CANDLE), "Klines PEPE x1000 false");
        assert_eq!(told("BTCUSDC-anything.csv", "open_time,open,high"), "Klines BTC x1 true");
        assert_eq!(told("ETHUSDT-metrics-2024-06-19.csv", "create_time,symbol,"), "Metrics ETH x1 true");
        let header = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount";
        assert_eq!(told("bybit_trades_2024-06-01_BTCUSDT.csv.gz", header), "TardisTrades true");
        assert_eq!(told("binance-futures_liquidations_x.csv", header), "TardisLiquidations true");
        assert_eq!(told("events", r#"{"v":1,"type":"trade"}"#), "Events false");
    }

    #[test]
    fn what_is_not_read_is_refused_with_a_remedy() {
        let cases = [
            ("BTCUSDT-aggTrades-2024-06-19.csv", "1,65000.1,0.5,1,2,1718755200123,True,True", "spot market"),
            ("BTCUSDT-1m-2024-06-19.csv", TRADE, "its first line has 7"),
            ("BTCUSD_PERP-1m-2024-06-19.csv", CANDLE, "name it as the archive does"),
            ("notes.txt", "hello", "neither by its first line nor by its name"),
            ("x.csv", "exchange,symbol,timestamp,local_timestamp,id,side,price,amount", "put the one word"),
            ("c.ndjson", r#"{"recv":1,"venue":"okx","conn":"a","raw":"x"}"#, "meltline tap"),
        ];
        for (name, first, words) in cases {
            assert!(told(name, first).contains(words), "{}", told(name, first));
        }
    }
}
