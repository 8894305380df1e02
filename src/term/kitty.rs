//! Images under the text, by kitty's graphics protocol (`docs/graphics-protocol.rst` of kitty): kitty and ghostty draw them.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;

/// Base 64 in one escape sequence; more goes in further ones.
const CHUNK: usize = 4_096;
/// Below half of the least number an image lies under the cells' backgrounds too, where they have one of their own: popups cover it.
const DEPTH: i32 = i32::MIN / 2 - 1;
/// Ours are counted from here: a terminal's images are shared by all that run in it one after another.
const FIRST_ID: u32 = 0x6d65_6c74;
/// No more are ever shown at once.
const IMAGES: u32 = 2;

/// Whether the terminal shows an image of ours. There is one terminal, and whoever gives it back must know without a handle.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// Whether a program is between that takes images for noise, as the environment tells.
pub fn is_between(var: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| var(name).filter(|v| !v.is_empty());
    let term = set("TERM").unwrap_or_default();
    ["TMUX", "STY", "ZELLIJ"].into_iter().any(|name| set(name).is_some())
        || ["screen", "tmux"].into_iter().any(|name| term.starts_with(name))
}

/// Whether what the environment tells of the terminal says that it draws such images, and nothing is between that would not.
pub fn is_likely(var: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| var(name).filter(|v| !v.is_empty());
    let term = set("TERM").unwrap_or_default();
    let is_known = ["xterm-kitty", "xterm-ghostty", "ghostty"].contains(&term.as_str())
        // The name of the terminal is often changed for hosts that do not know it.
        || ["KITTY_WINDOW_ID", "GHOSTTY_RESOURCES_DIR"].into_iter().any(|name| set(name).is_some());
    is_known && !is_between(&var)
}

/// An image and the cells it fills.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    /// Which of ours, from 0.
    pub slot: u32,
    /// Its upper left cell, counted from 0.
    pub at: (u16, u16),
    /// Columns and rows of cells it is scaled to.
    pub cells: (u16, u16),
    /// Pixels across and down.
    pub size: (usize, usize),
    /// Red, green, blue; row by row.
    pub rgb: &'a [u8],
}

impl Image<'_> {
    /// Adds the sequences that show it in place of the one that was in its slot. The terminal answers nothing, and the cursor is
    /// left at its upper left cell.
    pub fn write(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
        packed.write_all(self.rgb)?;
        let data = BASE64_STANDARD.encode(packed.finish()?);
        write!(out, "\x1b[{};{}H", self.at.1 + 1, self.at.0 + 1)?;
        let chunks = data.as_bytes().chunks(CHUNK);
        let last = chunks.len() - 1;
        for (i, chunk) in chunks.enumerate() {
            let more = u8::from(i < last);
            if i == 0 {
                let ((columns, rows), (width, height)) = (self.cells, self.size);
                let id = FIRST_ID + self.slot;
                write!(
                    out,
                    "\x1b_Ga=T,q=2,f=24,o=z,i={id},p=1,s={width},v={height},c={columns},r={rows},C=1,z={DEPTH},m={more};"
                )?;
            } else {
                write!(out, "\x1b_Gq=2,m={more};")?;
            }
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\x1b\\");
        }
        SHOWN.store(true, Ordering::SeqCst);
        Ok(())
    }
}

/// The sequences with which the terminal is given back; none if it shows none of our images.
pub fn leave() -> Vec<u8> {
    if SHOWN.load(Ordering::SeqCst) { erase() } else { Vec::new() }
}

/// The sequences that take our images away and free them.
pub fn erase() -> Vec<u8> {
    SHOWN.store(false, Ordering::SeqCst);
    (0..IMAGES)
        .flat_map(|slot| format!("\x1b_Ga=d,d=I,q=2,i={}\x1b\\", FIRST_ID + slot).into_bytes())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likely(env: &[(&str, &str)]) -> bool {
        is_likely(|name| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn terminals_are_told_by_name_and_a_multiplexer_between_rules_them_out() {
        assert!(likely(&[("TERM", "xterm-kitty")]) && likely(&[("TERM", "xterm-ghostty")]));
        assert!(likely(&[("TERM", "xterm-256color"), ("KITTY_WINDOW_ID", "1")]));
        assert!(!likely(&[("TERM", "xterm-256color")]) && !likely(&[]));
        let kitty = ("KITTY_WINDOW_ID", "1");
        assert!(!likely(&[("TERM", "tmux-256color"), kitty]));
        assert!(!likely(&[("TERM", "xterm-kitty"), ("TMUX", "socket,1,0")]));
        assert!(!likely(&[("TERM", "screen.xterm-256color"), kitty]));
    }

    #[test]
    fn a_large_image_goes_in_chunks_of_which_only_the_first_has_the_keys() {
        // Noise does not pack: 60×60 pixels are 10800 bytes, 14400 in base 64.
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let rgb: Vec<u8> = (0..60 * 60 * 3).map(|_| noise()).collect();
        let image = Image { slot: 1, at: (9, 2), cells: (30, 20), size: (60, 60), rgb: &rgb };
        let mut out = Vec::new();
        image.write(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let mut sequences = text.split("\u{1b}_G");
        assert_eq!(sequences.next(), Some("\u{1b}[3;10H"));
        let bodies: Vec<(&str, &str)> =
            sequences.map(|s| s.strip_suffix("\u{1b}\\").unwrap().split_once(';').unwrap()).collect();
        assert!(bodies.len() >= 3);
        let keys = bodies[0].0;
        assert_eq!(keys, "a=T,q=2,f=24,o=z,i=1835363445,p=1,s=60,v=60,c=30,r=20,C=1,z=-1073741825,m=1");
        let (last, others) = bodies.split_last().unwrap();
        assert!(others[1..].iter().all(|b| b.0 == "q=2,m=1") && last.0 == "q=2,m=0");
        assert!(others.iter().all(|b| b.1.len() == CHUNK) && last.1.len() <= CHUNK);
        // What is erased need not be erased again.
        let erased = String::from_utf8(leave()).unwrap();
        assert!(erased.contains("d=I,q=2,i=1835363445"), "{erased}");
        assert_eq!(leave(), b"");
    }
}
