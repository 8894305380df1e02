//! Recordings: files of events, captures, broken and cut-off ones, and real data where `MELTLINE_RECORDED` names the folder.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use meltline::feed::book::BookLimits;
use meltline::feed::frame::{Body, RawFrame};
use meltline::feed::recording::{Recording, RecordingTally};
use meltline::feed::venue::translator;
use meltline::market::{Asset, EventKind, MarketEvent, Qty};

fn read(recording: &mut Recording) -> Vec<MarketEvent> {
    let mut events = Vec::new();
    while let Some(batch) = recording.next_batch().unwrap() {
        assert!(!batch.is_empty());
        events.extend(batch);
    }
    events
}

fn read_text(name: &str, text: &str, asset: Option<&str>) -> (Vec<MarketEvent>, RecordingTally) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    let mut recording = Recording::open(&path, asset.map(|a| a.parse().unwrap())).unwrap();
    let events = read(&mut recording);
    (events, recording.tally())
}

fn trade(venue: &str, asset: &str, ts: i64) -> String {
    format!(
        r#"{{"v":1,"type":"trade","venue":"{venue}","asset":"{asset}","ts":{ts},"price":"1","qty":"2","taker":"buy"}}"#
    )
}

#[test]
fn events_come_in_engine_order_and_of_one_asset() {
    let lines = [trade("okx", "BTC", 3), trade("okx", "ETH", 1), trade("bybit", "BTC", 2)].join("\n");
    let (events, tally) = read_text("x.ndjson", &lines, None);
    assert_eq!(events.iter().map(|e| e.ts).collect::<Vec<_>>(), [2, 3], "the first asset seen is BTC");
    assert_eq!((tally.lines, tally.usable), (3, 3));
    let (events, _) = read_text("x.ndjson", &lines, Some("ETH"));
    assert_eq!(events.len(), 1);
}

#[test]
fn sums_over_venues_give_way_to_venues() {
    let both = [trade("aggregate", "BTC", 1), trade("okx", "BTC", 2), trade("okx", "ETH", 2)].join("\n");
    let (events, _) = read_text("x.ndjson", &both, Some("BTC"));
    assert_eq!(events.iter().map(|e| e.venue.as_str()).collect::<Vec<_>>(), ["okx"]);
    let (events, _) = read_text("x.ndjson", &trade("aggregate", "BTC", 1), Some("BTC"));
    assert_eq!(events.len(), 1);
}

#[test]
fn broken_lines_are_told_by_number_and_passed_over() {
    let text = format!(
        "oops\n{}\n\n{{\"v\":1,\"type\":\"weather\",\"venue\":\"x\",\"asset\":\"BTC\",\"ts\":1}}\n{}\n",
        trade("okx", "BTC", 1),
        &trade("okx", "BTC", 2)[..40]
    );
    let (events, tally) = read_text("x.ndjson", &text, None);
    assert_eq!(events.len(), 1);
    assert_eq!((tally.lines, tally.usable, tally.unknown, tally.broken), (4, 1, 1, 2));
    assert!(tally.complaints[0].contains("x.ndjson:1: ") && tally.complaints[1].contains("x.ndjson:5: "));
    let (events, tally) = read_text("x.ndjson", "", None);
    assert!(events.is_empty() && tally.usable == 0);
}

const FRAME: &str = r#"{"recv":1,"venue":"binance","conn":"market","raw":"{\"e\":\"aggTrade\",\"E\":123456789,\"s\":\"BNBUSDT\",\"a\":5933014,\"p\":\"0.001\",\"q\":\"100\",\"f\":100,\"l\":105,\"T\":123456785,\"m\":true,\"st\":1}"}"#;

#[test]
fn a_capture_is_told_from_events_by_its_first_usable_line() {
    let strange = FRAME.replace("binance", "moonbase");
    let text = format!("oops\n{FRAME}\n{strange}\n{{\"recv\":1}}\n{}\n", trade("okx", "BTC", 1));
    let (events, tally) = read_text("x.ndjson", &text, None);
    assert_eq!((events.len(), events[0].asset.as_str()), (1, "BNB"));
    assert_eq!((tally.lines, tally.usable, tally.unknown, tally.broken), (5, 1, 1, 3));
    assert_eq!(tally.kinds["aggTrade"], 1);
}

#[test]
fn history_that_is_cut_off_is_still_given() {
    let open = r#"{"recv":1,"venue":"binance","conn":"backfill","event":"open"}"#;
    let call = r#"{"recv":1,"venue":"binance","conn":"backfill","rest":"/fapi/v1/openInterest?symbol=BTCUSDT","raw":"{\"openInterest\":\"10659.509\",\"symbol\":\"BTCUSDT\",\"time\":1589437530011}"}"#;
    let (events, tally) = read_text("x.ndjson", &format!("{open}\n{call}\n"), Some("BTC"));
    assert_eq!((events.len(), tally.counters.events), (1, 1));
}

#[test]
fn segments_of_a_capture_are_one_run() {
    let dir = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = ["1.ndjson", "2.ndjson"].iter().map(|n| dir.path().join(n)).collect();
    fs::write(&paths[0], FRAME).unwrap();
    fs::write(
        &paths[1],
        format!("{FRAME}\n{}", FRAME.replace("5933014", "5933016").replace("123456785", "123456799")),
    )
    .unwrap();
    let mut recording = Recording::open_all(&paths, None).unwrap();
    let events = read(&mut recording);
    assert_eq!(events.len(), 3, "a trade, the hole, a trade");
    let counters = recording.tally().counters;
    assert_eq!((counters.duplicates, counters.missed), (1, 1));
    let missing = Recording::open_all(&[paths[0].clone(), dir.path().join("3.ndjson")], None);
    assert!(missing.is_err(), "told before the run, not in it");
}

/// [`FRAME`] with a number and a time of its own, as it stood in captures of earlier versions or as it stands now.
fn numbered(n: u64, is_string: bool) -> String {
    let (number, time) = ((5_933_014 + n).to_string(), (123_456_785 + n).to_string());
    let line = FRAME
        .replace("5933014", &number)
        .replace("123456785", &time)
        .replace("\"recv\":1", &format!("\"recv\":{}", n + 1));
    let frame = line.replace('\\', "").replace("\"raw\":\"", "\"json\":").replace("\"}", "}");
    if is_string { line } else { frame }
}

#[test]
fn a_capture_reads_the_same_whether_its_frames_are_strings_or_stand_as_they_came() {
    let lines = |is_string: fn(u64) -> bool| -> String {
        (0..2_000).map(|n| numbered(n, is_string(n)) + "\n").collect()
    };
    let strings = read_text("x.ndjson", &lines(|_| true), None);
    assert_eq!((strings.0.len(), strings.1.broken, strings.1.counters.missed), (2_000, 0, 0));
    assert!(lines(|_| false).contains(r#""json":{"e":"aggTrade""#));
    assert_eq!(read_text("x.ndjson", &lines(|_| false), None), strings);
    assert_eq!(read_text("x.ndjson", &lines(|n| n % 3 == 0), None), strings);
}

#[test]
fn what_came_before_a_file_that_vanished_is_handed_out_before_that_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = ["1.ndjson", "2.ndjson"].iter().map(|n| dir.path().join(n)).collect();
    let lines = |from: u64, to: u64| (from..to).map(|n| numbered(n, false) + "\n").collect::<String>();
    fs::write(&paths[0], lines(0, 300)).unwrap();
    fs::write(&paths[1], lines(300, 400)).unwrap();
    let mut recording = Recording::open_all(&paths, None).unwrap();
    let mut events = recording.next_batch().unwrap().unwrap().len();
    assert!(events < 300, "hundreds at once, not all");
    fs::remove_file(&paths[1]).unwrap();
    let failure = loop {
        match recording.next_batch() {
            Ok(batch) => events += batch.expect("it fails before it ends").len(),
            Err(failure) => break failure,
        }
    };
    assert_eq!(events, 300);
    assert!(failure.to_string().contains("2.ndjson"), "{failure}");
}

#[test]
fn a_cut_off_archive_keeps_what_came_before() {
    let dir = tempfile::tempdir().unwrap();
    // Text that does not compress to nothing, so that half of the archive is still many lines.
    let lines: String =
        (0..5_000_u64).map(|n| trade("okx", "BTC", (n * 2_654_435_761 % 1_000_003) as i64) + "\n").collect();
    for name in ["x.ndjson.gz", "x.ndjson.zst"] {
        let path = dir.path().join(name);
        let bytes = if name.ends_with("gz") {
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gz.write_all(lines.as_bytes()).unwrap();
            gz.finish().unwrap()
        } else {
            zstd::encode_all(lines.as_bytes(), 1).unwrap()
        };
        fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
        let mut recording = Recording::open(&path, None).unwrap();
        let events = read(&mut recording);
        let tally = recording.tally();
        assert!(events.len() > 100 && events.len() < 5_000, "{name}: {}", events.len());
        assert_eq!((tally.truncated, tally.broken), (1, 0));
        assert!(tally.complaints[0].contains("ends in the middle"));
    }
}

/// The folder of real data, where there is one.
fn recorded() -> Option<PathBuf> {
    let folder = std::env::var_os("MELTLINE_RECORDED").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("MELTLINE_RECORDED is not set: not run");
    }
    folder
}

/// Lines of a gzip file.
fn gz_lines(path: &Path) -> impl Iterator<Item = String> {
    let file = fs::File::open(path).unwrap();
    BufReader::new(flate2::read::MultiGzDecoder::new(file)).lines().map(Result::unwrap)
}

/// What a straightforward look at the raw frames finds: how many frames, and how many trades and coins of a symbol.
fn scan(path: &Path, kind: &str, symbol: &str) -> (u64, u64, Qty) {
    let (mut frames, mut trades, mut coins) = (0, 0, Qty::ZERO);
    for line in gz_lines(path) {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let raw: serde_json::Value = serde_json::from_str(line["raw"].as_str().unwrap()).unwrap();
        let data = if raw["data"].is_object() { &raw["data"] } else { &raw };
        frames += 1;
        if data["e"] == kind && data["s"] == symbol {
            trades += 1;
            coins = coins.checked_add(data["q"].as_str().unwrap().parse().unwrap()).unwrap();
        }
    }
    (frames, trades, coins)
}

#[test]
fn every_frame_of_the_real_captures_is_classified_and_no_trade_is_lost() {
    let Some(folder) = recorded() else { return };
    for (name, kind, symbol, expected) in [
        ("binance-btcusdt-2024-08-08", "trade", "BTCUSDT", 93_954),
        ("binance-btcusdt-2023-04-05", "trade", "BTCUSDT", 60_381),
        ("binance-mixed-2021-07-22", "aggTrade", "SUSHIUSDT", 1_535),
    ] {
        let path = folder.join(format!("capture/{name}.ndjson.gz"));
        let (frames, trades, coins) = scan(&path, kind, symbol);
        let asset: Asset = symbol.trim_end_matches("USDT").parse().unwrap();
        let mut recording = Recording::open(&path, Some(asset)).unwrap();
        let events = read(&mut recording);
        let (mut seen, mut sum) = (0, Qty::ZERO);
        for event in &events {
            if let EventKind::Trade(t) = &event.kind {
                seen += 1;
                sum = sum.checked_add(t.qty).unwrap();
            }
        }
        let tally = recording.tally();
        eprintln!("{name}: {frames} frames, {trades} trades, {coins} coins; {tally}");
        assert_eq!((seen, sum), (trades, coins), "{name}");
        assert_eq!((tally.lines, tally.counters.frames), (frames, frames));
        assert_eq!(tally.kinds.values().sum::<u64>(), frames, "each frame under one known kind");
        let counters = tally.counters;
        assert_eq!(
            (counters.unknown, counters.malformed, counters.duplicates, counters.missed),
            (0, 0, 0, 0)
        );
        assert_eq!(frames, expected);
    }
}

#[test]
fn the_updates_of_a_real_market_make_one_book_without_a_hole() {
    let Some(folder) = recorded() else { return };
    let venue = "binance".parse().unwrap();
    let limits = BookLimits { depth: 0.5, every_ms: 1_000 };
    let mut feed = translator(venue, Some("BTC".parse().unwrap()), limits).unwrap();
    let mut events = Vec::new();
    let (mut asked, mut snapshot) = (0, None);
    for line in gz_lines(&folder.join("capture/binance-btcusdt-2024-08-08.ndjson.gz")) {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let text = line["raw"].as_str().unwrap().to_owned();
        let recv = line["recv"].as_i64().unwrap();
        if text.contains("lastUpdateId") {
            // The recorder put the REST answer among the frames; it is the answer to the first call the book makes.
            snapshot = Some(text);
            continue;
        }
        let frame = RawFrame { recv, venue, conn: "public".into(), body: Body::Ws(text) };
        asked += feed.take(&frame, &mut events).wants.len();
        if asked == 1
            && let Some(text) = snapshot.take()
        {
            let path = "/fapi/v1/depth?symbol=BTCUSDT&limit=1000".to_owned();
            let frame = RawFrame { recv, venue, conn: "poll".into(), body: Body::Rest { path, text } };
            asked += feed.take(&frame, &mut events).wants.len();
        }
    }
    assert_eq!(asked, 1, "no hole in {} updates", feed.tally().kinds["depthUpdate"]);
    let books: Vec<_> =
        events.iter().filter_map(|e| if let EventKind::Book(b) = &e.kind { Some(b) } else { None }).collect();
    assert!(books.len() > 200, "{} books", books.len());
    assert!(books.iter().all(|b| b.bids[0].0 < b.asks[0].0 && b.bids.len() > 500 && b.asks.len() > 500));
}

#[test]
fn every_real_binance_message_is_classified() {
    let Some(folder) = recorded() else { return };
    let venue = "binance".parse().unwrap();
    let mut feed = translator(venue, None, BookLimits::default()).unwrap();
    let mut events = Vec::new();
    let mut take = |body: Body| {
        feed.take(&RawFrame { recv: 0, venue, conn: "market".into(), body }, &mut events);
        (feed.tally().counters, feed.tally().kinds.clone())
    };
    let mut frames = 0;
    for file in fs::read_dir(folder.join("wire/samples/binance/futures/market_data_json")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        take(Body::Ws(text));
        frames += 1;
    }
    for name in ["BINANCE_FUTURES.0", "BINANCE_FUTURES.http.0.0", "BINANCE_FUTURES.ws.1.0"] {
        for line in gz_lines(&folder.join(format!("wire/recordings/{name}.gz"))) {
            let (head, text) = line.split_once(": ").unwrap_or(("", &line));
            let body = match head.split_once(" -> ") {
                Some((url, _)) => {
                    let path = url.strip_prefix("https://fapi.binance.com").unwrap();
                    Body::Rest { path: path.into(), text: text.into() }
                }
                // Notes of the recorder: which sockets it opened, how it was set up.
                None if !text.starts_with('{') || head.parse::<f64>().is_err() => continue,
                None => Body::Ws(text.into()),
            };
            take(body);
            frames += 1;
        }
    }
    let (counters, kinds) = take(Body::Open);
    eprintln!("{frames} messages: {kinds:?}");
    assert_eq!((counters.frames, counters.unknown, counters.malformed), (frames, 0, 0));
    assert_eq!(kinds.values().sum::<u64>(), frames);
}
