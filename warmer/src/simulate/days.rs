//! Which day was the last data day at a time, where the log does not say.

use std::path::{Path, PathBuf};

use chrono::DateTime;
use shared::access_log::lines::Lines;
use shared::model::Day;

const LINE_BYTES: usize = 1024;
/// Day changes of one file.
const MOST_CHANGES: usize = 1_000_000;

/// Why day changes cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DaysError {
    /// The file.
    #[error("cannot read {path}; check that the file is there and whole")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line.
    #[error(
        "{path}, line {line}: expected a time, not before that of the line above, a comma and a day, as in \
         \"2026-03-08T00:00:00+08:00,2026-03-07\""
    )]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
    },
    /// No lines, or too many.
    #[error("{path} has {changes} day changes; 1 to {MOST_CHANGES} fit")]
    Changes {
        /// Which file.
        path: PathBuf,
        /// How many were read.
        changes: usize,
    },
}

/// From when on (milliseconds since 1970) which day was the last one with data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayChanges(Vec<(u64, Day)>);

impl DayChanges {
    /// Reads `time,last_day` lines: times of RFC 3339, ascending; a heading may be there.
    ///
    /// # Errors
    /// If the file cannot be read, or a line is not of this form.
    pub fn read(path: &Path) -> Result<Self, DaysError> {
        let failed = |source| DaysError::Read { path: path.to_owned(), source };
        let mut lines = Lines::open(path, LINE_BYTES).map_err(failed)?;
        let mut changes: Vec<(u64, Day)> = Vec::new();
        while let Some(line) = lines.next_line().map_err(failed)? {
            let malformed = || DaysError::Line { path: path.to_owned(), line: line.number };
            let text = std::str::from_utf8(line.bytes).map_err(|_| malformed())?.trim();
            if text.is_empty() || line.number == 1 && text == "time,last_day" {
                continue;
            }
            let change = change(text).filter(|(at, _)| changes.last().is_none_or(|(before, _)| before <= at));
            changes.push(change.ok_or_else(malformed)?);
            if changes.len() > MOST_CHANGES {
                break;
            }
        }
        if changes.is_empty() || changes.len() > MOST_CHANGES {
            return Err(DaysError::Changes { path: path.to_owned(), changes: changes.len() });
        }
        Ok(Self(changes))
    }

    /// The last data day at a time; before the first change, the day of that one.
    #[must_use]
    pub fn at(&self, at: u64) -> Day {
        let passed = self.0.partition_point(|(change, _)| *change <= at);
        self.0.get(passed.saturating_sub(1)).map_or(Day::MIN, |(_, day)| *day)
    }
}

fn change(text: &str) -> Option<(u64, Day)> {
    let (time, day) = text.split_once(',')?;
    let time = DateTime::parse_from_rfc3339(time.trim()).ok()?.timestamp_millis();
    Some((u64::try_from(time).ok()?, day.trim().parse().ok()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<DayChanges, DaysError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("days.csv");
        std::fs::write(&path, text).unwrap();
        DayChanges::read(&path)
    }

    #[test]
    fn a_day_counts_from_its_time_on() {
        let days =
            read("time,last_day\n1970-01-02T01:00:00+01:00,1970-01-01\n1970-01-03T00:00:00Z,1970-01-02\n");
        let days = days.unwrap();
        let hour = 3_600_000;
        for (at, day) in [(0, 0), (24 * hour, 0), (48 * hour - 1, 0), (48 * hour, 1), (u64::MAX, 1)] {
            assert_eq!(days.at(at), Day(day), "{at}");
        }
    }

    #[test]
    fn bad_lines_are_named() {
        let good = "2026-03-08T00:00:00Z,2026-03-07";
        for bad in ["2026-03-09,2026-03-08", "2026-03-09T00:00:00Z", "2026-03-07T00:00:00Z,2026-03-06", "a,b"]
        {
            let error = read(&format!("{good}\n\n{bad}\n")).unwrap_err();
            assert!(matches!(error, DaysError::Line { line: 3, .. }), "{bad}: {error}");
        }
        assert!(matches!(read("time,last_day\n"), Err(DaysError::Changes { changes: 0, .. })));
    }
}
