//! The pixel grid is cached column by column; the cache must never show.

use std::sync::Arc;

use meltline::app::Message;
use meltline::app::pixels::{Change, Grid};

use crate::fixture::Market;
use crate::screen::{app, plain};

#[test]
fn a_grid_kept_over_hours_equals_one_summed_afresh() {
    let mut market = Market::new(9, 700);
    let mut app = app(plain(), market.snapshot(), 160, 50);
    for _ in 0..150 {
        market.trade(0.6);
        app.update(Message::Snapshot(market.snapshot()));
        market.trade(0.4);
        market.close();
    }
    let snapshot = market.snapshot();
    app.update(Message::Snapshot(Arc::clone(&snapshot)));
    let kept = app.grid();
    let mut fresh = Grid::new(kept.geometry, app.selection().clone(), Arc::clone(&snapshot.bins));
    assert_eq!(fresh.refresh(kept.geometry, app.selection(), &snapshot), Change::Closed);
    assert!(kept.columns.iter().any(|c| c.covered) && kept.columns.iter().any(|c| !c.covered));
    for (i, (kept, fresh)) in kept.columns.iter().zip(&fresh.columns).enumerate() {
        assert_eq!(kept.usd, fresh.usd, "column {i}");
        assert_eq!((kept.covered, kept.live, kept.bar), (fresh.covered, fresh.live, fresh.bar), "column {i}");
    }
    assert_eq!(fresh.refresh(kept.geometry, app.selection(), &snapshot), Change::None);
}

#[test]
fn between_closed_columns_only_the_live_one_changes() {
    let mut market = Market::new(9, 700);
    let mut app = app(plain(), market.snapshot(), 160, 50);
    let (before, scale, threshold) = (app.grid().clone(), app.scale(), app.threshold());
    market.trade(0.1);
    app.update(Message::Snapshot(market.snapshot()));
    let last = before.columns.len() - 1;
    assert!(app.grid().columns[last].live);
    assert_ne!(app.grid().columns[last].usd, before.columns[last].usd);
    for (now, then) in app.grid().columns[..last].iter().zip(&before.columns) {
        assert_eq!(now.usd, then.usd);
    }
    assert_eq!((app.scale(), app.threshold()), (scale, threshold));
}

#[test]
fn the_probe_adds_up_to_the_pixel() {
    let app = app(plain(), Market::new(9, 700).snapshot(), 160, 50);
    let grid = app.grid();
    let column = grid.columns.len() - 30;
    let mut seen = 0;
    for (row, usd) in grid.columns[column].usd.iter().enumerate() {
        let probe = grid.probe(column, row);
        let tiers: f64 = probe.tiers.iter().sum();
        let venues: f64 = probe.venues.iter().map(|(_, usd)| usd).sum();
        let off = 1e-6 * usd.max(1.0);
        assert!((tiers - usd).abs() < off && (venues - usd).abs() < off, "row {row}: {tiers} {venues} {usd}");
        seen += usize::from(*usd > 0.0);
    }
    assert!(seen > 20);
}
