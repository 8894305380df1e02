//! A market for one contract, stepped a second at a time.
//!
//! Traders arrive, hold, are stopped out or liquidated; market makers take the other side; order flow moves the
//! price, which triggers more of the same. The same seed and start give the same market on every machine: nothing
//! here reads a clock or calls the platform's mathematics.

pub mod contract;
mod dice;
mod flow;
mod ladder;
mod makers;
pub mod margin;
pub mod scenario;
pub mod tick;
mod traders;

use contract::Contract;
use dice::Dice;
use flow::Flow;
use makers::Makers;
use scenario::{Params, Scenario, staged_return};
use tick::{Forced, Tick};
use traders::{AtStop, Mood, Terms, Traders, wish};

use crate::market::Side;

const DAY: f64 = 86_400.0;
/// Newcomers of the past as a multiple of a quiet market's: activity is above one more than below it, and some
/// holders the draw below lets go would still be there. Measured, so that open interest starts where it settles.
const USUAL_ACTIVITY: f64 = 1.7;
/// How far back the first population came, days.
const SETTLE_DAYS: f64 = 8.0;
/// Displacement of price at which the book has become twice as deep: far orders wait there.
const DEEPER: f64 = 0.006;
/// Share of open interest whose net taker volume moves the price by one basis point.
const BP_DEPTH: f64 = 0.002;
/// Seconds between two looks at what changes slowly.
const SLOW: i64 = 8;
/// Funding periods, ms (exchanges.md §3.4: eight hours where `fundingInfo` does not say otherwise).
pub(crate) const FUNDING_MS: i64 = 8 * 3_600_000;

/// The state of one contract's market.
#[derive(Debug)]
pub struct World {
    contract: &'static Contract,
    scenario: Scenario,
    params: Params,
    dice: Dice,
    flow: Flow,
    traders: Traders,
    makers: Makers,
    /// Seconds since the epoch, and the first of them that is live.
    second: i64,
    live_second: i64,
    /// Accounts one position stands for.
    copies: f64,
    /// Logarithm of the index and of where it is pulled to.
    index: f64,
    anchor: f64,
    /// Logarithms of the last price and of mark.
    last: f64,
    mark: f64,
    /// Mark price averaged over a minute, USD.
    mark_mean: f64,
    /// Displacement of the last price from the index by recent flow, and its average, which is in mark.
    push: f64,
    push_mean: f64,
    /// How much thinner the book is for having been hit.
    stress: f64,
    /// Net taker lots of stops and liquidations, to be executed in the coming second; and those of liquidations.
    carry: i64,
    doomed: Vec<(Side, i64)>,
    log_volatility: f64,
    volatility: f64,
    activity: f64,
    momentum: f64,
    sentiment: f64,
    slide: (i64, f64),
    /// Log of arrivals still owed: a newcomer comes when it falls below zero.
    patience: f64,
    premium: f64,
    due: Vec<u32>,
}

impl World {
    /// A market `lead` seconds before its live time begins; `live_second` counts from the epoch.
    pub fn new(
        contract: &'static Contract,
        scenario: Scenario,
        seed: u64,
        live_second: i64,
        lead: i64,
    ) -> Self {
        let anchor = libm::log(contract.price);
        let params = Params::of(scenario);
        let mut world = Self {
            contract,
            scenario,
            dice: Dice::new(seed, contract.symbol, 0),
            flow: Flow::new(Dice::new(seed, contract.symbol, 1)),
            traders: Traders::new(anchor),
            makers: Makers::default(),
            second: live_second - lead,
            live_second,
            copies: contract.open_interest_usd / (contract.account_usd * params.settled),
            index: anchor,
            anchor,
            last: anchor,
            mark: anchor,
            mark_mean: contract.price,
            push: 0.0,
            push_mean: 0.0,
            stress: 0.0,
            carry: 0,
            doomed: Vec::new(),
            log_volatility: 0.0,
            volatility: params.volatility * contract.wildness / libm::sqrt(DAY),
            activity: 1.0,
            momentum: 0.0,
            sentiment: params.lean,
            slide: (0, 0.0),
            patience: 0.0,
            premium: 0.0,
            due: Vec::new(),
            params,
        };
        world.settle_in();
        world
    }

    /// The holders an old market has: everyone who came in the last days and would still be there.
    fn settle_in(&mut self) {
        let mut age = SETTLE_DAYS * DAY;
        let daily = self.params.volatility * self.contract.wildness;
        loop {
            age -= self.dice.wait() / (USUAL_ACTIVITY * self.params.arrivals);
            if age <= 0.0 {
                break;
            }
            let mut wish = self.newcomer();
            let moved = daily * libm::sqrt(age / DAY) * self.dice.normal();
            // One in four was stopped or took profit on the way, more of those the price went far from.
            if wish.hold > age && self.dice.chance(0.75 / (1.0 + 20.0 * moved.abs())) {
                wish.hold -= age;
                self.open(&wish, self.contract.price * libm::exp(moved));
            }
        }
        self.flow.forget();
    }

    /// Time the last step ended, UTC ms.
    pub fn now_ms(&self) -> i64 {
        self.second * 1_000
    }

    /// Open interest, one side, lots: what all longs hold, market makers included.
    pub fn open_interest(&self) -> i64 {
        self.traders.lots(Side::Long) + self.makers.long()
    }

    /// The same counted over all shorts; equal to `open_interest` at all times.
    pub fn short_interest(&self) -> i64 {
        self.traders.lots(Side::Short) + self.makers.short()
    }

    /// Every open position of a trader: side, liquidation price (USD) and lots. Market makers have none.
    pub fn positions(&self) -> impl Iterator<Item = (Side, f64, i64)> + '_ {
        self.traders.iter().map(|p| (p.side, p.liquidation, p.lots))
    }

    /// Runs one second and says what was seen of it.
    pub fn step(&mut self, tick: &mut Tick) {
        self.second += 1;
        tick.end_ms = self.now_ms();
        if self.second % SLOW == 0 {
            self.drift_slowly();
        }
        let drift = self.move_index();
        self.arrive_and_leave();
        self.churn(drift);
        let before = (self.last, self.mark);
        self.move_price();
        self.flow.print(
            tick,
            &flow::Path {
                contract: self.contract,
                from: libm::exp(before.0),
                to: libm::exp(self.last),
                jitter: 0.4 * self.volatility,
                activity: self.activity,
            },
        );
        self.report_forced(tick);
        self.fire_stops(before.0);
        self.fire_targets(before.0);
        self.fire_liquidations(before.1);
        tick.mark = libm::exp(self.mark);
        self.mark_mean += (tick.mark - self.mark_mean) / 60.0;
        tick.mark_mean = self.mark_mean;
        tick.index = libm::exp(self.index);
        tick.open_interest = self.open_interest();
        self.fund(tick);
    }

    /// Volatility, mood and activity, which change over hours.
    fn drift_slowly(&mut self) {
        let dt = SLOW as f64;
        let walk = |tau: f64| libm::sqrt(2.0 * dt / tau);
        self.log_volatility +=
            -self.log_volatility * dt / 14_400.0 + 0.7 * walk(14_400.0) * self.dice.normal();
        let daily = self.params.volatility * self.contract.wildness;
        self.volatility = daily / libm::sqrt(DAY) * libm::exp(self.log_volatility - 0.245);
        self.sentiment +=
            (self.params.lean - self.sentiment) * dt / 28_800.0 + 0.35 * walk(28_800.0) * self.dice.normal();
        self.activity = libm::exp(0.5 * self.log_volatility)
            + (self.momentum.abs() / (0.015 * self.contract.wildness)).min(2.0);
        if self.slide.0 == 0 && self.dice.chance(self.params.slides * dt / DAY) {
            let length = self.dice.range(300.0, 2_400.0);
            let depth = 0.022 * self.contract.wildness * self.dice.normal();
            self.slide = (length as i64, depth / length);
        }
    }

    /// The index's own move; its log-return.
    fn move_index(&mut self) -> f64 {
        let mut drift = self.volatility * self.dice.normal();
        if self.dice.chance(4.0 / DAY) {
            drift += 0.004 * self.contract.wildness * self.dice.normal();
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

    fn newcomer(&mut self) -> traders::Wish {
        let mood = Mood { momentum: self.momentum, sentiment: self.sentiment };
        wish(&mut self.dice, self.contract, &self.params, mood)
    }

    fn open(&mut self, wish: &traders::Wish, entry: f64) {
        let terms = Terms { entry, mark: libm::exp(self.mark), copies: self.copies, now: self.second };
        let opened = self.traders.open(&mut self.dice, self.contract, &self.params, wish, terms);
        if let Some(lots) = opened {
            let signed = if wish.side == Side::Long { lots } else { -lots };
            self.makers.take(&mut self.dice, -signed);
            self.flow.add((wish.side == Side::Long) == wish.takes, lots);
        }
    }

    fn close(&mut self, slot: u32) -> (Side, i64) {
        let (side, lots) = self.traders.close(slot);
        self.makers.take(&mut self.dice, if side == Side::Long { lots } else { -lots });
        (side, lots)
    }

    fn arrive_and_leave(&mut self) {
        self.patience -= self.params.arrivals * self.activity;
        while self.patience < 0.0 {
            self.patience += self.dice.wait();
            let wish = self.newcomer();
            self.open(&wish, libm::exp(self.last));
        }
        while let Some(slot) = self.traders.next_exit(self.second) {
            let takes = self.dice.chance(self.params.taker);
            let (side, lots) = self.close(slot);
            self.flow.add((side == Side::Short) == takes, lots);
        }
    }

    /// Market makers pass inventory around: most of the volume, none of the open interest.
    fn churn(&mut self, drift: f64) {
        let usual = self.params.churn * self.contract.open_interest_usd
            / self.contract.price
            / self.contract.lot()
            / DAY;
        let lots = usual * self.activity * (0.3 + 1.4 * self.dice.unit());
        let share = (0.5 + 0.1 * drift.signum() + 0.12 * self.dice.normal()).clamp(0.05, 0.95);
        self.flow.add(true, (lots * share) as i64);
        self.flow.add(false, (lots * (1.0 - share)) as i64);
        self.makers.churn(&mut self.dice, (0.1 * lots) as i64);
    }

    /// Lets the second's orders move the price.
    fn move_price(&mut self) {
        let unit = self.contract.price * self.contract.lot() / self.contract.open_interest_usd;
        let carried = self.carry as f64;
        // Two thirds of voluntary flow meets resting orders that were placed for it.
        let net = carried + 0.35 * self.flow.net() as f64;
        self.stress += carried.abs() * unit / BP_DEPTH * 0.1 - self.stress / 300.0;
        let per_unit = self.params.impact * 1e-4 / BP_DEPTH * (1.0 + self.stress.min(1.5));
        let deeper = if self.push * net > 0.0 { 1.0 + self.push.abs() / DEEPER } else { 1.0 };
        let hit = per_unit * unit * net / deeper;
        self.push = (self.push * (1.0 - 1.0 / 90.0) + hit).clamp(-0.06, 0.06);
        self.index += (0.1 * hit).clamp(-0.002, 0.002);
        // Crowded longs pay a little over the index, crowded shorts get a little less.
        let basis = 6e-4 * self.sentiment.clamp(-2.0, 2.0);
        self.last = self.index + self.push + basis;
        self.push_mean += (self.push + basis - self.push_mean) / 20.0;
        self.mark = self.index + self.push_mean;
        let forced = std::mem::take(&mut self.carry);
        if forced != 0 {
            self.flow.add(forced > 0, forced.abs());
        }
    }

    /// The liquidations triggered in the last second trade in this one.
    fn report_forced(&mut self, tick: &mut Tick) {
        tick.forced.clear();
        let count = self.doomed.len() as i64;
        for (n, (side, lots)) in self.doomed.drain(..).enumerate() {
            let ms = tick.end_ms - 999 + (n as i64 + 1) * 900 / (count + 1);
            let at = tick.prints.iter().rev().find(|p| p.ms <= ms).or(tick.prints.first());
            let largest = ((0.2 + 0.6 * self.dice.unit()) * lots as f64) as i64;
            let ticks = at.map_or(tick.bid, |p| p.ticks);
            tick.forced.push(Forced { ms, side, lots, largest: largest.clamp(1, lots), ticks });
        }
    }

    fn fire_stops(&mut self, last_before: f64) {
        let price = libm::exp(self.last);
        for side in Side::BOTH {
            let mut due = std::mem::take(&mut self.due);
            due.clear();
            self.traders.by_stop[side.index()].collect(last_before, self.last, &mut due);
            for slot in due.drain(..) {
                let Some(p) = self.traders.get(slot) else { continue };
                let hit = if side == Side::Long { price <= p.stop } else { price >= p.stop };
                match p.at_stop {
                    _ if !hit => {}
                    AtStop::Nothing => {}
                    AtStop::AddMargin => self.traders.add_margin(slot, self.contract),
                    AtStop::Close => {
                        let (_, lots) = self.close(slot);
                        self.carry += if side == Side::Long { -lots } else { lots };
                    }
                }
            }
            self.due = due;
        }
    }

    fn fire_targets(&mut self, last_before: f64) {
        let price = libm::exp(self.last);
        for side in Side::BOTH {
            let mut due = std::mem::take(&mut self.due);
            due.clear();
            self.traders.by_target[side.index()].collect(last_before, self.last, &mut due);
            for slot in due.drain(..) {
                let Some(p) = self.traders.get(slot) else { continue };
                if if side == Side::Long { price >= p.target } else { price <= p.target } {
                    let (_, lots) = self.close(slot);
                    // A resting order was filled: the taker is whoever came for it.
                    self.flow.add(side == Side::Long, lots);
                }
            }
            self.due = due;
        }
    }

    /// Liquidations are triggered by mark price (exchanges.md §13).
    fn fire_liquidations(&mut self, mark_before: f64) {
        let mark = libm::exp(self.mark);
        for side in Side::BOTH {
            let mut due = std::mem::take(&mut self.due);
            due.clear();
            self.traders.by_liquidation[side.index()].collect(mark_before, self.mark, &mut due);
            for slot in due.drain(..) {
                let Some(p) = self.traders.get(slot) else { continue };
                if if side == Side::Long { mark <= p.liquidation } else { mark >= p.liquidation } {
                    let (_, lots) = self.traders.liquidate(slot, mark, self.contract);
                    let signed = if side == Side::Long { lots } else { -lots };
                    self.makers.take(&mut self.dice, signed);
                    self.carry -= signed;
                    self.doomed.push((side, lots));
                }
            }
            self.due = due;
        }
    }

    /// Funding by the usual rule: mean premium plus what is missing to one basis point, within half a per mille.
    fn fund(&mut self, tick: &mut Tick) {
        self.premium += (self.mark - self.index - self.premium) / 7_200.0;
        let rate = self.premium + (0.0001 - self.premium).clamp(-0.0005, 0.0005);
        tick.funding = (rate.clamp(-0.003, 0.003) * 1e8).round() / 1e8;
        tick.settled = (tick.end_ms % FUNDING_MS == 0).then_some(tick.funding);
    }
}

#[cfg(test)]
mod tests;
