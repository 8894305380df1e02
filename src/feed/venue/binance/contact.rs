//! First contact with Binance: `exchanges.md` §15, checks 1 and 2.

use crate::feed::contact::{Contact, Finding};
use crate::feed::frame::{Body, RawFrame};
use crate::market::{EventKind, MarketEvent, Price, PriceKind, Side};

use super::stream;

/// The streams every market has something on within seconds.
const STEADY: [&str; 3] = ["aggTrade", "markPrice@1s", "kline_1m"];

/// What was seen of Binance so far.
#[derive(Debug, Default)]
pub struct FirstContact {
    heard: [bool; STEADY.len()],
    inverse: u64,
    mark: Option<Price>,
    /// Liquidated longs: seen, and with a fill near or below the mark; shorts likewise.
    long: (u64, u64),
    short: (u64, u64),
    usd: Vec<f64>,
}

/// A liquidated long is sold at or below the mark, give or take this share (§15 check 2).
const LEEWAY: f64 = 0.01;

impl Contact for FirstContact {
    fn see(&mut self, frame: &RawFrame, events: &[MarketEvent]) {
        if let Body::Ws(text) = &frame.body {
            let name = stream::stream_name(text);
            if let Some(at) = STEADY.iter().position(|s| name.as_deref() == Some(s)) {
                self.heard[at] = true;
            }
            self.inverse += u64::from(text.contains("\"st\":2"));
        }
        for event in events {
            match &event.kind {
                EventKind::Mark(mark) => self.mark = Some(mark.price),
                EventKind::Liquidation(l) if l.price_kind == PriceKind::Fill => {
                    self.usd.push(l.price.to_f64() * l.qty.to_f64());
                    let Some(mark) = self.mark.map(Price::to_f64) else { continue };
                    let price = l.price.to_f64();
                    let (count, plausible) = match l.position {
                        Side::Long => (&mut self.long, price <= mark * (1.0 + LEEWAY)),
                        Side::Short => (&mut self.short, price >= mark * (1.0 - LEEWAY)),
                    };
                    count.0 += 1;
                    count.1 += u64::from(plausible);
                }
                _ => {}
            }
        }
    }

    fn findings(&self) -> Vec<Finding> {
        const ROUTE: &str = "every steady stream speaks on its route";
        const SIDES: &str = "a forced SELL is a liquidated long, filled at the mark or below it";
        const INVERSE: &str = "single-symbol streams carry no inverse contracts";
        const LARGEST: &str = "forced orders printed are the largest of their second, not the last";
        let heard = self.heard.iter().filter(|h| **h).count();
        let route = match heard {
            0 => Finding::unseen(ROUTE),
            n => Finding::seen(ROUTE, n == STEADY.len(), format!("{n} of {}", STEADY.len())),
        };
        let (seen, right) = (self.long.0 + self.short.0, self.long.1 + self.short.1);
        let sides = match seen {
            0 => Finding::unseen(SIDES),
            n => Finding::seen(SIDES, right == n, format!("{right} of {n}")),
        };
        let inverse = if heard == 0 {
            Finding::unseen(INVERSE)
        } else {
            Finding::seen(INVERSE, self.inverse == 0, format!("{} rows", self.inverse))
        };
        // It takes a day's worth to tell; the median is printed so that days can be compared.
        let mut usd = self.usd.clone();
        usd.sort_by(f64::total_cmp);
        let largest = match usd.get(usd.len() / 2) {
            None => Finding::unseen(LARGEST),
            Some(median) => Finding {
                detail: format!("median {median:.0} USD over {}; compare over days", usd.len()),
                ..Finding::unseen(LARGEST)
            },
        };
        vec![route, sides, inverse, largest]
    }
}
