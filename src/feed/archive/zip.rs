//! The one file in a `.zip`, as exchanges ship their days.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ZipArchive};

/// Opens the only file in an archive, as it is unpacked.
pub fn open(path: &Path) -> anyhow::Result<Box<dyn Read + Send>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    find(file).with_context(|| format!("cannot unpack {}", path.display()))
}

fn find(mut file: File) -> anyhow::Result<Box<dyn Read + Send>> {
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let archive = ZipArchive::from_file(file.try_clone()?, &mut buffer)
        .map_err(|_| anyhow::anyhow!("it is no whole .zip: get it anew"))?;
    let mut entries = archive.entries(&mut buffer);
    let mut found = None;
    while let Some(entry) = entries.next_entry()? {
        if entry.is_dir() {
            continue;
        }
        ensure!(found.is_none(), "it holds several files: unpack it and name them");
        found = Some((entry.wayfinder(), entry.compression_method(), entry.crc32()));
    }
    let Some((place, method, crc)) = found else { bail!("it is empty") };
    let (start, end) = archive.get_entry(place)?.compressed_data_range();
    file.seek(SeekFrom::Start(start))?;
    let packed = BufReader::with_capacity(1 << 16, file.take(end.saturating_sub(start)));
    Ok(match method {
        CompressionMethod::DEFLATE => Box::new(Checked::new(DeflateDecoder::new(packed), crc)),
        CompressionMethod::STORE => Box::new(Checked::new(packed, crc)),
        _ => bail!("it is packed in a way that is not read here: unpack it"),
    })
}

/// Tells at the end if what was read is not what was packed.
struct Checked<R> {
    inner: R,
    seen: Crc,
    told: u32,
}

impl<R> Checked<R> {
    fn new(inner: R, told: u32) -> Self {
        Self { inner, seen: Crc::new(), told }
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        if read == 0 && !buf.is_empty() && self.seen.sum() != self.told {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its checksum is wrong"));
        }
        self.seen.update(buf.get(..read).unwrap_or_default());
        Ok(read)
    }
}
