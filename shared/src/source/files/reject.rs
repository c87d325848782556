//! Rows that cannot be read: why, where and with which value.

use std::fmt;

use crate::model::Column;
use crate::model::money::NumberFault;

/// Why a row is rejected. A closed set, in the order of the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectReason {
    /// Fewer fields than headings, or values beyond the headings.
    FieldCount,
    /// No order id, store or time.
    Missing,
    /// A text with the character U+0000, which PostgreSQL cannot hold.
    BadText,
    /// Not a time of the years 1970 to 2199 without a zone.
    BadTime,
    /// Not a number.
    BadNumber,
    /// A fraction of a piece.
    NotInteger,
    /// A number beyond the range that can be kept.
    Overflow,
}

impl RejectReason {
    /// All reasons.
    pub const ALL: [Self; 7] = [
        Self::FieldCount,
        Self::Missing,
        Self::BadText,
        Self::BadTime,
        Self::BadNumber,
        Self::NotInteger,
        Self::Overflow,
    ];

    /// The word for it in summaries and rejects files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FieldCount => "field_count",
            Self::Missing => "missing",
            Self::BadText => "bad_text",
            Self::BadTime => "bad_time",
            Self::BadNumber => "bad_number",
            Self::NotInteger => "not_integer",
            Self::Overflow => "overflow",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<NumberFault> for RejectReason {
    fn from(fault: NumberFault) -> Self {
        match fault {
            NumberFault::BadNumber => Self::BadNumber,
            NumberFault::NotInteger => Self::NotInteger,
            NumberFault::Overflow => Self::Overflow,
        }
    }
}

/// A rejected row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Physical line (CSV), sheet row (XLSX) or row from 1 (Parquet) on which the row starts.
    pub line: u64,
    /// The column at fault; none for a wrong number of fields.
    pub column: Option<Column>,
    /// What is wrong.
    pub reason: RejectReason,
    /// The value as the file has it, without blanks around; empty if absent.
    pub value: String,
}

/// Bytes of a rejected value that are kept.
const VALUE_LIMIT: usize = 4096;

/// What is wrong with a row, before its line number is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::source) struct Fault {
    pub(in crate::source) column: Option<Column>,
    pub(in crate::source) reason: RejectReason,
    pub(in crate::source) value: String,
}

impl Fault {
    pub(super) fn at(self, line: u64) -> Reject {
        let mut value = self.value;
        if value.len() > VALUE_LIMIT {
            let end = value.floor_char_boundary(VALUE_LIMIT);
            value.truncate(end);
            value.push('…');
        }
        Reject { line, column: self.column, reason: self.reason, value }
    }
}
