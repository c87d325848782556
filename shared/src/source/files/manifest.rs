//! The list of the files of a folder that imports write. Replacing it by renaming is what makes an import whole.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{cannot_read, cannot_write};
use crate::model::Day;
use crate::source::{SourceError, SourceErrorKind};

/// Name of the list in its folder.
const NAME: &str = "hotshelf-orders.json";
/// Layout of the list and the files.
const FORMAT: u32 = 1;

/// One file of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DayFile {
    pub(super) name: String,
    pub(super) day: Day,
    pub(super) lines: u64,
    /// Whether its money has 19 digits.
    pub(super) wide: bool,
}

/// The files that count, all others are leftovers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    format: u32,
    /// Number of the last import; part of the names of its files.
    pub(super) import: u64,
    pub(super) files: Vec<DayFile>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self { format: FORMAT, import: 0, files: Vec::new() }
    }
}

impl Manifest {
    /// The list of a folder, if it has one.
    pub(super) fn load(folder: &Path) -> Result<Option<Self>, SourceError> {
        let path = folder.join(NAME);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(cannot_read(&path, cause)),
        };
        let unfit = |cause: Box<dyn std::error::Error + Send + Sync>| {
            SourceError::new(
                SourceErrorKind::File,
                format!("{} cannot be read: {cause}", path.display()),
                "import into a new folder, or use the version that wrote it",
            )
            .because(cause)
        };
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|cause| unfit(cause.into()))?;
        if manifest.format != FORMAT {
            return Err(unfit(format!("its format {} is not {FORMAT}", manifest.format).into()));
        }
        // A name leads nowhere else.
        if let Some(file) = manifest.files.iter().find(|file| !is_day_file(&file.name)) {
            return Err(unfit(format!("it names {:?}", file.name).into()));
        }
        Ok(Some(manifest))
    }

    /// Replaces the list of a folder, whole or not at all, on the disk when it returns.
    pub(super) fn store(&self, folder: &Path) -> Result<(), SourceError> {
        let path = folder.join(NAME);
        let new = folder.join(format!("{NAME}.tmp"));
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&new)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.sync_all()?;
            // The files of the list must be there before the list is.
            sync(folder)?;
            std::fs::rename(&new, &path)?;
            sync(folder)
        };
        write().map_err(|cause| cannot_write(&path, cause))
    }

    /// The paths of its files.
    pub(super) fn paths(&self, folder: &Path) -> Vec<PathBuf> {
        self.files.iter().map(|file| folder.join(&file.name)).collect()
    }

    /// Removes what unfinished imports left.
    pub(super) fn remove_leftovers(&self, folder: &Path) -> Result<(), SourceError> {
        for entry in std::fs::read_dir(folder).map_err(|cause| cannot_read(folder, cause))? {
            let path = entry.map_err(|cause| cannot_read(folder, cause))?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let counts = self.files.iter().any(|file| file.name == name);
            if name == format!("{NAME}.tmp") || (is_day_file(&name) && !counts) {
                std::fs::remove_file(&path).map_err(|cause| cannot_write(&path, cause))?;
            }
        }
        Ok(())
    }
}

/// Name of a day's file.
pub(super) fn day_file(day: Day, import: u64) -> String {
    format!("orders-{day}-{import}.parquet")
}

fn is_day_file(name: &str) -> bool {
    let parts = name.strip_prefix("orders-").and_then(|rest| rest.strip_suffix(".parquet"));
    let Some((day, import)) = parts.and_then(|rest| rest.split_at_checked(10)) else { return false };
    let number = import.strip_prefix('-').unwrap_or_default();
    day.parse::<Day>().is_ok() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
}

/// Makes sure that names of files outlive the machine.
#[cfg(unix)]
fn sync(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A folder cannot be opened here as files are; its file system keeps a journal of names.
#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "as where it can fail")]
fn sync(_folder: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_day_files() {
        assert!(is_day_file(&day_file(Day(20_000), 12)));
        for name in [
            "orders-2026-03-07.parquet",
            "orders-2026-03-07-.parquet",
            "orders-2026-02-30-1.parquet",
            "../orders-2026-03-07-1.parquet",
            "a.parquet",
        ] {
            assert!(!is_day_file(name), "{name}");
        }
    }
}
