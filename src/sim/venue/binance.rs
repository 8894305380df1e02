//! Binance USD-M futures.

pub mod contracts;
