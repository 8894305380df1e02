//! A coin that is traded: its market on every venue that lists it, what each remembers, and the order in which what
//! happens is told.

use super::contracts::{self, COINS};
use super::history::{Bar, History, MINUTE_MS};
use super::venue::VenueId;
use super::world::World;
use super::world::book::STEP_MS;
use super::world::scenario::Scenario;
use super::world::tick::{Print, Tick};

/// History served behind REST, seconds.
pub const HISTORY_S: i64 = 2 * 86_400;
/// Trading before that, so that history does not begin with an empty market, seconds.
const WARM_UP_S: i64 = 16 * 3_600;
/// Moments at which something other than a print may be told, ms.
const GRID_MS: i64 = 50;
/// How often the running bar is told, ms (exchanges.md §3.2).
const QUARTER_MS: i64 = 250;

/// Something to tell a venue's subscribers, in order of time. Times are UTC ms.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A print.
    Print(&'a Print),
    /// A moment at which a book may be told: every 100 ms and every 250 ms.
    Book {
        /// When, for asking [`History::book`] and for numbering.
        at: i64,
        /// When, as the venue's clock has it.
        ms: i64,
    },
    /// The minute's bar as it stands at `ms`; `closed` once, at its end.
    Bar {
        /// The bar.
        bar: &'a Bar,
        /// When.
        ms: i64,
        /// Whether the minute is over.
        closed: bool,
    },
    /// A second is over: mark price, open interest, forced closes.
    Second(&'a Tick),
}

/// Whoever an event is told to: the venue, its market's memory, and what happened.
pub type Teller<'a> = &'a mut dyn FnMut(VenueId, &History, &Event<'_>);

/// A venue's part of a listing.
#[derive(Debug)]
struct Stall {
    venue: VenueId,
    history: History,
    /// What of the running second's prints was told.
    told: usize,
}

/// A traded coin.
#[derive(Debug)]
pub struct Listing {
    world: World,
    stalls: Vec<Stall>,
    /// Everything up to here was told, UTC ms.
    told_ms: i64,
}

impl Listing {
    /// Lives through the warm-up and the history up to `start_ms` (UTC ms). The coin is an index into [`COINS`].
    pub fn build(coin: usize, scenario: Scenario, seed: u64, start_ms: i64) -> Self {
        let live = start_ms.div_euclid(1_000);
        let mut world = World::new(coin, scenario, seed, live, WARM_UP_S + HISTORY_S);
        let contract = |venue| contracts::on(venue, coin).map(|(_, contract)| contract);
        let mut stalls: Vec<Stall> = world
            .venues()
            .filter_map(|venue| Some(Stall { venue, history: History::new(contract(venue)?), told: 0 }))
            .collect();
        // From a whole minute on, so that the first bar is not a part of one.
        let from_ms = (start_ms - HISTORY_S * 1_000).div_euclid(MINUTE_MS) * MINUTE_MS;
        for _ in 0..WARM_UP_S + HISTORY_S {
            let watched = world.now_ms() >= from_ms;
            world.step(watched);
            if watched {
                for (desk, stall) in stalls.iter_mut().enumerate() {
                    let tick = world.tick(desk);
                    tick.prints.iter().for_each(|print| {
                        stall.history.print(print);
                    });
                    stall.history.end(tick);
                }
            }
        }
        for (desk, stall) in stalls.iter_mut().enumerate() {
            stall.told = world.tick(desk).prints.len();
            stall.history.tick_book(live * 1_000);
        }
        tracing::debug!("simulated the past of {}", COINS[coin].name);
        Self { world, stalls, told_ms: live * 1_000 }
    }

    /// What a venue's market remembers, up to the moment last advanced to.
    pub fn history(&self, venue: VenueId) -> Option<&History> {
        self.stalls.iter().find(|stall| stall.venue == venue).map(|stall| &stall.history)
    }

    /// The market itself, up to the end of the second that is being told, and the place of a venue in it.
    pub fn world(&self, venue: VenueId) -> Option<(&World, usize)> {
        self.stalls.iter().position(|stall| stall.venue == venue).map(|desk| (&self.world, desk))
    }

    /// The market itself on all venues.
    pub fn market(&self) -> &World {
        &self.world
    }

    /// Tells everything that happens until `clock_ms` (UTC ms of simulated time).
    pub fn advance(&mut self, clock_ms: i64, tell: Teller<'_>) {
        loop {
            if self.told_ms >= self.world.now_ms() {
                // The second told is over; the next is simulated once the clock is in it.
                if clock_ms <= self.world.now_ms() {
                    return;
                }
                self.world.step(true);
                self.stalls.iter_mut().for_each(|stall| stall.told = 0);
            }
            let next = self.told_ms + GRID_MS;
            for (desk, stall) in self.stalls.iter_mut().enumerate() {
                stall.prints(self.world.tick(desk), next, clock_ms, tell);
            }
            if clock_ms < next {
                return;
            }
            self.told_ms = next;
            for (desk, stall) in self.stalls.iter_mut().enumerate() {
                stall.moment(self.world.tick(desk), next, tell);
            }
        }
    }
}

impl Stall {
    /// Tells the prints before `next`, as far as the clock has come.
    fn prints(&mut self, tick: &Tick, next: i64, clock_ms: i64, tell: Teller<'_>) {
        while let Some(print) = tick.prints.get(self.told) {
            if print.ms >= next || print.ms > clock_ms {
                break;
            }
            self.history.print(print);
            tell(self.venue, &self.history, &Event::Print(print));
            self.told += 1;
        }
    }

    /// Tells what is due at a moment of the grid.
    fn moment(&mut self, tick: &Tick, ms: i64, tell: Teller<'_>) {
        self.history.tick_book(ms);
        if ms % STEP_MS == 0 || ms % QUARTER_MS == 0 {
            tell(self.venue, &self.history, &Event::Book { at: ms, ms });
        }
        if ms % QUARTER_MS == 0 {
            let closed = ms % MINUTE_MS == 0;
            let minute = (ms - 1).div_euclid(MINUTE_MS) * MINUTE_MS;
            if let Some(bar) = self.history.bars.back().filter(|b| b.start_ms == minute) {
                tell(self.venue, &self.history, &Event::Bar { bar, ms, closed });
            }
        }
        if ms >= tick.end_ms {
            self.history.end(tick);
            tell(self.venue, &self.history, &Event::Second(tick));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hash, Hasher};

    use super::*;

    const START: i64 = 1_763_800_000_000 + 437;

    fn told(seed: u64, steps: &[i64]) -> (u64, usize, usize) {
        let mut listing = Listing::build(3, Scenario::Cascade, seed, START);
        let (mut hashes, mut prints, mut closed_bars) = ([(); 4].map(|()| DefaultHasher::new()), 0, 0);
        for at in steps {
            listing.advance(START + at, &mut |venue, _, event| {
                format!("{event:?}").hash(&mut hashes[venue.index()]);
                match event {
                    Event::Print(_) => prints += 1,
                    Event::Bar { closed: true, .. } => closed_bars += 1,
                    _ => {}
                }
            });
        }
        let mut hash = DefaultHasher::new();
        for venue in &hashes {
            venue.finish().hash(&mut hash);
        }
        (hash.finish(), prints, closed_bars)
    }

    #[test]
    fn the_story_of_each_venue_is_the_same_however_it_is_cut() {
        let fine: Vec<i64> = (0..=1_800).map(|n| n * 100).collect();
        let whole = told(5, &[180_000]);
        assert_eq!(whole, told(5, &fine));
        assert_eq!(whole.2, 4 * 3, "three minutes closed on four venues");
        assert!(whole.1 > 1_200, "{} prints", whole.1);
        assert_ne!(whole.0, told(6, &[180_000]).0);
    }

    #[test]
    fn two_days_stand_behind_a_new_listing_on_every_venue() {
        let listing = Listing::build(0, Scenario::Base, 1, START);
        for venue in VenueId::ALL {
            let history = listing.history(venue).unwrap();
            let (first, last) = (history.bars.front().unwrap(), history.bars.back().unwrap());
            assert!(first.start_ms <= START - 2 * 86_400_000);
            assert!(START - last.start_ms < MINUTE_MS);
            assert_eq!(history.bars.len(), 2_881);
            assert_eq!(history.open_interest.len(), 576);
            let payments = if venue == VenueId::Hyperliquid { 48 } else { 6 };
            assert_eq!(history.funding.len(), payments);
            let ids: Vec<_> = history.bars.iter().map(|b| (b.first_fill, b.last_fill)).collect();
            assert!(ids.windows(2).all(|w| w[0].1 + 1 == w[1].0), "fills are numbered without gaps");
        }
    }

    #[test]
    fn a_coin_that_one_venue_lists_is_told_there_alone() {
        let mut listing = Listing::build(COINS.len() - 1, Scenario::Base, 1, START);
        assert!(listing.history(VenueId::Okx).is_none());
        listing.advance(START + 2_000, &mut |venue, _, _| assert_eq!(venue, VenueId::Binance));
    }
}
