//! The heatmap as an image to lie under the text: a pixel a column, several a row of cells.

use crate::app::App;
use crate::app::pixels::Grid;
use crate::app::viewport::Geometry;
use crate::ui;

use super::colour::{self, GROUND};

/// Pixels down a cell. Text has two; of more than four most would be less than a price bin high.
pub const ROWS: usize = 4;

/// Keeps what was summed: closed columns are not summed again for every picture.
#[derive(Debug, Default)]
pub struct Heat {
    grid: Option<Grid>,
}

/// Columns × pixels, from the upper left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeatPixels {
    /// Columns of the heatmap.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// Red, green, blue; row by row.
    pub rgb: Vec<u8>,
}

impl Heat {
    /// The heatmap an app shows, in the colours of its text; `None` where it has none: no room, no data, or a ramp of characters.
    ///
    /// The levels of a price bin fall into the pixels they cover by their share. A pixel's colour is that of a row of text with as
    /// much USD for its height, so that both are read by the same legend.
    pub fn follow(&mut self, app: &App) -> Option<HeatPixels> {
        let coarse = app.grid().geometry;
        let ramp = ui::ramp(app);
        let colour = |step: i32| ramp.colour(step).map(|c| colour::rgb(c, GROUND));
        let ground = colour(0)?;
        if app.layout().is_none() || !app.has_heat() {
            return None;
        }
        let finer = ROWS / 2;
        let geometry = Geometry { step: coarse.step / finer as f64, rows: coarse.rows * finer, ..coarse };
        let (selection, snapshot) = (app.selection(), app.snapshot());
        let grid =
            self.grid.get_or_insert_with(|| Grid::new(geometry, selection.clone(), snapshot.bins.clone()));
        grid.refresh(geometry, selection, snapshot);
        let (width, height) = (geometry.columns, geometry.rows);
        let mut rgb = ground.repeat(width * height);
        for (x, column) in grid.columns.iter().enumerate().filter(|(_, c)| c.covered) {
            for (row, usd) in column.usd.iter().enumerate().take(height) {
                let from = ((height - 1 - row) * width + x) * 3;
                let step = app.step(usd * finer as f64);
                let is_long = ramp.by_side && row as i64 <= column.mark_row;
                let shown = colour(if is_long { -step } else { step }).unwrap_or(ground);
                if let Some(pixel) = rgb.get_mut(from..from + 3) {
                    pixel.copy_from_slice(&shown);
                }
            }
        }
        Some(HeatPixels { width, height, rgb })
    }
}

impl HeatPixels {
    /// A stretch of its columns.
    pub fn columns(&self, range: std::ops::Range<usize>) -> Vec<u8> {
        self.rgb
            .chunks(3 * self.width.max(1))
            .flat_map(|row| row.get(3 * range.start..3 * range.end).unwrap_or_default())
            .copied()
            .collect()
    }
}
