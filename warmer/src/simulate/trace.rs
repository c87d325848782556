//! Requests to replay, and the trace files (`seq,key`, with a heading, plain or gzip) they come from.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use shared::access_log::lines::Lines;

/// Requests of one simulation.
const MOST_REQUESTS: usize = 50_000_000;
/// Bytes of one line.
const LINE_BYTES: usize = 64 * 1024;

/// Why requests cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file.
    #[error("cannot read {path}; check that the file is there and whole")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line.
    #[error("{path}, line {line}: expected a number, a comma and a key, as in \"17,product-42\"")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
    },
    /// Too many.
    #[error("more than {MOST_REQUESTS} requests; cut the trace and simulate a part")]
    TooMany,
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// When, in any unit.
    pub at: u64,
    /// Number of its key, by first occurrence.
    pub key: u32,
}

/// Requests in order, with their keys as numbers.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    requests: Vec<Request>,
    numbers: HashMap<Box<str>, u32>,
}

impl Stream {
    /// Adds a request.
    ///
    /// # Errors
    /// Beyond 50 million.
    pub fn push(&mut self, key: &str, at: u64) -> Result<(), TraceError> {
        if self.requests.len() >= MOST_REQUESTS {
            return Err(TraceError::TooMany);
        }
        let key = if let Some(number) = self.numbers.get(key) {
            *number
        } else {
            let number = u32::try_from(self.numbers.len()).map_err(|_| TraceError::TooMany)?;
            self.numbers.insert(key.into(), number);
            number
        };
        self.requests.push(Request { at, key });
        Ok(())
    }

    /// Puts the requests in the order of their times; those of equal times stay as they came.
    pub fn sort_by_time(&mut self) {
        self.requests.sort_by_key(|request| request.at);
    }

    /// In order.
    #[must_use]
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// Distinct keys.
    #[must_use]
    pub fn distinct(&self) -> usize {
        self.numbers.len()
    }
}

/// Reads a trace file; requests count as time.
///
/// # Errors
/// If the file cannot be read, a line is not of this form, or there are too many.
pub fn read_trace(path: &Path) -> Result<Stream, TraceError> {
    let failed = |source| TraceError::Read { path: path.to_owned(), source };
    let mut lines = Lines::open(path, LINE_BYTES).map_err(failed)?;
    let mut stream = Stream::default();
    while let Some(line) = lines.next_line().map_err(failed)? {
        let malformed = || TraceError::Line { path: path.to_owned(), line: line.number };
        let text = std::str::from_utf8(line.bytes).map_err(|_| malformed())?.trim_end();
        let (number, key) = text.split_once(',').ok_or_else(malformed)?;
        if line.number == 1 && number == "seq" {
            continue;
        }
        if line.bytes.len() > LINE_BYTES || number.parse::<u64>().is_err() || key.is_empty() {
            return Err(malformed());
        }
        stream.push(key, stream.requests.len() as u64)?;
    }
    Ok(stream)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn read(name: &str, bytes: &[u8]) -> Result<Stream, TraceError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        read_trace(&path)
    }

    #[test]
    fn plain_and_gzip_traces_are_read() {
        let text = b"seq,key\n0,a\n1,b\r\n2,a\n";
        for stream in [read("t.csv", text), read("t.csv.gz", &shared::entry::gzip(text).unwrap())] {
            let stream = stream.unwrap();
            let keys: Vec<u32> = stream.requests().iter().map(|request| request.key).collect();
            assert_eq!((keys, stream.distinct()), (vec![0, 1, 0], 2));
        }
    }

    #[test]
    fn bad_lines_are_named() {
        let long = [b"0,".as_slice(), &vec![b'x'; 70_000]].concat();
        for (bytes, bad) in [(&b"seq,key\n0,a\nx,b\n"[..], 3), (b"0,a\n1\n", 2), (b"0,\n", 1), (&long, 1)] {
            match read("t.csv", bytes) {
                Err(TraceError::Line { line, .. }) => assert_eq!(line, bad),
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(read("t.csv.gz", b"no gzip"), Err(TraceError::Read { .. })));
    }
}
