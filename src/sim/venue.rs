//! One encoder per venue: from what happens in a simulated market to the bytes the real exchange would send.

pub mod binance;
