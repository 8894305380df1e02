//! `store info`, `export` and `vacuum` on a small history.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use meltline::engine::record::Record;
use meltline::engine::{Engine, Origin};
use meltline::estimate::BinTable;
use meltline::market::ndjson;
use meltline::market::{EventKind, MarketEvent, Side};
use meltline::store::{Identity, StoreConfig, StorePath, open_writer};

use crate::support::{liquidation, mark, open_interest, trade};

/// 2026-11-22T10:00Z
const T0: i64 = 1_795_341_600_000;

/// Twelve minutes of a market, with a liquidation at 10:02:30.
fn events() -> Vec<MarketEvent> {
    let mut events = Vec::new();
    for second in 0..720 {
        let ts = T0 + second * 1_000;
        let price = 60_000.0 + (second % 60) as f64 * 5.0;
        events.push(trade(ts, price, 1.0));
        events.push(mark(ts + 1, price));
        if second % 5 == 0 {
            events.push(open_interest(ts + 2, 5_000.0 + second as f64));
        }
    }
    events.push(liquidation(T0 + 150_003, Side::Long, 60_000.0, 0.25));
    meltline::market::event::sort_events(&mut events);
    events
}

/// A history on disk, and what was handed to it.
fn history(dir: &Path) -> Vec<Record> {
    let asset = "BTC".parse().unwrap();
    let identity = Identity { asset, simulated: false, bin_bp: 5.0 };
    let writer = open_writer(&StorePath::new(dir, asset), &identity, StoreConfig::default()).unwrap().writer;
    let mut engine = Engine::new(asset, Origin::Live, Arc::new(BinTable::new(5.0)), &[]);
    let records = Arc::new(Mutex::new(Vec::new()));
    let (kept, mut sink) = (Arc::clone(&records), writer.into_sink());
    engine.set_sink(Box::new(move |record| {
        kept.lock().unwrap().push(record.clone());
        sink(record);
    }));
    for event in events() {
        engine.apply_event(&event);
    }
    engine.keep_checkpoint();
    drop(engine);
    std::mem::take(&mut *records.lock().unwrap())
}

fn store(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meltline"));
    command.env_remove("MELTLINE_CONFIG").arg("store").args(args).arg("--data-dir").arg(dir);
    command.arg("--config").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml")).output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What `info` says once nobody writes: a child that another test starts holds this process's files until it has become itself.
fn settled(dir: &Path) -> String {
    for _ in 0..1_000 {
        let told = said(&store(dir, &["info"]));
        if told.contains("nobody writes") {
            return told;
        }
    }
    panic!("somebody writes");
}

#[test]
fn info_tells_rows_spans_and_that_nobody_writes() {
    let dir = tempfile::tempdir().unwrap();
    history(dir.path());
    let told = settled(dir.path());
    assert!(told.starts_with("BTC  live history in bins of 5 bp, version 2\n"), "{told}");
    // Minutes 0 to 10 are closed, and two times five of them.
    for row in [
        "columns 1m     test                11 rows",
        "columns 5m     test                 2 rows",
        "liquidations   test                 1 rows",
    ] {
        assert!(told.contains(row), "{row:?} in {told}");
    }
    assert!(told.contains("2026-11-22T10:02:30Z to 2026-11-22T10:02:30Z"), "{told}");
    let json: serde_json::Value =
        serde_json::from_str(&said(&store(dir.path(), &["info", "btc", "--json"]))).unwrap();
    assert_eq!(
        (&json["asset"], &json["origin"], &json["writer"]),
        (&"BTC".into(), &"live".into(), &serde_json::Value::Null)
    );
}

#[test]
fn exports_are_the_rows_as_they_came() {
    let dir = tempfile::tempdir().unwrap();
    history(dir.path());
    let csv = said(&store(dir.path(), &["export", "BTC", "liquidations"]));
    let row = format!("{},test,BTC,long,60000,0.25,fill,no", T0 + 150_003);
    assert_eq!(
        csv.lines().collect::<Vec<_>>(),
        ["ts,venue,asset,position,price,qty,price_kind,sampled", &row]
    );

    let told = said(&store(dir.path(), &["export", "BTC", "open-interest", "--format", "ndjson"]));
    let told: Vec<MarketEvent> = told.lines().map(|l| ndjson::parse_line(l).unwrap()).collect();
    let came: Vec<MarketEvent> =
        events().into_iter().filter(|e| matches!(e.kind, EventKind::OpenInterest(_))).collect();
    assert_eq!(told, came, "each is the first of its five seconds");

    let told = said(&store(
        dir.path(),
        &["export", "BTC", "candles", "--interval", "5m", "--from", "2026-11-22T10:05:00Z"],
    ));
    let row = format!("{},test,BTC,5m,60000,60295,60000,60295,300", T0 + 300_000);
    assert_eq!(
        told.lines().collect::<Vec<_>>(),
        ["ts,venue,asset,interval,open,high,low,close,volume", &row]
    );

    let told = said(&store(
        dir.path(),
        &["export", "BTC", "levels", "--format", "ndjson", "--to", "2026-11-22T10:02:00Z"],
    ));
    let columns: Vec<serde_json::Value> = told.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let digests: Vec<String> = history(tempfile::tempdir().unwrap().path())
        .iter()
        .filter_map(|r| match r {
            Record::Columns { columns, .. } => {
                Some(format!("{:016x}", meltline::store::codec::column_digest(&columns[0])))
            }
            _ => None,
        })
        .take(2)
        .collect();
    assert_eq!(columns.iter().map(|c| c["digest"].as_str().unwrap()).collect::<Vec<_>>(), digests);
    assert!(columns[1]["levels"].as_array().unwrap().len() > 100);
    let csv = said(&store(dir.path(), &["export", "BTC", "levels", "--to", "2026-11-22T10:02:00Z"]));
    let cells: usize = columns.iter().map(|c| c["levels"].as_array().unwrap().len()).sum();
    assert_eq!(csv.lines().count(), 1 + cells);
    assert_eq!(
        csv.lines().next().unwrap(),
        "ts,venue,asset,interval,price_low,price_high,usd,\
         tier_low_usd,tier_5x_usd,tier_10x_usd,tier_25x_usd,tier_50x_usd,tier_100x_usd,tier_known_usd",
        "as docs/FORMATS.md has it"
    );
}

#[test]
fn vacuum_tells_sizes_and_where_there_is_nothing_a_remedy_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let nothing = store(dir.path(), &["info"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("`meltline collect` makes one"));
    history(dir.path());
    let told = said(&store(dir.path(), &["vacuum", "BTC"]));
    assert!(told.starts_with("BTC: ") && told.contains(" before, "), "{told}");
    assert!(
        said(&store(dir.path(), &["export", "BTC", "liquidations"])).lines().count() == 2,
        "nothing is lost"
    );
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_build_without_parquet_says_how_to_get_it() {
    let dir = tempfile::tempdir().unwrap();
    history(dir.path());
    let refused = store(dir.path(), &["export", "BTC", "liquidations", "--format", "parquet"]);
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("--features parquet"), "{told}");
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_holds_what_csv_holds() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;
    let dir = tempfile::tempdir().unwrap();
    history(dir.path());
    for what in ["liquidations", "open-interest", "candles", "levels"] {
        let csv = said(&store(dir.path(), &["export", "BTC", what]));
        let output = store(dir.path(), &["export", "BTC", what, "--format", "parquet"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let path = dir.path().join("table.parquet");
        std::fs::write(&path, output.stdout).unwrap();
        let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
        let schema = reader.metadata().file_metadata().schema_descr();
        let names: Vec<_> = schema.columns().iter().map(|c| c.name().to_owned()).collect();
        let mut lines = csv.lines();
        assert_eq!(names.join(","), lines.next().unwrap());
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), lines.clone().count());
        for (row, line) in rows.iter().zip(lines) {
            let cells: Vec<&str> = line.split(',').collect();
            assert_eq!(row.get_timestamp_millis(0).unwrap(), cells[0].parse::<i64>().unwrap());
            for (i, cell) in cells.iter().enumerate().skip(1) {
                let told = row.get_string(i).cloned().or_else(|_| row.get_double(i).map(|d| d.to_string()));
                assert_eq!(told.unwrap(), *cell, "{what} {}", names[i]);
            }
        }
    }
}
