//! What came last.

use std::sync::Arc;

use super::{LiquidationRow, Reader, liquidation_row, venue};
use crate::estimate::Column;
use crate::market::Venue;

impl Reader {
    /// The columns written after the one with a number, in the order in which they were written. Damaged ones are left out and counted.
    pub fn columns_after(&self, id: i64) -> rusqlite::Result<Vec<(Venue, Arc<Column>)>> {
        let mut find = self.conn.prepare_cached(
            "SELECT name, digest, body FROM columns JOIN venues ON venues.id = venue WHERE columns.id > ?1 ORDER BY columns.id",
        )?;
        let mut rows = find.query([id])?;
        let mut columns = Vec::new();
        while let Some(row) = rows.next()? {
            let bytes = row.get_ref(2)?.as_blob()?;
            match super::codec::decode_column(bytes, row.get(1)?) {
                Ok(column) => columns.push((venue(row, 0)?, Arc::new(column))),
                Err(e) => self.complain("a column", e),
            }
        }
        Ok(columns)
    }

    /// The newest observed liquidations, oldest first.
    pub fn newest_liquidations(&self, most: usize) -> rusqlite::Result<Vec<LiquidationRow>> {
        let mut find = self.conn.prepare_cached(
            "SELECT name, ts, position, price, qty, price_kind, sampled, nth FROM liquidations
             JOIN venues ON venues.id = venue ORDER BY ts DESC LIMIT ?1",
        )?;
        let mut rows: Vec<_> =
            find.query_map([most as i64], liquidation_row)?.collect::<rusqlite::Result<_>>()?;
        rows.reverse();
        Ok(rows)
    }

    /// The number of the newest checkpoint, whole or not.
    pub fn newest_checkpoint(&self) -> rusqlite::Result<Option<i64>> {
        self.conn.query_row("SELECT max(id) FROM checkpoints", [], |row| row.get(0))
    }
}
