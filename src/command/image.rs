//! The heatmap as an image under the screen's text: what of it has to be sent for a frame.

use ratatui::layout::Rect;

use crate::app::App;
use crate::picture::Heat;
use crate::term::kitty::{self, Image};

/// The newest columns are an image of their own: only they change while a column is not closed.
const TAIL: usize = 8;

/// What the terminal shows, and what it was made of.
#[derive(Debug, Default)]
pub struct Under {
    heat: Heat,
    /// Its room, and the terminal's size: with another size the terminal was cleared.
    room: (Rect, (u16, u16)),
    /// The pixels of the older columns and of the newest.
    shown: Option<[Vec<u8>; 2]>,
}

impl Under {
    /// The bytes that bring the image up to date, none if nothing changed; and whether there is one. The terminal was cleared if
    /// its size changed.
    pub fn follow(&mut self, app: &App) -> std::io::Result<(Vec<u8>, bool)> {
        let mut bytes = Vec::new();
        let next = self.heat.follow(app).zip(app.layout().map(|layout| (layout.heat, app.size())));
        // An image of another size may have covered cells that the new one does not.
        if next.as_ref().is_none_or(|(_, room)| *room != self.room) && self.shown.take().is_some() {
            bytes.extend(kitty::erase());
        }
        let Some((pixels, place)) = next else { return Ok((bytes, false)) };
        self.room = place;
        let room = place.0;
        let middle = pixels.width.saturating_sub(TAIL);
        let stretches = [0..middle, middle..pixels.width];
        let next = stretches.clone().map(|range| pixels.columns(range));
        for (slot, (range, rgb)) in stretches.into_iter().zip(&next).enumerate() {
            if range.is_empty() || self.shown.as_ref().is_some_and(|shown| shown[slot] == *rgb) {
                continue;
            }
            let image = Image {
                slot: slot as u32,
                at: (room.x + range.start as u16, room.y),
                cells: (range.len() as u16, room.height),
                size: (range.len(), pixels.height),
                rgb,
            };
            image.write(&mut bytes)?;
        }
        self.shown = Some(next);
        Ok((bytes, true))
    }
}
