//! Who follows: readers hold a shared lock on a file beside the database, and the writer looks now and then whether anybody does.
//!
//! Locks end with their process, however it ends, so nobody is told for who is gone. The time of the file says when somebody last asked
//! for the whole state.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::SystemTime;

use tokio::sync::watch;

use super::StorePath;
use crate::engine::beside::Wishes;

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Says that somebody follows, as long as it lives.
#[derive(Debug)]
pub struct Interest(File);

impl Interest {
    /// Of an asset.
    pub fn declare(at: &StorePath) -> std::io::Result<Self> {
        let file = open(&at.followed())?;
        // The writer holds it for a moment only.
        file.lock_shared()?;
        Ok(Self(file))
    }

    /// Asks for the whole state: a checkpoint that is newer than those there are.
    pub fn ask_for_state(&self) -> std::io::Result<()> {
        self.0.set_modified(SystemTime::now())
    }
}

/// The writer's look at who follows.
#[derive(Debug)]
pub(super) struct Lookout {
    file: Option<File>,
    asked: Option<SystemTime>,
    wishes: watch::Sender<Wishes>,
}

impl Lookout {
    /// Of an asset. Where the file cannot be made nobody can follow.
    pub fn new(at: &StorePath) -> Self {
        let file = open(&at.followed())
            .inspect_err(|e| tracing::warn!("{}: nobody can follow: {e}", at.followed().display()))
            .ok();
        let asked = modified(file.as_ref());
        Self { file, asked, wishes: watch::Sender::default() }
    }

    /// What readers ask for.
    pub fn wishes(&self) -> watch::Receiver<Wishes> {
        self.wishes.subscribe()
    }

    /// Whether somebody followed when this looked last.
    pub fn is_followed(&self) -> bool {
        self.wishes.borrow().followed
    }

    /// Looks.
    pub fn look(&mut self) {
        let Some(file) = &self.file else { return };
        let followed = match file.try_lock() {
            Ok(()) => {
                // Closing would end the lock as well; the file is wanted again.
                let _ = file.unlock();
                false
            }
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(_)) => false,
        };
        let asked = modified(Some(file)).filter(|at| followed && Some(*at) != self.asked);
        self.asked = asked.or(self.asked);
        self.wishes.send_if_modified(|wishes| {
            let before = *wishes;
            wishes.followed = followed;
            wishes.states += u64::from(asked.is_some());
            *wishes != before
        });
    }
}

fn modified(file: Option<&File>) -> Option<SystemTime> {
    file?.metadata().ok()?.modified().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writer_sees_who_follows_and_who_asks_for_the_state() {
        let dir = tempfile::tempdir().unwrap();
        let at = StorePath::new(dir.path(), "BTC".parse().unwrap());
        std::fs::create_dir(at.folder()).unwrap();
        let mut lookout = Lookout::new(&at);
        let mut look = || {
            lookout.look();
            *lookout.wishes().borrow()
        };
        assert_eq!(look(), Wishes::default());
        let [first, second] = [Interest::declare(&at).unwrap(), Interest::declare(&at).unwrap()];
        assert_eq!(look(), Wishes { followed: true, states: 0 });
        second.0.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(look(), Wishes { followed: true, states: 1 });
        drop(first);
        assert_eq!(look(), Wishes { followed: true, states: 1 });
        drop(second);
        assert_eq!(look(), Wishes { followed: false, states: 1 });
    }
}
