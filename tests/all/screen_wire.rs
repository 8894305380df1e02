//! What the whole program writes to a terminal of 200×60 on a fixed recording: the budgets of `docs/TERMINAL.md`, measured in a pty.

use std::fs::File;
use std::io::Write;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use meltline::market::event::{Book, EventKind, MarketEvent};
use meltline::market::ndjson::write_event;
use meltline::market::{Interval, Side};

use crate::support::{candle, event, liquidation, mark, open_interest, price, qty, trade};
use crate::terminal::{PATIENCE, Terminal, hot_cells};

/// 2024-06-18T00:00:00Z.
const START: i64 = 1_718_668_800_000;
const MINUTE: i64 = 60_000;
/// Minutes of history in candles, up to a minute before a column of the screen (12 minutes at this size) is full.
const HISTORY: i64 = 22 * 60 - 1;
/// Seconds that follow, trade by trade.
const SECONDS: i64 = 120;

/// Price at a minute: waves of several lengths.
fn price_at(minute: f64) -> f64 {
    let wave = |length: f64, share: f64| share * (minute / length * std::f64::consts::TAU).sin();
    65_000.0 * (1.0 + wave(700.0, 0.012) + wave(131.0, 0.003))
}

/// Most of a day of three venues in candles and then two minutes second by second, with trades, books and liquidations; the same every time.
pub fn recording(dir: &Path) -> PathBuf {
    let path = dir.join("events.ndjson");
    let mut events: Vec<MarketEvent> = Vec::new();
    for (i, name) in ["binance", "bybit", "okx"].into_iter().enumerate() {
        let share = [1.0, 0.5, 0.3][i];
        let mut add = |e: MarketEvent| events.push(MarketEvent { venue: name.parse().unwrap(), ..e });
        for m in 0..HISTORY {
            let (open, close) = (price_at(m as f64), price_at((m + 1) as f64));
            let (high, low) = (open.max(close) * 1.000_2, open.min(close) * 0.999_8);
            // Trading comes in waves, with a rush now and then.
            let rush = if m % 311 < 12 { 2.0 } else { 0.0 };
            let burst = 2.0 + (m as f64 / 90.0).sin() + rush;
            add(open_interest(
                START + m * MINUTE,
                share * (80_000.0 + 25.0 * ((m % 240) as f64 - 120.0).abs()),
            ));
            add(candle(START + m * MINUTE, Interval::M1, [open, high, low, close, share * 300.0 * burst]));
            add(mark(START + (m + 1) * MINUTE - 1, close));
        }
        let begin = START + HISTORY * MINUTE;
        for s in 0..SECONDS {
            let at = begin + 1_000 * s;
            let now = price_at(HISTORY as f64 + s as f64 / 60.0) * [1.0, 1.000_05, 0.999_96][i];
            for k in 0..3 {
                add(trade(at + 300 * k + 10 * i as i64, now + ((s * 7 + k * 3) % 5 - 2) as f64, share * 0.8));
            }
            add(mark(at, now));
            if s % 5 == 0 {
                add(open_interest(at, share * (80_025.0 + 2.0 * s as f64)));
            }
            let side = |sign: f64| {
                let level = |n: i32| {
                    let size = share * (20.0 + f64::from((n * 7 + s as i32) % 11));
                    (price(now * (1.0 + sign * (0.000_1 + 0.000_25 * f64::from(n)))), qty(size))
                };
                (0..80).map(level).collect()
            };
            add(event(at, EventKind::Book(Box::new(Book { bids: side(-1.0), asks: side(1.0) }))));
            if s % 9 == 3 * i as i64 {
                let position = if s % 2 == 0 { Side::Long } else { Side::Short };
                add(liquidation(at + 5, position, now, share * (0.2 + (s % 13) as f64)));
            }
        }
    }
    events.sort_by_key(MarketEvent::known_at);
    let mut file = std::io::BufWriter::new(File::create(&path).unwrap());
    for event in &events {
        write_event(&mut file, event).unwrap();
    }
    file.flush().unwrap();
    path
}

/// Arguments of a replay of the recording: 16 steps of true colour, the second part at a speed.
pub fn replay(dir: &Path, scroll: &str, speed: u32) -> Vec<String> {
    let config = dir.join(format!("{scroll}.toml"));
    let screen = format!("[screen]\ncolour = \"true\"\ncolour_steps = 16\nscroll = \"{scroll}\"\nfps = 10\n");
    std::fs::write(&config, screen).unwrap();
    let from = START + HISTORY * MINUTE;
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    [
        "replay".to_owned(),
        text(&recording(dir)),
        format!("--from={from}"),
        format!("--speed={speed}"),
        format!("--config={}", text(&config)),
    ]
    .to_vec()
}

/// The frames of a run, each from the beginning of its synchronized update to the end.
fn frames(bytes: &[u8]) -> Vec<&[u8]> {
    const END: &[u8] = b"\x1b[?2026l";
    let mut rest = bytes;
    let mut frames = Vec::new();
    while let Some(end) = rest.windows(END.len()).position(|window| window == END) {
        let (frame, after) = rest.split_at(end + END.len());
        let begin = frame.windows(END.len()).rposition(|window| window == b"\x1b[?2026h").unwrap();
        frames.push(&frame[begin..]);
        rest = after;
    }
    frames
}

/// The row of the time labels.
fn times(screen: &vt100::Screen) -> Option<String> {
    let row = screen.rows(0, 200).find(|row| row.contains('╵') && row.contains("UTC"));
    // Behind them are the scales of the map.
    row.and_then(|row| row.split_once("UTC").map(|(times, _)| times.to_owned()))
}

/// Market time on the screen, `HH:MM:SS`.
fn clock(screen: &vt100::Screen) -> String {
    let row = screen.rows(0, 200).next().unwrap();
    row.trim_end().trim_end_matches('Z').chars().rev().take(8).collect::<Vec<_>>().into_iter().rev().collect()
}

/// Bytes of the frames of a run by what they brought.
#[derive(Debug, Default)]
struct Cost {
    full: Vec<usize>,
    scrolled: Vec<usize>,
    live: Vec<usize>,
}

impl Cost {
    fn of(bytes: &[u8]) -> Self {
        let size = |cells| NonZeroU16::new(cells).unwrap();
        let mut parser = vt100::Parser::new(size(60), size(200), 0);
        let mut cost = Self::default();
        for frame in frames(bytes) {
            let (before, then) = (times(parser.screen()), clock(parser.screen()));
            parser.process(frame);
            // The first seconds belong to the history before them.
            let is_paced = then.as_str() >= "21:59:20" && then.as_str() < "22:10:00";
            if !is_paced {
                cost.full.push(frame.len());
            } else if times(parser.screen()) == before {
                cost.live.push(frame.len());
            } else {
                cost.scrolled.push(frame.len());
            }
        }
        cost
    }
}

fn most(sizes: &[usize]) -> usize {
    sizes.iter().copied().max().unwrap_or(0)
}

/// Plays the recording in a pty to its end, presses keys, and holds what was written to the budgets.
fn measure(scroll: &str, new_column: usize) {
    let dir = tempfile::tempdir().unwrap();
    let args = replay(dir.path(), scroll, 6);
    let mut terminal = Terminal::start(&args.iter().map(String::as_str).collect::<Vec<_>>(), 60, 200);
    terminal.wait("end of the recording", |s| s.contents().contains("ENDED") && hot_cells(s) > 500);
    // Idle: from a moment on nothing is written, for longer than any timer of the screen takes.
    let begun = Instant::now();
    let mut still = (terminal.written(), Instant::now());
    while still.1.elapsed() < Duration::from_secs(3) {
        std::thread::park_timeout(Duration::from_millis(50));
        if terminal.written() != still.0 {
            still = (terminal.written(), Instant::now());
        }
        assert!(begun.elapsed() < PATIENCE, "never idle");
    }
    let cost = Cost::of(&terminal.bytes.lock().unwrap());
    let mean = cost.live.iter().sum::<usize>() / cost.live.len().max(1);
    eprintln!(
        "scroll by {scroll}: full {}, new column {:?}, live {} frames, mean {mean}, most {}, idle 0",
        most(&cost.full),
        cost.scrolled,
        cost.live.len(),
        most(&cost.live)
    );
    let mut answers = Vec::new();
    for _ in 0..10 {
        // Whole frames: a second key before the first is answered would undo it.
        let answered = || frames(&terminal.bytes.lock().unwrap()).len();
        let before = answered();
        let pressed = Instant::now();
        terminal.keys.write_all(b"c").unwrap();
        while answered() == before {
            std::thread::park_timeout(Duration::from_micros(200));
            assert!(pressed.elapsed() < PATIENCE, "no answer to a key");
        }
        answers.push(pressed.elapsed());
    }
    answers.sort();
    eprintln!("key press to bytes: median {:?}, most {:?}", answers[5], answers[9]);
    terminal.press("q");
    assert_eq!(terminal.ended(), 0);
    assert!(cost.scrolled.len() == 1 && cost.live.len() > 30, "{cost:?}");
    assert!(most(&cost.full) <= 40_000, "full: {:?}", cost.full);
    assert!(most(&cost.scrolled) <= new_column, "new column: {:?}", cost.scrolled);
    // A frame that comes late on a busy machine brings more: the budget is for the usual one.
    assert!(mean <= 600 && most(&cost.live) <= 3_000, "live: {:?}", cost.live);
}

#[test]
fn by_differences_the_budgets_hold() {
    measure("diff", 17_000);
}

#[test]
fn by_shifted_rows_a_new_column_is_cheap() {
    measure("shift", 4_000);
}
