//! The headless commands of the real binary: output, exit codes, complaints.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use meltline::market::ndjson::write_event;

use crate::support::{mark, open_interest, trade};

pub fn meltline(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meltline"));
    command
        .args(args)
        .env_remove("MELTLINE_CONFIG")
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn run(args: &[&str]) -> Output {
    meltline(args).output().unwrap()
}

/// Two hours of a market that rises by a fixed rule, one event a second, written as NDJSON.
pub fn recording(dir: &tempfile::TempDir) -> PathBuf {
    let path = dir.path().join("events.ndjson");
    let mut file = std::fs::File::create(&path).unwrap();
    for second in 0..7_200_i64 {
        let ts = 1_718_755_200_000 + second * 1_000;
        let price = 60_000.0 + (second % 600) as f64;
        write_event(&mut file, &trade(ts, price, 1.0)).unwrap();
        write_event(&mut file, &mark(ts, price)).unwrap();
        if second % 5 == 0 {
            write_event(&mut file, &open_interest(ts, 10_000.0 + second as f64 / 10.0)).unwrap();
        }
    }
    path
}

#[test]
fn a_series_has_one_map_at_each_whole_hour_from_what_was_known_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = recording(&dir);
    let out = run(&["levels", "btc", "--input", path.to_str().unwrap(), "--every", "1h", "--format", "json"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let lines: Vec<serde_json::Value> =
        text(&out.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    // 00:00:00Z to 01:59:59Z: the map at 01:00; the one at 02:00 needs an event at 01:59:59.999 or later.
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["ts"], 1_718_758_800_000_i64);
    assert_eq!(lines[0]["mark"], "60599", "the mark of 00:59:59, not of 01:00:00");
    assert!(lines[0]["levels"].as_array().unwrap().len() > 500);
    // The same map by --at.
    let at = run(&[
        "levels",
        "BTC",
        "--input",
        path.to_str().unwrap(),
        "--at",
        "2024-06-19T01:00:00Z",
        "--format",
        "json",
    ]);
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&at.stdout).unwrap(), lines[0]);
}

#[test]
fn every_form_of_levels_tells_the_same_market() {
    let dir = tempfile::tempdir().unwrap();
    let path = recording(&dir);
    let levels = |form: &str| {
        let out =
            run(&["levels", "BTC", "--input", path.to_str().unwrap(), "--format", form, "--within", "5%"]);
        assert!(out.status.success(), "{}", text(&out.stderr));
        text(&out.stdout)
    };
    let json: serde_json::Value = serde_json::from_str(&levels("json")).unwrap();
    let rows = json["levels"].as_array().unwrap();
    let csv = levels("csv");
    assert_eq!(csv.lines().count(), rows.len() + 1);
    let (header, first) = (csv.lines().next().unwrap(), csv.lines().nth(1).unwrap());
    assert_eq!(
        header,
        "ts,asset,side,price_low,price_high,usd,usd_low,usd_high,position_usd,measured_usd,\
         tier_low_usd,tier_5x_usd,tier_10x_usd,tier_25x_usd,tier_50x_usd,tier_100x_usd,venues",
        "as docs/FORMATS.md has it, each name once"
    );
    let by_name: BTreeMap<_, _> = header.split(',').zip(first.split(',')).collect();
    for (name, of) in [("usd_low", &rows[0]["usd_low"]), ("tier_low_usd", &rows[0]["tiers"]["low"])] {
        assert_eq!(by_name[name].parse::<f64>().unwrap(), of.as_f64().unwrap(), "{name}");
    }
    let total: f64 = rows.iter().filter(|l| l["side"] == "long").map(|l| l["usd"].as_f64().unwrap()).sum();
    assert!((total - json["totals"]["long_usd"].as_f64().unwrap()).abs() < 0.01);
    for row in rows {
        let tiers: f64 = row["tiers"].as_object().unwrap().values().map(|v| v.as_f64().unwrap()).sum();
        assert!((tiers - row["usd"].as_f64().unwrap()).abs() < 0.04, "{row}");
        assert!(row["price_low"].as_str().unwrap().parse::<f64>().unwrap() >= 60_599.0 * 0.949);
    }
    let table = levels("table");
    assert!(table.contains("estimated liquidation levels"));
    let glass: serde_json::Value = serde_json::from_str(&levels("coinglass")).unwrap();
    let prices = glass["y_axis"].as_array().unwrap().len();
    let candles = glass["price_candlesticks"].as_array().unwrap();
    assert_eq!(candles.len(), 119, "one candle a closed minute");
    assert_eq!(candles[0][0], 1_718_755_200);
    for cell in glass["liquidation_leverage_data"].as_array().unwrap() {
        assert!(cell[0].as_u64().unwrap() < 119 && (cell[1].as_u64().unwrap() as usize) < prices);
    }
}

#[test]
fn tap_gives_back_what_it_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = recording(&dir);
    let out = run(&["tap", "BTC", "--input", path.to_str().unwrap()]);
    assert!(out.status.success());
    assert_eq!(text(&out.stdout), std::fs::read_to_string(path).unwrap());
}

#[test]
fn tap_pipes_into_levels() {
    let dir = tempfile::tempdir().unwrap();
    let path = recording(&dir);
    let mut child = meltline(&["levels", "BTC", "--input", "-", "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(path).unwrap()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success());
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&out.stdout).unwrap()["asset"], "BTC");
}

#[test]
fn broken_lines_are_named_and_the_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mixed.ndjson");
    let good =
        r#"{"v":1,"type":"trade","venue":"test","asset":"BTC","ts":1,"price":"5","qty":"1","taker":"buy"}"#;
    std::fs::write(
        &path,
        format!("{good}\nnot json\n{good}\n{{\"v\":1,\"type\":\"weather\",\"venue\":\"x\"}}\n"),
    )
    .unwrap();
    let out = run(&["tap", "BTC", "--input", path.to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(0));
    assert_eq!(text(&out.stdout).lines().count(), 2);
    let told = text(&out.stderr);
    assert!(told.contains("mixed.ndjson:2:"), "{told}");
    assert!(told.contains("2 usable lines, 1 of unknown type, 1 broken"), "{told}");
}

#[test]
fn a_file_with_nothing_usable_fails_with_1_and_wrong_usage_with_2() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("empty.ndjson");
    std::fs::write(&path, "hello\n").unwrap();
    assert_eq!(run(&["tap", "BTC", "--input", path.to_str().unwrap()]).status.code(), Some(1));
    let missing = run(&["levels", "BTC", "--input", "/no/such/file"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("/no/such/file"));
    assert_eq!(run(&["levels"]).status.code(), Some(2));
    assert_eq!(run(&["levels", "BTC", "--within", "200%"]).status.code(), Some(2));
    assert_eq!(run(&["--help"]).status.code(), Some(0));
}

/// Runs a command whose reader goes away, which is success.
pub fn assert_reader_may_go(args: &[&str]) {
    let mut child = meltline(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
}

#[test]
fn a_reader_that_goes_away_is_success() {
    let dir = tempfile::tempdir().unwrap();
    assert_reader_may_go(&["tap", "BTC", "--input", recording(&dir).to_str().unwrap()]);
}

#[test]
fn a_bad_configuration_names_file_line_and_nearest_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.toml");
    std::fs::write(&path, "asset = \"BTC\"\nrang = \"24h\"\n").unwrap();
    let out = run(&["--config", path.to_str().unwrap(), "tap", "BTC"]);
    assert_eq!(out.status.code(), Some(1));
    let told = text(&out.stderr);
    assert!(told.contains("bad.toml") && told.contains("line 2") && told.contains("`range`"), "{told}");
}

#[test]
fn the_screen_refuses_a_pipe_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let path = recording(&dir);
    let out = run(&["replay", path.to_str().unwrap(), "--data-dir", dir.path().to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("terminal"), "{}", text(&out.stderr));
}

/// A program that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// OKX takes three sockets a second from an address (exchanges.md §1.5), and its simulator holds to that.
#[test]
fn doctor_does_not_ask_too_much_of_a_venue_by_trying_it_and_watching_it() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("sim.toml");
    let config = config.to_str().unwrap();
    let mut sim = Ends(meltline(&["sim", "--write-config", config]).stdout(Stdio::piped()).spawn().unwrap());
    let mut ready = String::new();
    BufReader::new(sim.0.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    assert_eq!(ready, "ready\n");
    let data = dir.path().to_str().unwrap();
    let doctor = ["--config", config, "--data-dir", data, "--venues", "okx", "doctor", "--watch", "2"];
    // A slow machine may take several tries to have anything to watch, or take two seconds for one.
    let mut told = String::new();
    let fine = (0..6).any(|_| {
        told = text(&run(&doctor).stdout);
        told.contains("delivers") && told.contains("ws/v5/business in ") && !told.contains("slow down")
    });
    assert!(fine, "{told}");
}

#[test]
fn the_service_and_the_container_call_the_program_as_it_is() {
    use clap::Parser;
    use meltline::cli::{Cli, Command};
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("contrib");
    let service = std::fs::read_to_string(root.join("meltline-collect.service")).unwrap();
    let value = |key: &str| service.lines().find_map(|l| l.strip_prefix(key)).unwrap().trim_matches('"');
    let (assets, call) = (value("Environment=\"ASSETS="), value("ExecStart=%h/.cargo/bin/"));
    let container = std::fs::read_to_string(root.join("Containerfile")).unwrap();
    let list = |key: &str| -> Vec<String> {
        serde_json::from_str(container.lines().find_map(|l| l.strip_prefix(key)).unwrap()).unwrap()
    };
    let service: Vec<String> = call.replace("$ASSETS", assets).split(' ').map(str::to_owned).collect();
    let container = [list("ENTRYPOINT "), list("CMD ")].concat();
    for words in [service, container] {
        let Some(Command::Collect(args)) = Cli::try_parse_from(&words).unwrap().command else {
            panic!("{words:?} does not collect");
        };
        assert_eq!(args.assets.len(), 3, "{words:?}");
    }
}
