//! Rows of tables as market events.
//!
//! Binance's archive: the columns are those of the REST answers of the same name (`exchanges.md` §3.4) in their order; times are ms in files
//! of futures, µs in newer ones of spot, and are told apart by their size. Tardis: `docs.tardis.dev`, "Downloadable CSV files", times in
//! µs, `side` of a trade its taker's, of a liquidation that of the closing order, amounts as the exchange counts.

use crate::feed::instruments::Listing;
use crate::feed::venue::read::{minute, positive};
use crate::feed::venue::{self, binance, bybit};
use crate::market::event::is_time;
use crate::market::{
    Asset, EventKind, Interval, Liquidation, MarketEvent, Price, PriceKind, Qty, Sampled, Side, TakerSide,
    Trade, Venue,
};

use super::kind::{self, Table, columns_of};

/// From here on (2026-04-14, UTC ms) Binance prints the largest liquidation of a second, before that the latest (`exchanges.md` §1.2).
const BINANCE_LARGEST: i64 = 1_776_124_800_000;
/// From here on (2025-02-20) all of Bybit's are told, before that one a second (`exchanges.md` §2).
const BYBIT_ALL: i64 = 1_740_009_600_000;
/// A number larger than this is in µs: as ms it would lie beyond the year 5000.
const MICROS: i64 = 100_000_000_000_000;

/// What a row says; `None` where it is about another asset. The number, where there is one, grows with the rows of a kind: one that was
/// there before is a repeat.
pub type Row = Option<(MarketEvent, Option<i64>)>;

type Read<T> = Result<T, String>;

/// Reads a row of Binance's archive.
pub fn binance(table: Table, listing: &Listing, line: &str) -> Read<Row> {
    let venue: Venue = binance::NAME.parse().map_err(|_| "no venue".to_owned())?;
    let event = |ts, kind| MarketEvent { venue, asset: listing.asset, ts, recv: None, kind };
    match table {
        // 1718755200000,65000,65010,64990,65001,12.3,1718755259999,799512.3,321,6.1,396506.1,0
        Table::Klines => {
            let [open_time, open, high, low, close, volume, close_time, _, _, taker_buy, ..] =
                fields::<12>(line)?;
            let (start, end) = (ms(open_time)?, ms(close_time)?);
            let interval = Interval::from_ms(end - start + 1)
                .filter(|i| (Interval::M1..=Interval::D1).contains(i) && i.floor(start) == start)
                .ok_or("no candle of a minute to a day: its times do not fit")?;
            let prices = [number(open)?, number(high)?, number(low)?, number(close)?];
            let candle = minute(listing, prices, number(volume)?, Some(number(taker_buy)?))?;
            let candle = crate::market::Candle { interval, ..candle };
            Ok(Some((event(start, EventKind::Candle(candle)), Some(start))))
        }
        // 26129,65000.1,0.5,27781,27781,1718755200123,true
        Table::AggTrades => {
            let [id, price, qty, _, _, time, is_maker] = fields::<7>(line)?;
            // The buyer was the maker: the seller took.
            let taker = match is_maker {
                "true" | "True" => TakerSide::Sell,
                "false" | "False" => TakerSide::Buy,
                _ => return Err("is_buyer_maker is neither true nor false".to_owned()),
            };
            let (price, qty) = per_coin(listing, kind::one(), price, qty)?;
            let trade = Trade { price, qty, taker, id: None, parties: None };
            Ok(Some((event(ms(time)?, EventKind::Trade(trade)), Some(number(id)?))))
        }
        // 2024-06-19 00:05:00,BTCUSDT,78212.546,5083112345.12,1.2,1.1,1.3,0.9
        Table::Metrics => {
            let [time, symbol, qty, ..] = fields::<{ columns_of(Table::Metrics) }>(line)?;
            if symbol != &*listing.symbol {
                return Ok(None);
            }
            let qty = listing.qty(positive(number(qty)?)?).ok_or("a number does not fit")?;
            let ts = civil(time)?;
            Ok(Some((event(ts, EventKind::OpenInterest(qty)), Some(ts))))
        }
    }
}

/// What rows of Tardis are read for.
pub struct Tardis {
    /// Which asset counts; the first seen, unless it is named.
    pub asset: Option<Asset>,
    /// The last symbol and what it is: rows of one come together.
    known: Option<(Venue, Listing, Qty)>,
}

impl Tardis {
    /// For an asset, or the first seen.
    pub fn new(asset: Option<Asset>) -> Self {
        Self { asset, known: None }
    }

    /// `binance-futures,BTCUSDT,1718755200123000,1718755200125000,26129,buy,65000.1,0.5`
    pub fn row(&mut self, is_liquidation: bool, line: &str) -> Read<Row> {
        let [exchange, symbol, time, local, _, side, price, amount] = fields::<8>(line)?;
        let Some(venue) = kind::tardis_venue(exchange) else {
            return Err(format!(
                "{exchange:?} is none of binance-futures, bybit, okex-swap and hyperliquid: nothing is known of its symbols"
            ));
        };
        if [binance::NAME, bybit::NAME].contains(&venue.as_str()) && !symbol.ends_with("USDT") {
            // Of an asset's contracts on a venue the feed follows that in USDT.
            return Ok(None);
        }
        let is_known = self.known.as_ref().is_some_and(|(v, l, _)| *v == venue && &*l.symbol == symbol);
        if !is_known {
            let Some((listing, contract)) = venue::guess(venue, symbol) else {
                // Of others nothing need be known.
                return if self.asset.is_some_and(|asset| !symbol.contains(asset.as_str())) {
                    Ok(None)
                } else {
                    Err(format!("{symbol:?} is no linear perpetual whose contract size is known"))
                };
            };
            self.known = Some((venue, listing, contract));
        }
        let Some((_, listing, contract)) = &self.known else { return Ok(None) };
        if *self.asset.get_or_insert(listing.asset) != listing.asset {
            return Ok(None);
        }
        let (ts, recv) = (micros(time)?, number::<i64>(local)?);
        let (price, qty) = per_coin(listing, *contract, price, amount)?;
        let is_buy = match side {
            "buy" => true,
            "sell" => false,
            _ => return Err("its side is not told".to_owned()),
        };
        let kind = if is_liquidation {
            // Who sells closes a long.
            let position = if is_buy { Side::Short } else { Side::Long };
            let (price_kind, sampled) = feed_of(venue, ts).ok_or("this exchange tells no liquidations")?;
            EventKind::Liquidation(Liquidation { position, price, qty, price_kind, sampled })
        } else {
            let taker = if is_buy { TakerSide::Buy } else { TakerSide::Sell };
            EventKind::Trade(Trade { price, qty, taker, id: None, parties: None })
        };
        let recv = recv.checked_mul(1_000).filter(|ns| *ns > 0);
        Ok(Some((MarketEvent { venue, asset: listing.asset, ts, recv, kind }, None)))
    }
}

/// What the price of a venue's liquidations is in Tardis' files, and how complete they are at a time (UTC ms): Binance's is the order's
/// (`exchanges.md` §3.2).
fn feed_of(venue: Venue, ts: i64) -> Option<(PriceKind, Sampled)> {
    Some(match venue.as_str() {
        binance::NAME if ts < BINANCE_LARGEST => (PriceKind::Order, Sampled::Latest),
        binance::NAME => (PriceKind::Order, Sampled::Largest),
        bybit::NAME if ts < BYBIT_ALL => (PriceKind::Bankruptcy, Sampled::Latest),
        bybit::NAME => (PriceKind::Bankruptcy, Sampled::No),
        venue::okx::NAME => (PriceKind::Bankruptcy, Sampled::Latest),
        _ => return None,
    })
}

/// A price and an amount as quoted, per coin and in coins.
fn per_coin(listing: &Listing, contract: Qty, price: &str, qty: &str) -> Read<(Price, Qty)> {
    let price = listing.price(positive(number(price)?)?).filter(|p| p.is_positive());
    let qty = positive(number::<Qty>(qty)?)?.checked_mul(contract).and_then(|qty| listing.qty(qty));
    price.zip(qty).ok_or_else(|| "a number does not fit".to_owned())
}

/// The cells of a row; there may be more, never fewer.
fn fields<const N: usize>(line: &str) -> Read<[&str; N]> {
    let mut cells = [""; N];
    let mut count = 0;
    for (cell, text) in cells.iter_mut().zip(line.split(',')) {
        *cell = text.trim();
        count += 1;
    }
    if count == N { Ok(cells) } else { Err(format!("{count} columns, where there should be {N}")) }
}

fn number<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Read<T> {
    let shown = || crate::feed::status::clean(text, 30);
    text.parse().map_err(|e| format!("{:?} is no number that fits ({e})", shown()))
}

/// A time in ms, or in µs where it is that large, as UTC ms.
fn ms(text: &str) -> Read<i64> {
    let time: i64 = number(text)?;
    checked(if time > MICROS { time / 1_000 } else { time })
}

fn micros(text: &str) -> Read<i64> {
    checked(number::<i64>(text)? / 1_000)
}

fn checked(ms: i64) -> Read<i64> {
    if ms > 0 && is_time(ms) { Ok(ms) } else { Err("its time is out of range".to_owned()) }
}

/// `2024-06-19 00:05:00`, UTC. Files of 2021 to 2023 that name only the day do not say at what time of it.
fn civil(text: &str) -> Read<i64> {
    let shown = || crate::feed::status::clean(text, 30);
    let time = text.parse::<jiff::civil::DateTime>().ok().filter(|_| text.contains(':'));
    let time = time.and_then(|t| t.to_zoned(jiff::tz::TimeZone::UTC).ok());
    let time = time.ok_or_else(|| format!("{:?} is no time such as 2024-06-19 00:05:00", shown()))?;
    checked(time.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::instruments::guess;
    use crate::market::ndjson::write_event;

    /// An event as the line it would be.
    fn line(row: Read<Row>) -> String {
        match row {
            Ok(Some((event, mark))) => {
                let mut out = Vec::new();
                write_event(&mut out, &event).unwrap();
                format!("{} {mark:?}", String::from_utf8(out).unwrap().trim_end().replace("\"v\":1,", ""))
            }
            Ok(None) => "other".to_owned(),
            Err(why) => why,
        }
    }

    #[test]
    fn rows_of_the_archive_are_events_per_coin() {
        let btc = guess("BTCUSDT").unwrap();
        let read = |table, text| line(binance(table, &btc, text));
        let candle = "1718755200000,65000.0,65010,64990,65001,12.3,1718755259999,799512.3,321,6.1,396506.1,0";
        let expected = r#"{"type":"candle","venue":"binance","asset":"BTC","ts":1718755200000,"interval":"1m","open":"65000","high":"65010","low":"64990","close":"65001","volume":"12.3","taker_buy":"6.1"} Some(1718755200000)"#;
        assert_eq!(read(Table::Klines, candle), expected);
        let in_micros =
            candle.replace("1718755200000", "1718755200000000").replace("1718755259999", "1718755259999999");
        assert_eq!(read(Table::Klines, &in_micros), expected);
        assert_eq!(
            read(Table::AggTrades, "26129,65000.1,0.5,1,2,1718755200123,true"),
            r#"{"type":"trade","venue":"binance","asset":"BTC","ts":1718755200123,"price":"65000.1","qty":"0.5","taker":"sell"} Some(26129)"#
        );
        assert_eq!(
            read(
                Table::Metrics,
                "2024-06-19 00:05:00,BTCUSDT,78212.5460000000000000,5083112345.12,1.2,1.1,1.3,0.9"
            ),
            r#"{"type":"open_interest","venue":"binance","asset":"BTC","ts":1718755500000,"qty":"78212.546"} Some(1718755500000)"#
        );
        let pepe = guess("1000PEPEUSDT").unwrap();
        assert_eq!(
            line(binance(Table::AggTrades, &pepe, "7,0.0123456,7,1,2,1718755200123,False")),
            r#"{"type":"trade","venue":"binance","asset":"PEPE","ts":1718755200123,"price":"0.0000123456","qty":"7000","taker":"buy"} Some(7)"#
        );
    }

    #[test]
    fn rows_of_tardis_are_events_of_their_venue() {
        let mut tardis = Tardis::new(Some("BTC".parse().unwrap()));
        let rest = "1718755200123456,1718755200125000,7,sell,65000.1,50";
        assert_eq!(
            line(tardis.row(false, &format!("okex-swap,BTC-USDT-SWAP,{rest}"))),
            r#"{"type":"trade","venue":"okx","asset":"BTC","ts":1718755200123,"recv":1718755200125000000,"price":"65000.1","qty":"0.5","taker":"sell"} None"#
        );
        assert_eq!(
            line(tardis.row(true, &format!("binance-futures,BTCUSDT,{rest}"))),
            r#"{"type":"liquidation","venue":"binance","asset":"BTC","ts":1718755200123,"recv":1718755200125000000,"position":"long","price":"65000.1","qty":"50","price_kind":"order","sampled":"latest"} None"#
        );
        assert_eq!(line(tardis.row(true, &format!("bybit,ETHUSDT,{rest}"))), "other");
        assert!(line(tardis.row(true, &format!("hyperliquid,BTC,{rest}"))).contains("no liquidations"));
        assert!(line(tardis.row(true, &format!("bitmex,XBTUSD,{rest}"))).contains("\"bitmex\" is none of"));
        assert_eq!(line(tardis.row(true, &format!("bybit,BTCUSD,{rest}"))), "other");
        assert!(
            line(tardis.row(true, &format!("okex-swap,BTC-USD-SWAP,{rest}"))).contains("no linear perpetual")
        );
    }

    #[test]
    fn rows_that_make_no_sense_say_why() {
        let btc = guess("BTCUSDT").unwrap();
        let read = |table, text| line(binance(table, &btc, text));
        assert!(read(Table::AggTrades, "1,2,3").contains("3 columns"));
        assert!(read(Table::AggTrades, "1,-65000.1,0.5,1,2,1718755200123,true").contains("positive"));
        assert!(read(Table::AggTrades, "1,65000.1,x\u{1b}[2J,1,2,1718755200123,true").contains("no number"));
        assert!(read(Table::AggTrades, "1,65000.1,0.5,1,2,-5,true").contains("out of range"));
        assert!(read(Table::AggTrades, "1,65000.1,0.5,1,2,1718755200123,maybe").contains("neither"));
        assert!(read(Table::Metrics, "2023-01-21,BTCUSDT,98666.1,2,0,1,0,0").contains("no time such as"));
        assert!(
            read(Table::Klines, "1718755200001,1,1,1,1,1,1718755259999,1,1,1,1,0").contains("do not fit")
        );
        assert!(
            read(Table::Klines, "1718755200000,1,1,2,1,1,1718755259999,1,1,1,1,0").contains("contradict")
        );
    }
}
