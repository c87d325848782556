//! A report: one line per check, in the order in which they were made.

use std::fmt;

use serde::Serialize;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is as it should be.
    Pass,
    /// It could not be made, or there is nothing to check.
    Skip,
    /// It works, but somebody should look at it.
    Warn,
    /// It does not work, or not as intended.
    Fail,
}

impl Outcome {
    /// The outcome in one word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skip => "skip",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked, such as `redis.policy`.
    pub name: &'static str,
    /// How it came out.
    pub outcome: Outcome,
    /// What was seen; why it was skipped.
    pub seen: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// All checks that were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    checks: Vec<Check>,
}

impl Report {
    /// The checks in the order in which they were made.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Whether none failed.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.count(Outcome::Fail) == 0
    }

    /// How many came out so.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.checks.iter().filter(|check| check.outcome == outcome).count()
    }

    /// Notes that something is as it should be.
    pub fn pass(&mut self, name: &'static str, seen: impl Into<String>) {
        self.add(name, Outcome::Pass, seen.into(), None);
    }

    /// Notes that somebody should look at something.
    pub fn warn(&mut self, name: &'static str, seen: impl Into<String>, remedy: impl Into<String>) {
        self.add(name, Outcome::Warn, seen.into(), Some(remedy.into()));
    }

    /// Notes that something does not work.
    pub fn fail(&mut self, name: &'static str, seen: impl Into<String>, remedy: impl Into<String>) {
        self.add(name, Outcome::Fail, seen.into(), Some(remedy.into()));
    }

    /// Notes that some checks were not made, and why: what they need failed already, or is not there.
    pub fn skip(&mut self, names: &[&'static str], why: &str) {
        for name in names {
            self.add(name, Outcome::Skip, why.to_owned(), None);
        }
    }

    /// Notes how something must be, judged by `good`.
    pub fn judge(&mut self, name: &'static str, good: bool, seen: impl Into<String>, remedy: &str) {
        if good { self.pass(name, seen) } else { self.fail(name, seen, remedy) }
    }

    fn add(&mut self, name: &'static str, outcome: Outcome, seen: String, remedy: Option<String>) {
        self.checks.push(Check { name, outcome, seen, remedy });
    }

    /// The report as JSON: `{"holds": …, "checks": [{"name", "outcome", "seen", "remedy"}]}`.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({ "holds": self.holds(), "checks": self.checks })
    }
}

/// One line per check, remedies below, and the counts at the end.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
        for check in &self.checks {
            writeln!(f, "{}  {:width$}  {}", check.outcome.name(), check.name, check.seen)?;
            if let Some(remedy) = &check.remedy {
                writeln!(f, "      {:width$}  → {remedy}", "")?;
            }
        }
        let count = |outcome| self.count(outcome);
        write!(
            f,
            "\n{} passed, {} warned, {} failed",
            count(Outcome::Pass),
            count(Outcome::Warn),
            count(Outcome::Fail)
        )?;
        match count(Outcome::Skip) {
            0 => Ok(()),
            skipped => write!(f, ", {skipped} not made"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_by_people_and_programs() {
        let mut report = Report::default();
        report.pass("redis.reachable", "127.0.0.1:6379");
        report.judge("redis.policy", false, "noeviction", "set it");
        report.warn("disk", "2 GiB free", "make room");
        report.skip(&["gateway.hit"], "no gateway was named");
        let expected = "pass  redis.reachable  127.0.0.1:6379\n\
                        fail  redis.policy     noeviction\n                       → set it\n\
                        warn  disk             2 GiB free\n                       → make room\n\
                        skip  gateway.hit      no gateway was named\n\n1 passed, 1 warned, 1 failed, 1 not made";
        assert_eq!(report.to_string(), expected);
        assert!(!report.holds());
        let json = report.json();
        assert_eq!((&json["holds"], &json["checks"][1]["outcome"]), (&false.into(), &"fail".into()));
        assert_eq!(json["checks"][0].get("remedy"), None);
    }
}
