//! Raw captures take room: the oldest segments go when there are too many.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What was written to this lately may still be open.
const OPEN: Duration = Duration::from_secs(600);

/// Removes the oldest segments of a folder until they take at most so many bytes. Only files that are named as segments are touched,
/// and none that may still be written to.
pub fn tidy(dir: &Path, most: u64) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let segment = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.ok()?;
        let meta = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
        is_segment(entry.file_name().to_str()?).then_some((meta.modified().ok()?, meta.len(), entry.path()))
    };
    let mut segments: Vec<(SystemTime, u64, PathBuf)> = entries.filter_map(segment).collect();
    segments.sort();
    let mut sum: u64 = segments.iter().map(|s| s.1).sum();
    let now = SystemTime::now();
    for (modified, size, path) in segments {
        // Also what was written before the clock was set back.
        let is_open = now.duration_since(modified).map_or(true, |age| age < OPEN);
        if sum <= most || is_open {
            break;
        }
        match std::fs::remove_file(&path) {
            Ok(()) => {
                sum -= size;
                tracing::info!(
                    "{} was removed: captures take more than store.capture_max_mb",
                    path.display()
                );
            }
            Err(e) => tracing::warn!("{} cannot be removed: {e}", path.display()),
        }
    }
}

/// `binance-btc-20261122T10.ndjson.zst`, or with a number for a second run in the same hour.
fn is_segment(name: &str) -> bool {
    let Some(stem) = name.strip_suffix(".ndjson.zst") else { return false };
    let is_hour = |part: &str| {
        let bytes = part.as_bytes();
        bytes.len() == 11
            && bytes[8] == b'T'
            && bytes.iter().enumerate().all(|(i, b)| i == 8 || b.is_ascii_digit())
    };
    stem.rsplit('-').take(2).any(is_hour)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_segments_go_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, hours: u64| {
            let path = dir.path().join(name);
            std::fs::write(&path, [0; 1_000]).unwrap();
            let at = SystemTime::now() - Duration::from_secs(hours * 3_600);
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
        };
        file("okx-btc-20261122T08.ndjson.zst", 4);
        file("okx-btc-20261122T09-2.ndjson.zst", 3);
        file("okx-btc-20261122T10.ndjson.zst", 2);
        file("okx-btc-20261122T12.ndjson.zst", 0);
        file("mine.ndjson.zst", 9);
        let names = || {
            let mut names: Vec<_> = std::fs::read_dir(dir.path())
                .unwrap()
                .map(|e| e.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        tidy(dir.path(), 4_000);
        assert_eq!(names().len(), 5, "enough room");
        tidy(dir.path(), 2_500);
        assert_eq!(
            names(),
            ["mine.ndjson.zst", "okx-btc-20261122T10.ndjson.zst", "okx-btc-20261122T12.ndjson.zst"]
        );
        tidy(dir.path(), 0);
        assert_eq!(names(), ["mine.ndjson.zst", "okx-btc-20261122T12.ndjson.zst"], "the open one stays");
        let hour = Duration::from_secs(3_600);
        let ahead =
            std::fs::File::options().write(true).open(dir.path().join("okx-btc-20261122T12.ndjson.zst"));
        ahead.unwrap().set_modified(SystemTime::now() + hour).unwrap();
        tidy(dir.path(), 0);
        assert_eq!(names().len(), 2, "an hour ago by a clock that was set back");
    }
}
