//! What a venue shows in public of a second, as the market events a reader of its streams would make of it.
//!
//! This is the short way round: no socket, no wire format. What is told of forced closes, at which price and in which
//! selection is decided by each venue's own rule, the one its frames follow.

use anyhow::Context as _;

use super::text::{self, Decimal, rounded};
use super::venue::{VenueId, binance, bybit, okx};
use super::world::World;
use super::world::contract::Contract;
use super::world::tick::{Forced, Print, Tick};
use crate::market::event::Mark;
use crate::market::{
    Asset, EventKind, Instrument, Liquidation, MarginTier, MarketEvent, Price, PriceKind, Qty, Rate, Sampled,
    TakerSide, Trade, Venue,
};

/// A venue's market in an asset, as the public sees it.
#[derive(Debug)]
pub(super) struct Shown {
    id: VenueId,
    venue: Venue,
    asset: Asset,
    contract: &'static Contract,
    desk: usize,
    trades: Vec<Print>,
}

impl Shown {
    /// The markets of a coin at the venues named.
    pub fn of(world: &World, venues: &[VenueId]) -> anyhow::Result<Vec<Self>> {
        let asset: Asset = world.coin().name.parse().context("a coin that is no asset")?;
        let mut all = Vec::new();
        for (desk, id) in world.venues().enumerate().filter(|(_, id)| venues.contains(id)) {
            let venue = id.name().parse().context("a venue with a bad name")?;
            all.push(Self { id, venue, asset, contract: world.contract(desk), desk, trades: Vec::new() });
        }
        Ok(all)
    }

    /// The contract's terms.
    pub fn instrument(&self, ts: i64) -> anyhow::Result<MarketEvent> {
        let contract = self.contract;
        // By its text: the cap of a last tier is beyond what a float holds to the last of twelve decimals.
        let number = |value: f64| value.to_string().parse::<Qty>().context("a margin tier out of range");
        let mut tiers = Vec::with_capacity(contract.tiers.len());
        for tier in contract.tiers {
            tiers.push(MarginTier {
                notional_cap: number(tier.cap)?,
                maintenance_rate: number(tier.rate)?,
                deduction: number(tier.deduction)?,
                max_leverage: number(tier.max_leverage)?,
            });
        }
        let instrument = Instrument {
            symbol: contract.symbol.into(),
            tick: price(contract, text::price(contract, 1)),
            lot: qty(text::size(contract, 1)),
            contract: qty(Decimal(1, contract.lot_decimals - contract.size_decimals)),
            multiplier: qty(Decimal(contract.multiplier as i128, 0)),
            linear: true,
            tiers,
        };
        Ok(self.event(ts, EventKind::Instrument(Box::new(instrument))))
    }

    fn event(&self, ts: i64, kind: EventKind) -> MarketEvent {
        MarketEvent { venue: self.venue, asset: self.asset, ts, recv: None, kind }
    }

    /// Adds what the venue shows of the second that is over.
    pub fn tell(&mut self, world: &World, out: &mut Vec<MarketEvent>) {
        let (tick, contract) = (world.tick(self.desk), self.contract);
        self.merge(&tick.prints);
        out.extend(self.trades.iter().map(|print| {
            let trade = Trade {
                price: price(contract, text::price(contract, print.ticks)),
                qty: coins(contract, print.lots),
                taker: if print.taker_buys { TakerSide::Buy } else { TakerSide::Sell },
                id: None,
                parties: None,
            };
            self.event(print.ms, EventKind::Trade(trade))
        }));
        out.push(self.event(tick.end_ms, EventKind::Mark(self.mark(tick))));
        self.liquidations(&tick.forced, out);
        if tick.end_ms.div_euclid(1_000) % interest_every(self.id) == 0 {
            out.push(self.event(tick.end_ms, EventKind::OpenInterest(coins(contract, tick.open_interest))));
        }
    }

    /// Prints of one second at one price and from one side of takers become one, told at the first one's time: a row
    /// then has no number of its own.
    fn merge(&mut self, prints: &[Print]) {
        self.trades.clear();
        for print in prints {
            let alike = |p: &&mut Print| (p.ticks, p.taker_buys) == (print.ticks, print.taker_buys);
            match self.trades.iter_mut().find(alike) {
                Some(first) => first.lots += print.lots,
                None => self.trades.push(*print),
            }
        }
    }

    fn mark(&self, tick: &Tick) -> Mark {
        let contract = self.contract;
        // Binance tells eight decimals (exchanges.md §3.2), the others as many as their prices have.
        let decimals = if self.id == VenueId::Binance { 8 } else { contract.price_decimals as i32 };
        Mark {
            price: price(contract, rounded(tick.mark, decimals)),
            index: Some(price(contract, rounded(tick.index, decimals))),
            funding: Rate::from_f64(tick.funding),
            funding_hours: Some((contract.funding_ms / 3_600_000) as u32),
            next_funding: Some(contract.next_funding(tick.end_ms)),
        }
    }

    fn liquidations(&self, forced: &[Forced], out: &mut Vec<MarketEvent>) {
        let contract = self.contract;
        let mut tell = |forced: &Forced, lots: i64, price_kind: PriceKind, sampled: Sampled| {
            let ticks = if price_kind == PriceKind::Fill { forced.ticks } else { forced.bankruptcy };
            let liquidation = Liquidation {
                position: forced.side,
                price: price(contract, text::price(contract, ticks)),
                qty: coins(contract, lots),
                price_kind,
                sampled,
            };
            out.push(self.event(forced.ms, EventKind::Liquidation(liquidation)));
        };
        match self.id {
            VenueId::Binance => {
                if let Some(forced) = binance::largest(forced) {
                    tell(forced, forced.largest, PriceKind::Fill, Sampled::Largest);
                }
            }
            VenueId::Bybit => forced.iter().for_each(|forced| {
                bybit::frames::accounts(forced)
                    .for_each(|lots| tell(forced, lots, PriceKind::Bankruptcy, Sampled::No));
            }),
            VenueId::Okx => forced.iter().filter(|forced| okx::frames::is_told(forced)).for_each(|forced| {
                tell(forced, forced.lots, PriceKind::Bankruptcy, Sampled::Latest);
            }),
            // In public there are none (exchanges.md §1.2).
            VenueId::Hyperliquid => {}
        }
    }
}

/// Seconds between two readings of open interest: Binance's is asked for every 5 s, OKX tells it every 3 s, the others as
/// it changes (exchanges.md §1.3).
const fn interest_every(venue: VenueId) -> i64 {
    match venue {
        VenueId::Binance => 5,
        VenueId::Okx => 3,
        VenueId::Bybit | VenueId::Hyperliquid => 1,
    }
}

/// A price per quoted unit as one per coin.
fn price(contract: &Contract, Decimal(value, decimals): Decimal) -> Price {
    Price::from_raw(scaled(value, Price::DIGITS as i32 - decimals) / contract.multiplier as i128)
}

/// A quantity in lots as coins.
fn coins(contract: &Contract, lots: i64) -> Qty {
    let Decimal(value, decimals) = text::base(contract, lots);
    Qty::from_raw(scaled(value * contract.multiplier as i128, Qty::DIGITS as i32 - decimals))
}

fn qty(Decimal(value, decimals): Decimal) -> Qty {
    Qty::from_raw(scaled(value, Qty::DIGITS as i32 - decimals))
}

/// A value times a power of ten; none of ours is finer than what the numbers hold.
fn scaled(value: i128, exponent: i32) -> i128 {
    value.saturating_mul(10_i128.saturating_pow(exponent.max(0) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::contracts::{binance, bybit, okx};
    use crate::sim::world::scenario::Scenario;

    #[test]
    fn prices_and_quantities_are_per_coin_whatever_the_venue_counts_in() {
        let pepe = &binance::CONTRACTS[3];
        assert_eq!(price(pepe, text::price(pepe, 125_003)).to_string(), "0.0000125003");
        assert_eq!(coins(pepe, 7).to_string(), "7000");
        let pepe = &okx::CONTRACTS[3];
        assert_eq!(price(pepe, text::price(pepe, 12_500)).to_string(), "0.0000125");
        assert_eq!(coins(pepe, 3).to_string(), "30000000");
        assert_eq!(coins(&bybit::CONTRACTS[3], 3).to_string(), "300000");
        assert_eq!(coins(&okx::CONTRACTS[0], 1_234).to_string(), "0.1234");
    }

    #[test]
    fn terms_are_told_to_the_last_digit() {
        let world = World::new(3, Scenario::Base, 1, 1_763_800_000, 0);
        let terms: Vec<Instrument> = Shown::of(&world, &VenueId::ALL)
            .unwrap()
            .iter()
            .map(|shown| match shown.instrument(5).unwrap().kind {
                EventKind::Instrument(terms) => *terms,
                other => panic!("{other:?}"),
            })
            .collect();
        let text = |terms: &Instrument| {
            let Instrument { symbol, tick, lot, contract, multiplier, .. } = terms;
            format!("{symbol} {tick} {lot} {contract} {multiplier}")
        };
        // Ticks are per coin, lots in the venue's own unit.
        assert_eq!(text(&terms[0]), "1000PEPEUSDT 0.0000000001 1 1 1000");
        assert_eq!(text(&terms[2]), "PEPE-USDT-SWAP 0.000000001 1 10000000 1");
        assert_eq!(text(&terms[3]), "kPEPE 0.000000001 1 1 1000");
        assert_eq!(terms[3].tiers[0].notional_cap.to_string(), "1000000000000");
    }

    #[test]
    fn each_venue_tells_forced_closes_by_its_own_rule() {
        let world = World::new(0, Scenario::Base, 1, 1_763_800_000, 0);
        let forced = |id: u64, lots: i64, largest: i64| Forced {
            id,
            ms: 1_000 + id as i64,
            side: crate::market::Side::Long,
            lots,
            largest,
            ticks: 990_000,
            bankruptcy: 980_000,
        };
        // Numbers 3 and 10 are those OKX leaves out.
        let second = [forced(1, 100, 60), forced(3, 80, 70), forced(10, 5, 5)];
        let told: Vec<Vec<String>> = Shown::of(&world, &VenueId::ALL)
            .unwrap()
            .iter()
            .map(|shown| {
                let mut out = Vec::new();
                shown.liquidations(&second, &mut out);
                let row = |e: &MarketEvent| match &e.kind {
                    EventKind::Liquidation(l) => {
                        let lots = l.qty.to_f64() / shown.contract.lot_coins();
                        format!("{} {lots:.0} {} {:?} {:?}", e.ts, l.price, l.price_kind, l.sampled)
                    }
                    other => panic!("{other:?}"),
                };
                out.iter().map(row).collect()
            })
            .collect();
        assert_eq!(told[0], ["1003 70 99000 Fill Largest"]);
        let bankrupt = |rows: &[&str], sampled: &str| -> Vec<String> {
            rows.iter().map(|row| format!("{row} 98000 Bankruptcy {sampled}")).collect()
        };
        assert_eq!(told[1], bankrupt(&["1001 60", "1001 40", "1003 70", "1003 10", "1010 5"], "No"));
        assert_eq!(told[2], bankrupt(&["1001 100"], "Latest"));
        assert!(told[3].is_empty());
    }

    #[test]
    fn prints_at_one_price_and_side_become_one_trade() {
        let world = World::new(0, Scenario::Base, 1, 1_763_800_000, 0);
        let mut shown = Shown::of(&world, &[VenueId::Bybit]).unwrap().remove(0);
        let print = |ms: i64, ticks: i64, taker_buys: bool| Print {
            ms,
            ticks,
            lots: 2,
            taker_buys,
            id: 1,
            first_fill: 1,
            last_fill: 1,
            buyer: 0,
            seller: 0,
        };
        shown.merge(&[print(1, 10, true), print(2, 10, false), print(3, 11, true), print(4, 10, true)]);
        let rows: Vec<_> = shown.trades.iter().map(|p| (p.ms, p.ticks, p.taker_buys, p.lots)).collect();
        assert_eq!(rows, [(1, 10, true, 4), (2, 10, false, 2), (3, 11, true, 2)]);
    }
}
