//! Batches of lines and rejected rows, bounded in rows and bytes.

use super::cell::Cell;
use super::reject::{Fault, Reject, RejectReason};
use super::values::{RowReader, Sources};
use crate::model::Lines;

/// Bytes of lines and rejected values in a batch.
const BATCH_BYTES: usize = 32 << 20;

/// A piece of a file in the order of its rows.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Accepted lines, with all columns.
    pub lines: Lines,
    /// Rejected rows.
    pub rejects: Vec<Reject>,
}

impl Batch {
    /// Number of rows read.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len() + self.rejects.len()
    }

    /// Whether it has no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Makes batches of rows.
#[derive(Debug)]
pub(super) struct Builder {
    rows: RowReader,
    batch: Batch,
    limit: usize,
    bytes: usize,
}

impl Builder {
    pub(super) fn new(sources: Sources, limit: usize) -> Self {
        Self { rows: RowReader::new(sources), batch: Batch::default(), limit: limit.max(1), bytes: 0 }
    }

    pub(super) fn is_full(&self) -> bool {
        self.batch.len() >= self.limit || self.bytes >= BATCH_BYTES
    }

    /// Adds the row that starts on `line`.
    pub(super) fn push<'a>(&mut self, line: u64, field: impl Fn(usize) -> Cell<'a>) {
        match self.rows.read(field) {
            Ok(read) => {
                self.bytes += 256 + read.texts.iter().map(String::len).sum::<usize>();
                self.batch.lines.push(read);
            }
            Err(fault) => self.reject(line, fault),
        }
    }

    pub(super) fn reject_field_count(&mut self, line: u64, value: String) {
        self.reject(line, Fault { column: None, reason: RejectReason::FieldCount, value });
    }

    fn reject(&mut self, line: u64, fault: Fault) {
        let reject = fault.at(line);
        self.bytes += 64 + reject.value.len();
        self.batch.rejects.push(reject);
    }

    /// What was added since the last call.
    pub(super) fn take(&mut self) -> Batch {
        self.bytes = 0;
        std::mem::take(&mut self.batch)
    }
}
