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
