//! Settings of the log.

use std::path::PathBuf;

use super::checker::Checker;
use super::raw;
use crate::runtime::logging::LogFormat;

const MIB: u64 = 1 << 20;

/// Log settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Form.
    pub format: LogFormat,
    /// Level or filter.
    pub filter: String,
    /// Folder of a daemon's log files; `None` = standard error.
    pub folder: Option<PathBuf>,
    /// Bytes after which a file is rotated.
    pub max_size: u64,
    /// Rotated files that are kept.
    pub keep: usize,
}

pub(super) fn check(log: raw::Log, checker: &mut Checker) -> LogSettings {
    if log.folder.as_ref().is_some_and(|folder| folder.as_os_str().is_empty()) {
        checker
            .problem("log.folder", "is empty; name a folder, or leave it out for standard error".to_owned());
    }
    LogSettings {
        format: checker.choice(
            "log.format",
            log.format,
            &[("text", LogFormat::Text), ("json", LogFormat::Json)],
            LogFormat::Text,
        ),
        filter: log.filter.unwrap_or_else(|| "info".to_owned()),
        folder: log.folder,
        max_size: checker.size("log.max_size", log.max_size, 64 * MIB, (MIB, 65_536 * MIB)),
        keep: checker.number("log.keep", log.keep, 8, (1, 100)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::check::tests::settings;

    #[test]
    fn limits_of_files_are_checked() {
        let error =
            settings("[log]\nformat = \"xml\"\nfolder = \"\"\nmax_size = \"1KiB\"\nkeep = 0").unwrap_err();
        let mut places: Vec<&str> = error.problems.iter().map(|problem| problem.place.as_str()).collect();
        places.sort_unstable();
        assert_eq!(places, ["log.folder", "log.format", "log.keep", "log.max_size"]);
        let log = settings("").unwrap().log;
        assert_eq!((log.folder, log.max_size, log.keep), (None, 64 << 20, 8));
        let log = settings("[log]\nfolder = \"logs\"\nmax_size = \"1MiB\"\nkeep = 1").unwrap().log;
        assert_eq!((log.folder.unwrap().to_str(), log.max_size, log.keep), (Some("logs"), 1 << 20, 1));
    }
}
