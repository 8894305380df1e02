//! What is known of an instrument of OKX's, and its numbers as coins and USD.

use crate::feed::book::Rows;
use crate::feed::instruments::Listing;
use crate::feed::series::Series;
use crate::feed::venue::okx::depth::Depth;
use crate::feed::venue::okx::stream::{Level, LiquidationDetail, OrderSide};
use crate::feed::venue::read::positive;
use crate::market::{Liquidation, MarginTier, Price, PriceKind, Qty, Rate, Sampled, Side};

/// How complete the liquidations are: "not all", says the documentation, and no longer how many. It used to say at most one a second
/// and contract (§1.2), which is what [`Sampled::Latest`] means.
pub const SAMPLED: Sampled = Sampled::Latest;

/// What is known about funding.
#[derive(Debug, Clone, Copy, Default)]
pub struct Funding {
    pub rate: Option<Rate>,
    pub hours: Option<u32>,
    pub next: Option<i64>,
}

/// An instrument and what only OKX needs to know about it.
#[derive(Clone)]
pub struct Contract {
    pub series: Series,
    /// Quoted units per contract.
    pub size: Qty,
    /// Margin tiers, once the venue has told them.
    pub tiers: Option<Vec<MarginTier>>,
    pub funding: Funding,
    pub depth: Depth,
}

impl Contract {
    /// USD per coin.
    pub fn price(&self, quoted: Price) -> Result<Price, &'static str> {
        positive(self.series.price(quoted)?)
    }

    /// Contracts as coins.
    pub fn coins(&self, contracts: Qty) -> Result<Qty, &'static str> {
        let units = contracts.checked_mul(self.size).ok_or("quantity does not fit")?;
        positive(self.series.qty(units)?)
    }

    /// Levels of the book; a size of nothing takes one away.
    pub fn levels(&self, levels: &[Level]) -> Result<Rows, &'static str> {
        let level = |level: &Level| {
            let qty = if level.1 == Qty::ZERO { Qty::ZERO } else { self.coins(level.1)? };
            Ok((self.price(level.0)?, qty))
        };
        levels.iter().map(level).collect()
    }

    pub fn liquidation(&self, row: &LiquidationDetail) -> Result<Liquidation, &'static str> {
        Ok(Liquidation {
            // The closing order's side (§1.2).
            position: match row.side {
                OrderSide::Sell => Side::Long,
                OrderSide::Buy => Side::Short,
            },
            price: self.price(row.bk_px)?,
            qty: self.coins(row.sz)?,
            price_kind: PriceKind::Bankruptcy,
            sampled: SAMPLED,
        })
    }

    /// The list tells the terms anew, all but the tiers.
    pub fn learn(&mut self, mut listing: Listing) {
        if let Some(instrument) = &mut listing.instrument {
            self.size = instrument.contract;
            if let Some(tiers) = &self.tiers {
                instrument.tiers.clone_from(tiers);
            }
        }
        self.series.new_terms(listing);
    }
}
