//! The rejects file: every row that could not be read, where it is and why.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use shared::model::Column;
use shared::source::files::Reject;

/// A CSV file of rejected rows, made whole when there is nothing to reject too.
pub(super) struct RejectsFile {
    path: Option<PathBuf>,
    writer: Option<csv::Writer<BufWriter<File>>>,
}

impl RejectsFile {
    /// Made at once, so that a wrong path is said before anything is read.
    pub(super) fn create(path: Option<&Path>) -> anyhow::Result<Self> {
        let mut rejects = Self { path: path.map(Path::to_owned), writer: None };
        if let Some(path) = path {
            let file = File::create(path).with_context(|| {
                format!("cannot write the rejects file {}; check its folder", path.display())
            })?;
            let mut writer = csv::Writer::from_writer(BufWriter::new(file));
            writer.write_record(["file", "line", "column", "reason", "value"])?;
            rejects.writer = Some(writer);
        }
        Ok(rejects)
    }

    pub(super) fn write(&mut self, file: &Path, rejects: &[Reject]) -> anyhow::Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let name = file.to_string_lossy();
        for reject in rejects {
            let line = reject.line.to_string();
            // A file with U+0000 is not a text file to most programs; its symbol can be seen.
            let value = reject.value.replace('\0', "\u{2400}");
            let row: [&str; 5] =
                [&name, &line, reject.column.map_or("", Column::name), reject.reason.as_str(), &value];
            writer.write_record(row).context("cannot write the rejects file; check its disk")?;
        }
        Ok(())
    }

    /// Ends the file; its path if one was asked for.
    pub(super) fn finish(self) -> anyhow::Result<Option<PathBuf>> {
        if let Some(mut writer) = self.writer {
            writer.flush().context("cannot write the rejects file; check its disk")?;
        }
        Ok(self.path)
    }
}
