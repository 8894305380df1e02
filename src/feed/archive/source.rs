//! One file as events in known-at order, with bounded memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::market::event::sort_events;
use crate::market::ndjson::{self, LineError, Lines};
use crate::market::{Asset, MarketEvent};

use super::Tally;
use super::kind::Kind;
use super::rows::{self, Tardis};

/// Rows of a table may come so much later than others of their time, ms.
const SLACK: i64 = 60_000;
/// Events of an unordered file that are in memory at once; more are sorted on disk.
const CHUNK: usize = 100_000;
/// How hard zstd tries on what is on disk only while it is sorted.
const LEVEL: i32 = 1;

/// An event on its way, and where it stood.
#[derive(Debug)]
pub struct Sourced {
    /// What.
    pub event: MarketEvent,
    /// Grows with the rows of a kind; see [`rows::Row`].
    pub mark: Option<i64>,
    /// Its line, from 1; 0 where that is not known any more.
    pub line: u64,
}

/// A file being read.
pub enum Source {
    /// A table, whose rows come nearly in order.
    Table(Box<Table>),
    /// Events in any order.
    Events(Box<Runs>),
}

impl Source {
    /// Opens a file of a kind. What is too much for the memory waits in a nameless file in `spill`.
    pub fn open(
        path: &Path,
        kind: &Kind,
        asset: Option<Asset>,
        spill: &Path,
        tally: &mut Tally,
    ) -> anyhow::Result<Self> {
        let file = Opened::open(path)?;
        Ok(match kind {
            Kind::Events => Self::Events(Box::new(Runs::read(file, asset, CHUNK, spill, tally)?)),
            kind => Self::Table(Box::new(Table::new(file, kind.clone(), asset))),
        })
    }

    /// The next event.
    pub fn next(&mut self, tally: &mut Tally) -> anyhow::Result<Option<Sourced>> {
        match self {
            Self::Table(table) => Ok(table.next(tally)),
            Self::Events(runs) => runs.next(),
        }
    }
}

/// A file's lines, unpacked.
pub struct Opened {
    name: String,
    lines: Lines,
}

impl Opened {
    /// Opens a file by its ending: `.zip`, `.gz`, `.zst`, or as it is.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let source = if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("zip")) {
            Box::new(BufReader::with_capacity(1 << 16, super::zip::open(path)?))
        } else {
            ndjson::open(path)?
        };
        Ok(Self { name: path.display().to_string(), lines: Lines::new(source) })
    }

    /// The first line that is not blank.
    pub fn first(&mut self) -> anyhow::Result<Option<String>> {
        let line = self.lines.next_line().with_context(|| format!("cannot read {}", self.name))?;
        Ok(line.map(|(_, text)| text.unwrap_or_default().to_owned()))
    }

    /// Hands the next line to a reader and counts what comes of it; `None` at the end of the file.
    fn next<T>(
        &mut self,
        tally: &mut Tally,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<(u64, Option<T>)> {
        let (number, line) = match self.lines.next_line() {
            Ok(Some(line)) => line,
            Ok(None) => return None,
            // What was read before the cut is as good as any.
            Err(e) => {
                tally.truncated += 1;
                tally.note(format!(
                    "{}: it ends in the middle ({e}): get it anew, and import it again",
                    self.name
                ));
                return None;
            }
        };
        tally.lines += 1;
        match line.map_err(str::to_owned).and_then(read) {
            Ok(read) => Some((number, Some(read))),
            Err(why) => {
                tally.refuse(&self.name, number, &why);
                Some((number, None))
            }
        }
    }
}

/// A table whose rows come nearly in order: those that may be overtaken wait.
pub struct Table {
    file: Opened,
    kind: Kind,
    tardis: Tardis,
    has_begun: bool,
    waiting: BinaryHeap<Reverse<Waiting>>,
    /// The latest time of a row, UTC ms: a bar's is its start.
    newest: i64,
    has_ended: bool,
}

impl Table {
    fn new(file: Opened, kind: Kind, asset: Option<Asset>) -> Self {
        Self {
            file,
            kind,
            tardis: Tardis::new(asset),
            has_begun: false,
            waiting: BinaryHeap::new(),
            newest: i64::MIN,
            has_ended: false,
        }
    }

    fn next(&mut self, tally: &mut Tally) -> Option<Sourced> {
        loop {
            let is_due = |Reverse(w): &Reverse<Waiting>| w.order.0 <= self.newest.saturating_sub(SLACK);
            if self.has_ended || self.waiting.peek().is_some_and(is_due) {
                return self.waiting.pop().map(|Reverse(waiting)| waiting.sourced);
            }
            self.read(tally);
        }
    }

    fn read(&mut self, tally: &mut Tally) {
        let Self { kind, tardis, has_begun, .. } = self;
        let is_first = !std::mem::replace(has_begun, true);
        let row = |line: &str| match kind {
            // The names of the columns; where there are none, the first line begins with a number or a time.
            _ if is_first && line.starts_with(|c: char| !c.is_ascii_digit()) && is_header(line) => Ok(None),
            Kind::Binance(table, listing) => rows::binance(*table, listing, line).map(Some),
            Kind::TardisTrades => tardis.row(false, line).map(Some),
            Kind::TardisLiquidations => tardis.row(true, line).map(Some),
            Kind::Events => Ok(None),
        };
        let Some((line, row)) = self.file.next(tally, row) else {
            self.has_ended = true;
            return;
        };
        match row.flatten() {
            None => {}
            Some(None) => tally.other += 1,
            Some(Some((event, mark))) => {
                self.newest = self.newest.max(event.ts);
                let order = (event.known_at(), event.order().1, line);
                self.waiting.push(Reverse(Waiting { order, sourced: Sourced { event, mark, line } }));
            }
        }
    }
}

fn is_header(line: &str) -> bool {
    line.contains("_time") || line.contains("timestamp")
}

/// An event that may be overtaken.
struct Waiting {
    /// Known-at, kind, line.
    order: (i64, u8, u64),
    sourced: Sourced,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order.cmp(&other.order)
    }
}

/// Events of a file in known-at order, those that compare equal in file order: sorted a part at a time, and the parts merged.
pub struct Runs(Vec<Run>);

struct Run {
    next: Option<MarketEvent>,
    rest: Rest,
}

enum Rest {
    Memory(std::vec::IntoIter<MarketEvent>),
    Disk(Lines),
}

impl Runs {
    /// Reads all of a file. Events of other assets are counted and left out; without an asset, the first one seen is taken.
    fn read(
        mut file: Opened,
        mut asset: Option<Asset>,
        chunk: usize,
        spill: &Path,
        tally: &mut Tally,
    ) -> anyhow::Result<Self> {
        let (mut runs, mut events) = (Vec::new(), Vec::new());
        let parse = |line: &str| match ndjson::parse_line(line) {
            Ok(event) => Ok(Some(event)),
            Err(LineError::UnknownType(_)) => Ok(None),
            Err(e) => Err(e.to_string()),
        };
        while let Some((_, read)) = file.next(tally, parse) {
            match read {
                Some(Some(event)) if *asset.get_or_insert(event.asset) == event.asset => events.push(event),
                Some(_) => tally.other += 1,
                None => {}
            }
            if events.len() >= chunk {
                sort_events(&mut events);
                runs.push(Run { next: None, rest: Rest::Disk(spilled(&events, spill)?) });
                events.clear();
            }
        }
        sort_events(&mut events);
        runs.push(Run { next: None, rest: Rest::Memory(events.into_iter()) });
        for run in &mut runs {
            run.advance()?;
        }
        Ok(Self(runs))
    }

    fn next(&mut self) -> anyhow::Result<Option<Sourced>> {
        // The first of equals: runs are parts of the file in its order.
        let first = self.0.iter_mut().filter(|run| run.next.is_some());
        let first = first.min_by_key(|run| run.next.as_ref().map(MarketEvent::order));
        let Some(run) = first else { return Ok(None) };
        let event = run.next.take();
        run.advance()?;
        Ok(event.map(|event| Sourced { event, mark: None, line: 0 }))
    }
}

impl Run {
    fn advance(&mut self) -> anyhow::Result<()> {
        self.next = match &mut self.rest {
            Rest::Memory(events) => events.next(),
            Rest::Disk(lines) => match lines.next_line().context("cannot read what was sorted")? {
                Some((_, line)) => Some(ndjson::parse_line(line.map_err(anyhow::Error::msg)?)?),
                None => None,
            },
        };
        Ok(())
    }
}

/// Writes events to a file without a name, which is gone when it is closed, and opens it for reading.
fn spilled(events: &[MarketEvent], dir: &Path) -> anyhow::Result<Lines> {
    let write = || -> anyhow::Result<File> {
        // What will hold the history is for the user only.
        let mut folder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
        folder.recursive(true).create(dir)?;
        let path: PathBuf = dir.join(format!("import-{}.tmp", std::process::id()));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        std::fs::remove_file(&path)?;
        let mut packed = zstd::Encoder::new(BufWriter::new(file), LEVEL)?;
        for event in events {
            ndjson::write_event(&mut packed, event)?;
        }
        let mut buffered = packed.finish()?;
        buffered.flush()?;
        let mut file = buffered.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    };
    let file = write().with_context(|| format!("cannot sort in {}", dir.display()))?;
    Ok(Lines::new(Box::new(BufReader::new(zstd::Decoder::new(file)?))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{EventKind, Qty};

    #[test]
    fn an_unordered_file_that_is_too_large_for_the_memory_comes_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.ndjson");
        let mut out = File::create(&path).unwrap();
        // A permutation of 0..100, each twice: the second of a time stays the second.
        for i in 0..200_i64 {
            let (ts, qty) = (i * 37 % 100, Qty::from_raw(i128::from(i + 1)));
            let event = MarketEvent {
                venue: "okx".parse().unwrap(),
                asset: "BTC".parse().unwrap(),
                ts,
                recv: None,
                kind: EventKind::OpenInterest(qty),
            };
            ndjson::write_event(&mut out, &event).unwrap();
        }
        let mut tally = Tally::default();
        let file = Opened::open(&path).unwrap();
        let mut runs = Runs::read(file, None, 17, dir.path(), &mut tally).unwrap();
        assert!(runs.0.len() > 10);
        let mut read = Vec::new();
        while let Some(sourced) = runs.next().unwrap() {
            let EventKind::OpenInterest(qty) = sourced.event.kind else { panic!() };
            read.push((sourced.event.ts, qty));
        }
        assert_eq!((read.len(), tally.lines, tally.refused), (200, 200, 0));
        assert!(read.is_sorted());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left over");
    }
}
