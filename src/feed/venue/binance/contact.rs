//! First contact with Binance: `exchanges.md` §15, checks 1 and 2.

use crate::feed::contact::{Contact, Finding, Sides};
use crate::feed::frame::{Body, RawFrame};
use crate::market::{EventKind, MarketEvent};

use super::stream;

/// The streams every market has something on within seconds.
const STEADY: [&str; 3] = ["aggTrade", "markPrice@1s", "kline_1m"];

/// What was seen of Binance so far.
#[derive(Debug, Default)]
pub struct FirstContact {
    heard: [bool; STEADY.len()],
    inverse: u64,
    sides: Sides,
    usd: Vec<f64>,
}

impl Contact for FirstContact {
    fn see(&mut self, frame: &RawFrame, events: &[MarketEvent]) {
        if let Body::Ws(text) = &frame.body {
            let name = stream::stream_name(text);
            if let Some(at) = STEADY.iter().position(|s| name.as_deref() == Some(s)) {
                self.heard[at] = true;
            }
            self.inverse += u64::from(text.contains("\"st\":2"));
        }
        self.sides.see(events);
        for event in events {
            if let EventKind::Liquidation(l) = &event.kind {
                self.usd.push(l.price.to_f64() * l.qty.to_f64());
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
        vec![route, self.sides.finding(SIDES), inverse, largest]
    }
}
