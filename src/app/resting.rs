//! Depth of market in the rows of the heatmap: what rests at each price, summed over the books of the venues drawn.

use crate::engine::{Snapshot, depth};

use super::pixels::{Selection, rows};
use super::scale::steady_top;
use super::viewport::Geometry;

/// Rows that may move with one picture; the rest follow with the next.
const ROWS_A_PICTURE: usize = 4;

/// Resting orders by row of cells, from above.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resting {
    /// USD in each row.
    pub rows: Vec<f64>,
    /// USD that fill the width of the panel.
    pub top: f64,
    /// Whether any venue has told a book.
    pub has_book: bool,
    /// The place of the rows in price, so that rows of another view are not taken for these.
    place: Option<(u64, u64, usize)>,
}

impl Resting {
    /// Follows the books: rows that moved by less than `cell` of the width stay as they are, and of the others a few a picture
    /// move. `may_scale` tells whether the scale may move, too: that repaints all.
    #[must_use]
    pub fn follow(
        mut self,
        geometry: &Geometry,
        selection: &Selection,
        snapshot: &Snapshot,
        (cells, may_scale): (u16, bool),
    ) -> Self {
        let first = geometry.low.floor() as i32;
        let count = (geometry.high().ceil() as i32 - first).max(0) as usize;
        let mut bins = vec![0.0; count];
        let books: Vec<_> = selection.venues(snapshot).filter_map(|v| v.book.as_ref()).collect();
        for book in &books {
            depth::by_bin(book, &snapshot.bins, first, &mut bins);
        }
        let pixels = rows(geometry, first, &bins);
        let fresh: Vec<f64> = pixels.chunks(2).rev().map(|pair| pair.iter().sum()).collect();
        let largest = fresh.iter().copied().fold(0.0, f64::max);
        let place = Some((geometry.low.to_bits(), geometry.step.to_bits(), fresh.len()));
        self.has_book = !books.is_empty();
        if place != self.place || may_scale || self.top <= 0.0 {
            self.top = steady_top(self.top, largest);
            self.rows = fresh;
            self.place = place;
            return self;
        }
        let cell = self.top / f64::from(cells.max(1));
        let mut moved: Vec<(f64, usize)> =
            self.rows.iter().zip(&fresh).map(|(a, b)| (a - b).abs()).zip(0..).collect();
        moved.retain(|(by, _)| *by >= cell);
        moved.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (_, row) in moved.into_iter().take(ROWS_A_PICTURE) {
            self.rows[row] = fresh[row];
        }
        self
    }
}
