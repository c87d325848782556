//! Lines of a file, plain or gzip, each of bounded length.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::entry::gunzip;

/// Bytes of one file when inflated.
const FILE_BYTES: u64 = 16 * 1024 * 1024 * 1024;

/// Lines of one file, in order.
pub struct Lines {
    reader: Box<dyn BufRead>,
    most: usize,
    bytes: Vec<u8>,
    number: u64,
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// From 1.
    pub number: u64,
    /// Without the line's end. Of a line that is too long, one byte more than the most.
    pub bytes: &'a [u8],
}

impl Lines {
    /// Opens a file, inflated if its name ends in `.gz`. Of longer lines than `most` bytes the rest is passed over.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &Path, most: usize) -> io::Result<Self> {
        let file = BufReader::new(File::open(path)?);
        let reader: Box<dyn BufRead> = if path.extension().is_some_and(|extension| extension == "gz") {
            Box::new(BufReader::new(gunzip(file, FILE_BYTES)))
        } else {
            Box::new(file)
        };
        Ok(Self { reader, most, bytes: Vec::new(), number: 0 })
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// If the file cannot be read, or is damaged.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        self.bytes.clear();
        // One byte to see that a line is too long, one for its end.
        let room = self.most as u64 + 2;
        if self.reader.by_ref().take(room).read_until(b'\n', &mut self.bytes)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.bytes.last() == Some(&b'\n') {
            self.bytes.pop();
        } else if self.bytes.len() > self.most {
            self.reader.skip_until(b'\n')?;
        }
        if self.bytes.last() == Some(&b'\r') {
            self.bytes.pop();
        }
        self.bytes.truncate(self.most + 1);
        Ok(Some(Line { number: self.number, bytes: &self.bytes }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn lines(text: &str, most: usize) -> Vec<(u64, String)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, text).unwrap();
        let mut lines = Lines::open(&path, most).unwrap();
        let mut all = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            all.push((line.number, String::from_utf8(line.bytes.to_vec()).unwrap()));
        }
        all
    }

    #[test]
    fn long_lines_are_cut_and_the_next_ones_read() {
        let told = |texts: &[&str]| -> Vec<(u64, String)> {
            (1..).zip(texts.iter().map(|text| (*text).to_owned())).collect()
        };
        assert_eq!(lines("abc\r\n\nabcd\nx", 3), told(&["abc", "", "abcd", "x"]));
        for length in 4..9 {
            let text = format!("{}\nnext\n{}", "a".repeat(length), "b".repeat(length));
            assert_eq!(lines(&text, 3), told(&["aaaa", "next", "bbbb"]), "{length}");
        }
        assert_eq!(lines("", 3), []);
    }
}
