//! Reading XLSX: the first sheet with a heading row, on a thread of its own, batch by batch.

mod unpacked;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use calamine::{DataRef, ExcelDateTime, Reader as _, SheetType, Xlsx};

use super::batch::{Batch, Builder};
use super::cannot_read;
use super::cell::Cell;
use super::headings::{self, HEADING_ROWS, Layout};
use super::mapping::Mapping;
use super::reader::ReadOptions;
use crate::model::LocalTime;
use crate::source::{SourceError, SourceErrorKind};

/// What is known before the first line.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) left_out: Vec<String>,
    pub(super) sheets_left_out: Vec<String>,
    pub(super) rows: u64,
}

enum Message {
    Head(Head),
    Batch {
        batch: Box<Batch>,
        row: u64,
    },
    /// Without it the reader has died, and what came so far is not the whole file.
    End,
}

/// An XLSX file that is being read.
#[derive(Debug)]
pub(super) struct XlsxFile {
    messages: Receiver<Result<Message, SourceError>>,
    pub(super) head: Head,
    pub(super) done: u64,
    path: PathBuf,
}

impl XlsxFile {
    pub(super) fn open(
        file: File,
        path: &Path,
        mapping: &Mapping,
        options: &ReadOptions,
    ) -> Result<Self, SourceError> {
        unpacked::check(&file, path, options.xlsx_unpacked_limit)?;
        // Two batches ahead: the reader borrows from its workbook, so it lives on its own stack.
        let (sender, messages) = sync_channel(1);
        let work =
            Work { path: path.to_owned(), mapping: mapping.clone(), batch_rows: options.batch_rows, sender };
        std::thread::Builder::new()
            .name("xlsx".to_owned())
            .spawn(move || work.run(file))
            .map_err(|cause| cannot_read(path, cause))?;
        match messages.recv() {
            Ok(Ok(Message::Head(head))) => Ok(Self { messages, head, done: 0, path: path.to_owned() }),
            Ok(Err(error)) => Err(error),
            _ => Err(damaged(path, "the reader stopped")),
        }
    }

    /// The next batch, `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Batch>, SourceError> {
        match self.messages.recv() {
            Ok(Ok(Message::Batch { batch, row })) => {
                self.done = row;
                Ok(Some(*batch))
            }
            Ok(Err(error)) => Err(error),
            Ok(Ok(Message::End)) => Ok(None),
            _ => Err(damaged(&self.path, "the reader stopped")),
        }
    }
}

fn damaged(path: &Path, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> SourceError {
    let cause = cause.into();
    SourceError::new(
        SourceErrorKind::File,
        format!("cannot read {} as an XLSX workbook: {cause}", path.display()),
        "open it and save it again as .xlsx without a password, or as CSV UTF-8",
    )
    .because(cause)
}

struct Work {
    path: PathBuf,
    mapping: Mapping,
    batch_rows: usize,
    sender: SyncSender<Result<Message, SourceError>>,
}

/// A row of a sheet with its number from 1.
type Row<'a> = (u64, Vec<DataRef<'a>>);

impl Work {
    fn run(self, file: File) {
        let end = self.read(file).map(|()| Message::End);
        // Without a receiver nobody wants to know.
        let _ = self.sender.send(end);
    }

    fn read(&self, file: File) -> Result<(), SourceError> {
        let damaged = |cause: calamine::XlsxError| damaged(&self.path, cause);
        let mut workbook = Xlsx::new(BufReader::new(file)).map_err(damaged)?;
        let from_1904 = workbook.has_1904_epoch();
        let sheets = workbook.sheets_metadata().iter().filter(|sheet| sheet.typ == SheetType::WorkSheet);
        let sheets: Vec<String> = sheets.map(|sheet| sheet.name.clone()).collect();
        let mut first: Vec<String> = Vec::new();
        for sheet in &sheets {
            let cells = workbook.worksheet_cells_reader(sheet).map_err(damaged)?;
            let last_row = u64::from(cells.dimensions().end.0) + 1;
            let mut rows = SheetRows { cells, next: None, ended: false };
            let mut looked_at = 0;
            while looked_at < HEADING_ROWS {
                let Some((_, row)) = rows.next().map_err(damaged)? else { break };
                let names: Vec<String> = row.iter().map(|value| cell(value, from_1904).raw()).collect();
                if let Some(layout) = Layout::find(&self.mapping, &names) {
                    let others = sheets.iter().filter(|other| *other != sheet).cloned().collect();
                    let head =
                        Head { left_out: layout.left_out.clone(), sheets_left_out: others, rows: last_row };
                    return self.send_rows(rows, layout, head, from_1904);
                }
                if first.is_empty() {
                    first = names;
                }
                looked_at += 1;
            }
        }
        Err(headings::not_found(&self.path, &self.mapping, &first, " (all sheets were looked at)"))
    }

    fn send_rows<RS: std::io::Read + std::io::Seek>(
        &self,
        mut rows: SheetRows<'_, RS>,
        layout: Layout,
        head: Head,
        from_1904: bool,
    ) -> Result<(), SourceError> {
        if self.sender.send(Ok(Message::Head(head))).is_err() {
            return Ok(());
        }
        let most = layout.most;
        let mut builder = Builder::new(layout.sources, self.batch_rows);
        let mut last = 0;
        loop {
            let row = rows.next().map_err(|cause| damaged(&self.path, cause))?;
            let ended = row.is_none();
            if let Some((number, row)) = row {
                last = number;
                if row.iter().skip(most).any(|value| !cell(value, from_1904).is_empty()) {
                    let count = row.len();
                    builder.reject_field_count(number, format!("{count} fields for {most} headings"));
                } else {
                    builder
                        .push(number, |at| row.get(at).map_or(Cell::Empty, |value| cell(value, from_1904)));
                }
            }
            if ended || builder.is_full() {
                let batch = Box::new(builder.take());
                let sent =
                    batch.is_empty() || self.sender.send(Ok(Message::Batch { batch, row: last })).is_ok();
                if ended || !sent {
                    return Ok(());
                }
            }
        }
    }
}

/// The rows of a sheet that are not blank.
struct SheetRows<'a, RS: std::io::Read + std::io::Seek> {
    cells: calamine::XlsxCellReader<'a, RS>,
    next: Option<calamine::Cell<DataRef<'a>>>,
    /// Asked again at its end, the cell reader would call the sheet cut off.
    ended: bool,
}

impl<'a, RS: std::io::Read + std::io::Seek> SheetRows<'a, RS> {
    fn next(&mut self) -> Result<Option<Row<'a>>, calamine::XlsxError> {
        let mut row: Option<(u32, Vec<DataRef<'a>>)> = None;
        loop {
            let Some(found) = (match self.next.take() {
                Some(cell) => Some(cell),
                None if self.ended => None,
                None => self.cells.next_cell()?,
            }) else {
                self.ended = true;
                break;
            };
            let (number, at) = found.get_position();
            let value = found.get_value();
            if cell(value, false).is_empty() {
                continue;
            }
            match &mut row {
                Some((current, _)) if *current != number => {
                    self.next = Some(found);
                    break;
                }
                Some((_, values)) => put(values, at as usize, value.clone()),
                None => {
                    let mut values = Vec::new();
                    put(&mut values, at as usize, value.clone());
                    row = Some((number, values));
                }
            }
        }
        Ok(row.map(|(number, values)| (u64::from(number) + 1, values)))
    }
}

/// Columns of a sheet, as the format has it.
const COLUMNS: usize = 16_384;

fn put<'a>(values: &mut Vec<DataRef<'a>>, at: usize, value: DataRef<'a>) {
    if at >= COLUMNS {
        return;
    }
    if values.len() <= at {
        values.resize(at + 1, DataRef::Empty);
    }
    values[at] = value;
}

fn cell<'a>(value: &'a DataRef<'_>, from_1904: bool) -> Cell<'a> {
    match value {
        DataRef::Empty => Cell::Empty,
        DataRef::Int(value) => Cell::Decimal { unscaled: i128::from(*value), scale: 0 },
        DataRef::Float(value) => Cell::Float(*value),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => Cell::text(text),
        DataRef::SharedString(text) => Cell::text(text),
        DataRef::Bool(value) => Cell::text(if *value { "TRUE" } else { "FALSE" }),
        DataRef::DateTime(date) => time(date, from_1904),
        DataRef::Error(error) => Cell::Text(error.to_string().into()),
    }
}

/// A date cell holds days as a binary float; what it stands for is exact to the millisecond.
#[allow(clippy::cast_possible_truncation, reason = "below 10^15")]
fn time<'a>(date: &ExcelDateTime, from_1904: bool) -> Cell<'a> {
    /// 1970-01-01 as a serial day, counted from the end of 1899 (with a 29 February 1900) or from 1904.
    const EPOCH_1900: i64 = 25_569;
    const EPOCH_1904: i64 = 24_107;
    let serial = date.as_f64();
    if date.is_duration() || !(0.0..4e6).contains(&serial) {
        return Cell::Float(serial);
    }
    let epoch = if from_1904 { EPOCH_1904 } else { EPOCH_1900 };
    let millis = (serial * 86_400_000.0).round() as i64 - epoch * 86_400_000;
    Cell::Time(LocalTime(millis * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use calamine::ExcelDateTimeType;

    #[test]
    fn date_cells_are_exact_to_the_millisecond() {
        let date = ExcelDateTime::new(46_086.416_666_666_664, ExcelDateTimeType::DateTime, false);
        assert_eq!(time(&date, false).raw(), "2026-03-05T10:00:00");
        let date = ExcelDateTime::new(46_086.0, ExcelDateTimeType::DateTime, false);
        assert_eq!(time(&date, false).raw(), "2026-03-05T00:00:00");
        assert_eq!(time(&date, true).raw(), "2030-03-06T00:00:00");
    }
}
