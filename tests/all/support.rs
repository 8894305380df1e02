//! Short ways to write events.

use meltline::market::event::{EventKind, LiquidationBar, Mark, MarketEvent, Position, PriceKind, Sampled};
use meltline::market::{Candle, Interval, Liquidation, Price, Qty, Side, TakerSide, Trade};

pub fn price(value: f64) -> Price {
    Price::from_f64(value).unwrap()
}

pub fn qty(value: f64) -> Qty {
    Qty::from_f64(value).unwrap()
}

pub fn event(ts: i64, kind: EventKind) -> MarketEvent {
    MarketEvent { venue: "test".parse().unwrap(), asset: "BTC".parse().unwrap(), ts, recv: None, kind }
}

pub fn trade(ts: i64, at: f64, coins: f64) -> MarketEvent {
    event(
        ts,
        EventKind::Trade(Trade {
            price: price(at),
            qty: qty(coins),
            taker: TakerSide::Buy,
            id: None,
            parties: None,
        }),
    )
}

pub fn mark(ts: i64, at: f64) -> MarketEvent {
    let mark = Mark { price: price(at), index: None, funding: None, funding_hours: None, next_funding: None };
    event(ts, EventKind::Mark(mark))
}

pub fn open_interest(ts: i64, coins: f64) -> MarketEvent {
    event(ts, EventKind::OpenInterest(qty(coins)))
}

pub fn liquidation(ts: i64, position: Side, at: f64, coins: f64) -> MarketEvent {
    event(
        ts,
        EventKind::Liquidation(Liquidation {
            position,
            price: price(at),
            qty: qty(coins),
            price_kind: PriceKind::Fill,
            sampled: Sampled::No,
        }),
    )
}

/// An account's position, entered 5 % from where it would be liquidated.
pub fn position(ts: i64, account: &str, side: Side, coins: f64, level: f64) -> MarketEvent {
    let entry = level / if side == Side::Long { 0.95 } else { 1.05 };
    let told = Position {
        account: account.into(),
        side,
        qty: qty(coins),
        entry: price(entry),
        leverage: None,
        liq_price: Some(price(level)),
    };
    event(ts, EventKind::Position(Box::new(told)))
}

pub fn liquidation_bar(ts: i64, long: f64, short: f64) -> MarketEvent {
    let bar = LiquidationBar { interval: Interval::H1, long_qty: qty(long), short_qty: qty(short) };
    event(ts, EventKind::LiquidationBar(bar))
}

/// open, high, low, close, volume
pub fn candle(ts: i64, interval: Interval, [o, h, l, c, v]: [f64; 5]) -> MarketEvent {
    let ohlc =
        meltline::market::candle::Ohlc { open: price(o), high: price(h), low: price(l), close: price(c) };
    event(ts, EventKind::Candle(Candle { interval, ohlc: Some(ohlc), volume: Some(qty(v)), taker_buy: None }))
}

/// When [`wandering`] begins, UTC ms.
pub const START: i64 = 1_700_000_000_000;

/// A market that wanders by a fixed rule, a second a step, with liquidations and public positions.
pub fn wandering(minutes: i64) -> Vec<MarketEvent> {
    wandering_on(&["test"], START, minutes * 60, 1)
}

/// The same on several venues that trade a little apart, from a time on, so many steps of so many seconds.
pub fn wandering_on(venues: &[&str], start: i64, steps: i64, seconds: i64) -> Vec<MarketEvent> {
    let mut events = Vec::new();
    let mut state = 88_172_645_463_325_252_u64;
    let (mut middle, mut oi) = (60_000.0_f64, 5_000.0_f64);
    for step in 0..steps {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let draw = (state >> 11) as f64 / (1_u64 << 53) as f64;
        middle *= 1.0 + (draw - 0.5) * 0.002;
        if step % 5 == 0 {
            oi += draw - 0.49;
        }
        for (i, venue) in venues.iter().enumerate() {
            let (ts, price) =
                (start + step * seconds * 1_000 + i as i64 * 10, middle * (1.0 + 1e-4 * i as f64));
            let first = events.len();
            events.push(trade(ts, price, 0.1 + draw));
            events.push(mark(ts + 1, price));
            if step % 5 == 0 {
                events.push(open_interest(ts + 2, oi / (1.0 + i as f64)));
            }
            if step % 40 == 7 {
                let side = if draw < 0.5 { Side::Long } else { Side::Short };
                events.push(liquidation(ts + 3, side, price, 0.2 + draw));
            }
            if step % 90 == 11 {
                let account = format!("account{}", step % 17);
                events.push(position(ts + 4, &account, Side::Long, 1.0 + draw, price * 0.97));
            }
            let venue = venue.parse().unwrap();
            events[first..].iter_mut().for_each(|event| event.venue = venue);
        }
    }
    events
}
