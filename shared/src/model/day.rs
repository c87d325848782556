//! Days and store-local times, without zone and without clock.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, NaiveDate};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds in a day.
pub const DAY_MICROS: i64 = 86_400_000_000;

/// A calendar day, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

/// A text that is not a day of the years 1970–2199 in the form `YYYY-MM-DD`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a day of the form YYYY-MM-DD in the years 1970 to 2199")]
pub struct NotADay;

impl Day {
    /// First day that can be named: 1970-01-01.
    pub const MIN: Self = Self(0);
    /// Last day that can be named: 2199-12-31.
    pub const MAX: Self = Self(84_005);

    /// The day of a calendar date, `None` if there is no such date in the years 1970–2199.
    #[must_use]
    pub fn from_ymd(year: i32, month: u32, day: u32) -> Option<Self> {
        if !(1970..=2199).contains(&year) {
            return None;
        }
        NaiveDate::from_ymd_opt(year, month, day).map(|date| Self(date.to_epoch_days()))
    }

    fn date(self) -> NaiveDate {
        NaiveDate::from_epoch_days(self.0).unwrap_or_default()
    }

    /// `days` later (earlier if negative).
    #[must_use]
    pub fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// Days from `earlier` to this one.
    #[must_use]
    pub fn since(self, earlier: Self) -> i32 {
        self.0 - earlier.0
    }

    /// The Monday of its week.
    #[must_use]
    pub fn monday(self) -> Self {
        // 1970-01-01 was a Thursday.
        Self(self.0 - (self.0 + 3).rem_euclid(7))
    }

    /// The first day of its month.
    #[must_use]
    pub fn first_of_month(self) -> Self {
        let day_of_month = i32::try_from(self.date().day0()).unwrap_or(0);
        self.plus(-day_of_month)
    }

    /// The first day of the following month.
    #[must_use]
    pub fn first_of_next_month(self) -> Self {
        self.first_of_month().plus(31).first_of_month()
    }
}

impl JsonSchema for Day {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Day".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // What can be named begins with 1970; the range before one that begins there, or a default that ends there, does not.
        json_schema!({ "type": "string", "format": "date", "pattern": "^(19[6-9]|20[0-9]|21[0-9])[0-9]-[0-9]{2}-[0-9]{2}$" })
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.date();
        write!(f, "{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
    }
}

impl FromStr for Day {
    type Err = NotADay;
    fn from_str(text: &str) -> Result<Self, NotADay> {
        let bytes = text.as_bytes();
        let digits = |range: std::ops::Range<usize>| -> Option<u32> {
            bytes
                .get(range)?
                .iter()
                .try_fold(0u32, |sum, b| b.is_ascii_digit().then(|| sum * 10 + u32::from(b - b'0')))
        };
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return Err(NotADay);
        }
        let (Some(year), Some(month), Some(day)) = (digits(0..4), digits(5..7), digits(8..10)) else {
            return Err(NotADay);
        };
        let year = i32::try_from(year).map_err(|_| NotADay)?;
        Self::from_ymd(year, month, day).ok_or(NotADay)
    }
}

impl Serialize for Day {
    /// `"2026-03-07"`, in MessagePack too.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An inclusive range of days, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DayRange {
    /// First day.
    pub from: Day,
    /// Last day, not before `from`.
    pub to: Day,
}

impl DayRange {
    /// `None` if `to` is before `from`.
    #[must_use]
    pub fn new(from: Day, to: Day) -> Option<Self> {
        (from <= to).then_some(Self { from, to })
    }

    /// Number of days.
    #[must_use]
    pub fn len(self) -> i32 {
        self.to.since(self.from) + 1
    }

    /// Never true: a range has at least one day.
    #[must_use]
    pub fn is_empty(self) -> bool {
        false
    }

    /// Whether `day` lies in it.
    #[must_use]
    pub fn contains(self, day: Day) -> bool {
        self.from <= day && day <= self.to
    }

    /// Its days, ascending.
    pub fn days(self) -> impl DoubleEndedIterator<Item = Day> {
        (self.from.0..=self.to.0).map(Day)
    }

    /// The window of the same length that ends the day before.
    #[must_use]
    pub fn previous(self) -> Self {
        Self { from: self.from.plus(-self.len()), to: self.from.plus(-1) }
    }

    /// The days in both.
    #[must_use]
    pub fn intersect(self, other: Self) -> Option<Self> {
        Self::new(self.from.max(other.from), self.to.min(other.to))
    }
}

/// A store-local wall-clock time: microseconds since 1970-01-01T00:00:00, without a zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LocalTime(pub i64);

impl LocalTime {
    /// The calendar date.
    #[must_use]
    pub fn day(self) -> Day {
        Day(i32::try_from(self.0.div_euclid(DAY_MICROS)).unwrap_or(i32::MAX))
    }

    /// Midnight of a day.
    #[must_use]
    pub fn midnight(day: Day) -> Self {
        Self(i64::from(day.0) * DAY_MICROS)
    }
}

impl fmt::Display for LocalTime {
    /// `2026-03-07T09:05:06`, with a fraction only where it is not zero, without trailing zeros.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.rem_euclid(DAY_MICROS);
        let seconds = micros / 1_000_000;
        write!(f, "{}T{:02}:{:02}:{:02}", self.day(), seconds / 3600, seconds / 60 % 60, seconds % 60)?;
        let mut fraction = micros % 1_000_000;
        if fraction != 0 {
            let mut width = 6;
            while fraction % 10 == 0 {
                fraction /= 10;
                width -= 1;
            }
            write!(f, ".{fraction:0width$}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_days() {
        for text in ["1970-01-01", "2024-02-29", "2199-12-31", "2026-03-07"] {
            assert_eq!(text.parse::<Day>().unwrap().to_string(), text);
        }
        assert_eq!("2199-12-31".parse::<Day>().unwrap(), Day::MAX);
        for text in [
            "2026-02-29",
            "1969-12-31",
            "2200-01-01",
            "2026-3-7",
            "20260307",
            "",
            "2026-03-07 ",
            "+026-03-07",
        ] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }

    #[test]
    fn finds_calendar_buckets() {
        let day: Day = "2026-03-07".parse().unwrap();
        assert_eq!(day.monday().to_string(), "2026-03-02");
        assert_eq!(day.monday().monday(), day.monday());
        assert_eq!(day.first_of_month().to_string(), "2026-03-01");
        assert_eq!(day.first_of_next_month().to_string(), "2026-04-01");
    }

    #[test]
    fn prints_times() {
        let nine = LocalTime(LocalTime::midnight("2026-03-07".parse().unwrap()).0 + 32_706_000_000);
        assert_eq!(nine.to_string(), "2026-03-07T09:05:06");
        assert_eq!(LocalTime(nine.0 + 123_400).to_string(), "2026-03-07T09:05:06.1234");
        assert_eq!(nine.day().to_string(), "2026-03-07");
    }
}
