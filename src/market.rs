//! The market's own vocabulary: numbers, instruments, events, candles, and the NDJSON form of events.
//!
//! Everything else in the house speaks in these types; this module names nothing outside itself.

pub mod book;
pub mod candle;
pub mod event;
pub mod instrument;
pub mod ndjson;
pub mod num;

pub use candle::{Candle, Interval};
pub use event::{EventKind, Liquidation, MarketEvent, PriceKind, Sampled, Trade};
pub use instrument::{Asset, Instrument, MarginTier, Side, TakerSide, Venue};
pub use num::{Price, Qty, Rate, Usd};
