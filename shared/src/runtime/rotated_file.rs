//! A file of lines: opened when it is needed, rotated, and opened again when it was moved, deleted or failed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::access_log::FileId;

/// While a file cannot be rotated, it may become so many times as large as it should: whoever looks at it with a program
/// that forbids others to rename it (on Windows many do) costs no line for a while, and never the disk.
const UNROTATED: u64 = 2;

/// A file that is written line by line, and the older ones beside it: `NAME.1`, `NAME.2`, …
#[derive(Debug)]
pub struct RotatedFile {
    path: PathBuf,
    max_size: u64,
    max_age: Duration,
    keep: usize,
    open: Option<Opened>,
}

#[derive(Debug)]
struct Opened {
    file: File,
    id: FileId,
    /// When the file was begun, milliseconds since 1970.
    begun: i64,
}

impl RotatedFile {
    /// Nothing is opened yet. A file is rotated before it has more than `max_size` bytes, or when it is older than `max_age`;
    /// `keep` older ones are kept.
    #[must_use]
    pub fn new(path: PathBuf, max_size: u64, max_age: Duration, keep: usize) -> Self {
        Self { path, max_size, max_age, keep, open: None }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes whole lines; tells whether the file was rotated before.
    ///
    /// # Errors
    /// If they could not be written; the file is opened again next time.
    pub fn write(&mut self, lines: &[u8], now_ms: i64) -> io::Result<bool> {
        let rotated = self.make_ready(lines.len() as u64, now_ms)?;
        let Some(opened) = &mut self.open else { return Err(io::ErrorKind::NotFound.into()) };
        if let Err(error) = opened.file.write_all(lines) {
            self.open = None;
            return Err(error);
        }
        Ok(rotated)
    }

    /// Makes sure that what was written outlives the machine, as far as that can be had.
    pub fn sync(&self) {
        if let Some(opened) = &self.open {
            // Nothing is lost for the process if the disk refuses.
            let _ = opened.file.sync_data();
        }
    }

    /// Opens the file if it is not, or is no longer the one at the path; rotates it if these bytes are too many or it is
    /// too old.
    fn make_ready(&mut self, bytes: u64, now_ms: i64) -> io::Result<bool> {
        let still_there = self.open.as_ref().is_some_and(|opened| {
            fs::metadata(&self.path).is_ok_and(|there| FileId::new(&self.path, &there) == opened.id)
        });
        if !still_there {
            self.open = None;
            self.open = Some(self.open_file(now_ms)?);
        }
        let Some(opened) = &self.open else { return Ok(false) };
        let length = opened.file.metadata()?.len();
        let age = Duration::from_millis(u64::try_from(now_ms.saturating_sub(opened.begun)).unwrap_or(0));
        if length == 0 || (length + bytes <= self.max_size && age < self.max_age) {
            return Ok(false);
        }
        self.open = None;
        let rotated = match self.rotate() {
            Ok(()) => true,
            Err(error) if length + bytes > self.max_size.saturating_mul(UNROTATED) => return Err(error),
            Err(_) => false,
        };
        self.open = Some(self.open_file(now_ms)?);
        Ok(rotated)
    }

    fn open_file(&self, now_ms: i64) -> io::Result<Opened> {
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().append(true).read(true).create(true).open(&self.path)?;
        let metadata = file.metadata()?;
        if metadata.len() > 0 && !ends_with_line(&mut file)? {
            // Whoever wrote it before died in the middle of a line.
            file.write_all(b"\n")?;
        }
        // Not every file system knows when a file was made.
        let created = metadata.created().or_else(|_| metadata.modified()).ok();
        let created = created.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let begun = match created {
            Some(created) if metadata.len() > 0 => i64::try_from(created.as_millis()).unwrap_or(now_ms),
            _ => now_ms,
        };
        Ok(Opened { file, id: FileId::new(&self.path, &metadata), begun })
    }

    /// `NAME.1` becomes `NAME.2` and so on, the last one goes, `NAME` becomes `NAME.1`.
    fn rotate(&self) -> io::Result<()> {
        // From the first free number down: what is tried again for lack of rights pushes out nothing more.
        let free = (1..self.keep).find(|number| !self.rotated(*number).exists()).unwrap_or(self.keep);
        for number in (1..free).rev() {
            match fs::rename(self.rotated(number), self.rotated(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, self.rotated(1))
    }

    fn rotated(&self, number: usize) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

fn ends_with_line(file: &mut File) -> io::Result<bool> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    struct Folder {
        folder: tempfile::TempDir,
    }

    impl Folder {
        fn new() -> (Self, RotatedFile) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("logs/access.log");
            (Self { folder }, RotatedFile::new(path, 20, Duration::from_secs(3600), 2))
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join("logs").join(name)
        }

        fn text(&self, name: &str) -> String {
            fs::read_to_string(self.path(name)).unwrap_or_default()
        }

        fn texts(&self) -> [String; 4] {
            ["access.log", "access.log.1", "access.log.2", "access.log.3"].map(|name| self.text(name))
        }
    }

    #[test]
    fn rotates_by_size_and_keeps_some() {
        let (folder, mut log) = Folder::new();
        for (line, rotated) in
            [("first 10 \n", false), ("second 11 \n", true), ("third\n", false), ("fourth\n", true)]
        {
            assert_eq!(log.write(line.as_bytes(), 0).unwrap(), rotated, "{line}");
        }
        assert_eq!(folder.texts(), ["fourth\n", "second 11 \nthird\n", "first 10 \n", ""]);
        // A batch that is larger than a file may be gets a file of its own.
        assert!(log.write(&[b'x'; 50], 0).unwrap() && log.write(b"last\n", 0).unwrap());
        assert_eq!(folder.texts().map(|text| text.len()), [5, 50, 7, 0]);
    }

    #[test]
    fn rotates_by_age() {
        let (folder, mut log) = Folder::new();
        assert!(!log.write(b"a\n", HOUR_MS).unwrap());
        assert!(!log.write(b"b\n", 2 * HOUR_MS - 1).unwrap());
        assert!(log.write(b"c\n", 2 * HOUR_MS).unwrap());
        // A clock that was set back does not count as age.
        assert!(!log.write(b"d\n", 0).unwrap());
        assert_eq!(folder.texts(), ["c\nd\n", "a\nb\n", "", ""]);
    }

    #[test]
    fn goes_on_in_a_file_that_is_there() {
        let (folder, mut log) = Folder::new();
        fs::create_dir(folder.path("")).unwrap();
        fs::write(folder.path("access.log"), "torn").unwrap();
        let now = crate::runtime::now_ms();
        log.write(b"a\n", now).unwrap();
        log = RotatedFile::new(log.path.clone(), 20, Duration::from_secs(3600), 2);
        assert!(!log.write(b"b\n", now).unwrap());
        assert_eq!(folder.text("access.log"), "torn\na\nb\n");
        // Its age is counted from when it was made, not from when it was opened.
        log = RotatedFile::new(log.path.clone(), 20, Duration::from_secs(3600), 2);
        assert!(log.write(b"c\n", now + 2 * HOUR_MS).unwrap());
    }

    #[test]
    fn a_file_that_was_moved_truncated_or_deleted_is_made_again() {
        let (folder, mut log) = Folder::new();
        log.write(b"a\n", 0).unwrap();
        fs::rename(folder.path("access.log"), folder.path("moved")).unwrap();
        log.write(b"b\n", 0).unwrap();
        assert_eq!((folder.text("moved"), folder.text("access.log")), ("a\n".into(), "b\n".into()));
        File::options().write(true).open(folder.path("access.log")).unwrap().set_len(0).unwrap();
        log.write(b"c\n", 0).unwrap();
        assert_eq!(folder.text("access.log"), "c\n");
        fs::remove_dir_all(folder.path("")).unwrap();
        log.write(b"d\n", 0).unwrap();
        assert_eq!(folder.text("access.log"), "d\n");
    }

    #[test]
    fn what_cannot_be_rotated_goes_on_growing_to_a_limit() {
        let (folder, mut log) = Folder::new();
        log.write(b"first 10 \n", 0).unwrap();
        // No file can take the name of a folder with something in it.
        fs::create_dir_all(folder.path("access.log.1/x")).unwrap();
        fs::create_dir_all(folder.path("access.log.2/x")).unwrap();
        assert!(!log.write(b"second 11 \n", 0).unwrap());
        assert!(!log.write(b"third 10 \n", 0).unwrap());
        log.write(b"fourth 11 \n", 0).unwrap_err();
        assert_eq!(folder.text("access.log"), "first 10 \nsecond 11 \nthird 10 \n");
        fs::remove_dir_all(folder.path("access.log.1")).unwrap();
        assert!(log.write(b"fifth\n", 0).unwrap());
        assert_eq!(folder.texts()[..2], ["fifth\n", "first 10 \nsecond 11 \nthird 10 \n"]);
        // What is tried again and again pushes nothing out: only numbers before the first free one move up.
        fs::remove_dir_all(folder.path("access.log.2")).unwrap();
        fs::rename(folder.path("access.log.1"), folder.path("access.log.2")).unwrap();
        assert!(log.write(b"sixth, 17 bytes.\n", 0).unwrap());
        assert_eq!(folder.texts().map(|text| text.len()), [17, 6, 31, 0]);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_tried_again() {
        let (folder, mut log) = Folder::new();
        fs::write(folder.folder.path().join("logs"), "in the way").unwrap();
        log.write(b"a\n", 0).unwrap_err();
        fs::remove_file(folder.folder.path().join("logs")).unwrap();
        log.write(b"b\n", 0).unwrap();
        assert_eq!(folder.text("access.log"), "b\n");
    }
}
