//! Reading Parquet: record batch by record batch, any sensible type, only the columns that are used.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types as t;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::batch::Builder;
use super::cell::Cell;
use super::headings::{self, Layout};
use super::mapping::Mapping;
use crate::model::column::Kind;
use crate::model::day::DAY_MICROS;
use crate::model::{Column, LocalTime};
use crate::source::{SourceError, SourceErrorKind};

/// Rows decoded at once.
const ROWS: usize = 8192;

/// A Parquet file.
pub(super) struct ParquetFile {
    batches: ParquetRecordBatchReader,
    current: Option<(RecordBatch, usize)>,
    /// For each field of the file its place among those that are read.
    places: Vec<Option<usize>>,
    path: PathBuf,
    pub(super) layout: Layout,
    pub(super) rows: u64,
    pub(super) done: u64,
}

impl std::fmt::Debug for ParquetFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetFile")
            .field("path", &self.path)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

fn damaged(path: &Path, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> SourceError {
    let cause = cause.into();
    SourceError::new(
        SourceErrorKind::File,
        format!("cannot read {} as Parquet: {cause}", path.display()),
        "export it again; it may be damaged or cut off",
    )
    .because(cause)
}

impl ParquetFile {
    pub(super) fn open(file: File, path: &Path, mapping: &Mapping) -> Result<Self, SourceError> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|cause| damaged(path, cause))?;
        let fields = builder.schema().fields().clone();
        let names: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
        let layout =
            Layout::find(mapping, &names).ok_or_else(|| headings::not_found(path, mapping, &names, ""))?;
        for column in Column::ALL {
            for at in &layout.sources[column as usize] {
                check_type(path, column, fields[*at].name(), fields[*at].data_type())?;
            }
        }
        let used = |at: usize| layout.sources.iter().any(|fields| fields.contains(&at));
        let mut next = 0..;
        let places: Vec<Option<usize>> =
            (0..fields.len()).map(|at| if used(at) { next.next() } else { None }).collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), (0..fields.len()).filter(|at| used(*at)));
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let batches = builder.with_projection(mask).with_batch_size(ROWS).build();
        let batches = batches.map_err(|cause| damaged(path, cause))?;
        Ok(Self { batches, current: None, places, path: path.to_owned(), layout, rows, done: 0 })
    }

    /// Fills the batch; false at the end of the file.
    pub(super) fn fill(&mut self, builder: &mut Builder) -> Result<bool, SourceError> {
        loop {
            let Some((batch, next)) = &mut self.current else {
                match self.batches.next() {
                    None => return Ok(false),
                    Some(batch) => {
                        self.current = Some((batch.map_err(|cause| damaged(&self.path, cause))?, 0));
                        continue;
                    }
                }
            };
            let arrays = batch.columns();
            let places = &self.places;
            while *next < batch.num_rows() {
                if builder.is_full() {
                    return Ok(true);
                }
                let row = *next;
                *next += 1;
                self.done += 1;
                builder.push(self.done, |at| {
                    places[at].map_or(Cell::Empty, |place| cell(arrays[place].as_ref(), row))
                });
            }
            self.current = None;
        }
    }
}

/// Whether a column can be read from a type at all; single values are judged when they are read.
fn check_type(path: &Path, column: Column, name: &str, kind: &DataType) -> Result<(), SourceError> {
    let refuse = |remedy: String| {
        let what = format!("column {name} of {} has the type {kind}", path.display());
        Err(SourceError::new(SourceErrorKind::Schema, what, remedy))
    };
    match kind {
        DataType::Dictionary(_, values) => check_type(path, column, name, values),
        DataType::Timestamp(_, Some(_)) => refuse(format!(
            "{} is a local time without a zone: convert it to the store's local time and drop the zone \
             (pandas: .dt.tz_convert(\"Asia/Shanghai\").dt.tz_localize(None); Spark: timestamp_ntz; DuckDB: AT TIME ZONE)",
            column.name()
        )),
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(()),
        DataType::Timestamp(_, None) | DataType::Date32 | DataType::Date64
            if matches!(column.kind(), Kind::Time | Kind::Text) =>
        {
            Ok(())
        }
        _ if kind.is_numeric() && column.kind() != Kind::Time => Ok(()),
        _ => {
            let wanted = match column.kind() {
                Kind::Text => "a text or a number",
                Kind::Time => "a timestamp without a zone, a date or a text",
                Kind::Integer | Kind::Decimal => "a number or a text",
            };
            refuse(format!("{} must be {wanted}", column.name()))
        }
    }
}

/// The value of a row.
fn cell(array: &dyn Array, row: usize) -> Cell<'_> {
    macro_rules! whole {
        ($type:ty) => {
            Cell::Decimal { unscaled: i128::from(array.as_primitive::<$type>().value(row)), scale: 0 }
        };
    }
    macro_rules! time {
        ($type:ty, $micros:expr) => {
            Cell::Time(LocalTime($micros(i64::from(array.as_primitive::<$type>().value(row)))))
        };
    }
    macro_rules! decimal {
        ($type:ty, $scale:expr) => {
            Cell::Decimal {
                unscaled: i128::from(array.as_primitive::<$type>().value(row)),
                scale: i32::from($scale),
            }
        };
    }
    if array.is_null(row) {
        return Cell::Empty;
    }
    match array.data_type() {
        DataType::Utf8 => Cell::text(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Cell::text(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Cell::text(array.as_string_view().value(row)),
        DataType::Float64 => Cell::Float(array.as_primitive::<t::Float64Type>().value(row)),
        DataType::Float32 => Cell::Single(array.as_primitive::<t::Float32Type>().value(row)),
        DataType::Float16 => Cell::Single(array.as_primitive::<t::Float16Type>().value(row).to_f32()),
        DataType::Int8 => whole!(t::Int8Type),
        DataType::Int16 => whole!(t::Int16Type),
        DataType::Int32 => whole!(t::Int32Type),
        DataType::Int64 => whole!(t::Int64Type),
        DataType::UInt8 => whole!(t::UInt8Type),
        DataType::UInt16 => whole!(t::UInt16Type),
        DataType::UInt32 => whole!(t::UInt32Type),
        DataType::UInt64 => whole!(t::UInt64Type),
        DataType::Decimal32(_, scale) => decimal!(t::Decimal32Type, *scale),
        DataType::Decimal64(_, scale) => decimal!(t::Decimal64Type, *scale),
        DataType::Decimal128(_, scale) => decimal!(t::Decimal128Type, *scale),
        DataType::Decimal256(_, scale) => {
            let array = array.as_primitive::<t::Decimal256Type>();
            match array.value(row).to_i128() {
                Some(unscaled) => Cell::Decimal { unscaled, scale: i32::from(*scale) },
                None => Cell::Text(array.value_as_string(row).into()),
            }
        }
        DataType::Date32 => time!(t::Date32Type, |days: i64| days.saturating_mul(DAY_MICROS)),
        DataType::Date64 => time!(t::Date64Type, |millis: i64| millis.saturating_mul(1000)),
        DataType::Timestamp(TimeUnit::Second, _) => {
            time!(t::TimestampSecondType, |seconds: i64| seconds.saturating_mul(1_000_000))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            time!(t::TimestampMillisecondType, |millis: i64| millis.saturating_mul(1000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => time!(t::TimestampMicrosecondType, |micros| micros),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            time!(t::TimestampNanosecondType, |nanos: i64| nanos.div_euclid(1000))
        }
        DataType::Dictionary(keys, _) => entry(array, keys, row),
        _ => Cell::Empty,
    }
}

/// The value of a row of a dictionary column.
fn entry<'a>(array: &'a dyn Array, keys: &DataType, row: usize) -> Cell<'a> {
    macro_rules! look_up {
        ($type:ty) => {{
            let dictionary = array.as_dictionary::<$type>();
            dictionary.key(row).map_or(Cell::Empty, |key| cell(dictionary.values().as_ref(), key))
        }};
    }
    match keys {
        DataType::Int8 => look_up!(t::Int8Type),
        DataType::Int16 => look_up!(t::Int16Type),
        DataType::Int32 => look_up!(t::Int32Type),
        DataType::Int64 => look_up!(t::Int64Type),
        DataType::UInt8 => look_up!(t::UInt8Type),
        DataType::UInt16 => look_up!(t::UInt16Type),
        DataType::UInt32 => look_up!(t::UInt32Type),
        DataType::UInt64 => look_up!(t::UInt64Type),
        _ => Cell::Empty,
    }
}
