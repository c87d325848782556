//! How much a workbook holds unpacked, asked before anything of it is kept: a small file may unpack to any size.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use bytesize::ByteSize;
use quick_xml::events::Event;
use zip::ZipArchive;

use super::damaged;
use crate::source::{SourceError, SourceErrorKind};

/// Bytes of the part with the cell styles. Five bytes of it take hundreds in memory, so that the bound of the whole
/// workbook is none for it; the 64,000 styles that Excel allows take about 10 MB.
const STYLES_LIMIT: u64 = 32 << 20;
/// Bytes of the shortest text in the part with the texts: `<si/>`.
const TEXT_BYTES: u64 = 5;

/// Checks that the parts of a workbook unpack to no more than `limit` bytes together. All parts count: which ones will
/// be read is up to what is written in them.
///
/// The sizes are those of the file's directory. It need not tell the truth, but no part is read beyond what it says:
/// that is an error of the zip reader, which the workbook reader uses too.
///
/// # Errors
/// When they unpack to more, or the file is no workbook.
pub(super) fn check(file: &File, path: &Path, limit: u64) -> Result<(), SourceError> {
    let mut parts = ZipArchive::new(BufReader::new(file)).map_err(|cause| damaged(path, cause))?;
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
    for at in 0..parts.len() {
        // One that cannot be unpacked is told of when it is read.
        let Ok(part) = parts.by_index(at) else { continue };
        if part.name_raw().to_ascii_lowercase().ends_with(b"sharedstrings.xml") {
            let most = part.size() / TEXT_BYTES;
            check_text_count(part, most).map_err(|cause| damaged(path, cause))?;
        }
    }
    Ok(())
}

/// Checks that the part with the texts does not announce more than it can hold: the workbook reader makes room for as
/// many, and a process that asks for more memory than there is ends at once.
fn check_text_count(part: impl Read, most: u64) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut xml = quick_xml::Reader::from_reader(BufReader::new(part));
    // As the workbook reader has it, so that both see the same.
    xml.config_mut().expand_empty_elements = true;
    xml.config_mut().check_end_names = false;
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match xml.read_event_into(&mut buffer)? {
            Event::Start(start) if start.local_name().as_ref() == "sst" => {
                for attribute in start.attributes().with_checks(false) {
                    let attribute = attribute?;
                    let count = attribute.value.parse::<u128>().unwrap_or(0);
                    if attribute.key.0 == "uniqueCount" && count > u128::from(most) {
                        return Err(format!("it announces {count} texts, but has no room for them").into());
                    }
                }
                return Ok(());
            }
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

fn shown(bytes: u64) -> String {
    format!("{} ({bytes} bytes)", ByteSize(bytes))
}
