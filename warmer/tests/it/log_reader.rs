//! Reading of access logs that shared's writer wrote, while they are rotated, truncated, deleted and damaged.

mod damage;
mod rotation;
mod schedules;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use shared::access_log::{self, Event, Request};
use warmer::log_reader::{Batch, LogReader, ReaderSettings};

/// A time after all that the tests write, in milliseconds.
pub(crate) const NOW: i64 = 2_000_000_000_000;
/// Longer than files that are gone are held.
pub(crate) const LINGER: i64 = 61_000;

/// A folder with logs in it.
pub(crate) struct Logs {
    folder: tempfile::TempDir,
}

impl Logs {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn settings(&self, pattern: &str) -> ReaderSettings {
        ReaderSettings::new(vec![self.path(pattern).to_str().unwrap().to_owned()])
    }

    pub(crate) fn reader(&self, pattern: &str) -> LogReader {
        LogReader::new(self.settings(pattern)).unwrap()
    }

    pub(crate) fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        append(&self.path(name), bytes.as_ref());
    }

    /// Adds the lines of these requests.
    pub(crate) fn write(&self, name: &str, numbers: impl IntoIterator<Item = u32>) {
        self.append(name, numbers.into_iter().flat_map(line).collect::<Vec<u8>>());
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    pub(crate) fn copy_and_truncate(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).unwrap();
        self.truncate(from);
    }

    pub(crate) fn truncate(&self, name: &str) {
        OpenOptions::new().write(true).open(self.path(name)).unwrap().set_len(0).unwrap();
    }
}

pub(crate) fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(bytes).unwrap();
}

/// The line of a request, with its number as id and path.
pub(crate) fn line(number: u32) -> Vec<u8> {
    let mut request = Request {
        time: i64::from(number),
        request_id: Some(number.to_string()),
        method: "GET".into(),
        status: 200,
        ..Request::default()
    };
    // Lines of different lengths.
    request.set_target("/v1/metrics/overview", &format!("stores={}", "x".repeat(number as usize * 7 % 50)));
    let mut line = Vec::new();
    access_log::line::write(&Event::Request(request), &mut line).unwrap();
    line
}

/// The numbers of a batch's requests.
pub(crate) fn numbers(batch: &Batch) -> Vec<u32> {
    let number = |event: &Event| match event {
        Event::Request(request) => request.request_id.as_ref().unwrap().parse().unwrap(),
        Event::Refresh(_) => panic!("nobody refreshes"),
    };
    batch.events.iter().map(number).collect()
}

/// The numbers of everything that is new.
pub(crate) fn poll(reader: &mut LogReader) -> Vec<u32> {
    numbers(&reader.poll(1 << 30, NOW))
}
