//! Candles over the heatmap: bodies in half blocks, wicks as thin lines.

use crate::app::App;
use crate::app::pixels::BarPlace;

/// What a candle leaves in a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Between open and close.
    Body {
        /// Whether it closed at or above its open.
        up: bool,
    },
    /// Between low and high.
    Wick {
        /// Whether it closed at or above its open.
        up: bool,
    },
}

impl Ink {
    /// Whether the candle closed at or above its open.
    pub fn up(self) -> bool {
        let (Self::Body { up } | Self::Wick { up }) = self;
        up
    }
}

/// The candle drawn in one column of pixels.
#[derive(Debug, Clone, Copy)]
pub struct Stroke {
    low: i64,
    high: i64,
    bottom: i64,
    top: i64,
    up: bool,
    /// The wick is drawn in the middle column of a candle only.
    wick: bool,
}

impl Stroke {
    /// What it leaves in a pixel row.
    pub fn ink(&self, row: i64) -> Option<Ink> {
        if (self.bottom..=self.top).contains(&row) {
            Some(Ink::Body { up: self.up })
        } else if self.wick && (self.low..=self.high).contains(&row) {
            Some(Ink::Wick { up: self.up })
        } else {
            None
        }
    }
}

/// The candles in view, column by column. A candle longer than a column spreads over the columns in its time.
pub fn strokes(app: &App) -> Vec<Option<Stroke>> {
    let grid = app.grid();
    let g = grid.geometry;
    let mut strokes = vec![None; grid.columns.len()];
    if !app.settings.candles {
        return strokes;
    }
    let interval = app.candle_ms();
    let bucket = |column: usize| (g.time(column) + g.dt / 2).div_euclid(interval);
    let mut from = 0;
    while from < strokes.len() {
        let to = if interval == g.dt {
            from + 1
        } else {
            (from + 1..strokes.len()).find(|c| bucket(*c) != bucket(from)).unwrap_or(strokes.len())
        };
        let bars = grid.columns[from..to].iter().filter_map(|c| c.place);
        if let Some(bar) = bars.reduce(BarPlace::then) {
            // A column's width is left between wide candles, so that they can be counted.
            let last = if to - from >= 3 { to - 1 } else { to };
            for (i, stroke) in strokes[from..last].iter_mut().enumerate() {
                *stroke = Some(Stroke {
                    low: g.row(bar.low),
                    high: g.row(bar.high),
                    bottom: g.row(bar.open.min(bar.close)),
                    top: g.row(bar.open.max(bar.close)),
                    up: bar.close >= bar.open,
                    wick: i == (last - from - 1) / 2,
                });
            }
        }
        from = to;
    }
    strokes
}
