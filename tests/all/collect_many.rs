//! Several assets in one collector, over all venues.

use std::process::Stdio;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use meltline::market::{Interval, Venue};
use meltline::store::{Reader, StorePath};
use serde_json::Value;

use crate::collect_killed::{Running, exchanges, is_live, lines, meltline};

/// Nothing takes this long; it only keeps a failing test from hanging.
const PATIENCE: Duration = Duration::from_secs(240);

/// Coins whose contracts the simulator derives.
const ASSETS: [&str; 5] = ["AAVE", "BNB", "DOGE", "LINK", "XRP"];
const VENUES: [&str; 4] = ["binance", "bybit", "okx", "hyperliquid"];

/// Waits until all that is told of the assets pleases.
fn until(told: &Receiver<String>, wanted: impl Fn(&Value) -> bool) {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let line = told.recv_timeout(PATIENCE).expect("the status did not come");
        let status: Value = serde_json::from_str(&line).unwrap();
        let assets = status["assets"].as_array().unwrap();
        assert_eq!(assets.iter().map(|a| a["asset"].as_str().unwrap()).collect::<Vec<_>>(), ASSETS);
        if assets.iter().all(&wanted) {
            return;
        }
    }
    panic!("they do not all come to live");
}

#[test]
fn five_coins_on_four_venues_are_live_together_and_each_has_a_history_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let _exchanges = exchanges(dir.path(), "5");
    let mut command = meltline(&["collect", "--status-json", "--status-every", "1"]);
    command.args(ASSETS.iter().rev()).stderr(Stdio::inherit()).stdout(Stdio::piped());
    command.arg("--config").arg(dir.path().join("config.toml"));
    command.arg("--data-dir").arg(dir.path().join("data"));
    let mut child = command.spawn().unwrap();
    let told = lines(&mut child);
    let mut collector = Running(child);
    until(&told, |asset| {
        is_live(asset)
            && asset["venues"].as_array().unwrap().len() == 4
            && asset["store"]["columns"].as_i64() > Some(240)
    });
    let pid = rustix::process::Pid::from_child(&collector.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(collector.0.wait().unwrap().success());

    let mut marks = Vec::new();
    for name in ASSETS {
        let at = StorePath::new(&dir.path().join("data"), name.parse().unwrap());
        let reader = Reader::open(&at).unwrap().expect("a store");
        for venue in VENUES.map(|venue| venue.parse::<Venue>().unwrap()) {
            let columns = reader.span(venue, Interval::M1).unwrap();
            assert!(
                columns.is_some_and(|(first, last)| last - first >= 50 * 60_000),
                "{name} {venue}: {columns:?}"
            );
        }
        let readings = reader.open_interest(0, i64::MAX).unwrap();
        let mut venues: Vec<String> = readings.iter().map(|r| r.venue.to_string()).collect();
        venues.sort_unstable();
        venues.dedup();
        assert_eq!(venues, ["binance", "bybit", "hyperliquid", "okx"], "{name}");
        let checkpoint = reader.checkpoint().unwrap().expect("a state");
        assert_eq!(checkpoint.venues.len(), 4, "{name}");
        marks.push(readings[0].qty);
    }
    marks.dedup();
    assert_eq!(marks.len(), ASSETS.len(), "no two have the same open interest");
}
