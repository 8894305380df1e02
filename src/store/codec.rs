//! Columns and states as bytes: every number bit for bit, packed, with a digest that tells damage and difference.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::estimate::Column;

/// How hard zstd tries: columns are small and many.
const LEVEL: i32 = 3;
/// No body is larger than this once unpacked.
const MOST: usize = 256 << 20;

/// A body as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Packed bytes.
    pub bytes: Vec<u8>,
    /// Of the bytes before they were packed.
    pub digest: i64,
}

/// Why a body is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// It cannot be unpacked, or its digest is another.
    #[error("it is damaged")]
    Damaged,
    /// It is whole, but not what it should be.
    #[error("it is not what this version writes")]
    Strange,
}

/// FNV-1a over 64 bits: the same on every machine and in every version.
pub fn digest(bytes: &[u8]) -> i64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.cast_signed()
}

/// Bytes of anything.
pub fn encode(value: &impl Serialize) -> Result<Body, CodecError> {
    pack(&plain(value)?)
}

/// Bytes of anything whose digest is another than one that is known; `None` where it is the same.
pub fn encode_changed(value: &impl Serialize, known: Option<i64>) -> Result<Option<Body>, CodecError> {
    let plain = plain(value)?;
    if known == Some(digest(&plain)) { Ok(None) } else { pack(&plain).map(Some) }
}

fn plain(value: &impl Serialize) -> Result<Vec<u8>, CodecError> {
    postcard::to_stdvec(value).map_err(|_| CodecError::Strange)
}

fn pack(plain: &[u8]) -> Result<Body, CodecError> {
    let bytes = zstd::bulk::compress(plain, LEVEL).map_err(|_| CodecError::Strange)?;
    Ok(Body { bytes, digest: digest(plain) })
}

/// What the bytes were made of.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], told: i64) -> Result<T, CodecError> {
    let size = zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten();
    let size =
        size.and_then(|s| usize::try_from(s).ok()).filter(|s| *s <= MOST).ok_or(CodecError::Damaged)?;
    let plain = zstd::bulk::decompress(bytes, size).map_err(|_| CodecError::Damaged)?;
    if digest(&plain) != told {
        return Err(CodecError::Damaged);
    }
    postcard::from_bytes(&plain).map_err(|_| CodecError::Strange)
}

/// A column's digest: equal columns have equal ones.
pub fn column_digest(column: &Column) -> i64 {
    // Nothing in a column can fail to be written.
    postcard::to_stdvec(column).map_or(0, |plain| digest(&plain))
}

/// A column, whose parts fit each other.
pub fn decode_column(bytes: &[u8], told: i64) -> Result<Column, CodecError> {
    let column: Column = decode(bytes, told)?;
    if column.is_sound() { Ok(column) } else { Err(CodecError::Strange) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_fnv_1a() {
        // Vectors published with the algorithm.
        assert_eq!(digest(b"").cast_unsigned(), 0xcbf2_9ce4_8422_2325);
        assert_eq!(digest(b"a").cast_unsigned(), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(digest(b"foobar").cast_unsigned(), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn numbers_come_back_bit_for_bit_and_damage_is_seen() {
        let values = vec![0.1, -0.0, f64::MIN_POSITIVE, 1e-310, 1.0 / 3.0, f64::MAX, f64::INFINITY];
        let body = encode(&values).unwrap();
        let back: Vec<f64> = decode(&body.bytes, body.digest).unwrap();
        let bits = |v: &[f64]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back), bits(&values));
        assert_eq!(decode::<Vec<f64>>(&body.bytes, body.digest + 1), Err(CodecError::Damaged));
        assert_eq!(decode::<Vec<f64>>(&[], body.digest), Err(CodecError::Damaged));
        for at in 0..body.bytes.len() {
            let mut bytes = body.bytes.clone();
            bytes[at] ^= 0x10;
            let read = decode::<Vec<f64>>(&bytes, body.digest);
            assert!(read.is_err() || read.is_ok_and(|v| bits(&v) == bits(&values)), "byte {at}");
        }
    }
}
