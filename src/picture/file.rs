//! Pictures on disk: whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use ratatui::buffer::Buffer;

use super::raster::Pixels;

/// Names that are tried where a picture of the same second is there already.
const TRIES: u32 = 999;

/// Writes a frame as PNG to a file, in place of what is there: first to a file beside it, so that nobody sees half a picture. What
/// is no file (a pipe, a device) is written to as it is. A new file may be read by all, as far as the umask lets them.
pub fn save(path: &Path, frame: &Buffer) -> io::Result<()> {
    let pixels = Pixels::new(frame);
    if path.metadata().is_ok_and(|m| !m.is_file() && !m.is_dir()) {
        return finish(BufWriter::new(OpenOptions::new().write(true).open(path)?), &pixels).map(drop);
    }
    // What a link points to is replaced, not the link.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no file name"))?;
    let mut beside = name.to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = path.with_file_name(beside);
    let written = (|| {
        finish(BufWriter::new(create(&beside)?), &pixels)?.sync_all()?;
        std::fs::rename(&beside, &path)
    })();
    if written.is_err() {
        // Nothing is to be done about a leftover that cannot be removed either.
        let _ = std::fs::remove_file(&beside);
    }
    written
}

/// As [`save`], into a folder (empty: the current one) under a name that no file has: `STEM.png`, else `STEM-2.png` and so on. The
/// folder is made if it is missing.
pub fn save_new(dir: &Path, stem: &str, frame: &Buffer) -> io::Result<PathBuf> {
    if !dir.as_os_str().is_empty() {
        std::fs::create_dir_all(dir)?;
    }
    for n in 1..=TRIES {
        let path = dir.join(if n == 1 { format!("{stem}.png") } else { format!("{stem}-{n}.png") });
        if !path.try_exists()? {
            save(&path, frame)?;
            return Ok(path);
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "too many pictures of one second"))
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
    options.open(path)
}

fn finish(mut out: BufWriter<File>, pixels: &Pixels) -> io::Result<File> {
    pixels.write_png(&mut out)?;
    out.flush()?;
    out.into_inner().map_err(io::IntoInnerError::into_error)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use ratatui::layout::Rect;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            dir.read_dir().unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole_and_a_link_stays_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("a.png"), dir.path().join("link.png"));
        std::fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        save(&link, &Buffer::empty(Rect::new(0, 0, 4, 2))).unwrap();
        assert!(link.is_symlink());
        assert!(std::fs::read(&file).unwrap().starts_with(b"\x89PNG"));
        assert_eq!(names(dir.path()), ["a.png", "link.png"], "no leftovers");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o133, 0);
    }

    #[test]
    fn a_new_name_is_found_beside_the_pictures_of_the_same_second() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("made").join("here");
        let frame = Buffer::empty(Rect::new(0, 0, 4, 2));
        for expected in ["x.png", "x-2.png", "x-3.png"] {
            assert_eq!(save_new(&deep, "x", &frame).unwrap(), deep.join(expected));
        }
        assert_eq!(names(&deep), ["x-2.png", "x-3.png", "x.png"]);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let frame = Buffer::empty(Rect::new(0, 0, 4, 2));
        let in_the_way = dir.path().join("folder.png");
        std::fs::create_dir(&in_the_way).unwrap();
        assert!(save(&in_the_way, &frame).is_err());
        assert!(save(&dir.path().join("missing").join("a.png"), &frame).is_err());
        assert_eq!(names(dir.path()), ["folder.png"]);
    }
}
