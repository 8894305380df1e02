//! How soon the first full picture stands, and how much memory ranges take, on stores of a month and of a year. Measured by hand, in a release
//! build:
//!
//! ```text
//! cargo build --release && cargo test --release --test all -- --ignored --nocapture first_picture
//! ```
//!
//! `MELTLINE_STORES` names a folder in which the stores are kept from one time to the next.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use meltline::engine::record::Record;
use meltline::engine::{Engine, Origin};
use meltline::estimate::BinTable;
use meltline::market::event::{EventKind, Mark, MarketEvent};
use meltline::market::{Candle, Interval, Liquidation, PriceKind, Sampled, Side, Venue};
use meltline::store::{Identity, StoreConfig, StorePath, open_writer};

use crate::support::{price, qty};
use crate::terminal::{Terminal, hot_cells};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const VENUES: [&str; 4] = ["binance", "bybit", "okx", "hyperliquid"];

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Numbers that look like chance and are the same each time.
struct Dice(u64);

impl Dice {
    fn draw(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Fills a store with so many days of BTC on four venues up to now, from bars of a length: the columns that a ladder keeps of them, and the
/// state at the end.
fn fill(dir: &Path, days: i64, bar: Interval) {
    let identity = Identity { asset: "BTC".parse().unwrap(), simulated: true, bin_bp: 5.0 };
    let at = StorePath::new(dir, identity.asset);
    let writer = Arc::new(open_writer(&at, &identity, StoreConfig::default()).unwrap().writer);
    let venues = VENUES.map(|name| name.parse::<Venue>().unwrap());
    let bins = Arc::new(BinTable::new(identity.bin_bp));
    let end = Interval::M1.floor(now());
    let mut engine = Engine::new(identity.asset, Origin::Simulated, bins, &venues);
    engine.forget_columns();
    let to = Arc::clone(&writer);
    engine.set_sink(Box::new(move |record| {
        let Record::Columns { venue, columns } = record else { return to.keep(record) };
        let is_kept = |interval, start: i64| {
            start
                >= end
                    - match interval {
                        Interval::M1 => 6 * HOUR,
                        Interval::M5 => 7 * DAY,
                        _ => 180 * DAY,
                    }
                || interval == Interval::D1
        };
        let columns: Vec<_> = columns.into_iter().filter(|c| is_kept(c.interval, c.start)).collect();
        if !columns.is_empty() {
            to.keep(Record::Columns { venue, columns });
        }
    }));
    let mut dice = Dice(88_172_645_463_325_252);
    let (mut last, mut oi) = (60_000.0, [50_000.0, 30_000.0, 20_000.0, 12_000.0]);
    let swing = 0.0008 * (bar.ms() as f64 / MINUTE as f64).sqrt();
    let mut start = bar.floor(end - days * DAY);
    while start < end {
        let open = last;
        let [a, b, c] = [0; 3].map(|_| (dice.draw() - 0.5) * 2.0 * swing);
        last *= 1.0 + a;
        let (high, low) = (open.max(last) * (1.0 + b.abs()), open.min(last) * (1.0 - c.abs()));
        for (i, venue) in venues.into_iter().enumerate() {
            let event = |ts, kind| MarketEvent { venue, asset: identity.asset, ts, recv: None, kind };
            let volume = oi[i] * (0.002 + 0.004 * dice.draw());
            oi[i] *= 1.0 + (dice.draw() - 0.5) * 0.002;
            let ohlc = meltline::market::candle::Ohlc {
                open: price(open),
                high: price(high),
                low: price(low),
                close: price(last),
            };
            let candle = Candle {
                interval: bar,
                ohlc: Some(ohlc),
                volume: Some(qty(volume)),
                taker_buy: Some(qty(volume * (0.5 + (dice.draw() - 0.5) * 0.3))),
            };
            engine.apply_event(&event(start, EventKind::Candle(candle)));
            let then = start + bar.ms() - 1;
            let mark = Mark {
                price: price(last),
                index: None,
                funding: None,
                funding_hours: None,
                next_funding: None,
            };
            engine.apply_event(&event(then, EventKind::Mark(mark)));
            engine.apply_event(&event(then, EventKind::OpenInterest(qty(oi[i]))));
            if dice.draw() < 0.2 {
                let side = if last < open { Side::Long } else { Side::Short };
                let one = Liquidation {
                    position: side,
                    price: price(last),
                    qty: qty(0.01 + dice.draw()),
                    price_kind: PriceKind::Fill,
                    sampled: Sampled::No,
                };
                engine.apply_event(&event(then, EventKind::Liquidation(one)));
            }
        }
        start += bar.ms();
    }
    engine.keep_checkpoint();
    drop(engine);
    let Ok(writer) = Arc::try_unwrap(writer) else { panic!("somebody writes") };
    let status = writer.close();
    assert_eq!((status.dropped, status.trouble), (0, None));
    eprintln!("{days} days: {:.1} MB, {:?}", status.bytes as f64 / 1e6, status.written);
}

/// A store that is there, or is made.
fn store(name: &str, days: i64, bar: Interval) -> (PathBuf, Option<tempfile::TempDir>) {
    static MAKING: Mutex<()> = Mutex::new(());
    let _one = MAKING.lock().unwrap();
    let (folder, kept) = if let Some(folder) = std::env::var_os("MELTLINE_STORES") {
        (PathBuf::from(folder), None)
    } else {
        let dir = tempfile::tempdir().unwrap();
        (dir.path().to_owned(), Some(dir))
    };
    let dir = folder.join(name);
    if !dir.join("history").join("BTC.db").exists() {
        std::fs::create_dir_all(&dir).unwrap();
        fill(&dir, days, bar);
    }
    // Exchanges that nobody can reach: what is shown comes from the store.
    let mut config = meltline::config::Config::default();
    config.feed.simulated = true;
    config.watchlist = Vec::new();
    let nobody = |scheme: &str| format!("{scheme}://127.0.0.1:9/");
    let venues = &mut config.venues;
    for rest in [
        &mut venues.binance.at.rest,
        &mut venues.bybit.at.rest,
        &mut venues.okx.at.rest,
        &mut venues.hyperliquid.at.rest,
    ] {
        *rest = nobody("http");
    }
    for ws in [
        &mut venues.binance.at.ws_market,
        &mut venues.binance.at.ws_public,
        &mut venues.bybit.at.ws,
        &mut venues.okx.at.ws_public,
        &mut venues.okx.at.ws_business,
        &mut venues.hyperliquid.at.ws,
    ] {
        *ws = nobody("ws");
    }
    std::fs::write(dir.join("config.toml"), toml::to_string(&config).unwrap()).unwrap();
    (dir, kept)
}

/// Resident memory of a process, MB: now, and at most so far.
fn memory(pid: u32) -> [f64; 2] {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    ["VmRSS:", "VmHWM:"].map(|name| {
        let line = status.lines().find(|l| l.starts_with(name)).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    })
}

fn open(dir: &Path, range: &str) -> (Terminal, Instant) {
    let [config, data] = [dir.join("config.toml"), dir.to_owned()].map(|p| p.to_str().unwrap().to_owned());
    let program = env!("CARGO_BIN_EXE_meltline");
    let args = [program, "BTC", "--config", &config, "--data-dir", &data, "--range", range];
    let begun = Instant::now();
    let terminal =
        Terminal::run(&args, &[("TERM", "xterm-256color")], (50, 160), tempfile::tempdir().unwrap());
    (terminal, begun)
}

/// Whether heat stands in nearly every column of the heatmap.
fn is_full(screen: &vt100::Screen) -> bool {
    hot_cells(screen) > 200
}

fn look(name: &str, days: i64, bar: Interval, ranges: &[&str]) {
    let (dir, _kept) = store(name, days, bar);
    for range in ranges {
        let mut times = Vec::new();
        for _ in 0..5 {
            let (mut terminal, begun) = open(&dir, range);
            terminal.wait("a full picture", is_full);
            times.push(begun.elapsed());
            let [rss, most] = memory(terminal.pid());
            if times.len() == 5 {
                times.sort_unstable();
                eprintln!(
                    "{name} {range}: first full picture after {:?} to {:?}, {rss:.0} MB, at most {most:.0} MB",
                    times[0], times[4]
                );
            }
            terminal.press("q");
            terminal.ended();
        }
    }
    let (mut terminal, _) = open(&dir, "12h");
    terminal.wait("a full picture", is_full);
    for key in ["r"; 8].into_iter().chain(["R"; 8]) {
        terminal.press(key);
        let before = terminal.text();
        let begun = Instant::now();
        // Another range, or a moment without one at the end of the row.
        while terminal.text() == before && begun.elapsed() < Duration::from_secs(2) {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        std::thread::park_timeout(Duration::from_millis(500));
        let text = terminal.text();
        let [rss, most] = memory(terminal.pid());
        let line: String = text.lines().next().unwrap_or_default().chars().take(40).collect();
        let hot = hot_cells(terminal.screen.lock().unwrap().screen());
        eprintln!("{name} {key}: {line}: {hot} hot cells, {rss:.0} MB, at most {most:.0} MB");
    }
    terminal.press("q");
    assert_eq!(terminal.ended(), 0);
}

#[test]
#[ignore = "a measurement; release build"]
fn first_picture_of_a_month() {
    look("month", 30, Interval::M1, &["24h", "30d"]);
}

#[test]
#[ignore = "a measurement; release build"]
fn first_picture_of_a_year() {
    look("year", 365, Interval::M5, &["24h", "1y"]);
}

#[test]
#[ignore = "a measurement; release build"]
fn first_picture_of_the_demo() {
    let mut times = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        let mut terminal = Terminal::start(&["demo", "--seed", "3"], 50, 160);
        terminal.wait("a full picture", is_full);
        times.push(begun.elapsed());
        terminal.press("q");
        terminal.ended();
    }
    times.sort_unstable();
    eprintln!("demo: first full picture after {:?} to {:?}", times[0], times[4]);
}
