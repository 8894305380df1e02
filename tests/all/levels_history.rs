//! `levels --at` and `--every` from the history on disk: the columns as they were closed.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use meltline::engine::map::LevelMap;
use meltline::engine::{Engine, Origin};
use meltline::estimate::{BinTable, Column};
use meltline::market::Venue;
use meltline::store::{Identity, StoreConfig, StorePath, open_writer};
use serde_json::Value;

use crate::support::wandering_on;

/// 2026-11-22T10:00Z
const T0: i64 = 1_795_341_600_000;
const MINUTE: i64 = 60_000;
const VENUES: [&str; 2] = ["binance", "bybit"];

/// An hour and a half of two venues on disk, and each column as the picture showed it once it was closed.
fn history(dir: &Path) -> Vec<(Venue, Arc<Column>)> {
    let asset = "BTC".parse().unwrap();
    let identity = Identity { asset, simulated: false, bin_bp: 5.0 };
    let writer = open_writer(&StorePath::new(dir, asset), &identity, StoreConfig::default()).unwrap().writer;
    let mut engine = Engine::new(asset, Origin::Live, Arc::new(BinTable::new(5.0)), &[]);
    engine.set_sink(writer.into_sink());
    for event in wandering_on(&VENUES, T0, 90 * 12, 5) {
        engine.apply_event(&event);
    }
    let snapshot = engine.snapshot();
    let of = |v: &meltline::engine::VenueView| {
        let venue = v.venue;
        v.history.ladder.iter().flatten().map(|c| (venue, Arc::clone(c))).collect::<Vec<_>>()
    };
    snapshot.venues.iter().flat_map(of).collect()
}

fn levels(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meltline"));
    command.env_remove("MELTLINE_CONFIG").args(["levels", "BTC"]).args(args).arg("--data-dir").arg(dir);
    command.arg("--config").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml")).output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The map of the columns that end at a time, as they were shown.
fn shown(columns: &[(Venue, Arc<Column>)], ts: i64, end: i64) -> String {
    let newest: Vec<_> = VENUES
        .iter()
        .map(|name| {
            let finest = columns.iter().filter(|(venue, c)| venue.as_str() == *name && c.end() == end);
            finest.min_by_key(|(_, c)| c.interval).unwrap().clone()
        })
        .collect();
    let map = LevelMap::of_columns("BTC".parse().unwrap(), &BinTable::new(5.0), ts, 0.25, &newest);
    serde_json::to_string(&map).unwrap() + "\n"
}

#[test]
fn the_map_at_a_time_is_that_of_the_columns_that_were_closed_then() {
    let dir = tempfile::tempdir().unwrap();
    let columns = history(dir.path());
    let at = |ts: &str| said(&levels(dir.path(), &["--at", ts, "--format", "json"]));
    // A column closes two seconds after its end, on the event that then comes.
    let end = T0 + 30 * MINUTE;
    let (early, late) = (end + 2_000, end + 2_001);
    // Not compared by `assert_eq`: nobody wants to read them.
    assert!(at(&early.to_string()) == shown(&columns, early, end - MINUTE));
    let map = at(&late.to_string());
    assert!(map == shown(&columns, late, end));
    let map = json(&map);
    assert!(map["levels"].as_array().unwrap().len() > 200, "levels of some weight");
    assert_eq!(map["venues"][1]["age_ms"], 2_001);
    let both =
        map["levels"].as_array().unwrap().iter().filter(|l| l["venues"].as_object().unwrap().len() == 2);
    assert!(both.count() > 100, "of both venues");
    // Back from where the last column was known.
    let end = T0 + 89 * MINUTE;
    assert!(at("-1m") == shown(&columns, end + 2_001 - MINUTE, end - MINUTE));
}

#[test]
fn a_series_has_a_row_at_each_whole_multiple() {
    let dir = tempfile::tempdir().unwrap();
    let columns = history(dir.path());
    let rows = said(&levels(dir.path(), &["--every", "30m", "--format", "json"]));
    let expected = [30, 60].map(|minute| shown(&columns, T0 + minute * MINUTE, T0 + (minute - 1) * MINUTE));
    assert!(rows == expected.concat());
    let csv = said(&levels(dir.path(), &["--every", "30m", "--format", "csv", "--venues", "bybit"]));
    assert_eq!(csv.lines().filter(|l| l.starts_with("ts,")).count(), 1, "one header");
    assert!(csv.lines().skip(1).all(|l| l.contains(",bybit=") && !l.contains("binance")));
}

#[test]
fn the_other_forms_come_from_the_same_columns() {
    let dir = tempfile::tempdir().unwrap();
    let columns = history(dir.path());
    let ts = T0 + 20 * MINUTE + 30_000;
    let at = ts.to_string();
    let heatmap = json(&said(&levels(dir.path(), &["--at", &at, "--format", "coinglass"])));
    let candles = heatmap["price_candlesticks"].as_array().unwrap();
    let times: Vec<i64> = candles.iter().map(|c| c[0].as_i64().unwrap()).collect();
    let minutes: Vec<i64> = (0..20).map(|minute| (T0 + minute * MINUTE) / 1_000).collect();
    assert_eq!(times, minutes, "nothing that was closed later");
    let last = columns.iter().find(|(v, c)| v.as_str() == "binance" && c.end() == T0 + 20 * MINUTE).unwrap();
    assert_eq!(candles[19][4].as_f64(), last.1.bar.map(|b| b.close));
    let table = said(&levels(dir.path(), &["--at", &at]));
    assert!(table.starts_with("BTC  estimated liquidation levels at 2026-11-22T10:20:30Z  mark "), "{table}");
}

#[test]
fn what_is_not_kept_is_told_with_what_is() {
    let dir = tempfile::tempdir().unwrap();
    let fails = |args: &[&str]| {
        let output = levels(dir.path(), args);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let told = fails(&["--at", "-1h"]);
    assert!(told.contains("no history of BTC") && told.contains("meltline collect BTC"), "{told}");
    history(dir.path());
    for at in ["2026-11-22T10:01:02Z", "2026-11-22T11:32:00Z", "9223372036854775807"] {
        let told = fails(&["--at", at]);
        let span = "columns are kept from 2026-11-22T10:01:02Z to 2026-11-22T11:29:00Z";
        assert!(told.contains("no history of BTC at ") && told.contains(span), "{told}");
    }
    let told = fails(&["--every", "1d"]);
    assert!(told.contains("no whole 1d in the history of BTC"), "{told}");
    let told = fails(&["--at", "-1m", "--venues", "okx"]);
    assert!(told.contains("no columns of BTC"), "{told}");
}
