//! Reads access logs as they grow: files and globs, through rotation by rename, `copytruncate`, deletion and new files.
//! Format and rules: `docs/access-log.md`.
//!
//! What is read is a **stream**: the bytes that one file received since it was begun, wherever they are now. A stream is
//! known by its first bytes, and its members are the files that hold it: the file itself, under whatever name, and copies
//! of it. The position belongs to the stream, so a copy is never read twice, and what a truncated file has lost is read
//! from its copy. A file whose first bytes changed belongs to another stream.
//!
//! - [`positions`]: what must outlive the process.
//! - `discover`: which files there are; `head`: first bytes; `stream`: reading one stream; `lines`: bytes into lines.
//!
//! [`LogReader::poll`] does blocking I/O, bounded by its limit: call it from `spawn_blocking`.

mod discover;
mod head;
mod lines;
mod membership;
pub mod positions;
mod stream;

use std::path::PathBuf;
use std::time::Duration;

use shared::access_log::{Event, LineError, MAX_LINE_BYTES};
use shared::published::LogCounts;

pub use discover::PatternError;
use discover::Patterns;
pub use positions::Positions;
use stream::{Reading, Stream};

/// Faults that one batch tells of; further ones are only counted.
const MAX_FAULTS: usize = 5;

/// What to read, and its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderSettings {
    /// Files and globs.
    pub patterns: Vec<String>,
    /// Files that are held open; of more the newest count.
    pub max_files: usize,
    /// Longest line in bytes.
    pub max_line: usize,
    /// How long a file that is gone is held open for what may still be written to it.
    pub linger: Duration,
}

impl ReaderSettings {
    /// These files and globs, default limits.
    #[must_use]
    pub fn new(patterns: Vec<String>) -> Self {
        Self { patterns, max_files: 256, max_line: MAX_LINE_BYTES, linger: Duration::from_secs(60) }
    }
}

/// What one poll found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Events in the order of their lines, file by file.
    pub events: Vec<Event>,
    /// What else there was.
    pub counts: LogCounts,
    /// The first lines and files that could not be read.
    pub faults: Vec<Fault>,
    /// Whether the limit ended it: poll again at once.
    pub more: bool,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// File.
    pub path: PathBuf,
    /// Byte of the file at which the line starts.
    pub offset: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl Batch {
    fn fault(&mut self, path: &std::path::Path, offset: Option<u64>, what: &dyn std::fmt::Display) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(Fault { path: path.to_owned(), offset, what: what.to_string() });
        }
    }

    /// Takes over one line.
    fn line(&mut self, path: &std::path::Path, offset: u64, line: &[u8], now_ms: i64) {
        self.counts.lines += 1;
        let error = match shared::access_log::parse_line(line) {
            Ok(mut event) => {
                if event.time() > now_ms {
                    event.set_time(now_ms);
                    self.counts.clamped += 1;
                }
                self.events.push(event);
                return;
            }
            Err(LineError::Empty) => return,
            Err(error) => error,
        };
        match error {
            LineError::Version(_) => self.counts.unknown_version += 1,
            LineError::NoRequest { .. } => {
                self.counts.no_request += 1;
                return;
            }
            LineError::TooLong => self.counts.too_long += 1,
            LineError::Empty | LineError::Malformed { .. } => self.counts.garbage += 1,
        }
        self.fault(path, Some(offset), &error);
    }
}

/// The reader.
#[derive(Debug)]
pub struct LogReader {
    settings: ReaderSettings,
    patterns: Patterns,
    /// Oldest first.
    streams: Vec<Stream>,
    next_key: u64,
    buffer: Vec<u8>,
}

impl LogReader {
    /// A reader that starts at the beginning of every file.
    ///
    /// # Errors
    /// If a pattern is no glob.
    pub fn new(settings: ReaderSettings) -> Result<Self, PatternError> {
        Self::restore(settings, Positions::default())
    }

    /// A reader that goes on where another one was.
    ///
    /// # Errors
    /// If a pattern is no glob.
    pub fn restore(settings: ReaderSettings, positions: Positions) -> Result<Self, PatternError> {
        let patterns = Patterns::new(&settings.patterns)?;
        let streams = positions.into_streams();
        let next_key = streams.len() as u64;
        Ok(Self { settings, patterns, streams, next_key, buffer: Vec::new() })
    }

    /// How far everything was read that polls have returned so far. To be stored together with what was made of it.
    #[must_use]
    pub fn positions(&self) -> Positions {
        Positions::of(&self.streams)
    }

    /// Bytes of the files as last looked at that were not read yet: how far the reader is behind.
    #[must_use]
    pub fn backlog(&self) -> u64 {
        let of = |stream: &Stream| {
            let longest = stream.members.iter().map(|member| member.len).max();
            longest.unwrap_or(0).saturating_sub(stream.position)
        };
        self.streams.iter().map(of).sum()
    }

    /// Reads what is new: about `limit` bytes at most, one block at least. `now_ms` is the time (milliseconds since 1970),
    /// to which times in the future are set and by which files that are gone are let go.
    pub fn poll(&mut self, limit: usize, now_ms: i64) -> Batch {
        let mut batch = Batch::default();
        self.look(&mut batch, now_ms);
        let mut left = limit.max(1);
        // First everybody's share, so that a busy file does not hold up the others; then what is left.
        let mut share = limit / self.streams.len().max(1);
        loop {
            let (before, mut at) = (batch.counts.bytes, 0);
            while at < self.streams.len() && left > 0 {
                if self.streams[at].has_more() && self.may_read(at) && self.identify(at, now_ms) {
                    let quota = share.min(left).max(1);
                    left = left.saturating_sub(self.read(at, quota, now_ms, &mut batch));
                }
                at += 1;
            }
            if left == 0 {
                batch.more = true;
                break;
            }
            if batch.counts.bytes == before {
                break;
            }
            share = limit;
        }
        self.let_go(&mut batch, now_ms);
        batch
    }

    /// Whether everything before it was read: after a rotation the old files come first.
    fn may_read(&self, at: usize) -> bool {
        let before = |stream: &&Stream| {
            let key = stream.after?;
            self.streams.iter().find(|stream| stream.key == key)
        };
        // No chain is longer than there are streams.
        let chain = std::iter::successors(self.streams.get(at), before).take(self.streams.len() + 1);
        !chain.skip(1).any(Stream::has_more)
    }

    /// Reads up to `quota` bytes of a stream, and gives how many it took.
    fn read(&mut self, at: usize, quota: usize, now_ms: i64, batch: &mut Batch) -> usize {
        let reading = Reading { quota, max_line: self.settings.max_line, now_ms };
        self.streams[at].read(&reading, &mut self.buffer, batch)
    }
}
