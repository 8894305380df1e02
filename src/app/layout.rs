//! Where the panels lie, and which of them fold away as the terminal shrinks.
//!
//! | panel | needs | key |
//! |---|---|---|
//! | heatmap, price and time axis, status | 30×8, always there | |
//! | key hints | 12 rows | |
//! | legend beside the heatmap | 80 columns; below that the ramp in one line, from 14 rows on | |
//! | totals in one line | always there, unless the map says them | |
//! | titles with the hot zones | 30 rows | |
//! | liquidation bars | 28 rows | `b` |
//! | map | 120 columns | |
//! | depth of market | 140 columns and the map | `d` |
//! | pools | 40 rows | `g` |
//! | tape | 40 rows, 76 columns | `t` |
//! | market: open interest, funding, skew | 40 rows, 114 columns | `o` |
//!
//! As a terminal loses rows, pools, tape and market go first, then titles, bars, the ramp, the hints. As it loses columns, depth goes
//! first, then the map, the market, the legend, the tape. A panel that is switched off leaves its room to the others: of pools,
//! tape and market those that are wanted share the row, in this order, as many as have 38 columns.

use ratatui::layout::Rect;

use super::panels::Panels;
use super::viewport::Geometry;

/// Below this nothing useful fits.
pub const SMALLEST: (u16, u16) = (30, 8);
/// Columns a panel of the row needs, unless it is alone.
const NARROWEST: u16 = 38;

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
    /// Resting orders by price, in the rows of the heatmap.
    pub depth: Option<Rect>,
    /// Levels by price now, with cumulative curves.
    pub map: Option<Rect>,
    /// Time labels, below the heatmap.
    pub times: Rect,
    /// Observed liquidations, in the columns of the heatmap.
    pub bars: Option<Rect>,
    /// Pools beside price; the first row is the title.
    pub pools: Option<Rect>,
    /// The newest observed liquidations; the first row is the title.
    pub tape: Option<Rect>,
    /// Open interest, funding, skew; the first row is the title.
    pub market: Option<Rect>,
    /// Totals in one line, where the map panel is folded away.
    pub totals: Option<Rect>,
    /// The ramp in one line, where the legend is folded away.
    pub ramp: Option<Rect>,
    /// Key hints and notices.
    pub hints: Option<Rect>,
}

impl Layout {
    /// The layout for a terminal size in cells and the panels that are wanted; `None` if it is too small.
    pub fn new(width: u16, height: u16, panels: Panels) -> Option<Self> {
        if width < SMALLEST.0 || height < SMALLEST.1 {
            return None;
        }
        let legend_width = if width >= 80 { 9 } else { 0 };
        let map_width = if width >= 120 { (width / 5).clamp(30, 44) } else { 0 };
        let depth_width = match width {
            140..200 if panels.depth => 11,
            200.. if panels.depth => 15,
            _ => 0,
        };
        let price_width = if width >= 40 { 10 } else { 8 };
        let heat_width = width - legend_width - map_width - depth_width - price_width;

        let title_rows = u16::from(height >= 30);
        let hint_rows = u16::from(height >= 12);
        let totals_rows = u16::from(map_width == 0);
        let ramp_rows = u16::from(legend_width == 0 && height >= 14);
        let bar_rows = match height {
            28..56 if panels.bars => 4,
            56.. if panels.bars => 6,
            _ => 0,
        };
        let wanted = [panels.pools, panels.tape, panels.market];
        let row_rows = match height {
            40..46 => 6,
            46..56 => 8,
            56.. => 9,
            _ => 0,
        } * u16::from(wanted.contains(&true));
        let top = 1 + title_rows;
        let heat_height = height - top - 1 - bar_rows - row_rows - totals_rows - ramp_rows - hint_rows;

        let row = |y: u16| Rect::new(0, y, width, 1);
        let heat = Rect::new(legend_width, top, heat_width, heat_height);
        let bars_top = heat.bottom() + 1;
        let row_top = bars_top + bar_rows;
        let below = row_top + row_rows;
        let [pools, tape, market] = shared(Rect::new(0, row_top, width, row_rows), wanted);
        let beside = |x: u16, width: u16| (width > 0).then(|| Rect::new(x, top, width, heat_height));
        Some(Self {
            status: row(0),
            titles: (title_rows == 1).then(|| row(1)),
            legend: beside(0, legend_width),
            heat,
            prices: Rect::new(heat.right(), top, price_width, heat_height),
            depth: beside(heat.right() + price_width, depth_width),
            map: beside(width - map_width, map_width),
            times: Rect::new(heat.x, heat.bottom(), heat.width + price_width, 1),
            bars: (bar_rows > 0).then_some(Rect { y: bars_top, height: bar_rows, ..heat }),
            pools,
            tape,
            market,
            totals: (totals_rows == 1).then(|| row(below)),
            ramp: (ramp_rows == 1).then(|| row(below + totals_rows)),
            hints: (hint_rows == 1).then(|| row(height - 1)),
        })
    }
}

/// The map's place in time and price, and the room on the screen whose columns go left as time goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    geometry: Geometry,
    room: Rect,
}

impl Place {
    /// The place of a map in a layout: heatmap, times and bars move.
    pub fn new(geometry: Geometry, layout: &Layout) -> Self {
        let bottom = layout.bars.map_or(layout.times.bottom(), Rect::bottom);
        Self { geometry, room: Rect { height: bottom - layout.heat.y, ..layout.heat } }
    }

    /// The room that went left and by how many columns, if that is all that happened since another place.
    pub fn moved_since(&self, before: &Self) -> Option<(Rect, u16)> {
        let columns = self.geometry.moved_since(&before.geometry)?;
        (self.room == before.room).then_some((self.room, columns))
    }
}

/// Shares a row among pools, tape and market: the first that are wanted and for which there is room. The tape needs less than the
/// others and gets no more than it needs.
fn shared(room: Rect, wanted: [bool; 3]) -> [Option<Rect>; 3] {
    let mut shown = [None; 3];
    if room.height == 0 {
        return shown;
    }
    let mut left = usize::from((room.width / NARROWEST).max(1));
    let fits = wanted.map(|is_wanted| {
        let fits = is_wanted && left > 0;
        left -= usize::from(fits);
        fits
    });
    let count = fits.iter().filter(|fits| **fits).count() as u16;
    let tape = if fits[1] && count > 1 { (room.width / 4).clamp(NARROWEST, 46) } else { 0 };
    let others = count - u16::from(tape > 0);
    let mut x = room.x;
    let mut others_left = others;
    for (i, _) in fits.iter().enumerate().filter(|(_, fits)| **fits) {
        let width = if i == 1 && tape > 0 {
            tape
        } else {
            let tape_ahead = if i == 0 { tape } else { 0 };
            let width = (room.right() - x - tape_ahead) / others_left.max(1);
            others_left -= 1;
            width
        };
        shown[i] = Some(Rect { x, width, ..room });
        x += width;
    }
    // The last takes what division left over.
    if let Some(last) = shown.iter_mut().rev().flatten().next() {
        last.width = room.right() - last.x;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_choice() -> impl Iterator<Item = Panels> {
        (0..32_u8).map(|bits| {
            let on = |i: u8| bits & (1 << i) != 0;
            Panels { bars: on(0), depth: on(1), pools: on(2), tape: on(3), market: on(4) }
        })
    }

    #[test]
    fn rooms_stay_inside_and_never_overlap_at_any_size() {
        let sizes = (1..=400).step_by(3).flat_map(|w| (1..=120).map(move |h| (w, h)));
        for ((width, height), panels) in sizes.zip(every_choice().collect::<Vec<_>>().into_iter().cycle()) {
            let Some(layout) = Layout::new(width, height, panels) else {
                assert!(width < 30 || height < 8);
                continue;
            };
            let screen = Rect::new(0, 0, width, height);
            let folding = [
                layout.titles,
                layout.legend,
                layout.depth,
                layout.map,
                layout.bars,
                layout.pools,
                layout.tape,
                layout.market,
                layout.totals,
                layout.ramp,
                layout.hints,
            ];
            let always = [layout.status, layout.heat, layout.prices, layout.times];
            let rooms: Vec<Rect> = always.into_iter().chain(folding.into_iter().flatten()).collect();
            for (i, a) in rooms.iter().enumerate() {
                assert!(!a.is_empty() && screen.union(*a) == screen, "{width}x{height}: {a:?}");
                assert!(rooms[..i].iter().all(|b| !a.intersects(*b)), "{width}x{height}: {a:?}");
            }
            assert!(2 * layout.heat.height >= height / 2, "{width}x{height}: {:?}", layout.heat);
        }
    }

    #[test]
    fn panels_fold_in_the_order_of_the_table() {
        let at = |width, height| Layout::new(width, height, Panels::default()).unwrap();
        let row = |l: Layout| [l.pools, l.tape, l.market].map(|p| p.map(|r| r.width));
        assert_eq!(row(at(160, 50)), [Some(60), Some(40), Some(60)]);
        assert_eq!(row(at(114, 50)), [Some(38), Some(38), Some(38)]);
        assert_eq!(row(at(100, 50)), [Some(62), Some(38), None]);
        assert_eq!(row(at(50, 40)), [Some(50), None, None]);
        assert_eq!(row(at(160, 39)), [None; 3]);
        assert!(at(100, 30).bars.is_some() && at(80, 24).bars.is_none());
        assert!(at(140, 50).depth.is_some() && at(139, 50).depth.is_none() && at(139, 50).map.is_some());
        let panels = Panels { pools: false, bars: false, ..Panels::default() };
        let without = Layout::new(50, 40, panels).unwrap();
        assert_eq!(row(without), [None, Some(50), None], "the next one takes the room");
        assert!(without.bars.is_none());
    }
}
