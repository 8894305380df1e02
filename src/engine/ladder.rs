//! Closed columns by interval, and the roll-ups that are not complete yet.

use std::sync::Arc;

use crate::estimate::Column;

use super::snapshot::History;

/// How long each interval of the ladder is kept, ms; the last for ever.
const KEPT: [i64; 4] = [6 * 3_600_000, 7 * 86_400_000, 180 * 86_400_000, i64::MAX];

/// Closed columns and the unfinished roll-ups above them.
#[derive(Debug, Clone, Default)]
pub struct Ladder {
    /// The closed columns.
    pub history: Arc<History>,
    partial: [Option<Column>; 3],
}

impl Ladder {
    /// Whether nothing was closed yet.
    pub fn is_empty(&self) -> bool {
        self.history.ladder.iter().all(Vec::is_empty)
    }

    /// Adds a closed column and what it completes above it.
    pub fn push(&mut self, column: Column) {
        let history = Arc::make_mut(&mut self.history);
        let level = History::INTERVALS.iter().position(|i| *i == column.interval).unwrap_or(0);
        for above in level + 1..History::INTERVALS.len() {
            let interval = History::INTERVALS[above];
            let start = interval.floor(column.start);
            let partial = &mut self.partial[above - 1];
            if let Some(old) = partial.take_if(|p| p.start != start) {
                history.ladder[above].push(Arc::new(old));
            }
            let merged = match partial.take() {
                Some(p) => p.merged(&column, start, interval),
                None => Column { start, interval, ..column.clone() },
            };
            if merged.end() <= column.end() {
                history.ladder[above].push(Arc::new(merged));
            } else {
                *partial = Some(merged);
            }
        }
        let newest = column.end();
        history.ladder[level].push(Arc::new(column));
        for (columns, kept) in history.ladder.iter_mut().zip(KEPT) {
            let old = columns.partition_point(|c| c.end() < newest.saturating_sub(kept));
            columns.drain(..old);
        }
    }
}
