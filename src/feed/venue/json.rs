//! JSON as venues send it, at full speed.
//!
//! Venues write their frames by machine: no spaces between tokens, no escapes in strings, whole numbers where a count or a time
//! is meant. [`plain`] reads exactly that into any type serde can read, in one pass and without copies, and refuses
//! everything else, right or wrong. What it accepts, `serde_json` accepts with the same result; so [`read`] tries it first
//! and leaves the rest, and the words of every error, to `serde_json`.
//!
//! Keys are the most of a frame. A struct whose fields stand in the order in which the venue writes them is read fastest: each key is then the one that
//! is expected. Fields are told to serde by their place, and what is none of them is not told at all: a type that is read here has no `alias`es,
//! which would shift the places, and does not deny unknown fields.
//!
//! A wire that must know a frame's kind before it can choose a type peeks with [`lead`]. The commonest rows are read by a [`Script`].

mod script;

use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, U64Deserializer};
use serde::de::{self, Deserialize, DeserializeSeed, Visitor};

pub use script::Script;

/// Reads JSON; the errors are `serde_json`'s.
pub fn read<'a, T: Deserialize<'a>>(text: &'a str) -> serde_json::Result<T> {
    match plain(text) {
        Some(value) => Ok(value),
        None => serde_json::from_str(text),
    }
}

/// Reads JSON in the shape venues send, or says `None`: not in that shape, not of that type, or not JSON.
pub fn plain<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    if !is_plain(text) {
        return None;
    }
    let mut plain = Plain { text, at: 0, depth: 0 };
    let value = T::deserialize(&mut plain).ok()?;
    (plain.at == text.len()).then_some(value)
}

/// The string that follows `before` at the start of `text`, and what follows its closing quote; `None` where the text
/// starts otherwise or the string is not plain. `before` ends with the opening quote: `{"topic":"`.
pub fn lead<'a>(text: &'a str, before: &str) -> Option<(&'a str, &'a str)> {
    let rest = text.strip_prefix(before)?;
    let string = rest.get(..string_len(rest.as_bytes())?).filter(|string| is_plain(string))?;
    Some((string, rest.get(string.len() + 1..)?))
}

/// Length of the string that ends at the first quote. Most of the time of reading goes here, so eight bytes are looked at together.
#[inline]
fn string_len(bytes: &[u8]) -> Option<usize> {
    match bytes.first_chunk().map(|eight| quotes(u64::from_le_bytes(*eight))) {
        Some(0) | None => long_string_len(bytes),
        Some(quotes) => Some(first_byte(quotes)),
    }
}

/// [`string_len`] of more or less than eight bytes: apart, or the way of the short ones would be as long as this.
#[inline(never)]
fn long_string_len(bytes: &[u8]) -> Option<usize> {
    let (eights, tail) = bytes.as_chunks();
    for (i, eight) in eights.iter().enumerate() {
        let quotes = quotes(u64::from_le_bytes(*eight));
        if quotes != 0 {
            return Some(8 * i + first_byte(quotes));
        }
    }
    tail.iter().position(|&b| b == b'"').map(|length| 8 * eights.len() + length)
}

/// How many of eight bytes of a string come before its first quote, escape or control character.
#[inline]
pub fn plain_len(eight: [u8; 8]) -> usize {
    let eight = u64::from_le_bytes(eight);
    first_byte(quotes(eight) | equal(eight, b'\\') | below(eight, b' '))
}

/// The top bits of those of eight bytes that are quotes: exact up to the first.
#[inline]
const fn quotes(eight: u64) -> u64 {
    equal(eight, b'"')
}

/// The top bits of those of eight bytes that are this one: exact up to the first.
#[inline]
const fn equal(eight: u64, byte: u8) -> u64 {
    below(eight ^ (ONES * byte as u64), 1)
}

/// The top bits of those of eight bytes that are below a limit: exact up to the first, as a borrow runs only into bytes after it.
#[inline]
const fn below(eight: u64, limit: u8) -> u64 {
    eight.wrapping_sub(ONES * limit as u64) & !eight & (ONES << 7)
}

/// A one in each of eight bytes.
const ONES: u64 = u64::MAX / 255;

/// Which of eight bytes is the first that has its top bit here; 8 where none has.
#[inline]
const fn first_byte(top_bits: u64) -> usize {
    top_bits.trailing_zeros() as usize / 8
}

/// The whole number that digits make, at most 19 of them: those do not overflow.
pub fn whole_number(digits: &str) -> Option<i64> {
    let (number, count) = leading_digits(digits.as_bytes());
    if count == digits.len() && (1..=19).contains(&count) { number.try_into().ok() } else { None }
}

/// The number that the digits at the start make, and how many they are. Of more than 19 the number is none.
fn leading_digits(bytes: &[u8]) -> (u64, usize) {
    let (mut number, mut count) = (0_u64, 0);
    // Times and ids have more than eight.
    while let Some(eight) = bytes.get(count..).and_then(|rest| eight_digits(*rest.first_chunk()?)) {
        number = number.wrapping_mul(100_000_000).wrapping_add(eight);
        count += 8;
    }
    for byte in bytes.get(count..).unwrap_or_default() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        count += 1;
    }
    (number, count)
}

/// The number that eight digits make: neighbours are put together, to pairs, fours and eight.
#[inline]
fn eight_digits(bytes: [u8; 8]) -> Option<u64> {
    const ZEROS: u64 = ONES * b'0' as u64;
    let digits = u64::from_le_bytes(bytes) ^ ZEROS;
    // Up to nine nothing is carried into the upper half of a byte, nor is there anything.
    if (digits | digits.wrapping_add(ONES * 6)) & (ONES * 0xf0) != 0 {
        return None;
    }
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

/// Whether nothing in a text is an escape or a control character. Asked once for a whole frame, where it takes many bytes at a time, rather than for each
/// of its strings.
fn is_plain(text: &str) -> bool {
    text.bytes().fold(0, |odd, byte| odd | u8::from(byte < b' ') | u8::from(byte == b'\\')) == 0
}

/// Deepest nesting read; no venue's frame comes near.
const DEEPEST: u8 = 16;

/// The text is not plain, or not of the type wanted. It carries no words: `serde_json` finds them.
#[derive(Debug)]
struct NotPlain;

impl fmt::Display for NotPlain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not plain JSON of the type wanted")
    }
}

impl std::error::Error for NotPlain {}

impl de::Error for NotPlain {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// A place in a text.
struct Plain<'a> {
    text: &'a str,
    at: usize,
    depth: u8,
}

impl<'a> Plain<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes one byte if it is this one.
    #[inline]
    fn took(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    #[inline]
    fn want(&mut self, byte: u8) -> Result<(), NotPlain> {
        if self.took(byte) { Ok(()) } else { Err(NotPlain) }
    }

    fn word(&mut self, word: &str) -> Result<(), NotPlain> {
        let rest = self.text.as_bytes().get(self.at..).ok_or(NotPlain)?;
        self.at += word.len();
        if rest.starts_with(word.as_bytes()) { Ok(()) } else { Err(NotPlain) }
    }

    #[inline]
    fn string(&mut self) -> Result<&'a str, NotPlain> {
        let from = self.at + 1;
        self.skip_string()?;
        self.text.get(from..self.at - 1).ok_or(NotPlain)
    }

    #[inline]
    fn skip_string(&mut self) -> Result<(), NotPlain> {
        self.want(b'"')?;
        let rest = self.text.as_bytes().get(self.at..).ok_or(NotPlain)?;
        self.at += string_len(rest).ok_or(NotPlain)? + 1;
        Ok(())
    }

    /// Takes a key and its colon if it is this one, which has nothing in it that would be escaped.
    #[inline]
    fn took_key(&mut self, key: &str) -> bool {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let is_key = match rest
            .split_first()
            .and_then(|(quote, rest)| Some((quote, rest.split_at_checked(key.len())?)))
        {
            Some((b'"', (here, [b'"', b':', ..]))) => here.iter().eq(key.as_bytes()),
            _ => false,
        };
        self.at += if is_key { key.len() + 3 } else { 0 };
        is_key
    }

    /// Digits without a needless leading zero, and how many they are.
    #[inline]
    fn digits(&mut self) -> Result<(u64, usize), NotPlain> {
        let rest = self.text.as_bytes().get(self.at..).ok_or(NotPlain)?;
        let (number, count) = leading_digits(rest);
        self.at += count;
        let padded = count > 1 && rest.first() == Some(&b'0');
        if count == 0 || padded { Err(NotPlain) } else { Ok((number, count)) }
    }

    /// A whole number of at most 18 digits: it cannot overflow. What follows it is the caller's to check, so that neither
    /// `1.5` nor `1e9` passes for a 1.
    fn whole<V: Visitor<'a>>(&mut self, visitor: V) -> Result<V::Value, NotPlain> {
        let negative = self.took(b'-');
        match self.digits()? {
            (number, ..=18) if !negative => visitor.visit_u64(number),
            (number @ 1.., ..=18) => visitor.visit_i64(-(number as i64)),
            _ => Err(NotPlain),
        }
    }

    /// What is read inside one more level of nesting, between `open` and `close`.
    fn nested<T>(
        &mut self,
        open: u8,
        close: u8,
        inside: impl FnOnce(&mut Self) -> Result<T, NotPlain>,
    ) -> Result<T, NotPlain> {
        self.want(open)?;
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(NotPlain);
        }
        let value = inside(self)?;
        self.depth -= 1;
        // A visitor that left members unread stops here.
        self.want(close)?;
        Ok(value)
    }

    /// Reads a value nobody wants, as strictly as one that is wanted.
    fn skip(&mut self) -> Result<(), NotPlain> {
        match self.peek().ok_or(NotPlain)? {
            b'"' => self.skip_string(),
            b'{' => self.nested(b'{', b'}', |plain| {
                let mut members = Members { plain, first: true };
                while members.next(b'}')? {
                    members.plain.skip_string()?;
                    members.plain.want(b':')?;
                    members.plain.skip()?;
                }
                Ok(())
            }),
            b'[' => self.nested(b'[', b']', |plain| {
                let mut members = Members { plain, first: true };
                while members.next(b']')? {
                    members.plain.skip()?;
                }
                Ok(())
            }),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => {
                self.took(b'-');
                self.digits()?;
                if self.took(b'.') {
                    let start = self.at;
                    while self.peek().is_some_and(|b| b.is_ascii_digit()) {
                        self.at += 1;
                    }
                    if self.at == start {
                        return Err(NotPlain);
                    }
                }
                Ok(())
            }
        }
    }
}

/// The members of an object or an array, with the commas between them.
struct Members<'p, 'a> {
    plain: &'p mut Plain<'a>,
    first: bool,
}

impl Members<'_, '_> {
    /// Whether another member follows before `close`, which stays unread.
    #[inline]
    fn next(&mut self, close: u8) -> Result<bool, NotPlain> {
        let first = std::mem::take(&mut self.first);
        if self.plain.peek() == Some(close) {
            return Ok(false);
        }
        if !first {
            self.plain.want(b',')?;
        }
        Ok(true)
    }
}

impl<'a> de::MapAccess<'a> for Members<'_, 'a> {
    type Error = NotPlain;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, NotPlain> {
        if !self.next(b'}')? {
            return Ok(None);
        }
        let key = self.plain.string()?;
        self.plain.want(b':')?;
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, NotPlain> {
        seed.deserialize(&mut *self.plain)
    }
}

/// The members of an object that is read into a struct.
struct Fields<'p, 'a> {
    members: Members<'p, 'a>,
    /// The struct's fields, in its order.
    names: &'static [&'static str],
    /// The field that is next if the venue writes them in that order: its key need not be searched among all.
    due: usize,
}

impl Fields<'_, '_> {
    /// The place of the next field where it is not the one that is due; what is no field is passed over. Apart, so that the usual way stays short.
    #[inline(never)]
    fn search(&mut self) -> Result<Option<usize>, NotPlain> {
        loop {
            let plain = &mut *self.members.plain;
            let key = plain.string()?;
            plain.want(b':')?;
            let is_key = |name: &&str| name.len() == key.len() && name.bytes().eq(key.bytes());
            let (earlier, later) = self.names.split_at_checked(self.due).unwrap_or_default();
            let place = later.iter().position(is_key).map(|ahead| self.due + ahead);
            if let Some(place) = place.or_else(|| earlier.iter().position(is_key)) {
                return Ok(Some(place));
            }
            plain.skip()?;
            if !self.members.next(b'}')? {
                return Ok(None);
            }
        }
    }
}

impl<'a> de::MapAccess<'a> for Fields<'_, 'a> {
    type Error = NotPlain;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, NotPlain> {
        if !self.members.next(b'}')? {
            return Ok(None);
        }
        let is_due = self.names.get(self.due).is_some_and(|name| self.members.plain.took_key(name));
        let Some(place) = (if is_due { Some(self.due) } else { self.search()? }) else { return Ok(None) };
        self.due = place + 1;
        seed.deserialize(U64Deserializer::new(place as u64)).map(Some)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, NotPlain> {
        self.members.next_value_seed(seed)
    }
}

impl<'a> de::SeqAccess<'a> for Members<'_, 'a> {
    type Error = NotPlain;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, NotPlain> {
        if self.next(b']')? { seed.deserialize(&mut *self.plain).map(Some) } else { Ok(None) }
    }
}

/// Forwards the methods of those types that are told by their first byte.
macro_rules! told_by_first_byte {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, NotPlain> {
            self.deserialize_any(visitor)
        })*
    };
}

impl<'a> de::Deserializer<'a> for &mut Plain<'a> {
    type Error = NotPlain;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        match self.peek().ok_or(NotPlain)? {
            b'"' => visitor.visit_borrowed_str(self.string()?),
            b'{' => self.nested(b'{', b'}', |plain| visitor.visit_map(Members { plain, first: true })),
            b'[' => self.nested(b'[', b']', |plain| visitor.visit_seq(Members { plain, first: true })),
            b't' => self.word("true").and_then(|()| visitor.visit_bool(true)),
            b'f' => self.word("false").and_then(|()| visitor.visit_bool(false)),
            b'n' => self.word("null").and_then(|()| visitor.visit_unit()),
            _ => self.whole(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_borrowed_str(self.string()?)
    }

    fn deserialize_string<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        self.deserialize_str(visitor)
    }

    fn deserialize_i64<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        self.whole(visitor)
    }

    fn deserialize_u64<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        self.whole(visitor)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        if self.peek() == Some(b'n') {
            self.word("null")?;
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    /// `serde_json`'s raw values come by a name of its own; they are left to it.
    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, NotPlain> {
        if name.starts_with('$') { Err(NotPlain) } else { visitor.visit_newtype_struct(self) }
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        self.nested(b'[', b']', |plain| visitor.visit_seq(Members { plain, first: true }))
    }

    fn deserialize_tuple<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, NotPlain> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, NotPlain> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        self.nested(b'{', b'}', |plain| visitor.visit_map(Members { plain, first: true }))
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NotPlain> {
        self.nested(b'{', b'}', |plain| {
            visitor.visit_map(Fields { members: Members { plain, first: true }, names, due: 0 })
        })
    }

    /// Only variants without content, which are written as a string.
    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NotPlain> {
        visitor.visit_enum(BorrowedStrDeserializer::new(self.string()?))
    }

    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        self.skip()?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, NotPlain> {
        self.deserialize_any(visitor)
    }

    told_by_first_byte! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i128 deserialize_u8 deserialize_u16
        deserialize_u32 deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char deserialize_bytes
        deserialize_byte_buf deserialize_unit deserialize_identifier
    }
}

#[cfg(test)]
pub(super) mod tests;
