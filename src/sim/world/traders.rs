//! Traders: what they open, how long they mean to hold, where they would stop, and the slots they live in.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::contract::{Coin, Contract};
use super::dice::Dice;
use super::ladder::Ladder;
use super::margin::{liquidation_price, tier_of};
use super::scenario::{MENU, Params};
use crate::market::Side;

/// Seconds after which every position is closed whatever its holder meant, so that the queue of exits is bounded.
const LONGEST_HOLD: f64 = 8.0 * 86_400.0;

/// What a position does at its stop price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtStop {
    Nothing,
    Close,
    AddMargin,
}

/// An open position. One stands for many accounts alike; `size` and `margin` are one account's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    /// Where it is held, an index into the world's desks.
    pub desk: usize,
    pub side: Side,
    /// All accounts together, lots; 0 is an empty slot.
    pub lots: i64,
    /// Entry, USD.
    pub entry: f64,
    /// One account's coins.
    pub size: f64,
    /// One account's margin, USD.
    pub margin: f64,
    /// Liquidation price, USD; triggered by mark.
    pub liquidation: f64,
    /// Stop price, USD; triggered by the last price.
    pub stop: f64,
    pub at_stop: AtStop,
    /// Take-profit price, USD; infinite or zero when there is none.
    pub target: f64,
    /// Times it was liquidated in part.
    pub parts: u8,
    /// Tells this tenant of the slot from earlier ones.
    tenancy: u32,
}

impl Position {
    /// The price at which its margin is used up (exchanges.md §13), USD.
    pub fn bankruptcy(&self) -> f64 {
        let reach = self.margin / self.size;
        if self.side == Side::Long { (self.entry - reach).max(0.0) } else { self.entry + reach }
    }
}

const EMPTY: Position = Position {
    desk: 0,
    side: Side::Long,
    lots: 0,
    entry: 0.0,
    size: 0.0,
    margin: 0.0,
    liquidation: 0.0,
    stop: 0.0,
    at_stop: AtStop::Nothing,
    target: 0.0,
    parts: 0,
    tenancy: 0,
};

/// What a trader wants before it has a price.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    pub side: Side,
    /// One account's notional, USD.
    pub notional: f64,
    /// Margin as a share of notional.
    pub margin: f64,
    /// Seconds it means to hold.
    pub hold: f64,
    /// Whether its opening order takes liquidity.
    pub takes: bool,
}

/// What traders see when they decide.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mood {
    /// Decaying sum of the last half hour's returns.
    pub momentum: f64,
    /// Logit of going long, shared by all.
    pub sentiment: f64,
}

/// Draws one newcomer.
pub(crate) fn wish(dice: &mut Dice, coin: &Coin, contract: &Contract, params: &Params, mood: Mood) -> Wish {
    let pull = 1.5 * (mood.momentum / (0.01 * coin.wildness)).clamp(-1.5, 1.5);
    let kind = dice.unit();
    let mut lean = mood.sentiment;
    if kind < params.follow {
        lean += pull;
    } else if kind < params.follow + params.fade {
        lean -= pull;
    }
    let side = if dice.chance(1.0 / (1.0 + libm::exp(-lean))) { Side::Long } else { Side::Short };
    let largest = 12_000.0 * coin.account_usd;
    if dice.chance(params.pro) {
        let leverage = dice.log_normal(4.0, 0.6).max(1.15);
        return Wish {
            side,
            notional: dice.log_normal(12.0 * coin.account_usd, 1.3).min(largest),
            margin: 1.0 / leverage,
            hold: dice.log_normal(2.5 * 86_400.0, 1.0),
            takes: dice.chance(0.5 * params.taker),
        };
    }
    let notional = dice.log_normal(coin.account_usd, 1.6).min(largest);
    let mut leverage = pick(dice, &params.menu);
    leverage = leverage.min(params.max_leverage);
    // Few put a large stake on a high setting, whatever the venue allows.
    if notional > 120.0 * coin.account_usd {
        leverage = leverage.min(20.0);
    }
    leverage = tier_of(contract.tiers, notional).map_or(leverage, |t| leverage.min(t.max_leverage));
    let mut margin = 1.0 / leverage;
    if dice.chance(params.cross) {
        margin = (margin * (1.0 + dice.log_normal(1.0, 0.9))).min(0.95);
    }
    let kind = dice.unit();
    let hold = if kind < 0.35 {
        dice.log_normal(900.0, 1.2)
    } else if kind < 0.80 {
        dice.log_normal(4.0 * 3_600.0, 1.2)
    } else {
        dice.log_normal(2.0 * 86_400.0, 1.0)
    };
    // Higher leverage is watched closer.
    let hold = hold * libm::pow(10.0 / leverage, 0.4);
    Wish { side, notional, margin, hold, takes: dice.chance(params.taker) }
}

fn pick(dice: &mut Dice, weights: &[f64; 9]) -> f64 {
    let mut left = dice.unit() * weights.iter().sum::<f64>();
    for (leverage, weight) in MENU.iter().zip(weights) {
        left -= weight;
        if left <= 0.0 {
            return *leverage;
        }
    }
    MENU[0]
}

/// Where the ladders keep a desk's positions of a side.
pub(crate) fn shelf(desk: usize, side: Side) -> usize {
    2 * desk + side.index()
}

/// Every open position of traders, and where each is found by price and by time.
#[derive(Debug)]
pub(crate) struct Traders {
    slots: Vec<Position>,
    free: Vec<u32>,
    exits: BinaryHeap<Reverse<(i64, u32, u32)>>,
    /// By liquidation price, on the [`shelf`] of its desk and side.
    pub by_liquidation: Ladder,
    /// By stop price.
    pub by_stop: Ladder,
    /// By take-profit price.
    pub by_target: Ladder,
    /// Lots held, by desk and side.
    lots: Vec<[i64; 2]>,
}

impl Traders {
    /// Nobody yet, with room for so many positions at so many desks, which is taken now and never grows; prices are
    /// filed around the anchor, a logarithm.
    pub fn new(anchor: f64, slots: usize, desks: usize) -> Self {
        let ladder = || Ladder::new(anchor, slots, 2 * desks);
        Self {
            slots: vec![EMPTY; slots],
            free: (0..slots as u32).rev().collect(),
            exits: BinaryHeap::new(),
            by_liquidation: ladder(),
            by_stop: ladder(),
            by_target: ladder(),
            lots: vec![[0; 2]; desks],
        }
    }

    /// Lots held at a desk on a side.
    pub fn lots(&self, desk: usize, side: Side) -> i64 {
        self.lots[desk][side.index()]
    }

    /// The position in a slot, if one lives there.
    pub fn get(&self, slot: u32) -> Option<&Position> {
        self.slots.get(slot as usize).filter(|p| p.lots > 0)
    }

    /// All open positions with their slots.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Position)> {
        (0..).zip(&self.slots).filter(|(_, p)| p.lots > 0)
    }

    /// The number of whoever lives in a slot: another one for every tenant, never 0.
    pub fn id(&self, slot: u32) -> u64 {
        let tenancy = self.slots.get(slot as usize).map_or(0, |p| p.tenancy);
        (u64::from(slot) << 32) | u64::from(tenancy)
    }

    /// The slot of an id, if that tenant still lives there.
    pub fn find(&self, id: u64) -> Option<u32> {
        let slot = (id >> 32) as u32;
        self.get(slot).filter(|p| p.tenancy == id as u32).map(|_| slot)
    }

    /// Opens what was wished for; `None` if there is no room or the venue would liquidate it at once. Gives the slot.
    pub fn open(
        &mut self,
        dice: &mut Dice,
        contract: &Contract,
        params: &Params,
        wish: &Wish,
        terms: Terms,
    ) -> Option<u32> {
        let Terms { desk, entry, mark, copies, now } = terms;
        let size = wish.notional / entry;
        let rate = tier_of(contract.tiers, wish.notional)?.rate;
        // The highest settings leave next to nothing above maintenance; no one opens so as to die at the next tick.
        let margin = wish.notional * wish.margin.max(1.2 * rate + 0.0015);
        let liquidation = liquidation_price(contract.tiers, wish.side, entry, size, margin);
        let lots = (size * copies / contract.lot_coins()).round() as i64;
        let dead = match wish.side {
            Side::Long => mark <= liquidation,
            Side::Short => mark >= liquidation,
        };
        if dead || lots <= 0 {
            return None;
        }
        let slot = self.free.pop()?;
        let toward_loss = liquidation - entry;
        let at_stop = match dice.unit() {
            u if u < params.stop => AtStop::Close,
            u if u < params.stop + params.top_up => AtStop::AddMargin,
            _ => AtStop::Nothing,
        };
        let stop = entry + dice.range(0.25, 0.95) * toward_loss;
        let target = if dice.chance(0.4) { entry - dice.range(0.3, 2.0) * toward_loss } else { 0.0 };
        let at = slot as usize;
        let tenancy = self.slots[at].tenancy.wrapping_add(1);
        self.slots[at] = Position {
            desk,
            side: wish.side,
            lots,
            entry,
            size,
            margin,
            liquidation,
            stop,
            at_stop,
            target,
            parts: 0,
            tenancy,
        };
        let shelf = shelf(desk, wish.side);
        self.by_liquidation.set(slot, shelf, libm::log(liquidation));
        if at_stop != AtStop::Nothing {
            self.by_stop.set(slot, shelf, libm::log(stop));
        }
        if target > 0.0 {
            self.by_target.set(slot, shelf, libm::log(target));
        }
        self.exits.push(Reverse((now + 1 + wish.hold.min(LONGEST_HOLD) as i64, slot, tenancy)));
        self.lots[desk][wish.side.index()] += lots;
        Some(slot)
    }

    /// The next position whose holder has had enough by `now` (seconds).
    pub fn next_exit(&mut self, now: i64) -> Option<u32> {
        while let Some(&Reverse((due, slot, tenancy))) = self.exits.peek() {
            if due > now {
                return None;
            }
            self.exits.pop();
            // Those that were stopped or liquidated are still queued under an earlier tenancy.
            if self.get(slot).is_some_and(|p| p.tenancy == tenancy) {
                return Some(slot);
            }
        }
        None
    }

    /// Closes a position; its side and lots.
    pub fn close(&mut self, slot: u32) -> (Side, i64) {
        let at = slot as usize;
        let Position { desk, side, lots, .. } = self.slots[at];
        self.slots[at].lots = 0;
        self.by_liquidation.remove(slot);
        self.by_stop.remove(slot);
        self.by_target.remove(slot);
        self.lots[desk][side.index()] -= lots;
        self.free.push(slot);
        (side, lots)
    }

    /// Doubles a position's margin; its stop is spent.
    pub fn add_margin(&mut self, slot: u32, contract: &Contract) {
        let p = &mut self.slots[slot as usize];
        p.at_stop = AtStop::Nothing;
        p.margin *= 2.0;
        p.liquidation = liquidation_price(contract.tiers, p.side, p.entry, p.size, p.margin);
        let (shelf, log_price) = (shelf(p.desk, p.side), libm::log(p.liquidation));
        self.by_stop.remove(slot);
        self.by_liquidation.set(slot, shelf, log_price);
    }

    /// Liquidates what is due at `mark`: side and lots closed. A position beyond the first tier is first cut by a
    /// quarter, as the venue tries to bring it into a lower tier; if that does not help, the rest goes too.
    pub fn liquidate(&mut self, slot: u32, mark: f64, contract: &Contract) -> (Side, i64) {
        let p = &mut self.slots[slot as usize];
        let first_cap = contract.tiers.first().map_or(f64::INFINITY, |t| t.cap);
        let cut = p.lots / 4;
        if p.size * mark <= first_cap || p.parts >= 3 || cut == 0 {
            return self.close(slot);
        }
        let sign = if p.side == Side::Long { 1.0 } else { -1.0 };
        let closed = p.size * cut as f64 / p.lots as f64;
        let margin = p.margin + sign * (mark - p.entry) * closed;
        let size = p.size - closed;
        let price = liquidation_price(contract.tiers, p.side, p.entry, size, margin);
        if sign * (mark - price) <= 0.0 {
            return self.close(slot);
        }
        (p.size, p.margin, p.liquidation) = (size, margin, price);
        p.lots -= cut;
        p.parts += 1;
        let (desk, side) = (p.desk, p.side);
        self.lots[desk][side.index()] -= cut;
        self.by_liquidation.set(slot, shelf(desk, side), libm::log(price));
        (side, cut)
    }
}

/// The market a position is opened in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// Where, an index into the world's desks.
    pub desk: usize,
    /// Price paid, USD.
    pub entry: f64,
    /// Mark price, USD.
    pub mark: f64,
    /// Accounts that open alike.
    pub copies: f64,
    /// Seconds since the world began.
    pub now: i64,
}
