//! A market for one coin on all the venues that list it, stepped a second at a time.
//!
//! There is one index and one population. Every trader sits at one venue, in proportion to the venues' open interest,
//! with that venue's habits and margin tiers: arrives, holds, is stopped out or liquidated by that venue's mark. Each
//! venue's makers take the other side; its order flow moves its price, arbitrage pulls the venues' prices together and
//! the index follows all of them. The same seed and start give the same market on every machine: nothing here reads a
//! clock or calls the platform's mathematics.

pub mod book;
pub mod contract;
mod desk;
mod dice;
mod flow;
mod ladder;
mod makers;
pub mod margin;
pub mod scenario;
pub mod tick;
mod traders;

use contract::{Coin, Contract};
use desk::{Desk, Doomed, Weather};
use dice::Dice;
use scenario::{Params, Scenario, staged_return};
use tick::{Party, Tick};
use traders::{AtStop, Mood, Terms, Traders, shelf, wish};

use crate::market::Side;
use crate::sim::contracts::{self, COINS};
use crate::sim::venue::VenueId;

const DAY: f64 = 86_400.0;
/// Newcomers of the past as a multiple of a quiet market's: activity is above one more than below it, and some
/// holders the draw below lets go would still be there. Measured, so that open interest starts where it settles.
const USUAL_ACTIVITY: f64 = 2.2;
/// How far back the first population came, days.
const SETTLE_DAYS: f64 = 8.0;
/// Positions that can live at once on the largest venue; the others in proportion.
const SLOTS: f64 = 36_000.0;
/// Seconds between two looks at what changes slowly.
const SLOW: i64 = 8;
/// Part of the difference between a venue's price and the others' that arbitrage takes away in a second.
const ARBITRAGE: f64 = 0.35;

/// The state of one coin's market.
#[derive(Debug)]
pub struct World {
    coin: &'static Coin,
    scenario: Scenario,
    params: Params,
    dice: Dice,
    traders: Traders,
    desks: Vec<Desk>,
    /// Seconds since the epoch, and the first of them that is live.
    second: i64,
    live_second: i64,
    /// Accounts one position stands for.
    copies: f64,
    /// Newcomers as a multiple of the scenario's: the venues' sum over the largest.
    crowd: f64,
    /// Logarithm of the index and of where it is pulled to.
    index: f64,
    anchor: f64,
    log_volatility: f64,
    volatility: f64,
    activity: f64,
    momentum: f64,
    sentiment: f64,
    slide: (i64, f64),
    /// Log of arrivals still owed: a newcomer comes when it falls below zero.
    patience: f64,
    due: Vec<u32>,
}

/// An open position of a trader as a venue with public positions would tell it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Holding {
    /// Number of the position, never given twice in a market; not 0.
    pub id: u64,
    /// The side.
    pub side: Side,
    /// Quantity in lots.
    pub lots: i64,
    /// Average entry, USD per quoted unit.
    pub entry: f64,
    /// Liquidation price, USD per quoted unit; 0 for a long that has none.
    pub liquidation: f64,
    /// Margin posted for all of it, USD.
    pub margin: f64,
}

impl World {
    /// A market `lead` seconds before its live time begins; `live_second` counts from the epoch. The coin is an index
    /// into [`COINS`].
    pub fn new(coin: usize, scenario: Scenario, seed: u64, live_second: i64, lead: i64) -> Self {
        let params = Params::of(scenario);
        let listed: Vec<_> =
            VenueId::ALL.iter().filter_map(|v| Some((*v, contracts::on(*v, coin)?.1))).collect();
        let coin = &COINS[coin];
        let anchor = libm::log(coin.price);
        let whole: f64 = listed.iter().map(|(_, c)| c.open_interest_usd).sum();
        let largest = listed.iter().map(|(_, c)| c.open_interest_usd).fold(0.0, f64::max);
        let crowd = whole / largest;
        let desks: Vec<Desk> = listed
            .into_iter()
            .map(|(venue, contract)| {
                let share = contract.open_interest_usd / whole;
                Desk::new(venue, contract, coin, share, params.at(venue), seed)
            })
            .collect();
        let mut world = Self {
            coin,
            scenario,
            dice: Dice::new(seed, coin.name, 0),
            traders: Traders::new(anchor, (SLOTS * crowd) as usize, desks.len()),
            desks,
            second: live_second - lead,
            live_second,
            copies: largest / (coin.account_usd * params.settled),
            crowd,
            index: anchor,
            anchor,
            log_volatility: 0.0,
            volatility: params.volatility * coin.wildness / libm::sqrt(DAY),
            activity: 1.0,
            momentum: 0.0,
            sentiment: params.lean,
            slide: (0, 0.0),
            patience: 0.0,
            due: Vec::new(),
            params,
        };
        world.settle_in();
        world
    }

    /// The holders an old market has: everyone who came in the last days and would still be there.
    fn settle_in(&mut self) {
        let mut age = SETTLE_DAYS * DAY;
        let daily = self.params.volatility * self.coin.wildness;
        loop {
            age -= self.dice.wait() / (USUAL_ACTIVITY * self.params.arrivals * self.crowd);
            if age <= 0.0 {
                break;
            }
            let (desk, mut wish) = self.newcomer();
            let moved = daily * libm::sqrt(age / DAY) * self.dice.normal();
            // One in four was stopped or took profit on the way, more of those the price went far from.
            if wish.hold > age && self.dice.chance(0.75 / (1.0 + 20.0 * moved.abs())) {
                wish.hold -= age;
                self.open(desk, &wish, self.coin.price * libm::exp(moved));
            }
        }
        self.desks.iter_mut().for_each(Desk::forget);
    }

    /// Time the last step ended, UTC ms.
    pub fn now_ms(&self) -> i64 {
        self.second * 1_000
    }

    /// The venues that list the coin; the place in this order is what the other methods call a desk.
    pub fn venues(&self) -> impl ExactSizeIterator<Item = VenueId> + '_ {
        self.desks.iter().map(|desk| desk.venue)
    }

    /// The coin.
    pub fn coin(&self) -> &'static Coin {
        self.coin
    }

    /// What is traded at a desk.
    pub fn contract(&self, desk: usize) -> &'static Contract {
        self.desks[desk].contract
    }

    /// What a desk showed in the last second.
    pub fn tick(&self, desk: usize) -> &Tick {
        &self.desks[desk].tick
    }

    /// A desk's open interest, one side, lots: what all longs hold, market makers included.
    pub fn open_interest(&self, desk: usize) -> i64 {
        self.traders.lots(desk, Side::Long) + self.desks[desk].makers.long()
    }

    /// The same counted over all shorts; equal to `open_interest` at all times.
    pub fn short_interest(&self, desk: usize) -> i64 {
        self.traders.lots(desk, Side::Short) + self.desks[desk].makers.short()
    }

    /// Every open position of a desk's traders. Market makers are not among them.
    pub fn holdings(&self, desk: usize) -> impl Iterator<Item = Holding> + '_ {
        self.traders.iter().filter(move |(_, p)| p.desk == desk).map(|(slot, p)| self.holding_of(slot, p))
    }

    /// Inventories of a desk's market makers, lots; long is positive.
    pub fn inventories(&self, desk: usize) -> &[i64] {
        self.desks[desk].makers.each()
    }

    /// The position with this number, if it is still open at that desk.
    pub fn holding(&self, desk: usize, id: u64) -> Option<Holding> {
        let slot = self.traders.find(id)?;
        self.traders.get(slot).filter(|p| p.desk == desk).map(|p| self.holding_of(slot, p))
    }

    fn holding_of(&self, slot: u32, p: &traders::Position) -> Holding {
        let contract = self.desks[p.desk].contract;
        let accounts = p.lots as f64 * contract.lot_coins() / p.size;
        Holding {
            id: self.traders.id(slot),
            side: p.side,
            lots: p.lots,
            entry: p.entry * contract.multiplier,
            liquidation: p.liquidation * contract.multiplier,
            margin: p.margin * accounts,
        }
    }

    /// Runs one second. Without `watched` nothing is printed: cheaper, and the market takes the same course.
    pub fn step(&mut self, watched: bool) {
        self.second += 1;
        let end_ms = self.now_ms();
        for desk in &mut self.desks {
            desk.tick.end_ms = end_ms;
        }
        if self.second % SLOW == 0 {
            self.drift_slowly();
        }
        let drift = self.move_index();
        self.arrive_and_leave();
        let before: [(f64, f64); VenueId::COUNT] =
            std::array::from_fn(|n| self.desks.get(n).map_or((0.0, 0.0), |d| (d.last, d.mark)));
        self.move_prices(drift);
        let weather = self.weather();
        for desk in &mut self.desks {
            if watched {
                desk.print(&weather);
            } else {
                desk.forget();
            }
            desk.report_forced();
        }
        let index = (self.index, libm::exp(self.index));
        for (desk, (last, mark)) in before.into_iter().enumerate().take(self.desks.len()) {
            self.fire_stops(desk, last);
            self.fire_targets(desk, last);
            self.fire_liquidations(desk, mark);
            let interest = self.open_interest(desk);
            self.desks[desk].end(index, interest);
        }
    }

    fn weather(&self) -> Weather {
        Weather {
            index: self.index,
            volatility: self.volatility,
            activity: self.activity,
            sentiment: self.sentiment,
        }
    }

    /// Volatility, mood and activity, which change over hours.
    fn drift_slowly(&mut self) {
        let dt = SLOW as f64;
        let wildness = self.coin.wildness;
        let walk = |tau: f64| libm::sqrt(2.0 * dt / tau);
        self.log_volatility +=
            -self.log_volatility * dt / 14_400.0 + 0.7 * walk(14_400.0) * self.dice.normal();
        let daily = self.params.volatility * wildness;
        self.volatility = daily / libm::sqrt(DAY) * libm::exp(self.log_volatility - 0.245);
        self.sentiment +=
            (self.params.lean - self.sentiment) * dt / 28_800.0 + 0.35 * walk(28_800.0) * self.dice.normal();
        self.activity =
            libm::exp(0.7 * self.log_volatility) + (self.momentum.abs() / (0.01 * wildness)).min(3.0);
        if self.slide.0 == 0 && self.dice.chance(self.params.slides * dt / DAY) {
            let length = self.dice.range(300.0, 2_400.0);
            let depth = 0.022 * wildness * self.dice.far_normal();
            self.slide = (length as i64, depth / length);
        }
        for desk in &mut self.desks {
            desk.drift_slowly(dt);
        }
    }

    /// The index's own move; its log-return.
    fn move_index(&mut self) -> f64 {
        let mut drift = self.volatility * self.dice.normal();
        if self.dice.chance(4.0 / DAY) {
            drift += 0.004 * self.coin.wildness * self.dice.far_normal();
        }
        if self.slide.0 > 0 {
            self.slide.0 -= 1;
            drift += self.slide.1;
        }
        drift += staged_return(self.scenario, self.second - self.live_second);
        // A gentle pull home at first, firm beyond a fifth: a market that runs for weeks stays on its price grid.
        let away = self.index - self.anchor;
        drift -= away * (0.15 + 12.0 * away * away) / DAY;
        self.index += drift;
        self.momentum += drift - self.momentum / 1_800.0;
        drift
    }

    /// Someone comes to a venue, more often to a large one.
    fn newcomer(&mut self) -> (usize, traders::Wish) {
        let mut left = self.dice.unit();
        let at = self.desks.iter().position(|desk| {
            left -= desk.share;
            left <= 0.0
        });
        // The shares add up to one but for rounding.
        let at = at.unwrap_or(0);
        let mood = Mood { momentum: self.momentum, sentiment: self.sentiment };
        let desk = &self.desks[at];
        (at, wish(&mut self.dice, self.coin, desk.contract, &desk.params, mood))
    }

    fn open(&mut self, at: usize, wish: &traders::Wish, entry: f64) {
        let desk = &mut self.desks[at];
        let terms = Terms { desk: at, entry, mark: desk.mark_usd, copies: self.copies, now: self.second };
        let slot = self.traders.open(&mut self.dice, desk.contract, &desk.params, wish, terms);
        if let Some((slot, position)) = slot.and_then(|slot| Some((slot, self.traders.get(slot)?))) {
            let party =
                Party { id: self.traders.id(slot), buys: wish.side == Side::Long, lots: position.lots };
            desk.order(party, wish.takes);
        }
    }

    /// Takes a position out of the books; where it was and the order that closed it.
    fn close(&mut self, slot: u32) -> (usize, Party) {
        let at = self.traders.get(slot).map_or(0, |p| p.desk);
        let id = self.traders.id(slot);
        let (side, lots) = self.traders.close(slot);
        (at, Party { id, buys: side == Side::Short, lots })
    }

    fn arrive_and_leave(&mut self) {
        self.patience -= self.params.arrivals * self.crowd * self.activity;
        while self.patience < 0.0 {
            self.patience += self.dice.wait();
            let (desk, wish) = self.newcomer();
            let entry = self.desks[desk].last_usd;
            self.open(desk, &wish, entry);
        }
        while let Some(slot) = self.traders.next_exit(self.second) {
            let takes = self.dice.chance(self.params.taker);
            let (desk, party) = self.close(slot);
            self.desks[desk].order(party, takes);
        }
    }

    /// Lets the second's orders move each venue's price, the venues each other's, and all of them the index.
    fn move_prices(&mut self, drift: f64) {
        let (mut hit, mut push) = (0.0, 0.0);
        for desk in &mut self.desks {
            desk.churn(self.coin, self.activity, drift);
            hit += desk.share * desk.take_flow(self.coin);
            push += desk.share * desk.push;
        }
        self.index += (0.1 * hit).clamp(-0.002, 0.002);
        let weather = self.weather();
        for desk in &mut self.desks {
            desk.push += ARBITRAGE * (push - desk.push);
            desk.reprice(&weather);
        }
    }

    fn fire_stops(&mut self, at: usize, last_before: f64) {
        let (last, price) = (self.desks[at].last, self.desks[at].last_usd);
        for side in Side::BOTH {
            let mut due = std::mem::take(&mut self.due);
            due.clear();
            self.traders.by_stop.collect(shelf(at, side), last_before, last, &mut due);
            for slot in due.drain(..) {
                let Some(p) = self.traders.get(slot) else { continue };
                let hit = if side == Side::Long { price <= p.stop } else { price >= p.stop };
                match p.at_stop {
                    _ if !hit => {}
                    AtStop::Nothing => {}
                    AtStop::AddMargin => self.traders.add_margin(slot, self.desks[at].contract),
                    AtStop::Close => {
                        let (_, party) = self.close(slot);
                        self.desks[at].order_later(party);
                    }
                }
            }
            self.due = due;
        }
    }

    fn fire_targets(&mut self, at: usize, last_before: f64) {
        let (last, price) = (self.desks[at].last, self.desks[at].last_usd);
        for side in Side::BOTH {
            let mut due = std::mem::take(&mut self.due);
            due.clear();
            self.traders.by_target.collect(shelf(at, side), last_before, last, &mut due);
            for slot in due.drain(..) {
                let Some(p) = self.traders.get(slot) else { continue };
                if if side == Side::Long { price >= p.target } else { price <= p.target } {
                    // A resting order was filled: the taker is whoever came for it.
                    let (_, party) = self.close(slot);
                    self.desks[at].order_met(party);
                }
            }
            self.due = due;
        }
    }

    /// Liquidations are triggered by the venue's own mark price (exchanges.md §13).
    fn fire_liquidations(&mut self, at: usize, mark_before: f64) {
        let (log_mark, mark) = (self.desks[at].mark, self.desks[at].mark_usd);
        for side in Side::BOTH {
            let mut due = std::mem::take(&mut self.due);
            due.clear();
            self.traders.by_liquidation.collect(shelf(at, side), mark_before, log_mark, &mut due);
            for slot in due.drain(..) {
                let Some(p) = self.traders.get(slot) else { continue };
                if if side == Side::Long { mark <= p.liquidation } else { mark >= p.liquidation } {
                    let (id, bankruptcy) = (self.traders.id(slot), p.bankruptcy());
                    let (_, lots) = self.traders.liquidate(slot, mark, self.desks[at].contract);
                    let desk = &mut self.desks[at];
                    desk.order_later(Party { id, buys: side == Side::Short, lots });
                    desk.doomed.push(Doomed { id, side, lots, bankruptcy });
                }
            }
            self.due = due;
        }
    }
}

#[cfg(test)]
mod tests;
