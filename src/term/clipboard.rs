//! Text for the clipboard of whoever sits at the terminal, by OSC 52: it works over ssh, where no program here reaches that clipboard.
//!
//! What is between decides whether it arrives. mosh takes the form that is written here, up to 16 KiB. tmux takes it as well and
//! passes it on if its option `set-clipboard` is `on` (by default it is `external`, which keeps programs out). GNU screen knows
//! no OSC 52, but passes on what is wrapped for it, in short pieces. A terminal that does not know it, or was told not to, says
//! nothing: there is no answer to wait for.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// Longer texts are cut, bytes: what every link on the way takes.
pub const LONGEST: usize = 4_096;
/// Bytes of the sequence in one piece for screen.
const PIECE: usize = 200;

/// The bytes that put a text on the clipboard. `in_screen`: GNU screen is between.
pub fn copy(text: &str, in_screen: bool) -> Vec<u8> {
    let end = (0..=text.len().min(LONGEST)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let sequence = format!("\u{1b}]52;c;{}\u{7}", BASE64_STANDARD.encode(&text[..end]));
    if !in_screen {
        return sequence.into_bytes();
    }
    let pieces = sequence.as_bytes().chunks(PIECE);
    pieces.flat_map(|piece| [b"\x1bP", piece, b"\x1b\\"].concat()).collect()
}

/// Whether GNU screen is between, as the environment tells.
pub fn in_screen() -> bool {
    std::env::var_os("STY").is_some_and(|v| !v.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_sequence_without_control_characters_of_its_own() {
        // "BTC\n" is QlRDCg== in base 64.
        assert_eq!(copy("BTC\n", false), b"\x1b]52;c;QlRDCg==\x07");
        assert_eq!(copy("\u{1b}]0;x\u{7}", false).iter().filter(|b| b.is_ascii_control()).count(), 2);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = format!("{}é", "x".repeat(LONGEST - 1));
        let bytes = copy(&text, false);
        let inside = &bytes[b"\x1b]52;c;".len()..bytes.len() - 1];
        assert_eq!(BASE64_STANDARD.decode(inside).unwrap(), "x".repeat(LONGEST - 1).as_bytes());
    }

    #[test]
    fn screen_gets_it_in_wrapped_pieces_that_make_up_the_whole() {
        let text = "x".repeat(500);
        let bytes = copy(&text, true);
        let mut whole = Vec::new();
        for piece in bytes.split_inclusive(|b| *b == b'\\') {
            let inside = piece.strip_prefix(b"\x1bP").unwrap().strip_suffix(b"\x1b\\").unwrap();
            assert!(inside.len() <= PIECE);
            whole.extend_from_slice(inside);
        }
        assert_eq!(whole, copy(&text, false));
    }
}
