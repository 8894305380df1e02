//! First contact with OKX: `exchanges.md` §15, check 6. Whether port 8443 still answers is not checked: it is only tried when
//! 443 does not.

use serde_json::value::RawValue;

use crate::feed::contact::{Contact, Finding, Sides};
use crate::feed::frame::{Body, RawFrame};
use crate::feed::instruments::Listing;
use crate::market::{MarketEvent, Qty};

use super::stream::{self, ContractsRow, LiquidationDetail, LiquidationRow, Message};

/// How far coins may be from contracts times their size, as a share.
const ROUNDING: f64 = 1e-6;

/// A batch of liquidations that is older than this when it comes repeats history.
const OLD_MS: i64 = 60_000;

/// What was seen of OKX so far.
#[derive(Debug)]
pub struct FirstContact {
    /// Quoted units per contract.
    size: Option<Qty>,
    /// Open interest in coins over what it should be by the contracts.
    ratio: Option<f64>,
    sides: Sides,
    /// Age of the oldest row of the first batch of liquidations, ms, by our clock.
    first_age: Option<i64>,
}

impl FirstContact {
    /// For a contract.
    pub fn new(listing: &Listing) -> Self {
        let size = listing.instrument.as_ref().map(|i| i.contract);
        Self { size, ratio: None, sides: Sides::default(), first_age: None }
    }

    fn open_interest(&mut self, text: &str) {
        let message: Option<Message<'_, ContractsRow>> = serde_json::from_str(text).ok();
        let Some((row, size)) = message.and_then(|m| m.data.into_iter().next()).zip(self.size) else {
            return;
        };
        let coins = row.oi.to_f64() * size.to_f64();
        if coins > 0.0 {
            self.ratio = Some(row.oi_ccy.to_f64() / coins);
        }
    }

    fn liquidations(&mut self, text: &str, recv: i64) {
        if self.first_age.is_some() {
            return;
        }
        let message: Option<Message<'_, LiquidationRow<'_, &RawValue>>> = serde_json::from_str(text).ok();
        let rows = message.into_iter().flat_map(|m| m.data).flat_map(|row| row.details);
        let times = rows.filter_map(|d| serde_json::from_str::<LiquidationDetail>(d.get()).ok());
        self.first_age = times.map(|d| d.ts.0).min().map(|oldest| recv / 1_000_000 - oldest);
    }
}

impl Contact for FirstContact {
    fn see(&mut self, frame: &RawFrame, events: &[MarketEvent]) {
        if let Body::Ws(text) = &frame.body {
            match stream::channel(text) {
                Some("open-interest") => self.open_interest(text),
                Some("liquidation-orders") => self.liquidations(text, frame.recv),
                _ => {}
            }
        }
        self.sides.see(events);
    }

    fn findings(&self) -> Vec<Finding> {
        const COINS: &str = "open interest in coins is contracts times their size";
        const SIDES: &str = "a forced sell is a liquidated long: bankrupt below the mark, a short above it";
        const REPEAT: &str = "the first liquidations after subscribing repeat history";
        vec![
            self.ratio.map_or(Finding::unseen(COINS), |r| {
                Finding::seen(COINS, (r - 1.0).abs() < ROUNDING, format!("ratio {r:.6}"))
            }),
            self.sides.finding(SIDES),
            self.first_age.map_or(Finding::unseen(REPEAT), |age| {
                Finding::seen(REPEAT, age > OLD_MS, format!("oldest row {} s old", age / 1_000))
            }),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::venue::okx::history;
    use crate::market::{EventKind, Side};

    fn see(contact: &mut FirstContact, text: &str, kinds: &[EventKind]) {
        let venue = "okx".parse().unwrap();
        let frame = RawFrame {
            recv: 1_700_000_100_000_000_000,
            venue,
            conn: "public".into(),
            body: Body::Ws(text.into()),
        };
        let event = |kind: &EventKind| MarketEvent {
            venue,
            asset: "BTC".parse().unwrap(),
            ts: 1,
            recv: None,
            kind: kind.clone(),
        };
        contact.see(&frame, &kinds.iter().map(event).collect::<Vec<_>>());
    }

    fn outcomes(contact: &FirstContact) -> Vec<crate::feed::contact::Outcome> {
        contact.findings().into_iter().map(|f| f.outcome).collect()
    }

    #[test]
    fn what_we_believe_is_confirmed_or_not() {
        use crate::feed::contact::Outcome::{NotOk, NotSeen, Ok};
        let list = include_str!("../../../../tests/data/okx/instruments.json");
        let listing = history::listings(list)
            .unwrap()
            .listings
            .into_iter()
            .find(|l| l.asset.as_str() == "BTC")
            .unwrap();
        let mut contact = FirstContact::new(&listing);
        assert_eq!(outcomes(&contact), [NotSeen, NotSeen, NotSeen]);
        let oi = r#"{"arg":{"channel":"open-interest","instId":"BTC-USDT-SWAP"},"data":[{"instId":"BTC-USDT-SWAP","oi":"200","oiCcy":"2","ts":"1"}]}"#;
        see(&mut contact, oi, &[]);
        let batch = r#"{"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[{"details":[{"bkPx":"1","side":"buy","sz":"1","ts":"1700000099000"},{"bkPx":"1","side":"buy","sz":"1","ts":"1699999000000"}],"instId":"X-USDT-SWAP"}]}"#;
        see(&mut contact, batch, &[]);
        let mark = crate::market::event::Mark {
            price: "100".parse().unwrap(),
            index: None,
            funding: None,
            funding_hours: None,
            next_funding: None,
        };
        let liquidation = |position, price: &str| {
            EventKind::Liquidation(crate::market::Liquidation {
                position,
                price: price.parse().unwrap(),
                qty: "1".parse().unwrap(),
                price_kind: crate::market::PriceKind::Bankruptcy,
                sampled: super::super::wire::SAMPLED,
            })
        };
        see(
            &mut contact,
            "pong",
            &[EventKind::Mark(mark), liquidation(Side::Long, "99"), liquidation(Side::Short, "101")],
        );
        assert_eq!(outcomes(&contact), [Ok, Ok, Ok]);
        see(&mut contact, &oi.replace("\"2\"", "\"4\""), &[liquidation(Side::Long, "103")]);
        assert_eq!(outcomes(&contact), [NotOk, NotOk, Ok]);
        assert_eq!(contact.findings()[0].detail, "ratio 2.000000");
    }
}
