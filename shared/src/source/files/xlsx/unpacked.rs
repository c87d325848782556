//! How much a workbook holds unpacked, asked before anything of it is kept: a small file may unpack to any size.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use bytesize::ByteSize;
use zip::ZipArchive;

use super::damaged;
use crate::source::{SourceError, SourceErrorKind};

/// Bytes of the part with the cell styles. Five bytes of it take hundreds in memory, so that the bound of the whole
/// workbook is none for it; the 64,000 styles that Excel allows take about 10 MB.
const STYLES_LIMIT: u64 = 32 << 20;

/// Checks that the parts of a workbook unpack to no more than `limit` bytes together. All parts count: which ones will
/// be read is up to what is written in them.
///
/// The sizes are those of the file's directory. It need not tell the truth, but no part is read beyond what it says:
/// that is an error of the zip reader, which the workbook reader uses too.
///
/// # Errors
/// When they unpack to more, or the file is no workbook.
pub(super) fn check(file: &File, path: &Path, limit: u64) -> Result<(), SourceError> {
    let parts = ZipArchive::new(BufReader::new(file)).map_err(|cause| damaged(path, cause))?;
    let mut all = 0u64;
    for at in 0..parts.len() {
        let part = parts.by_index_data(at).map_err(|cause| damaged(path, cause))?;
        all = all.saturating_add(part.size());
        if part.size() > STYLES_LIMIT && part.name_raw().to_ascii_lowercase().ends_with(b"styles.xml") {
            return Err(SourceError::new(
                SourceErrorKind::File,
                format!(
                    "{} has cell styles of {}, more than the {} that can be read",
                    path.display(),
                    shown(part.size()),
                    shown(STYLES_LIMIT)
                ),
                "export it as CSV, or copy its values into a new workbook",
            ));
        }
    }
    if all > limit {
        return Err(SourceError::new(
            SourceErrorKind::File,
            format!(
                "{} unpacks to {}, more than the {} allowed for XLSX",
                path.display(),
                shown(all),
                shown(limit)
            ),
            "export it as CSV, which may have any size, or raise the limit (warmer import --xlsx-unpacked-limit)",
        ));
    }
    Ok(())
}

fn shown(bytes: u64) -> String {
    format!("{} ({bytes} bytes)", ByteSize(bytes))
}
