//! Writing order lines to Parquet and CSV files with canonical headings, batch by batch.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, Decimal128Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::cannot_write;
use crate::model::column::Kind;
use crate::model::{ABSENT, Column, Lines, LocalTime, Money};
use crate::source::{SourceError, SourceErrorKind};

/// Digits of the money columns: 18 is what a 64-bit Parquet decimal holds and the fastest for other programs.
const DIGITS: u8 = 18;
/// Digits that every value of 64-bit micro-units fits.
const WIDE_DIGITS: u8 = 19;
/// Lines per row group: about 20 MB in memory while it is written.
const ROW_GROUP: usize = 131_072;

/// Columns that are null, not empty, where the line has no value.
pub(super) const fn nullable(column: Column) -> bool {
    matches!(
        column,
        Column::StoreName
            | Column::City
            | Column::StoreCode
            | Column::Barcode
            | Column::DistanceM
            | Column::Stock
    )
}

fn schema(digits: u8) -> SchemaRef {
    let field = |column: Column| {
        let kind = match column.kind() {
            Kind::Text => DataType::Utf8,
            Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, None),
            Kind::Integer => DataType::Int32,
            Kind::Decimal => DataType::Decimal128(digits, 6),
        };
        Field::new(column.name(), kind, nullable(column))
    };
    Arc::new(Schema::new(Column::ALL.map(field).to_vec()))
}

/// Whether a decimal of `lines` needs [`ParquetWriter::create_wide`].
#[must_use]
pub fn needs_wide(lines: &Lines) -> bool {
    let limit = 10i64.pow(u32::from(DIGITS));
    lines.decimals.iter().flatten().any(|value| *value != ABSENT && !(-limit < *value && *value < limit))
}

/// Writes lines with all columns to a Parquet file: texts, `timestamp[us]` without zone, `int32`, money as decimal.
pub struct ParquetWriter {
    writer: ArrowWriter<File>,
    schema: SchemaRef,
    digits: u8,
    path: PathBuf,
}

impl std::fmt::Debug for ParquetWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetWriter").field("path", &self.path).finish_non_exhaustive()
    }
}

impl ParquetWriter {
    /// A new file (an old one is replaced) with money as `decimal(18,6)`: amounts below 10¹².
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, SourceError> {
        Self::with_digits(path.as_ref(), DIGITS)
    }

    /// As [`ParquetWriter::create`] with money as `decimal(19,6)`, which holds every amount.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create_wide(path: impl AsRef<Path>) -> Result<Self, SourceError> {
        Self::with_digits(path.as_ref(), WIDE_DIGITS)
    }

    fn with_digits(path: &Path, digits: u8) -> Result<Self, SourceError> {
        let file = File::create(path).map_err(|cause| cannot_write(path, cause))?;
        let schema = schema(digits);
        // Level 1: on order lines higher levels cost several times the time for a few percent.
        let zstd = ZstdLevel::try_new(1).map_err(|cause| cannot_write(path, cause))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(zstd))
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .build();
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))
            .map_err(|cause| cannot_write(path, cause))?;
        Ok(Self { writer, schema, digits, path: path.to_owned() })
    }

    /// Appends lines, which must have all columns.
    ///
    /// # Errors
    /// When writing fails, or an amount has more digits than the file's columns.
    pub fn write(&mut self, lines: &Lines) -> Result<(), SourceError> {
        if lines.is_empty() {
            return Ok(());
        }
        if self.digits < WIDE_DIGITS && needs_wide(lines) {
            return Err(SourceError::new(
                SourceErrorKind::File,
                format!(
                    "an amount of 10^12 or more does not fit decimal({DIGITS},6) in {}",
                    self.path.display()
                ),
                "write the file with 19 digits",
            ));
        }
        let batch = self.batch(lines).map_err(|cause| cannot_write(&self.path, cause))?;
        self.writer.write(&batch).map_err(|cause| cannot_write(&self.path, cause))
    }

    fn batch(&self, lines: &Lines) -> Result<RecordBatch, arrow_schema::ArrowError> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(Column::ALL.len());
        for column in Column::ALL {
            columns.push(match column.kind() {
                Kind::Text => {
                    let texts = (0..lines.len()).map(|row| {
                        let text = lines.text(column, row);
                        (!(text.is_empty() && nullable(column))).then_some(text)
                    });
                    Arc::new(texts.collect::<StringArray>())
                }
                Kind::Time => Arc::new(TimestampMicrosecondArray::from(lines.ordered_at.clone())),
                Kind::Integer if column == Column::Quantity => {
                    Arc::new(Int32Array::from(lines.quantity.clone()))
                }
                Kind::Integer => {
                    // Stock fits 32 bits by the rules of reading.
                    let known = lines.stock.iter().map(|stock| i32::try_from(*stock).ok());
                    Arc::new(known.collect::<Int32Array>())
                }
                Kind::Decimal => {
                    let values = &lines.decimals[column.slot()];
                    let array: Decimal128Array = if nullable(column) {
                        values.iter().map(|v| (*v != ABSENT).then_some(i128::from(*v))).collect()
                    } else {
                        values.iter().copied().map(i128::from).map(Some).collect()
                    };
                    Arc::new(array.with_precision_and_scale(self.digits, 6)?)
                }
            });
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }

    /// Ends the file and forces it to the disk.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(mut self) -> Result<(), SourceError> {
        self.writer.finish().map_err(|cause| cannot_write(&self.path, cause))?;
        self.writer.inner().sync_all().map_err(|cause| cannot_write(&self.path, cause))
    }
}

/// Writes lines with all columns to a CSV file: UTF-8, canonical headings, absent values empty.
#[derive(Debug)]
pub struct CsvWriter {
    writer: csv::Writer<BufWriter<File>>,
    path: PathBuf,
}

impl CsvWriter {
    /// A new file (an old one is replaced) with its heading row.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, SourceError> {
        let path = path.as_ref();
        let file = File::create(path).map_err(|cause| cannot_write(path, cause))?;
        let mut writer = csv::Writer::from_writer(BufWriter::new(file));
        writer.write_record(Column::ALL.map(Column::name)).map_err(|cause| cannot_write(path, cause))?;
        Ok(Self { writer, path: path.to_owned() })
    }

    /// Appends lines, which must have all columns.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&mut self, lines: &Lines) -> Result<(), SourceError> {
        use std::fmt::Write as _;
        let mut field = String::new();
        for row in 0..lines.len() {
            for column in Column::ALL {
                field.clear();
                let text = match column.kind() {
                    Kind::Text => lines.text(column, row),
                    Kind::Time => {
                        let _ = write!(field, "{}", LocalTime(lines.ordered_at[row]));
                        &field
                    }
                    Kind::Integer => {
                        let value = if column == Column::Quantity {
                            i64::from(lines.quantity[row])
                        } else {
                            lines.stock[row]
                        };
                        if value != ABSENT {
                            let _ = write!(field, "{value}");
                        }
                        &field
                    }
                    Kind::Decimal => {
                        let value = lines.decimals[column.slot()][row];
                        if value != ABSENT || !nullable(column) {
                            let _ = write!(field, "{}", Money(value));
                        }
                        &field
                    }
                };
                self.writer.write_field(text).map_err(|cause| cannot_write(&self.path, cause))?;
            }
            self.writer.write_record(None::<&[u8]>).map_err(|cause| cannot_write(&self.path, cause))?;
        }
        Ok(())
    }

    /// Ends the file and forces it to the disk.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(self) -> Result<(), SourceError> {
        let path = self.path;
        let buffered = self.writer.into_inner().map_err(|cause| cannot_write(&path, cause.into_error()))?;
        let file = buffered.into_inner().map_err(|cause| cannot_write(&path, cause.into_error()))?;
        file.sync_all().map_err(|cause| cannot_write(&path, cause))
    }
}
