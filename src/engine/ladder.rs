//! Closed columns by interval, and the roll-ups that are not complete yet.

use std::sync::Arc;

use crate::estimate::Column;

use super::snapshot::History;

/// The roll-ups that are not complete yet, by interval from the second on.
pub type Partial = [Option<Column>; 3];

/// Closed columns and the unfinished roll-ups above them.
#[derive(Debug, Clone, Default)]
pub struct Ladder {
    /// The closed columns.
    pub history: Arc<History>,
    partial: Partial,
    /// What the last push closed.
    closed: Vec<Arc<Column>>,
    begun: bool,
    /// Closed columns are handed on and forgotten.
    forgets: bool,
}

impl Ladder {
    /// As it was, with `since` pushed onto it that the roll-ups do not hold yet.
    pub fn restored(history: History, partial: Partial, begun: bool, since: &[Arc<Column>]) -> Self {
        let mut ladder = Self { partial, begun, ..Self::default() };
        for column in since {
            ladder.roll_up(column);
            ladder.begun = true;
        }
        // What the roll-ups of these completed was closed and kept with them.
        ladder.closed.clear();
        ladder.history = Arc::new(history);
        ladder
    }

    /// Closed columns are handed on and forgotten from now on.
    pub fn forget(&mut self) {
        self.forgets = true;
        self.history = Arc::default();
    }

    /// Puts what was kept of earlier times before what is there.
    pub fn prepend(&mut self, older: History) {
        if !self.forgets {
            Arc::make_mut(&mut self.history).prepend(older);
        }
    }

    /// Whether nothing was closed yet.
    pub fn is_empty(&self) -> bool {
        !self.begun
    }

    /// The unfinished roll-ups.
    pub fn partial(&self) -> &Partial {
        &self.partial
    }

    /// What was closed since this was last asked, finest first.
    pub fn take_closed(&mut self) -> Vec<Arc<Column>> {
        std::mem::take(&mut self.closed)
    }

    /// Adds a closed column and what it completes above it.
    pub fn push(&mut self, column: Column) {
        let before = self.closed.len();
        let column = Arc::new(column);
        self.closed.push(Arc::clone(&column));
        self.complete(&column, before);
    }

    /// Adds what a closed column completes above it, but not the column: it is older than such columns are kept.
    pub fn pass(&mut self, column: &Column) {
        self.complete(column, self.closed.len());
    }

    fn complete(&mut self, column: &Column, before: usize) {
        self.begun = true;
        self.roll_up(column);
        if self.forgets {
            return;
        }
        let history = Arc::make_mut(&mut self.history);
        for column in &self.closed[before..] {
            history.ladder[level(column)].push(Arc::clone(column));
        }
        history.forget(column.end());
    }

    fn roll_up(&mut self, column: &Column) {
        for above in level(column) + 1..History::INTERVALS.len() {
            let interval = History::INTERVALS[above];
            let start = interval.floor(column.start);
            let partial = &mut self.partial[above - 1];
            if let Some(old) = partial.take_if(|p| p.start != start) {
                self.closed.push(Arc::new(old));
            }
            let merged = match partial.take() {
                Some(p) => p.merged(column, start, interval),
                None => Column { start, interval, ..column.clone() },
            };
            if merged.end() <= column.end() {
                self.closed.push(Arc::new(merged));
            } else {
                *partial = Some(merged);
            }
        }
    }
}

/// Where a column's interval stands in the ladder.
fn level(column: &Column) -> usize {
    History::INTERVALS.iter().position(|i| *i == column.interval).unwrap_or(0)
}

impl History {
    /// How long each interval of the ladder is kept, ms; the last for ever.
    pub const KEPT: [i64; 4] = [6 * 3_600_000, 7 * 86_400_000, 180 * 86_400_000, i64::MAX];

    /// Puts what is older before what is there.
    pub fn prepend(&mut self, older: Self) {
        for (columns, mut older) in self.ladder.iter_mut().zip(older.ladder) {
            let first = columns.first().map_or(i64::MAX, |c| c.start);
            older.truncate(older.partition_point(|c| c.start < first));
            older.append(columns);
            *columns = older;
        }
    }

    /// Drops what is older than its interval is kept, as of the end of the newest base column (UTC ms).
    pub fn forget(&mut self, newest: i64) {
        for (columns, kept) in self.ladder.iter_mut().zip(Self::KEPT) {
            let old = columns.partition_point(|c| c.end() < newest.saturating_sub(kept));
            columns.drain(..old);
        }
    }
}
