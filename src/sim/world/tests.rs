use super::*;
use crate::sim::venue::binance::contracts::CONTRACTS;

const LIVE: i64 = 1_763_800_000;

/// Runs a market and hands every second to `look`.
fn run(scenario: Scenario, seed: u64, seconds: i64, mut look: impl FnMut(&World, &Tick)) {
    let mut world = World::new(&CONTRACTS[0], scenario, seed, LIVE, seconds);
    let mut tick = Tick::default();
    for _ in 0..seconds {
        world.step(&mut tick);
        look(&world, &tick);
    }
}
