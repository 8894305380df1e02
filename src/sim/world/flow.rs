//! The order flow of a second and the prints it leaves.

use super::contract::Contract;
use super::dice::Dice;
use super::tick::{Print, Tick};

/// Taker flow that waits to be printed, and the numbering of prints.
#[derive(Debug)]
pub(crate) struct Flow {
    dice: Dice,
    /// Lots takers sold and bought.
    lots: [i64; 2],
    next_id: u64,
    next_fill: u64,
}

/// The price's way through a second, USD.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path<'a> {
    pub contract: &'a Contract,
    /// Per quoted unit.
    pub from: f64,
    pub to: f64,
    /// Wobble on the way, as a share of price.
    pub jitter: f64,
    pub activity: f64,
}

impl Flow {
    /// Nothing yet. The numbers start high, as those of a market that has long been open.
    pub fn new(dice: Dice) -> Self {
        Self { dice, lots: [0; 2], next_id: 2_400_000_000, next_fill: 5_600_000_000 }
    }

    /// Adds taker volume.
    pub fn add(&mut self, taker_buys: bool, lots: i64) {
        self.lots[usize::from(taker_buys)] += lots;
    }

    /// Drops what waits: nobody watches.
    pub fn forget(&mut self) {
        self.lots = [0; 2];
    }

    /// Bought less sold, lots.
    pub fn net(&self) -> i64 {
        self.lots[1] - self.lots[0]
    }

    /// Prints everything that waits, along the path.
    pub fn print(&mut self, tick: &mut Tick, path: &Path<'_>) {
        let start = tick.end_ms - 1_000;
        let scale = 10_u64.pow(path.contract.price_decimals) as f64;
        tick.prints.clear();
        // Rows are 100 ms apart at least (exchanges.md §3.2): more of them when the market is busy.
        let rows = 3 + self.dice.below(2 + path.activity.min(4.0) as usize);
        let total = self.lots[0] + self.lots[1];
        for row in 0..rows {
            let room = 1_000.0 / rows as f64;
            let at = (row as f64 + 0.9 * self.dice.unit()) * room;
            let left = rows - row;
            let buys = match self.lots {
                [0, bought] => bought > 0,
                [_, 0] => false,
                // The last two rows go to what is left of either side.
                _ if left == 2 => self.dice.chance(0.5),
                [_, bought] => self.dice.chance((bought as f64 / total as f64).clamp(0.2, 0.8)),
            };
            let waiting = &mut self.lots[usize::from(buys)];
            if *waiting <= 0 {
                continue;
            }
            let share = if left <= 2 { 1.0 } else { (2.0 * self.dice.unit() / left as f64).min(1.0) };
            let lots = ((*waiting as f64 * share) as i64).clamp(1, *waiting);
            *waiting -= lots;
            let along = at / 1_000.0;
            let bend = 4.0 * along * (1.0 - along) * path.jitter * self.dice.normal();
            let price = (path.from + (path.to - path.from) * along) * (1.0 + bend);
            let below = (price * scale) as i64;
            let ticks = (if buys { below + 1 } else { below }).max(1);
            let fills = 1 + self.dice.below(6) as u64;
            tick.prints.push(Print {
                ms: start + at as i64,
                ticks,
                lots,
                taker_buys: buys,
                id: self.next_id,
                first_fill: self.next_fill,
                last_fill: self.next_fill + fills - 1,
                buyer: 0,
                seller: 0,
            });
            self.next_id += 1;
            self.next_fill += fills;
        }
        tick.bid = ((path.to * scale) as i64).max(1);
    }
}
