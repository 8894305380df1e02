//! How collecting goes, in a line.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::json;

use super::Lane;
use crate::engine::snapshot::LinkState;
use crate::store::WriterStatus;

/// Writes one line for all assets: words on standard error, or an object on standard output.
pub fn tell(lanes: &[Lane], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let mut out = std::io::stdout().lock();
        serde_json::to_writer(&mut out, &object(lanes)).map_err(std::io::Error::from)?;
        out.write_all(b"\n")?;
        out.flush()?;
    } else {
        writeln!(std::io::stderr(), "{}", words(lanes))?;
    }
    Ok(())
}

fn words(lanes: &[Lane]) -> String {
    let mut line = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    for lane in lanes {
        let summary = lane.summary.borrow();
        let live = summary.venues.iter().filter(|v| v.status.state == LinkState::Live).count();
        let status = lane.writing.status();
        let w = status.written;
        // A text never refuses to be written to.
        let _ = write!(
            line,
            " · {} {live}/{} live, {} events, {} columns and {} liquidations kept, {:.1} MB",
            lane.asset,
            summary.venues.len(),
            summary.events,
            w.columns,
            w.liquidations,
            status.bytes as f64 / 1e6
        );
        line.push_str(&worries(&status));
        for venue in summary.venues.iter().filter(|v| v.status.state != LinkState::Live) {
            let _ = write!(line, ", {} {}", venue.venue, word(&venue.status.state));
        }
    }
    line
}

/// What is not as it should be, if anything.
fn worries(status: &WriterStatus) -> String {
    let mut words = String::new();
    if let Some(trouble) = &status.trouble {
        let _ = write!(words, ", NOT WRITING: {trouble} ({} held)", status.held);
    }
    if status.dropped > 0 {
        let _ = write!(words, ", {} given up", status.dropped);
    }
    if status.written.conflicts > 0 {
        let _ = write!(words, ", {} columns came otherwise again", status.written.conflicts);
    }
    words
}

fn object(lanes: &[Lane]) -> serde_json::Value {
    let assets = lanes.iter().map(|lane| {
        let summary = lane.summary.borrow();
        let status = lane.writing.status();
        let w = status.written;
        let venues: Vec<_> = summary.venues.iter().map(|v| {
            json!({
                "venue": v.venue, "state": word(&v.status.state), "note": v.status.note, "lag_ms": v.status.lag_ms,
                "mark": v.mark, "oi_usd": v.oi_usd, "frames": v.status.counters.frames, "malformed": v.status.counters.malformed,
                "gaps": v.status.counters.gaps, "restored_until": v.course.restored, "live_since": v.course.live,
                "overlaps": v.course.overlaps,
            })
        }).collect();
        json!({
            "asset": lane.asset, "now": summary.now, "events": summary.events, "venues": venues,
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
