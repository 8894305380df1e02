//! One writer a file: an advisory lock that ends with the process, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use crate::feed::status::clean;

/// Who writes, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner(pub String);

impl Owner {
    /// What writes, and its number: `collect 4711`; all words where they are others.
    pub fn short(&self) -> String {
        let mut words = self.0.split_ascii_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("process"), Some(id), Some(what)) if what.starts_with('(') => {
                format!("{} {id}", what.trim_matches(['(', ')']))
            }
            (Some("process"), Some(id), _) => format!("process {id}"),
            _ => self.0.clone(),
        }
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// How often a lock that is held is tried again, and how soon.
const TRIES: u32 = 3;
const BETWEEN_TRIES: Duration = Duration::from_millis(5);

/// Held as long as it lives.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "its being open is the lock")] File);

/// Why there is no lock.
#[derive(Debug)]
pub enum LockError {
    /// Another process writes.
    Held(Owner),
    /// The file cannot be made or locked.
    Io(std::io::Error),
}

impl Lock {
    /// Takes the lock and says in the file who holds it, and what for, in a word.
    pub fn take(path: &Path, purpose: &str) -> Result<Self, LockError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(LockError::Io)?;
        let mut tries = 0;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                // Who only looks for a holder locks for a moment.
                Err(TryLockError::WouldBlock) if tries < TRIES => std::thread::sleep(BETWEEN_TRIES),
                Err(TryLockError::WouldBlock) => return Err(LockError::Held(owner(&mut file))),
                Err(TryLockError::Error(e)) => return Err(LockError::Io(e)),
            }
            tries += 1;
        }
        let since = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
        let words = format!("process {} ({purpose}) since {since}\n", std::process::id());
        let told = file.set_len(0).and_then(|()| file.write_all(words.as_bytes()));
        told.map_err(LockError::Io)?;
        Ok(Self(file))
    }

    /// Who holds it, if anybody does.
    pub fn holder(path: &Path) -> Option<Owner> {
        let mut file = File::open(path).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(owner(&mut file)),
            _ => None,
        }
    }
}

fn owner(file: &mut File) -> Owner {
    let mut text = String::new();
    // Words for the user: a file that cannot be read names nobody.
    let _ = file.take(200).read_to_string(&mut text);
    let text = clean(text.trim(), 100);
    Owner(if text.is_empty() { "another process".to_owned() } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_holds_the_lock_and_gets_it_when_it_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("BTC.lock");
        assert_eq!(Lock::holder(&path), None);
        let first = Lock::take(&path, "test").unwrap();
        let Err(LockError::Held(owner)) = Lock::take(&path, "test") else { panic!("two locks") };
        assert_eq!(owner.short(), format!("test {}", std::process::id()));
        assert!(owner.0.starts_with(&format!("process {} (test) since 2", std::process::id())), "{owner}");
        assert_eq!(Lock::holder(&path), Some(owner));
        drop(first);
        assert_eq!(Lock::holder(&path), None);
        Lock::take(&path, "test").unwrap();
    }
}
