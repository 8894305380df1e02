//! First contact with Bybit: `exchanges.md` §15, checks 4 and 5, and what the book's numbering rests on.

use crate::feed::contact::{Contact, Finding, Sides};
use crate::feed::frame::{Body, RawFrame};
use crate::feed::venue::read::parse;
use crate::market::{MarketEvent, Qty};

use super::history::{self, RISK_LIMIT};
use super::margin::RiskRow;
use super::stream::{self, BookPush, TickerPush};

/// The streams every market has something on within seconds.
const STEADY: [&str; 3] = [stream::TRADES, stream::TICKERS, stream::BOOK];

/// What was seen of Bybit so far.
#[derive(Debug, Default)]
pub struct FirstContact {
    heard: [bool; STEADY.len()],
    /// Sum of both sides over one side, the last one seen.
    ratio: Option<f64>,
    liquidations: Sides,
    /// Rows of margin tiers seen, and those whose rates are fractions or percent.
    tiers: (u64, u64),
    /// Number of the last update of the book; updates seen, and those that follow the one before.
    update: Option<u64>,
    updates: (u64, u64),
}

impl FirstContact {
    fn socket(&mut self, text: &str) {
        let Some(topic) = stream::topic(text) else { return };
        let of = |name: &str| topic.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        if let Some(at) = STEADY.iter().position(|s| of(s)) {
            self.heard[at] = true;
        }
        if of(stream::TICKERS)
            && let Ok(push) = parse::<TickerPush<'_>>(text)
        {
            let number = |text: Option<&str>| history::number::<Qty>(text).ok().flatten().map(Qty::to_f64);
            let pair = number(push.data.open_interest).zip(number(push.data.single_open_interest));
            self.ratio = pair.filter(|(_, one)| *one > 0.0).map(|(both, one)| both / one).or(self.ratio);
        }
        if of(stream::BOOK)
            && let Ok(push) = parse::<BookPush<'_>>(text)
        {
            let last = self.update.replace(push.data.u);
            if let Some(last) = last.filter(|_| push.kind == "delta") {
                self.updates.0 += 1;
                self.updates.1 += u64::from(last.checked_add(1) == Some(push.data.u));
            }
        }
    }

    fn tiers(&mut self, text: &str) {
        let Ok(page) = history::page(text) else { return };
        for scale in page.rows.iter().filter_map(|row| Some(parse::<RiskRow<'_>>(row.get()).ok()?.scale())) {
            let near = |whole: f64| (scale / whole - 1.0).abs() < 0.02;
            self.tiers.0 += 1;
            self.tiers.1 += u64::from(near(1.0) || near(100.0));
        }
    }
}

impl Contact for FirstContact {
    fn see(&mut self, frame: &RawFrame, events: &[MarketEvent]) {
        match &frame.body {
            Body::Ws(text) => self.socket(text),
            Body::Rest { path, text } if path.starts_with(RISK_LIMIT) => self.tiers(text),
            // A new connection begins with a snapshot.
            Body::Open => self.update = None,
            _ => {}
        }
        self.liquidations.see(events);
    }

    fn findings(&self) -> Vec<Finding> {
        const SPEAK: &str = "every steady stream speaks";
        const SIDES: &str = "open interest is the sum of both sides";
        const POSITION: &str = "a liquidation names the position: Buy is a long, bankrupt below the mark";
        const RATES: &str = "margin rates are fractions or percent";
        const NUMBERS: &str = "updates of the book are numbered one by one";
        let heard = self.heard.iter().filter(|h| **h).count();
        let share = |what, (seen, right): (u64, u64)| Finding::counted(what, right, seen);
        vec![
            match heard {
                0 => Finding::unseen(SPEAK),
                n => Finding::seen(SPEAK, n == STEADY.len(), format!("{n} of {}", STEADY.len())),
            },
            self.ratio.map_or(Finding::unseen(SIDES), |ratio| {
                Finding::seen(SIDES, (ratio - 2.0).abs() < 0.02, format!("ratio {ratio:.3}"))
            }),
            self.liquidations.finding(POSITION),
            share(RATES, self.tiers),
            share(NUMBERS, self.updates),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::book::BookLimits;
    use crate::feed::contact::Outcome;
    use crate::feed::venue::translator;

    fn outcomes(frames: &[Body]) -> Vec<Outcome> {
        let venue = super::super::NAME.parse().unwrap();
        let mut feed = translator(venue, None, BookLimits::default()).unwrap();
        let mut contact = FirstContact::default();
        for body in frames {
            let frame = RawFrame { recv: 0, venue, conn: "public".into(), body: body.clone() };
            let mut events = Vec::new();
            feed.take(&frame, &mut events);
            contact.see(&frame, &events);
        }
        contact.findings().iter().map(|f| f.outcome).collect()
    }

    fn frames(both: &str, side: &str, scale: &str, next: u64) -> Vec<Body> {
        let ws = |text: String| Body::Ws(text);
        let book = |kind: &str, u: u64| {
            ws(format!(
                r#"{{"topic":"orderbook.200.BTCUSDT","type":"{kind}","ts":{u},"data":{{"s":"BTCUSDT","b":[["9","1"]],"a":[["11","1"]],"u":{u},"seq":1}}}}"#
            ))
        };
        vec![
            ws(format!(
                r#"{{"topic":"tickers.BTCUSDT","type":"snapshot","data":{{"symbol":"BTCUSDT","markPrice":"10","openInterest":"{both}","singleOpenInterest":"26332.321"}},"cs":1,"ts":1}}"#
            )),
            ws(format!(
                r#"{{"topic":"allLiquidation.BTCUSDT","type":"snapshot","ts":2,"data":[{{"T":2,"s":"BTCUSDT","S":"{side}","v":"1","p":"9"}}]}}"#
            )),
            ws(r#"{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":2,"data":[{"T":2,"s":"BTCUSDT","S":"Buy","v":"1","p":"9","i":"a","BT":false}]}"#.into()),
            book("snapshot", 100),
            book("delta", next),
            Body::Rest {
                path: "/v5/market/risk-limit?category=linear&symbol=BTCUSDT".into(),
                text: format!(
                    r#"{{"retCode":0,"result":{{"list":[{{"symbol":"BTCUSDT","riskLimitValue":"2000000","maintenanceMargin":"0.005","initialMargin":"{scale}","maxLeverage":"100"}}]}},"time":3}}"#
                ),
            },
        ]
    }

    #[test]
    fn each_fact_is_judged() {
        use Outcome::{NotOk, NotSeen, Ok};
        assert_eq!(outcomes(&[]), [NotSeen; 5]);
        assert_eq!(outcomes(&frames("52664.642", "Buy", "0.01", 101)), [Ok; 5]);
        assert_eq!(outcomes(&frames("26332.321", "Sell", "0.1", 102)), [Ok, NotOk, NotOk, NotOk, NotOk]);
        assert_eq!(
            outcomes(&frames("52664.642", "Buy", "1", 101)[..1]),
            [NotOk, Ok, NotSeen, NotSeen, NotSeen]
        );
    }
}
