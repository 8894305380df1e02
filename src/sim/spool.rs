//! A file that a thread of its own fills, so that a slow disk does not hold up the market.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use anyhow::Context as _;

/// Blocks that may wait for the disk before a file that is only offered them counts as too slow.
const QUEUE: usize = 64;

/// The file's end that blocks of whole lines are handed to. [`Spool::finish`] says how it went.
#[derive(Debug)]
pub(crate) struct Spool {
    path: PathBuf,
    /// `None` once the file can take no more.
    blocks: Option<SyncSender<Vec<u8>>>,
    writer: Option<JoinHandle<io::Result<()>>>,
}

impl Spool {
    /// Begins a file, in place of one that is there: compressed if its name ends in `.zst`; `-` is standard output.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("cannot write {}", path.display());
        let sink: Box<dyn Write + Send> = if path == Path::new("-") {
            Box::new(io::stdout())
        } else {
            Box::new(File::create(path).with_context(cannot)?)
        };
        let compressed = path.extension().is_some_and(|ending| ending == "zst");
        let (blocks, received) = sync_channel(QUEUE);
        let writer = std::thread::Builder::new()
            .name("spool".into())
            .spawn(move || if compressed { compress(&received, sink) } else { copy(&received, sink) })
            .with_context(cannot)?;
        Ok(Self { path: path.into(), blocks: Some(blocks), writer: Some(writer) })
    }

    /// Adds a block of whole lines, waiting for room. The error says why the file takes no more; it is final.
    pub fn put(&mut self, block: Vec<u8>) -> anyhow::Result<()> {
        match self.blocks.as_ref().map(|blocks| blocks.send(block)) {
            Some(Ok(())) => Ok(()),
            _ => self.end(),
        }
    }

    /// The same without waiting: a file that is too slow ends here.
    pub fn offer(&mut self, block: Vec<u8>) -> anyhow::Result<()> {
        match self.blocks.as_ref().map(|blocks| blocks.try_send(block)) {
            Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(_))) => {
                // Nobody waits for the thread: it may hang as long as the disk does.
                (self.blocks, self.writer) = (None, None);
                anyhow::bail!("cannot write {}: the disk is too slow", self.path.display())
            }
            _ => self.end(),
        }
    }

    /// Waits until everything is written and ends the file.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.blocks = None;
        match self.writer.take() {
            Some(writer) => self.joined(writer),
            None => Ok(()),
        }
    }

    /// The writer has given up: why.
    fn end(&mut self) -> anyhow::Result<()> {
        self.blocks = None;
        if let Some(writer) = self.writer.take() {
            self.joined(writer)?;
        }
        anyhow::bail!("cannot write {}: it has ended", self.path.display())
    }

    fn joined(&self, writer: JoinHandle<io::Result<()>>) -> anyhow::Result<()> {
        let written = writer.join().unwrap_or_else(|_| Err(io::Error::other("its thread failed")));
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

impl Drop for Spool {
    /// Without [`Spool::finish`], too, the file ends with a whole line.
    fn drop(&mut self) {
        self.blocks = None;
        if let Some(Err(_)) = self.writer.take().map(JoinHandle::join) {
            tracing::error!("the thread that wrote {} failed", self.path.display());
        }
    }
}

/// Each block is brought to the disk as it comes: what was told can be read, whatever happens next.
fn copy(blocks: &Receiver<Vec<u8>>, mut sink: impl Write) -> io::Result<()> {
    for block in blocks {
        sink.write_all(&block)?;
        sink.flush()?;
    }
    Ok(())
}

fn compress(blocks: &Receiver<Vec<u8>>, sink: impl Write) -> io::Result<()> {
    let mut encoder = zstd::Encoder::new(sink, 3)?;
    copy(blocks, &mut encoder)?;
    encoder.finish()?.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_what_was_put_in_it_compressed_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["plain", "packed.zst"] {
            let path = dir.path().join(name);
            std::fs::write(&path, "of an earlier run").unwrap();
            let mut spool = Spool::create(&path).unwrap();
            spool.put(b"one\n".to_vec()).unwrap();
            spool.offer(b"two\n".to_vec()).unwrap();
            spool.finish().unwrap();
            let mut lines = crate::market::ndjson::Lines::new(crate::market::ndjson::open(&path).unwrap());
            assert_eq!(lines.next_line().unwrap(), Some((1, Ok("one"))), "{name}");
            assert_eq!(lines.next_line().unwrap(), Some((2, Ok("two"))), "{name}");
            assert_eq!(lines.next_line().unwrap(), None, "{name}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_told_once_and_with_its_name() {
        let mut spool = Spool::create(Path::new("/dev/full")).unwrap();
        let error = (0..1_000).find_map(|_| spool.put(b"line\n".to_vec()).err()).unwrap();
        assert!(format!("{error:#}").starts_with("cannot write /dev/full: No space left"), "{error:#}");
        assert!(spool.put(Vec::new()).is_err());
        spool.finish().unwrap();
    }
}
