//! `import`: files of others and of ours become history, once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use meltline::engine::record::Record;
use meltline::engine::{Engine, Origin};
use meltline::estimate::BinTable;
use meltline::market::ndjson::write_event;
use meltline::market::{Interval, MarketEvent, Venue};
use meltline::store::codec::column_digest;
use meltline::store::{Identity, Reader, StoreConfig, StorePath, open_writer};

use crate::support::wandering_on;

/// 2024-06-19T00:00Z
const T0: i64 = 1_718_755_200_000;
const MINUTE: i64 = 60_000;
/// Venue, interval (ms) and start of a column.
type Key = (Venue, i64, i64);

fn meltline(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meltline"));
    command.env_remove("MELTLINE_CONFIG").args(args).arg("--data-dir").arg(dir.join("data"));
    command.arg("--config").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml")).output().unwrap()
}

/// What an import says, numbers apart by one blank.
fn import(dir: &Path, files: &[&PathBuf]) -> String {
    let mut args = vec!["import"];
    args.extend(files.iter().map(|f| f.to_str().unwrap()));
    let output = meltline(dir, &args);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    let told = String::from_utf8(output.stdout).unwrap() + &errors;
    told.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect()
}

fn fails(dir: &Path, files: &[&PathBuf], more: &[&str]) -> String {
    let mut args = vec!["import"];
    args.extend(files.iter().map(|f| f.to_str().unwrap()));
    args.extend(more);
    let output = meltline(dir, &args);
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

fn reader(dir: &Path) -> Reader {
    Reader::open(&StorePath::new(&dir.join("data"), "BTC".parse().unwrap())).unwrap().expect("a store")
}

fn kept(dir: &Path) -> BTreeMap<Key, i64> {
    let keys = reader(dir).column_keys().unwrap();
    keys.into_iter().map(|k| ((k.venue, k.interval.ms(), k.start), k.digest)).collect()
}

fn file(dir: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn ndjson(events: &[MarketEvent]) -> Vec<u8> {
    let mut out = Vec::new();
    for event in events {
        write_event(&mut out, event).unwrap();
    }
    out
}

/// The columns an engine closes on events, without those that hold no level.
fn closed(events: &[MarketEvent]) -> BTreeMap<Key, i64> {
    let columns = Arc::new(Mutex::new(BTreeMap::new()));
    let sink = Arc::clone(&columns);
    let mut engine = Engine::new("BTC".parse().unwrap(), Origin::Replay, Arc::new(BinTable::new(5.0)), &[]);
    engine.set_sink(Box::new(move |record| {
        if let Record::Columns { venue, columns } = record {
            let with_levels = columns.iter().filter(|c| !c.is_blank());
            let keyed = with_levels.map(|c| ((venue, c.interval.ms(), c.start), column_digest(c)));
            sink.lock().unwrap().extend(keyed);
        }
    }));
    for event in events {
        engine.apply_event(event);
    }
    drop(engine);
    Arc::into_inner(columns).unwrap().into_inner().unwrap()
}

/// Prices of a path by minute: open, high, low, close.
fn candle_rows(from: i64, minutes: i64, step: i64) -> String {
    (0..minutes / step).fold(String::new(), |mut rows, i| {
        let start = from + i * step * MINUTE;
        let open = 60_000 + (start / MINUTE * 37 % 400);
        let (high, low, close) = (open + 60, open - 50, open + 10);
        let end = start + step * MINUTE - 1;
        writeln!(rows, "{start},{open},{high},{low},{close},100.5,{end},6000000,900,52.25,3100000,0")
            .unwrap();
        rows
    })
}

fn metrics_rows(from: i64, minutes: i64) -> String {
    (0..=minutes / 5).fold(String::new(), |mut rows, i| {
        let ts = jiff::Timestamp::from_millisecond(from + i * 5 * MINUTE).unwrap();
        let qty = 78_000.0 + f64::from(i as i32 * 7 % 11) * 40.0;
        let time = ts.strftime("%Y-%m-%d %H:%M:%S");
        writeln!(rows, "{time},BTCUSDT,{qty:.16},5083112345.12,1.2,1.1,1.3,0.9").unwrap();
        rows
    })
}

const KLINES_HEADER: &str = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore\n";
const METRICS_HEADER: &str = "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio\n";

/// As the archive ships a day.
fn zipped(dir: &Path, name: &str, text: &str) -> PathBuf {
    let mut out = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut out);
    let inner = name.replace(".zip", ".csv");
    let (mut entry, config) =
        archive.new_file(&inner).compression_method(rawzip::CompressionMethod::DEFLATE).start().unwrap();
    let mut writer =
        config.wrap(flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::default()));
    writer.write_all(text.as_bytes()).unwrap();
    let (encoder, descriptor) = writer.finish().unwrap();
    encoder.finish().unwrap();
    entry.finish(descriptor).unwrap();
    archive.finish().unwrap();
    file(dir, name, out)
}

fn gz(dir: &Path, name: &str, text: &str) -> PathBuf {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    file(dir, name, packed.finish().unwrap())
}

/// Four hours of candles and open interest, two hours a file, with and without a header.
fn days(dir: &Path) -> [PathBuf; 4] {
    let second = T0 + 120 * MINUTE;
    let klines = KLINES_HEADER.to_owned() + &candle_rows(second, 120, 1);
    [
        zipped(dir, "BTCUSDT-1m-2024-06-19.zip", &candle_rows(T0, 120, 1)),
        gz(dir, "BTCUSDT-metrics-2024-06-19.csv.gz", &metrics_rows(T0, 115)),
        zipped(dir, "BTCUSDT-1m-2024-06-20.zip", &klines),
        file(dir, "BTCUSDT-metrics-2024-06-20.csv", METRICS_HEADER.to_owned() + &metrics_rows(second, 120)),
    ]
}

#[test]
fn the_public_archive_is_imported_once() {
    let dir = tempfile::tempdir().unwrap();
    let [first, first_oi, second, second_oi] = days(dir.path());
    // In any order.
    let files = [&second, &first_oi, &first, &second_oi];
    let told = import(dir.path(), &files);
    assert!(told.starts_with("BTC 2024-06-19T00:00:00Z to 2024-06-19T04:00:00Z\n"), "{told}");
    // 240 candles, 24 + 25 readings, two headers. The last minute closes with an event that never came.
    assert!(told.contains("lines 291 read 0 refused 0 of others 0 repeats"), "{told}");
    assert!(told.contains("columns 289 new 0 known"), "{told}");
    assert!(told.contains("open interest 49 new"), "{told}");
    let before = kept(dir.path());
    let minutes = before.keys().filter(|(_, interval, _)| *interval == MINUTE).count();
    assert_eq!((minutes, before.len()), (239, 239 + 47 + 3));
    let again = import(dir.path(), &files);
    assert!(again.contains("columns 0 new 289 known") && again.contains("nothing new"), "{again}");
    assert_eq!(kept(dir.path()), before);
    let levels = meltline(dir.path(), &["levels", "BTC", "--at", "2024-06-19T03:00:30Z", "--format", "json"]);
    let map: serde_json::Value = serde_json::from_slice(&levels.stdout).unwrap();
    assert!(map["levels"].as_array().unwrap().len() > 100 && map["venues"][0]["venue"] == "binance");
}

#[test]
fn day_after_day_gives_what_all_at_once_gives() {
    let (apart, together) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [first, first_oi, second, second_oi] = days(apart.path());
    import(together.path(), &[&first, &first_oi, &second, &second_oi]);
    import(apart.path(), &[&first, &first_oi]);
    let told = import(apart.path(), &[&second, &second_oi]);
    assert!(told.contains(" 0 known"), "{told}");
    assert!(kept(apart.path()) == kept(together.path()));
    let state = |dir: &Path| reader(dir).checkpoint().unwrap().unwrap();
    assert!(state(apart.path()) == state(together.path()));
}

#[test]
fn events_make_the_columns_a_recording_makes_in_whatever_order_and_files_they_come() {
    let dir = tempfile::tempdir().unwrap();
    let events = wandering_on(&["bybit", "okx"], T0, 70 * 12, 5);
    let mut ordered = events.clone();
    meltline::market::event::sort_events(&mut ordered);
    let (one, other): (Vec<_>, Vec<_>) = ordered.iter().cloned().partition(|e| e.venue.as_str() == "okx");
    let mut shuffled = one.clone();
    shuffled.rotate_left(one.len() / 3);
    let a = file(dir.path(), "okx.ndjson", ndjson(&shuffled));
    let b = gz(dir.path(), "bybit.ndjson.gz", std::str::from_utf8(&ndjson(&other)).unwrap());
    let told = import(dir.path(), &[&a, &b]);
    assert!(told.contains(&format!("lines {} read 0 refused", events.len())), "{told}");
    let liquidations =
        events.iter().filter(|e| matches!(e.kind, meltline::market::EventKind::Liquidation(_)));
    assert!(told.contains(&format!("liquidations {} new 0 known", liquidations.count())), "{told}");
    let expected = closed(&ordered);
    assert!(expected.len() > 150);
    assert!(kept(dir.path()) == expected);
    assert!(import(dir.path(), &[&b, &a]).contains("nothing new"));
}

#[test]
fn what_a_store_has_already_stays_and_so_does_its_state() {
    let dir = tempfile::tempdir().unwrap();
    let asset = "BTC".parse().unwrap();
    let identity = Identity { asset, simulated: false, bin_bp: 5.0 };
    let at = StorePath::new(&dir.path().join("data"), asset);
    let mut engine = Engine::new(asset, Origin::Live, Arc::new(BinTable::new(5.0)), &[]);
    let writer = open_writer(&at, &identity, StoreConfig::default()).unwrap().writer;
    engine.set_sink(writer.into_sink());
    // An hour of two venues, one of which the archive knows too, from its second hour on.
    for event in wandering_on(&["binance", "okx"], T0 + 60 * MINUTE, 60 * 12, 5) {
        engine.apply_event(&event);
    }
    engine.keep_checkpoint();
    drop(engine);
    let (before, state) = (kept(dir.path()), reader(dir.path()).checkpoint().unwrap());
    let [first, first_oi, second, second_oi] = days(dir.path());
    let told = import(dir.path(), &[&first, &first_oi, &second, &second_oi]);
    assert!(told.contains("were kept otherwise before, and stay as they are"), "{told}");
    let after = kept(dir.path());
    assert!(before.iter().all(|(key, digest)| after.get(key) == Some(digest)));
    assert!(after.contains_key(&("binance".parse().unwrap(), MINUTE, T0)), "what was missing came");
    assert!(
        reader(dir.path()).checkpoint().unwrap() == state,
        "a state of two venues is more than one of one"
    );
}

#[test]
fn what_is_older_than_is_kept_goes_and_does_not_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let klines = file(dir.path(), "BTCUSDT-1m-2024-06.csv", candle_rows(T0, 480, 1));
    let metrics = file(dir.path(), "BTCUSDT-metrics-2024-06-19.csv", metrics_rows(T0, 480));
    let told = import(dir.path(), &[&klines, &metrics]);
    // Minutes are kept for six hours up to the end of the newest.
    assert!(told.contains("118 rows are older than [store] keeps them, and went"), "{told}");
    let before = kept(dir.path());
    assert_eq!(before.keys().filter(|(_, interval, _)| *interval == MINUTE).count(), 361);
    let told = import(dir.path(), &[&klines, &metrics]);
    assert!(told.contains("nothing new") && told.contains("118 rows are older"), "{told}");
    assert!(kept(dir.path()) == before);
}

#[test]
fn hours_of_candles_are_columns_of_hours() {
    let dir = tempfile::tempdir().unwrap();
    let klines = file(dir.path(), "BTCUSDT-1h-2024-06.csv", candle_rows(T0, 48 * 60, 60));
    let oi = file(dir.path(), "BTCUSDT-metrics-2024-06-19.csv", metrics_rows(T0, 48 * 60));
    import(dir.path(), &[&oi, &klines]);
    let keys = reader(dir.path()).column_keys().unwrap();
    assert!(keys.iter().all(|k| k.interval >= Interval::H1));
    assert_eq!(keys.iter().filter(|k| k.interval == Interval::H1).count(), 47);
}

#[test]
fn trades_and_liquidations_of_tardis_go_with_the_archive() {
    let dir = tempfile::tempdir().unwrap();
    let mut trades = String::from(
        "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n",
    );
    for i in 0..1_200_i64 {
        let price = 60_000 + i * 37 % 400;
        writeln!(trades, "{},{price},0.5,{i},{i},{},{}", 900 + i, T0 + i * 1_000, i % 2 == 0).unwrap();
    }
    let monthly = file(dir.path(), "BTCUSDT-aggTrades-2024-06.csv", &trades);
    let daily = file(dir.path(), "BTCUSDT-aggTrades-2024-06-19.csv", &trades[..trades.len() / 2]);
    let metrics = file(dir.path(), "BTCUSDT-metrics-2024-06-19.csv", metrics_rows(T0, 20));
    let mut liquidations = String::from("exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n");
    for (symbol, second, side) in [("BTCUSDT", 300, "sell"), ("ETHUSDT", 301, "buy"), ("BTCUSDT", 299, "buy")]
    {
        let us = (T0 + second * 1_000) * 1_000 + 7;
        writeln!(liquidations, "binance-futures,{symbol},{us},{us},,{side},60050,1.5").unwrap();
    }
    let tardis = gz(dir.path(), "binance-futures_liquidations_2024-06-19_PERPETUALS.csv.gz", &liquidations);
    let told = import(dir.path(), &[&monthly, &daily, &metrics, &tardis]);
    // Half of the bytes of the day are 607 rows and a broken one.
    assert!(told.contains("1 refused 1 of others 607 repeats"), "{told}");
    let rows = reader(dir.path()).liquidations(0, i64::MAX).unwrap();
    let told: Vec<_> = rows.iter().map(|r| (r.ts - T0, format!("{:?}", r.liquidation.position))).collect();
    assert_eq!(told, [(299_000, "Short".to_owned()), (300_000, "Long".to_owned())]);
    let columns = reader(dir.path());
    let minute = columns.newest_until("binance".parse().unwrap(), T0 + 10 * MINUTE).unwrap().unwrap();
    assert_eq!(minute.bar.unwrap().volume, 30.0, "sixty trades of half a coin, none twice");
}

#[test]
fn a_store_that_somebody_writes_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let [first, first_oi, ..] = days(dir.path());
    let asset = "BTC".parse().unwrap();
    let identity = Identity { asset, simulated: false, bin_bp: 5.0 };
    let at = StorePath::new(&dir.path().join("data"), asset);
    let _writer = open_writer(&at, &identity, StoreConfig::default()).unwrap().writer;
    let told = fails(dir.path(), &[&first, &first_oi], &[]);
    assert!(told.contains("nothing was imported") && told.contains("is being written by process"), "{told}");
    assert_eq!(kept(dir.path()).len(), 0);
}

#[test]
fn what_cannot_be_used_is_told_by_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let broken = candle_rows(T0, 30, 1).replacen("60240", "sixty", 1) + "1718755200000,1\n";
    let klines = file(dir.path(), "BTCUSDT-1m-2024-06-19.csv", broken);
    let metrics = file(dir.path(), "BTCUSDT-metrics-2024-06-19.csv", metrics_rows(T0, 30));
    let told = import(dir.path(), &[&klines, &metrics]);
    assert!(told.contains(" 2 refused "), "{told}");
    assert!(
        told.contains(&format!("{}:31: 2 columns, where there should be 12", klines.display())),
        "{told}"
    );
    // Alone they tell nothing of levels, and stand in nobody's way.
    let alone = tempfile::tempdir().unwrap();
    let told = import(alone.path(), &[&klines]);
    assert!(
        told.contains("columns 0 new 0 known") && told.contains("for want of price or open interest"),
        "{told}"
    );
    import(alone.path(), &[&klines, &metrics]);
    assert!(kept(alone.path()) == kept(dir.path()));

    let empty = tempfile::tempdir().unwrap();
    let other = file(empty.path(), "ETHUSDT-1m-2024-06-19.csv", candle_rows(T0, 3, 1));
    let told = fails(empty.path(), &[&klines, &other], &[]);
    assert!(told.contains("ETHUSDT-1m") && told.contains("import each asset by itself"), "{told}");
    let five = file(empty.path(), "BTCUSDT-5m-2024-06-19.csv", candle_rows(T0, 30, 5));
    assert!(fails(empty.path(), &[&klines, &five], &[]).contains("import only one of them"));
    let capture = file(empty.path(), "c.ndjson", r#"{"recv":1,"venue":"okx","conn":"a","raw":"x"}"#);
    assert!(fails(empty.path(), &[&capture], &[]).contains("meltline tap"));
    let cut =
        std::fs::read(zipped(empty.path(), "BTCUSDT-1m-2024-06-21.zip", &candle_rows(T0, 90, 1))).unwrap();
    let cut = file(empty.path(), "BTCUSDT-1m-2024-06-22.zip", &cut[..cut.len() / 2]);
    let told = fails(empty.path(), &[&cut], &[]);
    assert!(told.contains("BTCUSDT-1m-2024-06-22.zip") && told.contains("get it anew"), "{told}");
    assert!(fails(empty.path(), &[&klines], &["--venue", "okx"]).contains("--venue leaves out"));
    assert!(!empty.path().join("data").exists(), "nothing was made");
}
