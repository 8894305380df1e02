//! What the whole program writes to a terminal of 200×60 on a fixed recording: the budgets of `docs/TERMINAL.md`, measured in a pty.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use meltline::market::Interval;
use meltline::market::event::{EventKind, MarketEvent};
use meltline::market::ndjson::{parse_line, write_event};
use meltline::sim::Scenario;
use meltline::sim::record::{RecordConfig, START_MS, record};
use meltline::sim::venue::VenueId;
use tokio_util::sync::CancellationToken;

use crate::support::candle;
use crate::terminal::{PATIENCE, Terminal, hot_cells};

const MINUTE: i64 = 60_000;
/// Minutes of history, up to a minute before a column of the screen (12 minutes at this size) is full.
const HISTORY: i64 = 23 * 60 + 47;
/// Minutes that follow, second by second.
const PACED: i64 = 2;

/// Most of a day of the simulated market on four venues in candles, then two minutes of every trade; the same every time.
static SIMULATED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let all = dir.path().join("all.ndjson");
    let config = RecordConfig {
        scenario: Scenario::Base,
        seed: 7,
        coins: vec!["BTC".to_owned()],
        venues: VenueId::ALL.to_vec(),
        seconds: Some((HISTORY + PACED) * 60),
        events: all.clone(),
        truth: None,
    };
    record(&config, &CancellationToken::new()).unwrap();
    let mut events = Vec::new();
    let mut bars: BTreeMap<(String, i64), [f64; 5]> = BTreeMap::new();
    let mut told: BTreeMap<(String, &'static str), i64> = BTreeMap::new();
    for line in BufReader::new(File::open(&all).unwrap()).lines() {
        let event = parse_line(&line.unwrap()).unwrap();
        let minute = event.ts.div_euclid(MINUTE);
        let venue = event.venue.to_string();
        // Of the history a bar a minute, and of what has a state the first of a minute.
        let kind = match &event.kind {
            _ if event.ts >= START_MS + HISTORY * MINUTE => "",
            EventKind::Trade(t) => {
                let (price, qty) = (t.price.to_f64(), t.qty.to_f64());
                let bar = bars.entry((venue, minute)).or_insert([price, price, price, price, 0.0]);
                *bar = [bar[0], bar[1].max(price), bar[2].min(price), price, bar[4] + qty];
                continue;
            }
            EventKind::Mark(_) => "mark",
            EventKind::OpenInterest(_) => "open interest",
            _ => "",
        };
        if kind.is_empty() || told.insert((venue, kind), minute) != Some(minute) {
            events.push(event);
        }
    }
    for ((venue, minute), bar) in bars {
        events.push(MarketEvent {
            venue: venue.parse().unwrap(),
            ..candle(minute * MINUTE, Interval::M1, bar)
        });
    }
    events.sort_by_key(MarketEvent::known_at);
    let mut bytes = Vec::new();
    for event in &events {
        write_event(&mut bytes, event).unwrap();
    }
    bytes
});

/// The recording in a file.
pub fn recording(dir: &Path) -> PathBuf {
    let path = dir.join("events.ndjson");
    std::fs::write(&path, &*SIMULATED).unwrap();
    path
}

/// Arguments of a replay of the recording: 16 steps of true colour, the second part at a speed.
pub fn replay(dir: &Path, scroll: &str, speed: u32) -> Vec<String> {
    let config = dir.join(format!("{scroll}.toml"));
    let screen = format!("[screen]\ncolour = \"true\"\ncolour_steps = 16\nscroll = \"{scroll}\"\nfps = 10\n");
    std::fs::write(&config, screen).unwrap();
    let from = START_MS + HISTORY * MINUTE;
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

/// The time of day in the status line, seconds; nothing before there is one.
fn clock(screen: &vt100::Screen) -> Option<u32> {
    let row = screen.rows(0, 200).next()?;
    let time = row.trim_end().trim_end_matches('Z').rsplit(' ').next()?;
    time.split(':').try_fold(0, |sum, part| Some(60 * sum + part.parse::<u32>().ok()?))
}

/// What is measured of the recording, time of day in seconds: 23:47:20 to 23:49:00.
const MEASURED: (u32, u32) = ((23 * 60 + 47) * 60 + 20, (23 * 60 + 49) * 60);

/// Bytes of the frames of a run by what they brought.
#[derive(Debug, Default)]
struct Cost {
    full: Vec<usize>,
    scrolled: Vec<usize>,
    /// The venues' columns closed, and with them the newest pixels.
    closed: Vec<usize>,
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
            let now = clock(parser.screen());
            // The first seconds belong to the history before them, the last say that it has ended.
            let is_paced = then >= Some(MEASURED.0) && now < Some(MEASURED.1);
            // Two seconds after a minute its columns close.
            let minute = |time: Option<u32>| time.map(|time| (time - 2) / 60);
            let kind = if !is_paced {
                &mut cost.full
            } else if times(parser.screen()) != before {
                &mut cost.scrolled
            } else if minute(then) != minute(now) {
                &mut cost.closed
            } else {
                &mut cost.live
            };
            kind.push(frame.len());
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
    let mut sorted = cost.live.clone();
    sorted.sort_unstable();
    let usual = sorted[sorted.len() * 9 / 10];
    eprintln!(
        "scroll by {scroll}: full {}, new column {:?}, columns closed {:?}, live {} frames, mean {mean}, nine of ten up to {usual}, most {}, idle 0",
        most(&cost.full),
        cost.scrolled,
        cost.closed,
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
    assert!(cost.scrolled.len() == 1 && !cost.closed.is_empty() && cost.live.len() > 30, "{cost:?}");
    assert!(most(&cost.full) <= 40_000, "full: {:?}", cost.full);
    assert!(most(&cost.scrolled) <= new_column, "new column: {:?}", cost.scrolled);
    assert!(most(&cost.closed) <= 4_000, "columns closed: {:?}", cost.closed);
    // A frame that comes late on a busy machine brings more: the budget is for the usual one.
    assert!(usual <= 600 && most(&cost.live) <= 3_000, "live: {:?}", cost.live);
}

#[test]
fn by_differences_the_budgets_hold() {
    measure("diff", 17_000);
}

#[test]
fn by_shifted_rows_a_new_column_is_cheap() {
    measure("shift", 4_000);
}
