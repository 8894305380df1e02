//! `collect` against simulated exchanges: killed at any moment it loses at most the last second, and what it kept stays as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use meltline::feed::recording::Recording;
use meltline::market::{EventKind, Liquidation, MarketEvent, Venue};
use meltline::store::read::ColumnKey;
use meltline::store::{Reader, StorePath};
use serde_json::Value;

/// Nothing takes this long; it only keeps a failing test from hanging.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn meltline(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meltline"));
    command.args(args).stdin(Stdio::null()).stderr(Stdio::null());
    for name in ["MELTLINE_CONFIG", "MELTLINE_DATA_DIR", "MELTLINE_VENUES", "MELTLINE_CAPTURE"] {
        command.env_remove(name);
    }
    command
}

/// The lines a child says, as they come.
pub fn lines(child: &mut Child) -> Receiver<String> {
    let (to, from) = channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| to.send(line)));
    from
}

/// Exchanges that run fast, and a configuration that points at them and keeps everything.
pub fn exchanges(dir: &Path, speed: &str) -> Running {
    let config = dir.join("config.toml");
    let mut command = meltline(&["sim", "--scenario", "cascade", "--speed", speed, "--write-config"]);
    let mut child = command.arg(&config).stdout(Stdio::piped()).spawn().unwrap();
    let told = lines(&mut child);
    let child = Running(child);
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "ready");
    let text = std::fs::read_to_string(&config).unwrap();
    let changed = text
        .replace("minute_hours = 6", "minute_hours = 8760")
        .replace("backfill_hours = 48", "backfill_hours = 1");
    assert_ne!(text, changed);
    std::fs::write(&config, changed).unwrap();
    child
}

pub fn collect(dir: &Path, capture: &Path) -> (Running, Receiver<String>) {
    let mut command =
        meltline(&["collect", "BTC", "--venues", "binance,bybit", "--status-json", "--status-every", "1"]);
    command.arg("--config").arg(dir.join("config.toml")).arg("--data-dir").arg(dir.join("data"));
    // What it complains about is shown when the test fails.
    command.stderr(Stdio::inherit());
    let mut child = command.arg("--capture").arg(capture).stdout(Stdio::piped()).spawn().unwrap();
    let told = lines(&mut child);
    (Running(child), told)
}

/// Waits for a status that pleases.
pub fn until(told: &Receiver<String>, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let line = told.recv_timeout(PATIENCE).expect("the status did not come");
        let status: Value = serde_json::from_str(&line).unwrap();
        if wanted(&status["assets"][0]) {
            return status["assets"][0].clone();
        }
    }
}

pub fn is_live(asset: &Value) -> bool {
    let live = |v: &Value| v["state"] == "live" && v["live_since"].is_i64();
    asset["venues"].as_array().unwrap().iter().all(live)
}

fn now_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64
}

fn captured(dir: &Path) -> Vec<MarketEvent> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let mut recording = Recording::open_all(&files, Some("BTC".parse().unwrap())).unwrap();
    let mut events = Vec::new();
    while let Some(batch) = recording.next_batch().unwrap() {
        events.extend(batch);
    }
    events
}

pub fn store(dir: &Path) -> Reader {
    let at = StorePath::new(&dir.join("data"), "BTC".parse().unwrap());
    Reader::open(&at).unwrap().expect("a store")
}

fn counted(liquidations: impl Iterator<Item = (Venue, i64, Liquidation)>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (venue, ts, l) in liquidations {
        *counts.entry(format!("{venue} {ts} {l:?}")).or_default() += 1;
    }
    counts
}

/// Kills the collector again and again, on exchanges of a speed, and looks at what is left after each time.
fn kill(times: u32, lost_ns: i64, speed: &str) {
    let dir = tempfile::tempdir().unwrap();
    let _exchanges = exchanges(dir.path(), speed);
    let mut before: BTreeSet<ColumnKey> = BTreeSet::new();
    let (mut state, mut received, mut checked) = (88_172_645_463_325_252_u64, BTreeMap::new(), 0);
    for time in 0..times {
        let capture = dir.path().join(format!("capture{time}"));
        let (mut collector, told) = collect(dir.path(), &capture);
        until(&told, is_live);
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Killed at a moment of chance, not when a condition holds: that is what is tried.
        // Later than what may be lost, or there would be nothing to look for.
        let moment = Duration::from_nanos(lost_ns as u64) + Duration::from_millis(1_000 + state % 2_500);
        let end = Instant::now() + moment;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            let waited = told.recv_timeout(left);
            assert_ne!(waited, Err(RecvTimeoutError::Disconnected), "the collector ended by itself");
        }
        let at = now_ns();
        collector.0.kill().unwrap();
        collector.0.wait().unwrap();

        let reader = store(dir.path());
        let keys = reader.column_keys().unwrap();
        let after: BTreeSet<ColumnKey> = keys.iter().copied().collect();
        assert_eq!(after.len(), keys.len());
        let names: BTreeSet<_> = keys.iter().map(|k| (k.venue, k.interval, k.start)).collect();
        assert_eq!(names.len(), keys.len(), "no column twice");
        assert!(after.is_superset(&before), "a closed column changed or is gone after kill {time}");
        before = after;
        let stored = reader.liquidations(0, i64::MAX).unwrap();
        let stored = counted(stored.into_iter().map(|r| (r.venue, r.ts, r.liquidation)));
        let slots: BTreeSet<(Venue, i64)> =
            reader.open_interest(0, i64::MAX).unwrap().iter().map(|r| (r.venue, r.ts / 5_000)).collect();
        let events = captured(&capture);
        let is_old = |e: &&MarketEvent| e.recv.is_some_and(|recv| recv <= at - lost_ns);
        for event in events.iter().filter(is_old) {
            if matches!(event.kind, EventKind::OpenInterest(_)) {
                checked += 1;
                let before_ms = event.recv.map(|recv| (at - recv) / 1_000_000);
                assert!(
                    slots.contains(&(event.venue, event.ts / 5_000)),
                    "missing after kill {time}, received {before_ms:?} ms before: {event:?}"
                );
            }
        }
        let prints = |events: &mut dyn Iterator<Item = &MarketEvent>| {
            let of = |e: &MarketEvent| match &e.kind {
                EventKind::Liquidation(l) => Some((e.venue, e.ts, *l)),
                _ => None,
            };
            counted(events.filter_map(of))
        };
        for (one, count) in prints(&mut events.iter().filter(is_old)) {
            checked += count;
            assert!(stored.get(&one).is_some_and(|kept| *kept >= count), "missing after kill {time}: {one}");
        }
        for (one, count) in prints(&mut events.iter()) {
            let most = received.entry(one).or_insert(0);
            *most = count.max(*most);
        }
        for (one, count) in &stored {
            // The capture may lack the last second that the store has.
            if let Some(most) = received.get(one) {
                assert!(count <= most, "kept more often than it came: {one}");
            }
        }
        assert_eq!(reader.damaged(), 0);
        assert!(reader.checkpoint().unwrap().is_none_or(|c| c.now > 0));
        eprintln!("kill {time}: {} columns, {} liquidations", keys.len(), stored.len());
    }
    assert!(checked > 0, "there was something to lose");
}

#[test]
fn a_killed_collector_loses_at_most_the_last_moments() {
    // A machine that runs other tests beside may take its time between a socket and the disk; the long run below allows none of it.
    kill(3, 3_000_000_000, "10");
}

#[test]
#[ignore = "takes long: MELTLINE_KILLS tells how often"]
fn killed_many_times_it_loses_at_most_a_second_each() {
    let times = std::env::var("MELTLINE_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(200);
    kill(times, 1_000_000_000, "20");
}

#[test]
fn it_goes_on_where_it_stopped_and_the_second_one_is_told_who_writes() {
    let dir = tempfile::tempdir().unwrap();
    let _exchanges = exchanges(dir.path(), "20");
    let (mut first, told) = collect(dir.path(), &dir.path().join("one"));
    until(&told, |asset| is_live(asset) && asset["store"]["columns"].as_i64() > Some(0));
    let mut second = meltline(&["collect", "BTC"]);
    second.arg("--config").arg(dir.path().join("config.toml")).arg("--data-dir").arg(dir.path().join("data"));
    let refused = second.stderr(Stdio::piped()).output().unwrap();
    let words = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(words.contains(&format!("is being written by process {}", first.0.id())), "{words}");

    let pid = rustix::process::Pid::from_child(&first.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(first.0.wait().unwrap().success(), "a graceful stop is no failure");
    let reader = store(dir.path());
    let checkpoint = reader.checkpoint().unwrap().expect("the state was kept");
    let keys = reader.column_keys().unwrap();
    drop(reader);

    let (mut again, told) = collect(dir.path(), &dir.path().join("two"));
    let asset = until(&told, |asset| is_live(asset) && asset["store"]["columns"].as_i64() > Some(0));
    for venue in asset["venues"].as_array().unwrap() {
        let restored = venue["restored_until"].as_i64();
        assert!(restored.is_some_and(|until| until >= checkpoint.now - 300_000), "{asset}");
    }
    assert_eq!(asset["store"]["conflicts"], 0);
    again.0.kill().unwrap();
    again.0.wait().unwrap();
    let first_candle = |capture: &str| {
        let events = captured(&dir.path().join(capture));
        events.iter().filter(|e| matches!(e.kind, EventKind::Candle(_))).map(|e| e.ts).min()
    };
    let seen = checkpoint.venues.iter().map(|v| v.seen).min().unwrap();
    assert!(first_candle("one").unwrap() <= seen - 50 * 60_000, "the first run asked for an hour");
    assert!(
        first_candle("two").is_none_or(|first| first >= seen - 60_000),
        "the second one asks for what it has missed"
    );
    let after: BTreeSet<_> = store(dir.path()).column_keys().unwrap().into_iter().collect();
    assert!(keys.iter().all(|key| after.contains(key)));
    assert!(after.len() > keys.len());
}
