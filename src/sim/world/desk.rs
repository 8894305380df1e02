//! One venue's side of a market: its order flow, its makers, its prices and its funding.

use super::contract::{Coin, Contract};
use super::dice::Dice;
use super::flow::{Flow, Path};
use super::makers::Makers;
use super::scenario::Params;
use super::tick::{Forced, Party, Tick};
use crate::market::Side;
use crate::sim::contracts::EIGHT_HOURS_MS;
use crate::sim::venue::VenueId;

/// Displacement of price at which the book has become twice as deep: far orders wait there.
const DEEPER: f64 = 0.006;
/// Share of open interest whose net taker volume moves the price by one basis point (`estimator.md` §5.1: a million USD, of
/// a thousand million).
const BP_DEPTH: f64 = 0.001;
/// How far a venue's prices usually stand from the index for no reason, and how long it takes to forget, seconds.
const BASIS: f64 = 2e-4;
const BASIS_TAU: f64 = 5_400.0;

/// A liquidation that was triggered and trades in the coming second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doomed {
    pub id: u64,
    pub side: Side,
    pub lots: i64,
    /// USD per coin.
    pub bankruptcy: f64,
}

/// What all venues of a coin share in a second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    /// Logarithm of the index, USD per coin.
    pub index: f64,
    pub volatility: f64,
    pub activity: f64,
    pub sentiment: f64,
}

/// A venue's market in a coin. Prices are logarithms of USD per coin.
#[derive(Debug)]
pub(super) struct Desk {
    pub venue: VenueId,
    pub contract: &'static Contract,
    /// Share of the coin's open interest.
    pub share: f64,
    pub params: Params,
    pub dice: Dice,
    pub flow: Flow,
    pub makers: Makers,
    pub last: f64,
    pub mark: f64,
    /// The same in USD per coin, and the last price a second ago.
    pub last_usd: f64,
    pub mark_usd: f64,
    before_usd: f64,
    /// Mark price averaged over a minute, USD per coin.
    mark_mean: f64,
    /// Displacement of the last price from the index by recent flow, and its average, which is in mark.
    pub push: f64,
    push_mean: f64,
    /// Displacement for no reason.
    basis: f64,
    /// How much thinner the book is for having been hit.
    stress: f64,
    /// Net taker lots of stops and liquidations, to be executed in the coming second; and the liquidations among them.
    pub carry: i64,
    pub doomed: Vec<Doomed>,
    /// Net taker lots of the coming second that have moved the price already.
    met: i64,
    premium: f64,
    /// Traders whose orders are to be printed.
    waiting: Vec<Party>,
    /// What the second shows.
    pub tick: Tick,
}

impl Desk {
    pub fn new(
        venue: VenueId,
        contract: &'static Contract,
        coin: &Coin,
        share: f64,
        params: Params,
        seed: u64,
    ) -> Self {
        let anchor = libm::log(coin.price);
        let stream = 1 + 2 * venue.index() as u64;
        let mut dice = Dice::new(seed, coin.name, stream);
        let basis = BASIS * dice.normal();
        Self {
            venue,
            contract,
            share,
            params,
            flow: Flow::new(Dice::new(seed, coin.name, stream + 1)),
            makers: Makers::default(),
            last: anchor,
            mark: anchor,
            last_usd: coin.price,
            mark_usd: coin.price,
            before_usd: coin.price,
            mark_mean: coin.price,
            push: 0.0,
            push_mean: 0.0,
            basis,
            stress: 0.0,
            carry: 0,
            doomed: Vec::new(),
            met: 0,
            premium: 0.0,
            waiting: Vec::new(),
            tick: Tick::default(),
            dice,
        }
    }

    /// A trader's order: who, which way, how much, and whether it took liquidity. Some maker is on the other side.
    pub fn order(&mut self, party: Party, takes: bool) {
        let Party { buys, lots, .. } = party;
        self.makers.take(&mut self.dice, if buys { -lots } else { lots });
        self.flow.add(buys == takes, lots);
        self.waiting.push(party);
    }

    /// A trader's forced or stopped exit, which trades in the coming second.
    pub fn order_later(&mut self, party: Party) {
        let Party { buys, lots, .. } = party;
        self.makers.take(&mut self.dice, if buys { -lots } else { lots });
        self.carry += if buys { lots } else { -lots };
        self.waiting.push(party);
    }

    /// A trader's resting exit that was filled: printed like any other, but the price has already moved for whoever came
    /// for it.
    pub fn order_met(&mut self, party: Party) {
        self.met += if party.buys { -party.lots } else { party.lots };
        self.order(party, false);
    }

    /// What changes slowly, `dt` seconds after the last time.
    pub fn drift_slowly(&mut self, dt: f64) {
        let walk = libm::sqrt(2.0 * dt / BASIS_TAU);
        self.basis += -self.basis * dt / BASIS_TAU + BASIS * walk * self.dice.normal();
    }

    /// Market makers pass inventory around: most of the volume, none of the open interest.
    pub fn churn(&mut self, coin: &Coin, activity: f64, drift: f64) {
        let usual = self.params.churn * self.contract.open_interest_usd
            / coin.price
            / self.contract.lot_coins()
            / super::DAY;
        let lots = usual * activity * (0.3 + 1.4 * self.dice.unit());
        let share = (0.5 + 0.1 * drift.signum() + 0.12 * self.dice.normal()).clamp(0.05, 0.95);
        self.flow.add(true, (lots * share) as i64);
        self.flow.add(false, (lots * (1.0 - share)) as i64);
        self.makers.churn(&mut self.dice, (0.6 * lots) as i64);
    }

    /// Lets the second's orders move this venue's price; gives by how much.
    pub fn take_flow(&mut self, coin: &Coin) -> f64 {
        let unit = coin.price * self.contract.lot_coins() / self.contract.open_interest_usd;
        let carried = self.carry as f64;
        // Two thirds of voluntary flow meets resting orders that were placed for it.
        let net = carried + 0.35 * (self.flow.net() - std::mem::take(&mut self.met)) as f64;
        self.stress += carried.abs() * unit / BP_DEPTH * 0.02 - self.stress / 300.0;
        let per_unit = self.params.impact * 1e-4 / BP_DEPTH * (1.0 + self.stress.min(2.0));
        let deeper = if self.push * net > 0.0 { 1.0 + self.push.abs() / DEEPER } else { 1.0 };
        let hit = per_unit * unit * net / deeper;
        self.push = (self.push * (1.0 - 1.0 / 90.0) + hit).clamp(-0.06, 0.06);
        let forced = std::mem::take(&mut self.carry);
        if forced != 0 {
            self.flow.add(forced > 0, forced.abs());
        }
        hit
    }

    /// The prices that follow from index and flow.
    pub fn reprice(&mut self, weather: &Weather) {
        // Crowded longs pay a little over the index, crowded shorts get a little less.
        let basis = self.basis + 6e-4 * weather.sentiment.clamp(-2.0, 2.0);
        self.last = weather.index + self.push + basis;
        self.push_mean += (self.push + basis - self.push_mean) / 20.0;
        self.mark = weather.index + self.push_mean;
        self.before_usd = self.last_usd;
        self.last_usd = libm::exp(self.last);
        self.mark_usd = libm::exp(self.mark);
    }

    /// Prints what was traded while the price went to where it is.
    pub fn print(&mut self, weather: &Weather) {
        let path = Path {
            contract: self.contract,
            from: self.before_usd * self.contract.multiplier,
            to: self.last_usd * self.contract.multiplier,
            jitter: 0.4 * weather.volatility,
            activity: weather.activity,
        };
        self.flow.print(&mut self.tick, &path);
        self.name_parties();
    }

    /// Prints nothing: what waits is forgotten.
    pub fn forget(&mut self) {
        self.flow.forget();
        self.waiting.clear();
        self.tick.prints.clear();
        self.tick.parties.clear();
    }

    /// Puts the traders' names to the prints, one a side; whoever finds no room is only among the parties.
    fn name_parties(&mut self) {
        let tick = &mut self.tick;
        tick.parties.clear();
        tick.parties.append(&mut self.waiting);
        for party in &tick.parties {
            let mut names =
                tick.prints.iter_mut().map(|p| if party.buys { &mut p.buyer } else { &mut p.seller });
            if let Some(name) = names.find(|name| **name == 0) {
                *name = party.id;
            }
        }
    }

    /// The liquidations triggered in the last second trade in this one.
    pub fn report_forced(&mut self) {
        let tick = &mut self.tick;
        tick.forced.clear();
        let count = self.doomed.len() as i64;
        for (n, doomed) in self.doomed.drain(..).enumerate() {
            let Doomed { id, side, lots, bankruptcy } = doomed;
            let ms = tick.end_ms - 999 + (n as i64 + 1) * 900 / (count + 1);
            let at = tick.prints.iter().rev().find(|p| p.ms <= ms).or(tick.prints.first());
            let largest = ((0.2 + 0.6 * self.dice.unit()) * lots as f64) as i64;
            let ticks = at.map_or(tick.bid, |p| p.ticks);
            let bankruptcy = (bankruptcy * self.contract.multiplier / self.contract.tick()).round() as i64;
            tick.forced.push(Forced {
                id,
                ms,
                side,
                lots,
                largest: largest.clamp(1, lots),
                ticks,
                bankruptcy: bankruptcy.max(1),
            });
        }
    }

    /// What is seen at the end of the second besides trades; `index` as a logarithm and in USD per coin.
    pub fn end(&mut self, (index, index_usd): (f64, f64), open_interest: i64) {
        let multiplier = self.contract.multiplier;
        self.mark_mean += (self.mark_usd - self.mark_mean) / 60.0;
        self.tick.mark = self.mark_usd * multiplier;
        self.tick.mark_mean = self.mark_mean * multiplier;
        self.tick.index = index_usd * multiplier;
        self.tick.open_interest = open_interest;
        self.fund(index);
    }

    /// Funding by the usual rule: mean premium plus what is missing to one basis point, within half a per mille, over
    /// eight hours; a shorter period pays its part.
    fn fund(&mut self, index: f64) {
        self.premium += (self.mark - index - self.premium) / 7_200.0;
        let rate = self.premium + (0.0001 - self.premium).clamp(-0.0005, 0.0005);
        let part = self.contract.funding_ms as f64 / EIGHT_HOURS_MS as f64;
        let tick = &mut self.tick;
        tick.funding = (rate.clamp(-0.003, 0.003) * part * 1e8).round() / 1e8;
        tick.settled = (tick.end_ms % self.contract.funding_ms == 0).then_some(tick.funding);
    }
}
