//! A replay that goes back and on again is the unbroken run, bit for bit; and nothing that is later than its clock is to be seen.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use meltline::app::{App, Message, Settings};
use meltline::command::replay::player::{Player, Wake};
use meltline::command::replay::stage::{Recorded, Stage};
use meltline::engine::landmark::{Kind, Landmark};
use meltline::engine::market::GRACE;
use meltline::engine::playback::{Motion, Speed, Transport};
use meltline::engine::{Engine, Origin};
use meltline::estimate::BinTable;
use meltline::feed::capture::{self, Capture, LineReader};
use meltline::feed::recording::Recording;
use meltline::market::{EventKind, MarketEvent, Side};

use crate::support::{liquidation, mark, open_interest, trade};

/// A whole hour.
const START: i64 = 1_700_002_800_000;
const MINUTE: i64 = 60_000;

/// A market that wanders by a fixed rule: three prices a second, so that there are several checkpoints. A large liquidation in minutes 61
/// and 137.
fn market(minutes: i64) -> Vec<MarketEvent> {
    let mut events = Vec::new();
    let mut state = 88_172_645_463_325_252_u64;
    let (mut price, mut oi) = (60_000.0_f64, 5_000.0_f64);
    for third in 0..minutes * 180 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let draw = (state >> 11) as f64 / (1_u64 << 53) as f64;
        let ts = START + third * 333;
        price *= 1.0 + (draw - 0.5) * 0.001;
        events.push(trade(ts, price, 0.1 + draw));
        events.push(mark(ts + 1, price));
        if third % 15 == 0 {
            oi += draw - 0.49;
            events.push(open_interest(ts + 2, oi));
        }
        if third % 120 == 7 {
            let coins = if [61, 137].contains(&((ts - START) / MINUTE)) { 40.0 } else { 0.2 + draw };
            events.push(liquidation(ts + 3, Side::Long, price, coins));
        }
    }
    events
}

fn event_file(dir: &Path, events: &[MarketEvent]) -> PathBuf {
    let path = dir.join("events.ndjson");
    let mut bytes = Vec::new();
    for event in events {
        meltline::market::ndjson::write_event(&mut bytes, event).unwrap();
    }
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Two venues' frames of an hour in a file each, packed: Bybit tells trades, marks and open interest, Binance trades.
fn captures(dir: &Path) -> PathBuf {
    let folder = dir.join("capture");
    std::fs::create_dir(&folder).unwrap();
    let file = |name: &str| {
        zstd::Encoder::new(std::fs::File::create(folder.join(name)).unwrap(), 1).unwrap().auto_finish()
    };
    let (mut bybit, mut binance) = (file("bybit.ndjson.zst"), file("binance.ndjson.zst"));
    for n in 0..12_000_i64 {
        let (ts, price) = (START + n * 300, 60_000 + (n * 7_919) % 311);
        let line = |out: &mut dyn Write, venue: &str, recv: i64, raw: String| {
            let raw = raw.replace('"', "\\\"");
            writeln!(
                out,
                r#"{{"recv":{},"venue":"{venue}","conn":"public","raw":"{raw}"}}"#,
                recv * 1_000_000
            )
            .unwrap();
        };
        let trade = format!(
            r#"{{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":{ts},"data":[{{"T":{ts},"s":"BTCUSDT","S":"Buy","v":"0.5","p":"{price}","L":"PlusTick","i":"{n:032x}","BT":false,"seq":{n}}}]}}"#
        );
        line(&mut bybit, "bybit", ts + 20, trade);
        let ticker = format!(
            r#"{{"topic":"tickers.BTCUSDT","type":"delta","data":{{"symbol":"BTCUSDT","markPrice":"{price}","openInterest":"{}"}},"cs":{n},"ts":{ts}}}"#,
            50_000 + n
        );
        line(&mut bybit, "bybit", ts + 21, ticker);
        let trade = format!(
            r#"{{"e":"aggTrade","E":{ts},"s":"BTCUSDT","a":{n},"p":"{price}","q":"0.3","nq":"0.3","f":{n},"l":{n},"T":{ts},"m":true,"st":1}}"#
        );
        line(&mut binance, "binance", ts + 25, trade);
        // Books take room and tell nothing of levels.
        let kind = if n == 0 { "snapshot" } else { "delta" };
        let book = format!(
            r#"{{"topic":"orderbook.200.BTCUSDT","type":"{kind}","ts":{ts},"data":{{"s":"BTCUSDT","b":[["{}","1.5"]],"a":[["{}","2"],["{}","3"]],"u":{},"seq":{}}},"cts":{ts}}}"#,
            price - 1,
            price + 1,
            price + 2,
            n + 1,
            n + 1
        );
        line(&mut bybit, "bybit", ts + 30, book);
        let (before, this) = (2 * n, 2 * n + 1);
        let book = format!(
            r#"{{"e":"depthUpdate","E":{0},"T":{0},"s":"BTCUSDT","U":{before},"u":{this},"pu":{before},"b":[["{price}","10"]],"a":[],"st":1}}"#,
            ts + 7
        );
        line(&mut binance, "binance", ts + 31, book);
    }
    folder
}

fn engine() -> Engine {
    Engine::new("BTC".parse().unwrap(), Origin::Replay, Arc::new(BinTable::new(5.0)), &[])
}

fn recording(path: &Path) -> Recording {
    let mut recording = Recording::open(path, Some("BTC".parse().unwrap())).unwrap();
    assert!(recording.peek().unwrap());
    recording
}

/// An engine that never went back, before the first event that is known at a time or later.
fn unbroken(path: &Path, until: i64) -> Engine {
    let (mut recording, mut engine) = (recording(path), engine());
    while let Some(batch) = recording.next_batch().unwrap() {
        for event in batch {
            if event.known_at() >= until {
                return engine;
            }
            engine.take(event);
        }
    }
    engine
}

fn settle(player: &mut Player<Recorded>) {
    while player.turn(Instant::now()) != Wake::Asked {}
}

fn player(path: &Path) -> Player<Recorded> {
    let mut player = Player::new(Recorded::new(recording(path), engine()), Speed::Max, None, i64::MAX);
    settle(&mut player);
    assert_eq!(player.motion(), Motion::Ended);
    player
}

fn seek(player: &mut Player<Recorded>, at: i64) {
    player.ask(Transport::Seek(at));
    // It goes on as it did: from the end it stands.
    settle(player);
}

/// The same state and the same columns.
fn assert_equal(player: &Player<Recorded>, with: &Engine) {
    let engine = player.stage().engine();
    assert_eq!(engine.now(), with.now());
    assert!(engine.checkpoint() == with.checkpoint(), "the state at {}", engine.now());
    for (a, b) in engine.venues().iter().zip(with.venues()) {
        assert!(a.history().ladder == b.history().ladder, "the columns of {} at {}", a.venue(), engine.now());
    }
}

#[test]
fn after_a_seek_an_event_file_is_where_an_unbroken_run_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = event_file(dir.path(), &market(240));
    let mut player = player(&path);
    assert_equal(&player, &unbroken(&path, i64::MAX));
    for ms in [200 * MINUTE, 17 * MINUTE + 1, 122 * MINUTE + 2_000, 0, 239 * MINUTE, 90 * MINUTE] {
        seek(&mut player, START + ms);
        assert_eq!((player.at(), player.motion()), (START + ms, Motion::Paused));
        assert_equal(&player, &unbroken(&path, START + ms));
    }
    player.ask(Transport::PlayPause);
    settle(&mut player);
    assert_equal(&player, &unbroken(&path, i64::MAX));
}

#[test]
fn after_a_seek_captures_of_two_venues_are_where_an_unbroken_run_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = captures(dir.path());
    let mut player = player(&path);
    assert_eq!(player.stage().engine().venues().len(), 2);
    assert_equal(&player, &unbroken(&path, i64::MAX));
    for ms in [55 * MINUTE, 3 * MINUTE + 1, 31 * MINUTE, 58 * MINUTE] {
        seek(&mut player, START + ms);
        assert!(player.stage().now() < START + ms);
        assert_equal(&player, &unbroken(&path, START + ms));
    }
    player.ask(Transport::PlayPause);
    settle(&mut player);
    assert_equal(&player, &unbroken(&path, i64::MAX));
    let tally = player.into_stage().finish().unwrap().unwrap();
    assert_eq!((tally.counters.frames, tally.broken), (60_000, 0), "nothing is counted twice");
}

#[test]
fn without_the_levels_of_books_a_capture_gives_the_same_columns() {
    let dir = tempfile::tempdir().unwrap();
    let path = captures(dir.path());
    let mut bare = Recording::open(&path, None).unwrap().without_books();
    let mut engine = engine();
    let mut books = 0;
    while let Some(batch) = bare.next_batch().unwrap() {
        for event in batch {
            books += usize::from(matches!(event.kind, EventKind::Book(_)));
            engine.take(event);
        }
    }
    let mut with = unbroken(&path, i64::MAX);
    let told = with.snapshot().venues.iter().any(|v| v.book.as_ref().is_some_and(|b| !b.bids.is_empty()));
    assert!(told && books == 0);
    assert!(engine.checkpoint() == with.checkpoint());
    assert_eq!(bare.tally().counters.frames, 60_000);
}

#[test]
fn books_are_captured_apart_and_what_needs_none_leaves_their_files_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (mixed, apart) = (captures(dir.path()), dir.path().join("apart"));
    let mut frames = Vec::new();
    for name in ["bybit.ndjson.zst", "binance.ndjson.zst"] {
        let text = zstd::decode_all(std::fs::File::open(mixed.join(name)).unwrap()).unwrap();
        let mut reader = LineReader::default();
        frames.extend(text.lines().map(|line| reader.read(&line.unwrap(), &mut String::new()).unwrap()));
    }
    frames.sort_by_key(|frame| frame.recv);
    let mut writer = Capture::directory(&apart, "BTC".parse().unwrap()).unwrap();
    for frame in &frames {
        writer.write(frame).unwrap();
    }
    writer.finish().unwrap();

    let (mut before, mut whole) = (unbroken(&mixed, i64::MAX), unbroken(&apart, i64::MAX));
    let books =
        |engine: &mut Engine| engine.snapshot().venues.iter().map(|v| v.book.clone()).collect::<Vec<_>>();
    assert!(books(&mut whole).iter().any(Option::is_some));
    assert_eq!(books(&mut whole), books(&mut before));

    let mut bare = Recording::open(&apart, None).unwrap().without_books();
    let mut engine = engine();
    while let Some(batch) = bare.next_batch().unwrap() {
        for event in batch {
            engine.take(event);
        }
    }
    assert!(engine.checkpoint() == whole.checkpoint());
    let tally = bare.tally();
    assert_eq!((tally.left_out, tally.counters.frames), (2, 36_000));
    assert!(tally.to_string().contains("2 files of books not read"));

    // Nothing else there: they are read.
    let of_books: Vec<PathBuf> = std::fs::read_dir(&apart)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| capture::holds_books(path))
        .collect();
    let mut alone = Recording::open_all(&of_books, None).unwrap().without_books();
    while alone.next_batch().unwrap().is_some() {}
    assert_eq!((alone.tally().left_out, alone.tally().counters.frames), (0, 24_000));
}

#[test]
fn frames_of_several_files_come_by_receive_time_and_the_share_read_grows() {
    let dir = tempfile::tempdir().unwrap();
    let mut recording = recording(&captures(dir.path()));
    assert_eq!(recording.begins(), Some(START + 20));
    let (mut last, mut shares) = (0, vec![recording.share()]);
    while let Some(batch) = recording.next_batch().unwrap() {
        for event in &batch {
            assert!(event.ts >= last, "{} after {last}", event.ts);
            last = event.ts;
        }
        shares.push(recording.share());
    }
    assert!(shares.is_sorted() && shares[0] < 0.1 && shares[shares.len() - 1] == 1.0);
    let middle = shares[shares.len() / 2];
    assert!((0.4..0.6).contains(&middle), "{middle}");
}

#[test]
fn jumps_go_to_the_large_liquidations_of_the_recording_in_both_directions() {
    let dir = tempfile::tempdir().unwrap();
    let path = event_file(dir.path(), &market(150));
    let mut player = player(&path);
    let landmark = Landmark {
        kind: Kind::Liquidation,
        dt: 5 * MINUTE,
        low: 0.0,
        step: 4.0,
        least: 2e6,
        threshold: 0.0,
        hidden: Vec::new(),
        sides: [true, true],
    };
    let mut jump = |forward| {
        player.ask(Transport::Jump { forward, landmark: landmark.clone() });
        settle(&mut player);
        player.at() - START - GRACE
    };
    assert_eq!([jump(false), jump(false)], [138 * MINUTE, 62 * MINUTE]);
    assert_eq!(jump(true), 138 * MINUTE);
    assert_eq!(jump(false), 62 * MINUTE);
}

#[test]
fn after_going_back_nothing_later_is_on_the_screen() {
    let dir = tempfile::tempdir().unwrap();
    let path = event_file(dir.path(), &market(180));
    let mut player = player(&path);
    let settings = || Settings { range: "12h".parse().unwrap(), ..Settings::default() };
    let mut app = App::new(settings(), player.picture());
    app.update(Message::Resize(160, 50));
    let target = START + 70 * MINUTE;
    seek(&mut player, target);
    app.update(Message::Snapshot(player.picture()));
    let mut fresh = App::new(settings(), player.picture());
    fresh.update(Message::Resize(160, 50));
    assert!(app.tape().iter().all(|p| p.ts < target) && !app.tape().is_empty());
    assert_eq!(app.tape(), fresh.tape());
    assert_eq!(app.totals(), fresh.totals());
    // The price axis stays where it was; what is drawn on it does not.
    let drawn = |app: &App| {
        let columns = app.grid().columns.iter();
        columns.map(|c| (c.covered, c.live, c.bar, c.missing.clone())).collect::<Vec<_>>()
    };
    assert_eq!(drawn(&app), drawn(&fresh));
    assert_eq!((app.fit(), app.price()), (fresh.fit(), fresh.price()));
    assert_eq!(app.liquidated().0, fresh.liquidated().0);
}
