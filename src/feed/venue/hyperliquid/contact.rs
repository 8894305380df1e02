//! First contact with Hyperliquid: `exchanges.md` §15, check 7.

use crate::feed::contact::{Contact, Finding};
use crate::feed::frame::{Body, RawFrame};
use crate::market::MarketEvent;

use super::stream::{self, Frame, L2Book, TradeRow};

/// What was seen of Hyperliquid so far. Times of receipt in ms.
#[derive(Debug, Default)]
pub struct FirstContact {
    /// Time of the last fast book, and the times between two of them, UTC ms.
    fast_at: Option<i64>,
    pauses: Vec<i64>,
    /// When the subscription to trades was confirmed.
    confirmed: Option<i64>,
    /// The newest print of the first frame after it.
    first_print: Option<i64>,
    /// The least time from a print to its receipt in later frames; it includes how far the clocks differ.
    delay: Option<i64>,
    /// The old name was asked for; it was refused.
    old_name: Option<bool>,
}

/// The fast book comes every 0.5 s (§6.2); the check allows a second.
const FAST: i64 = 1_000;

impl Contact for FirstContact {
    fn see(&mut self, frame: &RawFrame, _events: &[MarketEvent]) {
        let Body::Ws(text) = &frame.body else { return };
        let recv = frame.recv / 1_000_000;
        match stream::channel(text) {
            Some("l2Book") => {
                let Ok(Frame { data: L2Book { time, fast: true, .. }, .. }) = serde_json::from_str(text)
                else {
                    return;
                };
                self.pauses.extend(self.fast_at.map(|last| time.saturating_sub(last)));
                self.fast_at = Some(time);
            }
            Some("subscriptionResponse") if text.contains("\"trades\"") => {
                self.confirmed = self.confirmed.or(Some(recv));
            }
            Some("subscriptionResponse") if text.contains("\"webData2\"") => self.old_name = Some(false),
            Some("error") if text.contains("webData2") => self.old_name = Some(true),
            Some("trades") if self.confirmed.is_some() => {
                let Ok(Frame { data, .. }) = serde_json::from_str::<Frame<Vec<TradeRow<'_>>>>(text) else {
                    return;
                };
                let Some(newest) = data.iter().map(|row| row.time).max() else { return };
                if self.first_print.is_none() {
                    self.first_print = Some(newest);
                } else {
                    let delay = recv.saturating_sub(newest);
                    self.delay = Some(self.delay.map_or(delay, |least| least.min(delay)));
                }
            }
            _ => {}
        }
    }

    fn findings(&self) -> Vec<Finding> {
        const BEAT: &str = "fast books come at most a second apart";
        const HISTORY: &str = "the first trades frame is older than the subscription";
        const OLD_NAME: &str = "the old stream webData2 is refused";
        let mut pauses = self.pauses.clone();
        pauses.sort_unstable();
        let beat = pauses.get(pauses.len() / 2).map_or(Finding::unseen(BEAT), |&median| {
            Finding::seen(BEAT, median <= FAST, format!("median {median} ms over {}", pauses.len()))
        });
        let history = match (self.confirmed, self.first_print, self.delay) {
            (Some(confirmed), Some(print), Some(delay)) => {
                // When the subscription was confirmed, by the venue's clock.
                let ahead = confirmed.saturating_sub(delay).saturating_sub(print);
                Finding::seen(HISTORY, ahead >= 0, format!("by {ahead} ms"))
            }
            _ => Finding::unseen(HISTORY),
        };
        let old_name = self.old_name.map_or(Finding::unseen(OLD_NAME), |ok| Finding::seen(OLD_NAME, ok, ""));
        vec![beat, history, old_name]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::contact::Outcome;

    fn see(contact: &mut FirstContact, recv_ms: i64, text: &str) {
        let recv = recv_ms * 1_000_000;
        let body = Body::Ws(text.into());
        let venue = "hyperliquid".parse().unwrap();
        contact.see(&RawFrame { recv, venue, conn: "public".into(), body }, &[]);
    }

    fn outcomes(contact: &FirstContact) -> Vec<Outcome> {
        contact.findings().iter().map(|f| f.outcome).collect()
    }

    const CONFIRMED: &str = r#"{"channel":"subscriptionResponse","data":{"method":"subscribe","subscription":{"type":"trades","coin":"BTC"}}}"#;

    fn trade(time: i64) -> String {
        format!(
            r#"{{"channel":"trades","data":[{{"coin":"BTC","side":"A","px":"1","sz":"1","hash":"0x","time":{time},"tid":{time},"users":["0xa","0xb"]}}]}}"#
        )
    }

    fn book(time: i64, fast: &str) -> String {
        format!(r#"{{"channel":"l2Book","data":{{"coin":"BTC","time":{time},"levels":[[],[]]{fast}}}}}"#)
    }

    #[test]
    fn what_is_as_believed_is_ok() {
        let mut contact = FirstContact::default();
        assert_eq!(outcomes(&contact), [Outcome::NotSeen; 3]);
        // Our clock is 1,000,000 ms ahead; a frame takes 40 ms.
        see(&mut contact, 1_010_000, CONFIRMED);
        see(&mut contact, 1_010_001, &trade(9_000));
        see(&mut contact, 1_010_540, &trade(10_500));
        see(&mut contact, 1_010_600, &trade(10_530));
        for time in [10_000, 10_500, 11_000] {
            see(&mut contact, 1_000_040 + time, &book(time, r#","fast":true"#));
            see(&mut contact, 1_000_040 + time, &book(time - 4_000, ""));
        }
        see(
            &mut contact,
            1_011_000,
            r#"{"channel":"error","data":"Invalid subscription {\"type\":\"webData2\"}"}"#,
        );
        assert_eq!(outcomes(&contact), [Outcome::Ok; 3]);
        // 1,010,000 − 1,000,040 is 9,960 by the venue's clock.
        assert_eq!(contact.findings()[1].detail, "by 960 ms");
        assert_eq!(contact.findings()[0].detail, "median 500 ms over 2");
    }

    #[test]
    fn what_is_not_is_told() {
        let mut contact = FirstContact::default();
        see(&mut contact, 10_000, CONFIRMED);
        see(&mut contact, 10_400, &trade(10_360));
        see(&mut contact, 10_500, &trade(10_460));
        for time in [10_000, 15_000, 20_000] {
            see(&mut contact, time, &book(time, r#","fast":true"#));
        }
        see(&mut contact, 11_000, &CONFIRMED.replace("trades", "webData2"));
        assert_eq!(outcomes(&contact), [Outcome::NotOk; 3]);
    }

    #[test]
    fn frames_that_cannot_be_read_tell_nothing() {
        let mut contact = FirstContact::default();
        for text in ["", "{", r#"{"channel":"l2Book"}"#, r#"{"channel":"trades","data":7}"#, CONFIRMED] {
            see(&mut contact, 1, text);
            see(&mut contact, 1, r#"{"channel":"trades","data":[]}"#);
        }
        assert_eq!(outcomes(&contact), [Outcome::NotSeen; 3]);
    }
}
