//! Where the panels lie. Panels fold away as the terminal shrinks.

use ratatui::layout::Rect;

/// Below this nothing useful fits.
pub const SMALLEST: (u16, u16) = (30, 8);

/// The rooms of the screen for one terminal size; empty `Option`s are folded away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Asset, range, threshold, venues, clock.
    pub status: Rect,
    /// Titles of the panels below.
    pub titles: Option<Rect>,
    /// The ramp with its USD ticks, beside the heatmap.
    pub legend: Option<Rect>,
    /// The heatmap; two price pixels a cell.
    pub heat: Rect,
    /// Price labels, right of the heatmap.
    pub prices: Rect,
    /// Levels by price now, with cumulative curves.
    pub map: Option<Rect>,
    /// Time labels, below the heatmap.
    pub times: Rect,
    /// Totals in one line, where the map panel is folded away.
    pub totals: Option<Rect>,
    /// The ramp in one line, where the legend is folded away.
    pub ramp: Option<Rect>,
    /// Key hints and notices.
    pub hints: Option<Rect>,
}

impl Layout {
    /// The layout for a terminal size in cells; `None` if it is too small.
    pub fn new(width: u16, height: u16) -> Option<Self> {
        if width < SMALLEST.0 || height < SMALLEST.1 {
            return None;
        }
        let legend_width = if width >= 80 { 9 } else { 0 };
        let map_width = if width >= 120 { (width / 5).clamp(30, 44) } else { 0 };
        let price_width = if width >= 40 { 10 } else { 8 };
        let heat_width = width - legend_width - map_width - price_width;

        let title_rows = u16::from(height >= 30);
        let hint_rows = u16::from(height >= 12);
        let totals_rows = u16::from(map_width == 0);
        let ramp_rows = u16::from(legend_width == 0 && height >= 14);
        let top = 1 + title_rows;
        let heat_height = height - top - 1 - totals_rows - ramp_rows - hint_rows;

        let row = |y: u16| Rect::new(0, y, width, 1);
        let heat = Rect::new(legend_width, top, heat_width, heat_height);
        let below = heat.bottom();
        Some(Self {
            status: row(0),
            titles: (title_rows == 1).then(|| row(1)),
            legend: (legend_width > 0).then(|| Rect::new(0, top, legend_width, heat_height)),
            heat,
            prices: Rect::new(heat.right(), top, price_width, heat_height),
            map: (map_width > 0).then(|| Rect::new(width - map_width, top, map_width, heat_height)),
            times: Rect::new(heat.x, below, heat.width + price_width, 1),
            totals: (totals_rows == 1).then(|| row(below + 1)),
            ramp: (ramp_rows == 1).then(|| row(below + 1 + totals_rows)),
            hints: (hint_rows == 1).then(|| row(height - 1)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_stay_inside_and_never_overlap_at_any_size() {
        for width in 1..=400 {
            for height in 1..=120 {
                let Some(layout) = Layout::new(width, height) else {
                    assert!(width < 30 || height < 8);
                    continue;
                };
                let screen = Rect::new(0, 0, width, height);
                let folding =
                    [layout.titles, layout.legend, layout.map, layout.totals, layout.ramp, layout.hints];
                let always = [layout.status, layout.heat, layout.prices, layout.times];
                let rooms: Vec<Rect> = always.into_iter().chain(folding.into_iter().flatten()).collect();
                for (i, a) in rooms.iter().enumerate() {
                    assert!(!a.is_empty() && screen.union(*a) == screen, "{width}x{height}: {a:?}");
                    assert!(rooms[..i].iter().all(|b| !a.intersects(*b)), "{width}x{height}: {a:?}");
                }
            }
        }
    }
}
