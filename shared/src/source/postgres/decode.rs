//! From the fields of a COPY row to columns of lines.

use std::borrow::Cow;

use super::catalog::{PgType, TablePlan};
use super::copy::Row;
use super::numeric::{self, Parsed};
use crate::model::column::Kind;
use crate::model::day::DAY_MICROS;
use crate::model::{ABSENT, Column, Day, DayRange, Lines, LocalTime, Money};
use crate::source::Columns;
use crate::source::files::cell::Cell;
use crate::source::files::values::{RowReader, Sources};

/// PostgreSQL counts from 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * DAY_MICROS;

/// Appends rows of one layout to columns.
pub(super) enum RowDecoder {
    /// Our own layout: values go straight into their columns.
    Canonical(Vec<Column>),
    /// Any layout: values are read by the rules of order files.
    Mapped { kinds: Vec<PgType>, reader: Box<RowReader> },
}

/// Why a row was left out.
pub(super) struct BadRow {
    pub(super) column: Option<Column>,
    pub(super) what: String,
}

impl RowDecoder {
    pub(super) fn new(plan: &TablePlan, columns: Columns) -> Self {
        if plan.is_canonical {
            return Self::Canonical(plan.selected(columns).map(|(column, _)| *column).collect());
        }
        let mut sources: Sources = std::array::from_fn(|_| Vec::new());
        let mut kinds = Vec::new();
        for (column, fields) in plan.selected(columns) {
            for field in fields {
                sources[*column as usize].push(kinds.len());
                kinds.push(field.kind);
            }
        }
        Self::Mapped { kinds, reader: Box::new(RowReader::new(sources)) }
    }

    /// Appends a row if its day lies in `range`.
    pub(super) fn push(&mut self, lines: &mut Lines, row: &Row<'_>, range: DayRange) -> Result<(), BadRow> {
        match self {
            Self::Canonical(columns) => push_canonical(columns, lines, row, range),
            Self::Mapped { kinds, reader } => {
                let cell = |at: usize| match (row.get(at), kinds.get(at)) {
                    (Some(bytes), Some(kind)) => cell(*kind, bytes),
                    _ => Cell::Empty,
                };
                let line = reader.read(cell).map_err(|fault| BadRow {
                    column: fault.column,
                    what: format!("{} {:?}", fault.reason, fault.value),
                })?;
                if range.contains(line.ordered_at.day()) {
                    lines.push(line);
                }
                Ok(())
            }
        }
    }
}

/// A value of another layout as order files have it; a malformed one is a text that no number or time is.
fn cell(kind: PgType, bytes: &[u8]) -> Cell<'_> {
    let malformed = || Cell::Text(Cow::Borrowed("malformed"));
    let integer = |value: i64| Cell::Decimal { unscaled: i128::from(value), scale: 0 };
    match kind {
        PgType::Text => Cell::Text(String::from_utf8_lossy(bytes)),
        PgType::Int2 => {
            bytes.try_into().map_or_else(|_| malformed(), |b| integer(i64::from(i16::from_be_bytes(b))))
        }
        PgType::Int4 => {
            bytes.try_into().map_or_else(|_| malformed(), |b| integer(i64::from(i32::from_be_bytes(b))))
        }
        PgType::Int8 => bytes.try_into().map_or_else(|_| malformed(), |b| integer(i64::from_be_bytes(b))),
        PgType::Float4 => {
            bytes.try_into().map_or_else(|_| malformed(), |b| Cell::Single(f32::from_be_bytes(b)))
        }
        PgType::Float8 => {
            bytes.try_into().map_or_else(|_| malformed(), |b| Cell::Float(f64::from_be_bytes(b)))
        }
        PgType::Numeric => match numeric::parse(bytes) {
            Some(Parsed::Number(number)) => match (number.decimal(), number.money()) {
                (Ok((unscaled, scale)), _) => Cell::Decimal { unscaled, scale },
                // More digits than 128 bits hold, but money that fits.
                (Err(_), Ok(money)) => Cell::Decimal { unscaled: i128::from(money.0), scale: 6 },
                (Err(_), Err(_)) => Cell::Float(f64::MAX),
            },
            Some(Parsed::NotANumber) => Cell::Empty,
            Some(Parsed::Infinite) => Cell::Float(f64::INFINITY),
            None => malformed(),
        },
        PgType::Timestamp => match time(bytes) {
            Some(time) => Cell::Time(time),
            None => Cell::Text(Cow::Borrowed("outside the years 1970 to 2199")),
        },
        PgType::Date => match bytes.try_into().ok().and_then(|b| date(i32::from_be_bytes(b))) {
            Some(time) => Cell::Time(time),
            None => Cell::Text(Cow::Borrowed("outside the years 1970 to 2199")),
        },
    }
}

/// Midnight of a day that has a name; `infinity` and the like have none.
fn date(days: i32) -> Option<LocalTime> {
    let day = Day(days.checked_add(EPOCH_DAYS)?);
    (Day::MIN..=Day::MAX).contains(&day).then(|| LocalTime::midnight(day))
}

fn time(bytes: &[u8]) -> Option<LocalTime> {
    let micros = i64::from_be_bytes(bytes.try_into().ok()?);
    let time = LocalTime(micros.checked_add(EPOCH_MICROS)?);
    (Day::MIN..=Day::MAX).contains(&time.day()).then_some(time)
}

fn push_canonical(
    columns: &[Column],
    lines: &mut Lines,
    row: &Row<'_>,
    range: DayRange,
) -> Result<(), BadRow> {
    let before = lines.len();
    for (at, column) in columns.iter().enumerate() {
        let field = row.get(at);
        let pushed = match column.kind() {
            Kind::Text => push_text(lines, *column, field.unwrap_or_default()),
            Kind::Time => field.and_then(time).map(|time| lines.ordered_at.push(time.0)),
            Kind::Integer => push_integer(lines, *column, field),
            Kind::Decimal => push_decimal(lines, *column, field),
        };
        if pushed.is_none() {
            lines.truncate(before);
            return Err(BadRow { column: Some(*column), what: format!("{field:02x?}") });
        }
    }
    let quantity = lines.quantity.get(before).copied().unwrap_or(0);
    for column in [Column::ListPrice, Column::PaidPrice] {
        let price = lines.decimals[column.slot()].get(before).copied().unwrap_or(0);
        if Money(price).checked_times(quantity).is_none() {
            lines.truncate(before);
            return Err(BadRow { column: Some(column), what: format!("{} × {quantity}", Money(price)) });
        }
    }
    if lines.ordered_at.last().is_none_or(|time| !range.contains(LocalTime(*time).day())) {
        lines.truncate(before);
    }
    Ok(())
}

fn push_text(lines: &mut Lines, column: Column, bytes: &[u8]) -> Option<()> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    if text.is_empty() && matches!(column, Column::OrderId | Column::StoreId) {
        return None;
    }
    lines.texts[column.slot()].push(text);
    Some(())
}

fn push_integer(lines: &mut Lines, column: Column, field: Option<&[u8]>) -> Option<()> {
    let value = match field {
        Some(bytes) => Some(i32::from_be_bytes(bytes.try_into().ok()?)),
        None => None,
    };
    if column == Column::Stock {
        lines.stock.push(value.map_or(ABSENT, i64::from));
    } else {
        lines.quantity.push(value?);
    }
    Some(())
}

fn push_decimal(lines: &mut Lines, column: Column, field: Option<&[u8]>) -> Option<()> {
    let value = match field {
        Some(bytes) => match numeric::parse(bytes)? {
            Parsed::Number(number) => number.money().ok()?.0,
            Parsed::NotANumber | Parsed::Infinite => return None,
        },
        None if column == Column::DistanceM => ABSENT,
        None => return None,
    };
    lines.decimals[column.slot()].push(value);
    Some(())
}
