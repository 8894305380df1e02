//! Real recorded data through the whole estimator and onto the screen. Reads the folder named by `MELTLINE_RECORDED`; without it these
//! tests say so and pass, and CI always names it.

use std::path::PathBuf;
use std::sync::Arc;

use meltline::app::Settings;
use meltline::app::settings::Depth;
use meltline::engine::{Engine, Origin, Snapshot};
use meltline::estimate::BinTable;
use meltline::feed::recording::Recording;
use meltline::market::{Interval, Side};

use crate::screen_bytes::Cost;

/// The recordings of a folder, or nothing where there are none.
fn recordings(folder: &str) -> Vec<PathBuf> {
    let Some(root) = std::env::var_os("MELTLINE_RECORDED") else {
        eprintln!("MELTLINE_RECORDED is not set: no recorded data to run on");
        return Vec::new();
    };
    let folder = PathBuf::from(root).join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn every_event_file_gives_columns_whose_books_balance() {
    // One of each kind is enough: hourly bars of two sources, ticks, minutes of a coin with silent minutes, positions.
    let kinds = ["1h", "SOL-ticks", "DOGE-1m", "positions"];
    for path in
        recordings("events").into_iter().filter(|p| kinds.iter().any(|k| p.to_string_lossy().contains(k)))
    {
        let mut recording = Recording::open(&path, None).unwrap();
        let Some(first) = recording.next_batch().unwrap() else { continue };
        let asset = recording.asset().unwrap();
        let mut engine = Engine::new(asset, Origin::Replay, Arc::new(BinTable::new(5.0)), &[]);
        let mut batch = Some(first);
        while let Some(events) = batch {
            for event in &events {
                engine.apply_event(event);
            }
            batch = recording.next_batch().unwrap();
        }
        let tally = recording.tally();
        assert_eq!((tally.broken, tally.unknown), (0, 0), "{}", path.display());
        let market = &engine.venues()[0];
        let mut estimator = market.estimator().clone();
        estimator.settle();
        for book in estimator.books() {
            for (ledger, held) in book.ledger().iter().zip(book.held()) {
                let accounted = held + ledger.swept + ledger.closed + ledger.left;
                let off = (ledger.inserted - accounted).abs();
                assert!(off <= 1e-9 * ledger.inserted.max(1e-9), "{}: {ledger:?}", path.display());
            }
        }
        // 2.5 MB a venue and asset.
        let bytes = market.estimator().bytes();
        assert!(bytes <= 2_500_000, "{}: {bytes}", path.display());
        // A file of positions alone has no price and so no levels; every other one has both sides.
        if let Some(readout) = market.estimator().readout() {
            for side in Side::BOTH {
                let total: f64 = readout.side(side).levels.iter().flatten().sum();
                assert!(total > 0.0, "{}: no {side:?} levels", path.display());
            }
            assert!(market.history().first().is_some(), "{}", path.display());
        }
    }
}

#[test]
fn frames_of_a_real_day_stay_in_their_budgets() {
    let Some(path) = recordings("events").into_iter().find(|p| p.to_string_lossy().contains("BTC-ticks"))
    else {
        return;
    };
    let mut recording = Recording::open(&path, None).unwrap();
    let mut pictures: Vec<Arc<Snapshot>> = Vec::new();
    let mut engine = Engine::new("BTC".parse().unwrap(), Origin::Replay, Arc::new(BinTable::new(5.0)), &[]);
    // The last two hours of the day, a picture every ten seconds of it.
    let from = 1_781_395_200_000 - 7_200_000;
    let mut next = from;
    while let Some(events) = recording.next_batch().unwrap() {
        for event in events {
            engine.apply_event(&event);
            if event.ts >= next {
                pictures.push(engine.snapshot());
                next += 10_000;
            }
        }
    }
    assert!(pictures.len() > 600, "{} pictures", pictures.len());
    let range = Interval::D1;
    let cost =
        Cost::of(Settings { depth: Depth::True, colour_steps: 16, range, ..Settings::default() }, pictures);
    cost.assert_in_budget();
}
