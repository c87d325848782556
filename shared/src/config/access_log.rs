//! Settings of the access log.

use std::path::PathBuf;
use std::time::Duration;

use super::checker::{Checker, HOUR, SECOND};
use super::raw;

/// Longest name of a gateway: it is in every line.
const MAX_INSTANCE_BYTES: usize = 64;
const MIB: u64 = 1 << 20;

/// Settings of the access log's writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogSettings {
    /// The file; `None` = no log.
    pub path: Option<PathBuf>,
    /// Name of this gateway in its records; `None` = the address it listens on.
    pub instance: Option<String>,
    /// Bytes after which a file is rotated.
    pub max_size: u64,
    /// Age after which a file is rotated.
    pub max_age: Duration,
    /// Rotated files that are kept.
    pub keep: usize,
    /// Records that may wait to be written.
    pub queue: usize,
    /// Bytes that the records that wait may take.
    pub queue_bytes: usize,
    /// Time in which what waits is written after a stop was asked for.
    pub drain_timeout: Duration,
    /// How long a refresh waits until its line is written.
    pub confirm_timeout: Duration,
}

pub(super) fn check(log: raw::AccessLog, checker: &mut Checker) -> AccessLogSettings {
    if let Some(name) = &log.instance
        && (name.is_empty() || name.len() > MAX_INSTANCE_BYTES || name.chars().any(char::is_control))
    {
        let what = format!("{name:?} must have 1 to {MAX_INSTANCE_BYTES} bytes and no control characters");
        checker.problem("access_log.instance", what);
    }
    if let Some(path) = &log.path
        && path.file_name().is_none()
    {
        checker.problem("access_log.path", format!("{path:?} names no file"));
    }
    let queue_bytes = checker.size("access_log.queue_bytes", log.queue_bytes, 16 * MIB, (MIB, 1024 * MIB));
    AccessLogSettings {
        path: log.path,
        instance: log.instance,
        max_size: checker.size("access_log.max_size", log.max_size, 64 * MIB, (MIB, 65_536 * MIB)),
        max_age: checker.duration(
            "access_log.max_age",
            log.max_age,
            Duration::from_millis(24 * HOUR),
            (60 * SECOND, 366 * 24 * HOUR),
        ),
        keep: checker.number("access_log.keep", log.keep, 5, (1, 100)),
        queue: checker.number("access_log.queue", log.queue, 20_000, (1, 1_000_000)),
        queue_bytes: usize::try_from(queue_bytes).unwrap_or(usize::MAX),
        drain_timeout: checker.duration(
            "access_log.drain_timeout",
            log.drain_timeout,
            Duration::from_millis(2 * SECOND),
            (0, 600 * SECOND),
        ),
        confirm_timeout: checker.duration(
            "access_log.confirm_timeout",
            log.confirm_timeout,
            Duration::from_millis(2 * SECOND),
            (100, 600 * SECOND),
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::check::tests::settings;

    #[test]
    fn names_and_paths_are_checked() {
        let long = "x".repeat(65);
        let error = settings(&format!(
            "[access_log]\npath = \"/\"\ninstance = \"{long}\"\nmax_size = \"1KiB\"\nmax_age = \"1s\"\nkeep = 0\n\
             queue = 0\nqueue_bytes = \"1B\"\ndrain_timeout = \"1h\"\nconfirm_timeout = \"1ms\"\n"
        ))
        .unwrap_err();
        let mut places: Vec<&str> = error.problems.iter().map(|problem| problem.place.as_str()).collect();
        places.sort_unstable();
        let keys = [
            "confirm_timeout",
            "drain_timeout",
            "instance",
            "keep",
            "max_age",
            "max_size",
            "path",
            "queue",
            "queue_bytes",
        ];
        assert_eq!(places, keys.map(|key| format!("access_log.{key}")));
        assert_eq!(settings("").unwrap().access_log.path, None);
    }
}
