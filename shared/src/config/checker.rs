//! Problems of settings, collected while values are read.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::model::Money;

/// In milliseconds, for limits of durations.
pub(super) const SECOND: u64 = 1000;
pub(super) const HOUR: u64 = 3600 * SECOND;

/// One setting that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Key, or file.
    pub place: String,
    /// What is wrong, with value and limit.
    pub what: String,
}

/// All settings that do not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SettingsError {
    /// One by one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} setting(s) do not fit:", self.problems.len())?;
        for problem in &self.problems {
            write!(f, "\n  {}: {}", problem.place, problem.what)?;
        }
        Ok(())
    }
}

/// Collects problems while values are read.
#[derive(Default)]
pub(super) struct Checker {
    pub(super) problems: Vec<Problem>,
}

impl Checker {
    pub(super) fn problem(&mut self, place: &str, what: String) {
        self.problems.push(Problem { place: place.to_owned(), what });
    }

    pub(super) fn duration(
        &mut self,
        key: &str,
        text: Option<String>,
        default: Duration,
        limits: (u64, u64),
    ) -> Duration {
        let Some(text) = text else { return default };
        match humantime::parse_duration(&text) {
            Ok(value)
                if (limits.0..=limits.1).contains(&u64::try_from(value.as_millis()).unwrap_or(u64::MAX)) =>
            {
                value
            }
            Ok(_) => {
                let shown = |ms| humantime::format_duration(Duration::from_millis(ms));
                let what = format!("{text:?} is outside {} to {}", shown(limits.0), shown(limits.1));
                self.problem(key, what);
                default
            }
            Err(error) => {
                self.problem(
                    key,
                    format!("{text:?} is not a duration ({error}); write \"50ms\", \"15m\" or \"24h\""),
                );
                default
            }
        }
    }

    pub(super) fn size(&mut self, key: &str, text: Option<String>, default: u64, limits: (u64, u64)) -> u64 {
        let Some(text) = text else { return default };
        match text.parse::<bytesize::ByteSize>() {
            Ok(size) if (limits.0..=limits.1).contains(&size.0) => size.0,
            Ok(_) => {
                let shown = |bytes| bytesize::ByteSize(bytes).display().iec();
                self.problem(key, format!("{text:?} is outside {} to {}", shown(limits.0), shown(limits.1)));
                default
            }
            Err(error) => {
                self.problem(key, format!("{text:?} is not a size ({error}); write \"64MiB\" or \"1GiB\""));
                default
            }
        }
    }

    pub(super) fn number<T: PartialOrd + Copy + fmt::Display>(
        &mut self,
        key: &str,
        value: Option<T>,
        default: T,
        limits: (T, T),
    ) -> T {
        match value {
            Some(value) if value >= limits.0 && value <= limits.1 => value,
            Some(value) => {
                self.problem(key, format!("{value} is outside {} to {}", limits.0, limits.1));
                default
            }
            None => default,
        }
    }

    /// Two files of which neither is of use without the other.
    pub(super) fn pair(&mut self, a: (&str, Option<&Path>), b: (&str, Option<&Path>)) {
        for (given, missing) in [(a, b), (b, a)] {
            if given.1.is_some() && missing.1.is_none() {
                self.problem(missing.0, format!("is missing; {} is of no use without it", given.0));
            }
        }
    }

    pub(super) fn money(&mut self, key: &str, text: Option<String>, default: Money) -> Money {
        let Some(text) = text else { return default };
        match Money::parse(&text) {
            Ok(value) if value >= Money::ZERO => value,
            Ok(_) => {
                self.problem(key, format!("{text:?} is negative"));
                default
            }
            Err(fault) => {
                self.problem(key, format!("{text:?} is {fault}; write an amount such as \"6.5\""));
                default
            }
        }
    }

    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &str,
        text: Option<String>,
        choices: &[(&str, T)],
        default: T,
    ) -> T {
        let Some(text) = text else { return default };
        match choices.iter().find(|(name, _)| *name == text) {
            Some((_, value)) => *value,
            None => {
                let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
                self.problem(key, format!("{text:?} is none of {}", names.join(", ")));
                default
            }
        }
    }
}
