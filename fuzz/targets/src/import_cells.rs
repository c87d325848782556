//! Order files: what people and spreadsheets write into cells, and CSV around it.
//!
//! An input is a CSV file, whose fields come from its own headings; its bytes are taken as one cell of every kind, too.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use shared::model::{Lines, LocalTime, Money};
use shared::source::files::cell::Cell;
use shared::source::files::{CsvWriter, MappingChoice, OrderFile, ReadOptions};

/// A folder in memory, where there is one: files are written for each input.
const IN_MEMORY: &str = "/dev/shm";

/// Takes a file. A value that is read is written, and read again as the same; the lines of a file that are accepted are
/// written to another, all of which is accepted as the same lines.
pub fn check(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        cell(&Cell::text(text));
    }
    numbers(data);
    // Workbooks and Parquet files are read by other people's crates.
    let foreign = matches!(data, [b'P', b'A', b'R', b'1', ..] | [b'P', b'K', 3, 4, ..]);
    // A single line is no more than headings, and files take most of the time.
    if !foreign && data.contains(&b'\n') {
        file(data);
    }
}

/// The first bytes as the numbers and times that workbooks and Parquet files have.
fn numbers(data: &[u8]) {
    if let Some(bytes) = data.first_chunk() {
        cell(&Cell::Single(f32::from_le_bytes(*bytes)));
    }
    if let Some(bytes) = data.first_chunk() {
        cell(&Cell::Float(f64::from_le_bytes(*bytes)));
        cell(&Cell::Time(LocalTime(i64::from_le_bytes(*bytes))));
    }
    if let Some((scale, unscaled)) = data.split_first_chunk()
        && let Some(unscaled) = unscaled.first_chunk()
    {
        cell(&Cell::Decimal { unscaled: i128::from_le_bytes(*unscaled), scale: i32::from_le_bytes(*scale) });
    }
}

fn cell(cell: &Cell<'_>) {
    if let Ok(Some(money)) = cell.money() {
        let text = money.to_string();
        assert_eq!(Money::parse(&text), Ok(money), "{cell:?}");
        assert_eq!(Cell::text(&text).money(), Ok(Some(money)), "{cell:?}");
    }
    if let Ok(Some(whole)) = cell.integer() {
        assert_eq!(Cell::text(&whole.to_string()).integer(), Ok(Some(whole)), "{cell:?}");
        let money = cell.money().expect("a whole number of 32 bits is an amount");
        assert_eq!(money, Some(Money(i64::from(whole) * 1_000_000)), "{cell:?}");
    }
    if let Some(time) = cell.time() {
        assert_eq!(Cell::text(&time.to_string()).time(), Some(time), "{cell:?}");
    }
    let mut text = String::new();
    if cell.write_text(&mut text).is_ok() {
        assert_eq!(cell.raw(), text);
        let mut again = String::new();
        assert_eq!(Cell::text(&text).write_text(&mut again), Ok(()));
        assert_eq!(again, text);
    }
}

fn file(data: &[u8]) {
    let mut file = scratch();
    file.write_all(data).expect("the file is written");
    file.seek(SeekFrom::Start(0)).expect("the file can be read");
    let Some((lines, rejected)) = read(&path(&file), &MappingChoice::Auto) else { return };
    let most = data.iter().filter(|byte| **byte == b'\n').count() + 1;
    assert!(lines.len() + rejected <= most, "more rows than lines");
    let written = scratch();
    let mut writer = CsvWriter::create(path(&written)).expect("a CSV file is made");
    writer.write(&lines).expect("accepted lines can be written");
    writer.finish().expect("a CSV file is ended");
    let again = read(&path(&written), &MappingChoice::Canonical).expect("what is written can be read");
    assert_eq!(again, (lines, 0));
}

/// A file without a name, so that nothing is left behind.
fn scratch() -> File {
    let file =
        if Path::new(IN_MEMORY).is_dir() { tempfile::tempfile_in(IN_MEMORY) } else { tempfile::tempfile() };
    file.expect("a temporary file is made")
}

fn path(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// The accepted lines of a file, and the number of rejected rows; `None` if it is not read at all.
fn read(path: &Path, mapping: &MappingChoice) -> Option<(Lines, usize)> {
    let mut file = OrderFile::open(path, mapping, &ReadOptions::default()).ok()?;
    let (mut lines, mut rejected) = (Lines::default(), 0);
    while let Some(batch) = file.next_batch().expect("a file that was opened is read to its end") {
        lines.append(&batch.lines);
        rejected += batch.rejects.len();
    }
    let summary = file.into_summary();
    assert_eq!((summary.accepted, summary.read), (lines.len() as u64, (lines.len() + rejected) as u64));
    Some((lines, rejected))
}
