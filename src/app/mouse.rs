//! What the mouse does: a click places the crosshair, a drag moves the map, the wheel zooms.

use crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::{App, Crosshair, Effect};

impl App {
    pub(super) fn mouse(&mut self, event: MouseEvent) -> Effect {
        let at = Position::new(event.column, event.row);
        let wheel = match event.kind {
            MouseEventKind::ScrollUp => Some(true),
            MouseEventKind::ScrollDown => Some(false),
            _ => None,
        };
        if self.popup.is_some() {
            return match wheel {
                Some(up) => self.key(if up { KeyCode::Up } else { KeyCode::Down }.into()),
                None => Effect::None,
            };
        }
        let Some(layout) = self.layout else { return Effect::None };
        let beside = [Some(layout.prices), layout.depth, layout.map];
        let on_prices = beside.into_iter().flatten().any(|room| room.contains(at));
        let on_heat = layout.heat.contains(at);
        match event.kind {
            MouseEventKind::Down(MouseButton::Left) if on_heat => {
                self.dragged = Some((at.x, at.y));
                self.point_at(at, layout.heat);
            }
            MouseEventKind::Drag(MouseButton::Left) => {
                let Some(from) = self.dragged.replace((at.x, at.y)) else {
                    self.dragged = None;
                    return Effect::None;
                };
                self.drag(from, (at.x, at.y));
            }
            MouseEventKind::Up(MouseButton::Left) if self.dragged.take().is_some() => return Effect::None,
            MouseEventKind::Down(MouseButton::Right) if self.crosshair.take().is_some() => {}
            _ => match wheel {
                Some(closer) if on_prices || on_heat && event.modifiers.intersects(ABOUT_PRICE) => {
                    let position = self.position_at(at.y, layout.heat);
                    self.viewport.zoom_price_about(&self.snapshot.bins, closer, position);
                }
                Some(closer) if on_heat => self.viewport.zoom_time(closer),
                _ => return Effect::None,
            },
        }
        self.refresh();
        Effect::Redraw
    }

    /// The bin position in the middle of a cell's row.
    fn position_at(&self, y: u16, heat: Rect) -> f64 {
        let g = self.grid.geometry;
        g.low + (2.0 * f64::from(heat.bottom().saturating_sub(y + 1)) + 1.0) * g.step
    }

    fn point_at(&mut self, at: Position, heat: Rect) {
        let g = self.grid.geometry;
        if self.viewport.half > 0.0 {
            let position = self.position_at(at.y, heat);
            self.crosshair = Some(Crosshair { ts: g.time(usize::from(at.x - heat.x)), position });
        }
    }

    fn drag(&mut self, from: (u16, u16), to: (u16, u16)) {
        let cells = |from: u16, to: u16| i64::from(to) - i64::from(from);
        let (right, down) = (cells(from.0, to.0), cells(from.1, to.1));
        if right != 0 {
            self.pan_columns(-right);
        }
        if down != 0 && self.viewport.half > 0.0 {
            self.viewport.centre += 2.0 * down as f64 * self.grid.geometry.step;
            self.viewport.auto_price = false;
        }
    }
}

/// With one of these the wheel zooms price over the map, too.
const ABOUT_PRICE: KeyModifiers = KeyModifiers::CONTROL.union(KeyModifiers::SHIFT);
