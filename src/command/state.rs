//! What the screen keeps between runs: a small file under the state folder, written whole or not at all.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::app::panels::Kept;

/// The file, and what is in it.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    kept: Kept,
}

/// Where the file is kept: `$XDG_STATE_HOME/meltline/state.toml`, usually `~/.local/state/meltline/state.toml`.
pub fn default_path() -> Option<PathBuf> {
    use etcetera::BaseStrategy as _;
    let dirs = etcetera::choose_base_strategy().ok()?;
    Some(dirs.state_dir()?.join("meltline").join("state.toml"))
}

impl StateFile {
    /// Reads the file. Where there is none the defaults stand; where it cannot be read they do as well, and the text says why.
    pub fn open(path: PathBuf) -> (Self, Option<String>) {
        let (kept, note) = match read(&path) {
            Ok(kept) => (kept, None),
            Err(error) => {
                tracing::warn!(path = %path.display(), "the state file is not used: {error:#}");
                (Kept::default(), Some("the saved panels cannot be read: the defaults are shown".to_owned()))
            }
        };
        (Self { path, kept }, note)
    }

    /// What is in it.
    pub fn kept(&self) -> Kept {
        self.kept
    }

    /// Writes what is to be kept, if it is not what is there.
    pub fn keep(&mut self, kept: Kept) -> anyhow::Result<()> {
        if kept == self.kept {
            return Ok(());
        }
        // Tried once for each change: a disk that is full is not asked again at every key.
        self.kept = kept;
        write(&self.path, &kept).with_context(|| format!("cannot write {}", self.path.display()))
    }
}

fn read(path: &Path) -> anyhow::Result<Kept> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(toml::from_str(&text)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Kept::default()),
        Err(error) => Err(error.into()),
    }
}

/// To a file beside it, for the user's eyes only, and then over the old one: a reader sees the old or the new, never half.
fn write(path: &Path, kept: &Kept) -> anyhow::Result<()> {
    let dir = path.parent().context("no folder")?;
    let mut builder = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(dir)?;
    let beside = path.with_extension(format!("toml.{}", std::process::id()));
    let written = (|| {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&beside)?;
        file.write_all(toml::to_string(kept)?.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        anyhow::Ok(())
    })();
    if written.is_err() {
        // Nothing is to be done about a leftover that cannot be removed either.
        let _ = std::fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::app::panels::Panels;

    fn without_tape() -> Kept {
        Kept { tape_usd: 10_000, panels: Panels { tape: false, ..Panels::default() } }
    }

    #[test]
    fn what_is_kept_is_there_in_the_next_run_and_for_the_user_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep").join("state.toml");
        let (mut file, note) = StateFile::open(path.clone());
        assert_eq!((file.kept(), note), (Kept::default(), None));
        file.keep(Kept::default()).unwrap();
        assert!(!path.exists(), "nothing changed, nothing is written");
        file.keep(without_tape()).unwrap();
        let (again, note) = StateFile::open(path.clone());
        assert_eq!((again.kept(), note), (without_tape(), None));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let names: Vec<_> =
            path.parent().unwrap().read_dir().unwrap().map(|f| f.unwrap().file_name()).collect();
        assert_eq!(names, ["state.toml"], "no leftovers");
    }

    #[test]
    fn a_file_that_cannot_be_read_gives_the_defaults_and_one_note() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.toml");
        for bad in ["panels = 3", "[panels]\ntape = \"yes\"", "\u{0}\u{1}", "tape_usd = -1"] {
            std::fs::write(&path, bad).unwrap();
            let (file, note) = StateFile::open(path.clone());
            assert_eq!(file.kept(), Kept::default(), "{bad:?}");
            assert!(note.is_some(), "{bad:?}");
        }
        std::fs::write(&path, "later = 1\n[panels]\ndepth = false\nmoon = true\n").unwrap();
        let (file, note) = StateFile::open(path);
        assert!(
            !file.kept().panels.depth && file.kept().panels.bars,
            "what a later version adds is no trouble"
        );
        assert_eq!(note, None);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error_once() {
        let dir = tempfile::tempdir().unwrap();
        let in_the_way = dir.path().join("file");
        std::fs::write(&in_the_way, "").unwrap();
        let (mut file, _) = StateFile::open(in_the_way.join("state.toml"));
        let error = format!("{:#}", file.keep(without_tape()).unwrap_err());
        assert!(error.contains("state.toml"), "{error}");
        file.keep(without_tape()).unwrap();
    }
}
