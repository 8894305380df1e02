//! A contract that is traded: its market, its memory, and the order in which what happens is told.

use super::history::{Bar, History, MINUTE_MS};
use super::world::World;
use super::world::contract::Contract;
use super::world::scenario::Scenario;
use super::world::tick::{Print, Tick};

/// History served behind REST, seconds.
pub const HISTORY_S: i64 = 2 * 86_400;
/// Trading before that, so that history does not begin with an empty market, seconds.
const WARM_UP_S: i64 = 16 * 3_600;
/// How often the running bar is told, ms (exchanges.md §3.2).
const QUARTER_MS: i64 = 250;

/// Something to tell subscribers, in order of time.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A print.
    Print(&'a Print),
    /// The minute's bar as it stands at `ms`; `closed` once, at its end.
    Bar {
        /// The bar.
        bar: &'a Bar,
        /// UTC ms.
        ms: i64,
        /// Whether the minute is over.
        closed: bool,
    },
    /// A second is over: mark price, open interest, forced closes.
    Second(&'a Tick),
}

/// A traded contract.
#[derive(Debug)]
pub struct Listing {
    contract: &'static Contract,
    world: World,
    history: History,
    /// The second that is being told, what of its prints was told, and the next moment to report the bar.
    tick: Tick,
    told: usize,
    quarter_ms: i64,
}

impl Listing {
    /// Lives through the warm-up and the history up to `start_ms` (UTC ms).
    pub fn build(contract: &'static Contract, scenario: Scenario, seed: u64, start_ms: i64) -> Self {
        let live = start_ms.div_euclid(1_000);
        let world = World::new(contract, scenario, seed, live, WARM_UP_S + HISTORY_S);
        let mut listing = Self {
            contract,
            world,
            history: History::default(),
            tick: Tick::default(),
            told: 0,
            quarter_ms: live * 1_000,
        };
        // From a whole minute on, so that the first bar is not a part of one.
        let from_ms = (start_ms - HISTORY_S * 1_000).div_euclid(MINUTE_MS) * MINUTE_MS;
        for _ in 0..WARM_UP_S + HISTORY_S {
            listing.world.step(&mut listing.tick);
            if listing.tick.end_ms > from_ms {
                for print in &listing.tick.prints {
                    listing.history.print(print);
                }
                listing.history.end(&listing.tick);
            }
        }
        listing.told = listing.tick.prints.len();
        listing
    }

    /// The contract.
    pub fn contract(&self) -> &'static Contract {
        self.contract
    }

    /// What is remembered, up to the moment last advanced to.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Tells everything that happens until `clock_ms` (UTC ms of simulated time).
    pub fn advance(&mut self, clock_ms: i64, tell: &mut dyn FnMut(Event<'_>)) {
        loop {
            if self.quarter_ms >= self.world.now_ms() {
                // The second told is over; the next is simulated once the clock is in it.
                if clock_ms <= self.world.now_ms() {
                    return;
                }
                self.world.step(&mut self.tick);
                self.told = 0;
            }
            let next = self.quarter_ms + QUARTER_MS;
            while let Some(print) = self.tick.prints.get(self.told) {
                if print.ms >= next || print.ms > clock_ms {
                    break;
                }
                self.history.print(print);
                tell(Event::Print(print));
                self.told += 1;
            }
            if clock_ms < next {
                return;
            }
            self.quarter_ms = next;
            let closed = next % MINUTE_MS == 0;
            let minute = (next - 1).div_euclid(MINUTE_MS) * MINUTE_MS;
            if let Some(bar) = self.history.bars.back().filter(|b| b.start_ms == minute) {
                tell(Event::Bar { bar, ms: next, closed });
            }
            if next >= self.tick.end_ms {
                self.history.end(&self.tick);
                tell(Event::Second(&self.tick));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hash, Hasher};

    use super::*;
    use crate::sim::venue::binance::contracts::CONTRACTS;

    const START: i64 = 1_763_800_000_000 + 437;

    fn told(seed: u64, steps: &[i64]) -> (u64, usize, usize) {
        let mut listing = Listing::build(&CONTRACTS[3], Scenario::Cascade, seed, START);
        let (mut hash, mut prints, mut closed_bars) = (DefaultHasher::new(), 0, 0);
        for at in steps {
            listing.advance(START + at, &mut |event| {
                format!("{event:?}").hash(&mut hash);
                match event {
                    Event::Print(_) => prints += 1,
                    Event::Bar { closed: true, .. } => closed_bars += 1,
                    _ => {}
                }
            });
        }
        (hash.finish(), prints, closed_bars)
    }

    #[test]
    fn the_story_is_the_same_however_it_is_cut() {
        let fine: Vec<i64> = (0..=1_800).map(|n| n * 100).collect();
        let whole = told(5, &[180_000]);
        assert_eq!(whole, told(5, &fine));
        assert_eq!(whole.2, 3, "three minutes closed");
        assert!(whole.1 > 300, "{} prints", whole.1);
        assert_ne!(whole.0, told(6, &[180_000]).0);
    }

    #[test]
    fn two_days_stand_behind_a_new_listing() {
        let listing = Listing::build(&CONTRACTS[0], Scenario::Base, 1, START);
        let history = listing.history();
        let (first, last) = (history.bars.front().unwrap(), history.bars.back().unwrap());
        assert!(first.start_ms <= START - 2 * 86_400_000);
        assert!(START - last.start_ms < MINUTE_MS);
        assert_eq!(history.bars.len(), 2_881);
        assert_eq!(history.open_interest.len(), 576);
        assert_eq!(history.funding.len(), 6);
        let ids: Vec<_> = history.bars.iter().map(|b| (b.first_fill, b.last_fill)).collect();
        assert!(ids.windows(2).all(|w| w[0].1 + 1 == w[1].0), "fills are numbered without gaps");
    }
}
