//! Lines on the disk, found by store and day: a private temporary file that is gone when the process ends.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use super::block::{BlockFault, decode, encode};
use super::positioned::{read_exact_at, write_all_at};
use crate::model::{Column, Day, DayRange, Lines, LocalTime};
use crate::source::{Columns, SourceError, SourceErrorKind};

/// Bytes of lines that are kept in memory to be sorted by store and day before they are written.
const PENDING_BYTES: usize = 64 << 20;
/// Bytes that are read at once where blocks lie side by side.
const READ_BYTES: u64 = 8 << 20;

/// One block of the file.
#[derive(Clone, Copy, Debug)]
struct Piece {
    offset: u64,
    bytes: u64,
    lines: u64,
}

/// Lines by store and day.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    end: u64,
    pieces: BTreeMap<String, BTreeMap<Day, Vec<Piece>>>,
    pending: Lines,
}

fn failed(cause: std::io::Error) -> SourceError {
    SourceError::new(
        SourceErrorKind::File,
        format!("the temporary file of order lines failed: {cause}"),
        "check the free space of the temporary folder (TMPDIR)",
    )
    .because(cause)
}

impl Spool {
    /// An empty spool in `folder`, else in the system's temporary folder.
    pub(super) fn new(folder: Option<&Path>) -> Result<Self, SourceError> {
        let file = match folder {
            Some(folder) => tempfile::tempfile_in(folder),
            None => tempfile::tempfile(),
        };
        Ok(Self { file: file.map_err(failed)?, end: 0, pieces: BTreeMap::new(), pending: Lines::default() })
    }

    /// Adds lines with all columns.
    pub(super) fn add(&mut self, lines: &Lines) -> Result<(), SourceError> {
        self.pending.append(lines);
        if self.pending.size() >= PENDING_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes what is pending; only then is it found by reads.
    pub(super) fn flush(&mut self) -> Result<(), SourceError> {
        let lines = std::mem::take(&mut self.pending);
        let key = |row: &u32| {
            let row = *row as usize;
            (lines.text(Column::StoreId, row), LocalTime(lines.ordered_at[row]).day())
        };
        let mut rows: Vec<u32> = (0..u32::try_from(lines.len()).unwrap_or(u32::MAX)).collect();
        rows.sort_by(|a, b| key(a).cmp(&key(b)));
        let mut buffer = Vec::new();
        for rows in rows.chunk_by(|a, b| key(a) == key(b)) {
            let Some(first) = rows.first() else { continue };
            let (store, day) = key(first);
            let start = buffer.len();
            encode(&lines, rows, &mut buffer);
            let piece = Piece {
                offset: self.end + start as u64,
                bytes: (buffer.len() - start) as u64,
                lines: rows.len() as u64,
            };
            if !self.pieces.contains_key(store) {
                self.pieces.insert(store.to_owned(), BTreeMap::new());
            }
            if let Some(days) = self.pieces.get_mut(store) {
                days.entry(day).or_default().push(piece);
            }
            if buffer.len() as u64 >= READ_BYTES {
                self.append(&mut buffer)?;
            }
        }
        self.append(&mut buffer)
    }

    fn append(&mut self, buffer: &mut Vec<u8>) -> Result<(), SourceError> {
        write_all_at(&self.file, buffer, self.end).map_err(failed)?;
        self.end += buffer.len() as u64;
        buffer.clear();
        Ok(())
    }

    /// Stores by id, each with its days and their numbers of lines.
    pub(super) fn stores(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = (Day, u64)>)> {
        self.pieces.iter().map(|(store, days)| {
            let days = days.iter().map(|(day, pieces)| (*day, pieces.iter().map(|p| p.lines).sum()));
            (store.as_str(), days)
        })
    }

    /// Appends the lines of stores in a range of days.
    pub(super) fn read<'a>(
        &self,
        stores: impl IntoIterator<Item = &'a str>,
        range: DayRange,
        columns: Columns,
        lines: &mut Lines,
    ) -> Result<(), SourceError> {
        let days = stores.into_iter().filter_map(|store| self.pieces.get(store));
        let mut pieces: Vec<Piece> =
            days.flat_map(|days| days.range(range.from..=range.to)).flat_map(|(_, p)| p).copied().collect();
        pieces.sort_unstable_by_key(|piece| piece.offset);
        // A store named twice has its lines once.
        pieces.dedup_by_key(|piece| piece.offset);
        let mut buffer = Vec::new();
        let mut rest = pieces.as_slice();
        while let Some(first) = rest.first() {
            let mut end = first.offset + first.bytes;
            let mut count = 1;
            while let Some(next) = rest.get(count)
                && next.offset == end
                && end - first.offset < READ_BYTES
            {
                end += next.bytes;
                count += 1;
            }
            buffer.resize(usize::try_from(end - first.offset).unwrap_or(usize::MAX), 0);
            read_exact_at(&self.file, &mut buffer, first.offset).map_err(failed)?;
            let mut bytes = buffer.as_slice();
            for _ in 0..count {
                bytes = decode(bytes, columns, lines).map_err(cannot_decode)?;
            }
            rest = &rest[count..];
        }
        Ok(())
    }
}

fn cannot_decode(fault: BlockFault) -> SourceError {
    match fault {
        BlockFault::Damaged => {
            let cause = std::io::Error::new(std::io::ErrorKind::InvalidData, "not what was written");
            failed(cause)
        }
        BlockFault::TooMuchText => SourceError::new(
            SourceErrorKind::Other,
            "the lines asked for hold over 2 GiB of text in one column",
            "read fewer stores or days at once",
        ),
    }
}
