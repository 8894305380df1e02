//! The pixel grid is cached column by column; the cache must never show.

use std::sync::Arc;

use meltline::app::Message;
use meltline::app::pixels::{Change, Grid, PixelColumn};
use meltline::app::profile::Widths;

use crate::fixture::Market;
use crate::screen::{app, plain, text, typed};

#[test]
fn a_grid_kept_over_hours_equals_one_summed_afresh() {
    for view in ["", "D"] {
        let mut market = Market::new(9, 700);
        let mut app = app(plain(), market.snapshot(), 160, 50);
        typed(&mut app, view);
        for _ in 0..150 {
            // Two pictures a minute: between them no column is closed.
            for part in [0.6, 0.2] {
                market.trade(part);
                app.update(Message::Snapshot(market.snapshot()));
            }
            market.trade(0.2);
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
            let said = |c: &PixelColumn| (c.covered, c.live, c.bar, c.place, c.missing.clone());
            assert_eq!(said(kept), said(fresh), "column {i}");
        }
        assert_eq!(fresh.refresh(kept.geometry, app.selection(), &snapshot), Change::None);
    }
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
fn what_is_measured_by_this_moment_is_measured_anew_once_that_is_told() {
    let mut market = Market::new(9, 700);
    market.trade(0.5);
    let whole = market.snapshot();
    // As where another process has the feeds: the closed columns are there before how things stand.
    let mut closed = (*whole).clone();
    closed.venues.iter_mut().for_each(|view| view.live = None);
    let mut followed = app(plain(), Arc::new(closed), 160, 50);
    assert_eq!(followed.widths(), Widths::default(), "the map is of this moment");
    followed.update(Message::Snapshot(Arc::clone(&whole)));
    let fresh = app(plain(), whole, 160, 50);
    assert!(fresh.widths().bar > 0.0);
    assert_eq!(followed.widths().bar, fresh.widths().bar);
    assert!(text(&followed).contains("longs $"));
}

#[test]
fn the_probe_adds_up_to_the_pixel() {
    let mut app = app(plain(), Market::new(9, 700).snapshot(), 160, 50);
    for keys in ["", "m", "m", "D", "mm"] {
        typed(&mut app, keys);
        let grid = app.grid();
        let column = grid.columns.len() - 30;
        let mut seen = 0;
        for (row, usd) in grid.columns[column].usd.iter().enumerate() {
            let probe = grid.probe(column, row);
            let tiers: f64 = probe.tiers.iter().sum();
            let venues: f64 = probe.venues.iter().map(|(_, usd)| usd).sum();
            let off = 1e-6 * usd.abs().max(1.0);
            assert!(
                (tiers - usd).abs() < off && (venues - usd).abs() < off,
                "row {row}: {tiers} {venues} {usd}"
            );
            seen += usize::from(*usd != 0.0);
        }
        assert!(seen > 10, "{keys}");
    }
}

#[test]
fn a_change_is_the_column_less_the_one_so_much_earlier() {
    let snapshot = Market::new(9, 1_000).snapshot();
    let mut app = app(plain(), Arc::clone(&snapshot), 160, 50);
    let levels = app.grid().clone();
    let dt = levels.geometry.dt;
    app.settings.difference = format!("{}m", 3 * dt / 60_000).parse().unwrap();
    typed(&mut app, "D");
    let mut compared = 0;
    for (i, column) in app.grid().columns.iter().enumerate().skip(3) {
        let (now, then) = (&levels.columns[i], &levels.columns[i - 3]);
        if !column.covered || column.live || !now.missing.is_empty() || !then.missing.is_empty() {
            continue;
        }
        for ((change, now), then) in column.usd.iter().zip(&now.usd).zip(&then.usd) {
            assert!((change - (now - then)).abs() < 1e-6, "column {i}");
        }
        compared += 1;
    }
    assert!(compared > 10, "{compared}");
    // Where a venue's data begin it is left out rather than taken for built.
    let begins = app.grid().columns.iter().find(|c| c.covered && !c.missing.is_empty());
    assert!(begins.is_some_and(|c| c.missing[0].as_str() == "okx"));
}

#[test]
fn price_keeps_its_row_until_it_is_a_quarter_of_a_row_beyond() {
    let snapshot = Market::new(9, 700).snapshot();
    let mut app = app(plain(), Arc::clone(&snapshot), 160, 50);
    let g = app.grid().geometry;
    let rows = (g.rows / 2) as f64;
    // So many rows of cells from above, in every venue's mark.
    let mut told_at = |from_above: f64| {
        let price = snapshot.bins.price_at(g.low + 2.0 * g.step * (rows - from_above));
        let mut next = (*snapshot).clone();
        next.venues.iter_mut().for_each(|v| v.mark = Some(price));
        app.update(Message::Snapshot(Arc::new(next)));
        app.price_row()
    };
    let path = [20.5, 20.1, 19.9, 19.8, 20.3, 19.7, 20.2, 20.3, 21.4, 25.9, 26.2];
    let expected = [20, 20, 20, 20, 20, 19, 19, 20, 21, 25, 25];
    assert_eq!(path.map(&mut told_at), expected);
}
