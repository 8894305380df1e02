//! `[venues.…]`: which exchanges are used, and where they are.

use serde::{Deserialize, Serialize};

use crate::feed::{BinanceConfig, BybitConfig, HyperliquidConfig, OkxConfig};
use crate::market::Venue;

/// `[venues]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Venues {
    /// Binance USD-M futures.
    pub binance: VenueTable<BinanceConfig>,
    /// Bybit linear perpetuals.
    pub bybit: VenueTable<BybitConfig>,
    /// OKX linear swaps.
    pub okx: VenueTable<OkxConfig>,
    /// Hyperliquid perpetuals.
    pub hyperliquid: VenueTable<HyperliquidConfig>,
}

/// One exchange.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VenueTable<T: Default> {
    /// Whether the venue is used.
    pub enabled: bool,
    /// Its addresses.
    #[serde(flatten)]
    pub at: T,
}

impl<T: Default> Default for VenueTable<T> {
    fn default() -> Self {
        Self { enabled: true, at: T::default() }
    }
}

impl Venues {
    /// The switch of each venue, in the order in which venues are shown.
    fn switches(&mut self) -> [(&'static str, &mut bool); 4] {
        [
            ("binance", &mut self.binance.enabled),
            ("bybit", &mut self.bybit.enabled),
            ("okx", &mut self.okx.enabled),
            ("hyperliquid", &mut self.hyperliquid.enabled),
        ]
    }

    /// The venues in use.
    pub fn enabled(&self) -> Vec<Venue> {
        let mut venues = self.clone();
        let on = venues.switches().map(|(name, on)| (*on).then(|| name.parse().ok()).flatten());
        on.into_iter().flatten().collect()
    }

    /// Switches on the venues named and all others off.
    pub fn choose(&mut self, chosen: &[Venue]) -> anyhow::Result<()> {
        let mut switches = self.switches();
        for venue in chosen {
            anyhow::ensure!(
                switches.iter().any(|(name, _)| *name == venue.as_str()),
                "no adapter for the venue {venue}: {} are known",
                switches.map(|(name, _)| name).join(", ")
            );
        }
        for (name, on) in &mut switches {
            **on = chosen.iter().any(|v| v.as_str() == *name);
        }
        Ok(())
    }

    /// Every address: its key, itself, and whether it is a socket's.
    fn addresses(&self) -> [(&'static str, &str, bool); 10] {
        let Self { binance, bybit, okx, hyperliquid } = self;
        [
            ("binance.ws_market", &binance.at.ws_market, true),
            ("binance.ws_public", &binance.at.ws_public, true),
            ("binance.rest", &binance.at.rest, false),
            ("bybit.ws", &bybit.at.ws, true),
            ("bybit.rest", &bybit.at.rest, false),
            ("okx.ws_public", &okx.at.ws_public, true),
            ("okx.ws_business", &okx.at.ws_business, true),
            ("okx.rest", &okx.at.rest, false),
            ("hyperliquid.ws", &hyperliquid.at.ws, true),
            ("hyperliquid.rest", &hyperliquid.at.rest, false),
        ]
    }

    /// Checks the addresses.
    pub(super) fn validate(&self) -> anyhow::Result<()> {
        for (key, url, socket) in self.addresses() {
            let schemes = if socket { ["ws://", "wss://"] } else { ["http://", "https://"] };
            anyhow::ensure!(
                schemes.iter().any(|s| url.starts_with(s)),
                "venues.{key} = {url:?}: the address must start with {} or {}",
                schemes[0],
                schemes[1]
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn venues_are_chosen_by_name_and_an_unknown_one_is_refused_with_the_known() {
        let mut venues = Venues::default();
        let names = |venues: &Venues| venues.enabled().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&venues), ["binance", "bybit", "okx", "hyperliquid"]);
        venues.choose(&["okx".parse().unwrap(), "binance".parse().unwrap()]).unwrap();
        assert_eq!(names(&venues), ["binance", "okx"]);
        let refused = venues.choose(&["kraken".parse().unwrap()]).unwrap_err().to_string();
        assert!(refused.contains("kraken") && refused.contains("hyperliquid"), "{refused}");
        assert_eq!(names(&venues), ["binance", "okx"]);
    }
}
