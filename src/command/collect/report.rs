//! How collecting goes, in a line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::json;

use super::Lane;
use super::turns::Turns;
use crate::engine::headless::Summary;
use crate::engine::snapshot::LinkState;
use crate::market::Asset;
use crate::store::WriterStatus;

/// Writes one line for all assets: words on standard error, or an object on standard output.
pub fn tell(lanes: &[Lane], turns: &Turns, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let mut out = std::io::stdout().lock();
        serde_json::to_writer(&mut out, &object(lanes, turns)).map_err(std::io::Error::from)?;
        out.write_all(b"\n")?;
        out.flush()?;
    } else {
        let at = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let state = |lane: &Lane| State {
            asset: lane.asset,
            summary: lane.summary.borrow().clone(),
            status: lane.writing.status(),
            waits: turns.waits(lane.asset),
        };
        let states: Vec<State> = lanes.iter().map(state).collect();
        writeln!(std::io::stderr(), "{}", words(&at, &states))?;
    }
    Ok(())
}

/// A line of words is no longer than this where it can be helped, columns.
const WIDTH: usize = 160;
/// A venue whose frames come this much later than they were sent is behind, ms.
const BEHIND: i64 = 5_000;

/// How one asset does at a moment.
struct State {
    asset: Asset,
    summary: Summary,
    status: WriterStatus,
    /// Whether it has not begun yet, for others fetch their history.
    waits: bool,
}

/// What all assets have together; and what is not as it should be, each trouble with those that have it.
fn words(at: &str, states: &[State]) -> String {
    let venues = || states.iter().flat_map(|state| &state.summary.venues);
    let live = venues().filter(|v| v.status.state == LinkState::Live).count();
    let sum = |of: fn(&State) -> u64| states.iter().map(of).sum::<u64>();
    let waiting = match states.iter().filter(|state| state.waits).count() {
        0 => String::new(),
        waiting => format!(" ({waiting} wait to begin)"),
    };
    let mut line = format!(
        "{at} · {} {}{waiting}, {live}/{} venues live, {} events; kept {} columns, {} liquidations, {:.1} MB",
        states.len(),
        if states.len() == 1 { "asset" } else { "assets" },
        venues().count(),
        sum(|state| state.summary.events),
        sum(|state| state.status.written.columns),
        sum(|state| state.status.written.liquidations),
        sum(|state| state.status.bytes) as f64 / 1e6,
    );
    let troubles = troubles(states);
    for (n, (trouble, assets)) in troubles.iter().enumerate() {
        let told = format!(" · {trouble}: {}", in_short(assets));
        // The first is told at any length: it is the worst.
        if n > 0 && line.chars().count() + told.chars().count() > WIDTH - " · and 9 more".len() {
            // A text never refuses to be written to.
            let _ = write!(line, " · and {} more", troubles.len() - n);
            break;
        }
        line.push_str(&told);
    }
    line
}

/// Some of the assets, and how many more there are.
fn in_short(assets: &[Asset]) -> String {
    const SHOWN: usize = 5;
    let named: Vec<&str> = assets.iter().take(SHOWN).map(Asset::as_str).collect();
    match assets.len().saturating_sub(SHOWN) {
        0 => named.join(" "),
        more => format!("{} +{more}", named.join(" ")),
    }
}

/// What is not as it should be, the worst first, and which assets have it.
fn troubles(states: &[State]) -> Vec<(String, Vec<Asset>)> {
    let mut all: BTreeMap<(u8, String), Vec<Asset>> = BTreeMap::new();
    for State { asset, summary, status, waits } in states {
        let mut add = |rank, trouble: String| {
            let assets = all.entry((rank, trouble)).or_default();
            // Two of its venues may have the same.
            if assets.last() != Some(asset) {
                assets.push(*asset);
            }
        };
        if let Some(trouble) = &status.trouble {
            add(0, format!("NOT WRITING ({trouble})"));
        }
        if status.dropped > 0 {
            add(1, "records given up".to_owned());
        }
        if status.written.conflicts > 0 {
            add(2, "columns came otherwise again".to_owned());
        }
        for venue in summary.venues.iter().filter(|_| !waits) {
            let is_live = venue.status.state == LinkState::Live;
            if !is_live {
                // No trouble to speak of where a venue has no such contract.
                add(
                    if venue.status.state == LinkState::Ended { 6 } else { 3 },
                    format!("{} {}", venue.venue, word(&venue.status.state)),
                );
            }
            if is_live && venue.status.lag_ms.is_some_and(|lag| lag > BEHIND) {
                add(4, format!("{} behind", venue.venue));
            }
            if venue.status.counters.uncaptured > 0 {
                add(1, "frames not captured".to_owned());
            }
            if venue.status.counters.gaps > 0 {
                add(5, format!("{} had gaps", venue.venue));
            }
        }
    }
    all.into_iter().map(|((_, trouble), assets)| (trouble, assets)).collect()
}

fn object(lanes: &[Lane], turns: &Turns) -> serde_json::Value {
    let assets = lanes.iter().map(|lane| {
        let summary = lane.summary.borrow();
        let status = lane.writing.status();
        let w = status.written;
        let venues: Vec<_> = summary.venues.iter().map(|v| {
            json!({
                "venue": v.venue, "state": word(&v.status.state), "note": v.status.note, "lag_ms": v.status.lag_ms,
                "mark": v.mark, "oi_usd": v.oi_usd, "frames": v.status.counters.frames, "malformed": v.status.counters.malformed,
                "gaps": v.status.counters.gaps, "uncaptured": v.status.counters.uncaptured, "restored_until": v.course.restored, "live_since": v.course.live,
                "overlaps": v.course.overlaps,
            })
        }).collect();
        json!({
            "asset": lane.asset, "waits": turns.waits(lane.asset), "now": summary.now, "events": summary.events, "venues": venues,
            "store": {
                "bytes": status.bytes, "columns": w.columns, "liquidations": w.liquidations, "open_interest": w.open_interest,
                "funding": w.funding, "checkpoints": w.checkpoints, "repeats": w.repeats, "conflicts": w.conflicts,
                "held": status.held, "dropped": status.dropped, "trouble": status.trouble,
            },
        })
    });
    let ts = jiff::Timestamp::now().as_millisecond();
    json!({ "v": 1, "type": "collect", "ts": ts, "assets": assets.collect::<Vec<_>>() })
}

/// What a feed is doing, in one word.
fn word(state: &LinkState) -> &'static str {
    match state {
        LinkState::Connecting => "connecting",
        LinkState::Backfilling => "backfilling",
        LinkState::Live => "live",
        LinkState::Silent { .. } => "silent",
        LinkState::Reconnecting { .. } => "reconnecting",
        LinkState::Blocked => "blocked",
        LinkState::Recorded => "recorded",
        LinkState::Ended => "not_listed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::headless::VenueSummary;
    use crate::engine::snapshot::{Course, VenueStatus};

    const AT: &str = "2026-11-22T22:00:00Z";

    fn state(asset: &str, links: [LinkState; 4]) -> State {
        let venues = ["binance", "bybit", "okx", "hyperliquid"].map(|name| name.parse().unwrap());
        let venues = venues.into_iter().zip(links).map(|(venue, state)| VenueSummary {
            venue,
            status: VenueStatus { state, ..VenueStatus::new(venue) },
            mark: None,
            oi_usd: None,
            course: Course::default(),
        });
        let summary = Summary { now: 1, events: 1_000, venues: venues.collect() };
        let mut status = WriterStatus { bytes: 1_500_000, ..WriterStatus::default() };
        (status.written.columns, status.written.liquidations) = (40, 3);
        State { asset: asset.parse().unwrap(), summary, status, waits: false }
    }

    fn live() -> [LinkState; 4] {
        [const { LinkState::Live }; 4]
    }

    #[test]
    fn where_all_is_well_there_are_totals_alone() {
        let states = ["BTC", "ETH"].map(|asset| state(asset, live()));
        assert_eq!(
            words(AT, &states),
            format!("{AT} · 2 assets, 8/8 venues live, 2000 events; kept 80 columns, 6 liquidations, 3.0 MB")
        );
        assert!(words(AT, &states[..1]).contains("· 1 asset, 4/4 venues live,"));
    }

    #[test]
    fn who_waits_to_begin_is_counted_and_no_trouble() {
        let mut states = ["BTC", "ETH", "SOL"].map(|asset| state(asset, live()));
        for state in &mut states[1..] {
            state.waits = true;
            state.summary.venues.iter_mut().for_each(|v| v.status.state = LinkState::Connecting);
        }
        let line = words(AT, &states);
        assert!(
            line.starts_with(&format!("{AT} · 3 assets (2 wait to begin), 4/12 venues live, ")),
            "{line}"
        );
        assert!(!line.contains("connecting"), "{line}");
    }

    #[test]
    fn twenty_assets_in_trouble_are_told_in_one_line_the_worst_first() {
        let mut states: Vec<State> = (0..20).map(|n| state(&format!("COIN{n}"), live())).collect();
        for state in &mut states[3..] {
            state.summary.venues[3].status.state = LinkState::Silent { stream: "bbo".to_owned() };
            state.summary.venues[1].status.counters.gaps = 2;
        }
        states[7].status.trouble = Some("no space left".to_owned());
        states[8].summary.venues[0].status.lag_ms = Some(5_001);
        states[9].summary.venues[2].status.state = LinkState::Blocked;
        let line = words(AT, &states);
        assert!(line.contains(", 62/80 venues live,"), "{line}");
        let troubles = line.split(" · ").skip(2).collect::<Vec<_>>();
        assert_eq!(troubles[0], "NOT WRITING (no space left): COIN7", "{line}");
        assert!(troubles.last().unwrap().starts_with("and "), "{line}");
        assert!(line.chars().count() <= WIDTH, "{} columns: {line}", line.chars().count());
        let all = super::troubles(&states);
        let told: Vec<String> =
            all.iter().map(|(what, assets)| format!("{what}: {}", in_short(assets))).collect();
        assert_eq!(
            told,
            [
                "NOT WRITING (no space left): COIN7",
                "hyperliquid silent: COIN3 COIN4 COIN5 COIN6 COIN7 +12",
                "okx blocked: COIN9",
                "binance behind: COIN8",
                "bybit had gaps: COIN3 COIN4 COIN5 COIN6 COIN7 +12",
            ]
        );
    }
}
