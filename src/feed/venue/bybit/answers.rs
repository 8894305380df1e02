//! Bybit's answers as events (`exchanges.md` §4.3).

use serde::Deserialize;

use crate::feed::instruments::{Listing, percent_decode};
use crate::feed::series::Sink;
use crate::feed::status::clean;
use crate::feed::translate::Class;
use crate::feed::venue::read::{self, Fault, parse, positive};
use crate::market::event::Mark;
use crate::market::{Instrument, Interval, MarginTier};

use super::history::{self, FundingRow, KlineRow, MarkKlineRow, OpenInterestRow, Page};
use super::margin::RiskRow;
use super::stream::Ticker;
use super::wire::{BybitWire, Read, class, whole_minute};

/// Most mark prices that wait for the funding of their hour.
const MOST_HOURS: usize = 2_000;

/// Reads the rows of a page, oldest first where the venue sends the newest first. A row that cannot be read does not cost
/// the others; what is wrong with the first such is given back.
fn each<'a, T: Deserialize<'a>>(
    page: &Page<'a>,
    mut take: impl FnMut(T) -> Result<(), Fault>,
) -> Option<Fault> {
    let mut fault = None;
    for raw in page.rows.iter().rev() {
        if let Err(e) = parse(raw.get()).and_then(&mut take) {
            fault = fault.or(Some(e));
        }
    }
    fault
}

/// A time in text, UTC ms.
fn time(text: &str) -> Result<i64, Fault> {
    Ok(read::time(text.parse().map_err(|_| "a time is no number")?)?)
}

impl BybitWire {
    /// Reads the answer to a call, named by its path and query.
    pub(super) fn rest(&mut self, call: &str, text: &str, out: &mut Sink<'_>) -> Read {
        let (name, query) = call.split_once('?').unwrap_or((call, ""));
        let given = |key: &str| query.split('&').filter_map(|p| p.split_once('=')).find(|(k, _)| *k == key);
        if name.starts_with("/v2/") {
            return Ok(Class::Ignored("answer of the API before v5"));
        }
        if let Some((code, words)) = history::refusal(text) {
            tracing::warn!("bybit refuses {}: {words} ({code})", clean(name, 60));
            return Ok(Class::Ignored("refusal"));
        }
        if name == history::TIME {
            out.sent = Some(read::time(history::time(text)?)?);
            return Ok(Class::Used("time"));
        }
        // Other categories count in other units.
        if given("category").is_none_or(|(_, category)| category != "linear") {
            let ours = name.starts_with("/v5/market/");
            return Ok(if ours { Class::Ignored("answer of another category") } else { Class::Unknown });
        }
        let symbol = given("symbol").and_then(|(_, symbol)| percent_decode(symbol));
        let symbol = symbol.ok_or("no symbol in the call");
        match name {
            history::INSTRUMENTS => Ok(self.directory(&page(text, out)?)),
            history::TICKERS => self.ticker_now(symbol.ok(), &page(text, out)?, out),
            history::KLINES => self.klines(&symbol?, given("interval"), &page(text, out)?, out),
            history::MARK_KLINES => self.mark_klines(&symbol?, &page(text, out)?),
            history::OPEN_INTEREST => self.open_interest(&symbol?, &page(text, out)?, out),
            history::FUNDING => self.funding(&symbol?, &page(text, out)?, out),
            history::RISK_LIMIT => self.risk_limits(&page(text, out)?, out),
            "/v5/market/orderbook" | "/v5/market/recent-trade" => {
                Ok(Class::Ignored("answer we do not ask for"))
            }
            _ => Ok(Class::Unknown),
        }
    }

    fn directory(&mut self, page: &Page<'_>) -> Class {
        for listing in history::listings(page) {
            self.listings.insert(listing.symbol.clone(), listing);
        }
        // Terms of contracts that run may have changed; the tiers the venue told are better than those shipped.
        let listings = std::mem::take(&mut self.listings);
        for contract in self.contracts() {
            if let Some(listing) = listings.get(&contract.series.listing.symbol) {
                let mut listing = listing.clone();
                if let (Some(instrument), Some(tiers)) = (&mut listing.instrument, &contract.tiers) {
                    instrument.tiers.clone_from(tiers);
                }
                contract.series.new_terms(listing);
            }
        }
        self.listings = listings;
        Class::Used("instruments-info")
    }

    /// What holds now, of one symbol. The list of all is read by the adapter, for what is traded of each.
    fn ticker_now(&mut self, symbol: Option<String>, page: &Page<'_>, out: &mut Sink<'_>) -> Read {
        const KIND: &str = "tickers";
        let (Some(symbol), Some(ts)) = (symbol, page.time) else { return Ok(Class::Ignored(KIND)) };
        let Some(contract) = self.contract(&symbol) else { return Ok(Class::Ignored(KIND)) };
        let fault =
            each(
                page,
                |row: Ticker<'_>| {
                    if row.symbol == symbol { Ok(contract.ticker(&row, ts, out)?) } else { Ok(()) }
                },
            );
        class(KIND, true, fault)
    }

    fn klines(
        &mut self,
        symbol: &str,
        interval: Option<(&str, &str)>,
        page: &Page<'_>,
        out: &mut Sink<'_>,
    ) -> Read {
        const KIND: &str = "klines";
        let minutes = interval.is_some_and(|(_, interval)| interval == "1");
        let Some(contract) = self.contract(symbol).filter(|_| minutes) else {
            return Ok(Class::Ignored(KIND));
        };
        let fault = each(page, |row: KlineRow<'_>| {
            let start = time(row.0)?;
            // The newest row may be the running minute; the venue's own clock tells.
            if page.time.is_some_and(|now| start + Interval::M1.ms() > now) {
                return Ok(());
            }
            whole_minute(start)?;
            let candle = row.candle(&contract.series.listing)?;
            contract.series.candle(out, start, candle);
            Ok(())
        });
        class(KIND, true, fault)
    }

    /// Keeps what the mark price was when each bar began, for the funding paid at that time.
    fn mark_klines(&mut self, symbol: &str, page: &Page<'_>) -> Read {
        const KIND: &str = "mark-price-kline";
        let Some(contract) = self.contract(symbol) else { return Ok(Class::Ignored(KIND)) };
        let fault = each(page, |row: MarkKlineRow<'_>| {
            let price = positive(contract.series.price(positive(row.1)?)?)?;
            contract.hours.insert(time(row.0)?, price);
            if contract.hours.len() > MOST_HOURS {
                contract.hours.pop_first();
            }
            Ok(())
        });
        class(KIND, true, fault)
    }

    /// Funding as it was paid. A rate says nothing without a price to pay it on: one whose hour has no mark price is left out
    /// and counted.
    fn funding(&mut self, symbol: &str, page: &Page<'_>, out: &mut Sink<'_>) -> Read {
        const KIND: &str = "funding";
        let Some(contract) = self.contract(symbol) else { return Ok(Class::Ignored(KIND)) };
        let fault = each(page, |row: FundingRow<'_>| {
            let ts = time(row.funding_rate_timestamp)?;
            let rate = row.funding_rate.parse().map_err(|_| "a funding rate is no number")?;
            if row.symbol != symbol {
                return Ok(());
            }
            let Some(price) = contract.hours.remove(&ts) else {
                out.counters.ignored += 1;
                return Ok(());
            };
            let mark =
                Mark { price, index: None, funding: Some(rate), funding_hours: None, next_funding: None };
            contract.series.past_mark(out, ts, mark);
            Ok(())
        });
        class(KIND, true, fault)
    }

    fn open_interest(&mut self, symbol: &str, page: &Page<'_>, out: &mut Sink<'_>) -> Read {
        const KIND: &str = "open-interest";
        let Some(contract) = self.contract(symbol) else { return Ok(Class::Ignored(KIND)) };
        let fault = each(page, |row: OpenInterestRow<'_>| {
            let ts = time(row.timestamp)?;
            let quoted = row.one_sided()?.ok_or("a reading without open interest")?;
            let qty = contract.series.qty(quoted)?;
            contract.series.open_interest(out, ts, qty);
            Ok(())
        });
        class(KIND, true, fault)
    }

    /// Margin tiers of one symbol, or of a page of symbols.
    fn risk_limits(&mut self, page: &Page<'_>, out: &mut Sink<'_>) -> Read {
        const KIND: &str = "risk-limit";
        let mut told: Vec<(String, Vec<MarginTier>)> = Vec::new();
        let fault = each(page, |row: RiskRow<'_>| {
            let tier = row.tier()?;
            match told.iter_mut().find(|(symbol, _)| symbol == row.symbol) {
                Some((_, tiers)) => tiers.push(tier),
                None => told.push((row.symbol.to_owned(), vec![tier])),
            }
            Ok(())
        });
        if fault.is_some() {
            // A table with a hole would give wrong distances: the tiers in use stay.
            return class(KIND, false, fault);
        }
        let mut used = false;
        for (symbol, mut tiers) in told {
            let Some(contract) = self.contract(&symbol) else { continue };
            used = true;
            tiers.sort_by_key(|t| t.notional_cap);
            let listing = &contract.series.listing;
            if let Some(instrument) = &listing.instrument {
                let instrument = Some(Instrument { tiers: tiers.clone(), ..instrument.clone() });
                contract.series.new_terms(Listing { instrument, ..listing.clone() });
                contract.series.tell_terms(out);
            }
            contract.tiers = Some(tiers);
        }
        class(KIND, used, None)
    }
}

/// Takes an answer apart and notes when it was given.
fn page<'a>(text: &'a str, out: &mut Sink<'_>) -> Result<Page<'a>, Fault> {
    let page = history::page(text)?;
    out.sent = page.time.map(read::time).transpose()?;
    Ok(page)
}
