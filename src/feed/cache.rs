//! What a venue listed last time, kept on disk: the picker is filled at once, and a venue whose list cannot be had today is
//! still followed by yesterday's.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use crate::market::Venue;

use super::frame::now_ns;
use super::venue::Answer;

/// The largest file that is read.
const MOST: u64 = 64 << 20;

/// The answers that made a venue's list.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    v: u32,
    /// Where they came from: a test server's list is not the exchange's.
    rest: String,
    /// When, UTC ms.
    at: i64,
    answers: Vec<Answer>,
}

/// One venue's file.
#[derive(Debug, Clone)]
pub struct ListCache {
    path: PathBuf,
    rest: String,
}

impl ListCache {
    /// In a folder, for a venue reached at `rest`.
    pub fn new(folder: &Path, venue: Venue, rest: &str) -> Self {
        Self { path: folder.join(format!("{venue}.json")), rest: rest.to_owned() }
    }

    /// The answers kept and when they came (UTC ms); `None` where there are none from this address.
    pub fn read(&self) -> Option<(i64, Vec<Answer>)> {
        let kept = match self.load() {
            Ok(kept) => kept?,
            Err(e) => {
                tracing::warn!("the list of instruments in {} cannot be used: {e:#}", self.path.display());
                return None;
            }
        };
        (kept.v == 1 && kept.rest == self.rest).then_some((kept.at, kept.answers))
    }

    fn load(&self) -> anyhow::Result<Option<Kept>> {
        let Ok(meta) = std::fs::metadata(&self.path) else { return Ok(None) };
        ensure!(meta.len() <= MOST, "larger than {MOST} bytes");
        Ok(Some(serde_json::from_slice(&std::fs::read(&self.path)?)?))
    }

    /// Keeps answers, beside the final place first so that no reader sees half of them.
    pub fn write(&self, answers: Vec<Answer>) -> anyhow::Result<()> {
        let kept = Kept { v: 1, rest: self.rest.clone(), at: now_ns() / 1_000_000, answers };
        let folder = self.path.parent().context("no folder")?;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let part = self.path.with_extension(format!("part{}", std::process::id()));
        std::fs::write(&part, serde_json::to_vec(&kept)?)
            .and_then(|()| std::fs::rename(&part, &self.path))
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_kept_per_venue_and_address_and_a_broken_file_is_no_list() {
        let folder = tempfile::tempdir().unwrap();
        let venue = "okx".parse().unwrap();
        let cache = ListCache::new(folder.path(), venue, "https://a");
        assert!(cache.read().is_none());
        let answers = vec![("/x?y=1".to_owned(), "{\"a\":\"\\u0007\"}".to_owned())];
        cache.write(answers.clone()).unwrap();
        assert_eq!(cache.read().unwrap().1, answers);
        assert!(ListCache::new(folder.path(), venue, "http://127.0.0.1:1").read().is_none());
        std::fs::write(folder.path().join("okx.json"), "{\"v\":1,").unwrap();
        assert!(cache.read().is_none());
    }
}
