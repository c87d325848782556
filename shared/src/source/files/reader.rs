//! One order file of any kind as a sequence of batches.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::batch::{Batch, Builder};
use super::cannot_read;
use super::csv::CsvFile;
use super::mapping::{Mapping, MappingChoice};
use super::parquet::ParquetFile;
use super::summary::{FileSummary, Format, StoreDays};
use super::values::Sources;
use super::xlsx::XlsxFile;
use crate::source::{SourceError, SourceErrorKind};

/// Bounds of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// Largest XLSX file in bytes; CSV and Parquet stream and have no such bound.
    pub xlsx_limit: u64,
    /// Most bytes to which the parts of an XLSX file may unpack together.
    pub xlsx_unpacked_limit: u64,
    /// Most rows in a batch.
    pub batch_rows: usize,
}

impl Default for ReadOptions {
    /// 50 MB of XLSX, which is about half a million lines, that unpack to 1 GiB; 16,384 rows, which is a few megabytes.
    fn default() -> Self {
        Self { xlsx_limit: 50_000_000, xlsx_unpacked_limit: 1 << 30, batch_rows: 16_384 }
    }
}

/// How much of a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes (CSV) or rows (XLSX, Parquet) read.
    pub done: u64,
    /// All of them.
    pub total: u64,
}

/// An order file that is being read. Blocking: keep it off the async threads.
#[derive(Debug)]
pub struct OrderFile {
    rows: Rows,
    builder: Builder,
    summary: FileSummary,
    bytes: u64,
    ended: bool,
}

#[derive(Debug)]
enum Rows {
    Csv(Box<CsvFile>),
    Xlsx(XlsxFile),
    Parquet(Box<ParquetFile>),
}

/// What a file is by its first bytes.
enum Content {
    Csv,
    Zip,
    Ole,
    Parquet,
}

impl OrderFile {
    /// Opens a CSV, XLSX or Parquet file and finds its headings.
    ///
    /// # Errors
    /// When it cannot be read, is not what its name says, has no heading row, or a column has an unfit type.
    pub fn open(path: &Path, mapping: &MappingChoice, options: &ReadOptions) -> Result<Self, SourceError> {
        Self::open_with(path, &mapping.resolve()?, options)
    }

    pub(super) fn open_with(
        path: &Path,
        mapping: &Mapping,
        options: &ReadOptions,
    ) -> Result<Self, SourceError> {
        let mut file = File::open(path).map_err(|cause| cannot_read(path, cause))?;
        let metadata = file.metadata().map_err(|cause| cannot_read(path, cause))?;
        if !metadata.is_file() {
            let what = format!("{} is not a regular file", path.display());
            return Err(SourceError::new(SourceErrorKind::File, what, "give a CSV, XLSX or Parquet file"));
        }
        let content = content(&mut file).map_err(|cause| cannot_read(path, cause))?;
        check_name(path, &content)?;
        let mut summary = FileSummary {
            path: path.to_owned(),
            format: Format::Parquet,
            read: 0,
            accepted: 0,
            rejected: BTreeMap::new(),
            left_out: Vec::new(),
            sheets_left_out: Vec::new(),
            store_days: StoreDays::default(),
        };
        let mut sources: Sources = std::array::from_fn(|_| Vec::new());
        let rows = match content {
            Content::Csv => {
                let csv = CsvFile::open(file, path, mapping)?;
                summary.format = Format::Csv(csv.encoding());
                summary.left_out.clone_from(&csv.layout.left_out);
                sources = csv.layout.sources.clone();
                Rows::Csv(Box::new(csv))
            }
            Content::Parquet => {
                let parquet = ParquetFile::open(file, path, mapping)?;
                summary.left_out.clone_from(&parquet.layout.left_out);
                sources = parquet.layout.sources.clone();
                Rows::Parquet(Box::new(parquet))
            }
            Content::Zip | Content::Ole => {
                if metadata.len() > options.xlsx_limit {
                    return Err(too_large(path, metadata.len(), options.xlsx_limit));
                }
                let xlsx = XlsxFile::open(file, path, mapping, options)?;
                summary.format = Format::Xlsx;
                summary.left_out.clone_from(&xlsx.head.left_out);
                summary.sheets_left_out.clone_from(&xlsx.head.sheets_left_out);
                Rows::Xlsx(xlsx)
            }
        };
        let builder = Builder::new(sources, options.batch_rows);
        Ok(Self { rows, builder, summary, bytes: metadata.len(), ended: false })
    }

    /// The next rows of the file, `None` at its end. A batch is bounded in rows and bytes.
    ///
    /// # Errors
    /// When the file cannot be read on; a row that cannot be read is a reject, not an error.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        while !self.ended {
            let batch = match &mut self.rows {
                Rows::Csv(csv) => {
                    self.ended = !csv.fill(&mut self.builder)?;
                    self.builder.take()
                }
                Rows::Parquet(parquet) => {
                    self.ended = !parquet.fill(&mut self.builder)?;
                    self.builder.take()
                }
                Rows::Xlsx(xlsx) => xlsx.next()?.unwrap_or_else(|| {
                    self.ended = true;
                    Batch::default()
                }),
            };
            if !batch.is_empty() {
                self.summary.add(&batch);
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// How much is read.
    #[must_use]
    pub fn progress(&self) -> Progress {
        match &self.rows {
            Rows::Csv(csv) => Progress { done: csv.offset(), total: self.bytes },
            Rows::Parquet(parquet) => Progress { done: parquet.done, total: parquet.rows },
            Rows::Xlsx(xlsx) => Progress { done: xlsx.done, total: xlsx.head.rows.max(xlsx.done) },
        }
    }

    /// What was found so far; complete after the last batch.
    #[must_use]
    pub fn summary(&self) -> &FileSummary {
        &self.summary
    }

    /// As [`OrderFile::summary`], when done with the file.
    #[must_use]
    pub fn into_summary(self) -> FileSummary {
        self.summary
    }
}

fn content(file: &mut File) -> std::io::Result<Content> {
    let mut start = Vec::with_capacity(8);
    file.by_ref().take(8).read_to_end(&mut start)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(match start.as_slice() {
        [b'P', b'A', b'R', b'1', ..] => Content::Parquet,
        [b'P', b'K', 3, 4, ..] => Content::Zip,
        [0xd0, 0xcf, 0x11, 0xe0, ..] => Content::Ole,
        _ => Content::Csv,
    })
}

/// A file whose name promises something else is more likely damaged than misnamed.
fn check_name(path: &Path, content: &Content) -> Result<(), SourceError> {
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    let fault = match (content, extension.as_str()) {
        (Content::Ole, _) => "is an old .xls workbook or protected by a password",
        (Content::Csv, "xlsx") => "is not an XLSX workbook although its name says so",
        (Content::Csv | Content::Zip, "parquet") => "is not a Parquet file although its name says so",
        (Content::Zip | Content::Parquet, "csv") => "is not a CSV file although its name says so",
        (Content::Parquet, "xlsx") => "is a Parquet file although its name says XLSX",
        _ => return Ok(()),
    };
    let remedy = match content {
        Content::Ole => "save it as .xlsx without a password, or as CSV UTF-8",
        _ => "export it again, or give it the name of what it is (.csv, .xlsx, .parquet)",
    };
    Err(SourceError::new(SourceErrorKind::File, format!("{} {fault}", path.display()), remedy))
}

fn too_large(path: &Path, bytes: u64, limit: u64) -> SourceError {
    let megabytes = |bytes: u64| bytes.div_ceil(1_000_000);
    SourceError::new(
        SourceErrorKind::File,
        format!(
            "{} has {} MB, more than the {} MB allowed for XLSX",
            path.display(),
            megabytes(bytes),
            megabytes(limit)
        ),
        "export it as CSV, which may have any size, or raise the limit (warmer import --xlsx-limit)",
    )
}
